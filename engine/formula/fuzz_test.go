package formula

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/expr-lang/expr/parser"

	"kvbench/engine/diag"
)

// FuzzText checks that no text makes the compiler or an evaluation panic.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"layers * 2 + bytes[pattern]", "on ? floor(1/3) : sizes[1]", "let x = 1; x", "map(sizes, #)", "'a' in kinds and not on",
		"len(split(engine, ',')) % 2", "((((1))))", "1 // 2", "bytes.fp8 ?? 1", "given(a) and a > 1", "(five5 ?? two) + bytes[z]", "one ?? kinds[gone5]", "-(-9223372036854775807 - 1)", "min(sizes, 1)",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u := &unit{"z", Source{Text: text}}
		if _, err := parser.Parse(text); err == nil && isPlain(text) {
			if _, errs := u.scan(); len(errs) > 0 {
				t.Errorf("%q is plain, but scan reports %v", text, errs[0])
			}
		}
		s := toy()
		s.First("one", []Source{{Text: text}, {Text: "z"}, {Text: "gone ?? 1"}})
		s.Formula("z", Source{Text: text, Pos: diag.Pos{File: "f.cue", Line: 1, Col: 1}}, Any)
		p, err := s.Partial(func(name string) (Kind, bool) {
			return []Kind{Any, Num, Str, StrList}[len(name)%4], len(name)%5 != 0
		})
		if err != nil {
			t.Fatal(err)
		}
		for r := range p.slots { // including names without a value
			p.NewFrame().Eval(Ref(r))
		}
		s = toy()
		s.Formula("z", Source{Text: text, Pos: diag.Pos{File: "f.cue", Line: 1, Col: 1}}, Any)
		p, err = s.Compile()
		if err != nil {
			return
		}
		_, frame := frameOf(t, s)
		r, _ := p.Ref("z")
		frame.Eval(r)
	})
}

// tree builds a random numeric expression from bytes. It returns the expression as text,
// and its value, computed with math/big. fits is false if a step does not fit in 64 bits
// or divides by zero. Only then may the evaluation of the expression fail.
type tree struct {
	data []byte
	fits bool
}

func (g *tree) next() byte {
	if len(g.data) == 0 {
		return 0
	}
	b := g.data[0]
	g.data = g.data[1:]
	return b
}

func (g *tree) note(v *big.Rat) *big.Rat {
	if _, ok := exact(v); !ok {
		g.fits = false
	}
	return v
}

func (g *tree) build(depth int) (string, *big.Rat) {
	op := g.next()
	if depth == 0 || len(g.data) == 0 {
		op = 0
	}
	switch op % 10 {
	case 1, 2, 3, 4:
		a, x := g.build(depth - 1)
		b, y := g.build(depth - 1)
		sign := "+-*/"[op%10-1]
		text := fmt.Sprintf("(%s %c %s)", a, sign, b)
		switch sign {
		case '+':
			return text, g.note(new(big.Rat).Add(x, y))
		case '-':
			return text, g.note(new(big.Rat).Sub(x, y))
		case '*':
			return text, g.note(new(big.Rat).Mul(x, y))
		}
		if y.Sign() == 0 {
			g.fits = false
			return text, new(big.Rat)
		}
		return text, g.note(new(big.Rat).Quo(x, y))
	case 5, 6:
		a, x := g.build(depth - 1)
		up := op%10 == 6
		return map[bool]string{true: "ceil(", false: "floor("}[up] + a + ")", g.note(round(x, up))
	case 7, 8:
		a, x := g.build(depth - 1)
		b, y := g.build(depth - 1)
		up := op%10 == 8
		text := map[bool]string{true: "ceil_div(", false: "div("}[up] + a + ", " + b + ")"
		if y.Sign() == 0 {
			g.fits = false
			return text, new(big.Rat)
		}
		return text, g.note(round(new(big.Rat).Quo(x, y), up))
	case 9:
		a, x := g.build(depth - 1)
		b, y := g.build(depth - 1)
		if x.Cmp(y) < 0 {
			x = y
		}
		return "max(" + a + ", " + b + ")", x
	}
	n := int64(g.next()) << (g.next() % 56)
	return fmt.Sprint(n), big.NewRat(n, 1)
}

func round(x *big.Rat, up bool) *big.Rat {
	q := new(big.Int).Div(x.Num(), x.Denom())
	if up && !x.IsInt() {
		q.Add(q, big.NewInt(1))
	}
	return new(big.Rat).SetInt(q)
}

// FuzzExact compares the values of random expressions with those of math/big.
func FuzzExact(f *testing.F) {
	f.Add([]byte{4, 0, 7, 0, 0, 2, 0})
	f.Add([]byte{5, 4, 3, 0, 9, 1, 0, 5, 2, 0, 3, 0})
	f.Add([]byte{3, 3, 0, 200, 50, 0, 200, 50, 0, 200, 50})
	f.Add([]byte{8, 1, 0, 255, 55, 0, 255, 55, 0, 3, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		g := &tree{data: data, fits: true}
		text, want := g.build(8)
		s := NewScope()
		s.Formula("x", Source{Text: text}, Num)
		p, err := s.Compile()
		if err != nil {
			if len(text) <= 4096 {
				t.Fatalf("%s: %v", text, err)
			}
			return
		}
		r, _ := p.Ref("x")
		got, err := p.NewFrame().Num(r)
		if err != nil {
			msg := err.Error()
			if g.fits || !strings.Contains(msg, "64 bits") && !strings.Contains(msg, "division by zero") {
				t.Fatalf("%s: %v, want %v", text, err, want)
			}
			return
		}
		if v, ok := exact(want); !g.fits || !ok || got != v {
			t.Fatalf("%s is %v, want %v (fits: %v)", text, got, want, g.fits)
		}
	})
}
