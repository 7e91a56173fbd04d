package formula

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Facts contain what a program needs to know about a formula before it evaluates the
// formula. They are the formula's kind, and the kinds and positions of the names that it
// refers to. If a formula's facts hold in a program, the formula is parsed and compiled
// only when it is evaluated. Most formulas, such as those for other engines, for limits
// of other backends, or for quantities that are not shown, are never evaluated.
//
// The facts of kvbench's own formulas are part of its snapshot; see [Program.EachFacts].
// Facts are encoded as a letter for the formula's kind, followed by a letter and a number
// for each name in the order of first use. That letter represents the kind of the name, and
// the number is the offset of the name in the text. An example is "bA0b13".
type Facts string

// A letter is the sum of one of these constants and a [Kind].
const (
	computedKinds = 'a'
	inputKinds    = 'A' // used only for formulas that test whether a name is set
	tableKinds    = 'n'
)

// letter returns the letter for the kind of a name. If asked is set, the letter also
// shows whether the name is an input.
func (s *slot) letter(asked bool) byte {
	switch {
	case s.class == table:
		return tableKinds + byte(s.kind)
	case asked && s.canBeAsked():
		return inputKinds + byte(s.kind)
	}
	return computedKinds + byte(s.kind)
}

// kind returns the kind of the formula, or Any if there are no facts.
func (f Facts) kind() Kind {
	if f == "" || f[0] <= computedKinds || f[0] > computedKinds+byte(StrList) {
		return Any
	}
	return Kind(f[0] - computedKinds)
}

// asks reports whether the formula checks if a name is set.
func (f Facts) asks() bool { return strings.ContainsAny(string(f), "ABCDEF") }

// The each method calls the function do for every name in the text, with the letter for its
// kind, until a call returns false. It returns false if a call returned false or if the
// facts do not match the text.
func (f Facts) each(text string, do func(name string, letter byte) bool) bool {
	for i := 1; i < len(f); {
		letter, off := f[i], 0
		for i++; i < len(f) && isDigit(f[i]); i++ {
			if off = 10*off + int(f[i]-'0'); off >= len(text) {
				return false
			}
		}
		if !do(wordAt(text[off:]), letter) {
			return false
		}
	}
	return true
}

// usesByFacts finds the slots that a formula uses, based on the formula's
// facts, and marks the formula's slot as late. It returns false if there are no
// usable facts.
func (c *compiler) usesByFacts(r Ref) bool {
	unit := c.p.slots[r].unit
	if unit.src.Facts.kind() == Any {
		return false
	}
	uses := make([]Ref, 0, len(unit.src.Facts)/2)
	late := unit.src.Facts.each(unit.src.Text, func(name string, _ byte) bool {
		u, ok := c.lookup(unit.means(name))
		uses = append(uses, u)
		return ok
	})
	if late {
		s := &c.p.slots[r]
		s.late, s.uses = true, uses
	}
	return late
}

// holds reports whether the facts of a formula hold, which means that the formula is valid.
// They hold if the formula yields the wanted kind, and if the names that it uses have the
// kinds in the facts.
func (p *Program) holds(s *slot, want Kind) bool {
	if want != Any && want != s.src.Facts.kind() {
		return false
	}
	i, asked := 0, s.src.Facts.asks()
	return s.src.Facts.each(s.src.Text, func(_ string, letter byte) bool {
		i++
		return p.slots[s.uses[i-1]].letter(asked) == letter
	})
}

// body returns the compiled formula of a slot. If the slot is late, the formula is
// compiled first.
func (p *Program) body(r Ref) *body {
	s := &p.slots[r]
	switch {
	case s.body != nil:
		return s.body
	case !s.late:
		return &body{}
	}
	b := p.late[r].Load()
	if b == nil {
		b = p.compileLate(s)
		p.late[r].Store(b)
	}
	return b
}

// compileLate compiles a formula whose facts hold.
func (p *Program) compileLate(s *slot) *body {
	syntax, errs := s.unit.parse()
	if len(errs) > 0 {
		return &body{err: errs[0]}
	}
	k := &checker{p: p, unit: s.unit, syntax: syntax}
	b := k.body()
	if b.kind != s.kind {
		k.errorf(start(syntax.root), "yields %s, not %s", b.kind, s.kind)
	}
	if len(k.errs) > 0 {
		b.err = k.errs[0].diag
	}
	return b
}

// CompileAll also compiles the formulas that are otherwise compiled only when they are
// evaluated. This makes evaluating them many times faster. Unlike evaluation, CompileAll is
// not safe for concurrent use.
func (p *Program) CompileAll() {
	for r := range p.slots {
		if s := &p.slots[r]; s.late {
			if b := p.body(Ref(r)); b.err == nil {
				s.late, s.body = false, b
				p.quick[r] = s.quick()
			}
		}
	}
}

// EachFacts calls do with each formula in the program and its facts. The facts are empty
// if facts alone cannot show that the formula is valid.
func (p *Program) EachFacts(do func(src Source, f Facts)) {
	for r := range p.slots {
		if s := &p.slots[r]; s.class == derived && (s.body != nil || s.late) {
			do(s.src, p.facts(s))
		}
	}
}

func (p *Program) facts(s *slot) Facts {
	syntax, errs := s.unit.parse()
	if len(errs) > 0 || strings.ContainsFunc(s.src.Text, func(c rune) bool { return c >= utf8.RuneSelf }) {
		return ""
	}
	k := &checker{p: p, unit: s.unit, syntax: syntax}
	kind := k.body().kind
	if k.keyed || len(k.errs) > 0 {
		return ""
	}
	f := []byte{computedKinds + byte(kind)}
	for _, n := range syntax.names {
		f = append(f, p.slots[p.names[s.means(n.name)]].letter(k.asks))
		f = strconv.AppendInt(f, int64(n.off), 10)
	}
	return Facts(f)
}

// Names returns the names that the formula refers to, in the order of first use.
func (s Source) Names() []string {
	if s.Facts.kind() == Any {
		return Names(s.Text)
	}
	names := make([]string, 0, len(s.Facts)/2)
	s.Facts.each(s.Text, func(name string, _ byte) bool {
		names = append(names, name)
		return true
	})
	return names
}
