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

// Work on a user's file cannot be cancelled where a library does it, so a file
// that takes too much ends the process.
const (
	guardMemory = 512 << 20
	guardTick   = 10 * time.Millisecond
)

var guardTime = 5 * time.Second // most tests wait less

// guard watches over the files that are being worked on.
type guard struct {
	// expired is called with what is wrong with a file that takes too much, and
	// how many others may have had a part in it. It does not return.
	expired func(over *diag.Diag, others int)

	mu      sync.Mutex
	files   []*guarded // the oldest first
	limited bool       // the garbage collector works harder
	limit   int64      // of memory, before that
}

// guarded is a file that is being worked on.
type guarded struct {
	name string
	work input.Work
	time time.Duration
	base uint64 // memory when it was first looked at; 0 before
}

// enter tells of a file; the work on it ends with the call of done.
func (g *guard) enter(name string) (done func()) { return g.watch(name, input.Evaluate) }

// watch is the [input.Watch] of all files.
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

// run looks at the files from time to time. It starts when a command takes its
// time: most are done before.
func (g *guard) run() {
	last := time.Now()
	for {
		time.Sleep(guardTick)
		now := time.Now()
		// A process that was stopped for a while has not worked on anything.
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
	var m runtime.MemStats // to import runtime/metrics would cost every start
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
			g.expired(diag.Errorf(at, "takes more than %d MiB to evaluate: data files need only a few", guardMemory>>20).About(diag.TooMuch, ""), g.others(f.name))
		case memory > f.base+guardMemory/2 && !g.limited:
			g.limit = debug.SetMemoryLimit(-1)
			debug.SetMemoryLimit(min(g.limit, int64(f.base+guardMemory*7/8))) // garbage is not the file's fault
			g.limited = true
		}
	}
}

// slow says what took a file's time.
func (g *guard) slow(f *guarded) string {
	if f.work == input.Read {
		return fmt.Sprintf("nothing could be read for %v", guardTime)
	}
	for _, o := range g.files {
		switch {
		case filepath.Dir(o.name) != filepath.Dir(f.name):
		case o.name != f.name && o.work == input.Read && o.time > guardTime/2: // read beside it
			return fmt.Sprintf("%s could not be read within %v", diag.Printable(filepath.Base(o.name)), guardTime)
		case o.name != f.name:
		case o.work == input.Await:
			return fmt.Sprintf("this pipe did not end within %v", guardTime)
		case o.work == input.Read:
			return fmt.Sprintf("could not be read within %v", guardTime)
		}
	}
	return fmt.Sprintf("takes more than %v to evaluate: data files need only a few milliseconds", guardTime)
}

// others counts the files beside this one; one may be there twice.
func (g *guard) others(name string) int {
	n := 0
	for _, f := range g.files {
		if f.name != name {
			n++
		}
	}
	return n
}

// loader returns a loader whose work on files is watched.
func (a *app) loader() *model.Loader {
	if a.loads == nil {
		a.loads = model.NewLoader(a.schema, cueschema.Files, models.Files)
		a.loads.Watch = a.guard.watch
	}
	return a.loads
}

// ends ends a command at a file that takes too much.
func (a *app) ends(over *diag.Diag, _ int) { a.leave(a.exitCode(over)) }

// leave ends the process at once.
func (a *app) leave(code int) {
	if name := a.partial.Load(); name != nil {
		os.Remove(*name)
	}
	os.Exit(code)
}

// restartCommand is the word before what a process is restarted with: JSON, and
// its arguments.
const restartCommand = "__checked"

// restart replaces the process by one that goes on behind what has been checked.
// It returns where that cannot be.
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

// expires has the guard call another function, which does not return.
func (g *guard) expires(call func(over *diag.Diag, others int)) {
	g.mu.Lock()
	g.expired = call
	g.mu.Unlock()
}
