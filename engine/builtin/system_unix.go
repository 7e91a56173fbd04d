//go:build unix

package builtin

import "golang.org/x/sys/unix"

// allocate returns page-aligned memory, which direct I/O requires.
func allocate(size int64) ([]byte, error) {
	return unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
}

func free(memory []byte) { unix.Munmap(memory) }
