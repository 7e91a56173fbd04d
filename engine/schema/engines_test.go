package schema_test

import (
	"slices"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/schema"
)

// TestEras checks that the eras of rules begin with releases of their engine, newest first,
// and that each era has either a formula or a description of what is unknown.
func TestEras(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	c := s.Cache.Get()
	eras := 0
	for table, entries := range c.Tables {
		for engine, rule := range entries {
			if _, ok := rule.Plain(); ok {
				continue
			}
			eras += len(rule)
			last := len(c.Releases[engine])
			for i, era := range rule {
				at := slices.Index(c.Releases[engine], era.Since)
				if era.Since == "" && i < len(rule)-1 || era.Since != "" && at < 0 || at >= last {
					t.Errorf("tables.%s.%s: %q is not a release of %s that is older than the previous era", table, engine, era.Since, engine)
				}
				if era.Value.IsZero() == (era.Unknown == "") {
					t.Errorf("tables.%s.%s: the era since %q must have either a formula or a description of what is unknown", table, engine, era.Since)
				}
				last = at
			}
		}
	}
	if eras == 0 {
		t.Error("no rule has eras")
	}
}

// TestEraOf checks that a release belongs to the newest era that has begun.
func TestEraOf(t *testing.T) {
	releases := []string{"0.1", "0.9", "0.10"}
	rule := schema.EngineRule{{Since: "0.10", Value: schema.Formula{Text: "3"}}, {Since: "0.9", Value: schema.Formula{Text: "2"}}}
	for release, want := range map[string]string{"0.10": "3", "0.9": "2", "0.1": ""} {
		got := ""
		if era := rule.Of(release, releases); era != nil {
			got = era.Value.Text
		}
		if got != want {
			t.Errorf("the rule of %s is %q, want %q", release, got, want)
		}
	}
}

// TestNearestRelease checks which known release is closest to a name.
func TestNearestRelease(t *testing.T) {
	known := []string{"0.22.1", "0.23.0", "0.24.0", "0.25.1", "main-2026-08-17"}
	for name, want := range map[string]string{
		"0.23": "0.23.0", "0.24.0": "0.24.0", "0.24.7": "0.24.0", "0.25.0": "0.24.0", "0.25.1rc2": "0.25.1",
		"0.25.2.dev4+g1": "0.25.1", "1": "0.25.1", "9.9.9": "0.25.1", "0.9.2": "0.22.1", "nightly": "0.22.1",
	} {
		if got := schema.NearestRelease(name, known); got != want {
			t.Errorf("%s is nearest to %q, want %q", name, got, want)
		}
	}
	if got := schema.NearestRelease("0.5.1", []string{"main-2026-07-13"}); got != "" {
		t.Errorf("without numbers: %q, want none", got)
	}
}
