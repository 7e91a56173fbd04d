package model_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/schema"
)

// letters contains the letter that represents each kind of layer in the tests.
var letters = map[string]string{
	"full": "F", "sliding": "S", "chunked": "C", "none": "-", "latent": "L",
	"mamba1": "m", "mamba2": "M", "gdn": "G", "kda": "K", "lightning": "T",
}

// parameters returns a model's parameters except its name, as name=value pairs sorted by
// name. Each kind of layer is represented by one letter.
func parameters(m *model.Model) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m.Params)) {
		v := m.Params[name]
		text := v.Text()
		if v.Kind == formula.StrList {
			text = ""
			for _, kind := range v.Strs {
				text += letters[kind]
			}
		}
		// hf_architecture and num_attention_heads are copied from the file unchanged. The
		// scripts engines_windows.txtar and engines_parallel.txtar test them.
		if name != schema.NameParam && name != "hf_architecture" && name != "num_attention_heads" {
			list = append(list, name+"="+text)
		}
	}
	return strings.Join(list, " ")
}

// TestFamilies reads configurations that contain the geometry of published models. The
// expected parameters were derived from them by hand.
func TestFamilies(t *testing.T) {
	_, l := loader(t)
	r := strings.Repeat
	const latent = "kv_lora_rank=512 num_layers=61 qk_rope_head_dim=64"
	for _, test := range []struct{ file, arch, params string }{
		{"meta-llama--Meta-Llama-3.1-8B", "attention", "head_dim=128 num_kv_heads=8 num_layers=32"},
		{"ibm-granite--granite-3.1-8b-instruct", "attention", "head_dim=128 num_kv_heads=8 num_layers=40"},
		{"allenai--OLMo-2-1124-7B", "attention", "head_dim=128 num_kv_heads=32 num_layers=32"},
		{"zai-org--GLM-4.5-Air", "attention", "head_dim=128 num_kv_heads=8 num_layers=46 num_mtp_layers=1"},
		{"MiniMaxAI--MiniMax-M2", "attention", "head_dim=128 num_kv_heads=8 num_layers=62"},
		{"mistralai--Mistral-7B-v0.1", "attention", "head_dim=128 layer_kinds=" + r("S", 32) + " num_kv_heads=8 num_layers=32 sliding_window=4096"},
		{"mistralai--Mistral-Nemo-Instruct-2407", "attention", "head_dim=128 num_kv_heads=8 num_layers=40"},
		{"mistralai--Mixtral-8x7B-v0.1", "attention", "head_dim=128 num_kv_heads=8 num_layers=32"},
		{"microsoft--Phi-3-mini-4k-instruct", "attention", "head_dim=96 layer_kinds=" + r("S", 32) + " num_kv_heads=32 num_layers=32 sliding_window=2047"},
		{"microsoft--Phi-4-mini-instruct", "attention", "head_dim=128 layer_kinds=" + r("F", 32) + " num_kv_heads=8 num_layers=32 sliding_window=262144"},
		{"microsoft--phi-4", "attention", "head_dim=128 num_kv_heads=10 num_layers=40"},
		{"bigcode--starcoder2-3b", "attention", "head_dim=128 layer_kinds=" + r("S", 30) + " num_kv_heads=2 num_layers=30 sliding_window=4096"},
		{"Qwen--Qwen2.5-72B-Instruct", "attention", "head_dim=128 num_kv_heads=8 num_layers=80"},
		{"Qwen--Qwen1.5-MoE-A2.7B", "attention", "head_dim=128 num_kv_heads=16 num_layers=24"},
		{"Qwen--Qwen3-32B", "attention", "head_dim=128 num_kv_heads=8 num_layers=64"},
		{"Qwen--Qwen3-235B-A22B", "attention", "head_dim=128 num_kv_heads=4 num_layers=94"},
		{"meta-llama--Llama-4-Scout-17B-16E-Instruct", "attention", "attention_chunk_size=8192 head_dim=128 layer_kinds=" + r("CCCF", 12) + " num_kv_heads=8 num_layers=48"},
		{"meta-llama--Llama-4-Scout-17B-16E-no_rope_layers", "attention", "attention_chunk_size=8192 head_dim=128 layer_kinds=" + r("CCCF", 12) + " num_kv_heads=8 num_layers=48"},
		{"RedHatAI--Llama-4-Scout-17B-16E-Instruct-FP8-dynamic", "attention", "attention_chunk_size=8192 head_dim=128 layer_kinds=" + r("CCCF", 12) + " num_kv_heads=8 num_layers=48"},
		{"openai--gpt-oss-20b", "attention", "head_dim=64 layer_kinds=" + r("SF", 12) + " num_kv_heads=8 num_layers=24 sliding_window=128"},
		{"google--gemma-2-9b-it", "attention", "head_dim=256 layer_kinds=" + r("SF", 21) + " num_kv_heads=8 num_layers=42 sliding_window=4096"},
		{"google--gemma-3-27b-it", "attention", "head_dim=128 layer_kinds=" + r("SSSSSF", 10) + "SS num_kv_heads=16 num_layers=62 sliding_window=1024"},
		{"google--gemma-3-4b-it", "attention", "head_dim=256 layer_kinds=" + r("SSSSSF", 5) + "SSSS num_kv_heads=4 num_layers=34 sliding_window=1024"},
		{"google--gemma-3n-E4B-it", "attention", "head_dim=256 layer_kinds=" + r("SSSSF", 4) + r("-", 15) + " num_kv_heads=2 num_layers=35 sliding_window=512"},
		{"google--gemma-3n-E2B-it", "attention", "head_dim=256 layer_kinds=" + r("SSSSF", 4) + r("-", 10) + " num_kv_heads=2 num_layers=30 sliding_window=512"},
		{"nvidia--Gemma-4-31B-IT-NVFP4", "attention", "head_dim=512 layer_kinds=" + r("SSSSSF", 10) + " num_kv_heads=4 num_layers=60 sliding_head_dim=256 sliding_num_kv_heads=16 sliding_window=1024"},
		{"CohereLabs--c4ai-command-r7b-12-2024", "attention", "head_dim=128 layer_kinds=" + r("SSSF", 8) + " num_kv_heads=8 num_layers=32 sliding_window=4096"},
		{"XiaomiMiMo--MiMo-V2-Flash", "attention", "head_dim=192 layer_kinds=FSSSS" + r("FSSSSS", 7) + "F num_kv_heads=4 num_layers=48 sliding_head_dim=192 sliding_num_kv_heads=8 sliding_v_head_dim=128 sliding_window=128 v_head_dim=128"},
		{"tiiuae--falcon-7b", "attention", "head_dim=64 num_kv_heads=1 num_layers=32"},
		{"tiiuae--falcon-7b-RefinedWebModel", "attention", "head_dim=64 num_kv_heads=1 num_layers=32"},
		{"tiiuae--falcon-40b", "attention", "head_dim=64 num_kv_heads=8 num_layers=60"},
		{"tiiuae--falcon-40b-RefinedWeb", "attention", "head_dim=64 num_kv_heads=8 num_layers=60"},
		{"deepseek-ai--DeepSeek-V2-Lite", "latent_attention", "kv_lora_rank=512 num_layers=27 qk_rope_head_dim=64"},
		{"deepseek-ai--DeepSeek-R1", "latent_attention", "kv_lora_rank=512 num_layers=61 num_mtp_layers=1 qk_rope_head_dim=64"},
		{"moonshotai--Kimi-K2-Instruct", "latent_attention", latent},
		{"moonshotai--Kimi-K2.5", "latent_attention", latent},
		{"nvidia--Kimi-K2.5-NVFP4", "latent_attention", latent},
		{"deepseek-ai--DeepSeek-V3.2", "latent_attention", "index_head_dim=128 kv_lora_rank=512 num_layers=61 num_mtp_layers=1 packed_fp8=true qk_rope_head_dim=64"},
		{"zai-org--GLM-5", "latent_attention", "index_head_dim=128 kv_lora_rank=512 num_layers=78 num_mtp_layers=1 packed_fp8=true qk_rope_head_dim=64"},
		{"moonshotai--Kimi-Linear-48B-A3B-Instruct", "hybrid_attention", "conv_kernel=4 kv_lora_rank=512 layer_kinds=" + r("KKKL", 6) + "KKL linear_head_dim=128 linear_num_heads=32 model_dtype=bf16 num_layers=27 qk_rope_head_dim=64"},
		{"Qwen--Qwen3-Next-80B-A3B-Thinking", "hybrid_attention", "conv_kernel=4 head_dim=256 layer_kinds=" + r("GGGF", 12) + " linear_key_head_dim=128 linear_num_key_heads=16 linear_num_value_heads=32 linear_value_head_dim=128 model_dtype=bf16 num_kv_heads=2 num_layers=48"},
		{"Qwen--Qwen3.5-27B", "hybrid_attention", "conv_kernel=4 head_dim=256 layer_kinds=" + r("GGGF", 16) + " linear_key_head_dim=128 linear_num_key_heads=16 linear_num_value_heads=48 linear_value_head_dim=128 mamba_ssm_dtype=fp32 model_dtype=bf16 num_kv_heads=4 num_layers=64 num_mtp_layers=1"},
		{"nvidia--Nemotron-H-8B-Base-8K", "hybrid_attention", "conv_kernel=4 head_dim=128 layer_kinds=M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M- mamba_head_dim=64 mamba_num_groups=8 mamba_num_heads=128 mamba_state_size=128 model_dtype=bf16 num_kv_heads=8 num_layers=52"},
		{"nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "hybrid_attention", "conv_kernel=4 head_dim=128 layer_kinds=MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME mamba_head_dim=64 mamba_num_groups=8 mamba_num_heads=64 mamba_ssm_cache_dtype=fp32 mamba_state_size=128 model_dtype=bf16 num_kv_heads=2 num_layers=52"},
		{"ai21labs--Jamba-v0.1", "hybrid_attention", "conv_kernel=4 head_dim=128 layer_kinds=" + r("mmmmFmmm", 4) + " mamba_intermediate_size=8192 mamba_state_size=16 model_dtype=bf16 num_kv_heads=8 num_layers=32"},
		{"ibm-ai-platform--Bamba-9B", "hybrid_attention", "conv_kernel=4 head_dim=128 layer_kinds=" + r("M", 9) + "F" + r("M", 8) + "F" + r("M", 8) + "FMMMM mamba_head_dim=64 mamba_num_groups=1 mamba_num_heads=128 mamba_state_size=128 model_dtype=bf16 num_kv_heads=8 num_layers=32"},
		{"MiniMaxAI--MiniMax-M1-80k", "hybrid_attention", "head_dim=128 layer_kinds=" + r("TTTTTTTF", 10) + " linear_head_dim=128 linear_num_heads=64 model_dtype=bf16 num_kv_heads=8 num_layers=80"},
		{"MiniMaxAI--MiniMax-Text-01-hf", "hybrid_attention", "head_dim=128 layer_kinds=" + r("TTTTTTTF", 10) + " linear_head_dim=128 linear_num_heads=64 model_dtype=bf16 num_kv_heads=8 num_layers=80"},
		{"openai--whisper-large-v3", "encoder_decoder", "encoder_tokens=1500 head_dim=64 num_kv_heads=20 num_layers=32"},
	} {
		m, err := l.Model("../config/testdata/hf/"+test.file+".json", nil)
		if err != nil {
			t.Errorf("%s: %v", test.file, err)
			continue
		}
		want := test.params
		if test.arch == "hybrid_attention" && strings.Contains(want, "*") {
			// expect the pattern in the file, with each kind of layer replaced by its letter
			want = strings.NewReplacer("*", "F", "E", "-").Replace(want)
		}
		if got := parameters(m); m.Arch.Name != test.arch || got != want {
			t.Errorf("%s has architecture %s with\n%s\nwant %s with\n%s", test.file, m.Arch.Name, got, test.arch, want)
		}
		_, name, _ := strings.Cut(test.file, "--")
		if m.Name != name {
			t.Errorf("%s is named %s", test.file, m.Name)
		}
	}
}

// TestOrdinaryFields reads configurations with additional fields that published models have.
// These fields do not affect the cache, so they must not cause an error.
func TestOrdinaryFields(t *testing.T) {
	_, l := loader(t)
	for _, test := range []struct{ file, more string }{
		{"meta-llama--Meta-Llama-3.1-8B", `"attention_bias": false, "attention_dropout": 0.1, "mlp_bias": false, "pretraining_tp": 1, "rope_scaling": {"factor": 8.0, "original_max_position_embeddings": 8192, "type": "x"}, "_attn_implementation": "sdpa", "is_decoder": true, "type_vocab_size": 2, "position_embedding_type": "rope", "chunk_size_feed_forward": 1, "num_beam_groups": 1, "layer_norm_eps": 1e-5, "layer_norm_bias": true, "id2label": {"0": "state"}, "task_specific_params": {"window": 3}`},
		{"ibm-granite--granite-3.1-8b-instruct", `"attention_multiplier": 0.0078125, "residual_multiplier": 0.22`},
		{"zai-org--GLM-4.5-Air", `"use_qk_norm": true, "first_k_dense_replace": 1, "n_shared_experts": 1, "num_nextn_predict_layers": 1, "moe_intermediate_size": 1408`},
		{"MiniMaxAI--MiniMax-M2", `"qk_norm_type": "per_layer", "shared_intermediate_size": 5, "use_routing_bias": true`},
		{"microsoft--Phi-4-mini-instruct", `"full_attn_mod": 1, "interpolate_factor": 1, "embd_pdrop": 0.1, "resid_pdrop": 0.1, "partial_rotary_factor": 0.75`},
		{"bigcode--starcoder2-3b", `"use_bias": true, "norm_type": "layer_norm", "mlp_type": "default", "residual_dropout": 0.1`},
		{"meta-llama--Llama-4-Scout-17B-16E-Instruct", `"vision_config": {"num_hidden_layers": 34, "attn_window": 3}, "image_token_index": 7`},
		{"google--gemma-3n-E4B-it", `"audio_config": {"conf_attention_chunk_size": 12}, "vision_soft_tokens_per_image": 256`},
		{"google--gemma-2-9b-it", `"sliding_window_size": 4096, "attn_logit_softcapping": 50.0, "query_pre_attn_scalar": 256, "cache_implementation": "hybrid"`},
		{"CohereLabs--c4ai-command-r7b-12-2024", `"use_parallel_block": true, "position_embedding_type": "rope_gptj", "use_gated_activation": true, "rotary_pct": 1.0`},
		{"XiaomiMiMo--MiMo-V2-Flash", `"attention_value_scale": 0.707, "swa_rope_theta": 10000, "moe_layer_freq": [0, 1]`},
		{"tiiuae--falcon-7b", `"apply_residual_connection_post_layernorm": true, "num_ln_in_parallel_attn": 2`},
		{"deepseek-ai--DeepSeek-R1", `"moe_layer_freq": 1, "ep_size": 1, "topk_method": "noaux_tc", "n_group": 8`},
		{"zai-org--GLM-5", `"indexer_rope_interleave": true, "index_share_for_mtp_iteration": true, "qk_head_dim": 256, "mlp_layer_types": ["dense"]`},
		{"moonshotai--Kimi-Linear-48B-A3B-Instruct", `"num_experts_per_token": 8, "use_grouped_topk": true, "moe_router_activation_func": "sigmoid", "num_shared_experts": 1`},
		{"Qwen--Qwen3-Next-80B-A3B-Thinking", `"decoder_sparse_step": 1, "shared_expert_intermediate_size": 512, "attention_bias": true`},
		{"nvidia--NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", `"mamba_hidden_act": "silu", "mamba_proj_bias": true, "use_conv_bias": true, "chunk_size": 128, "time_step_limit": [0.0, Infinity], "moe_shared_expert_intermediate_size": 3712, "use_mamba_kernels": true, "mtp_hybrid_override_pattern": "*E"`},
		{"nvidia--Llama-3_3-Nemotron-Super-49B-v1", `"mlp_bias": true, "block_configs": [` + strings.Repeat(`{"attention": {"no_op": false, "n_heads_in_group": 8, "replace_with_linear": false, "window_length": null}, "ffn": {"ffn_mult": 2.625, "no_op": false, "replace_with_linear": true, "sparsify": null}}, `, 79) + `{"attention": {"no_op": true}, "ffn": {"no_op": true}}]`},
		{"ai21labs--Jamba-v0.1", `"mamba_inner_layernorms": true, "mamba_conv_bias": true, "mamba_proj_bias": true, "expert_layer_period": 2, "use_mamba_kernels": true`},
		{"ibm-ai-platform--Bamba-9B", `"mamba_conv_bias": true, "mamba_chunk_size": 256, "attn_rotary_emb": 64`},
		{"MiniMaxAI--MiniMax-Text-01", `"layernorm_full_attention_alpha": 3.5, "layernorm_linear_attention_beta": 1.0, "shared_moe_mode": "sigmoid", "postnorm": true`},
		{"openai--whisper-large-v3", `"encoder_ffn_dim": 5120, "decoder_ffn_dim": 5120, "encoder_layerdrop": 0.1, "decoder_start_token_id": 50258, "mask_feature_length": 10, "median_filter_width": 7, "forced_decoder_ids": [[1, 50259], [2, 50359]]`},
		{"moonshotai--Kimi-K2.5", `"ignore_index": -100, "media_placeholder_token_id": 163605`},
		{"zai-org--GLM-5.2", `"layer_types": [` + strings.Repeat(`"indexed_attention", `, 77) + `"deepseek_sparse_attention"]`},
	} {
		data, err := os.ReadFile("../config/testdata/hf/" + test.file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			if strings.Contains(test.more, `"`+name+`":`) {
				delete(fields, name) // so that the field is not set twice
			}
		}
		if data, err = json.Marshal(fields); err != nil {
			t.Fatal(err)
		}
		end := strings.LastIndexByte(string(data), '}')
		if _, err := l.Model(write(t, "config.json", string(data[:end])+","+test.more+"}"), nil); err != nil {
			t.Errorf("%s: %v", test.file, err)
		}
	}
}

// TestUnmentioned reads configurations without the fields that have default values.
// Transformers omits these fields for a language model inside another model. The test also
// reads early configurations of a family.
func TestUnmentioned(t *testing.T) {
	_, l := loader(t)
	for _, test := range []struct{ text, want string }{
		// falcon-40b and its descendants, before they were part of transformers
		{`{"model_type": "RefinedWeb", "hidden_size": 8192, "n_head": 128, "n_head_kv": 8, "n_layer": 60, "parallel_attn": true}`,
			"head_dim=64 num_kv_heads=8 num_layers=60"},
		{`{"model_type": "llava", "text_config": {"model_type": "mistral", "head_dim": 128, "hidden_size": 12288, "num_attention_heads": 96, "num_hidden_layers": 88, "sliding_window": null}}`,
			"head_dim=128 num_kv_heads=8 num_layers=88"},
		{`{"model_type": "mistral", "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": null, "sliding_window": null}`,
			"head_dim=128 num_kv_heads=32 num_layers=32"},
		{`{"model_type": "mixtral", "hidden_size": 6144, "num_attention_heads": 48, "num_hidden_layers": 56}`,
			"head_dim=128 num_kv_heads=8 num_layers=56"},
		{`{"model_type": "starcoder2", "hidden_size": 3072, "num_attention_heads": 24, "num_hidden_layers": 30}`,
			"head_dim=128 num_kv_heads=2 num_layers=30"},
		{`{"model_type": "phi3", "hidden_size": 3072, "num_attention_heads": 32, "num_hidden_layers": 32}`,
			"head_dim=96 num_kv_heads=32 num_layers=32"},
		{`{"model_type": "qwen2", "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4, "num_hidden_layers": 28}`,
			"head_dim=128 num_kv_heads=4 num_layers=28"},
		{`{"model_type": "qwen3", "hidden_size": 2560, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 36}`,
			"head_dim=128 num_kv_heads=8 num_layers=36"},
		{`{"model_type": "qwen3_vl", "text_config": {"model_type": "qwen3_vl_text", "hidden_size": 2560, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 36}}`,
			"head_dim=128 num_kv_heads=8 num_layers=36"},
		{`{"model_type": "internvl", "text_config": {"model_type": "qwen3_moe", "head_dim": 128, "hidden_size": 4096, "num_attention_heads": 64, "num_hidden_layers": 94}}`,
			"head_dim=128 num_kv_heads=4 num_layers=94"},
		{`{"model_type": "paligemma", "text_config": {"model_type": "gemma2", "num_attention_heads": 8, "num_hidden_layers": 2}}`,
			"head_dim=256 layer_kinds=SF num_kv_heads=4 num_layers=2 sliding_window=4096"},
		{`{"model_type": "internvl", "text_config": {"model_type": "gpt_oss", "num_attention_heads": 64, "num_hidden_layers": 2}}`,
			"head_dim=64 layer_kinds=SF num_kv_heads=8 num_layers=2 sliding_window=128"},
		{`{"model_type": "gemma4", "num_hidden_layers": 8}`,
			"head_dim=512 layer_kinds=SSSSSFSF num_kv_heads=4 num_layers=8 sliding_head_dim=256 sliding_num_kv_heads=4 sliding_window=512"},
		{`{"model_type": "gemma4", "num_hidden_layers": 2, "layer_types": ["full_attention", "sliding_attention"]}`,
			"head_dim=512 layer_kinds=FF num_kv_heads=4 num_layers=2 sliding_head_dim=256 sliding_num_kv_heads=4 sliding_window=512"},
		{`{"model_type": "qwen3_5", "text_config": {"model_type": "qwen3_5_text", "hidden_size": 2560, "num_attention_heads": 16, "num_hidden_layers": 4}}`,
			"conv_kernel=4 head_dim=256 layer_kinds=GGGF linear_key_head_dim=128 linear_num_key_heads=16 linear_num_value_heads=32 linear_value_head_dim=128 model_dtype=bf16 num_kv_heads=4 num_layers=4"},
		{`{"model_type": "qwen3_5_moe", "text_config": {"model_type": "qwen3_5_moe_text", "hidden_size": 2048, "num_attention_heads": 16, "num_hidden_layers": 4, "linear_num_value_heads": 64}}`,
			"conv_kernel=4 head_dim=256 layer_kinds=GGGF linear_key_head_dim=128 linear_num_key_heads=16 linear_num_value_heads=64 linear_value_head_dim=128 model_dtype=bf16 num_kv_heads=2 num_layers=4"},
		{`{"model_type": "jamba", "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 8}`,
			"conv_kernel=4 head_dim=128 layer_kinds=mmmmFmmm mamba_intermediate_size=8192 mamba_state_size=16 model_dtype=bf16 num_kv_heads=8 num_layers=8"},
		{`{"model_type": "bamba", "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 2, "attn_layer_indices": [1]}`,
			"conv_kernel=4 head_dim=128 layer_kinds=MF mamba_head_dim=64 mamba_num_groups=1 mamba_num_heads=128 mamba_state_size=256 model_dtype=bf16 num_kv_heads=8 num_layers=2"},
	} {
		m, err := l.Model(write(t, "config.json", test.text), nil)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if got := parameters(m); got != test.want {
			t.Errorf("%s is read as\n%s\nwant\n%s", test.text, got, test.want)
		}
	}
}

// TestVariedHeads reads a model from which an architecture search removed heads.
func TestVariedHeads(t *testing.T) {
	_, l := loader(t)
	m, err := l.Model("../config/testdata/hf/nvidia--Llama-3_3-Nemotron-Super-49B-v1.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	heads := map[string]int{}
	for _, n := range m.Params["layer_num_kv_heads"].Nums {
		heads[n.String()]++
	}
	if m.Arch.Name != "varied_attention" || heads["8"] != 49 || heads["0"] != 31 || len(heads) != 2 || m.Params["head_dim"].Text() != "128" {
		t.Errorf("%s with %v KV heads of %s elements, want varied_attention with 8 in 49 layers and none in 31, of 128", m.Arch.Name, heads, m.Params["head_dim"].Text())
	}
}

// small returns a configuration for a known family, with more fields added.
func small(more string) string {
	return `{
  "model_type": "llama",
  "num_hidden_layers": 2,
  "num_attention_heads": 8,
  "num_key_value_heads": 4,
  "hidden_size": 512` + more + `
}`
}

// TestFormats reads the number formats of the weights and the cache.
func TestFormats(t *testing.T) {
	_, l := loader(t)
	for _, test := range []struct{ more, cache, weights, said string }{
		{`, "torch_dtype": "bfloat16"`, "bf16", "bf16", ""},
		{`, "dtype": "float16"`, "fp16", "fp16", ""},
		{`, "torch_dtype": "torch.bfloat16"`, "bf16", "bf16", ""},
		{`, "torch_dtype": "float32"`, "bf16", "fp32", "config.json:7:18: the model is in float32, but engines run such models in 16 bits, so kvbench uses bf16 for the KV cache\nuse --kvcache_quant_mode fp32 if your engine runs the model in 32 bits"},
		{``, "bf16", "bf16", "config.json: does not set dtype, so kvbench uses bf16 for the KV cache\nuse --kvcache_quant_mode to override it"},
		{`, "dtype": null`, "bf16", "bf16", "config.json: does not set dtype, so kvbench uses bf16 for the KV cache\nuse --kvcache_quant_mode to override it"},
		{`, "dtype": "bfloat16", "quantization_config": {"quant_method": "fp8", "fmt": "e4m3"}`, "bf16", "fp8", ""},
		{`, "dtype": "bfloat16", "quantization_config": {"quant_method": "mxfp4"}`, "bf16", "mxfp4", ""},
		{`, "dtype": "float16", "quantization_config": {"quant_method": "awq", "bits": 4}`, "fp16", "int4", ""},
		{`, "dtype": "float16", "quantization_config": {"quant_method": "awq", "w_bit": 4}`, "fp16", "int4", ""},
		{`, "dtype": "float16", "quantization_config": {"quant_method": "gptq", "bits": 8}`, "fp16", "int8", ""},
		{`, "dtype": "bfloat16", "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": false}`, "bf16", "int4", ""},
		{`, "dtype": "bfloat16", "quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}}}`, "bf16", "fp8", ""},
		{`, "dtype": "bfloat16", "quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 32}}}}`, "bf16", "int4", ""},
		{`, "dtype": "bfloat16", "quantization_config": {"quant_method": "compressed-tensors", "format": "mxfp4-pack-quantized", "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "float", "group_size": 32}}}}`, "bf16", "mxfp4", ""},
		{`, "dtype": "bfloat16", "quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_scheme": {"num_bits": 8, "type": "float"}}`, "bf16", "nvfp4", ""},
		{`, "dtype": "bfloat16", "quantization_config": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}`, "bf16", "fp8",
			"config.json:7:92: engines ignore the KV cache format in this checkpoint, so kvbench uses the model's own format\nset --kvcache_quant_mode if your engine uses the checkpoint's format"},
		{`, "dtype": "bfloat16", "quantization_config": {"quant_method": "aqlm"}`, "bf16", "bf16",
			"config.json:7:64: unknown weight quantization, so kvbench uses the unquantized format\nuse --model_quant_mode to override it"},
		{`, "dtype": "bfloat16", "quantization_config": {"quant_method": "gptq", "bits": 3}`, "bf16", "bf16",
			"config.json:7:64: unknown weight quantization, so kvbench uses the unquantized format\nuse --model_quant_mode to override it"},
	} {
		// Each addition is on its own line.
		m, err := l.Model(write(t, "config.json", small(strings.Replace(test.more, ", ", ",\n  ", 1))), nil)
		if err != nil {
			t.Errorf("%s: %v", test.more, err)
			continue
		}
		if got := m.Defaults["kvcache_quant_mode"].Text(); got != test.cache {
			t.Errorf("%s: the cache is in %s, want %s", test.more, got, test.cache)
		}
		if got := m.Defaults["model_quant_mode"].Text(); got != test.weights {
			t.Errorf("%s: the weights are in %s, want %s", test.more, got, test.weights)
		}
		var said []string
		for _, name := range slices.Sorted(maps.Keys(m.Doubts)) {
			for _, d := range m.Doubts[name] {
				said = append(said, text(d))
			}
		}
		if got := strings.Join(said, "\n"); got != test.said {
			t.Errorf("%s: the messages are\n%s\nwant\n%s", test.more, got, test.said)
		}
	}
}

// TestSibling reads the quantization from a file next to the configuration.
func TestSibling(t *testing.T) {
	_, l := loader(t)
	file := write(t, "config.json", small(`, "dtype": "bfloat16"`))
	quant := filepath.Join(filepath.Dir(file), "hf_quant_config.json")
	put := func(text string) *model.Model {
		t.Helper()
		if err := os.WriteFile(quant, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := l.Model(filepath.Dir(file), nil)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := put(`{"producer": {"name": "modelopt"},
 "quantization": {"quant_algo": "FP8",
  "kv_cache_quant_algo": "FP8"}}`)
	if w, c := m.Defaults["model_quant_mode"], m.Defaults["kvcache_quant_mode"]; w.Text() != "fp8" || w.Origin.Pos != (diag.Pos{File: quant, Line: 2, Col: 33}) || c.Text() != "bf16" {
		t.Errorf("weights in %s from %s, the cache in %s", w.Text(), w.Origin, c.Text())
	}
	if c := m.Defaults["checkpoint_kvcache"]; c.Text() != "modelopt_fp8" || c.Origin.Pos != (diag.Pos{File: quant, Line: 3, Col: 26}) {
		t.Errorf("the format of the cache is %s, from %s", c.Text(), c.Origin)
	}
	if m := put(`{"quantization": `); len(m.Notes) != 1 || m.Notes[0].Severity != diag.Warning || m.Defaults["model_quant_mode"].Text() != "bf16" {
		t.Errorf("the notes for an unreadable file are %v", m.Notes)
	}
}

// TestUnknownTypes reads configurations of unknown families.
func TestUnknownTypes(t *testing.T) {
	_, l := loader(t)
	as := func(name, more string) string {
		return strings.Replace(small(more), `"llama"`, `"`+name+`"`, 1)
	}
	m, err := l.Model(write(t, "config.json", as("novel", `, "attention_bias": true, "use_sliding_window": false, "sliding_window": 4096, "layer_types": ["full_attention", "full_attention"], "rope_scaling": {"window": 3}, "kv_lora_rank": null`)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := parameters(m); got != "head_dim=64 num_kv_heads=4 num_layers=2" {
		t.Errorf("the parameters are %s", got)
	}
	if len(m.Notes) != 1 || text(m.Notes[0]) != `config.json:2:17: unknown model_type "novel": assuming full attention in every layer`+"\nto define how to read this model type, add a family to a --models folder" {
		t.Errorf("the notes are %v", m.Notes)
	}
	m, err = l.Model(write(t, "config.json", as("lllama", "")), nil)
	if err != nil || len(m.Notes) != 1 || !strings.Contains(text(m.Notes[0]), "\ndid you mean \"llama\"?\n") {
		t.Errorf("for a misspelled model_type, the message is %v (%v)", m.Notes, err)
	}
	_, err = l.Model(write(t, "config.json", as("gemma_2", `, "sliding_window": 4096`)), nil)
	if got := text(diag.All(err)[0]); !strings.Contains(got, "\ndid you mean \"gemma2\"?\n") {
		t.Errorf("for a misspelled model_type, the message is %v", got)
	}
	for _, more := range []string{
		`"kv_lora_rank": 512`, `"sliding_window": 4096`, `"layer_types": ["full_attention", "sliding_attention"]`, `"mamba_d_state": 16`,
		`"attn_layer_period": 8`, `"v_head_dim": 128`, `"num_kv_shared_layers": 2`, `"index_head_dim": 128`, `"compress_ratios": [0, 4]`,
		`"is_hybrid": true`, `"attention_chunk_size": 128`, `"ssm_cfg": {"layer": "Mamba2"}`, `"block_types": ["recurrent", "attention"]`,
		`"linear_attn_config": {"x": 1}`, `"swa_head_dim": 3`, `"encoder_layers": 3`, `"layer_kinds_list": [[1]]`,
		`"total_ut_steps": 4`, `"num_loops": 2`, `"mean_recurrence": 32`, `"use_bidirectional_attention": true`,
	} {
		_, err := l.Model(write(t, "config.json", as("novel", ", "+more)), nil)
		wantError(t, more, err, `config.json:2:17: unknown model_type "novel", and some fields affect the cache in a way kvbench does not understand: `)
	}
	_, err = l.Model(write(t, "config.json", small(`, "kv_sharing_stride": 2`)), nil)
	wantError(t, "a field that its family does not know", err, "config.json:6:44: some fields affect the cache in a way llama does not understand: kv_sharing_stride")
}

// TestBadCheckpoints reads invalid configurations.
func TestBadCheckpoints(t *testing.T) {
	_, l := loader(t)
	for _, test := range []struct{ text, want string }{
		{small(`, "x": `), "config.json:7:1: is not JSON: invalid character '}' looking for beginning of value"},
		{`{"model_type": "llama",`, "config.json:1:23: is not JSON: unexpected end of JSON input"},
		{`[{"model_type": "llama"}]`, "config.json: contains a list where name: value pairs are expected"},
		{`{"model_type": 3}`, "config.json:1:16: model_type: 3 is not allowed: expected a string"},
		{`{"model_type": null}`, "config.json:1:16: model_type: null is not allowed: expected a string"},
		{`{"model_type": {"a": 1}}`, "config.json:1:16: model_type: a mapping is not allowed: expected a string"},
		{`{"model_type": "llama"}`, "config.json: num_layers cannot be computed because the fields that it depends on are missing: num_hidden_layers, or n_layer"},
		{`{"model_type": "llama", "num_hidden_layers": null}`, "config.json:1:46: num_layers cannot be computed because the fields that it depends on are missing: num_hidden_layers (null), or n_layer"},
		{`{"model_type": "llama", "num_hidden_layers": NaN}`, "config.json:1:46: num_layers cannot be computed because the fields that it depends on are missing: num_hidden_layers (null), or n_layer"},
		{`{"model_type": "llama", "num_hidden_layers": 1000000000000000000000000000000}`, "config.json:1:46: num_hidden_layers: 1000000000000000000000000000000 is too large"},
		{`{"model_type": "llama", "num_hidden_layers": -1e400}`, "config.json:1:46: num_hidden_layers: -1e400 is too large"},
		{`{"model_type": "llama", "num_hidden_layers": 1.00000000000000000000000001}`, "config.json:1:46: num_hidden_layers: 1.00000000000000000000000001 has too many digits"},
		{small(`, "torch_dtype": 1000000000000000000000000000000`), "config.json:6:38: torch_dtype: 1000000000000000000000000000000 is too large"},
		{small(`, "model_type": "gemma2"`), "config.json:6:24: model_type is given twice, first on line 2"},
		{small(`, "rope_scaling": [{"a": 1, "a": 2}]`), "config.json:6:50: a is given twice, first on line 6"},
		{"\ufeff" + small(""), ""},
		{small(`, "quantization_config": "fp8"`), `config.json:6:46: quantization_config: "fp8" is not allowed: expected a mapping`},
		{small(`, "quantization_config": null`), ""},
		{small(`, "text_config": "x"`), `config.json:6:38: text_config: "x" is not allowed: expected a mapping`},
		{small(`, "text_config": null`), ""},
		{`{"model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": 0, "hidden_size": 64}`,
			"config.json:1:90: head_dim cannot be computed: division by zero: 64 / 0\nwith hidden_size = 64, num_attention_heads = 0\nthe formula is at models/families_"},
		{`{"model_type": "llama", "num_hidden_layers": "2", "num_attention_heads": 2, "hidden_size": 64}`,
			`config.json:1:46: num_layers: "2" is not allowed: expected a whole number, 1 or more`},
		{`{"model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": "8", "hidden_size": 64}`,
			`config.json:1:92: head_dim cannot be computed: "/" needs a number, not a string` + "\nwith hidden_size = 64, num_attention_heads = \"8\"\n"},
		{`{"model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": 45, "hidden_size": 64}`,
			"config.json:1:91: head_dim: 1.422222 is not allowed: expected a whole number, 1 or more\nhead_dim comes from hidden_size and num_attention_heads"},
		{`{"model_type": "llama", "num_hidden_layers": -2, "num_attention_heads": 8, "hidden_size": 64}`,
			"config.json:1:46: num_layers is -2: expected a whole number from 1 to 2000"},
		{`{"model_type": "llama", "num_hidden_layers": 1e9, "num_attention_heads": 8, "hidden_size": 64}`,
			"config.json:1:46: num_layers is 1000000000: expected a whole number from 1 to 2000"},
		{`{"model_type": "llama", "num_hidden_layers": [2], "num_attention_heads": 8, "hidden_size": 64}`,
			"config.json:1:46: num_layers: a list is not allowed: expected a whole number, 1 or more"},
		{`{"model_type": "llama", "num_hidden_layers": [2, "x"], "num_attention_heads": 8, "hidden_size": 64}`,
			"config.json:1:46: num_hidden_layers: a list cannot be read: num_layers needs a number, a string, true or false, or a list of numbers or strings"},
		{small(`, "dtype": "float99"`), `config.json:6:32: strategy.kvcache_quant_mode cannot be computed: formats has no "float99"`},
		{`{"model_type": "gpt_oss", "num_hidden_layers": 3, "num_key_value_heads": 8, "layer_types": ["full_attention", "sliding_attention"]}`,
			"config.json:1:92: layer_kinds cannot be computed: index 2 is out of range: the list has 2 elements, counted from 0\nin layer 2\nwith layer_types = [\"full_attention\", \"sliding_attention\"]\nthe formula is at models/families_shared.cue:"},
		{`{"model_type": "gpt_oss", "num_hidden_layers": 1, "num_key_value_heads": 8, "layer_types": ["full_attention", "sliding_attention"]}`,
			"config.json:1:92: layer_kinds cannot be computed: layer_types has 2 entries, but the model has 1 layer\nthe formula is at models/families_shared.cue:"},
		{`{"model_type": "gpt_oss", "num_hidden_layers": 2, "num_key_value_heads": 8, "layer_types": []}`,
			"config.json:1:92: layer_kinds cannot be computed: layer_types has 0 entries, but the model has 2 layers"},
		{`{"model_type": "llama4", "text_config": {"num_hidden_layers": 4, "num_attention_heads": 8, "head_dim": 8, "no_rope_layers": [1, 1, 1, 0, 1]}}`,
			"config.json:1:125: layer_kinds cannot be computed: no_rope_layers has 5 entries, but the model has 4 layers"},
		{`{"model_type": "llama4", "text_config": {"num_hidden_layers": 4, "num_attention_heads": 8, "head_dim": 8, "no_rope_layers": []}}`, ""},
		{`{"model_type": "nemotron_h", "num_hidden_layers": 2, "num_attention_heads": 8, "head_dim": 8, "hybrid_override_pattern": "M*M", "mamba_num_heads": 1, "mamba_head_dim": 1, "n_groups": 1, "ssm_state_size": 1, "conv_kernel": 1}`,
			"config.json:1:122: layer_kinds cannot be computed: hybrid_override_pattern has 3 entries, but the model has 2 layers"},
		{`{"model_type": "gemma4", "num_hidden_layers": 2, "num_kv_shared_layers": 3}`,
			"config.json:1:74: num_kv_shared_layers leaves no layer with a cache of its own\nwith num_kv_shared_layers = 3, num_hidden_layers = 2"},
		{`{"model_type": "gemma3n", "num_hidden_layers": 10}`,
			"config.json:1:48: num_kv_shared_layers leaves no layer with a cache of its own\nwith num_kv_shared_layers = 15, num_hidden_layers = 10"},
		{`{"model_type": "gemma3n", "num_hidden_layers": 2, "num_kv_shared_layers": 2}`,
			"config.json:1:75: num_kv_shared_layers leaves no layer with a cache of its own"},
		{`{"model_type": "gpt_oss", "num_hidden_layers": 2, "num_key_value_heads": 8, "layer_types": ["full_attention", "odd"]}`,
			`config.json:1:92: layer_kinds.1: "odd" is not allowed: expected one of full, sliding, chunked, none` + "\nlayer_kinds comes from layer_types"},
		{`{"model_type": "qwen2_moe", "use_sliding_window": true, "num_hidden_layers": 2, "num_attention_heads": 8, "hidden_size": 64}`,
			"config.json:1:51: kvbench does not know which layers of these models have a window"},
		{`{"model_type": "kimi_linear", "num_hidden_layers": 2, "kv_lora_rank": 512, "qk_rope_head_dim": 64, "linear_attn_config": {"kda_layers": [0], "full_attn_layers": [1], "num_heads": 4, "head_dim": 8, "short_conv_kernel_size": 4}}`,
			`config.json:1:137: layer_kinds.1: "not listed" is not allowed: expected one of `},
		// embedding models
		{small(`, "is_causal": false`), "config.json:6:36: a model that is not causal has no KV cache\nwith is_causal = false"},
		{`{"model_type": "qwen2", "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "hidden_size": 3584, "is_causal": false}`,
			"config.json:1:137: a model that is not causal has no KV cache"},
		{`{"model_type": "gemma3_text", "num_hidden_layers": 24, "num_attention_heads": 3, "num_key_value_heads": 1, "use_bidirectional_attention": true}`,
			"config.json:1:139: some fields affect the cache in a way gemma3 does not understand: use_bidirectional_attention"},
		{`{"model_type": "bert", "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768, "type_vocab_size": 2}`,
			"config.json:1:115: an encoder has no KV cache"},
		{`{"model_type": "bert", "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768, "type_vocab_size": 2, "is_decoder": true}`, ""},
		// unknown kinds of layers
		{`{"model_type": "qwen2", "num_hidden_layers": 2, "num_attention_heads": 28, "num_key_value_heads": 4, "hidden_size": 3584, "layer_types": ["full_attention", "linear_attention"]}`,
			"config.json:1:138: some layers are of an unknown kind"},
		{`{"model_type": "qwen2", "num_hidden_layers": 2, "num_attention_heads": 28, "num_key_value_heads": 4, "hidden_size": 3584, "sliding_window": null, "layer_types": ["full_attention", "sliding_attention"]}`, ""},
		{`{"model_type": "minimax_m1", "num_hidden_layers": 2, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128, "attn_type_list": [1, 2]}`,
			`config.json:1:142: layer_kinds.1: "not listed" is not allowed: expected one of `},
		{`{"model_type": "mimo_v2_flash", "num_hidden_layers": 6, "num_key_value_heads": 4, "head_dim": 192, "v_head_dim": 128, "swa_num_key_value_heads": 8, "sliding_window": 128, "hybrid_block_size": 6}`,
			`config.json: layer_kinds.0: "not listed" is not allowed: expected one of `},
		{`{"model_type": "gemma3_text", "sliding_window_pattern": null}`, `config.json: layer_kinds.0: "not listed" is not allowed: expected one of `},
		{`{"model_type": "deepseek_v2", "num_hidden_layers": 12, "num_attention_heads": 10, "num_key_value_heads": 10, "kv_lora_rank": 512, "qk_rope_head_dim": 64, "use_mla": false, "hidden_size": 1280}`,
			"config.json:1:126: use_mla is false, but latent vector sizes are set, and engines disagree about which of these applies"},
	} {
		_, err := l.Model(write(t, "config.json", test.text), nil)
		wantError(t, test.text, err, test.want)
	}
}

// TestPythonJSON reads values that Python writes but JSON does not allow.
func TestPythonJSON(t *testing.T) {
	_, l := loader(t)
	m, err := l.Model(write(t, "config.json", small(`, "a": NaN, "b": [0.0, Infinity], "c": -Infinity, "sliding_window": NaN, "s": "NaN \" Infinity", "attn_implementation": "x"`)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := parameters(m); got != "head_dim=64 num_kv_heads=4 num_layers=2" {
		t.Errorf("the parameters are %s", got)
	}
	_, err = l.Model(write(t, "m.json", `{"model_name": "QWEN3_8B", "num_layers": NaN}`), nil)
	wantError(t, "a parameter file with NaN", err, "m.json:1:42: is not JSON: invalid character 'N' looking for beginning of value")
}

// TestCheckpointNames checks that models are named after the location of their
// configurations.
func TestCheckpointNames(t *testing.T) {
	_, l := loader(t)
	for name, want := range map[string]string{
		"Qwen3-8B/config.json":       "Qwen3-8B",
		"Qwen--Qwen3-8B/config.json": "Qwen3-8B",
		"Qwen--Qwen3-8B.json":        "Qwen3-8B",
		"Qwen--Qwen3-8B_config.json": "Qwen3-8B",
		"my_model.json":              "my_model",
		"models--Qwen--Qwen3-8B/snapshots/0123456789abcdef0123456789abcdef01234567/config.json": "Qwen3-8B",
		"--.json": "llama",
	} {
		m, err := l.Model(write(t, name, small("")), nil)
		if err != nil || m.Name != want {
			t.Errorf("%s is named %q, want %q (%v)", name, m.Name, want, err)
		}
	}
}

// TestUserFamilies reads configurations whose families are defined in a user's folder.
func TestUserFamilies(t *testing.T) {
	_, l := loader(t)
	config := write(t, "config.json", `{"model_type": "novel", "depth": 3, "kv": {"heads": 2}, "width": 64, "window": [1, 0, 1]}`)
	dir := filepath.Dir(write(t, "novel.cue", `
novel: {
	model_types: ["novel"]
	architecture: "attention"
	params: {
		num_layers:     "depth"
		num_kv_heads:   "kv_heads"
		head_dim:       ["head_size", "width / 4"]
		sliding_window: {when: "max(window) > 0", value: "64"}
		layer_kinds: each: "window[layer] > 0 ? 'sliding' : 'full'"
	}
}
`))
	_, err := l.Model(config, nil)
	wantError(t, "without the folder", err, `config.json:1:16: unknown model_type "novel", and some fields affect the cache in a way kvbench does not understand: kv_heads, window`)
	m, err := l.Model(config, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := parameters(m); got != "head_dim=16 layer_kinds=SFS num_kv_heads=2 num_layers=3 sliding_window=64" {
		t.Errorf("the parameters are %s", got)
	}
	// A file that defines both a family and a model is read twice: as the model, and as one of
	// the files in the folder.
	both := write(t, "both.cue", "both: {model_types: [\"both\"], architecture: \"attention\", params: {num_layers: \"a\", num_kv_heads: \"b\", head_dim: \"c\"}}\n"+
		"model: {model_name: \"x\", architecture: \"attention\", num_layers: 1, num_kv_heads: 1, head_dim: 1}\n")
	if _, err := l.Model(both, []string{filepath.Dir(both)}); err != nil {
		t.Error(err)
	}
	for _, test := range []struct{ text, want string }{
		{"a: {model_types: [\"llama\"], architecture: \"attention\", params: {num_layers: \"x\", num_kv_heads: \"x\", head_dim: \"x\"}}",
			`a.cue:1:43: a: model_type "llama" already belongs to llama (models/families_plain.cue)`},
		{"a: {model_types: [\"novel\"], architecture: \"atention\", params: {}}",
			"a.cue:1:43: a: architecture: no architecture is named \"atention\"\ndid you mean \"attention\"?"},
		{"a: {model_types: [\"novel\"], architecture: \"attention\", params: {num_layers: \"depth\", num_kv_head: \"kv_heads\", head_dim: \"x\"}}",
			"a.cue:1:100: a: attention has no parameter num_kv_head\ndid you mean \"num_kv_heads\"?"},
		{"a: {model_types: [\"novel\"], architecture: \"attention\", params: {num_layers: \"depth +\", num_kv_heads: \"kv_heads\", head_dim: \"x\"}}",
			"a.cue:1:85: formula of num_layers: unexpected end of formula"},
		{"a: {model_types: [\"novel\"], architecture: \"attention\", params: {num_layers: \"ceiling(depth)\", num_kv_heads: \"kv_heads\", head_dim: \"x\"}}",
			"a.cue:1:78: formula of num_layers: unknown function \"ceiling\"\nuse floor(), ceil() or div()"},
		{"a: {model_types: [\"novel\"], architecture: \"attention\", params: {num_layers: \"depth\", head_dim: \"x\"}}",
			"a.cue:1:43: a: does not define num_kv_heads, which attention requires"},
		{"a: {model_types: [\"novel\"], architecture: \"attention\", parms: {}}", "a.cue:1:56: parms: unknown field\ndid you mean \"params\"?"},
		{"a: {model_type: [\"novel\"], architecture: \"attention\", params: {}}", "a.cue:1:5: model_type: unknown field\ndid you mean \"model_types\"?"},
		{"a: {model_types: [\"novel\"], architecture: \"attention\", params: num_layers: 3}", "a.cue:1:64: params.num_layers: expected a formula, in quotes; {value: \"…\"} or {each: \"…\"}, with or without when: \"…\"; or a list of these"},
	} {
		dir := filepath.Dir(write(t, "a.cue", test.text))
		_, err := l.Model(config, []string{dir})
		wantError(t, test.text, err, test.want)
	}
}

// TestOrElse checks that the value of x ?? y is y if the field x is missing or null, and that
// the formula is still used.
func TestOrElse(t *testing.T) {
	_, l := loader(t)
	dir := filepath.Dir(write(t, "novel.cue", `
novel: {
	model_types: ["novel"]
	architecture: "attention"
	absent: parts: "given(pieces) ? pieces : 4"
	params: {
		num_layers:   "depth ?? n_layer ?? 2"
		num_kv_heads: ["kv_heads ?? heads", "1"]
		head_dim:     "head_size ?? (width / parts)"
		sliding_window: {when: "(use_window ?? false) and (model_format ?? '') == 'fp16'", value: "window ?? 64"}
		layer_kinds: each: "layer in (full_layers ?? [0]) ? 'full' : 'sliding'"
	}
	harmless: local_size: "local_size == (window ?? local_size)"
}
`))
	for fields, want := range map[string]string{
		`"width": 64`:              "head_dim=16 layer_kinds=FS num_kv_heads=1 num_layers=2",
		`"width": 64, "pieces": 2`: "head_dim=32 layer_kinds=FS num_kv_heads=1 num_layers=2",
		`"head_size": 8`:           "head_dim=8 layer_kinds=FS num_kv_heads=1 num_layers=2",
		`"head_size": 8, "heads": 6, "n_layer": 3, "depth": null`:                                "head_dim=8 layer_kinds=FSS num_kv_heads=6 num_layers=3",
		`"head_size": 8, "heads": 6, "n_layer": 3, "depth": 1, "kv_heads": 5`:                    "head_dim=8 layer_kinds=F num_kv_heads=5 num_layers=1",
		`"head_size": 8, "full_layers": [1]`:                                                     "head_dim=8 layer_kinds=SF num_kv_heads=1 num_layers=2",
		`"head_size": 8, "full_layers": []`:                                                      "head_dim=8 layer_kinds=FS num_kv_heads=1 num_layers=2",
		`"head_size": 8, "use_window": true, "dtype": "float16"`:                                 "head_dim=8 layer_kinds=FS num_kv_heads=1 num_layers=2 sliding_window=64",
		`"head_size": 8, "use_window": true, "dtype": "float16", "window": 32, "local_size": 32`: "head_dim=8 layer_kinds=FS num_kv_heads=1 num_layers=2 sliding_window=32",
		`"head_size": 8, "use_window": true`:                                                     "head_dim=8 layer_kinds=FS num_kv_heads=1 num_layers=2",
		`"head_size": 8, "local_size": 7`:                                                        "head_dim=8 layer_kinds=FS num_kv_heads=1 num_layers=2",
		`"width": 64, "parts": 1`:                                                                "head_dim=64 layer_kinds=FS num_kv_heads=1 num_layers=2",
	} {
		m, err := l.Model(write(t, "config.json", `{"model_type": "novel", `+fields+`}`), []string{dir})
		if err != nil {
			t.Errorf("%s: %v", fields, err)
		} else if got := parameters(m); got != want {
			t.Errorf("%s is read as\n%s\nwant\n%s", fields, got, want)
		}
	}
	for fields, want := range map[string]string{
		`"heads": 2`:                                   "config.json: head_dim cannot be computed because the fields that it depends on are missing: head_size and width",
		`"heads": 2, "head_size": null`:                "config.json:1:50: head_dim cannot be computed because the fields that it depends on are missing: head_size (null) and width",
		`"head_size": 8, "depth": [1, "x"]`:            "config.json:1:50: depth: a list cannot be read: num_layers needs",
		`"head_size": 8, "full_layers": "x"`:           `config.json:1:56: layer_kinds cannot be computed: "in" needs a list, not a string` + "\nwrite 'text contains part'\nwith full_layers = \"x\"\nthe formula is at ",
		`"head_size": 8, "window": 1, "local_size": 7`: "config.json:1:68: some fields affect the cache in a way novel does not understand: local_size",
	} {
		_, err := l.Model(write(t, "config.json", `{"model_type": "novel", `+fields+`}`), []string{dir})
		wantError(t, fields, err, want)
	}
}

// FuzzCheckpoint checks that no configuration makes the reader panic or run for a long time.
// If a configuration is accepted, the model must have the parameters that its architecture
// needs, and each parameter must have an origin.
func FuzzCheckpoint(f *testing.F) {
	files, _ := filepath.Glob("../config/testdata/hf/*.json")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"model_type": "llama", "num_hidden_layers": 1e5, "layer_types": NaN, "a.b": {"": [{}, {"x": [1]}]}}`))
	f.Add([]byte(`{"model_type": "jamba", "text_config": {"text_config": {"model_type": "llama"}}, "quantization_config": [{"bits": true}, {"bits": "x"}]}`))
	f.Add([]byte(`{"model_type": "llama", "x": ` + deep(150, `[{"a":`, "1", "}]") + "}"))
	f.Add([]byte(`{"model_type": "llama", "num_hidden_layers": 2, "rows": [{"a": 1}, {"b": 2}, {"c": [{"d": 1}]}]}`))
	_, l := loader(f)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(dir, "config.json")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := l.Model(file, nil)
		if err != nil {
			checkError(t, err)
			return
		}
		for i := range m.Arch.Params {
			p := &m.Arch.Params[i]
			if v, ok := m.Params[p.Name]; p.Required && !ok || ok && v.Origin.Pos.File == "" {
				t.Errorf("%s is %v, from %q", p.Name, v.Value, v.Origin.Pos.File)
			}
		}
	})
}
