package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// maxRounds bounds how often fixes are applied: each round fixes one limit.
const maxRounds = 16

// Violation is a limit that a plan breaks.
type Violation struct {
	Limit *schema.Limit
	// Why returns the numbers of both sides, or what went wrong.
	Why string
	// Mends are the flags and values that would fix it.
	Mends []Setting
}

// Setting is a flag with a value that it might be given.
type Setting struct {
	Flag  string
	Value formula.Value
	// Given is set when the user gave the flag another value.
	Given bool
}

// String is the setting as one would type it.
func (s Setting) String() string { return "--" + s.Flag + " " + s.Value.Text() }

// Warning returns the violation as a message about a plan.
func (v *Violation) Warning(pl *Plan) *diag.Diag {
	d := diag.Warnf(pl.Request.label(), "nixlbench %s %s: %s", pl.Release, v.Limit.Message, v.Why)
	if len(v.Mends) > 0 {
		d.WithHint("fix: %s%s", settings(v.Mends), map[bool]string{true: "", false: ", or use --fit"}[v.Mends[0].Given])
	} else if v.Limit.Hint != "" {
		d.WithHint("%s", v.Limit.Hint)
	}
	return d
}

func settings(list []Setting) string {
	text := make([]string, len(list))
	for i, s := range list {
		text[i] = s.String()
	}
	return strings.Join(text, " ")
}

// applies reports whether a limit holds for the release and the backend.
func (p *Planner) applies(l *schema.Limit, backend string) bool {
	return p.bench.In(l.Era, p.release) && (l.Backends == nil || slices.Contains(l.Backends, backend))
}

// check returns the limits that the flags break.
func (p *Planner) check(req *Request, values map[string]flagValue) []Violation {
	p.apply(req, values)
	backend, _ := p.backend(values)
	var broken []Violation
	for i := range p.bench.Limits {
		l := &p.bench.Limits[i]
		if !p.applies(l, backend) {
			continue
		}
		ref, _ := p.prog.Ref(limitPrefix + l.Name)
		ok, flags, err := p.holds(ref, values)
		if ok && err == nil || err != nil && broken != nil {
			continue // what cannot be computed comes of the limit that is broken
		}
		why := p.why(req, ref, err)
		if err == nil && len(flags) > 0 {
			why = p.settings(req, flags, values)
		}
		broken = append(broken, Violation{Limit: l, Why: why, Mends: p.mends(req, l)})
		if err != nil {
			break // later limits use the same numbers
		}
	}
	return broken
}

// holds reports whether a limit does. One that is on arguments is asked for all
// values that are not left to defaults; the flags of those that break it are
// given, and the frame has the value of the first.
func (p *Planner) holds(ref formula.Ref, values map[string]flagValue) (ok bool, flags []string, err error) {
	if !p.onArguments(ref) {
		ok, err = p.frame.Bool(ref)
		return ok, nil, err
	}
	names := schema.Keys(values)
	for _, name := range slices.Backward(names) {
		p.set(argumentVar, formula.Value{Kind: formula.Str, Str: values[name].Text()})
		ok, err := p.frame.Bool(ref)
		if err != nil {
			return false, []string{name}, err
		}
		if !ok {
			flags = append(flags, name)
		}
	}
	if len(flags) == 0 {
		return true, nil, nil
	}
	slices.Reverse(flags)
	p.set(argumentVar, formula.Value{Kind: formula.Str, Str: values[flags[0]].Text()})
	return false, flags, nil
}

func (p *Planner) onArguments(ref formula.Ref) bool { return p.prog.Reads(ref, argumentVar) }

// settings names flags with their values.
func (p *Planner) settings(req *Request, flags []string, values map[string]flagValue) string {
	list := make([]string, len(flags))
	for i, flag := range flags {
		name, value := "--"+flag, values[flag].Value.String()
		if given, ok := req.Flags[flag]; ok {
			name = given.Origin.String()
		}
		if p.bench.Flags[flag].Secret {
			value = "a secret"
		}
		list[i] = name + " is " + value
	}
	return strings.Join(list, ", ")
}

// why shows the two sides of a comparison, or the condition itself with the
// flags in it that were given.
func (p *Planner) why(req *Request, ref formula.Ref, err error) string {
	if err != nil {
		return diag.All(err)[0].Text()
	}
	op, left, right, ok, err := p.frame.Sides(ref)
	if !ok || err != nil {
		inputs, text := p.prog.Inputs(ref), "it requires "+p.prog.Source(ref).Text
		read := slices.DeleteFunc(schema.Keys(req.Flags), func(name string) bool { return !slices.Contains(inputs, name) })
		if len(read) > 0 {
			text += "; " + p.settings(req, read, given(req))
		}
		return text
	}
	return fmt.Sprintf("%s must be %s %s", side(left), op, side(right))
}

func side(s formula.Side) string {
	if s.Text == "'"+s.Value.Str+"'" {
		return s.Text
	}
	if v := s.Value.String(); v != s.Text {
		return s.Text + " (" + v + ")"
	}
	return s.Text
}

// mends returns the settings that fix a limit: those of flags that the release
// has, with values that the flags can hold and do not have yet.
func (p *Planner) mends(req *Request, l *schema.Limit) []Setting {
	var list []Setting
	for _, name := range schema.Keys(l.Fix) {
		s, ok := p.slot(name)
		if !ok {
			continue
		}
		ref, _ := p.prog.Ref(fixPrefix + l.Name + "." + name)
		v, err := p.frame.Eval(ref)
		if err != nil || v.Kind != s.def.Kind || p.inRange(s, v) != nil {
			continue
		}
		if now, err := p.frame.Eval(s.ref); err == nil && now.String() == v.String() {
			continue
		}
		_, given := req.Flags[name]
		list = append(list, Setting{name, v, given})
	}
	return list
}

// fit fixes the limits one by one. It changes what the user gave only when
// force is set. The limits that remain broken are returned with the flags as
// far as they got; nil means that all hold.
func (p *Planner) fit(req *Request, values map[string]flagValue, force bool) (map[string]flagValue, []Violation) {
	values = maps.Clone(values)
	var broken []Violation
	for range maxRounds {
		if req.Least {
			p.least(req, values)
		}
		if broken = p.check(req, values); broken == nil {
			return values, nil
		}
		changed := false
		for _, m := range broken[0].Mends {
			if force || !m.Given {
				values[m.Flag] = flagValue{m.Value, Fix, fixPrefix + broken[0].Limit.Name + "." + m.Flag}
				changed = true
			}
		}
		if !changed {
			return values, broken
		}
	}
	return values, broken
}

// least sets flags that nobody gave to the least value that fits.
func (p *Planner) least(req *Request, values map[string]flagValue) {
	p.apply(req, values)
	for _, name := range schema.Keys(p.bench.Least) {
		s, ok := p.slot(name)
		if _, given := req.Flags[name]; !ok || given {
			continue
		}
		ref, _ := p.prog.Ref(leastPrefix + name)
		if v, err := p.frame.Eval(ref); err == nil && v.Kind == s.def.Kind && p.inRange(s, v) == nil {
			values[name] = flagValue{v, Fix, leastPrefix + name}
		}
	}
}

// refusal says why a plan cannot be fitted, which sizes would fit, and which
// of the user's flags stand in the way.
func (p *Planner) refusal(req *Request, values map[string]flagValue, broken []Violation) error {
	d := diag.Errorf(req.label(), "the plan cannot be fitted: nixlbench %s %s: %s", p.release, broken[0].Limit.Message, broken[0].Why).
		About(diag.Requires, broken[0].Limit.Name)
	hint := func(list []string) {
		for _, h := range list {
			d.WithHint("%s", h)
		}
	}
	hint(p.smaller(req, values, false))
	// What if the user's own values could be changed?
	if mended, left := p.fit(req, values, true); left == nil {
		if change := changed(req, mended); len(change) > 0 {
			d.WithHint("with %s the whole plan fits", settings(change))
		}
	}
	if d.Hints == nil {
		hint(p.smaller(req, values, true))
	}
	if last := broken[0].Limit.Hint; d.Hints == nil && last != "" {
		d.WithHint("%s", last)
	}
	return d
}

// changed returns the user's flags that fitting gave another value.
func changed(req *Request, values map[string]flagValue) []Setting {
	var list []Setting
	for _, name := range schema.Keys(req.Flags) {
		if v := values[name]; v.from == Fix {
			list = append(list, Setting{Flag: name, Value: v.Value})
		}
	}
	return list
}

// smaller searches the largest size that fits, quantity by quantity in the
// order of the data, and words it; nil when none fits. With force, values that
// the user gave may change too, and are named.
func (p *Planner) smaller(req *Request, values map[string]flagValue, force bool) []string {
	asked := req.Flags
	// What was fitted to the full size is to be fitted anew.
	values = maps.Clone(values)
	maps.DeleteFunc(values, func(_ string, v flagValue) bool { return v.from == Fix })
	for name, v := range req.Flags {
		values[name] = flagValue{Value: v.Value, from: Given}
	}
	for _, quantity := range p.bench.Shrink {
		flags := p.flagsOf(quantity)
		p.apply(req, values)
		now := map[string]int64{}
		var top int64
		for _, name := range flags {
			now[name], _ = p.number(name)
			top = max(top, now[name])
		}
		sized := func(n int64) (*Request, map[string]flagValue) {
			trial, attempt := *req, maps.Clone(values)
			trial.Flags = map[string]data.Fact{}
			maps.Copy(trial.Flags, req.Flags)
			for _, name := range flags {
				attempt[name] = flagValue{Value: formula.Number(min(n, now[name])), from: Given}
				trial.Flags[name] = data.Fact{Value: attempt[name].Value}
			}
			return &trial, attempt
		}
		n := largest(top, func(n int64) bool {
			trial, attempt := sized(n)
			_, broken := p.fit(trial, attempt, force)
			return broken == nil
		})
		if n > 0 {
			trial, attempt := sized(n)
			mended, _ := p.fit(trial, attempt, force)
			ask := changed(trial, mended)
			for name, v := range mended {
				if old, given := asked[name]; v.from == Given && (!given || v.Value.Text() != old.Text()) {
					ask = append(ask, Setting{Flag: name, Value: v.Value})
				}
			}
			slices.SortFunc(ask, func(a, b Setting) int { return strings.Compare(a.Flag, b.Flag) })
			return []string{fmt.Sprintf("the largest %s that fits is %d: %s", quantity, n, settings(ask))}
		}
		// Not even 1 of it fits: hold it there and try the next.
		req, values = sized(1)
	}
	return nil
}

// flagsOf returns the flags of the release that are computed from a quantity.
func (p *Planner) flagsOf(quantity string) []string {
	var names []string
	for _, s := range p.flags {
		if !s.Computed.IsZero() && slices.Contains(p.prog.Uses(s.ref), quantity) {
			names = append(names, s.Name)
		}
	}
	return names
}

// largest returns the greatest n from 1 to top that fits, or 0. What fits is
// taken to fit in every smaller size too.
func largest(top int64, fits func(int64) bool) int64 {
	if top < 1 || !fits(1) {
		return 0
	}
	lo, hi := int64(1), top
	for lo < hi {
		mid := hi - (hi-lo)/2
		if fits(mid) {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}
