package plan

import (
	"maps"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/schema"
)

// MaxCombinations is the maximum number of combinations of flag values in a sweep. The
// number is limited because each combination is planned separately.
const MaxCombinations = config.MaxAxis

// WithFlags returns one request for each combination of the values of nixlbench flags. The
// value of the last flag changes fastest.
func (r *Request) WithFlags(bench *schema.Nixlbench, values map[string][]data.Fact) ([]*Request, error) {
	if n := config.Combinations(values); n > MaxCombinations {
		return nil, diag.Usagef("the nixlbench flags have %d combinations of values: at most %d are allowed", n, MaxCombinations)
	}
	first := *r
	first.Flags = map[string]data.Fact{}
	for name, list := range values {
		first.Flags[name] = list[0]
	}
	all := []*Request{&first}
	for _, name := range schema.Keys(values) {
		if len(values[name]) == 1 {
			continue
		}
		first.Knobs = append(first.Knobs, fit.Axis{Flag: bench.Flags[name], Values: values[name]})
		more := make([]*Request, 0, len(all)*len(values[name]))
		for _, req := range all {
			for _, v := range values[name] {
				one := *req
				one.Flags = maps.Clone(req.Flags)
				one.Flags[name] = v
				more = append(more, &one)
			}
		}
		all = more
	}
	for _, req := range all {
		req.Knobs = first.Knobs
	}
	return all, nil
}
