//go:build unix

package runner

import (
	"os"
	"os/exec"
	"syscall"
)

// isolate puts the process in its own process group. The process can then be stopped
// together with everything it starts, and a key press such as Ctrl-C reaches it only
// through kvbench. The returned function must be called after the process has ended.
func isolate(cmd *exec.Cmd) (unlock func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return dieTogether(cmd.SysProcAttr)
}

// signal sends a signal to the process and the rest of its process group.
func signal(cmd *exec.Cmd, sig syscall.Signal) { syscall.Kill(-cmd.Process.Pid, sig) }

func signalOf(state *os.ProcessState) string {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return ws.Signal().String()
	}
	return ""
}

// lock prevents other processes from locking the file; it returns false if another process
// has already locked it.
func lock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != syscall.EWOULDBLOCK
}

// FreeSpace returns the number of bytes that a user can still write in a
// folder.
func FreeSpace(dir string) (int64, bool) {
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}
