package runner

import (
	"errors"
	"io"
	"runtime"
	"sync"

	"kvbench/engine/diag"
	"kvbench/engine/input"
	"kvbench/engine/jsonl"
)

// Part is the content of several consecutive lines of a results file.
type Part struct {
	// List and Out are for use by the caller of [Briefs.Each]. Out is valid only until
	// the callback for the part has returned, because its memory is reused.
	List []*Brief
	Out  []byte
	// Results is the number of results.
	Results int

	batch *jsonl.Batch
	kept  int // approximate memory in use, in bytes
	bad   strangers
	torn  bool
	last  int   // the number of the part's last line
	bytes int64 // the size of the file up to that line, in bytes
	done  chan bool
}

// maxPool limits the size, in bytes, of the pool in which a worker of [Briefs.Each] stores
// values. At this size, a worker that does not retain what it reads starts a new pool.
const maxPool = 8 << 20

// errEnough makes Each stop reading a file that does not contain results.
var errEnough = errors.New("no results")

// Each reads a results file in parallel. It calls read with every result and the line that
// contains it. After all results of a part have been read, it passes the part to the
// function each. Parts are in the order of the file. Problems with lines that are not
// results are recorded in res. The returned error is about the file as a whole.
func (b *Briefs) Each(name string, watch input.Watch, read func(part *Part, rec *Brief, line []byte), each func(*Part) error, res *Results) error {
	f, err := input.Open(name, watch)
	if err != nil {
		return err
	}
	defer f.Close()
	s := newStream(b, name, read)
	found := 0
	bad := strangers{name: name, hint: "run 'kvbench vet' to see what is wrong with it"}
	err = s.run(jsonl.NewLines(f), func(part *Part) error {
		found += part.Results
		bad.join(part.bad)
		res.Torn = res.Torn || part.torn
		if found == 0 && part.bytes > jsonl.MaxFutile {
			return errEnough
		}
		return each(part)
	})
	if err != nil && err != errEnough {
		return err
	}
	res.Bad = bad.err()
	switch {
	case found > 0:
		return nil
	case res.Bad != nil:
		return res.Bad
	case res.Torn:
		return diag.Errorf(diag.Pos{File: name}, "no complete results: the only line is truncated")
	}
	return diag.Errorf(diag.Pos{File: name}, "no results found")
}

func (s *strangers) join(more strangers) {
	if s.count == 0 {
		s.first = more.first
	}
	s.count += more.count
}

// spares holds memory for reuse.
type spares[T any] chan *T

// take returns spare memory or new memory.
func (s spares[T]) take() *T {
	select {
	case t := <-s:
		return t
	default:
		return new(T)
	}
}

// put stores memory for reuse, unless enough memory is already stored.
func (s spares[T]) put(t *T) {
	select {
	case s <- t:
	default:
	}
}

// stream reads a file in parallel. Each worker has its own pools of values, so workers do
// not have to wait for each other.
type stream struct {
	of      *Briefs
	name    string
	read    func(part *Part, rec *Brief, line []byte)
	waiting chan *Part // parts to be read
	ordered chan *Part // all parts, in the order of the file
	stop    chan bool
	batches spares[jsonl.Batch]
	outs    spares[[]byte]
	err     error // about the file as a whole
}

func newStream(b *Briefs, name string, read func(*Part, *Brief, []byte)) *stream {
	n := runtime.GOMAXPROCS(0)
	return &stream{of: b, name: name, read: read, waiting: make(chan *Part, n), ordered: make(chan *Part, 2*n), stop: make(chan bool),
		batches: make(chan *jsonl.Batch, 2*n), outs: make(chan *[]byte, 2*n)}
}

// run reads all parts in order, and passes each part to the function each.
func (s *stream) run(lines *jsonl.Lines, each func(*Part) error) error {
	var all sync.WaitGroup
	all.Go(func() { s.split(lines) })
	for range runtime.GOMAXPROCS(0) {
		all.Go(s.work)
	}
	var err error
	for part := range s.ordered {
		if <-part.done; err != nil {
			continue
		}
		if err = each(part); err != nil {
			close(s.stop)
		}
		s.outs.put(&part.Out)
	}
	all.Wait()
	if err == nil {
		err = s.err
	}
	return err
}

// split splits the file into parts, until it reaches the end or an error.
func (s *stream) split(lines *jsonl.Lines) {
	defer close(s.ordered)
	defer close(s.waiting)
	for {
		part := &Part{batch: s.batches.take(), done: make(chan bool)}
		err := lines.Batch(part.batch)
		part.last, part.bytes = lines.Number, lines.Bytes
		select {
		case <-s.stop:
			return
		case s.ordered <- part:
		}
		s.waiting <- part
		switch {
		case err == io.EOF:
			return
		case err == jsonl.ErrLong:
			s.err = longLine(s.name, lines.Number)
			return
		case err != nil:
			s.err = err
			return
		}
	}
}

// work reads parts until none are left.
func (s *stream) work() {
	b := s.of.fork()
	for part := range s.waiting {
		before := b.kept
		part.Out = (*s.outs.take())[:0]
		part.batch.Each(func(line []byte, number int, torn bool) {
			switch rec := b.brief(line); {
			case rec != nil:
				part.Results++
				s.read(part, rec, line)
			case torn:
				part.torn = true
			default:
				part.bad.add(number)
			}
		})
		s.batches.put(part.batch)
		part.batch = nil
		part.kept = b.kept - before
		if b.kept > maxPool && part.List == nil {
			b = s.of.fork()
		}
		close(part.done)
	}
}

// fork returns an extractor for the same values, with its own pools.
func (b *Briefs) fork() *Briefs {
	fork := newPools(b.values, b.measures)
	fork.raw, fork.from = make([][]byte, len(b.raw)), make([]From, len(b.from))
	if b.commands {
		fork.KeepCommands()
	}
	return fork
}

func newPools(values map[string]*places, measures map[string]int) *Briefs {
	b := &Briefs{values: values, measures: measures, pool: []any{nil}, at: map[string]uint32{}, parts: map[part]*part{},
		notes: map[string][]string{}, cells: make([][]byte, len(measures))}
	b.in.Remember()
	return b
}
