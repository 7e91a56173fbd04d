package cli

import (
	"kvbench/engine/diag"
	"kvbench/engine/report"
	"kvbench/engine/schema"
)

// resultsPageFlags returns the flags for results pages. They set the fields for the link, its
// bandwidth, and the time to first token.
func (a *app) resultsPageFlags() []*flagSpec {
	of := a.schema.Nixlbench.Runs.Get().Page
	var flags []*flagSpec
	for _, one := range []struct{ field, help string }{
		{of.Link, "Link to compare a page's results with"},
		{of.LinkRate, "Bandwidth to compare a page's results with, instead of a link's"},
		{of.FirstToken, "Time to first token to compare a page's results with"},
	} {
		f := a.schema.FieldOf(one.field)
		spec := &flagSpec{name: f.Flag, arg: "TEXT", group: groupOutput, help: one.help, aka: f.Aka, words: func() []string { return f.Words }}
		if f.Unit != "" {
			spec.arg = a.schema.Units[f.Unit].Arg
		}
		flags = append(flags, spec)
	}
	return flags
}

// resultsPage returns what a results page shows in addition to the results.
func (a *app) resultsPage(c *command, format string) (*report.PageOptions, error) {
	of := a.schema.Nixlbench.Runs.Get().Page
	link, rate, first := a.schema.FieldOf(of.Link), a.schema.FieldOf(of.LinkRate), a.schema.FieldOf(of.FirstToken)
	var errs diag.List
	p := &report.PageOptions{}
	if len(c.args) > 0 {
		p.File = c.args[0]
	}
	if len(c.args) > 1 {
		p.BaseFile = c.args[1]
	}
	for _, f := range []*schema.Field{link, rate, first} {
		if _, from, _ := c.value(f.Flag); c.given[f.Flag] && format != "html" {
			errs = append(errs, from.Errorf("the flag has no effect with --format %s", format).WithHint("only --format html compares results with this value"))
		}
	}
	if format == "html" && c.set["columns"] {
		_, from, _ := c.value("columns")
		errs = append(errs, from.Errorf("cannot be used with --format html, because a page has its own columns").WithHint("omit it, or use --format csv"))
	}
	if name, from, ok := c.value(link.Flag); ok {
		known := report.Links(a.schema)
		if of, isKnown := known[name]; isKnown {
			p.Link, p.LinkRate, p.LinkCost = name, of.Rate, of.Cost
		} else {
			d := from.Errorf("kvbench does not know the link %q", name)
			if !d.Suggest(name, schema.Keys(known)) {
				d.WithHint("see docs/reference/transfers.md for the known links, or use --%s", rate.Flag)
			}
			errs = append(errs, d)
		}
	}
	number := func(f *schema.Field) int64 {
		text, from, ok := c.value(f.Flag)
		if !ok {
			return 0
		}
		n, err := a.schema.ParseNumber(f.Unit, text)
		if err != nil || n < 1 {
			d := from.Errorf("%q is not allowed: expected %s", text, a.schema.NumberText(f.Unit, "a whole number, 1 or more"))
			errs = append(errs, d.HintUnlessEmpty(a.schema.NumberHint(f.Unit, text)))
		}
		return n
	}
	if n := number(rate); n > 0 {
		p.LinkRate = n
		if p.Link == "" {
			p.Link = "--" + rate.Flag
		}
	}
	p.FirstToken = number(first)
	return p, errs.Err()
}
