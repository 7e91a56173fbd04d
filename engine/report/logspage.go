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
	p.text("\n## Values\n\nIn a formula, the name of a value with the prefix `%s` refers to the value itself, with `%s` to its maximum rounding error, and with `%s` to its sum over different lines.",
		schema.LogPrefix, schema.OffPrefix, schema.SumPrefix)
	p.table("value", "unit", "meaning", "if lines differ")
	for _, name := range schema.Keys(logs.Values) {
		v := logs.Values[name]
		p.row("`"+name+"`", v.Unit, v.Doc, v.Take)
	}
	p.text("\n## Checks\n\nIf there are several checks with the same name, kvbench uses the first check that applies and for which the log has all values.")
	p.table("check", "engines", "if", "logged", "computed")
	for i := range logs.Checks {
		c := &logs.Checks[i]
		p.row(c.What, orAll(strings.Join(c.Engines, ", ")), formulaCode(c.When), formulaCode(c.Logged), formulaCode(c.Computed))
	}
	p.table("name", "formula")
	for _, name := range schema.Keys(logs.Let) {
		p.row("`"+name+"`", formulaCode(logs.Let[name]))
	}
	p.text("\n## Causes\n\nIf a number differs, kvbench looks for the cause by trying these configurations and formulas, in this order.")
	p.table("cause", "configuration")
	for _, c := range logs.Causes {
		set := map[string]string{}
		for name, v := range c.Set {
			set[name] = v.Text()
		}
		p.row(c.Why, fieldsOf(set))
	}
	for i := range logs.Checks {
		c := &logs.Checks[i]
		for _, e := range c.Causes {
			p.row(c.What+": "+e.Why, formulaCode(e.Computed))
		}
		for _, e := range c.Perhaps {
			p.row(c.What+": "+e.Why, formulaCode(e.When))
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
