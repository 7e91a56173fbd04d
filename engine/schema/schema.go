// Package schema holds kvbench's data as Go values: configuration fields,
// architectures, nixlbench's releases, flags, backends and limits. All of it
// comes from the CUE files in cue/ and models/; this package knows none of the
// names in them.
package schema

import (
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// Formula is the text of an expression and where its first character stands.
type Formula = formula.Source

// Schema is everything that kvbench is told by its data.
type Schema struct {
	Fields        []Field                `json:"fields"`
	Dtypes        map[string]Formula     `json:"dtypes"`
	Let           map[string]Formula     `json:"let"`
	Quantities    []Quantity             `json:"quantities"`
	Units         map[string]Unit        `json:"units"`
	Views         map[string]View        `json:"views"`
	Cache         Later[*Cache]          `json:"cache"`
	Nixlbench     Nixlbench              `json:"nixlbench"`
	Architectures []*Listed              `json:"architectures"`
	Checkpoints   Later[*Checkpoints]    `json:"checkpoints"`
	Families      Later[[]*ListedFamily] `json:"families"`
	Names         Later[*Names]          `json:"names"`
	Without       []Without              `json:"without"`
}

// Without is a setting of other tools that configurations do not have: its names
// there, and what to know instead.
type Without struct {
	Names []string `json:"names"`
	Hint  string   `json:"hint"`
}

// Lacks says what to know of a setting of other tools that configurations do not
// have; "" of any other name.
func (s *Schema) Lacks(name string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	for _, w := range s.Without {
		if slices.Contains(w.Names, name) {
			return w.Hint
		}
	}
	return ""
}

// Names says how models are named on Hugging Face.
type Names struct {
	// Suffixes and Formats end a name without changing the cache; Formats are those
	// of checkpoints.
	Suffixes []string `json:"suffixes"`
	Formats  []string `json:"formats"`
	// Models has the identifiers, OWNER/NAME, of the bundled models, and Same
	// those of other models with the same cache.
	Models map[string][]string `json:"models"`
	Same   map[string][]string `json:"same"`
}

// Field is one field of a model configuration.
type Field struct {
	// Path is the field's place in the file, such as strategy.tp_size.
	Path string `json:"path"`
	// Var is its name in formulas.
	Var  string `json:"var"`
	Flag string `json:"flag,omitempty"`
	Doc  string `json:"doc,omitempty"`
	Type Type   `json:"type"`
	// Unit allows its suffixes.
	Unit string `json:"unit,omitempty"`
	// Least says of which small numbers the unit was probably forgotten.
	Least []Least `json:"least,omitempty"`
	// Note says where a value may be there for the reader alone, with nothing that
	// depends on it: [NoteAny] or [NoteFile].
	Note string `json:"note,omitempty"`
	// Needs names the accounting that alone has the field: it is refused in others.
	Needs string `json:"needs,omitempty"`
	// Late fields came after others; their columns are the last.
	Late bool `json:"late,omitempty"`
	// Last ones came even later: their columns are at the very end, under their own
	// names.
	Last bool `json:"last,omitempty"`
	// Comma fields have values that a comma is part of: it does not part those of
	// an axis.
	Comma bool `json:"comma,omitempty"`
	// More fields have flags that only the full help describes.
	More bool `json:"more,omitempty"`
	// Keys are those that the table of every architecture has, Words further values
	// that are known; both, and the type's words, are found in any case.
	Keys  []string `json:"keys,omitempty"`
	Words []string `json:"words,omitempty"`
	// Aka lists the names that other programs have for the field.
	Aka []string `json:"aka,omitempty"`
	// Table names the table whose keys are allowed.
	Table string `json:"table,omitempty"`
	// Expected fields are warned about when nobody gave them.
	Expected bool `json:"expected,omitempty"`
	// Announced says what a value is of this field, in a note that goes with
	// values that come from a model.
	Announced string        `json:"announced,omitempty"`
	Default   formula.Value `json:"default,omitzero"`
	// DefaultBy says where the default comes from, if it is not Default.
	DefaultBy string   `json:"default_by,omitempty"`
	Pos       diag.Pos `json:"pos,omitzero"` // of the default
}

// Least doubts numbers between 0 and Below: one of the suffixes was meant.
type Least struct {
	Below    int64    `json:"below"`
	Suffixes []string `json:"suffixes"`
}

// The places where a field may be a note for the reader.
const (
	NoteAny  = "any"
	NoteFile = "file"
)

// Unit is a unit of numbers.
type Unit struct {
	Name string `json:"name"`
	// Such are examples of its numbers, Arg what stands for them in the help.
	Such []string `json:"such"`
	Arg  string   `json:"arg"`
	// Suffixes are those that its numbers take, with their factors.
	Suffixes map[string]int64 `json:"suffixes"`
	// Unclear are, in lower case, suffixes that are refused in any case, with
	// those that may be meant.
	Unclear map[string][]string `json:"unclear,omitempty"`
}

// Quantity is a number that a plan yields: by Formula, or in the rank
// accounting by Rank.
type Quantity struct {
	Name    string  `json:"name"`
	Doc     string  `json:"doc"`
	Unit    string  `json:"unit"`
	Formula Formula `json:"formula,omitzero"`
	Rank    Formula `json:"rank,omitzero"`
	// Detail is the condition under which a detailed plan shows it; without one
	// every plan does.
	Detail Formula `json:"detail,omitzero"`
	// RankDetail is that of the rank accounting, if it has another.
	RankDetail Formula `json:"rank_detail,omitzero"`
}

// View is what a command shows of a plan.
type View struct {
	Rows []Row `json:"rows"`
	// Rank are further rows of plans for one rank.
	Rank  []Row `json:"rank,omitempty"`
	Width int   `json:"width,omitempty"`
	// Preset is a layer of configuration, by path.
	Preset map[string]map[string]formula.Value `json:"preset,omitempty"`
}

// Row is one line of a view.
type Row struct {
	Label  string `json:"label"`
	Value  string `json:"value"`
	Suffix string `json:"suffix,omitempty"`
	And    string `json:"and,omitempty"` // a value that follows, if the plan has it
	As     string `json:"as,omitempty"`  // bytes, documented_bytes, time, count
	// Optional rows are left out where the plan has no such value.
	Optional bool `json:"optional,omitempty"`
	// With are configuration fields, by name in formulas, that the value is for.
	With map[string]string `json:"with,omitempty"`
}

// Listed is an architecture as it is found: by its name, or by the names of
// models. What else its file says is read when it is asked for.
type Listed struct {
	Name string `json:"name"`
	// Match is a regular expression for the whole model name, in any case.
	Match string `json:"match"`
	// File is where the architecture is written.
	File string               `json:"file"`
	Arch Later[*Architecture] `json:"architecture"`
}

// List returns an architecture as it is found.
func List(a *Architecture) *Listed {
	l := &Listed{Name: a.Name, Match: a.Match, File: a.File}
	l.Arch.Set(a)
	return l
}

// Architecture is what a file says of one family of models.
type Architecture struct {
	Name     string                        `json:"name"`
	Match    string                        `json:"match"`
	File     string                        `json:"file"`
	Params   []Param                       `json:"params"`
	Formulas map[string]Formula            `json:"formulas"`
	Tables   map[string]map[string]Formula `json:"tables"`
	// DefaultAccounting is what the file says, or "": see [Architecture.Accounting].
	DefaultAccounting string `json:"default_accounting,omitempty"`
	// Layers is the cache layer by layer, or nil.
	Layers   *Layers        `json:"layers,omitempty"`
	Requires []Requirement  `json:"requires,omitempty"`
	Checks   Later[[]Check] `json:"checks"`
}

// AccountingVar is the configuration field that chooses whose bytes are counted,
// by its name in formulas; the others are its words.
const (
	AccountingVar   = "accounting"
	AccountingRank  = "rank"
	AccountingModel = "kvbench"
)

// Accounting returns the accounting that holds where nobody asks for another.
func (a *Architecture) Accounting() string {
	switch {
	case a.DefaultAccounting != "":
		return a.DefaultAccounting
	case a.Layers != nil:
		return AccountingRank
	}
	return AccountingModel
}

// Param is a parameter of an architecture.
type Param struct {
	Name     string   `json:"name"`
	Type     Type     `json:"type"`
	Required bool     `json:"required,omitempty"`
	Doc      string   `json:"doc,omitempty"`
	Pos      diag.Pos `json:"pos,omitzero"`
}

// Check is a known result of an architecture.
type Check struct {
	Params map[string]formula.Value `json:"params"`
	Config map[string]formula.Value `json:"config,omitempty"`
	Expect map[string]int64         `json:"expect"`
	Source string                   `json:"source"`
	// Unverified says what of it rests on one source alone.
	Unverified string `json:"unverified,omitempty"`
	// At has the places of its parts, of the value of "expect.block_size" and of
	// its name, "expect.block_size:", and of the check itself under "".
	At map[string]diag.Pos `json:"-"`
}

// Field returns the configuration field with that path.
func (s *Schema) Field(path string) *Field {
	for i := range s.Fields {
		if s.Fields[i].Path == path {
			return &s.Fields[i]
		}
	}
	return nil
}

// Values lists the allowed values, or those that every architecture has; of a
// field that takes others too, it is nil.
func (f *Field) Values() []string {
	if f.Type.Kinds == KindText && len(f.Type.Words) > 0 {
		return f.Type.Words
	}
	return f.Keys
}

// Known lists all values that are known by name.
func (f *Field) Known() []string { return slices.Concat(f.Type.Words, f.Keys, f.Words) }

// KnownOf returns the values known of the field with that name in formulas.
func (s *Schema) KnownOf(name string) []string {
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Var == name {
			return f.Known()
		}
	}
	return nil
}

// Spelling returns the known word that a text is but for its case. Where there is
// none, or more than one, it gives the text.
func Spelling(text string, known []string) string {
	found := text
	for _, k := range known {
		switch {
		case k == text:
			return text
		case !strings.EqualFold(k, text) || k == found:
		case found != text:
			return text
		default:
			found = k
		}
	}
	return found
}

// EachFormula calls f for every formula but the architectures', with the CUE
// package that has it ("" for kvbench) and its path there.
func (s *Schema) EachFormula(f func(pkg string, path []string, text *Formula)) {
	in := func(pkg string) func([]string, *Formula) {
		return func(path []string, text *Formula) { f(pkg, path, text) }
	}
	eachIn(s.Dtypes, []string{"dtypes"}, in(""))
	eachIn(s.Let, []string{"let"}, in("plan"))
	for i := range s.Quantities {
		path := []string{"quantities", index(i)}
		f("plan", append(path, "formula"), &s.Quantities[i].Formula)
		f("plan", append(path, "rank"), &s.Quantities[i].Rank)
		f("plan", append(path, "detail"), &s.Quantities[i].Detail)
		f("plan", append(path, "rank_detail"), &s.Quantities[i].RankDetail)
	}
	s.Cache.Get().eachFormula(in("cache"))
	s.Checkpoints.Get().eachFormula(in(""))
	s.Nixlbench.eachFormula(in("nixlbench"))
}

// EachFormula calls f for every formula of the architecture, with its path
// below the architecture's value.
func (a *Architecture) EachFormula(f func(path []string, formula *Formula)) {
	eachIn(a.Formulas, nil, f)
	for _, name := range Keys(a.Tables) {
		eachIn(a.Tables[name], []string{name}, f)
	}
	if a.Layers != nil {
		a.Layers.eachFormula(f)
	}
	eachRequirement(a.Requires, nil, f)
}

// Param returns the parameter of that name, or nil.
func (a *Architecture) Param(name string) *Param {
	for i := range a.Params {
		if a.Params[i].Name == name {
			return &a.Params[i]
		}
	}
	return nil
}

func eachIn(m map[string]Formula, path []string, f func([]string, *Formula)) {
	for _, name := range Keys(m) {
		formula := m[name]
		f(append(slices.Clone(path), name), &formula)
		m[name] = formula
	}
}
