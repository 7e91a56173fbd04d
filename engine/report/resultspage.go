package report

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
	"kvbench/engine/webpage"
)

// PageOptions contains what a results page shows besides the results.
type PageOptions struct {
	// File and BaseFile are the names of the files; BaseFile is "" if there is no baseline.
	File, BaseFile string
	// Link is the name of the link that the results are compared with. LinkRate is its
	// bandwidth in bytes per second, and LinkCost is its cost per descriptor in nanoseconds.
	// If LinkRate is 0, the page uses the link that the plans assumed.
	Link               string
	LinkRate, LinkCost int64
	// FirstToken is the target for the time to first token, in microseconds. If it is 0, the
	// page uses the target from the plans.
	FirstToken int64
}

// maxPagePoints is the maximum number of points that a page shows.
const maxPagePoints = 100_000

// The keys of columns that are computed here.
const (
	keyStatus  = "status"
	keyReason  = "reason"
	keyRuns    = "runs"
	keyBase    = "baseline"
	keyRatio   = "ratio"
	keyTail    = "tail_ratio"
	keyRequest = "request_us"
	keyPlanned = "planned_us"
	keyPeak    = "peak_us"
	keyShare   = "first_token_percent"
	keyOfLink  = "link_percent"
	keyCache   = "cache_bytes"
)

// resultsPage builds a results page.
type resultsPage struct {
	*Results
	*PageOptions
	schema *schema.Schema
	view   schema.View
	of     *schema.Page
	shown  []setting
	// main contains the shown settings that vary and are rows of the view. rest contains the other
	// settings that vary, except those that are determined by the settings before them.
	main, rest []setting
	points     []*pagePoint
	columns    []*webpage.Column
	byKey      map[string]*webpage.Column
}

// pagePoint is a line of the results, with its numbers.
type pagePoint struct {
	point   Point
	line    *line
	base    *line
	values  map[string]float64 // keyed by measure
	reason  string
	command []string
	request float64 // the time to move one request's cache, in us
	spread  float64 // the range of the runs' bandwidths, as a share of the median
	// over is set if the point is not compared with the baseline because its bandwidth or the
	// baseline's is higher than the link's.
	over bool
}

func (p *pagePoint) get(key string) float64 {
	if x, ok := p.values[key]; ok {
		return x
	}
	return math.NaN()
}

// pageNames returns the names of the values that only pages show.
func pageNames(s *schema.Schema) []runner.Name {
	p := s.Nixlbench.Runs.Get().Page.Plan
	return append(OriginNames(), runner.Name{Name: p.Size}, runner.Name{Name: p.Count}, runner.Name{Name: p.Requests})
}

// OriginNames returns the names of the values that say where and when results were measured.
func OriginNames() []runner.Name {
	return []runner.Name{{Name: runner.NameHost}, {Name: runner.NameStart}}
}

// HTML writes the results as a page.
func (r *Results) HTML(w io.Writer, o *Options, p *PageOptions, s *schema.Schema) error {
	made, err := r.page(o, p, s)
	if err != nil {
		return err
	}
	return webpage.Write(w, made)
}

func (r *Results) page(o *Options, p *PageOptions, s *schema.Schema) (*webpage.Page, error) {
	b := &resultsPage{Results: r, PageOptions: p, schema: s, view: o.View, of: &s.Nixlbench.Runs.Get().Page, shown: r.settings(o, s), byKey: map[string]*webpage.Column{}}
	measures := s.Nixlbench.Runs.Get().Measures
	all := b.measures()
	n := 0
	r.each(measures, func(point Point, l, base *line) {
		if n++; n <= maxPagePoints {
			b.points = append(b.points, b.pointOf(all, point, l, base))
		}
	})
	if n > maxPagePoints {
		return nil, diag.Errorf(diag.Pos{File: p.File}, "the file has %d points, but a page shows at most %d", n, maxPagePoints).WithHint("split the file, and write a page for each part")
	}
	b.assume()
	data := b.data()
	made := &webpage.Page{Kind: "results", Title: b.title(), About: b.about()}
	fits := b.fits()
	made.Parts, made.Warn = b.answer(fits)
	made.Sections = b.sections(fits)
	if len(b.points) == 1 { // a chart with a single mark shows nothing useful
		return made, nil
	}
	made.Data = data
	for i := range data.Charts {
		b.addCurves(&data.Charts[i], fits)
	}
	return made, nil
}

// title returns the page's title, which says what was measured, where, and when.
func (b *resultsPage) title() string {
	title := "KV-cache transfer results"
	if where := measuredAt(b.Points); where != "" {
		title += ": " + where
	}
	return title
}

// measuredAt returns the host and the days on which points were measured, such as "host a, 28
// Nov 2026".
func measuredAt(points []Point) string {
	var hosts, days []string
	for _, p := range points {
		for _, rec := range p {
			if v, ok := value(rec, runner.NameHost); ok {
				hosts = appendNew(hosts, diag.Printable(text(v)))
			}
			if v, ok := value(rec, runner.NameStart); ok {
				day, _, _ := strings.Cut(text(v), "T")
				days = appendNew(days, diag.Printable(day))
			}
		}
	}
	slices.Sort(days)
	for i, day := range days {
		if t, err := time.Parse(time.DateOnly, day); err == nil {
			days[i] = t.Format("2 Jan 2006")
		}
	}
	var parts []string
	switch {
	case len(hosts) == 1:
		parts = append(parts, "host "+hosts[0])
	case len(hosts) > 1:
		parts = append(parts, counted(len(hosts), "host"))
	}
	switch len(days) {
	case 0:
	case 1:
		parts = append(parts, days[0])
	default:
		parts = append(parts, days[0]+" to "+days[len(days)-1])
	}
	return strings.Join(parts, ", ")
}

// measures returns the measures that the page shows.
func (b *resultsPage) measures() []schema.Measure {
	names := []string{b.of.Size, b.of.Count, b.of.Bandwidth}
	for _, v := range slices.Concat(b.of.Latency, b.of.Phases, []schema.PageValue{b.of.Prepare}) {
		names = append(names, v.Key)
	}
	var list []schema.Measure
	for _, m := range everyMeasure(b.schema) {
		if slices.Contains(names, m.Key) {
			list = append(list, m)
		}
	}
	return list
}

func (b *resultsPage) pointOf(all []schema.Measure, point Point, l, base *line) *pagePoint {
	p := &pagePoint{point: point, line: l, base: base, values: make(map[string]float64, len(all)), reason: reasonOf(point, l)}
	for _, m := range all {
		if x, ok := numberOf(l.spread(m).median); ok {
			p.values[m.Key] = x
		}
	}
	p.command = commandOf(point)
	if s := l.spread(measureOf(all, b.of.Bandwidth)); len(l.rows) > 1 {
		lo, _ := numberOf(s.min)
		hi, _ := numberOf(s.max)
		p.spread = (hi - lo) / p.get(b.of.Bandwidth)
	}
	if p.reason == "" && !(p.get(b.of.Bandwidth) > 0) {
		p.reason = "the bandwidth is not a positive, finite number"
	}
	p.request = math.NaN()
	if bytes := b.requestBytes(point); p.get(b.of.Bandwidth) > 0 {
		p.request = bytes / p.get(b.of.Bandwidth) / 1000
	}
	return p
}

// requestBytes returns how many bytes the plan moves for one request.
func (b *resultsPage) requestBytes(point Point) float64 {
	size, count, requests := b.planned(point, b.of.Plan.Size), b.planned(point, b.of.Plan.Count), b.planned(point, b.of.Plan.Requests)
	return size * count / requests
}

// planned returns a number from a point's plan, or NaN if the plan does not have it.
func (b *resultsPage) planned(point Point, name string) float64 {
	v, ok := value(point[0], name)
	if !ok || v == nil {
		return math.NaN()
	}
	if x, ok := numberOf(text(v)); ok {
		return x
	}
	return math.NaN()
}

func numberOf(text string) (float64, bool) {
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil && !math.IsNaN(x) && !math.IsInf(x, 0)
}

// trustOf returns "trusted", or the status of a point that is not trusted.
func trustOf(p *pagePoint) string {
	if p.reason == "" {
		return "trusted"
	}
	if s := shownStatus(p.point); s != string(runner.OK) {
		return s
	}
	return string(runner.Suspect)
}

// reasonOf returns why a line cannot be trusted, or "".
func reasonOf(point Point, l *line) string {
	if l.trusted && len(l.rows) > 0 {
		return ""
	}
	var reasons []string
	for _, rec := range point {
		for _, why := range rec.Reasons {
			if why = diag.Printable(why); rec.Status != runner.OK && !slices.Contains(reasons, why) {
				reasons = append(reasons, why)
			}
		}
	}
	if len(reasons) == 0 {
		return shownStatus(point)
	}
	return strings.Join(reasons, "; ")
}

// commandOf returns the words of a point's commands, quoted for a shell, with a newline
// between commands.
func commandOf(point Point) []string {
	for _, rec := range point {
		var words []string
		for _, argv := range rec.Commands() {
			if len(words) > 0 {
				words = append(words, "\n")
			}
			for _, w := range argv {
				words = append(words, nixlbench.Quote(w))
			}
		}
		if len(words) > 0 {
			return words
		}
	}
	return nil
}

// assume takes the link and the target for the time to first token from the plans, unless
// the user set them or they differ between plans.
func (b *resultsPage) assume() {
	links := Links(b.schema)
	same := func(name string) (any, bool) {
		first, ok := value(b.points[0].point[0], name)
		for _, p := range b.points {
			if v, _ := value(p.point[0], name); v != first {
				return nil, false
			}
		}
		return first, ok && first != nil
	}
	if b.LinkRate == 0 {
		rate, _ := same(b.of.LinkRate)
		link, _ := same(b.of.Link)
		if x, ok := numberOf(text(rate)); ok && x > 0 {
			b.LinkRate, b.Link = int64(x), "the plans' bandwidth"
		}
		if of, known := links[text(link)]; known {
			b.LinkCost = of.Cost
			if b.LinkRate == 0 {
				b.LinkRate, b.Link = of.Rate, text(link)
			}
		}
	}
	if b.FirstToken == 0 {
		v, _ := same(b.of.FirstToken)
		if x, ok := numberOf(text(v)); ok {
			b.FirstToken = int64(x)
		}
	}
}

// Link is a known link, with its bandwidth in bytes per second and its cost per descriptor in
// nanoseconds.
type Link struct{ Rate, Cost int64 }

// Links returns the known links, keyed by name.
func Links(s *schema.Schema) map[string]Link {
	tables := s.Cache.Get().Transfer.Get().Tables
	list := map[string]Link{}
	for name, f := range tables["link_rate"] {
		rate, _ := strconv.ParseInt(f.Text, 10, 64)
		cost, _ := strconv.ParseInt(tables["link_cost"][name].Text, 10, 64)
		list[name] = Link{rate, cost}
	}
	return list
}

// linkRate returns the bandwidth of the link in GB/s, or 0 if there is no link.
func (b *resultsPage) linkRate() float64 { return float64(b.LinkRate) / 1e9 }

// linkName returns the name of the link, with its bandwidth in parentheses.
func (b *resultsPage) linkName() string {
	return fmt.Sprintf("%s (%s)", diag.Printable(b.Link), shortest(b.linkRate())+" GB/s")
}

// about returns brief facts about the results, such as the name of their file.
func (b *resultsPage) about() []string {
	about := []string{diag.Printable(filepath.Base(b.File)), counted(len(b.points), "point")}
	if b.BaseFile != "" {
		about = append(about, "baseline "+diag.Printable(filepath.Base(b.BaseFile)))
	}
	if programs := measurers(b.Points); len(programs) > 1 || programs[0] != nixlbench.Program {
		about = append(about, "measured by "+diag.Printable(strings.Join(programs, " and ")))
	}
	if b.LinkRate > 0 {
		about = append(about, "link "+b.linkName())
	}
	return about
}

func appendNew(list []string, s string) []string {
	if !slices.Contains(list, s) {
		list = append(list, s)
	}
	return list
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return group(n) + " " + what + "s"
}

// group formats a number with commas as thousands separators.
func group(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// column adds a column. Columns that stay empty are not shown.
func (b *resultsPage) column(key, label, unit string) *webpage.Column {
	c := &webpage.Column{Key: key, Label: label, Unit: unit}
	b.columns = append(b.columns, c)
	b.byKey[key] = c
	return c
}

// data returns the table of all points, with the charts that can be drawn from the
// data.
func (b *resultsPage) data() *webpage.Data {
	d := &webpage.Data{Name: nameOf(b.File), One: "point", Many: "points", Rows: len(b.points), Status: keyStatus, Reason: keyReason, Best: b.of.Bandwidth, Commands: &webpage.Commands{}}
	if b.LinkRate > 0 {
		d.Of = &webpage.Line{Value: b.linkRate(), Label: diag.Printable(b.Link)}
	}
	for _, s := range b.shown {
		b.settingColumn(s)
	}
	for _, p := range b.points {
		d.Commands.Add(p.command)
	}
	number := func(key, label, unit string, of func(*pagePoint) float64) string {
		c := b.column(key, label, unit)
		c.Log = unit != webpage.UnitPercent && key != keyRuns
		for _, p := range b.points {
			x := of(p)
			if math.IsInf(x, 0) {
				x = math.NaN()
			}
			c.AddNumber(x)
		}
		return key
	}
	measure := func(key, label, unit string) string {
		return number(key, label, unit, func(p *pagePoint) float64 { return p.get(key) })
	}
	size := measure(b.of.Size, "I/O size", webpage.UnitBytes)
	count := measure(b.of.Count, "I/Os per request", webpage.UnitCount)
	bandwidth := measure(b.of.Bandwidth, "Bandwidth", webpage.UnitRate)
	var latency, phases []string
	for _, v := range b.of.Latency {
		latency = append(latency, measure(v.Key, v.Label, webpage.UnitMicros))
	}
	for _, v := range b.of.Phases {
		phases = append(phases, measure(v.Key, v.Label, webpage.UnitMicros))
	}
	prepare := measure(b.of.Prepare.Key, b.of.Prepare.Label, webpage.UnitMicros)
	runs := number(keyRuns, "Runs", webpage.UnitCount, func(p *pagePoint) float64 { return float64(len(p.line.rows)) })
	status, reason := b.column(keyStatus, "Status", webpage.UnitText), b.column(keyReason, "Why not trusted", webpage.UnitText)
	for _, p := range b.points {
		status.Add(trustOf(p))
		reason.Add(p.reason)
	}
	base, ratio, tail := b.compared(number)
	request := number(keyRequest, "Time for one request's cache", webpage.UnitMicros, func(p *pagePoint) float64 { return p.request })
	cache := number(keyCache, "Cache of one request", webpage.UnitBytes, func(p *pagePoint) float64 { return b.requestBytes(p.point) })
	planned := number(keyPlanned, fmt.Sprintf("At the link's peak bandwidth, plus %s per I/O", microsOf(float64(b.LinkCost)/1000)), webpage.UnitMicros, func(p *pagePoint) float64 {
		if b.LinkCost == 0 {
			return math.NaN()
		}
		link := cost{descriptorUs: float64(b.LinkCost) / 1000, rate: float64(b.LinkRate) / 1e6}
		return link.us(b.planned(p.point, b.of.Plan.Count)/b.planned(p.point, b.of.Plan.Requests), b.requestBytes(p.point))
	})
	peak := number(keyPeak, "At the link's peak bandwidth", webpage.UnitMicros, func(p *pagePoint) float64 {
		return b.requestBytes(p.point) / float64(b.LinkRate) * 1e6
	})
	share := number(keyShare, "Share of the first-token budget", webpage.UnitPercent, func(p *pagePoint) float64 {
		return 100 * p.request / float64(b.FirstToken)
	})
	ofLink := number(keyOfLink, "Share of the link's bandwidth", webpage.UnitPercent, func(p *pagePoint) float64 {
		return 100 * p.get(b.of.Bandwidth) / b.linkRate()
	})

	b.divide()
	d.Facets, d.Mark = b.facets()
	d.Apart = []string{size, count}
	// All tables begin with the settings that distinguish points, and the sizes.
	var head []string
	for _, s := range slices.Concat(b.main, b.rest) {
		head = append(head, s.key)
	}
	head = append(head, size, count)
	tailOf := []string{runs, keyStatus, keyReason}
	table := func(keys ...string) []string {
		keys = slices.Concat(head, keys, tailOf)
		return slices.DeleteFunc(keys, func(key string) bool { return b.byKey[key].IsEmpty() })
	}
	link := b.lines()
	for _, c := range []webpage.Chart{
		{
			ID: "bandwidth-by-size", Title: "Bandwidth by I/O size", X: []string{size}, Y: []string{bandwidth}, Lines: link, Join: webpage.JoinMedians,
			Note:    "Higher is better. Small I/Os are limited by the cost per I/O, and large I/Os by the link.",
			Columns: table(bandwidth, ofLink),
		},
		{
			ID: "bandwidth-by-batch", Title: "Bandwidth by I/Os per request", X: []string{count}, Y: []string{bandwidth}, Lines: link, Join: webpage.JoinMedians, By: size,
			Note:    "Higher is better. If bandwidth grows with the number of I/Os per request, startup accounts for much of a request's time.",
			Columns: table(bandwidth, ofLink),
		},
		{
			ID: "latency", Title: "Request latency", Label: "Time", X: []string{size, count}, Y: latency, Join: webpage.JoinMedians,
			Note:    "Lower is better. The latency of a request covers all of its I/Os. P99 covers only the request's transfer phase.",
			Columns: table(latency...),
		},
		{
			ID: "phases", Title: "Where a request's time goes", Split: true, X: []string{size}, Y: phases, Fixed: count, Side: prepare,
			Note: "Each bar shows the phases of a request with this I/O size, for the point with the median time. A long post phase means that the time depends more on the number of I/Os than on the number of bytes. " +
				"Unless requests are recreated, a request is prepared once and posted many times, so the bar does not include the time to prepare it.",
			Columns: table(append(phases, prepare)...),
		},
		{
			ID: "comparison", Title: "Bandwidth compared with the baseline", X: []string{size, count}, Y: []string{ratio}, Join: webpage.JoinNone,
			Note:    "Bandwidth divided by the baseline's bandwidth. Points above the line are faster than the baseline.",
			Lines:   []webpage.Line{{Value: 1, Label: "same as the baseline"}},
			Columns: table(bandwidth, base, ratio, tail),
		},
		{
			ID: "plan", Title: "Time to move one request's cache", Label: "Time", X: []string{cache, size, count}, Y: b.nonEmpty(request), Trusted: true, Join: webpage.JoinMedians,
			Note:    "The chart shows how long it takes to move one request's cache at the measured bandwidth, by cache size. For a plan for one rank, the size includes only that rank's part of the cache.",
			Lines:   b.target(),
			Columns: table(cache, request, planned, peak, share),
		},
	} {
		c.Y = b.nonEmpty(c.Y...)
		if len(c.Y) == 0 || b.byKey[c.X[0]].IsEmpty() || c.ID == "bandwidth-by-batch" && !b.byKey[count].Varies() ||
			(c.Trusted || c.Split) && b.best(b.points) == nil {
			continue
		}
		if c.Split {
			c.Group, c.Start = b.groupKeys(), b.start()
		}
		d.Charts = append(d.Charts, c)
	}
	d.Columns = slices.DeleteFunc(slices.Clone(b.columns), (*webpage.Column).IsEmpty)
	if !slices.ContainsFunc(d.Columns, func(c *webpage.Column) bool { return c.Key == keyReason }) {
		d.Reason = ""
	}
	return d
}

// nonEmpty returns those of the given columns that have values.
func (b *resultsPage) nonEmpty(keys ...string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return b.byKey[key].IsEmpty() })
}

// settingColumn adds the column for a setting. If all values are numbers, it is a numeric
// column.
func (b *resultsPage) settingColumn(s setting) {
	c := b.column(s.key, s.label, webpage.UnitText)
	var numbers webpage.Numbers
	for _, p := range b.points {
		v, ok := p.point[0].Value(s.of.From, s.of.Name)
		x, isNumber := numberOf(text(v))
		if !ok || !isNumber {
			numbers = nil
			break
		}
		numbers = append(numbers, x)
	}
	if numbers != nil {
		c.Numbers, c.Unit = numbers, webpage.UnitCount
		if b.schema.UnitOf(s.key) == webpage.UnitBytes {
			c.Unit = webpage.UnitBytes
		}
		return
	}
	for _, p := range b.points {
		c.Add(wordOf(s, p.point))
	}
}

// wordOf returns the value of a setting as shown in a column, or "" if there is none.
func wordOf(s setting, p Point) string {
	v, ok := p[0].Value(s.of.From, s.of.Name)
	if !ok || v == nil {
		return ""
	}
	return diag.Printable(text(v))
}

// divide finds the settings that distinguish points.
func (b *resultsPage) divide() {
	var others []setting
	for _, s := range b.shown {
		switch {
		case !b.byKey[s.key].Varies():
		case b.inView(s):
			b.main = append(b.main, s)
		default:
			others = append(others, s)
		}
	}
	b.rest = b.apart(others, b.main)
}

// inView reports whether a setting is always shown.
func (b *resultsPage) inView(s setting) bool {
	return s.key == runner.NameMeasuredBy || slices.ContainsFunc(b.view.Rows, func(r schema.Row) bool { return r.Value == s.key })
}

// apart returns the settings in list that do not follow from the settings before them and the
// given settings (by); see the follows method.
func (b *resultsPage) apart(list, by []setting) []setting {
	var kept []setting
	for _, s := range list {
		known := slices.Concat(by, kept)
		if !b.follows(s, known) {
			kept = append(kept, s)
		}
	}
	return kept
}

// follows reports whether points with the same values for the given settings (by) also have the
// same value for s.
func (b *resultsPage) follows(s setting, by []setting) bool {
	cells := map[string]string{}
	for _, p := range b.points {
		key, cell := strings.Join(labels(by, p.point), "\x00"), labels([]setting{s}, p.point)[0]
		if was, ok := cells[key]; ok && was != cell {
			return false
		}
		cells[key] = cell
	}
	return true
}

// maxFacet is the maximum number of values of a setting that is offered as a filter.
const maxFacet = 200

// facets returns the settings by which the reader can filter points, and the one by which points
// are initially marked. That is the setting with the fewest values. Settings that must be the
// same for all points of a fit are preferred.
func (b *resultsPage) facets() (keys []string, mark string) {
	least := math.MaxInt
	for _, s := range slices.Concat(b.main, b.rest) {
		c := b.byKey[s.key]
		n := len(c.Words)
		if c.Words == nil {
			distinct := slices.Clone(c.Numbers)
			slices.Sort(distinct)
			n = len(slices.Compact(distinct))
		}
		if n < 2 || n > maxFacet {
			continue
		}
		keys = append(keys, s.key)
		if slices.Contains(b.of.Same, s.key) {
			n -= maxFacet
		}
		if n < least {
			least, mark = n, s.key
		}
	}
	if c := b.byKey[keyStatus]; len(c.Words) > 1 {
		keys = append(keys, keyStatus)
	}
	return keys, mark
}

// lines returns the horizontal line for the link's bandwidth.
func (b *resultsPage) lines() []webpage.Line {
	if b.LinkRate == 0 {
		return nil
	}
	return []webpage.Line{{Value: b.linkRate(), Label: b.linkName()}}
}

// target returns the horizontal line for the time to first token.
func (b *resultsPage) target() []webpage.Line {
	if b.FirstToken == 0 {
		return nil
	}
	return []webpage.Line{{Value: float64(b.FirstToken), Label: b.budget()}}
}

// compared adds the columns that compare points with the baseline.
func (b *resultsPage) compared(number func(key, label, unit string, of func(*pagePoint) float64) string) (base, ratio, tail string) {
	all := everyMeasure(b.schema)
	find := func(key string) schema.Measure {
		return all[slices.IndexFunc(all, func(m schema.Measure) bool { return m.Key == key })]
	}
	bandwidth, last := find(b.of.Bandwidth), find(b.of.Latency[len(b.of.Latency)-1].Key)
	parsed := func(text string) float64 {
		if x, ok := numberOf(text); ok {
			return x
		}
		return math.NaN()
	}
	for _, p := range b.points {
		for key, text := range map[string]string{keyBase: p.base.spread(bandwidth).median, keyRatio: p.line.ratio(bandwidth, p.base).median} {
			if x, ok := numberOf(text); ok {
				p.values[key] = x
			}
		}
		if p.get(keyRatio) > 0 && b.LinkRate > 0 && max(p.get(b.of.Bandwidth), p.get(keyBase)) > b.linkRate() {
			p.over = true
			delete(p.values, keyRatio)
		}
	}
	base = number(keyBase, "Baseline", webpage.UnitRate, func(p *pagePoint) float64 { return p.get(keyBase) })
	ratio = number(keyRatio, "Bandwidth vs. baseline", webpage.UnitRatio, func(p *pagePoint) float64 { return p.get(keyRatio) })
	tail = number(keyTail, b.of.Latency[len(b.of.Latency)-1].Label+" vs. baseline", webpage.UnitRatio, func(p *pagePoint) float64 {
		if p.over {
			return math.NaN()
		}
		return parsed(p.line.ratio(last, p.base).median)
	})
	return base, ratio, tail
}

// costFit is a fit of the cost to the points with the same settings.
type costFit struct {
	labels []string          // values of the settings that distinguish fits
	names  []string          // like labels, with the setting's name where needed
	where  map[string]string // the values, keyed by setting
	cost   *cost
	why    string
	points int
	// most is the largest number of I/Os per request. lo and hi are the smallest and the
	// largest I/O size.
	most, lo, hi float64
}

// groupedBy returns the settings that vary and that the cost of an I/O can depend on.
func (b *resultsPage) groupedBy() []setting {
	var by []setting
	for _, s := range b.shown {
		if c := b.byKey[s.key]; (s.of.From == runner.FromFlags || slices.Contains(b.of.Same, s.key)) && c.Varies() {
			by = append(by, s)
		}
	}
	return b.apart(by, nil)
}

// groupKeys returns the keys of the settings that groupedBy returns.
func (b *resultsPage) groupKeys() []string {
	keys := []string{}
	for _, s := range b.groupedBy() {
		keys = append(keys, s.key)
	}
	return keys
}

// start returns the index of the fastest point, or 0.
func (b *resultsPage) start() int { return max(0, slices.Index(b.points, b.best(b.points))) }

// fits fits the cost of a descriptor for each combination of values of the settings that
// groupedBy returns.
func (b *resultsPage) fits() []*costFit {
	by := b.groupedBy()
	var list []*costFit
	moves := map[*costFit][]moved{}
	at := map[string]*costFit{}
	for _, p := range b.points {
		size, count, rate := p.get(b.of.Size), p.get(b.of.Count), p.get(b.of.Bandwidth)
		if p.reason != "" || !(size > 0 && count > 0 && rate > 0) {
			continue
		}
		cells := labels(by, p.point)
		key := strings.Join(cells, "\x00")
		f := at[key]
		if f == nil {
			f = &costFit{labels: cells, where: map[string]string{}, lo: size, hi: size}
			for i, s := range by {
				f.where[s.key] = wordOf(s, p.point)
				f.names = append(f.names, b.named(s, cells[i]))
			}
			at[key] = f
			list = append(list, f)
		}
		f.points++
		f.most, f.lo, f.hi = max(f.most, count), min(f.lo, size), max(f.hi, size)
		moves[f] = append(moves[f], moved{count, size * count, size * count / rate / 1000})
	}
	for _, f := range list {
		f.cost, f.why = fitCost(moves[f])
	}
	slices.SortStableFunc(list, func(x, y *costFit) int { return slices.CompareFunc(x.labels, y.labels, compareCells) })
	return list
}

// named returns the value of a setting, with the setting's name if the value is unclear
// without it.
func (b *resultsPage) named(s setting, cell string) string {
	if b.byKey[s.key].Words == nil || cell == none || cell == "true" || cell == "false" {
		return s.label + " " + cell
	}
	return cell
}

// maxCurves is the maximum number of fitted curves in a chart.
const maxCurves = 8

// addCurves adds calculated curves to a chart: the fitted bandwidth by I/O size, or the time
// at the link's peak bandwidth.
func (b *resultsPage) addCurves(c *webpage.Chart, fits []*costFit) {
	switch {
	case c.X[0] == keyCache && b.LinkRate > 0:
		c.Curves = []webpage.Curve{b.peakCurve()}
	case c.X[0] == b.of.Size && c.Y[0] == b.of.Bandwidth:
		fitted := 0
		for _, f := range fits {
			if f.cost == nil {
				continue
			}
			if fitted++; fitted <= maxCurves {
				c.Curves = append(c.Curves, b.fitCurve(f))
			}
		}
		switch {
		case fitted == 0:
		case fitted > maxCurves:
			c.Note += fmt.Sprintf(" The curves show %d of the %d fits in the table above, each for the largest number of I/Os per request.", maxCurves, fitted)
		default:
			c.Note += " The curves show the fits in the table above, each for the largest number of I/Os per request."
		}
	}
}

// curveSteps is the number of line segments in a curve.
const curveSteps = 48

// fitCurve returns the curve of the fitted bandwidth by I/O size, for the largest number of I/Os
// per request.
func (b *resultsPage) fitCurve(f *costFit) webpage.Curve {
	curve := webpage.Curve{Label: "fit", Where: f.where, X0: b.of.Size}
	if len(f.names) > 0 {
		curve.Label += ": " + strings.Join(f.names, ", ")
	}
	curve.Label += fmt.Sprintf(", %s I/Os", group(int(f.most)))
	for i := range curveSteps + 1 {
		size := f.lo * math.Pow(f.hi/f.lo, float64(i)/curveSteps)
		curve.X = append(curve.X, size)
		curve.Y = append(curve.Y, f.most*size/f.cost.us(f.most, f.most*size)/1000)
	}
	return curve
}

// peakCurve returns the curve of the time needed to move a cache at the link's peak bandwidth.
func (b *resultsPage) peakCurve() webpage.Curve {
	curve := webpage.Curve{Label: "at the link's peak bandwidth", X0: keyCache}
	lo, hi := math.Inf(1), 0.0
	for _, x := range b.byKey[keyCache].Numbers {
		if x > 0 {
			lo, hi = min(lo, x), max(hi, x)
		}
	}
	for i := range curveSteps + 1 {
		bytes := lo * math.Pow(hi/lo, float64(i)/curveSteps)
		curve.X = append(curve.X, bytes)
		curve.Y = append(curve.Y, bytes/float64(b.LinkRate)*1e6)
	}
	return curve
}
