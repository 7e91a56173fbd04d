package schema

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// reader reads the JSON of a snapshot into the types of this package. It is
// there for the start of the program, of which encoding/json would take a
// third: it goes through the text once and copies no strings. It knows what
// snapshots have: structs with tags, maps with string keys, slices, pointers,
// formulas, places, and plain values.
type reader struct {
	text string
	at   int
	// items are those of slices that are being read, by their type.
	items map[reflect.Type]reflect.Value
}

// known has the keys of structs.
var known sync.Map // of map[string][]int by reflect.Type

// readJSON fills what dst points to.
func readJSON(text string, dst any) (err error) {
	r := &reader{text: text, items: map[reflect.Type]reflect.Value{}}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case readError:
			err = fmt.Errorf("at byte %d: %w", r.at, e.error)
		default:
			panic(e)
		}
	}()
	r.value(reflect.ValueOf(dst).Elem())
	if r.space(); r.at < len(r.text) {
		r.fail("something follows the end")
	}
	return nil
}

// readError carries an error to readJSON.
type readError struct{ error }

func (r *reader) fail(format string, args ...any) { panic(readError{fmt.Errorf(format, args...)}) }

func (r *reader) space() {
	for r.at < len(r.text) && r.text[r.at] <= ' ' {
		r.at++
	}
}

// next returns the next character that is no space, or 0.
func (r *reader) next() byte {
	if r.space(); r.at == len(r.text) {
		return 0
	}
	return r.text[r.at]
}

// take passes over a character if it comes next.
func (r *reader) take(c byte) bool {
	if r.next() != c {
		return false
	}
	r.at++
	return true
}

func (r *reader) want(c byte) {
	if !r.take(c) {
		r.fail("%q is missing", c)
	}
}

// each calls f for every item of an array or a struct.
func (r *reader) each(begin, end byte, f func()) {
	r.want(begin)
	if r.take(end) {
		return
	}
	for {
		f()
		if r.take(end) {
			return
		}
		r.want(',')
	}
}

// value reads the value that comes next.
func (r *reader) value(v reflect.Value) {
	if r.next() == 'n' {
		r.word("null")
		v.SetZero()
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(r.string())
	case reflect.Bool:
		v.SetBool(r.bool())
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(r.number(), 10, 64)
		if err != nil {
			r.fail("%v", err)
		}
		v.SetInt(n)
	case reflect.Uint8:
		if err := v.Addr().Interface().(*Kinds).parse(r.string()); err != nil {
			r.fail("%v", err)
		}
	case reflect.Struct:
		var err error
		switch x := v.Addr().Interface().(type) {
		case *Formula:
			err = x.Parse(r.string())
		case *formula.Value:
			*x = formula.Of(r.any())
		case *diag.Pos:
			err = x.Parse(r.string())
		case keeper:
			x.keep(r.skip())
		default:
			r.object(v)
		}
		if err != nil {
			r.fail("%v", err)
		}
	case reflect.Map:
		r.mapping(v)
	case reflect.Slice:
		if rule, ok := v.Addr().Interface().(*EngineRule); ok && r.next() == '"' {
			*rule = EngineRule{{}}
			r.value(reflect.ValueOf(&(*rule)[0].Value).Elem())
			return
		}
		r.slice(v)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(v.Elem())
	default:
		r.fail("no snapshot has a %s", v.Type())
	}
}

// object reads a struct. Keys that it does not have are skipped.
func (r *reader) object(v reflect.Value) {
	fields := fieldsOf(v.Type())
	r.each('{', '}', func() {
		if path, ok := fields[r.key()]; ok {
			r.value(v.FieldByIndex(path))
			return
		}
		r.any()
	})
}

// fieldsOf returns the paths of a struct's fields by their keys.
func fieldsOf(t reflect.Type) map[string][]int {
	if fields, ok := known.Load(t); ok {
		return fields.(map[string][]int)
	}
	fields := map[string][]int{}
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case key == "-" || !f.IsExported():
		case f.Anonymous && key == "":
			for name, path := range fieldsOf(f.Type) {
				if _, ok := fields[name]; !ok {
					fields[name] = append([]int{i}, path...)
				}
			}
		default:
			fields[key] = f.Index
		}
	}
	known.Store(t, fields)
	return fields
}

// slice reads a list: first into items that the lists of a type use in turn, so
// that it gets the length that it needs.
func (r *reader) slice(v reflect.Value) {
	t := v.Type()
	items, ok := r.items[t]
	if !ok {
		items = reflect.New(t).Elem()
	}
	delete(r.items, t) // a list inside of this one needs others
	n := 0
	r.each('[', ']', func() {
		if n == items.Cap() {
			items.Grow(max(1, n))
		}
		n++
		items.SetLen(n)
		items.Index(n - 1).SetZero()
		r.value(items.Index(n - 1))
	})
	v.Set(reflect.MakeSlice(t, n, n))
	reflect.Copy(v, items.Slice(0, n))
	r.items[t] = items
}

func (r *reader) mapping(v reflect.Value) {
	t := v.Type()
	v.Set(reflect.MakeMap(t))
	elem := reflect.New(t.Elem()).Elem()
	r.each('{', '}', func() {
		key := reflect.ValueOf(r.key()).Convert(t.Key())
		elem.SetZero()
		r.value(elem)
		v.SetMapIndex(key, elem)
	})
}

func (r *reader) key() string {
	key := r.string()
	r.want(':')
	return key
}

// any reads a value of whatever type, numbers as int64.
func (r *reader) any() any {
	switch c := r.next(); c {
	case '"':
		return r.string()
	case 't', 'f':
		return r.bool()
	case 'n':
		r.word("null")
		return nil
	case '[':
		list := []any{}
		r.each('[', ']', func() { list = append(list, r.any()) })
		return list
	case '{':
		m := map[string]any{}
		r.each('{', '}', func() {
			key := r.key()
			m[key] = r.any()
		})
		return m
	}
	n, err := strconv.ParseInt(r.number(), 10, 64)
	if err != nil {
		r.fail("%v", err)
	}
	return n
}

func (r *reader) word(w string) {
	if !strings.HasPrefix(r.text[r.at:], w) {
		r.fail("%s is missing", w)
	}
	r.at += len(w)
}

func (r *reader) bool() bool {
	if r.next() == 't' {
		r.word("true")
		return true
	}
	r.word("false")
	return false
}

func (r *reader) number() string {
	r.space()
	start := r.at
	for r.at < len(r.text) && strings.IndexByte("+-.eE0123456789", r.text[r.at]) >= 0 {
		r.at++
	}
	return r.text[start:r.at]
}

// string reads a string; one without escapes is a part of the text.
func (r *reader) string() string {
	r.want('"')
	rest := r.text[r.at:]
	end := strings.IndexByte(rest, '"')
	if end < 0 {
		r.fail("a string does not end")
	}
	if strings.IndexByte(rest[:end], '\\') < 0 {
		r.at += end + 1
		return rest[:end]
	}
	var b strings.Builder
	for {
		switch c := r.char(); c {
		case '"':
			return b.String()
		case '\\':
			r.escape(&b)
		default:
			b.WriteByte(c)
		}
	}
}

func (r *reader) char() byte {
	if r.at == len(r.text) {
		panic(readError{errors.New("a string does not end")})
	}
	r.at++
	return r.text[r.at-1]
}

func (r *reader) escape(b *strings.Builder) {
	c := r.char()
	if c != 'u' {
		i := strings.IndexByte(`"\/bfnrt`, c)
		if i < 0 {
			r.fail("\\%c is not an escape", c)
		}
		b.WriteByte("\"\\/\b\f\n\r\t"[i])
		return
	}
	x := r.hex()
	if utf16.IsSurrogate(x) {
		if r.char() != '\\' || r.char() != 'u' {
			r.fail("half a character")
		}
		if x = utf16.DecodeRune(x, r.hex()); x == utf8.RuneError {
			r.fail("half a character")
		}
	}
	b.WriteRune(x)
}

func (r *reader) hex() rune {
	if r.at+4 > len(r.text) {
		r.fail("a string does not end")
	}
	n, err := strconv.ParseUint(r.text[r.at:r.at+4], 16, 16)
	if err != nil {
		r.fail("%v", err)
	}
	r.at += 4
	return rune(n)
}
