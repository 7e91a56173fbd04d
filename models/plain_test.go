package models_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/diag"
	"kvbench/engine/model"
	"kvbench/engine/schema"
	"kvbench/models"
)

// TestPlain reads the relevant fields of published configurations. The expected bytes per
// token are layers * heads * (K + V) * 2.
func TestPlain(t *testing.T) {
	for name, c := range map[string]struct {
		config      string
		kv, growing int64
	}{
		"gpt-j-6b":   {`"model_type": "gptj", "n_embd": 4096, "n_head": 16, "n_layer": 28, "rotary_dim": 64`, 458752, 458752},
		"gpt2":       {`"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 12`, 36864, 36864},
		"gpt-neo":    {`"model_type": "gpt_neo", "hidden_size": 2048, "num_heads": 16, "num_layers": 24, "window_size": 256, "attention_types": [[["global", "local"], 12]]`, 196608, 196608},
		"bloom-560m": {`"model_type": "bloom", "n_embed": 1024, "num_attention_heads": 16, "n_layer": 24, "offset_alibi": 100`, 98304, 98304},
		"bloom-7b1":  {`"model_type": "bloom", "hidden_size": 4096, "n_head": 32, "n_layer": 30`, 491520, 491520},
		"opt-350m":   {`"model_type": "opt", "hidden_size": 1024, "num_attention_heads": 16, "num_hidden_layers": 24, "word_embed_proj_dim": 512, "do_layer_norm_before": false`, 98304, 98304},
		"phi-2":      {`"model_type": "phi", "hidden_size": 2560, "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32, "partial_rotary_factor": 0.4`, 327680, 327680},
		"phi-1.5":    {`"model_type": "phi-msft", "n_embd": 2048, "n_head": 32, "n_head_kv": null, "n_layer": 24`, 196608, 196608},
		"mpt-7b":     {`"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "attn_config": {"attn_type": "multihead_attention", "attn_impl": "torch", "alibi": true, "prefix_lm": false}`, 524288, 524288},
		"mpt-mqa":    {`"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "attn_config": {"attn_type": "multiquery_attention"}`, 16384, 16384},
		"dbrx":       {`"model_type": "dbrx", "d_model": 6144, "n_heads": 48, "n_layers": 40, "attn_config": {"kv_n_heads": 8, "clip_qkv": 8}, "ffn_config": {"moe_num_experts": 16}`, 163840, 163840},
		"chatglm-6b": {`"model_type": "chatglm", "hidden_size": 4096, "num_attention_heads": 32, "num_layers": 28`, 458752, 458752},
		"glm-4-9b":   {`"model_type": "chatglm", "hidden_size": 4096, "num_attention_heads": 32, "num_layers": 40, "kv_channels": 128, "multi_query_attention": true, "multi_query_group_num": 2`, 40960, 40960},
		"glm-4-0414": {`"model_type": "glm4", "hidden_size": 6144, "head_dim": 128, "num_attention_heads": 48, "num_key_value_heads": 2, "num_hidden_layers": 61`, 62464, 62464},
		"qwen-7b":    {`"model_type": "qwen", "hidden_size": 4096, "kv_channels": 128, "num_attention_heads": 32, "num_hidden_layers": 32, "use_logn_attn": true`, 524288, 524288},
		"starcoder":  {`"model_type": "gpt_bigcode", "n_embd": 6144, "n_head": 48, "n_layer": 40, "multi_query": true`, 20480, 20480},
		"bigcode":    {`"model_type": "gpt_bigcode", "n_embd": 2048, "n_head": 16, "n_layer": 24, "multi_query": false`, 196608, 196608},
		"phi-3.5-vision": {`"model_type": "phi3_v", "hidden_size": 3072, "num_attention_heads": 32, "num_key_value_heads": 32, "num_hidden_layers": 32, "max_position_embeddings": 131072,
			"sliding_window": 262144, "img_processor": {"num_img_tokens": 144, "layer_idx": -2}, "embd_layer": {"hd_transform_order": "sub_glb"}`, 393216, 393216},
		"phimoe":             {`"model_type": "phimoe", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 32, "max_position_embeddings": 131072, "sliding_window": 131072`, 131072, 131072},
		"phimoe-short":       {`"model_type": "phimoe", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 32, "max_position_embeddings": 131072, "sliding_window": 2047`, 131072, 0},
		"llava-1.5-7b":       {`"model_type": "llava", "image_token_index": 32000, "vision_feature_layer": -2, "text_config": {"model_type": "llama", "max_position_embeddings": 4096}, "vision_config": {"num_hidden_layers": 24, "num_attention_heads": 16}`, 524288, 524288},
		"llava-v1.6-mistral": {`"model_type": "llava_next", "text_config": {"model_type": "mistral", "num_key_value_heads": 8, "sliding_window": null}`, 131072, 131072},
		"llava-onevision": {`"model_type": "llava_onevision", "text_config": {"model_type": "qwen2", "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4, "num_hidden_layers": 28,
			"max_window_layers": 28, "sliding_window": 131072, "use_sliding_window": false}`, 57344, 57344},
		"qwen3-asr": {`"model_type": "qwen3_asr", "thinker_config": {"model_type": "qwen3_asr_thinker", "audio_config": {"encoder_layers": 24, "encoder_attention_heads": 16, "num_hidden_layers": 24},
			"text_config": {"hidden_size": 2048, "head_dim": 128, "num_attention_heads": 16, "num_key_value_heads": 8, "num_hidden_layers": 28}}`, 114688, 114688},
		"p-eagle": {`"model_type": "llama", "hidden_size": 4096, "head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 4, "max_window_layers": 36, "sliding_window": null, "use_sliding_window": false`, 16384, 16384},
		"dspark": {`"model_type": "qwen3", "block_size": 7, "num_target_layers": 36, "hidden_size": 2560, "head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 5,
			"dflash_config": {"attention_mode": "gqa", "mask_token_id": 151669, "target_layer_ids": [1, 9, 17, 25, 33], "projector_type": "dspark", "markov_head_type": "vanilla"}`, 20480, 20480},
		"domino": {`"model_type": "qwen3", "block_size": 16, "num_target_layers": 36, "hidden_size": 4096, "head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 5,
			"dflash_config": {"mask_token_id": 151669, "target_layer_ids": [1, 9, 17, 25, 33], "projector_type": "domino", "gru_hidden_dim": 1024}`, 20480, 20480},
		"hunyuan-eagle3": {`"model_type": "llama", "hidden_size": 4096, "head_dim": 128, "attention_head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 1, "use_cla": false, "cla_share_factor": 2`, 4096, 4096},
		"speculators": {`"model_type": "speculator_model", "speculators_model_type": "eagle3", "speculators_config": {"proposal_methods": [{"proposal_type": "greedy"}], "verifier": {"name_or_path": "meta-llama/Llama-3.1-8B-Instruct"}},
			"eagle_aux_hidden_state_layer_ids": [2, 16, 29], "transformer_layer_config": {"model_type": "llama", "hidden_size": 4096, "head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 1}`, 4096, 4096},
		"olmo-3.1-32b": {`"model_type": "olmo3", "hidden_size": 5120, "num_attention_heads": 40, "num_key_value_heads": 8, "num_hidden_layers": 64, "sliding_window": 4096`, 262144, 65536},
		"olmo-3-7b":    {`"model_type": "olmo3", "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 4, "sliding_window": 4096, "layer_types": ["sliding_attention", "full_attention", "full_attention", "full_attention"]`, 65536, 49152},
		"cwm":          {`"model_type": "cwm", "hidden_size": 6144, "head_dim": 128, "num_attention_heads": 48, "num_key_value_heads": 8, "num_hidden_layers": 64, "sliding_window": 8192`, 262144, 65536},
		"exaone-4.0":   {`"model_type": "exaone4", "hidden_size": 5120, "head_dim": 128, "num_attention_heads": 40, "num_key_value_heads": 8, "num_hidden_layers": 64, "sliding_window": 4096, "sliding_window_pattern": "LLLG"`, 262144, 65536},
		"exaone-4.0-1.2b": {`"model_type": "exaone4", "hidden_size": 2048, "head_dim": 64, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 3, "sliding_window": null, "sliding_window_pattern": null,
			"layer_types": ["full_attention", "full_attention", "full_attention"]`, 6144, 6144},
		"exaone-3.5-7.8b": {`"model_type": "exaone", "hidden_size": 4096, "head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 8, "num_layers": 32`, 131072, 131072},
		"hunyuan-7b":      {`"model_type": "hunyuan_v1_dense", "hidden_size": 4096, "head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 32, "use_cla": false, "cla_share_factor": 2`, 131072, 131072},
		"hunyuan-a13b":    {`"model_type": "hunyuan_v1_moe", "hidden_size": 4096, "attention_head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 32, "num_shared_expert": [1, 1]`, 131072, 131072},
		"seed-oss-36b":    {`"model_type": "seed_oss", "hidden_size": 5120, "head_dim": 128, "num_attention_heads": 80, "num_key_value_heads": 8, "num_hidden_layers": 64`, 262144, 262144},
		"ernie-4.5-0.3b":  {`"model_type": "ernie4_5", "hidden_size": 1024, "head_dim": 128, "num_attention_heads": 16, "num_key_value_heads": 2, "num_hidden_layers": 18`, 18432, 18432},
		"ernie-4.5-21b":   {`"model_type": "ernie4_5_moe", "hidden_size": 2560, "num_attention_heads": 20, "num_key_value_heads": 4, "num_hidden_layers": 28, "moe_layer_start_index": 1`, 57344, 57344},
		"glm-4.7-flash":   {`"model_type": "glm4_moe_lite", "num_hidden_layers": 47, "num_key_value_heads": 20, "kv_lora_rank": 512, "q_lora_rank": 768, "qk_nope_head_dim": 192, "qk_rope_head_dim": 64, "v_head_dim": 256`, 54144, 54144},
		"smollm3-3b":      {`"model_type": "smollm3", "hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 4, "num_hidden_layers": 36, "no_rope_layers": [1, 1, 1, 0], "no_rope_layer_interval": 4, "use_sliding_window": false`, 73728, 73728},
		"afm-4.5b":        {`"model_type": "arcee", "hidden_size": 2560, "head_dim": 128, "num_attention_heads": 20, "num_key_value_heads": 4, "num_hidden_layers": 36`, 73728, 73728},
		"apertus-8b":      {`"model_type": "apertus", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 32, "qk_norm": true`, 131072, 131072},
		"gemma-7b":        {`"model_type": "gemma", "hidden_size": 3072, "num_attention_heads": 16, "num_key_value_heads": 16, "num_hidden_layers": 28`, 458752, 458752},
		"unknown":         {`"model_type": "novel", "architectures": ["NovelLMHeadModel"], "n_embd": 2048, "n_head": 16, "n_layer": 24`, 196608, 196608},
		"unknown-chat":    {`"model_type": "novel_chat", "architectures": ["NovelChatModel"], "llm_config": {"model_type": "novel", "hidden_size": 2048, "num_attention_heads": 16, "num_hidden_layers": 24}`, 196608, 196608},
		"exaone-4.5": {`"model_type": "exaone4_5", "text_config": {"model_type": "exaone4_5_text", "_num_mtp_layers": 1, "mtp_share_layers": true, "hidden_size": 5120, "num_attention_heads": 40, "num_key_value_heads": 8,
			"num_hidden_layers": 64, "sliding_window": 4096, "sliding_window_pattern": "LLLG"}`, 262144, 65536},
		"qwen3-omni": {`"model_type": "qwen3_omni_moe", "talker_config": {"text_config": {"num_hidden_layers": 20, "num_key_value_heads": 2}, "code_predictor_config": {"max_window_layers": 28}},
			"thinker_config": {"seconds_per_chunk": 2, "text_config": {"model_type": "qwen3_omni_moe_text", "hidden_size": 2048, "head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 4, "num_hidden_layers": 48}}`, 98304, 98304},
		"trinity-mini": {`"model_type": "afmoe", "head_dim": 128, "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 4, "num_hidden_layers": 32, "num_dense_layers": 2,
			"global_attn_every_n_layers": 4, "sliding_window": 2048`, 65536, 16384},
		"laguna-xs": {`"model_type": "laguna", "head_dim": 128, "hidden_size": 2048, "num_attention_heads": 48, "num_key_value_heads": 8, "num_hidden_layers": 4, "sliding_window": 512,
			"layer_types": ["full_attention", "sliding_attention", "sliding_attention", "sliding_attention"], "num_attention_heads_per_layer": [48, 64, 64, 64]`, 16384, 4096},
		// The first and the last layer attend to all tokens.
		"cwm-as-llama": {`"model_type": "llama", "head_dim": 128, "hidden_size": 6144, "num_attention_heads": 48, "num_key_value_heads": 8, "num_hidden_layers": 3, "sliding_window": 8192,
			"layer_types": ["full_attention", "sliding_attention", "full_attention"]`, 12288, 8192},
		"exaone-4.5-fp8": {`"model_type": "exaone4_5_text", "hidden_size": 5120, "head_dim": 128, "num_attention_heads": 40, "num_key_value_heads": 8, "num_hidden_layers": 2, "sliding_window": 4096,
			"layer_types": ["sliding_attention", "full_attention", "full_attention"]`, 8192, 4096},
		"command-a-vision": {`"model_type": "cohere2_vision", "text_config": {"model_type": "cohere2", "head_dim": 128, "hidden_size": 12288, "num_attention_heads": 96, "num_key_value_heads": 8, "num_hidden_layers": 64,
			"sliding_window": 4096, "_sliding_window_pattern": 4}`, 262144, 65536},
		"mistral-small-4": {`"model_type": "mistral3", "text_config": {"model_type": "mistral4", "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 32, "kv_lora_rank": 256, "q_lora_rank": 1024,
			"qk_head_dim": 128, "qk_nope_head_dim": 64, "qk_rope_head_dim": 64, "v_head_dim": 128}`, 23040, 23040},
		// The window is as long as the longest request.
		"ministral-8b": {`"model_type": "mistral", "head_dim": 128, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 2, "max_position_embeddings": 32768,
			"sliding_window": 32768, "layer_types": ["full_attention", "sliding_attention"]`, 8192, 8192},
		"ministral-long": {`"model_type": "mistral", "head_dim": 128, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 2, "max_position_embeddings": 131072,
			"sliding_window": 32768, "layer_types": ["full_attention", "sliding_attention"]`, 8192, 4096},
		"minimax-m2-awq": {`"model_type": "mixtral", "head_dim": 128, "hidden_size": 3072, "num_attention_heads": 48, "num_key_value_heads": 8, "num_hidden_layers": 2, "sliding_window": null, "attn_type_list": [1, 1]`, 8192, 8192},
		"granite-speech": {`"model_type": "granite_speech", "has_lora_adapter": true, "window_size": 15, "encoder_config": {"context_size": 200, "conv_kernel_size": 15, "num_heads": 8, "num_layers": 10},
			"text_config": {"model_type": "granite", "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 40}`, 81920, 81920},
		"smolvlm":       {`"model_type": "idefics3", "text_config": {"model_type": "llama", "_flash_attn_2_enabled": true, "hidden_size": 960, "head_dim": 64, "num_attention_heads": 15, "num_key_value_heads": 5, "num_hidden_layers": 32}`, 40960, 40960},
		"janus-pro-7b":  {`"model_type": "janus", "text_config": {"model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 30}, "vq_config": {"latent_channels": 256, "num_hidden_layers": 2}`, 491520, 491520},
		"llava-video":   {`"model_type": "llava_next_video", "spatial_pool_stride": 2, "text_config": {"model_type": "llama"}`, 524288, 524288},
		"ernie-4.5-vl":  {`"model_type": "ernie4_5_moe_vl", "hidden_size": 2560, "num_attention_heads": 20, "num_key_value_heads": 4, "num_hidden_layers": 28, "spatial_conv_size": 2, "temporal_conv_size": 2`, 57344, 57344},
		"hy3":           {`"model_type": "hy_v3", "head_dim": 128, "hidden_size": 4096, "num_attention_heads": 64, "num_key_value_heads": 8, "num_hidden_layers": 80, "enable_lm_head_fp32": true`, 327680, 327680},
		"nemotron-mini": {`"model_type": "nemotron", "hidden_size": 3072, "kv_channels": 128, "num_attention_heads": 24, "num_key_value_heads": 8, "num_hidden_layers": 32`, 131072, 131072},
		"xglm":          {`"model_type": "xglm", "d_model": 1024, "attention_heads": 16, "num_layers": 24`, 98304, 98304},
		"paddleocr-vl":  {`"model_type": "paddleocr_vl", "head_dim": 128, "hidden_size": 1024, "num_attention_heads": 16, "num_key_value_heads": 2, "num_hidden_layers": 18, "compression_ratio": 1.0, "ignored_index": -100`, 18432, 18432},
		"deepseek-ocr": {`"model_type": "deepseek_vl_v2", "language_config": {"model_type": "deepseek_v2", "use_mla": false, "kv_lora_rank": null, "qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "v_head_dim": 0, "hidden_size": 1280,
			"num_attention_heads": 10, "num_key_value_heads": 10, "num_hidden_layers": 12}`, 61440, 61440},
		"molmo-7b-d": {`"model_type": "molmo", "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4, "num_hidden_layers": 28, "attention_layer_norm": false, "layer_norm_type": "rms"`, 57344, 57344},
		"internvl2-2b": {`"model_type": "internvl_chat", "select_layer": -1, "llm_config": {"model_type": "internlm2", "hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 8, "num_hidden_layers": 24},
			"vision_config": {"num_hidden_layers": 24, "num_attention_heads": 16}`, 98304, 98304},
		"minicpm-v-4": {`"model_type": "minicpmv", "hidden_size": 2560, "head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 2, "num_hidden_layers": 32, "query_num": 64, "slice_config": {"max_slice_nums": 9}`, 32768, 32768},
		"qwen2.5-omni": {`"model_type": "qwen2_5_omni", "talker_config": {"num_hidden_layers": 24, "num_key_value_heads": 4, "head_dim": 128}, "token2wav_config": {"dit_config": {"num_hidden_layers": 22}},
			"thinker_config": {"model_type": "qwen2_5_omni_thinker", "audio_config": {"encoder_layers": 32}, "text_config": {"model_type": "qwen2_5_omni_text", "hidden_size": 3584, "num_attention_heads": 28,
			"num_key_value_heads": 4, "num_hidden_layers": 28, "max_window_layers": 28, "sliding_window": 32768, "use_sliding_window": false}}`, 57344, 57344},
		"eagle-3": {`"model_type": "llama", "architectures": ["LlamaForCausalLMEagle3"], "eagle_config": {"eagle_aux_hidden_state_layer_ids": [1, 17, 33]}, "hidden_size": 2880, "head_dim": 64, "num_attention_heads": 64,
			"num_key_value_heads": 8, "num_hidden_layers": 1, "draft_vocab_size": 32000`, 2048, 2048},
		"dflash": {`"model_type": "qwen3", "architectures": ["DFlashDraftModel"], "block_size": 16, "num_target_layers": 64, "dflash_config": {"mask_token_id": 248070, "target_layer_ids": [1, 16, 31, 46, 61]}, "hidden_size": 5120,
			"head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 5, "sliding_window": 2048, "use_sliding_window": true, "max_window_layers": 5,
			"layer_types": ["sliding_attention", "sliding_attention", "sliding_attention", "sliding_attention", "full_attention"]`, 20480, 4096},
		// Keys have 96 elements, and values are padded to 96 elements.
		"minicpm3-4b": {`"model_type": "minicpm3", "hidden_size": 2560, "num_attention_heads": 40, "num_key_value_heads": 40, "num_hidden_layers": 62, "q_lora_rank": 768, "kv_lora_rank": 256, "qk_nope_head_dim": 64,
			"qk_rope_head_dim": 32`, 952320, 952320},
		"phi-4-mini": {`"model_type": "phi4", "hidden_size": 3072, "num_attention_heads": 24, "num_key_value_heads": 8, "num_hidden_layers": 32, "max_position_embeddings": 131072, "sliding_window": 262144,
			"full_attn_mod": 1`, 131072, 131072},
		"llama-4": {`"model_type": "llama4", "text_config": {"model_type": "llama4_text", "hidden_size": 5120, "head_dim": 128, "num_attention_heads": 40, "num_key_value_heads": 8, "num_hidden_layers": 48,
			"attention_chunk_size": 8192, "nope_layer_interval": 4}`, 196608, 49152},
		"transformers.js": {`"model_type": "llama", "hidden_size": 960, "num_attention_heads": 15, "num_key_value_heads": 5, "num_hidden_layers": 32, "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}}`, 40960, 40960},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, name, `"vocab_size": 32000, "torch_dtype": "bfloat16", `+c.config)
			check(t, file, cacheBytes{name, c.kv, c.growing, 0}, "")
		})
	}
}

// TestRefused checks that models without a cache, and models whose cache kvbench cannot
// compute, are rejected with the right reason.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ config, want string }{
		"hunyuan-large": {`"model_type": "hunyuan", "hidden_size": 6400, "num_attention_heads": 80, "num_key_value_heads": 8, "num_hidden_layers": 64, "use_cla": true, "cla_share_factor": 2`,
			"some layers use the keys and values of another layer (use_cla)"},
		"qwen-int8": {`"model_type": "qwen", "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32, "use_cache_quantization": true`, "this model's own int8 cache"},
		"t5":        {`"model_type": "t5", "d_model": 512, "d_kv": 64, "num_heads": 8, "num_layers": 6, "num_decoder_layers": 6, "is_encoder_decoder": true`, "d_kv, num_decoder_layers"},
		"vit":       {`"model_type": "vit", "hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12, "image_size": 224, "patch_size": 16`, "an image encoder"},
		"clip":      {`"model_type": "clip_vision_model", "hidden_size": 1024, "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14`, "an image encoder"},
		"esm":       {`"model_type": "esm", "architectures": ["EsmForMaskedLM"], "hidden_size": 1280, "num_attention_heads": 20, "num_hidden_layers": 33, "vocab_size": 33`, "generates no text"},
		"siglip":    {`"model_type": "siglip", "architectures": ["SiglipModel"], "text_config": {"hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12, "vocab_size": 32000}`, "generates no text"},
		"siglip-2":  {`"model_type": "siglip", "text_config": {"model_type": "siglip_text_model", "hidden_size": 1152, "num_attention_heads": 16, "num_hidden_layers": 27, "vocab_size": 256000}, "vision_config": {"image_size": 384}`, "an encoder has no KV cache"},
		"eurobert":  {`"model_type": "eurobert", "architectures": ["EuroBertForSequenceClassification"], "hidden_size": 768, "num_attention_heads": 12, "num_key_value_heads": 12, "num_hidden_layers": 12, "vocab_size": 128256`, "an encoder has no KV cache"},
		"tagger":    {`"model_type": "novel", "architectures": ["NovelForTokenClassification"], "hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12, "vocab_size": 32000`, "generates no text"},
		"kv-width":  {`"model_type": "nemotron", "hidden_size": 3072, "kv_channels": 96, "num_attention_heads": 24, "num_key_value_heads": 8, "num_hidden_layers": 32`, "kv_channels"},
		"speech-t5": {`"model_type": "granite_speech", "text_config": {"model_type": "t5", "hidden_size": 512, "num_attention_heads": 8, "num_hidden_layers": 6}`, "kvbench does not support the language model inside this model"},
		"llama-window": {`"model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 2, "sliding_window": 4096, "layer_types": ["full_attention", "full_attention"]`,
			"sliding_window"},
		"bart-like": {`"model_type": "novel", "hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12, "is_encoder_decoder": true`, "what this decoder stores for its encoder"},
		"mpt-window": {`"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "attn_config": {"attn_type": "grouped_query_attention", "kv_n_heads": 8, "sliding_window_size": 4096}`,
			"attn_config_sliding_window_size"},
		"mpt-odd":      {`"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "attn_config": {"attn_type": "linear"}`, "a kind of attention that kvbench does not know"},
		"mpt-gqa":      {`"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "attn_config": {"attn_type": "grouped_query_attention"}`, "the fields that it depends on are missing: attn_config_kv_n_heads"},
		"llava-window": {`"model_type": "llava", "text_config": {"model_type": "mistral", "num_key_value_heads": 8}`, "the language model has a window, which kvbench does not support in this kind of model"},
		"llava-gemma":  {`"model_type": "llava", "text_config": {"model_type": "gemma"}`, "kvbench does not support the language model inside this model"},
		"qwen3-block":  {`"model_type": "qwen3", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 36, "block_size": 16`, "block_size"},
		"llama-cla":    {`"model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 2, "use_cla": true, "cla_share_factor": 2`, "cla_share_factor"},
		"olmo3-kind":   {`"model_type": "olmo3", "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 1, "layer_types": ["linear_attention"]`, "linear_attention"},
		"exaone4-kind": {`"model_type": "exaone4", "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 4, "sliding_window": 4096, "sliding_window_pattern": "LMG"`, "not listed"},
		"deeper":       {`"model_type": "llama", "thinker_config": {"text_config": {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "kv_share": 2}}`, "kv_share"},
		"around":       {`"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "speech": {"kv_share": 2}, "cache": {"kv_share": 2}`, ": cache_kv_share"},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, name, c.config)
			_, err := loader(t).Model(file, nil)
			var text strings.Builder
			for _, d := range diag.All(err) {
				text.WriteString(d.Error() + "\n")
			}
			if err == nil || !strings.Contains(text.String(), c.want) {
				t.Errorf("the error is %v, want it to contain %q", text.String(), c.want)
			}
		})
	}
}

// TestLarge reads a configuration of more than 1 MiB, which lists every quantized
// module.
func TestLarge(t *testing.T) {
	var b strings.Builder
	b.WriteString(`"model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 32, "quantization_config": {"quantized_layers": {"": {}`)
	for i := range 20_000 {
		fmt.Fprintf(&b, `, "model.layers.%d.block_sparse_moe.experts.%d.w1": {"quant_algo": "NVFP4", "group_size": 16}`, i/256, i%256)
	}
	b.WriteString("}}")
	if b.Len() < 1<<20 {
		t.Fatalf("%d bytes", b.Len())
	}
	check(t, write(t, "large", b.String()), cacheBytes{"large", 131072, 131072, 0}, "bf16")
}

// write saves a configuration with these fields to a file, and returns the file's path.
func write(t *testing.T, name, fields string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".json")
	if err := os.WriteFile(file, []byte("{"+fields+"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func loader(t *testing.T) *model.Loader {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return model.NewLoader(s, cueschema.Files, models.Files)
}

// TestQuoted checks that the family shown in the guide is exactly the same as in the
// data, and that it works without any other lines.
func TestQuoted(t *testing.T) {
	guide, err := os.ReadFile("../docs/adding-a-new-model-architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	const fence = "```"
	_, quoted, found := strings.Cut(string(guide), fence+"cue\nolmo3:")
	quoted, _, _ = strings.Cut(quoted, fence)
	data, err := os.ReadFile("families.cue")
	if err != nil {
		t.Fatal(err)
	}
	if !found || !strings.Contains(string(data), "\nolmo3:"+quoted) {
		t.Errorf("families.cue does not contain these lines:\nolmo3:%s", quoted)
	}
	shared, err := os.ReadFile("families_shared.cue")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"shared.cue": string(shared),
		"own.cue":    "package models\n\nimport \"kvbench.internal/cue:kvbench\"\n\nown:" + strings.Replace(quoted, `"olmo3"`, `"own"`, 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := write(t, "own", `"model_type": "own", "hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32, "dtype": "bfloat16"`)
	flags := map[string]string{"system.backend": "VLLM", "system.page_size": "16", "runtime.isl": "16"}
	// 32 layers x 32 heads x 128 x 2 x 2; 8 of the layers grow
	hold(t, file, flags, map[string]int64{"kv_bytes_per_token": 524288, "growing_bytes_per_token": 131072}, dir)
}
