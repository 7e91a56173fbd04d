// Package cli is kvbench's command line: one file for each command. It is the
// only package that knows the flag library.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/peterbourgon/ff/v3/ffcli"

	cueschema "kvbench/cue"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// Exit codes: 2 for a wrong command line, 1 for everything else that fails.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

const program = "kvbench"

// app is what commands share.
type app struct {
	schema *schema.Schema
	stdout io.Writer
	stderr io.Writer
	print  *diag.Printer
}

// Main runs kvbench with the arguments and gives the exit code. It is the one
// place that prints errors.
func Main(args []string) int {
	// A plan takes a few milliseconds and megabytes: to collect garbage
	// meanwhile would be a seventh of its time.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{stdout: os.Stdout, stderr: os.Stderr}
	dir, _ := os.Getwd()
	a.print = &diag.Printer{W: a.stderr, Program: program, Dir: dir, Color: isTerminal(os.Stderr) && os.Getenv("NO_COLOR") == ""}
	// Whoever interrupts is not kept waiting for a file that does not come.
	done := make(chan error, 1)
	go func() { done <- a.run(ctx, args) }()
	select {
	case err := <-done:
		return a.report(err)
	case <-ctx.Done():
		return exitInterrupted
	}
}

// report prints an error and gives its exit code.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	a.print.Print(err)
	for _, d := range diag.All(err) {
		if d.Usage {
			return exitUsage
		}
	}
	return exitFailed
}

// isTerminal reports whether a file is a character device.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (a *app) run(ctx context.Context, args []string) error {
	var err error
	if a.schema, err = schema.Decode(cueschema.Snapshot); err != nil {
		return err
	}
	cmds := []*command{a.planCmd(), a.kvcacheCmd(), a.iosizeCmd(), a.versionCmd()}
	if len(args) > 0 && args[0] == "help" {
		args = append(args[1:], "--help")
	}
	if len(args) == 0 {
		io.WriteString(a.stderr, rootUsage(cmds))
		return diag.Usagef("a command is missing")
	}
	if isHelp(args[0]) {
		_, err := io.WriteString(a.stdout, rootUsage(cmds))
		return err
	}
	if args[0] == "--version" {
		args = []string{"version"}
	}
	i := slices.IndexFunc(cmds, func(c *command) bool { return c.name == args[0] })
	if i < 0 {
		return unknownCommand(args[0], cmds)
	}
	c := cmds[i]
	others := map[string]string{}
	for _, other := range cmds {
		for _, f := range other.flags {
			others[f.name] = other.name
		}
	}
	words, given, err := normalize(args[1:], c.flags, others)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(a.stdout, c.usage(a.schema))
		return err
	}
	if err != nil {
		return withUsageHint(err, c.name)
	}
	c.given = given
	root := &ffcli.Command{Name: program, Subcommands: []*ffcli.Command{c.ffcli()}, Exec: func(context.Context, []string) error { return flag.ErrHelp }}
	if err := root.Parse(append([]string{c.name}, words...)); err != nil {
		return c.parseError(err)
	}
	return root.Run(ctx)
}

func isHelp(arg string) bool { return slices.Contains([]string{"-h", "-help", "--help"}, arg) }

func unknownCommand(word string, cmds []*command) error {
	if strings.HasPrefix(word, "-") {
		return diag.Usagef("%s: flags stand after the command", word).WithHint("see %s --help", program)
	}
	names := make([]string, len(cmds))
	for i, c := range cmds {
		names[i] = c.name
	}
	d := diag.Usagef("unknown command %q", word)
	if hint := diag.DidYouMean(word, names); hint != "" {
		return d.WithHint("%s", hint)
	}
	return d.WithHint("commands: %s", strings.Join(names, ", "))
}

func withUsageHint(err error, command string) error {
	list := diag.List(diag.All(err))
	last := *list[len(list)-1]
	if last.Hint == "" {
		last.WithHint("see %s %s --help", program, command)
	}
	return append(slices.Clone(list[:len(list)-1]), &last)
}

func rootUsage(cmds []*command) string {
	var b strings.Builder
	b.WriteString("kvbench plans KV-cache transfer benchmarks for any LLM architecture.\n\nUsage:\n  kvbench COMMAND [FLAGS]\n\nCommands:\n")
	for _, c := range cmds {
		fmt.Fprintf(&b, "  %-9s %s\n", c.name, c.short)
	}
	b.WriteString("\nEvery command says more with --help: kvbench plan --help\n")
	return b.String()
}
