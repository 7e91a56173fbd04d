package plan

import (
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// foldValues are the values of a fold that tells layers apart, by the index of the
// cell.
type foldValues struct {
	fold *fold
	of   []formula.Rat
}

// computeFold computes a fold over all layers, or over the layers from lo up to hi if it
// is a fold over a stage, and sets its value in the frame.
func (l *Layers) computeFold(f *fold, cells []cell, lo, hi int) error {
	undo, err := l.standIn(f, cells, lo, hi)
	if err != nil {
		return err
	}
	var v formula.Rat
	var values []formula.Rat
	if len(f.by) > 0 {
		values, err = l.foldByKey(f, cells, lo, hi)
	} else {
		v, err = l.combine(f, cells, lo, hi, nil)
	}
	undo()
	if err != nil {
		return err
	}
	if len(f.by) > 0 {
		l.setByCell(f, values)
		return nil
	}
	l.frame.SetNum(f.value, v)
	return nil
}

// setByCell sets the values of a fold that tells layers apart. It leaves earlier slices
// of values as they are, as other requests may use them.
func (l *Layers) setByCell(f *fold, values []formula.Rat) {
	all := slices.Clone(l.byCell)
	if i := slices.IndexFunc(all, func(v foldValues) bool { return v.fold == f }); i >= 0 {
		all[i].of = values
	} else {
		all = append(all, foldValues{f, values})
	}
	l.byCell = all
}

// foldByKey returns the values of a fold that tells layers apart.
func (l *Layers) foldByKey(f *fold, cells []cell, lo, hi int) ([]formula.Rat, error) {
	values := make([]formula.Rat, len(cells))
	keys := make([]string, len(cells))
	for i := range cells {
		var err error
		if keys[i], err = l.keyOf(f, &cells[i]); err != nil {
			return nil, err
		}
		if first := slices.Index(keys[:i], keys[i]); first >= 0 {
			values[i] = values[first]
			continue
		}
		kin := func(c *cell) (bool, error) {
			key, err := l.keyOf(f, c)
			return key == keys[i], err
		}
		if values[i], err = l.combine(f, cells, lo, hi, kin); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// keyOf returns the values, as text, by which a fold tells the layers of a cell from
// others.
func (l *Layers) keyOf(f *fold, c *cell) (string, error) {
	l.enter(c)
	texts := make([]string, len(f.by))
	for i, ref := range f.by {
		v, err := l.frame.Eval(ref)
		if err != nil {
			return "", err
		}
		texts[i] = v.Text()
	}
	return strings.Join(texts, "\n"), nil
}

// combine combines the values of the layers for which counts returns true, or of all
// layers if counts is nil.
func (l *Layers) combine(f *fold, cells []cell, lo, hi int, counts func(*cell) (bool, error)) (formula.Rat, error) {
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
		if counts != nil {
			if yes, err := counts(c); err != nil || !yes {
				if err != nil {
					return v, err
				}
				continue
			}
		}
		one, err := l.foldOne(f, c)
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
	if f.Ceil {
		v = v.Ceil()
	}
	return v, nil
}

// foldOne returns the value that one layer of a cell contributes to a fold.
func (l *Layers) foldOne(f *fold, c *cell) (formula.Rat, error) {
	l.enter(c)
	return l.frame.Num(f.ref)
}

// standIn applies a fold's stand-ins to the frame, and recomputes the folds that the
// stand-ins change and that it reads, those over a stage for the layers from lo up to hi.
// undo restores the frame.
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
