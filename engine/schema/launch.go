package schema

import "slices"

// LaunchSection is the section of a configuration that describes its job.
const LaunchSection = "launch"

// Launch describes the jobs that launch writes.
type Launch struct {
	Formats map[string]*LaunchFormat `json:"formats"`
	// Parts are templates that files include by name.
	Parts map[string]string `json:"parts"`
	// Meets lists the nixlbench flags by which the processes of a run find each
	// other; jobs set them.
	Meets []string `json:"meets"`
	// Noise are regular expressions for lines of programs that start processes.
	Noise   []string           `json:"noise"`
	Fabrics map[string]*Fabric `json:"fabrics"`
	Checks  []LaunchCheck      `json:"checks"`
	// Refusals describe plans that no job can run.
	Refusals []LaunchRefusal `json:"refusals"`
}

// LaunchFormat describes the files of a job.
type LaunchFormat struct {
	Doc string `json:"doc"`
	// Sets lists the nixlbench flags that the files set.
	Sets []string `json:"sets,omitempty"`
	// Needs lists the options that must be set.
	Needs []string `json:"needs,omitempty"`
	// Nodes is the maximum number of nodes, or 0 for no limit.
	Nodes int64 `json:"nodes,omitempty"`
	// Program is the program that runs in place of nixlbench, or nil.
	Program *Program     `json:"program,omitempty"`
	Files   []LaunchFile `json:"files"`
}

// Program is a program that does the I/O of a plan in place of nixlbench.
type Program struct {
	Name string `json:"name"`
	// Files is a pattern for the names of its files.
	Files   string             `json:"files"`
	Values  map[string]Formula `json:"values"`
	Refuses []Refusal          `json:"refuses"`
	Notes   []ProgramNote      `json:"notes"`
	Checks  []LaunchCheck      `json:"checks"`
	// Version and Error are paths in the JSON that it prints.
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

// Moved describes how many bytes a program has moved, as the sum of the values at some paths,
// and how many the plan moves.
type Moved struct {
	Sum     [][]string `json:"sum"`
	Planned Formula    `json:"planned"`
}

// ProgramColumn is a column of a program's row. It is a sum, divided by Over.
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

// LaunchFile is a file of a job.
type LaunchFile struct {
	// Name may contain {id}, the number of the point.
	Name string `json:"name"`
	// Point reports whether there is one for each point.
	Point bool `json:"point,omitempty"`
	// Quote is how values are quoted.
	Quote      string `json:"quote"`
	Executable bool   `json:"executable,omitempty"`
	// Most is the maximum size in bytes, or 0 if there is none.
	Most int64 `json:"most,omitempty"`
	// Text is a template.
	Text string `json:"text"`
}

// Fabric is a network between nodes.
type Fabric struct {
	Doc    string `json:"doc"`
	Source string `json:"source"`
	// Env contains templates of environment variables.
	Env map[string]string `json:"env"`
	// Nodes is the default number of nodes that it connects, or 0 for any.
	Nodes int64 `json:"nodes,omitempty"`
	// Resources are what a scheduler must allocate for the network: amounts by name.
	Resources map[string]string `json:"resources,omitempty"`
}

// LaunchCheck is a check on a node: templates of a message and of a script.
type LaunchCheck struct {
	Message string `json:"message"`
	Script  string `json:"script"`
	// All reports whether it also applies to programs other than nixlbench.
	All bool `json:"all,omitempty"`
}

// LaunchRefusal describes jobs that would fail, by templates of the reason and of a hint. The
// reason is empty if the job would not fail.
type LaunchRefusal struct {
	Message string `json:"message"`
	Hint    string `json:"hint"`
}
