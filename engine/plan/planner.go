// Package plan turns facts into quantities and quantities into nixlbench flags.
//
// [Compile] makes a [Program] of an architecture's formulas, which does not change.
// A [Frame] has the values of one request under it, and [Layers] finds what comes of
// the layers of the request's model: several plans, one for each size of I/Os. A
// [Planner] puts these together and has package fit find the flags. [Planners] keeps
// planners, so that each is made once.
package plan

import (
	"maps"

	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/schema"
)

// Planner makes plans for models of one architecture and one nixlbench
// release. It is not safe for concurrent use.
type Planner struct {
	*Program
	// layers has the values of the request at hand, and fit its flags.
	layers *Layers
	fit    *fit.Fitter
	unread *unread
}

// New compiles the formulas of an architecture with those of the schema. The
// error holds everything that is wrong with them.
func New(s *schema.Schema, release string, arch *schema.Architecture, use Use) (*Planner, error) {
	p, err := Compile(s, release, arch, use)
	if err != nil {
		return nil, err
	}
	return p.NewPlanner(), nil
}

// NewPlanner returns a planner with a frame of its own.
func (p *Program) NewPlanner() *Planner {
	layers := p.NewFrame().Layers()
	return &Planner{Program: p, layers: layers, fit: layers.Fitter(), unread: newUnread(p, layers)}
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
	p.layers.Load(req)
	requests, warnings, err := p.layers.Expand(req)
	if err != nil {
		return nil, err
	}
	var all []*Plan
	for _, one := range requests {
		one = one.withSettled()
		p.layers.Load(one)
		q, err := p.layers.quantities()
		if err != nil {
			return nil, err
		}
		all = append(all, &Plan{Request: one, Release: p.release, Quantities: q})
	}
	all[0].Warnings = warnings
	return all, nil
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
	var err error
	out.Flags, out.Violations, err = p.fit.Flags(p.layers.FlagsFor(&req))
	return err
}
