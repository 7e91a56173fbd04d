package cli

import (
	"bytes"
	"io"
	"slices"

	"kvbench/engine/diag"
	"kvbench/engine/plan"
	"kvbench/engine/report"
	"kvbench/engine/schema"
	"kvbench/engine/sweep"
)

// pageFormat is the format of pages. The rows of a page are first written in the pageRows
// format.
const (
	pageFormat = "html"
	pageRows   = "jsonl"
)

// isPage reports whether the command writes a page.
func (c *command) isPage() bool {
	format, _, _ := c.value("format")
	return format == pageFormat
}

// chartView returns the view with the columns that a command's page shows as charts.
func (a *app) chartView(c *command) schema.View {
	if c.transfers {
		return a.schema.View("transfer_charts")
	}
	return a.schema.View("plan_charts")
}

// pageColumns adds the columns that a page shows as charts.
func (a *app) pageColumns(c *command, columns []string) []string {
	columns = slices.Clone(columns)
	for _, name := range rowNames(a.chartView(c)) {
		if !slices.Contains(columns, name) {
			columns = append(columns, name)
		}
	}
	return columns
}

// fitsPage returns an error if a sweep has too many rows for a page. most is the maximum
// number of rows to print, or 0 for all. filtered reports whether a condition limits the
// number of rows.
func fitsPage(points, most uint64, filtered bool) error {
	if most == 0 && filtered {
		return nil
	}
	if most == 0 || points < most {
		most = points
	}
	if most <= report.MaxPageRows {
		return nil
	}
	return diag.Usagef("%d rows are too many for a page, which shows at most %d", most, report.MaxPageRows).
		WithHint("limit the rows with --top or --where, or use --format csv")
}

// writeSweepPage writes the page for a sweep's rows.
func (a *app) writeSweepPage(w io.Writer, c *command, columns []string, rows []byte, o *sweep.Outcome) error {
	if o.Rows == 0 {
		return nil
	}
	if err := fitsPage(o.Rows, 0, false); err != nil {
		return err
	}
	grid, err := report.ParseGrid(columns, rows)
	if err != nil {
		return err
	}
	return report.GridHTML(w, c.name, c.name+"s", a.chartView(c), grid, a.schema)
}

// planPage writes the page for single plans.
func (a *app) planPage(c *command, jobs []plan.Item, list []report.PlanPage) error {
	grid := &report.Grid{Columns: a.sweepNames(a.pageColumns(c, a.sweepColumns(c, jobs)))}
	var out bytes.Buffer
	if err := report.PlansHTML(&out, c.name, a.schema.View(c.name), a.chartView(c), list, grid, a.schema); err != nil {
		return err
	}
	return a.writeAll(c, out.Bytes())
}

// layersIfKnown returns what each layer of a model stores, or nil if the architecture or
// the accounting does not define this.
func (a *app) layersIfKnown(j plan.Item, planners *plan.Planners) []*plan.LayerTable {
	tables, err := a.layersOf(&j, planners)
	if err != nil {
		return nil
	}
	return tables
}
