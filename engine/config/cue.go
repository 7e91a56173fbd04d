// Package config turns files and command-line values into checked facts: it
// reads YAML, JSON and CUE, merges the layers of a configuration as data, each
// value keeping where it came from, and unifies the result once with the CUE
// schema. With diag it is the only package that knows CUE's API.
package config

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
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"kvbench/engine/diag"
)

// The import path of the schema that architecture files use, and the folder
// it stands for in the CUE module.
const (
	modulePath   = "kvbench.internal"
	schemaFolder = "cue"
	// schemaPackage is the name that it is imported by.
	schemaPackage = "kvbench"
	schemaImport  = modulePath + "/" + schemaFolder + ":" + schemaPackage
)

// builder builds CUE files whose imports it finds in schema alone: nothing is
// read from disk or the network.
type builder struct {
	schema fs.FS
	mode   parser.Option // comments, where documentation is read
	ctx    *cue.Context
	bctx   *build.Context

	mu       sync.Mutex
	packages map[string]*build.Instance
}

func newBuilder(schema fs.FS) *builder {
	b := &builder{schema: schema, mode: parser.AllErrors, ctx: cuecontext.New(), packages: map[string]*build.Instance{}}
	b.bctx = build.NewContext(build.Loader(b.load))
	return b
}

// load finds an imported package of the schema, or nil.
func (b *builder) load(_ token.Pos, importPath string) *build.Instance {
	importPath, _, _ = strings.Cut(importPath, ":")
	folder, ok := strings.CutPrefix(importPath, modulePath+"/"+schemaFolder)
	if !ok {
		return nil
	}
	inst, err := b.pkg(path.Clean("." + folder))
	if err != nil {
		inst = b.bctx.NewInstance(folder, nil)
		inst.ImportPath = importPath
		inst.Err = cueerrors.Promote(err, "")
	}
	return inst
}

// pkg gives the schema's package in a folder of its file system.
func (b *builder) pkg(folder string) (*build.Instance, error) {
	if inst := b.packages[folder]; inst != nil {
		return inst, nil
	}
	names, err := fs.Glob(b.schema, path.Join(folder, "*.cue"))
	if err != nil {
		return nil, err
	}
	inst := b.bctx.NewInstance(folder, b.load)
	inst.ImportPath = path.Join(modulePath, schemaFolder, folder)
	for _, name := range names {
		data, err := fs.ReadFile(b.schema, name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(path.Join(schemaFolder, name), data, b.mode)
		if err != nil {
			return nil, err
		}
		if err := inst.AddSyntax(f); err != nil {
			return nil, err
		}
	}
	inst.ImportPath += ":" + inst.PkgName
	b.packages[folder] = inst
	if err := inst.Complete(); err != nil {
		return nil, err
	}
	return inst, nil
}

// value evaluates a package of the schema.
func (b *builder) value(folder string) (cue.Value, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	inst, err := b.pkg(folder)
	if err != nil {
		return cue.Value{}, fromCUE(err, diag.Pos{})
	}
	v := b.ctx.BuildInstance(inst)
	return v, fromCUE(v.Err(), diag.Pos{})
}

// files evaluates CUE files together, as those of one package. Fields that
// conflict are reported later, by who reads them.
func (b *builder) files(name string, files ...*ast.File) (cue.Value, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	inst := b.bctx.NewInstance(path.Dir(name), b.load)
	inst.ImportPath = modulePath + "/user"
	for _, f := range files {
		if err := inst.AddSyntax(f); err != nil {
			return cue.Value{}, fromCUE(err, diag.Pos{File: name})
		}
	}
	if err := inst.Complete(); err != nil {
		return cue.Value{}, fromCUE(err, diag.Pos{File: name})
	}
	return b.ctx.BuildInstance(inst), nil
}

// attributes are those that fields of the schema have.
var attributes = []string{"flag", "var", "keys", "expected", "unit", "least", "late", "announced", "default", "note", "needs", "words", "aka"}

// checkSafe refuses what would make a file depend on more than itself, its
// package and the schema, and what the evaluator does in one step that no limit
// can end.
func checkSafe(f *ast.File) error {
	var errs diag.List
	refuse := func(n ast.Node, what, hint string) {
		errs = append(errs, diag.Errorf(fromPos(n.Pos()), "%s", what).WithHint("%s", hint))
	}
	ast.Walk(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			if p := strings.Trim(n.Path.Value, `"`); p != schemaImport {
				refuse(n.Path, "this import is not allowed: files must mean the same everywhere, so the only import is \""+schemaImport+"\"", importHint(p))
			}
			return false
		case *ast.Attribute:
			if name, _ := n.Split(); !slices.Contains(attributes, name) {
				refuse(n, "the attribute @"+name+" is not allowed: attributes make tools read other files, or leave this one out", attributeHint(name))
			}
			return false
		case *ast.UnaryExpr:
			if lit, ok := n.X.(*ast.BasicLit); ok && (n.Op == token.MAT || n.Op == token.NMAT) && len(lit.Value) > maxPattern {
				refuse(n, longPattern(len(lit.Value)), "write a shorter one: a part of the name is enough")
				return false
			}
		case *ast.BinaryExpr:
			if n.Op != token.MUL {
				break
			}
			if isText(n.X) || isText(n.Y) {
				refuse(n, "a text times a number is not allowed: it could be of any size", "write the text out")
				return false
			}
			n.X, n.Y = onlyNumber(n.X), onlyNumber(n.Y)
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

// onlyNumber makes a factor a number: a text times a number would be a text as
// large as one likes, made in a single step.
func onlyNumber(x ast.Expr) ast.Expr {
	return &ast.ParenExpr{X: &ast.BinaryExpr{X: x, Op: token.AND, Y: ast.NewPredeclared("number")}}
}

// importHint says what to write instead of something imported.
func importHint(path string) string {
	path, _, _ = strings.Cut(path, ":")
	if strings.Contains(path, ".") {
		return "copy the definitions into a file of the same package beside this one"
	}
	return "write the values out, with a comprehension where they repeat, or compute them in a formula"
}

// attributeHint says what to write instead of an attribute.
func attributeHint(name string) string {
	switch name {
	case "embed", "extern":
		return "write the values into this file, or into a file of the same package beside it"
	case "if", "ignore":
		return "leave the attribute out, and keep what is not always wanted in a folder of its own"
	}
	return "leave the attribute out"
}

func longPattern(n int) string {
	return fmt.Sprintf("this regular expression is %d bytes long: at most %d are allowed", n, maxPattern)
}

func fromPos(p token.Pos) diag.Pos {
	if !p.IsValid() {
		return diag.Pos{}
	}
	pos := p.Position()
	return diag.Pos{File: pos.Filename, Line: pos.Line, Col: pos.Column}
}

// fromCUE gives CUE's errors as diagnostics; those without a position get at.
func fromCUE(err error, at diag.Pos) error {
	if err == nil {
		return nil
	}
	var list diag.List
	for _, e := range cueerrors.Errors(err) {
		format, args := e.Msg()
		pos := at
		for _, p := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
			// A place in the user's file says more than one in another of its
			// package, and that says more than one in the schema.
			q := fromPos(p)
			if q.Line > 0 && (pos.Line == 0 || !isSchemaFile(q.File) && isSchemaFile(pos.File) || q.File == at.File && pos.File != at.File) {
				pos = q
			}
		}
		if isSchemaFile(pos.File) && at.File != "" && !isSchemaFile(at.File) {
			pos = at // the schema asks for it, the user's file lacks it
		}
		d := diag.Errorf(pos, format, args...)
		if d.Msg == "" { // errors of other packages, wrapped
			d.Msg = e.Error()
		}
		if name, ok := strings.CutPrefix(d.Msg, "reference \""); ok && strings.HasSuffix(name, "\" not found") {
			name = strings.TrimSuffix(name, "\" not found")
			if name == schemaPackage {
				d.WithHint("the file lacks: import %q", schemaImport)
			} else if strings.HasPrefix(name, "#") || strings.HasPrefix(name, "_") {
				d.WithHint("define %s in this file, or in a file of the same folder with the same package clause", name)
			} else if hint := diag.DidYouMean(name, types); hint != "" {
				d.WithHint("%s", hint)
			} else {
				d.WithHint("formulas and texts stand in quotes: \"%s\"", name)
			}
		}
		if path := trimPath(e.Path()); len(path) > 0 {
			d.Msg = strings.Join(path, ".") + ": " + d.Msg
		}
		list = append(list, d)
	}
	return list.Err()
}

// types are the types that parameters are declared with.
var types = []string{"int64", "int", "number", "float", "string", "bool"}

func isSchemaFile(name string) bool { return strings.HasPrefix(name, schemaFolder+"/") }

// trimPath drops what leads to a definition: only the path within it is the
// user's.
func trimPath(path []string) []string {
	for i := len(path) - 1; i >= 0; i-- {
		if strings.HasPrefix(path[i], "#") {
			return path[i+1:]
		}
	}
	return path
}
