package jsonl

import (
	"bytes"
	"fmt"
	"io"
)

const (
	// MaxLine is the maximum length of a line, excluding the newline. A result is a few
	// kilobytes long.
	MaxLine = 4 << 20
	// MaxFutile is how many bytes without results to read from a file before giving up.
	MaxFutile = 64 << 20
	// atOnce is the number of bytes to read at once. This many bytes fit into a processor's
	// cache.
	atOnce = 1 << 20
)

// ErrLong means that a line is longer than [MaxLine]. Reading stops there,
// because the line may never end.
var ErrLong = fmt.Errorf("this line is longer than %d MiB", MaxLine>>20)

// Lines reads text line by line.
type Lines struct {
	in io.Reader
	// text contains the text read most recently, of which text[at:] has not been returned yet.
	text []byte
	at   int
	err  error // io.EOF at the end of the text, or another error from in
	// Number is the number of the last line read, counted from 1.
	Number int
	// Offset is the offset of that line's first non-space character, in bytes.
	Offset int64
	// Bytes is the total size of the lines read so far, including their newlines.
	Bytes int64
	// Torn reports whether the last line read does not end with a newline.
	Torn bool
}

// NewLines returns a reader for the lines of r.
func NewLines(r io.Reader) *Lines { return &Lines{in: r} }

// Next returns the next non-blank line, which is valid until the next call, or
// io.EOF at the end.
func (l *Lines) Next() ([]byte, error) {
	for {
		end, err := l.end(true)
		if err != nil {
			return nil, err
		}
		if line := l.take(end); len(line) > 0 {
			return line, nil
		}
	}
}

// end returns the index just after the next line, or io.EOF if there are no more lines. If
// the end of the line has not been read yet, it reads more text or, with read set to false,
// returns 0.
func (l *Lines) end(read bool) (int, error) {
	for searched := 0; ; {
		if i := bytes.IndexByte(l.text[l.at+searched:], '\n'); i >= 0 {
			return l.at + searched + i + len("\n"), nil
		}
		searched = len(l.text) - l.at
		switch {
		case searched > MaxLine:
			l.Number++
			return 0, ErrLong
		case l.err == io.EOF && searched > 0:
			return len(l.text), nil
		case l.err != nil:
			l.Number++
			return 0, l.err
		case !read:
			return 0, nil
		}
		l.fill()
	}
}

// fill reads more text. It may move the text that has not been returned yet.
func (l *Lines) fill() {
	if len(l.text) == cap(l.text) {
		rest := l.text[l.at:]
		l.text, l.at = l.text[:0], 0
		if size := min(max(2*len(rest), atOnce), MaxLine+1); size > cap(l.text) {
			l.text = make([]byte, 0, size)
		}
		l.text = append(l.text, rest...)
	}
	n, err := l.in.Read(l.text[len(l.text):cap(l.text)])
	l.text, l.err = l.text[:len(l.text)+n], err
}

// take returns the line that ends at index end, without leading and trailing white space.
func (l *Lines) take(end int) []byte {
	line := l.text[l.at:end]
	l.Number++
	l.Bytes += int64(len(line))
	l.Torn = line[len(line)-1] != '\n'
	l.at = end
	if l.Number == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff")) // the byte order mark that some editors add
	}
	line = bytes.TrimLeft(line, " \t\r\n")
	l.Offset = l.Bytes - int64(len(line))
	return bytes.TrimRight(line, " \t\r\n")
}
