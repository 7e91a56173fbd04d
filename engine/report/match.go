package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// match finds lines of the baseline by their values in certain columns, so that
// results can be compared across configurations, folders and releases.
type match struct {
	columns []column
	others  []column // the columns in which matched lines may differ
	lines   map[string][]*line
	all     []*line // the rows of the baseline
}

func (r *Results) matchOn(o *Options, s *schema.Schema) {
	all := columnsOf(o.View, s)
	measures := s.Nixlbench.Runs.Get().Measures
	isSize := func(c column) bool {
		return slices.ContainsFunc(measures, func(m schema.Measure) bool { return m.ID && m.Key == c.name })
	}
	m := &match{columns: chosen(all, o.Match), lines: map[string][]*line{}}
	for _, c := range all {
		if slices.Contains(o.Match, c.name) || c.of == nil && !isSize(c) || c.of != nil && c.of.From == runner.FromQuantities {
			continue
		}
		if c.of != nil && c.of.From == runner.FromFlags {
			if f := s.Nixlbench.Flags[c.of.Name]; !f.Computed.IsZero() || f.Secret || f.Meets {
				continue
			}
		}
		m.others = append(m.others, c)
	}
	for _, p := range r.Baseline {
		for _, l := range lines(measures, p) {
			key := m.key(p, l)
			m.lines[key] = append(m.lines[key], l)
			m.all = append(m.all, l)
		}
	}
	r.match = m
}

func (m *match) key(p Point, l *line) string {
	cells := make([]string, len(m.columns))
	for i, c := range m.columns {
		cells[i] = c.cell(p, l, &line{point: p})
	}
	return strings.Join(cells, "\x00")
}

// find returns the line of the baseline that matches l. It returns nil unless exactly one
// line matches.
func (m *match) find(p Point, l *line) *line {
	if found := m.lines[m.key(p, l)]; len(found) == 1 {
		return found[0]
	}
	return nil
}

// maxPairs is the maximum number of pairs of different values that are shown for a column.
const maxPairs = 2

// Told returns a note that lists the columns used to match lines and the columns in which matched
// lines differ. It also returns warnings about lines that match several lines of the baseline, and
// about lines of the baseline without a match. name is the name of the baseline.
func (r *Results) Told(name string, s *schema.Schema) []*diag.Diag {
	m := r.match
	pairs := make([][]string, len(m.others))
	between := make([]bool, len(m.others)) // whether baseline lines with the same key differ in a column
	total, matched, several := 0, 0, 0
	used := map[*line]bool{}
	r.each(s.Nixlbench.Runs.Get().Measures, func(p Point, l, _ *line) {
		total++
		found := m.lines[m.key(p, l)]
		for _, f := range found {
			used[f] = true
		}
		if len(found) > 1 {
			several++
			for i, c := range m.others {
				first := c.cell(found[0].point, found[0], found[0])
				between[i] = between[i] || slices.ContainsFunc(found[1:min(len(found), 10)], func(f *line) bool { return c.cell(f.point, f, f) != first })
			}
		}
		if len(found) != 1 {
			return
		}
		matched++
		base := found[0]
		for i, c := range m.others {
			if len(pairs[i]) > maxPairs {
				continue
			}
			own, was := c.cell(p, l, base), c.cell(base.point, base, base)
			if pair := fmt.Sprintf("%s, was %s", shownCell(own), shownCell(was)); own != was && !slices.Contains(pairs[i], pair) {
				pairs[i] = append(pairs[i], pair)
			}
		}
	})
	var differ, tell []string
	for i, c := range m.others {
		if n := len(pairs[i]); n > maxPairs {
			differ = append(differ, fmt.Sprintf("%s (%s; and others)", c.name, strings.Join(pairs[i][:maxPairs], "; ")))
		} else if n > 0 {
			differ = append(differ, fmt.Sprintf("%s (%s)", c.name, strings.Join(pairs[i], "; ")))
		}
		if between[i] {
			tell = append(tell, c.name)
		}
	}
	on := make([]string, len(m.columns))
	for i, c := range m.columns {
		on[i] = c.name
	}
	at := diag.Pos{File: name}
	note := diag.Notef(at, "%d of %d rows are compared, matched on %s", matched, total, strings.Join(on, ", "))
	if matched > 0 {
		note.WithHint("they differ in %s", cmp.Or(strings.Join(differ, ", "), "no other column"))
	}
	list := []*diag.Diag{note}
	if several > 0 {
		w := diag.Warnf(at, "%d rows match more than one row of this file, so they are not compared", several)
		if len(tell) > 0 {
			w.WithHint("the rows of this file differ in %s; extend --match with the columns that must be equal", strings.Join(tell, ", "))
		} else {
			w.WithHint("no column distinguishes the rows of this file")
		}
		list = append(list, w)
	}
	gone := -len(used)
	for _, l := range m.lines {
		gone += len(l)
	}
	if gone > 0 {
		list = append(list, diag.Warnf(at, "rows without a match: %d", gone))
	}
	return list
}

// shownCell returns a cell as shown in a message.
func shownCell(cell string) string {
	if cell == none || cell == "" {
		return "none"
	}
	return cell
}
