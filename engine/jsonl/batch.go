package jsonl

import (
	"io"
	"slices"
)

// Batch is a sequence of lines that can be parsed while later lines are read from the file.
type Batch struct {
	text  []byte
	lines []place
}

// place is the position of a line in the text of its batch.
type place struct {
	start, end int
	number     int
	torn       bool
}

// Batch reads the next lines into a batch, whose memory is reused. Like
// [Lines.Next], it returns io.EOF at the end. The lines before an error are valid.
func (l *Lines) Batch(b *Batch) error {
	l.text, l.at = append(b.text[:0], l.text[l.at:]...), 0
	for len(l.text) < atOnce && l.err == nil {
		l.fill()
	}
	b.lines = b.lines[:0]
	end, err := l.end(true)
	for ; end > 0; end, err = l.end(len(b.lines) == 0) {
		if line := l.take(end); len(line) > 0 {
			start := l.at - int(l.Bytes-l.Offset)
			b.lines = append(b.lines, place{start, start + len(line), l.Number, l.Torn})
		}
	}
	b.text, l.text, l.at = l.text, slices.Clone(l.text[l.at:]), 0
	if err == io.EOF && len(b.lines) > 0 {
		return nil
	}
	return err
}

// Each iterates over the lines. It passes f the line, the line's number, and whether the
// newline at its end is missing.
func (b *Batch) Each(f func(line []byte, number int, torn bool)) {
	for _, at := range b.lines {
		f(b.text[at.start:at.end:at.end], at.number, at.torn)
	}
}
