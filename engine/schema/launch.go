package schema

import "slices"

// LaunchSection is the configuration section that describes a job.
const LaunchSection = "launch"

// Launch describes the jobs that the launch command writes.
type Launch struct {
	Formats map[string]*LaunchFormat `json:"formats"`
	// Parts contains templates that files include by name.
	Parts map[string]string `json:"parts"`
	// Meets lists the nixlbench flags that the processes of a run use to find each other. Jobs
	// set these flags.
	Meets []string `json:"meets"`
	// Noise contains regular expressions for output lines to ignore. Such lines
	// come from programs that start processes.
	Noise   []string           `json:"noise"`
	Fabrics map[string]*Fabric `json:"fabrics"`
	Checks  []LaunchCheck      `json:"checks"`
	// Refusals describes plans that no job can run.
	Refusals []LaunchRefusal `json:"refusals"`
}

// LaunchFormat describes the files of a job.
type LaunchFormat struct {
	Doc string `json:"doc"`
	// Sets contains the nixlbench flags that the files set.
	Sets []string `json:"sets,omitempty"`
	// Needs lists the options that must be set.
	Needs []string `json:"needs,omitempty"`
	// Nodes is the maximum number of nodes, or 0 for no limit.
	Nodes int64 `json:"nodes,omitempty"`
	// Program is the program to run instead of nixlbench, or nil.
	Program *Program     `json:"program,omitempty"`
	Files   []LaunchFile `json:"files"`
}

// Program is a program that performs a plan's I/O instead of nixlbench.
type Program struct {
	Name string `json:"name"`
	// Files is a pattern for the names of the program's output files.
	Files   string             `json:"files"`
	Values  map[string]Formula `json:"values"`
	Refuses []Refusal          `json:"refuses"`
	// Ignores lists nixlbench flags that the program does not use.
	Ignores []string      `json:"ignores"`
	Notes   []ProgramNote `json:"notes"`
	Checks  []LaunchCheck `json:"checks"`
	// Version and Error are paths in the JSON that the program prints.
	Version []string                 `json:"version"`
	Error   []string                 `json:"error"`
	Moved   Moved                    `json:"moved"`
	Columns map[string]ProgramColumn `json:"columns"`
}

// Refusal is a reason why a program cannot run a plan.
type Refusal struct {
	RunRule
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// ProgramNote is a note on the results of a program.
type ProgramNote struct {
	RunRule
	Message string `json:"message"`
}

// Moved describes two byte counts: how many bytes a program has moved, which is the sum of
// the values at the paths in Sum, and how many bytes the plan moves.
type Moved struct {
	Sum     [][]string `json:"sum"`
	Planned Formula    `json:"planned"`
}

// ProgramColumn is a column in a program's row. The column's value is the sum of the values
// at the paths in Sum, divided by Over.
type ProgramColumn struct {
	Sum  [][]string `json:"sum"`
	Over Formula    `json:"over"`
}

func (l *Launch) eachFormula(f func([]string, *Formula)) {
	for _, name := range Keys(l.Formats) {
		p := l.Formats[name].Program
		if p == nil {
			continue
		}
		path := []string{"formats", name, "program"}
		at := func(more ...string) []string { return slices.Concat(path, more) }
		eachIn(p.Values, at("values"), f)
		for i := range p.Refuses {
			f(at("refuses", index(i), "when"), &p.Refuses[i].When)
		}
		for i := range p.Notes {
			f(at("notes", index(i), "when"), &p.Notes[i].When)
		}
		f(at("moved", "planned"), &p.Moved.Planned)
		for _, name := range Keys(p.Columns) {
			c := p.Columns[name]
			f(at("columns", name, "over"), &c.Over)
			p.Columns[name] = c
		}
	}
}

// LaunchFile is a file that belongs to a job.
type LaunchFile struct {
	// Name may contain {id}, which is replaced with the number of the point.
	Name string `json:"name"`
	// Point reports whether there is a separate file for each point.
	Point bool `json:"point,omitempty"`
	// Quote is the style in which values are quoted.
	Quote      string `json:"quote"`
	Executable bool   `json:"executable,omitempty"`
	// Most is the maximum size in bytes, or 0 for no limit.
	Most int64 `json:"most,omitempty"`
	// Text is the template for the file's content.
	Text string `json:"text"`
}

// Fabric is a network between nodes.
type Fabric struct {
	Doc    string `json:"doc"`
	Source string `json:"source"`
	// Env contains templates for environment variables.
	Env map[string]string `json:"env"`
	// Nodes is the default number of nodes that the network connects, or 0 for any number.
	Nodes int64 `json:"nodes,omitempty"`
	// Resources contains the amounts that a scheduler must allocate for the network, keyed by
	// resource name.
	Resources map[string]string `json:"resources,omitempty"`
}

// LaunchCheck is a check that runs on each node. Message and Script are templates.
type LaunchCheck struct {
	Message string `json:"message"`
	Script  string `json:"script"`
	// If All is set, the check also applies to programs other than nixlbench.
	All bool `json:"all,omitempty"`
}

// LaunchRefusal describes jobs that would fail. Message and Hint are templates for the
// reason and a hint. The reason is empty if a job would not fail.
type LaunchRefusal struct {
	Message string `json:"message"`
	Hint    string `json:"hint"`
}
