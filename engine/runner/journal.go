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

	"kvbench/engine/diag"
)

// Journal is a file of results, one JSON object a line. It is only ever
// appended to, with one write for each record.
type Journal struct {
	file *os.File
	name string
	done map[string][]*Record
	// regular files can be mended, locked and synced; pipes and devices not.
	regular bool
	// begun is where the results of this command begin, end where they end.
	begun, end int64
	// Rescue takes the results that could not be kept, one JSON object a line.
	Rescue func(line []byte)
	// Torn says where an incomplete last line went that was found in the file,
	// or "".
	Torn string
}

// OpenJournal opens a file for results, or makes it. A last line without an
// end, which a killed run leaves, is moved to the file name.torn. With resume
// the results that are there already are read.
func OpenJournal(name string, resume bool) (*Journal, error) {
	fail := func(err error) (*Journal, error) { return nil, diag.Errorf(diag.Pos{File: name}, "%v", cause(err)) }
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fail(err)
	}
	j := &Journal{file: file, name: name, done: map[string][]*Record{}, Rescue: func(line []byte) { os.Stderr.Write(line) }}
	if err := j.prepare(resume); err != nil {
		file.Close()
		if list, ok := errors.AsType[diag.List](err); ok {
			return nil, list
		}
		return fail(err)
	}
	return j, nil
}

func (j *Journal) prepare(resume bool) error {
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	j.regular = info.Mode().IsRegular()
	switch {
	case !j.regular && resume:
		return errors.New("it is no regular file, so that nothing can be resumed")
	case !j.regular:
		return nil
	case !lock(j.file):
		return errors.New("another kvbench is writing to it")
	}
	if err := j.begin(info.Size()); err != nil {
		return err
	}
	if err := j.mend(info.Size()); err != nil {
		return err
	}
	if info, err = j.file.Stat(); err != nil {
		return err
	}
	if j.begun, j.end = info.Size(), info.Size(); !resume {
		return nil
	}
	return j.read()
}

// cause leaves out the path of an error, which the message names already.
func cause(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// begin makes sure that what the file begins with is a result: a file of
// something else is not written to.
func (j *Journal) begin(size int64) error {
	in := bufio.NewReader(io.NewSectionReader(j.file, 0, size))
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		torn := err == io.EOF
		if len(bytes.TrimSpace(line)) > 0 {
			// The begin of a result is all that a torn one has.
			if begins := bytes.HasPrefix(line, []byte(recordBegin)) || bytes.HasPrefix([]byte(recordBegin), line); parse(line) == nil && !(torn && begins) {
				return notResults(j.name, n, 1, journalHint)
			}
			return nil
		}
		if torn {
			return nil
		}
	}
}

// mend moves an incomplete last line out of the file. One that lacks its end
// only is given that.
func (j *Journal) mend(size int64) error {
	end, err := lastLine(j.file, size)
	if err != nil || end == size {
		return err
	}
	rest, err := io.ReadAll(io.NewSectionReader(j.file, end, size-end))
	if err != nil {
		return err
	}
	if parse(rest) != nil {
		_, err := j.file.Write([]byte("\n"))
		return err
	}
	torn, err := os.OpenFile(j.name+".torn", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer torn.Close()
	if _, err := torn.Write(append(rest, '\n')); err != nil {
		return err
	}
	// Only when the piece is safe elsewhere may it go from here.
	if err := torn.Sync(); err != nil {
		return err
	}
	j.Torn = torn.Name()
	return j.file.Truncate(end)
}

// lastLine gives the place behind the last end of a line.
func lastLine(r io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for end := size; end > 0; {
		n := min(end, int64(len(buf)))
		if _, err := r.ReadAt(buf[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}

// read reads the results that are done already.
func (j *Journal) read() error {
	_, err := records(j.name, io.NewSectionReader(j.file, 0, 1<<62), journalHint, func(r *Record) {
		if r.Status == OK {
			j.done[r.Hash] = append(j.done[r.Hash], r)
		}
	})
	return err
}

// ReadRecords reads a file of results. torn tells that its last line is not
// complete and was passed over.
func ReadRecords(name string) (list []*Record, torn bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false, diag.Errorf(diag.Pos{File: name}, "%v", cause(err))
	}
	defer f.Close()
	torn, err = records(name, f, "kvbench vet says what is wrong with it", func(r *Record) { list = append(list, r) })
	if err == nil && len(list) == 0 {
		err = diag.Errorf(diag.Pos{File: name}, "it holds no results")
	}
	return list, torn, err
}

// records passes on the results that r holds, a line each.
func records(name string, r io.Reader, hint string, each func(*Record)) (torn bool, err error) {
	bad, first := 0, 0
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			if rec := parse(line); rec != nil {
				each(rec)
				line = nil
			}
			if bad > 0 {
				return false, notResults(name, first, bad, hint)
			}
			return len(line) > 0, nil
		}
		if err != nil {
			return false, diag.Errorf(diag.Pos{File: name}, "%v", cause(err))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		rec := parse(line)
		if rec == nil {
			if bad++; bad == 1 {
				first = n
			}
			continue
		}
		each(rec)
	}
}

const (
	journalHint = "move it away, or give another --output"
	// recordBegin is what every record begins with.
	recordBegin = `{"kvbench":`
)

// parse reads a line, or gives nil where it is no result.
func parse(line []byte) *Record {
	var rec Record
	if err := json.Unmarshal(line, &rec); err != nil || rec.Hash == "" {
		return nil
	}
	rec.Point = cmp.Or(rec.Point, rec.Hash)
	return &rec
}

// notResults says that lines, the first and others, are none.
func notResults(name string, first, count int, hint string) error {
	msg := "this line is no result of kvbench"
	if count > 1 {
		msg = fmt.Sprintf("this line and %d more are no results of kvbench", count-1)
	}
	return diag.List{diag.Errorf(diag.Pos{File: name, Line: first}, "%s", msg).WithHint("%s", hint)}
}

// Done gives a result with this hash that was in the file already, or nil, and
// takes it off the list: where several points are alike, each needs its own.
func (j *Journal) Done(hash string) *Record {
	found := j.done[hash]
	if len(found) == 0 {
		return nil
	}
	j.done[hash] = found[1:]
	return found[0]
}

// Add appends a record and has it written to the disk.
func (j *Journal) Add(r *Record) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return err
	}
	if err := j.isThere(); err != nil {
		j.rescue(line.Bytes())
		return diag.Errorf(diag.Pos{File: j.name}, "%v: the results of this command could not be kept", err).WithHint("they are printed above, one JSON object a line")
	}
	if _, err := j.file.Write(line.Bytes()); err != nil {
		j.Rescue(line.Bytes())
		return diag.Errorf(diag.Pos{File: j.name}, "the result could not be kept: %v", cause(err)).WithHint("it is printed above, as a JSON object")
	}
	if !j.regular {
		return nil
	}
	j.end += int64(line.Len())
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("%s: the result may not be kept: %w", j.name, cause(err))
	}
	return nil
}

// isThere checks that the name is still that of the file.
func (j *Journal) isThere() error {
	if !j.regular {
		return nil
	}
	own, err := j.file.Stat()
	if err != nil {
		return cause(err)
	}
	named, err := os.Stat(j.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("it was removed during the run")
	case err != nil:
		return cause(err)
	case !os.SameFile(own, named):
		return errors.New("another file has its place since the run began")
	case own.Size() < j.end:
		return errors.New("it was cut off during the run")
	}
	return nil
}

// rescue prints the results of this command, which the file without a name still
// has, and another one.
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

// Name gives the file's name.
func (j *Journal) Name() string { return j.name }

// Resumable reports whether the file can be read back.
func (j *Journal) Resumable() bool { return j.regular }

// Close closes the file.
func (j *Journal) Close() error { return j.file.Close() }
