package report

import (
	"fmt"
	"strings"

	"kvbench/engine/schema"
)

// transferRules lists the rules of an engine with their meanings.
var transferRules = []struct{ name, doc string }{
	{"op", "`READ` if the destination reads from the source, `WRITE` if the source writes"},
	{"first", "the first source of a destination rank; sources are numbered in the same way as `destination_rank`"},
	{"step", "distance between the numbers of consecutive sources"},
	{"count", "number of sources"},
	{"covers", "the part of a layer that a descriptor covers, as in [caches](cache.md#what-one-io-covers)"},
	{"merges", "whether adjacent pages are combined into one descriptor"},
	{"pieces", "number of descriptors per page if pages are not combined"},
	{"window", "the default of `--window`"},
}

// transfersPage writes the page about transfers between ranks.
func transfersPage(p *page, s *schema.Schema) {
	t := s.Cache.Get().Transfer.Get()
	p.text("# Transfers between ranks\n\n" +
		"This page describes how the cache of requests moves from the ranks on one side, the source, to the ranks on the other side, the destination; see\n" +
		"[the guide](../transfers.md). A formula is evaluated for a group of layers with the same cache. It can use these names:")
	p.table("name", "value")
	p.row("`x`, `source_x`", "value `x` on the source side: a field of the [configuration](configuration.md), a parameter, or one of the [cache's values](cache.md#values-in-these-formulas)")
	p.row("`destination_x`", "value `x` on the destination side")
	p.row("`destination_rank`", "the number of the destination rank among the ranks that divide the heads, counted from 0")
	p.row("`destination_dp_rank`", "the number of the destination rank's group among the groups of ranks that serve different requests, counted from 0")
	p.row("`layer_shares`", "the number of parts into which ranks can divide the layers' cache, such as the number of KV heads; 0 if every rank stores all of it")
	p.row("`pair_x`", "the engine's rule `x`")
	for _, name := range schema.Keys(t.Let) {
		p.row("`"+name+"`", "`"+t.Let[name].Text+"`")
	}
	p.text("\n## Rules of each engine\n\nEvery engine defines `op`. If an engine omits another rule, that rule has the value that most engines use.")
	engines := schema.Keys(t.Engines)
	p.table(append([]string{"rule", "meaning"}, engines...)...)
	for _, r := range transferRules {
		cells := []string{"`" + r.name + "`", r.doc}
		for _, name := range engines {
			e := t.Engines[name]
			cells = append(cells, ruleText(e.Rules()[r.name]))
		}
		p.row(cells...)
	}
	p.text("\n## Conditions\n\nThese conditions apply to the two sides, and then to each group of layers:")
	p.table("engine", "condition", "otherwise")
	p.conditions("all", t.Requires)
	for _, name := range engines {
		p.conditions(name, t.Engines[name].Requires)
		p.conditions(name+", each group", t.Engines[name].EachRequires)
	}
	p.text("\n## Fields of the destination\n\nFields that are not set have the same values as on the source side.")
	p.table("field", "on the destination side")
	for _, name := range schema.Keys(t.Destination) {
		p.row("`"+name+"`", "`"+t.Destination[name].Text+"`")
	}
	p.text("\n## Links")
	p.table("link", "bytes per second", "cost per descriptor in ns")
	for _, name := range schema.Keys(t.Tables["link_rate"]) {
		p.row("`"+name+"`", t.Tables["link_rate"][name].Text, t.Tables["link_cost"][name].Text)
	}
	p.text("\n## nixlbench's flags\n\nThe plan of a transfer sets these flags:")
	p.table("flag", "value")
	for _, name := range schema.Keys(t.Flags) {
		p.row("`--"+name+"`", "`"+t.Flags[name].Text+"`")
	}
	p.text("\n## Changes that the advice considers\n\nkvbench tries each of these values, and multiplies the current value by each of the factors.")
	p.table("fields", "values", "factors", "if")
	for _, a := range t.Advice {
		var values, times []string
		for _, v := range a.Values {
			values = append(values, "`"+s.Word(s.FieldOf(a.Field), v)+"`")
		}
		for _, n := range a.Times {
			times = append(times, fmt.Sprint(n))
		}
		fields := []string{a.Field}
		if a.Also != "" {
			fields = append(fields, a.Also)
		}
		p.row(literals(fields), orDash(strings.Join(values, ", ")), orDash(strings.Join(times, ", ")), "`"+a.When.Text+"`")
	}
}
