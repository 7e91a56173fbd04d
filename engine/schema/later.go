package schema

import (
	"encoding/json"
	"strings"
	"sync"
)

// Later is a part of the schema that is read on demand, because most commands
// do not need it. It is safe for concurrent use.
type Later[T any] struct {
	text  string
	once  sync.Once
	value T
}

// Get returns the part.
func (l *Later[T]) Get() T {
	l.once.Do(func() {
		if l.text != "" {
			readJSON(l.text, &l.value) // cannot fail: a test reads the whole snapshot
		}
	})
	return l.value
}

// Set replaces the part; it reads the stored text first, so that no Get
// overwrites the new value.
func (l *Later[T]) Set(v T) {
	l.Get()
	l.value = v
}

// MarshalJSON returns the part as JSON.
func (l *Later[T]) MarshalJSON() ([]byte, error) { return json.Marshal(l.Get()) }

// UnmarshalJSON stores the text for later, after checking that it is valid.
func (l *Later[T]) UnmarshalJSON(data []byte) error {
	l.text = string(data)
	return readJSON(l.text, new(T))
}

func (l *Later[T]) keep(text string) { l.text = text }

// keeper is a value that stores its text.
type keeper interface{ keep(text string) }

// skip skips an object or a list and returns its text.
func (r *reader) skip() string {
	if c := r.next(); c != '{' && c != '[' {
		r.fail("expected an object or a list")
	}
	start, depth := r.at, 0
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case '"':
			r.skipString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if r.at++; depth == 0 {
			return r.text[start:r.at]
		}
	}
	r.fail("unterminated value")
	return ""
}

// skipString skips a string. Unlike [reader.string], it does not resolve escapes.
func (r *reader) skipString() {
	start := r.at + 1
	for r.at = start; ; r.at++ {
		i := strings.IndexByte(r.text[r.at:], '"')
		if i < 0 {
			r.fail("unterminated string")
		}
		r.at += i
		text := r.text[start:r.at]
		if backslashes := len(text) - len(strings.TrimRight(text, `\`)); backslashes%2 == 0 {
			r.at++
			return
		}
	}
}
