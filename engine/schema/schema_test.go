package schema_test

import (
	"reflect"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/formula"
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
		want      any // nil if an error is expected
	}{
		{size, "uint64", "4096", int64(4096)},
		{size, "uint64", "4k", int64(4096)},
		{size, "uint64", "4K", int64(4096)},
		{size, "uint64", "8GiB", int64(8589934592)},
		{size, "uint64", "8GB", int64(8000000000)},
		{size, "uint64", "1kB", int64(1000)},
		{size, "uint64", "1KB", nil}, // 1000 or 1024?
		{size, "uint64", "1.5k", int64(1536)},
		{size, "uint64", "1.5", nil},
		{size, "uint64", "1TiB", int64(1099511627776)},
		{size, "uint64", "2TB", int64(2000000000000)},
		{size, "uint64", "5.38GiB", int64(5776731013)}, // 5776731013.12
		{size, "uint64", "16 GiB", int64(17179869184)},
		{size, "uint64", "16  GiB", nil},
		{size, "uint64", "16GIB", nil},
		{size, "uint64", "5mb", nil},
		{size, "uint64", "1e3", nil},
		{size, "uint64", "1_000", nil},
		{size, "uint64", "1..5k", nil},
		{size, "uint64", ".5k", nil},
		{size, "uint64", "5.k", nil},
		{size, "uint64", "-5GiB", nil},
		{size, "uint64", "9EiB", nil},
		{size, "uint64", "0.0001k", nil}, // less than a byte
		{size, "uint64", "0.0k", int64(0)},
		{size, "uint64", "k", nil},
		{size, "uint64", "-1", nil},
		{size, "uint64", "8589934592GiB", nil},
		{size, "uint64", "0x10", int64(16)},
		{count, "uint64", "4k", nil},
		{count, "int32", "2147483647", int64(2147483647)},
		{count, "int32", "2147483648", nil},
		{count, "int32", "-5", int64(-5)},
		{count, "int32", "010", nil}, // octal elsewhere,
		{count, "uint32", "4294967295", int64(4294967295)},
		{count, "uint32", "4294967296", nil},
		{count, "int32", "", nil},
		{count, "bool", "true", true},
		{count, "bool", "n", false},
		{count, "bool", "on", nil}, // nixlbench rejects it, too
		{count, "string", "anything at all", "anything at all"},
	} {
		got, err := s.ParseValue(test.flag, test.typ, test.text)
		if (err != nil) != (test.want == nil) || err == nil && !reflect.DeepEqual(got, formula.Of(test.want)) {
			t.Errorf("%s %q is %v (%v), want %v", test.typ, test.text, got, err, test.want)
		}
	}
}

// TestUnits checks how numbers with units are read. The expected values were computed by
// hand.
func TestUnits(t *testing.T) {
	s := load(t)
	for _, test := range []struct {
		unit, text string
		want       int64
		hint       string
	}{
		{"token", "128k", 131072, ""},
		{"token", "128K", 131072, ""},
		{"token", "128Ki", 131072, ""},
		{"token", "1M", 1048576, ""},
		{"token", "1.5k", 1536, ""},
		{"token", "1.3k", 1331, ""}, // 1331.2
		{"token", "128kb", -1, "write 128k"},
		{"token", "1G", -1, ""},
		{"B", "1MiB", 1048576, ""},
		{"B", "64Gi", 68719476736, ""},
		{"B", "8B", 8, ""},
		{"B", "8EB", 8000000000000000000, ""},
		{"B", "7.5EiB", 8646911284551352320, ""},
		{"B", "1KB", -1, "write 1kB or 1KiB"},
		{"B", "5.5mb", -1, "write 5.5MB or 5.5MiB"},
		{"B", "16GIB", -1, "write 16GiB"},
		{"B", "5 gib", -1, "write 5GiB"},
		{"B", "5Q", -1, ""},
		{"B", "9EiB", -1, ""},
		{"B/s", "46.9GB/s", 46900000000, ""},
		{"B/s", "25Gbit/s", 3125000000, ""},
		{"B/s", "400Gb/s", 50000000000, ""},
		{"B/s", "400Gbps", 50000000000, ""},
		{"B/s", "1GiB/s", 1073741824, ""},
		{"B/s", "1TB/s", 1000000000000, ""},
		{"B/s", "8kbit/s", 1000, ""},
		{"B/s", "50000000000", 50000000000, ""},
		{"B/s", "400G", -1, "write 400Gbit/s or 400GB/s"},
		{"B/s", "400GB", -1, "write 400Gbit/s or 400GB/s"},
		{"B/s", "400g", -1, "write 400Gbit/s or 400GB/s"},
		{"B/s", "400gb/s", -1, "write 400Gbit/s or 400GB/s"},
		{"B/s", "50GBps", -1, "write 50Gbit/s or 50GB/s"},
		{"B/s", "400Gbs", -1, "write 400Gbit/s or 400GB/s"},
		{"B/s", "50GiB", -1, "write 50GiB/s"},
		{"B/s", "400Gbits/s", -1, "write 400Gbit/s"},
	} {
		got, err := s.ParseNumber(test.unit, test.text)
		if err != nil {
			got = -1
		}
		if got != test.want {
			t.Errorf("%s %q is %d (%v), want %d", test.unit, test.text, got, err, test.want)
		}
		if hint := s.NumberHint(test.unit, test.text); err != nil && hint != test.hint {
			t.Errorf("%s %q has the hint %q, want %q", test.unit, test.text, hint, test.hint)
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

// TestPreferred checks the order of releases: the documented release, then the final
// releases, then main branch snapshots and release candidates, each newest first.
func TestPreferred(t *testing.T) {
	n := &load(t).Nixlbench
	if err := n.Add("mine", schema.OwnRelease{Like: "1.3.2"}); err != nil {
		t.Fatal(err)
	}
	want := "0.3.1 1.4.0 mine 1.3.2 1.3.1 1.3.0 1.2.0 1.1.0 1.0.1 1.0.0 0.10.1 0.10.0 0.9.0 0.8.0 0.7.1 0.7.0 0.6.1 0.6.0 " +
		"0.5.1 0.5.0 0.4.1 0.4.0 0.3.0 0.2.1 0.2.0 main-2026-08-21 1.4.0-rc3 1.4.0-rc2 main-2025-06-09"
	if got := strings.Join(n.Preferred(), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if err := n.Add("auto", schema.OwnRelease{Like: "1.3.2"}); err == nil || err.Error() != "release auto is already known" {
		t.Errorf("a release may be named auto: %v", err)
	}
}

// TestSpelling checks that a known word is found regardless of case, unless two words
// match.
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

// TestUnitData checks that a suffix has the same factor in all units except units that only
// fields can have, and that kvbench accepts the suggestions for ambiguous suffixes and the
// examples of each unit.
func TestUnitData(t *testing.T) {
	s := load(t)
	factors := map[string]int64{}
	for name, u := range s.Units {
		for suffix, factor := range u.Suffixes {
			if u.FieldsOnly {
				continue
			}
			if other, ok := factors[suffix]; ok && other != factor {
				t.Errorf("%s is %d and %d", suffix, factor, other)
			}
			factors[suffix] = factor
		}
		for suffix, meant := range u.Unclear {
			if suffix != strings.ToLower(suffix) {
				t.Errorf("%s: %s is not in lower case", name, suffix)
			}
			for _, m := range meant {
				if _, err := s.ParseNumber(name, "1"+m); err != nil {
					t.Errorf("%s: 1%s, which is suggested for %s, is rejected", name, m, suffix)
				}
			}
		}
		for _, text := range u.Such {
			if _, err := s.ParseNumber(name, text); err != nil {
				t.Errorf("%s: the example %s is rejected", name, text)
			}
		}
	}
}
