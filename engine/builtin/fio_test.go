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

// TestFio compares the builtin program's bandwidth with fio's for the same job. Both
// programs transfer the same blocks of a file, use the same interface of the system, and
// have the same number of I/Os in flight. The two programs take turns, and the test
// compares medians, because other programs may use the disk at the same time.
func TestFio(t *testing.T) {
	if os.Getenv("KVBENCH_FIGURES") == "" {
		t.Skip("set KVBENCH_FIGURES to measure a disk, which must not be in use")
	}
	if _, err := exec.LookPath("fio"); err != nil {
		t.Skip("fio is not installed")
	}
	for _, j := range []fioJob{
		{"READ", "AIO", true, 1 << 20, 16, 1, 32},
		{"READ", "AIO", true, 64 << 10, 8, 1, 1024},
		{"READ", "AIO", true, 64 << 10, 8, 2, 1024},
		{"READ", "AIO", true, 4 << 10, 32, 1, 2048},
		{"READ", "URING", true, 64 << 10, 8, 1, 1024},
		{"WRITE", "AIO", true, 1 << 20, 4, 1, 256},
		{"WRITE", "AIO", true, 64 << 10, 8, 1, 2048},
		{"READ", "AIO", false, 64 << 10, 8, 1, 16384},
		{"WRITE", "AIO", false, 64 << 10, 8, 1, 16384},
	} {
		cache := "cached"
		if j.direct {
			cache = "direct"
		}
		t.Run(fmt.Sprintf("%s %s %s %d x %d, threads %d", j.api, cache, j.op, j.batch, j.block, j.threads), func(t *testing.T) {
			const runs, allowed = 7, 0.15
			for tries := 1; ; tries++ {
				own, other := make([]float64, runs), make([]float64, runs)
				dir := t.TempDir()
				j.measureOwn(t, dir) // creates the file
				for i := range runs {
					if i%2 == 1 {
						other[i] = j.measureFio(t, dir)
					}
					own[i] = j.measureOwn(t, dir)
					if i%2 == 0 {
						other[i] = j.measureFio(t, dir)
					}
				}
				slices.Sort(own)
				slices.Sort(other)
				ratio := own[runs/2] / other[runs/2]
				t.Logf("builtin %.3f GB/s, fio %.3f GB/s, ratio %.3f", own[runs/2], other[runs/2], ratio)
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

// fioJob is a job that both programs can run.
type fioJob struct {
	op, api               string
	direct                bool
	block, batch, threads int64
	times                 int64 // how often the builtin program transfers a batch; fio runs for a fixed time
}

func (j *fioJob) measureOwn(t *testing.T, dir string) float64 {
	t.Helper()
	out := run(t, "--backend", "POSIX", "--op_type", j.op, "--filepath", dir, "--posix_api_type", j.api, fmt.Sprintf("--storage_enable_direct=%v", j.direct),
		"--start_block_size", fmt.Sprint(j.block), "--max_block_size", fmt.Sprint(j.block),
		"--start_batch_size", fmt.Sprint(j.batch), "--max_batch_size", fmt.Sprint(j.batch), "--num_threads", fmt.Sprint(j.threads),
		"--total_buffer_size", fmt.Sprint(j.block*j.batch*j.threads), "--num_iter", fmt.Sprint(j.times), "--warmup_iter", "16")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	cells := strings.Fields(lines[len(lines)-1])
	gbps, err := strconv.ParseFloat(cells[2], 64)
	if err != nil || cells[0] != fmt.Sprint(j.block) || cells[1] != fmt.Sprint(j.batch) {
		t.Fatalf("%v: %s", err, out)
	}
	return gbps
}

func (j *fioJob) measureFio(t *testing.T, dir string) float64 {
	t.Helper()
	engine, direct := map[string]string{"AIO": "libaio", "URING": "io_uring"}[j.api], 0
	if j.direct {
		direct = 1
	}
	out, err := exec.Command("fio", "--name=x", "--filename="+filepath.Join(dir, "nixlbench_posix_test_file_initiator_0"),
		"--rw="+strings.ToLower(j.op), fmt.Sprintf("--direct=%d", direct), "--ioengine="+engine,
		fmt.Sprintf("--bs=%d", j.block), fmt.Sprintf("--iodepth=%d", j.batch),
		// the next batch starts when all I/Os of the current batch have ended
		fmt.Sprintf("--iodepth_batch_submit=%d", j.batch), fmt.Sprintf("--iodepth_batch_complete_min=%d", j.batch),
		// each thread transfers its own piece of the file repeatedly; without time_based,
		// fio would open the file again each time
		"--thread", fmt.Sprintf("--numjobs=%d", j.threads), "--group_reporting",
		fmt.Sprintf("--size=%d", j.block*j.batch), fmt.Sprintf("--offset_increment=%d", j.block*j.batch),
		"--time_based", "--runtime=500ms", "--ramp_time=100ms", "--overwrite=1",
		// the file remains in the page cache; buffers begin at page boundaries, and their
		// content does not change
		"--invalidate=0", "--fadvise_hint=0", "--iomem_align=4096", "--scramble_buffers=0", "--output-format=json").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	type side struct {
		BW int64 `json:"bw_bytes"`
	}
	var result struct {
		Jobs []struct{ Read, Write side }
	}
	if err := json.Unmarshal(out[bytes.IndexByte(out, '{'):], &result); err != nil || len(result.Jobs) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	did := result.Jobs[0].Read
	if j.op == "WRITE" {
		did = result.Jobs[0].Write
	}
	if did.BW == 0 {
		t.Fatalf("fio did not move any data: %s", out)
	}
	return float64(did.BW) / 1e9
}
