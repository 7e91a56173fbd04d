package standin

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// odd imitates side effects observed in runs of the real nixlbench. It also runs the
// shell command FAKE_SH, which imitates other processes, while the run's files exist.
func (f *fake) odd() {
	if text := os.Getenv("FAKE_SH"); text != "" {
		f.out.Flush()
		cmd := exec.Command("/bin/sh", "-c", text)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			f.die("FAKE_SH: %v", err)
		}
	}
	if f.fault("warnings") {
		fmt.Fprintln(f.out, "WARNING: one form\nWarning: another form\nwarning: neither")
		f.out.Flush()
		fmt.Fprintln(os.Stderr, "Warning: on stderr")
	}
	// Only the first run fails at a barrier before the first row.
	if f.fault("asio_once") {
		if _, err := os.Stat("tried"); err != nil {
			os.WriteFile("tried", nil, 0o644)
			f.asioAbort()
		}
	}
	if f.fault("asio_always") {
		f.asioAbort()
	}
	if f.fault("asio_hang") { // wait for a signal
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
		<-asked
		f.asioAbort()
	}
}

// asioAbort ends the process the way the race in the ASIO barriers does.
func (f *fake) asioAbort() {
	f.out.Flush()
	fmt.Fprintln(os.Stderr, "terminate called after throwing an instance of 'std::runtime_error'\n  what():  ASIO Read head failed: End of file")
	syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -ABRT $$"}, os.Environ())
}

// oddRows prints rows that a table should not have.
func (f *fake) oddRows() {
	block, batch := f.number("max_block_size"), f.number("max_batch_size")
	switch {
	case f.fault("twice"):
		f.heading()
		f.row(block, batch)
	case f.fault("again"):
		f.row(block, batch)
	case f.fault("other_batch"):
		f.row(block, batch+1)
	case f.fault("other_block"):
		f.row(block+1, batch)
	case f.fault("many"):
		for range 100_000 {
			f.row(block, batch)
		}
	case f.fault("asio_end"):
		f.asioAbort()
	}
}
