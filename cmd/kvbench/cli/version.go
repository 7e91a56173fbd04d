package cli

import (
	"context"
	"fmt"
	"runtime/debug"
)

// versionCmd prints the version and what it knows of nixlbench.
func (a *app) versionCmd() *command {
	return &command{
		name:  "version",
		short: "Print kvbench's version and the nixlbench releases that it knows",
		exec: func(context.Context, *command) error {
			releases := a.schema.Nixlbench.Releases
			_, err := fmt.Fprintf(a.stdout, "kvbench %s\nnixlbench %s to %s\n", version(), releases[0], releases[len(releases)-1])
			return err
		},
	}
}

// version is that of the program's module.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
