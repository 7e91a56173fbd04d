package plan

import (
	"fmt"
	"slices"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// LayerTable describes a rank's share of the layers of one pipeline stage, or all layers of
// the model.
type LayerTable struct {
	// Plan is one of the plans for the stage.
	Plan *Plan
	// Whole reports whether the table is for the whole model instead of a rank.
	Whole bool
	// First and Last are the numbers of the table's first and last layers.
	First, Last int
	// Sums are the totals over the layers.
	Sums []LayerSum
	Rows []LayerRow
}

// LayerSum is a total over layers. Column is the heading of the column that shows each
// layer's contribution.
type LayerSum struct {
	Name, Column string
	Value        formula.Value
	// Rounded reports whether the sum over the layers is rounded up.
	Rounded bool
}

// LayerRow describes layers that are in the same group and have identical contents.
type LayerRow struct {
	Layers      []int
	Group, Kind string
	// Per is the unit that the sizes of the parts are for, such as a token or a page.
	Per   string
	Parts []LayerPart
	// Pages is the number of pages that a request has in each layer.
	Pages formula.Value
	// One contains what each layer contributes to the table's sums; All contains what the
	// layers contribute together.
	One, All []formula.Value
}

// LayerPart is a part of a layer's cache.
type LayerPart struct {
	Name   string
	Bytes  formula.Value
	Source formula.Source
}

// Name describes what the table covers.
func (t *LayerTable) Name() string {
	if t.Whole {
		return "whole model"
	}
	st := t.Plan.Request.stage
	return fmt.Sprintf("one rank of stage %d (%s)", st.number, st.layers())
}

// Count returns the number of layers.
func (t *LayerTable) Count() int { return t.Last - t.First + 1 }

// OfLayers returns the item to use for explaining j's layers. It switches to rank
// accounting, because only that has per-layer counts, but returns an error if the user
// selected the model accounting.
func (all *Planners) OfLayers(j Item) (Item, error) {
	arch, cfg := j.Model.Arch, *j.Config
	if arch.Layers == nil {
		return j, diag.Errorf(diag.Pos{File: arch.File}, "%s does not describe its layers: it has no cache section, only formulas for the whole model", arch.Name).
			WithHint("docs/adding-a-new-model-architecture.md shows how to describe them")
	}
	if UseOf(&cfg).Rank {
		return j, nil
	}
	if v := cfg.Values[accountingVar]; v.Origin.Given() {
		return j, v.Origin.Errorf("%s accounting has no per-layer counts", v.Str).
			WithHint("omit it, or use --%s %s", accountingVar, accountingRank)
	}
	if v := cfg.Values[DraftVar]; IsDrafter(all.schema, v) {
		return j, v.Origin.Errorf("a drafter's layers are counted only in %s accounting", accountingRank).
			WithHint("use --%s %s", accountingVar, accountingRank)
	}
	planner, err := all.For(arch, Use{Rank: true, Detail: true})
	if err != nil {
		return j, err
	}
	req := *j.Request
	cfg.Values = map[string]data.Fact{}
	for name, v := range j.Config.Values {
		cfg.Values[name] = v
	}
	cfg.Values[accountingVar] = data.Fact{Value: formula.Text(accountingRank), Origin: cfg.Values[accountingVar].Origin}
	req.Config = &cfg
	return Item{&req, planner}, nil
}

// ExplainLayers returns tables that show what a model's layers store: one for each
// requested pipeline stage, and one for the whole model.
func (p *Planner) ExplainLayers(req *Request) ([]*LayerTable, error) {
	plans, err := p.Quantities(req)
	if err != nil {
		return nil, err
	}
	var all []*LayerTable
	for i, pl := range plans {
		st := pl.Request.stage
		if i > 0 && plans[i-1].Request.stage == st {
			continue // a plan for another I/O size in the same stage
		}
		t := &LayerTable{Plan: pl, First: st.lo, Last: st.hi - 1}
		if err := p.layers.fill(t); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	n, err := p.layers.whole(layersVar)
	if err != nil {
		return nil, err
	}
	t := &LayerTable{Plan: plans[0], Whole: true, Last: int(n) + p.layers.drafts - 1}
	if err := p.layers.fill(t); err != nil {
		return nil, err
	}
	return append(all, t), nil
}

// fill adds the sums and rows to a table.
func (l *Layers) fill(t *LayerTable) error {
	l.Load(t.Plan.Request)
	l.byCell = t.Plan.Request.byCell
	var folds []*fold
	for _, f := range l.cache.folds {
		if f.Column == "" || (f.Over == schema.OverStage) == t.Whole {
			continue
		}
		folds = append(folds, f)
		v, _ := l.frame.Eval(f.value)
		t.Sums = append(t.Sums, LayerSum{f.Name, f.Column, v, false})
	}
	for i := range l.cells {
		c := &l.cells[i]
		from, _ := slices.BinarySearch(c.layers, t.First)
		to, _ := slices.BinarySearch(c.layers, t.Last+1)
		if from == to {
			continue
		}
		row := LayerRow{Layers: c.layers[from:to:to], Group: c.group, Kind: c.kind, Per: c.per}
		for _, f := range folds {
			if err := l.column(t, &row, f, c); err != nil {
				return err
			}
		}
		if same := slices.IndexFunc(t.Rows, row.holdsAs); same >= 0 {
			t.Rows[same].Layers = append(t.Rows[same].Layers, row.Layers...)
			continue
		}
		t.Rows = append(t.Rows, row)
	}
	for i := range t.Rows {
		if err := t.Rows[i].add(); err != nil {
			return err
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b LayerRow) int { return a.Layers[0] - b.Layers[0] })
	for i := range t.Sums {
		exact := formula.Int(0)
		for _, r := range t.Rows {
			var err error
			if exact, err = exact.Add(r.All[i].Num); err != nil {
				return err
			}
		}
		t.Sums[i].Rounded = exact != t.Sums[i].Value.Num
	}
	return nil
}

// column adds to a row each layer's contribution to a sum. For the first sum, it also adds
// the pages and parts, with the fold's stand-ins applied.
func (l *Layers) column(t *LayerTable, row *LayerRow, f *fold, c *cell) error {
	undo, err := l.standIn(f, l.cells, t.First, t.Last+1)
	if err != nil {
		return err
	}
	defer undo()
	one, err := l.foldOne(f, c)
	if err != nil {
		return err
	}
	row.One = append(row.One, formula.Value{Kind: formula.Num, Num: one})
	if len(row.One) > 1 {
		return nil
	}
	row.Pages = formula.Number(0)
	if pages, _ := l.prog.Ref(layerPages); len(l.cache.parts[c.kind]) > 0 {
		if row.Pages, err = l.frame.Eval(pages); err != nil {
			return err
		}
	}
	for _, name := range l.cache.parts[c.kind] {
		ref, _ := l.prog.Ref(partName(c.kind, name))
		v, err := l.frame.Eval(ref)
		if err != nil {
			return err
		}
		row.Parts = append(row.Parts, LayerPart{name, v, l.prog.Source(ref)})
	}
	return nil
}

// holdsAs reports whether the layers of two rows belong to the same group and have
// identical contents.
func (r *LayerRow) holdsAs(other LayerRow) bool {
	text := func(r *LayerRow) string { return fmt.Sprint(r.Group, r.Pages, r.One, r.Parts) }
	return r.Group == other.Group && text(r) == text(&other)
}

// add computes the total contribution of a row's layers.
func (r *LayerRow) add() error {
	slices.Sort(r.Layers)
	for _, one := range r.One {
		all, err := one.Num.Mul(formula.Int(int64(len(r.Layers))))
		if err != nil {
			return err
		}
		r.All = append(r.All, formula.Value{Kind: formula.Num, Num: all})
	}
	return nil
}
