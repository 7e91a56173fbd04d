package builtin_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/builtin"
	"kvbench/engine/schema"
)

func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

func try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := runTo(t, context.Background(), &out, args...)
	return out.String(), err
}

func runTo(t *testing.T, ctx context.Context, w io.Writer, args ...string) error {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	release := s.Nixlbench.Newest()
	values, err := builtin.ReadFlags(s, release, args)
	if err != nil {
		return err
	}
	return builtin.Run(ctx, s, release, values, w)
}

// small returns the flags for a run of 32 KiB.
func small(dir string, more ...string) []string {
	return append([]string{"--backend", "POSIX", "--filepath", dir, "--start_block_size", "1024", "--max_block_size=4096",
		"--max_batch_size", "4", "--total_buffer_size", "32768", "--num_threads", "2", "--num_iter", "3", "--warmup_iter", "1",
		"--large_blk_iter_ftr", "1", "--check_consistency"}, more...)
}

// TestTable compares the table with one that nixlbench 1.4.0 printed, and checks that there
// is a row for every size.
func TestTable(t *testing.T) {
	dir := t.TempDir()
	for _, op := range []string{"WRITE", "READ"} {
		lines := strings.Split(run(t, small(dir, "--op_type", op)...), "\n")
		const heading = "Block Size (B)      Batch Size     B/W (GB/Sec)   Avg Lat. (us)  Avg Prep (us)  P99 Prep (us)  Avg Post (us)  P99 Post (us)  Avg Tx (us)    P99 Tx (us)    "
		if lines[0] != "Creating file: "+filepath.Join(dir, "nixlbench_posix_test_file_initiator_0") || lines[2] != heading || strings.Trim(lines[3], "-") != "" {
			t.Errorf("%s: the table begins with %q", op, lines[:4])
		}
		var sizes []string
		for _, line := range lines[4:] {
			if cells := strings.Fields(line); len(cells) == 10 {
				sizes = append(sizes, cells[0]+"x"+cells[1])
				if !strings.HasPrefix(line, fmt.Sprintf("%-20s%-15s%-15s", cells[0], cells[1], cells[2])) {
					t.Errorf("the columns of %q differ", line)
				}
			}
		}
		const want = "1024x1 1024x2 1024x4 2048x1 2048x2 2048x4 4096x1 4096x2 4096x4"
		if got := strings.Join(sizes, " "); got != want {
			t.Errorf("%s: the rows are %s, want %s", op, got, want)
		}
		if info, err := os.Stat(filepath.Join(dir, "nixlbench_posix_test_file_initiator_0")); err != nil || info.Size() != 32768 {
			t.Errorf("%v: %v", err, info)
		}
	}
}

// TestErrors checks that failed I/O, wrong data and flags that the program does not support
// are reported as errors.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "nixlbench_posix_test_file_initiator_0")
	if err := os.WriteFile(file, make([]byte, 32768), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"consistency check failed: the data in " + file + " at offset 0 does not match the expected pattern":          small(dir, "--op_type", "READ"),
		"open " + filepath.Join(dir, "none", "nixlbench_posix_test_file_initiator_0") + ": no such file or directory": small(filepath.Join(dir, "none")),
		"the builtin program does not support --backend UCX: expected POSIX":                                          small(dir, "--backend", "UCX"),
		"the builtin program does not support --initiator_seg_type VRAM: expected DRAM":                               small(dir, "--initiator_seg_type", "VRAM"),
		"the builtin program does not support --pipeline_depth 2":                                                     small(dir, "--pipeline_depth", "2"),
		"the builtin program does not support --recreate_xfer true":                                                   small(dir, "--recreate_xfer"),
		"--total_buffer_size is 32767, but each of 2 threads needs 4 times 4096 bytes":                                small(dir, "--total_buffer_size", "32767"),
		"--posix_api_type is aio: expected AIO or POSIXAIO or URING":                                                  small(dir, "--posix_api_type", "aio"),
		"--num_iter is 0: expected at least 1":                                                                        small(dir, "--num_iter", "0"),
		"--num_threads is 100000, but the builtin program accepts at most 256":                                        small(dir, "--num_threads", "100000"),
		"the first block or batch size is greater than the last":                                                      small(dir, "--start_batch_size", "8"),
		"unknown command line flag 'nope'":                                                                            small(dir, "--nope", "1"),
		"flag '--num_iter' is missing its argument":                                                                   small(dir, "--num_iter"),
		"illegal value 'x' specified for int32 flag 'num_iter'":                                                       small(dir, "--num_iter", "x"),
	} {
		if out, err := try(t, args...); err == nil || err.Error() != want {
			t.Errorf("the error is %v, want %s\n%s", err, want, out)
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	// The builtin program must report an error here, although nixlbench 1.4.0 prints a row.
	for _, api := range apis {
		args := []string{"--backend", "POSIX", "--filepath", dir, "--storage_enable_direct", "--start_block_size", "4097", "--max_block_size", "4097",
			"--max_batch_size", "2", "--total_buffer_size", "8194", "--num_iter", "1", "--warmup_iter", "0", "--op_type", "WRITE", "--posix_api_type", api}
		switch out, err := try(t, args...); {
		case err == nil || strings.HasPrefix(err.Error(), "open ") || strings.Contains(err.Error(), "io_uring_setup"):
			t.Skip("this file system accepts all direct I/O, or does not support it")
		case !strings.HasPrefix(err.Error(), file+": cannot write 4097 bytes at offset ") || !strings.HasSuffix(err.Error(), ": invalid argument"):
			t.Errorf("%s: the error is %v\n%s", api, err, out)
		}
	}
}
