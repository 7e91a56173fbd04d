package cli

import (
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/schema"
)

// flagSpec is a flag of a command.
type flagSpec struct {
	name   string
	short  string // one-letter alias
	help   string
	arg    string // what the help shows in place of the value
	def    string
	values []string
	words  func() []string // known values, for a flag that also allows other values; may be nil
	group  string
	bool   bool
	repeat bool
	more   bool // whether only the full help describes the flag
	bench  bool // whether nixlbench has this flag
	// releases returns the flag's values, and a note on the releases that have the flag, or
	// "" if all do. A value that the described release does not have is followed by the
	// releases that have it. The function is nil for kvbench's own flags.
	releases func() (values []string, note string)
	// aka lists names that other programs use for the flag.
	aka []string
	// pref allows the flag in the preferences file.
	pref bool

	text []string // the values that were set
}

// Set and String make flagSpec a flag.Value.
func (f *flagSpec) Set(s string) error {
	if !f.repeat {
		f.text = f.text[:0]
	}
	f.text = append(f.text, s)
	return nil
}

func (f *flagSpec) String() string { return strings.Join(f.text, ",") }

// These are the headings of the flag groups in the help.
const (
	groupModel    = "Model and configuration"
	groupConfig   = "Configuration overrides"
	groupTransfer = "Transfers between ranks"
	groupOutput   = "Output"
	groupOwn      = "kvbench itself"
)

// commonFlags returns the flags of every command that reads a model.
func (a *app) commonFlags() []*flagSpec {
	flags := []*flagSpec{
		{name: "model", arg: "MODEL", group: groupModel, repeat: true, aka: []string{"model_path", "model_id", "model_name"}, help: "Model: name (see 'kvbench models'), Hugging Face identifier, or file. A file is a parameter file (YAML, JSON, CUE), a CUE file with its own architecture, or a Hugging Face config.json or its folder; hf:OWNER/NAME[@REVISION] reads one from the Hugging Face cache. May be repeated"},
		{name: "model_config", arg: "FILE", group: groupModel, help: "Configuration file: how the model is run"},
		{name: "model_configs", arg: "GLOB", group: groupModel, repeat: true, help: "Pattern for configuration files, each of which yields a plan. Quote it. May be repeated"},
		modelsFlag(),
		downloadFlag(),
		configFlag(),
	}
	for i := range a.schema.Fields {
		f := &a.schema.Fields[i]
		if f.Flag == "" {
			continue
		}
		spec := &flagSpec{name: f.Flag, arg: "TEXT", group: groupConfig, help: f.Doc, values: f.Values(), bool: f.Type.Kinds == schema.KindBool, words: func() []string { return f.Words }, aka: f.Aka, more: f.More || f.Transfer}
		if spec.values == nil {
			spec.words = func() []string { return slices.Concat(f.Type.Words, f.Words) }
		}
		if f.Transfer {
			spec.group = groupTransfer
		}
		switch {
		case spec.bool:
			spec.arg = ""
		case f.Unit != "":
			spec.arg = a.schema.Units[f.Unit].Arg
		case f.Type.Kinds == schema.KindWhole:
			spec.arg = "N"
		}
		if spec.def = f.DefaultBy; spec.def == "" && !f.Default.IsZero() {
			spec.def = f.Default.Text()
		}
		flags = append(flags, spec)
	}
	return flags
}

func modelsFlag() *flagSpec {
	return &flagSpec{name: "models", arg: "DIR", group: groupModel, repeat: true, pref: true, help: "Folder with more architectures, families and models. May be repeated"}
}

func downloadFlag() *flagSpec {
	return &flagSpec{name: "download", bool: true, more: true, group: groupModel, help: "Download an hf: model's files if they are not in the local cache. Uses HF_ENDPOINT and HF_TOKEN"}
}

func configFlag() *flagSpec {
	return &flagSpec{name: "config", arg: "FILE", group: groupOwn, help: "File with kvbench's own preferences, one 'flag value' per line"}
}

// releaseFlag returns the flag that selects the nixlbench release. auto describes the
// release that kvbench uses if the flag is not set.
func (a *app) releaseFlag(auto string) *flagSpec {
	n := &a.schema.Nixlbench
	return &flagSpec{name: "nixlbench_release", arg: "RELEASE", group: groupOutput, pref: true, def: schema.AutoRelease,
		help:   "nixlbench release to plan for. " + schema.AutoRelease + " is " + auto,
		values: slices.Concat(n.Releases, []string{schema.AutoRelease}, schema.Keys(n.Aliases))}
}

// planReleaseFlag returns the release flag for commands that work without nixlbench
// being installed.
func (a *app) planReleaseFlag() *flagSpec {
	return a.releaseFlag(a.schema.Nixlbench.Default + " or, if that lacks a flag or value you set, the newest that has them all")
}

// chosenRelease returns the name of the release to plan for, the place where the user
// specified it (or ""), and the values that the user set for nixlbench's flags, parsed
// for that release.
func (a *app) chosenRelease(c *command) (name, from string, given map[string][]data.Fact, err error) {
	if name, from, err = c.namedRelease(a.schema); err != nil {
		return "", "", nil, err
	}
	knobs, err := c.knobs(a.schema)
	if err != nil {
		return "", "", nil, err
	}
	if name == "" {
		if name, err = a.pickRelease(c, knobs); err != nil {
			return "", "", nil, err
		}
	}
	given, err = c.knobValues(a.schema, name, knobs)
	return name, from, given, err
}

// namedRelease returns the release that the user specified, and the place where the user
// specified it. Both are "" if kvbench is to choose the release.
func (c *command) namedRelease(s *schema.Schema) (name, from string, err error) {
	name, err = c.choice("nixlbench_release")
	_, origin, named := c.value("nixlbench_release")
	if err != nil || !named || name == schema.AutoRelease {
		return "", "", err
	}
	name, _ = s.Nixlbench.Release(name)
	return name, origin.String(), nil
}

// pickRelease chooses a release that supports the nixlbench flags in knobs and in the
// sweeps of configurations.
func (a *app) pickRelease(c *command, knobs []*config.Knob) (string, error) {
	configs, _ := a.configs(c) // prepare reports the error
	for _, cfg := range configs {
		knobs = append(knobs[:len(knobs):len(knobs)], notOverridden(cfg.Knobs, knobs)...)
	}
	slices.SortStableFunc(knobs, func(x, y *config.Knob) int { return strings.Compare(x.Flag.Name, y.Flag.Name) })
	var wanted []fit.Wanted
	for _, k := range knobs {
		texts := k.Texts
		if k.Flag.Values == nil { // releases support either all values of this flag or none
			texts = texts[:1]
		}
		for _, t := range texts {
			wanted = append(wanted, fit.Wanted{Flag: k.Flag, Text: t.Text, Origin: t.Origin})
		}
	}
	picked, err := fit.PickRelease(a.schema, wanted)
	if err != nil {
		return "", err
	}
	if picked.Note != nil {
		a.print.Print(picked.Note)
	}
	c.without = map[string]bool{}
	for _, u := range picked.Without {
		c.without[u.Flag.Name] = true
		a.print.Print(u.Note().WithHint("omitted from the command: nixlbench %s does not accept this flag", picked.Release))
	}
	return picked.Release, nil
}

// notOverridden returns the knobs that are not overridden. A knob in others overrides a
// knob for the same flag, unless the overriding value comes from a file.
func notOverridden(knobs, others []*config.Knob) []*config.Knob {
	return slices.DeleteFunc(slices.Clone(knobs), func(k *config.Knob) bool {
		return slices.ContainsFunc(others, func(o *config.Knob) bool { return o.Flag == k.Flag && o.Texts[0].Origin.Kind != data.FromFile })
	})
}

// benchFlags returns the nixlbench flags of all releases. All commands share the same values,
// because only one command runs.
func (a *app) benchFlags() []*flagSpec {
	if a.bench != nil {
		return a.bench
	}
	n := &a.schema.Nixlbench
	group := "nixlbench (as of release " + n.Default + ", or the first that has the flag)"
	var flags []*flagSpec
	for _, name := range schema.Keys(n.Flags) {
		f := n.Flags[name]
		release := n.Default
		era := n.FlagIn(f, release)
		if era == nil {
			release = f.Eras[0].Since
			era = &f.Eras[0]
		}
		spec := &flagSpec{name: name, group: group, bench: true, help: f.Help, bool: era.Type == "bool", more: !f.Common, values: schema.Keys(f.Values)}
		spec.releases = func() (values []string, note string) {
			for _, v := range spec.values {
				if !n.In(f.Values[v], release) {
					v += " (" + n.Span(f.Values[v]) + ")"
				}
				values = append(values, v)
			}
			if span := n.SpanOfFlag(f); span != n.Span(schema.Era{Since: n.Releases[0]}) {
				note = span
			}
			return values, note
		}
		switch {
		case era.Type == "string":
			spec.arg = "TEXT"
		case f.Unit != "":
			spec.arg = "BYTES"
		case !spec.bool:
			spec.arg = "N"
		}
		if !f.Computed.IsZero() {
			spec.def = "from the plan"
		} else if def := era.Default.Text(); !spec.bool {
			spec.def = def
		}
		flags = append(flags, spec)
	}
	a.bench = flags
	return flags
}

// overrides returns the configuration values set by flags or environment variables.
func (c *command) overrides(s *schema.Schema) []config.Override {
	list := slices.Clone(c.logged)
	for i := range s.Fields {
		f := &s.Fields[i]
		if text, from, ok := c.value(f.Flag); ok {
			list = append(list, config.Override{Path: f.Path, Text: text, Origin: from, Axis: c.axes})
		}
	}
	if !slices.ContainsFunc(c.flags, ofJob) {
		return list
	}
	launch := s.LaunchFields.Get()
	for i := range launch {
		f := &launch[i]
		if text, from, ok := c.value(f.Flag); ok && ofJob(c.flag(f.Flag)) {
			list = append(list, config.Override{Path: f.Path, Text: text, Origin: from})
		}
	}
	return list
}

// ofJob reports whether a flag sets a field in the configuration's launch section.
func ofJob(f *flagSpec) bool { return f.group == groupJob }

// knobs returns the nixlbench flags set on the command line or in the environment.
func (c *command) knobs(s *schema.Schema) ([]*config.Knob, error) {
	var list []*config.Knob
	var errs diag.List
	for _, name := range schema.Keys(s.Nixlbench.Flags) {
		text, from, ok := c.value(name)
		if !ok {
			continue
		}
		k, err := config.KnobOf(s, s.Nixlbench.Flags[name], text, from, c.axes)
		errs.Add(err)
		if err == nil {
			list = append(list, k)
		}
	}
	return list, errs.Err()
}

// knobValues parses the values of knobs for a release. It skips the flags that are
// omitted from the command.
func (c *command) knobValues(s *schema.Schema, release string, knobs []*config.Knob) (map[string][]data.Fact, error) {
	values := map[string][]data.Fact{}
	var errs diag.List
	for _, k := range knobs {
		if c.without[k.Flag.Name] {
			continue
		}
		v, err := k.Values(s, release)
		errs.Add(err)
		values[k.Flag.Name] = v
	}
	return values, errs.Err()
}
