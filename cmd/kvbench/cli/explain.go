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
	var one [][]*report.Answer
	for _, j := range jobs {
		j.Fit = fit
		if len(c.args) == 1 {
			done := a.guard.enter(j.Model.File)
			answers, err := j.Planner.ExplainOne(j.Request, c.args[0])
			done()
			if err != nil {
				errs.Add(about(j.Request, err))
				continue
			}
			for _, answer := range answers {
				a.warn([]*plan.Plan{answer.Plan})
			}
			one = append(one, report.Distinct(answers))
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
		errs.Add(writeAnswers(&out, one, format))
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

// writeAnswers writes the explanations of one name for several requests.
func writeAnswers(out *bytes.Buffer, all [][]*report.Answer, format string) error {
	flat := slices.Concat(all...)
	titles := len(flat) > 1
	if format == "json" {
		return report.AnswersJSON(out, flat, titles)
	}
	for i, answers := range all {
		if i > 0 {
			out.WriteString("\n")
		}
		if format == "markdown" {
			report.AnswerMarkdown(out, answers, titles)
		} else {
			report.AnswerText(out, answers, titles)
		}
	}
	return nil
}
