package fit

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Resolve returns the flags that are set: those that the user set, and those that the
// backend's rules derive from the source and destination. It also sets the source and
// destination in the request's configuration.
func (r *Fitter) Resolve(req *Request) (map[string]Value, error) {
	if err := r.checkGiven(req); err != nil {
		return nil, err
	}
	values := given(req)
	name, backend := r.Backend(values)
	if backend == nil {
		return nil, r.noBackend(name)
	}
	r.Apply(req, values)
	t, err := r.transfer(req, name, backend)
	if err != nil {
		return nil, err
	}
	req.Config.Values[SourceVar] = sideOf(req, SourceVar, t.Source)
	req.Config.Values[DestinationVar] = sideOf(req, DestinationVar, t.Destination)

	set, also := ruleSets(req, t)
	for _, flag := range schema.Keys(set) {
		values[flag] = ruled(req, values, flag, set[flag])
	}
	if flag := contradiction(req, set, also); flag != "" {
		want, ok := set[flag]
		if !ok {
			want = also[flag]
		}
		v := req.Flags[flag]
		return nil, v.Origin.Errorf("%s contradicts %s %s and %s %s, which require %s with backend %s", v.Str,
			SourceVar, sideText(req, SourceVar), DestinationVar, sideText(req, DestinationVar), want, name).
			WithHint("omit it, or choose another --%s or --%s", SourceVar, DestinationVar)
	}
	return values, nil
}

// given returns the flags set by the user.
func given(req *Request) map[string]Value {
	values := map[string]Value{}
	for name, v := range req.Flags {
		values[name] = Value{Value: v.Value, From: Given}
	}
	return values
}

// ruleSets returns two maps. The set map contains the flag values that a transfer sets. The
// also map contains flag values that the transfer does not set but that the user must not
// contradict. A fitted plan uses t.Fit, because its flags must describe what nixlbench
// really moves.
func ruleSets(req *Request, t *schema.Transfer) (set, also map[string]string) {
	if req.Fit && t.Fit != nil {
		return t.Fit, nil
	}
	return t.Set, t.Fit
}

// contradiction returns the first flag set by the user that contradicts the
// rules, or "".
func contradiction(req *Request, set, also map[string]string) string {
	for _, flag := range schema.Keys(req.Flags) {
		want, ok := set[flag]
		if !ok {
			want, ok = also[flag]
		}
		if ok && req.Flags[flag].Str != want {
			return flag
		}
	}
	return ""
}

// ruled returns the value of a flag for which there is a rule: the user's value if the
// user set the flag, or else the rule's value.
func ruled(req *Request, values map[string]Value, flag, value string) Value {
	if _, given := req.Flags[flag]; given {
		return values[flag]
	}
	return Value{Value: formula.Value{Kind: formula.Str, Str: value}, From: Rule}
}

// sideOf returns the value of a side of the transfer: the user's value if there is one,
// or else the rule's value.
func sideOf(req *Request, name, value string) data.Fact {
	if v, ok := req.Config.Values[name]; ok {
		return v
	}
	return data.Fact{Value: formula.Value{Kind: formula.Str, Str: value}, Origin: data.Origin{Kind: data.FromCommand, Name: BackendFlag}}
}

// sideText describes a side of the transfer and where it was set.
func sideText(req *Request, name string) string {
	v := req.Config.Values[name]
	if v.Origin.Given() {
		return v.Str + " (" + v.Origin.String() + ")"
	}
	return v.Str + " (the backend's default)"
}

// noBackend returns the error for a user-defined release that has no flag to select the
// backend, or whose default backend is unknown.
func (r *Release) noBackend(name string) error {
	if _, ok := r.slot(BackendFlag); !ok {
		return diag.Errorf(diag.Pos{}, "nixlbench %s does not have --%s, which selects how data is moved", r.release, BackendFlag).
			WithHint("add the flag to the release in the --releases file")
	}
	return diag.Errorf(diag.Pos{}, "unknown backend %q, the default of nixlbench %s", name, r.release).
		WithHint("use --%s, or correct the default in the --releases file", BackendFlag)
}

// transfer picks the backend's first transfer that matches the requested sides, the memory
// that the backend accepts and, if possible, the flags that the user set.
func (r *Fitter) transfer(req *Request, name string, b *schema.Backend) (*schema.Transfer, error) {
	takes := func(side string) bool {
		ref, ok := r.prog.Ref(takesPrefix + name + "." + side)
		if !ok {
			return true // the side is a file
		}
		yes, err := r.frame.Bool(ref)
		return err == nil && yes
	}
	given := func(v data.Fact, side string) bool { return v.Kind != formula.Str || v.Str == side }
	src, dst := req.Config.Values[SourceVar], req.Config.Values[DestinationVar]
	var possible, flags []string
	var first *schema.Transfer
	transfers := b.Transfers.Get()
	for i := range transfers {
		t := &transfers[i]
		if !takes(t.Source) || !takes(t.Destination) {
			continue
		}
		possible = append(possible, t.Source+" to "+t.Destination)
		flags = append(flags, fmt.Sprintf("--%s %s --%s %s", SourceVar, t.Source, DestinationVar, t.Destination))
		if !given(src, t.Source) || !given(dst, t.Destination) {
			continue
		}
		if first == nil {
			first = t
		}
		set, also := ruleSets(req, t)
		if contradiction(req, set, also) == "" {
			return t, nil
		}
	}
	if first != nil {
		return first, nil // the code that applies the transfer reports the contradiction
	}
	at, what := src, "from "+src.Str
	if src.Kind != formula.Str {
		at, what = dst, "to "+dst.Str
	} else if dst.Kind == formula.Str {
		what += " to " + dst.Str
		if dst.Origin.Kind > src.Origin.Kind {
			at = dst
		}
	}
	if src.Origin.Kind == data.FromCommand && dst.Origin.Kind == data.FromCommand { // only transfers between ranks set both
		return nil, at.Origin.Errorf("backend %s does not move data %s, but a transfer between ranks does", name, what).
			WithHint("use %s", strings.Join(flags, ", or "))
	}
	return nil, at.Origin.Errorf("backend %s does not move data %s", name, what).
		WithHint("it moves data from %s", strings.Join(possible, ", "))
}

// checkGiven rejects flags and values that the release does not have.
func (r *Release) checkGiven(req *Request) error {
	var errs diag.List
	for _, name := range schema.Keys(req.Flags) {
		v := req.Flags[name]
		f := r.bench.Flags[name]
		if r.bench.FlagIn(f, r.release) == nil {
			errs = append(errs, r.lacks(f, v.Origin))
			continue
		}
		allowed := r.bench.ValuesIn(f, r.release)
		if f.Values == nil || slices.Contains(allowed, v.Str) {
			continue
		}
		if era, known := f.Values[v.Str]; known {
			errs = append(errs, v.Origin.Errorf("%s exists only in nixlbench %s, but the release is %s", v.Str, r.bench.Span(era), r.release).
				WithHint("select such a release with --nixlbench_release, or use one of %s", strings.Join(allowed, ", ")))
			continue
		}
		errs = append(errs, notAllowed(v.Origin, v.Str, allowed))
	}
	return errs.Err()
}

// lacks returns the error for a flag that the release does not have. The error names
// equivalent flags that the release does have.
func (r *Release) lacks(f *schema.Flag, from data.Origin) *diag.Diag {
	label := ""
	if from.Kind == data.FromFile {
		label = config.SweepSection + "." + f.Name + ": "
	}
	d := from.Errorf("%sexists only in nixlbench %s, but %s is %s", label, r.bench.SpanOfFlag(f), r.From, r.release)
	if r.bench.IsOwn(r.release) {
		d = from.Errorf("%snixlbench %s does not have this flag", label, r.release)
	}
	var instead []string
	for _, name := range f.Instead {
		if other := r.bench.Flags[name]; other != nil && r.bench.FlagIn(other, r.release) != nil {
			instead = append(instead, "--"+name)
		}
	}
	if len(instead) > 0 {
		d.Msg += ", which has " + strings.Join(instead, " and ")
	}
	return d
}
