package plan

import (
	"slices"

	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Program contains the formulas of an architecture and of the schema, compiled for one
// accounting and one release of nixlbench. It is immutable. The values that it computes are
// stored in a [Frame]; a program may have many frames.
type Program struct {
	account
	use     Use
	release string
	// Bench is the nixlbench release.
	Bench *fit.Release

	prog   *formula.Program
	wanted []*schema.Quantity // the quantities to compute
	// results are the requested quantities that every plan has.
	results []result
	// computed contains the names of the quantities that the schema has a formula for.
	computed map[string]bool
	// requires contains references to the conditions of the architecture's requirements, in
	// the same order.
	requires []formula.Ref
	cache    *cache // nil if no value is computed from layers
	// defaults contains the fields whose values the engine determines if the user does not
	// set them.
	defaults map[string]*engineDefault
}

const (
	dtypesTable  = "dtypes"
	detailPrefix = "detail."
)

// Compile compiles the formulas of an architecture with those of the schema. The error
// lists everything that is wrong with them.
func Compile(s *schema.Schema, release string, arch *schema.Architecture, use Use) (*Program, error) {
	p := &Program{account: account{s, arch, use.Rank, use.Rank && use.Transfer, use.Rank && use.Transfer && use.Slowest}, use: use, release: release}
	if err := known(arch, use.Rank); err != nil {
		return nil, err
	}
	ds := &declarations{p, formula.NewScope(), map[*schema.Kind]map[string]string{}}
	err := ds.declare(use)
	if err != nil {
		return nil, err
	}
	if p.prog, err = ds.scope.Compile(); err != nil {
		return nil, err
	}
	return p, ds.link()
}

// Formulas returns the compiled formulas.
func (p *Program) Formulas() *formula.Program { return p.prog }

// ShownIf returns the condition for showing a quantity, if it has one.
func (p *Program) ShownIf(quantity string) (formula.Ref, bool) {
	return p.prog.Ref(detailPrefix + quantity)
}

// Layered reports whether any value is computed from a model's layers.
func (p *Program) Layered() bool { return p.cache != nil }

// Requires reports whether the architecture has requirements on its parameters.
func (p *Program) Requires() bool { return len(p.requires) > 0 }

// result is a quantity with a reference to its value.
type result struct {
	name string
	ref  formula.Ref // -1 if the quantity has no formula
}

// IsResult reports whether name is the name of a quantity that every plan has.
func (p *Program) IsResult(name string) bool {
	return slices.ContainsFunc(p.results, func(r result) bool { return r.name == name })
}

// Complete returns an error if there is no formula for a quantity that every plan must
// have.
func (p *Program) Complete() error {
	var errs diag.List
	for _, r := range p.results {
		if r.ref < 0 {
			errs = append(errs, p.lacks(r.name))
		}
	}
	return errs.Err()
}

func (p *Program) lacks(quantity string) *diag.Diag {
	return diag.Errorf(diag.Pos{File: p.arch.File}, "%s has no formula for %s", p.arch.Name, quantity)
}

// With returns a copy of the program with an additional formula, and a reference to that
// formula. The formula cannot use the hidden names; see [formula.Program.With].
func (p *Program) With(name string, src formula.Source, want formula.Kind, hidden ...string) (*Program, formula.Ref, error) {
	prog, ref, err := p.prog.With(name, src, want, hidden...)
	if err != nil {
		return nil, 0, err
	}
	q := *p
	q.prog = prog
	return &q, ref, nil
}

// NewFrame returns a frame in which no request is loaded.
func (p *Program) NewFrame() *Frame { return &Frame{Program: p, frame: p.prog.NewFrame()} }

// Reads reports whether any of the named values depends on a configuration
// field.
func (p *Program) Reads(field string, names ...string) bool {
	for _, name := range names {
		if name == field {
			return true
		}
		if ref, ok := p.prog.Ref(name); ok && p.prog.DependsOn(ref, field) {
			return true
		}
	}
	return false
}
