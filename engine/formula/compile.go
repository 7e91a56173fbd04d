package formula

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser/utils"

	"kvbench/engine/diag"
)

// reserved lists the words of the formula language that cannot be used as names.
var reserved = strings.Fields("and contains else endsWith false if in let matches nil not or startsWith true")

// compiler turns declarations into a program.
type compiler struct {
	p    *Program
	errs map[Ref][]*diag.Diag
	// For each slot:
	parsed []*parsed // the syntax of the formulas that were parsed without errors
	wants  []Kind
	state  []uint8
	path   []Ref // slots being compiled, each of which depends on the next
	// find is the argument of [Scope.Partial], or nil for a complete program.
	find   func(name string) (Kind, bool)
	spares *spares // nil if there are none
}

// The states of a slot.
const (
	unseen uint8 = iota
	open         // the slot is on the current path
	done
)

func newCompiler(names, slots int) *compiler {
	return &compiler{
		p:      &Program{names: make(map[string]Ref, names), slots: make([]slot, 0, slots), order: make([]Ref, 0, slots)},
		errs:   map[Ref][]*diag.Diag{},
		parsed: make([]*parsed, 0, slots),
		wants:  make([]Kind, 0, slots),
		state:  make([]uint8, 0, slots),
	}
}

// CheckName returns an error if formulas cannot refer to a name.
func CheckName(name string, pos diag.Pos) error {
	if utils.IsValidIdentifier(name) && !slices.Contains(reserved, name) {
		return nil
	}
	err := diag.Errorf(pos, "%q cannot be used as a name in formulas", name)
	if !slices.Contains(reserved, name) {
		err.WithHint("use letters, digits and _")
	}
	return err
}

// declare adds the slots for a declaration, or returns an error that says why it cannot.
func (c *compiler) declare(d *decl) error {
	if r, ok := c.lookup(d.name); ok {
		msg := fmt.Sprintf("%q is already declared by kvbench", d.name)
		if first := c.p.slots[r].src.Pos; !first.IsZero() {
			msg = fmt.Sprintf("%q is declared twice; first at %s", d.name, first)
		}
		return diag.Errorf(d.src.Pos, "%s", msg).WithHint("names must be unique: choose another")
	}
	if d.class != derived || d.given {
		if err := CheckName(d.name, d.src.Pos); err != nil {
			return err
		}
	}
	if d.want > StrList || d.want == Any && (d.class == input || d.class == preset) {
		return diag.Errorf(d.src.Pos, "%q has no known kind", d.name)
	}
	if d.table == nil {
		c.declareOne(d)
		return nil
	}
	keys, units := d.table.keys, d.table.units
	if len(keys) != len(units) {
		return diag.Errorf(d.src.Pos, "table %q has %s and %s", d.name,
			plural(len(keys), "key", "keys"), plural(len(units), "formula", "formulas"))
	}
	if len(keys) == 0 && d.want == Any && d.class == table {
		return diag.Errorf(d.src.Pos, "table %q is empty", d.name)
	}
	elems := make(map[string]Ref, len(keys))
	r := c.add(slot{unit: &d.unit, class: d.class, entries: &entries{keys, elems, d.table.missing}}, d.want)
	c.p.names[d.name] = r
	uses := make([]Ref, 0, len(keys))
	for i, key := range keys {
		if _, ok := elems[key]; ok {
			return diag.Errorf(units[i].src.Pos, "table %q has the key %q twice", d.name, key)
		}
		elems[key] = c.add(slot{unit: &units[i], class: derived, inner: true}, d.want)
		uses = append(uses, elems[key])
	}
	c.p.slots[r].uses = uses
	return nil
}

func (c *compiler) declareOne(d *decl) Ref {
	r := c.add(slot{unit: &d.unit, class: d.class, def: d.def, given: d.given}, d.want)
	c.p.names[d.name] = r
	return r
}

// lookup finds the slot for a name. If it is one of the spare names, lookup first declares it.
func (c *compiler) lookup(name string) (Ref, bool) {
	if r, ok := c.p.names[name]; ok || c.spares == nil {
		return r, ok
	}
	var found Scope
	c.spares.declare(&found, name)
	if found.IsEmpty() {
		return 0, false
	}
	r := c.declareOne(&found.decls[0])
	return r, true
}

func (c *compiler) add(s slot, want Kind) Ref {
	r := Ref(len(c.p.slots))
	// Until a formula is compiled, its kind is the declared kind, or broken if no kind is
	// declared. If formulas depend on each other in a cycle, this kind is used for one of them.
	if s.kind = want; want == Any {
		s.kind = broken
	}
	c.p.slots = append(c.p.slots, s)
	c.parsed, c.wants, c.state = append(c.parsed, nil), append(c.wants, want), append(c.state, unseen)
	return r
}

// parse finds the slots that each formula uses. If this declares spare names, it also finds
// the slots that their formulas use.
func (c *compiler) parse() {
	for r := 0; r < len(c.p.slots); r++ {
		c.parseSlot(Ref(r))
	}
}

// parseSlot finds the slots that a slot's formula uses, if the slot has one. It parses the
// formula unless the formula's facts list these slots.
func (c *compiler) parseSlot(r Ref) {
	if c.p.slots[r].class != derived || c.find == nil && c.usesByFacts(r) {
		return
	}
	p := c.syntax(r)
	if p == nil {
		return
	}
	unit := c.p.slots[r].unit
	for _, n := range p.names {
		u, ok := c.lookup(unit.means(n.name))
		if !ok && c.find != nil {
			u, ok = c.found(unit.means(n.name)), true
		}
		if ok {
			c.p.slots[r].uses = append(c.p.slots[r].uses, u)
		}
	}
}

// syntax returns the syntax of a slot's formula, or nil after reporting its errors.
func (c *compiler) syntax(r Ref) *parsed {
	if c.parsed[r] == nil && len(c.errs[r]) == 0 {
		p, errs := c.p.slots[r].unit.parse()
		if c.parsed[r] = p; len(errs) > 0 {
			c.errs[r] = errs
		}
	}
	return c.parsed[r]
}

// visit compiles a slot after the slots that it uses.
func (c *compiler) visit(r Ref) {
	if c.state[r] != unseen {
		return
	}
	c.state[r] = open
	c.p.slots[r].lacks = c.find != nil // true until bind sets it, so that a formula that depends on itself has no value
	c.path = append(c.path, r)
	for _, u := range c.p.slots[r].uses {
		if c.state[u] == open && c.find == nil {
			c.cycle(u)
		}
		c.visit(u)
	}
	c.path = c.path[:len(c.path)-1]
	c.p.order = append(c.p.order, r)
	c.state[r] = done
	if c.find == nil {
		c.compile(r)
	} else {
		c.bind(r)
	}
	if s := &c.p.slots[r]; s.kind <= StrList {
		s.index = c.p.count[s.kind]
		c.p.count[s.kind]++
	}
}

// cycle reports that the slots on the path from r depend on each other.
func (c *compiler) cycle(r Ref) {
	loop := slices.Clone(c.path[slices.Index(c.path, r):])
	// Omit tables, because the cycle also contains their formulas. Begin with the slot
	// that was declared first, regardless of where the search started.
	loop = slices.DeleteFunc(loop, func(r Ref) bool { return c.p.slots[r].class == table })
	first := slices.Index(loop, slices.Min(loop))
	loop = append(loop[first:], loop[:first]...)
	names := make([]string, 0, len(loop)+1)
	for _, l := range append(loop, loop[0]) {
		names = append(names, c.p.slots[l].name)
	}
	// Point to where the first formula refers to the second formula or to the table that
	// contains it.
	next, off := c.p.slots[loop[1%len(loop)]], 0
	for _, n := range c.syntax(loop[0]).names {
		name := c.p.slots[loop[0]].means(n.name)
		if name == next.name || next.inner && strings.HasPrefix(next.name, name+".") {
			off = n.off
			break
		}
	}
	c.report(loop[0], place{c.p.slots[loop[0]].unit, off}.errorf("depends on itself: %s", strings.Join(names, " -> ")))
}

func (c *compiler) report(r Ref, d *diag.Diag) { c.errs[r] = append(c.errs[r], d) }

// compile determines the kind and the code of a slot. The slots that it uses must already
// be compiled.
func (c *compiler) compile(r Ref) {
	s := &c.p.slots[r]
	want := c.wants[r]
	switch {
	case s.class == table:
		for _, u := range s.uses {
			if s.kind == broken {
				s.kind = c.p.slots[u].kind
			}
		}
		for _, u := range s.uses {
			e := &c.p.slots[u]
			if want == Any && e.kind != broken && e.kind != s.kind {
				c.report(u, place{e.unit, 0}.errorf("yields %s, but another formula of %s yields %s", e.kind, s.name, s.kind))
			}
		}
	case s.late && c.p.holds(s, want):
		s.kind = s.src.Facts.kind()
	case s.class == derived && c.syntax(r) != nil:
		k := &checker{p: c.p, unit: s.unit, syntax: c.parsed[r], spares: c.spares, partial: c.find != nil}
		s.late, s.body = false, k.body()
		switch kind := s.body.code.kind; {
		case want == Any:
			s.kind = kind
		case kind != broken && kind != want:
			k.errorf(start(k.syntax.root), "yields %s, not %s", kind, want)
		}
		c.fail(r, k.wrong)
		if len(k.lacking) > 0 {
			c.p.lacking[r] = k.lacking
		}
		slices.SortStableFunc(k.errs, func(a, b *fault) int { return cmp.Compare(a.off, b.off) })
		for _, e := range k.errs {
			c.report(r, e.diag)
		}
	}
}

// body is a compiled formula.
type body struct {
	code
	sides *sides
	err   *diag.Diag // why the formula cannot be evaluated
}

// body compiles the formula.
func (k *checker) body() *body {
	c := k.expr(k.syntax.root)
	return &body{code: c, sides: k.sides}
}

// code is a compiled expression. Only the function for its kind is set. Once the frame
// has an error, functions return zero values. They never panic if their operands are zero
// values.
type code struct {
	kind Kind
	num  func(*Frame) Rat
	str  func(*Frame) string
	cond func(*Frame) bool
	nums func(*Frame) []Rat
	strs func(*Frame) []string

	// known is the value if it was computed at compile time, or nil.
	known *Value
}

// number returns the number if it is known at compile time, or 0.
func (c *code) number() Rat {
	if c.known == nil {
		return Rat{}
	}
	return c.known.Num
}

var brokenCode = code{kind: broken}

// sides contains the operator and the operands of a formula that consists of a single
// comparison.
type sides struct {
	op          string
	off         int // the offset of the operator
	left, right code
}

// fault is an error at an offset in the text.
type fault struct {
	off  int
	diag *diag.Diag
}

// checker compiles one formula and collects its errors. To report each mistake only once,
// its methods return brokenCode for expressions whose error they have reported.
type checker struct {
	p      *Program
	unit   *unit
	syntax *parsed
	spares *spares // for messages
	errs   []*fault
	sides  *sides

	// Used to compile a formula for a frame in a space; see special.go. live counts the
	// reads of values that vary, and varying is a bit set of the varying inputs that
	// these values depend on.
	frame   *Frame
	live    int
	varying []uint64

	// Used by [Program.facts]. keyed is true if the formula selects a fixed entry of a
	// table, and asks is true if it tests whether a name is set.
	keyed, asks bool

	// Used to compile a partial program; see [Scope.Partial].
	partial bool
	lacking []string   // the names that the formula reads but that have no value
	wrong   *diag.Diag // the first error in another formula that this formula reads
}

func (k *checker) at(off int) place { return place{k.unit, off} }

func (k *checker) errorf(off int, format string, args ...any) *diag.Diag {
	d := k.at(off).errorf(format, args...)
	// The parser may use a node in two places. Such a node is checked twice, but its
	// errors must be reported only once.
	for _, e := range k.errs {
		if e.off == off && e.diag.Msg == d.Msg {
			return d
		}
	}
	k.errs = append(k.errs, &fault{off, d})
	return d
}

// need compiles an operand that must have the given kind. caller names the
// operator or function that needs the operand, for error messages.
func (k *checker) need(n ast.Node, kind Kind, caller string) code {
	c := k.expr(n)
	if c.kind != kind && c.kind != broken {
		k.errorf(start(n), "%s needs %s, not %s", caller, kind, c.kind)
		return brokenCode
	}
	return c
}

// expr compiles an expression. When compiling for a frame in a space, it evaluates an
// expression that reads no varying values.
func (k *checker) expr(n ast.Node) code {
	if k.frame == nil {
		return k.node(n)
	}
	before := k.live
	c := k.node(n)
	if k.live > before {
		return c
	}
	return k.evaluated(c)
}

func (k *checker) node(n ast.Node) code {
	off := n.Location().From
	switch n := n.(type) {
	case *ast.IntegerNode:
		return constant(Value{Kind: Num, Num: Int(int64(n.Value))})
	case *ast.FloatNode:
		loc := n.Location()
		v, err := parseNumber(k.syntax.part(loc.From, loc.To))
		if err != nil { // cannot happen, because scan rejects such numbers
			k.errorf(off, "%v", err)
		}
		return constant(Value{Kind: Num, Num: v})
	case *ast.StringNode:
		return constant(Value{Kind: Str, Str: n.Value})
	case *ast.BoolNode:
		return constant(Value{Kind: Bool, Bool: n.Value})
	case *ast.IdentifierNode:
		return k.identifier(n)
	case *ast.UnaryNode:
		return k.unary(n)
	case *ast.BinaryNode:
		return k.binary(n)
	case *ast.ConditionalNode:
		return k.conditional(n)
	case *ast.MemberNode:
		return k.member(n)
	case *ast.ArrayNode:
		return k.array(n)
	case *ast.BuiltinNode:
		return k.call(n.Name, n.Arguments, off)
	case *ast.CallNode:
		if id, ok := n.Callee.(*ast.IdentifierNode); ok {
			return k.call(id.Value, n.Arguments, off)
		}
		k.errorf(off, "only functions can be called")
	case *ast.SliceNode:
		k.errorf(off, "slices are not supported in formulas")
	case *ast.MapNode:
		k.errorf(off, "maps are not supported in formulas")
	default:
		k.errorf(off, "this expression is not supported in formulas")
	}
	return brokenCode
}

// constant returns the code for a known value.
func constant(v Value) code {
	c := code{kind: v.Kind, known: &v}
	switch v.Kind {
	case Num:
		c.num = func(*Frame) Rat { return v.Num }
	case Str:
		c.str = func(*Frame) string { return v.Str }
	case Bool:
		c.cond = func(*Frame) bool { return v.Bool }
	case NumList:
		c.nums = func(*Frame) []Rat { return v.Nums }
	case StrList:
		c.strs = func(*Frame) []string { return v.Strs }
	}
	return c
}

func (k *checker) identifier(n *ast.IdentifierNode) code {
	off := n.Location().From
	r, ok := k.p.names[k.unit.means(n.Value)]
	if !ok {
		d := k.errorf(off, "unknown name %q", n.Value).About(diag.Unknown, n.Value)
		if _, ok := functions[n.Value]; ok {
			d.WithHint("%s is a function: write %s", n.Value, functions[n.Value].Usage)
		} else {
			d.Suggest(n.Value, k.names())
		}
		return brokenCode
	}
	if !k.usable(r) {
		return brokenCode
	}
	if k.p.slots[r].class == table {
		k.errorf(off, "%q is a table", n.Value).WithHint("write %s[key]", n.Value)
		return brokenCode
	}
	return k.read(r, off)
}

// names returns a sorted list of the names that formulas can refer to.
func (k *checker) names() []string {
	var names []string
	for name := range k.p.names {
		if utils.IsValidIdentifier(name) {
			names = append(names, name)
		}
	}
	if k.spares != nil {
		names = append(names, k.spares.names()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// read returns the code that reads the slot of a name. off is the offset of the name in
// the text.
func (k *checker) read(r Ref, off int) code {
	at := k.at(off)
	if k.frame != nil {
		if c, ok := k.constant(r, at); ok {
			return c
		}
		r = k.follow(r)
		if c, ok := k.constant(r, at); ok {
			return c
		}
		k.noteRead(r)
	}
	return k.reading(r, at)
}

func (k *checker) reading(r Ref, at place) code {
	s, i := &k.p.slots[r], int32(r)
	c := code{kind: s.kind}
	switch s.kind {
	case Num:
		c.num = func(f *Frame) Rat {
			if c := f.at[i]; c.seen == f.epoch {
				return c.num
			}
			if f.fill(i, at) {
				return f.at[i].num
			}
			return Rat{}
		}
	case Str:
		c.str = func(f *Frame) string {
			if f.at[i].seen == f.epoch || f.fill(i, at) {
				return f.all.strs[f.at[i].index]
			}
			return ""
		}
	case Bool:
		c.cond = func(f *Frame) bool {
			if c := f.at[i]; c.seen == f.epoch {
				return c.cond
			}
			return f.fill(i, at) && f.at[i].cond
		}
	case NumList:
		c.nums = func(f *Frame) []Rat {
			if f.at[i].seen == f.epoch || f.fill(i, at) {
				return f.all.numLists[f.at[i].index]
			}
			return nil
		}
	case StrList:
		c.strs = func(f *Frame) []string {
			if f.at[i].seen == f.epoch || f.fill(i, at) {
				return f.all.strLists[f.at[i].index]
			}
			return nil
		}
	default:
		return brokenCode
	}
	return c
}

func (k *checker) unary(n *ast.UnaryNode) code {
	at := k.at(n.Location().From)
	caller := fmt.Sprintf("%q", n.Operator)
	switch n.Operator {
	case "not", "!":
		x := k.need(n.Node, Bool, caller)
		if x.known != nil && x.kind == Bool {
			return constant(Truth(!x.known.Bool))
		}
		return code{kind: Bool, cond: func(f *Frame) bool { return !x.cond(f) }}
	case "-":
		x := k.need(n.Node, Num, caller)
		if v, ok := x.number().neg(); x.known != nil && ok {
			return constant(Value{Kind: Num, Num: v})
		}
		return code{kind: Num, num: func(f *Frame) Rat {
			v := x.num(f)
			if v, ok := v.neg(); ok {
				return v
			}
			return f.fail(at, "-(%s) does not fit in 64 bits", v)
		}}
	case "+":
		return k.need(n.Node, Num, caller)
	}
	k.errorf(at.off, "%s is not supported in formulas", caller)
	return brokenCode
}
