package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/report"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

const groupRun = "The run"

// profileCmd runs plans.
func (a *app) profileCmd() *command {
	flags := append(a.commonFlags(),
		programFlag(),
		a.releaseFlag("the release of the installed nixlbench"),
		releasesFlag(),
		&flagSpec{name: "fit", bool: true, group: groupRun, def: "true", help: "Adjust values you did not set until nixlbench accepts the plan"},
		&flagSpec{name: "dry_run", bool: true, group: groupRun, help: "Print the commands without running them"},
		&flagSpec{name: "quiet", bool: true, group: groupRun, help: "Print only the table of results"},
		&flagSpec{name: "launch", arg: "HOW", more: true, group: groupRun, values: []string{runner.LaunchPair, runner.LaunchSingle},
			help: "Which processes of a run to start here. pair: all of them; single: one. The default is pair unless the other side is on another machine"},
		&flagSpec{name: "repeat", arg: "N", group: groupRun, def: "1", help: "Run every plan N times, in turn"},
		&flagSpec{name: "fail_fast", bool: true, more: true, group: groupRun, help: "Stop after the first run that fails"})
	return &command{
		name:  "profile",
		axes:  true,
		short: "Run nixlbench with the plan and save its results",
		flags: slices.Concat(flags, runFlags(), a.benchFlags()),
		exec:  a.profile,
	}
}

// runFlags returns the flags of commands that run nixlbench.
func runFlags() []*flagSpec {
	return []*flagSpec{
		{name: "timeout", arg: "TIME", group: groupRun, help: "Time limit for a run, such as 90s or 10m, or none. The default is 10 minutes plus the time to move the run's data at 10 MB/s"},
		{name: "grace", arg: "TIME", more: true, group: groupRun, def: "10s", help: "How long nixlbench may take to exit before it is killed"},
		{name: "force", bool: true, more: true, group: groupRun, help: "Run even if memory or disk looks too small"},
		{name: "cleanup", bool: true, group: groupRun, help: "Remove the files that the runs create, but not existing files"},
		{name: "output", short: "o", arg: "FILE", group: groupRun, help: "Append the results to this file, one JSON object per line"},
		{name: "keep_output", bool: true, more: true, group: groupRun, help: "Save what nixlbench prints to files next to the --output file, one per run"},
		{name: "resume", bool: true, group: groupRun, help: "Skip the runs that the --output file already contains"},
		{name: "show_secrets", bool: true, more: true, group: groupRun, help: "Print secrets instead of masking them"},
	}
}

// profile is the state of a profile command.
type profile struct {
	*app
	*points
	session  runner.Session
	view     schema.View // for the table of results
	briefs   *runner.Briefs
	repeat   int
	dryRun   bool
	failFast bool
	resume   bool
	done     map[string]int // in a dry run, the hashes of the runs that --resume skips
	secrets  bool
	quiet    bool
	shown    bool     // whether a command has been printed
	told     bool     // whether tell has printed its message
	masked   bool     // whether the warning about masked secrets has been printed
	closed   bool     // whether the reader of stdout has closed the pipe
	left     []string // files that nixlbench left behind
	kept     []string // files that existed before the runs and were not removed
	progress progress
	stop     context.CancelFunc
}

func (a *app) profile(ctx context.Context, c *command) error {
	a.endsGracefully()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p := &profile{app: a, stop: stop}
	var errs diag.List
	fit, err := c.boolean("fit")
	errs.Add(err)
	p.failFast, err = c.boolean("fail_fast")
	errs.Add(err)
	p.repeat, err = c.count("repeat")
	errs.Add(err)
	p.session.Launch, err = c.choice("launch")
	errs.Add(err)
	if errs = append(errs, p.settings(c)...); len(errs) > 0 {
		return errs
	}
	release, from, err := p.release(ctx, c)
	if err != nil {
		return err
	}
	if p.points, err = a.plans(c, release, from, fit); err != nil {
		return err
	}
	if err := p.openJournal(c); err != nil {
		return err
	}
	defer p.closeJournal()
	return p.run(ctx)
}

// settings reads the flags of commands that run nixlbench.
func (p *profile) settings(c *command) diag.List {
	var errs diag.List
	set := func(dst *bool, name string) {
		var err error
		*dst, err = c.boolean(name)
		errs.Add(err)
	}
	set(&p.dryRun, "dry_run")
	set(&p.quiet, "quiet")
	set(&p.resume, "resume")
	set(&p.secrets, "show_secrets")
	set(&p.session.Force, "force")
	set(&p.session.Cleanup, "cleanup")
	set(&p.session.KeepOutput, "keep_output")
	var err error
	p.session.Timeout, err = c.timeout()
	errs.Add(err)
	p.session.Ending.Grace, err = c.duration("grace")
	errs.Add(err)
	p.session.Program, err = c.program()
	errs.Add(err)
	if isBuiltin(p.session.Program) {
		p.session.InPlace = builtinName
	}
	switch _, _, ok := c.value("output"); {
	case !ok && p.resume:
		errs = append(errs, diag.Usagef("--resume requires --output, the file with the results"))
	case !ok && p.session.KeepOutput:
		errs = append(errs, diag.Usagef("--keep_output requires --output, because it writes files next to the --output file"))
	}
	if p.quiet && p.dryRun {
		_, from, _ := c.value("quiet")
		errs = append(errs, from.Errorf("cannot be combined with --dry_run, which only prints the commands"))
	}
	if len(errs) == 0 && p.session.Cleanup && !p.session.Local() {
		errs = append(errs, diag.Usagef("--cleanup cannot be used, because %s may run nixlbench on another machine", diag.Printable(p.session.Program[0])))
	}
	return errs
}

// openJournal opens the --output file, if there is one.
func (p *profile) openJournal(c *command) error {
	out, _, ok := c.value("output")
	if ok && p.dryRun && p.resume {
		return p.readDone(out)
	}
	if !ok || p.dryRun {
		return nil
	}
	j, err := runner.OpenJournal(out, p.resume, p.guard.watch)
	if err != nil {
		return err
	}
	p.session.Journal = j
	for _, d := range diag.All(j.Bad) {
		d.Severity = diag.Warning
		p.print.Print(d)
	}
	if p.session.KeepOutput && !j.Resumable() {
		j.Close()
		return diag.Errorf(diag.Pos{File: out}, "is not a regular file, so --keep_output cannot put files next to it")
	}
	j.Rescue = func(line []byte) {
		p.progress.print(func() { p.stderr.Write(diag.Escaped(line)) })
	}
	if torn := j.Torn; torn != "" {
		p.print.Print(diag.Warnf(diag.Pos{File: out}, "the last line was truncated; it was moved to %s", diag.Printable(torn)))
	}
	return nil
}

// readDone determines which runs a dry run skips. Like other runs, a dry run can resume from
// a file that does not exist yet.
func (p *profile) readDone(name string) error {
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	done, bad, err := runner.Done(name, p.guard.watch)
	for _, d := range diag.All(bad) {
		d.Severity = diag.Warning
		p.print.Print(d)
	}
	p.done = done
	return err
}

func (p *profile) closeJournal() {
	if p.session.Journal != nil {
		p.session.Journal.Close()
	}
}

// release identifies the installed nixlbench and chooses the release to plan for. The
// second result describes what the choice is based on.
func (p *profile) release(ctx context.Context, c *command) (name, from string, err error) {
	name, from, err = c.namedRelease(p.schema)
	if err != nil {
		return "", "", err
	}
	asked := name != ""
	if newest := p.schema.Nixlbench.Newest(); asked && p.session.InPlace != "" && name != newest {
		return "", "", diag.Usagef("--nixlbench %s supports only release %s; omit --nixlbench_release", builtinName, newest)
	}
	in, err := p.probe(ctx, p.session.Program)
	switch {
	case err == nil:
		p.session.Installed = in
	case p.dryRun && asked && ctx.Err() == nil:
		return name, from, nil
	case p.dryRun && ctx.Err() == nil:
		d := *diag.All(err)[0]
		knobs, err := c.knobs(p.schema)
		if err != nil {
			return "", "", err
		}
		if name, err = p.pickRelease(c, knobs); err != nil {
			return "", "", err
		}
		d.Severity = diag.Warning
		p.print.Print(d.WithHint("the plan is for nixlbench %s", name))
		return name, "", nil
	default:
		return "", "", err
	}
	if asked {
		return name, from, nil
	}
	if len(in.Alike) == 0 {
		p.print.Print(diag.Warnf(diag.Pos{}, "%s does not match any known release; the plan is for %s, which differs in %s", p.session.Program[0], in.Release, fmt.Sprintf("%d of its flags", len(in.Differences))).
			WithHint("see '%s %s'; with --cue, it writes a file for --releases", program, nixlbenchName))
	}
	return in.Release, "the installed nixlbench", nil
}

// The run method runs each point the requested number of times.
func (p *profile) run(ctx context.Context) error {
	pipe := make(chan os.Signal, 1) // turn a closed pipe into a write error
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)

	p.session.Schema, p.session.Build, p.session.Ending.Hurry = p.schema, version(), p.hurry
	p.view = report.WithAxes(p.schema.View("summary"), p.axes)
	measures := p.schema.Nixlbench.Runs.Get().Measures
	p.briefs = runner.NewBriefs(append(report.Kept(p.view, measures), report.NamesOf(p.shownFlags())...), measures)
	p.session.Warn = func(d *diag.Diag) { p.progress.print(func() { p.print.Print(d) }) }
	p.session.Output = p.output
	defer p.session.Close()
	total := len(p.list) * p.repeat
	p.progress = progress{w: p.stderr, terminal: isTerminal(os.Stderr), quiet: p.quiet, total: total}
	defer p.progress.clear()
	for repeat := range p.repeat {
		for i := range p.list {
			if ctx.Err() != nil || p.failed && p.failFast {
				break
			}
			if err := p.runOnce(ctx, &p.list[i], repeat+1); err != nil {
				return err
			}
			p.progress.done++
		}
	}
	p.progress.clear()
	p.noteFiles()
	if (total > 1 || p.quiet) && !p.dryRun {
		if err := p.summary(); err != nil && ctx.Err() == nil {
			return err
		}
	}
	switch {
	case p.closed && p.session.Journal == nil:
		return nil // nobody reads the results
	case ctx.Err() != nil:
		p.hintResume(total)
		return errInterrupted
	case p.failed:
		return errShown
	}
	return nil
}

// hintResume prints how to continue an interrupted command, if the command can resume
// from its results file.
func (p *profile) hintResume(total int) {
	if p.session.Journal == nil || !p.session.Journal.Resumable() {
		return
	}
	done := 0
	for _, pt := range p.list {
		for _, rec := range pt.records {
			if rec.Status == runner.OK {
				done++
			}
		}
	}
	if done == total {
		return
	}
	d := diag.Notef(diag.Pos{}, "interrupted: %s has %d of %d runs", diag.Printable(p.session.Journal.Name()), done, total)
	if p.resume {
		d.WithHint("run the same command again to finish")
	} else {
		d.WithHint("run the same command with --resume to finish")
	}
	p.print.Print(d)
}

// runOnce runs a point once. If it returns an error, the command must end.
func (p *profile) runOnce(ctx context.Context, pt *point, repeat int) error {
	if len(p.done) > 0 && p.done[runner.HashBy(p.session.InPlace, pt.Plan, repeat)] > 0 {
		p.progress.plain("%s is already done", p.label(pt.Plan, repeat))
		return nil
	}
	if p.session.Journal != nil && p.resume {
		if rec := p.session.Journal.Done(runner.HashBy(p.session.InPlace, pt.Plan, repeat)); rec != nil {
			p.progress.plain("%s is already done", p.label(pt.Plan, repeat))
			return p.keep(pt, rec)
		}
	}
	p.progress.begin(p.label(pt.Plan, repeat))
	run, err := p.session.Prepare(ctx, pt.Plan, repeat, p.progress.done+1)
	if err == nil {
		err = pt.refused
	}
	if err == nil || p.dryRun && run != nil {
		p.tell(run)
		p.show(run)
	}
	var rec *runner.Record
	switch {
	case ctx.Err() != nil:
		return nil
	case p.dryRun:
		p.failed = p.failed || err != nil
		p.report(unlessShown(err, pt.refused))
		return nil
	case err != nil:
		p.progress.print(func() { p.report(unlessShown(err, pt.refused)) })
		rec, err = p.session.Refuse(ctx, pt.Plan, repeat, err)
	default:
		p.limited(run)
		rec, err = p.session.Execute(ctx, run)
		p.progress.print(func() { p.verdict(pt.Plan, rec) })
	}
	p.failed = p.failed || rec.Status != runner.OK
	return cmp.Or(err, p.keep(pt, rec))
}

// keep saves the parts of a record that the table of results shows.
func (p *profile) keep(pt *point, rec *runner.Record) error {
	brief, err := p.briefs.Of(rec)
	if err == nil {
		pt.records = append(pt.records, brief)
	}
	return err
}

// limited prints the default time limit of a run, if stderr is a terminal and the user
// did not set a limit.
func (p *profile) limited(run *runner.Run) {
	if limit := p.session.TimeoutOf(run); p.progress.terminal && !p.quiet && p.session.Timeout == 0 && limit > 0 {
		p.progress.print(func() {
			p.print.Print(diag.Notef(diag.Pos{}, "the run is stopped if it takes longer than %v; use --timeout to change this limit", limit))
		})
	}
}

// unlessShown returns err unless it has already been printed.
func unlessShown(err, shown error) error {
	if err == shown {
		return nil
	}
	return err
}

// label describes a run in one line.
func (p *profile) label(pl *plan.Plan, repeat int) string {
	text := pl.Request.Model.Name
	if file := pl.Request.Config.File; file != "" {
		text += " " + file
	}
	for _, f := range p.axes {
		v := pl.Request.Config.Values[f.Var]
		text += " " + f.Flag + " " + v.Text()
	}
	for _, f := range p.knobs {
		if v, ok := pl.Request.Flags[f.Name]; ok {
			text += " " + f.Name + " " + v.Text()
		}
	}
	if pl.Rank() {
		text += fmt.Sprintf(" stage %d %s", pl.Stage(), pl.Group())
	}
	if pl.Together() {
		text += " all pairs"
	}
	if p.repeat > 1 {
		text += fmt.Sprintf(" (run %d)", repeat)
	}
	return diag.Printable(text)
}

// show prints the command to run.
func (p *profile) show(run *runner.Run) {
	if p.quiet {
		return
	}
	var out bytes.Buffer
	if p.shown {
		out.WriteString("\n")
	}
	p.shown = true
	report.Header(&out, p.schema.View("profile"), run.Plan)
	flags := run.Shown(p.secrets)
	if _, hid := nixlbench.Masked(run.Flags); hid && !p.secrets && !p.masked {
		p.masked = true
		p.progress.print(func() { p.print.Print(maskedWarning()) })
	}
	shown := nixlbench.NewCommand(p.session.Program, flags)
	out.WriteString(shown.Shell())
	if run.Processes > 1 && run.Launch == runner.LaunchSingle {
		fmt.Fprintf(&out, "\n%s:\n%s", spread(run), nixlbench.Shell(flags))
	}
	if !p.dryRun {
		out.WriteString("\n")
	}
	p.write(out.Bytes())
}

// tell prints a note about how the processes of a run are distributed across machines,
// but only once. It prints nothing if the user specified the distribution and the other
// machine does not need any further options.
func (p *profile) tell(run *runner.Run) {
	if p.told || run.Processes == 1 {
		return
	}
	single := run.Launch == runner.LaunchSingle
	var d *diag.Diag
	switch {
	case single && run.Chosen && run.Place == runner.Away:
		d = diag.Notef(diag.Pos{}, "1 of %d processes starts here, because etcd at %s is on another machine", run.Processes, diag.Printable(run.Server))
	case single && run.Chosen:
		d = diag.Notef(diag.Pos{}, "1 of %d processes starts here, because the other side is on another machine", run.Processes)
	case single && (run.Group.Flag != "" && !run.Group.Given || len(run.Advice) > 0):
		d = diag.Notef(diag.Pos{}, "1 of %d processes starts here", run.Processes)
	case !single && run.Chosen && run.Place == runner.Here:
		// If the user meant to use two machines, this run would measure the wrong thing.
		d = diag.Warnf(diag.Pos{}, "all %d processes start here, because etcd at %s is on this machine", run.Processes, diag.Printable(run.Server)).
			WithHint("to use two machines, set --launch %s on each; to use only this machine, set --launch %s", runner.LaunchSingle, runner.LaunchPair)
	default:
		return
	}
	p.told = true
	g := &run.Group
	var more []string
	if run.Chosen {
		// The other host may be the one that runs etcd.
		more = append(more, "--launch "+runner.LaunchSingle)
	}
	if g.Own() {
		more = append(more, "--"+g.Flag+" "+nixlbench.Quote(g.Name))
	}
	same := "the same command"
	if len(more) > 0 {
		same += " with " + strings.Join(more, " ")
	}
	switch {
	case !single:
	case g.Flag != "" && !g.Given && !g.Own():
		d.WithHint("on the job's other host: %s; the group %s is from %s", same, g.Name, g.Variable).
			WithHint("to repeat the run after a failure, set a different --%s on both hosts", g.Flag)
	default:
		d.WithHint("on the other host: %s", same)
	}
	for _, hint := range run.Advice {
		d.WithHint("%s", hint)
	}
	if single && run.Server != "" && run.Place == runner.Loopback {
		d.WithHint("other hosts cannot reach etcd at %s; use this machine's address instead", diag.Printable(run.Server))
	}
	if single && run.Chosen {
		d.WithHint("use --launch %s to start all of them here", runner.LaunchPair)
	}
	p.progress.print(func() { p.print.Print(d) })
}

// spread describes how many processes of a run are started on each host. If another process
// may already know the group name, it does not say that this host starts first.
func spread(run *runner.Run) string {
	end := func(n int, what string) string {
		if n > 1 {
			what += "s"
		}
		return what
	}
	initiators, targets := end(run.Initiators, "initiator"), end(run.Targets, "target")
	first := fmt.Sprintf("the host that starts first (%s)", initiators)
	if run.Group.Own() {
		first = fmt.Sprintf("this host (%s, started first)", initiators)
	}
	text := fmt.Sprintf("%d processes: %d on %s and %d on the other host (%s). ", run.Processes, run.Initiators, first, run.Targets, targets)
	if run.Processes > 2 {
		return text + "kvbench starts 1 here. The command for each of the others"
	}
	return text + "The command for the other"
}

// output prints a line of nixlbench's output.
func (p *profile) output(run *runner.Run, l runner.Line) {
	if p.quiet {
		return
	}
	text := []byte(diag.Printable(string(l.Text)))
	if run.Launch == runner.LaunchPair {
		text = append(fmt.Appendf(nil, "[%d] ", l.Process+1), text...)
	}
	text = append(text[:len(text):len(text)], '\n')
	if l.Errors {
		p.progress.print(func() { p.stderr.Write(text) })
	} else {
		p.write(text)
	}
}

// write writes to stdout. If the reader of stdout has exited, the command ends, unless it
// saves the results to a file.
func (p *profile) write(text []byte) {
	p.progress.print(func() {
		if p.closed {
			return
		}
		if _, err := p.stdout.Write(text); err != nil {
			p.closed = true
			if p.session.Journal == nil {
				p.stop()
			}
		}
	})
}

// found adds the files of a run to those that noteFiles prints. A file that existed before
// the command is mentioned only if the user may expect --cleanup to remove it.
func (p *profile) found(rec *runner.Record) {
	for _, file := range rec.Files {
		switch {
		case slices.Contains(p.left, file) || slices.Contains(p.kept, file):
		case !slices.Contains(rec.Kept, file):
			p.left = append(p.left, file)
		case p.session.Cleanup:
			p.kept = append(p.kept, file)
		}
	}
}

// noteFiles prints the names of the files that remain after the runs.
func (p *profile) noteFiles() {
	if len(p.left) > 0 {
		p.print.Print(diag.Notef(diag.Pos{}, "%s left files behind: %s", cmp.Or(p.session.InPlace, nixlbench.Program), strings.Join(p.left, ", ")))
	}
	if len(p.kept) > 0 {
		p.print.Print(diag.Notef(diag.Pos{}, "files that existed before were not removed: %s", strings.Join(p.kept, ", ")))
	}
}

// verdict prints why a run failed or is suspect, and any notes about the run.
func (p *profile) verdict(pl *plan.Plan, rec *runner.Record) {
	at := diag.Pos{File: pl.Request.Config.File}
	for _, reason := range rec.Reasons {
		switch rec.Status {
		case runner.Suspect:
			p.print.Print(diag.Errorf(at, "suspect: %s", diag.Printable(reason)))
		case runner.Failed:
			p.print.Print(diag.Errorf(at, "%s", diag.Printable(reason)))
		}
	}
	p.found(rec)
	// Most notes apply to every run of a configuration, so print each note only once.
	for _, note := range rec.Notes[:len(rec.Notes)-rec.Quiet] {
		if key := at.File + ": " + note; !p.said[key] {
			p.said[key] = true
			p.print.Print(diag.Notef(at, "%s", note))
		}
	}
}

// shownFlags returns the nixlbench flags to show in the summary. These are flags with
// several values, and flags that transfers set to different values for different points.
// Without those flags, the points for one pair of ranks and for all pairs at once could
// look the same.
func (p *profile) shownFlags() []*schema.Flag {
	list := slices.Clone(p.knobs)
	for _, name := range schema.Keys(p.schema.Cache.Get().Transfer.Get().Flags) {
		values := map[string]bool{}
		for i := range p.list {
			for _, f := range p.list[i].Flags {
				if f.Name == name && p.list[i].Transfers() {
					values[f.Value.Text()] = true
				}
			}
		}
		f := p.schema.Nixlbench.Flags[name]
		if len(values) > 1 && !slices.Contains(p.knobs, f) {
			list = append(list, f)
		}
	}
	return list
}

// summary prints a table of all points.
func (p *profile) summary() error {
	var out bytes.Buffer
	if !p.quiet {
		out.WriteString("\n")
	}
	points := make([]report.Point, len(p.list))
	for i := range p.list {
		pt := &p.list[i]
		if len(pt.records) == 0 {
			if err := p.keep(pt, runner.NewRecord(pt.Plan, 0, nil)); err != nil {
				return err
			}
		}
		points[i] = pt.records
	}
	if err := report.Summary(&out, p.view, p.shownFlags(), p.schema.Nixlbench.Runs.Get().Measures, points); err != nil {
		return err
	}
	p.write(out.Bytes())
	return nil
}

// count parses a flag that sets how often something is repeated.
func (c *command) count(name string) (int, error) {
	text, from, ok := c.value(name)
	if !ok {
		text = c.flag(name).def
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1_000_000 {
		return 0, from.Errorf("%q is not allowed: expected a whole number from 1 to 1000000", text)
	}
	return n, nil
}

// timeout parses --timeout. It returns 0 for the default, and a negative value for no limit.
func (c *command) timeout() (time.Duration, error) {
	if text, _, _ := c.value("timeout"); text == "none" || text == "0" {
		return -1, nil
	}
	return c.duration("timeout")
}

// duration parses a flag whose value is a duration.
func (c *command) duration(name string) (time.Duration, error) {
	text, from, ok := c.value(name)
	if !ok {
		if text = c.flag(name).def; text == "" {
			return 0, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, from.Errorf("%q is not allowed: expected a time such as 90s, 10m or 1h30m", text)
	}
	return d, nil
}
