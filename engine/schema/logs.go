package schema

import "kvbench/engine/formula"

// Logs describes what engines log about their KV caches, and how the numbers in a log
// follow from each other and from a plan.
type Logs struct {
	Lines  []LogLine           `json:"lines"`
	Values map[string]LogValue `json:"values"`
	Let    map[string]Formula  `json:"let"`
	Checks []LogCheck          `json:"checks"`
	Causes []LogCause          `json:"causes"`
	// Results are shown above the findings.
	Results []LogResult `json:"results"`
}

// LogResult is a number that follows from a log and a plan.
type LogResult struct {
	Name  string  `json:"name"`
	Label string  `json:"label"`
	Unit  string  `json:"unit"`
	Of    Formula `json:"of"`
	When  Formula `json:"when,omitzero"`
}

// LogLine is a line that an engine logs.
type LogLine struct {
	// Engine is the engine that logs the line, or "" if several do.
	Engine string `json:"engine,omitempty"`
	// Says describes what the line says.
	Says string `json:"says"`
	// Has is a text that every such line contains.
	Has string `json:"has"`
	// Pattern is a regular expression. Its groups are named after values or
	// configuration fields.
	Pattern string `json:"pattern"`
	// Scale has the factors of numbers, and Decimals the decimals that they are
	// rounded to, if the text does not tell, both by name of the group.
	Scale    map[string]int64 `json:"scale,omitempty"`
	Decimals map[string]int64 `json:"decimals,omitempty"`
	// Words lists the known words of a group with their meaning; "" for none.
	Words map[string]map[string]string `json:"words,omitempty"`
	// Set has configuration fields whose values follow from the line itself.
	Set      map[string]string `json:"set,omitempty"`
	Examples []LogExample      `json:"examples"`
}

// LogExample is a line with the texts of the groups that the pattern finds in it.
type LogExample struct {
	Line   string            `json:"line"`
	Expect map[string]string `json:"expect"`
}

// LogValue is a value that lines of a log have.
type LogValue struct {
	Doc  string `json:"doc"`
	Unit string `json:"unit"`
	// Take is which value counts if lines differ: [TakeLeast], or else the first one.
	Take string `json:"take"`
}

// TakeLeast is a value of the field Take of a [LogValue].
const TakeLeast = "least"

// Prefixes of the names of a log's values in formulas, of how much rounding may have
// changed them, and of their sums over lines that differ; and the names of both numbers
// of a check.
const (
	LogPrefix   = "log_"
	OffPrefix   = "off_"
	SumPrefix   = "sum_"
	LoggedVar   = "logged"
	ComputedVar = "computed"
)

// LogCheck compares a number in a log with one that is computed. The first check of
// each name that applies counts.
type LogCheck struct {
	What string `json:"what"`
	Unit string `json:"unit"`
	// Engines lists the engines that the check is for; nil for all.
	Engines  []string `json:"engines,omitempty"`
	When     Formula  `json:"when,omitzero"`
	Logged   Formula  `json:"logged"`
	Computed Formula  `json:"computed"`
	// Within is how far apart the numbers may be, and More how much more the logged
	// number may be in addition.
	Within Formula `json:"within"`
	More   Formula `json:"more"`
	// Causes has other ways in which the logged number may have been computed, and
	// Perhaps conditions of a cause that cannot be computed.
	Causes  []LogEquation  `json:"causes,omitempty"`
	Perhaps []LogCondition `json:"perhaps,omitempty"`
}

// LogEquation is another way to compute a number in a log.
type LogEquation struct {
	Why      string  `json:"why"`
	Computed Formula `json:"computed"`
}

// LogCondition is a condition under which a difference has a cause.
type LogCondition struct {
	Why  string  `json:"why"`
	When Formula `json:"when"`
}

// LogCause is a configuration that may explain a difference.
type LogCause struct {
	Why string `json:"why"`
	// Set holds the values of configuration fields, by name in formulas.
	Set map[string]formula.Value `json:"set"`
}

func (l *Logs) eachFormula(f func([]string, *Formula)) {
	eachIn(l.Let, []string{"let"}, f)
	for i := range l.Results {
		f([]string{"results", index(i), "of"}, &l.Results[i].Of)
		f([]string{"results", index(i), "when"}, &l.Results[i].When)
	}
	for i := range l.Checks {
		c, path := &l.Checks[i], []string{"checks", index(i)}
		at := func(names ...string) []string { return append(path[:2:2], names...) }
		f(at("when"), &c.When)
		f(at("logged"), &c.Logged)
		f(at("computed"), &c.Computed)
		f(at("within"), &c.Within)
		f(at("more"), &c.More)
		for j := range c.Causes {
			f(at("causes", index(j), "computed"), &c.Causes[j].Computed)
		}
		for j := range c.Perhaps {
			f(at("perhaps", index(j), "when"), &c.Perhaps[j].When)
		}
	}
}
