package config_test

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

// jsonSchema reads a JSON schema of docs/schema as an editor would.
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

// TestEditorSchemas: every example names its schema and follows it, and what is
// wrong does not.
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
		// The same with a key that nobody knows, and with a wrong number.
		for _, wrong := range []string{string(data) + "\nsurprise: 1\n", strings.NewReplacer("tp_size: ", "tp_size: 0.", "num_layers: ", "num_layers: -").Replace(string(data))} {
			if err := check(schema, file, wrong); err == nil {
				t.Errorf("%s is wrong and passes:\n%s", file, wrong)
			}
		}
	}
}
