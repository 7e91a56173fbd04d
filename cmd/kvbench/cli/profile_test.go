package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallRun returns the arguments for a profile command that moves little data.
func smallRun(t testing.TB, more ...string) []string {
	t.Helper()
	examples, err := filepath.Abs("../../../examples")
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"profile", "--model", filepath.Join(examples, "model_qwen3_8b.yaml"),
		"--isl", "256", "--page_size", "64", "--backend", "POSIX", "--storage_enable_direct"}, more...)
}

type result struct {
	Hash    string
	Repeat  int
	Status  string
	Reasons []string
	Role    string
	Rows    []map[string]float64
}

// results reads a results file. Every line must be a result.
func results(t testing.TB, name string) []result {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var list []result
	for line := range bytes.Lines(data) {
		var r result
		if err := json.Unmarshal(line, &r); err != nil || line[len(line)-1] != '\n' {
			t.Fatalf("line %d is not a result: %v\n%s", len(list)+1, err, line)
		}
		list = append(list, r)
	}
	return list
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}

// TestProfileKilled kills kvbench in the middle of run 3 of 5, and checks that the same
// command with --resume completes the file and that each result is in it only once.
func TestProfileKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "r.jsonl")
	args := smallRun(t, "--repeat", "5", "--output", out)
	cmd := exec.Command("kvbench", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "FAKE_SLEEP=1s")
	lines := started(t, cmd, cmd.StderrPipe)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "3 of 5") {
	}
	time.Sleep(100 * time.Millisecond) // wait until the third run is in progress
	cmd.Process.Kill()
	cmd.Wait()
	if got := results(t, out); len(got) != 2 {
		t.Fatalf("there are %d results after the kill, want 2", len(got))
	}

	cmd = exec.Command("kvbench", append(args, "--resume")...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	got := results(t, out)
	seen := map[int]bool{}
	for _, r := range got {
		if seen[r.Repeat] || r.Status != "ok" || len(r.Rows) != 1 || r.Rows[0]["bandwidth_gb_per_s"] != 16.925787 {
			t.Errorf("a result is %+v", r)
		}
		seen[r.Repeat] = true
	}
	if len(got) != 5 || len(seen) != 5 {
		t.Errorf("%d results from %d runs, want 5 from 5", len(got), len(seen))
	}
}

// TestProfileInterrupted checks that interrupts end even a nixlbench that ignores
// signals, that the results contain its rows, and that no process is left behind.
func TestProfileInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "r.jsonl")
	cmd, child := startIgnoring(t, dir, smallRun(t, "--repeat", "2", "--output", out)...)
	cmd.Process.Signal(os.Interrupt)
	time.Sleep(300 * time.Millisecond) // nixlbench ignores the first interrupt
	if syscall.Kill(child, 0) != nil {
		t.Error("nixlbench was not asked to exit before it was killed")
	}
	cmd.Process.Signal(os.Interrupt) // the second interrupt kills nixlbench
	if code := exitCode(cmd.Wait()); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if !ended(child) {
		t.Error("nixlbench is still running")
	}
	got := results(t, out)
	if len(got) != 1 || got[0].Status != "interrupted" || len(got[0].Rows) != 1 {
		t.Errorf("the results are %+v, want one interrupted result with its row", got)
	}
}

// TestProfileGrace checks that a single interrupt ends a nixlbench that ignores signals,
// once the grace period has passed.
func TestProfileGrace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "r.jsonl")
	cmd, child := startIgnoring(t, dir, smallRun(t, "--grace", "300ms", "--output", out)...)
	begin := time.Now()
	cmd.Process.Signal(os.Interrupt)
	if code := exitCode(cmd.Wait()); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if d := time.Since(begin); d < 300*time.Millisecond || d > 9*time.Second { // the default is 10 s
		t.Errorf("it took %v, want 300 ms", d)
	}
	if !ended(child) {
		t.Error("nixlbench is still running")
	}
	if got := results(t, out); len(got) != 1 || got[0].Status != "interrupted" || len(got[0].Rows) != 1 {
		t.Errorf("the results are %+v, want one interrupted result with its row", got)
	}
}

// TestProfileSignals checks that kvbench passes on the signal it receives, so that
// nixlbench can exit in its usual way.
func TestProfileSignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		dir := t.TempDir()
		cmd := exec.Command("kvbench", smallRun(t)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "FAKE_FAULT=tell")
		lines := started(t, cmd, cmd.StdoutPipe)
		for lines.Scan() && lines.Text() != "waiting" {
		}
		cmd.Process.Signal(sig)
		if lines.Scan(); lines.Text() != "got "+sig.String() {
			t.Errorf("%v: nixlbench printed %q", sig, lines.Text())
		}
		for lines.Scan() {
		}
		if code := exitCode(cmd.Wait()); code != 130 {
			t.Errorf("%v: exit code %d, want 130", sig, code)
		}
	}
}

// TestProfileParentKilled checks that killing kvbench also kills nixlbench, even if
// nixlbench ignores signals.
func TestProfileParentKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux notifies processes when their parent ends")
	}
	dir := t.TempDir()
	cmd, child := startIgnoring(t, dir, smallRun(t)...)
	cmd.Process.Kill()
	cmd.Wait()
	for range 3000 {
		if ended(child) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("nixlbench is still running")
	syscall.Kill(child, syscall.SIGKILL)
}

// startIgnoring starts kvbench with a nixlbench that prints a row and then ignores signals.
// It also returns the process ID of nixlbench.
func startIgnoring(t *testing.T, dir string, args ...string) (*exec.Cmd, int) {
	t.Helper()
	cmd := exec.Command("kvbench", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "FAKE_FAULT=ignore")
	lines := started(t, cmd, cmd.StdoutPipe)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "4718592 ") {
	}
	go func() {
		for lines.Scan() {
		}
	}()
	return cmd, childOf(t, cmd.Process.Pid)
}

// ended reports whether a process has ended.
func ended(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH || zombie(pid) }

// childOf returns the process that pid started.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		data, _ := os.ReadFile(task)
		if fields := strings.Fields(string(data)); len(fields) > 0 {
			child, _ := strconv.Atoi(fields[0])
			return child
		}
	}
	t.Skip("this system does not report the children of a process")
	return 0
}

// TestProfileFlood checks that kvbench reads all output of a program that prints 100 MB,
// using little memory.
func TestProfileFlood(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a hundred megabytes")
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "r.jsonl")
	cmd := exec.Command("kvbench", smallRun(t, "--output", out)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "FAKE_FAULT=flood")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n, peak := 0, int64(0)
	buf := make([]byte, 64<<10)
	for {
		m, err := stdout.Read(buf)
		if n/1_000_000 != (n+m)/1_000_000 {
			peak = max(peak, peakMemory(cmd.Process.Pid))
		}
		n += m
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if n < 100_000_000 {
		t.Errorf("%d bytes were passed on, want 100 MB", n)
	}
	if peak > 100<<10 {
		t.Errorf("kvbench took %d MiB", peak>>10)
	}
	if peak == 0 && runtime.GOOS == "linux" {
		t.Error("the peak memory is unknown")
	}
	if got := results(t, out); len(got) != 1 || len(got[0].Rows) != 1 {
		t.Errorf("results are %+v, want one row", got)
	}
}

// peakMemory returns the peak memory of a running process in KiB, or 0 if it is unknown.
// The peak that the system reports after a process ends cannot be used, because it includes
// the memory that the test had when it started the process.
func peakMemory(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	fmt.Sscan(rest, &kib)
	return kib
}

// TestProfileClosedPipe checks what happens after the reader of stdout has exited. If
// kvbench saves the results to a file, it continues; otherwise, it ends the run.
func TestProfileClosedPipe(t *testing.T) {
	t.Parallel()
	for _, kept := range []bool{true, false} {
		dir := t.TempDir()
		args := smallRun(t, "--repeat", "3")
		if kept {
			args = append(args, "--output", "r.jsonl")
		}
		cmd := exec.Command("kvbench", args...)
		cmd.Dir = dir
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = w
		r.Close()
		err = cmd.Run()
		w.Close()
		if exitCode(err) != 0 {
			t.Errorf("ended with %v", err)
		}
		if !kept {
			continue
		}
		if got := results(t, filepath.Join(dir, "r.jsonl")); len(got) != 3 {
			t.Errorf("%d results, want 3", len(got))
		}
	}
}

// TestProfileLingering checks that kvbench stops a target that keeps running after the
// initiator has exited.
func TestProfileLingering(t *testing.T) {
	if testing.Short() {
		t.Skip("kvbench waits for the target")
	}
	t.Parallel()
	cmd := exec.Command("kvbench", append(smallRun(t)[:7], "--backend", "UCX", "--source", "gpu", "--destination", "gpu")...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "FAKE_FAULT=target_stays")
	out, err := cmd.CombinedOutput()
	if exitCode(err) != 1 || !bytes.Contains(out, []byte("did not exit after another process ended, and was stopped")) || !bytes.Contains(out, []byte("16.925787")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestEtcdSilent checks that kvbench waits at most two seconds for a server that does
// not accept connections.
func TestEtcdSilent(t *testing.T) {
	t.Parallel()
	address := silentServer(t)
	cmd := exec.Command("kvbench", smallRun(t, "--etcd_endpoints", "http://"+address)...)
	cmd.Dir = t.TempDir()
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	if d := time.Since(begin); d < 1900*time.Millisecond || d > 20*time.Second { // a busy machine takes longer
		t.Errorf("it took %v", d)
	}
	if exitCode(err) != 1 || !bytes.Contains(out, []byte("cannot reach etcd at http://"+address+", which nixlbench processes use to find each other: no answer in 2s")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestEtcdInterrupted checks that an interrupt while waiting for a server does not count
// as a failed run.
func TestEtcdInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "r.jsonl")
	cmd := exec.Command("kvbench", smallRun(t, "--etcd_endpoints", "http://"+silentServer(t), "--output", out)...)
	cmd.Dir = dir
	lines := started(t, cmd, cmd.StdoutPipe)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "nixlbench ") {
	}
	time.Sleep(300 * time.Millisecond) // by now, kvbench is waiting for the server
	cmd.Process.Signal(os.Interrupt)
	if code := exitCode(cmd.Wait()); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if got := results(t, out); len(got) != 1 || got[0].Status != "interrupted" {
		t.Errorf("the results are %+v, want one interrupted result", got)
	}
}

// silentServer returns the address of a server that does not accept connections.
func silentServer(t *testing.T) string {
	t.Helper()
	// A socket does not answer while its queue is full.
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 4 {
		if conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond); err == nil {
			t.Cleanup(func() { conn.Close() })
		}
	}
	if conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond); err == nil {
		conn.Close()
		t.Skip("this system accepts connections for which no process waits")
	}
	return address
}

// BenchmarkProfile measures the time that kvbench adds to each of 200 runs of nixlbench.
// It subtracts the startup time and the time of 200 direct runs with the same arguments
// from the time that 'kvbench profile' takes. For overhead-kept, every result is written
// and synced.
func BenchmarkProfile(b *testing.B) {
	const points = 200
	dir := b.TempDir()
	elapsed := func(name string, args ...string) time.Duration {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		begin := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		return time.Since(begin)
	}
	var bare, plain, kept []float64
	for b.Loop() {
		start := elapsed("kvbench", smallRun(b, "--dry_run")...)
		var direct time.Duration
		for range points {
			direct += elapsed("nixlbench", "--backend", "POSIX", "--storage_enable_direct", "--op_type", "READ",
				"--max_batch_size", "4", "--max_block_size", "4718592", "--start_batch_size", "4", "--start_block_size", "4718592", "--total_buffer_size", "18874368")
		}
		overhead := func(args ...string) float64 {
			d := elapsed("kvbench", smallRun(b, append(args, "--repeat", strconv.Itoa(points))...)...)
			return (d - start - direct).Seconds() * 1000 / points
		}
		bare = append(bare, direct.Seconds()*1000/points)
		plain = append(plain, overhead())
		kept = append(kept, overhead("--output", "r.jsonl"))
	}
	median := func(list []float64) float64 {
		slices.Sort(list)
		return list[len(list)/2]
	}
	b.ReportMetric(median(bare), "nixlbench-ms/point")
	b.ReportMetric(median(plain), "overhead-ms/point")
	b.ReportMetric(median(kept), "overhead-kept-ms/point")
}

// started starts a command and returns a scanner over the lines that it writes to a
// pipe.
func started(t testing.TB, cmd *exec.Cmd, pipe func() (io.ReadCloser, error)) *bufio.Scanner {
	t.Helper()
	out, err := pipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return bufio.NewScanner(out)
}
