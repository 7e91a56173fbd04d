package builtin_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var apis = []string{"AIO", "POSIXAIO", "URING"}

// hook calls the function do when the heading of the table is written, which is after the
// file has been opened and before its I/O begins.
type hook struct {
	bytes.Buffer
	do func()
}

func (h *hook) Write(text []byte) (int, error) {
	if bytes.Contains(text, []byte("Block Size")) {
		h.do()
	}
	return h.Buffer.Write(text)
}

// skipIfRefused skips a test if the system refuses an interface, as container engines do.
func skipIfRefused(t *testing.T, api string) {
	t.Helper()
	dir := t.TempDir()
	out, err := try(t, small(dir, "--posix_api_type", api)...)
	if err != nil && strings.Contains(err.Error(), "io_uring_setup") || strings.Contains(out, "Using threads") {
		t.Skipf("%s: %v", out, err)
	}
}

// TestQueues checks that each interface of the system transfers all data, even if a batch
// is larger than the queue, and that it closes everything it opened.
func TestQueues(t *testing.T) {
	for _, api := range apis {
		t.Run(api, func(t *testing.T) {
			skipIfRefused(t, api)
			dir := t.TempDir()
			file := filepath.Join(dir, "nixlbench_posix_test_file_initiator_0")
			before := descriptors(t)
			for _, queue := range []string{"1", "3", "256"} {
				for _, op := range []string{"WRITE", "READ"} {
					out := run(t, "--backend", "POSIX", "--filepath", dir, "--op_type", op, "--posix_api_type", api, "--posix_kernel_queue_size", queue,
						"--start_block_size", "512", "--max_block_size", "2048", "--start_batch_size", "7", "--max_batch_size", "28",
						"--num_threads", "3", "--total_buffer_size", "172032", "--num_iter", "3", "--warmup_iter", "0", "--large_blk_iter_ftr", "1", "--check_consistency")
					if rows := strings.Count(out, "\n"); rows != 13 {
						t.Errorf("%s %s: %d lines, want 13:\n%s", op, queue, rows, out)
					}
				}
				// The consistency check of a READ finds a single wrong byte in the last
				// block of the last thread.
				f, err := os.OpenFile(file, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				f.WriteAt([]byte("x"), 172031)
				f.Close()
				_, err = try(t, "--backend", "POSIX", "--filepath", dir, "--op_type", "READ", "--posix_api_type", api, "--posix_kernel_queue_size", queue,
					"--start_block_size", "2048", "--max_block_size", "2048", "--start_batch_size", "28", "--max_batch_size", "28",
					"--num_threads", "3", "--total_buffer_size", "172032", "--num_iter", "3", "--warmup_iter", "0", "--large_blk_iter_ftr", "1", "--check_consistency")
				if want := "consistency check failed: the data in " + file + " at offset 169984 does not match the expected pattern"; err == nil || err.Error() != want {
					t.Errorf("the error is %v, want %s", err, want)
				}
			}
			if after := descriptors(t); after > before {
				t.Errorf("%d file descriptors are open, %d before", after, before)
			}
		})
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	return len(files)
}

// TestShort checks that reads that end early are reported as errors, and that a run
// ends when it is canceled.
func TestShort(t *testing.T) {
	for _, api := range apis {
		t.Run(api, func(t *testing.T) {
			skipIfRefused(t, api)
			dir := t.TempDir()
			file := filepath.Join(dir, "nixlbench_posix_test_file_initiator_0")
			for size, want := range map[int64]string{
				0:    file + ": cannot read 1024 bytes at offset 0: unexpected EOF\n" + file + ": cannot read 1024 bytes at offset 16384: unexpected EOF",
				1000: file + ": cannot read 1024 bytes at offset 0: unexpected EOF\n" + file + ": cannot read 1024 bytes at offset 16384: unexpected EOF",
				// the second thread begins at 16384
				17000: file + ": cannot read 1024 bytes at offset 16384: unexpected EOF",
			} {
				run(t, small(dir, "--op_type", "WRITE")...)
				out := &hook{do: func() { os.Truncate(file, size) }}
				if err := runTo(t, context.Background(), out, small(dir, "--op_type", "READ", "--posix_api_type", api)...); err == nil || err.Error() != want {
					t.Errorf("the file ends at %d: the error is %v, want %s", size, err, want)
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			out := &hook{do: cancel}
			if err := runTo(t, ctx, out, small(dir, "--op_type", "WRITE", "--posix_api_type", api, "--num_iter", "1000000000")...); !errors.Is(err, context.Canceled) {
				t.Errorf("after cancellation, the error is %v", err)
			}
		})
	}
}
