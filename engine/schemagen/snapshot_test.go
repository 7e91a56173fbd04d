package schemagen_test

import (
	"encoding/json"
	"os"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/schema"
	"kvbench/engine/schemagen"
	"kvbench/models"
)

// TestSnapshot checks that the embedded snapshot matches the CUE files.
func TestSnapshot(t *testing.T) {
	want, err := schemagen.Snapshot(cueschema.Files, models.Files)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != cueschema.Snapshot {
		t.Error("cue/snapshot.json differs from the CUE files: run go generate ./...")
	}
}

// TestFlagsOfReleases compares the flag table with the flags printed by every release
// of nixlbench.
func TestFlagsOfReleases(t *testing.T) {
	data, err := os.ReadFile("../../../shared/reference/nixlbench-flags.json")
	if err != nil {
		t.Skipf("the reference table cannot be read: %v", err)
	}
	var table map[string]map[string]struct{ Type, Default string }
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if len(table) != len(s.Nixlbench.Releases) {
		t.Errorf("%d releases, want %d", len(s.Nixlbench.Releases), len(table))
	}
	for release, flags := range table {
		have := s.Nixlbench.FlagsOf(release)
		if len(have) != len(flags) {
			t.Errorf("%s has %d flags, want %d", release, len(have), len(flags))
		}
		for name, want := range flags {
			f := s.Nixlbench.Flags[name]
			if f == nil {
				t.Errorf("%s: no flag %s", release, name)
				continue
			}
			era := s.Nixlbench.FlagIn(f, release)
			if era == nil || era.Type != want.Type || era.Default.Text() != want.Default {
				t.Errorf("%s: %s is %+v, want %+v", release, name, era, want)
			}
		}
	}
}
