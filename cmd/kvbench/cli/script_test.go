package cli_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"kvbench/cmd/kvbench/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kvbench": func() { os.Exit(cli.Main(os.Args[1:])) },
	})
}

// TestScript runs the command line as users do; every stdout, stderr and exit
// code is in the scripts. KVBENCH_UPDATE=1 rewrites them, to be read before
// they are committed.
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
			// A name with everything that a shell or a terminal stumbles over.
			odd := "it's \"odd\"; $HOME\nnixlbench.yaml"
			env.Setenv("ODD", odd)
			if err := os.WriteFile(filepath.Join(env.WorkDir, odd), []byte("system: {page_size: 16}\n"), 0o644); err != nil {
				return err
			}
			return os.CopyFS(filepath.Join(env.WorkDir, "examples"), os.DirFS(examples))
		},
		Condition: func(cond string) (bool, error) {
			return cond == "root" && os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"binary": binary,
			"large":  large,
		},
	})
}

// exits CODE COMMAND… runs a command that is to end with this code.
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

// binary FILE writes a file that is no text.
func binary(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("\x7fELF\x00\x01"), 0o644))
}

// large FILE makes a file of 100 MB.
func large(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), nil, 0o644))
	ts.Check(os.Truncate(ts.MkAbs(args[0]), 100_000_000))
}
