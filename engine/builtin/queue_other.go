//go:build !linux

package builtin

import "errors"

var errOnlyLinux = errors.New("supported only on Linux")

func newAIO(*worker, int64) (queue, error) { return nil, errOnlyLinux }

func newRing(*worker, int64) (queue, error) { return nil, errOnlyLinux }
