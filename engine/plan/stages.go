package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// rate describes the pages and I/Os of each layer in a cell.
type rate struct {
	*cell
	at    *formula.Frame
	page  int64       // bytes per page
	pages int64       // pages per request
	ios   formula.Rat // I/Os per layer in the stage, assuming one I/O per page
	// parts contains the size in bytes of each part of a page. It is set only for transfers or
	// if each part is a separate I/O.
	parts []int64
	// partFrames contains the frame for each part.
	partFrames []*formula.Frame
	// The covers field specifies what one I/O covers.
	covers string
	pool   int64 // the number of the layers' pool, if one I/O covers a pool
	// per is the number of pages that one I/O moves. moved is the number of pages that all
	// I/Os move.
	per, moved formula.Rat
	// The from field contains the sources of each destination rank in a transfer.
	from *sources
	each int64 // in a transfer, I/Os per request for one layer, without padding
}

// stage is a pipeline stage and its I/Os. In a transfer, it consists of the layers that a
// source stage and a destination stage have in common, with the I/Os of one pair of their
// ranks.
type stage struct {
	number, lo, hi int // the stage contains the layers from lo up to, but not including, hi
	to             int // the number of the destination's stage
	// place is the number of the stage whose frames are used to compute this stage's values.
	place int
	like  *stage // the first stage with the same I/Os
	alike int64  // the number of stages with the same I/Os; set only in the first of them

	frames []*formula.Frame // the frame for each rate
	held   []int64          // for each rate, the number of layers in the stage
	list   []sized
	ios    []io
	facts  []fact
	live   []live // the facts that vary
	varied []int  // the indexes of the facts that may vary
	empty  *diag.Diag
	bytes  int64    // bytes that all I/Os move
	total  int64    // I/Os of all sizes
	all    *overall // the totals of the transfer
	// If an I/O covers a block with pages of all layers, block is the size of a block, and
	// blocks is the number of blocks.
	block, blocks int64
}

// io describes the I/Os of one size, which may move layers of several groups.
type io struct {
	bytes, count int64
	all          formula.Rat // the number of I/Os before rounding
	moved        formula.Rat // bytes that all I/Os move; the last I/O may be shorter
	shares       []share
	// allGroups reports whether the I/Os are named after all groups in their stage.
	allGroups bool
	// In a transfer, the from field contains the sources of each destination rank, and
	// pairs is the number of pairs of ranks that have these I/Os.
	from  *sources
	pairs int64
	// stagePairs contains the pairs of source and destination stages that contain these
	// pairs of ranks. senders and receivers count the source and destination ranks in these
	// pairs, and are set only if a plan for all pairs at once is requested.
	stagePairs         [][2]int
	senders, receivers int64
	// together reports whether all of these pairs move their I/Os at the same time.
	together bool
}

// share describes what a group contributes to the I/Os of one size. An I/O moves the sum of
// the terms, and units is the number of such I/Os for each page.
type share struct {
	terms []term
	units int64
	part  string // the part of a layer that an I/O moves, or ""
	// The covers field specifies what an I/O covers, and parts lists the parts of the
	// layer.
	covers string
	parts  []string
}

// term represents n layers of a cell.
type term struct {
	rate *rate
	n    int64
}

// sized is a share before it is combined with other shares of the same I/O size.
type sized struct {
	share
	bytes             int64
	count, moved, per formula.Rat
	from              *sources
}

// first returns the I/Os of the first size.
func (st *stage) first() *io { return &st.ios[0] }

// The next method adds a share with one term to the list, reusing memory.
func (st *stage) next(r *rate, n int64) *sized {
	i := len(st.list)
	if i == cap(st.list) {
		st.list = append(st.list, sized{})
	}
	st.list = st.list[:i+1]
	s := &st.list[i]
	terms := append(s.terms[:0], term{r, n})
	*s = sized{} // for the reason given in nextIO
	s.terms, s.covers, s.units, s.per, s.from = terms, r.covers, 1, r.per, r.from
	return s
}

// nextIO adds an entry for I/Os of another size, reusing memory.
func (st *stage) nextIO(bytes int64, from *sources) *io {
	i := len(st.ios)
	if i == cap(st.ios) {
		st.ios = append(st.ios, io{})
	}
	st.ios = st.ios[:i+1]
	o := &st.ios[i]
	shares, stagePairs := o.shares[:0], o.stagePairs[:0]
	*o = io{} // clearing it and setting fields is faster than copying a composite literal
	o.bytes, o.from, o.shares, o.stagePairs = bytes, from, shares, stagePairs
	return o
}

// fill determines the stage's I/Os, grouped by size.
func (st *stage) fill(rates []rate) error {
	st.list, st.ios = st.list[:0], st.ios[:0]
	var sum total
	for i := range rates {
		r, n := &rates[i], st.held[i]
		if n == 0 || r.page == 0 || r.ios.Num() == 0 {
			continue
		}
		switch r.covers {
		case schema.CoversBlock:
			j := slices.IndexFunc(st.list, func(s sized) bool { return s.covers == r.covers })
			if j >= 0 {
				st.list[j].terms = append(st.list[j].terms, term{r, n})
				continue
			}
			s := st.next(r, n)
			s.moved = formula.Int(st.blocks)
			s.bytes, s.count = st.block, sum.over(s.moved, r.per)
		case schema.CoversStage, schema.CoversPool:
			j := slices.IndexFunc(st.list, func(s sized) bool { return s.covers == r.covers && r.joins(s.terms[0].rate) })
			if j >= 0 {
				st.list[j].terms = append(st.list[j].terms, term{r, n})
			} else {
				j = len(st.list)
				s := st.next(r, n)
				s.parts, s.count, s.moved = r.partNames, r.ios, r.moved
			}
			st.list[j].bytes = sum.add(st.list[j].bytes, sum.mul(n, r.page))
		case schema.CoversPart:
			ios, moved := sum.times(r.ios, n), sum.times(r.moved, n)
			for k, part := range r.partNames {
				s := st.next(r, 1)
				s.parts, s.part, s.units = r.partNames, part, n
				s.bytes, s.count, s.moved = r.parts[k], ios, moved
			}
		default:
			s := st.next(r, 1)
			s.parts, s.units = r.partNames, n
			s.bytes, s.count, s.moved = r.page, sum.times(r.ios, n), sum.times(r.moved, n)
		}
	}
	for i := range st.list {
		s := &st.list[i]
		if s.bytes == 0 {
			continue
		}
		moved := sum.times(s.moved, s.bytes)
		s.bytes = sum.keep(formula.Int(s.bytes).Mul(s.per))
		var o *io
		for j := range st.ios {
			if st.ios[j].bytes == s.bytes && st.ios[j].from == s.from {
				o = &st.ios[j]
			}
		}
		if o == nil {
			o = st.nextIO(s.bytes, s.from)
		}
		o.all = sum.plus(o.all, s.count)
		o.moved = sum.plus(o.moved, moved)
		o.shares = append(o.shares, s.share)
	}
	st.bytes, st.total = 0, 0
	for i := range st.ios {
		o := &st.ios[i]
		// A group's share of the padding may be a fraction, but the sum over the groups never is.
		o.count = o.all.Ceil().Num()
		o.moved = o.moved.Ceil()
		st.total = sum.add(st.total, o.count)
		if o.from == nil {
			st.bytes = sum.add(st.bytes, sum.mul(o.bytes, o.count))
		} else {
			st.bytes = sum.add(st.bytes, o.moved.Num())
		}
	}
	return sum.err
}

// joins reports whether an I/O that covers several layers covers the layers of both cells.
// The cells must have the same number of pages and the same sources. In addition, they must
// belong to the same group or, if an I/O covers a pool, have the same kind, pool and page
// size.
func (r *rate) joins(q *rate) bool {
	if r.pages != q.pages || r.from != q.from {
		return false
	}
	if r.covers == schema.CoversPool {
		return r.kind == q.kind && r.pool == q.pool && r.page == q.page
	}
	return r.group == q.group
}

// groups returns the names of the groups of layers that some of the stage's I/Os move.
func (st *stage) groups(o *io) []string {
	if !o.allGroups {
		return shorten(st.names(o), st)
	}
	var all []string
	for i := range st.ios {
		one := st.ios[i]
		one.allGroups = false
		all = append(all, st.groups(&one)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// names returns the names of the groups whose layers the I/Os move. If the I/Os move a
// single part of each layer, the name of the part follows the group's name.
func (st *stage) names(o *io) []string {
	var names []string
	for _, s := range o.shares {
		for _, t := range s.terms {
			name := t.rate.group
			if s.part != "" && len(st.list) > 1 {
				name += "." + s.part
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// shorten replaces names such as group.part with the name of the group if no I/Os of
// another size move parts of the same group.
func shorten(names []string, st *stage) []string {
	var out []string
	for _, name := range names {
		group, _, _ := strings.Cut(name, ".")
		elsewhere := 0
		for i := range st.ios {
			if slices.ContainsFunc(st.names(&st.ios[i]), func(n string) bool { return n == group || strings.HasPrefix(n, group+".") }) {
				elsewhere++
			}
		}
		if elsewhere == 1 {
			name = group
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// layers returns a description of a stage's layers, as in "layers 0 to 3".
func (st *stage) layers() string {
	switch st.hi - st.lo {
	case 0:
		return "no layers"
	case 1:
		return fmt.Sprintf("layer %d", st.lo)
	}
	return fmt.Sprintf("layers %d to %d", st.lo, st.hi-1)
}

// ratesOf evaluates the rate of each cell and checks the requirements on the cell's layers.
func (l *Layers) ratesOf(req *Request, warnings *diag.List) error {
	if !l.first {
		for i := range l.rates {
			if err := l.rate(&l.rates[i]); err != nil {
				return l.missing(req, err)
			}
		}
		return nil
	}
	seen := map[string]bool{}
	l.rates = make([]rate, len(l.cells))
	for i := range l.cells {
		c := &l.cells[i]
		r := &l.rates[i]
		*r = rate{cell: c, at: l.frameAt(-1, i)}
		if !seen[c.group] || l.cache.byLayer[c.group] {
			seen[c.group] = true
			for _, kind := range []string{c.kind, everyKind} {
				if err := l.require(req, r.at, kind, c.group, warnings); err != nil {
					return err
				}
			}
		}
		if err := l.rate(r); err != nil {
			return l.missing(req, err)
		}
	}
	return nil
}

// rate computes the size and the number of a cell's pages. It determines what an I/O covers
// only once, because that does not vary.
func (l *Layers) rate(r *rate) (err error) {
	if r.page, err = l.wholeAt(r.at, l.cache.pageBytes); err != nil {
		return err
	}
	if r.pages, err = l.wholeAt(r.at, l.cache.pages); err != nil {
		return err
	}
	if l.first {
		if err := l.cover(r, l.cache.ioCovers); err != nil {
			return err
		}
	}
	r.parts = r.parts[:0]
	if r.covers != schema.CoversPart || r.page == 0 {
		return nil
	}
	if r.partFrames == nil {
		for k := range r.partNames {
			r.partFrames = append(r.partFrames, l.partFrame(r.cell, k))
		}
	}
	for _, frame := range r.partFrames {
		n, err := l.wholeAt(frame, l.cache.partBytes)
		if err != nil {
			return err
		}
		r.parts = append(r.parts, n)
	}
	return nil
}

// cover determines how much of a cell's layers an I/O covers.
func (l *Layers) cover(r *rate, covers formula.Ref) error {
	v, err := r.at.Eval(covers)
	if err != nil {
		return err
	}
	if r.covers = v.Str; r.covers == schema.CoversPool {
		r.pool, err = l.wholeAt(r.at, l.cache.pool)
	}
	return err
}

// partBytes returns the number of bytes that an I/O moves for one part of a page.
func (l *Layers) partBytes(c *cell, part int) (int64, error) {
	return l.wholeAt(l.partFrame(c, part), l.cache.partBytes)
}

// partFrame returns the frame for a part of a cell's layers.
func (l *Layers) partFrame(c *cell, part int) *formula.Frame {
	return l.space.Frame(formula.Spot{cellAxis: int16(c.index + 1), partAxis: int16(part + 1)})
}

// endsOf returns the number of the first layer in each pipeline stage, followed by the
// number of layers.
func (l *Layers) endsOf(req *Request) ([]int, error) {
	pp, _ := req.Config.Values[stagesField].Num.Int64()
	ends := make([]int, pp+1)
	for i := range ends {
		first, err := l.wholeAt(l.frameAt(i, -1), l.cache.first)
		if err != nil {
			return nil, err
		}
		ends[i] = int(first)
		l.space.Drop(formula.Spot{stageAxis: int16(i + 1)})
	}
	ends[pp] += l.drafts // draft layers belong to the last stage
	return ends, nil
}

// stagesOf returns the requested pipeline stages with their I/Os.
func (l *Layers) stagesOf(req *Request, warnings *diag.List) ([]*stage, error) {
	if err := l.ratesOf(req, warnings); err != nil {
		return nil, err
	}
	if l.first {
		if err := l.setStages(req); err != nil {
			return nil, err
		}
	}
	l.chosen = l.chosen[:0]
	for i := range l.stages {
		st := &l.stages[i]
		if l.largest && st.like != st {
			continue // a stage with the same I/Os has already been evaluated
		}
		if err := l.countIOs(st); err != nil {
			return nil, l.missing(req, err)
		}
		if err := st.fill(l.rates); err != nil {
			return nil, diag.Errorf(req.label(), "the byte count of stage %d does not fit in 64 bits", st.number)
		}
		if l.largest && len(l.chosen) > 0 {
			if st.bytes > l.chosen[0].bytes {
				l.chosen[0] = st
			}
			continue
		}
		l.chosen = append(l.chosen, st)
	}
	return l.chosen, nil
}

// setStages determines the layers of the requested stages.
func (l *Layers) setStages(req *Request) (err error) {
	if l.ends, err = l.endsOf(req); err != nil {
		return err
	}
	pp := len(l.ends) - 1
	choice := req.Config.Values[stageField]
	n, ok := choice.Num.Int64()
	if choice.Kind == formula.Num && ok && n >= int64(pp) {
		return choice.Origin.Errorf("there is no stage %d: stages are numbered from 0, and the last one is %d", n, pp-1)
	}
	l.largest = choice.Str == stageLargest
	places := l.places(l.ends)
	l.stages = make([]stage, 0, pp)
	for s := range pp {
		if choice.Kind == formula.Num && int64(s) != n {
			continue
		}
		l.addStage(stage{number: s, place: places[s], lo: l.ends[s], hi: l.ends[s+1]})
	}
	return nil
}

// held returns, for each cell, the number of its layers from lo up to, but not including,
// hi. It also returns these numbers as a map key.
func (l *Layers) held(lo, hi int) ([]int64, string) {
	var key []byte
	held := make([]int64, len(l.rates))
	for i := range l.rates {
		held[i] = l.rates[i].countIn(lo, hi)
		key = strconv.AppendInt(append(key, ' '), held[i], 10)
	}
	return held, string(key)
}

// places returns, for each stage, the number of the first stage that has the same values.
// Stages have the same values if they have the same number of layers from each cell, unless
// values depend on the stage number.
func (l *Layers) places(ends []int) []int {
	first := map[string]int{}
	places := make([]int, len(ends)-1)
	for i := range places {
		_, key := l.held(ends[i], ends[i+1])
		if _, ok := first[key]; !ok || l.cache.numbered {
			first[key] = i
		}
		places[i] = first[key]
	}
	return places
}

// addStage adds a stage, which may consist of the layers that a source stage and a
// destination stage have in common. l.stages must have enough capacity, because pointers to
// its elements are stored.
func (l *Layers) addStage(st stage) {
	var key string
	st.held, key = l.held(st.lo, st.hi)
	key += "/" + strconv.Itoa(st.place)
	st.frames = make([]*formula.Frame, len(l.rates))
	for i := range l.rates {
		if st.held[i] > 0 {
			st.frames[i] = l.frameAt(st.place, l.rates[i].index)
		}
	}
	l.stages = append(l.stages, st)
	last := &l.stages[len(l.stages)-1]
	if l.like[key] == nil {
		if l.like == nil {
			l.like = map[string]*stage{}
		}
		l.like[key] = last
	}
	last.like = l.like[key]
	last.like.alike++
}

// countIOs evaluates the number of I/Os for each layer in a stage.
func (l *Layers) countIOs(st *stage) error {
	var blocks bool
	for i := range l.rates {
		r := &l.rates[i]
		if st.held[i] == 0 {
			continue
		}
		var err error
		if r.ios, err = st.frames[i].Num(l.cache.count); err != nil {
			return err
		}
		r.per, r.moved = formula.Int(1), r.ios
		blocks = blocks || r.covers == schema.CoversBlock
	}
	if !blocks {
		return nil
	}
	var err error
	if st.blocks, err = l.wholeAt(l.frameAt(st.place, -1), l.cache.blocks); err == nil {
		st.block, err = l.wholeAt(l.frameAt(st.place, -1), l.cache.blockBytes)
	}
	return err
}

// A total adds, multiplies and divides numbers. It sets err if a result does not fit in 64
// bits.
type total struct{ err error }

func (t *total) add(a, b int64) int64 { return t.keep(formula.Int(a).Add(formula.Int(b))) }

func (t *total) mul(a, b int64) int64 { return t.keep(formula.Int(a).Mul(formula.Int(b))) }

func (t *total) plus(a, b formula.Rat) formula.Rat {
	v, err := a.Add(b)
	t.keep(v, err)
	return v
}

func (t *total) times(a formula.Rat, n int64) formula.Rat {
	v, err := a.Mul(formula.Int(n))
	t.keep(v, err)
	return v
}

func (t *total) product(a, b formula.Rat) formula.Rat {
	v, err := a.Mul(b)
	t.keep(v, err)
	return v
}

// The over method divides a by b and rounds up.
func (t *total) over(a, b formula.Rat) formula.Rat {
	v, err := a.Quo(b)
	t.keep(v, err)
	return v.Ceil()
}

func (t *total) keep(v formula.Rat, err error) int64 {
	if err != nil {
		t.err = err
	}
	return v.Num()
}
