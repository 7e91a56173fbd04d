// Package input opens files that users name. Such files may be untrusted. The package
// rejects files that may never end, such as devices, and reports every read to a watch,
// which can stop reads that do not return.
package input

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"kvbench/engine/diag"
)

// Work is a kind of work on a file, as reported to a [Watch].
type Work uint8

// These are the kinds of work.
const (
	Evaluate Work = iota // processing the file as a whole
	Read                 // reading part of the file
	Await                // reading part of a pipe, which may take a while
)

// A Watch is called when work on a file begins, so that it can stop work that takes too
// long. The function that it returns is called when the work is done. A nil Watch does
// nothing.
type Watch func(name string, work Work) (done func())

// Begin reports the start of work to the watch.
func (w Watch) Begin(name string, work Work) (done func()) {
	if w == nil {
		return func() {}
	}
	return w(name, work)
}

// File is a file that is open for reading.
type File struct {
	file  *os.File
	name  string
	work  Work
	watch Watch
}

// Open opens a regular file, or a pipe inherited from the parent process, such as the shell's
// <(command). Errors have the file's name as their position.
func Open(name string, watch Watch) (*File, error) {
	defer watch.Begin(name, Read)()
	info, err := os.Stat(name)
	if err != nil {
		return nil, wrong(name, err)
	}
	if err := check(name, info); err != nil {
		return nil, err
	}
	// A pipe may have replaced the file since the check. Without O_NONBLOCK, opening a
	// pipe would block.
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, wrong(name, err)
	}
	if info, err = file.Stat(); err != nil {
		err = wrong(name, err)
	} else {
		err = check(name, info)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	f := Watched(file, watch)
	if isPipe(info) {
		f.work = Await
	}
	return f, nil
}

// StdinName is the name of standard input in messages.
const StdinName = "standard input"

// Stdin returns standard input, which must be a regular file or a pipe.
func Stdin(watch Watch) (*File, error) {
	info, err := os.Stdin.Stat()
	switch {
	case err != nil:
		return nil, wrong(StdinName, err)
	case info.IsDir():
		return nil, check(StdinName, info)
	case !info.Mode().IsRegular() && !isPipe(info):
		return nil, diag.Errorf(diag.Pos{File: StdinName}, "is neither a file nor a pipe").About(diag.File, "")
	}
	f := &File{file: os.Stdin, name: StdinName, work: Read, watch: watch}
	if isPipe(info) {
		f.work = Await
	}
	return f, nil
}

// Watched wraps an open file in a File whose reads are reported to the watch.
func Watched(file *os.File, watch Watch) *File {
	return &File{file: file, name: file.Name(), work: Read, watch: watch}
}

// Read reads up to len(p) bytes.
func (f *File) Read(p []byte) (int, error) {
	defer f.watch.Begin(f.name, f.work)()
	n, err := f.file.Read(p)
	return n, f.wrong(err)
}

// ReadAt reads up to len(p) bytes, starting at the given offset.
func (f *File) ReadAt(p []byte, at int64) (int, error) {
	defer f.watch.Begin(f.name, f.work)()
	n, err := f.file.ReadAt(p, at)
	return n, f.wrong(err)
}

func (f *File) wrong(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return wrong(f.name, err)
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// ReadAll reads at most the given number of bytes of a file. It also reports whether the
// file is larger.
func ReadAll(name string, most int, watch Watch) (text []byte, large bool, err error) {
	f, err := Open(name, watch)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	text, err = io.ReadAll(io.LimitReader(f, int64(most)+1))
	return text[:min(len(text), most)], len(text) > most, err
}

// Glob returns the names of the files that match a pattern, sorted. If the pattern is the
// exact name of a file, Glob returns only that name. If the pattern begins with ./, so do
// the names.
func Glob(pattern string) ([]string, *diag.Diag) {
	if _, err := os.Lstat(pattern); err == nil {
		return []string{pattern}, nil
	}
	names, err := filepath.Glob(pattern)
	switch {
	case err != nil:
		return nil, diag.Usagef("%q is not a valid pattern: %v", pattern, err)
	case len(names) == 0:
		return nil, diag.Errorf(diag.Pos{}, "no file matches %q", pattern).About(diag.File, pattern)
	}
	for i, name := range names {
		if strings.HasPrefix(pattern, "./") && !strings.HasPrefix(name, "./") {
			names[i] = "./" + name
		}
	}
	return names, nil
}

// Regular returns an error if a file is neither a regular file nor a folder. It does not open
// the file. It returns nil if the file is missing or cannot be examined. Regular is meant for
// files that the user did not name.
func Regular(name string) error {
	info, err := os.Stat(name)
	if err != nil || info.Mode().IsRegular() || info.IsDir() {
		return nil
	}
	return notRegular(name)
}

func check(name string, info fs.FileInfo) error {
	switch {
	case info.Mode().IsRegular(), isPipe(info) && Inherited(name):
		return nil
	case info.IsDir():
		return diag.Errorf(diag.Pos{File: name}, "is a directory").About(diag.File, "")
	case isPipe(info):
		return notRegular(name).WithHint("use a file, or pass a pipe as <(command) or /dev/stdin")
	}
	return notRegular(name)
}

func notRegular(name string) *diag.Diag {
	return diag.Errorf(diag.Pos{File: name}, "is not a regular file").About(diag.File, "")
}

func isPipe(info fs.FileInfo) bool { return info.Mode()&fs.ModeNamedPipe != 0 }

// Inherited reports whether a name, such as /dev/stdin, refers to a file that the process
// already has open.
func Inherited(name string) bool {
	return name == "/dev/stdin" || name == "/dev/stdout" || name == "/dev/stderr" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/")
}

func wrong(name string, err error) error {
	return diag.Errorf(diag.Pos{File: name}, "%v", diag.Cause(err)).About(diag.File, "")
}
