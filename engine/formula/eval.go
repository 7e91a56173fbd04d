package formula

import "kvbench/engine/diag"

// Frame holds the values of one evaluation of a [Program]: the values that were set, and
// the values computed so far. Each formula is computed only once, when its value is first
// needed. A Frame is not safe for concurrent use, but it can be reused: set other values or
// call [Frame.Reset], and evaluate again. Reading numbers, strings and booleans does not
// allocate memory.
type Frame struct {
	p *Program
	// A slot has a value if the seen field of its cell equals epoch. Numbers and booleans
	// are stored in the cell; other values are stored in the list for their kind, at the
	// cell's index.
	epoch uint32
	at    []*cell // indexed by slot; some cells may be shared with other frames of a [Space]
	all   *lists

	computed []int32        // slots whose value was computed rather than set
	misset   map[int32]Kind // slots set to a value of the wrong kind
	err      *diag.Diag     // the first error of this evaluation

	*spot // nil if the frame is not in a [Space]
}

type cell struct {
	num     Rat
	seen    uint32
	index   int32
	fills   uint32
	cond    bool
	listed  bool  // computed rather than set
	special *code // see special.go
}

// lists holds the values that are not stored in cells.
type lists struct {
	strs     []string
	numLists [][]Rat
	strLists [][]string
}

// NewFrame returns a frame in which no values are set.
func (p *Program) NewFrame() *Frame {
	f := &Frame{
		p:        p,
		epoch:    1,
		at:       make([]*cell, len(p.slots)),
		all:      &lists{make([]string, p.count[Str]), make([][]Rat, p.count[NumList]), make([][]string, p.count[StrList])},
		computed: make([]int32, 0, len(p.slots)),
	}
	cells := make([]cell, len(p.slots))
	for i := range cells {
		cells[i].index = p.quick[i].index
		f.at[i] = &cells[i]
	}
	return f
}

// Reset unsets all values.
func (f *Frame) Reset() {
	f.forget()
	clear(f.misset)
	if f.epoch++; f.epoch == 0 { // the epoch overflowed
		for _, c := range f.at {
			c.seen = 0
		}
		f.epoch = 1
	}
}

// Set sets the value of an input, or overrides the computed value of a formula. It
// discards all computed values, but keeps the other values that were set. If the kind of
// the value is wrong, the error is reported when the value is read. Setting a table has
// no effect.
func (f *Frame) Set(r Ref, v Value) {
	s := &f.p.slots[r]
	if s.class == table {
		return
	}
	f.forget()
	if v.Kind != s.kind {
		if f.misset == nil {
			f.misset = map[int32]Kind{}
		}
		f.misset[int32(r)] = v.Kind
		f.at[r].seen = 0
		return
	}
	delete(f.misset, int32(r))
	f.store(r, s, v)
	f.at[r].seen = f.epoch
}

// SetName is like [Frame.Set], but accepts a name instead of a reference. It ignores
// unknown names and values of the wrong kind.
func (f *Frame) SetName(name string, v Value) {
	if r, ok := f.p.Ref(name); ok && f.p.Kind(r) == v.Kind {
		f.Set(r, v)
	}
}

// SetNum is like [Frame.Set], but takes a number.
func (f *Frame) SetNum(r Ref, v Rat) {
	if f.p.quick[r].kind != Num || len(f.misset) > 0 {
		f.Set(r, Value{Kind: Num, Num: v})
		return
	}
	f.forget()
	f.at[r].num, f.at[r].seen = v, f.epoch
}

// Unset undoes [Frame.Set].
func (f *Frame) Unset(r Ref) {
	f.forget()
	delete(f.misset, int32(r))
	f.at[r].seen = 0
}

// forget discards the computed values.
func (f *Frame) forget() {
	for _, i := range f.computed {
		f.at[i].seen, f.at[i].listed = 0, false
	}
	f.computed = f.computed[:0]
}

// Eval returns the value of r. The error is a [*diag.Diag] that points to the formula
// that failed. This may be a formula that r depends on.
func (f *Frame) Eval(r Ref) (Value, error) {
	s := &f.p.slots[r]
	if s.class == table {
		return Value{}, diag.Errorf(s.src.Pos, "%q is a table", s.name)
	}
	if err := f.ensure(r); err != nil {
		return Value{}, err
	}
	return f.load(r, s), nil
}

// Num returns the value of r, which must be a number; see [Frame.Eval].
func (f *Frame) Num(r Ref) (Rat, error) {
	if f.p.quick[r].kind != Num {
		return Rat{}, f.notA(r, Num)
	}
	if c := f.at[r]; c.seen == f.epoch {
		return c.num, nil
	}
	if err := f.ensure(r); err != nil {
		return Rat{}, err
	}
	return f.at[r].num, nil
}

// Bool returns the value of r, which must be a boolean; see [Frame.Eval].
func (f *Frame) Bool(r Ref) (bool, error) {
	if f.p.quick[r].kind != Bool {
		return false, f.notA(r, Bool)
	}
	if err := f.ensure(r); err != nil {
		return false, err
	}
	return f.at[r].cond, nil
}

func (f *Frame) notA(r Ref, want Kind) error {
	s := &f.p.slots[r]
	if s.class == table {
		return diag.Errorf(s.src.Pos, "%q is a table", s.name)
	}
	return diag.Errorf(s.src.Pos, "%q is %s, not %s", s.name, s.kind, want)
}

// Side is one side of a comparison: its text in the formula and its value.
type Side struct {
	Text  string
	Value Value
}

// Sides returns the operator (== != < <= > >=) and both sides of a comparison, for
// messages that show by how much a limit is exceeded. ok is true if the whole formula of
// r is a comparison, such as "a * 2 <= b". It is false for any other formula, including a chain
// such as a < b < c. It is also false if the value of r was set.
func (f *Frame) Sides(r Ref) (op string, left, right Side, ok bool, err error) {
	c := f.p.body(r).sides
	if c == nil || f.isSet(r) {
		return "", Side{}, Side{}, false, nil
	}
	f.err = nil
	left.Value, right.Value = f.run(&c.left), f.run(&c.right)
	if f.err != nil {
		return "", Side{}, Side{}, false, f.err
	}
	text, _ := f.p.slots[r].scan() // the formula was compiled, so it cannot have errors
	left.Text, right.Text = text.sides(c.off)
	left.Text, right.Text = oneLine(left.Text), oneLine(right.Text)
	return c.op, left, right, true, nil
}

func (f *Frame) isSet(r Ref) bool {
	if _, wrong := f.misset[int32(r)]; wrong {
		return true
	}
	c := f.at[r]
	if c == unresolved {
		c = f.resolve(r)
	}
	return c.seen == f.epoch && !c.listed
}

// ensure computes the value of r if necessary.
func (f *Frame) ensure(r Ref) error {
	if f.at[r].seen == f.epoch {
		return nil
	}
	f.err = nil
	if !f.fill(int32(r), place{}) {
		return f.err
	}
	return nil
}

// fill computes the value of a slot that does not have one yet. at is where the value is
// used, or the zero place if the value was requested from outside the package. After an
// error, fill computes nothing more, so a failing evaluation ends quickly.
func (f *Frame) fill(i int32, at place) bool {
	if f.err != nil {
		return false
	}
	if f.spot != nil {
		if done := f.ofSpace(Ref(i)); done || f.err != nil {
			return done
		}
		c := f.at[i]
		if c.fills++; c.fills == specialAfter && f.space.Varies(Ref(i)) {
			c.special = f.special(Ref(i))
		}
		if c.special != nil {
			return f.fillSpecial(i, c)
		}
	}
	if q := &f.p.quick[i]; len(f.misset) == 0 && (q.num != nil || q.cond != nil) {
		if q.num != nil {
			f.at[i].num = q.num(f)
		} else {
			f.at[i].cond = q.cond(f)
		}
		if f.err != nil {
			return false
		}
		f.note(i)
		return true
	}
	s := &f.p.slots[i]
	if len(f.misset) > 0 {
		if kind, ok := f.misset[i]; ok {
			f.failSlot(s, at, "%q is %s, but was set to %s", s.name, s.kind, kind)
			return false
		}
	}
	switch {
	case f.p.wrong[Ref(i)] != nil:
		f.err = f.p.wrong[Ref(i)]
		return false
	case s.class == input, s.lacks:
		f.failSlot(s, at, "%q is not set", s.name)
		f.err.About(diag.NotGiven, s.name)
		return false
	case s.class == preset:
		f.store(Ref(i), s, *s.def)
	default:
		b := f.p.body(Ref(i))
		if b.err != nil {
			f.err = b.err
			return false
		}
		f.store(Ref(i), s, f.run(&b.code))
		if f.err != nil {
			return false
		}
	}
	f.note(i)
	return true
}

// note marks a slot as computed.
func (f *Frame) note(i int32) {
	c := f.at[i]
	c.seen = f.epoch
	if c.listed {
		return
	}
	c.listed = true
	if f.spot == nil {
		f.computed = append(f.computed, i)
	} else if f.shares(Ref(i)) {
		f.space.base.computed = append(f.space.base.computed, i)
	}
}

// run evaluates code.
func (f *Frame) run(c *code) Value {
	v := Value{Kind: c.kind}
	switch c.kind {
	case Num:
		v.Num = c.num(f)
	case Str:
		v.Str = c.str(f)
	case Bool:
		v.Bool = c.cond(f)
	case NumList:
		v.Nums = c.nums(f)
	case StrList:
		v.Strs = c.strs(f)
	}
	return v
}

// store saves the value of a slot.
func (f *Frame) store(r Ref, s *slot, v Value) {
	c := f.at[r]
	switch s.kind {
	case Num:
		c.num = v.Num
	case Str:
		f.all.strs[c.index] = v.Str
	case Bool:
		c.cond = v.Bool
	case NumList:
		f.all.numLists[c.index] = v.Nums
	case StrList:
		f.all.strLists[c.index] = v.Strs
	}
}

// load returns the value saved by store.
func (f *Frame) load(r Ref, s *slot) Value {
	v, c := Value{Kind: s.kind}, f.at[r]
	switch s.kind {
	case Num:
		v.Num = c.num
	case Str:
		v.Str = f.all.strs[c.index]
	case Bool:
		v.Bool = c.cond
	case NumList:
		v.Nums = f.all.numLists[c.index]
	case StrList:
		v.Strs = f.all.strLists[c.index]
	}
	return v
}

// fail records an error unless there already is one. It returns a number so that numeric
// code can return the result of fail.
func (f *Frame) fail(at place, format string, args ...any) Rat {
	if f.err == nil {
		f.err = at.errorf(format, args...)
	}
	return Rat{}
}

// failSlot is like fail, but reports that a slot cannot be read. The error points to
// where the slot is used or, if that is not known, to where it is declared.
func (f *Frame) failSlot(s *slot, at place, format string, args ...any) {
	if at.unit == nil {
		f.err = diag.Errorf(s.src.Pos, format, args...)
		return
	}
	f.fail(at, format, args...)
}

func (f *Frame) overflow(at place, a Rat, op string, b Rat) Rat {
	return f.fail(at, "%s %s %s does not fit in 64 bits", term(a), op, term(b))
}

// quo divides two numbers in a formula.
func (f *Frame) quo(at place, a, b Rat) Rat {
	if b.n == 0 {
		return f.divZero(at, a, "/", b)
	}
	if v, ok := a.quo(b); ok {
		return v
	}
	return f.overflow(at, a, "/", b)
}

func (f *Frame) divZero(at place, a Rat, op string, b Rat) Rat {
	return f.fail(at, "division by zero: %s %s %s", term(a), op, term(b))
}

// index checks that i is a valid index for a list with n elements, or for a string with n
// characters.
func (f *Frame) index(at place, i Rat, kind Kind, n int) (int, bool) {
	if i.IsInt() && i.n >= 0 && i.n < int64(n) {
		return int(i.n), true
	}
	size := "list has " + plural(n, "element", "elements")
	if kind == Str {
		size = "string has " + plural(n, "character", "characters")
	}
	f.fail(at, "index %s is out of range: the %s, counted from 0", i, size)
	return 0, false
}
