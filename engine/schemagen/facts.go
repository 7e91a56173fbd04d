package schemagen

import (
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// addFacts adds facts to formulas; see [formula.Facts]. The facts come from the programs
// that contain the formulas. A formula whose facts differ between programs gets none.
func addFacts(s *schema.Schema) {
	known := map[string]formula.Facts{}
	learn := func(release string, arch *schema.Architecture) {
		for _, use := range []plan.Use{{}, {Rank: true}, {Rank: true, Transfer: true}, {Rank: true, Transfer: true, Slowest: true}} {
			use.Detail = true
			p, err := plan.Compile(s, release, arch, use)
			if err != nil {
				continue // the architecture does not support the accounting
			}
			p.Formulas().EachFacts(func(src formula.Source, f formula.Facts) {
				key := keyOf(src)
				if old, ok := known[key]; ok && old != f {
					f = ""
				}
				known[key] = f
			})
		}
	}
	releases := s.Nixlbench.Releases
	for _, listed := range s.Architectures {
		learn(releases[len(releases)-1], listed.Arch.Get())
	}
	for _, r := range releases {
		learn(r, s.Architectures[0].Arch.Get())
	}
	add := func(f *schema.Formula) { f.Facts = known[keyOf(*f)] }
	s.EachFormula(func(_ string, _ []string, f *schema.Formula) { add(f) })
	for _, listed := range s.Architectures {
		listed.Arch.Get().EachFormula(func(_ []string, f *schema.Formula) { add(f) })
	}
}

// keyOf returns a key that identifies a formula. The position is not enough, because in CUE
// several formulas may come from the same place.
func keyOf(f schema.Formula) string { return f.Pos.String() + " " + f.Text }
