package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/launch"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

const groupJob = "The job"

// launchCmd writes jobs.
func (a *app) launchCmd() *command {
	flags := append(a.commonFlags(),
		&flagSpec{name: "format", arg: "FORMAT", group: groupJob, pref: true, values: a.schema.LaunchFormats, help: "How the job starts the runs"},
		&flagSpec{name: "output", short: "o", arg: "DIR", group: groupJob, help: "Folder to write the job to. It must not exist yet"},
		&flagSpec{name: "resume", arg: "FILE", group: groupJob, help: "Omit the runs that this results file already contains"},
		&flagSpec{name: "repeat", arg: "N", more: true, group: groupJob, def: "1", help: "Run every plan N times, in turn"},
		&flagSpec{name: "timeout", arg: "TIME", more: true, group: groupJob, help: "Time limit for a run, such as 90s or 10m, or none. The default is 10 minutes plus the time to move the run's data at 10 MB/s"},
		&flagSpec{name: "fit", bool: true, more: true, group: groupJob, def: "true", help: "Adjust values you did not set until nixlbench accepts the plan"})
	for i := range a.schema.LaunchFields.Get() {
		f := &a.schema.LaunchFields.Get()[i]
		spec := &flagSpec{name: f.Flag, arg: "TEXT", group: groupJob, help: f.Doc, values: f.Values(), more: f.More}
		if f.Type.Kinds == schema.KindWhole {
			spec.arg = "N"
		}
		flags = append(flags, spec)
	}
	program := programFlag()
	program.group, program.more = groupJob, true
	flags = append(flags, program, a.releaseFlag("the newest final release"), releasesFlag())
	return &command{
		name:  "launch",
		axes:  true,
		short: "Write a job that runs plans on a cluster or another machine",
		flags: append(flags, a.benchFlags()...),
		exec:  a.launch,
	}
}

func (a *app) launch(_ context.Context, c *command) error {
	var errs diag.List
	in := &launch.Input{Build: version()}
	name, err := c.choice("format")
	if errs.Add(err); err == nil && name == "" {
		errs = append(errs, diag.Usagef("--format is missing: specify what starts the job").WithHint("formats: %s", c.flag("format").listed(a.schema)))
	}
	dir, from, ok := c.value("output")
	if !ok {
		errs = append(errs, diag.Usagef("--output is missing: specify the folder to write the job to"))
	} else if dir == "" {
		errs = append(errs, from.Errorf("\"\" is not allowed: expected the name of a folder"))
	}
	dir = filepath.Clean(dir)
	in.Repeat, err = c.count("repeat")
	errs.Add(err)
	if limit, err := c.timeout(); limit < 0 {
		in.Timeout = -1
	} else {
		errs.Add(err)
		in.Timeout = int64((limit + time.Second - 1) / time.Second)
	}
	fit, err := c.boolean("fit")
	errs.Add(err)
	in.Program, err = c.program()
	if isBuiltin(in.Program) {
		_, from, _ := c.value(nixlbenchName)
		err = from.Errorf("%s is allowed only for runs on this machine", builtinName)
	}
	errs.Add(err)
	release, where, err := c.namedRelease(a.schema)
	errs.Add(err)
	if len(errs) > 0 {
		return errs
	}
	if _, err := os.Lstat(dir); err == nil {
		return folderIsThere(dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return cannotWrite(dir, err)
	}
	if in.Skip, err = a.finished(c); err != nil {
		return err
	}
	if in.Release = release; release == "" {
		in.Release, where = a.schema.Nixlbench.Newest(), "the default of --nixlbench_release"
	}
	format, err := launch.NewFormat(a.schema, name)
	if err != nil {
		return err
	}
	p, err := a.plans(c, in.Release, where, fit)
	if err != nil {
		return err
	}
	for _, pt := range p.list {
		if pt.refused != nil {
			p.failed = true
			continue
		}
		in.Plans = append(in.Plans, pt.Plan)
	}
	if in.Launch, err = a.launchOptions(c); err != nil {
		return err
	}
	for _, option := range schema.Keys(in.Launch) {
		if !format.Reads(option) {
			a.printOnce([]*diag.Diag{a.noEffect(in, option, "--format "+name)})
		}
	}
	if _, _, ok := c.value(nixlbenchName); ok && format.Program != nil {
		a.printOnce([]*diag.Diag{diag.Notef(diag.Pos{}, "--%s has no effect, because --format %s does not use it", nixlbenchName, name)})
	}
	if format.Program != nil {
		a.noteIgnored(in, format)
	}
	if len(in.Plans) == 0 {
		return errShown
	}
	if err := a.writeJob(format, in, dir); err != nil {
		return err
	}
	if p.failed {
		return errShown
	}
	return nil
}

// listed returns a list of the formats, with a description of each.
func (f *flagSpec) listed(s *schema.Schema) string {
	text := ""
	for i, name := range f.values {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s (%s)", name, s.Launch.Get().Formats[name].Doc)
	}
	return text
}

// finished returns a function that reports whether the --resume file contains a successful
// result with a given hash. The function uses each result only once.
func (a *app) finished(c *command) (func(hash string) bool, error) {
	file, from, ok := c.value("resume")
	if !ok {
		return func(string) bool { return false }, nil
	}
	if file == "" {
		return nil, from.Errorf("\"\" is not allowed: expected the name of a results file")
	}
	done, bad, err := runner.Done(file, a.guard.watch)
	if err != nil {
		return nil, err
	}
	for _, d := range diag.All(bad) {
		d.Severity = diag.Warning
		a.print.Print(d)
	}
	return func(hash string) bool {
		done[hash]--
		return done[hash] >= 0
	}, nil
}

// launchOptions returns the launch options of all configurations. Because all
// configurations become one job, their options must not contradict each other.
func (a *app) launchOptions(c *command) (map[string]data.Fact, error) {
	configs, _ := a.configs(c) // prepare reports the error
	options := map[string]data.Fact{}
	of := map[string]*config.Config{}
	for _, cfg := range configs {
		for _, name := range schema.Keys(cfg.Launch) {
			v := cfg.Launch[name]
			if other, ok := options[name]; ok && other.Text() != v.Text() {
				return nil, v.Origin.Errorf("%s.%s is %s here and %s in %s, but a job can have only one value", schema.LaunchSection, name,
					diag.Printable(v.Text()), diag.Printable(other.Text()), diag.Printable(of[name].File)).
					WithHint("set it with --%s, or write a job for each configuration", a.launchField(name).Flag)
			}
			options[name], of[name] = v, cfg
		}
	}
	return options, nil
}

// writeJob writes the folder of a job atomically.
func (a *app) writeJob(format *launch.Format, in *launch.Input, dir string) error {
	job, err := format.Job(in)
	if err != nil {
		return err
	}
	if len(job.Points) == 0 {
		a.print.Print(diag.Notef(diag.Pos{}, "every run is already done; nothing written"))
		return nil
	}
	unused, err := format.Unused(in, job)
	if err != nil {
		return err
	}
	for _, option := range unused {
		a.print.Print(a.noEffect(in, option, "this job").WithHint("%s", a.launchField(option).Doc))
	}
	files, err := format.Render(job)
	if err != nil {
		return err
	}
	a.endsGracefully() // so that an interrupt does not leave part of the folder behind
	temp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*.partial")
	if err != nil {
		return cannotWrite(dir, err)
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755); err != nil {
		return cannotWrite(dir, err)
	}
	for _, f := range files {
		mode := fs.FileMode(0o644)
		if f.Executable {
			mode = 0o755
		}
		to := filepath.Join(temp, filepath.FromSlash(f.Name))
		err := os.MkdirAll(filepath.Dir(to), 0o755)
		if err == nil {
			err = os.WriteFile(to, f.Text, mode)
		}
		if err != nil {
			return cannotWrite(filepath.Join(dir, f.Name), err)
		}
	}
	if _, err := os.Lstat(dir); err == nil {
		return folderIsThere(dir)
	}
	if err := os.Rename(temp, dir); err != nil {
		return cannotWrite(dir, err)
	}
	runs := "1 run"
	if n := len(job.Points); n != 1 {
		runs = fmt.Sprintf("%d runs", n)
	}
	what := nixlbenchName + " " + in.Release
	if format.Program != nil {
		what = format.Program.Name
	}
	_, err = fmt.Fprintf(a.stdout, "%s: %s, for %s; see %s\n", diag.Printable(dir), runs, what, diag.Printable(filepath.Join(dir, "README.md")))
	return err
}

func (a *app) launchField(option string) *schema.Field {
	return a.schema.Field(schema.LaunchSection + "." + option)
}

// noteIgnored prints a note on each nixlbench flag that the user set and that the format's
// program does not use.
func (a *app) noteIgnored(in *launch.Input, format *launch.Format) {
	for _, pl := range in.Plans {
		for _, name := range format.Program.Ignores {
			if v, ok := pl.Request.Flags[name]; ok && v.Origin.Given() {
				a.printOnce([]*diag.Diag{diag.Notef(v.Origin.Pos, "--%s has no effect, because --format %s does not use it", name, format.Name)})
			}
		}
	}
}

// noEffect returns a note that an option has no effect. The last argument is the format
// or the job that does not use the option.
func (a *app) noEffect(in *launch.Input, option, who string) *diag.Diag {
	from, what := in.Launch[option].Origin, a.launchField(option).Path
	if from.Pos.File == "" {
		what = from.String()
	}
	return diag.Notef(from.Pos, "%s has no effect, because %s does not use it", what, who)
}

func folderIsThere(dir string) error {
	return diag.Errorf(diag.Pos{File: dir}, "already exists; nothing written").WithHint("specify another folder with --output, or remove this one")
}
