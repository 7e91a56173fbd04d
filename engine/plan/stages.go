package plan

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// rate has the pages and I/Os of each layer of a cell.
type rate struct {
	*cell
	page  int64       // bytes of a page
	pages int64       // pages of a request
	ios   formula.Rat // I/Os in the stage for each layer, if there is one for each page
	parts []int64     // bytes of each part of a page, if each part is an I/O
	// covers is what one I/O covers.
	covers string
	pool   int64 // the pool of its pages, if one I/O covers a pool
	// per is the number of pages that one I/O moves, and moved the number of pages
	// that all I/Os move.
	per, moved formula.Rat
	// from has the sources of each destination rank of a transfer.
	from *sources
	each int64 // I/Os of a request, for each place of its pages
}

// stage is a pipeline stage with its I/Os. In a transfer, it is what a stage of the
// source and one of the destination have in common, and has the I/Os of one pair of
// their ranks.
type stage struct {
	number, lo, hi int // it has the layers from lo up to, but not including, hi
	to             int // the number of the destination's stage
	ios            []io
	bytes          int64    // bytes that all I/Os move
	total          int64    // I/Os of all sizes
	all            *overall // of the transfer
	// If an I/O covers a block with pages of all layers: the bytes of a block, and the
	// number of blocks.
	block, blocks int64
}

// io describes the I/Os of one size, which may move layers of several groups.
type io struct {
	bytes, count int64
	all          formula.Rat // the number of I/Os, before it is rounded
	moved        formula.Rat // bytes that all I/Os move; the last I/O may be shorter
	groups       []string
	shares       []share
	// In a transfer, the sources of each rank, and the number of pairs of ranks that
	// have such I/Os.
	from  *sources
	pairs int64
	// between are the stages of the source and of the destination that these are in; if
	// plans for all pairs at once are wanted, senders and receivers are the numbers of ranks.
	between            [][2]int
	senders, receivers int64
	// together reports whether all these pairs move their I/Os at the same time.
	together bool
}

// share describes a group's part of the I/Os of one size. An I/O moves the sum of the
// terms, and there are units such I/Os for each page.
type share struct {
	terms []term
	units int64
	part  string // the part of a layer that an I/O moves, or ""
	// covers is what an I/O covers, and parts are the parts that the layer has.
	covers string
	parts  []string
}

// term is n layers of a cell.
type term struct {
	rate *rate
	n    int64
}

// first returns the I/Os of the first size.
func (st *stage) first() *io { return &st.ios[0] }

// fill determines the stage's I/Os, grouped by size.
func (st *stage) fill(parts map[string][]string, rates []rate) error {
	// Layers with the same key are in the same I/O. They are the layers of a group or, if
	// an I/O covers a pool, the layers of one kind with the same pool and page size.
	type alike struct {
		name              string
		pool, pages, page int64
		from              *sources
	}
	at := map[alike]int{}
	type sized struct {
		share
		bytes  int64
		count  formula.Rat
		groups []string
		moved  formula.Rat
		per    formula.Rat
		from   *sources
	}
	var list []sized
	var sum total
	for i := range rates {
		r := &rates[i]
		n := r.in(st.lo, st.hi)
		if n == 0 || r.page == 0 || r.ios.Num() == 0 {
			continue
		}
		one := share{terms: []term{{r, 1}}, units: n, covers: r.covers, parts: parts[r.kind]}
		ios, moved := sum.times(r.ios, n), sum.times(r.moved, n)
		switch r.covers {
		case schema.CoversBlock:
			j := slices.IndexFunc(list, func(s sized) bool { return s.covers == r.covers })
			if j < 0 {
				j = len(list)
				blocks := formula.Int(st.blocks)
				list = append(list, sized{share: share{units: 1, covers: r.covers}, bytes: st.block, count: sum.over(blocks, r.per), moved: blocks, per: r.per, from: r.from})
			}
			list[j].terms = append(list[j].terms, term{r, n})
			list[j].groups = append(list[j].groups, r.group)
		case schema.CoversStage, schema.CoversPool:
			key := alike{name: r.group, pages: r.pages, from: r.from}
			if r.covers == schema.CoversPool {
				key = alike{r.kind, r.pool, r.pages, r.page, r.from}
			}
			j, ok := at[key]
			if !ok {
				j = len(list)
				at[key] = j
				list = append(list, sized{share: share{units: 1, covers: r.covers, parts: one.parts}, count: r.ios, moved: r.moved, per: r.per, from: r.from})
			}
			if !slices.Contains(list[j].groups, r.group) {
				list[j].groups = append(list[j].groups, r.group)
			}
			list[j].terms = append(list[j].terms, term{r, n})
			list[j].bytes = sum.add(list[j].bytes, sum.mul(n, r.page))
		case schema.CoversPart:
			for k, part := range parts[r.kind] {
				one.part = part
				list = append(list, sized{one, r.parts[k], ios, []string{r.group}, moved, r.per, r.from})
			}
		default:
			list = append(list, sized{one, r.page, ios, []string{r.group}, moved, r.per, r.from})
		}
	}
	for _, s := range list {
		if s.bytes == 0 {
			continue
		}
		moved := sum.times(s.moved, s.bytes)
		s.bytes = sum.keep(formula.Int(s.bytes).Mul(s.per))
		i := slices.IndexFunc(st.ios, func(o io) bool { return o.bytes == s.bytes && o.from == s.from })
		if i < 0 {
			i = len(st.ios)
			st.ios = append(st.ios, io{bytes: s.bytes, from: s.from})
		}
		o := &st.ios[i]
		o.all = sum.plus(o.all, s.count)
		o.moved = sum.plus(o.moved, moved)
		o.shares = append(o.shares, s.share)
		for _, name := range s.groups {
			if s.part != "" && len(list) > 1 {
				name += "." + s.part
			}
			if !slices.Contains(o.groups, name) {
				o.groups = append(o.groups, name)
			}
		}
	}
	for i := range st.ios {
		o := &st.ios[i]
		o.groups = shorten(o.groups, st.ios)
		// A group's share of the padding may be a fraction, but the sum is not.
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

// shorten replaces the names of a group's parts by the group's name if no I/Os of
// another size have parts of that group.
func shorten(names []string, all []io) []string {
	var out []string
	for _, name := range names {
		group, _, _ := strings.Cut(name, ".")
		elsewhere := 0
		for _, o := range all {
			if slices.ContainsFunc(o.groups, func(n string) bool { return n == group || strings.HasPrefix(n, group+".") }) {
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

// layers describes the layers of a stage, as in "layers 0 to 3".
func (st *stage) layers() string {
	switch st.hi - st.lo {
	case 0:
		return "no layers"
	case 1:
		return fmt.Sprintf("layer %d", st.lo)
	}
	return fmt.Sprintf("layers %d to %d", st.lo, st.hi-1)
}

// rates evaluates the rate of each cell, and checks the requirements on its layers.
func (l *Layers) rates(req *Request, cells []cell, warnings *diag.List) ([]rate, error) {
	covers, _ := l.prog.Ref(ioCovers)
	l.set(ioUnits, formula.Number(1))
	seen := map[string]bool{}
	var list []rate
	for i := range cells {
		c := &cells[i]
		l.enter(c)
		if !seen[c.group] || l.cache.byLayer[c.group] {
			seen[c.group] = true
			for _, kind := range []string{c.kind, everyKind} {
				if err := l.require(req, kind, c.group, warnings); err != nil {
					return nil, err
				}
			}
		}
		r := rate{cell: c}
		var err error
		for _, v := range []struct {
			dst  *int64
			name string
		}{{&r.page, pageBytes}, {&r.pages, layerPages}} {
			if *v.dst, err = l.whole(v.name); err != nil {
				return nil, l.missing(req, err)
			}
		}
		v, err := l.frame.Eval(covers)
		if err != nil {
			return nil, l.missing(req, err)
		}
		r.covers = v.Str
		if r.covers == schema.CoversPool {
			if r.pool, err = l.whole(ioPool); err != nil {
				return nil, l.missing(req, err)
			}
		}
		if r.covers == schema.CoversPart && r.page > 0 {
			for _, part := range l.cache.parts[c.kind] {
				n, err := l.part(c, part)
				if err != nil {
					return nil, err
				}
				r.parts = append(r.parts, n)
			}
		}
		list = append(list, r)
	}
	return list, nil
}

// part returns the bytes that an I/O moves for one part of a page.
func (l *Layers) part(c *cell, part string) (int64, error) {
	n, err := l.whole(partName(c.kind, part))
	if err != nil {
		return 0, err
	}
	l.set(ioPart, formula.Number(n))
	return l.whole(ioPartBytes)
}

// ends returns the number of the first layer of each pipeline stage, and of the layer
// after the last.
func (l *Layers) ends(req *Request) ([]int, error) {
	pp, _ := req.Config.Values[stagesField].Num.Int64()
	ends := make([]int, pp+1)
	for i := range ends {
		l.set(StageVar, formula.Number(int64(i)))
		first, err := l.whole(firstVar)
		if err != nil {
			return nil, err
		}
		ends[i] = int(first)
	}
	ends[pp] += l.drafts // draft layers belong to the last stage
	return ends, nil
}

// stages returns the requested pipeline stages with their I/Os.
func (l *Layers) stages(req *Request, rates []rate) ([]stage, error) {
	ends, err := l.ends(req)
	if err != nil {
		return nil, err
	}
	pp := int64(len(ends) - 1)
	choice := req.Config.Values[stageField]
	if n, ok := choice.Num.Int64(); choice.Kind == formula.Num && ok && n >= pp {
		return nil, choice.Origin.Errorf("there is no stage %d: there are %d, counted from 0", n, pp)
	}
	var all []stage
	for s := range int(pp) {
		if n, _ := choice.Num.Int64(); choice.Kind == formula.Num && int64(s) != n {
			continue
		}
		st := stage{number: s, lo: ends[s], hi: ends[s+1]}
		l.set(StageVar, formula.Number(int64(s)))
		if err := l.countIOs(&st, rates); err != nil {
			return nil, l.missing(req, err)
		}
		if err := st.fill(l.cache.parts, rates); err != nil {
			return nil, diag.Errorf(req.label(), "the bytes of stage %d do not fit in 64 bits", s)
		}
		if choice.Str == stageLargest && len(all) > 0 {
			if st.bytes > all[0].bytes {
				all[0] = st
			}
			continue
		}
		all = append(all, st)
	}
	return all, nil
}

// countIOs evaluates the number of I/Os for each layer in a stage.
func (l *Layers) countIOs(st *stage, rates []rate) error {
	for _, f := range l.cache.counted {
		if err := l.computeFold(f, l.cells, st.lo, st.hi); err != nil {
			return err
		}
	}
	count, _ := l.prog.Ref(ioCount)
	l.set(ioUnits, formula.Number(1))
	var blocks bool
	for i := range rates {
		r := &rates[i]
		if r.in(st.lo, st.hi) == 0 {
			continue
		}
		l.enter(r.cell)
		var err error
		if r.ios, err = l.frame.Num(count); err != nil {
			return err
		}
		r.per, r.moved = formula.Int(1), r.ios
		blocks = blocks || r.covers == schema.CoversBlock
	}
	if !blocks {
		return nil
	}
	var err error
	if st.blocks, err = l.whole(ioBlocks); err == nil {
		st.block, err = l.whole(ioBlockBytes)
	}
	return err
}

// total adds and multiplies whole numbers. It sets err if a result does not fit.
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

// over divides, and rounds up.
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
