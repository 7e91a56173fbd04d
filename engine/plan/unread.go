package plan

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"kvbench/engine/data"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Shown describes which parts of plans a command shows.
type Shown struct {
	// Names are the names of the values shown: quantities, fields and formulas.
	Names []string
	// Flags reports whether the nixlbench command and its limits are shown.
	Flags bool
	// Bytes reports whether only the total size of the I/Os is shown, not their number and
	// sizes.
	Bytes bool
	// Runs reports whether kvbench runs the nixlbench command. A run sets additional flags.
	Runs bool
}

// Unread is a value that the user set but that has no effect on what a command shows.
type Unread struct {
	Field *schema.Field
	Value data.Fact
	// Axis reports whether the value is the first of several values on an axis.
	Axis bool
	// Instead contains alternatives: fields that accept the same value and that the plan
	// depends on.
	Instead []*schema.Field
	// Other is the name of the other accounting, if plans in that accounting depend on the
	// field.
	Other string
	// Kinds lists layer kinds that depend on the field in rank accounting but that the model
	// does not have.
	Kinds []string
	// If this architecture never depends on the field, Elsewhere lists other architectures
	// that do, keyed by accounting.
	Elsewhere map[string][]string
	// The With field lists flags that would make the plan depend on the field, each with a
	// value.
	With []string
	// Hidden reports whether some values depend on the field but are not shown. These
	// values are listed in Quantities or, if Quantities is empty, are in the nixlbench
	// command.
	Hidden     bool
	Quantities []string
	// Chooses reports whether the plan is for a transfer between ranks only because the
	// user set this value (and perhaps other values that have no effect).
	Chooses bool
}

// Unread returns the values that the user set in a request but that do not affect what is
// shown. Files are usually shared by several commands, so Unread returns a value from a
// file only if no output at all depends on the value and if the value differs from the one
// that would apply if the field were not set.
func (p *Planner) Unread(req *Request, shown Shown) []Unread {
	if p.unread.areVisible(p.unread.given(req), req, shown) {
		return nil
	}
	return p.complete().unread.find(req, shown)
}

// UnreadFlags returns the flags of a request that nixlbench does not read.
func (p *Planner) UnreadFlags(req *Request, shown Shown) ([]fit.Unread, error) {
	return fit.UnreadFlags(&p.schema.Nixlbench, p.release, req.Flags, req.Knobs, shown.Runs)
}

// unread determines which values have no effect on the plans of a program.
type unread struct {
	*Program
	layers *Layers // for evaluating the layers of a request's model
	// tracers, depends and shown are caches. depends contains the dependencies of whole
	// plans, and shown contains those of the values that a command shows. Their keys begin
	// with a key from [unread.present].
	tracers map[string]*tracer
	depends map[string]*dependencies
	shown   map[string]*dependencies
	other   *unread // for the other accounting; see [unread.otherAccounting]
	indexed map[string]*schema.Field
}

func newUnread(p *Program, layers *Layers) *unread { return &unread{Program: p, layers: layers} }

// areVisible reports whether each of the fields affects a quantity that is shown or, if
// the command is shown, the command. It may return false even if they all do, because it
// ignores indirect dependencies unless the program computes only quantities.
func (r *unread) areVisible(fields []*schema.Field, req *Request, shown Shown) bool {
	if len(fields) == 0 {
		return true
	}
	direct := r.direct(req, shown)
	return !slices.ContainsFunc(fields, func(f *schema.Field) bool {
		return !direct(f.Var) && !(r.use.Quantities && r.dependenciesOf(req, shown).reads(f.Var))
	})
}

// direct returns a function that reports whether the output depends on a field in any way
// other than through a fold. Finding only such dependencies is much faster than finding all
// dependencies.
func (r *unread) direct(req *Request, shown Shown) func(field string) bool {
	t, _ := r.tracerFor(req)
	var names []string
	for i := range r.schema.Quantities {
		if q := &r.schema.Quantities[i]; slices.Contains(shown.Names, q.Name) && r.has(q) {
			names = append(names, q.Name)
		}
	}
	refs := r.refs(names...)
	if shown.Flags {
		refs = append(refs, r.Bench.Refs()...)
	}
	if r.cache != nil {
		refs = append(refs, r.layerRefs(shown.Bytes)...)
	}
	inputs := t.reach.Inputs(refs...)
	return func(field string) bool {
		return inputs.Has(field) || shown.Flags && (field == fit.SourceVar || field == fit.DestinationVar)
	}
}

// given returns the fields that the user set and that are expected to have an effect.
func (r *unread) given(req *Request) []*schema.Field {
	var list []*schema.Field
	for i := range r.schema.Fields {
		f := &r.schema.Fields[i]
		from := req.Config.Values[f.Var].Origin
		note := f.Note == schema.NoteAny || f.Note == schema.NoteFile && from.Kind == data.FromFile
		// checkNeeds reports the fields that do not exist in the accounting.
		if r.knows(f) && !note && f.Var != accountingVar && from.Given() {
			list = append(list, f)
		}
	}
	return list
}

func (r *unread) find(req *Request, shown Shown) []Unread {
	var list []Unread
	fields := r.given(req)
	if len(fields) == 0 {
		return nil
	}
	all := r.dependencies(req)
	visible := sync.OnceValue(func() *dependencies { return r.dependenciesOf(req, shown) })
	for _, f := range fields {
		v := req.Config.Values[f.Var]
		inFile := v.Origin.Kind == data.FromFile
		u := Unread{Field: f, Value: v, Axis: req.Config.Varies(f.Var), Hidden: all.reads(f.Var)}
		switch {
		case u.Hidden && (inFile || visible().reads(f.Var)):
			continue
		case u.Hidden:
			u.Quantities = all.quantities(f.Var)
			u.Chooses = f.Transfer && !r.slowest && !slices.ContainsFunc(fields, func(other *schema.Field) bool {
				return other.Transfer && visible().reads(other.Var)
			})
		default:
			u.Instead = r.alternatives(all, f, v.Text())
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

// Readers returns a function that reports whether anything in the plans for a request,
// shown or not, depends on a field.
func (p *Planner) Readers(req *Request) func(field string) bool {
	direct := sync.OnceValue(func() func(string) bool {
		return p.unread.direct(req, Shown{Names: p.unread.quantities(), Flags: true})
	})
	find := sync.OnceValue(func() *dependencies { return p.unread.dependencies(req) })
	return func(field string) bool {
		return direct()(field) || find().reads(field) || p.use.Quantities && p.complete().Readers(req)(field)
	}
}

// quantities returns the names of all quantities.
func (r *unread) quantities() []string {
	names := make([]string, len(r.schema.Quantities))
	for i := range names {
		names[i] = r.schema.Quantities[i].Name
	}
	return names
}

// harmless reports whether a value equals the one that would apply if the field were not
// set: the value of a field in u.Instead or, if u.Instead is empty, the default.
func (r *unread) harmless(req *Request, u *Unread) bool {
	for _, f := range u.Instead {
		if req.Config.Values[f.Var].Text() == u.Value.Text() {
			return true
		}
	}
	return len(u.Instead) == 0 && !u.Field.Default.IsZero() && u.Field.Default.Text() == u.Value.Text()
}

// alternatives returns the other fields that accept the same value and that the plan
// depends on. It omits fields whose other values differ, because they accept this value
// only by chance.
func (r *unread) alternatives(all *dependencies, f *schema.Field, value string) []*schema.Field {
	var list []*schema.Field
	for i := range r.schema.Fields {
		other := &r.schema.Fields[i]
		a, b := f.Values(), other.Values()
		both := slices.Contains(a, value) && slices.Contains(b, value)
		if other != f && both && (within(a, b) || within(b, a)) && all.reads(other.Var) {
			list = append(list, other)
		}
	}
	return list
}

// within reports whether b contains all values of a.
func within(a, b []string) bool {
	return !slices.ContainsFunc(a, func(value string) bool { return !slices.Contains(b, value) })
}

// otherWith returns the name of the architecture's other accounting if plans in that
// accounting depend on a field. Otherwise, it returns "".
func (r *unread) otherWith(req *Request, field string) string {
	other := r.otherAccounting()
	if other == nil || !other.dependencies(req).reads(field) {
		return ""
	}
	return other.accounting()
}

// otherAccounting returns a value like r for the architecture's other accounting, or nil
// if the architecture does not support it.
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

// kindsWith returns the layer kinds whose formulas depend on a field in rank
// accounting.
func (r *unread) kindsWith(field string) []string {
	if r.rank {
		return r.Program.kindsWith(field)
	}
	if other := r.otherAccounting(); other != nil {
		return other.Program.kindsWith(field)
	}
	return nil
}

// elsewhereWith returns the other architectures that depend on a field, keyed by
// accounting.
func (r *unread) elsewhereWith(field string) map[string][]string {
	all := map[string][]string{}
	for _, listed := range r.schema.Architectures {
		arch := listed.Arch.Get()
		if arch.Name == r.arch.Name {
			continue
		}
		for _, rank := range []bool{false, true} {
			other, err := Compile(r.schema, r.release, arch, Use{Rank: rank, Detail: true, Transfer: r.transfers, Slowest: r.slowest})
			if err == nil && other.tracer(everything).dependencies().reads(field) {
				all[other.accounting()] = append(all[other.accounting()], arch.Name)
			}
		}
	}
	return all
}

// dependencies returns the dependencies of the plans for a request.
func (r *unread) dependencies(req *Request) *dependencies {
	t, key := r.tracerFor(req)
	if r.depends[key] == nil {
		r.depends[key] = t.dependencies()
	}
	return r.depends[key]
}

// dependenciesOf returns the dependencies of the values shown in plans for a request.
func (r *unread) dependenciesOf(req *Request, shown Shown) *dependencies {
	t, key := r.tracerFor(req)
	key += fmt.Sprint(shown)
	if d := r.shown[key]; d != nil {
		return d
	}
	refs := r.refs(shown.Names...)
	d := &dependencies{others: slices.Clone(shown.Names)}
	if shown.Flags {
		refs = append(refs, r.Bench.Refs()...)
		d.others = append(d.others, fit.SourceVar, fit.DestinationVar)
	}
	d.inputs = t.inputs(refs)
	t.addLayers(d, shown.Bytes)
	for i := range r.schema.Quantities { // some quantities shown have no formula in the program
		if q := &r.schema.Quantities[i]; slices.Contains(shown.Names, q.Name) && r.has(q) {
			d.inputs.Add(t.quantityInputs(q))
		}
	}
	r.shown[key] = d
	return d
}

// tracerFor returns a tracer that follows the formulas that [unread.present] accepts for a
// request, and the tracer's key.
func (r *unread) tracerFor(req *Request) (*tracer, string) {
	follow, key := r.present(req)
	if r.tracers == nil {
		r.tracers, r.depends, r.shown = map[string]*tracer{}, map[string]*dependencies{}, map[string]*dependencies{}
	}
	if r.tracers[key] == nil {
		r.tracers[key] = r.tracer(follow)
	}
	return r.tracers[key], key
}

// present returns a function that reports whether to follow a formula for a request. In
// tables indexed by group or kind, it accepts only the entries for the model's groups and
// kinds. In tables indexed by a field, it accepts only the entries for the field's values
// in the request. Requests with the same key accept the same formulas.
func (r *unread) present(req *Request) (follow func(name string) bool, key string) {
	ofLayers, key := r.presentLayers(req)
	chosen := r.chosen(req)
	for _, table := range schema.Keys(chosen) {
		key += fmt.Sprint(" ", chosen[table])
	}
	open := map[string]bool{} // whether a field has the engine's value for some of the axis values
	for _, name := range schema.Keys(r.defaults) {
		open[name+formula.Otherwise] = !r.givenIn(req, name)
		key += fmt.Sprint(" ", open[name+formula.Otherwise])
	}
	ofTables := following(ofLayers, chosen)
	return func(name string) bool {
		if strings.HasSuffix(name, formula.Otherwise) {
			counts, ok := open[name]
			return counts || !ok
		}
		return ofTables(name)
	}, key
}

// givenIn reports whether all of a request's values for a field count as set.
func (r *unread) givenIn(req *Request, field string) bool {
	for _, a := range req.Config.Axes {
		if a.Field.Var == field {
			return r.AllGiven(&a)
		}
	}
	return r.Given(field, req.Config.Values[field])
}

// chosen returns the entries that the request uses in each table that is indexed by a
// field. It omits tables whose field may have the engine's value.
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

// withValue returns flags that would make the plan depend on a field, each with a value.
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
			if r.tracer(following(ofLayers, other)).dependencies().reads(field) {
				list = append(list, flag)
			}
		}
	}
	slices.Sort(list)
	return list
}

// presentLayers returns the part of [unread.present] that considers groups and kinds of
// layers. The returned function accepts everything unless the groups depend only on the
// model.
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
