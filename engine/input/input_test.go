package input_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kvbench/engine/input"
)

// TestOpen checks that files that may never end are rejected at once.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(in("pipe"), 0o644); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(in("file"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	os.Symlink("file", in("link"))
	os.Symlink("pipe", in("to_pipe"))
	os.Symlink("loop", in("loop"))
	l, err := net.Listen("unix", in("socket"))
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	for name, want := range map[string]string{
		in("file"): "", in("link"): "", dir: "is a directory", in("pipe"): "is not a regular file", in("to_pipe"): "is not a regular file",
		in("socket"): "is not a regular file", os.DevNull: "is not a regular file", "/dev/zero": "is not a regular file",
		in("nowhere"): "no such file or directory", in("loop"): "too many levels of symbolic links", in("file/x"): "not a directory",
	} {
		if want != "" {
			want = name + ": " + want
		}
		done := make(chan error, 1)
		go func() {
			f, err := input.Open(name, nil)
			if err == nil {
				f.Close()
			}
			done <- err
		}()
		select {
		case err := <-done:
			if fmt.Sprint(err) != want && (err != nil || want != "") {
				t.Errorf("%v, want %q", err, want)
			}
		case <-time.After(time.Minute):
			t.Errorf("Open waits for %s", name)
		}
		// Regular ignores missing files, because Open reports them.
		if err := input.Regular(name); (err != nil) != strings.HasSuffix(want, "regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWatch checks that the watch is called when a file is opened and for every read, and
// that reads of a pipe are reported as Await.
func TestWatch(t *testing.T) {
	var told []string
	watch := func(name string, work input.Work) func() {
		told = append(told, fmt.Sprint(filepath.Base(name), work))
		return func() { told = append(told, "done") }
	}
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	text, large, err := input.ReadAll(name, 5, watch)
	if string(text) != "12345" || large || err != nil {
		t.Errorf("read %q, %t, %v", text, large, err)
	}
	if want := []string{"file1", "done", "file1", "done", "file1", "done"}; !slices.Equal(told, want) {
		t.Errorf("the watch got %v, want %v", told, want)
	}
	if text, large, err = input.ReadAll(name, 4, nil); string(text) != "1234" || !large || err != nil {
		t.Errorf("read %q, %t, %v", text, large, err)
	}

	// This pipe is already open, as if the process had inherited it.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	io.WriteString(w, "{}")
	w.Close()
	told = nil
	fd := fmt.Sprintf("/proc/self/fd/%d", r.Fd())
	if _, err := os.Stat(fd); err != nil {
		t.Skip(err)
	}
	if text, _, err := input.ReadAll(fd, 5, watch); string(text) != "{}" || err != nil {
		t.Errorf("read %q: %v", text, err)
	}
	if want := filepath.Base(fd) + "2"; !slices.Contains(told, want) {
		t.Errorf("the watch got %v, which does not contain %s", told, want)
	}
}

// TestGlob checks that a file whose name is exactly the pattern takes precedence, and
// that names begin with ./ if the pattern does.
func TestGlob(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a1", "a[1]", "b2", "b1"} {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string][]string{
		"a[1]":   {"a[1]"},
		"a[1]*":  {"a1"},
		"./b*":   {"./b1", "./b2"},
		"b[0-1]": {"b1"},
	} {
		if got, err := input.Glob(pattern); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s matches %q (%v), want %q", pattern, got, err, want)
		}
	}
	if _, err := input.Glob("[x"); err == nil || !err.Usage || err.Error() != `"[x" is not a valid pattern: syntax error in pattern` {
		t.Errorf("an invalid pattern: the error is %v", err)
	}
	if _, err := input.Glob("c*"); err == nil || err.Usage || err.Error() != `no file matches "c*"` {
		t.Errorf("a pattern that matches nothing: the error is %v", err)
	}
}
