// Package cli is kvbench's command line, with one file per command. It is the
// only package that uses the flag library.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"
	"golang.org/x/term"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/diag"
	"kvbench/engine/input"
	"kvbench/engine/model"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
	"kvbench/engine/vet"
)

// These are the exit codes. exitUsage is for an invalid command line, and exitFailed is
// for any other failure.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

const program = "kvbench"

// app is the state that all commands share.
type app struct {
	schema *schema.Schema
	bench  []*flagSpec // nixlbench's own flags
	stdout io.Writer
	stderr io.Writer
	print  *diag.Printer
	// stop cancels the context when a command that ends gracefully is interrupted. Other
	// commands are ended at once. A second interrupt closes the hurry channel.
	stop     context.CancelCauseFunc
	signals  sync.Once
	graceful atomic.Bool
	hurry    chan struct{}
	partial  atomic.Pointer[string] // temporary file or folder to remove on early exit
	said     map[string]bool        // messages about flags that have been printed
	guard    guard
	checked  vet.Checked // state passed to the restarted process
	loads    *model.Loader
	// If configured is true, known and knownErr are the result of reading the
	// configurations.
	configured bool
	known      []*config.Config
	knownErr   error
}

// errInterrupted is returned by a command that was interrupted.
var errInterrupted = errors.New("interrupted")

// errShown is returned by a command that has already printed its errors.
var errShown = errors.New("failed")

// Main runs kvbench with the arguments and returns the exit code. It prints the command's
// error, unless the command has already printed it.
func Main(args []string) int {
	growStack(0)
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	out := &stdout{file: os.Stdout}
	a := &app{stdout: out, stderr: os.Stderr, stop: stop, hurry: make(chan struct{}), said: map[string]bool{}}
	dir, _ := os.Getwd()
	a.print = &diag.Printer{W: a.stderr, Program: program, Dir: dir, Color: isTerminal(os.Stderr) && os.Getenv("NO_COLOR") == ""}
	a.guard.expired = a.ends
	time.AfterFunc(20*time.Millisecond, func() {
		a.takeSignals()
		a.guard.run()
	})
	err := a.start(ctx, args)
	if out.close(); out.err != nil {
		err = withError(err, out.err)
	}
	return a.exitCode(err)
}

// start runs a command, or continues one that the guard restarted.
func (a *app) start(ctx context.Context, args []string) error {
	if len(args) > 1 && args[0] == restartCommand {
		if err := json.Unmarshal([]byte(args[1]), &a.checked); err != nil {
			return err
		}
		args = args[2:]
	}
	return a.run(ctx, args)
}

// withError returns a command's error together with another error, unless the command's error
// already contains the other one.
func withError(err, more error) error {
	switch err {
	case nil, errShown, errInterrupted:
		return more
	}
	list := diag.List(diag.All(err))
	if !slices.ContainsFunc(list, func(d *diag.Diag) bool { return error(d) == more }) {
		list = append(list[:len(list):len(list)], diag.All(more)...)
	}
	return list
}

// takeSignals installs the signal handler. It is called only when a command takes a
// while, or is about to, because most commands finish in less time than the setup takes.
// Until then, the system ends the process when it gets a signal.
func (a *app) takeSignals() {
	a.signals.Do(func() {
		signals := make(chan os.Signal, 2)
		for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
			if !signal.Ignored(sig) { // nohup ignores SIGHUP, for example
				signal.Notify(signals, sig)
			}
		}
		go func() {
			for interrupts := 0; ; {
				sig := <-signals
				// End at once, because the command may be waiting for a file that never
				// arrives. Some commands end gracefully instead, for example to stop the
				// processes that they run.
				if !a.graceful.Load() {
					a.leave(exitInterrupted)
				}
				a.stop(runner.Signaled{Signal: sig})
				if interrupts++; interrupts == 2 {
					close(a.hurry)
				}
			}
		}()
	})
}

// endsGracefully is called by commands that end gracefully when interrupted, rather than at
// once.
func (a *app) endsGracefully() {
	a.graceful.Store(true)
	a.takeSignals()
}

// awaits is called before files are read. It installs the signal handler at once if
// reading may take a while, so that kvbench exits with its own exit code even if it is
// interrupted early.
func (a *app) awaits(files ...string) {
	if len(files) == 1 {
		if info, err := os.Stat(files[0]); err != nil || info.Mode().IsRegular() {
			return
		}
	}
	if len(files) > 0 {
		a.takeSignals()
	}
}

// keepMuch is called before work that retains a lot of memory and creates little
// garbage. In that case, collecting garbage more often costs little and saves a third of
// the memory.
func keepMuch() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(40)
	}
}

// expectMuch is called before work that creates a lot of garbage, such as the first plan.
// Collecting garbage at the usual rate would take a seventh of the command's time. In a
// short command, this would be wasted effort, because the command ends soon after its
// first collection.
func expectMuch() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// expectLong is called after planning if the command then runs for a long time. It
// restores the usual rate of garbage collection.
func expectLong() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(100)
	}
}

// exitCode prints an error, unless it has already been printed, and returns its exit code.
func (a *app) exitCode(err error) int {
	switch err {
	case nil:
		return exitOK
	case errInterrupted:
		return exitInterrupted
	case errShown:
		return exitFailed
	}
	a.report(err)
	for _, d := range diag.All(err) {
		if d.Usage {
			return exitUsage
		}
	}
	return exitFailed
}

// report prints an error, if there is one.
func (a *app) report(err error) {
	if err != nil {
		a.print.Print(err)
	}
}

// isTerminal reports whether a file is a terminal. Other character devices, such as
// /dev/null, are not.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// maker contains the name of a command and the function that creates the command.
type maker struct {
	name    string
	command func(*app) *command
}

// makers lists the commands in the order in which the help shows them. Only the command
// that runs is created, because creating all of them would slow down every start.
func makers() []maker {
	return []maker{
		{"plan", (*app).planCmd},
		{"explain", (*app).explainCmd},
		{"profile", (*app).profileCmd},
		{"tune", (*app).tuneCmd},
		{"launch", (*app).launchCmd},
		{"collect", (*app).collectCmd},
		{"report", (*app).reportCmd},
		{"results", (*app).resultsCmd},
		{"kvcache", (*app).kvcacheCmd},
		{"iosize", (*app).iosizeCmd},
		{"transfer", (*app).transferCmd},
		{"matrix", (*app).matrixCmd},
		{"verify", (*app).verifyCmd},
		{"models", (*app).modelsCmd},
		{"import", (*app).importCmd},
		{"init", (*app).initCmd},
		{"vet", (*app).vetCmd},
		{"schema", (*app).schemaCmd},
		{"nixlbench", (*app).nixlbenchCmd},
		{"completion", (*app).completionCmd},
		{"man", (*app).manCmd},
		{"version", (*app).versionCmd},
	}
}

// commands returns all commands.
func (a *app) commands() []*command {
	var all []*command
	for _, m := range makers() {
		all = append(all, m.command(a))
	}
	return all
}

func (a *app) run(ctx context.Context, args []string) error {
	var err error
	if a.schema, err = schema.Decode(cueschema.Snapshot); err != nil {
		return err
	}
	if err := a.addReleases(args); err != nil {
		return err
	}
	if len(args) > 0 && args[0] == completeCommand {
		return a.complete(a.commands(), args[1:])
	}
	if len(args) > 0 && args[0] == builtinName {
		return a.measure(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "help" {
		args = append(args[1:], "--help")
	}
	if len(args) == 0 {
		io.WriteString(a.stderr, rootUsage(a.commands()))
		return diag.Usagef("missing command")
	}
	if isHelp(args[0]) || isHelpAll(args[0]) {
		_, err := io.WriteString(a.stdout, rootUsage(a.commands()))
		return err
	}
	if args[0] == "--version" {
		args = []string{"version"}
	}
	i := slices.IndexFunc(makers(), func(m maker) bool { return m.name == args[0] })
	if i < 0 {
		return unknownCommand(args[0], a.commands())
	}
	c := makers()[i].command(a)
	others := func(flag string) string {
		for _, other := range a.commands() {
			if other.flag(flag).name != "" {
				return other.name
			}
		}
		return ""
	}
	words, given, err := normalize(args[1:], c.flags, c.words != "", others, a.schema.Lacks)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(a.stdout, c.usage(errors.Is(err, errHelpAll)))
		return err
	}
	if err != nil {
		return withUsageHint(err, c.name)
	}
	c.given = given
	if len(c.flags) > 0 {
		a.noteEnvironment(os.Environ(), c)
	}
	root := &ffcli.Command{Name: program, Subcommands: []*ffcli.Command{c.ffcli()}, Exec: func(context.Context, []string) error { return flag.ErrHelp }}
	done := func() {}
	if file := fileOf(words, configFlag().name); file != "" {
		if err := input.Regular(file); err != nil {
			return err
		}
		done = a.guard.watch(file, input.Read)
	}
	err = root.Parse(append([]string{c.name}, words...))
	done()
	if err != nil {
		return c.parseError(err)
	}
	return root.Run(ctx)
}

// errHelpAll reports that the user requested the full help.
var errHelpAll = fmt.Errorf("all of the %w", flag.ErrHelp)

func isHelp(arg string) bool { return slices.Contains([]string{"-h", "-help", "--help"}, arg) }

func isHelpAll(arg string) bool {
	return slices.Contains([]string{"--help-all", "--help_all", "-help-all"}, arg)
}

func unknownCommand(word string, cmds []*command) error {
	if strings.HasPrefix(word, "-") {
		return diag.Usagef("%s: flags come after the command", word).WithHint("see '%s --help'", program)
	}
	names := make([]string, len(cmds))
	for i, c := range cmds {
		names[i] = c.name
	}
	d := diag.Usagef("unknown command %q", word)
	if d.Suggest(word, names) {
		return d
	}
	return d.WithHint("commands: %s", strings.Join(names, ", "))
}

func withUsageHint(err error, command string) error {
	list := diag.List(diag.All(err))
	last := *list[len(list)-1]
	if last.Hints == nil {
		last.WithHint("see '%s %s --help'", program, command)
	}
	return append(slices.Clone(list[:len(list)-1]), &last)
}
