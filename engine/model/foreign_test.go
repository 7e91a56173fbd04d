package model_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestForeign checks which of the files found in a folder, valid or not, belong to kvbench,
// based on their extension and text.
func TestForeign(t *testing.T) {
	_, l := loader(t)
	const utf16 = "\xff\xfem\x00o\x00d\x00e\x00l\x00_\x00n\x00a\x00m\x00e\x00:\x00 \x00X\x00\n\x00"
	for _, c := range []struct {
		ext, text string
		own       bool
	}{
		// Models.
		{"yaml", "model_name: X\n", true},
		{"yaml", "\"model_name\": X\n", true},
		{"yaml", "model_name: [\n", true},
		{"yaml", "'model_name' : [\n", true},
		{"yaml", "\ufeffmodel_name: [\n", true},
		{"yaml", "{model_name: X, layers: [}\n", true},
		{"yaml", "a: 1\rmodel_name: [\r", true},
		{"yaml", "  model_name: [\n  num_layers: 1\n", true},
		{"yaml", utf16, true},
		{"json", `{"model_name": "X",}`, true},
		{"json", `{"a": [{"b": "}"}], "model_name": "X"`, true},
		{"yaml", "architecture: qwen3\nnum_layers: 1\n", true},
		{"yaml", "architecture: amd64\n", false},
		{"yaml", "model-name: X\nnum_layers: 1\nnum_kv_heads: 1\n", true},
		{"yaml", "modelname: X\n", false},
		{"yaml", "name: X\n", false},
		{"yaml", "name: X\nnum_layers: 1\nnum_kv_heads: 1\n", false},
		{"yaml", "model: {model_name: X}\n", false},
		{"yaml", "a: |\n  model_name: [\nb: [\n", false},
		{"yaml", "- model_name: X\n", false},
		{"yaml", "# model_name: X\na: [\n", false},
		{"json", `[{"model_name": "X"}]`, false},
		{"json", `{"a": {"model_name": "X"},}`, false},
		{"json", `{"a": "\"model_name\": {",}`, false},
		// Hugging Face configurations.
		{"json", `{"model_type": "qwen3", "architectures": ["X"]}`, true},
		{"json", `{"model_type": "qwen3", "architectures": ["X"],}`, true},
		{"json", `{"model_type": "qwen3"}`, false},
		{"yaml", "model_type: qwen3\narchitectures: [X]\n", false},
		// Configurations.
		{"yaml", "strategy: {tp_size: 1}\nruntime: {isl: 1}\nother: 1\n", true},
		{"yaml", "strategy: {tp_size: 1}\n", true},
		{"yaml", "strategy: {tp_size: 1}\nother: 1\n", false},
		{"yaml", "strategy: {type: Recreate}\nruntime: {class: x}\n", false},
		{"yaml", "strategy:\n  tp_size: [\nruntime:\n  isl: 1\n", true},
		{"yaml", "strategy: {tp_size: 1, [}\nruntime: {isl: 1}\n", true},
		{"yaml", "strategy:\n  matrix:\n    tp_size: [\nruntime:\n  x: {isl: 1}\n", false},
		{"yaml", "sweep: {isl: 1..8x2}\n", true},
		{"yaml", "systems: {page_size: 1}\n", true},
		{"yaml", "tp_size: 8\n", false},
		{"json", `{"strategy": {"tp_size": 1}, /* x */ "runtime": {"isl": 1}}`, true},
		// CUE.
		{"cue", "import \"kvbench.internal/cue:kvbench\"\n", true},
		{"cue", "import kb \"kvbench.internal/cue:kvbench\"\nx: {\n", true},
		{"cue", "// import \"kvbench.internal/cue:kvbench\"\nx: 1\n", false},
		{"cue", "toy: {match: \"x\", #params: {a!: int}}\n", true},
		{"cue", "toy: #Architecture & {kv_bytes_per_token: \"1\"}\n", true},
		{"cue", "#Architecture: \"amd64\"\nx: {match: \"y\"}\n", false},
		{"cue", "build: {cache: true, match: \"x\", checks: []}\n", false},
		{"cue", "novel: {model_types: [\"x\"], architecture: \"attention\"}\n", true},
		{"cue", "model: model_name: \"X\"\n", true},
		{"cue", "model_name: \"X\"\n", true},
		{"cue", "strategy: tp_size: 8\n", true},
		{"cue", "releases: mine: {like: \"1.4.0\", flags: {}}\n", true},
		{"cue", "releases: [{version: \"1\"}]\n", false},
		{"cue", "a: \"\"\"\n\tmodel_name: \"x\"\n\t\"\"\"\n", false},
		{"cue", "bundle: {apiVersion: \"v1\"}\n", false},
		// Results.
		{"jsonl", "{\"kvbench\":\"1\"}\n", true},
		{"jsonl", "{\"kvbench\":", true},
		{"jsonl", "{\"prompt\": \"kvbench\"}\n", false},
		{"jsonl", "", false},
	} {
		name := filepath.Join(t.TempDir(), "f."+c.ext)
		if err := os.WriteFile(name, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := l.Open(name, true)
		if (f.Foreign == "") != c.own || f.Foreign != "" && err != nil {
			t.Errorf("%s %q: ours is %v, want %v (%q, %v)", c.ext, c.text, f.Foreign == "", c.own, f.Foreign, err)
		}
		// A file that the user names is always read.
		if f, _ := l.Open(name, false); f.Foreign != "" {
			t.Errorf("%s %q is foreign although the user named it", c.ext, c.text)
		}
	}
}
