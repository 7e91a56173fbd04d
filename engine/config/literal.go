package config

import (
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// formulaOf returns the text of a formula and where its characters stand.
func formulaOf(v cue.Value) schema.Formula {
	text, _ := v.String()
	f := schema.Formula{Text: text, Pos: fromPos(v.Pos())}
	if lit, ok := v.Source().(*ast.BasicLit); ok {
		start := fromPos(lit.Pos())
		f.Pos = charAt(lit.Value, start, 0)
		if strings.ContainsAny(lit.Value, "\n\\") {
			f.At = func(char int) diag.Pos { return charAt(lit.Value, start, char) }
		}
	}
	return f
}

// charAt returns the place of a character of the text that a string literal
// stands for, counted from 0. start is the place of the literal, which may be
// of any of CUE's forms: "…", #"…"#, and those with three quotes over several
// lines. Behind the last character is the place after it.
func charAt(lit string, start diag.Pos, char int) diag.Pos {
	hashes := len(lit) - len(strings.TrimLeft(lit, "#"))
	escape := "\\" + strings.Repeat("#", hashes)
	rest := lit[hashes:]
	pos := start
	pos.Col += hashes
	quotes := 1
	indent := 0
	if strings.HasPrefix(rest, `"""`) {
		quotes = 3
		// The text begins on the next line; all lines are indented as the end.
		end := lit[strings.LastIndexByte(lit, '\n')+1:]
		indent = len(end) - len(strings.TrimLeft(end, " \t"))
	}
	rest = rest[:max(0, len(rest)-hashes-quotes)]
	rest = rest[min(quotes, len(rest)):]
	pos.Col += quotes
	line := func() {
		pos.Line++
		cut := min(indent, len(rest)-len(strings.TrimLeft(rest, " \t")))
		rest = rest[cut:]
		pos.Col = 1 + cut
	}
	if quotes == 3 {
		if i := strings.IndexByte(rest, '\n'); i >= 0 {
			rest = rest[i+1:]
			line()
		}
	}
	for ; char > 0 && rest != ""; char-- {
		if rest[0] == '\n' {
			rest = rest[1:]
			line()
			continue
		}
		n := len(escape)
		if strings.HasPrefix(rest, escape) && len(rest) > n {
			// An escape is as long as its letter says.
			n += map[byte]int{'u': 5, 'U': 9}[rest[n]]
			if n == len(escape) {
				n++
			}
		} else {
			_, n = utf8.DecodeRuneInString(rest)
		}
		n = min(n, len(rest))
		pos.Col += utf8.RuneCountInString(rest[:n])
		rest = rest[n:]
	}
	return pos
}
