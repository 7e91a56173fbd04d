package diag_test

import (
	"errors"
	"strings"
	"testing"

	"kvbench/engine/diag"
)

func TestPrint(t *testing.T) {
	var b strings.Builder
	p := diag.Printer{W: &b, Program: "kvbench", Dir: "/home/me"}
	d := diag.Errorf(diag.Pos{File: "/home/me/models/x.cue", Line: 3, Col: 7}, "no %s", "good").WithHint("one").WithHint("two")
	d.Source, d.Caret = "\ta + bcd", 6
	p.Print(diag.List{d, d, diag.Warnf(diag.Pos{File: "/elsewhere/y"}, "odd\nname"), {Msg: "plain"}})
	p.Print(errors.New("other"))
	want := "models/x.cue:3:7: no good\n    \ta + bcd\n    \t    ^\n  hint: one\n  hint: two\n" +
		"/elsewhere/y: warning: odd\\nname\nkvbench: plain\nkvbench: other\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"tp_size", "pp_size", "page_size", "isl", "num_requests"}
	for word, want := range map[string]string{
		"tp_sizes": "tp_size", "Page-Size": "page_size", "num_request": "num_requests", "isl_": "isl", "ils": "isl",
		"something": "", "x": "", "": "",
	} {
		if got := diag.Nearest(word, known); got != want {
			t.Errorf("%q is taken for %q, want %q", word, got, want)
		}
	}
}

func TestPosText(t *testing.T) {
	p := diag.Pos{File: "a:b.cue", Line: 12, Col: 3}
	text, _ := p.MarshalText()
	var q diag.Pos
	if err := q.UnmarshalText(text); err != nil || q != p {
		t.Errorf("%s is read as %v (%v)", text, q, err)
	}
	if err := q.UnmarshalText([]byte("nothing")); err == nil {
		t.Error("no position is no error")
	}
}
