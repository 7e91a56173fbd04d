package plan

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// The names that formulas use for values of layers, stages and I/Os.
const (
	layerVar      = "layer"
	groupVar      = "layer_group"
	kindVar       = "layer_kind"
	perVar        = "layer_per"
	layerUnit     = "layer_unit"
	layerPages    = "layer_pages"
	pageBytes     = "layer_page_bytes"
	layersVar     = "cache_layers"
	predictVar    = "cache_predict_layers" // the model's own layers that predict further tokens
	draftsVar     = "cache_draft_layers"   // the layers that speculation adds
	drafterVar    = "cache_drafter"        // whether the layers that speculation adds belong to a drafter
	draftsTable   = "cache_drafts"
	draftVar      = "layer_draft"
	servedAsVar   = "cache_served_as"
	StageVar      = "cache_stage" // the stage being evaluated
	firstVar      = "cache_first"
	ioUnits       = "io_units"
	ioCovers      = "io_covers"
	ioPool        = "io_pool" // the number of the layer's pool
	coversVar     = "covers"
	ioPart        = "io_part"
	ioPartBytes   = "io_part_bytes"
	ioCount       = "io_count"
	ioBlocks      = "io_blocks"
	ioBlockBytes  = "io_block_bytes"
	windowsVar    = "cache_windows" // which tokens are counted in windowed layers
	groupsVar     = "cache_groups"  // the groups of layers that share blocks
	regionsVar    = "cache_regions" // the buffers that a rank registers for transfers
	ioPlaces      = "io_places"
	blocksVar     = "cache_blocks"
	wherePrefix   = "where."
	selectName    = "cache.select"
	foldPrefix    = "folds."
	requirePrefix = "requires."
)

// The facts about a plan's I/Os: the size of one I/O, the number of I/Os, and the total
// size of the rank's I/Os.
const (
	blockFact = "block_size"
	batchFact = "batch_size"
	rankFact  = "rank_bytes"
)

// The facts about the I/Os in a plan for a transfer: the bytes and I/Os for one pair of
// ranks, the number of such pairs, and the bytes and I/Os for all pairs.
const (
	pairBytesFact = "pair_bytes"
	pairIOsFact   = "pair_descriptors"
	pairsFact     = "pairs"
	allBytesFact  = "all_bytes"
	allIOsFact    = "all_descriptors"
	// The numbers of ranks on each side that move data at the same time.
	sourcesFact      = "pair_sources"
	destinationsFact = "pair_destinations"
)

// The configuration fields that determine the pipeline stages, the number of requests, and
// what an I/O covers, and the value that selects the largest stage.
const (
	stagesField   = "pp_size"
	requestsField = "num_requests"
	stageField    = "pp_stage"
	patternField  = "access_pattern"
	stageLargest  = "largest"
)

// maxLayers is the maximum number of layers in a model.
const maxLayers = 10_000

// cache describes an architecture's layers, with references to their formulas.
type cache struct {
	*schema.Layers
	folds    []*fold
	defaults []*engineDefault
	requires []requirement
	counts   map[string][]layerField // keyed by kind: the fields that must be 1 or more
	parts    map[string][]string     // keyed by kind: the names of the kind's parts
	// The inputs that identify the current layer in formulas.
	layer, group, kind, per, draft formula.Ref
	// Other frequently used values. A reference is -1 if the program does not have the
	// value.
	stage, units, part, requests, windows           formula.Ref
	pageBytes, pages, ioCovers, pool, count, places formula.Ref
	partBytes, blocks, blockBytes, allBlocks, first formula.Ref
	partRefs                                        map[string][]formula.Ref // like parts, but contains references instead of names
	// roots are the values that [Layers] computes instead of the program. rootOf specifies
	// how it computes them.
	roots    []formula.Root
	rootOf   []root // indexed by reference
	standIns []standIns
	// numbered reports whether a stage's values depend on the stage's number in addition to
	// the layers that the stage contains.
	numbered bool
	// byLayer contains the groups whose fields depend on the layer number.
	byLayer map[string]bool
	pairing *pairing // nil if the plans are not for transfers
	// ofModel reports whether the group of each layer depends only on the model.
	ofModel bool
}

// everyKind is used as the kind in requirements that apply to every kind of layer.
const everyKind = "*"

// requirement is a requirement on layers of a kind, or on the model if kind is "".
type requirement struct {
	*schema.Requirement
	kind string
	ref  formula.Ref
}

// fold computes one value from a value of each layer. For example, a fold can add up the
// bytes of all layers in a stage.
type fold struct {
	*schema.Fold
	ref      formula.Ref   // the value of one layer
	by       []formula.Ref // the formulas that divide the layers into sets
	when     formula.Ref   // the condition for computing the fold, or -1 if there is none
	value    formula.Ref   // the combined value
	standIns []standIn
	needs    []*fold          // the folds that it reads and that its stand-ins change
	under    int16            // the position of its stand-ins on standInAxis, or 0 if it has none
	index    int              // its index among the folds
	defaults []*engineDefault // the fields that it reads and whose defaults the engine determines
}

// standIn is a formula whose value temporarily replaces another formula's value.
type standIn struct {
	from, to formula.Ref
	text     string // the text of the formula
}

// layerField is a field of a kind, with a reference to the field's value in the current
// layer.
type layerField struct {
	field string
	ref   formula.Ref
}

// cell is a set of layers in one group that have the same field values.
type cell struct {
	group, kind, per string
	draft            bool
	layers           []int
	index            int // its index among all cells
	partNames        []string
}

// countIn returns the number of the cell's layers from lo up to, but not including, hi.
func (c *cell) countIn(lo, hi int) int64 {
	from, _ := slices.BinarySearch(c.layers, lo)
	to, _ := slices.BinarySearch(c.layers, hi)
	return int64(to - from)
}

// declareCache declares the formulas for the architecture's layers and for rank
// accounting. It declares all folds; later, linkFolds selects those that are needed.
func (ds *declarations) declareCache() error {
	c, l := ds.schema.Cache.Get(), ds.arch.Layers
	ds.cache = &cache{Layers: l}
	var errs diag.List
	kinds := map[string]*schema.Kind{} // the kinds that groups use
	for _, name := range schema.Keys(l.Groups) {
		g := l.Groups[name]
		kind := c.Kind(g.Kind)
		if kind == nil {
			d := didYouMean(diag.Errorf(g.Pos, "unknown kind of layer %q", g.Kind), g.Kind, schema.Keys(c.Kinds))
			if g.Kind == name {
				d.WithHint("name the group after its kind, or set its kind with %s: kind: \"…\"", name)
			}
			errs = append(errs, d)
			continue
		}
		kinds[g.Kind] = kind
		for _, field := range schema.Keys(g.Fields) {
			if _, ok := kind.Fields[field]; !ok {
				errs = append(errs, didYouMean(diag.Errorf(g.Fields[field].Pos, "layers of kind %s do not have the field %s", g.Kind, field), field, schema.Keys(kind.Fields)))
			}
		}
		for _, field := range schema.Keys(kind.Fields) {
			if _, ok := g.Fields[field]; !ok && kind.Fields[field].Default.IsZero() {
				errs = append(errs, diag.Errorf(g.Pos, "group %s does not set %s: %s", name, field, kind.Fields[field].Doc))
			}
		}
		if !g.Where.IsZero() {
			ds.scope.Formula(wherePrefix+name, g.Where, formula.Bool)
		}
	}
	errs.Add(everywhere(ds.arch))
	errs.Add(checkDrafts(ds.arch))
	if len(errs) > 0 {
		return errs
	}

	ds.scope.Formula(layersVar, l.Count, formula.Num)
	ds.declareDrafts()
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
	ds.declareKinds(kinds)
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
		for j := range f.By {
			ds.scope.Formula(byName(f.Name, j), f.By[j], formula.Any)
		}
		if !f.When.IsZero() {
			ds.scope.Formula(whenName(f.Name), f.When, formula.Bool)
		}
		for _, name := range schema.Keys(f.Set) {
			ds.scope.Formula(foldPrefix+f.Name+"."+name, f.Set[name], formula.Any)
		}
	}
	ds.declareRequires("", nil, c.Requires)
	ds.declareRequires(everyKind, nil, c.EachRequires)
	for _, name := range schema.Keys(kinds) {
		ds.declareRequires(name, kinds[name], kinds[name].Requires.Get())
	}
	if ds.transfers {
		ds.declareTransfers(kinds)
	}
	return nil
}

// servedAs returns the formula for the name that engines serve the model under.
func servedAs(l *schema.Layers) formula.Source {
	if l.ServedAs.IsZero() {
		return formula.Source{Text: "''"}
	}
	return l.ServedAs
}

// declareFields declares the fields of groups. A field x becomes layer_x, whose value is
// that of x in the current layer's group.
func (ds *declarations) declareFields() {
	fields := map[string]map[string]schema.Formula{}
	types := map[string]formula.Kind{}
	for name, kind := range ds.schema.Cache.Get().KindFields {
		fields[name], types[name] = map[string]schema.Formula{}, kind.Formula()
	}
	for name, g := range ds.arch.Layers.Groups {
		for field, f := range ds.schema.Cache.Get().Kind(g.Kind).Fields {
			if own, ok := g.Fields[field]; ok {
				fields[field][name] = own
			} else {
				fields[field][name] = ds.withLocalNames(ds.schema.Cache.Get().Kind(g.Kind), f.Default)
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

// declareKinds declares the formulas of layer kinds as tables indexed by kind.
func (ds *declarations) declareKinds(kinds map[string]*schema.Kind) {
	scope := ds.scope
	pages, grows, bound := map[string]schema.Formula{}, map[string]schema.Formula{}, map[string]schema.Formula{}
	sort, span, same := map[string]schema.Formula{}, map[string]schema.Formula{}, map[string]schema.Formula{}
	bytes, count := map[string]schema.Formula{}, map[string]schema.Formula{}
	for _, name := range schema.Keys(kinds) {
		k := kinds[name]
		pages[name], grows[name], bound[name] = ds.withLocalNames(k, k.Pages), ds.withLocalNames(k, k.Grows), ds.withLocalNames(k, k.Bound)
		sort[name], span[name], same[name] = ds.withLocalNames(k, k.Sort), ds.withLocalNames(k, k.Span), ds.withLocalNames(k, k.SamePages)
		var parts, stored []string
		for _, part := range schema.Keys(k.Parts) {
			parts = append(parts, partName(name, part))
			stored = append(stored, "("+partName(name, part)+" > 0 ? 1 : 0)")
			scope.Formula(partName(name, part), ds.withLocalNames(k, k.Parts[part]), formula.Num)
		}
		bytes[name], count[name] = schema.Formula{Text: "0"}, schema.Formula{Text: "0"}
		if len(parts) > 0 {
			bytes[name] = schema.Formula{Text: strings.Join(parts, " + ")}
			count[name] = schema.Formula{Text: strings.Join(stored, " + ")}
		}
	}
	tableOf(scope, "kind_pages", pages, formula.Num)
	tableOf(scope, "kind_grows", grows, formula.Bool)
	tableOf(scope, "kind_bound", bound, formula.Num)
	tableOf(scope, "kind_sort", sort, formula.Str)
	tableOf(scope, "kind_span", span, formula.Num)
	tableOf(scope, "kind_same_pages", same, formula.Num)
	tableOf(scope, "kind_parts", count, formula.Num)
	tableOf(scope, "kind_bytes", bytes, formula.Num)
	for name, kind := range map[string]formula.Kind{"pages": formula.Num, "parts": formula.Num, "grows": formula.Bool, "bound": formula.Num} {
		scope.Formula("layer_"+name, formula.Source{Text: "kind_" + name + "[" + kindVar + "]"}, kind)
	}
	scope.Formula(layerUnit, formula.Source{Text: "kind_bytes[" + kindVar + "]"}, formula.Num)
}

// fieldVar returns the name that formulas use for a field of the current layer.
func fieldVar(field string) string { return "layer_" + field }

// withLocalNames returns a copy of a kind's formula in which the names of the kind's fields
// need no prefix.
func (ds *declarations) withLocalNames(k *schema.Kind, f schema.Formula) schema.Formula {
	if ds.local[k] == nil {
		ds.local[k] = make(map[string]string, len(k.Fields))
		for field := range k.Fields {
			ds.local[k][field] = fieldVar(field)
		}
	}
	f.Local = ds.local[k]
	return f
}

// partName returns the name that formulas use for the size of a part of a layer.
func partName(kind, part string) string { return "layer_" + kind + "_" + part }

func (ds *declarations) declareRequires(kind string, k *schema.Kind, list []schema.Requirement) {
	for i := range list {
		f := list[i].Require
		if k != nil {
			f = ds.withLocalNames(k, f)
		}
		ds.scope.Formula(fmt.Sprintf("%s%s.%d", requirePrefix, kind, i), f, formula.Bool)
		ds.cache.requires = append(ds.cache.requires, requirement{&list[i], kind, 0})
	}
}

// linkCache resolves frequently used names after the formulas are compiled.
func (ds *declarations) linkCache() error {
	counts := map[string]int{}
	for i := range ds.cache.requires {
		r := &ds.cache.requires[i]
		r.ref, _ = ds.prog.Ref(fmt.Sprintf("%s%s.%d", requirePrefix, r.kind, counts[r.kind]))
		counts[r.kind]++
	}
	for name, ref := range ds.cache.named() {
		var ok bool
		if *ref, ok = ds.prog.Ref(name); !ok {
			*ref = -1
		}
	}
	ds.cache.byLayer = map[string]bool{}
	for name, g := range ds.arch.Layers.Groups {
		for field := range ds.schema.Cache.Get().Kind(g.Kind).Fields {
			src := ds.arch.Layers.Groups[name].Fields[field]
			ds.cache.byLayer[name] = ds.cache.byLayer[name] || ds.readsLayer(src)
		}
	}
	ds.cache.ofModel = ds.readsModel(layersVar) && ds.readsModel(predictVar) && ds.readsModel(selectName)
	for name := range ds.arch.Layers.Groups {
		ds.cache.ofModel = ds.cache.ofModel && ds.readsModel(wherePrefix+name)
	}
	if err := ds.linkFolds(); err != nil {
		return err
	}
	if ds.transfers {
		ds.linkTransfers()
	}
	ds.cache.counts, ds.cache.parts = map[string][]layerField{}, map[string][]string{}
	for _, g := range ds.arch.Layers.Groups {
		name, kind := g.Kind, ds.schema.Cache.Get().Kind(g.Kind)
		if ds.cache.parts[name] != nil {
			continue // another group has the same kind
		}
		ds.cache.parts[name] = schema.Keys(kind.Parts)
		for _, field := range schema.Keys(kind.Fields) {
			if ref, ok := ds.prog.Ref(fieldVar(field)); ok && kind.Fields[field].Type.Formula() == formula.Num && !kind.Fields[field].Zero {
				ds.cache.counts[name] = append(ds.cache.counts[name], layerField{field, ref})
			}
		}
	}
	ds.linkRoots()
	of := []formula.Ref{ds.cache.count, ds.cache.blocks, ds.cache.blockBytes, ds.cache.places}
	for _, f := range ds.cache.folds {
		if f.Over == schema.OverStage {
			of = append(append(of, f.ref, f.when), f.by...)
		}
	}
	ds.cache.numbered = slices.ContainsFunc(of, func(r formula.Ref) bool { return r >= 0 && ds.prog.DependsOn(r, StageVar) })
	return nil
}

// named returns the frequently used references, keyed by name.
func (c *cache) named() map[string]*formula.Ref {
	return map[string]*formula.Ref{
		layerVar: &c.layer, groupVar: &c.group, kindVar: &c.kind, perVar: &c.per, draftVar: &c.draft,
		StageVar: &c.stage, ioUnits: &c.units, ioPart: &c.part, requestsField: &c.requests, windowsVar: &c.windows,
		pageBytes: &c.pageBytes, layerPages: &c.pages, ioCovers: &c.ioCovers, ioPool: &c.pool, ioCount: &c.count, ioPlaces: &c.places,
		ioPartBytes: &c.partBytes, ioBlocks: &c.blocks, ioBlockBytes: &c.blockBytes, blocksVar: &c.allBlocks, firstVar: &c.first,
	}
}

// linkFolds resolves the folds that the requested quantities depend on, directly or through
// other folds.
func (ds *declarations) linkFolds() error {
	reach := ds.prog.ReachAll()
	var wanted []string
	for _, q := range ds.wanted {
		wanted = append(wanted, q.Name)
	}
	need := reach.Inputs(ds.refs(append(wanted, pageBytes, ioCount, ioBlocks, ioBlockBytes, ioCovers, regionsVar, groupsVar, windowsVar)...)...)
	for _, r := range ds.cache.requires {
		if r.kind == everyKind {
			need.Add(reach.Inputs(r.ref))
		}
	}
	folds := ds.schema.Cache.Get().Folds
	for i := len(folds) - 1; i >= 0; i-- {
		name := folds[i].Name
		if (need.Has(name) || slices.Contains(wanted, name)) && !ds.computed[name] {
			names := []string{foldPrefix + name, whenName(name)}
			for j := range folds[i].By {
				names = append(names, byName(name, j))
			}
			need.Add(reach.Inputs(ds.refs(names...)...))
			ds.cache.folds = append(ds.cache.folds, &fold{Fold: &folds[i]})
		}
	}
	slices.Reverse(ds.cache.folds)
	// Stand-ins do not change field values that an engine determines.
	unsettled := reach
	if ds.rank {
		unsettled = reach.Without(schema.Keys(ds.schema.Cache.Get().Defaults)...)
	}
	for i, f := range ds.cache.folds {
		f.ref, _ = ds.prog.Ref(foldPrefix + f.Name)
		f.value, _ = ds.prog.Ref(f.Name)
		refs := []formula.Ref{f.ref}
		var ok bool
		if f.when, ok = ds.prog.Ref(whenName(f.Name)); !ok {
			f.when = -1
		}
		for j := range f.By {
			by, _ := ds.prog.Ref(byName(f.Name, j))
			f.by = append(f.by, by)
			refs = append(refs, by)
		}
		for _, name := range schema.Keys(f.Set) {
			s := standIn{text: f.Set[name].Text}
			s.from, _ = ds.prog.Ref(foldPrefix + f.Name + "." + name)
			var ok bool
			if s.to, ok = ds.prog.Ref(name); !ok {
				return diag.Errorf(f.Set[name].Pos, "there is no value %s", name)
			}
			f.standIns = append(f.standIns, s)
		}
		for _, other := range ds.cache.folds[:i] {
			if len(f.Set) > 0 && !other.Kept && unsettled.Inputs(refs...).Has(other.Name) {
				f.needs = append(f.needs, other)
			}
		}
	}
	return nil
}

// byName returns the name of the i-th formula that divides a fold's layers into sets.
func byName(fold string, i int) string { return fmt.Sprintf("%s%s.by.%d", foldPrefix, fold, i) }

// whenName returns the name of the condition for computing a fold.
func whenName(fold string) string { return foldPrefix + fold + ".when" }

// readsLayer reports whether a formula depends on the layer number.
func (ds *declarations) readsLayer(src formula.Source) bool {
	for _, name := range src.Names() {
		if other, ok := src.Local[name]; ok {
			name = other
		}
		if name == layerVar {
			return true
		}
		if ref, ok := ds.prog.Ref(name); ok && ds.prog.DependsOn(ref, layerVar) {
			return true
		}
	}
	return false
}

// readsModel reports whether the named formula depends only on the layer number and the
// model's parameters. It returns true if there is no such formula.
func (ds *declarations) readsModel(name string) bool {
	ref, ok := ds.prog.Ref(name)
	return !ok || !slices.ContainsFunc(ds.prog.Inputs(ref), func(input string) bool {
		return input != layerVar && ds.arch.Param(input) == nil
	})
}

// LayerInputs returns the names of the inputs that are set separately for each layer, stage
// or I/O.
func (p *Program) LayerInputs() []string {
	if p.cache == nil {
		return nil
	}
	names := []string{layerVar, groupVar, kindVar, perVar, draftVar, ioUnits, ioPart, StageVar}
	names = append(names, p.facts()...)
	if p.transfers {
		names = append(names, destinationRank, destinationGroup)
	}
	for _, f := range p.cache.folds {
		names = append(names, f.Name)
	}
	return names
}

// OfLayer reports whether a value differs between layers, or between the I/Os of a layer.
// Such a value can be computed only for a specific layer.
func (p *Program) OfLayer(ref formula.Ref) bool {
	if p.cache == nil {
		return false
	}
	names := []string{layerVar, groupVar, kindVar, perVar, draftVar, ioUnits, ioPart}
	for _, f := range p.cache.folds {
		if len(f.by) > 0 {
			names = append(names, f.Name)
		}
	}
	return slices.Contains(names, p.prog.Name(ref)) ||
		slices.ContainsFunc(p.prog.Inputs(ref), func(input string) bool { return slices.Contains(names, input) })
}

// stageFields are the fields that rank accounting reads directly, without a
// formula.
var stageFields = []string{stagesField, stageField, patternField}

// layerRefs returns references to everything, except folds, that affects values computed
// from layers. If bytes is true, it omits everything that affects only the number and
// sizes of the I/Os, not their total size.
func (p *Program) layerRefs(bytes bool) []formula.Ref {
	names := []string{layersVar, draftsVar, selectName}
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
		names = append(names, pageBytes, layerPages, firstVar)
		if !bytes {
			names = append(names, ioCount, ioBlocks, ioBlockBytes, ioPartBytes, ioCovers, ioPool)
		}
		for kind, parts := range p.cache.parts {
			for _, part := range parts {
				names = append(names, partName(kind, part))
			}
		}
	}
	if p.transfers {
		refs = append(refs, p.cache.pairing.refs(p.slowest, bytes)...)
	}
	return append(refs, p.refs(names...)...)
}

// refs returns references to the names that exist in the program.
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
