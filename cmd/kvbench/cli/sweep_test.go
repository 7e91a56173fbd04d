package cli_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endless contains the arguments of a sweep of 10^12 points.
var endless = []string{"plan", "--model", "../../../examples/model_qwen3_8b.yaml", "--isl", "1..10000+1", "--page_size", "1..10000+1",
	"--tp", "1..100+1", "--num_requests", "1..100+1", "--format", "csv"}

// TestSweepInterrupt checks that a sweep prints its size first. It also checks that an
// interrupt ends the sweep at once and that stdout then ends with a complete row.
func TestSweepInterrupt(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("kvbench", endless...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	some := make([]byte, 1<<20)
	if _, err := io.ReadFull(stdout, some); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Signal(os.Interrupt)
	begin := time.Now()
	rest, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	if code := exitCode(cmd.Wait()); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if d := time.Since(begin); d > 30*time.Second {
		t.Errorf("the sweep took %v to end", d)
	}
	out := string(append(some, rest...))
	if !strings.HasSuffix(out, "\n") {
		t.Errorf("stdout ends with %q", out[max(0, len(out)-80):])
	}
	for line := range strings.Lines(out) {
		if strings.Count(line, ",") != 11 {
			t.Fatalf("not a complete row: %q", line)
		}
	}
	if want := "kvbench: note: 1000000000000 points: 100 tp_size values, 10000 isl values, 100 num_requests values, 10000 page_size values\n"; stderr.String() != want {
		t.Errorf("stderr is %q, want %q", stderr.String(), want)
	}
}

// TestSweepInterruptFile checks that an interrupted sweep does not create the --output file.
func TestSweepInterruptFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command("kvbench", append(endless, "--output", filepath.Join(dir, "rows.csv"))...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	files := func() (size int64, names []string) {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			names = append(names, f.Name())
			if info, err := f.Info(); err == nil {
				size += info.Size()
			}
		}
		return size, names
	}
	for range 1000 {
		if size, _ := files(); size > 1<<20 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if size, _ := files(); size == 0 {
		t.Error("nothing was written, so the test proves nothing")
	}
	cmd.Process.Signal(os.Interrupt)
	if code := exitCode(cmd.Wait()); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if _, names := files(); names != nil {
		t.Errorf("%v is left behind", names)
	}
}

// TestSweepIgnores checks that a signal does not end kvbench if it was ignored when
// kvbench started, as under nohup.
func TestSweepIgnores(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", append([]string{"-c", `trap "" HUP; exec kvbench "$@"`, "sh"}, endless...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	for _, n := range []int{100, 1 << 22} {
		if _, err := io.ReadFull(stdout, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		cmd.Process.Signal(syscall.SIGHUP)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 1<<22)); err != nil {
		t.Errorf("the rows end: %v", err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	io.Copy(io.Discard, stdout)
	if code := exitCode(cmd.Wait()); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}

// TestSweepInterruptPipe checks that a second interrupt ends a sweep that waits for a
// reader to open its output pipe.
func TestSweepInterruptPipe(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "rows.csv")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("named pipes are not available: %v", err)
	}
	cmd := exec.Command("kvbench", append(endless, "--output", pipe)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stderr, make([]byte, 10)); err != nil { // the sweep prints its size first
		t.Fatal(err)
	}
	end := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer end.Stop()
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
				cmd.Process.Signal(os.Interrupt)
			}
		}
	}()
	code := exitCode(cmd.Wait())
	close(done)
	if code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}

// TestSweepTwice checks that a second interrupt ends a sweep whose reader does not read.
func TestSweepTwice(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("kvbench", endless...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // by now the pipe is full
	cmd.Process.Signal(os.Interrupt)
	time.Sleep(200 * time.Millisecond)
	cmd.Process.Signal(os.Interrupt)
	done := make(chan error, 1)
	go func() {
		_, err := cmd.Process.Wait()
		done <- err
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		cmd.Process.Kill()
		t.Error("did not end")
	}
}
