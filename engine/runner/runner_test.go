package runner_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kvbench/engine/runner"
)

// TestLines checks that output from both streams is split into lines. A line longer than
// 64 KiB is cut, and the last line does not need a newline.
func TestLines(t *testing.T) {
	var got []string
	exits := runner.Start(t.Context(), runner.Ending{}, []runner.Process{{
		Argv: []string{"sh", "-c", `printf 'a\n\n'; head -c 65540 /dev/zero | tr '\0' x; printf '\nlast'; exec >&-; printf 'oops\n' >&2; exit 3`},
	}}, func(l runner.Line) {
		got = append(got, fmt.Sprintf("%d %.4s %t %t", len(l.Text), l.Text, l.Ended, l.Errors))
	})
	var out []string
	for _, l := range got {
		if l != "4 oops true true" {
			out = append(out, l)
		}
	}
	want := "1 a true false|0  true false|65536 xxxx false false|4 xxxx true false|4 last false false"
	if strings.Join(out, "|") != want || len(out) != len(got)-1 {
		t.Errorf("the lines are %q, want %q and one line from stderr", got, want)
	}
	if s := exits[0].String(); s != "exited with code 3" {
		t.Errorf("it %s", s)
	}
}

// TestOutlived checks that when a process ends, the processes that it leaves behind in
// its group are killed without a long delay.
func TestOutlived(t *testing.T) {
	begin := time.Now()
	exits := runner.Start(context.Background(), runner.Ending{Grace: time.Minute}, []runner.Process{{
		Argv: []string{"sh", "-c", "trap '' TERM; sleep 3600 & exit 0"},
	}}, func(runner.Line) {})
	if d := time.Since(begin); d > 50*time.Second || !exits[0].OK() {
		t.Errorf("after %v, the process %s", d, exits[0].String())
	}
}

// TestTail checks that a tail contains the end of its text, starting at the beginning of
// a line.
func TestTail(t *testing.T) {
	tail := runner.Tail{Size: 10}
	for _, l := range []string{"first", "second", "third", "", " "} {
		tail.Line([]byte(l))
	}
	if got := tail.String(); got != "third\n\n \n" {
		t.Errorf("%q", got)
	}
	if got := tail.Last(); got != "third" {
		t.Errorf("the last line is %q", got)
	}
	tail.Line([]byte("\xff\x00"))
	if got := tail.Last(); got != "?\x00" {
		t.Errorf("the last line is %q", got)
	}
}

// TestJournalLocked checks that two journals cannot write to the same file at the same
// time.
func TestJournalLocked(t *testing.T) {
	name := filepath.Join(t.TempDir(), "r.jsonl")
	j, err := runner.OpenJournal(name, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := runner.OpenJournal(name, false, nil); err == nil || !strings.HasSuffix(err.Error(), "another kvbench process is writing to this file") {
		t.Errorf("the error is %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = runner.OpenJournal(name, false, nil); err != nil {
		t.Fatal(err)
	}
	j.Close()
}

// TestJournalTorn checks that an incomplete last line of any length is appended to the
// .torn file, and that the journal still contains all other lines.
func TestJournalTorn(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "r.jsonl")
	line := `{"kvbench":"v","hash":"h"}` + "\n"
	torn := `{"kvbench":"` + strings.Repeat("x", 200_000)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(name, line+line+torn)
	write(name+".torn", "earlier\n")
	j, err := runner.OpenJournal(name, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	for file, want := range map[string]string{name: line + line, name + ".torn": "earlier\n" + torn + "\n"} {
		if got, _ := os.ReadFile(file); string(got) != want {
			t.Errorf("%s contains %d bytes, want %d", file, len(got), len(want))
		}
	}
	if j.Torn != name+".torn" {
		t.Errorf("the line was moved to %q", j.Torn)
	}
}
