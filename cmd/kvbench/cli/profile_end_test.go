package cli_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestProfileParentKilledForking checks that killing kvbench also kills a nixlbench that
// a shell script started.
func TestProfileParentKilledForking(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("finding processes requires /proc")
	}
	for _, launch := range []string{"POSIX", "UCX"} { // with one process and with two
		dir := t.TempDir()
		wrapper := filepath.Join(dir, "wrapper")
		if err := os.WriteFile(wrapper, []byte("#!/bin/sh\nnixlbench \"$@\"\nexit $?\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("kvbench", append(smallRun(t)[:7], "--backend", launch, "--nixlbench", wrapper)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "FAKE_FAULT=ignore", "FAKE_SH=echo $PPID >>"+filepath.Join(dir, "pids"))
		lines := started(t, cmd, cmd.StdoutPipe)
		for lines.Scan() && !strings.Contains(lines.Text(), "4718592  ") {
		}
		cmd.Process.Kill()
		cmd.Wait()
		data, err := os.ReadFile(filepath.Join(dir, "pids"))
		if err != nil {
			t.Fatal(err)
		}
		for word := range strings.FieldsSeq(string(data)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			for tries := 0; !ended(pid); tries++ {
				if tries == 1500 {
					t.Errorf("%s: nixlbench, process %d, is still running", launch, pid)
					syscall.Kill(pid, syscall.SIGKILL)
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

// TestCleanupInUse checks that --cleanup does not remove a file of the run that another
// process has open.
func TestCleanupInUse(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows who has a file open")
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "nixlbench_posix_test_file_initiator_0")
	cmd := exec.Command("kvbench", smallRun(t, "--cleanup")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "FAKE_SH=mkfifo ready || exit 1; setsid sh -c 'exec 3<"+name+"; echo $$ >pid; echo >ready; exec sleep 60' >/dev/null 2>&1 & read x <ready")
	out, err := cmd.CombinedOutput()
	if data, err := os.ReadFile(filepath.Join(dir, "pid")); err == nil {
		pid, _ := strconv.Atoi(strings.TrimSpace(string(data)))
		defer syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Stat(name); err != nil {
		t.Errorf("the file no longer exists: %v\n%s", err, out)
	}
	if want := "kvbench: warning: nixlbench_posix_test_file_initiator_0 was not removed: another program has it open\n"; !strings.Contains(string(out), want) {
		t.Errorf("the output does not contain %q:\n%s", want, out)
	}
}

// TestCleanupTwice checks that --cleanup does not remove a file that another run has
// started to use in the meantime, even if that run's nixlbench does not have the file
// open.
func TestCleanupTwice(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows who has a file open")
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "nixlbench_posix_test_file_initiator_0")
	var texts [2]bytes.Buffer
	start := func(i int, script string) *exec.Cmd {
		cmd := exec.Command("kvbench", smallRun(t, "--cleanup")...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "FAKE_SH="+script)
		cmd.Stdout, cmd.Stderr = &texts[i], &texts[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	wait := func(i int, cmd *exec.Cmd) {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, texts[i].String())
		}
	}
	until := func(file string) string { return "while ! test -e " + file + "; do sleep 0.01; done" }
	first := start(0, "echo >first; "+until("second"))
	for _, err := os.Stat(filepath.Join(dir, "first")); err != nil; _, err = os.Stat(filepath.Join(dir, "first")) {
		time.Sleep(10 * time.Millisecond)
	}
	second := start(1, "echo >second; "+until("done"))
	wait(0, first)
	if _, err := os.Stat(name); err != nil {
		t.Errorf("the first run removed the second run's file: %v\n%s", err, texts[0].String())
	}
	if err := os.WriteFile(filepath.Join(dir, "done"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	wait(1, second)
}

// freePort returns a free TCP port, or 0. The port is below the range from which the system
// assigns ports to other sockets, so it stays free until the test uses it.
func freePort() int {
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	return 0
}

// TestAsioHosts runs ASIO with one process on each host. It checks that the process started
// first is the initiator, and that the other process succeeds even though it does not print
// a table.
func TestAsioHosts(t *testing.T) {
	t.Parallel()
	port := fmt.Sprint(freePort())
	dir := t.TempDir()
	start := func(out string) (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.Command("kvbench", append(smallRun(t)[:7], "--backend", "UCX", "--launch", "single", "--runtime_type", "ASIO", "--asio_port", port, "--output", out)...)
		cmd.Dir = dir
		var text bytes.Buffer
		cmd.Stdout, cmd.Stderr = &text, &text
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, &text
	}
	first, firstOut := start("first.jsonl")
	second, secondOut := start("second.jsonl")
	if err := first.Wait(); err != nil {
		t.Errorf("%v\n%s", err, firstOut)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("%v\n%s", err, secondOut)
	}
	rows := 0
	for _, name := range []string{"first.jsonl", "second.jsonl"} {
		for _, r := range results(t, filepath.Join(dir, name)) {
			rows += len(r.Rows)
			if r.Status != "ok" || len(r.Rows) == 1 != (r.Role == "initiator") || len(r.Rows) == 0 != (r.Role == "target") {
				t.Errorf("%s: a result is %+v", name, r)
			}
		}
	}
	if rows != 1 {
		t.Errorf("%d rows, want 1", rows)
	}
}
