package transfer_test

import (
	"testing"

	"kvbench/engine/transfer"
)

// TestCounts checks transfers that were computed by hand or logged: the first pair of
// each transfer, and the sources of all ranks.
func TestCounts(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		model, flags     string
		sources          string
		bytes, n, length int64
	}{
		// vllm#30207: 1,024 tokens need 3,528 descriptors, because 63 pages are moved (all but
		// the last), in 28 layers, with K and V separate. With one region for all layers, 1
		// descriptor is enough.
		{"qwen3-0.6b", "engine=VLLM engine_release=0.22.1 page_size=16 isl=1008", "0", 115_605_504, 3_528, 32_768},
		{"qwen3-0.6b", "engine=VLLM engine_release=0.22.1 page_size=16 isl=1008 access_pattern=block contiguous_pages=all", "0", 115_605_504, 1, 115_605_504},
		// Each stage writes only its own layers: the first stage has 31 of 61 layers with
		// latent caches in the first case, and 40 of 80 layers in the second.
		{"deepseek-r1", "engine=SGLANG page_size=64 isl=8192 tp=2 pp=2 pp_layers=31,30 decode_pp=1", "0,2 1,3", 292_552_704, 3_968, 73_728},
		{"llama3.1-70b", "engine=SGLANG page_size=16 isl=8192 tp=4 pp=2 decode_pp=1", "0,4 1,5 2,6 3,7", 335_544_320, 40_960, 8_192},
		// NixlPushConnector: 40 layers with 512 pages each, and the heads are split
		{"llama3.1-70b", "engine=VLLM page_size=16 isl=8192 tp=2 pp=2 decode_tp=4 decode_pp=1", "0,2 0,2 1,3 1,3", 335_544_320, 20_480, 16_384},
		// A page on the decode side is as large as two pages on the prefill side. The
		// descriptors move pages of the prefill side.
		{"llama3.1-70b", "engine=VLLM page_size=16 decode_page_size=32 isl=8192 tp=8", "0 1 2 3 4 5 6 7", 335_544_320, 40_960, 8_192},
		// The 16 source ranks have 4 copies of each of the 4 heads. Each of the 2 destination
		// ranks needs 2 heads and reads one copy of each.
		{"qwen3-235b-a22b", "engine=TRTLLM page_size=32 isl=8192 tp=16 decode_tp=2", "0,4 8,12", 394_264_576, 48_128, 8_192},
	} {
		tr, err := w.transfer(t, test.model, test.flags+" kvcache_quant_mode=bf16")
		if err != nil {
			t.Errorf("%s: %v", test.flags, err)
			continue
		}
		pairs := transfer.Pairs(tr)
		if p := pairs[0]; p.Bytes != test.bytes || p.Descriptors != test.n || p.DescriptorBytes != test.length {
			t.Errorf("%s %s: %+v, want %d bytes in %d descriptors of %d", test.model, test.flags, p, test.bytes, test.n, test.length)
		}
		if got := sourcesOf(pairs); got != test.sources {
			t.Errorf("%s %s: sources %q, want %q", test.model, test.flags, got, test.sources)
		}
	}
}
