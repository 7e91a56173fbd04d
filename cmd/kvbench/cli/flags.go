package cli

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/diag"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// flagSpec is a flag of a command.
type flagSpec struct {
	name   string
	short  string // another name, of one letter
	help   string
	arg    string // placeholder of the value in the help
	def    string
	values []string
	words  []string // values that are known among others
	note   string   // which releases have it
	group  string
	bool   bool
	repeat bool
	// aka lists the names that other programs have for the flag.
	aka []string
	// pref allows the flag in kvbench's own configuration file.
	pref bool

	text []string // the values given, as text
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

// The headings of the help.
const (
	groupModel  = "Model and configuration"
	groupConfig = "Overrides of the configuration"
	groupOutput = "Output"
	groupOwn    = "kvbench itself"
)

// commonFlags are those of every command that reads a model.
func (a *app) commonFlags() []*flagSpec {
	flags := []*flagSpec{
		{name: "model", arg: "FILE", group: groupModel, repeat: true, aka: []string{"model_path", "model_id", "model_name"}, help: "Model: its name (see kvbench models) or Hugging Face identifier, a parameter file (YAML, JSON, CUE), a CUE file with its own architecture, a Hugging Face config.json or its folder, or hf:OWNER/NAME[@REVISION] in the Hugging Face cache; may be repeated"},
		{name: "model_config", arg: "FILE", group: groupModel, help: "Configuration file: how the model is run"},
		{name: "model_configs", arg: "GLOB", group: groupModel, repeat: true, help: "Configuration files, one plan each; quote the pattern; may be repeated"},
		modelsFlag(),
		downloadFlag(),
		configFlag(),
	}
	for i := range a.schema.Fields {
		f := &a.schema.Fields[i]
		if f.Flag == "" {
			continue
		}
		spec := &flagSpec{name: f.Flag, arg: "TEXT", group: groupConfig, help: f.Doc, values: f.Values, bool: f.Bool, words: f.Words, aka: f.Aka}
		switch {
		case f.Bool:
			spec.arg = ""
		case f.Unit != "":
			spec.arg = a.schema.Units[f.Unit].Arg
		case f.Number:
			spec.arg = "N"
		}
		if f.Default != nil {
			spec.def = fmt.Sprint(f.Default)
		} else {
			spec.def = f.DefaultBy
		}
		flags = append(flags, spec)
	}
	return flags
}

func modelsFlag() *flagSpec {
	return &flagSpec{name: "models", arg: "DIR", group: groupModel, repeat: true, pref: true, help: "Folder with more architectures, families and models; may be repeated"}
}

func downloadFlag() *flagSpec {
	return &flagSpec{name: "download", bool: true, group: groupModel, help: "Download the files of an hf: model (from HF_ENDPOINT, with HF_TOKEN) if the Hugging Face cache lacks them"}
}

func configFlag() *flagSpec {
	return &flagSpec{name: "config", arg: "FILE", group: groupOwn, help: "kvbench's own preferences, one `flag value` a line"}
}

// releaseFlag chooses the nixlbench release; auto says which one that is.
func (a *app) releaseFlag(auto string) *flagSpec {
	n := &a.schema.Nixlbench
	return &flagSpec{name: "nixlbench_release", arg: "RELEASE", group: groupOutput, pref: true, def: schema.AutoRelease,
		help:   "nixlbench release to plan for; " + schema.AutoRelease + " is " + auto,
		values: slices.Concat(n.Releases, []string{schema.AutoRelease}, schema.Keys(n.Aliases))}
}

// planReleaseFlag is that of commands that need no installed nixlbench.
func (a *app) planReleaseFlag() *flagSpec {
	return a.releaseFlag(a.schema.Nixlbench.Default + ", or where that lacks a flag or value that is given, the newest that has all of them")
}

// chosenRelease gives the release to plan for, where it was named, if it was,
// and the nixlbench flags that were given, as the release has them.
func (a *app) chosenRelease(c *command) (name, from string, given map[string]config.Value, err error) {
	if name, from, err = c.namedRelease(a.schema); err != nil {
		return "", "", nil, err
	}
	if name == "" {
		if name, err = a.pickRelease(c); err != nil {
			return "", "", nil, err
		}
	}
	given, err = c.benchValues(a.schema, name)
	return name, from, given, err
}

// namedRelease gives the release that was named and where; none if the choice
// is left to what was given or is installed.
func (c *command) namedRelease(s *schema.Schema) (name, from string, err error) {
	name, err = c.choice("nixlbench_release")
	_, origin, named := c.value("nixlbench_release")
	if err != nil || !named || name == schema.AutoRelease {
		return "", "", err
	}
	name, _ = s.Nixlbench.Release(name)
	return name, origin.String(), nil
}

// pickRelease chooses the release by the nixlbench flags that were given.
func (a *app) pickRelease(c *command) (string, error) {
	wanted := map[string]plan.Wanted{}
	for name := range a.schema.Nixlbench.Flags {
		if text, from, ok := c.value(name); ok {
			wanted[name] = plan.Wanted{Text: text, Origin: from}
		}
	}
	picked, err := plan.PickRelease(a.schema, wanted)
	if err != nil {
		return "", err
	}
	if picked.Note != nil {
		a.print.Print(picked.Note)
	}
	c.without = map[string]bool{}
	for _, u := range picked.Without {
		c.without[u.Flag.Name] = true
		a.print.Print(u.Note().WithHint("the command does without it: nixlbench %s does not take it", picked.Release))
	}
	return picked.Release, nil
}

// benchFlags are nixlbench's own flags, of all releases.
//
// The commands share them: one of them runs.
func (a *app) benchFlags() []*flagSpec {
	if a.bench != nil {
		return a.bench
	}
	n := &a.schema.Nixlbench
	group := "Flags of nixlbench (values and defaults of release " + n.Default + ", else of the first that has the flag)"
	var flags []*flagSpec
	for _, name := range schema.Keys(n.Flags) {
		f := n.Flags[name]
		release := n.Default
		era := n.FlagIn(f, release)
		if era == nil {
			release = f.Eras[0].Since
			era = &f.Eras[0]
		}
		spec := &flagSpec{name: name, group: group, help: f.Help, bool: era.Type == "bool"}
		for _, v := range schema.Keys(f.Values) {
			if !n.In(f.Values[v], release) {
				v += " (" + n.Span(f.Values[v]) + ")"
			}
			spec.values = append(spec.values, v)
		}
		if span := n.SpanOfFlag(f); span != n.Span(schema.Era{Since: n.Releases[0]}) {
			spec.note = span
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
		} else if def := fmt.Sprint(era.Default); !spec.bool {
			spec.def = def
		}
		flags = append(flags, spec)
	}
	a.bench = flags
	return flags
}

// overrides gives the configuration values that flags and environment hold.
func (c *command) overrides(s *schema.Schema) []config.Override {
	var list []config.Override
	for i := range s.Fields {
		f := &s.Fields[i]
		if text, from, ok := c.value(f.Flag); ok {
			list = append(list, config.Override{Path: f.Path, Text: text, Origin: from, Axis: c.axes})
		}
	}
	return list
}

// benchValues reads the nixlbench flags that were given, as the release has
// them.
func (c *command) benchValues(s *schema.Schema, release string) (map[string]config.Value, error) {
	var errs diag.List
	values := map[string]config.Value{}
	for _, name := range schema.Keys(s.Nixlbench.Flags) {
		text, from, ok := c.value(name)
		if !ok || c.without[name] {
			continue
		}
		f := s.Nixlbench.Flags[name]
		era := s.Nixlbench.FlagIn(f, release)
		if era == nil {
			era = &f.Eras[0] // the plan refuses it, with the releases that have it
		}
		v, err := s.ParseValue(f, era.Type, text)
		if err != nil {
			d := from.Errorf("%q is not allowed: %v", text, err)
			if hint := s.NumberHint(f.Unit, text); hint != "" {
				d.WithHint("%s", hint)
			}
			errs = append(errs, d)
			continue
		}
		values[name] = config.Value{Value: config.GoValue(v), Origin: from}
	}
	return values, errs.Err()
}
