package schema

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
	// Refusals are plans that no job can run.
	Refusals []LaunchRefusal `json:"refusals"`
}

// LaunchFormat describes the files of a job.
type LaunchFormat struct {
	Doc string `json:"doc"`
	// Sets lists the nixlbench flags that the files set.
	Sets []string `json:"sets,omitempty"`
	// Needs lists the options that must be set.
	Needs []string `json:"needs,omitempty"`
	// Nodes is the maximum number of nodes, or 0 if there is none.
	Nodes int64        `json:"nodes,omitempty"`
	Files []LaunchFile `json:"files"`
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
	// Resources are what a scheduler hands out to those who use the network: their amounts,
	// by name.
	Resources map[string]string `json:"resources,omitempty"`
}

// LaunchCheck is a check on a node: templates of a message and of a script.
type LaunchCheck struct {
	Message string `json:"message"`
	Script  string `json:"script"`
}

// LaunchRefusal is a job that would fail: templates of the reason, which is empty if it
// would not, and of a hint.
type LaunchRefusal struct {
	Message string `json:"message"`
	Hint    string `json:"hint"`
}
