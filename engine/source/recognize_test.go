package source

import (
	"reflect"
	"strings"
	"testing"

	"kvbench/engine/schema"
)

// FuzzOutline checks that no text causes a hang or a panic, and that a name at the top is
// found regardless of what follows.
func FuzzOutline(f *testing.F) {
	for _, text := range []string{"a: b: {c: 1}", "{\"a\": [1, {\"b\": 2}]}", "a:\n  b: 1\n", "\"\"\"", "'", "/*", "a: \"\\", "}}]]", "a: {b: 1\nc: 2", "\u2028a:"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		outlineOfBraces(text)
		outlineOfLines(text)
		if o := outlineOfLines("model_name: X\n" + text); !o.has(schema.NameParam) {
			t.Errorf("model_name is not found before %q", text)
		}
		if o := outlineOfBraces("{\"model_name\": \"X\", " + text); !o.has(schema.NameParam) {
			t.Errorf("model_name is not found before %q", text)
		}
	})
}

// TestOutline checks that the same content has the same outline in all formats.
func TestOutline(t *testing.T) {
	want := outline{"strategy": {"tp_size", "pp_size"}, "runtime": {"isl"}, "note": {}}
	for name, got := range map[string]outline{
		"block YAML": outlineOfLines("# x\nstrategy:\n  tp_size: 1\n  # y\n  pp_size: 2\nruntime: {isl: 3}\nnote: a:b\n"),
		"JSON":       outlineOfBraces(`{"strategy": {"tp_size": 1, "pp_size": 2}, "runtime": {"isl": [3, {"x": 1}]}, "note": "a: {b: 1}"}`),
		"CUE":        outlineOfBraces("strategy: {\n\ttp_size: 1 // c: d\n\tpp_size: 2\n}\nruntime: isl: 3\nnote: \"a\"\n"),
	} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	// A long text must be read quickly.
	if o := outlineOfBraces(strings.Repeat("a: ", 300_000)); len(o) != 1 {
		t.Errorf("%d names at the top", len(o))
	}
}
