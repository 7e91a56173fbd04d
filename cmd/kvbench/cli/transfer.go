package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/plan"
	"kvbench/engine/report"
	"kvbench/engine/sweep"
	"kvbench/engine/transfer"
)

// transferCmd shows what each pair of ranks moves between the prefill side and the decode
// side.
func (a *app) transferCmd() *command {
	flags := append(a.transferFlags(""),
		&flagSpec{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "text", values: []string{"text", "json", "csv", "jsonl", "table", "html"}, help: "Output format. Sweeps accept table, csv, jsonl or html"})
	return &command{
		name:      "transfer",
		short:     "Show what moves from prefill ranks to decode ranks, and how fast",
		flags:     append(flags, sweepFlags()...),
		axes:      true,
		transfers: true,
		exec:      a.transfer,
	}
}

// transferFlags returns the flags of commands whose plans are all transfers. The short help
// describes only the transfer flags in the given section of the configuration, or all of them
// if section is "".
func (a *app) transferFlags(section string) []*flagSpec {
	flags := a.commonFlags()
	for i := range a.schema.Fields {
		if f := &a.schema.Fields[i]; f.Transfer && !f.More && strings.HasPrefix(f.Path, section) {
			flagOf(flags, f.Flag).more = false
		}
	}
	return flags
}

// transferNames returns the names of the quantities that the command may show, separated
// by commas.
func (a *app) transferNames(c *command) string {
	where, _, _ := c.value("where")
	condition, _ := sweep.Condition(a.schema, where) // the sweep reports the error
	names := slices.Concat(rowNames(a.schema.View(transfersView)), report.Answers, c.list("columns"), condition.Names())
	for _, name := range c.list("sort") {
		names = append(names, strings.TrimPrefix(name, "-"))
	}
	return strings.Join(names, ",")
}

func flagOf(flags []*flagSpec, name string) *flagSpec {
	for _, f := range flags {
		if f.name == name {
			return f
		}
	}
	return &flagSpec{}
}

func (a *app) transfer(ctx context.Context, c *command) error {
	format, err := c.choice("format")
	if err != nil {
		return err
	}
	var errs diag.List
	jobs, err := a.prepare(c, plan.NewPlanners(a.schema, a.schema.Nixlbench.Default, ""), false, nil)
	errs.Add(err)
	if c.isSweep(jobs) {
		return a.sweep(ctx, c, jobs, format, false, errs)
	}
	var out bytes.Buffer
	var list []report.Transfer
	for _, j := range jobs {
		done := a.guard.enter(j.Model.File)
		t, err := transfer.Of(j.Planner, j.Request)
		if err == nil && format == "text" {
			if len(list) > 0 {
				fmt.Fprintln(&out)
			}
			err = report.TransferText(&out, a.schema.View(c.name), report.Transfer{Transfer: t, Planner: j.Planner})
		}
		done()
		if err != nil {
			errs.Add(about(j.Request, err))
			continue
		}
		shown := a.onlyQuantities(strings.Split(a.transferNames(c), ","))
		if format == "csv" { // it has only the columns of pairs
			shown = slices.DeleteFunc(shown, func(name string) bool { return slices.Contains(report.Answers, name) })
		}
		a.warnMissing(j, append(quantitiesOf(a.schema), lengthField), plan.Shown{Names: shown})
		for _, w := range t.Warnings {
			a.print.Print(w)
		}
		list = append(list, report.Transfer{Transfer: t, Planner: j.Planner})
	}
	if len(list) == 0 {
		return errs.Err()
	}
	switch format {
	case "json":
		err = report.TransferJSON(&out, list)
	case "csv":
		err = report.TransferCSV(&out, list)
	case pageFormat:
		err = report.TransfersHTML(&out, a.schema.View(c.name), list)
	default:
		err = nil
	}
	if err == nil {
		err = a.writeAll(c, out.Bytes())
	}
	errs.Add(err)
	return errs.Err()
}
