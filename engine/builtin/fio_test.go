package builtin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestFio compares the bandwidth with that of fio for the same direct I/O: the same blocks of
// a file, with the same number in flight. The two programs take turns, and the test compares
// medians, because other programs use the disk too.
func TestFio(t *testing.T) {
	if os.Getenv("KVBENCH_FIGURES") == "" {
		t.Skip("measures a disk, which must not be in use: set KVBENCH_FIGURES")
	}
	if _, err := exec.LookPath("fio"); err != nil {
		t.Skip("fio is not installed")
	}
	for _, test := range []struct {
		op                  string
		block, batch, times int64
	}{{"READ", 1 << 20, 16, 32}, {"READ", 64 << 10, 8, 512}, {"WRITE", 1 << 20, 4, 128}} {
		t.Run(fmt.Sprintf("%s %d x %d", test.op, test.batch, test.block), func(t *testing.T) {
			const runs, allowed = 7, 0.15
			for tries := 1; ; tries++ {
				own, other := make([]float64, runs), make([]float64, runs)
				dir := t.TempDir()
				for i := range runs {
					own[i] = measureOwn(t, dir, test.op, test.block, test.batch, test.times)
					other[i] = measureFio(t, dir, test.op, test.block, test.batch, test.times)
				}
				slices.Sort(own)
				slices.Sort(other)
				ratio := own[runs/2] / other[runs/2]
				t.Logf("builtin %.3f GB/s, fio %.3f GB/s: ratio %.3f", own[runs/2], other[runs/2], ratio)
				switch {
				case math.Abs(ratio-1) <= allowed:
					return
				case tries < 3:
				case other[runs-2] > other[1]*(1+allowed), own[runs-2] > own[1]*(1+allowed): // without the fastest and the slowest run
					t.Skipf("the runs differ too much to compare: builtin %.3f, fio %.3f", own, other)
				default:
					t.Errorf("the ratio is %.3f; builtin %.3f, fio %.3f", ratio, own, other)
					return
				}
			}
		})
	}
}

func measureOwn(t *testing.T, dir, op string, block, batch, times int64) float64 {
	t.Helper()
	out := run(t, "--backend", "POSIX", "--op_type", op, "--filepath", dir, "--storage_enable_direct",
		"--start_block_size", fmt.Sprint(block), "--max_block_size", fmt.Sprint(block),
		"--start_batch_size", fmt.Sprint(batch), "--max_batch_size", fmt.Sprint(batch),
		"--total_buffer_size", fmt.Sprint(block*batch), "--num_iter", fmt.Sprint(times), "--warmup_iter", "16")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	cells := strings.Fields(lines[len(lines)-1])
	gbps, err := strconv.ParseFloat(cells[2], 64)
	if err != nil || cells[0] != fmt.Sprint(block) || cells[1] != fmt.Sprint(batch) {
		t.Fatalf("%v: %s", err, out)
	}
	return gbps
}

func measureFio(t *testing.T, dir, op string, block, batch, times int64) float64 {
	t.Helper()
	file := filepath.Join(dir, "nixlbench_posix_test_file_initiator_0")
	out, err := exec.Command("fio", "--name=x", "--filename="+file, "--rw="+strings.ToLower(op), "--direct=1", "--ioengine=libaio",
		fmt.Sprintf("--bs=%d", block), fmt.Sprintf("--iodepth=%d", batch), // the next batch starts when all I/Os of one have ended
		fmt.Sprintf("--iodepth_batch_submit=%d", batch), fmt.Sprintf("--iodepth_batch_complete_min=%d", batch),
		fmt.Sprintf("--size=%d", block*batch),
		fmt.Sprintf("--io_size=%d", block*batch*times), "--overwrite=1", "--output-format=json").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	type side struct {
		Bytes   int64 `json:"io_bytes"`
		Runtime int64 `json:"runtime"` // ms
		BW      int64 `json:"bw_bytes"`
	}
	var result struct {
		Jobs []struct{ Read, Write side }
	}
	if err := json.Unmarshal(out[bytes.IndexByte(out, '{'):], &result); err != nil || len(result.Jobs) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	did := result.Jobs[0].Read
	if op == "WRITE" {
		did = result.Jobs[0].Write
	}
	if did.Bytes != block*batch*times {
		t.Fatalf("fio moved %d bytes", did.Bytes)
	}
	return float64(did.BW) / 1e9
}
