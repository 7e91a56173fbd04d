package plan

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// A declarations value declares the formulas of a program and the names that they may read.
type declarations struct {
	*Program
	scope *formula.Scope
	// For each kind, local maps the names of fields in the kind's formulas to the fields'
	// full names.
	local map[*schema.Kind]map[string]string
}

// declare declares everything in the program.
func (ds *declarations) declare(use Use) error {
	s, arch := ds.schema, ds.arch
	ds.declareConfig()
	table(ds.scope, dtypesTable, s.Dtypes)
	addFormulas(ds.scope, s.Let, formula.Any)
	ds.declareQuantities(use)
	var computed map[string]schema.Formula
	if ds.transfers {
		computed = s.Cache.Get().Transfer.Get().Flags
	}
	ds.Bench = fit.Declare(ds.scope, &s.Nixlbench, ds.release, computed, !use.Quantities)
	if ds.rank || ds.folded() {
		if err := ds.declareCache(); err != nil {
			return err
		}
	}
	// Declare the architecture last, so that an error about a duplicate name points to the
	// architecture's file.
	ds.declareArch(arch)
	return nil
}

// declareArch declares the parameters and formulas of the architecture.
func (ds *declarations) declareArch(arch *schema.Architecture) {
	for _, param := range arch.Params {
		if kind := param.Type.Formula(); kind != formula.Any {
			ds.scope.Input(param.Name, kind, param.Pos)
		}
	}
	for _, name := range schema.Keys(arch.Formulas) {
		if !ds.rank || !ds.replaced(name) {
			ds.scope.Formula(name, arch.Formulas[name], formula.Any)
		}
	}
	if !ds.rank {
		for _, name := range schema.Keys(arch.Tables) {
			table(ds.scope, name, arch.Tables[name])
		}
	}
	for i := range arch.Requires {
		ds.scope.Formula(fmt.Sprintf("%s%d", archPrefix, i), arch.Requires[i].Require, formula.Bool)
	}
}

// wantedBy returns the names of the quantities listed in use.Names and of the quantities
// that they are computed from.
func (ds *declarations) wantedBy(use Use) map[string]bool {
	names := map[string]bool{}
	todo := strings.Split(use.Names, ",")
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		i := slices.IndexFunc(ds.schema.Quantities, func(q schema.Quantity) bool { return q.Name == name })
		if i < 0 || names[name] {
			continue
		}
		names[name] = true
		q := &ds.schema.Quantities[i]
		todo = append(append(todo, ds.formulaOf(q).Names()...), ds.detailOf(q).Names()...)
	}
	return names
}

// declareQuantities declares the quantities that a [Use] requests, if they exist in the
// accounting.
func (ds *declarations) declareQuantities(use Use) {
	named := ds.wantedBy(use)
	ds.computed = map[string]bool{}
	for _, name := range ds.facts() {
		ds.scope.Input(name, formula.Num, diag.Pos{})
	}
	for i := range ds.schema.Quantities {
		q := &ds.schema.Quantities[i]
		if !q.Detail.IsZero() && !use.Detail && !named[q.Name] {
			continue
		}
		f := ds.formulaOf(q)
		switch {
		case !ds.has(q):
			continue
		case !f.IsZero():
			ds.computed[q.Name] = true
			ds.scope.Formula(q.Name, f, formula.Num)
		}
		if cond := ds.detailOf(q); !cond.IsZero() {
			ds.scope.Formula(detailPrefix+q.Name, cond, formula.Bool)
		}
		ds.wanted = append(ds.wanted, q)
	}
}

// folded reports whether any quantity must be computed from the layers because neither
// the schema nor the architecture has a formula for it.
func (ds *declarations) folded() bool {
	if ds.arch.Layers == nil {
		return false
	}
	for i := range ds.schema.Quantities {
		q := &ds.schema.Quantities[i]
		if _, own := ds.arch.Formulas[q.Name]; q.Formula.IsZero() && q.Detail.IsZero() && !own {
			return true
		}
	}
	return false
}

// replaced reports whether name is a quantity whose formula in the architecture is replaced
// by rank accounting.
func (ds *declarations) replaced(name string) bool {
	return slices.ContainsFunc(ds.schema.Quantities, func(q schema.Quantity) bool { return q.Name == name && q.Detail.IsZero() && q.Formula.IsZero() })
}

func addFormulas(scope *formula.Scope, m map[string]schema.Formula, want formula.Kind) {
	for _, name := range schema.Keys(m) {
		scope.Formula(name, m[name], want)
	}
}

func table(scope *formula.Scope, name string, m map[string]schema.Formula) {
	tableOf(scope, name, m, formula.Num)
}

func tableOf(scope *formula.Scope, name string, m map[string]schema.Formula, want formula.Kind) {
	keys := schema.Keys(m)
	srcs := make([]formula.Source, len(keys))
	for i, k := range keys {
		srcs[i] = m[k]
	}
	scope.Table(name, keys, srcs, want)
}

// link resolves frequently used names after the formulas are compiled.
func (ds *declarations) link() error {
	ds.Bench.Link(ds.prog)
	for i := range ds.arch.Requires {
		ref, _ := ds.prog.Ref(fmt.Sprintf("%s%d", archPrefix, i))
		ds.requires = append(ds.requires, ref)
	}
	for _, q := range ds.wanted {
		if !q.Detail.IsZero() {
			continue
		}
		r := result{q.Name, -1}
		if ref, ok := ds.prog.Ref(q.Name); ok {
			r.ref = ref
		}
		ds.results = append(ds.results, r)
	}
	if ds.cache == nil {
		return nil
	}
	if err := ds.linkCache(); err != nil {
		return err
	}
	ds.linkDefaults()
	return nil
}
