package schema

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kvbench/engine/diag"
)

// The special fields in a model's parameter file: the model's name, which selects the
// architecture and is also a parameter; the architecture's name; and the model's defaults
// for configuration fields.
const (
	NameParam     = "model_name"
	ArchField     = "architecture"
	DefaultsField = "defaults"
)

// Family describes how the Hugging Face configurations of a family of models
// are converted to the parameters of an architecture.
type Family struct {
	Name string   `json:"name"`
	File string   `json:"file"`
	Pos  diag.Pos `json:"pos,omitzero"` // the position of the architecture's name
	// ModelTypes lists the values of model_type that select the family.
	ModelTypes []string `json:"model_types"`
	// If several families have the same model type, the condition When selects this family.
	When         Formula            `json:"when,omitzero"`
	Architecture string             `json:"architecture"`
	Absent       map[string]Formula `json:"absent,omitempty"`
	// Empty contains the names of lists that may be empty, even though they normally have one
	// entry per layer.
	Empty []string `json:"empty,omitempty"`
	// Longer contains the names of lists that may have more entries than there
	// are layers.
	Longer []string          `json:"longer,omitempty"`
	Params map[string][]Rule `json:"params"`
	// Ignored lists fields that have no effect. Harmless maps fields to the conditions
	// under which they have no effect.
	Ignored  []string           `json:"ignored,omitempty"`
	Harmless map[string]Formula `json:"harmless,omitempty"`
	Requires []Requirement      `json:"requires,omitempty"`
}

// ListedFamily contains the data for selecting a family by its name or by a model type.
// The rest of the family's file is read on demand.
type ListedFamily struct {
	Name       string         `json:"name"`
	File       string         `json:"file"`
	ModelTypes []string       `json:"model_types"`
	Family     Later[*Family] `json:"family"`
}

// ListFamily returns the entry that represents a family in a list of families.
func ListFamily(f *Family) *ListedFamily {
	l := &ListedFamily{Name: f.Name, File: f.File, ModelTypes: f.ModelTypes}
	l.Family.Set(f)
	return l
}

// Rule is a value and the condition under which it is used.
type Rule struct {
	When  Formula `json:"when,omitzero"`
	Value Formula `json:"value"`
	// If Each is set, Value is evaluated once per layer, which yields a list.
	Each bool   `json:"each,omitempty"`
	Warn string `json:"warn,omitempty"`
	Hint string `json:"hint,omitempty"`
}

// RelevantFields returns two functions that classify fields by name. relevant reports
// whether a word in the name suggests that the field affects the cache. ignored reports
// whether a field with exactly this name is known not to affect it.
func (c *Checkpoints) RelevantFields() (relevant, ignored func(name string) bool) {
	var all []string
	for _, group := range Keys(c.Ignored) {
		all = append(all, c.Ignored[group]...)
	}
	return matcher(c.Relevant, "_"), matcher(all, "\x00")
}

// matcher returns a function that reports whether any regular expression in patterns
// matches a part of a name. The part must begin and end at a separator or at the beginning
// or end of the name.
// Because compiling takes a long time, patterns that are plain words, possibly with .* at
// either end, are compared as strings.
func matcher(patterns []string, sep string) func(name string) bool {
	var plain, others []string
	for _, p := range patterns {
		word, open := strings.CutPrefix(p, ".*")
		word, endless := strings.CutSuffix(word, ".*")
		if regexp.QuoteMeta(word) != word {
			others = append(others, p)
			continue
		}
		if !open {
			word = sep + word
		}
		if !endless {
			word += sep
		}
		plain = append(plain, word)
	}
	rest := sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(sep + "(" + strings.Join(others, "|") + ")" + sep)
	})
	return func(name string) bool {
		name = sep + name + sep
		return slices.ContainsFunc(plain, func(p string) bool { return strings.Contains(name, p) }) || rest().MatchString(name)
	}
}

// Checkpoints describes what Hugging Face configurations have in common.
type Checkpoints struct {
	// Texts contains the names of the mappings that may contain the language model's fields.
	Texts []string `json:"texts"`
	// Whole contains the names of fields that describe the whole model and that the language
	// model's fields do not override.
	Whole []string `json:"whole"`
	// Mappings contains the names of other fields that must be mappings if they are set.
	Mappings []string `json:"mappings"`
	// Siblings maps prefixes of field names to the files that contain the fields with those
	// prefixes. The files are in the same folder as the configuration.
	Siblings map[string]string `json:"siblings"`
	// Unknown describes how to read configurations whose model type is not in any family.
	Unknown struct {
		Family string `json:"family"`
		Note   string `json:"note"`
	} `json:"unknown"`
	Formats map[string]string    `json:"formats"`
	Let     map[string][]Formula `json:"let"`
	// Defaults contains the defaults for configuration fields, keyed by path.
	Defaults map[string][]Rule `json:"defaults"`
	// Relevant contains words that, in the name of a field, suggest that the field affects
	// the cache. Ignored contains groups of full names that contain such words but belong to
	// fields that do not affect the cache.
	Relevant []string            `json:"relevant"`
	Ignored  map[string][]string `json:"ignored"`
}

func (c *Checkpoints) eachFormula(f func(path []string, formula *Formula)) {
	for _, name := range Keys(c.Let) {
		for i := range c.Let[name] {
			f([]string{"checkpoints", "let", name, strconv.Itoa(i)}, &c.Let[name][i])
		}
	}
	for _, name := range Keys(c.Defaults) {
		for i := range c.Defaults[name] {
			r, path := &c.Defaults[name][i], []string{"checkpoints", "defaults", name, strconv.Itoa(i)}
			if !r.When.IsZero() {
				f(append(slices.Clone(path), "when"), &r.When)
			}
			f(append(path, "value"), &r.Value)
		}
	}
}

// EachFormula calls do for every formula of the family.
func (f *Family) EachFormula(do func(name string, formula Formula)) {
	if !f.When.IsZero() {
		do(f.Name, f.When)
	}
	for _, name := range Keys(f.Absent) {
		do(name, f.Absent[name])
	}
	for _, name := range Keys(f.Params) {
		for _, r := range f.Params[name] {
			if !r.When.IsZero() {
				do(name, r.When)
			}
			do(name, r.Value)
		}
	}
	for _, name := range Keys(f.Harmless) {
		do(name, f.Harmless[name])
	}
	for _, r := range f.Requires {
		do(f.Name, r.Require)
	}
}
