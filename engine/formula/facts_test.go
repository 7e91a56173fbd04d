package formula

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"kvbench/engine/diag"
)

// TestFactsOf checks which facts formulas have, and that the facts locate the names in a
// formula.
func TestFactsOf(t *testing.T) {
	s := NewScope()
	s.Input("n", Num, diag.Pos{})
	s.Input("word", Str, diag.Pos{})
	s.Formula("double", Source{Text: "n * 2"}, Num)
	s.Table("table", []string{"x", "y"}, []Source{{Text: "1"}, {Text: "double"}}, Num)
	for name, text := range map[string]string{
		"sum": "n + double * n", "is": "word == 'x'", "asks": "n ?? double", "picks": "table[word]",
		"keyed": "table.x + n", "accents": "word == 'é' and n > 0", "own": "heads - 1", "const": "true",
	} {
		s.Formula(name, Source{Text: text, Pos: diag.Pos{File: name}, Local: map[string]string{"heads": "n"}}, Any)
	}
	p, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Facts{
		"sum": "bb0b4", "is": "dc0", "asks": "bB0b5", "picks": "bo0c6", "own": "bb0", "const": "d",
		// These formulas have no facts, because the first depends on the keys of a table,
		// and the second is not ASCII.
		"keyed": "", "accents": "",
	}
	seen := 0
	p.EachFacts(func(src Source, f Facts) {
		facts, ok := want[src.Pos.File]
		if !ok {
			return
		}
		seen++
		if f != facts {
			t.Errorf("the facts of %s are %q, want %q", src.Text, f, facts)
		}
		names := Names(src.Text)
		src.Facts = f
		if got := src.Names(); !slices.Equal(got, names) {
			t.Errorf("the names in %s are %q, want %q", src.Text, got, names)
		}
	})
	if seen != len(want) {
		t.Errorf("%d formulas seen, want %d", seen, len(want))
	}
}

// factsScope declares formulas with facts. The facts of "bad", which is not a valid
// formula, and of "lie" are wrong, but this is noticed only when these formulas are
// evaluated.
func factsScope() *Scope {
	s := NewScope()
	s.Input("n", Num, diag.Pos{})
	s.Input("word", Str, diag.Pos{})
	s.Formula("sum", Source{Text: "n + twice", Facts: "bb0b4"}, Num)
	s.Formula("twice", Source{Text: "2 * n", Facts: "bb4"}, Any)
	s.Formula("is", Source{Text: "word == 'x'", Facts: "dc0"}, Bool)
	s.Formula("bad", Source{Text: "n +* word", Facts: "bb0c5"}, Num)
	s.Formula("lie", Source{Text: "n + 1", Facts: "cb0"}, Str)
	return s
}

// TestFacts checks that formulas with facts are compiled when they are evaluated, and that
// they yield the same values as other formulas, even in several frames at the same time.
func TestFacts(t *testing.T) {
	p, err := factsScope().Compile()
	if err != nil {
		t.Fatal(err)
	}
	ref := func(name string) Ref { r, _ := p.Ref(name); return r }
	if got, want := p.Inputs(ref("sum")), []string{"n"}; !slices.Equal(got, want) {
		t.Errorf("the inputs of sum are %q, want %q", got, want)
	}
	var frames sync.WaitGroup
	for range 4 {
		frames.Go(func() {
			f := p.NewFrame()
			f.SetName("n", Number(5))
			f.SetName("word", Text("x"))
			if v, err := f.Num(ref("sum")); err != nil || v != Int(15) {
				t.Errorf("sum is %v (%v), want 15", v, err)
			}
			op, left, right, ok, err := f.Sides(ref("is"))
			if op != "==" || left.Value.Str != "x" || right.Text != "'x'" || !ok || err != nil {
				t.Errorf("the sides of \"is\" are %v %s %v (%v, %v)", left, op, right, ok, err)
			}
		})
	}
	frames.Wait()
	f := p.NewFrame()
	f.SetName("n", Number(5))
	if _, err := f.Num(ref("bad")); err == nil || !strings.Contains(err.Error(), `unexpected "*"`) {
		t.Errorf("bad: %v, want an error about the *", err)
	}
	if _, err := f.Eval(ref("lie")); err == nil || !strings.Contains(err.Error(), "yields a number, not a string") {
		t.Errorf("lie: %v, want an error about its kind", err)
	}
	q, more, err := p.With("more", Source{Text: "sum * 10"}, Num)
	if err != nil {
		t.Fatal(err)
	}
	q.CompileAll()
	g := q.NewFrame()
	g.SetName("n", Number(7))
	if v, err := g.Num(more); err != nil || v != Int(210) {
		t.Errorf("more is %v (%v), want 210", v, err)
	}
}

// TestFactsWrong checks that facts that do not hold are ignored. The formula must be
// compiled, and its errors reported, as if it had no facts.
func TestFactsWrong(t *testing.T) {
	for _, test := range []struct{ text, facts, want string }{
		{"n + word", "bb0c4", ""}, // what is true of other names of these kinds
		{"n + word", "bb0b4", `"+" needs a number, not a string`},
		{"n + 1", "db0", "yields a number, not a string"},
		{"n + nobody", "bb0b4", `unknown name "nobody"`},
		{"n + 1", "b", ""},
		{"table + 1", "bb0", `"table" is a table`},
		{"n + 1", "bb99999999999999999999", ""},
		{"n + 1", "bb", ""},
		{"n + 1", "zb0", ""},
		{"n + 1", "b~~~", ""},
	} {
		s := NewScope()
		s.Input("n", Num, diag.Pos{})
		s.Input("word", Str, diag.Pos{})
		s.Table("table", []string{"x"}, []Source{{Text: "1"}}, Num)
		want := Num
		if strings.HasPrefix(test.facts, "d") {
			want = Str
		}
		s.Formula("f", Source{Text: test.text, Facts: Facts(test.facts)}, want)
		_, err := s.Compile()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s with the facts %q: %v, want %q", test.text, test.facts, err, test.want)
		}
	}
}

// TestFactsCycle checks that it is an error if a formula with facts depends on itself.
func TestFactsCycle(t *testing.T) {
	s := NewScope()
	s.Formula("x", Source{Text: "1 + y", Facts: "bb4"}, Num)
	s.Formula("y", Source{Text: "x * 2"}, Num)
	_, err := s.Compile()
	if err == nil || !strings.Contains(err.Error(), "depends on itself: x -> y -> x") {
		t.Errorf("%v, want a cycle", err)
	}
}
