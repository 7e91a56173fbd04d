package cli

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestProgressTerminal checks that the progress line remains the last line on a terminal,
// below all other output.
func TestProgressTerminal(t *testing.T) {
	var out strings.Builder
	p := progress{w: &out, terminal: true, total: 2}
	p.begin("A")
	p.print(func() { fmt.Fprintln(&out, "output") })
	p.done++
	p.begin("B")
	p.clear()
	got := regexp.MustCompile(`\d+s to go`).ReplaceAllString(out.String(), "0s to go")
	want := "1 of 2: A\r\x1b[Koutput\n1 of 2: A\r\x1b[K2 of 2, 0s to go: B\r\x1b[K"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestProgressSingle checks that there is no progress line for a single point.
func TestProgressSingle(t *testing.T) {
	var out strings.Builder
	p := progress{w: &out, total: 1}
	p.begin("A")
	p.print(func() {})
	p.clear()
	if out.Len() > 0 {
		t.Errorf("%q, want nothing", out.String())
	}
}

// TestSweepProgress checks that the progress line of a long sweep shows how many points
// are done and how long the remaining points will take.
func TestSweepProgress(t *testing.T) {
	p := &sweepProgress{points: 1_000_000_000_000}
	for _, test := range []struct {
		points uint64
		spent  time.Duration
		want   string
	}{
		{500_000_000_000, 10 * time.Second, "500000000000 of 1000000000000 points (50%), 10 s to go"},
		{1_000_000, time.Second, "1000000 of 1000000000000 points (0%), 12 days to go"},
		{1000, time.Second, "1000 of 1000000000000 points (0%), 32 years to go"},
		{999_999_999_999, 3 * time.Hour, "999999999999 of 1000000000000 points (99%), 0 s to go"},
	} {
		if got := p.line(test.points, test.spent); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// TestSweepProgressAbove checks that rows printed to the same terminal appear above the
// progress line.
func TestSweepProgressAbove(t *testing.T) {
	var out strings.Builder
	p := &sweepProgress{progress: progress{w: &out, terminal: true}, points: 100}
	w := p.above(&out)
	fmt.Fprintln(w, "row 1")
	p.began = time.Now().Add(-time.Second)
	p.at(50)
	fmt.Fprintln(w, "row 2")
	p.clear()
	const line = "50 of 100 points (50%), 1 s to go"
	if want := "row 1\n" + line + "\r\x1b[Krow 2\n" + line + "\r\x1b[K"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
