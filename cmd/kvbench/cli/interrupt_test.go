package cli_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestInterrupt: a command that waits for a file ends at once, with 130.
func TestInterrupt(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "config.yaml")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	cmd := exec.Command("kvbench", "plan", "--model", "../../../examples/model_deepseek_r1.yaml", "--model_config", fifo)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Once the pipe opens for writing, the command is reading it.
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	begin := time.Now()
	cmd.Process.Signal(os.Interrupt)
	err = cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 130 {
		t.Errorf("ended with %v, want exit code 130", err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("took %v to end", d)
	}
}
