package models_test

import (
	"strconv"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// TestEveryLayer checks, for every bundled model, that each table of layers contains all
// layers, and that the layers' bytes add up to what plans report.
func TestEveryLayer(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	l := loader(t)
	entries, err := l.Entries(nil)
	if err != nil || len(entries) < 50 {
		t.Fatalf("%d models: %v", len(entries), err)
	}
	flag := func(path, text string) config.Override {
		return config.Override{Path: path, Text: text, Origin: data.Origin{Kind: data.FromFlag}}
	}
	planners := plan.NewPlanners(s, s.Nixlbench.Default, "")
	for _, e := range entries {
		m, err := l.Model(e.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, split := range []int{1, 2} {
			stages := split
			if m.Params["num_layers"].Text() == "1" { // a drafter
				stages = 1
			}
			overrides := []config.Override{
				flag("system.accounting", "rank"), flag("system.page_size", "256"), flag("runtime.isl", "20000"),
				flag("strategy.tp_size", strconv.Itoa(split)), flag("strategy.pp_size", strconv.Itoa(stages)), flag("strategy.pp_stage", "all"),
			}
			cfg, err := l.Config("", nil, "", overrides)
			if err != nil {
				t.Fatal(err)
			}
			p, err := planners.For(m.Arch, plan.Use{Rank: true, Detail: true})
			if err != nil {
				t.Fatal(err)
			}
			tables, err := p.ExplainLayers(&plan.Request{Model: m, Config: cfg.With(m.Arch, m.Defaults)})
			if err != nil && split > 1 && strings.Contains(err.Error(), "engines reject this") {
				continue
			}
			if err != nil {
				t.Errorf("%s, %d: %v", e.Name, split, err)
				continue
			}
			layers := 0
			for _, table := range tables {
				checkTable(t, e.Name, table)
				if !table.Whole {
					layers += table.Count()
				}
			}
			if whole := tables[len(tables)-1]; !whole.Whole || whole.Count() != layers {
				t.Errorf("%s: the stages have %d layers, the last table %d", e.Name, layers, whole.Count())
			}
		}
	}
}

// checkTable checks that a table contains all layers, and that its rows add up to the plan's
// values.
func checkTable(t *testing.T, model string, table *plan.LayerTable) {
	t.Helper()
	seen := map[int]bool{}
	for _, r := range table.Rows {
		for _, layer := range r.Layers {
			seen[layer] = true
		}
	}
	if len(seen) != table.Count() || !seen[table.First] || !seen[table.Last] {
		t.Errorf("%s, %s: rows for %d layers, want %d to %d", model, table.Name(), len(seen), table.First, table.Last)
	}
	if len(table.Sums) != 2 {
		t.Fatalf("%s, %s: %d sums, want bytes per token and bytes per request", model, table.Name(), len(table.Sums))
	}
	for i, s := range table.Sums {
		var sum formula.Rat
		for _, r := range table.Rows {
			var err error
			if sum, err = sum.Add(r.All[i].Num); err != nil {
				t.Fatal(err)
			}
		}
		v, ok := table.Plan.Value(s.Name)
		if got, _ := sum.Ceil().Int64(); !ok || v.Text() != strconv.FormatInt(got, 10) {
			t.Errorf("%s, %s: layers add up to %d, %s is %s", model, table.Name(), got, s.Name, v.Text())
		}
	}
}
