package plan

import (
	"slices"
	"strings"

	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// tracer determines which inputs the values of a program depend on. It follows only some
// of the program's formulas.
type tracer struct {
	*Program
	// reach contains the dependencies of values, but not the dependencies of the folds that
	// these values read. The without field is a cache of dependencies found without
	// following certain names, and is keyed by those names. folds is a cache of the inputs
	// of folds.
	reach   *formula.Reach
	without map[string]*formula.Reach
	folds   map[string]formula.Inputs
}

// tracer returns a tracer that follows only formulas for which follow returns true.
func (p *Program) tracer(follow func(string) bool) *tracer {
	return &tracer{p, p.prog.Reach(follow), map[string]*formula.Reach{}, map[string]formula.Inputs{}}
}

// dependencies are the inputs that plans for a model depend on.
type dependencies struct {
	inputs formula.Inputs
	others []string                  // names of values that are read directly, without a formula
	of     map[string]formula.Inputs // the inputs of each quantity
}

// reads reports whether plans depend on an input.
func (d *dependencies) reads(name string) bool {
	return d.inputs.Has(name) || slices.Contains(d.others, name)
}

// quantities returns the names of the quantities that depend on an input.
func (d *dependencies) quantities(input string) []string {
	var list []string
	for _, q := range schema.Keys(d.of) {
		if d.of[q].Has(input) {
			list = append(list, q)
		}
	}
	return list
}

// dependencies returns the dependencies of plans.
func (t *tracer) dependencies() *dependencies {
	d := &dependencies{t.inputs(t.Bench.Refs()), []string{fit.SourceVar, fit.DestinationVar}, map[string]formula.Inputs{}}
	for i := range t.schema.Quantities {
		if q := &t.schema.Quantities[i]; t.has(q) {
			d.of[q.Name] = t.quantityInputs(q)
			d.inputs.Add(d.of[q.Name])
		}
	}
	t.addLayers(d, false)
	return d
}

// quantityInputs returns the inputs that a quantity depends on, even if the program does
// not declare the quantity.
func (t *tracer) quantityInputs(q *schema.Quantity) formula.Inputs {
	f := t.formulaOf(q)
	if !f.IsZero() {
		return t.inputs(t.refs(f.Names()...))
	}
	if i := slices.IndexFunc(t.allFolds(), func(f schema.Fold) bool { return f.Name == q.Name }); i >= 0 && !t.computed[q.Name] {
		return t.foldInputs(&t.allFolds()[i])
	}
	return t.inputs(t.refs(q.Name))
}

// inputs returns the inputs of values, including those of the folds that the values depend
// on.
func (t *tracer) inputs(refs []formula.Ref) formula.Inputs {
	return t.withFolds(t.reach.Inputs(refs...), nil)
}

// foldInputs returns the inputs of a fold. It does not follow values that have a
// stand-in.
func (t *tracer) foldInputs(f *schema.Fold) formula.Inputs {
	without := schema.Keys(f.Set)
	return t.withFolds(t.reachWithout(without).Inputs(t.foldRefs(f)...), without)
}

// withFolds returns inputs and, for each fold among them, the fold's inputs. The given
// inputs were found by following all names except those in without. A fold may depend on
// itself through a name that has a stand-in in another fold.
func (t *tracer) withFolds(inputs formula.Inputs, without []string) formula.Inputs {
	seen := map[string]bool{}
	all := t.reach.Inputs()
	var add func(formula.Inputs, []string)
	add = func(inputs formula.Inputs, without []string) {
		all.Add(inputs)
		folds := t.allFolds()
		for i := range folds {
			f := &folds[i]
			if !inputs.Has(f.Name) || t.computed[f.Name] {
				continue
			}
			not := slices.Concat(without, schema.Keys(f.Set))
			slices.Sort(not)
			not = slices.Compact(not)
			key := f.Name + " without " + strings.Join(not, " ")
			if seen[key] {
				continue
			}
			seen[key] = true
			own, ok := t.folds[key]
			if !ok {
				own = t.reachWithout(not).Inputs(t.foldRefs(f)...)
				t.folds[key] = own
			}
			add(own, not)
		}
	}
	add(inputs, without)
	return all
}

// reachWithout returns the dependencies that are found without following the given names.
func (t *tracer) reachWithout(names []string) *formula.Reach {
	if len(names) == 0 {
		return t.reach
	}
	key := strings.Join(names, " ")
	if t.without[key] == nil {
		t.without[key] = t.reach.Without(names...)
	}
	return t.without[key]
}

// allFolds returns the folds that the program may contain.
func (t *tracer) allFolds() []schema.Fold {
	if t.cache == nil {
		return nil
	}
	return t.schema.Cache.Get().Folds
}

// foldRefs returns references to all formulas of a fold, including those of its stand-ins.
func (t *tracer) foldRefs(f *schema.Fold) []formula.Ref {
	names := []string{foldPrefix + f.Name}
	names = append(names, whenName(f.Name))
	for j := range f.By {
		names = append(names, byName(f.Name, j))
	}
	for _, name := range schema.Keys(f.Set) {
		names = append(names, foldPrefix+f.Name+"."+name)
	}
	return t.refs(names...)
}

// addLayers adds the inputs of values that are computed from layers. Every number in a
// plan depends on these inputs. If bytes is true, addLayers omits the inputs that affect
// only the number and sizes of the I/Os, not their total size.
func (t *tracer) addLayers(d *dependencies, bytes bool) {
	if t.cache == nil {
		return
	}
	d.inputs.Add(t.inputs(t.layerRefs(bytes)))
	for _, name := range stageFields {
		if t.rank && !(t.transfers && name == stageField) && !(bytes && name == patternField) { // a transfer always includes all stages
			d.others = append(d.others, name)
		}
	}
}

// kindsWith returns the layer kinds whose formulas depend on a field.
func (p *Program) kindsWith(field string) []string {
	var list []string
	c := p.schema.Cache.Get()
	for _, name := range schema.Keys(c.Kinds) {
		k := c.Kind(name)
		texts := []schema.Formula{k.Pages, k.Grows, k.Bound, k.Sort, k.Span, k.SamePages}
		for _, part := range schema.Keys(k.Parts) {
			texts = append(texts, k.Parts[part])
		}
		var refs []formula.Ref
		for _, f := range texts {
			for _, n := range f.Names() {
				if _, ok := k.Fields[n]; ok {
					n = fieldVar(n)
				}
				refs = append(refs, p.refs(n)...)
			}
		}
		ofKind := func(n string) bool {
			table, kind, isEntry := strings.Cut(n, ".")
			return !isEntry || !strings.HasPrefix(table, kindTables) || kind == name
		}
		if p.tracer(ofKind).inputs(refs).Has(field) {
			list = append(list, name)
		}
	}
	return list
}

// indexedBy returns the tables that have an entry for each value of a field. It maps each
// table's name to the field.
func (p *Program) indexedBy() map[string]*schema.Field {
	indexed := map[string]*schema.Field{}
	tables := p.schema.Cache.Get().Tables
	for i := range p.schema.Fields {
		f := &p.schema.Fields[i]
		if f.Var == patternField {
			indexed[coversVar] = f
		}
		values := f.Values()
		for name, table := range tables {
			if len(values) > 0 && len(values) == len(table) && !slices.ContainsFunc(values, func(v string) bool { return table[v] == nil }) {
				indexed[name] = f
			}
		}
	}
	return indexed
}

func everything(string) bool { return true }

// following returns a function that reports whether to follow a formula. The function
// accepts the formulas that ofLayers accepts, except table entries that are missing from
// the table's list in chosen.
func following(ofLayers func(string) bool, chosen map[string][]string) func(string) bool {
	return func(name string) bool {
		table, entry, isEntry := strings.Cut(name, ".")
		if !isEntry {
			return true
		}
		values := chosen[table]
		return ofLayers(name) && (values == nil || slices.Contains(values, entry))
	}
}

// The names of tables indexed by group and by kind begin with these prefixes.
const (
	groupTables = "group_"
	kindTables  = "kind_"
)
