// Package fit determines the values of nixlbench's flags. It picks a release that
// supports the requested values, finds flags that the release would ignore, and sets the
// flags that the backend needs to move data from the source to the destination. It checks
// flags against the release's limits and can adjust them to meet the limits. All rules
// are data; this package only interprets them.
package fit

import (
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// The names that have a special meaning in rules: the flag that selects the backend, the
// two sides of a transfer in the configuration, and the value of one command argument. A
// limit that reads ArgumentVar must be met for each argument.
const (
	BackendFlag    = "backend"
	SourceVar      = "source"
	DestinationVar = "destination"
	ArgumentVar    = "argument"
)

// The name prefixes of a release's formulas. takesPrefix is followed by a backend's name and
// by sideMemory or sideGPU.
const (
	limitPrefix = "limits."
	fixPrefix   = "fix."
	takesPrefix = "takes."
	leastPrefix = "least."
	sideMemory  = "memory"
	sideGPU     = "gpu"
)

// Release contains what a program declares for a nixlbench release: its flags, its
// backends' rules and its limits.
type Release struct {
	// Slots are the release's flags, sorted by name.
	Slots []Slot
	// From is the name that messages use for the setting that selected the release.
	From string

	bench   *schema.Nixlbench
	release string
	limits  []Limit
	prog    *formula.Program
}

// Slot is a flag of the release with a reference to its value in formulas.
type Slot struct {
	*schema.Flag
	Era     *schema.FlagEra
	Default formula.Value
	Ref     formula.Ref
	text    string // the text of the default
}

// Limit is a limit of the release with a reference to its condition in formulas.
type Limit struct {
	*schema.Limit
	Ref   formula.Ref
	Index int // the index among the limits of all releases
}

// Declare declares the release's flags, its backends' rules and its limits. computed
// contains formulas that override the flags' own formulas, keyed by flag. After the
// formulas are compiled, call [Release.Link].
//
// If commands is false, Declare declares only what other formulas may read, and the
// returned Release has no flags or limits.
func Declare(scope *formula.Scope, bench *schema.Nixlbench, release string, computed map[string]schema.Formula, commands bool) *Release {
	r := &Release{bench: bench, release: release, From: "--nixlbench_release"}
	scope.Input(ArgumentVar, formula.Str, diag.Pos{})
	if !commands {
		scope.Spare(func(scope *formula.Scope, name string) { r.declare(scope, name, computed) }, r.names)
		return r
	}
	for _, name := range r.names() {
		if f, era := r.declare(scope, name, computed); era != nil {
			r.Slots = append(r.Slots, Slot{Flag: f, Era: era, Default: era.Default, text: era.Default.String()})
		}
	}
	for _, name := range schema.Keys(bench.Least) {
		scope.Formula(leastPrefix+name, bench.Least[name], formula.Any)
	}
	for _, name := range schema.Keys(bench.Backends) {
		if b := bench.Backends[name]; bench.In(b.Era, release) {
			scope.Formula(takesPrefix+name+"."+sideMemory, b.Takes.Memory, formula.Bool)
			scope.Formula(takesPrefix+name+"."+sideGPU, b.Takes.GPU, formula.Bool)
		}
	}
	limits := bench.Limits.Get()
	for i := range limits {
		l := &limits[i]
		if !bench.In(l.Era, release) {
			continue
		}
		r.limits = append(r.limits, Limit{Limit: l, Index: i})
		scope.Formula(limitPrefix+l.Name, l.Require, formula.Bool)
		for _, flag := range schema.Keys(l.Fix) {
			scope.Formula(fixPrefix+l.Name+"."+flag, l.Fix[flag], formula.Any)
		}
	}
	return r
}

// names lists the names of the flags and of the formulas that other formulas may read.
func (r *Release) names() []string {
	return slices.Concat(schema.Keys(r.bench.Flags), schema.Keys(r.bench.Let))
}

// declare declares the flag or formula with the given name, if there is one. For a flag, it
// returns the flag and its era, which is nil if the release does not have the flag.
func (r *Release) declare(scope *formula.Scope, name string, computed map[string]schema.Formula) (*schema.Flag, *schema.FlagEra) {
	f := r.bench.Flags[name]
	if f == nil {
		if let, ok := r.bench.Let[name]; ok {
			scope.Formula(name, let, formula.Any)
		}
		return nil, nil
	}
	if own, ok := computed[name]; ok {
		copied := *f
		copied.Computed = own
		f = &copied
	}
	era := r.bench.FlagIn(f, r.release)
	switch {
	case era == nil:
		scope.Default(name, f.AbsentValue())
	case f.Computed.IsZero():
		scope.Default(name, era.Default)
	default:
		scope.Formula(name, f.Computed, era.Default.Kind)
	}
	return f, era
}

// Link resolves the declared names in the compiled program.
func (r *Release) Link(prog *formula.Program) {
	r.prog = prog
	for i := range r.Slots {
		r.Slots[i].Ref, _ = prog.Ref(r.Slots[i].Name)
	}
	for i := range r.limits {
		r.limits[i].Ref, _ = prog.Ref(limitPrefix + r.limits[i].Name)
	}
}

// Refs returns references to the values that determine the nixlbench command and its
// limits.
func (r *Release) Refs() []formula.Ref {
	var refs []formula.Ref
	for _, s := range r.Slots {
		refs = append(refs, s.Ref)
	}
	for _, l := range r.limits {
		refs = append(refs, l.Ref)
	}
	for name := range r.bench.Backends {
		refs = append(refs, r.takes(name)...)
	}
	return refs
}

// takes returns the conditions under which a backend accepts each kind of memory.
func (r *Release) takes(backend string) []formula.Ref {
	var refs []formula.Ref
	for _, side := range []string{sideMemory, sideGPU} {
		if ref, ok := r.prog.Ref(takesPrefix + backend + "." + side); ok {
			refs = append(refs, ref)
		}
	}
	return refs
}

// Decides reports whether an input may affect which of a backend's transfers is picked.
func (r *Release) Decides(backend, input string) bool {
	return input == SourceVar || input == DestinationVar ||
		slices.ContainsFunc(r.takes(backend), func(ref formula.Ref) bool { return r.prog.DependsOn(ref, input) })
}

// Limits returns the limits that apply to a backend.
func (r *Release) Limits(backend string) []Limit {
	return slices.DeleteFunc(slices.Clone(r.limits), func(l Limit) bool { return !l.on(backend) })
}

func (l *Limit) on(backend string) bool {
	return l.Backends == nil || slices.Contains(l.Backends, backend)
}

// OnArguments reports whether a limit applies to each argument of the command.
func (r *Release) OnArguments(l Limit) bool { return r.prog.Reads(l.Ref, ArgumentVar) }

// slot finds a flag of the release.
func (r *Release) slot(name string) (Slot, bool) {
	i, ok := slices.BinarySearchFunc(r.Slots, name, func(s Slot, name string) int { return strings.Compare(s.Name, name) })
	if !ok {
		return Slot{}, false
	}
	return r.Slots[i], true
}

// Backend returns the selected backend.
func (r *Release) Backend(values map[string]Value) (string, *schema.Backend) {
	name := values[BackendFlag].Str
	if name == "" {
		if s, ok := r.slot(BackendFlag); ok {
			name = s.Default.Str
		}
	}
	return name, r.bench.Backends[name]
}

// flagsOf returns the flags of the release that are computed from a quantity.
func (r *Release) flagsOf(quantity string) []string {
	var names []string
	for _, s := range r.Slots {
		if !s.Computed.IsZero() && slices.Contains(r.prog.Uses(s.Ref), quantity) {
			names = append(names, s.Name)
		}
	}
	return names
}

// InRange returns an error if a number does not fit the flag's type.
func (r *Release) InRange(s Slot, v formula.Value) error {
	if !r.accepts(s, v) {
		lo, hi := schema.Range(s.Era.Type)
		return diag.Errorf(s.Computed.Pos, "%s of nixlbench %s accepts whole numbers from %d to %d, not %s", s.Name, r.release, lo, hi, v.Num).About(diag.NotWhole, s.Name)
	}
	return nil
}

// accepts reports whether a number fits the flag's type.
func (r *Release) accepts(s Slot, v formula.Value) bool {
	if v.Kind != formula.Num {
		return true
	}
	lo, hi := schema.Range(s.Era.Type)
	n, whole := v.Num.Int64()
	return whole && n >= lo && n <= hi
}
