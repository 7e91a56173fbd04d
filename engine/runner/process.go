// Package runner runs the processes of a benchmark, makes sure that they are
// stopped, and keeps a journal of their results.
package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"kvbench/engine/diag"
)

// These constants limit waiting times and the length of lines.
const (
	// linger is how long a process may continue after another process of its
	// run has ended.
	linger = 5 * time.Second
	// settle is how long a process may continue after another process of its run has
	// failed. A process that no longer needs the failed one ends normally within this
	// time.
	settle = 2 * time.Second
	// drain is how long to wait for the rest of a process's output after the
	// process has ended, if its children still hold the output open.
	drain   = 2 * time.Second
	maxLine = 64 << 10
)

// Process is a process to run.
type Process struct {
	Argv []string
	Env  []string // in addition to this process's own
}

// Line is a line of a process's output.
type Line struct {
	Process int  // index
	Errors  bool // from stderr
	// Text is the line without its newline. It is valid only until the next line is
	// passed on.
	Text []byte
	// Ended is false if the line does not end with a newline, because the output ended or
	// because the line is longer than 64 KiB.
	Ended bool
}

// Exit describes how a process ended.
type Exit struct {
	Code   int    // -1 if the process has no exit code
	Signal string // the signal that killed the process, or ""
	// Err is set if the process could not be started, or if waiting for it failed.
	Err error
	// Stopped reports whether kvbench stopped the process.
	Stopped bool
}

// OK reports whether the process exited successfully.
func (e *Exit) OK() bool { return e.Err == nil && e.Code == 0 && e.Signal == "" }

// String describes how the process ended.
func (e *Exit) String() string {
	switch {
	case e.Err != nil:
		return "could not be started: " + e.Err.Error()
	case e.Signal != "":
		return "was killed by a signal: " + e.Signal
	}
	return fmt.Sprintf("exited with code %d", e.Code)
}

// Ending controls how processes are stopped. They are first asked to exit, and are killed
// after Grace or when Hurry is closed.
type Ending struct {
	Grace time.Duration
	Hurry <-chan struct{}
	// watcher kills the processes if kvbench is killed. It may be nil.
	watcher *watcher
}

// Signaled is the cause of a context that was canceled by a signal. An interrupt is
// passed on to the processes.
type Signaled struct{ os.Signal }

// Error names the signal.
func (s Signaled) Error() string { return s.Signal.String() }

// Start runs the processes and waits for all of them. If one process fails, the others are
// stopped two seconds later; if one exits successfully, the others are stopped five seconds
// later. All processes are stopped if one cannot be started or when ctx is done. No process
// outlives the call. Start passes the output to out, one line at a time.
func Start(ctx context.Context, ending Ending, processes []Process, out func(Line)) []Exit {
	exits := make([]Exit, len(processes))
	groups := make([]*group, len(processes))
	var mu sync.Mutex
	emit := func(l Line) {
		mu.Lock()
		defer mu.Unlock()
		out(l)
	}
	ending.watcher.ready()
	stop, stopAll := context.WithCancel(ctx)
	defer stopAll()
	var wg sync.WaitGroup
	for i, p := range processes {
		g := &group{ending: ending, stop: stop}
		groups[i] = g
		started := make(chan bool)
		wg.Go(func() {
			stdout, stderr := &liner{emit: emit, process: i}, &liner{emit: emit, process: i, errors: true}
			exits[i] = g.run(p, stdout, stderr, started)
			stdout.flush()
			stderr.flush()
			switch {
			case exits[i].Err != nil:
				stopAll()
			case exits[i].OK():
				time.AfterFunc(linger, stopAll)
			default:
				time.AfterFunc(settle, stopAll)
			}
		})
		<-started
	}
	wg.Wait()
	return exits
}

// group is a process together with all the processes that it starts.
type group struct {
	ending Ending
	stop   context.Context
}

func (g *group) run(p Process, stdout, stderr *liner, started chan<- bool) Exit {
	cmd := exec.Command(p.Argv[0], p.Argv[1:]...)
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = drain
	unlock := isolate(cmd)
	defer unlock()
	err := cmd.Start()
	if err == nil {
		g.ending.watcher.add(cmd.Process.Pid)
	}
	close(started)
	if err != nil {
		return Exit{Code: -1, Err: diag.Cause(err)}
	}
	defer g.ending.watcher.remove(cmd.Process.Pid)
	done := make(chan struct{})
	stopped := make(chan bool, 1)
	go func() { stopped <- g.end(cmd, done) }()
	err = cmd.Wait()
	close(done)
	e := Exit{Code: cmd.ProcessState.ExitCode(), Signal: signalOf(cmd.ProcessState), Stopped: <-stopped}
	signal(cmd, syscall.SIGKILL) // stop any processes that the process started and left running
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok && !errors.Is(err, exec.ErrWaitDelay) {
		e.Err = err
	}
	return e
}

// end stops the process if a stop is requested before the process is done, and
// reports whether it did so.
func (g *group) end(cmd *exec.Cmd, done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	case <-g.stop.Done():
	}
	sig := syscall.SIGTERM
	if s, ok := errors.AsType[Signaled](context.Cause(g.stop)); ok && s.Signal == os.Interrupt {
		sig = syscall.SIGINT
	}
	signal(cmd, sig)
	select {
	case <-done:
		return true
	case <-time.After(g.ending.Grace):
	case <-g.ending.Hurry:
	}
	signal(cmd, syscall.SIGKILL)
	return true
}

// liner splits a stream into lines.
type liner struct {
	emit    func(Line)
	process int
	errors  bool
	rest    []byte
}

func (l *liner) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			l.rest = append(l.rest, p...)
			p = nil
		} else {
			l.rest = append(l.rest, p[:i]...)
			p = p[i+1:]
		}
		for len(l.rest) > maxLine {
			l.line(l.rest[:maxLine], false)
			l.rest = append(l.rest[:0], l.rest[maxLine:]...)
		}
		if i >= 0 {
			l.line(l.rest, true)
			l.rest = l.rest[:0]
		}
	}
	return n, nil
}

func (l *liner) line(text []byte, ended bool) {
	l.emit(Line{Process: l.process, Errors: l.errors, Text: text, Ended: ended})
}

// flush emits the last line if it does not end with a newline.
func (l *liner) flush() {
	if len(l.rest) > 0 {
		l.line(l.rest, false)
		l.rest = nil
	}
}

// Tail stores the end of a stream of text, starting at the beginning of a line.
type Tail struct {
	Size int // in bytes
	data []byte
}

// Line adds a line.
func (t *Tail) Line(text []byte) {
	t.data = append(append(t.data, text...), '\n')
	if len(t.data) > 2*t.Size {
		t.data = append(t.data[:0], t.cut()...)
	}
}

func (t *Tail) cut() []byte {
	if len(t.data) <= t.Size {
		return t.data
	}
	rest := t.data[len(t.data)-t.Size:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 && i+1 < len(rest) {
		rest = rest[i+1:]
	}
	return rest
}

// String returns the saved text.
func (t *Tail) String() string { return string(bytes.ToValidUTF8(t.cut(), []byte("?"))) }

// Last returns the last non-empty line.
func (t *Tail) Last() string {
	text := strings.TrimSpace(t.String())
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// Output runs a command and returns up to size bytes of its stdout, the end of its
// stderr, and how it ended.
func Output(ctx context.Context, argv []string, timeout time.Duration, size int) ([]byte, *Tail, Exit) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var out bytes.Buffer
	tail := &Tail{Size: stderrSize}
	exits := Start(ctx, Ending{Grace: linger}, []Process{{Argv: argv}}, func(l Line) {
		if l.Errors {
			tail.Line(l.Text)
		} else if out.Len()+len(l.Text) < size {
			out.Write(l.Text)
			if l.Ended {
				out.WriteByte('\n')
			}
		}
	})
	return out.Bytes(), tail, exits[0]
}
