package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestInterrupt checks that an interrupt immediately ends a command that waits for a
// file, with exit code 130.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("kvbench", "plan", "--model", "../../../examples/model_deepseek_r1.yaml", "--model_config", "/dev/stdin")
	w, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// This is more than fits in a pipe, so the command has started to read when Write
	// returns.
	if _, err := w.Write(bytes.Repeat([]byte("#\n"), 512<<10)); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	cmd.Process.Signal(os.Interrupt)
	// If something other than the interrupt ends the command, the exit code is different.
	err = cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 130 {
		t.Errorf("ended with %v, want exit code 130", err)
	}
}

// TestInterruptMatrix checks that an interrupt does not leave any files behind, whether
// kvbench is writing matrices or waiting for a trace.
func TestInterruptMatrix(t *testing.T) {
	t.Parallel()
	for _, waits := range []bool{true, false} {
		dir := t.TempDir()
		cmd := exec.Command("kvbench", "matrix", "--model", "llama3.1-70b", "--tp", "8", "--page_size", "16", "--trace", "/dev/stdin",
			"--world", "512", "--max_batch_memory", "1", "--output", filepath.Join(dir, "out"))
		w, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line := []byte(`{"timestamp":0,"input_length":1000}` + "\n")
		if waits {
			if _, err := w.Write(line); err != nil {
				t.Fatal(err)
			}
		} else {
			go func() {
				for err := error(nil); err == nil; {
					_, err = w.Write(line)
				}
			}()
		}
		var files []string
		for begin := time.Now(); len(files) == 0 && time.Since(begin) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
			files, _ = filepath.Glob(filepath.Join(dir, "out.*.partial", "metadata.yaml"))
		}
		if len(files) == 0 {
			t.Error("nothing was written")
		}
		cmd.Process.Signal(os.Interrupt)
		err = cmd.Wait()
		w.Close()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != 130 {
			t.Errorf("ended with %v, want exit code 130", err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("waits %v: files are left: %v, %v", waits, left, err)
		}
	}
}
