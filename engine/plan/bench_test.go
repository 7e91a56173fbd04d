package plan_test

import (
	"testing"

	"kvbench/engine/plan"
)

// BenchmarkNew compiles the formulas of an architecture with those of the schema, as
// kvbench does every time it starts.
func BenchmarkNew(b *testing.B) {
	s := load(b)
	arch := s.Architectures[0].Arch.Get()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := plan.New(s, s.Nixlbench.Default, arch, plan.Use{Rank: true}); err != nil {
			b.Fatal(err)
		}
	}
}
