package cli_test

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestMatrixFigures checks that matrices of 1,024 ranks and 10,000 requests of many lengths
// take at most 10 s of processor time and 256 MiB.
func TestMatrixFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector would be measured too")
	}
	out := filepath.Join(t.TempDir(), "out")
	cmd := exec.Command("kvbench", "matrix", "--model", "llama3.1-70b", "--tp", "8", "--page_size", "16", "--world", "1024",
		"--num_requests", "10000", "--isl", "normal(64k,16k)", "--max_batch_memory", "20TB", "--output", out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if used > 10*time.Second {
		t.Errorf("%v of processor time, want at most 10 s", used)
	}
	if memory := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss; memory > 256<<10 { // in KiB on Linux
		t.Errorf("%d KiB, want at most 256 MiB", memory)
	}
	files, err := filepath.Glob(filepath.Join(out, "matrix_*.txt"))
	if err != nil || len(files) < 5 {
		t.Errorf("%d matrices, %v", len(files), err)
	}
}
