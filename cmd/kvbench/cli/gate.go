package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/report"
)

// groupGate is the heading of the flags for comparing results with a limit.
const groupGate = "A limit on regressions"

// ciFormats are the formats that can show only verdicts.
var ciFormats = []string{"github", "junit"}

// gate returns the limit that --threshold sets, or nil.
func (a *app) gate(c *command, format string) (*report.Gate, error) {
	text, from, ok := c.value("threshold")
	if !ok {
		switch {
		case slices.Contains(ciFormats, format):
			return nil, diag.Usagef("--format %s needs --threshold, because it shows how results compare with a limit", format)
		case c.given["metric"]:
			return nil, diag.Usagef("--metric needs --threshold, the limit to compare the metric with")
		}
		return nil, nil
	}
	var errs diag.List
	g := &report.Gate{Confidence: a.schema.Nixlbench.Runs.Get().Confidence}
	number, hasUnit := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if g.Threshold = n / 100; err != nil || !hasUnit || !(n >= 0 && n < 100) {
		errs = append(errs, from.Errorf("%q is not allowed: expected a percentage from 0%% up to, but not including, 100%%, such as 5%%", text))
	}
	if len(c.args) == 1 {
		errs = append(errs, diag.Usagef("--threshold needs a second file: the baseline"))
	}
	if c.given["columns"] {
		errs = append(errs, diag.Usagef("--columns cannot be used with --threshold, which has its own columns"))
	}
	if known := append([]string{"text", "markdown", "json"}, ciFormats...); format != "" && !slices.Contains(known, format) {
		d := diag.Usagef("--format %s cannot be used with --threshold: expected one of %s", format, strings.Join(known, ", "))
		if !c.given["format"] {
			_, from, _ := c.value("format")
			d = from.Errorf("%q cannot be used with --threshold: expected one of %s", format, strings.Join(known, ", ")).
				WithHint("--format overrides it")
		}
		errs = append(errs, d)
	}
	errs.Add(a.metrics(c, g))
	return g, errs.Err()
}

// metrics reads --metric, and sets the metrics that the limit applies to.
func (a *app) metrics(c *command, g *report.Gate) error {
	known := report.MetricNames(a.schema)
	names := c.list("metric")
	if !c.set["metric"] {
		names = known[:1]
	}
	_, from, _ := c.value("metric")
	var errs diag.List
	for _, name := range names {
		m, ok := report.MetricNamed(a.schema, report.ColumnOf(a.schema.View(c.name), a.schema, name))
		switch {
		case !ok:
			d := from.Errorf("there is no metric %q: expected one of %s", name, strings.Join(known, ", "))
			d.Suggest(name, known)
			errs = append(errs, d)
		case slices.Contains(g.Metrics, m):
			errs = append(errs, from.Errorf("%q is given twice", name))
		default:
			g.Metrics = append(g.Metrics, m)
		}
	}
	return errs.Err()
}

// judge shows how results compare with a limit. It returns an error if a result is worse
// than the limit allows.
func (a *app) judge(c *command, results *report.Results, o *report.Options) error {
	judged := results.Judge(o.Gate, o, a.schema)
	for _, d := range judged.Notes(c.args[0]) {
		a.print.Print(d)
	}
	if o.Format == "github" {
		for _, d := range judged.Annotations() {
			if _, err := fmt.Fprintln(a.stdout, annotation(d)); err != nil {
				return err
			}
		}
	} else if err := judged.Write(a.stdout, o.Format); err != nil {
		return err
	}
	return judged.Err(c.args[0], c.args[1])
}
