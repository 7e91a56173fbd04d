package cli

import (
	"runtime/debug"
	"testing"

	"kvbench/engine/runner"
)

// TestBuild checks that the commit is the one that Go recorded in the program, with a
// mark if files were modified, or "unknown" if Go did not record a commit.
func TestBuild(t *testing.T) {
	const commit = "d58a683a2c1b0f6f3a9d5d0c7f1f3c9b1e2a4c55"
	vcs := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "-buildmode", Value: "exe"}, {Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: modified}}
	}
	tests := []struct {
		info *debug.BuildInfo
		want runner.Build
	}{
		{nil, runner.Build{Version: "(devel)", Commit: "unknown"}},
		{&debug.BuildInfo{}, runner.Build{Version: "(devel)", Commit: "unknown"}},
		{&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: vcs("false")}, runner.Build{Version: "(devel)", Commit: commit}},
		{&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: vcs("true")}, runner.Build{Version: "v1.2.3", Commit: commit + "+dirty"}},
		{&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}}}, runner.Build{Version: "v1.2.3", Commit: "unknown"}},
	}
	for i, test := range tests {
		if got := buildOf(test.info); got != test.want {
			t.Errorf("%d: %+v, want %+v", i, got, test.want)
		}
	}
}
