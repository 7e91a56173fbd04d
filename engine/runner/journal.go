package runner

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"kvbench/engine/diag"
	"kvbench/engine/input"
	"kvbench/engine/jsonl"
)

// Journal is a results file, one JSON object per line. It is append-only, with
// one write per record.
type Journal struct {
	file *os.File
	name string
	// done contains the places of the unused successful results in the file, keyed by hash.
	done map[string][]place
	// regular reports whether the file is a regular file. Only regular files can be
	// repaired, locked, and synced; pipes and devices cannot.
	regular bool
	// begun and end are the offsets at which the results of this command begin and
	// end.
	begun, end int64
	// Rescue receives the results that cannot be saved, one JSON object per line.
	Rescue func(line []byte)
	// Torn is the file to which an incomplete last line was moved, or "".
	Torn string
	// Bad is an error about the lines of a resumed file that are not results, or nil.
	Bad error
}

// OpenJournal opens or creates a results file. An incomplete last line, which a killed
// run can leave behind, is moved to a file with the same name and the suffix .torn. If
// resume is set, the existing results are read.
func OpenJournal(name string, resume bool, watch input.Watch) (*Journal, error) {
	fail := func(err error) (*Journal, error) {
		if d := diag.All(err)[0]; !d.Pos.IsZero() {
			return nil, err
		}
		return nil, diag.Errorf(diag.Pos{File: name}, "%v", diag.Cause(err))
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fail(err)
	}
	j := &Journal{file: file, name: name, done: map[string][]place{}, Rescue: func(line []byte) { os.Stderr.Write(line) }}
	if err := j.prepare(resume, input.Watched(file, watch)); err != nil {
		file.Close()
		return fail(err)
	}
	return j, nil
}

func (j *Journal) prepare(resume bool, in io.ReaderAt) error {
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	j.regular = info.Mode().IsRegular()
	switch {
	case !j.regular && resume:
		return errors.New("not a regular file, so nothing can be resumed")
	case !j.regular:
		return nil
	case !lock(j.file):
		return errors.New("another kvbench process is writing to this file")
	}
	if err := j.begin(in, info.Size()); err != nil {
		return err
	}
	if err := j.mend(in, info.Size()); err != nil {
		return err
	}
	if info, err = j.file.Stat(); err != nil {
		return err
	}
	if j.begun, j.end = info.Size(), info.Size(); !resume {
		return nil
	}
	return j.read(in)
}

// begin checks that the file begins with a result, to avoid writing to other kinds of files.
func (j *Journal) begin(in io.ReaderAt, size int64) error {
	lines := jsonl.NewLines(io.NewSectionReader(in, 0, size))
	line, err := lines.Next()
	switch {
	case err == io.EOF:
		return nil
	case err == jsonl.ErrLong:
		return longLine(j.name, lines.Number)
	case err != nil:
		return err
	case parse(line) != nil:
		return nil
	}
	// A torn result may be shorter than recordBegin.
	if lines.Torn && (bytes.HasPrefix(line, []byte(recordBegin)) || bytes.HasPrefix([]byte(recordBegin), line)) {
		return nil
	}
	bad := strangers{name: j.name, hint: journalHint}
	bad.add(lines.Number)
	return bad.err()
}

// mend moves an incomplete last line out of the file. If only the newline is missing, it
// adds the newline.
func (j *Journal) mend(in io.ReaderAt, size int64) error {
	line, err := lastLine(in, size)
	switch {
	case err == jsonl.ErrLong:
		return diag.Errorf(diag.Pos{File: j.name}, "the last line is longer than %d MiB, so it cannot be a result", jsonl.MaxLine>>20).WithHint("delete this line")
	case err != nil || len(line) == 0:
		return err
	case parse(line) != nil:
		_, err := j.file.Write([]byte("\n"))
		return err
	}
	name := j.name + ".torn"
	if err := input.Regular(name); err != nil {
		return err
	}
	if info, err := os.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return diag.Errorf(diag.Pos{File: name}, "is a symbolic link; nothing written")
	}
	torn, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return diag.Errorf(diag.Pos{File: name}, "%v", diag.Cause(err))
	}
	defer torn.Close()
	if _, err := torn.Write(append(line, '\n')); err != nil {
		return err
	}
	// Remove the incomplete line only after it has been saved elsewhere.
	if err := torn.Sync(); err != nil {
		return err
	}
	j.Torn = torn.Name()
	return j.file.Truncate(size - int64(len(line)))
}

// lastLine returns everything after the last newline.
func lastLine(in io.ReaderAt, size int64) ([]byte, error) {
	var last []byte
	for n := int64(64 << 10); ; n *= 2 {
		n = min(n, size, jsonl.MaxLine+1)
		last = make([]byte, n)
		if _, err := in.ReadAt(last, size-n); err != nil && err != io.EOF {
			return nil, err
		}
		switch i := bytes.LastIndexByte(last, '\n'); {
		case i >= 0:
			return last[i+1:], nil
		case n == size:
			return last, nil
		case n > jsonl.MaxLine:
			return nil, jsonl.ErrLong
		}
	}
}

// place is the location of a result in the file.
type place struct {
	offset int64
	length int
}

// read collects the places of the successful results that are already in the file.
func (j *Journal) read(in io.ReaderAt) error {
	lines := jsonl.NewLines(io.NewSectionReader(in, 0, 1<<62))
	bad := strangers{name: j.name, hint: "such lines do not count as completed runs"}
	for {
		line, err := lines.Next()
		switch {
		case err == io.EOF:
			j.Bad = bad.err()
			return nil
		case err == jsonl.ErrLong:
			return longLine(j.name, lines.Number)
		case err != nil:
			return err
		}
		hash, status := identity(line)
		switch {
		case hash == "":
			bad.add(lines.Number)
		case status == OK:
			j.done[hash] = append(j.done[hash], place{lines.Offset, len(line)})
		}
	}
}

// identity returns the hash and the status of a result; the hash is empty if
// the line is not a result.
func identity(line []byte) (hash string, status Status) {
	in := jsonl.NewReader(line)
	var text string
	in.Object(func(name []byte) {
		switch string(name) {
		case "hash":
			hash = in.Text()
		case "status":
			text = in.Text()
		}
	})
	if in.End() != "" || len(hash) > maxWord {
		return "", ""
	}
	return hash, statusOf(text)
}

const (
	journalHint = "move the file away, or use another --output"
	// recordBegin is the beginning of every record.
	recordBegin = `{"kvbench":`
)

// parse parses a line, or returns nil if it is not a result.
func parse(line []byte) *Record {
	var rec Record
	if err := json.Unmarshal(line, &rec); err != nil || rec.Hash == "" {
		return nil
	}
	rec.Point = cmp.Or(rec.Point, rec.Hash)
	return &rec
}

// strangers counts the lines of a file that are not results.
type strangers struct {
	name, hint string
	count      int
	first      int // line number of the first one
}

func (s *strangers) add(line int) {
	if s.count++; s.count == 1 {
		s.first = line
	}
}

func (s *strangers) err() error {
	msg := "this line is not a kvbench result"
	switch {
	case s.count == 0:
		return nil
	case s.count > 1:
		msg = fmt.Sprintf("this line and %d more are not kvbench results", s.count-1)
	}
	return diag.List{diag.Errorf(diag.Pos{File: s.name, Line: s.first}, "%s", msg).WithHint("%s", s.hint)}
}

// longLine returns the error for a line that is too long to be a result.
func longLine(name string, line int) error {
	return diag.Errorf(diag.Pos{File: name, Line: line}, "%v, so it cannot be a result", jsonl.ErrLong).WithHint("delete this line")
}

// Done returns an unused successful result with this hash that was already in the file,
// or nil if there is none. It marks the result as used, because every point needs its own
// result even if several points have the same hash.
func (j *Journal) Done(hash string) *Record {
	for len(j.done[hash]) > 0 {
		at := j.done[hash][0]
		j.done[hash] = j.done[hash][1:]
		line := make([]byte, at.length)
		if _, err := j.file.ReadAt(line, at.offset); err != nil {
			continue
		}
		if rec := parse(line); rec != nil {
			return rec
		}
	}
	return nil
}

// Add appends a record and syncs it to disk.
func (j *Journal) Add(r *Record) error {
	line, err := Encode(r)
	if err != nil {
		return fmt.Errorf("%s: cannot save the result: %w", j.name, err)
	}
	if err := j.isThere(); err != nil {
		j.rescue(line)
		return diag.Errorf(diag.Pos{File: j.name}, "%v, so the results of this command cannot be saved", err).WithHint("they are printed above, one JSON object per line")
	}
	if _, err := j.file.Write(line); err != nil {
		j.Rescue(line)
		return diag.Errorf(diag.Pos{File: j.name}, "cannot save the result: %v", diag.Cause(err)).WithHint("it is printed above, as a JSON object")
	}
	if !j.regular {
		return nil
	}
	j.end += int64(len(line))
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("%s: the result may not have been saved: %w", j.name, diag.Cause(err))
	}
	return nil
}

// isThere checks that the file has not been removed, replaced, or truncated.
func (j *Journal) isThere() error {
	if !j.regular {
		return nil
	}
	own, err := j.file.Stat()
	if err != nil {
		return diag.Cause(err)
	}
	named, err := os.Stat(j.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("the file was removed during the run")
	case err != nil:
		return diag.Cause(err)
	case !os.SameFile(own, named):
		return errors.New("the file was replaced by another one during the run")
	case own.Size() < j.end:
		return errors.New("the file was truncated during the run")
	}
	return nil
}

// rescue passes this command's results to Rescue: first the results in the file, then the
// result in line. The open handle can read the file even after the file has been removed.
func (j *Journal) rescue(line []byte) {
	in := bufio.NewReader(io.NewSectionReader(j.file, j.begun, 1<<62))
	for {
		kept, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		j.Rescue(kept)
	}
	j.Rescue(line)
}

// Name returns the file's name.
func (j *Journal) Name() string { return j.name }

// Resumable reports whether the file can be read again.
func (j *Journal) Resumable() bool { return j.regular }

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }
