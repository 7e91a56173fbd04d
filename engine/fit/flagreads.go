package fit

import (
	"maps"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Unread is a flag of nixlbench that was given and that nixlbench does not
// read as it is started.
type Unread struct {
	Flag   *schema.Flag
	Origin data.Origin
	// Needs says in words what to give so that nixlbench reads it.
	Needs string
	// Instead are flags that do the same and that nixlbench reads with Backend.
	Instead []string
	Backend string
}

// UnreadFlags returns those of the given flags that a release does not read, with
// any value of those that have several. With runs, what a run itself may set does
// not count against a flag.
func UnreadFlags(bench *schema.Nixlbench, release string, given map[string]data.Fact, several []Axis, runs bool) ([]Unread, error) {
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
			list = append(list, Unread{bench.Flags[name], given[name].Origin, needs, r.instead(name), r.backend()})
		}
	}
	return list, nil
}

// maxReads is how many combinations of values are looked at: where there are
// more, every flag counts as read.
const maxReads = 256

// readsOfAll tells which flags a release reads with each combination of their
// values; nothing where there are too many.
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

// lackedByAll says in words what nixlbench would read a flag with, or "" if it
// reads it in one of the cases.
func lackedByAll(all []*flagReads, name string) (needs string, err error) {
	for _, r := range all {
		if needs, err = r.lacks(name); needs == "" || err != nil {
			return "", err
		}
	}
	return needs, nil
}

// flagReads tells which of some given flags a release reads.
type flagReads struct {
	bench   *schema.Nixlbench
	release string
	given   map[string]formula.Value
	prog    *formula.Program
	frame   *formula.Frame
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

// defaultIn returns what formulas read of a flag that is not given.
func defaultIn(n *schema.Nixlbench, f *schema.Flag, release string) formula.Value {
	if era := n.FlagIn(f, release); era != nil {
		return era.Default
	}
	return f.AbsentValue()
}

// lacks says in words what nixlbench would read a flag with, or "" if it reads it
// already.
func (r *flagReads) lacks(name string) (string, error) {
	f := r.bench.Flags[name]
	if f.Backends != nil && !slices.Contains(f.Backends, r.backend()) {
		return "--" + BackendFlag + " " + alternatives(r.backendsOf(f)), nil
	}
	ref, ok := r.prog.Ref(readsPrefix + name)
	if !ok {
		return "", nil
	}
	if read, err := r.frame.Bool(ref); err != nil || read {
		return "", err
	}
	return f.Reads.Needs, nil
}

// instead returns the flags that do the same as one that the backend does not read,
// and that it does.
func (r *flagReads) instead(name string) []string {
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

// backendsOf returns the backends that read a flag: those of the release, if it has
// the flag.
func (r *flagReads) backendsOf(f *schema.Flag) []string {
	if r.bench.FlagIn(f, r.release) == nil {
		return f.Backends
	}
	return slices.DeleteFunc(slices.Clone(f.Backends), func(name string) bool {
		return !r.bench.In(r.bench.Backends[name].Era, r.release)
	})
}

// dependsOnRun reports whether a run may set a flag that decides whether another
// is read.
func (r *flagReads) dependsOnRun(name string) bool {
	ref, ok := r.prog.Ref(readsPrefix + name)
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

// alternatives lists names as in "A, B or C".
func alternatives(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Note says that nixlbench does not read the flag, and what to do.
func (u *Unread) Note() *diag.Diag {
	d := diag.Notef(diag.Pos{}, "%s has no effect: nixlbench reads it only with %s", u.Origin, u.Needs).
		WithHint("omit it, or use %s", u.Needs)
	for _, name := range u.Instead {
		d.WithHint("with --%s %s, --%s does the same", BackendFlag, u.Backend, name)
	}
	return d
}

// Axis is a flag of nixlbench that has several values.
type Axis struct {
	*schema.Flag
	Values []data.Fact
}
