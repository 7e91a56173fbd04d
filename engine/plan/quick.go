package plan

import (
	"encoding/binary"
	"slices"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/schema"
)

// quick evaluates the slowest pairs of many requests. It keeps what does not depend on
// the length of the input, such as who sends what to whom, and evaluates only the numbers
// of pages and descriptors for each request.
type quick struct {
	*Layers
	fields  []string // the fields that what is kept depends on
	pages   formula.Ref
	live    []*fold        // computed for each request, if their conditions hold
	blocked formula.Inputs // folds among these must not differ between requests
	kept    map[string]*kept
	model   *model.Model // that it is kept of
	now     *kept        // the one whose values are in the frame
	key     []byte
	entries []entry
	sizes   []size
}

// maxKept is the maximum number of entries that quick keeps.
const maxKept = 4096

// kept is what quick keeps for some values of the fields.
type kept struct {
	err      error
	warnings diag.List
	settled  map[string]data.Fact
	sets     []setting // of the whole model
	cells    []keptCell
	stages   []keptStage
	byCell   []foldValues
	windows  formula.Value
	slow     bool // nothing is kept
	all      []cell
	live     []liveFold
	cycle    int64 // see [Cycle]
	pairs    int64 // of ranks, for as many requests as there are in a cycle
}

// liveFold is a fold that is computed for each request, with the index of its fact.
type liveFold struct {
	*fold
	fact int
}

// setting is a value to set in the frame, or to unset if it has no kind.
type setting struct {
	ref formula.Ref
	v   formula.Value
}

// keptCell is the rate of a cell, with the values for the current request.
type keptCell struct {
	rate
	sets  []setting
	pairs int64 // of ranks of two groups
}

// keptStage is a pair of stages, with the number of layers of each cell.
type keptStage struct {
	stage
	facts []fact // of the model and of the stage
	n     []int64
	// places are the places that a layer takes: 1, and its part of the padding.
	places []formula.Rat
	like   io
}

// entry is what one kind of descriptors moves for a request.
type entry struct {
	cell         *keptCell
	bytes        int64
	count, moved formula.Rat
	whole        bool // all layers of the cell's group
}

// size is a number of I/Os of the same size.
type size struct {
	bytes        int64
	count, moved formula.Rat
	from         *sources
	pairs        int64
}

// newQuick returns a quick that evaluates in the frame of l.
func newQuick(l *Layers) *quick {
	q := &quick{Layers: l, kept: map[string]*kept{}}
	p := l.cache.pairing
	q.pages, _ = l.prog.Ref(layerPages)
	skip := append(l.refs(layerPages, ioCount, ioBlocks, ioBlockBytes), p.ios, p.pages, p.request)
	t := l.tracer(everything)
	refs := slices.Clone(l.requires)
	for _, r := range l.layerRefs() {
		if !slices.Contains(skip, r) {
			refs = append(refs, r)
		}
	}
	for _, r := range l.cache.requires {
		refs = append(refs, r.ref)
	}
	for _, d := range l.cache.defaults {
		refs = append(refs, d.ref)
	}
	for _, v := range p.values {
		refs = append(refs, v.from)
	}
	depends := t.inputs(refs)
	others := append(slices.Clone(stageFields), engineField, releaseField)
	// Folds that only some models need may depend on the length of the input, and are then
	// computed for each request.
	for _, f := range l.cache.folds {
		if f.when >= 0 {
			depends.Add(t.inputs([]formula.Ref{f.when}))
		} else {
			depends.Add(t.foldInputs(f.Fold))
		}
	}
	for _, f := range l.cache.folds {
		if f.when >= 0 && slices.ContainsFunc(t.foldInputs(f.Fold).Names(), func(name string) bool { return l.schema.FieldOf(name) != nil && !depends.Has(name) }) {
			q.live = append(q.live, f)
		}
	}
	q.blocked = t.reach.Inputs(append(l.refs(layerPages), p.ios, p.pages, p.request, p.timed, p.us)...)
	for i := range l.schema.Fields {
		if f := &l.schema.Fields[i]; l.knows(f) && (depends.Has(f.Var) || slices.Contains(others, f.Var)) {
			q.fields = append(q.fields, f.Var)
		}
	}
	return q
}

// expand is like [Layers.ExpandNext].
func (q *quick) expand(req *Request) ([]*Request, diag.List, error) {
	if q.model != req.Model || len(q.kept) == maxKept {
		clear(q.kept)
		q.model, q.now = req.Model, nil
	}
	q.setKey(req)
	k := q.kept[string(q.key)]
	if k == nil {
		k = q.keep(req)
		q.kept[string(q.key)] = k
	}
	if k.err != nil {
		return nil, nil, k.err
	}
	var one *Request
	ok := !k.slow
	if ok {
		one, ok = q.slowestIn(k, req)
	}
	if !ok { // let the general code find the error
		q.now = nil
		q.clear(req)
		return q.Expand(req)
	}
	return []*Request{one}, k.warnings, nil
}

// setKey sets the key to the values of those fields that are axes.
func (q *quick) setKey(req *Request) {
	q.key = q.key[:0]
	for i := range req.Config.Axes { // only these differ between the requests of a sweep
		name := req.Config.Axes[i].Field.Var
		if !slices.Contains(q.fields, name) {
			continue
		}
		v := req.Config.Values[name]
		q.key = append(q.key, byte(v.Kind))
		if q.Given(name, v) {
			q.key = append(q.key, 1)
		}
		if v.Kind == formula.Num {
			q.key = binary.LittleEndian.AppendUint64(q.key, uint64(v.Num.Num()))
			q.key = binary.LittleEndian.AppendUint64(q.key, uint64(v.Num.Den()))
		} else {
			q.key = append(append(q.key, v.Text()...), 0)
		}
	}
}

// clear removes what the previous request set in the frame.
func (q *quick) clear(req *Request) {
	for _, ref := range q.cache.inner {
		q.frame.Unset(ref)
	}
	q.unsettle(req)
}

// keep evaluates what to keep.
func (q *quick) keep(req *Request) *kept {
	k := &kept{}
	q.now = nil
	q.clear(req)
	var x *modelled
	var all *pairsOf
	if x, k.err = q.Layers.model(req, &k.warnings); k.err != nil {
		return k
	}
	if all, k.err = q.pairs(x, &k.warnings); k.err != nil {
		return k
	}
	var slowest *stage
	if slowest, k.err = q.slowestOf(all); k.err != nil {
		return k
	}
	if len(slowest.ios) == 0 {
		k.err = q.noCache(req)
		return k
	}
	n, _ := req.Config.Values[requestsField].Num.Int64()
	k.settled, k.cycle = x.settled, Cycle(all.source, all.destination)
	k.pairs = slowest.first().pairs / min(k.cycle, n) * k.cycle
	for _, f := range x.facts {
		if ref, ok := q.prog.Ref(f.name); ok {
			k.sets = append(k.sets, setting{ref, formula.Value{Kind: formula.Num, Num: f.num}})
		}
	}
	for _, d := range q.cache.defaults {
		if v, ok := x.settled[d.field]; ok {
			k.sets = append(k.sets, setting{d.ref, v.Value})
		}
	}
	for _, r := range all.rates {
		k.slow = k.slow || r.covers == schema.CoversBlock
		c := keptCell{rate: r, pairs: r.from.pairs()}
		q.other.enter(r.cell)
		for _, v := range q.cache.pairing.values {
			val, err := q.other.frame.Eval(v.from)
			if err != nil {
				val = formula.Value{}
			}
			c.sets = append(c.sets, setting{v.to, val})
		}
		k.cells = append(k.cells, c)
	}
	k.all = x.cells
	for _, f := range q.live {
		yes, err := q.frame.Bool(f.when)
		if err != nil || yes && (len(f.by) > 0 || q.blocked.Has(f.Name)) {
			k.slow = true
		} else if yes {
			k.live = append(k.live, liveFold{fold: f})
		}
	}
	k.byCell = q.byCell
	windows, _ := q.prog.Ref(windowsVar)
	if k.windows, k.err = q.frame.Eval(windows); k.err != nil {
		return k
	}
	places, _ := q.prog.Ref(ioPlaces)
	ofModel := len(x.facts)
	for i := range all.stages {
		st := keptStage{stage: all.stages[i]}
		if len(st.ios) == 0 {
			continue
		}
		x.facts = x.facts[:ofModel]
		if k.err = q.folds(x, schema.OverStage, st.lo, st.hi); k.err != nil {
			return k
		}
		st.facts, st.like = slices.Clone(x.facts), *st.first()
		for j := range k.live {
			k.live[j].fact = slices.IndexFunc(st.facts, func(f fact) bool { return f.name == k.live[j].Name })
		}
		for j := range k.cells {
			c := &k.cells[j]
			n, v := c.in(st.lo, st.hi), formula.Rat{}
			if n > 0 {
				q.enter(c.cell)
				if v, k.err = q.frame.Num(places); k.err != nil {
					return k
				}
			}
			st.n, st.places = append(st.n, n), append(st.places, v)
		}
		k.stages = append(k.stages, st)
	}
	return k
}

// slowestIn returns the request for the slowest pair, or false if there is an error.
func (q *quick) slowestIn(k *kept, req *Request) (*Request, bool) {
	q.byCell = k.byCell
	if q.now != k {
		for _, s := range k.sets {
			q.frame.Set(s.ref, s.v)
		}
	}
	p := q.cache.pairing
	for i := range k.cells {
		c := &k.cells[i]
		if q.now != k || len(k.cells) > 1 {
			q.enter(c.cell)
			for _, s := range c.sets {
				if s.v.Kind == formula.Any {
					q.frame.Unset(s.ref)
				} else {
					q.frame.Set(s.ref, s.v)
				}
			}
		}
		ok := q.number(q.pages, &c.pages) && q.number(p.ios, &c.each)
		per, err := q.frame.Num(p.pages)
		if c.per = per; !ok || err != nil {
			return nil, false
		}
	}
	q.now = k
	var requests int64
	if !q.number(p.request, &requests) {
		return nil, false
	}
	n, _ := req.Config.Values[requestsField].Num.Int64()
	var sum total
	var most formula.Rat
	var best *keptStage
	out := &stage{all: &overall{}}
	o := io{}
	for i := range k.stages {
		st := &k.stages[i]
		q.fill(k, st, &sum)
		var moved, ios int64
		for j := range q.sizes {
			s := &q.sizes[j]
			each := sum.mul(s.pairs, n)
			out.all.bytes = sum.add(out.all.bytes, sum.mul(s.moved.Ceil().Num(), each))
			out.all.ios = sum.add(out.all.ios, sum.mul(s.count.Ceil().Num(), each))
			moved = sum.add(moved, sum.times(s.moved, requests).Ceil().Num())
			ios = sum.add(ios, sum.times(s.count, requests).Ceil().Num())
		}
		v := formula.Int(moved)
		if len(k.stages) > 1 {
			us, ok := q.micros(moved, ios)
			if !ok {
				return nil, false
			}
			v = us
		}
		if best != nil && v.Cmp(most) <= 0 {
			continue
		}
		best, most = st, v
		out.bytes, out.total = moved, ios
		first := q.sizes[0]
		for _, s := range q.sizes {
			if s.count.Cmp(first.count) > 0 {
				first = s
			}
		}
		o = st.like
		o.bytes, o.count, o.from = first.bytes, sum.times(first.count, requests).Ceil().Num(), first.from
	}
	if sum.err != nil {
		return nil, false
	}
	out.number, out.to, out.lo, out.hi = best.number, best.to, best.lo, best.hi
	o.pairs = k.pairs / k.cycle * min(k.cycle, n)
	one := *req
	one.stage, one.io, one.byCell, one.windows, one.settled = out, &o, k.byCell, k.windows, k.settled
	one.facts = append(make([]fact, 0, len(best.facts)+8), best.facts...)
	for _, f := range k.live {
		if err := q.computeFold(f.fold, k.all, best.lo, best.hi); err != nil {
			return nil, false
		}
		v, err := q.frame.Num(f.value)
		if err != nil {
			return nil, false
		}
		one.facts[f.fact].num = v
	}
	one.facts = append(one.facts, q.ioFacts(out, &o)...)
	return &one, true
}

// fill determines the sizes of the descriptors of two stages for one request, as
// [stage.fill] does.
func (q *quick) fill(k *kept, st *keptStage, sum *total) {
	q.entries, q.sizes = q.entries[:0], q.sizes[:0]
	for i := range k.cells {
		c, n, places := &k.cells[i], st.n[i], st.places[i]
		if n == 0 || c.each == 0 {
			continue
		}
		all := sum.times(places, n)
		switch {
		case c.covers == schema.CoversStage || c.covers == schema.CoversPool:
			j := slices.IndexFunc(q.entries, func(e entry) bool { return e.whole && c.alike(e.cell) })
			if j < 0 {
				j = len(q.entries)
				q.entries = append(q.entries, entry{cell: c, count: sum.times(places, c.each), moved: sum.times(places, c.pages), whole: true})
			}
			q.entries[j].bytes = sum.add(q.entries[j].bytes, sum.mul(n, c.page))
		case c.covers == schema.CoversPart:
			for _, bytes := range c.parts {
				if bytes > 0 {
					q.entries = append(q.entries, entry{cell: c, bytes: bytes, count: sum.times(all, c.each), moved: sum.times(all, c.pages)})
				}
			}
		default:
			q.entries = append(q.entries, entry{cell: c, bytes: c.page, count: sum.times(all, c.each), moved: sum.times(all, c.pages)})
		}
	}
	for i := range q.entries {
		e := &q.entries[i]
		moved := sum.times(e.moved, e.bytes)
		bytes := sum.keep(formula.Int(e.bytes).Mul(e.cell.per))
		j := slices.IndexFunc(q.sizes, func(s size) bool { return s.bytes == bytes && s.from == e.cell.from })
		if j < 0 {
			j = len(q.sizes)
			q.sizes = append(q.sizes, size{bytes: bytes, from: e.cell.from, pairs: e.cell.pairs})
		}
		s := &q.sizes[j]
		s.count, s.moved = sum.plus(s.count, e.count), sum.plus(s.moved, moved)
	}
}

// alike reports whether layers of two cells are in the same descriptors, which cover
// several layers.
func (c *keptCell) alike(d *keptCell) bool {
	if c.covers != d.covers || c.from != d.from || c.pages != d.pages {
		return false
	}
	if c.covers == schema.CoversPool {
		return c.kind == d.kind && c.pool == d.pool && c.page == d.page
	}
	return c.group == d.group
}

// number evaluates a whole number, 0 or more.
func (q *quick) number(ref formula.Ref, dst *int64) bool {
	v, err := q.frame.Num(ref)
	n, whole := v.Int64()
	*dst = n
	return err == nil && whole && n >= 0
}
