package models_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	cueschema "kvbench/cue"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/models"
)

// TestChecks compares every architecture with the known results in its own file.
func TestChecks(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for _, listed := range s.Architectures {
		arch := listed.Arch.Get()
		t.Run(arch.Name, func(t *testing.T) {
			if len(arch.Checks.Get()) < 3 {
				t.Errorf("%s has %d checks: expected at least 3", arch.File, len(arch.Checks.Get()))
			}
			p, err := plan.NewPlanners(s, s.Nixlbench.Default, "").Checker(arch)
			if err != nil {
				t.Fatal(err)
			}
			for _, check := range arch.Checks.Get() {
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

// TestLines checks that no line of the data is longer than 120 characters.
func TestLines(t *testing.T) {
	count := 0
	for _, folder := range []string{"../cue/*.cue", "../cue/*/*.cue", "*.cue", "../cmd/kvbench/cli/start/*.cue"} {
		files, _ := filepath.Glob(folder)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			count++
			for i, line := range strings.Split(string(text), "\n") {
				if n := utf8.RuneCountInString(line); n > 120 {
					t.Errorf("%s:%d has %d characters: want at most 120", file, i+1, n)
				}
			}
		}
	}
	if count < 25 {
		t.Errorf("%d files, want the files in cue and models and the template", count)
	}
}

// TestExamples checks that every example model can be read, which requires finding its
// architecture.
func TestExamples(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("../examples/model_*.yaml")
	if len(files) != 7 {
		t.Errorf("%d example models, want 7", len(files))
	}
	l := model.NewLoader(s, cueschema.Files, models.Files)
	for _, f := range files {
		if _, err := l.Model(f, nil); err != nil {
			t.Error(err)
		}
	}
}

// TestKnown reads every bundled model by its name. The file must be named after the model and
// state the source of its values.
func TestKnown(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	l := model.NewLoader(s, cueschema.Files, models.Files)
	entries, err := l.Entries(nil)
	if err != nil || len(entries) < 10 {
		t.Fatalf("%d models: %v", len(entries), err)
	}
	plain := strings.NewReplacer(".", "", "_", "", "-", "")
	for _, e := range entries {
		m, err := l.Model(e.Name, nil)
		if err != nil {
			t.Errorf("%s: %v", e.File, err)
			continue
		}
		if got := plain.Replace(strings.ToLower(m.Name)); got != plain.Replace(e.Name) {
			t.Errorf("%s contains the name %s", e.File, m.Name)
		}
		text, err := l.Text(e)
		if err != nil || !strings.HasPrefix(string(text), "# Source: https://") {
			t.Errorf("%s does not begin with its source: %v", e.File, err)
		}
		// Engines run models whose files say float32 in 16 bits.
		if strings.Contains(string(text), "quant_mode: fp32") {
			t.Errorf("%s has 32-bit formats", e.File)
		}
	}
	// The example models must have the same parameters as the bundled models of the same
	// name.
	files, _ := filepath.Glob("../examples/model_*.yaml")
	for _, f := range files {
		example, err := l.Model(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		known, err := l.Model(example.Name, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		for name, v := range example.Params {
			if known.Params[name].Text() != v.Text() {
				t.Errorf("%s of %s is %s in %s and %s in %s", name, example.Name, v.Text(), f, known.Params[name].Text(), known.File)
			}
		}
	}
}
