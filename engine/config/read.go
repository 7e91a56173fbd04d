package config

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/encoding/json"
	"cuelang.org/go/encoding/yaml"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/hub"
	"kvbench/engine/input"
)

// maxFile bounds what is read of one file. Real ones are a few kilobytes.
const maxFile = 1 << 20

// limit bounds a file: Hugging Face configurations may be larger, as some list
// every layer's modules.
func limit(name string) int {
	if isJSON(name) {
		return hub.MaxFile
	}
	return maxFile
}

// read gives the text of a file.
func (l *Loader) read(name string) ([]byte, error) {
	at := diag.Pos{File: name}
	limit := limit(name)
	data, large, err := input.ReadAll(name, limit, l.Watch)
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors put it there
	switch {
	case err != nil:
		return nil, err
	case large:
		return nil, diag.Errorf(at, "is larger than %d MiB: this is no model or configuration", limit>>20)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, diag.Errorf(at, "is empty")
	}
	if i := notText(data); i >= 0 {
		line := 1 + bytes.Count(data[:i], []byte("\n"))
		return nil, diag.Errorf(diag.Pos{File: name, Line: line}, "is not a text file: it holds the byte 0x%02x", data[i])
	}
	return plainBreaks(data), nil
}

// plainBreaks ends lines that end with a carriage return alone, as old files of
// the Macintosh have it, with the line feed that parsers count.
func plainBreaks(data []byte) []byte {
	for i, c := range data {
		if c == '\r' && (i+1 == len(data) || data[i+1] != '\n') {
			data[i] = '\n'
		}
	}
	return data
}

// notText finds the first byte that is no part of UTF-8 text, or -1.
func notText(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == 0 || r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// leaf is one value of a layer: everything that is not a struct, and empty
// structs.
type leaf struct {
	path   string // dotted
	expr   ast.Expr
	origin Origin
	key    diag.Pos // of the field's name, where there is one
}

// document is a file of data as its leaves, in the order of the file.
type document struct {
	file   string
	leaves []leaf
	meant  []string // what unknown keys were most likely meant to be
	// sections has the places of the keys that others are nested in.
	sections map[string]diag.Pos
}

func isCUE(name string) bool { return strings.EqualFold(filepath.Ext(name), ".cue") }

// readData reads a YAML or JSON file.
func (l *Loader) readData(name string) (*document, error) {
	data, err := l.read(name)
	if err != nil {
		return nil, err
	}
	return parseData(name, data)
}

func parseData(name string, data []byte) (*document, error) {
	root, err := parseStruct(name, data)
	if err != nil {
		return nil, err
	}
	return flat(name, root)
}

// flat gives the leaves of a mapping.
func flat(name string, root *ast.StructLit) (*document, error) {
	if err := checkTree(name, root, dataLimits); err != nil {
		return nil, err
	}
	doc := &document{file: name}
	return doc, doc.flatten("", root)
}

// parseStruct reads the text of a YAML or JSON file, which must hold a mapping.
func parseStruct(name string, data []byte) (*ast.StructLit, error) {
	parse := parseYAML
	if isJSON(name) {
		parse = parseJSON
	}
	expr, err := parse(name, data)
	if err == nil {
		err = checkTree(name, expr, checkpointLimits)
	}
	if err != nil {
		return nil, err
	}
	s, ok := expr.(*ast.StructLit)
	if !ok {
		return nil, diag.Errorf(diag.Pos{File: name}, "holds %s where name: value pairs are wanted", describeExpr(expr)).
			WithHint("several documents in one file count as a list")
	}
	if isJSON(name) {
		return s, twice(name, s)
	}
	return s, nil
}

func parseJSON(name string, data []byte) (ast.Expr, error) {
	if err := checkJSONText(name, data); err != nil {
		return nil, err
	}
	// CUE's parser takes long over what is far from JSON.
	if stdjson.Valid(data) {
		if expr, err := json.Extract(name, data); err == nil {
			return expr, nil
		}
	} else if expr := lenient(name, data); expr != nil {
		return expr, nil
	}
	return nil, jsonError(name, data)
}

func parseYAML(name string, data []byte) (ast.Expr, error) {
	if err := checkBreaks(name, data); err != nil {
		return nil, err
	}
	f, err := extractYAML(name, data)
	if err != nil {
		list := diag.All(err)
		for _, d := range list {
			if line := faultyLine(name, data, d.Msg); line > 0 {
				d.Pos.Line = line
			}
		}
		return nil, diag.List(list)
	}
	return fileExpr(f), nil
}

func extractYAML(name string, data []byte) (f *ast.File, err error) {
	defer catch(name, &err)
	if f, err = yaml.Extract(name, data); err != nil {
		err = syntaxError(err, name)
	}
	return f, err
}

// twice reports names that a mapping has more than once, which JSON's grammar
// allows.
func twice(file string, root *ast.StructLit) error {
	var errs diag.List
	more := 0
	ast.Walk(root, func(n ast.Node) bool {
		s, ok := n.(*ast.StructLit)
		if !ok {
			return true
		}
		seen := map[string]diag.Pos{}
		for _, elt := range s.Elts {
			field, ok := elt.(*ast.Field)
			if !ok {
				continue
			}
			name, _, err := ast.LabelName(field.Label)
			if err != nil {
				continue
			}
			pos := fromPos(field.Label.Pos())
			pos.File = file
			first, ok := seen[name]
			switch {
			case !ok:
				seen[name] = pos
			case len(errs) < diag.MaxShown:
				errs = append(errs, givenTwice(pos, name, first))
			default:
				more++
			}
		}
		return true
	}, nil)
	errs.Add(diag.More(file, more))
	return errs.Err()
}

func givenTwice(pos diag.Pos, name string, first diag.Pos) *diag.Diag {
	return diag.Errorf(pos, "%s is given twice, first on line %d", name, first.Line)
}

func isJSON(name string) bool { return strings.EqualFold(filepath.Ext(name), ".json") }

// jsonError says what is wrong with a JSON text, and where.
func jsonError(name string, data []byte) error {
	var v any
	err := stdjson.Unmarshal(data, &v)
	at := diag.Pos{File: name}
	if e, ok := errors.AsType[*stdjson.SyntaxError](err); ok {
		before := data[:min(max(0, int(e.Offset)-1), len(data))]
		at.Line = 1 + bytes.Count(before, []byte("\n"))
		at.Col = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	}
	if err == nil {
		return diag.Errorf(at, "is no JSON")
	}
	d := diag.Errorf(at, "is no JSON: %v", err)
	for text, hint := range jsonHints {
		if strings.Contains(err.Error(), text) {
			d.WithHint("%s", hint)
		}
	}
	return d
}

// jsonHints say what mostly is behind what encoding/json says.
var jsonHints = map[string]string{
	"beginning of object key string": "names stand in double quotes, no comma before a }, and JSON has no comments",
	"looking for beginning of value": "put texts in double quotes, and leave out what JSON does not have: comments, commas at the end",
	"unexpected end of JSON input":   "a } or ] is missing at the end",
}

// faultyLine gives the first line of a YAML text that brings the parser's
// message about, or 0. The parser itself mostly says where the mapping around
// it begins.
func faultyLine(name string, data []byte, msg string) int {
	if len(data) > maxSearch {
		return 0
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	i := sort.Search(len(lines), func(i int) bool {
		_, err := extractYAML(name, bytes.Join(lines[:i+1], nil))
		return err != nil && diag.All(err)[0].Msg == msg
	})
	if i == len(lines) {
		return 0
	}
	return i + 1
}

// syntaxHints say what mostly is behind the messages of the parsers.
var syntaxHints = map[string]string{
	"did not find expected key":                       "check the indentation of this line and of those before it",
	"found character that cannot start any token":     "indent with spaces, not tabs, and put texts with special characters in quotes",
	"mapping values are not allowed in this context":  "check the indentation, and put texts with a colon in quotes",
	"found a tab character that violates indentation": "indent with spaces, not tabs",
	"did not find expected ',' or ']'":                "a ] is missing",
	"did not find expected ',' or '}'":                "a } is missing",
	"found unexpected end of stream":                  "end the text with the quote that it begins with",
	"string literal not terminated":                   "end the text with the quote that it begins with",
	"expected 'EOF', found '}'":                       "a { is missing before, or this } is one too many",
}

// syntaxError words the error of a data file's parser.
func syntaxError(err error, name string) error {
	err = fromCUE(err, diag.Pos{File: name})
	for _, d := range diag.All(err) {
		// The YAML decoder puts the position into its text as well.
		d.Msg = strings.TrimPrefix(strings.TrimPrefix(d.Msg, "yaml: "), name+": ")
		var line int
		var rest string
		if n, _ := fmt.Sscanf(d.Msg, name+":%d:", &line); n == 1 {
			rest = d.Msg[strings.Index(d.Msg, fmt.Sprintf(":%d:", line))+len(fmt.Sprintf(":%d:", line)):]
		} else if n, _ := fmt.Sscanf(d.Msg, "line %d:", &line); n == 1 {
			_, rest, _ = strings.Cut(d.Msg, ":")
		}
		if rest != "" {
			d.Msg = strings.TrimSpace(rest)
			if d.Pos.Line == 0 {
				d.Pos.Line = line
			}
		}
		if hint := syntaxHints[d.Msg]; hint != "" {
			d.WithHint("%s", hint)
		} else if strings.HasPrefix(d.Msg, "expected label or ':'") {
			d.WithHint("a : is missing before it")
		}
	}
	return err
}

// fileExpr gives the one value that a data file holds.
func fileExpr(f *ast.File) ast.Expr {
	if len(f.Decls) == 1 {
		if e, ok := f.Decls[0].(*ast.EmbedDecl); ok {
			return e.Expr
		}
	}
	return &ast.StructLit{Elts: f.Decls}
}

// flatten appends the leaves of a struct.
func (d *document) flatten(prefix string, s *ast.StructLit) error {
	var errs diag.List
	seen := map[string]diag.Pos{}
	for _, elt := range s.Elts {
		field, ok := elt.(*ast.Field)
		if !ok {
			continue // comments
		}
		name, _, err := ast.LabelName(field.Label)
		pos := fromPos(field.Label.Pos())
		if err != nil {
			errs = append(errs, diag.Errorf(pos, "a field's name is wanted here"))
			continue
		}
		if strings.Contains(name, ".") {
			pos.File = d.file
			errs = append(errs, diag.Errorf(pos, "%q is no key: nest one key in the other", name))
			continue
		}
		if first, ok := seen[name]; ok {
			pos.File = d.file
			errs = append(errs, givenTwice(pos, name, first))
			continue
		}
		seen[name] = pos
		path := name
		if prefix != "" {
			path = prefix + "." + name
		}
		if sub, ok := field.Value.(*ast.StructLit); ok && len(sub.Elts) > 0 {
			pos.File = d.file
			d.section(path, pos)
			errs.Add(d.flatten(path, sub))
			continue
		}
		key := pos
		if p := fromPos(field.Value.Pos()); p.Line > 0 {
			pos = p
		}
		pos.File, key.File = d.file, d.file
		d.leaves = append(d.leaves, leaf{path, field.Value, Origin{Kind: FromFile, Pos: pos}, key})
	}
	return errs.Err()
}

func (d *document) section(path string, pos diag.Pos) {
	if d.sections == nil {
		d.sections = map[string]diag.Pos{}
	}
	d.sections[path] = pos
}

// readCUE parses a CUE file and checks that it is mere data that can be
// evaluated.
func (l *Loader) readCUE(name string) (*ast.File, error) {
	data, err := l.read(name)
	if err != nil {
		return nil, err
	}
	return parseCUE(name, data)
}

func parseCUE(name string, data []byte) (*ast.File, error) {
	if err := checkCUEText(name, data); err != nil {
		return nil, err
	}
	f, err := parser.ParseFile(name, data, parser.ParseComments)
	if err != nil {
		return nil, syntaxError(err, name)
	}
	if err := checkTree(name, &ast.StructLit{Elts: f.Decls}, cueLimits); err != nil {
		return nil, err
	}
	return f, checkSafe(f)
}

// exhaust evaluates what a value holds; with options also optional fields and
// the like. Definitions may hold themselves.
func exhaust(v cue.Value, depth int, options ...cue.Option) {
	if depth == 0 {
		return
	}
	exhaustItem := func(item cue.Value) {
		if len(options) > 0 && item.Exists() {
			exhaust(item, depth-1, options...)
		}
	}
	switch v.IncompleteKind() {
	case cue.StructKind:
		for iter, err := v.Fields(options...); err == nil && iter.Next(); {
			exhaust(iter.Value(), depth-1, options...)
		}
		exhaustItem(v.LookupPath(cue.MakePath(cue.AnyString)))
	case cue.ListKind:
		for iter, err := v.List(); err == nil && iter.Next(); {
			exhaust(iter.Value(), depth-1, options...)
		}
		exhaustItem(v.LookupPath(cue.MakePath(cue.AnyIndex)))
	}
}

// documentOf gives the leaves of an evaluated struct.
func documentOf(name string, v cue.Value) (*document, error) {
	doc := &document{file: name}
	return doc, doc.flattenFields("", v, nil)
}

// flattenFields appends the leaves of a struct, unless says leaves out their
// field.
func (d *document) flattenFields(prefix string, v cue.Value, says func(name string) bool) error {
	if says == nil {
		if err := v.Validate(cue.Concrete(true)); err != nil {
			return fromCUE(err, diag.Pos{File: d.file})
		}
	}
	iter, err := v.Fields()
	if err != nil {
		return fromCUE(err, diag.Pos{File: d.file})
	}
	for iter.Next() {
		path, value := iter.Selector().Unquoted(), iter.Value()
		if says != nil && !says(path) {
			continue
		}
		if says != nil {
			if err := value.Validate(cue.Concrete(true)); err != nil {
				return fromCUE(err, diag.Pos{File: d.file})
			}
		}
		if prefix != "" {
			path = prefix + "." + path
		}
		if value.IncompleteKind() == cue.StructKind {
			d.section(path, d.placeIn(keyPos(value)))
			if err := d.flattenFields(path, value, nil); err != nil {
				return err
			}
			continue
		}
		expr, _ := value.Syntax(cue.Final(), cue.Concrete(true)).(ast.Expr)
		if lit, ok := sourceExpr(value).(*ast.BasicLit); ok && lit.Kind == token.INT {
			expr = lit // with its suffix, if it has one
		}
		d.leaves = append(d.leaves, leaf{path, expr, Origin{Kind: FromFile, Pos: d.placeIn(valuePos(value))}, d.placeIn(keyPos(value))})
	}
	return nil
}

// placeIn gives a place of a value, which another file of the package may have.
func (d *document) placeIn(pos diag.Pos) diag.Pos {
	if pos.File == "" || isSchemaFile(pos.File) {
		pos.File = d.file
	}
	return pos
}

// merge layers documents: the last that has a path wins it. Struct and leaf of
// one name do not mix; the schema refuses whichever is wrong.
func merge(docs ...*document) *document {
	out := &document{}
	at := map[string]int{}
	for _, d := range docs {
		if d.file != "" {
			out.file, out.sections = d.file, d.sections
		}
		for _, l := range d.leaves {
			if i, ok := at[l.path]; ok {
				out.leaves[i] = l
				continue
			}
			at[l.path] = len(out.leaves)
			out.leaves = append(out.leaves, l)
		}
	}
	return out
}

func (d *document) leaf(path string) *leaf {
	if i := slices.IndexFunc(d.leaves, func(l leaf) bool { return l.path == path }); i >= 0 {
		return &d.leaves[i]
	}
	return nil
}

// expr builds the struct that the leaves are of.
func (d *document) expr() *ast.StructLit {
	root := &ast.StructLit{}
	structs := map[string]*ast.StructLit{"": root}
	var sub func(path string) *ast.StructLit
	sub = func(path string) *ast.StructLit {
		if s := structs[path]; s != nil {
			return s
		}
		parent, name := "", path
		if i := strings.LastIndexByte(path, '.'); i >= 0 {
			parent, name = path[:i], path[i+1:]
		}
		s := &ast.StructLit{}
		p := sub(parent)
		p.Elts = append(p.Elts, &ast.Field{Label: ast.NewString(name), Value: s})
		structs[path] = s
		return s
	}
	for _, l := range d.leaves {
		parent, name := "", l.path
		if i := strings.LastIndexByte(l.path, '.'); i >= 0 {
			parent, name = l.path[:i], l.path[i+1:]
		}
		s := sub(parent)
		s.Elts = append(s.Elts, &ast.Field{Label: ast.NewString(name), Value: l.expr})
	}
	return root
}

// value gives a literal as a value for formulas. Lists hold numbers only or
// strings only; ok is false for everything formulas cannot read.
func value(expr ast.Expr) (v formula.Value, ok bool) {
	switch x := expr.(type) {
	case *ast.BasicLit:
		switch x.Kind {
		case token.INT, token.FLOAT:
			n, ok := number(x.Value, false)
			return formula.Value{Kind: formula.Num, Num: n}, ok
		case token.STRING:
			s, err := literal.Unquote(x.Value)
			return formula.Value{Kind: formula.Str, Str: s}, err == nil
		case token.TRUE, token.FALSE:
			return formula.Value{Kind: formula.Bool, Bool: x.Kind == token.TRUE}, true
		}
	case *ast.UnaryExpr:
		if lit, isLit := x.X.(*ast.BasicLit); isLit && x.Op == token.SUB {
			n, ok := number(lit.Value, true)
			return formula.Value{Kind: formula.Num, Num: n}, ok
		}
	case *ast.ListLit:
		v.Kind = formula.NumList
		for i, e := range x.Elts {
			item, ok := value(e)
			switch {
			case ok && item.Kind == formula.Num && (i == 0 || v.Kind == formula.NumList):
				v.Nums = append(v.Nums, item.Num)
			case ok && item.Kind == formula.Str && (i == 0 || v.Kind == formula.StrList):
				v.Kind = formula.StrList
				v.Strs = append(v.Strs, item.Str)
			default:
				return formula.Value{}, false
			}
		}
		return v, true
	}
	return formula.Value{}, false
}

// number reads a literal exactly; ok is false when it does not fit a fraction
// of 64-bit integers.
func number(text string, negative bool) (formula.Rat, bool) {
	var info literal.NumInfo
	if err := literal.ParseNum(text, &info); err != nil {
		return formula.Rat{}, false
	}
	// A huge exponent would make a huge number: nothing near it fits.
	if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 4 {
		return formula.Rat{}, false
	}
	r, ok := new(big.Rat).SetString(info.String())
	if !ok || !r.Num().IsInt64() || !r.Denom().IsInt64() {
		return formula.Rat{}, false
	}
	n := r.Num().Int64()
	if negative {
		n = -n
	}
	v, err := formula.Frac(n, r.Denom().Int64())
	return v, err == nil
}

// unfit says why a literal is no number to count with; "" of what is no number.
func unfit(expr ast.Expr) string {
	if u, ok := expr.(*ast.UnaryExpr); ok {
		expr = u.X
	}
	lit, ok := expr.(*ast.BasicLit)
	if !ok || lit.Kind != token.INT && lit.Kind != token.FLOAT {
		return ""
	}
	if f, _ := strconv.ParseFloat(strings.TrimPrefix(lit.Value, largePrefix), 64); f >= 1<<63 {
		return "is too large"
	}
	return "has too many digits"
}

// largePrefix stands before whole numbers that the YAML decoder finds large.
const largePrefix = "number & "

func isLarge(lit *ast.BasicLit) bool { return strings.HasPrefix(lit.Value, largePrefix) }

// show gives a value as its file has it, cut to a readable length.
func show(expr ast.Expr) string {
	s := describeExpr(expr)
	switch x := expr.(type) {
	case *ast.BasicLit:
		s = strings.TrimPrefix(x.Value, largePrefix)
		if x.Kind == token.STRING {
			if t, err := literal.Unquote(x.Value); err == nil {
				s = fmt.Sprintf("%q", t)
			}
		}
	case *ast.UnaryExpr:
		s = x.Op.String() + show(x.X)
	}
	return shorten(s)
}

// shorten cuts a text to a readable length.
func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return s
}

func describeExpr(expr ast.Expr) string {
	switch x := expr.(type) {
	case *ast.ListLit:
		return "a list"
	case *ast.StructLit:
		return "a mapping"
	case *ast.BasicLit:
		if x.Kind == token.NULL {
			return "no value"
		}
		return "a single value"
	}
	return "something else"
}
