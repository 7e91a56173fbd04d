package sweep

import (
	"maps"
	"math"
	"slices"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// variant is an item with fixed values for its slow axes, which determine which of the
// backend's rules apply. Its frames reuse the values that do not depend on any axis.
type variant struct {
	*rowFrame             // the frame for the current row
	rows      []*rowFrame // the frames for the first rows of a point; see [worker.useFrame]
	prog      *formula.Program
	fit       *fit.Fitter
	err       error
	req       *plan.Request // contains the values of the axes; nil if not needed
	flags     []dynamicFlag
	limits    []dynamicLimit
	points    *plan.Points         // evaluates values computed from layers
	plan      plan.Plan            // the plan for the latest request
	given     map[string]fit.Value // the flags that no axis changes
	names     []formula.Ref        // the names whose values vary in each frame
	number    []int                // the index of each axis in names, or -1
	shown     []bool               // for each axis, whether req must contain its value
	plain     []bool               // for each axis, whether all its values are numbers that count as set
	mends     []mend
	cells     []cellStep
	keys      []cellStep
	// prefix contains the latest row's leading cells. leading is the number of steps in the
	// cells field that write them, and written is the number of cells in prefix that are
	// valid.
	prefix           []byte
	leading, written int
}

// rowFrame is a frame for the values of a row.
type rowFrame struct {
	*plan.Frame
	frame *formula.Frame // its values
	held  *plan.Held
	at    []int // the index of each axis's current value, or -1
	fixed []int // the indexes, in variant.names, of the flags that fitting changed for the latest row
}

// maxRowFrames is the maximum number of frames per variant. If a point has more rows,
// the remaining rows share the last frame.
const maxRowFrames = 8

// dynamicFlag is a flag whose computed value depends on the axes, with its bounds.
type dynamicFlag struct {
	name   string
	ref    formula.Ref
	lo, hi int64
}

// dynamicLimit is a limit that depends on the axes, or that every point exceeds.
type dynamicLimit struct {
	index  int
	of     fit.Limit
	ref    formula.Ref
	broken bool
	last   bool // the limit cannot be evaluated; later limits depend on the same numbers
	// For fitted plans, fixes contains the fixes for the limit, and refused is the kind of
	// error to report if they do not work.
	fixes   []fix
	refused string
}

// fix is a remedy that changes a flag that the user did not set. number is the flag's
// index in variant.names.
type fix struct {
	fit.Remedy
	number int
}

func newVariant(sp *sweepProgram) *variant {
	f := sp.NewFrame()
	return &variant{rowFrame: &rowFrame{Frame: f, frame: f.Values()}, prog: sp.Formulas()}
}

// useFrame selects the frame for a point's row with the given index. Rows with the same
// index often have the same values; for example, the size of a state does not depend on
// the page size. Because such rows share a frame, these values are computed only once.
func (wk *worker) useFrame(v *variant, row int) {
	row = min(row, maxRowFrames-1)
	if row == len(v.rows) {
		f := wk.item.program.NewFrame()
		f.Fitter().Apply(f.FlagsFor(v.req), v.given)
		held := f.Hold(v.names)
		one := &rowFrame{Frame: held.Frame, frame: held.Values(), held: held, at: make([]int, len(wk.digits))}
		for i := range one.at {
			one.at[i] = -1
		}
		v.rows = append(v.rows, one)
	}
	v.rowFrame = v.rows[row]
}

// variant returns a new variant for the values of the slow axes that the current digits
// select.
func (wk *worker) variant() *variant {
	it := wk.item
	sh := it.shape
	v := newVariant(it.program)
	v.at = make([]int, len(wk.digits))
	v.fit = v.Fitter()
	req, cfg := *it.Request, *it.Config
	cfg.Values = maps.Clone(cfg.Values)
	req.Config = &cfg
	if sh.layered || v.Requires() {
		v.req = &req
	}
	for i := range v.at {
		v.at[i] = 0
		if slices.Contains(sh.slow, i) {
			v.at[i] = wk.digits[i]
			cfg.Values[cfg.Axes[i].Field.Var] = cfg.Axes[i].Values[wk.digits[i]]
		}
	}
	flags := v.FlagsFor(&req)
	values, err := v.fit.Resolve(flags)
	if err != nil {
		v.err = err
		return v
	}
	v.fit.Apply(flags, values)
	if v.err = v.Complete(); v.err != nil {
		return v
	}
	if sh.layered {
		v.points = it.program.NewPoints(it.Config.Axes, sh.varying)
	}
	for _, limit := range sh.limits {
		l := dynamicLimit{index: limit.Index, of: limit, ref: limit.Ref}
		if !sh.changes[limit.Ref] {
			ok, _, err := v.fit.Holds(limit, values)
			if ok && err == nil {
				continue
			}
			l.broken, l.last = true, err != nil
		}
		v.limits = append(v.limits, l)
	}
	// From here on, the frame reuses the values that do not depend on any axis.
	var axes []formula.Ref
	v.number = make([]int, len(sh.refs))
	for i, ref := range sh.refs {
		if v.number[i] = -1; ref >= 0 {
			v.number[i] = len(axes)
			axes = append(axes, ref)
		}
	}
	if it.Fit {
		axes = v.addFixes(it, axes)
	}
	v.given, v.names = values, axes
	v.held = v.Hold(axes)
	v.rows = []*rowFrame{v.rowFrame}
	v.Frame, v.frame = v.held.Frame, v.held.Values()
	for _, s := range v.Bench.Slots {
		if sh.changes[s.Ref] {
			if _, set := values[s.Name]; !set && s.Default.Kind == formula.Num {
				v.addFlag(s)
			}
			continue
		}
		val, err := v.frame.Eval(s.Ref)
		if err == nil {
			err = v.Bench.InRange(s, val)
		}
		if err != nil {
			v.err = err
			return v
		}
	}
	v.cells = wk.cells(v, it, false)
	v.leading = slices.IndexFunc(v.cells, func(s cellStep) bool { return !s.leads() }) // the last step never leads
	v.keys = wk.keysOf(v, it)
	v.plain = make([]bool, len(sh.refs))
	for i, ref := range sh.refs {
		axis := &it.Config.Axes[i]
		isWord := func(val data.Fact) bool { return val.Kind != formula.Num }
		v.plain[i] = ref >= 0 && v.prog.Kind(ref) == formula.Num && v.AllGiven(axis) && !slices.ContainsFunc(axis.Values, isWord)
	}
	v.shown = make([]bool, len(sh.refs))
	for i := range v.shown {
		v.shown[i] = v.req != nil && (!sh.layered || len(v.keys) > 0 || !v.AllGiven(&it.Config.Axes[i]))
	}
	return v
}

// addFlag makes the variant check a flag's bounds at each point. A flag that accepts any
// positive number and only copies a quantity does not need a check, because quantities are
// checked separately.
func (v *variant) addFlag(s fit.Slot) {
	f := dynamicFlag{name: s.Name, ref: s.Ref}
	f.lo, f.hi = schema.Range(s.Era.Type)
	if f.lo > 1 || f.hi < math.MaxInt64 || !v.IsResult(s.Computed.Text) {
		v.flags = append(v.flags, f)
	}
}

// mend is a new value for a flag. number is the flag's index in variant.names.
type mend struct {
	number int
	value  formula.Value
}

// addFixes adds the fixes for the limits. It returns the given names followed by the flags
// that the fixes change.
func (v *variant) addFixes(it *sweepItem, names []formula.Ref) []formula.Ref {
	for i := range v.limits {
		l := &v.limits[i]
		l.refused = diag.Kind(v.Bench.Refused(l.of, ""))
		for _, f := range v.Bench.FixesOf(l.of.Limit) {
			if _, given := it.Flags[f.Name]; given {
				continue
			}
			number := slices.Index(names, f.Ref)
			if number < 0 {
				number = len(names)
				names = append(names, f.Ref)
			}
			l.fixes = append(l.fixes, fix{f, number})
		}
	}
	return names
}
