package data

import (
	"cuelang.org/go/cue"

	"kvbench/engine/diag"
)

// Tree is an evaluated value and everything in it, except definitions, hidden fields, and
// optional fields. CUE sorts the fields of a struct each time it lists them, and
// evaluates a value each time it looks up the value's path. With a tree, CUE does this
// only once.
type Tree struct {
	Value  cue.Value
	Name   string // the name of the field; "" if the value is not a field
	Kind   cue.Kind
	Fields []Tree // the fields of a struct, in file order
	Items  []Tree // the items of a list

	err error // why the fields of a struct cannot be listed
}

// TreeOf evaluates everything in a value, up to a maximum depth. It returns an error if
// there are too many values. Even a small file may contain a huge number of values,
// because lists and structs may be shared.
func TreeOf(file string, v cue.Value) (*Tree, error) {
	t, n := &Tree{Value: v}, 0
	return t, t.grow(file, maxDepth, &n)
}

func (t *Tree) grow(file string, depth int, n *int) error {
	t.Kind = t.Value.IncompleteKind()
	if *n++; *n > cueLimits.values {
		return tooMany(file, cueLimits.values)
	}
	if depth == 0 {
		return nil
	}
	switch t.Kind {
	case cue.StructKind, cue.BottomKind: // a value with an error may be a struct
		iter, err := t.Value.Fields()
		if t.err = err; err != nil {
			return nil // the code that reads the fields reports the error
		}
		for iter.Next() {
			if sel := iter.Selector(); sel.IsString() {
				t.Fields = append(t.Fields, Tree{Value: iter.Value(), Name: sel.Unquoted()})
			}
		}
	case cue.ListKind:
		for iter, err := t.Value.List(); err == nil && iter.Next(); {
			t.Items = append(t.Items, Tree{Value: iter.Value()})
		}
	}
	for _, list := range [][]Tree{t.Fields, t.Items} {
		for i := range list {
			if err := list[i].grow(file, depth-1, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// Struct returns the fields of a struct. It is an error if the value is not a struct.
func (t *Tree) Struct(file string) ([]Tree, error) {
	err := t.err
	if t.Kind != cue.StructKind && t.Kind != cue.BottomKind {
		_, err = t.Value.Fields()
	}
	return t.Fields, FromCUE(err, diag.Pos{File: file})
}

// Field returns the field with the given name, or nil. t may be nil.
func (t *Tree) Field(name string) *Tree {
	if t != nil {
		for i := range t.Fields {
			if t.Fields[i].Name == name {
				return &t.Fields[i]
			}
		}
	}
	return nil
}

// Item returns the item at index i of a list, or nil. t may be nil.
func (t *Tree) Item(i int) *Tree {
	if t == nil || i >= len(t.Items) {
		return nil
	}
	return &t.Items[i]
}
