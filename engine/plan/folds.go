package plan

import (
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// fold computes a fold over all layers, or over the layers from lo up to hi if it is a
// fold over a stage.
func (l *Layers) fold(f *fold, cells []cell, lo, hi int) (formula.Rat, error) {
	undo, err := l.standIn(f, cells)
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
// stand-ins change and that it reads. undo restores the frame.
func (l *Layers) standIn(f *fold, cells []cell) (undo func(), err error) {
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
	undo = func() {
		for _, s := range f.standIns {
			l.frame.Unset(s.to)
		}
		for i, v := range before {
			l.frame.Set(f.needs[i].value, v)
		}
	}
	for _, other := range f.needs {
		old, err := l.frame.Eval(other.value)
		var now formula.Rat
		if err == nil {
			now, err = l.fold(other, cells, 0, 0)
		}
		if err != nil {
			undo()
			return nil, err
		}
		before = append(before, old)
		l.frame.Set(other.value, formula.Value{Kind: formula.Num, Num: now})
	}
	return undo, nil
}
