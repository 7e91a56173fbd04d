package plan

import (
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Explanation explains how every number in a plan is computed.
type Explanation struct {
	Plan       *Plan
	Quantities []*Step
	Flags      []FlagStep
	Limits     []LimitStep
}

// Step explains a value: it contains the value's formula and a step for each value in that
// formula.
type Step struct {
	Name  string
	Value formula.Value
	Unit  string
	// Formula is the text of the formula, and Values is the same text with values in place of
	// the names. Both are empty for values that are not computed.
	Formula, Values string
	// Origin is the position of the formula, or where the value comes from.
	Origin string
	Parts  []*Step
}

// Answer describes how one value of a plan is computed.
type Answer struct {
	Plan *Plan
	Step *Step
}

// FlagStep is a flag with the reason for its value.
type FlagStep struct {
	fit.Flag
	Reason string
	Step   *Step // how the value is computed, or nil
}

// LimitStep is a limit that applies to the plan. Left and Right are the sides of a
// comparison; both are nil if the limit is not a comparison.
type LimitStep struct {
	*schema.Limit
	Holds       bool
	Operator    string
	Left, Right *formula.Side
	// Values is the condition with values in place of the names.
	Values string
	Parts  []*Step
}

// Explain makes plans and explains how their values are computed. If the request is not
// fitted, the plans may exceed limits.
func (p *Planner) Explain(request *Request) ([]*Explanation, error) {
	plans, err := p.Plans(request)
	var errs diag.List
	errs.Add(err)
	var all []*Explanation
	for _, pl := range plans {
		e, err := p.explain(pl)
		if err != nil {
			errs.Add(err)
			continue
		}
		all = append(all, e)
	}
	return all, errs.Err()
}

func (p *Planner) explain(pl *Plan) (*Explanation, error) {
	e := &Explanation{Plan: pl}
	x := p.explainer(pl)
	for _, q := range pl.Quantities {
		s, err := x.step(q.Name)
		if err != nil {
			return nil, err
		}
		s.Unit = q.Unit
		e.Quantities = append(e.Quantities, s)
	}
	for _, f := range pl.Flags {
		step := FlagStep{Flag: f, Reason: pl.Origin(&f)}
		var err error
		switch {
		case f.From == fit.Computed:
			step.Step, err = x.step(f.Name)
		case f.By != "":
			step.Step, err = x.step(f.By)
		}
		if err != nil {
			return nil, err
		}
		e.Flags = append(e.Flags, step)
	}
	for _, l := range p.Bench.Limits(pl.Backend()) {
		s, err := x.limit(l)
		if err != nil {
			return nil, err
		}
		e.Limits = append(e.Limits, s)
	}
	return e, nil
}

// hidden returns err or, if plans do not show the quantity because its condition does not
// hold, an error that says so.
func (x *explainer) hidden(name string, err error) error {
	cond, ok := x.ShownIf(name)
	if !ok {
		return err
	}
	if shown, e := x.frame.Bool(cond); e != nil || shown {
		return err
	}
	return diag.Usagef("%s has a value only if %s", name, x.prog.Source(cond).Text)
}

// ExplainOne makes plans and explains how one value in each plan is computed: a quantity, a
// flag, a parameter, or any other formula.
func (p *Planner) ExplainOne(request *Request, name string) ([]Answer, error) {
	plans, err := p.Plans(request)
	if err != nil {
		return nil, err
	}
	names := p.prog.Names()
	if !slices.Contains(names, name) {
		d := diag.Usagef("the plan has no %q", name).About(diag.Unknown, name)
		field := slices.IndexFunc(p.schema.Fields, func(f schema.Field) bool { return name != "" && (f.Flag == name || f.Path == name) })
		if p.IsElsewhere(name) {
			d.WithHint("%s", p.Elsewhere(name))
		} else if field >= 0 && slices.Contains(names, p.schema.Fields[field].Var) {
			d.WithHint("did you mean %q?", p.schema.Fields[field].Var)
		} else if !d.Suggest(name, names) {
			var quantities []string
			for _, q := range plans[0].Quantities {
				quantities = append(quantities, q.Name)
			}
			d.WithHint("use a nixlbench flag, a value that the plan is computed from, or one of %s", strings.Join(quantities, ", "))
		}
		return nil, d
	}
	var all []Answer
	for _, pl := range plans {
		x := p.explainer(pl)
		if pl.Rank() { // explain layer values for the first layer that the I/Os move
			share := pl.Request.io.shares[0]
			x.at = share.terms[0].rate.cell
			x.enter(x.at)
			x.set(ioUnits, formula.Number(share.units))
		}
		s, err := x.step(name)
		if err = x.hidden(name, err); err != nil {
			return nil, err
		}
		for _, q := range pl.Quantities {
			if q.Name == name {
				s.Unit = q.Unit
			}
		}
		if i := slices.IndexFunc(pl.Flags, func(f fit.Flag) bool { return f.Name == name }); i >= 0 {
			s.Unit = pl.Flags[i].Unit
			if pl.Flags[i].Secret {
				return nil, diag.Usagef("%s is a secret", name)
			}
		}
		all = append(all, Answer{pl, s})
	}
	return all, nil
}

// explainer explains the values of a plan, using the planner's frame.
type explainer struct {
	*Layers
	fit    *fit.Fitter
	plan   *Plan
	values map[string]fit.Value // flags that are neither defaults nor computed
	// argument is the name of the flag whose value is currently in [fit.ArgumentVar].
	argument string
	// stood contains the stand-ins in effect, keyed by the name of the value that they
	// replace.
	stood map[string]schema.Formula
	// at is the cell whose values are explained.
	at *cell
	// folds contains the folds explained so far.
	folds map[foldKey]*Step
	// open contains the fields whose values the engine determines and whose formulas are
	// currently being explained.
	open map[formula.Ref]bool
}

// foldKey identifies an explanation of a fold: the fold, the fields whose formulas are
// currently being explained, and the stand-ins in effect.
type foldKey struct {
	fold        *fold
	open, stood string
}

// explainer loads a plan into the frame and returns an explainer for it.
func (p *Planner) explainer(pl *Plan) *explainer {
	values := map[string]fit.Value{}
	for _, f := range pl.Flags {
		if f.From != fit.Default && f.From != fit.Computed {
			values[f.Name] = fit.Value{Value: f.Value}
		}
	}
	p.fit.Apply(p.layers.FlagsFor(pl.Request), values)
	p.layers.byCell = pl.Request.byCell
	x := &explainer{open: map[formula.Ref]bool{}, folds: map[foldKey]*Step{}, Layers: p.layers, fit: p.fit, plan: pl, values: values}
	if pl.Transfers() {
		// The plan was made without errors, so the destination side has none.
		req, err := x.destinationOf(pl.Request, x.frame, nil)
		if err == nil {
			x.other.Load(req)
			var warnings diag.List
			_ = x.other.begin(req, &warnings)
			for _, f := range x.other.ofModel {
				x.other.set(f.name, formula.Value{Kind: formula.Num, Num: f.num})
			}
		}
	}
	return x
}

// enter is like [Layers.enter], but covers both sides of a transfer.
func (x *explainer) enter(c *cell) {
	x.Layers.enter(c)
	if x.plan.Transfers() {
		x.other.enter(c)
		x.bring()
		x.frame.SetNum(x.cache.pairing.rank, formula.Int(0))
		x.frame.SetNum(x.cache.pairing.dp, formula.Int(0))
	}
}

func (x *explainer) step(name string) (*Step, error) {
	ref, ok := x.prog.Ref(name)
	if !ok {
		return nil, diag.Errorf(diag.Pos{}, "there is no value %s", name)
	}
	return x.stepOf(ref)
}

func (x *explainer) stepOf(ref formula.Ref) (*Step, error) {
	v := x.plan.Request.Config.Values[x.prog.Name(ref)]
	if v.Origin.Kind != data.FromEngine {
		return x.plainStep(ref)
	}
	if x.open[ref] { // the field's formula depends on the field itself
		x.frame.Set(ref, v.Value)
		defer x.frame.Unset(ref)
		return x.plainStep(ref)
	}
	x.open[ref] = true
	defer delete(x.open, ref)
	x.frame.Unset(ref) // to show its formula
	defer x.frame.Set(ref, v.Value)
	if now, err := x.frame.Eval(ref); err != nil || now.Text() != v.Text() {
		x.frame.Set(ref, v.Value) // a stand-in changes a value that the formula depends on
	}
	s, err := x.plainStep(ref)
	if err == nil && s.Formula != "" {
		s.Origin = v.Origin.String() + ", " + s.Origin
	}
	return s, err
}

func (x *explainer) plainStep(ref formula.Ref) (*Step, error) {
	e, err := x.frame.Explain(ref)
	if err != nil {
		return nil, err
	}
	s := &Step{Name: e.Name, Value: e.Value, Formula: e.Source.Text, Values: e.Values}
	if s.Formula == "" {
		if made, err := x.fact(s); made || err != nil {
			return s, err
		}
		s.Origin = x.whence(e.Name, ref)
		return s, nil
	}
	s.Origin = e.Source.Pos.String()
	for _, part := range e.Parts {
		if name := x.prog.Name(part); name == groupVar || name == kindVar || name == perVar {
			continue // the step's name already identifies the layers
		}
		p, err := x.stepOf(part)
		if err != nil {
			return nil, err
		}
		for field, name := range e.Source.Local {
			if x.prog.Name(part) == name {
				group, _ := x.frame.Eval(x.cache.group)
				p.Name = field + " of " + group.Str
			}
		}
		s.Parts = append(s.Parts, p)
	}
	if e.Source.Pos.IsZero() && len(s.Parts) == 1 {
		// A formula that does not come from a file just refers to another value.
		s.Formula, s.Values, s.Origin, s.Parts = s.Parts[0].Formula, s.Parts[0].Values, s.Parts[0].Origin, s.Parts[0].Parts
	}
	return s, nil
}

// whence describes where a value without a formula comes from.
func (x *explainer) whence(name string, ref formula.Ref) string {
	req := x.plan.Request
	if f, ok := x.stood[name]; ok {
		return f.Pos.String()
	}
	if v, ok := req.Config.Values[name]; ok {
		if v.Origin.Kind == data.FromCommand && v.Origin.Name == fit.BackendFlag {
			return "the backend's default"
		}
		return strings.TrimSpace(v.Origin.String() + " " + v.Word)
	}
	if v, ok := req.Model.Params[name]; ok {
		return v.Origin.String()
	}
	if v, ok := req.Model.Defaults[strings.TrimPrefix(name, modelPrefix)]; ok && strings.HasPrefix(name, modelPrefix) {
		return v.Origin.String()
	}
	if x.plan.Transfers() && strings.HasPrefix(name, destinationPrefix) && name != destinationRank && name != destinationGroup {
		return "the destination side"
	}
	for i := range x.plan.Flags {
		if f := &x.plan.Flags[i]; f.Name == name {
			return x.plan.Origin(f)
		}
	}
	switch name {
	case fit.ArgumentVar:
		return "--" + x.argument
	case layerVar, groupVar, kindVar, perVar, draftVar, ioUnits, ioPart:
		return "the layers being counted"
	case destinationRank, destinationGroup:
		return "the first rank, as an example"
	case StageVar:
		return stageField + " " + req.Config.Values[stageField].Text()
	}
	if f := x.schema.Nixlbench.Flags[name]; f != nil {
		return "nixlbench " + x.release + " does not have this flag"
	}
	return x.prog.Source(ref).Pos.String()
}

func (x *explainer) limit(l fit.Limit) (LimitStep, error) {
	s := LimitStep{Limit: l.Limit}
	holds, flags, err := x.fit.Holds(l, x.values)
	if err != nil {
		// The plan already has a warning about this limit, and there are no values to show.
		return s, nil
	}
	s.Holds = holds
	if x.Bench.OnArguments(l) {
		if len(flags) == 0 || x.schema.Nixlbench.Flags[flags[0]].Secret {
			return s, nil // all arguments are allowed, or the value must not be shown
		}
		x.argument = flags[0]
	}
	e, err := x.frame.Explain(l.Ref)
	if err != nil {
		return s, err
	}
	s.Values = e.Values
	for _, part := range e.Parts {
		step, err := x.stepOf(part)
		if err != nil {
			return s, err
		}
		s.Parts = append(s.Parts, step)
	}
	op, left, right, ok, err := x.frame.Sides(l.Ref)
	if ok && err == nil {
		s.Operator, s.Left, s.Right = op, &left, &right
	}
	return s, nil
}
