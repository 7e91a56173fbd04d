package enginelog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// Result is the result of comparing a log with a plan.
type Result struct {
	// Plan is one of the plans for the rank.
	Plan     *plan.Plan
	Equal    bool
	Results  []Number
	Findings []Finding
}

// Number is a number that was computed from a log and a plan.
type Number struct {
	Name, Label, Unit string
	Value             formula.Rat
}

// Finding is the result of comparing a number in a log with the computed number.
type Finding struct {
	What, Unit       string
	At               diag.Pos
	Logged, Computed formula.Rat
	Equal            bool
	// Steps lists the values that the number was computed from, beginning with the number
	// itself.
	Steps []Step
	// Why contains the likely cause of a difference, or is empty.
	Why string

	check int               // the index of the check
	row   map[string]*Found // the numbers in the finding's line if every line is checked, or nil
}

// Step is a value that a number was computed from.
type Step struct {
	Name  string
	Value formula.Value
	// Formula is the text of the value's formula. Values is the same text with the names
	// replaced by values. Both are empty for values from the log or the plan.
	Formula, Values string
	// Line is the line number of a value from the log, or 0.
	Line int
}

// verifier evaluates the schema's checks.
type verifier struct {
	log     *Log
	logs    *schema.Logs
	planner *plan.Planner
	prog    *formula.Program
	frame   *formula.Frame
	reads   []string          // the names of the plan's values that formulas read
	row     map[string]*Found // the numbers in the line that is being checked, or nil
}

// Verify compares a log with the plan for a request. To explain differences, it
// tries the given causes, and then the causes in the schema.
func Verify(log *Log, planner *plan.Planner, req *plan.Request, first ...schema.LogCause) (*Result, error) {
	v := &verifier{log: log, logs: planner.Schema().Logs.Get(), planner: planner}
	if err := v.compile(); err != nil {
		return nil, err
	}
	pl, err := v.load(req)
	if err != nil {
		return nil, err
	}
	out := &Result{Plan: pl, Equal: true}
	for i, r := range v.logs.Results {
		if !r.When.IsZero() && !v.holds(key("results", i, "when")) {
			continue
		}
		if n, ok := v.num(key("results", i, "of")); ok {
			out.Results = append(out.Results, Number{r.Name, r.Label, r.Unit, n})
		}
	}
	out.Findings = v.findings()
	for i := range out.Findings {
		f := &out.Findings[i]
		v.useLine(f.row)
		f.Steps = v.steps(nil, key("checks", f.check, "computed"))
	}
	if len(out.Findings) == 0 {
		return nil, v.nothing()
	}
	for i := range out.Findings {
		f := &out.Findings[i]
		if !f.Equal {
			out.Equal = false
			v.useLine(f.row)
			f.Why = v.equation(f)
		}
	}
	if !out.Equal {
		v.explain(req, out.Findings, slices.Concat(first, v.logs.Causes))
	}
	return out, nil
}

func key(list string, i int, field string) string { return fmt.Sprintf("%s.%d.%s", list, i, field) }

// compile compiles the schema's formulas for logs.
func (v *verifier) compile() error {
	scope := formula.NewScope()
	declared := map[string]bool{}
	input := func(name string, kind formula.Kind) {
		if !declared[name] {
			declared[name] = true
			scope.Input(name, kind, diag.Pos{})
		}
	}
	numbers := schema.Keys(v.logs.Values)
	for i := range v.planner.Schema().Fields {
		if f := &v.planner.Schema().Fields[i]; f.Type.Kinds == schema.KindWhole {
			numbers = append(numbers, f.Var)
		}
	}
	for _, name := range numbers {
		for _, prefix := range []string{schema.LogPrefix, schema.OffPrefix, schema.SumPrefix} {
			input(prefix+name, formula.Num)
		}
	}
	input(schema.LoggedVar, formula.Num)
	input(schema.ComputedVar, formula.Num)
	for name := range v.logs.Let {
		declared[name] = true
	}
	// Names that do not belong to the log belong to the plan.
	add := func(name string, src schema.Formula, want formula.Kind) {
		if src.IsZero() {
			return
		}
		scope.Formula(name, src, want)
		for _, read := range src.Names() {
			ref, ok := v.planner.Formulas().Ref(read)
			if ok && !declared[read] {
				v.reads = append(v.reads, read)
				input(read, v.planner.Formulas().Kind(ref))
			}
		}
	}
	for _, name := range schema.Keys(v.logs.Let) {
		add(name, v.logs.Let[name], formula.Any)
	}
	for i, r := range v.logs.Results {
		add(key("results", i, "of"), r.Of, formula.Num)
		add(key("results", i, "when"), r.When, formula.Bool)
	}
	for i, c := range v.logs.Checks {
		add(key("checks", i, "when"), c.When, formula.Bool)
		add(key("checks", i, "logged"), c.Logged, formula.Num)
		add(key("checks", i, "computed"), c.Computed, formula.Num)
		add(key("checks", i, "within"), c.Within, formula.Num)
		add(key("checks", i, "more"), c.More, formula.Num)
		for j, e := range c.Causes {
			add(key("checks", i, key("causes", j, "computed")), e.Computed, formula.Num)
		}
		for j, e := range c.Perhaps {
			add(key("checks", i, key("perhaps", j, "when")), e.When, formula.Bool)
		}
	}
	var err error
	if v.prog, err = scope.Compile(); err == nil {
		v.frame = v.prog.NewFrame()
	}
	return err
}

// load makes a plan for a request, and sets the values from the plan and the log.
func (v *verifier) load(req *plan.Request) (*plan.Plan, error) {
	plans, err := v.planner.Quantities(req)
	if err != nil {
		return nil, err
	}
	pl := plans[0]
	v.frame.Reset()
	for name, f := range v.log.Values {
		v.frame.SetName(schema.LogPrefix+name, valueOf(f.Num))
		v.frame.SetName(schema.OffPrefix+name, valueOf(f.Off))
		v.frame.SetName(schema.SumPrefix+name, valueOf(f.Sum))
	}
	frame := v.planner.NewFrame()
	frame.LoadPlan(pl)
	for _, name := range v.reads {
		ref, _ := v.planner.Formulas().Ref(name)
		if value, err := frame.Values().Eval(ref); err == nil {
			v.frame.SetName(name, value)
		}
	}
	ios := int64(0)
	for _, other := range plans {
		if n, ok := other.Value(batchVar); ok && other.Stage() == pl.Stage() {
			count, _ := n.Num.Int64()
			ios += count
		}
	}
	v.frame.SetName(batchVar, formula.Number(ios))
	return pl, nil
}

// batchVar is the name of a quantity: the number of I/Os of the same size.
const batchVar = "batch_size"

func valueOf(n formula.Rat) formula.Value { return formula.Value{Kind: formula.Num, Num: n} }

// num returns the number that a formula yields, or false if the log lacks a value that the
// formula needs.
func (v *verifier) num(name string) (formula.Rat, bool) {
	ref, ok := v.prog.Ref(name)
	if !ok {
		return formula.Rat{}, false
	}
	n, err := v.frame.Num(ref)
	return n, err == nil
}

// holds reports whether a condition is true.
func (v *verifier) holds(name string) bool {
	ref, ok := v.prog.Ref(name)
	if !ok {
		return false
	}
	holds, err := v.frame.Bool(ref)
	return err == nil && holds
}

// findings returns one finding for each check name that has an applicable check. If a check
// compares every line, its finding is for the first line that differs.
func (v *verifier) findings() []Finding {
	var list []Finding
	for i := range v.logs.Checks {
		what := v.logs.Checks[i].What
		if slices.ContainsFunc(v.logs.Checks[:i], func(c schema.LogCheck) bool { return c.What == what }) {
			continue
		}
		if f, ok := v.first(what); ok {
			list = append(list, f)
		}
	}
	return list
}

// first returns the first finding with the given name whose numbers differ or, if there is
// no such finding, the first finding with that name.
func (v *verifier) first(what string) (first Finding, found bool) {
	for _, row := range v.rows(what) {
		v.useLine(row)
		if f, ok := v.apply(what); ok && (!found || !f.Equal) {
			first, found = f, true
		}
		if found && !first.Equal {
			break
		}
	}
	return first, found
}

// apply returns the finding of the first applicable check with the given name.
func (v *verifier) apply(what string) (Finding, bool) {
	for i := range v.logs.Checks {
		if v.logs.Checks[i].What == what {
			if f, ok := v.finding(i); ok {
				return f, true
			}
		}
	}
	return Finding{}, false
}

// rows returns the numbers of each line if the checks with the given name compare every
// line. Otherwise, it returns one nil row.
func (v *verifier) rows(what string) []map[string]*Found {
	for i := range v.logs.Checks {
		if v.logs.Checks[i].What != what {
			continue
		}
		for _, read := range v.logs.Checks[i].Logged.Names() {
			if rows := v.log.rows[strings.TrimPrefix(read, schema.LogPrefix)]; rows != nil {
				return rows
			}
		}
	}
	return []map[string]*Found{nil}
}

// useLine sets the log's values to the values in a line.
func (v *verifier) useLine(row map[string]*Found) {
	v.row = row
	for name, f := range row {
		v.frame.SetName(schema.LogPrefix+name, valueOf(f.Num))
		v.frame.SetName(schema.OffPrefix+name, valueOf(f.Off))
	}
}

// value returns the value from the log that a prefixed name refers to.
func (v *verifier) value(name string) (*Found, bool) {
	for _, prefix := range []string{schema.LogPrefix, schema.SumPrefix} {
		if short, ok := strings.CutPrefix(name, prefix); ok {
			if f := v.row[short]; f != nil {
				return f, true
			}
			f, ok := v.log.Values[short]
			return f, ok
		}
	}
	return nil, false
}

// finding returns the finding for a check, and whether the check applies.
func (v *verifier) finding(i int) (Finding, bool) {
	c := &v.logs.Checks[i]
	f := Finding{What: c.What, Unit: c.Unit, check: i, row: v.row}
	if c.Engines != nil && !slices.Contains(c.Engines, v.log.Engine) || !c.When.IsZero() && !v.holds(key("checks", i, "when")) {
		return f, false
	}
	var ok [2]bool
	f.Logged, ok[0] = v.num(key("checks", i, "logged"))
	f.Computed, ok[1] = v.num(key("checks", i, "computed"))
	if !ok[0] || !ok[1] {
		return f, false
	}
	f.Equal, ok[0] = v.equal(i, f.Logged, f.Computed)
	for _, read := range c.Logged.Names() {
		if value, found := v.value(read); found && f.At.IsZero() {
			f.At = value.At
		}
	}
	return f, ok[0]
}

// steps appends a value, and the values that it was computed from, to a list of steps.
func (v *verifier) steps(list []Step, name string) []Step {
	ref, ok := v.prog.Ref(name)
	if !ok || slices.ContainsFunc(list, func(s Step) bool { return s.Name == name }) {
		return list
	}
	e, err := v.frame.Explain(ref)
	if err != nil {
		return list
	}
	s := Step{Name: name, Value: e.Value, Formula: e.Source.Text, Values: e.Values}
	if found, ok := v.value(name); ok {
		s.Line = found.At.Line
	}
	list = append(list, s)
	for _, part := range e.Parts {
		list = v.steps(list, v.prog.Name(part))
	}
	return list
}

// equal reports whether a logged number equals the computed number, allowing for rounding.
func (v *verifier) equal(check int, logged, computed formula.Rat) (equal, ok bool) {
	within, ok1 := v.num(key("checks", check, "within"))
	more, ok2 := v.num(key("checks", check, "more"))
	diff, err1 := logged.Sub(computed)
	low, err2 := within.Neg()
	high, err3 := within.Add(more)
	return diff.Cmp(low) >= 0 && diff.Cmp(high) <= 0, ok1 && ok2 && err1 == nil && err2 == nil && err3 == nil
}

// equation looks for another way to compute the logged number. It returns the reason why
// the engine may compute the number in that way, or "".
func (v *verifier) equation(f *Finding) string {
	for j, cause := range v.logs.Checks[f.check].Causes {
		if n, ok := v.num(key("checks", f.check, key("causes", j, "computed"))); ok {
			if equal, ok := v.equal(f.check, f.Logged, n); ok && equal {
				return cause.Why
			}
		}
	}
	return ""
}

// possibleCause returns a cause that cannot be confirmed by computing the number, or "".
func (v *verifier) possibleCause(f *Finding) string {
	v.frame.SetName(schema.LoggedVar, valueOf(f.Logged))
	v.frame.SetName(schema.ComputedVar, valueOf(f.Computed))
	for j, p := range v.logs.Checks[f.check].Perhaps {
		if v.holds(key("checks", f.check, key("perhaps", j, "when"))) {
			return p.Why
		}
	}
	return ""
}

// explain explains why numbers are unequal. It looks for configurations that would make
// them equal, and prefers a configuration that does not make other numbers unequal. If
// there is none, it uses, in this order: a possible cause that cannot be confirmed, a
// configuration that makes other numbers unequal, or a configuration that makes the
// numbers equal only if the engine also computed the logged number in another way.
func (v *verifier) explain(req *plan.Request, list []Finding, causes []schema.LogCause) {
	others := make([][2]string, len(list))
	for _, cause := range causes {
		other, flags, changed := v.withFields(req, cause.Set)
		if !changed {
			continue
		}
		if _, err := v.load(other); err != nil {
			continue
		}
		now := v.findings()
		breaks := slices.ContainsFunc(now, func(n Finding) bool {
			return !n.Equal && slices.ContainsFunc(list, func(f Finding) bool { return f.What == n.What && f.Equal })
		})
		for i := range list {
			f := &list[i]
			at := slices.IndexFunc(now, func(n Finding) bool { return n.What == f.What })
			if f.Equal || f.Why != "" || at < 0 {
				continue
			}
			why := cause.Why + " (" + flags + ")"
			switch {
			case now[at].Equal && !breaks:
				f.Why = why
			case now[at].Equal:
				others[i][0] = orElse(others[i][0], why)
			default:
				v.useLine(now[at].row)
				if also := v.equation(&now[at]); also != "" {
					others[i][1] = orElse(others[i][1], why+", and "+also)
				}
			}
		}
	}
	if _, err := v.load(req); err != nil {
		return
	}
	for i := range list {
		if f := &list[i]; !f.Equal && f.Why == "" {
			v.useLine(f.row)
			f.Why = orElse(v.possibleCause(f), orElse(others[i][0], others[i][1]))
		}
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// withFields returns a copy of the request in which configuration fields are set to the
// given values. It also returns the flags that set these values. changed is true if any
// value is different.
func (v *verifier) withFields(req *plan.Request, set map[string]formula.Value) (other *plan.Request, flags string, changed bool) {
	one, cfg := *req, *req.Config
	cfg.Values = maps.Clone(cfg.Values)
	one.Config = &cfg
	settled := v.planner.Settled(req)
	var words []string
	for _, name := range schema.Keys(set) {
		value := set[name]
		now := cfg.Values[name].Value
		if own, ok := settled[name]; ok {
			now = own.Value
		}
		changed = changed || now.Text() != value.Text()
		flag := name
		for i := range v.planner.Schema().Fields {
			if f := &v.planner.Schema().Fields[i]; f.Var == name && f.Flag != "" {
				flag = f.Flag
			}
		}
		words = append(words, "--"+flag+" "+value.Text())
		cfg.Values[name] = data.Fact{Value: value, Origin: data.Origin{Kind: data.FromFlag, Name: flag}}
	}
	return &one, strings.Join(words, " "), changed
}

// nothing returns the error for a log that contains known lines, but no numbers that can be
// compared with each other.
func (v *verifier) nothing() error {
	var found []string
	for _, name := range schema.Keys(v.log.Values) {
		if value, ok := v.logs.Values[name]; ok {
			found = append(found, fmt.Sprintf("%s (line %d)", value.Doc, v.log.Values[name].At.Line))
		}
	}
	if found == nil {
		found = []string{"settings"}
	}
	return diag.Errorf(diag.Pos{File: v.log.At.File}, "the log does not contain enough numbers to compare: it contains only %s", strings.Join(found, ", ")).
		WithHint("use the whole log, from engine startup on, because kvbench compares numbers that depend on each other, such as tokens and memory")
}
