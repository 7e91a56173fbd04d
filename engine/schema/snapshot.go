package schema

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// reader reads the JSON of a snapshot into the types of this package. It is
// there for the start of the program, of which encoding/json would take a
// third: it goes through the text once and copies no strings. It knows what
// snapshots have: structs with tags, maps with string keys, slices, pointers,
// texts, and plain values.
type reader struct {
	text  string
	at    int
	types map[reflect.Type]map[string]int
}

// readJSON fills what dst points to.
func readJSON(text string, dst any) (err error) {
	r := &reader{text: text, types: map[reflect.Type]map[string]int{}}
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

// next gives the next character that is no space, or 0.
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
	if v.Kind() != reflect.Interface && r.next() == 'n' {
		r.word("null")
		v.SetZero()
		return
	}
	if v.Kind() == reflect.Struct && v.CanAddr() {
		if k, ok := v.Addr().Interface().(keeper); ok {
			k.keep(r.skip())
			return
		}
	}
	if v.Kind() != reflect.Pointer && v.CanAddr() && r.next() == '"' {
		if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			if err := t.UnmarshalText([]byte(r.string())); err != nil {
				r.fail("%v", err)
			}
			return
		}
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
	case reflect.Struct:
		r.object(v)
	case reflect.Map:
		r.mapping(v)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		r.each('[', ']', func() {
			n := v.Len()
			if n == v.Cap() {
				v.Grow(1)
			}
			v.SetLen(n + 1)
			v.Index(n).SetZero()
			r.value(v.Index(n))
		})
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(v.Elem())
	case reflect.Interface:
		if x := r.any(); x != nil {
			v.Set(reflect.ValueOf(x))
		} else {
			v.SetZero()
		}
	default:
		r.fail("no snapshot has a %s", v.Type())
	}
}

// object reads a struct. Keys that it does not have are passed over.
func (r *reader) object(v reflect.Value) {
	fields := r.fields(v.Type())
	r.each('{', '}', func() {
		key := r.key()
		if i, ok := fields[key]; ok {
			f := v
			for ; i >= embedded; i /= embedded {
				f = f.Field(i%embedded - 1)
			}
			r.value(f.Field(i - 1))
			return
		}
		r.any()
	})
}

// embedded is the base in which the path to a field of an embedded struct is
// written, innermost first digit last; the digits count from 1.
const embedded = 1 << 10

// fields gives the paths of a struct's fields by their keys.
func (r *reader) fields(t reflect.Type) map[string]int {
	if fields := r.types[t]; fields != nil {
		return fields
	}
	fields := map[string]int{}
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case key == "-" || !f.IsExported():
		case f.Anonymous && key == "":
			for name, path := range r.fields(f.Type) {
				if _, ok := fields[name]; !ok {
					fields[name] = path*embedded + i + 1
				}
			}
		default:
			if key == "" {
				key = f.Name
			}
			fields[key] = i + 1
		}
	}
	r.types[t] = fields
	return fields
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
			r.fail("\\%c is no escape", c)
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
