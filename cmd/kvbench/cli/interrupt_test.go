package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestInterrupt checks that an interrupt ends a command that waits for a file at once,
// with exit code 130.
func TestInterrupt(t *testing.T) {
	cmd := exec.Command("kvbench", "plan", "--model", "../../../examples/model_deepseek_r1.yaml", "--model_config", "/dev/stdin")
	w, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// This is more than a pipe holds, so the command is reading once Write returns.
	if _, err := w.Write(bytes.Repeat([]byte("#\n"), 512<<10)); err != nil {
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
