package config

import (
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// Small returns a note for each value that is so small that its unit was
// probably forgotten.
func (l *Loader) Small(c *Config) diag.List {
	var list diag.List
	for i := range l.schema.Fields {
		f := &l.schema.Fields[i]
		values := []data.Fact{c.Values[f.Var]}
		for _, axis := range c.Axes {
			if axis.Field.Var == f.Var {
				values = axis.Values
			}
		}
		for _, v := range values {
			if d := l.smallNote(f, v); d != nil {
				list = append(list, d)
				break // one note per axis is enough
			}
		}
	}
	return list
}

// smallNote returns the note for one value, or nil.
func (l *Loader) smallNote(f *schema.Field, v data.Fact) *diag.Diag {
	n, _ := v.Num.Int64()
	i := slices.IndexFunc(f.Least, func(l schema.Least) bool { return n < l.Below })
	if i < 0 || n <= 0 || !v.Origin.Given() {
		return nil
	}
	name := v.Origin.String()
	if v.Origin.Kind == data.FromFile {
		name = f.Path
	}
	var meant []string
	for _, suffix := range f.Least[i].Suffixes {
		meant = append(meant, v.Text()+suffix)
	}
	return diag.Notef(v.Origin.Pos, "%s is only %d %s", name, n, l.schema.Units[f.Unit].Name).
		WithHint("did you mean %s?", strings.Join(meant, " or "))
}
