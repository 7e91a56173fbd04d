package config

import (
	"math"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
	"kvbench/engine/source"
)

// MaxAxis is the maximum number of values on an axis.
const MaxAxis = 10_000

// SweepSection is the name of the configuration section that contains the axes. Each key
// in the section is the name of a flag.
const SweepSection = source.SweepSection

// maxWrong is the maximum number of invalid values reported for one axis.
const maxWrong = 5

// Axis is a field that has several values in a sweep. All the values are valid.
type Axis struct {
	Field  *schema.Field
	Values []data.Fact
}

// axisItem is one value of an axis while the axis is being read. If checked is true, the
// value needs no check, because it lies within a range whose ends are checked.
type axisItem struct {
	data.Value
	origin  data.Origin
	checked bool
}

// axis is an [Axis] that also contains its first value as the user wrote it.
type axis struct {
	Axis
	first data.Value // checked with the rest of the configuration
}

// sweepOf reads the axes and nixlbench flags in the sweep section. It also returns the
// document without that section, but with the first value of each axis, so that these
// values are checked with the rest of the configuration.
func (l *Loader) sweepOf(doc *data.Document) (*data.Document, map[string]*axis, []*Knob, error) {
	rest := &data.Document{File: doc.File, Sections: doc.Sections}
	axes := map[string]*axis{}
	var knobs []*Knob
	var errs diag.List
	for _, leaf := range doc.Leaves {
		key, ok := strings.CutPrefix(leaf.Path, SweepSection+".")
		if !ok && leaf.Path != SweepSection {
			rest.Leaves = append(rest.Leaves, leaf)
			continue
		}
		if !ok {
			if !leaf.IsNothing() {
				errs = append(errs, leaf.Origin.Errorf("%s: %s is not allowed: expected a mapping from flags to lists or ranges", SweepSection, &leaf.Value))
			}
			continue
		}
		f := l.axisField(key)
		if flag := l.schema.Nixlbench.Flags[key]; f == nil && flag != nil {
			k, err := l.knobOf(flag, &leaf)
			errs.Add(err)
			if err == nil {
				knobs = append(knobs, k)
			}
			continue
		}
		if f == nil {
			errs = append(errs, l.noAxis(&leaf, key))
			continue
		}
		a, err := l.axisOf(f, &leaf)
		errs.Add(err)
		if err == nil {
			axes[f.Path] = a
		}
	}
	for i := range l.schema.Fields {
		f := &l.schema.Fields[i]
		a := axes[f.Path]
		if a == nil {
			continue
		}
		if other := rest.Leaf(f.Path); other != nil {
			errs = append(errs, a.Values[0].Origin.Errorf("%s.%s: %s already has a value, at %s", SweepSection, f.Flag, f.Path, other.Origin))
			continue
		}
		rest.Leaves = append(rest.Leaves, data.Leaf{Path: f.Path, Value: a.first, Origin: a.Values[0].Origin})
	}
	return rest, axes, knobs, errs.Err()
}

// axisField returns the field that the axis with the given name varies, or nil.
func (l *Loader) axisField(key string) *schema.Field {
	if path := l.flagPath(key); path != "" {
		return l.schema.Field(path)
	}
	return nil
}

// noAxis returns the error for an axis whose name is unknown.
func (l *Loader) noAxis(leaf *data.Leaf, key string) *diag.Diag {
	var names []string
	near := ""
	for i := range l.schema.Fields {
		f := &l.schema.Fields[i]
		if f.Flag == "" {
			continue
		}
		names = append(names, f.Flag)
		if slices.Contains(f.Aka, key) || key == f.Var || key == f.Path[strings.LastIndexByte(f.Path, '.')+1:] || strings.HasPrefix(f.Path, key+".") || strings.HasPrefix(key, f.Path) {
			if near == "" { // the prefill side comes before the decode side
				near = f.Flag
			}
		}
	}
	d := leaf.Origin.Errorf("unknown key %q: a sweep has no such axis", leaf.Path).About(diag.Unknown, leaf.Path)
	if leaf.Key.Line > 0 {
		d.Pos = leaf.Key
	}
	if near == "" {
		near = diag.Nearest(key, append(slices.Clone(names), schema.Keys(l.schema.Nixlbench.Flags)...))
	}
	if near != "" {
		return d.WithHint("did you mean %q?", SweepSection+"."+near)
	}
	return d.WithHint("name the axis after a nixlbench flag or one of these flags: %s", strings.Join(names, ", "))
}

// axisOf reads an axis from a file. The axis may be a list, or one value in the form that
// the flag accepts. If the field is numeric, list items may be ranges.
func (l *Loader) axisOf(f *schema.Field, leaf *data.Leaf) (*axis, error) {
	wrong := func(v *data.Value) error {
		allowed, _ := l.allowed(f.Path)
		return leaf.Origin.Errorf("%s: %s is not allowed: expected a list or a range of values, each %s", leaf.Path, v.Describe(), allowed)
	}
	var items []axisItem
	switch {
	case leaf.Kind == data.List:
		if len(leaf.Items) == 0 {
			return nil, leaf.Origin.Errorf("%s: the list is empty", leaf.Path)
		}
		for i := range leaf.Items {
			v := &leaf.Items[i]
			origin := leaf.Origin.Inner(v.Pos)
			switch {
			case v.Kind == data.Text && f.Type.Numbers():
				more, err := l.axisItem(f, v.Text, origin, leaf.Path+": ")
				if err != nil {
					return nil, err
				}
				items = append(items, more...)
			case !v.IsScalar():
				return nil, wrong(v)
			default:
				items = append(items, axisItem{Value: *v, origin: origin})
			}
			if len(items) > MaxAxis {
				break
			}
		}
	case leaf.Kind == data.Text:
		var err error
		if items, err = l.axisItems(f, leaf.Text, leaf.Origin, leaf.Path+": "); err != nil {
			return nil, err
		}
	case leaf.IsScalar():
		items = []axisItem{{Value: leaf.Value, origin: leaf.Origin}}
	default:
		return nil, wrong(&leaf.Value)
	}
	return l.axis(f, items, leaf.Path+": ")
}

// overrideAxis reads an axis from the command line. It caches the result, so each
// override is read only once, even if there are several configurations.
func (l *Loader) overrideAxis(f *schema.Field, o Override) (*axis, error) {
	type result struct {
		axis *axis
		err  error
	}
	if known, ok := l.axes.Load(o); ok {
		r := known.(result)
		return r.axis, r.err
	}
	var r result
	items, err := l.axisItems(f, o.Text, o.Origin, "")
	if r.err = err; err == nil {
		r.axis, r.err = l.axis(f, items, "")
	}
	l.axes.Store(o, r)
	return r.axis, r.err
}

// HasSeveral reports whether an override that must be a single value is a list or range of
// numbers, or a list of known words.
func (l *Loader) HasSeveral(o Override) bool {
	f := l.schema.Field(o.Path)
	if f == nil || o.Axis {
		return false
	}
	a, err := l.overrideAxis(f, o)
	return err == nil && len(a.Values) > 1 && !slices.ContainsFunc(a.Values, func(v data.Fact) bool {
		return v.Kind == formula.Str && !slices.Contains(f.Known(), v.Str)
	})
}

// axisItems reads the text of an axis: values and ranges, separated by commas.
// A comma after a backslash is part of the value.
func (l *Loader) axisItems(f *schema.Field, text string, origin data.Origin, label string) ([]axisItem, error) {
	parts := []string{unescape(text)}
	if !f.Comma {
		parts = splitList(text)
	}
	var all []axisItem
	for _, part := range parts {
		if len(parts) > 1 {
			part = strings.TrimSpace(part)
		}
		items, err := l.axisItem(f, part, origin, label)
		if err != nil {
			return nil, err
		}
		if all = append(all, items...); len(all) > MaxAxis {
			break
		}
	}
	return all, nil
}

// unescape returns the text of a single value. As in a list, a comma may be preceded by a
// backslash.
func unescape(text string) string { return strings.ReplaceAll(text, `\,`, ",") }

func splitList(text string) []string {
	if !strings.Contains(text, ",") {
		return []string{text}
	}
	var parts []string
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && text[i+1] == ',':
			part.WriteByte(',')
			i++
		case text[i] == ',':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(text[i])
		}
	}
	return append(parts, part.String())
}

// axisItem reads a value or, if the field is numeric, a range.
func (l *Loader) axisItem(f *schema.Field, text string, origin data.Origin, label string) ([]axisItem, error) {
	if !strings.Contains(text, "..") || !f.Type.Numbers() {
		return []axisItem{{Value: l.parse(f, text), origin: origin}}, nil
	}
	if ends, err := l.wordRange(f, text, origin, label); ends != nil || err != nil {
		return ends, err
	}
	r := numberRange{
		whole: func(text string) (int64, bool) { return l.whole(f, text) },
		hint:  func(text string) string { return l.schema.NumberHint(f.Unit, text) },
	}
	numbers, err := r.numbers(text, func(format string, args ...any) *diag.Diag {
		return origin.Errorf("%s"+format, append([]any{label}, args...)...)
	})
	if err != nil {
		return nil, err
	}
	interval := isInterval(f)
	items := make([]axisItem, len(numbers))
	for i, n := range numbers {
		items[i] = axisItem{Value: data.From(formula.Number(n)), origin: origin, checked: interval}
	}
	// If all numbers between two allowed numbers are allowed, checking the ends is enough.
	items[0].checked, items[len(items)-1].checked = false, false
	return items, nil
}

// wordRange reads a range that ends in a word that the field's unit defines, such as
// 1..all. Such a range contains only its two ends, because there are no
// steps between a number and a word. wordRange returns nil for other ranges.
func (l *Loader) wordRange(f *schema.Field, text string, origin data.Origin, label string) ([]axisItem, error) {
	from, to, _ := strings.Cut(text, "..")
	word := func(text string) bool {
		_, ok := l.schema.Units[f.Unit].Words[strings.ToLower(text)]
		return ok
	}
	if at := strings.LastIndexAny(to, "x+"); at > 0 && word(to[:at]) {
		return nil, origin.Errorf("%sthe range %q has a step but does not end in a number", label, text).WithHint("write a range of numbers and the word, such as %s..64%s,%s", from, to[at:], to[:at])
	}
	if !word(to) {
		return nil, nil
	}
	return []axisItem{{Value: l.parse(f, from), origin: origin}, {Value: l.parse(f, to), origin: origin}}, nil
}

// whole parses a whole number in the same way that overrides of the field are
// parsed.
func (l *Loader) whole(f *schema.Field, text string) (int64, bool) {
	v := l.parse(f, text)
	n, ok := v.Formula()
	if !ok || n.Kind != formula.Num {
		return 0, false
	}
	return n.Num.Int64()
}

// axis creates an axis from its items. It checks every value except the first, which is
// checked with the rest of the configuration.
func (l *Loader) axis(f *schema.Field, items []axisItem, label string) (*axis, error) {
	origin := items[0].origin
	if len(items) > MaxAxis {
		return nil, origin.Errorf("%sthe axis has more than %d values", label, MaxAxis)
	}
	for i := range items {
		spell(f, &items[i].Value)
	}
	a := &axis{Axis: Axis{Field: f, Values: make([]data.Fact, 0, len(items))}, first: items[0].Value}
	var errs diag.List
	seen := make(map[string]bool, len(items))
	for i := range items {
		item := &items[i]
		if i > 0 && !item.checked {
			if err := l.checkItem(f, item); err != nil {
				if errs.Add(err); len(errs) >= maxWrong {
					break
				}
				continue
			}
		}
		v, _ := item.Formula() // values that formulas cannot use fail the check
		text := v.Text()
		if seen[text] {
			errs = append(errs, item.origin.Errorf("%s%s is given twice", label, &item.Value))
			break
		}
		seen[text] = true
		a.Values = append(a.Values, l.fact(f, v, item.origin))
	}
	return a, errs.Err()
}

// checkItem checks one value for a field.
func (l *Loader) checkItem(f *schema.Field, item *axisItem) error {
	if f.Type.Takes(&item.Value) {
		return nil
	}
	return l.checkConfig(&data.Document{File: item.origin.Pos.File, Leaves: []data.Leaf{{Path: f.Path, Value: item.Value, Origin: item.origin}}})
}

// isInterval reports whether every number between two whole numbers that a field allows is
// also allowed.
func isInterval(f *schema.Field) bool {
	return f.Type.Kinds&schema.KindWhole != 0 && !f.Type.Partial
}

// Points returns the number of combinations of the axes' values, or [math.MaxUint64] if
// there are more.
func (c *Config) Points() uint64 {
	n := uint64(1)
	for _, a := range c.Axes {
		k := uint64(len(a.Values))
		if n > math.MaxUint64/k {
			return math.MaxUint64
		}
		n *= k
	}
	return n
}

// Varies reports whether the field that formulas refer to by the given name has several
// values.
func (c *Config) Varies(name string) bool {
	return slices.ContainsFunc(c.Axes, func(a Axis) bool { return a.Field.Var == name })
}

// Texts returns the values of the field that formulas refer to by the given name, as
// strings. It returns several values if the field is an axis.
func (c *Config) Texts(name string) []string {
	values := []data.Fact{c.Values[name]}
	for _, a := range c.Axes {
		if a.Field.Var == name {
			values = a.Values
		}
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.Text()
	}
	return texts
}
