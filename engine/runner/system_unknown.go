//go:build !linux

package runner

import (
	"os"
	"time"
)

// These functions are implemented only on Linux.

func inUse(*os.File) bool { return false }

func birth(*os.File) (time.Time, bool) { return time.Time{}, false }

func dioAlign(string) int64 { return 0 }

func kernel() string { return "" }

func mountOf(string) (fileSystem, device string) { return "", "" }
