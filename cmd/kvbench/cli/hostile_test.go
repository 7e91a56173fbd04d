package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	yamlModel = "model_name: QWEN3_8B\nnum_layers: 36\nnum_kv_heads: 8\nquery_head_dimension: 128\n"
	llama     = `"model_type": "llama", "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096`
	toy       = `import kb "kvbench.internal/cue:kvbench"
toy: kb.#Architecture & {
	match: "TOY"
	#params: {model_name!: string, num_layers!: int64 & >0}
	kv_bytes_per_token: "num_layers * 16"
	access_patterns: {layer: "16", block: "16"}
}
`
)

// many joins n texts; each of them may hold its number.
func many(n int, format string) string {
	var b strings.Builder
	b.Grow(n * (len(format) + 4))
	for i := range n {
		if strings.Contains(format, "%") {
			fmt.Fprintf(&b, format, i)
		} else {
			b.WriteString(format)
		}
	}
	return b.String()
}

// nested puts n texts before an inner one, and as many others behind it.
func nested(n int, open, inner, end string) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
}

// kvcacheOf, configOf and so on are commands that read a file.
var (
	vetOf     = []string{"vet"}
	kvcacheOf = []string{"kvcache", "--model"}
	importOf  = []string{"import"}
	configOf  = []string{"kvcache", "--model", "qwen3_8b", "--isl", "16", "--page_size", "16", "--model_config"}
	releaseOf = []string{"plan", "--model", "qwen3_8b", "--isl", "16", "--page_size", "16", "--releases"}
)

// hostile are files that take much time or memory to read, unless what reads
// them is careful. want is the beginning of what stderr says, after the file's
// name.
var hostile = []struct {
	name, file string
	text       func() string
	commands   [][]string
	want       string
}{
	{"cue field chain", "a.cue", func() string { return strings.Repeat("a:", 500_000) + "1" }, [][]string{vetOf, kvcacheOf, configOf, releaseOf}, ""},
	{"cue nested fields", "a.cue", func() string { return nested(9_000, "a: {", "b: 1", "}") }, [][]string{vetOf, kvcacheOf, configOf}, ""},
	{"cue nested lists", "a.cue", func() string { return "a: " + nested(9_000, "[", "1", "]") }, [][]string{vetOf, kvcacheOf}, ""},
	{"cue selectors", "a.cue", func() string { return "a: {a: 1}\nb: a" + strings.Repeat(".a", 300_000) }, [][]string{vetOf, kvcacheOf, configOf}, ""},
	{"cue indices", "a.cue", func() string { return "a: [1]\nb: a" + strings.Repeat("[0]", 200_000) }, [][]string{vetOf}, ""},
	{"cue operators", "a.cue", func() string { return "a: 1" + strings.Repeat("&1", 400_000) }, [][]string{vetOf, kvcacheOf}, ""},
	{"cue alternatives", "a.cue", func() string { return "a: 1" + many(100_000, "|%d") }, [][]string{vetOf, kvcacheOf}, ""},
	{"cue signs", "a.cue", func() string { return "a: " + strings.Repeat("-", 900_000) + "1" }, [][]string{vetOf}, ""},
	{"cue parentheses", "a.cue", func() string { return "a: " + nested(400_000, "(", "1", ")") }, [][]string{vetOf}, ""},
	{"cue many fields", "a.cue", func() string { return many(90_000, "a%d: 1\n") }, [][]string{vetOf, kvcacheOf, configOf}, ""},
	{"cue many architectures", "a.cue", func() string { return many(20_000, "a%d: match: \"x\"\n") }, [][]string{vetOf, kvcacheOf}, ""},
	{"cue interpolations", "a.cue", func() string { return "a: " + nested(100_000, `"\(`, "1", `)"`) }, [][]string{vetOf}, ""},
	{"cue long pattern", "a.cue", func() string {
		return strings.Replace(toy, `"TOY"`, `"`+strings.Repeat("(a{1,9})?", 11_000)+`"`, 1)
	}, [][]string{vetOf, kvcacheOf}, ""},
	{"cue costly pattern", "a.cue", func() string { return strings.Replace(toy, `"TOY"`, `"((a{1,30}){1,30}b?)*"`, 1) }, [][]string{vetOf}, ""},
	{"cue constraint pattern", "a.cue", func() string {
		return strings.Replace(toy, "model_name!: string", `model_name!: =~"`+strings.Repeat("(a{1,9})?", 11_000)+`"`, 1)
	}, [][]string{vetOf}, ""},
	{"cue long formula", "a.cue", func() string {
		return strings.Replace(toy, `"num_layers * 16"`, `"num_layers`+strings.Repeat(" + 1", 100_000)+`"`, 1)
	}, [][]string{vetOf}, ""},
	{"cue many checks", "a.cue", func() string {
		return strings.Replace(toy, "\taccess", "\tchecks: ["+many(10_000, `{params: {num_layers: 1}, config: {}, expect: {kv_bytes_per_token: %d}, source: "x"},`)+"]\n\taccess", 1)
	}, [][]string{vetOf}, ""},
	{"yaml nested flow", "a.yaml", func() string { return "a: " + nested(9_000, "{a: ", "1", "}") }, [][]string{vetOf, kvcacheOf, configOf}, ""},
	{"yaml nested lists", "a.yaml", func() string { return "a: " + nested(9_000, "[", "1", "]") }, [][]string{vetOf, kvcacheOf, configOf}, ""},
	{"yaml nested dashes", "a.yaml", func() string { return "a:\n " + strings.Repeat("- ", 9_000) + "1" }, [][]string{vetOf, kvcacheOf}, ""},
	{"yaml nested blocks", "a.yaml", func() string {
		var b strings.Builder
		for i := range 1_400 {
			b.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
		return b.String()
	}, [][]string{vetOf, kvcacheOf, configOf}, ""},
	{"yaml long list", "a.yaml", func() string { return yamlModel + "sizes: [" + strings.Repeat("1, ", 150_000) + "1]\n" }, [][]string{vetOf, kvcacheOf, configOf}, ""},
	{"yaml long block list", "a.yaml", func() string { return yamlModel + "sizes:\n" + strings.Repeat("- 1\n", 150_000) }, [][]string{vetOf, kvcacheOf}, ""},
	{"yaml long known list", "a.yaml", func() string {
		return "model_name: x\narchitecture: varied_attention\nkv_heads: [" + strings.Repeat("1, ", 150_000) + "1]\n"
	}, [][]string{vetOf, kvcacheOf}, ""},
	{"yaml wrong list", "a.yaml", func() string { return "strategy:\n  tp_size: [" + strings.Repeat("x, ", 150_000) + "1]\n" }, [][]string{vetOf, configOf}, ""},
	{"yaml sweep list", "a.yaml", func() string { return "sweep:\n  strategy.tp_size: [" + strings.Repeat("1, ", 150_000) + "1]\n" }, [][]string{vetOf, configOf}, ""},
	{"yaml unknown keys", "a.yaml", func() string { return yamlModel + many(60_000, "key%d: 1\n") }, [][]string{vetOf, kvcacheOf}, ""},
	{"yaml unknown fields", "a.yaml", func() string { return "system:\n" + many(50_000, "  page_siz%d: 1\n") }, [][]string{vetOf, configOf}, ""},
	{"yaml wrong line late", "a.yaml", func() string { return many(40_000, "k%d: [1, 2]\n") + "x: [1\ny: 2\n" }, [][]string{vetOf, configOf}, ""},
	{"yaml colons", "a.yaml", func() string { return strings.Repeat("a: ", 300_000) }, [][]string{vetOf, configOf}, ""},
	{"yaml anchors", "a.yaml", func() string { return many(40_000, "k%d: &a%[1]d [*a%[1]d]\n") }, [][]string{vetOf}, ""},
	{"yaml comments", "a.yaml", func() string { return "a: 1\n" + strings.Repeat("#\n", 400_000) }, [][]string{vetOf, configOf}, ""},
	{"yaml questions", "a.yaml", func() string { return strings.Repeat("? ", 9_000) }, [][]string{vetOf}, ""},
	{"yaml huge scalar", "a.yaml", func() string { return "system: {hardware: " + strings.Repeat("x", 1_000_000) + "}" }, [][]string{vetOf, configOf}, ""},
	{"yaml huge number", "a.yaml", func() string { return "runtime: {isl: " + strings.Repeat("9", 1_000_000) + "}" }, [][]string{vetOf, configOf}, ""},
	{"json nested objects", "a.json", func() string { return nested(150_000, `{"a":`, "1", "}") }, [][]string{vetOf, kvcacheOf}, ""},
	{"json nested lists", "a.json", func() string { return `{"a":` + nested(400_000, "[", "1", "]") + "}" }, [][]string{vetOf, kvcacheOf}, ""},
	{"json unknown keys", "a.json", func() string { return `{"model_name": "QWEN3_8B"` + many(60_000, `, "k%d": 1`) + "}" }, [][]string{vetOf, kvcacheOf}, ""},
	{"json twice", "a.json", func() string { return `{"a": 1` + strings.Repeat(`, "a": 1`, 100_000) + "}" }, [][]string{vetOf}, ""},
	{"config.json wide rows", "config.json", func() string {
		row := "{" + strings.TrimSuffix(many(300, `"k%d": 1,`), ",") + "},"
		return "{" + llama + `, "rows": [` + strings.TrimSuffix(strings.Repeat(row, 200), ",") + "]}"
	}, [][]string{vetOf, kvcacheOf, importOf}, ""},
	{"config.json distinct rows", "config.json", func() string {
		return "{" + llama + `, "rows": [` + strings.TrimSuffix(many(60_000, `{"k%d": 1},`), ",") + "]}"
	}, [][]string{vetOf, kvcacheOf, importOf}, ""},
	{"config.json nested objects", "config.json", func() string { return "{" + llama + `, "x": ` + nested(100_000, `{"a":`, "1", "}") + "}" }, [][]string{vetOf, kvcacheOf, importOf}, ""},
	{"config.json nested rows", "config.json", func() string { return "{" + llama + `, "x": ` + nested(50_000, `[{"a":`, "1", "}]") + "}" }, [][]string{vetOf, kvcacheOf}, ""},
	{"config.json many layers", "config.json", func() string {
		return "{" + strings.Replace(llama, "32", "2000", 1) + `, "layer_types": [` + strings.Repeat(`"sliding_attention",`, 40_000) + `"full_attention"]}`
	}, [][]string{vetOf, kvcacheOf}, ""},
	{"config.json unknown fields", "config.json", func() string { return "{" + llama + many(60_000, `, "kv_cache_%d": 1`) + "}" }, [][]string{vetOf, kvcacheOf, importOf}, ""},
}

// TestHostileFiles: none of them takes five seconds, or much memory; each ends
// with exit code 1 and its name.
func TestHostileFiles(t *testing.T) {
	for _, test := range hostile {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), test.file)
			if err := os.WriteFile(file, []byte(test.text()), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, command := range test.commands {
				r := watched(t, append(append([]string{}, command...), file)...)
				t.Logf("%s: %v, %d MiB: %.300s", command[0], r.took.Round(time.Millisecond), r.peak>>10, r.stderr)
			}
		})
	}
}

type ended1 struct {
	code   int
	took   time.Duration
	peak   int64 // KiB
	stdout string
	stderr string
}

// watched runs kvbench, which must end by itself.
func watched(t *testing.T, args ...string) ended1 {
	t.Helper()
	cmd := exec.Command("kvbench", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(15*time.Second, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	kill.Stop()
	r := ended1{took: time.Since(begin), stdout: stdout.String(), stderr: stderr.String()}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && runtime.GOOS == "linux" {
		r.peak = usage.Maxrss
	}
	return r
}
