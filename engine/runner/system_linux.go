package runner

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dieTogether makes the kernel kill the process when kvbench is killed. The kernel
// watches the thread that started the process, so that thread must not end earlier.
func dieTogether(attr *syscall.SysProcAttr) (unlock func()) {
	attr.Pdeathsig = syscall.SIGKILL
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

// inUse reports whether the file is also open elsewhere, in which case the kernel
// does not grant a write lease.
func inUse(f *os.File) bool {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	if err == nil {
		unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	}
	return errors.Is(err, unix.EAGAIN)
}

// birth returns the time at which a file was created, if the file system
// records it.
func birth(f *os.File) (time.Time, bool) {
	var st unix.Statx_t
	if unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st) != nil || st.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}, false
	}
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)), true
}

// dioAlign returns the alignment in bytes that the file system requires for
// direct I/O in a folder, or 0 if unknown.
func dioAlign(dir string) int64 {
	// The answer for an unnamed temporary file also applies to files created later.
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &st) != nil || st.Mask&unix.STATX_DIOALIGN == 0 {
		return 0
	}
	return int64(max(st.Dio_mem_align, st.Dio_offset_align))
}

// kernel returns the kernel's release.
func kernel() string {
	data, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(data))
}

// mountOf returns the type and device of a folder's file system, or empty strings
// if unknown.
func mountOf(dir string) (fileSystem, device string) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	mounts, readErr := os.ReadFile("/proc/self/mountinfo")
	if err != nil || readErr != nil {
		return "", ""
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	best := ""
	for line := range strings.Lines(string(mounts)) {
		// id parent major:minor root point options … - type device options
		mount, what, ok := strings.Cut(line, " - ")
		fields, kinds := strings.Fields(mount), strings.Fields(what)
		if !ok || len(fields) < 5 || len(kinds) < 2 {
			continue
		}
		point := unescape.Replace(fields[4])
		// If several file systems are mounted on top of each other, the last
		// one is visible.
		if (dir == point || strings.HasPrefix(dir, strings.TrimSuffix(point, "/")+"/")) && len(point) >= len(best) {
			best, fileSystem, device = point, kinds[0], unescape.Replace(kinds[1])
		}
	}
	return fileSystem, device
}
