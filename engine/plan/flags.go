package plan

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// fitter finds the values of nixlbench's flags: what was given, what the
// backend's rules say, and what fits the limits.
type fitter struct {
	*Frame
}

func (p *Program) newFitter() *fitter { return &fitter{p.NewFrame()} }

// flagSlot is a flag of the release.
type flagSlot struct {
	*schema.Flag
	era *schema.FlagEra
	ref formula.Ref
	def formula.Value
}

// flagValue is a flag's value with the reason for it.
type flagValue struct {
	formula.Value
	from Source
	by   string // the formula of a fix
}

// apply loads the frame with the request and the flags' values.
func (r *fitter) apply(req *Request, values map[string]flagValue) {
	r.load(req)
	for name, v := range values {
		r.set(name, v.Value)
	}
}

// collect reads every flag of the release from the frame.
func (r *fitter) collect(values map[string]flagValue) ([]Flag, error) {
	var errs diag.List
	out := make([]Flag, len(r.flags))
	all := false
	for i, s := range r.flags {
		v, err := r.frame.Eval(s.ref)
		if err == nil {
			err = r.inRange(s, v)
		}
		if err != nil {
			errs.Add(err)
			continue
		}
		out[i] = Flag{Flag: s.Flag, Value: v, From: values[s.Name].from, By: values[s.Name].by, Emit: v.String() != s.def.String()}
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

// inRange checks that a number fits the flag's type.
func (p *Program) inRange(s flagSlot, v formula.Value) error {
	if v.Kind != formula.Num {
		return nil
	}
	lo, hi := schema.Range(s.era.Type)
	if n, whole := v.Num.Int64(); !whole || n < lo || n > hi {
		return diag.Errorf(s.Computed.Pos, "%s of nixlbench %s takes whole numbers from %d to %d, not %s", s.Name, p.release, lo, hi, v.Num).About(diag.NotWhole, s.Name)
	}
	return nil
}

// slot finds a flag of the release.
func (p *Program) slot(name string) (flagSlot, bool) {
	i, ok := slices.BinarySearchFunc(p.flags, name, func(s flagSlot, name string) int { return strings.Compare(s.Name, name) })
	if !ok {
		return flagSlot{}, false
	}
	return p.flags[i], true
}

// number returns the current value of a flag in the frame.
func (r *fitter) number(name string) (int64, error) {
	s, ok := r.slot(name)
	if !ok {
		return 0, fmt.Errorf("no flag %s", name)
	}
	v, err := r.frame.Num(s.ref)
	if err != nil {
		return 0, err
	}
	n, _ := v.Int64()
	return n, nil
}
