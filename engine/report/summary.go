package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// Point is a plan with the records of its runs, at least one; that of a plan
// which was not run has no status.
type Point []*runner.Record

// Points puts the records of the same plan together, in the order they came.
func Points(records []*runner.Record) []Point {
	var points []Point
	at := map[string]int{}
	for _, rec := range records {
		i, ok := at[rec.Point]
		if !ok {
			i = len(points)
			at[rec.Point] = i
			points = append(points, nil)
		}
		points[i] = append(points[i], rec)
	}
	return points
}

// Summary writes a table of results: the view's values of the plan, the
// measures of its rows, and what became of the runs. Rows of several runs that
// measured the same sizes are one line, with medians.
func Summary(w io.Writer, view schema.View, measures []schema.Measure, points []Point) error {
	return table(w, "text", summaryRows(ranked(view, points), measures, points))
}

// ranked adds to a view the rows of plans for one rank, if there are any.
func ranked(view schema.View, points []Point) schema.View {
	if slices.ContainsFunc(points, func(p Point) bool { return p[0].Plan.Group != "" }) {
		view.Rows = slices.Concat(view.Rows, view.Rank)
	}
	return view
}

func summaryRows(view schema.View, measures []schema.Measure, points []Point) [][]string {
	var head []string
	for _, r := range view.Rows {
		head = append(head, r.Label)
	}
	for _, m := range measures {
		head = append(head, m.Label)
		if m.Spread {
			head = append(head, "min", "max")
		}
	}
	out := [][]string{append(head, "status")}
	for _, p := range points {
		for _, l := range lines(measures, p) {
			cells := labels(view, p)
			for _, m := range measures {
				s := l.spread(m)
				cells = append(cells, s.median)
				if m.Spread {
					cells = append(cells, s.min, s.max)
				}
			}
			out = append(out, append(cells, shownStatus(p)))
		}
	}
	return out
}

// Results are files of results: that which is reported on, and one that it is
// compared with, unless nil.
type Results struct {
	Points, Baseline []Point
}

// Compare makes them from records.
func Compare(records, baseline []*runner.Record) *Results {
	return &Results{Points(records), Points(baseline)}
}

// Missing counts the points of the baseline that were not run again, and those
// that it does not have.
func (r *Results) Missing() (gone, added int) {
	return len(without(r.Baseline, r.Points)), len(without(r.Points, r.Baseline))
}

func without(points, others []Point) []Point {
	return slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return find(others, p) != nil })
}

func find(points []Point, p Point) Point {
	i := slices.IndexFunc(points, func(o Point) bool { return o[0].Point == p[0].Point })
	if i < 0 {
		return nil
	}
	return points[i]
}

// WithAxes adds to a view the fields that tell points apart, unless it has them.
func WithAxes(view schema.View, fields []*schema.Field) schema.View {
	view.Rows = slices.Clone(view.Rows)
	for _, f := range fields {
		if !slices.ContainsFunc(view.Rows, func(r schema.Row) bool { return r.Value == f.Var }) {
			view.Rows = append(view.Rows, schema.Row{Label: f.Flag, Value: f.Var})
		}
	}
	return view
}

// axes are the fields of which the points have different values.
func (r *Results) axes(fields []schema.Field) []*schema.Field {
	var list []*schema.Field
	for i := range fields {
		values := map[string]bool{}
		for _, p := range r.Points {
			v, _ := value(p[0], fields[i].Var)
			values[text(v)] = true
		}
		if len(values) > 1 {
			list = append(list, &fields[i])
		}
	}
	return list
}

// Write writes the results as text, markdown, csv or json: the view's values and
// those of the fields that differ from point to point; as csv everything.
func (r *Results) Write(w io.Writer, format string, view schema.View, s *schema.Schema) error {
	if format == "csv" {
		return table(w, format, r.csv(view, s))
	}
	measures := s.Nixlbench.Runs.Get().Measures
	view = ranked(WithAxes(view, r.axes(s.Fields)), r.Points)
	switch {
	case format == "json":
		return r.json(w, view, measures)
	case r.Baseline == nil:
		return table(w, format, summaryRows(view, measures, r.Points))
	}
	return table(w, format, r.ratios(view, measures))
}

// ratios are the rows of a comparison for people: each measure with its ratio
// to the baseline, and with the least and the greatest where there are several
// runs.
func (r *Results) ratios(view schema.View, measures []schema.Measure) [][]string {
	var head []string
	for _, v := range view.Rows {
		head = append(head, v.Label)
	}
	for _, m := range measures {
		head = append(head, m.Label)
		if !m.ID {
			head = append(head, "baseline", "ratio")
		}
	}
	out := [][]string{append(head, "status")}
	r.each(measures, func(p Point, l, base *line) {
		cells := labels(view, p)
		for _, m := range measures {
			s := l.spread(m)
			cells = append(cells, s.median)
			if m.ID {
				continue
			}
			was, ratio := base.spread(m), l.ratio(m, base)
			text := ratio.median
			if ratio.min != ratio.max {
				text = fmt.Sprintf("%s (%s to %s)", ratio.median, ratio.min, ratio.max)
			}
			cells = append(cells, was.median, text)
		}
		out = append(out, append(cells, shownStatus(p)))
	})
	return out
}

// csvColumn is a column for programs: its name, and its cell for a line of a
// point and the same line of the baseline.
type csvColumn struct {
	name string
	cell func(p Point, l, base *line) string
}

// csv are the rows for programs. Their columns are the same whatever the
// results, so that files can be put together: what the view has, every measure
// with its spread and its ratio to the baseline, and then every setting and every
// other column of nixlbench's tables.
func (r *Results) csv(view schema.View, s *schema.Schema) [][]string {
	columns := csvColumns(view, s)
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = c.name
	}
	out := [][]string{head}
	r.each(s.Nixlbench.Runs.Get().Measures, func(p Point, l, base *line) {
		cells := make([]string, len(columns))
		for i, c := range columns {
			if cell := c.cell(p, l, base); cell != none {
				cells[i] = cell
			}
		}
		out = append(out, cells)
	})
	return out
}

func csvColumns(view schema.View, s *schema.Schema) []csvColumn {
	var all []csvColumn
	measures := s.Nixlbench.Runs.Get().Measures
	add := func(name string, cell func(p Point, l, base *line) string) {
		if !slices.ContainsFunc(all, func(c csvColumn) bool { return c.name == name }) {
			all = append(all, csvColumn{name, cell})
		}
	}
	setting := func(name string, of func(rec *runner.Record) any) {
		add(name, func(p Point, _, _ *line) string {
			if v := of(p[0]); v != nil {
				return diag.Printable(text(v))
			}
			return none
		})
	}
	measured := func(m schema.Measure) {
		add(m.Key, func(_ Point, l, _ *line) string { return l.spread(m).median })
		if !m.ID {
			add(m.Key+"_min", func(_ Point, l, _ *line) string { return l.spread(m).min })
			add(m.Key+"_max", func(_ Point, l, _ *line) string { return l.spread(m).max })
		}
	}
	for _, row := range slices.Concat(view.Rows, view.Rank) {
		setting(row.Value, func(rec *runner.Record) any { v, _ := value(rec, row.Value); return v })
	}
	for _, m := range measures {
		measured(m)
		if !m.ID {
			add(m.Key+"_baseline", func(_ Point, _, base *line) string { return base.spread(m).median })
			add(m.Key+"_ratio", func(_ Point, l, base *line) string { return l.ratio(m, base).median })
			add(m.Key+"_ratio_min", func(_ Point, l, base *line) string { return l.ratio(m, base).min })
			add(m.Key+"_ratio_max", func(_ Point, l, base *line) string { return l.ratio(m, base).max })
		}
	}
	add("runs", func(_ Point, l, _ *line) string { return strconv.Itoa(len(l.rows)) })
	add("status", func(p Point, _, _ *line) string { return status(p) })
	add("point", func(p Point, _, _ *line) string { return p[0].Point })

	setting("architecture", func(rec *runner.Record) any { return rec.Model.Architecture })
	for _, f := range s.Fields {
		setting(f.Var, func(rec *runner.Record) any { return rec.Config.Values[f.Var].Value })
	}
	for _, name := range schema.Keys(s.Nixlbench.Flags) {
		setting(s.Nixlbench.Flags[name].JSONKey(), func(rec *runner.Record) any { return rec.Plan.Flags[name].Value })
	}
	for _, q := range s.Quantities {
		if q.Detail.IsZero() {
			setting(q.Name, func(rec *runner.Record) any {
				if v, ok := rec.Plan.Quantities[q.Name]; ok {
					return v.Value
				}
				return nil
			})
		}
	}
	for _, layout := range s.Nixlbench.Runs.Get().Layouts {
		for _, c := range layout.Columns {
			if !slices.ContainsFunc(measures, func(m schema.Measure) bool { return m.Key == c.Key }) {
				measured(schema.Measure{Key: c.Key})
			}
		}
	}
	for _, m := range measures {
		if m.Total != "" { // what the one rank that prints measured itself
			add("rank_"+m.Key, func(_ Point, l, _ *line) string { return l.spread(schema.Measure{Key: m.Key}).median })
		}
	}
	return all
}

func (r *Results) json(w io.Writer, view schema.View, measures []schema.Measure) error {
	list := []map[string]any{}
	r.each(measures, func(p Point, l, base *line) {
		obj := map[string]any{"point": p[0].Point, "runs": len(l.rows), "status": status(p)}
		for _, v := range view.Rows {
			obj[v.Value], _ = value(p[0], v.Value)
		}
		for _, m := range measures {
			s := l.spread(m)
			if m.ID {
				obj[m.Key] = s.native(s.median)
				continue
			}
			measured := map[string]any{"median": s.native(s.median), "min": s.native(s.min), "max": s.native(s.max)}
			if r.Baseline != nil {
				was, ratio := base.spread(m), l.ratio(m, base)
				measured["baseline"] = was.native(was.median)
				measured["ratio"], measured["ratio_min"], measured["ratio_max"] = ratio.native(ratio.median), ratio.native(ratio.min), ratio.native(ratio.max)
			}
			obj[m.Key] = measured
		}
		list = append(list, obj)
	})
	return encode(w, list)
}

// each passes on every line with that of the baseline for the same sizes.
func (r *Results) each(measures []schema.Measure, f func(p Point, l, base *line)) {
	for _, p := range r.Points {
		var was []*line
		if base := find(r.Baseline, p); base != nil {
			was = lines(measures, base)
		}
		for _, l := range lines(measures, p) {
			base := &line{point: p}
			if i := slices.IndexFunc(was, func(o *line) bool { return o.sizes == l.sizes }); i >= 0 {
				base = was[i]
			}
			f(p, l, base)
		}
	}
}

// none stands for a value that there is not.
const none = "-"

// labels are the view's values of a point.
func labels(view schema.View, p Point) []string {
	var cells []string
	for _, r := range view.Rows {
		v, ok := value(p[0], r.Value)
		switch {
		case !ok:
			cells = append(cells, none)
		case v == nil:
			cells = append(cells, "none")
		default:
			cells = append(cells, diag.Printable(text(v)))
		}
	}
	return cells
}

// value gives what a record says of its plan; a file that was not named is nil.
func value(rec *runner.Record, name string) (any, bool) {
	switch name {
	case keyFile:
		if rec.Config.File == nil {
			return nil, true
		}
		return *rec.Config.File, true
	case keyRelease:
		return rec.Nixlbench.Release, true
	case keyStage:
		if rec.Plan.Stage == nil {
			return nil, false
		}
		return *rec.Plan.Stage, true
	case keyGroup:
		return rec.Plan.Group, rec.Plan.Group != ""
	}
	if q, ok := rec.Plan.Quantities[name]; ok {
		return q.Value, true
	}
	for _, values := range []map[string]runner.Value{rec.Config.Values, rec.Plan.Flags} {
		if v, ok := values[name]; ok {
			return v.Value, true
		}
	}
	v, ok := rec.Model.Params[name]
	return v, ok
}

// text writes a value; numbers that were read from JSON are floats.
func text(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// line is what the runs of a point measured of one size of IO.
type line struct {
	point Point
	sizes string
	rows  []nixlbench.Row
	// trusted tells that the rows are of runs that ended well.
	trusted bool
}

// lines puts the rows together that measured the same, in the order they came;
// there is one empty line where none came. What is not to be trusted is left
// out where there is something better.
func lines(measures []schema.Measure, p Point) []*line {
	isOK := func(rec *runner.Record) bool { return rec.Status == runner.OK }
	trusted := slices.ContainsFunc(p, isOK)
	var list []*line
	for _, rec := range p {
		if trusted && !isOK(rec) {
			continue
		}
		for _, row := range rec.Rows {
			sizes := ""
			for _, m := range measures {
				if m.ID {
					sizes += string(row[m.Key]) + " "
				}
			}
			i := slices.IndexFunc(list, func(l *line) bool { return l.sizes == sizes })
			if i < 0 {
				i = len(list)
				list = append(list, &line{point: p, sizes: sizes, trusted: trusted})
			}
			list[i].rows = append(list[i].rows, row)
		}
	}
	if list == nil {
		list = []*line{{point: p}}
	}
	return list
}

// numbers gives what was measured, sorted.
func (l *line) numbers(m schema.Measure) []nixlbench.Number {
	var numbers []nixlbench.Number
	for _, row := range l.rows {
		n, ok := row[m.Total]
		if !ok {
			n, ok = row[m.Key]
		}
		if ok {
			numbers = append(numbers, n)
		}
	}
	slices.SortStableFunc(numbers, func(a, b nixlbench.Number) int {
		switch x, y := a.Float(), b.Float(); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return numbers
}

// spread is the median, the least and the greatest of numbers, as text; each is
// [none] without them.
type spread struct{ median, min, max string }

// native gives one of the texts as JSON has it.
func (spread) native(s string) any {
	if s == none {
		return nil
	}
	return nixlbench.Number(s)
}

// spread gives what was measured. Sizes of which no row came are the plan's.
func (l *line) spread(m schema.Measure) spread {
	numbers := l.numbers(m)
	if len(numbers) == 0 {
		s := spread{none, none, none}
		if v, ok := value(l.point[0], m.Value); ok {
			s.median = text(v)
		}
		return s
	}
	return spread{median(numbers), string(numbers[0]), string(numbers[len(numbers)-1])}
}

// ratio compares two lines: the median with the median, and the extremes that
// any two runs give.
func (l *line) ratio(m schema.Measure, base *line) spread {
	a, b := l.numbers(m), base.numbers(m)
	if !l.trusted || !base.trusted || len(a) == 0 || len(b) == 0 {
		return spread{none, none, none}
	}
	quotient := func(x, y string) string {
		q := nixlbench.Number(x).Float() / nixlbench.Number(y).Float()
		if math.IsNaN(q) || math.IsInf(q, 0) {
			return none
		}
		return fmt.Sprintf("%.3f", q)
	}
	return spread{
		quotient(median(a), median(b)),
		quotient(string(a[0]), string(b[len(b)-1])),
		quotient(string(a[len(a)-1]), string(b[0])),
	}
}

// median gives the middle of sorted numbers, with as many decimals as they
// have.
func median(sorted []nixlbench.Number) string {
	n := len(sorted)
	a, b := sorted[(n-1)/2], sorted[n/2]
	if a == b {
		return string(a)
	}
	_, decimals, _ := strings.Cut(string(a), ".")
	return fmt.Sprintf("%.*f", len(decimals), (a.Float()+b.Float())/2)
}

// status counts what became of the runs.
func status(p Point) string {
	counts := map[runner.Status]int{}
	for _, rec := range p {
		counts[rec.Status]++
	}
	var parts []string
	for _, s := range []runner.Status{runner.OK, runner.Suspect, runner.Failed, runner.Interrupted} {
		switch n := counts[s]; {
		case n == 0:
		case n == len(p):
			return string(s)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		return "not run"
	}
	return strings.Join(parts, ", ")
}

// shownStatus is the status for people: it names the end of a run between two
// machines that has no table.
func shownStatus(p Point) string {
	text := status(p)
	silent := func(rec *runner.Record) bool { return len(rec.Rows) == 0 && rec.Role != "" }
	if text == string(runner.OK) && !slices.ContainsFunc(p, func(rec *runner.Record) bool { return !silent(rec) }) {
		text += fmt.Sprintf(" (%s)", p[0].Role)
	}
	return text
}

// table writes rows, the first of which is the heading.
func table(w io.Writer, format string, rows [][]string) error {
	switch format {
	case "csv":
		out := csv.NewWriter(w)
		out.WriteAll(rows)
		return out.Error()
	case "markdown":
		p := &page{}
		p.row(rows[0]...)
		p.text("|%s", strings.Repeat("---|", len(rows[0])))
		for _, cells := range rows[1:] {
			p.row(cells...)
		}
		_, err := w.Write(p.Bytes())
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}
