package model_test

import "testing"

// TestCheckpointCache checks how a checkpoint's KV cache format is read.
func TestCheckpointCache(t *testing.T) {
	_, l := loader(t)
	for _, test := range []struct{ quantization, want string }{
		{`{"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_scheme": {"num_bits": 8, "type": "float", "dynamic": false}}`, "modelopt_fp8"},
		{`{"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_scheme": {"num_bits": 4, "type": "float", "dynamic": false}}`, "modelopt_nvfp4"},
		{`{"quant_method": "modelopt_fp4", "quant_algo": "NVFP4", "kv_cache_quant_algo": "NVFP4"}`, "modelopt_nvfp4"},
		{`{"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}`, "modelopt_fp8"},
		{`{"quant_method": "modelopt", "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "fp8"}}`, "modelopt_fp8"},
		{`{"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "INT8"}`, "other"},
		{`{"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_scheme": {"num_bits": 8, "type": "float", "dynamic": true}}`, "other"},
		{`{"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": null}`, "nothing"},
		{`{"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8, "type": "float", "symmetric": true, "dynamic": false}}`, "compressed_tensors_fp8"},
		{`{"quant_method": "compressed-tensors", "kv_cache_scheme": null}`, "nothing"},
		{`{"quant_method": "quark", "kv_cache_group": ["*k_proj", "*v_proj"]}`, "nothing"},
		{`{"quant_method": "fp8", "fmt": "e4m3"}`, "nothing"},
	} {
		m, err := l.Model(write(t, "config.json", small(`, "dtype": "bfloat16", "quantization_config": `+test.quantization)), nil)
		if err != nil {
			t.Errorf("%s: %v", test.quantization, err)
			continue
		}
		if got := m.Defaults["checkpoint_kvcache"].Text(); got != test.want {
			t.Errorf("%s is %q, want %q", test.quantization, got, test.want)
		}
	}
}
