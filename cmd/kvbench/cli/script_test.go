package cli_test

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"kvbench/cmd/kvbench/cli"
	cueschema "kvbench/cue"
	"kvbench/engine/schema"
)

func TestMain(m *testing.M) {
	// By default, the race detector delays the exit of every process by a second, which
	// is too long for a process whose peer has failed.
	os.Setenv("GORACE", raceOptions)
	// If a shell runs the tests in the background, it makes them ignore interrupts, and
	// kvbench would inherit this. If the tests handle interrupts instead, the processes that
	// they start do not ignore them.
	if strings.HasSuffix(os.Args[0], ".test") && signal.Ignored(os.Interrupt) {
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	}
	// Run more tests at a time than there are processors, because many tests wait for
	// processes. -parallel overrides this.
	if f := flag.Lookup("test.parallel"); f != nil {
		f.Value.Set(strconv.Itoa(runtime.GOMAXPROCS(0) + 4))
	}
	testscript.Main(withNixlbench{m}, map[string]func(){
		"kvbench": func() {
			if limit, err := time.ParseDuration(os.Getenv(guardTime)); err == nil {
				cli.SetGuardTime(limit)
			}
			if least, err := time.ParseDuration(os.Getenv("PROGRESS_TIME")); err == nil {
				cli.SetProgressTime(least)
			}
			os.Exit(cli.Main(os.Args[1:]))
		},
		"etcd":    fakeEtcd,
		"kubectl": fakeKubectl,
		"docker":  fakeDocker,
		// This builds the stand-in for nixlbench in a folder, for tests outside this package.
		"make-nixlbench": func() {
			if err := makeNixlbench(os.Args[1]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
	})
}

// withNixlbench runs the tests with a stand-in for nixlbench.
type withNixlbench struct{ *testing.M }

// standinDir is the folder with the stand-in for nixlbench.
var standinDir string

func (m withNixlbench) Run() int {
	dir, err := os.MkdirTemp("", "kvbench")
	if err == nil {
		defer os.RemoveAll(dir)
		err = makeNixlbench(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the stand-in for nixlbench:", err)
		return 1
	}
	standinDir = dir
	os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return m.M.Run()
}

// makeNixlbench builds the stand-in, and writes the flags that it reads.
func makeNixlbench(dir string) error {
	cmd := exec.Command("go", "test", "-c", "-buildvcs=false", "-vet=off", "-ldflags=-s", "-o", filepath.Join(dir, "nixlbench"), "./testdata/standin")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		return err
	}
	var flags strings.Builder
	for _, release := range s.Nixlbench.Releases {
		for _, flag := range s.Nixlbench.FlagsOf(release) {
			era := s.Nixlbench.FlagIn(flag, release)
			fmt.Fprintf(&flags, "%s\t%s\t%s\t%s\n", release, flag.Name, era.Type, era.Default.Text())
		}
	}
	return os.WriteFile(filepath.Join(dir, "flags"), []byte(flags.String()), 0o644)
}

// guardTime is the environment variable that sets how long work on one file may take.
const guardTime = "GUARD_TIME"

const raceOptions = "atexit_sleep_ms=0"

// full reports whether tests run at full size, as in .ci/run. Otherwise, tests that would
// take many seconds are skipped or try only some of their cases.
func full() bool { return os.Getenv("KVBENCH_FULL") != "" }

// In short mode, startsMany skips a test that starts hundreds of processes. Short mode is
// used with the race detector, which makes starting a process take much longer. Tests that
// are not skipped start the same kinds of processes.
func startsMany(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped, because it starts hundreds of processes")
	}
}

// needsFull skips a test that takes many seconds, unless tests run at full size.
func needsFull(t *testing.T) {
	t.Helper()
	if !full() {
		t.Skip("skipped, because it takes many seconds; set KVBENCH_FULL=1 to run it")
	}
}

// TestScript runs kvbench as users do. The scripts contain the expected stdout, stderr
// and exit codes. KVBENCH_UPDATE=1 rewrites them; review the changes before committing.
func TestScript(t *testing.T) {
	examples, err := filepath.Abs("../../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("KVBENCH_UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", raceOptions)
			// On a busy machine with the race detector, even good files can take longer
			// than 5 s.
			env.Setenv(guardTime, "1m")
			// This name contains characters that shells and terminals treat specially.
			odd := "it's \"odd\"; $HOME\nnixlbench.yaml"
			env.Setenv("ODD", odd)
			if err := os.WriteFile(filepath.Join(env.WorkDir, odd), []byte("system: {page_size: 16}\n"), 0o644); err != nil {
				return err
			}
			// This server takes the place of etcd, but only accepts connections.
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { l.Close() })
			env.Setenv("ETCD", l.Addr().String())
			return os.CopyFS(filepath.Join(env.WorkDir, "examples"), os.DirFS(examples))
		},
		Condition: func(cond string) (bool, error) {
			return cond == "root" && os.Geteuid() == 0 || cond == "full" && full(), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"binary":    binary,
			"endless":   noEnd,
			"large":     large,
			"tail":      tail,
			"lines":     lines,
			"tear":      tear,
			"chop":      chop,
			"gone":      gone,
			"hub":       hub,
			"small":     small,
			"macintosh": macintosh,
		},
	})
}

// exits CODE COMMAND… runs a command and checks its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// binary FILE writes a binary file.
func binary(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("\x7fELF\x00\x01"), 0o644))
}

// macintosh FILE replaces a file's newlines with carriage returns.
func macintosh(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.ReplaceAll(ts.ReadFile(args[0]), "\n", "\r")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// large FILE creates a file of 100 MB.
func large(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), nil, 0o644))
	ts.Check(os.Truncate(ts.MkAbs(args[0]), 100_000_000))
}

// endless FILE extends a file with zeros to 1 TiB.
func noEnd(ts *testscript.TestScript, _ bool, args []string) {
	if err := os.Truncate(ts.MkAbs(args[0]), 1<<40); err != nil {
		ts.Fatalf("%v", err)
	}
}

// tail N FILE DST writes the last N lines of a file to another.
func tail(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	all := strings.SplitAfter(ts.ReadFile(args[1]), "\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Join(all[max(0, len(all)-1-n):], "")), 0o644))
}

// lines N FILE checks that a file has N lines and ends with a newline.
func lines(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[1])
	if n := strings.Count(text, "\n"); strconv.Itoa(n) != args[0] || !strings.HasSuffix(text, "\n") {
		ts.Fatalf("%s has %d lines: %q", args[1], n, text)
	}
}

// small N FILE checks that a file has no more than N bytes.
func small(ts *testscript.TestScript, _ bool, args []string) {
	most, err := strconv.Atoi(args[0])
	ts.Check(err)
	if n := len(ts.ReadFile(args[1])); n > most {
		ts.Fatalf("%s has %d bytes, more than %d", args[1], n, most)
	}
}

// tear FILE appends a truncated result, as a killed run would leave behind.
func tear(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY|os.O_APPEND, 0)
	ts.Check(err)
	defer f.Close()
	_, err = f.WriteString(`{"kvbench":"half`)
	ts.Check(err)
}

// chop FILE removes a file's last character, which is a newline.
func chop(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text[:len(text)-1]), 0o644))
}

// gone FILE checks that the process whose ID is in a file has ended.
func gone(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	for range 3000 { // a busy machine takes a while
		if ended(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("process %d is still running", pid)
}

// zombie reports whether a process has ended but its parent has not waited for it yet.
func zombie(pid int) bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}
