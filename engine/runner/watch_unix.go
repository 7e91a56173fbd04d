//go:build unix

package runner

import (
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// watcher kills the running process groups if kvbench is killed before it can stop them.
// It is a shell that reads the IDs of the groups from its standard input, which reaches
// its end when kvbench ends.
type watcher struct {
	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	failed bool
	groups []string
}

const watchScript = `while read -r line; do groups=$line; done; for g in $groups; do kill -s KILL -- "-$g"; done`

// ready starts the watcher before any process is started. Otherwise, the first process would
// not be watched while the watcher starts. If the system does not have a shell, there is no
// watcher.
func (w *watcher) ready() { w.change(func() {}) }

// add and remove tell the watcher which groups are running.
func (w *watcher) add(group int) {
	w.change(func() { w.groups = append(w.groups, strconv.Itoa(group)) })
}

func (w *watcher) remove(group int) {
	w.change(func() {
		w.groups = slices.DeleteFunc(w.groups, func(g string) bool { return g == strconv.Itoa(group) })
	})
}

func (w *watcher) change(groups func()) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	groups()
	if w.cmd == nil && !w.failed {
		w.failed = !w.start()
	}
	if !w.failed {
		_, err := io.WriteString(w.in, strings.Join(w.groups, " ")+"\n")
		w.failed = err != nil
	}
}

func (w *watcher) start() bool {
	cmd := exec.Command("/bin/sh", "-c", watchScript)
	// Whatever stops kvbench, such as a key press, must not stop the watcher.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return false
	}
	w.cmd, w.in = cmd, in
	return true
}

// close stops the watcher.
func (w *watcher) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cmd != nil {
		w.in.Close()
		w.cmd.Wait()
	}
	w.failed = true
}
