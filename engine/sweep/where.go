package sweep

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Condition parses a sweep's condition: a formula in which numbers may have a unit suffix,
// as in 1MiB. If a number is compared with a name, the suffix belongs to the unit of that
// name. Otherwise, it belongs to the first unit that has such a suffix.
func Condition(s *schema.Schema, text string) (formula.Source, error) {
	src := formula.Source{Text: text}
	var made strings.Builder
	var errs diag.List
	var moved []move
	done := 0
	for _, n := range numbersIn(text) {
		if n.apart {
			errs.Add(apart(s, text[n.from:n.to]))
			continue
		}
		unit := s.UnitOf(comparedWith(text[:n.from], text[n.to:]))
		if unit == "" {
			unit = s.UnitThatHas(text[n.from:n.to])
		}
		value, err := s.ParseNumber(unit, text[n.from:n.to])
		switch hint := s.NumberHint(unit, text[n.from:n.to]); {
		case err == nil:
			made.WriteString(text[done:n.from])
			was, is := utf8.RuneCountInString(text[:n.from]), utf8.RuneCountInString(made.String())
			made.WriteString(strconv.FormatInt(value, 10))
			moved = append(moved, move{is, was, utf8.RuneCountInString(made.String()), was + n.to - n.from})
			done = n.to
		case err == strconv.ErrRange:
			errs = append(errs, diag.Usagef("%s: %s does not fit in 64 bits", whereName, text[n.from:n.to]))
		case hint != "":
			errs = append(errs, diag.Usagef("%s: %s is not allowed: expected %s", whereName, text[n.from:n.to], s.NumberText(unit, schema.WholeNumber)).WithHint("%s", hint))
		}
	}
	if len(moved) > 0 {
		src.Text = made.String() + text[done:]
		src.From = &formula.Written{Text: text, Char: func(char int) int { return toOriginal(moved, char) }}
	}
	return src, errs.Err()
}

// apart returns an error for a number with a space before its unit suffix, which
// formulas would read as a name. It returns nil if the word is not a unit suffix.
func apart(s *schema.Schema, text string) error {
	joined := strings.Join(strings.Fields(text), "")
	unit := s.UnitThatHas(joined)
	if unit == "" {
		return nil
	}
	hint := s.NumberHint(unit, joined)
	if hint == "" {
		hint = "write " + joined
	}
	return diag.Usagef("%s: %s has a space before its unit", whereName, text).WithHint("%s", hint)
}

// move describes the replacement of a number in a formula. It contains the range of
// characters that the number occupies in the new formula and in the original one.
type move struct{ from, wasFrom, to, wasTo int }

// toOriginal converts a character position in the new formula to the position in the
// original one.
func toOriginal(moved []move, char int) int {
	shift := 0
	for _, m := range moved {
		switch {
		case char < m.from:
			return char + shift
		case char < m.to:
			return m.wasFrom
		}
		shift = m.wasTo - m.to
	}
	return char + shift
}

type span struct {
	from, to int
	apart    bool // whether there is a space before the letters
}

// numbersIn returns the numbers in a formula that are followed by letters, except in
// strings and names.
func numbersIn(text string) []span {
	var list []span
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '"' || r == '\'' || r == '`':
			i = endOfString(text, i)
		case unicode.IsDigit(r):
			m := number().FindString(text[i:])
			if strings.Trim(m, "0123456789.") != "" && !strings.HasPrefix(m, "0x") {
				list = append(list, span{i, i + len(m), false})
			} else if all := numberApart().FindString(text[i:]); all != "" {
				list = append(list, span{i, i + len(all), true})
			}
			i += max(size, len(m))
		case unicode.IsLetter(r) || r == '_':
			i += len(text[i:]) - len(strings.TrimLeftFunc(text[i:], isOfName))
		default:
			i += size
		}
	}
	return list
}

// Regular expressions for a number with the letters that follow it, and for the name that
// the number is compared with.
var (
	number      = onceCompiled(`^[0-9.]+(?:[A-Za-z]+/s\b|\w*)`)
	numberApart = onceCompiled(`^[0-9.]+[ \t]+[A-Za-z]+(?:/s\b)?`)
	leftOfSign  = onceCompiled(`([A-Za-z_]\w*)\s*[<>=!]=?\s*$`)
	rightOfSign = onceCompiled(`^\s*[<>=!]=?\s*([A-Za-z_]\w*)`)
)

func onceCompiled(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

func isOfName(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

// endOfString returns the end of the string literal that begins at i.
func endOfString(text string, i int) int {
	quote := text[i]
	for i++; i < len(text); i++ {
		switch {
		case text[i] == quote:
			return i + 1
		case text[i] == '\\' && quote != '`':
			i++
		}
	}
	return len(text)
}

// comparedWith returns the name that a number is compared with, given the parts of the
// formula to the left and right of the number.
func comparedWith(left, right string) string {
	for _, m := range [][]string{leftOfSign().FindStringSubmatch(left), rightOfSign().FindStringSubmatch(right)} {
		if m != nil {
			return m[1]
		}
	}
	return ""
}
