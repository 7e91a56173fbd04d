package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// The names that formulas use for values that exist only in transfers: those of the source
// and destination sides, the engine's rules, and the rank being evaluated.
const (
	sourcePrefix      = "source_"
	destinationPrefix = "destination_"
	pairPrefix        = "pair_"
	sidePrefix        = "transfer.destination."
	advicePrefix      = "transfer.advice."
	pairRequires      = "transfer.requires"
	layerShares       = "layer_shares"
	sourceRanks       = "source_tp"
	sourceGroups      = "source_dp"
	destinationRanks  = "destination_tp"
	destinationGroups = "destination_dp"
	destinationRank   = "destination_rank"
	destinationGroup  = "destination_dp_rank"
	pairsField        = "transfer_pairs"
	pairsAll          = "all"
)

// sideWords describes the numbers in [pairing.sides].
var sideWords = [4]string{
	"tensor-parallel ranks on the prefill side", "groups of ranks on the prefill side",
	"tensor-parallel ranks on the decode side", "groups of ranks on the decode side",
}

// pairing contains references to the formulas for transfers.
type pairing struct {
	fields []sideField
	// values contains the values of the destination side that formulas read.
	values   []standIn
	rank, dp formula.Ref // the destination rank and its group
	// ofGroup reports whether a rank's sources depend on its group.
	ofGroup                     bool
	op, first, step, count      formula.Ref
	covers, ios, pages, request formula.Ref
	timed, us, bytes, total     formula.Ref    // whether a pair's time can be computed, the time itself, and the bytes and I/Os that it depends on
	sides                       [4]formula.Ref // the numbers of ranks and groups on the source and destination sides
	pairs                       formula.Ref    // the field that selects which plans to make, or -1
	requires                    []pairRequirement
}

// sideField is a field whose value on the destination side comes from a formula.
type sideField struct {
	field string
	text  string // the text of the formula
	ref   formula.Ref
}

// pairRequirement is a requirement of an engine or, if engine is "", of all engines. It
// applies to the two sides or, if the each field is set, to every group of layers.
type pairRequirement struct {
	requirement
	engine string
	each   bool
}

// declareTransfers declares the formulas for transfers.
func (ds *declarations) declareTransfers(kinds map[string]*schema.Kind) {
	c := ds.schema.Cache.Get()
	t := c.Transfer.Get()
	ds.cache.pairing = &pairing{}
	shares := map[string]schema.Formula{}
	for name, k := range kinds {
		shares[name] = ds.withLocalNames(k, k.Shares)
	}
	tableOf(ds.scope, "kind_shares", shares, formula.Num)
	ds.scope.Formula(layerShares, formula.Source{Text: "kind_shares[" + kindVar + "]"}, formula.Num)
	ds.scope.Input(destinationRank, formula.Num, diag.Pos{})
	ds.scope.Input(destinationGroup, formula.Num, diag.Pos{})

	known := map[string]bool{destinationRank: true, destinationGroup: true}
	var texts []schema.Formula
	for name, f := range t.Let {
		known[name] = true
		texts = append(texts, f)
	}
	addFormulas(ds.scope, t.Let, formula.Any)
	for _, name := range schema.Keys(t.Tables) {
		table(ds.scope, name, t.Tables[name])
	}
	for i := range t.Advice {
		ds.scope.Formula(fmt.Sprintf("%s%d", advicePrefix, i), t.Advice[i].When, formula.Bool)
	}
	for field, f := range t.Destination {
		ds.scope.Formula(sidePrefix+field, f, formula.Any)
	}
	rules := map[string]map[string]schema.EngineRule{}
	ds.declarePairRequires("", false, t.Requires)
	for _, engine := range schema.Keys(t.Engines) {
		e := t.Engines[engine]
		for name, rule := range e.Rules() {
			if rules[name] == nil {
				rules[name] = map[string]schema.EngineRule{}
			}
			rules[name][engine] = rule
			for i := range rule {
				texts = append(texts, rule[i].Value)
			}
		}
		ds.declarePairRequires(engine, false, e.Requires)
		ds.declarePairRequires(engine, true, e.EachRequires)
	}
	for _, name := range schema.Keys(rules) {
		ds.declareTable(pairPrefix+name+"_by", rules[name])
		ds.scope.Formula(pairPrefix+name, formula.Source{Text: pairPrefix + name + "_by[" + engineField + "]"}, formula.Any)
	}
	for _, r := range ds.cache.pairing.requires {
		texts = append(texts, r.Require)
	}
	for _, f := range texts {
		for _, name := range f.Names() {
			if known[name] {
				continue
			}
			for _, prefix := range []string{sourcePrefix, destinationPrefix} {
				if of, ok := strings.CutPrefix(name, prefix); ok {
					known[name] = true
					ds.scope.Formula(name, formula.Source{Text: of, Pos: f.Pos}, formula.Any)
				}
			}
		}
	}
}

func (ds *declarations) declarePairRequires(engine string, each bool, list []schema.Requirement) {
	all := &ds.cache.pairing.requires
	for i := range list {
		ds.scope.Formula(fmt.Sprintf("%s.%d", pairRequires, len(*all)), list[i].Require, formula.Bool)
		*all = append(*all, pairRequirement{requirement{Requirement: &list[i]}, engine, each})
	}
}

// linkTransfers resolves the names that only transfers use, after the formulas are
// compiled.
func (ds *declarations) linkTransfers() {
	p := ds.cache.pairing
	ref := func(name string) formula.Ref {
		r, _ := ds.prog.Ref(name)
		return r
	}
	for _, field := range schema.Keys(ds.schema.Cache.Get().Transfer.Get().Destination) {
		p.fields = append(p.fields, sideField{field, ds.schema.Cache.Get().Transfer.Get().Destination[field].Text, ref(sidePrefix + field)})
	}
	let := ds.schema.Cache.Get().Transfer.Get().Let
	for _, name := range ds.prog.Names() {
		of, ok := strings.CutPrefix(name, destinationPrefix)
		if _, own := let[name]; !ok || own || name == destinationRank || name == destinationGroup {
			continue
		}
		p.values = append(p.values, standIn{from: ref(of), to: ref(name)})
	}
	p.rank, p.dp = ref(destinationRank), ref(destinationGroup)
	p.op, p.first, p.step, p.count = ref(pairPrefix+"op"), ref(pairPrefix+"first"), ref(pairPrefix+"step"), ref(pairPrefix+"count")
	p.covers, p.ios, p.pages = ref(pairPrefix+"covers"), ref(pairPrefix+"ios"), ref(pairPrefix+"io_pages")
	p.request = ref(pairPrefix + "requests")
	p.timed, p.us = ref(pairPrefix+"timed"), ref(pairPrefix+"us")
	p.pairs = -1
	if r, ok := ds.prog.Ref(pairsField); ok {
		p.pairs = r
	}
	p.bytes, p.total = ref(pairBytesFact), ref(pairIOsFact)
	p.sides = [4]formula.Ref{ref(sourceRanks), ref(sourceGroups), ref(destinationRanks), ref(destinationGroups)}
	for _, r := range []formula.Ref{p.first, p.step, p.count} {
		p.ofGroup = p.ofGroup || slices.Contains(ds.prog.Inputs(r), destinationGroup)
	}
	for i := range p.requires {
		p.requires[i].ref = ref(fmt.Sprintf("%s.%d", pairRequires, i))
	}
}

// refs returns references to the values that determine the pairs of ranks and their I/Os.
// If slowest is true, it omits the field that selects which plans to make. If bytes is true,
// it omits the values that determine only the I/Os.
func (p *pairing) refs(slowest, bytes bool) []formula.Ref {
	refs := append([]formula.Ref{p.op, p.first, p.step, p.count, p.request}, p.sides[:]...)
	if p.pairs >= 0 && !slowest {
		refs = append(refs, p.pairs)
	}
	for _, f := range p.fields {
		refs = append(refs, f.ref)
	}
	if bytes {
		return refs
	}
	refs = append(refs, p.covers, p.ios, p.pages)
	for _, r := range p.requires {
		refs = append(refs, r.ref)
	}
	return refs
}

// Ranks describes the ranks on one side of a transfer. It contains the number of pipeline
// stages, data-parallel attention groups per stage, and ranks per group. The ranks of a
// group divide the heads among themselves.
type Ranks struct{ Stages, Groups, Each int }

// Number returns the number of a rank among the ranks of its side. The ranks of a stage are
// numbered consecutively, as are the ranks of each group within a stage.
func (r Ranks) Number(stage, group, rank int) int { return (stage*r.Groups+group)*r.Each + rank }

// Cycle returns the number of requests after which the pairs of groups repeat. Each side
// distributes requests to its groups in turn.
func Cycle(source, destination Ranks) int64 {
	a, b := int64(source.Groups), int64(destination.Groups)
	x, y := a, b
	for y > 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// Speedups returns the changes that could speed up the transfer.
func (t *Transfer) Speedups() ([]schema.Speedup, error) {
	var list []schema.Speedup
	for i, s := range t.layers.schema.Cache.Get().Transfer.Get().Advice {
		ref, _ := t.layers.prog.Ref(fmt.Sprintf("%s%d", advicePrefix, i))
		yes, err := t.layers.inFirst.Bool(ref)
		if err != nil {
			return nil, err
		}
		if yes {
			list = append(list, s)
		}
	}
	return list, nil
}

// sources contains the source ranks for each destination rank. It is indexed by the
// destination's group and by the rank within the group.
type sources [][][]int

// pairsOf describes the two sides of a transfer and what all pairs of ranks move.
type pairsOf struct {
	source, destination Ranks
	op                  string
	requests            int64 // the largest number of requests for any pair of groups
	together            bool  // whether to also make plans for all pairs with the same I/Os at once
	overall             overall
	to                  *Request
}

// overall contains the total bytes and I/Os for all pairs of ranks in a transfer.
type overall struct{ bytes, ios int64 }

// destinationOf returns the request for the destination side of a transfer. Call settle
// for the source side first.
func (l *Layers) destinationOf(of *Request, values *formula.Frame, settled map[string]data.Fact) (*Request, error) {
	req, cfg := *of, *of.Config
	cfg.Values = maps.Clone(cfg.Values)
	maps.Copy(cfg.Values, settled)
	for _, f := range l.cache.pairing.fields {
		v, err := values.Eval(f.ref)
		if err != nil {
			return nil, l.missing(of, err)
		}
		fact := cfg.Values[f.field]
		fact.Value = v
		if given := of.Config.Values[f.text]; given.Origin.Given() {
			fact.Origin = given.Origin
		}
		cfg.Values[f.field] = fact
	}
	req.Config = &cfg
	return &req, nil
}

// pairsFor evaluates the transfer for a request.
func (l *Layers) pairsFor(req *Request, warnings *diag.List) (*pairsOf, error) {
	if l.first {
		if err := l.setPairs(req, warnings); err != nil {
			return nil, err
		}
	}
	all := l.pairs
	var err error
	if all.requests, err = l.wholeAt(l.inFirst, l.cache.pairing.request); err != nil {
		return nil, l.missing(req, err)
	}
	if l.first {
		err = l.setPairRates(req, warnings)
	} else {
		err = l.pairRates(req)
	}
	if err != nil {
		return nil, err
	}
	if l.first {
		l.setPairStages()
	}
	for i := range l.stages {
		st := &l.stages[i]
		if l.slowest && st.like != st {
			continue // a pair with the same I/Os has already been evaluated
		}
		if err := l.countPairs(st, all); err != nil {
			return nil, l.missing(req, err)
		}
		if err := st.fill(l.rates); err != nil {
			return nil, diag.Errorf(req.label(), "the byte count of stage %d does not fit in 64 bits", st.number)
		}
	}
	return all, l.countAll(req, all)
}

// setPairs determines the ranks on both sides.
func (l *Layers) setPairs(req *Request, warnings *diag.List) error {
	if l.other == nil {
		l.other = l.NewFrame().Layers()
	}
	to, err := l.destinationOf(req, l.base, l.settled)
	if err != nil {
		return err
	}
	l.other.axes = l.axes
	l.other.Load(to)
	var more diag.List
	if err := l.other.begin(to, &more); err != nil {
		return err
	}
	addDistinct(warnings, more)
	if len(l.other.cells) != len(l.cells) {
		return diag.Errorf(req.label(), "the two sides have different layers")
	}
	l.newSpace() // the new space includes the values of the destination side
	if err := l.watch(); err != nil {
		return err
	}
	all := &pairsOf{to: to, together: to.Config.Values[pairsField].Str == pairsAll}
	l.pairs = all
	for _, s := range []struct {
		*Layers
		of *Request
	}{{l, req}, {l.other, to}} {
		if s.ends, err = s.endsOf(s.of); err != nil {
			return s.missing(s.of, err)
		}
	}
	p := l.cache.pairing
	var sides [4]int
	l.inFirst = l.frameAt(-1, 0)
	for i, ref := range p.sides {
		n, err := l.wholeAt(l.inFirst, ref)
		if err != nil {
			return l.missing(req, err)
		}
		if n < 1 || n > maxPairs {
			return diag.Errorf(req.label(), "there are %[2]d %[1]s: expected 1 to %[3]d", sideWords[i], n, maxPairs)
		}
		sides[i] = int(n)
	}
	all.source = Ranks{len(l.ends) - 1, sides[1], sides[0]}
	all.destination = Ranks{len(l.other.ends) - 1, sides[3], sides[2]}
	if err := l.requirePair(req, l.inFirst, "", warnings); err != nil {
		return err
	}
	op, err := l.inFirst.Eval(p.op)
	if err != nil {
		return l.missing(req, err)
	}
	all.op = op.Str
	return nil
}

// setPairStages determines which source and destination stages have layers in common.
func (l *Layers) setPairStages() {
	all, ends, to := l.pairs, l.ends, l.other.ends
	places := l.places(ends)
	l.stages = make([]stage, 0, all.source.Stages+all.destination.Stages)
	for i := range all.source.Stages {
		for j := range all.destination.Stages {
			st := stage{number: i, to: j, place: places[i], lo: max(ends[i], to[j]), hi: min(ends[i+1], to[j+1]), all: &all.overall}
			if st.lo < st.hi {
				l.addStage(st)
			}
		}
	}
}

// countAll determines how many pairs of ranks have each kind of I/O, and the totals for all
// pairs.
func (l *Layers) countAll(req *Request, all *pairsOf) error {
	n, err := l.wholeAt(l.base, l.cache.requests)
	if err != nil {
		return err
	}
	groups := min(Cycle(all.source, all.destination), n)
	all.overall = overall{}
	var sum total
	for i := range l.stages {
		st := &l.stages[i]
		if l.slowest && st.like != st {
			continue
		}
		for j := range st.ios {
			o := &st.ios[j]
			each := o.from.pairs()
			o.pairs = sum.mul(each, groups)
			o.stagePairs = append(o.stagePairs, [2]int{st.number, st.to})
			each = sum.mul(each, n)
			if l.slowest {
				each = sum.mul(each, st.alike)
			}
			bytes, ios := o.perRequest(all.requests)
			all.overall.bytes = sum.add(all.overall.bytes, sum.mul(bytes, each))
			all.overall.ios = sum.add(all.overall.ios, sum.mul(ios, each))
		}
	}
	if sum.err != nil {
		return diag.Errorf(req.label(), "the byte count of all pairs of ranks does not fit in 64 bits")
	}
	return nil
}

// perRequest returns the bytes and I/Os of one request. requests is the number of requests
// that o covers.
func (o *io) perRequest(requests int64) (bytes, ios int64) {
	var sum total
	return sum.over(o.moved, formula.Int(requests)).Num(), sum.over(o.all, formula.Int(requests)).Num()
}

// countPairs computes the I/Os between two ranks, one in a source stage and one in a
// destination stage.
func (l *Layers) countPairs(st *stage, all *pairsOf) error {
	var sum total
	var blocks bool
	for i := range l.rates {
		r := &l.rates[i]
		if st.held[i] == 0 || r.page == 0 || r.pages == 0 {
			continue
		}
		n, err := st.frames[i].Num(l.cache.places)
		if err != nil {
			return err
		}
		r.ios = sum.times(sum.product(formula.Int(r.each), n), all.requests)
		r.moved = sum.times(sum.product(formula.Int(r.pages), n), all.requests)
		blocks = blocks || r.covers == schema.CoversBlock
	}
	if blocks {
		n, err := l.wholeAt(l.base, l.cache.allBlocks)
		if err != nil {
			return err
		}
		st.blocks = sum.mul(n, all.requests)
		if st.block, err = l.wholeAt(l.frameAt(st.place, -1), l.cache.blockBytes); err != nil {
			return err
		}
	}
	return sum.err
}

// bring copies the values that formulas read from the destination side into the frame.
func (l *Layers) bring() {
	for _, v := range l.cache.pairing.values {
		if val, err := l.other.frame.Eval(v.from); err == nil {
			l.frame.Set(v.to, val)
		} else {
			l.frame.Unset(v.to)
		}
	}
}

// requirePair checks the requirements on the two sides or, if group is not "", on that
// group's layers.
func (l *Layers) requirePair(req *Request, frame *formula.Frame, group string, warnings *diag.List) error {
	engine := req.Config.Values[engineField].Str
	for _, r := range l.cache.pairing.requires {
		if r.each != (group != "") || r.engine != "" && r.engine != engine {
			continue
		}
		ok, err := frame.Bool(r.ref)
		if err != nil {
			return l.missing(req, err)
		}
		l.check(frame, r.ref, ok)
		if ok {
			continue
		}
		d := l.unmet(req, frame, l.cache.pairing.placed(r.Requirement, req), r.ref, group, req.label())
		if !r.GoesOn() {
			return d
		}
		addDistinct(warnings, diag.List{d})
	}
	return nil
}

// placed returns the requirement in a form that lets messages point to a field that the
// user set. If the user set only the corresponding field on the other side, the returned
// requirement has that field as its Of.
func (p *pairing) placed(r *schema.Requirement, req *Request) *schema.Requirement {
	given := func(field string) bool { return req.Config.Values[field].Origin.Given() }
	if given(r.Of) {
		return r
	}
	other := *r
	for _, f := range p.fields {
		if f.text == r.Of && given(f.field) {
			other.Of = f.field
		} else if f.field == r.Of && given(f.text) {
			other.Of = f.text
		}
	}
	return &other
}

// addDistinct adds the messages that the list does not contain yet.
func addDistinct(list *diag.List, more diag.List) {
	for _, d := range more {
		if !slices.ContainsFunc(*list, func(w *diag.Diag) bool { return w.Msg == d.Msg }) {
			list.Add(d)
		}
	}
}

// setPairRates determines how much of each cell a pair of ranks moves, and checks the
// requirements on the cell's layers.
func (l *Layers) setPairRates(req *Request, warnings *diag.List) error {
	seen := map[string]bool{}
	l.rates = make([]rate, len(l.cells))
	var maps []*sources
	for i := range l.cells {
		r := &l.rates[i]
		*r = rate{cell: &l.cells[i], at: l.frameAt(-1, i)}
		if !seen[r.group] || l.cache.byLayer[r.group] {
			seen[r.group] = true
			if err := l.requireLayers(req, r, warnings); err != nil {
				return err
			}
		}
		if err := l.pairRate(r); err != nil {
			return l.missing(req, err)
		}
		if r.page == 0 || r.pages == 0 {
			continue
		}
		if err := l.requirePair(req, r.at, r.group, warnings); err != nil {
			return err
		}
		err := l.cover(r, l.cache.pairing.covers)
		if err == nil {
			err = l.pairPages(r)
		}
		var from *sources
		if err == nil {
			from, err = l.sourcesOf(r)
		}
		if err != nil {
			return l.missing(req, err)
		}
		k := slices.IndexFunc(maps, func(m *sources) bool { return m.equal(from) })
		if k < 0 {
			k = len(maps)
			maps = append(maps, from)
		}
		r.from = maps[k]
	}
	return nil
}

// pairRates determines how much of each cell a pair of ranks moves, once the values of
// varying fields have changed.
func (l *Layers) pairRates(req *Request) error {
	for i := range l.rates {
		r := &l.rates[i]
		if err := l.pairRate(r); err != nil {
			return l.missing(req, err)
		}
		if (r.page > 0 && r.pages > 0) != (r.from != nil) {
			return errAnew
		}
		if r.from != nil {
			if err := l.pairPages(r); err != nil {
				return l.missing(req, err)
			}
		}
	}
	return nil
}

// requireLayers checks the requirements on a cell's layers on both sides.
func (l *Layers) requireLayers(req *Request, r *rate, warnings *diag.List) error {
	var more diag.List
	for _, kind := range []string{r.kind, everyKind} {
		if err := l.require(req, r.at, kind, r.group, warnings); err != nil {
			return err
		}
		if err := l.other.require(l.pairs.to, l.other.frameAt(-1, r.index), kind, r.group, &more); err != nil {
			return err
		}
	}
	addDistinct(warnings, more)
	return nil
}

// pairRate determines how many bytes of a cell's page a pair of ranks moves. For each part,
// it counts only the bytes that both ranks store.
func (l *Layers) pairRate(r *rate) (err error) {
	r.parts, r.pages = r.parts[:0], 0
	if r.page, err = l.wholeAt(r.at, l.cache.pageBytes); err != nil || r.page == 0 {
		return err
	}
	if r.pages, err = l.wholeAt(r.at, l.cache.pages); err != nil {
		return err
	}
	r.page = 0
	for k := range r.partNames {
		n, err := l.partBytes(r.cell, k)
		if err != nil {
			return err
		}
		r.parts = append(r.parts, n)
		r.page += n
	}
	return nil
}

// pairPages determines the number of descriptors per request and the number of pages per
// descriptor.
func (l *Layers) pairPages(r *rate) (err error) {
	if r.each, err = l.wholeAt(r.at, l.cache.pairing.ios); err != nil {
		return err
	}
	r.per, err = r.at.Num(l.cache.pairing.pages)
	return err
}

// maxPairs is the maximum number of pairs of ranks in a transfer.
const maxPairs = 1 << 20

// sourcesOf determines, for each destination rank, the source ranks that send it the layers
// of a cell.
func (l *Layers) sourcesOf(of *rate) (*sources, error) {
	p, all := l.cache.pairing, l.pairs
	groups := 1
	if p.ofGroup {
		groups = all.destination.Groups
	}
	found := make(sources, groups)
	total := 0
	for g := range groups {
		l.space.Vary(groupVaries, formula.Number(int64(g)))
		found[g] = make([][]int, all.destination.Each)
		for r := range found[g] {
			l.space.Vary(rankVaries, formula.Number(int64(r)))
			var v [3]int64
			for i, ref := range []formula.Ref{p.first, p.step, p.count} {
				var err error
				if v[i], err = l.wholeAt(of.at, ref); err != nil {
					return nil, err
				}
			}
			first, step, count := v[0], v[1], v[2]
			if count > 0 && (first+step*(count-1) >= int64(all.source.Each) || step < 1 && count > 1) {
				src := l.prog.Source(p.count)
				return nil, diag.Errorf(src.Pos, "destination rank %d has %d sources, %[4]d apart, beginning at rank %[3]d, but each group on the source side has %[5]d ranks", r, count, first, step, all.source.Each)
			}
			if total += int(count); total > maxPairs {
				return nil, diag.Errorf(diag.Pos{}, "there are more than %d pairs of ranks", maxPairs)
			}
			for i := range count {
				found[g][r] = append(found[g][r], int(first+i*step))
			}
		}
	}
	return &found, nil
}

func (s *sources) equal(t *sources) bool {
	return slices.EqualFunc(*s, *t, func(a, b [][]int) bool { return slices.EqualFunc(a, b, slices.Equal) })
}

// ranksFor returns the source ranks for a destination rank.
func (s *sources) ranksFor(group, rank int) []int { return (*s)[group%len(*s)][rank] }

// pairs returns the number of pairs of ranks in one pair of groups.
func (s *sources) pairs() int64 {
	n := 0
	for _, list := range (*s)[0] {
		n += len(list)
	}
	return int64(n)
}

// together returns a request in which all pairs that have the same I/Os move their data at
// the same time.
func (r *Request) together() *Request {
	one, o := *r, *r.io
	o.together = true
	one.io = &o
	one.facts = slices.Clone(r.facts)
	for i := range one.facts {
		switch f := &one.facts[i]; f.name {
		case sourcesFact:
			f.num = formula.Int(o.senders)
		case destinationsFact:
			f.num = formula.Int(o.receivers)
		}
	}
	return &one
}

// ranks determines how many ranks send and how many receive the data that o moves for n
// requests.
func (all *pairsOf) ranks(o *io, n int64) error {
	if o.pairs > maxPairs {
		return diag.Errorf(diag.Pos{}, "there are more than %d pairs of ranks", maxPairs)
	}
	// If the sources do not depend on the group, considering each group once is enough.
	deals := int64(max(all.source.Groups, all.destination.Groups))
	if len(*o.from) > 1 {
		deals = Cycle(all.source, all.destination)
	}
	senders, receivers := map[int]bool{}, map[int]bool{}
	for k := range min(deals, n) {
		from, to := int(k)%all.source.Groups, int(k)%all.destination.Groups
		for rank := range all.destination.Each {
			for _, source := range o.from.ranksFor(to, rank) {
				for _, b := range o.stagePairs {
					senders[all.source.Number(b[0], from, source)] = true
					receivers[all.destination.Number(b[1], to, rank)] = true
				}
			}
		}
	}
	o.senders, o.receivers = int64(len(senders)), int64(len(receivers))
	return nil
}

// shapes returns pairs of stages. If the ranks in several pairs of stages have the same
// I/Os, it returns only one of these pairs. If only the slowest pair is requested, it
// returns that pair.
func (l *Layers) shapes(req *Request, warnings *diag.List) ([]*stage, error) {
	all, err := l.pairsFor(req, warnings)
	if err != nil {
		return nil, err
	}
	l.chosen = l.chosen[:0]
	if l.slowest {
		st, err := l.slowestOf()
		if err != nil {
			return nil, l.missing(req, err)
		}
		l.chosen = append(l.chosen, st)
		return l.chosen, nil
	}
	for i := range l.stages {
		st := &l.stages[i]
		k := slices.IndexFunc(l.chosen, func(other *stage) bool { return st.hasSameIOs(other) })
		if k < 0 {
			l.chosen = append(l.chosen, st)
			continue
		}
		for j := range st.ios {
			o := &l.chosen[k].ios[j]
			o.pairs += st.ios[j].pairs
			o.stagePairs = append(o.stagePairs, st.ios[j].stagePairs...)
		}
	}
	if !all.together {
		return l.chosen, nil
	}
	n, err := l.wholeAt(l.base, l.cache.requests)
	if err != nil {
		return nil, err
	}
	for _, st := range l.chosen {
		for j := range st.ios {
			if err := all.ranks(&st.ios[j], n); err != nil {
				return nil, err
			}
		}
	}
	return l.chosen, nil
}

// hasSameIOs reports whether the ranks in two pairs of stages have the same I/Os.
func (st *stage) hasSameIOs(other *stage) bool {
	if len(st.ios) != len(other.ios) {
		return false
	}
	for i := range st.ios {
		a, b := &st.ios[i], &other.ios[i]
		if a.bytes != b.bytes || a.count != b.count || !slices.Equal(st.groups(a), other.groups(b)) {
			return false
		}
	}
	return true
}

// slowestOf returns the pair of stages whose pairs of ranks are slowest. Of those that take
// the same time, or if the bandwidth is not known, it returns the one that moves the most
// bytes. It sorts the I/O sizes by the number of I/Os, largest first. It also marks the first
// size so that it is named after all groups.
func (l *Layers) slowestOf() (*stage, error) {
	best, most := &l.stages[0], formula.Rat{}
	var pairs int64
	for i := range l.stages {
		st := &l.stages[i]
		if st.like != st {
			continue
		}
		if len(l.stages) > 1 {
			v, ok := l.micros(st.bytes, st.total)
			if !ok {
				return nil, diag.Errorf(diag.Pos{}, "the transfer time of a pair of ranks cannot be computed")
			}
			if cmp.Or(v.Cmp(most), cmp.Compare(st.bytes, best.bytes)) > 0 {
				best, most = st, v
			}
		}
		n := int64(0)
		for j := range st.ios {
			n = max(n, st.ios[j].pairs)
		}
		pairs += n * st.alike
		if len(st.ios) > 1 {
			slices.SortStableFunc(st.ios, func(a, b io) int { return cmp.Compare(b.count, a.count) })
		}
	}
	if len(best.ios) > 0 {
		best.first().pairs, best.first().allGroups = pairs, true
	}
	return best, nil
}

// micros returns the time that a pair takes to move the given bytes in the given number of
// I/Os. If the bandwidth is not known, it returns the number of bytes instead. It returns
// false on error.
func (l *Layers) micros(bytes, ios int64) (formula.Rat, bool) {
	p := l.cache.pairing
	l.space.Vary(bytesVaries, formula.Number(bytes))
	l.space.Vary(iosVaries, formula.Number(ios))
	timed, err := l.inFirst.Bool(p.timed)
	if err != nil || !timed {
		return formula.Int(bytes), err == nil
	}
	v, err := l.inFirst.Num(p.us)
	return v, err == nil
}

// Transfer describes how the caches of requests move from the ranks of one side to the
// ranks of the other.
type Transfer struct {
	// Op is the operation performed by the side that starts the transfer: READ or WRITE.
	Op string
	// Flags are the nixlbench flags that the transfer determines, keyed by name.
	Flags               map[string]formula.Value
	Source, Destination Ranks
	// Requests is the number of requests. Each side distributes them to its groups in turn.
	Requests int64
	Shapes   []Shape
	// Request is the request for the source side, including the values that the engine
	// determines.
	Request *Request
	// The To field is the request for the destination side. Some of its fields come from
	// the decode section of the configuration.
	To       *Request
	Warnings diag.List
	layers   *Layers
}

// Quantity returns the value of a quantity for a pair of ranks that moves the given bytes
// in the given number of descriptors, and whether a detailed plan shows the quantity. Do
// not call it after the planner has planned another request.
func (t *Transfer) Quantity(name string, bytes, descriptors int64) (v int64, shown bool, err error) {
	l := t.layers
	l.space.Vary(bytesVaries, formula.Number(bytes))
	l.space.Vary(iosVaries, formula.Number(descriptors))
	if cond, ok := l.ShownIf(name); ok {
		if shown, err = l.inFirst.Bool(cond); err != nil || !shown {
			return 0, false, err
		}
	}
	ref, _ := l.prog.Ref(name)
	v, err = l.wholeAt(l.inFirst, ref)
	return v, err == nil, err
}

// Value returns the value of a formula in the transfer. Like [Transfer.Quantity], it must
// not be called after the planner has planned another request.
func (t *Transfer) Value(name string) (formula.Value, error) {
	ref, ok := t.layers.prog.Ref(name)
	if !ok {
		return formula.Value{}, fmt.Errorf("there is no value %s", name)
	}
	return t.layers.inFirst.Eval(ref)
}

// Shape describes descriptors of one size. Each pair of ranks, one in each of two stages,
// moves these descriptors for one request.
type Shape struct {
	// Source and Destination are the numbers of the two pipeline stages.
	Source, Destination int
	// Group contains the names of the groups of layers, and Layers describes the layers that
	// the stages have in common.
	Group, Layers string
	// Bytes and Descriptors are totals for a pair of ranks. Each descriptor moves
	// DescriptorBytes, except that the last one may move less.
	Bytes, Descriptors, DescriptorBytes int64
	from                                *sources
}

// Sources returns the source ranks for a destination rank. Ranks are numbered within their
// groups.
func (s *Shape) Sources(group, rank int) []int { return s.from.ranksFor(group, rank) }

// Pairs returns how many pairs of ranks between two groups have descriptors of this shape.
func (s *Shape) Pairs() int64 { return s.from.pairs() }

// readsAny reports whether a value depends on any of the named inputs.
func (p *Program) readsAny(ref formula.Ref, names ...string) bool {
	inputs := p.prog.Inputs(ref)
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(inputs, name) })
}

// Transfer evaluates the transfer for a request. It returns an error if the planner is not
// for transfers; see [Use.Transfer].
func (p *Planner) Transfer(req *Request) (*Transfer, error) {
	if err := p.CheckValues(req); err != nil {
		return nil, err
	}
	if !p.transfers {
		return nil, NotOfRanks(req.Config)
	}
	l := p.layers
	l.Load(req)
	t := &Transfer{layers: l}
	if err := l.begin(req, &t.Warnings); err != nil {
		return nil, err
	}
	all, err := l.pairsFor(req, &t.Warnings)
	if err != nil {
		return nil, err
	}
	t.Op, t.Source, t.Destination, t.To = all.op, all.source, all.destination, all.to
	t.Flags = map[string]formula.Value{}
	for name := range p.schema.Cache.Get().Transfer.Get().Flags {
		// Skip flags that depend on how many ranks move data at the same time.
		if ref, ok := p.prog.Ref(name); ok && !p.readsAny(ref, sourcesFact, destinationsFact) {
			if t.Flags[name], err = l.inFirst.Eval(ref); err != nil {
				return nil, err
			}
		}
	}
	settled := *req
	settled.settled = l.settled
	t.Request = settled.withSettled()
	t.Requests, _ = req.Config.Values[requestsField].Num.Int64()
	for i := range l.stages {
		st := &l.stages[i]
		counted := st
		if l.slowest {
			counted = st.like // only the first of several stages with the same I/Os was counted
		}
		for j := range counted.ios {
			o := &counted.ios[j]
			bytes, ios := o.perRequest(all.requests)
			t.Shapes = append(t.Shapes, Shape{
				Source: st.number, Destination: st.to, Group: strings.Join(counted.groups(o), "+"), Layers: st.layers(),
				Bytes: bytes, Descriptors: ios, DescriptorBytes: o.bytes, from: o.from,
			})
		}
	}
	if len(t.Shapes) == 0 {
		return nil, diag.Errorf(req.label(), "there is no cache to move").WithHint("none of the model's layers has a cache")
	}
	return t, nil
}
