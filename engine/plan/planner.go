// Package plan turns facts into quantities and quantities into nixlbench
// flags. It applies the backend's rules and the limits of a release, and can
// fit a plan to them. All of these are data; the package knows their form only.
package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// The names that the rules' form needs: the flag that selects the backend, the
// configuration's two sides of a transfer, and the value of one argument of the
// command: a limit that reads it holds if it does for each argument.
const (
	backendFlag    = "backend"
	sourceVar      = "source"
	destinationVar = "destination"
	sideMemory     = "memory"
	sideGPU        = "gpu"
	argumentVar    = "argument"
	dtypesTable    = "dtypes"
	limitPrefix    = "limits."
	fixPrefix      = "fix."
	takesPrefix    = "takes."
	leastPrefix    = "least."
	detailPrefix   = "detail."
)

// Planner makes plans for models of one architecture and one nixlbench
// release. It is not safe for concurrent use.
type Planner struct {
	schema  *schema.Schema
	bench   *schema.Nixlbench
	release string
	arch    *schema.Architecture
	// ReleaseFrom says in messages where the release comes from.
	ReleaseFrom string

	rank   bool
	cache  *cache // nil where no value is made of layers
	wanted []*schema.Quantity
	// computed are the quantities that have a formula of their own.
	computed map[string]bool

	prog  *formula.Program
	frame *formula.Frame
	// The cells of the model that was planned last.
	cellsOf *config.Model
	cells   []cell
	flags   []flagSlot // of the release, by name
	// What plans depend on; see [Planner.Unread].
	depends map[string]*dependencies
	shown   map[string]map[string]bool
	other   *Planner
	// defaults are the fields that have an engine's value where nobody gave one.
	defaults map[string]*engineDefault
	indexed  map[string]*schema.Field
	// requires are the conditions of the architecture, in its order.
	requires []formula.Ref
}

// Use says what a planner is for.
type Use struct {
	// Rank counts what one rank of a serving engine moves, not the whole model
	// by the documented arithmetic.
	Rank bool
	// Detail adds the quantities that are shown on demand.
	Detail bool
}

// Accounting returns the name of the accounting that the configuration of a model
// asks for.
func Accounting(cfg *config.Config) string { return cfg.Values[accountingVar].Str }

// UseOf returns the accounting that the configuration of a model asks for; see
// [config.Config.With].
func UseOf(cfg *config.Config) Use { return Use{Rank: Accounting(cfg) == accountingRank} }

// Fullest returns the accounting that knows most of an architecture, for values
// that are the same in both.
func Fullest(arch *schema.Architecture) Use { return Use{Rank: arch.Layers != nil} }

// The field that chooses the accounting, and the word for that of ranks.
const (
	accountingVar  = schema.AccountingVar
	accountingRank = schema.AccountingRank
)

// flagSlot is a flag of the release.
type flagSlot struct {
	*schema.Flag
	era *schema.FlagEra
	ref formula.Ref
	def formula.Value
}

// New compiles the formulas of an architecture with those of the schema. The
// error holds everything that is wrong with them.
func New(s *schema.Schema, release string, arch *schema.Architecture, use Use) (*Planner, error) {
	p := &Planner{schema: s, bench: &s.Nixlbench, release: release, arch: arch, rank: use.Rank, ReleaseFrom: "--nixlbench_release"}
	if err := p.known(); err != nil {
		return nil, err
	}
	scope := formula.NewScope()
	p.declareFieldsOfConfig(scope)
	table(scope, dtypesTable, s.Dtypes)
	addFormulas(scope, s.Let, formula.Any)
	wanted := p.declareQuantities(scope, use.Detail)
	p.declareBench(scope)

	for _, param := range arch.Params {
		if kind := param.Type.Formula(); kind != formula.Any {
			scope.Input(param.Name, kind, param.Pos)
		}
	}
	for _, name := range schema.Keys(arch.Formulas) {
		if !p.rank || !p.replaced(name) {
			scope.Formula(name, SourceOf(arch.Formulas[name]), formula.Any)
		}
	}
	if !p.rank {
		for _, name := range schema.Keys(arch.Tables) {
			table(scope, name, arch.Tables[name])
		}
	}
	for i := range arch.Requires {
		scope.Formula(fmt.Sprintf("%s%d", archPrefix, i), SourceOf(arch.Requires[i].Require), formula.Bool)
	}
	if p.rank || p.folded() {
		if err := p.declareCache(scope); err != nil {
			return nil, err
		}
	}

	var err error
	if p.prog, err = scope.Compile(); err != nil {
		return nil, err
	}
	p.frame = p.prog.NewFrame()
	for i := range p.flags {
		p.flags[i].ref, _ = p.prog.Ref(p.flags[i].Name)
	}
	for i := range arch.Requires {
		ref, _ := p.prog.Ref(fmt.Sprintf("%s%d", archPrefix, i))
		p.requires = append(p.requires, ref)
	}
	if p.cache != nil {
		if err := p.linkCache(wanted); err != nil {
			return nil, err
		}
		p.linkDefaults()
	}
	return p, nil
}

// known reports whether the architecture has what the accounting needs.
func (p *Planner) known() error {
	at := diag.Pos{File: p.arch.File}
	switch {
	case len(p.arch.Tables[patternsTable]) == 0 && p.arch.Layers == nil:
		return diag.Errorf(at, "%s does not define I/Os: it has neither %s nor a cache section", p.arch.Name, patternsTable).
			WithHint("add formulas for block and layer there, or describe its layers in cache")
	case p.rank && p.arch.Layers == nil:
		return diag.Errorf(at, "%s does not describe its layers: the rank accounting needs a cache section", p.arch.Name).
			WithHint("leave out --%s %s, or see docs/adding-a-new-model-architecture.md", accountingVar, accountingRank)
	case !p.rank && len(p.arch.Tables[patternsTable]) == 0:
		return diag.Errorf(at, "%s has no %s: the documented arithmetic does not cover such models", p.arch.Name, patternsTable).
			WithHint("--%s %s counts their layers one by one", accountingVar, accountingRank)
	}
	return nil
}

// patternsTable is the architecture's table of access patterns.
const patternsTable = "access_patterns"

// folded reports whether the KV bytes of a token are the sum over layers.
func (p *Planner) folded() bool {
	if p.arch.Layers == nil {
		return false
	}
	for i := range p.schema.Quantities {
		q := &p.schema.Quantities[i]
		if _, own := p.arch.Formulas[q.Name]; q.Formula.IsZero() && q.Detail.IsZero() && !own {
			return true
		}
	}
	return false
}

// replaced reports whether the rank accounting has its own value for what the
// architecture says of a token or an I/O.
func (p *Planner) replaced(name string) bool {
	return slices.ContainsFunc(p.schema.Quantities, func(q schema.Quantity) bool { return q.Name == name && q.Detail.IsZero() })
}

func (p *Planner) isFold(name string) bool {
	return slices.ContainsFunc(p.schema.Cache.Get().Folds, func(f schema.Fold) bool { return f.Name == name })
}

// declareQuantities declares those that the accounting has, and gives their
// names.
func (p *Planner) declareQuantities(scope *formula.Scope, detail bool) []string {
	p.computed = map[string]bool{}
	var names []string
	for i := range p.schema.Quantities {
		q := &p.schema.Quantities[i]
		if !q.Detail.IsZero() && !detail {
			continue
		}
		f := q.Formula
		if p.rank {
			f = q.Rank
		}
		switch {
		case !p.has(q):
			continue
		case p.isFact(q.Name):
			scope.Input(q.Name, formula.Num, diag.Pos{})
		case !f.IsZero():
			p.computed[q.Name] = true
			scope.Formula(q.Name, SourceOf(f), formula.Num)
		}
		if cond := q.Detail; !cond.IsZero() {
			if p.rank && !q.RankDetail.IsZero() {
				cond = q.RankDetail
			}
			scope.Formula(detailPrefix+q.Name, SourceOf(cond), formula.Bool)
		}
		p.wanted = append(p.wanted, q)
		names = append(names, q.Name)
	}
	return names
}

// isFact reports whether a quantity is a fact about the I/Os of a rank.
func (p *Planner) isFact(name string) bool {
	return p.rank && slices.Contains([]string{blockFact, batchFact, rankFact}, name)
}

// has reports whether the accounting has a quantity.
func (p *Planner) has(q *schema.Quantity) bool {
	if p.rank {
		return p.isFact(q.Name) || !q.Rank.IsZero() || p.isFold(q.Name)
	}
	return !q.Formula.IsZero() || q.Detail.IsZero()
}

// declareBench declares the release's flags, its backends' rules and limits.
func (p *Planner) declareBench(scope *formula.Scope) {
	for _, name := range schema.Keys(p.bench.Flags) {
		f := p.bench.Flags[name]
		era := p.bench.FlagIn(f, p.release)
		if era == nil {
			scope.Default(name, f.AbsentValue())
			continue
		}
		def := era.Default
		p.flags = append(p.flags, flagSlot{Flag: f, era: era, def: def})
		if f.Computed.IsZero() {
			scope.Default(name, def)
		} else {
			scope.Formula(name, SourceOf(f.Computed), def.Kind)
		}
	}
	scope.Input(argumentVar, formula.Str, diag.Pos{})
	addFormulas(scope, p.bench.Let, formula.Any)
	for _, name := range schema.Keys(p.bench.Least) {
		scope.Formula(leastPrefix+name, SourceOf(p.bench.Least[name]), formula.Any)
	}
	for _, name := range schema.Keys(p.bench.Backends) {
		if b := p.bench.Backends[name]; p.bench.In(b.Era, p.release) {
			scope.Formula(takesPrefix+name+"."+sideMemory, SourceOf(b.Takes.Memory), formula.Bool)
			scope.Formula(takesPrefix+name+"."+sideGPU, SourceOf(b.Takes.GPU), formula.Bool)
		}
	}
	for i := range p.bench.Limits {
		l := &p.bench.Limits[i]
		if !p.bench.In(l.Era, p.release) {
			continue
		}
		scope.Formula(limitPrefix+l.Name, SourceOf(l.Require), formula.Bool)
		for _, flag := range schema.Keys(l.Fix) {
			scope.Formula(fixPrefix+l.Name+"."+flag, SourceOf(l.Fix[flag]), formula.Any)
		}
	}
}

func addFormulas(scope *formula.Scope, m map[string]schema.Formula, want formula.Kind) {
	for _, name := range schema.Keys(m) {
		scope.Formula(name, SourceOf(m[name]), want)
	}
}

func table(scope *formula.Scope, name string, m map[string]schema.Formula) {
	tableOf(scope, name, m, formula.Num)
}

func tableOf(scope *formula.Scope, name string, m map[string]schema.Formula, want formula.Kind) {
	keys := schema.Keys(m)
	srcs := make([]formula.Source, len(keys))
	for i, k := range keys {
		srcs[i] = SourceOf(m[k])
	}
	scope.Table(name, keys, srcs, want)
}

// SourceOf returns a formula of the data as the formula package has it.
func SourceOf(f schema.Formula) formula.Source {
	return formula.Source{Text: f.Text, Pos: f.Pos, Local: f.Local}
}

// set assigns a name its value in the frame; names that no formula knows do not
// matter.
func (p *Planner) set(name string, v formula.Value) {
	if ref, ok := p.prog.Ref(name); ok && p.prog.Kind(ref) == v.Kind {
		p.frame.Set(ref, v)
	}
}

// load empties the frame and sets the facts of a request.
func (p *Planner) load(req *Request) {
	p.frame.Reset()
	for name, v := range req.Model.Params {
		p.set(name, v.Value)
	}
	for name, v := range req.Config.Values {
		p.setField(name, v)
	}
	for name, v := range req.settled {
		p.set(name, v.Value)
	}
	for _, f := range req.facts {
		p.set(f.name, formula.Value{Kind: formula.Num, Num: f.num})
	}
	p.set(accountingVar, formula.Text(p.accounting()))
}

// accounting returns the word for the planner's accounting.
func (p *Planner) accounting() string {
	if p.rank {
		return accountingRank
	}
	return schema.AccountingModel
}

// checkTables refuses field values that are no key of the table that holds
// them.
func (p *Planner) checkTables(req *Request) error {
	var errs diag.List
	for i := range p.schema.Fields {
		f := &p.schema.Fields[i]
		keys := schema.Keys(p.arch.Tables[f.Table])
		if p.rank && f.Table == patternsTable {
			keys = schema.Keys(p.schema.Cache.Get().Covers)
		}
		v := req.Config.Values[f.Var]
		if len(keys) == 0 || v.Kind != formula.Str || slices.Contains(keys, v.Str) {
			continue
		}
		field := f.Path + ": "
		if v.Origin.Kind == data.FromFlag {
			field = ""
		}
		d := v.Origin.Errorf("%s%q is not allowed: expected one of %s", field, v.Str, strings.Join(keys, ", ")).About(diag.NotAllowed, v.Str)
		if _, ok := p.schema.Cache.Get().Covers[v.Str]; ok && f.Table == patternsTable {
			d.WithHint("--%s %s has it", accountingVar, accountingRank)
		} else {
			d.Suggest(v.Str, keys)
		}
		errs = append(errs, d)
	}
	return errs.Err()
}

// knows reports whether the accounting has a field.
func (p *Planner) knows(f *schema.Field) bool { return f.Needs == "" || f.Needs == p.accounting() }

// checkNeeds refuses values of fields that another accounting alone has. What is
// as if it were not given does no harm.
func (p *Planner) checkNeeds(req *Request) error {
	var errs diag.List
	for i := range p.schema.Fields {
		f := &p.schema.Fields[i]
		if p.knows(f) {
			continue
		}
		v := req.Config.Values[f.Var]
		if v.Origin.Kind == data.FromDefault || v.Origin.Kind == data.FromEngine || v.Text() == f.Default.Text() {
			continue
		}
		what := ""
		if v.Origin.Kind == data.FromFile || v.Origin.Kind == data.FromModel {
			what = f.Path + ": "
		}
		d := v.Origin.Errorf("%sexists only in the %s accounting; this plan's accounting is %s", what, f.Needs, p.accounting())
		if p.arch.Layers == nil || f.Needs != accountingRank {
			d.WithHint("leave it out: %s", p.elsewhere())
		} else {
			d.WithHint("use --%s %s, or leave it out", accountingVar, f.Needs)
		}
		errs = append(errs, d)
	}
	return errs.Err()
}

// elsewhere says how to get what this accounting does not have.
func (p *Planner) elsewhere() string {
	if !p.rank && p.arch.Layers == nil {
		return fmt.Sprintf("--%s %s needs a cache section, which %s does not have", accountingVar, accountingRank, p.arch.Name)
	}
	other := schema.AccountingRank
	if p.rank {
		other = schema.AccountingModel
	}
	return fmt.Sprintf("--%s %s has it", accountingVar, other)
}

// quantities evaluates the quantities that are wanted, each a whole number.
func (p *Planner) quantities() ([]Quantity, error) {
	var errs diag.List
	all := make([]Quantity, 0, len(p.wanted))
	for _, q := range p.wanted {
		ref, ok := p.prog.Ref(q.Name)
		if !ok {
			errs = append(errs, diag.Errorf(diag.Pos{File: p.arch.File}, "%s has no formula for %s", p.arch.Name, q.Name))
			continue
		}
		least := int64(1)
		if detail, ok := p.prog.Ref(detailPrefix + q.Name); ok {
			shown, err := p.frame.Bool(detail)
			errs.Add(err)
			if !shown {
				continue
			}
			least = 0
		}
		v, err := p.frame.Num(ref)
		if err != nil {
			errs.Add(err)
			continue
		}
		n, whole := v.Int64()
		if !whole {
			src := p.origin(ref)
			d := diag.Errorf(src.Pos, "%s is %s, which is not a whole number", q.Name, v).About(diag.NotWhole, q.Name)
			d.Source, d.Caret = src.Text, 1
			errs = append(errs, d.WithHint("round it explicitly: floor(), ceil(), div() or ceil_div()"))
			continue
		}
		if p.rank {
			least = 0 // of recurrent models, no bytes go with tokens
		}
		if n < least {
			errs = append(errs, diag.Errorf(p.origin(ref).Pos, "%s is %d: expected at least %d", q.Name, n, least).About(diag.NotWhole, q.Name))
			break // what follows would be as odd
		}
		all = append(all, Quantity{q.Name, q.Unit, q.Doc, n})
	}
	return all, errs.Err()
}

// origin returns the formula that a value comes from: where the formula picks
// one of a table, the one that it picks.
func (p *Planner) origin(ref formula.Ref) formula.Source {
	uses := p.prog.Uses(ref)
	for _, name := range uses {
		t, ok := p.arch.Tables[name]
		if !ok {
			continue
		}
		for _, key := range uses {
			if r, ok := p.prog.Ref(key); ok && p.prog.Kind(r) == formula.Str {
				if v, err := p.frame.Eval(r); err == nil && !t[v.Str].IsZero() {
					return SourceOf(t[v.Str])
				}
			}
		}
	}
	return p.prog.Source(ref)
}

// Reads reports whether any of the named values depends on a configuration
// field.
func (p *Planner) Reads(field string, names ...string) bool {
	for _, name := range names {
		if name == field {
			return true
		}
		if ref, ok := p.prog.Ref(name); ok && slices.Contains(p.prog.Inputs(ref), field) {
			return true
		}
	}
	return false
}

// Quantity is a number that a plan yields.
type Quantity struct {
	Name, Unit, Doc string
	Value           int64
}

// Request is what a plan is made of.
type Request struct {
	Model  *config.Model
	Config *config.Config
	// Flags are the nixlbench flags that the user gave, by name.
	Flags map[string]data.Fact
	// Knobs are those of them that have other values in the other requests of a
	// sweep.
	Knobs []FlagAxis
	// Fit changes values that the user did not give so that the release
	// accepts the plan.
	Fit bool
	// Least sets the flags that have a least value which fits to it, where the
	// user did not give them and the plan is fitted.
	Least bool

	// Of a plan for a rank: its stage, its I/Os, and the values that come of its
	// layers.
	stage *stage
	io    *io
	facts []fact
	// settled are the engine's values of the fields that nobody gave.
	settled map[string]data.Fact
}

// fact is a value that comes of a model's layers.
type fact struct {
	name string
	num  formula.Rat
}

// label names the request in messages.
func (r *Request) label() diag.Pos { return diag.Pos{File: r.Config.File} }

// Plan is the outcome.
type Plan struct {
	Request    *Request
	Release    string
	Quantities []Quantity
	// Flags holds every flag of the release, by name; nil for a plan of
	// quantities alone.
	Flags []Flag
	// Violations are the limits that the plan breaks.
	Violations []Violation
	// Warnings are about the request itself.
	Warnings diag.List
}

// Flag is a nixlbench flag with its value.
type Flag struct {
	*schema.Flag
	Value formula.Value
	// From says where the value comes from.
	From Source
	// By names the formula that made it fit.
	By string
	// Emit marks the flags that the command needs.
	Emit bool
}

// Source is where a flag's value comes from.
type Source uint8

// The sources of a flag's value.
const (
	Default Source = iota
	Given
	Computed
	Rule
	Fix
	Run // filled in for one run
)

// Origin says where a flag's value comes from, in words.
func (pl *Plan) Origin(f *Flag) string {
	switch f.From {
	case Given:
		return pl.Request.Flags[f.Name].Origin.String()
	case Computed:
		return "the plan"
	case Rule:
		values := pl.Request.Config.Values
		return fmt.Sprintf("rule of backend %s: %s to %s", pl.Backend(), values[sourceVar].Str, values[destinationVar].Str)
	case Fix:
		if limit, ok := strings.CutPrefix(f.By, fixPrefix); ok {
			return "adjusted to meet the limit " + strings.TrimSuffix(limit, "."+f.Name)
		}
		return "the smallest that fits"
	case Run:
		return "this run"
	}
	return "default of nixlbench " + pl.Release
}

// Backend returns the backend that the plan is for.
func (pl *Plan) Backend() string {
	for i := range pl.Flags {
		if pl.Flags[i].Name == backendFlag {
			return pl.Flags[i].Value.Str
		}
	}
	return ""
}

// Quantities evaluates the quantities only: of one plan, or in the accounting of
// ranks of a plan for each size of I/Os and each stage that is asked for.
func (p *Planner) Quantities(req *Request) ([]*Plan, error) {
	if err := p.checkNeeds(req); err != nil {
		return nil, err
	}
	if err := p.checkTables(req); err != nil {
		return nil, err
	}
	p.load(req)
	requests, warnings, err := p.expand(req)
	if err != nil {
		return nil, err
	}
	var all []*Plan
	for _, one := range requests {
		one = one.withSettled()
		p.load(one)
		q, err := p.quantities()
		if err != nil {
			return nil, err
		}
		all = append(all, &Plan{Request: one, Release: p.release, Quantities: q})
	}
	all[0].Warnings = warnings
	return all, nil
}

// Rank reports whether the plan is for one rank.
func (pl *Plan) Rank() bool { return pl.Request.io != nil }

// Stage returns the number of the pipeline stage that the plan is for, in the
// accounting of ranks.
func (pl *Plan) Stage() int { return pl.Request.stage.number }

// Group names the groups of layers that the plan's I/Os are of, in the
// accounting of ranks.
func (pl *Plan) Group() string { return strings.Join(pl.Request.io.groups, "+") }

// Value returns a value of the plan by name: a quantity, a configuration field, a
// parameter, the architecture's name, or of a plan for one rank its stage and
// group.
func (pl *Plan) Value(name string) (formula.Value, bool) {
	text := func(s string) (formula.Value, bool) { return formula.Text(s), true }
	switch {
	case name == "architecture":
		return text(pl.Request.Model.Arch.Name)
	case name == "stage" && pl.Rank():
		st := pl.Request.stage
		return text(fmt.Sprintf("%d (%s)", st.number, st.layers()))
	case name == "group" && pl.Rank():
		return text(pl.Group())
	case name == "io_covers" && pl.Rank():
		return text(pl.Request.io.what())
	}
	for _, q := range pl.Quantities {
		if q.Name == name {
			return formula.Number(q.Value), true
		}
	}
	if v, ok := pl.Request.Config.Values[name]; ok {
		return v.Value, true
	}
	v, ok := pl.Request.Model.Params[name]
	return v.Value, ok
}

// Plans makes plans: quantities, flags, and the limits they break; one plan, or
// in the accounting of ranks one for each size of I/Os and each stage that is
// asked for. A plan that was to be fitted and cannot be is an error that says
// which sizes would fit.
//
// The request stays as it is; the plans' own have the sides of the transfer.
func (p *Planner) Plans(request *Request) ([]*Plan, error) {
	all, err := p.Quantities(request)
	if err != nil {
		return nil, err
	}
	var errs diag.List
	var good []*Plan
	for _, pl := range all {
		if err := p.plan(pl); err != nil {
			errs.Add(err)
			continue
		}
		good = append(good, pl)
	}
	return good, errs.Err()
}

// plan adds the flags to a plan of quantities.
func (p *Planner) plan(out *Plan) error {
	req, cfg := *out.Request, *out.Request.Config
	cfg.Values = maps.Clone(cfg.Values)
	req.Config = &cfg
	out.Request = &req
	values, err := p.resolve(&req)
	if err != nil {
		return err
	}
	if req.Fit {
		var broken []Violation
		if values, broken = p.fit(&req, values, false); broken != nil {
			return p.refusal(&req, values, broken)
		}
	} else {
		out.Violations = p.check(&req, values)
	}
	p.apply(&req, values)
	out.Flags, err = p.collect(values)
	return err
}

// flagValue is a flag's value with the reason for it.
type flagValue struct {
	formula.Value
	from Source
	by   string // the formula of a fix
}

// apply loads the frame with the request and the flags' values.
func (p *Planner) apply(req *Request, values map[string]flagValue) {
	p.load(req)
	for name, v := range values {
		p.set(name, v.Value)
	}
}

// collect reads every flag of the release from the frame.
func (p *Planner) collect(values map[string]flagValue) ([]Flag, error) {
	var errs diag.List
	out := make([]Flag, len(p.flags))
	all := false
	for i, s := range p.flags {
		v, err := p.frame.Eval(s.ref)
		if err == nil {
			err = p.inRange(s, v)
		}
		if err != nil {
			errs.Add(err)
			continue
		}
		out[i] = Flag{Flag: s.Flag, Value: v, From: values[s.Name].from, By: values[s.Name].by, Emit: v.String() != s.def.String()}
		if out[i].From == Default && !s.Computed.IsZero() {
			out[i].From = Computed
		}
		all = all || s.WritesAll && out[i].From == Given
	}
	for i := range out {
		out[i].Emit = out[i].Emit || all
	}
	return out, errs.Err()
}

// inRange checks that a number fits the flag's type.
func (p *Planner) inRange(s flagSlot, v formula.Value) error {
	if v.Kind != formula.Num {
		return nil
	}
	lo, hi := schema.Range(s.era.Type)
	if n, whole := v.Num.Int64(); !whole || n < lo || n > hi {
		return diag.Errorf(s.Computed.Pos, "%s of nixlbench %s takes whole numbers from %d to %d, not %s", s.Name, p.release, lo, hi, v.Num).About(diag.NotWhole, s.Name)
	}
	return nil
}

// slot finds a flag of the release.
func (p *Planner) slot(name string) (flagSlot, bool) {
	i, ok := slices.BinarySearchFunc(p.flags, name, func(s flagSlot, name string) int { return strings.Compare(s.Name, name) })
	if !ok {
		return flagSlot{}, false
	}
	return p.flags[i], true
}

// number returns the current value of a flag in the frame.
func (p *Planner) number(name string) (int64, error) {
	s, ok := p.slot(name)
	if !ok {
		return 0, fmt.Errorf("no flag %s", name)
	}
	v, err := p.frame.Num(s.ref)
	if err != nil {
		return 0, err
	}
	n, _ := v.Int64()
	return n, nil
}
