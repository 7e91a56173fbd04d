package fit

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

// MaxRounds is the maximum number of rounds for fitting a plan. Each round adjusts flags
// to meet one limit.
const MaxRounds = 16

// Violation is a limit that a plan exceeds.
type Violation struct {
	Limit Limit
	// Why explains why the limit is not met; see [Fitter.why].
	Why string
	// Mends are settings that would fix the violation.
	Mends []Setting

	at      diag.Pos // where the request comes from
	release string
}

// Setting is a flag with a proposed value.
type Setting struct {
	Flag  string
	Value formula.Value
	// Given reports whether the user set the flag to another value.
	Given bool
}

// String returns the setting as typed on a command line.
func (s Setting) String() string { return "--" + s.Flag + " " + s.Value.Text() }

// Warning returns the violation as a warning about the request.
func (v *Violation) Warning() *diag.Diag {
	d := diag.Warnf(v.at, "nixlbench %s %s: %s", v.release, v.Limit.Message, v.Why)
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

// check returns the limits that the flags exceed.
func (r *Fitter) check(req *Request, values map[string]Value) []Violation {
	r.Apply(req, values)
	backend, _ := r.Backend(values)
	var broken []Violation
	for _, l := range r.limits {
		if !l.on(backend) {
			continue
		}
		ok, flags, err := r.Holds(l, values)
		if ok && err == nil || err != nil && broken != nil {
			continue // an earlier violation may be why this limit cannot be computed
		}
		why := r.why(req, l.Ref, err)
		if err == nil && len(flags) > 0 {
			why = r.settings(req, flags, values)
		}
		broken = append(broken, Violation{Limit: l, Why: why, Mends: r.mends(req, l.Limit), at: req.label(), release: r.release})
		if err != nil {
			break // later limits depend on the same numbers
		}
	}
	return broken
}

// Holds reports whether a limit is met. If the limit applies to arguments, Holds evaluates
// it for each flag in values, returns the flags that exceed it, and leaves the value of
// the first of these flags in the frame.
func (r *Fitter) Holds(l Limit, values map[string]Value) (ok bool, flags []string, err error) {
	if !r.OnArguments(l) {
		ok, err = r.frame.Bool(l.Ref)
		return ok, nil, err
	}
	names := schema.Keys(values)
	for _, name := range slices.Backward(names) {
		r.frame.SetName(ArgumentVar, formula.Value{Kind: formula.Str, Str: values[name].Text()})
		ok, err := r.frame.Bool(l.Ref)
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
	r.frame.SetName(ArgumentVar, formula.Value{Kind: formula.Str, Str: values[flags[0]].Text()})
	return false, flags, nil
}

// settings returns flags and their values as text for messages.
func (r *Fitter) settings(req *Request, flags []string, values map[string]Value) string {
	list := make([]string, len(flags))
	for i, flag := range flags {
		name, value := "--"+flag, values[flag].Value.String()
		if given, ok := req.Flags[flag]; ok && given.Origin.Kind != data.FromFile {
			name = given.Origin.String()
		} else if ok {
			name += " from " + given.Origin.String()
		}
		if r.bench.Flags[flag].Secret {
			value = "a secret"
		}
		list[i] = name + " is " + value
	}
	return strings.Join(list, ", ")
}

// why explains why a condition does not hold. For a comparison, it describes the two
// sides. For any other condition, it shows the condition and the values that the user set
// for flags in it.
func (r *Fitter) why(req *Request, ref formula.Ref, err error) string {
	if err != nil {
		return diag.All(err)[0].Text()
	}
	op, left, right, ok, err := r.frame.Sides(ref)
	if !ok || err != nil {
		inputs, text := r.prog.Inputs(ref), "it requires "+r.prog.Source(ref).Text
		read := slices.DeleteFunc(schema.Keys(req.Flags), func(name string) bool { return !slices.Contains(inputs, name) })
		if len(read) > 0 {
			text += "; " + r.settings(req, read, given(req))
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

// mends returns the settings that would make the plan meet a limit. It omits flags that
// the release does not have, values that a flag cannot have, and values that are already
// set.
func (r *Fitter) mends(req *Request, l *schema.Limit) []Setting {
	var list []Setting
	for _, fix := range r.FixesOf(l) {
		if v, ok := r.Mend(r.frame, fix); ok {
			_, given := req.Flags[fix.Name]
			list = append(list, Setting{fix.Name, v, given})
		}
	}
	return list
}

// Remedy is a way to meet a limit. Its formula computes a new value for a flag of the
// release.
type Remedy struct {
	Slot
	Formula formula.Ref
}

// FixesOf returns the remedies for a limit, sorted by flag.
func (r *Release) FixesOf(l *schema.Limit) []Remedy {
	var list []Remedy
	for _, name := range schema.Keys(l.Fix) {
		if s, ok := r.slot(name); ok {
			ref, _ := r.prog.Ref(fixPrefix + l.Name + "." + name)
			list = append(list, Remedy{s, ref})
		}
	}
	return list
}

// Mend evaluates a remedy in a frame and returns the new value for the flag. ok is false
// if the flag already has this value or cannot have it.
func (r *Release) Mend(frame *formula.Frame, fix Remedy) (v formula.Value, ok bool) {
	v, err := frame.Eval(fix.Formula)
	if err != nil || v.Kind != fix.Default.Kind || !r.accepts(fix.Slot, v) {
		return v, false
	}
	now, err := frame.Eval(fix.Slot.Ref)
	if err == nil && now.Kind == v.Kind && now.Num == v.Num && now.Str == v.Str && now.Bool == v.Bool {
		return v, false
	}
	return v, true
}

// fit adjusts flags to meet the limits, one limit at a time. It changes values set by the
// user only if force is set. It returns the fitted values and the limits that are still not
// met (nil if all are met).
func (r *Fitter) fit(req *Request, values map[string]Value, force bool) (map[string]Value, []Violation) {
	values = maps.Clone(values)
	var broken []Violation
	for range MaxRounds {
		if req.Least {
			r.least(req, values)
		}
		if broken = r.check(req, values); broken == nil {
			return values, nil
		}
		changed := false
		for _, m := range broken[0].Mends {
			if force || !m.Given {
				values[m.Flag] = Value{m.Value, Fix, fixPrefix + broken[0].Limit.Name + "." + m.Flag}
				changed = true
			}
		}
		if !changed {
			return values, broken
		}
	}
	return values, broken
}

// least sets flags to the smallest values that fit. It changes only flags that the user
// did not set and for which the data defines such a value.
func (r *Fitter) least(req *Request, values map[string]Value) {
	r.Apply(req, values)
	for _, name := range schema.Keys(r.bench.Least) {
		s, ok := r.slot(name)
		if _, given := req.Flags[name]; !ok || given {
			continue
		}
		ref, _ := r.prog.Ref(leastPrefix + name)
		if v, err := r.frame.Eval(ref); err == nil && v.Kind == s.Default.Kind && r.InRange(s, v) == nil {
			values[name] = Value{v, Fix, leastPrefix + name}
		}
	}
}

// Refused returns the error for a plan that cannot be fitted to a limit.
func (r *Release) Refused(l Limit, why string) *diag.Diag {
	return diag.Errorf(diag.Pos{}, "cannot fit the plan: nixlbench %s %s: %s", r.release, l.Message, why).About(diag.Requires, l.Name)
}

// refusal explains why a plan cannot be fitted, which sizes would fit, and
// which of the user's flags prevent it.
func (r *Fitter) refusal(req *Request, values map[string]Value, broken []Violation) error {
	d := r.Refused(broken[0].Limit, broken[0].Why)
	d.Pos = req.label()
	hint := func(list []string) {
		for _, h := range list {
			d.WithHint("%s", h)
		}
	}
	hint(r.smaller(req, values, false))
	// Check whether the plan would fit if the user's own values could be changed.
	if mended, left := r.fit(req, values, true); left == nil {
		if change := changed(req, mended); len(change) > 0 {
			d.WithHint("with %s, the whole plan fits", settings(change))
		}
	}
	if d.Hints == nil {
		hint(r.smaller(req, values, true))
	}
	if last := broken[0].Limit.Hint; d.Hints == nil && last != "" {
		d.WithHint("%s", last)
	}
	return d
}

// changed returns the flags that the user set but that fitting changed.
func changed(req *Request, values map[string]Value) []Setting {
	var list []Setting
	for _, name := range schema.Keys(req.Flags) {
		if v := values[name]; v.From == Fix {
			list = append(list, Setting{Flag: name, Value: v.Value})
		}
	}
	return list
}

// smaller finds the largest size that fits, reducing one quantity at a time in the order
// defined by the data, and describes that size. It returns nil if no size fits. If force is
// set, it may change values set by the user. The description includes these changes.
func (r *Fitter) smaller(req *Request, values map[string]Value, force bool) []string {
	asked := req.Flags
	// Values that were fitted for the full size must be fitted again.
	values = maps.Clone(values)
	maps.DeleteFunc(values, func(_ string, v Value) bool { return v.From == Fix })
	for name, v := range req.Flags {
		values[name] = Value{Value: v.Value, From: Given}
	}
	for _, quantity := range r.bench.Shrink {
		flags := r.flagsOf(quantity)
		r.Apply(req, values)
		now := map[string]int64{}
		var top int64
		for _, name := range flags {
			now[name], _ = r.number(name)
			top = max(top, now[name])
		}
		sized := func(n int64) (*Request, map[string]Value) {
			trial, attempt := *req, maps.Clone(values)
			trial.Flags = map[string]data.Fact{}
			maps.Copy(trial.Flags, req.Flags)
			for _, name := range flags {
				attempt[name] = Value{Value: formula.Number(min(n, now[name])), From: Given}
				trial.Flags[name] = data.Fact{Value: attempt[name].Value}
			}
			return &trial, attempt
		}
		n := largest(top, func(n int64) bool {
			trial, attempt := sized(n)
			_, broken := r.fit(trial, attempt, force)
			return broken == nil
		})
		if n > 0 {
			trial, attempt := sized(n)
			mended, _ := r.fit(trial, attempt, force)
			ask := changed(trial, mended)
			for name, v := range mended {
				if old, given := asked[name]; v.From == Given && (!given || v.Value.Text() != old.Text()) {
					ask = append(ask, Setting{Flag: name, Value: v.Value})
				}
			}
			slices.SortFunc(ask, func(a, b Setting) int { return strings.Compare(a.Flag, b.Flag) })
			return []string{fmt.Sprintf("the largest %s that fits is %d: %s", quantity, n, settings(ask))}
		}
		// Not even 1 fits: set this quantity to 1, and try the next one.
		req, values = sized(1)
	}
	return nil
}

// largest returns the largest n from 1 to top that fits, or 0. It assumes that if a size
// fits, all smaller sizes fit too.
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
