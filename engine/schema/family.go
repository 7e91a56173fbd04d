package schema

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kvbench/engine/diag"
)

// Fields of a model's parameter file that are not parameters, but for the first:
// the model's name, which selects the architecture; the architecture by its own
// name; and the model's defaults of configuration fields.
const (
	NameParam     = "model_name"
	ArchField     = "architecture"
	DefaultsField = "defaults"
)

// Family says how the Hugging Face configurations of a family of models become
// parameters of an architecture.
type Family struct {
	Name string   `json:"name"`
	File string   `json:"file"`
	Pos  diag.Pos `json:"pos,omitzero"` // of the architecture's name
	// ModelTypes are the values of model_type that are of the family.
	ModelTypes   []string           `json:"model_types"`
	Architecture string             `json:"architecture"`
	Absent       map[string]Formula `json:"absent,omitempty"`
	// Empty names lists that may be empty though each layer has an entry.
	Empty []string `json:"empty,omitempty"`
	// Longer names lists that may go on after the last layer.
	Longer []string          `json:"longer,omitempty"`
	Params map[string][]Rule `json:"params"`
	// Ignored are fields without effect, Harmless those without where a condition
	// holds.
	Ignored  []string           `json:"ignored,omitempty"`
	Harmless map[string]Formula `json:"harmless,omitempty"`
	Requires []Requirement      `json:"requires,omitempty"`
}

// ListedFamily is a family as it is found: by its name or by a model type. What
// else its file says is read when it is asked for.
type ListedFamily struct {
	Name       string         `json:"name"`
	File       string         `json:"file"`
	ModelTypes []string       `json:"model_types"`
	Family     Later[*Family] `json:"family"`
}

// ListFamily returns a family as it is found.
func ListFamily(f *Family) *ListedFamily {
	l := &ListedFamily{Name: f.Name, File: f.File, ModelTypes: f.ModelTypes}
	l.Family.Set(f)
	return l
}

// Rule is a value that counts where a condition holds.
type Rule struct {
	When  Formula `json:"when,omitzero"`
	Value Formula `json:"value"`
	// Each makes it a list, of a value for each layer.
	Each bool   `json:"each,omitempty"`
	Warn string `json:"warn,omitempty"`
	Hint string `json:"hint,omitempty"`
}

// RelevantFields returns what tells by a word of their names fields that affect
// the cache, and by their whole names fields that do not.
func (c *Checkpoints) RelevantFields() (relevant, ignored func(name string) bool) {
	var all []string
	for _, group := range Keys(c.Ignored) {
		all = append(all, c.Ignored[group]...)
	}
	return matcher(c.Relevant, "_"), matcher(all, "\x00")
}

// matcher returns what tells names in which one of some regular expressions
// matches what is between separators. It takes long to compile them, and most are
// plain words, perhaps with .* before or behind them.
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

// Checkpoints is what Hugging Face configurations have in common.
type Checkpoints struct {
	// Texts name the mappings that fields of the language model may be in.
	Texts []string `json:"texts"`
	// Whole are fields of the whole model: those of the language model do not
	// replace them.
	Whole []string `json:"whole"`
	// Mappings name further fields that hold mappings if anything.
	Mappings []string `json:"mappings"`
	// Siblings are files beside a configuration, by the prefix of their fields.
	Siblings map[string]string `json:"siblings"`
	// Unknown says how model types are read that no family has.
	Unknown struct {
		Family string `json:"family"`
		Note   string `json:"note"`
	} `json:"unknown"`
	Formats map[string]string    `json:"formats"`
	Let     map[string][]Formula `json:"let"`
	// Defaults are those of a configuration, by the path of the field.
	Defaults map[string][]Rule `json:"defaults"`
	// Relevant tells by words of their names the fields that affect the cache;
	// Ignored those of them that do not, by groups of whole names.
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

// EachFormula calls f for every formula of the family.
func (f *Family) EachFormula(do func(name string, formula Formula)) {
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
