package model_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLargeCheckpoint checks that a Hugging Face configuration, for example one that lists
// every module, can be as large as 8 MiB, but not one byte larger.
func TestLargeCheckpoint(t *testing.T) {
	var text strings.Builder
	text.WriteString(`{"model_type": "llama", "head_dim": 64, "hidden_size": 512, "num_attention_heads": 8, "num_hidden_layers": 4,
 "num_key_value_heads": 8, "torch_dtype": "bfloat16", "quantization_config": {"quant_method": "fp8", "modules_to_not_convert": [`)
	for i := 0; text.Len() < 8<<20-100; i++ {
		fmt.Fprintf(&text, `"model.layers.%d.mlp.down_proj", `, i)
	}
	text.WriteString(`"lm_head"]}}`)
	padded := text.String() + strings.Repeat(" ", 8<<20-text.Len())
	l := bundled(t)
	for name, test := range map[string]struct{ text, err string }{
		"all.json":  {padded, ""},
		"more.json": {padded + " ", "is larger than 8 MiB, which is too large for a model or configuration"},
		"all.yaml":  {"# " + padded[:1<<20], "is larger than 1 MiB, which is too large for a model or configuration"},
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(test.text), 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := l.Model(file, nil)
		switch {
		case test.err == "" && (err != nil || m.Params["num_layers"].Text() != "4"):
			t.Errorf("%s: %v", name, err)
		case test.err != "" && (err == nil || !strings.HasSuffix(err.Error(), test.err)):
			t.Errorf("%s: %v, want %s", name, err, test.err)
		}
	}
}
