package runner

import (
	"runtime"
	"syscall"
)

// dieTogether has the kernel end the process when this one is killed. The
// kernel watches the thread that starts it, which is therefore kept.
func dieTogether(attr *syscall.SysProcAttr) (unlock func()) {
	attr.Pdeathsig = syscall.SIGKILL
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}
