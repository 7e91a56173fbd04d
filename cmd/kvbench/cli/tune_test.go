package cli_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tuned is the JSON that kvbench tune prints.
type tuned struct {
	Best, Default struct {
		Settings map[string]any
		Mean     float64
		Values   []float64
		Status   string
	}
	Gain *struct {
		Mean, Low, High float64
	}
	Command      []string
	Combinations int
	Runs         int
	Failed       int
	SuspectRuns  int `json:"suspect_runs"`
	Ended        string
	Settings     []struct {
		Name    string
		Matters *bool
	}
	Trials []struct {
		Settings map[string]any
		Status   string
	}
}

// tuneArgs returns the arguments for a search on the fake nixlbench's surface.
func tuneArgs(t testing.TB, more ...string) []string {
	t.Helper()
	examples, err := filepath.Abs("../../../examples")
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"tune", "--model", filepath.Join(examples, "model_qwen3_8b.yaml"),
		"--isl", "4k", "--page_size", "64", "--backend", "POSIX"}, more...)
}

// tuneCommand returns a command that runs a search on a surface, in a new folder.
func tuneCommand(t testing.TB, seed int, more ...string) *exec.Cmd {
	cmd := exec.Command("kvbench", tuneArgs(t, append([]string{"--seed", fmt.Sprint(seed)}, more...)...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), fmt.Sprintf("FAKE_SURFACE=%d", seed))
	return cmd
}

// tuneSurface is the surface that the stand-in for nixlbench takes its bandwidths from.
type tuneSurface struct {
	at   map[string]float64 // keyed by the values of the settings
	best float64            // the largest bandwidth that can be trusted
}

func readSurface(t testing.TB) tuneSurface {
	t.Helper()
	cmd := exec.Command("nixlbench")
	cmd.Env = append(os.Environ(), "FAKE_SURFACE=print")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	s := tuneSurface{at: map[string]float64{}}
	for line := range strings.Lines(string(out)) {
		var batch, threads, depth, queue int64
		var api string
		var v float64
		var trusted bool
		if _, err := fmt.Sscan(line, &batch, &threads, &depth, &api, &queue, &v, &trusted); err != nil {
			t.Fatal(err)
		}
		s.at[fmt.Sprint(batch, threads, depth, " ", api, " ", queue)] = v
		if trusted {
			s.best = max(s.best, v)
		}
	}
	if len(s.at) != 1080 {
		t.Fatalf("the surface has %d points, want 1080", len(s.at))
	}
	return s
}

// bandwidth returns the surface's bandwidth at the given settings.
func (s tuneSurface) bandwidth(settings map[string]any) float64 {
	n := func(name string) int64 {
		v, _ := settings[name].(float64)
		return int64(v)
	}
	return s.at[fmt.Sprint(n("max_batch_size"), n("num_threads"), n("pipeline_depth"), " ", settings["posix_api_type"], " ", n("posix_kernel_queue_size"))]
}

// TestTuneSeeds checks that tune comes within 5% of the best bandwidth with a tenth of the
// runs that the whole grid needs, even though some runs fail, and that it never chooses a
// suspect result. With KVBENCH_FULL, it tries 20 seeds.
func TestTuneSeeds(t *testing.T) {
	startsMany(t)
	t.Parallel()
	seeds := 3
	if full() {
		seeds = 20
	}
	s := readSurface(t)
	failed, suspect := 0, 0
	for seed := 1; seed <= seeds; seed++ {
		cmd := tuneCommand(t, seed, "--quiet", "--format", "json")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, out)
		}
		var r tuned
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatal(err)
		}
		if v := s.bandwidth(r.Best.Settings); v < 0.95*s.best {
			t.Errorf("seed %d: found %.2f with %v, the best is %.2f", seed, v, r.Best.Settings, s.best)
		}
		runs, err := os.ReadFile(filepath.Join(cmd.Dir, "runs"))
		if err != nil || r.Combinations != len(s.at) || r.Runs > len(s.at)/10 || len(runs) > r.Runs {
			t.Errorf("seed %d: %d runs, %d of which printed a table, for %d combinations", seed, r.Runs, len(runs), r.Combinations)
		}
		if r.Best.Status != "ok" || r.Best.Mean > 100 || len(r.Best.Values) < 2 {
			t.Errorf("seed %d: the best is %+v", seed, r.Best)
		}
		if r.Gain == nil || r.Gain.Low <= 0 || r.Gain.High < r.Gain.Low {
			t.Errorf("seed %d: the gain is %+v", seed, r.Gain)
		}
		failed, suspect = failed+r.Failed, suspect+r.SuspectRuns
	}
	if failed <= suspect || suspect == 0 {
		t.Errorf("%d combinations failed, and %d runs are suspect, but the test needs both", failed, suspect)
	}
}

// TestTuneResume checks that an interrupted search saves its results and prints the best
// settings so far. It also checks that the search can be resumed, and that it then makes
// the same runs as a search that was not interrupted.
func TestTuneResume(t *testing.T) {
	t.Parallel()
	order := func(text string) []string {
		var list []string
		for line := range strings.Lines(text) {
			if _, run, ok := strings.Cut(line, ": "); ok && strings.Contains(line, " of 108: ") {
				list = append(list, strings.TrimSuffix(strings.Replace(run, ", already done", "", 1), "\n"))
			}
		}
		return list
	}
	whole := tuneCommand(t, 5)
	var stderr strings.Builder
	whole.Stderr = &stderr
	if _, err := whole.Output(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	want := order(stderr.String())

	cmd := tuneCommand(t, 5, "--output", "r.jsonl")
	lines := started(t, cmd, cmd.StderrPipe)
	text := ""
	for lines.Scan() {
		text += lines.Text() + "\n"
		if strings.HasPrefix(lines.Text(), "30 of 108: ") {
			cmd.Process.Signal(os.Interrupt)
		}
	}
	if code := exitCode(cmd.Wait()); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if !strings.HasSuffix(text, " runs\n  hint: run the same command with --resume to continue\n") {
		t.Errorf("stderr ends without a hint: %s", text)
	}
	before, err := os.ReadFile(filepath.Join(cmd.Dir, "r.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	again := tuneCommand(t, 5, "--output", "r.jsonl", "--resume", "--format", "json")
	again.Dir = cmd.Dir
	stderr.Reset()
	again.Stderr = &stderr
	out, err := again.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if n := strings.Count(stderr.String(), "already done"); n < 20 {
		t.Errorf("only %d runs were reused", n)
	}
	// Runs that failed are run again, which changes the noise of later runs, but not the
	// noise of the existing results.
	got := order(stderr.String())
	if len(got) < 30 || strings.Join(got[:29], "\n") != strings.Join(want[:29], "\n") {
		t.Errorf("the order is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	after, err := os.ReadFile(filepath.Join(cmd.Dir, "r.jsonl"))
	if err != nil || !strings.HasPrefix(string(after), string(before)) {
		t.Errorf("the results of the interrupted search are lost: %v", err)
	}
	var r tuned
	if err := json.Unmarshal(out, &r); err != nil || readSurface(t).bandwidth(r.Best.Settings) == 0 {
		t.Errorf("the result is %v: %+v", err, r.Best)
	}
}

// TestTuneInterrupt checks what an interrupted search prints, with and without a result.
func TestTuneInterrupt(t *testing.T) {
	t.Parallel()
	cmd := tuneCommand(t, 1)
	cmd.Env = append(cmd.Env, "FAKE_SLEEP=100ms")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stdout strings.Builder
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "4 of 108: ") {
			cmd.Process.Signal(os.Interrupt)
		}
	}
	if code := exitCode(cmd.Wait()); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	for _, want := range []string{"\nbest  ", "The search ended because it was interrupted.", "\nnixlbench \\\n"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("stdout does not contain %q:\n%s", want, stdout.String())
		}
	}
}
