package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/data"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/report"
	"kvbench/engine/schema"
	"kvbench/models"
)

// TestModelYAML checks that models have the same numbers after they are written as parameter
// files and read again.
func TestModelYAML(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	l := model.NewLoader(s, cueschema.Files, models.Files)
	files, _ := filepath.Glob("../config/testdata/hf/*.json")
	examples, _ := filepath.Glob("../../examples/model_*.yaml")
	if len(files) < 40 || len(examples) < 7 {
		t.Fatalf("%d configurations and %d examples", len(files), len(examples))
	}
	dir, read := t.TempDir(), 0
	for _, file := range append(files, examples...) {
		m, err := l.Model(file, nil)
		if err != nil {
			continue // a file that is rejected
		}
		read++
		var out bytes.Buffer
		if err := report.ModelYAML(&out, s, m, "a\nb"); err != nil {
			t.Fatal(err)
		}
		again := filepath.Join(dir, "m.yaml")
		if err := os.WriteFile(again, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		n, err := l.Model(again, nil)
		if err != nil {
			t.Errorf("%s: %v\n%s", file, err, &out)
			continue
		}
		if n.Name != m.Name || n.Arch.Name != m.Arch.Name {
			t.Errorf("%s: %s of %s is %s of %s when read again", file, m.Name, m.Arch.Name, n.Name, n.Arch.Name)
		}
		same(t, file, m.Params, n.Params)
		same(t, file, m.Defaults, n.Defaults)
		for i, line := range bytes.Split(out.Bytes(), []byte("\n")) {
			if len(line) > 100 {
				t.Errorf("%s: line %d has %d bytes", file, i+1, len(line))
			}
		}
	}
	if read < len(files)+len(examples)-1 {
		t.Errorf("only %d of %d models were read", read, len(files)+len(examples))
	}
}

func same(t *testing.T, file string, a, b map[string]data.Fact) {
	t.Helper()
	if len(a) != len(b) {
		t.Errorf("%s: %d values become %d when read again", file, len(a), len(b))
	}
	for name, v := range a {
		if got := b[name].Value; got.String() != v.Value.String() {
			t.Errorf("%s: %s is %s, but %s when read again", file, name, v, got)
		}
	}
}

// TestModelText checks which strings are quoted. YAML would read some of them as another type.
func TestModelText(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Qwen3-8B": "Qwen3-8B", "null": `"null"`, "8x7B": `"8x7B"`, "No": `"No"`, "a b": `"a b"`, "a: b": `"a: b"`, "": `""`, "#x": `"#x"`, "x\ny": `"x\ny"`,
	} {
		var out bytes.Buffer
		m := &model.Model{Name: name, Arch: &schema.Architecture{Name: "any", Params: []schema.Param{{Name: "n"}}},
			Params: map[string]data.Fact{"n": {Value: formula.Value{Kind: formula.Num, Num: formula.Int(3)}}}}
		if err := report.ModelYAML(&out, s, m, "one\ntwo"); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != "# one\n# two\nmodel_name: "+want+"\narchitecture: any\nn: 3\n" {
			t.Errorf("%q is written as\n%s", name, got)
		}
	}
}
