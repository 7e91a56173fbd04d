package formula

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"kvbench/engine/diag"
)

// unit contains a formula's name and source.
type unit struct {
	name string
	src  Source
}

// The means method returns the full name that a name in the text refers to.
func (u *unit) means(name string) string {
	if other, ok := u.src.Local[name]; ok {
		return other
	}
	return name
}

// place is the position of a character in a formula's text, as an offset in
// characters.
type place struct {
	unit *unit
	off  int
}

// errorf creates an error that points to the place.
func (p place) errorf(format string, args ...any) *diag.Diag {
	if p.unit == nil {
		return diag.Errorf(diag.Pos{}, format, args...)
	}
	text, off := p.unit.src.Text, p.off
	if from := p.unit.src.From; from != nil {
		text, off = from.Text, from.Char(off)
	}
	at := byteOffset(text, off)
	start := strings.LastIndexByte(text[:at], '\n') + 1
	end := len(text)
	if i := strings.IndexByte(text[start:], '\n'); i >= 0 {
		end = start + i
	}
	caret := utf8.RuneCountInString(text[start:at]) + 1

	pos := p.unit.src.Pos
	if pos.Line > 0 {
		pos.Line += strings.Count(text[:start], "\n")
		if pos.Col > 0 {
			pos.Col += caret - 1
		}
	}
	d := diag.Errorf(pos, format, args...).About(diag.Formula, p.unit.name)
	d.Subject, d.Source, d.Caret = "formula of "+p.unit.name, text[start:end], caret
	return d
}

// byteOffset converts an offset in characters to an offset in bytes.
func byteOffset(text string, chars int) int {
	for i := range text {
		if chars == 0 {
			return i
		}
		chars--
	}
	return len(text)
}

// plural returns "1 entry" or "3 entries".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// term formats an operand for a message about arithmetic. It puts fractions in
// parentheses.
func term(v Rat) string {
	if v.IsInt() {
		return v.String()
	}
	return "(" + v.String() + ")"
}
