package cli_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// writeResults writes a file of n results, each for a different point, in the form that
// 'kvbench profile' writes. 100,000 results take 873 MB.
func writeResults(t testing.TB, name string, n int) {
	t.Helper()
	dir := t.TempDir()
	one := filepath.Join(dir, "one.jsonl")
	cmd := exec.Command("kvbench", smallRun(t, "--output", one)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	line, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile(`"hash":"[0-9a-f]{64}","point":"[0-9a-f]{64}"|"isl":\{"value":256|"bandwidth_gb_per_s":16.925787`).FindAllIndex(line, -1)
	if len(parts) != 3 {
		t.Fatalf("%d parts of the text can be replaced in %s", len(parts), line)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriterSize(f, 1<<20)
	for i := range n {
		out.Write(line[:parts[0][0]])
		fmt.Fprintf(out, `"hash":"%s","point":"%s"`, hash(i), hash(i))
		out.Write(line[parts[0][1]:parts[1][0]])
		fmt.Fprintf(out, `"isl":{"value":%d`, i+1)
		out.Write(line[parts[1][1]:parts[2][0]])
		fmt.Fprintf(out, `"bandwidth_gb_per_s":%d.%06d`, 10+i%7, i)
		out.Write(line[parts[2][1]:])
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// hash is the hash of a result that [writeResults] writes.
func hash(n int) string { return fmt.Sprintf("%064x", n) }

// printed is a writer that counts lines and saves only the end of the text.
type printed struct {
	lines int
	last  []byte
}

func (p *printed) Write(text []byte) (int, error) {
	p.lines += bytes.Count(text, []byte("\n"))
	p.last = append(p.last, text...)
	p.last = append(p.last[:0], p.last[max(0, len(p.last)-4000):]...)
	return len(text), nil
}

// measured runs kvbench on two processors and returns its output, its wall and CPU times,
// and its peak memory in MiB.
func measured(t testing.TB, dir string, args ...string) (out printed, wall, cpu time.Duration, mib int64) {
	t.Helper()
	cmd := exec.Command("kvbench", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOMAXPROCS=2")
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	begin := time.Now()
	kib, err := observed(cmd)
	wall = time.Since(begin)
	if err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, stderr.Bytes())
	}
	state := cmd.ProcessState
	return out, wall, state.UserTime() + state.SystemTime(), kib >> 10
}

// observed runs a command and returns its peak memory in KiB, or 0 if it ended before it
// could be observed.
func observed(cmd *exec.Cmd) (int64, error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended, peak := make(chan bool), make(chan int64)
	go func() {
		var kib int64
		for {
			select {
			case <-ended:
				peak <- kib
				return
			case <-time.After(10 * time.Millisecond):
				kib = max(kib, peakMemory(cmd.Process.Pid))
			}
		}
	}()
	err := cmd.Wait()
	close(ended)
	return <-peak, err
}

// slower is the factor by which limits on processor time are increased for machines that
// are busy or slower than the one in docs/performance.md.
const slower = 3

// TestManyResults checks how much CPU time commands need to read 100,000 results (873 MB),
// and that they use at most 256 MiB of memory. It limits CPU time because wall time depends
// on how busy the machine is. Unless KVBENCH_FULL is set, it reads a fiftieth of the
// results and scales the limits down, except for a fixed allowance of half a second and
// 64 MiB.
func TestManyResults(t *testing.T) {
	t.Parallel()
	n := 2_000
	if full() {
		n = 100_000
	}
	share := func(ofAll int64) int64 { return ofAll * int64(n) / 100_000 }
	dir := t.TempDir()
	file := filepath.Join(dir, "r.jsonl")
	writeResults(t, file, n)
	for _, test := range []struct {
		args  []string
		lines int
		last  string
		cpu   time.Duration
	}{
		{[]string{"report", file}, n + 3, "[1]", 10 * time.Second},
		{[]string{"report", file, file}, n + 3, "1.000", 20 * time.Second}, // spread over two processors
		{[]string{"report", file, "--format", "csv"}, n + 1, "", 10 * time.Second},
		{[]string{"report", file, file, "--format", "csv"}, n + 1, ",1.000,", 20 * time.Second},
		{[]string{"report", file, "--format", "json"}, -1, fmt.Sprintf("\"isl\": %d,", n), 20 * time.Second},
		{[]string{"vet", file}, 0, "", 20 * time.Second},
		{[]string{"results", "ls", file}, n + 1, " 14.", 2 * time.Second},
		{[]string{"results", "export", file}, n + 1, ",34.8,7.0", 2 * time.Second},
		{[]string{"results", "export", file, "--format", "jsonl"}, n, `"p99_tx_us":7.0}`, 2 * time.Second},
		{[]string{"results", "show", hash(n - 1), file}, -1, fmt.Sprintf(`"bandwidth_gb_per_s": %d.%06d,`, 10+(n-1)%7, n-1), 2 * time.Second},
		{[]string{"results", "merge", file}, n, "]}\n", 2 * time.Second},
		{[]string{"results", "merge", file, "--output", filepath.Join(dir, "merged.jsonl")}, 0, "", 3 * time.Second}, // like dd, the kernel writes for a second
		{[]string{"results", "merge", file, file, "--only", fmt.Sprintf("isl=%d", n)}, 1, "", 4 * time.Second},       // twice the results
		{smallRun(t, "--output", file, "--resume"), -1, "", 10 * time.Second},
	} {
		out, wall, cpu, mib := measured(t, dir, test.args...)
		what := strings.Join(test.args[:min(len(test.args), 4)], " ")
		t.Logf("%s: %v, %v of processors, %d MiB", what, wall, cpu, mib)
		if test.lines >= 0 && out.lines != test.lines || !bytes.Contains(out.last, []byte(test.last)) {
			t.Errorf("%s: %d lines, want %d\n%s", what, out.lines, test.lines, out.last)
		}
		// Short tests run with the race detector, which needs additional time and memory.
		if testing.Short() {
			continue
		}
		if cpu > slower*(time.Duration(share(int64(test.cpu)))+500*time.Millisecond) || mib > share(256-64)+64 {
			t.Errorf("%s took %v of processors and %d MiB", what, cpu, mib)
		}
	}
}

// BenchmarkReport measures 'kvbench report' for 100,000 results, with and without a baseline,
// as well as 'kvbench results', 'kvbench vet' and --resume. It reports median times and peak
// memory.
func BenchmarkReport(b *testing.B) {
	dir := b.TempDir()
	file := filepath.Join(dir, "r.jsonl")
	writeResults(b, file, 100_000)
	for name, args := range map[string][]string{
		"alone":    {"report", file},
		"baseline": {"report", file, file},
		"json":     {"report", file, "--format", "json"},
		"ls":       {"results", "ls", file},
		"export":   {"results", "export", file},
		"vet":      {"vet", file},
		"resume":   smallRun(b, "--output", file, "--resume"),
	} {
		b.Run(name, func(b *testing.B) {
			var times, cpus []time.Duration
			var peak int64
			for b.Loop() {
				_, wall, cpu, mib := measured(b, dir, args...)
				times, cpus, peak = append(times, wall), append(cpus, cpu), max(peak, mib)
			}
			slices.Sort(times)
			slices.Sort(cpus)
			b.ReportMetric(times[len(times)/2].Seconds(), "s/run")
			b.ReportMetric(cpus[len(cpus)/2].Seconds(), "cpu-s/run")
			b.ReportMetric(float64(peak), "MiB")
		})
	}
}
