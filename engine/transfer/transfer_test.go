package transfer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/engine/transfer"
	"kvbench/models"
)

// A world is used to plan transfers of bundled models.
type world struct {
	schema   *schema.Schema
	models   *model.Loader
	configs  *config.Loader
	planners *plan.Planners
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return &world{s, model.NewLoader(s, cueschema.Files, models.Files), config.NewLoader(s, cueschema.Files), plan.NewPlanners(s, s.Nixlbench.Default, "")}
}

// ofTransfers is the [plan.Use] of planners for transfers.
var ofTransfers = plan.Use{Rank: true, Detail: true, Transfer: true}

// request returns the request for a model with flags such as "tp=8 decode_tp=4".
func (w *world) request(t testing.TB, name, flags string, use plan.Use) (*plan.Planner, *plan.Request) {
	t.Helper()
	m, err := w.models.Model(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	flags += " accounting=rank"
	var overrides []config.Override
	for word := range strings.FieldsSeq(flags) {
		flag, text, _ := strings.Cut(word, "=")
		i := slices.IndexFunc(w.schema.Fields, func(f schema.Field) bool { return f.Flag == flag })
		if i < 0 {
			t.Fatalf("there is no flag %s", flag)
		}
		overrides = append(overrides, config.Override{Path: w.schema.Fields[i].Path, Text: text, Origin: data.Origin{Kind: data.FromFlag, Name: flag}})
	}
	c, err := w.configs.Config("", nil, "", overrides)
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.planners.For(m.Arch, use)
	if err != nil {
		t.Fatal(err)
	}
	return p, &plan.Request{Model: m, Config: c.With(m.Arch, m.Defaults)}
}

func (w *world) transfer(t testing.TB, name, flags string) (*plan.Transfer, error) {
	t.Helper()
	p, req := w.request(t, name, flags, ofTransfers)
	return p.Transfer(req)
}

// TestWorkedTables compares the pairs of transfers with pairs that were computed by hand
// from the engines' source code.
func TestWorkedTables(t *testing.T) {
	const (
		tokens = " isl=8192 kvcache_quant_mode=bf16 "
		llama  = "llama3.1-70b"
		qwen   = "qwen3-235b-a22b"
		r1     = "deepseek-r1"
	)
	w := newWorld(t)
	for _, test := range []struct {
		model, flags string
		sources      string // of each destination rank
		bytes        int64  // of each pair
		n, length    int64  // descriptors of each pair, and the bytes per descriptor
		total        int64
	}{
		// 80 layers with 8 KV heads of size 128, so a token is 327,680 bytes
		{llama, "engine=VLLM page_size=16 tp=4 decode_tp=8", "0 0 1 1 2 2 3 3", 335_544_320, 40_960, 8_192, 2_684_354_560},
		{llama, "engine=VLLM page_size=16 tp=8 decode_tp=4", "0,1 2,3 4,5 6,7", 335_544_320, 40_960, 8_192, 2_684_354_560},
		{llama, "engine=VLLM page_size=16 tp=8 decode_tp=2", "0,1,2,3 4,5,6,7", 335_544_320, 40_960, 8_192, 2_684_354_560},
		{llama, "engine=VLLM page_size=16 tp=8 decode_tp=8", "0 1 2 3 4 5 6 7", 335_544_320, 40_960, 8_192, 2_684_354_560},
		{llama, "engine=VLLM page_size=16 tp=8 decode_tp=8 contiguous_pages=all", "0 1 2 3 4 5 6 7", 335_544_320, 80, 4_194_304, 2_684_354_560},
		{llama, "engine=VLLM page_size=16 tp=4 decode_tp=8 engine_release=0.22.1", "0 0 1 1 2 2 3 3", 335_544_320, 81_920, 4_096, 2_684_354_560},
		{llama, "engine=SGLANG page_size=16 tp=4 decode_tp=8", "0 0 1 1 2 2 3 3", 335_544_320, 1_310_720, 256, 2_684_354_560},
		{llama, "engine=SGLANG page_size=16 tp=8 decode_tp=4", "0,1 2,3 4,5 6,7", 335_544_320, 1_310_720, 256, 2_684_354_560},
		{llama, "engine=SGLANG page_size=16 tp=8 decode_tp=2", "0,1,2,3 4,5,6,7", 335_544_320, 1_310_720, 256, 2_684_354_560},
		{llama, "engine=SGLANG page_size=16 tp=8 contiguous_pages=512", "0 1 2 3 4 5 6 7", 335_544_320, 160, 2_097_152, 2_684_354_560},
		{llama, "engine=TRTLLM page_size=32 tp=4 decode_tp=8", "0 0 1 1 2 2 3 3", 335_544_320, 40_960, 8_192, 2_684_354_560},
		{llama, "engine=TRTLLM page_size=32 tp=8 decode_tp=4", "0,1 2,3 4,5 6,7", 335_544_320, 40_960, 8_192, 2_684_354_560},
		{llama, "engine=TRTLLM page_size=32 tp=8 decode_tp=2", "0,1,2,3 4,5,6,7", 335_544_320, 40_960, 8_192, 2_684_354_560},
		{llama, "engine=TRTLLM page_size=32 tp=8", "0 1 2 3 4 5 6 7", 335_544_320, 256, 1_310_720, 2_684_354_560},
		// 94 layers with 4 KV heads of size 128, so one head of 8,192 tokens is 394,264,576 bytes
		{qwen, "engine=VLLM page_size=16 tp=4 decode_tp=8", "0 0 1 1 2 2 3 3", 394_264_576, 48_128, 8_192, 3_154_116_608},
		{qwen, "engine=VLLM page_size=16 tp=4 decode_tp=8 contiguous_pages=0", "0 0 1 1 2 2 3 3", 394_264_576, 94, 4_194_304, 3_154_116_608},
		{qwen, "engine=VLLM page_size=16 tp=8 decode_tp=16", "0 0 1 1 2 2 3 3 4 4 5 5 6 6 7 7", 394_264_576, 48_128, 8_192, 6_308_233_216},
		{qwen, "engine=TRTLLM page_size=32 tp=8 decode_tp=4", "0 2 4 6", 394_264_576, 256, 1_540_096, 1_577_058_304},
		{qwen, "engine=TRTLLM page_size=32 tp=4 decode_tp=8", "0 0 1 1 2 2 3 3", 394_264_576, 256, 1_540_096, 3_154_116_608},
		{qwen, "engine=TRTLLM page_size=32 tp=8 decode_tp=16", "0 0 1 1 2 2 3 3 4 4 5 5 6 6 7 7", 394_264_576, 256, 1_540_096, 6_308_233_216},
		{qwen, "engine=SGLANG page_size=16 tp=4 decode_tp=8", "0 0 1 1 2 2 3 3", 394_264_576, 1_540_096, 256, 3_154_116_608},
		{qwen, "engine=SGLANG page_size=16 tp=8 decode_tp=16", "0 0 1 1 2 2 3 3 4 4 5 5 6 6 7 7", 394_264_576, 1_540_096, 256, 6_308_233_216},
		// 61 layers with a latent vector of size 512 and a key of size 64
		{r1, "engine=VLLM page_size=64 tp=8 decode_tp=4", "0 2 4 6", 575_668_224, 7_808, 73_728, 2_302_672_896},
		{r1, "engine=VLLM page_size=64 tp=4 decode_tp=8", "0 0 1 1 2 2 3 3", 575_668_224, 7_808, 73_728, 4_605_345_792},
		{r1, "engine=VLLM page_size=64 tp=16 decode_tp=8", "0 2 4 6 8 10 12 14", 575_668_224, 7_808, 73_728, 4_605_345_792},
		{r1, "engine=VLLM page_size=64 tp=8 decode_tp=4 contiguous_pages=all", "0 2 4 6", 575_668_224, 61, 9_437_184, 2_302_672_896},
		{r1, "engine=VLLM page_size=64 tp=8 decode_tp=4 kvcache_quant_mode=fp8", "0 2 4 6", 287_834_112, 7_808, 36_864, 1_151_336_448},
		{r1, "engine=SGLANG page_size=64 tp=8 decode_tp=4", "0 2 4 6", 575_668_224, 7_808, 73_728, 2_302_672_896},
		{r1, "engine=SGLANG page_size=64 tp=4 decode_tp=8", "0 0 1 1 2 2 3 3", 575_668_224, 7_808, 73_728, 4_605_345_792},
		{r1, "engine=SGLANG page_size=64 tp=16 decode_tp=8", "0 2 4 6 8 10 12 14", 575_668_224, 7_808, 73_728, 4_605_345_792},
		{r1, "engine=TRTLLM page_size=32 tp=8 decode_tp=4", "0 2 4 6", 575_668_224, 256, 2_248_704, 2_302_672_896},
		{r1, "engine=TRTLLM page_size=32 tp=16 decode_tp=8", "0 2 4 6 8 10 12 14", 575_668_224, 256, 2_248_704, 4_605_345_792},
		// Pipeline stages of 40 layers each
		{llama, "engine=TRTLLM page_size=32 tp=4 pp=2 decode_pp=1", "0,4 1,5 2,6 3,7", 335_544_320, 256, 1_310_720, 2_684_354_560},
	} {
		flags := tokens + test.flags
		tr, err := w.transfer(t, test.model, flags)
		if err != nil {
			t.Errorf("%s: %v", flags, err)
			continue
		}
		pairs := transfer.Pairs(tr)
		var total int64
		for _, p := range pairs {
			total += p.Bytes
			if p.Bytes != test.bytes || p.Descriptors != test.n || p.DescriptorBytes != test.length {
				t.Errorf("%s: %+v, want %d bytes in %d descriptors of %d", flags, p, test.bytes, test.n, test.length)
				break
			}
		}
		if got := sourcesOf(pairs); got != test.sources || total != test.total {
			t.Errorf("%s: sources %q and %d bytes, want %q and %d", flags, got, total, test.sources, test.total)
		}
		if want := map[bool]string{true: "READ", false: "WRITE"}[strings.Contains(flags, "VLLM")]; tr.Op != want {
			t.Errorf("%s: op is %s, want %s", flags, tr.Op, want)
		}
	}
}

// sourcesOf lists the sources of each destination rank, as in "0,1 2,3".
func sourcesOf(pairs []transfer.Pair) string {
	var list []string
	for _, p := range pairs {
		for len(list) <= p.Destination {
			list = append(list, "")
		}
		s := fmt.Sprint(p.Source)
		if list[p.Destination] != "" {
			s = list[p.Destination] + "," + s
		}
		list[p.Destination] = s
	}
	return strings.Join(list, " ")
}

// TestReplicas checks an engine in which all ranks with a copy of a head send their copy. A
// warning must say that more data is written than needed.
func TestReplicas(t *testing.T) {
	w := newWorld(t)
	tr, err := w.transfer(t, "qwen3-235b-a22b", "isl=8192 kvcache_quant_mode=bf16 engine=SGLANG page_size=16 tp=8 decode_tp=4")
	if err != nil {
		t.Fatal(err)
	}
	pairs := transfer.Pairs(tr)
	into := map[int]int64{}
	for _, p := range pairs {
		into[p.Destination] += p.Bytes
		if p.Descriptors != 1_540_096 || p.DescriptorBytes != 256 {
			t.Errorf("%+v, want 1,540,096 descriptors of 256 bytes", p)
		}
	}
	if got := sourcesOf(pairs); got != "0,1 2,3 4,5 6,7" || into[0] != 788_529_152 {
		t.Errorf("sources %q, %d bytes into rank 0; want two each, and 788,529,152", got, into[0])
	}
	if len(tr.Warnings) == 0 || !strings.Contains(tr.Warnings.Error(), "more data is written than needed") {
		t.Errorf("warnings %v, want one about the amount of data written", tr.Warnings)
	}
}

// TestRefused checks the transfers that engines reject, and the reasons.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct{ model, flags, want string }{
		{"qwen3-235b-a22b", "engine=VLLM tp=8 decode_tp=4", "more tensor-parallel ranks than KV heads on the prefill side"},
		{"llama3.1-70b", "engine=VLLM tp=2 decode_tp=3", "must be a multiple of the number on the other"},
		{"llama3.1-70b", "engine=VLLM page_size=16 decode_page_size=24", "must be a multiple of the prefill side's"},
		{"llama3.1-70b", "engine=VLLM tp=8 decode_tp=4 page_size=16 decode_page_size=32", "more tensor-parallel ranks"},
		{"llama3.1-70b", "engine=VLLM decode_pp=2", "does not support pipeline stages on the decode side"},
		{"llama4-scout", "engine=VLLM pp=2 decode_pp=1", "pipeline stages for models with several kinds of cache"},
		{"llama3.1-70b", "engine=VLLM kvcache_quant_mode=bf16 decode_kvcache_quant_mode=fp8", "requires the same KV cache format"},
		{"llama3.1-70b", "engine=SGLANG page_size=16 decode_page_size=32", "SGLANG requires the same page size"},
		{"llama3.1-70b", "engine=SGLANG pp=4 decode_pp=2", "must have one pipeline stage, or as many as the prefill side"},
		{"llama3.1-70b", "engine=TRTLLM page_size=32 decode_page_size=64", "TRTLLM requires the same page size"},
		{"llama3.1-70b", "engine=TRTLLM kvcache_quant_mode=fp8 decode_kvcache_quant_mode=bf16", "TRTLLM requires the same KV cache format"},
	} {
		_, err := w.transfer(t, test.model, "isl=100 "+test.flags)
		if err == nil || !strings.Contains(diag.All(err)[0].Msg, test.want) {
			t.Errorf("%s: %v, want %q", test.flags, err, test.want)
		}
	}
}

// TestWindows checks how much of a windowed layer is moved by default. vLLM's connector
// moves one more page than the window fills, and groups are padded to the same number of
// layers.
func TestWindows(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		model, flags string
		n, length    int64
	}{
		// 10 full layers with 512 pages each, and 52 layers with 1,024 / 16 + 1 pages each,
		// padded to 60 layers
		{"gemma-3-27b", "engine=VLLM page_size=16", 9_020, 131_072},
		{"gemma-3-27b", "engine=VLLM page_size=16 window=in_use", 8_448, 131_072},
		// 12 layers with 512 pages each, and 12 layers with 128 / 16 + 1 pages each
		{"gpt-oss-20b", "engine=VLLM page_size=16", 6_252, 32_768},
		// Blocks contain pages of all layers. Every block is as large as a block of the largest
		// group: 21 * (37,440 + 8,640) + 20 * 1,728 bytes. There are 32 blocks for layers
		// without a window, and 3 + 3 + 3 + 17 blocks for windows and states.
		{"deepseek-v4-flash", "engine=VLLM page_size=256 kvcache_quant_mode=fp8", 58, 1_002_240},
		// 62 layers with 512 pages each, and K and V separate, because SGLang's list of models
		// with windows does not include this one
		{"gemma-3-27b", "engine=SGLANG page_size=16", 62 * 2 * 512, 65_536},
	} {
		flags := "isl=8192 tp=1 decode_tp=1 " + test.flags
		if !strings.Contains(flags, "quant") {
			flags += " kvcache_quant_mode=bf16"
		}
		tr, err := w.transfer(t, test.model, flags)
		if err != nil {
			t.Fatal(err)
		}
		if p := transfer.Pairs(tr)[0]; p.Descriptors != test.n || p.DescriptorBytes != test.length {
			t.Errorf("%s %s: %+v, want %d of %d bytes", test.model, test.flags, p, test.n, test.length)
		}
	}
}

// TestUnevenStages checks a transfer from two stages, with 31 and 30 layers, to a single
// stage. Ranks 3 and 11 send to rank 3.
func TestUnevenStages(t *testing.T) {
	tr, err := newWorld(t).transfer(t, "deepseek-r1", "isl=8192 kvcache_quant_mode=bf16 engine=TRTLLM page_size=32 tp=8 pp=2 decode_pp=1")
	if err != nil {
		t.Fatal(err)
	}
	got := map[int]transfer.Pair{}
	for _, p := range transfer.Pairs(tr) {
		if p.Destination == 3 {
			got[p.Source] = p
		}
	}
	want := map[int]transfer.Pair{
		3:  {Source: 3, Destination: 3, Group: "latent", Bytes: 292_552_704, Descriptors: 256, DescriptorBytes: 1_142_784},
		11: {Source: 11, Destination: 3, Group: "latent", Bytes: 283_115_520, Descriptors: 256, DescriptorBytes: 1_105_920},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
