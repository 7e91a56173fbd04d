package formula

import (
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/parser/lexer"
)

// Explanation describes how a value is computed.
type Explanation struct {
	Name string
	// Source is the formula, on one line. Its text is empty if the value was set.
	Source Source
	// Values is the formula with all names replaced by their values.
	Values string
	Value  Value
	// Parts are the values that the formula reads, in the order of first use. If the
	// formula reads a table, Parts contains the entry that it selects.
	Parts []Ref
}

// Explain describes how the value of r is computed in this frame.
func (f *Frame) Explain(r Ref) (Explanation, error) {
	s := &f.p.slots[r]
	v, err := f.Eval(r)
	e := Explanation{Name: s.name, Value: v}
	if err != nil || s.class != derived || f.isSet(r) {
		return e, err
	}
	e.Source = f.p.Source(r)
	p, errs := s.unit.scan()
	if len(errs) > 0 {
		return e, errs[0] // the formula was compiled, so it cannot have errors
	}
	var out strings.Builder
	end := 0
	for i := 0; i < len(p.tokens); i++ {
		ref, key, next := f.nameAt(s.unit, p, i)
		if next == i {
			continue
		}
		if key >= 0 && !slices.Contains(e.Parts, key) {
			e.Parts = append(e.Parts, key)
		}
		// A value may be missing if only a branch that is not taken reads it.
		v, err := f.Eval(ref)
		if err != nil {
			i = next - 1
			continue
		}
		out.WriteString(string(p.runes[end:p.tokens[i].From]) + operand(v))
		end = p.tokens[next-1].To
		i = next - 1
		if !slices.Contains(e.Parts, ref) {
			e.Parts = append(e.Parts, ref)
		}
	}
	e.Values = oneLine(out.String() + string(p.runes[end:]))
	return e, nil
}

// nameAt returns what the name at token i of a formula refers to, and the index of the
// token after the name. If there is no name with a value at i, next is i. For a table, ref
// is the selected formula. If the key is a name, key refers to it; otherwise, key is -1.
// nameAt does not resolve keys that are other expressions.
func (f *Frame) nameAt(u *unit, p *lexed, i int) (ref, key Ref, next int) {
	is := func(i int, text string) bool { return i >= 0 && i < len(p.tokens) && p.tokens[i].Value == text }
	if p.tokens[i].Kind != lexer.Identifier || is(i-1, ".") || is(i+1, "(") {
		return 0, -1, i
	}
	r, ok := f.p.names[u.means(p.tokens[i].Value)]
	if !ok {
		return 0, -1, i
	}
	t := &f.p.slots[r]
	if t.class != table {
		return r, -1, i + 1
	}
	word := ""
	key, next = -1, i
	switch {
	case is(i+1, ".") && i+2 < len(p.tokens):
		word, next = p.tokens[i+2].Value, i+3
	case is(i+1, "[") && is(i+3, "]"):
		next = i + 4
		if tok := p.tokens[i+2]; tok.Kind == lexer.String {
			word = tok.Value
		} else if k, ok := f.p.names[u.means(tok.Value)]; ok && f.p.Kind(k) == Str {
			v, _ := f.Eval(k)
			word, key = v.Str, k
		}
	}
	if elem, ok := t.elems[word]; ok {
		return elem, key, next
	}
	return 0, -1, i
}

// oneLine joins the lines of a formula.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }

// operand formats a value as it would be written in a formula.
func operand(v Value) string {
	switch {
	case v.Kind == Num && (!v.Num.IsInt() || strings.HasPrefix(v.Num.String(), "-")):
		return "(" + v.Num.String() + ")"
	case v.Kind == Str:
		return strconv.Quote(v.Str)
	}
	return v.String()
}
