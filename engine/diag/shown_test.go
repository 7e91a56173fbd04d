package diag_test

import (
	"fmt"
	"testing"

	"kvbench/engine/diag"
)

// TestShown: of each file twenty problems are shown, and the others counted, no
// matter how often that is done.
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
	if got["a: and 15 more"] != diag.Error { // one of the last five is no warning
		t.Error("an error counts as a warning")
	}
	if err := diag.More("a", 0); err != nil {
		t.Error(fmt.Sprint("none more is ", err))
	}
}
