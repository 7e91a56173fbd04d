package fit

import (
	"maps"
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Unread is a nixlbench flag that is set, although nixlbench would not read it.
type Unread struct {
	Flag   *schema.Flag
	Origin data.Origin
	// Needs describes what must be set for nixlbench to read the flag.
	Needs string
	// Instead contains equivalent flags that nixlbench reads with Backend, the selected
	// backend.
	Instead []string
	Backend string
}

// UnreadFlags returns the flags that are set but that a release ignores for every
// combination of the flags' values. If runs is true, it omits flags that nixlbench may read
// because of further flags that a run sets.
func UnreadFlags(bench *schema.Nixlbench, release string, given map[string]data.Fact, several []Axis, runs bool) ([]Unread, error) {
	if len(given) == 0 {
		return nil, nil
	}
	axes := slices.Clone(several)
	for _, name := range schema.Keys(given) {
		if !slices.ContainsFunc(axes, func(x Axis) bool { return x.Name == name }) {
			axes = append(axes, Axis{bench.Flags[name], []data.Fact{given[name]}})
		}
	}
	all, err := readsOfAll(bench, release, axes)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	r := all[0]
	var list []Unread
	for _, name := range schema.Keys(given) {
		if runs && r.dependsOnRun(name) {
			continue
		}
		needs, err := lackedByAll(all, name)
		if err != nil {
			return nil, err
		}
		if needs != "" {
			list = append(list, Unread{bench.Flags[name], given[name].Origin, needs, r.alternatives(name), r.backend()})
		}
	}
	return list, nil
}

// maxReads is the maximum number of combinations of values to examine. If there are more,
// kvbench assumes that nixlbench reads every flag.
const maxReads = 256

// readsOfAll determines which flags a release reads for each combination of their values.
// It returns nil if there are too many combinations.
func readsOfAll(n *schema.Nixlbench, release string, axes []Axis) ([]*flagReads, error) {
	list := []map[string]formula.Value{{}}
	for _, axis := range axes {
		if len(list)*len(axis.Values) > maxReads {
			return nil, nil
		}
		var more []map[string]formula.Value
		for _, settings := range list {
			for _, v := range axis.Values {
				with := maps.Clone(settings)
				with[axis.Name] = v.Value
				more = append(more, with)
			}
		}
		list = more
	}
	all := make([]*flagReads, len(list))
	for i, settings := range list {
		var err error
		if all[i], err = newFlagReads(n, release, settings); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// lackedByAll describes what must be set for nixlbench to read a flag. It returns "" if
// nixlbench reads the flag for any of the combinations.
func lackedByAll(all []*flagReads, name string) (needs string, err error) {
	for _, r := range all {
		if needs, err = r.lacks(name); needs == "" || err != nil {
			return "", err
		}
	}
	return needs, nil
}

// flagReads determines which of the user's flags a release reads.
type flagReads struct {
	bench   *schema.Nixlbench
	release string
	given   map[string]formula.Value
	// prog contains the conditions for reading flags. It is nil if there are none.
	prog  *formula.Program
	frame *formula.Frame
}

const readsPrefix = "reads."

func newFlagReads(n *schema.Nixlbench, release string, given map[string]formula.Value) (*flagReads, error) {
	r := &flagReads{bench: n, release: release, given: given}
	scope := formula.NewScope()
	for _, name := range schema.Keys(given) {
		if when := n.Flags[name].Reads.When; !when.IsZero() {
			scope.Formula(readsPrefix+name, when, formula.Bool)
		}
	}
	if scope.IsEmpty() {
		return r, nil
	}
	for _, name := range schema.Keys(n.Flags) {
		scope.Default(name, defaultIn(n, n.Flags[name], release))
	}
	var err error
	if r.prog, err = scope.Compile(); err != nil {
		return nil, err
	}
	r.frame = r.prog.NewFrame()
	for name, v := range given {
		r.frame.SetName(name, v)
	}
	return r, nil
}

// defaultIn returns the value that formulas read for a flag that is not set.
func defaultIn(n *schema.Nixlbench, f *schema.Flag, release string) formula.Value {
	if era := n.FlagIn(f, release); era != nil {
		return era.Default
	}
	return f.AbsentValue()
}

// lacks describes what must be set for nixlbench to read a flag, or returns ""
// if nixlbench already reads the flag.
func (r *flagReads) lacks(name string) (string, error) {
	f := r.bench.Flags[name]
	if f.Backends != nil && !slices.Contains(f.Backends, r.backend()) {
		return "--" + BackendFlag + " " + alternatives(r.backendsOf(f)), nil
	}
	ref, ok := r.condition(name)
	if !ok {
		return "", nil
	}
	if read, err := r.frame.Bool(ref); err != nil || read {
		return "", err
	}
	return f.Reads.Needs, nil
}

// condition returns the condition that must hold for the release to read a flag, if there
// is one.
func (r *flagReads) condition(name string) (formula.Ref, bool) {
	if r.prog == nil {
		return 0, false
	}
	return r.prog.Ref(readsPrefix + name)
}

// alternatives returns the flags that are equivalent to the named one and that the backend
// reads.
func (r *flagReads) alternatives(name string) []string {
	return slices.DeleteFunc(slices.Clone(r.bench.Flags[name].Instead), func(other string) bool {
		return !slices.Contains(r.bench.Flags[other].Backends, r.backend())
	})
}

func (r *flagReads) backend() string {
	if v, ok := r.given[BackendFlag]; ok {
		return v.Str
	}
	return defaultIn(r.bench, r.bench.Flags[BackendFlag], r.release).Str
}

// backendsOf returns the backends that read a flag. If the release has the flag,
// only backends in the release are included.
func (r *flagReads) backendsOf(f *schema.Flag) []string {
	if r.bench.FlagIn(f, r.release) == nil {
		return f.Backends
	}
	return slices.DeleteFunc(slices.Clone(f.Backends), func(name string) bool {
		return !r.bench.In(r.bench.Backends[name].Era, r.release)
	})
}

// dependsOnRun reports whether a run may set a flag that determines whether
// another flag is read.
func (r *flagReads) dependsOnRun(name string) bool {
	ref, ok := r.condition(name)
	if !ok {
		return false
	}
	for _, m := range r.bench.Runs.Get().Meetings {
		for _, input := range r.prog.Inputs(ref) {
			_, sets := m.Set[input]
			if _, given := r.given[input]; sets && !given {
				return true
			}
		}
	}
	return false
}

// alternatives joins names as in "A, B or C".
func alternatives(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Note returns a note about a flag that nixlbench does not read. Its hint says how to fix
// that.
func (u *Unread) Note() *diag.Diag {
	pos, name := diag.Pos{}, u.Origin.String()
	if u.Origin.Kind == data.FromFile {
		pos, name = u.Origin.Pos, config.SweepSection+"."+u.Flag.Name
	}
	d := diag.Notef(pos, "%s has no effect: nixlbench reads it only with %s", name, u.Needs).
		WithHint("omit it, or use %s", u.Needs)
	for _, name := range u.Instead {
		d.WithHint("with --%s %s, --%s does the same", BackendFlag, u.Backend, name)
	}
	return d
}

// Axis is a nixlbench flag with several values.
type Axis struct {
	*schema.Flag
	Values []data.Fact
}
