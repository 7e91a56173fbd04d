package plan

import (
	"fmt"
	"slices"
	"strings"

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
	StageVar      = "cache_stage" // the stage that formulas speak of
	firstVar      = "cache_first"
	ioUnits       = "io_units"
	ioCovers      = "io_covers"
	coversVar     = "covers"
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
	defaults []*engineDefault
	requires []requirement
	counts   map[string][]layerField // fields of a kind that are counts
	parts    map[string][]string
	// The inputs that tell formulas which layer they speak of.
	layer, group, kind, per formula.Ref
	inner                   []formula.Ref // all that is set for a layer, stage or I/O
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
	needs    []*fold          // others that it reads, if it has stand-ins
	defaults []*engineDefault // fields that it reads and that an engine has a value for
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
func (ds *declarations) declareCache() error {
	c, l := ds.schema.Cache.Get(), ds.arch.Layers
	ds.cache = &cache{Layers: l}
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
			ds.scope.Formula(wherePrefix+name, g.Where, formula.Bool)
		}
	}
	errs.Add(everywhere(ds.arch))
	if len(errs) > 0 {
		return errs
	}

	ds.scope.Formula(layersVar, l.Count, formula.Num)
	ds.scope.Formula(servedAsVar, servedAs(l), formula.Str)
	if !l.Select.IsZero() {
		ds.scope.Formula(selectName, l.Select, formula.Str)
	}
	for _, name := range []string{layerVar, StageVar, ioUnits, ioPart} {
		ds.scope.Input(name, formula.Num, diag.Pos{})
	}
	for _, name := range []string{groupVar, kindVar, perVar} {
		ds.scope.Input(name, formula.Str, diag.Pos{})
	}
	ds.declareFields()
	declareKinds(ds.scope, kinds)
	addFormulas(ds.scope, c.Let, formula.Any)
	ds.declareModelDefaults()
	ds.declareTables()
	tableOf(ds.scope, coversVar, c.Covers, formula.Str)
	ds.scope.Formula(ioCovers, formula.Source{Text: coversVar + "[" + patternField + "]"}, formula.Str)
	for i := range c.Folds {
		f := &c.Folds[i]
		if ds.computed[f.Name] {
			continue
		}
		ds.scope.Input(f.Name, formula.Num, diag.Pos{})
		ds.scope.Formula(foldPrefix+f.Name, f.Of, formula.Num)
		for _, name := range schema.Keys(f.Set) {
			ds.scope.Formula(foldPrefix+f.Name+"."+name, f.Set[name], formula.Any)
		}
	}
	ds.declareRequires("", nil, c.Requires)
	for _, name := range schema.Keys(kinds) {
		ds.declareRequires(name, kinds[name], kinds[name].Requires)
	}
	return nil
}

// servedAs returns the formula of the name by which engines know the model.
func servedAs(l *schema.Layers) formula.Source {
	if l.ServedAs.IsZero() {
		return formula.Source{Text: "''"}
	}
	return l.ServedAs
}

// declareFields declares the fields of groups, each as layer_x for the group
// of the layer at hand.
func (ds *declarations) declareFields() {
	fields := map[string]map[string]schema.Formula{}
	types := map[string]formula.Kind{}
	for _, kind := range ds.schema.Cache.Get().Kinds {
		for name, f := range kind.Fields {
			fields[name], types[name] = map[string]schema.Formula{}, f.Type.Formula()
		}
	}
	for name, g := range ds.arch.Layers.Groups {
		for field, f := range ds.schema.Cache.Get().Kinds[g.Kind].Fields {
			if own, ok := g.Fields[field]; ok {
				fields[field][name] = own
			} else {
				fields[field][name] = within(ds.schema.Cache.Get().Kinds[g.Kind], f.Default)
			}
		}
	}
	for _, name := range schema.Keys(fields) {
		if len(fields[name]) == 0 {
			ds.scope.Input(fieldVar(name), types[name], diag.Pos{})
			continue
		}
		tableOf(ds.scope, "group_"+name, fields[name], types[name])
		ds.scope.Formula(fieldVar(name), formula.Source{Text: "group_" + name + "[" + groupVar + "]"}, types[name])
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
			scope.Formula(partName(name, part), within(k, k.Parts[part]), formula.Num)
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

func (ds *declarations) declareRequires(kind string, k *schema.Kind, list []schema.Requirement) {
	for i := range list {
		f := list[i].Require
		if k != nil {
			f = within(k, f)
		}
		ds.scope.Formula(fmt.Sprintf("%s%s.%d", requirePrefix, kind, i), f, formula.Bool)
		ds.cache.requires = append(ds.cache.requires, requirement{&list[i], kind, 0})
	}
}

// linkCache finds, once the formulas are compiled, what is asked often.
func (ds *declarations) linkCache() error {
	counts := map[string]int{}
	for i := range ds.cache.requires {
		r := &ds.cache.requires[i]
		r.ref, _ = ds.prog.Ref(fmt.Sprintf("%s%s.%d", requirePrefix, r.kind, counts[r.kind]))
		counts[r.kind]++
	}
	for name, ref := range map[string]*formula.Ref{layerVar: &ds.cache.layer, groupVar: &ds.cache.group, kindVar: &ds.cache.kind, perVar: &ds.cache.per} {
		*ref, _ = ds.prog.Ref(name)
	}
	ds.cache.byLayer = map[string]bool{}
	for name, g := range ds.arch.Layers.Groups {
		for field := range ds.schema.Cache.Get().Kinds[g.Kind].Fields {
			src := ds.arch.Layers.Groups[name].Fields[field]
			ds.cache.byLayer[name] = ds.cache.byLayer[name] || ds.readsLayer(src.Text)
		}
	}
	ds.cache.ofModel = ds.readsModel(layersVar) && ds.readsModel(selectName)
	for name := range ds.arch.Layers.Groups {
		ds.cache.ofModel = ds.cache.ofModel && ds.readsModel(wherePrefix+name)
	}
	if err := ds.linkFolds(); err != nil {
		return err
	}
	ds.cache.inner = ds.refs(ds.LayerInputs()...)
	ds.cache.counts, ds.cache.parts = map[string][]layerField{}, map[string][]string{}
	for name, kind := range ds.schema.Cache.Get().Kinds {
		ds.cache.parts[name] = schema.Keys(kind.Parts)
		for _, field := range schema.Keys(kind.Fields) {
			if ref, ok := ds.prog.Ref(fieldVar(field)); ok && kind.Fields[field].Type.Formula() == formula.Num && !kind.Fields[field].Zero {
				ds.cache.counts[name] = append(ds.cache.counts[name], layerField{field, ref})
			}
		}
	}
	return nil
}

// linkFolds finds those of the folds that are wanted, and those that these need.
func (ds *declarations) linkFolds() error {
	need := map[string]bool{}
	add := func(name string) {
		need[name] = true
		if ref, ok := ds.prog.Ref(name); ok {
			for _, input := range ds.prog.Inputs(ref) {
				need[input] = true
			}
		}
	}
	for _, q := range ds.wanted {
		add(q.Name)
	}
	add(pageBytes)
	add(ioCount)
	folds := ds.schema.Cache.Get().Folds
	for i := len(folds) - 1; i >= 0; i-- {
		if need[folds[i].Name] && !ds.computed[folds[i].Name] {
			add(foldPrefix + folds[i].Name)
			ds.cache.folds = append(ds.cache.folds, &fold{Fold: &folds[i]})
		}
	}
	slices.Reverse(ds.cache.folds)
	// An engine's value of a field does not change with what stands in.
	unsettled := func(name string) bool { return ds.engineRule(name).IsZero() }
	for i, f := range ds.cache.folds {
		f.ref, _ = ds.prog.Ref(foldPrefix + f.Name)
		f.value, _ = ds.prog.Ref(f.Name)
		for _, name := range schema.Keys(f.Set) {
			s := standIn{}
			s.from, _ = ds.prog.Ref(foldPrefix + f.Name + "." + name)
			var ok bool
			if s.to, ok = ds.prog.Ref(name); !ok {
				return diag.Errorf(f.Set[name].Pos, "there is no value %s", name)
			}
			f.standIns = append(f.standIns, s)
		}
		for _, other := range ds.cache.folds[:i] {
			if len(f.Set) > 0 && slices.Contains(ds.prog.InputsOf([]formula.Ref{f.ref}, unsettled), other.Name) {
				f.needs = append(f.needs, other)
			}
		}
	}
	return nil
}

// readsLayer reports whether a formula depends on the layer's number.
func (ds *declarations) readsLayer(text string) bool {
	for _, name := range formula.Names(text) {
		if name == layerVar {
			return true
		}
		if ref, ok := ds.prog.Ref(name); ok && slices.Contains(ds.prog.Inputs(ref), layerVar) {
			return true
		}
	}
	return false
}

// readsModel reports whether a formula, if there is one, depends on nothing but
// the layer and the model's parameters.
func (ds *declarations) readsModel(name string) bool {
	ref, ok := ds.prog.Ref(name)
	return !ok || !slices.ContainsFunc(ds.prog.Inputs(ref), func(input string) bool {
		return input != layerVar && ds.arch.Param(input) == nil
	})
}

// LayerInputs names the inputs that are set for each layer, stage or I/O.
func (p *Program) LayerInputs() []string {
	if p.cache == nil {
		return nil
	}
	names := []string{layerVar, groupVar, kindVar, perVar, ioUnits, ioPart, StageVar, blockFact, batchFact, rankFact}
	for _, f := range p.cache.folds {
		names = append(names, f.Name)
	}
	return names
}

// stageFields are the fields that the accounting of ranks reads without a
// formula.
var stageFields = []string{stagesField, stageField, patternField}

// LayersRead reports whether what comes of layers, or that there is a plan at
// all, may depend on a configuration field.
func (p *Program) LayersRead(field string) bool {
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
func (p *Program) layerRefs() []formula.Ref {
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
		names = append(names, pageBytes, layerPages, ioCount, ioPartBytes, ioCovers, firstVar)
		for kind, parts := range p.cache.parts {
			for _, part := range parts {
				names = append(names, partName(kind, part))
			}
		}
	}
	return append(refs, p.refs(names...)...)
}

// refs returns those of the names that the program knows.
func (p *Program) refs(names ...string) []formula.Ref {
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
