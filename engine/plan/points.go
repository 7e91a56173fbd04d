package plan

import (
	"slices"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// Points evaluates the layers of requests that differ only in the values of axes. It
// caches the values computed from layers. There are two kinds of axes. Varying axes
// change only numbers; when their values change, Points recomputes only the values that
// depend on them. Fixed axes can also change which layers or ranks exist; Points uses a
// separate [Layers] for each combination of their values.
type Points struct {
	*Program
	axes  []config.Axis
	vary  []int // the indexes of the varying axes
	fixed []int // the indexes of the fixed axes
	kept  map[uint64]*keptLayers
	key   uint64
	now   *keptLayers
	alone *Layers
	// latest contains the layers for the latest requests, or is nil if they are not in the
	// cache. same reports whether the requests before those used the same layers; see
	// [Points.Same].
	latest *keptLayers
	same   bool
}

// keptLayers contains the layers for one combination of the fixed axes' values.
type keptLayers struct {
	*Layers
	at       []int // the index of each varying axis's current value, in the order of Points.vary
	requests []*Request
	warnings diag.List
	failed   bool // whether the latest request failed
}

// maxKept is the maximum number of combinations in the cache.
const maxKept = 64

// maxVarying is the maximum number of varying axes.
const maxVarying = 32

// Varying returns the indexes of the axes that can be varying axes; see [Points]. Varying
// considers only the axes' names and whether all their values count as set.
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

// fixedRefs returns references to the values that must not depend on a varying axis. It
// omits fields that are read directly, without a formula, and the defaults of fields that
// are always set.
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

// ofSides reports whether a field has its own value on the destination side.
func (p *Program) ofSides(field string) bool {
	return p.cache.pairing != nil && slices.ContainsFunc(p.cache.pairing.fields, func(f sideField) bool { return f.field == field })
}

// NewPoints returns a Points for requests that differ in the values of axes. The varying
// list contains the indexes of the axes to treat as varying axes.
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

// Same reports whether the last two calls to Expand are known to have used the same layers.
// If so, the engine's values for fields that are not set are also the same.
func (pt *Points) Same() bool { return pt.same }

// Expand is like [Layers.Expand], but uses the axis values whose indexes are in at. It may
// set these values in the request's configuration. The results are valid until the next
// call.
func (pt *Points) Expand(req *Request, at []int) ([]*Request, diag.List, error) {
	before := pt.latest
	pt.latest = nil
	requests, warnings, err := pt.expand(req, at)
	pt.same = pt.latest != nil && pt.latest == before
	return requests, warnings, err
}

func (pt *Points) expand(req *Request, at []int) ([]*Request, diag.List, error) {
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
	pt.latest = k
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

// start evaluates the layers for a new combination of the fixed axes' values.
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

// move sets the values of the varying axes, and reports whether any of them changed.
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

// hold reports whether all requirements that depend on varying axes still hold, and updates
// the facts that vary. If it returns false, the caller must evaluate the layers again to
// get the messages.
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

// whole evaluates a request's layers without using cached values.
func (pt *Points) whole(req *Request, at []int) ([]*Request, diag.List, error) {
	pt.latest = nil
	pt.set(req, at)
	if pt.alone == nil {
		pt.alone = pt.NewFrame().Layers()
	}
	pt.alone.Load(req)
	return pt.alone.Expand(req)
}

// set sets the values of all axes in a request's configuration.
func (pt *Points) set(req *Request, at []int) {
	for i := range pt.axes {
		req.Config.Values[pt.axes[i].Field.Var] = pt.axes[i].Values[at[i]]
	}
}
