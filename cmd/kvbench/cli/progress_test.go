package cli

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestProgressTerminal: on a terminal the line stays last, and other output
// goes above it.
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

// TestProgressSingle: one point alone needs no line.
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
