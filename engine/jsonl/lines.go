package jsonl

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

const (
	// MaxLine is how long a line may be, without its end. Results are some
	// kilobytes.
	MaxLine = 4 << 20
	// MaxFutile is how much is read of a file that holds no result.
	MaxFutile = 64 << 20
)

// ErrLong tells that a line is longer than [MaxLine]. It ends the reading: the
// line may have no end.
var ErrLong = fmt.Errorf("this line is longer than %d MiB", MaxLine>>20)

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

// NewLines returns the lines of a text.
func NewLines(r io.Reader) *Lines { return &Lines{in: bufio.NewReaderSize(r, MaxLine+1)} }

// Next returns the next line that is not blank, which is good until the next call;
// io.EOF behind the last.
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
