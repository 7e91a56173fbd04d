package report

import (
	"strings"

	"kvbench/engine/schema"
)

// logsPage describes the log lines that kvbench recognizes, and the checks on their values.
func logsPage(p *page, s *schema.Schema) {
	logs := s.Logs.Get()
	p.text("# Engine logs\n\n`kvbench verify` reads these lines. The text in the `contains` column can be anywhere in a line.")
	p.table("engine", "content", "contains", "values")
	for i := range logs.Lines {
		l := &logs.Lines[i]
		values := map[string]bool{}
		for _, e := range l.Examples {
			for name := range e.Expect {
				values[name] = true
			}
		}
		p.row(orAll(l.Engine), l.Says, "`"+strings.TrimSpace(l.Has)+"`", literals(schema.Keys(values)))
	}
	p.text("\nkvbench does not compare these numbers:")
	p.table("engine", "content", "contains", "reason")
	for _, u := range logs.Unread {
		p.row(orAll(u.Engine), u.Says, "`"+u.Has+"`", u.Why)
	}
	p.text("\n## Values\n\nIn a formula, the prefix `%s` before a value's name refers to the value itself, `%s` to its maximum rounding error, and `%s` to its sum over different lines.",
		schema.LogPrefix, schema.OffPrefix, schema.SumPrefix)
	p.table("value", "unit", "meaning", "if lines differ")
	for _, name := range schema.Keys(logs.Values) {
		v := logs.Values[name]
		p.row("`"+name+"`", v.Unit, v.Doc, v.Take)
	}
	p.text("\n## Checks\n\nIf there are several checks with the same name, kvbench uses the first check that applies and whose values are all in the log.")
	p.table("check", "engines", "if", "logged", "computed")
	for i := range logs.Checks {
		c := &logs.Checks[i]
		p.row(c.What, orAll(strings.Join(c.Engines, ", ")), formulaCode(c.When), formulaCode(c.Logged), formulaCode(c.Computed))
	}
	p.text("\nThese formulas can also use:")
	p.table("name", "formula")
	for _, name := range schema.Keys(logs.Let) {
		p.row("`"+name+"`", formulaCode(logs.Let[name]))
	}
	p.text("\n## Causes\n\nIf a number differs, kvbench looks for a cause in this order: a formula that yields the logged number, a configuration for which the numbers match, and a condition under which a cause is likely.")
	p.table("cause", "formula, configuration or condition")
	seen := map[string]bool{} // several checks can have the same causes
	ofCheck := func(name, why string, f schema.Formula) {
		if key := name + why + f.Text; !seen[key] {
			seen[key] = true
			p.row(name+": "+why, formulaCode(f))
		}
	}
	for i := range logs.Checks {
		for _, e := range logs.Checks[i].Causes {
			ofCheck(logs.Checks[i].What, e.Why, e.Computed)
		}
	}
	for _, c := range logs.Causes {
		set := map[string]string{}
		for name, v := range c.Set {
			set[name] = v.Text()
		}
		p.row(c.Why, fieldsOf(set))
	}
	for i := range logs.Checks {
		for _, e := range logs.Checks[i].Perhaps {
			ofCheck(logs.Checks[i].What, e.Why, e.When)
		}
	}
}

func orAll(text string) string {
	if text == "" {
		return "all"
	}
	return text
}

// formulaCode formats a formula as code, or returns a dash if there is none.
func formulaCode(f schema.Formula) string {
	if f.IsZero() {
		return "-"
	}
	return "`" + f.Text + "`"
}

// fieldsOf formats values of configuration fields.
func fieldsOf(set map[string]string) string {
	var list []string
	for _, name := range schema.Keys(set) {
		list = append(list, "`"+name+"` = `"+set[name]+"`")
	}
	return strings.Join(list, ", ")
}
