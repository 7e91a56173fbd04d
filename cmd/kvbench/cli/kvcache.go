package cli

import (
	"bytes"
	"context"
	"fmt"

	"kvbench/engine/diag"
	"kvbench/engine/plan"
	"kvbench/engine/report"
)

// kvcacheCmd shows the KV cache of a model.
func (a *app) kvcacheCmd() *command {
	return &command{
		name:  "kvcache",
		short: "Show a model's KV cache: I/O size and number of I/Os",
		flags: append(a.commonFlags(),
			&flagSpec{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "text", values: []string{"text", "table", "json", "csv", "html"}, help: "Output format"}),
		exec: a.kvcache,
	}
}

func (a *app) kvcache(ctx context.Context, c *command) error {
	format, err := c.choice("format")
	if err != nil {
		return err
	}
	if format == "text" {
		return a.showView(ctx, c)
	}
	if format == pageFormat {
		return a.kvcachePage(c)
	}
	var plans []*plan.Plan
	var errs diag.List
	errs.Add(a.quantities(c, true, func(_ int, pl *plan.Plan) error {
		plans = append(plans, pl)
		return nil
	}))
	if len(plans) == 0 {
		return errs.Err()
	}
	var out bytes.Buffer
	switch format {
	case "json":
		err = report.QuantitiesJSON(&out, plans)
	case "csv":
		err = report.QuantitiesCSV(&out, plans)
	default:
		err = report.QuantitiesTable(&out, a.schema.View("plan"), plans)
	}
	errs.Add(err)
	_, err = a.stdout.Write(out.Bytes())
	errs.Add(err)
	return errs.Err()
}

// kvcachePage writes a page about the KV cache of each model and configuration.
func (a *app) kvcachePage(c *command) error {
	var jobs []plan.Item
	var pages []report.PlanPage
	var errs diag.List
	errs.Add(a.eachQuantities(c, true, func(j plan.Item, planners *plan.Planners, plans []*plan.Plan) error {
		jobs = append(jobs, j)
		pages = append(pages, report.PlanPage{Plans: plans, Layers: a.layersIfKnown(j, planners)})
		return nil
	}))
	if len(pages) > 0 {
		errs.Add(a.planPage(c, jobs, pages))
	}
	return errs.Err()
}

// showView prints the command's view for each plan, separated by blank lines.
func (a *app) showView(_ context.Context, c *command) error {
	return a.quantities(c, false, func(i int, pl *plan.Plan) error {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		return report.Rows(a.stdout, a.textView(c), pl)
	})
}
