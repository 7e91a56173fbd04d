package formula

import (
	"math/bits"
	"slices"
	"sync"
)

// Reach determines the inputs that the values of a program can depend on. It is
// immutable and safe for concurrent use.
type Reach struct {
	p        *Program
	numbers  *numbers
	followed []bool   // indexed by slot
	opened   []bool   // indexed by slot: whether to follow the formula of an input
	sets     []uint64 // for each slot, the bits of its [Inputs]
}

// numbers assigns a number to each input of a program, whether or not the input has a default.
type numbers struct {
	p     *Program
	names []string
	of    []int32 // indexed by slot, for slots that are inputs
}

// Inputs is a set of a program's inputs.
type Inputs struct {
	numbers *numbers
	bits    []uint64 // bit i is set if the set contains the input with number i
}

// The constant Otherwise is the suffix that turns an input's name into the name of the input's
// formula; see [Scope.InputOr].
const Otherwise = " ??"

// ReachAll is like [Program.Reach], but follows all names.
func (p *Program) ReachAll() *Reach { return p.reach() }

// prepareReach prepares a program for Reach, ReachAll and spaces. It defers the work
// until the results are needed, because not every program needs them.
func (p *Program) prepareReach() {
	p.inputs = sync.OnceValue(func() *numbers {
		n := &numbers{p, make([]string, 0, len(p.slots)/2), make([]int32, len(p.slots))}
		for r := range p.slots {
			if s := &p.slots[r]; s.canBeAsked() {
				n.of[r] = int32(len(n.names))
				n.names = append(n.names, s.name)
			}
		}
		return n
	})
	p.unresolved = sync.OnceValue(func() []*cell { return slices.Repeat([]*cell{unresolved}, len(p.slots)) })
	p.reach = sync.OnceValue(func() *Reach { return p.Reach(func(string) bool { return true }) })
}

// Inputs returns the sorted names of all inputs, with or without a default, that the value
// of r can depend on, directly or through other formulas.
func (p *Program) Inputs(r Ref) []string { return p.reach().Inputs(r).Names() }

// DependsOn reports whether the value of r can depend on an input.
func (p *Program) DependsOn(r Ref, input string) bool {
	x := p.reach()
	return Inputs{x.numbers, x.set(r)}.Has(input)
}

// Reach returns the dependencies of values on inputs, following only the names for which
// follow returns true. Table entries are named table.key; [Otherwise] describes the name of
// an input's formula.
func (p *Program) Reach(follow func(name string) bool) *Reach {
	x := &Reach{p, p.inputs(), make([]bool, len(p.slots)), make([]bool, len(p.slots)), nil}
	for r := range p.slots {
		s := &p.slots[r]
		x.followed[r] = follow(s.name)
		x.opened[r] = !s.given || follow(s.name+Otherwise)
	}
	x.trace()
	return x
}

// Without returns the dependencies that remain when the given names are not followed
// either.
func (x *Reach) Without(names ...string) *Reach {
	y := &Reach{x.p, x.numbers, slices.Clone(x.followed), x.opened, nil}
	for _, name := range names {
		if r, ok := x.p.names[name]; ok {
			y.followed[r] = false
		}
	}
	y.trace()
	return y
}

// trace computes the inputs of each slot.
func (x *Reach) trace() {
	x.sets = make([]uint64, x.words()*len(x.p.slots))
	for r := range x.p.slots {
		if x.p.slots[r].canBeAsked() {
			i := x.numbers.of[r]
			x.set(Ref(r))[i/64] |= 1 << (i % 64)
		}
	}
	for again := true; again; { // in a partial program, a slot may depend on itself
		again = false
		for _, r := range x.p.order {
			if !x.opened[r] {
				continue
			}
			grown := false
			for _, u := range x.p.slots[r].uses {
				grown = x.followed[u] && union(x.set(r), x.set(u)) || grown
			}
			again = again || grown && x.p.lacking != nil
		}
	}
}

// words returns the number of 64-bit words in a set.
func (x *Reach) words() int { return (len(x.numbers.names) + 63) / 64 }

// set returns a slot's inputs as a bit set.
func (x *Reach) set(r Ref) []uint64 {
	words := x.words()
	return x.sets[int(r)*words : (int(r)+1)*words]
}

// union adds the elements of y to x, and reports whether any of them are new.
func union(x, y []uint64) (grown bool) {
	for i, word := range y {
		grown = grown || word&^x[i] != 0
		x[i] |= word
	}
	return grown
}

// Inputs returns the inputs that the given values can depend on.
func (x *Reach) Inputs(refs ...Ref) Inputs {
	s := Inputs{x.numbers, make([]uint64, x.words())}
	for _, r := range refs {
		union(s.bits, x.set(r))
	}
	return s
}

// Add adds the inputs in another set, which must belong to the same program.
func (s Inputs) Add(o Inputs) { union(s.bits, o.bits) }

// Has reports whether the set contains an input.
func (s Inputs) Has(name string) bool {
	r, ok := s.numbers.p.names[name]
	if !ok || !s.numbers.p.slots[r].canBeAsked() {
		return false
	}
	i := s.numbers.of[r]
	return s.bits[i/64]&(1<<(i%64)) != 0
}

// Names returns the names of the inputs, sorted.
func (s Inputs) Names() []string {
	var list []string
	for w, word := range s.bits {
		for ; word != 0; word &= word - 1 {
			list = append(list, s.numbers.names[64*w+bits.TrailingZeros64(word)])
		}
	}
	slices.Sort(list)
	return list
}
