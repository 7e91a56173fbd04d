package launch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"kvbench/engine/diag"
	"kvbench/engine/input"
	"kvbench/engine/jsonl"
	"kvbench/engine/nixlbench"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// These are the names of the folder and the files that a job's processes write.
const (
	logsName      = "logs"
	preflightName = "preflight.log"
	flagsName     = "helpxml-" // followed by a node's name
	maxSmall      = 1 << 20    // the maximum size, in bytes, of a file other than a log
)

const hintAgain = "write the job again with 'kvbench launch'"

// Logs contains all logs of a job, or only the logs at and below a path.
type Logs struct {
	// Dir is the folder of the job.
	Dir string
	// part is the path of the logs to use, relative to the folder with the job's logs. It
	// is "." for all logs.
	part  string
	watch input.Watch
}

// FindLogs finds the job that contains path, which may be the job's folder or one of its
// logs.
func FindLogs(path string, watch input.Watch) (*Logs, error) {
	full, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(full)
	}
	if err != nil {
		return nil, diag.Errorf(diag.Pos{File: path}, "%v", diag.Cause(err))
	}
	for dir := full; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(filepath.Join(dir, ManifestName)); err == nil && info.Mode().IsRegular() {
			l := &Logs{Dir: dir, part: ".", watch: watch}
			if rel, err := filepath.Rel(filepath.Join(dir, logsName), full); err == nil && !strings.HasPrefix(rel, "..") {
				l.part = rel
			}
			if short, err := filepath.Rel(workDir(), dir); err == nil && !strings.HasPrefix(short, "..") {
				l.Dir = short
			}
			return l, nil
		}
		if dir == filepath.Dir(dir) {
			return nil, diag.Errorf(diag.Pos{File: path}, "is not in a job folder: %s not found", ManifestName).
				WithHint("specify the folder that 'kvbench launch' wrote")
		}
	}
}

func workDir() string {
	dir, _ := os.Getwd()
	return dir
}

// Collect completes the record of every point that has logs, in the order of the manifest,
// and passes the point's entry to the callback. If l contains all logs of the job, Collect
// returns the IDs of the points without logs. If a point was run several times, Collect
// uses its last run.
func (l *Logs) Collect(session *runner.Session, each func(*Entry) error) (missing []string, err error) {
	name := filepath.Join(l.Dir, ManifestName)
	f, err := input.Open(name, l.watch)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	attempts, err := l.attempts()
	if err != nil {
		return nil, err
	}
	points := 0
	for lines := jsonl.NewLines(f); ; points++ {
		line, err := lines.Next()
		switch {
		case err == io.EOF && points == 0:
			return nil, diag.Errorf(diag.Pos{File: name}, "no points found").WithHint(hintAgain)
		case err == io.EOF:
			return missing, nil
		}
		at := diag.Pos{File: name, Line: lines.Number}
		if err != nil {
			return nil, diag.Errorf(at, "%v", err)
		}
		var e Entry
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&e); err != nil || !e.valid() {
			return nil, diag.Errorf(at, "this line does not describe one of the job's points").WithHint(hintAgain)
		}
		dir := l.logsOf(&e, attempts)
		if dir == "" {
			if l.part == "." {
				missing = append(missing, e.ID)
			}
			continue
		}
		if err := l.record(session, &e, dir); err != nil {
			if d := diag.All(err)[0]; d.Pos.IsZero() {
				err = diag.Errorf(at, "%v", err)
			}
			return nil, err
		}
		if err := each(&e); err != nil {
			return nil, err
		}
	}
}

// valid reports whether an entry describes a point that a job could have run.
func (e *Entry) valid() bool {
	const most = 1 << 16
	plain := e.ID != "" && strings.Trim(e.ID, "0123456789") == "" && len(e.ID) < 20
	return plain && e.Record != nil && len(e.Record.Hash) == 64 && e.Record.Repeat >= 1 && e.Record.Model.Params != nil &&
		e.Processes >= 1 && e.Processes <= most
}

// attempts returns the log folders of all attempts to run the job, newest first.
func (l *Logs) attempts() ([]string, error) {
	list, err := os.ReadDir(filepath.Join(l.Dir, logsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, d := range list {
		if d.IsDir() {
			names = append(names, d.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// logsOf returns the folder with the newest logs of a point, or "".
func (l *Logs) logsOf(e *Entry, attempts []string) string {
	for _, a := range attempts {
		at := filepath.Join(a, e.ID)
		if !within(at, l.part) && !within(l.part, at) {
			continue
		}
		dir := filepath.Join(l.Dir, logsName, at)
		if info, err := os.Stat(filepath.Join(dir, "start")); err == nil && info.Mode().IsRegular() {
			return dir
		}
	}
	return ""
}

// within reports whether a relative path is at or below another.
func within(path, of string) bool {
	rel, err := filepath.Rel(of, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// Preflight returns the lines that the node checks printed in the newest attempt, if a
// check failed.
func (l *Logs) Preflight() []string {
	attempts, _ := l.attempts()
	if len(attempts) == 0 {
		return nil
	}
	text, err := l.readSmall(filepath.Join(l.Dir, logsName, attempts[0], preflightName))
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

// IsCheck reports whether a line of [Logs.Preflight] is about a check that failed. The
// other lines were printed by the program that starts commands on nodes.
func IsCheck(line string) bool { return strings.HasPrefix(line, "preflight: ") }

// record completes the record of a point from its logs.
func (l *Logs) record(session *runner.Session, e *Entry, dir string) error {
	run := &runner.Collected{Record: e.Record, Processes: e.Processes, Initiators: e.Initiators, Targets: e.Targets}
	e.Record.Start = l.time(filepath.Join(dir, "start"))
	e.Record.End = l.time(filepath.Join(dir, "end"))
	run.Complete = !e.Record.End.IsZero()
	if !run.Complete {
		e.Record.End = e.Record.Start
	}
	e.Record.Seconds = max(0, e.Record.End.Sub(e.Record.Start).Seconds())
	for k := range e.Processes {
		base := filepath.Join(dir, strconv.Itoa(k))
		out, err := l.open(base + ".out")
		if err != nil {
			return err
		}
		if out == nil { // the process was not started
			run.Complete = false
			break
		}
		defer out.Close()
		p := runner.Started{Stdout: out, Code: -1, Command: []string{}}
		stderr, err := l.open(base + ".err")
		if err != nil {
			return err
		}
		if stderr != nil {
			defer stderr.Close()
			p.Stderr = stderr
		}
		if text, err := l.readSmall(base + ".exit"); err == nil {
			fmt.Sscan(text, &p.Code)
		}
		run.Complete = run.Complete && p.Code >= 0
		if _, err := os.Stat(base + ".stopped"); err == nil {
			p.Stopped = true
		}
		if text, err := l.readSmall(base + ".command"); err == nil && text != "" {
			p.Command = strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
		}
		if text, err := l.readSmall(base + ".host"); err == nil && k == 0 {
			e.Record.SetHost(strings.Split(text, "\n"))
		}
		run.Started = append(run.Started, p)
	}
	if err := session.Collect(run); err != nil {
		return err
	}
	if e.Record.Program == nil {
		l.identify(session.Schema, e.Record, filepath.Dir(dir))
	}
	return nil
}

// identify determines which release ran. It compares the flags that nixlbench printed on
// the node before the attempt with the flags of the known releases.
func (l *Logs) identify(s *schema.Schema, rec *runner.Record, attempt string) {
	node := "*"
	if rec.Host != nil {
		node = rec.Host.Name
	}
	var flags map[string]schema.OwnFlag
	for _, d := range l.entries(attempt) {
		if name, ok := strings.CutPrefix(d.Name(), flagsName); ok && (node == "*" || node == name) {
			text, _ := l.readSmall(filepath.Join(attempt, d.Name()))
			flags, _ = nixlbench.ReadFlags(s.Nixlbench.Runs.Get().Probe, []byte(text))
			break
		}
	}
	planned := rec.Nixlbench.Release
	if flags == nil {
		rec.Notes = slices.Insert(rec.Notes, 0, "planned for nixlbench "+planned+"; the release that ran is unknown")
		return
	}
	in := nixlbench.Identify(&s.Nixlbench, flags)
	if rec.Nixlbench.Alike = in.Alike; !slices.Contains(in.Alike, planned) {
		rec.Notes = slices.Insert(rec.Notes, 0, "nixlbench "+in.Name()+" ran, but the plan is for "+planned)
	}
}

// entries returns the entries of a log folder.
func (l *Logs) entries(dir string) []os.DirEntry {
	list, _ := os.ReadDir(dir)
	return list
}

// open opens a log, or returns nil if the log does not exist.
func (l *Logs) open(name string) (*input.File, error) {
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return input.Open(name, l.watch)
}

// readSmall reads a file that is expected to be short.
func (l *Logs) readSmall(name string) (string, error) {
	f, err := l.open(name)
	if err != nil || f == nil {
		return "", errors.Join(err, fs.ErrNotExist)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSmall))
	return string(text), err
}

// time returns the time that a file contains as seconds since 1970, or the zero time.
func (l *Logs) time(name string) time.Time {
	text, err := l.readSmall(name)
	if err != nil {
		return time.Time{}
	}
	whole, part, _ := strings.Cut(strings.TrimSpace(text), ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<36 {
		return time.Time{}
	}
	nanos, _ := strconv.ParseInt((part + "000000000")[:9], 10, 64)
	return time.Unix(seconds, max(nanos, 0)).UTC()
}
