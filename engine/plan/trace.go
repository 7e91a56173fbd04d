package plan

import (
	"slices"
	"strings"

	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// tracer determines which inputs the values of a program depend on.
type tracer struct{ *Program }

// dependencies are the inputs that plans for a model depend on.
type dependencies struct {
	inputs map[string]bool     // all inputs
	of     map[string][]string // the inputs of each quantity
}

func (d *dependencies) add(inputs []string) {
	for _, name := range inputs {
		d.inputs[name] = true
	}
}

// quantities returns the names of the quantities that depend on an input.
func (d *dependencies) quantities(input string) []string {
	var list []string
	for _, q := range schema.Keys(d.of) {
		if slices.Contains(d.of[q], input) {
			list = append(list, q)
		}
	}
	return list
}

// dependenciesBy returns the dependencies of plans, following only formulas for which
// follow returns true.
func (t tracer) dependenciesBy(follow func(string) bool) *dependencies {
	d := &dependencies{map[string]bool{}, map[string][]string{}}
	for i := range t.schema.Quantities {
		if q := &t.schema.Quantities[i]; t.has(q) {
			d.of[q.Name] = t.quantityInputs(q, follow)
			d.add(d.of[q.Name])
		}
	}
	d.add(t.inputs(t.Bench.Refs(), follow))
	d.add([]string{fit.SourceVar, fit.DestinationVar})
	d.add(t.layerInputsOf(follow))
	return d
}

// quantityInputs returns the inputs of a quantity. The program need not declare the
// quantity.
func (t tracer) quantityInputs(q *schema.Quantity, follow func(string) bool) []string {
	f := t.formulaOf(q)
	if !f.IsZero() {
		return t.inputs(t.refs(formula.Names(f.Text)...), follow)
	}
	if fold := t.foldNamed(q.Name); fold != nil {
		return t.foldInputs(fold, follow)
	}
	return t.inputs(t.refs(q.Name), follow)
}

// inputs returns the inputs of values, including the inputs of folds that they depend
// on.
func (t tracer) inputs(refs []formula.Ref, follow func(string) bool) []string {
	return t.inputsWithout(refs, follow, nil, map[string]bool{})
}

// foldInputs returns the inputs of a fold. It does not follow values that have a
// stand-in.
func (t tracer) foldInputs(f *schema.Fold, follow func(string) bool) []string {
	return t.inputsWithout(t.foldRefs(f), follow, schema.Keys(f.Set), map[string]bool{})
}

// inputsWithout returns the inputs of values, without following the names in without.
// A fold may depend on itself through a name that has a stand-in in another fold, so
// seen records the folds already visited, each with the names not followed.
func (t tracer) inputsWithout(refs []formula.Ref, follow func(string) bool, without []string, seen map[string]bool) []string {
	names := t.prog.InputsOf(refs, func(name string) bool { return !slices.Contains(without, name) && follow(name) })
	for _, name := range names {
		f := t.foldNamed(name)
		if f == nil {
			continue
		}
		all := slices.Concat(without, schema.Keys(f.Set))
		slices.Sort(all)
		all = slices.Compact(all)
		key := name + " without " + strings.Join(all, " ")
		if !seen[key] {
			seen[key] = true
			names = append(names, t.inputsWithout(t.foldRefs(f), follow, all, seen)...)
		}
	}
	return names
}

// foldRefs returns the references to a fold's formula and to the formulas of its
// stand-ins.
func (t tracer) foldRefs(f *schema.Fold) []formula.Ref {
	names := []string{foldPrefix + f.Name}
	for _, name := range schema.Keys(f.Set) {
		names = append(names, foldPrefix+f.Name+"."+name)
	}
	return t.refs(names...)
}

// foldNamed returns the fold with the given name, or nil.
func (t tracer) foldNamed(name string) *schema.Fold {
	if t.cache == nil || t.computed[name] {
		return nil
	}
	folds := t.schema.Cache.Get().Folds
	i := slices.IndexFunc(folds, func(f schema.Fold) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return &folds[i]
}

// layerInputsOf returns the inputs that values computed from layers depend on. Every
// number in a plan depends on them.
func (t tracer) layerInputsOf(follow func(string) bool) []string {
	if t.cache == nil {
		return nil
	}
	inputs := t.inputs(t.layerRefs(), follow)
	if t.rank {
		inputs = append(inputs, stageFields...)
	}
	return inputs
}

// kindsWith returns the kinds of layers whose formulas depend on a field.
func (t tracer) kindsWith(field string) []string {
	var list []string
	kinds := t.schema.Cache.Get().Kinds
	for _, name := range schema.Keys(kinds) {
		texts := []schema.Formula{kinds[name].Pages, kinds[name].Grows, kinds[name].Bound, kinds[name].SamePages}
		for _, part := range schema.Keys(kinds[name].Parts) {
			texts = append(texts, kinds[name].Parts[part])
		}
		var refs []formula.Ref
		for _, f := range texts {
			for _, n := range formula.Names(f.Text) {
				if _, ok := kinds[name].Fields[n]; ok {
					n = fieldVar(n)
				}
				refs = append(refs, t.refs(n)...)
			}
		}
		ofKind := func(n string) bool {
			table, kind, isEntry := strings.Cut(n, ".")
			return !isEntry || !strings.HasPrefix(table, kindTables) || kind == name
		}
		if slices.Contains(t.inputs(refs, ofKind), field) {
			list = append(list, name)
		}
	}
	return list
}

// indexedBy returns the tables that have an entry for each value of a field, with that
// field.
func (t tracer) indexedBy() map[string]*schema.Field {
	indexed := map[string]*schema.Field{}
	tables := t.schema.Cache.Get().Tables
	for i := range t.schema.Fields {
		f := &t.schema.Fields[i]
		if f.Var == patternField {
			indexed[coversVar] = f
		}
		for name, table := range tables {
			if f.Values() != nil && slices.Equal(schema.Keys(table), slices.Sorted(slices.Values(f.Values()))) {
				indexed[name] = f
			}
		}
	}
	return indexed
}

func everything(string) bool { return true }

// following returns a function that reports whether to follow a formula. It accepts
// formulas that ofLayers accepts, but from a table in chosen only the listed entries.
func following(ofLayers func(string) bool, chosen map[string][]string) func(string) bool {
	return func(name string) bool {
		table, entry, isEntry := strings.Cut(name, ".")
		values := chosen[table]
		return ofLayers(name) && (!isEntry || values == nil || slices.Contains(values, entry))
	}
}

// The names of tables indexed by group and by kind begin with these prefixes.
const (
	groupTables = "group_"
	kindTables  = "kind_"
)
