package plan_test

import (
	"strings"
	"testing"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// TestPlanners checks that a planner is made only once for each architecture and use, that
// errors in an architecture are reported for every request for its planner, and that
// messages say where the release was chosen.
func TestPlanners(t *testing.T) {
	s := load(t)
	all := plan.NewPlanners(s, "0.3.1", "the test's file")
	arch := s.Architectures[0].Arch.Get()
	first, err := all.For(arch, plan.Use{Rank: true})
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := all.For(arch, plan.Use{Rank: true}); again != first {
		t.Error("a planner was made twice")
	}
	if other, _ := all.For(arch, plan.Use{Rank: true, Detail: true}); other == first {
		t.Error("both uses have the same planner")
	}

	bad := load(t).Architectures[0].Arch.Get()
	bad.Layers = nil
	for range 2 {
		if p, err := all.For(bad, plan.Use{Rank: true}); err == nil || p != nil {
			t.Errorf("an architecture without layers has a planner for ranks: %v, %v", p, err)
		}
	}

	req := &plan.Request{
		Model:  &model.Model{Arch: arch, Params: map[string]data.Fact{}},
		Config: &config.Config{Values: map[string]data.Fact{}},
		Flags:  map[string]data.Fact{"filepath": text("/x")},
	}
	frame := first.NewFrame()
	_, err = frame.Fitter().Resolve(frame.FlagsFor(req))
	if err == nil || !strings.Contains(err.Error(), "the test's file is 0.3.1") {
		t.Errorf("a flag that the release lacks: %v", err)
	}
}

// TestComplete checks that Complete returns an error if there is no formula for a
// quantity that every plan must have.
func TestComplete(t *testing.T) {
	s := load(t)
	i := 0
	for s.Architectures[i].Name != "deepseek_r1" {
		i++
	}
	arch := s.Architectures[i].Arch.Get()
	arch.Layers = nil // ensures that no value is computed from layers
	p, err := plan.Compile(s, s.Nixlbench.Default, arch, plan.Use{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Complete(); err != nil {
		t.Error(err)
	}
	s.Quantities = append(s.Quantities, schema.Quantity{Name: "made_up"})
	if p, err = plan.Compile(s, s.Nixlbench.Default, arch, plan.Use{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Complete(); err == nil || !strings.Contains(diag.All(err)[0].Text(), "deepseek_r1 has no formula for made_up") {
		t.Errorf("a quantity without a formula: %v", err)
	}
}

// TestWith checks that With adds a formula that can read the program's values, and that
// it does not modify the program.
func TestWith(t *testing.T) {
	s := load(t)
	p, err := plan.Compile(s, s.Nixlbench.Default, s.Architectures[0].Arch.Get(), plan.Use{Rank: true})
	if err != nil {
		t.Fatal(err)
	}
	q, ref, err := p.With("more", formula.Source{Text: "isl * 2"}, formula.Num)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Formulas().Ref("more"); ok {
		t.Error("the program itself has the formula")
	}
	frame := q.NewFrame()
	frame.Values().SetName("isl", formula.Number(21))
	frame.Values().SetName("isl", formula.Text("a word")) // ignored: the wrong kind
	frame.Values().SetName("no such name", formula.Number(1))
	if v, err := frame.Values().Num(ref); err != nil || v != formula.Int(42) {
		t.Errorf("twice 21 is %v, %v", v, err)
	}
	if q, _, err := p.With("more", formula.Source{Text: "no_such_name"}, formula.Num); err == nil || q != nil {
		t.Error("a formula with an unknown name was accepted")
	}
}
