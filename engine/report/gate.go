package report

import (
	"math"
	"slices"

	"golang.org/x/perf/benchmath"

	"kvbench/engine/nixlbench"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// Gate limits how much worse the results may be than the baseline.
type Gate struct {
	// Threshold is the largest accepted degradation, as a fraction of the baseline.
	Threshold float64
	Metrics   []schema.Metric
	// Confidence is the confidence level of the test for differences, in percent.
	Confidence int
}

// TestName is the name of the statistical test that distinguishes changes from noise. The
// test makes no assumptions about the distribution of the measurements.
const TestName = "Mann-Whitney U test"

func (g *Gate) alpha() float64 { return 1 - float64(g.Confidence)/100 }

// Verdict is the outcome of comparing a measurement with its baseline.
type Verdict string

// The verdicts, worst first.
const (
	Regression  Verdict = "regression"
	Broken      Verdict = "failed"       // only the baseline has a valid measurement
	Noise       Verdict = "noise"        // beyond the threshold, but the runs vary too much to be sure
	Improvement Verdict = "improvement"  // better by more than the threshold
	Unchanged   Verdict = "unchanged"    // within the threshold
	NotCompared Verdict = "not compared" // the baseline has no valid measurement
	Missing     Verdict = "missing"      // only in the baseline
	New         Verdict = "new"          // not in the baseline
)

var verdicts = []Verdict{Regression, Broken, Noise, Improvement, Unchanged, NotCompared, Missing, New}

// fails reports whether the verdict makes the comparison fail.
func (v Verdict) fails() bool { return v == Regression || v == Broken }

// compared reports whether the verdict is based on two measurements.
func (v Verdict) compared() bool {
	return v == Regression || v == Noise || v == Improvement || v == Unchanged
}

// check is the verdict on one metric of one row.
type check struct {
	verdict Verdict
	why     string // why there is no measurement to compare
	metric  *schema.Metric
	measure schema.Measure
	line    *line // the row of the results, or of the baseline if the verdict is Missing
	base    *line // the row of the baseline, or nil
	change  float64
	p       float64
	tested  bool // whether there are enough runs for the test
}

// Judged holds the verdicts on results, worst first.
type Judged struct {
	gate   *Gate
	checks []*check
	shown  []setting
	sizes  []schema.Measure // the measures that distinguish rows
}

// Judge compares results with their baseline.
func (r *Results) Judge(g *Gate, o *Options, s *schema.Schema) *Judged {
	j := &Judged{gate: g, shown: r.settings(o, s)}
	j.sizes = slices.DeleteFunc(slices.Clone(s.Nixlbench.Runs.Get().Measures), func(m schema.Measure) bool { return !m.ID })
	all := everyMeasure(s)
	for _, pair := range r.pairs(j.sizes) {
		if pair.base == nil || pair.verdict != "" {
			j.checks = append(j.checks, &pair)
			continue
		}
		for i := range g.Metrics {
			c := pair
			c.metric = &g.Metrics[i]
			c.measure = measureOf(all, c.metric.Key)
			if g.judge(&c) {
				j.checks = append(j.checks, &c)
			}
		}
	}
	slices.SortStableFunc(j.checks, func(a, b *check) int {
		return slices.Index(verdicts, a.verdict) - slices.Index(verdicts, b.verdict)
	})
	return j
}

// measureOf returns the measure with the given key.
func measureOf(all []schema.Measure, key string) schema.Measure {
	i := slices.IndexFunc(all, func(m schema.Measure) bool { return m.Key == key })
	if i < 0 {
		return schema.Measure{Key: key}
	}
	return all[i]
}

// pairs matches the rows of the results with those of the baseline. Pairs that cannot
// be compared already have a verdict.
func (r *Results) pairs(sizes []schema.Measure) []check {
	p := &pairing{used: map[*line]bool{}}
	if r.match != nil {
		r.pairsByColumns(p, sizes)
	} else {
		r.pairsByPoint(p, sizes)
	}
	return p.checks
}

type pairing struct {
	checks []check
	used   map[*line]bool // the rows of the baseline that have been paired
}

// add adds a row with the corresponding row of the baseline, which may be nil.
func (p *pairing) add(l, base *line) {
	c := check{line: l, base: base}
	switch {
	case base == nil:
		c.verdict = New
	case !base.trusted && !l.trusted:
		c.verdict, c.why = NotCompared, "both results are "+status(l.point)
	case !base.trusted:
		c.verdict, c.why = NotCompared, "the baseline is "+status(base.point)
	case !l.trusted:
		c.verdict, c.why = Broken, "the result is "+status(l.point)
	}
	p.used[base] = true
	p.checks = append(p.checks, c)
}

// missing adds the rows of the baseline that have not been paired.
func (p *pairing) missing(rows []*line) {
	for _, l := range rows {
		if !p.used[l] {
			p.checks = append(p.checks, check{verdict: Missing, line: l})
		}
	}
}

func (r *Results) pairsByPoint(p *pairing, sizes []schema.Measure) {
	now := byName(r.Points)
	for _, point := range r.Points {
		base := rowsOfPoint(sizes, r.base[point[0].Point])
		own := rowsOfPoint(sizes, point)
		if len(own) > 0 && !own[0].trusted && len(base) > 0 { // the run may have printed only some rows
			own = nil
			for _, l := range base {
				p.add(&line{point: point, sizes: l.sizes}, l)
			}
		}
		bySizes := map[string]*line{}
		for _, l := range base {
			bySizes[l.sizes] = l
		}
		for _, l := range own {
			p.add(l, bySizes[l.sizes])
		}
		p.missing(base)
	}
	for _, point := range r.Baseline {
		if now[point[0].Point] == nil {
			p.missing(rowsOfPoint(sizes, point))
		}
	}
}

func (r *Results) pairsByColumns(p *pairing, sizes []schema.Measure) {
	for _, point := range r.Points {
		for _, l := range rowsOfPoint(sizes, point) {
			found := r.match.lines[r.match.key(point, l)]
			switch len(found) {
			case 0:
				p.add(l, nil)
			case 1:
				p.add(l, found[0])
			default:
				p.checks = append(p.checks, check{verdict: NotCompared, line: l, why: "the row matches more than one row of the baseline"})
				for _, f := range found {
					p.used[f] = true
				}
			}
		}
	}
	p.missing(r.match.all)
}

// rowsOfPoint returns the rows of a point. In a run on two machines, the side that does not
// print the table has no rows.
func rowsOfPoint(sizes []schema.Measure, p Point) []*line {
	silent := !slices.ContainsFunc(p, func(rec *runner.Brief) bool { return len(rec.Rows) > 0 || rec.Role == "" || rec.Status != runner.OK })
	if silent {
		return nil
	}
	return lines(sizes, p)
}

// judge compares the measurements of two rows. It returns false if the baseline has no
// measurement.
func (g *Gate) judge(c *check) bool {
	now, was := c.line.numbers(c.measure), c.base.numbers(c.measure)
	if len(was) == 0 {
		return false
	}
	if len(now) == 0 {
		c.verdict, c.why = Broken, "there is no measurement"
		return true
	}
	own, base := nixlbench.Number(median(now)).Float(), nixlbench.Number(median(was)).Float()
	switch {
	case math.IsNaN(own) || math.IsInf(own, 0):
		c.verdict, c.why = Broken, "the measurement is not a finite number"
		return true
	case math.IsNaN(base) || math.IsInf(base, 0) || base <= 0:
		c.verdict, c.why = NotCompared, "the baseline is not a positive number"
		return true
	}
	c.change = own/base - 1
	if c.tested = leastP(len(now), len(was)) < g.alpha(); c.tested {
		t := &benchmath.Thresholds{CompareAlpha: g.alpha()}
		c.p = benchmath.AssumeNothing.Compare(benchmath.NewSample(floats(now), t), benchmath.NewSample(floats(was), t)).P
	}
	const rounding = 1 + 1e-12 // a change that equals the threshold is accepted
	switch beyond := math.Abs(own-base) > g.Threshold*base*rounding; {
	case !beyond:
		c.verdict = Unchanged
	case (own < base) == (c.metric.Better == schema.Lower):
		c.verdict = Improvement
	default:
		c.verdict = Regression
	}
	if c.verdict != Unchanged && c.tested && c.p >= g.alpha() {
		c.verdict = Noise
	}
	return true
}

// leastP returns the smallest p-value that the test can return for two samples of these sizes.
// The test returns it if the samples do not overlap.
func leastP(n, m int) float64 {
	arrangements := 1.0
	for i := 1; i <= m; i++ {
		arrangements *= float64(n+i) / float64(i)
	}
	return 2 / arrangements
}

// leastRuns returns the minimum number of runs that the test needs in each file.
func (g *Gate) leastRuns() int {
	n := 1
	for leastP(n, n) >= g.alpha() {
		n++
	}
	return n
}

func floats(numbers []nixlbench.Number) []float64 {
	list := make([]float64, len(numbers))
	for i, n := range numbers {
		list[i] = n.Float()
	}
	return list
}
