package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// measurement is the row chosen to provide a value for a planner's file.
type measurement struct {
	line   *line
	number float64
	median string
	rows   int // number of rows that measure the value
}

// PlannerFile writes a planner's file from the valid rows of results, which [Listing.Select]
// has selected. It returns an error if the rows do not measure any of the file's values.
func (l *Listing) PlannerFile(w io.Writer, records []*runner.Brief, p *schema.Planner, s *schema.Schema) error {
	measures := s.Nixlbench.Runs.Get().Measures
	all := everyMeasure(s)
	found := make([]*measurement, len(p.Values))
	for _, point := range pointsByMachines(records) {
		for _, row := range lines(measures, point) {
			if !row.trusted || len(row.rows) == 0 {
				continue
			}
			for i := range p.Values {
				v := &p.Values[i]
				if slices.ContainsFunc(v.Rows, func(m schema.MeasuringRow) bool { return l.qualifies(row, &m, s) }) {
					found[i] = found[i].better(row, measureOf(all, v.Key), v)
				}
			}
		}
	}
	text := p.Head
	var missing []string
	for i, m := range found {
		v := &p.Values[i]
		if m == nil {
			missing = append(missing, v.Doc)
			continue
		}
		value := strconv.FormatFloat(m.number*math.Pow10(v.Exponent), 'f', v.Decimals, 64)
		text += strings.NewReplacer("{value}", value, "{how}", l.howMeasured(m, measureOf(all, v.Key), s)).Replace(v.Line) + "\n"
	}
	if len(missing) == len(found) {
		return diag.Errorf(diag.Pos{}, "no valid result contains any of the values that this format needs: %s", strings.Join(missing, "; ")).
			WithHint("suspect and failed results are not exported")
	}
	_, err := io.WriteString(w, text)
	return err
}

// pointsByMachines groups records by plan and by number of machines.
func pointsByMachines(records []*runner.Brief) []Point {
	var groups [3][]*runner.Brief
	for _, rec := range records {
		n := machines(rec)
		groups[n] = append(groups[n], rec)
	}
	return slices.Concat(Points(groups[0]), Points(groups[1]), Points(groups[2]))
}

// Select removes the rows of a result that do not meet the listing's conditions.
func (l *Listing) Select(rec *runner.Brief) {
	var rows []runner.Row
	l.each(rec, func(of *row) { rows = append(rows, of.line.rows...) })
	rec.Rows = rows
}

// qualifies reports whether a row meets the requirements for measuring a value.
func (l *Listing) qualifies(r *line, m *schema.MeasuringRow, s *schema.Schema) bool {
	backend, _ := value(r.point[0], backendColumn)
	b := s.Nixlbench.Backends[text(backend)]
	if b == nil || b.Class != m.Class || m.Machines > 0 && m.Machines != machines(r.point[0]) {
		return false
	}
	one := &row{point: r.point, line: *r, base: line{point: r.point}}
	for _, c := range rowColumns(s) {
		if want, ok := m.Where[c.name]; ok && l.cell(&c, one) != want {
			return false
		}
	}
	return true
}

// backendColumn is the column for the backend of a row.
const backendColumn = "backend"

// machines returns the number of machines that took part in a run. It returns 0 if the number is
// unknown, as for a job, which can run on one machine or on several.
func machines(rec *runner.Brief) int {
	if rec.Role != "" {
		return 2
	}
	if _, ok := rec.Value(runner.FromRecord, runner.NameProcessors); ok {
		return 1
	}
	return 0
}

// better compares two measurements for a planner's file: m, which may be nil, and the one in
// row l. It returns the better one.
func (m *measurement) better(l *line, of schema.Measure, v *schema.PlannedValue) *measurement {
	numbers := l.numbers(of)
	if len(numbers) == 0 {
		return m
	}
	next := &measurement{line: l, median: median(numbers), rows: 1}
	next.number = nixlbench.Number(next.median).Float()
	if m == nil {
		return next
	}
	next.rows += m.rows
	if (next.number < m.number) == (v.Take == schema.Lowest) && next.number != m.number {
		return next
	}
	m.rows++
	return m
}

// howMeasured describes how a value was measured.
func (l *Listing) howMeasured(m *measurement, of schema.Measure, s *schema.Schema) string {
	p := m.line.point
	cells := []string{fmt.Sprintf("%s %s, median of %s", headingOf(of), m.median, plural(len(m.line.rows), "run"))}
	for _, r := range s.View("report").Rows {
		if v, ok := value(p[0], r.Value); ok && v != nil {
			cells = append(cells, r.Label+" "+diag.Printable(text(v)))
		}
	}
	for _, size := range s.Nixlbench.Runs.Get().Measures {
		if size.ID {
			cells = append(cells, size.Label+" "+m.line.shown(size))
		}
	}
	if by := measurer(p); by != nixlbench.Program {
		cells = append(cells, "measured by "+diag.Printable(by))
	}
	cells = append(cells, "point "+p[0].Point[:min(len(p[0].Point), hashShown)])
	if m.rows > 1 {
		cells = append(cells, fmt.Sprintf("the best of %d rows", m.rows))
	}
	return strings.Join(cells, ", ")
}

func headingOf(m schema.Measure) string {
	if m.Label != "" {
		return m.Label
	}
	return m.Key
}

// PlannerBriefs returns an extractor for the values that a planner's file needs.
func (l *Listing) PlannerBriefs(p *schema.Planner, s *schema.Schema) *runner.Briefs {
	needs := map[string]bool{backendColumn: true}
	for _, v := range p.Values {
		for _, m := range v.Rows {
			for c := range m.Where {
				needs[c] = true
			}
		}
	}
	all := *l
	for _, c := range rowColumns(s) {
		if needs[c.name] {
			all.columns = append(all.columns, c)
		}
	}
	return all.briefs(s, Kept(s.View("report"), s.Nixlbench.Runs.Get().Measures)...)
}
