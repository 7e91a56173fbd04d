package transfer

import (
	"maps"

	"kvbench/engine/data"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// Advice says what the time of a transfer is spent on and what would at least halve it.
type Advice struct {
	// DescriptorPercent is the share of the slowest pair's time that its descriptors
	// take, in percent.
	DescriptorPercent int64
	// Better are settings that would at least halve the time, each by itself.
	Better []Setting
}

// Setting is a flag with a value, and the time of the transfer with it.
type Setting struct {
	Flag, Value string
	// As is the engine's name for it, if that differs.
	As     string
	Micros int64
}

// Advise determines the advice for a transfer with times.
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
	field := t.field(p, change.Field)
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
		if _, ok := t.Request.Config.Values[change.Also]; ok {
			req.Config.Values[change.Also] = data.Fact{Value: v, Origin: data.Origin{Kind: data.FromFlag}}
		}
		u, err := Of(p, req)
		if err == nil && 2*u.All.Micros <= t.All.Micros {
			return Setting{field.Flag, p.Schema().Word(field, v), change.As, u.All.Micros}, true
		}
	}
	return Setting{}, false
}

func (t *Transfer) field(p *plan.Planner, name string) *schema.Field {
	fields := p.Schema().Fields
	for i := range fields {
		if fields[i].Var == name {
			return &fields[i]
		}
	}
	return nil
}

func (t *Transfer) with(name string, n int64) *plan.Request { return t.set(name, formula.Number(n)) }

// set returns the request with another value of a field.
func (t *Transfer) set(name string, v formula.Value) *plan.Request {
	req, cfg := *t.Request, *t.Request.Config
	cfg.Values = maps.Clone(cfg.Values)
	cfg.Values[name] = data.Fact{Value: v, Origin: data.Origin{Kind: data.FromFlag}}
	req.Config = &cfg
	return &req
}
