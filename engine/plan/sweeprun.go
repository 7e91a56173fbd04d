package plan

import (
	"cmp"
	"container/heap"
	"context"
	stdio "io" // a plan has I/Os of its own
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// maxChunk is how many points are evaluated at a time; minChunk how few, where
// all processors would not get a share otherwise. Both are powers of two.
const (
	maxChunk = 2048
	minChunk = 64
)

// MaxSorted is how many rows are kept to be sorted.
const MaxSorted = 1_000_000

// Outcome is what came of a sweep.
type Outcome struct {
	// Points and Rows are how many were evaluated and written.
	Points, Rows uint64
	// Broken are the limits that points break whose rows were written.
	Broken []Broken
	// Failed are the reasons why points have no plan.
	Failed []Failed
	// Warned is what points are warned about.
	Warned []Failed
}

// Broken is a limit that points break, with the first of them.
type Broken struct {
	Violation *fit.Violation
	Plan      *Plan
	First     uint64 // point
	Count     uint64
}

// Failed is a reason why points have no plan or no row, with the first of them.
type Failed struct {
	Err   error
	First uint64 // point
	Count uint64 // of points
	order int
	last  uint64 // point, which may have several rows
}

// maxFailures is how many reasons are told apart.
const maxFailures = 50

// Run evaluates the points on all processors and writes their rows in order. It
// ends early when ctx does, when it has the rows that are wanted, or when
// writing fails; w gets whole rows only. progress is called now and then with
// the number of points that are done.
func (s *Sweep) Run(ctx context.Context, w stdio.Writer, progress func(points uint64)) (*Outcome, error) {
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

// sweepRun is a sweep under way.
type sweepRun struct {
	*Sweep
	w    stdio.Writer
	free chan *chunk
	done chan *chunk
	stop atomic.Bool

	size uint64 // points of a chunk
	text []byte // rows to be written; see [sweepRun.write]
	mu   sync.Mutex
	next uint64 // chunk

	points, rows uint64
	broken       map[int]*Broken
	failed       map[failure]*Failed
	warned       map[failure]*Failed
	kept         []sortedRow // rows to be sorted
}

// failure tells kinds of failures apart.
type failure struct {
	program *sweepProgram
	what    string
}

// chunk is a number of points with their rows.
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
	end   int // in buf
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

// sortValue is what rows are compared by.
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

// work evaluates chunks until there are none left.
func (run *sweepRun) work(total uint64, end <-chan struct{}) {
	wk := &worker{sweepRun: run, texts: map[textKey][][]byte{}, expansions: map[expansionKey]*expansion{}}
	take := func() *chunk {
		// A chunk's buffer comes with its turn, so that the one that is waited
		// for always has a buffer.
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

// collect takes the chunks in order.
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

// take writes or keeps the rows of a chunk. full says that no more are wanted.
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

// write writes the rows of the points before one that is a multiple of maxChunk,
// or the last: what is written at a time does not depend on how many processors
// there are, since a table is as wide as that.
func (run *sweepRun) write(point uint64, last bool) error {
	if len(run.text) == 0 || point%maxChunk != 0 && point != run.Points && !last {
		return nil
	}
	_, err := run.w.Write(run.text)
	run.text = run.text[:0]
	return err
}

// count counts a failure with its like.
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

// keep adds the rows of a chunk to those that are to be sorted: all of them, or
// as many as are wanted, in a heap with the last on top.
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
			return diag.Usagef("--sort keeps at most %d rows in memory, and there are more", MaxSorted).
				WithHint("keep the first of them with --top, or filter them with --where")
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

// compare says which of two rows comes first; equal ones stay in order.
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

// rowHeap is the rows that are kept, the last in order on top.
type rowHeap sweepRun

func (h *rowHeap) Len() int           { return len(h.kept) }
func (h *rowHeap) Less(i, j int) bool { return (*sweepRun)(h).compare(&h.kept[i], &h.kept[j]) > 0 }
func (h *rowHeap) Swap(i, j int)      { h.kept[i], h.kept[j] = h.kept[j], h.kept[i] }
func (h *rowHeap) Push(x any)         { h.kept = append(h.kept, x.(sortedRow)) }
func (h *rowHeap) Pop() any           { return nil } // never called

// flush writes the rows that were kept.
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

// inOrder returns failures in the order in which they were found: that of points,
// and of what is told of one point.
func inOrder(all map[failure]*Failed) []Failed {
	var list []Failed
	for _, f := range all {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b Failed) int { return cmp.Compare(a.order, b.order) })
	return list
}

// worker evaluates points on one processor.
type worker struct {
	*sweepRun
	item     *sweepItem
	variants []*variant
	general  *variant // the frame of points that are planned alone
	planner  *Planner // of those
	texts    map[textKey][][]byte
	digits   []int
	out      *chunk
	// expansions are those of items whose points share them.
	expansions map[expansionKey]*expansion
}

// variant is an item under one choice of a rule, with a frame of its own.
type variant struct {
	*Frame
	fit        *fit.Fitter
	err        error
	req        *Request // with the values of the axes, where messages need them
	quantities []formula.Ref
	names      []string // of the quantities
	least      int64    // that they may be
	flags      []dynamicFlag
	limits     []dynamicLimit
	layers     *Layers         // with a frame of its own
	shared     bool            // many points have the same expansion
	facts      []factSlot      // of an expansion
	at         []int           // the values of the axes in the frame
	depend     [][]formula.Ref // what depends on each axis
	cells      []cellStep
	keys       []cellStep
}

// expansion is what comes of the layers at a point.
type expansion struct {
	requests []*Request
	warnings diag.List
	err      error
}

// expansionKey is a combination of values that decides on an expansion.
type expansionKey struct {
	variant *variant
	values  uint64
}

// maxExpansions is how many a worker keeps.
const maxExpansions = 4096

// factSlot is where a fact is in the frame.
type factSlot struct {
	ref    formula.Ref // -1 where no formula reads it
	depend []formula.Ref
}

// dynamicFlag is a computed number that axes change, with its bounds.
type dynamicFlag struct {
	name   string
	ref    formula.Ref
	lo, hi int64
}

// dynamicLimit is a limit that axes decide on, or that is broken anyway.
type dynamicLimit struct {
	index  int
	ref    formula.Ref
	broken bool
	last   bool // those behind it use numbers that it has not
}

// cellStep writes a column: what is known beforehand, then a value.
type cellStep struct {
	lead   []byte
	kind   formula.Kind // Any for the lead alone
	plain  bool         // a number that is always shown
	column *sweepColumn
	axis   int // whose text is in texts, or -1
	texts  [][]byte
}

type textKey struct {
	values *formula.Value
	column int
}

// chunk evaluates the points of a chunk.
func (wk *worker) chunk(c *chunk) {
	c.buf, c.rows, c.keys = c.buf[:0], c.rows[:0], c.keys[:0]
	c.breaks, c.fails, c.warns = c.breaks[:0], c.fails[:0], c.warns[:0]
	wk.out = c
	point := c.index * wk.size
	end := min(point+wk.size, wk.Points)
	for point < end {
		it := wk.sweepItem(point)
		last := min(end, it.first+it.count)
		for i := range wk.digits {
			wk.digits[i] = it.digit(i, point)
		}
		for ; point < last; point++ {
			if wk.stop.Load() {
				return
			}
			wk.point(point)
			for i := len(wk.digits) - 1; i >= 0; i-- {
				if wk.digits[i]++; wk.digits[i] < len(it.Config.Axes[i].Values) {
					break
				}
				wk.digits[i] = 0
			}
		}
	}
}

// sweepItem makes the item of a point the worker's.
func (wk *worker) sweepItem(point uint64) *sweepItem {
	if it := wk.item; it != nil && point >= it.first && point < it.first+it.count {
		return it
	}
	it := wk.Sweep.item(point)
	wk.item = it
	wk.digits = make([]int, len(it.Config.Axes))
	wk.general = nil
	clear(wk.expansions)
	n := 1
	for _, i := range it.shape.slow {
		if !it.shape.general {
			n *= len(it.Config.Axes[i].Values)
		}
	}
	wk.variants = make([]*variant, n)
	return it
}

// point evaluates the point that the digits are of.
func (wk *worker) point(point uint64) {
	it := wk.item
	if it.shape.general {
		wk.alone(point)
		return
	}
	n := 0
	for _, i := range it.shape.slow {
		n = n*len(it.Config.Axes[i].Values) + wk.digits[i]
	}
	v := wk.variants[n]
	if v == nil {
		v = wk.variant()
		wk.variants[n] = v
	}
	if v.err != nil {
		wk.fail(point, diag.Kind(v.err))
		return
	}
	wk.move(v)
	switch {
	case it.shape.layered:
		wk.layered(v, point)
	case wk.required(v, point):
		wk.rowIn(v, nil, point)
	}
}

// move sets the frame of a variant to the values that the digits are of.
func (wk *worker) move(v *variant) {
	it := wk.item
	for i, d := range wk.digits {
		if v.at[i] == d {
			continue
		}
		v.at[i] = d
		val := &it.Config.Axes[i].Values[d]
		if v.req != nil {
			v.req.Config.Values[it.Config.Axes[i].Field.Var] = *val
		}
		ref := it.shape.refs[i]
		switch {
		case ref < 0:
		case val.Kind == v.prog.Kind(ref):
			v.frame.Change(ref, val.Value, v.depend[i])
			if v.layers != nil {
				v.layers.frame.Set(ref, val.Value)
			}
		default:
			v.frame.Unset(ref)
			if v.layers != nil {
				v.layers.frame.Unset(ref)
			}
		}
	}
}

// required reports whether what the architecture requires holds.
func (wk *worker) required(v *variant, point uint64) bool {
	if v.req == nil {
		return true
	}
	var warnings diag.List
	if err := v.archRequires(v.req, &warnings); err != nil {
		wk.fail(point, diag.Kind(err))
		return false
	}
	wk.warn(warnings, point)
	return true
}

func (wk *worker) warn(warnings diag.List, point uint64) {
	for _, w := range warnings {
		wk.out.warns = append(wk.out.warns, pointFail{point, failure{wk.item.program, diag.Kind(w)}, w})
	}
}

// layered writes the rows of a point whose values are made of layers: one for
// each of its plans.
func (wk *worker) layered(v *variant, point uint64) {
	e := wk.expansion(v)
	if e.err != nil {
		wk.fail(point, diag.Kind(e.err))
		return
	}
	c := wk.out
	before := *c
	for _, one := range e.requests {
		v.hear(one.facts)
		if name := v.wrong(); name != "" { // there is no plan of the point
			buf := c.buf
			*c = before
			c.buf = buf[:len(before.buf)]
			wk.fail(point, name)
			return
		}
		wk.rowIn(v, &Plan{Request: one}, point)
	}
	wk.warn(e.warnings, point)
}

// expansion finds what comes of the layers at the point of the digits.
func (wk *worker) expansion(v *variant) *expansion {
	key := expansionKey{variant: v}
	for _, i := range wk.item.shape.reads {
		key.values = key.values*uint64(len(wk.item.Config.Axes[i].Values)) + uint64(wk.digits[i])
	}
	if e := wk.expansions[key]; e != nil {
		return e
	}
	e := &expansion{}
	for _, ref := range wk.item.shape.inner { // those of the point before
		v.layers.frame.Unset(ref)
	}
	e.requests, e.warnings, e.err = v.layers.expand(v.req)
	if v.shared {
		if len(wk.expansions) == maxExpansions {
			clear(wk.expansions)
		}
		wk.expansions[key] = e
	}
	return e
}

// hear sets the facts of an expansion in the frame.
func (v *variant) hear(facts []fact) {
	if v.facts == nil {
		v.facts = make([]factSlot, len(facts))
		for i, f := range facts {
			ref, ok := v.prog.Ref(f.name)
			if !ok {
				v.facts[i].ref = -1
				continue
			}
			v.facts[i] = factSlot{ref, v.frame.Dependents(ref)}
		}
	}
	for i, f := range facts {
		if s := &v.facts[i]; s.ref >= 0 {
			if old, err := v.frame.Num(s.ref); err != nil || old != f.num {
				v.frame.Change(s.ref, formula.Value{Kind: formula.Num, Num: f.num}, s.depend)
			}
		}
	}
}

// wrong names the first quantity that cannot be, or is "".
func (v *variant) wrong() string {
	for i, ref := range v.quantities {
		q, err := v.frame.Num(ref)
		if err != nil {
			return v.names[i]
		}
		if n, whole := q.Int64(); !whole || n < v.least {
			return v.names[i]
		}
	}
	return ""
}

// passes reports whether the condition for rows holds.
func (wk *worker) passes(v *variant, point uint64) bool {
	yes, err := v.frame.Bool(wk.item.program.where)
	if err != nil {
		wk.fail(point, whereName)
	}
	return yes && err == nil
}

// rowIn writes the row that the frame is of, unless it is filtered out or the
// point has no plan.
func (wk *worker) rowIn(v *variant, pl *Plan, point uint64) {
	it, sp, f := wk.item, wk.item.program, v.frame
	if sp.filtered && (sp.early || !it.Fit) && !wk.passes(v, point) {
		return
	}
	if name := v.wrong(); name != "" {
		wk.fail(point, name)
		return
	}
	for i := range v.flags {
		s := &v.flags[i]
		n, err := f.Num(s.ref)
		if n, whole := n.Int64(); err != nil || !whole || n < s.lo || n > s.hi {
			wk.fail(point, s.name)
			return
		}
	}
	c := wk.out
	breaks := len(c.breaks)
	for i := range v.limits {
		l := &v.limits[i]
		broken, last := l.broken, l.last
		if !broken {
			ok, err := f.Bool(l.ref)
			broken, last = !ok || err != nil, err != nil
		}
		if !broken || last && len(c.breaks) > breaks {
			continue // as check has it
		}
		if it.Fit {
			wk.alone(point)
			return
		}
		c.breaks = append(c.breaks, limitBreak{len(c.rows), l.index})
		if last {
			break
		}
	}
	if sp.filtered && !sp.early && it.Fit && !wk.passes(v, point) {
		return
	}
	if !wk.row(v, pl, point) {
		c.breaks = c.breaks[:breaks]
	}
}

func (wk *worker) fail(point uint64, what string) {
	wk.out.fails = append(wk.out.fails, pointFail{point: point, failure: failure{wk.item.program, what}})
}

// row writes the row that the frame holds; of a plan, where there is one.
func (wk *worker) row(v *variant, pl *Plan, point uint64) bool {
	c := wk.out
	fail := func(name string) bool {
		c.keys = c.keys[:len(c.rows)*len(v.keys)]
		wk.fail(point, name)
		return false
	}
	buf := c.buf
	for i := range v.cells {
		s := &v.cells[i]
		buf = append(buf, s.lead...)
		if s.axis >= 0 {
			buf = append(buf, s.texts[wk.digits[s.axis]]...)
			continue
		}
		if s.plain {
			if n, err := v.frame.Num(s.column.ref); err == nil {
				if i, whole := n.Int64(); whole {
					buf = strconv.AppendInt(buf, i, 10)
					continue
				}
			}
		}
		if s.kind == formula.Any {
			continue
		}
		val, err := v.valueOf(s.column, pl)
		if err != nil {
			return fail(s.column.name)
		}
		buf = wk.options.Format.Cell(buf, val)
	}
	for i := range v.keys {
		var key sortValue
		if s := &v.keys[i]; s.kind != formula.Any {
			val, err := v.valueOf(s.column, pl)
			if err != nil {
				return fail(s.column.name)
			}
			if key.num = val.Num; val.Kind != formula.Num {
				key.text = val.Text()
			}
		} else {
			key.text = string(s.lead)
		}
		c.keys = append(c.keys, key)
	}
	c.buf = buf
	c.rows = append(c.rows, chunkRow{len(buf), point})
	return true
}

// valueOf returns the value of a column: of a plan, where there is one, else of
// the frame. An input that nobody gave and a quantity that is not shown have
// none.
func (v *variant) valueOf(c *sweepColumn, pl *Plan) (formula.Value, error) {
	if pl != nil {
		switch {
		case c.own == ColumnStage && pl.Rank():
			return formula.Value{Kind: formula.Num, Num: formula.Int(int64(pl.Stage()))}, nil
		case c.own == ColumnGroup && pl.Rank():
			return formula.Value{Kind: formula.Str, Str: pl.Group()}, nil
		case c.own != "":
			return formula.Value{}, nil
		}
		if val, ok := pl.Request.Config.Values[c.name]; ok {
			return val.Value, nil // of another kind than in formulas, perhaps
		}
	}
	if c.shown >= 0 {
		if shown, err := v.frame.Bool(c.shown); !shown || err != nil {
			return formula.Value{}, err
		}
	}
	val, err := v.frame.Eval(c.ref)
	if err != nil && v.prog.Source(c.ref).Text == "" {
		return formula.Value{}, nil
	}
	return val, err
}

// variant makes the variant that the digits ask for.
func (wk *worker) variant() *variant {
	it := wk.item
	sh := it.shape
	v := &variant{Frame: it.program.NewFrame(), at: make([]int, len(wk.digits))}
	v.fit = v.newFitter()
	req, cfg := *it.Request, *it.Config
	cfg.Values = maps.Clone(cfg.Values)
	req.Config = &cfg
	if v.least = 1; v.rank {
		v.least = 0
	}
	if sh.layered || len(v.arch.Requires) > 0 {
		v.req = &req
	}
	for i := range v.at {
		v.at[i] = 0
		if slices.Contains(sh.slow, i) {
			v.at[i] = wk.digits[i]
			cfg.Values[cfg.Axes[i].Field.Var] = cfg.Axes[i].Values[wk.digits[i]]
		}
	}
	flags := v.flagsFor(&req)
	values, err := v.fit.Resolve(flags)
	if err != nil {
		v.err = err
		return v
	}
	v.fit.Apply(flags, values)
	for _, q := range v.wanted {
		if !q.Detail.IsZero() {
			continue // a column shows it or not
		}
		ref, ok := v.prog.Ref(q.Name)
		if !ok {
			_, v.err = v.Frame.quantities()
			return v
		}
		v.quantities, v.names = append(v.quantities, ref), append(v.names, q.Name)
	}
	if sh.layered {
		v.layers = it.program.NewFrame().Layers()
		v.layers.load(&req)
		n := uint64(1)
		for _, i := range sh.reads {
			n *= uint64(len(it.Config.Axes[i].Values))
			n = min(n, maxExpansions+1)
		}
		v.shared = n <= maxExpansions && n < it.count
	}
	// What no axis changes is computed once.
	for _, ref := range sh.pinned {
		if val, err := v.frame.Eval(ref); err == nil {
			v.frame.Set(ref, val)
		}
	}
	v.depend = make([][]formula.Ref, len(sh.refs))
	for i, ref := range sh.refs {
		if ref >= 0 {
			v.depend[i] = v.frame.Dependents(ref)
		}
	}
	for _, s := range v.bench.Slots {
		if sh.changes[s.Ref] {
			if _, set := values[s.Name]; !set && s.Default.Kind == formula.Num {
				v.addFlag(s)
			}
			continue
		}
		val, err := v.frame.Eval(s.Ref)
		if err == nil {
			err = v.bench.InRange(s, val)
		}
		if err != nil {
			v.err = err
			return v
		}
	}
	for _, limit := range sh.limits {
		l := dynamicLimit{index: limit.Index, ref: limit.Ref}
		if !sh.changes[limit.Ref] {
			ok, _, err := v.fit.Holds(limit, values)
			if ok && err == nil {
				continue
			}
			l.broken, l.last = true, err != nil
		}
		v.limits = append(v.limits, l)
	}
	v.cells = wk.cells(v, it, false)
	v.keys = wk.keysOf(v, it)
	return v
}

// addFlag has a flag's bounds checked, unless it is a quantity by another name:
// those are positive.
func (v *variant) addFlag(s fit.Slot) {
	f := dynamicFlag{name: s.Name, ref: s.Ref}
	f.lo, f.hi = schema.Range(s.Era.Type)
	if f.lo > 1 || f.hi < math.MaxInt64 || !slices.Contains(v.names, s.Computed.Text) {
		v.flags = append(v.flags, f)
	}
}

// cells returns the steps that write a row. Of a general variant, nothing but the
// item is known beforehand.
func (wk *worker) cells(v *variant, it *sweepItem, general bool) []cellStep {
	format := &wk.options.Format
	sh := it.shape
	var steps []cellStep
	var lead []byte
	for i := range it.program.columns {
		c := &it.program.columns[i]
		lead = append(lead, format.Lead[i]...)
		if val, ok := wk.constant(v, it, c); ok {
			lead = format.Cell(lead, val)
			continue
		}
		step := cellStep{column: c, kind: wk.kindOf(v, c), axis: -1}
		step.plain = step.kind == formula.Num && c.shown < 0
		if !general && c.own == "" {
			if step.axis = slices.Index(sh.refs, c.ref); step.axis >= 0 {
				step.texts = wk.textsOf(it, step.axis, i)
			} else if !sh.changes[c.ref] && (c.shown < 0 || !sh.changes[c.shown]) {
				if val, err := v.valueOf(c, nil); err == nil {
					if own, ok := it.Config.Values[c.name]; ok && own.Kind != v.prog.Kind(c.ref) {
						val = own.Value // a word or a number
					}
					lead = format.Cell(lead, val)
					continue
				}
			}
		}
		step.lead, lead = lead, nil
		steps = append(steps, step)
	}
	return append(steps, cellStep{lead: append(lead, format.End...), axis: -1})
}

// kindOf returns the kind of a column's values; that of a plan's own columns does
// not matter.
func (wk *worker) kindOf(v *variant, c *sweepColumn) formula.Kind {
	if c.own != "" {
		return formula.Str
	}
	return v.prog.Kind(c.ref)
}

// constant returns the value of a column that an item has once.
func (wk *worker) constant(v *variant, it *sweepItem, c *sweepColumn) (formula.Value, bool) {
	text := func(s string) (formula.Value, bool) { return formula.Value{Kind: formula.Str, Str: s}, true }
	switch {
	case c.own == ColumnFile:
		return text(it.Config.File)
	case c.own == ColumnArchitecture:
		return text(it.Model.Arch.Name)
	case c.own != "":
		return formula.Value{}, !v.rank
	case !c.known:
		return formula.Value{}, true
	case c.secret && wk.options.Mask != "":
		if given, ok := it.Flags[c.name]; ok && given.Str != "" {
			return text(wk.options.Mask)
		}
	}
	return formula.Value{}, false
}

// textsOf returns the cells of an axis's values.
func (wk *worker) textsOf(it *sweepItem, axis, column int) [][]byte {
	values := it.Config.Axes[axis].Values
	key := textKey{&values[0].Value, column}
	if texts := wk.texts[key]; texts != nil {
		return texts
	}
	if len(wk.texts) > 100 {
		clear(wk.texts)
	}
	texts := make([][]byte, len(values))
	for i := range values {
		texts[i] = wk.options.Format.Cell(nil, values[i].Value)
	}
	wk.texts[key] = texts
	return texts
}

func (wk *worker) keysOf(v *variant, it *sweepItem) []cellStep {
	var steps []cellStep
	for i := range it.program.keys {
		c := &it.program.keys[i]
		if val, ok := wk.constant(v, it, c); ok {
			steps = append(steps, cellStep{lead: []byte(val.Text())})
			continue
		}
		steps = append(steps, cellStep{column: c, kind: wk.kindOf(v, c)})
	}
	return steps
}

// alone plans a point by itself: one that is to be fitted, that needs a rule of
// its own, or whose plan is made of layers.
func (wk *worker) alone(point uint64) {
	it := wk.item
	if wk.general == nil {
		wk.general, wk.planner = &variant{Frame: it.program.NewFrame()}, it.program.NewPlanner()
		wk.general.cells, wk.general.keys = wk.cells(wk.general, it, true), wk.keysOf(wk.general, it)
	}
	plans, err := wk.planner.Plans(it.request(point))
	if err != nil {
		wk.fail(point, diag.Kind(err))
	}
	for _, pl := range plans {
		wk.rowOf(pl, point)
	}
}

// rowOf writes the row of a plan.
func (wk *worker) rowOf(pl *Plan, point uint64) {
	v, sp, c := wk.general, wk.item.program, wk.out
	wk.warn(pl.Warnings, point)
	v.hold(pl)
	if sp.filtered && !wk.passes(v, point) {
		return
	}
	row := len(c.rows)
	if !wk.row(v, pl, point) {
		return
	}
	for _, broken := range pl.Violations {
		c.breaks = append(c.breaks, limitBreak{row, broken.Limit.Index})
	}
}

// hold loads the frame with a plan.
func (v *variant) hold(pl *Plan) {
	v.load(pl.Request)
	for _, f := range pl.Flags {
		v.set(f.Name, f.Value)
	}
	for _, q := range pl.Quantities {
		v.set(q.Name, formula.Value{Kind: formula.Num, Num: formula.Int(q.Value)})
	}
}

// errorOf says why a point has no plan or no row.
func (s *Sweep) errorOf(point uint64) error {
	it := s.item(point)
	v := &variant{Frame: it.program.NewFrame()}
	plans, err := it.program.NewPlanner().Plans(it.request(point))
	if err != nil {
		return err
	}
	sp := it.program
	for _, pl := range plans {
		v.hold(pl)
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
