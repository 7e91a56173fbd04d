package builtin_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestRefused checks what happens if the system refuses asynchronous I/O, as some container
// engines do.
func TestRefused(t *testing.T) {
	if os.Getenv("KVBENCH_REFUSED") != "" {
		refuse(t, unix.SYS_IO_SETUP, unix.SYS_IO_URING_SETUP)
		out := run(t, small(t.TempDir(), "--op_type", "READ", "--posix_api_type", "AIO")...)
		if strings.Count(out, "\n") != 14 || strings.Count(out, "\nUsing threads instead of aio: io_setup: operation not permitted\n") != 1 {
			t.Errorf("the output is\n%s", out)
		}
		const want = "cannot perform URING I/O: io_uring_setup: operation not permitted"
		if _, err := try(t, small(t.TempDir(), "--posix_api_type", "URING")...); err == nil || err.Error() != want {
			t.Errorf("the error is %v, want %s", err, want)
		}
		return
	}
	c := exec.Command(os.Args[0], "-test.run=^TestRefused$", "-test.v")
	c.Env = append(os.Environ(), "KVBENCH_REFUSED=1")
	switch out, err := c.CombinedOutput(); {
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case strings.Contains(string(out), "SKIP"):
		t.Skipf("%s", out)
	}
}

// refuse makes system calls fail in this process.
func refuse(t *testing.T, calls ...uint32) {
	t.Helper()
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // the number of the system call
	for _, call := range calls {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Skip(err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); errno != 0 {
		t.Skip(errno)
	}
}
