package config

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// MaxAxis is how many values an axis holds at most.
const MaxAxis = 10_000

// sweepSection is the section of a configuration that holds axes, by the names
// of the fields' flags.
const sweepSection = "sweep"

// maxWrong bounds how many values of one axis are reported.
const maxWrong = 5

// Axis is a field that a sweep gives several values, each a good one.
type Axis struct {
	Field  *schema.Field
	Values []Value
}

// axisItem is a value of an axis that is being read. Those inside a range need
// no check where the schema is an interval.
type axisItem struct {
	expr    ast.Expr
	origin  Origin
	checked bool
}

// axis is an axis as it was written.
type axis struct {
	Axis
	first ast.Expr // checked with the rest of the configuration
}

// sweepOf takes the axes and the flags of nixlbench out of a document: those are left to be checked with
// the rest of the configuration whose first value stands in for all.
func (l *Loader) sweepOf(doc *document) (*document, map[string]*axis, []*Knob, error) {
	rest := &document{file: doc.file, sections: doc.sections}
	axes := map[string]*axis{}
	var knobs []*Knob
	var errs diag.List
	for _, leaf := range doc.leaves {
		key, ok := strings.CutPrefix(leaf.path, sweepSection+".")
		if !ok && leaf.path != sweepSection {
			rest.leaves = append(rest.leaves, leaf)
			continue
		}
		if !ok {
			if d := describeExpr(leaf.expr); d != "no value" && d != "a mapping" {
				errs = append(errs, leaf.origin.Errorf("%s: %s is not allowed: expected a mapping from flags to lists or ranges", sweepSection, show(leaf.expr)))
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
		if other := rest.leaf(f.Path); other != nil {
			errs = append(errs, a.Values[0].Origin.Errorf("%s.%s: %s already has a value, at %s", sweepSection, f.Flag, f.Path, other.origin))
			continue
		}
		rest.leaves = append(rest.leaves, leaf{path: f.Path, expr: a.first, origin: a.Values[0].Origin})
	}
	return rest, axes, knobs, errs.Err()
}

// axisField returns the field that an axis of that name varies, or nil.
func (l *Loader) axisField(key string) *schema.Field {
	if path := l.flagPath(key); path != "" {
		return l.schema.Field(path)
	}
	return nil
}

// noAxis says that a sweep has no axis of that name.
func (l *Loader) noAxis(leaf *leaf, key string) *diag.Diag {
	var names []string
	near := ""
	for i := range l.schema.Fields {
		f := &l.schema.Fields[i]
		if f.Flag == "" {
			continue
		}
		names = append(names, f.Flag)
		if slices.Contains(f.Aka, key) || key == f.Var || key == f.Path[strings.LastIndexByte(f.Path, '.')+1:] || strings.HasPrefix(f.Path, key+".") || strings.HasPrefix(key, f.Path) {
			near = f.Flag
		}
	}
	d := leaf.origin.Errorf("unknown key %q: a sweep has no such axis", leaf.path)
	if leaf.key.Line > 0 {
		d.Pos = leaf.key
	}
	if near == "" {
		near = diag.Nearest(key, append(slices.Clone(names), schema.Keys(l.schema.Nixlbench.Flags)...))
	}
	if near != "" {
		return d.WithHint("did you mean %q?", sweepSection+"."+near)
	}
	return d.WithHint("axes have the names of flags: %s, and those of nixlbench", strings.Join(names, ", "))
}

// axisOf reads an axis of a file: a list, or one value as the flag takes it. An
// item of a list that is no number may be a range.
func (l *Loader) axisOf(f *schema.Field, leaf *leaf) (*axis, error) {
	wrong := func(expr ast.Expr) error {
		return leaf.origin.Errorf("%s: %s is not allowed: expected a list or a range of values, each %s", leaf.path, describeExpr(expr), l.allowed(f.Path))
	}
	var items []axisItem
	switch x := leaf.expr.(type) {
	case *ast.ListLit:
		if len(x.Elts) == 0 {
			return nil, leaf.origin.Errorf("%s: the list is empty", leaf.path)
		}
		for _, e := range x.Elts {
			origin := leaf.origin
			if p := fromPos(e.Pos()); p.Line > 0 && p.File == origin.Pos.File {
				origin.Pos = p
			}
			switch v, ok := value(e); {
			case ok && v.Kind == formula.Str && hasRanges(f):
				more, err := l.axisItem(f, v.Str, origin, leaf.path+": ")
				if err != nil {
					return nil, err
				}
				items = append(items, more...)
			default:
				if !isScalar(e) {
					return nil, wrong(e)
				}
				items = append(items, axisItem{expr: e, origin: origin})
			}
			if len(items) > MaxAxis {
				break
			}
		}
	default:
		v, ok := value(x)
		switch {
		case ok && v.Kind == formula.Str:
			var err error
			if items, err = l.axisItems(f, v.Str, leaf.origin, leaf.path+": "); err != nil {
				return nil, err
			}
		case isScalar(x):
			items = []axisItem{{expr: x, origin: leaf.origin}}
		default:
			return nil, wrong(x)
		}
	}
	return l.axis(f, items, leaf.path+": ")
}

// isScalar reports whether an expression is one value.
func isScalar(e ast.Expr) bool {
	lit, ok := e.(*ast.BasicLit)
	_, negative := e.(*ast.UnaryExpr)
	return ok && lit.Kind != token.NULL || negative
}

// overrideAxis reads an axis of the command line. The same override is read
// once, for however many configurations.
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

// axisItems reads the text of an axis: values and ranges between commas. A
// comma behind a backslash is part of the value.
func (l *Loader) axisItems(f *schema.Field, text string, origin Origin, label string) ([]axisItem, error) {
	parts := splitList(text)
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

// hasRanges reports whether a field's values may be given as a range: they are
// numbers, or words and numbers.
func hasRanges(f *schema.Field) bool { return f.Number || f.Word }

// axisItem reads a value, or of a field that has numbers a range.
func (l *Loader) axisItem(f *schema.Field, text string, origin Origin, label string) ([]axisItem, error) {
	if !strings.Contains(text, "..") || !hasRanges(f) {
		return []axisItem{{expr: l.literal(Override{Path: f.Path, Text: text}), origin: origin}}, nil
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
	interval := l.isInterval(f)
	items := make([]axisItem, len(numbers))
	for i, n := range numbers {
		items[i] = axisItem{expr: ast.NewLit(token.INT, strconv.FormatInt(n, 10)), origin: origin, checked: interval}
	}
	// Of an interval, the ends speak for all.
	items[0].checked, items[len(items)-1].checked = false, false
	return items, nil
}

// whole reads a whole number as an override of the field would.
func (l *Loader) whole(f *schema.Field, text string) (int64, bool) {
	v, ok := value(l.literal(Override{Path: f.Path, Text: text}))
	if !ok || v.Kind != formula.Num {
		return 0, false
	}
	return v.Num.Int64()
}

// axis checks all values but the first, which is checked with the rest of the
// configuration, each as a single value would be.
func (l *Loader) axis(f *schema.Field, items []axisItem, label string) (*axis, error) {
	origin := items[0].origin
	if len(items) > MaxAxis {
		return nil, origin.Errorf("%sthe axis has more than %d values", label, MaxAxis)
	}
	for i := range items {
		items[i].expr = spelled(f, items[i].expr)
	}
	a := &axis{Axis: Axis{Field: f, Values: make([]Value, 0, len(items))}, first: items[0].expr}
	var errs diag.List
	seen := make(map[string]bool, len(items))
	for i, item := range items {
		if i > 0 && !item.checked {
			if err := l.checkItem(f, item); err != nil {
				if errs.Add(err); len(errs) >= maxWrong {
					break
				}
				continue
			}
		}
		v, _ := value(item.expr) // where it is none, the check says so
		text := v.Text()
		if seen[text] {
			errs = append(errs, item.origin.Errorf("%s%s is given twice", label, show(item.expr)))
			break
		}
		seen[text] = true
		a.Values = append(a.Values, Value{v, item.origin})
	}
	return a, errs.Err()
}

// checkItem checks one value as that of the field.
func (l *Loader) checkItem(f *schema.Field, item axisItem) error {
	if plainly(f.Plain, item.expr) {
		return nil
	}
	return l.checkConfig(&document{file: item.origin.Pos.File, leaves: []leaf{{path: f.Path, expr: item.expr, origin: item.origin}}})
}

// fieldDef returns the schema of a field.
func (l *Loader) fieldDef(f *schema.Field) (cue.Value, error) {
	defs, err := l.defs()
	if err != nil {
		return cue.Value{}, err
	}
	return defs.LookupPath(cue.ParsePath("#Config")).LookupPath(optionalPath(strings.Split(f.Path, "."))), nil
}

// isInterval reports whether a field holds every whole number between two that
// it holds.
func (l *Loader) isInterval(f *schema.Field) bool {
	if strings.HasPrefix(f.Plain, "int ") {
		return true
	}
	def, err := l.fieldDef(f)
	return err == nil && interval(def)
}

func interval(v cue.Value) bool {
	op, args := v.Expr()
	switch op {
	case cue.AndOp:
		for _, a := range args {
			if !interval(a) {
				return false
			}
		}
		return true
	case cue.OrOp: // of words and one interval
		args = slices.DeleteFunc(args, func(a cue.Value) bool { return a.IncompleteKind() == cue.StringKind })
		return len(args) == 1 && interval(args[0])
	case cue.GreaterThanOp, cue.GreaterThanEqualOp, cue.LessThanOp, cue.LessThanEqualOp:
		return true
	case cue.NoOp:
		return v.IncompleteKind() == cue.IntKind && !v.IsConcrete()
	}
	return false
}

// Points is how many points the axes span; more than fit give the largest
// number.
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

// Varies reports whether a field, by its name in formulas, has several values.
func (c *Config) Varies(name string) bool {
	return slices.ContainsFunc(c.Axes, func(a Axis) bool { return a.Field.Var == name })
}

// Texts returns the values of a field, by its name in formulas, as texts: several where
// it is an axis.
func (c *Config) Texts(name string) []string {
	values := []Value{c.Values[name]}
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
