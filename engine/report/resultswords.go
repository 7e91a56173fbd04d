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

// threeDigits formats a number with three significant digits, or as a whole number if it has
// more digits.
func threeDigits(x float64) string {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(x)))))
	return strconv.FormatFloat(x, 'f', min(digits, 9), 64)
}

// shortest formats a number with at most three digits after the point.
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

// answer returns sentences that say which setting is the fastest, how far it is from the
// link's bandwidth, and what limits it.
func (b *resultsPage) answer(fits []*costFit) (lines, command []string) {
	bad := b.untrusted()
	best := b.best(b.points)
	if best == nil {
		return []string{"No result can be trusted, so there is no best setting.", fmt.Sprintf("%s: %s.", counted(len(bad), "point"), strings.TrimSuffix(bad[0].reason, "."))}, nil
	}
	rate := best.get(b.of.Bandwidth)
	first := "Fastest: " + rateOf(rate)
	if len(b.points)-len(bad) == 1 {
		first = "Measured: " + rateOf(rate)
	}
	if b.LinkRate > 0 {
		first += fmt.Sprintf(", %s of %s", percentOf(rate/b.linkRate()), b.linkName())
	}
	lines = append(lines, first+".")
	words := fmt.Sprintf("The setting: %s I/Os, %s per request", diag.Bytes(int64(best.get(b.of.Size))), group(int(best.get(b.of.Count))))
	if more := settingsText(slices.Concat(b.main, b.rest), best.point); more != "" {
		words += ", " + more
	}
	lines = append(lines, words+".")
	if line := b.distance(rate); line != "" {
		lines = append(lines, line)
	}
	if line := b.limit(best, fits); line != "" {
		lines = append(lines, line)
	}
	if !math.IsNaN(best.request) {
		line := "Moving one request's cache takes " + microsOf(best.request)
		if b.FirstToken > 0 {
			line += fmt.Sprintf(", which is %s of the time to the first token (%s)", percentOf(best.request/float64(b.FirstToken)), microsOf(float64(b.FirstToken)))
		}
		if b.LinkRate > 0 {
			line += fmt.Sprintf(". At the link's peak bandwidth, it would take %s", microsOf(b.requestBytes(best.point)/float64(b.LinkRate)*1e6))
		}
		lines = append(lines, line+".")
	}
	if line := b.change(); line != "" {
		lines = append(lines, line)
	}
	if len(bad) > 0 {
		lines = append(lines, fmt.Sprintf("Ignored because they are not trusted: %s of %s.", group(len(bad)), counted(len(b.points), "point")))
	}
	return lines, best.command
}

// distance returns a sentence that compares the best bandwidth with the link's.
func (b *resultsPage) distance(rate float64) string {
	switch share := rate / b.linkRate(); {
	case b.LinkRate == 0:
		return "To compare this with the link's bandwidth, set --link or --bandwidth."
	case share > 1:
		return "This is more than the link can carry, so check that the link's name is correct and that the I/O really happened."
	case share < 0.05:
		return "This is less than 5% of the link's bandwidth, so check the link's name and the path that the data took."
	case share > 0.9:
		return "The link is the limit, so no setting can be much faster."
	default:
		return fmt.Sprintf("The link allows up to %s times this bandwidth.", threeDigits(1/share))
	}
}

// limit returns a sentence about whether the best point spends its time on posting I/Os or on
// moving bytes. It uses the cost that was fitted to the point's group.
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
	return fmt.Sprintf("About %s of the time is spent posting I/Os. Larger or fewer I/Os would reduce this share.", percentOf(share))
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
	}
	if len(fits) > 0 {
		list = append(list, b.fitted(fits))
	}
	if b.BaseFile != "" {
		list = append(list, b.againstBaseline())
	}
	if bad := b.untrusted(); len(bad) > 0 {
		list = append(list, reasonsOf(bad))
	}
	if s := b.notes(); len(s.Tables) > 0 {
		list = append(list, s)
	}
	return list
}

// bestOfEach returns the table with the fastest point for each model, backend, and so on.
func (b *resultsPage) bestOfEach() webpage.Section {
	groups := map[string][]*pagePoint{}
	var order []string
	for _, p := range b.points {
		key := strings.Join(labels(b.main, p.point), "\x00")
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], p)
	}
	slices.SortStableFunc(order, func(x, y string) int { return cmp.Compare(b.rateOfBest(groups[y]), b.rateOfBest(groups[x])) })
	t := webpage.Table{Caption: "Fastest point for each combination", Head: b.bestHead()}
	if len(b.main) == 0 {
		t.Caption = "Fastest point"
	}
	for i, key := range order {
		if i == maxListed {
			t.Note = fmt.Sprintf("%s more are in the tables below the charts.", group(len(order)-i))
			break
		}
		t.Rows = append(t.Rows, b.bestRow(groups[key]))
	}
	return webpage.Section{Title: "Best settings", Tables: []webpage.Table{t}}
}

func (b *resultsPage) bestHead() []webpage.Cell {
	var names []string
	for _, s := range b.main {
		names = append(names, s.label)
	}
	names = append(names, "I/O size", "I/Os", "GB/s")
	if b.LinkRate > 0 {
		names = append(names, "share of link")
	}
	names = append(names, "one request's cache")
	if b.FirstToken > 0 {
		names = append(names, "share of first token")
	}
	head := webpage.Heads(len(b.main), append(names, "points", "not trusted")...)
	if len(b.rest) > 0 {
		head = append(head, webpage.Cell{Text: "other settings"})
	}
	return head
}

// bestRow returns the row for the fastest of the points, which have the same main settings.
func (b *resultsPage) bestRow(points []*pagePoint) []webpage.Cell {
	var row []webpage.Cell
	for _, cell := range labels(b.main, points[0].point) {
		row = append(row, webpage.Cell{Text: cell, Head: len(row) == 0})
	}
	add := func(text string) { row = append(row, webpage.Cell{Text: text, Number: true}) }
	best, bad := b.best(points), 0
	for _, p := range points {
		if p.reason != "" {
			bad++
		}
	}
	values := []string{none, none, none}
	rate, request := math.NaN(), math.NaN()
	if best != nil {
		rate, request = best.get(b.of.Bandwidth), best.request
		values = []string{diag.Bytes(int64(best.get(b.of.Size))), group(int(best.get(b.of.Count))), threeDigits(rate)}
	}
	for _, v := range values {
		add(v)
	}
	if b.LinkRate > 0 {
		add(ifKnown(rate, percentOf(rate/b.linkRate())))
	}
	add(ifKnown(request, microsOf(request)))
	if b.FirstToken > 0 {
		add(ifKnown(request, percentOf(request/float64(b.FirstToken))))
	}
	add(group(len(points)))
	add(group(bad))
	if len(b.rest) > 0 {
		other := none
		if best != nil {
			other = settingsText(b.rest, best.point)
		}
		row = append(row, webpage.Cell{Text: other, Wrap: true})
	}
	return row
}

// ifKnown returns text, which describes x, or [none] if x is unknown.
func ifKnown(x float64, text string) string {
	if math.IsNaN(x) {
		return none
	}
	return text
}

// settingsText lists the names and values of settings.
func settingsText(list []setting, p Point) string {
	var words []string
	for i, cell := range labels(list, p) {
		if cell != none {
			words = append(words, list[i].label+" "+cell)
		}
	}
	return strings.Join(words, ", ")
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
		Head:    webpage.Heads(len(by), append(by, "startup", "cost per I/O", "bandwidth", "typical error", "points")...),
	}
	if b.LinkRate > 0 {
		t.Head = slices.Insert(t.Head, len(by)+3, webpage.Cell{Text: "share of link", Number: true})
	}
	together := false
	for i, f := range fits {
		if i == maxListed {
			t.Note = fmt.Sprintf("%s more are omitted.", group(len(fits)-i))
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
		Intro:  "The fixed cost of each I/O (descriptor) and the bandwidth at which the bytes move, fitted to the trusted points by minimizing the squares of the relative errors.",
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

// change returns a sentence that compares the results with the baseline, or "".
func (b *resultsPage) change() string {
	ratios := b.sortedRatios()
	n := len(ratios)
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("Compared with the baseline, the bandwidth is %s× in the median of %s, and ranges from %s× to %s×.", threeDigits((ratios[(n-1)/2]+ratios[n/2])/2), counted(n, "point"), threeDigits(ratios[0]), threeDigits(ratios[n-1]))
}

// againstBaseline returns the section with the numbers of points that became faster and
// slower, and with the extremes.
func (b *resultsPage) againstBaseline() webpage.Section {
	ratios := b.sortedRatios()
	s := webpage.Section{Title: "Compared with the baseline"}
	gone, added := 0, 0
	if b.match == nil {
		gone, added = b.Missing()
	}
	if len(ratios) == 0 {
		s.Intro = "No point can be compared with the baseline."
	} else {
		n := len(ratios)
		slower, faster := 0, 0
		for _, x := range ratios {
			if x < 1 {
				slower++
			} else if x > 1 {
				faster++
			}
		}
		s.Facts = []webpage.Fact{
			{Name: "Points compared", Value: group(n)},
			{Name: "Median bandwidth", Value: threeDigits((ratios[(n-1)/2]+ratios[n/2])/2) + "× the baseline"},
			{Name: "Slower, faster", Value: group(slower) + ", " + group(faster)},
			{Name: "Worst, best", Value: threeDigits(ratios[0]) + "×, " + threeDigits(ratios[n-1]) + "×"},
		}
	}
	if own, base := b.Mixed(); own != nil {
		s.Intro = strings.TrimSpace(fmt.Sprintf("Different programs measured the results (%s) and the baseline (%s), so their numbers are not comparable. %s",
			strings.Join(own, ", "), strings.Join(base, ", "), s.Intro))
	}
	if b.match == nil {
		s.Facts = append(s.Facts, webpage.Fact{Name: "Only in the baseline, only in the results", Value: group(gone) + ", " + group(added)})
	}
	return s
}

// reasonsOf returns the section that lists why points are not trusted.
func reasonsOf(bad []*pagePoint) webpage.Section {
	var texts []string
	for _, p := range bad {
		texts = append(texts, p.reason)
	}
	return webpage.Section{
		Title: "Not trusted", Intro: "These points are marked with a cross in the charts. The best settings and the fits ignore them.",
		Tables: []webpage.Table{tally("Why points are not trusted", "reason", texts)},
	}
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
	return webpage.Section{Title: "Notes", Tables: []webpage.Table{tally("Notes about points", "note", texts)}}
}

// tally returns a table that counts texts, sorted by frequency.
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
			t.Note = fmt.Sprintf("%s more are omitted.", group(len(order)-i))
			break
		}
		t.Rows = append(t.Rows, []webpage.Cell{{Text: text, Head: true, Wrap: true}, {Text: group(counts[text]), Number: true}})
	}
	return t
}
