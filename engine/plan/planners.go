package plan

import (
	"maps"
	"slices"

	"kvbench/engine/config"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// Planners makes and caches the planners for a release of nixlbench. It is not safe for
// concurrent use.
type Planners struct {
	// Release is the nixlbench release. From is the name that messages use for the setting
	// that selected it.
	Release, From string
	// If Quantities is set, planners compute only quantities; see [Use.Quantities].
	Quantities bool

	schema *schema.Schema
	made   map[purpose]made
}

// made is a planner, or the error from making it.
type made struct {
	planner *Planner
	err     error
}

// purpose identifies a planner by its architecture and use.
type purpose struct {
	arch *schema.Architecture
	use  Use
}

// NewPlanners returns an empty cache of planners. See [Planners.From] for the from
// argument.
func NewPlanners(s *schema.Schema, release, from string) *Planners {
	return &Planners{Release: release, From: from, schema: s, made: map[purpose]made{}}
}

// For returns the planner for models of an architecture. The error lists everything
// that is wrong with the architecture's formulas.
func (all *Planners) For(arch *schema.Architecture, use Use) (*Planner, error) {
	use.Quantities = all.Quantities
	key := purpose{arch, use}
	if m, known := all.made[key]; known {
		return m.planner, m.err
	}
	p, err := New(all.schema, all.Release, arch, use)
	if err == nil {
		p.Bench.From = all.From
	}
	all.made[key] = made{p, err}
	return p, err
}

// Checker returns a checker for an architecture. The error lists everything that is wrong
// with the architecture's formulas in each accounting that the architecture supports. It is
// also an error if the architecture supports no accounting.
func (all *Planners) Checker(arch *schema.Architecture) (*Checker, error) {
	var errs diag.List
	var unknown error
	some := false
	for _, rank := range []bool{false, true} {
		if err := known(arch, rank); err != nil {
			unknown = err
			continue
		}
		some = true
		_, err := all.For(arch, Use{Rank: rank, Detail: true})
		errs.Add(err)
	}
	if !some {
		return nil, unknown
	}
	return &Checker{all, arch}, errs.Distinct().Err()
}

// Item is a request and the planner to use for it. A sweep plans the request for every
// combination of the request's axis values.
type Item struct {
	*Request
	Planner *Planner
}

// Split returns one configuration for each accounting that cfg lists, because each
// accounting needs its own planner.
func Split(cfg *config.Config) []*config.Config {
	i := slices.IndexFunc(cfg.Axes, func(a config.Axis) bool { return a.Field.Var == accountingVar })
	if i < 0 {
		return []*config.Config{cfg}
	}
	var all []*config.Config
	for _, v := range cfg.Axes[i].Values {
		one := *cfg
		one.Axes = slices.Delete(slices.Clone(cfg.Axes), i, i+1)
		one.Values = maps.Clone(cfg.Values)
		one.Values[accountingVar] = v
		all = append(all, &one)
	}
	return all
}
