package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"kvbench/engine/formula"
)

// Most values are plainly good: to find that out takes no CUE. The snapshot says
// of each field what it plainly takes, in a few words:
//
//	int LEAST GREATEST   whole numbers between the two
//	text                 any text; text! any but the empty one
//	words A B C          one of these
//	bool                 true or false
//
// A value that is not plainly good is judged by CUE, which words all errors; so
// are all values of users' architectures, of which there is no snapshot.

// plainOf puts what a CUE value takes in these words, or "" where they do not
// say exactly that.
func plainOf(v cue.Value) string {
	if words := choices(v); words != nil {
		if slices.ContainsFunc(words, func(w string) bool { return w == "" || strings.ContainsAny(w, " \t\r\n") }) {
			return ""
		}
		return "words " + strings.Join(words, " ")
	}
	c := anyNumber()
	if !c.add(v) || len(c.matches) > 0 {
		return ""
	}
	switch {
	case c.kind == cue.IntKind && !c.filled:
		return "int " + strconv.FormatInt(c.least, 10) + " " + strconv.FormatInt(c.greatest, 10)
	case c.kind == cue.StringKind && c.filled:
		return "text!"
	case c.kind == cue.StringKind:
		return "text"
	case c.kind == cue.BoolKind && !c.filled:
		return "bool"
	}
	return ""
}

// constraint collects the parts of a conjunction.
type constraint struct {
	kind            cue.Kind
	least, greatest int64
	bounded         bool
	exclusive       bool // a bound was given as one that is not reached
	filled          bool // a text that is not empty
	matches         []*regexp.Regexp
}

func anyNumber() constraint { return constraint{least: -1 << 63, greatest: 1<<63 - 1} }

// takesNumber reports whether a number in JSON's writing is allowed.
func (c *constraint) takesNumber(text string) bool {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err == nil:
		return c.least <= n && n <= c.greatest
	case c.kind == cue.IntKind:
		return !c.bounded && !strings.ContainsAny(text, ".eE")
	}
	f, _ := strconv.ParseFloat(text, 64) // what is too large is infinite
	return !c.bounded || c.covers(f)
}

// covers reports whether a number lies between the bounds. Those of int64 stand
// for none.
func (c *constraint) covers(f float64) bool {
	return (c.least == -1<<63 || f >= float64(c.least)) && (c.greatest == 1<<63-1 || f <= float64(c.greatest))
}

// add adds a part; false means that there are no words for it.
func (c *constraint) add(v cue.Value) bool {
	op, args := v.Expr()
	switch op {
	case cue.AndOp:
		for _, a := range args {
			if !c.add(a) {
				return false
			}
		}
		return true
	case cue.GreaterThanEqualOp, cue.LessThanEqualOp, cue.GreaterThanOp, cue.LessThanOp:
		bound, err := args[0].Int(nil) // Int64 refuses the least of them
		if err != nil || !bound.IsInt64() {
			return false
		}
		c.bounded = true
		c.exclusive = c.exclusive || op == cue.GreaterThanOp || op == cue.LessThanOp
		switch n := bound.Int64(); op {
		case cue.GreaterThanEqualOp:
			c.least = max(c.least, n)
		case cue.GreaterThanOp:
			c.least = max(c.least, n+1)
			return n < 1<<63-1
		case cue.LessThanEqualOp:
			c.greatest = min(c.greatest, n)
		default:
			c.greatest = min(c.greatest, n-1)
			return n > -1<<63
		}
		return true
	case cue.NotEqualOp:
		s, err := args[0].String()
		c.filled = true
		return err == nil && s == ""
	case cue.RegexMatchOp:
		s, err := args[0].String()
		if err != nil {
			return false
		}
		re, err := regexp.Compile(s)
		c.matches = append(c.matches, re)
		return err == nil
	case cue.NoOp:
		kind := v.IncompleteKind()
		if v.IsConcrete() || c.kind != 0 && c.kind != kind || len(args) != 1 {
			return false
		}
		c.kind = kind
		return kind == cue.IntKind || kind == cue.NumberKind || kind == cue.StringKind || kind == cue.BoolKind
	}
	return false
}

// isPlain reports whether a struct asks for nothing but what its fields do: it
// has no hidden fields, no patterns, and is no choice between structs.
func isPlain(v cue.Value) bool {
	if v.IncompleteKind() != cue.StructKind || isChoice(v) || v.LookupPath(cue.MakePath(cue.AnyString)).Exists() {
		return false
	}
	all, err := v.Fields(cue.All())
	if err != nil {
		return false
	}
	for all.Next() {
		if sel := all.Selector(); !sel.IsString() {
			return false
		}
	}
	return true
}

func isChoice(v cue.Value) bool {
	op, args := v.Expr()
	return op == cue.OrOp || op == cue.AndOp && slices.ContainsFunc(args, isChoice)
}

// isPlainly reports whether the document is plainly good: each leaf is one that
// its field plainly takes, and none is missing. takes gives the words for a path.
func (d *document) isPlainly(takes func(path string) string, required []string) bool {
	for _, name := range required {
		if d.leaf(name) == nil {
			return false
		}
	}
	for i := range d.leaves {
		if l := &d.leaves[i]; !plainly(takes(l.path), l.expr) {
			return false
		}
	}
	return true
}

// plainly reports whether a field that takes what the words say takes a literal.
func plainly(words string, expr ast.Expr) bool {
	lit, ok := expr.(*ast.BasicLit)
	if u, isNegative := expr.(*ast.UnaryExpr); isNegative && u.Op == token.SUB {
		lit, ok = u.X.(*ast.BasicLit)
		ok = ok && lit.Kind == token.INT
	}
	if !ok || isLarge(lit) {
		return false
	}
	v, ok := value(expr)
	kind, rest, _ := strings.Cut(words, " ")
	switch {
	case !ok:
		return false
	case kind == "int":
		from, to, _ := strings.Cut(rest, " ")
		least, err1 := strconv.ParseInt(from, 10, 64)
		greatest, err2 := strconv.ParseInt(to, 10, 64)
		n, whole := v.Num.Int64()
		return lit.Kind == token.INT && whole && err1 == nil && err2 == nil && least <= n && n <= greatest
	case kind == "text" || kind == "text!":
		return v.Kind == formula.Str && (kind == "text" || v.Str != "")
	case kind == "words":
		return v.Kind == formula.Str && slices.Contains(strings.Fields(rest), v.Str)
	case kind == "bool":
		return v.Kind == formula.Bool
	}
	return false
}
