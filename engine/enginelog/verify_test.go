package enginelog_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/enginelog"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/models"
)

const gib = 1 << 30

// finding is the expected result for one number in a log.
type finding struct {
	what             string
	line             int
	logged, computed float64
	equal            bool
	why              string // part of the cause
}

// Models whose names are unknown. Their sizes were chosen to match the logs.
const (
	qwen14b = "model_name: x\narchitecture: attention\nnum_layers: 48\nnum_kv_heads: 8\nhead_dim: 128\n" + bf16
	tiny    = "model_name: x\narchitecture: attention\nnum_layers: 22\nnum_kv_heads: 4\nhead_dim: 64\n" + bf16
	llama2  = "model_name: x\narchitecture: attention\nnum_layers: 32\nnum_kv_heads: 32\nhead_dim: 128\n" + bf16
	bf16    = "defaults: {strategy: {kvcache_quant_mode: bf16, model_quant_mode: bf16}}\n"
	// 6 full layers, 18 with a state of 3 x 6144 x 2 + 16 x 128 x 128 x 4 = 1085440 B
	qwen08b = "model_name: x\narchitecture: hybrid_attention\nhf_architecture: Qwen3_5ForConditionalGeneration\nnum_layers: 24\n" +
		"layer_kinds: [gdn, gdn, gdn, full, gdn, gdn, gdn, full, gdn, gdn, gdn, full, " +
		"gdn, gdn, gdn, full, gdn, gdn, gdn, full, gdn, gdn, gdn, full]\n" +
		"num_kv_heads: 2\nhead_dim: 256\nmodel_dtype: bf16\nmamba_ssm_dtype: fp32\nconv_kernel: 4\nlinear_num_key_heads: 16\n" +
		"linear_key_head_dim: 128\nlinear_num_value_heads: 16\nlinear_value_head_dim: 128\n" + bf16
	// 16 full layers, 48 with a state of 3 x 10240 x 2 + 48 x 128 x 128 x 4 = 3207168 B
	qwen27b = "model_name: x\narchitecture: hybrid_attention\nhf_architecture: Qwen3_5ForConditionalGeneration\nnum_layers: 64\n" +
		"layer_kinds: [gdn, gdn, gdn, full, gdn, gdn, gdn, full, gdn, gdn, gdn, full, gdn, gdn, gdn, full, " +
		"gdn, gdn, gdn, full, gdn, gdn, gdn, full, gdn, gdn, gdn, full, gdn, gdn, gdn, full, " +
		"gdn, gdn, gdn, full, gdn, gdn, gdn, full, gdn, gdn, gdn, full, gdn, gdn, gdn, full, " +
		"gdn, gdn, gdn, full, gdn, gdn, gdn, full, gdn, gdn, gdn, full, gdn, gdn, gdn, full]\n" +
		"num_kv_heads: 4\nhead_dim: 256\nmodel_dtype: bf16\nmamba_ssm_dtype: fp32\nconv_kernel: 4\nlinear_num_key_heads: 16\n" +
		"linear_key_head_dim: 128\nlinear_num_value_heads: 48\nlinear_value_head_dim: 128\n" + bf16
)

// logs contains excerpts of logs, most of them from public issues, with expected numbers that
// were computed by hand. The from field names the issue or describes the log.
var logs = []struct {
	from, model string
	flags       string // configuration fields as name=value
	log         string
	want        []finding
}{
	{from: "vllm#10517", model: "llama3.1-8b", log: `
Memory profiling results: total_gpu_memory=23.65GiB kv_cache_size=3.81GiB
INFO 11-21 gpu_executor.py:122] # GPU blocks: 1952, # CPU blocks: 2048
INFO 11-21 gpu_executor.py:126] Maximum concurrency for 20000 tokens per request: 1.56x`,
		want: []finding{
			{"memory", 1, 3.81 * gib, 1952 * 16 * 131072, true, ""},
			{"concurrency", 3, 1.56, 31232.0 / 20000, true, ""},
		}},
	{from: "vllm#12569", model: "llama3.1-70b", log: `
INFO executor_base.py:110] # GPU blocks: 1381, # CPU blocks: 819
INFO executor_base.py:115] Maximum concurrency for 2048 tokens per request: 10.79x`,
		want: []finding{{"concurrency", 2, 10.79, 22096.0 / 2048, true, ""}}},
	{from: "vllm#13596, before", model: "llama3.1-8b", log: `
# GPU blocks: 127626, # CPU blocks: 0
Maximum concurrency for 2048 tokens per request: 997.08x`,
		want: []finding{{"concurrency", 2, 997.08, 2042016.0 / 2048, true, ""}}},
	{from: "vllm#13596, after", model: "llama3.1-8b", log: `
GPU KV cache size: 2,042,016 tokens
Maximum concurrency for 2,048 tokens per request: 997.08x`,
		want: []finding{{"concurrency", 2, 997.08, 2042016.0 / 2048, true, ""}}},
	{from: "vllm#21348", model: "qwen3-235b-a22b", log: `
config: model='m', max_seq_len=40960, tensor_parallel_size=4, pipeline_parallel_size=1, kv_cache_dtype=auto, device
(VllmWorker rank=1 pid=7) INFO 07-22 10:00:00 [gpu_worker.py:232] Available KV cache memory: 8.11 GiB
(EngineCore_DP0 pid=7) INFO 07-22 10:00:00 [kv_cache_utils.py:716] GPU KV cache size: 178,880 tokens`,
		want: []finding{{"memory", 2, 8.11 * gib, 178880 * 48128, false, "another rank probably has less memory"}}},
	{from: "vllm#13061", model: qwen14b, log: `
non-default args: {'tensor_parallel_size': 2}
Available KV cache memory: 8.69 GiB
ValueError: The model's max seq len (131072) is larger than the maximum number of tokens that can be stored in KV cache (81536). Try`,
		want: []finding{{"memory", 2, 8.69 * gib, 81536 * 98304, false, "another rank probably has less memory"}}},
	{from: "vllm#25350", model: "qwen3-30b-a3b", log: `
non-default args: {'model': 'm', 'kv_cache_dtype': 'fp8'}
(EngineCore_DP0 pid=1) INFO 09-21 [gpu_worker.py:276] Available KV cache memory: 10.55 GiB
(EngineCore_DP0 pid=1) INFO 09-21 [kv_cache_utils.py:864] GPU KV cache size: 230,528 tokens
(EngineCore_DP0 pid=1) INFO 09-21 [kv_cache_utils.py:868] Maximum concurrency for 100,000 tokens per request: 2.31x`,
		want: []finding{
			{"memory", 2, 10.55 * gib, 230528 * 49152, true, ""},
			{"concurrency", 4, 2.31, 2.30528, true, ""},
		}},
	{from: "vllm#25350, 221k", model: "qwen3-30b-a3b", flags: "kvcache_quant_mode=fp8", log: `
To serve at least one request with the models's max seq len (221000), (10.12 GiB KV cache is needed, which is larger than ` +
		`the available KV cache memory (5.59 GiB). Based on the available memory, the estimated maximum model length is 122080. Try`,
		want: []finding{
			{"request", 1, 10.12 * gib, 221008 * 49152, true, ""},
			// 7632 blocks of 786432 B in 5.59 GiB
			{"longest request", 1, 122080, 122112, true, ""},
		}},
	{from: "vllm#12330", model: "llama3.1-8b", log: `
the rest of the memory reserved for KV Cache is 11.12GiB.
# cuda blocks: 5691, # CPU blocks: 2048`,
		want: []finding{{"memory", 1, 11.12 * gib, 91056 * 131072, true, ""}}},
	// 9798 blocks of 18 x 16 x 2048 B; with 2 groups, 9798 // 2 x 16 = 78384 tokens
	{from: "hf-mem#60", model: "gpt-oss-120b", log: `
Available KV cache memory: 5.38 GiB
GPU KV cache size: 78,384 tokens`,
		want: []finding{{"memory", 1, 5.38 * gib, 9798 * 589824, true, ""}}},
	// 10051 blocks of 2621440 B; 10051 // 6 x 16 = 26800 tokens, which use 10050 blocks
	{from: "hf-mem#61", model: "gemma-4-31b", log: `
Available KV cache memory: 24.54 GiB
GPU KV cache size: 26,800 tokens`,
		want: []finding{{"memory", 1, 24.54 * gib, 10050 * 2621440, true, ""}}},
	{from: "Lvllm#35", model: "minimax-m2", log: `
Available KV cache memory: 12.57 GiB
GPU KV cache size: 53,136 tokens`,
		want: []finding{{"memory", 1, 12.57 * gib, 53136 * 253952, true, ""}}},
	{from: "club-3090#295", model: qwen27b, flags: "tp_size=2 kvcache_quant_mode=fp8", log: `
GPU KV cache size: 620,944 tokens, Maximum concurrency for 262,144 tokens per request: 2.37x`,
		want: []finding{{"concurrency", 1, 2.37, 620944.0 / 262144, true, ""}}},
	{from: "talos-argocd-proxmox#1995", model: qwen27b, flags: "tp_size=2 kvcache_quant_mode=fp8", log: `
Setting attention block size to 1568 tokens to ensure that attention page size is >= mamba page size.
Available KV cache memory: 4.99 GiB
GPU KV cache size: 302,921 tokens, Maximum concurrency for 131,072 tokens per request: 2.31x`,
		want: []finding{
			// 84 blocks of 16 x 1568 x 1024 B for tokens, 2 in each of 3 groups for states
			{"memory", 2, 4.99 * gib, 302921.0 / 131072 * 90 * 25690112, true, ""},
			{"concurrency", 3, 2.31, 302921.0 / 131072, true, ""},
		}},
	// 1487 blocks of 16 x 784 x 4096 B; without padding of states, a request needs 42 + 3 blocks
	{from: "vllm#40691", model: qwen27b, log: `
Setting attention block size to 784 tokens to ensure that attention page size is >= mamba page size.
Available KV cache memory: 71.16 GiB
GPU KV cache size: 290,864 tokens
Maximum concurrency for 32,768 tokens per request: 33.04x`,
		want: []finding{
			{"memory", 2, 71.16 * gib, 371 * 4 * 16 * 784 * 4096, true, ""},
			{"concurrency", 4, 33.04, 1487.0 / 45, true, ""},
		}},
	// 11077 blocks of 2621440 B for 262144 tokens
	{from: "configiq#112", model: "gemma-4-31b", log: `
Initializing a V1 LLM engine (v0.24.0) with config: model='m', max_seq_len=262144, tensor_parallel_size=1
Chunked prefill is enabled with max_num_batched_tokens=8192.
Available KV cache memory: 64.68 GiB
GPU KV cache size: 626,949 tokens, Maximum concurrency for 262,144 tokens per request: 2.39x`,
		want: []finding{
			{"memory", 3, 64.68 * gib, 626949.0 / 262144 * 11077 * 2621440, true, ""},
			{"concurrency", 4, 2.39, 626949.0 / 262144, true, ""},
		}},
	// 11264 blocks of 786432 B for 131072 tokens; 54613 blocks
	{from: "chunks", model: "llama4-scout", flags: "engine_release=0.25.1", log: `
Chunked prefill is enabled with max_num_batched_tokens=8192.
Available KV cache memory: 40.00 GiB
GPU KV cache size: 635,496 tokens, Maximum concurrency for 131,072 tokens per request: 4.85x`,
		want: []finding{
			{"memory", 2, 40 * gib, 635496.0 / 131072 * 8858370048, true, ""},
			{"concurrency", 3, 4.85, 635496.0 / 131072, true, ""},
		}},
	// Each of two context-parallel ranks has half of the tokens
	{from: "context parallelism", model: "deepseek-r1", flags: "tp_size=8", log: `
non-default args: {'decode_context_parallel_size': 2}
Available KV cache memory: 6.54 GiB
GPU KV cache size: 200,000 tokens`,
		want: []finding{{"memory", 2, 6.54 * gib, 100000 * 70272, true, ""}}},
	// 78 latent vectors of 1152 B and 21 index keys of 132 B per token
	{from: "latent vectors and index keys", model: "glm-5.2", flags: "tp_size=8 engine_release=0.26.0", log: `
KV Transfer metrics: Num successful transfers=1, Avg xfer time (ms)=1.3, P90 xfer time (ms)=2.6, Avg post time (ms)=0.6, ` +
		`P90 post time (ms)=0.9, Avg MB per transfer=90.457, Throughput (MB/s)=1629.549, Avg number of descriptors=99.0`,
		want: []finding{
			{"transfer", 1, 90.457 * (1 << 20), 1024 * 92628, true, ""},
			{"descriptors", 1, 99, 99, true, ""},
		}},
	// 64 more tokens than 1462784; 656 B per layer, without the 132 B of index keys
	{from: "sglang#11309, before", model: "deepseek-v3.2", flags: "tp_size=8 dp_attention=true kvcache_quant_mode=fp8 page_size=64", log: `
[2025-10-07 10:00:00 DP0 TP0] KV Cache is allocated. #tokens: 1462784, KV size: 54.52 GB
[2025-10-07 10:00:00 DP1 TP1] KV Cache is allocated. #tokens: 1462784, KV size: 54.52 GB`,
		want: []finding{{"memory", 1, 54.52 * gib, (1462784 + 64) * 48068, false, "the engine does not count index keys in this line"}}},
	{from: "sglang#11309, after", model: "deepseek-v3.2", flags: "tp_size=8 dp_attention=true kvcache_quant_mode=fp8 page_size=64", log: `
[2025-10-07 10:00:00 DP0 TP0] KV Cache is allocated. #tokens: 975424, KV size: 43.67 GB
[2025-10-07 10:00:01 DP0 TP0] max_total_num_tokens=975424, chunked_prefill_size=8192, max_prefill_tokens=16384, ` +
		`max_running_requests=4096, context_len=163840, available_gpu_mem=17.22 GB`,
		want: []finding{
			{"tokens", 2, 975424, 975424, true, ""},
			{"memory", 1, 43.67 * gib, (975424 + 64) * 48068, true, ""},
		}},
	// 18 layers with a window and 18 without; 1024 B of keys per token per layer
	{from: "two pools", model: "gpt-oss-120b", log: `
Use sliding window memory pool. full_layer_tokens=500000, swa_layer_tokens=400000
KV Cache is allocated. dtype: torch.bfloat16, #tokens: 400000, K size: 6.87 GB, V size: 6.87 GB
KV Cache is allocated. dtype: torch.bfloat16, #tokens: 500000, K size: 8.58 GB, V size: 8.58 GB`,
		want: []finding{{"memory", 2, 30.9 * gib, (500001 + 400001) * 36864, true, ""}}},
	// 23 layers: 6144 x 3 x 2 and 64 x 64 x 128 x 4 B; 101 states
	{from: "states", model: "nemotron-3-nano-30b-a3b", log: `
Mamba Cache is allocated. max_mamba_cache_size: 100, conv_state size: 0.08GB, ssm_state size: 4.54GB`,
		want: []finding{{"states", 1, 4.62 * gib, 101 * 49082368, true, ""}}},
	// TensorRT-LLM has no padding
	{from: "states of another engine", model: "nemotron-3-nano-30b-a3b", log: `
[TensorRT-LLM][INFO] Number of tokens per block: 32.
Mamba Cache is allocated. max_mamba_cache_size: 100, conv_state size: 0.08GB, ssm_state size: 4.49GB`,
		want: []finding{{"states", 2, 4.57 * gib, 100 * 49082368, true, ""}}},
	// Qwen3.8-27B-FP8 on one H100: 16 layers of 2048 B of keys, 48 states
	{from: "states and tokens", model: qwen27b, log: `
Mamba Cache is allocated. max_mamba_cache_size: 124, conv_state size: 0.34GB, ssm_state size: 17.58GB
KV Cache is allocated. dtype: torch.bfloat16, #tokens: 330323, K size: 10.08 GB, V size: 10.08 GB`,
		want: []finding{
			{"memory", 2, 20.16 * gib, 330324 * 65536, true, ""},
			{"states", 1, 17.92 * gib, 125 * 48 * 3207168, true, ""},
		}},
	{from: "tutorials#150", model: tiny, log: `
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 78.30 GiB for max tokens in paged KV cache (3731744).
[TensorRT-LLM][INFO] Max KV cache blocks per sequence: 65 [window size=2051], tokens per block=32, primary blocks=116617, secondary blocks=0`,
		want: []finding{
			{"tokens", 1, 3731744, 116617 * 32, true, ""},
			{"memory", 1, 78.30 * gib, 3731744 * 22528, true, ""},
			{"blocks per sequence", 2, 65, 65, true, ""},
		}},
	{from: "TensorRT-LLM#1400", model: llama2, log: `
[TensorRT-LLM][INFO] Allocate 69524783104 bytes for k/v cache.
[TensorRT-LLM][INFO] Using 132608 tokens in paged KV cache.`,
		want: []finding{{"memory", 1, 69524783104, 69524783104, true, ""}}},
	{from: "TensorRT-LLM#224", model: llama2, flags: "page_size=16", log: `
[TensorRT-LLM][INFO] Using 10718 tokens in paged KV cache.
[TensorRT-LLM][INFO] Number of blocks in KV cache primary pool: 670`,
		want: []finding{{"tokens", 1, 10718, 10720, true, ""}}},
	{from: "LMCache#1740", model: "qwen3-8b", log: `
LMCache INFO: Stored 3866 out of total 3866 tokens. size: 0.5309 gb, cost 11.9537 ms, throughput: 44.4144 GB/s`,
		want: []finding{{"stored", 1, 0.5309 * gib, 3866 * 147456, true, ""}}},
	{from: "LMCache#2262", model: "qwen3-0.6b", log: `
Stored 2048 out of total 2048 tokens. size: 0.2188 gb, cost 14.7797 ms, throughput: 14.8007 GB/s`,
		want: []finding{{"stored", 1, 0.2188 * gib, 2048 * 114688, true, ""}}},
	{from: "dynamo#5987", model: "qwen3-8b", flags: "page_size=16", log: `
KVBM Leader block allocation: G1 (GPU)=199892 blocks, G2 (Host)=22756 blocks, G3 (Disk)=0 blocks, bytes_per_block=2359296`,
		want: []finding{{"block", 1, 2359296, 16 * 147456, true, ""}}},
	// 40 adjacent pages: 28 layers, K and V separate
	{from: "vllm#25388", model: "qwen3-0.6b", flags: "engine_release=0.22.1", log: `
KV Transfer metrics: Num successful transfers=1, Avg xfer time (ms)=9.862, P90 xfer time (ms)=9.862, Avg post time (ms)=5.693, ` +
		`P90 post time (ms)=5.693, Avg MB per transfer=70.0, Throughput (MB/s)=7097.952, Avg number of descriptors=56.0`,
		want: []finding{
			{"transfer", 1, 70 << 20, 640 * 114688, true, ""},
			{"descriptors", 1, 56, 56, true, ""},
		}},
	{from: "vllm#41230", model: "qwen3-8b", flags: "engine_release=0.22.1", log: `
KV Transfer metrics: Num successful transfers=4, Avg xfer time (ms)=1.381, P90 xfer time (ms)=2.601, Avg post time (ms)=0.672, ` +
		`P90 post time (ms)=0.9, Avg MB per transfer=2.25, Throughput (MB/s)=1629.549, Avg number of descriptors=72.0`,
		want: []finding{
			{"transfer", 1, 2.25 * (1 << 20), 16 * 147456, true, ""},
			{"descriptors", 1, 72, 72, true, ""},
		}},
	// 50 separate pages: 28 layers x 2 x 50; 800 x 57344 B
	{from: "vllm#23887", model: "qwen2.5-7b", flags: "engine_release=0.22.1", log: `
KV Transfer metrics: Num successful transfers=1, Avg xfer time (ms)=9.8, P90 xfer time (ms)=9.8, Avg post time (ms)=5.6, ` +
		`P90 post time (ms)=5.6, Avg MB per transfer=43.75, Throughput (MB/s)=7097.9, Avg number of descriptors=2800.0`,
		want: []finding{
			{"transfer", 1, 43.75 * (1 << 20), 800 * 57344, true, ""},
			{"descriptors", 1, 2800, 2800, true, ""},
		}},
	// 30 states of 2146304 B each, the size of a page of 2096 tokens; 63 blocks for tokens,
	// 2 in each of 3 groups
	{from: "club-3090#612", model: "qwen3.5-35b-a3b", log: `
non-default args: {'max_model_len': 131072, 'quantization': 'modelopt', 'kv_cache_dtype': 'fp8', 'enable_prefix_caching': True}
Initializing a V1 LLM engine (v0.24.0) with config: model='m'
(EngineCore pid=107) INFO 07-06 22:52:09 [gpu_worker.py:508] Available KV cache memory: 5.98 GiB
(EngineCore pid=107) INFO 07-06 22:52:09 [kv_cache_utils.py:2146] GPU KV cache size: 567,978 tokens, Maximum concurrency ` +
		`for 131,072 tokens per request: 4.33x`,
		want: []finding{
			{"memory", 3, 5.98 * gib, 567978.0 / 131072 * 69 * 10 * 2146304, true, ""},
			{"concurrency", 4, 4.33, 567978.0 / 131072, true, ""},
		}},
	// Pages of 544 x 2048 B; 482 blocks for tokens, 2 in each of 3 groups
	{from: "Qwen3.5-0.8B", model: qwen08b, log: `
Setting attention block size to 544 tokens to ensure that attention page size is >= mamba page size.
Padding mamba page size by 2.64% to ensure that mamba page size and attention page size are exactly equal.
Available KV cache memory: 67.08 GiB
GPU KV cache size: 5,788,118 tokens, Maximum concurrency for 262,144 tokens per request: 22.08x`,
		want: []finding{
			{"memory", 3, 67.08 * gib, 5788118.0 / 262144 * 488 * 6 * 544 * 2048, true, ""},
			{"concurrency", 4, 22.08, 5788118.0 / 262144, true, ""},
		}},
	// Groups of 6 layers with pages of 16 x 2048 B; 128 blocks for tokens, 1 in each of 2 groups
	{from: "LFM2.5-1.2B", model: "lfm2-1.2b", log: `
Setting attention block size to 16 tokens to ensure that attention page size is >= mamba page size.
Available KV cache memory: 7.46 GiB
GPU KV cache size: 217,264 tokens
Maximum concurrency for 2,048 tokens per request: 313.37x`,
		want: []finding{
			{"memory", 2, 7.46 * gib, 13579 * 3 * 6 * 16 * 2048, true, ""},
			{"concurrency", 4, 313.37, 40741.0 / 130, true, ""},
		}},
	// 3723 blocks of 3145728 B in 10.91 GiB
	{from: "no bracket before what is needed", model: qwen14b, log: `
(EngineCore_DP0 pid=15) ValueError: To serve at least one request with the models's max seq len (131072), 24.00 GiB KV cache ` +
		`is needed, which is larger than the available KV cache memory (10.91 GiB). Based on the available memory, the estimated ` +
		`maximum model length is 59584. Try increasing`,
		want: []finding{
			{"request", 1, 24 * gib, 131072 * 196608, true, ""},
			{"longest request", 1, 59584, 59568, true, ""},
		}},
	{from: "TensorRT-LLM#2268", model: llama2, log: `
Memory usage when calculating max tokens in paged kv cache: total: 39.50 GiB, available: 21.89 GiB
Number of blocks in KV cache primary pool: 631
Number of tokens per block: 64.`,
		want: []finding{{"blocks", 2, 631, 631, true, ""}}},
	// 0.9 x 70.48 GiB / 16 MiB = 4059.6
	{from: "TensorRT-LLM, memory usage", model: llama2, flags: "kvcache_quant_mode=fp8", log: `
[TensorRT-LLM][INFO] Memory usage when calculating max tokens in paged kv cache: total: 79.10 GiB, available: 70.48 GiB
[TensorRT-LLM][INFO] Number of blocks in KV cache primary pool: 4060
[TensorRT-LLM][INFO] Number of blocks in KV cache secondary pool: 0, onboard blocks to primary memory before reuse: true
[TensorRT-LLM][INFO] Max KV cache pages per sequence: 32
[TensorRT-LLM][INFO] Number of tokens per block: 64.
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 63.44 GiB for max tokens in paged KV cache (259840).`,
		want: []finding{
			{"tokens", 6, 259840, 259840, true, ""},
			{"memory", 6, 63.44 * gib, 4060 * 16 << 20, true, ""},
			{"blocks", 2, 4060, 4060, true, ""},
		}},
	// Twice as many blocks as fit in all of 10 GiB
	{from: "more blocks than fit", model: llama2, log: `
Memory usage when calculating max tokens in paged kv cache: total: 39.50 GiB, available: 10.00 GiB
Number of blocks in KV cache primary pool: 640
Number of tokens per block: 64.`,
		want: []finding{{"blocks", 2, 640, 321, false, "--kvcache_quant_mode fp8"}}},
	{from: "another share of free memory", model: llama2, log: `
free_gpu_memory_fraction=0.5
Memory usage when calculating max tokens in paged kv cache: total: 39.50 GiB, available: 10.00 GiB
Number of blocks in KV cache primary pool: 160
Number of tokens per block: 64.`,
		want: []finding{{"blocks", 3, 160, 160, true, ""}}},
	{from: "LMCache, Qwen3-8B", model: "qwen3-8b", log: `
LMCache INFO: Reqid: cmpl-b-0, Total tokens 2005, LMCache hit tokens: 1792, need to load: 1792 (vllm_v1_adapter.py:1284)
(EngineCore_DP0 pid=4) [2026-01-20 21:21:58,711] LMCache INFO: Retrieved 1792 out of 1792 required tokens (from 1792 total tokens). ` +
		`size: 0.2461 gb, cost 14.3229 ms, throughput: 17.1818 GB/s; (cache_engine.py:812:lmcache.v1.cache_engine)`,
		want: []finding{{"retrieved", 2, 0.2461 * gib, 1792 * 147456, true, ""}}},
	{from: "LMCache, of each rank", model: "llama3.1-70b", flags: "tp_size=8", log: `
Retrieved 65024 out of 65024 required tokens (from 65024 total tokens). size: 2.4805 gb, cost 2558.0752 ms, throughput: 0.9697 GB/s`,
		want: []finding{{"retrieved", 1, 2.4805 * gib, 65024 * 40960, true, ""}}},
	// A made-up example: 31 tokens of 147456 B are 0.0043 GiB
	{from: "LMCache#3110", model: "qwen3-8b", log: `
Stored 31 out of total 31 tokens. size: 0.0040 gb, cost 1.95 ms, throughput: 1.98 GB/s; offload_time: 1.88 ms, put_time: 0.07 ms
Retrieved 8 out of 24 required tokens (from 32 total tokens). size: 0.0011 gb, cost 0.55 ms, throughput: 1.98 GB/s;`,
		want: []finding{
			{"stored", 1, 0.0040 * gib, 31 * 147456, false, ""},
			{"retrieved", 2, 0.0011 * gib, 8 * 147456, true, ""},
		}},
	{from: "dynamo#5987, host memory", model: "qwen3-8b", flags: "page_size=16", log: `
DYN_KVBM_CPU_CACHE_GB=50
KVBM Leader block allocation: G1 (GPU)=199892 blocks, G2 (Host)=22756 blocks, G3 (Disk)=0 blocks, bytes_per_block=2359296`,
		want: []finding{
			{"host blocks", 2, 22756, 22756, true, ""},
			{"block", 2, 2359296, 16 * 147456, true, ""},
		}},
	{from: "dynamo#2063", model: "qwen3-0.6b", flags: "page_size=16", log: `
DYNAMO_KVBM_CPU_CACHE_GB=2
KVBM Leader block allocation: G1 (GPU)=9 blocks, G2 (Host)=1089 blocks, G3 (Disk)=0 blocks, bytes_per_block=1835008`,
		want: []finding{
			{"host blocks", 2, 1089, 1089, true, ""},
			{"block", 2, 1835008, 16 * 114688, true, ""},
		}},
	// Keys and values in one region
	{from: "transfer plan, Qwen3-4B", model: "qwen3-8b", flags: "engine_release=0.22.1", log: `
Transfer plan: TransferTopology(tp_ratio=1, K=8, local_tp=1, remote_tp=1, local_rank=0, remote_block_len=65536)`,
		want: []finding{{"region", 1, 65536, 65536, true, ""}}},
	// 8 ranks with 1 head each on the other side: 16 x 128 x 2 B
	{from: "transfer plan, other tp", model: "llama3.1-70b", flags: "engine_release=0.22.1", log: `
Transfer plan: TransferTopology(tp_ratio=-2, num_kv_heads=8, local_tp=4, remote_tp=8, remote_pp=1, local_rank=0, remote_block_len=4096)
Transfer plan: TransferTopology(tp_ratio=-2, num_kv_heads=8, local_tp=4, remote_tp=8, remote_pp=1, local_rank=1, remote_block_len=4096)`,
		want: []finding{{"region", 1, 4096, 4096, true, ""}}},
	// 16 tokens of 163840 B
	{from: "cross-layer, Llama 3.1 70B", model: "llama3.1-70b", flags: "tp_size=2", log: `
Allocating a cross layer KV cache of shape (27421, 80, 2, 16, 4, 128)`,
		want: []finding{{"cross-layer block", 1, 2621440, 2621440, true, ""}}},
	{from: "cross-layer, gpt-oss-120b", model: "gpt-oss-120b", flags: "tp_size=2", log: `
Allocating a cross layer KV cache of shape (18569, 36, 2, 16, 4, 64)
GPU KV cache size: 297,104 tokens`,
		want: []finding{
			{"tokens", 2, 297104, 18569 * 16, true, ""},
			{"cross-layer block", 1, 589824, 589824, true, ""},
		}},
	// 16 and 32 tokens; the second line is wrong
	{from: "several intervals", model: "qwen3-8b", flags: "engine_release=0.22.1", log: `
KV Transfer metrics: Num successful transfers=1, Avg xfer time (ms)=1.3, Avg MB per transfer=2.25, Throughput (MB/s)=1.0, Avg number of descriptors=72.0
KV Transfer metrics: Num successful transfers=1, Avg xfer time (ms)=1.3, Avg MB per transfer=4.5, Throughput (MB/s)=1.0, Avg number of descriptors=144.0
KV Transfer metrics: Num successful transfers=1, Avg xfer time (ms)=1.3, Avg MB per transfer=4.0, Throughput (MB/s)=1.0, Avg number of descriptors=144.0`,
		want: []finding{
			{"transfer", 3, 4 << 20, 2 * 16 * 147456, false, ""},
			{"descriptors", 1, 72, 72, true, ""},
		}},
	{from: "vllm#21348, SGLang", model: "qwen3-235b-a22b", flags: "tp_size=4", log: `
KV Cache is allocated. #tokens: 367404, K size: 8.23 GB, V size: 8.23 GB`,
		want: []finding{{"memory", 1, 16.46 * gib, 367405 * 48128, true, ""}}},
	// The log does not contain the number of pipeline stages; its "needed" memory is for the
	// whole model
	{from: "vllm#34076", model: "qwen3-30b-a3b", log: `
(EngineCore_DP0 pid=1094) ValueError: To serve at least one request with the models's max seq len (262144), (24.0 GiB KV cache is ` +
		`needed, which is larger than the available KV cache memory (3.18 GiB). Based on the available memory, the estimated maximum ` +
		`model length is 34736. Try`,
		want: []finding{
			{"request", 1, 24 * gib, 262144 * 98304, true, ""},
			// 2170 blocks of 1572864 B
			{"longest request", 1, 34736, 34720, true, ""},
		}},

	// Differences
	{from: "zeros left out", model: "qwen3-30b-a3b", flags: "isl=261632", log: `
with the models's max seq len (261632), (24.0 GiB KV cache is needed, which is larger than the available KV cache memory (3.18 GiB).`,
		want: []finding{{"request", 1, 24 * gib, 261632 * 98304, false, ""}}},
	// 400256 tokens of 65536 B are 24.43 GiB
	{from: "page padding", model: "llama3.1-8b", flags: "page_size=256", log: `
KV Cache is allocated. #tokens: 400000, K size: 24.41 GB, V size: 24.41 GB`,
		want: []finding{{"memory", 1, 48.82 * gib, 400256 * 131072, false, "does not count the additional page"}}},
	{from: "another format", model: "llama3.1-8b", flags: "kvcache_quant_mode=fp8", log: `
Available KV cache memory: 3.81 GiB
GPU KV cache size: 31,232 tokens`,
		want: []finding{{"memory", 1, 3.81 * gib, 31232 * 65536, false, "number format is different (--kvcache_quant_mode bf16)"}}},
	// 62 x 1152 B, not 61
	{from: "draft layers", model: "deepseek-r1", log: `
Available KV cache memory: 6.65 GiB
GPU KV cache size: 100,000 tokens`,
		want: []finding{{"memory", 1, 6.65 * gib, 100000 * 70272, false, "the layers that speculation adds (--draft mtp)"}}},
	// 40960 B per token on each of 8 ranks
	{from: "ranks", model: "llama3.1-70b", log: `
Available KV cache memory: 3.81 GiB
GPU KV cache size: 100,000 tokens`,
		want: []finding{{"memory", 1, 3.81 * gib, 100000 * 327680, false, "the number of tensor-parallel ranks is different (--tp 8)"}}},
	// 62 x 8192 B per token if all layers keep all tokens
	{from: "windows", model: "gemma-3-27b", flags: "engine_release=0.25.1", log: `
Chunked prefill is enabled with max_num_batched_tokens=8192.
Available KV cache memory: 47.30 GiB
GPU KV cache size: 100,000 tokens, Maximum concurrency for 131,072 tokens per request: 0.76x`,
		want: []finding{
			{"memory", 2, 47.30 * gib, 100000.0 / 131072 * 15275130880, false, "all tokens in windowed layers (--window all)"},
			{"concurrency", 3, 0.76, 100000.0 / 131072, true, ""},
		}},
	{from: "windows of another release", model: "gemma-4-31b", log: `
Chunked prefill is enabled with max_num_batched_tokens=8192.
Available KV cache memory: 64.68 GiB
GPU KV cache size: 626,949 tokens, Maximum concurrency for 262,144 tokens per request: 2.39x`,
		want: []finding{
			// 16384 instead of 8192 tokens in flight: 512 more blocks in each of 5 groups
			{"memory", 2, 64.68 * gib, 626949.0 / 262144 * (11077 + 2560) * 2621440, false, "--engine_release 0.25.1"},
			{"concurrency", 3, 2.39, 626949.0 / 262144, true, ""},
		}},
	{from: "pages", model: "deepseek-v3.2", flags: "tp_size=8 dp_attention=true kvcache_quant_mode=fp8 page_size=1", log: `
KV Cache is allocated. #tokens: 1462784, KV size: 54.52 GB`,
		want: []finding{{"memory", 1, 54.52 * gib, 1462785 * 48068, false, "(--page_size 64), and the engine does not count index keys"}}},
	{from: "no cause", model: "llama3.1-8b", log: `
Available KV cache memory: 3.33 GiB
GPU KV cache size: 31,232 tokens`,
		want: []finding{{"memory", 1, 3.33 * gib, 31232 * 131072, false, ""}}},
	{from: "another model", model: "qwen3-0.6b", log: `
KV Transfer metrics: Num successful transfers=1, Avg xfer time (ms)=1.381, P90 xfer time (ms)=2.601, Avg post time (ms)=0.672, ` +
		`P90 post time (ms)=0.9, Avg MB per transfer=2.25, Throughput (MB/s)=1629.549, Avg number of descriptors=72.0`,
		want: []finding{
			{"transfer", 1, 2.25 * (1 << 20), 16 * 114688, false, ""},
			{"descriptors", 1, 72, 84, false, ""},
		}},
}

// TestVerify compares engines' logs with plans.
func TestVerify(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	loader := model.NewLoader(s, cueschema.Files, models.Files)
	for _, tt := range logs {
		t.Run(strings.ReplaceAll(tt.from, "/", "_"), func(t *testing.T) {
			got := verify(t, s, loader, tt.model, tt.flags, strings.TrimPrefix(tt.log, "\n"))
			equal := true
			for i, w := range tt.want {
				equal = equal && w.equal
				if i >= len(got.Findings) {
					t.Fatalf("%d findings, want %d", len(got.Findings), len(tt.want))
				}
				g := got.Findings[i]
				if g.What != w.what || g.At.Line != w.line || g.Equal != w.equal || !near(g.Logged, w.logged) || !near(g.Computed, w.computed) ||
					!strings.Contains(g.Why, w.why) || w.why == "" && g.Why != "" {
					t.Errorf("%s in line %d: %s logged, %s computed, equal %v, why %q; want %+v", g.What, g.At.Line, g.Logged, g.Computed, g.Equal, g.Why, w)
				}
			}
			if len(got.Findings) != len(tt.want) || got.Equal != equal {
				t.Errorf("%d findings, equal %v; want %d, %v", len(got.Findings), got.Equal, len(tt.want), equal)
			}
		})
	}
}

func near(n formula.Rat, want float64) bool {
	got := float64(n.Num()) / float64(n.Den())
	return math.Abs(got-want) <= 1e-6*math.Abs(want)
}

func verify(t *testing.T, s *schema.Schema, loader *model.Loader, name, flags, text string) *enginelog.Result {
	t.Helper()
	r, err := enginelog.NewReader(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Read("x.log", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	log, err := r.Log()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(name, "\n") {
		file := filepath.Join(t.TempDir(), "model.yaml")
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		name = file
	}
	m, err := loader.Model(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for name, f := range log.Fields {
		set[name] = f.Text
	}
	for _, f := range strings.Fields(flags) {
		name, value, _ := strings.Cut(f, "=")
		set[name] = value
	}
	var overrides []config.Override
	for i := range s.Fields {
		if text, ok := set[s.Fields[i].Var]; ok {
			overrides = append(overrides, config.Override{Path: s.Fields[i].Path, Text: text, Origin: data.Origin{Kind: data.FromFile, Pos: diag.Pos{File: "x.log"}}})
		}
	}
	cfg, err := loader.Config("", s.View("verify").Preset, "verify", overrides)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(s, s.Nixlbench.Default, m.Arch, plan.Use{Rank: true, Detail: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := enginelog.Verify(log, p, &plan.Request{Model: m, Config: cfg.With(m.Arch, m.Defaults)})
	if err != nil {
		t.Fatal(err)
	}
	return got
}
