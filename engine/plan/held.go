package plan

import (
	"slices"

	"kvbench/engine/formula"
)

// Held is a frame for requests that differ only in facts and in the values of certain
// names. It reuses all values that depend on neither the facts nor these names. Do not
// call [Frame.Load] on a Held.
type Held struct {
	*Frame
	space *formula.Space // its varying inputs are the names, followed by the facts
	facts []heldFact
	stage *stage // the stage of the latest request
}

// heldFact is a fact and its latest value.
type heldFact struct {
	name   string
	num    formula.Rat
	number int // the fact's number in the space, or -1 if no formula reads the fact
	known  bool
}

// Hold returns a frame with the values of f. In the returned frame, facts and the values
// of the given names can be changed. Do not change f after calling Hold.
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

// Vary sets the value of a name. The number is the name's index in the list passed to
// Hold.
func (h *Held) Vary(number int, v formula.Value) { h.space.Vary(number, v) }

// VaryNum is like Vary, but for numeric values.
func (h *Held) VaryNum(number int, v formula.Rat) { h.space.VaryNum(number, v) }

// Unset removes the value of a name. The name's value then comes from its formula or
// default.
func (h *Held) Unset(number int) { h.space.Unset(number) }

// Move sets the values that were computed from a request's layers.
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
