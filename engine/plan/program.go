package plan

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Program is the formulas of an architecture and of the schema, compiled for one
// accounting and one release of nixlbench. It does not change; what is computed
// with it is in a [Frame], and there may be many.
type Program struct {
	schema  *schema.Schema
	release string
	bench   *fit.Release

	arch *schema.Architecture
	rank bool
	prog *formula.Program

	wanted []*schema.Quantity
	// computed are the quantities that have a formula of their own.
	computed map[string]bool
	// requires are the conditions of the architecture, in its order.
	requires []formula.Ref
	cache    *cache // nil where no value is made of layers
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

const (
	dtypesTable  = "dtypes"
	detailPrefix = "detail."
)

// patternsTable is the architecture's table of access patterns.
const patternsTable = "access_patterns"

// Compile compiles the formulas of an architecture with those of the schema. The
// error holds everything that is wrong with them.
func Compile(s *schema.Schema, release string, arch *schema.Architecture, use Use) (*Program, error) {
	p := &Program{schema: s, release: release, arch: arch, rank: use.Rank}
	if err := known(arch, use.Rank); err != nil {
		return nil, err
	}
	ds := &declarations{p, formula.NewScope()}
	err := ds.declare(use.Detail)
	if err != nil {
		return nil, err
	}
	if p.prog, err = ds.scope.Compile(); err != nil {
		return nil, err
	}
	return p, p.link()
}

// link finds, once the formulas are compiled, what is asked often.
func (p *Program) link() error {
	p.bench.Link(p.prog)
	for i := range p.arch.Requires {
		ref, _ := p.prog.Ref(fmt.Sprintf("%s%d", archPrefix, i))
		p.requires = append(p.requires, ref)
	}
	if p.cache == nil {
		return nil
	}
	return p.linkCache()
}

// With returns a program with one formula more, which cannot read what is hidden,
// and the formula; see [formula.Program.With].
func (p *Program) With(name string, src formula.Source, want formula.Kind, hidden ...string) (*Program, formula.Ref, error) {
	prog, ref, err := p.prog.With(name, src, want, hidden...)
	q := *p
	q.prog = prog
	return &q, ref, err
}

// NewFrame returns a frame in which no request is loaded.
func (p *Program) NewFrame() *Frame { return &Frame{Program: p, frame: p.prog.NewFrame()} }

// known reports whether the architecture has what the accounting needs.
func known(arch *schema.Architecture, rank bool) error {
	at := diag.Pos{File: arch.File}
	switch {
	case len(arch.Tables[patternsTable]) == 0 && arch.Layers == nil:
		return diag.Errorf(at, "%s does not define I/Os: it has neither %s nor a cache section", arch.Name, patternsTable).
			WithHint("add formulas for block and layer there, or describe its layers in cache")
	case rank && arch.Layers == nil:
		return diag.Errorf(at, "%s does not describe its layers: the rank accounting needs a cache section", arch.Name).
			WithHint("leave out --%s %s, or see docs/adding-a-new-model-architecture.md", accountingVar, accountingRank)
	case !rank && len(arch.Tables[patternsTable]) == 0:
		return diag.Errorf(at, "%s has no %s: the documented arithmetic does not cover such models", arch.Name, patternsTable).
			WithHint("--%s %s counts their layers one by one", accountingVar, accountingRank)
	}
	return nil
}

// accounting returns the word for the planner's accounting.
func (p *Program) accounting() string {
	if p.rank {
		return accountingRank
	}
	return schema.AccountingModel
}

// knows reports whether the accounting has a field.
func (p *Program) knows(f *schema.Field) bool { return f.Needs == "" || f.Needs == p.accounting() }

// has reports whether the accounting has a quantity.
func (p *Program) has(q *schema.Quantity) bool {
	if p.rank {
		return p.isFact(q.Name) || !q.Rank.IsZero() || p.isFold(q.Name)
	}
	return !q.Formula.IsZero() || q.Detail.IsZero()
}

// isFact reports whether a quantity is a fact about the I/Os of a rank.
func (p *Program) isFact(name string) bool {
	return p.rank && slices.Contains([]string{blockFact, batchFact, rankFact}, name)
}

// elsewhere says how to get what this accounting does not have.
func (p *Program) elsewhere() string {
	if !p.rank && p.arch.Layers == nil {
		return fmt.Sprintf("--%s %s needs a cache section, which %s does not have", accountingVar, accountingRank, p.arch.Name)
	}
	other := schema.AccountingRank
	if p.rank {
		other = schema.AccountingModel
	}
	return fmt.Sprintf("--%s %s has it", accountingVar, other)
}

// checkTables refuses field values that are no key of the table that holds
// them.
func (p *Program) checkTables(req *Request) error {
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

// checkNeeds refuses values of fields that another accounting alone has. What is
// as if it were not given does no harm.
func (p *Program) checkNeeds(req *Request) error {
	var errs diag.List
	for i := range p.schema.Fields {
		f := &p.schema.Fields[i]
		if p.knows(f) {
			continue
		}
		v := req.Config.Values[f.Var]
		if v.Origin.Kind == data.FromDefault || v.Text() == f.Default.Text() {
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

// Reads reports whether any of the named values depends on a configuration
// field.
func (p *Program) Reads(field string, names ...string) bool {
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

// isElsewhere reports whether a name is of a quantity, or of a field that another
// accounting has.
func (p *Program) isElsewhere(name string) bool {
	return slices.ContainsFunc(p.schema.Quantities, func(q schema.Quantity) bool { return q.Name == name }) ||
		slices.ContainsFunc(p.schema.Fields, func(f schema.Field) bool { return f.Var == name && !p.knows(&f) })
}

// nameHint says what is meant by a name that no formula of the planner knows,
// or why it knows none; "" for nothing to say.
func (p *Program) nameHint(name string, items []Item) string {
	if p.isElsewhere(name) {
		return p.elsewhere()
	}
	for i := range p.schema.Fields {
		if f := &p.schema.Fields[i]; f.Flag == name {
			return fmt.Sprintf("did you mean %q?", f.Var)
		}
	}
	if _, ok := p.prog.Ref(stageVar); ok && name == ColumnStage {
		return fmt.Sprintf("did you mean %q?", stageVar)
	}
	if slices.Contains(OwnColumns, name) {
		return "it is a column, which formulas cannot read"
	}
	if slices.ContainsFunc(items, func(it Item) bool { _, ok := it.Planner.prog.Ref(name); return ok }) {
		return fmt.Sprintf("%s has no such name", p.arch.Name)
	}
	return ""
}

func (p *Program) isFold(name string) bool {
	return slices.ContainsFunc(p.schema.Cache.Get().Folds, func(f schema.Fold) bool { return f.Name == name })
}
