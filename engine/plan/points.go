package plan

import (
	"slices"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// Points evaluates the layers of requests that differ only in the values of axes. Values
// computed from the layers are kept between requests. There are two kinds of axes. Some
// change only numbers; these vary, and only what depends on them is computed again. The
// others also change which layers or ranks there are. There is one [Layers] for each
// combination of their values.
type Points struct {
	*Program
	axes  []config.Axis
	vary  []int // the axes that vary, by number
	fixed []int // the others
	kept  map[uint64]*keptLayers
	key   uint64
	now   *keptLayers
	alone *Layers
}

// keptLayers contains the layers for one combination of values of the axes that do not vary.
type keptLayers struct {
	*Layers
	at       []int // by number, the index of the value that the axis has
	requests []*Request
	warnings diag.List
	failed   bool // the latest request
}

// maxKept is the maximum number of combinations that are kept.
const maxKept = 64

// maxVarying is the maximum number of axes that vary.
const maxVarying = 32

// Varying returns the indexes of the axes that only change numbers which are computed from
// layers. It considers the names of the axes, and which of them have only values that count
// as set.
func (p *Program) Varying(axes []config.Axis) []int {
	if p.cache == nil {
		return nil
	}
	t := p.tracer(everything)
	isAxis := func(name string) bool {
		return slices.ContainsFunc(axes, func(a config.Axis) bool { return a.Field.Var == name && p.AllGiven(&a) })
	}
	fixed := t.inputs(p.fixedRefs(isAxis))
	others := append(slices.Clone(stageFields), engineField, releaseField)
	var list []int
	for i := range axes {
		name := axes[i].Field.Var
		_, ok := p.prog.Ref(name)
		switch {
		case !ok || fixed.Has(name) || p.ofSides(name) || slices.Contains(others, name) || !isAxis(name) || len(list) == maxVarying:
		default:
			list = append(list, i)
		}
	}
	return list
}

// fixedRefs returns the values that must not vary, other than those that are read without
// a formula. The defaults of fields that are always set do not matter.
func (p *Program) fixedRefs(isSet func(field string) bool) []formula.Ref {
	names := []string{layersVar, draftsVar, predictVar, selectName, firstVar, ioCovers, ioPool}
	for name := range p.arch.Layers.Groups {
		names = append(names, wherePrefix+name)
	}
	refs := p.refs(names...)
	for _, fields := range p.cache.counts {
		for _, f := range fields {
			refs = append(refs, f.ref)
		}
	}
	for _, f := range p.cache.folds {
		refs = append(refs, f.by...)
	}
	for _, d := range p.cache.defaults {
		if !isSet(d.field) {
			refs = append(refs, d.ref)
		}
	}
	if t := p.cache.pairing; t != nil {
		refs = append(append(refs, t.op, t.first, t.step, t.count, t.covers), t.sides[:]...)
		if t.pairs >= 0 {
			refs = append(refs, t.pairs)
		}
		for _, f := range t.fields {
			refs = append(refs, f.ref)
		}
	}
	return refs
}

// ofSides reports whether a field has a separate value on the destination's side.
func (p *Program) ofSides(field string) bool {
	return p.cache.pairing != nil && slices.ContainsFunc(p.cache.pairing.fields, func(f sideField) bool { return f.field == field })
}

// NewPoints returns a Points for requests that differ in the values of axes, of which some
// vary.
func (p *Program) NewPoints(axes []config.Axis, varying []int) *Points {
	pt := &Points{Program: p, axes: axes, kept: map[uint64]*keptLayers{}}
	for i := range axes {
		ref, known := p.prog.Ref(axes[i].Field.Var)
		isWord := func(v data.Fact) bool { return v.Kind != p.prog.Kind(ref) }
		switch {
		case !known:
		case slices.Contains(varying, i) && !slices.ContainsFunc(axes[i].Values, isWord):
			pt.vary = append(pt.vary, i)
		default:
			pt.fixed = append(pt.fixed, i)
		}
	}
	return pt
}

// Expand is like [Layers.Expand], for the request whose axes have the values with the given
// indexes. It may set them in the request's configuration. What it returns is valid until
// the next call.
func (pt *Points) Expand(req *Request, at []int) ([]*Request, diag.List, error) {
	var key uint64
	for _, i := range pt.fixed {
		key = key*uint64(len(pt.axes[i].Values)) + uint64(at[i])
	}
	if pt.now == nil || pt.key != key {
		pt.key, pt.now = key, pt.kept[key]
	}
	if pt.now == nil {
		return pt.start(req, at)
	}
	k := pt.now
	if !k.move(pt, at) && !k.failed {
		return k.requests, k.warnings, nil
	}
	k.failed = true
	if !k.hold() {
		return pt.whole(req, at)
	}
	var err error
	if k.requests, err = k.count(req, nil); err != nil {
		return pt.whole(req, at)
	}
	k.failed = false
	return k.requests, k.warnings, nil
}

// start evaluates the layers for a new combination of values.
func (pt *Points) start(req *Request, at []int) ([]*Request, diag.List, error) {
	pt.set(req, at)
	k := &keptLayers{Layers: pt.NewFrame().Layers()}
	for _, i := range pt.vary {
		ref, _ := pt.prog.Ref(pt.axes[i].Field.Var)
		k.axes = append(k.axes, ref)
		k.at = append(k.at, at[i])
	}
	k.Load(req)
	var err error
	if k.requests, k.warnings, err = k.Expand(req); err != nil {
		return nil, nil, err
	}
	for l := k.Layers; l != nil; l = l.other {
		l.first = false
	}
	if len(pt.kept) == maxKept {
		clear(pt.kept)
	}
	pt.now, pt.kept[pt.key] = k, k
	return k.requests, k.warnings, nil
}

// move sets the values of the axes that vary, and reports whether any did.
func (k *keptLayers) move(pt *Points, at []int) (moved bool) {
	for n, i := range pt.vary {
		if k.at[n] == at[i] {
			continue
		}
		k.at[n], moved = at[i], true
		v := pt.axes[i].Values[at[i]].Value
		for l := k.Layers; l != nil; l = l.other {
			l.space.Vary(len(l.varying)-len(l.axes)+n, v)
		}
	}
	return moved
}

// hold reports whether the requirements that depend on axes still have their earlier
// outcomes. If not, the layers are evaluated anew for the messages.
func (k *keptLayers) hold() bool {
	for l := k.Layers; l != nil; l = l.other {
		for i := range l.checks {
			c := &l.checks[i]
			if ok, err := c.frame.Bool(c.ref); err != nil || !ok || !c.holds {
				return false
			}
		}
		for _, v := range l.live {
			n, err := v.frame.Num(v.ref)
			if err != nil {
				return false
			}
			l.ofModel[v.fact].num = n
		}
	}
	return true
}

// whole evaluates the layers of a request that cannot be evaluated otherwise.
func (pt *Points) whole(req *Request, at []int) ([]*Request, diag.List, error) {
	pt.set(req, at)
	if pt.alone == nil {
		pt.alone = pt.NewFrame().Layers()
	}
	pt.alone.Load(req)
	return pt.alone.Expand(req)
}

// set sets the values of the axes in the configuration of a request.
func (pt *Points) set(req *Request, at []int) {
	for i := range pt.axes {
		req.Config.Values[pt.axes[i].Field.Var] = pt.axes[i].Values[at[i]]
	}
}
