package plan

import (
	"maps"
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// The fields that select an engine and its release, the value that lets kvbench choose the
// release, and the prefix that formulas use to read the model's own default for a field.
const (
	engineField  = schema.EngineVar
	releaseField = schema.EngineReleaseVar
	autoWord     = "auto"
	modelPrefix  = "model_"
)

// engineDefault is a field whose value the engine determines if the user does not set it.
type engineDefault struct {
	field string
	ref   formula.Ref
	// model is the input for the model's own default, or -1 if the field counts as set when
	// the model has a default for it.
	model formula.Ref
	// transfer reports whether the field exists only for transfers. If so, its default does
	// not come from the engine.
	transfer bool
	inputs   []string // the inputs that its formula may depend on
}

// declareConfig declares the configuration fields. In rank accounting, the engine
// determines the values of some fields that are not set.
func (ds *declarations) declareConfig() {
	for i := range ds.schema.Fields {
		f := &ds.schema.Fields[i]
		if !ds.knows(f) {
			continue
		}
		rule := ds.engineRule(f.Var)
		if rule.IsZero() {
			ds.scope.Input(f.Var, f.Type.Kinds.Formula(), f.Pos)
			continue
		}
		ds.scope.InputOr(f.Var, rule, f.Type.Kinds.Formula())
	}
}

// declareModelDefaults declares inputs for the model's own defaults that formulas of
// rank accounting read.
func (ds *declarations) declareModelDefaults() {
	asked := map[string]bool{}
	for _, f := range ds.schema.Cache.Get().Let {
		for _, name := range f.Names() {
			if strings.HasPrefix(name, modelPrefix) {
				asked[name] = true
			}
		}
	}
	for i := range ds.schema.Fields {
		if f := &ds.schema.Fields[i]; asked[modelPrefix+f.Var] {
			ds.scope.Input(modelPrefix+f.Var, f.Type.Kinds.Formula(), f.Pos)
		}
	}
}

// engineRule returns the formula for the value that engines use if a field is not set, or
// the zero Formula if there is none.
func (a *account) engineRule(field string) schema.Formula {
	if !a.rank {
		return schema.Formula{}
	}
	c := a.schema.Cache.Get()
	if a.transfers {
		if rule, ok := c.Transfer.Get().Defaults[field]; ok {
			return rule
		}
	}
	return c.Defaults[field]
}

// declareTables declares the tables of rank accounting. An entry that differs
// between releases becomes a table indexed by release.
func (ds *declarations) declareTables() {
	c := ds.schema.Cache.Get()
	for _, name := range schema.Keys(c.Tables) {
		ds.declareTable(name, c.Tables[name])
	}
}

func (ds *declarations) declareTable(name string, rules map[string]schema.EngineRule) {
	plain := map[string]schema.Formula{}
	for engine, rule := range rules {
		f, ok := rule.Plain()
		if !ok {
			f = schema.Formula{Text: eraTable(name, engine) + "[" + releaseField + "]"}
			declareEras(ds.scope, name, engine, rule, ds.schema.Cache.Get().Releases[engine])
		}
		plain[engine] = f
	}
	tableOf(ds.scope, name, plain, formula.Any)
}

func eraTable(name, engine string) string { return name + "_" + engine }

// declareEras declares a rule that differs between releases as a table indexed by
// release.
func declareEras(scope *formula.Scope, name, engine string, rule schema.EngineRule, releases []string) {
	var keys []string
	var srcs []formula.Source
	for _, release := range releases {
		if era := rule.Of(release, releases); era != nil && era.Unknown == "" {
			keys, srcs = append(keys, release), append(srcs, era.Value)
		}
	}
	missing := func(release string) *diag.Diag {
		if !slices.Contains(releases, release) {
			return nil
		}
		known := " (known for " + strings.Join(keys, ", ") + ")"
		era := rule.Of(release, releases)
		if era == nil {
			return diag.Errorf(diag.Pos{}, "kvbench does not know %s for %s before %s%s", name, engine, rule[len(rule)-1].Since, known)
		}
		return diag.Errorf(diag.Pos{}, "for %s %s, kvbench does not know %s%s", engine, release, era.Unknown, known).HintUnlessEmpty(era.Hint)
	}
	scope.TableBut(eraTable(name, engine), keys, srcs, formula.Any, missing)
}

// linkDefaults resolves the fields that engines determine, after the formulas are
// compiled.
func (ds *declarations) linkDefaults() {
	ds.defaults = map[string]*engineDefault{}
	for i := range ds.schema.Fields {
		name := ds.schema.Fields[i].Var
		ref, ok := ds.prog.Ref(name)
		if !ok || ds.engineRule(name).IsZero() {
			continue
		}
		d := &engineDefault{field: name, ref: ref, model: -1, transfer: ds.schema.Fields[i].Transfer, inputs: ds.prog.Inputs(ref)}
		if model, ok := ds.prog.Ref(modelPrefix + name); ok {
			d.model = model
		}
		ds.defaults[name] = d
		ds.cache.defaults = append(ds.cache.defaults, d)
		for _, f := range ds.cache.folds {
			if ds.prog.DependsOn(f.ref, name) {
				f.defaults = append(f.defaults, d)
			}
		}
	}
}

// Given reports whether a value of a field counts as set. If not, the engine determines
// the field's value.
func (p *Program) Given(name string, v data.Fact) bool {
	d := p.defaults[name]
	switch {
	case d == nil:
		return true
	case name == releaseField && v.Str == autoWord:
		return false
	case v.Origin.Kind == data.FromModel:
		return d.model < 0
	}
	return v.Origin.Kind != data.FromDefault
}

// AllGiven reports whether all values of an axis count as set.
func (p *Program) AllGiven(a *config.Axis) bool {
	return !slices.ContainsFunc(a.Values, func(v data.Fact) bool { return !p.Given(a.Field.Var, v) })
}

// setFields sets, in the frame, the configuration fields that count as set, and the model's
// own defaults that formulas read.
func (f *Frame) setFields(req *Request) {
	for name, v := range req.Config.Values {
		if f.Given(name, v) {
			f.set(name, v.Value)
		}
	}
	for name, v := range req.settled {
		f.set(name, v.Value)
	}
	for name, d := range f.defaults {
		if v, ok := req.Model.Defaults[name]; ok && d.model >= 0 {
			f.frame.Set(d.model, v.Value)
		}
	}
}

// settle determines the engine's values for the fields that are not set. Afterwards,
// stand-ins no longer change these values.
func (l *Layers) settle(req *Request, fields []*engineDefault) error {
	before := len(l.settled)
	for _, d := range fields {
		if _, ok := l.settled[d.field]; ok || l.Given(d.field, req.Config.Values[d.field]) {
			continue
		}
		v, err := l.base.Eval(d.ref)
		if err != nil {
			return l.missing(req, err)
		}
		from := data.Origin{Kind: data.FromEngine, Name: req.Config.Values[engineField].Str}
		for _, name := range d.inputs {
			if of := req.Config.Values[name].Origin; of.Kind == data.FromModel && name != d.field {
				from.Pos = of.Pos
			}
		}
		if d.transfer {
			from = data.Origin{Kind: data.FromDefault, Pos: l.prog.Source(d.ref).Pos}
		}
		l.settled[d.field] = data.Fact{Value: v, Origin: from}
	}
	if len(l.settled) == before {
		return nil
	}
	for _, d := range fields {
		if v, ok := l.settled[d.field]; ok {
			l.frame.Set(d.ref, v.Value)
		}
	}
	l.newSpace()
	return nil
}

// Settled returns the values that the engine determines for fields that are not set,
// keyed by their names in formulas. It returns nil if there are no such fields or the
// request cannot be expanded.
func (p *Planner) Settled(req *Request) map[string]data.Fact {
	if len(p.defaults) == 0 {
		return nil
	}
	if p.settledOf != req {
		p.layers.Load(req)
		all, _, err := p.layers.Expand(req)
		if err != nil {
			return nil
		}
		p.settledOf, p.settled = req, all[0].settled
	}
	return p.settled
}

// Settles reports whether an engine's value for a field can depend on another field, either
// directly or through values computed from all layers.
func (p *Program) Settles(field, on string) bool {
	ref, ok := p.prog.Ref(field)
	return ok && p.cache != nil && p.leadsTo(ref, on, map[formula.Ref]bool{})
}

func (p *Program) leadsTo(ref formula.Ref, field string, seen map[formula.Ref]bool) bool {
	if seen[ref] {
		return false
	}
	seen[ref] = true
	if p.prog.DependsOn(ref, field) {
		return true
	}
	inputs := p.prog.Inputs(ref)
	return slices.ContainsFunc(p.cache.folds, func(f *fold) bool {
		return slices.Contains(inputs, f.Name) && p.leadsTo(f.ref, field, seen)
	})
}

// withSettled returns the request with the engine's values for unset fields added to its
// configuration.
func (r *Request) withSettled() *Request {
	if len(r.settled) == 0 {
		return r
	}
	one, cfg := *r, *r.Config
	cfg.Values = maps.Clone(cfg.Values)
	maps.Copy(cfg.Values, r.settled)
	one.Config, one.settled = &cfg, nil
	return &one
}

// checkRelease returns an error if kvbench does not know the engine's release.
func (f *Frame) checkRelease(req *Request) error {
	engine, v := req.Config.Values[engineField].Str, req.Config.Values[releaseField]
	releases := f.schema.Cache.Get().Releases[engine]
	if len(releases) == 0 || v.Str == autoWord || !v.Origin.Given() || slices.Contains(releases, v.Str) {
		return nil
	}
	field := ""
	if v.Origin.Kind == data.FromFile || v.Origin.Kind == data.FromModel {
		field = "system." + releaseField + ": "
	}
	d := v.Origin.Errorf("%s%q is not a known release of %s: expected %s or one of %s", field, v.Str, engine, autoWord, strings.Join(releases, ", "))
	d.About(diag.NotAllowed, v.Str)
	if version := strings.TrimPrefix(v.Str, "v"); version != "" && version[0] >= '0' && version[0] <= '9' {
		if near := schema.NearestRelease(version, releases); near != "" {
			d.WithHint("did you mean %q?", near)
		}
		return d
	}
	newest := slices.Clone(releases)
	slices.Reverse(newest)
	d.Suggest(v.Str, newest)
	return d
}

// coverage describes what one I/O covers.
func (o *io) coverage() string {
	s := o.shares[0]
	parts := slices.Clone(s.parts)
	for i, part := range parts {
		if len(part) == 1 {
			parts[i] = strings.ToUpper(part)
		}
	}
	switch {
	case s.covers == schema.CoversStage:
		return "a page of all layers"
	case s.covers == schema.CoversBlock:
		return "a block with pages of all layers"
	case s.covers == schema.CoversPool:
		return "a page of all layers in a pool"
	case len(parts) == 1:
		return "a page of one layer"
	case s.covers == schema.CoversPart:
		return strings.Join(parts, " or ") + " of one layer's page"
	}
	return "a page of one layer, " + strings.Join(parts, " and ") + " together"
}
