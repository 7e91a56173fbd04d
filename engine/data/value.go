// Package data reads data files. It is the only package that converts YAML, JSON and CUE
// to values. Each value contains its position in the file.
package data

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// Kind is the kind of a value as its author wrote it.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Bool
	Whole   // a number without a point, such as 8
	Decimal // a number with a point or an exponent
	Text
	List
	Mapping
	Other // not a data value
)

// Value is a value in a file.
type Value struct {
	Kind Kind
	// Text is the content of a string. For true, false and numbers, it is the text in the
	// file.
	Text   string
	Items  []Value // the items of a list
	Fields []Field // the fields of a mapping, in file order
	Pos    diag.Pos

	num  formula.Rat
	fits bool // whether num is exactly the number in Text
}

// Field is a value in a mapping.
type Field struct {
	Name string
	Key  diag.Pos // the position of the name
	Value
}

// Of returns the [Value] for an expression in a file.
func Of(file string, expr ast.Expr) Value {
	if expr == nil {
		return Value{Kind: Other}
	}
	v := Value{Kind: Other, Pos: place(file, expr)}
	switch x := expr.(type) {
	case *ast.BasicLit:
		v.literal(x)
	case *ast.UnaryExpr:
		inner := Of(file, x.X)
		v.Text = x.Op.String() + inner.String()
		if inner.isNumber() && x.Op == token.SUB {
			v.Kind = inner.Kind
			v.num, v.fits = number("-" + inner.Text)
		}
	case *ast.ListLit:
		v.Kind = List
		v.Items = make([]Value, 0, len(x.Elts))
		for _, e := range x.Elts {
			v.Items = append(v.Items, Of(file, e))
		}
	case *ast.StructLit:
		v.Kind = Mapping
		for _, elt := range x.Elts {
			f, ok := elt.(*ast.Field)
			if !ok {
				continue // comments
			}
			if name, _, err := ast.LabelName(f.Label); err == nil {
				v.Fields = append(v.Fields, Field{name, place(file, f.Label), Of(file, f.Value)})
			}
		}
	}
	return v
}

// place returns the position of a node. If the node has no position, place returns only
// the name of the file.
func place(file string, n ast.Node) diag.Pos {
	p := n.Pos()
	if !p.IsValid() {
		return diag.Pos{File: file}
	}
	pos := p.Position()
	if pos.Filename != "" {
		file = pos.Filename
	}
	return diag.Pos{File: file, Line: pos.Line, Col: pos.Column}
}

// largePrefix is the prefix that the YAML decoder adds to whole numbers that it considers
// large.
const largePrefix = "number & "

func (v *Value) literal(x *ast.BasicLit) {
	v.Text = strings.TrimPrefix(x.Value, largePrefix)
	switch x.Kind {
	case token.INT, token.FLOAT:
		v.Kind = Decimal
		if x.Kind == token.INT || v.Text != x.Value {
			v.Kind = Whole
		}
		v.num, v.fits = number(v.Text)
	case token.STRING:
		if s, err := literal.Unquote(x.Value); err == nil {
			v.Kind, v.Text = Text, s
		}
	case token.TRUE, token.FALSE:
		v.Kind = Bool
	case token.NULL:
		v.Kind = Null
	}
}

// Number parses a number in CUE syntax.
func Number(text string) (Value, bool) {
	if n, ok := plainNumber(text); ok {
		return Value{Kind: Whole, Text: text, num: n, fits: true}, true
	}
	expr, err := parser.ParseExpr("", text)
	if err != nil {
		return Value{}, false
	}
	v := Of("", expr)
	v.Pos = diag.Pos{}
	return v, v.isNumber()
}

// number parses a literal exactly. ok is false if the number is not a fraction of two
// 64-bit integers.
func number(text string) (n formula.Rat, ok bool) {
	if n, ok := plainNumber(text); ok {
		return n, true
	}
	var info literal.NumInfo
	digits, negative := strings.CutPrefix(text, "-")
	if err := literal.ParseNum(digits, &info); err != nil {
		return n, false
	}
	// Do not compute numbers with huge exponents, because they would not fit anyway.
	if i := strings.IndexAny(digits, "eE"); i >= 0 && len(digits)-i > 4 {
		return n, false
	}
	r, ok := new(big.Rat).SetString(info.String())
	if !ok {
		return n, false
	}
	if negative {
		r.Neg(r)
	}
	if !r.Num().IsInt64() || !r.Denom().IsInt64() {
		return n, false
	}
	n, err := formula.Frac(r.Num().Int64(), r.Denom().Int64())
	return n, err == nil
}

// plainNumber parses a whole number that consists only of digits, as most numbers do.
func plainNumber(text string) (formula.Rat, bool) {
	if len(text) > 18 || text != "0" && strings.HasPrefix(text, "0") || strings.Trim(text, "0123456789") != "" {
		return formula.Rat{}, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return formula.Int(n), err == nil
}

// From converts a formula's value to the value that a file would contain.
func From(f formula.Value) Value {
	switch f.Kind {
	case formula.Num:
		v := Value{Kind: Whole, Text: f.Num.String(), num: f.Num, fits: true}
		if !f.Num.IsInt() {
			v.Kind = Decimal
			v.Text = strings.TrimRight(new(big.Rat).SetFrac64(f.Num.Num(), f.Num.Den()).FloatString(6), "0")
		}
		return v
	case formula.Bool:
		return Value{Kind: Bool, Text: strconv.FormatBool(f.Bool)}
	case formula.NumList, formula.StrList:
		v := Value{Kind: List, Items: []Value{}}
		for _, n := range f.Nums {
			v.Items = append(v.Items, From(formula.Value{Kind: formula.Num, Num: n}))
		}
		for _, s := range f.Strs {
			v.Items = append(v.Items, From(formula.Text(s)))
		}
		return v
	}
	return Value{Kind: Text, Text: f.Str}
}

// Formula converts the value for use in formulas. ok is false if formulas cannot read the
// value, such as a list that contains both numbers and strings.
func (v *Value) Formula() (f formula.Value, ok bool) {
	switch v.Kind {
	case Whole, Decimal:
		return formula.Value{Kind: formula.Num, Num: v.num}, v.fits
	case Text:
		return formula.Text(v.Text), true
	case Bool:
		return formula.Truth(v.Text == "true"), true
	case List:
		f.Kind = formula.NumList
		for i := range v.Items {
			item, ok := v.Items[i].Formula()
			switch {
			case ok && item.Kind == formula.Num && (i == 0 || f.Kind == formula.NumList):
				f.Nums = append(f.Nums, item.Num)
			case ok && item.Kind == formula.Str && (i == 0 || f.Kind == formula.StrList):
				f.Kind = formula.StrList
				f.Strs = append(f.Strs, item.Str)
			default:
				return formula.Value{}, false
			}
		}
		return f, true
	}
	return f, false
}

// Expr returns the value as an expression, for CUE to validate.
func (v *Value) Expr() ast.Expr {
	switch v.Kind {
	case Null:
		return ast.NewNull()
	case Bool:
		return ast.NewBool(v.Text == "true")
	case Whole, Decimal:
		kind := token.INT
		if v.Kind == Decimal {
			kind = token.FLOAT
		}
		digits, negative := strings.CutPrefix(v.Text, "-")
		if lit := ast.NewLit(kind, digits); !negative {
			return lit
		} else {
			return &ast.UnaryExpr{Op: token.SUB, X: lit}
		}
	case Text:
		return ast.NewString(v.Text)
	case List:
		list := &ast.ListLit{}
		for i := range v.Items {
			list.Elts = append(list.Elts, v.Items[i].Expr())
		}
		return list
	case Mapping:
		s := &ast.StructLit{}
		for i := range v.Fields {
			s.Elts = append(s.Elts, &ast.Field{Label: ast.NewString(v.Fields[i].Name), Value: v.Fields[i].Expr()})
		}
		return s
	}
	return &ast.BottomLit{}
}

func (v *Value) isNumber() bool { return v.Kind == Whole || v.Kind == Decimal }

// Unfit explains why formulas cannot use a number, or returns "" if they can or if the
// value is not a number.
func (v *Value) Unfit() string {
	if !v.isNumber() || v.fits {
		return ""
	}
	if f, _ := strconv.ParseFloat(strings.TrimPrefix(v.Text, "-"), 64); f >= 1<<63 {
		return "is too large"
	}
	return "has too many digits"
}

// Member returns the value of the named field of a mapping, or nil.
func (v *Value) Member(name string) *Value {
	for i := range v.Fields {
		if v.Fields[i].Name == name {
			return &v.Fields[i].Value
		}
	}
	return nil
}

// String returns the value as written in its file, shortened to a readable length. It
// describes a list or a mapping in words.
func (v *Value) String() string {
	switch v.Kind {
	case List, Mapping:
		return v.Describe()
	case Text:
		return Shorten(fmt.Sprintf("%q", v.Text))
	case Other:
		if v.Text == "" {
			return v.Describe()
		}
	}
	return Shorten(v.Text)
}

// Describe describes the kind of a value in words.
func (v *Value) Describe() string {
	switch v.Kind {
	case List:
		return "a list"
	case Mapping:
		return "a mapping"
	case Null:
		return "no value"
	case Other:
		return "something else"
	}
	return "a single value"
}

// Shorten shortens a string to a readable length.
func Shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return s
}
