package formula

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"kvbench/engine/diag"
)

// Kind is the static type of a formula or a value.
type Kind uint8

// The kinds of formulas. Any is not a kind itself: a formula declared with Any has the kind
// of its expression.
const (
	Any Kind = iota
	Num
	Str
	Bool
	NumList
	StrList

	// broken is the kind of an expression whose errors have been reported.
	broken Kind = 255
)

// String returns the kind as used in messages, such as "a number".
func (k Kind) String() string {
	switch k {
	case Num:
		return "a number"
	case Str:
		return "a string"
	case Bool:
		return "true or false"
	case NumList:
		return "a list of numbers"
	case StrList:
		return "a list of strings"
	}
	return "anything"
}

// list returns the kind of a list with elements of kind k.
func (k Kind) list() Kind {
	switch k {
	case Num:
		return NumList
	case Str:
		return StrList
	}
	return broken
}

// Value is a value of one kind, stored in the field for that kind. The caller must not
// change the elements of a list while a frame may read it.
type Value struct {
	Kind Kind
	Num  Rat
	Str  string
	Bool bool
	Nums []Rat
	Strs []string
}

// Number returns a whole number as a [Value].
func Number(n int64) Value { return Value{Kind: Num, Num: Int(n)} }

// Text returns a string as a [Value].
func Text(s string) Value { return Value{Kind: Str, Str: s} }

// Truth returns a boolean as a [Value].
func Truth(b bool) Value { return Value{Kind: Bool, Bool: b} }

// Of converts a value decoded from JSON: a string, a bool, a whole number, or a list of
// strings or whole numbers. For anything else, it returns the zero Value.
func Of(v any) Value {
	switch v := v.(type) {
	case string:
		return Text(v)
	case bool:
		return Truth(v)
	case int64:
		return Number(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return Number(n)
		}
	case []any:
		list := Value{Kind: NumList}
		for _, item := range v {
			switch item := Of(item); item.Kind {
			case Num:
				list.Nums = append(list.Nums, item.Num)
			case Str:
				list.Kind = StrList
				list.Strs = append(list.Strs, item.Str)
			}
		}
		return list
	}
	return Value{}
}

// IsZero reports whether there is no value.
func (v Value) IsZero() bool { return v.Kind == Any }

// MarshalJSON returns the value as JSON. Fractions become strings.
func (v Value) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the enclosing encoder escapes HTML if necessary
	err := enc.Encode(v.native())
	return bytes.TrimSpace(b.Bytes()), err
}

func (v Value) native() any {
	number := func(n Rat) any {
		if i, whole := n.Int64(); whole {
			return i
		}
		return n.String()
	}
	switch v.Kind {
	case Num:
		return number(v.Num)
	case Str:
		return v.Str
	case Bool:
		return v.Bool
	case NumList:
		list := make([]any, len(v.Nums))
		for i, n := range v.Nums {
			list[i] = number(n)
		}
		return list
	case StrList:
		return v.Strs
	}
	return nil
}

// UnmarshalJSON reads any value that [Of] accepts.
func (v *Value) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var x any
	err := dec.Decode(&x)
	*v = Of(x)
	return err
}

// String returns the value in formula syntax, such as 9/16, "text", true, [1, 2], or
// ["a", "b"].
func (v Value) String() string {
	switch v.Kind {
	case Num:
		return v.Num.String()
	case Str:
		return strconv.Quote(v.Str)
	case Bool:
		return strconv.FormatBool(v.Bool)
	case NumList:
		elems := make([]string, len(v.Nums))
		for i, n := range v.Nums {
			elems[i] = n.String()
		}
		return "[" + strings.Join(elems, ", ") + "]"
	case StrList:
		elems := make([]string, len(v.Strs))
		for i, s := range v.Strs {
			elems[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(elems, ", ") + "]"
	}
	return "nothing"
}

// Text returns the value as used on a command line or in a table: a string
// without quotes, anything else as in [Value.String].
func (v Value) Text() string {
	if v.Kind == Str {
		return v.Str
	}
	return v.String()
}

// Source is the text of a formula and the position of its first character in
// its file; all other lines begin in the same column. If Pos.Line is zero,
// the position is unknown.
type Source struct {
	Text string
	Pos  diag.Pos // the position of the first character
	// Facts are known only for kvbench's own formulas.
	Facts Facts
	// Local maps each short name that the formula can use to the full name that it refers to.
	Local map[string]string
	// From is the text that the user wrote, if Text is derived from it.
	From *Written
}

// Written is a user's text from which a formula was derived.
type Written struct {
	Text string
	// Char converts the position of a character in the formula to a position in Text.
	Char func(char int) int
}

// IsZero reports whether there is no formula.
func (s Source) IsZero() bool { return s.Text == "" }

// MarshalText returns the text, preceded by its position and facts if these are known:
// "@file:line:col~facts text".
func (s Source) MarshalText() ([]byte, error) {
	if s.Pos.IsZero() {
		return []byte(s.Text), nil
	}
	pos, err := s.Pos.MarshalText()
	if s.Facts != "" {
		pos = append(pos, "~"+s.Facts...)
	}
	return []byte("@" + string(pos) + " " + s.Text), err
}

// UnmarshalText is the inverse of [Source.MarshalText].
func (s *Source) UnmarshalText(data []byte) error { return s.Parse(string(data)) }

// Parse is like UnmarshalText, but accepts a string.
func (s *Source) Parse(text string) error {
	if pos, rest, ok := strings.Cut(text, " "); ok && pos != "" && pos[0] == '@' {
		s.Text = rest
		pos, facts, _ := strings.Cut(pos[1:], "~")
		s.Facts = Facts(facts)
		return s.Pos.Parse(pos)
	}
	s.Text = text
	return nil
}
