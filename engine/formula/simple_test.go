package formula

import (
	"reflect"
	"strings"
	"testing"

	"github.com/expr-lang/expr/parser"
)

// TestSimple checks that, for simple formulas, the simple function returns the same syntax
// as the parser, and that it leaves other formulas to the parser.
func TestSimple(t *testing.T) {
	for _, text := range []string{
		"0", "42", "123456789012345678", "'part'", `"it's"`, "''", "'ä'", "true", "false",
		"isl", "_x9", "len", "truest", "table[key]", "t[_k]", "t[t]",
	} {
		want, err := parser.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		p := &parsed{text: text, root: want.Node}
		p.measure(nil)
		if got := simple(text); !reflect.DeepEqual(got, p) {
			t.Errorf("%s is %#v, want %#v", text, got, p)
		}
	}
	for _, text := range []string{
		"1234567890123456789", "1.5", "1e3", "0x10", "12ab", "1_000", "-1", "'a' + 'b'", `'a\'b'`, `"\n"`, "'", "'a", "a'",
		"nil", "not", "let", "in", "if", "and", "matches", "else", "not[x]", "x[not]", "x[nil]", "true[x]", "x[true]",
		"x[1]", "x['y']", "x.y", "x[y][z]", "x[y", "x]y]", "[x]", "f(x)", " x", "x ", "x y", "é", "x[é]", "x#", "#",
		"", "'\xff'", strings.Repeat("x", 300),
	} {
		if got := simple(text); got != nil {
			t.Errorf("%s is %#v, want it to be left to the parser", text, got)
		}
	}
}
