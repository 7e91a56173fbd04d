package report

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// Point is a plan with the records of its runs, at least one; that of a plan
// which was not run has no status.
type Point []*runner.Brief

// Points puts the records of the same plan together, in the order they came.
func Points(records []*runner.Brief) []Point {
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
	view = ranked(view, points)
	return table(w, "text", func(row func(...string)) { summaryRows(view, measures, points, row) })
}

// ranked adds to a view the rows of plans for one rank, if there are any.
func ranked(view schema.View, points []Point) schema.View {
	if slices.ContainsFunc(points, func(p Point) bool { _, ok := value(p[0], keyGroup); return ok }) {
		view.Rows = slices.Concat(view.Rows, view.Rank)
	}
	return view
}

func summaryRows(view schema.View, measures []schema.Measure, points []Point, row func(...string)) {
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
	row(append(head, "status")...)
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
			row(append(cells, shownStatus(p))...)
		}
	}
}

// Results are files of results: that which is reported on, and one that it is
// compared with, unless nil.
type Results struct {
	Points, Baseline []Point
	base             map[string]Point // of the baseline, by their names
}

// Compare makes them from records.
func Compare(records, baseline []*runner.Brief) *Results {
	r := &Results{Points: Points(records), Baseline: Points(baseline)}
	r.base = byName(r.Baseline)
	return r
}

func byName(points []Point) map[string]Point {
	names := make(map[string]Point, len(points))
	for _, p := range points {
		names[p[0].Point] = p
	}
	return names
}

// Shown lists what a report in a format shows: values of plans, and measures.
func Shown(format string, view schema.View, s *schema.Schema) ([]runner.Name, []schema.Measure) {
	measures := s.Nixlbench.Runs.Get().Measures
	names := Kept(WithAxes(view, pointers(s.Fields)), measures)
	if format != "csv" {
		return names, measures
	}
	for _, c := range csvColumns(view, s) {
		if c.of != nil {
			names = append(names, *c.of)
		}
	}
	return names, everyMeasure(s)
}

func pointers(fields []schema.Field) []*schema.Field {
	list := make([]*schema.Field, len(fields))
	for i := range fields {
		list[i] = &fields[i]
	}
	return list
}

// Kept lists the values of plans that a summary shows: those of the view, and
// those that stand for measures.
func Kept(view schema.View, measures []schema.Measure) []runner.Name {
	names := []runner.Name{{Name: keyGroup}}
	for _, r := range slices.Concat(view.Rows, view.Rank) {
		names = append(names, runner.Name{Name: r.Value})
	}
	for _, m := range measures {
		names = append(names, runner.Name{Name: m.Value})
	}
	return names
}

// Missing counts the points of the baseline that were not run again, and those
// that it does not have.
func (r *Results) Missing() (gone, added int) {
	common := 0
	for _, p := range r.Points {
		if r.base[p[0].Point] != nil {
			common++
		}
	}
	return len(r.Baseline) - common, len(r.Points) - common
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
		of := func(p Point) string {
			v, _ := value(p[0], fields[i].Var)
			return text(v)
		}
		if slices.ContainsFunc(r.Points, func(p Point) bool { return of(p) != of(r.Points[0]) }) {
			list = append(list, &fields[i])
		}
	}
	return list
}

// Write writes the results as text, markdown, csv or json: the view's values and
// those of the fields that differ from point to point; as csv everything.
func (r *Results) Write(w io.Writer, format string, view schema.View, s *schema.Schema) error {
	if format == "csv" {
		return table(w, format, func(row func(...string)) { r.csv(view, s, row) })
	}
	measures := s.Nixlbench.Runs.Get().Measures
	view = ranked(WithAxes(view, r.axes(s.Fields)), r.Points)
	switch {
	case format == "json":
		return r.json(w, view, measures)
	case r.Baseline == nil:
		return table(w, format, func(row func(...string)) { summaryRows(view, measures, r.Points, row) })
	}
	return table(w, format, func(row func(...string)) { r.ratios(view, measures, row) })
}

// ratios are the rows of a comparison for people: each measure with its ratio
// to the baseline, and with the least and the greatest where there are several
// runs.
func (r *Results) ratios(view schema.View, measures []schema.Measure, row func(...string)) {
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
	row(append(head, "status")...)
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
		row(append(cells, shownStatus(p))...)
	})
}

// csvColumn is a column for programs: its name, the value of the plan that it
// has, if that is what it has, and its cell for a line of a point and the same
// line of the baseline.
type csvColumn struct {
	name string
	of   *runner.Name
	cell func(p Point, l, base *line) string
}

// csv are the rows for programs. Their columns are the same whatever the
// results, so that files can be put together: what the view has, every measure
// with its spread and its ratio to the baseline, and then every setting and every
// other column of nixlbench's tables.
func (r *Results) csv(view schema.View, s *schema.Schema, row func(...string)) {
	columns := csvColumns(view, s)
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = c.name
	}
	row(head...)
	r.each(s.Nixlbench.Runs.Get().Measures, func(p Point, l, base *line) {
		cells := make([]string, len(columns))
		for i, c := range columns {
			if cell := c.cell(p, l, base); cell != none {
				cells[i] = cell
			}
		}
		row(cells...)
	})
}

// everyMeasure lists the measures and the other columns of nixlbench's tables.
func everyMeasure(s *schema.Schema) []schema.Measure {
	all := slices.Clone(s.Nixlbench.Runs.Get().Measures)
	for _, layout := range s.Nixlbench.Runs.Get().Layouts {
		for _, c := range layout.Columns {
			if !slices.ContainsFunc(all, func(m schema.Measure) bool { return m.Key == c.Key }) {
				all = append(all, schema.Measure{Key: c.Key})
			}
		}
	}
	return all
}

func csvColumns(view schema.View, s *schema.Schema) []csvColumn {
	var all []csvColumn
	measures := s.Nixlbench.Runs.Get().Measures
	column := func(c csvColumn) {
		if !slices.ContainsFunc(all, func(o csvColumn) bool { return o.name == c.name }) {
			all = append(all, c)
		}
	}
	add := func(name string, cell func(p Point, l, base *line) string) {
		column(csvColumn{name: name, cell: cell})
	}
	setting := func(name string, from runner.From, of string) {
		column(csvColumn{name, &runner.Name{From: from, Name: of}, func(p Point, _, _ *line) string {
			if v, _ := p[0].Value(from, of); v != nil {
				return diag.Printable(text(v))
			}
			return none
		}})
	}
	measured := func(m schema.Measure) {
		add(m.Key, func(_ Point, l, _ *line) string { return l.spread(m).median })
		if !m.ID {
			add(m.Key+"_min", func(_ Point, l, _ *line) string { return l.spread(m).min })
			add(m.Key+"_max", func(_ Point, l, _ *line) string { return l.spread(m).max })
		}
	}
	for _, row := range slices.Concat(view.Rows, view.Rank) {
		setting(row.Value, runner.FromAny, row.Value)
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

	setting(runner.NameArchitecture, runner.FromRecord, runner.NameArchitecture)
	for _, f := range s.Fields {
		setting(f.Var, runner.FromConfig, f.Var)
	}
	for _, name := range schema.Keys(s.Nixlbench.Flags) {
		setting(s.Nixlbench.Flags[name].JSONKey(), runner.FromFlags, name)
	}
	for _, q := range s.Quantities {
		if q.Detail.IsZero() {
			setting(q.Name, runner.FromQuantities, q.Name)
		}
	}
	for _, m := range everyMeasure(s) {
		if !slices.ContainsFunc(all, func(c csvColumn) bool { return c.name == m.Key }) {
			measured(m)
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
	out := bufio.NewWriter(w)
	before := "["
	var err error
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
		text, wrong := object(obj)
		err = cmp.Or(err, wrong)
		out.WriteString(before + "\n  ")
		out.Write(text)
		before = ","
	})
	out.WriteString("\n]\n")
	return cmp.Or(err, out.Flush())
}

// object gives an object as it stands in a list.
func object(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("  ", "  ")
	err := enc.Encode(v)
	return diag.Escaped(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), err
}

// each passes on every line with that of the baseline for the same sizes.
func (r *Results) each(measures []schema.Measure, f func(p Point, l, base *line)) {
	for _, p := range r.Points {
		was := map[string]*line{}
		if base := r.base[p[0].Point]; base != nil {
			for _, l := range lines(measures, base) {
				was[l.sizes] = l
			}
		}
		for _, l := range lines(measures, p) {
			f(p, l, cmp.Or(was[l.sizes], &line{point: p}))
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
			cells = append(cells, strings.ReplaceAll(diag.Printable(text(v)), "\t", `\t`))
		}
	}
	return cells
}

// value gives what a record says of its plan; a file that was not named is nil.
func value(rec *runner.Brief, name string) (any, bool) { return rec.Value(runner.FromAny, name) }

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
	rows  []runner.Row
	// trusted tells that the rows are of runs that ended well.
	trusted bool
}

// lines puts the rows together that measured the same, in the order they came;
// there is one empty line where none came. What is not to be trusted is left
// out where there is something better.
func lines(measures []schema.Measure, p Point) []*line {
	isOK := func(rec *runner.Brief) bool { return rec.Status == runner.OK }
	trusted := slices.ContainsFunc(p, isOK)
	var list []*line
	at := map[string]*line{}
	for _, rec := range p {
		if trusted && !isOK(rec) {
			continue
		}
		for _, row := range rec.Rows {
			sizes := ""
			for _, m := range measures {
				if m.ID {
					n, _ := row.Get(m.Key)
					sizes += string(n) + " "
				}
			}
			l := at[sizes]
			if l == nil {
				l = &line{point: p, sizes: sizes, trusted: trusted}
				at[sizes] = l
				list = append(list, l)
			}
			l.rows = append(l.rows, row)
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
		n, ok := row.Get(m.Total)
		if !ok {
			n, ok = row.Get(m.Key)
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
	switch own := string(p[0].Status); {
	case len(parts) > 0:
	case own != "": // of another version, perhaps
		return diag.Printable(own)
	default:
		return "not run"
	}
	return strings.Join(parts, ", ")
}

// shownStatus is the status for people: it names the end of a run between two
// machines that has no table.
func shownStatus(p Point) string {
	text := status(p)
	silent := func(rec *runner.Brief) bool { return len(rec.Rows) == 0 && rec.Role != "" }
	if text == string(runner.OK) && !slices.ContainsFunc(p, func(rec *runner.Brief) bool { return !silent(rec) }) {
		text += fmt.Sprintf(" (%s)", p[0].Role)
	}
	return text
}

// table writes the rows that each passes on, the first of which is the heading.
// It may ask for them twice, as it keeps none.
func table(w io.Writer, format string, each func(row func(cells ...string))) error {
	out := bufio.NewWriter(w)
	switch format {
	case "csv":
		rows := csv.NewWriter(out)
		each(func(cells ...string) { rows.Write(cells) })
		rows.Flush()
	case "markdown":
		n := 0
		each(func(cells ...string) {
			p := &page{}
			p.row(cells...)
			if n++; n == 1 {
				p.text("|%s", strings.Repeat("---|", len(cells)))
			}
			out.Write(p.Bytes())
		})
	default:
		var widths []int
		each(func(cells ...string) {
			if widths == nil {
				widths = make([]int, len(cells))
			}
			for i, c := range cells {
				c = diag.Printable(c)
				widths[i] = max(widths[i], utf8.RuneCountInString(c))
			}
		})
		each(func(cells ...string) {
			for i, c := range cells {
				c = diag.Printable(c)
				out.WriteString(c)
				if i < len(cells)-1 {
					out.WriteString(strings.Repeat(" ", widths[i]+2-utf8.RuneCountInString(c)))
				}
			}
			out.WriteByte('\n')
		})
	}
	return out.Flush()
}
