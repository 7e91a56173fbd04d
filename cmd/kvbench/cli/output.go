package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/input"
)

// stdout receives results. It stores the first error, so that no command succeeds if its
// output was lost. A closed pipe is not an error, because its reader has read enough.
type stdout struct {
	file *os.File
	err  error
}

func (s *stdout) Write(text []byte) (int, error) {
	n, err := s.file.Write(text)
	return n, s.keep(err)
}

// close closes stdout and stores the error, because some file systems, such as network
// file systems, report write errors late.
func (s *stdout) close() { s.keep(s.file.Close()) }

func (s *stdout) keep(err error) error {
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return err
	}
	if s.err == nil {
		s.err = diag.Errorf(diag.Pos{}, "cannot write to stdout: %v", diag.Cause(err))
	}
	return s.err
}

// output receives a command's results: stdout, or a file that is written
// atomically.
type output struct {
	io.Writer
	name string   // the name of the file; "" for stdout
	temp *os.File // the temporary file; nil if the output is written directly
	// isNew makes close fail if a file with that name exists by then.
	isNew bool
}

// open opens the --output file, or stdout.
func (a *app) open(c *command) (*output, error) {
	name, _, _ := c.value("output")
	if name == "" {
		return &output{Writer: a.stdout}, nil
	}
	old, _ := os.Stat(name)
	if own, err := os.Stdout.Stat(); err == nil && old != nil && os.SameFile(own, old) {
		return &output{Writer: a.stdout}, nil // the file is stdout, whose position may be at the end of the file
	}
	// Write directly to a device or a pipe, and append to a file that the shell opened,
	// such as /dev/fd/3.
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
	if err == nil && old != nil { // keep restricted permissions
		if err = o.temp.Chmod(old.Mode().Perm()); err != nil {
			o.discard()
			return nil, cannotWrite(name, err)
		}
	}
	return o, err
}

// openAgain opens an existing file for writing. It waits for the reader of a
// pipe, but not forever.
func openAgain(name string, mode fs.FileMode) (*os.File, error) {
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0)
		switch {
		case !errors.Is(err, syscall.ENXIO) || mode&fs.ModeNamedPipe == 0:
			return f, err
		case time.Since(begin) > guardTime:
			return nil, fmt.Errorf("nothing opened this pipe for reading within %v", guardTime)
		}
	}
}

// create creates a temporary file for an atomic write. It neither follows nor
// replaces a symbolic link, which may lead to a file that the user did not mean to
// write.
func (a *app) create(name string) (*output, error) {
	if info, err := os.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, diag.Errorf(diag.Pos{File: name}, "is a symbolic link; nothing written").WithHint("use the file it points to")
	}
	// The name also contains the time, because process IDs are reused, especially in
	// containers.
	temp := fmt.Sprintf("%s.%d.%x.partial", name, os.Getpid(), time.Now().UnixNano())
	a.takeSignals()
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, cannotWrite(name, err)
	}
	a.partial.Store(&temp)
	return &output{Writer: f, name: name, temp: f}, nil
}

// createNew writes a new file, which must not exist yet.
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

// createYAML is like createNew, but rejects names of files that kvbench does not read as
// YAML.
func (a *app) createYAML(name string, text []byte) error {
	if data.IsJSON(name) || data.IsCUE(name) {
		return diag.Errorf(diag.Pos{File: name}, "the output is YAML, but kvbench does not read a file with this name as YAML; nothing written").
			WithHint("use a name that ends in .yaml")
	}
	return a.createNew(name, text)
}

// Write writes to the output. Errors contain the final name of the file instead of the
// name of the temporary file.
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

// discard removes the temporary file.
func (o *output) discard() {
	if o.temp != nil {
		o.temp.Close()
		os.Remove(o.temp.Name())
	}
}

// close renames the temporary file to its final name.
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

// linkNew renames a file. The new name must not exist yet.
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
	return os.Rename(from, to) // the file system may not support links
}

func isThere(name string) error {
	return diag.Errorf(diag.Pos{File: name}, "already exists; nothing written")
}

// writeAll writes all of a command's output at once.
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
