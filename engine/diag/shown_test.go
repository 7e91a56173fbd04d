package diag_test

import (
	"fmt"
	"strings"
	"testing"

	"kvbench/engine/diag"
)

// TestShown checks that twenty problems are shown for each file and the others are counted,
// even if the list is reduced repeatedly.
func TestShown(t *testing.T) {
	var list diag.List
	for i := range 30 {
		list = append(list, diag.Warnf(diag.Pos{File: "a", Line: 1 + i}, "bad"), diag.Errorf(diag.Pos{}, "flag %d", i))
	}
	list = append(list, diag.Errorf(diag.Pos{File: "b"}, "bad"))
	list.Add(diag.More("a", 5))
	list.Add(diag.More("b", 7))
	for range 2 {
		list = diag.Shown(list)
		if n := len(list); n != 20+1+30+1+1 {
			t.Fatalf("%d are shown: %v", n, list)
		}
	}
	got := map[string]diag.Severity{}
	for _, d := range list {
		got[d.Error()] = d.Severity
	}
	for _, want := range []string{"a:20: bad", "a: and 15 more", "b: and 7 more"} {
		if _, ok := got[want]; !ok {
			t.Errorf("%q is not shown: %v", want, list)
		}
	}
	if got["a: and 15 more"] != diag.Error { // one of the last five is not a warning
		t.Error("an error counts as a warning")
	}
	if err := diag.More("a", 0); err != nil {
		t.Error(fmt.Sprint("none more is ", err))
	}
}

// TestShort checks that the beginning and the end of a long string are shown, and that no
// character is cut in half.
func TestShort(t *testing.T) {
	if s := strings.Repeat("x", 4000); diag.Short(s) != s {
		t.Error("a string of 4000 bytes is cut")
	}
	if got := diag.Short("a" + strings.Repeat("\u00e9", 3000) + "z"); got != "a"+strings.Repeat("\u00e9", 1499)+" … "+strings.Repeat("\u00e9", 499)+"z" {
		t.Errorf("it is %d bytes", len(got))
	}
	var b strings.Builder
	(&diag.Printer{W: &b}).Print(diag.Errorf(diag.Pos{File: "f"}, "%s", strings.Repeat("x", 1<<20)).WithHint("%s", strings.Repeat("y", 1<<20)))
	if b.Len() > 9000 {
		t.Errorf("%d bytes are printed", b.Len())
	}
}
