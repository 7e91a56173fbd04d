package models_test

import (
	"path/filepath"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/models"
)

// TestChecks holds every architecture to the known results in its own file.
func TestChecks(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range s.Architectures {
		t.Run(arch.Name, func(t *testing.T) {
			if len(arch.Checks) < 3 {
				t.Errorf("%s has %d checks: want at least 3", arch.File, len(arch.Checks))
			}
			p, err := plan.New(s, s.Nixlbench.Default, arch)
			if err != nil {
				t.Fatal(err)
			}
			for _, check := range arch.Checks {
				got, err := p.Check(check)
				if err != nil {
					t.Errorf("%s: %v", check.Source, err)
				}
				for name, want := range check.Expect {
					if got[name] != want {
						t.Errorf("%s: %s is %d, want %d", check.Source, name, got[name], want)
					}
				}
			}
		})
	}
}

// TestExamples reads every parameter file and finds its architecture.
func TestExamples(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("../examples/model_*.yaml")
	if len(files) != 7 {
		t.Errorf("%d example models, want 7", len(files))
	}
	l := config.NewLoader(s, cueschema.Files, models.Files)
	for _, f := range files {
		if _, err := l.Model(f, nil); err != nil {
			t.Error(err)
		}
	}
}
