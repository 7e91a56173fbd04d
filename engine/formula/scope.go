// Package formula compiles and evaluates the numeric formulas in data files.
//
// A formula is a string such as "ceil(num_layers / pp_size) * page_size". A name refers to
// an input that is set for each evaluation, to another formula, or to a table of formulas, from
// which a string selects an entry. All names are in one flat [Scope]. [Scope.Compile] checks
// all formulas together and returns a [Program]. A [Frame] holds the values of one evaluation.
//
// Numbers are exact: see [Rat]. Only functions that are documented to round do so; see
// [Functions]. A number that does not fit in 64 bits, a division by zero, and a missing
// value are errors that point into the formula's text. Evaluation is lazy and
// deterministic, and always terminates: formulas cannot loop, and cannot read the clock or
// the environment.
//
// The operators are:
//
//   - + - * / % on numbers (% only on whole numbers that are not negative)
//   - == != on numbers, strings and booleans
//   - < <= > >= on numbers
//   - and or not && || ! on booleans
//   - contains startsWith endsWith on strings
//   - in on lists
//   - x ?? y, which is given(x) ? x : y
//   - c ? a : b and if c { a } else { b }
//   - x[i], an element of a list or a character of a string, counted from 0
//   - table[key] and table.key
//
// An error is a [diag.Diag], or a [diag.List] if there are several.
package formula

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/expr-lang/expr/parser/utils"

	"kvbench/engine/diag"
)

// Scope collects names and what they refer to. Use [NewScope] to create one. A
// Scope is not safe for concurrent use.
type Scope struct {
	decls  []decl
	spares *spares
}

// spares are names that a scope declares only if a formula reads them; see [Scope.Spare].
type spares struct {
	declare func(s *Scope, name string)
	names   func() []string
}

// decl is one declaration as the caller made it.
type decl struct {
	unit
	class class
	want  Kind
	given bool // the formula yields the value of an input that is not set; see [Scope.InputOr]
	def   *Value
	table *rows
}

// rows contains the formulas of a table as the caller declared them.
type rows struct {
	keys    []string
	units   []unit
	missing func(key string) *diag.Diag
}

func newRows(name string, keys []string, srcs []Source, missing func(key string) *diag.Diag) *rows {
	r := &rows{slices.Clone(keys), make([]unit, len(srcs)), missing}
	for i := range srcs {
		r.units[i].src = srcs[i]
		if i < len(keys) {
			r.units[i].name = name + "." + keys[i]
		}
	}
	return r
}

// class is the kind of thing that a name refers to.
type class uint8

const (
	input   class = iota
	preset        // an input with a default
	derived       // a formula
	table
	first   // the first usable formula of several
	missing // an input without a value
)

// NewScope returns an empty scope.
func NewScope() *Scope { return &Scope{decls: make([]decl, 0, 256)} }

// IsEmpty reports whether the scope has no declarations.
func (s *Scope) IsEmpty() bool { return len(s.decls) == 0 }

// Input declares a value of the given kind, which must be set in each frame. pos is used
// in messages.
func (s *Scope) Input(name string, kind Kind, pos diag.Pos) {
	s.decls = append(s.decls, decl{unit: unit{name, Source{Pos: pos}}, class: input, want: kind})
}

// Default declares an input whose value is v if a frame does not set it.
func (s *Scope) Default(name string, v Value) {
	s.decls = append(s.decls, decl{unit: unit{name, Source{}}, class: preset, want: v.Kind, def: &v})
}

// Formula declares a named formula that must yield a value of kind want, or of any kind if
// want is [Any]. If a frame sets the name to a value of that kind, that value is used
// instead of the computed one.
//
// The name need not be an identifier. If it is not, as in "limits.pool", formulas cannot
// refer to it.
func (s *Scope) Formula(name string, src Source, want Kind) {
	s.decls = append(s.decls, decl{unit: unit{name, src}, class: derived, want: want})
}

// Spare adds spare names, which become part of the program only if a formula reads them. If
// a name is one of them, the declare function declares it in a scope with [Scope.Default] or
// [Scope.Formula]. The names function lists all spare names. It is an error to declare one of
// these names in any other way.
func (s *Scope) Spare(declare func(s *Scope, name string), names func() []string) {
	s.spares = &spares{declare, names}
}

// InputOr declares an input. If a frame does not set the input, its value comes from a
// formula of kind want. Formulas that read the input depend both on the input and on the
// inputs of its formula.
func (s *Scope) InputOr(name string, src Source, want Kind) {
	s.decls = append(s.decls, decl{unit: unit{name, src}, class: derived, want: want, given: true})
}

// Table declares a table of formulas, which must all have the same kind. This kind is
// the argument want or, if that is [Any], the kind of the first formula. The formula for
// keys[i] is srcs[i]. Formulas select an entry by its key: name[expression], name["key"] or
// name.key. Only the selected entry is evaluated. Frames cannot set a table.
func (s *Scope) Table(name string, keys []string, srcs []Source, want Kind) {
	s.TableBut(name, keys, srcs, want, nil)
}

// TableBut is like [Scope.Table], but for a table that deliberately lacks some keys.
// missing returns the error for formulas that select one of these keys, or nil for other
// keys.
func (s *Scope) TableBut(name string, keys []string, srcs []Source, want Kind, missing func(key string) *diag.Diag) {
	d := decl{unit: unit{name: name}, class: table, want: want, table: newRows(name, keys, srcs, missing)}
	if len(srcs) > 0 {
		d.src.Pos = srcs[0].Pos
	}
	s.decls = append(s.decls, d)
}

// A Ref is a resolved name in a [Program], for fast lookup. It is valid only
// for that program and its frames; using it with any other program or frame may
// panic.
type Ref int32

// Program is a checked set of formulas. It is immutable and safe for concurrent
// use.
type Program struct {
	slots []slot
	quick []quickSlot
	late  []atomic.Pointer[body] // the compiled formulas of late slots that were evaluated
	order []Ref                  // each slot comes after the slots that it uses, except in cycles
	names map[string]Ref
	count [StrList + 1]int32 // how many slots there are of each kind

	// unresolved returns the cells for a new frame in a space.
	unresolved func() []*cell

	inputs func() *numbers
	reach  func() *Reach // see ReachAll

	// Used only in partial programs. For each formula, lacking contains the names that it reads
	// but that have no value, and wrong contains its error.
	lacking map[Ref][]string
	wrong   map[Ref]*diag.Diag
}

// quickSlot contains the parts of a slot that evaluation needs most often,
// close together in memory.
type quickSlot struct {
	num   func(*Frame) Rat  // set for a formula that yields a number
	cond  func(*Frame) bool // set for a formula that yields true or false
	index int32
	kind  Kind // Any for a table
}

func (s *slot) quick() quickSlot {
	q := quickSlot{index: s.index, kind: s.kind}
	switch s.class {
	case table:
		q.kind = Any
	case derived, first:
		if s.body != nil {
			q.num, q.cond = s.body.num, s.body.cond
		}
	}
	return q
}

// slot is what a name refers to. The formulas in a table also have slots, but these
// slots have no names in the program.
type slot struct {
	*unit
	class class
	kind  Kind
	index int32 // the slot's index among the slots of its kind
	inner bool  // whether the slot is for a formula in a table
	lacks bool  // whether the slot has no value, in a partial program
	given bool  // see [Scope.InputOr]
	late  bool  // whether the formula is compiled only when it is evaluated; see [Facts]
	def   *Value
	body  *body // set for a formula that is not late
	uses  []Ref // the slots that the formula uses, in the order of first use; for a table, its formulas
	*entries
}

// entries contains the formulas of a table.
type entries struct {
	keys    []string // as declared
	elems   map[string]Ref
	missing func(key string) *diag.Diag
}

// Compile checks all formulas. The error lists all problems. Declarations with duplicate or
// invalid names come first. The errors in each formula follow, in the order of declaration: bad
// syntax, unknown names, mismatched kinds, and dependency cycles. Errors in a formula are not
// reported again for the formulas that depend on it.
//
// Compile does not change the scope, so more names can be declared and the scope compiled
// again.
func (s *Scope) Compile() (*Program, error) {
	c, list := s.compile(nil)
	for r := range c.p.slots {
		list = append(list, c.errs[Ref(r)]...)
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	return c.program(), nil
}

func (s *Scope) compile(find func(name string) (Kind, bool)) (*compiler, diag.List) {
	n := len(s.decls)
	for i := range s.decls {
		if t := s.decls[i].table; t != nil {
			n += len(t.keys)
		}
	}
	c := newCompiler(len(s.decls), n)
	c.spares = s.spares
	if c.find = find; find != nil {
		c.p.lacking, c.p.wrong = map[Ref][]string{}, map[Ref]*diag.Diag{}
	}
	var list diag.List
	for i := range s.decls {
		list.Add(c.declare(&s.decls[i]))
	}
	c.parse()
	for r := range c.p.slots {
		c.visit(Ref(r))
	}
	return c, list
}

// program returns the compiled formulas, ready for evaluation.
func (c *compiler) program() *Program {
	c.p.quick, c.p.late = make([]quickSlot, len(c.p.slots)), make([]atomic.Pointer[body], len(c.p.slots))
	for r := range c.p.slots {
		c.p.quick[r] = c.p.slots[r].quick()
	}
	c.p.prepareReach()
	return c.p
}

// With returns a program with one additional formula. Any error is about that formula.
// All names in p have the same [Ref]s in the new program. Other formulas cannot refer to
// the new formula, and the new formula cannot refer to the hidden names.
func (p *Program) With(name string, src Source, want Kind, hidden ...string) (*Program, Ref, error) {
	q := &Program{slots: slices.Clip(p.slots), late: p.late, order: slices.Clip(p.order), names: maps.Clone(p.names), count: p.count}
	for _, h := range hidden {
		delete(q.names, h)
	}
	c := newCompiler(0, 0)
	c.p, c.wants = q, make([]Kind, len(q.slots))
	r := c.add(slot{unit: &unit{name, src}, class: derived}, want)
	syntax, errs := q.slots[r].unit.parse()
	if len(errs) > 0 {
		return nil, 0, diag.List(errs)
	}
	for _, n := range syntax.names {
		if u, ok := q.names[q.slots[r].means(n.name)]; ok {
			q.slots[r].uses = append(q.slots[r].uses, u)
		}
	}
	c.parsed = make([]*parsed, len(q.slots))
	c.parsed[r] = syntax
	c.compile(r)
	if errs := c.errs[r]; len(errs) > 0 {
		return nil, 0, diag.List(errs)
	}
	s := &q.slots[r]
	s.index = q.count[s.kind]
	q.count[s.kind]++
	q.order = append(q.order, r)
	q.quick = append(slices.Clip(p.quick), s.quick())
	q.names = p.names
	q.prepareReach()
	return q, r, nil
}

// Ref returns the reference for a name, and reports whether the name is declared.
func (p *Program) Ref(name string) (Ref, bool) {
	r, ok := p.names[name]
	return r, ok
}

// Len returns the number of references in the program. Every [Ref] is less than this
// number.
func (p *Program) Len() int { return len(p.slots) }

// Names returns a sorted list of the names that formulas can refer to, except those of
// tables.
func (p *Program) Names() []string {
	var list []string
	for name, r := range p.names {
		if p.slots[r].class != table && utils.IsValidIdentifier(name) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// Kind returns the kind of a name's value or, for a table, of its formulas.
func (p *Program) Kind(r Ref) Kind { return p.slots[r].kind }

// Name returns the name of r.
func (p *Program) Name(r Ref) string { return p.slots[r].name }

// Source returns the text of a formula, on one line, and the formula's position. For an
// input or a table, the text is empty.
func (p *Program) Source(r Ref) Source {
	src := p.slots[r].src
	src.Text = oneLine(src.Text)
	return src
}

// Uses returns a sorted list of the names that the text of r refers to. For a table, it
// returns the names that the table's formulas refer to.
func (p *Program) Uses(r Ref) []string {
	set := map[string]bool{}
	for _, u := range p.slots[r].uses {
		if s := &p.slots[u]; !s.inner {
			set[s.name] = true
			continue
		}
		for _, v := range p.slots[u].uses {
			set[p.slots[v].name] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// Reads reports whether the text of r refers to a name, other than through a
// table.
func (p *Program) Reads(r Ref, name string) bool {
	ref, ok := p.names[name]
	return ok && slices.Contains(p.slots[r].uses, ref)
}
