package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	cueerrors "cuelang.org/go/cue/errors"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/huggingface"
	"kvbench/engine/schema"
	"kvbench/engine/source"
)

// The fields that identify a family in a file. A value is a family if it has fieldTypes, or
// both an architecture and fieldParams.
const (
	fieldTypes  = "model_types"
	fieldParams = "params"
)

func isFamily(t *data.Tree) bool {
	has := func(name string) bool { return t.Field(name) != nil }
	return has(fieldTypes) || has(schema.ArchField) && has(fieldParams)
}

// familiesIn returns the families in an evaluated file.
func (l *Loader) familiesIn(p *source.CUE) ([]*schema.Family, error) {
	defs, err := l.Definitions()
	if err != nil {
		return nil, err
	}
	contract := lookup(defs, "#Family")
	var errs diag.List
	var all []*schema.Family
	errs.Add(p.Each(func(field *data.Tree) {
		if !isFamily(field) {
			return
		}
		name, own := field.Name, field.Value
		value := contract.Unify(own)
		if err := value.Validate(cue.Concrete(true)); err != nil {
			errs.Add(l.wordFamily(err, p.Home(name), name, own, contract))
			return
		}
		f, err := family(name, p.Home(name), value)
		errs.Add(err)
		if err == nil {
			all = append(all, f)
		}
	}))
	return all, errs.Err()
}

// wordFamily describes the errors that CUE finds in a family. It returns only one error for
// each parameter, whereas CUE reports an error for each form that a parameter may have.
func (l *Loader) wordFamily(err error, file, name string, own, contract cue.Value) error {
	var errs diag.List
	seen := map[string]bool{}
	for _, e := range cueerrors.Errors(err) {
		path := data.TrimPath(e.Path())
		if len(path) > 0 && path[0] == name {
			path = path[1:]
		}
		if len(path) < 2 || path[0] != fieldParams {
			errs.Add(l.wordArchitecture(e, file, name, own, contract))
			continue
		}
		if at := path[:2]; !seen[at[1]] {
			seen[at[1]] = true
			errs = append(errs, diag.Errorf(placeOf(own, at, file), "%s: expected a formula, in quotes; {value: \"…\"} or {each: \"…\"}, with or without when: \"…\"; or a list of these", strings.Join(at, ".")))
		}
	}
	return errs.Err()
}

// family reads an evaluated family.
func family(name, file string, v cue.Value) (*schema.Family, error) {
	f := &schema.Family{Name: name, File: file, Params: map[string][]schema.Rule{}}
	field := func(name string) cue.Value { return v.LookupPath(cue.MakePath(cue.Str(name))) }
	if err := field(fieldTypes).Decode(&f.ModelTypes); err != nil {
		return nil, data.FromCUE(err, diag.Pos{File: file})
	}
	for name, list := range map[string]*[]string{"empty": &f.Empty, "longer": &f.Longer, "ignored": &f.Ignored} {
		if v := field(name); v.Exists() {
			if err := v.Decode(list); err != nil {
				return nil, data.FromCUE(err, diag.Pos{File: file})
			}
		}
	}
	f.Architecture, _ = field(schema.ArchField).String()
	f.Pos = data.ValuePos(field(schema.ArchField))
	if when := field("when"); when.Exists() {
		f.When = schema.FormulaOf(when)
	}
	f.Absent, f.Harmless = formulasOf(field("absent")), formulasOf(field("harmless"))
	var err error
	if f.Requires, err = requirementsOf(field(fieldRequires)); err != nil {
		return nil, err
	}
	params, err := field(fieldParams).Fields()
	if err != nil {
		return nil, data.FromCUE(err, diag.Pos{File: file})
	}
	for params.Next() {
		name, v := params.Selector().Unquoted(), params.Value()
		if v.IncompleteKind() != cue.ListKind {
			f.Params[name] = []schema.Rule{ruleOf(v)}
			continue
		}
		items, err := v.List()
		if err != nil {
			return nil, data.FromCUE(err, diag.Pos{File: file})
		}
		for items.Next() {
			f.Params[name] = append(f.Params[name], ruleOf(items.Value()))
		}
	}
	return f, nil
}

func ruleOf(v cue.Value) schema.Rule {
	if v.IncompleteKind() == cue.StringKind {
		return schema.Rule{Value: schema.FormulaOf(v)}
	}
	r := schema.Rule{Value: schema.FormulaOf(v.LookupPath(cue.ParsePath("value")))}
	if each := v.LookupPath(cue.ParsePath("each")); each.Exists() {
		r.Value, r.Each = schema.FormulaOf(each), true
	}
	if when := v.LookupPath(cue.ParsePath("when")); when.Exists() {
		r.When = schema.FormulaOf(when)
	}
	return r
}

// formulasOf returns the formulas in an optional mapping.
func formulasOf(v cue.Value) map[string]schema.Formula {
	iter, err := v.Fields()
	if err != nil {
		return nil
	}
	m := map[string]schema.Formula{}
	for iter.Next() {
		m[iter.Selector().Unquoted()] = schema.FormulaOf(iter.Value())
	}
	return m
}

// checkFamily checks a family's architecture, its parameters and, as far as possible
// without a configuration, its formulas.
func checkFamily(f *schema.Family, known *Known) error {
	var errs diag.List
	f.EachFormula(func(name string, formulaText schema.Formula) {
		errs.Add(formula.Check(name, formulaText))
	})
	arch := known.arch(f.Architecture)
	if arch == nil {
		d := diag.Errorf(f.Pos, "%s: %s: no architecture is named %q", f.Name, schema.ArchField, f.Architecture)
		d.Suggest(f.Architecture, known.archNames())
		return append(errs, d.WithHint("run 'kvbench models' to list the architectures"))
	}
	for _, name := range schema.Keys(f.Params) {
		if arch.Param(name) == nil {
			d := diag.Errorf(f.Params[name][0].Value.Pos, "%s: %s has no parameter %s", f.Name, arch.Name, name)
			names := make([]string, len(arch.Params))
			for i := range arch.Params {
				names[i] = arch.Params[i].Name
			}
			if !d.Suggest(name, names) {
				d.WithHint("expected one of %s", strings.Join(names, ", "))
			}
			errs = append(errs, d)
		}
	}
	for _, name := range schema.Keys(f.Params) {
		for _, r := range f.Params[name] {
			if !r.Each && slices.Contains(formula.Names(r.Value.Text), huggingface.LayerName) {
				errs = append(errs, diag.Errorf(r.Value.Pos, "%s: %s reads %s, a layer number, but is computed only once", f.Name, name, huggingface.LayerName).
					WithHint("write each: \"…\" for a list with a value for each layer"))
			}
		}
	}
	for _, name := range schema.Keys(f.Harmless) {
		if h := f.Harmless[name]; h.Text == "true" {
			errs = append(errs, diag.Errorf(h.Pos, "%s: harmless: %s has no condition", f.Name, name).WithHint("write ignored: [%q]", name))
		}
	}
	for i := range arch.Params {
		p := &arch.Params[i]
		if p.Required && p.Name != schema.NameParam && f.Params[p.Name] == nil {
			errs = append(errs, diag.Errorf(f.Pos, "%s: does not define %s, which %s requires", f.Name, p.Name, arch.Name))
		}
	}
	return errs.Err()
}

// arch returns the architecture with the given name, or nil.
func (k *Known) arch(name string) *schema.Architecture {
	for _, c := range k.list {
		if c.Name == name {
			return c.Arch.Get()
		}
	}
	return nil
}

func (k *Known) archNames() []string {
	names := make([]string, len(k.list))
	for i, c := range k.list {
		names[i] = c.Name
	}
	return names
}

func (k *Known) allFamilies() []*schema.ListedFamily {
	return slices.Concat(k.bundled.Get(), k.families)
}

// withType returns the families with the given model type.
func (k *Known) withType(modelType string) []*schema.ListedFamily {
	return slices.DeleteFunc(k.allFamilies(), func(f *schema.ListedFamily) bool { return !slices.Contains(f.ModelTypes, modelType) })
}

// reader selects the family to use for a configuration from the families with its model
// type: the first family whose condition is true, or else the one without a condition.
func reader(c *huggingface.Config, list []*schema.ListedFamily) (found *schema.ListedFamily, err error) {
	if len(list) == 1 && list[0].Family.Get().When.IsZero() {
		return list[0], nil
	}
	var conditions []string
	for _, f := range list {
		if f.Family.Get().When.IsZero() {
			found = f
			continue
		}
		ok, err := c.Meets(f.Family.Get())
		if ok || err != nil {
			return f, err
		}
		conditions = append(conditions, fmt.Sprintf("%s matches if %s", f.Name, f.Family.Get().When.Text))
	}
	if found == nil {
		err = c.TypeError("no family for this model type matches the configuration").WithHint("%s", strings.Join(conditions, "; "))
	}
	return found, err
}

// familyNamed returns the family with the given name, or nil.
func (k *Known) familyNamed(name string) *schema.ListedFamily {
	all := k.allFamilies()
	if i := slices.IndexFunc(all, func(f *schema.ListedFamily) bool { return f.Name == name }); i >= 0 {
		return all[i]
	}
	return nil
}

// addFamilies adds the families in a user's file, except those already added from the same
// file. It is an error if two families without conditions have the same model type.
func (k *Known) addFamilies(list []*schema.Family) error {
	var errs diag.List
	for _, f := range list {
		if old := k.familyNamed(f.Name); old != nil && sameFile(old.File, f.File) {
			continue
		}
		for _, t := range f.ModelTypes {
			for _, other := range k.withType(t) {
				if !f.When.IsZero() || !other.Family.Get().When.IsZero() {
					continue
				}
				errs = append(errs, diag.Errorf(f.Pos, "%s: model_type %s already belongs to %s (%s)", f.Name, strconv.Quote(t), other.Name, other.File))
			}
		}
		k.families = append(k.families, schema.ListFamily(f))
	}
	return errs.Err()
}
