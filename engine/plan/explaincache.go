package plan

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// fact completes the step for a value that is computed from layers, adding one part for
// each group. It reports whether the value is computed from layers.
func (x *explainer) fact(s *Step) (bool, error) {
	if x.cache == nil {
		return false, nil
	}
	if i := slices.IndexFunc(x.cache.folds, func(f *fold) bool { return f.Name == s.Name }); i >= 0 {
		return true, x.foldOnce(s, x.cache.folds[i])
	}
	if x.plan.Transfers() {
		return x.pairFact(s)
	}
	if x.plan.Rank() {
		switch s.Name {
		case blockFact:
			return true, x.blockStep(s)
		case batchFact:
			return true, x.batchStep(s)
		case rankFact:
			return true, x.rankStep(s)
		}
	}
	return false, nil
}

// foldOnce explains a fold. Because many values depend on the same few folds, it reuses
// explanations made under the same conditions.
func (x *explainer) foldOnce(s *Step, f *fold) error {
	key := foldKey{f, fmt.Sprint(x.open), fmt.Sprint(x.stood)}
	if len(f.by) > 0 {
		return x.foldStep(s, f)
	}
	if known := x.folds[key]; known != nil {
		s.Formula, s.Values, s.Origin, s.Parts = known.Formula, known.Values, known.Origin, known.Parts
		return nil
	}
	err := x.foldStep(s, f)
	if err == nil {
		x.folds[key] = s
	}
	return err
}

const roundedUp = ", rounded up"

// unlessStep explains a fold that is 0 because its condition does not hold. It reports
// whether the fold is 0 for this reason.
func (x *explainer) unlessStep(s *Step, f *fold) (bool, error) {
	if f.when < 0 {
		return false, nil
	}
	if holds, err := x.frame.Bool(f.when); err != nil || holds {
		return false, err
	}
	condition, err := x.stepOf(f.when)
	if err != nil {
		return false, err
	}
	s.Formula, s.Values, s.Parts = "0 unless "+f.When.Text, "0 unless false", condition.Parts
	s.Origin = f.When.Pos.String()
	return true, nil
}

// foldStep explains a fold, adding one part for each cell of layers.
func (x *explainer) foldStep(s *Step, f *fold) error {
	if done, err := x.unlessStep(s, f); done || err != nil {
		return err
	}
	lo, hi, where := 0, maxLayers, "all layers"
	if f.Over == schema.OverStage && x.plan.Rank() {
		st := x.plan.Request.stage
		lo, hi, where = st.lo, st.hi, st.layers()
	}
	undo, err := x.standIn(f, x.cells, lo, hi)
	if err != nil {
		return err
	}
	defer undo()
	defer func() {
		if x.at != nil {
			x.enter(x.at)
		}
	}()
	if outer := x.stood; len(f.Set) > 0 {
		x.stood = f.Set
		defer func() { x.stood = outer }()
	}
	key := ""
	if len(f.by) > 0 {
		if x.at == nil {
			return diag.Errorf(f.Of.Pos, "%s differs from layer to layer", f.Name)
		}
		if key, err = x.keyOf(f, x.at); err != nil {
			return err
		}
		where += " of the same " + byText(f)
	}
	word, sign := "sum", " + "
	if f.Fold.Fold == schema.FoldMax {
		word, sign = "maximum", ", "
	}
	s.Formula = fmt.Sprintf("%s of %s over %s", word, f.Of.Text, where)
	s.Origin = f.Of.Pos.String()
	var values []string
	for i := range x.cells {
		c := &x.cells[i]
		n := c.countIn(lo, hi)
		if n == 0 {
			continue
		}
		if len(f.by) > 0 {
			if own, err := x.keyOf(f, c); err != nil || own != key {
				if err != nil {
					return err
				}
				continue
			}
		}
		v, err := x.foldOne(f, c)
		if err != nil {
			return err
		}
		if f.Fold.Fold != schema.FoldMax {
			values = append(values, fmt.Sprintf("%d * %s", n, v))
		} else {
			values = append(values, v.String())
		}
		if f.Ceil && !v.IsInt() && !strings.HasSuffix(s.Formula, roundedUp) {
			s.Formula += roundedUp
		}
		part, err := x.groupStep(c, n, f.ref)
		if err != nil {
			return err
		}
		s.Parts = append(s.Parts, part)
	}
	s.Values = strings.Join(values, sign)
	return nil
}

// byText lists the formulas that divide a fold's layers into sets.
func byText(f *fold) string {
	var texts []string
	for _, by := range f.By {
		texts = append(texts, by.Text)
	}
	return strings.Join(texts, ", ")
}

// groupStep explains a value of the layers in a cell. n is the number of the cell's layers
// that are counted.
func (x *explainer) groupStep(c *cell, n int64, ref formula.Ref) (*Step, error) {
	outer := x.at
	x.at = c
	defer func() { x.at = outer }()
	x.enter(c)
	s, err := x.stepOf(ref)
	if err != nil {
		return nil, err
	}
	s.Name = strings.TrimPrefix(s.Name, foldPrefix)
	if n == 1 {
		s.Name += fmt.Sprintf(" in a %s layer", c.group)
	} else {
		s.Name += fmt.Sprintf(" in each of %d %s layers", n, c.group)
	}
	return s, nil
}

// blockStep explains the size of one I/O.
func (x *explainer) blockStep(s *Step) error {
	sh := x.plan.Request.io.shares[0]
	st := x.plan.Request.stage
	if sh.covers == schema.CoversBlock {
		return x.blockOf(s, ioBlockBytes)
	}
	var values []string
	for _, t := range sh.terms {
		x.enter(t.rate.cell)
		name := pageBytes
		if sh.part != "" {
			n, err := x.part(t.rate.cell, sh.part)
			if err != nil {
				return err
			}
			name = ioPartBytes
			values = append(values, fmt.Sprint(n))
		} else {
			values = append(values, fmt.Sprintf("%d * %d", t.n, t.rate.page))
		}
		x.enter(t.rate.cell)
		ref, _ := x.prog.Ref(name)
		part, err := x.groupStep(t.rate.cell, t.n, ref)
		if err != nil {
			return err
		}
		s.Parts = append(s.Parts, part)
	}
	s.Formula = fmt.Sprintf("a page of group %s in stage %d (%s)", x.plan.Group(), st.number, st.layers())
	if sh.part != "" || len(sh.terms) == 1 && sh.terms[0].n == 1 {
		s.Formula = fmt.Sprintf("a page of one layer of group %s in stage %d (%s)", x.plan.Group(), st.number, st.layers())
	}
	s.Values = strings.Join(values, " + ")
	s.Origin = x.covers()
	return nil
}

// part returns the number of bytes that an I/O moves for one part of a page.
func (x *explainer) part(c *cell, part string) (int64, error) {
	n, err := x.whole(partName(c.kind, part))
	if err != nil {
		return 0, err
	}
	x.set(ioPart, formula.Number(n))
	return x.whole(ioPartBytes)
}

// covers describes the setting that determines what an I/O covers.
func (x *explainer) covers() string {
	v := x.plan.Request.Config.Values[patternField]
	return fmt.Sprintf("%s %s, %s", patternField, v.Text(), v.Origin)
}

// blockOf explains a fact about blocks that contain pages of all layers.
func (x *explainer) blockOf(s *Step, name string) error {
	ref, _ := x.prog.Ref(name)
	step, err := x.stepOf(ref)
	if err != nil {
		return err
	}
	s.Formula, s.Values, s.Parts, s.Origin = name, step.Value.Text(), []*Step{step}, x.covers()
	return nil
}

// batchStep explains the number of I/Os, adding one part for each share.
func (x *explainer) batchStep(s *Step) error {
	if x.plan.Request.io.shares[0].covers == schema.CoversBlock {
		return x.blockOf(s, ioBlocks)
	}
	var values []string
	for _, sh := range x.plan.Request.io.shares {
		c := sh.terms[0].rate.cell
		x.at = c
		x.enter(c)
		x.set(ioUnits, formula.Number(sh.units))
		ref, _ := x.prog.Ref(ioCount)
		step, err := x.stepOf(ref)
		if err != nil {
			return err
		}
		step.Name += " of " + c.group
		if sh.part != "" {
			step.Name += "." + sh.part
		}
		values = append(values, step.Value.Text())
		s.Parts = append(s.Parts, step)
	}
	s.Formula = "sum of " + ioCount + " over the groups"
	s.Values = strings.Join(values, " + ")
	s.Origin = x.covers()
	return nil
}

// rankStep explains the number of bytes that the I/Os of all sizes move.
func (x *explainer) rankStep(s *Step) error {
	var values []string
	for _, o := range x.plan.Request.stage.ios {
		values = append(values, fmt.Sprintf("%d * %d", o.bytes, o.count))
	}
	st := x.plan.Request.stage
	s.Formula = fmt.Sprintf("sum of %s * %s over the I/O sizes in stage %d (%s)", blockFact, batchFact, st.number, st.layers())
	s.Values = strings.Join(values, " + ")
	s.Origin = x.covers()
	return nil
}
