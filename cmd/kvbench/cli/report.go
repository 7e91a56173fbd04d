package cli

import (
	"context"
	"slices"
	"sync"

	"kvbench/engine/diag"
	"kvbench/engine/report"
	"kvbench/engine/runner"
)

const reportLong = `
Shows the results that kvbench profile --output keeps, a line for each point and
size of IO: medians over the repeats, with the least and the greatest. Values of
the configuration that differ from point to point are columns. Runs that did not
end well are counted, and their numbers are shown only where there are no better
ones. --format csv has every setting, and the same columns whatever the results.

With BASELINE, another such file, every point is compared with the same point
there: same release, flags and model. The ratio is that of the medians; in
brackets stand the least and the greatest that any two runs give.

Lines that are not results are named on stderr and the rest is shown; the exit
code is then 1. A last line that is cut off is skipped with a warning. A line has
at most 4 MiB.`

// reportCmd shows results.
func (a *app) reportCmd() *command {
	return &command{
		name:  "report",
		words: "FILE [BASELINE]",
		short: "Show the results of profile, or compare two files of them",
		long:  reportLong,
		flags: []*flagSpec{
			{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "text", values: []string{"text", "markdown", "csv", "json"}, help: "Output format"},
			configFlag(),
		},
		exec: a.showResults,
	}
}

func (a *app) showResults(_ context.Context, c *command) error {
	format, err := c.choice("format")
	var errs diag.List
	errs.Add(err)
	switch {
	case len(c.args) == 0:
		errs = append(errs, diag.Usagef("nothing to report: name a file that %s profile --output has written", program))
	case len(c.args) > 2:
		errs = append(errs, diag.Usagef("%d files are too many: want one, or two to compare", len(c.args)))
	}
	if slices.Contains(c.args, "") {
		errs = append(errs, diag.Usagef("\"\" is not the name of a file"))
	}
	if len(errs) > 0 {
		return errs
	}
	view := a.schema.Views[c.name]
	names, measures := report.Shown(format, view, a.schema)
	keepMuch()
	var read [2]*runner.Results
	var failed [2]error
	var all sync.WaitGroup
	for i, name := range c.args {
		if i > 0 { // of the baseline, measures are all that is shown
			names, measures = nil, a.schema.Nixlbench.Runs.Get().Measures
		}
		briefs := runner.NewBriefs(names, measures)
		all.Go(func() { read[i], failed[i] = briefs.Read(name, a.guard.watch) })
	}
	all.Wait()
	var files [2][]*runner.Brief
	var bad diag.List // lines of files that have results
	for i, name := range c.args {
		if failed[i] != nil {
			errs.Add(failed[i])
			continue
		}
		files[i] = read[i].List
		bad.Add(read[i].Bad)
		if read[i].Torn {
			a.print.Print(diag.Warnf(diag.Pos{File: name}, "the last line is cut off and was skipped"))
		}
	}
	if len(errs) > 0 {
		return append(errs, bad...)
	}
	results := report.Compare(files[0], files[1])
	if len(c.args) == 2 {
		gone, added := results.Missing()
		switch {
		case added == len(results.Points):
			a.print.Print(diag.Warnf(diag.Pos{File: c.args[1]}, "it has none of the points of %s", diag.Printable(c.args[0])).
				WithHint("points are the same if release, flags and model are"))
		case gone > 0:
			a.print.Print(diag.Warnf(diag.Pos{File: c.args[1]}, "points that are not in %s: %d", diag.Printable(c.args[0]), gone))
		}
	}
	if err := results.Write(a.stdout, format, view, a.schema); err != nil {
		return err
	}
	return bad.Err()
}
