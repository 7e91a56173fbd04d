package cli

import (
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/model"
	"kvbench/engine/plan"
)

// drafters combines models with their drafters. It reads each drafter once, and creates each
// pair once.
type drafters struct {
	app    *app
	loader *model.Loader
	dirs   []string
	read   map[string]drafter
	pairs  map[pair]*model.Model
}

// drafter is a draft model, or the error that occurred while reading it.
type drafter struct {
	model *model.Model
	err   error
}

type pair struct {
	model *model.Model
	name  string
}

// The with method returns the model combined with the drafter that the configuration
// specifies, or the model itself if no drafter is needed.
func (d *drafters) with(m *model.Model, cfg *config.Config) (*model.Model, error) {
	named := func(v data.Fact) bool { return plan.IsDrafter(d.app.schema, v) }
	v := cfg.Values[plan.DraftVar]
	for _, a := range cfg.Axes {
		if a.Field.Var == plan.DraftVar && slices.ContainsFunc(a.Values, named) {
			return nil, v.Origin.Errorf("cannot sweep over more than one drafter").WithHint("specify one drafter per run")
		}
	}
	if !named(v) || !plan.UseOf(cfg.With(m.Arch, m.Defaults)).Rank {
		return m, nil
	}
	key := pair{m, v.Str}
	if both := d.pairs[key]; both != nil {
		return both, nil
	}
	one, err := d.load(v)
	if err != nil {
		return nil, err
	}
	both, err := m.WithDrafter(one)
	if err != nil {
		return nil, err
	}
	if d.pairs == nil {
		d.pairs = map[pair]*model.Model{}
	}
	d.pairs[key] = both
	return both, nil
}

// load returns a drafter, reading it on first use.
func (d *drafters) load(v data.Fact) (*model.Model, error) {
	if one, ok := d.read[v.Str]; ok {
		return one.model, one.err
	}
	d.app.awaits(v.Str)
	m, err := d.loader.Model(v.Str, d.dirs)
	if err != nil {
		var errs diag.List
		words := plan.DraftWords(d.app.schema)
		for _, e := range diag.All(err) {
			one := *e
			errs = append(errs, one.WithHint("%s: expected one of %s, or a drafter's file or name", v.Origin, strings.Join(words, ", ")))
		}
		err = errs.Err()
	} else {
		d.app.report(m.Notes.Err())
	}
	if d.read == nil {
		d.read = map[string]drafter{}
	}
	d.read[v.Str] = drafter{m, err}
	return m, err
}
