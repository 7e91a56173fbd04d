package schema

import (
	"reflect"
	"strings"
	"sync"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// shape describes how a snapshot represents the values of a type. Each shape is computed only
// once, so the reader need not inspect the type again for each value.
type shape struct {
	form   form
	fields []shapeField // the fields of an object, in the order of the struct
	elem   *shape       // the shape of the elements of a list or map, or of what a pointer points to
}

// shapeField is a field of an object: its key, and its path in the struct.
type shapeField struct {
	key  string
	path []int
	*shape
}

// form identifies the way in which a value is written.
type form uint8

const (
	formUnknown form = iota
	formString
	formBool
	formInt
	formText  // a string that the type's Parse method parses
	formValue // a [formula.Value]
	formPart  // a part that is read later
	formRule  // an [EngineRule]
	formList
	formMap
	formPointer
	formObject
)

// parser is implemented by types whose values are written as strings.
type parser interface{ Parse(text string) error }

// shapes contains the shapes of all types seen so far.
var shapes struct {
	sync.Mutex
	of map[reflect.Type]*shape
}

func shapeOf(t reflect.Type) *shape {
	shapes.Lock()
	defer shapes.Unlock()
	if shapes.of == nil {
		shapes.of = map[reflect.Type]*shape{}
	}
	return findShape(t)
}

// findShape returns the shape of a type. The caller must hold the lock. Because a type may
// contain itself, findShape stores the shape before the shape is complete.
func findShape(t reflect.Type) *shape {
	if s := shapes.of[t]; s != nil {
		return s
	}
	s := new(shape)
	shapes.of[t] = s
	switch t.Kind() {
	case reflect.String:
		s.form = formString
	case reflect.Bool:
		s.form = formBool
	case reflect.Int, reflect.Int64:
		s.form = formInt
	case reflect.Uint8:
		s.form = formText
	case reflect.Map:
		s.form, s.elem = formMap, findShape(t.Elem())
	case reflect.Pointer:
		s.form, s.elem = formPointer, findShape(t.Elem())
	case reflect.Slice:
		s.form, s.elem = formList, findShape(t.Elem())
		if t == reflect.TypeFor[EngineRule]() {
			s.form = formRule
		}
	case reflect.Struct:
		// Looking for a method of the type would take longer than these comparisons.
		switch {
		case t == reflect.TypeFor[formula.Value]():
			s.form = formValue
		case t == reflect.TypeFor[Formula](), t == reflect.TypeFor[diag.Pos]():
			s.form = formText
		case t.NumField() > 0 && !t.Field(0).IsExported(): // only [Later] begins with an unexported field
			s.form = formPart
		default:
			s.form = formObject
			s.addFields(t, nil)
		}
	}
	return s
}

// addFields adds the fields of a struct, including those of embedded structs.
func (s *shape) addFields(t reflect.Type, path []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := append(path[:len(path):len(path)], i)
		switch {
		case key == "-" || !f.IsExported():
		case f.Anonymous && key == "":
			s.addFields(f.Type, at)
		default:
			s.fields = append(s.fields, shapeField{key, at, findShape(f.Type)})
		}
	}
}
