package builtin

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// queue transfers a worker's batch.
type queue interface {
	// post starts the I/Os of the batch. If they do not all fit in the queue, the wait
	// method starts the remaining ones.
	post() error
	// wait returns when all I/Os of the batch have ended.
	wait() error
	// close waits for I/Os that have not ended, and frees the queue's resources.
	close()
}

// newQueue returns a queue of the given kind. The kinds of queues for each interface are
// defined in the data.
func newQueue(kind string, w *worker) (queue, error) {
	switch inFlight := max(1, min(w.batch, w.of.queue, maxQueue)); kind {
	case "threads":
		return newThreads(w, min(inFlight, maxInFlight/w.of.threads)), nil
	case "aio":
		return newAIO(w, inFlight)
	case "io_uring":
		return newRing(w, inFlight)
	}
	return nil, fmt.Errorf("unknown kind of queue %q", kind)
}

const (
	// maxThreads is the maximum number of benchmark threads.
	maxThreads = 256
	// maxQueue is the maximum number of I/Os that a thread keeps in flight.
	maxQueue = 1024
	// maxInFlight is the maximum number of I/Os in flight across all threads, if each I/O
	// occupies an operating system thread.
	maxInFlight = 2048
)

// threads is a queue in which each I/O occupies an operating system thread.
type threads struct {
	of     *worker
	start  []chan bool
	next   atomic.Int64
	left   sync.WaitGroup
	failed atomic.Pointer[error]
}

func newThreads(w *worker, inFlight int64) *threads {
	t := &threads{of: w}
	if inFlight == 1 { // the wait method performs the I/Os itself
		return t
	}
	for range inFlight {
		start := make(chan bool, 1)
		t.start = append(t.start, start)
		go func() {
			for range start {
				t.work()
				t.left.Done()
			}
		}()
	}
	return t
}

func (t *threads) post() error {
	t.next.Store(0)
	t.left.Add(len(t.start))
	for _, start := range t.start {
		start <- true
	}
	return nil
}

func (t *threads) wait() error {
	if t.start == nil {
		t.work()
	}
	t.left.Wait()
	if err := t.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (t *threads) close() {
	for _, start := range t.start {
		close(start)
	}
}

// work transfers blocks of the batch that no other goroutine has started, until no such
// blocks are left.
func (t *threads) work() {
	for i := t.next.Add(1) - 1; i < t.of.batch; i = t.next.Add(1) - 1 {
		if err := t.of.transfer(i, 0); err != nil {
			t.failed.CompareAndSwap(nil, &err)
			return
		}
	}
}
