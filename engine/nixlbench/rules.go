package nixlbench

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// Facts are values known only during a run, for use in formulas.
type Facts struct {
	Launch string // pair or single
	// InPlace is the name of the program that runs in place of nixlbench, or "".
	InPlace  string
	FreePort int64
	// EtcdLocal reports whether all etcd servers are on this machine.
	EtcdLocal bool
	// DIOAlign is the alignment in bytes that the folder's file system requires for
	// direct I/O, or 0 if unknown.
	DIOAlign int64
	// FilesThere is the number of the run's files that existed before the command started.
	// FilesShort is the number of those files that are too short for the run.
	FilesThere, FilesShort int64
	// Readings contains the values that could be read from the machine, keyed by name.
	Readings map[string]int64
	// The following fields describe the outcome of the run. Rank is -1 if unknown.
	Rank, Failed                                          int64
	Rows, OddRows, UnaskedRows, RepeatedRows, MissingRows int64
	Errors                                                string
}

func (f *Facts) values() map[string]formula.Value {
	return map[string]formula.Value{
		"launch":        formula.Text(f.Launch),
		"in_place":      formula.Text(f.InPlace),
		"free_port":     formula.Number(f.FreePort),
		"etcd_local":    formula.Truth(f.EtcdLocal),
		"dio_align":     formula.Number(f.DIOAlign),
		"files_there":   formula.Number(f.FilesThere),
		"files_short":   formula.Number(f.FilesShort),
		"rank":          formula.Number(f.Rank),
		"failed":        formula.Number(f.Failed),
		"rows":          formula.Number(f.Rows),
		"odd_rows":      formula.Number(f.OddRows),
		"unasked_rows":  formula.Number(f.UnaskedRows),
		"repeated_rows": formula.Number(f.RepeatedRows),
		"missing_rows":  formula.Number(f.MissingRows),
		"errors":        formula.Text(f.Errors),
	}
}

// Needs describes what a run needs.
type Needs struct {
	Processes, Initiators, Targets int
	// Remote reports whether the other side is on another machine.
	Remote bool
	// Etcd lists the etcd servers, at least one of which must respond. It is "" if the
	// run does not need etcd.
	Etcd string
	// Memory is the size of the memory that the run needs, in bytes. Disk is the total
	// size, in bytes, of the files that the run leaves behind: the files in Dir that
	// match Pattern, or the files in Paths.
	Memory, Disk int64
	Dir, Pattern string
	Paths        []string
}

// Rules contains the data's rules for running plans of one release and backend. They are
// not safe for concurrent use.
type Rules struct {
	bench   *schema.Nixlbench
	release string
	backend *schema.Backend
	prog    *formula.Program
	frame   *formula.Frame
	// The following fields contain the rules for the release and the backend.
	advice    []*schema.Advice
	obstacles []*schema.Obstacle
	excuses   []*schema.Excuse
	doubts    []*schema.Doubt
	refusals  map[string][]*schema.Refusal
	notes     map[string][]*schema.ProgramNote
}

// These constants name the tables of rules. They are the prefixes of the formulas' names.
const (
	adviceTable    = "advice."
	obstaclesTable = "obstacles."
	excusesTable   = "excuses."
	doubtsTable    = "doubts."
)

// NewRules compiles the rules.
func NewRules(s *schema.Schema, release, backend string) (*Rules, error) {
	r := &Rules{bench: &s.Nixlbench, release: release, backend: s.Nixlbench.Backends[backend]}
	if r.backend == nil {
		return nil, diag.Errorf(diag.Pos{}, "unknown backend %s", backend)
	}
	scope := formula.NewScope()
	for i := range s.Fields {
		scope.Input(s.Fields[i].Var, s.Fields[i].Type.Kinds.Formula(), s.Fields[i].Pos)
	}
	for name, v := range new(Facts).values() {
		scope.Input(name, v.Kind, diag.Pos{})
	}
	for name := range r.bench.Runs.Get().Readings {
		scope.Default(name, formula.Number(-1))
	}
	for _, name := range schema.Keys(r.bench.Flags) {
		f := r.bench.Flags[name]
		if era := r.bench.FlagIn(f, release); era != nil {
			scope.Default(name, era.Default)
		} else {
			scope.Default(name, f.AbsentValue())
		}
	}
	add := func(name string, f schema.Formula, kind formula.Kind) {
		if !f.IsZero() {
			scope.Formula(name, f, kind)
		}
	}
	for _, name := range schema.Keys(r.bench.Let) {
		add(name, r.bench.Let[name], formula.Any)
	}
	runs := r.bench.Runs.Get()
	class := runs.Classes[r.backend.Class]
	add("initiators", class.Initiators, formula.Num)
	add("targets", class.Targets, formula.Num)
	add("processes", class.Processes, formula.Num)
	add("etcd", class.Etcd, formula.Str)
	add("remote", class.Remote, formula.Bool)
	add("silent", class.Silent, formula.Bool)
	add("memory", class.Memory, formula.Num)
	add("timeout", runs.Timeout, formula.Num)
	add("files.in", r.backend.Files.In, formula.Str)
	add("files.names", r.backend.Files.Names, formula.Str)
	add("files.paths", r.backend.Files.Paths, formula.Str)
	for _, m := range runs.Meetings {
		add("meetings."+m.Name, m.When, formula.Bool)
		for _, flag := range schema.Keys(m.Set) {
			add("meetings."+m.Name+"."+flag, m.Set[flag], formula.Any)
		}
	}
	for _, m := range runs.Measures {
		if m.Asked != nil {
			add("asked."+m.Key+".first", m.Asked.First, formula.Num)
			add("asked."+m.Key+".last", m.Asked.Last, formula.Num)
		}
	}
	for _, m := range runs.Measures {
		if m.ID {
			scope.Input(rowPrefix+m.Value, formula.Num, diag.Pos{})
		}
	}
	for _, name := range schema.Keys(runs.Timed) {
		add("timed."+name, runs.Timed[name], formula.Num)
	}
	declareTuning(&runs.Tuning, add)
	r.advice = rulesOf(r, scope, adviceTable, backend, runs.Advice)
	r.obstacles = rulesOf(r, scope, obstaclesTable, backend, runs.Obstacles)
	r.excuses = rulesOf(r, scope, excusesTable, backend, runs.Excuses)
	r.doubts = rulesOf(r, scope, doubtsTable, backend, runs.Doubts)
	r.addPrograms(s, scope, backend)
	var err error
	if r.prog, err = scope.Compile(); err != nil {
		return nil, err
	}
	r.frame = r.prog.NewFrame()
	return r, nil
}

// ruled is implemented by every kind of rule.
type ruled interface{ Common() *schema.RunRule }

// rulesOf declares and returns the rules of a table that apply to the release and the
// backend.
func rulesOf[T any, P interface {
	*T
	ruled
}](r *Rules, scope *formula.Scope, table, backend string, all []T) []P {
	var list []P
	for i := range all {
		rule := P(&all[i])
		c := rule.Common()
		if r.bench.In(c.Era, r.release) && (c.Backends == nil || slices.Contains(c.Backends, backend)) {
			list = append(list, rule)
			scope.Formula(table+c.Name, c.When, formula.Bool)
		}
	}
	return list
}

// holding returns a table's rules whose conditions are true for the loaded plan and
// facts.
func holding[R ruled](r *Rules, table string, all []R) ([]R, error) {
	var errs diag.List
	var list []R
	for _, rule := range all {
		if r.eval(table+rule.Common().Name, &errs).Bool {
			list = append(list, rule)
		}
	}
	return list, errs.Err()
}

func (r *Rules) set(name string, v formula.Value) {
	if ref, ok := r.prog.Ref(name); ok && r.prog.Kind(ref) == v.Kind {
		r.frame.Set(ref, v)
	}
}

// load sets the inputs of the formulas: the plan's configuration, these flags, and the
// run's facts.
func (r *Rules) load(pl *plan.Plan, flags []fit.Flag, facts *Facts) {
	r.frame.Reset()
	for name, v := range pl.Request.Config.Values {
		r.set(name, v.Value)
	}
	for _, f := range flags {
		r.set(f.Name, f.Value)
	}
	for name, v := range facts.values() {
		r.set(name, v)
	}
	for name, n := range facts.Readings {
		r.set(name, formula.Number(n))
	}
}

var inBraces = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{(\w+)\}`) })

// fill replaces names in braces with their values. Strings are quoted as needed for a
// shell, because some are in commands that users copy.
func (r *Rules) fill(message string) string {
	return inBraces().ReplaceAllStringFunc(message, func(s string) string {
		ref, ok := r.prog.Ref(s[1 : len(s)-1])
		if !ok {
			return s
		}
		v, err := r.frame.Eval(ref)
		if err != nil {
			return s
		}
		if v.Kind == formula.Str && v.Str != "" {
			return Quote(v.Str)
		}
		return v.Text()
	})
}

// eval returns the value of a formula, or the zero value if the data does not define the
// formula.
func (r *Rules) eval(name string, errs *diag.List) formula.Value {
	ref, ok := r.prog.Ref(name)
	if !ok {
		return formula.Value{}
	}
	v, err := r.frame.Eval(ref)
	errs.Add(err)
	return v
}

// Needs returns what a run needs.
func (r *Rules) Needs(pl *plan.Plan, flags []fit.Flag, facts *Facts) (Needs, error) {
	r.load(pl, flags, facts)
	var errs diag.List
	n := Needs{
		Remote: r.eval("remote", &errs).Bool,
		Etcd:   r.eval("etcd", &errs).Str,
		Dir:    r.eval("files.in", &errs).Str,
	}
	count := func(name string) int {
		n, _ := r.eval(name, &errs).Num.Int64()
		return int(n)
	}
	n.Processes, n.Initiators, n.Targets = count("processes"), count("initiators"), count("targets")
	n.Memory, _ = r.eval("memory", &errs).Num.Int64()
	n.Pattern = r.eval("files.names", &errs).Str
	if paths := r.eval("files.paths", &errs).Str; paths != "" {
		n.Paths = strings.Split(paths, ",")
	}
	if n.Pattern != "" {
		n.Disk, _ = r.eval("buffer_size", &errs).Num.Int64()
	}
	return n, errs.Err()
}

// Group identifies the group in which the processes of a run find each other.
type Group struct {
	// Name is the name of the group, unless the user sets one.
	Name string
	// Number is the number of the run. After the first run, it is appended to the name, so
	// each run has its own group.
	Number int
}

// set sets the group's flag.
func (g Group) set(f *fit.Flag) {
	if f.From != fit.Given {
		f.Value = formula.Value{Kind: formula.Str, Str: g.Name}
		f.From, f.Emit = fit.Run, true
	}
	if g.Number > 1 {
		f.Value.Str += "-" + strconv.Itoa(g.Number)
		f.Emit = true
	}
}

// Meet sets flags so that the run's processes find each other. It returns all of the
// plan's flags, with these set, and the flag that names the processes' group, or nil if
// there is no such flag. It does not change values set by the user, except that it may
// append the run's number to the group's name. If in (the installed program) is not nil,
// Meet sets only flags that the program has.
func (r *Rules) Meet(pl *plan.Plan, facts *Facts, g Group, in *Installed) ([]fit.Flag, *fit.Flag, error) {
	var errs diag.List
	for _, m := range r.bench.Runs.Get().Meetings {
		r.load(pl, pl.Flags, facts)
		flags := slices.Clone(pl.Flags)
		all := true
		find := func(name string) *fit.Flag {
			i := slices.IndexFunc(flags, func(f fit.Flag) bool { return f.Name == name })
			if i < 0 || in != nil && in.Flags[name].Type == "" {
				all = false
				return nil
			}
			return &flags[i]
		}
		for _, name := range schema.Keys(m.Set) {
			if f := find(name); f != nil && f.From != fit.Given {
				f.Value = r.eval("meetings."+m.Name+"."+name, &errs)
				f.From, f.Emit = fit.Run, true
			}
		}
		var group *fit.Flag
		if m.Group != "" {
			if group = find(m.Group); group != nil {
				g.set(group)
			}
		}
		r.load(pl, flags, facts)
		if all && r.eval("meetings."+m.Name, &errs).Bool {
			return flags, group, errs.Err()
		}
	}
	return pl.Flags, nil, errs.Err()
}

// Verdict is what the rules conclude about a run: the reasons not to trust its result,
// notes, and quiet notes, which are recorded but not printed.
type Verdict struct{ Reasons, Notes, Quiet []string }

// Doubts returns the verdict on a run.
func (r *Rules) Doubts(pl *plan.Plan, flags []fit.Flag, facts *Facts) (Verdict, error) {
	r.load(pl, flags, facts)
	list, err := holding(r, doubtsTable, r.doubts)
	var v Verdict
	for _, d := range list {
		to := &v.Reasons
		switch {
		case d.Quiet:
			to = &v.Quiet
		case d.Note:
			to = &v.Notes
		}
		*to = append(*to, r.fill(d.Message))
	}
	return v, err
}

// Timeout returns the maximum number of seconds for a run, or 0 if it cannot be
// computed.
func (r *Rules) Timeout(pl *plan.Plan, flags []fit.Flag, facts *Facts) int64 {
	r.load(pl, flags, facts)
	n, _ := r.eval("timeout", new(diag.List)).Num.Int64()
	return max(n, 0)
}

// Asked returns the rows that a run is expected to print, or nil if they are unknown.
func (r *Rules) Asked(pl *plan.Plan, flags []fit.Flag, facts *Facts) (*Asked, error) {
	r.load(pl, flags, facts)
	var errs diag.List
	a := &Asked{ids: map[string]bool{"": true}}
	for _, m := range r.bench.Runs.Get().Measures {
		if m.Asked == nil {
			continue
		}
		first, _ := r.eval("asked."+m.Key+".first", &errs).Num.Int64()
		last, _ := r.eval("asked."+m.Key+".last", &errs).Num.Int64()
		if first < 1 {
			return nil, errs.Err()
		}
		values := []int64{}
		for v := first; v <= last; v *= m.Asked.Times {
			values = append(values, v)
			if v > last/m.Asked.Times {
				break
			}
		}
		a.cross(m.Key, values)
	}
	if len(a.keys) == 0 {
		return nil, errs.Err()
	}
	return a, errs.Err()
}

// rowPrefix is the prefix of a measure's name in formulas about a row.
const rowPrefix = "row_"

// AddTimed adds the number of timed iterations and the number of samples to each row, if
// they are known.
func (r *Rules) AddTimed(pl *plan.Plan, flags []fit.Flag, facts *Facts, rows []Row) {
	runs := r.bench.Runs.Get()
	r.load(pl, flags, facts)
	for _, row := range rows {
		for _, m := range runs.Measures {
			ref, ok := r.prog.Ref(rowPrefix + m.Value)
			if n, err := strconv.ParseInt(string(row[m.Key]), 10, 64); ok && m.ID && err == nil {
				r.frame.SetNum(ref, formula.Int(n))
			}
		}
		for name := range runs.Timed {
			if n, whole := r.eval("timed."+name, new(diag.List)).Num.Int64(); whole && n > 0 {
				row[name] = Number(strconv.FormatInt(n, 10))
			}
		}
	}
}

// Advice returns what the user needs to know before a run on several machines.
func (r *Rules) Advice(pl *plan.Plan, flags []fit.Flag, facts *Facts) (hints []string, err error) {
	r.load(pl, flags, facts)
	list, err := holding(r, adviceTable, r.advice)
	for _, a := range list {
		hints = append(hints, a.Hint)
	}
	return hints, err
}

// Obstacles returns the reasons not to start a run, and warnings about it.
func (r *Rules) Obstacles(pl *plan.Plan, flags []fit.Flag, facts *Facts) (messages, warnings []string, err error) {
	r.load(pl, flags, facts)
	list, err := holding(r, obstaclesTable, r.obstacles)
	for _, o := range list {
		to := &messages
		if o.Warn {
			to = &warnings
		}
		*to = append(*to, r.fill(o.Message))
	}
	return messages, warnings, err
}

// Excuse returns the rule that excuses the failure of a run, or nil.
func (r *Rules) Excuse(pl *plan.Plan, flags []fit.Flag, facts *Facts) (*schema.Excuse, error) {
	r.load(pl, flags, facts)
	list, err := holding(r, excusesTable, r.excuses)
	if len(list) == 0 {
		return nil, err
	}
	return list[0], err
}
