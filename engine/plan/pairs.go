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

// The names in formulas of what only transfers have: values of the source's and of the
// destination's side, rules of an engine, and the rank that is being evaluated.
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

// sideWords describes the numbers of ranks in [pairing.sides].
var sideWords = [4]string{
	"tensor-parallel ranks on the prefill side", "groups of ranks on the prefill side",
	"tensor-parallel ranks on the decode side", "groups of ranks on the decode side",
}

// pairing has the references to the formulas of transfers.
type pairing struct {
	fields []sideField
	// values are the values of the destination's side that formulas read.
	values   []standIn
	rank, dp formula.Ref // the destination rank, and its group
	// ofGroup reports whether the sources of a rank depend on its group.
	ofGroup                     bool
	op, first, step, count      formula.Ref
	covers, ios, pages, request formula.Ref
	timed, us, bytes, total     formula.Ref    // whether a pair has a time, the time, and what that depends on
	sides                       [4]formula.Ref // ranks and groups of the source and of the destination
	pairs                       formula.Ref    // the field that says which plans to make, or -1
	requires                    []pairRequirement
}

// sideField is a field whose value on the destination's side is that of a formula.
type sideField struct {
	field string
	text  string // of the formula
	ref   formula.Ref
}

// pairRequirement is a requirement of an engine, or of all if engine is "", on the two
// sides or, if each is set, on each group of layers.
type pairRequirement struct {
	requirement
	engine string
	each   bool
}

// declareTransfers declares the formulas of transfers.
func (ds *declarations) declareTransfers(kinds map[string]*schema.Kind) {
	c := ds.schema.Cache.Get()
	t := c.Transfer.Get()
	ds.cache.pairing = &pairing{}
	shares := map[string]schema.Formula{}
	for name, k := range kinds {
		shares[name] = ds.within(k, k.Shares)
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

// linkTransfers resolves the names of transfers after the formulas are compiled.
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

// refs returns the values that determine the pairs of ranks and their I/Os.
func (p *pairing) refs() []formula.Ref {
	refs := append([]formula.Ref{p.op, p.first, p.step, p.count, p.covers, p.ios, p.pages, p.request}, p.sides[:]...)
	if p.pairs >= 0 {
		refs = append(refs, p.pairs)
	}
	for _, f := range p.fields {
		refs = append(refs, f.ref)
	}
	for _, r := range p.requires {
		refs = append(refs, r.ref)
	}
	return refs
}

// Ranks describes the ranks of one side of a transfer: its pipeline stages, the groups of
// data-parallel attention in each, and the ranks of a group, which divide the heads.
type Ranks struct{ Stages, Groups, Each int }

// Number returns the number of a rank on its side. The ranks of a stage are numbered
// consecutively, and among them those of a group.
func (r Ranks) Number(stage, group, rank int) int { return (stage*r.Groups+group)*r.Each + rank }

// Cycle returns the number of requests after which the pairs of groups that requests are
// dealt to repeat.
func Cycle(source, destination Ranks) int64 {
	a, b := int64(source.Groups), int64(destination.Groups)
	x, y := a, b
	for y > 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// Speedups returns the changes that are possible for the transfer.
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

// sources has the source ranks of each destination rank, by the group of the
// destination and its rank in it.
type sources [][][]int

// pairsOf has the pairs of stages of a transfer, with their I/Os, and the two sides.
type pairsOf struct {
	source, destination Ranks
	op                  string
	requests            int64 // the most that a pair of groups has
	together            bool  // whether plans for all alike pairs at once are wanted too
	overall             overall
	to                  *Request
}

// overall has the bytes and the I/Os of all pairs of ranks of a transfer.
type overall struct{ bytes, ios int64 }

// destinationOf returns the request for the destination's side of a transfer. The
// values of the source's side must be settled.
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

// pairsFor evaluates the transfer of a request.
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
			continue // this pair is not slower
		}
		if err := l.countPairs(st, all); err != nil {
			return nil, l.missing(req, err)
		}
		if err := st.fill(l.cache.parts, l.rates); err != nil {
			return nil, diag.Errorf(req.label(), "the byte count of stage %d does not fit in 64 bits", st.number)
		}
	}
	return all, l.countAll(req, all)
}

// setPairs determines the ranks of the two sides.
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
		return diag.Errorf(req.label(), "the layers of the two sides differ")
	}
	l.newSpace() // which has values of the destination's side
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
	l.inFirst = l.at(-1, 0)
	for i, ref := range p.sides {
		n, err := l.wholeAt(l.inFirst, ref)
		if err != nil {
			return l.missing(req, err)
		}
		if n < 1 || n > maxPairs {
			return diag.Errorf(req.label(), "the number of %s is %d: expected 1 to %d", sideWords[i], n, maxPairs)
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

// setPairStages determines the pairs of stages that have layers in common.
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

// countAll determines the number of pairs with each kind of I/Os, and what all pairs move.
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
			o.between = append(o.between, [2]int{st.number, st.to})
			each = sum.mul(each, n)
			if l.slowest {
				each = sum.mul(each, st.alike)
			}
			bytes, ios := o.each(all.requests)
			all.overall.bytes = sum.add(all.overall.bytes, sum.mul(bytes, each))
			all.overall.ios = sum.add(all.overall.ios, sum.mul(ios, each))
		}
	}
	if sum.err != nil {
		return diag.Errorf(req.label(), "the byte count of all pairs of ranks does not fit in 64 bits")
	}
	return nil
}

// each returns the bytes and the I/Os of one of some requests.
func (o *io) each(requests int64) (bytes, ios int64) {
	var sum total
	return sum.over(o.moved, formula.Int(requests)).Num(), sum.over(o.all, formula.Int(requests)).Num()
}

// countPairs computes how many I/Os pass between two ranks, one in a stage of the source
// and one in a stage of the destination.
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
		if st.block, err = l.wholeAt(l.at(st.place, -1), l.cache.blockBytes); err != nil {
			return err
		}
	}
	return sum.err
}

// bring sets the values of the destination's side that formulas read.
func (l *Layers) bring() {
	for _, v := range l.cache.pairing.values {
		if val, err := l.other.frame.Eval(v.from); err == nil {
			l.frame.Set(v.to, val)
		} else {
			l.frame.Unset(v.to)
		}
	}
}

// requirePair checks the requirements on the two sides or, for a group, on its layers.
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

// placed returns the requirement as one of a field that is set: of the same on the other
// side, if the requirement's own is not.
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

// addDistinct adds the messages that a list does not have yet.
func addDistinct(list *diag.List, more diag.List) {
	for _, d := range more {
		if !slices.ContainsFunc(*list, func(w *diag.Diag) bool { return w.Msg == d.Msg }) {
			list.Add(d)
		}
	}
}

// setPairRates evaluates what a pair of ranks moves of each cell, and checks the
// requirements on its layers.
func (l *Layers) setPairRates(req *Request, warnings *diag.List) error {
	seen := map[string]bool{}
	l.rates = make([]rate, len(l.cells))
	var maps []*sources
	for i := range l.cells {
		r := &l.rates[i]
		*r = rate{cell: &l.cells[i], at: l.at(-1, i)}
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

// pairRates evaluates what a pair of ranks moves of each cell after fields have varied.
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

// requireLayers checks the requirements on a cell's layers, on both sides.
func (l *Layers) requireLayers(req *Request, r *rate, warnings *diag.List) error {
	var more diag.List
	for _, kind := range []string{r.kind, everyKind} {
		if err := l.require(req, r.at, kind, r.group, warnings); err != nil {
			return err
		}
		if err := l.other.require(l.pairs.to, l.other.at(-1, r.index), kind, r.group, &more); err != nil {
			return err
		}
	}
	addDistinct(warnings, more)
	return nil
}

// pairRate evaluates the bytes that a pair of ranks moves of a page of a cell: of each
// part, as many as both ranks hold.
func (l *Layers) pairRate(r *rate) (err error) {
	r.parts, r.pages = r.parts[:0], 0
	if r.page, err = l.wholeAt(r.at, l.cache.pageBytes); err != nil || r.page == 0 {
		return err
	}
	if r.pages, err = l.wholeAt(r.at, l.cache.pages); err != nil {
		return err
	}
	r.page = 0
	for k := range l.cache.parts[r.kind] {
		n, err := l.partBytes(r.cell, k)
		if err != nil {
			return err
		}
		r.parts = append(r.parts, n)
		r.page += n
	}
	return nil
}

// pairPages evaluates the descriptors of a request and the pages of each.
func (l *Layers) pairPages(r *rate) (err error) {
	if r.each, err = l.wholeAt(r.at, l.cache.pairing.ios); err != nil {
		return err
	}
	r.per, err = r.at.Num(l.cache.pairing.pages)
	return err
}

// maxPairs is the maximum number of pairs of ranks of a transfer.
const maxPairs = 1 << 20

// sourcesOf evaluates the sources of each destination rank for a cell.
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
				return nil, diag.Errorf(src.Pos, "destination rank %d has %d sources from rank %d on, %d apart: the source's side has %d ranks", r, count, first, step, all.source.Each)
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

// of returns the sources of a destination rank.
func (s *sources) of(group, rank int) []int { return (*s)[group%len(*s)][rank] }

// pairs returns the number of pairs for a pair of groups.
func (s *sources) pairs() int64 {
	n := 0
	for _, list := range (*s)[0] {
		n += len(list)
	}
	return int64(n)
}

// together returns the request for all pairs that have the same I/Os as the request's, at
// once.
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

// ranks determines how many ranks send, and how many receive, what some I/Os move of a
// number of requests.
func (all *pairsOf) ranks(o *io, n int64) error {
	if o.pairs > maxPairs {
		return diag.Errorf(diag.Pos{}, "there are more than %d pairs of ranks", maxPairs)
	}
	// If the sources do not depend on the group, it is enough to see each group once.
	deals := int64(max(all.source.Groups, all.destination.Groups))
	if len(*o.from) > 1 {
		deals = Cycle(all.source, all.destination)
	}
	senders, receivers := map[int]bool{}, map[int]bool{}
	for k := range min(deals, n) {
		from, to := int(k)%all.source.Groups, int(k)%all.destination.Groups
		for rank := range all.destination.Each {
			for _, source := range o.from.of(to, rank) {
				for _, b := range o.between {
					senders[all.source.Number(b[0], from, source)] = true
					receivers[all.destination.Number(b[1], to, rank)] = true
				}
			}
		}
	}
	o.senders, o.receivers = int64(len(senders)), int64(len(receivers))
	return nil
}

// shapes returns the pairs of stages whose pairs of ranks differ in their I/Os.
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
		k := slices.IndexFunc(l.chosen, func(other *stage) bool { return st.moves(other) })
		if k < 0 {
			l.chosen = append(l.chosen, st)
			continue
		}
		for j := range st.ios {
			o := &l.chosen[k].ios[j]
			o.pairs += st.ios[j].pairs
			o.between = append(o.between, st.ios[j].between...)
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

// moves reports whether the pairs of ranks of two pairs of stages have the same I/Os.
func (st *stage) moves(other *stage) bool {
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

// slowestOf returns the pair of stages whose pairs of ranks are slowest or, if the
// bandwidth is not known, move the most bytes. Its first I/Os are those that are most, and
// have the names of all groups.
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
				return nil, diag.Errorf(diag.Pos{}, "the time of a pair cannot be computed")
			}
			if v.Cmp(most) > 0 {
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
		best.first().pairs, best.first().every = pairs, true
	}
	return best, nil
}

// micros returns the time of a pair that moves these bytes in so many I/Os or, if the
// bandwidth is not known, the bytes. It returns false if there is an error.
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

// Transfer describes how the cache of requests moves from the ranks of one side to those
// of another.
type Transfer struct {
	// Op is what the transfer is to the side that starts it: READ or WRITE.
	Op string
	// Flags are the flags of nixlbench that follow from the transfer, by name.
	Flags               map[string]formula.Value
	Source, Destination Ranks
	// Requests is the number of requests. They are dealt in turn to the groups of each
	// side.
	Requests int64
	Shapes   []Shape
	// Request is the request, with the values of fields that are not set.
	Request *Request
	// To is the request for the destination's side, whose strategy is that of the decode
	// section.
	To       *Request
	Warnings diag.List
	layers   *Layers
}

// Quantity returns the value of a quantity for a pair of ranks that moves these bytes in
// so many descriptors, and whether a detailed plan shows it. It may be called until the
// planner plans something else.
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

// Value returns the value of a formula of transfers. It may be called as long as
// [Transfer.Quantity].
func (t *Transfer) Value(name string) (formula.Value, error) {
	ref, ok := t.layers.prog.Ref(name)
	if !ok {
		return formula.Value{}, fmt.Errorf("transfers have no value %s", name)
	}
	return t.layers.inFirst.Eval(ref)
}

// Shape describes descriptors of one size that each pair of some ranks moves for a
// request.
type Shape struct {
	// Source and Destination are the pipeline stages of the ranks.
	Source, Destination int
	// Group names the groups of layers, and Layers describes their layers.
	Group, Layers string
	// Bytes and Descriptors are totals for the pair. Each descriptor moves
	// DescriptorBytes, except that the last may move less.
	Bytes, Descriptors, DescriptorBytes int64
	from                                *sources
}

// Sources returns the sources of a destination rank: ranks of a group, like it.
func (s *Shape) Sources(group, rank int) []int { return s.from.of(group, rank) }

// Pairs returns the number of pairs of ranks with such descriptors between two groups.
func (s *Shape) Pairs() int64 { return s.from.pairs() }

// readsAny reports whether a value depends on one of some inputs.
func (p *Program) readsAny(ref formula.Ref, names ...string) bool {
	inputs := p.prog.Inputs(ref)
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(inputs, name) })
}

// Transfer evaluates the transfer of a request. The planner must have been made for
// transfers.
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
		// Some depend on how many pairs a command is for.
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
		for j := range st.ios {
			o := &st.ios[j]
			bytes, ios := o.each(all.requests)
			t.Shapes = append(t.Shapes, Shape{
				Source: st.number, Destination: st.to, Group: strings.Join(st.groups(o), "+"), Layers: st.layers(),
				Bytes: bytes, Descriptors: ios, DescriptorBytes: o.bytes, from: o.from,
			})
		}
	}
	if len(t.Shapes) == 0 {
		return nil, diag.Errorf(req.label(), "there is no cache to move").WithHint("none of the model's layers has a cache")
	}
	return t, nil
}
