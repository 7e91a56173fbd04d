package schema_test

import (
	"slices"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/schema"
)

// TestEras checks that the eras of rules are releases of their engine, newest first,
// and that each has a formula or says what is unknown.
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
					t.Errorf("tables.%s.%s: %q is not a release of %s before those above it", table, engine, era.Since, engine)
				}
				if era.Value.IsZero() == (era.Unknown == "") {
					t.Errorf("tables.%s.%s: since %q has a formula and does not know it, or neither", table, engine, era.Since)
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
