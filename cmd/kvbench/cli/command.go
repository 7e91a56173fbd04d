package cli

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffcli"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/input"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

const envPrefix = "KVBENCH"

// command is a kvbench command.
type command struct {
	name  string
	words string // the arguments after the flags, as shown in the help; "" if there are none
	short string
	flags []*flagSpec
	// If axes is set, overrides and configurations can have several values.
	axes bool
	// If transfers is set, all plans are for transfers between ranks.
	transfers bool
	exec      func(context.Context, *command) error
	// complete returns candidates for the word after the given words.
	complete func(words []string) []string

	given map[string]bool // flags set on the command line
	set   map[string]bool // flags set on the command line, in the environment, or as preferences
	args  []string        // arguments that do not belong to a flag
	// logged contains configuration values that were found in a log rather than set by the
	// user.
	logged []config.Override
	// without contains the nixlbench flags to omit from the command, because the release
	// does not accept them and, with the given settings, would not use them anyway.
	without map[string]bool
}

// ffcli converts the command to a command of the flag library. It passes only the flags
// that can have a value: flags on the command line or in the environment, and
// preferences.
func (c *command) ffcli() *ffcli.Command {
	fs := flag.NewFlagSet(program+" "+c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	for _, f := range c.flags {
		if c.given[f.name] || f.pref || os.Getenv(envPrefix+"_"+strings.ToUpper(f.name)) != "" {
			fs.Var(f, f.name, f.help)
		}
	}
	return &ffcli.Command{
		Name:       c.name,
		ShortUsage: c.synopsis(),
		ShortHelp:  c.short,
		FlagSet:    fs,
		Options: []ff.Option{
			ff.WithEnvVarPrefix(envPrefix),
			ff.WithConfigFileFlag("config"),
			ff.WithConfigFileParser(c.preferences),
		},
		Exec: func(ctx context.Context, args []string) error {
			c.args = args
			c.set = map[string]bool{}
			fs.Visit(func(f *flag.Flag) { c.set[f.Name] = true })
			if err := c.checkNames(); err != nil {
				return err
			}
			if err := c.checkOutput(); err != nil {
				return err
			}
			return c.exec(ctx, c)
		},
	}
}

// pathArgs describes the value of each kind of flag that takes a path.
var pathArgs = map[string]string{"FILE": "the name of a file", "DIR": "the name of a folder", "GLOB": "a pattern for file names"}

// checkNames rejects empty paths. An empty path is probably the result of a mistake, such as
// a shell variable that is not set.
func (c *command) checkNames() error {
	var errs diag.List
	for _, f := range c.flags {
		if want := pathArgs[f.arg]; want != "" && c.set[f.name] && slices.Contains(f.text, "") {
			_, from, _ := c.value(f.name)
			errs = append(errs, from.Errorf("\"\" is not allowed: expected %s", want))
		}
	}
	return errs.Err()
}

// checkOutput checks where the command writes its results. It rejects "-", because
// kvbench does not use it as a name for stdout. It also returns an error if a page would be
// written to a terminal.
func (c *command) checkOutput() error {
	out, from, ok := c.value("output")
	if ok && out == "-" {
		if c.flag("output").arg == "DIR" {
			return from.Errorf("\"-\" is not allowed: expected the name of a folder")
		}
		return from.Errorf("\"-\" is not allowed: expected the name of a file").WithHint("for stdout, use /dev/stdout")
	}
	if !c.isPage() || ok || !isTerminal(os.Stdout) {
		return nil
	}
	_, from, _ = c.value("format")
	d := from.Errorf("%s is a page for a browser, but stdout is a terminal", pageFormat)
	if c.flag("output").name == "" {
		return d.WithHint("redirect the page to a file: > page.%s", pageFormat)
	}
	return d.WithHint("write the page to a file: --output page.%s", pageFormat)
}

// maxPreferences is the maximum size of the preferences file, in bytes.
const maxPreferences = 1 << 20

// preferences reads the preferences file. It accepts only flags that are
// preferences, so that the file cannot silently change a model or a run.
func (c *command) preferences(r io.Reader, set func(name, value string) error) error {
	var errs diag.List
	name := c.flag("config").String()
	rest := &io.LimitedReader{R: r, N: maxPreferences + 1}
	lines := bufio.NewScanner(rest)
	seen := map[string]bool{}
	n := 1
	for ; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		at := diag.Pos{File: name, Line: n}
		key, value := line, ""
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			key, value = line[:i], strings.TrimSpace(line[i:])
		}
		key = strings.ReplaceAll(key, "-", "_")
		i := slices.IndexFunc(c.flags, func(f *flagSpec) bool { return f.name == key && f.pref })
		if i < 0 {
			var prefs []string
			for _, f := range c.flags {
				if f.pref {
					prefs = append(prefs, f.name)
				}
			}
			d := diag.Errorf(at, "%q is not a preference for %s %s: expected one of %s", key, program, c.name, strings.Join(prefs, ", "))
			if prefs == nil {
				d = diag.Errorf(at, "%q is not a preference for %s %s, which does not have any", key, program, c.name)
			}
			d.Suggest(key, prefs)
			errs = append(errs, d)
			continue
		}
		if seen[key] && !c.flags[i].repeat {
			errs = append(errs, diag.Errorf(at, "%s is given twice", key))
			continue
		}
		seen[key] = true
		if err := set(key, value); err != nil {
			errs = append(errs, diag.Errorf(at, "%v", err))
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		errs = append(errs, diag.Errorf(diag.Pos{File: name, Line: n}, "this line is longer than %d KiB", bufio.MaxScanTokenSize>>10))
	case err != nil:
		errs = append(errs, diag.Errorf(diag.Pos{File: name}, "%v", diag.Cause(err)))
	case rest.N == 0:
		errs = append(errs, diag.Errorf(diag.Pos{File: name}, "is larger than %d MiB, but a preferences file needs only a few lines", maxPreferences>>20))
	}
	return errs.Err()
}

// parseError rewrites an error from the flag library.
func (c *command) parseError(err error) error {
	if list, ok := errors.AsType[diag.List](err); ok {
		return list
	}
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return diag.Errorf(diag.Pos{File: pe.Path}, "%v", pe.Err).About(diag.File, "")
	}
	return err
}

func (c *command) flag(name string) *flagSpec {
	i := slices.IndexFunc(c.flags, func(f *flagSpec) bool { return f.name == name })
	if i < 0 {
		return &flagSpec{}
	}
	return c.flags[i]
}

// value returns the text of a flag and where it was set.
func (c *command) value(name string) (string, data.Origin, bool) {
	if !c.set[name] {
		return "", data.Origin{}, false
	}
	env := envPrefix + "_" + strings.ToUpper(name)
	from := data.Origin{Kind: data.FromPrefs, Name: name + " in " + c.flag("config").String()}
	if c.given[name] {
		from = data.Origin{Kind: data.FromFlag, Name: name}
	} else if os.Getenv(env) != "" {
		from = data.Origin{Kind: data.FromEnv, Name: env}
	}
	return c.flag(name).String(), from, true
}

// noteUnused prints a note about each of these flags that is set on the command line,
// because the command does not use them with the given words.
func (a *app) noteUnused(c *command, words string, flags ...string) {
	for _, name := range flags {
		if c.given[name] {
			a.print.Print(diag.Notef(diag.Pos{}, "--%s has no effect on '%s %s %s'", name, program, c.name, words))
		}
	}
}

// boolean returns the value of a boolean flag.
func (c *command) boolean(name string) (bool, error) {
	text, from, ok := c.value(name)
	if !ok {
		text = c.flag(name).def
	}
	switch strings.ToLower(text) {
	case "":
		return false, nil
	case "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, from.Errorf("%q is not allowed: expected true or false", text)
}

// choice returns the value of a flag with a fixed list of values.
func (c *command) choice(name string) (string, error) {
	f := c.flag(name)
	text, from, ok := c.value(name)
	if !ok {
		return f.def, nil
	}
	if word := schema.Spelling(text, f.values); slices.Contains(f.values, word) {
		return word, nil
	}
	d := from.Errorf("%q is not allowed: expected one of %s", text, strings.Join(f.values, ", "))
	d.Suggest(text, f.values)
	return "", d
}

// configFiles returns the names of the configuration files: first the one from
// --model_config, then the files that match the patterns of --model_configs, sorted.
// If there are no files, it returns a list that contains only "".
func (c *command) configFiles() ([]string, error) {
	var files []string
	if file, _, ok := c.value("model_config"); ok {
		files = append(files, file)
	}
	var errs diag.List
	var matched []string
	_, from, _ := c.value("model_configs")
	for _, pattern := range c.flag("model_configs").text {
		found, wrong := input.Glob(pattern)
		if wrong != nil {
			wrong.Subject, wrong.Usage = from.String(), wrong.Usage && from.Kind == data.FromFlag
			errs = append(errs, wrong)
			continue
		}
		for _, f := range found {
			// A pipe that matches a pattern by chance must not block.
			if err := input.Regular(f); err != nil {
				errs.Add(err)
				continue
			}
			matched = append(matched, f)
		}
	}
	slices.Sort(matched)
	seen := map[string]bool{}
	var unique []string
	for _, f := range append(files, matched...) {
		if key := filepath.Clean(f); !seen[key] {
			seen[key] = true
			unique = append(unique, f)
		}
	}
	if len(unique) == 0 && len(errs) == 0 {
		unique = []string{""}
	}
	return unique, errs.Err()
}

// prepare reads the models and the configurations, and returns an item for each combination
// of a model, a configuration and the values of nixlbench's flags. If some items cannot be
// created, it returns the others along with an error.
func (a *app) prepare(c *command, planners *plan.Planners, detail bool, given map[string][]data.Fact) ([]plan.Item, error) {
	files := slices.DeleteFunc(slices.Clone(c.flag("model").text), func(f string) bool { return f == "" })
	if len(files) == 0 {
		return nil, diag.Usagef("--model is missing: specify the name or the file of a model").WithHint("run '%s models' to list the known models; docs/ describes the files", program)
	}
	expectMuch()
	var errs diag.List
	loader := a.loader()
	var err error
	loader.Download, err = c.boolean("download")
	errs.Add(err)
	var known []*model.Model
	a.awaits(files...)
	for _, file := range files {
		m, err := loader.Model(file, c.dirs())
		errs.Add(err)
		if err == nil {
			a.report(m.Notes.Err())
			known = append(known, m)
		}
	}
	configs, err := a.configs(c)
	errs.Add(err)
	var split []*config.Config
	flags := map[*config.Config]map[string][]data.Fact{}
	for _, cfg := range configs {
		values, err := c.flagsOf(a.schema, cfg, planners.Release, given)
		errs.Add(err)
		if err != nil {
			continue
		}
		for _, one := range plan.Split(cfg) {
			flags[one] = values
			split = append(split, one)
		}
	}

	var jobs []plan.Item
	told := map[string]bool{}
	drafters := &drafters{app: a, loader: loader, dirs: c.dirs()}
	for _, m := range known {
		for _, cfg := range split {
			values := flags[cfg]
			m, err := drafters.with(m, cfg)
			if err != nil {
				errs.Add(err)
				continue
			}
			cfg = cfg.With(m.Arch, m.Defaults)
			transfers := c.transfers || plan.Transfers(a.schema, cfg)
			if transfers {
				cfg = plan.ForTransfer(a.schema, m.Arch, cfg)
			}
			use := plan.UseOf(cfg)
			use.Transfer, use.Slowest = transfers, c.transfers
			if c.transfers && !use.Rank {
				errs.Add(plan.NotOfRanks(cfg))
				continue
			}
			if c.transfers {
				use.Names = a.transferNames(c)
			}
			use.Detail = detail || a.wantsOptional(c, cfg)
			done := a.guard.enter(m.File)
			planner, err := planners.For(m.Arch, use)
			done()
			if err != nil && !told[err.Error()] {
				told[err.Error()] = true
				errs.Add(err)
			}
			if planner != nil {
				requests, err := (&plan.Request{Model: m, Config: cfg}).WithFlags(&a.schema.Nixlbench, values)
				if errs.Add(err); err != nil {
					return nil, errs
				}
				for _, req := range requests {
					jobs = append(jobs, plan.Item{Request: req, Planner: planner})
				}
			}
		}
	}
	return jobs, errs.Err()
}

// wantsOptional reports whether a configuration sets a value that makes the
// command's view show an optional row.
func (a *app) wantsOptional(c *command, cfg *config.Config) bool {
	return slices.ContainsFunc(a.schema.View(c.name).Rows, func(r schema.Row) bool {
		i := slices.IndexFunc(a.schema.Quantities, func(q schema.Quantity) bool { return r.Optional && q.Name == r.Value })
		if i < 0 {
			return false
		}
		q := &a.schema.Quantities[i]
		names := append(q.Detail.Names(), q.TransferDetail.Names()...)
		return slices.ContainsFunc(names, func(name string) bool {
			v, ok := cfg.Values[name]
			return ok && v.Origin.Kind != data.FromDefault
		})
	})
}

// flagsOf returns the values of nixlbench's flags for a configuration: the values in given
// and, for other flags, the values in the configuration's sweep.
func (c *command) flagsOf(s *schema.Schema, cfg *config.Config, release string, given map[string][]data.Fact) (map[string][]data.Fact, error) {
	values := maps.Clone(given)
	if values == nil { // the command does not have nixlbench's flags
		return map[string][]data.Fact{}, nil
	}
	var own []*config.Knob
	for _, k := range cfg.Knobs {
		if _, ok := values[k.Flag.Name]; !ok {
			own = append(own, k)
		}
	}
	more, err := c.knobValues(s, release, own)
	if err != nil {
		return nil, err
	}
	maps.Copy(values, more)
	return values, nil
}

// configs returns the configurations, reading them on the first call.
func (a *app) configs(c *command) ([]*config.Config, error) {
	if !a.configured {
		a.configured = true
		a.known, a.knownErr = a.readConfigs(c)
	}
	return a.known, a.knownErr
}

func (a *app) readConfigs(c *command) ([]*config.Config, error) {
	loader := a.loader()
	var errs diag.List
	files, err := c.configFiles()
	errs.Add(err)
	a.awaits(files...)
	overrides := c.overrides(a.schema)
	var several diag.List
	for _, o := range overrides {
		if loader.HasSeveral(o) {
			several = append(several, o.Origin.Errorf("%q has several values, but '%s %s' accepts only one", o.Text, program, c.name).
				WithHint("select one, or see all with '%s plan'", program))
		}
	}
	if len(several) > 0 {
		return nil, append(errs, several...)
	}
	// Several files are read in parallel.
	type read struct {
		cfg *config.Config
		err error
	}
	reads := make([]read, len(files))
	var next atomic.Int64
	var all sync.WaitGroup
	work := func() {
		for i := next.Add(1) - 1; i < int64(len(files)); i = next.Add(1) - 1 {
			reads[i].cfg, reads[i].err = loader.Config(files[i], a.schema.View(c.name).Preset, c.name, overrides)
		}
	}
	if len(files) > 1 {
		for range min(runtime.GOMAXPROCS(0), len(files)) - 1 {
			all.Go(work)
		}
	}
	work()
	all.Wait()
	var list []*config.Config
	for _, r := range reads {
		cfg, err := r.cfg, r.err
		if err == nil && len(cfg.Axes) > 0 && !c.axes {
			axis := cfg.Axes[0]
			err = axis.Values[0].Origin.Errorf("%s has %d values, but '%s %s' accepts only one", axis.Field.Path, len(axis.Values), program, c.name).
				WithHint("select one with --%s, or see all with '%s plan'", axis.Field.Flag, program)
		}
		if err == nil && !c.axes {
			err = a.oneEach(c, cfg.Knobs)
		}
		errs.Add(err)
		if err == nil {
			list = append(list, cfg)
		}
	}
	return list, errs.Err()
}

// oneEach rejects nixlbench flags with several values.
func (a *app) oneEach(c *command, knobs []*config.Knob) error {
	for _, k := range knobs {
		if len(k.Texts) > 1 {
			return k.Texts[0].Origin.Errorf("%s has %d values, but '%s %s' accepts only one", k.Flag.Name, len(k.Texts), program, c.name).
				WithHint("use '%s plan' to see plans for all of them", program)
		}
	}
	return nil
}

// dirs returns the --models folders, which contain more architectures.
func (c *command) dirs() []string {
	f := c.flag("models")
	if _, from, ok := c.value("models"); ok && from.Kind == data.FromEnv {
		return filepath.SplitList(f.String())
	}
	return f.text
}

// warnMissing prints a warning about each value that is not set although the results
// depend on it. It also prints notes on values taken from the model, and on values set
// by the user that do not affect anything shown.
func (a *app) warnMissing(j plan.Item, results []string, shown plan.Shown) {
	a.printOnce(append(a.missing(j, results), a.given(j, shown)...))
}

// printOnce prints messages. Messages without a file, such as those about flags, are
// printed only once.
func (a *app) printOnce(list []*diag.Diag) {
	for _, d := range list {
		// A message without a file is the same for all plans.
		if key := d.Error() + strings.Join(d.Hints, "\n"); d.Pos.File != "" || !a.said[key] {
			a.said[key] = true
			a.print.Print(d)
		}
	}
}

// missing returns a warning about each value that is not set although the results depend
// on it. It also returns notes on values taken from the model.
func (a *app) missing(j plan.Item, results []string) []*diag.Diag {
	var list []*diag.Diag
	settled, read := j.Planner.Settled(j.Request), j.Planner.Readers(j.Request)
	for i := range a.schema.Fields {
		f := &a.schema.Fields[i]
		v := j.Config.Values[f.Var]
		own, ok := settled[f.Var]
		if !ok && !j.Planner.Given(f.Var, v) {
			continue // the engine would determine the value, but the plan failed first
		}
		if ok && (v.Origin.Kind != data.FromModel || own.Text() != v.Text()) {
			list = append(list, ofEngine(f, own, v, read(f.Var), varies(j, f.Var))...)
			continue
		}
		fromModel := v.Origin.Kind == data.FromModel && read(f.Var)
		if fromModel {
			list = append(list, j.Model.Doubts[f.Var]...)
		}
		if f.Announced != "" && fromModel && !warned(j.Model.Doubts[f.Var]) {
			list = append(list, diag.Notef(v.Origin.Pos, "%s is %s, from the model", f.Announced, v.Text()).
				WithHint("use --%s to override it", f.Flag))
		}
		if !f.Expected || v.Origin.Kind != data.FromDefault || !j.Planner.Reads(f.Var, results...) {
			continue
		}
		list = append(list, diag.Warnf(diag.Pos{File: j.Config.File}, "%s is not set: using the default, %s", f.Path, v.Text()).
			WithHint("set it with --%s", f.Flag))
	}
	return list
}

// varies reports whether the engine's value of a field can differ among the points of
// a sweep.
func varies(j plan.Item, field string) bool {
	return slices.ContainsFunc(j.Config.Axes, func(a config.Axis) bool {
		return len(a.Values) > 1 && j.Planner.Settles(field, a.Field.Var)
	})
}

// ofEngine returns a note if own, the engine's value of a field, replaces the model's value,
// or if results depend on the field. If varies is set, the note covers all points of a
// sweep.
func ofEngine(f *schema.Field, own, v data.Fact, reads, varies bool) []*diag.Diag {
	switch {
	case f.Announced != "" && v.Origin.Kind == data.FromModel:
		return []*diag.Diag{diag.Notef(own.Origin.Pos, "%s is %s, %s for this checkpoint", f.Announced, own.Text(), own.Origin).
			WithHint("use --%s to override it", f.Flag)}
	case f.Expected && reads:
		text := own.Origin.String() + ", " + own.Text()
		if varies {
			text = "the engine's default at each point, " + own.Text() + " at the first"
		}
		return []*diag.Diag{diag.Notef(diag.Pos{}, "%s is not set: using %s", f.Path, text).
			WithHint("set it with --%s", f.Flag)}
	}
	return nil
}

// warned reports whether a list contains a warning.
func warned(list diag.List) bool {
	return slices.ContainsFunc(list, func(d *diag.Diag) bool { return d.Severity == diag.Warning })
}

// warn prints the warnings for one request's plans.
func (a *app) warn(plans []*plan.Plan) {
	for _, pl := range plans {
		for _, w := range pl.Warnings {
			a.print.Print(w)
		}
	}
}

// rowNames returns the names of the values shown in a view.
func rowNames(v schema.View) []string {
	names := make([]string, len(v.Rows))
	for i, r := range v.Rows {
		names[i] = r.Value
	}
	return names
}

// quantities creates the plans of a command that shows quantities, and calls show for
// each plan.
func (a *app) quantities(c *command, detail bool, show func(i int, pl *plan.Plan) error) error {
	shown := 0
	return a.eachQuantities(c, detail, func(_ plan.Item, _ *plan.Planners, plans []*plan.Plan) error {
		for _, pl := range plans {
			if err := show(shown, pl); err != nil {
				return err
			}
			shown++
		}
		return nil
	})
}

// eachQuantities is like quantities, but calls show with all plans of an item.
func (a *app) eachQuantities(c *command, detail bool, show func(j plan.Item, planners *plan.Planners, plans []*plan.Plan) error) error {
	planners := plan.NewPlanners(a.schema, a.schema.Nixlbench.Default, "")
	planners.Quantities = true
	jobs, err := a.prepare(c, planners, detail, nil)
	var errs diag.List
	errs.Add(err)
	for _, j := range jobs {
		done := a.guard.enter(j.Model.File)
		plans, err := j.Planner.Quantities(j.Request)
		done()
		if err != nil {
			errs.Add(about(j.Request, err))
			continue
		}
		rows := rowNames(a.schema.View(c.name))
		what := plan.Shown{Names: present(a.onlyQuantities(rows), plans)}
		if detail {
			what.Names = quantitiesOf(a.schema)
		}
		a.warnMissing(j, rows, what)
		a.warn(plans)
		if err := show(j, planners, plans); err != nil {
			errs.Add(err)
			return errs.Err()
		}
	}
	return errs.Err()
}

// present returns the quantities that at least one plan has. A view omits the others.
func present(names []string, plans []*plan.Plan) []string {
	return slices.DeleteFunc(names, func(name string) bool {
		return !slices.ContainsFunc(plans, func(pl *plan.Plan) bool { return slices.Contains(quantityNames(pl), name) })
	})
}

// The about function adds the name of the configuration file to a request's errors, unless
// they already point to that file.
func about(req *plan.Request, err error) error {
	list := diag.All(err)
	for i, d := range list {
		if req.Config.File == "" || d.Pos.File == req.Config.File || d.Usage {
			continue
		}
		e := *d
		e.WithHint("with %s", req.Config.File)
		list[i] = &e
	}
	return diag.List(list)
}
