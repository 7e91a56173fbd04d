package plan

import (
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
		p.bench.From = all.From
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
	return &Checker{all, arch}, distinct(errs).Err()
}
