package schema

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"kvbench/engine/formula"
)

// reader decodes the JSON of a snapshot into the types of this package. It exists because
// encoding/json would take a third of the program's startup time. It scans the text only
// once and does not copy strings. It supports only what snapshots contain: structs with
// tags, maps with string keys, slices, pointers, formulas, positions, and plain values.
type reader struct {
	text string
	at   int
	// chunks contains slices whose unused capacity is used for further lists, keyed by type.
	// chunk is their initial capacity.
	chunks map[reflect.Type]reflect.Value
	chunk  int
}

// The initial capacity of a chunk is one item per chunkText bytes of the text, but at most
// maxChunk items.
const (
	maxChunk  = 64
	chunkText = 256
)

// readJSON decodes JSON text into the value that dst points to.
func readJSON(text string, dst any) (err error) {
	r := &reader{
		text:   text,
		chunks: map[reflect.Type]reflect.Value{},
		chunk:  min(1+len(text)/chunkText, maxChunk),
	}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case readError:
			err = fmt.Errorf("at byte %d: %w", r.at, e.error)
		default:
			panic(e)
		}
	}()
	v := reflect.ValueOf(dst).Elem()
	r.value(v, shapeOf(v.Type()))
	if r.space(); r.at < len(r.text) {
		r.fail("unexpected data after the end")
	}
	return nil
}

// readError is the panic value that a reader uses to pass an error to readJSON.
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

// take skips c if it is the next non-space character, and reports whether it did.
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

// The method each calls f for every item of an array or an object.
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

// value reads the next value into v. t is the shape of v's type.
func (r *reader) value(v reflect.Value, t *shape) {
	if r.next() == 'n' {
		r.word("null")
		v.SetZero()
		return
	}
	var err error
	switch t.form {
	case formString:
		v.SetString(r.string())
	case formBool:
		v.SetBool(r.bool())
	case formInt:
		var n int64
		if n, err = strconv.ParseInt(r.number(), 10, 64); err == nil {
			v.SetInt(n)
		}
	case formText:
		err = v.Addr().Interface().(parser).Parse(r.string())
	case formValue:
		*v.Addr().Interface().(*formula.Value) = formula.Of(r.any())
	case formPart:
		v.Addr().Interface().(keeper).keep(r.part())
	case formRule:
		if r.next() == '"' {
			rule := v.Addr().Interface().(*EngineRule)
			*rule = EngineRule{{}}
			err = (*rule)[0].Value.Parse(r.string())
			break
		}
		r.slice(v, t)
	case formList:
		r.slice(v, t)
	case formMap:
		r.mapping(v, t)
	case formPointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(v.Elem(), t.elem)
	case formObject:
		r.object(v, t)
	default:
		r.fail("a snapshot cannot contain a %s", v.Type())
	}
	if err != nil {
		r.fail("%v", err)
	}
}

// object reads an object into a struct. It skips unknown keys. Because keys are usually in
// the same order as the fields, it first compares each key with the field that follows the
// last one found.
func (r *reader) object(v reflect.Value, t *shape) {
	next := 0
	r.each('{', '}', func() {
		key := r.key()
		for range t.fields {
			f := &t.fields[next]
			if next++; next == len(t.fields) {
				next = 0
			}
			if f.key == key {
				r.value(v.FieldByIndex(f.path), f.shape)
				return
			}
		}
		r.any()
	})
}

// slice reads a list. Lists of the same type share memory: each list is part of a larger
// slice.
func (r *reader) slice(v reflect.Value, s *shape) {
	t := v.Type()
	c := r.chunks[t]
	if delete(r.chunks, t); !c.IsValid() { // a list inside this one gets a separate chunk
		c = reflect.New(t).Elem()
		c.Set(reflect.MakeSlice(t, 0, r.chunk))
	}
	first := c.Len()
	r.each('[', ']', func() {
		n := c.Len()
		if n == c.Cap() {
			more := reflect.New(t).Elem()
			more.Set(reflect.MakeSlice(t, n-first, max(2*(n-first), r.chunk)))
			reflect.Copy(more, c.Slice(first, n))
			c, first, n = more, 0, n-first
		}
		c.SetLen(n + 1)
		r.value(c.Index(n), s.elem)
	})
	v.Set(c.Slice3(first, c.Len(), c.Len()))
	r.chunks[t] = c
}

func (r *reader) mapping(v reflect.Value, s *shape) {
	t := v.Type()
	v.Set(reflect.MakeMap(t))
	key, elem := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
	r.each('{', '}', func() {
		key.SetString(r.key())
		elem.SetZero()
		r.value(elem, s.elem)
		v.SetMapIndex(key, elem)
	})
}

func (r *reader) key() string {
	key := r.string()
	r.want(':')
	return key
}

// The method any reads a value of any type. Numbers become int64.
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

// string reads a string. A string without escapes shares the memory of the text.
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
		r.fail("unterminated string")
	}
	r.at++
	return r.text[r.at-1]
}

func (r *reader) escape(b *strings.Builder) {
	c := r.char()
	if c != 'u' {
		i := strings.IndexByte(`"\/bfnrt`, c)
		if i < 0 {
			r.fail("invalid escape \\%c", c)
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
