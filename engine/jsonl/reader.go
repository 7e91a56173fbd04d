// Package jsonl reads JSON Lines files, which may be untrusted. It reads a file piece by piece,
// and copies only the parts of a line that are requested.
package jsonl

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"strings"
)

// maxDepth is the maximum nesting depth of values. Results are nested five
// levels deep.
const maxDepth = 100

// Reader reads JSON text in a single pass. It stops at the first error, which
// [Reader.Err] returns.
type Reader struct {
	text  []byte
	at    int
	depth int
	err   string
	// root is what the reader remembers about the whole text, and memory is what it remembers
	// about the next value. Both are nil if nothing is remembered. room is the number of bytes
	// that can still be remembered.
	root, memory *memory
	room         int
}

// NewReader returns a reader for JSON text.
func NewReader(text []byte) *Reader { return &Reader{text: text} }

// Reset makes the reader start over with new text.
func (r *Reader) Reset(text []byte) {
	*r = Reader{text: text, root: r.root, memory: r.root, room: r.room}
}

// Err returns a description of the first error, or "".
func (r *Reader) Err() string { return r.err }

// End checks that there is no more data. It returns a description of the first error in the
// text, or "".
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
	if r.at < len(r.text) && r.text[r.at] > ' ' {
		return true
	}
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
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
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

// Object calls member with the name of each member of the next object. If the function does not
// read the value, the value is skipped.
func (r *Reader) Object(member func(name []byte)) {
	object := r.memory
	var first *memory
	next := &first // where the memory of the next member is expected
	if object != nil {
		next = &object.first
	}
	r.each('{', '}', func() {
		if r.repeats(*next) {
			next = &(*next).next
			return
		}
		r.space()
		begin := r.at
		name, escaped := r.quoted()
		if r.err != "" || !r.take(':') {
			return
		}
		if escaped {
			name = []byte(unquote(name))
		}
		r.space()
		start := r.at // not before white space, which r.member may skip without reading the value
		known := r.member(object, name)
		if known != nil {
			*next, next = known, &known.next
			if r.at = begin; r.repeats(known) {
				return
			}
			r.at = start
		}
		r.memory = known
		if member != nil {
			member(name)
		}
		if r.at == start {
			if known != nil && known.text == nil {
				r.memory = nil // remember the members of the value only after its text has changed
			}
			if r.Skip(); known != nil && r.err == "" {
				r.keep(known, r.text[begin:r.at])
			}
		}
		r.memory = object
	})
}

// Array calls item for each element of the next array. The function may read the element;
// otherwise, the element is skipped.
func (r *Reader) Array(item func()) {
	array := r.memory
	r.memory = nil
	r.each('[', ']', func() {
		r.space()
		start := r.at
		if item != nil {
			item()
		}
		if r.at == start {
			r.Skip()
		}
	})
	r.memory = array
}

func (r *Reader) each(begin, end byte, f func()) {
	if !r.take(begin) || !r.enter() {
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
		if r.memory == nil {
			r.skipAll('{', '}')
		} else {
			r.Object(nil)
		}
	case '[':
		array := r.memory
		r.memory = nil
		r.skipAll('[', ']')
		r.memory = array
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

// skipAll skips an object or an array. Most of a record is skipped, so a single fast loop skips
// values in the form that kvbench writes, without white space or escapes. Skip handles all
// other values.
func (r *Reader) skipAll(begin, end byte) {
	if !r.take(begin) || !r.enter() {
		return
	}
	if r.Next() != end {
		for {
			if begin == '{' {
				if at := r.simple(r.at); at > 0 && at < len(r.text) && r.text[at] == ':' {
					r.at = at + 1
				} else if r.quoted(); r.err != "" || !r.take(':') {
					return
				}
			}
			if at := r.simple(r.at); at > 0 {
				r.at = at
			} else if r.Skip(); r.err != "" {
				return
			}
			if r.at < len(r.text) && r.text[r.at] == ',' {
				r.at++
			} else if r.Next() != ',' {
				break
			} else {
				r.at++
			}
		}
	}
	if r.err == "" && r.take(end) {
		r.depth--
	}
}

// simple returns the index after the string that begins at r.text[at]. It returns 0 if there
// is no string or if the string contains escapes.
func (r *Reader) simple(at int) int {
	if at >= len(r.text) || r.text[at] != '"' {
		return 0
	}
	if at = plain(r.text, at+1); at < len(r.text) && r.text[at] == '"' {
		return at + 1
	}
	return 0
}

// enter begins a level of nesting. It returns false if there are too many levels.
func (r *Reader) enter() bool {
	if r.depth++; r.depth > maxDepth {
		r.fail("values are nested too deeply")
		return false
	}
	return true
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
	if at := r.simple(r.at); at > 0 {
		raw = r.text[r.at+1 : at-1]
		r.at = at
		return raw, false
	}
	if !r.take('"') {
		return nil, false
	}
	start := r.at
	for {
		at := plain(r.text, r.at)
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

// plain finds the first character at or after text[at] that does not represent itself in
// strings, and returns its index. Parsing spends most of its time here, so plain checks eight
// characters at once: the lowest bit set in special is the highest bit of the first such
// character.
func plain(text []byte, at int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for at+8 <= len(text) {
		eight := binary.LittleEndian.Uint64(text[at:])
		quotes, escapes := eight^ones*'"', eight^ones*'\\'
		special := ((eight-ones*' ')&^eight | (quotes-ones)&^quotes | (escapes-ones)&^escapes) & tops
		if special != 0 {
			return at + bits.TrailingZeros64(special)/8
		}
		at += 8
	}
	for at < len(text) && isPlain[text[at]] {
		at++
	}
	return at
}

// isPlain[c] reports whether byte c represents itself in strings.
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
	if r.next('-', '-') {
		r.at++
	}
	leads := r.next('0', '0')
	whole := r.digits()
	switch {
	case whole == 0 && r.at == start:
		r.fail("expected a value")
		return
	case whole == 0 || leads && whole > 1:
		r.fail("invalid JSON number")
		return
	}
	if r.next('.', '.') {
		if r.at++; r.digits() == 0 {
			r.fail("invalid JSON number")
			return
		}
	}
	if r.next('e', 'E') {
		if r.at++; r.next('+', '-') {
			r.at++
		}
		if r.digits() == 0 {
			r.fail("invalid JSON number")
		}
	}
}

// next reports whether the next character is a or b.
func (r *Reader) next(a, b byte) bool {
	return r.at < len(r.text) && (r.text[r.at] == a || r.text[r.at] == b)
}

func (r *Reader) digits() int {
	start := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		r.at++
	}
	return r.at - start
}
