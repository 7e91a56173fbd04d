package nixlbench

import (
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// addPrograms declares the formulas of programs that run in place of nixlbench.
func (r *Rules) addPrograms(s *schema.Schema, scope *formula.Scope, backend string) {
	r.refusals, r.notes = map[string][]*schema.Refusal{}, map[string][]*schema.ProgramNote{}
	formats := s.Launch.Get().Formats
	for _, name := range schema.Keys(formats) {
		p := formats[name].Program
		if p == nil {
			continue
		}
		for _, value := range schema.Keys(p.Values) {
			scope.Formula(valueName(p, value), p.Values[value], formula.Any)
		}
		for _, column := range schema.Keys(p.Columns) {
			scope.Formula(overName(p, column), p.Columns[column].Over, formula.Num)
		}
		scope.Formula(plannedName(p), p.Moved.Planned, formula.Num)
		r.refusals[p.Name] = rulesOf(r, scope, p.Name+".refuses.", backend, p.Refuses)
		r.notes[p.Name] = rulesOf(r, scope, p.Name+".notes.", backend, p.Notes)
	}
}

func valueName(p *schema.Program, value string) string { return p.Name + "_" + value }

func overName(p *schema.Program, column string) string { return p.Name + ".columns." + column }

func plannedName(p *schema.Program) string { return p.Name + ".moved" }

// Refused returns the reason why a program cannot run a plan, or nil if it can.
func (r *Rules) Refused(p *schema.Program, pl *plan.Plan, flags []fit.Flag, facts *Facts) error {
	r.load(pl, flags, facts)
	list, err := holding(r, p.Name+".refuses.", r.refusals[p.Name])
	if len(list) == 0 {
		return err
	}
	return diag.Errorf(diag.Pos{}, "%s", r.fill(list[0].Message)).WithHint("%s", r.fill(list[0].Hint))
}

// Values returns the values to write to a program's files so that it runs a plan.
func (r *Rules) Values(p *schema.Program, pl *plan.Plan, flags []fit.Flag, facts *Facts) (map[string]formula.Value, error) {
	r.load(pl, flags, facts)
	var errs diag.List
	values := map[string]formula.Value{}
	for name := range p.Values {
		values[name] = r.eval(valueName(p, name), &errs)
	}
	return values, errs.Err()
}

// Expected contains the values that a program's result is compared with.
type Expected struct {
	// Moved is the number of bytes that the plan moves.
	Moved int64
	// Over contains the divisors for the program's values, keyed by column.
	Over map[string]int64
	// Sizes contains the columns whose values the plan determines.
	Sizes Row
	Notes []string
}

// Expect returns the values that a program's result is compared with.
func (r *Rules) Expect(p *schema.Program, pl *plan.Plan, flags []fit.Flag, facts *Facts) (*Expected, error) {
	r.load(pl, flags, facts)
	var errs diag.List
	e := &Expected{Over: map[string]int64{}, Sizes: Row{}}
	e.Moved, _ = r.eval(plannedName(p), &errs).Num.Int64()
	for column := range p.Columns {
		e.Over[column], _ = r.eval(overName(p, column), &errs).Num.Int64()
	}
	for _, m := range r.bench.Runs.Get().Measures {
		if m.Asked != nil {
			e.Sizes[m.Key] = Number(r.eval("asked."+m.Key+".last", &errs).Text())
		}
	}
	list, err := holding(r, p.Name+".notes.", r.notes[p.Name])
	errs.Add(err)
	for _, n := range list {
		e.Notes = append(e.Notes, r.fill(n.Message))
	}
	return e, errs.Err()
}
