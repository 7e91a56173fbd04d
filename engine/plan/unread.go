package plan

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/fit"
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
func (p *Planner) Unread(req *Request, shown Shown) []Unread { return p.unread.find(req, shown) }

// UnreadFlags returns the flags of a request that nixlbench does not read.
func (p *Planner) UnreadFlags(req *Request, shown Shown) ([]fit.Unread, error) {
	return fit.UnreadFlags(&p.schema.Nixlbench, p.release, req.Flags, req.Knobs, shown.Runs)
}

// unread finds what has no effect on the plans of a program.
type unread struct {
	tracer
	layers *Layers // for the layers of the models that are asked about
	// What plans depend on, and what is shown of them, by what sets requests apart.
	depends map[string]*dependencies
	shown   map[string]map[string]bool
	other   *unread // of the other accounting; see [unread.otherAccounting]
	indexed map[string]*schema.Field
}

func newUnread(p *Program, layers *Layers) *unread { return &unread{tracer: tracer{p}, layers: layers} }

func (r *unread) find(req *Request, shown Shown) []Unread {
	var list []Unread
	for i := range r.schema.Fields {
		f := &r.schema.Fields[i]
		v := req.Config.Values[f.Var]
		inFile := v.Origin.Kind == data.FromFile
		if !r.knows(f) {
			continue // it is refused
		}
		if f.Note == schema.NoteAny || f.Note == schema.NoteFile && inFile || f.Var == accountingVar || !v.Origin.Given() {
			continue
		}
		all := r.dependencies(req)
		u := Unread{Field: f, Value: v, Axis: req.Config.Varies(f.Var), Hidden: all.inputs[f.Var]}
		switch {
		case u.Hidden && (inFile || r.shows(req, shown, f.Var)):
			continue
		case u.Hidden:
			u.Quantities = all.quantities(f.Var)
		default:
			u.Instead = r.instead(all, f, v.Text())
			if inFile && !u.Axis && r.harmless(req, &u) {
				continue
			}
			u.With = r.withValue(req, f.Var)
			if u.Other = r.otherWith(req, f.Var); u.Other == "" && u.With == nil {
				u.Kinds = r.kindsWith(f.Var)
			}
			if u.Other == "" && u.With == nil && len(u.Kinds) == 0 {
				u.Elsewhere = r.elsewhereWith(f.Var)
			}
		}
		list = append(list, u)
	}
	return list
}

// ReadsAnywhere reports whether anything of the plans for a model depends on a field,
// shown or not.
func (p *Planner) ReadsAnywhere(req *Request, field string) bool {
	return p.unread.dependencies(req).inputs[field]
}

// harmless reports whether a value says what holds anyway: what the field says
// that the plan depends on, or else the default.
func (r *unread) harmless(req *Request, u *Unread) bool {
	for _, f := range u.Instead {
		if req.Config.Values[f.Var].Text() == u.Value.Text() {
			return true
		}
	}
	return len(u.Instead) == 0 && !u.Field.Default.IsZero() && u.Field.Default.Text() == u.Value.Text()
}

// instead returns the other fields that take a value and that the plan depends on.
func (r *unread) instead(all *dependencies, f *schema.Field, value string) []*schema.Field {
	var list []*schema.Field
	for i := range r.schema.Fields {
		other := &r.schema.Fields[i]
		if other != f && slices.Contains(other.Values(), value) && all.inputs[other.Var] {
			list = append(list, other)
		}
	}
	return list
}

// otherWith names the other accounting of the architecture, if there is one and
// it depends on a field.
func (r *unread) otherWith(req *Request, field string) string {
	other := r.otherAccounting()
	if other == nil || !other.dependencies(req).inputs[field] {
		return ""
	}
	return other.accounting()
}

// otherAccounting returns what has no effect in the architecture's other accounting,
// or nil.
func (r *unread) otherAccounting() *unread {
	if r.other == nil {
		r.other = &unread{}
		if p, err := Compile(r.schema, r.release, r.arch, Use{Rank: !r.rank, Detail: true}); err == nil {
			r.other = newUnread(p, p.NewFrame().Layers())
		}
	}
	if r.other.Program == nil {
		return nil
	}
	return r.other
}

// kindsWith returns the kinds of layers whose formulas depend on a field, in the rank
// accounting.
func (r *unread) kindsWith(field string) []string {
	if r.rank {
		return r.tracer.kindsWith(field)
	}
	if other := r.otherAccounting(); other != nil {
		return other.tracer.kindsWith(field)
	}
	return nil
}

// elsewhereWith returns the other architectures that depend on a field, by accounting.
func (r *unread) elsewhereWith(field string) map[string][]string {
	all := map[string][]string{}
	for _, listed := range r.schema.Architectures {
		arch := listed.Arch.Get()
		if arch.Name == r.arch.Name {
			continue
		}
		for _, rank := range []bool{false, true} {
			other, err := Compile(r.schema, r.release, arch, Use{Rank: rank, Detail: true})
			if err == nil && (tracer{other}).dependenciesBy(everything).inputs[field] {
				all[other.accounting()] = append(all[other.accounting()], arch.Name)
			}
		}
	}
	return all
}

// dependencies returns those of the plans for a model.
func (r *unread) dependencies(req *Request) *dependencies {
	follow, key := r.present(req)
	if d := r.depends[key]; d != nil {
		return d
	}
	d := r.dependenciesBy(follow)
	if r.depends == nil {
		r.depends = map[string]*dependencies{}
	}
	r.depends[key] = d
	return d
}

// shows reports whether what is shown depends on a field.
func (r *unread) shows(req *Request, shown Shown, field string) bool {
	follow, key := r.present(req)
	key += fmt.Sprint(shown)
	set := r.shown[key]
	if set == nil {
		d := dependencies{inputs: map[string]bool{}}
		d.add(shown.Names)
		refs := r.refs(shown.Names...)
		if shown.Flags {
			refs = append(refs, r.Bench.Refs()...)
			d.add([]string{fit.SourceVar, fit.DestinationVar})
		}
		d.add(r.inputs(refs, follow))
		d.add(r.layerInputsOf(follow))
		for i := range r.schema.Quantities { // some are shown though no formula of the program has them
			if q := &r.schema.Quantities[i]; slices.Contains(shown.Names, q.Name) && r.has(q) {
				d.add(r.quantityInputs(q, follow))
			}
		}
		if r.shown == nil {
			r.shown = map[string]map[string]bool{}
		}
		set, r.shown[key] = d.inputs, d.inputs
	}
	return set[field]
}

// present tells which formulas of tables count for a request: of those of groups and
// kinds of layers, those that the model has, and of a table with an entry for each
// value of a field, those of the values that the field has. The key is the same for
// requests that are alike.
func (r *unread) present(req *Request) (follow func(name string) bool, key string) {
	ofLayers, key := r.presentLayers(req)
	chosen := r.chosen(req)
	for _, table := range schema.Keys(chosen) {
		key += fmt.Sprint(" ", chosen[table])
	}
	open := map[string]bool{} // the fields that some point has the engine's value of
	for _, name := range schema.Keys(r.defaults) {
		open[name+formula.Otherwise] = !r.givenIn(req, name)
		key += fmt.Sprint(" ", open[name+formula.Otherwise])
	}
	ofTables := following(ofLayers, chosen)
	return func(name string) bool {
		if counts, ok := open[name]; ok {
			return counts
		}
		return ofTables(name)
	}, key
}

// givenIn reports whether the values of a field that a request has all count.
func (r *unread) givenIn(req *Request, field string) bool {
	for _, a := range req.Config.Axes {
		if a.Field.Var == field {
			return r.AllGiven(&a)
		}
	}
	return r.Given(field, req.Config.Values[field])
}

// chosen returns the values of a field by the tables that have an entry for each value
// that it may have.
func (r *unread) chosen(req *Request) map[string][]string {
	if r.rank && r.indexed == nil {
		r.indexed = r.indexedBy()
	}
	chosen := map[string][]string{}
	for table, f := range r.indexed {
		if r.givenIn(req, f.Var) {
			chosen[table] = req.Config.Texts(f.Var)
		}
	}
	return chosen
}

// withValue returns the values of other fields with which the plan would depend on a
// field, as flags.
func (r *unread) withValue(req *Request, field string) []string {
	ofLayers, _ := r.presentLayers(req)
	var list []string
	for table, chosen := range r.chosen(req) {
		f := r.indexed[table]
		for _, value := range f.Known() {
			flag := "--" + f.Flag + " " + value
			if slices.Contains(chosen, value) || slices.Contains(list, flag) {
				continue
			}
			other := r.chosen(req)
			for name := range other {
				if r.indexed[name] == f {
					other[name] = []string{value}
				}
			}
			if r.dependenciesBy(following(ofLayers, other)).inputs[field] {
				list = append(list, flag)
			}
		}
	}
	slices.Sort(list)
	return list
}

// presentLayers tells which formulas of groups and kinds of layers count.
func (r *unread) presentLayers(req *Request) (follow func(name string) bool, key string) {
	if r.cache == nil || !r.cache.ofModel {
		return everything, ""
	}
	if r.layers.cellsOf != req.Model {
		r.layers.Load(req)
		if _, err := r.layers.layersOf(req); err != nil {
			return everything, ""
		}
	}
	groups, kinds := map[string]bool{}, map[string]bool{}
	for i := range r.layers.cells {
		groups[r.layers.cells[i].group], kinds[r.layers.cells[i].kind] = true, true
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
