package transfer_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schemagen"
	"kvbench/engine/transfer"
	"kvbench/models"
)

// acme returns the engine that docs/transfers.md adds. Its destination ranks read pages
// of 64 tokens, each covering all layers, from the source ranks in reverse order.
func acme(t *testing.T) []byte {
	guide, err := os.ReadFile("../../docs/transfers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(guide), "```cue\n")
	text, _, ends := strings.Cut(text, "```")
	if !ok || !ends {
		t.Fatal("docs/transfers.md does not add an engine")
	}
	return []byte(text)
}

// TestNewEngine checks that a data file can add an engine with its own mapping from
// destination ranks to source ranks.
func TestNewEngine(t *testing.T) {
	files := fstest.MapFS{"cache/acme.cue": {Data: acme(t)}}
	err := fs.WalkDir(cueschema.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(cueschema.Files, path)
		files[path] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := schemagen.Evaluate(files, models.Files)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{s, model.NewLoader(s, files, models.Files), config.NewLoader(s, files), plan.NewPlanners(s, s.Nixlbench.Default, "")}
	// The model has 80 layers and 8 heads. With 4 ranks, each rank has 2 heads; with 8
	// ranks, each has 1. 64 tokens of one head in all layers are 2,621,440 bytes, and 1,000
	// tokens fill 16 pages.
	for _, test := range []struct {
		flags, sources string
		n, length      int64
	}{
		{"tp=4 decode_tp=8", "3 3 2 2 1 1 0 0", 16, 2_621_440},
		{"tp=8 decode_tp=8 contiguous_pages=4", "7 6 5 4 3 2 1 0", 4, 10_485_760},
		{"tp=8 decode_tp=8 contiguous_pages=4 engine_release=1.0", "7 6 5 4 3 2 1 0", 16, 2_621_440},
	} {
		flags := test.flags + " engine=ACME isl=1000 kvcache_quant_mode=bf16"
		p, req := w.request(t, "llama3.1-70b", flags, ofTransfers)
		tr, err := transfer.Of(p, req)
		if err != nil {
			t.Fatal(err)
		}
		if got := sourcesOf(tr.Pairs); got != test.sources || tr.Op != "READ" {
			t.Errorf("%s: sources %q, %s, want %q, READ", flags, got, tr.Op, test.sources)
		}
		if p := tr.Pairs[0]; p.Descriptors != test.n || p.DescriptorBytes != test.length {
			t.Errorf("%s: %+v, want %d descriptors of %d bytes", flags, p, test.n, test.length)
		}
	}
	p, req := w.request(t, "llama3.1-70b", "tp=8 decode_tp=4 engine=ACME isl=1000", ofTransfers)
	if _, err := p.Transfer(req); err == nil || err.Error() != "--tp: ACME requires at least as many decode ranks as prefill ranks: got 8, expected at most 4" {
		t.Errorf("%v, want the engine's own refusal", err)
	}
}
