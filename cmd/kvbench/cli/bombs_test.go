package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// doubling returns CUE code in which a string or a list doubles forty times.
func doubling(first, next string) string {
	text := "a0: " + first + "\n"
	for i := range 40 {
		text += fmt.Sprintf("a%d: "+next+"\n", i+1, i)
	}
	return text
}

// bombs are short files that each exceed a limit. Whether the time limit or the memory limit
// is exceeded first depends on the machine.
var bombs = map[string]struct{ text, want string }{
	"comprehension": {
		"l: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\nx: [" + strings.Repeat("for i in l ", 10) + "if i > 100 {1}]\n",
		"takes more than ",
	},
	"interpolation": {
		doubling(`"xxxxxxxxxxxxxxxx"`, `"\(a%[2]d)\(a%[2]d)"`),
		"takes more than ",
	},
	"recursion": {
		"#F: {n: int, r: {if n > 0 {let m = n, v: (#F & {n: m - 1}).r.v}, if n == 0 {v: 0}}}\nx: (#F & {n: 1000000}).r.v\n",
		"",
	},
	"list": {doubling("[0, 1]", "[for x in a%[2]d for y in [0, 1] {x}]"), "takes more than "},
}

// TestBombs checks that a file that exceeds a limit makes the command fail with an error
// that names the file, no matter why the command reads the file. With KVBENCH_FULL, the
// time limit is the default of five seconds; otherwise, it is shorter.
func TestBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it takes a long time")
	}
	limit := "300ms"
	if full() {
		limit = "5s"
	}
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "arch"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"a.cue", "arch/a.cue"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte("package toy\n"+bomb.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, "m.cue"), []byte("package toy\nmodel: {model_name: \"X\", n: a40}\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"vet", "a.cue"},
				{"kvcache", "--model", "qwen3_8b", "--isl", "16", "--model_config", "a.cue"},
				{"kvcache", "--model", "qwen3_8b", "--isl", "16", "--models", "arch"},
			} {
				r := limited(t, limit, dir, args...)
				file := "a.cue"
				if args[len(args)-1] == "arch" {
					file = filepath.Join("arch", file)
				}
				if r.code != 1 || !strings.HasPrefix(r.stderr, file+": "+bomb.want) || strings.Contains(r.stderr, "goroutine") || r.stdout != "" {
					t.Errorf("%v: exit code %d in %v; stderr is %.300q", args, r.code, r.took, r.stderr)
				}
			}
			if !strings.HasPrefix(bomb.text, "a0") {
				return
			}
			// The error names the file that takes too much time or memory, not the file that
			// refers to it. Even a busy machine can read both files within this limit.
			if r := limited(t, "1s", dir, "kvcache", "--model", "m.cue", "--isl", "16"); r.code != 1 || !strings.HasPrefix(r.stderr, "a.cue: takes more than ") {
				t.Errorf("exit code %d; stderr is %.300q", r.code, r.stderr)
			}
		})
	}
}
