package plan

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Shown is what a command shows of plans.
type Shown struct {
	// Names are values: quantities, fields, formulas.
	Names []string
	// Flags stands for the command of nixlbench, and the limits on it.
	Flags bool
	// Runs tells that the command is run, which sets more flags.
	Runs bool
}

// Unread is a value that the user gave and that has no effect.
type Unread struct {
	Field *schema.Field
	Value data.Fact
	// Axis tells that it is the first of several.
	Axis bool
	// Instead are fields that take the same values, and that the plan depends on.
	Instead []*schema.Field
	// Other names the other accounting, if that depends on the field.
	Other string
	// Kinds are the kinds of layers that depend on it in the rank accounting, which
	// the model has none of.
	Kinds []string
	// Elsewhere names other architectures that depend on it, by accounting, where
	// nothing of this one does.
	Elsewhere map[string][]string
	// With are the values of other fields with which the plan would depend on it, as
	// flags.
	With []string
	// Hidden tells that what depends on it is not shown: Quantities, or else the
	// command of nixlbench.
	Hidden     bool
	Quantities []string
}

// Unread returns the values of a request that were given, and that nothing which
// is shown depends on. A file says how a model is run, whatever is asked of it:
// of its values, those that no output depends on, unless they say what holds
// anyway.
func (p *Planner) Unread(req *Request, shown Shown) []Unread {
	var list []Unread
	for i := range p.schema.Fields {
		f := &p.schema.Fields[i]
		v := req.Config.Values[f.Var]
		inFile := v.Origin.Kind == data.FromFile
		if !p.knows(f) {
			continue // it is refused
		}
		if f.Note == schema.NoteAny || f.Note == schema.NoteFile && inFile || f.Var == accountingVar || !v.Origin.Given() {
			continue
		}
		all := p.dependencies(req)
		u := Unread{Field: f, Value: v, Axis: req.Config.Varies(f.Var), Hidden: all.inputs[f.Var]}
		switch {
		case u.Hidden && (inFile || p.shows(req, shown, f.Var)):
			continue
		case u.Hidden:
			u.Quantities = all.quantities(f.Var)
		default:
			u.Instead = p.instead(all, f, v.Text())
			if inFile && !u.Axis && p.harmless(req, &u) {
				continue
			}
			u.With = p.withValue(req, f.Var)
			if u.Other = p.otherWith(req, f.Var); u.Other == "" && u.With == nil {
				u.Kinds = p.kindsWith(f.Var)
			}
			if u.Other == "" && u.With == nil && len(u.Kinds) == 0 {
				u.Elsewhere = p.elsewhereWith(f.Var)
			}
		}
		list = append(list, u)
	}
	return list
}

// ReadsAnywhere reports whether anything of the plans for a model depends on a field,
// shown or not.
func (p *Planner) ReadsAnywhere(req *Request, field string) bool {
	return p.dependencies(req).inputs[field]
}

// harmless reports whether a value says what holds anyway: what the field says
// that the plan depends on, or else the default.
func (p *Planner) harmless(req *Request, u *Unread) bool {
	for _, f := range u.Instead {
		if req.Config.Values[f.Var].Text() == u.Value.Text() {
			return true
		}
	}
	return len(u.Instead) == 0 && !u.Field.Default.IsZero() && u.Field.Default.Text() == u.Value.Text()
}

// instead returns the other fields that take a value and that the plan depends on.
func (p *Planner) instead(all *dependencies, f *schema.Field, value string) []*schema.Field {
	var list []*schema.Field
	for i := range p.schema.Fields {
		other := &p.schema.Fields[i]
		if other != f && slices.Contains(other.Values(), value) && all.inputs[other.Var] {
			list = append(list, other)
		}
	}
	return list
}

// otherWith names the other accounting of the architecture, if there is one and
// it depends on a field.
func (p *Planner) otherWith(req *Request, field string) string {
	other := p.otherAccounting()
	if other == nil || !other.dependencies(req).inputs[field] {
		return ""
	}
	return other.accounting()
}

// otherAccounting returns the planner of the architecture's other accounting, or nil.
func (p *Planner) otherAccounting() *Planner {
	if p.other == nil {
		p.other = &Planner{}
		if other, err := New(p.schema, p.release, p.arch, Use{Rank: !p.rank, Detail: true}); err == nil {
			p.other = other
		}
	}
	if p.other.prog == nil {
		return nil
	}
	return p.other
}

// elsewhereWith returns the other architectures that depend on a field, by accounting.
func (p *Planner) elsewhereWith(field string) map[string][]string {
	all := map[string][]string{}
	for _, listed := range p.schema.Architectures {
		arch := listed.Arch.Get()
		if arch.Name == p.arch.Name {
			continue
		}
		for _, rank := range []bool{false, true} {
			other, err := New(p.schema, p.release, arch, Use{Rank: rank, Detail: true})
			if err == nil && other.dependenciesBy(everything).inputs[field] {
				all[other.accounting()] = append(all[other.accounting()], arch.Name)
			}
		}
	}
	return all
}

// kindsWith returns the kinds of layers whose formulas depend on a field, in the rank
// accounting.
func (p *Planner) kindsWith(field string) []string {
	if !p.rank {
		if p = p.otherAccounting(); p == nil {
			return nil
		}
	}
	var list []string
	kinds := p.schema.Cache.Get().Kinds
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
				refs = append(refs, p.refs(n)...)
			}
		}
		ofKind := func(n string) bool {
			table, kind, isEntry := strings.Cut(n, ".")
			return !isEntry || !strings.HasPrefix(table, kindTables) || kind == name
		}
		if slices.Contains(p.inputs(refs, ofKind), field) {
			list = append(list, name)
		}
	}
	return list
}

// dependencies are the inputs of everything that plans for a model have: by
// quantity, and all of them.
type dependencies struct {
	inputs map[string]bool
	of     map[string][]string
}

func (d *dependencies) add(inputs []string) {
	for _, name := range inputs {
		d.inputs[name] = true
	}
}

// quantities returns those that depend on an input.
func (d *dependencies) quantities(input string) []string {
	var list []string
	for _, q := range schema.Keys(d.of) {
		if slices.Contains(d.of[q], input) {
			list = append(list, q)
		}
	}
	return list
}

// dependencies returns those of the plans for a model.
func (p *Planner) dependencies(req *Request) *dependencies {
	follow, key := p.present(req)
	if d := p.depends[key]; d != nil {
		return d
	}
	d := p.dependenciesBy(follow)
	if p.depends == nil {
		p.depends = map[string]*dependencies{}
	}
	p.depends[key] = d
	return d
}

// dependenciesBy returns those through the formulas of tables that count.
func (p *Planner) dependenciesBy(follow func(string) bool) *dependencies {
	d := &dependencies{map[string]bool{}, map[string][]string{}}
	for i := range p.schema.Quantities {
		if q := &p.schema.Quantities[i]; p.has(q) {
			d.of[q.Name] = p.quantityInputs(q, follow)
			d.add(d.of[q.Name])
		}
	}
	d.add(p.inputs(p.flagRefs(), follow))
	d.add([]string{sourceVar, destinationVar})
	d.add(p.layerInputsOf(follow))
	return d
}

// quantityInputs returns what a quantity depends on, which need not be a part of
// the program itself.
func (p *Planner) quantityInputs(q *schema.Quantity, follow func(string) bool) []string {
	f := q.Formula
	if p.rank {
		f = q.Rank
	}
	if !f.IsZero() {
		return p.inputs(p.refs(formula.Names(f.Text)...), follow)
	}
	if fold := p.foldNamed(q.Name); fold != nil {
		return p.foldInputs(fold, follow)
	}
	return p.inputs(p.refs(q.Name), follow)
}

// inputs returns the inputs of values, also through those that are made of layers.
func (p *Planner) inputs(refs []formula.Ref, follow func(string) bool) []string {
	names := p.prog.InputsOf(refs, follow)
	for _, name := range names {
		if f := p.foldNamed(name); f != nil {
			names = append(names, p.foldInputs(f, follow)...)
		}
	}
	return names
}

// foldInputs returns what a value made of layers depends on. What has a stand-in
// does not count.
func (p *Planner) foldInputs(f *schema.Fold, follow func(string) bool) []string {
	names := []string{foldPrefix + f.Name}
	for _, name := range schema.Keys(f.Set) {
		names = append(names, foldPrefix+f.Name+"."+name)
	}
	return p.inputs(p.refs(names...), func(name string) bool { return f.Set[name].IsZero() && follow(name) })
}

// foldNamed returns the value made of layers of that name, or nil.
func (p *Planner) foldNamed(name string) *schema.Fold {
	if p.cache == nil || p.computed[name] {
		return nil
	}
	folds := p.schema.Cache.Get().Folds
	i := slices.IndexFunc(folds, func(f schema.Fold) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return &folds[i]
}

// flagRefs returns what the command of nixlbench and its limits are made of.
func (p *Planner) flagRefs() []formula.Ref {
	var refs []formula.Ref
	for _, s := range p.flags {
		refs = append(refs, s.ref)
	}
	for i := range p.bench.Limits {
		refs = append(refs, p.refs(limitPrefix+p.bench.Limits[i].Name)...)
	}
	for name := range p.bench.Backends {
		refs = append(refs, p.refs(takesPrefix+name+"."+sideMemory, takesPrefix+name+"."+sideGPU)...)
	}
	return refs
}

// layerInputsOf returns what comes of layers depends on: that goes into every
// number.
func (p *Planner) layerInputsOf(follow func(string) bool) []string {
	if p.cache == nil {
		return nil
	}
	inputs := p.inputs(p.layerRefs(), follow)
	if p.rank {
		inputs = append(inputs, stageFields...)
	}
	return inputs
}

// shows reports whether what is shown depends on a field.
func (p *Planner) shows(req *Request, shown Shown, field string) bool {
	follow, key := p.present(req)
	key += fmt.Sprint(shown)
	set := p.shown[key]
	if set == nil {
		d := dependencies{inputs: map[string]bool{}}
		d.add(shown.Names)
		refs := p.refs(shown.Names...)
		if shown.Flags {
			refs = append(refs, p.flagRefs()...)
			d.add([]string{sourceVar, destinationVar})
		}
		d.add(p.inputs(refs, follow))
		d.add(p.layerInputsOf(follow))
		for i := range p.schema.Quantities { // some are shown though no formula of the program has them
			if q := &p.schema.Quantities[i]; slices.Contains(shown.Names, q.Name) && p.has(q) {
				d.add(p.quantityInputs(q, follow))
			}
		}
		if p.shown == nil {
			p.shown = map[string]map[string]bool{}
		}
		set, p.shown[key] = d.inputs, d.inputs
	}
	return set[field]
}

func everything(string) bool { return true }

// present tells which formulas of tables count for a request: of those of groups and
// kinds of layers, those that the model has, and of a table with an entry for each
// value of a field, those of the values that the field has. The key is the same for
// requests that are alike.
func (p *Planner) present(req *Request) (follow func(name string) bool, key string) {
	ofLayers, key := p.presentLayers(req)
	chosen := p.chosen(req)
	for _, table := range schema.Keys(chosen) {
		key += fmt.Sprint(" ", chosen[table])
	}
	return following(ofLayers, chosen), key
}

// following tells which formulas count where tables have these entries alone.
func following(ofLayers func(string) bool, chosen map[string][]string) func(string) bool {
	return func(name string) bool {
		table, entry, isEntry := strings.Cut(name, ".")
		values := chosen[table]
		return ofLayers(name) && (!isEntry || values == nil || slices.Contains(values, entry))
	}
}

// chosen returns the values of a field by the tables that have an entry for each value
// that it may have.
func (p *Planner) chosen(req *Request) map[string][]string {
	if p.rank && p.indexed == nil {
		p.indexed = p.indexedBy()
	}
	chosen := map[string][]string{}
	for table, f := range p.indexed {
		chosen[table] = req.Config.Texts(f.Var)
	}
	return chosen
}

// indexedBy returns the field by the tables that have an entry for each of its values.
func (p *Planner) indexedBy() map[string]*schema.Field {
	indexed := map[string]*schema.Field{}
	tables := p.schema.Cache.Get().Tables
	for i := range p.schema.Fields {
		f := &p.schema.Fields[i]
		for name, table := range tables {
			if f.Values() != nil && slices.Equal(schema.Keys(table), slices.Sorted(slices.Values(f.Values()))) {
				indexed[name] = f
			}
		}
	}
	return indexed
}

// withValue returns the values of other fields with which the plan would depend on a
// field, as flags.
func (p *Planner) withValue(req *Request, field string) []string {
	ofLayers, _ := p.presentLayers(req)
	var list []string
	for table, chosen := range p.chosen(req) {
		f := p.indexed[table]
		for _, value := range f.Values() {
			flag := "--" + f.Flag + " " + value
			if slices.Contains(chosen, value) || slices.Contains(list, flag) {
				continue
			}
			other := p.chosen(req)
			for name := range other {
				if p.indexed[name] == f {
					other[name] = []string{value}
				}
			}
			if p.dependenciesBy(following(ofLayers, other)).inputs[field] {
				list = append(list, flag)
			}
		}
	}
	slices.Sort(list)
	return list
}

// presentLayers tells which formulas of groups and kinds of layers count.
func (p *Planner) presentLayers(req *Request) (follow func(name string) bool, key string) {
	if p.cache == nil || !p.cache.ofModel {
		return everything, ""
	}
	if p.cellsOf != req.Model {
		p.load(req)
		if _, err := p.layersOf(req); err != nil {
			return everything, ""
		}
	}
	groups, kinds := map[string]bool{}, map[string]bool{}
	for i := range p.cells {
		groups[p.cells[i].group], kinds[p.cells[i].kind] = true, true
	}
	return func(name string) bool {
		table, entry, isEntry := strings.Cut(name, ".")
		switch {
		case isEntry && strings.HasPrefix(table, groupTables):
			return groups[entry]
		case isEntry && strings.HasPrefix(table, kindTables):
			return kinds[entry]
		}
		return true
	}, strings.Join(schema.Keys(groups), " ")
}

// The tables by group and by kind begin with these.
const (
	groupTables = "group_"
	kindTables  = "kind_"
)
