// Package jsonl reads JSON lines files, which may be untrusted. It holds only
// one line in memory at a time, and copies only the parts of a line that are
// requested.
package jsonl

import (
	"encoding/json"
	"strings"
)

// maxDepth is the maximum nesting depth of values. Results are nested five
// levels deep.
const maxDepth = 100

// Reader reads a JSON text in a single pass. It stops at the first error, which
// [Reader.Err] returns.
type Reader struct {
	text  []byte
	at    int
	depth int
	err   string
}

// NewReader returns a reader for a text.
func NewReader(text []byte) *Reader { return &Reader{text: text} }

// Reset makes the reader read another text.
func (r *Reader) Reset(text []byte) { *r = Reader{text: text} }

// Err describes the first error, or returns "".
func (r *Reader) Err() string { return r.err }

// End checks that there is no more data. It describes the first error in the text,
// or returns "".
func (r *Reader) End() string {
	if r.err == "" && r.space() {
		r.fail("unexpected data after the value")
	}
	return r.err
}

func (r *Reader) fail(why string) {
	if r.err == "" {
		r.err = why
	}
	r.at = len(r.text)
}

// space skips white space, and reports whether there is more data.
func (r *Reader) space() bool {
	for ; r.at < len(r.text); r.at++ {
		if c := r.text[r.at]; c > ' ' || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return true
		}
	}
	return false
}

// Next returns the first character of the next value, or 0 at the end.
func (r *Reader) Next() byte {
	if !r.space() {
		return 0
	}
	return r.text[r.at]
}

// take skips the next character, which must be c.
func (r *Reader) take(c byte) bool {
	switch r.Next() {
	case c:
		r.at++
		return true
	case 0:
		r.fail("unexpected end of input")
	default:
		r.fail("a " + string(rune(c)) + " is missing")
	}
	return false
}

// Object calls member with each name in the next object; member may read the
// value, which is skipped otherwise.
func (r *Reader) Object(member func(name []byte)) {
	r.each('{', '}', func() {
		raw, escaped := r.quoted()
		if r.err != "" || !r.take(':') {
			return
		}
		start := r.at
		if member != nil {
			if escaped {
				raw = []byte(unquote(raw))
			}
			member(raw)
		}
		if r.at == start {
			r.Skip()
		}
	})
}

// Array calls item for each element of the next array; item may read the element.
func (r *Reader) Array(item func()) {
	r.each('[', ']', func() {
		start := r.at
		if item != nil {
			item()
		}
		if r.at == start {
			r.Skip()
		}
	})
}

func (r *Reader) each(begin, end byte, f func()) {
	if !r.take(begin) {
		return
	}
	if r.depth++; r.depth > maxDepth {
		r.fail("it is nested too deeply")
		return
	}
	if r.Next() != end {
		for f(); r.err == "" && r.Next() == ','; f() {
			r.at++
		}
	}
	if r.err == "" && r.take(end) {
		r.depth--
	}
}

// Skip skips the next value and returns its text.
func (r *Reader) Skip() []byte {
	c := r.Next()
	start := r.at
	switch c {
	case '"':
		r.quoted()
	case '{':
		r.Object(nil)
	case '[':
		r.Array(nil)
	case 't':
		r.word("true")
	case 'f':
		r.word("false")
	case 'n':
		r.word("null")
	case 0:
		r.fail("unexpected end of input")
	default:
		r.number()
	}
	if r.err != "" {
		return nil
	}
	return r.text[start:r.at]
}

// Text reads the next value, which must be a string.
func (r *Reader) Text() string {
	if r.Next() != '"' {
		r.fail("expected a string")
		return ""
	}
	raw, escaped := r.quoted()
	if escaped {
		return unquote(raw)
	}
	return string(raw)
}

// unquote decodes the content of a string that is known to be valid.
func unquote(raw []byte) string {
	var s string
	json.Unmarshal([]byte(`"`+string(raw)+`"`), &s)
	return s
}

// quoted skips a string and returns the text between the quotes.
func (r *Reader) quoted() (raw []byte, escaped bool) {
	if !r.take('"') {
		return nil, false
	}
	start := r.at
	for {
		// Most of the time is spent in this loop.
		at := r.at
		for at < len(r.text) && isPlain[r.text[at]] {
			at++
		}
		r.at = at
		switch {
		case at == len(r.text):
			r.fail("unterminated string")
			return nil, false
		case r.text[at] == '"':
			r.at++
			return r.text[start:at], escaped
		case r.text[at] == '\\':
			escaped = true
			r.escape()
		default:
			r.fail("control character in a string")
			return nil, false
		}
	}
}

// isPlain contains, for each byte, whether it represents itself in strings.
var isPlain = func() (plain [256]bool) {
	for c := range plain {
		plain[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return plain
}()

func (r *Reader) escape() {
	rest := r.text[r.at+1:]
	switch {
	case len(rest) == 0:
		r.fail("unterminated string")
	case strings.IndexByte(`"\/bfnrt`, rest[0]) >= 0:
		r.at += 2
	case rest[0] == 'u' && len(rest) > 4 && hex(rest[1:5]):
		r.at += 6
	default:
		r.fail("invalid escape sequence in a string")
	}
}

func hex(s []byte) bool {
	for _, c := range s {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}

func (r *Reader) word(word string) {
	if rest := r.text[r.at:]; len(rest) < len(word) || string(rest[:len(word)]) != word {
		r.fail("expected a value")
		return
	}
	r.at += len(word)
}

func (r *Reader) number() {
	start := r.at
	r.one("-")
	leads := r.at < len(r.text) && r.text[r.at] == '0'
	whole := r.digits()
	switch {
	case whole == 0 && r.at == start:
		r.fail("expected a value")
	case whole == 0 || leads && whole > 1:
		r.fail("invalid JSON number")
	case r.one(".") && r.digits() == 0,
		r.one("eE") && (r.one("+-") || true) && r.digits() == 0:
		r.fail("invalid JSON number")
	}
}

// one skips the next character if it is one of those in of, and reports whether it
// did.
func (r *Reader) one(of string) bool {
	if r.at < len(r.text) && strings.IndexByte(of, r.text[r.at]) >= 0 {
		r.at++
		return true
	}
	return false
}

func (r *Reader) digits() int {
	start := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at - start
}
