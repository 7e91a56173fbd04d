package plan

import (
	"slices"

	"kvbench/engine/formula"
)

// Held is a frame for requests that differ only in the values of some names and in facts. It
// keeps all values that do not depend on these differences. It cannot be loaded.
type Held struct {
	*Frame
	space *formula.Space // in which first the names vary, then the facts
	facts []heldFact
	stage *stage // of the latest request
}

// heldFact is a fact with its latest value.
type heldFact struct {
	name   string
	num    formula.Rat
	number int // in the space, or -1 if no formula reads it
	known  bool
}

// Hold returns a frame with the values of f, in which those of some names and facts can be
// changed. After that, f must not be changed.
func (f *Frame) Hold(names []formula.Ref) *Held {
	h := &Held{}
	varying := slices.Clone(names)
	if f.cache != nil {
		facts := append(f.account.facts(), StageVar)
		for _, one := range f.cache.folds {
			facts = append(facts, one.Name)
		}
		for _, name := range facts {
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

// Vary sets the value of the name with a number.
func (h *Held) Vary(number int, v formula.Value) { h.space.Vary(number, v) }

// Unset removes the value of a name: that of its formula, or its default, is used instead.
func (h *Held) Unset(number int) { h.space.Unset(number) }

// Move sets the values computed from layers for a request.
func (h *Held) Move(req *Request) {
	if st := req.stage; st != nil && st == h.stage {
		for _, i := range st.varied {
			h.set(i, req.facts[i].num)
		}
		for i := len(st.facts); i < len(req.facts); i++ {
			h.set(i, req.facts[i].num)
		}
		return
	}
	h.stage = req.stage
	for i := range req.facts {
		v := &req.facts[i]
		if h.facts[i].name != v.name { // the first request determines the order
			k := slices.IndexFunc(h.facts, func(of heldFact) bool { return of.name == v.name })
			h.facts[i], h.facts[k] = h.facts[k], h.facts[i]
		}
		h.set(i, v.num)
	}
}

// set sets the value of a fact.
func (h *Held) set(i int, v formula.Rat) {
	of := &h.facts[i]
	if of.number < 0 || of.known && of.num == v {
		return
	}
	of.num, of.known = v, true
	h.space.VaryNum(of.number, v)
}
