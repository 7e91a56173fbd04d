package schema

// Transfers describes how caches move from the ranks of one side to those of another.
type Transfers struct {
	// Destination contains formulas for the values of configuration fields on the
	// destination's side.
	Destination map[string]Formula        `json:"destination"`
	Let         map[string]Formula        `json:"let"`
	Requires    []Requirement             `json:"requires"`
	Engines     map[string]EngineTransfer `json:"engines"`
}

// EngineTransfer has the rules of an engine.
type EngineTransfer struct {
	// Op is what the transfer is to the side that starts it: READ or WRITE.
	Op EngineRule `json:"op"`
	// First, Step and Count determine the sources of a destination rank.
	First EngineRule `json:"first"`
	Step  EngineRule `json:"step"`
	Count EngineRule `json:"count"`
	// Covers is what one descriptor covers of a layer: see [Cache.Covers].
	Covers EngineRule `json:"covers"`
	// Merges reports whether neighboring pages become one descriptor. If not,
	// Pieces is the number of descriptors of a page.
	Merges EngineRule `json:"merges"`
	Pieces EngineRule `json:"pieces"`
	// Requires are conditions on the two sides, EachRequires on each group of layers.
	Requires     []Requirement `json:"requires"`
	EachRequires []Requirement `json:"each_requires"`
}

// Rules returns the rules by name.
func (t *EngineTransfer) Rules() map[string]EngineRule {
	return map[string]EngineRule{
		"op": t.Op, "first": t.First, "step": t.Step, "count": t.Count,
		"covers": t.Covers, "merges": t.Merges, "pieces": t.Pieces,
	}
}

func (t *Transfers) eachFormula(f func([]string, *Formula)) {
	eachIn(t.Destination, []string{"transfer", "destination"}, f)
	eachIn(t.Let, []string{"transfer", "let"}, f)
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
