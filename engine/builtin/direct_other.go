//go:build !linux

package builtin

import (
	"errors"
	"os"
)

// openFile opens a file. Direct I/O is supported only on Linux.
func openFile(name string, direct bool) (*os.File, error) {
	if direct {
		return nil, errors.New("direct I/O is supported only on Linux")
	}
	return os.OpenFile(name, os.O_RDWR, 0)
}
