package data

import (
	"reflect"
	"testing"

	"cuelang.org/go/cue/parser"

	"kvbench/engine/diag"
)

// TestPlainNumber checks that plainNumber agrees with CUE's parser on numbers that
// consist only of digits, and rejects all other strings.
func TestPlainNumber(t *testing.T) {
	for _, text := range []string{"0", "7", "8192", "123456789012345678"} {
		expr, err := parser.ParseExpr("", text)
		if err != nil {
			t.Fatal(err)
		}
		want := Of("", expr)
		want.Pos = diag.Pos{}
		if got, ok := Number(text); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, want %+v", text, got, want)
		}
	}
	for _, text := range []string{"", "00", "08", "1e3", "-1", "1_0", "1.0", "0x1", "1234567890123456789", "١"} {
		if n, ok := plainNumber(text); ok {
			t.Errorf("%q is the plain number %v", text, n)
		}
	}
}
