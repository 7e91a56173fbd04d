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

// Layers evaluates a model's layers in a frame. It computes the I/Os of the pipeline
// stages, and the values that combine all layers.
type Layers struct {
	*Frame
	// cellsOf is the model of the latest request, and cells contains the cells of its
	// layers.
	cellsOf *model.Model
	cells   []cell
	drafts  int // the number of layers that speculation adds
	// other evaluates the destination side of a transfer.
	other *Layers
	// byCell contains the values of folds that divide layers into sets, for each cell.
	byCell []foldValues
	// axes are the fields whose values vary between the requests of a sweep.
	axes []formula.Ref
	last *formula.Space // the space of the previous request
	tally
}

// Layers returns a [Layers] that uses the frame.
func (f *Frame) Layers() *Layers { return &Layers{Frame: f} }

// layersOf assigns the layers of a request's model to groups and returns the resulting
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
				cells = append(cells, cell{index: i, group: name, draft: draft, kind: g.Kind, per: l.schema.Cache.Get().Kind(g.Kind).Per,
					partNames: l.cache.parts[g.Kind]})
			}
			cells[i].layers = append(cells[i].layers, layer)
		}
		g := l.arch.Layers.Groups[selected]
		if !draft && !l.arch.Layers.Select.IsZero() && (g == nil || !g.Where.IsZero()) {
			return nil, l.notSelected(req, layer, selected)
		}
		if !found {
			return nil, diag.Errorf(diag.Pos{File: req.Model.File}, "layer %d is not in any group of %s (%s)", layer, l.arch.Name, strings.Join(groups, ", "))
		}
	}
	if err := l.overlapping(req, both); err != nil {
		return nil, err
	}
	l.frame.Unset(l.cache.layer)
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

// notSelected returns the error for a select formula whose result is not the name of a
// selectable group.
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

// enter makes the first layer of a cell the current layer for formulas.
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

// require checks the requirements on layers of a kind or, if kind is "", on the model.
// The frame must contain the values of the layer or of the model.
func (l *Layers) require(req *Request, frame *formula.Frame, kind, group string, warnings *diag.List) error {
	for _, r := range l.cache.requires {
		if r.kind != kind {
			continue
		}
		ok, err := frame.Bool(r.ref)
		if err != nil {
			return l.missing(req, err)
		}
		l.check(frame, r.ref, ok)
		if ok {
			continue
		}
		d := l.unmet(req, frame, r.Requirement, r.ref, group, req.label())
		if !r.GoesOn() {
			return d
		}
		// The cells of a group may all cause the same warning.
		if !slices.ContainsFunc(*warnings, func(w *diag.Diag) bool { return w.Msg == d.Msg }) {
			warnings.Add(d)
		}
	}
	return nil
}

// checkFields returns an error if a field that must be 1 or more is not. It checks only
// fields that groups set, because the defaults of kinds may depend on values that are not
// known yet, such as the page size.
func (l *Layers) checkFields(req *Request, cells []cell) error {
	seen := map[string]bool{}
	for i := range cells {
		c := &cells[i]
		if seen[c.group] && !l.cache.byLayer[c.group] {
			continue
		}
		seen[c.group] = true
		frame := l.frameAt(-1, c.index)
		for _, field := range l.cache.counts[c.kind] {
			f := l.arch.Layers.Groups[c.group].Fields[field.field]
			if f.IsZero() {
				continue
			}
			v, err := frame.Num(field.ref)
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

// Expand returns a request for each I/O size in each stage, with the facts for its plan.
// In the model accounting, it returns one request. Before calling Expand, load req into
// the frame. Expand changes the frame, so load a request again before using the frame for
// anything else.
func (l *Layers) Expand(req *Request) ([]*Request, diag.List, error) {
	var warnings diag.List
	if err := l.begin(req, &warnings); err != nil {
		return nil, nil, err
	}
	if l.cache == nil {
		return []*Request{req}, warnings, nil
	}
	all, err := l.count(req, &warnings)
	return all, warnings, err
}

// begin checks the requirements on a request and evaluates the values that are computed
// from all layers of its model.
func (l *Layers) begin(req *Request, warnings *diag.List) error {
	if l.space != nil {
		l.last = l.space
	}
	l.tally = tally{first: true, settled: map[string]data.Fact{}, varying: l.axes}
	l.byCell = nil
	if err := l.Require(req, warnings); err != nil {
		return err
	}
	if l.cache == nil {
		return nil
	}
	if l.rank {
		// Check the release first, because requirements may depend on it.
		if err := l.checkRelease(req); err != nil {
			return err
		}
		if err := l.require(req, l.frame, "", "", warnings); err != nil {
			return err
		}
	}
	if _, err := l.layersOf(req); err != nil {
		return err
	}
	if p := l.cache.pairing; p != nil {
		l.varying = append([]formula.Ref{rankVaries: p.rank, groupVaries: p.dp, bytesVaries: p.bytes, iosVaries: p.total}, l.axes...)
	}
	l.newSpace()
	if err := l.checkFields(req, l.cells); err != nil {
		return err
	}
	if err := l.foldModel(req); err != nil {
		return err
	}
	if l.rank {
		if err := l.settle(req, l.cache.defaults); err != nil {
			return err
		}
	}
	return l.watch()
}

// watch determines and records which of the model's facts and requirements can change when
// fields vary. Call it again after creating a new space, because the frames of the old
// space must not be used.
func (l *Layers) watch() error {
	l.live, l.checks = nil, nil
	l.modelLive()
	return l.checkBase()
}

// The positions in [tally.varying] of the inputs that are not fields. These inputs exist
// only for transfers.
const (
	rankVaries = iota
	groupVaries
	bytesVaries
	iosVaries
	variesInside
)

// check records a requirement if its outcome can change when fields vary.
func (l *Layers) check(frame *formula.Frame, ref formula.Ref, holds bool) {
	if len(l.axes) > 0 && l.space != nil && l.space.Varies(ref) {
		l.checks = append(l.checks, check{frame, ref, holds})
	}
}

// checkBase records the requirements on the model. It evaluates them again, because they
// were first checked before the space was created.
func (l *Layers) checkBase() error {
	if len(l.axes) == 0 {
		return nil
	}
	for i := range l.requires {
		ok, err := l.base.Bool(l.requires[i])
		if err != nil {
			return err
		}
		l.check(l.base, l.requires[i], ok)
	}
	for _, r := range l.cache.requires {
		if r.kind != "" || !l.rank {
			continue
		}
		ok, err := l.base.Bool(r.ref)
		if err != nil {
			return err
		}
		l.check(l.base, r.ref, ok)
	}
	return nil
}

// foldModel evaluates the folds over the model's layers.
func (l *Layers) foldModel(req *Request) error {
	l.ofModel = l.ofModel[:0]
	for _, f := range l.cache.folds {
		if f.Over == schema.OverStage {
			continue
		}
		if err := l.settle(req, f.defaults); err != nil {
			return err
		}
		var err error
		if l.ofModel, err = l.fold(f, -1, l.ofModel); err != nil {
			return l.missing(req, err)
		}
	}
	return nil
}

// modelLive records which folds over the model's layers have values that can vary.
func (l *Layers) modelLive() {
	n := 0
	for _, f := range l.cache.folds {
		if f.Over == schema.OverStage || len(f.by) > 0 {
			continue
		}
		if l.space.Varies(f.value) {
			l.live = append(l.live, live{n, l.base, f.value})
		}
		n++
	}
}

// fold evaluates a fold and adds its value to facts. For a fold over all layers, stage is
// -1.
func (l *Layers) fold(f *fold, stage int, facts []fact) ([]fact, error) {
	if len(f.by) > 0 {
		if !l.first {
			return facts, nil // such folds are evaluated when they are read
		}
		of := make([]formula.Rat, len(l.cells))
		for i := range l.cells {
			var err error
			if of[i], err = l.frameAt(stage, i).Num(f.value); err != nil {
				return facts, err
			}
		}
		l.setByCell(f, of)
		return facts, nil
	}
	frame := l.base
	if stage >= 0 {
		frame = l.frameAt(stage, -1)
	}
	v, err := frame.Num(f.value)
	return append(facts, fact{f.Name, v}), err
}

// count evaluates the I/Os of a request and returns a request for each I/O size in each
// stage. It may be called again after the values of varying fields have changed.
func (l *Layers) count(req *Request, warnings *diag.List) ([]*Request, error) {
	l.requests = l.requests[:0]
	if !l.rank {
		one := *req
		one.facts = l.ofModel
		l.requests = append(l.requests, one)
		return l.pointers(), nil
	}
	var stages []*stage
	var err error
	if l.transfers {
		stages, err = l.shapes(req, warnings)
	} else {
		stages, err = l.stagesOf(req, warnings)
	}
	if err != nil {
		return nil, err
	}
	if l.first {
		if l.windows, err = l.base.Eval(l.cache.windows); err != nil {
			return nil, l.missing(req, err)
		}
	}
	for _, st := range stages {
		if len(st.ios) == 0 {
			if st.empty == nil {
				st.empty = diag.Warnf(req.label(), "pipeline stage %d (%s) has no cache", st.number, st.layers())
			}
			if l.first {
				warnings.Add(st.empty)
			}
			continue
		}
		if err := l.stageFacts(st); err != nil {
			return nil, l.missing(req, err)
		}
		n := len(st.ios)
		if l.slowest {
			n = 1
		}
		for j := range st.ios[:n] {
			one, same := l.add(req, st, &st.ios[j])
			n := len(st.facts)
			if same { // only facts that vary may have changed
				one.facts = l.ioFacts(one.facts[:n], st, one.io)
				for _, i := range st.varied {
					one.facts[i] = st.facts[i]
				}
			} else {
				one.facts = l.ioFacts(append(one.facts[:0], st.facts...), st, one.io)
			}
			if l.transfers && !l.slowest && st.ios[j].pairs > 1 && l.pairs.together {
				l.requests = append(l.requests, *one.together())
			}
		}
	}
	if len(l.requests) == 0 {
		return nil, l.noCache(req)
	}
	return l.pointers(), nil
}

// stageFacts evaluates the folds over a stage.
func (l *Layers) stageFacts(st *stage) (err error) {
	if len(st.facts) > 0 { // only facts that vary may have changed since then
		for _, v := range l.live {
			st.facts[v.fact] = l.ofModel[v.fact]
		}
		for _, v := range st.live {
			if st.facts[v.fact].num, err = v.frame.Num(v.ref); err != nil {
				return err
			}
		}
		return nil
	}
	st.facts = append(st.facts, l.ofModel...)
	for _, f := range l.cache.folds {
		if f.Over != schema.OverStage {
			continue
		}
		before := len(st.facts)
		if st.facts, err = l.fold(f, st.place, st.facts); err != nil {
			return err
		}
		if len(st.facts) > before && l.space.Varies(f.value) {
			st.live = append(st.live, live{before, l.frameAt(st.place, -1), f.value})
		}
	}
	for _, v := range append(slices.Clone(l.live), st.live...) {
		st.varied = append(st.varied, v.fact)
	}
	return nil
}

// add adds a request for the I/Os in o, reusing the memory of an earlier request. It reports
// whether that memory still contains the facts of a request for the same stage.
func (l *Layers) add(req *Request, st *stage, o *io) (one *Request, same bool) {
	n := len(l.requests)
	if n == cap(l.requests) {
		l.requests = append(l.requests, Request{})
	}
	l.requests = l.requests[:n+1]
	one = &l.requests[n]
	if one.stage == nil || l.first {
		facts := one.facts
		*one = *req
		one.facts, one.byCell, one.windows, one.settled = facts, l.byCell, l.windows, l.settled
	}
	same = one.stage == st && !l.first
	one.stage, one.io = st, o
	return one, same
}

// pointers returns pointers to the requests in l.requests.
func (l *Layers) pointers() []*Request {
	l.out = l.out[:0]
	for i := range l.requests {
		l.out = append(l.out, &l.requests[i])
	}
	return l.out
}

func (l *Layers) noCache(req *Request) error {
	return diag.Errorf(req.label(), "there is no cache to move").WithHint("none of the layers in this stage has a cache")
}

// ioFacts appends the facts about the I/Os of one size in a stage.
func (l *Layers) ioFacts(facts []fact, st *stage, o *io) []fact {
	facts = append(facts, fact{StageVar, formula.Int(int64(st.number))}, fact{blockFact, formula.Int(o.bytes)}, fact{batchFact, formula.Int(o.count)})
	if !l.transfers {
		return append(facts, fact{rankFact, formula.Int(st.bytes)})
	}
	return append(facts, fact{pairBytesFact, formula.Int(st.bytes)}, fact{pairIOsFact, formula.Int(st.total)},
		fact{pairsFact, formula.Int(o.pairs)}, fact{allBytesFact, formula.Int(st.all.bytes)}, fact{allIOsFact, formula.Int(st.all.ios)},
		fact{sourcesFact, formula.Int(1)}, fact{destinationsFact, formula.Int(1)})
}
