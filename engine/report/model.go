package report

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/schema"
)

// yamlWidth is the column at which long lists are wrapped.
const yamlWidth = 100

// ModelYAML writes a model as a parameter file that yields the same numbers. The
// file begins with the comment.
func ModelYAML(w io.Writer, s *schema.Schema, m *model.Model, comment string) error {
	var b strings.Builder
	for line := range strings.SplitSeq(comment, "\n") {
		fmt.Fprintf(&b, "# %s\n", diag.Printable(line))
	}
	fmt.Fprintf(&b, "%s: %s\narchitecture: %s\n", schema.NameParam, yamlText(m.Name), yamlText(m.Arch.Name))
	section := ""
	for i := range s.Fields {
		f := &s.Fields[i]
		v, ok := m.Defaults[f.Var]
		if !ok {
			continue
		}
		if section == "" {
			b.WriteString("defaults:\n")
		}
		top, name, _ := strings.Cut(f.Path, ".")
		if top != section {
			section = top
			fmt.Fprintf(&b, "  %s:\n", top)
		}
		fmt.Fprintf(&b, "    %s: %s\n", name, yamlValue(v.Value, 0))
	}
	for i := range m.Arch.Params {
		name := m.Arch.Params[i].Name
		if v, ok := m.Params[name]; ok && name != schema.NameParam {
			fmt.Fprintf(&b, "%s: %s\n", name, yamlValue(v.Value, len(name)+2))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Template writes a parameter file to start from: a model with the architecture and
// the parameters of its first check. Optional parameters are commented out.
func Template(w io.Writer, s *schema.Schema, arch *schema.Architecture) error {
	m := &model.Model{Name: "MY_MODEL", Arch: arch, Params: map[string]data.Fact{}}
	if checks := arch.Checks.Get(); len(checks) > 0 {
		for name, v := range checks[0].Params {
			m.Params[name] = data.Fact{Value: v}
		}
	}
	comment := "A model with the architecture " + arch.Name + ". Replace the values with those of your model.\n" +
		"'kvbench vet' checks this file; 'kvbench models show " + arch.Name + "' prints the architecture."
	if err := ModelYAML(w, s, m, comment); err != nil {
		return err
	}
	var b strings.Builder
	for _, p := range arch.Params {
		if _, ok := m.Params[p.Name]; ok || p.Name == schema.NameParam {
			continue
		}
		line := p.Name + ": # " + kindWords[p.Type.Formula()]
		if p.Doc != "" {
			line += ". " + strings.Join(strings.Fields(p.Doc), " ")
		}
		if !p.Required {
			line = "# " + line
		}
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// kindWords describes the values that a parameter of each kind accepts.
var kindWords = map[formula.Kind]string{formula.Num: "a number", formula.Str: "a string", formula.Bool: "true or false", formula.NumList: "a list of numbers", formula.StrList: "a list of strings", formula.Any: "a value"}

// yamlValue formats a value as YAML. at is the column where it begins.
func yamlValue(v formula.Value, at int) string {
	var items []string
	switch v.Kind {
	case formula.Str:
		return yamlText(v.Str)
	case formula.NumList:
		for _, n := range v.Nums {
			items = append(items, n.String())
		}
	case formula.StrList:
		for _, s := range v.Strs {
			items = append(items, yamlText(s))
		}
	default:
		return v.Text()
	}
	line := "[" + strings.Join(items, ", ") + "]"
	if at+len(line) <= yamlWidth {
		return line
	}
	var b strings.Builder
	b.WriteString("[")
	width := yamlWidth
	for i, item := range items {
		if width+len(item)+2 > yamlWidth {
			b.WriteString("\n  ")
			width = 2
		} else {
			b.WriteString(" ")
			width++
		}
		b.WriteString(item)
		width += len(item) + 1
		if i < len(items)-1 {
			b.WriteString(",")
		}
	}
	return b.String() + "\n]"
}

var (
	// plainYAML matches text that does not need quotes unless it also matches
	// yamlWords, the words that YAML does not read as strings.
	plainYAML = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./+-]*$`) })
	yamlWords = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)^(y|yes|n|no|true|false|on|off|null|nan|inf)$`) })
)

func yamlText(s string) string {
	if plainYAML().MatchString(s) && !yamlWords().MatchString(s) {
		return s
	}
	return strings.ReplaceAll(strconv.Quote(s), "##", `#\x23`) // CI runners treat ## as the start of a command
}
