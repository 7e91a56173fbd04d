package plan

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// The names by which the formulas of a cache know what is computed layer by
// layer.
const (
	layerVar      = "layer"
	groupVar      = "layer_group"
	kindVar       = "layer_kind"
	perVar        = "layer_per"
	layerUnit     = "layer_unit"
	layerPages    = "layer_pages"
	pageBytes     = "layer_page_bytes"
	layersVar     = "cache_layers"
	servedAsVar   = "cache_served_as"
	stageVar      = "cache_stage"
	firstVar      = "cache_first"
	ioUnits       = "io_units"
	ioPart        = "io_part"
	ioPartBytes   = "io_part_bytes"
	ioCount       = "io_count"
	wherePrefix   = "where."
	selectName    = "cache.select"
	foldPrefix    = "folds."
	requirePrefix = "requires."
)

// The facts about the I/Os of a plan: bytes of one, their number, and the bytes
// of all I/Os of the rank.
const (
	blockFact = "block_size"
	batchFact = "batch_size"
	rankFact  = "rank_bytes"
)

// The configuration field that chooses the pipeline stage, and its words.
const (
	stagesField  = "pp_size"
	stageField   = "pp_stage"
	patternField = "access_pattern"
	stageLargest = "largest"
)

// maxLayers bounds what is asked layer by layer.
const maxLayers = 10_000

// cache is what a planner knows of an architecture's layers.
type cache struct {
	*schema.Layers
	folds    []*fold
	requires []requirement
	counts   map[string][]layerField // fields of a kind that are counts
	parts    map[string][]string
	// The inputs that tell formulas which layer they speak of.
	layer, group, kind, per formula.Ref
	// byLayer are the groups whose fields differ from layer to layer.
	byLayer map[string]bool
	// ofModel says that a model alone decides which layers its groups have.
	ofModel bool
}

// requirement is one of a kind of layers, or of all if kind is "".
type requirement struct {
	*schema.Requirement
	kind string
	ref  formula.Ref
}

// fold is a value made of all layers.
type fold struct {
	*schema.Fold
	ref      formula.Ref // the value of one layer
	value    formula.Ref // of all
	standIns []standIn
	needs    []*fold // others that it reads, if it has stand-ins
}

// standIn is a formula whose value stands in for that of another.
type standIn struct{ from, to formula.Ref }

// layerField is a field of a kind, as formulas know it of the layer at hand.
type layerField struct {
	field string
	ref   formula.Ref
}

// cell is a set of layers that are alike: layers of one group.
type cell struct {
	group, kind, per string
	layers           []int
}

// in counts the layers from lo up to hi.
func (c *cell) in(lo, hi int) int64 {
	from, _ := slices.BinarySearch(c.layers, lo)
	to, _ := slices.BinarySearch(c.layers, hi)
	return int64(to - from)
}

// declareCache declares the formulas of the architecture's layers and those of
// the rank accounting. Of folds, only those in wanted, or that these need, are
// kept.
func (p *Planner) declareCache(scope *formula.Scope) error {
	c, l := p.schema.Cache.Get(), p.arch.Layers
	p.cache = &cache{Layers: l}
	var errs diag.List
	kinds := map[string]*schema.Kind{} // in use
	for _, name := range schema.Keys(l.Groups) {
		g := l.Groups[name]
		kind := c.Kinds[g.Kind]
		if kind == nil {
			d := didYouMean(diag.Errorf(g.Pos, "there is no kind %q of layers", g.Kind), g.Kind, schema.Keys(c.Kinds))
			if g.Kind == name {
				d.WithHint("a group has the name of its kind, or names it: %s: kind: \"…\"", name)
			}
			errs = append(errs, d)
			continue
		}
		kinds[g.Kind] = kind
		for _, field := range schema.Keys(g.Fields) {
			if _, ok := kind.Fields[field]; !ok {
				errs = append(errs, didYouMean(diag.Errorf(g.Fields[field].Pos, "layers of kind %s have no field %s", g.Kind, field), field, schema.Keys(kind.Fields)))
			}
		}
		for _, field := range schema.Keys(kind.Fields) {
			if _, ok := g.Fields[field]; !ok && kind.Fields[field].Default.IsZero() {
				errs = append(errs, diag.Errorf(g.Pos, "group %s lacks %s: %s", name, field, kind.Fields[field].Doc))
			}
		}
		if !g.Where.IsZero() {
			scope.Formula(wherePrefix+name, SourceOf(g.Where), formula.Bool)
		}
	}
	if len(errs) > 0 {
		return errs
	}

	scope.Formula(layersVar, SourceOf(l.Count), formula.Num)
	scope.Formula(servedAsVar, servedAs(l), formula.Str)
	if !l.Select.IsZero() {
		scope.Formula(selectName, SourceOf(l.Select), formula.Str)
	}
	for _, name := range []string{layerVar, stageVar, ioUnits, ioPart} {
		scope.Input(name, formula.Num, diag.Pos{})
	}
	for _, name := range []string{groupVar, kindVar, perVar} {
		scope.Input(name, formula.Str, diag.Pos{})
	}
	p.declareFields(scope)
	declareKinds(scope, kinds)
	addFormulas(scope, c.Let, formula.Any)
	for _, name := range schema.Keys(c.Tables) {
		table(scope, name, c.Tables[name])
	}
	for i := range c.Folds {
		f := &c.Folds[i]
		if p.computed[f.Name] {
			continue
		}
		scope.Input(f.Name, formula.Num, diag.Pos{})
		scope.Formula(foldPrefix+f.Name, SourceOf(f.Of), formula.Num)
		for _, name := range schema.Keys(f.Set) {
			scope.Formula(foldPrefix+f.Name+"."+name, SourceOf(f.Set[name]), formula.Any)
		}
	}
	p.declareRequires(scope, "", nil, c.Requires)
	for _, name := range schema.Keys(kinds) {
		p.declareRequires(scope, name, kinds[name], kinds[name].Requires)
	}
	return nil
}

// servedAs returns the formula of the name by which engines know the model.
func servedAs(l *schema.Layers) formula.Source {
	if l.ServedAs.IsZero() {
		return formula.Source{Text: "''"}
	}
	return SourceOf(l.ServedAs)
}

// declareFields declares the fields of groups, each as layer_x for the group
// of the layer at hand.
func (p *Planner) declareFields(scope *formula.Scope) {
	fields := map[string]map[string]schema.Formula{}
	types := map[string]formula.Kind{}
	for _, kind := range p.schema.Cache.Get().Kinds {
		for name, f := range kind.Fields {
			fields[name], types[name] = map[string]schema.Formula{}, f.Type.Formula()
		}
	}
	for name, g := range p.arch.Layers.Groups {
		for field, f := range p.schema.Cache.Get().Kinds[g.Kind].Fields {
			if own, ok := g.Fields[field]; ok {
				fields[field][name] = own
			} else {
				fields[field][name] = within(p.schema.Cache.Get().Kinds[g.Kind], f.Default)
			}
		}
	}
	for _, name := range schema.Keys(fields) {
		if len(fields[name]) == 0 {
			scope.Input(fieldVar(name), types[name], diag.Pos{})
			continue
		}
		tableOf(scope, "group_"+name, fields[name], types[name])
		scope.Formula(fieldVar(name), formula.Source{Text: "group_" + name + "[" + groupVar + "]"}, types[name])
	}
}

// declareKinds declares the formulas of kinds as tables by kind.
func declareKinds(scope *formula.Scope, kinds map[string]*schema.Kind) {
	pages, grows, bound := map[string]schema.Formula{}, map[string]schema.Formula{}, map[string]schema.Formula{}
	same, bytes := map[string]schema.Formula{}, map[string]schema.Formula{}
	for _, name := range schema.Keys(kinds) {
		k := kinds[name]
		pages[name], grows[name], bound[name] = within(k, k.Pages), within(k, k.Grows), within(k, k.Bound)
		same[name] = within(k, k.SamePages)
		var parts []string
		for _, part := range schema.Keys(k.Parts) {
			parts = append(parts, partName(name, part))
			scope.Formula(partName(name, part), SourceOf(within(k, k.Parts[part])), formula.Num)
		}
		bytes[name] = schema.Formula{Text: "0"}
		if len(parts) > 0 {
			bytes[name] = schema.Formula{Text: strings.Join(parts, " + ")}
		}
	}
	tableOf(scope, "kind_pages", pages, formula.Num)
	tableOf(scope, "kind_grows", grows, formula.Bool)
	tableOf(scope, "kind_bound", bound, formula.Num)
	tableOf(scope, "kind_same_pages", same, formula.Num)
	tableOf(scope, "kind_bytes", bytes, formula.Num)
	for name, kind := range map[string]formula.Kind{"pages": formula.Num, "grows": formula.Bool, "bound": formula.Num} {
		scope.Formula("layer_"+name, formula.Source{Text: "kind_" + name + "[" + kindVar + "]"}, kind)
	}
	scope.Formula(layerUnit, formula.Source{Text: "kind_bytes[" + kindVar + "]"}, formula.Num)
}

// fieldVar is the name by which all formulas know a field of the layer at hand.
func fieldVar(field string) string { return "layer_" + field }

// within returns a formula of a kind, which knows the kind's fields by their own
// names.
func within(k *schema.Kind, f schema.Formula) schema.Formula {
	f.Local = make(map[string]string, len(k.Fields))
	for field := range k.Fields {
		f.Local[field] = fieldVar(field)
	}
	return f
}

// partName is the name of the bytes of a part of a layer.
func partName(kind, part string) string { return "layer_" + kind + "_" + part }

func (p *Planner) declareRequires(scope *formula.Scope, kind string, k *schema.Kind, list []schema.Requirement) {
	for i := range list {
		f := list[i].Require
		if k != nil {
			f = within(k, f)
		}
		scope.Formula(fmt.Sprintf("%s%s.%d", requirePrefix, kind, i), SourceOf(f), formula.Bool)
		p.cache.requires = append(p.cache.requires, requirement{&list[i], kind, 0})
	}
}

// linkCache finds, once the formulas are compiled, what is asked often.
func (p *Planner) linkCache(wanted []string) error {
	counts := map[string]int{}
	for i := range p.cache.requires {
		r := &p.cache.requires[i]
		r.ref, _ = p.prog.Ref(fmt.Sprintf("%s%s.%d", requirePrefix, r.kind, counts[r.kind]))
		counts[r.kind]++
	}
	for name, ref := range map[string]*formula.Ref{layerVar: &p.cache.layer, groupVar: &p.cache.group, kindVar: &p.cache.kind, perVar: &p.cache.per} {
		*ref, _ = p.prog.Ref(name)
	}
	p.cache.byLayer = map[string]bool{}
	for name, g := range p.arch.Layers.Groups {
		for field := range p.schema.Cache.Get().Kinds[g.Kind].Fields {
			src := p.arch.Layers.Groups[name].Fields[field]
			p.cache.byLayer[name] = p.cache.byLayer[name] || p.readsLayer(src.Text)
		}
	}
	p.cache.ofModel = p.readsModel(layersVar) && p.readsModel(selectName)
	for name := range p.arch.Layers.Groups {
		p.cache.ofModel = p.cache.ofModel && p.readsModel(wherePrefix+name)
	}
	// Of the folds, those that are wanted, and those that these need.
	need := map[string]bool{}
	add := func(name string) {
		need[name] = true
		if ref, ok := p.prog.Ref(name); ok {
			for _, input := range p.prog.Inputs(ref) {
				need[input] = true
			}
		}
	}
	for _, name := range append(wanted, pageBytes, ioCount) {
		add(name)
	}
	folds := p.schema.Cache.Get().Folds
	for i := len(folds) - 1; i >= 0; i-- {
		if need[folds[i].Name] && !p.computed[folds[i].Name] {
			add(foldPrefix + folds[i].Name)
			p.cache.folds = append(p.cache.folds, &fold{Fold: &folds[i]})
		}
	}
	slices.Reverse(p.cache.folds)
	for i, f := range p.cache.folds {
		f.ref, _ = p.prog.Ref(foldPrefix + f.Name)
		f.value, _ = p.prog.Ref(f.Name)
		for _, name := range schema.Keys(f.Set) {
			s := standIn{}
			s.from, _ = p.prog.Ref(foldPrefix + f.Name + "." + name)
			var ok bool
			if s.to, ok = p.prog.Ref(name); !ok {
				return diag.Errorf(f.Set[name].Pos, "there is no value %s", name)
			}
			f.standIns = append(f.standIns, s)
		}
		for _, other := range p.cache.folds[:i] {
			if len(f.Set) > 0 && slices.Contains(p.prog.Inputs(f.ref), other.Name) {
				f.needs = append(f.needs, other)
			}
		}
	}
	p.cache.counts, p.cache.parts = map[string][]layerField{}, map[string][]string{}
	for name, kind := range p.schema.Cache.Get().Kinds {
		p.cache.parts[name] = schema.Keys(kind.Parts)
		for _, field := range schema.Keys(kind.Fields) {
			if ref, ok := p.prog.Ref(fieldVar(field)); ok && kind.Fields[field].Type.Formula() == formula.Num {
				p.cache.counts[name] = append(p.cache.counts[name], layerField{field, ref})
			}
		}
	}
	return nil
}

// readsLayer reports whether a formula depends on the layer's number.
func (p *Planner) readsLayer(text string) bool {
	for _, name := range formula.Names(text) {
		if name == layerVar {
			return true
		}
		if ref, ok := p.prog.Ref(name); ok && slices.Contains(p.prog.Inputs(ref), layerVar) {
			return true
		}
	}
	return false
}

// readsModel reports whether a formula, if there is one, depends on nothing but
// the layer and the model's parameters.
func (p *Planner) readsModel(name string) bool {
	ref, ok := p.prog.Ref(name)
	return !ok || !slices.ContainsFunc(p.prog.Inputs(ref), func(input string) bool {
		return input != layerVar && p.arch.Param(input) == nil
	})
}

// layerInputs names the inputs that are set for each layer, stage or I/O.
func (p *Planner) layerInputs() []string {
	if p.cache == nil {
		return nil
	}
	names := []string{layerVar, groupVar, kindVar, perVar, ioUnits, ioPart, stageVar, blockFact, batchFact, rankFact}
	for _, f := range p.cache.folds {
		names = append(names, f.Name)
	}
	return names
}

// stageFields are the fields that the accounting of ranks reads without a
// formula.
var stageFields = []string{stagesField, stageField, patternField}

// layersRead reports whether what comes of layers, or that there is a plan at
// all, may depend on a configuration field.
func (p *Planner) layersRead(field string) bool {
	refs := append(slices.Clone(p.requires), p.layerRefs()...)
	for _, f := range p.cache.folds {
		refs = append(refs, f.ref)
		for _, s := range f.standIns {
			refs = append(refs, s.from)
		}
	}
	if p.rank {
		if slices.Contains(stageFields, field) {
			return true
		}
		for _, r := range p.cache.requires {
			refs = append(refs, r.ref)
		}
	}
	return slices.ContainsFunc(refs, func(ref formula.Ref) bool { return slices.Contains(p.prog.Inputs(ref), field) })
}

// layerRefs returns the values that what comes of layers is made of, but for folds.
func (p *Planner) layerRefs() []formula.Ref {
	names := []string{layersVar, selectName}
	for name := range p.arch.Layers.Groups {
		names = append(names, wherePrefix+name)
	}
	var refs []formula.Ref
	for _, fields := range p.cache.counts {
		for _, f := range fields {
			refs = append(refs, f.ref)
		}
	}
	if p.rank {
		names = append(names, pageBytes, layerPages, ioCount, ioPartBytes, firstVar)
		for kind, parts := range p.cache.parts {
			for _, part := range parts {
				names = append(names, partName(kind, part))
			}
		}
	}
	return append(refs, p.refs(names...)...)
}

// refs returns those of the names that the program knows.
func (p *Planner) refs(names ...string) []formula.Ref {
	var refs []formula.Ref
	for _, name := range names {
		if ref, ok := p.prog.Ref(name); ok {
			refs = append(refs, ref)
		}
	}
	return refs
}

func didYouMean(d *diag.Diag, word string, known []string) *diag.Diag {
	if d.About(diag.Unknown, word).Suggest(word, known) {
		return d
	}
	return d.WithHint("expected one of %s", strings.Join(known, ", "))
}

// layersOf finds which layers the groups of the model at hand have.
func (p *Planner) layersOf(req *Request) ([]cell, error) {
	if p.cells != nil && p.cellsOf == req.Model && p.cache.ofModel {
		return p.cells, nil
	}
	n, err := p.whole(layersVar)
	if err != nil {
		return nil, p.missing(req, err)
	}
	if n < 1 || n > maxLayers {
		return nil, p.missing(req, diag.Errorf(p.arch.Layers.Count.Pos, "%s is %d: expected 1 to %d layers", p.arch.Layers.Count.Text, n, maxLayers))
	}
	groups := schema.Keys(p.arch.Layers.Groups)
	shared := map[string]int{} // cells of groups whose layers are alike
	var cells []cell
	for layer := range int(n) {
		p.set(layerVar, formula.Number(int64(layer)))
		selected, err := p.selected()
		if err != nil {
			return nil, p.missing(req, err)
		}
		found := false
		for _, name := range groups {
			g := p.arch.Layers.Groups[name]
			yes, err := p.isOf(name, selected)
			if err != nil {
				return nil, p.missing(req, err)
			}
			if !yes {
				continue
			}
			found = true
			i, ok := shared[name]
			if !ok || p.cache.byLayer[name] {
				i = len(cells)
				shared[name] = i
				cells = append(cells, cell{group: name, kind: g.Kind, per: p.schema.Cache.Get().Kinds[g.Kind].Per})
			}
			cells[i].layers = append(cells[i].layers, layer)
		}
		g := p.arch.Layers.Groups[selected]
		if !p.arch.Layers.Select.IsZero() && (g == nil || !g.Where.IsZero()) {
			return nil, p.notSelected(req, layer, selected)
		}
		if !found {
			return nil, diag.Errorf(diag.Pos{File: req.Model.File}, "layer %d is in none of the groups of %s: %s", layer, p.arch.Name, strings.Join(groups, ", "))
		}
	}
	p.cellsOf, p.cells = req.Model, cells
	return cells, nil
}

// selected returns the name of the group that the layer at hand is of, or "" where
// groups say so themselves.
func (p *Planner) selected() (string, error) {
	ref, ok := p.prog.Ref(selectName)
	if !ok {
		return "", nil
	}
	v, err := p.frame.Eval(ref)
	return v.Str, err
}

// isOf reports whether the layer at hand is of a group.
func (p *Planner) isOf(group, selected string) (bool, error) {
	if ref, ok := p.prog.Ref(wherePrefix + group); ok {
		return p.frame.Bool(ref)
	}
	return p.arch.Layers.Select.IsZero() || group == selected, nil
}

// notSelected says that no group, of those that are selected by name, has the
// name.
func (p *Planner) notSelected(req *Request, layer int, name string) error {
	var groups []string
	for _, group := range schema.Keys(p.arch.Layers.Groups) {
		if p.arch.Layers.Groups[group].Where.IsZero() {
			groups = append(groups, group)
		}
	}
	f := p.arch.Layers.Select
	d := diag.Errorf(f.Pos, "layer %d: select yields %q, expected the name of a group: %s", layer, name, strings.Join(groups, ", "))
	d.Source, d.Caret = f.Text, 1
	if req.Model.File != "" && req.Model.File != f.Pos.File {
		d.WithHint("with %s", req.Model.File)
	}
	return d
}

// missing adds to an error of a formula which parameter a model lacks.
func (p *Planner) missing(req *Request, err error) error {
	list := diag.All(err)
	for _, d := range list {
		isIt := func(param schema.Param) bool { return param.Name == d.Name }
		if _, ok := req.Model.Params[d.Name]; !ok && d.Code == diag.NotGiven && slices.ContainsFunc(p.arch.Params, isIt) {
			return diag.Errorf(diag.Pos{File: req.Model.File}, "%s is missing: %s needs it", d.Name, p.arch.Name).About(diag.Missing, d.Name)
		}
	}
	// A place in the data does not say whose values are wrong.
	for i, d := range list {
		if d.Pos.File != req.Model.File && req.Model.File != "" {
			e := *d
			list[i] = e.WithHint("with %s", req.Model.File)
		}
	}
	return diag.List(list)
}

// enter makes a cell the one that formulas speak of.
func (p *Planner) enter(c *cell) {
	p.frame.SetNum(p.cache.layer, formula.Int(int64(c.layers[0])))
	p.frame.Set(p.cache.group, formula.Value{Kind: formula.Str, Str: c.group})
	p.frame.Set(p.cache.kind, formula.Value{Kind: formula.Str, Str: c.kind})
	p.frame.Set(p.cache.per, formula.Value{Kind: formula.Str, Str: c.per})
}

// whole returns a value that must be a whole number and not negative.
func (p *Planner) whole(name string) (int64, error) {
	ref, _ := p.prog.Ref(name)
	v, err := p.frame.Num(ref)
	if err != nil {
		return 0, err
	}
	n, ok := v.Int64()
	if !ok || n < 0 {
		src := p.origin(ref)
		d := diag.Errorf(src.Pos, "%s is %s: expected a whole number, 0 or more", name, v).About(diag.NotWhole, name)
		d.Source, d.Caret = src.Text, 1
		return 0, d
	}
	return n, nil
}

// require checks the requirements of a kind of layers, or the general ones.
func (p *Planner) require(req *Request, kind, group string, warnings *diag.List) error {
	for _, r := range p.cache.requires {
		if r.kind != kind {
			continue
		}
		ok, err := p.frame.Bool(r.ref)
		if err != nil {
			return p.missing(req, err)
		}
		if ok {
			continue
		}
		d := p.unmet(req, r.Requirement, r.ref, group, req.label())
		if !r.GoesOn() {
			return d
		}
		warnings.Add(d)
	}
	return nil
}

// unmet words a requirement that does not hold: of a group of layers, or of all.
// It is at the place of the value that is to blame, or at pos.
func (p *Planner) unmet(req *Request, r *schema.Requirement, ref formula.Ref, group string, pos diag.Pos) *diag.Diag {
	msg := r.Message
	if group != "" {
		msg = "layers " + group + ": " + msg
	}
	if _, left, _, ok, err := p.frame.Sides(ref); ok && err == nil && left.Value.Kind == formula.Num {
		if e, err := p.frame.Explain(ref); err == nil {
			msg += ": " + e.Values + " does not hold"
		}
	}
	of := p.prog.Name(ref)
	if group != "" {
		of += " of layers " + group
	}
	d := diag.Errorf(pos, "%s", msg).About(diag.Requires, of)
	for _, values := range []map[string]data.Fact{req.Config.Values, req.Model.Params} {
		if v, ok := values[r.Of]; ok && v.Origin.Given() {
			d = v.Origin.Errorf("%s", msg).About(diag.Requires, of)
		}
	}
	if r.Hint != "" {
		d.WithHint("%s", r.Hint)
	}
	switch {
	case r.Note:
		d.Severity, d.Usage = diag.Note, false
	case r.Warn:
		d.Severity, d.Usage = diag.Warning, false
	}
	return d
}

// checkFields refuses fields of groups that are no counts.
func (p *Planner) checkFields(req *Request, cells []cell) error {
	seen := map[string]bool{}
	for i := range cells {
		c := &cells[i]
		if seen[c.group] && !p.cache.byLayer[c.group] {
			continue
		}
		seen[c.group] = true
		p.enter(c)
		for _, field := range p.cache.counts[c.kind] {
			v, err := p.frame.Num(field.ref)
			if err != nil {
				return p.missing(req, err)
			}
			if n, whole := v.Int64(); !whole || n < 1 {
				f := p.arch.Layers.Groups[c.group].Fields[field.field]
				d := diag.Errorf(f.Pos, "%s of group %s is %s in layer %d: expected a whole number, 1 or more", field.field, c.group, v, c.layers[0]).About(diag.NotWhole, c.group+"."+field.field)
				d.Source, d.Caret = f.Text, 1
				return d.WithHint("with %s", req.Model.File)
			}
		}
	}
	return nil
}

// rate is what a cell has of each of its layers.
type rate struct {
	*cell
	page  int64   // bytes of a page
	pages int64   // of a request
	ios   int64   // that move one page of each request's
	parts []int64 // bytes of the parts of a page
}

// rates evaluates the cells.
func (p *Planner) rates(req *Request, cells []cell, warnings *diag.List) ([]rate, error) {
	covers := p.schema.Cache.Get().Covers[req.Config.Values[patternField].Str]
	p.set(ioUnits, formula.Number(1))
	seen := map[string]bool{}
	var list []rate
	for i := range cells {
		c := &cells[i]
		p.enter(c)
		if !seen[c.group] || p.cache.byLayer[c.group] {
			seen[c.group] = true
			if err := p.require(req, c.kind, c.group, warnings); err != nil {
				return nil, err
			}
		}
		r := rate{cell: c}
		var err error
		for _, v := range []struct {
			dst  *int64
			name string
		}{{&r.page, pageBytes}, {&r.pages, layerPages}, {&r.ios, ioCount}} {
			if *v.dst, err = p.whole(v.name); err != nil {
				return nil, p.missing(req, err)
			}
		}
		if covers == schema.CoversPart && r.page > 0 {
			for _, part := range p.cache.parts[c.kind] {
				n, err := p.part(c, part)
				if err != nil {
					return nil, err
				}
				r.parts = append(r.parts, n)
			}
		}
		list = append(list, r)
	}
	return list, nil
}

// part returns the bytes of a part of a page.
func (p *Planner) part(c *cell, part string) (int64, error) {
	n, err := p.whole(partName(c.kind, part))
	if err != nil {
		return 0, err
	}
	p.set(ioPart, formula.Number(n))
	return p.whole(ioPartBytes)
}

// stage is a pipeline stage with its I/Os.
type stage struct {
	number, lo, hi int // layers from lo up to hi
	ios            []io
	bytes          int64 // that all I/Os move
}

// io is one size of I/Os: of the layers of one or several groups.
type io struct {
	bytes, count int64
	groups       []string
	shares       []share
}

// share is what a group has of the I/Os of one size: an I/O is the sum over terms,
// and there are units of it for each page.
type share struct {
	terms []term
	units int64
	part  string // if it is a part of a layer
}

// term is n layers of a cell.
type term struct {
	rate *rate
	n    int64
}

// stages finds the I/Os of the pipeline stages that are asked for.
func (p *Planner) stages(req *Request, rates []rate) ([]stage, error) {
	pp, _ := req.Config.Values[stagesField].Num.Int64()
	ends := make([]int, pp+1)
	for i := range ends {
		p.set(stageVar, formula.Number(int64(i)))
		first, err := p.whole(firstVar)
		if err != nil {
			return nil, err
		}
		ends[i] = int(first)
	}
	choice := req.Config.Values[stageField]
	if n, ok := choice.Num.Int64(); choice.Kind == formula.Num && ok && n >= pp {
		return nil, choice.Origin.Errorf("there is no stage %d: there are %d, counted from 0", n, pp)
	}
	var all []stage
	for s := range int(pp) {
		if n, _ := choice.Num.Int64(); choice.Kind == formula.Num && int64(s) != n {
			continue
		}
		st := stage{number: s, lo: ends[s], hi: ends[s+1]}
		if err := st.fill(p.schema.Cache.Get().Covers[req.Config.Values[patternField].Str], p.cache.parts, rates); err != nil {
			return nil, diag.Errorf(req.label(), "the bytes of stage %d do not fit in 64 bits", s)
		}
		if choice.Str == stageLargest && len(all) > 0 {
			if st.bytes > all[0].bytes {
				all[0] = st
			}
			continue
		}
		all = append(all, st)
	}
	return all, nil
}

// fill finds the stage's I/Os, those of one size together.
func (st *stage) fill(covers string, parts map[string][]string, rates []rate) error {
	type alike struct {
		group string
		pages int64
	}
	at := map[alike]int{} // shares that cover a whole group
	type sized struct {
		share
		bytes, count int64
		group        string
	}
	var list []sized
	var sum total
	for i := range rates {
		r := &rates[i]
		n := r.in(st.lo, st.hi)
		if n == 0 || r.page == 0 || r.ios == 0 {
			continue
		}
		switch covers {
		case schema.CoversStage:
			key := alike{r.group, r.pages}
			j, ok := at[key]
			if !ok {
				j = len(list)
				at[key] = j
				list = append(list, sized{share: share{units: 1}, count: r.ios, group: r.group})
			}
			list[j].terms = append(list[j].terms, term{r, n})
			list[j].bytes = sum.add(list[j].bytes, sum.mul(n, r.page))
		case schema.CoversPart:
			for k, part := range parts[r.kind] {
				list = append(list, sized{share{[]term{{r, 1}}, n, part}, r.parts[k], sum.mul(r.ios, n), r.group})
			}
		default:
			list = append(list, sized{share{[]term{{r, 1}}, n, ""}, r.page, sum.mul(r.ios, n), r.group})
		}
	}
	for _, s := range list {
		if s.bytes == 0 {
			continue
		}
		st.bytes = sum.add(st.bytes, sum.mul(s.bytes, s.count))
		i := slices.IndexFunc(st.ios, func(o io) bool { return o.bytes == s.bytes })
		if i < 0 {
			i = len(st.ios)
			st.ios = append(st.ios, io{bytes: s.bytes})
		}
		o := &st.ios[i]
		o.count = sum.add(o.count, s.count)
		o.shares = append(o.shares, s.share)
		name := s.group
		if s.part != "" && len(list) > 1 {
			name += "." + s.part
		}
		if !slices.Contains(o.groups, name) {
			o.groups = append(o.groups, name)
		}
	}
	for i := range st.ios {
		st.ios[i].groups = shorten(st.ios[i].groups, st.ios)
	}
	return sum.err
}

// shorten names all parts of a group by the group's name alone, where no other
// I/O has one of its parts.
func shorten(names []string, all []io) []string {
	var out []string
	for _, name := range names {
		group, _, _ := strings.Cut(name, ".")
		elsewhere := 0
		for _, o := range all {
			if slices.ContainsFunc(o.groups, func(n string) bool { return n == group || strings.HasPrefix(n, group+".") }) {
				elsewhere++
			}
		}
		if elsewhere == 1 {
			name = group
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// total computes with whole numbers and remembers if one did not fit.
type total struct{ err error }

func (t *total) add(a, b int64) int64 { return t.keep(formula.Int(a).Add(formula.Int(b))) }
func (t *total) mul(a, b int64) int64 { return t.keep(formula.Int(a).Mul(formula.Int(b))) }

func (t *total) keep(v formula.Rat, err error) int64 {
	if err != nil {
		t.err = err
	}
	return v.Num()
}

// fold computes a value made of all layers, or of those of the stage.
func (p *Planner) fold(f *fold, cells []cell, lo, hi int) (formula.Rat, error) {
	undo, err := p.standIn(f, cells)
	if err != nil {
		return formula.Rat{}, err
	}
	defer undo()
	var v formula.Rat
	for i := range cells {
		c := &cells[i]
		n := int64(len(c.layers))
		if f.Over == schema.OverStage {
			n = c.in(lo, hi)
		}
		if n == 0 {
			continue
		}
		one, err := p.foldOne(f, c)
		if err != nil {
			return v, err
		}
		if f.Fold.Fold == schema.FoldMax {
			if v.Cmp(one) < 0 {
				v = one
			}
			continue
		}
		if one, err = one.Mul(formula.Int(n)); err == nil {
			v, err = v.Add(one)
		}
		if err != nil {
			return v, diag.Errorf(f.Of.Pos, "%s does not fit in 64 bits", f.Name)
		}
	}
	return v, nil
}

// foldOne returns what one layer of a cell has of a fold.
func (p *Planner) foldOne(f *fold, c *cell) (formula.Rat, error) {
	p.enter(c)
	return p.frame.Num(f.ref)
}

// standIn sets the values that stand in for others in a fold, and those folds
// over the model that change with them; undo takes all of it back.
func (p *Planner) standIn(f *fold, cells []cell) (undo func(), err error) {
	if len(f.standIns) == 0 {
		return func() {}, nil
	}
	values := make([]formula.Value, len(f.standIns))
	for i, s := range f.standIns {
		if values[i], err = p.frame.Eval(s.from); err != nil {
			return nil, err
		}
	}
	for i, s := range f.standIns {
		p.frame.Set(s.to, values[i])
	}
	before := make([]formula.Value, 0, len(f.needs))
	undo = func() {
		for _, s := range f.standIns {
			p.frame.Unset(s.to)
		}
		for i, v := range before {
			p.frame.Set(f.needs[i].value, v)
		}
	}
	for _, other := range f.needs {
		old, err := p.frame.Eval(other.value)
		var now formula.Rat
		if err == nil {
			now, err = p.fold(other, cells, 0, 0)
		}
		if err != nil {
			undo()
			return nil, err
		}
		before = append(before, old)
		p.frame.Set(other.value, formula.Value{Kind: formula.Num, Num: now})
	}
	return undo, nil
}

// expand returns a request for each I/O size of each stage, with the facts that
// its plan has; of another accounting than that of ranks, one request. The frame
// holds what is given of the request.
func (p *Planner) expand(req *Request) ([]*Request, diag.List, error) {
	var warnings diag.List
	if err := p.archRequires(req, &warnings); err != nil {
		return nil, nil, err
	}
	if p.cache == nil {
		return []*Request{req}, warnings, nil
	}
	if p.rank {
		if err := p.require(req, "", "", &warnings); err != nil {
			return nil, nil, err
		}
	}
	cells, err := p.layersOf(req)
	if err == nil {
		err = p.checkFields(req, cells)
	}
	if err != nil {
		return nil, nil, err
	}
	facts := make([]fact, 0, len(p.cache.folds)+4)
	fold := func(over string, lo, hi int) error {
		for _, f := range p.cache.folds {
			if (f.Over == schema.OverStage) != (over == schema.OverStage) {
				continue
			}
			v, err := p.fold(f, cells, lo, hi)
			if err != nil {
				return p.missing(req, err)
			}
			facts = append(facts, fact{f.Name, v})
			p.set(f.Name, formula.Value{Kind: formula.Num, Num: v})
		}
		return nil
	}
	if err := fold("", 0, 0); err != nil {
		return nil, nil, err
	}
	if !p.rank {
		one := *req
		one.facts = facts
		return []*Request{&one}, warnings, nil
	}
	rates, err := p.rates(req, cells, &warnings)
	if err != nil {
		return nil, nil, err
	}
	stages, err := p.stages(req, rates)
	if err != nil {
		return nil, nil, err
	}
	var all []*Request
	ofModel := len(facts)
	for i := range stages {
		st := &stages[i]
		if len(st.ios) == 0 {
			warnings.Add(diag.Warnf(req.label(), "pipeline stage %d (%s) holds no cache", st.number, st.layers()))
			continue
		}
		facts = facts[:ofModel]
		if err := fold(schema.OverStage, st.lo, st.hi); err != nil {
			return nil, nil, err
		}
		for j := range st.ios {
			one := *req
			one.stage, one.io = st, &st.ios[j]
			io := &st.ios[j]
			one.facts = append(slices.Clone(facts), fact{stageVar, formula.Int(int64(st.number))}, fact{blockFact, formula.Int(io.bytes)},
				fact{batchFact, formula.Int(io.count)}, fact{rankFact, formula.Int(st.bytes)})
			all = append(all, &one)
		}
	}
	if len(all) == 0 {
		return nil, nil, diag.Errorf(req.label(), "there is no cache to move").WithHint("no layer of the stage holds any")
	}
	return all, warnings, nil
}

// layers names the layers of a stage.
func (st *stage) layers() string {
	switch st.hi - st.lo {
	case 0:
		return "no layers"
	case 1:
		return fmt.Sprintf("layer %d", st.lo)
	}
	return fmt.Sprintf("layers %d to %d", st.lo, st.hi-1)
}

// archRequires checks what an architecture requires of its parameters.
func (p *Planner) archRequires(req *Request, warnings *diag.List) error {
	for i := range p.arch.Requires {
		r, ref := &p.arch.Requires[i], p.requires[i]
		ok, err := p.frame.Bool(ref)
		if err != nil {
			return p.missing(req, err)
		}
		if ok {
			continue
		}
		d := p.unmet(req, r, ref, "", diag.Pos{File: req.Model.File})
		if !r.GoesOn() {
			return d
		}
		warnings.Add(d)
	}
	return nil
}

const archPrefix = "architecture."
