package config

import (
	"io/fs"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"cuelang.org/go/cue"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/huggingface"
	"kvbench/engine/schema"
	"kvbench/engine/source"
)

// Loader reads users' files and checks them against the schema. It is safe for
// concurrent use.
type Loader struct {
	*source.Files

	schema  *schema.Schema
	defs    func() (cue.Value, error)    // the kvbench package of the schema
	results func() (*schema.Type, error) // the type of a line in a results file
	axes    sync.Map                     // results of overrideAxis, keyed by override
}

// NewLoader returns a loader for a schema. files contains the schema's CUE files, which
// are in cue/ in the repository.
func NewLoader(s *schema.Schema, files fs.FS) *Loader {
	l := &Loader{Files: source.New(s, files), schema: s}
	l.defs = sync.OnceValues(func() (cue.Value, error) { return l.Reader().Package(".") })
	l.results = sync.OnceValues(l.resultShape)
	return l
}

// Definitions returns the schema's CUE package, which defines the kinds of files that
// kvbench reads.
func (l *Loader) Definitions() (cue.Value, error) { return l.defs() }

// Override is a configuration value that was set outside the file. It consists of the
// field's path, the value's text, and the place where the value was set.
type Override struct {
	Path   string
	Text   string
	Origin data.Origin
	// If Axis is set, the text may be a list or a range.
	Axis bool
}

// Config describes how a model is run.
type Config struct {
	File string
	// Values contains the value of every field, keyed by its name in formulas. A field that
	// has no default, such as source or destination, is absent unless it is set.
	Values map[string]data.Fact
	// Axes are the fields that have several values, in schema order. Values contains the
	// first value of each axis.
	Axes []Axis
	// Knobs are the nixlbench flags in the file's sweep section. Each has one or more
	// values.
	Knobs []*Knob
	// Launch contains the options of the launch section that are set, keyed by name.
	Launch map[string]data.Fact
}

// Config reads a configuration file, applies preset and then the overrides, and validates
// the result. If file is empty, Config does not read a file. command is the name of the command
// that the preset comes from. Errors contain the position in the file or the name of the flag.
func (l *Loader) Config(file string, preset map[string]map[string]formula.Value, command string, overrides []Override) (*Config, error) {
	if file == "" {
		return l.config(file, &data.Document{}, preset, command, overrides)
	}
	var c *Config
	err := l.BoundedCUE(file, func() error {
		doc, err := l.readDocument(file)
		if err == nil {
			c, err = l.config(file, doc, preset, command, overrides)
		}
		return err
	})
	return c, err
}

func (l *Loader) config(file string, doc *data.Document, preset map[string]map[string]formula.Value, command string, overrides []Override) (*Config, error) {
	var errs diag.List
	doc, job, err := l.launchOf(doc, overrides)
	errs.Add(err)
	doc, axes, knobs, err := l.sweepOf(doc)
	errs.Add(err)
	layers := []*data.Document{doc, presetLayer(preset, command), {}}
	for _, o := range overrides {
		if isLaunch(o.Path) {
			continue
		}
		over := data.Leaf{Path: o.Path, Origin: o.Origin}
		delete(axes, o.Path)
		if o.Axis {
			a, err := l.overrideAxis(l.schema.Field(o.Path), o)
			errs.Add(err)
			if err != nil {
				continue
			}
			axes[o.Path] = a
			over.Value = a.first
		} else {
			over.Value = l.parse(l.schema.Field(o.Path), unescape(o.Text))
		}
		layers[2].Leaves = append(layers[2].Leaves, over)
	}
	merged := data.Merge(layers...)
	merged.File = file
	errs.Add(l.checkConfig(merged))
	c := &Config{File: file, Values: make(map[string]data.Fact, len(l.schema.Fields)), Knobs: knobs, Launch: job}
	for i := range l.schema.Fields {
		f := &l.schema.Fields[i]
		if !f.Default.IsZero() {
			c.Values[f.Var] = data.Fact{Value: f.Default, Origin: data.Origin{Kind: data.FromDefault, Pos: f.Pos}}
		}
		if leaf := merged.Leaf(f.Path); leaf != nil {
			if v, ok := leaf.Formula(); ok {
				c.Values[f.Var] = l.fact(f, v, leaf.Origin)
			}
		}
		if a := axes[f.Path]; a != nil && len(a.Values) > 1 {
			c.Axes = append(c.Axes, a.Axis)
		}
	}
	return c, errs.Err()
}

// checkConfig validates the values of a configuration, and removes invalid
// ones.
func (l *Loader) checkConfig(doc *data.Document) error {
	var errs, wrong diag.List
	wrong.Add(l.readTexts(doc))
	dropEmptySections(doc, l.schema)
	errs.Add(schema.DropUnknown(doc, append(l.fieldPaths(), SweepSection), l.alias, "not a configuration field"))
	wrong.Add(l.judge(doc))
	sort.SliceStable(wrong, func(i, j int) bool { return wrong[i].Pos.Line < wrong[j].Pos.Line })
	errs.Add(wrong.Err())
	return errs.Err()
}

// Check validates the configuration in a document. If the configuration is valid, Check
// returns the notes from [Loader.Small] as its error.
func (l *Loader) Check(file string, doc *data.Document) error {
	c, err := l.config(file, doc, nil, "", nil)
	if err != nil {
		return err
	}
	return l.Small(c).Err()
}

// Values validates the values of configuration fields in a document, and returns them
// keyed by their names in formulas.
func (l *Loader) Values(doc *data.Document) (map[string]data.Fact, error) {
	if len(doc.Leaves) == 0 {
		return nil, nil
	}
	err := l.checkConfig(doc)
	values := map[string]data.Fact{}
	for _, leaf := range doc.Leaves {
		if f := l.schema.Field(leaf.Path); f != nil {
			if v, ok := leaf.Formula(); ok {
				values[f.Var] = l.fact(f, v, leaf.Origin)
			}
		}
	}
	return values, err
}

// fact returns a field's value with its origin and, if the field's unit has a word for
// it, that word.
func (l *Loader) fact(f *schema.Field, v formula.Value, origin data.Origin) data.Fact {
	fact := data.Fact{Value: v, Origin: origin}
	if word := l.schema.Word(f, v); word != v.Text() {
		fact.Word = word
	}
	return fact
}

// CheckNamed validates a document in which the keys are the names of configuration fields
// in formulas. It drops unknown names, which the caller must report.
func (l *Loader) CheckNamed(doc *data.Document) error {
	for j := range doc.Leaves {
		for k := range l.schema.Fields {
			if field := &l.schema.Fields[k]; field.Var == doc.Leaves[j].Path {
				doc.Leaves[j].Path = field.Path
				break
			}
		}
	}
	schema.DropUnknown(doc, l.fieldPaths(), nil, "")
	var errs diag.List
	errs.Add(l.readTexts(doc))
	errs.Add(l.judge(doc))
	return errs.Err()
}

// judge checks the values of known fields. It uses CUE only for values that are not
// clearly valid.
func (l *Loader) judge(doc *data.Document) error {
	if schema.IsPlain(doc, l.fieldType, nil) {
		return nil
	}
	defs, err := l.defs()
	if err != nil {
		return err
	}
	return schema.Judge(doc, defs.LookupPath(cue.ParsePath("#Config")), l.allowed)
}

// With returns the configuration for a model. For values that were not set, it uses the
// model's own defaults. If these do not set the accounting, it uses the architecture's default.
func (c *Config) With(arch *schema.Architecture, defaults map[string]data.Fact) *Config {
	out := &Config{File: c.File, Values: maps.Clone(c.Values), Axes: c.Axes, Knobs: c.Knobs, Launch: c.Launch}
	for name, v := range defaults {
		if old, ok := c.Values[name]; !ok || old.Origin.Kind == data.FromDefault {
			out.Values[name] = v
		}
	}
	if _, ok := out.Values[schema.AccountingVar]; !ok {
		out.Values[schema.AccountingVar] = data.Fact{
			Value:  formula.Text(arch.Accounting()),
			Origin: data.Origin{Kind: data.FromDefault, Pos: diag.Pos{File: arch.File}},
		}
	}
	return out
}

// fieldType returns the type of the field at a path, or nil.
func (l *Loader) fieldType(path string) *schema.Type {
	if f := l.schema.Field(path); f != nil {
		return &f.Type
	}
	return nil
}

// allowed describes what a configuration allows at a path, and returns the
// words that it accepts.
func (l *Loader) allowed(path string) (string, []string) {
	if f := l.schema.Field(path); f != nil && f.Such != "" {
		return "a value such as " + f.Such, f.Type.Words
	} else if f != nil {
		return l.schema.NumberText(f.Unit, f.Type.String()), f.Type.Words
	}
	return "a mapping", nil
}

func (l *Loader) readDocument(file string) (*data.Document, error) {
	if data.IsCUE(file) {
		p, err := l.Evaluate(file)
		if err != nil {
			return nil, err
		}
		return p.Document()
	}
	text, err := data.Read(file, l.Watch)
	if err != nil {
		return nil, err
	}
	root, err := data.Parse(file, text, huggingface.Is)
	if err != nil {
		return nil, err
	}
	return data.Flat(file, root)
}

// cueSuffixes are CUE's number suffixes. Their meanings differ from those of unit suffixes:
// in CUE, 1K is 1000.
const cueSuffixes = "KMGTP"

// parse parses the text of an override. The result is a number if the field is numeric and
// the text looks like a number, or else a string.
func (l *Loader) parse(f *schema.Field, text string) data.Value {
	plain := data.From(formula.Text(text))
	if f == nil {
		return plain
	}
	if n, err := l.schema.ParseNumber(f.Unit, text); err == nil && f.Unit != "" {
		return data.From(formula.Number(n))
	}
	if f.Type.Numbers() && !strings.ContainsAny(text, cueSuffixes) {
		if n, ok := data.Number(text); ok {
			return n
		}
	}
	if f.Type.Kinds == schema.KindBool {
		switch strings.ToLower(text) {
		case "true", "1", "yes":
			return data.From(formula.Truth(true))
		case "false", "0", "no":
			return data.From(formula.Truth(false))
		}
	}
	return plain
}

// readTexts converts numbers with a unit suffix to plain numbers, and known words to the
// case in which the schema lists them. It also removes some invalid numbers and returns
// errors about them that are more specific than those of the schema check.
func (l *Loader) readTexts(d *data.Document) error {
	var errs diag.List
	kept := d.Leaves[:0]
	for _, leaf := range d.Leaves {
		f := l.schema.Field(leaf.Path)
		switch {
		case f == nil:
		case f.Comma && leaf.Kind == data.List:
			errs = append(errs, l.commaList(f, &leaf))
			continue
		case f.Unit == "":
			spell(f, &leaf.Value)
		default:
			if err := l.readUnit(f, &leaf); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		kept = append(kept, leaf)
	}
	d.Leaves = kept
	return errs.Err()
}

// commaList returns the error for a list where a string with commas is expected.
func (l *Loader) commaList(f *schema.Field, leaf *data.Leaf) *diag.Diag {
	allowed, _ := l.allowed(f.Path)
	d := leaf.Origin.Errorf("%s%s is not allowed: expected %s", leaf.Label(), &leaf.Value, allowed).About(diag.NotAllowed, leaf.Path)
	words := make([]string, len(leaf.Items))
	for i := range leaf.Items {
		switch leaf.Items[i].Kind {
		case data.Text, data.Whole:
			words[i] = leaf.Items[i].Text
		default:
			return d
		}
	}
	if len(words) == 0 {
		return d
	}
	return d.WithHint("write it as one string: %s", data.Shorten(strconv.Quote(strings.Join(words, ","))))
}

func (l *Loader) readUnit(f *schema.Field, leaf *data.Leaf) *diag.Diag {
	if leaf.Kind == data.Whole && strings.ContainsAny(leaf.Text, cueSuffixes) {
		return leaf.Origin.Errorf("%s%s is a CUE number, in which K is 1000 and Ki is 1024", leaf.Label(), leaf.Text).
			WithHint("write a plain number, or quote one with a unit such as %q", l.schema.Units[f.Unit].Such[0])
	}
	if leaf.Kind != data.Text {
		return nil
	}
	n, err := l.schema.ParseNumber(f.Unit, leaf.Text)
	hint := l.schema.NumberHint(f.Unit, leaf.Text)
	allowed, _ := l.allowed(f.Path)
	switch {
	case err == nil:
		leaf.Value = data.From(formula.Number(n))
	case err == strconv.ErrRange:
		return leaf.Origin.Errorf("%s%s does not fit in 64 bits: expected %s", leaf.Label(), &leaf.Value, allowed)
	case hint != "":
		return leaf.Origin.Errorf("%s%s is not allowed: expected %s", leaf.Label(), &leaf.Value, allowed).
			About(diag.NotAllowed, leaf.Path).WithHint("%s", hint)
	}
	return nil
}

// spell replaces a string with the matching known word of the field, if there
// is one.
func spell(f *schema.Field, v *data.Value) {
	if v.Kind == data.Text {
		v.Text = schema.Spelling(v.Text, f.Known())
	}
}

func presetLayer(preset map[string]map[string]formula.Value, command string) *data.Document {
	doc := &data.Document{}
	for _, section := range schema.Keys(preset) {
		for _, name := range schema.Keys(preset[section]) {
			doc.Leaves = append(doc.Leaves, data.Leaf{Path: section + "." + name, Value: data.From(preset[section][name]), Origin: data.Origin{Kind: data.FromCommand, Name: command}})
		}
	}
	return doc
}

// flagPath returns the path of the field that the flag with the given name overrides,
// or "".
func (l *Loader) flagPath(flag string) string {
	for i := range l.schema.Fields {
		if f := &l.schema.Fields[i]; f.Flag == flag {
			return f.Path
		}
	}
	return ""
}

// alias returns the path of the field whose flag has the given name, or of the field that
// another program calls by this name. If there is no such field, path is "" and hint may
// explain why.
func (l *Loader) alias(name string) (path, hint string) {
	if path := l.flagPath(name); path != "" {
		return path, ""
	}
	for i := range l.schema.Fields {
		if f := &l.schema.Fields[i]; slices.Contains(f.Aka, strings.ReplaceAll(name, "-", "_")) {
			return f.Path, ""
		}
	}
	return "", l.schema.Lacks(name)
}

func (l *Loader) fieldPaths() []string {
	paths := make([]string, len(l.schema.Fields))
	for i := range l.schema.Fields {
		paths[i] = l.schema.Fields[i].Path
	}
	return paths
}

// dropEmptySections removes empty sections. In YAML, the line `runtime:` by itself
// creates one.
func dropEmptySections(d *data.Document, s *schema.Schema) {
	kept := d.Leaves[:0]
	for _, l := range d.Leaves {
		if l.IsNothing() && isSection(s, l.Path) {
			continue
		}
		kept = append(kept, l)
	}
	d.Leaves = kept
}

func isSection(s *schema.Schema, path string) bool {
	for i := range s.Fields {
		if strings.HasPrefix(s.Fields[i].Path, path+".") {
			return true
		}
	}
	return false
}
