package config

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// Knob is a nixlbench flag and the values set for it. The values are stored as text,
// because their meaning depends on the release.
type Knob struct {
	Flag  *schema.Flag
	Texts []KnobText
}

// KnobText is one value of a knob.
type KnobText struct {
	Text   string
	Origin data.Origin
}

// KnobOf reads the values of a nixlbench flag. The text contains one value or, if axes is
// set, several values and ranges of numbers, separated by commas.
func KnobOf(s *schema.Schema, f *schema.Flag, text string, origin data.Origin, axes bool) (*Knob, error) {
	k := &Knob{Flag: f}
	if !axes || !f.Varies() {
		k.Texts = []KnobText{{text, origin}}
		return k, nil
	}
	parts := splitList(text)
	for _, part := range parts {
		if len(parts) > 1 {
			part = strings.TrimSpace(part)
		}
		if err := k.add(s, part, origin, ""); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// add adds one value, or all values of a range.
func (k *Knob) add(s *schema.Schema, text string, origin data.Origin, label string) error {
	if !k.Flag.IsNumber() || !strings.Contains(text, "..") {
		k.Texts = append(k.Texts, KnobText{text, origin})
		return k.bounded(label)
	}
	r := numberRange{
		whole: func(text string) (int64, bool) {
			n, err := s.ParseNumber(k.Flag.Unit, text)
			return n, err == nil
		},
		hint: func(text string) string { return s.NumberHint(k.Flag.Unit, text) },
	}
	numbers, err := r.numbers(text, func(format string, args ...any) *diag.Diag {
		return origin.Errorf("%s"+format, append([]any{label}, args...)...)
	})
	if err != nil {
		return err
	}
	for _, n := range numbers {
		k.Texts = append(k.Texts, KnobText{strconv.FormatInt(n, 10), origin})
	}
	return k.bounded(label)
}

func (k *Knob) bounded(label string) error {
	if len(k.Texts) > MaxAxis {
		return k.Texts[0].Origin.Errorf("%sthe axis has more than %d values", label, MaxAxis)
	}
	return nil
}

// Values parses the knob's values. The release determines their type and which of them
// are valid. If some values are invalid, the error describes the first few of them.
func (k *Knob) Values(s *schema.Schema, release string) ([]data.Fact, error) {
	era := s.Nixlbench.FlagIn(k.Flag, release)
	if era == nil {
		era = &k.Flag.Eras[0] // the plan reports that the release lacks the flag
	}
	words, allowed := schema.Keys(k.Flag.Values), s.Nixlbench.ValuesIn(k.Flag, release)
	if len(allowed) == 0 {
		allowed = words
	}
	several := len(k.Texts) > 1 || release == "" // a single value is checked by the plan
	var errs diag.List
	values := make([]data.Fact, 0, len(k.Texts))
	seen := make(map[string]bool, len(k.Texts))
	for _, t := range k.Texts {
		label := ""
		if t.Origin.Kind == data.FromFile {
			label = SweepSection + "." + k.Flag.Name + ": "
		}
		v, err := s.ParseValue(k.Flag, era.Type, t.Text)
		switch {
		case err != nil:
			d := t.Origin.Errorf("%s%q is not allowed: %v", label, t.Text, err)
			if hint := s.NumberHint(k.Flag.Unit, t.Text); hint != "" {
				d.WithHint("%s", hint)
			}
			if errs = append(errs, d); len(errs) == maxWrong {
				return nil, errs
			}
			continue
		case several && len(words) > 0 && !slices.Contains(words, v.Text()):
			d := t.Origin.Errorf("%s%q is not allowed: expected one of %s", label, t.Text, strings.Join(allowed, ", "))
			d.Suggest(t.Text, allowed)
			if errs = append(errs, d); len(errs) == maxWrong {
				return nil, errs
			}
			continue
		case seen[v.Text()]:
			return nil, append(errs, t.Origin.Errorf("%s%q is given twice", label, t.Text))
		}
		seen[v.Text()] = true
		values = append(values, data.Fact{Value: v, Origin: t.Origin})
	}
	return values, errs.Err()
}

// knobOf reads the values of a nixlbench flag from the sweep section of a file. The
// flag's entry is a list, or one value in the form that the flag accepts.
func (l *Loader) knobOf(f *schema.Flag, leaf *data.Leaf) (*Knob, error) {
	label := leaf.Path + ": "
	text := func(v *data.Value) (string, bool) {
		f, ok := v.Formula()
		return f.Text(), ok && v.IsScalar()
	}
	if leaf.Kind != data.List {
		one, ok := text(&leaf.Value)
		if !ok {
			return nil, leaf.Origin.Errorf("%s%s is not allowed: expected a value or a list of values", label, leaf.Describe())
		}
		k, err := KnobOf(l.schema, f, one, leaf.Origin, true)
		if err == nil {
			_, err = k.Values(l.schema, "")
		}
		return k, err
	}
	k := &Knob{Flag: f}
	for i := range leaf.Items {
		v := &leaf.Items[i]
		origin := leaf.Origin.Inner(v.Pos)
		one, ok := text(v)
		if !ok {
			return nil, origin.Errorf("%s%s is not allowed: expected a value", label, v.Describe())
		}
		if err := k.add(l.schema, one, origin, label); err != nil {
			return nil, err
		}
	}
	if len(k.Texts) == 0 {
		return nil, leaf.Origin.Errorf("%sthe list is empty", label)
	}
	_, err := k.Values(l.schema, "")
	return k, err
}

// numberRange parses ranges: a..bxK multiplies by K, and a..b+S adds S.
type numberRange struct {
	whole func(text string) (int64, bool)
	hint  func(text string) string // returns a hint for a number that cannot be parsed
}

const rangeHint = "write a..bxK to multiply by K, or a..b+S to add S, such as 1..64x2 or 16..256+16"

// numbers returns the numbers in a range. It stops as soon as there are more numbers than
// an axis may have.
func (r numberRange) numbers(text string, fail func(format string, args ...any) *diag.Diag) ([]int64, error) {
	from, to, _ := strings.Cut(text, "..")
	at := strings.LastIndexAny(to, "x+")
	if at < 0 {
		return nil, fail("the range %q has no step", text).WithHint(rangeHint)
	}
	a, ok1 := r.whole(from)
	b, ok2 := r.whole(to[:at])
	step, ok3 := r.whole(to[at+1:])
	times := to[at] == 'x'
	switch {
	case !ok1 || !ok2 || !ok3:
		d := fail("%q is not a range of whole numbers", text).WithHint(rangeHint)
		for _, part := range []string{from, to[:at], to[at+1:]} {
			if h := r.hint(part); h != "" {
				return nil, d.WithHint("%s", h)
			}
		}
		return nil, d
	case a > b:
		return nil, fail("the range %q goes downwards: write the smaller number first", text)
	case times && (step < 2 || a < 1):
		return nil, fail("the range %q never advances: it must begin at 1 or more and multiply by 2 or more", text)
	case !times && step < 1:
		return nil, fail("the range %q never advances: it must add 1 or more", text)
	}
	var numbers []int64
	for n := a; ; {
		if numbers = append(numbers, n); len(numbers) > MaxAxis {
			return numbers, nil // the caller reports the error
		}
		if times && n > b/step || !times && n > b-step {
			return numbers, nil
		}
		if times {
			n *= step
		} else {
			n += step
		}
	}
}

// Combinations returns the number of combinations of the knobs' values, or
// [math.MaxUint64] if there are more.
func Combinations(values map[string][]data.Fact) uint64 {
	n := uint64(1)
	for _, v := range values {
		k := uint64(max(len(v), 1))
		if n > math.MaxUint64/k {
			return math.MaxUint64
		}
		n *= k
	}
	return n
}
