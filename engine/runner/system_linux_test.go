package runner

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDIOAlign checks that the reported alignment is sufficient for direct I/O, that it
// is 0 for a missing folder, and that no file is left in the folder.
func TestDIOAlign(t *testing.T) {
	dir := t.TempDir()
	if got := dioAlign(filepath.Join(dir, "nowhere")); got != 0 {
		t.Errorf("the alignment of a missing folder is %d", got)
	}
	align := dioAlign(dir)
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("%v is left in the folder (%v)", list, err)
	}
	if align == 0 {
		t.Skip("this file system does not report its alignment for direct I/O")
	}
	f, err := os.OpenFile(filepath.Join(dir, "f"), os.O_RDWR|os.O_CREATE|unix.O_DIRECT, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(page)
	if _, err := f.WriteAt(page[:align], align); err != nil {
		t.Errorf("%d bytes at %d: %v", align, align, err)
	}
	if _, err := f.WriteAt(page[:align-1], 0); err == nil {
		t.Errorf("%d bytes can be written, so the alignment is not %d", align-1, align)
	}
}

// TestMount checks that mountOf finds a folder's innermost mount, even through a link.
func TestMount(t *testing.T) {
	if fs, _ := mountOf("/proc/self/fd"); fs != "proc" {
		t.Errorf("/proc/self/fd is on %q, want proc", fs)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/proc/self/fd", link); err != nil {
		t.Fatal(err)
	}
	if fs, _ := mountOf(link); fs != "proc" {
		t.Errorf("a link to this folder is on %q, want proc", fs)
	}
	if fs, device := mountOf("/no/such/folder"); fs != "" || device != "" {
		t.Errorf("a missing folder is on %q, %q", fs, device)
	}
}

// TestInUse checks that inUse reports whether a file is open elsewhere.
func TestInUse(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if inUse(f) {
		t.Error("the file is reported as in use, but it is not open elsewhere")
	}
	other, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if !inUse(f) {
		t.Skip("this file system does not support leases")
	}
	if born, known := birth(f); known && time.Since(born).Abs() > time.Hour {
		t.Errorf("the file's creation time is %v", born)
	}
}
