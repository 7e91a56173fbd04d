package formula

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

// A formula that is evaluated repeatedly in a space is compiled again specifically for the
// frame. Values that do not vary become constants, a conditional whose condition does not
// vary becomes the branch that it selects, and a value that only refers to another value is
// read directly from that value.

// specialAfter is the number of evaluations after which a formula is compiled for its
// frame.
const specialAfter = 8

// special compiles the formula of a slot for the frame, or returns nil if it cannot.
func (f *Frame) special(r Ref) *code {
	s := &f.p.slots[r]
	if s.class != derived || len(f.misset) > 0 {
		return nil
	}
	syntax, errs := s.unit.parse()
	if len(errs) > 0 {
		return nil
	}
	k := &checker{p: f.p, unit: s.unit, syntax: syntax, frame: f, varying: make([]uint64, f.space.words)}
	c := k.expr(syntax.root)
	if len(k.errs) > 0 || c.kind != s.kind {
		return nil
	}
	f.space.narrow(r, f.at[r], k.varying)
	return &c
}

// narrow records that the value in a slot's cell depends only on the given varying inputs.
func (sp *Space) narrow(r Ref, c *cell, varying []uint64) {
	for i := range sp.varying {
		if bit := uint64(1) << (i % 64); sp.Reads(r)[i/64]&^varying[i/64]&bit != 0 {
			sp.users[i] = slices.DeleteFunc(sp.users[i], func(user *cell) bool { return user == c })
		}
	}
}

// noteRead records that the code reads the value of r, which varies.
func (k *checker) noteRead(r Ref) {
	k.live++
	if k.varying != nil {
		union(k.varying, k.frame.space.Reads(r))
	}
}

// constant returns code that yields a slot's value as a constant. ok is false if the value
// varies or cannot be evaluated.
func (k *checker) constant(r Ref, at place) (c code, ok bool) {
	if k.frame.space.Varies(r) && !k.frame.Fixed(r) {
		return c, false
	}
	c = k.evaluated(k.reading(r, at))
	return c, c.known != nil
}

// fillSpecial computes the value of a slot whose formula is compiled for the frame.
func (f *Frame) fillSpecial(i int32, c *cell) bool {
	switch c.special.kind {
	case Num:
		c.num = c.special.num(f)
	case Bool:
		c.cond = c.special.cond(f)
	default:
		f.store(Ref(i), &f.p.slots[i], f.run(c.special))
	}
	if f.err != nil {
		return false
	}
	f.note(i)
	if c.special.known != nil {
		c.listed = false // the value never changes
	}
	return true
}

// Fixed reports whether a value that has been computed in the frame does not vary. It may
// return true even if the value's formula reads varying inputs.
func (f *Frame) Fixed(r Ref) bool {
	c := f.at[r]
	return c.seen == f.epoch && (!f.space.Varies(r) || !c.listed && !slices.Contains(f.space.varying, r))
}

// evaluated runs c in the frame, and returns the value as a constant. If this fails, it
// returns c.
func (k *checker) evaluated(c code) code {
	if c.known != nil || c.kind > StrList || c.kind == Any {
		return c
	}
	f := k.frame
	v := f.run(&c)
	if f.err != nil {
		f.err = nil
		return c
	}
	return constant(v)
}

// follow returns the slot from which to read the value of slot r. This is another slot if
// the formula of r only names that slot or selects it from a table.
func (k *checker) follow(r Ref) Ref {
	f := k.frame
	for range 16 {
		s := &f.p.slots[r]
		if s.class != derived || s.given || f.space.computed[r] || f.isSet(r) || slices.Contains(f.space.varying, r) {
			return r
		}
		syntax, errs := s.unit.parse()
		if len(errs) > 0 {
			return r
		}
		sub := &checker{p: f.p, unit: s.unit, syntax: syntax, frame: f}
		next, ok := sub.soleRead(syntax.root)
		if !ok || f.p.slots[next].kind != s.kind || f.p.slots[next].class == table {
			return r
		}
		r = next
	}
	return r
}

// soleRead returns the slot that an expression reads, if the expression does nothing else.
func (k *checker) soleRead(n ast.Node) (Ref, bool) {
	for {
		switch e := n.(type) {
		case *ast.ConditionalNode:
			c := k.expr(e.Cond)
			switch {
			case c.kind != Bool || c.known == nil:
				return 0, false
			case c.known.Bool:
				n = e.Exp1
			default:
				n = e.Exp2
			}
			continue
		case *ast.IdentifierNode:
			r, ok := k.p.names[k.unit.means(e.Value)]
			return r, ok
		case *ast.MemberNode:
			id, ok := e.Node.(*ast.IdentifierNode)
			if !ok {
				return 0, false
			}
			t, ok := k.p.names[k.unit.means(id.Value)]
			if !ok || k.p.slots[t].class != table {
				return 0, false
			}
			key := k.expr(e.Property)
			if key.kind != Str || key.known == nil {
				return 0, false
			}
			r, ok := k.p.slots[t].elems[key.known.Str]
			return r, ok
		}
		return 0, false
	}
}
