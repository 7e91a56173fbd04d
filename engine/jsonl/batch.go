package jsonl

import "io"

// batchSize is the number of bytes after which a batch is complete.
const batchSize = 1 << 20

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
	b.text, b.lines = b.text[:0], b.lines[:0]
	for len(b.text) < batchSize {
		line, err := l.Next()
		if err == io.EOF && len(b.lines) > 0 {
			return nil
		}
		if err != nil {
			return err
		}
		start := len(b.text)
		b.text = append(b.text, line...)
		b.lines = append(b.lines, place{start, len(b.text), l.Number, l.Torn})
	}
	return nil
}

// Each calls f for each line, with its number and whether its line end is missing.
func (b *Batch) Each(f func(line []byte, number int, torn bool)) {
	for _, at := range b.lines {
		f(b.text[at.start:at.end:at.end], at.number, at.torn)
	}
}
