package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/report"
	"kvbench/engine/schema"
	"kvbench/engine/sweep"
)

const groupSweep = "Sweeps"

// sweepView is the view with the columns of a sweep.
const sweepView = "sweep"

// transfersView is the view with the columns of a sweep over transfers.
const transfersView = "transfers"

// sweepFlags returns the flags that control which points of a sweep are shown, and how
// they are shown.
func sweepFlags() []*flagSpec {
	return []*flagSpec{
		{name: "where", arg: "CONDITION", group: groupSweep, help: "Keep the rows for which this formula is true. Example: 'tp_size * pp_size <= 16 && block_size >= 64KiB'"},
		{name: "sort", arg: "COLUMNS", group: groupSweep, help: "Sort by these columns, separated by commas. -COLUMN sorts in descending order (--sort=-block_size)"},
		{name: "top", arg: "N", group: groupSweep, help: "Print only the first N rows"},
		{name: "columns", arg: "COLUMNS", group: groupSweep, help: "Columns to show, separated by commas. A column is a quantity, field, parameter, formula or nixlbench flag"},
		{name: "output", short: "o", arg: "FILE", group: groupOutput, help: "Write the output to this file, atomically"},
	}
}

// isSweep reports whether to print the plans as rows. It returns true if something has
// several values, or if an option or format that applies only to rows is selected.
func (c *command) isSweep(jobs []plan.Item) bool {
	for _, name := range []string{"where", "sort", "top", "columns"} {
		if c.set[name] {
			return true
		}
	}
	format, _, _ := c.value("format")
	return slices.Contains([]string{"jsonl", "table"}, format) ||
		slices.ContainsFunc(jobs, func(j plan.Item) bool { return len(j.Config.Axes)+len(j.Knobs) > 0 })
}

// sweep writes the plans of all points as rows. errs contains errors that occurred earlier.
func (a *app) sweep(ctx context.Context, c *command, jobs []plan.Item, format string, secrets bool, errs diag.List) error {
	s, format, columns, err := a.newSweep(c, jobs, format, secrets, &errs)
	if err != nil {
		errs.Add(err)
		return errs
	}
	if s.Points == 0 {
		return errs.Err()
	}
	expectMuch()
	a.announce(c, s)
	a.warnMissingOnce(jobs, a.sweepShown(c, columns))
	if !c.isPage() {
		a.noteEmpty(jobs, columns)
	}

	// From here on, an interrupt takes effect after a complete row, and a second interrupt
	// takes effect immediately.
	a.endsGracefully()
	pipe := make(chan os.Signal, 1) // turn a closed pipe into a write error
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)
	defer context.AfterFunc(ctx, func() { a.graceful.Store(false) })()
	out, err := a.open(c)
	if err != nil {
		errs.Add(err)
		return errs
	}

	line := a.newSweepProgress(c, out, s.Points)
	var rows io.Writer = line.above(out)
	var kept bytes.Buffer
	if c.isPage() {
		rows = &kept
	}
	if format == "table" {
		rows = report.NewTable(rows, columns)
	}
	_, err = out.Write(report.SweepHead(format, columns))
	var outcome *sweep.Outcome
	if err == nil {
		outcome, err = s.Run(ctx, rows, line.at)
		line.progress.clear()
	}
	if err == nil && outcome.Rows == 0 {
		_, err = rows.Write(nil) // print the heading of an empty table
	}
	if err == nil && c.isPage() {
		err = a.writeSweepPage(out, c, columns, kept.Bytes(), outcome)
	}
	switch {
	case errors.Is(err, syscall.EPIPE):
		return nil // the reader has exited
	case ctx.Err() != nil:
		out.discard()
		return errInterrupted
	case err != nil:
		out.discard()
		errs.Add(err)
		return errs
	}
	if err := out.close(); err != nil {
		errs.Add(err)
		return errs
	}
	a.tell(c, s, outcome, &errs)
	return errs.Err()
}

// newSweep creates the sweep that the command requests. It adds the errors of
// invalid items to errs.
func (a *app) newSweep(c *command, jobs []plan.Item, format string, secrets bool, errs *diag.List) (*sweep.Sweep, string, []string, error) {
	var wrong diag.List
	if c.isPage() {
		format = pageRows
	}
	if _, from, ok := c.value("format"); ok && !slices.Contains(report.SweepFormats, format) {
		wrong = append(wrong, from.Errorf("%s shows single plans; for rows, use one of %s", format, strings.Join(append(slices.Clone(report.SweepFormats), pageFormat), ", ")))
	} else if !ok {
		format = report.SweepFormats[0]
	}
	var top uint64
	if c.set["top"] {
		text, from, _ := c.value("top")
		var err error
		if top, err = strconv.ParseUint(text, 10, 63); err != nil || top < 1 {
			wrong = append(wrong, from.Errorf("%q is not allowed: expected a whole number, 1 or more", text))
		}
	}
	columns := a.sweepColumns(c, jobs)
	if c.set["columns"] {
		columns = c.list("columns")
		for i, name := range columns {
			if slices.Contains(columns[:i], name) { // each column is a key of a JSON object, which must not have duplicate keys
				_, from, _ := c.value("columns")
				wrong = append(wrong, from.Errorf("%q is given twice", name))
			}
		}
	}
	if c.isPage() {
		columns = a.pageColumns(c, columns)
	}
	var keys []sweep.SortKey
	for _, name := range c.list("sort") {
		name, down := strings.CutPrefix(name, "-")
		keys = append(keys, sweep.SortKey{Column: report.SweepName(a.schema.Fields, name), Down: down})
	}
	where, _, hasWhere := c.value("where")
	if hasWhere && strings.TrimSpace(where) == "" {
		wrong = append(wrong, diag.Usagef("--where: the condition is empty"))
	}
	if len(wrong) > 0 {
		return nil, "", nil, wrong
	}
	options := sweep.Options{Where: where, Columns: a.sweepNames(columns), Sort: keys, Top: top, Format: report.SweepRows(format, columns)}
	if !secrets {
		options.Mask = nixlbench.Mask
	}
	s, left, err := sweep.New(jobs, options)
	if err != nil {
		return nil, "", nil, err
	}
	errs.Add(left)
	if c.isPage() {
		if err := fitsPage(s.Points, top, hasWhere); err != nil {
			return nil, "", nil, err
		}
	}
	if len(keys) > 0 {
		if most := uint64(sweep.MaxSorted); top > most || top == 0 && where == "" && s.Points > most {
			return nil, "", nil, diag.Usagef("--sort keeps at most %d rows in memory", most).
				WithHint("limit the rows with --top, or filter them with --where")
		}
	}
	return s, format, columns, nil
}

// list parses a flag that is a list of names.
func (c *command) list(name string) []string {
	text, _, ok := c.value(name)
	if !ok {
		return nil
	}
	var names []string
	for part := range strings.SplitSeq(text, ",") {
		names = append(names, strings.TrimSpace(part))
	}
	return names
}

// sweepNames returns the names that sweeps use for columns.
func (a *app) sweepNames(columns []string) []string {
	names := make([]string, len(columns))
	for i, name := range columns {
		names[i] = report.SweepName(a.schema.Fields, name)
	}
	return names
}

// sweepColumns returns the columns shown by default.
func (a *app) sweepColumns(c *command, jobs []plan.Item) []string {
	view := a.schema.View(sweepView)
	if c.transfers {
		view = a.schema.View(transfersView)
	}
	columns, quantities := rowNames(view), quantitiesOf(a.schema)
	for i := range a.schema.Fields {
		f := &a.schema.Fields[i]
		if slices.ContainsFunc(jobs, func(j plan.Item) bool { return j.Config.Varies(f.Var) }) {
			columns = report.AddColumn(columns, f.Var, quantities)
		}
	}
	for _, f := range knobsOf(jobs) {
		columns = report.AddColumn(columns, f.JSONKey(), quantities)
	}
	if slices.ContainsFunc(jobs, func(j plan.Item) bool { return plan.UseOf(j.Config).Rank }) {
		for _, r := range view.Rank {
			columns = report.AddColumn(columns, r.Value, quantities)
		}
	}
	return columns
}

// knobsOf returns the nixlbench flags that have several values in some jobs.
func knobsOf(jobs []plan.Item) []*schema.Flag {
	flags := map[string]*schema.Flag{}
	for _, j := range eachConfig(jobs) {
		for _, k := range j.Knobs {
			flags[k.Name] = k.Flag
		}
	}
	var list []*schema.Flag
	for _, name := range schema.Keys(flags) {
		list = append(list, flags[name])
	}
	return list
}

// eachConfig returns the first job for each model and configuration. The jobs that it omits
// differ from that job only in nixlbench flags.
func eachConfig(jobs []plan.Item) []plan.Item {
	var list []plan.Item
	for i, j := range jobs {
		if i == 0 || j.Config != jobs[i-1].Config {
			list = append(list, j)
		}
	}
	return list
}

func quantitiesOf(s *schema.Schema) []string {
	names := make([]string, len(s.Quantities))
	for i, q := range s.Quantities {
		names[i] = q.Name
	}
	return names
}

// wantsDetail reports whether rows contain quantities that plans do not have by
// default.
func (a *app) wantsDetail(c *command) bool {
	if c.isPage() {
		return true
	}
	where, _, _ := c.value("where")
	condition, _ := sweep.Condition(a.schema, where) // the sweep reports the error
	names := slices.Concat(c.list("columns"), c.list("sort"), condition.Names())
	return slices.ContainsFunc(a.schema.Quantities, func(q schema.Quantity) bool {
		return !q.Detail.IsZero() && (slices.Contains(names, q.Name) || slices.Contains(names, "-"+q.Name))
	})
}

// announce prints the size of the sweep before the first point is planned.
func (a *app) announce(c *command, s *sweep.Sweep) {
	note := diag.Notef(diag.Pos{}, "%s", s.Size())
	if c.set["sort"] {
		note.WithHint("--sort keeps rows in memory and prints them at the end")
	}
	a.print.Print(note)
}

// warnMissingOnce is like warnMissing, but for several plans. It prints each message only
// once, with the number of plans that the message applies to.
func (a *app) warnMissingOnce(jobs []plan.Item, shown plan.Shown) {
	names := quantitiesOf(a.schema)
	var list []*diag.Diag
	counts := map[string]int{}
	jobs = eachConfig(jobs)
	for _, j := range jobs {
		for _, d := range append(a.missing(j, names), a.given(j, shown)...) {
			if counts[d.Text()]++; counts[d.Text()] == 1 {
				list = append(list, d)
			}
		}
	}
	for _, d := range list {
		if n := counts[d.Text()]; n > 1 {
			d.WithHint("applies to %d of %d plans", n, len(jobs))
		}
		a.print.Print(d)
	}
}

// noteEmpty prints a note about each column that is empty because the fields that its
// values need are not set.
func (a *app) noteEmpty(jobs []plan.Item, columns []string) {
	isSet := func(f *schema.Field) bool {
		return slices.ContainsFunc(jobs, func(j plan.Item) bool {
			return j.Config.Values[f.Var].Origin.Kind != data.FromDefault ||
				slices.ContainsFunc(j.Config.Axes, func(axis config.Axis) bool { return axis.Field.Var == f.Var })
		})
	}
	for _, q := range a.schema.Quantities {
		if !slices.Contains(columns, q.Name) {
			continue
		}
		read := slices.Concat(q.Detail.Names(), q.RankDetail.Names(), q.TransferDetail.Names())
		var needed []string
		for i := range a.schema.Fields {
			if f := &a.schema.Fields[i]; slices.Contains(read, f.Var) {
				if isSet(f) {
					needed = nil
					break
				}
				needed = append(needed, "--"+f.Flag)
			}
		}
		if needed != nil {
			a.print.Print(diag.Notef(diag.Pos{}, "column %s is empty, because it needs %s", q.Name, strings.Join(needed, " or ")))
		}
	}
}

// tell prints warnings, and the limits that rows violate. It also adds each reason why
// points have no row to errs, but only once.
func (a *app) tell(c *command, s *sweep.Sweep, o *sweep.Outcome, errs *diag.List) {
	for _, b := range o.Broken {
		w := b.Violation.Warning()
		if label := s.Label(b.First); b.Count > 1 {
			w.WithHint("%d of %d rows violate this limit; the numbers are from the first: %s", b.Count, o.Rows, label)
		} else if label != "" {
			w.WithHint("with %s", label)
		}
		a.print.Print(w)
	}
	for _, f := range o.Warned {
		a.print.Print(counted(s, f, o.Points, manyWarned))
	}
	for _, f := range o.Failed {
		d := counted(s, f, o.Points, manyFailed)
		d.Usage = d.Usage && o.Rows == 0 // it is not a usage error if other values work
		*errs = append(*errs, d)
	}
	a.tellNone(c, o)
}

// tellNone prints a note if no point meets the condition.
func (a *app) tellNone(c *command, o *sweep.Outcome) {
	where, from, ok := c.value("where")
	points := o.Points
	for _, f := range o.Failed {
		points -= uint64(f.Count)
	}
	if ok && o.Rows == 0 && points > 0 {
		a.print.Print(a.unmeetable(where, diag.Notef(from.Pos, "no point meets the --where condition: %s", diag.Printable(where))))
	}
}

// unmeetable adds a hint for each value in a condition that is not a known value of its
// field.
func (a *app) unmeetable(where string, d *diag.Diag) *diag.Diag {
	compared := formula.Compared(where)
	for _, name := range schema.Keys(compared) {
		known := a.schema.KnownOf(name)
		for _, value := range compared[name] {
			if len(known) > 0 && !slices.Contains(known, value) {
				d.WithHint("%q is not a known value of %s", diag.Printable(value), name)
				d.Suggest(value, known)
			}
		}
	}
	return d
}

// These hints are used if the same reason applies to several points. Their arguments are the
// number of these points, the total number of points, and the first of these points.
const (
	manyWarned = "applies to %d of %d points; the first is %s"
	manyFailed = "%d of %d points have no row because of this; the numbers are from the first: %s"
)

// counted returns a reason with a hint about the points that it applies to.
func counted(s *sweep.Sweep, f sweep.Failed, points uint64, many string) *diag.Diag {
	d := *diag.All(f.Err)[0]
	if label := s.Label(f.First); f.Count > 1 {
		d.WithHint(many, f.Count, points, label)
	} else if label != "" {
		d.WithHint("with %s", label)
	}
	return &d
}

// sweepProgress shows the progress of a long sweep on a terminal. If the terminal also
// shows the rows, there is a progress line only for sorted or filtered rows, which may
// take a long time to appear.
type sweepProgress struct {
	progress
	points      uint64
	began, last time.Time
}

func (a *app) newSweepProgress(c *command, out *output, points uint64) *sweepProgress {
	onScreen := out.name == "" && isTerminal(os.Stdout)
	return &sweepProgress{
		progress: progress{w: a.stderr, terminal: isTerminal(os.Stderr) && (!onScreen || c.set["sort"] || c.set["where"])},
		points:   points, began: time.Now(), last: time.Now(),
	}
}

// above wraps w in a writer that keeps the progress line below the output.
func (p *sweepProgress) above(w io.Writer) io.Writer {
	if !p.terminal {
		return w
	}
	return writerFunc(func(text []byte) (n int, err error) {
		p.print(func() { n, err = w.Write(text) })
		return n, err
	})
}

type writerFunc func([]byte) (int, error)

// Write calls f.
func (f writerFunc) Write(text []byte) (int, error) { return f(text) }

// The at method updates the progress line with the number of finished points.
func (p *sweepProgress) at(points uint64) {
	if !p.terminal {
		return
	}
	now := time.Now()
	if now.Sub(p.last) < progressTime {
		return
	}
	p.last = now
	p.mu.Lock()
	p.current = p.line(points, now.Sub(p.began))
	p.mu.Unlock()
	p.print(func() {})
}

func (p *sweepProgress) line(points uint64, spent time.Duration) string {
	left := float64(p.points-points) / float64(points) * spent.Seconds()
	return fmt.Sprintf("%d of %d points (%d%%), %s to go", points, p.points, points*100/p.points, roughly(left))
}

// The roughly function formats a duration, given in seconds, in the largest suitable unit.
func roughly(seconds float64) string {
	for _, unit := range []struct {
		name    string
		seconds float64
	}{{"years", 365.25 * 86400}, {"days", 86400}, {"hours", 3600}, {"minutes", 60}} {
		if seconds >= 2*unit.seconds {
			return fmt.Sprintf("%.0f %s", seconds/unit.seconds, unit.name)
		}
	}
	return fmt.Sprintf("%.0f s", seconds)
}
