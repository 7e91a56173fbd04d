package jsonl

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

const (
	// MaxLine is the maximum length of a line, excluding the line end. A result is a few
	// kilobytes long.
	MaxLine = 4 << 20
	// MaxFutile is the number of bytes after which reading a file stops if no results have
	// been found.
	MaxFutile = 64 << 20
)

// ErrLong means that a line is longer than [MaxLine]. Reading stops there,
// because the line may never end.
var ErrLong = fmt.Errorf("this line is longer than %d MiB", MaxLine>>20)

// Lines reads text line by line.
type Lines struct {
	in *bufio.Reader
	// Number is the number of the last line read, counted from 1.
	Number int
	// Offset is the offset of that line's first non-space character, in bytes.
	Offset int64
	// Bytes is the number of bytes read.
	Bytes int64
	// Torn reports whether the last line read does not have a line end.
	Torn bool
}

// NewLines returns a reader for the lines of r.
func NewLines(r io.Reader) *Lines { return &Lines{in: bufio.NewReaderSize(r, MaxLine+1)} }

// Next returns the next non-blank line, which is valid until the next call, or
// io.EOF at the end.
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
			return nil, ErrLong
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
