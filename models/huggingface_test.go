package models_test

import (
	"path/filepath"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/models"
)

// cacheBytes contains the sizes of a model's cache, summed over all ranks: per token, per
// additional token of a long request, and for a request's states.
type cacheBytes struct {
	model              string
	kv, growing, state int64
}

// published contains models whose geometry, from their config.json files, is in
// engine/config/testdata/hf. The numbers are for bf16 in vLLM. They were computed by hand from
// the geometry, as layers * heads * (K + V) * 2 and with the formulas in vLLM's
// mamba_utils.py. Where aiconfigurator or the logs of engines have numbers for a model, they
// are the same.
var published = []cacheBytes{
	{"meta-llama--Meta-Llama-3.1-8B", 131072, 131072, 0},
	{"meta-llama--Meta-Llama-3.1-405B", 516096, 516096, 0},
	{"meta-llama--Llama-3.3-70B-Instruct", 327680, 327680, 0},
	{"mistralai--Mixtral-8x7B-v0.1", 131072, 131072, 0},
	{"mistralai--Mixtral-8x22B-v0.1", 229376, 229376, 0},
	{"mistralai--Mistral-Nemo-Instruct-2407", 163840, 163840, 0},
	{"mistralai--Mistral-Small-24B-Instruct-2501", 163840, 163840, 0}, // the file is combined from several sources
	{"Qwen--Qwen2.5-7B-Instruct", 57344, 57344, 0},
	{"Qwen--Qwen2.5-72B-Instruct", 327680, 327680, 0},
	{"Qwen--Qwen1.5-MoE-A2.7B", 196608, 196608, 0},
	{"Qwen--Qwen1.5-MoE-A2.7B-Chat", 196608, 196608, 0},
	{"Qwen--Qwen3-0.6B", 114688, 114688, 0},
	{"Qwen--Qwen3-8B", 147456, 147456, 0},
	{"Qwen--Qwen3-32B", 262144, 262144, 0},
	{"Qwen--Qwen3-30B-A3B", 98304, 98304, 0},
	{"Qwen--Qwen3-235B-A22B", 192512, 192512, 0},
	{"zai-org--GLM-4.5-Air", 188416, 188416, 0},
	{"MiniMaxAI--MiniMax-M2", 253952, 253952, 0},
	{"MiniMaxAI--MiniMax-M2.5", 253952, 253952, 0},
	{"microsoft--phi-4", 204800, 204800, 0},
	{"ibm-granite--granite-3.1-8b-instruct", 163840, 163840, 0}, // the file is combined from several sources
	{"allenai--OLMo-2-1124-7B", 524288, 524288, 0},
	{"allenai--OLMo-2-1124-13B", 819200, 819200, 0},
	{"tiiuae--falcon-7b", 8192, 8192, 0},
	{"tiiuae--falcon-7b-RefinedWebModel", 8192, 8192, 0},
	{"tiiuae--falcon-40b", 122880, 122880, 0}, // the file is combined from several sources
	{"tiiuae--falcon-40b-RefinedWeb", 122880, 122880, 0},
	{"mistralai--Mistral-7B-v0.1", 131072, 0, 0},
	{"bigcode--starcoder2-3b", 30720, 0, 0},
	{"bigcode--starcoder2-7b", 65536, 0, 0},
	{"bigcode--starcoder2-15b", 81920, 0, 0}, // the file is combined from several sources
	{"microsoft--Phi-3-mini-4k-instruct", 393216, 0, 0},
	{"microsoft--Phi-3.5-mini-instruct", 393216, 393216, 0}, // a window longer than any request
	{"microsoft--Phi-4-mini-instruct", 131072, 131072, 0},   // a window longer than any request
	{"openai--gpt-oss-20b", 49152, 24576, 0},
	{"openai--gpt-oss-120b", 73728, 36864, 0},
	{"google--gemma-2-9b-it", 344064, 172032, 0},
	{"google--gemma-2-27b-it", 376832, 188416, 0},
	{"google--gemma-3-27b-it", 507904, 81920, 0},
	{"google--gemma-3-4b-it", 139264, 20480, 0},
	{"google--gemma-3n-E4B-it", 40960, 8192, 0},
	{"google--gemma-3n-E2B-it", 40960, 8192, 0},
	{"nvidia--Gemma-4-31B-IT-NVFP4", 901120, 81920, 0},
	{"google--gemma-4-26B-A4B", 225280, 20480, 0},
	{"CohereLabs--c4ai-command-r7b-12-2024", 131072, 32768, 0},
	{"XiaomiMiMo--MiMo-V2-Flash", 222720, 23040, 0},
	{"meta-llama--Llama-4-Scout-17B-16E-Instruct", 196608, 49152, 0},
	{"RedHatAI--Llama-4-Scout-17B-16E-Instruct-FP8-dynamic", 196608, 49152, 0},
	{"meta-llama--Llama-4-Scout-17B-16E-no_rope_layers", 196608, 49152, 0},
	{"deepseek-ai--DeepSeek-R1", 70272, 70272, 0},
	{"deepseek-ai--DeepSeek-V2-Lite", 31104, 31104, 0},
	{"deepseek-ai--DeepSeek-V2", 69120, 69120, 0}, // the file is combined from several sources
	{"deepseek-ai--DeepSeek-V3.2", 78324, 78324, 0},
	{"moonshotai--Kimi-K2-Instruct", 70272, 70272, 0},
	{"moonshotai--Kimi-K2.5", 70272, 70272, 0},
	{"nvidia--Kimi-K2.5-NVFP4", 70272, 70272, 0},
	{"zai-org--GLM-5", 100152, 100152, 0},
	{"zai-org--GLM-5.2", 92628, 92628, 0},
	{"Qwen--Qwen3-Next-80B-A3B-Thinking", 24576, 24576, 39518208},
	{"Qwen--Qwen3.5-35B-A3B", 20480, 20480, 64389120},
	{"Qwen--Qwen3.5-27B", 65536, 65536, 153944064},
	{"moonshotai--Kimi-Linear-48B-A3B-Instruct", 8064, 8064, 43417600},
	{"ai21labs--Jamba-v0.1", 16384, 16384, 8716288},
	{"ibm-ai-platform--Bamba-9B", 12288, 12288, 62287360}, // the file is combined from several sources
	{"nvidia--Nemotron-H-56B-Base-8K", 40960, 40960, 912605184},
	{"nvidia--Nemotron-H-8B-Base-8K", 16384, 16384, 102137856},
	{"nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 6144, 6144, 49082368},
	{"nvidia--NVIDIA-Nemotron-3-Super-120B-A12B-FP8", 8192, 8192, 170229760},
	{"nvidia--Llama-3_3-Nemotron-Super-49B-v1", 200704, 200704, 0},
	{"MiniMaxAI--MiniMax-Text-01", 40960, 40960, 146800640},
	{"MiniMaxAI--MiniMax-M1-80k", 40960, 40960, 146800640},
	{"MiniMaxAI--MiniMax-Text-01-hf", 40960, 40960, 146800640}, // the file is combined from several sources
	{"openai--whisper-large-v3", 163840, 163840, 0},
}

// TestPublished reads the configurations of published models.
func TestPublished(t *testing.T) {
	for _, want := range published {
		t.Run(want.model, func(t *testing.T) {
			check(t, filepath.Join("../engine/config/testdata/hf", want.model+".json"), want, "bf16")
		})
	}
	files, err := filepath.Glob("../engine/config/testdata/hf/*.json")
	if err != nil || len(files) != len(published)+1 {
		t.Errorf("%d files for %d models and one that is rejected (%v)", len(files), len(published), err)
	}
}

// check compares the sizes of a configuration's cache in vLLM with known numbers. If format is
// "", the cache has the model's own number format.
func check(t *testing.T, file string, want cacheBytes, format string) {
	t.Helper()
	flags := map[string]string{"system.backend": "VLLM", "system.page_size": "16", "runtime.isl": "16"}
	if format != "" {
		flags["strategy.kvcache_quant_mode"] = format
	}
	hold(t, file, flags, map[string]int64{
		"kv_bytes_per_token": want.kv, "growing_bytes_per_token": want.growing, "state_bytes_per_request": want.state,
	})
}

// hold reads a model and compares its quantities in rank accounting with known numbers.
// It also looks for the model's family in the folders in dirs.
func hold(t *testing.T, file string, flags map[string]string, want map[string]int64, dirs ...string) {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	l := model.NewLoader(s, cueschema.Files, models.Files)
	m, err := l.Model(file, dirs)
	if err != nil {
		t.Fatal(err)
	}
	flag := func(path, text string) config.Override {
		return config.Override{Path: path, Text: text, Origin: data.Origin{Kind: data.FromFlag}}
	}
	overrides := []config.Override{flag("system.accounting", "rank")}
	for _, path := range schema.Keys(flags) {
		overrides = append(overrides, flag(path, flags[path]))
	}
	cfg, err := l.Config("", nil, "", overrides)
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.With(m.Arch, m.Defaults)
	use := plan.UseOf(cfg)
	use.Detail = true
	p, err := plan.New(s, s.Nixlbench.Default, m.Arch, use)
	if err != nil {
		t.Fatal(err)
	}
	plans, err := p.Quantities(&plan.Request{Model: m, Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range schema.Keys(want) {
		v, ok := plans[0].Value(name)
		if n, whole := v.Num.Int64(); !ok || !whole || n != want[name] {
			t.Errorf("%s is %s, want %d", name, v.Text(), want[name])
		}
	}
}
