package formula

import (
	"slices"
	"testing"

	"kvbench/engine/diag"
)

// TestReach checks that the inputs of a value include only the inputs of formulas that
// are followed.
func TestReach(t *testing.T) {
	s := NewScope()
	for _, name := range []string{"a", "b"} {
		s.Input(name, Num, diag.Pos{})
	}
	s.Input("key", Str, diag.Pos{})
	s.Formula("chosen", Source{Text: "table[key]"}, Num)
	s.Table("table", []string{"one", "two"}, []Source{{Text: "x"}, {Text: "c"}}, Num)
	s.InputOr("c", Source{Text: "a"}, Num)
	s.Formula("x", Source{Text: "b + 1"}, Num)
	p, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	but := func(not string) *Reach { return p.Reach(func(name string) bool { return name != not }) }
	for _, test := range []struct {
		what  string
		reach *Reach
		name  string
		want  []string
	}{
		{"everything", p.ReachAll(), "chosen", []string{"a", "b", "c", "key"}},
		{"without an entry", but("table.two"), "chosen", []string{"b", "key"}},
		{"without the formula of an input", but("c" + Otherwise), "chosen", []string{"b", "c", "key"}},
		{"without a formula", p.ReachAll().Without("x"), "chosen", []string{"a", "c", "key"}},
		{"the formula itself", p.ReachAll().Without("x"), "x", []string{"b"}},
		{"without both", but("table.two").Without("x"), "chosen", []string{"key"}},
	} {
		ref, _ := p.Ref(test.name)
		if got := test.reach.Inputs(ref).Names(); !slices.Equal(got, test.want) {
			t.Errorf("%s: the inputs of %s are %q, want %q", test.what, test.name, got, test.want)
		}
	}
	x, _ := p.Ref("x")
	for name, want := range map[string]bool{"b": true, "a": false, "x": false, "unknown": false} {
		if p.DependsOn(x, name) != want {
			t.Errorf("x depends on %s: %v, want %v", name, !want, want)
		}
	}
	c, _ := p.Ref("c")
	both := p.ReachAll().Inputs(x)
	both.Add(p.ReachAll().Inputs(c))
	if got, want := both.Names(), []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("x and c have the inputs %q, want %q", got, want)
	}
	q, extra, err := p.With("extra", Source{Text: "x * a"}, Num)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := q.Inputs(extra), []string{"a", "b"}; !slices.Equal(got, want) {
		t.Errorf("the added formula has the inputs %q, want %q", got, want)
	}
}

// TestReachCycle checks that formulas of a partial program that depend on each other have
// the same inputs.
func TestReachCycle(t *testing.T) {
	s := NewScope()
	s.Formula("f", Source{Text: "(g ?? u) + 1"}, Num)
	s.Formula("g", Source{Text: "f + v"}, Num)
	s.Formula("h", Source{Text: "(g ?? 0) + w"}, Num)
	p, err := s.Partial(func(string) (Kind, bool) { return Num, true })
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{"f": {"u", "v"}, "g": {"u", "v"}, "h": {"u", "v", "w"}} {
		ref, _ := p.Ref(name)
		if got := p.Inputs(ref); !slices.Equal(got, want) {
			t.Errorf("the inputs of %s are %q, want %q", name, got, want)
		}
	}
}
