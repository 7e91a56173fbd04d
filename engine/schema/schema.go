// Package schema contains kvbench's data as Go values: configuration fields, architectures,
// and nixlbench's releases, flags, backends and limits. All data comes from the CUE files
// in cue/ and models/. This package hard-codes none of the names in these files.
package schema

import (
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// Formula is the text of an expression and the position of its first character.
type Formula = formula.Source

// Schema contains all of kvbench's data.
type Schema struct {
	Fields        []Field                 `json:"fields"`
	Dtypes        map[string]Formula      `json:"dtypes"`
	Let           map[string]Formula      `json:"let"`
	Quantities    []Quantity              `json:"quantities"`
	Units         map[string]Unit         `json:"units"`
	Views         map[string]*Later[View] `json:"views"`
	Cache         Later[*Cache]           `json:"cache"`
	Logs          Later[*Logs]            `json:"logs"`
	Nixlbench     Nixlbench               `json:"nixlbench"`
	Architectures []*Listed               `json:"architectures"`
	Checkpoints   Later[*Checkpoints]     `json:"checkpoints"`
	Families      Later[[]*ListedFamily]  `json:"families"`
	Names         Later[*Names]           `json:"names"`
	Without       Later[[]Without]        `json:"without"`
	// LaunchFields lists the fields of a configuration's launch section, and LaunchFormats
	// lists the names of the job formats.
	LaunchFields  Later[[]Field] `json:"launch_fields"`
	LaunchFormats []string       `json:"launch_formats"`
	Launch        Later[*Launch] `json:"launch"`
}

// Without describes a setting that other tools have but kvbench's configurations lack. Names
// contains its names in those tools.
type Without struct {
	Names []string `json:"names"`
	Hint  string   `json:"hint"`
}

// View returns the view of a command.
func (s *Schema) View(command string) View {
	v, ok := s.Views[command]
	if !ok {
		return View{}
	}
	return v.Get()
}

// Lacks returns the hint if name is a setting that other tools have but configurations do
// not. Otherwise, it returns "".
func (s *Schema) Lacks(name string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	for _, w := range s.Without.Get() {
		if slices.Contains(w.Names, name) {
			return w.Hint
		}
	}
	return ""
}

// Names describes how models are named on Hugging Face.
type Names struct {
	// Suffixes and Formats are endings of model names that do not affect the cache. Formats
	// are the endings that identify checkpoint formats.
	Suffixes []string `json:"suffixes"`
	Formats  []string `json:"formats"`
	// Models lists the identifiers of each bundled model, in the form OWNER/NAME. Same lists
	// the identifiers of other models with the same cache.
	Models map[string][]string `json:"models"`
	Same   map[string][]string `json:"same"`
}

// Field is one field of a model configuration.
type Field struct {
	// Path is the field's path in the file, such as strategy.tp_size.
	Path string `json:"path"`
	// Var is the field's name in formulas.
	Var  string `json:"var"`
	Flag string `json:"flag,omitempty"`
	Doc  string `json:"doc,omitempty"`
	Type Type   `json:"type"`
	// Unit is the unit whose suffixes are allowed.
	Unit string `json:"unit,omitempty"`
	// Least describes small numbers whose unit was probably forgotten.
	Least []Least `json:"least,omitempty"`
	// Note is [NoteAny] or [NoteFile] if the field's values, or only those from files, may be
	// purely informative. kvbench does not print a note if nothing depends on such a value.
	Note string `json:"note,omitempty"`
	// Such is an example value.
	Such string `json:"such,omitempty"`
	// Needs is the only accounting that accepts the field.
	Needs string `json:"needs,omitempty"`
	// Transfer fields exist only in plans for transfers between two sides.
	Transfer bool `json:"transfer,omitempty"`
	// Fields marked Late were added later, so their columns come after those of the other fields.
	Late bool `json:"late,omitempty"`
	// Fields marked Last were added even later. Their columns are at the very end, and the
	// headings are the fields' own names.
	Last bool `json:"last,omitempty"`
	// Fields marked Comma have values that may contain commas, so commas do not separate the
	// values of an axis.
	Comma bool `json:"comma,omitempty"`
	// Fields marked More have flags that only the full help describes.
	More bool `json:"more,omitempty"`
	// Keys lists the keys that Table has in every architecture, and Words lists other known
	// values. Like the type's words, they are matched case-insensitively.
	Keys  []string `json:"keys,omitempty"`
	Words []string `json:"words,omitempty"`
	// Aka lists the names that other programs use for the field.
	Aka []string `json:"aka,omitempty"`
	// Table is the name of the table whose keys are allowed.
	Table string `json:"table,omitempty"`
	// Fields marked Expected cause a warning if they are not set and a result depends on them.
	Expected bool `json:"expected,omitempty"`
	// Announced describes the field in the note that is printed when its value comes from a
	// model.
	Announced string        `json:"announced,omitempty"`
	Default   formula.Value `json:"default,omitzero"`
	// DefaultBy describes where the default comes from, if it is not Default.
	DefaultBy string   `json:"default_by,omitempty"`
	Pos       diag.Pos `json:"pos,omitzero"` // the position of the default
}

// Least describes suspicious numbers. If a number is greater than 0 and less than Below, the
// user probably forgot one of the suffixes.
type Least struct {
	Below    int64    `json:"below"`
	Suffixes []string `json:"suffixes"`
}

// The values of [Field.Note]. A value that no formula uses is fine wherever it is set, or only
// in a file.
const (
	NoteAny  = "any"
	NoteFile = "file"
)

// Unit is a unit for numbers.
type Unit struct {
	Name string `json:"name"`
	// Such contains examples of numbers with the unit. Arg is the placeholder for such numbers
	// in the help.
	Such []string `json:"such"`
	Arg  string   `json:"arg"`
	// Suffixes maps the suffixes that numbers may have to the factors that the suffixes
	// represent.
	Suffixes map[string]int64 `json:"suffixes"`
	// Words maps words to the numbers that they represent.
	Words map[string]int64 `json:"words,omitempty"`
	// FieldsOnly reports whether only the values of fields may have the unit.
	FieldsOnly bool `json:"fields_only,omitempty"`
	// Unclear maps ambiguous suffixes, in lower case, to the suffixes that the user may have
	// meant. Ambiguous suffixes are rejected regardless of case.
	Unclear map[string][]string `json:"unclear,omitempty"`
}

// Quantity is a number in a plan, computed by Formula or, in rank accounting,
// by Rank.
type Quantity struct {
	Name    string  `json:"name"`
	Doc     string  `json:"doc"`
	Unit    string  `json:"unit"`
	Formula Formula `json:"formula,omitzero"`
	Rank    Formula `json:"rank,omitzero"`
	// Transfer is used instead of Rank in transfers between ranks.
	Transfer Formula `json:"transfer,omitzero"`
	// Detail is the condition for showing the quantity in a detailed plan. If there is no
	// condition, every plan shows the quantity.
	Detail Formula `json:"detail,omitzero"`
	// RankDetail and TransferDetail replace Detail in rank accounting and in transfers, if
	// they are set.
	RankDetail     Formula `json:"rank_detail,omitzero"`
	TransferDetail Formula `json:"transfer_detail,omitzero"`
	// OnlyTransfers reports whether the quantity exists only for transfers.
	OnlyTransfers bool `json:"only_transfers,omitempty"`
}

// View describes which parts of a plan a command shows.
type View struct {
	Rows []Row `json:"rows"`
	// Rank contains additional rows for single-rank plans.
	Rank  []Row `json:"rank,omitempty"`
	Width int   `json:"width,omitempty"`
	// Preset contains the values of configuration fields that the command sets, keyed by
	// section and name.
	Preset map[string]map[string]formula.Value `json:"preset,omitempty"`
}

// Row is one line of a view.
type Row struct {
	Label  string `json:"label"`
	Value  string `json:"value"`
	Suffix string `json:"suffix,omitempty"`
	Shown  string `json:"shown,omitempty"` // shown instead of the value in text output
	And    string `json:"and,omitempty"`   // a second value to show, if the plan has it
	As     string `json:"as,omitempty"`    // bytes, documented_bytes, time, count
	// Optional rows are omitted if the plan does not have the value.
	Optional bool `json:"optional,omitempty"`
	// If the text of the value equals Unless, the row is omitted.
	Unless *string `json:"unless,omitempty"`
	// With maps the names of configuration fields in formulas to the values that the fields
	// have while the row's value is computed.
	With map[string]string `json:"with,omitempty"`
}

// Listed contains the data for selecting an architecture by its name or by the names of
// models. The rest of the architecture's file is read on demand.
type Listed struct {
	Name string `json:"name"`
	// Match is a regular expression that must match the whole model name, ignoring case.
	Match string `json:"match"`
	// File is the file that defines the architecture.
	File string               `json:"file"`
	Arch Later[*Architecture] `json:"architecture"`
}

// List returns the entry that represents an architecture in a list of architectures.
func List(a *Architecture) *Listed {
	l := &Listed{Name: a.Name, Match: a.Match, File: a.File}
	l.Arch.Set(a)
	return l
}

// Architecture describes what a group of related models stores in its KV cache.
type Architecture struct {
	Name     string                        `json:"name"`
	Match    string                        `json:"match"`
	File     string                        `json:"file"`
	Params   []Param                       `json:"params"`
	Formulas map[string]Formula            `json:"formulas"`
	Tables   map[string]map[string]Formula `json:"tables"`
	// DefaultAccounting is the accounting set in the file, or ""; see
	// [Architecture.Accounting].
	DefaultAccounting string `json:"default_accounting,omitempty"`
	// Layers is the cache section of the file, or nil.
	Layers   *Layers        `json:"layers,omitempty"`
	Requires []Requirement  `json:"requires,omitempty"`
	Checks   Later[[]Check] `json:"checks"`
}

// AccountingVar is the name that formulas use for the configuration field that selects the
// accounting. The other constants are the field's values.
const (
	AccountingVar   = "accounting"
	AccountingRank  = "rank"
	AccountingModel = "kvbench"
)

// EngineVar and EngineReleaseVar are the names that formulas use for the configuration
// fields that select an engine and its release.
const (
	EngineVar        = "engine"
	EngineReleaseVar = "engine_release"
)

// Accounting returns the accounting to use by default.
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

// Check is a known result that an architecture must reproduce.
type Check struct {
	Params map[string]formula.Value `json:"params"`
	Config map[string]formula.Value `json:"config,omitempty"`
	Expect map[string]int64         `json:"expect"`
	Source string                   `json:"source"`
	// Unverified is a comma-separated list of the quantities that are based on only one
	// source.
	Unverified string `json:"unverified,omitempty"`
	// At maps the parts of the check to their positions. The key is, for
	// example, "expect.block_size" for the value of a quantity and
	// "expect.block_size:" for its name. For the check itself, the key is "".
	At map[string]diag.Pos `json:"-"`
}

// UnverifiedNames returns the quantities that are based on only one source.
func (c *Check) UnverifiedNames() []string {
	return strings.FieldsFunc(c.Unverified, func(r rune) bool { return r == ',' || r == ' ' })
}

// Field returns the configuration field with the given path, or nil. The field may be in the
// launch section.
func (s *Schema) Field(path string) *Field {
	fields := s.Fields
	if strings.HasPrefix(path, LaunchSection+".") {
		fields = s.LaunchFields.Get()
	}
	for i := range fields {
		if fields[i].Path == path {
			return &fields[i]
		}
	}
	return nil
}

// FieldOf returns the field that formulas refer to by the given name, or nil.
func (s *Schema) FieldOf(name string) *Field {
	for i := range s.Fields {
		if s.Fields[i].Var == name {
			return &s.Fields[i]
		}
	}
	return nil
}

// Values returns the allowed values or, if they depend on the architecture, the ones that
// every architecture allows. It returns nil if the field's values are not limited to a list.
func (f *Field) Values() []string {
	if f.Type.Kinds == KindText && len(f.Type.Words) > 0 {
		return f.Type.Words
	}
	return f.Keys
}

// Known returns the field's known words: those in its type, in Keys and in Words.
func (f *Field) Known() []string { return slices.Concat(f.Type.Words, f.Keys, f.Words) }

// KnownOf returns the known values of the field that formulas refer to by the given name.
func (s *Schema) KnownOf(name string) []string {
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Var == name {
			return f.Known()
		}
	}
	return nil
}

// Spelling returns the known word that equals a string except for case. If
// there is none, or more than one, it returns the string unchanged.
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

// EachFormula calls f for every formula except those of architectures, with the CUE package
// that contains it ("" for the package kvbench) and its path in the package.
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
		f("plan", append(path, "transfer"), &s.Quantities[i].Transfer)
		f("plan", append(path, "detail"), &s.Quantities[i].Detail)
		f("plan", append(path, "rank_detail"), &s.Quantities[i].RankDetail)
		f("plan", append(path, "transfer_detail"), &s.Quantities[i].TransferDetail)
	}
	s.Cache.Get().eachFormula(in("cache"))
	s.Logs.Get().eachFormula(in("logs"))
	s.Checkpoints.Get().eachFormula(in(""))
	s.Nixlbench.eachFormula(in("nixlbench"))
	s.Launch.Get().eachFormula(in("launch"))
}

// EachFormula calls f for every formula of the architecture, with its path
// relative to the architecture's value.
func (a *Architecture) EachFormula(f func(path []string, formula *Formula)) {
	eachIn(a.Formulas, nil, f)
	for _, name := range Keys(a.Tables) {
		eachIn(a.Tables[name], []string{name}, f)
	}
	if a.Layers != nil {
		a.Layers.eachFormula(f)
	}
	eachRequirement(a.Requires, "requires", nil, f)
}

// Param returns the parameter with the given name, or nil.
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
