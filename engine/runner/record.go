package runner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"kvbench/engine/fit"
	"kvbench/engine/jsonl"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
)

// Status is the outcome of a run.
type Status string

// These are the outcomes of runs. A suspect run ended normally, but its result cannot be
// trusted.
const (
	OK          Status = "ok"
	Suspect     Status = "suspect"
	Failed      Status = "failed"
	Interrupted Status = "interrupted"
)

// Role is the role of this machine in a run on two machines.
type Role string

// These are the roles.
const (
	Initiator Role = "initiator"
	Target    Role = "target"
)

// Build is the version of kvbench and the commit it was built from, followed by
// +dirty if files differed from the commit.
type Build struct {
	Version string `json:"kvbench"`
	Commit  string `json:"commit,omitempty"`
}

// Record is the result of one run of one plan.
type Record struct {
	Build
	// Hash identifies the run; see [Hash].
	Hash string `json:"hash"`
	// Point identifies the point. It is the same for all repeats of the run.
	Point   string   `json:"point"`
	Repeat  int      `json:"repeat"`
	Status  Status   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
	// Notes contains notes about the run. Quiet is the number of notes at the end of Notes
	// that are recorded but not printed.
	Notes []string `json:"notes,omitempty"`
	Quiet int      `json:"-"`

	// Role is the role that the process turned out to have, if this machine started only
	// one of several processes.
	Role Role `json:"role,omitempty"`

	Model     Model     `json:"model"`
	Config    Config    `json:"config"`
	Plan      Plan      `json:"plan"`
	Nixlbench Nixlbench `json:"nixlbench"`
	// Program is the program that measured the rows. If it is nil, nixlbench did.
	Program *Program `json:"program,omitempty"`
	Host    *Host    `json:"host"`
	// Environment contains the variables that affect nixlbench.
	Environment map[string]string `json:"environment,omitempty"`
	Folders     []Folder          `json:"folders,omitempty"`
	Start       time.Time         `json:"start"`
	End         time.Time         `json:"end"`
	Seconds     float64           `json:"seconds"`
	// Timeout is the time limit of the run, in seconds.
	Timeout   float64         `json:"timeout_seconds,omitempty"`
	Processes []ProcessResult `json:"processes"`
	Rows      []nixlbench.Row `json:"rows"`
	Warnings  []string        `json:"warnings,omitempty"`
	Files     []string        `json:"files,omitempty"`
	// Kept lists the files in Files that existed before the run.
	Kept []string `json:"-"`
	// Output is a part of the program's output, if it contains no results: the end of
	// nixlbench's output, or the beginning of another program's.
	Output string `json:"output,omitempty"`
	// OutputFiles lists the files with the run's output, up to 16 MiB each. They are next to
	// the results file.
	OutputFiles []string `json:"output_files,omitempty"`
}

// Folder is a folder in which nixlbench creates files.
type Folder struct {
	Path       string `json:"path"`
	FileSystem string `json:"file_system,omitempty"`
	Device     string `json:"device,omitempty"`
}

// Model is the model of a record.
type Model struct {
	Name         string         `json:"name"`
	File         string         `json:"file"`
	Architecture string         `json:"architecture"`
	Params       map[string]any `json:"params"`
}

// Config is the configuration of a record. File is nil if there is no file.
type Config struct {
	File   *string          `json:"file"`
	Values map[string]Value `json:"values"`
}

// Plan is the plan of a record.
type Plan struct {
	Quantities map[string]Quantity `json:"quantities"`
	Flags      map[string]Value    `json:"flags"`
	// In a plan for one rank, Stage and Group identify the part of the model.
	Stage *int   `json:"stage,omitempty"`
	Group string `json:"group,omitempty"`
}

// Value is a value with its origin.
type Value struct {
	Value  any    `json:"value"`
	Origin string `json:"origin"`
}

// Quantity is a number with its unit.
type Quantity struct {
	Value int64  `json:"value"`
	Unit  string `json:"unit"`
}

// Nixlbench contains the nixlbench releases of a record. Release is the release that the
// plan is for. Alike lists the releases with the same flags as the installed program.
type Nixlbench struct {
	Release string   `json:"release"`
	Alike   []string `json:"alike,omitempty"`
}

// Program is a program that runs in place of nixlbench.
type Program struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// ProcessResult is the result of one process of a run.
type ProcessResult struct {
	Command     []string          `json:"command"`
	Environment map[string]string `json:"environment,omitempty"`
	ExitCode    *int              `json:"exit_code"`
	Signal      string            `json:"signal,omitempty"`
	Error       string            `json:"error,omitempty"`
	Stopped     bool              `json:"stopped,omitempty"`
	Stderr      string            `json:"stderr"`
}

// NewRecord creates the record for a plan.
func NewRecord(pl *plan.Plan, repeat int, alike []string) *Record {
	r := &Record{
		Hash: Hash(pl, repeat), Point: Hash(pl, 0), Repeat: repeat,
		Model:     Model{pl.Request.Model.Name, pl.Request.Model.File, pl.Request.Model.Arch.Name, map[string]any{}},
		Config:    Config{Values: map[string]Value{}},
		Plan:      Plan{Quantities: map[string]Quantity{}, Flags: map[string]Value{}},
		Nixlbench: Nixlbench{pl.Release, alike},
		Processes: []ProcessResult{},
		Rows:      []nixlbench.Row{},
	}
	if pl.Rank() {
		stage := pl.Stage()
		r.Plan.Stage, r.Plan.Group = &stage, pl.Group()
	}
	for name, v := range pl.Request.Model.Params {
		r.Model.Params[name] = v.Value
	}
	if file := pl.Request.Config.File; file != "" {
		r.Config.File = &file
	}
	for name, v := range pl.Request.Config.Values {
		r.Config.Values[name] = Value{v.Shown(), v.Origin.String()}
	}
	for _, q := range pl.Quantities {
		r.Plan.Quantities[q.Name] = Quantity{q.Value, q.Unit}
	}
	return r
}

// SetProgram records that a program runs in place of nixlbench.
func (r *Record) SetProgram(pl *plan.Plan, name string) {
	r.Program = &Program{Name: name}
	r.Hash, r.Point = HashBy(name, pl, r.Repeat), HashBy(name, pl, 0)
}

// SetFlags records the flags of the run.
func (r *Record) SetFlags(pl *plan.Plan, flags []fit.Flag) {
	masked, _ := nixlbench.Masked(flags)
	for i := range masked {
		r.Plan.Flags[masked[i].Name] = Value{masked[i].Value, pl.Origin(&masked[i])}
	}
}

// keptRows is the number of rows that remain in a record that is too long.
const keptRows = 1000

// Encode returns a record as a line of at most [jsonl.MaxLine] bytes. If the record is
// too long, its longest parts are omitted or shortened, and a note is added for each of
// them.
func Encode(r *Record) ([]byte, error) {
	parts := map[string]struct {
		value any
		cut   func()
	}{
		"output":   {r.Output, func() { r.Output = "" }},
		"warnings": {r.Warnings, func() { r.Warnings = nil }},
		"files":    {r.Files, func() { r.Files = nil }},
		fmt.Sprintf("rows after the first %d", keptRows): {r.Rows, func() {
			r.Rows = r.Rows[:min(len(r.Rows), keptRows)]
			if r.Status == OK {
				r.Status = Suspect
			}
			r.Reasons = append(r.Reasons, fmt.Sprintf("only the first %d rows were saved", keptRows))
		}},
		"commands and stderr of processes": {r.Processes, func() {
			for i := range r.Processes {
				p := &r.Processes[i]
				p.Command, p.Environment, p.Stderr = []string{}, nil, ""
			}
		}},
	}
	for {
		line, err := marshal(r)
		if err != nil || len(line)-len("\n") <= jsonl.MaxLine {
			return line, err
		}
		longest, size := "", 0
		for name, part := range parts {
			if text, _ := marshal(part.value); len(text) > size {
				longest, size = name, len(text)
			}
		}
		if longest == "" {
			return nil, fmt.Errorf("it is longer than %d MiB", jsonl.MaxLine>>20)
		}
		parts[longest].cut()
		delete(parts, longest)
		r.Notes = append(r.Notes, fmt.Sprintf("the result was longer than %d MiB; omitted: %s", jsonl.MaxLine>>20, longest))
	}
}

// marshal returns a value as a line of JSON.
func marshal(v any) ([]byte, error) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return line.Bytes(), err
}

// Hash identifies a run by the release, the flags that differ from its defaults (except
// secrets and group names), the model's content, the configuration's content and file name,
// the part of the model that the plan is for, and the repeat number. Repeats are counted from
// 1; 0 means all repeats of a point. The hash does not depend on where files are or how
// values were set.
func Hash(pl *plan.Plan, repeat int) string { return HashBy("", pl, repeat) }

// HashBy is like Hash, but for a program that runs in place of nixlbench.
func HashBy(program string, pl *plan.Plan, repeat int) string {
	content := struct {
		Release, Architecture string
		Flags                 [][2]string
		Params                map[string]any
		File                  string
		Config                map[string]any
		Repeat                int
		Of                    string `json:",omitempty"`
		Program               string `json:",omitempty"`
	}{Program: program, Release: pl.Release, Architecture: pl.Request.Model.Arch.Name, Params: map[string]any{}, Config: map[string]any{}, Repeat: repeat}
	for _, f := range pl.Flags {
		if f.Emit && !f.Secret && !f.Meets {
			content.Flags = append(content.Flags, [2]string{f.Name, f.Value.Text()})
		}
	}
	if pl.Rank() {
		content.Of = fmt.Sprint(pl.Stage(), " ", pl.Group())
	}
	for name, v := range pl.Request.Model.Params {
		content.Params[name] = v.Value
	}
	if file := pl.Request.Config.File; file != "" {
		content.File = filepath.Base(file)
	}
	for name, v := range pl.Request.Config.Values {
		content.Config[name] = v.Value
	}
	data, _ := json.Marshal(content) // this cannot fail, because content has only strings, numbers and booleans
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
