package cli_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// realNixlbench returns the path of the real nixlbench.
func realNixlbench(t *testing.T) string {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, "nixlbench")
		if _, err := os.Stat(path); err == nil && dir != standinDir {
			return path
		}
	}
	t.Skip("SKIPPED: nixlbench is not in PATH, so nothing was run with the real program")
	return ""
}

// TestProfileReal runs the real nixlbench, if it is installed. The runs write and read
// files, connect two processes over ASIO, and use fitted plans of all kinds. No run may
// leave anything behind.
func TestProfileReal(t *testing.T) {
	program := realNixlbench(t)
	run := func(t *testing.T, args ...string) []result {
		t.Helper()
		dir := t.TempDir()
		data := filepath.Join(dir, "data")
		if err := os.Mkdir(data, 0o755); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "r.jsonl")
		cmd := exec.Command("kvbench", append(args, "--nixlbench", program, "--output", out, "--keep_output", "--cleanup", "--timeout", "2m")...)
		cmd.Dir = data
		text, err := cmd.CombinedOutput()
		got := results(t, out)
		if len(got) != 1 {
			t.Fatalf("%d results, %v\n%s", len(got), err, text)
		}
		if got[0].Status != "ok" {
			t.Logf("%q %v\n%s", args, err, text)
		}
		for _, row := range got[0].Rows { // remove the values that kvbench adds
			maps.DeleteFunc(row, func(name string, n float64) bool { return strings.HasPrefix(name, "timed_") && n >= 1 })
		}
		if want := printedRows(t, out); !slices.EqualFunc(got[0].Rows, want, maps.Equal) {
			t.Errorf("the result of %q has rows %v, but the output has %v", args, got[0].Rows, want)
		}
		if left, err := os.ReadDir(data); err != nil || len(left) > 0 {
			t.Errorf("%q left %v behind (%v)", args, left, err)
		}
		return got
	}
	// Results may be suspect, because those of early releases cannot be trusted.
	good := func(t *testing.T, list []result) {
		t.Helper()
		for _, r := range list {
			if r.Status != "ok" && r.Status != "suspect" || len(r.Rows) == 0 || r.Rows[0]["bandwidth_gb_per_s"] <= 0 {
				t.Errorf("a result is %+v", r)
			}
		}
	}
	small := append(smallRun(t)[:7], "--num_iter", "16", "--warmup_iter", "16")
	small = small[:len(small):len(small)]
	storage := append(small, "--backend", "POSIX")
	storage = storage[:len(storage):len(storage)]
	t.Run("write", func(t *testing.T) {
		good(t, run(t, append(storage, "--source", "memory", "--destination", "file")...))
	})
	t.Run("read", func(t *testing.T) {
		good(t, run(t, append(storage, "--source", "file", "--destination", "memory")...))
	})
	t.Run("names", func(t *testing.T) {
		args := append(storage, "--filenames", "*")
		if exec.Command("kvbench", append(args, "--nixlbench", program, "--dry_run")...).Run() != nil {
			t.Skip("this release does not accept names")
		}
		good(t, run(t, args...))
	})
	t.Run("pair", func(t *testing.T) {
		args := append(small, "--backend", "UCX", "--source", "memory", "--destination", "memory", "--runtime_type", "ASIO", "--start_batch_size", "1")
		if exec.Command("kvbench", append(args, "--nixlbench", program, "--dry_run")...).Run() != nil {
			t.Skip("this release has no ASIO runtime")
		}
		list := run(t, args...)
		good(t, list)
		if len(list[0].Rows) != 3 { // batches of 1, 2 and 4
			t.Errorf("%d rows, want 3", len(list[0].Rows))
		}
	})
	t.Run("fitted", func(t *testing.T) {
		wanted := realPlans(t)
		tries := 10 * wanted
		r := rand.New(rand.NewPCG(13, 30))
		ran := 0
		for range tries {
			if ran == wanted {
				return
			}
			args := randomRun(t, r)
			// Skip runs that the release does not support, because kvbench refuses to
			// plan them.
			if exec.Command("kvbench", append(args, "--nixlbench", program, "--dry_run")...).Run() != nil {
				continue
			}
			ran++
			good(t, run(t, args...))
		}
		t.Errorf("%d of %d plans could be fitted, want %d", ran, tries, wanted)
	})
}

// realPlans returns the number of fitted plans to run.
func realPlans(t *testing.T) int {
	t.Helper()
	n := 30
	if text := os.Getenv("REAL_PLANS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			t.Fatalf("REAL_PLANS is %q, want a number of plans", text)
		}
	}
	return n
}

// printedRows reads the rows from the output that is saved next to the results of one
// run. A row is a line with as many numbers as a table has columns.
func printedRows(t *testing.T, results string) []map[string]float64 {
	t.Helper()
	layouts := map[int][]string{
		6: {"block_size_bytes", "batch_size", "avg_latency_us", "bandwidth_mib_per_s", "bandwidth_gib_per_s", "bandwidth_gb_per_s"},
		10: {"block_size_bytes", "batch_size", "bandwidth_gb_per_s", "avg_latency_us", "avg_prep_us", "p99_prep_us",
			"avg_post_us", "p99_post_us", "avg_tx_us", "p99_tx_us"},
	}
	files, err := filepath.Glob(results + ".*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no output was saved next to %s (%v)", results, err)
	}
	// A run that was restarted has one file for each attempt.
	text, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]float64
lines:
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) > 0 && strings.HasPrefix(words[0], "[") {
			words = words[1:]
		}
		row := map[string]float64{}
		for i, key := range layouts[len(words)] {
			v, err := strconv.ParseFloat(words[i], 64)
			if err != nil {
				continue lines
			}
			row[key] = v
		}
		if len(row) > 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

// randomRun returns the arguments of a random profile that moves little data.
func randomRun(t *testing.T, r *rand.Rand) []string {
	t.Helper()
	examples, err := filepath.Abs("../../../examples")
	if err != nil {
		t.Fatal(err)
	}
	one := func(list ...string) string { return list[r.IntN(len(list))] }
	args := []string{"profile",
		"--model", filepath.Join(examples, one("model_qwen3_8b.yaml", "model_deepseek_r1.yaml", "model_llama_3_1_8b.yaml")),
		"--isl", fmt.Sprint(1 + r.IntN(256)), "--page_size", one("1", "16", "48", "64"), "--num_requests", one("1", "2", "3"),
		"--tp", one("1", "2", "8"), "--backend", "POSIX", "--num_iter", one("16", "20", "64"), "--warmup_iter", one("0", "16"),
		"--num_threads", one("1", "2", "3", "4"),
	}
	maybe := func(name string, values ...string) {
		if r.IntN(3) == 0 {
			args = append(args, "--"+name)
			if len(values) > 0 {
				args = append(args, one(values...))
			}
		}
	}
	maybe("source", "memory")
	maybe("num_initiator_dev", "1", "2")
	maybe("num_target_dev", "1", "2")
	maybe("num_files", "1", "2")
	maybe("pipeline_depth", "2", "4")
	maybe("storage_enable_direct")
	maybe("posix_api_type", "AIO", "URING", "POSIXAIO")
	maybe("posix_kernel_queue_size", "16", "48", "256", "1024")
	maybe("randomize_location_mode", "none", "blockaligned", "bytealigned")
	maybe("scheme", "pairwise", "onetomany", "manytoone", "tp")
	maybe("start_batch_size", "1")
	return args
}
