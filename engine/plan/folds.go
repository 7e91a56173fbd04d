package plan

import (
	"slices"
	"strconv"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// foldValues contains the values of a fold that divides layers into sets. The values are
// indexed by cell.
type foldValues struct {
	fold *fold
	of   []formula.Rat
}

// computeFold computes a fold and sets its value in the frame. A fold over a stage covers
// the layers from lo up to, but not including, hi; any other fold covers all layers.
func (l *Layers) computeFold(f *fold, cells []cell, lo, hi int) error {
	if f.when >= 0 {
		if yes, err := l.frame.Bool(f.when); err != nil || !yes {
			l.frame.SetNum(f.value, formula.Rat{})
			return err
		}
	}
	undo, err := l.standIn(f, cells, lo, hi)
	if err != nil {
		return err
	}
	if len(f.by) > 0 {
		values, err := l.foldByKey(f, cells, lo, hi)
		undo()
		l.setByCell(f, values)
		return err
	}
	v, err := l.combine(f, cells, lo, hi)
	undo()
	l.frame.SetNum(f.value, v)
	return err
}

// setByCell sets the values of a fold that divides layers into sets. It does not change
// earlier slices of values, because other requests may use them.
func (l *Layers) setByCell(f *fold, values []formula.Rat) {
	all := slices.Clone(l.byCell)
	if i := slices.IndexFunc(all, func(v foldValues) bool { return v.fold == f }); i >= 0 {
		all[i].of = values
	} else {
		all = append(all, foldValues{f, values})
	}
	l.byCell = all
}

// foldByKey returns the values of a fold that divides layers into sets.
func (l *Layers) foldByKey(f *fold, cells []cell, lo, hi int) ([]formula.Rat, error) {
	values := make([]formula.Rat, len(cells))
	keys := make([]string, len(cells))
	for i := range cells {
		var err error
		if keys[i], err = l.keyOf(f, &cells[i]); err != nil {
			return nil, err
		}
		first := slices.Index(keys, keys[i])
		if values[first], err = l.plus(f, values[first], &cells[i], lo, hi); err != nil {
			return nil, err
		}
	}
	for i := range values {
		values[i] = values[slices.Index(keys, keys[i])]
	}
	return values, nil
}

// keyOf makes a cell the current one, and returns the key of the set that its layers belong
// to: the values of the formulas in By, as text.
func (l *Layers) keyOf(f *fold, c *cell) (string, error) {
	l.enter(c)
	return keyIn(l.frame, f)
}

func keyIn(frame *formula.Frame, f *fold) (string, error) {
	var key []byte
	for _, ref := range f.by {
		v, err := frame.Eval(ref)
		if err != nil {
			return "", err
		}
		if v.Kind == formula.Num && v.Num.IsInt() {
			key = strconv.AppendInt(key, v.Num.Num(), 10)
		} else {
			key = append(key, v.Text()...)
		}
		key = append(key, '\n')
	}
	return string(key), nil
}

// combine combines the values of the layers in all cells.
func (l *Layers) combine(f *fold, cells []cell, lo, hi int) (v formula.Rat, err error) {
	for i := range cells {
		if v, err = l.plus(f, v, &cells[i], lo, hi); err != nil {
			return v, err
		}
	}
	if f.Ceil {
		v = v.Ceil()
	}
	return v, nil
}

// plus combines v with the values of the layers in a cell.
func (l *Layers) plus(f *fold, v formula.Rat, c *cell, lo, hi int) (formula.Rat, error) {
	n := int64(len(c.layers))
	if f.Over == schema.OverStage {
		n = c.countIn(lo, hi)
	}
	if n == 0 {
		return v, nil
	}
	one, err := l.foldOne(f, c)
	if err != nil {
		return v, err
	}
	return f.plus(v, one, n)
}

// plus combines v with the values of n layers. Each of these layers has the value given by
// the argument one.
func (f *fold) plus(v, one formula.Rat, n int64) (formula.Rat, error) {
	if f.Fold.Fold == schema.FoldMax {
		if v.Cmp(one) < 0 {
			v = one
		}
		return v, nil
	}
	one, err := one.Mul(formula.Int(n))
	if err == nil {
		v, err = v.Add(one)
	}
	if err != nil {
		return v, diag.Errorf(f.Of.Pos, "%s does not fit in 64 bits", f.Name)
	}
	return v, nil
}

// foldOne returns the value that one layer of a cell contributes to a fold.
func (l *Layers) foldOne(f *fold, c *cell) (formula.Rat, error) {
	l.enter(c)
	return l.frame.Num(f.ref)
}

// standIn applies a fold's stand-ins to the frame. It also recomputes the folds that f
// reads and that the stand-ins change; see computeFold for lo and hi. The undo function
// restores the frame.
func (l *Layers) standIn(f *fold, cells []cell, lo, hi int) (undo func(), err error) {
	if len(f.standIns) == 0 {
		return func() {}, nil
	}
	values := make([]formula.Value, len(f.standIns))
	for i, s := range f.standIns {
		if values[i], err = l.frame.Eval(s.from); err != nil {
			return nil, err
		}
	}
	for i, s := range f.standIns {
		l.frame.Set(s.to, values[i])
	}
	before := make([]formula.Value, 0, len(f.needs))
	byCell := l.byCell
	undo = func() {
		for _, s := range f.standIns {
			l.frame.Unset(s.to)
		}
		for i, v := range before {
			if len(f.needs[i].by) == 0 {
				l.frame.Set(f.needs[i].value, v)
			}
		}
		l.byCell = byCell
	}
	for _, other := range f.needs {
		var old formula.Value
		if len(other.by) == 0 {
			if old, err = l.frame.Eval(other.value); err != nil {
				undo()
				return nil, err
			}
		}
		before = append(before, old)
		if err := l.computeFold(other, cells, lo, hi); err != nil {
			undo()
			return nil, err
		}
	}
	return undo, nil
}
