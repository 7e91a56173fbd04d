package formula

import (
	"strconv"
	"strings"

	"kvbench/engine/diag"
)

// Kind is the static type of a formula.
type Kind uint8

// The kinds. Any is no kind of its own: it leaves the kind of a formula to
// what its text yields.
const (
	Any Kind = iota
	Num
	Str
	Bool
	NumList
	StrList

	// broken is the kind of an expression with an error already reported.
	broken Kind = 255
)

// String returns the kind as messages name it: "a number".
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

// list returns the kind of a list whose elements are of kind k.
func (k Kind) list() Kind {
	switch k {
	case Num:
		return NumList
	case Str:
		return StrList
	}
	return broken
}

// Value is a value of one kind; the field of that kind holds it. The memory
// of a list belongs to the one who made it and must not change while a frame
// may read it.
type Value struct {
	Kind Kind
	Num  Rat
	Str  string
	Bool bool
	Nums []Rat
	Strs []string
}

// String returns the value as a formula would write it: 9/16, "text", true,
// [1, 2], ["a", "b"].
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

// Text returns the value as a command line or a table has it: a string as it
// is, everything else as [Value.String].
func (v Value) Text() string {
	if v.Kind == Str {
		return v.Str
	}
	return v.String()
}

// Source is the text of a formula and where its first character stands in its
// file. A zero Pos.Line means that this is not known.
type Source struct {
	Text string
	Pos  diag.Pos // of its first character
	// At returns the place of a character of the text, counted from 0, where it
	// does not follow from Pos; else it is nil.
	At func(char int) diag.Pos
	// Local has names that this formula alone knows, and what they stand for.
	Local map[string]string
	// Written is what the user wrote, where Text is made of it, and Char gives the
	// place there of a character of Text; else Char is nil.
	Written string
	Char    func(char int) int
}
