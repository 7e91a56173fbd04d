package plan

import (
	"fmt"
	"strings"
)

// pairFact completes the step for a fact about the I/Os of a transfer. It reports whether
// the value is such a fact.
func (x *explainer) pairFact(s *Step) (bool, error) {
	st := x.plan.Request.stage
	var values []string
	sum := func(of string, value func(*io) int64) {
		for i := range st.ios {
			values = append(values, fmt.Sprint(value(&st.ios[i])))
		}
		s.Formula = fmt.Sprintf("sum of %s over the descriptor sizes in %s", of, st.layers())
	}
	switch s.Name {
	case blockFact:
		return true, x.pairBlockStep(s)
	case batchFact:
		return true, x.pairBatchStep(s)
	case pairBytesFact, pairIOsFact:
		if len(st.ios) == 1 {
			return true, x.onlyIOStep(s)
		}
		if s.Name == pairBytesFact {
			sum("the bytes", func(o *io) int64 { return o.moved.Num() })
		} else {
			sum(batchFact, func(o *io) int64 { return o.count })
		}
	case pairsFact:
		s.Formula = "number of source ranks, summed over all destination ranks"
		values = []string{s.Value.Text()}
	case allBytesFact, allIOsFact:
		s.Formula = "sum over all pairs of ranks; see 'kvbench transfer'"
		values = []string{s.Value.Text()}
	default:
		return false, nil
	}
	s.Values, s.Origin = strings.Join(values, " + "), x.covers()
	return true, nil
}

// onlyIOStep explains how many bytes or descriptors a pair moves if all its descriptors
// have the same size.
func (x *explainer) onlyIOStep(s *Step) error {
	o := x.plan.Request.stage.first()
	names := []string{batchFact}
	s.Formula, s.Values = batchFact, fmt.Sprint(o.count)
	if s.Name == pairBytesFact {
		names = []string{blockFact, batchFact}
		s.Formula, s.Values = blockFact+" * "+batchFact, fmt.Sprintf("%d * %d", o.bytes, o.count)
		if o.bytes*o.count != o.moved.Num() {
			s.Formula += ", the last with fewer bytes"
		}
	}
	s.Origin = x.covers()
	for _, name := range names {
		part, err := x.step(name)
		if err != nil {
			return err
		}
		s.Parts = append(s.Parts, part)
	}
	return nil
}

// pairBlockStep explains the size of one descriptor.
func (x *explainer) pairBlockStep(s *Step) error {
	sh := x.plan.Request.io.shares[0]
	st := x.plan.Request.stage
	var values []string
	for i, t := range sh.terms {
		bytes := t.rate.page
		for k, part := range sh.parts {
			if part == sh.part {
				bytes = t.rate.parts[k]
			}
		}
		values = append(values, fmt.Sprintf("%d * %d", t.n, bytes))
		if i > 0 {
			continue
		}
		for _, name := range []string{pageBytes, pairPrefix + "io_pages"} {
			ref, _ := x.prog.Ref(name)
			x.enter(t.rate.cell)
			part, err := x.groupStep(t.rate.cell, t.n, ref)
			if err != nil {
				return err
			}
			s.Parts = append(s.Parts, part)
		}
	}
	s.Formula = fmt.Sprintf("bytes of a page of %s in %s that both ranks store, times the pages per descriptor", x.plan.Group(), st.layers())
	s.Values = fmt.Sprintf("(%s) * %s", strings.Join(values, " + "), sh.terms[0].rate.per)
	s.Origin = x.covers()
	return nil
}

// pairBatchStep explains the number of descriptors, adding one part for each share.
func (x *explainer) pairBatchStep(s *Step) error {
	requests, _ := x.prog.Ref(pairPrefix + "requests")
	ios, _ := x.prog.Ref(pairPrefix + "ios")
	var values []string
	for _, sh := range x.plan.Request.io.shares {
		c := sh.terms[0].rate.cell
		x.enter(c)
		n, err := x.frame.Num(requests)
		if err != nil {
			return err
		}
		step, err := x.groupStep(c, sh.units, ios)
		if err != nil {
			return err
		}
		values = append(values, fmt.Sprintf("%s * %d * %s", n, sh.units, step.Value.Text()))
		s.Parts = append(s.Parts, step)
	}
	s.Formula = "sum of " + pairPrefix + "requests * regions * " + pairPrefix + "ios over the groups"
	s.Values = strings.Join(values, " + ")
	s.Origin = x.covers()
	return nil
}
