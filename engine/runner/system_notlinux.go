//go:build unix && !linux

package runner

import "syscall"

func dieTogether(*syscall.SysProcAttr) (unlock func()) { return func() {} }
