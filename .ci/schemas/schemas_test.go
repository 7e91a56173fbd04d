// Package schemas checks the JSON Schemas of docs/schema with an independent
// validator. It is a separate module, so that only these tests download the
// validator.
package schemas

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

const root = "../.."

// compile reads a schema of docs/schema.
func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(filepath.Join(root, "docs/schema", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fromYAML reads a file as a YAML editor does.
func fromYAML(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestData checks that every example and every bundled model is valid for its own schema,
// and not for any other.
func TestData(t *testing.T) {
	config, model := compile(t, "config"), compile(t, "model")
	files, _ := filepath.Glob(filepath.Join(root, "examples/*.yaml"))
	bundled, _ := filepath.Glob(filepath.Join(root, "models/*.yaml"))
	if len(files) < 20 || len(bundled) < 40 {
		t.Fatalf("%d examples and %d models", len(files), len(bundled))
	}
	for _, file := range slices.Concat(files, bundled) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v := fromYAML(t, text)
		right, wrong := config, model
		if filepath.Base(filepath.Dir(file)) == "models" || strings.HasPrefix(filepath.Base(file), "model_") {
			right, wrong = model, config
		}
		if err := right.Validate(v); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if wrong.Validate(v) == nil {
			t.Errorf("%s is valid for the schema of another kind", file)
		}
		v.(map[string]any)["surprise"] = 1
		if right.Validate(v) == nil {
			t.Errorf("%s is valid even with an unknown key", file)
		}
	}
}

// TestConfig checks that editors accept every configuration that kvbench
// accepts.
func TestConfig(t *testing.T) {
	config := compile(t, "config")
	for text, good := range map[string]bool{
		"system: {kv_memory: 64GiB}":                              true,
		"system: {kv_memory: 68719476736}":                        true,
		"system: {kv_memory: 80G}":                                true,
		"system: {kv_memory: '0x1000000'}":                        true,
		"system: {bandwidth: 400Gbps}":                            true,
		"system: {bandwidth: 50GB/s}":                             true,
		"system: {bandwidth: 50000000000}":                        true,
		"sweep: {kv_memory: [64GiB, 80GiB], isl: 1024..131072x2}": true,
		"strategy: {tp_size: 8}\nruntime: {isl: 10}":              true,
		"strategy: {model_quant_mode: FP8, pp_stage: Largest}":    true,
		"strategy: {kvcache_quant_mode: Fp8_Ds_Mla}":              true,
		"system: {accounting: RANK, window: In_Use, source: GPU}": true,
		"sweep: {kvcache_quant_mode: [BF16, fp8]}":                true,
		"strategy: {model_quant_mode: fp9}":                       false,
		"strategy: {model_quant_mode: xFP8}":                      false,
		"system: {source: GPUs}":                                  false,
		"strategy: {pp_stage: most}":                              false,
		"system: {kv_memory: 64GiBs}":                             false,
		"system: {kv_memory: GiB}":                                false,
		"system: {kv_memory: 64Gbps}":                             false,
		"system: {bandwidth: 400G}":                               false,
		"system: {bandwidth: fast}":                               false,
		"system: {bandwidth: -1}":                                 false,
		"strategy: {tp_size: 0}":                                  false,
		"stratgy: {tp_size: 8}":                                   false,
	} {
		if err := config.Validate(fromYAML(t, []byte(text))); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// programs returns a folder with kvbench and a stand-in for nixlbench. Both come from the
// test binary of package cli, which acts as kvbench or builds the stand-in, depending on the
// name under which it is started.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, "kvbench"), "./cmd/kvbench/cli")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	maker := filepath.Join(dir, "make-nixlbench")
	if err := os.Symlink("kvbench", maker); err != nil {
		t.Fatal(err)
	}
	build = exec.Command(maker, dir)
	build.Dir = filepath.Join(root, "cmd/kvbench/cli")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// TestResults checks that results of every status, for models with parameters
// of all types, follow their schema.
func TestResults(t *testing.T) {
	results := compile(t, "results")
	bin := programs(t)
	dir := t.TempDir()
	gemma, err := filepath.Abs(filepath.Join(root, "models/gemma_3n_e4b.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	profile := func(env string, words ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(bin, "kvbench"), append(append([]string{"profile"}, words...),
			"--backend", "POSIX", "--isl", "256", "--page_size", "64", "--num_requests", "1", "--force", "--output", "r.jsonl")...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), env)
		// Some runs fail on purpose. The results show whether they did.
		out, _ := cmd.CombinedOutput()
		t.Logf("%s", out)
	}
	profile("", "--model", "qwen3-8b", "--repeat", "2")
	profile("", "--model", "deepseek-r1", "--tp", "1,2")
	profile("", "--model", gemma, "--accounting", "rank")
	profile("FAKE_FAULT=early", "--model", "qwen3-8b", "--num_iter", "64")
	profile("FAKE_BANDWIDTHS=inf", "--model", "qwen3-8b", "--num_iter", "128")

	text, err := os.ReadFile(filepath.Join(dir, "r.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	params := 0
	for line := range bytes.Lines(text) {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := results.Validate(v); err != nil {
			t.Errorf("%v\n%s", err, line)
		}
		var rec struct {
			Status string
			Model  struct{ Params map[string]any }
		}
		if err := json.Unmarshal(line, &rec); err != nil {
			t.Fatal(err)
		}
		seen[rec.Status]++
		for _, p := range rec.Model.Params {
			if _, ok := p.([]any); ok {
				params++
			}
		}
		v.(map[string]any)["surprise"] = 1
		if results.Validate(v) == nil {
			t.Error("a result is valid even with an unknown key")
		}
	}
	if seen["ok"] < 5 || seen["failed"] == 0 || seen["suspect"] == 0 || params == 0 {
		t.Errorf("results by status: %v, parameters that are lists: %d", seen, params)
	}
}

// TestOwn checks that the schema of models includes the architectures in a folder, and
// that the files that init writes are valid for this schema.
func TestOwn(t *testing.T) {
	kvbench := filepath.Join(programs(t), "kvbench")
	dir := t.TempDir()
	run := func(words ...string) []byte {
		t.Helper()
		cmd := exec.Command(kvbench, words...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", words, err)
		}
		return out
	}
	run("init", ".")
	for file, words := range map[string][]string{
		"my_model_7b.yaml": {"schema", "model", "--models", "arch"},
		"my_config.yaml":   {"schema", "config"},
	} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(run(words...)))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("own.json", doc); err != nil {
			t.Fatal(err)
		}
		s, err := c.Compile("own.json")
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(fromYAML(t, text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
