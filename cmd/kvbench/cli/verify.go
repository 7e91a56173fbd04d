package cli

import (
	"bytes"
	"context"
	"slices"
	"strconv"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/enginelog"
	"kvbench/engine/formula"
	"kvbench/engine/input"
	"kvbench/engine/plan"
	"kvbench/engine/report"
	"kvbench/engine/schema"
)

// verifyCmd compares the log of an engine with a plan.
func (a *app) verifyCmd() *command {
	return &command{
		name:  "verify",
		words: "LOG...",
		short: "Compare a serving engine's log with the computed KV cache",
		flags: append(a.commonFlags(),
			&flagSpec{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "text", values: []string{"text", "json"}, help: "Output format"}),
		exec: a.verify,
	}
}

// stdinWord is the argument that means standard input.
const stdinWord = "-"

func (a *app) verify(_ context.Context, c *command) error {
	format, err := c.choice("format")
	var errs diag.List
	errs.Add(err)
	switch {
	case len(c.args) == 0:
		errs = append(errs, diag.Usagef("nothing to verify: specify the log of a serving engine, or %s for standard input", stdinWord))
	case slices.Contains(c.args, ""):
		errs = append(errs, diag.Usagef("\"\" is not the name of a file"))
	}
	if len(c.flag("model").text) > 1 || c.set["model_configs"] {
		errs = append(errs, diag.Usagef("verify accepts only one model and one configuration").WithHint("use --model once, and --model_config instead of --model_configs"))
	}
	if len(errs) > 0 {
		return errs
	}
	log, err := a.readLogs(c.args)
	if err != nil {
		return err
	}
	a.report(log.Notes.Err())
	j, result, err := a.compare(c, log)
	if err != nil {
		return err
	}
	view := a.schema.View(c.name)
	a.printOnce(a.missing(j, append(rowNames(view), "rank_bytes_per_token")))
	a.warn([]*plan.Plan{result.Plan})
	var out bytes.Buffer
	if format == "json" {
		err = report.VerifyJSON(&out, result, c.logged)
	} else {
		err = report.VerifyText(&out, view, result, a.explainFlags(c))
	}
	if err == nil {
		_, err = a.stdout.Write(out.Bytes())
	}
	if err == nil && !result.Equal {
		err = errShown
	}
	return err
}

// compare compares a log with the plan for the command's model. Some fields are set only
// because a certain line is in the log. If planning fails with such a field, compare
// tries again without the field.
func (a *app) compare(c *command, log *enginelog.Log) (plan.Item, *enginelog.Result, error) {
	overridden := a.applyLog(c, log)
	j, result, err := a.compareWith(c, log, overridden)
	logged := c.logged
	for i, o := range logged {
		if err == nil || !log.Fields[a.schema.Field(o.Path).Var].Implied {
			continue
		}
		c.logged, a.configured = slices.Delete(slices.Clone(logged), i, i+1), false
		j, other, otherErr := a.compareWith(c, log, overridden)
		if otherErr != nil {
			continue
		}
		for _, d := range diag.All(err) {
			note := *d
			note.Severity, note.Usage = diag.Note, false
			a.print.Print(&note)
		}
		return j, other, nil
	}
	return j, result, err
}

func (a *app) compareWith(c *command, log *enginelog.Log, overridden []schema.LogCause) (plan.Item, *enginelog.Result, error) {
	jobs, err := a.prepare(c, plan.NewPlanners(a.schema, a.schema.Nixlbench.Default, ""), true, nil)
	if err != nil {
		return plan.Item{}, nil, err
	}
	j := jobs[0]
	if !plan.UseOf(j.Config).Rank {
		return j, nil, j.Config.Values[schema.AccountingVar].Origin.Errorf("a log contains the numbers for a single rank: expected %s", schema.AccountingRank)
	}
	done := a.guard.enter(j.Model.File)
	result, err := enginelog.Verify(log, j.Planner, j.Request, overridden...)
	done()
	if err != nil {
		err = about(j.Request, err)
	}
	return j, result, err
}

// readLogs reads the logs of one run.
func (a *app) readLogs(names []string) (*enginelog.Log, error) {
	reader, err := enginelog.NewReader(a.schema)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := a.readLog(reader, name); err != nil {
			return nil, err
		}
	}
	return reader.Log()
}

func (a *app) readLog(reader *enginelog.Reader, name string) error {
	if name == stdinWord {
		a.takeSignals() // reading a pipe may take a while
		file, err := input.Stdin(a.guard.watch)
		if err != nil {
			return err
		}
		return reader.Read(input.StdinName, file)
	}
	a.awaits(name)
	file, err := input.Open(name, a.guard.watch)
	if err != nil {
		return err
	}
	defer file.Close()
	return reader.Read(name, file)
}

// applyLog overrides configuration fields with values from a log, except fields that the
// user set. For each of the user's fields that differs from the log, it prints a note. It
// returns the log's values of these fields as possible causes of differences.
func (a *app) applyLog(c *command, log *enginelog.Log) []schema.LogCause {
	var overridden []schema.LogCause
	given := map[string]data.Fact{}
	if configs, err := a.configs(c); err == nil { // prepare reports the error
		given = configs[0].Values
	}
	a.configured = false
	if v := given[schema.EngineVar]; v.Origin.Given() && v.Str != log.Engine {
		delete(log.Fields, schema.EngineReleaseVar)
	}
	for i := range a.schema.Fields {
		f := &a.schema.Fields[i]
		found, ok := log.Fields[f.Var]
		if !ok {
			continue
		}
		if v := given[f.Var]; v.Origin.Given() {
			if v.Text() != found.Text {
				a.print.Print(diag.Notef(found.At, "%s is %s here, but kvbench uses %s, from %s", f.Var, diag.Printable(found.Text), v.Text(), v.Origin))
				overridden = append(overridden, schema.LogCause{Why: "the log has a different value", Set: map[string]formula.Value{f.Var: valueOf(f, found.Text)}})
			}
			continue
		}
		c.logged = append(c.logged, config.Override{Path: f.Path, Text: found.Text, Origin: data.Origin{Kind: data.FromFile, Pos: found.At}})
	}
	return overridden
}

// valueOf converts the text of a field, as found in a log, to a value.
func valueOf(f *schema.Field, text string) formula.Value {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case f.Type.Kinds == schema.KindBool:
		return formula.Truth(text == "true")
	case err == nil && f.Type.Kinds == schema.KindWhole:
		return formula.Number(n)
	}
	return formula.Text(text)
}

// explainFlags returns the flags to add to the user's flags so that the explain command
// shows the numbers that a log was compared with.
func (a *app) explainFlags(c *command) string {
	flags := "--" + schema.AccountingVar + " " + schema.AccountingRank
	for _, o := range c.logged {
		if f := a.schema.Field(o.Path); f.Flag != "" {
			flags += " --" + f.Flag + " " + o.Text
		}
	}
	return flags
}
