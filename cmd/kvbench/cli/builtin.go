package cli

import (
	"context"
	"os"
	"os/exec"

	"kvbench/engine/builtin"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// builtinName is the value of --nixlbench that selects kvbench itself, and the name of the
// hidden command that runs the benchmark in place of nixlbench. Users do not need the
// command, because profile starts it.
const builtinName = builtin.Name

// measure performs the I/O that nixlbench's flags describe, and prints nixlbench's table.
func (a *app) measure(ctx context.Context, args []string) error {
	release := a.schema.Nixlbench.Newest()
	values, err := builtin.ReadFlags(a.schema, release, args)
	if err != nil {
		return diag.Usagef("%v", err)
	}
	return builtin.Run(ctx, a.schema, release, values, a.stdout)
}

// builtinProgram returns the words that start kvbench itself as the benchmark program. The
// first word is the name used to start this process, if it still refers to the same file,
// or else the file's full path.
func builtinProgram() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	name := os.Args[0]
	if path, err := exec.LookPath(name); err == nil && sameFile(path, self) {
		self = name
	}
	return []string{self, builtinName}, nil
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// isBuiltin reports whether words start kvbench itself.
func isBuiltin(words []string) bool { return len(words) == 2 && words[1] == builtinName }

// builtinRefuses returns an error if the builtin program does not support a plan.
func builtinRefuses(s *schema.Schema, pl *plan.Plan) error {
	values := map[string]formula.Value{}
	for _, f := range pl.Flags {
		values[f.Name] = f.Value
	}
	return builtin.Refuse(s, pl.Release, values)
}

// builtinInstalled returns the builtin program as if it were an installed nixlbench of the
// newest release.
func (a *app) builtinInstalled() *nixlbench.Installed {
	n := &a.schema.Nixlbench
	release := n.Newest()
	flags := map[string]schema.OwnFlag{}
	for _, f := range n.FlagsOf(release) {
		era := n.FlagIn(f, release)
		flags[f.Name] = schema.OwnFlag{Type: era.Type, Default: era.Default, Help: f.Help}
	}
	return nixlbench.Identify(n, flags)
}
