package formula_test

import (
	"testing"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// TestSpare checks that spare formulas are part of a program only if others read them,
// directly or through other spare formulas.
func TestSpare(t *testing.T) {
	scope := formula.NewScope()
	scope.Spare("area", formula.Source{Text: "side * side"}, formula.Any)
	scope.Spare("wrong", formula.Source{Text: "no_such_name +"}, formula.Num)
	scope.Spare("side", formula.Source{Text: "n + 1"}, formula.Num)
	scope.Input("n", formula.Num, diag.Pos{})
	scope.Formula("volume", formula.Source{Text: "area * side"}, formula.Num)
	prog, err := scope.Compile()
	if err != nil {
		t.Fatal(err)
	}
	frame := prog.NewFrame()
	frame.SetName("n", formula.Number(2))
	ref, _ := prog.Ref("volume")
	if v, err := frame.Eval(ref); err != nil || v.Text() != "27" {
		t.Errorf("volume is %s (%v), want 27", v.Text(), err)
	}
	if _, ok := prog.Ref("area"); !ok {
		t.Error("area is read, but is not in the program")
	}
	if _, ok := prog.Ref("wrong"); ok {
		t.Error("no formula reads \"wrong\", but it is in the program")
	}
	if _, _, err := prog.With("x", formula.Source{Text: "wrong"}, formula.Num); err == nil {
		t.Error("With accepted a formula that reads a name that is not in the program")
	}

	scope.Formula("reads", formula.Source{Text: "wrong"}, formula.Num)
	if _, err := scope.Compile(); err == nil {
		t.Error("a wrong formula that another one reads is accepted")
	}
	scope = formula.NewScope()
	scope.Spare("x", formula.Source{Text: "1"}, formula.Num)
	scope.Formula("x", formula.Source{Text: "2"}, formula.Num)
	if _, err := scope.Compile(); err == nil {
		t.Error("the name of a spare formula can be declared again")
	}
}
