package schema

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/formula"
)

// Runs describes nixlbench runs: what a run needs, what it prints, and which of
// its results cannot be trusted.
type Runs struct {
	// Home describes where to get the program.
	Home  string `json:"home"`
	Probe Probe  `json:"probe"`
	// Readings maps names in formulas to numbers that are read from the machine's files.
	Readings map[string]Reading `json:"readings"`
	// Timeout is the maximum duration of a run, in seconds.
	Timeout Formula `json:"timeout"`
	// Jobs lists the environment variables that identify a job.
	Jobs []Job `json:"jobs"`
	// Rank is a regular expression for the line that contains a process's rank.
	Rank string `json:"rank"`
	// TargetWait is how long a target waits before its next run, in seconds.
	TargetWait int `json:"target_wait"`
	// Classes describes the classes of backends, keyed by name.
	Classes  map[string]*Class `json:"classes"`
	Meetings []Meeting         `json:"meetings"`
	Layouts  []Layout          `json:"layouts"`
	Measures []Measure         `json:"measures"`
	Derived  []Derived         `json:"derived"`
	// Metrics lists the measurements for comparing runs. The first one is the default.
	Metrics []Metric `json:"metrics"`
	// Confidence is the confidence level of the test for differences, in percent.
	Confidence int `json:"confidence"`
	// Planners describes the files for serving planners, keyed by name.
	Planners map[string]*Planner `json:"planners"`
	// Builtin describes how kvbench measures I/O itself, without nixlbench.
	Builtin Builtin `json:"builtin"`
	// Timed contains formulas for the columns that are added to each row to record
	// what was timed.
	Timed map[string]Formula `json:"timed"`
	// WarningPrefixes lists the prefixes of output lines that are warnings.
	WarningPrefixes []string `json:"warning_prefixes"`
	// Created is a regular expression for the line that contains the name of a file that a
	// process is about to create.
	Created     string      `json:"created"`
	Environment Environment `json:"environment"`
	// Advice tells users what they need to know before they start processes on several
	// machines.
	Advice    []Advice   `json:"advice"`
	Obstacles []Obstacle `json:"obstacles"`
	Excuses   []Excuse   `json:"excuses"`
	Doubts    []Doubt    `json:"doubts"`
	Tuning    Tuning     `json:"tuning"`
	Page      Page       `json:"page"`
}

// Tuning describes how to find the settings with the best measurement.
type Tuning struct {
	// Measure is the column to maximize. A value of 1 in this column means Unit bytes per
	// second.
	Measure string `json:"measure"`
	Unit    int64  `json:"unit"`
	// Short contains flags that keep runs short, in the order in which their values are
	// computed.
	Short []ShortFlag `json:"short"`
	// Require contains the conditions that a combination must meet to be tried.
	Require []TuningLimit `json:"require"`
	Knobs   []Knob        `json:"knobs"`
}

// ShortFlag is a flag and a value that keeps runs short.
type ShortFlag struct {
	Flag  string  `json:"flag"`
	Value Formula `json:"value"`
}

// TuningLimit is a condition that combinations must meet to be tried.
type TuningLimit struct {
	Require Formula `json:"require"`
	Message string  `json:"message"`
}

// Knob is a setting that may affect the measurement. If it has several flags, they are all set
// to the same value.
type Knob struct {
	Flags    []string `json:"flags"`
	Backends []string `json:"backends,omitempty"` // nil means all backends that read the flags
	// The knob is varied only if the condition When holds for the default plan.
	When Formula `json:"when,omitzero"`
	// Values contains values and ranges in command-line syntax. nil means all values.
	Values []string `json:"values,omitempty"`
	// Most is the largest value to try.
	Most Formula `json:"most,omitzero"`
	// Folder is a folder whose entries are used as values, or "".
	Folder string `json:"folder,omitempty"`
	Source string `json:"source"`
}

// Page contains the names of the row values that a results page shows.
type Page struct {
	Size      string      `json:"size"`
	Count     string      `json:"count"`
	Bandwidth string      `json:"bandwidth"`
	Latency   []PageValue `json:"latency"`
	Phases    []PageValue `json:"phases"`
	// Prepare is a phase that nixlbench does not necessarily repeat for each request.
	Prepare PageValue `json:"prepare"`
	// The page recommends a setting for each value of the column named in Operation. It
	// compares settings only if the points have the same values in the columns named in
	// Workload.
	Operation string   `json:"operation"`
	Workload  []string `json:"workload"`
	// Same contains the fields that must be equal in all points that are used to estimate the
	// cost of a descriptor.
	Same []string `json:"same"`
	Plan PagePlan `json:"plan"`
	// Link, LinkRate and FirstToken are the fields for the link, its bandwidth, and the time to
	// first token.
	Link       string `json:"link"`
	LinkRate   string `json:"link_rate"`
	FirstToken string `json:"first_token"`
}

// PagePlan contains the names of the plan's values that a results page shows.
type PagePlan struct {
	Size     string `json:"size"`
	Count    string `json:"count"`
	Requests string `json:"requests"`
}

// PageValue is a value and its label on a page.
type PageValue struct {
	Key   string `json:"key"`
	Label string `json:"label"`
}

// Probe describes how to ask a program for its flags.
type Probe struct {
	Option string `json:"option"`
	// Source is a regular expression for the names of the source files that define the
	// program's own flags.
	Source string `json:"source"`
}

// Environment contains patterns for the environment variables to record, and a
// regular expression for the names of variables whose values are secret.
type Environment struct {
	Record []string `json:"record"`
	Secret string   `json:"secret"`
}

// Reading is a file that contains a number.
type Reading struct {
	File string `json:"file"`
}

// Job is an environment variable with the same value on every machine of a job,
// and a regular expression for its values.
type Job struct {
	Variable string `json:"variable"`
	Match    string `json:"match"`
}

// Class describes what the backends of a class have in common.
type Class struct {
	Initiators Formula `json:"initiators"`
	Targets    Formula `json:"targets"`
	Processes  Formula `json:"processes"`
	// Etcd yields the etcd servers that must respond, or "".
	Etcd Formula `json:"etcd"`
	// Remote yields true if the other side is on another machine.
	Remote Formula `json:"remote"`
	// Silent yields true if the process that kvbench starts does not print a table.
	Silent Formula `json:"silent"`
	Memory Formula `json:"memory"`
}

// Files describes the files that a backend writes and does not remove.
type Files struct {
	In    Formula `json:"in,omitzero"`
	Names Formula `json:"names,omitzero"`
	Paths Formula `json:"paths,omitzero"`
}

// IsZero reports whether the backend does not leave any files.
func (f Files) IsZero() bool { return f.In.IsZero() }

// Meeting is a way for the processes of a run to find each other.
type Meeting struct {
	Name string             `json:"name"`
	Set  map[string]Formula `json:"set"`
	When Formula            `json:"when"`
	// Group is the flag for the name of the group in which the processes find each other, or
	// "".
	Group string `json:"group,omitempty"`
}

// Layout describes the table that nixlbench prints in a range of releases.
type Layout struct {
	Era
	Columns []Column `json:"columns"`
}

// Column is a column of the table.
type Column struct {
	Title    string `json:"title"`
	Key      string `json:"key"`
	Optional bool   `json:"optional,omitempty"`
}

// Measure is a column that a summary shows.
type Measure struct {
	Key      string `json:"key"`
	Label    string `json:"label"`
	Value    string `json:"value,omitempty"`
	ID       bool   `json:"id,omitempty"`
	Spread   bool   `json:"spread,omitempty"`
	Positive bool   `json:"positive,omitempty"`
	// Total is the column that contains the sum over all initiators, or "".
	Total string `json:"total,omitempty"`
	// From describes how the measure is computed from other measures, or is nil.
	From  *Derived `json:"-"`
	Asked *Asked   `json:"asked,omitempty"`
}

// Derived is a number derived from a row's measures: one measure multiplied or divided by
// another.
type Derived struct {
	Key   string `json:"key"`
	Of    string `json:"of"`
	Times string `json:"times,omitempty"`
	Over  string `json:"over,omitempty"`
}

// Metric is a measurement for comparing runs. Name is used on the command line, Key is
// the column, and Better specifies whether higher or lower values are better.
type Metric struct {
	Name   string `json:"name"`
	Key    string `json:"key"`
	Better Better `json:"better"`
}

// Better specifies whether higher or lower values of a metric are better.
type Better string

// The values of [Better].
const (
	Higher Better = "higher"
	Lower  Better = "lower"
)

// Planner describes a file that is generated from measurements for a serving planner.
type Planner struct {
	Doc    string         `json:"doc"`
	Source string         `json:"source"`
	Head   string         `json:"head"`
	Values []PlannedValue `json:"values"`
}

// PlannedValue is a value in a file for a planner.
type PlannedValue struct {
	Doc      string `json:"doc"`
	Line     string `json:"line"`
	Key      string `json:"key"`
	Exponent int    `json:"exponent"`
	Decimals int    `json:"decimals"`
	// Take specifies which row to use if several rows measure the value.
	Take string         `json:"take"`
	Rows []MeasuringRow `json:"rows"`
}

// Lowest is the value of [PlannedValue.Take] that selects the row with the lowest number.
const Lowest = "lowest"

// MeasuringRow describes the rows that measure a value. Class is the class of the rows'
// backend. Machines is the number of machines, or 0 for any number. Where contains the
// values that columns must have.
type MeasuringRow struct {
	Class    string            `json:"class"`
	Machines int               `json:"machines,omitempty"`
	Where    map[string]string `json:"where"`
}

// Builtin describes how kvbench measures I/O itself, without nixlbench.
type Builtin struct {
	// Reads maps the names of the values that kvbench needs to the nixlbench
	// flags that specify them.
	Reads map[string]string `json:"reads"`
	// Write is the value of the operation flag for writes.
	Write string `json:"write"`
	// Queues maps each of the operating system's I/O interfaces to the kinds of queues to use,
	// best first.
	Queues map[string][]string `json:"queues"`
	// Ignores contains the flags that do not change the I/O.
	Ignores []string `json:"ignores"`
	// Accepts contains the values that kvbench accepts, keyed by flag.
	Accepts map[string][]string `json:"accepts"`
	// File is the name of the file that kvbench reads or writes.
	File string `json:"file"`
}

// Uses reports whether a flag changes the I/O.
func (b *Builtin) Uses(flag string) bool {
	for _, name := range b.Reads {
		if name == flag {
			return true
		}
	}
	return false
}

// Asked describes the values for which rows are expected: First, and then each value
// multiplied by Times, up to Last.
type Asked struct {
	First Formula `json:"first"`
	Last  Formula `json:"last"`
	Times int64   `json:"times"`
}

// RunRule contains what rules about runs have in common: their name, when they apply, and
// the releases and backends that they apply to. If Backends is nil, a rule applies to all
// backends.
type RunRule struct {
	Era
	Name     string   `json:"name"`
	Backends []string `json:"backends,omitempty"`
	When     Formula  `json:"when"`
}

// Common returns the part of the rule that all rules about runs have in common.
func (r *RunRule) Common() *RunRule { return r }

// Advice is a hint for runs on several machines.
type Advice struct {
	RunRule
	Hint string `json:"hint"`
}

// Obstacle is a reason not to start a run.
type Obstacle struct {
	RunRule
	Message string `json:"message"`
	// Warn reports whether the obstacle is only a warning.
	Warn bool `json:"warn,omitempty"`
}

// Excuse is a failure that does not invalidate a run's rows. If Retry is set, kvbench
// repeats the run once.
type Excuse struct {
	RunRule
	Message string `json:"message"`
	Retry   bool   `json:"retry,omitempty"`
}

// Doubt is a reason not to trust a result.
type Doubt struct {
	RunRule
	Message string `json:"message"`
	Note    bool   `json:"note,omitempty"`
	// Quiet notes are only recorded, not shown.
	Quiet bool `json:"quiet,omitempty"`
	// Hint suggests how to fix the problem, or is "".
	Hint string `json:"hint,omitempty"`
}

// OwnRelease is a release that is described in a user's file.
type OwnRelease struct {
	// Like is a known release that has the same limits, values, backends and layout.
	Like  string             `json:"like"`
	Flags map[string]OwnFlag `json:"flags"`
}

// OwnFlag is a flag of an [OwnRelease].
type OwnFlag struct {
	Type    string        `json:"type"`
	Default formula.Value `json:"default"`
	Help    string        `json:"help"`
}

// Add adds a release to the known releases, right after the release that r.Like names.
func (n *Nixlbench) Add(name string, r OwnRelease) error {
	at := slices.Index(n.Releases, r.Like)
	if _, taken := n.Release(name); taken || name == AutoRelease {
		return fmt.Errorf("release %s is already known", name)
	}
	if at < 0 {
		return fmt.Errorf("release %s is like %s, which is not a known release: expected one of %s", name, r.Like, strings.Join(n.Releases, ", "))
	}
	n.Releases = slices.Insert(n.Releases, at+1, name)
	flags := map[string]*FlagEra{}
	for _, flag := range Keys(r.Flags) {
		own := r.Flags[flag]
		era := FlagEra{Era: Era{Since: name}, Type: own.Type, Default: own.Default}
		if at+2 < len(n.Releases) {
			era.Until = n.Releases[at+2]
		}
		flags[flag] = &era
		if n.Flags[flag] == nil {
			n.Flags[flag] = &Flag{Name: flag, Help: own.Help, Eras: []FlagEra{era}}
		}
	}
	if n.own == nil {
		n.own = map[string]map[string]*FlagEra{}
	}
	n.own[name] = flags
	return nil
}

// IsOwn reports whether the release comes from a user's file.
func (n *Nixlbench) IsOwn(release string) bool { return n.own[release] != nil }

func (r *Runs) eachFormula(f func([]string, *Formula)) {
	f([]string{"timeout"}, &r.Timeout)
	for _, name := range Keys(r.Classes) {
		c := r.Classes[name]
		f([]string{"classes", name, "initiators"}, &c.Initiators)
		f([]string{"classes", name, "targets"}, &c.Targets)
		f([]string{"classes", name, "processes"}, &c.Processes)
		f([]string{"classes", name, "etcd"}, &c.Etcd)
		f([]string{"classes", name, "remote"}, &c.Remote)
		f([]string{"classes", name, "silent"}, &c.Silent)
		f([]string{"classes", name, "memory"}, &c.Memory)
	}
	for i := range r.Meetings {
		path := []string{"meetings", index(i)}
		f(append(path, "when"), &r.Meetings[i].When)
		eachIn(r.Meetings[i].Set, append(path, "set"), f)
	}
	for i := range r.Measures {
		if asked := r.Measures[i].Asked; asked != nil {
			f([]string{"measures", index(i), "asked", "first"}, &asked.First)
			f([]string{"measures", index(i), "asked", "last"}, &asked.Last)
		}
	}
	eachIn(r.Timed, []string{"timed"}, f)
	for i := range r.Tuning.Short {
		f([]string{"tuning", "short", index(i), "value"}, &r.Tuning.Short[i].Value)
	}
	for i := range r.Tuning.Require {
		f([]string{"tuning", "require", index(i), "require"}, &r.Tuning.Require[i].Require)
	}
	for i := range r.Tuning.Knobs {
		f([]string{"tuning", "knobs", index(i), "when"}, &r.Tuning.Knobs[i].When)
		f([]string{"tuning", "knobs", index(i), "most"}, &r.Tuning.Knobs[i].Most)
	}
	for i := range r.Advice {
		f([]string{"advice", index(i), "when"}, &r.Advice[i].When)
	}
	for i := range r.Obstacles {
		f([]string{"obstacles", index(i), "when"}, &r.Obstacles[i].When)
	}
	for i := range r.Excuses {
		f([]string{"excuses", index(i), "when"}, &r.Excuses[i].When)
	}
	for i := range r.Doubts {
		f([]string{"doubts", index(i), "when"}, &r.Doubts[i].When)
	}
}
