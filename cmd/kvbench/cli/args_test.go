package cli

import (
	"slices"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/schema"
)

func planFlags(t testing.TB) []*flagSpec {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{schema: s}
	return a.planCmd().flags
}

// TestWithout checks that no flag has the name of a setting that the data describes as
// missing from kvbench.
func TestWithout(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil || s.Lacks("expert-parallel_size") == "" || s.Lacks("EP") == "" || s.Lacks("tp") != "" {
		t.Fatalf("%v: %+v", err, s.Without.Get())
	}
	for _, f := range planFlags(t) {
		for _, name := range append(slices.Clone(f.aka), f.name) {
			if hint := s.Lacks(name); hint != "" {
				t.Errorf("%s is the flag --%s, but the hint is: %s", name, f.name, hint)
			}
		}
	}
}

func none(string) string { return "" }

func TestNormalize(t *testing.T) {
	flags := planFlags(t)
	for _, test := range []struct{ args, want, err string }{
		{args: "--tp 8", want: "--tp=8"},
		{args: "-tp=8 --fit", want: "--tp=8 --fit=true"},
		{args: "--etcd-endpoint x", want: "--etcd_endpoints=x"},
		{args: "--model-configs a --model_configs b", want: "--model_configs=a --model_configs=b"},
		{args: "--warmup_iter -5", want: "--warmup_iter=-5"},
		{args: "--tp 8 --tp 8", err: "--tp is given twice"},
		{args: "plan.yaml", err: `unexpected argument "plan.yaml": every value must follow a flag`},
		{args: "--enable_pt false", err: `unexpected argument "false" after --enable_pt, which takes no value`},
		{args: "--tp", err: "--tp: missing value"},
		{args: "--tp --pp 4", err: "--tp: missing value before --pp"},
		{args: "--num_t 4", err: "--num_t matches several flags: --num_target_dev, --num_threads"},
		{args: "--pag 4", err: "unknown flag --pag"},
		{args: "--nosuch 4 x", err: "unknown flag --nosuch\nunexpected argument \"x\": every value must follow a flag"},
		{args: "-x 4", err: "unknown flag -x"},
	} {
		words, _, err := normalize(strings.Fields(test.args), flags, false, none, none)
		if got := strings.Join(words, " "); err == nil && got != test.want {
			t.Errorf("%s: got %s, want %s", test.args, got, test.want)
		}
		if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%s: error %v, want %s", test.args, err, test.err)
		}
	}
}

// FuzzNormalize checks that normalize does not change its own output.
func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"--tp 8", "--tp=8 x", "--fit --enable_pt false", "-h", "--", "- -- ---", "--=x", "--etcd-endpoint y --num 3", "--tp\x00-1"} {
		f.Add(s)
	}
	flags := planFlags(f)
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		words, given, err := normalize(args, flags, false, none, none)
		if err != nil {
			return
		}
		again, same, err := normalize(words, flags, false, none, none)
		if err != nil || !slices.Equal(words, again) || len(given) != len(same) {
			t.Errorf("%q is normalized to %q, which is normalized to %q (%v)", args, words, again, err)
		}
	})
}

// TestMakers checks that the name of each command is the name that selects it.
func TestMakers(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range makers() {
		if c := m.command(&app{schema: s}); c.name != m.name {
			t.Errorf("%s creates the command %s", m.name, c.name)
		}
	}
}
