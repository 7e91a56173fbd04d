package formula

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"

	"kvbench/engine/diag"
)

func (k *checker) binary(n *ast.BinaryNode) code {
	off := n.Location().From
	caller := strconv.Quote(n.Operator)
	switch n.Operator {
	case "+", "-", "*", "/", "%":
		l, r := k.need(n.Left, Num, caller), k.need(n.Right, Num, caller)
		return arithmetic(n.Operator, l, r, k.at(off))
	case "and", "&&":
		left := k.need(n.Left, Bool, caller)
		if k.decided(left, false) {
			return left
		}
		right := k.need(n.Right, Bool, caller)
		if k.frame != nil && k.decided(left, true) {
			return right
		}
		l, r := left.cond, right.cond
		return code{kind: Bool, cond: func(f *Frame) bool { return l(f) && r(f) }}
	case "or", "||":
		left := k.need(n.Left, Bool, caller)
		if k.decided(left, true) {
			return left
		}
		right := k.need(n.Right, Bool, caller)
		if k.frame != nil && k.decided(left, false) {
			return right
		}
		l, r := left.cond, right.cond
		return code{kind: Bool, cond: func(f *Frame) bool { return l(f) || r(f) }}
	case "==", "!=", "<", "<=", ">", ">=":
		return k.comparison(n)
	case "in":
		return k.inList(n)
	case "??":
		if k.partial {
			return k.partialOrElse(n)
		}
		return k.orElse(n.Left, k.expr(n.Right), start(n.Right))
	case "contains", "startsWith", "endsWith":
		l := k.expr(n.Left)
		if l.kind == NumList || l.kind == StrList {
			k.errorf(start(n.Left), "%s needs a string, not %s", caller, l.kind).WithHint("write 'x in list'")
			return brokenCode
		} else if l.kind != Str && l.kind != broken {
			k.errorf(start(n.Left), "%s needs a string, not %s", caller, l.kind)
		}
		x, y := l.str, k.need(n.Right, Str, caller).str
		test := map[string]func(string, string) bool{
			"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix,
		}[n.Operator]
		return code{kind: Bool, cond: func(f *Frame) bool { return test(x(f), y(f)) }}
	}
	k.errorf(off, "%s is not supported in formulas", caller)
	return brokenCode
}

// arithmetic returns the code for l op r. at is the position of the operator.
func arithmetic(op string, l, r code, at place) code {
	x, y := l.num, r.num
	c := code{kind: Num}
	fold := func(v Rat, ok bool) code {
		// Do not report errors until run time, because the operation may be in a branch that is
		// not taken.
		if l.known != nil && r.known != nil && ok {
			return constant(Value{Kind: Num, Num: v})
		}
		return c
	}
	switch op {
	case "+":
		c.num = func(f *Frame) Rat {
			a, b := x(f), y(f)
			if v, ok := a.add(b); ok {
				return v
			}
			return f.overflow(at, a, "+", b)
		}
		return fold(l.number().add(r.number()))
	case "-":
		c.num = func(f *Frame) Rat {
			a, b := x(f), y(f)
			if v, ok := a.sub(b); ok {
				return v
			}
			return f.overflow(at, a, "-", b)
		}
		return fold(l.number().sub(r.number()))
	case "*":
		c.num = func(f *Frame) Rat {
			a, b := x(f), y(f)
			if v, ok := a.mul(b); ok {
				return v
			}
			return f.overflow(at, a, "*", b)
		}
		return fold(l.number().mul(r.number()))
	case "/":
		c.num = func(f *Frame) Rat { return f.quo(at, x(f), y(f)) }
		if r.number().n == 0 {
			return c
		}
		return fold(l.number().quo(r.number()))
	default: // "%"
		c.num = func(f *Frame) Rat {
			a, b := x(f), y(f)
			switch {
			case !a.IsInt() || !b.IsInt() || a.n < 0 || b.n < 0:
				return f.fail(at, "%s %% %s: both sides must be whole numbers, 0 or more", term(a), term(b))
			case b.n == 0:
				return f.divZero(at, a, "%", b)
			}
			return Int(a.n % b.n)
		}
		return c
	}
}

// comparison compiles any comparison of two numbers, or an == or != comparison of two
// strings or booleans.
func (k *checker) comparison(n *ast.BinaryNode) code {
	op, off := n.Operator, n.Location().From
	equality := op == "==" || op == "!="
	l, r := k.expr(n.Left), k.expr(n.Right)
	c := code{kind: Bool}
	switch {
	case l.kind == broken || r.kind == broken:
		return c
	case l.kind != r.kind:
		d := k.errorf(off, "%q cannot compare %s with %s", op, l.kind, r.kind)
		if equality && (l.kind.list() == r.kind || r.kind.list() == l.kind) {
			d.WithHint("write 'x in list'")
		}
		return c
	case l.kind == NumList || l.kind == StrList:
		k.errorf(off, "%q cannot compare lists", op)
		return c
	case l.kind != Num && !equality:
		k.errorf(off, "%q compares numbers, not %s", op, strings.Replace(l.kind.String(), "a string", "strings", 1))
		return c
	}
	if n == k.syntax.root {
		k.sides = &sides{op, off, l, r}
	}
	switch l.kind {
	case Num:
		x, y := l.num, r.num
		switch op {
		case "==":
			c.cond = func(f *Frame) bool { return x(f) == y(f) }
		case "!=":
			c.cond = func(f *Frame) bool { return x(f) != y(f) }
		case "<":
			c.cond = func(f *Frame) bool { return x(f).Cmp(y(f)) < 0 }
		case "<=":
			c.cond = func(f *Frame) bool { return x(f).Cmp(y(f)) <= 0 }
		case ">":
			c.cond = func(f *Frame) bool { return x(f).Cmp(y(f)) > 0 }
		case ">=":
			c.cond = func(f *Frame) bool { return x(f).Cmp(y(f)) >= 0 }
		}
	case Str:
		x, y, equal := l.str, r.str, op == "=="
		c.cond = func(f *Frame) bool { return (x(f) == y(f)) == equal }
	case Bool:
		x, y, equal := l.cond, r.cond, op == "=="
		c.cond = func(f *Frame) bool { return (x(f) == y(f)) == equal }
	}
	return c
}

// inList compiles the expression "x in list". If list is a literal, the compiled code
// compares x with the elements one by one until one matches, without creating the list.
func (k *checker) inList(n *ast.BinaryNode) code {
	off := n.Location().From
	l := k.expr(n.Left)
	if l.kind != Num && l.kind != Str && l.kind != broken {
		k.errorf(start(n.Left), "%q needs a number or a string, not %s", n.Operator, l.kind)
		l = brokenCode
	}
	c := code{kind: Bool}
	if a, ok := n.Right.(*ast.ArrayNode); ok {
		elems, kind := k.elements(a)
		switch {
		case l.kind == broken || kind == broken:
		case l.kind != kind:
			k.errorf(off, "%q cannot be used to find %s in %s", n.Operator, l.kind, kind.list())
		case kind == Num:
			x := l.num
			c.cond = func(f *Frame) bool {
				v := x(f)
				for i := range elems {
					if elems[i].num(f) == v {
						return true
					}
				}
				return false
			}
		default:
			x := l.str
			c.cond = func(f *Frame) bool {
				v := x(f)
				for i := range elems {
					if elems[i].str(f) == v {
						return true
					}
				}
				return false
			}
		}
		return c
	}
	r := k.expr(n.Right)
	switch {
	case r.kind == broken:
	case r.kind != NumList && r.kind != StrList:
		d := k.errorf(start(n.Right), "%q needs a list, not %s", n.Operator, r.kind)
		if r.kind == Str {
			d.WithHint("write 'text contains part'")
		}
	case l.kind == broken:
	case l.kind.list() != r.kind:
		k.errorf(off, "%q cannot be used to find %s in %s", n.Operator, l.kind, r.kind)
	case l.kind == Num:
		x, list := l.num, r.nums
		c.cond = func(f *Frame) bool { return slices.Contains(list(f), x(f)) }
	default:
		x, list := l.str, r.strs
		c.cond = func(f *Frame) bool { return slices.Contains(list(f), x(f)) }
	}
	return c
}

// conditional compiles c ? a : b and if c { a } else { b }. Only the branch that is taken
// is evaluated.
func (k *checker) conditional(n *ast.ConditionalNode) code {
	cond := k.need(n.Cond, Bool, "the condition")
	if k.decided(cond, true) {
		return k.expr(n.Exp1)
	} else if k.decided(cond, false) {
		return k.expr(n.Exp2)
	}
	test := cond.cond
	x, y := k.expr(n.Exp1), k.expr(n.Exp2)
	c := code{kind: x.kind}
	switch {
	case x.kind == broken:
		return y
	case y.kind == broken:
		return c
	case x.kind != y.kind:
		k.errorf(start(n.Exp2), "one branch is %s, the other %s", x.kind, y.kind)
		return brokenCode
	}
	return choose(test, x, y)
}

// orElse compiles x ?? y, which means given(x) ? x : y. The parser reads a ?? b ?? c as (a
// ?? b) ?? c.
func (k *checker) orElse(x ast.Node, y code, at int) code {
	if b, ok := x.(*ast.BinaryNode); ok && b.Operator == "??" {
		return k.orElse(b.Left, k.orElse(b.Right, y, at), at)
	}
	r, ok := k.askable(x, strconv.Quote("??"))
	switch {
	case !ok:
		return brokenCode
	case y.kind == broken:
		return y
	}
	c := k.identifier(x.(*ast.IdentifierNode))
	if c.kind != y.kind && c.kind != broken {
		k.errorf(at, "%q needs values of the same kind, not %s and %s", "??", c.kind, y.kind)
		return brokenCode
	}
	return choose(func(f *Frame) bool { return f.isSet(r) }, c, y)
}

// choose returns code that evaluates x if the test is true, or else y. Both must have the
// same kind.
func choose(test func(*Frame) bool, x, y code) code {
	c := code{kind: x.kind}
	switch x.kind {
	case Num:
		c.num = func(f *Frame) Rat {
			if test(f) {
				return x.num(f)
			}
			return y.num(f)
		}
	case Str:
		c.str = func(f *Frame) string {
			if test(f) {
				return x.str(f)
			}
			return y.str(f)
		}
	case Bool:
		c.cond = func(f *Frame) bool {
			if test(f) {
				return x.cond(f)
			}
			return y.cond(f)
		}
	case NumList:
		c.nums = func(f *Frame) []Rat {
			if test(f) {
				return x.nums(f)
			}
			return y.nums(f)
		}
	case StrList:
		c.strs = func(f *Frame) []string {
			if test(f) {
				return x.strs(f)
			}
			return y.strs(f)
		}
	}
	return c
}

// elements compiles the elements of a list literal. All elements must have the kind Num,
// or all must have the kind Str.
func (k *checker) elements(n *ast.ArrayNode) ([]code, Kind) {
	if len(n.Nodes) == 0 {
		k.errorf(n.Location().From, "a list must not be empty")
		return nil, broken
	}
	elems, kind := make([]code, len(n.Nodes)), Any
	for i, e := range n.Nodes {
		c := k.expr(e)
		elems[i] = c
		switch {
		case c.kind == broken || kind == broken:
			kind = broken
		case c.kind != Num && c.kind != Str:
			k.errorf(start(e), "lists can contain only numbers or strings, not %s", c.kind)
			kind = broken
		case kind != Any && c.kind != kind:
			k.errorf(start(e), "%s cannot contain %s", kind.list(), c.kind)
			kind = broken
		default:
			kind = c.kind
		}
	}
	return elems, kind
}

// array compiles a list that is used as a value. A list of known values is built only once.
func (k *checker) array(n *ast.ArrayNode) code {
	elems, kind := k.elements(n)
	if kind == broken {
		return brokenCode
	}
	known := Value{Kind: kind.list()}
	for _, e := range elems {
		if e.known == nil {
			break
		}
		switch kind {
		case Num:
			known.Nums = append(known.Nums, e.known.Num)
		case Str:
			known.Strs = append(known.Strs, e.known.Str)
		}
	}
	if len(known.Nums)+len(known.Strs) == len(elems) {
		return constant(known)
	}
	c := code{kind: kind.list()}
	if kind == Num {
		c.nums = func(f *Frame) []Rat {
			list := make([]Rat, len(elems))
			for i := range elems {
				list[i] = elems[i].num(f)
			}
			return list
		}
	} else {
		c.strs = func(f *Frame) []string {
			list := make([]string, len(elems))
			for i := range elems {
				list[i] = elems[i].str(f)
			}
			return list
		}
	}
	return c
}

// member compiles table[key], table.key and list[index].
func (k *checker) member(n *ast.MemberNode) code {
	if id, ok := n.Node.(*ast.IdentifierNode); ok {
		if r, ok := k.p.names[k.unit.means(id.Value)]; ok && k.p.slots[r].class == table {
			if !k.usable(r) {
				return brokenCode
			}
			return k.lookup(&k.p.slots[r], n.Property)
		}
	}
	list := k.expr(n.Node)
	// The parser represents x.y as x["y"]. The text shows which form was used.
	if s, ok := n.Property.(*ast.StringNode); ok && !strings.Contains("\"'`", k.syntax.part(s.Location().From, s.Location().From+1)) {
		if list.kind != broken {
			k.errorf(s.Location().From, "%s has no %q: only tables have keys", list.kind, s.Value)
		}
		return brokenCode
	}
	if list.kind != broken && list.kind != NumList && list.kind != StrList && list.kind != Str {
		k.errorf(n.Location().From, "only lists, strings and tables can be indexed, not %s", list.kind)
		list = brokenCode
	}
	index := k.need(n.Property, Num, "an index")
	if index.kind == broken || list.kind == broken {
		return brokenCode
	}
	i, at := index.num, k.at(start(n.Property))
	if list.kind == NumList {
		return code{kind: Num, num: func(f *Frame) Rat {
			l := list.nums(f)
			if i, ok := f.index(at, i(f), list.kind, len(l)); ok {
				return l[i]
			}
			return Rat{}
		}}
	}
	if list.kind == Str {
		return code{kind: Str, str: func(f *Frame) string {
			l := []rune(list.str(f))
			if i, ok := f.index(at, i(f), list.kind, len(l)); ok {
				return string(l[i])
			}
			return ""
		}}
	}
	return code{kind: Str, str: func(f *Frame) string {
		l := list.strs(f)
		if i, ok := f.index(at, i(f), list.kind, len(l)); ok {
			return l[i]
		}
		return ""
	}}
}

// lookup compiles an expression that reads a table.
func (k *checker) lookup(t *slot, property ast.Node) code {
	off := start(property)
	key := k.need(property, Str, fmt.Sprintf("the key of %s", t.name))
	switch {
	case key.kind == broken:
		return code{kind: t.kind} // the error has been reported, but the kind is still known
	case key.known != nil:
		k.keyed = true
		r, ok := t.elems[key.known.Str]
		if !ok {
			t.suggest(k.errorf(off, noKey, t.name, key.known.Str), key.known.Str)
			return code{kind: t.kind}
		}
		return k.read(r, off)
	}

	// The key is not known yet, so compile code to read each formula in the table.
	elems := make(map[string]*code, len(t.keys))
	for name, r := range t.elems {
		c := k.read(r, off)
		if c.kind != t.kind {
			return code{kind: t.kind} // the error in that formula has been reported
		}
		elems[name] = &c
	}
	find, at := key.str, k.at(off)
	pick := func(f *Frame) (*code, bool) {
		key := find(f)
		c, ok := elems[key]
		if !ok && f.err == nil && t.missing != nil {
			f.err = t.missing(key)
		}
		if !ok && f.err == nil {
			f.err = t.suggest(at.errorf(noKey, t.name, key), key)
		}
		return c, ok
	}
	c := code{kind: t.kind}
	switch t.kind {
	case Num:
		c.num = func(f *Frame) Rat {
			if c, ok := pick(f); ok {
				return c.num(f)
			}
			return Rat{}
		}
	case Str:
		c.str = func(f *Frame) string {
			if c, ok := pick(f); ok {
				return c.str(f)
			}
			return ""
		}
	case Bool:
		c.cond = func(f *Frame) bool {
			c, ok := pick(f)
			return ok && c.cond(f)
		}
	case NumList:
		c.nums = func(f *Frame) []Rat {
			if c, ok := pick(f); ok {
				return c.nums(f)
			}
			return nil
		}
	case StrList:
		c.strs = func(f *Frame) []string {
			if c, ok := pick(f); ok {
				return c.strs(f)
			}
			return nil
		}
	}
	return c
}

// noKey is the error message for a key that a table does not have.
const noKey = "%s has no %q"

// suggest adds the nearest key, and a list of all keys, as hints to a noKey error.
func (t *slot) suggest(d *diag.Diag, key string) *diag.Diag {
	d.About(diag.Unknown, t.name+"["+key+"]").Suggest(key, t.keys)
	return d.WithHint("its keys are %s", strings.Join(t.keys, ", "))
}
