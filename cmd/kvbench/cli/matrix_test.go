package cli_test

import (
	"path/filepath"
	"testing"
	"time"
)

// TestMatrixFigures checks that matrices of 1,024 ranks and 10,000 requests of many lengths
// take at most 10 s of processor time and 256 MiB.
func TestMatrixFigures(t *testing.T) {
	needsFull(t)
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	_, _, used, mib := measured(t, dir, "matrix", "--model", "llama3.1-70b", "--tp", "8", "--page_size", "16", "--world", "1024",
		"--num_requests", "10000", "--isl", "normal(64k,16k)", "--max_batch_memory", "20TB", "--output", out)
	if used > slower*10*time.Second {
		t.Errorf("%v of processor time, want at most 10 s", used)
	}
	if mib > 256 {
		t.Errorf("%d MiB, want at most 256 MiB", mib)
	}
	files, err := filepath.Glob(filepath.Join(out, "matrix_*.txt"))
	if err != nil || len(files) < 5 {
		t.Errorf("%d matrices, %v", len(files), err)
	}
}
