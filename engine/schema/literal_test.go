package schema

import (
	"testing"

	"kvbench/engine/diag"
)

// TestTextStart checks where the text begins in every form of string literal at line 5,
// column 10.
func TestTextStart(t *testing.T) {
	for _, test := range []struct {
		lit       string
		line, col int
	}{
		{`"a + b"`, 5, 11},
		{`""`, 5, 11},
		{`#"a + b"#`, 5, 12},
		{`##"a + b"##`, 5, 13},
		{"\"\"\"\n\t\ta +\n\t\t  b\n\t\t\"\"\"", 6, 3},
		{"#\"\"\"\n\ta +\n\tb\n\t\"\"\"#", 6, 2},
	} {
		got := textStart(test.lit, diag.Pos{File: "x.cue", Line: 5, Col: 10})
		if got.Line != test.line || got.Col != test.col {
			t.Errorf("the text of %s begins at %d:%d, want %d:%d", test.lit, got.Line, got.Col, test.line, test.col)
		}
	}
}
