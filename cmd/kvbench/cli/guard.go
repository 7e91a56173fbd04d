package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	cueschema "kvbench/cue"
	"kvbench/engine/diag"
	"kvbench/engine/input"
	"kvbench/engine/model"
	"kvbench/engine/vet"
	"kvbench/models"
)

// Libraries offer no way to cancel work on a user's file, so a file that takes
// too much time or memory ends the process.
const (
	guardMemory = 512 << 20
	guardTick   = 10 * time.Millisecond
)

var guardTime = 5 * time.Second // most tests use shorter times

// guard watches the files being processed.
type guard struct {
	// expired is called when a file takes too much time or memory. over is the error, and
	// others is the number of other files that may have contributed. The function does
	// not return.
	expired func(over *diag.Diag, others int)

	mu      sync.Mutex
	files   []*guarded // oldest first
	limited bool       // whether a memory limit is set to make the garbage collector work harder
	limit   int64      // the memory limit to restore afterwards
}

// guarded is a file being processed.
type guarded struct {
	name string
	work input.Work
	time time.Duration
	base uint64 // kvbench's memory use when the guard first checked the file; 0 before that
}

// enter registers work on a file. The caller must call done when the work is finished.
func (g *guard) enter(name string) (done func()) { return g.watch(name, input.Evaluate) }

// watch registers work on a file. It is the [input.Watch] for all files.
func (g *guard) watch(name string, work input.Work) (done func()) {
	f := &guarded{name: name, work: work}
	g.mu.Lock()
	g.files = append(g.files, f)
	g.mu.Unlock()
	return func() {
		g.mu.Lock()
		i := slices.Index(g.files, f)
		g.files = slices.Delete(g.files, i, i+1)
		g.mu.Unlock()
	}
}

// run checks the files periodically. It starts only after a while, when most commands
// have already finished.
func (g *guard) run() {
	last := time.Now()
	for {
		time.Sleep(guardTick)
		now := time.Now()
		// Time during which the process was suspended does not count.
		g.look(min(now.Sub(last), 10*guardTick))
		last = now
	}
}

func (g *guard) look(passed time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.files) == 0 {
		if g.limited {
			debug.SetMemoryLimit(g.limit)
			g.limited = false
		}
		return
	}
	var m runtime.MemStats // importing runtime/metrics would slow down every start
	runtime.ReadMemStats(&m)
	memory := m.Sys - m.HeapReleased
	for _, f := range g.files {
		if f.base == 0 {
			f.base = memory
		}
		f.time += passed
		at := diag.Pos{File: f.name}
		switch {
		case f.work == input.Await:
		case f.time > guardTime:
			g.expired(diag.Errorf(at, "%s", g.slow(f)).About(diag.TooMuch, ""), 0)
		case f.work == input.Read:
		case memory > f.base+guardMemory:
			g.expired(diag.Errorf(at, "takes more than %d MiB of memory to evaluate, but data files need only a few", guardMemory>>20).About(diag.TooMuch, ""), g.others(f.name))
		case memory > f.base+guardMemory/2 && !g.limited:
			g.limit = debug.SetMemoryLimit(-1)
			debug.SetMemoryLimit(min(g.limit, int64(f.base+guardMemory*7/8))) // so that garbage does not count against the file
			g.limited = true
		}
	}
}

// slow returns the message for a file that took too long.
func (g *guard) slow(f *guarded) string {
	if f.work == input.Read {
		return fmt.Sprintf("nothing could be read for %v", guardTime)
	}
	for _, o := range g.files {
		switch {
		case filepath.Dir(o.name) != filepath.Dir(f.name):
		case o.name != f.name && o.work == input.Read && o.time > guardTime/2: // evaluating f reads o
			return fmt.Sprintf("%s could not be read within %v", diag.Printable(filepath.Base(o.name)), guardTime)
		case o.name != f.name:
		case o.work == input.Await:
			return fmt.Sprintf("this pipe was not closed within %v", guardTime)
		case o.work == input.Read:
			return fmt.Sprintf("could not be read within %v", guardTime)
		}
	}
	return fmt.Sprintf("takes more than %v to evaluate, but data files need only a few milliseconds", guardTime)
}

// others returns the number of registered files other than the named one. That file may be
// registered several times.
func (g *guard) others(name string) int {
	n := 0
	for _, f := range g.files {
		if f.name != name {
			n++
		}
	}
	return n
}

// loader returns the app's loader, creating it on first use. The guard watches every
// file that the loader processes.
func (a *app) loader() *model.Loader {
	if a.loads == nil {
		a.loads = model.NewLoader(a.schema, cueschema.Files, models.Files)
		a.loads.Watch = a.guard.watch
	}
	return a.loads
}

// ends handles a file that takes too much time or memory. It reports the file and ends the
// process.
func (a *app) ends(over *diag.Diag, _ int) { a.leave(a.exitCode(over)) }

// leave removes the temporary file or folder, if there is one, and ends the process at once.
func (a *app) leave(code int) {
	if name := a.partial.Load(); name != nil {
		os.RemoveAll(*name)
	}
	os.Exit(code)
}

// restartCommand is the first argument of a restarted process. It is followed by the
// state as JSON, and then by the original arguments.
const restartCommand = "__checked"

// restart replaces the process with a new one that skips the files already checked. It
// returns only if this fails.
func restart(checked *vet.Checked) {
	state, err := json.Marshal(checked)
	if err != nil {
		return
	}
	args := os.Args[1:]
	if len(args) > 1 && args[0] == restartCommand {
		args = args[2:]
	}
	if self, err := os.Executable(); err == nil {
		syscall.Exec(self, append([]string{os.Args[0], restartCommand, string(state)}, args...), os.Environ())
	}
}

// expires sets the function that the guard calls when a file takes too much time or
// memory. The function must not return.
func (g *guard) expires(call func(over *diag.Diag, others int)) {
	g.mu.Lock()
	g.expired = call
	g.mu.Unlock()
}
