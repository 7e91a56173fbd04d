package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestStdoutFull checks that commands fail with an error if they cannot write their output.
func TestStdoutFull(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("wrong.yaml", "model_name: [\n")
	write("engine.log", "Available KV cache memory: 1.00 GiB\nGPU KV cache size: 7,280 tokens\n")
	write("config.json", `{"model_type": "qwen3", "architectures": ["x"], "torch_dtype": "bfloat16", "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 1, "hidden_size": 1}`)
	if out, err := command(dir, "profile", "--model", "qwen3-8b", "--isl", "256", "--page_size", "64", "--backend", "POSIX", "--output", "r.jsonl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const plan = " --model qwen3-8b --isl 256 --page_size 64"
	for _, words := range []string{
		"--help", "help plan", "plan --help", "--version", "version", "completion bash", "__complete pl", "man", "nixlbench flags",
		"plan" + plan, "plan --format json" + plan, "plan --format csv" + plan, "plan --tp 1,2 --format table" + plan, "plan --tp 1,2 --format jsonl" + plan,
		"explain" + plan, "explain batch_size" + plan, "kvcache" + plan, "kvcache --tp 1 --model gpt-oss-20b" + plan, "iosize" + plan,
		"models", "models --format json", "models show qwen3_8b", "schema config", "schema --format cue model",
		"import config.json", "import config.json -o imported.yaml", "init mine", "vet --format json config.json", "vet --format github wrong.yaml",
		"nixlbench", "nixlbench --format json", "nixlbench --cue", "report r.jsonl", "report --format csv r.jsonl", "report --format markdown r.jsonl", "report --format json r.jsonl",
		"profile --backend POSIX" + plan, "profile --backend POSIX --output other.jsonl" + plan, "profile --dry_run --backend POSIX" + plan,
		"tune --dry_run --backend POSIX" + plan, "launch --format sh --output job --backend POSIX" + plan,
		"transfer --tp 2" + plan, "transfer --format json" + plan, "matrix --tp 2 --output matrices" + plan,
		"verify --model qwen3-8b --engine vllm --engine_release 0.22.1 engine.log", "results ls r.jsonl", "results export r.jsonl", "results merge r.jsonl",
	} {
		var stderr strings.Builder
		cmd := command(dir, strings.Fields(words)...)
		cmd.Stdout, cmd.Stderr = full, &stderr
		err := cmd.Run()
		if exitCode(err) != 1 || strings.Count(stderr.String(), "kvbench: cannot write to stdout: no space left on device\n") != 1 {
			t.Errorf("kvbench %s: %v\n%s", words, err, &stderr)
		}
	}
}

// command returns a command that runs kvbench in a folder.
func command(dir string, words ...string) *exec.Cmd {
	cmd := exec.Command("kvbench", words...)
	cmd.Dir = dir
	return cmd
}

// TestStdoutClosed checks that a command does not print an error if the reader of its
// output closes the pipe.
func TestStdoutClosed(t *testing.T) {
	t.Parallel()
	for _, words := range []string{"models", "schema config", "version", "models show qwen3_8b", "plan --model qwen3-8b --isl 1..100+1 --page_size 1 --format csv"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		var stderr strings.Builder
		cmd := command(t.TempDir(), strings.Fields(words)...)
		cmd.Stdout, cmd.Stderr = w, &stderr
		cmd.Run()
		w.Close()
		if strings.Contains(stderr.String(), "pipe") || strings.Contains(stderr.String(), "cannot be written") {
			t.Errorf("kvbench %s: %s", words, &stderr)
		}
	}
}
