package vet_test

import (
	"encoding/json"
	"testing"

	"kvbench/engine/diag"
	"kvbench/engine/vet"
)

// TestChecked: a file that has ended one run is known in the next, whatever its
// name is, so that no run is started for ever.
func TestChecked(t *testing.T) {
	for _, name := range []string{"a.cue", "bad\xff.cue", "\u202e \"x\".cue"} {
		over := diag.Errorf(diag.Pos{File: name}, "takes more than 5s")
		next := vet.Checked{}.Add(over, 0)
		if next == nil {
			t.Fatalf("%q: no run goes on", name)
		}
		text, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		var read vet.Checked
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		if read.Add(over, 0) != nil {
			t.Errorf("%q ends run after run", name)
		}
	}
}
