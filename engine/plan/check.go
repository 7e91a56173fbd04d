package plan

import (
	"fmt"
	"slices"

	"kvbench/engine/config"
	"kvbench/engine/schema"
)

// Check evaluates the quantities of a known result: defaults, with the check's
// configuration over them by the fields' names in formulas.
func (p *Planner) Check(c schema.Check) (map[string]int64, error) {
	req := &Request{
		Model:  &config.Model{Arch: p.arch, Params: map[string]config.Value{}},
		Config: &config.Config{Values: map[string]config.Value{}},
	}
	for name, v := range c.Params {
		if p.arch.Param(name) == nil {
			return nil, fmt.Errorf("%s has no parameter %s", p.arch.Name, name)
		}
		req.Model.Params[name] = config.Value{Value: config.GoValue(schema.Native(v))}
	}
	for i := range p.schema.Fields {
		if f := &p.schema.Fields[i]; f.Default != nil {
			req.Config.Values[f.Var] = config.Value{Value: config.GoValue(f.Default)}
		}
	}
	for name, v := range c.Config {
		if !slices.ContainsFunc(p.schema.Fields, func(f schema.Field) bool { return f.Var == name }) {
			return nil, fmt.Errorf("there is no configuration field %s", name)
		}
		req.Config.Values[name] = config.Value{Value: config.GoValue(schema.Native(v))}
	}
	pl, err := p.Quantities(req)
	if err != nil {
		return nil, err
	}
	got := map[string]int64{}
	for _, q := range pl.Quantities {
		got[q.Name] = q.Value
	}
	return got, nil
}
