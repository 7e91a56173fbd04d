package formula_test

import (
	"strings"
	"testing"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// TestSpare checks that spare names are part of a program only if its formulas read them,
// directly or through other spare formulas.
func TestSpare(t *testing.T) {
	spares := map[string]string{"area": "side * side", "wrong": "no_such_name +", "side": "n + 1", "x": "1"}
	newScope := func() *formula.Scope {
		scope := formula.NewScope()
		scope.Spare(func(scope *formula.Scope, name string) {
			if text, ok := spares[name]; ok {
				scope.Formula(name, formula.Source{Text: text}, formula.Any)
			} else if name == "height" {
				scope.Default(name, formula.Number(5))
			}
		}, func() []string { return []string{"area", "height", "side", "wrong", "x"} })
		return scope
	}
	scope := newScope()
	scope.Input("n", formula.Num, diag.Pos{})
	scope.Formula("volume", formula.Source{Text: "area * height"}, formula.Num)
	prog, err := scope.Compile()
	if err != nil {
		t.Fatal(err)
	}
	frame := prog.NewFrame()
	frame.SetName("n", formula.Number(2))
	ref, _ := prog.Ref("volume")
	if v, err := frame.Eval(ref); err != nil || v.Text() != "45" { // (2 + 1)² * 5
		t.Errorf("volume is %s (%v), want 45", v.Text(), err)
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
	scope = newScope()
	scope.Formula("x", formula.Source{Text: "2"}, formula.Num)
	if _, err := scope.Compile(); err == nil || !strings.Contains(err.Error(), `"x" is declared twice`) {
		t.Errorf("declaring a spare name again: %v", err)
	}
	// Messages treat spare names like all others, even if nothing reads them.
	for text, want := range map[string]string{
		"heigth":      `unknown name "heigth"; did you mean "height"?`,
		"height(1)":   `"height" is not a function`,
		"given(side)": "given() tests whether an input is set, but side is computed",
	} {
		scope := newScope()
		scope.Input("n", formula.Num, diag.Pos{})
		scope.Formula("y", formula.Source{Text: text}, formula.Num)
		_, err := scope.Compile()
		d := diag.All(err)[0]
		if got := strings.Join(append([]string{d.Msg}, d.Hints...), "; "); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
