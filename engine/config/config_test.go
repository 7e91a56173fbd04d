package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

func loader(t testing.TB) (*schema.Schema, *config.Loader) {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return s, config.NewLoader(s, cueschema.Files)
}

// TestLayers sets values in each source, and checks which source determines the result.
func TestLayers(t *testing.T) {
	_, l := loader(t)
	file := filepath.Join(t.TempDir(), "c.yaml")
	os.WriteFile(file, []byte("strategy:\n  tp_size: 2\n  pp_size: 4\nruntime:\n"), 0o644)
	c, err := l.Config(file, map[string]map[string]formula.Value{"system": {"page_size": formula.Number(3)}}, "test", []config.Override{
		{Path: "strategy.pp_size", Text: "16", Origin: data.Origin{Kind: data.FromFlag, Name: "pp"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct{ text, origin string }{
		"tp_size":      {"2", file + ":2:12"},
		"pp_size":      {"16", "--pp"},
		"page_size":    {"3", "preset of test"},
		"num_requests": {"1", "default of cue/config.cue:181:27"},
	} {
		v := c.Values[name]
		if v.Text() != want.text || v.Origin.String() != want.origin {
			t.Errorf("%s is %s from %s, want %s from %s", name, v.Text(), v.Origin, want.text, want.origin)
		}
	}
	if _, ok := c.Values["source"]; ok {
		t.Error("source has a value that was not set")
	}
}

// FuzzConfig checks that no file or override makes the loader panic, that accepted values
// have the kinds in the schema, and that overrides take precedence.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("strategy:\n  tp_size: 8\n"), "4")
	f.Add([]byte("strategy: {tp_size: 1e30}"), "-1")
	f.Add([]byte("a: &a [*a]\n"), "0x10")
	f.Add([]byte("runtime:\n  isl: 1\n  isl: 2\n"), "")
	f.Add([]byte("strategy.tp_size: 3\n"), "\"3\"")
	f.Add([]byte("? [a]\n: b\n"), "1_000")
	f.Add([]byte("system: null\n---\nx: 1\n"), "1e3")
	f.Add([]byte("{\"system\": {\"page_size\": 16}}"), "9223372036854775808")
	s, l := loader(f)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, tp string) {
		file := filepath.Join(dir, "c.yaml")
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		o := config.Override{Path: "strategy.tp_size", Text: tp, Origin: data.Origin{Kind: data.FromFlag, Name: "tp"}}
		c, err := l.Config(file, nil, "", []config.Override{o})
		if err != nil {
			if err != nil && (strings.TrimSpace(err.Error()) == "" || strings.Contains(err.Error(), "internal error")) {
				t.Errorf("%q: %#v", err, err)
			}
			return
		}
		if v := c.Values["tp_size"]; v.Origin.Kind != data.FromFlag || v.Kind != formula.Num {
			t.Errorf("tp_size is %v from %v", v.Value, v.Origin)
		}
		for i := range s.Fields {
			field := &s.Fields[i]
			v, ok := c.Values[field.Var]
			if ok && (field.Type.Kinds == schema.KindWhole) != (v.Kind == formula.Num) {
				t.Errorf("%s is %s", field.Path, v.Kind)
			}
		}
	})
}
