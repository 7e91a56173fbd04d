package transfer_test

import (
	"strings"
	"testing"

	"kvbench/engine/diag"
	"kvbench/engine/transfer"
)

// TestOneHead checks that engines treat a single KV head like several heads. All ranks
// have the same data, as with a latent cache. With a latent cache, a destination rank has
// a single source; with a single head, it may receive a copy from each of several ranks.
// Falcon 7B has 32 layers with one head of size 64, so a token is 8,192 bytes.
func TestOneHead(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		flags            string
		sources          string
		n, length, total int64
	}{
		// Each descriptor moves the K or V of one token in one layer, and all copies of the
		// head are sent.
		{"engine=SGLANG page_size=16 tp=8 decode_tp=4", "0,1 2,3 4,5 6,7", 524_288, 128, 536_870_912},
		{"engine=SGLANG page_size=16 tp=4 decode_tp=8", "0 0 1 1 2 2 3 3", 524_288, 128, 536_870_912},
		{"engine=SGLANG page_size=16 tp=4 decode_tp=4 contiguous_pages=all", "0 1 2 3", 64, 1_048_576, 268_435_456},
		{"engine=VLLM page_size=16 tp=4 decode_tp=8", "0 0 1 1 2 2 3 3", 16_384, 4_096, 536_870_912},
		{"engine=TRTLLM page_size=32 tp=8 decode_tp=4", "0 2 4 6", 256, 262_144, 268_435_456},
	} {
		tr, err := w.transfer(t, "falcon-7b", "isl=8192 kvcache_quant_mode=bf16 "+test.flags)
		if err != nil {
			t.Errorf("%s: %v", test.flags, err)
			continue
		}
		pairs := transfer.Pairs(tr)
		var total int64
		for _, p := range pairs {
			total += p.Bytes
			if p.Bytes != 67_108_864 || p.Descriptors != test.n || p.DescriptorBytes != test.length {
				t.Errorf("%s: %+v, want 67,108,864 bytes in %d descriptors of %d", test.flags, p, test.n, test.length)
				break
			}
		}
		if got := sourcesOf(pairs); got != test.sources || total != test.total {
			t.Errorf("%s: sources %q and %d bytes, want %q and %d", test.flags, got, total, test.sources, test.total)
		}
	}
	_, err := w.transfer(t, "falcon-7b", "isl=8192 engine=VLLM page_size=16 tp=8 decode_tp=4")
	if err == nil || !strings.Contains(diag.All(err)[0].Msg, "more tensor-parallel ranks than KV heads on the prefill side") {
		t.Errorf("VLLM, from 8 ranks to 4: %v", err)
	}
}
