package vet

import (
	"encoding/json"
	"testing"

	"kvbench/engine/diag"
)

// TestChecked checks that a run recognizes the file that ended the previous run, whatever
// the file's name is, so that vet does not restart forever.
func TestChecked(t *testing.T) {
	for _, name := range []string{"a.cue", "bad\xff.cue", "\u202e \"x\".cue"} {
		over := diag.Errorf(diag.Pos{File: name}, "takes more than 5s")
		next := Checked{}.Add(over, 0)
		if next == nil {
			t.Fatalf("%q: the run cannot be resumed", name)
		}
		text, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		var read Checked
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		if read.Add(over, 0) != nil {
			t.Errorf("%q: the run is resumed although the file already ended one", name)
		}
	}
}

// TestCheckedRest checks that a run resumes after the last file reported, or starts from
// the beginning if that file no longer exists.
func TestCheckedRest(t *testing.T) {
	var targets []*target
	for _, name := range []string{"a", "b/../b", "c\xff", "d"} {
		targets = append(targets, &target{name: name})
	}
	for last, want := range map[string]int{"a": 3, "b": 2, "./c\xff": 1, "d": 0, "gone": 4} {
		if got := (Checked{Last: Key(last)}).rest(targets); len(got) != want {
			t.Errorf("%d files follow %q, want %d", len(got), last, want)
		}
	}
	if got := (Checked{}).rest(targets); len(got) != 4 {
		t.Errorf("%d files are left, want all", len(got))
	}
}
