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

// TestVaryFormula checks that a formula that was compiled while a varying input had the value
// of its own formula follows that input when it is set.
func TestVaryFormula(t *testing.T) {
	scope := formula.NewScope()
	scope.Input("a", formula.Num, diag.Pos{})
	scope.Formula("flag", formula.Source{Text: "a"}, formula.Num)
	scope.Formula("double", formula.Source{Text: "flag * 2"}, formula.Num)
	prog, err := scope.Compile()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := prog.Ref("a")
	flag, _ := prog.Ref("flag")
	double, _ := prog.Ref("double")
	space := prog.NewSpace(prog.NewFrame(), nil, []formula.Ref{a, flag}, nil)
	frame := space.Frame(formula.Spot{})
	check := func(want int64) {
		t.Helper()
		if v, err := frame.Num(double); err != nil || v != formula.Int(want) {
			t.Fatalf("double is %s (%v), want %d", v, err, want)
		}
	}
	for i := range int64(30) {
		space.Vary(0, formula.Number(i))
		check(2 * i)
	}
	space.Vary(1, formula.Number(100))
	check(200)
	space.Unset(1)
	check(58)
}
