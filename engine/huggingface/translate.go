package huggingface

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

const (
	layersParam = "num_layers" // the parameter with the number of layers

	maxLayers = 2000 // far more than any real model has; catches wrong numbers
)

// Family is the family that a configuration belongs to.
type Family struct {
	*schema.Family
	Arch *schema.Architecture
	// Unknown reports whether the model type is unknown. If so, Family is the family for
	// unknown types.
	Unknown bool
	// Near is a hint that suggests the model type that was probably meant, or "".
	Near string
}

// Translation is a configuration that was converted to a model's parameter document. The
// positions of its values are those in the configuration.
type Translation struct {
	*data.Document
	Notes diag.List
	// Doubts contains warnings about the defaults of configuration fields, keyed by field
	// path.
	Doubts map[string]diag.List

	fields map[string][]string // the fields that each parameter is computed from
}

// Meets reports whether a configuration meets a family's condition.
func (c *Config) Meets(fam *schema.Family) (bool, error) {
	p, err := c.compile(Family{Family: fam})
	if err != nil {
		return false, err
	}
	p.countLayers() // Translate reports the error
	return p.holds(fam.Name, fam.When)
}

// Translate converts a configuration to a model's parameter document.
func Translate(c *Config, fam Family) (*Translation, error) {
	p, err := c.compile(fam)
	if err != nil {
		return nil, err
	}
	wrong := p.countLayers()
	if err := p.understood(); err != nil {
		return nil, err
	}
	t := &Translation{Document: &data.Document{File: c.file}, Doubts: map[string]diag.List{}, fields: map[string][]string{}}
	if fam.Unknown {
		note := diag.Warnf(c.outer.pos, "unknown %s %s: %s", TypeField, &c.outer.Value, c.common.Unknown.Note)
		t.Notes = append(t.Notes, note.HintUnlessEmpty(fam.Near).WithHint("to define how to read this model type, add a family to a --models folder"))
	}
	t.add(schema.NameParam, formula.Text(c.name), p.origin())
	t.add(schema.ArchField, formula.Text(fam.Architecture), data.Origin{Kind: data.FromFile, Pos: fam.Pos})
	var errs diag.List
	errs.Add(p.defaults(t))
	if errs.Add(wrong); wrong == nil {
		errs.Add(p.params(t))
	}
	return t, errs.Err()
}

func (t *Translation) add(path string, v formula.Value, from data.Origin) {
	t.Leaves = append(t.Leaves, data.Leaf{Path: path, Value: data.From(v), Origin: from})
}

// countLayers determines the number of layers, which per-layer formulas need. It returns
// an error only if the number is out of range. Other errors in the formulas for that
// parameter are reported when params adds the parameter.
func (p *program) countLayers() error {
	v, rule, err := p.first(layersParam, p.family.Params[layersParam])
	if err != nil || rule == nil || v.Kind != formula.Num {
		return nil
	}
	n, ok := v.Num.Int64()
	if !ok || n < 1 || n > maxLayers {
		return diag.Errorf(p.origin(p.ref(rule.Value, formula.Any)).Pos, "%s is %s: expected a whole number from 1 to %d", layersParam, v, maxLayers)
	}
	p.layers = n
	return nil
}

// defaults adds the defaults for configuration fields, and the messages about them.
func (p *program) defaults(t *Translation) error {
	var errs diag.List
	for _, path := range schema.Keys(p.common.Defaults) {
		v, rule, err := p.first(path, p.common.Defaults[path])
		errs.Add(err)
		if rule == nil {
			continue
		}
		from := p.origin(p.ref(rule.When, formula.Bool), p.ref(rule.Value, formula.Any))
		t.add(schema.DefaultsField+"."+path, v, from)
		if rule.Warn != "" {
			t.Doubts[path] = append(t.Doubts[path], diag.Warnf(from.Pos, "%s", rule.Warn).HintUnlessEmpty(rule.Hint))
		}
	}
	return errs.Err()
}

// params adds the parameters of the architecture.
func (p *program) params(t *Translation) error {
	var errs diag.List
	for i := range p.family.Arch.Params {
		param := &p.family.Arch.Params[i]
		rules := p.family.Params[param.Name]
		if rules == nil {
			continue
		}
		v, rule, err := p.first(param.Name, rules)
		if err == nil {
			err = p.perLayer(param.Name, rules, rule)
		}
		switch {
		case err != nil:
			errs.Add(err)
		case rule != nil:
			ref := p.ref(rule.Value, formula.Any)
			t.add(param.Name, v, p.origin(ref))
			for _, part := range p.Parts(ref) {
				if name := p.Name(part); p.byName[name] != nil {
					t.fields[param.Name] = append(t.fields[param.Name], name)
				}
			}
		case param.Required:
			errs = append(errs, p.missing(param.Name, rules))
		}
	}
	for i := range p.family.Requires {
		r := &p.family.Requires[i]
		ok, err := p.holds(p.family.Name, r.Require)
		errs.Add(err)
		if err != nil || ok || !p.hasValue(r.Require) {
			continue
		}
		ref := p.ref(r.Require, formula.Bool)
		d := diag.Errorf(p.origin(ref).Pos, "%s", r.Message).HintUnlessEmpty(p.valuesHint(ref))
		if r.GoesOn() {
			d.Severity = diag.Warning
			if r.Note {
				d.Severity = diag.Note
			}
			t.Notes = append(t.Notes, d)
		} else {
			errs = append(errs, d)
		}
	}
	return errs.Err()
}

// missing returns the error for a parameter that cannot be computed. The error names the fields
// that the parameter needs.
func (p *program) missing(param string, rules []schema.Rule) *diag.Diag {
	at := diag.Pos{File: p.file}
	var list []string
	for _, r := range rules {
		var lacking []string
		for _, ref := range []formula.Ref{p.ref(r.When, formula.Bool), p.ref(r.Value, formula.Any)} {
			for _, name := range p.Lacking(ref) {
				switch f := p.byName[name]; {
				case f == nil:
				case f.Kind == data.Null:
					name += " (null)"
				default:
					name += " (empty)"
				}
				if !slices.Contains(lacking, name) {
					lacking = append(lacking, name)
				}
			}
		}
		if f := p.firstField(p.ref(r.Value, formula.Any), map[formula.Ref]bool{}); at.Line == 0 && f != nil && f.null {
			at = f.pos
		}
		if text := strings.Join(lacking, " and "); text != "" && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return diag.Errorf(at, "%s cannot be computed because the fields that it depends on are missing: %s", param, strings.Join(list, ", or "))
}

// perLayer checks the lists and strings from which a parameter's rules read one entry per
// layer. It returns an error if there are more entries than the model has layers, or if a
// list is empty and therefore a later rule was used. It does not check for lists that are
// too short, because they make the formula fail. chosen is the rule that was used.
func (p *program) perLayer(param string, rules []schema.Rule, chosen *schema.Rule) error {
	for i := range rules {
		r := &rules[i]
		if p.layers == 0 {
			return nil
		}
		if r != chosen && !r.When.IsZero() {
			if ok, err := p.holds(param, r.When); err != nil || !ok {
				continue
			}
		}
		for _, name := range formula.Indexed(r.Value.Text, LayerName) {
			f := p.byName[name]
			if f == nil {
				continue
			}
			n := len(f.value.Nums) + len(f.value.Strs) + utf8.RuneCountInString(f.value.Str)
			empty := f.Kind == data.List && len(f.Items) == 0 && !slices.Contains(p.family.Empty, name)
			long := int64(n) > p.layers && !slices.Contains(p.family.Longer, name)
			if empty || !f.null && long {
				return diag.Errorf(f.pos, "%s cannot be computed: %s has %s, but the model has %s", param, name, counted(int64(n), "entry", "entries"), counted(p.layers, "layer", "layers")).
					WithHint("the formula is at %s", r.Value.Pos)
			}
		}
		if r == chosen {
			return nil
		}
	}
	return nil
}

func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}

// understood returns an error if there are fields that may affect the cache but that
// the family does not handle.
func (p *program) understood() error {
	used := maps.Clone(p.read)
	for name := range p.family.Harmless {
		used[name] = p.isParam(name) // otherwise, the field's condition decides
	}
	var list []string
	var first *field
	for _, name := range p.names {
		f := p.byName[name]
		if used[name] || f.falsy() || p.isHarmless(name) {
			continue
		}
		// A field that the family declares harmless under a condition may affect the cache,
		// regardless of its name.
		_, declared := p.family.Harmless[name]
		if !declared && (f.ignored || !p.relevant(name) || p.ignored(name)) {
			continue
		}
		if first == nil {
			first = f
		}
		list = append(list, name)
	}
	if first == nil {
		return nil
	}
	if more := len(list) - diag.MaxShown; more > 0 {
		list = append(list[:diag.MaxShown:diag.MaxShown], fmt.Sprintf("and %d more", more))
	}
	if t := p.byName[TypeField]; p.family.Unknown {
		return diag.Errorf(t.pos, "unknown %s %s, and some fields affect the cache in a way kvbench does not understand: %s", TypeField, &t.Value, strings.Join(list, ", ")).
			HintUnlessEmpty(p.family.Near).
			WithHint("add a family for this model type to a --models folder, or write a parameter file")
	}
	return diag.Errorf(first.pos, "some fields affect the cache in a way %s does not understand: %s", p.family.Name, strings.Join(list, ", ")).
		WithHint("write a parameter file that describes the cache; run 'kvbench models' to list the architectures")
}

// isParam reports whether any parameter's rule reads a field directly.
func (p *program) isParam(name string) bool {
	for _, rules := range p.family.Params {
		for _, r := range rules {
			for _, ref := range []formula.Ref{p.ref(r.When, formula.Bool), p.ref(r.Value, formula.Any)} {
				if slices.ContainsFunc(p.Parts(ref), func(part formula.Ref) bool { return p.Name(part) == name }) {
					return true
				}
			}
		}
	}
	return false
}

// isHarmless reports whether the family declares that a field has no effect.
func (p *program) isHarmless(name string) bool {
	if slices.Contains(p.family.Ignored, name) {
		return true
	}
	f, ok := p.family.Harmless[name]
	if !ok {
		return false
	}
	holds, err := p.holds(name, f)
	return err == nil && holds
}

// Explain adds a hint to each error about a parameter whose value is not allowed. The
// hint names the fields that the value was computed from.
func (t *Translation) Explain(err error) error {
	for _, d := range diag.All(err) {
		param, _, _ := strings.Cut(d.Name, ".")
		if from := t.fields[param]; d.Code == diag.NotAllowed && len(from) > 0 {
			d.WithHint("%s comes from %s", param, strings.Join(from, " and "))
		}
	}
	return err
}
