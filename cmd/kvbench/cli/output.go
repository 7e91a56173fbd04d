package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"kvbench/engine/diag"
	"kvbench/engine/input"
)

// stdout is where results go. It keeps the first error, so that no command ends
// well whose output was lost. A closed pipe is none: its reader has enough.
type stdout struct {
	file *os.File
	err  error
}

func (s *stdout) Write(text []byte) (int, error) {
	n, err := s.file.Write(text)
	return n, s.keep(err)
}

// close finds errors that come late, as on a network's file system.
func (s *stdout) close() { s.keep(s.file.Close()) }

func (s *stdout) keep(err error) error {
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return err
	}
	if s.err == nil {
		s.err = diag.Errorf(diag.Pos{}, "stdout cannot be written: %v", diag.Cause(err))
	}
	return s.err
}

// output is where a command's results go: stdout, or a file that appears when
// it is complete.
type output struct {
	io.Writer
	name string   // of the file; "" for stdout
	temp *os.File // what becomes it, unless it is a device or a pipe
	// isNew has it fail where a file of this name is there by now.
	isNew bool
}

// open opens the file of --output, or stdout.
func (a *app) open(c *command) (*output, error) {
	name, _, _ := c.value("output")
	if name == "" {
		return &output{Writer: a.stdout}, nil
	}
	old, _ := os.Stat(name)
	if own, err := os.Stdout.Stat(); err == nil && old != nil && os.SameFile(own, old) {
		return &output{Writer: a.stdout}, nil // /dev/stdout, perhaps at the end of a file
	}
	// A device or a pipe stays what it is, and a file that the shell opened, such
	// as /dev/fd/3, is added to.
	if old != nil && (!old.Mode().IsRegular() || input.Inherited(name)) {
		if old.IsDir() {
			return nil, cannotWrite(name, syscall.EISDIR)
		}
		f, err := openAgain(name, old.Mode())
		if err != nil {
			return nil, cannotWrite(name, err)
		}
		return &output{Writer: f, name: name}, nil
	}
	o, err := a.create(name)
	if err == nil && old != nil { // what only some may read stays so
		if err = o.temp.Chmod(old.Mode().Perm()); err != nil {
			o.discard()
			return nil, cannotWrite(name, err)
		}
	}
	return o, err
}

// openAgain opens what is there for writing. A pipe is waited for, but not without
// end.
func openAgain(name string, mode fs.FileMode) (*os.File, error) {
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0)
		switch {
		case !errors.Is(err, syscall.ENXIO) || mode&fs.ModeNamedPipe == 0:
			return f, err
		case time.Since(begin) > guardTime:
			return nil, fmt.Errorf("nothing has opened this pipe for reading within %v", guardTime)
		}
	}
}

// create begins a file that appears when it is complete. It neither follows nor
// replaces a symbolic link: it may lead to what nobody meant to write.
func (a *app) create(name string) (*output, error) {
	if info, err := os.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, diag.Errorf(diag.Pos{File: name}, "is a symbolic link; nothing written").WithHint("use the file it points to")
	}
	// Process numbers come again, in containers soon.
	temp := fmt.Sprintf("%s.%d.%x.partial", name, os.Getpid(), time.Now().UnixNano())
	a.takeSignals()
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, cannotWrite(name, err)
	}
	a.partial.Store(&temp)
	return &output{Writer: f, name: name, temp: f}, nil
}

// createNew writes a file that must not be there yet.
func (a *app) createNew(name string, text []byte) error {
	o, err := a.create(name)
	if err != nil {
		return err
	}
	if _, err = o.Write(text); err != nil {
		o.discard()
		return err
	}
	o.isNew = true
	return o.close()
}

// Write writes to the file. An error names the file, not the one that becomes it.
func (o *output) Write(text []byte) (int, error) {
	n, err := o.Writer.Write(text)
	if err != nil && o.name != "" && !errors.Is(err, syscall.EPIPE) {
		err = cannotWrite(o.name, err)
	}
	return n, err
}

func cannotWrite(name string, err error) error {
	return diag.Errorf(diag.Pos{File: name}, "cannot be written: %v", diag.Cause(err))
}

// discard leaves nothing of a file.
func (o *output) discard() {
	if o.temp != nil {
		o.temp.Close()
		os.Remove(o.temp.Name())
	}
}

// close moves the file to its final name.
func (o *output) close() error {
	if o.temp == nil {
		return nil
	}
	err := o.temp.Close()
	switch {
	case err != nil:
	case o.isNew:
		err = linkNew(o.temp.Name(), o.name)
	default:
		err = os.Rename(o.temp.Name(), o.name)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		o.discard()
		return isThere(o.name)
	case err != nil:
		o.discard()
		return cannotWrite(o.name, err)
	}
	return nil
}

// linkNew gives a file another name, which nothing may have.
func linkNew(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	}
	err := os.Link(from, to)
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, fs.ErrExist):
		return err
	}
	return os.Rename(from, to) // a file system without links
}

func isThere(name string) error {
	return diag.Errorf(diag.Pos{File: name}, "already exists; nothing written")
}

// writeAll writes what a command has to say at once.
func (a *app) writeAll(c *command, text []byte) error {
	out, err := a.open(c)
	if err != nil {
		return err
	}
	if _, err := out.Write(text); err != nil {
		out.discard()
		return err
	}
	return out.close()
}
