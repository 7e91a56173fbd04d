package sweep

import (
	"cmp"
	"context"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/plan"
)

// maxChunk is the number of points in a chunk. Small sweeps use smaller chunks, down
// to minChunk, so that every processor gets a share. Both are powers of two.
const (
	maxChunk = 2048
	minChunk = 64
)

// Outcome is the outcome of a sweep.
type Outcome struct {
	// Points is the number of points evaluated, and Rows the number of rows written.
	Points, Rows uint64
	// Broken contains the limits that were exceeded by points whose rows were written.
	Broken []Broken
	// Failed lists the reasons why points have no plan or no row.
	Failed []Failed
	// Warned lists the warnings about points.
	Warned []Failed
}

// Broken describes a limit that points exceed. It also records the first such point.
type Broken struct {
	Violation *fit.Violation
	Plan      *plan.Plan
	First     uint64 // the first point
	Count     uint64
}

// Failed describes a warning, or a reason why points have no plan or no row. It also
// records the first such point.
type Failed struct {
	Err   error
	First uint64 // the first point
	Count uint64 // number of points
	order int    // the reason's position in the order in which reasons were found
	last  uint64 // the last point counted, so that a point with several rows counts once
}

// maxFailures is the maximum number of distinct reasons for failures or warnings. Any
// further reasons are counted together.
const maxFailures = 50

// Run evaluates the points on all processors and writes their rows in order. It stops early
// if ctx is done, if it has written the requested number of rows, or if writing fails. It
// passes only whole rows to w.Write. It calls progress from time to time with the number of
// points evaluated so far.
func (s *Sweep) Run(ctx context.Context, w io.Writer, progress func(points uint64)) (*Outcome, error) {
	run := &sweepRun{Sweep: s, failed: map[failure]*Failed{}, warned: map[failure]*Failed{}, broken: map[int]*Broken{}, w: w}
	processors := uint64(runtime.GOMAXPROCS(0))
	run.size = maxChunk
	for run.size > minChunk && s.Points < 8*processors*run.size {
		run.size /= 2
	}
	total := (s.Points + run.size - 1) / run.size
	workers := int(min(processors, total))
	run.free = make(chan *chunk, 3*workers)
	run.done = make(chan *chunk, 3*workers)
	for range cap(run.free) {
		run.free <- &chunk{}
	}
	var all sync.WaitGroup
	end := make(chan struct{})
	for range workers {
		all.Go(func() { run.work(total, end) })
	}
	err := run.collect(ctx, total, progress)
	run.stop.Store(true)
	close(end)
	all.Wait()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = run.flush()
	}
	return run.outcome(), err
}

// sweepRun is a sweep in progress.
type sweepRun struct {
	*Sweep
	w    io.Writer
	free chan *chunk
	done chan *chunk
	stop atomic.Bool

	size uint64 // points in a chunk
	text []byte // rows not written yet; see [sweepRun.write]
	mu   sync.Mutex
	next uint64 // the next chunk to evaluate

	points, rows uint64
	broken       map[int]*Broken
	failed       map[failure]*Failed
	warned       map[failure]*Failed
	kept         []sortedRow // rows to sort
}

// failure identifies a kind of failure or warning.
type failure struct {
	program *sweepProgram
	what    string
}

// chunk is a range of consecutive points and their rows.
type chunk struct {
	index  uint64
	buf    []byte
	rows   []chunkRow
	keys   []sortValue
	breaks []limitBreak
	fails  []pointFail
	warns  []pointFail
}

type chunkRow struct {
	end   int // the end of the row in buf
	point uint64
}

type limitBreak struct {
	row   int
	limit int
}

type pointFail struct {
	point uint64
	failure
	warning *diag.Diag
}

// work evaluates chunks until there are none left.
func (run *sweepRun) work(total uint64, end <-chan struct{}) {
	wk := &worker{sweepRun: run, texts: map[textKey][][]byte{}}
	take := func() *chunk {
		// Taking the index and the buffer together ensures that there is always a buffer
		// for the chunk that the collect method is waiting for.
		run.mu.Lock()
		defer run.mu.Unlock()
		if run.next == total {
			return nil
		}
		select {
		case c := <-run.free:
			c.index = run.next
			run.next++
			return c
		case <-end:
			return nil
		}
	}
	for c := take(); c != nil; c = take() {
		wk.chunk(c)
		select {
		case run.done <- c:
		case <-end:
			return
		}
	}
}

// collect takes the evaluated chunks in the order of their points.
func (run *sweepRun) collect(ctx context.Context, total uint64, progress func(uint64)) error {
	waiting := map[uint64]*chunk{}
	for want := uint64(0); want < total; {
		select {
		case <-ctx.Done():
			return nil
		case c := <-run.done:
			waiting[c.index] = c
		}
		for c := waiting[want]; c != nil; c = waiting[want] {
			delete(waiting, want)
			want++
			if ctx.Err() != nil {
				return nil
			}
			full, err := run.take(c)
			if err != nil || full {
				return err
			}
			progress(run.points)
			run.free <- c
		}
	}
	return nil
}

// take writes the rows of a chunk, or stores them for sorting. full reports whether no more
// rows are needed.
func (run *sweepRun) take(c *chunk) (full bool, err error) {
	first := c.index * run.size
	points := min(run.size, run.Points-first)
	rows := len(c.rows)
	top := run.options.Top
	if len(run.options.Sort) > 0 {
		if err := run.keep(c); err != nil {
			return false, err
		}
	} else {
		if top > 0 && uint64(rows) >= top-run.rows {
			full = true
			rows = int(top - run.rows)
			points = c.rows[rows-1].point + 1 - first
		}
		if rows > 0 {
			run.text = append(run.text, c.buf[:c.rows[rows-1].end]...)
		}
		if err := run.write(first+points, full); err != nil {
			return false, err
		}
		for _, b := range c.breaks {
			if b.row < rows {
				run.breaks(b.limit, c.rows[b.row].point)
			}
		}
		run.rows += uint64(rows)
	}
	for _, f := range c.fails {
		if f.point >= first+points {
			break
		}
		count(run.failed, f, func() error { return run.errorOf(f.point) })
	}
	for _, f := range c.warns {
		if f.point < first+points {
			count(run.warned, f, func() error { return f.warning })
		}
	}
	run.points += points
	return full, nil
}

// write writes the pending rows if point is a multiple of maxChunk or the end of the
// sweep, or if last is set. All points before point must have been evaluated. As a
// result, the number of processors does not affect which rows are written together. This
// matters because it determines the column widths of tables.
func (run *sweepRun) write(point uint64, last bool) error {
	if len(run.text) == 0 || point%maxChunk != 0 && point != run.Points && !last {
		return nil
	}
	_, err := run.w.Write(run.text)
	run.text = run.text[:0]
	return err
}

// count counts a failure. For the first failure of a kind, it calls err to get the reason.
func count(all map[failure]*Failed, f pointFail, err func() error) {
	kind := f.failure
	if all[kind] == nil && len(all) >= maxFailures {
		kind = failure{}
	}
	switch known := all[kind]; {
	case known == nil:
		all[kind] = &Failed{Err: err(), First: f.point, Count: 1, order: len(all), last: f.point}
	case known.last != f.point:
		known.Count++
		known.last = f.point
	}
}

func (run *sweepRun) breaks(limit int, point uint64) {
	if known := run.broken[limit]; known != nil {
		known.Count++
		known.First = min(known.First, point)
	} else {
		run.broken[limit] = &Broken{Count: 1, First: point}
	}
}

func (run *sweepRun) outcome() *Outcome {
	out := &Outcome{Points: run.points, Rows: run.rows}
	for _, i := range slices.Sorted(maps.Keys(run.broken)) {
		b := run.broken[i]
		it := run.item(b.First)
		plans, _ := it.program.NewPlanner().Plans(it.request(b.First))
		for _, pl := range plans {
			for k := range pl.Violations {
				if v := &pl.Violations[k]; v.Limit.Index == i && b.Plan == nil {
					b.Plan, b.Violation = pl, v
					out.Broken = append(out.Broken, *b)
				}
			}
		}
	}
	out.Failed, out.Warned = inOrder(run.failed), inOrder(run.warned)
	return out
}

// inOrder returns failures in the order in which they were found.
func inOrder(all map[failure]*Failed) []Failed {
	var list []Failed
	for _, f := range all {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b Failed) int { return cmp.Compare(a.order, b.order) })
	return list
}

// errorOf returns the reason why a point has no plan or no row.
func (s *Sweep) errorOf(point uint64) error {
	it := s.item(point)
	v := newVariant(it.program)
	plans, err := it.program.NewPlanner().Plans(it.request(point))
	if err != nil {
		return err
	}
	sp := it.program
	for _, pl := range plans {
		v.LoadPlan(pl)
		if sp.filtered {
			if _, err := v.frame.Bool(sp.where); err != nil {
				return err
			}
		}
		for _, columns := range [][]sweepColumn{sp.columns, sp.keys} {
			for i := range columns {
				if c := &columns[i]; c.known {
					if _, err := v.valueOf(c, pl); err != nil {
						return err
					}
				}
			}
		}
	}
	return diag.Errorf(diag.Pos{}, "the point has no row")
}
