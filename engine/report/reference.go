package report

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Reference returns the reference pages of the schema, keyed by file name.
func Reference(s *schema.Schema) map[string][]byte {
	pages := map[string][]byte{}
	for name, write := range map[string]func(*page, *schema.Schema){
		"configuration.md": configPage, "nixlbench-flags.md": flagsPage, "backends.md": backendsPage,
		"limits.md": limitsPage, "formulas.md": formulasPage, "cache.md": cachePage, "transfers.md": transfersPage,
		"launch.md": launchPage, "logs.md": logsPage, "tuning.md": tuningPage,
	} {
		p := &page{}
		write(p, s)
		pages[name] = p.Bytes()
	}
	return pages
}

// page is a Markdown page.
type page struct{ bytes.Buffer }

func (p *page) text(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// row writes a row of a table. The first row of a table is its heading.
func (p *page) row(cells ...string) {
	for i, c := range cells {
		cells[i] = cell(oneLine(c))
	}
	p.text("| %s |", strings.Join(cells, " | "))
}

func (p *page) table(heads ...string) {
	p.text("")
	p.row(heads...)
	p.text("|%s", strings.Repeat("---|", len(heads)))
}

// literal formats a value as code, or returns a dash if it is empty.
func literal(v formula.Value) string {
	text := v.Text()
	if v.IsZero() || text == "" {
		return "-"
	}
	return "`" + text + "`"
}

func literals(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return "`" + strings.Join(list, "`, `") + "`"
}

func configPage(p *page, s *schema.Schema) {
	p.text("# Configuration fields\n\nEvery field is optional; its flag overrides it. The third column is the field's name in formulas.")
	p.table("field", "flag", "in formulas", "allowed", "default", "meaning")
	for _, f := range s.Fields {
		allowed := s.NumberText(f.Unit, f.Type.String())
		if f.Values() != nil {
			allowed = literals(f.Values())
		}
		def := f.DefaultBy
		if def == "" {
			def = literal(f.Default)
		}
		flag := "-"
		if f.Flag != "" {
			flag = "`--" + f.Flag + "`"
		}
		p.row("`"+f.Path+"`", flag, "`"+f.Var+"`", allowed, def, f.Doc)
	}
	p.text("\nIn the `sweep` section, you can list several values for a field under the name of its flag: `sweep: {tp: [1, 2], isl: 1024..131072x2}`.")
	p.text("\n## Number formats")
	p.table("format", "bytes per element")
	for _, name := range schema.Keys(s.Dtypes) {
		p.row("`"+name+"`", s.Dtypes[name].Text)
	}
	p.text("\n## Quantities\n\n`explain NAME` shows any quantity that the selected accounting defines. The table, json and csv formats of `kvcache` show the quantities without a condition, and those whose condition in the last column is true.")
	p.table("name", "unit", "meaning", "kvbench accounting", "rank accounting", "shown if")
	for _, q := range s.Quantities {
		text := func(f schema.Formula, otherwise string) string {
			if f.IsZero() {
				return otherwise
			}
			return "`" + f.Text + "`"
		}
		own := "-"
		if q.Detail.IsZero() {
			own = "the architecture's formula"
		}
		shown := text(q.Detail, "-")
		if q.OnlyTransfers {
			shown = "transfers only: " + shown
		}
		if !q.RankDetail.IsZero() {
			shown += "; rank accounting: " + text(q.RankDetail, "")
		}
		if !q.TransferDetail.IsZero() {
			shown += "; transfers: " + text(q.TransferDetail, "")
		}
		p.row("`"+q.Name+"`", strings.ReplaceAll(q.Unit, "1", "-"), q.Doc, text(q.Formula, own), text(q.Rank, "computed from the layers"), shown)
	}
}

// cachePage writes the page about rank accounting.
func cachePage(p *page, s *schema.Schema) {
	c := s.Cache.Get()
	p.text("# Caches layer by layer\n\n" +
		"This page describes what rank accounting (`--accounting rank`) counts; see [the guide](../accounting.md). Each group in an architecture's\n" +
		"`cache` section specifies a kind and sets its fields. A field is a formula, which can use `layer`, the layer number.\n\n## Kinds of layers")
	p.table("kind", "description", "fields", "bytes for", "parts", "pages per request", "grows")
	for _, name := range schema.Keys(c.Kinds) {
		k := c.Kind(name)
		var fields, parts []string
		for _, field := range schema.Keys(k.Fields) {
			f := k.Fields[field]
			text := "`" + field + "`: " + f.Doc
			if !f.Default.IsZero() {
				text += " (`" + f.Default.Text + "` by default)"
			}
			fields = append(fields, text)
		}
		for _, part := range schema.Keys(k.Parts) {
			parts = append(parts, part+" `"+k.Parts[part].Text+"`")
		}
		cells := []string{"`" + name + "`", k.Doc, orDash(strings.Join(fields, "; ")), article(strings.ReplaceAll(k.Per, "_", "'s ")), strings.Join(parts, "; "), "`" + k.Pages.Text + "`", "`" + k.Grows.Text + "`"}
		if len(parts) == 0 {
			cells = []string{cells[0], cells[1], cells[2], "-", "-", "-", "-"}
		}
		p.row(cells...)
	}
	p.text("\nA kind's formulas use its fields by name. In the formulas below, field `x` is called `layer_x`.\n\n## Values in these formulas")
	p.table("name", "formula")
	for _, name := range schema.Keys(c.Let) {
		p.row("`"+name+"`", "`"+c.Let[name].Text+"`")
	}
	for _, table := range schema.Keys(c.Tables) {
		for _, key := range schema.Keys(c.Tables[table]) {
			p.row("`"+table+"["+key+"]`", ruleText(c.Tables[table][key]))
		}
	}
	p.text("\n## Sums and maxima over layers")
	p.table("name", "for each layer", "sum or maximum", "over", "with")
	for _, f := range c.Folds {
		what := "the model"
		if f.Over == schema.OverStage {
			what = "the stage"
		}
		if len(f.By) > 0 {
			what += ", with the same " + texts(f.By)
		}
		if !f.When.IsZero() {
			what += ", if `" + f.When.Text + "`"
		}
		var set []string
		for _, name := range schema.Keys(f.Set) {
			set = append(set, "`"+name+" = "+f.Set[name].Text+"`")
		}
		p.row("`"+f.Name+"`", "`"+f.Of.Text+"`", f.Fold, what, orDash(strings.Join(set, ", ")))
	}
	p.text("\n## What one I/O covers\n\nAn I/O covers a page of all layers of a group in the stage (`stage`), a page of all layers in a pool (`pool`), a block with pages of all layers (`block`), a page of one layer (`layer`), or one part of a layer's page (`part`).")
	p.table("access pattern", "what an I/O covers")
	for _, name := range schema.Keys(c.Covers) {
		p.row("`"+name+"`", "`"+c.Covers[name].Text+"`")
	}
	p.text("\n## Engines\n\nkvbench follows the rules of the engine release that `--engine_release` selects. The default is the newest release whose rules kvbench fully knows, `engine_newest` above.")
	p.table("engine", "releases")
	for _, name := range schema.Keys(c.Releases) {
		p.row(name, strings.Join(c.Releases[name], ", "))
	}
	p.text("\nFields that are not set have these values:")
	p.table("field", "value")
	for _, name := range schema.Keys(c.Defaults) {
		p.row("`"+name+"`", "`"+c.Defaults[name].Text+"`")
	}
	p.text("\n## Conditions")
	p.table("kind", "condition", "otherwise")
	p.conditions("all", c.Requires)
	p.conditions("all, each layer", c.EachRequires)
	for _, name := range schema.Keys(c.Kinds) {
		p.conditions("`"+name+"`", c.Kind(name).Requires.Get())
	}
}

// conditions writes a table row for each condition.
func (p *page) conditions(of string, list []schema.Requirement) {
	for _, r := range list {
		message := r.Message
		if r.Warn {
			message += " (a warning)"
		}
		if r.Note {
			message += " (a note)"
		}
		p.row(of, "`"+r.Require.Text+"`", message)
	}
}

func flagsPage(p *page, s *schema.Schema) {
	n := &s.Nixlbench
	p.text("# nixlbench's flags\n\nThis page lists the flags of releases %s to %s. Plans are for %s unless you select another release or set something that requires one. Flags that the release does not have are rejected.",
		n.Releases[0], n.Releases[len(n.Releases)-1], n.Default)
	p.text("\nnixlbench reads some flags only with certain backends or other flags, which the last column lists. Without them, such a flag has no effect, and kvbench prints a note.")
	p.table("flag", "type", "default", "releases", "values", "meaning", "needs")
	for _, name := range schema.Keys(n.Flags) {
		f := n.Flags[name]
		help := f.Help
		if !f.Computed.IsZero() {
			help += " (from the plan: `" + f.Computed.Text + "`)"
		}
		if f.Env != "" {
			help += " (passed in the environment variable `" + f.Env + "`)"
		}
		var values []string
		for _, v := range schema.Keys(f.Values) {
			text := "`" + v + "`"
			if span := n.Span(f.Values[v]); span != n.SpanOfFlag(f) {
				text += " (" + span + ")"
			}
			values = append(values, text)
		}
		for i, era := range f.Eras {
			cells := []string{"`--" + name + "`", era.Type, literal(era.Default), n.Span(era.Era), orDash(strings.Join(values, ", ")), help, readWith(f)}
			if i > 0 {
				cells[4], cells[5], cells[6] = "", "", ""
			}
			p.row(cells...)
		}
	}
}

// readWith describes the backends and other flags that must be set for nixlbench to read
// a flag.
func readWith(f *schema.Flag) string {
	list := []string{strings.Join(f.Backends, ", "), f.Reads.Needs}
	return orDash(strings.Join(slices.DeleteFunc(list, func(s string) bool { return s == "" }), "; "))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func backendsPage(p *page, s *schema.Schema) {
	n := &s.Nixlbench
	p.text("# Transfer backends\n\nEach row shows the flags that a plan sets for a source and a destination. A backend's rows are in order of preference: a plan uses the first row that matches the source, the destination and the flags that you set. With `--fit`, a plan sets the flags that nixlbench actually uses.")
	p.table("backend", "releases", "class", "from", "to", "sets", "sets with `--fit`")
	for _, name := range schema.Keys(n.Backends) {
		b := n.Backends[name]
		for i, t := range b.Transfers.Get() {
			cells := []string{"`" + name + "`", n.Span(b.Era), b.Class, t.Source, t.Destination, settings(t.Set), settings(t.Fit)}
			if t.Fit == nil {
				cells[6] = "the same"
			}
			if i > 0 {
				cells[0], cells[1], cells[2] = "", "", ""
			}
			p.row(cells...)
		}
	}
}

func settings(set map[string]string) string {
	var list []string
	for _, name := range schema.Keys(set) {
		list = append(list, "`--"+name+" "+set[name]+"`")
	}
	return strings.Join(list, ", ")
}

func tuningPage(p *page, s *schema.Schema) {
	n := &s.Nixlbench
	t := &n.Runs.Get().Tuning
	p.text("# Tuning\n\nThis table lists the settings that `kvbench tune` varies to maximize `%s`, and the values that it tries. It always tries the default as well. Line numbers refer to the source code of nixlbench and NIXL at %s.", t.Measure, n.Releases[len(n.Releases)-1])
	p.table("flags", "releases", "backends", "values", "at most", "where it is used")
	for i := range t.Knobs {
		k := &t.Knobs[i]
		first := n.Flags[k.Flags[0]]
		values := literals(k.Values)
		switch {
		case k.Values != nil:
		case first.Values != nil:
			values = literals(schema.Keys(first.Values))
		default:
			values = literals([]string{"false", "true"})
		}
		if k.Folder != "" {
			values += " and the names in `" + k.Folder + "`"
		}
		backends := k.Backends
		if backends == nil {
			backends = first.Backends
		}
		most := "-"
		if !k.Most.IsZero() {
			most = "`" + k.Most.Text + "` in the default plan"
		}
		flags := make([]string, len(k.Flags))
		for i, f := range k.Flags {
			flags[i] = "--" + f
		}
		on := cmp.Or(strings.Join(backends, ", "), "all")
		if !k.When.IsZero() {
			on += " if `" + k.When.Text + "`"
		}
		p.row(literals(flags), n.SpanOfFlag(first), on, values, most, k.Source)
	}
	p.text("\n## Short runs\n\nTo keep runs short, `kvbench tune` sets these flags, unless you set any of them:")
	p.table("flag", "value")
	for _, short := range t.Short {
		p.row("`--"+short.Flag+"`", "`"+short.Value.Text+"`")
	}
	p.text("\n## Combinations that are not tried\n\nkvbench does not try combinations that violate a [limit](limits.md) or fail one of these conditions:")
	p.table("must hold", "otherwise")
	for _, limit := range t.Require {
		p.row("`"+limit.Require.Text+"`", limit.Message)
	}
}

func limitsPage(p *page, s *schema.Schema) {
	n := &s.Nixlbench
	p.text("# Limits\n\nnixlbench imposes these limits on runs. kvbench warns about plans that violate a limit; `--fit` applies the fixes to values that you did not set. " +
		"A condition that uses `argument` must be true for each value in the command.")
	p.table("limit", "releases", "backends", "must hold", "otherwise nixlbench", "fix")
	for _, l := range n.Limits.Get() {
		backends := "all"
		if len(l.Backends) > 0 {
			backends = strings.Join(l.Backends, ", ")
		}
		fixes := map[string]string{}
		for name, f := range l.Fix {
			fixes[name] = f.Text
		}
		p.row(l.Name, n.Span(l.Era), backends, "`"+l.Require.Text+"`", l.Message, orDash(cmp.Or(settings(fixes), l.Hint)))
	}
	p.text("\n## Values in these formulas")
	p.table("name", "formula")
	for _, name := range schema.Keys(n.Let) {
		p.row("`"+name+"`", "`"+n.Let[name].Text+"`")
	}
	backendsOf := func(list []string) string {
		if len(list) == 0 {
			return "all"
		}
		return strings.Join(list, ", ")
	}
	runs := n.Runs.Get()
	p.text("\n## Checks just before a run\n\nUnless `--force` is set, kvbench does not start a run under these conditions, except those that only cause a warning:")
	p.table("obstacle", "releases", "backends", "when", "because")
	for _, o := range runs.Obstacles {
		because := o.Message
		if o.Warn {
			because += " (only a warning)"
		}
		p.row(o.Name, n.Span(o.Era), backendsOf(o.Backends), "`"+o.When.Text+"`", because)
	}
	p.text("\n## Failures that do not invalidate the rows\n\nIf one of these conditions is true for a failed run, kvbench ignores the failure and checks only the rows, or repeats the run once:")
	p.table("failure", "releases", "when", "note", "repeated")
	for _, e := range runs.Excuses {
		again := "no"
		if e.Retry {
			again = "once"
		}
		p.row(e.Name, n.Span(e.Era), "`"+e.When.Text+"`", e.Message, again)
	}
	p.text("\n## Results you cannot trust\n\nThe status of a result is `suspect` under these conditions, except those that only add a note:")
	p.table("doubt", "releases", "backends", "when", "because")
	for _, d := range runs.Doubts {
		because := d.Message
		switch {
		case d.Quiet:
			because += " (only a note, which is saved with the result but not printed)"
		case d.Note:
			because += " (only a note)"
		}
		p.row(d.Name, n.Span(d.Era), backendsOf(d.Backends), "`"+d.When.Text+"`", because)
	}
}

func formulasPage(p *page, s *schema.Schema) {
	p.text("# Formulas\n\n" +
		"Numbers are exact: each is a ratio of two 64-bit integers. They are rounded only by functions whose descriptions say so. It is an error\n" +
		"if a number does not fit into 64 bits, a divisor is zero, or a byte count is not a whole number.\n\n" +
		"## Operators\n\n" +
		"`+ - * / %%` on numbers (`%%` on whole numbers, 0 or more), `== !=` on numbers, strings and booleans,\n" +
		"`< <= > >=` on numbers, `and or not` on booleans, `contains startsWith endsWith` on strings, `in` on lists,\n" +
		"`condition ? a : b`, `x ?? y` for `given(x) ? x : y`, `list[i]` counting from 0, and `table[key]`.\n\n## Functions")
	p.table("function", "result")
	for _, f := range formula.Functions() {
		p.row("`"+f.Usage+"`", f.Doc)
	}
	p.text("\n## Names\n\nA formula can use the architecture's parameters and formulas, the fields of the [configuration](configuration.md), " +
		"[nixlbench's flags](nixlbench-flags.md), and these:")
	p.table("name", "value")
	p.row("`dtypes[format]`", "bytes per element in a [number format](configuration.md#number-formats)")
	for _, name := range schema.Keys(s.Let) {
		p.row("`"+name+"`", "`"+s.Let[name].Text+"`")
	}
}

// ruleText formats the formula of a rule, or the formulas of its eras.
func ruleText(rule schema.EngineRule) string {
	if f, ok := rule.Plain(); ok {
		return "`" + f.Text + "`"
	}
	var parts []string
	for _, era := range rule {
		what := "`" + era.Value.Text + "`"
		if era.Unknown != "" {
			what = "unknown"
		}
		if era.Since != "" {
			what = "since " + era.Since + " " + what
		} else {
			what = "before " + what
		}
		parts = append(parts, what)
	}
	return strings.Join(parts, "; ")
}

// texts formats a list of formulas.
func texts(list []schema.Formula) string {
	quoted := make([]string, len(list))
	for i, f := range list {
		quoted[i] = "`" + f.Text + "`"
	}
	return strings.Join(quoted, ", ")
}

// article returns a noun with its indefinite article.
func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
