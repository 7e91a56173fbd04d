package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// Err returns an error if any verdict makes the comparison fail, or if nothing was compared. The
// arguments now and base are the names of the results file and the baseline file.
func (j *Judged) Err(now, base string) error {
	at := diag.Pos{File: now}
	switch bad := j.count(Regression) + j.count(Broken); {
	case bad > 0:
		return diag.Errorf(at, "%s with %s: %s", plural(j.compared(), "comparison"), diag.Printable(base), j.tally())
	case j.noneCompared():
		return diag.Errorf(at, "nothing was compared with %s: %s", diag.Printable(base), j.tally()).
			WithHint("points are compared only if their release, flags and model are the same").
			WithHint("use --match to compare rows with the same values in other columns instead")
	}
	return nil
}

// Notes returns notes about comparisons with too few runs to tell noise from change, and about
// metrics that no row has.
func (j *Judged) Notes(now string) []*diag.Diag {
	at := diag.Pos{File: now}
	var list []*diag.Diag
	untested := j.untested()
	if untested > 0 {
		list = append(list, diag.Notef(at, "in %d of %s, there are too few runs to tell noise from change: at %d%% confidence, the %s needs at least %d runs in each file",
			untested, plural(j.compared(), "comparison"), j.gate.Confidence, TestName, j.gate.leastRuns()).
			WithHint("repeat each point with '--repeat %d'", j.gate.leastRuns()+1))
	}
	for _, m := range j.gate.Metrics {
		has := func(c *check) bool { return c.metric != nil && c.metric.Name == m.Name }
		if j.compared() > 0 && !slices.ContainsFunc(j.checks, has) {
			list = append(list, diag.Warnf(at, "no row that is in both files has %s", m.Key))
		}
	}
	return list
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (j *Judged) count(v Verdict) int {
	n := 0
	for _, c := range j.checks {
		if c.verdict == v {
			n++
		}
	}
	return n
}

func (j *Judged) compared() int {
	return j.count(Regression) + j.count(Noise) + j.count(Improvement) + j.count(Unchanged)
}

// noneCompared reports whether the comparison fails only because no rows could be compared.
func (j *Judged) noneCompared() bool { return j.compared()+j.count(Broken) == 0 }

func (j *Judged) untested() int {
	n := 0
	for _, c := range j.checks {
		if c.verdict.compared() && !c.tested {
			n++
		}
	}
	return n
}

// tally returns how often each verdict occurs, such as "1 regression, 3 unchanged".
func (j *Judged) tally() string {
	var parts []string
	for _, v := range verdicts {
		switch n := j.count(v); {
		case n == 0:
		case v == Regression || v == Improvement:
			parts = append(parts, plural(n, string(v)))
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	return strings.Join(parts, ", ")
}

// method describes how the verdicts were reached.
func (j *Judged) method() string {
	text := fmt.Sprintf("%s: %s. A change of at most %s is accepted", plural(j.compared(), "comparison"), j.tally(), percent(j.gate.Threshold))
	if n := j.compared() - j.untested(); n > 0 {
		text += fmt.Sprintf("; in %d of %d, a larger change counts only if the %s shows it at %d%% confidence", n, j.compared(), TestName, j.gate.Confidence)
	}
	if n := j.untested(); n > 0 {
		text += fmt.Sprintf("; in %d of %d, there are too few runs to tell noise from change", n, j.compared())
	}
	return text + "."
}

func percent(x float64) string { return strconv.FormatFloat(x*100, 'f', -1, 64) + "%" }

// Write writes the verdicts as text, markdown, json or junit.
func (j *Judged) Write(w io.Writer, format string) error {
	switch format {
	case "json":
		return j.json(w)
	case "junit":
		return j.junit(w)
	}
	if err := table(w, format, j.rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", j.method())
	return err
}

func (j *Judged) rows(row func(...string)) {
	head := []string{"verdict", "metric", "change", "now", "baseline", "p", "runs"}
	for _, s := range j.shown {
		head = append(head, s.label)
	}
	for _, m := range j.sizes {
		head = append(head, m.Label)
	}
	explained := slices.ContainsFunc(j.checks, func(c *check) bool { return c.why != "" })
	if explained {
		head = append(head, "why")
	}
	row(head...)
	for _, c := range j.checks {
		cells := []string{string(c.verdict), c.heading(), c.changed(), none, none, c.significance(), c.runs()}
		if c.metric != nil {
			cells[3], cells[4] = c.line.spread(c.measure).median, c.base.spread(c.measure).median
		}
		cells = append(cells, labels(j.shown, c.line.point)...)
		for _, m := range j.sizes {
			cells = append(cells, c.sizes().shown(m))
		}
		if explained {
			cells = append(cells, cmp.Or(c.why, none))
		}
		row(cells...)
	}
}

// sizes returns the row whose sizes are shown. A row that failed has no sizes.
func (c *check) sizes() *line {
	if len(c.line.rows) == 0 && c.base != nil {
		return c.base
	}
	return c.line
}

func (c *check) heading() string {
	switch {
	case c.metric == nil:
		return none
	case c.measure.Label != "":
		return c.measure.Label
	}
	return c.metric.Key
}

func (c *check) changed() string {
	if !c.verdict.compared() {
		return none
	}
	return fmt.Sprintf("%+.1f%%", c.change*100)
}

func (c *check) significance() string {
	if !c.verdict.compared() || !c.tested {
		return none
	}
	return fmt.Sprintf("%.3f", c.p)
}

// runs returns the numbers of runs in the results and in the baseline.
func (c *check) runs() string {
	switch {
	case c.verdict == Missing:
		return fmt.Sprintf("0, %d", len(c.line.rows))
	case c.base == nil:
		return fmt.Sprintf("%d, 0", len(c.line.rows))
	}
	return fmt.Sprintf("%d, %d", len(c.line.rows), len(c.base.rows))
}

// name returns a description of the row.
func (j *Judged) name(c *check) string {
	var parts []string
	for i, cell := range labels(j.shown, c.line.point) {
		if cell != none && cell != "none" {
			parts = append(parts, j.shown[i].label+" "+cell)
		}
	}
	for _, m := range j.sizes {
		parts = append(parts, m.Label+" "+c.sizes().shown(m))
	}
	return strings.Join(parts, ", ")
}

// sentence describes the verdict on a row.
func (j *Judged) sentence(c *check) string {
	if c.why != "" {
		return fmt.Sprintf("%s: %s", c.verdict, c.why)
	}
	if !c.verdict.compared() {
		return string(c.verdict)
	}
	text := fmt.Sprintf("%s: %s is %s, was %s (%s)", c.verdict, c.heading(), c.line.spread(c.measure).median,
		c.base.spread(c.measure).median, c.changed())
	runs := fmt.Sprintf("%s, baseline %d", plural(len(c.line.rows), "run"), len(c.base.rows))
	if c.tested {
		return fmt.Sprintf("%s; p=%s, %s", text, c.significance(), runs)
	}
	return fmt.Sprintf("%s; %s: too few to tell noise from change", text, runs)
}

// Annotations returns a diagnostic for each verdict other than [Unchanged], and a summary.
func (j *Judged) Annotations() []*diag.Diag {
	var list []*diag.Diag
	for _, c := range j.checks {
		say := diag.Notef
		switch {
		case c.verdict == Unchanged:
			continue
		case c.verdict.fails():
			say = diag.Errorf
		case c.verdict == Missing || c.verdict == NotCompared:
			say = diag.Warnf
		}
		list = append(list, say(diag.Pos{}, "%s: %s", j.sentence(c), j.name(c)))
	}
	if j.noneCompared() {
		list = append(list, diag.Errorf(diag.Pos{}, "nothing was compared"))
	}
	return append(list, diag.Notef(diag.Pos{}, "%s", j.method()))
}

type judgedJSON struct {
	Threshold   float64        `json:"threshold"`
	Confidence  int            `json:"confidence_percent"`
	Test        string         `json:"test"`
	Failed      bool           `json:"failed"`
	Counts      map[string]int `json:"counts"`
	Comparisons []checkJSON    `json:"comparisons"`
}

type checkJSON struct {
	Verdict       Verdict        `json:"verdict"`
	Why           string         `json:"why,omitempty"`
	Metric        string         `json:"metric,omitempty"`
	Key           string         `json:"key,omitempty"`
	Change        *float64       `json:"change,omitempty"`
	Now           any            `json:"now,omitempty"`
	Baseline      any            `json:"baseline,omitempty"`
	Tested        *bool          `json:"tested,omitempty"`
	P             *float64       `json:"p,omitempty"`
	Runs          int            `json:"runs"`
	BaselineRuns  int            `json:"baseline_runs"`
	Point         string         `json:"point,omitempty"`
	BaselinePoint string         `json:"baseline_point,omitempty"`
	Row           map[string]any `json:"row"`
}

func (j *Judged) json(w io.Writer) error {
	out := judgedJSON{Threshold: j.gate.Threshold, Confidence: j.gate.Confidence, Test: TestName, Counts: map[string]int{}, Comparisons: []checkJSON{}}
	for _, v := range verdicts {
		out.Counts[string(v)] = j.count(v)
		out.Failed = out.Failed || v.fails() && j.count(v) > 0
	}
	out.Failed = out.Failed || j.noneCompared()
	for _, c := range j.checks {
		out.Comparisons = append(out.Comparisons, j.native(c))
	}
	return JSONText(w, out)
}

func (j *Judged) native(c *check) checkJSON {
	obj := checkJSON{Verdict: c.verdict, Why: c.why, Row: map[string]any{}}
	if c.metric != nil {
		obj.Metric, obj.Key = c.metric.Name, c.metric.Key
		now, was := c.line.spread(c.measure), c.base.spread(c.measure)
		obj.Now, obj.Baseline = now.native(now.median), was.native(was.median)
	}
	if c.verdict.compared() {
		obj.Change, obj.Tested = &c.change, &c.tested
		if c.tested {
			obj.P = &c.p
		}
	}
	if c.verdict == Missing {
		obj.BaselineRuns, obj.BaselinePoint = len(c.line.rows), c.line.point[0].Point
	} else {
		obj.Runs, obj.Point = len(c.line.rows), c.line.point[0].Point
	}
	if c.base != nil {
		obj.BaselineRuns, obj.BaselinePoint = len(c.base.rows), c.base.point[0].Point
	}
	for _, s := range j.shown {
		obj.Row[s.key], _ = c.line.point[0].Value(s.of.From, s.of.Name)
	}
	for _, m := range j.sizes {
		size := c.sizes().spread(m)
		obj.Row[m.Key] = size.native(size.median)
	}
	return obj
}

// The elements of a JUnit report. Rows that could not be compared are reported as skipped tests.
type (
	junitSuites struct {
		XMLName xml.Name   `xml:"testsuites"`
		Suite   junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
		Out      string      `xml:"system-out"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitFailure `xml:"failure"`
		Skipped *junitSkipped `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
)

func (j *Judged) junit(w io.Writer) error {
	suite := junitSuite{Name: "kvbench report", Tests: len(j.checks), Out: j.method()}
	for _, c := range j.checks {
		test := junitCase{Class: "kvbench.report", Name: j.name(c)}
		if c.metric != nil {
			test.Class += "." + c.metric.Name
		}
		switch {
		case c.verdict.fails():
			test.Failure = &junitFailure{string(c.verdict), j.sentence(c)}
			suite.Failures++
		case c.verdict.compared():
			test.Out = j.sentence(c)
		default:
			test.Skipped = &junitSkipped{j.sentence(c)}
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, test)
	}
	if j.noneCompared() { // a report in which all tests were skipped would look like a success
		suite.Cases = append(suite.Cases, junitCase{Class: "kvbench.report", Name: "comparison", Failure: &junitFailure{"nothing", "nothing was compared"}})
		suite.Tests++
		suite.Failures++
	}
	text, err := xml.MarshalIndent(junitSuites{Suite: suite}, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	}
	return err
}

// MetricNamed returns the metric with the given name or column name.
func MetricNamed(s *schema.Schema, name string) (schema.Metric, bool) {
	all := s.Nixlbench.Runs.Get().Metrics
	i := slices.IndexFunc(all, func(m schema.Metric) bool { return m.Name == name || m.Key == name })
	if i < 0 {
		return schema.Metric{}, false
	}
	return all[i], true
}

// MetricNames returns the names of the metrics.
func MetricNames(s *schema.Schema) []string {
	var names []string
	for _, m := range s.Nixlbench.Runs.Get().Metrics {
		names = append(names, m.Name)
	}
	return names
}
