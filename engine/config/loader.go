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
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/input"
	"kvbench/engine/schema"
)

// Loader reads users' files and checks them against the schema. It is safe for
// concurrent use.
type Loader struct {
	// Watch, unless nil, is told of every file that work begins on.
	Watch input.Watch
	// NoLinks has files that are read beside others be no symbolic links: those
	// of untrusted authors may point anywhere.
	NoLinks bool
	// Refuse, unless nil, says why a file that is met in a folder, or beside
	// another, is not to be read.
	Refuse func(file string) error
	// Download lets models of Hugging Face be downloaded that the cache on this
	// machine lacks.
	Download bool

	schema  *schema.Schema
	models  fs.FS
	reader  *data.Reader
	defs    func() (cue.Value, error)    // the package kvbench
	results func() (*schema.Type, error) // of a line of a file of results
	axes    sync.Map                     // of overrides, as they were read

	// Of users' CUE: packages by their names and folders, and what each file brings.
	packages, evaluated sync.Map
}

// NewLoader returns a loader for a schema whose CUE files are in files (the
// contents of cue/) and models (the contents of models/).
func NewLoader(s *schema.Schema, files, models fs.FS) *Loader {
	l := &Loader{schema: s, models: models, reader: data.NewReader(files)}
	l.defs = sync.OnceValues(func() (cue.Value, error) { return l.reader.Package(".") })
	l.results = sync.OnceValues(l.resultShape)
	return l
}

// Definitions returns the package of the schema that has the definitions of files.
func (l *Loader) Definitions() (cue.Value, error) { return l.defs() }

// Reader returns the reader of CUE files.
func (l *Loader) Reader() *data.Reader { return l.reader }

// Override is a configuration value given beside the file: the field's path,
// the text, and where it was given.
type Override struct {
	Path   string
	Text   string
	Origin data.Origin
	// Axis lets the text be a list or a range.
	Axis bool
}

// Config is how a model is run: every field's value by its name in formulas.
// source and destination are absent when nobody gave them.
type Config struct {
	File   string
	Values map[string]data.Fact
	// Axes are the fields that have several values, in the schema's order; in
	// Values they have their first.
	Axes []Axis
	// Knobs are the flags of nixlbench that the file's sweep has, with one value
	// or several.
	Knobs []*Knob
}

// Config reads a configuration file (none when file is empty), lays preset and
// the overrides over it, and checks the result. Errors point at the file or
// name the flag.
func (l *Loader) Config(file string, preset map[string]map[string]formula.Value, command string, overrides []Override) (*Config, error) {
	if file == "" {
		return l.config(file, &data.Document{}, preset, command, overrides)
	}
	var c *Config
	err := l.boundedCUE(file, func() error {
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
	doc, axes, knobs, err := l.sweepOf(doc)
	errs.Add(err)
	layers := []*data.Document{doc, presetLayer(preset, command), {}}
	for _, o := range overrides {
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
			over.Value = l.parse(l.schema.Field(o.Path), o.Text)
		}
		layers[2].Leaves = append(layers[2].Leaves, over)
	}
	merged := data.Merge(layers...)
	merged.File = file
	errs.Add(l.checkConfig(merged))
	c := &Config{File: file, Values: make(map[string]data.Fact, len(l.schema.Fields)), Knobs: knobs}
	for i := range l.schema.Fields {
		f := &l.schema.Fields[i]
		if !f.Default.IsZero() {
			c.Values[f.Var] = data.Fact{Value: f.Default, Origin: data.Origin{Kind: data.FromDefault, Pos: f.Pos}}
		}
		if leaf := merged.Leaf(f.Path); leaf != nil {
			if v, ok := leaf.Formula(); ok {
				c.Values[f.Var] = data.Fact{Value: v, Origin: leaf.Origin}
			}
		}
		if a := axes[f.Path]; a != nil && len(a.Values) > 1 {
			c.Axes = append(c.Axes, a.Axis)
		}
	}
	return c, errs.Err()
}

// checkConfig checks the values of a configuration, and takes out what is none.
func (l *Loader) checkConfig(doc *data.Document) error {
	var errs, wrong diag.List
	wrong.Add(l.readTexts(doc))
	dropEmptySections(doc, l.schema)
	errs.Add(dropUnknown(doc, append(l.fieldPaths(), SweepSection), l.alias, "not a configuration field"))
	if !isPlain(doc, l.fieldType, nil) {
		defs, err := l.defs()
		if err != nil {
			return err
		}
		wrong.Add(judge(doc, defs.LookupPath(cue.ParsePath("#Config")), l.allowed))
	}
	sort.SliceStable(wrong, func(i, j int) bool { return wrong[i].Pos.Line < wrong[j].Pos.Line })
	errs.Add(wrong.Err())
	return errs.Err()
}

// With returns the configuration of a model: where nobody gave a value, the
// model's own default holds, and for the accounting that of its architecture.
func (c *Config) With(m *Model) *Config {
	out := &Config{File: c.File, Values: maps.Clone(c.Values), Axes: c.Axes, Knobs: c.Knobs}
	for name, v := range m.Defaults {
		if old, ok := c.Values[name]; !ok || old.Origin.Kind == data.FromDefault {
			out.Values[name] = v
		}
	}
	if _, ok := out.Values[schema.AccountingVar]; !ok {
		out.Values[schema.AccountingVar] = data.Fact{
			Value:  formula.Text(m.Arch.Accounting()),
			Origin: data.Origin{Kind: data.FromDefault, Pos: diag.Pos{File: m.Arch.File}},
		}
	}
	return out
}

// fieldType gives the type of the field at a path, or nil.
func (l *Loader) fieldType(path string) *schema.Type {
	if f := l.schema.Field(path); f != nil {
		return &f.Type
	}
	return nil
}

// allowed says what a configuration may have at a path, and gives the words that
// it takes.
func (l *Loader) allowed(path string) (string, []string) {
	if f := l.schema.Field(path); f != nil {
		return l.schema.NumberText(f.Unit, f.Type.String()), f.Type.Words
	}
	return "a mapping", nil
}

func (l *Loader) readDocument(file string) (*data.Document, error) {
	if data.IsCUE(file) {
		p, err := l.cueFile(file)
		if err != nil {
			return nil, err
		}
		return p.document()
	}
	text, err := data.Read(file, l.Watch)
	if err != nil {
		return nil, err
	}
	root, err := data.Parse(file, text, isCheckpoint)
	if err != nil {
		return nil, err
	}
	return data.Flat(file, root)
}

// cueSuffixes are the letters of CUE's own suffixes, which are not those of the
// units: 1K is 1000 to CUE.
const cueSuffixes = "KMGTP"

// parse reads the text of an override: a number where the field is one, if it
// looks like one, else a string.
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

// readTexts reads the numbers that are written with the suffix of a unit, and the
// words that are spelled in another case. Numbers of which there is more to say
// than that they are not allowed are taken out.
func (l *Loader) readTexts(d *data.Document) error {
	var errs diag.List
	kept := d.Leaves[:0]
	for _, leaf := range d.Leaves {
		f := l.schema.Field(leaf.Path)
		switch {
		case f == nil:
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

// spell writes a text as the field's known words have it.
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

// flagPath returns the path of the field that a flag of this name replaces, or
// "".
func (l *Loader) flagPath(flag string) string {
	for i := range l.schema.Fields {
		if f := &l.schema.Fields[i]; f.Flag == flag {
			return f.Path
		}
	}
	return ""
}

// alias returns the path of the field that is meant by the name of its flag, or by
// a name that another program has for it, or "".
func (l *Loader) alias(name string) string {
	if path := l.flagPath(name); path != "" {
		return path
	}
	for i := range l.schema.Fields {
		if f := &l.schema.Fields[i]; slices.Contains(f.Aka, strings.ReplaceAll(name, "-", "_")) {
			return f.Path
		}
	}
	return ""
}

func (l *Loader) fieldPaths() []string {
	paths := make([]string, len(l.schema.Fields))
	for i := range l.schema.Fields {
		paths[i] = l.schema.Fields[i].Path
	}
	return paths
}

// dropEmptySections takes out sections without a value, as `runtime:` alone
// gives in YAML.
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

// dropUnknown reports the leaves that stand at or below none of the known
// paths and takes them out, so that CUE gets to report what else is wrong.
// alias returns the path that another name stands for, or "".
func dropUnknown(d *data.Document, known []string, alias func(name string) string, what string) error {
	var errs diag.List
	more := 0 // of which nothing is told: it takes time to say what each is meant to be
	reported := map[string]bool{}
	kept := d.Leaves[:0]
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k[strings.LastIndexByte(k, '.')+1:]
	}
next:
	for _, l := range d.Leaves {
		for _, k := range known {
			if l.Path == k || strings.HasPrefix(l.Path, k+".") || strings.HasPrefix(k, l.Path+".") {
				kept = append(kept, l)
				continue next
			}
		}
		// The key that is wrong may be one that this is nested in.
		if i := strings.IndexByte(l.Path, '.'); i > 0 {
			top := l.Path[:i]
			pos, ok := d.Sections[top]
			if ok && !slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, top+".") }) {
				if reported[top] {
					continue
				}
				reported[top] = true
				if len(errs) == diag.MaxShown {
					more++
				} else {
					e := diag.Errorf(pos, "unknown key %q: %s", top, what).About(diag.Unknown, top)
					var tops []string
					for _, k := range known {
						k, _, _ = strings.Cut(k, ".")
						tops = append(tops, k)
					}
					if !e.Suggest(top, tops) {
						e.WithHint("expected one of %s", strings.Join(slices.Compact(tops), ", "))
					}
					errs = append(errs, e)
				}
				continue
			}
		}
		if len(errs) == diag.MaxShown {
			more++
			continue
		}
		e := l.Origin.Errorf("unknown key %q: %s", l.Path, what).About(diag.Unknown, l.Path)
		if l.Key.Line > 0 {
			e.Pos = l.Key
		}
		last := l.Path[strings.LastIndexByte(l.Path, '.')+1:]
		near := alias(last)
		if near == "" {
			near = diag.Nearest(l.Path, known)
		}
		if near == "" { // the right name in the wrong section
			if n := diag.Nearest(last, names); n != "" {
				for i := range names {
					if names[i] == n {
						near = known[i]
					}
				}
			}
		}
		if near != "" {
			e.WithHint("did you mean %q?", near)
			d.Meant = append(d.Meant, near)
		}
		errs = append(errs, e)
	}
	d.Leaves = kept
	errs.Add(diag.More(d.File, more))
	return errs.Err()
}

// judge unifies the document with a definition and words what CUE finds:
// allowed says what a path may hold.
func judge(d *data.Document, def cue.Value, allowed func(path string) (string, []string)) error {
	v := cuecontext.New().BuildExpr(d.Expr())
	err := def.Unify(v).Validate(cue.Concrete(true))
	if err == nil {
		return nil
	}
	var errs diag.List
	more := 0
	seen := map[string]bool{}
	for _, e := range cueerrors.Errors(err) {
		if len(errs) == diag.MaxShown {
			more++
			continue
		}
		at := strings.Join(data.TrimPath(e.Path()), ".")
		l := d.Leaf(at)
		for p := at; l == nil && p != ""; { // an item of a list, or what a leaf hides
			p = p[:max(0, strings.LastIndexByte(p, '.'))]
			l = d.Leaf(p)
		}
		name := at
		if l != nil {
			l = itemAt(l, at)
			name = l.Path
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		want, words := allowed(at)
		switch {
		case l == nil:
			if pos, ok := d.Sections[at]; ok {
				errs = append(errs, diag.Errorf(pos, "%s: a mapping is not allowed: expected %s", at, want).About(diag.NotAllowed, at))
				continue
			}
			format, args := e.Msg()
			if strings.Contains(format, "incomplete value") && !strings.Contains(at, ".") {
				continue // missing has it
			}
			if strings.Contains(format, "field is required") {
				if strings.Contains(at, ".") { // missing has the others
					errs = append(errs, diag.Errorf(diag.Pos{File: d.File}, "%s is missing: give it %s", at, want).About(diag.Missing, at))
				}
				continue
			}
			msg := diag.Errorf(diag.Pos{File: d.File}, format, args...).About(diag.NotAllowed, at)
			msg.Subject = at
			errs = append(errs, msg)
		case l.Kind == data.Whole && l.Unfit() != "":
			errs = append(errs, l.Origin.Errorf("%s%s does not fit in 64 bits: expected %s", l.Label(), &l.Value, want).About(diag.NotAllowed, name))
		default:
			msg := l.Origin.Errorf("%s%s is not allowed: expected %s", l.Label(), &l.Value, want).About(diag.NotAllowed, name)
			if l.Kind == data.Text {
				msg.Suggest(l.Text, words)
			}
			errs = append(errs, msg)
		}
	}
	sort.SliceStable(errs, func(i, j int) bool { return errs[i].Pos.Line < errs[j].Pos.Line })
	errs.Add(diag.More(d.File, more))
	return errs.Err()
}

// itemAt returns the item of a list that stands at a path, else the leaf itself.
func itemAt(l *data.Leaf, at string) *data.Leaf {
	i, err := strconv.Atoi(strings.TrimPrefix(at, l.Path+"."))
	if err != nil || i < 0 || i >= len(l.Items) {
		return l
	}
	item := &data.Leaf{Path: at, Value: l.Items[i], Origin: l.Origin}
	if item.Pos.Line > 0 && l.Origin.Pos.Line > 0 {
		item.Pos.File = l.Origin.Pos.File
		item.Origin.Pos = item.Pos
	}
	return item
}

// isPlain reports whether a document is good for certain, without CUE: each leaf
// is one that its type takes, and none is missing.
func isPlain(d *data.Document, typeOf func(path string) *schema.Type, required []string) bool {
	if slices.ContainsFunc(required, func(name string) bool { return d.Leaf(name) == nil }) {
		return false
	}
	return !slices.ContainsFunc(d.Leaves, func(l data.Leaf) bool {
		t := typeOf(l.Path)
		return t == nil || !t.Takes(&l.Value)
	})
}

// missing reports the required fields of a definition that the document lacks,
// but for those that another key was meant to be.
func missing(d *data.Document, def cue.Value, at diag.Pos, allowed func(path string) (string, []string)) error {
	iter, err := def.Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	var errs diag.List
	for iter.Next() {
		name := iter.Selector().Unquoted()
		optional := iter.Selector().ConstraintType() == cue.OptionalConstraint
		if optional || iter.Value().IsConcrete() || slices.Contains(d.Meant, name) {
			continue
		}
		if !slices.ContainsFunc(d.Leaves, func(l data.Leaf) bool { return l.Path == name || strings.HasPrefix(l.Path, name+".") }) {
			want, _ := allowed(name)
			errs = append(errs, diag.Errorf(at, "%s is missing: give it %s", name, want).About(diag.Missing, name))
		}
	}
	return errs.Err()
}

// Bounded does some work on a file: [Loader.Watch] sees to it that it ends, and
// a panic becomes an error.
func (l *Loader) Bounded(file string, work func() error) (err error) {
	defer l.Watch.Begin(file, input.Evaluate)()
	defer data.Catch(file, &err)
	return work()
}
