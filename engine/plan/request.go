package plan

import (
	"fmt"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/model"
)

// Quantity is a number computed for a plan.
type Quantity struct {
	Name, Unit, Doc string
	Value           int64
}

// Request is the input for making plans.
type Request struct {
	Model  *model.Model
	Config *config.Config
	// Flags are the nixlbench flags that the user set, keyed by name.
	Flags map[string]data.Fact
	// Knobs are the nixlbench flags whose values vary between the requests of a sweep.
	Knobs []fit.Axis
	// If Fit is set, values that the user did not set are adjusted so that the release
	// accepts the plan.
	Fit bool
	// Least makes a fitted plan use the smallest values that fit. It affects only flags that
	// the user did not set, and only if the release defines a smallest value for them.
	Least bool

	// stage and io are set only in rank accounting. facts contains the values computed
	// from layers and can be set in either accounting.
	stage *stage
	io    *io
	facts []fact
	// byCell contains the values of folds that divide layers into sets.
	byCell []foldValues
	// windows specifies which tokens are counted in windowed layers.
	windows formula.Value
	// settled contains the values that the engine determines for fields that are not set.
	settled map[string]data.Fact
}

// fact is a value computed from a model's layers.
type fact struct {
	name string
	num  formula.Rat
}

// label identifies the request in messages.
func (r *Request) label() diag.Pos { return diag.Pos{File: r.Config.File} }

// Plan is the result of planning a request.
type Plan struct {
	Request    *Request
	Release    string
	Quantities []Quantity
	// Flags contains every flag of the release, sorted by name. It is nil if the plan contains
	// only quantities.
	Flags []fit.Flag
	// Violations are the limits that the plan exceeds.
	Violations []fit.Violation
	// Warnings contains the warnings about the request itself.
	Warnings diag.List
}

// Origin describes where a flag's value comes from.
func (pl *Plan) Origin(f *fit.Flag) string {
	switch f.From {
	case fit.Given:
		return pl.Request.Flags[f.Name].Origin.String()
	case fit.Computed:
		return "the plan"
	case fit.Rule:
		values := pl.Request.Config.Values
		return fmt.Sprintf("rule of backend %s: %s to %s", pl.Backend(), values[fit.SourceVar].Str, values[fit.DestinationVar].Str)
	case fit.Fix:
		return f.Fixed()
	case fit.Run:
		return "this run"
	}
	return "default of nixlbench " + pl.Release
}

// Backend returns the backend that the plan is for.
func (pl *Plan) Backend() string {
	for i := range pl.Flags {
		if pl.Flags[i].Name == fit.BackendFlag {
			return pl.Flags[i].Value.Str
		}
	}
	return ""
}

// Rank reports whether the plan is for one rank or one pair of ranks.
func (pl *Plan) Rank() bool { return pl.Request.io != nil }

// Transfers reports whether the plan is for a transfer between ranks. Such a plan
// contains the I/Os of one pair of ranks.
func (pl *Plan) Transfers() bool { return pl.Rank() && pl.Request.io.from != nil }

// Stage returns the number of the pipeline stage that the plan is for. Call it only for
// plans in rank accounting.
func (pl *Plan) Stage() int { return pl.Request.stage.number }

// Group returns the names of the groups of layers that the plan's I/Os move, joined by
// "+". Call it only for plans in rank accounting.
func (pl *Plan) Group() string { return strings.Join(pl.Request.stage.groups(pl.Request.io), "+") }

// Together reports whether the plan is for all pairs of ranks that have the same I/Os,
// which then move their data at the same time.
func (pl *Plan) Together() bool { return pl.Transfers() && pl.Request.io.together }

// Value returns one of the plan's values by name: a quantity, a configuration field, a
// parameter, or the architecture's name. In rank accounting, there are also names for the
// stage, the group, and what an I/O covers.
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
	case name == pairsFact && pl.Together():
		return text(fmt.Sprintf("%d at once", pl.Request.io.pairs))
	case name == pairsFact && pl.Transfers():
		return formula.Number(pl.Request.io.pairs), true
	case name == windowsVar && pl.Rank():
		return pl.Request.windows, true
	case name == ioCovers && pl.Rank():
		return text(pl.Request.io.coverage())
	}
	for _, q := range pl.Quantities {
		if q.Name == name {
			return formula.Number(q.Value), true
		}
	}
	if v, ok := pl.Request.Config.Values[name]; ok && v.Word != "" {
		return v.Shown(), true
	}
	if v, ok := pl.Field(name); ok {
		return v, true
	}
	v, ok := pl.Request.Model.Params[name]
	return v.Value, ok
}

// Field returns the value of a configuration field.
func (pl *Plan) Field(name string) (formula.Value, bool) {
	if v, ok := pl.Request.settled[name]; ok {
		return v.Value, true
	}
	v, ok := pl.Request.Config.Values[name]
	return v.Value, ok
}
