package cli

import (
	"bytes"
	"context"
	"slices"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/report"
)

// explainCmd shows the equations behind a plan.
func (a *app) explainCmd() *command {
	flags := append(a.commonFlags(),
		&flagSpec{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "text", values: []string{"text", "json", "markdown"}, help: "Output format"},
		&flagSpec{name: "fit", bool: true, group: groupOutput, help: "Explain the plan that --fit produces"},
		a.planReleaseFlag(),
		releasesFlag())
	return &command{
		name:     "explain",
		words:    "[NAME]",
		short:    "Show the equations behind a plan",
		flags:    append(flags, a.benchFlags()...),
		exec:     a.explain,
		complete: a.explainable,
	}
}

func (a *app) explain(_ context.Context, c *command) error {
	var errs diag.List
	format, err := c.choice("format")
	errs.Add(err)
	fit, err := c.boolean("fit")
	errs.Add(err)
	if len(c.args) > 1 {
		errs = append(errs, diag.Usagef("unexpected argument %q: only one name can be explained at a time", c.args[1]))
	}
	release, from, given, err := a.chosenRelease(c)
	errs.Add(err)
	if len(errs) > 0 {
		return errs
	}
	if len(c.args) == 1 && c.args[0] == layersWord {
		return a.explainLayers(c, format, plan.NewPlanners(a.schema, release, from), given)
	}
	jobs, err := a.prepare(c, plan.NewPlanners(a.schema, release, from), len(c.args) == 1, given)
	errs.Add(err)
	var out bytes.Buffer
	var all []*plan.Explanation
	var one [][]*plan.Step
	for _, j := range jobs {
		j.Fit = fit
		if len(c.args) == 1 {
			done := a.guard.enter(j.Model.File)
			steps, err := explainOne(j, c.args[0])
			done()
			if err != nil {
				errs.Add(err)
				continue
			}
			one = append(one, steps)
			a.printOnce(a.given(j, plan.Shown{Names: quantitiesOf(a.schema), Flags: true}))
			continue
		}
		done := a.guard.enter(j.Model.File)
		made, err := j.Planner.Explain(j.Request)
		done()
		if err != nil {
			errs.Add(about(j.Request, err))
		}
		for i, e := range made {
			if i == 0 {
				a.warnMissing(j, quantityNames(e.Plan), planShown(e.Plan))
			}
			a.warn([]*plan.Plan{e.Plan})
			masked, _ := nixlbench.Masked(e.Plan.Flags)
			for i := range e.Flags {
				e.Flags[i].Value = masked[i].Value
			}
			all = append(all, e)
		}
	}
	if len(one) > 0 {
		errs.Add(writeSteps(&out, one, format))
	}
	if len(all) > 0 {
		switch format {
		case "json":
			err = report.ExplainJSON(&out, all)
		case "markdown":
			err = report.ExplainMarkdown(&out, a.schema.View("plan"), all)
		default:
			err = report.ExplainText(&out, a.schema.View("plan"), all)
		}
		errs.Add(err)
	}
	_, err = a.stdout.Write(out.Bytes())
	errs.Add(err)
	return errs.Err()
}

// explainOne explains one name in a plan.
func explainOne(j plan.Item, name string) ([]*plan.Step, error) {
	steps, err := j.Planner.ExplainOne(j.Request, name)
	if err != nil {
		return nil, about(j.Request, err)
	}
	var distinct []*plan.Step // several I/Os can have the same explanation, which is shown once
	var shown []string
	for _, step := range steps {
		var one bytes.Buffer
		if err := report.StepsJSON(&one, []*plan.Step{step}); err != nil {
			return nil, err
		}
		if !slices.Contains(shown, one.String()) {
			shown = append(shown, one.String())
			distinct = append(distinct, step)
		}
	}
	return distinct, nil
}

// writeSteps writes the explanations of one name in several plans.
func writeSteps(out *bytes.Buffer, all [][]*plan.Step, format string) error {
	if format == "json" {
		return report.StepsJSON(out, slices.Concat(all...))
	}
	for i, steps := range all {
		if i > 0 {
			out.WriteString("\n")
		}
		if format == "markdown" {
			report.StepMarkdown(out, steps)
		} else {
			report.StepText(out, steps)
		}
	}
	return nil
}
