package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"kvbench/engine/diag"
	"kvbench/engine/launch"
	"kvbench/engine/nixlbench"
	"kvbench/engine/report"
	"kvbench/engine/runner"
)

// reportCmd shows results.
func (a *app) reportCmd() *command {
	columns := func() []string { return report.Columns(a.schema.View("report"), a.schema) }
	names := report.MetricNames(a.schema)
	return &command{
		name:  "report",
		words: "FILE [BASELINE]",
		short: "Show profile results, or compare two results files",
		flags: append([]*flagSpec{
			{name: "columns", arg: "COLUMNS", group: groupOutput, words: columns, help: "Columns, separated by commas"},
			{name: "match", arg: "COLUMNS", group: groupOutput, words: columns, help: "Compare with BASELINE rows that have the same values in these columns"},
			{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "text", values: []string{"text", "markdown", "csv", "json", "html", "github", "junit"}, help: "Output format. html is a page with charts"},
			{name: "threshold", arg: "PERCENT", group: groupGate, help: "Exit with code 1 if a row is worse by more than this, such as 5%"},
			{name: "metric", arg: "METRICS", group: groupGate, def: names[0], words: func() []string { return names }, help: "Metrics to compare, comma-separated: " + strings.Join(names[:3], ", ") + " and others"},
			configFlag(),
		}, a.resultsPageFlags()...),
		exec: a.showResults,
	}
}

func (a *app) showResults(_ context.Context, c *command) error {
	format, err := c.choice("format")
	var errs diag.List
	errs.Add(err)
	switch {
	case len(c.args) == 0:
		errs = append(errs, diag.Usagef("nothing to report: specify a file written by '%s profile --output'", program))
	case len(c.args) > 2:
		errs = append(errs, diag.Usagef("%d files are too many: expected one, or two to compare", len(c.args)))
	}
	errs.Add(a.checkColumns(c, "columns"))
	errs.Add(a.checkColumns(c, "match"))
	if c.given["match"] && len(c.args) == 1 {
		errs = append(errs, diag.Usagef("--match needs a second file: the baseline"))
	}
	page, err := a.resultsPage(c, format)
	errs.Add(err)
	gate, err := a.gate(c, format)
	errs.Add(err)
	if slices.Contains(c.args, "") {
		errs = append(errs, diag.Usagef("\"\" is not the name of a file"))
	}
	if len(errs) > 0 {
		return errs
	}
	view := a.schema.View(c.name)
	options := &report.Options{Format: format, View: view, Columns: a.namedColumns(c, "columns"), Match: a.namedColumns(c, "match"), Gate: gate}
	names, measures := options.Shown(a.schema)
	keepMuch()
	var read [2]*runner.Results
	var failed [2]error
	var all sync.WaitGroup
	for i, name := range c.args {
		if i > 0 && options.Match == nil && gate == nil { // the report shows only the baseline's measures
			names = []runner.Name{{Name: runner.NameMeasuredBy}} // for sayMixed
			if format == "html" {
				names = append(names, report.OriginNames()...)
			}
		}
		briefs := runner.NewBriefs(names, measures)
		if format == "html" {
			briefs.KeepCommands()
		}
		all.Go(func() { read[i], failed[i] = briefs.Read(name, a.guard.watch) })
	}
	all.Wait()
	var files [2][]*runner.Brief
	var bad diag.List // errors in individual lines, which do not affect other results
	for i, name := range c.args {
		if failed[i] != nil {
			if isJob(name) {
				diag.All(failed[i])[0].WithHint("to read the logs of this job: %s collect -o results.jsonl %s", program, nixlbench.Quote(name))
			}
			errs.Add(failed[i])
			continue
		}
		files[i] = read[i].List
		bad.Add(read[i].Bad)
		if read[i].Torn {
			a.print.Print(diag.Warnf(diag.Pos{File: name}, "the last line is truncated and was skipped"))
		}
	}
	if len(errs) > 0 {
		return append(errs, bad...)
	}
	results := report.Compare(files[0], files[1], options, a.schema)
	switch {
	case options.Match != nil:
		for _, d := range results.Told(c.args[1], a.schema) {
			a.print.Print(d)
		}
	case gate == nil && len(c.args) == 2:
		gone, added := results.Missing()
		switch {
		case added == len(results.Points):
			a.print.Print(diag.Warnf(diag.Pos{File: c.args[1]}, "the file has no points in common with %s", diag.Printable(c.args[0])).
				WithHint("points are compared only if their release, flags and model are the same").
				WithHint("use --match to compare rows with the same values in other columns instead"))
		case gone > 0:
			a.print.Print(diag.Warnf(diag.Pos{File: c.args[1]}, "points that are not in %s: %d", diag.Printable(c.args[0]), gone))
		}
	}
	a.sayMixed(results, options, c.args)
	if gate != nil {
		bad.Add(a.judge(c, results, options))
		return bad.Err()
	}
	if format == "html" {
		err = results.HTML(a.stdout, options, page, a.schema)
	} else {
		err = results.Write(a.stdout, options, a.schema)
	}
	if err != nil {
		return err
	}
	return bad.Err()
}

// sayMixed warns about numbers that different programs measured, unless the table shows the
// programs.
func (a *app) sayMixed(results *report.Results, o *report.Options, files []string) {
	own, base := results.Mixed()
	switch by := strings.Join(own, " and "); {
	case own == nil:
	case len(files) > 1:
		a.print.Print(diag.Warnf(diag.Pos{File: files[1]}, "these results were measured by %s, but those in %s by %s",
			diag.Printable(strings.Join(base, " and ")), diag.Printable(files[0]), diag.Printable(by)))
	case o.Columns != nil && !slices.Contains(o.Columns, runner.NameMeasuredBy):
		a.print.Print(diag.Warnf(diag.Pos{File: files[0]}, "these results were measured by different programs: %s", diag.Printable(by)).
			WithHint("use --columns %s to show the program for each point", runner.NameMeasuredBy))
	}
}

// isJob reports whether a folder with this name contains a job.
func isJob(name string) bool {
	_, err := os.Stat(filepath.Join(name, launch.ManifestName))
	return err == nil
}

// namedColumns returns the names of the columns that a flag lists. The flag may contain
// names or headings.
func (a *app) namedColumns(c *command, flag string) []string {
	names := c.list(flag)
	for i, name := range names {
		names[i] = report.ColumnOf(a.schema.View(c.name), a.schema, name)
	}
	return names
}

// checkColumns returns an error if a flag lists a column that does not exist, or lists a
// column twice.
func (a *app) checkColumns(c *command, flag string) error {
	view := a.schema.View(c.name)
	known := report.Columns(view, a.schema)
	_, from, _ := c.value(flag)
	var errs diag.List
	names := a.namedColumns(c, flag)
	for i, name := range names {
		switch near := report.ColumnMeant(a.schema, name); {
		case slices.Contains(names[:i], name):
			errs = append(errs, from.Errorf("%q is given twice", name))
		case slices.Contains(known, name):
		case near != "":
			errs = append(errs, from.Errorf("there is no column %q", name).WithHint("did you mean %q?", near))
		default:
			d := from.Errorf("there is no column %q", name)
			if !d.Suggest(name, known) {
				d.WithHint("a column is a quantity, a configuration field, a nixlbench flag, or a measure; see the first line of --format csv")
			}
			errs = append(errs, d)
		}
	}
	return errs.Err()
}
