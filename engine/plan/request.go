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

// Quantity is a number that a plan yields.
type Quantity struct {
	Name, Unit, Doc string
	Value           int64
}

// Request is what a plan is made of.
type Request struct {
	Model  *model.Model
	Config *config.Config
	// Flags are the nixlbench flags that the user gave, by name.
	Flags map[string]data.Fact
	// Knobs are those of them that have other values in the other requests of a
	// sweep.
	Knobs []fit.Axis
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
	// settled are the engine's values of the fields that are not set.
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
	Flags []fit.Flag
	// Violations are the limits that the plan breaks.
	Violations []fit.Violation
	// Warnings are about the request itself.
	Warnings diag.List
}

// Origin says where a flag's value comes from, in words.
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
	case name == ioCovers && pl.Rank():
		return text(pl.Request.io.what())
	}
	for _, q := range pl.Quantities {
		if q.Name == name {
			return formula.Number(q.Value), true
		}
	}
	if v, ok := pl.Field(name); ok {
		return v, true
	}
	v, ok := pl.Request.Model.Params[name]
	return v.Value, ok
}

// Field returns the value of a configuration's field.
func (pl *Plan) Field(name string) (formula.Value, bool) {
	if v, ok := pl.Request.settled[name]; ok {
		return v.Value, true
	}
	v, ok := pl.Request.Config.Values[name]
	return v.Value, ok
}
