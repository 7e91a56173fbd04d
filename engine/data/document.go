package data

import (
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"kvbench/engine/diag"
)

// Leaf is one value in a document. It can be anything except a non-empty mapping.
type Leaf struct {
	Path string // dotted
	Value
	Origin Origin
	Key    diag.Pos // the position of the field's name, if known
}

// Document is the content of a data file as a list of leaves, in the same order as in the
// file.
type Document struct {
	File   string
	Leaves []Leaf
	// Meant lists the keys that the user probably misspelled. They are not reported as missing.
	Meant []string
	// Sections contains the positions of the keys that contain other keys.
	Sections map[string]diag.Pos
}

// Flat returns the leaves of a mapping.
func Flat(file string, root *Value) (*Document, error) {
	d := &Document{File: file, Sections: map[string]diag.Pos{}}
	if err := root.checkSize(file, dataLimits, new(int)); err != nil {
		return nil, err
	}
	return d, d.flatten("", root)
}

func (d *Document) flatten(prefix string, v *Value) error {
	var errs diag.List
	seen := map[string]diag.Pos{}
	for i := range v.Fields {
		f := &v.Fields[i]
		if strings.Contains(f.Name, ".") {
			errs = append(errs, diag.Errorf(f.Key, "%q is not a valid key: nest the keys instead of joining them with a dot", f.Name))
			continue
		}
		if first, ok := seen[f.Name]; ok {
			errs = append(errs, givenTwice(f.Key, f.Name, first))
			continue
		}
		seen[f.Name] = f.Key
		path := join(prefix, f.Name)
		if len(f.Fields) > 0 {
			d.Sections[path] = f.Key
			errs.Add(d.flatten(path, &f.Value))
			continue
		}
		at := f.Pos
		if at.Line == 0 {
			at = f.Key
		}
		d.Leaves = append(d.Leaves, Leaf{path, f.Value, Origin{Kind: FromFile, Pos: at}, f.Key})
	}
	return errs.Err()
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// DocumentOf returns the leaves of a struct.
func DocumentOf(file string, t *Tree) (*Document, error) {
	d := &Document{File: file, Sections: map[string]diag.Pos{}}
	if err := t.Value.Validate(cue.Concrete(true)); err != nil {
		return d, FromCUE(err, diag.Pos{File: file})
	}
	return d, d.flattenTree("", t)
}

// PartOf is like [DocumentOf], but returns only the fields that the file itself defines.
// The says function reports whether the file defines the field with the given name.
func PartOf(file string, t *Tree, says func(name string) bool) (*Document, error) {
	d := &Document{File: file, Sections: map[string]diag.Pos{}}
	fields, err := t.Struct(file)
	if err != nil {
		return d, err
	}
	own := &Tree{Kind: cue.StructKind}
	for i := range fields {
		if !says(fields[i].Name) {
			continue
		}
		if err := fields[i].Value.Validate(cue.Concrete(true)); err != nil {
			return d, FromCUE(err, diag.Pos{File: file})
		}
		own.Fields = append(own.Fields, fields[i])
	}
	return d, d.flattenTree("", own)
}

func (d *Document) flattenTree(prefix string, t *Tree) error {
	fields, err := t.Struct(d.File)
	if err != nil {
		return err
	}
	for i := range fields {
		f := &fields[i]
		path, pos, key := join(prefix, f.Name), d.placeIn(ValuePos(f.Value)), d.placeIn(KeyPos(f.Value))
		if f.Kind == cue.StructKind {
			d.Sections[path] = key
			if err := d.flattenTree(path, f); err != nil {
				return err
			}
			continue
		}
		d.Leaves = append(d.Leaves, Leaf{path, f.Data(d.File), Origin{Kind: FromFile, Pos: pos}, key})
	}
	return nil
}

// Data converts the value to a [Value]. A number keeps its suffix, if it has one.
func (t *Tree) Data(file string) Value {
	if lit, ok := SourceExpr(t.Value).(*ast.BasicLit); ok {
		return Of(file, lit)
	}
	expr, _ := t.Value.Syntax(cue.Final(), cue.Concrete(true)).(ast.Expr)
	return Of(file, expr)
}

// placeIn returns a position. If the position is in the schema or has no file, placeIn
// replaces its file with the document's file.
func (d *Document) placeIn(pos diag.Pos) diag.Pos {
	if pos.File == "" || isSchemaFile(pos.File) {
		pos.File = d.File
	}
	return pos
}

// Merge merges documents. A leaf overrides leaves with the same path in earlier
// documents. If a leaf and a section have the same name, the schema rejects one of
// them.
func Merge(docs ...*Document) *Document {
	out := &Document{}
	at := map[string]int{}
	for _, d := range docs {
		if d.File != "" {
			out.File, out.Sections = d.File, d.Sections
		}
		for _, l := range d.Leaves {
			if i, ok := at[l.Path]; ok {
				out.Leaves[i] = l
				continue
			}
			at[l.Path] = len(out.Leaves)
			out.Leaves = append(out.Leaves, l)
		}
	}
	return out
}

// Leaf returns the leaf at a path, or nil.
func (d *Document) Leaf(path string) *Leaf {
	if i := slices.IndexFunc(d.Leaves, func(l Leaf) bool { return l.Path == path }); i >= 0 {
		return &d.Leaves[i]
	}
	return nil
}

// Expr returns a struct that contains the leaves, for CUE to validate.
func (d *Document) Expr() *ast.StructLit {
	root := &ast.StructLit{}
	structs := map[string]*ast.StructLit{"": root}
	var sub func(path string) *ast.StructLit
	add := func(path string, value ast.Expr) {
		parent, name := "", path
		if i := strings.LastIndexByte(path, '.'); i >= 0 {
			parent, name = path[:i], path[i+1:]
		}
		s := sub(parent)
		s.Elts = append(s.Elts, &ast.Field{Label: ast.NewString(name), Value: value})
	}
	sub = func(path string) *ast.StructLit {
		s := structs[path]
		if s == nil {
			s = &ast.StructLit{}
			add(path, s)
			structs[path] = s
		}
		return s
	}
	for i := range d.Leaves {
		add(d.Leaves[i].Path, d.Leaves[i].Expr())
	}
	return root
}

// Label returns the field's name, for use in a message, or "" if the origin's name already
// identifies the field.
func (l *Leaf) Label() string {
	if l.Origin.Kind == FromFile || l.Origin.Kind == FromModel {
		return l.Path + ": "
	}
	return ""
}

// IsNothing reports whether the value is null or, for leaves, an empty mapping.
func (v *Value) IsNothing() bool { return v.Kind == Null || v.Kind == Mapping }

// IsScalar reports whether the value is neither a list nor a mapping.
func (v *Value) IsScalar() bool {
	return v.Kind != Null && v.Kind != List && v.Kind != Mapping && (v.Kind != Other || v.Text != "")
}
