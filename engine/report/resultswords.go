package report

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/webpage"
)

// rateOf formats a bandwidth in GB/s.
func rateOf(x float64) string { return threeDigits(x) + " GB/s" }

// microsOf formats a time in microseconds.
func microsOf(us float64) string {
	switch {
	case us >= 1e6:
		return threeDigits(us/1e6) + " s"
	case us >= 1e3:
		return threeDigits(us/1e3) + " ms"
	case us < 1:
		return threeDigits(us*1e3) + " ns"
	}
	return threeDigits(us) + " us"
}

// threeDigits formats a number with at most three significant digits, or with all digits of
// its integer part if there are more.
func threeDigits(x float64) string {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	digits := min(9, max(0, 2-int(math.Floor(math.Log10(math.Abs(x))))))
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', digits, 64), 64)
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// bytesOf formats a number of bytes in a suitable unit, such as MiB.
func bytesOf(x float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for ; math.Abs(x) >= 1024 && i < len(units)-1; i++ {
		x /= 1024
	}
	return threeDigits(x) + " " + units[i]
}

// shortest formats a number with at most three decimal places.
func shortest(x float64) string {
	return strconv.FormatFloat(math.Round(x*1000)/1000, 'f', -1, 64)
}

func percentOf(share float64) string {
	if share > 0 && share < 0.001 {
		return "under 0.1%"
	}
	if share < 0.0995 {
		return strconv.FormatFloat(100*share, 'g', 2, 64) + "%"
	}
	return fmt.Sprintf("%.0f%%", 100*share)
}

// nameOf returns a prefix for the names of downloads: the file's name without its extension.
func nameOf(file string) string {
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '_'
	}, base)
}

// best returns the fastest trusted point, or nil.
func (b *resultsPage) best(points []*pagePoint) *pagePoint {
	var best *pagePoint
	for _, p := range points {
		if x := p.get(b.of.Bandwidth); p.reason == "" && x > 0 && (best == nil || x > best.get(b.of.Bandwidth)) {
			best = p
		}
	}
	return best
}

// answer returns the recommended setting for each operation, how its bandwidth
// compares with the link's, and what limits it. warn is set if no result can be
// trusted.
func (b *resultsPage) answer(fits []*costFit) (parts []webpage.Part, warn bool) {
	bad := b.untrusted()
	one := len(b.points) == 1
	if b.best(b.points) == nil {
		part := webpage.Part{Title: "No result can be trusted, so there is no recommendation."}
		if one {
			part.Title = "There is only one point, and it cannot be trusted."
			if p := b.points[0]; len(p.line.rows) > 0 {
				part.Lines = []string{b.sampled(p, nil)}
			}
		}
		part.Lines = slices.Concat(part.Lines, b.doubts(bad), b.withoutLink())
		return []webpage.Part{part}, true
	}
	if one {
		parts = append(parts, webpage.Part{Title: "There is only one point, so no recommendation is possible."})
	}
	var changes []string
	for _, op := range b.operations() {
		c := b.choose(op.points, b.workload)
		if c == nil {
			parts = append(parts, webpage.Part{Title: fmt.Sprintf("For %s, no result can be trusted.", op.name)})
			continue
		}
		part := webpage.Part{Title: b.recommend(c, op), Lines: b.describe(c, op, fits), Command: c.point.command}
		if c.point.values[keyRatio] > 0 {
			part.Lines = append(part.Lines, fmt.Sprintf("Its bandwidth is %s× the baseline's.", threeDigits(c.point.values[keyRatio])))
		}
		if !one {
			what := "recommended setting "
			if op.name != "" {
				what = "recommended " + op.name + " setting "
			}
			changes = append(changes, what+changeOf(c.point.get(keyRatio)))
		}
		parts = append(parts, part)
	}
	if part := b.change(changes); part.Title != "" {
		parts = append(parts, part)
	}
	last := webpage.Part{Lines: b.withoutLink()}
	if len(bad) > 0 {
		last.Lines = append(last.Lines, fmt.Sprintf("%s of %s cannot be trusted and %s ignored here:", group(len(bad)), counted(len(b.points), "point"), is(len(bad))))
		last.Lines = append(last.Lines, b.doubts(bad)...)
	}
	if len(last.Lines) > 0 {
		parts = append(parts, last)
	}
	return parts, false
}

func is(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// recommend returns the sentence that recommends a setting. If there are no other points, it
// only says what was measured.
func (b *resultsPage) recommend(c *choice, op operation) string {
	rate := c.point.get(b.of.Bandwidth)
	result := rateOf(rate)
	if b.LinkRate > 0 {
		result += fmt.Sprintf(", %s of %s", percentOf(rate/b.linkRate()), b.linkName())
	}
	verb, of := "Use", b.forWorkload(c, op)
	switch {
	case of != "" && op.name == "":
		verb = "For" + strings.TrimPrefix(of, " with") + ", use"
	case of != "":
		verb = "For " + op.name + of + ", use"
	case op.name != "" && len(c.rivals) == 1:
		verb = op.name + " with"
	case op.name != "":
		verb = "For " + op.name + ", use"
	case len(c.rivals) == 1:
		verb = "Measured"
	}
	return fmt.Sprintf("%s %s: %s.", verb, b.chosenText(c.point), result)
}

// withoutLink explains how to specify a link, if there is none.
func (b *resultsPage) withoutLink() []string {
	if b.LinkRate > 0 {
		return nil
	}
	return []string{fmt.Sprintf("To compare the results with a link's bandwidth, run kvbench report %s --format html --link NAME, or set --bandwidth instead.", nixlbench.Quote(diag.Printable(filepath.Base(b.File))))}
}

// maxDoubts is the maximum number of reasons in the answer.
const maxDoubts = 4

// doubts returns a sentence for each reason why points are not trusted, with what to do about
// it.
func (b *resultsPage) doubts(bad []*pagePoint) []string {
	counts, order := tallyReasons(bad)
	var lines []string
	for i, why := range order {
		if i == maxDoubts {
			lines = append(lines, fmt.Sprintf("The other %s are listed below.", counted(len(order)-i, "reason")))
			break
		}
		line := counted(counts[why], "point") + ": " + strings.TrimSuffix(why, ".") + "."
		if hint := b.hintFor(why); hint != "" {
			line += " What to do: " + hint + "."
		}
		lines = append(lines, line)
	}
	return lines
}

// tallyReasons counts the points with each reason, and sorts the reasons by frequency.
func tallyReasons(bad []*pagePoint) (counts map[string]int, order []string) {
	counts = map[string]int{}
	for _, p := range bad {
		if counts[p.reason]++; counts[p.reason] == 1 {
			order = append(order, p.reason)
		}
	}
	slices.SortStableFunc(order, func(x, y string) int { return cmp.Compare(counts[y], counts[x]) })
	return counts, order
}

// hintFor returns what to do about a reason, or "".
func (b *resultsPage) hintFor(why string) string {
	var hints []string
	for _, d := range b.schema.Nixlbench.Runs.Get().Doubts {
		if d.Hint != "" && strings.Contains(why, d.Message) {
			hints = appendNew(hints, d.Hint)
		}
	}
	return strings.Join(hints, "; ")
}

// distance returns a sentence that compares the best bandwidth with the link's.
func (b *resultsPage) distance(rate float64) string {
	switch share := rate / b.linkRate(); {
	case b.LinkRate == 0:
		return ""
	case share > 1:
		return "This is more than the link can carry, so check that the link's name is correct and that the I/O really happened."
	case share < 0.05:
		return "This is less than 5% of the link's bandwidth, so check the link's name and the path that the data took."
	case share > nearLink:
		return "The link is the limit, so no setting can be much faster."
	default:
		return fmt.Sprintf("At most %s× this bandwidth is possible on this link.", threeDigits(1/share))
	}
}

// nearLink is a fraction of the link's bandwidth. If a setting achieves more than this, no
// setting can be much faster.
const nearLink = 0.9

// limit returns a sentence about whether the best point spends its time posting I/Os or moving
// bytes. It uses the cost that was fitted to the point's group.
func (b *resultsPage) limit(best *pagePoint, fits []*costFit) string {
	f := b.fitOf(best, fits)
	if f == nil || f.cost == nil {
		return ""
	}
	n := best.get(b.of.Count)
	bytes := n * best.get(b.of.Size)
	own := n*f.cost.descriptorUs + f.cost.startUs
	share := own / f.cost.us(n, bytes)
	if share < 0.05 {
		return "Almost all of the time is spent moving bytes, and almost none posting I/Os."
	}
	posting := "posting I/Os"
	if f.cost.startUs > 0 {
		posting = "starting requests and posting I/Os"
	}
	return fmt.Sprintf("About %s of the time is spent %s. Larger or fewer I/Os would reduce this share.", percentOf(share), posting)
}

// fitOf returns the fit that a point belongs to, or nil.
func (b *resultsPage) fitOf(p *pagePoint, fits []*costFit) *costFit {
	for _, f := range fits {
		fits := true
		for _, s := range b.shown {
			if want, ok := f.where[s.key]; ok && wordOf(s, p.point) != want {
				fits = false
			}
		}
		if fits {
			return f
		}
	}
	return nil
}

func (b *resultsPage) untrusted() []*pagePoint {
	var list []*pagePoint
	for _, p := range b.points {
		if p.reason != "" {
			list = append(list, p)
		}
	}
	return list
}

// maxListed is the maximum number of rows in a table outside the charts.
const maxListed = 30

// sections returns the tables above the charts.
func (b *resultsPage) sections(fits []*costFit) []webpage.Section {
	var list []webpage.Section
	if b.best(b.points) != nil && len(b.points) > 1 {
		list = append(list, b.bestOfEach())
	} else if len(b.points) == 1 {
		list = append(list, b.single())
	}
	if len(fits) > 0 {
		list = append(list, b.fitted(fits))
	}
	if b.BaseFile != "" {
		list = append(list, b.againstBaseline())
	}
	if bad := b.untrusted(); len(bad) > 0 {
		list = append(list, b.reasonsOf(bad))
	}
	if s := b.notes(); len(s.Tables) > 0 {
		list = append(list, s)
	}
	return list
}

// single returns the section with the numbers of the only point.
func (b *resultsPage) single() webpage.Section {
	s := webpage.Section{Title: "Measurement"}
	for _, c := range b.columns {
		if c.IsEmpty() || c.Key == keyReason || c.Key == b.of.Operation && len(c.Words) == 1 && c.Words[0] == "" {
			continue
		}
		text := ""
		if c.Words != nil {
			text = c.Words[c.At[0]]
		} else {
			text = numberText(c.Unit, c.Numbers[0])
		}
		if text != "" {
			s.Facts = append(s.Facts, webpage.Fact{Name: c.Label, Value: text})
		}
	}
	return s
}

// numberText formats a number with its unit.
func numberText(unit string, x float64) string {
	switch unit {
	case webpage.UnitBytes:
		return bytesOf(x)
	case webpage.UnitMicros:
		return microsOf(x)
	case webpage.UnitRate:
		return rateOf(x)
	case webpage.UnitPercent:
		return percentOf(x / 100)
	case webpage.UnitRatio:
		return threeDigits(x) + "×"
	}
	if x == math.Trunc(x) {
		return group(int(x))
	}
	return threeDigits(x)
}

// bestOfEach returns the section with the table of the recommended points. If a main setting that
// is not part of the workload (such as the backend) varies, the table has a row for each of its
// values.
func (b *resultsPage) bestOfEach() webpage.Section {
	by := b.bestOrder()
	given := b.given(by)
	groups := map[string][]*pagePoint{}
	var order []string
	for _, p := range b.points {
		key := strings.Join(labels(by, p.point), "\x00")
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], p)
	}
	slices.SortStableFunc(order, func(x, y string) int {
		return cmp.Or(slices.CompareFunc(labels(given, groups[x][0].point), labels(given, groups[y][0].point), compareCells),
			cmp.Compare(b.rateOfBest(groups[y]), b.rateOfBest(groups[x])))
	})
	t := webpage.Table{Caption: "Recommended setting for each workload", Head: b.bestHead()}
	if b.rivalRows() {
		var names []string
		for _, s := range b.chosen(b.main) {
			names = append(names, s.label)
		}
		t.Caption += " and " + strings.Join(names, " and ") + ", fastest first"
	}
	if !b.repeated() {
		t.Caption += "; each point was measured once"
	}
	top := map[string]float64{}
	for _, key := range order {
		w := b.workload(groups[key][0])
		top[w] = max(top[w], b.rateOfBest(groups[key]))
	}
	for i, key := range order {
		if i == maxListed {
			t.Note = omitted(len(order)-i) + " The tables below the charts show all points."
			break
		}
		t.Rows = append(t.Rows, b.bestRow(groups[key], top[b.workload(groups[key][0])]))
	}
	return webpage.Section{Title: "Best settings", Tables: []webpage.Table{t}}
}

// omitted returns a sentence about rows that a table omits.
func omitted(n int) string { return counted(n, "more row") + " " + is(n) + " omitted." }

// The function elsewhere returns a sentence about points that are only in the tables below the
// charts.
func elsewhere(n int) string {
	return counted(n, "more point") + " " + is(n) + " in the tables below the charts."
}

// compareCells compares two values as numbers if both are numbers, or else as
// text.
func compareCells(x, y string) int {
	a, aOK := numberOf(x)
	b, bOK := numberOf(y)
	if aOK && bOK {
		return cmp.Compare(a, b)
	}
	return cmp.Compare(x, y)
}

// bestOrder returns the settings that distinguish the rows of the table of best settings. Those
// that are part of the workload come first.
func (b *resultsPage) bestOrder() []setting {
	return slices.Concat(b.given(slices.Concat(b.main, b.rest)), b.chosen(b.main))
}

func (b *resultsPage) bestHead() []webpage.Cell {
	var names []string
	for _, s := range b.bestOrder() {
		names = append(names, s.label)
	}
	names = append(names, "I/O size", "I/Os per request", "GB/s")
	if b.rivalRows() {
		names = append(names, "vs. fastest")
	}
	if b.LinkRate > 0 {
		names = append(names, "share of link")
	}
	if b.BaseFile != "" {
		names = append(names, "vs. baseline")
	}
	names = append(names, "cache of one request", "time to move it")
	if b.FirstToken > 0 {
		names = append(names, "share of budget")
	}
	if b.repeated() {
		names = append(names, "runs")
	}
	head := webpage.Heads(len(b.bestOrder()), append(names, "trusted points")...)
	if len(b.chosen(b.rest)) > 0 {
		head = append(head, webpage.Cell{Text: "other settings"})
	}
	return append(head, webpage.Cell{Text: "command"})
}

// rivalRows reports whether the table of best settings has several rows for the same workload,
// because the workload does not determine the other main settings.
func (b *resultsPage) rivalRows() bool {
	given := b.given(slices.Concat(b.main, b.rest))
	return slices.ContainsFunc(b.chosen(b.main), func(s setting) bool { return !b.follows(s, given) })
}

// maxUnwrapped is the maximum length of the list of other settings that a table shows without
// wrapping.
const maxUnwrapped = 30

// bestRow returns the row for the recommended point among points with the same
// main settings. top is the highest bandwidth for the workload.
func (b *resultsPage) bestRow(points []*pagePoint, top float64) []webpage.Cell {
	var row []webpage.Cell
	for _, cell := range labels(b.bestOrder(), points[0].point) {
		row = append(row, webpage.Cell{Text: cell, Head: len(row) == 0})
	}
	add := func(text string) { row = append(row, webpage.Cell{Text: text, Number: true}) }
	bad := 0
	for _, p := range points {
		if p.reason != "" {
			bad++
		}
	}
	best := &pagePoint{request: math.NaN()}
	values := []string{none, none, none}
	runs, other := none, none
	if c := b.choose(points, func(*pagePoint) string { return "" }); c != nil {
		best = c.point
		values = []string{bytesOf(best.get(b.of.Size)), group(int(best.get(b.of.Count))), threeDigits(best.get(b.of.Bandwidth))}
		runs, other = group(len(best.line.rows)), settingsText(b.chosen(b.rest), best.point)
	}
	for _, v := range values {
		add(v)
	}
	rate := best.get(b.of.Bandwidth)
	if b.rivalRows() {
		add(ifKnown(rate, percentOf(rate/top)))
	}
	if b.LinkRate > 0 {
		add(ifKnown(rate, percentOf(rate/b.linkRate())))
	}
	if b.BaseFile != "" {
		add(ifKnown(best.get(keyRatio), threeDigits(best.get(keyRatio))+"×"))
	}
	add(ifKnown(best.request, bytesOf(best.request*rate*1000)))
	add(ifKnown(best.request, microsOf(best.request)))
	if b.FirstToken > 0 {
		share := percentOf(best.request / float64(b.FirstToken))
		if best.request > float64(b.FirstToken) {
			share = "over: " + share
		}
		add(ifKnown(best.request, share))
	}
	if b.repeated() {
		add(runs)
	}
	counts := group(len(points) - bad)
	if bad > 0 {
		counts += " of " + group(len(points))
	}
	add(counts)
	if len(b.chosen(b.rest)) > 0 {
		row = append(row, webpage.Cell{Text: other, Wrap: len(other) > maxUnwrapped})
	}
	return append(row, webpage.Cell{Command: best.command})
}

// repeated reports whether any point was measured more than once.
func (b *resultsPage) repeated() bool {
	return slices.ContainsFunc(b.points, func(p *pagePoint) bool { return len(p.line.rows) > 1 })
}

// ifKnown returns text if x is known, and [none] otherwise. The text describes x.
func ifKnown(x float64, text string) string {
	if math.IsNaN(x) {
		return none
	}
	return text
}

// settingsText lists the names and values of settings.
func settingsText(list []setting, p Point) string {
	return strings.Join(settingWords(list, p), ", ")
}

// settingWords returns the names and values of settings.
func settingWords(list []setting, p Point) []string {
	var words []string
	for _, s := range list {
		if word := wordOf(s, p); word != "" {
			words = append(words, s.label+" "+word)
		}
	}
	return words
}

func (b *resultsPage) rateOfBest(points []*pagePoint) float64 {
	if p := b.best(points); p != nil {
		return p.get(b.of.Bandwidth)
	}
	return 0
}

// fitted returns the section with the fitted costs.
func (b *resultsPage) fitted(fits []*costFit) webpage.Section {
	if why := fits[0].why; !slices.ContainsFunc(fits, func(f *costFit) bool { return f.cost != nil || f.why != why }) {
		return webpage.Section{Title: "Cost per I/O", Intro: "Not fitted: " + why + "."}
	}
	var by []string
	for _, s := range b.shown {
		if _, ok := fits[0].where[s.key]; ok {
			by = append(by, s.label)
		}
	}
	t := webpage.Table{
		Caption: "Request time, fitted as startup + I/Os × cost per I/O + bytes / bandwidth",
		Head:    webpage.Heads(len(by), append(by, "startup", "cost per I/O", "bandwidth", "RMS error", "fitted points")...),
	}
	if b.LinkRate > 0 {
		t.Head = slices.Insert(t.Head, len(by)+3, webpage.Cell{Text: "share of link", Number: true})
	}
	together := false
	for i, f := range fits {
		if i == maxListed {
			t.Note = omitted(len(fits) - i)
			break
		}
		var row []webpage.Cell
		for _, cell := range f.labels {
			row = append(row, webpage.Cell{Text: cell, Head: len(row) == 0})
		}
		add := func(text string) { row = append(row, webpage.Cell{Text: text, Number: true}) }
		if f.cost == nil {
			row = append(row, webpage.Cell{Text: "not fitted: " + f.why, Span: len(t.Head) - 1 - len(row)})
		} else {
			c := f.cost
			add(partOf(c.startUs))
			add(partOf(c.descriptorUs))
			if math.IsInf(c.rate, 1) {
				add("too high to measure")
			} else {
				add(rateOf(c.rate / 1000))
			}
			if b.LinkRate > 0 {
				if math.IsInf(c.rate, 1) {
					add("–")
				} else {
					add(percentOf(c.rate / 1000 / b.linkRate()))
				}
			}
			add(percentOf(c.err))
			together = together || c.together
		}
		add(group(f.points))
		t.Rows = append(t.Rows, row)
	}
	if together {
		t.Note = strings.TrimSpace("If all requests have the same number of I/Os, the cost per I/O includes a share of the startup time. " + t.Note)
	}
	return webpage.Section{
		Title:  "Cost per I/O",
		Intro:  "This table shows the fixed cost of each I/O (descriptor) and the bandwidth at which the bytes move. They were fitted to the trusted points by minimizing the sum of the squared relative errors.",
		Tables: []webpage.Table{t},
	}
}

// partOf formats a part of a fitted time.
func partOf(us float64) string {
	if us == 0 {
		return "too small to measure"
	}
	return microsOf(us)
}

// sortedRatios returns the ratios to the baseline, sorted.
func (b *resultsPage) sortedRatios() []float64 {
	var list []float64
	for _, x := range b.byKey[keyRatio].Numbers {
		if !math.IsNaN(x) {
			list = append(list, x)
		}
	}
	slices.Sort(list)
	return list
}

// sameAs is the largest difference from the baseline that counts as unchanged, which is the
// default threshold of a comparison.
const sameAs = 0.05

// changes counts the compared points that are slower, faster and unchanged.
func (b *resultsPage) changes() (slower, faster, same int) {
	for _, x := range b.sortedRatios() {
		switch {
		case x < 1-sameAs:
			slower++
		case x > 1+sameAs:
			faster++
		default:
			same++
		}
	}
	return slower, faster, same
}

// changeOf describes the ratio of a bandwidth to the baseline's.
func changeOf(ratio float64) string {
	switch {
	case math.IsNaN(ratio):
		return "not compared"
	case ratio >= 2:
		return threeDigits(ratio) + "× as fast"
	case ratio > 1:
		return percentOf(ratio-1) + " faster"
	case ratio < 1:
		return percentOf(1-ratio) + " slower"
	}
	return "unchanged"
}

// overLink returns a sentence about the points that are not compared because they or their
// baselines are faster than the link, or "" if there are none.
func (b *resultsPage) overLink() string {
	n, own, base, most := 0, 0, 0, 0.0
	for _, p := range b.points {
		if p.over {
			n++
			most = max(most, p.get(b.of.Bandwidth), p.get(keyBase))
			if p.get(b.of.Bandwidth) > b.linkRate() {
				own++
			}
			if p.get(keyBase) > b.linkRate() {
				base++
			}
		}
	}
	if n == 0 {
		return ""
	}
	whose := "a bandwidth"
	switch {
	case own == 0:
		whose = "a bandwidth in the baseline"
	case base == 0:
		whose = "a bandwidth in the results"
	}
	return fmt.Sprintf("%s %s not compared because %s (up to %s) is higher than the bandwidth of the link, %s, and cannot be trusted.",
		counted(n, "point"), is(n), whose, rateOf(most), b.linkName())
}

// measuredOnce reports whether the compared points and their baselines were each measured only
// once.
func (b *resultsPage) measuredOnce() bool {
	return !slices.ContainsFunc(b.points, func(p *pagePoint) bool {
		return p.get(keyRatio) > 0 && (len(p.line.rows) > 1 || len(p.base.rows) > 1)
	})
}

// change returns the part of the answer that compares the results with the baseline. recommended
// contains phrases about how the recommended settings changed.
func (b *resultsPage) change(recommended []string) webpage.Part {
	ratios := b.sortedRatios()
	n := len(ratios)
	over := b.overLink()
	if n == 0 && over == "" {
		return webpage.Part{}
	}
	if n == 0 {
		return webpage.Part{Title: "No point can be compared with the baseline.", Lines: []string{over}}
	}
	slower, faster, same := b.changes()
	words := slices.Concat([]string{fmt.Sprintf("%s slower, %s faster (by more than %s)", group(slower), group(faster), percentOf(sameAs))}, recommended)
	if b.measuredOnce() {
		words = append(words, "each measured once")
	}
	part := webpage.Part{Title: fmt.Sprintf("%s compared with the baseline: %s.", counted(n, "point"), strings.Join(words, "; "))}
	line := fmt.Sprintf("%s within %s. The median is %s× the baseline; the points range from %s× to %s×.",
		counted(same, "point")+" "+is(same), percentOf(sameAs), threeDigits((ratios[(n-1)/2]+ratios[n/2])/2), threeDigits(ratios[0]), threeDigits(ratios[n-1]))
	if where := measuredAt(b.Baseline); where != "" {
		line += " The baseline was measured on " + where + "."
	}
	part.Lines = []string{line}
	if b.measuredOnce() {
		part.Lines = append(part.Lines, "With single runs, a difference may be noise, so repeat the runs before you act on it.")
	}
	if over != "" {
		part.Lines = append(part.Lines, over)
	}
	if worst := b.drops(); len(worst) > 0 {
		var words []string
		for _, p := range worst[:min(3, len(worst))] {
			words = append(words, fmt.Sprintf("%s× (%s)", threeDigits(p.get(keyRatio)), strings.Join(slices.DeleteFunc([]string{b.sizeText(p), settingsText(b.main, p.point)}, func(s string) bool { return s == "" }), ", ")))
		}
		part.Lines = append(part.Lines, "Largest drops: "+strings.Join(words, "; ")+".")
	}
	return part
}

// drops returns the points that are slower than the baseline by more than sameAs, in order of
// their ratios to the baseline.
func (b *resultsPage) drops() []*pagePoint {
	var list []*pagePoint
	for _, p := range b.points {
		if p.get(keyRatio) < 1-sameAs {
			list = append(list, p)
		}
	}
	slices.SortStableFunc(list, func(p, q *pagePoint) int { return cmp.Compare(p.get(keyRatio), q.get(keyRatio)) })
	return list
}

// maxDrops is the maximum number of points in the table of the largest drops.
const maxDrops = 10

// againstBaseline returns the section that says how many points became faster and slower,
// with the largest drops.
func (b *resultsPage) againstBaseline() webpage.Section {
	ratios := b.sortedRatios()
	s := webpage.Section{Title: "Compared with the baseline"}
	gone, added := 0, 0
	if b.match == nil {
		gone, added = b.Missing()
	}
	if n := len(ratios); n == 0 {
		s.Intro = "No point can be compared with the baseline."
	} else {
		slower, faster, same := b.changes()
		within := percentOf(sameAs)
		s.Facts = []webpage.Fact{
			{Name: "Points compared", Value: group(n)},
			{Name: "Slower by more than " + within, Value: group(slower)},
			{Name: "Faster by more than " + within, Value: group(faster)},
			{Name: "Within " + within, Value: group(same)},
			{Name: "Median bandwidth", Value: threeDigits((ratios[(n-1)/2]+ratios[n/2])/2) + "× the baseline"},
		}
	}
	if own, base := b.Mixed(); own != nil {
		s.Intro = strings.TrimSpace(fmt.Sprintf("Different programs measured the results (%s) and the baseline (%s), so their numbers are not comparable. %s",
			strings.Join(own, ", "), strings.Join(base, ", "), s.Intro))
	}
	if over := b.overLink(); over != "" {
		s.Intro = strings.TrimSpace(s.Intro + " " + over)
	}
	if b.match == nil {
		s.Facts = append(s.Facts, webpage.Fact{Name: "Only in the baseline", Value: group(gone)}, webpage.Fact{Name: "Only in the results", Value: group(added)})
	}
	if worst := b.drops(); len(worst) > 0 {
		s.Tables = append(s.Tables, b.dropsTable(worst))
	}
	return s
}

func (b *resultsPage) dropsTable(worst []*pagePoint) webpage.Table {
	list := slices.Concat(b.main, b.rest)
	var names []string
	for _, s := range list {
		names = append(names, s.label)
	}
	t := webpage.Table{Caption: "Largest drops", Head: webpage.Heads(len(list), append(names, "I/O size", "I/Os per request", "GB/s", "baseline", "vs. baseline", "runs")...)}
	t.Head = append(t.Head, webpage.Cell{Text: "command"})
	for i, p := range worst {
		if i == maxDrops {
			t.Note = elsewhere(len(worst) - i)
			break
		}
		var row []webpage.Cell
		for _, cell := range labels(list, p.point) {
			row = append(row, webpage.Cell{Text: cell, Head: len(row) == 0})
		}
		for _, text := range []string{
			bytesOf(p.get(b.of.Size)), group(int(p.get(b.of.Count))), threeDigits(p.get(b.of.Bandwidth)), threeDigits(p.get(keyBase)),
			threeDigits(p.get(keyRatio)) + "×", group(len(p.line.rows)) + ", baseline " + group(len(p.base.rows)),
		} {
			row = append(row, webpage.Cell{Text: text, Number: true})
		}
		t.Rows = append(t.Rows, append(row, webpage.Cell{Command: p.command}))
	}
	return t
}

// maxReasons is the maximum number of rows in the table of reasons.
const maxReasons = maxListed

// reasonsOf returns the section that lists why points are not trusted.
func (b *resultsPage) reasonsOf(bad []*pagePoint) webpage.Section {
	s := webpage.Section{Title: "Not trusted", Intro: "The charts mark these points with a cross, or with a triangle if they are off the scale. Recommendations and fits ignore them."}
	if len(bad) == len(b.points) {
		s.Intro = ""
	}
	counts, order := tallyReasons(bad)
	t := webpage.Table{Caption: s.Title, Head: webpage.Heads(2, "reason", "what to do", "points", "lowest GB/s", "highest GB/s")}
	for i, why := range order {
		if i == maxReasons {
			t.Note = omitted(len(order) - i)
			break
		}
		lo, hi := math.NaN(), math.NaN()
		for _, p := range bad {
			if x := p.get(b.of.Bandwidth); p.reason == why && !math.IsNaN(x) && !(lo <= x) {
				lo = x
			}
			if x := p.get(b.of.Bandwidth); p.reason == why && !math.IsNaN(x) && !(hi >= x) {
				hi = x
			}
		}
		top := ifKnown(hi, threeDigits(hi))
		if b.LinkRate > 0 && hi > b.linkRate() {
			top += ", more than the link"
		}
		t.Rows = append(t.Rows, []webpage.Cell{
			{Text: why, Head: true, Wrap: true}, {Text: cmp.Or(b.hintFor(why), none), Wrap: true},
			{Text: group(counts[why]), Number: true}, {Text: ifKnown(lo, threeDigits(lo)), Number: true}, {Text: top, Number: true},
		})
	}
	s.Tables = []webpage.Table{t}
	if len(b.points) > 1 {
		s.Tables = append(s.Tables, b.badTable(bad))
	}
	return s
}

// maxBad is the maximum number of points in the table of points that are not trusted.
const maxBad = 10

// badTable returns the table with the settings of the first points that are not trusted.
func (b *resultsPage) badTable(bad []*pagePoint) webpage.Table {
	list := slices.Concat(b.main, b.rest)
	var names []string
	for _, s := range list {
		names = append(names, s.label)
	}
	t := webpage.Table{Caption: "Points that are not trusted", Head: webpage.Heads(len(list), append(names, "I/O size", "I/Os per request", "GB/s")...)}
	t.Head = append(t.Head, webpage.Cell{Text: "reason"}, webpage.Cell{Text: "command"})
	if len(bad) > maxBad {
		t.Note = elsewhere(len(bad) - maxBad)
		bad = bad[:maxBad]
	}
	for _, p := range bad {
		var row []webpage.Cell
		for _, cell := range labels(list, p.point) {
			row = append(row, webpage.Cell{Text: cell, Head: len(row) == 0})
		}
		size, count, rate := p.get(b.of.Size), p.get(b.of.Count), p.get(b.of.Bandwidth)
		for _, text := range []string{ifKnown(size, bytesOf(size)), ifKnown(count, group(int(count))), ifKnown(rate, threeDigits(rate))} {
			row = append(row, webpage.Cell{Text: text, Number: true})
		}
		t.Rows = append(t.Rows, append(row, webpage.Cell{Text: p.reason, Wrap: true}, webpage.Cell{Command: p.command}))
	}
	return t
}

// notes returns the section with the notes about points.
func (b *resultsPage) notes() webpage.Section {
	var texts []string
	for _, p := range b.points {
		texts = append(texts, notes(p.point)...)
	}
	if len(texts) == 0 {
		return webpage.Section{}
	}
	return webpage.Section{Title: "Notes", Tables: []webpage.Table{tally("Notes", "note", texts)}}
}

// tally returns a table that counts equal strings, sorted by frequency.
func tally(caption, what string, texts []string) webpage.Table {
	counts := map[string]int{}
	var order []string
	for _, text := range texts {
		if counts[text]++; counts[text] == 1 {
			order = append(order, text)
		}
	}
	slices.SortStableFunc(order, func(x, y string) int { return cmp.Compare(counts[y], counts[x]) })
	t := webpage.Table{Caption: caption, Head: webpage.Heads(1, what, "points")}
	for i, text := range order {
		if i == maxListed {
			t.Note = omitted(len(order) - i)
			break
		}
		t.Rows = append(t.Rows, []webpage.Cell{{Text: text, Head: true, Wrap: true}, {Text: group(counts[text]), Number: true}})
	}
	return t
}
