package cli_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestCompletionBash sources the script in a real bash and completes words as
// readline has it do.
func TestCompletionBash(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	for _, test := range []struct{ words, want string }{
		{"kvbench pl", "plan"},
		{"kvbench ", "plan explain profile report kvcache iosize models import init vet schema nixlbench completion version"},
		{"kvbench help ver", "version"},
		{"kvbench plan --backe", "--backend"},
		{"kvbench plan --model_c", "--model_config --model_configs"},
		{"kvbench plan --model-c", "--model-config --model-configs"},
		{"kvbench plan --backend G", "GDS GDS_MT GPUNETIO GUSLI"},
		// Of all releases: the plan is for one that has it.
		{"kvbench plan --backend ", "AZURE_BLOB GDS GDS_MT GPUNETIO GUSLI HF3FS INFINIA LIBFABRIC Mooncake OBJ POSIX UCCL UCX UCX_MO"},
		{"kvbench explain --nixlbench_release 0.3.1 --backend IN", "INFINIA"},
		{"kvbench profile --runtime_type ", "ASIO ETCD"},
		{"kvbench plan --posix_api_type ", "AIO POSIXAIO URING"},
		{"kvbench plan --randomize_location_mode ", "blockaligned bytealigned none"},
		{"kvbench plan --obj_req_checksum ", "required supported"},
		{"kvbench plan --nixlbench_release a", "auto"},
		{"kvbench profile --nixlbench-release=la", "latest"},
		{"kvbench plan --backend = PO", "POSIX"}, // bash makes three words of --backend=PO
		{"kvbench plan --kvcache_quant_mode f", "fp8 fp16 fp32 fp4 fp8_per_token_head fp8_ds_mla"},
		{"kvbench plan --op_type ", "READ WRITE"},
		{"kvbench plan --tp 8 --access_pattern ", "block layer"},
		{"kvbench kvcache --model qwen3_8", "qwen3_8b"},
		{"kvbench kvcache --model QWEN3_8", "qwen3_8b"},
		{"kvbench kvcache --model openai/gpt-oss-1", "openai/gpt-oss-120b"},
		{"kvbench kvcache --model hf : ", "acme/Tiny-1B acme/Tiny-2B"}, // bash makes three words of hf:acme, too
		{"kvbench kvcache --model hf : acme/Tiny-2", "acme/Tiny-2B"},
		{"kvbench kvcache --model = hf : acme/Tiny-1", "acme/Tiny-1B"},
		{"kvbench kvcache --model hf:acme/Tiny-1", "hf:acme/Tiny-1B"}, // zsh does not
		{"kvbench plan --engine v", "VLLM"},
		{"kvbench plan --backend posix", "POSIX"},
		{"kvbench kvcache --models mine --model se", "seven"},
		{"kvbench models show gpt", "gpt_oss_120b gpt_oss_20b gpt_oss"},
		{"kvbench models s", "show"},
		{"kvbench explain batch", "batch_size"},
		{"kvbench schema --format c", "cue"},
		{"kvbench schema m", "model"},
		{"kvbench completion z", "zsh"},
		{"kvbench plan --fit --for", "--format"}, // --fit takes no word
		{"kvbench plan --model_config ex", ""},   // files are bash's own
		{"kvbench vet ", ""},
		{"kvbench nonsense ", ""},
	} {
		words := strings.Split(test.words, " ")
		script := `source <(kvbench completion bash)
mkdir -p mine && printf 'model_name: SEVEN\n' > mine/seven.yaml
for n in 1 2; do
	repo=hub/models--acme--Tiny-${n}B
	mkdir -p $repo/refs $repo/snapshots/0123456789abcdef0123456789abcdef01234567
	printf 0123456789abcdef0123456789abcdef01234567 > $repo/refs/main
	touch $repo/snapshots/0123456789abcdef0123456789abcdef01234567/config.json
done
mkdir -p hub/models--acme--Other/refs
export HF_HUB_CACHE=hub
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_kvbench
echo "${COMPREPLY[*]}"`
		cmd := exec.Command("bash", append([]string{"-c", script, "bash"}, words...)...)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != test.want {
			t.Errorf("%q is completed with %q (%v), want %q", test.words, out, err, test.want)
		}
	}
	out, err := exec.Command("bash", "-c", "source <(kvbench completion bash); complete -p kvbench").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "complete -o default -F _kvbench kvbench" {
		t.Errorf("%v %s", err, out)
	}
}

// TestCompletionZsh: the script loads in a real zsh, where there is one.
func TestCompletionZsh(t *testing.T) {
	if _, err := exec.LookPath("zsh"); err != nil {
		t.Skip("zsh is not installed")
	}
	out, err := exec.Command("zsh", "-fc", "autoload -Uz compinit; compinit -D; source <(kvbench completion zsh); whence -w _kvbench; print $_comps[kvbench]").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "_kvbench: function\n_kvbench" {
		t.Errorf("%v %s", err, out)
	}
}
