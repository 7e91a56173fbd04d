package builtin

import (
	"os"

	"golang.org/x/sys/unix"
)

// openFile opens a file, for direct I/O if direct is set.
func openFile(name string, direct bool) (*os.File, error) {
	flags := os.O_RDWR
	if direct {
		flags |= unix.O_DIRECT
	}
	return os.OpenFile(name, flags, 0)
}
