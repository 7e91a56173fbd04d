package model

import (
	"maps"
	"slices"

	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// The names of a drafter's parts in the model that it drafts for. drafterPrefix is the
// prefix for the names of the drafter's parameters and formulas, and draftPrefix is the
// prefix for the names of its groups. drafterLayer is the name for the number of a layer
// within the drafter, and drafterOwn is the formula for this number.
const (
	drafterPrefix = "drafter_"
	draftPrefix   = "draft_"
	layerName     = "layer"
	drafterLayer  = drafterPrefix + layerName
	drafterOwn    = "layer - cache_layers"
)

// WithDrafter returns a copy of the model in which the layers of a drafter replace the
// model's own draft layers. A drafter is a smaller model that engines run alongside a model
// for speculative decoding. WithDrafter prefixes the names of the drafter's parameters and
// formulas, and makes the drafter's formulas use the prefixed names.
func (m *Model) WithDrafter(d *Model) (*Model, error) {
	for _, one := range []*Model{m, d} {
		if one.Arch.Layers == nil {
			return nil, diag.Errorf(diag.Pos{File: one.File}, "%s has no cache section, which both a model and its drafter need", one.Arch.Name)
		}
	}
	r := renamer{local: map[string]string{layerName: drafterLayer}}
	for _, p := range d.Arch.Params {
		r.local[p.Name] = drafterPrefix + p.Name
	}
	for name := range d.Arch.Formulas {
		r.local[name] = drafterPrefix + name
	}
	one, of := *m, m.Arch
	arch := &schema.Architecture{
		Name: of.Name, Match: of.Match, File: of.File, DefaultAccounting: of.DefaultAccounting, Tables: of.Tables,
		Params: slices.Clone(of.Params), Formulas: map[string]schema.Formula{}, Requires: slices.Clone(of.Requires),
		Layers: r.layers(of.Layers, d.Arch.Layers),
	}
	one.Arch = arch
	one.Params = maps.Clone(m.Params)
	for name, v := range d.Params {
		one.Params[drafterPrefix+name] = v
	}
	for _, p := range d.Arch.Params {
		p.Name = drafterPrefix + p.Name
		arch.Params = append(arch.Params, p)
	}
	maps.Copy(arch.Formulas, of.Formulas)
	for name, f := range d.Arch.Formulas {
		arch.Formulas[drafterPrefix+name] = r.formula(f)
	}
	arch.Formulas[drafterLayer] = schema.Formula{Text: drafterOwn}
	for _, req := range d.Arch.Requires {
		req.Require = r.formula(req.Require)
		if name, ok := r.local[req.Of]; ok {
			req.Of = name
		}
		arch.Requires = append(arch.Requires, req)
	}
	return &one, nil
}

// renamer makes a drafter's formulas use the prefixed names.
type renamer struct{ local map[string]string }

func (r renamer) formula(f schema.Formula) schema.Formula {
	if !f.IsZero() {
		f.Local = r.local
	}
	return f
}

// layers returns the layers of a model, with its draft layers replaced by the layers
// of a drafter.
func (r renamer) layers(of, drafter *schema.Layers) *schema.Layers {
	l := *of
	l.Drafter = true
	l.Drafts = r.formula(drafter.Count)
	l.Groups = map[string]*schema.Group{}
	for name, g := range of.Groups {
		if !g.Draft {
			l.Groups[name] = g
		}
	}
	for name, g := range drafter.Groups {
		if g.Draft {
			continue
		}
		own := *g
		own.Draft = true
		switch {
		case !g.Where.IsZero():
			own.Where = r.formula(g.Where)
		case !drafter.Select.IsZero():
			own.Where = r.formula(drafter.Select)
			own.Where.Text = "(" + own.Where.Text + ") == '" + name + "'"
		}
		own.Fields = map[string]schema.Formula{}
		for field, f := range g.Fields {
			own.Fields[field] = r.formula(f)
		}
		l.Groups[draftPrefix+name] = &own
	}
	return &l
}
