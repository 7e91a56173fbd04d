package plan

import (
	"fmt"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/schema"
)

// overlap is a set of layers that each belong to two groups.
type overlap struct {
	one, two string
	layers   []int
}

// overlaps lists the overlaps of an architecture's groups, ordered by their first layers.
type overlaps []overlap

func (o *overlaps) add(layer int, one, two string) {
	for i := range *o {
		if p := &(*o)[i]; p.one == one && p.two == two {
			p.layers = append(p.layers, layer)
			return
		}
	}
	*o = append(*o, overlap{one, two, []int{layer}})
}

// overlapping returns an error that lists overlaps, or nil if there are none.
func (l *Layers) overlapping(req *Request, list overlaps) error {
	var errs diag.List
	for _, o := range list {
		d := twice(l.arch.Layers.Groups[o.two], l.arch, numbered(o.layers), o.one, o.two)
		if file := req.Model.File; file != "" && file != l.arch.File {
			d.WithHint("with %s", file)
		}
		errs = append(errs, d)
	}
	return errs.Err()
}

// firstLayers is the number of layers that [Checker.Overlaps] checks.
const firstLayers = 8

// Overlaps returns an error if any of the first few layers is in two groups that are not
// shared. It does not need a model, because it evaluates only conditions that depend on
// nothing but the layer number.
func (ch *Checker) Overlaps() error {
	if ch.arch.Layers == nil {
		return nil
	}
	p, err := ch.planners.For(ch.arch, Use{Rank: true, Detail: true})
	if err != nil {
		return err
	}
	l := p.layers
	count := int64(firstLayers)
	if n, err := l.whole(layersVar); err == nil {
		count = min(n, count)
	}
	var both overlaps
	for layer := range int(count) {
		l.set(layerVar, formula.Number(int64(layer)))
		own := ""
		for _, name := range schema.Keys(ch.arch.Layers.Groups) {
			g := ch.arch.Layers.Groups[name]
			if yes, err := l.isOf(name, ""); g.Draft || g.Shared || err != nil || !yes {
				continue
			}
			if own != "" {
				both.add(layer, own, name)
				continue
			}
			own = name
		}
	}
	return l.overlapping(&Request{Model: &model.Model{File: ch.arch.File}}, both)
}

// everywhere returns an error if two groups that are not shared both contain all layers, or
// both contain all draft layers. This check does not depend on the model.
func everywhere(arch *schema.Architecture) error {
	first := map[bool]string{} // keyed by whether the group is for draft layers
	for _, name := range schema.Keys(arch.Layers.Groups) {
		g := arch.Layers.Groups[name]
		switch {
		case g.Shared || !g.Where.IsZero() || !g.Draft && !arch.Layers.Select.IsZero():
		case first[g.Draft] == "":
			first[g.Draft] = name
		case g.Draft:
			return twice(g, arch, "all draft layers are", first[g.Draft], name)
		default:
			return twice(g, arch, "all layers are", first[g.Draft], name)
		}
	}
	return nil
}

func twice(g *schema.Group, arch *schema.Architecture, layers, one, two string) *diag.Diag {
	return diag.Errorf(g.Pos, "%s in two groups of %s (%s and %s) and would be counted twice", layers, arch.Name, one, two).
		WithHint("exclude these layers from one of the groups with where: \"…\", or set shared: true in one of them if each layer stores what both groups describe")
}

// numbered describes layers, as in "layers 0 to 3 and 5 are". The layer numbers must be in
// ascending order.
func numbered(layers []int) string {
	var runs []string
	for i := 0; i < len(layers); {
		j := i
		for j+1 < len(layers) && layers[j+1] == layers[j]+1 {
			j++
		}
		run := fmt.Sprint(layers[i])
		if j > i {
			run = fmt.Sprintf("%d to %d", layers[i], layers[j])
		}
		runs, i = append(runs, run), j+1
	}
	if more := len(runs) - diag.MaxShown; more > 0 {
		runs = append(runs[:diag.MaxShown:diag.MaxShown], fmt.Sprintf("%d more ranges", more))
	}
	switch last := len(runs) - 1; {
	case len(layers) == 1:
		return "layer " + runs[0] + " is"
	case last == 0:
		return "layers " + runs[0] + " are"
	default:
		return "layers " + strings.Join(runs[:last], ", ") + " and " + runs[last] + " are"
	}
}
