package schema

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/formula"
)

// Nixlbench describes the nixlbench program: its releases, flags, backends, limits and runs.
type Nixlbench struct {
	Releases []string            `json:"releases"` // oldest first
	Previews []string            `json:"previews"` // unfinished releases
	Default  string              `json:"default_release"`
	Aliases  map[string]string   `json:"aliases"`
	Flags    map[string]*Flag    `json:"flags"`
	Backends map[string]*Backend `json:"backends"`
	Let      map[string]Formula  `json:"let"`
	Limits   Later[[]Limit]      `json:"limits"`
	// Shrink lists the quantities to reduce, in this order, when a plan does
	// not fit and kvbench looks for a smaller one to suggest.
	Shrink []string `json:"shrink"`
	// Least contains formulas for the smallest values that fit, keyed by flag.
	Least map[string]Formula `json:"least"`
	Runs  Later[*Runs]       `json:"runs"`

	// own contains the flags of releases that are described in a user's file.
	own map[string]map[string]*FlagEra
}

// Era is a range of releases, from Since up to but not including Until. It does not include the
// releases in Except.
type Era struct {
	Since  string   `json:"since"`
	Until  string   `json:"until,omitempty"`
	Except []string `json:"except,omitempty"`
}

// Flag is a nixlbench flag.
type Flag struct {
	Name   string `json:"-"`
	Help   string `json:"help"`
	Common bool   `json:"common,omitempty"` // whether the short help describes it
	Unit   string `json:"unit,omitempty"`
	// List reports whether a single value may contain commas.
	List      bool     `json:"list,omitempty"`
	Secret    bool     `json:"secret,omitempty"`
	Env       string   `json:"env,omitempty"`
	Meets     bool     `json:"meets,omitempty"`
	Computed  Formula  `json:"computed,omitzero"`
	Instead   []string `json:"instead,omitempty"`
	Key       string   `json:"key,omitempty"`
	WritesAll bool     `json:"writes_all,omitempty"`
	// Backends lists the backends that read the flag. nil means all backends.
	Backends []string       `json:"backends,omitempty"`
	Reads    Reads          `json:"reads,omitzero"`
	Values   map[string]Era `json:"values,omitempty"`
	Absent   formula.Value  `json:"absent,omitzero"`
	Eras     []FlagEra      `json:"eras"`
}

// Reads contains the condition under which nixlbench reads a flag, and a description of
// what to set to meet the condition.
type Reads struct {
	When  Formula `json:"when,omitzero"`
	Needs string  `json:"needs,omitempty"`
}

// FlagEra contains a flag's type and default for a range of releases.
type FlagEra struct {
	Era
	Type    string        `json:"type"` // string, bool, int32, uint32, uint64
	Default formula.Value `json:"default"`
}

// Backend is a transfer backend of nixlbench.
type Backend struct {
	Era
	Class string `json:"class"`
	Takes struct {
		Memory Formula `json:"memory"`
		GPU    Formula `json:"gpu"`
	} `json:"takes"`
	Transfers Later[[]Transfer] `json:"transfers"`
	Files     Files             `json:"files,omitzero"`
}

// Transfer contains the flags for a source and a destination.
type Transfer struct {
	Source      string            `json:"source"`
	Destination string            `json:"destination"`
	Set         map[string]string `json:"set"`
	Fit         map[string]string `json:"fit,omitempty"`
}

// Limit is a condition that nixlbench imposes on a run.
type Limit struct {
	Era
	Name     string             `json:"name"`
	Backends []string           `json:"backends,omitempty"`
	Require  Formula            `json:"require"`
	Message  string             `json:"message"`
	Fix      map[string]Formula `json:"fix,omitempty"`
	Hint     string             `json:"hint,omitempty"`
}

// JSONKey is the flag's name in JSON and CSV.
func (f *Flag) JSONKey() string {
	if f.Key != "" {
		return f.Key
	}
	return f.Name
}

// IsNumber reports whether the flag's values are numbers.
func (f *Flag) IsNumber() bool { return f.Eras[0].Type != "string" && f.Eras[0].Type != "bool" }

// Varies reports whether the flag accepts several values separated by commas.
// The values of secret flags are used verbatim.
func (f *Flag) Varies() bool { return !f.List && !f.Secret }

// AutoRelease selects a release that supports the values that are set.
const AutoRelease = "auto"

// Preferred lists the releases in the order in which [AutoRelease] tries them: the default
// release, then finished releases, newest first, then previews, newest first.
func (n *Nixlbench) Preferred() []string {
	list := []string{n.Default}
	for _, preview := range []bool{false, true} {
		for _, r := range slices.Backward(n.Releases) {
			if r != n.Default && slices.Contains(n.Previews, r) == preview {
				list = append(list, r)
			}
		}
	}
	return list
}

// Release finds a release by its name or alias and returns its name.
func (n *Nixlbench) Release(name string) (string, bool) {
	if r, ok := n.Aliases[name]; ok {
		return r, true
	}
	return name, slices.Contains(n.Releases, name)
}

// In reports whether the era contains the release.
func (n *Nixlbench) In(e Era, release string) bool {
	at := slices.Index(n.Releases, release)
	if at < slices.Index(n.Releases, e.Since) || slices.Contains(e.Except, release) {
		return false
	}
	return e.Until == "" || at < slices.Index(n.Releases, e.Until)
}

// FlagIn returns the flag's type and default in a release, or nil if the
// release does not have it.
func (n *Nixlbench) FlagIn(f *Flag, release string) *FlagEra {
	if flags, ok := n.own[release]; ok {
		return flags[f.Name]
	}
	for i := range f.Eras {
		if n.In(f.Eras[i].Era, release) {
			return &f.Eras[i]
		}
	}
	return nil
}

// FlagsOf returns the flags of a release, sorted by name.
func (n *Nixlbench) FlagsOf(release string) []*Flag {
	var flags []*Flag
	for _, name := range Keys(n.Flags) {
		if f := n.Flags[name]; n.FlagIn(f, release) != nil {
			flags = append(flags, f)
		}
	}
	return flags
}

// Span describes the releases of the eras in words: "0.4.0 and later", "0.2.0
// to 0.3.1", "1.3.0 and later, but not 1.3.2".
func (n *Nixlbench) Span(eras ...Era) string {
	var parts []string
	for i := 0; i < len(eras); i++ {
		e := eras[i]
		for i+1 < len(eras) && e.Until == eras[i+1].Since {
			i++
			e.Until = eras[i].Until
			e.Except = append(slices.Clone(e.Except), eras[i].Except...)
		}
		s := e.Since
		switch last := n.before(e.Until); {
		case e.Until == "" && e.Since != n.Releases[len(n.Releases)-1]:
			s += " and later"
		case e.Until != "" && last != e.Since:
			s += " to " + last
		}
		if len(e.Except) > 0 {
			s += ", but not " + strings.Join(e.Except, ", ")
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ")
}

// SpanOfFlag describes the releases that have the flag.
func (n *Nixlbench) SpanOfFlag(f *Flag) string {
	eras := make([]Era, len(f.Eras))
	for i := range f.Eras {
		eras[i] = f.Eras[i].Era
	}
	return n.Span(eras...)
}

func (n *Nixlbench) before(release string) string {
	if i := slices.Index(n.Releases, release); i > 0 {
		return n.Releases[i-1]
	}
	return ""
}

// ValuesIn returns a sorted list of the values that a flag accepts in a release, or nil if
// it accepts any value.
func (n *Nixlbench) ValuesIn(f *Flag, release string) []string {
	var values []string
	for _, v := range Keys(f.Values) {
		if n.In(f.Values[v], release) {
			values = append(values, v)
		}
	}
	return values
}

// AbsentValue is the value that formulas read if the release does not have the
// flag.
func (f *Flag) AbsentValue() formula.Value {
	if !f.Absent.IsZero() {
		return f.Absent
	}
	return f.Eras[0].Default
}

// ParseValue parses the text of a flag's value the way nixlbench's flag parser
// does, except that sizes may have suffixes and words are matched
// case-insensitively. The error describes what is expected.
func (s *Schema) ParseValue(f *Flag, typ, text string) (formula.Value, error) {
	switch typ {
	case "string":
		return formula.Text(Spelling(text, Keys(f.Values))), nil
	case "bool":
		switch strings.ToLower(text) {
		case "true", "t", "yes", "y", "1":
			return formula.Truth(true), nil
		case "false", "f", "no", "n", "0":
			return formula.Truth(false), nil
		}
		return formula.Value{}, fmt.Errorf("expected true or false")
	}
	lo, hi := Range(typ)
	v, err := s.ParseNumber(f.Unit, text)
	switch {
	case err == strconv.ErrRange || err == nil && (v < lo || v > hi):
		return formula.Value{}, fmt.Errorf("expected a whole number from %d to %d", lo, hi)
	case err != nil:
		return formula.Value{}, fmt.Errorf("expected %s", s.NumberText(f.Unit, WholeNumber))
	}
	return formula.Number(v), nil
}

// Range returns the bounds of a number type. A uint64 is limited to the range of
// int64.
func Range(typ string) (lo, hi int64) {
	switch typ {
	case "int32":
		return -1 << 31, 1<<31 - 1
	case "uint32":
		return 0, 1<<32 - 1
	}
	return 0, 1<<63 - 1
}

func (n *Nixlbench) eachFormula(f func([]string, *Formula)) {
	eachIn(n.Let, []string{"let"}, f)
	for _, name := range Keys(n.Flags) {
		f([]string{"flags", name, "computed"}, &n.Flags[name].Computed)
		f([]string{"flags", name, "reads", "when"}, &n.Flags[name].Reads.When)
	}
	for _, name := range Keys(n.Backends) {
		b := n.Backends[name]
		f([]string{"backends", name, "takes", "memory"}, &b.Takes.Memory)
		f([]string{"backends", name, "takes", "gpu"}, &b.Takes.GPU)
		f([]string{"backends", name, "files", "in"}, &b.Files.In)
		f([]string{"backends", name, "files", "names"}, &b.Files.Names)
		f([]string{"backends", name, "files", "paths"}, &b.Files.Paths)
	}
	eachIn(n.Least, []string{"least"}, f)
	n.Runs.Get().eachFormula(f)
	limits := n.Limits.Get()
	for i := range limits {
		path := []string{"limits", index(i)}
		f(append(path, "require"), &limits[i].Require)
		eachIn(limits[i].Fix, append(path, "fix"), f)
	}
}

func index(i int) string { return strconv.Itoa(i) }

// Keys returns a sorted list of a map's keys.
func Keys[V any](m map[string]V) []string {
	keys := slices.AppendSeq(make([]string, 0, len(m)), maps.Keys(m))
	slices.Sort(keys)
	return keys
}

// Newest returns the newest finished release.
func (n *Nixlbench) Newest() string {
	for _, r := range slices.Backward(n.Releases) {
		if !slices.Contains(n.Previews, r) {
			return r
		}
	}
	return n.Default
}
