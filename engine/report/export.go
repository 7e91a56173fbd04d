package report

import (
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// Listing shows the results in a file, with a row for each row of nixlbench's table. A result
// without a table has one row.
type Listing struct {
	columns []column
	only    []condition
	file    string
}

// condition is a value that a column must have.
type condition struct {
	column column
	value  string
}

// nameOfFile is the name of the column that shows which file contains a result.
const nameOfFile = "file"

// RowColumns returns the names of the columns that a listing can show.
func RowColumns(s *schema.Schema) []string {
	var names []string
	for _, c := range rowColumns(s) {
		names = append(names, c.name)
	}
	return names
}

// rowColumns returns the columns of a report that describe or identify a single run.
func rowColumns(s *schema.Schema) []column {
	var all []column
	for _, name := range []string{runner.NameHash, "status", runner.NameStart, runner.NameRepeat, runner.NameSeconds} {
		all = append(all, column{name: name, of: &runner.Name{From: runner.FromRecord, Name: name}})
	}
	for _, c := range columnsOf(s.View("results"), s) {
		about := func(ending string) bool { return strings.HasSuffix(c.name, ending) }
		switch {
		case slices.ContainsFunc([]string{"_min", "_max", "_baseline", "_ratio"}, about):
		case c.name == "runs" || slices.ContainsFunc(all, func(o column) bool { return o.name == c.name }):
		default:
			all = append(all, c)
		}
	}
	return append(all, column{name: nameOfFile})
}

// NewListing returns a listing with these columns, or with the default columns if columns is nil.
// The elements of only are conditions, each with a column name and the value that the column
// must have. A row is shown if it meets all conditions. files is the number of files that the
// results come from.
func NewListing(s *schema.Schema, columns []string, only [][2]string, files int) *Listing {
	all := rowColumns(s)
	if columns == nil {
		columns = []string{runner.NameHash, "status", runner.NameStart}
		view := s.View("results")
		for _, r := range view.Rows {
			columns = append(columns, r.Value)
		}
		for _, m := range s.Nixlbench.Runs.Get().Measures {
			columns = append(columns, m.Key)
		}
		if files > 1 {
			columns = append(columns, nameOfFile)
		}
	}
	r := &Listing{columns: chosen(all, columns)}
	for _, o := range only {
		r.only = append(r.only, condition{chosen(all, o[:1])[0], o[1]})
	}
	return r
}

// Briefs returns an extractor for the values that the rows need.
func (r *Listing) Briefs(s *schema.Schema) *runner.Briefs { return r.briefs(s) }

func (r *Listing) briefs(s *schema.Schema, names ...runner.Name) *runner.Briefs {
	for _, name := range []string{runner.NameHash, runner.NameStart, runner.NameProcessors} {
		names = append(names, runner.Name{From: runner.FromRecord, Name: name})
	}
	for _, c := range r.all() {
		if c.of != nil {
			names = append(names, *c.of)
		}
	}
	return runner.NewBriefs(names, slices.DeleteFunc(everyMeasure(s), func(m schema.Measure) bool { return m.From != nil }))
}

func (r *Listing) all() []column {
	list := slices.Clone(r.columns)
	for _, o := range r.only {
		list = append(list, o.column)
	}
	return list
}

// Names returns the names of the columns.
func (r *Listing) Names() []string {
	names := make([]string, len(r.columns))
	for i, c := range r.columns {
		names[i] = c.name
	}
	return names
}

// In returns a copy of the listing for results in the given file.
func (r *Listing) In(file string) *Listing {
	in := *r
	in.file = file
	return &in
}

// row is a row of a result.
type row struct {
	point Point
	line  line
	base  line
}

// Has reports whether any row of a result meets the conditions. If the result has no rows, the
// result itself must meet them.
func (r *Listing) Has(rec *runner.Brief) bool {
	has := false
	r.each(rec, func(*row) { has = true })
	return has
}

// each calls f for each row that meets the conditions, or for the result itself if it has no
// rows.
func (r *Listing) each(rec *runner.Brief, f func(*row)) {
	one := row{point: Point{rec}}
	one.line.point, one.base.point = one.point, one.point
	one.line.trusted = rec.Status == runner.OK
	try := func() {
		for _, o := range r.only {
			if cell := r.cell(&o.column, &one); cell != o.value && inTable(&o.column, cell) != o.value {
				return
			}
		}
		f(&one)
	}
	for i := range rec.Rows {
		one.line.rows = rec.Rows[i : i+1]
		try()
	}
	if len(rec.Rows) == 0 {
		try()
	}
}

// cell returns the text of a row in a column, or "" if the row has no value there.
func (r *Listing) cell(c *column, of *row) string {
	var cell string
	switch {
	case c.name == nameOfFile:
		cell = diag.Printable(r.file)
	case c.name == "status":
		cell = status(of.point)
	case c.cell == nil:
		v, _ := of.point[0].Value(c.of.From, c.of.Name)
		if v == nil {
			return ""
		}
		cell = diag.Printable(text(v))
	default:
		cell = c.cell(of.point, &of.line, &of.base)
	}
	if cell == none {
		return ""
	}
	return cell
}

// CSV appends the rows of a result as CSV.
func (r *Listing) CSV(out []byte, rec *runner.Brief) []byte {
	r.each(rec, func(of *row) {
		for i := range r.columns {
			if i > 0 {
				out = append(out, ',')
			}
			cell := r.cell(&r.columns[i], of)
			if out = csvText(out, cell); cell == "" && len(r.columns) == 1 { // CSV readers skip empty lines
				out = append(out, `""`...)
			}
		}
		out = append(out, '\n')
	})
	return out
}

// JSON appends the rows of a result as JSON objects, one per line.
func (r *Listing) JSON(out []byte, rec *runner.Brief) []byte {
	r.each(rec, func(of *row) {
		for i := range r.columns {
			c := &r.columns[i]
			before := byte(',')
			if i == 0 {
				before = '{'
			}
			out = append(out, before, '"')
			out = append(out, c.name...)
			out = append(out, `":`...)
			out = r.value(out, c, of)
		}
		out = append(out, "}\n"...)
	})
	return out
}

// value appends a cell as a JSON value.
func (r *Listing) value(out []byte, c *column, of *row) []byte {
	if c.of != nil && c.name != "status" {
		v, ok := of.point[0].Value(c.of.From, c.of.Name)
		if !ok || v == nil {
			return append(out, "null"...)
		}
		return appendJSON(out, v)
	}
	cell := r.cell(c, of)
	switch {
	case cell == "":
		return append(out, "null"...)
	case c.number:
		return appendJSON(out, nixlbench.Number(cell))
	}
	return appendJSON(out, cell)
}

func appendJSON(out []byte, v any) []byte {
	if n, ok := v.(int64); ok {
		return strconv.AppendInt(out, n, 10)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return append(out, "null"...)
	}
	return append(out, diag.Escaped(text)...)
}

// hashShown is the number of hash digits shown in text output.
const hashShown = 12

// inTable returns a cell as text output shows it.
func inTable(c *column, cell string) string {
	switch {
	case cell == "":
		return none
	case c.name == runner.NameHash:
		return cell[:min(len(cell), hashShown)]
	}
	return cell
}

// Text appends the rows of a result as lines for [Aligned].
func (r *Listing) Text(out []byte, rec *runner.Brief) []byte {
	r.each(rec, func(of *row) {
		for i := range r.columns {
			if i > 0 {
				out = append(out, '\t')
			}
			cell := inTable(&r.columns[i], r.cell(&r.columns[i], of))
			out = append(out, strings.ReplaceAll(cell, "\t", `\t`)...)
		}
		out = append(out, '\n')
	})
	return out
}

// Headings returns the column headings for text output.
func (r *Listing) Headings(s *schema.Schema) string {
	heads := r.Names()
	view := s.View("results")
	for i, name := range heads {
		for _, row := range view.Rows {
			if row.Value == name {
				heads[i] = row.Label
			}
		}
		for _, m := range s.Nixlbench.Runs.Get().Measures {
			if m.Key == name {
				heads[i] = m.Label
			}
		}
	}
	return strings.Join(heads, "\t") + "\n"
}

// Aligned writes lines of cells, separated by tabs, as a table.
func Aligned(w io.Writer, lines string) error {
	return table(w, "text", func(row func(...string)) {
		for line := range strings.Lines(lines) {
			row(strings.Split(strings.TrimSuffix(line, "\n"), "\t")...)
		}
	})
}
