package formula

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"kvbench/engine/diag"
)

// Function describes a function of the formula language.
type Function struct {
	Name  string
	Usage string // "ceil(x)"
	Doc   string // one sentence
}

// function is a Function with the code that compiles calls to it. args is the number of
// arguments, or -1 for one or more.
type function struct {
	Function
	args    int
	compile func(k *checker, args []ast.Node, at place, caller string) code
}

// functions contains all functions, keyed by name. init fills it to avoid an
// initialization cycle, because the compile functions refer to it.
var functions map[string]function

func init() {
	functions = map[string]function{}
	add := func(args int, usage, doc string, compile func(*checker, []ast.Node, place, string) code) {
		name, _, _ := strings.Cut(usage, "(")
		functions[name] = function{Function{name, usage, doc}, args, compile}
	}
	add(1, "abs(x)", "The absolute value of x.", absFunc)
	add(1, "ceil(x)", "The smallest whole number not less than x.", roundFunc(Rat.Ceil, Rat.ceilQuo))
	add(2, "ceil_div(a, b)", "a divided by b, rounded up to a whole number.", divFunc(Rat.ceilQuo))
	add(2, "div(a, b)", "a divided by b, rounded down to a whole number.", divFunc(Rat.floorQuo))
	add(2, "doubled(a, b)", "The largest of a, 2a, 4a, ... that is at most b, or a if 2a is greater than b.", binaryFunc(doubled, func(a, _ Rat) string {
		if a.n <= 0 {
			return "the first argument must be greater than 0"
		}
		return ""
	}))
	add(1, "floor(x)", "The largest whole number not greater than x.", roundFunc(Rat.Floor, Rat.floorQuo))
	add(2, "gcd(a, b)", "The greatest common divisor of two whole numbers; never negative.", wholeFunc(func(a, b Rat) (Rat, bool) {
		return pack(false, gcd(magnitude(a.n), magnitude(b.n)), 1)
	}))
	add(1, "given(name)", "Whether an optional parameter or field is set.", givenFunc)
	add(1, "is_ip(s)", "Whether a string is a numeric IPv4 or IPv6 address.", isIPFunc)
	add(2, "lcm(a, b)", "The least common multiple of two whole numbers; never negative, and 0 if either number is 0.", wholeFunc(func(a, b Rat) (Rat, bool) {
		x, y := magnitude(a.n), magnitude(b.n)
		if x == 0 || y == 0 {
			return Rat{}, true
		}
		return mulFrac(false, x/gcd(x, y), 1, y, 1)
	}))
	add(1, "len(x)", "The number of elements in a list, or of characters in a string.", lenFunc)
	add(-1, "max(x, ...)", "The largest of its arguments, or the largest number in a non-empty list.", foldFunc(func(a, b Rat) (Rat, bool) {
		if a.Cmp(b) < 0 {
			return b, true
		}
		return a, true
	}, false))
	add(-1, "min(x, ...)", "The smallest of its arguments, or the smallest number in a non-empty list.", foldFunc(func(a, b Rat) (Rat, bool) {
		if a.Cmp(b) > 0 {
			return b, true
		}
		return a, true
	}, false))
	add(1, "numbers(s)", "A list of the comma-separated whole numbers in a string; empty if the string contains anything else.", numbersFunc)
	add(2, "split(s, sep)", "A list of the parts of a string that are separated by sep.", splitFunc)
	add(1, "sum(list)", "The sum of the numbers in a list; 0 if the list is empty.", foldFunc(Rat.add, true))
	add(2, "sum_first(list, n)", "The sum of the first n numbers in a list.", sumFirstFunc)
}

// Functions returns the functions that formulas can call, sorted by name.
func Functions() []Function {
	var list []Function
	for _, f := range functions {
		list = append(list, f.Function)
	}
	slices.SortFunc(list, func(a, b Function) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// known returns the function with the given name, or reports an error if there is
// none.
func (k *checker) known(name string, off int) (function, bool) {
	fn, ok := functions[name]
	if !ok {
		if slices.Contains(k.names(), name) {
			k.errorf(off, "%q is not a function", name)
			return fn, false
		}
		d := k.errorf(off, "unknown function %q", name).About(diag.Unknown, name+"()")
		switch strings.ToLower(name) {
		case "round", "round_up", "round_down", "roundup", "rounddown", "int", "int64", "float", "trunc", "ceiling", "floor_div", "floordiv":
			d.WithHint("use floor(), ceil() or div()")
		default:
			d.Suggest(name, slices.Sorted(maps.Keys(functions)))
		}
	}
	return fn, ok
}

// call compiles a function call.
func (k *checker) call(name string, args []ast.Node, off int) code {
	fn, ok := k.known(name, off)
	if !ok {
		return brokenCode
	}
	switch {
	case fn.args >= 0 && len(args) != fn.args:
		k.errorf(off, "%s() takes %s, not %d", name, plural(fn.args, "argument", "arguments"), len(args)).WithHint("write %s", fn.Usage)
		return brokenCode
	case fn.args < 0 && len(args) == 0:
		k.errorf(off, "%s() takes at least one argument", name).WithHint("write %s", fn.Usage)
		return brokenCode
	}
	return fn.compile(k, args, k.at(off), name+"()")
}

func absFunc(k *checker, args []ast.Node, at place, caller string) code {
	x := k.need(args[0], Num, caller).num
	return code{kind: Num, num: func(f *Frame) Rat {
		a := x(f)
		if a.n >= 0 {
			return a
		}
		if v, ok := a.neg(); ok {
			return v
		}
		return f.fail(at, "abs(%s) does not fit in 64 bits", a)
	}}
}

// roundFunc compiles floor or ceil. For a quotient of whole numbers, which is
// the most common case, it does not create a reduced fraction, because
// computing the gcd costs more than everything else.
func roundFunc(round func(Rat) Rat, quotient func(a, b Rat) (Rat, bool)) func(*checker, []ast.Node, place, string) code {
	return func(k *checker, args []ast.Node, _ place, caller string) code {
		n, ok := args[0].(*ast.BinaryNode)
		if !ok || n.Operator != "/" {
			x := k.need(args[0], Num, caller).num
			return code{kind: Num, num: func(f *Frame) Rat { return round(x(f)) }}
		}
		x, y := k.need(n.Left, Num, `"/"`).num, k.need(n.Right, Num, `"/"`).num
		at := k.at(n.Location().From)
		return code{kind: Num, num: func(f *Frame) Rat {
			a, b := x(f), y(f)
			if a.d|b.d == 0 && b.n > 0 {
				v, _ := quotient(a, b)
				return v
			}
			return round(f.quo(at, a, b))
		}}
	}
}

// binaryFunc compiles a function of two numbers. check describes what is wrong with the
// numbers, or returns "" if they are valid.
func binaryFunc(op func(a, b Rat) (Rat, bool), check func(a, b Rat) (wrong string)) func(*checker, []ast.Node, place, string) code {
	return func(k *checker, args []ast.Node, at place, caller string) code {
		x, y := k.need(args[0], Num, caller).num, k.need(args[1], Num, caller).num
		name := strings.TrimSuffix(caller, "()")
		return code{kind: Num, num: func(f *Frame) Rat {
			a, b := x(f), y(f)
			if wrong := check(a, b); wrong != "" {
				return f.fail(at, "%s(%s, %s): %s", name, a, b, wrong)
			}
			if v, ok := op(a, b); ok {
				return v
			}
			return f.fail(at, "%s(%s, %s) does not fit in 64 bits", name, a, b)
		}}
	}
}

// doubled returns the largest of a, 2a, 4a, ... that is at most b, or a if 2a is greater
// than b.
func doubled(a, b Rat) (Rat, bool) {
	for {
		next, ok := a.add(a)
		if !ok || next.Cmp(b) > 0 {
			return a, true
		}
		a = next
	}
}

func divFunc(op func(a, b Rat) (Rat, bool)) func(*checker, []ast.Node, place, string) code {
	return binaryFunc(op, func(_, b Rat) string {
		if b.n == 0 {
			return "division by zero"
		}
		return ""
	})
}

func wholeFunc(op func(a, b Rat) (Rat, bool)) func(*checker, []ast.Node, place, string) code {
	return binaryFunc(op, func(a, b Rat) string {
		if !a.IsInt() || !b.IsInt() {
			return "both arguments must be whole numbers"
		}
		return ""
	})
}

// foldFunc compiles a function that combines numbers into one by applying op repeatedly.
// The numbers are the function's arguments, or the elements of a single list. If sum is
// set, the argument must be a list, and the result for an empty list is 0.
func foldFunc(op func(a, b Rat) (Rat, bool), sum bool) func(*checker, []ast.Node, place, string) code {
	return func(k *checker, args []ast.Node, at place, caller string) code {
		step := func(f *Frame, a, b Rat) Rat {
			v, ok := op(a, b)
			if !ok {
				return f.overflow(at, a, "+", b) // only sums can overflow
			}
			return v
		}
		if len(args) == 1 {
			// The elements of a list literal are handled like arguments.
			array, ok := args[0].(*ast.ArrayNode)
			if !ok {
				return foldList(k, args[0], at, caller, step, sum)
			}
			args = array.Nodes
			if len(args) == 0 {
				_, kind := k.elements(array) // reports the error
				return code{kind: kind}
			}
		}
		nums := make([]func(*Frame) Rat, len(args))
		for i, a := range args {
			nums[i] = k.need(a, Num, caller).num
		}
		if len(nums) == 2 {
			x, y := nums[0], nums[1]
			return code{kind: Num, num: func(f *Frame) Rat { return step(f, x(f), y(f)) }}
		}
		return code{kind: Num, num: func(f *Frame) Rat {
			v := nums[0](f)
			for _, x := range nums[1:] {
				v = step(f, v, x(f))
			}
			return v
		}}
	}
}

func foldList(k *checker, arg ast.Node, at place, caller string, step func(*Frame, Rat, Rat) Rat, sum bool) code {
	list := k.expr(arg)
	switch {
	case list.kind == broken:
		return code{kind: Num}
	case list.kind == Num && !sum:
		return list
	case list.kind != NumList:
		what := "numbers or a list of numbers"
		if sum {
			what = "a list of numbers"
		}
		k.errorf(start(arg), "%s needs %s, not %s", caller, what, list.kind)
		return code{kind: Num}
	}
	return code{kind: Num, num: func(f *Frame) Rat {
		l := list.nums(f)
		if len(l) == 0 {
			if !sum {
				f.fail(at, "%s needs a non-empty list", caller)
			}
			return Rat{}
		}
		v := l[0]
		for _, x := range l[1:] {
			v = step(f, v, x)
		}
		return v
	}}
}

func lenFunc(k *checker, args []ast.Node, _ place, caller string) code {
	x := k.expr(args[0])
	c := code{kind: Num}
	switch x.kind {
	case Str:
		c.num = func(f *Frame) Rat { return Int(int64(utf8.RuneCountInString(x.str(f)))) }
	case NumList:
		c.num = func(f *Frame) Rat { return Int(int64(len(x.nums(f)))) }
	case StrList:
		c.num = func(f *Frame) Rat { return Int(int64(len(x.strs(f)))) }
	case broken:
	default:
		k.errorf(start(args[0]), "%s needs a list or a string, not %s", caller, x.kind)
	}
	return c
}

func splitFunc(k *checker, args []ast.Node, at place, caller string) code {
	x, sep := k.need(args[0], Str, caller).str, k.need(args[1], Str, caller).str
	return code{kind: StrList, strs: func(f *Frame) []string {
		s, sep := x(f), sep(f)
		if sep == "" {
			f.fail(at, "%s needs a separator", fmt.Sprint(caller))
			return nil
		}
		return strings.Split(s, sep)
	}}
}

func isIPFunc(k *checker, args []ast.Node, _ place, caller string) code {
	x := k.need(args[0], Str, caller).str
	return code{kind: Bool, cond: func(f *Frame) bool {
		_, err := netip.ParseAddr(x(f))
		return err == nil
	}}
}

// givenFunc compiles a test of whether an input has a value.
func givenFunc(k *checker, args []ast.Node, _ place, caller string) code {
	r, ok := k.askable(args[0], caller)
	if !ok {
		return brokenCode
	}
	if k.partial {
		return constant(Truth(!k.p.slots[r].lacks))
	}
	return code{kind: Bool, cond: func(f *Frame) bool { return f.isSet(r) }}
}

// canBeAsked reports whether formulas can test whether the slot's value is set.
func (s *slot) canBeAsked() bool { return s.class == input || s.class == preset || s.given }

// askable returns the input that n refers to. caller is the name of the function or
// operator that tests whether the input is set, for error messages.
func (k *checker) askable(n ast.Node, caller string) (Ref, bool) {
	id, ok := n.(*ast.IdentifierNode)
	if !ok {
		k.errorf(start(n), "%s needs a name", caller)
		return 0, false
	}
	r, ok := k.p.names[k.unit.means(id.Value)]
	if !ok {
		k.identifier(id) // reports the error
		return 0, false
	}
	k.asks = true
	if !k.p.slots[r].canBeAsked() && !k.partial {
		k.errorf(start(id), "%s tests whether an input is set, but %s is computed", caller, id.Value)
		return 0, false
	}
	if k.frame != nil && k.frame.space.Varies(r) {
		k.noteRead(r)
	}
	return r, true
}
