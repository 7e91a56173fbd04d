package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/jsonl"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/engine/webpage"
)

// MaxPageRows is the maximum number of rows that a page can show.
const MaxPageRows = 100_000

// Grid is a table of plans or transfers to show on a page. Each value in its rows is a
// number, a string, or nil.
type Grid struct {
	Columns []string
	Rows    [][]any
}

// Add adds a row for a plan.
func (g *Grid) Add(pl *plan.Plan) {
	row := make([]any, len(g.Columns))
	for i, name := range g.Columns {
		v, ok := pl.Value(name)
		switch n, whole := v.Num.Int64(); {
		case !ok || v.Kind == formula.Any:
		case v.Kind == formula.Num && whole:
			row[i] = float64(n)
		default:
			row[i] = v.Text()
		}
	}
	g.Rows = append(g.Rows, row)
}

// ParseGrid parses rows in the jsonl format.
func ParseGrid(columns []string, text []byte) (*Grid, error) {
	g := &Grid{Columns: columns}
	at := map[string]int{}
	for i, name := range columns {
		at[name] = i
	}
	var in jsonl.Reader
	for line := range strings.Lines(string(text)) {
		row := make([]any, len(columns))
		in.Reset([]byte(line))
		in.Object(func(name []byte) {
			i, ok := at[string(name)]
			if raw := in.Skip(); ok && raw != nil {
				json.Unmarshal(raw, &row[i])
			}
		})
		if why := in.End(); why != "" {
			return nil, fmt.Errorf("invalid row: %s", why)
		}
		for i, v := range row {
			if b, ok := v.(bool); ok {
				row[i] = strconv.FormatBool(b)
			}
		}
		g.Rows = append(g.Rows, row)
	}
	return g, nil
}

// gridPage builds the charts of a grid.
type gridPage struct {
	*Grid
	schema  *schema.Schema
	view    schema.View // the columns to chart, with their labels
	columns map[string]*webpage.Column
	list    []*webpage.Column
}

// GridHTML writes a page that shows a grid. The page has a chart for each row of the view. The
// horizontal axis of a chart can be any column that varies and is not computed.
func GridHTML(w io.Writer, kind, many string, view schema.View, g *Grid, s *schema.Schema) error {
	b := newGridPage(view, g, s)
	p := &webpage.Page{Kind: kind, Title: b.title(), About: []string{counted(len(g.Rows), strings.TrimSuffix(many, "s"))}, Answer: b.answer(), Data: b.data(kind, many)}
	return webpage.Write(w, p)
}

func newGridPage(view schema.View, g *Grid, s *schema.Schema) *gridPage {
	b := &gridPage{Grid: g, schema: s, view: view, columns: map[string]*webpage.Column{}}
	for i, name := range g.Columns {
		b.add(i, name)
	}
	return b
}

// add adds a column. If no value is a string, it is a numeric column.
func (b *gridPage) add(i int, name string) {
	c := &webpage.Column{Key: name, Label: name}
	switch name {
	case schema.NameParam:
		c.Label = keyModel
	case keyFile:
		c.Label = "config"
	}
	for _, r := range b.view.Rows {
		if r.Value == name {
			c.Label = r.Label
		}
	}
	numbers := true
	for _, row := range b.Rows {
		_, isText := row[i].(string)
		numbers = numbers && !isText
	}
	for _, row := range b.Rows {
		switch x, ok := row[i].(float64); {
		case numbers && ok:
			c.AddNumber(x)
		case numbers:
			c.AddNumber(math.NaN())
		case row[i] == nil:
			c.Add("")
		default:
			c.Add(diag.Printable(fmt.Sprint(row[i])))
		}
	}
	if numbers {
		c.Unit = unitOf(b.schema, name)
		if c.Unit == webpage.UnitRate {
			for i := range c.Numbers {
				c.Numbers[i] /= 1e9
			}
		}
		c.Log = spans16(c.Numbers)
	}
	if c.IsEmpty() {
		return
	}
	b.columns[name] = c
	b.list = append(b.list, c)
}

// unitOf returns the unit that pages show for a column.
func unitOf(s *schema.Schema, name string) string {
	unit := s.UnitOf(name)
	for _, q := range s.Quantities {
		if q.Name == name {
			unit = q.Unit
		}
	}
	switch unit {
	case "B", "B/token", "B/request":
		return webpage.UnitBytes
	case "B/s":
		return webpage.UnitRate
	case "us":
		return webpage.UnitMicros
	}
	return webpage.UnitCount
}

// spans16 reports whether all numbers are positive, and the largest is at least 16 times
// the smallest.
func spans16(list webpage.Numbers) bool {
	lo, hi := math.Inf(1), 0.0
	for _, x := range list {
		if !math.IsNaN(x) {
			lo, hi = min(lo, x), max(hi, x)
		}
	}
	return lo > 0 && hi >= 16*lo
}

// axes returns the columns that vary and are not quantities, with numeric columns first.
func (b *gridPage) axes() []string {
	var numbers, texts []string
	for _, c := range b.list {
		switch isQuantity := slices.ContainsFunc(b.schema.Quantities, func(q schema.Quantity) bool { return q.Name == c.Key }); {
		case isQuantity || !c.Varies() || b.charted(c.Key) || b.ofModel(c):
		case c.Words == nil:
			numbers = append(numbers, c.Key)
		default:
			texts = append(texts, c.Key)
		}
	}
	slices.SortStableFunc(numbers, func(x, y string) int { return b.values(y) - b.values(x) })
	return append(numbers, texts...)
}

// ofModel reports whether the model determines the values of a text column, such as the names
// of layer groups.
func (b *gridPage) ofModel(c *webpage.Column) bool {
	model := b.columns[schema.NameParam]
	if c == model || model == nil || c.Words == nil || !model.Varies() {
		return false
	}
	of := map[int32]int32{}
	for i, m := range model.At {
		if at, ok := of[m]; ok && at != c.At[i] {
			return false
		}
		of[m] = c.At[i]
	}
	return true
}

func (b *gridPage) charted(name string) bool {
	return slices.ContainsFunc(b.view.Rows, func(r schema.Row) bool { return r.Value == name })
}

// values returns the number of distinct values in a column.
func (b *gridPage) values(name string) int {
	c := b.columns[name]
	if c.Words != nil {
		return len(c.Words)
	}
	list := slices.Clone(c.Numbers)
	slices.Sort(list)
	return len(slices.Compact(list))
}

func (b *gridPage) data(kind, many string) *webpage.Data {
	d := &webpage.Data{Name: "kvbench-" + kind, One: strings.TrimSuffix(many, "s"), Many: many, Rows: len(b.Rows), Columns: b.list}
	axes := b.axes()
	for i, name := range axes {
		n := b.values(name)
		if n <= maxFacet {
			d.Facets = append(d.Facets, name)
		}
		// By default, points are marked by the axis with the most values, ignoring the first axis
		// and axes with more than eight values.
		if i > 0 && n <= 8 && (d.Mark == "" || n > b.values(d.Mark)) {
			d.Mark = name
		}
	}
	if len(axes) == 0 {
		axes = []string{b.list[0].Key}
	}
	var all []string
	for _, c := range b.list {
		all = append(all, c.Key)
	}
	for _, r := range b.view.Rows {
		c := b.columns[r.Value]
		if c == nil || c.Words != nil {
			continue
		}
		d.Charts = append(d.Charts, webpage.Chart{ID: r.Value, Title: r.Label, Note: b.doc(r.Value), X: axes, Y: []string{r.Value}, Columns: all})
		if c.Unit == webpage.UnitMicros {
			d.Best, d.Lowest = r.Value, true
		}
	}
	return d
}

// doc returns the description of a quantity as a sentence.
func (b *gridPage) doc(name string) string {
	for _, q := range b.schema.Quantities {
		if q.Name == name {
			return diag.Printable(q.Doc) + "."
		}
	}
	return ""
}

// title returns the page's title, which lists the models.
func (b *gridPage) title() string {
	c := b.columns[schema.NameParam]
	if c == nil || c.Words == nil {
		return "Plans"
	}
	if len(c.Words) > 3 {
		return fmt.Sprintf("%s and %d more models", strings.Join(c.Words[:2], ", "), len(c.Words)-2)
	}
	return strings.Join(c.Words, ", ")
}

// answer returns sentences about the range of each charted column. For a column of times, they
// describe the points with the shortest and the longest time.
func (b *gridPage) answer() []string {
	var lines, same []string
	for _, r := range b.view.Rows {
		c := b.columns[r.Value]
		if c == nil || c.Words != nil {
			continue
		}
		lo, hi := -1, -1
		for i, x := range c.Numbers {
			if math.IsNaN(x) {
				continue
			}
			if lo < 0 || x < c.Numbers[lo] {
				lo = i
			}
			if hi < 0 || x > c.Numbers[hi] {
				hi = i
			}
		}
		least, most := cellOf(c, c.Numbers[lo]), cellOf(c, c.Numbers[hi])
		if lo == hi || c.Numbers[lo] == c.Numbers[hi] {
			same = append(same, fmt.Sprintf("%s: %s.", c.Label, least))
			continue
		}
		if c.Unit == webpage.UnitMicros { // the time matters most, so it comes first
			lines = append([]string{fmt.Sprintf("The shortest time is %s, with %s.", least, b.axesIn(lo))}, lines...)
			lines = append(lines, fmt.Sprintf("The longest time is %s, with %s.", most, b.axesIn(hi)))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: from %s to %s.", c.Label, least, most))
	}
	if len(same) > 0 {
		lines = append(lines, strings.Join(same, " "))
	}
	return lines
}

// axesIn returns the names of the axes and their values in a row.
func (b *gridPage) axesIn(row int) string {
	var words []string
	for _, name := range b.axes() {
		c := b.columns[name]
		text := ""
		if c.Words != nil {
			text = c.Words[c.At[row]]
		} else {
			text = cellOf(c, c.Numbers[row])
		}
		if text != "" {
			words = append(words, c.Label+" "+text)
		}
	}
	return strings.Join(words, ", ")
}

// cellOf formats a number from a column.
func cellOf(c *webpage.Column, x float64) string {
	switch {
	case math.IsNaN(x):
		return ""
	case c.Unit == webpage.UnitBytes:
		return diag.Bytes(int64(x))
	case c.Unit == webpage.UnitMicros:
		return microsOf(x)
	case c.Unit == webpage.UnitRate:
		return rateOf(x)
	}
	if x == math.Trunc(x) {
		return group(int(x))
	}
	return shortest(x)
}
