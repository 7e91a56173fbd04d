package cli

import (
	"bytes"
	"context"
	"slices"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/report"
	"kvbench/engine/schema"
)

// planCmd prints nixlbench commands.
func (a *app) planCmd() *command {
	flags := append(a.commonFlags(),
		&flagSpec{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "text", values: []string{"text", "json", "csv", "jsonl", "table", "html"}, help: "Output format. Sweeps accept table, csv, jsonl or html"},
		&flagSpec{name: "fit", bool: true, group: groupOutput, help: "Adjust values you did not set until nixlbench accepts the plan"},
		&flagSpec{name: "show_secrets", bool: true, more: true, group: groupOutput, help: "Print secrets instead of masking them"},
		a.planReleaseFlag(),
		releasesFlag())
	flags = append(flags, sweepFlags()...)
	return &command{
		name:  "plan",
		axes:  true,
		short: "Print the nixlbench command that moves a model's KV cache",
		flags: append(flags, a.benchFlags()...),
		exec:  a.plan,
	}
}

func (a *app) plan(ctx context.Context, c *command) error {
	var errs diag.List
	format, err := c.choice("format")
	errs.Add(err)
	fit, err := c.boolean("fit")
	errs.Add(err)
	secrets, err := c.boolean("show_secrets")
	errs.Add(err)
	release, from, given, err := a.chosenRelease(c)
	errs.Add(err)
	if len(errs) > 0 {
		return errs
	}
	planners := plan.NewPlanners(a.schema, release, from)
	jobs, err := a.prepare(c, planners, a.wantsDetail(c), given)
	errs.Add(err)
	for i := range jobs {
		jobs[i].Fit = fit
	}
	if c.isSweep(jobs) {
		return a.sweep(ctx, c, jobs, format, secrets, errs)
	}

	var plans []*plan.Plan
	var pages []report.PlanPage
	masked := false
	for _, j := range jobs {
		done := a.guard.enter(j.Model.File)
		made, err := j.Planner.Plans(j.Request)
		done()
		if err != nil {
			errs.Add(ofModel(c, j, diag.All(about(j.Request, err))...))
		}
		if len(made) == 0 {
			continue
		}
		a.warnMissing(j, quantityNames(made[0]), planShown(made[0]))
		a.warn(made)
		for _, pl := range made {
			for i := range pl.Violations {
				a.print.Print(ofModel(c, j, pl.Violations[i].Warning()))
			}
			if !secrets {
				var hid bool
				pl.Flags, hid = nixlbench.Masked(pl.Flags)
				masked = masked || hid
			}
			plans = append(plans, pl)
		}
		if c.isPage() {
			pages = append(pages, report.PlanPage{Plans: made, Layers: a.layersIfKnown(j, planners)})
		}
	}
	if masked {
		a.print.Print(maskedWarning())
	}
	// Write everything at once, so that an error does not leave partial output.
	var out bytes.Buffer
	if len(plans) > 0 {
		switch format {
		case pageFormat:
			errs.Add(a.planPage(c, jobs, pages))
			return errs.Err()
		case "json":
			err = report.JSON(&out, a.schema.View(c.name), plans)
		case "csv":
			err = report.CSV(&out, a.schema.Fields, a.schema.View(sweepView), plans)
		default:
			err = report.Text(&out, a.textView(c), plans)
		}
		if err == nil {
			err = a.writeAll(c, out.Bytes())
		}
		errs.Add(err)
	}
	return errs.Err()
}

// textView returns the command's view. If there are several models, the view also names the
// model.
func (a *app) textView(c *command) schema.View {
	view := a.schema.View(c.name)
	named := func(r schema.Row) bool { return r.Value == schema.NameParam }
	if len(c.flag("model").text) > 1 && !slices.ContainsFunc(view.Rows, named) {
		view.Rows = slices.Concat([]schema.Row{{Label: "Model", Value: schema.NameParam}}, view.Rows)
	}
	return view
}

// ofModel adds the name of the model to messages about an item if there are several models.
func ofModel(c *command, j plan.Item, messages ...*diag.Diag) diag.List {
	if len(c.flag("model").text) > 1 {
		for _, d := range messages {
			d.WithHint("with model %s", j.Model.Name)
		}
	}
	return messages
}

// maskedWarning returns the warning about commands that contain [nixlbench.Mask].
func maskedWarning() *diag.Diag {
	return diag.Warnf(diag.Pos{}, "secrets are masked, so the command will not run as printed").WithHint("use --show_secrets to print them")
}

func quantityNames(pl *plan.Plan) []string {
	names := make([]string, len(pl.Quantities))
	for i, q := range pl.Quantities {
		names[i] = q.Name
	}
	return names
}
