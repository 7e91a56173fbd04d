package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/engine/webpage"
)

// PlanPage contains what a page shows about a model and a configuration: the plans and, if
// known, the caches of the layers.
type PlanPage struct {
	Plans  []*plan.Plan
	Layers []*plan.LayerTable
}

// PlansHTML writes plans as a page. It shows the commands of plans that have flags. If there are
// several plans, the page also has charts that compare the rows of the grid.
func PlansHTML(w io.Writer, kind string, view, charts schema.View, list []PlanPage, g *Grid, s *schema.Schema) error {
	p := &webpage.Page{Kind: kind, About: []string{}}
	for _, one := range list {
		for _, pl := range one.Plans {
			g.Add(pl)
			section, err := planSection(view, pl)
			if err != nil {
				return err
			}
			p.After = append(p.After, section)
		}
		if len(one.Layers) > 0 {
			p.After = append(p.After, layersSection(one.Layers))
		}
	}
	b := newGridPage(charts, g, s)
	p.Title, p.Answer = b.title(), b.answer()
	p.About = append(p.About, counted(len(g.Rows), "plan"))
	if len(g.Rows) > 1 {
		p.Data = b.data(kind, "plans")
	} else {
		p.Command = commandText(list[0].Plans[0])
		p.After[0].Command = nil
		p.After[0].Title = "Plan"
	}
	return webpage.Write(w, p)
}

// commandText returns the command of a plan, or nil if it has none.
func commandText(pl *plan.Plan) []string {
	if len(pl.Flags) == 0 {
		return nil
	}
	return []string{strings.TrimSuffix(nixlbench.Shell(pl.Flags), "\n")}
}

// planTitle returns a line that distinguishes a plan from the other plans of a command.
func planTitle(pl *plan.Plan) string {
	title := modelName(pl)
	if file := pl.Request.Config.File; file != "" {
		title += ", " + file
	}
	if pl.Rank() {
		title += fmt.Sprintf(", stage %d, %s", pl.Stage(), pl.Group())
	}
	return title
}

// planSection shows the values, the command and the quantities of a plan.
func planSection(view schema.View, pl *plan.Plan) (webpage.Section, error) {
	s := webpage.Section{Title: planTitle(pl), Command: commandText(pl)}
	for _, r := range rowsOf(view, pl) {
		if _, ok := pl.Value(r.Value); !ok && r.Optional {
			continue
		}
		text, err := rowText(r, pl)
		if err != nil {
			return s, err
		}
		if text != "" {
			s.Facts = append(s.Facts, webpage.Fact{Name: r.Label, Value: text + r.Suffix})
		}
	}
	t := webpage.Table{Caption: "Quantities", Head: []webpage.Cell{{Text: "quantity"}, {Text: "value", Number: true}, {Text: "unit"}, {Text: "size or time", Number: true}, {Text: "description"}}}
	for _, q := range pl.Quantities {
		size := ""
		switch {
		case strings.HasPrefix(q.Unit, "B") && q.Unit != "B/s":
			size = diag.Bytes(q.Value)
		case q.Unit == "us":
			size = diag.Duration(q.Value)
		}
		t.Rows = append(t.Rows, []webpage.Cell{
			{Text: q.Name, Head: true}, {Text: strconv.FormatInt(q.Value, 10), Number: true}, {Text: strings.TrimPrefix(q.Unit, "1")}, {Text: size, Number: true}, {Text: q.Doc, Wrap: true},
		})
	}
	s.Tables = append(s.Tables, t)
	return s, nil
}

// layersSection shows the caches of the layers, by kind. Cells with shares of the totals are
// shaded.
func layersSection(tables []*plan.LayerTable) webpage.Section {
	s := webpage.Section{Title: "Layers by kind", Intro: "Each row shows layers with identical caches: first the size for one layer, and then the total. Stronger colors mean larger shares."}
	for _, t := range tables {
		s.Tables = append(s.Tables, layersTable(t))
	}
	return s
}

func layersTable(t *plan.LayerTable) webpage.Table {
	names := []string{"layers", "group", "count", "pages"}
	for _, sum := range t.Sums {
		names = append(names, sum.Column)
	}
	for _, sum := range t.Sums {
		names = append(names, "all "+sum.Column, "share")
	}
	table := webpage.Table{Caption: t.Name(), Head: webpage.Heads(2, names...)}
	for _, r := range t.Rows {
		group := r.Group
		if r.Group != r.Kind {
			group += inBrackets(r.Kind)
		}
		row := []webpage.Cell{{Text: strings.Join(spans(r.Layers), ", "), Head: true}, {Text: group}, {Text: strconv.Itoa(len(r.Layers)), Number: true}, {Text: r.Pages.String(), Number: true}}
		for _, v := range r.One {
			row = append(row, webpage.Cell{Text: v.String(), Number: true})
		}
		for i, v := range r.All {
			share := shareOf(v, t.Sums[i].Value)
			row = append(row, webpage.Cell{Text: v.String(), Number: true}, webpage.Cell{Text: percentOf(share), Number: true, Heat: heatOf(share)})
		}
		table.Rows = append(table.Rows, row)
	}
	sum := []webpage.Cell{{Text: "all", Head: true}, {}, {Text: strconv.Itoa(t.Count()), Number: true}, {}}
	for range t.Sums {
		sum = append(sum, webpage.Cell{})
	}
	for _, s := range t.Sums {
		sum = append(sum, webpage.Cell{Text: s.Value.String(), Number: true}, webpage.Cell{})
	}
	table.Rows = append(table.Rows, sum)
	return table
}

func shareOf(v, sum formula.Value) float64 {
	if sum.Num.Num() == 0 {
		return 0
	}
	return float64(v.Num.Num()) / float64(v.Num.Den()) / float64(sum.Num.Num()) * float64(sum.Num.Den())
}

// heatOf returns the shade for a share.
func heatOf(share float64) int {
	if share <= 0 {
		return 0
	}
	return min(webpage.MaxHeat, 1+int(share*webpage.MaxHeat))
}

// maxMatrix is the maximum number of ranks on each side of a matrix.
const maxMatrix = 64

// TransfersHTML writes transfers as a page.
func TransfersHTML(w io.Writer, view schema.View, list []Transfer) error {
	p := &webpage.Page{Kind: "transfer"}
	var names []string
	for i := range list {
		t := &list[i]
		names = appendNew(names, modelNameOf(t))
		var text strings.Builder
		if err := t.conclusions(&text); err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSpace(text.String()), "\n")
		section, err := transferSection(view, t)
		if err != nil {
			return err
		}
		if len(list) == 1 {
			p.Answer, section.Title = lines, "Transfer"
		} else {
			section.Intro = strings.Join(lines, " ")
		}
		p.Sections = append(p.Sections, section, matrixSection(t))
	}
	p.Title = diag.Printable(strings.Join(names, ", "))
	p.About = []string{"from prefill ranks to decode ranks", counted(len(list), "transfer")}
	return webpage.Write(w, p)
}

func modelNameOf(t *Transfer) string { return t.Request.Model.Name }

// transferSection shows the values of a transfer, and a row for each set of rank pairs that move
// the same amount.
func transferSection(view schema.View, t *Transfer) (webpage.Section, error) {
	s := webpage.Section{Title: modelNameOf(t)}
	if file := t.Request.Config.File; file != "" {
		s.Title += ", " + file
	}
	var rows strings.Builder
	view.Width = 0
	if err := TransferRows(&rows, view, t.Transfer.Transfer); err != nil {
		return s, err
	}
	for line := range strings.Lines(rows.String()) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		s.Facts = append(s.Facts, webpage.Fact{Name: name, Value: value})
	}
	s.Facts = append(s.Facts, webpage.Fact{Name: "Operation", Value: t.Op})
	table := webpage.Table{Caption: "Pairs of ranks that move the same amount", Head: webpage.Heads(2, "from > to", "group", "pairs", "bytes", "descriptors", "bytes each", "time")}
	for _, alike := range alikePairs(t.Pairs) {
		p := alike[0]
		table.Rows = append(table.Rows, []webpage.Cell{
			{Text: pairList(alike), Head: true, Wrap: true}, {Text: p.Group}, {Text: group(len(alike)), Number: true}, {Text: diag.Bytes(p.Bytes), Number: true},
			{Text: group(int(p.Descriptors)), Number: true}, {Text: diag.Bytes(p.DescriptorBytes), Number: true}, {Text: t.time(p.Micros), Number: true},
		})
	}
	s.Tables = append(s.Tables, table)
	return s, nil
}

// matrixSection shows how many bytes each source rank sends to each destination
// rank, and the total for each rank.
func matrixSection(t *Transfer) webpage.Section {
	s := webpage.Section{Title: "Transfers between ranks", Intro: "Each row is a source, and each column is a destination. Stronger colors mean more bytes."}
	if len(t.Sources) > maxMatrix || len(t.Destinations) > maxMatrix {
		s.Intro = fmt.Sprintf("%d sources and %d destinations are too many for a matrix. Use --format csv instead.", len(t.Sources), len(t.Destinations))
		return s
	}
	type ranks struct{ from, to int }
	bytes, descriptors, most := map[ranks]int64{}, map[ranks]int64{}, int64(0)
	for _, p := range t.Pairs {
		at := ranks{p.Source, p.Destination}
		bytes[at] += p.Bytes
		descriptors[at] += p.Descriptors
		most = max(most, bytes[at])
	}
	head := []webpage.Cell{{Text: "from \\ to"}}
	for _, d := range t.Destinations {
		head = append(head, webpage.Cell{Text: strconv.Itoa(d.Rank), Number: true})
	}
	table := webpage.Table{Caption: "Bytes, with the number of descriptors below", Head: append(head, webpage.Cell{Text: "all", Number: true})}
	for _, from := range t.Sources {
		row := []webpage.Cell{{Text: strconv.Itoa(from.Rank), Head: true}}
		for _, to := range t.Destinations {
			at := ranks{from.Rank, to.Rank}
			cell := webpage.Cell{Text: "–", Number: true}
			if n := bytes[at]; n > 0 {
				cell.Text, cell.Heat = loadText(n, descriptors[at]), heatOf(float64(n)/float64(most))
			}
			row = append(row, cell)
		}
		table.Rows = append(table.Rows, append(row, webpage.Cell{Text: loadText(from.Bytes, from.Descriptors), Number: true}))
	}
	last := []webpage.Cell{{Text: "all", Head: true}}
	for _, to := range t.Destinations {
		last = append(last, webpage.Cell{Text: loadText(to.Bytes, to.Descriptors), Number: true})
	}
	table.Rows = append(table.Rows, append(last, webpage.Cell{Text: loadText(t.All.Bytes, t.All.Descriptors), Number: true}))
	s.Tables = append(s.Tables, table)
	return s
}

func loadText(bytes, descriptors int64) string {
	return diag.Bytes(bytes) + "\n" + group(int(descriptors))
}
