package fit

import (
	"fmt"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Fitter determines the values of nixlbench flags from the values that the user set, the
// backend's rules, and the limits.
type Fitter struct {
	*Release
	frame *formula.Frame
}

// NewFitter returns a fitter that evaluates formulas in a frame.
func (r *Release) NewFitter(frame *formula.Frame) *Fitter { return &Fitter{r, frame} }

// Request is the input for determining flags.
type Request struct {
	Config *config.Config
	// Flags are the flags that the user set, keyed by name.
	Flags map[string]data.Fact
	// If Fit is set, values that the user did not set may be adjusted to meet the limits. If
	// Least is also set, the smallest values that fit are used where the release defines
	// them.
	Fit, Least bool
	// Load clears the frame and then sets the inputs that flags are computed from.
	Load func()
}

// label identifies the request in messages.
func (r *Request) label() diag.Pos { return diag.Pos{File: r.Config.File} }

// Value is the value of a flag, with its source.
type Value struct {
	formula.Value
	From Source
	By   string // the name of the formula, if From is Fix
}

// Apply loads the request and the values of the flags into the frame.
func (r *Fitter) Apply(req *Request, values map[string]Value) {
	req.Load()
	for name, v := range values {
		r.frame.SetName(name, v.Value)
	}
}

// Flags determines the value of every flag of the release, and the limits that these
// values exceed. If the flags cannot be fitted, the error suggests sizes that would fit.
func (r *Fitter) Flags(req *Request) ([]Flag, []Violation, error) {
	values, err := r.Resolve(req)
	if err != nil {
		return nil, nil, err
	}
	var broken []Violation
	if req.Fit {
		if values, broken = r.fit(req, values, false); broken != nil {
			return nil, nil, r.refusal(req, values, broken)
		}
	} else {
		broken = r.check(req, values)
	}
	r.Apply(req, values)
	flags, err := r.collect(values)
	return flags, broken, err
}

// collect reads every flag of the release from the frame.
func (r *Fitter) collect(values map[string]Value) ([]Flag, error) {
	var errs diag.List
	out := make([]Flag, len(r.Slots))
	all := false
	for i, s := range r.Slots {
		v, err := r.frame.Eval(s.Ref)
		if err == nil {
			err = r.InRange(s, v)
		}
		if err != nil {
			errs.Add(err)
			continue
		}
		out[i] = Flag{Flag: s.Flag, Value: v, From: values[s.Name].From, By: values[s.Name].By, Emit: v.String() != s.text}
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

// number returns the current value of a flag in the frame.
func (r *Fitter) number(name string) (int64, error) {
	s, ok := r.slot(name)
	if !ok {
		return 0, fmt.Errorf("no flag %s", name)
	}
	v, err := r.frame.Num(s.Ref)
	if err != nil {
		return 0, err
	}
	n, _ := v.Int64()
	return n, nil
}

// Flag is a nixlbench flag with its value.
type Flag struct {
	*schema.Flag
	Value formula.Value
	// From is the source of the value.
	From Source
	// By is the name of the formula that adjusted the value to fit, if any.
	By string
	// Emit reports whether the flag must be in the command.
	Emit bool
}

// Fixed explains why a flag's value was adjusted.
func (f *Flag) Fixed() string {
	if limit, ok := strings.CutPrefix(f.By, fixPrefix); ok {
		return "adjusted to meet the limit " + strings.TrimSuffix(limit, "."+f.Name)
	}
	return "the smallest value that fits"
}

// Source describes where a flag's value comes from.
type Source uint8

// The sources of a flag's value.
const (
	Default Source = iota
	Given
	Computed
	Rule
	Fix
	Run // set only for one run
)
