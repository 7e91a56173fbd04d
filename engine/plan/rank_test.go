package plan_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// geometry contains a model's parameters for one of the generic architectures.
type geometry struct {
	arch   string
	params map[string]any
}

func gqa(layers, heads, dim int64) geometry {
	return geometry{"attention", map[string]any{"num_layers": layers, "num_kv_heads": heads, "head_dim": dim}}
}

func (g geometry) with(values map[string]any) geometry {
	params := map[string]any{}
	for _, m := range []map[string]any{g.params, values} {
		for name, v := range m {
			params[name] = v
		}
	}
	return geometry{g.arch, params}
}

// cycle returns a list of n words that repeats the given words.
func cycle(n int, words ...string) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = words[i%len(words)]
	}
	return list
}

var (
	llama8B   = gqa(32, 8, 128)
	llama70B  = gqa(80, 8, 128)
	qwen06B   = gqa(28, 8, 128)
	qwen235B  = gqa(94, 4, 128)
	deepseek  = geometry{"latent_attention", map[string]any{"num_layers": int64(61), "kv_lora_rank": int64(512), "qk_rope_head_dim": int64(64)}}
	deepseek2 = deepseek.with(map[string]any{"index_head_dim": int64(128), "packed_fp8": true}) // V3.2
	gptoss120 = gqa(36, 8, 64).with(map[string]any{"layer_kinds": cycle(36, "sliding", "full"), "sliding_window": int64(128), "hf_architecture": "GptOssForCausalLM"})
	gptoss20  = gqa(24, 8, 64).with(map[string]any{"layer_kinds": cycle(24, "sliding", "full"), "sliding_window": int64(128), "hf_architecture": "GptOssForCausalLM"})
	gemma3    = gqa(62, 16, 128).with(map[string]any{"layer_kinds": cycle(62, "sliding", "sliding", "sliding", "sliding", "sliding", "full"), "sliding_window": int64(1024)})
	// The last 15 of the 35 layers share the caches of earlier layers.
	gemma3n = gqa(35, 2, 256).with(map[string]any{"layer_kinds": append(cycle(20, "sliding", "sliding", "sliding", "sliding", "full"), cycle(15, "none")...), "sliding_window": int64(512)})
	gemma4  = gqa(60, 4, 512).with(map[string]any{
		"layer_kinds": cycle(60, "sliding", "sliding", "sliding", "sliding", "sliding", "full"), "sliding_window": int64(1024),
		"sliding_num_kv_heads": int64(16), "sliding_head_dim": int64(256), "hf_architecture": "Gemma4ForConditionalGeneration",
	})
	llama4 = gqa(48, 8, 128).with(map[string]any{"layer_kinds": cycle(48, "chunked", "chunked", "chunked", "full"), "attention_chunk_size": int64(8192), "hf_architecture": "Llama4ForConditionalGeneration"})
	hybrid = func(layers int64, kinds []any, more map[string]any) geometry {
		return geometry{"hybrid_attention", map[string]any{"num_layers": layers, "layer_kinds": kinds}}.with(more)
	}
	// The 118 layers are 54 Mamba 2 layers, 10 attention layers and 54 MLP layers.
	nemotronKinds = func() []any {
		const pattern = "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-"
		words := map[rune]string{'M': "mamba2", '-': "none", '*': "full"}
		var list []any
		for _, r := range pattern {
			list = append(list, words[r])
		}
		return list
	}
	nemotron = hybrid(118, nemotronKinds(), map[string]any{
		"num_kv_heads": int64(8), "head_dim": int64(128), "conv_dtype": "bf16", "ssm_dtype": "bf16", "conv_kernel": int64(4),
		"mamba_num_heads": int64(256), "mamba_head_dim": int64(64), "mamba_num_groups": int64(8), "mamba_state_size": int64(256),
	})
	gdn = map[string]any{
		"num_kv_heads": int64(2), "head_dim": int64(256), "conv_dtype": "bf16", "ssm_dtype": "fp32", "conv_kernel": int64(4),
		"linear_num_key_heads": int64(16), "linear_key_head_dim": int64(128), "linear_num_value_heads": int64(32), "linear_value_head_dim": int64(128),
	}
	qwen35   = hybrid(40, cycle(40, "gdn", "gdn", "gdn", "full"), gdn)
	qwenNext = hybrid(48, cycle(48, "gdn", "gdn", "gdn", "full"), gdn)
	kimi     = hybrid(27, append(cycle(24, "kda", "kda", "kda", "latent"), "kda", "kda", "latent"), map[string]any{
		"kv_lora_rank": int64(512), "qk_rope_head_dim": int64(64), "conv_dtype": "bf16", "ssm_dtype": "fp32", "conv_kernel": int64(4),
		"linear_num_heads": int64(32), "linear_head_dim": int64(128),
	})
	jamba = hybrid(32, cycle(32, "mamba1", "mamba1", "mamba1", "mamba1", "full", "mamba1", "mamba1", "mamba1"), map[string]any{
		"num_kv_heads": int64(8), "head_dim": int64(128), "conv_dtype": "bf16", "ssm_dtype": "bf16", "conv_kernel": int64(4),
		"mamba_intermediate_size": int64(8192), "mamba_state_size": int64(16),
	})
	minimax = hybrid(80, cycle(80, "lightning", "lightning", "lightning", "lightning", "lightning", "lightning", "lightning", "full"), map[string]any{
		"num_kv_heads": int64(8), "head_dim": int64(128), "ssm_dtype": "bf16", "linear_num_heads": int64(64), "linear_head_dim": int64(128),
	})
	whisper = geometry{"encoder_decoder", map[string]any{"num_layers": int64(32), "num_kv_heads": int64(20), "head_dim": int64(64), "encoder_tokens": int64(1500)}}
)

// cases contains numbers from engines' logs, published configurations and papers, and
// numbers that were computed by hand from the behavior of engines. The source field says
// where each number comes from.
var cases = []struct {
	name   string
	model  geometry
	config map[string]any // by default, rank accounting and bf16
	expect map[string]int64
	source string
}{
	// Bytes per token in all layers, for one copy of the cache.
	{"llama 8B", llama8B, nil, map[string]int64{"kv_bytes_per_token": 131072}, "vLLM issue 12330: 11.12 GiB / 91056"},
	{"llama 8B fp8", llama8B, map[string]any{"kvcache_quant_mode": "fp8"}, map[string]int64{"kv_bytes_per_token": 65536}, "half of it"},
	{"llama 70B", llama70B, nil, map[string]int64{"kv_bytes_per_token": 327680}, "80 x 4096"},
	{"llama 70B fp8", llama70B, map[string]any{"kvcache_quant_mode": "fp8"}, map[string]int64{"kv_bytes_per_token": 163840}, "KVBench test_kvcache.py"},
	{"llama 70B nvfp4", llama70B, map[string]any{"kvcache_quant_mode": "nvfp4"}, map[string]int64{"kv_bytes_per_token": 92160}, "9/32 of bf16"},
	{"llama 405B", gqa(126, 8, 128), nil, map[string]int64{"kv_bytes_per_token": 516096}, "aiconfigurator"},
	{"llama 405B fp8", gqa(126, 8, 128), map[string]any{"kvcache_quant_mode": "fp8"}, map[string]int64{"kv_bytes_per_token": 258048}, "aiconfigurator"},
	{"llama 8B scales", llama8B, map[string]any{"kvcache_quant_mode": "fp8_per_token_head"}, map[string]int64{"kv_bytes_per_token": 67584}, "vLLM: 2 x 8 x 4 more bytes per layer: 32 x 2112"},
	{"qwen3 0.6B", qwen06B, nil, map[string]int64{"kv_bytes_per_token": 114688}, "aiconfigurator"},
	{"qwen3 8B", gqa(36, 8, 128), nil, map[string]int64{"kv_bytes_per_token": 147456}, "aiconfigurator"},
	{"qwen3 30B", gqa(48, 4, 128), nil, map[string]int64{"kv_bytes_per_token": 98304}, "aiconfigurator"},
	{"qwen3 235B", qwen235B, nil, map[string]int64{"kv_bytes_per_token": 192512}, "aiconfigurator"},
	{"deepseek", deepseek, nil, map[string]int64{"kv_bytes_per_token": 70272}, "aiconfigurator; llama.cpp 68.625 GiB at 1M tokens"},
	{"deepseek fp8", deepseek, map[string]any{"kvcache_quant_mode": "fp8"}, map[string]int64{"kv_bytes_per_token": 35136}, "KVBench"},
	{"deepseek record", deepseek, map[string]any{"kvcache_quant_mode": "fp8_ds_mla"}, map[string]int64{"kv_bytes_per_token": 40016}, "61 x 656"},
	{"deepseek v3.2", deepseek2, nil, map[string]int64{"kv_bytes_per_token": 78324}, "70272 + 61 x 132"},
	{"deepseek v3.2 fp8", deepseek2, map[string]any{"kvcache_quant_mode": "fp8"}, map[string]int64{"kv_bytes_per_token": 48068}, "SGLang pull request 11309: 48072"},
	{"gpt-oss 120b", gptoss120, nil, map[string]int64{"kv_bytes_per_token": 73728, "growing_bytes_per_token": 36864}, "vLLM: 5.38 GiB / 78384"},
	{"gpt-oss 120b all", gptoss120, map[string]any{"cache_window": "all"}, map[string]int64{"kv_bytes_per_token": 73728, "growing_bytes_per_token": 73728}, "every layer stores all tokens"},
	{"gpt-oss 20b", gptoss20, nil, map[string]int64{"kv_bytes_per_token": 49152, "growing_bytes_per_token": 24576}, "hf-mem issue 70"},
	{"gemma 3 27B", gemma3, map[string]any{"engine": "VLLM"}, map[string]int64{"kv_bytes_per_token": 507904, "growing_bytes_per_token": 81920}, "62 and 10 layers of 8192"},
	{"gemma 3n", gemma3n, map[string]any{"engine": "VLLM"}, map[string]int64{"kv_bytes_per_token": 40960, "growing_bytes_per_token": 8192}, "20 and 4 layers of 2048"},
	{"gemma 4", gemma4, nil, map[string]int64{"kv_bytes_per_token": 901120, "growing_bytes_per_token": 81920}, "50 x 16384 + 10 x 8192"},
	{"gemma 4 allocated", gemma4, map[string]any{"engine": "VLLM", "cache_window": "allocated", "max_num_batched_tokens": int64(8192)}, map[string]int64{"kv_bytes_per_token": 901120}, "blocks of 32 tokens in full layers, without padding"},
	{"gemma 4 allocated, tp 4", gemma4, map[string]any{"engine": "VLLM", "cache_window": "allocated", "max_num_batched_tokens": int64(8192), "tp_size": int64(4)}, map[string]int64{"kv_bytes_per_token": 901120, "rank_bytes_per_token": 225280}, "one copy has the same size for any number of ranks; 4 of 16 heads and 1 of 4"},
	{"llama 4", llama4, nil, map[string]int64{"kv_bytes_per_token": 196608, "growing_bytes_per_token": 49152}, "48 and 12 layers of 4096"},
	{"llama 4 fp8", llama4, map[string]any{"kvcache_quant_mode": "fp8"}, map[string]int64{"kv_bytes_per_token": 98304}, "half of it"},
	{"nemotron-h 56B", nemotron, nil, map[string]int64{"kv_bytes_per_token": 40960, "state_bytes_per_request": 459620352}, "aiconfigurator's configuration"},
	{"qwen3.5 35B", qwen35, nil, map[string]int64{"kv_bytes_per_token": 20480, "state_bytes_per_request": 64389120}, "aiconfigurator's configuration"},
	{"qwen3.5 35B fp8", qwen35, map[string]any{"kvcache_quant_mode": "fp8"}, map[string]int64{"kv_bytes_per_token": 10240, "state_bytes_per_request": 64389120}, "states keep their format"},
	{"qwen3-next", qwenNext, nil, map[string]int64{"kv_bytes_per_token": 24576, "state_bytes_per_request": 77266944}, "12 x 2048 and 36 of qwen3.5's states"},
	{"kimi-linear", kimi, nil, map[string]int64{"kv_bytes_per_token": 8064, "state_bytes_per_request": 43417600}, "7 x 1152; 20 x (3 x 3 x 4096 x 2 + 32 x 16384 x 4) by hand"},
	{"jamba", jamba, nil, map[string]int64{"kv_bytes_per_token": 16384, "state_bytes_per_request": 8716288}, "its paper: 4 GB at 256K; 28 x (3 x 8192 x 2 + 8192 x 16 x 2) by hand"},
	{"minimax", minimax, nil, map[string]int64{"kv_bytes_per_token": 40960, "state_bytes_per_request": 146800640}, "10 x 4096; 70 x 64 x 16384 x 2 by hand"},
	{"whisper", whisper, nil, map[string]int64{"kv_bytes_per_token": 163840, "encoder_bytes_per_request": 245760000}, "32 x 5120; x 1500"},

	// Bytes per request, depending on which tokens are counted in windowed layers.
	{"gemma 3 in use, 8000", gemma3, map[string]any{"engine": "VLLM", "isl": int64(8000), "page_size": int64(16)}, map[string]int64{"request_bytes": 1091567616}, "1041 MiB: 8000 x 81920 + 52 x 1024 x 8192"},
	{"gemma 3 in use, 128000", gemma3, map[string]any{"engine": "VLLM", "isl": int64(128000), "page_size": int64(16)}, map[string]int64{"request_bytes": 10921967616}, "10416 MiB"},
	{"gpt-oss in use", gptoss120, map[string]any{"kvcache_quant_mode": "fp8", "isl": int64(8192), "page_size": int64(16)}, map[string]int64{"request_bytes": 153354240}, "18 x 1024 x (8192 + 128)"},
	{"gpt-oss all", gptoss120, map[string]any{"kvcache_quant_mode": "fp8", "isl": int64(8192), "page_size": int64(16), "cache_window": "all"}, map[string]int64{"request_bytes": 301989888}, "36 x 1024 x 8192"},
	{"gpt-oss allocated", gptoss120, map[string]any{"kvcache_quant_mode": "fp8", "isl": int64(8192), "page_size": int64(16), "cache_window": "allocated", "engine": "VLLM", "max_num_batched_tokens": int64(2048), "concurrent_batches": int64(1)}, map[string]int64{"request_bytes": 191397888}, "18 x (512 + 137) pages of 16384, 137 = ceil(2175 / 16) + 1"},
	{"gpt-oss allocated, two batches", gptoss120, map[string]any{"kvcache_quant_mode": "fp8", "isl": int64(8192), "page_size": int64(16), "cache_window": "allocated", "engine": "VLLM", "max_num_batched_tokens": int64(2048)}, map[string]int64{"request_bytes": 229146624}, "18 x (512 + 265) pages of 16384, 265 = ceil((127 + 2 x 2048) / 16) + 1"},
	{"llama 4 in use", llama4, map[string]any{"isl": int64(8193), "page_size": int64(16)}, map[string]int64{"request_bytes": 405798912}, "65536 x (12 x 513 + 36 x 1)"},
	{"llama 4 allocated", llama4, map[string]any{"isl": int64(16384), "page_size": int64(16), "cache_window": "allocated", "engine": "VLLM", "max_num_batched_tokens": int64(2048), "concurrent_batches": int64(1)}, map[string]int64{"request_bytes": 2315255808}, "65536 x (12 x 1024 + 36 x 640) = 65536 x 35328"},
	{"last page whole", llama8B, map[string]any{"isl": int64(8193), "page_size": int64(16)}, map[string]int64{"request_bytes": 1075838976}, "513 pages of 2097152"},

	// The share of one rank.
	{"latent on every rank", deepseek, map[string]any{"kvcache_quant_mode": "fp8", "tp_size": int64(8)}, map[string]int64{"rank_bytes_per_token": 35136}, "vLLM, TRT-LLM: not divided"},
	{"indexer on every rank", deepseek2, map[string]any{"tp_size": int64(8)}, map[string]int64{"rank_bytes_per_token": 78324}, "not divided"},
	{"heads over ranks", llama70B, map[string]any{"kvcache_quant_mode": "fp8", "tp_size": int64(4)}, map[string]int64{"rank_bytes_per_token": 40960}, "2 of 8 heads: 80 x 512"},
	{"never below a head", llama70B, map[string]any{"kvcache_quant_mode": "fp8", "tp_size": int64(32)}, map[string]int64{"rank_bytes_per_token": 20480, "kv_bytes_per_token": 163840}, "1 head: 80 x 256"},
	{"qwen3 235B, tp 8", qwen235B, map[string]any{"kvcache_quant_mode": "fp8", "tp_size": int64(8)}, map[string]int64{"rank_bytes_per_token": 24064}, "94 x 256"},
	{"own requests", llama70B, map[string]any{"access_pattern": "block", "kvcache_quant_mode": "fp8", "tp_size": int64(8), "dp_attention": true, "num_requests": int64(10), "isl": int64(8192), "page_size": int64(16)}, map[string]int64{"rank_bytes_per_token": 163840, "rank_requests": 2, "batch_size": 1024, "block_size": 2621440}, "all heads, ceil(10 / 8) requests"},
	{"context parallel", llama8B, map[string]any{"access_pattern": "block", "engine": "VLLM", "tp_size": int64(16), "cp_size": int64(2), "isl": int64(8193), "page_size": int64(16)}, map[string]int64{"batch_size": 257}, "ceil(ceil(8193 / 2) / 16)"},
	{"context parallel, heads", llama70B, map[string]any{"engine": "VLLM", "tp_size": int64(16), "cp_size": int64(2), "isl": int64(8192), "page_size": int64(16)}, map[string]int64{"rank_request_bytes": 167772160}, "80 x 512 x 4096"},
	{"context parallel, latent", deepseek, map[string]any{"engine": "VLLM", "tp_size": int64(8), "cp_size": int64(8), "isl": int64(8192), "page_size": int64(64)}, map[string]int64{"rank_request_bytes": 71958528}, "61 x 1152 x 1024"},
	{"groups of data-parallel ranks", llama70B, map[string]any{"kvcache_quant_mode": "fp8", "tp_size": int64(8), "dp_attention": true, "dp_size": int64(2), "num_requests": int64(10)}, map[string]int64{"rank_bytes_per_token": 40960, "rank_requests": 5}, "2 of 8 heads: 80 x 512; 10 / 2 requests"},
	{"context parallel, whole cache", llama8B, map[string]any{"access_pattern": "block", "engine": "SGLANG", "cp_size": int64(2), "isl": int64(8193), "page_size": int64(16)}, map[string]int64{"batch_size": 513}, "aiconfigurator: saves compute only"},
	{"gdn over ranks", qwen35, map[string]any{"tp_size": int64(2)}, map[string]int64{"rank_state_bytes_per_request": 32194560, "rank_bytes_per_token": 10240}, "half"},
	{"groups padded", nemotron, map[string]any{"tp_size": int64(16)}, map[string]int64{"rank_state_bytes_per_request": 28809216}, "54 x (3 x (1024 + 2 x 256) x 2 + 1024 x 256 x 2)"},

	// I/Os. For Qwen3-0.6B and 16 tokens, vLLM needs 56 descriptors, or one descriptor if
	// blocks span all layers (pull request 30207).
	{"k and v apart", qwen06B, map[string]any{"access_pattern": "layer-kv", "engine": "VLLM", "isl": int64(16), "page_size": int64(16)}, map[string]int64{"batch_size": 56, "block_size": 32768}, "28 x 2; 16 x 8 x 128 x 2 bytes"},
	{"layers", qwen06B, map[string]any{"access_pattern": "layer", "engine": "VLLM", "isl": int64(16), "page_size": int64(16)}, map[string]int64{"batch_size": 28, "block_size": 65536}, "28"},
	{"across layers", qwen06B, map[string]any{"access_pattern": "block", "engine": "VLLM", "isl": int64(16), "page_size": int64(16)}, map[string]int64{"batch_size": 1, "block_size": 1835008}, "1"},
	{"latent has one part", deepseek, map[string]any{"access_pattern": "layer-kv", "isl": int64(16), "page_size": int64(16)}, map[string]int64{"batch_size": 61, "block_size": 18432}, "vLLM pull request 17990: 1 per layer"},
	{"two sizes", deepseek2, map[string]any{"access_pattern": "layer", "kvcache_quant_mode": "fp8", "isl": int64(16), "page_size": int64(16)}, map[string]int64{"latent.block_size": 10496, "latent.batch_size": 61, "indexer.block_size": 2112, "indexer.batch_size": 61, "rank_bytes": 769088}, "16 x 656 and 16 x 132"},
	{"two groups with the same size", gptoss20, map[string]any{"access_pattern": "layer", "isl": int64(8192), "page_size": int64(16)}, map[string]int64{"block_size": 32768, "batch_size": 6240}, "12 x 512 + 12 x 8"},
	{"keys and values differ", gqa(2, 4, 192).with(map[string]any{"v_head_dim": int64(128)}), map[string]any{"access_pattern": "layer-kv", "isl": int64(16), "page_size": int64(16)}, map[string]int64{"full.k.block_size": 24576, "full.k.batch_size": 2, "full.v.block_size": 16384, "full.v.batch_size": 2}, "16 x 4 x 192 x 2 and 16 x 4 x 128 x 2"},
	{"states once a request", qwen35, map[string]any{"access_pattern": "layer", "isl": int64(160), "page_size": int64(16), "num_requests": int64(3)}, map[string]int64{"full.block_size": 32768, "full.batch_size": 300, "gdn.block_size": 2146304, "gdn.batch_size": 90, "rank_bytes": 202997760}, "10 x 10 x 3 of 2048 x 16; 30 x 3 of 64389120 / 30"},

	// Three worked examples.
	{"deepseek block", deepseek, map[string]any{"access_pattern": "block", "kvcache_quant_mode": "fp8", "tp_size": int64(8), "pp_size": int64(16), "page_size": int64(16), "isl": int64(8192), "num_requests": int64(10)}, map[string]int64{"block_size": 36864, "batch_size": 5120, "rank_bytes": 188743680}, "4 layers x 576 x 16"},
	{"llama 70B block", llama70B, map[string]any{"access_pattern": "block", "kvcache_quant_mode": "fp8", "tp_size": int64(8), "pp_size": int64(16), "page_size": int64(16), "isl": int64(8192), "num_requests": int64(10)}, map[string]int64{"block_size": 20480, "batch_size": 5120, "rank_bytes": 104857600}, "5 layers x 256 x 16"},
	{"qwen3 235B layer", qwen235B, map[string]any{"kvcache_quant_mode": "fp8", "tp_size": int64(8), "access_pattern": "layer"}, map[string]int64{"block_size": 256, "batch_size": 94}, "one head, K and V"},

	// How many tokens fit in memory, and how long a transfer takes.
	{"memory and time", llama8B, map[string]any{"isl": int64(8191), "osl": int64(1), "page_size": int64(16), "kv_memory": int64(68719476736), "bandwidth": int64(50000000000)}, map[string]int64{"fit_requests": 64, "fit_tokens": 524288, "transfer_us": 21475}, "64 GiB / 1 GiB a request; / 131072; 2^30 / 50 GB/s"},
	{"windows are bounded", gptoss120, map[string]any{"engine": "VLLM", "isl": int64(8192), "page_size": int64(16), "kv_memory": int64(1 << 30)}, map[string]int64{"fit_tokens": 28992}, "(2^30 - 18 x 8 x 32768) / (16 x 36864), in pages: 1812 x 16"},
	{"windows have a pool", gptoss120, map[string]any{"isl": int64(8192), "page_size": int64(16), "kv_memory": int64(1 << 30)}, map[string]int64{"fit_tokens": 16176, "pool_window_tokens": 12928}, "2^30 / (16 x 66355.2), in pages: 1011 x 16; 0.8 times, in pages: 808 x 16"},
}

func planners(t *testing.T, s *schema.Schema, arch string) *plan.Checker {
	t.Helper()
	i := slices.IndexFunc(s.Architectures, func(a *schema.Listed) bool { return a.Name == arch })
	if i < 0 {
		t.Fatalf("no architecture %s", arch)
	}
	all, err := plan.NewPlanners(s, s.Nixlbench.Default, "").Checker(s.Architectures[i].Arch.Get())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func check(config map[string]any, g geometry) schema.Check {
	values := map[string]formula.Value{"accounting": formula.Text("rank"), "kvcache_quant_mode": formula.Text("bf16")}
	for name, v := range config {
		values[name] = formula.Of(v)
	}
	params := map[string]formula.Value{}
	for name, v := range g.params {
		params[name] = formula.Of(v)
	}
	return schema.Check{Params: params, Config: values}
}

// TestRank compares rank accounting with numbers from other sources.
func TestRank(t *testing.T) {
	s := load(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := planners(t, s, c.model.arch).Check(check(c.config, c.model))
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range c.expect {
				if n, ok := got[name]; !ok || n != want {
					t.Errorf("%s is %d, want %d (%s); all: %v", name, n, want, c.source, got)
				}
			}
		})
	}
}

// TestStages checks that layers are split into pipeline stages as in the engines' own code,
// even if they do not divide evenly.
func TestStages(t *testing.T) {
	s := load(t)
	for _, test := range []struct {
		engine string
		layers int64
		want   []int64
	}{
		{"VLLM", 61, []int64{31, 30}},
		{"VLLM", 61, []int64{15, 15, 16, 15}},
		{"VLLM", 61, []int64{7, 7, 8, 8, 8, 8, 8, 7}},
		{"VLLM", 126, []int64{31, 32, 32, 31}},
		{"SGLANG", 61, []int64{15, 15, 15, 16}},
		{"TRTLLM", 61, []int64{16, 15, 15, 15}},
		{"SGLANG", 80, []int64{20, 20, 20, 20}},
	} {
		all := planners(t, s, "attention")
		for stage, want := range test.want {
			got, err := all.Check(check(map[string]any{"engine": test.engine, "pp_size": int64(len(test.want)), "pp_stage": int64(stage)}, gqa(test.layers, 1, 128)))
			if err != nil {
				t.Fatal(err)
			}
			if n := got["rank_bytes_per_token"] / 512; n != want {
				t.Errorf("%s: stage %d of %d has %d of %d layers, want %d", test.engine, stage, len(test.want), n, test.layers, want)
			}
		}
	}
}

// TestLargestStage checks that the default stage is the one that moves the most bytes,
// even if all stages have the same number of layers.
func TestLargestStage(t *testing.T) {
	kinds := append(cycle(4, "none"), cycle(4, "full")...)
	got, err := planners(t, load(t), "attention").Check(check(map[string]any{"pp_size": int64(2)}, gqa(8, 1, 128).with(map[string]any{"layer_kinds": kinds})))
	if err != nil || got["rank_bytes_per_token"] != 2048 {
		t.Errorf("%v %v, want the second stage: 2048 bytes a token", got, err)
	}
}

// TestRankRefused checks the errors for settings that no engine supports or that
// kvbench does not know.
func TestRankRefused(t *testing.T) {
	s := load(t)
	for _, test := range []struct {
		model  geometry
		config map[string]any
		want   string
	}{
		{llama8B, map[string]any{"engine": "OTHER"}, "kvbench does not know how this engine stores its cache: expected one of SGLANG, VLLM, TRTLLM"},
		{llama8B, map[string]any{"pp_size": int64(33)}, "there are more pipeline stages than layers: got 33, expected at most 32"},
		{llama8B, map[string]any{"pp_size": int64(2), "pp_stage": int64(2)}, "there is no stage 2: stages are numbered from 0, and the last one is 1"},
		{llama8B, map[string]any{"kvcache_quant_mode": "fp8_ds_mla"}, "group full: fp8_ds_mla is a format for latent caches, but these layers store keys and values"},
		{deepseek, map[string]any{"kvcache_quant_mode": "fp8_per_token_head"}, "group latent: formats with a scale for each token and head require KV heads, but these layers store latent vectors"},
		{gptoss20, map[string]any{"cache_window": "allocated"}, "for engines other than VLLM, kvbench does not know how much memory is allocated for windowed layers"},
		{gptoss20, map[string]any{"cache_window": "allocated", "engine": "VLLM"}, "the memory that VLLM allocates for windowed layers depends on max_num_batched_tokens, which is not set"},
		{gptoss20, map[string]any{"tp_size": int64(2), "cp_size": int64(2), "engine": "VLLM"}, "group sliding: no engine distributes windowed layers over context-parallel ranks: got 2, expected 1"},
		{llama8B, map[string]any{"cp_size": int64(2), "engine": "TRTLLM"}, "kvbench does not know how TRTLLM distributes a cache over context-parallel ranks"},
		{qwen35, map[string]any{"tp_size": int64(3)}, "group gdn: the heads of the state do not divide evenly among the tensor-parallel ranks: 32 % 3 is 2, expected 0"},
		{gqa(4, 1, 128).with(map[string]any{"layer_kinds": cycle(4, "sliding")}), nil, "sliding_window is missing: attention needs it"},
		{gqa(4, 1, 128).with(map[string]any{"layer_kinds": cycle(3, "full")}), nil, "layer_kinds must have one entry for each layer"},
		{gqa(4, 1, 128).with(map[string]any{"layer_kinds": cycle(4, "fulll")}), nil, "layer 0: select yields \"fulll\", expected the name of a group: chunked, full, none, sliding"},
		{gqa(4, 1, 128).with(map[string]any{"layer_kinds": cycle(4, "sliding"), "sliding_window": int64(0)}), nil, "window in group sliding is 0 in layer 0: expected a whole number, 1 or more"},
		{gqa(4, 1<<40, 1<<40), nil, "does not fit in 64 bits"},
	} {
		_, err := planners(t, s, test.model.arch).Check(check(test.config, test.model))
		if err == nil || !strings.Contains(diag.All(err)[0].Msg, test.want) {
			t.Errorf("%v: %v, want %q", test.config, err, test.want)
		}
	}
}

// TestStagesAddUp checks, for random engines and layers, that each layer is in exactly one
// stage, so that the bytes of the stages add up to the bytes per token and per request.
func TestStagesAddUp(t *testing.T) {
	s := load(t)
	r := rand.New(rand.NewPCG(3, 4))
	rounds := 50
	if os.Getenv("KVBENCH_FULL") != "" {
		rounds = 300
	}
	words := []string{"full", "sliding", "chunked", "none"}
	all := planners(t, s, "attention")
	for range rounds {
		layers := 1 + r.IntN(130)
		kinds := make([]any, layers)
		for i := range kinds {
			kinds[i] = words[r.IntN(len(words))]
		}
		kinds[0] = "full" // so that the model has some cache
		g := gqa(int64(layers), 8, 128).with(map[string]any{
			"layer_kinds": kinds, "sliding_window": 1 + r.Int64N(4096), "attention_chunk_size": 1 + r.Int64N(4096),
			"sliding_num_kv_heads": int64(4), "sliding_head_dim": int64(64),
		})
		pp := 1 + r.IntN(layers)
		config := map[string]any{
			"engine": []string{"SGLANG", "VLLM", "TRTLLM"}[r.IntN(3)], "pp_size": int64(pp), "isl": 1 + r.Int64N(20000), "page_size": int64(1) << r.IntN(8),
			"access_pattern": []string{"block", "layer", "layer-kv"}[r.IntN(3)], "cache_window": []string{"in_use", "all"}[r.IntN(2)], "num_requests": int64(1),
		}
		var token, request, moved int64
		var want map[string]int64
		for stage := range pp {
			config["pp_stage"] = int64(stage)
			got, err := all.Check(check(config, g))
			if err != nil {
				if strings.Contains(err.Error(), "no cache to move") {
					continue // all layers of the stage are of kind none
				}
				t.Fatalf("%v: %v", config, err)
			}
			token += got["rank_bytes_per_token"]
			request += got["rank_request_bytes"]
			moved += got["rank_bytes"]
			want = got
		}
		if token != want["kv_bytes_per_token"] || request != want["request_bytes"] || moved != request {
			t.Errorf("%v of %v: %d bytes a token, %d a request and %d moved; want %d and %d", config, kinds, token, request, moved, want["kv_bytes_per_token"], want["request_bytes"])
		}
	}
}
