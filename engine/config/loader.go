package config

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

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
	// of strangers may lead anywhere.
	NoLinks bool
	// Refuse, unless nil, says why a file that is met in a folder, or beside
	// another, is not to be read.
	Refuse func(file string) error
	// Download lets models of Hugging Face be downloaded that the cache on this
	// machine lacks.
	Download bool

	schema  *schema.Schema
	models  fs.FS
	builder *builder
	defs    func() (cue.Value, error) // the package kvbench
	results func() (*shape, error)    // of a line of a file of results
	axes    sync.Map                  // of overrides, as they were read

	// Of users' CUE, once it is read and evaluated: packages by their names and
	// folders, values by the files that they are of, and what each file brings.
	packages, built, evaluated sync.Map
}

// NewLoader gives a loader for a schema whose CUE files are in files (the
// contents of cue/) and models (the contents of models/).
func NewLoader(s *schema.Schema, files, models fs.FS) *Loader {
	l := &Loader{schema: s, models: models, builder: newBuilder(files)}
	l.defs = sync.OnceValues(func() (cue.Value, error) { return l.builder.value(".") })
	l.results = sync.OnceValues(l.resultShape)
	return l
}

// Override is a configuration value given beside the file: the field's path,
// the text, and where it was given.
type Override struct {
	Path   string
	Text   string
	Origin Origin
	// Axis lets the text be a list or a range.
	Axis bool
}

// Config is how a model is run: every field's value by its name in formulas.
// source and destination are absent when nobody gave them.
type Config struct {
	File   string
	Values map[string]Value
	// Axes are the fields that have several values, in the schema's order; in
	// Values they have their first.
	Axes []Axis
}

// Config reads a configuration file (none when file is empty), lays preset and
// the overrides over it, and checks the result. Errors point at the file or
// name the flag.
func (l *Loader) Config(file string, preset map[string]map[string]any, command string, overrides []Override) (*Config, error) {
	if file == "" {
		return l.config(file, &document{}, preset, command, overrides)
	}
	var c *Config
	err := l.bounded(file, byFile, func() error {
		doc, err := l.readDocument(file)
		if err == nil {
			c, err = l.config(file, doc, preset, command, overrides)
		}
		return err
	})
	return c, err
}

func (l *Loader) config(file string, doc *document, preset map[string]map[string]any, command string, overrides []Override) (*Config, error) {
	var errs diag.List
	doc, axes, err := l.sweepOf(doc)
	errs.Add(err)
	layers := []*document{doc, presetLayer(preset, command), {}}
	for _, o := range overrides {
		over := leaf{path: o.Path, origin: o.Origin}
		delete(axes, o.Path)
		if o.Axis {
			a, err := l.overrideAxis(l.schema.Field(o.Path), o)
			errs.Add(err)
			if err != nil {
				continue
			}
			axes[o.Path] = a
			over.expr = a.first
		} else {
			over.expr = l.literal(o)
		}
		layers[2].leaves = append(layers[2].leaves, over)
	}
	merged := merge(layers...)
	merged.file = file
	errs.Add(l.checkConfig(merged))
	c := &Config{File: file, Values: make(map[string]Value, len(l.schema.Fields))}
	for i := range l.schema.Fields {
		f := &l.schema.Fields[i]
		if f.Default != nil {
			v, _ := value(goLiteral(f.Default))
			c.Values[f.Var] = Value{v, Origin{Kind: FromDefault, Pos: f.Pos}}
		}
		if leaf := merged.leaf(f.Path); leaf != nil {
			if v, ok := value(leaf.expr); ok {
				c.Values[f.Var] = Value{v, leaf.origin}
			}
		}
		if a := axes[f.Path]; a != nil && len(a.Values) > 1 {
			c.Axes = append(c.Axes, a.Axis)
		}
	}
	return c, errs.Err()
}

// checkConfig checks the values of a configuration, and takes out what is none.
func (l *Loader) checkConfig(doc *document) error {
	var errs, wrong diag.List
	wrong.Add(l.readTexts(doc))
	doc.dropEmptySections(l.schema)
	errs.Add(doc.dropUnknown(append(l.fieldPaths(), sweepSection), l.alias, "this is no field of a configuration"))
	takes := func(path string) string {
		if f := l.schema.Field(path); f != nil {
			return f.Plain
		}
		return ""
	}
	if !doc.isPlainly(takes, nil) {
		defs, err := l.defs()
		if err != nil {
			return err
		}
		wrong.Add(doc.check(defs.LookupPath(cue.ParsePath("#Config")), l.allowed))
	}
	sort.SliceStable(wrong, func(i, j int) bool { return wrong[i].Pos.Line < wrong[j].Pos.Line })
	errs.Add(wrong.Err())
	return errs.Err()
}

// With gives the configuration of a model: where nobody gave a value, the
// model's own default holds, and for the accounting that of its architecture.
func (c *Config) With(m *Model) *Config {
	out := &Config{File: c.File, Values: maps.Clone(c.Values), Axes: c.Axes}
	for name, v := range m.Defaults {
		if old, ok := c.Values[name]; !ok || old.Origin.Kind == FromDefault {
			out.Values[name] = v
		}
	}
	if _, ok := out.Values[schema.AccountingVar]; !ok {
		out.Values[schema.AccountingVar] = Value{
			formula.Value{Kind: formula.Str, Str: m.Arch.Accounting()},
			Origin{Kind: FromDefault, Pos: diag.Pos{File: m.Arch.File}},
		}
	}
	return out
}

// allowed says what a configuration may have at a path.
func (l *Loader) allowed(path string) string {
	if f := l.schema.Field(path); f != nil {
		return l.schema.NumberText(f.Unit, f.Allowed)
	}
	return "a mapping"
}

func (l *Loader) readDocument(file string) (*document, error) {
	if !isCUE(file) {
		return l.readData(file)
	}
	p, err := l.cueFile(file, byFile)
	if err != nil {
		return nil, err
	}
	return p.document()
}

// cueSuffixes are the letters of CUE's own suffixes, which are not those of the
// units: 1K is 1000 to CUE.
const cueSuffixes = "KMGTP"

// literal reads the text of an override: a number where the field is one, if
// it looks like one, else a string.
func (l *Loader) literal(o Override) ast.Expr {
	f := l.schema.Field(o.Path)
	if f == nil {
		return ast.NewString(o.Text)
	}
	if n, err := l.schema.ParseNumber(f.Unit, o.Text); err == nil && f.Unit != "" {
		return ast.NewLit(token.INT, strconv.FormatInt(n, 10))
	}
	if (f.Number || f.Word) && !strings.ContainsAny(o.Text, cueSuffixes) {
		if e, err := parser.ParseExpr("", o.Text); err == nil {
			switch x := e.(type) {
			case *ast.BasicLit:
				if x.Kind == token.INT || x.Kind == token.FLOAT {
					return x
				}
			case *ast.UnaryExpr:
				if lit, ok := x.X.(*ast.BasicLit); ok && x.Op == token.SUB && (lit.Kind == token.INT || lit.Kind == token.FLOAT) {
					return x
				}
			}
		}
	}
	if f.Bool {
		switch strings.ToLower(o.Text) {
		case "true", "1", "yes":
			return ast.NewBool(true)
		case "false", "0", "no":
			return ast.NewBool(false)
		}
	}
	return ast.NewString(o.Text)
}

// readTexts reads the numbers that are written with the suffix of a unit, and the
// words that are spelled in another case. Numbers of which there is more to say
// than that they are not allowed are taken out.
func (l *Loader) readTexts(d *document) error {
	var errs diag.List
	kept := d.leaves[:0]
	for _, leaf := range d.leaves {
		f := l.schema.Field(leaf.path)
		switch {
		case f == nil:
		case f.Unit == "":
			leaf.expr = spelled(f, leaf.expr)
		default:
			if err := l.readUnit(f, &leaf); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		kept = append(kept, leaf)
	}
	d.leaves = kept
	return errs.Err()
}

func (l *Loader) readUnit(f *schema.Field, leaf *leaf) *diag.Diag {
	if lit, ok := leaf.expr.(*ast.BasicLit); ok && lit.Kind == token.INT && strings.ContainsAny(lit.Value, cueSuffixes) {
		return leaf.origin.Errorf("%s%s is a CUE number, in which K is 1000 and Ki is 1024", leaf.label(), lit.Value).
			WithHint("write a plain number, or quote one with a unit such as %q", l.schema.Units[f.Unit].Such[0])
	}
	v, ok := value(leaf.expr)
	if !ok || v.Kind != formula.Str {
		return nil
	}
	n, err := l.schema.ParseNumber(f.Unit, v.Str)
	hint := l.schema.NumberHint(f.Unit, v.Str)
	switch {
	case err == nil:
		leaf.expr = ast.NewLit(token.INT, strconv.FormatInt(n, 10))
	case err == strconv.ErrRange:
		return leaf.origin.Errorf("%s%s does not fit in 64 bits: want %s", leaf.label(), show(leaf.expr), l.allowed(f.Path))
	case hint != "":
		return leaf.origin.Errorf("%s%s is not allowed: want %s", leaf.label(), show(leaf.expr), l.allowed(f.Path)).WithHint("%s", hint)
	}
	return nil
}

// spelled gives a value as the field's known words have it.
func spelled(f *schema.Field, expr ast.Expr) ast.Expr {
	lit, ok := expr.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return expr
	}
	v, ok := value(lit)
	if s := schema.Spelling(v.Str, slices.Concat(f.Values, f.Words)); ok && s != v.Str {
		return ast.NewString(s)
	}
	return expr
}

func presetLayer(preset map[string]map[string]any, command string) *document {
	doc := &document{}
	for _, section := range schema.Keys(preset) {
		for _, name := range schema.Keys(preset[section]) {
			doc.leaves = append(doc.leaves, leaf{path: section + "." + name, expr: goLiteral(preset[section][name]), origin: Origin{Kind: FromCommand, Name: command}})
		}
	}
	return doc
}

// goLiteral writes a Go value as a literal.
func goLiteral(v any) ast.Expr {
	switch v := v.(type) {
	case string:
		return ast.NewString(v)
	case bool:
		return ast.NewBool(v)
	case int64:
		return ast.NewLit(token.INT, strconv.FormatInt(v, 10))
	case float64:
		return ast.NewLit(token.INT, strconv.FormatInt(int64(v), 10))
	}
	return ast.NewNull()
}

// flagPath gives the path of the field that a flag of this name replaces, or
// "".
func (l *Loader) flagPath(flag string) string {
	for i := range l.schema.Fields {
		if f := &l.schema.Fields[i]; f.Flag == flag {
			return f.Path
		}
	}
	return ""
}

// alias gives the path of the field that is meant by the name of its flag, or by
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
func (d *document) dropEmptySections(s *schema.Schema) {
	kept := d.leaves[:0]
	for _, l := range d.leaves {
		if isNothing(l.expr) && isSection(s, l.path) {
			continue
		}
		kept = append(kept, l)
	}
	d.leaves = kept
}

// isNothing reports whether a value is null or, of leaves, an empty mapping.
func isNothing(expr ast.Expr) bool {
	lit, null := expr.(*ast.BasicLit)
	_, empty := expr.(*ast.StructLit)
	return empty || null && lit.Kind == token.NULL
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
// alias gives the path that another name stands for, or "".
func (d *document) dropUnknown(known []string, alias func(name string) string, what string) error {
	var errs diag.List
	more := 0 // of which nothing is told: it takes time to say what each is meant to be
	reported := map[string]bool{}
	kept := d.leaves[:0]
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k[strings.LastIndexByte(k, '.')+1:]
	}
next:
	for _, l := range d.leaves {
		for _, k := range known {
			if l.path == k || strings.HasPrefix(l.path, k+".") || strings.HasPrefix(k, l.path+".") {
				kept = append(kept, l)
				continue next
			}
		}
		// The key that is wrong may be one that this is nested in.
		if i := strings.IndexByte(l.path, '.'); i > 0 {
			top := l.path[:i]
			pos, ok := d.sections[top]
			if ok && !slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, top+".") }) {
				if reported[top] {
					continue
				}
				reported[top] = true
				if len(errs) == diag.MaxShown {
					more++
				} else {
					e := diag.Errorf(pos, "unknown key %q: %s", top, what)
					var tops []string
					for _, k := range known {
						k, _, _ = strings.Cut(k, ".")
						tops = append(tops, k)
					}
					if hint := diag.DidYouMean(top, tops); hint != "" {
						e.WithHint("%s", hint)
					} else {
						e.WithHint("want one of %s", strings.Join(slices.Compact(tops), ", "))
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
		e := l.origin.Errorf("unknown key %q: %s", l.path, what)
		if l.key.Line > 0 {
			e.Pos = l.key
		}
		last := l.path[strings.LastIndexByte(l.path, '.')+1:]
		near := alias(last)
		if near == "" {
			near = diag.Nearest(l.path, known)
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
			d.meant = append(d.meant, near)
		}
		errs = append(errs, e)
	}
	d.leaves = kept
	errs.Add(diag.More(d.file, more))
	return errs.Err()
}

// check unifies the document with a definition and words what CUE finds:
// allowed says what a path may hold.
func (d *document) check(def cue.Value, allowed func(path string) string) error {
	v := cuecontext.New().BuildExpr(d.expr())
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
		at := strings.Join(trimPath(e.Path()), ".")
		l := d.leaf(at)
		for p := at; l == nil && p != ""; { // an item of a list, or what a leaf hides
			p = p[:max(0, strings.LastIndexByte(p, '.'))]
			l = d.leaf(p)
		}
		name := at
		if l != nil {
			l = l.item(at)
			name = l.path
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		switch {
		case l == nil:
			if pos, ok := d.sections[at]; ok {
				errs = append(errs, diag.Errorf(pos, "%s: a mapping is not allowed: want %s", at, allowed(at)))
				continue
			}
			format, args := e.Msg()
			if strings.Contains(format, "incomplete value") && !strings.Contains(at, ".") {
				continue // missing has it
			}
			if strings.Contains(format, "field is required") {
				if strings.Contains(at, ".") { // missing has the others
					errs = append(errs, diag.Errorf(diag.Pos{File: d.file}, "%s is missing: give it %s", at, allowed(at)))
				}
				continue
			}
			msg := diag.Errorf(diag.Pos{File: d.file}, format, args...)
			msg.Msg = at + ": " + msg.Msg
			errs = append(errs, msg)
		case fitsNot(l.expr):
			errs = append(errs, l.origin.Errorf("%s%s does not fit in 64 bits: want %s", l.label(), show(l.expr), allowed(at)))
		default:
			msg := l.origin.Errorf("%s%s is not allowed: want %s", l.label(), show(l.expr), allowed(at))
			if lit, ok := l.expr.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, ok := value(lit); ok {
					if hint := diag.DidYouMean(s.Str, strings.Split(strings.TrimPrefix(allowed(at), "one of "), ", ")); hint != "" {
						msg.WithHint("%s", hint)
					}
				}
			}
			errs = append(errs, msg)
		}
	}
	sort.SliceStable(errs, func(i, j int) bool { return errs[i].Pos.Line < errs[j].Pos.Line })
	errs.Add(diag.More(d.file, more))
	return errs.Err()
}

// item gives the item of a list that stands at a path, else the leaf itself.
func (l *leaf) item(at string) *leaf {
	list, ok := l.expr.(*ast.ListLit)
	i, err := strconv.Atoi(strings.TrimPrefix(at, l.path+"."))
	if !ok || err != nil || i < 0 || i >= len(list.Elts) {
		return l
	}
	item := &leaf{path: at, expr: list.Elts[i], origin: l.origin}
	if pos := fromPos(item.expr.Pos()); pos.Line > 0 && l.origin.Pos.Line > 0 {
		pos.File = l.origin.Pos.File
		item.origin.Pos = pos
	}
	return item
}

// missing reports the required fields of a definition that the document lacks,
// but for those that another key was meant to be.
func (d *document) missing(def cue.Value, at diag.Pos, allowed func(path string) string) error {
	iter, err := def.Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	var errs diag.List
	for iter.Next() {
		name := iter.Selector().Unquoted()
		optional := iter.Selector().ConstraintType() == cue.OptionalConstraint
		if optional || iter.Value().IsConcrete() || slices.Contains(d.meant, name) {
			continue
		}
		if !slices.ContainsFunc(d.leaves, func(l leaf) bool { return l.path == name || strings.HasPrefix(l.path, name+".") }) {
			errs = append(errs, diag.Errorf(at, "%s is missing: give it %s", name, allowed(name)))
		}
	}
	return errs.Err()
}

// label names the field, unless the origin's own name does.
func (l *leaf) label() string {
	if l.origin.Kind == FromFile || l.origin.Kind == FromModel {
		return l.path + ": "
	}
	return ""
}

// fitsNot reports whether the expression is a whole number beyond int64.
func fitsNot(expr ast.Expr) bool {
	lit, ok := expr.(*ast.BasicLit)
	if u, isNeg := expr.(*ast.UnaryExpr); isNeg {
		lit, ok = u.X.(*ast.BasicLit)
	}
	if !ok || lit.Kind != token.INT && !isLarge(lit) {
		return false
	}
	_, fits := value(lit)
	return !fits
}

// describe says in words what a CUE value allows; values lists the choices
// where it is a choice of strings.
func describe(v cue.Value) (text string, values []string) {
	if values = choices(v); values != nil {
		return "one of " + strings.Join(values, ", "), values
	}
	if op, args := v.Eval().Expr(); op == cue.OrOp {
		// words, or values of another type
		for i, a := range args {
			text, _ := describe(a)
			if s, err := a.String(); err == nil {
				text = s
			}
			switch {
			case i == len(args)-1:
				values = append(values, "or "+text)
			default:
				values = append(values, text)
			}
		}
		return strings.Join(values, ", "), nil
	}
	switch kind := v.IncompleteKind(); kind {
	case cue.IntKind:
		text = "a whole number"
	case cue.NumberKind, cue.FloatKind:
		text = "a number"
	case cue.StringKind:
		text = "a text"
	case cue.BoolKind:
		text = "true or false"
	case cue.ListKind:
		text = "a list"
	case cue.StructKind:
		text = "a mapping"
	default:
		return "a " + kind.String(), nil
	}
	if bounds := boundsOf(v); len(bounds) > 0 {
		text += ", " + strings.Join(bounds, " and ")
	}
	return text, nil
}

func choices(v cue.Value) []string {
	op, args := v.Eval().Expr()
	if op != cue.OrOp {
		return nil
	}
	var values []string
	for _, a := range args {
		s, err := a.String()
		if err != nil {
			return nil
		}
		values = append(values, s)
	}
	return values
}

// boundsOf gives the bounds that are tighter than those of int64.
func boundsOf(v cue.Value) []string {
	var bounds []string
	op, args := v.Expr()
	switch op {
	case cue.AndOp:
		for _, a := range args {
			bounds = append(bounds, boundsOf(a)...)
		}
	case cue.GreaterThanOp, cue.GreaterThanEqualOp, cue.LessThanOp, cue.LessThanEqualOp:
		n, err := args[0].Int64()
		if err != nil || n == -1<<63 || n == 1<<63-1 {
			break
		}
		switch s := strconv.FormatInt(n, 10); op {
		case cue.GreaterThanEqualOp:
			bounds = append(bounds, s+" or more")
		case cue.GreaterThanOp:
			bounds = append(bounds, "more than "+s)
		case cue.LessThanEqualOp:
			bounds = append(bounds, s+" or less")
		case cue.LessThanOp:
			bounds = append(bounds, "less than "+s)
		}
	case cue.NotEqualOp:
		if s, err := args[0].String(); err == nil && s == "" {
			bounds = append(bounds, "not empty")
		}
	}
	return bounds
}

// glob lists the files of a folder with a given ending, sorted.
func glob(fsys fs.FS, pattern string) ([]string, error) {
	names, err := fs.Glob(fsys, pattern)
	if err == nil && len(names) == 0 {
		err = errors.New("no file " + path.Base(pattern))
	}
	sort.Strings(names)
	return names, err
}
