package cli

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"kvbench/engine/diag"
)

// manCmd prints the manual page.
func (a *app) manCmd() *command {
	return &command{
		name:  "man",
		short: "Print the manual page",
		exec: func(context.Context, *command) error {
			_, err := io.WriteString(a.stdout, manPage(a.commands(), builtOn()))
			return err
		},
	}
}

// builtOn returns the date of the commit that the program was built from. If the commit
// is unknown, it returns today's date, because a manual page must have a date.
func builtOn() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if date, _, ok := strings.Cut(s.Value, "T"); ok && s.Key == "vcs.time" {
				return date
			}
		}
	}
	return time.Now().UTC().Format(time.DateOnly)
}

// manPage returns the help of all commands as a manual page for section 1, written with the
// macros of man(7). If several commands share a flag, it is described only once.
func manPage(cmds []*command, date string) string {
	m := &manual{}
	fmt.Fprintf(m, ".TH %q 1 %q %q \"User Commands\"\n", strings.ToUpper(program), date, program)
	m.macro("SH", "NAME")
	m.text(program + " - plan and run KV-cache transfer benchmarks")
	m.macro("SH", "SYNOPSIS")
	for i, c := range cmds {
		if i > 0 {
			m.macro("br")
		}
		m.text(c.synopsis())
	}
	m.macro("SH", "DESCRIPTION")
	m.text(program + " computes the I/O sizes and counts for transferring a model's KV cache, and generates and runs the matching nixlbench command.")
	m.macro("SH", "COMMANDS")
	for _, c := range cmds {
		m.command(c, cmds)
	}
	m.macro("SH", "FLAGS")
	m.text(fmt.Sprintf("Several commands share these flags. In flag names, _ and - are interchangeable, and a prefix of at least %d characters is enough if it matches only one flag.", minPrefix))
	for _, group := range groups(sharedFlags(cmds)) {
		m.macro("SS", group[0].group)
		m.flags(group)
	}
	m.macro("SH", "ENVIRONMENT")
	m.tagged(envPrefix+"_FLAG", "Sets a flag, such as "+envPrefix+"_FORMAT for --format. The command line overrides it.")
	m.tagged("HF_HUB_CACHE, HF_HOME, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE", "These have the same meaning as in the Hugging Face libraries.")
	m.tagged("NO_COLOR", "Disables colors.")
	m.macro("SH", "EXIT STATUS")
	m.tagged(fmt.Sprint(exitOK), "Success, possibly with warnings.")
	m.tagged(fmt.Sprint(exitFailed), "Something failed. With several configurations, plans for the valid ones are still printed.")
	m.tagged(fmt.Sprint(exitUsage), "The command line is invalid.")
	m.tagged(fmt.Sprint(exitInterrupted), "Interrupted.")
	return m.String()
}

// sharedFlags returns the flags that more than one command has.
func sharedFlags(cmds []*command) []*flagSpec {
	var list []*flagSpec
	for _, c := range cmds {
		for _, f := range c.flags {
			if isShared(f, cmds) && !slices.ContainsFunc(list, f.same) {
				list = append(list, f)
			}
		}
	}
	return list
}

// isShared reports whether several commands have the flag.
func isShared(f *flagSpec, cmds []*command) bool {
	n := 0
	for _, c := range cmds {
		if slices.ContainsFunc(c.flags, f.same) {
			n++
		}
	}
	return n > 1
}

// same reports whether the help describes both flags in the same way.
func (f *flagSpec) same(other *flagSpec) bool {
	return f.head() == other.head() && f.group == other.group && f.describe() == other.describe()
}

// manual is a manual page that is being written.
type manual struct{ strings.Builder }

// macro writes a line that contains a macro and its arguments.
func (m *manual) macro(name string, args ...string) {
	m.WriteString("." + name)
	for _, arg := range args {
		m.WriteString(` "` + strings.ReplaceAll(roff(arg), `"`, `\(dq`) + `"`)
	}
	m.WriteByte('\n')
}

// text writes text, one sentence per line.
func (m *manual) text(text string) {
	for sentence := range strings.SplitSeq(strings.ReplaceAll(text, ". ", ".\n"), "\n") {
		m.WriteString(roff(sentence) + "\n")
	}
}

// tagged writes a term and its description.
func (m *manual) tagged(term, text string) {
	m.macro("TP")
	m.macro("B", term)
	m.text(text)
}

func (m *manual) flags(flags []*flagSpec) {
	for _, f := range flags {
		m.tagged(f.head(), f.describe()+".")
	}
}

func (m *manual) command(c *command, cmds []*command) {
	m.macro("SS", program+" "+c.name)
	text := c.help()
	for i, p := range slices.Concat(text.about, text.details) {
		if i > 0 {
			m.macro("PP")
		}
		m.text(p)
	}
	m.flags(slices.DeleteFunc(slices.Clone(c.flags), func(f *flagSpec) bool { return isShared(f, cmds) }))
	if len(text.examples) > 0 {
		m.macro("PP")
		m.text("Examples:")
		m.macro("PP")
		m.macro("nf")
		m.macro("RS", "4n")
		for _, line := range text.examples {
			m.WriteString(roff(line) + "\n")
		}
		m.macro("RE")
		m.macro("fi")
	}
}

// roff escapes characters that are special in roff.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(diag.Printable(text))
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
