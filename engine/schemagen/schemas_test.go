package schemagen_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/encoding/json"
	"cuelang.org/go/encoding/jsonschema"
	"cuelang.org/go/encoding/yaml"
)

// jsonSchema reads a JSON Schema in docs/schema the way an editor does.
func jsonSchema(t *testing.T, ctx *cue.Context, file string) cue.Value {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	expr, err := json.Extract(file, data)
	if err != nil {
		t.Fatal(err)
	}
	f, err := jsonschema.Extract(ctx.BuildExpr(expr), &jsonschema.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return ctx.BuildFile(f)
}

// TestEditorSchemas checks that every example refers to its schema and is valid according to
// it, and that the schema rejects invalid files.
func TestEditorSchemas(t *testing.T) {
	ctx := cuecontext.New()
	head := regexp.MustCompile(`^# yaml-language-server: \$schema=(\S+)\n`)
	schemas := map[string]cue.Value{}
	files, _ := filepath.Glob("../../examples/*.yaml")
	if len(files) < 20 {
		t.Fatalf("%d examples", len(files))
	}
	check := func(schema, name, text string) error {
		f, err := yaml.Extract(name, text)
		if err != nil {
			t.Fatal(err)
		}
		return schemas[schema].Unify(ctx.BuildFile(f)).Validate(cue.Concrete(true))
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := head.FindStringSubmatch(string(data))
		if m == nil {
			t.Errorf("%s does not name its schema", file)
			continue
		}
		schema := filepath.Join(filepath.Dir(file), m[1])
		if !schemas[schema].Exists() {
			schemas[schema] = jsonSchema(t, ctx, schema)
		}
		if err := check(schema, file, string(data)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		// The same file with an unknown key, and with an invalid number.
		for _, wrong := range []string{string(data) + "\nsurprise: 1\n", strings.NewReplacer("tp_size: ", "tp_size: 0.", "num_layers: ", "num_layers: -").Replace(string(data))} {
			if err := check(schema, file, wrong); err == nil {
				t.Errorf("%s is accepted although it is invalid:\n%s", file, wrong)
			}
		}
	}
}

// TestEditorUnits checks that editors accept the quantities that kvbench accepts, and
// mark those that it rejects.
func TestEditorUnits(t *testing.T) {
	ctx := cuecontext.New()
	schema := jsonSchema(t, ctx, "../../docs/schema/config.json")
	for text, ok := range map[string]bool{
		"runtime: {isl: 128k}":                   true,
		"runtime: {isl: 131072, osl: 1.5k}":      true,
		"runtime: {isl: 128kb}":                  false,
		"runtime: {isl: 0}":                      false,
		"runtime: {num_requests: 1k}":            false,
		"system: {kv_memory: 64GiB}":             true,
		"system: {kv_memory: 5.38GiB}":           true,
		"system: {kv_memory: 5 GiB}":             true,
		"system: {kv_memory: 64g}":               true,
		"system: {kv_memory: 64gb}":              false,
		"system: {kv_memory: -5GiB}":             false,
		"system: {kv_memory: 5.GiB}":             false,
		"system: {bandwidth: 400Gbps}":           true,
		"system: {bandwidth: 400Gbit/s}":         true,
		"system: {bandwidth: 46.9GB/s}":          true,
		"system: {bandwidth: 50000000000}":       true,
		"system: {bandwidth: 400G}":              false,
		"system: {bandwidth: 400GB}":             false,
		"sweep: {kv_memory: [40GiB, 80GiB]}":     true,
		"sweep: {isl: 1k..128kx2}":               true,
		"sweep: {bandwidth: [25Gbit/s, 50GB/s]}": true,
		"system: {page_size: 1k, backend: VLLM}": true,
		"runtime: {max_num_batched_tokens: 8Ki}": true,
		"strategy: {tp_size: 1k}":                false,
		"strategy: {tp: 1}":                      false,
		"runtime: {isl: '010k'}":                 false,
		"strategy:":                              true, // vet accepts sections without a value
		"launch:":                                true,
		"sweep:":                                 true,
		"strategy: 3":                            false,
	} {
		f, err := yaml.Extract("c.yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Unify(ctx.BuildFile(f)).Validate(cue.Concrete(true)); (err == nil) != ok {
			t.Errorf("%s: %v, want good: %v", text, err, ok)
		}
	}
}
