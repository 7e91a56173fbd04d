package plan

import (
	"maps"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/schema"
)

// Engines returns the names of the serving engines whose caches kvbench can describe.
func Engines(s *schema.Schema) []string { return schema.Keys(s.Cache.Get().Releases) }

// Doubt is a reason why kvbench is not certain how an engine stores a model's cache.
type Doubt struct {
	// Refused reports whether kvbench refuses to make plans.
	Refused bool
	Why     string
}

// Doubts returns the doubts about a model's cache, keyed by engine. The configuration
// should not set values that engines can determine. Doubts returns nil if the model's
// architecture does not describe its layers.
func (all *Planners) Doubts(m *model.Model, cfg *config.Config) (map[string]Doubt, error) {
	if m.Arch.Layers == nil {
		return nil, nil
	}
	p, err := all.For(m.Arch, Use{Rank: true})
	if err != nil {
		return nil, err
	}
	doubts := map[string]Doubt{}
	for _, engine := range Engines(all.schema) {
		one := *cfg
		one.Values = maps.Clone(cfg.Values)
		from := data.Origin{Kind: data.FromCommand}
		one.Values[accountingVar] = data.Fact{Value: formula.Text(accountingRank), Origin: from}
		one.Values[engineField] = data.Fact{Value: formula.Text(engine), Origin: from}
		plans, err := p.Quantities(&Request{Model: m, Config: &one})
		if err != nil {
			doubts[engine] = Doubt{true, ofAnyGroup(diag.All(err)[0].Msg)}
			continue
		}
		for _, w := range plans[0].Warnings {
			if w.Severity == diag.Warning {
				doubts[engine] = Doubt{false, ofAnyGroup(w.Msg)}
				break
			}
		}
	}
	return doubts, nil
}

// ofAnyGroup removes the name of the group of layers from the beginning of a message,
// because it does not matter which group was reported first.
func ofAnyGroup(msg string) string {
	if about, rest, ok := strings.Cut(msg, ": "); ok && strings.HasPrefix(about, groupWords) {
		return rest
	}
	return msg
}
