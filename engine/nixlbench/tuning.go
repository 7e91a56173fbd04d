package nixlbench

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// These constants name the parts of the tuning data. They are the prefixes of the
// formulas' names.
const (
	shortTable   = "tuning.short."
	requireTable = "tuning.require."
	whenTable    = "tuning.when."
	mostTable    = "tuning.most."
)

// declareTuning declares the formulas of the tuning data.
func declareTuning(t *schema.Tuning, add func(string, schema.Formula, formula.Kind)) {
	for _, short := range t.Short {
		add(shortTable+short.Flag, short.Value, formula.Num)
	}
	for i, limit := range t.Require {
		add(requireTable+strconv.Itoa(i), limit.Require, formula.Bool)
	}
	for i := range t.Knobs {
		add(whenTable+t.Knobs[i].Flags[0], t.Knobs[i].When, formula.Bool)
		add(mostTable+t.Knobs[i].Flags[0], t.Knobs[i].Most, formula.Num)
	}
}

// Short returns the values of flags that keep runs of a plan short. If the user set any of
// these flags, it returns nil.
func (r *Rules) Short(pl *plan.Plan) (map[string]formula.Value, error) {
	short := r.bench.Runs.Get().Tuning.Short
	for _, s := range short {
		if _, given := pl.Request.Flags[s.Flag]; given {
			return nil, nil
		}
	}
	r.load(pl, pl.Flags, new(Facts))
	values := map[string]formula.Value{}
	var errs diag.List
	for _, s := range short {
		if r.bench.FlagIn(r.bench.Flags[s.Flag], r.release) == nil {
			continue
		}
		values[s.Flag] = r.eval(shortTable+s.Flag, &errs)
		r.set(s.Flag, values[s.Flag]) // later formulas may use this value
	}
	return values, errs.Err()
}

// Worthwhile returns the reason why a plan is not worth trying, or nil if it is.
func (r *Rules) Worthwhile(pl *plan.Plan) error {
	r.load(pl, pl.Flags, new(Facts))
	for i, limit := range r.bench.Runs.Get().Tuning.Require {
		var errs diag.List
		if ok := r.eval(requireTable+strconv.Itoa(i), &errs).Bool; len(errs) > 0 {
			return errs
		} else if !ok {
			return diag.Errorf(diag.Pos{}, "%s", r.fill(limit.Message))
		}
	}
	return nil
}

// Setting is a setting of nixlbench with the values to try.
type Setting struct {
	// Flags contains flags that are all set to the same value. The first flag's name is
	// the name of the setting.
	Flags []*schema.Flag
	// Values are the values to try. Default is the index of the plan's value.
	Values  []formula.Value
	Default int
	// Source is the place in the program that uses the value, or the origin of values set by
	// the user.
	Source string
}

// Name returns the name of the setting.
func (s *Setting) Name() string { return s.Flags[0].Name }

// Ordered reports whether adjacent values are expected to have similar results.
func (s *Setting) Ordered() bool { return s.Flags[0].IsNumber() }

// Settings returns the settings to vary in a plan: the settings in the data that have
// several values and that the user did not fix, and the flags that the user set to several
// values. The default of each setting is its value in the plan. If in is not nil, a setting
// in the data is used only if the installed program has its flags. If builtin is true, only
// flags that affect the I/O of kvbench's own program can be varied.
func (r *Rules) Settings(s *schema.Schema, pl *plan.Plan, several map[string][]data.Fact, in *Installed, builtin bool) ([]Setting, error) {
	var list []Setting
	var errs diag.List
	used := map[string]bool{}
	t, own := &r.bench.Runs.Get().Tuning, &r.bench.Runs.Get().Builtin
	for i := range t.Knobs {
		k := &t.Knobs[i]
		flags := r.flagsOf(k, pl, in)
		if flags == nil || builtin && slices.ContainsFunc(flags, func(f *schema.Flag) bool { return !own.Uses(f.Name) }) {
			continue
		}
		r.load(pl, pl.Flags, new(Facts))
		if !k.When.IsZero() && !r.eval(whenTable+k.Flags[0], &errs).Bool {
			continue
		}
		set := Setting{Flags: flags, Source: k.Source}
		given := false
		for _, f := range flags {
			if v := several[f.Name]; v != nil && !given {
				given = true
				set.add(v)
				set.Source = v[0].Origin.String()
			}
			used[f.Name] = true
		}
		if !given {
			errs.Add(r.values(s, &set, k, pl))
		}
		set.finish(pl)
		if len(set.Values) > 1 {
			list = append(list, set)
		}
	}
	for _, name := range schema.Keys(several) {
		f := r.bench.Flags[name]
		switch {
		case used[name]:
		case f.Backends != nil && !slices.Contains(f.Backends, pl.Backend()):
			errs = append(errs, several[name][0].Origin.Errorf("backend %s does not use this flag, so its values make no difference", pl.Backend()))
		case builtin && !own.Uses(name):
			errs = append(errs, several[name][0].Origin.Errorf("the builtin program does not use this flag, so its values make no difference"))
		case r.isSize(name):
			errs = append(errs, several[name][0].Origin.Errorf("this size is part of the plan, so tuning does not vary it").
				WithHint("set one value, or measure several sizes with 'kvbench profile'"))
		default:
			set := Setting{Flags: []*schema.Flag{f}, Source: several[name][0].Origin.String()}
			set.add(several[name])
			set.finish(pl)
			list = append(list, set)
		}
	}
	return list, errs.Err()
}

// isSize reports whether a flag determines the sizes that a run measures.
func (r *Rules) isSize(flag string) bool {
	return slices.ContainsFunc(r.bench.Runs.Get().Measures, func(m schema.Measure) bool {
		return m.Asked != nil && (m.Asked.First.Text == flag || m.Asked.Last.Text == flag)
	})
}

// flagsOf returns the flags of a knob, or nil if the knob does not apply to the plan.
func (r *Rules) flagsOf(k *schema.Knob, pl *plan.Plan, in *Installed) []*schema.Flag {
	if k.Backends != nil && !slices.Contains(k.Backends, pl.Backend()) {
		return nil
	}
	var flags []*schema.Flag
	for _, name := range k.Flags {
		f := r.bench.Flags[name]
		_, fixed := pl.Request.Flags[name]
		switch {
		case f == nil || fixed || r.bench.FlagIn(f, r.release) == nil,
			in != nil && in.Flags[name].Type == "",
			f.Backends != nil && !slices.Contains(f.Backends, pl.Backend()):
			return nil
		}
		flags = append(flags, f)
	}
	return flags
}

// values adds a knob's values, as defined in the data, to a setting.
func (r *Rules) values(s *schema.Schema, set *Setting, k *schema.Knob, pl *plan.Plan) error {
	f := set.Flags[0]
	switch {
	case k.Values != nil:
		for _, text := range k.Values {
			// If the flag accepts a list, text is the whole list and counts as one value.
			knob, err := config.KnobOf(s, f, text, data.Origin{Kind: data.FromCommand, Name: "tuning"}, true)
			if err != nil {
				return err
			}
			values, err := knob.Values(s, r.release)
			if err != nil {
				return err
			}
			set.add(values)
		}
	case f.Eras[0].Type == "bool":
		set.Values = append(set.Values, formula.Truth(false), formula.Truth(true))
	default:
		for _, text := range r.bench.ValuesIn(f, r.release) {
			set.Values = append(set.Values, formula.Text(text))
		}
	}
	if k.Folder != "" {
		entries, _ := os.ReadDir(k.Folder) // without the folder, the machine has no such devices
		for _, e := range entries {
			set.Values = append(set.Values, formula.Text(e.Name()))
		}
	}
	if k.Most.IsZero() {
		return nil
	}
	r.load(pl, pl.Flags, new(Facts))
	var errs diag.List
	most := r.eval(mostTable+f.Name, &errs)
	set.Values = slices.DeleteFunc(set.Values, func(v formula.Value) bool { return v.Num.Cmp(most.Num) > 0 })
	return errs.Err()
}

func (s *Setting) add(values []data.Fact) {
	for _, v := range values {
		s.Values = append(s.Values, v.Value)
	}
}

// finish adds the default value, sorts numeric values, and removes duplicates.
func (s *Setting) finish(pl *plan.Plan) {
	i := slices.IndexFunc(pl.Flags, func(f fit.Flag) bool { return f.Name == s.Name() })
	if i < 0 {
		s.Values = nil
		return
	}
	def := pl.Flags[i].Value
	if !slices.ContainsFunc(s.Values, func(v formula.Value) bool { return v.Text() == def.Text() }) {
		s.Values = append(s.Values, def)
	}
	if s.Ordered() {
		slices.SortStableFunc(s.Values, func(a, b formula.Value) int { return a.Num.Cmp(b.Num) })
	}
	var list []formula.Value
	for _, v := range s.Values {
		if !slices.ContainsFunc(list, func(w formula.Value) bool { return v.Text() == w.Text() }) {
			list = append(list, v)
		}
	}
	s.Values = list
	s.Default = slices.IndexFunc(list, func(v formula.Value) bool { return v.Text() == def.Text() })
}

// OneRow checks that a run of the plan has a single combination of block and batch size.
func (r *Rules) OneRow(pl *plan.Plan) error {
	asked, err := r.Asked(pl, pl.Flags, &Facts{Launch: "single"})
	if err == nil && asked != nil && len(asked.ids) != 1 {
		d := diag.Errorf(diag.Pos{File: pl.Request.Config.File}, "a run has %d combinations of block and batch sizes, but tuning needs exactly one", len(asked.ids))
		for _, m := range r.bench.Runs.Get().Measures {
			if m.Asked != nil && r.eval("asked."+m.Key+".first", new(diag.List)).Text() != r.eval("asked."+m.Key+".last", new(diag.List)).Text() {
				d.WithHint("set --%s and --%s to the same value", m.Asked.First.Text, m.Asked.Last.Text)
			}
		}
		err = d
	}
	return err
}

// Measured returns the number that tuning maximizes, which it reads from the only row of
// a run.
func (r *Rules) Measured(rows []Row) (float64, error) {
	if len(rows) != 1 {
		return 0, fmt.Errorf("the run printed %d rows instead of 1", len(rows))
	}
	m := Measure(r.bench)
	return cmp.Or(rows[0][m.Total], rows[0][m.Key]).Float(), nil
}

// Measure returns the definition of the measure that tuning maximizes.
func Measure(n *schema.Nixlbench) schema.Measure {
	runs := n.Runs.Get()
	i := slices.IndexFunc(runs.Measures, func(m schema.Measure) bool { return m.Key == runs.Tuning.Measure })
	return runs.Measures[i]
}
