package schema

import "kvbench/engine/formula"

// Logs describes the lines that engines log about their KV caches, and how to compute the
// numbers in a log from each other and from a plan.
type Logs struct {
	Lines []LogLine `json:"lines"`
	// Unread lists information in logs that kvbench does not compare with a plan.
	Unread []LogUnread         `json:"unread"`
	Values map[string]LogValue `json:"values"`
	Let    map[string]Formula  `json:"let"`
	Checks []LogCheck          `json:"checks"`
	Causes []LogCause          `json:"causes"`
	// Results lists the numbers to show above the findings.
	Results []LogResult `json:"results"`
}

// LogResult is a number computed from a log and a plan.
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
	// Says describes the content of the line.
	Says string `json:"says"`
	// Has is a substring that identifies the line.
	Has string `json:"has"`
	// Pattern is a regular expression. Its groups are named after values or
	// configuration fields.
	Pattern string `json:"pattern"`
	// Scale contains the factors to multiply numbers by. Decimals contains the number of
	// decimals to which the engine rounds a number. It is needed only if the engine omits
	// trailing zeros. Both maps are keyed by group name.
	Scale    map[string]int64 `json:"scale,omitempty"`
	Decimals map[string]int64 `json:"decimals,omitempty"`
	// Words contains the meanings of known words, keyed by group name. If the meaning is "",
	// the word does not set the field.
	Words map[string]map[string]string `json:"words,omitempty"`
	// Set contains the values of configuration fields that the line implies.
	Set      map[string]string `json:"set,omitempty"`
	Examples []LogExample      `json:"examples"`
}

// LogUnread describes a log line that contains information about a cache but that kvbench
// cannot compare with a plan.
type LogUnread struct {
	// Engine is the engine that logs the line; see [LogLine].
	Engine string `json:"engine,omitempty"`
	// Has is a substring that identifies the line, and Says describes the
	// content of the line.
	Has  string `json:"has"`
	Says string `json:"says"`
	// Why explains why kvbench does not compare the information.
	Why string `json:"why"`
}

// LogExample is a sample line with the expected text of each group in the pattern.
type LogExample struct {
	Line   string            `json:"line"`
	Expect map[string]string `json:"expect"`
}

// LogValue describes a value that log lines contain.
type LogValue struct {
	Doc  string `json:"doc"`
	Unit string `json:"unit"`
	// Take specifies what to do if lines have different values: [TakeLeast] uses the smallest
	// value, and [TakeEach] checks the values in all lines. By default, kvbench uses the first
	// value.
	Take string `json:"take"`
}

// Values of [LogValue.Take].
const (
	TakeLeast = "least"
	TakeEach  = "each"
)

// The names that formulas use. The prefixes are for a log's values, for their maximum rounding
// errors, and for their sums over different lines. The other two names are for the numbers that
// a check compares.
const (
	LogPrefix   = "log_"
	OffPrefix   = "off_"
	SumPrefix   = "sum_"
	LoggedVar   = "logged"
	ComputedVar = "computed"
)

// LogCheck compares a number in a log with a computed number. If several checks with the
// same name apply, the first one is used.
type LogCheck struct {
	What string `json:"what"`
	Unit string `json:"unit"`
	// Engines lists the engines to which the check applies; nil means all.
	Engines  []string `json:"engines,omitempty"`
	When     Formula  `json:"when,omitzero"`
	Logged   Formula  `json:"logged"`
	Computed Formula  `json:"computed"`
	// Within is the allowed difference in either direction. More is an additional amount by
	// which the logged number may exceed the computed number.
	Within Formula `json:"within"`
	More   Formula `json:"more"`
	// Causes lists other ways in which the engine may have computed the logged number. Perhaps
	// contains possible causes that cannot be confirmed, with their conditions.
	Causes  []LogEquation  `json:"causes,omitempty"`
	Perhaps []LogCondition `json:"perhaps,omitempty"`
}

// LogEquation is another way to compute a number in a log.
type LogEquation struct {
	Why      string  `json:"why"`
	Computed Formula `json:"computed"`
}

// LogCondition is a possible cause of a difference, with the condition for suggesting it.
type LogCondition struct {
	Why  string  `json:"why"`
	When Formula `json:"when"`
}

// LogCause is a configuration that may explain a difference.
type LogCause struct {
	Why string `json:"why"`
	// Set contains the values of configuration fields, keyed by their names in formulas.
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
