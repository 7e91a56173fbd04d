package plan

import (
	"errors"
	"slices"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// The axes of the space in which layers are evaluated: the stand-ins of folds, the pipeline
// stages, the cells of layers, and the parts of a layer. Positions on an axis are numbered
// from 1.
const (
	standInAxis = iota
	stageAxis
	cellAxis
	partAxis
)

// root specifies how to compute a value that differs between layers or stages.
type root struct {
	what  rootKind
	index int16 // the index of the fold, or of the value on the destination side
}

type rootKind uint8

const (
	noRoot rootKind = iota
	layerRoot
	groupRoot
	kindRoot
	perRoot
	draftRoot
	stageRoot
	unitsRoot
	partRoot
	foldRoot
	standInRoot
	otherRoot // a value of the destination side
)

// standIns contains the stand-ins of a fold, and the folds that must be recomputed while
// they apply. Several folds may share the same stand-ins.
type standIns struct {
	list  []standIn
	needs []*fold
}

// linkRoots determines how to compute the values that differ between layers or stages.
func (ds *declarations) linkRoots() {
	c := ds.cache
	c.rootOf = make([]root, ds.prog.Len())
	add := func(r formula.Ref, of root, by uint64, reads ...formula.Ref) {
		c.rootOf[r] = of
		c.roots = append(c.roots, formula.Root{Ref: r, By: by, Reads: reads})
	}
	ofCell, ofStage := formula.At(cellAxis, 1), formula.At(stageAxis, 1)
	add(c.layer, root{what: layerRoot}, ofCell)
	add(c.group, root{what: groupRoot}, ofCell)
	add(c.kind, root{what: kindRoot}, ofCell)
	add(c.per, root{what: perRoot}, ofCell)
	add(c.draft, root{what: draftRoot}, ofCell)
	add(c.stage, root{what: stageRoot}, ofStage)
	add(c.units, root{what: unitsRoot}, 0)
	var parts []formula.Ref
	c.partRefs = map[string][]formula.Ref{}
	for kind, list := range c.parts {
		for _, part := range list {
			ref, _ := ds.prog.Ref(partName(kind, part))
			if _, ok := ds.prog.Ref(partName(kind, part)); !ok {
				break // no group has this kind
			}
			c.partRefs[kind] = append(c.partRefs[kind], ref)
		}
		parts = append(parts, c.partRefs[kind]...)
	}
	add(c.part, root{what: partRoot}, ofCell|formula.At(partAxis, 1), parts...)
	for i, f := range c.folds {
		if len(f.standIns) > 0 {
			c.addStandIns(f)
		}
		f.index = i
	}
	under := map[formula.Ref]uint64{}
	for i, s := range c.standIns {
		at := formula.At(standInAxis, int16(i+1))
		for _, f := range s.needs {
			under[f.value] |= at
		}
		for _, one := range s.list {
			c.rootOf[one.to] = root{what: standInRoot}
			under[one.to] |= at
			c.roots = append(c.roots, formula.Root{Ref: one.to, By: at, Reads: []formula.Ref{one.from}})
		}
	}
	for i, f := range c.folds {
		by := under[f.value]
		if len(f.by) > 0 {
			by |= ofCell
		}
		if f.Over == schema.OverStage {
			by |= ofStage
		}
		reads := append([]formula.Ref{f.ref}, f.by...)
		if f.when >= 0 {
			reads = append(reads, f.when)
		}
		for _, s := range f.standIns {
			reads = append(reads, s.from)
		}
		add(f.value, root{foldRoot, int16(i)}, by, reads...)
	}
	if c.pairing != nil {
		for i, v := range c.pairing.values {
			add(v.to, root{otherRoot, int16(i)}, ofCell)
		}
	}
}

// addStandIns adds the stand-ins of a fold, or reuses equal stand-ins of another fold.
func (c *cache) addStandIns(f *fold) {
	same := func(s standIns) bool {
		// Equal formulas have a different reference in each fold, so compare their texts.
		return slices.Equal(s.needs, f.needs) && slices.EqualFunc(s.list, f.standIns, func(a, b standIn) bool {
			return a.to == b.to && a.text == b.text
		})
	}
	i := slices.IndexFunc(c.standIns, same)
	if i < 0 {
		i = len(c.standIns)
		c.standIns = append(c.standIns, standIns{f.standIns, f.needs})
	}
	f.under = int16(i + 1)
}

// tally contains the values evaluated from a model's layers for a request. They are reused
// for the next request if it differs only in the values of varying fields.
type tally struct {
	space *formula.Space
	// base is the frame for values that are the same for all layers and stages.
	base    *formula.Frame
	counts  [][]*counting // indexed by stage + 1, and by fold and stand-ins
	varying []formula.Ref
	settled map[string]data.Fact
	checks  []check
	ends    []int
	rates   []rate
	stages  []stage
	largest bool // whether only the largest stage is needed
	like    map[string]*stage
	chosen  []*stage // the stages to plan for
	// first is false if only values that depend on varying fields must be evaluated again.
	first    bool
	ofModel  []fact
	live     []live // the facts in ofModel that vary
	windows  formula.Value
	requests []Request
	out      []*Request
	pairs    *pairsOf
	// inFirst is the frame for evaluating values of the transfer. These values do not differ
	// between layers, but may depend on values of the destination side.
	inFirst *formula.Frame
}

// errAnew means that the layers must be evaluated again from the beginning because a
// varying field changed not only numbers but also which layers a pair moves.
var errAnew = errors.New("evaluate the layers again")

// live is a fact that varies. It contains the fact's index, and the frame and reference
// for computing the value again.
type live struct {
	fact  int
	frame *formula.Frame
	ref   formula.Ref
}

// check is a requirement that depends on varying fields, together with whether it held when
// it was recorded.
type check struct {
	frame *formula.Frame
	ref   formula.Ref
	holds bool
}

// counting contains the frames for computing a fold, one for each cell, and the number of
// layers in each cell. It omits cells without layers unless the fold divides the layers into
// sets.
type counting struct {
	when   *formula.Frame
	frames []*formula.Frame
	layers []int64
	cells  []int
	sets   []int // for each cell, the first cell of its set
	busy   bool
}

// newSpace creates a space that is based on the values set in the frame.
func (l *Layers) newSpace() {
	roots := l.cache.roots
	if l.cache.pairing != nil {
		roots = slices.Clone(roots)
		for i := range roots {
			r := &roots[i]
			of := l.cache.rootOf[r.Ref]
			switch {
			case l.other == nil || l.other.space == nil:
			case of.what == otherRoot:
				r.Varies = l.other.space.Reads(l.cache.pairing.values[of.index].from)
			case of.what == partRoot:
				r.Varies = l.other.space.Reads(r.Ref)
			}
		}
	}
	before := l.space
	if before == nil {
		before = l.last
	}
	l.space = l.prog.NewSpace(l.frame, roots, l.varying, l)
	l.space.Recycle(before)
	l.counts = nil
	l.base = l.space.Frame(formula.Spot{})
}

// frameAt returns the frame for a cell in a stage. An index of -1 means no stage or no
// cell.
func (l *Layers) frameAt(stage, cell int) *formula.Frame {
	return l.space.Frame(formula.Spot{stageAxis: int16(stage + 1), cellAxis: int16(cell + 1)})
}

// Number implements [formula.Computer].
func (l *Layers) Number(at formula.Spot, r formula.Ref) (v formula.Rat, known, fixed bool, err *diag.Diag) {
	of := l.cache.rootOf[r]
	switch of.what {
	case foldRoot:
		return l.foldAt(l.cache.folds[of.index], at)
	case layerRoot:
		if c := l.cellAt(at); c != nil {
			return formula.Int(int64(c.layers[0])), true, true, nil
		}
	case stageRoot:
		return formula.Int(int64(at[stageAxis]) - 1), at[stageAxis] > 0, true, nil
	case unitsRoot:
		return formula.Int(1), true, true, nil
	case partRoot:
		if at[cellAxis] > 0 && at[partAxis] > 0 {
			v, fixed, err := l.partOf(at)
			return v, true, fixed, err
		}
	default:
		v, known := l.Value(at, r)
		return v.Num, known, false, nil
	}
	return v, false, false, nil
}

// Value implements [formula.Computer].
func (l *Layers) Value(at formula.Spot, r formula.Ref) (v formula.Value, known bool) {
	of := l.cache.rootOf[r]
	c := l.cellAt(at)
	var err error
	switch {
	case of.what == standInRoot:
		if at[standInAxis] > 0 {
			return l.standInFor(&l.cache.standIns[at[standInAxis]-1], r)
		}
		return v, false
	case c == nil:
		return v, false
	case of.what == groupRoot:
		v = formula.Text(c.group)
	case of.what == kindRoot:
		v = formula.Text(c.kind)
	case of.what == perRoot:
		v = formula.Text(c.per)
	case of.what == draftRoot:
		v = formula.Truth(c.draft)
	case of.what == otherRoot && l.other != nil && l.other.space != nil:
		v, err = l.other.frameAt(-1, c.index).Eval(l.cache.pairing.values[of.index].from)
	default:
		return v, false
	}
	return v, err == nil
}

// cellAt returns the cell at a spot, or nil.
func (l *Layers) cellAt(at formula.Spot) *cell {
	if at[cellAxis] == 0 {
		return nil
	}
	return &l.cells[at[cellAxis]-1]
}

// standInFor returns the value that replaces the value of r, if there is one.
func (l *Layers) standInFor(s *standIns, r formula.Ref) (formula.Value, bool) {
	for _, one := range s.list {
		if one.to == r {
			v, err := l.base.Eval(one.from)
			return v, err == nil
		}
	}
	return formula.Value{}, false
}

// asDiag turns an error from evaluating a formula into a Diag.
func asDiag(err error) *diag.Diag {
	if err == nil {
		return nil
	}
	return diag.All(err)[0]
}

// partOf returns the size of a part of a layer, and whether that size is constant. In a
// transfer, it counts only the bytes that both ranks of a pair store.
func (l *Layers) partOf(at formula.Spot) (size formula.Rat, fixed bool, _ *diag.Diag) {
	c := &l.cells[at[cellAxis]-1]
	ref := l.cache.partRefs[c.kind][at[partAxis]-1]
	frame := l.frameAt(-1, c.index)
	mine, err := l.wholeAt(frame, ref)
	fixed = err == nil && !l.transfers && frame.Fixed(ref)
	if l.transfers && err == nil {
		var theirs int64
		theirs, err = l.other.wholeAt(l.other.frameAt(-1, c.index), ref)
		mine = min(mine, theirs)
	}
	return formula.Int(mine), fixed, asDiag(err)
}

// counting returns the frames for computing a fold at a spot, or nil if the fold is over a
// stage and the spot is not in a stage.
func (l *Layers) counting(f *fold, at formula.Spot) (*counting, *diag.Diag) {
	under, stage := at[standInAxis], at[stageAxis]
	if under > 0 && !slices.Contains(l.cache.standIns[under-1].needs, f) {
		under = 0
	}
	ofStage := f.Over == schema.OverStage
	if !ofStage {
		stage = 0
	}
	kinds := len(l.cache.standIns) + 1
	for len(l.counts) <= int(stage) {
		l.counts = append(l.counts, nil)
	}
	if l.counts[stage] == nil {
		l.counts[stage] = make([]*counting, len(l.cache.folds)*kinds)
	}
	known := &l.counts[stage][f.index*kinds+int(under)]
	if *known != nil {
		return *known, nil
	}
	if ofStage && stage == 0 {
		return nil, nil
	}
	c := &counting{when: l.space.Frame(formula.Spot{standInAxis: under, stageAxis: stage})}
	spot := formula.Spot{standInAxis: under, stageAxis: stage}
	if f.under > 0 {
		spot[standInAxis] = f.under
	}
	for i := range l.cells {
		n := int64(len(l.cells[i].layers))
		if ofStage {
			n = l.cells[i].countIn(l.ends[stage-1], l.ends[stage])
		}
		if n == 0 && len(f.by) == 0 {
			continue
		}
		spot[cellAxis] = int16(i + 1)
		c.frames = append(c.frames, l.space.Frame(spot))
		c.layers = append(c.layers, n)
		c.cells = append(c.cells, i)
	}
	if len(f.by) > 0 {
		if err := c.divide(f); err != nil {
			return nil, asDiag(err)
		}
	}
	*known = c
	return c, nil
}

// divide assigns the cells of a fold to sets.
func (c *counting) divide(f *fold) error {
	first := map[string]int{}
	for i, frame := range c.frames {
		key, err := keyIn(frame, f)
		if err != nil {
			return err
		}
		if _, ok := first[key]; !ok {
			first[key] = i
		}
		c.sets = append(c.sets, first[key])
	}
	return nil
}

// foldAt computes a fold at a spot. If the fold has no value there, known is false. fixed
// reports whether the value never varies.
func (l *Layers) foldAt(f *fold, at formula.Spot) (v formula.Rat, known, fixed bool, err *diag.Diag) {
	c, err := l.counting(f, at)
	if c == nil || c.busy {
		return v, false, false, err
	}
	set := -1
	if len(f.by) > 0 {
		cell := int(at[cellAxis]) - 1
		if cell < 0 {
			return v, false, false, nil
		}
		if set = c.sets[cell]; set != cell && f.under == 0 {
			v, err := c.frames[set].Num(f.value)
			return v, true, false, asDiag(err)
		}
	}
	c.busy = true
	defer func() { c.busy = false }()
	if f.when >= 0 {
		yes, err := c.when.Bool(f.when)
		if fixed = c.when.Fixed(f.when); err != nil || !yes {
			return v, true, fixed, asDiag(err)
		}
	} else {
		fixed = true
	}
	v, same, err := c.combine(f, set)
	return v, true, fixed && same, err
}

// combine combines the values of the layers in a set or, if set is -1, of all layers. It
// reports whether these values never vary.
func (c *counting) combine(f *fold, set int) (v formula.Rat, fixed bool, _ *diag.Diag) {
	fixed = true
	for i, frame := range c.frames {
		if set >= 0 && c.sets[i] != set || c.layers[i] == 0 {
			continue
		}
		one, err := frame.Num(f.ref)
		if err == nil {
			v, err = f.plus(v, one, c.layers[i])
		}
		if err != nil {
			return v, false, asDiag(err)
		}
		fixed = fixed && frame.Fixed(f.ref)
	}
	if f.Ceil && len(f.by) == 0 {
		v = v.Ceil()
	}
	return v, fixed, nil
}
