package cli

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

// texts contains a file for each command, with its description and examples.
//
//go:embed help/*.txt
var texts embed.FS

// helpWidth is the maximum width of the help, in columns.
const helpWidth = 100

// helpText is the prose part of a command's help.
type helpText struct {
	about    []string // paragraphs
	examples []string
	details  []string // more paragraphs, shown only in the full help
}

// help reads the command's help text. The text consists of paragraphs, "Examples:" with
// indented lines, and "Details:" with more paragraphs.
func (c *command) help() helpText {
	data, _ := texts.ReadFile("help/" + c.name + ".txt") // a test checks that it exists
	text, details, _ := strings.Cut(string(data), "\nDetails:\n")
	about, examples, _ := strings.Cut(text, "\nExamples:\n")
	h := helpText{about: paragraphs(about), details: paragraphs(details)}
	for line := range strings.Lines(examples) {
		if line = strings.TrimSpace(line); line != "" {
			h.examples = append(h.examples, line)
		}
	}
	return h
}

func paragraphs(text string) []string {
	var list []string
	for p := range strings.SplitSeq(text, "\n\n") {
		if words := strings.Fields(p); len(words) > 0 {
			list = append(list, strings.Join(words, " "))
		}
	}
	return list
}

func (c *command) synopsis() string {
	words := program + " " + c.name
	if len(c.flags) > 0 {
		words += " [FLAGS]"
	}
	return strings.TrimSpace(words + " " + c.words)
}

// usage returns the command's help. Unless all is set, each flag takes one line, and
// rarely used flags are listed only by name.
func (c *command) usage(all bool) string {
	var b strings.Builder
	text := c.help()
	fmt.Fprintf(&b, "Usage: %s\n", c.synopsis())
	about := text.about
	if all {
		about = append(about, text.details...)
	}
	for _, p := range about {
		b.WriteString("\n" + wrap(p, ""))
	}
	if len(text.examples) > 0 {
		b.WriteString("\nExamples:\n  " + strings.Join(text.examples, "\n  ") + "\n")
	}
	for _, group := range groups(c.flags) {
		flags := group
		if !all {
			flags = slices.DeleteFunc(slices.Clone(group), func(f *flagSpec) bool { return f.more })
		}
		if len(flags) == 0 {
			continue
		}
		if all {
			b.WriteString("\n" + flagsHelp(flags))
			continue
		}
		fmt.Fprintf(&b, "\n%s:\n", flags[0].group)
		for _, f := range flags {
			fmt.Fprintf(&b, "  %-*s  %s\n", headWidth, f.head(), f.summary(helpWidth-headWidth-4))
		}
	}
	if !all {
		b.WriteString(c.moreFlags())
	} else if len(c.flags) > 0 {
		fmt.Fprintf(&b, "\n%s", wrap(fmt.Sprintf("In flag names, _ and - are interchangeable, and a prefix of at least %d characters is enough if it matches only one flag. "+
			"%s_FLAG in the environment also sets a flag; the command line overrides it.", minPrefix, envPrefix), ""))
	}
	return b.String()
}

// flagsHelp returns a full description of the flags in one group.
func flagsHelp(flags []*flagSpec) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", flags[0].group)
	for _, f := range flags {
		fmt.Fprintf(&b, "  %s\n%s", f.head(), wrap(f.describe(), "      "))
	}
	return b.String()
}

// moreFlags lists the flags that only the full help describes.
func (c *command) moreFlags() string {
	var names []string
	bench := false
	for _, f := range c.flags {
		if f.more && !f.bench {
			names = append(names, "--"+f.name)
		}
		bench = bench || f.bench
	}
	if bench {
		names = append(names, "and nixlbench's own flags (see '"+program+" "+nixlbenchName+" flags')")
	}
	if len(names) == 0 {
		return ""
	}
	return "\n" + wrap("More flags, described by '"+program+" "+c.name+" --help-all': "+strings.Join(names, ", ")+".", "")
}

// groups returns the flags grouped by heading. Groups are in the order of their first
// flags, except that the group for kvbench itself comes last.
func groups(flags []*flagSpec) [][]*flagSpec {
	var list [][]*flagSpec
	for _, f := range flags {
		i := slices.IndexFunc(list, func(g []*flagSpec) bool { return g[0].group == f.group })
		if i < 0 {
			i, list = len(list), append(list, nil)
		}
		list[i] = append(list[i], f)
	}
	if i := slices.IndexFunc(list, func(g []*flagSpec) bool { return g[0].group == groupOwn }); i >= 0 {
		own := list[i]
		list = append(slices.Delete(list, i, i+1), own)
	}
	return list
}

// headWidth is the width of the column of flags in the short help.
const headWidth = 27

// head returns the flag as it is written on the command line.
func (f *flagSpec) head() string {
	head := "--" + f.name
	if f.short != "" {
		head = "-" + f.short + ", " + head
	}
	if f.arg != "" {
		head += " " + f.arg
	}
	return head
}

// shown returns the flag's values and a note on its releases, as the help shows them.
func (f *flagSpec) shown() (values []string, note string) {
	if f.releases == nil {
		return f.values, ""
	}
	return f.releases()
}

// describe returns the full help text for a flag, with its values, default and releases.
func (f *flagSpec) describe() string {
	text, rest, _ := strings.Cut(f.help, ". ")
	values, note := f.shown()
	if len(values) > 0 {
		text += ": " + strings.Join(values, ", ")
	}
	if f.def != "" {
		text += " (default: " + f.def + ")"
	}
	if note != "" {
		text += " [nixlbench " + note + "]"
	}
	if rest != "" {
		text += ". " + rest
	}
	return text
}

// summary returns the first sentence of a flag's help text, with its values and its default
// if they fit on the line.
func (f *flagSpec) summary(width int) string {
	text, _, _ := strings.Cut(f.help, ". ")
	values, def := "", ""
	if list, _ := f.shown(); len(list) > 0 {
		values = ": " + strings.Join(list, ", ")
	}
	if f.def != "" {
		def = " (default: " + f.def + ")"
	}
	for _, more := range []string{values + def, def} {
		if len(text+more) <= width {
			return text + more
		}
	}
	return text
}

// wrap breaks a paragraph into indented lines of at most helpWidth columns.
func wrap(text, indent string) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		if line != indent && len([]rune(line))+1+len([]rune(word)) > helpWidth {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}

func rootUsage(cmds []*command) string {
	var b strings.Builder
	b.WriteString("kvbench plans and runs KV-cache transfer benchmarks for any LLM architecture.\n\nUsage: kvbench COMMAND [FLAGS]\n\nCommands:\n")
	for _, c := range cmds {
		fmt.Fprintf(&b, "  %-10s %s\n", c.name, c.short)
	}
	b.WriteString("\n'kvbench COMMAND --help' describes a command; --help-all includes its rarely used flags.\n")
	return b.String()
}
