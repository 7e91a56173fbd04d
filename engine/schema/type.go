package schema

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"

	"kvbench/engine/data"
	"kvbench/engine/formula"
)

// Kinds is a set of value kinds.
type Kinds uint8

// The kinds.
const (
	KindWhole Kinds = 1 << iota
	KindNumber
	KindText
	KindBool
	KindList
	KindMapping
	KindNull
)

// kindNames contains the names of the kinds in the data and in messages, in the order of
// the kinds' bits.
var kindNames = []struct{ name, said string }{
	{"int", WholeNumber}, {"number", "a number"}, {"string", "a string"}, {"bool", "true or false"}, {"list", "a list"}, {"struct", "a mapping"}, {"null", "null"},
}

// MarshalText returns the names of the kinds.
func (k Kinds) MarshalText() ([]byte, error) {
	var names []string
	for i, n := range kindNames {
		if k&(1<<i) != 0 {
			names = append(names, n.name)
		}
	}
	return []byte(strings.Join(names, "|")), nil
}

// UnmarshalText is the inverse of [Kinds.MarshalText].
func (k *Kinds) UnmarshalText(text []byte) error { return k.Parse(string(text)) }

// Parse parses what [Kinds.MarshalText] returns.
func (k *Kinds) Parse(text string) error {
	*k = 0
	for name := range strings.SplitSeq(text, "|") {
		i := slices.IndexFunc(kindNames, func(n struct{ name, said string }) bool { return n.name == name })
		if i < 0 && name != "" {
			return fmt.Errorf("%q is not a type", name)
		}
		*k |= 1 << i
	}
	return nil
}

// Formula returns the kind that a configuration field's values have in formulas. If both
// strings and numbers are allowed, the values are strings.
func (k Kinds) Formula() formula.Kind {
	switch {
	case k&KindText != 0:
		return formula.Str
	case k&(KindWhole|KindNumber) != 0:
		return formula.Num
	case k&KindBool != 0:
		return formula.Bool
	}
	return formula.Any
}

// Type describes which values are allowed. It is derived from a CUE value by
// [TypeOf] or [ShapeOf].
type Type struct {
	Kinds Kinds `json:"kinds"`
	// Least and Greatest are bounds on numbers. If Open is set, the bounds are exclusive.
	Least    *int64 `json:"least,omitempty"`
	Greatest *int64 `json:"greatest,omitempty"`
	Open     bool   `json:"open,omitempty"`
	// Words lists the allowed strings, if they are limited.
	Words    []string `json:"words,omitempty"`
	NotEmpty bool     `json:"not_empty,omitempty"`
	Item     *Type    `json:"item,omitempty"`
	// Partial reports whether there are further constraints that only CUE can check.
	Partial bool `json:"partial,omitempty"`

	matches []*regexp.Regexp // for strings
	// Members contains the fields of a mapping. Others is the type of all other fields, or nil
	// if other fields are not allowed. Only [ShapeOf] sets Members, Known and Others.
	Members map[string]*Member `json:"-"`
	Known   []string           `json:"-"` // names of members
	Others  *Type              `json:"-"`
}

// Member is a field of a mapping.
type Member struct {
	Type     Type
	Bit      uint64
	Required bool
}

// Any reports whether every value is allowed.
func (t *Type) Any() bool { return t.Kinds == 1<<len(kindNames)-1 && !t.Partial }

// Matches reports whether strings must match regular expressions. The snapshot does not
// contain these expressions.
func (t *Type) Matches() bool { return len(t.matches) > 0 }

// Numbers reports whether numbers are allowed.
func (t *Type) Numbers() bool { return t.Kinds&(KindWhole|KindNumber) != 0 }

// Formula returns the kind that values have in formulas, or [formula.Any] if there are
// several.
func (t *Type) Formula() formula.Kind {
	switch {
	case bits.OnesCount8(uint8(t.Kinds)) != 1:
		return formula.Any
	case t.Item == nil:
		return t.Kinds.Formula()
	}
	switch t.Item.Formula() {
	case formula.Num:
		return formula.NumList
	case formula.Str:
		return formula.StrList
	}
	return formula.Any
}

// TypeOf returns the type that a CUE value describes.
func TypeOf(v cue.Value) Type {
	var t Type
	t.read(v)
	return t
}

// cueKinds contains CUE's kinds, in the order of the corresponding bits in [Kinds].
var cueKinds = []cue.Kind{cue.IntKind, cue.FloatKind, cue.StringKind, cue.BoolKind, cue.ListKind, cue.StructKind, cue.NullKind}

func (t *Type) read(v cue.Value) {
	kind := v.IncompleteKind()
	for i, k := range cueKinds {
		if kind&k != 0 {
			t.Kinds |= 1 << i
		}
	}
	if t.Kinds&KindNumber != 0 {
		t.Kinds &^= KindWhole
	}
	if kind == cue.TopKind {
		t.Kinds = 1<<len(kindNames) - 1
		return
	}
	op, args := v.Expr()
	if op == cue.SelectorOp { // a reference to another definition
		v = v.Eval()
		op, args = v.Expr()
	}
	if op, args := v.Eval().Expr(); op == cue.OrOp {
		t.setUnion(args)
		return
	}
	switch {
	case v.IsConcrete() && kind&(cue.StructKind|cue.ListKind) == 0:
		t.setValue(v)
	case kind == cue.ListKind:
		t.list(v)
	case kind == cue.StructKind:
		t.Partial = true // only CUE checks the content
	default:
		t.constrain(v, op, args)
	}
}

// setValue restricts the type to a single value.
func (t *Type) setValue(v cue.Value) {
	switch n, err := v.Int64(); {
	case t.Kinds == KindText:
		s, _ := v.String()
		t.Words = []string{s}
	case t.Kinds == KindWhole && err == nil:
		t.Least, t.Greatest = &n, &n
	case t.Kinds != KindNull:
		t.Partial = true
	}
}

func (t *Type) list(v cue.Value) {
	item := v.LookupPath(cue.MakePath(cue.AnyIndex))
	if !item.Exists() {
		t.Partial = true // the list has a fixed length
		return
	}
	of := TypeOf(item)
	t.Item = &of
	op, args := v.Expr()
	t.Partial = of.Partial || op != cue.NoOp || len(args) > 1
	if first, err := v.List(); err != nil || first.Next() {
		t.Partial = true // the first items have their own constraints
	}
}

// setUnion sets the type to the union of several types. If two types have the same kind, the
// result is partial unless both types are lists of words.
func (t *Type) setUnion(args []cue.Value) {
	kinds := t.Kinds
	*t = Type{}
	for _, a := range args {
		of := TypeOf(a)
		numbers := Kinds(KindWhole | KindNumber)
		words := len(of.Words) > 0 && (t.Kinds&KindText == 0 || len(t.Words) > 0)
		if both := of.Kinds & t.Kinds; both != 0 && (both != KindText || !words) || of.Kinds&numbers != 0 && t.Kinds&numbers != 0 {
			t.Partial = true
		}
		several := of.Kinds&numbers != 0 && t.Kinds&numbers != 0
		t.Kinds |= of.Kinds
		t.Words = append(t.Words, of.Words...)
		t.NotEmpty = t.NotEmpty || of.NotEmpty
		t.Partial = t.Partial || of.Partial && of.Kinds != KindMapping
		t.matches = append(t.matches, of.matches...)
		switch {
		case several: // use the outermost bounds; CUE checks the values in between
			t.Least, t.Greatest = outer(t.Least, of.Least, -1), outer(t.Greatest, of.Greatest, 1)
			t.Open = t.Open && of.Open
		case of.Least != nil || of.Greatest != nil:
			t.Least, t.Greatest, t.Open = of.Least, of.Greatest, of.Open
		}
		if of.Item != nil {
			t.Item = of.Item
		}
	}
	if t.Kinds == 0 {
		t.Kinds, t.Partial = kinds, true
	}
}

// outer returns the lower of two bounds, or the higher one if sign is 1. nil means that
// there is no bound.
func outer(a, b *int64, sign int) *int64 {
	if a == nil || b == nil {
		return nil
	}
	if cmp.Compare(*b, *a) == sign {
		return b
	}
	return a
}

// constrain adds the constraints in an expression, which may be a conjunction.
func (t *Type) constrain(v cue.Value, op cue.Op, args []cue.Value) {
	switch op {
	case cue.AndOp:
		for _, a := range args {
			op, args := a.Expr()
			if op == cue.SelectorOp { // a reference to another definition
				a = a.Eval()
				op, args = a.Expr()
			}
			t.constrain(a, op, args)
		}
	case cue.GreaterThanEqualOp, cue.LessThanEqualOp, cue.GreaterThanOp, cue.LessThanOp:
		t.bound(op, args[0])
	case cue.NotEqualOp:
		s, err := args[0].String()
		t.NotEmpty = t.NotEmpty || err == nil && s == ""
		t.Partial = t.Partial || err != nil || s != ""
	case cue.RegexMatchOp:
		s, err := args[0].String()
		re, err2 := regexp.Compile(s)
		if err != nil || err2 != nil {
			t.Partial = true
			return
		}
		t.matches = append(t.matches, re)
	case cue.NoOp:
		simple := v.IncompleteKind() & (cue.NumberKind | cue.StringKind | cue.BoolKind)
		t.Partial = t.Partial || v.IsConcrete() || len(args) != 1 || simple == 0
	default:
		t.Partial = true
	}
}

func (t *Type) bound(op cue.Op, arg cue.Value) {
	big, err := arg.Int(nil) // Int64 fails for the smallest int64
	if err != nil || !big.IsInt64() {
		t.Partial = true
		return
	}
	n := big.Int64()
	open := op == cue.GreaterThanOp || op == cue.LessThanOp
	least := op == cue.GreaterThanOp || op == cue.GreaterThanEqualOp
	switch {
	case open && t.Kinds&KindNumber != 0:
		t.Partial = t.Partial || !t.Open && (t.Least != nil || t.Greatest != nil)
		t.Open = true
	case open && least && n < 1<<63-1:
		n++
	case open && !least && n > -1<<63:
		n--
	case open:
		t.Partial = true
	default:
		t.Partial = t.Partial || t.Open
	}
	if least && (t.Least == nil || n > *t.Least) {
		t.Least = &n
	}
	if !least && (t.Greatest == nil || n < *t.Greatest) {
		t.Greatest = &n
	}
}

// ShapeOf is like [TypeOf], but also describes the fields of mappings. It returns an error
// if there are constraints that a [Type] cannot represent.
func ShapeOf(v cue.Value) (Type, error) {
	if op, _ := v.Expr(); op == cue.SelectorOp { // a reference to another definition
		v = v.Eval()
	}
	t := TypeOf(v)
	parts := []cue.Value{v}
	if op, args := v.Expr(); op == cue.OrOp {
		parts = args
	}
	for _, part := range parts {
		switch kind := part.IncompleteKind(); {
		case t.Any():
		case kind == cue.StructKind && t.Members != nil:
			return t, fmt.Errorf("%v: a choice between mappings is not supported", v.Path())
		case kind == cue.StructKind:
			t.Partial = false
			if err := t.addMembers(part); err != nil {
				return t, err
			}
		case kind == cue.ListKind && t.Item != nil:
			item, err := ShapeOf(part.LookupPath(cue.MakePath(cue.AnyIndex)))
			if err != nil {
				return t, err
			}
			t.Item, t.Partial = &item, false
		}
	}
	if t.Partial {
		return t, fmt.Errorf("%v: %v", v.Path(), v)
	}
	return t, nil
}

func (t *Type) addMembers(v cue.Value) error {
	t.Members = map[string]*Member{}
	fields, err := v.Fields(cue.All())
	if err != nil {
		return err
	}
	for fields.Next() {
		sel := fields.Selector()
		of, err := ShapeOf(fields.Value())
		switch {
		case err != nil:
			return err
		case !sel.IsString() || len(t.Known) == 64:
			return errors.New(v.Path().String() + "." + sel.String() + ": a field that results cannot have")
		}
		name := sel.Unquoted()
		t.Members[name] = &Member{of, 1 << len(t.Known), sel.ConstraintType()&cue.OptionalConstraint == 0}
		t.Known = append(t.Known, name)
	}
	if others := v.LookupPath(cue.MakePath(cue.AnyString)); others.Exists() {
		of, err := ShapeOf(others)
		t.Others = &of
		return err
	}
	return nil
}

// Plain reports whether a struct has no constraints besides those of its
// fields: no hidden fields, no patterns, and no choice between structs.
func Plain(v cue.Value) bool {
	fields, others, err := data.Members(v)
	return err == nil && v.IncompleteKind() == cue.StructKind && PlainWith(v, fields, others)
}

// PlainWith is like [Plain], but for a struct whose members are known.
func PlainWith(v cue.Value, fields []data.Member, others bool) bool {
	return !others && !isChoice(v) && !slices.ContainsFunc(fields, func(f data.Member) bool { return !f.Selector.IsString() })
}

func isChoice(v cue.Value) bool {
	op, args := v.Expr()
	return op == cue.OrOp || op == cue.AndOp && slices.ContainsFunc(args, isChoice)
}

// Takes reports whether a value is known to be allowed. It returns false for a partial
// type, because only CUE can check the values.
func (t *Type) Takes(v *data.Value) bool {
	if t.Partial {
		return false
	}
	switch v.Kind {
	case data.Text:
		return t.takesText(v.Text)
	case data.Bool:
		return t.Kinds&KindBool != 0
	case data.Whole, data.Decimal:
		f, ok := v.Formula()
		if t.Kinds&KindNumber == 0 {
			n, whole := f.Num.Int64()
			return t.Kinds&KindWhole != 0 && v.Kind == data.Whole && ok && whole && t.covers(n)
		}
		n := float64(f.Num.Num()) / float64(f.Num.Den())
		return ok && t.coversFloat(n)
	case data.List:
		return t.Kinds&KindList != 0 && t.Item != nil && !slices.ContainsFunc(v.Items, func(item data.Value) bool { return !t.Item.Takes(&item) })
	}
	return false
}

// TakesJSON reports whether a string, number, boolean or null in JSON syntax is
// allowed. It returns false for lists and mappings.
func (t *Type) TakesJSON(text []byte) bool {
	switch text[0] {
	case '"':
		if t.Kinds&KindText != 0 && len(t.Words)+len(t.matches) == 0 && !t.NotEmpty {
			return true
		}
		var plain string
		return json.Unmarshal(text, &plain) == nil && t.takesText(plain)
	case 't', 'f':
		return t.Kinds&KindBool != 0
	case 'n':
		return t.Kinds&KindNull != 0
	case '{', '[':
		return false // the caller checks lists and mappings where they are allowed
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	switch {
	case t.Kinds&(KindWhole|KindNumber) == 0:
		return false
	case t.Kinds&KindNumber == 0:
		return err == nil && t.covers(n) || err != nil && t.Least == nil && t.Greatest == nil && !strings.ContainsAny(string(text), ".eE")
	}
	f, _ := strconv.ParseFloat(string(text), 64) // a number that is too large becomes infinite
	return t.coversFloat(f)
}

func (t *Type) takesText(s string) bool {
	return t.Kinds&KindText != 0 && (len(t.Words) == 0 || slices.Contains(t.Words, s)) && (s != "" || !t.NotEmpty) &&
		!slices.ContainsFunc(t.matches, func(re *regexp.Regexp) bool { return !re.MatchString(s) })
}

// covers reports whether a whole number is within the bounds.
func (t *Type) covers(n int64) bool {
	return (t.Least == nil || *t.Least <= n) && (t.Greatest == nil || n <= *t.Greatest)
}

func (t *Type) coversFloat(n float64) bool {
	if t.Open {
		return (t.Least == nil || float64(*t.Least) < n) && (t.Greatest == nil || n < float64(*t.Greatest))
	}
	return (t.Least == nil || float64(*t.Least) <= n) && (t.Greatest == nil || n <= float64(*t.Greatest))
}

// String describes the allowed values in words.
func (t *Type) String() string {
	if len(t.Words) > 0 && t.Kinds == KindText {
		return "one of " + strings.Join(t.Words, ", ")
	}
	var parts []string
	for i, n := range kindNames {
		switch k := Kinds(1 << i); {
		case t.Kinds&k == 0 || k == KindText && len(t.Words) > 0:
		case k == KindText:
			parts = append(parts, t.sayText(n.said))
		case k&(KindWhole|KindNumber) != 0:
			parts = append(parts, t.sayNumber(n.said))
		default:
			parts = append(parts, n.said)
		}
	}
	switch rest := strings.Join(parts, " or "); {
	case t.Any() || len(parts)+len(t.Words) == 0:
		return "any value"
	case len(t.Words) == 0:
		return rest
	default:
		return strings.Join(t.Words, ", ") + ", or " + rest
	}
}

func (t *Type) sayText(text string) string {
	if t.NotEmpty {
		text = strings.Replace(text, "string", "non-empty string", 1)
	}
	for _, re := range t.matches {
		text += " that matches " + re.String()
	}
	return text
}

// sayNumber describes the allowed numbers: either the only allowed number, or the given text
// followed by the bounds if they are tighter than those of int64.
func (t *Type) sayNumber(text string) string {
	var bounds []string
	more, less := "%d or more", "%d or less"
	if t.Open {
		more, less = "more than %d", "less than %d"
	}
	if t.Least != nil && t.Greatest != nil && *t.Least == *t.Greatest {
		return strconv.FormatInt(*t.Least, 10)
	}
	if t.Least != nil && t.Greatest != nil && *t.Least > -1<<63 && *t.Greatest < 1<<63-1 && !t.Open {
		return text + fmt.Sprintf(" from %d to %d", *t.Least, *t.Greatest)
	}
	if t.Least != nil && *t.Least > -1<<63 {
		bounds = append(bounds, fmt.Sprintf(more, *t.Least))
	}
	if t.Greatest != nil && *t.Greatest < 1<<63-1 {
		bounds = append(bounds, fmt.Sprintf(less, *t.Greatest))
	}
	if len(bounds) == 0 {
		return text
	}
	return text + ", " + strings.Join(bounds, " and ")
}
