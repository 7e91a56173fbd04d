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

// reader decodes the JSON of a snapshot into the types of this package. It exists
// because encoding/json would take a third of the program's startup time; reader
// scans the text once and does not copy strings. It supports only what snapshots
// contain: structs with tags, maps with string keys, slices, pointers, formulas,
// positions, and plain values.
type reader struct {
	text string
	at   int
	// items contains reusable buffers for reading slices, by slice type.
	items map[reflect.Type]reflect.Value
}

// known caches the results of fieldsOf.
var known sync.Map // of map[string][]int by reflect.Type

// readJSON decodes a JSON text into the value that dst points to.
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
		r.fail("unexpected data after the end")
	}
	return nil
}

// readError is the panic with which a reader passes an error to readJSON.
type readError struct{ error }

func (r *reader) fail(format string, args ...any) { panic(readError{fmt.Errorf(format, args...)}) }

func (r *reader) space() {
	for r.at < len(r.text) && r.text[r.at] <= ' ' {
		r.at++
	}
}

// next returns the next non-space character, or 0.
func (r *reader) next() byte {
	if r.space(); r.at == len(r.text) {
		return 0
	}
	return r.text[r.at]
}

// take skips a character if it comes next.
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

// each calls f for every item of an array or an object.
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

// value reads the next value.
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

// object reads an object into a struct. It skips unknown keys.
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

// fieldsOf maps the keys of a struct to the paths of its fields.
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

// slice reads a list. It first reads into a buffer shared by all lists of that
// type, so that it can then allocate a slice of the exact length.
func (r *reader) slice(v reflect.Value) {
	t := v.Type()
	items, ok := r.items[t]
	if !ok {
		items = reflect.New(t).Elem()
	}
	delete(r.items, t) // nested lists of the same type need their own buffer
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
	key, elem := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
	r.each('{', '}', func() {
		key.SetString(r.key())
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

// any reads a value of any type, numbers as int64.
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

// string reads a string; a string without escapes shares the memory of the
// text.
func (r *reader) string() string {
	r.want('"')
	rest := r.text[r.at:]
	end := strings.IndexByte(rest, '"')
	if end < 0 {
		r.fail("unterminated string")
	}
	if strings.IndexByte(rest[:end], '\\') < 0 {
		r.at += end + 1
		return rest[:end]
	}
	var b strings.Builder
	for {
		n := strings.IndexAny(r.text[r.at:], "\\\"")
		if n < 0 {
			r.fail("unterminated string")
		}
		b.WriteString(r.text[r.at : r.at+n])
		if r.at += n; r.char() == '"' {
			return b.String()
		}
		r.escape(&b)
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
			r.fail("incomplete character")
		}
		if x = utf16.DecodeRune(x, r.hex()); x == utf8.RuneError {
			r.fail("incomplete character")
		}
	}
	b.WriteRune(x)
}

func (r *reader) hex() rune {
	if r.at+4 > len(r.text) {
		r.fail("unterminated string")
	}
	n, err := strconv.ParseUint(r.text[r.at:r.at+4], 16, 16)
	if err != nil {
		r.fail("%v", err)
	}
	r.at += 4
	return rune(n)
}
