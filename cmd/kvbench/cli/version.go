package cli

import (
	"context"
	"fmt"
	"runtime/debug"

	"kvbench/engine/runner"
)

// versionCmd prints kvbench's version and the nixlbench releases that it knows.
func (a *app) versionCmd() *command {
	return &command{
		name:  "version",
		short: "Print kvbench's version and the nixlbench releases that it knows",
		exec: func(context.Context, *command) error {
			releases := a.schema.Nixlbench.Releases
			own := version()
			_, err := fmt.Fprintf(a.stdout, "kvbench %s, commit %s\nnixlbench %s to %s\n", own.Version, own.Commit, releases[0], releases[len(releases)-1])
			return err
		},
	}
}

// version returns the version of the running program.
func version() runner.Build {
	info, _ := debug.ReadBuildInfo()
	return buildOf(info)
}

// buildOf returns the version and the commit that Go records in a program. A program that
// was built by go run or go test, or outside a repository, does not have a commit.
func buildOf(info *debug.BuildInfo) runner.Build {
	b := runner.Build{Version: "(devel)", Commit: "unknown"}
	if info == nil {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	modified := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && s.Value != "":
			b.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+dirty"
		}
	}
	if b.Commit != "unknown" {
		b.Commit += modified
	}
	return b
}
