package plan_test

import (
	"slices"
	"testing"

	"kvbench/engine/data"
	"kvbench/engine/plan"
)

// TestReads asks for every flag at once in every release: what says when a flag is
// read knows all its names, and every backend that reads one exists.
func TestReads(t *testing.T) {
	s := load(t)
	req := &plan.Request{Flags: map[string]data.Fact{}}
	for name, f := range s.Nixlbench.Flags {
		req.Flags[name] = data.Fact{Value: f.Eras[0].Default}
		for _, b := range f.Backends {
			if s.Nixlbench.Backends[b] == nil {
				t.Errorf("%s is read by backend %s, which is not known", name, b)
			}
		}
		if f.Reads.When.IsZero() != (f.Reads.Needs == "") {
			t.Errorf("%s: its condition and its words go together", name)
		}
		for _, release := range s.Nixlbench.Releases {
			era := s.Nixlbench.FlagIn(f, release)
			if era == nil || f.Backends == nil {
				continue
			}
			if !slices.ContainsFunc(f.Backends, func(b string) bool {
				return s.Nixlbench.In(s.Nixlbench.Backends[b].Era, release)
			}) {
				t.Errorf("%s is in %s, which has none of the backends that read it", name, release)
			}
		}
	}
	for _, release := range s.Nixlbench.Releases {
		p, err := plan.New(s, release, s.Architectures[0].Arch.Get(), plan.Use{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.UnreadFlags(req, plan.Shown{}); err != nil {
			t.Errorf("%s: %v", release, err)
		}
	}
}
