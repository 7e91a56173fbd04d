package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"time"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
	"kvbench/models"
)

// The evaluation of users' CUE cannot be cancelled, so that it is tried in a
// process that can be ended.
const (
	guardCommand = "__evaluate"
	guardTime    = 5 * time.Second
	guardMemory  = 512 << 20

	exitTime   = 3
	exitMemory = 4
)

// loader gives a loader whose evaluation of users' CUE is bounded.
func (a *app) loader() *config.Loader {
	l := config.NewLoader(a.schema, cueschema.Files, models.Files)
	l.Guard = guard
	return l
}

// guard has a child evaluate the text of a CUE file.
func guard(name string, data []byte) error {
	expectMuch() // once the child has found that the text does no harm
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// The child ends itself; this is in case it cannot.
	ctx, cancel := context.WithTimeout(context.Background(), 2*guardTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, guardCommand, name)
	cmd.Stdin = bytes.NewReader(data)
	err = cmd.Run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	at := diag.Pos{File: name}
	switch {
	case err == nil:
		return nil
	case ok && exit.ExitCode() == exitMemory:
		return diag.Errorf(at, "takes more than %d MiB to evaluate: a file of data takes a few", guardMemory>>20)
	case ok && exit.ExitCode() == exitTime, ctx.Err() != nil:
		return diag.Errorf(at, "takes more than %v to evaluate: a file of data takes a few milliseconds", guardTime)
	case ok:
		return diag.Errorf(at, "cannot be evaluated: the evaluation ended with %v", exit)
	}
	return err
}

// evaluate is what the child does with the CUE file on stdin.
func evaluate(name string) int {
	debug.SetGCPercent(100)
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		return exitFailed
	}
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		return exitFailed
	}
	time.AfterFunc(guardTime, func() { os.Exit(exitTime) })
	go watchMemory()
	config.NewLoader(s, cueschema.Files, models.Files).Try(name, data)
	return exitOK
}

// watchMemory ends the process when it takes too much.
func watchMemory() {
	for {
		var m runtime.MemStats // to import runtime/metrics would cost every start
		runtime.ReadMemStats(&m)
		if m.Sys-m.HeapReleased > guardMemory {
			os.Exit(exitMemory)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
