package plan

import (
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// resolve returns the flags that are not left to their defaults: what the user
// gave, and what the backend's rules make of source and destination.
func (p *Planner) resolve(req *Request) (map[string]flagValue, error) {
	if err := p.checkGiven(req); err != nil {
		return nil, err
	}
	values := given(req)
	name, backend := p.backend(values)
	if backend == nil {
		return nil, p.noBackend(name)
	}
	p.apply(req, values)
	t, err := p.transfer(req, name, backend)
	if err != nil {
		return nil, err
	}
	req.Config.Values[sourceVar] = p.side(req, sourceVar, t.Source)
	req.Config.Values[destinationVar] = p.side(req, destinationVar, t.Destination)

	set, also := ruleSets(req, t)
	for _, flag := range schema.Keys(set) {
		values[flag] = p.rule(req, values, flag, set[flag])
	}
	if flag := contradiction(req, set, also); flag != "" {
		want, ok := set[flag]
		if !ok {
			want = also[flag]
		}
		v := req.Flags[flag]
		return nil, v.Origin.Errorf("%s contradicts %s %s and %s %s, which take %s on %s", v.Str,
			sourceVar, sideText(req, sourceVar), destinationVar, sideText(req, destinationVar), want, name).
			WithHint("leave it out, or give another --%s or --%s", sourceVar, destinationVar)
	}
	return values, nil
}

// given returns the flags that the user gave.
func given(req *Request) map[string]flagValue {
	values := map[string]flagValue{}
	for name, v := range req.Flags {
		values[name] = flagValue{Value: v.Value, from: Given}
	}
	return values
}

// ruleSets returns the flags that a transfer sets, and those that it does not
// set but that must not say otherwise: a fitted plan says what nixlbench is
// really to move.
func ruleSets(req *Request, t *schema.Transfer) (set, also map[string]string) {
	if req.Fit && t.Fit != nil {
		return t.Fit, nil
	}
	return t.Set, t.Fit
}

// contradiction returns the first of the user's flags that says otherwise than
// the rules, or "".
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

// rule sets a flag to the value of a rule, unless the user gave one.
func (p *Planner) rule(req *Request, values map[string]flagValue, flag, value string) flagValue {
	if _, given := req.Flags[flag]; given {
		return values[flag]
	}
	return flagValue{Value: formula.Value{Kind: formula.Str, Str: value}, from: Rule}
}

// side returns the value of a side: the user's, or the one of the rule.
func (p *Planner) side(req *Request, name, value string) data.Fact {
	if v, ok := req.Config.Values[name]; ok {
		return v
	}
	return data.Fact{Value: formula.Value{Kind: formula.Str, Str: value}, Origin: data.Origin{Kind: data.FromCommand, Name: backendFlag}}
}

// sideText names a side with the place that gave it.
func sideText(req *Request, name string) string {
	v := req.Config.Values[name]
	if v.Origin.Given() {
		return v.Str + " (" + v.Origin.String() + ")"
	}
	return v.Str + " (the backend's default)"
}

// backend returns the selected backend.
func (p *Planner) backend(values map[string]flagValue) (string, *schema.Backend) {
	name := values[backendFlag].Str
	if name == "" {
		if s, ok := p.slot(backendFlag); ok {
			name = s.def.Str
		}
	}
	return name, p.bench.Backends[name]
}

// noBackend is the error for a user's release whose backend, where none is given,
// is not a known one.
func (p *Planner) noBackend(name string) error {
	if _, ok := p.slot(backendFlag); !ok {
		return diag.Errorf(diag.Pos{}, "nixlbench %s has no --%s, which says how data is moved", p.release, backendFlag).
			WithHint("add the flag to the release in the file of --releases")
	}
	return diag.Errorf(diag.Pos{}, "no backend %q is known, which is the default of nixlbench %s", name, p.release).
		WithHint("give --%s, or correct the default in the file of --releases", backendFlag)
}

// transfer picks the first of the backend's transfers that goes with the sides
// that were given, the memory that the backend takes, and as far as possible
// the flags that were given.
func (p *Planner) transfer(req *Request, name string, b *schema.Backend) (*schema.Transfer, error) {
	takes := func(side string) bool {
		ref, ok := p.prog.Ref(takesPrefix + name + "." + side)
		if !ok {
			return true // a file
		}
		yes, err := p.frame.Bool(ref)
		return err == nil && yes
	}
	given := func(v data.Fact, side string) bool { return v.Kind != formula.Str || v.Str == side }
	src, dst := req.Config.Values[sourceVar], req.Config.Values[destinationVar]
	var possible []string
	var first *schema.Transfer
	transfers := b.Transfers.Get()
	for i := range transfers {
		t := &transfers[i]
		if !takes(t.Source) || !takes(t.Destination) {
			continue
		}
		possible = append(possible, t.Source+" to "+t.Destination)
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
		return first, nil // the contradiction is reported by who applies it
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
	return nil, at.Origin.Errorf("backend %s does not move data %s", name, what).
		WithHint("it moves data from %s", strings.Join(possible, ", "))
}

// checkGiven refuses flags and values that the release does not have.
func (p *Planner) checkGiven(req *Request) error {
	var errs diag.List
	for _, name := range schema.Keys(req.Flags) {
		v := req.Flags[name]
		f := p.bench.Flags[name]
		if p.bench.FlagIn(f, p.release) == nil {
			errs = append(errs, p.lacks(f, v.Origin))
			continue
		}
		allowed := p.bench.ValuesIn(f, p.release)
		if f.Values == nil || slices.Contains(allowed, v.Str) {
			continue
		}
		if era, known := f.Values[v.Str]; known {
			errs = append(errs, v.Origin.Errorf("%s needs nixlbench %s; the release is %s", v.Str, p.bench.Span(era), p.release).
				WithHint("choose it with --nixlbench_release, or one of %s", strings.Join(allowed, ", ")))
			continue
		}
		errs = append(errs, notAllowed(v.Origin, v.Str, allowed))
	}
	return errs.Err()
}

// lacks says that the release does not have a flag, and what it has instead.
func (p *Planner) lacks(f *schema.Flag, from data.Origin) *diag.Diag {
	d := from.Errorf("needs nixlbench %s; %s is %s", p.bench.SpanOfFlag(f), p.ReleaseFrom, p.release)
	if p.bench.IsOwn(p.release) {
		d = from.Errorf("nixlbench %s does not have it", p.release)
	}
	var instead []string
	for _, name := range f.Instead {
		if other := p.bench.Flags[name]; other != nil && p.bench.FlagIn(other, p.release) != nil {
			instead = append(instead, "--"+name)
		}
	}
	if len(instead) > 0 {
		d.Msg += ", which has " + strings.Join(instead, " and ")
	}
	return d
}
