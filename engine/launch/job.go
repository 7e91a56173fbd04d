package launch

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// Format is a job format with compiled templates.
type Format struct {
	*schema.LaunchFormat
	Name    string
	schema  *schema.Schema
	files   []*template.Template
	fabrics map[string][]variable
	checks  [][2]*template.Template // message and script
	refuse  [][2]*template.Template // message and hint
	options []string
}

// variable is an environment variable that jobs set for a fabric.
type variable struct {
	name  string
	value *template.Template
}

// NewFormat compiles the templates of a format.
func NewFormat(s *schema.Schema, name string) (*Format, error) {
	l := s.Launch.Get()
	f := &Format{LaunchFormat: l.Formats[name], Name: name, schema: s, fabrics: map[string][]variable{}}
	if f.LaunchFormat == nil {
		return nil, fmt.Errorf("unknown format %q: expected one of %s", name, strings.Join(schema.Keys(l.Formats), ", "))
	}
	var errs diag.List
	add := func(name, text, quote string, parts map[string]string) *template.Template {
		t, err := compile(name, text, quote, parts)
		errs.Add(err)
		if err == nil && !strings.HasPrefix(name, "refusals[") {
			f.options = append(f.options, options(t)...)
		}
		return t
	}
	for _, file := range f.Files {
		var parts map[string]string
		if file.Quote == "shell" {
			parts = l.Parts
		}
		f.files = append(f.files, add(file.Name, file.Text, file.Quote, parts))
	}
	checks := l.Checks
	if p := f.Program; p != nil {
		every := slices.DeleteFunc(slices.Clone(checks), func(c schema.LaunchCheck) bool { return !c.All })
		checks = slices.Concat(p.Checks, every)
	}
	for i, c := range checks {
		at := fmt.Sprintf("checks[%d]", i)
		f.checks = append(f.checks, [2]*template.Template{add(at, c.Message, "text", nil), add(at, c.Script, "shell", nil)})
	}
	if f.Program != nil { // the program does not use the network
		return f, errs.Err()
	}
	for i, r := range l.Refusals {
		at := fmt.Sprintf("refusals[%d]", i)
		f.refuse = append(f.refuse, [2]*template.Template{add(at, r.Message, "text", nil), add(at, r.Hint, "text", nil)})
	}
	for _, fabric := range schema.Keys(l.Fabrics) {
		env := l.Fabrics[fabric].Env
		for _, name := range schema.Keys(env) {
			f.fabrics[fabric] = append(f.fabrics[fabric], variable{name, add(fabric+"."+name, env[name], raw, nil)})
		}
	}
	f.options = append(f.options, "fabric")
	if f.Nodes > 0 {
		f.options = append(f.options, "nodes")
	}
	if f.Reads("hosts") { // spread counts the hosts instead
		f.options = slices.DeleteFunc(f.options, func(o string) bool { return o == "nodes" })
	}
	return f, errs.Err()
}

// Reads reports whether an option of the launch section affects the files of the format.
func (f *Format) Reads(option string) bool { return slices.Contains(f.options, option) }

// Job is the data that templates read.
type Job struct {
	Release string
	Program []string
	Launch  map[string]any
	Nodes   int64
	// Resources lists the network resources that the scheduler must allocate.
	Resources []Variable
	Mounts    []Mount
	Env       []Variable
	Checks    []Check
	Flags     []string
	Folders   []Folder
	Secrets   []string // environment variables
	Points    []*Point
	Point     *Point // set only in files that are for one point

	has map[string]bool
}

// Has reports whether the job's release of nixlbench has a flag.
func (j *Job) Has(flag string) bool { return j.has[flag] }

// Folder is a folder in which runs leave files. The names of the files match Pattern. The
// files of one run take up Disk bytes.
type Folder struct {
	Dir, Pattern string
	Disk         int64
}

// add adds a point's secrets and folder to the job. Each run overwrites the files of
// earlier runs, so the job only needs disk space for the run with the largest files.
func (j *Job) add(p *Point) {
	for _, s := range p.Secrets {
		if !slices.Contains(j.Secrets, s.Variable) {
			j.Secrets = append(j.Secrets, s.Variable)
		}
	}
	if p.folder.Disk == 0 {
		return
	}
	i := slices.IndexFunc(j.Folders, func(f Folder) bool { return f.Dir == p.folder.Dir && f.Pattern == p.folder.Pattern })
	if i < 0 {
		j.Folders = append(j.Folders, p.folder)
		return
	}
	j.Folders[i].Disk = max(j.Folders[i].Disk, p.folder.Disk)
}

// Mount makes a folder from the node, or a named volume, available in a container.
type Mount struct {
	Source, Target string
	Path           bool // whether the source is a path
	ReadOnly       bool
}

// mounts parses a list such as /mnt/a:/data:ro,volume:/data2.
func mounts(text string) []Mount {
	var out []Mount
	for _, item := range list(text) {
		words := append(strings.SplitN(item, ":", 3), "", "")
		m := Mount{Source: words[0], Target: cmp.Or(words[1], words[0]), ReadOnly: words[2] == "ro"}
		m.Path = strings.HasPrefix(m.Source, "/") || strings.HasPrefix(m.Source, ".") || strings.HasPrefix(m.Source, "~")
		out = append(out, m)
	}
	return out
}

// Variable is an environment variable, or anything else that has a name and a value.
type Variable struct{ Name, Value string }

// Check is a check that a job runs on its nodes.
type Check struct{ Message, Script string }

// Point is one run of a plan.
type Point struct {
	ID                             string
	Args                           []string
	Flags                          []PointFlag
	Secrets                        []Secret
	Processes, Initiators, Targets int
	Etcd                           bool
	Timeout                        int64
	Memory                         int64
	Dir                            string
	Entry                          Entry

	plan   *plan.Plan
	values map[string]formula.Value
	folder Folder
	side   int64 // the memory that a node needs if initiators and targets are on different nodes
}

// PointFlag is a nixlbench flag that a point sets.
type PointFlag struct {
	Name  string
	Value any
}

// Secret is a flag with a secret value. Where the job runs, the environment variable named
// Variable contains the value. Flag is the flag as a word of the command, or "" if
// nixlbench reads the variable itself.
type Secret struct{ Flag, Variable string }

// Flag returns the value of a nixlbench flag.
func (p *Point) Flag(name string) any {
	for _, f := range p.plan.Flags {
		if f.Name == name {
			return plain(f.Value)
		}
	}
	return ""
}

// Given is like Flag, but returns "" if the user did not set the flag.
func (p *Point) Given(name string) any {
	for _, f := range p.plan.Flags {
		if f.Name == name && f.From == fit.Given {
			return plain(f.Value)
		}
	}
	return ""
}

// Value returns a value that the format's program defines for the point.
func (p *Point) Value(name string) (any, error) {
	v, ok := p.values[name]
	if !ok {
		return nil, fmt.Errorf("unknown value %q", name)
	}
	return plain(v), nil
}

// plain converts a value to the type that templates use.
func plain(v formula.Value) any {
	switch n, whole := v.Num.Int64(); {
	case v.Kind == formula.Bool:
		return v.Bool
	case v.Kind == formula.Num && whole:
		return n
	}
	return v.Text()
}

// Input contains everything that a job depends on.
type Input struct {
	Plans   []*plan.Plan
	Repeat  int
	Release string
	Program []string
	// Launch contains the options that are set.
	Launch map[string]data.Fact
	Build  runner.Build
	// Skip reports whether a run is already done.
	Skip func(hash string) bool
	// Timeout is the time limit of a run in seconds. Zero means the default, and a negative
	// value means no limit.
	Timeout int64
}

// maxRuns is the maximum number of runs in a job.
const maxRuns = 10_000

// Job returns the job for the input, without rendering its files.
func (f *Format) Job(in *Input) (*Job, error) {
	if n := in.Repeat * len(in.Plans); n > maxRuns {
		return nil, diag.Usagef("there are %d runs, but a job can have at most %d", n, maxRuns).WithHint("write several jobs, or use a smaller --repeat")
	}
	j := &Job{Release: in.Release, Program: in.Program, Launch: map[string]any{}, Nodes: 1, has: map[string]bool{}}
	for i := range f.schema.LaunchFields.Get() {
		field := &f.schema.LaunchFields.Get()[i]
		switch v, ok := in.Launch[field.Var]; {
		case ok:
			j.Launch[field.Var] = plain(v.Value)
		case field.Type.Kinds == schema.KindWhole:
			j.Launch[field.Var] = int64(0)
		default:
			j.Launch[field.Var] = ""
		}
	}
	for _, flag := range f.schema.Nixlbench.FlagsOf(in.Release) {
		j.has[flag.Name] = true
	}
	if err := f.checkNeeds(in); err != nil {
		return nil, err
	}
	if err := f.settable(in, j); err != nil {
		return nil, err
	}
	session := &runner.Session{Schema: f.schema, Build: in.Build}
	meets := f.schema.Launch.Get().Meets
	for repeat := range in.Repeat {
		for _, pl := range in.Plans {
			if in.Skip(runner.HashBy(f.programName(), pl, repeat+1)) {
				continue
			}
			p := &Point{ID: fmt.Sprintf("%04d", len(j.Points)+1), plan: pl}
			if err := p.determine(session, in, f.Program, repeat+1, meets); err != nil {
				return nil, err
			}
			j.Points = append(j.Points, p)
		}
	}
	for _, p := range j.Points {
		if p.Processes > 1 {
			j.Nodes = 2
		}
		for _, flag := range p.Flags {
			if !slices.Contains(j.Flags, flag.Name) {
				j.Flags = append(j.Flags, flag.Name)
			}
		}
		if p.Etcd || p.Processes > 1 {
			for _, name := range meets {
				if j.has[name] && !slices.Contains(j.Flags, name) && p.Flag(name) != "" {
					j.Flags = append(j.Flags, name)
				}
			}
		}
	}
	slices.Sort(j.Flags)
	if err := f.spread(in, j); err != nil {
		return nil, err
	}
	for _, p := range j.Points {
		j.add(p)
		if j.Nodes > 1 && p.Processes > 1 {
			p.Memory = p.side
		}
	}
	return j, f.surround(j)
}

// spread determines the number of nodes. If initiators and targets are on different
// nodes, each side gets half of the nodes.
func (f *Format) spread(in *Input, j *Job) error {
	if n, _ := j.Launch["nodes"].(int64); n > 0 {
		j.Nodes = n
	} else {
		if f.Nodes > 0 {
			j.Nodes = min(j.Nodes, f.Nodes)
		}
		if n := j.fabric(f.schema); n != nil && n.Nodes > 0 {
			j.Nodes = min(j.Nodes, n.Nodes)
		}
	}
	if hosts, _ := j.Launch["hosts"].(string); f.Reads("hosts") {
		j.Nodes = int64(max(len(list(hosts)), 1))
	}
	if f.Nodes > 0 && j.Nodes > f.Nodes {
		return in.Launch["nodes"].Origin.Errorf("--format %s runs on at most %s, not on %d", f.Name, count(f.Nodes, "node"), j.Nodes).
			WithHint("use another format for more than one node")
	}
	if j.Nodes <= 2 {
		return nil
	}
	half := int(j.Nodes / 2)
	for _, p := range j.Points {
		if p.Processes > 1 && (j.Nodes%2 != 0 || p.Initiators%half != 0 || p.Targets%half != 0) {
			return diag.Errorf(diag.Pos{}, "a run with %s and %s cannot be divided evenly over %d nodes", count(int64(p.Initiators), "initiator"),
				count(int64(p.Targets), "target"), j.Nodes).
				WithHint("use 1 or 2 nodes, or an even number: the initiators must divide evenly over one half of the nodes, and the targets over the other")
		}
	}
	return nil
}

// fabric returns the network between the nodes, or nil if it was not specified.
func (j *Job) fabric(s *schema.Schema) *schema.Fabric {
	name, _ := j.Launch["fabric"].(string)
	return s.Launch.Get().Fabrics[name]
}

// count formats a number with a noun, such as "2 nodes".
func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// checkNeeds checks that all options that the format requires are set.
func (f *Format) checkNeeds(in *Input) error {
	var errs diag.List
	for _, option := range f.Needs {
		if _, ok := in.Launch[option]; !ok {
			field := f.schema.Field(schema.LaunchSection + "." + option)
			errs = append(errs, diag.Usagef("--format %s needs --%s", f.Name, field.Flag).WithHint("%s", field.Doc))
		}
	}
	return errs.Err()
}

// refused returns the reason why a job would fail, or nil if there is none.
func (f *Format) refused(j *Job) error {
	for _, r := range f.refuse {
		message, err := render(r[0], j)
		if err != nil {
			return err
		}
		hint, err := render(r[1], j)
		if err != nil {
			return err
		}
		if text := strings.TrimSpace(string(message)); text != "" {
			return diag.Errorf(diag.Pos{}, "%s", text).WithHint("%s", strings.TrimSpace(string(hint)))
		}
	}
	return nil
}

// programName returns the name of the program that runs in place of nixlbench, or "".
func (f *Format) programName() string {
	if f.Program == nil {
		return ""
	}
	return f.Program.Name
}

// settable checks that the release has the flags that the format sets, and that the user
// did not set them.
func (f *Format) settable(in *Input, j *Job) error {
	for _, name := range f.Sets {
		if flag := f.schema.Nixlbench.Flags[name]; !j.has[name] {
			return diag.Errorf(diag.Pos{}, "--format %s needs --%s, which nixlbench %s does not have", f.Name, name, in.Release).
				WithHint("nixlbench %s has this flag; use --nixlbench_release or another format", f.schema.Nixlbench.SpanOfFlag(flag))
		}
		for _, pl := range in.Plans {
			if (&Point{plan: pl}).Given(name) != "" {
				return diag.Usagef("--%s cannot be combined with --format %s, which sets it", name, f.Name).WithHint("use another format")
			}
		}
	}
	return nil
}

// determine sets the fields of a point that depend on its plan.
func (p *Point) determine(session *runner.Session, in *Input, program *schema.Program, repeat int, meets []string) error {
	run, err := session.Plan(p.plan, program)
	if err != nil {
		return err
	}
	p.Processes, p.Initiators, p.Targets = run.Processes, run.Initiators, run.Targets
	p.Etcd = run.Etcd != ""
	p.Memory, p.side = run.Memory, run.Side
	p.Dir, p.values = cmp.Or(run.Dir, "."), run.Values
	p.folder = Folder{p.Dir, run.Pattern, run.Disk}
	p.Timeout = max(in.Timeout, 0)
	if in.Timeout == 0 {
		p.Timeout = run.Timeout
	}
	var flags []fit.Flag
	for _, flag := range p.plan.Flags {
		switch {
		case !flag.Emit || slices.Contains(meets, flag.Name):
		case flag.Secret && flag.Env != "":
			p.Secrets = append(p.Secrets, Secret{Variable: flag.Env})
		case flag.Secret:
			p.Secrets = append(p.Secrets, Secret{"--" + flag.Name, "KVBENCH_" + strings.ToUpper(flag.Name)})
		default:
			flags = append(flags, flag)
			p.Flags = append(p.Flags, PointFlag{flag.Name, plain(flag.Value)})
		}
	}
	p.Args = slices.Concat(nixlbench.Args(flags)...)
	record := runner.NewRecord(p.plan, repeat, nil)
	record.Build = in.Build
	if program != nil {
		record.SetProgram(p.plan, program.Name)
	}
	record.SetFlags(p.plan, p.plan.Flags)
	record.Timeout = float64(p.Timeout)
	p.Entry = Entry{ID: p.ID, Processes: p.Processes, Initiators: p.Initiators, Targets: p.Targets, Record: record}
	return nil
}

// surround sets the parts of a job that surround its points, such as the environment and
// the checks. It returns an error if the job would fail.
func (f *Format) surround(j *Job) error {
	if text, _ := j.Launch["mounts"].(string); f.Reads("mounts") {
		j.Mounts = mounts(text)
	}
	if text, _ := j.Launch["resources"].(string); text != "" {
		j.Resources = pairs(text)
	} else if n := j.fabric(f.schema); n != nil {
		for _, name := range schema.Keys(n.Resources) {
			j.Resources = append(j.Resources, Variable{name, n.Resources[name]})
		}
	}
	name, _ := j.Launch["fabric"].(string)
	for _, v := range f.fabrics[name] {
		value, err := render(v.value, j)
		if err != nil {
			return err
		}
		if len(value) > 0 {
			j.Env = append(j.Env, Variable{v.name, string(value)})
		}
	}
	for _, c := range f.checks {
		message, err := render(c[0], j)
		if err != nil {
			return err
		}
		script, err := render(c[1], j)
		if err != nil {
			return err
		}
		if text := strings.TrimSpace(string(script)); text != "" {
			j.Checks = append(j.Checks, Check{string(message), text})
		}
	}
	return f.refused(j)
}

// File is a file of a job.
type File struct {
	Name       string
	Text       []byte
	Executable bool
}

// Render returns the files of a job.
func (f *Format) Render(j *Job) ([]File, error) {
	if len(j.Points) == 0 {
		return nil, errors.New("there is nothing to run")
	}
	manifest, err := manifest(j)
	if err != nil {
		return nil, err
	}
	files, err := f.texts(j, j.Points)
	if err != nil {
		return nil, err
	}
	return append([]File{{Name: ManifestName, Text: manifest}}, files...), nil
}

// texts returns the files of a job except the manifest. It includes the files of a point
// only if the point is one of the given points.
func (f *Format) texts(j *Job, of []*Point) ([]File, error) {
	var files []File
	for i, file := range f.Files {
		points := j.Points[:1]
		if file.Point {
			points = of
		}
		for _, p := range points {
			job := *j
			if file.Point {
				job.Point = p
			}
			text, err := render(f.files[i], &job)
			if err != nil {
				return nil, err
			}
			if file.Most > 0 && int64(len(text)) > file.Most {
				return nil, diag.Errorf(diag.Pos{}, "%s would be %d bytes long, but --format %s allows at most %d", file.Name, len(text), f.Name, file.Most).
					WithHint("write several jobs with fewer runs; this job has %d", len(j.Points))
			}
			if !bytes.HasSuffix(text, []byte("\n")) {
				text = append(text, '\n')
			}
			files = append(files, File{strings.ReplaceAll(file.Name, "{id}", p.ID), text, file.Executable})
		}
	}
	return files, nil
}

// Unused returns the options in the input that the format reads but that do not change this
// job. For example, network devices do not change a job without a fabric that uses them.
func (f *Format) Unused(in *Input, j *Job) ([]string, error) {
	files, err := f.texts(j, j.Points[:1])
	if err != nil {
		return nil, err
	}
	var unused []string
	for i := range f.schema.LaunchFields.Get() {
		field := &f.schema.LaunchFields.Get()[i]
		// The nodes option always has an effect, because every job has a number of nodes.
		if _, ok := in.Launch[field.Var]; ok && f.Reads(field.Var) && field.Var != "nodes" && !f.changes(j, field, files) {
			unused = append(unused, field.Var)
		}
	}
	return unused, nil
}

// changes reports whether another value of an option would change the files of the job.
func (f *Format) changes(j *Job, field *schema.Field, files []File) bool {
	var others []any
	for _, v := range field.Values() {
		others = append(others, v)
	}
	if len(others) == 0 {
		switch v := j.Launch[field.Var].(type) {
		case int64:
			others = []any{int64(0), v + 1}
		case string:
			others = []any{"", v + "x"}
		}
	}
	return slices.ContainsFunc(others, func(v any) bool {
		other := *j
		other.Launch = maps.Clone(j.Launch)
		other.Launch[field.Var] = v
		other.Mounts, other.Resources, other.Env, other.Checks = nil, nil, nil, nil
		if f.surround(&other) != nil {
			return true
		}
		texts, err := f.texts(&other, other.Points[:1])
		return err != nil || !slices.EqualFunc(texts, files, func(a, b File) bool { return bytes.Equal(a.Text, b.Text) })
	})
}
