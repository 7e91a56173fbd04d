package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCompletionBash sources the script in a real bash and completes words as bash does
// for readline.
func TestCompletionBash(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	tests := []struct{ words, want string }{
		{"kvbench pl", "plan"},
		{"kvbench ", "plan explain profile tune launch collect report results kvcache iosize transfer matrix verify models import init vet schema nixlbench completion man version"},
		{"kvbench help ver", "verify version"},
		{"kvbench plan --backe", "--backend"},
		{"kvbench plan --model_c", "--model_config --model_configs"},
		{"kvbench plan --model-c", "--model-config --model-configs"},
		{"kvbench plan --backend G", "GDS GDS_MT GPUNETIO GUSLI"},
		// Completion offers the values of all releases, because kvbench uses a release
		// that has the value.
		{"kvbench plan --backend ", "AZURE_BLOB GDS GDS_MT GPUNETIO GUSLI HF3FS INFINIA LIBFABRIC Mooncake OBJ POSIX UCCL UCX UCX_MO"},
		{"kvbench explain --nixlbench_release 0.3.1 --backend IN", "INFINIA"},
		{"kvbench profile --runtime_type ", "ASIO ETCD"},
		{"kvbench plan --posix_api_type ", "AIO POSIXAIO URING"},
		{"kvbench plan --randomize_location_mode ", "blockaligned bytealigned none"},
		{"kvbench plan --obj_req_checksum ", "required supported"},
		{"kvbench plan --nixlbench_release a", "auto"},
		{"kvbench profile --nixlbench-release=la", "latest"},
		{"kvbench plan --backend = PO", "POSIX"}, // bash splits --backend=PO into three words
		{"kvbench plan --kvcache_quant_mode f", "fp8 fp16 fp32 fp4 fp8_per_token_head fp8_ds_mla fp8_plain"},
		{"kvbench plan --op_type ", "READ WRITE"},
		{"kvbench plan --tp 8 --access_pattern ", "block layer layer-kv native"},
		{"kvbench plan --engine vllm --engine_release 0.2", "0.22.1 0.23.0 0.24.0 0.25.1 0.26.0"},
		{"kvbench plan --engine VLLM --engine_release a", "auto"},
		{"kvbench kvcache --model qwen3_8", "qwen3_8b"},
		{"kvbench kvcache --model QWEN3_8", "QWEN3_8b"},
		{"kvbench kvcache --model Qwen3.5", "Qwen3.5_122b_a10b Qwen3.5_35b_a3b"},
		{"kvbench kvcache --model llama3.1-", "llama3.1-405b llama3.1-70b llama3.1-8b"},
		{"kvbench plan --model openai/gpt-oss", "openai/gpt-oss-120b openai/gpt-oss-20b"},
		{"kvbench plan --model OpenAI/GPT_OSS-2", "OpenAI/GPT_OSS-20b"},
		{"kvbench plan --model meta-llama/llama-3.3", "meta-llama/llama-3.3-70B"},
		{"kvbench plan --model Mistral-7B-v", "Mistral-7B-v0.1"},
		{"kvbench plan --columns tp_", "tp_size"},
		{"kvbench plan --columns tp_size,batch", "tp_size,batch_size"},
		{"kvbench plan --columns = isl,gds_batch_", "isl,gds_batch_limit isl,gds_batch_pool_size"},
		{"kvbench plan --columns model_n", "model_name"},
		{"kvbench plan --model deepseek-r1 --columns mla_", "mla_latent_vector_dimension"},
		{"kvbench plan --sort = -block_", "-block_size"},
		{"kvbench plan --sort isl,-batch", "isl,-batch_size"},
		{"kvbench plan --where block_", "block_size"},
		{"kvbench plan --where 8<=tp_", "8<=tp_size"},
		{"kvbench plan --where archit", ""}, // a column that formulas cannot use
		{"kvbench nixlbench f", "flags"},
		{"kvbench kvcache --model openai/gpt-oss-1", "openai/gpt-oss-120b"},
		{"kvbench kvcache --model hf : ", "acme/Tiny-1B acme/Tiny-2B"}, // bash splits hf:acme into three words, too
		{"kvbench kvcache --model hf : acme/Tiny-2", "acme/Tiny-2B"},
		{"kvbench kvcache --model = hf : acme/Tiny-1", "acme/Tiny-1B"},
		{"kvbench kvcache --model hf:acme/Tiny-1", "hf:acme/Tiny-1B"}, // zsh does not
		{"kvbench plan --engine v", "VLLM"},
		{"kvbench plan --backend posix", "POSIX"},
		{"kvbench kvcache --models mine --model sev", "seven"},
		{"kvbench models show gpt", "gpt2_medium gpt_j_6b gpt_oss_120b gpt_oss_120b_eagle3 gpt_oss_20b gpt_oss"},
		{"kvbench models s", "show"},
		{"kvbench explain batch", "batch_size"},
		{"kvbench schema --format c", "cue"},
		{"kvbench schema m", "model"},
		{"kvbench init --like vari", "varied_attention"},
		{"kvbench completion z", "zsh"},
		{"kvbench plan --help", "--help --help-all"},
		{"kvbench plan --fit --for", "--format"}, // --fit takes no value
		{"kvbench plan --model_config ex", ""},   // bash completes file names itself
		{"kvbench vet ", ""},
		{"kvbench verify ", ""}, // file names
		{"kvbench verify x.log --format j", "json"},
		{"kvbench nonsense ", ""},
	}
	// A single bash process completes all command lines. Each command line ends with a
	// separator.
	var words []string
	for _, test := range tests {
		words = append(append(words, strings.Split(test.words, " ")...), ";;")
	}
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
COMP_WORDS=()
for word; do
	if [[ $word != ";;" ]]; then
		COMP_WORDS+=("$word")
		continue
	fi
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
	_kvbench
	echo "${COMPREPLY[*]}"
	COMP_WORDS=()
done`
	cmd := exec.Command("bash", append([]string{"-c", script, "bash"}, words...)...)
	cmd.Dir = t.TempDir()
	text, err := cmd.CombinedOutput()
	got := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if err != nil || len(got) != len(tests) {
		t.Fatalf("%v: %d of %d lines were completed\n%s", err, len(got), len(tests), text)
	}
	for i, test := range tests {
		if strings.TrimSpace(got[i]) != test.want {
			t.Errorf("%q is completed with %q, want %q", test.words, got[i], test.want)
		}
	}
	out, err := exec.Command("bash", "-c", "source <(kvbench completion bash); complete -p kvbench").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "complete -o default -F _kvbench kvbench" {
		t.Errorf("%v %s", err, out)
	}
}

// TestCompletionZsh checks that the script loads in a real zsh, if it is installed.
func TestCompletionZsh(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("zsh"); err != nil {
		t.Skip("zsh is not installed")
	}
	out, err := exec.Command("zsh", "-fc", "autoload -Uz compinit; compinit -D; source <(kvbench completion zsh); whence -w _kvbench; print $_comps[kvbench]").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "_kvbench: function\n_kvbench" {
		t.Errorf("%v %s", err, out)
	}
}

// TestCompletionFish completes words in a real fish, if it is installed.
func TestCompletionFish(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("fish"); err != nil {
		t.Skip("fish is not installed")
	}
	dir := t.TempDir()
	save(t, filepath.Join(dir, "run.yaml"), "")
	for _, test := range []struct{ line, want string }{
		{"kvbench pl", "plan"},
		{"kvbench plan --backe", "--backend"},
		{"kvbench plan --backend POS", "POSIX"},
		{"kvbench plan --backend=POS", "--backend=POSIX"},
		{"kvbench kvcache --model llama3.1-7", "llama3.1-70b"},
		{"kvbench kvcache --model openai/gpt-oss-1", "openai/gpt-oss-120b"},
		{"kvbench plan --columns tp_size,batch", "tp_size,batch_size"},
		{"kvbench plan --model_config ru", "run.yaml"},
		{"kvbench plan --model_config=ru", "--model_config=run.yaml"},
		{"kvbench vet ru", "run.yaml"},
		{"kvbench completion ", "bash fish zsh"},
	} {
		cmd := exec.Command("fish", "--no-config", "-c", "kvbench completion fish | source; complete -C $argv[1]", test.line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
		out, err := cmd.CombinedOutput()
		var words []string
		for line := range strings.Lines(string(out)) { // a tab precedes a description
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			words = append(words, word)
		}
		if got := strings.Join(words, " "); err != nil || got != test.want {
			t.Errorf("%q is completed with %q (%v), want %q", test.line, got, err, test.want)
		}
	}
}

// TestCompletedModels checks that --model accepts every spelling that completion offers.
func TestCompletedModels(t *testing.T) {
	startsMany(t)
	t.Parallel()
	for _, word := range []string{"QWEN3", "Llama3.1-", "OpenAI/", "GPT-OSS-", "Mistral-7B-v", "meta-llama/llama-3.", "Phi", "google/gemma-3"} {
		out, err := exec.Command("kvbench", "__complete", "plan", "--model", word).Output()
		names := strings.Fields(string(out))
		if err != nil || len(names) == 0 {
			t.Errorf("%s is completed with %s (%v)", word, names, err)
		}
		for _, name := range names {
			if !strings.HasPrefix(name, word) {
				t.Errorf("%s does not start with %s", name, word)
			}
			if out, err := exec.Command("kvbench", "iosize", "--model", name).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
	}
}
