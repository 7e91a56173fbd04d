package sweep

import (
	"slices"
	"strconv"

	"kvbench/engine/config"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
)

// cellStep writes text that is known in advance, followed by a row's value in one column.
type cellStep struct {
	lead   []byte
	kind   formula.Kind // Any if the cell consists only of lead
	plain  bool         // a number that is always shown
	column *sweepColumn
	axis   int // the axis whose values are in texts, or -1
	texts  [][]byte
	// field is true if the column shows a configuration field that is not an axis.
	field bool
	// For a cell in variant.prefix, at is the index of the axis's value, and end is the
	// position of the end of the cell.
	at, end int
}

// leads reports whether consecutive rows often have the same value in the cell.
func (s *cellStep) leads() bool { return s.axis >= 0 || s.field }

type textKey struct {
	values *formula.Value
	column int
}

// row writes a row for the values in the frame and, if pl is not nil, for a plan. It
// reports whether the row could be written.
func (wk *worker) row(v *variant, pl *plan.Plan, point uint64) bool {
	c := wk.out
	fail := func(name string) bool {
		c.keys = c.keys[:len(c.rows)*len(v.keys)]
		wk.fail(point, name)
		return false
	}
	if s := wk.prefix(v, pl); s != nil {
		return fail(s.column.name)
	}
	buf := append(c.buf, v.prefix...)
	for i := v.leading; i < len(v.cells); i++ {
		s := &v.cells[i]
		buf = append(buf, s.lead...)
		if s.axis >= 0 {
			buf = append(buf, s.texts[wk.digits[s.axis]]...)
			continue
		}
		if s.plain {
			if n, err := v.frame.Num(s.column.ref); err == nil {
				if i, whole := n.Int64(); whole {
					buf = strconv.AppendInt(buf, i, 10)
					continue
				}
			}
		}
		if s.kind == formula.Any {
			continue
		}
		val, err := v.valueOf(s.column, pl)
		if err != nil {
			return fail(s.column.name)
		}
		buf = wk.options.Format.Cell(buf, s.column.inWords(val))
	}
	for i := range v.keys {
		var key sortValue
		if s := &v.keys[i]; s.kind != formula.Any {
			val, err := v.valueOf(s.column, pl)
			if err != nil {
				return fail(s.column.name)
			}
			if key.num = val.Num; val.Kind != formula.Num {
				key.text = val.Text()
			}
		} else {
			key.text = string(s.lead)
		}
		c.keys = append(c.keys, key)
	}
	c.buf = buf
	c.rows = append(c.rows, chunkRow{len(buf), point})
	return true
}

// prefix sets v.prefix to a row's leading cells. It rewrites only the first cell that
// differs from the previous row, and the cells after it. If a step fails, prefix returns
// that step.
func (wk *worker) prefix(v *variant, pl *plan.Plan) *cellStep {
	n := 0
	for n < v.written && (v.cells[n].axis < 0 || v.cells[n].at == wk.digits[v.cells[n].axis]) {
		n++
	}
	if v.written = n; n < v.leading {
		v.prefix = v.prefix[:0]
		if n > 0 {
			v.prefix = v.prefix[:v.cells[n-1].end]
		}
	}
	for ; v.written < v.leading; v.written++ {
		s := &v.cells[v.written]
		v.prefix = append(v.prefix, s.lead...)
		if s.axis >= 0 {
			s.at = wk.digits[s.axis]
			v.prefix = append(v.prefix, s.texts[s.at]...)
		} else {
			val, err := v.valueOf(s.column, pl)
			if err != nil {
				return s
			}
			v.prefix = wk.options.Format.Cell(v.prefix, s.column.inWords(val))
		}
		s.end = len(v.prefix)
	}
	return nil
}

// valueOf returns the value of a column. It gets the value from the plan if there is one,
// or else from the frame. If an input is not set or a quantity is not shown, it returns
// the zero Value.
func (v *variant) valueOf(c *sweepColumn, pl *plan.Plan) (formula.Value, error) {
	if pl != nil {
		switch {
		case c.own == ColumnStage && pl.Rank():
			return formula.Value{Kind: formula.Num, Num: formula.Int(int64(pl.Stage()))}, nil
		case c.own == ColumnGroup && pl.Rank():
			return formula.Value{Kind: formula.Str, Str: pl.Group()}, nil
		case c.own != "":
			return formula.Value{}, nil
		}
		if val, ok := pl.Field(c.name); ok {
			return val, nil // the value's kind may differ from its kind in formulas
		}
	}
	if c.shown >= 0 {
		if shown, err := v.frame.Bool(c.shown); !shown || err != nil {
			return formula.Value{}, err
		}
	}
	val, err := v.frame.Eval(c.ref)
	if err != nil && v.prog.Source(c.ref).Text == "" {
		return formula.Value{}, nil
	}
	return val, err
}

// cells returns the steps for writing a row. If general is set, only values that are
// constant for the item are formatted in advance.
func (wk *worker) cells(v *variant, it *sweepItem, general bool) []cellStep {
	format := &wk.options.Format
	sh := it.shape
	var steps []cellStep
	var lead []byte
	for i := range it.program.columns {
		c := &it.program.columns[i]
		lead = append(lead, format.Lead[i]...)
		if val, ok := wk.constant(v, it, c); ok {
			lead = format.Cell(lead, c.inWords(val))
			continue
		}
		step := cellStep{column: c, kind: wk.kindOf(v, c), axis: -1}
		step.plain = step.kind == formula.Num && c.shown < 0 && c.words == nil
		step.field = sh.layered && !general && c.own == "" && isField(it, c.name)
		if !general && c.own == "" {
			if step.axis = slices.Index(sh.refs, c.ref); step.axis >= 0 && !v.AllGiven(&it.Config.Axes[step.axis]) {
				step.axis = -1
			} else if step.axis >= 0 {
				step.texts = wk.textsOf(it, step.axis, i)
			} else if !sh.changes[c.ref] && (c.shown < 0 || !sh.changes[c.shown]) {
				if val, err := v.valueOf(c, nil); err == nil {
					if own, ok := it.Config.Values[c.name]; ok && own.Kind != v.prog.Kind(c.ref) {
						val = own.Value // the field accepts a word or a number
					}
					lead = format.Cell(lead, c.inWords(val))
					continue
				}
			}
		}
		step.lead, lead = lead, nil
		steps = append(steps, step)
	}
	return append(steps, cellStep{lead: append(lead, format.End...), axis: -1})
}

// isField reports whether name is the name of a configuration field that is not an axis.
func isField(it *sweepItem, name string) bool {
	_, ok := it.Config.Values[name]
	return ok && !slices.ContainsFunc(it.Config.Axes, func(a config.Axis) bool { return a.Field.Var == name })
}

// kindOf returns the kind of a column's values. For columns in OwnColumns, it returns Str,
// but any kind other than Any and Num would do.
func (wk *worker) kindOf(v *variant, c *sweepColumn) formula.Kind {
	if c.own != "" {
		return formula.Str
	}
	return v.prog.Kind(c.ref)
}

// constant returns the value of a column and true if the column has the same value at every
// point of an item.
func (wk *worker) constant(v *variant, it *sweepItem, c *sweepColumn) (formula.Value, bool) {
	text := func(s string) (formula.Value, bool) { return formula.Value{Kind: formula.Str, Str: s}, true }
	switch {
	case c.own == ColumnFile:
		return text(it.Config.File)
	case c.own == ColumnArchitecture:
		return text(it.Model.Arch.Name)
	case c.own != "":
		return formula.Value{}, !v.OfRanks()
	case !c.known:
		return formula.Value{}, true
	case c.secret && wk.options.Mask != "":
		if given, ok := it.Flags[c.name]; ok && given.Str != "" {
			return text(wk.options.Mask)
		}
	}
	return formula.Value{}, false
}

// textsOf returns the formatted cells of an axis's values, one for each value.
func (wk *worker) textsOf(it *sweepItem, axis, column int) [][]byte {
	values := it.Config.Axes[axis].Values
	key := textKey{&values[0].Value, column}
	if texts := wk.texts[key]; texts != nil {
		return texts
	}
	if len(wk.texts) > 100 {
		clear(wk.texts)
	}
	texts := make([][]byte, len(values))
	for i := range values {
		texts[i] = wk.options.Format.Cell(nil, it.program.columns[column].inWords(values[i].Value))
	}
	wk.texts[key] = texts
	return texts
}

func (wk *worker) keysOf(v *variant, it *sweepItem) []cellStep {
	var steps []cellStep
	for i := range it.program.keys {
		c := &it.program.keys[i]
		if val, ok := wk.constant(v, it, c); ok {
			steps = append(steps, cellStep{lead: []byte(val.Text())})
			continue
		}
		steps = append(steps, cellStep{column: c, kind: wk.kindOf(v, c)})
	}
	return steps
}
