package formula

import (
	"math/bits"

	"kvbench/engine/diag"
)

// Space is a set of frames that differ in a few values, such as the values for a layer. A
// space determines in advance which values depend on these differences. All other values
// are computed only once and shared by all frames.
//
// Some inputs can vary; see [Space.Vary]. A value is reused until an input that it depends
// on changes. Evaluating values again does not allocate memory.
type Space struct {
	p        *Program
	base     *Frame
	by       []uint64 // indexed by slot: the places at which the slot's value differs; see [At]
	reads    []uint64 // the varying inputs that each slot depends on, with words elements per slot
	words    int
	computed []bool // indexed by slot: whether compute computes the value
	compute  Computer
	varying  []Ref
	users    [][]*cell // for each varying input, the cells to discard when it varies
	frames   map[Spot]*Frame
	free     []*Frame // frames whose memory can be reused
	spare    []cell
}

// Spot identifies a frame in a space by its place on each of the space's axes. Place 0
// means that the frame is not at any place on that axis and has no values that differ
// along the axis. On the first axis, each place has its own set of values that differ. On every
// other axis, all places share one set.
type Spot [4]int16

// spots is the number of axes of a space.
const spots = len(Spot{})

// MaxPlaces is the maximum number of places on the first axis.
const MaxPlaces = 60

// At returns the bit for the values that differ at a place on an axis.
func At(axis int, place int16) uint64 {
	if axis == 0 {
		return 1 << (spots - 1 + int(place) - 1)
	}
	return 1 << (axis - 1)
}

// bits returns the bits for all values that differ in the frame; see [At].
func (s Spot) bits() uint64 {
	var set uint64
	for axis, place := range s {
		if place > 0 {
			set |= At(axis, place)
		}
	}
	return set
}

// restrict returns a copy of the spot in which all places that are not in a set are 0; see
// [At].
func (s Spot) restrict(set uint64) Spot {
	for axis, place := range s {
		if place > 0 && set&At(axis, place) == 0 {
			s[axis] = 0
		}
	}
	return s
}

// Computer computes the values of a space's roots for the frame at a spot.
type Computer interface {
	// Number returns the value of a root that is a number. fixed reports whether the value
	// never varies. Value returns the value of any other root. If known is false, the value
	// comes from the name's formula, or is not set if there is no formula.
	Number(at Spot, r Ref) (v Rat, known, fixed bool, err *diag.Diag)
	Value(at Spot, r Ref) (v Value, known bool)
}

// Root is a name whose value a space computes without a formula.
type Root struct {
	Ref Ref
	By  uint64 // the places at which the value differs; see [At]
	// Reads are the values that the root is computed from.
	Reads []Ref
	// Varies contains additional varying inputs that the root depends on; see [Space.Reads].
	Varies []uint64
}

// spot is a frame's place in a space.
type spot struct {
	space *Space
	Spot
	bits uint64
}

// unresolved is the cell shared by all slots that a frame in a space has not resolved
// yet. It never has a value.
var unresolved = &cell{}

// NewSpace returns a space that is based on the values in a frame. Afterwards, change the
// frame only with [Space.Vary]. After any other change, the space must no longer be used.
func (p *Program) NewSpace(base *Frame, roots []Root, varying []Ref, compute Computer) *Space {
	n, words := len(p.slots), (len(varying)+63)/64
	base.forget()
	sp := &Space{p: p, base: base, by: make([]uint64, n), reads: make([]uint64, n*words), words: words, computed: make([]bool, n),
		compute: compute, varying: varying, users: make([][]*cell, len(varying)), frames: map[Spot]*Frame{}}
	for _, r := range roots {
		sp.computed[r.Ref] = true
		sp.by[r.Ref] |= r.By
		union(sp.Reads(r.Ref), r.Varies)
	}
	varies := make([]bool, n)
	for i, r := range varying {
		sp.Reads(r)[i/64] |= 1 << (i % 64)
		varies[r] = true
	}
	// In p.order, formulas come after the values that they use. But roots may be computed from
	// any value, so repeat until nothing changes.
	for again := true; again; {
		again = false
		for _, r := range p.order {
			if base.isSet(r) && !varies[r] {
				continue
			}
			for _, u := range p.slots[r].uses {
				if !varies[r] { // a varying input has the same value in all frames
					sp.by[r] |= sp.by[u]
				}
				union(sp.Reads(r), sp.Reads(u))
			}
		}
		for _, r := range roots {
			for _, u := range r.Reads {
				again = union(sp.Reads(r.Ref), sp.Reads(u)) || again
			}
		}
	}
	return sp
}

// Frame returns the frame at a spot.
func (sp *Space) Frame(at Spot) *Frame {
	if f := sp.frames[at]; f != nil {
		return f
	}
	var f *Frame
	if n := len(sp.free); n > 0 {
		f, sp.free = sp.free[n-1], sp.free[:n-1]
	} else {
		f = &Frame{p: sp.p, at: make([]*cell, len(sp.p.slots)), spot: &spot{}}
	}
	copy(f.at, sp.p.unresolved())
	f.epoch, f.all, f.misset, f.err = sp.base.epoch, sp.base.all, sp.base.misset, nil
	*f.spot = spot{sp, at, at.bits()}
	sp.frames[at] = f
	return f
}

// Drop removes the frame at a spot. The frame must not be used afterwards.
func (sp *Space) Drop(at Spot) {
	if f := sp.frames[at]; f != nil {
		sp.free = append(sp.free, f)
		delete(sp.frames, at)
	}
}

// Recycle reuses the memory of another space's frames. That space must belong to the same
// program, and its frames must not be used afterwards.
func (sp *Space) Recycle(old *Space) {
	if old == nil {
		return
	}
	sp.free = append(sp.free, old.free...)
	for _, f := range old.frames {
		sp.free = append(sp.free, f)
	}
	old.free, old.frames = nil, nil
}

// Reads returns the varying inputs that a value depends on, as a bit set of their
// numbers. The caller must not modify it.
func (sp *Space) Reads(r Ref) []uint64 {
	return sp.reads[int(r)*sp.words : (int(r)+1)*sp.words]
}

// Varies reports whether a value depends on varying inputs.
func (sp *Space) Varies(r Ref) bool {
	for _, word := range sp.Reads(r) {
		if word != 0 {
			return true
		}
	}
	return false
}

// Vary sets the varying input with the given number to a value of its kind. It discards the
// stored values that depend on this input.
func (sp *Space) Vary(number int, v Value) {
	r := sp.varying[number]
	if v.Kind == Num {
		sp.VaryNum(number, v.Num)
		return
	}
	sp.base.store(r, &sp.p.slots[r], v)
	sp.set(number, sp.base.epoch)
}

// VaryNum is like [Space.Vary], but takes a number.
func (sp *Space) VaryNum(number int, v Rat) {
	sp.base.at[sp.varying[number]].num = v
	sp.set(number, sp.base.epoch)
}

// Unset undoes [Space.Vary]. The value then comes from the name's formula, if there is one.
func (sp *Space) Unset(number int) { sp.set(number, 0) }

func (sp *Space) set(number int, seen uint32) {
	c := sp.base.at[sp.varying[number]]
	c.seen, c.listed = seen, false
	for _, c := range sp.users[number] {
		if c.listed { // a varying input that is set does not depend on other inputs
			c.seen = 0
		}
	}
}

// shares reports whether the frame shares the cell of a slot with the space's base frame.
func (f *Frame) shares(r Ref) bool { return f.space.by[r]&f.bits == 0 }

// resolve finds the cell for a slot in the frame's space.
func (f *Frame) resolve(r Ref) *cell {
	sp := f.space
	by := sp.by[r] & f.bits
	c := f.at[r]
	switch {
	case c != unresolved:
		return c
	case by != f.bits:
		c = sp.Frame(f.restrict(by)).resolve(r)
	case by == 0:
		if c = sp.base.at[r]; c.listed {
			c.seen = 0 // the value may have been computed before an input varied
		}
		c.fills, c.special = 0, nil // these are from an earlier space
		sp.addUser(r, c)
	default:
		c = sp.cell(sp.p.slots[r].kind)
		sp.addUser(r, c)
	}
	f.at[r] = c
	return c
}

// addUser adds a slot's cell to the users of each varying input that the slot depends on, so
// that the value in the cell is discarded when the input varies.
func (sp *Space) addUser(r Ref, c *cell) {
	for w, word := range sp.Reads(r) {
		for ; word != 0; word &= word - 1 {
			if i := 64*w + bits.TrailingZeros64(word); sp.varying[i] != r {
				sp.users[i] = append(sp.users[i], c)
			}
		}
	}
}

// cell returns a new cell for a value of the given kind.
func (sp *Space) cell(kind Kind) *cell {
	if len(sp.spare) == 0 {
		sp.spare = make([]cell, 64)
	}
	c := &sp.spare[0]
	sp.spare = sp.spare[1:]
	all := sp.base.all
	switch kind {
	case Str:
		c.index, all.strs = int32(len(all.strs)), append(all.strs, "")
	case NumList:
		c.index, all.numLists = int32(len(all.numLists)), append(all.numLists, nil)
	case StrList:
		c.index, all.strLists = int32(len(all.strLists)), append(all.strLists, nil)
	}
	return c
}

// ofSpace finds the value of a slot that has no value yet. The frame must be in a space. It
// returns false if the value must come from the slot's formula, or if an error occurs.
func (f *Frame) ofSpace(r Ref) bool {
	if f.at[r] == unresolved && f.resolve(r).seen == f.epoch {
		return true
	}
	if !f.space.computed[r] {
		return false
	}
	s := &f.p.slots[r]
	if s.kind == Num {
		v, known, fixed, err := f.space.compute.Number(f.Spot, r)
		if err != nil {
			f.err = err
		}
		if !known || err != nil {
			return false
		}
		f.at[r].num = v
		f.note(int32(r))
		if fixed {
			f.at[r].listed = false
		}
		return true
	}
	v, known := f.space.compute.Value(f.Spot, r)
	if !known {
		return false
	}
	if v.Kind != s.kind {
		f.err = diag.Errorf(s.src.Pos, "%q is %s, but was set to %s", s.name, s.kind, v.Kind)
		return false
	}
	f.store(r, s, v)
	f.note(int32(r))
	return true
}
