package builtin

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Run performs the I/O that nixlbench's flags describe, and writes the results to w as a
// table in the release's layout. Unlike nixlbench, it fails if any I/O fails or is
// incomplete.
func Run(ctx context.Context, s *schema.Schema, release string, values map[string]formula.Value, w io.Writer) error {
	runs := s.Nixlbench.Runs.Get()
	if err := Refuse(s, release, values); err != nil {
		return err
	}
	j, err := jobOf(&runs.Builtin, values)
	if err != nil {
		return err
	}
	// If Go's scheduler has too few processors, a thread that returns from the kernel has
	// to wait for one.
	processors := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(max(processors, int(j.threads)+2))
	defer runtime.GOMAXPROCS(processors)
	b := &bench{job: j, ctx: ctx, out: w}
	fmt.Fprintf(w, "Creating file: %s\n", j.file)
	if err := b.open(); err != nil {
		return err
	}
	defer b.close()
	t := newTable(&s.Nixlbench, release)
	t.heading(w)
	for block := j.firstBlock; block <= j.lastBlock; block *= 2 {
		for batch := j.firstBatch; batch <= j.lastBatch; batch *= 2 {
			row, err := b.measure(block, batch)
			if err != nil {
				return err
			}
			t.row(w, row)
		}
	}
	return nil
}

// bench is a benchmark of one file.
type bench struct {
	*job
	ctx    context.Context
	out    io.Writer
	file   *os.File
	memory []byte // for all threads, page-aligned
}

// chunk is the number of bytes written at a time when filling the file.
const chunk = 4 << 20

// open opens the file. If the job writes to the file or the file is too short, open first
// fills it with the pattern.
func (b *bench) open() (err error) {
	if b.memory, err = allocate(b.buffer); err != nil {
		return fmt.Errorf("cannot allocate %d bytes of memory: %w", b.buffer, err)
	}
	plain, err := os.OpenFile(b.job.file, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer plain.Close()
	info, err := plain.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", b.job.file)
	}
	if b.write || info.Size() < b.buffer {
		pattern(b.memory, 0)
		for at := int64(0); at < b.buffer; at += chunk {
			if b.ctx.Err() != nil {
				return b.ctx.Err()
			}
			if _, err := plain.WriteAt(b.memory[at:min(at+chunk, b.buffer)], at); err != nil {
				return err
			}
		}
		if err := plain.Sync(); err != nil {
			return err
		}
	}
	if !b.write { // the pattern must come from the file, not remain in memory from above
		clear(b.memory)
	}
	b.file, err = openFile(b.job.file, b.direct)
	return err
}

func (b *bench) close() {
	b.file.Close()
	free(b.memory)
}

// pattern fills memory with the data that the file contains at an offset.
func pattern(memory []byte, at int64) {
	i := 0
	for ; (at+int64(i))%8 != 0 && i < len(memory); i++ {
		memory[i] = patternByte(at + int64(i))
	}
	for ; i+8 <= len(memory); i += 8 {
		binary.LittleEndian.PutUint64(memory[i:], patternWord(at+int64(i)))
	}
	for ; i < len(memory); i++ {
		memory[i] = patternByte(at + int64(i))
	}
}

func patternWord(at int64) uint64 { return uint64(at/8+1) * 0x9e3779b97f4a7c15 }

func patternByte(at int64) byte { return byte(patternWord(at) >> (at % 8 * 8)) }

// row holds the measurements for one block size and batch size.
type row struct {
	block, batch     int64
	gbps, latency    float64
	prep, post, tx   []time.Duration // per request
	seconds          float64
	requests, rounds int64
}

// measure runs the warm-up and the timed iterations.
func (b *bench) measure(block, batch int64) (*row, error) {
	workers, err := b.workers(block, batch)
	if err != nil {
		return nil, err
	}
	defer closeAll(workers)
	if err := each(workers, func(w *worker) error { return w.repeat(b.rounds(b.warmup, block), false) }); err != nil {
		return nil, err
	}
	r := &row{block: block, batch: batch, rounds: b.rounds(b.iterations, block)}
	begin := time.Now()
	if err := each(workers, func(w *worker) error { return w.repeat(r.rounds, true) }); err != nil {
		return nil, err
	}
	r.seconds = time.Since(begin).Seconds()
	for _, w := range workers {
		r.prep, r.post, r.tx = append(r.prep, w.prep...), append(r.post, w.post...), append(r.tx, w.tx...)
	}
	r.requests = r.rounds * b.threads
	r.gbps = float64(block*batch*r.requests) / r.seconds / 1e9
	r.latency = r.seconds * 1e6 / float64(batch*r.rounds)
	if b.check {
		for _, w := range workers {
			if err := w.verify(); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// workers returns the workers for a block size and a batch size. If the system rejects a kind
// of queue, they use the next kind.
func (b *bench) workers(block, batch int64) ([]*worker, error) {
	for {
		workers, err := b.workersOf(b.queues[0], block, batch)
		if err == nil {
			return workers, nil
		}
		if len(b.queues) == 1 {
			return nil, fmt.Errorf("cannot perform %s I/O: %w", b.api, err)
		}
		fmt.Fprintf(b.out, "Using %s instead of %s: %v\n", b.queues[1], b.queues[0], err)
		b.queues = b.queues[1:]
	}
}

func (b *bench) workersOf(kind string, block, batch int64) ([]*worker, error) {
	var workers []*worker
	for i := range b.threads {
		w := &worker{of: b, at: i * (b.buffer / b.threads), block: block, batch: batch}
		var err error
		if w.queue, err = newQueue(kind, w); err != nil {
			closeAll(workers)
			return nil, err
		}
		workers = append(workers, w)
	}
	return workers, nil
}

// closeAll closes all queues concurrently, because Linux takes a long time to close a queue.
func closeAll(workers []*worker) {
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(w.queue.close)
	}
	all.Wait()
}

// each calls f for all workers concurrently.
func each(workers []*worker, f func(*worker) error) error {
	errs := make([]error, len(workers))
	var all sync.WaitGroup
	for i, w := range workers {
		all.Go(func() { errs[i] = f(w) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// worker is a thread of the benchmark. It has its own part of the file and of the memory,
// in which its blocks are consecutive.
type worker struct {
	of             *bench
	at             int64 // offset of the worker's part in the file and in the memory
	block, batch   int64
	queue          queue
	prep, post, tx []time.Duration
}

// offset returns the offset of a block in the file and in the memory.
func (w *worker) offset(i int64) int64 { return w.at + i*w.block }

// memory returns the memory of a block.
func (w *worker) memory(i int64) []byte { return w.of.memory[w.offset(i):w.offset(i+1)] }

// repeat transfers the batch n times. If timed is set, it records how long each transfer
// takes.
func (w *worker) repeat(n int64, timed bool) error {
	if _, ok := w.queue.(*threads); !ok {
		runtime.LockOSThread() // the kernel reports the end of an I/O to the thread that submitted it
		defer runtime.UnlockOSThread()
	}
	start := time.Now()
	for range n {
		if err := w.of.ctx.Err(); err != nil {
			return err
		}
		begin := time.Since(start) // time.Since takes half as long as time.Now
		prepared := time.Since(start)
		if err := w.queue.post(); err != nil {
			return err
		}
		posted := time.Since(start)
		if err := w.queue.wait(); err != nil {
			return err
		}
		end := time.Since(start)
		if timed {
			w.prep = append(w.prep, prepared-begin)
			w.post = append(w.post, posted-prepared)
			w.tx = append(w.tx, end-posted)
		}
	}
	return nil
}

// transfer reads or writes the part of a block that begins at offset done. The part before it
// has already been transferred.
func (w *worker) transfer(i, done int64) error {
	n, err := 0, error(nil)
	if w.of.write {
		n, err = w.of.file.WriteAt(w.memory(i)[done:], w.offset(i)+done)
	} else {
		n, err = w.of.file.ReadAt(w.memory(i)[done:], w.offset(i)+done)
	}
	if done += int64(n); err == nil && done == w.block {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if failed, ok := errors.AsType[*os.PathError](err); ok {
		err = failed.Err
	}
	return w.failure(i, err)
}

// failure returns the error for a block.
func (w *worker) failure(i int64, cause error) error {
	verb := "read"
	if w.of.write {
		verb = "write"
	}
	return fmt.Errorf("%s: cannot %s %d bytes at offset %d: %w", w.of.job.file, verb, w.block, w.offset(i), cause)
}

// verify compares the transferred data with the pattern of the file. After a read, that data
// is in memory; after a write, it is in the file.
func (w *worker) verify() error {
	want := make([]byte, w.block)
	got := want
	if w.of.write {
		got = make([]byte, w.block)
	}
	plain, err := os.Open(w.of.job.file)
	if err != nil {
		return err
	}
	defer plain.Close()
	for i := range w.batch {
		at := w.offset(i)
		if w.of.write {
			if _, err := plain.ReadAt(got, at); err != nil {
				return err
			}
		} else {
			got = w.memory(i)
		}
		pattern(want, at)
		if !bytes.Equal(got, want) {
			return fmt.Errorf("consistency check failed: the data in %s at offset %d does not match the expected pattern", w.of.job.file, at)
		}
	}
	return nil
}

// table writes rows in a release's layout.
type table struct{ columns []schema.Column }

func newTable(n *schema.Nixlbench, release string) *table {
	t := &table{}
	for _, l := range n.Runs.Get().Layouts {
		if !n.In(l.Era, release) {
			continue
		}
		for _, c := range l.Columns {
			if !c.Optional {
				t.columns = append(t.columns, c)
			}
		}
	}
	return t
}

// width returns the width of a column. As in nixlbench, it is a multiple of five.
func width(c *schema.Column) int { return max(15, (len(c.Title)+6)/5*5) }

func (t *table) heading(w io.Writer) {
	line := ""
	for i := range t.columns {
		line += fmt.Sprintf("%-*s", width(&t.columns[i]), t.columns[i].Title)
	}
	fmt.Fprintf(w, "\n%s\n%s\n", line, strings.Repeat("-", len(line)))
}

func (t *table) row(w io.Writer, r *row) {
	cells := map[string]string{
		"block_size_bytes":   strconv.FormatInt(r.block, 10),
		"batch_size":         strconv.FormatInt(r.batch, 10),
		"bandwidth_gb_per_s": fmt.Sprintf("%.6f", r.gbps),
		"avg_latency_us":     fmt.Sprintf("%.1f", r.latency),
	}
	for phase, times := range map[string][]time.Duration{"prep": r.prep, "post": r.post, "tx": r.tx} {
		average, p99 := timesOf(times)
		cells["avg_"+phase+"_us"], cells["p99_"+phase+"_us"] = average, p99
	}
	line := ""
	for i := range t.columns {
		line += fmt.Sprintf("%-*s", width(&t.columns[i]), cells[t.columns[i].Key])
	}
	fmt.Fprintln(w, line)
}

// timesOf returns the average and the 99th percentile of times, in microseconds.
func timesOf(times []time.Duration) (average, p99 string) {
	slices.Sort(times)
	var sum time.Duration
	for _, t := range times {
		sum += t
	}
	us := func(t time.Duration) string { return fmt.Sprintf("%.1f", float64(t)/1e3) }
	return us(sum / time.Duration(len(times))), us(times[(len(times)*99+99)/100-1])
}
