package schema

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"kvbench/engine/formula"
)

// WholeNumber is the term for whole numbers in messages.
const WholeNumber = "a whole number"

// ParseNumber parses a decimal or hexadecimal whole number. If there is a unit, the text may
// also be one of the unit's words, or a number with a suffix, which may have decimals and is
// rounded down. Numbers with a leading zero, which YAML and C read as octal, and numbers with a
// plus sign are errors. The error is strconv.ErrRange or strconv.ErrSyntax.
func (s *Schema) ParseNumber(unit, text string) (int64, error) {
	if plainer(text) != "" {
		return 0, strconv.ErrSyntax
	}
	if number, suffix := cutNumber(text); number != "" && suffix != "" {
		if factor := s.Units[unit].factor(suffix); factor > 0 {
			return times(number, factor)
		}
	}
	if n, ok := s.Units[unit].Words[strings.ToLower(text)]; ok {
		return n, nil
	}
	digits, base := text, 10
	if hex, ok := strings.CutPrefix(text, "0x"); ok {
		digits, base = hex, 16
	}
	v, err := strconv.ParseInt(digits, base, 64)
	if err != nil {
		return 0, err.(*strconv.NumError).Err
	}
	return v, nil
}

// plainer returns a number without its plus sign and leading zeros, or "" if it has neither.
func plainer(text string) string {
	digits, minus := strings.CutPrefix(text, "-")
	plain := digits
	if !minus {
		plain = strings.TrimPrefix(plain, "+")
	}
	for len(plain) > 1 && plain[0] == '0' && '0' <= plain[1] && plain[1] <= '9' {
		plain = plain[1:]
	}
	if plain == digits || plain == "" || plain[0] < '0' || plain[0] > '9' {
		return ""
	}
	return text[:len(text)-len(digits)] + plain
}

// cutNumber splits a string into a decimal number and a suffix. There may be a space
// between them.
func cutNumber(text string) (number, suffix string) {
	suffix = strings.TrimLeft(text, "0123456789.")
	number = text[:len(text)-len(suffix)]
	return number, strings.TrimPrefix(suffix, " ")
}

// factor returns the factor of a suffix, or 0 if the unit does not have the suffix.
func (u Unit) factor(suffix string) int64 {
	if factor := u.Suffixes[suffix]; factor > 0 || len(suffix) != 1 {
		return factor
	}
	return u.Suffixes[strings.ToLower(suffix)]
}

// Pattern returns a regular expression for numbers with the unit.
func (u Unit) Pattern() string {
	var suffixes []string
	for _, name := range Keys(u.Suffixes) {
		if upper := strings.ToUpper(name); len(name) == 1 && upper != name {
			suffixes = append(suffixes, upper)
		}
		suffixes = append(suffixes, name)
	}
	const whole = `(0|[1-9][0-9]*)`
	pattern := whole + `|0x[0-9A-Fa-f]+`
	for _, word := range Keys(u.Words) {
		pattern += "|" + word
	}
	if len(suffixes) > 0 {
		pattern += `|` + whole + `(\.[0-9]+)? ?(` + strings.Join(suffixes, "|") + `)`
	}
	return `^(` + pattern + `)$`
}

// maxDigits is the maximum number of digits in a number with a suffix.
const maxDigits = 40

// times multiplies a decimal number by a factor and rounds down. It fails if the result is
// below 1, which is probably a mistake.
func times(number string, factor int64) (int64, error) {
	whole, decimals, dotted := strings.Cut(number, ".")
	if whole == "" || dotted && decimals == "" || strings.Contains(decimals, ".") || len(number) > maxDigits {
		return 0, strconv.ErrSyntax
	}
	n, _ := new(big.Int).SetString(whole+decimals, 10)
	isZero := n.Sign() == 0
	n.Mul(n, big.NewInt(factor))
	n.Quo(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(decimals))), nil))
	switch {
	case !n.IsInt64():
		return 0, strconv.ErrRange
	case n.Sign() == 0 && !isZero:
		return 0, strconv.ErrSyntax
	}
	return n.Int64(), nil
}

// NumberText describes what [Schema.ParseNumber] accepts. allowed describes the numbers
// that the schema allows: "a whole number", possibly with bounds.
func (s *Schema) NumberText(unit, allowed string) string {
	if unit == "" {
		return allowed
	}
	u := s.Units[unit]
	return fmt.Sprintf("%s, or a value such as %s", strings.Replace(allowed, WholeNumber, WholeNumber+" of "+u.Name, 1), strings.Join(u.Such, " or "))
}

// NumberHint suggests what to write instead of a number that has an unclear suffix, a leading
// zero or a plus sign. It returns "" for all other numbers.
func (s *Schema) NumberHint(unit, text string) string {
	if plain := plainer(text); plain != "" {
		return "write " + plain
	}
	number, suffix := cutNumber(text)
	meant := s.Units[unit].Unclear[strings.ToLower(suffix)]
	if number == "" || len(meant) == 0 || s.Units[unit].factor(suffix) > 0 {
		return ""
	}
	return "write " + number + strings.Join(meant, " or "+number)
}

// UnitOf returns the unit of the field, quantity or nixlbench flag that formulas refer to by
// the given name. It returns "" if there is no unit, or if the unit has no suffixes.
func (s *Schema) UnitOf(name string) string {
	unit := ""
	for _, f := range s.Fields {
		if f.Var == name {
			unit = f.Unit
		}
	}
	for _, q := range s.Quantities {
		if q.Name == name {
			unit = q.Unit
		}
	}
	if f := s.Nixlbench.Flags[name]; f != nil {
		unit = f.Unit
	}
	if _, ok := s.Units[unit]; !ok {
		return ""
	}
	return unit
}

// UnitThatHas returns the first unit, in alphabetical order, that has the suffix of the number
// in text. It ignores units that only fields can have. If no unit has the suffix, UnitThatHas
// returns the first unit with a hint for it, or "" if there is no such unit.
func (s *Schema) UnitThatHas(text string) string {
	_, suffix := cutNumber(text)
	for _, unit := range Keys(s.Units) {
		if u := s.Units[unit]; u.factor(suffix) > 0 && !u.FieldsOnly {
			return unit
		}
	}
	for _, unit := range Keys(s.Units) {
		if s.NumberHint(unit, text) != "" {
			return unit
		}
	}
	return ""
}

// Word returns the text for a field's value. If the field's unit has a word for the value,
// Word returns that word.
func (s *Schema) Word(f *Field, v formula.Value) string {
	words := s.Units[f.Unit].Words
	for _, word := range Keys(words) {
		if n, ok := v.Num.Int64(); v.Kind == formula.Num && ok && n == words[word] {
			return word
		}
	}
	return v.Text()
}
