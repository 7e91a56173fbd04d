package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"
	"time"

	"kvbench/engine/config"
	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/report"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

const (
	nixlbenchName = "nixlbench"
	flagsWord     = "flags"
	probeTimeout  = time.Minute
	probeSize     = 4 << 20
)

func programFlag() *flagSpec {
	return &flagSpec{name: "nixlbench", arg: "COMMAND", group: groupRun, pref: true, def: nixlbench.Program,
		help: "Command that starts nixlbench, such as 'srun -n1 nixlbench'. It is split into words the way a shell does, but is not run by a shell. " + builtinName + ": kvbench itself runs the benchmark, if it supports the plan"}
}

func releasesFlag() *flagSpec {
	return &flagSpec{name: "releases", arg: "FILE", group: groupOutput, more: true, help: "Data file with more nixlbench releases. 'kvbench nixlbench --cue' prints one"}
}

// nixlbenchCmd identifies the installed nixlbench.
func (a *app) nixlbenchCmd() *command {
	return &command{
		name:  nixlbenchName,
		words: "[" + flagsWord + "]",
		short: "Show which release the installed nixlbench is",
		flags: []*flagSpec{
			programFlag(),
			releasesFlag(),
			{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "text", values: []string{"text", "json"}, help: "Output format"},
			{name: "cue", bool: true, group: groupOutput, help: "Print the release as a data file for --releases"},
			configFlag(),
		},
		exec:     a.nixlbench,
		complete: func([]string) []string { return []string{flagsWord} },
	}
}

func (a *app) nixlbench(ctx context.Context, c *command) error {
	switch {
	case len(c.args) == 0:
		return a.showInstalled(ctx, c)
	case len(c.args) > 1 || c.args[0] != flagsWord:
		return diag.Usagef("unexpected argument %q", c.args[len(c.args)-1]).WithHint("run '%s %s %s' to list nixlbench's flags", program, c.name, flagsWord)
	}
	a.noteUnused(c, flagsWord, nixlbenchName, "format", "cue")
	_, err := io.WriteString(a.stdout, flagsHelp(a.benchFlags()))
	return err
}

func (a *app) showInstalled(ctx context.Context, c *command) error {
	a.endsGracefully()
	var errs diag.List
	format, err := c.choice("format")
	errs.Add(err)
	asCUE, err := c.boolean("cue")
	errs.Add(err)
	if asCUE && c.given["format"] {
		errs = append(errs, diag.Usagef("--cue cannot be combined with --format %s", format))
	}
	words, err := c.program()
	errs.Add(err)
	if len(errs) > 0 {
		return errs
	}
	in, err := a.probe(ctx, words)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	switch {
	case asCUE:
		err = writeRelease(&out, in)
	case format == "json":
		err = writeInstalledJSON(&out, words, in)
	default:
		writeInstalled(&out, words, in)
	}
	if err == nil {
		_, err = a.stdout.Write(out.Bytes())
	}
	return err
}

// program returns the words that start nixlbench.
func (c *command) program() ([]string, error) {
	text, from, ok := c.value("nixlbench")
	if !ok {
		text = nixlbench.Program
	}
	if text == builtinName {
		return builtinProgram()
	}
	words, err := nixlbench.Split(text)
	if err != nil {
		return nil, from.Errorf("%q is not a valid command: %v", text, err)
	}
	return words, nil
}

// probe asks the program for its flags and compares them with the known releases.
func (a *app) probe(ctx context.Context, words []string) (*nixlbench.Installed, error) {
	n := a.schema.Nixlbench.Runs.Get()
	if isBuiltin(words) {
		return a.builtinInstalled(), nil
	}
	shown := diag.Printable(words[0])
	if _, err := exec.LookPath(words[0]); err != nil {
		what := fmt.Sprintf("cannot be started: %v", diag.Cause(err))
		switch {
		case errors.Is(err, exec.ErrNotFound):
			what = "not found in PATH"
		case errors.Is(err, fs.ErrNotExist):
			what = "does not exist"
		}
		return nil, diag.Errorf(diag.Pos{}, "%s %s", shown, what).
			WithHint("get it from %s, or set its path with --nixlbench", n.Home).
			WithHint("'--nixlbench %s' measures storage without it", builtinName).
			WithHint("'%s plan' works without it", program)
	}
	argv := append(append([]string{}, words...), n.Probe.Option)
	out, stderr, exit := runner.Output(ctx, argv, probeTimeout, probeSize)
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	flags, err := nixlbench.ReadFlags(n.Probe, out)
	if err != nil {
		// The exit code does not help, because it is 1 even if nixlbench prints its flags.
		d := diag.Errorf(diag.Pos{}, "%s is not nixlbench: %v; it %s", strings.Join(words, " "), err, exit.String())
		if exit.Stopped {
			d.Msg = fmt.Sprintf("%s did not answer %s within %v", strings.Join(words, " "), n.Probe.Option, probeTimeout)
		}
		if last := stderr.Last(); last != "" {
			d.WithHint("it printed: %s", diag.Printable(last))
		}
		return nil, d
	}
	return nixlbench.Identify(&a.schema.Nixlbench, flags), nil
}

func writeInstalled(out *bytes.Buffer, words []string, in *nixlbench.Installed) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = nixlbench.Quote(word)
	}
	fmt.Fprintf(w, "command\t%s\n", strings.Join(quoted, " "))
	if path, err := exec.LookPath(words[0]); err == nil {
		fmt.Fprintf(w, "path\t%s\n", diag.Printable(path))
	}
	switch len(in.Alike) {
	case 0:
		fmt.Fprintf(w, "release\tunknown; plans are for %s\n", diag.Printable(in.Release))
	case 1:
		fmt.Fprintf(w, "release\t%s\n", diag.Printable(in.Release))
	default:
		fmt.Fprintf(w, "release\tone of %s, which have the same flags; plans are for %s\n", diag.Printable(strings.Join(in.Alike, ", ")), diag.Printable(in.Release))
	}
	fmt.Fprintf(w, "flags\t%d\n", len(in.Flags))
	for i, d := range in.Differences {
		head := ""
		if i == 0 {
			head = "differences"
		}
		fmt.Fprintf(w, "%s\t%s\n", head, diag.Printable(d.String()))
	}
	w.Flush()
}

func writeInstalledJSON(out *bytes.Buffer, words []string, in *nixlbench.Installed) error {
	type flag struct {
		Flag    string          `json:"flag"`
		Program *schema.OwnFlag `json:"program"`
		Release *schema.OwnFlag `json:"release"`
	}
	doc := struct {
		Command     []string                  `json:"command"`
		Release     string                    `json:"release"`
		Alike       []string                  `json:"alike"`
		Differences []flag                    `json:"differences"`
		Flags       map[string]schema.OwnFlag `json:"flags"`
	}{words, in.Release, append([]string{}, in.Alike...), []flag{}, in.Flags}
	for _, d := range in.Differences {
		doc.Differences = append(doc.Differences, flag{d.Flag, d.Program, d.Release})
	}
	return report.JSONText(out, doc)
}

// writeRelease writes the program's flags as a file for --releases.
func writeRelease(out *bytes.Buffer, in *nixlbench.Installed) error {
	text, err := config.ReleaseCUE("installed", schema.OwnRelease{Like: in.Release, Flags: in.Flags})
	out.Write(text)
	return err
}

// addReleases adds the releases in the --releases file to the known releases. It runs before
// flags are parsed, because the set of flags depends on the releases.
func (a *app) addReleases(args []string) error {
	file := fileOf(args, releasesFlag().name)
	if file == "" {
		return nil
	}
	found, err := a.loader().Releases(file)
	if err != nil {
		return err
	}
	for _, name := range schema.Keys(found) {
		if err := a.schema.Nixlbench.Add(name, found[name]); err != nil {
			return diag.Errorf(diag.Pos{File: file}, "%v", err)
		}
	}
	return nil
}

// fileOf returns the file name that the arguments or the environment specify for a flag.
// It can be called before flags are parsed.
func fileOf(args []string, flag string) string {
	for i, arg := range args {
		name, value, ok := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case !strings.HasPrefix(arg, "-") || name != flag:
		case ok:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return os.Getenv(envPrefix + "_" + strings.ToUpper(flag))
}
