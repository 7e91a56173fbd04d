package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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

// many concatenates n strings. The format may include the number of the string.
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

// nested returns inner between n copies of open and n copies of end.
func nested(n int, open, inner, end string) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
}

// These commands read a file. The tests append its name.
var (
	vetOf     = []string{"vet"}
	kvcacheOf = []string{"kvcache", "--model"}
	importOf  = []string{"import"}
	configOf  = []string{"kvcache", "--model", "qwen3_8b", "--isl", "16", "--page_size", "16", "--model_config"}
	releaseOf = []string{"plan", "--model", "qwen3_8b", "--isl", "16", "--page_size", "16", "--releases"}
)

// hostile lists files that would take a lot of time or memory to read if there were no
// limits. want is the beginning of stderr.
var hostile = []struct {
	name, file string
	text       func() string
	commands   [][]string
	want       string
}{
	{"cue field chain", "a.cue", func() string { return strings.Repeat("a:", 500_000) + "1" }, [][]string{vetOf, kvcacheOf, configOf, releaseOf}, "a.cue:1:2002: this field is too long: 1000 operators, dots or colons in a row"},
	{"cue nested fields", "a.cue", func() string { return nested(9_000, "a: {", "b: 1", "}") }, [][]string{vetOf, kvcacheOf, configOf}, "a.cue:1:404: is nested more than 100 levels deep"},
	{"cue nested lists", "a.cue", func() string { return "a: " + nested(9_000, "[", "1", "]") }, [][]string{vetOf, kvcacheOf}, "a.cue:1:104: is nested more than 100 levels deep"},
	{"cue selectors", "a.cue", func() string { return "a: {a: 1}\nb: a" + strings.Repeat(".a", 300_000) }, [][]string{vetOf, kvcacheOf, configOf}, "a.cue:2:2003: this field is too long"},
	{"cue indices", "a.cue", func() string { return "a: [1]\nb: a" + strings.Repeat("[0]", 200_000) }, [][]string{vetOf}, "a.cue:2:3002: this field is too long"},
	{"cue operators", "a.cue", func() string { return "a: 1" + strings.Repeat("&1", 400_000) }, [][]string{vetOf, kvcacheOf}, "a.cue:1:2003: this field is too long"},
	{"cue alternatives", "a.cue", func() string { return "a: 1" + many(100_000, "|%d") }, [][]string{vetOf, kvcacheOf}, "a.cue:1:3891: this field is too long"},
	{"cue signs", "a.cue", func() string { return "a: " + strings.Repeat("-", 900_000) + "1" }, [][]string{vetOf}, "a.cue:1:1003: this field is too long"},
	{"cue parentheses", "a.cue", func() string { return "a: " + nested(400_000, "(", "1", ")") }, [][]string{vetOf}, "a.cue:1:104: is nested more than 100 levels deep"},
	{"cue many fields", "a.cue", func() string { return many(90_000, "a%d: 1\n") }, [][]string{vetOf, kvcacheOf, configOf}, "a.cue: contains more than 100000 values"},
	{"cue many architectures", "a.cue", func() string { return many(20_000, "a%d: match: \"x\"\n") }, [][]string{vetOf, kvcacheOf}, "a.cue:1:1: this mapping contains 20000 values, but at most 10000 are allowed"},
	{"cue interpolations", "a.cue", func() string { return "a: " + nested(100_000, `"\(`, "1", `)"`) }, [][]string{vetOf}, "a.cue:1:306: is nested more than 100 levels deep"},
	{"cue repeated text", "a.cue", func() string { return "b: \"x\"\na: b * 1000000 * 1000000" }, [][]string{vetOf, kvcacheOf, configOf}, "a.cue:1:4: "},
	{"cue long pattern", "a.cue", func() string {
		return strings.Replace(toy, `"TOY"`, `"`+strings.Repeat("(a{1,9})?", 11_000)+`"`, 1)
	}, [][]string{vetOf, kvcacheOf}, "a.cue:3:9: this string is 99002 bytes long, but at most 10000 are allowed"},
	{"cue costly pattern", "a.cue", func() string { return strings.Replace(toy, `"TOY"`, `"((a{1,30}){1,30}b?)*"`, 1) }, [][]string{vetOf}, ""},
	{"cue constraint pattern", "a.cue", func() string {
		return strings.Replace(toy, "model_name!: string", `model_name!: =~"`+strings.Repeat("(a{1,9})?", 11_000)+`"`, 1)
	}, [][]string{vetOf}, "a.cue:4:27: this string is 99002 bytes long, but at most 10000 are allowed"},
	{"cue long formula", "a.cue", func() string {
		return strings.Replace(toy, `"num_layers * 16"`, `"num_layers`+strings.Repeat(" + 1", 100_000)+`"`, 1)
	}, [][]string{vetOf}, "a.cue:5:22: this string is 400012 bytes long, but at most 10000 are allowed"},
	{"cue many checks", "a.cue", func() string {
		checks := 2_000
		if full() {
			checks = 10_000
		}
		return strings.Replace(toy, "\taccess", "\tchecks: ["+many(checks, `{params: {num_layers: 1}, config: {}, expect: {kv_bytes_per_token: %d}, source: "x"},`)+"]\n\taccess", 1)
	}, [][]string{vetOf}, "a.cue"},
	{"cue many layers", "a.cue", func() string {
		return strings.Replace(toy, "\taccess", `	cache: {
		layers: "num_layers"
		groups: full: {kind: "full", where: "layer >= 0", kv_heads: "1 + layer - layer", head_dim: "64 + layer"}
	}
	checks: [`+many(600, `{params: {num_layers: 10000}, config: {accounting: "rank", isl: 8193, page_size: 16, pp_size: 1%d}, expect: {}, source: "x"},`)+"]\n\taccess", 1)
	}, [][]string{vetOf}, "a.cue: takes more than "}, // which limit comes first depends on the machine
	{"cue huge number", "a.cue", func() string { return "a: " + strings.Repeat("9", 900_000) }, [][]string{vetOf, kvcacheOf, releaseOf}, "a.cue:1:4: this string is 900000 bytes long, but at most 10000 are allowed"},
	{"cue junk", "a.cue", func() string { return strings.Repeat("%", 900_000) }, [][]string{vetOf, kvcacheOf, releaseOf}, "a.cue:1:1: illegal character U+0025 '%'"},
	{"json junk", "a.json", func() string { return strings.Repeat("%", 900_000) }, [][]string{vetOf, kvcacheOf, configOf}, "a.json:1:1: is not JSON: invalid character '%'"},
	{"json junk behind", "a.json", func() string { return "{" + llama + "}" + strings.Repeat("#", 3_000_000) }, [][]string{vetOf, importOf}, "a.json:1:123: is not JSON: invalid character '#' after top-level value"},
	{"yaml long tag", "a.yaml", func() string { return strings.Repeat("!", 900_000) }, [][]string{vetOf, kvcacheOf, configOf}, `a.yaml:1: cannot unmarshal tag "!!!!`},
	{"yaml nested flow", "a.yaml", func() string { return "a: " + nested(9_000, "{a: ", "1", "}") }, [][]string{vetOf, kvcacheOf, configOf}, "a.yaml:1:400: is nested more than 100 levels deep"},
	{"yaml nested lists", "a.yaml", func() string { return "a: " + nested(9_000, "[", "1", "]") }, [][]string{vetOf, kvcacheOf, configOf}, "a.yaml:1:103: is nested more than 100 levels deep"},
	{"yaml nested dashes", "a.yaml", func() string { return "a:\n " + strings.Repeat("- ", 9_000) + "1" }, [][]string{vetOf, kvcacheOf}, "a.yaml:2:200: is nested more than 100 levels deep"},
	{"yaml nested blocks", "a.yaml", func() string {
		var b strings.Builder
		for i := range 1_400 {
			b.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
		return b.String()
	}, [][]string{vetOf, kvcacheOf, configOf}, "a.yaml:101:101: is nested more than 100 levels deep"},
	{"yaml long list", "a.yaml", func() string { return yamlModel + "sizes: [" + strings.Repeat("1, ", 150_000) + "1]\n" }, [][]string{vetOf, kvcacheOf, configOf}, "a.yaml:5:8: this list contains 150001 values, but at most 10000 are allowed"},
	{"yaml long block list", "a.yaml", func() string { return yamlModel + "sizes:\n" + strings.Repeat("- 1\n", 150_000) }, [][]string{vetOf, kvcacheOf}, "a.yaml:6:1: this list contains 150000 values, but at most 10000 are allowed"},
	{"yaml long known list", "a.yaml", func() string {
		return "model_name: x\narchitecture: varied_attention\nkv_heads: [" + strings.Repeat("1, ", 150_000) + "1]\n"
	}, [][]string{vetOf, kvcacheOf}, "a.yaml:3:11: this list contains 150001 values, but at most 10000 are allowed"},
	{"yaml wrong list", "a.yaml", func() string { return "strategy:\n  tp_size: [" + strings.Repeat("x, ", 150_000) + "1]\n" }, [][]string{vetOf, configOf}, "a.yaml:2:12: this list contains 150001 values, but at most 10000 are allowed"},
	{"yaml sweep list", "a.yaml", func() string { return "sweep:\n  strategy.tp_size: [" + strings.Repeat("1, ", 150_000) + "1]\n" }, [][]string{vetOf, configOf}, "a.yaml:2:21: this list contains 150001 values, but at most 10000 are allowed"},
	{"yaml unknown keys", "a.yaml", func() string { return yamlModel + many(60_000, "key%d: 1\n") }, [][]string{vetOf, kvcacheOf}, `a.yaml:5:1: unknown key "key0": not a parameter of qwen3`},
	{"yaml unknown fields", "a.yaml", func() string { return "system:\n" + many(50_000, "  page_siz%d: 1\n") }, [][]string{vetOf, configOf}, `a.yaml:2:3: unknown key "system.page_siz0": not a configuration field`},
	{"yaml wrong line late", "a.yaml", func() string { return many(40_000, "k%d: [1, 2]\n") + "x: [1\ny: 2\n" }, [][]string{vetOf, configOf}, "a.yaml:40000: did not find expected ',' or ']'"},
	{"yaml colons", "a.yaml", func() string { return strings.Repeat("a: ", 300_000) }, [][]string{vetOf, configOf}, "a.yaml: mapping values are not allowed in this context"},
	{"yaml anchors", "a.yaml", func() string { return many(40_000, "k%d: &a%[1]d [*a%[1]d]\n") }, [][]string{vetOf}, `a.yaml:1: anchor "a0" value contains itself`},
	{"yaml comments", "a.yaml", func() string { return "a: 1\n" + strings.Repeat("#\n", 400_000) }, [][]string{vetOf, configOf}, "a.yaml"},
	{"yaml questions", "a.yaml", func() string { return strings.Repeat("? ", 9_000) }, [][]string{vetOf}, "a.yaml:1: invalid map key: !!map"},
	{"yaml huge scalar", "a.yaml", func() string { return "system: {hardware: " + strings.Repeat("x", 1_000_000) + "}" }, [][]string{vetOf, configOf}, ""},
	{"yaml huge number", "a.yaml", func() string { return "runtime: {isl: " + strings.Repeat("9", 1_000_000) + "}" }, [][]string{vetOf}, `a.yaml:1:16: runtime.isl: "99999`},
	{"json nested objects", "a.json", func() string { return nested(150_000, `{"a":`, "1", "}") }, [][]string{vetOf, kvcacheOf}, "a.json:1:50001: is not JSON: invalid character '{' exceeded max depth"},
	{"json nested lists", "a.json", func() string { return `{"a":` + nested(400_000, "[", "1", "]") + "}" }, [][]string{vetOf, kvcacheOf}, "a.json:1:10005: is not JSON"},
	{"json unknown keys", "a.json", func() string { return `{"model_name": "QWEN3_8B"` + many(60_000, `, "k%d": 1`) + "}" }, [][]string{vetOf, kvcacheOf}, `a.json:1:29: unknown key "k0": not a parameter of qwen3`},
	{"json twice", "a.json", func() string { return `{"a": 1` + strings.Repeat(`, "a": 1`, 100_000) + "}" }, [][]string{vetOf}, "a.json:1:11: a is given twice, first on line 1"},
	{"config.json wide rows", "config.json", func() string {
		row := "{" + strings.TrimSuffix(many(300, `"k%d": 1,`), ",") + "},"
		return "{" + llama + `, "rows": [` + strings.TrimSuffix(strings.Repeat(row, 200), ",") + "]}"
	}, [][]string{vetOf, kvcacheOf, importOf}, "config.json: warning: does not set dtype"},
	{"config.json distinct rows", "config.json", func() string {
		return "{" + llama + `, "rows": [` + strings.TrimSuffix(many(60_000, `{"k%d": 1},`), ",") + "]}"
	}, [][]string{vetOf, kvcacheOf, importOf}, "config.json: warning: does not set dtype"},
	{"config.json nested objects", "config.json", func() string { return "{" + llama + `, "x": ` + nested(100_000, `{"a":`, "1", "}") + "}" }, [][]string{vetOf, kvcacheOf, importOf}, "config.json:1:50124: is not JSON: invalid character '{' exceeded max depth"},
	{"config.json nested rows", "config.json", func() string { return "{" + llama + `, "x": ` + nested(50_000, `[{"a":`, "1", "}]") + "}" }, [][]string{vetOf, kvcacheOf}, "config.json:1:30124: is not JSON: invalid character '{' exceeded max depth"},
	{"config.json many layers", "config.json", func() string {
		return "{" + strings.Replace(llama, "32", "2000", 1) + `, "layer_types": [` + strings.Repeat(`"sliding_attention",`, 40_000) + `"full_attention"]}`
	}, [][]string{vetOf, kvcacheOf}, "config.json:1:141: layer_kinds cannot be computed: layer_types has 40001 entries, but the model has 2000 layers"},
	{"config.json unknown fields", "config.json", func() string { return "{" + llama + many(60_000, `, "kv_cache_%d": 1`) + "}" }, [][]string{vetOf, kvcacheOf, importOf}, ""},
}

// passes contains the names of the hostile files that are valid.
var passes = []string{"yaml huge scalar", "cue costly pattern", "config.json wide rows", "config.json distinct rows"}

// TestHostileFiles checks that each hostile file is rejected with its name and the
// reason, unless the file is valid. It also checks that no file takes a lot of processor
// time or memory. Unless KVBENCH_FULL is set, it tries only one of the commands for each
// file.
func TestHostileFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it takes a long time")
	}
	for i, test := range hostile {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, test.file), []byte(test.text()), 0o644); err != nil {
				t.Fatal(err)
			}
			commands := test.commands
			if n := i % len(commands); !full() {
				commands = commands[n : n+1]
			}
			limit := "1m" // a busy machine takes longer
			if strings.Contains(test.want, "takes more") {
				limit = "500ms"
			}
			for _, command := range commands {
				r := limited(t, limit, dir, append(slices.Clone(command), test.file)...)
				code := 1
				if slices.Contains(passes, test.name) {
					code = 0
				}
				if !strings.HasPrefix(r.stderr, test.want) || r.code != code {
					t.Errorf("%s: exit code %d in %v, stderr %.500q; want %d and %q", command[0], r.code, r.took, r.stderr, code, test.want)
				}
				if n := strings.Count(r.stderr, "\n"+test.file) + 1; n > 21 {
					t.Errorf("%s: %d problems were reported", command[0], n)
				}
				if n := len(r.stderr); n > 30_000 {
					t.Errorf("%s: stderr has %d bytes", command[0], n)
				}
				if r.used > 10*time.Second {
					t.Errorf("%s: took %v of processor time", command[0], r.used)
				}
				if r.peak > 640<<10 {
					t.Errorf("%s: took %d MiB", command[0], r.peak>>10)
				}
			}
		})
	}
}

// TestProblemsCounted checks that only the first twenty of many problems are shown,
// followed by the number of remaining problems.
func TestProblemsCounted(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it takes a long time")
	}
	t.Parallel()
	dir := t.TempDir()
	for file, text := range map[string]string{
		"model.yaml":  yamlModel + many(20_000, "key%d: 1\n"),
		"config.yaml": many(20_000, "key%d: 1\n") + "system: {page_size: 16}\n",
		"twice.json":  `{"a": 1` + strings.Repeat(`, "a": 1`, 20_000) + "}",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, command := range [][]string{vetOf, kvcacheOf, configOf} {
			if command[0] != "vet" && strings.HasPrefix(file, "config") != (len(command) > 2) {
				continue
			}
			r := limited(t, "1m", dir, append(slices.Clone(command), file)...)
			if n := strings.Count("\n"+r.stderr, "\n"+file+":"); n != 21 || !strings.HasSuffix(r.stderr, file+": and 19980 more\n") {
				t.Errorf("%s %s: %d problems, and stderr ends with %q", command[0], file, n, r.stderr[max(0, len(r.stderr)-80):])
			}
		}
	}
}

// TestModelsHostile checks that listing the models in a folder reads each file only a
// few times, not once per known model.
func TestModelsHostile(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped, because it takes a long time")
	}
	dir := t.TempDir()
	for file, text := range map[string]string{
		"a.json": `{"model_name": "QWEN3_8B"` + many(60_000, `, "k%d": 1`) + "}",
		"b.cue":  many(2000, "[=~\"^x%d$\"]: int\n") + many(2000, "a%d: 1\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := limited(t, "1m", dir, "models", "--models", ".")
	if r.code != 1 || !strings.HasPrefix(r.stderr, `a.json:1:29: unknown key "k0": not a parameter of qwen3`) || !strings.Contains(r.stdout, "QWEN3_8B") {
		t.Errorf("exit code %d in %v: %.300s", r.code, r.took, r.stderr)
	}
	if r.used > 15*time.Second {
		t.Errorf("it took %v of processor time", r.used)
	}
}

// TestVetGoesOn checks that vet continues after a file that takes too much time or
// memory, and that it reports all files in order. With KVBENCH_FULL, it tries every
// format; otherwise, it tries only text.
func TestVetGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it takes a long time")
	}
	dir := t.TempDir()
	// This file has few values, so no other limit is exceeded first.
	slow := "import \"kvbench.internal/cue:kvbench\"\n\n_f: kvbench.#Formula\n" + bombs["comprehension"].text
	for file, text := range map[string]string{"a.yaml": "runtime: {isl: x}\n", "b.cue": slow, "c.cue": toy, "d.cue": slow, "e.yaml": "runtime: {isl: y}\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("models", func(t *testing.T) {
		t.Parallel()
		// b.cue and d.cue define architectures, but the command does not name them as
		// files to check.
		r := limited(t, "500ms", dir, "vet", "--models", ".", "a.yaml", "e.yaml")
		rest := r.stderr
		for _, part := range []string{"b.cue: takes more than ", "d.cue: takes more than ", "a.yaml:1:16: ", "e.yaml:1:16: "} {
			_, after, ok := strings.Cut(rest, part)
			if !ok || strings.Contains(after, part) || r.code != 1 {
				t.Fatalf("%q does not appear exactly once, in order, or the exit code is %d instead of 1:\n%s", part, r.code, r.stderr)
			}
			rest = after
		}
	})
	for format, want := range map[string][]string{
		"text":   {"a.yaml: configuration\na.yaml:1:16: ", "b.cue: takes more than ", "c.cue: architecture\nc.cue: warning: ", "d.cue: takes more than ", "e.yaml: configuration\ne.yaml:1:16: "},
		"json":   {`"file": "a.yaml",`, "\"file\": \"b.cue\",\n    \"severity\": \"error\",\n    \"code\": \"too_much\",\n    \"message\": \"takes more than ", `"file": "c.cue",`, `"file": "d.cue",`, `"file": "e.yaml",`},
		"github": {"::error file=a.yaml,line=1,", "::error file=b.cue::takes more than ", "::warning file=c.cue::", "::error file=d.cue::takes more than ", "::error file=e.yaml,line=1,"},
	} {
		if format != "text" && !full() {
			continue
		}
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			// With --models, files that define architectures are read an extra time.
			r := limited(t, "500ms", dir, "vet", "-v", "--models", ".", "--format", format, ".")
			rest := r.stdout
			if format == "text" {
				rest = r.stderr
			}
			for _, part := range want {
				_, after, ok := strings.Cut(rest, part)
				if !ok || strings.Contains(after, part) {
					t.Fatalf("%q does not appear exactly once, in order:\n%s%s", part, r.stdout, r.stderr)
				}
				rest = after
			}
			if r.code != 1 {
				t.Errorf("exit code %d, want 1", r.code)
			}
		})
	}
}

type outcome struct {
	code   int
	took   time.Duration
	used   time.Duration // of processor time
	peak   int64         // KiB
	stdout string
	stderr string
}

// limited runs kvbench with a time limit per file.
func limited(t *testing.T, limit, dir string, args ...string) outcome {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, "kvbench", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), guardTime+"="+limit)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	kib, err := observed(cmd)
	r := outcome{took: time.Since(begin), peak: kib, stdout: stdout.String(), stderr: stderr.String()}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	r.used = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return r
}
