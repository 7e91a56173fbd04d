package model

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/hub"
	"kvbench/engine/huggingface"
	"kvbench/engine/schema"
	"kvbench/engine/source"
)

// Model is an architecture with parameters.
type Model struct {
	File   string
	Name   string
	Arch   *schema.Architecture
	Params map[string]data.Fact
	// Defaults contains the model's own defaults for configuration fields, keyed by the
	// fields' names in formulas; see [config.Config.With].
	Defaults map[string]data.Fact
	// Notes are messages about how the model was read. Doubts are messages about the model's
	// defaults, to show if the defaults are used.
	Notes  diag.List
	Doubts map[string]diag.List
}

// Loader reads users' models and other files. It is safe for concurrent use.
type Loader struct {
	*config.Loader
	// Download allows downloading Hugging Face models that are not in the local
	// cache.
	Download bool

	schema    *schema.Schema
	models    fs.FS
	evaluated sync.Map // results of [Loader.broughtBy], keyed by file name
	contract  func() (*contract, error)
}

// contract is the schema's definition of architectures.
type contract struct {
	cue.Value
	fields []string
}

// NewLoader returns a loader for a schema whose CUE files are in files (the
// contents of cue/) and models (the contents of models/).
func NewLoader(s *schema.Schema, files, models fs.FS) *Loader {
	l := &Loader{Loader: config.NewLoader(s, files), schema: s, models: models}
	l.contract = sync.OnceValues(func() (*contract, error) {
		defs, err := l.Definitions()
		if err != nil {
			return nil, err
		}
		v := lookup(defs, source.ArchitectureDef)
		return &contract{v, fieldNames(v, nil)}, nil
	})
	return l
}

// lookup returns the field with the given name, or the definition if the name begins with
// #.
func lookup(v cue.Value, name string) cue.Value {
	if strings.HasPrefix(name, "#") {
		return v.LookupPath(cue.MakePath(cue.Def(name)))
	}
	return v.LookupPath(cue.MakePath(cue.Str(name)))
}

// candidate is an architecture that a model name may select. params returns the CUE
// definition of its parameters.
type candidate struct {
	*schema.Listed
	params func() (cue.Value, error)
}

// Model reads a parameter file, or a CUE file that may define its own architecture. It uses
// the model's name to select an architecture from the file itself, the bundled architectures
// and the architectures in the given folders. It also checks the parameters.
//
// Instead of a path, file may be the name of a bundled model or of a model in dirs,
// or a model's identifier on Hugging Face.
func (l *Loader) Model(file string, dirs []string) (*Model, error) {
	entry, err := l.find(file, dirs)
	if err != nil {
		return nil, err
	}
	known, err := l.known(dirs)
	if err != nil {
		return nil, err
	}
	m, err := l.EntryModel(entry, known)
	if err != nil {
		return nil, err
	}
	var notes diag.List
	if entry.StandsFor != "" {
		notes = append(notes, diag.Notef(diag.Pos{}, "%s has the same cache as %s, so the plan is for %s", entry.StandsFor, entry.Name, m.Name))
	}
	if id := entry.Checkpoint; id != "" {
		if !isID(id) {
			id = "OWNER/" + id
		}
		file := entry.File
		if entry.Bundled {
			file = "the bundled " + file
		}
		notes = append(notes, diag.Notef(diag.Pos{}, "%s: the plan is for %s; the checkpoint's own formats are not read", entry.Checkpoint, file).
			WithHint("use --model %s%s to read them from its config.json", hub.Scheme, id))
	}
	m.Notes = append(notes, m.Notes...)
	return m, nil
}

// EntryModel reads the model in an entry's file.
func (l *Loader) EntryModel(entry Entry, known *Known) (m *Model, err error) {
	if data.IsCUE(entry.File) {
		return l.cueModel(entry.File, known)
	}
	err = l.Bounded(entry.File, func() error {
		text, err := l.Text(entry)
		if err == nil {
			m, err = l.dataModel(entry.File, text, known)
		}
		return err
	})
	return m, err
}

// cueModel reads a model from CUE, which may define its own architecture.
func (l *Loader) cueModel(file string, known *Known) (m *Model, err error) {
	var doc *data.Document
	var b *brought
	err = l.BoundedCUE(file, func() error {
		doc, b, err = l.readModel(file)
		return err
	})
	if err != nil {
		return nil, err
	}
	archs, families := b.archs, b.families
	if !isFound(doc, archs, known) {
		others, more, err := l.others(file)
		if err != nil {
			return nil, err
		}
		archs, families = union(archs, others), slices.Concat(families, more)
	}
	err = l.Bounded(file, func() error {
		if err := known.addFamilies(families); err != nil {
			return err
		}
		m, err = l.model(file, doc, archs, known)
		return err
	})
	return m, err
}

// isFound reports whether a model's architecture is in own or known. If not, the caller looks
// for it in other files. isFound also returns true for a model without a name.
func isFound(doc *data.Document, own []candidate, known *Known) bool {
	leaf := doc.Leaf(schema.NameParam)
	if leaf == nil || leaf.Kind != data.Text {
		return true
	}
	_, err := choose(doc, leaf, own, known.list)
	return err == nil
}

// dataModel reads a model from YAML or JSON: a parameter file or a Hugging Face
// configuration.
func (l *Loader) dataModel(file string, text []byte, known *Known) (*Model, error) {
	root, err := data.Parse(file, text, huggingface.Is)
	if err != nil {
		return nil, err
	}
	if data.IsJSON(file) && huggingface.Is(root) {
		return l.checkpointModel(file, root, known)
	}
	doc, err := data.Flat(file, root)
	if err != nil {
		return nil, err
	}
	return l.model(file, doc, nil, known)
}

// model finds the architecture of a model and checks its parameters.
func (l *Loader) model(file string, doc *data.Document, own []candidate, known *Known) (*Model, error) {
	nameLeaf := doc.Leaf(schema.NameParam)
	if nameLeaf == nil {
		d := diag.Errorf(diag.Pos{File: file}, "%s is missing: it selects the architecture", schema.NameParam).About(diag.Missing, schema.NameParam)
		for _, leaf := range doc.Leaves {
			if diag.Nearest(leaf.Path, []string{schema.NameParam}) != "" {
				d.Pos = leaf.Key
				d.WithHint("write %s instead of %s", schema.NameParam, leaf.Path)
				return nil, d
			}
		}
		return nil, d.HintUnlessEmpty(huggingface.Hint(file)).WithHint("run 'kvbench models' to list the architectures and the names they match")
	}
	if nameLeaf.Kind != data.Text {
		return nil, nameLeaf.Origin.Errorf("%s: %s is not allowed: expected a string", schema.NameParam, &nameLeaf.Value)
	}
	if nameLeaf.Text == "" {
		return nil, nameLeaf.Origin.Errorf("%s: \"\" is not allowed: expected a non-empty string", schema.NameParam)
	}

	found, err := choose(doc, nameLeaf, own, known.list)
	if err != nil {
		return nil, err
	}
	arch := found.Arch.Get()
	if !slices.Contains(paramNames(arch), schema.NameParam) {
		return nil, diag.Errorf(nameLeaf.Key, "%s has no parameter named %s, so no file can describe its models", arch.Name, schema.NameParam).
			WithHint("add %s!: string to #params in %s", schema.NameParam, arch.File)
	}
	m := &Model{File: file, Name: nameLeaf.Text, Arch: arch, Params: map[string]data.Fact{}}
	var errs diag.List
	if l := doc.Leaf(schema.DefaultsField); l != nil && !l.IsNothing() {
		errs = append(errs, l.Origin.Errorf("%s: %s is not allowed: expected a mapping with the structure of a configuration", schema.DefaultsField, &l.Value))
	}
	doc, defaults := split(doc)
	m.Defaults, err = l.Values(defaults)
	errs.Add(err)
	errs.Add(schema.DropUnknown(doc, paramNames(arch), nil, "not a parameter of "+arch.Name))
	errs.Add(found.check(doc, diag.Pos{File: doc.File}))
	for _, leaf := range doc.Leaves {
		if v, ok := leaf.Formula(); ok && !strings.Contains(leaf.Path, ".") {
			m.Params[leaf.Path] = data.Fact{Value: v, Origin: leaf.Origin}
		}
	}
	return m, errs.Err()
}

func paramNames(arch *schema.Architecture) []string {
	list := make([]string, len(arch.Params))
	for i, p := range arch.Params {
		list[i] = p.Name
	}
	return list
}

// check checks the parameters of a model. It reports missing parameters at the given
// position.
func (c candidate) check(doc *data.Document, at diag.Pos) error {
	arch := c.Arch.Get()
	typeOf := func(path string) *schema.Type {
		if p := arch.Param(path); p != nil {
			return &p.Type
		}
		return nil
	}
	var required []string
	for _, p := range arch.Params {
		if p.Required && !slices.Contains(doc.Meant, p.Name) {
			required = append(required, p.Name)
		}
	}
	if schema.IsPlain(doc, typeOf, required) {
		return nil
	}
	def, err := c.params()
	if err != nil {
		return err
	}
	var errs diag.List
	errs.Add(schema.Judge(doc, def, c.allowed(def)))
	errs.Add(schema.Missing(doc, def, at, c.allowed(def)))
	return errs.Err()
}

// allowed returns a function that describes the allowed values of a definition's
// parameters.
func (c candidate) allowed(def cue.Value) func(path string) (string, []string) {
	return func(path string) (string, []string) {
		v := def.LookupPath(optionalPath(strings.Split(path, ".")))
		if !v.Exists() {
			return "a value that " + c.File + " allows", nil
		}
		t := schema.TypeOf(v)
		return t.String(), t.Words
	}
}

// choose returns the architecture that a model's file specifies or, if it specifies none,
// the architecture whose pattern matches the model's name. Architectures in the own list,
// which come from the model's own file or package, take precedence.
func choose(doc *data.Document, nameLeaf *data.Leaf, own, known []candidate) (candidate, error) {
	name := nameLeaf.Text
	all := slices.Concat(own, known)
	if l := doc.Leaf(schema.ArchField); l != nil {
		if l.Kind != data.Text {
			return candidate{}, l.Origin.Errorf("%s: %s is not allowed: expected a string", schema.ArchField, &l.Value)
		}
		list := make([]string, len(all))
		for i, c := range all {
			if list[i] = c.Name; list[i] == l.Text {
				return c, nil
			}
		}
		d := l.Origin.Errorf("%s: no architecture is named %q", schema.ArchField, l.Text).About(diag.Unknown, l.Text)
		d.Suggest(l.Text, list)
		return candidate{}, d.WithHint("run 'kvbench models' to list the architectures")
	}
	found := matching(own, name)
	if len(found) == 0 {
		found = matching(known, name)
	}
	switch len(found) {
	case 0:
		d := nameLeaf.Origin.Errorf("%s: no known architecture matches %q", schema.NameParam, name).About(diag.Unknown, name)
		if i := slices.IndexFunc(all, func(c candidate) bool { return c.Name == nearArch(name, all) }); i >= 0 {
			d.WithHint("the closest is %s", names(all[i:i+1]))
		}
		return candidate{}, d.WithHint("run 'kvbench models' to list the architectures and the names they match")
	case 1:
		return found[0], nil
	}
	return candidate{}, nameLeaf.Origin.Errorf("%s: %q matches more than one architecture: %s", schema.NameParam, name, names(found))
}

// split separates a model's document into parameters and defaults. It returns the defaults
// as a configuration document.
func split(doc *data.Document) (params, defaults *data.Document) {
	params, defaults = &data.Document{File: doc.File, Sections: doc.Sections}, &data.Document{File: doc.File, Sections: map[string]diag.Pos{}}
	for path, pos := range doc.Sections {
		if path, ok := strings.CutPrefix(path, schema.DefaultsField+"."); ok {
			defaults.Sections[path] = pos
		}
	}
	for _, l := range doc.Leaves {
		path, ok := strings.CutPrefix(l.Path, schema.DefaultsField+".")
		switch {
		case ok:
			l.Path = path
			l.Origin.Kind = data.FromModel
			defaults.Leaves = append(defaults.Leaves, l)
		case l.Path != schema.ArchField && l.Path != schema.DefaultsField:
			params.Leaves = append(params.Leaves, l)
		}
	}
	return params, defaults
}

func matching(all []candidate, name string) []candidate {
	var found []candidate
	for _, c := range all {
		if c.Match == "" || !mayMatch(c.Match, name) {
			continue
		}
		if re, err := matcher(c.Match); err == nil && re.MatchString(name) {
			found = append(found, c)
		}
	}
	return found
}

// mayMatch reports whether a name may match a pattern, based on the plain characters at the
// beginning of the pattern. This avoids compiling most patterns that do not match.
func mayMatch(pattern, name string) bool {
	prefix := pattern
	if n := strings.IndexAny(pattern, `\.+*?()|[]{}^$`); n >= 0 {
		prefix = pattern[:n]
		if n > 0 && strings.IndexByte("?*{", pattern[n]) >= 0 {
			prefix = pattern[:n-1] // the last character may be missing
		}
	}
	if strings.Contains(pattern, "|") || strings.ContainsFunc(prefix+name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return true
	}
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// matcher compiles an architecture's pattern. The pattern must match the whole name, so a
// name with an additional suffix is not mistaken for the model itself.
func matcher(pattern string) (*regexp.Regexp, error) {
	return regexp.Compile("(?i)^(?:" + pattern + ")$")
}

// nearArch returns the architecture whose name is most similar to the name of a
// model, or "".
func nearArch(model string, all []candidate) string {
	list := make([]string, len(all))
	for i, c := range all {
		list[i] = c.Name
	}
	if near := diag.Nearest(model, list); near != "" {
		return near
	}
	family, _, _ := strings.Cut(model, "_")
	return diag.Nearest(family, list)
}

func names(all []candidate) string {
	list := make([]string, len(all))
	for i, c := range all {
		said := []string{c.File}
		if c.Match != "" {
			said = []string{c.Match, c.File}
		}
		list[i] = c.Name + " (" + strings.Join(said, ", ") + ")"
	}
	slices.Sort(list)
	return strings.Join(list, "; ")
}

// readModel returns a model's parameters, and the architectures and families that its CUE
// file defines.
func (l *Loader) readModel(file string) (*data.Document, *brought, error) {
	b, err := l.broughtBy(file)
	if err != nil {
		return nil, nil, err
	}
	p, err := l.Evaluate(file)
	if err != nil {
		return nil, nil, err
	}
	params := p.Field(source.ModelField)
	switch {
	case params != nil && p.Says(source.ModelField):
		doc, err := data.DocumentOf(file, params)
		return doc, b, err
	case len(b.archs) > 0:
		return nil, nil, diag.Errorf(diag.Pos{File: file}, "has an architecture but no model: add `%s: {%s: …, …}` with its parameters", source.ModelField, schema.NameParam)
	}
	doc, err := p.Document()
	return doc, b, err
}

// known returns the bundled architectures and families, and those in the users'
// folders.
func (l *Loader) known(dirs []string) (*Known, error) {
	var all, own []candidate
	k := &Known{bundled: &l.schema.Families}
	for _, arch := range l.schema.Architectures {
		all = append(all, candidate{arch, func() (cue.Value, error) {
			v, err := l.Reader().Bundled(l.models, filepath.Base(arch.File), arch.File)
			if err != nil {
				return cue.Value{}, err
			}
			return paramsOf(v.LookupPath(cue.MakePath(cue.Str(arch.Name)))), nil
		}})
	}
	var errs diag.List
	for _, dir := range dirs {
		// The folder need not contain CUE files, because its models may use known architectures.
		files, err := fs.Glob(os.DirFS(dir), "*.cue")
		if err == nil && len(files) == 0 {
			_, err = os.ReadDir(dir)
		}
		if err != nil {
			errs = append(errs, diag.Errorf(diag.Pos{File: dir}, "cannot read architectures: %v", diag.Cause(err)))
			continue
		}
		for _, name := range files {
			name = filepath.Join(dir, name)
			if err := l.MayRead(name); err != nil {
				errs.Add(err)
				continue
			}
			errs.Add(l.BoundedCUE(name, func() error {
				found, err := l.addKnown(k, name)
				own = union(own, found)
				return err
			}))
		}
	}
	k.list = append(all, own...)
	return k, errs.Distinct().Err()
}

// EachParams calls f with the parameter definitions of the bundled architectures and of the
// architectures in the given folders.
func (l *Loader) EachParams(dirs []string, f func(name string, v cue.Value) error) error {
	all, err := l.known(dirs)
	if err != nil {
		return err
	}
	for _, c := range all.list {
		v, err := c.params()
		if err == nil {
			err = f(c.Name, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Brought returns the architectures and families that a file defines. all is the combined
// value of this file and the files that were evaluated together with it.
func (l *Loader) Brought(f *ast.File, all *data.Tree) ([]*schema.Listed, []*schema.Family, error) {
	p := source.Part(f, all)
	found, err := l.architecturesIn(p, func() (*source.CUE, error) { return p, nil })
	if err != nil {
		return nil, nil, err
	}
	families, err := l.familiesIn(p)
	return (&Known{list: found}).Architectures(), families, err
}

// brought contains the architectures and families that a CUE file defines. It does not
// contain the file's CUE value, because the values of many files would need too much memory.
type brought struct {
	archs    []candidate
	families []*schema.Family
}

// broughtBy returns the architectures and families that a CUE file defines, or nil if the
// file cannot be evaluated.
func (l *Loader) broughtBy(name string) (*brought, error) {
	find, _ := l.evaluated.LoadOrStore(name, sync.OnceValues(func() (*brought, error) {
		p, err := l.Evaluate(name)
		if err != nil {
			return nil, err
		}
		b := &brought{}
		var errs diag.List
		b.archs, err = l.architecturesIn(p, func() (*source.CUE, error) { return l.Evaluate(name) })
		errs.Add(err)
		b.families, err = l.familiesIn(p)
		errs.Add(err)
		return b, errs.Err()
	}))
	return find.(func() (*brought, error))()
}

// broughtByOther is like broughtBy, but for another file of a package. The limits apply to
// each such file separately.
func (l *Loader) broughtByOther(name string) (b *brought, err error) {
	err = l.BoundedCUE(name, func() error {
		b, err = l.broughtBy(name)
		return err
	})
	return b, err
}

// others returns the architectures and families that the other files of a model's package
// define. The model may use any of these architectures.
func (l *Loader) others(name string) (archs []candidate, families []*schema.Family, err error) {
	p := l.PackageOf(name)
	if p == nil {
		return nil, nil, nil
	}
	var errs diag.List
	for _, n := range p.Names() {
		if sameFile(n, name) {
			continue
		}
		if err := p.Err(n); err != nil {
			errs.Add(err)
			continue
		}
		b, err := l.broughtByOther(n)
		errs.Add(err)
		if err == nil {
			archs = union(archs, b.archs)
			families = append(families, b.families...)
		}
	}
	return archs, families, errs.Distinct().Err()
}

// union returns list, followed by the architectures in more that are not in list.
// Duplicates occur because every file that contributes to an architecture yields the whole
// architecture.
func union(list, more []candidate) []candidate {
	for _, c := range more {
		if !slices.ContainsFunc(list, func(o candidate) bool { return o.Name == c.Name && sameFile(o.File, c.File) }) {
			list = append(list, c)
		}
	}
	return list
}

// addKnown returns the architectures that a file in a user's folder defines, and adds the
// file's families to the known ones.
func (l *Loader) addKnown(k *Known, name string) ([]candidate, error) {
	b, err := l.broughtBy(name)
	if b == nil {
		return nil, err
	}
	var errs diag.List
	errs.Add(err)
	errs.Add(k.addFamilies(b.families))
	return b.archs, errs.Err()
}

func paramsOf(arch cue.Value) cue.Value { return lookup(arch, "#params") }

// isArchitecture reports whether a value is meant to be an architecture: it has at least
// one of an architecture's fields, and it is not a family.
func (c *contract) isArchitecture(t *data.Tree) bool {
	return !isFamily(t) && slices.ContainsFunc(c.fields, func(name string) bool { return t.Field(name) != nil })
}

// apply unifies an architecture with the contract, and returns the errors that CUE finds.
// If an architecture is written as `kvbench.#Architecture & {…}`, it already contains the
// contract, so apply does not evaluate it again if it is valid.
func (c *contract) apply(file string, own *data.Tree) (*data.Tree, error) {
	valid := func(v cue.Value) error { return v.Validate(cue.Concrete(true), cue.Definitions(false)) }
	if includesContract(data.SourceExpr(own.Value)) && valid(own.Value) == nil {
		return own, nil
	}
	v := c.Unify(own.Value)
	if err := valid(v); err != nil {
		return nil, err
	}
	return data.TreeOf(file, v)
}

// includesContract reports whether an expression is the contract, or unifies the contract
// with another expression. It does not check which package is imported, because a file may
// import only the schema.
func includesContract(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.BinaryExpr:
		return x.Op == token.AND && (includesContract(x.X) || includesContract(x.Y))
	case *ast.SelectorExpr:
		pkg, ok := x.X.(*ast.Ident)
		if !ok {
			return false
		}
		_, imported := pkg.Node.(*ast.ImportSpec)
		name, _, _ := ast.LabelName(x.Sel)
		return imported && name == source.ArchitectureDef
	}
	return false
}

// architecturesIn returns the architectures in an evaluated file. reevaluate evaluates the
// file again, which is only necessary if a model's parameters may be invalid.
func (l *Loader) architecturesIn(p *source.CUE, reevaluate func() (*source.CUE, error)) ([]candidate, error) {
	c, err := l.contract()
	if err != nil {
		return nil, err
	}
	var errs diag.List
	var all []candidate
	errs.Add(p.Each(func(own *data.Tree) {
		if !c.isArchitecture(own) {
			return
		}
		name, file := own.Name, p.Home(own.Name)
		value, err := c.apply(file, own)
		if err != nil {
			errs.Add(l.wordArchitecture(err, file, name, own.Value, c.Value))
			return
		}
		arch, err := architecture(file, value, own)
		if err != nil {
			errs.Add(err)
			return
		}
		all = append(all, candidate{schema.List(arch), func() (cue.Value, error) {
			p, err := reevaluate()
			if err != nil {
				return cue.Value{}, err
			}
			value, err := c.apply(file, p.Field(name))
			if err != nil {
				return cue.Value{}, err
			}
			return paramsOf(value.Value), nil
		}})
	}))
	return all, errs.Err()
}

// The fields of an architecture that are not formulas for quantities.
const (
	fieldMatch      = "match"
	fieldLet        = "let"
	fieldAccounting = "default_accounting"
	fieldPatterns   = "access_patterns"
	fieldCache      = "cache"
	fieldKind       = "kind"   // in a group
	fieldShared     = "shared" // in a group
	fieldDraft      = "draft"  // in a group
	fieldRequires   = "requires"
	fieldRequire    = "require" // in a condition
	fieldChecks     = "checks"
	fieldUnverified = "unverified" // in a check
)

// wordArchitecture describes the errors that CUE finds in an architecture.
func (l *Loader) wordArchitecture(err error, file, name string, own, contract cue.Value) error {
	var errs diag.List
	var meant []string // what unknown fields were most likely meant to be
	for _, e := range cueerrors.Errors(err) {
		d := diag.All(data.FromCUE(e, diag.Pos{File: file}))[0]
		path := e.Path()
		if path = data.TrimPath(path); len(path) > 0 && path[0] == name {
			path = path[1:]
		}
		if len(path) == 0 {
			errs = append(errs, d)
			continue
		}
		at := strings.Join(path, ".")
		format, _ := e.Msg()
		switch {
		case strings.Contains(format, "empty disjunction"):
			continue // the errors that follow are more specific
		case strings.Contains(format, "field not allowed"):
			d.Subject, d.Msg = at, "unknown field"
			d.About(diag.Unknown, at)
			known := fieldNames(contract, path[:len(path)-1])
			if d.Suggest(path[len(path)-1], known) {
				meant = append(meant, strings.Join(append(slices.Clone(path[:len(path)-1]), diag.Nearest(path[len(path)-1], known)), "."))
			} else if len(known) > 0 {
				d.WithHint("expected one of %s", strings.Join(known, ", "))
			}
		case strings.Contains(format, "field is required"):
			d = diag.Errorf(placeOf(own, path[:len(path)-1], file), "%s of %s is missing", at, name).About(diag.Missing, at)
			text := sayType(contract.LookupPath(optionalPath(path)))
			if isFormula(path) && saysString(text) {
				text = "a formula, in quotes"
			}
			if needed := fieldNames(contract, path); len(needed) > 0 {
				text = strings.Join(needed, " and ")
			}
			d.WithHint("set it to %s", text)
		case strings.Contains(format, "incomplete value"):
			d = diag.Errorf(placeOf(own, path, file), "%s of %s has no value: it refers to itself, or to something without a value", at, name)
		case strings.Contains(format, "out of bound"):
			v := own.LookupPath(data.PathOf(path))
			text := sayType(contract.LookupPath(optionalPath(path)))
			if expr := data.SourceExpr(v); expr != nil {
				own := data.Of("", expr)
				d.Subject, d.Msg = at, own.String()+" is not allowed: expected "+text
				d.About(diag.NotAllowed, at)
			}
		case strings.Contains(format, "conflicting values"):
			v := own.LookupPath(data.PathOf(path))
			text := sayType(contract.LookupPath(optionalPath(path)))
			if isFormula(path) && v.IncompleteKind() != cue.StringKind && saysString(text) {
				text = "a formula, in quotes"
			}
			expr := data.SourceExpr(v)
			if expr != nil {
				own := data.Of("", expr)
				d.Subject, d.Msg = at, own.String()+" is not allowed"
				d.About(diag.NotAllowed, at)
			}
			switch {
			case expr == nil && text != "": // the file imports the schema, so CUE's position is in the schema
				d.WithHint("expected %s", text)
			case text != "":
				d.Msg += ": expected " + text
			}
		}
		errs = append(errs, d)
	}
	// Do not report a field as missing if it was only misspelled. Errors may be repeated,
	// because CUE reports a disjunction once for each of its values.
	said := map[string]bool{}
	return slices.DeleteFunc(errs, func(d *diag.Diag) bool {
		if said[d.Error()] {
			return true
		}
		said[d.Error()] = true
		return d.Code == diag.Missing && slices.Contains(meant, d.Name)
	})
}

// saysString reports whether the first kind in a description of allowed values is a string.
func saysString(text string) bool {
	return strings.HasPrefix(text, "a string") || strings.HasPrefix(text, "a non-empty string")
}

// isFormula reports whether the string at a path in an architecture is a formula.
func isFormula(path []string) bool {
	last := path[len(path)-1]
	switch path[0] {
	case fieldMatch, fieldAccounting, fieldChecks:
		return false
	case fieldRequires:
		return last == fieldRequire
	case fieldCache:
		return last != fieldKind
	}
	return true
}

// placeOf returns the position of the value at a path in a user's value, or of the closest
// enclosing value.
func placeOf(own cue.Value, path []string, file string) diag.Pos {
	for ; len(path) > 0; path = path[:len(path)-1] {
		if v := own.LookupPath(data.PathOf(path)); v.Exists() && v.Pos().IsValid() {
			return data.PosOf(v.Pos())
		}
	}
	if p := data.PosOf(own.Pos()); p.File == file {
		return p
	}
	return diag.Pos{File: file}
}

// sayType describes what a definition allows. It returns "" if v does not exist.
func sayType(v cue.Value) string {
	if !v.Exists() {
		return ""
	}
	t := schema.TypeOf(v)
	return t.String()
}

// fieldNames lists the fields that a definition has at a path.
func fieldNames(def cue.Value, path []string) []string {
	iter, err := def.LookupPath(optionalPath(path)).Fields(cue.Optional(true), cue.Definitions(true))
	if err != nil {
		return nil
	}
	var list []string
	for iter.Next() {
		if sel := iter.Selector(); sel.IsDefinition() {
			list = append(list, sel.String())
		} else {
			list = append(list, sel.Unquoted())
		}
	}
	return list
}

// optionalPath returns a path that also matches optional fields and, for numbers, the
// items of a list.
func optionalPath(path []string) cue.Path {
	var sels []cue.Selector
	for _, name := range path {
		if name != "" && name[0] >= '0' && name[0] <= '9' {
			sels = append(sels, cue.AnyIndex)
		} else {
			sels = append(sels, cue.Str(name).Optional())
		}
	}
	return cue.MakePath(sels...)
}

// architecture reads an evaluated architecture. own is the value as written in the file, before
// it is unified with the schema.
func architecture(file string, t, own *data.Tree) (*schema.Architecture, error) {
	at := diag.Pos{File: file}
	arch := &schema.Architecture{Name: own.Name, File: file, Formulas: map[string]schema.Formula{}, Tables: map[string]map[string]schema.Formula{}}
	var err error
	match := t.Field(fieldMatch)
	if match != nil {
		if arch.Match, err = match.Value.String(); err != nil {
			return nil, data.FromCUE(err, at)
		}
	}
	if len(arch.Match) > data.MaxPattern {
		return nil, diag.Errorf(data.PosOf(match.Value.Pos()), "match: %s", data.LongPattern(len(arch.Match)))
	}
	if _, err = syntax.Parse(arch.Match, syntax.Perl); err == nil {
		_, err = matcher(arch.Match) // \Q without \E would quote what matcher appends
	}
	if err != nil {
		return nil, diag.Errorf(data.PosOf(match.Value.Pos()), "match is not a valid regular expression: %v", strings.TrimPrefix(err.Error(), "error parsing regexp: ")).
			WithHint("letters, digits and _ match themselves; [0-9]+ matches a number, and [.] matches a dot")
	}
	if checks := t.Field(fieldChecks); checks != nil {
		var list []schema.Check
		for i := range checks.Items {
			c, err := checkOf(file, &checks.Items[i])
			if err != nil {
				return nil, err
			}
			c.At = places(own.Field(fieldChecks).Item(i), file)
			list = append(list, c)
		}
		arch.Checks.Set(list)
	}
	if word := t.Field(fieldAccounting); word != nil {
		arch.DefaultAccounting, _ = word.Value.String()
	}
	if arch.Layers, err = layersOf(file, t.Field(fieldCache), own.Field(fieldCache)); err != nil {
		return nil, err
	}
	if list := t.Field(fieldRequires); list != nil {
		if arch.Requires, err = requirementsOf(list.Value); err != nil {
			return nil, err
		}
	}
	fields, err := t.Struct(file)
	if err != nil {
		return nil, err
	}
	for i := range fields {
		field, value := fields[i].Name, &fields[i]
		switch {
		case field == fieldMatch || field == fieldAccounting || field == fieldCache || field == fieldRequires || field == fieldChecks:
		case value.Kind == cue.StringKind:
			f := schema.FormulaOf(value.Value)
			if old, ok := arch.Formulas[field]; ok {
				return nil, diag.Errorf(old.Pos, "%s is defined twice; the other definition is at %s", field, f.Pos)
			}
			arch.Formulas[field] = f
		default:
			table := map[string]schema.Formula{}
			entries, err := value.Struct(file)
			if err != nil {
				return nil, err
			}
			for i := range entries {
				table[entries[i].Name] = schema.FormulaOf(entries[i].Value)
			}
			if field != fieldLet {
				arch.Tables[field] = table
				continue
			}
			for _, k := range schema.Keys(table) {
				f := table[k]
				if err := formula.CheckName(k, f.Pos); err != nil {
					return nil, err
				}
				if old, ok := arch.Formulas[k]; ok {
					return nil, diag.Errorf(f.Pos, "%s is defined twice; the other definition is at %s", k, old.Pos)
				}
				arch.Formulas[k] = f
			}
		}
	}
	arch.Params, err = paramList(paramsOf(t.Value))
	if err != nil {
		return nil, data.FromCUE(err, at)
	}
	return arch, checkAccounting(arch, own.Value)
}

// checkOf reads one of an architecture's checks.
func checkOf(file string, t *data.Tree) (schema.Check, error) {
	c := schema.Check{Params: valuesIn(file, t.Field("params")), Config: valuesIn(file, t.Field("config")), Expect: map[string]int64{}}
	var err error
	if c.Source, err = t.Field("source").Value.String(); err != nil {
		return c, data.FromCUE(err, diag.Pos{File: file})
	}
	if text := t.Field(fieldUnverified); text != nil {
		c.Unverified, _ = text.Value.String()
	}
	expect, err := t.Field("expect").Struct(file)
	for i := range expect {
		if c.Expect[expect[i].Name], err = expect[i].Value.Int64(); err != nil {
			return c, data.FromCUE(err, diag.Pos{File: file})
		}
	}
	return c, err
}

// valueOf returns the CUE value of a tree, which may be nil.
func valueOf(t *data.Tree) cue.Value {
	if t == nil {
		return cue.Value{}
	}
	return t.Value
}

// valuesIn returns the fields of a struct as values for formulas, or nil if t
// is nil.
func valuesIn(file string, t *data.Tree) map[string]formula.Value {
	if t == nil {
		return nil
	}
	m := map[string]formula.Value{}
	for i := range t.Fields {
		v := t.Fields[i].Data(file)
		m[t.Fields[i].Name], _ = v.Formula()
	}
	return m
}

// checkAccounting rejects a default accounting that the architecture does not
// support.
func checkAccounting(arch *schema.Architecture, own cue.Value) error {
	needs, has := fieldPatterns, len(arch.Tables[fieldPatterns]) > 0
	if arch.DefaultAccounting == schema.AccountingRank {
		needs, has = fieldCache, arch.Layers != nil
	}
	if arch.DefaultAccounting == "" || has {
		return nil
	}
	return diag.Errorf(placeOf(own, []string{fieldAccounting}, arch.File), "%s: %s has no %s, which %s accounting needs", fieldAccounting, arch.Name, needs, arch.DefaultAccounting).
		WithHint("omit %s, or add %s", fieldAccounting, needs)
}

// layersOf reads the cache section of an architecture. It returns nil if there is none. own is
// the section as written in the file, before it is unified with the schema.
func layersOf(file string, t, own *data.Tree) (*schema.Layers, error) {
	if t == nil {
		return nil, nil
	}
	l := &schema.Layers{Groups: map[string]*schema.Group{}}
	for name, to := range map[string]*schema.Formula{"layers": &l.Count, "draft_layers": &l.Drafts, "select": &l.Select, "served_as": &l.ServedAs} {
		if f := t.Field(name); f != nil {
			*to = schema.FormulaOf(f.Value)
		}
	}
	groups, err := t.Field("groups").Struct(file)
	if err != nil {
		return nil, err
	}
	for i := range groups {
		name := groups[i].Name
		g := &schema.Group{Kind: name, Pos: data.KeyPos(valueOf(own.Field("groups").Field(name))), Fields: map[string]schema.Formula{}}
		fields, err := groups[i].Struct(file)
		if err != nil {
			return nil, err
		}
		for i := range fields {
			f := schema.FormulaOf(fields[i].Value)
			switch field := fields[i].Name; field {
			case fieldShared:
				g.Shared, _ = fields[i].Value.Bool()
			case fieldDraft:
				g.Draft, _ = fields[i].Value.Bool()
			case fieldKind:
				g.Kind, g.Pos = f.Text, f.Pos
			case "where":
				g.Where = f
			default:
				g.Fields[field] = f
			}
		}
		l.Groups[name] = g
	}
	return l, nil
}

func requirementsOf(v cue.Value) ([]schema.Requirement, error) {
	if !v.Exists() {
		return nil, nil
	}
	var list []schema.Requirement
	if err := v.Decode(&list); err != nil {
		return nil, data.FromCUE(err, diag.Pos{})
	}
	for i := range list {
		list[i].Require = schema.FormulaOf(v.LookupPath(cue.MakePath(cue.Index(i), cue.Str("require"))))
	}
	return list, nil
}

// places returns the positions of a check's parts, keyed by names such as
// "expect.block_size". The key for the check itself is "".
func places(check *data.Tree, file string) map[string]diag.Pos {
	at := map[string]diag.Pos{"": placeOf(valueOf(check), []string{"source"}, file)}
	for _, part := range []string{"params", "config", "expect"} {
		t := check.Field(part)
		if t == nil {
			continue
		}
		at[part+":"] = data.KeyPos(t.Value)
		for i := range t.Fields {
			name, v := part+"."+t.Fields[i].Name, t.Fields[i].Value
			at[name] = data.ValuePos(v)
			at[name+":"] = data.KeyPos(v)
		}
	}
	if t := check.Field(fieldUnverified); t != nil {
		at[fieldUnverified] = data.ValuePos(t.Value)
	}
	return at
}

func paramList(v cue.Value) ([]schema.Param, error) {
	if v.IncompleteKind() != cue.StructKind {
		return nil, nil
	}
	// Members evaluates everything in v, because models and schemas may read any part of it.
	fields, others, err := data.Members(v)
	if err != nil {
		return nil, err
	}
	plain := schema.PlainWith(v, fields, others)
	var params []schema.Param
	for _, f := range fields {
		if !f.Selector.IsString() {
			continue
		}
		p := schema.Param{
			Name:     f.Selector.Unquoted(),
			Required: f.Selector.ConstraintType() != cue.OptionalConstraint,
			Type:     schema.TypeOf(f.Value),
			Doc:      data.Doc(f.Value),
			Pos:      data.PosOf(f.Value.Pos()),
		}
		p.Type.Partial = p.Type.Partial || !plain
		params = append(params, p)
	}
	return params, nil
}
