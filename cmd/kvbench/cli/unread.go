package cli

import (
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/engine/sweep"
)

// planShown returns what a plan shows: its quantities and its command.
func planShown(pl *plan.Plan) plan.Shown { return plan.Shown{Names: quantityNames(pl), Flags: true} }

// sweepShown returns what a sweep shows. It includes a field only if the condition uses
// the field, not if the field is merely a column.
func (a *app) sweepShown(c *command, columns []string) plan.Shown {
	where, _, _ := c.value("where")
	condition, _ := sweep.Condition(a.schema, where) // the sweep reports the error
	read := condition.Names()
	names := slices.Concat(columns, read)
	for _, q := range a.schema.Quantities {
		if q.Detail.IsZero() {
			names = append(names, q.Name)
		}
	}
	own := slices.DeleteFunc(names, func(name string) bool {
		return a.isField(name) && !slices.Contains(read, name)
	})
	return plan.Shown{Names: own, Flags: true}
}

func (a *app) isField(name string) bool {
	return slices.ContainsFunc(a.schema.Fields, func(f schema.Field) bool { return f.Var == name })
}

// onlyQuantities returns only the names that belong to quantities.
func (a *app) onlyQuantities(names []string) []string {
	all := quantitiesOf(a.schema)
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(all, name) })
}

// given returns notes on values that the user probably meant differently, and on
// values that have no effect.
func (a *app) given(j plan.Item, shown plan.Shown) []*diag.Diag {
	return append(a.loader().Small(j.Config), a.unread(j, shown)...)
}

// unread returns a note for each value set by the user that has no effect. Values set
// in a file share one note.
func (a *app) unread(j plan.Item, shown plan.Shown) []*diag.Diag {
	var list []*diag.Diag
	var inFile []plan.Unread
	for _, u := range j.Planner.Unread(j.Request, shown) {
		if u.Value.Origin.Kind == data.FromFile {
			inFile = append(inFile, u)
		} else {
			list = append(list, unreadNote(j, []plan.Unread{u}))
		}
	}
	if len(inFile) > 0 {
		slices.SortStableFunc(inFile, func(x, y plan.Unread) int { return x.Value.Origin.Pos.Line - y.Value.Origin.Pos.Line })
		list = append(list, unreadNote(j, inFile))
	}
	flags, err := j.Planner.UnreadFlags(j.Request, shown)
	for i := range flags {
		list = append(list, flags[i].Note())
	}
	return append(list, diag.All(err)...)
}

// unreadNote returns a note that some values have no effect. The note contains the reason
// and hints on what to use instead.
func unreadNote(j plan.Item, all []plan.Unread) *diag.Diag {
	first, names, verb, it := &all[0], make([]string, len(all)), "has", "it"
	for i := range all {
		names[i] = givenName(&all[i])
	}
	if len(all) > 1 {
		verb, it = "have", "them"
	}
	why := fmt.Sprintf("nothing in the %s accounting of %s depends on %s", plan.Accounting(j.Config), j.Model.Arch.Name, it)
	switch {
	case first.Hidden:
		why = "nothing that is shown depends on " + it
	case plan.UseOf(j.Config).Rank && !slices.ContainsFunc(all, func(u plan.Unread) bool { return len(u.Kinds) == 0 }):
		why = "no layer of this model depends on " + it
	case j.Planner.OfTransfers() && !slices.ContainsFunc(all, func(u plan.Unread) bool { return len(u.With) > 0 }):
		why = "nothing in the transfer depends on " + it
	}
	effect := verb + " no effect"
	if first.Chooses {
		effect = "makes this a transfer between ranks, but its value has no effect"
	}
	d := diag.Notef(first.Value.Origin.Pos, "%s %s: %s", strings.Join(names, ", "), effect, why)
	for i := range all {
		u := &all[i]
		what := "" // the value that a hint is about, if the note is about several values
		if len(all) > 1 {
			what = names[i] + ": "
		}
		if meant := diag.DidYouMean(u.Value.Str, u.Field.Known()); meant != "" {
			d.WithHint("%s%s", what, meant)
		}
		for _, f := range u.Instead {
			d.WithHint("%s%s", what, insteadText(j, u, f))
		}
		if len(u.With) > 0 {
			d.WithHint("%sit has an effect with %s", what, strings.Join(u.With, " or "))
		}
		if len(u.Kinds) > 0 {
			d.WithHint("%sin %s accounting, layers of kind %s depend on it", what, schema.AccountingRank, strings.Join(u.Kinds, ", "))
		}
		for _, accounting := range schema.Keys(u.Elsewhere) {
			d.WithHint("%sthe %s accounting of %s depends on it", what, accounting, few(u.Elsewhere[accounting]))
		}
		switch {
		case u.Hidden && isZero(u.Value.Value) && isZero(u.Field.Default): // unknown, so nothing shows it
		case len(u.Quantities) > 0:
			d.WithHint("%s%s; see '%s kvcache --format table'", what, dependents(u.Quantities), program)
		case u.Hidden:
			d.WithHint("%s'%s plan' uses it to choose the transfer", what, program)
		}
	}
	if others := otherHint(all, names, it); others != "" {
		d.WithHint("%s", others)
	}
	return d
}

func isZero(v formula.Value) bool { return v.Kind == formula.Num && v.Num == formula.Int(0) }

// otherHint names the values that the other accounting uses.
func otherHint(all []plan.Unread, names []string, it string) string {
	other := ""
	var with []string
	for i := range all {
		if all[i].Other != "" {
			other, with = all[i].Other, append(with, names[i])
		}
	}
	if len(with) == 0 {
		return ""
	}
	if len(with) < len(all) {
		it = strings.Join(with, ", ")
	}
	return fmt.Sprintf("--%s %s uses %s", schema.AccountingVar, other, it)
}

// givenName returns the name under which the user set a value: a field, a flag, or an
// environment variable.
func givenName(u *plan.Unread) string {
	if u.Value.Origin.Kind == data.FromFile {
		return u.Field.Path
	}
	return u.Value.Origin.String()
}

// insteadText describes the field that the plan uses instead, and how to change that field.
func insteadText(j plan.Item, u *plan.Unread, f *schema.Field) string {
	v := j.Config.Values[f.Var]
	text := fmt.Sprintf("%s uses %s instead", j.Model.Arch.Name, f.Var)
	switch {
	case u.Axis:
		return text + fmt.Sprintf("; set --%s to several values", f.Flag)
	case v.Text() == u.Value.Text():
		return text + ", which is also " + v.Text()
	case v.Origin.Kind == data.FromFlag:
		return text + ", which is " + v.Text()
	}
	return text + fmt.Sprintf(", which is %s; use --%s %s to change it", v.Text(), f.Flag, u.Value.Text())
}

// few lists names. If there are many, it lists only the first ones and counts the others.
func few(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d others", strings.Join(names[:most-1], ", "), len(names)-most+1)
}

// dependents describes which quantities depend on a value. If there are many, it names
// only the first one.
func dependents(names []string) string {
	if len(names) > 2 {
		return fmt.Sprintf("%s and %d others depend on it", names[0], len(names)-1)
	}
	text := strings.Join(names, " and ")
	if len(names) == 1 {
		return text + " depends on it"
	}
	return text + " depend on it"
}
