package plan

import (
	"maps"
	"slices"

	"kvbench/engine/config"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// Planners makes the planners for a release of nixlbench, each once. It is not
// safe for concurrent use.
type Planners struct {
	// Release is that of nixlbench, and From says in messages where it comes from.
	Release, From string

	schema *schema.Schema
	made   map[purpose]made
}

// made is a planner, or why there is none.
type made struct {
	planner *Planner
	err     error
}

// purpose is what a planner is for.
type purpose struct {
	arch *schema.Architecture
	use  Use
}

// NewPlanners returns a place to make planners; from is for messages.
func NewPlanners(s *schema.Schema, release, from string) *Planners {
	return &Planners{Release: release, From: from, schema: s, made: map[purpose]made{}}
}

// For returns the planner for models of an architecture. The error holds everything
// that is wrong with its formulas.
func (all *Planners) For(arch *schema.Architecture, use Use) (*Planner, error) {
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

// Checker returns what holds an architecture to known results. The error holds
// everything that is wrong with its formulas, in each accounting that it has what is
// needed for. One that can be planned in no accounting is an error.
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

// Item is what a sweep plans for every value of the configuration's axes.
type Item struct {
	*Request
	Planner *Planner
}

// Split makes of each configuration that asks for several accountings one for
// each: they are planned by other planners.
func Split(configs []*config.Config) []*config.Config {
	var all []*config.Config
	for _, cfg := range configs {
		i := slices.IndexFunc(cfg.Axes, func(a config.Axis) bool { return a.Field.Var == accountingVar })
		if i < 0 {
			all = append(all, cfg)
			continue
		}
		for _, v := range cfg.Axes[i].Values {
			one := *cfg
			one.Axes = slices.Delete(slices.Clone(cfg.Axes), i, i+1)
			one.Values = maps.Clone(cfg.Values)
			one.Values[accountingVar] = v
			all = append(all, &one)
		}
	}
	return all
}
