package plan

import (
	"fmt"
	"slices"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/schema"
)

// Checker evaluates an architecture's checks, which compare its results with known ones.
type Checker struct {
	planners *Planners
	arch     *schema.Architecture
}

// Check returns the quantities that a check compares. The values in c.Config, keyed by the
// names that formulas use for fields, override the defaults. If there is more than one I/O
// size, the quantities for each size are named group.block_size and group.batch_size.
func (ch *Checker) Check(c schema.Check) (map[string]int64, error) {
	word := c.Config[accountingVar].Str
	if word == "" {
		word = ch.arch.Accounting()
	}
	p, err := ch.planners.For(ch.arch, Use{Rank: word == accountingRank, Detail: true})
	if err != nil {
		return nil, err
	}
	return p.results(c)
}

func (p *Planner) results(c schema.Check) (map[string]int64, error) {
	req := &Request{
		Model:  &model.Model{Arch: p.arch, Params: map[string]data.Fact{}},
		Config: &config.Config{Values: make(map[string]data.Fact, len(p.schema.Fields))},
	}
	for name, v := range c.Params {
		if p.arch.Param(name) == nil {
			return nil, fmt.Errorf("%s has no parameter %s", p.arch.Name, name)
		}
		req.Model.Params[name] = data.Fact{Value: v}
	}
	for i := range p.schema.Fields {
		if f := &p.schema.Fields[i]; !f.Default.IsZero() {
			req.Config.Values[f.Var] = data.Fact{Value: f.Default}
		}
	}
	req.Config = req.Config.With(req.Model.Arch, req.Model.Defaults)
	for name, v := range c.Config {
		i := slices.IndexFunc(p.schema.Fields, func(f schema.Field) bool { return f.Var == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no configuration field %s", name)
		}
		if v.Kind == formula.Str {
			if n, err := p.schema.ParseNumber(p.schema.Fields[i].Unit, v.Str); err == nil {
				v = formula.Number(n)
			}
		}
		req.Config.Values[name] = data.Fact{Value: v, Origin: data.Origin{Kind: data.FromFile}}
	}
	plans, err := p.Quantities(req)
	if err != nil {
		return nil, err
	}
	got := map[string]int64{}
	for _, pl := range plans {
		for _, q := range pl.Quantities {
			name := q.Name
			if pl.Rank() && len(plans) > 1 && (name == blockFact || name == batchFact) {
				name = pl.Group() + "." + name
			}
			got[name] = q.Value
		}
	}
	return got, nil
}
