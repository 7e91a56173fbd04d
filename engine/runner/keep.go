package runner

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kvbench/engine/diag"
)

const (
	maxOutput      = 16 << 20 // bytes of output in a file
	maxOutputFiles = 100_000  // of one plan
)

// kept is a file with everything that a run prints; the zero value saves
// nothing.
type kept struct {
	file *os.File
	out  *bufio.Writer
	size int
	warn func(*diag.Diag)
}

// keep creates such a file next to the results, and names it in the record.
func (s *Session) keep(rec *Record) *kept {
	if !s.KeepOutput || s.Journal == nil {
		return &kept{}
	}
	base := fmt.Sprintf("%s.%.12s", s.Journal.Name(), rec.Hash)
	var err error
	for n := 1; n <= maxOutputFiles; n++ {
		name := fmt.Sprintf("%s.%d.txt", base, n)
		var f *os.File
		f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			rec.OutputFiles = append(rec.OutputFiles, filepath.Base(name))
			return &kept{file: f, out: bufio.NewWriter(f), warn: s.Warn}
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	s.Warn(diag.Warnf(diag.Pos{File: base}, "cannot save the output: %v", diag.Cause(err)))
	return &kept{}
}

// line adds a line; lines of several processes are numbered, as they are when
// printed.
func (k *kept) line(numbered bool, l Line) {
	if k.file == nil || k.size > maxOutput {
		return
	}
	if k.size += len(l.Text) + 1; k.size > maxOutput {
		fmt.Fprintf(k.out, "(the rest is not saved: a file is limited to %s)\n", diag.Bytes(maxOutput))
		return
	}
	if numbered {
		fmt.Fprintf(k.out, "[%d] ", l.Process+1)
	}
	k.out.Write(l.Text)
	k.out.WriteByte('\n')
}

func (k *kept) close() {
	if k.file == nil {
		return
	}
	if err := errors.Join(k.out.Flush(), k.file.Close()); err != nil {
		k.warn(diag.Warnf(diag.Pos{File: k.file.Name()}, "the output was not saved completely: %v", err))
	}
}
