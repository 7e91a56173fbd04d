package sweep

import (
	"slices"

	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
)

// worker evaluates points on one processor.
type worker struct {
	*sweepRun
	item     *sweepItem
	variants []*variant
	general  *variant      // the variant for points that are planned individually
	planner  *plan.Planner // the planner for these points
	texts    map[textKey][][]byte
	digits   []int // the index of each axis's value at the current point
	out      *chunk
}

// chunk evaluates the points of c.
func (wk *worker) chunk(c *chunk) {
	c.buf, c.rows, c.keys = c.buf[:0], c.rows[:0], c.keys[:0]
	c.breaks, c.fails, c.warns = c.breaks[:0], c.fails[:0], c.warns[:0]
	wk.out = c
	point := c.index * wk.size
	end := min(point+wk.size, wk.Points)
	for point < end {
		it := wk.sweepItem(point)
		last := min(end, it.first+it.count)
		for i := range wk.digits {
			wk.digits[i] = it.digit(i, point)
		}
		for ; point < last; point++ {
			if wk.stop.Load() {
				return
			}
			wk.point(point)
			for i := len(wk.digits) - 1; i >= 0; i-- {
				if wk.digits[i]++; wk.digits[i] < len(it.Config.Axes[i].Values) {
					break
				}
				wk.digits[i] = 0
			}
		}
	}
}

// sweepItem sets the worker's item to the one that a point belongs to.
func (wk *worker) sweepItem(point uint64) *sweepItem {
	if it := wk.item; it != nil && point >= it.first && point < it.first+it.count {
		return it
	}
	it := wk.Sweep.item(point)
	wk.item = it
	wk.digits = make([]int, len(it.Config.Axes))
	wk.general = nil
	n := 1
	for _, i := range it.shape.slow {
		if !it.shape.general {
			n *= len(it.Config.Axes[i].Values)
		}
	}
	wk.variants = make([]*variant, n)
	return it
}

// point evaluates a point. wk.digits must be set for this point.
func (wk *worker) point(point uint64) {
	it := wk.item
	if it.shape.general {
		wk.planAlone(point)
		return
	}
	n := 0
	for _, i := range it.shape.slow {
		n = n*len(it.Config.Axes[i].Values) + wk.digits[i]
	}
	v := wk.variants[n]
	if v == nil {
		v = wk.variant()
		wk.variants[n] = v
	}
	if v.err != nil {
		wk.fail(point, diag.Kind(v.err))
		return
	}
	wk.useFrame(v, 0)
	wk.move(v)
	switch {
	case it.shape.layered:
		wk.layered(v, point)
	case wk.required(v, point):
		switch refused := wk.rowIn(v, nil, point); refused {
		case "":
		case individually:
			wk.planAlone(point)
		default:
			wk.fail(point, refused)
		}
	}
}

// move sets the values of the axes in a variant's current frame according to wk.digits.
func (wk *worker) move(v *variant) {
	it := wk.item
	for i, d := range wk.digits {
		if v.at[i] == d {
			continue
		}
		v.at[i] = d
		val := &it.Config.Axes[i].Values[d]
		if v.shown[i] {
			v.req.Config.Values[it.Config.Axes[i].Field.Var] = *val
		}
		ref, number := it.shape.refs[i], v.number[i]
		switch {
		case number < 0:
		case v.plain[i]:
			v.held.VaryNum(number, val.Num)
		case val.Kind == v.prog.Kind(ref) && v.Given(it.Config.Axes[i].Field.Var, *val):
			v.held.Vary(number, val.Value)
		default:
			v.held.Unset(number)
		}
	}
}

// required reports whether a point meets the architecture's requirements.
func (wk *worker) required(v *variant, point uint64) bool {
	if v.req == nil {
		return true
	}
	var warnings diag.List
	if err := v.Require(v.req, &warnings); err != nil {
		wk.fail(point, diag.Kind(err))
		return false
	}
	wk.warn(warnings, point)
	return true
}

func (wk *worker) warn(warnings diag.List, point uint64) {
	for _, w := range warnings {
		wk.out.warns = append(wk.out.warns, pointFail{point, failure{wk.item.program, diag.Kind(w)}, w})
	}
}

// layered writes the rows of a point that has values computed from layers. Each of its
// plans has one row.
func (wk *worker) layered(v *variant, point uint64) {
	requests, warnings, err := v.points.Expand(v.req, wk.digits)
	if err != nil {
		wk.fail(point, diag.Kind(err))
		return
	}
	if !v.points.Same() {
		v.written = 0 // the values of fields may have changed
	}
	c := wk.out
	before := *c
	without := func(what string) { // the point has no plan
		buf := c.buf
		*c = before
		c.buf = buf[:len(before.buf)]
		wk.fail(point, what)
	}
	for i, one := range requests {
		if i > 0 { // the caller has done this for the first row
			wk.useFrame(v, i)
			wk.move(v)
		}
		v.held.Move(one)
		if name := v.Wrong(); name != "" {
			without(name)
			return
		}
		v.plan.Request = one
		refused := wk.rowIn(v, &v.plan, point)
		switch {
		case refused == "":
		case len(requests) == 1 && refused != individually:
			without(refused)
			return
		default: // some of the point's plans may be possible
			without("")
			c.fails = c.fails[:len(before.fails)]
			wk.planAlone(point)
			return
		}
	}
	wk.warn(warnings, point)
}

// passes reports whether the values in the frame pass the filter.
func (wk *worker) passes(v *variant, point uint64) bool {
	yes, err := v.frame.Bool(wk.item.program.where)
	if err != nil {
		wk.fail(point, whereName)
	}
	return yes && err == nil
}

func (wk *worker) fail(point uint64, what string) {
	wk.out.fails = append(wk.out.fails, pointFail{point: point, failure: failure{wk.item.program, what}})
}

// planAlone plans a point individually. It is used for all points of general items, and for
// points that [worker.rowIn] cannot handle.
func (wk *worker) planAlone(point uint64) {
	it := wk.item
	if wk.general == nil {
		wk.general, wk.planner = newVariant(it.program), it.program.NewPlanner()
		wk.general.cells, wk.general.keys = wk.cells(wk.general, it, true), wk.keysOf(wk.general, it)
	}
	plans, err := wk.planner.Plans(it.request(point))
	if err != nil {
		wk.fail(point, diag.Kind(err))
	}
	for _, pl := range plans {
		wk.rowOf(pl, point)
	}
}

// rowOf writes the row of a plan.
func (wk *worker) rowOf(pl *plan.Plan, point uint64) {
	v, sp, c := wk.general, wk.item.program, wk.out
	wk.warn(pl.Warnings, point)
	v.LoadPlan(pl)
	if sp.filtered && !wk.passes(v, point) {
		return
	}
	row := len(c.rows)
	if !wk.row(v, pl, point) {
		return
	}
	for _, broken := range pl.Violations {
		c.breaks = append(c.breaks, limitBreak{row, broken.Limit.Index})
	}
}

// rowIn writes the row for v.frame, unless the row is filtered out or the point has no
// plan. If the plan cannot be fitted, rowIn returns the kind of the error. If the point
// must be planned individually, it returns the constant [individually].
func (wk *worker) rowIn(v *variant, pl *plan.Plan, point uint64) (refused string) {
	it, sp, f := wk.item, wk.item.program, v.frame
	if sp.filtered && (sp.early || !it.Fit) && !wk.passes(v, point) {
		return ""
	}
	if pl == nil { // otherwise, the caller has checked this
		if name := v.Wrong(); name != "" {
			wk.fail(point, name)
			return ""
		}
	}
	if it.Fit {
		if refused := v.fitted(it.shape.arguments); refused != "" {
			return refused
		}
	}
	for i := range v.flags {
		s := &v.flags[i]
		n, err := f.Num(s.ref)
		if n, whole := n.Int64(); err != nil || !whole || n < s.lo || n > s.hi {
			wk.fail(point, s.name)
			return ""
		}
	}
	c := wk.out
	breaks := len(c.breaks)
	for i := range v.limits {
		l := &v.limits[i]
		if it.Fit {
			break // the plan meets all limits
		}
		broken, last := l.isBroken(f)
		if !broken || last && len(c.breaks) > breaks {
			continue // package fit does the same
		}
		c.breaks = append(c.breaks, limitBreak{len(c.rows), l.index})
		if last {
			break
		}
	}
	if sp.filtered && !sp.early && it.Fit && !wk.passes(v, point) {
		return ""
	}
	if !wk.row(v, pl, point) {
		c.breaks = c.breaks[:breaks]
	}
	return ""
}

// isBroken reports whether a limit is not met, and whether that is because it cannot be
// evaluated.
func (l *dynamicLimit) isBroken(f *formula.Frame) (broken, last bool) {
	if l.broken {
		return true, l.last
	}
	ok, err := f.Bool(l.ref)
	return !ok || err != nil, err != nil
}

// individually is returned for points that must be planned individually.
const individually = "individually"

// fitted adjusts flags to meet the limits, one limit at a time, as package fit does. If
// that is not possible, it returns the kind of the error. If a fix sets a string, fitted
// cannot evaluate limits on arguments, so it returns [individually].
func (v *variant) fitted(arguments bool) (refused string) {
	for _, number := range v.fixed {
		v.held.Unset(number)
	}
	v.fixed = v.fixed[:0]
	for range fit.MaxRounds {
		i := slices.IndexFunc(v.limits, func(l dynamicLimit) bool {
			broken, _ := l.isBroken(v.frame)
			return broken
		})
		if i < 0 {
			return ""
		}
		refused = v.limits[i].refused
		if !v.mend(&v.limits[i]) {
			return refused
		}
		if arguments && slices.ContainsFunc(v.mends, func(m mend) bool { return m.value.Kind == formula.Str }) {
			return individually
		}
	}
	return refused
}

// mend applies the fixes for a limit, and reports whether they changed any flag.
func (v *variant) mend(l *dynamicLimit) bool {
	v.mends = v.mends[:0]
	for i := range l.fixes {
		if val, ok := v.Bench.Mend(v.frame, l.fixes[i].Remedy); ok {
			v.mends = append(v.mends, mend{l.fixes[i].number, val})
		}
	}
	for _, m := range v.mends {
		v.held.Vary(m.number, m.value)
		if !slices.Contains(v.fixed, m.number) {
			v.fixed = append(v.fixed, m.number)
		}
	}
	return len(v.mends) > 0
}
