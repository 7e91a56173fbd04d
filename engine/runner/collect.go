package runner

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"syscall"
	"time"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// Collected is a run that a job executed, as described by its logs.
type Collected struct {
	// Record is the record of the plan, which [Session.Collect] completes.
	Record *Record
	// Processes is the number of processes of the run. Initiators and Targets
	// are the numbers of processes in each role.
	Processes, Initiators, Targets int
	// Started contains the processes that were started.
	Started []Started
	// Complete reports whether the job waited for all processes.
	Complete bool
}

// Started is a process that a job started.
type Started struct {
	Command        []string
	Stdout, Stderr io.Reader
	// Code is the exit code that a shell reports, or -1 if it is unknown.
	Code int
	// Stopped reports whether the job stopped the process.
	Stopped bool
}

// timedOut is the exit code of the timeout command if it stopped a process.
const timedOut = 124

// Collect determines the outcome of a run in the same way as Execute, and completes its
// record.
func (s *Session) Collect(c *Collected) error {
	rec := c.Record
	pl, err := s.planOf(rec)
	if err != nil {
		return err
	}
	rules, err := s.rulesFor(pl)
	if err != nil {
		return err
	}
	r := &Run{Plan: pl, Repeat: rec.Repeat, Launch: LaunchPair, Flags: pl.Flags, rules: rules,
		Processes: c.Processes, Initiators: c.Initiators, Targets: c.Targets}
	r.facts = jobFacts()
	if c.Processes == 1 {
		r.Launch, r.facts.Launch = LaunchSingle, LaunchSingle
	}
	if rec.Program != nil {
		return s.collectProgram(c, r)
	}
	asked, err := rules.Asked(pl, pl.Flags, &r.facts)
	if err != nil {
		return err
	}
	a := &attempt{stdout: make([]Tail, len(c.Started)), stderr: make([]Tail, len(c.Started)), errors: make([]Tail, len(c.Started))}
	noise := regexp.MustCompile(strings.Join(s.Schema.Launch.Get().Noise, "|"))
	for i := range c.Started {
		p := &c.Started[i]
		starter := Tail{Size: stderrSize}
		a.stdout[i].Size, a.stderr[i].Size, a.errors[i].Size = outputSize, stderrSize, stderrSize
		table := nixlbench.NewTable(&s.Schema.Nixlbench, asked)
		a.tables = append(a.tables, table)
		err := errors.Join(
			eachLine(p.Stdout, func(line []byte, ended bool) {
				table.Line(string(line), ended)
				a.stdout[i].Line(line)
			}),
			eachLine(p.Stderr, func(line []byte, _ bool) {
				if noise.Match(line) {
					starter.Line(line)
					return
				}
				table.Warning(string(line))
				a.stderr[i].Line(line)
				a.errors[i].Line(line)
			}))
		if err != nil {
			return err
		}
		if a.stderr[i].Last() == "" { // the process did not start, or wrote nothing to stderr
			a.stderr[i] = starter
		}
		a.exits = append(a.exits, exitOf(p))
		a.late = a.late || p.Code == timedOut
	}
	excuse, err := s.tell(r, rec, a, nil)
	for i := range c.Started {
		rec.Processes[i].Command = c.Started[i].Command
	}
	switch {
	case err != nil:
		rec.fail("%v", err)
	case !c.Complete:
		rec.Status, rec.Reasons = Interrupted, []string{notEnded}
		return nil
	case a.late:
		rec.fail("it took longer than %v and was stopped", time.Duration(rec.Timeout)*time.Second)
	}
	a.late = false
	s.judge(context.Background(), r, rec, a, excuse, nil)
	return nil
}

// exitOf converts an exit code reported by a shell.
func exitOf(p *Started) Exit {
	const killed = 128 // a shell adds this to the signal number
	switch {
	case p.Code > killed && p.Code <= killed+64:
		return Exit{Code: -1, Signal: syscall.Signal(p.Code - killed).String(), Stopped: p.Stopped}
	case p.Code == timedOut:
		return Exit{Code: p.Code, Stopped: true}
	}
	return Exit{Code: p.Code, Stopped: p.Stopped}
}

// planOf restores a plan from its record. It restores only the parts that the rules about
// runs need.
func (s *Session) planOf(rec *Record) (*plan.Plan, error) {
	n := &s.Schema.Nixlbench
	if _, known := n.Release(rec.Nixlbench.Release); !known {
		return nil, fmt.Errorf("the plan is for nixlbench %s, which is not a known release", diag.Printable(rec.Nixlbench.Release))
	}
	pl := &plan.Plan{Release: rec.Nixlbench.Release, Request: &plan.Request{Config: &config.Config{Values: map[string]data.Fact{}}, Flags: map[string]data.Fact{}}}
	for _, name := range schema.Keys(rec.Plan.Flags) {
		f := n.Flags[name]
		if f == nil {
			return nil, fmt.Errorf("nixlbench has no flag %s", diag.Printable(name))
		}
		pl.Flags = append(pl.Flags, fit.Flag{Flag: f, Value: formula.Of(rec.Plan.Flags[name].Value)})
	}
	for name, v := range rec.Config.Values {
		pl.Request.Config.Values[name] = data.Fact{Value: formula.Of(v.Value)}
	}
	if n.Backends[pl.Backend()] == nil {
		return nil, fmt.Errorf("%s is not a known backend", diag.Printable(pl.Backend()))
	}
	return pl, nil
}

// eachLine calls f for each line of the text. If a line is longer than 64 KiB, f gets only the
// beginning of the line.
func eachLine(r io.Reader, f func(line []byte, ended bool)) error {
	if r == nil {
		return nil
	}
	in := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		text, ended := bytes.CutSuffix(line, []byte("\n"))
		if len(line) > 0 {
			f(text, ended)
		}
		for err == bufio.ErrBufferFull { // skip the rest of the line
			_, err = in.ReadSlice('\n')
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// SetHost records the machine that a process ran on. The lines are the output of uname
// and getconf: name, system and architecture, kernel, and processor count.
func (r *Record) SetHost(lines []string) {
	if len(lines) < 4 {
		return
	}
	h := &Host{Name: lines[0], OS: strings.ToLower(strings.ReplaceAll(lines[1], " ", "/")), Kernel: lines[2]}
	fmt.Sscan(lines[3], &h.CPUs)
	r.Host = h
}
