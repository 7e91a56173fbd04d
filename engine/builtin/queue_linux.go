package builtin

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// kernel is a queue in the Linux kernel.
type kernel interface {
	// submit submits n blocks of the batch, starting at index first, and returns how many
	// blocks the kernel accepted.
	submit(first, n int64) (int64, error)
	// reap waits until at least the given number of I/Os have ended. It then calls the
	// function ended for every I/O that has ended, with the index of the block and the
	// result, which is the number of bytes or a negative error number.
	reap(least int64, ended func(i, result int64)) error
	close()
}

// async is a queue whose I/Os the kernel performs asynchronously.
type async struct {
	of     *worker
	kernel kernel
	size   int64 // the maximum number of I/Os in flight
	posted int64 // blocks of the batch that were submitted
	flying int64 // I/Os that have not ended
	failed error
	end    func(i, result int64) // the ended method, stored to avoid an allocation for each use
}

func newAsync(w *worker, k kernel, size int64) *async {
	q := &async{of: w, kernel: k, size: size}
	q.end = q.ended
	return q
}

func (q *async) post() error {
	q.posted = 0
	return q.submit()
}

// submit submits as many blocks as the queue has room for.
func (q *async) submit() error {
	for q.posted < q.of.batch && q.flying < q.size {
		n, err := q.kernel.submit(q.posted, min(q.of.batch-q.posted, q.size-q.flying))
		if errors.Is(err, unix.EAGAIN) && q.flying > 0 {
			return nil // the kernel will have room when an I/O ends
		}
		if err != nil {
			return fmt.Errorf("%s: %w", q.of.of.job.file, err)
		}
		q.posted, q.flying = q.posted+n, q.flying+n
	}
	return nil
}

func (q *async) wait() error {
	for q.flying > 0 {
		least := q.flying
		if q.posted < q.of.batch {
			least = 1
		}
		if err := q.reap(least); err != nil {
			return err
		}
		if err := q.submit(); err != nil {
			return err
		}
	}
	return nil
}

func (q *async) reap(least int64) error {
	err := q.kernel.reap(least, q.end)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("%s: %w", q.of.of.job.file, err)
	}
	return q.failed
}

// ended checks the result of a block's I/O. It transfers any missing bytes itself,
// because the kernel may end a large I/O early.
func (q *async) ended(i, result int64) {
	q.flying--
	err := error(nil)
	switch {
	case result < 0:
		err = q.of.failure(i, unix.Errno(-result))
	case result < q.of.block:
		err = q.of.transfer(i, result)
	}
	if q.failed == nil {
		q.failed = err
	}
}

func (q *async) close() {
	for q.flying > 0 {
		if err := q.kernel.reap(q.flying, q.end); err != nil && !errors.Is(err, unix.EINTR) {
			break
		}
	}
	q.kernel.close()
}
