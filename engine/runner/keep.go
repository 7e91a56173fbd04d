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
	maxOutput      = 16 << 20 // bytes of output per file
	maxOutputFiles = 100_000  // files per plan
)

// kept is a file that receives what a run prints, up to maxOutput bytes. The zero value
// discards the output.
type kept struct {
	file *os.File
	out  *bufio.Writer
	size int
	warn func(*diag.Diag)
}

// keep creates an output file next to the results, and adds its name to the record.
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

// line writes a line to the file. If numbered is set, the number of the process comes
// before the text, as on the terminal.
func (k *kept) line(numbered bool, l Line) {
	if k.file == nil || k.size > maxOutput {
		return
	}
	if k.size += len(l.Text) + 1; k.size > maxOutput {
		fmt.Fprintf(k.out, "(the rest is not saved, because output files are limited to %s)\n", diag.Bytes(maxOutput))
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
