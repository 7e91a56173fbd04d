package report

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// LayersText writes the view's values and, below them, tables of the cache in each layer of a
// model.
func LayersText(w io.Writer, view schema.View, tables []*plan.LayerTable) error {
	if err := Rows(w, view, tables[0].Plan); err != nil {
		return err
	}
	for _, t := range tables {
		fmt.Fprintf(w, "\n%s\n", t.Name())
		if err := table(w, "text", func(row func(...string)) { layerRows(t, layersWidth, row) }); err != nil {
			return err
		}
	}
	return nil
}

// LayersMarkdown is like [LayersText], but writes Markdown.
func LayersMarkdown(w io.Writer, view schema.View, tables []*plan.LayerTable) error {
	if err := markdownRows(w, view, tables[0].Plan); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, t := range tables {
		fmt.Fprintf(w, "\n%s:\n\n", t.Name())
		if err := table(w, "markdown", func(row func(...string)) { layerRows(t, 0, row) }); err != nil {
			return err
		}
	}
	return nil
}

// layersWidth is the maximum width of a list of layer numbers in text.
const layersWidth = 30

// layerRows calls row once for each row of a table. A list of layer numbers that is
// wider than width continues in additional rows.
func layerRows(t *plan.LayerTable, width int, row func(cells ...string)) {
	head := []string{"layers", "group", "count"}
	sum := []string{"sum", "", strconv.Itoa(t.Count())}
	head, sum = append(head, "pages"), append(sum, "")
	for _, s := range t.Sums {
		head, sum = append(head, s.Column), append(sum, "")
	}
	for _, s := range t.Sums {
		head, sum = append(head, "all "+s.Column), append(sum, s.Value.String())
	}
	row(append(head, "formula")...)
	for _, r := range t.Rows {
		lines := wrapped(spans(r.Layers), width)
		cells := []string{lines[0], r.Group, strconv.Itoa(len(r.Layers))}
		if r.Group != r.Kind {
			cells[1] += inBrackets(r.Kind)
		}
		for _, v := range slices.Concat([]formula.Value{r.Pages}, r.One, r.All) {
			cells = append(cells, v.String())
		}
		row(append(cells, formulaPlaces(r.Parts))...)
		for _, more := range lines[1:] {
			row(more)
		}
	}
	var names []string
	for _, s := range t.Sums {
		name := s.Name
		if s.Rounded {
			name += inBrackets("rounded up")
		}
		names = append(names, name)
	}
	row(append(sum, strings.Join(names, ", "))...)
}

// formulaPlaces returns the file and the range of lines that contain the formulas of a layer's
// parts, or "-" if there are no parts. It ignores parts that are not in the same file as the
// first part.
func formulaPlaces(parts []plan.LayerPart) string {
	if len(parts) == 0 {
		return "-"
	}
	first, last := parts[0].Source.Pos, parts[0].Source.Pos
	for _, p := range parts {
		pos := p.Source.Pos
		if pos.File != first.File {
			continue
		}
		if pos.Line < first.Line {
			first = pos
		}
		if pos.Line > last.Line {
			last = pos
		}
	}
	place := fmt.Sprintf("%s:%d", path.Clean(first.File), first.Line)
	if last.Line > first.Line {
		place += fmt.Sprintf("-%d", last.Line)
	}
	return place
}

// span is a range of consecutive layers.
type span struct{ first, last int }

func (s span) String() string {
	if s.first == s.last {
		return strconv.Itoa(s.first)
	}
	return fmt.Sprintf("%d-%d", s.first, s.last)
}

// spans formats layer numbers, which must be in ascending order, as ranges. Ranges
// that recur at equal distances are abbreviated: "0,2,…,34" or "0-4,6-10,…,54-58".
func spans(layers []int) []string {
	var all []span
	for i, n := range layers {
		if i > 0 && n == layers[i-1]+1 {
			all[len(all)-1].last = n
			continue
		}
		all = append(all, span{n, n})
	}
	const least = 4
	var names []string
	for i := 0; i < len(all); {
		n := regular(all[i:])
		if n < least {
			names, i = append(names, all[i].String()), i+1
			continue
		}
		names = append(names, fmt.Sprintf("%s,%s,…,%s", all[i], all[i+1], all[i+n-1]))
		i += n
	}
	return names
}

// regular returns the number of leading spans that have the same length and are the
// same distance apart.
func regular(all []span) int {
	if len(all) < 2 {
		return len(all)
	}
	n, long, step := 1, all[0].last-all[0].first, all[1].first-all[0].first
	for n < len(all) && all[n].last-all[n].first == long && all[n].first-all[n-1].first == step {
		n++
	}
	return n
}

// wrapped joins names with commas and breaks the result into lines of at most width
// characters. A width of 0 means no limit.
func wrapped(names []string, width int) []string {
	lines := []string{names[0]}
	for _, name := range names[1:] {
		last := &lines[len(lines)-1]
		if width > 0 && utf8.RuneCountInString(*last)+2+utf8.RuneCountInString(name) > width {
			*last += ","
			lines = append(lines, name)
			continue
		}
		*last += ", " + name
	}
	return lines
}

// LayersJSON writes, as JSON, the cache in each layer of each model.
func LayersJSON(w io.Writer, view schema.View, all [][]*plan.LayerTable) error {
	type part struct {
		Name    string `json:"name"`
		Bytes   any    `json:"bytes"`
		Formula string `json:"formula"`
		Origin  string `json:"origin"`
	}
	type row struct {
		Layers []int          `json:"layers"`
		Group  string         `json:"group"`
		Kind   string         `json:"kind"`
		Pages  any            `json:"pages"`
		One    map[string]any `json:"one"`
		All    map[string]any `json:"all"`
		Per    string         `json:"per"`
		Parts  []part         `json:"parts"`
	}
	type section struct {
		Of    string         `json:"of"`
		Stage *int           `json:"stage"`
		First int            `json:"first_layer"`
		Last  int            `json:"last_layer"`
		Rows  []row          `json:"rows"`
		Sums  map[string]any `json:"sums"`
	}
	type explanation struct {
		File   *string        `json:"config_file"`
		Values map[string]any `json:"values"`
		Tables []section      `json:"tables"`
	}
	list := []explanation{}
	for _, tables := range all {
		pl := tables[0].Plan
		x := explanation{Values: map[string]any{}}
		if file := pl.Request.Config.File; file != "" {
			x.File = &file
		}
		for _, r := range rowsOf(view, pl) {
			addRow(x.Values, r, pl)
		}
		for _, t := range tables {
			s := section{Of: "model", First: t.First, Last: t.Last, Sums: map[string]any{}}
			if stage := t.Plan.Stage(); !t.Whole {
				s.Of, s.Stage = "rank", &stage
			}
			for _, sum := range t.Sums {
				s.Sums[sum.Name] = exact(sum.Value)
			}
			for _, r := range t.Rows {
				out := row{r.Layers, r.Group, r.Kind, exact(r.Pages), map[string]any{}, map[string]any{}, r.Per, []part{}}
				for i, sum := range t.Sums {
					out.One[sum.Name], out.All[sum.Name] = exact(r.One[i]), exact(r.All[i])
				}
				for _, p := range r.Parts {
					out.Parts = append(out.Parts, part{p.Name, exact(p.Bytes), oneLine(p.Source.Text), diag.Printable(p.Source.Pos.String())})
				}
				s.Rows = append(s.Rows, out)
			}
			x.Tables = append(x.Tables, s)
		}
		list = append(list, x)
	}
	return JSONText(w, list)
}
