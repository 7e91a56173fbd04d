package models_test

import (
	"os"
	"path/filepath"
	"testing"
)

// newKinds contains models whose layers store more than one thing. Their geometry, from
// their config.json files, is in testdata. The files of Granite, LFM2, LongCat, Step 3.5
// and Bailing were combined from several sources.
var newKinds = []struct {
	cacheBytes
	engine, format string
}{
	// 24 x 1152; 69 x (3 x 3 x 96 x 128 x 2 + 96 x 128 x 128 x 4)
	{cacheBytes{"moonshotai--Kimi-K3", 27648, 27648, 449372160}, "VLLM", "bf16"},
	{cacheBytes{"moonshotai--Kimi-K3", 27648, 27648, 449372160}, "SGLANG", "bf16"},
	// 45 x 4096, of which 12 layers grow
	{cacheBytes{"stepfun-ai--Step-3.7-Flash", 184320, 49152, 0}, "VLLM", "bf16"},
	{cacheBytes{"stepfun-ai--Step-3.5-Flash", 184320, 49152, 0}, "VLLM", "bf16"},
	{cacheBytes{"stepfun-ai--Step-3.5-Flash", 184320, 49152, 0}, "SGLANG", "bf16"},
	{cacheBytes{"stepfun-ai--Step-3.7-Flash", 184320, 49152, 0}, "SGLANG", "bf16"},
	// 2 x 28 x 1152
	{cacheBytes{"meituan-longcat--LongCat-Flash-Chat", 64512, 64512, 0}, "VLLM", "bf16"},
	// 44 x 1024; 44 x 1594368
	{cacheBytes{"tiiuae--Falcon-H1-7B", 45056, 45056, 70152192}, "VLLM", "bf16"},
	// 44 x (3 x 3584 x 2 + 24 x 128 x 256 x 4)
	{cacheBytes{"tiiuae--Falcon-H1-7B", 45056, 45056, 139358208}, "SGLANG", "bf16"},
	// 4 x 4096; 36 x 2147840
	{cacheBytes{"ibm-granite--granite-4.0-h-small", 16384, 16384, 77322240}, "VLLM", "bf16"},
	// 36 x (3 x 8448 x 2 + 128 x 64 x 128 x 4)
	{cacheBytes{"ibm-granite--granite-4.0-h-small", 16384, 16384, 152819712}, "SGLANG", "bf16"},
	// 6 x 2048; 10 x 2 x 2048 x 2
	{cacheBytes{"LiquidAI--LFM2-1.2B", 12288, 12288, 81920}, "VLLM", "bf16"},
	// 4 x 2048; 16 x 16 x 128 x 128 x 2
	{cacheBytes{"bailing-linear", 8192, 8192, 8388608}, "VLLM", "bf16"},
	{cacheBytes{"bailing-linear", 8192, 8192, 16777216}, "SGLANG", "bf16"},
	// 10 x 1152; 70 x 64 x 128 x 128 x 2
	{cacheBytes{"bailing-hybrid", 11520, 11520, 146800640}, "VLLM", "bf16"},
	{cacheBytes{"bailing-hybrid", 11520, 11520, 293601280}, "SGLANG", "bf16"},
	// 60 x 2048 + 57 x 256
	{cacheBytes{"MiniMaxAI--MiniMax-M3", 137472, 137472, 0}, "VLLM", "bf16"},
	{cacheBytes{"MiniMaxAI--MiniMax-M3", 137472, 137472, 0}, "SGLANG", "bf16"},
	// 78 x 1152 + 21 x 132, or 78 x 132
	{cacheBytes{"zai-org--GLM-5.2-FP8", 92628, 92628, 0}, "VLLM", "bf16"},
	{cacheBytes{"zai-org--GLM-5.2-FP8", 100152, 100152, 0}, "SGLANG", "bf16"},
	// 78 x 656 + 21 x 132, on Hopper; 78 x 576 + 21 x 132 and 78 x (576 + 132)
	{cacheBytes{"zai-org--GLM-5.2-FP8", 53940, 53940, 0}, "VLLM", "fp8"},
	{cacheBytes{"zai-org--GLM-5.2-FP8", 53940, 53940, 0}, "VLLM", "fp8_ds_mla"},
	{cacheBytes{"zai-org--GLM-5.2-FP8", 47700, 47700, 0}, "VLLM", "fp8_plain"},
	{cacheBytes{"zai-org--GLM-5.2-FP8", 55224, 55224, 0}, "SGLANG", "fp8_plain"},
}

// TestNewKinds reads the configurations of models whose layers store more than one thing.
// It also reads the complete config.json files if they are available.
func TestNewKinds(t *testing.T) {
	for _, want := range newKinds {
		for _, dir := range []string{"testdata", "../../shared/hf-configs"} {
			file := filepath.Join(dir, want.model+".json")
			if _, err := os.Stat(file); err != nil && dir != "testdata" {
				continue
			}
			t.Run(file+" "+want.engine+" "+want.format, func(t *testing.T) {
				flags := map[string]string{
					"system.page_size": "16", "runtime.isl": "16",
					"system.backend": want.engine, "strategy.kvcache_quant_mode": want.format,
				}
				hold(t, file, flags, map[string]int64{
					"kv_bytes_per_token": want.kv, "growing_bytes_per_token": want.growing, "state_bytes_per_request": want.state,
				})
			})
		}
	}
}

// TestMamba reads models that store only states. They need layers x channels x (3 + 16) x
// 2 bytes, even if the model's own elements are float32.
func TestMamba(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		state  int64
	}{
		"falcon-mamba-7b": {`"model_type": "falcon_mamba", "torch_dtype": "bfloat16", "num_hidden_layers": 64, "hidden_size": 4096, "intermediate_size": 8192, "expand": 16, "state_size": 16, "conv_kernel": 4`, 19922944},
		"mamba-2.8b":      {`"model_type": "mamba", "torch_dtype": "float32", "num_hidden_layers": 64, "n_layer": 64, "hidden_size": 2560, "intermediate_size": 5120, "expand": 2, "state_size": 16, "conv_kernel": 4`, 12451840},
	} {
		check(t, write(t, name, c.config), cacheBytes{name, 0, 0, c.state}, "")
	}
}

// TestCompressed compares the bytes of a DeepSeek-V4 request with the sums of
// its windows, compressed records, index keys and compressor states.
func TestCompressed(t *testing.T) {
	for _, want := range []struct {
		model, isl string
		bytes      int64
	}{
		{"deepseek-ai--DeepSeek-V4-Flash", "8192", 46961664},
		{"deepseek-ai--DeepSeek-V4-Flash", "131072", 520080384},
		{"deepseek-ai--DeepSeek-V4-Pro", "8192", 68420096},
		{"deepseek-ai--DeepSeek-V4-Pro", "131072", 745665536},
	} {
		for _, engine := range []string{"VLLM", "SGLANG"} {
			t.Run(want.model+" "+want.isl+" "+engine, func(t *testing.T) {
				flags := map[string]string{
					"system.page_size": "256", "runtime.isl": want.isl,
					"system.backend": engine, "strategy.kvcache_quant_mode": "fp8_ds_mla",
				}
				hold(t, filepath.Join("testdata", want.model+".json"), flags, map[string]int64{"request_bytes": want.bytes})
			})
		}
	}
}
