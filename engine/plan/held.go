package plan

import (
	"slices"

	"kvbench/engine/formula"
)

// Held is a frame for requests that differ only in the values of axes and in facts. It keeps
// all values that do not depend on these differences. It cannot be loaded.
type Held struct {
	*Frame
	space *formula.Space // in which first the axes vary, then the facts
	facts []heldFact
}

// heldFact is a fact with its latest value.
type heldFact struct {
	name   string
	num    formula.Rat
	number int // in the space, or -1 if no formula reads it
	known  bool
}

// Hold returns a frame with the values of f, in which axes and facts can be changed. After
// that, f must not be changed.
func (f *Frame) Hold(axes []formula.Ref) *Held {
	h := &Held{}
	varying := slices.Clone(axes)
	if f.cache != nil {
		names := append(f.account.facts(), StageVar)
		for _, one := range f.cache.folds {
			names = append(names, one.Name)
		}
		for _, name := range names {
			one := heldFact{name: name, number: -1}
			if ref, ok := f.prog.Ref(name); ok {
				one.number = len(varying)
				varying = append(varying, ref)
			}
			h.facts = append(h.facts, one)
		}
	}
	h.space = f.prog.NewSpace(f.frame, nil, varying, nil)
	h.Frame = &Frame{f.Program, h.space.Frame(formula.Spot{})}
	return h
}

// Vary sets the value of an axis.
func (h *Held) Vary(axis int, v formula.Value) { h.space.Vary(axis, v) }

// Unset removes the value of an axis: the value that an engine determines is used instead.
func (h *Held) Unset(axis int) { h.space.Unset(axis) }

// Move sets the values computed from layers for a request.
func (h *Held) Move(req *Request) {
	for i := range req.facts {
		v := &req.facts[i]
		if h.facts[i].name != v.name { // the first request determines the order
			k := slices.IndexFunc(h.facts, func(of heldFact) bool { return of.name == v.name })
			h.facts[i], h.facts[k] = h.facts[k], h.facts[i]
		}
		of := &h.facts[i]
		if of.number < 0 || of.known && of.num == v.num {
			continue
		}
		of.num, of.known = v.num, true
		h.space.VaryNum(of.number, v.num)
	}
}
