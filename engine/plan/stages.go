package plan

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// rate is what a cell has of each of its layers.
type rate struct {
	*cell
	page  int64   // bytes of a page
	pages int64   // of a request
	ios   int64   // that move one page of each request's
	parts []int64 // bytes of the parts of a page, where each is an I/O
	// covers says what one I/O covers.
	covers string
}

// stage is a pipeline stage with its I/Os.
type stage struct {
	number, lo, hi int // layers from lo up to hi
	ios            []io
	bytes          int64 // that all I/Os move
}

// io is one size of I/Os: of the layers of one or several groups.
type io struct {
	bytes, count int64
	groups       []string
	shares       []share
}

// share is what a group has of the I/Os of one size: an I/O is the sum over terms,
// and there are units of it for each page.
type share struct {
	terms []term
	units int64
	part  string // if it is a part of a layer
	// covers says what of a layer it covers, parts what the layer has.
	covers string
	parts  []string
}

// term is n layers of a cell.
type term struct {
	rate *rate
	n    int64
}

// fill finds the stage's I/Os, those of one size together.
func (st *stage) fill(parts map[string][]string, rates []rate) error {
	type alike struct {
		group string
		pages int64
	}
	at := map[alike]int{} // shares that cover a whole group
	type sized struct {
		share
		bytes, count int64
		group        string
	}
	var list []sized
	var sum total
	for i := range rates {
		r := &rates[i]
		n := r.in(st.lo, st.hi)
		if n == 0 || r.page == 0 || r.ios == 0 {
			continue
		}
		one := share{terms: []term{{r, 1}}, units: n, covers: r.covers, parts: parts[r.kind]}
		switch r.covers {
		case schema.CoversStage:
			key := alike{r.group, r.pages}
			j, ok := at[key]
			if !ok {
				j = len(list)
				at[key] = j
				list = append(list, sized{share: share{units: 1, covers: r.covers, parts: one.parts}, count: r.ios, group: r.group})
			}
			list[j].terms = append(list[j].terms, term{r, n})
			list[j].bytes = sum.add(list[j].bytes, sum.mul(n, r.page))
		case schema.CoversPart:
			for k, part := range parts[r.kind] {
				one.part = part
				list = append(list, sized{one, r.parts[k], sum.mul(r.ios, n), r.group})
			}
		default:
			list = append(list, sized{one, r.page, sum.mul(r.ios, n), r.group})
		}
	}
	for _, s := range list {
		if s.bytes == 0 {
			continue
		}
		st.bytes = sum.add(st.bytes, sum.mul(s.bytes, s.count))
		i := slices.IndexFunc(st.ios, func(o io) bool { return o.bytes == s.bytes })
		if i < 0 {
			i = len(st.ios)
			st.ios = append(st.ios, io{bytes: s.bytes})
		}
		o := &st.ios[i]
		o.count = sum.add(o.count, s.count)
		o.shares = append(o.shares, s.share)
		name := s.group
		if s.part != "" && len(list) > 1 {
			name += "." + s.part
		}
		if !slices.Contains(o.groups, name) {
			o.groups = append(o.groups, name)
		}
	}
	for i := range st.ios {
		st.ios[i].groups = shorten(st.ios[i].groups, st.ios)
	}
	return sum.err
}

// shorten names all parts of a group by the group's name alone, where no other
// I/O has one of its parts.
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

// layers names the layers of a stage.
func (st *stage) layers() string {
	switch st.hi - st.lo {
	case 0:
		return "no layers"
	case 1:
		return fmt.Sprintf("layer %d", st.lo)
	}
	return fmt.Sprintf("layers %d to %d", st.lo, st.hi-1)
}

// rates evaluates the cells.
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
			if err := l.require(req, c.kind, c.group, warnings); err != nil {
				return nil, err
			}
		}
		r := rate{cell: c}
		var err error
		for _, v := range []struct {
			dst  *int64
			name string
		}{{&r.page, pageBytes}, {&r.pages, layerPages}, {&r.ios, ioCount}} {
			if *v.dst, err = l.whole(v.name); err != nil {
				return nil, l.missing(req, err)
			}
		}
		v, err := l.frame.Eval(covers)
		if err != nil {
			return nil, l.missing(req, err)
		}
		r.covers = v.Str
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

// part returns the bytes of a part of a page.
func (l *Layers) part(c *cell, part string) (int64, error) {
	n, err := l.whole(partName(c.kind, part))
	if err != nil {
		return 0, err
	}
	l.set(ioPart, formula.Number(n))
	return l.whole(ioPartBytes)
}

// stages finds the I/Os of the pipeline stages that are asked for.
func (l *Layers) stages(req *Request, rates []rate) ([]stage, error) {
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

// total computes with whole numbers and remembers if one did not fit.
type total struct{ err error }

func (t *total) add(a, b int64) int64 { return t.keep(formula.Int(a).Add(formula.Int(b))) }

func (t *total) mul(a, b int64) int64 { return t.keep(formula.Int(a).Mul(formula.Int(b))) }

func (t *total) keep(v formula.Rat, err error) int64 {
	if err != nil {
		t.err = err
	}
	return v.Num()
}
