package report

import (
	"strings"

	"kvbench/engine/launch"
	"kvbench/engine/schema"
)

// launchPage describes the jobs that launch writes.
func launchPage(p *page, s *schema.Schema) {
	l := s.Launch.Get()
	formats := map[string]*launch.Format{}
	p.text("# Jobs\n\nThis page lists the formats that `kvbench launch` writes, the options in the `launch` section of a configuration, and the networks between nodes.")
	p.table("format", "what it writes", "files")
	for _, name := range s.LaunchFormats {
		f, err := launch.NewFormat(s, name)
		if err != nil { // cannot happen: a test compiles all templates
			continue
		}
		formats[name] = f
		var files []string
		for _, file := range f.Files {
			files = append(files, file.Name)
		}
		p.row("`"+name+"`", f.Doc, literals(files))
	}
	p.table("option", "flag", "allowed", "meaning", "formats")
	for _, f := range s.LaunchFields.Get() {
		allowed := f.Type.String()
		if f.Values() != nil {
			allowed = literals(f.Values())
		}
		var used []string
		for _, name := range s.LaunchFormats {
			if formats[name] != nil && formats[name].Reads(f.Var) {
				used = append(used, name)
			}
		}
		p.row("`"+f.Path+"`", "`--"+f.Flag+"`", allowed, f.Doc, literals(used))
	}
	p.text("\n`--fabric` selects one of these networks. In the variables, `{{.Launch.nics}}` is the value of `--nics`. Variables with empty values are not set.")
	p.table("fabric", "meaning", "variables", "pod resources", "source")
	for _, name := range schema.Keys(l.Fabrics) {
		f := l.Fabrics[name]
		pairs := func(values map[string]string, between string) string {
			var list []string
			for _, key := range schema.Keys(values) {
				list = append(list, "`"+key+between+values[key]+"`")
			}
			return strings.Join(list, ", ")
		}
		p.row("`"+name+"`", f.Doc, pairs(f.Env, "="), pairs(f.Resources, ": "), f.Source)
	}
	p.text("\nA job checks its nodes before its first run, and stops if a check fails:\n")
	for _, c := range l.Checks {
		p.text("- %s", c.Message)
	}
}
