package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/hub"
	"kvbench/engine/schema"
)

// Model is an architecture with its parameters.
type Model struct {
	File   string
	Name   string
	Arch   *schema.Architecture
	Params map[string]Value
	// Defaults are the model's own defaults of configuration fields, by their
	// names in formulas; see [Config.With].
	Defaults map[string]Value
	// Notes are what is to be told of how the model was read, and Doubts what
	// goes with its defaults where they count.
	Notes  diag.List
	Doubts map[string]diag.List
}

// NameParam is the parameter that selects the architecture: the model's name.
const NameParam = "model_name"

// modelField is the field of a CUE file that holds a model's parameters beside
// its architecture. archField and defaultsField are fields of a model's file
// that are no parameters.
const (
	modelField    = "model"
	archField     = "architecture"
	defaultsField = "defaults"
	// architectureDef is the schema's definition of architectures.
	architectureDef = "#Architecture"
)

// candidate is an architecture that a name may select. params gives the CUE
// definition of its parameters.
type candidate struct {
	*schema.Listed
	params func() (cue.Value, error)
}

// Model reads a parameter file, or a CUE file that brings its architecture,
// finds the architecture by the model's name among the bundled ones and those
// in the folders dirs, and checks the parameters.
//
// file may also be the name of a known model, of a bundled one or of a file in
// dirs, or its identifier on Hugging Face.
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
		notes = append(notes, diag.Notef(diag.Pos{}, "%s has the same cache as %s: the plan is for %s", entry.StandsFor, entry.Name, m.Name))
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
			WithHint("--model %s%s reads them from its config.json", hub.Scheme, id))
	}
	m.Notes = append(notes, m.Notes...)
	return m, nil
}

// EntryModel reads a known model.
func (l *Loader) EntryModel(entry Entry, known *Known) (m *Model, err error) {
	if isCUE(entry.File) {
		return l.cueModel(entry.File, known)
	}
	err = l.Bounded(entry.File, func() error {
		data, err := l.Text(entry)
		if err == nil {
			m, err = l.dataModel(entry.File, data, known)
		}
		return err
	})
	return m, err
}

// cueModel reads a model of CUE, which may bring its architecture.
func (l *Loader) cueModel(file string, known *Known) (m *Model, err error) {
	var doc *document
	var b *brought
	err = l.bounded(file, byFile, func() error {
		doc, b, err = l.readModel(file)
		return err
	})
	if err != nil {
		return nil, err
	}
	archs, families := b.archs, b.families
	if !isFound(doc, archs, known) {
		others, err := l.others(file)
		if err != nil {
			return nil, err
		}
		archs, families = slices.Concat(archs, others.archs), slices.Concat(families, others.families)
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

// isFound reports whether a model needs no more architectures: it says no name,
// or its own is there.
func isFound(doc *document, own []candidate, known *Known) bool {
	leaf := doc.leaf(NameParam)
	if leaf == nil {
		return true
	}
	name, ok := value(leaf.expr)
	if !ok || name.Kind != formula.Str {
		return true
	}
	_, err := choose(doc, leaf, name.Str, own, known.list)
	return err == nil
}

// dataModel reads a model of YAML or JSON: a parameter file, or a Hugging Face
// configuration.
func (l *Loader) dataModel(file string, data []byte, known *Known) (*Model, error) {
	root, err := parseStruct(file, data)
	if err != nil {
		return nil, err
	}
	if isCheckpoint(file, root) {
		return l.checkpointModel(file, root, known)
	}
	doc, err := flat(file, root)
	if err != nil {
		return nil, err
	}
	return l.model(file, doc, nil, known)
}

// model finds the architecture of a model and checks its parameters.
func (l *Loader) model(file string, doc *document, own []candidate, known *Known) (*Model, error) {
	nameLeaf := doc.leaf(NameParam)
	if nameLeaf == nil {
		d := diag.Errorf(diag.Pos{File: file}, "%s is missing: it selects the architecture", NameParam)
		for _, leaf := range doc.leaves {
			if diag.Nearest(leaf.path, []string{NameParam}) != "" {
				d.Pos = leaf.key
				d.WithHint("write %s for %s", NameParam, leaf.path)
				return nil, d
			}
		}
		return nil, hinted(d, checkpointHint(file)).WithHint("kvbench models lists the architectures and the names that they match")
	}
	name, ok := value(nameLeaf.expr)
	if !ok || name.Kind != formula.Str {
		return nil, nameLeaf.origin.Errorf("%s: %s is not allowed: want a text", NameParam, show(nameLeaf.expr))
	}

	found, err := choose(doc, nameLeaf, name.Str, own, known.list)
	if err != nil {
		return nil, err
	}
	arch := found.Arch.Get()
	m := &Model{File: file, Name: name.Str, Arch: arch, Params: map[string]Value{}}
	var errs diag.List
	if l := doc.leaf(defaultsField); l != nil && !isNothing(l.expr) {
		errs = append(errs, l.origin.Errorf("%s: %s is not allowed: want a mapping like a configuration", defaultsField, show(l.expr)))
	}
	doc, defaults := split(doc)
	m.Defaults, err = l.modelDefaults(defaults)
	errs.Add(err)
	errs.Add(doc.dropUnknown(paramNames(arch), func(string) string { return "" }, "this is no parameter of "+arch.Name))
	errs.Add(found.check(doc))
	for _, leaf := range doc.leaves {
		if v, ok := value(leaf.expr); ok && !strings.Contains(leaf.path, ".") {
			m.Params[leaf.path] = Value{v, leaf.origin}
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

// check checks the parameters of a model.
func (c candidate) check(doc *document) error {
	arch := c.Arch.Get()
	takes := func(path string) string {
		if p := arch.Param(path); p != nil {
			return p.Plain
		}
		return ""
	}
	var required []string
	for _, p := range arch.Params {
		if p.Required {
			required = append(required, p.Name)
		}
	}
	if doc.isPlainly(takes, required) {
		return nil
	}
	def, err := c.params()
	if err != nil {
		return err
	}
	var errs diag.List
	errs.Add(doc.check(def, c.allowed(def)))
	errs.Add(doc.missing(def, diag.Pos{File: doc.file}, c.allowed(def)))
	return errs.Err()
}

// allowed gives a function that says what the parameters of a definition may be.
func (c candidate) allowed(def cue.Value) func(path string) string {
	return func(path string) string {
		v := def.LookupPath(optionalPath(strings.Split(path, ".")))
		if !v.Exists() {
			return "what " + c.File + " allows"
		}
		text, _ := describe(v)
		return text
	}
}

// choose gives the architecture of a model: the one that it names, else the one
// whose pattern its name matches. A file's own come before all others.
func choose(doc *document, nameLeaf *leaf, name string, own, known []candidate) (candidate, error) {
	all := slices.Concat(own, known)
	if l := doc.leaf(archField); l != nil {
		v, ok := value(l.expr)
		if !ok || v.Kind != formula.Str {
			return candidate{}, l.origin.Errorf("%s: %s is not allowed: want a text", archField, show(l.expr))
		}
		list := make([]string, len(all))
		for i, c := range all {
			if list[i] = c.Name; list[i] == v.Str {
				return c, nil
			}
		}
		d := l.origin.Errorf("%s: no architecture is named %q", archField, v.Str)
		if hint := diag.DidYouMean(v.Str, list); hint != "" {
			d.WithHint("%s", hint)
		}
		return candidate{}, d.WithHint("kvbench models lists the architectures")
	}
	found := matching(own, name)
	if len(found) == 0 {
		found = matching(known, name)
	}
	switch len(found) {
	case 0:
		d := nameLeaf.origin.Errorf("%s: no architecture is known for %q", NameParam, name)
		if i := slices.IndexFunc(all, func(c candidate) bool { return c.Name == nearArch(name, all) }); i >= 0 {
			d.WithHint("the nearest is %s", names(all[i:i+1]))
		}
		return candidate{}, d.WithHint("kvbench models lists the architectures and the names that they match")
	case 1:
		return found[0], nil
	}
	return candidate{}, nameLeaf.origin.Errorf("%s: %q fits more than one architecture: %s", NameParam, name, names(found))
}

// split takes what is no parameter out of a model's document, and gives the
// model's defaults as the document of a configuration.
func split(doc *document) (params, defaults *document) {
	params, defaults = &document{file: doc.file, sections: doc.sections}, &document{file: doc.file, sections: map[string]diag.Pos{}}
	for path, pos := range doc.sections {
		if path, ok := strings.CutPrefix(path, defaultsField+"."); ok {
			defaults.sections[path] = pos
		}
	}
	for _, l := range doc.leaves {
		path, ok := strings.CutPrefix(l.path, defaultsField+".")
		switch {
		case ok:
			l.path = path
			l.origin.Kind = FromModel
			defaults.leaves = append(defaults.leaves, l)
		case l.path != archField && l.path != defaultsField:
			params.leaves = append(params.leaves, l)
		}
	}
	return params, defaults
}

// modelDefaults checks a model's defaults like a configuration, and gives them
// by their names in formulas.
func (l *Loader) modelDefaults(doc *document) (map[string]Value, error) {
	if len(doc.leaves) == 0 {
		return nil, nil
	}
	err := l.checkConfig(doc)
	values := map[string]Value{}
	for _, leaf := range doc.leaves {
		if f := l.schema.Field(leaf.path); f != nil {
			if v, ok := value(leaf.expr); ok {
				values[f.Var] = Value{v, leaf.origin}
			}
		}
	}
	return values, err
}

func matching(all []candidate, name string) []candidate {
	var found []candidate
	for _, c := range all {
		if re, err := matcher(c.Match); c.Match != "" && err == nil && re.MatchString(name) {
			found = append(found, c)
		}
	}
	return found
}

// matcher compiles an architecture's pattern: it is held against the whole
// name, so that a namesake with a suffix is not taken for the model itself.
func matcher(pattern string) (*regexp.Regexp, error) {
	return regexp.Compile("(?i)^(?:" + pattern + ")$")
}

// nearArch gives the name of the architecture whose name is most like a
// model's, or "".
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

// readModel gives a model's parameters, and what its CUE file brings along.
func (l *Loader) readModel(file string) (*document, *brought, error) {
	b, err := l.brings(file, byFile)
	if err != nil {
		return nil, nil, err
	}
	params := b.LookupPath(cue.ParsePath(modelField))
	switch {
	case params.Exists() && b.says(modelField):
		doc, err := documentOf(file, params)
		return doc, b, err
	case len(b.archs) > 0:
		return nil, nil, diag.Errorf(diag.Pos{File: file}, "brings an architecture but no model: add `%s: {%s: …, …}` with its parameters", modelField, NameParam)
	}
	doc, err := b.document()
	return doc, b, err
}

// known gives the bundled architectures and families, and those of the users'
// folders.
func (l *Loader) known(dirs []string) (*Known, error) {
	var all []candidate
	k := &Known{bundled: &l.schema.Families}
	for _, arch := range l.schema.Architectures {
		all = append(all, candidate{arch, func() (cue.Value, error) {
			f, err := parseFS(l.models, filepath.Base(arch.File), arch.File, l.builder.mode)
			if err != nil {
				return cue.Value{}, err
			}
			v, err := l.builder.files(arch.File, f)
			if err != nil {
				return cue.Value{}, err
			}
			return paramsOf(v.LookupPath(cue.MakePath(cue.Str(arch.Name)))), nil
		}})
	}
	var errs diag.List
	for _, dir := range dirs {
		// A folder may hold models of known architectures only.
		files, err := fs.Glob(os.DirFS(dir), "*.cue")
		if err == nil && len(files) == 0 {
			_, err = os.ReadDir(dir)
		}
		if err != nil {
			errs = append(errs, diag.Errorf(diag.Pos{File: dir}, "no architectures here: %v", diag.Cause(err)))
			continue
		}
		for _, name := range files {
			name = filepath.Join(dir, name)
			if err := l.mayRead(name); err != nil {
				errs.Add(err)
				continue
			}
			errs.Add(l.bounded(name, byFolder, func() error {
				found, err := l.addKnown(k, name)
				all = append(all, found...)
				return err
			}))
		}
	}
	k.list = all
	return k, distinct(errs).Err()
}

// addKnown gives the architectures of a file in a user's folder, and adds its
// families to those that are known.
func (l *Loader) addKnown(k *Known, name string) ([]candidate, error) {
	b, err := l.brings(name, byFolder)
	if b == nil {
		return nil, err
	}
	var errs diag.List
	errs.Add(err)
	errs.Add(k.addFamilies(b.families))
	return b.archs, errs.Err()
}

func parseFS(fsys fs.FS, name, shown string, mode parser.Option) (*ast.File, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return parser.ParseFile(shown, data, mode)
}

func paramsOf(arch cue.Value) cue.Value { return arch.LookupPath(cue.ParsePath("#params")) }

// isArchitecture reports whether a value is meant as an architecture: it has
// one of the fields that these have.
func isArchitecture(v, contract cue.Value) bool {
	return !isFamily(v) && slices.ContainsFunc(fieldNames(contract, nil), func(name string) bool {
		return v.LookupPath(cue.MakePath(cue.Str(name))).Exists()
	})
}

// architecturesIn gives the architectures of an evaluated file.
func (l *Loader) architecturesIn(p *cueFile) ([]candidate, error) {
	defs, err := l.defs()
	if err != nil {
		return nil, err
	}
	contract := defs.LookupPath(cue.ParsePath(architectureDef))
	var errs diag.List
	var all []candidate
	errs.Add(p.fields(func(name string, own cue.Value) {
		if !isArchitecture(own, contract) {
			return
		}
		value := contract.Unify(own)
		if err := value.Validate(cue.Concrete(true), cue.Definitions(false)); err != nil {
			errs.Add(l.wordArchitecture(err, p.file, name, own, contract))
			return
		}
		arch, err := architecture(name, p.file, value, own)
		if err != nil {
			errs.Add(err)
			return
		}
		exhaust(paramsOf(value), maxDepth, cue.All()) // models and schemas ask for any of it
		all = append(all, candidate{schema.List(arch), func() (cue.Value, error) { return paramsOf(value), nil }})
	}))
	return all, errs.Err()
}

// The fields of an architecture that hold no formula of a quantity.
const (
	fieldMatch      = "match"
	fieldLet        = "let"
	fieldAccounting = "default_accounting"
	fieldPatterns   = "access_patterns"
	fieldCache      = "cache"
	fieldKind       = "kind" // of a group
	fieldRequires   = "requires"
	fieldChecks     = "checks"
)

// wordArchitecture says what CUE finds wrong with an architecture.
func (l *Loader) wordArchitecture(err error, file, name string, own, contract cue.Value) error {
	var errs diag.List
	var meant []string // what unknown fields were most likely meant to be
	for _, e := range cueerrors.Errors(err) {
		d := diag.All(fromCUE(e, diag.Pos{File: file}))[0]
		path := e.Path()
		if path = trimPath(path); len(path) > 0 && path[0] == name {
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
			continue // the errors that follow say it
		case strings.Contains(format, "field not allowed"):
			d.Msg = at + ": unknown field"
			known := fieldNames(contract, path[:len(path)-1])
			if hint := diag.DidYouMean(path[len(path)-1], known); hint != "" {
				d.WithHint("%s", hint)
				meant = append(meant, strings.Join(append(slices.Clone(path[:len(path)-1]), diag.Nearest(path[len(path)-1], known)), "."))
			} else if len(known) > 0 {
				d.WithHint("want one of %s", strings.Join(known, ", "))
			}
		case strings.Contains(format, "field is required"):
			d = diag.Errorf(placeOf(own, path[:len(path)-1], file), "%s of %s is missing", at, name)
			text, _ := describe(contract.LookupPath(optionalPath(path)))
			if kinds := schema.Keys(l.schema.Cache.Get().Kinds); path[0] == fieldCache && path[len(path)-1] == fieldKind && len(kinds) > 0 {
				text = "one of " + strings.Join(kinds, ", ")
			} else if path[0] != fieldMatch && path[0] != fieldChecks && strings.HasPrefix(text, "a text") {
				text = "a formula, in quotes"
			}
			if needed := fieldNames(contract, path); len(needed) > 0 {
				text = strings.Join(needed, " and ")
			}
			d.WithHint("give it %s", text)
		case strings.Contains(format, "out of bound"):
			v := own.LookupPath(selectors(path))
			text, _ := describe(contract.LookupPath(optionalPath(path)))
			if expr := sourceExpr(v); expr != nil {
				d.Msg = at + ": " + show(expr) + " is not allowed: want " + text
			}
		case strings.Contains(format, "conflicting values"):
			v := own.LookupPath(selectors(path))
			text, _ := describe(contract.LookupPath(optionalPath(path)))
			if v.IncompleteKind() != cue.StringKind && text == "a text" {
				text = "a formula, in quotes"
			}
			expr := sourceExpr(v)
			if expr != nil {
				d.Msg = at + ": " + show(expr) + " is not allowed"
			}
			switch {
			case expr == nil && text != "": // the import of the schema was there first
				d.WithHint("want %s", text)
			case text != "":
				d.Msg += ": want " + text
			}
		}
		errs = append(errs, d)
	}
	// Nothing is missing that another field was meant to be.
	// A choice is refused once for each of its values.
	said := map[string]bool{}
	return slices.DeleteFunc(errs, func(d *diag.Diag) bool {
		if said[d.Error()] {
			return true
		}
		said[d.Error()] = true
		return slices.ContainsFunc(meant, func(at string) bool { return d.Msg == at+" of "+name+" is missing" })
	})
}

// placeOf gives the place of what stands at a path of a user's value, or of the
// nearest that is around it.
func placeOf(own cue.Value, path []string, file string) diag.Pos {
	for ; len(path) > 0; path = path[:len(path)-1] {
		if v := own.LookupPath(selectors(path)); v.Exists() && v.Pos().IsValid() {
			return fromPos(v.Pos())
		}
	}
	if p := fromPos(own.Pos()); p.File == file {
		return p
	}
	return diag.Pos{File: file}
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

// optionalPath is the path of fields that may be required, optional, or items
// of a list.
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

// architecture reads an evaluated architecture; own is what its file says.
func architecture(name, file string, v, own cue.Value) (*schema.Architecture, error) {
	at := diag.Pos{File: file}
	arch := &schema.Architecture{Name: name, File: file, Formulas: map[string]schema.Formula{}, Tables: map[string]map[string]schema.Formula{}}
	var err error
	if match := v.LookupPath(cue.ParsePath(fieldMatch)); match.Exists() {
		if arch.Match, err = match.String(); err != nil {
			return nil, fromCUE(err, at)
		}
	}
	if len(arch.Match) > maxPattern {
		return nil, diag.Errorf(fromPos(v.LookupPath(cue.ParsePath(fieldMatch)).Pos()), "match: %s", longPattern(len(arch.Match)))
	}
	if _, err = regexp.Compile(arch.Match); err == nil {
		_, err = matcher(arch.Match) // \Q without its \E swallows what matcher puts behind it
	}
	if err != nil {
		return nil, diag.Errorf(fromPos(v.LookupPath(cue.ParsePath(fieldMatch)).Pos()), "match is no regular expression: %v", strings.TrimPrefix(err.Error(), "error parsing regexp: ")).
			WithHint("letters, digits and _ stand for themselves, [0-9]+ for a number, [.] for a dot")
	}
	if checks := v.LookupPath(cue.ParsePath(fieldChecks)); checks.Exists() {
		var list []schema.Check
		if err := checks.Decode(&list); err != nil {
			return nil, fromCUE(err, at)
		}
		arch.Checks.Set(list)
		for i := range list {
			list[i].At = places(own.LookupPath(cue.MakePath(cue.Str(fieldChecks), cue.Index(i))), file)
		}
	}
	arch.DefaultAccounting, _ = v.LookupPath(cue.ParsePath(fieldAccounting)).String()
	if arch.Layers, err = layersOf(v.LookupPath(cue.ParsePath(fieldCache))); err != nil {
		return nil, err
	}
	if arch.Requires, err = requirementsOf(v.LookupPath(cue.ParsePath(fieldRequires))); err != nil {
		return nil, err
	}
	iter, err := v.Fields()
	if err != nil {
		return nil, fromCUE(err, at)
	}
	for iter.Next() {
		field, value := iter.Selector().Unquoted(), iter.Value()
		switch {
		case field == fieldMatch || field == fieldAccounting || field == fieldCache || field == fieldRequires || field == fieldChecks:
		case value.IncompleteKind() == cue.StringKind:
			arch.Formulas[field] = formulaOf(value)
		default:
			table := map[string]schema.Formula{}
			entries, err := value.Fields()
			if err != nil {
				return nil, fromCUE(err, at)
			}
			for entries.Next() {
				table[entries.Selector().Unquoted()] = formulaOf(entries.Value())
			}
			if field != fieldLet {
				arch.Tables[field] = table
				continue
			}
			for k, f := range table {
				if old, ok := arch.Formulas[k]; ok {
					return nil, diag.Errorf(f.Pos, "%s is defined twice, also at %s", k, old.Pos)
				}
				arch.Formulas[k] = f
			}
		}
	}
	arch.Params, err = paramList(paramsOf(v))
	if err != nil {
		return nil, fromCUE(err, at)
	}
	return arch, checkAccounting(arch, own)
}

// checkAccounting refuses a default accounting that the architecture says nothing
// for.
func checkAccounting(arch *schema.Architecture, own cue.Value) error {
	needs, has := fieldPatterns, len(arch.Tables[fieldPatterns]) > 0
	if arch.DefaultAccounting == schema.AccountingRank {
		needs, has = fieldCache, arch.Layers != nil
	}
	if arch.DefaultAccounting == "" || has {
		return nil
	}
	return diag.Errorf(placeOf(own, []string{fieldAccounting}, arch.File), "%s: %s has no %s, which the %s accounting needs", fieldAccounting, arch.Name, needs, arch.DefaultAccounting).
		WithHint("leave out %s, or add %s", fieldAccounting, needs)
}

// layersOf reads what an architecture says of its layers; nil if that is
// nothing.
func layersOf(v cue.Value) (*schema.Layers, error) {
	if !v.Exists() {
		return nil, nil
	}
	l := &schema.Layers{Count: formulaOf(v.LookupPath(cue.ParsePath("layers"))), Groups: map[string]*schema.Group{}}
	groups, err := v.LookupPath(cue.ParsePath("groups")).Fields()
	if err != nil {
		return nil, fromCUE(err, diag.Pos{})
	}
	for groups.Next() {
		g := &schema.Group{Fields: map[string]schema.Formula{}}
		fields, err := groups.Value().Fields()
		if err != nil {
			return nil, fromCUE(err, diag.Pos{})
		}
		for fields.Next() {
			f := formulaOf(fields.Value())
			switch name := fields.Selector().Unquoted(); name {
			case fieldKind:
				g.Kind, g.Pos = f.Text, f.Pos
			case "where":
				g.Where = f
			default:
				g.Fields[name] = f
			}
		}
		l.Groups[groups.Selector().Unquoted()] = g
	}
	return l, nil
}

func requirementsOf(v cue.Value) ([]schema.Requirement, error) {
	if !v.Exists() {
		return nil, nil
	}
	var list []schema.Requirement
	if err := v.Decode(&list); err != nil {
		return nil, fromCUE(err, diag.Pos{})
	}
	for i := range list {
		list[i].Require = formulaOf(v.LookupPath(cue.MakePath(cue.Index(i), cue.Str("require"))))
	}
	return list, nil
}

// places gives the places of a check's parts, such as "expect.block_size", and
// of the check under "".
func places(check cue.Value, file string) map[string]diag.Pos {
	at := map[string]diag.Pos{"": placeOf(check, []string{"source"}, file)}
	for _, part := range []string{"params", "config", "expect"} {
		v := check.LookupPath(cue.MakePath(cue.Str(part)))
		if v.Exists() {
			at[part+":"] = keyPos(v)
		}
		iter, err := v.Fields()
		for err == nil && iter.Next() {
			name := part + "." + iter.Selector().Unquoted()
			at[name] = valuePos(iter.Value())
			at[name+":"] = keyPos(iter.Value())
		}
	}
	return at
}

// valuePos gives the place of a value itself, not of its field.
func valuePos(v cue.Value) diag.Pos {
	switch n := v.Source().(type) {
	case *ast.Field:
		return fromPos(n.Value.Pos())
	case ast.Expr:
		return fromPos(n.Pos())
	}
	return fromPos(v.Pos())
}

// sourceExpr gives a value as its file has it, or nil.
func sourceExpr(v cue.Value) ast.Expr {
	switch n := v.Source().(type) {
	case *ast.Field:
		return n.Value
	case ast.Expr:
		return n
	}
	return nil
}

// keyPos gives the place of the name of a value's field.
func keyPos(v cue.Value) diag.Pos {
	if field, ok := v.Source().(*ast.Field); ok {
		return fromPos(field.Label.Pos())
	}
	return fromPos(v.Pos())
}

func paramList(v cue.Value) ([]schema.Param, error) {
	if v.IncompleteKind() != cue.StructKind {
		return nil, nil
	}
	iter, err := v.Fields(cue.Optional(true))
	if err != nil {
		return nil, err
	}
	var params []schema.Param
	for iter.Next() {
		sel, value := iter.Selector(), iter.Value()
		p := schema.Param{
			Name:     sel.Unquoted(),
			Required: sel.ConstraintType() != cue.OptionalConstraint,
			Kind:     kindOf(value),
			Doc:      docOf(value),
			Pos:      fromPos(value.Pos()),
		}
		params = append(params, p)
	}
	return params, nil
}

func kindOf(v cue.Value) string {
	switch k := v.IncompleteKind(); {
	case k == cue.StringKind:
		return "string"
	case k == cue.BoolKind:
		return "bool"
	case k&^cue.NumberKind == 0:
		return "number"
	case k == cue.ListKind:
		item := v.LookupPath(cue.MakePath(cue.AnyIndex))
		switch kindOf(item) {
		case "string":
			return "strings"
		case "number":
			return "numbers"
		}
	}
	return "other"
}

func docOf(v cue.Value) string {
	var text []string
	for _, c := range v.Doc() {
		text = append(text, strings.TrimSpace(c.Text()))
	}
	return strings.Join(text, " ")
}
