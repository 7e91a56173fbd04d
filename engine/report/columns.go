package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// setting is a value that helps identify a plan. The label field is its heading in text output,
// key is its name in machine-readable output, and the of field is its name in records.
type setting struct {
	label, key string
	of         runner.Name
}

func settingsOf(view schema.View) []setting {
	list := make([]setting, len(view.Rows))
	for i, r := range view.Rows {
		list[i] = setting{r.Label, r.Value, runner.Name{Name: r.Value}}
	}
	return list
}

// settingsOfFlags returns the settings for nixlbench flags.
func settingsOfFlags(flags []*schema.Flag) []setting {
	list := make([]setting, len(flags))
	for i, f := range flags {
		list[i] = setting{f.JSONKey(), f.JSONKey(), runner.Name{From: runner.FromFlags, Name: f.Name}}
	}
	return list
}

// NamesOf returns the names that the values of nixlbench flags have in records.
func NamesOf(flags []*schema.Flag) []runner.Name {
	names := make([]runner.Name, len(flags))
	for i, f := range flags {
		names[i] = runner.Name{From: runner.FromFlags, Name: f.Name}
	}
	return names
}

// Options control what a report shows and how.
type Options struct {
	Format string
	View   schema.View
	// Columns lists the columns to show; nil means the default for the format.
	Columns []string
	// Match lists the columns used to match points with those in the baseline; nil means
	// that entire plans must match.
	Match []string
	// Gate limits how much worse the results may be than the baseline; nil means no limit.
	Gate *Gate
}

// Shown returns the plan values and the measures that a report may show.
func (o *Options) Shown(s *schema.Schema) ([]runner.Name, []schema.Measure) {
	measures := s.Nixlbench.Runs.Get().Measures
	names := Kept(WithAxes(o.View, pointers(s.Fields)), measures)
	if o.Format == "html" {
		names = append(names, pageNames(s)...)
	}
	if o.Format != "csv" && o.Columns == nil && o.Match == nil {
		names = append(names, NamesOf(flagsOf(s))...)
	} else {
		for _, c := range columnsOf(o.View, s) {
			if c.of != nil {
				names = append(names, *c.of)
			}
		}
	}
	if o.Format != "text" && o.Format != "markdown" || o.Columns != nil || o.Gate != nil {
		measures = slices.DeleteFunc(everyMeasure(s), func(m schema.Measure) bool { return m.From != nil })
	}
	return names, measures
}

func flagsOf(s *schema.Schema) []*schema.Flag {
	var list []*schema.Flag
	for _, name := range schema.Keys(s.Nixlbench.Flags) {
		list = append(list, s.Nixlbench.Flags[name])
	}
	return list
}

// settings returns the settings that the results show: the values of the view, and the fields and
// nixlbench flags in which points differ. Flags that determine only the length of a run, and flags
// that follow from the plan, are shown only if some points are otherwise indistinguishable.
func (r *Results) settings(o *Options, s *schema.Schema) []setting {
	shown := settingsOf(ranked(WithAxes(o.View, r.axes(s.Fields)), r.Points))
	var lengths, derived []setting
	for _, f := range flagsOf(s) {
		own := settingsOfFlags([]*schema.Flag{f})[0]
		has := slices.ContainsFunc(shown, func(s setting) bool { return s.key == own.key })
		if has || f.Meets || f.Secret || !f.Computed.IsZero() || !r.differ(own) {
			continue
		}
		switch _, least := s.Nixlbench.Least[f.Name]; {
		case least:
			derived = append(derived, own)
		case slices.ContainsFunc(s.Nixlbench.Runs.Get().Tuning.Short, func(short schema.ShortFlag) bool { return short.Flag == f.Name }):
			lengths = append(lengths, own)
		default:
			shown = append(shown, own)
		}
	}
	for _, more := range [][]setting{lengths, derived} {
		if len(more) > 0 && r.alike(shown, s) {
			shown = append(shown, more...)
		}
	}
	return shown
}

// differ reports whether any two points have different values for a setting. Points without a
// value are ignored.
func (r *Results) differ(s setting) bool {
	var first any
	for _, p := range r.Points {
		v, ok := p[0].Value(s.of.From, s.of.Name)
		switch {
		case !ok:
		case first == nil:
			first = v
		case !same(v, first):
			return true
		}
	}
	return false
}

// alike reports whether any two points have the same settings and sizes.
func (r *Results) alike(shown []setting, s *schema.Schema) bool {
	seen := make(map[string]bool, len(r.Points))
	for _, p := range r.Points {
		cells := labels(shown, p)
		for _, m := range s.Nixlbench.Runs.Get().Measures {
			first, last := (&line{point: p}).asked(m)
			cells = append(cells, first, last)
		}
		key := strings.Join(cells, "\t")
		if seen[key] {
			return true
		}
		seen[key] = true
	}
	return false
}

// Write writes the results as text, markdown, csv or json. It shows the requested columns or, by
// default, the view's values and the values that differ between points. For csv, the default is
// all columns.
func (r *Results) Write(w io.Writer, o *Options, s *schema.Schema) error {
	if o.Columns != nil || o.Format == "csv" {
		return r.writeColumns(w, o, s)
	}
	measures := s.Nixlbench.Runs.Get().Measures
	shown := r.settings(o, s)
	if o.Format == "json" {
		return r.json(w, shown, everyMeasure(s))
	}
	marks := marksOf(r.Points)
	err := table(w, o.Format, func(row func(...string)) {
		if r.Baseline == nil {
			summaryRows(shown, measures, r.Points, marks, row)
		} else {
			r.ratios(shown, measures, marks, row)
		}
	})
	return cmp.Or(err, marks.write(w))
}

// writeColumns writes the requested columns or, if none are requested, all columns. The column
// names do not depend on the results, so output files can be concatenated.
func (r *Results) writeColumns(w io.Writer, o *Options, s *schema.Schema) error {
	columns := columnsOf(o.View, s)
	if o.Columns != nil {
		columns = chosen(columns, o.Columns)
	}
	measures := s.Nixlbench.Runs.Get().Measures
	if o.Format == "json" {
		return r.list(w, measures, func(p Point, l, base *line) map[string]any {
			obj := map[string]any{}
			for _, c := range columns {
				obj[c.name] = c.native(p, l, base)
			}
			return obj
		})
	}
	empty := none
	if o.Format == "csv" {
		empty = ""
	}
	return table(w, o.Format, func(row func(...string)) {
		head := make([]string, len(columns))
		for i, c := range columns {
			head[i] = c.name
		}
		row(head...)
		r.each(measures, func(p Point, l, base *line) {
			cells := make([]string, len(columns))
			for i, c := range columns {
				if cells[i] = c.cell(p, l, base); cells[i] == none || cells[i] == "" {
					cells[i] = empty
				}
				if o.Format != "csv" {
					cells[i] = strings.ReplaceAll(diag.Printable(cells[i]), "\t", `\t`)
				}
			}
			row(cells...)
		})
	})
}

// column is a column of machine-readable output. The of field is the plan value that the column
// shows, or nil if it shows something else. The cell function returns the text for one of a
// point's lines, given the matching line of the baseline.
type column struct {
	name   string
	of     *runner.Name
	number bool
	cell   func(p Point, l, base *line) string
}

// native returns the cell as a JSON value.
func (c *column) native(p Point, l, base *line) any {
	if c.of != nil {
		v, _ := p[0].Value(c.of.From, c.of.Name)
		return v
	}
	switch cell := c.cell(p, l, base); {
	case cell == none:
		return nil
	case c.number:
		return nixlbench.Number(cell)
	default:
		return cell
	}
}

// chosen returns the columns with the given names, which must all exist.
func chosen(columns []column, names []string) []column {
	var list []column
	for _, name := range names {
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == name })
		list = append(list, columns[i])
	}
	return list
}

// Columns returns the names of all columns.
func Columns(view schema.View, s *schema.Schema) []string {
	var names []string
	for _, c := range columnsOf(view, s) {
		names = append(names, c.name)
	}
	return names
}

// ColumnOf returns the name of the column that has this heading in the text table, or name
// itself if there is no such column.
func ColumnOf(view schema.View, s *schema.Schema, name string) string {
	for _, r := range slices.Concat(view.Rows, view.Rank) {
		if r.Label == name {
			return r.Value
		}
	}
	for _, m := range s.Nixlbench.Runs.Get().Measures {
		if m.Label == name {
			return m.Key
		}
	}
	return name
}

// ColumnMeant returns the name of the column for the field with the given flag or path, or ""
// if there is no such field.
func ColumnMeant(s *schema.Schema, name string) string {
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Flag == name && name != "" || f.Path == name {
			return f.Var
		}
	}
	return ""
}

// everyMeasure returns the measures, the other columns of nixlbench's tables, the
// timings, and the derived values.
func everyMeasure(s *schema.Schema) []schema.Measure {
	all := slices.Clone(s.Nixlbench.Runs.Get().Measures)
	for _, layout := range s.Nixlbench.Runs.Get().Layouts {
		for _, c := range layout.Columns {
			if !slices.ContainsFunc(all, func(m schema.Measure) bool { return m.Key == c.Key }) {
				all = append(all, schema.Measure{Key: c.Key})
			}
		}
	}
	for _, name := range schema.Keys(s.Nixlbench.Runs.Get().Timed) {
		all = append(all, schema.Measure{Key: name})
	}
	for i := range s.Nixlbench.Runs.Get().Derived {
		d := &s.Nixlbench.Runs.Get().Derived[i]
		all = append(all, schema.Measure{Key: d.Key, From: d})
	}
	return all
}

// columnsOf returns all columns, in the order of the csv format.
func columnsOf(view schema.View, s *schema.Schema) []column {
	var all []column
	measures := s.Nixlbench.Runs.Get().Measures
	put := func(c column) {
		if !slices.ContainsFunc(all, func(o column) bool { return o.name == c.name }) {
			all = append(all, c)
		}
	}
	add := func(name string, cell func(p Point, l, base *line) string) {
		put(column{name: name, cell: cell, number: true})
	}
	setting := func(name string, from runner.From, of string) {
		put(column{name: name, of: &runner.Name{From: from, Name: of}, cell: func(p Point, _, _ *line) string {
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
	put(column{name: "status", cell: func(p Point, _, _ *line) string { return status(p) }})
	put(column{name: "point", cell: func(p Point, _, _ *line) string { return p[0].Point }})

	setting(runner.NameArchitecture, runner.FromRecord, runner.NameArchitecture)
	fields := func(last bool) {
		for _, f := range s.Fields {
			if f.Last == last {
				setting(f.Var, runner.FromConfig, f.Var)
			}
		}
	}
	fields(false)
	for _, name := range schema.Keys(s.Nixlbench.Flags) {
		setting(s.Nixlbench.Flags[name].JSONKey(), runner.FromFlags, name)
	}
	for _, q := range s.Quantities {
		if q.Detail.IsZero() {
			setting(q.Name, runner.FromQuantities, q.Name)
		}
	}
	for _, m := range everyMeasure(s) {
		if !slices.ContainsFunc(all, func(c column) bool { return c.name == m.Key }) {
			measured(m)
		}
	}
	for _, m := range measures {
		if m.Total != "" { // measured only by the rank that prints the table
			add("rank_"+m.Key, func(_ Point, l, _ *line) string { return l.spread(schema.Measure{Key: m.Key}).median })
		}
	}
	put(column{name: "notes", cell: func(p Point, _, _ *line) string { return strings.Join(notes(p), "; ") }})
	put(column{name: "point_baseline", cell: func(_ Point, _, base *line) string {
		if len(base.rows) == 0 {
			return none
		}
		return base.point[0].Point
	}})
	fields(true)
	setting(runner.NameMeasuredBy, runner.FromRecord, runner.NameMeasuredBy)
	return all
}

// notes returns the distinct notes about the runs of a point.
func notes(p Point) []string {
	list := []string{}
	for _, rec := range p {
		for _, n := range rec.Notes {
			if n = diag.Printable(n); !slices.Contains(list, n) {
				list = append(list, n)
			}
		}
	}
	return list
}

// maxMarks is the maximum number of different notes listed below a table.
const maxMarks = 20

// marks assigns numbers to the notes about points.
type marks struct {
	numbers map[string]int
	texts   []string
	more    int // how many notes have no number
}

func marksOf(points []Point) *marks {
	m := &marks{numbers: map[string]int{}}
	for _, p := range points {
		for _, n := range notes(p) {
			switch _, known := m.numbers[n]; {
			case known:
			case len(m.texts) == maxMarks:
				m.more++
			default:
				m.texts = append(m.texts, n)
				m.numbers[n] = len(m.texts)
			}
		}
	}
	return m
}

// refs returns references to a point's notes, such as " [1] [2]".
func (m *marks) refs(p Point) string {
	if m == nil {
		return ""
	}
	text := ""
	for _, n := range notes(p) {
		if i, ok := m.numbers[n]; ok {
			text += fmt.Sprintf(" [%d]", i)
		} else {
			text += " [+]"
		}
	}
	return text
}

// write writes each numbered note on its own line.
func (m *marks) write(w io.Writer) error {
	if len(m.texts) == 0 {
		return nil
	}
	out := bufio.NewWriter(w)
	out.WriteString("\n")
	for i, text := range m.texts {
		fmt.Fprintf(out, "[%d] %s\n", i+1, text)
	}
	if m.more > 0 {
		fmt.Fprintf(out, "[+] other notes: use --columns notes to show them\n")
	}
	return out.Flush()
}
