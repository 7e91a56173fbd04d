package schema

import (
	"testing"

	"kvbench/engine/diag"
)

// TestCharAt: the place of a character in every form of a string literal that
// stands at line 5, column 10.
func TestCharAt(t *testing.T) {
	for _, test := range []struct {
		lit       string
		char      int
		line, col int
	}{
		{`"a + b"`, 0, 5, 11},
		{`"a + b"`, 4, 5, 15},
		{`"a + b"`, 5, 5, 16}, // behind the end
		{`#"a + b"#`, 4, 5, 16},
		{`##"a + b"##`, 4, 5, 17},
		{`"a\tb + c"`, 3, 5, 15},       // after an escape of two characters
		{`"\u00e9 + c"`, 1, 5, 17},     // after one of six
		{`"\U000000e9 + c"`, 1, 5, 21}, // after one of ten
		{`#"a\tb"#`, 2, 5, 14},         // no escape in a raw string
		{`#"a\#tb"#`, 2, 5, 16},
		{`"é + b"`, 4, 5, 15},
		{"\"\"\"\n\t\ta +\n\t\t  b\n\t\t\"\"\"", 0, 6, 3},
		{"\"\"\"\n\t\ta +\n\t\t  b\n\t\t\"\"\"", 6, 7, 5},
		{"\"\"\"\n\t\ta\n\n\t\tb\n\t\t\"\"\"", 3, 8, 3}, // an empty line between
		{"#\"\"\"\n\ta +\n\tb\n\t\"\"\"#", 4, 7, 2},
	} {
		got := charAt(test.lit, diag.Pos{File: "x.cue", Line: 5, Col: 10}, test.char)
		if got.Line != test.line || got.Col != test.col {
			t.Errorf("character %d of %s is at %d:%d, want %d:%d", test.char, test.lit, got.Line, got.Col, test.line, test.col)
		}
	}
}
