package schema

import (
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"kvbench/engine/data"
	"kvbench/engine/diag"
)

// FormulaOf returns the text of a formula and the position where it begins.
func FormulaOf(v cue.Value) Formula {
	text, _ := v.String()
	f := Formula{Text: text, Pos: data.PosOf(v.Pos())}
	if lit, ok := v.Source().(*ast.BasicLit); ok {
		f.Pos = textStart(lit.Value, data.PosOf(lit.Pos()))
	}
	return f
}

// textStart returns the position of the text in a string literal that begins at start. The
// text begins after the opening quote or, in a multiline literal, on the next line, after
// the indentation common to all lines.
func textStart(lit string, start diag.Pos) diag.Pos {
	if i := strings.LastIndexByte(lit, '\n'); i >= 0 {
		end := lit[i+1:]
		start.Line++
		start.Col = 1 + len(end) - len(strings.TrimLeft(end, " \t"))
		return start
	}
	start.Col += len(lit) - len(strings.TrimLeft(lit, "#")) + 1
	return start
}
