package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// commandNames returns the names of the commands, as completed by kvbench.
func commandNames(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("kvbench", "__complete", "").Output()
	names := strings.Fields(string(out))
	if err != nil || len(names) < 15 {
		t.Fatalf("%v: %s", err, names)
	}
	return names
}

func helpOf(t *testing.T, words ...string) []string {
	t.Helper()
	out, err := exec.Command("kvbench", words...).Output()
	if err != nil {
		t.Fatalf("%s: %v", words, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// TestHelpSize checks that every command's help fits on a screen, and that the full help
// is not wider than a screen.
func TestHelpSize(t *testing.T) {
	t.Parallel()
	for _, name := range append(commandNames(t), "") {
		words := strings.Fields(name)
		for _, test := range []struct {
			flag string
			most int
		}{{"-h", 60}, {"--help", 60}, {"--help-all", 400}} {
			lines := helpOf(t, append(words, test.flag)...)
			if len(lines) > test.most {
				t.Errorf("kvbench %s %s has %d lines, want at most %d", name, test.flag, len(lines), test.most)
			}
			for _, line := range lines {
				if n := utf8.RuneCountInString(line); n > 100 {
					t.Errorf("kvbench %s %s has a line of %d columns: %s", name, test.flag, n, line)
				}
			}
		}
	}
}

// TestHelpFlags checks that the short help describes or lists every flag except
// nixlbench's own, and that the full help describes all flags.
func TestHelpFlags(t *testing.T) {
	startsMany(t)
	t.Parallel()
	own := map[string]bool{}
	for _, line := range helpOf(t, "nixlbench", "flags") {
		if name, ok := strings.CutPrefix(line, "  --"); ok {
			own[strings.Fields(name)[0]] = true
		}
	}
	if len(own) < 70 || !own["gds_batch_pool_size"] {
		t.Errorf("'kvbench nixlbench flags' lists %d flags", len(own))
	}
	for _, name := range commandNames(t) {
		short := strings.Join(helpOf(t, name, "-h"), "\n") + " "
		full := strings.Join(helpOf(t, name, "--help-all"), "\n")
		out, err := exec.Command("kvbench", "__complete", name, "--").Output()
		if err != nil {
			t.Fatal(err)
		}
		for flag := range strings.FieldsSeq(string(out)) {
			if flag == "--help" || flag == "--help-all" {
				continue
			}
			if !strings.Contains(full, flag+" ") && !strings.Contains(full, flag+"\n") {
				t.Errorf("kvbench %s --help-all lacks %s", name, flag)
			}
			described := strings.Contains(short, flag+" ")
			if !described && !strings.Contains(short, flag+",") && !strings.Contains(short, flag+".") && !own[flag[2:]] {
				t.Errorf("kvbench %s -h lacks %s", name, flag)
			}
		}
	}
}

// TestHelpExamples runs the examples of every command, except those that need a
// network, shell syntax or a program that may not be installed.
func TestHelpExamples(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS("../../../examples")); err != nil {
		t.Fatal(err)
	}
	hub := `{"model_type": "qwen3", "architectures": ["x"], "torch_dtype": "bfloat16", "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 1, "hidden_size": 1}`
	save(t, filepath.Join(dir, "config.json"), hub)
	save(t, filepath.Join(dir, "path/to/checkpoint/config.json"), hub)
	save(t, filepath.Join(dir, "trace.jsonl"), `{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [1, 2]}`)
	save(t, filepath.Join(dir, "engine.log"), "Available KV cache memory: 3.81 GiB\nGPU KV cache size: 31,232 tokens\n")
	save(t, filepath.Join(dir, "rank0.log"), "Available KV cache memory: 15.26 GiB\nGPU KV cache size: 100,000 tokens\n")
	save(t, filepath.Join(dir, "rank1.log"), "Available KV cache memory: 15.27 GiB\n")
	run := func(line string) {
		t.Helper()
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	run("mkdir data && kvbench profile --quiet --model deepseek-r1 --isl 1k --page_size 256 --backend POSIX --cleanup --output results.jsonl && cp results.jsonl baseline.jsonl")
	ran := 0
	for _, name := range commandNames(t) {
		lines := helpOf(t, name, "-h")
		i := slices.Index(lines, "Examples:")
		if i < 0 {
			if name != "version" {
				t.Errorf("kvbench %s -h has no examples", name)
			}
			continue
		}
		examples := 0
		for _, line := range lines[i+1:] {
			line, ok := strings.CutPrefix(line, "  ")
			if !ok {
				break
			}
			examples++
			if !slices.ContainsFunc([]string{"hf:", "source <(", "~/", "man -l", "srun"}, func(s string) bool { return strings.Contains(line, s) }) {
				ran++
				run(line)
			}
		}
		if want := map[string]int{"plan": 3, "explain": 3, "profile": 3, "kvcache": 3, "matrix": 3}[name]; examples < want {
			t.Errorf("kvbench %s -h has %d examples, want %d", name, examples, want)
		}
	}
	if ran < 25 {
		t.Errorf("only %d examples were run", ran)
	}
}

// TestMan checks that the manual page passes linters and contains every command and
// flag.
func TestMan(t *testing.T) {
	t.Parallel()
	page, err := exec.Command("kvbench", "man").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(page), `.TH "KVBENCH" 1 "20`) {
		t.Errorf("the page begins with %.40s", page)
	}
	plain := strings.ReplaceAll(string(page), `\-`, "-")
	for _, name := range commandNames(t) {
		if !strings.Contains(plain, ".SS \"kvbench "+name+"\"\n") {
			t.Errorf("the page lacks %s", name)
		}
		out, err := exec.Command("kvbench", "__complete", name, "--").Output()
		if err != nil {
			t.Fatal(err)
		}
		for flag := range strings.FieldsSeq(string(out)) {
			if flag != "--help" && flag != "--help-all" && !strings.Contains(plain, flag+" ") && !strings.Contains(plain, flag+`"`) {
				t.Errorf("the page lacks %s, a flag of %s", flag, name)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "kvbench.1")
	save(t, file, string(page))
	linters := 0
	for _, linter := range [][]string{
		{"mandoc", "-T", "lint", "-W", "warning"},
		{"man", "--warnings=all", "-E", "UTF-8", "-l", "-Tutf8", "-Z"},
		{"groff", "-ww", "-man", "-z"},
	} {
		if _, err := exec.LookPath(linter[0]); err != nil {
			t.Logf("%s is not installed, so it did not check the page", linter[0])
			continue
		}
		linters++
		cmd := exec.Command(linter[0], append(linter[1:], file)...)
		var complaints strings.Builder
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		if linter[0] == "mandoc" {
			complaints.Write(out) // the linter prints any problems
		}
		if err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v\n%s", linter, err, &complaints)
		}
	}
	if linters == 0 {
		t.Skip("there is no linter for manual pages")
	}
}
