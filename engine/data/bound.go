package data

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"kvbench/engine/diag"
)

// Limits on what a file may contain. Real models and configurations have a few dozen
// values, and Hugging Face configurations have up to about ten thousand. No real file is
// nested more than ten levels deep. The limits keep parsing and validation fast for any
// file.
const (
	maxDepth   = 100     // levels of nested mappings and lists
	maxPath    = 1000    // total size in bytes of the names on a value's path
	maxTokens  = 300_000 // tokens in a CUE file
	maxFaults  = 100     // invalid characters in a CUE file
	maxChain   = 1000    // consecutive operators, dots and colons in a CUE file
	maxString  = 10_000  // size in bytes of a string or a number in a CUE file
	MaxPattern = 1000    // size in bytes of a regular expression
	maxSearch  = 100_000 // size in bytes of a file that is parsed again to find the line of an error
)

// limits contains the maximum number of values in a file, in a list, and in a mapping.
type limits struct{ values, list, mapping int }

// CUE takes quadratic time for long lists and large mappings. Mappings in data files may be
// larger, because only their known keys are passed to CUE.
var (
	cueLimits  = limits{100_000, 10_000, 10_000}
	dataLimits = limits{100_000, 10_000, 100_000}
	treeLimits = limits{400_000, 400_000, 200_000}
)

// Catch must be deferred by functions that read a file, because CUE's parsers
// and evaluator panic on some files.
func Catch(file string, err *error) {
	if p := recover(); p != nil {
		*err = unexpected(file, p)
	}
}

func unexpected(file string, p any) *diag.Diag {
	return diag.Errorf(diag.Pos{File: file}, "internal error: %v", p).
		WithHint("this is a bug in kvbench or in a library: please report it and include the file")
}

// breaks are characters that the YAML parser, but no editor, treats as line
// breaks.
var breaks = map[rune]string{'\u0085': "next line", '\u2028': "line separator", '\u2029': "paragraph separator"}

// checkBreaks rejects line breaks that editors do not show as line breaks, because what
// the parser reads would differ from what a person sees.
func checkBreaks(name string, data []byte) error {
	for i := 0; i < len(data); i++ {
		if c := data[i]; c != 0xc2 && c != 0xe2 {
			continue
		}
		r, _ := utf8.DecodeRune(data[i:])
		if what, ok := breaks[r]; ok {
			pos := placeAt(name, data, i)
			return diag.Errorf(pos, "unexpected character U+%04X (%s): YAML treats it as a line break", r, what).
				WithHint(`use a plain line break, or write "\u%04x" in double quotes`, r)
		}
	}
	return nil
}

// placeAt returns the position of the byte at offset i.
func placeAt(name string, data []byte, i int) diag.Pos {
	before := data[:i]
	return diag.Pos{File: name, Line: 1 + bytes.Count(before, []byte("\n")), Col: 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])}
}

// checkJSONText rejects JSON that would take too much memory to parse.
func checkJSONText(name string, data []byte) error {
	n := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case ',', '[', '{':
			if n++; n > 2*treeLimits.values {
				return tooMany(name, treeLimits.values)
			}
		}
	}
	return nil
}

func tooMany(name string, limit int) error {
	return diag.Errorf(diag.Pos{File: name}, "contains more than %d values, but a model or configuration has far fewer", limit)
}

func tooDeep(pos diag.Pos, limit int) error {
	return diag.Errorf(pos, "is nested more than %d levels deep, but a model or configuration needs only a few", limit)
}

func tooWide(pos diag.Pos, what string, n, limit int) error {
	return diag.Errorf(pos, "this %s contains %d values, but at most %d are allowed", what, n, limit)
}

// checkTree rejects syntax trees that would take too much time or memory to
// check.
func checkTree(name string, root ast.Expr, most limits) error {
	n := 0
	var check func(e ast.Expr, depth, path int) error
	check = func(e ast.Expr, depth, path int) error {
		place := func(node ast.Node) diag.Pos {
			pos := PosOf(node.Pos())
			pos.File = name
			return pos
		}
		if n++; n > most.values {
			return tooMany(name, most.values)
		}
		switch x := e.(type) {
		case *ast.StructLit:
			switch {
			case depth == maxDepth:
				return tooDeep(place(e), maxDepth)
			case len(x.Elts) > most.mapping:
				return tooWide(place(e), "mapping", len(x.Elts), most.mapping)
			}
			for _, elt := range x.Elts {
				if e, ok := elt.(*ast.EmbedDecl); ok {
					if err := check(e.Expr, depth+1, path); err != nil {
						return err
					}
				}
				f, ok := elt.(*ast.Field)
				if !ok {
					continue
				}
				label, _, _ := ast.LabelName(f.Label)
				if path+len(label) > maxPath {
					return diag.Errorf(place(f.Label), "the path of this key is longer than %d bytes", maxPath)
				}
				if err := check(f.Value, depth+1, path+len(label)+1); err != nil {
					return err
				}
			}
		case *ast.BinaryExpr:
			if err := check(x.X, depth, path); err != nil {
				return err
			}
			return check(x.Y, depth, path)
		case *ast.ListLit:
			switch {
			case depth == maxDepth:
				return tooDeep(place(e), maxDepth)
			case len(x.Elts) > most.list:
				return tooWide(place(e), "list", len(x.Elts), most.list)
			}
			for _, elt := range x.Elts {
				if err := check(elt, depth+1, path); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return check(root, 0, 0)
}

// checkCUEText rejects CUE text that would overflow the stack of the parser or of
// functions that walk the syntax tree. Both recurse at each bracket, and at each colon,
// dot and operator between two commas.
func checkCUEText(name string, data []byte) error {
	file := token.NewFile(name, 0, len(data))
	var s scanner.Scanner
	var first error
	faults := 0
	s.Init(file, data, func(pos token.Pos, format string, args []any) {
		if faults++; first == nil {
			first = diag.Errorf(PosOf(pos), format, args...)
		}
	}, 0)
	chains := []int{0} // for each open bracket, the length of the current chain inside it
	depth := 0         // sum of the chains' lengths
	var texts []bool   // for each open bracket, whether it encloses an expression in a string
	inText := false
	for n := 0; ; n++ {
		pos, tok, lit := s.Scan()
		chain := &chains[len(chains)-1]
		switch tok {
		case token.EOF:
			return nil
		case token.COMMA:
			depth -= *chain
			*chain = 0
		case token.INTERPOLATION:
			inText = true
		case token.LPAREN, token.LBRACK, token.LBRACE:
			*chain++
			depth++
			chains = append(chains, 0)
			texts, inText = append(texts, inText), false
		case token.RPAREN, token.RBRACK, token.RBRACE:
			if len(chains) > 1 { // otherwise the parser reports the extra bracket
				depth -= *chain
				chains = chains[:len(chains)-1]
				if texts[len(chains)-1] {
					// The string continues after the bracket, and may contain another
					// expression.
					lit = s.ResumeInterpolation()
					inText = strings.HasSuffix(lit, "(")
				}
				texts = texts[:len(chains)-1]
			}
		case token.IDENT, token.STRING, token.INT, token.FLOAT:
		default:
			*chain++
			depth++
		}
		switch {
		case len(lit) > maxString && tok != token.COMMENT:
			return diag.Errorf(PosOf(pos), "this string is %d bytes long, but at most %d are allowed", len(lit), maxString)
		case faults > maxFaults:
			return first
		case n > maxTokens:
			return tooMany(name, maxTokens/3)
		case len(chains) > maxDepth+1:
			return tooDeep(PosOf(pos), maxDepth)
		case depth > maxChain:
			return diag.Errorf(PosOf(pos), "this field is too long: %d operators, dots or colons in a row are more than a model or configuration needs", maxChain)
		}
	}
}

// checkSize returns an error if the value is too large to check quickly.
func (v *Value) checkSize(file string, most limits, n *int) error {
	if *n++; *n > most.values {
		return tooMany(file, most.values)
	}
	switch {
	case len(v.Items) > most.list:
		return tooWide(v.Pos, "list", len(v.Items), most.list)
	case len(v.Fields) > most.mapping:
		return tooWide(v.Pos, "mapping", len(v.Fields), most.mapping)
	}
	for i := range v.Fields {
		if err := v.Fields[i].checkSize(file, most, n); err != nil {
			return err
		}
	}
	for i := range v.Items {
		if err := v.Items[i].checkSize(file, most, n); err != nil {
			return err
		}
	}
	return nil
}
