package models_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wholeDir contains complete config.json files, which are not part of this repository.
const wholeDir = "../../shared/hf-configs"

// whole contains the numbers for the files in wholeDir, except those in wholeRequests. They
// are for the given number format or for the format that the file specifies. The numbers are
// from aiconfigurator and from engines' logs, or are layers * heads * (K + V) * 2. No file is
// rejected.
var whole = []struct {
	format string // "" for the format in the file's own kv_cache_scheme
	cacheBytes
}{
	{"bf16", cacheBytes{"allenai--Molmo-7B-D-0924", 57344, 57344, 0}}, // its own elements are float32
	{"bf16", cacheBytes{"deepseek-ai--DeepSeek-R1", 70272, 70272, 0}},
	{"bf16", cacheBytes{"deepseek-ai--DeepSeek-V3.2", 78324, 78324, 0}},
	{"bf16", cacheBytes{"draft--gpt-oss-120b-eagle3", 2048, 2048, 0}},
	{"bf16", cacheBytes{"draft--qwen3.6-27b-dflash", 20480, 4096, 0}},
	{"bf16", cacheBytes{"EleutherAI--gpt-j-6b", 458752, 458752, 0}},
	{"bf16", cacheBytes{"google--gemma-3-4b-it", 139264, 20480, 0}},
	{"bf16", cacheBytes{"HuggingFaceTB--SmolLM2-360M", 40960, 40960, 0}},
	{"bf16", cacheBytes{"meta-llama--Llama-4-Scout-17B-16E-Instruct", 196608, 49152, 0}},
	{"bf16", cacheBytes{"meta-llama--Meta-Llama-3.1-405B", 516096, 516096, 0}},
	{"bf16", cacheBytes{"meta-llama--Meta-Llama-3.1-70B", 327680, 327680, 0}},
	{"bf16", cacheBytes{"meta-llama--Meta-Llama-3.1-8B", 131072, 131072, 0}},
	{"bf16", cacheBytes{"MiniMaxAI--MiniMax-M3", 137472, 137472, 0}},
	{"bf16", cacheBytes{"mistralai--Mixtral-8x7B-v0.1", 131072, 131072, 0}},
	{"bf16", cacheBytes{"moonshotai--Kimi-K2-Instruct", 70272, 70272, 0}},
	{"bf16", cacheBytes{"moonshotai--Kimi-K3", 27648, 27648, 449372160}},
	{"bf16", cacheBytes{"nvidia--Llama-3.1-70B-Instruct-FP8", 327680, 327680, 0}}, // by config.json alone
	{"bf16", cacheBytes{"nvidia--Nemotron-H-56B-Base-8K", 40960, 40960, 912605184}},
	{"bf16", cacheBytes{"openai--gpt-oss-120b", 73728, 36864, 0}},
	{"bf16", cacheBytes{"openai--gpt-oss-20b", 49152, 24576, 0}},
	{"bf16", cacheBytes{"openai-community--gpt2-medium", 98304, 98304, 0}},
	{"bf16", cacheBytes{"openbmb--MiniCPM-V-4", 32768, 32768, 0}}, // heads of 128, not of 2560/32
	{"bf16", cacheBytes{"OpenGVLab--InternVL2-2B", 98304, 98304, 0}},
	{"bf16", cacheBytes{"Qwen--Qwen-14B-Chat", 819200, 819200, 0}},
	{"bf16", cacheBytes{"Qwen--Qwen2.5-Omni-7B-AWQ", 57344, 57344, 0}},
	{"bf16", cacheBytes{"Qwen--Qwen3-0.6B", 114688, 114688, 0}},
	{"bf16", cacheBytes{"Qwen--Qwen3-235B-A22B", 192512, 192512, 0}},
	{"bf16", cacheBytes{"Qwen--Qwen3-30B-A3B", 98304, 98304, 0}},
	{"bf16", cacheBytes{"Qwen--Qwen3-8B", 147456, 147456, 0}},
	{"bf16", cacheBytes{"Qwen--Qwen3.5-122B-A10B", 24576, 24576, 153649152}},
	{"bf16", cacheBytes{"Qwen--Qwen3.5-35B-A3B", 20480, 20480, 64389120}},
	{"bf16", cacheBytes{"stepfun-ai--Step-3.7-Flash", 184320, 49152, 0}},
	{"bf16", cacheBytes{"THUDM--chatglm3-6b", 28672, 28672, 0}},
	{"bf16", cacheBytes{"tiiuae--Falcon-H1-7B", 45056, 45056, 70152192}}, // an excerpt
	{"bf16", cacheBytes{"WizardLM--WizardCoder-15B", 20480, 20480, 0}},   // one KV head
	{"bf16", cacheBytes{"zai-org--GLM-5.2-FP8", 92628, 92628, 0}},        // 21 layers with index keys
	{"", cacheBytes{"nvidia--Gemma-4-31B-IT-NVFP4", 450560, 40960, 0}},   // fp8, by its kv_cache_scheme
	{"fp8", cacheBytes{"deepseek-ai--DeepSeek-V3.2", 48068, 48068, 0}},
	{"fp8", cacheBytes{"deepseek-ai--DeepSeek-R1", 35136, 35136, 0}},
	{"fp8", cacheBytes{"meta-llama--Meta-Llama-3.1-70B", 163840, 163840, 0}},
	{"nvfp4", cacheBytes{"meta-llama--Meta-Llama-3.1-70B", 92160, 92160, 0}},
}

// wholeRequests contains the files for which the bytes per token depend on the length of
// a request. The values are the bytes of requests with 8,192 and 131,072 tokens.
var wholeRequests = map[string][2]int64{
	"deepseek-ai--DeepSeek-V4-Flash": {46961664, 520080384},
}

func TestWhole(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(wholeDir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("there are no complete config.json files in %s: %v", wholeDir, err)
	}
	var known []string
	for _, want := range whole {
		known = append(known, want.model)
		t.Run(want.model+" "+want.format, func(t *testing.T) {
			format := want.format
			if format == "bf16" {
				format = "" // the file's own dtype
			}
			check(t, filepath.Join(wholeDir, want.model+".json"), want.cacheBytes, format)
		})
	}
	for name, bytes := range wholeRequests {
		known = append(known, name)
		for i, isl := range []string{"8192", "131072"} {
			t.Run(name+" "+isl, func(t *testing.T) {
				flags := map[string]string{
					"system.page_size": "256", "runtime.isl": isl, "system.backend": "VLLM", "strategy.kvcache_quant_mode": "fp8_ds_mla",
				}
				hold(t, filepath.Join(wholeDir, name+".json"), flags, map[string]int64{"request_bytes": bytes[i]})
			})
		}
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".json"); !slices.Contains(known, name) {
			t.Errorf("the test has no numbers for %s", file)
		}
	}
}

// TestWholeBeside checks that another file in the folder of config.json can set the KV
// cache format.
func TestWholeBeside(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(wholeDir, "nvidia--Llama-3.1-70B-Instruct-FP8.json"))
	if err != nil {
		t.Skipf("there are no complete config.json files in %s: %v", wholeDir, err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.json":          string(text),
		"hf_quant_config.json": `{"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check(t, filepath.Join(dir, "config.json"), cacheBytes{"", 163840, 163840, 0}, "")
}
