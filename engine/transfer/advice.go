package transfer

import (
	"maps"
	"math"

	"kvbench/engine/data"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// Advice describes what most of a transfer's time is spent on, and what would at least
// halve the time.
type Advice struct {
	// DescriptorPercent is the percentage of the slowest pair's time that is spent on its
	// descriptors.
	DescriptorPercent int64
	// Better lists settings, each of which would at least halve the time by itself.
	Better []Setting
}

// Setting is a flag with a value, together with the time that the transfer takes with that
// value.
type Setting struct {
	Flag, Value string
	// If the user also set the flag for the same setting on the destination side, Also is
	// that flag; otherwise, it is "".
	Also string
	// The As field contains the engine's name for the setting, or describes what its effect
	// depends on; see [schema.Speedup].
	As     string
	Micros int64
}

// Advise returns advice on a transfer whose times are known.
func (t *Transfer) Advise(p *plan.Planner) (*Advice, error) {
	s := t.Slowest
	empty, _, err := t.Quantity(timeOf, 0, 0)
	if err != nil {
		return nil, err
	}
	fixed, _, err := t.Quantity(timeOf, 0, s.Descriptors)
	if err != nil {
		return nil, err
	}
	a := &Advice{}
	if s.Micros > 0 {
		a.DescriptorPercent = 100 * (fixed - empty) / s.Micros
	}
	changes, err := t.Speedups()
	if err != nil {
		return nil, err
	}
	for _, change := range changes {
		if better, ok := t.try(p, change); ok {
			a.Better = append(a.Better, better)
		}
	}
	return a, nil
}

// try returns the first value of a change that at least halves the time, if there is one.
func (t *Transfer) try(p *plan.Planner, change schema.Speedup) (Setting, bool) {
	field := p.Schema().FieldOf(change.Field)
	if field == nil {
		return Setting{}, false
	}
	now := t.Request.Config.Values[change.Field]
	var values []formula.Value
	if n, ok := now.Num.Int64(); ok && now.Kind == formula.Num && n > 0 {
		for _, times := range change.Times {
			values = append(values, formula.Number(n*times))
		}
	}
	for _, v := range append(values, change.Values...) {
		if v.Text() == now.Text() {
			continue
		}
		req := t.set(change.Field, v)
		s := Setting{Flag: field.Flag, Value: p.Schema().Word(field, v), As: change.As}
		if other, ok := t.Request.Config.Values[change.Also]; ok {
			req.Config.Values[change.Also] = data.Fact{Value: v, Origin: data.Origin{Kind: data.FromFlag}}
			if f := p.Schema().FieldOf(change.Also); f != nil && other.Origin.Given() {
				s.Also = f.Flag
			}
		}
		u, err := Of(p, req)
		if err == nil && t.halved(u) {
			s.Micros = u.All.Micros
			return s, true
		}
	}
	return Setting{}, false
}

// halved reports whether another transfer takes at most half the time. Because times are
// rounded up, half the bytes and descriptors may take slightly more than half the time.
// Therefore, instead of doubling the other transfer's time, halved computes the time for
// twice the bytes, descriptors and start-up time.
func (t *Transfer) halved(u *Transfer) bool {
	s := u.Slowest
	if s.Bytes > math.MaxInt64/2 || s.Descriptors > math.MaxInt64/2 {
		return false
	}
	start, _, err := u.Quantity(timeOf, 0, 0)
	if err != nil {
		return false
	}
	twice, _, err := u.Quantity(timeOf, 2*s.Bytes, 2*s.Descriptors)
	return err == nil && start+twice <= t.All.Micros
}

func (t *Transfer) with(name string, n int64) *plan.Request { return t.set(name, formula.Number(n)) }

// set returns a copy of the request with a different value for a field.
func (t *Transfer) set(name string, v formula.Value) *plan.Request {
	req, cfg := *t.Request, *t.Request.Config
	cfg.Values = maps.Clone(cfg.Values)
	cfg.Values[name] = data.Fact{Value: v, Origin: data.Origin{Kind: data.FromFlag}}
	req.Config = &cfg
	return &req
}
