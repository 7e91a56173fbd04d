package model_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kvbench/engine/model"
)

// readsFiles fuzzes the reading of files with the given name. Reading must not cause an
// internal error or take long, and error messages must contain the file's name.
func readsFiles(f *testing.F, name string, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	_, l := loader(f)
	known, err := l.Known(nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var read *model.File
		err := l.Bounded(file, func() error {
			var err error
			if read, err = l.Open(file, false); err == nil {
				err = l.Check(read, known)
			}
			return err
		})
		checkError(t, err)
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

// checkError fails the test if err is an internal error of kvbench or has no message.
func checkError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if text := err.Error(); strings.TrimSpace(text) == "" || strings.Contains(text, "internal error") {
		t.Errorf("%q: %#v", text, err)
	}
}

func deep(n int, open, inner, end string) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
}

func FuzzYAML(f *testing.F) {
	readsFiles(f, "a.yaml",
		"strategy:\r  tp_size: 8\r", "a: 1\r\r\nb: 2", "a: \u2028b: 1\n", "# \u0085\na: \u2029 1\n", "a: [1,\u0085 2]\n",
		"a: "+deep(150, "{a: ", "1", "}"), "a: "+deep(150, "[", "1", "]"), "a:\n "+strings.Repeat("- ", 150)+"1",
		"model_name: QWEN3_8B\nnum_layers: 36\nsizes: ["+strings.Repeat("1, ", 300)+"1]\n", "strategy:\n  tp_size: [x, x]\n",
		"sweep:\n  tp: [1, 2]\n", "a: &a [*a]\n", "? ? ? a", "x: [1\ny: 2\n", "runtime: {isl: 1e999999999}", "a: |\n  b\r  c\n", "\"a\\u2028\": '\u00e9'",
		"model_name: QWEN3_8B\nnum_layers: 36\nnum_kv_heads: 8\nquery_head_dimension: 128\ndefaults: {system: {page_size: 16}}\n", "a: !!binary x\n", "<<: {a: 1}\n")
}

func FuzzJSON(f *testing.F) {
	readsFiles(f, "a.json",
		`{"a":`+deep(150, "[", "1", "]")+"}", deep(150, `{"a":`, "1", "}"), `{"a": 1, "a": 2}`, "{\"a\":\r1,\r\"b\": }", "{\"a\u2028\": \"\u0085\"}",
		`{"model_name": "QWEN3_8B", "num_layers": 36, "x": NaN}`, `{"strategy": {"tp_size": [1, "x"]}}`, `{"a": 1e400, "b": -0}`, `{"\ud800": "\uDC00"}`, `[{}]`, `{"a":,}`)
}

func FuzzCUE(f *testing.F) {
	readsFiles(f, "a.cue",
		strings.Repeat("a:", 150)+"1", deep(150, "a: {", "b: 1", "}"), "a: "+deep(150, "(", "1", ")"), "a: {a: 1}\nb: a"+strings.Repeat(".a", 150),
		"a: 1"+strings.Repeat("&1", 150), `a: "\("b")"`, `a: "\([{b: "\(1)"}])"`, "a: =~\"(a{1,9})?\"", "@a(((", "a: [1][0]\nb: #\"\"\"\n\tx\n\t\"\"\"#",
		"import kb \"kvbench.internal/cue:kvbench\"\ntoy: kb.#Architecture & {\n\tmatch: \"TOY\"\n\t#params: {model_name!: string, num_layers!: int64 & >0}\n\tkv_bytes_per_token: \"num_layers * 16\"\n\taccess_patterns: {layer: \"16\", block: \"16\"}\n\tchecks: [{params: {num_layers: 1}, config: {}, expect: {kv_bytes_per_token: 16}, source: \"x\"}]\n}\n",
		"#T: {l?: #T, r?: #T}\na: {match: \"x\", #params: {t?: #T}}", "a: b\nb: a", "model: {model_name: \"QWEN3_8B\", num_layers: 36}", "releases: \"9\": {like: \"1.4.0\", flags: {}}")
}
