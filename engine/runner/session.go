package runner

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"kvbench/engine/builtin"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// These are the ways to start a run: LaunchPair starts all its processes on this machine,
// LaunchSingle only one of them.
const (
	LaunchPair   = "pair"
	LaunchSingle = "single"
)

const (
	etcdTimeout = 2 * time.Second
	stderrSize  = 8 << 10
	outputSize  = 64 << 10
)

// Session runs plans one after another.
type Session struct {
	Schema *schema.Schema
	// Build is the version of kvbench.
	Build Build
	// Program contains the words of the command that starts nixlbench.
	Program []string
	// InPlace is the name of the program that runs in place of nixlbench, or "".
	InPlace string
	// Installed is the identified program, or nil if the program was not probed.
	Installed *nixlbench.Installed
	// Launch is LaunchPair, LaunchSingle, or "" to choose automatically.
	Launch string
	// Timeout is the time limit of one run. Zero means the default, and a negative value
	// means no limit.
	Timeout time.Duration
	Ending  Ending
	// If Force is set, runs start even if there seems to be too little memory or disk space.
	Force bool
	// Cleanup removes the files that the runs create. If Reuse is also set, they are removed
	// only when the session is closed, so that later runs can use them again.
	Cleanup, Reuse bool
	// Journal saves the records, unless it is nil. KeepOutput saves the output of the runs,
	// up to 16 MiB each, in files next to the journal.
	Journal    *Journal
	KeepOutput bool
	// Output receives nixlbench's output.
	Output func(*Run, Line)
	// Warn receives warnings.
	Warn func(*diag.Diag)

	rules map[[2]string]*nixlbench.Rules
	host  *Host
	// places is a cache of the farthest server in each list of servers. machine determines
	// where the servers are.
	machine *machine
	places  map[string]farthest
	// own is a group name that no other command uses. job is the group of the job that
	// the command runs in, or nil if it has not been looked up.
	own string
	job *Group
	// follows reports whether the process on this machine was the target of the previous run.
	follows bool
	// existed contains, for each folder, the names of the run's files that existed before
	// this command's first run in it.
	existed map[string][]string
	// environment contains the variables to record, and hidden the secrets to mask
	// in output.
	environment map[string]string
	hidden      mask
	watcher     watcher
	// made contains the files to remove when the session is closed.
	made []*made
}

// Close removes the files that were left for later runs, and stops the watcher.
func (s *Session) Close() {
	for _, files := range s.made {
		files.remove(s.Warn)
		files.close()
	}
	s.made = nil
	s.watcher.close()
}

// Group is the name that the processes of a command's runs use to find each
// other.
type Group struct {
	// Flag is the flag that sets the name, or "" if there is none.
	Flag string
	Name string
	// Given reports whether the user set the name.
	Given bool
	// Variable is the job's environment variable that the name comes from, or
	// "".
	Variable string
}

// Own reports whether kvbench generated the name. If so, processes elsewhere cannot know it
// yet.
func (g *Group) Own() bool { return g.Flag != "" && !g.Given && g.Variable == "" }

// Run is a single run of a plan.
type Run struct {
	Plan   *plan.Plan
	Repeat int
	// Launch is LaunchPair or LaunchSingle. Chosen reports whether kvbench chose it
	// because the user did not.
	Launch string
	Chosen bool
	// Server is the farthest of the servers that the processes use to find each
	// other, and Place is its location. Server is "" if the processes do not
	// need a server.
	Server string
	Place  Place
	// Processes is the number of processes of the whole run, on all machines,
	// and Initiators and Targets are the numbers of processes in each role.
	Processes, Initiators, Targets int
	Group                          Group
	// Advice is what the user needs to know before starting the other processes
	// elsewhere.
	Advice  []string
	Flags   []fit.Flag
	Command nixlbench.Command

	rules *nixlbench.Rules
	needs nixlbench.Needs
	facts nixlbench.Facts
}

// Local reports whether the command runs nixlbench directly and therefore on this machine.
// If not, it runs a program that may start nixlbench elsewhere. Only a local nixlbench uses
// folders that kvbench can examine.
func (s *Session) Local() bool { return len(s.Program) == 1 || s.InPlace != "" }

// Prepare determines the command of a run and what the run needs. number is the run's
// number within the kvbench command, counted from 1. The same command on another machine
// numbers its runs in the same way.
func (s *Session) Prepare(ctx context.Context, pl *plan.Plan, repeat, number int) (*Run, error) {
	rules, err := s.rulesFor(pl)
	if err != nil {
		return nil, err
	}
	r := &Run{Plan: pl, Repeat: repeat, rules: rules}
	if r.facts.FreePort, err = freePort(); err != nil {
		return nil, err
	}
	r.facts.Rank = -1
	if err := s.launch(ctx, r); err != nil {
		return nil, err
	}
	r.facts.Launch, r.facts.InPlace = r.Launch, s.InPlace
	r.Group = s.groupFor(r)
	flags, group, err := rules.Meet(pl, &r.facts, nixlbench.Group{Name: r.Group.Name, Number: number}, s.Installed)
	if err != nil {
		return nil, err
	}
	r.Flags = flags
	if group != nil {
		r.Group.Flag, r.Group.Given = group.Name, group.From == fit.Given
	}
	if r.needs, err = rules.Needs(pl, r.Flags, &r.facts); err != nil {
		return nil, err
	}
	if folders := r.folders(); s.Local() && len(folders) > 0 {
		r.facts.DIOAlign = dioAlign(folders[0].dir)
	}
	if r.Advice, err = rules.Advice(pl, r.Flags, &r.facts); err != nil {
		return nil, err
	}
	r.Processes, r.Initiators, r.Targets = r.needs.Processes, r.needs.Initiators, r.needs.Targets
	if s.Installed != nil {
		var lacking []string
		if r.Flags, lacking = s.Installed.Adapt(r.Flags); len(lacking) > 0 {
			return nil, diag.Errorf(diag.Pos{}, "%s does not have --%s, which the plan for nixlbench %s needs", s.Program[0], strings.Join(lacking, " and --"), pl.Release).
				WithHint("it has the flags of nixlbench %s", s.Installed.Name())
		}
	}
	r.Command = nixlbench.NewCommand(s.Program, r.Flags)
	if s.InPlace == "" {
		return r, nil
	}
	values := map[string]formula.Value{}
	for _, f := range r.Flags {
		values[f.Name] = f.Value
	}
	return r, builtin.Refuse(s.Schema, pl.Release, values)
}

// launch chooses how to start the run, unless the user has already chosen. If the other side
// is on another machine, kvbench starts only one process.
func (s *Session) launch(ctx context.Context, r *Run) error {
	r.Launch, r.Chosen, r.facts.EtcdLocal = s.Launch, s.Launch == "", true
	needs, err := r.rules.Needs(r.Plan, r.Plan.Flags, &r.facts)
	if err != nil {
		return err
	}
	if needs.Processes > 1 && needs.Etcd != "" {
		at := s.farthest(ctx, needs.Etcd)
		r.Server, r.Place, r.facts.EtcdLocal = at.server, at.place, at.place != Away
		if needs, err = r.rules.Needs(r.Plan, r.Plan.Flags, &r.facts); err != nil {
			return err
		}
	}
	r.needs = needs
	switch {
	case r.Chosen && needs.Processes > 1 && !needs.Remote:
		r.Launch = LaunchPair
	case r.Chosen:
		r.Launch = LaunchSingle
	case r.Launch == LaunchPair && needs.Processes == 1:
		return errors.New("--launch " + LaunchPair + " needs two processes, but a run with this backend has only one")
	}
	return nil
}

// farthest returns the farthest server in a list. It checks each list only once.
func (s *Session) farthest(ctx context.Context, endpoints string) farthest {
	at, known := s.places[endpoints]
	if !known {
		if s.machine == nil {
			s.machine, s.places = thisMachine(), map[string]farthest{}
		}
		at = s.machine.farthest(ctx, endpoints)
		s.places[endpoints] = at
	}
	return at
}

// groupFor returns the group that the processes of a run use to find each other.
// Processes on several machines need the same group, so they use the group of the job, if
// there is one. Otherwise, the group is unique to this command.
func (s *Session) groupFor(r *Run) Group {
	if s.own == "" {
		s.own = ownName()
	}
	if r.Launch == LaunchSingle && r.needs.Processes > 1 && r.needs.Etcd != "" {
		if s.job == nil {
			s.job = s.findJob()
		}
		if s.job.Name != "" {
			return *s.job
		}
	}
	return Group{Name: s.own}
}

// findJob returns the group of the job named in the environment, if any.
func (s *Session) findJob() *Group {
	for _, job := range s.Schema.Nixlbench.Runs.Get().Jobs {
		v := os.Getenv(job.Variable)
		if regexp.MustCompile(job.Match).MatchString(v) {
			return &Group{Name: namePrefix + v, Variable: job.Variable}
		}
		if v != "" {
			s.Warn(diag.Warnf(diag.Pos{}, "ignoring %s, because %q is not a job number", job.Variable, v[:min(len(v), 40)]))
		}
	}
	return &Group{}
}

func (s *Session) rulesFor(pl *plan.Plan) (*nixlbench.Rules, error) {
	key := [2]string{pl.Release, pl.Backend()}
	if r := s.rules[key]; r != nil {
		return r, nil
	}
	r, err := nixlbench.NewRules(s.Schema, key[0], key[1])
	if err != nil {
		return nil, err
	}
	if s.rules == nil {
		s.rules = map[[2]string]*nixlbench.Rules{}
	}
	s.rules[key] = r
	return r, nil
}

// Shown returns the run's flags for display, with secrets masked unless the secrets argument
// is true.
func (r *Run) Shown(secrets bool) []fit.Flag {
	if secrets {
		return r.Flags
	}
	masked, _ := nixlbench.Masked(r.Flags)
	return masked
}

// Execute executes the run and saves the record. The outcome of the run is in the record;
// the error reports only a failure to save it.
func (s *Session) Execute(ctx context.Context, r *Run) (*Record, error) {
	rec := s.begin(ctx, r)
	s.yield(ctx, r)
	rec.Start = time.Now()
	switch errs := s.check(ctx, r); {
	case ctx.Err() != nil:
		rec.interrupt()
	case len(errs) > 0:
		for _, err := range errs {
			rec.fail("%v", err)
		}
	default:
		s.run(ctx, r, rec)
	}
	return rec, s.finish(rec)
}

// Refuse saves the record of a plan that cannot be run.
func (s *Session) Refuse(ctx context.Context, pl *plan.Plan, repeat int, reason error) (*Record, error) {
	rec := s.begin(ctx, &Run{Plan: pl, Repeat: repeat, Flags: pl.Flags})
	rec.Start = time.Now()
	rec.fail("%v", reason)
	return rec, s.finish(rec)
}

// yield gives the other side time to register first if the process on this machine was
// the target of the previous run. Otherwise, the two sides could swap roles.
func (s *Session) yield(ctx context.Context, r *Run) {
	if !s.follows || r.Launch != LaunchSingle {
		return
	}
	s.follows = false
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(s.Schema.Nixlbench.Runs.Get().TargetWait) * time.Second):
	}
}

func (s *Session) begin(ctx context.Context, r *Run) *Record {
	var alike []string
	if s.Installed != nil {
		alike = s.Installed.Alike
	}
	rec := NewRecord(r.Plan, r.Repeat, alike)
	rec.Build = s.Build
	if s.InPlace != "" {
		rec.SetProgram(r.Plan, s.InPlace)
	}
	rec.SetFlags(r.Plan, r.Flags)
	if s.Journal != nil {
		if s.host == nil {
			s.host = ProbeHost(ctx)
		}
		rec.Host = s.host
		for _, f := range r.folders() {
			rec.Folders = append(rec.Folders, f.describe(s.Local()))
		}
	}
	if s.environment == nil {
		s.environment, s.hidden = environment(&s.Schema.Nixlbench)
	}
	rec.Environment = s.environment
	return rec
}

func (s *Session) finish(rec *Record) error {
	rec.End = time.Now()
	rec.Seconds = rec.End.Sub(rec.Start).Seconds()
	if s.Journal == nil {
		return nil
	}
	return s.Journal.Add(rec)
}

// fail marks the record as failed.
func (r *Record) fail(format string, args ...any) {
	r.Status = Failed
	r.Reasons = append(r.Reasons, fmt.Sprintf(format, args...))
}

// interrupt marks the record as interrupted.
func (r *Record) interrupt() { r.Status, r.Reasons = Interrupted, []string{"interrupted"} }

// check verifies that everything the run needs is available. Without this check, nixlbench
// would wait for a long time or fail late.
func (s *Session) check(ctx context.Context, r *Run) []error {
	n := &r.needs
	if n.Etcd != "" {
		if err := reach(ctx, n.Etcd); err != nil {
			if s.Local() {
				return []error{err}
			}
			s.Warn(diag.Warnf(diag.Pos{}, "%v", err))
		}
	}
	if !s.Local() {
		return nil
	}
	var errs []error
	short := func(format string, args ...any) {
		if msg := fmt.Sprintf(format, args...); s.Force {
			s.Warn(diag.Warnf(diag.Pos{}, "%s", msg))
		} else {
			errs = append(errs, fmt.Errorf("%s (use --force to run anyway)", msg))
		}
	}
	if free, known := FreeMemory(); known && n.Memory > free {
		short("the run needs %s of memory, but only %s is free", diag.Bytes(n.Memory), diag.Bytes(free))
	}
	s.look(r)
	obstacles, warnings, err := r.rules.Obstacles(r.Plan, r.Flags, &r.facts)
	if err != nil {
		return append(errs, err)
	}
	for _, message := range warnings {
		s.Warn(diag.Warnf(diag.Pos{}, "%s", diag.Printable(message)))
	}
	for _, message := range obstacles {
		short("%s", diag.Printable(message))
	}
	for _, f := range r.folders() {
		need, err := f.check()
		if err != nil {
			errs = append(errs, err)
		} else if free, known := FreeSpace(f.dir); known && need > free {
			short("the run needs %s more disk space in %s, but only %s is free", diag.Bytes(need), diag.Printable(f.dir), diag.Bytes(free))
		}
	}
	return errs
}

// reach checks that one of the servers accepts connections.
func reach(ctx context.Context, endpoints string) error {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	list := servers(endpoints)
	errs := make(chan error, len(list))
	for _, server := range list {
		go func() {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(server.host, server.port))
			if err == nil {
				conn.Close()
			}
			errs <- err
		}()
	}
	err := errors.New("the list contains no servers")
	for range list {
		if err = <-errs; err == nil {
			return nil
		}
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		err = fmt.Errorf("no answer in %v", etcdTimeout)
	} else if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return fmt.Errorf("cannot reach etcd at %s, which nixlbench processes use to find each other: %w", endpoints, err)
}

// attempt contains the outcome of running a run's processes once.
type attempt struct {
	exits          []Exit
	tables         []*nixlbench.Table
	stdout, stderr []Tail
	// errors is like stderr, but secrets in it are not masked.
	errors []Tail
	// late reports whether the run was stopped because it exceeded the time
	// limit.
	late bool
}

// run starts the processes and determines the outcome. It starts them once more if they
// fail and a rule allows a retry.
func (s *Session) run(ctx context.Context, r *Run, rec *Record) {
	asked, err := r.rules.Asked(r.Plan, r.Flags, &r.facts)
	if err != nil {
		rec.fail("%v", err)
		return
	}
	files := &made{}
	if s.Local() {
		files = watchFiles(r)
		defer func() {
			if !slices.Contains(s.made, files) {
				files.close()
			}
		}()
	}
	secrets := append(r.secrets(), s.hidden...)
	slices.SortFunc(secrets, func(a, b []byte) int { return len(b) - len(a) })
	var notes []string
	for again := false; ; again = true {
		a := s.start(ctx, r, rec, files, asked, secrets)
		excuse, err := s.tell(r, rec, a, secrets)
		if excuse != nil && excuse.Retry && !again && !a.late && ctx.Err() == nil {
			notes = append(notes, excuse.Message)
			continue
		}
		switch {
		case s.Cleanup && s.Reuse && len(files.files) > 0:
			files.look()
			files.drop()
			s.made = append(s.made, files)
		case s.Cleanup:
			files.remove(s.Warn)
		}
		rec.Files, rec.Kept = files.left()
		if err != nil {
			rec.fail("%v", err)
		}
		s.judge(ctx, r, rec, a, excuse, secrets)
		rec.Notes = append(notes, rec.Notes...)
		return
	}
}

// start starts the processes, reads their output, and waits for them.
func (s *Session) start(ctx context.Context, r *Run, rec *Record, files *made, asked *nixlbench.Asked, secrets mask) *attempt {
	runCtx, cancel := ctx, context.CancelFunc(func() {})
	if limit := s.TimeoutOf(r); limit > 0 {
		rec.Timeout = limit.Seconds()
		runCtx, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	count := 1
	if r.Launch == LaunchPair {
		count = r.Processes
	}
	processes := make([]Process, count)
	a := &attempt{
		tables: make([]*nixlbench.Table, count),
		stdout: make([]Tail, count), stderr: make([]Tail, count), errors: make([]Tail, count),
	}
	for i := range processes {
		processes[i] = Process{Argv: r.Command.Argv(), Env: r.Command.Env}
		a.tables[i] = nixlbench.NewTable(&s.Schema.Nixlbench, asked)
		a.stdout[i].Size, a.stderr[i].Size, a.errors[i].Size = outputSize, stderrSize, stderrSize
	}
	kept := s.keep(rec)
	defer kept.close()
	ending := s.Ending
	ending.watcher = &s.watcher
	a.exits = Start(runCtx, ending, processes, func(l Line) {
		files.look()
		table := a.tables[l.Process]
		if l.Errors {
			table.Warning(string(l.Text))
			a.errors[l.Process].Line(l.Text)
			l.Text = secrets.hide(l.Text)
			a.stderr[l.Process].Line(l.Text)
		} else {
			// A row contains only numbers, so it is not masked, even if a secret happens
			// to be one of these numbers.
			before := len(table.Created)
			if !table.Line(string(l.Text), l.Ended) {
				l.Text = secrets.hide(l.Text)
			}
			for _, path := range table.Created[before:] {
				files.created(path)
			}
			a.stdout[l.Process].Line(l.Text)
		}
		kept.line(r.Launch == LaunchPair, l)
		s.Output(r, l)
	})
	a.late = runCtx.Err() != nil
	return a
}

// tell adds the outcome of the processes to the record, and returns the rule that excuses
// their failure, if there is one.
func (s *Session) tell(r *Run, rec *Record, a *attempt, secrets mask) (*schema.Excuse, error) {
	shown := nixlbench.NewCommand(s.Program, r.Shown(false))
	rec.Processes, rec.Rows, rec.Warnings = []ProcessResult{}, []nixlbench.Row{}, nil
	r.facts.Errors, r.facts.Failed = "", 0
	for i, e := range a.exits {
		rec.Processes = append(rec.Processes, processResult(&shown, &e, a.stderr[i].String()))
		rec.Rows = append(rec.Rows, a.tables[i].Rows...)
		for _, w := range a.tables[i].Warnings {
			rec.Warnings = append(rec.Warnings, secrets.text(w))
		}
		r.facts.Errors += a.errors[i].String()
		if !e.OK() || e.Stopped {
			r.facts.Failed++
		}
	}
	r.facts.Tally(a.tables)
	r.rules.AddTimed(r.Plan, r.Flags, &r.facts, rec.Rows)
	if r.Launch == LaunchSingle && r.Processes > 1 {
		r.facts.Rank = a.tables[0].Rank
		rec.Role = r.role()
		s.follows = rec.Role == Target
	}
	if r.facts.Failed == 0 {
		return nil, nil
	}
	return r.rules.Excuse(r.Plan, r.Flags, &r.facts)
}

// judge records the outcome of the run.
func (s *Session) judge(ctx context.Context, r *Run, rec *Record, a *attempt, excuse *schema.Excuse, secrets mask) {
	if lost := r.facts.Rows - int64(len(rec.Rows)); lost > 0 {
		rec.Notes = append(rec.Notes, fmt.Sprintf("nixlbench printed %d rows, but only the first %d are saved", r.facts.Rows, len(rec.Rows)))
	}
	ended := slices.ContainsFunc(a.exits, func(e Exit) bool { return e.Stopped })
	switch {
	case ctx.Err() != nil && ended:
		rec.interrupt()
		return
	case a.late && ended:
		if s.Timeout > 0 {
			rec.fail("it took longer than %v and was stopped", s.Timeout)
		} else {
			rec.fail("it took longer than %v, the default timeout for the data that it moves, and was stopped; use --timeout TIME to change the limit, or --timeout none to remove it", s.TimeoutOf(r))
		}
	}
	if excuse != nil && !excuse.Retry && rec.Status == "" {
		rec.Notes = append(rec.Notes, excuse.Message)
	} else {
		s.blame(r, rec, a)
	}
	for i, t := range a.tables {
		if err := t.Err(); err != nil {
			rec.fail("%s", secrets.text(err.Error()))
			rec.Output += a.stdout[i].String()
		}
	}
	verdict, err := r.rules.Doubts(r.Plan, r.Flags, &r.facts)
	rec.Notes = append(rec.Notes, verdict.Notes...)
	rec.Notes = append(rec.Notes, verdict.Quiet...)
	rec.Quiet = len(verdict.Quiet)
	switch {
	case err != nil:
		rec.fail("%v", err)
	case rec.Status == Failed:
	case len(verdict.Reasons) > 0:
		rec.Status, rec.Reasons = Suspect, verdict.Reasons
	default:
		rec.Status = OK
	}
}

// blame states in the record which processes failed, and why.
func (s *Session) blame(r *Run, rec *Record, a *attempt) {
	for i, e := range a.exits {
		// Processes that were stopped because another one failed are not to blame.
		if !e.OK() && !e.Stopped {
			reason := e.String()
			if last := a.stderr[i].Last(); last != "" && e.Err == nil {
				reason += ": " + last
			}
			rec.fail("%s %s", r.name(i), reason)
		}
	}
	for i, e := range a.exits {
		if e.Stopped && !e.OK() && rec.Status == "" {
			rec.fail("%s did not exit after another process ended, and was stopped", r.name(i))
		}
	}
}

// role returns the role that the single started process turned out to have, or "" if unknown.
func (r *Run) role() Role {
	switch rank := r.facts.Rank; {
	case rank < 0 || rank >= int64(r.Processes):
		return ""
	case rank < int64(r.Initiators):
		return Initiator
	}
	return Target
}

// name returns the name of process i for messages.
func (r *Run) name(i int) string {
	if r.Launch == LaunchPair {
		return fmt.Sprintf("%s [%d]", nixlbench.Program, i+1)
	}
	return cmp.Or(r.facts.InPlace, nixlbench.Program)
}

// mask is a list of secrets, longest first.
type mask [][]byte

// hide masks the secrets in text.
func (m mask) hide(text []byte) []byte {
	for _, secret := range m {
		text = bytes.ReplaceAll(text, secret, []byte(nixlbench.Mask))
	}
	return text
}

func (m mask) text(text string) string { return string(m.hide([]byte(text))) }

// secrets returns the values that must not appear in output.
func (r *Run) secrets() mask {
	var list mask
	for _, f := range r.Flags {
		if f.Secret && f.Value.Kind == formula.Str && f.Value.Str != "" {
			list = append(list, []byte(f.Value.Str))
		}
	}
	return list
}

func processResult(shown *nixlbench.Command, e *Exit, stderr string) ProcessResult {
	p := ProcessResult{Command: shown.Argv(), Signal: e.Signal, Stopped: e.Stopped, Stderr: stderr}
	for _, env := range shown.Env {
		name, value, _ := strings.Cut(env, "=")
		if p.Environment == nil {
			p.Environment = map[string]string{}
		}
		p.Environment[name] = value
	}
	if e.Code >= 0 {
		p.ExitCode = &e.Code
	}
	if e.Err != nil {
		p.Error = e.Err.Error()
	}
	return p
}

// freePort finds an unused port.
func freePort() (int64, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return int64(l.Addr().(*net.TCPAddr).Port), nil
}

const namePrefix = "kvbench-"

// ownName generates a unique name.
func ownName() string {
	var b [6]byte
	rand.Read(b[:])
	return namePrefix + hex.EncodeToString(b[:])
}
