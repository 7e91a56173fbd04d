// Package plan turns facts into quantities and quantities into nixlbench flags.
//
// [Compile] compiles an architecture's formulas to a [Program], which is immutable. A
// [Frame] holds a program's values for one request. [Layers] evaluates the layers of the
// request's model, which may result in several plans, one for each I/O size. A [Planner]
// combines these and uses package fit to determine the flags. [Planners] caches planners,
// so that each is made only once. For sweeps, [Points] reuses the values computed from
// layers, and [Held] reuses all other values that stay the same from one request to the
// next.
//
// Layers of one group that have the same field values form a cell and are evaluated
// together. A fold computes one value, such as a sum, from a value of each layer in a stage
// or in the model. A stand-in replaces the value of a formula while a fold is computed.
package plan

import (
	"maps"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/schema"
)

// Planner makes plans for models of one architecture and for one nixlbench release. It is
// not safe for concurrent use.
type Planner struct {
	*Program
	// layers evaluates the current request, and fit determines the request's nixlbench
	// flags.
	layers *Layers
	fit    *fit.Fitter
	unread *unread
	whole  *Planner // see [Planner.complete]
	// settledOf is the latest request. settled contains the values that the engine
	// determines for fields that are not set in this request.
	settledOf *Request
	settled   map[string]data.Fact
}

// New returns a planner for an architecture. It compiles the formulas of the architecture
// and of the schema. The error lists everything that is wrong with them.
func New(s *schema.Schema, release string, arch *schema.Architecture, use Use) (*Planner, error) {
	p, err := Compile(s, release, arch, use)
	if err != nil {
		return nil, err
	}
	return p.NewPlanner(), nil
}

// NewPlanner returns a planner with its own frame.
func (p *Program) NewPlanner() *Planner {
	layers := p.NewFrame().Layers()
	return &Planner{Program: p, layers: layers, fit: layers.Fitter(), unread: newUnread(p, layers)}
}

// complete returns a planner that also computes nixlbench's flags and limits: p itself
// or, if p computes only quantities, another planner.
func (p *Planner) complete() *Planner {
	if !p.use.Quantities {
		return p
	}
	if p.whole == nil {
		use := p.use
		use.Quantities = false
		var err error
		if p.whole, err = New(p.schema, p.release, p.arch, use); err != nil {
			p.whole = p
		}
	}
	return p.whole
}

// Quantities makes plans that contain only quantities. It returns one plan or, in rank
// accounting, one for each I/O size in each requested stage.
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
	p.settledOf, p.settled = req, requests[0].settled
	var all []*Plan
	for _, one := range requests {
		one = one.withSettled()
		p.layers.Load(one)
		q, err := p.layers.quantities()
		if err != nil {
			list := diag.All(err)
			for i, d := range list {
				if e := tooLarge(one, d); e != nil {
					list[i] = e
				}
			}
			return nil, diag.List(list)
		}
		all = append(all, &Plan{Request: one, Release: p.release, Quantities: q})
	}
	all[0].Warnings = warnings
	return all, nil
}

// Plans makes plans that contain quantities, flags, and the limits that the plans exceed.
// It returns one plan or, in rank accounting, one for each I/O size in each requested
// stage. If a plan cannot be fitted, Plans returns the other plans, and an error that suggests
// sizes that would fit.
//
// Plans does not modify the request. Each plan contains a copy of the request in which
// the source and the destination are set.
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

// plan adds flags and violations to a plan that contains only quantities.
func (p *Planner) plan(out *Plan) error {
	req, cfg := *out.Request, *out.Request.Config
	cfg.Values = maps.Clone(cfg.Values)
	req.Config = &cfg
	out.Request = &req
	var err error
	out.Flags, out.Violations, err = p.fit.Flags(p.layers.FlagsFor(&req))
	if p.slowest {
		out.Violations = nil // no command is generated for the slowest pair
	}
	return err
}
