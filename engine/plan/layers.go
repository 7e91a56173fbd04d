package plan

import (
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/schema"
)

// Layers evaluates the layers of a model in a frame: the I/Os of its pipeline stages,
// and the values that combine all layers.
type Layers struct {
	*Frame
	// The model of the latest request, and its cells.
	cellsOf *model.Model
	cells   []cell
	drafts  int // the number of layers in the cells that speculation adds
	// other evaluates the destination's side of a transfer.
	other *Layers
	quick *quick // for the slowest pairs of transfers, or nil
	// byCell contains, for each cell, the values of folds that divide layers into sets.
	byCell []foldValues
}

// Layers returns a Layers that evaluates in the frame.
func (f *Frame) Layers() *Layers { return &Layers{Frame: f} }

// layersOf assigns the layers of the request's model to groups, and returns them as
// cells.
func (l *Layers) layersOf(req *Request) ([]cell, error) {
	drafts, err := l.whole(draftsVar)
	if err != nil {
		return nil, l.missing(req, err)
	}
	if l.cells != nil && l.cellsOf == req.Model && int64(l.drafts) == drafts && l.cache.ofModel {
		return l.cells, nil
	}
	n, err := l.whole(layersVar)
	if err != nil {
		return nil, l.missing(req, err)
	}
	if drafts > maxLayers-n && n <= maxLayers {
		return nil, l.missing(req, diag.Errorf(l.arch.Layers.Drafts.Pos, "%s is %d: expected at most %d layers in all", l.arch.Layers.Drafts.Text, drafts, maxLayers))
	}
	if n < 1 || n > maxLayers {
		return nil, l.missing(req, diag.Errorf(l.arch.Layers.Count.Pos, "%s is %d: expected 1 to %d layers", l.arch.Layers.Count.Text, n, maxLayers))
	}
	groups := schema.Keys(l.arch.Layers.Groups)
	shared := map[string]int{} // the latest cell of each group
	var cells []cell
	var both overlaps
	for layer := range int(n + drafts) {
		draft := layer >= int(n)
		l.set(layerVar, formula.Number(int64(layer)))
		selected := ""
		if !draft {
			if selected, err = l.selected(); err != nil {
				return nil, l.missing(req, err)
			}
		}
		found, own := false, ""
		for _, name := range groups {
			g := l.arch.Layers.Groups[name]
			if g.Draft != draft {
				continue
			}
			yes, err := l.isOf(name, selected)
			if err != nil {
				return nil, l.missing(req, err)
			}
			if !yes {
				continue
			}
			found = true
			switch {
			case g.Shared:
			case own == "":
				own = name
			default:
				both.add(layer, own, name)
			}
			i, ok := shared[name]
			if !ok || l.cache.byLayer[name] {
				i = len(cells)
				shared[name] = i
				cells = append(cells, cell{index: i, group: name, draft: draft, kind: g.Kind, per: l.schema.Cache.Get().Kind(g.Kind).Per})
			}
			cells[i].layers = append(cells[i].layers, layer)
		}
		g := l.arch.Layers.Groups[selected]
		if !draft && !l.arch.Layers.Select.IsZero() && (g == nil || !g.Where.IsZero()) {
			return nil, l.notSelected(req, layer, selected)
		}
		if !found {
			return nil, diag.Errorf(diag.Pos{File: req.Model.File}, "layer %d is not in any group of %s: %s", layer, l.arch.Name, strings.Join(groups, ", "))
		}
	}
	if err := l.overlapping(req, both); err != nil {
		return nil, err
	}
	l.cellsOf, l.cells, l.drafts = req.Model, cells, int(drafts)
	return cells, nil
}

// selected returns the name of the group that the architecture's select formula assigns
// the current layer to, or "" if there is no such formula.
func (l *Layers) selected() (string, error) {
	ref, ok := l.prog.Ref(selectName)
	if !ok {
		return "", nil
	}
	v, err := l.frame.Eval(ref)
	return v.Str, err
}

// isOf reports whether the current layer belongs to a group.
func (l *Layers) isOf(group, selected string) (bool, error) {
	if ref, ok := l.prog.Ref(wherePrefix + group); ok {
		return l.frame.Bool(ref)
	}
	return l.arch.Layers.Select.IsZero() || l.arch.Layers.Groups[group].Draft || group == selected, nil
}

// notSelected returns the error for a name yielded by the select formula that is not
// the name of a group that can be selected.
func (l *Layers) notSelected(req *Request, layer int, name string) error {
	var groups []string
	for _, group := range schema.Keys(l.arch.Layers.Groups) {
		if g := l.arch.Layers.Groups[group]; g.Where.IsZero() && !g.Draft {
			groups = append(groups, group)
		}
	}
	f := l.arch.Layers.Select
	d := diag.Errorf(f.Pos, "layer %d: select yields %q, expected the name of a group: %s", layer, name, strings.Join(groups, ", "))
	d.Suggest(name, groups)
	d.Source, d.Caret = f.Text, 1
	if req.Model.File != "" && req.Model.File != f.Pos.File {
		d.WithHint("with %s", req.Model.File)
	}
	return d
}

// enter makes the first layer of a cell the current layer in formulas.
func (l *Layers) enter(c *cell) {
	l.frame.SetNum(l.cache.layer, formula.Int(int64(c.layers[0])))
	l.frame.Set(l.cache.group, formula.Value{Kind: formula.Str, Str: c.group})
	l.frame.Set(l.cache.kind, formula.Value{Kind: formula.Str, Str: c.kind})
	l.frame.Set(l.cache.per, formula.Value{Kind: formula.Str, Str: c.per})
	l.frame.Set(l.cache.draft, formula.Value{Kind: formula.Bool, Bool: c.draft})
	for _, v := range l.byCell {
		l.frame.SetNum(v.fold.value, v.of[c.index])
	}
}

// require checks the requirements on layers of a kind, or on the model if kind is "".
func (l *Layers) require(req *Request, kind, group string, warnings *diag.List) error {
	for _, r := range l.cache.requires {
		if r.kind != kind {
			continue
		}
		ok, err := l.frame.Bool(r.ref)
		if err != nil {
			return l.missing(req, err)
		}
		if ok {
			continue
		}
		d := l.unmet(req, r.Requirement, r.ref, group, req.label())
		if !r.GoesOn() {
			return d
		}
		// Cells of one group may all cause the same warning.
		if !slices.ContainsFunc(*warnings, func(w *diag.Diag) bool { return w.Msg == d.Msg }) {
			warnings.Add(d)
		}
	}
	return nil
}

// checkFields returns an error if a field that must be 1 or more is not. It checks only
// fields that groups set: the defaults of kinds may read values that are not known yet,
// such as the size of a page.
func (l *Layers) checkFields(req *Request, cells []cell) error {
	seen := map[string]bool{}
	for i := range cells {
		c := &cells[i]
		if seen[c.group] && !l.cache.byLayer[c.group] {
			continue
		}
		seen[c.group] = true
		l.enter(c)
		for _, field := range l.cache.counts[c.kind] {
			f := l.arch.Layers.Groups[c.group].Fields[field.field]
			if f.IsZero() {
				continue
			}
			v, err := l.frame.Num(field.ref)
			if err != nil {
				return l.missing(req, err)
			}
			if n, whole := v.Int64(); !whole || n < 1 {
				d := diag.Errorf(f.Pos, "%s in group %s is %s in layer %d: expected a whole number, 1 or more", field.field, c.group, v, c.layers[0]).About(diag.NotWhole, c.group+"."+field.field)
				d.Source, d.Caret = f.Text, 1
				return d.WithHint("with %s", req.Model.File)
			}
		}
	}
	return nil
}

// ExpandNext is like [Layers.Expand], but first clears the values that Expand set for
// the previous request. Both requests must be for the same model and differ only in the
// values of their axes. The given values of the new one must already be in the frame.
func (l *Layers) ExpandNext(req *Request) ([]*Request, diag.List, error) {
	if l.slowest {
		if l.quick == nil {
			l.quick = newQuick(l)
		}
		return l.quick.expand(req)
	}
	for _, ref := range l.cache.inner {
		l.frame.Unset(ref)
	}
	l.unsettle(req)
	return l.Expand(req)
}

// Expand returns a request for each I/O size in each stage, with the facts for its plan.
// In the model accounting, it returns one request. The frame must hold the given values
// of the request.
func (l *Layers) Expand(req *Request) ([]*Request, diag.List, error) {
	var warnings diag.List
	x, err := l.model(req, &warnings)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case l.cache == nil:
		return []*Request{req}, warnings, nil
	case !l.rank:
		one := *req
		one.facts = x.facts
		return []*Request{&one}, warnings, nil
	}
	var stages []stage
	if l.transfers {
		stages, err = l.shapes(x, &warnings)
	} else {
		var rates []rate
		if rates, err = l.rates(req, x.cells, &warnings); err == nil {
			stages, err = l.stages(req, rates)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	ref, _ := l.prog.Ref(windowsVar)
	windows, err := l.frame.Eval(ref)
	if err != nil {
		return nil, nil, l.missing(req, err)
	}
	var all []*Request
	ofModel := len(x.facts)
	for i := range stages {
		st := &stages[i]
		if len(st.ios) == 0 {
			warnings.Add(diag.Warnf(req.label(), "pipeline stage %d (%s) has no cache", st.number, st.layers()))
			continue
		}
		x.facts = x.facts[:ofModel]
		if err := l.folds(x, schema.OverStage, st.lo, st.hi); err != nil {
			return nil, nil, err
		}
		n := len(st.ios)
		if l.slowest {
			n = 1
		}
		for j := range st.ios[:n] {
			one := *req
			one.stage, one.io, one.byCell, one.windows, one.settled = st, &st.ios[j], l.byCell, windows, x.settled
			one.facts = append(slices.Clone(x.facts), l.ioFacts(st, &st.ios[j])...)
			all = append(all, &one)
			if l.transfers && !l.slowest && st.ios[j].pairs > 1 && x.together() {
				all = append(all, one.together())
			}
		}
	}
	if len(all) == 0 {
		return nil, nil, l.noCache(req)
	}
	return all, warnings, nil
}

func (l *Layers) noCache(req *Request) error {
	return diag.Errorf(req.label(), "there is no cache to move").WithHint("none of the layers in this stage has a cache")
}

// ioFacts returns the facts for the plan of I/Os of one size in a stage.
func (l *Layers) ioFacts(st *stage, o *io) []fact {
	facts := []fact{
		{StageVar, formula.Int(int64(st.number))}, {blockFact, formula.Int(o.bytes)}, {batchFact, formula.Int(o.count)},
	}
	if !l.transfers {
		return append(facts, fact{rankFact, formula.Int(st.bytes)})
	}
	return append(facts, fact{pairBytesFact, formula.Int(st.bytes)}, fact{pairIOsFact, formula.Int(st.total)},
		fact{pairsFact, formula.Int(o.pairs)}, fact{allBytesFact, formula.Int(st.all.bytes)}, fact{allIOsFact, formula.Int(st.all.ios)},
		fact{sourcesFact, formula.Int(1)}, fact{destinationsFact, formula.Int(1)})
}

// modelled has the values of a request that are computed from all of a model's layers.
type modelled struct {
	*Request
	cells   []cell
	facts   []fact
	settled map[string]data.Fact
}

// model checks the requirements on a request and evaluates its layers.
func (l *Layers) model(req *Request, warnings *diag.List) (*modelled, error) {
	l.byCell = nil
	if err := l.Require(req, warnings); err != nil {
		return nil, err
	}
	x := &modelled{Request: req}
	if l.cache == nil {
		return x, nil
	}
	if l.rank {
		// Check the release first: requirements may read it.
		if err := l.checkRelease(req); err != nil {
			return nil, err
		}
		if err := l.require(req, "", "", warnings); err != nil {
			return nil, err
		}
	}
	var err error
	if x.cells, err = l.layersOf(req); err != nil {
		return nil, err
	}
	if err := l.checkFields(req, x.cells); err != nil {
		return nil, err
	}
	x.facts = make([]fact, 0, len(l.cache.folds)+4)
	x.settled = map[string]data.Fact{}
	if err := l.folds(x, "", 0, 0); err != nil {
		return nil, err
	}
	if l.rank {
		err = l.settle(req, l.cache.defaults, x.settled)
	}
	return x, err
}

// folds evaluates the folds over the model's layers or, if over is
// [schema.OverStage], over those from lo up to hi.
func (l *Layers) folds(x *modelled, over string, lo, hi int) error {
	for _, f := range l.cache.folds {
		if (f.Over == schema.OverStage) != (over == schema.OverStage) {
			continue
		}
		if err := l.settle(x.Request, f.defaults, x.settled); err != nil {
			return err
		}
		if err := l.computeFold(f, x.cells, lo, hi); err != nil {
			return l.missing(x.Request, err)
		}
		if len(f.by) > 0 {
			continue
		}
		v, err := l.frame.Num(f.value)
		if err != nil {
			return l.missing(x.Request, err)
		}
		x.facts = append(x.facts, fact{f.Name, v})
	}
	return nil
}
