package formula

import (
	"strings"
	"testing"
)

// TestWith checks that an additional formula reads the program's values and does not change
// the program.
func TestWith(t *testing.T) {
	p, _ := latentFrame(t)
	names := len(p.Names())
	q, r, err := p.With("--where", Source{Text: "tp_size * pp_size <= 16 and block == 589824"}, Bool)
	if err != nil {
		t.Fatal(err)
	}
	if q2, r2, err := p.With("other", Source{Text: "block + 1"}, Num); err != nil || q2.Kind(r2) != Num || q.Kind(r) != Bool {
		t.Fatal("a second formula changes the first", err)
	}
	f := q.NewFrame()
	for name, v := range map[string]int64{
		"num_layers": 61, "rope_mla_dimension": 64, "mla_latent_vector_dimension": 512, "kvcache_bytes": 1,
		"tp_size": 1, "pp_size": 16, "page_size": 256, "isl": 10000, "num_requests": 10,
	} {
		ref, _ := q.Ref(name)
		f.SetNum(ref, Int(v))
	}
	if yes, err := f.Bool(r); !yes || err != nil {
		t.Errorf("the condition is %v (%v), want true", yes, err)
	}
	tp, _ := q.Ref("tp_size")
	f.SetNum(tp, Int(2))
	if yes, err := f.Bool(r); yes || err != nil {
		t.Errorf("the condition is %v (%v), want false", yes, err)
	}
	if got := len(p.Names()); got != names {
		t.Errorf("the program has %d names, had %d", got, names)
	}
	for text, want := range map[string]string{
		"tp_sise == 1":    `unknown name "tp_sise"`,
		"tp_size":         "yields a number, not true or false",
		"tp_size ==":      "unexpected end of formula",
		"block > 'a'":     `">" cannot compare a number with a string`,
		"tp_size = 1":     `"=" is not supported in formulas`,
		"":                "the formula is empty",
		"nothing(1) == 1": `unknown function "nothing"`,
	} {
		_, _, err := p.With("--where", Source{Text: text}, Bool)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %q", text, err, want)
		}
	}
	if _, _, err := p.With("--where", Source{Text: "isl == 1"}, Bool, "isl"); err == nil || !strings.Contains(err.Error(), `unknown name "isl"`) {
		t.Errorf("the new formula can read a hidden name: %v", err)
	}
	if q, _, err := p.With("--where", Source{Text: "tp_size == 1"}, Bool, "isl"); err != nil {
		t.Error(err)
	} else if _, ok := q.Ref("isl"); !ok {
		t.Error("the hidden names are missing from the new program")
	}
}
