package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressTime is the minimum time between updates of a progress line that shows counts.
var progressTime = 200 * time.Millisecond // some tests use shorter times

// progress shows the progress of a long command. On a terminal, the progress is shown on the
// last line, below all other output. Otherwise, there is one line for each point. A
// command with a single point shows no progress.
type progress struct {
	w        io.Writer
	terminal bool
	quiet    bool // omit plain lines
	total    int
	done     int

	mu      sync.Mutex
	start   time.Time
	started int // points begun
	current string
	shown   bool
}

// begin reports the start of a point.
func (p *progress) begin(label string) {
	if p.total < 2 {
		return
	}
	p.mu.Lock()
	if p.start.IsZero() {
		p.start = time.Now()
	}
	p.current = fmt.Sprintf("%d of %d: %s", p.done+1, p.total, label)
	// The estimate ignores points reported by the plain method, because they take no time.
	if p.terminal && p.started > 0 {
		left := time.Since(p.start) / time.Duration(p.started) * time.Duration(p.total-p.done)
		p.current = fmt.Sprintf("%d of %d, %v to go: %s", p.done+1, p.total, left.Round(time.Second), label)
	}
	p.started++
	if !p.terminal && !p.quiet {
		fmt.Fprintln(p.w, p.current)
	}
	p.mu.Unlock()
	p.print(func() {})
}

// show shows text in the terminal's progress line.
func (p *progress) show(text string) {
	if !p.terminal {
		return
	}
	p.mu.Lock()
	p.current = text
	p.mu.Unlock()
	p.print(func() {})
}

// The plain method prints a line about a point that takes no time.
func (p *progress) plain(format string, args ...any) {
	if p.quiet {
		return
	}
	p.print(func() {
		fmt.Fprintf(p.w, "%d of %d: %s\n", p.done+1, p.total, fmt.Sprintf(format, args...))
	})
}

// print calls write, which prints some output. On a terminal, the output appears above the
// progress line.
func (p *progress) print(write func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	write()
	if p.terminal && p.current != "" {
		fmt.Fprint(p.w, p.current)
		p.shown = true
	}
}

// clear removes the progress line.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.current = ""
}

func (p *progress) erase() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
