package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/report"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
	"kvbench/engine/tune"
)

// These constants limit the number of runs and the time for each run.
const (
	leastRuns, mostRuns = 40, 250
	runsShare           = 10 // by default, the search may run 1/runsShare of the combinations
	// A run may take slowRun times as long as the slowest successful run so far. However,
	// a run always has at least 1/timeoutShare of the budget, limited to the range from
	// leastTimeout to mostTimeout, because filling a large file may take much longer than
	// moving its data.
	slowRun                   = 10
	timeoutShare              = 10
	leastTimeout, mostTimeout = 30 * time.Second, 2 * time.Minute
	// The search should leave time at the end for this many runs, plus one run for each
	// setting.
	lastRuns = 10
)

// tuneCmd searches for the best settings of nixlbench.
func (a *app) tuneCmd() *command {
	flags := slices.Concat(a.commonFlags(), []*flagSpec{
		programFlag(),
		a.releaseFlag("the release of the installed nixlbench"),
		releasesFlag(),
		{name: "dry_run", bool: true, group: groupRun, help: "Show the settings to try, without running anything"},
		{name: "quiet", bool: true, group: groupRun, help: "Print only the result"},
		{name: "budget", arg: "TIME", group: groupRun, def: "20m", help: "Time limit for the search; 0 for no limit"},
		{name: "max_runs", arg: "N", group: groupRun, help: fmt.Sprintf("Maximum number of runs, at least 1. The default is a tenth of all combinations, but at least %d and at most %d", leastRuns, mostRuns)},
		{name: "seed", arg: "N", more: true, group: groupRun, def: "1", help: "Random seed that determines the order of the runs"},
		{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "text", values: []string{"text", "json"}, help: "Output format"},
	}, runFlags(), a.benchFlags())
	link := flagOf(flags, linkField)
	link.more, link.group = false, groupConfig
	for _, rare := range []string{"timeout", "kv_memory"} {
		flagOf(flags, rare).more = true
	}
	return &command{
		name:  "tune",
		axes:  true,
		short: "Find the nixlbench settings with the highest bandwidth",
		flags: flags,
		exec:  a.tune,
	}
}

// These fields describe the link. In this command, they do not affect the plan.
const (
	linkField      = "link"
	bandwidthField = "bandwidth"
	linkRates      = "link_rate"
)

// tuner is the state of a tune command.
type tuner struct {
	*profile
	format  string
	budget  time.Duration
	maxRuns int
	seed    uint64
	link    string
	rate    int64 // bandwidth of the link, in bytes per second

	item     plan.Item
	index    int // index of the plan to tune among the item's plans
	def      *plan.Plan
	rules    *nixlbench.Rules
	several  map[string][]data.Fact
	settings []nixlbench.Setting
	search   *tune.Search
	long     bool // whether a varied setting determines how long runs are

	start   time.Time
	slowest time.Duration
	suspect int
	fatal   error
	last    string   // reason for the last failure
	notes   []string // notes about runs that succeeded
	warned  map[string]bool
}

func (a *app) tune(ctx context.Context, c *command) error {
	a.endsGracefully()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	t := &tuner{profile: &profile{app: a, stop: stop, repeat: 1}, warned: map[string]bool{}}
	if err := t.options(c); err != nil {
		return err
	}
	release, from, err := t.release(ctx, c)
	if err != nil {
		return err
	}
	if err := t.prepare(c, release, from); err != nil {
		return err
	}
	if t.dryRun {
		return t.candidates(ctx)
	}
	if err := t.openJournal(c); err != nil {
		return err
	}
	defer t.closeJournal()
	return t.run(ctx)
}

// options reads the command's own flags.
func (t *tuner) options(c *command) error {
	errs := t.profile.settings(c)
	var err error
	t.format, err = c.choice("format")
	errs.Add(err)
	if text, _, _ := c.value("budget"); text == "none" || text == "0" {
		t.budget = math.MaxInt64
	} else {
		t.budget, err = c.duration("budget")
		errs.Add(err)
	}
	if _, _, ok := c.value("max_runs"); ok {
		t.maxRuns, err = c.count("max_runs")
		errs.Add(err)
	}
	text, from, ok := c.value("seed")
	if !ok {
		text = c.flag("seed").def
	}
	if t.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
		errs = append(errs, from.Errorf("%q is not allowed: expected a whole number, 0 or more", text))
	}
	return errs.Err()
}

// prepare creates the plan for the default settings, and determines which settings to vary.
func (t *tuner) prepare(c *command, release, from string) error {
	given, err := t.knobs(c, release)
	if err != nil {
		return err
	}
	jobs, err := t.app.prepare(c, plan.NewPlanners(t.schema, release, from), false, given)
	expectLong()
	if err != nil {
		return err
	}
	if len(jobs) != 1 {
		return diag.Usagef("there are %d plans, but '%s %s' finds the settings for only one", len(jobs), program, c.name)
	}
	t.item = jobs[0]
	t.item.Fit, t.item.Least = true, true
	if err := t.planDefault(); err != nil {
		return about(t.item.Request, err)
	}
	if t.session.InPlace != "" { // no setting changes what the program supports
		if err := builtinRefuses(t.schema, t.def); err != nil {
			return about(t.item.Request, err)
		}
	}
	shown := planShown(t.def)
	shown.Runs = true
	t.warnMissing(t.item, quantityNames(t.def), shown)
	t.warn([]*plan.Plan{t.def})
	if t.rules, err = nixlbench.NewRules(t.schema, release, t.def.Backend()); err != nil {
		return err
	}
	if err := t.rules.OneRow(t.def); err != nil {
		return err
	}
	if t.settings, err = t.rules.Settings(t.schema, t.def, t.several, t.session.Installed, t.session.InPlace != ""); err != nil {
		return err
	}
	if len(t.settings) == 0 {
		return diag.Errorf(diag.Pos{}, "there is nothing to vary: no setting has more than one value").
			WithHint("give a nixlbench flag several values, such as 1,2,4")
	}
	knobs := make([]tune.Knob, len(t.settings))
	for i := range t.settings {
		s := &t.settings[i]
		t.long = t.long || slices.ContainsFunc(t.schema.Nixlbench.Runs.Get().Tuning.Short, func(f schema.ShortFlag) bool { return f.Flag == s.Name() })
		knobs[i] = tune.Knob{Name: s.Name(), Values: len(s.Values), Default: s.Default, Ordered: s.Ordered()}
	}
	if t.maxRuns == 0 {
		t.maxRuns = min(max(tune.Size(knobs)/runsShare, leastRuns), mostRuns)
	}
	t.search = tune.New(knobs, tune.Options{Seed: t.seed, MaxRuns: t.maxRuns, Late: t.late})
	return nil
}

// knobs reads the nixlbench flags that the user set. It returns the flags with one value,
// and adds those with several values to t.several for the search. It also takes the link
// from the configuration.
func (t *tuner) knobs(c *command, release string) (given map[string][]data.Fact, err error) {
	configs, err := t.configs(c)
	if err != nil {
		return nil, err
	}
	if len(configs) != 1 {
		return nil, diag.Usagef("there are %d configurations, but '%s %s' finds the settings for only one plan", len(configs), program, c.name)
	}
	cfg := configs[0]
	if len(cfg.Axes) > 0 {
		axis := cfg.Axes[0]
		return nil, axis.Values[0].Origin.Errorf("%s has %d values, but '%s %s' accepts only one", axis.Field.Path, len(axis.Values), program, c.name).
			WithHint("only nixlbench's flags can have several values")
	}
	if err := t.takeLink(cfg); err != nil {
		return nil, err
	}
	knobs, err := c.knobs(t.schema)
	if err != nil {
		return nil, err
	}
	for _, k := range cfg.Knobs {
		if !slices.ContainsFunc(knobs, func(o *config.Knob) bool { return o.Flag == k.Flag }) {
			knobs = append(knobs, k)
		}
	}
	cfg.Knobs = nil
	var one, several []*config.Knob
	for _, k := range knobs {
		if k = t.splitLists(k); len(k.Texts) > 1 {
			several = append(several, k)
		} else {
			one = append(one, k)
		}
	}
	var errs diag.List
	t.several, err = c.knobValues(t.schema, release, several)
	errs.Add(err)
	given, err = c.knobValues(t.schema, release, one)
	errs.Add(err)
	for _, k := range several {
		if t.schema.Nixlbench.FlagIn(k.Flag, release) == nil {
			errs = append(errs, k.Texts[0].Origin.Errorf("nixlbench %s does not have this flag", release))
		}
	}
	return given, errs.Err()
}

// splitLists splits the values of a flag that accepts lists, if the flag is one of the
// settings to vary.
func (t *tuner) splitLists(k *config.Knob) *config.Knob {
	varied := slices.ContainsFunc(t.schema.Nixlbench.Runs.Get().Tuning.Knobs, func(s schema.Knob) bool { return slices.Contains(s.Flags, k.Flag.Name) })
	if !varied || !k.Flag.List || len(k.Texts) != 1 {
		return k
	}
	all := &config.Knob{Flag: k.Flag}
	for text := range strings.SplitSeq(k.Texts[0].Text, ";") {
		all.Texts = append(all.Texts, config.KnobText{Text: strings.TrimSpace(text), Origin: k.Texts[0].Origin})
	}
	return all
}

// takeLink moves the link and its bandwidth from the configuration to the tuner, because
// they would make the plan a transfer between ranks.
func (t *tuner) takeLink(cfg *config.Config) error {
	rates := t.schema.Cache.Get().Transfer.Get().Tables[linkRates]
	if v := cfg.Values[linkField]; v.Origin.Given() {
		t.link = v.Str
		var err error
		if t.rate, err = strconv.ParseInt(rates[t.link].Text, 10, 64); err != nil {
			d := v.Origin.Errorf("%q is not a known link", t.link).WithHint("use one of %s, or --%s", strings.Join(schema.Keys(rates), ", "), bandwidthField)
			return d
		}
		delete(cfg.Values, linkField)
	}
	if v := cfg.Values[bandwidthField]; v.Origin.Given() {
		t.rate, _ = v.Num.Int64()
		i := slices.IndexFunc(t.schema.Fields, func(f schema.Field) bool { return f.Var == bandwidthField })
		cfg.Values[bandwidthField] = data.Fact{Value: t.schema.Fields[i].Default}
	}
	return nil
}

// planDefault creates the plan with the default settings. If that plan breaks a limit,
// the search does not run it and uses it only as the source of the defaults. If there are
// several plans, planDefault chooses the one that moves the most bytes.
func (t *tuner) planDefault() error {
	plans, err := t.item.Planner.Plans(t.item.Request)
	if err != nil {
		loose := *t.item.Request
		loose.Fit, loose.Least = false, false
		var wrong error
		if plans, wrong = t.item.Planner.Plans(&loose); wrong != nil {
			return err
		}
		for _, d := range diag.All(about(t.item.Request, err)) {
			d.Severity = diag.Note
			t.print.Print(d)
		}
	}
	most := 0.0
	for i, pl := range plans {
		moves := 1.0
		for _, name := range t.schema.Nixlbench.Shrink {
			v, _ := pl.Value(name)
			n, _ := v.Num.Int64()
			moves *= float64(n)
		}
		if moves > most {
			most, t.index, t.def = moves, i, pl
		}
	}
	if len(plans) > 1 {
		t.print.Print(diag.Notef(diag.Pos{File: t.item.Config.File}, "the plan has %d I/O sizes; tune uses the size whose I/Os move the most bytes in total (stage %d, layers of %s)", len(plans), t.def.Stage(), t.def.Group()))
	}
	return nil
}

// planOf creates the plan for a point, with short runs.
func (t *tuner) planOf(p tune.Point) (*plan.Plan, error) {
	req := *t.item.Request
	req.Flags = maps.Clone(req.Flags)
	if req.Flags == nil {
		req.Flags = map[string]data.Fact{}
	}
	set := func(flag string, v data.Fact) {
		if _, given := req.Flags[flag]; !given {
			req.Flags[flag] = v
		}
	}
	by := data.Origin{Kind: data.FromCommand, Name: "tune"}
	for i := range t.settings {
		if s := &t.settings[i]; p[i] != s.Default {
			for _, f := range s.Flags {
				set(f.Name, data.Fact{Value: s.Values[p[i]], Origin: by})
			}
		}
	}
	pl, err := t.selectPlan(&req)
	if err == nil {
		err = t.rules.Worthwhile(pl)
	}
	if err != nil {
		return nil, err
	}
	if t.long {
		return pl, nil
	}
	short, err := t.rules.Short(pl)
	if err != nil {
		return nil, err
	}
	for flag, v := range short {
		set(flag, data.Fact{Value: v, Origin: by})
	}
	return t.selectPlan(&req)
}

// selectPlan creates the plans for a request, and returns the one to tune.
func (t *tuner) selectPlan(req *plan.Request) (*plan.Plan, error) {
	plans, err := t.item.Planner.Plans(req)
	if err != nil {
		return nil, err
	}
	return plans[t.index], nil
}

// candidates prints what the search would try.
func (t *tuner) candidates(ctx context.Context) error {
	c := &report.Candidates{Plan: t.def, View: t.schema.View("tune"), Settings: t.settings, MaxRuns: t.maxRuns, First: t.search.Initial()}
	t.session.Schema = t.schema
	t.session.Warn = func(*diag.Diag) {}
	defer t.session.Close()
	for i, p := range c.First {
		pl, err := t.planOf(p)
		if err == nil {
			var run *runner.Run
			if run, err = t.session.Prepare(ctx, pl, 1, 1); err == nil && i == 0 {
				command := t.commandOf(run)
				c.Command = command.Shell()
			}
		}
		c.Refused = append(c.Refused, err)
	}
	err := t.show(func(out *bytes.Buffer) error {
		if t.format == "json" {
			return report.CandidatesJSON(out, c)
		}
		return report.CandidatesText(out, c)
	})
	if err == nil && !slices.Contains(c.Refused, nil) {
		err = diag.Errorf(diag.Pos{}, "none of the search's initial combinations can be run; the first one: %s", diag.Printable(diag.All(c.Refused[0])[0].Text()))
	}
	return err
}

// show writes the search's output to stdout.
func (t *tuner) show(write func(*bytes.Buffer) error) error {
	var out bytes.Buffer
	if err := write(&out); err != nil {
		return err
	}
	t.write(out.Bytes())
	return nil
}

// commandOf returns a run's command for display.
func (t *tuner) commandOf(run *runner.Run) nixlbench.Command {
	if _, hid := nixlbench.Masked(run.Flags); hid && !t.secrets && !t.masked {
		t.masked = true
		t.print.Print(maskedWarning())
	}
	return nixlbench.NewCommand(t.session.Program, run.Shown(t.secrets))
}

// run runs the search and prints its result.
func (t *tuner) run(ctx context.Context) error {
	pipe := make(chan os.Signal, 1) // turn a closed pipe into a write error
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)

	t.session.Schema, t.session.Build, t.session.Ending.Hurry = t.schema, version(), t.hurry
	t.session.Reuse = true
	t.session.Output = func(*runner.Run, runner.Line) {}
	t.session.Warn = func(d *diag.Diag) {
		if !t.warned[d.Error()] {
			t.warned[d.Error()] = true
			t.progress.print(func() { t.print.Print(d) })
		}
	}
	defer t.session.Close()
	t.progress = progress{w: t.stderr, terminal: isTerminal(os.Stderr), quiet: t.quiet, total: t.maxRuns}
	defer t.progress.clear()
	t.start = time.Now()
	limited, cancel := ctx, context.CancelFunc(func() {})
	if t.budget < math.MaxInt64 {
		limited, cancel = context.WithTimeout(ctx, t.budget)
	}
	defer cancel()
	timeout := t.session.Timeout
	t.search.Run(func(p tune.Point, repeat int) (float64, tune.Outcome) {
		t.session.Timeout = timeout
		return t.measure(limited, p, repeat)
	})
	t.progress.clear()
	t.session.Close()
	t.left = slices.DeleteFunc(t.left, func(file string) bool {
		_, err := os.Lstat(file)
		return err != nil
	})
	for _, note := range t.notes {
		t.print.Print(diag.Notef(diag.Pos{File: t.item.Config.File}, "%s", note))
	}
	t.noteFiles()
	err := t.fatal
	if best := t.search.Winner(); best == nil {
		if err == nil && ctx.Err() == nil {
			err = t.noResult()
		}
	} else if wrong := t.result(ctx, best); err == nil {
		err = wrong
	}
	if ctx.Err() != nil && !t.closed {
		t.hintResume()
		return errInterrupted
	}
	return err
}

// late reports whether the search needs the rest of the budget to repeat the best runs.
// It estimates this from how long runs have taken so far.
func (t *tuner) late() bool {
	spent := time.Since(t.start)
	each := spent / time.Duration(max(t.progress.done, 1))
	return t.budget-spent < min(t.budget/2, each*time.Duration(lastRuns+len(t.settings)))
}

// noResult returns the error for a search without a result.
func (t *tuner) noResult() error {
	switch {
	case t.search.Stopped || t.last == "" && time.Since(t.start) >= t.budget:
		return diag.Errorf(diag.Pos{}, "the budget of %v ran out before any run finished", t.budget).WithHint("set a larger budget with --budget")
	case t.last == "":
		return diag.Errorf(diag.Pos{}, "no combination of settings was run")
	}
	return diag.Errorf(diag.Pos{}, "no run succeeded; the last run failed: %s", diag.Printable(t.last))
}

// measure runs the plan for a point, or uses the result of an earlier run.
func (t *tuner) measure(ctx context.Context, p tune.Point, repeat int) (float64, tune.Outcome) {
	if ctx.Err() != nil || t.fatal != nil {
		return 0, tune.Stopped
	}
	pl, err := t.planOf(p)
	if err != nil {
		t.last = diag.All(err)[0].Text()
		return 0, tune.Refused
	}
	label := report.TunedLabel(t.settings, p)
	if repeat > 1 {
		label += fmt.Sprintf(" (run %d)", repeat)
	}
	rec := t.done(pl, repeat)
	if rec == nil {
		t.progress.show(fmt.Sprintf("%d of at most %d: %s", t.search.Runs+1, t.maxRuns, label))
		if rec, err = t.execute(ctx, pl, repeat); err != nil {
			return 0, t.refusal(err)
		}
	} else {
		label += ", already done"
	}
	t.found(rec)
	value, outcome, what := t.judge(rec)
	if outcome != tune.Stopped {
		t.progress.plain("%s: %s", label, what)
		t.progress.done++
	}
	return value, outcome
}

// done returns the result of a run that the --output file already contains, or nil.
func (t *tuner) done(pl *plan.Plan, repeat int) *runner.Record {
	if t.session.Journal == nil || !t.resume {
		return nil
	}
	return t.session.Journal.Done(runner.HashBy(t.session.InPlace, pl, repeat))
}

// errSides is the error for a run whose processes would be on several machines.
var errSides = errors.New("some of the run's processes would be on another machine, which would not know the next settings")

// execute runs a plan and saves the result.
func (t *tuner) execute(ctx context.Context, pl *plan.Plan, repeat int) (*runner.Record, error) {
	run, err := t.session.Prepare(ctx, pl, repeat, t.search.Runs+1)
	if err != nil {
		return nil, err
	}
	if run.Launch == runner.LaunchSingle && run.Processes > 1 {
		t.fatal = diag.Errorf(diag.Pos{}, "%v", errSides).WithHint("use an etcd server on this machine, or compare a few settings with '%s profile' on both machines", program)
		return nil, errSides
	}
	if t.session.Timeout == 0 && t.slowest > 0 {
		least := min(max(t.budget/timeoutShare, leastTimeout), mostTimeout)
		if limit := max(slowRun*t.slowest, least); limit < t.session.TimeoutOf(run) {
			t.session.Timeout = limit
		}
	}
	start := time.Now()
	rec, err := t.session.Execute(ctx, run)
	if err != nil {
		t.fatal = err
		return nil, err
	}
	if rec.Status == runner.OK {
		for _, note := range rec.Notes[:len(rec.Notes)-rec.Quiet] {
			if !slices.Contains(t.notes, note) {
				t.notes = append(t.notes, note)
			}
		}
		t.slowest = max(t.slowest, time.Since(start))
	}
	return rec, nil
}

// refusal returns the outcome to record for a run that could not be started.
func (t *tuner) refusal(err error) tune.Outcome {
	if t.fatal != nil {
		return tune.Stopped
	}
	t.last = diag.All(err)[0].Text()
	return tune.Refused
}

// judge returns the measurement and the outcome of a run, and a description of both.
func (t *tuner) judge(rec *runner.Record) (value float64, outcome tune.Outcome, what string) {
	switch rec.Status {
	case runner.OK:
		value, err := t.rules.Measured(rec.Rows)
		if err == nil {
			return value, tune.Measured, strconv.FormatFloat(value, 'g', 4, 64) + " " + nixlbench.Measure(&t.schema.Nixlbench).Label
		}
		rec.Status, rec.Reasons = runner.Failed, []string{err.Error()}
	case runner.Interrupted:
		return 0, tune.Stopped, ""
	case runner.Suspect:
		t.suspect++
	}
	t.last = strings.Join(rec.Reasons, "; ")
	return 0, tune.Failed, string(rec.Status) + ": " + diag.Printable(t.last)
}

// result prints the result of the search.
func (t *tuner) result(ctx context.Context, best *tune.Trial) error {
	out := &report.Tuning{
		Plan: t.def, View: t.schema.View("tune"), Settings: t.settings, Search: t.search,
		Measure: nixlbench.Measure(&t.schema.Nixlbench), Unit: t.schema.Nixlbench.Runs.Get().Tuning.Unit,
		Suspect: t.suspect, Link: t.link, Bandwidth: t.rate,
	}
	switch {
	case ctx.Err() != nil:
		out.Ended = "it was interrupted"
	case t.fatal != nil:
		out.Ended = "of an error"
	case t.search.Stopped || !t.search.Done && t.late() && t.search.Runs < t.maxRuns:
		out.Ended = fmt.Sprintf("the budget of %v was used up", t.budget)
	case t.search.Runs >= t.maxRuns:
		out.Ended = fmt.Sprintf("the run limit of %d was reached", t.maxRuns)
	case t.search.Flat:
		out.Ended = "the settings make hardly any difference"
	default:
		out.Ended = "no change to one or two settings was better"
	}
	pl, err := t.planOf(best.Point)
	if err != nil {
		return err
	}
	out.Best = pl
	run, err := t.session.Prepare(context.WithoutCancel(ctx), pl, 1, 1)
	if err != nil {
		return err
	}
	command := t.commandOf(run)
	out.Command, out.Argv = command.Shell(), command.Argv()
	return t.show(func(w *bytes.Buffer) error {
		if t.format == "json" {
			return report.TuningJSON(w, out)
		}
		return report.TuningText(w, out)
	})
}

// hintResume prints how to continue an interrupted search.
func (t *tuner) hintResume() {
	if t.session.Journal == nil || !t.session.Journal.Resumable() {
		return
	}
	d := diag.Notef(diag.Pos{}, "interrupted after %d runs", t.search.Runs)
	if t.resume {
		d.WithHint("run the same command again to continue")
	} else {
		d.WithHint("run the same command with --resume to continue")
	}
	t.print.Print(d)
}
