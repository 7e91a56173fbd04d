package sweep

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// sortValue is the value of a sort key in a row.
type sortValue struct {
	num  formula.Rat
	text string
}

type sortedRow struct {
	text   []byte
	keys   []sortValue
	point  uint64
	order  uint64
	breaks []int
}

// MaxSorted is the maximum number of rows that are kept in memory for sorting.
const MaxSorted = 1_000_000

// keep adds a chunk's rows to the rows to be sorted. If only the first n rows are
// requested, it keeps only n rows, in a [rowHeap].
func (run *sweepRun) keep(c *chunk) error {
	start, at := 0, 0
	keys := len(run.options.Sort)
	h := (*rowHeap)(run)
	for i, r := range c.rows {
		row := sortedRow{keys: c.keys[i*keys : (i+1)*keys], point: r.point, order: run.rows}
		run.rows++
		text := c.buf[start:r.end]
		start = r.end
		from := at
		for at < len(c.breaks) && c.breaks[at].row == i {
			at++
		}
		full := run.options.Top > 0 && uint64(len(run.kept)) == run.options.Top
		if full && run.compare(&row, &run.kept[0]) >= 0 {
			continue
		}
		if !full && len(run.kept) == MaxSorted {
			return diag.Usagef("cannot sort more than %d rows, because --sort keeps them in memory", MaxSorted).
				WithHint("limit the rows with --top, or filter them with --where")
		}
		row.text, row.keys = slices.Clone(text), slices.Clone(row.keys)
		for _, b := range c.breaks[from:at] {
			row.breaks = append(row.breaks, b.limit)
		}
		switch {
		case full:
			run.kept[0] = row
			heap.Fix(h, 0)
		case run.options.Top > 0:
			heap.Push(h, row)
		default:
			run.kept = append(run.kept, row)
		}
	}
	return nil
}

// compare compares two rows by their sort keys. Rows with equal keys stay in their
// original order.
func (run *sweepRun) compare(a, b *sortedRow) int {
	for i, k := range run.options.Sort {
		c := cmp.Or(a.keys[i].num.Cmp(b.keys[i].num), strings.Compare(a.keys[i].text, b.keys[i].text))
		if k.Down {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(a.order, b.order)
}

// rowHeap is a heap of the kept rows. The row that is last in sort order is on top.
type rowHeap sweepRun

func (h *rowHeap) Len() int { return len(h.kept) }

func (h *rowHeap) Less(i, j int) bool { return (*sweepRun)(h).compare(&h.kept[i], &h.kept[j]) > 0 }

func (h *rowHeap) Swap(i, j int) { h.kept[i], h.kept[j] = h.kept[j], h.kept[i] }

func (h *rowHeap) Push(x any) { h.kept = append(h.kept, x.(sortedRow)) }

func (h *rowHeap) Pop() any { return nil } // never called

// flush sorts and writes the kept rows.
func (run *sweepRun) flush() error {
	if len(run.options.Sort) == 0 {
		return nil
	}
	slices.SortFunc(run.kept, func(a, b sortedRow) int { return run.compare(&a, &b) })
	run.rows = uint64(len(run.kept))
	var out []byte
	for i := range run.kept {
		for _, limit := range run.kept[i].breaks {
			run.breaks(limit, run.kept[i].point)
		}
		out = append(out, run.kept[i].text...)
		run.kept[i].text = nil
		if len(out) >= 1<<17 || i == len(run.kept)-1 {
			if _, err := run.w.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	return nil
}
