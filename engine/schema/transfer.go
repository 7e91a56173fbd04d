package schema

import "kvbench/engine/formula"

// Transfers describes how caches move from the ranks of one side to the ranks of the other.
type Transfers struct {
	// Destination contains formulas for the values of configuration fields on the
	// destination side.
	Destination map[string]Formula `json:"destination"`
	// Defaults contains formulas for fields that are not set. They apply only to transfers.
	Defaults map[string]Formula            `json:"defaults"`
	Let      map[string]Formula            `json:"let"`
	Tables   map[string]map[string]Formula `json:"tables"`
	// Flags contains formulas for the nixlbench flags that are computed for transfers.
	Flags  map[string]Formula `json:"flags"`
	Advice []Speedup          `json:"advice"`
	// Sides contains the default source and destination, such as "gpu".
	Sides    map[string]string         `json:"sides"`
	Requires []Requirement             `json:"requires"`
	Engines  map[string]EngineTransfer `json:"engines"`
}

// Speedup is a change to a configuration that may make a transfer faster. The field named in
// Field is set to one of Values, or its value is multiplied by one of Times. If Also names a
// field, that field is changed in the same way.
type Speedup struct {
	Field string `json:"field"`
	Also  string `json:"also,omitempty"`
	// The change is possible if the condition When holds. As contains the engine's name for
	// the change, or describes what the change depends on.
	When   Formula         `json:"when"`
	As     string          `json:"as,omitempty"`
	Times  []int64         `json:"times,omitempty"`
	Values []formula.Value `json:"values,omitempty"`
}

// EngineTransfer contains an engine's rules for transfers.
type EngineTransfer struct {
	// Op is the operation performed by the side that starts the transfer: READ
	// or WRITE.
	Op EngineRule `json:"op"`
	// First, Step and Count determine the source ranks of a destination rank.
	First EngineRule `json:"first"`
	Step  EngineRule `json:"step"`
	Count EngineRule `json:"count"`
	// Covers specifies how much of a layer one descriptor covers; see [Cache.Covers].
	Covers EngineRule `json:"covers"`
	// Merges yields true if adjacent pages become one descriptor. If they do not, Pieces yields
	// the number of descriptors per page.
	Merges EngineRule `json:"merges"`
	Pieces EngineRule `json:"pieces"`
	// Window specifies which tokens a transfer counts in windowed layers by default.
	Window EngineRule `json:"window"`
	// Requires contains conditions on the two sides, and EachRequires contains conditions on
	// each group of layers.
	Requires     []Requirement `json:"requires"`
	EachRequires []Requirement `json:"each_requires"`
}

// Rules returns the rules, keyed by name.
func (t *EngineTransfer) Rules() map[string]EngineRule {
	return map[string]EngineRule{
		"op": t.Op, "first": t.First, "step": t.Step, "count": t.Count,
		"covers": t.Covers, "merges": t.Merges, "pieces": t.Pieces, "window": t.Window,
	}
}

func (t *Transfers) eachFormula(f func([]string, *Formula)) {
	eachIn(t.Destination, []string{"transfer", "destination"}, f)
	eachIn(t.Defaults, []string{"transfer", "defaults"}, f)
	eachIn(t.Let, []string{"transfer", "let"}, f)
	for _, name := range Keys(t.Tables) {
		eachIn(t.Tables[name], []string{"transfer", "tables", name}, f)
	}
	eachIn(t.Flags, []string{"transfer", "flags"}, f)
	for i := range t.Advice {
		f([]string{"transfer", "advice", index(i), "when"}, &t.Advice[i].When)
	}
	eachRequirement(t.Requires, "requires", []string{"transfer"}, f)
	for _, name := range Keys(t.Engines) {
		e, path := t.Engines[name], []string{"transfer", "engines", name}
		rules := e.Rules()
		for _, rule := range Keys(rules) {
			rules[rule].eachFormula(append(path[:3:3], rule), f)
		}
		eachRequirement(e.Requires, "requires", path, f)
		eachRequirement(e.EachRequires, "each_requires", path, f)
	}
}
