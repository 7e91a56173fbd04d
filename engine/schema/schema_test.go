package schema_test

import (
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/schema"
)

func load(t *testing.T) *schema.Schema {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseValue(t *testing.T) {
	s := load(t)
	size, count := &schema.Flag{Unit: "B"}, &schema.Flag{}
	for _, test := range []struct {
		flag      *schema.Flag
		typ, text string
		want      any // nil for an error
	}{
		{size, "uint64", "4096", int64(4096)},
		{size, "uint64", "4k", int64(4096)},
		{size, "uint64", "4K", int64(4096)},
		{size, "uint64", "8GiB", int64(8589934592)},
		{size, "uint64", "8GB", int64(8000000000)},
		{size, "uint64", "1kB", int64(1000)},
		{size, "uint64", "1KB", nil}, // 1000 or 1024?
		{size, "uint64", "1.5k", nil},
		{size, "uint64", "k", nil},
		{size, "uint64", "-1", nil},
		{size, "uint64", "8589934592GiB", nil},
		{size, "uint64", "0x10", int64(16)},
		{count, "uint64", "4k", nil},
		{count, "int32", "2147483647", int64(2147483647)},
		{count, "int32", "2147483648", nil},
		{count, "int32", "-5", int64(-5)},
		{count, "int32", "010", int64(10)},
		{count, "uint32", "4294967295", int64(4294967295)},
		{count, "uint32", "4294967296", nil},
		{count, "int32", "", nil},
		{count, "bool", "true", true},
		{count, "bool", "n", false},
		{count, "bool", "on", nil}, // nixlbench refuses it too
		{count, "string", "anything at all", "anything at all"},
	} {
		got, err := s.ParseValue(test.flag, test.typ, test.text)
		if (err != nil) != (test.want == nil) || err == nil && got != test.want {
			t.Errorf("%s %q is %v (%v), want %v", test.typ, test.text, got, err, test.want)
		}
	}
}

func TestSpan(t *testing.T) {
	n := &load(t).Nixlbench
	for want, eras := range map[string][]schema.Era{
		"0.4.0 and later":                 {{Since: "0.4.0"}},
		"0.2.0 to 0.3.1":                  {{Since: "0.2.0", Until: "0.4.0"}},
		"0.2.0":                           {{Since: "0.2.0", Until: "0.2.1"}},
		"main-2026-08-21":                 {{Since: "main-2026-08-21"}},
		"1.3.0 and later, but not 1.3.2":  {{Since: "1.3.0", Except: []string{"1.3.2"}}},
		"0.2.0 and later":                 {{Since: "0.2.0", Until: "0.7.0"}, {Since: "0.7.0"}},
		"0.2.0 to 0.2.1; 0.4.0 and later": {{Since: "0.2.0", Until: "0.3.0"}, {Since: "0.4.0"}},
	} {
		if got := n.Span(eras...); got != want {
			t.Errorf("%v is %q, want %q", eras, got, want)
		}
	}
}

// TestSpelling: a known word is found in any case, but never one of two.
func TestSpelling(t *testing.T) {
	for _, test := range []struct {
		text  string
		known []string
		want  string
	}{
		{"vllm", []string{"SGLANG", "VLLM"}, "VLLM"},
		{"VLLM", []string{"SGLANG", "VLLM"}, "VLLM"},
		{"vllm", []string{"VLLM", "VLLM"}, "VLLM"},
		{"vllm2", []string{"VLLM"}, "vllm2"},
		{"a", []string{"A", "a"}, "a"},
		{"A", []string{"a", "A"}, "A"},
		{"ab", []string{"AB", "Ab"}, "ab"},
		{"", []string{"A"}, ""},
		{"a", nil, "a"},
	} {
		if got := schema.Spelling(test.text, test.known); got != test.want {
			t.Errorf("%q of %q: %q, want %q", test.text, test.known, got, test.want)
		}
	}
}
