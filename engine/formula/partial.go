package formula

import (
	"slices"
	"strconv"

	"github.com/expr-lang/expr/ast"

	"kvbench/engine/diag"
)

// First declares a name that refers to several formulas. The value of the name comes from
// the first formula whose inputs all have values; see [Scope.Partial].
func (s *Scope) First(name string, srcs []Source) {
	keys := make([]string, len(srcs))
	for i := range srcs {
		keys[i] = strconv.Itoa(i)
	}
	s.decls = append(s.decls, decl{unit: unit{name: name}, class: first, table: newRows(name, keys, srcs, nil)})
}

// Partial is like [Scope.Compile], but some inputs may have no value. find
// returns the kind of an input that is not declared, or Any if formulas cannot
// read it; ok is false if the input has no value.
//
// A formula has no value if it reads an input or another formula that has no value, or if
// it depends on itself; see [Program.Lacks]. If x has no value, x ?? y is y, and given(x)
// is false. If such a test decides a condition, the branch that is not taken counts as unread.
// An error in a formula is reported only when the formula is evaluated.
func (s *Scope) Partial(find func(name string) (kind Kind, ok bool)) (*Program, error) {
	c, list := s.compile(find)
	if err := list.Err(); err != nil {
		return nil, err
	}
	return c.program(), nil
}

// found adds an input that formulas read but that was not declared.
func (c *compiler) found(name string) Ref {
	s := slot{unit: &unit{name: name}, class: input}
	kind, ok := c.find(name)
	if !ok {
		s.class = missing
	}
	r := c.add(s, kind)
	c.p.names[name] = r
	return r
}

// bind compiles a slot of a partial program after the slots that it uses.
func (c *compiler) bind(r Ref) {
	s := &c.p.slots[r]
	lacks := func(u Ref) bool { return c.p.slots[u].lacks }
	switch s.class {
	case preset:
		s.lacks = false
	case input:
		if s.lacks = false; s.kind == broken {
			c.fail(r, place{s.unit, 0}.errorf("cannot be read"))
		}
	case table:
		if s.lacks = slices.ContainsFunc(s.uses, lacks); !s.lacks {
			c.compile(r)
			for _, u := range s.uses {
				c.fail(r, c.p.wrong[u])
			}
		}
	case first:
		s.uses = slices.DeleteFunc(s.uses, lacks)
		if s.lacks = len(s.uses) == 0; !s.lacks {
			s.uses = s.uses[:1]
			s.body = &body{code: (&checker{p: c.p, unit: s.unit}).read(s.uses[0], 0)}
			s.kind = s.body.kind
			c.fail(r, c.p.wrong[s.uses[0]])
		}
	case derived:
		c.compile(r)
		for _, err := range c.errs[r] {
			c.fail(r, err)
		}
		if s.lacks = c.p.lacking[r] != nil; s.lacks {
			delete(c.p.wrong, r)
		}
	}
	if s.lacks || c.p.wrong[r] != nil {
		s.kind, s.body = broken, nil
	}
}

// fail records the error that evaluating a slot returns, unless one is already recorded
// for the slot.
func (c *compiler) fail(r Ref, err *diag.Diag) {
	if err != nil && c.p.wrong[r] == nil {
		c.p.wrong[r] = err
	}
}

// usable reports whether a slot can be read. If not, it records which name lacks a value,
// or what is wrong with the slot.
func (k *checker) usable(r Ref) bool {
	switch s := &k.p.slots[r]; {
	case s.lacks:
		if !slices.Contains(k.lacking, s.name) {
			k.lacking = append(k.lacking, s.name)
		}
	case k.p.wrong[r] != nil:
		if k.wrong == nil {
			k.wrong = k.p.wrong[r]
		}
	default:
		return true
	}
	return false
}

// decided reports whether the value of a condition is known and equals the last argument.
// The value can be known because the condition depends only on which inputs have values,
// or only on values that do not vary in a space.
func (k *checker) decided(cond code, is bool) bool {
	return (k.partial || k.frame != nil) && cond.known != nil && cond.kind == Bool && cond.known.Bool == is
}

// partialOrElse compiles x ?? y in a partial program, in which it is known whether
// x has a value.
func (k *checker) partialOrElse(n *ast.BinaryNode) code {
	before := k.lacking
	k.lacking = nil
	var x code
	if b, ok := n.Left.(*ast.BinaryNode); ok && b.Operator == "??" {
		x = k.partialOrElse(b)
	} else if _, ok := k.askable(n.Left, strconv.Quote("??")); ok {
		x = k.expr(n.Left)
	} else {
		x = brokenCode
	}
	if lacking := k.lacking; len(lacking) > 0 {
		k.lacking = nil
		if x = k.expr(n.Right); len(k.lacking) > 0 {
			k.lacking = append(lacking, k.lacking...)
		}
	}
	k.lacking = append(before, k.lacking...)
	return x
}

// Lacks reports whether a name in a partial program has no value.
func (p *Program) Lacks(r Ref) bool { return p.slots[r].lacks }

// Lacking returns the names in the text of r that have no value, in the order of first
// use.
func (p *Program) Lacking(r Ref) []string { return p.lacking[r] }

// Wrong returns an error if a formula of a partial program fails regardless of the values of
// its inputs.
func (p *Program) Wrong(r Ref) error {
	if d := p.wrong[r]; d != nil {
		return d
	}
	return nil
}

// Parts returns the names that the text of r refers to, in the order of first use. For a
// name declared with [Scope.First], it returns the formula that is used.
func (p *Program) Parts(r Ref) []Ref { return p.slots[r].uses }
