package huggingface

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// The names that formulas use for values that are not fields.
const (
	// LayerName is the name of the layer number.
	LayerName    = "layer"
	formatsTable = "formats" // number formats, keyed by the names of element types
)

// program contains the rules of a family and the common rules, compiled for one
// configuration. The configuration's fields determine which formulas have a value, and the
// kinds of these values.
type program struct {
	*Config
	family Family
	refs   map[key]formula.Ref
	read   map[string]bool // fields that formulas read
	layers int64           // 0 if unknown
	frame  *formula.Frame
	*formula.Program
}

// key identifies a formula.
type key struct {
	text string
	pos  diag.Pos
	want formula.Kind
}

// ref returns a reference to a formula of the program. For an empty formula, such as the
// condition of a rule that has none, it returns the zero reference, which refers to the
// layer number and reads no fields.
func (p *program) ref(f schema.Formula, want formula.Kind) formula.Ref {
	return p.refs[key{f.Text, f.Pos, want}]
}

// compile compiles all formulas together.
func (c *Config) compile(fam Family) (*program, error) {
	p := &program{Config: c, family: fam, refs: map[key]formula.Ref{}, read: map[string]bool{}}
	s := formula.NewScope()
	names := map[key]string{}
	add := func(f schema.Formula, want formula.Kind) {
		if k := (key{f.Text, f.Pos, want}); !f.IsZero() && names[k] == "" {
			names[k] = "formula " + strconv.Itoa(len(names))
			s.Formula(names[k], f, want)
		}
	}
	rules := func(all map[string][]schema.Rule) {
		for _, name := range schema.Keys(all) {
			for i := range all[name] {
				add(all[name][i].When, formula.Bool)
				add(all[name][i].Value, formula.Any)
			}
		}
	}
	s.Input(LayerName, formula.Num, diag.Pos{})
	c.declareFormats(s)
	for _, name := range schema.Keys(c.common.Let) {
		s.First(name, c.common.Let[name])
	}
	for _, name := range schema.Keys(fam.Absent) {
		if c.byName[name] == nil && c.common.Let[name] == nil {
			s.Formula(name, fam.Absent[name], formula.Any)
		} else {
			add(fam.Absent[name], formula.Any) // marks the fields that the formula reads as read
		}
	}
	add(fam.When, formula.Bool)
	rules(fam.Params)
	rules(c.common.Defaults)
	for _, name := range schema.Keys(fam.Harmless) {
		add(fam.Harmless[name], formula.Bool)
	}
	for i := range fam.Requires {
		add(fam.Requires[i].Require, formula.Bool)
	}
	var err error
	if p.Program, err = s.Partial(p.kind); err != nil {
		return nil, err
	}
	for k, name := range names {
		p.refs[k], _ = p.Ref(name)
	}
	p.frame = p.NewFrame()
	for name := range p.read {
		if f := c.byName[name]; f != nil && f.readable {
			ref, _ := p.Ref(name)
			p.frame.Set(ref, f.value)
		}
	}
	return p, nil
}

func (c *Config) declareFormats(s *formula.Scope) {
	keys := schema.Keys(c.common.Formats)
	list := make([]formula.Source, len(keys))
	for i, k := range keys {
		list[i].Text = strconv.Quote(c.common.Formats[k])
	}
	s.Table(formatsTable, keys, list, formula.Str)
}

// kind returns the kind of a field's value in formulas, and whether the field has a value.
// It records that the field is read.
func (p *program) kind(name string) (formula.Kind, bool) {
	p.read[name] = true
	f := p.byName[name]
	switch {
	case f == nil || f.null:
		return formula.Any, false
	case !f.readable:
		return formula.Any, true
	}
	return f.value.Kind, true
}

// first returns the first rule that applies, and its value. The rule is nil if none
// applies.
func (p *program) first(what string, rules []schema.Rule) (formula.Value, *schema.Rule, error) {
	for i := range rules {
		r := &rules[i]
		if p.Lacks(p.ref(r.Value, formula.Any)) {
			continue
		}
		if !r.When.IsZero() {
			ok, err := p.holds(what, r.When)
			if err != nil {
				return formula.Value{}, nil, err
			}
			if !ok {
				continue
			}
		}
		v, err := p.eval(what, r.Value, formula.Any, r.Each)
		return v, r, err
	}
	return formula.Value{}, nil, nil
}

// hasValue reports whether a condition has a value.
func (p *program) hasValue(f schema.Formula) bool { return !p.Lacks(p.ref(f, formula.Bool)) }

// holds reports whether a condition holds. A condition that reads the layer number must
// hold for every layer. A condition without a value does not hold.
func (p *program) holds(what string, f schema.Formula) (bool, error) {
	if !p.hasValue(f) {
		return false, nil
	}
	v, err := p.eval(what, f, formula.Bool, false)
	return v.Bool, err
}

// eval evaluates a formula once, or once per layer if the result must be a list. A
// condition that reads the layer number must hold for all layers.
func (p *program) eval(what string, f schema.Formula, want formula.Kind, each bool) (formula.Value, error) {
	ref := p.ref(f, want)
	if err := p.Wrong(ref); err != nil {
		return formula.Value{}, p.blame(what, ref, err)
	}
	if !each && !(want == formula.Bool && p.DependsOn(ref, LayerName)) {
		v, err := p.frame.Eval(ref)
		if err != nil {
			return v, p.blame(what, ref, err)
		}
		return v, nil
	}
	all := formula.Value{Kind: formula.NumList}
	if want == formula.Bool {
		all = formula.Value{Kind: formula.Bool, Bool: true}
	}
	if p.layers == 0 {
		return all, diag.Errorf(diag.Pos{File: p.file}, "%s cannot be computed: the number of layers is unknown", what)
	}
	layer, _ := p.Ref(LayerName)
	for i := range p.layers {
		p.frame.SetNum(layer, formula.Int(i))
		v, err := p.frame.Eval(ref)
		if err != nil {
			return v, p.blame(what, ref, err, fmt.Sprintf("in layer %d", i))
		}
		switch v.Kind {
		case formula.Num:
			all.Nums = append(all.Nums, v.Num)
		case formula.Str:
			all.Kind = formula.StrList
			all.Strs = append(all.Strs, v.Str)
		case formula.Bool:
			if all.Bool = v.Bool; !v.Bool {
				return all, nil
			}
		default:
			return all, p.blame(what, ref, diag.Errorf(f.Pos, "yields %s in each layer", v.Kind))
		}
	}
	return all, nil
}

// blame returns an error about a formula. The error has the position of a field that the
// formula reads, and a hint with the values of all such fields.
func (p *program) blame(what string, ref formula.Ref, err error, hints ...string) *diag.Diag {
	inner := diag.All(err)[0]
	if of, ok := p.Ref(inner.Name); ok && p.isInput(of) {
		if field := p.byName[inner.Name]; field.Unfit() != "" {
			return diag.Errorf(field.pos, "%s: %s %s", field.name, &field.Value, field.Unfit())
		} else if !field.readable {
			return diag.Errorf(field.pos, "%s: %s cannot be read: %s needs a number, a string, true or false, or a list of numbers or strings", field.name, &field.Value, what)
		}
	}
	d := diag.Errorf(p.origin(ref).Pos, "%s cannot be computed: %s", what, inner.Msg).About(diag.Formula, what)
	d.Source, d.Caret = inner.Source, inner.Caret
	for _, hint := range slices.Concat(inner.Hints, hints, []string{p.valuesHint(ref)}) {
		d.HintUnlessEmpty(hint)
	}
	return d.WithHint("the formula is at %s", inner.Pos)
}

// isInput reports whether a reference is to a field.
func (p *program) isInput(ref formula.Ref) bool { return p.read[p.Name(ref)] }

// origin returns the position of the first field that any of the formulas reads, or else
// the file.
func (p *program) origin(refs ...formula.Ref) data.Origin {
	o := data.Origin{Kind: data.FromFile, Pos: diag.Pos{File: p.file}}
	for _, ref := range refs {
		if f := p.firstField(ref, map[formula.Ref]bool{}); f != nil {
			o.Pos = f.pos
			break
		}
	}
	return o
}

// firstField returns the first field that a formula reads, directly or through other
// formulas, or nil if there is none. seen contains the formulas that have already been
// searched.
func (p *program) firstField(ref formula.Ref, seen map[formula.Ref]bool) *field {
	for _, part := range p.Parts(ref) {
		if seen[part] {
			continue
		}
		seen[part] = true
		if p.isInput(part) && p.byName[p.Name(part)] != nil {
			return p.byName[p.Name(part)]
		}
		if f := p.firstField(part, seen); f != nil {
			return f
		}
	}
	return nil
}

// valuesHint returns a hint that lists the values of the fields that a formula reads. For a
// field that the configuration does not mention, it lists the value used instead.
func (p *program) valuesHint(ref formula.Ref) string {
	var with []string
	for _, part := range p.Parts(ref) {
		name := p.Name(part)
		if f := p.byName[name]; f != nil && f.readable {
			with = append(with, name+" = "+data.Shorten(f.value.String()))
		} else if absent, ok := p.family.Absent[name]; ok && f == nil {
			with = append(with, name+" = "+absent.Text)
		}
	}
	if len(with) == 0 {
		return ""
	}
	return "with " + strings.Join(with, ", ")
}
