package formula

import (
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// numbersFunc compiles a call that parses a string of comma-separated whole numbers. For
// any other string, the result is an empty list, so that conditions can reject the
// string.
func numbersFunc(k *checker, args []ast.Node, _ place, caller string) code {
	x := k.need(args[0], Str, caller).str
	return code{kind: NumList, nums: func(f *Frame) []Rat {
		var list []Rat
		for part := range strings.SplitSeq(x(f), ",") {
			n, err := strconv.ParseUint(part, 10, 32)
			if err != nil {
				return nil
			}
			list = append(list, Int(int64(n)))
		}
		return list
	}}
}

// sumFirstFunc compiles a call that adds up the first n numbers in a list.
func sumFirstFunc(k *checker, args []ast.Node, at place, caller string) code {
	list, count := k.need(args[0], NumList, caller).nums, k.need(args[1], Num, caller).num
	return code{kind: Num, num: func(f *Frame) Rat {
		l, n := list(f), count(f)
		c, ok := n.Int64()
		if !ok || c < 0 || c > int64(len(l)) {
			return f.fail(at, "%s: cannot add up the first %s of %d numbers", caller, n, len(l))
		}
		var sum Rat
		for _, x := range l[:c] {
			v, ok := sum.add(x)
			if !ok {
				return f.overflow(at, sum, "+", x)
			}
			sum = v
		}
		return sum
	}}
}
