package runner_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/plan"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// TestTimeoutMessage: a run that is ended by the timeout of the data says that nobody
// chose it, and how to choose another; one that the user chose is named alone.
func TestTimeoutMessage(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	s.Nixlbench.Runs.Get().Timeout.Text = "1" // second
	t.Chdir(t.TempDir())
	program := filepath.Join(".", "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(s, "main-2026-08-21", toy(s), plan.Use{})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]config.Value{}
	for _, f := range s.Fields {
		if f.Default != nil {
			values[f.Var] = config.Value{Value: config.GoValue(f.Default)}
		}
	}
	plans, err := p.Plans(&plan.Request{
		Model:  &config.Model{Arch: toy(s)},
		Config: &config.Config{Values: values},
		Flags:  map[string]config.Value{"backend": {Value: config.GoValue("POSIX")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		timeout time.Duration
		want    string
	}{
		{0, "it took longer than 1s, the default timeout for what it moves, and was ended: --timeout sets another one, and --timeout none removes it"},
		{100 * time.Millisecond, "it took longer than 100ms and was ended"},
	} {
		session := runner.Session{Schema: s, Program: []string{"./program"}, Timeout: test.timeout, Force: true, Output: func(*runner.Run, runner.Line) {}}
		session.Ending.Grace = time.Second
		run, err := session.Prepare(context.Background(), plans[0], 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := session.Execute(context.Background(), run)
		if err != nil {
			t.Fatal(err)
		}
		session.Close()
		if rec.Status != runner.Failed || len(rec.Reasons) == 0 || !strings.HasPrefix(rec.Reasons[0], test.want) {
			t.Errorf("%s for %q, want %q", rec.Status, rec.Reasons, test.want)
		}
	}
}

// toy is an architecture with IOs of 4,096 bytes.
func toy(s *schema.Schema) *schema.Architecture {
	f := func(text string) schema.Formula { return schema.Formula{Text: text} }
	return &schema.Architecture{
		Name:     "toy",
		Formulas: map[string]schema.Formula{"kv_bytes_per_token": f("4096")},
		Tables:   map[string]map[string]schema.Formula{"access_patterns": {"block": f("4096"), "layer": f("4096")}},
	}
}
