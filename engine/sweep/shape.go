package sweep

import (
	"fmt"
	"slices"

	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
)

// shape describes which values depend on the axes of an item.
type shape struct {
	// slow contains the axes that may affect which of the backend's rules apply.
	slow []int
	// general reports whether the item's points must be planned one by one.
	general bool
	// layered reports whether the item has values computed from layers. If so, a point may
	// have several rows.
	layered bool
	refs    []formula.Ref        // references to the axes; -1 for an axis that no formula reads
	varying []int                // see [plan.Program.Varying]
	changes map[formula.Ref]bool // values that can differ between points with the same values of the slow axes
	limits  []fit.Limit
	// arguments is true if there is a limit that each argument of the command must meet.
	arguments bool
}

// maxVariants is the maximum number of variants per item. If there are more, the item's
// points are planned one by one.
const maxVariants = 64

// shapeOf returns the shape of an item. Items share a shape if they have the same backend
// and axes, are all fitted or all not fitted, and agree on which axes have only values
// that count as set.
func (sp *sweepProgram) shapeOf(it *plan.Item) *shape {
	p := sp.Program
	names := make([]string, len(it.Config.Axes))
	key := ""
	for i, a := range it.Config.Axes {
		names[i] = a.Field.Var
		key += fmt.Sprint(" ", a.Field.Var, p.AllGiven(&a))
	}
	values := map[string]fit.Value{}
	for name, v := range it.Flags {
		values[name] = fit.Value{Value: v.Value, From: fit.Given}
	}
	backend, _ := p.Bench.Backend(values)
	key = fmt.Sprint(backend, it.Fit, key)
	if sh := sp.shapes[key]; sh != nil {
		return sh
	}
	sh := &shape{changes: map[formula.Ref]bool{}, layered: p.Layered()}
	sh.general = it.Fit && (it.Least || p.OfSlowest())
	sp.shapes[key] = sh

	fast := p.LayerInputs()
	variants := 1
	for i, name := range names {
		ref, ok := sp.Formulas().Ref(name)
		if !ok {
			ref = -1
		}
		sh.refs = append(sh.refs, ref)
		if p.Bench.Decides(backend, name) {
			sh.slow = append(sh.slow, i)
			if variants *= len(it.Config.Axes[i].Values); variants > maxVariants {
				sh.general = true
				variants = maxVariants // prevents the product from overflowing
			}
			continue
		}
		fast = append(fast, name)
	}
	if !p.OfSlowest() {
		sh.limits = p.Bench.Limits(backend)
	}
	if it.Fit {
		sh.arguments = slices.ContainsFunc(sh.limits, p.Bench.OnArguments)
		for _, l := range sh.limits {
			for _, fix := range p.Bench.FixesOf(l.Limit) {
				fast = append(fast, fix.Name)
			}
		}
	}
	changes := func(ref formula.Ref) bool {
		return slices.ContainsFunc(fast, func(name string) bool { return sp.Formulas().DependsOn(ref, name) })
	}
	for _, name := range sp.Formulas().Names() {
		ref, _ := sp.Formulas().Ref(name)
		if slices.Contains(fast, name) || changes(ref) {
			sh.changes[ref] = true
		}
	}
	if sh.layered {
		sh.varying = p.Varying(it.Config.Axes)
	}
	for _, l := range sh.limits {
		sh.changes[l.Ref] = changes(l.Ref)
	}
	return sh
}
