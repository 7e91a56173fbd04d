// Package formula compiles and evaluates the numeric formulas of data files.
//
// A formula is a string such as "ceil(num_layers / pp_size) * page_size". Names
// stand for inputs that are set for each evaluation, for other formulas, and
// for tables of formulas that are picked by a string. All names live in one
// flat [Scope]; [Scope.Compile] checks every formula at once and gives a
// [Program]; a [Frame] holds the values of one evaluation.
//
// Numbers are exact: see [Rat]. Only the functions that say so round (see
// [Functions]); a number that does not fit, a division by zero or a value
// that is missing is an error that points into the formula's text. Evaluation
// is lazy, deterministic, and ends: there are no loops, no clock, no
// environment.
//
// The operators are + - * / % on numbers (% on whole numbers that are not
// negative), == != on numbers, strings and truth values, < <= > >= on numbers,
// and or not && || ! on truth values, contains startsWith endsWith on strings,
// in on lists, x ?? y for given(x) ? x : y, c ? a : b and if c { a } else { b }, list[i] counting from 0, the
// characters of a string in the same way, and table[key] or table.key.
//
// Errors are [diag.Diag]s, several at once a [diag.List].
package formula

import (
	"maps"
	"slices"

	"github.com/expr-lang/expr/parser/utils"

	"kvbench/engine/diag"
)

// Scope collects names and what they stand for. Use [NewScope]; a Scope is
// filled by one goroutine.
type Scope struct {
	decls []decl
}

// decl is one declaration, as given.
type decl struct {
	unit
	class class
	want  Kind
	given bool // a formula that stands in for an input which is not set
	def   *Value
	table *rows
}

// rows are the formulas of a table, as given.
type rows struct {
	keys    []string
	srcs    []Source
	missing map[string]string
}

// class is what a name stands for.
type class uint8

const (
	input   class = iota
	preset        // an input with a default
	derived       // a formula
	table
	first   // of several formulas
	missing // what has no value
)

// NewScope returns an empty scope.
func NewScope() *Scope { return &Scope{make([]decl, 0, 128)} }

// Input declares a value of the given kind that each frame sets. The position
// is for messages.
func (s *Scope) Input(name string, kind Kind, pos diag.Pos) {
	s.decls = append(s.decls, decl{unit: unit{name, Source{Pos: pos}}, class: input, want: kind})
}

// Default declares an input that has the value v where a frame does not set
// it.
func (s *Scope) Default(name string, v Value) {
	s.decls = append(s.decls, decl{unit: unit{name, Source{}}, class: preset, want: v.Kind, def: &v})
}

// Formula declares a named formula that must yield a value of kind want, or
// of whatever kind if want is [Any]. A frame may set the name to a value of
// that kind, which then stands in for the formula.
//
// A name that is no identifier ("limits.pool") is allowed; formulas cannot
// refer to it.
func (s *Scope) Formula(name string, src Source, want Kind) {
	s.decls = append(s.decls, decl{unit: unit{name, src}, class: derived, want: want})
}

// InputOr declares an input that has the value of a formula, of kind want, where
// a frame does not set it. It is among the inputs of what reads it, and so are
// the formula's own.
func (s *Scope) InputOr(name string, src Source, want Kind) {
	s.decls = append(s.decls, decl{unit: unit{name, src}, class: derived, want: want, given: true})
}

// Table declares formulas of one kind, want or whatever the first yields, that
// formulas pick by key: name[expression], name["key"] or name.key. The formula
// of keys[i] is srcs[i]; only the one picked is evaluated. Frames cannot set a
// table.
func (s *Scope) Table(name string, keys []string, srcs []Source, want Kind) {
	s.TableBut(name, keys, srcs, want, nil)
}

// TableBut is [Scope.Table] for a table that lacks keys for a reason: what to
// say when a formula picks one of them.
func (s *Scope) TableBut(name string, keys []string, srcs []Source, want Kind, missing map[string]string) {
	d := decl{unit: unit{name: name}, class: table, want: want, table: &rows{slices.Clone(keys), slices.Clone(srcs), missing}}
	if len(srcs) > 0 {
		d.src.Pos = srcs[0].Pos
	}
	s.decls = append(s.decls, d)
}

// Ref is a name of a [Program], for quick access. It is good for that program
// and its frames only; with any other they may panic.
type Ref int32

// Program is a checked set of formulas. It does not change and may be used by
// many goroutines at once.
type Program struct {
	slots []slot
	quick []quickSlot
	names map[string]Ref
	count [StrList + 1]int32 // how many slots there are of each kind

	// Of a partial program: the names that formulas lack, and what is wrong with
	// them.
	lacking map[Ref][]string
	wrong   map[Ref]*diag.Diag
}

// quickSlot is what evaluation asks of a slot most, together in little memory.
type quickSlot struct {
	num   func(*Frame) Rat  // of a formula that yields a number
	cond  func(*Frame) bool // of one that yields true or false
	index int32
	kind  Kind // Any for a table
}

func (s *slot) quick() quickSlot {
	q := quickSlot{index: s.index, kind: s.kind}
	switch s.class {
	case table:
		q.kind = Any
	case derived, first:
		q.num, q.cond = s.code.num, s.code.cond
	}
	return q
}

// slot is what one name stands for; the formulas of a table have slots
// without a name in the program.
type slot struct {
	unit
	class class
	kind  Kind
	index int32 // index among the slots of its kind
	inner bool  // a formula of a table
	lacks bool  // there is no value, in a partial program
	given bool  // see [Scope.InputOr]
	def   *Value
	code  code
	uses  []Ref // in order of first use; of a table: its formulas
	sides *sides
	*entries
}

// entries are the formulas of a table.
type entries struct {
	keys    []string // as declared
	elems   map[string]Ref
	missing map[string]string
}

// Compile checks all formulas. The error holds every fault found: first names
// declared twice or no identifiers, then, formula by formula in order of
// declaration, bad syntax, unknown names, unlike kinds, and formulas that need
// themselves. A formula that needs a faulty one is not blamed for it.
//
// The scope stays as it is, and may be added to and compiled again.
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

// program returns what was compiled, ready for evaluation.
func (c *compiler) program() *Program {
	c.p.quick = make([]quickSlot, len(c.p.slots))
	for r := range c.p.slots {
		c.p.quick[r] = c.p.slots[r].quick()
	}
	return c.p
}

// With returns a program that has one formula more; what is wrong with that one
// is the error. Names of p are names of the new program too, under the same
// [Ref]s; other formulas cannot refer to the new one, and it cannot refer to
// what is hidden.
func (p *Program) With(name string, src Source, want Kind, hidden ...string) (*Program, Ref, error) {
	q := &Program{slots: slices.Clip(p.slots), names: maps.Clone(p.names), count: p.count}
	for _, h := range hidden {
		delete(q.names, h)
	}
	c := newCompiler(0, 0)
	c.p, c.wants = q, make([]Kind, len(q.slots))
	r := c.add(slot{unit: unit{name, src}, class: derived}, want)
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
	q.quick = append(slices.Clip(p.quick), s.quick())
	q.names = p.names
	return q, r, nil
}

// Ref finds a declared name.
func (p *Program) Ref(name string) (Ref, bool) {
	r, ok := p.names[name]
	return r, ok
}

// Names gives, sorted, the names that formulas can refer to, apart from tables.
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

// Kind returns the kind of a name's values; for a table, that of its formulas.
func (p *Program) Kind(r Ref) Kind { return p.slots[r].kind }

// Name returns the name of r.
func (p *Program) Name(r Ref) string { return p.slots[r].name }

// Source returns the text of a formula, in one line, and its position. Of an input
// or a table there is no text.
func (p *Program) Source(r Ref) Source {
	src := p.slots[r].src
	src.Text = oneLine(src.Text)
	return src
}

// Uses gives, sorted, the names that the text of r refers to. A table uses
// what its formulas use.
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

// Inputs gives, sorted, the names of all inputs, with default or without, that
// the value of r can depend on, directly or through other formulas.
func (p *Program) Inputs(r Ref) []string {
	return p.InputsOf([]Ref{r}, func(string) bool { return true })
}

// Otherwise follows the name of an input that has a formula, for that formula: see
// [Scope.InputOr].
const Otherwise = " ??"

// InputsOf returns the inputs of several values, through those names alone that
// follow holds for. The formulas of a table are named table.key, that of an input
// by [Otherwise].
func (p *Program) InputsOf(refs []Ref, follow func(name string) bool) []string {
	seen := map[Ref]bool{}
	for _, r := range refs {
		seen[r] = true
	}
	var names []string
	for todo := slices.Clone(refs); len(todo) > 0; {
		r := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		s := &p.slots[r]
		if s.class == input || s.class == preset || s.given {
			names = append(names, s.name)
		}
		if s.given && !follow(s.name+Otherwise) {
			continue
		}
		for _, u := range s.uses {
			if !seen[u] && follow(p.slots[u].name) {
				seen[u] = true
				todo = append(todo, u)
			}
		}
	}
	slices.Sort(names)
	return names
}
