package transfer_test

import (
	"strings"
	"testing"

	"kvbench/engine/transfer"
)

// TestObserved compares the descriptors of a pair with those in engines' logs.
func TestObserved(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		model, flags   string
		n, bytes, each int64
		source         string
	}{
		{"qwen3-0.6b", "engine=VLLM engine_release=0.22.1 page_size=16 isl=16", 56, 1_835_008, 32_768, "vllm#30207: 28 layers, K and V separate"},
		{"qwen3-0.6b", "engine=VLLM engine_release=0.22.1 page_size=16 isl=16 access_pattern=block", 1, 1_835_008, 1_835_008, "vllm#30207: one region for all layers"},
		{"qwen3-0.6b", "engine=VLLM engine_release=0.22.1 page_size=16 isl=640 contiguous_pages=all", 56, 73_400_320, 1_310_720, "vllm#25388: 70.0 MiB"},
		{"qwen3-8b", "engine=VLLM engine_release=0.22.1 page_size=16 isl=16", 72, 2_359_296, 32_768, "vllm#41230: 2.25 MiB"},
		{"qwen2.5-7b", "engine=VLLM engine_release=0.22.1 page_size=16 isl=800", 2_800, 45_875_200, 16_384, "vllm#23887"},
		{"llama3.1-70b", "engine=VLLM engine_release=0.22.1 page_size=16 tp=8 isl=1888", 18_880, 77_332_480, 4_096, "nixl#1514: 118 pages"},
		{"llama3.1-70b", "engine=VLLM engine_release=0.22.1 page_size=16 tp=8 isl=1888 contiguous_pages=all", 160, 77_332_480, 483_328, "nixl#1514: merged"},
		{"qwen3-30b-a3b", "engine=VLLM engine_release=0.22.1 page_size=16 isl=16", 96, 1_572_864, 16_384, "dynamo#12750: pieces of a block"},
		{"qwen3-30b-a3b", "engine=VLLM engine_release=0.22.1 page_size=16 isl=16 access_pattern=block", 1, 1_572_864, 1_572_864, "dynamo#12750: one block"},
		{"deepseek-r1", "engine=VLLM page_size=64 isl=10304 contiguous_pages=all", 61, 724_082_688, 11_870_208, "nixl#1401: 61 of 11.32 MB"},
	} {
		flags := test.flags + " kvcache_quant_mode=bf16"
		p, req := w.request(t, test.model, flags, ofTransfers)
		tr, err := transfer.Of(p, req)
		if err != nil {
			t.Errorf("%s: %v", flags, err)
			continue
		}
		got := tr.Pairs[0]
		if got.Descriptors != test.n || got.Bytes != test.bytes || got.DescriptorBytes != test.each {
			t.Errorf("%s %s: %+v, want %d bytes in %d descriptors of %d (%s)", test.model, flags, got, test.bytes, test.n, test.each, test.source)
		}
	}
}

// TestIndexKeys checks that layers that use another layer's index keys have no regions for
// index keys. 21 of the 78 layers and the one layer that predicts tokens have index keys,
// so there are 101 regions, regardless of the input length (vllm#55434).
func TestIndexKeys(t *testing.T) {
	w := newWorld(t)
	for _, isl := range []string{"10300", "41100"} {
		p, req := w.request(t, "glm-5.2", "engine=VLLM tp=1 decode_tp=4 page_size=64 kvcache_quant_mode=fp8 draft=mtp contiguous_pages=all isl="+isl, ofTransfers)
		tr, err := transfer.Of(p, req)
		if err != nil {
			t.Fatal(err)
		}
		if n := tr.Slowest.Descriptors; n != 101 {
			t.Errorf("%s tokens: %d descriptors, want 101", isl, n)
		}
	}
}

// TestTimes checks times that were computed by hand, and one that was measured.
func TestTimes(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		flags          string
		bytes, n, want int64
	}{
		{"bandwidth=5470000000 descriptor_cost=3750", 175_112_192, 1_785, 38_707}, // vllm#50913: 38.7 ms
		{"link=ib_ndr descriptor_cost=0", 16_000_000_000, 1, 320_000},
		{"link=pcie5x16", 1_207_959_552, 5, 19_170},
		{"link=nvlink4 descriptor_cost=0", 1_207_959_552, 7, 2_685},
		{"link=tcp10", 1_207_959_552, 9, 966_368},
		{"link=ib_ndr", 0, 1_000, 3_750},
		{"link=efa_p5 transfer_start=3ms", 0, 1_000, 5_400},
		{"link=ib_ndr bandwidth=25GB/s descriptor_cost=0", 25_000_000, 1, 1_000},
	} {
		p, req := w.request(t, "qwen3-8b", test.flags+" isl=1 page_size=1", ofTransfers)
		tr, err := transfer.Of(p, req)
		if err != nil {
			t.Fatal(err)
		}
		if got, shown, err := tr.Quantity("transfer_us", test.bytes, test.n); got != test.want || !shown || err != nil {
			t.Errorf("%s: %d us, %v, want %d", test.flags, got, err, test.want)
		}
	}
}

// TestSharedLink checks the time of the slowest rank if its pairs share a link.
func TestSharedLink(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		model, flags string
		want         int64
	}{
		// Two pairs that each move 335,544,320 bytes at 50 GB/s take 13,421.8 us. 40,960
		// descriptors take 40,960 * 3.75 = 153,600 us.
		{"llama3.1-70b", "engine=VLLM page_size=16 tp=8 decode_tp=4", 167_022},
		// No two pairs share a rank, so the bytes take 6,710.9 us and the descriptors take
		// 153,600 us.
		{"llama3.1-70b", "engine=VLLM page_size=16 tp=8", 160_311},
		// A prefill rank sends 335,544,320 bytes to each of two ranks.
		{"llama3.1-70b", "engine=VLLM page_size=16 tp=4 decode_tp=8", 167_022},
		// 256 * (1,142,784 + 1,105,920) bytes from two stages take 11,513.4 us. 256 descriptors
		// take 256 * 3.75 = 960 us.
		{"deepseek-r1", "engine=TRTLLM kvcache_quant_mode=bf16 page_size=32 tp=8 pp=2 decode_pp=1", 12_474},
	} {
		p, req := w.request(t, test.model, test.flags+" isl=8192 link=ib_ndr", ofTransfers)
		tr, err := transfer.Of(p, req)
		if err != nil {
			t.Fatal(err)
		}
		if tr.SharedMicros != test.want {
			t.Errorf("%s %s: %d us, want %d", test.model, test.flags, tr.SharedMicros, test.want)
		}
	}
}

// TestAnswers checks the bandwidth and input length that meet a target time, the
// transfer's share of the time to first token, and the time for prefill and transfer
// together.
func TestAnswers(t *testing.T) {
	w := newWorld(t)
	// With 32,768 bytes in each of 36 layers, a page of 16 tokens has 1,179,648 bytes. 100
	// pages are 3,600 descriptors, which take 3.6 ms, and 117,964,800 bytes, which take
	// 11.79648 ms at 10 GB/s.
	p, req := w.request(t, "qwen3-8b", `engine=VLLM kvcache_quant_mode=fp8 page_size=16 isl=1600 bandwidth=10GB/s descriptor_cost=1us
		transfer_target=10ms ttft=50ms prefill_time=36ms`, ofTransfers)
	tr, err := transfer.Of(p, req)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{
		"transfer_us":      15_397,
		"ttft_percent":     31,             // 30.8
		"needed_bandwidth": 18_432_000_000, // 117,964,800 bytes in 6.4 ms
		"serial_us":        51_397,
		"layered_us":       36_428, // 36 ms plus 427.7 us for one layer
	} {
		if got, shown, err := tr.Quantity(name, tr.Slowest.Bytes, tr.Slowest.Descriptors); got != want || !shown || err != nil {
			t.Errorf("%s is %d, %v, want %d", name, got, err, want)
		}
	}
	// A page takes 36 us plus 117.9648 us, so 64 pages take 9.854 ms and 65 pages take 10.008
	// ms.
	if n, err := tr.LongestISL(p); n != 1024 || err != nil {
		t.Errorf("the longest input is %d tokens, %v, want 1024", n, err)
	}
}

// TestAnswersOfStages checks the time for prefill and transfer together if the source has
// pipeline stages.
func TestAnswersOfStages(t *testing.T) {
	w := newWorld(t)
	// A stage has half of the 80 layers. 2 * 40 * 512 descriptors at 3.75 us take 153,600
	// us, and 167,772,160 bytes at 50 GB/s take 3,355.44 us. The second stage has computed
	// its first layer after 100 ms + 200 ms / 80.
	p, req := w.request(t, "llama3.1-70b", "engine=SGLANG kvcache_quant_mode=bf16 tp=8 pp=2 page_size=16 isl=8192 link=ib_ndr prefill_time=200ms", ofTransfers)
	tr, err := transfer.Of(p, req)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"transfer_us": 156_956, "serial_us": 356_956, "layered_us": 259_456} {
		if got, shown, err := tr.Quantity(name, tr.Slowest.Bytes, tr.Slowest.Descriptors); got != want || !shown || err != nil {
			t.Errorf("%s is %d, %v, want %d", name, got, err, want)
		}
	}
}

// TestAdvice checks the advice for a transfer that spends most of its time on descriptors,
// and for one that spends most of it on bytes.
func TestAdvice(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		flags   string
		percent int64
		want    string
	}{
		// 40,960 descriptors at 3.75 us take 153.6 ms, and 335,544,320 bytes at 50 GB/s take
		// 6.7 ms.
		{"engine=VLLM page_size=16 tp=8 isl=8192 link=ib_ndr", 95, "page_size 64 contiguous_pages 4 access_pattern block"},
		// 512 descriptors at 3.75 us take 1.9 ms, and 335,544,320 bytes at 1.25 GB/s take 268.4
		// ms.
		{"engine=TRTLLM page_size=16 tp=8 isl=8192 bandwidth=1250000000 descriptor_cost=3750", 0, ""},
	} {
		p, req := w.request(t, "llama3.1-70b", test.flags+" kvcache_quant_mode=bf16", ofTransfers)
		tr, err := transfer.Of(p, req)
		if err != nil {
			t.Fatal(err)
		}
		a, err := tr.Advise(p)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range a.Better {
			got = append(got, b.Flag+" "+b.Value)
			if 2*b.Micros > tr.All.Micros {
				t.Errorf("%s: %+v does not halve %d us", test.flags, b, tr.All.Micros)
			}
		}
		if strings.Join(got, " ") != test.want || a.DescriptorPercent != test.percent {
			t.Errorf("%s: %d%%, %v, want %d%%, %s", test.flags, a.DescriptorPercent, got, test.percent, test.want)
		}
	}
}
