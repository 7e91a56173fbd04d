package cli

import (
	"runtime"
	"testing"
	"time"

	"kvbench/engine/diag"
	"kvbench/engine/input"
)

// TestGuard checks that the guard names the file that takes too much time or memory, and that
// time spent on other files does not count.
func TestGuard(t *testing.T) {
	var said string
	var others int
	g := &guard{expired: func(over *diag.Diag, n int) {
		if said == "" {
			said, others = over.Error(), n
		}
	}}

	doneA := g.enter("a")
	g.look(4 * time.Second)
	doneA()
	doneB := g.enter("b")
	doneC := g.enter("c")
	g.look(4 * time.Second)
	if said != "" {
		t.Errorf("the guard reported %q for files that took 4 s", said)
	}
	doneB()
	g.look(2 * time.Second)
	if want := "c: takes more than 5s to evaluate, but data files need only a few milliseconds"; said != want {
		t.Errorf("the guard reported %q, want %q", said, want)
	}
	doneC()
	said = ""
	g.look(time.Hour)
	if said != "" {
		t.Errorf("the guard reported %q, but there was no file", said)
	}

	// A read that does not return has its own message. Waiting for a pipe is allowed.
	type work struct {
		name string
		work input.Work
	}
	for want, works := range map[string][]work{
		"dir/r: nothing could be read for 5s":                                                {{"dir/r", input.Read}},
		"dir/r: could not be read within 5s":                                                 {{"dir/r", input.Evaluate}, {"dir/r", input.Read}},
		"dir/r: this pipe was not closed within 5s":                                          {{"dir/r", input.Evaluate}, {"dir/r", input.Await}},
		"dir/r: beside could not be read within 5s":                                          {{"dir/r", input.Evaluate}, {"dir/beside", input.Read}},
		"dir/r: takes more than 5s to evaluate, but data files need only a few milliseconds": {{"dir/r", input.Evaluate}, {"other/r", input.Await}},
		"": {{"dir/r", input.Await}},
	} {
		said = ""
		var ends []func()
		for _, w := range works {
			ends = append(ends, g.watch(w.name, w.work))
		}
		g.look(3 * time.Second)
		g.look(3 * time.Second)
		for _, end := range ends {
			end()
		}
		if said != want {
			t.Errorf("the guard reported %q, want %q", said, want)
		}
	}
	said = ""

	doneD := g.enter("d")
	doneE := g.enter("e")
	g.look(0)
	much := make([]byte, 600<<20)
	g.look(0)
	runtime.KeepAlive(much)
	if want := "d: takes more than 512 MiB of memory to evaluate, but data files need only a few"; said != want || others != 1 {
		t.Errorf("the guard reported %q with %d other files, want %q with 1", said, others, want)
	}
	doneD()
	doneE()
	g.look(0)
}
