package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"kvbench/engine/diag"
)

// choice is the recommended point among points that perform the same operation.
type choice struct {
	point *pagePoint
	// rivals are the trusted points with the same workload, including the point itself.
	rivals []*pagePoint
	// near is the number of rivals whose bandwidth is within noise of the highest.
	near  int
	noise float64
	// enough is the rival with the smallest request that still achieves most of the highest
	// bandwidth. It is nil unless this request is much smaller than that of point.
	enough *pagePoint
	// largestSize is set if no rival has larger I/Os, and rivals with smaller I/Os are
	// noticeably slower. largestCount is the same for the number of I/Os per request.
	largestSize, largestCount bool
}

const (
	// leastNoise is the smallest difference in bandwidth that matters.
	leastNoise = 0.01
	// mostOf is the share of the highest bandwidth that is enough for most uses.
	mostOf = 0.95
)

// choose recommends one of the points, or returns nil if none can be trusted. workload
// returns what points must have in common to be compared. Of the points whose bandwidth is
// within noise of the highest, it recommends the one with the smallest request.
func (b *resultsPage) choose(points []*pagePoint, workload func(*pagePoint) string) *choice {
	fastest := b.best(points)
	if fastest == nil {
		return nil
	}
	c := &choice{noise: max(leastNoise, fastest.spread/2)}
	given := workload(fastest)
	for _, p := range points {
		if p.reason == "" && p.get(b.of.Bandwidth) > 0 && workload(p) == given {
			c.rivals = append(c.rivals, p)
		}
	}
	top := fastest.get(b.of.Bandwidth)
	for _, p := range c.rivals {
		if p.get(b.of.Bandwidth) < top*(1-c.noise) {
			continue
		}
		c.near++
		if c.point == nil || b.cheaper(p, c.point) < 0 {
			c.point = p
		}
	}
	for _, p := range c.rivals {
		if p.get(b.of.Bandwidth) >= mostOf*top && b.moved(p) <= b.moved(c.point)/2 && (c.enough == nil || b.cheaper(p, c.enough) < 0) {
			c.enough = p
		}
	}
	c.largestSize, c.largestCount = c.atEdge(b.of.Size, b.of.Bandwidth), c.atEdge(b.of.Count, b.of.Bandwidth)
	return c
}

// atEdge reports whether no rival has a higher value of a measure than the point, and rivals
// with lower values are noticeably slower.
func (c *choice) atEdge(key, bandwidth string) bool {
	smaller := 0.0
	for _, p := range c.rivals {
		if p.get(key) > c.point.get(key) {
			return false
		}
		if p.get(key) < c.point.get(key) {
			smaller = max(smaller, p.get(bandwidth))
		}
	}
	return smaller > 0 && smaller < mostOf*c.point.get(bandwidth)
}

// moved returns the number of bytes that a point's request moves.
func (b *resultsPage) moved(p *pagePoint) float64 { return p.get(b.of.Size) * p.get(b.of.Count) }

// cheaper compares what two points need: the size of a request, its number of I/Os, and the numeric
// settings, such as the number of threads.
func (b *resultsPage) cheaper(p, q *pagePoint) int {
	if c := cmp.Or(cmp.Compare(b.moved(p), b.moved(q)), cmp.Compare(p.get(b.of.Count), q.get(b.of.Count))); c != 0 {
		return c
	}
	for _, s := range slices.Concat(b.main, b.rest) {
		if slices.Contains(b.of.Workload, s.key) || b.byKey[s.key].Words != nil {
			continue
		}
		x, _ := numberOf(wordOf(s, p.point))
		y, _ := numberOf(wordOf(s, q.point))
		if c := cmp.Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// workload returns a point's values for the settings that are part of the workload.
func (b *resultsPage) workload(p *pagePoint) string {
	return strings.Join(labels(b.given(slices.Concat(b.main, b.rest)), p.point), "\x00")
}

// given returns the settings in a list that are part of the workload.
func (b *resultsPage) given(list []setting) []setting {
	return slices.DeleteFunc(slices.Clone(list), func(s setting) bool { return !slices.Contains(b.of.Workload, s.key) })
}

// chosen returns the settings in a list that are not part of the workload.
func (b *resultsPage) chosen(list []setting) []setting {
	return slices.DeleteFunc(slices.Clone(list), func(s setting) bool { return slices.Contains(b.of.Workload, s.key) })
}

// operation is an operation, with the points that perform it.
type operation struct {
	name   string
	points []*pagePoint
}

// operations returns the operations of the points, sorted by name.
func (b *resultsPage) operations() []operation {
	var list []operation
	for _, p := range b.points {
		name := ""
		if v, ok := value(p.point[0], b.of.Operation); ok && v != nil {
			name = diag.Printable(text(v))
		}
		i := slices.IndexFunc(list, func(o operation) bool { return o.name == name })
		if i < 0 {
			i = len(list)
			list = append(list, operation{name: name})
		}
		list[i].points = append(list[i].points, p)
	}
	slices.SortFunc(list, func(x, y operation) int { return strings.Compare(x.name, y.name) })
	return list
}

// sizeText describes the I/Os of a request.
func (b *resultsPage) sizeText(p *pagePoint) string {
	size, n := bytesOf(p.get(b.of.Size)), p.get(b.of.Count)
	if n == 1 {
		return "1 I/O of " + size + " per request"
	}
	return group(int(n)) + " I/Os of " + size + " per request"
}

// chosenText describes a point's sizes, and its settings that are not part of the workload.
func (b *resultsPage) chosenText(p *pagePoint) string {
	words := b.sizeText(p)
	var view []setting
	for _, s := range b.shown {
		if b.inView(s) || slices.Contains(b.main, s) || slices.Contains(b.rest, s) {
			view = append(view, s)
		}
	}
	if more := settingsText(b.chosen(view), p.point); more != "" {
		words += ", " + more
	}
	return words
}

// givenText describes the workload of a point, except for its operation and the settings in
// except.
func (b *resultsPage) givenText(p *pagePoint, except []setting) string {
	var list []setting
	for _, s := range b.given(b.shown) {
		named := slices.ContainsFunc(except, func(e setting) bool { return e.key == s.key })
		if s.key != b.of.Operation && !named && (b.inView(s) || b.byKey[s.key].Varies()) {
			list = append(list, s)
		}
	}
	return settingsText(list, p.point)
}

// describe returns the sentences about a choice: which workload it is for, how its bandwidth
// compares with the link's, and what could make it faster.
func (b *resultsPage) describe(c *choice, op operation, fits []*costFit) []string {
	p := c.point
	rate := p.get(b.of.Bandwidth)
	lines := []string{b.sampled(p, b.differing(op))}
	if n := len(b.workloads(op.points)); n > 1 {
		lines[0] += fmt.Sprintf(" The table below shows the best setting for each of the %s workloads.", group(n))
	}
	if line := b.behind(op, rate); line != "" {
		lines = append(lines, line)
	}
	if line := b.distance(rate); line != "" {
		lines = append(lines, line)
	}
	if list := notes(p.point); len(list) > 0 && b.LinkRate > 0 && rate > b.linkRate() {
		lines = append(lines, "Notes: "+strings.Join(list, "; ")+".")
	}
	if line := b.comparedWith(c, op, rate); line != "" {
		lines = append(lines, line)
	}
	if line := b.limit(p, fits); line != "" {
		lines = append(lines, line)
	}
	if line := b.moving(p); line != "" {
		lines = append(lines, line)
	}
	return lines
}

// workloads returns the points for each workload.
func (b *resultsPage) workloads(points []*pagePoint) map[string][]*pagePoint {
	list := map[string][]*pagePoint{}
	for _, p := range points {
		w := b.workload(p)
		list[w] = append(list[w], p)
	}
	return list
}

// farBehind is a fraction of the recommended setting's bandwidth. The answer mentions the
// workloads with less bandwidth than this.
const farBehind = 0.8

// behind returns a sentence about the workloads of an operation whose bandwidth is far below that
// of the recommended setting, or "" if there are none.
func (b *resultsPage) behind(op operation, rate float64) string {
	all := b.workloads(op.points)
	var slow []float64
	for _, points := range all {
		if x := b.rateOfBest(points); x > 0 && x < farBehind*rate {
			slow = append(slow, x)
		}
	}
	if len(slow) == 0 {
		return ""
	}
	unit, suffix := threeDigits, " GB/s"
	if b.LinkRate > 0 {
		unit, suffix = func(x float64) string { return percentOf(x / b.linkRate()) }, " of the link's bandwidth"
	}
	reach, lo, hi := "reach", unit(slices.Min(slow)), unit(slices.Max(slow))
	if len(slow) == 1 {
		reach = "reaches"
	}
	if lo != hi {
		lo = strings.TrimSuffix(lo, "%") + "–" + hi
	}
	return fmt.Sprintf("But %s of the %s %s only %s%s; see Best settings.", group(len(slow)), counted(len(all), "workload"), reach, lo, suffix)
}

// forWorkload returns the workload of a choice, such as " with model A and pattern block", or ""
// if all points of the operation have the same workload.
func (b *resultsPage) forWorkload(c *choice, op operation) string {
	words := settingWords(b.differing(op), c.point.point)
	if len(words) == 0 {
		return ""
	}
	last := len(words) - 1
	if last == 0 {
		return " with " + words[0]
	}
	return " with " + strings.Join(words[:last], ", ") + " and " + words[last]
}

// differing returns the settings of the workload that differ between the points of an operation.
func (b *resultsPage) differing(op operation) []setting {
	return slices.DeleteFunc(b.given(slices.Concat(b.main, b.rest)), func(s setting) bool {
		first := wordOf(s, op.points[0].point)
		return !slices.ContainsFunc(op.points, func(p *pagePoint) bool { return wordOf(s, p.point) != first })
	})
}

// sampled returns a sentence about how often a point was measured, and for which workload. It
// omits the settings in named, because the answer already mentions them.
func (b *resultsPage) sampled(p *pagePoint, named []setting) string {
	line := "Measured once"
	n := len(p.line.rows)
	if n > 1 {
		line = "The median of " + counted(n, "run")
		if !math.IsNaN(p.spread) {
			line += ", which differ by " + percentOf(p.spread)
		}
	}
	if words := b.givenText(p, named); words != "" {
		line += ", with " + words
	}
	if n == 1 {
		line += ". With a single run, small differences may be noise"
	}
	return line + "."
}

// comparedWith compares a choice with the other settings for its workload.
func (b *resultsPage) comparedWith(c *choice, op operation, rate float64) string {
	var parts []string
	if len(c.rivals) == 1 && len(b.points) > 1 {
		parts = append(parts, "No other setting for this workload has a result that can be trusted.")
	}
	if c.near > 1 {
		parts = append(parts, fmt.Sprintf("%s settings%s are within %s of the fastest; this one has the smallest requests and, among those, the fewest I/Os.", group(c.near), b.forWorkload(c, op), percentOf(c.noise)))
	}
	if e := c.enough; e != nil {
		parts = append(parts, fmt.Sprintf("Smaller requests already reach %s of this bandwidth: %s.", percentOf(e.get(b.of.Bandwidth)/rate), b.chosenText(e)))
	}
	if b.LinkRate == 0 || rate < nearLink*b.linkRate() {
		switch {
		case c.largestSize && c.largestCount:
			parts = append(parts, "These are the largest I/Os and requests measured, so larger ones may be faster.")
		case c.largestSize:
			parts = append(parts, "These are the largest I/Os measured, so larger ones may be faster.")
		case c.largestCount:
			parts = append(parts, "This is the largest number of I/Os per request that was measured, so a larger number may be faster.")
		}
	}
	return strings.Join(parts, " ")
}

// moving returns a sentence about how long it takes to move the cache of one model request, or
// "" if that is unknown.
func (b *resultsPage) moving(p *pagePoint) string {
	if math.IsNaN(p.request) {
		return ""
	}
	line := fmt.Sprintf("Moving the %s of one request takes %s", bytesOf(b.requestBytes(p.point)), microsOf(p.request))
	if b.FirstToken > 0 {
		line += fmt.Sprintf(", %s of %s", percentOf(p.request/float64(b.FirstToken)), b.budget())
	}
	if b.LinkRate > 0 {
		line += ". At the link's peak bandwidth, it would take " + microsOf(b.requestBytes(p.point)/float64(b.LinkRate)*1e6)
	}
	return line + "."
}

// budget describes the target for the time to first token.
func (b *resultsPage) budget() string {
	return "the " + microsOf(float64(b.FirstToken)) + " budget for the first token"
}
