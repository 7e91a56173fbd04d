package fit_test

import (
	"slices"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/data"
	"kvbench/engine/fit"
	"kvbench/engine/schema"
)

// TestReads sets all flags at once in every release. It checks that the conditions for
// reading flags can be evaluated, and that every backend that reads a flag exists.
func TestReads(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]data.Fact{}
	for name, f := range s.Nixlbench.Flags {
		given[name] = data.Fact{Value: f.Eras[0].Default}
		for _, b := range f.Backends {
			if s.Nixlbench.Backends[b] == nil {
				t.Errorf("%s is read by unknown backend %s, which", name, b)
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
		if _, err := fit.UnreadFlags(&s.Nixlbench, release, given, nil, false); err != nil {
			t.Errorf("%s: %v", release, err)
		}
	}
}
