package report

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
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

// Point contains the records of a plan's runs or, if the plan was not run, a single record
// without a status.
type Point []*runner.Brief

// Points groups the records by plan, in order of first occurrence.
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

// Summary writes a table of results: for each plan, the view's values, the given
// nixlbench flags, the measures, and the outcome of the runs. Rows of several runs
// with the same sizes are combined into one line, which shows the medians.
func Summary(w io.Writer, view schema.View, flags []*schema.Flag, measures []schema.Measure, points []Point) error {
	shown := append(settingsOf(ranked(view, points)), settingsOfFlags(flags)...)
	return table(w, "text", func(row func(...string)) { summaryRows(shown, measures, points, nil, row) })
}

// ranked adds rows to a view. If any of the points is for a single rank, it adds the rows
// that identify the rank. It also adds the row of measuredBy, if there is one.
func ranked(view schema.View, points []Point) schema.View {
	if slices.ContainsFunc(points, func(p Point) bool { _, ok := value(p[0], keyGroup); return ok }) {
		view.Rows = slices.Concat(view.Rows, view.Rank)
	}
	return measuredBy(view, points)
}

// measuredBy adds a row to a view for the program that measured the points, unless nixlbench
// measured them all.
func measuredBy(view schema.View, points []Point) schema.View {
	if slices.ContainsFunc(points, func(p Point) bool { return measurer(p) != nixlbench.Program }) {
		view.Rows = append(slices.Clone(view.Rows), schema.Row{Label: "measured by", Value: runner.NameMeasuredBy})
	}
	return view
}

// measurer returns the program that measured a point.
func measurer(p Point) string {
	v, ok := value(p[0], runner.NameMeasuredBy)
	if !ok {
		return nixlbench.Program
	}
	return text(v)
}

// measurers returns the programs that measured points, in order of first occurrence.
func measurers(points []Point) []string {
	var list []string
	for _, p := range points {
		if m := measurer(p); !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

// Mixed returns the programs that measured the results and those that measured the baseline.
// It returns nil if a single program measured both.
func (r *Results) Mixed() (results, baseline []string) {
	results, baseline = measurers(r.Points), measurers(r.Baseline)
	if all := append(slices.Clone(results), baseline...); !slices.ContainsFunc(all, func(m string) bool { return m != all[0] }) {
		return nil, nil
	}
	return results, baseline
}

func summaryRows(shown []setting, measures []schema.Measure, points []Point, marks *marks, row func(...string)) {
	var head []string
	for _, s := range shown {
		head = append(head, s.label)
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
			cells := labels(shown, p)
			for _, m := range measures {
				cells = append(cells, l.shown(m))
				if m.Spread {
					s := l.spread(m)
					cells = append(cells, s.min, s.max)
				}
			}
			row(append(cells, shownStatus(p)+marks.refs(p))...)
		}
	}
}

// Results holds the results to report and, unless Baseline is nil, the baseline to
// compare them with.
type Results struct {
	Points, Baseline []Point
	base             map[string]Point // the baseline's points, keyed by name
	match            *match           // nil if entire plans must match
}

// Compare returns the results in records, ready to be compared with those in baseline.
func Compare(records, baseline []*runner.Brief, o *Options, s *schema.Schema) *Results {
	r := &Results{Points: Points(records), Baseline: Points(baseline)}
	r.base = byName(r.Baseline)
	if o.Match != nil {
		r.matchOn(o, s)
	}
	return r
}

func byName(points []Point) map[string]Point {
	names := make(map[string]Point, len(points))
	for _, p := range points {
		names[p[0].Point] = p
	}
	return names
}

func pointers(fields []schema.Field) []*schema.Field {
	list := make([]*schema.Field, len(fields))
	for i := range fields {
		list[i] = &fields[i]
	}
	return list
}

// Kept returns the names of the plan values that a summary shows: the values in the view, and
// the values shown in place of missing measures.
func Kept(view schema.View, measures []schema.Measure) []runner.Name {
	names := []runner.Name{{Name: keyGroup}, {Name: runner.NameMeasuredBy}}
	for _, r := range slices.Concat(view.Rows, view.Rank) {
		names = append(names, runner.Name{Name: r.Value})
	}
	for _, m := range measures {
		names = append(names, runner.Name{Name: m.Value})
		if m.Asked != nil {
			names = append(names, runner.Name{From: runner.FromFlags, Name: m.Asked.First.Text}, runner.Name{From: runner.FromFlags, Name: m.Asked.Last.Text})
		}
	}
	return names
}

// Missing returns the number of points that are only in the baseline, and the number of
// points that are not in the baseline.
func (r *Results) Missing() (gone, added int) {
	common := 0
	for _, p := range r.Points {
		if r.base[p[0].Point] != nil {
			common++
		}
	}
	return len(r.Baseline) - common, len(r.Points) - common
}

// WithAxes adds a row to a view for each of the fields that the view does not show yet.
func WithAxes(view schema.View, fields []*schema.Field) schema.View {
	view.Rows = slices.Clone(view.Rows)
	for _, f := range fields {
		if !slices.ContainsFunc(view.Rows, func(r schema.Row) bool { return r.Value == f.Var }) {
			view.Rows = append(view.Rows, schema.Row{Label: f.Flag, Value: f.Var})
		}
	}
	return view
}

// axes returns the fields whose values differ between points.
func (r *Results) axes(fields []schema.Field) []*schema.Field {
	var list []*schema.Field
	for i := range fields {
		of := func(p Point) any {
			v, _ := value(p[0], fields[i].Var)
			return v
		}
		if slices.ContainsFunc(r.Points, func(p Point) bool { return !same(of(p), of(r.Points[0])) }) {
			list = append(list, &fields[i])
		}
	}
	return list
}

// ratios calls row once for each row of a comparison in text or Markdown. A row shows each measure
// with its ratio to the baseline and, if the ratio varies between runs, the smallest and
// largest ratios.
func (r *Results) ratios(shown []setting, measures []schema.Measure, marks *marks, row func(...string)) {
	var head []string
	for _, s := range shown {
		head = append(head, s.label)
	}
	for _, m := range measures {
		head = append(head, m.Label)
		if !m.ID {
			head = append(head, "baseline", "ratio")
		}
	}
	row(append(head, "status")...)
	r.each(measures, func(p Point, l, base *line) {
		cells := labels(shown, p)
		for _, m := range measures {
			cells = append(cells, l.shown(m))
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
		row(append(cells, shownStatus(p)+marks.refs(p))...)
	})
}

func (r *Results) json(w io.Writer, shown []setting, measures []schema.Measure) error {
	return r.list(w, measures, func(p Point, l, base *line) map[string]any {
		obj := map[string]any{"point": p[0].Point, "runs": len(l.rows), "status": status(p), "notes": notes(p)}
		for _, v := range shown {
			obj[v.key], _ = p[0].Value(v.of.From, v.of.Name)
		}
		for _, m := range measures {
			s := l.spread(m)
			if m.ID || m.Label == "" && s.median == none {
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
		return obj
	})
}

// list writes a JSON array with an object for each line.
func (r *Results) list(w io.Writer, measures []schema.Measure, object func(p Point, l, base *line) map[string]any) error {
	out := bufio.NewWriter(w)
	before := "["
	var err error
	var text []byte
	r.each(measures, func(p Point, l, base *line) {
		var wrong error
		text, wrong = appendIndented(text[:0], object(p, l, base), "\n    ")
		err = cmp.Or(err, wrong)
		out.WriteString(before + "\n  ")
		out.Write(diag.Escaped(text))
		before = ","
	})
	out.WriteString("\n]\n")
	return cmp.Or(err, out.Flush())
}

// appendIndented appends a value as indented JSON. For many small objects, it takes a fraction
// of the time and memory that encoding/json takes.
func appendIndented(out []byte, v any, line string) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return append(out, "{}"...), nil
		}
		before := byte('{')
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = append(append(append(append(append(out, before), line...), '"'), key...), `": `...)
			var wrong error
			out, wrong = appendIndented(out, v[key], line+"  ")
			err = cmp.Or(err, wrong)
			before = ','
		}
		return append(append(out, line[:len(line)-2]...), '}'), err
	case nil:
		return append(out, "null"...), nil
	case int:
		return strconv.AppendInt(out, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(out, v, 10), nil
	case nixlbench.Number:
		if isDecimal(string(v)) {
			return append(out, v...), nil
		}
	case string:
		if isPlainText(v) {
			return append(append(append(out, '"'), v...), '"'), nil
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent(line[1:len(line)-2], "  ")
	err = enc.Encode(v)
	return append(out, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...), err
}

// isDecimal reports whether text is a JSON number without a sign or an exponent.
func isDecimal(text string) bool {
	whole, fraction, ok := strings.Cut(text, ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return digits(whole) && (whole == "0" || whole[0] != '0') && (!ok || digits(fraction))
}

// isPlainText reports whether text consists of ASCII characters that do not need to be escaped
// in JSON.
func isPlainText(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// each iterates over the lines. It passes each line to f, with the matching line of the baseline.
// If no line matches, base is a line without rows.
func (r *Results) each(measures []schema.Measure, f func(p Point, l, base *line)) {
	for _, p := range r.Points {
		was := map[string]*line{}
		if r.match != nil {
			for _, l := range lines(measures, p) {
				f(p, l, cmp.Or(r.match.find(p, l), &line{point: p}))
			}
			continue
		}
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

// none represents a missing value.
const none = "-"

// labels returns the settings of a point as text.
func labels(shown []setting, p Point) []string {
	cells := make([]string, 0, len(shown)+10)
	for _, s := range shown {
		v, ok := p[0].Value(s.of.From, s.of.Name)
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

// value returns a value from the plan in a record. The value for the configuration file is nil
// if no file was specified.
func value(rec *runner.Brief, name string) (any, bool) { return rec.Value(runner.FromAny, name) }

// text formats a value. Numbers read from JSON are floats.
func text(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// same reports whether two values have the same text.
func same(a, b any) bool {
	switch a.(type) {
	case nil, string, bool, int64, float64:
		if a == b {
			return true
		}
	}
	return text(a) == text(b)
}

// line combines the measurements of a point's runs for one combination of sizes.
type line struct {
	point Point
	sizes string
	rows  []runner.Row
	// trusted reports whether the rows come from runs that ended normally.
	trusted bool
}

// lines combines the rows with the same sizes, in order of first occurrence. If there are no
// rows, it returns one empty line. If any run ended normally, it omits the rows of runs that did
// not.
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

// numbers returns the values of a measure in all rows of the line, sorted.
func (l *line) numbers(m schema.Measure) []nixlbench.Number {
	var numbers []nixlbench.Number
	for _, row := range l.rows {
		n, ok := measured(&row, m)
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

// measured returns the value of a measure in a row.
func measured(row *runner.Row, m schema.Measure) (nixlbench.Number, bool) {
	d := m.From
	if d == nil {
		if n, ok := row.Get(m.Total); ok {
			return n, true
		}
		return row.Get(m.Key)
	}
	n, ok := row.Get(d.Of)
	by, has := row.Get(cmp.Or(d.Times, d.Over))
	if !ok || !has {
		return "", false
	}
	x := n.Float() * by.Float()
	if d.Over != "" {
		x = n.Float() / by.Float()
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "", false
	}
	return nixlbench.Number(strconv.FormatFloat(x, 'f', 3, 64)), true
}

// spread holds the median, minimum and maximum of some numbers as text. All three are [none] if
// there are no numbers.
type spread struct{ median, min, max string }

// native returns one of these strings as a JSON value.
func (spread) native(s string) any {
	if s == none {
		return nil
	}
	return nixlbench.Number(s)
}

// spread returns the spread of a measure. If no row contains a size, but the run was for only
// one size, the median is that size.
func (l *line) spread(m schema.Measure) spread {
	numbers := l.numbers(m)
	if len(numbers) == 0 {
		s := spread{none, none, none}
		if first, last := l.asked(m); first == last {
			s.median = first
		}
		return s
	}
	return spread{median(numbers), string(numbers[0]), string(numbers[len(numbers)-1])}
}

// shown returns the median to display. If there are no rows and the run was for several
// sizes, it returns the first and the last of these sizes.
func (l *line) shown(m schema.Measure) string {
	if first, last := l.asked(m); len(l.rows) == 0 && first != last {
		return first + " to " + last
	}
	return l.spread(m).median
}

// asked returns the first and the last size that the run was asked to measure, according to its
// flags or, if they are not recorded, to the plan.
func (l *line) asked(m schema.Measure) (first, last string) {
	if m.Asked != nil {
		from, hasFrom := l.point[0].Value(runner.FromFlags, m.Asked.First.Text)
		to, hasTo := l.point[0].Value(runner.FromFlags, m.Asked.Last.Text)
		if hasFrom && hasTo {
			return text(from), text(to)
		}
	}
	planned := none
	if v, ok := value(l.point[0], m.Value); ok {
		planned = text(v)
	}
	return planned, planned
}

// ratio returns the ratio of the two lines' medians, and the smallest and largest ratios
// between a run of l and a run of base.
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

// median returns the exact median of sorted numbers. The mean of two numbers has at most one more
// decimal place than the numbers.
func median(sorted []nixlbench.Number) string {
	n := len(sorted)
	a, b := sorted[(n-1)/2], sorted[n/2]
	if a == b {
		return string(a)
	}
	mean := a.Float()/2 + b.Float()/2
	if strings.ContainsAny(string(a+b), "eE") {
		return strconv.FormatFloat(mean, 'f', -1, 64)
	}
	decimals := max(decimalsOf(a), decimalsOf(b))
	text := strconv.FormatFloat(mean, 'f', decimals+1, 64)
	return strings.TrimSuffix(strings.TrimSuffix(text, "0"), ".")
}

// decimalsOf returns the number of digits after the decimal point.
func decimalsOf(n nixlbench.Number) int {
	_, decimals, _ := strings.Cut(string(n), ".")
	return len(decimals)
}

// status describes the outcome of the runs, with counts if the outcomes differ.
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
	case own != "": // possibly written by another version
		return diag.Printable(own)
	default:
		return "not run"
	}
	return strings.Join(parts, ", ")
}

// shownStatus returns the status to display. In a run between two machines, only one side
// prints a table; for the other side, the status includes the role.
func shownStatus(p Point) string {
	text := status(p)
	silent := func(rec *runner.Brief) bool { return len(rec.Rows) == 0 && rec.Role != "" }
	if text == string(runner.OK) && !slices.ContainsFunc(p, func(rec *runner.Brief) bool { return !silent(rec) }) {
		text += fmt.Sprintf(" (%s)", p[0].Role)
	}
	return text
}

// htmlEscaper escapes names that Markdown would treat as HTML elements.
var htmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;")

// table writes rows as a table. The function each produces the rows, starting with the
// heading. The function may be called twice, because table does not store the rows.
func table(w io.Writer, format string, each func(row func(cells ...string))) error {
	out := bufio.NewWriter(w)
	switch format {
	case "csv":
		rows := csv.NewWriter(out)
		each(func(cells ...string) {
			if len(cells) == 1 && cells[0] == "" { // CSV readers skip empty lines
				rows.Flush()
				out.WriteString("\"\"\n")
				return
			}
			rows.Write(cells)
		})
		rows.Flush()
	case "markdown":
		n := 0
		each(func(cells ...string) {
			p := &page{}
			for i, c := range cells {
				cells[i] = htmlEscaper.Replace(c)
			}
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
