package sweep

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
)

// sweepProgram is a program with the sweep's condition, columns and sort keys.
type sweepProgram struct {
	*plan.Program
	where    formula.Ref
	filtered bool
	// early reports whether the condition can be evaluated before fitting, because it reads
	// nothing that fitting changes.
	early   bool
	columns []sweepColumn
	keys    []sweepColumn
	shapes  map[string]*shape
}

// sweepColumn is a column with its reference in a program.
type sweepColumn struct {
	own    string // a name in OwnColumns, or ""
	name   string
	ref    formula.Ref
	shown  formula.Ref // the condition for showing a quantity; -1 if always shown
	known  bool
	secret bool
	words  map[string]int64 // the words that rows show instead of some numbers, or nil
}

// inWords returns a value in the form that rows show: a word if the field has a word for
// the value, or else the value itself.
func (c *sweepColumn) inWords(v formula.Value) formula.Value {
	if n, whole := v.Num.Int64(); v.Kind == formula.Num && whole {
		for word, of := range c.words {
			if n == of {
				return formula.Text(word)
			}
		}
	}
	return v
}

// program adds the sweep's condition, columns and sort keys to a planner's program. For
// each column that the program does not have, it increments the column's count in
// unknown.
func (s *Sweep) program(p *plan.Program, items []plan.Item, unknown map[string]int) (*sweepProgram, error) {
	sp := &sweepProgram{Program: p, shapes: map[string]*shape{}}
	if s.options.Where != "" {
		condition, err := Condition(p.Schema(), s.options.Where)
		if err != nil {
			return nil, err
		}
		sp.Program, sp.where, err = p.With(whereName, condition, formula.Bool, OwnColumns...)
		if err != nil {
			for _, d := range diag.All(err) {
				d.Usage = true
				if d.Code == diag.Unknown {
					if hint := nameHint(p, d.Name, items); hint != "" {
						d.Hints = []string{hint}
					}
				}
			}
			return nil, err
		}
		if sp.OfLayer(sp.where) {
			return nil, ofLayer("--where", s.options.Where)
		}
		sp.filtered = true
		sp.early = sp.readsFacts(sp.where)
	}
	missing := map[string]bool{} // a set, so that a name that is both a column and a key counts once
	for _, name := range s.options.Columns {
		c := sp.column(name, missing)
		if c.known && sp.OfLayer(c.ref) {
			return nil, ofLayer("--columns", name)
		}
		sp.columns = append(sp.columns, c)
	}
	for _, k := range s.options.Sort {
		c := sp.column(k.Column, missing)
		if c.known && sp.OfLayer(c.ref) {
			return nil, ofLayer("--sort", k.Column)
		}
		sp.keys = append(sp.keys, c)
	}
	for name := range missing {
		unknown[name]++
	}
	return sp, nil
}

// ofLayer returns the error for a value that cannot be in a row because it differs from
// layer to layer.
func ofLayer(flag, what string) *diag.Diag {
	return diag.Usagef("%s: %s differs from layer to layer, so a row cannot show it", flag, what).
		WithHint("use 'kvbench explain' to see this value for a layer, or 'kvbench explain layers' to see what each layer stores")
}

// noColumn returns the error for a column that does not exist, with a hint on what
// was probably meant.
func (s *Sweep) noColumn(programs map[*plan.Planner]*sweepProgram, flag, name string) *diag.Diag {
	d := diag.Usagef("%s: there is no column %q", flag, name)
	var known []string
	for p, sp := range programs {
		if p.IsElsewhere(name) || slices.Contains(rankColumns, name) {
			return d.WithHint("%s", p.Elsewhere(name))
		}
		for i := range p.Schema().Fields {
			if f := &p.Schema().Fields[i]; f.Flag == name || f.Path == name {
				return d.WithHint("did you mean %q?", f.Var)
			}
		}
		if sp.Program != nil {
			known = append(known, sp.Formulas().Names()...)
		}
	}
	slices.Sort(known)
	if d.Suggest(name, slices.Compact(append(known, OwnColumns...))) {
		return d
	}
	return d.WithHint("a column is a quantity, a parameter, a configuration field, a nixlbench flag, or one of %s", strings.Join(OwnColumns, ", "))
}

// nameHint returns a hint for a name that is undefined in the program: what was
// probably meant, or why formulas cannot read it. It returns "" if it has no hint.
func nameHint(p *plan.Program, name string, items []plan.Item) string {
	if p.IsElsewhere(name) {
		return p.Elsewhere(name)
	}
	for i := range p.Schema().Fields {
		if f := &p.Schema().Fields[i]; f.Flag == name {
			return fmt.Sprintf("did you mean %q?", f.Var)
		}
	}
	if _, ok := p.Formulas().Ref(plan.StageVar); ok && name == ColumnStage {
		return fmt.Sprintf("did you mean %q?", plan.StageVar)
	}
	if slices.Contains(OwnColumns, name) {
		return "it is a column, which formulas cannot read"
	}
	if slices.ContainsFunc(items, func(it plan.Item) bool { _, ok := it.Planner.Formulas().Ref(name); return ok }) {
		return fmt.Sprintf("%s does not define this name", p.Arch().Name)
	}
	return ""
}

// readsFacts reports whether a formula reads only fields, parameters and
// quantities. Fitting changes none of these.
func (sp *sweepProgram) readsFacts(ref formula.Ref) bool {
	flags := sp.Schema().Nixlbench.Flags
	isFlag := func(name string) bool { return flags[name] != nil }
	return !slices.ContainsFunc(sp.Formulas().Inputs(ref), isFlag) && !slices.ContainsFunc(sp.Formulas().Uses(ref), isFlag)
}

func (sp *sweepProgram) column(name string, missing map[string]bool) sweepColumn {
	asked := name
	if slices.Contains(OwnColumns, name) {
		if !sp.OfRanks() && slices.Contains(rankColumns, name) {
			missing[asked] = true
		}
		return sweepColumn{own: name}
	}
	c := sweepColumn{shown: -1}
	for _, f := range sp.Schema().Nixlbench.Flags {
		if f.JSONKey() == name {
			name, c.secret = f.Name, f.Secret
			break
		}
	}
	c.name = name
	c.ref, c.known = sp.Formulas().Ref(name)
	if ref, ok := sp.ShownIf(name); ok {
		c.shown = ref
	}
	if kind := formula.Any; c.known {
		kind = sp.Formulas().Kind(c.ref)
		c.known = kind != formula.Any && !sp.IsTable(name)
	}
	if !c.known {
		missing[asked] = true
	}
	if f := sp.Schema().FieldOf(name); f != nil {
		c.words = sp.Schema().Units[f.Unit].Words
	}
	return c
}

// checkAxes returns an error for each axis value that the accounting or the
// architecture does not support.
func checkAxes(it *plan.Item) error {
	var errs diag.List
	errs.Add(it.Planner.CheckValues(it.Request))
	for _, axis := range it.Config.Axes {
		if axis.Field.Table == "" && axis.Field.Needs == "" {
			continue
		}
		for _, v := range axis.Values[1:] {
			cfg := *it.Config
			cfg.Values = map[string]data.Fact{axis.Field.Var: v}
			req := &plan.Request{Model: it.Model, Config: &cfg}
			errs.Add(it.Planner.CheckValues(req))
		}
	}
	return errs.Distinct().Err()
}

func keyNames(keys []SortKey) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Column
	}
	return names
}
