package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// Result is a plan with the records of its runs.
type Result struct {
	Plan    *plan.Plan
	Records []*runner.Record
}

// Summary writes a table of results: the view's values of the plan, the
// measures of its rows, and what became of the runs. Rows of several runs that
// measured the same sizes are one line, with medians.
func Summary(w io.Writer, view schema.View, measures []schema.Measure, results []Result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var head []string
	for _, r := range view.Rows {
		head = append(head, r.Label)
	}
	for _, m := range measures {
		head = append(head, m.Label)
		if m.Spread {
			head = append(head, "min", "max")
		}
	}
	fmt.Fprintln(tw, strings.Join(append(head, "status"), "\t"))
	for _, res := range results {
		var cells []string
		for _, r := range view.Rows {
			text, err := rowText(r, res.Plan)
			if err != nil {
				return err
			}
			cells = append(cells, text)
		}
		for _, rows := range alike(measures, res.Records) {
			line := slices.Clone(cells)
			for _, m := range measures {
				line = append(line, measure(m, rows, res.Plan)...)
			}
			fmt.Fprintln(tw, strings.Join(append(line, status(res.Records)), "\t"))
		}
	}
	return tw.Flush()
}

// alike puts the rows together that measured the same, in the order they came;
// there is one empty group where none came.
func alike(measures []schema.Measure, records []*runner.Record) [][]nixlbench.Row {
	var groups [][]nixlbench.Row
	at := map[string]int{}
	for _, rec := range records {
		for _, row := range rec.Rows {
			key := ""
			for _, m := range measures {
				if m.ID {
					key += string(row[m.Key]) + " "
				}
			}
			i, ok := at[key]
			if !ok {
				i = len(groups)
				at[key] = i
				groups = append(groups, nil)
			}
			groups[i] = append(groups[i], row)
		}
	}
	if groups == nil {
		groups = [][]nixlbench.Row{nil}
	}
	return groups
}

// measure gives the cells of a measure: the median, and where it is asked for
// the least and the greatest, each as nixlbench printed it.
func measure(m schema.Measure, rows []nixlbench.Row, pl *plan.Plan) []string {
	var numbers []nixlbench.Number
	for _, row := range rows {
		if n, ok := row[m.Key]; ok {
			numbers = append(numbers, n)
		}
	}
	cells := []string{"-"}
	if m.Spread {
		cells = []string{"-", "-", "-"}
	}
	if len(numbers) == 0 {
		if v, ok := pl.Value(m.Value); ok {
			cells[0] = v.Text()
		}
		return cells
	}
	slices.SortStableFunc(numbers, func(a, b nixlbench.Number) int {
		switch x, y := a.Float(), b.Float(); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	cells[0] = median(numbers)
	if m.Spread {
		cells[1], cells[2] = string(numbers[0]), string(numbers[len(numbers)-1])
	}
	return cells
}

// median gives the middle of sorted numbers, with as many decimals as they
// have.
func median(sorted []nixlbench.Number) string {
	n := len(sorted)
	a, b := sorted[(n-1)/2], sorted[n/2]
	if a == b {
		return string(a)
	}
	_, decimals, _ := strings.Cut(string(a), ".")
	return fmt.Sprintf("%.*f", len(decimals), (a.Float()+b.Float())/2)
}

// status counts what became of the runs.
func status(records []*runner.Record) string {
	counts := map[runner.Status]int{}
	for _, rec := range records {
		counts[rec.Status]++
	}
	var parts []string
	for _, s := range []runner.Status{runner.OK, runner.Suspect, runner.Failed, runner.Interrupted} {
		switch n := counts[s]; {
		case n == 0:
		case n == len(records):
			return string(s)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		return "not run"
	}
	return strings.Join(parts, ", ")
}
