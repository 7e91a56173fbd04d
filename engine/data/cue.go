package data

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"kvbench/engine/diag"
	"kvbench/engine/input"
)

// The import path that architecture files use for the schema, and its parts.
const (
	modulePath   = "kvbench.internal"
	SchemaFolder = "cue"
	// SchemaPath is the import path of the schema.
	SchemaPath = modulePath + "/" + SchemaFolder
	// schemaPackage is the name of the schema's package.
	schemaPackage = "kvbench"
	schemaImport  = SchemaPath + ":" + schemaPackage
)

// Reader evaluates CUE files. It resolves imports only in Schema, and reads nothing from
// disk or the network.
type Reader struct {
	Schema fs.FS
	Mode   parser.Option // includes parser.ParseComments if documentation is needed
	bctx   *build.Context

	mu       sync.Mutex
	ctx      *cue.Context
	inCtx    int // number of the user's files that were evaluated in ctx
	packages map[string]*build.Instance
}

// maxInContext is the maximum number of files that are evaluated in one context. A
// context never frees what was evaluated in it, but a new context has to compile the
// schema again.
const maxInContext = 32

func NewReader(schema fs.FS) *Reader {
	r := &Reader{Schema: schema, Mode: parser.AllErrors, ctx: NewContext(), packages: map[string]*build.Instance{}}
	r.bctx = build.NewContext(build.Loader(r.load))
	return r
}

// load returns an imported package of the schema, or nil if the import is not part of the
// schema.
func (r *Reader) load(_ token.Pos, importPath string) *build.Instance {
	importPath, _, _ = strings.Cut(importPath, ":")
	folder, ok := strings.CutPrefix(importPath, SchemaPath)
	if !ok {
		return nil
	}
	inst, err := r.pkg(path.Clean("." + folder))
	if err != nil {
		inst = r.bctx.NewInstance(folder, nil)
		inst.ImportPath = importPath
		inst.Err = cueerrors.Promote(err, "")
	}
	return inst
}

// pkg returns the package in a folder of the schema's file system.
func (r *Reader) pkg(folder string) (*build.Instance, error) {
	if inst := r.packages[folder]; inst != nil {
		return inst, nil
	}
	names, err := fs.Glob(r.Schema, path.Join(folder, "*.cue"))
	if err != nil {
		return nil, err
	}
	inst := r.bctx.NewInstance(folder, r.load)
	inst.ImportPath = path.Join(modulePath, SchemaFolder, folder)
	for _, name := range names {
		data, err := fs.ReadFile(r.Schema, name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(path.Join(SchemaFolder, name), data, r.Mode)
		if err != nil {
			return nil, err
		}
		if err := inst.AddSyntax(f); err != nil {
			return nil, err
		}
	}
	inst.ImportPath += ":" + inst.PkgName
	r.packages[folder] = inst
	if err := inst.Complete(); err != nil {
		return nil, err
	}
	return inst, nil
}

// Package evaluates one of the schema's packages.
func (r *Reader) Package(folder string) (cue.Value, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	inst, err := r.pkg(folder)
	if err != nil {
		return cue.Value{}, FromCUE(err, diag.Pos{})
	}
	v := r.ctx.BuildInstance(inst)
	return v, FromCUE(v.Err(), diag.Pos{})
}

// Eval evaluates CUE files together, as files of one package. Conflicting
// fields are reported later, by the code that reads them.
func (r *Reader) Eval(name string, files ...*ast.File) (cue.Value, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inCtx += len(files); r.inCtx > maxInContext {
		r.ctx, r.inCtx = NewContext(), len(files)
	}
	inst := r.bctx.NewInstance(path.Dir(name), r.load)
	inst.ImportPath = modulePath + "/user"
	for _, f := range files {
		if err := inst.AddSyntax(f); err != nil {
			return cue.Value{}, FromCUE(err, diag.Pos{File: name})
		}
	}
	if err := inst.Complete(); err != nil {
		return cue.Value{}, FromCUE(err, diag.Pos{File: name})
	}
	return r.ctx.BuildInstance(inst), nil
}

// attributes lists the attributes that fields of the schema may have.
var attributes = []string{"flag", "var", "keys", "expected", "unit", "least", "late", "last", "announced", "default", "note", "needs", "words", "aka", "more", "comma"}

// checkSafe rejects a file if its value could depend on anything except the file, its
// package and the schema. It also rejects expressions that could use too much memory in a
// single step, before the evaluation can be stopped.
func checkSafe(f *ast.File) error {
	var errs diag.List
	refuse := func(n ast.Node, what, hint string) {
		errs = append(errs, diag.Errorf(PosOf(n.Pos()), "%s", what).WithHint("%s", hint))
	}
	ast.Walk(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			if p := strings.Trim(n.Path.Value, `"`); p != schemaImport {
				refuse(n.Path, "this import is not allowed: the only allowed import is \""+schemaImport+"\"", "write the values out, or copy the definitions into a file of the same package")
			}
			return false
		case *ast.Attribute:
			if name, _ := n.Split(); !slices.Contains(attributes, name) {
				refuse(n, "the attribute @"+name+" is not allowed", "remove it; to use values from another file, put them in a CUE file of the same package")
			}
			return false
		case *ast.UnaryExpr:
			if lit, ok := n.X.(*ast.BasicLit); ok && (n.Op == token.MAT || n.Op == token.NMAT) && len(lit.Value) > MaxPattern {
				refuse(n, LongPattern(len(lit.Value)), "write a shorter regular expression")
				return false
			}
		case *ast.BinaryExpr:
			if n.Op != token.MUL {
				break
			}
			if isText(n.X) || isText(n.Y) {
				refuse(n, "multiplying a string by a number is not allowed", "write out the whole string")
				return false
			}
			n.X, n.Y = onlyNumber(n.X), onlyNumber(n.Y)
		case *ast.Interpolation:
			for i := 1; i < len(n.Elts); i += 2 {
				n.Elts[i] = onlyShort(n.Elts[i])
			}
		}
		return true
	}, nil)
	return errs.Err()
}

func isText(x ast.Expr) bool {
	lit, ok := x.(*ast.BasicLit)
	_, interpolated := x.(*ast.Interpolation)
	return interpolated || ok && lit.Kind == token.STRING
}

// onlyNumber requires a factor to be a number, because multiplying a string or a list
// could produce a value of any size.
func onlyNumber(x ast.Expr) ast.Expr {
	return &ast.ParenExpr{X: &ast.BinaryExpr{X: x, Op: token.AND, Y: ast.NewPredeclared("number")}}
}

// onlyShort requires a value that is inserted into a string to be a number, a boolean or
// a short string. Otherwise, a few lines could produce a string of any size, if each line
// inserts the previous one twice. The last steps would be huge, and evaluation cannot be
// stopped during a step.
func onlyShort(x ast.Expr) ast.Expr {
	short := &ast.UnaryExpr{Op: token.MAT, X: ast.NewString("^(?s:.{0,500})$")}
	allowed := ast.NewBinExpr(token.OR, ast.NewPredeclared("number"), ast.NewPredeclared("bool"), short)
	return &ast.ParenExpr{X: &ast.BinaryExpr{X: x, Op: token.AND, Y: &ast.ParenExpr{X: allowed}}}
}

func LongPattern(n int) string {
	return fmt.Sprintf("this regular expression is %d bytes long, but at most %d are allowed", n, MaxPattern)
}

func PosOf(p token.Pos) diag.Pos {
	if !p.IsValid() {
		return diag.Pos{}
	}
	pos := p.Position()
	return diag.Pos{File: pos.Filename, Line: pos.Line, Col: pos.Column}
}

// FromCUE converts CUE's errors to diagnostics. Errors without a position are reported at
// the given position.
func FromCUE(err error, at diag.Pos) error {
	if err == nil {
		return nil
	}
	var list diag.List
	for _, e := range cueerrors.Errors(err) {
		format, args := e.Msg()
		pos := at
		for _, p := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
			// A position in the user's file is more useful than one in another
			// file of its package, which is more useful than one in the schema.
			q := PosOf(p)
			if q.Line > 0 && (pos.Line == 0 || !isSchemaFile(q.File) && isSchemaFile(pos.File) || q.File == at.File && pos.File != at.File) {
				pos = q
			}
		}
		if isSchemaFile(pos.File) && at.File != "" && !isSchemaFile(at.File) {
			pos = at // the schema requires the field, but the user's file lacks it
		}
		d := diag.Errorf(pos, format, args...)
		if d.Msg == "" { // wrapped errors from other packages
			d.Msg = e.Error()
		}
		if format == "reference %q not found" && len(args) == 1 {
			name := fmt.Sprint(args[0])
			d.About(diag.Unknown, name)
			if name == schemaPackage {
				d.WithHint("add this line to the file: import %q", schemaImport)
			} else if strings.HasPrefix(name, "#") || strings.HasPrefix(name, "_") {
				d.WithHint("define %s in this file, or in another file of this folder that has the same package clause", name)
			} else if !d.Suggest(name, types) {
				d.WithHint("formulas and strings must be quoted: \"%s\"", name)
			}
		}
		if path := TrimPath(e.Path()); len(path) > 0 {
			d.Subject = strings.Join(path, ".")
		}
		list = append(list, d)
	}
	return list.Err()
}

// types lists the types that a parameter can have.
var types = []string{"int64", "int", "number", "float", "string", "bool"}

func isSchemaFile(name string) bool { return strings.HasPrefix(name, SchemaFolder+"/") }

// TrimPath removes the path of the enclosing definition, because only the path within the
// definition is meaningful to users.
func TrimPath(path []string) []string {
	for i := len(path) - 1; i >= 0; i-- {
		if strings.HasPrefix(path[i], "#") {
			return path[i+1:]
		}
	}
	return path
}

// CUE evaluates all of the user's CUE files together. It evaluates everything in them, so
// that files that take too much time or memory fail here, where time and memory are
// limited, rather than when another part of a file is read later.
func (r *Reader) CUE(name string, files ...*ast.File) (*Tree, error) {
	v, err := r.Eval(name, files...)
	if err != nil {
		return nil, err
	}
	return TreeOf(name, v)
}

// ReadCUE reads a user's CUE file without evaluating it.
func ReadCUE(name string, watch input.Watch) (*ast.File, error) {
	text, err := Read(name, watch)
	if err != nil {
		return nil, err
	}
	return ParseCUE(name, text)
}

// Bundled reads a CUE file from a file system. The argument shown is the file's name in
// messages.
func (r *Reader) Bundled(files fs.FS, name, shown string) (cue.Value, error) {
	f, err := r.parseBundled(files, name, shown)
	if err != nil {
		return cue.Value{}, err
	}
	return r.Eval(shown, f)
}

// BundledPackage reads the CUE files at the root of a file system and evaluates them
// together. shown is the folder's name, for use in messages.
func (r *Reader) BundledPackage(files fs.FS, shown string) ([]*ast.File, *Tree, error) {
	names, err := fs.Glob(files, "*.cue")
	if err != nil {
		return nil, nil, err
	}
	list := make([]*ast.File, len(names))
	for i, name := range names {
		if list[i], err = r.parseBundled(files, name, path.Join(shown, name)); err != nil {
			return nil, nil, err
		}
	}
	t, err := r.CUE(shown, list...)
	return list, t, err
}

func (r *Reader) parseBundled(files fs.FS, name, shown string) (*ast.File, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	return parser.ParseFile(shown, text, r.Mode)
}

// Members evaluates everything in a struct definition, including optional fields. It
// returns the fields, and reports whether the definition also constrains fields with
// other names.
func Members(v cue.Value) (list []Member, others bool, err error) {
	iter, err := v.Fields(cue.All())
	if err != nil {
		return nil, false, err
	}
	for iter.Next() {
		list = append(list, Member{iter.Selector(), iter.Value()})
		exhaust(iter.Value(), maxDepth-1)
	}
	rest := v.LookupPath(cue.MakePath(cue.AnyString))
	if rest.Exists() {
		exhaust(rest, maxDepth-1)
	}
	return list, rest.Exists(), nil
}

// Member is a field of a definition.
type Member struct {
	Selector cue.Selector
	Value    cue.Value
}

// ParseCUE parses the text of a user's CUE file.
func ParseCUE(name string, text []byte) (*ast.File, error) {
	if err := checkCUEText(name, text); err != nil {
		return nil, err
	}
	f, err := parser.ParseFile(name, text, parser.ParseComments)
	if err != nil {
		return nil, syntaxError(err, name)
	}
	if err := checkTree(name, &ast.StructLit{Elts: f.Decls}, cueLimits); err != nil {
		return nil, err
	}
	return f, checkSafe(f)
}

// exhaust evaluates everything in a definition, up to a maximum depth, because a
// definition may contain itself.
func exhaust(v cue.Value, depth int) {
	if depth == 0 {
		return
	}
	var item cue.Value
	switch v.IncompleteKind() {
	case cue.StructKind:
		for iter, err := v.Fields(cue.All()); err == nil && iter.Next(); {
			exhaust(iter.Value(), depth-1)
		}
		item = v.LookupPath(cue.MakePath(cue.AnyString))
	case cue.ListKind:
		for iter, err := v.List(); err == nil && iter.Next(); {
			exhaust(iter.Value(), depth-1)
		}
		item = v.LookupPath(cue.MakePath(cue.AnyIndex))
	}
	if item.Exists() {
		exhaust(item, depth-1)
	}
}

// ValuePos returns the position of a value itself, rather than the position of its field.
func ValuePos(v cue.Value) diag.Pos {
	switch n := v.Source().(type) {
	case *ast.Field:
		return PosOf(n.Value.Pos())
	case ast.Expr:
		return PosOf(n.Pos())
	}
	return PosOf(v.Pos())
}

// SourceExpr returns the expression that defines a value in its file, or nil.
func SourceExpr(v cue.Value) ast.Expr {
	switch n := v.Source().(type) {
	case *ast.Field:
		return n.Value
	case ast.Expr:
		return n
	}
	return nil
}

// KeyPos returns the position of the value's field name.
func KeyPos(v cue.Value) diag.Pos {
	if field, ok := v.Source().(*ast.Field); ok {
		return PosOf(field.Label.Pos())
	}
	return PosOf(v.Pos())
}

// PathOf returns a CUE path. Each part of p is the name of a field or the index of a list
// item.
func PathOf(p []string) cue.Path {
	var sels []cue.Selector
	for _, s := range p {
		var i int
		if n, _ := fmt.Sscanf(s, "%d", &i); n == 1 {
			sels = append(sels, cue.Index(i))
		} else {
			sels = append(sels, cue.Str(s))
		}
	}
	return cue.MakePath(sels...)
}

// Doc returns the comment before a field.
func Doc(v cue.Value) string {
	var text []string
	for _, c := range v.Doc() {
		text = append(text, strings.Fields(c.Text())...)
	}
	return strings.Join(text, " ")
}
