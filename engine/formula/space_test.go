package formula_test

import (
	"testing"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// TestVaryCompiled checks that the values of formulas change when their inputs vary, even
// after the formulas are compiled for their frame and no longer read some of these
// inputs.
func TestVaryCompiled(t *testing.T) {
	scope := formula.NewScope()
	scope.Input("mode", formula.Str, diag.Pos{})
	scope.Input("a", formula.Num, diag.Pos{})
	scope.Input("b", formula.Num, diag.Pos{})
	scope.Formula("first", formula.Source{Text: "mode == 'x' ? a : b"}, formula.Num)
	scope.Formula("second", formula.Source{Text: "mode == 'y' ? a : b + 1"}, formula.Num)
	scope.Formula("more", formula.Source{Text: "first + 10"}, formula.Num)
	scope.Formula("both", formula.Source{Text: "more * second"}, formula.Num)
	prog, err := scope.Compile()
	if err != nil {
		t.Fatal(err)
	}
	ref := func(name string) formula.Ref {
		r, ok := prog.Ref(name)
		if !ok {
			t.Fatal(name)
		}
		return r
	}
	base := prog.NewFrame()
	base.SetName("mode", formula.Text("x"))
	space := prog.NewSpace(base, nil, []formula.Ref{ref("a"), ref("b")}, nil)
	frame := space.Frame(formula.Spot{})
	check := func(name string, want int64) {
		t.Helper()
		if v, err := frame.Num(ref(name)); err != nil || v != formula.Int(want) {
			t.Fatalf("%s is %s (%v), want %d", name, v, err, want)
		}
	}
	space.Vary(0, formula.Number(0))
	space.Vary(1, formula.Number(0))
	for i := int64(1); i <= 30; i++ {
		space.Vary(0, formula.Number(i))
		check("first", i)
		check("more", i+10)
		check("second", 2*(i-1)+1)
		check("both", (i+10)*(2*(i-1)+1))
		space.Vary(1, formula.Number(2*i))
		check("first", i)
		check("second", 2*i+1)
		check("both", (i+10)*(2*i+1))
	}
	space.Vary(0, formula.Number(7)) // the formula "both" reads "a" only through other formulas
	check("both", 17*61)
}
