package jsonl

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

// MaxLine is how long a line may be, without its end. Results are some
// kilobytes.
const MaxLine = 4 << 20

// ErrLong tells that a line is longer than [MaxLine].
var ErrLong = errors.New("this line is longer than 4 MiB")

// Lines reads a text line by line.
type Lines struct {
	in *bufio.Reader
	// Number is that of the line read last, from 1 on.
	Number int
	// Offset is where it begins, without space, in bytes.
	Offset int64
	// Bytes is how much has been read.
	Bytes int64
	// Torn tells that the line read last has no end.
	Torn bool
}

// NewLines gives the lines of a text.
func NewLines(r io.Reader) *Lines { return &Lines{in: bufio.NewReaderSize(r, MaxLine+1)} }

// Next gives the next line that is not blank, which is good until the next call;
// io.EOF behind the last. After [ErrLong], it goes on with the line behind the
// long one.
func (l *Lines) Next() ([]byte, error) {
	for {
		l.Number++
		line, err := l.in.ReadSlice('\n')
		l.Bytes += int64(len(line))
		if l.Number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // some editors put it there
		}
		l.Torn = err == io.EOF && len(line) > 0
		switch {
		case err == bufio.ErrBufferFull:
			return nil, l.pass()
		case err != nil && err != io.EOF:
			return nil, err
		}
		line = bytes.TrimLeft(line, " \t\r\n")
		l.Offset = l.Bytes - int64(len(line))
		if line = bytes.TrimRight(line, " \t\r\n"); len(line) > 0 {
			return line, nil
		}
		if err == io.EOF {
			return nil, err
		}
	}
}

// pass passes over the rest of a long line.
func (l *Lines) pass() error {
	for {
		rest, err := l.in.ReadSlice('\n')
		l.Bytes += int64(len(rest))
		switch err {
		case bufio.ErrBufferFull:
		case nil:
			return ErrLong
		case io.EOF:
			l.Torn = true
			return ErrLong
		default:
			return err
		}
	}
}

// Open opens a file for reading. It must be one with an end: devices, and pipes
// that nobody may write to, are refused; a pipe that the process was started
// with is taken.
func Open(name string) (*os.File, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("is a directory")
	case info.Mode().IsRegular(), info.Mode()&fs.ModeNamedPipe != 0 && Inherited(name):
		return os.Open(name)
	}
	return nil, errors.New("is not a regular file")
}

// Inherited reports whether a name is that of a file that is open already.
func Inherited(name string) bool {
	return name == "/dev/stdin" || name == "/dev/stdout" || name == "/dev/stderr" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/")
}
