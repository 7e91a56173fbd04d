package builtin

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is a queue that uses io_uring, which has two ring buffers in memory shared with
// the kernel: one for I/Os to submit, and one for I/Os that have ended.
type ring struct {
	of       *worker
	file     int
	shared   [][]byte
	entries  []ringEntry
	tail     *uint32 // the tail index of the submission ring
	events   []ringEvent
	from, to *uint32 // indexes of the first event to reap and of the end of the events
}

// ringParams is struct io_uring_params of linux/io_uring.h.
type ringParams struct {
	entries, events, flags, cpu, idle, features, file uint32
	_                                                 [3]uint32
	submit                                            struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	end struct {
		head, tail, mask, entries, overflow, events, flags, _ uint32
		_                                                     uint64
	}
}

// ringEntry is struct io_uring_sqe.
type ringEntry struct {
	operation, flags uint8
	priority         uint16
	file             int32
	offset           int64
	memory           uint64
	size, more       uint32
	data             uint64
	_                [3]uint64
}

// ringEvent is struct io_uring_cqe.
type ringEvent struct {
	data   uint64
	result int32
	flags  uint32
}

const (
	ringRead   = 22 // IORING_OP_READ
	ringWrite  = 23 // IORING_OP_WRITE
	ringEvents = 1  // IORING_ENTER_GETEVENTS
	// ringNoInterrupt is IORING_SETUP_COOP_TASKRUN. With this flag, the kernel does not
	// interrupt the thread when an I/O ends; the thread learns about it at its next
	// system call.
	ringNoInterrupt = 1 << 8
	// These are the offsets of the parts of the shared memory.
	ringSubmitAt  = 0          // IORING_OFF_SQ_RING
	ringEndAt     = 0x8000000  // IORING_OFF_CQ_RING
	ringEntriesAt = 0x10000000 // IORING_OFF_SQES
	// ringSize is the maximum size of an I/O. The ended method transfers the rest of a
	// larger block.
	ringSize = 1 << 30
)

func newRing(w *worker, inFlight int64) (queue, error) {
	p := ringParams{flags: ringNoInterrupt}
	file, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(inFlight), uintptr(unsafe.Pointer(&p)), 0)
	if errno == unix.EINVAL { // Linux before 5.19 does not support the flag
		p = ringParams{}
		file, _, errno = unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(inFlight), uintptr(unsafe.Pointer(&p)), 0)
	}
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	q := &ring{of: w, file: int(file)}
	var starts [3]unsafe.Pointer
	for i, part := range [3]struct{ at, size uint32 }{
		{ringSubmitAt, p.submit.array + p.entries*uint32(unsafe.Sizeof(uint32(0)))},
		{ringEndAt, p.end.events + p.events*uint32(unsafe.Sizeof(ringEvent{}))},
		{ringEntriesAt, p.entries * uint32(unsafe.Sizeof(ringEntry{}))},
	} {
		memory, err := unix.Mmap(q.file, int64(part.at), int(part.size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		if err != nil {
			q.close()
			return nil, os.NewSyscallError("mmap", err)
		}
		q.shared = append(q.shared, memory)
		starts[i] = unsafe.Pointer(unsafe.SliceData(memory))
	}
	submit, end := starts[0], starts[1]
	q.tail = (*uint32)(unsafe.Add(submit, p.submit.tail))
	q.entries = unsafe.Slice((*ringEntry)(starts[2]), p.entries)
	q.from, q.to = (*uint32)(unsafe.Add(end, p.end.head)), (*uint32)(unsafe.Add(end, p.end.tail))
	q.events = unsafe.Slice((*ringEvent)(unsafe.Add(end, p.end.events)), p.events)
	// This list tells the kernel in which order to read the entries. It never changes.
	order := unsafe.Slice((*uint32)(unsafe.Add(submit, p.submit.array)), p.entries)
	for i := range order {
		order[i] = uint32(i)
	}
	return newAsync(w, q, inFlight), nil
}

func (q *ring) submit(first, n int64) (int64, error) {
	tail := *q.tail // only submit changes it
	for i := range uint32(n) {
		block := first + int64(i)
		memory := q.of.memory(block)
		e := &q.entries[(tail+i)%uint32(len(q.entries))]
		*e = ringEntry{operation: ringRead, file: int32(q.of.of.file.Fd()), offset: q.of.offset(block), data: uint64(block),
			memory: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory)))), size: uint32(min(len(memory), ringSize))}
		if q.of.of.write {
			e.operation = ringWrite
		}
	}
	atomic.StoreUint32(q.tail, tail+uint32(n))
	done, err := q.enter(n, 0)
	atomic.StoreUint32(q.tail, tail+uint32(done)) // removes the entries that the kernel did not accept
	return done, err
}

func (q *ring) reap(least int64, ended func(i, result int64)) error {
	from := *q.from // only reap changes it
	if int64(atomic.LoadUint32(q.to)-from) < least {
		if _, err := q.enter(0, least); err != nil {
			return err
		}
	}
	for ; from != atomic.LoadUint32(q.to); from++ {
		e := q.events[from%uint32(len(q.events))]
		atomic.StoreUint32(q.from, from+1)
		ended(int64(e.data), int64(e.result))
	}
	return nil
}

// enter submits n entries, or waits until at least the given number of events are
// available.
func (q *ring) enter(n, events int64) (int64, error) {
	flags := uintptr(0)
	if events > 0 {
		flags = ringEvents
	}
	done, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(q.file), uintptr(n), uintptr(events), flags, 0, 0)
	if errno != 0 {
		return 0, os.NewSyscallError("io_uring_enter", errno)
	}
	return int64(done), nil
}

func (q *ring) close() {
	for _, memory := range q.shared {
		unix.Munmap(memory)
	}
	unix.Close(q.file)
}
