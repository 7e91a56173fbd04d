package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
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
			readJSON(l.text, &l.value) // cannot fail, because a test reads the whole snapshot
		}
	})
	return l.value
}

// Set replaces the part. It reads the stored text first so that a later Get does not
// overwrite the new value.
func (l *Later[T]) Set(v T) {
	l.Get()
	l.value = v
}

// MarshalJSON returns the part as JSON, preceded by its length: [LENGTH,PART]. LENGTH is the
// length of PART after [Lines] has formatted it. It lets a reader skip the part without
// scanning it, so parts that a command does not use cost no time.
func (l *Later[T]) MarshalJSON() ([]byte, error) {
	text, err := Marshal(l.Get())
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "[%d,%s]", len(Lines(text)), text), nil
}

// Marshal returns a value as JSON with as few escapes as possible, because the reader need
// not copy strings without escapes.
func Marshal(v any) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(text.Bytes()), err
}

// UnmarshalJSON checks that the text is valid and stores it for later. The length may be
// missing.
func (l *Later[T]) UnmarshalJSON(data []byte) error {
	var measured []json.RawMessage
	if json.Unmarshal(data, &measured) == nil && len(measured) == 2 && json.Unmarshal(measured[0], new(int)) == nil {
		data = measured[1]
	}
	l.text = string(data)
	return readJSON(l.text, new(T))
}

func (l *Later[T]) keep(text string) { l.text = text }

// keeper is a value that stores its text so that it can be read later.
type keeper interface{ keep(text string) }

// part skips a part and returns its text. It does not scan a part whose length precedes it.
func (r *reader) part() string {
	r.space()
	start := r.at
	if !r.take('[') || !isDigit(r.next()) {
		r.at = start
		r.any()
		return r.text[start:r.at]
	}
	n, err := strconv.Atoi(r.number())
	r.want(',')
	r.space()
	start = r.at
	if err != nil || n < 0 || n > len(r.text)-start {
		r.fail("a part has the wrong length")
	}
	r.at += n
	r.want(']')
	return r.text[start : start+n]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
