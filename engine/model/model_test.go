package model_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/schema"
	"kvbench/models"
)

func loader(t testing.TB) (*schema.Schema, *model.Loader) {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return s, model.NewLoader(s, cueschema.Files, models.Files)
}

// write creates a file with the given text in a new folder, and returns the file's path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestModelDefaults checks the precedence of a model's own defaults: a file, a flag and
// a command's preset override them, and they override the schema.
func TestModelDefaults(t *testing.T) {
	_, l := loader(t)
	m, err := l.Model(write(t, "m.yaml", `model_name: any
architecture: attention
defaults:
  strategy: {kvcache_quant_mode: bf16, tp_size: 2}
  runtime: {isl: 7, osl: 8}
num_layers: 2
num_kv_heads: 8
head_dim: 128
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.Arch.Name != "attention" || m.Name != "any" {
		t.Errorf("the model is %s with architecture %s", m.Name, m.Arch.Name)
	}
	file := write(t, "c.yaml", "strategy:\n  tp_size: 4\n")
	c, err := l.Config(file, map[string]map[string]formula.Value{"runtime": {"osl": formula.Number(3)}}, "test", []config.Override{
		{Path: "runtime.isl", Text: "16", Origin: data.Origin{Kind: data.FromFlag, Name: "isl"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	with := c.With(m.Arch, m.Defaults)
	for name, want := range map[string]struct{ text, origin string }{
		"kvcache_quant_mode": {"bf16", m.File + ":4:34"},
		"tp_size":            {"4", file + ":2:12"},
		"isl":                {"16", "--isl"},
		"osl":                {"3", "preset of test"},
	} {
		v := with.Values[name]
		if v.Text() != want.text || v.Origin.String() != want.origin {
			t.Errorf("%s is %s from %s, want %s from %s", name, v.Text(), v.Origin, want.text, want.origin)
		}
	}
	if v := with.Values["kvcache_quant_mode"]; v.Origin.Given() {
		t.Error("a model's default counts as set by the user")
	}
	if v := c.Values["kvcache_quant_mode"]; v.Text() != "fp8" {
		t.Errorf("the configuration itself has changed: %s", v.Text())
	}
}

// TestModelFiles reads invalid models.
func TestModelFiles(t *testing.T) {
	_, l := loader(t)
	const params = "num_layers: 2\nnum_kv_heads: 8\nhead_dim: 128\n"
	for _, test := range []struct{ text, want string }{
		{"model_name: a\narchitecture: atention\n" + params,
			`m.yaml:2:15: architecture: no architecture is named "atention"` + "\n" + `did you mean "attention"?`},
		{"model_name: a\narchitecture: 3\n" + params, "m.yaml:2:15: architecture: 3 is not allowed: expected a string"},
		{"architecture: attention\n" + params, "m.yaml: model_name is missing"},
		{"model_name: a\narchitecture: attention\ndefaults: {strategy: {kvcache_quant_mode: bf17}}\n" + params,
			`m.yaml:3:43: strategy.kvcache_quant_mode: "bf17" is not allowed`},
		{"model_name: a\narchitecture: attention\ndefaults: {strategy: {tp: 1}}\n" + params,
			`m.yaml:3:23: unknown key "strategy.tp"`},
		{"model_name: a\narchitecture: attention\ndefaults: bf16\n" + params,
			`m.yaml:3:11: defaults: "bf16" is not allowed: expected a mapping with the structure of a configuration`},
		{"model_name: a\narchitecture: attention\ndefaults: [{strategy: 1}]\n" + params,
			"m.yaml:3:11: defaults: a list is not allowed: expected a mapping with the structure of a configuration"},
		{"model_name: a\narchitecture: attention\nlayer_kinds: [full, slidng]\n" + params,
			`m.yaml:3:21: layer_kinds.1: "slidng" is not allowed: expected one of full, sliding, chunked, none` + "\n" + `did you mean "sliding"?`},
		{"model_name: a\narchitecture: attention\n\"\": 1\n" + params, `m.yaml:3:1: unknown key ""`},
		{"model_name: a\narchitecture: attention\ndefaults:\n" + params, ""},
	} {
		_, err := l.Model(write(t, "m.yaml", test.text), nil)
		wantError(t, test.text, err, test.want)
	}
}

// TestNoModel reads files that are not models, and folders without models.
func TestNoModel(t *testing.T) {
	_, l := loader(t)
	const missing, models = "model_name is missing: it selects the architecture\n", "run 'kvbench models' to list the architectures and the names they match"
	_, err := l.Model(write(t, "m.json", `{"hidden_size": 3}`), nil)
	wantError(t, "a JSON file", err, "m.json: "+missing+"a Hugging Face configuration has the field model_type\n"+models)
	_, err = l.Model(write(t, "m.json", `{}`), nil)
	wantError(t, "an empty JSON file", err, "m.json: "+missing+"a Hugging Face configuration has the field model_type\n"+models)
	_, err = l.Model(write(t, "m.yaml", "hidden_size: 3\n"), nil)
	wantError(t, "a YAML file", err, "m.yaml: "+missing+models)

	t.Chdir(t.TempDir())
	for _, dir := range []string{"bare", "qwen3_8b"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_, err = l.Model("bare", nil)
	wantError(t, "a folder", err, "bare: is a folder without a config.json")
	_, err = l.Model("bare/", nil)
	wantError(t, "a folder", err, "bare: is a folder without a config.json")
	if m, err := l.Model("qwen3_8b", nil); err != nil || m.Name != "QWEN3_8B" {
		t.Errorf("a known model, with a folder of the same name: %v", err)
	}

	dir := filepath.Dir(write(t, "zeb.cue", `zebra: {
	#params: {num_layers: int64 & >0}
	kv_bytes_per_token: "num_layers"
	access_patterns: {layer: "num_layers", block: "num_layers"}
}
`))
	_, err = l.Model(write(t, "m.yaml", "model_name: zebr\nnum_layers: 1\n"), []string{dir})
	wantError(t, "a model near an architecture without match", err, "m.yaml:1:13: model_name: no known architecture matches \"zebr\"\nthe closest is zebra ("+dir+"/zeb.cue)")
}

// wantError checks that the first error, followed by its hints on the next lines, begins
// with the given text. It compares file names without their folders.
func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s\nfails: %v", what, err)
		}
		return
	}
	got := "no error"
	if err != nil {
		got = text(diag.All(err)[0])
	}
	if len(got) < len(want) || got[:len(want)] != want {
		t.Errorf("%s\ngives:\n%s\nwant:\n%s", what, got, want)
	}
	if _, ok := errors.AsType[*os.PathError](err); ok {
		t.Errorf("%s: %v", what, err)
	}
}

// text returns the text of a diagnostic and its hints. It omits the file's folder.
func text(d *diag.Diag) string {
	e := *d
	e.Pos.File = filepath.Base(e.Pos.File)
	if d.Pos.IsZero() {
		e.Pos = diag.Pos{}
	}
	s := e.Error()
	for _, hint := range d.Hints {
		s += "\n" + hint
	}
	return s
}
