//go:build !unix

package runner

import (
	"os"
	"os/exec"
	"syscall"
)

func isolate(*exec.Cmd) (unlock func()) { return func() {} }

func signal(cmd *exec.Cmd, _ syscall.Signal) { cmd.Process.Kill() }

func signalOf(*os.ProcessState) string { return "" }

func lock(*os.File) bool { return true }

// FreeSpace returns the number of bytes that a user can still write in a
// folder.
func FreeSpace(string) (int64, bool) { return 0, false }

// watcher does nothing, because processes left behind by a killed kvbench cannot be
// stopped on this system.
type watcher struct{}

func (*watcher) ready() {}

func (*watcher) add(int) {}

func (*watcher) remove(int) {}

func (*watcher) close() {}
