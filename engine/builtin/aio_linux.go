package builtin

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// aio is a queue that uses Linux AIO. A batch that fits in the queue needs two system calls.
type aio struct {
	context  uintptr
	controls []aioControl
	submits  []*aioControl
	events   []aioEvent
}

// aioControl is struct iocb from linux/aio_abi.h. The unnamed fields remain 0.
type aioControl struct {
	data         uint64
	_            uint64
	operation    uint16
	_            uint16
	file         uint32
	memory, size uint64
	offset       int64
	_            [2]uint64
}

const (
	aioRead  = 0 // IOCB_CMD_PREAD
	aioWrite = 1 // IOCB_CMD_PWRITE
)

// aioEvent is struct io_event from linux/aio_abi.h.
type aioEvent struct {
	data, control uint64
	result, _     int64
}

func newAIO(w *worker, inFlight int64) (queue, error) {
	q := &aio{controls: make([]aioControl, w.batch), submits: make([]*aioControl, w.batch), events: make([]aioEvent, inFlight)}
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, uintptr(inFlight), uintptr(unsafe.Pointer(&q.context)), 0); errno != 0 {
		return nil, os.NewSyscallError("io_setup", errno)
	}
	for i := range q.controls {
		c := &q.controls[i]
		*c = aioControl{data: uint64(i), operation: aioRead, file: uint32(w.of.file.Fd()), size: uint64(w.block), offset: w.offset(int64(i)),
			memory: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(w.memory(int64(i))))))}
		if w.of.write {
			c.operation = aioWrite
		}
		q.submits[i] = c
	}
	return newAsync(w, q, inFlight), nil
}

func (q *aio) submit(first, n int64) (int64, error) {
	done, _, errno := unix.Syscall(unix.SYS_IO_SUBMIT, q.context, uintptr(n), uintptr(unsafe.Pointer(&q.submits[first])))
	if errno != 0 {
		return 0, os.NewSyscallError("io_submit", errno)
	}
	return int64(done), nil
}

func (q *aio) reap(least int64, ended func(i, result int64)) error {
	n, _, errno := unix.Syscall6(unix.SYS_IO_GETEVENTS, q.context, uintptr(least), uintptr(len(q.events)), uintptr(unsafe.Pointer(&q.events[0])), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("io_getevents", errno)
	}
	for _, e := range q.events[:n] {
		ended(int64(e.data), e.result)
	}
	return nil
}

func (q *aio) close() { unix.Syscall(unix.SYS_IO_DESTROY, q.context, 0, 0) }
