package matrix

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The files in an output folder besides the matrices.
const (
	// MetadataFile lists the matrices for the sequential-ct-perftest tool. Its paths
	// are relative to the folder.
	MetadataFile = "metadata.yaml"
	// IndexFile shows the total size and other properties of each matrix, one matrix per line.
	IndexFile = "index.csv"
)

// indexHead is the first line of the index.
const indexHead = "matrix_file,requests,tokens,cached_tokens,bytes,pairs,largest_pair_bytes,launch_sec\n"

// Writer writes matrices to a folder.
type Writer struct {
	// If Rounded is set, cells are not exact byte counts but have a unit and at most two
	// decimals, as in the matrices of the Python KVBench.
	Rounded bool
	// If Timed is set, the time between batches is also written.
	Timed bool

	dir             string
	metadata, index *text
	number          int
	launch          time.Duration // the Launch time of the last batch
	zeros           string        // a row without traffic
	buffer          []byte
}

// text is a text file open for writing.
type text struct {
	*bufio.Writer
	file *os.File
}

func create(dir, name string, size int) (*text, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	return &text{bufio.NewWriterSize(f, size), f}, nil
}

func (t *text) close() error { return errors.Join(t.Flush(), t.file.Close()) }

// NewWriter returns a writer for an empty folder.
func NewWriter(dir string) (*Writer, error) {
	w := &Writer{dir: dir}
	var err error
	if w.metadata, err = create(dir, MetadataFile, 4096); err != nil {
		return nil, err
	}
	if w.index, err = create(dir, IndexFile, 4096); err != nil {
		w.metadata.file.Close()
		return nil, err
	}
	w.metadata.WriteString("traffic_patterns:\n")
	w.index.WriteString(indexHead)
	return w, nil
}

// Write writes a batch's matrix, and the matrix's entries in the other files.
func (w *Writer) Write(b *Batch) error {
	name := fmt.Sprintf("matrix_%d.txt", w.number)
	cells := b.sorted()
	if err := w.matrix(name, b.size, cells); err != nil {
		return err
	}
	largest := int64(0)
	for _, c := range cells {
		largest = max(largest, c.bytes)
	}
	if w.Timed && w.number > 0 {
		fmt.Fprintf(w.metadata, "  sleep_after_launch_sec: %s\n", seconds(b.Launch-w.launch))
	}
	fmt.Fprintf(w.metadata, "- matrix_file: %s\n  metadata: {requests: %d, isl: %d, bytes: %d}\n", name, b.Requests, b.Tokens, b.Bytes)
	launch := ""
	if w.Timed {
		launch = seconds(b.Launch)
	}
	_, err := fmt.Fprintf(w.index, "%s,%d,%d,%d,%d,%d,%d,%s\n", name, b.Requests, b.Tokens, b.Cached, b.Bytes, len(cells), largest, launch)
	w.number++
	w.launch = b.Launch
	return err
}

// seconds formats a duration in seconds, without rounding.
func seconds(d time.Duration) string {
	s := fmt.Sprintf("%d.%09d", d/time.Second, d%time.Second)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// matrix writes a matrix file. It has a line for each rank, with the number of bytes that
// the rank sends to each other rank.
func (w *Writer) matrix(name string, size int, cells []value) error {
	f, err := create(w.dir, name, 1<<20)
	if err != nil {
		return err
	}
	if len(w.zeros) != 2*size {
		w.zeros = strings.Repeat("0 ", size-1) + "0\n"
	}
	for row := range int32(size) {
		at := 0 // the number of cells that have been written
		for len(cells) > 0 && cells[0].source == row {
			column := int(cells[0].destination)
			w.buffer = append(w.buffer[:0], w.zeros[2*at:2*column]...)
			w.buffer = append(w.format(w.buffer, cells[0].bytes), w.zeros[2*column+1])
			f.Write(w.buffer)
			at, cells = column+1, cells[1:]
		}
		f.WriteString(w.zeros[2*at:])
	}
	return f.close()
}

// format appends the text of a cell.
func (w *Writer) format(to []byte, bytes int64) []byte {
	if !w.Rounded {
		return strconv.AppendInt(to, bytes, 10)
	}
	x, units := float64(bytes), "BKMG"
	for x >= 1024 && len(units) > 1 {
		x, units = x/1024, units[1:]
	}
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'f', 2, 64), 64)
	return append(fmt.Appendf(to, "%.6g", x), units[0])
}

// Close writes buffered data and closes the files.
func (w *Writer) Close() error { return errors.Join(w.metadata.close(), w.index.close()) }
