package data

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/encoding/json"
	"cuelang.org/go/encoding/yaml"

	"kvbench/engine/diag"
	"kvbench/engine/hub"
	"kvbench/engine/input"
)

// MaxFile is the maximum size of a file. Real files are only a few kilobytes.
const MaxFile = 1 << 20

// limit returns the maximum size of the named file. Hugging Face configurations
// may be larger, because some of them list the modules of every layer.
func limit(name string) int {
	if IsJSON(name) {
		return hub.MaxFile
	}
	return MaxFile
}

// Read returns the text of a file.
func Read(name string, watch input.Watch) ([]byte, error) {
	at := diag.Pos{File: name}
	limit := limit(name)
	data, large, err := input.ReadAll(name, limit, watch)
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // the byte order mark that some editors add
	switch {
	case err != nil:
		return nil, err
	case large:
		return nil, diag.Errorf(at, "is larger than %d MiB, which is too large for a model or configuration", limit>>20)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, diag.Errorf(at, "is empty")
	}
	if i := notText(data); i >= 0 {
		line := 1 + bytes.Count(data[:i], []byte("\n"))
		return nil, diag.Errorf(diag.Pos{File: name, Line: line}, "is not a text file: it contains the byte 0x%02x", data[i])
	}
	return plainBreaks(data), nil
}

// plainBreaks replaces carriage returns that end lines, as on classic Mac OS, with line
// feeds, because parsers count only line feeds.
func plainBreaks(data []byte) []byte {
	for i, c := range data {
		if c == '\r' && (i+1 == len(data) || data[i+1] != '\n') {
			data[i] = '\n'
		}
	}
	return data
}

// notText returns the index of the first byte that is not valid UTF-8 text, or
// -1.
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

func IsCUE(name string) bool { return strings.EqualFold(filepath.Ext(name), ".cue") }

// Parse parses a YAML or JSON file, which must contain a mapping. Python may write NaN or
// Infinity to JSON files. Parse reads these as null if loose accepts the result.
// Otherwise, or if loose is nil, NaN and Infinity are errors.
func Parse(name string, text []byte, loose func(root *Value) bool) (*Value, error) {
	var expr ast.Expr
	var err error
	if IsJSON(name) {
		expr, err = parseJSON(name, text, loose)
	} else {
		expr, err = parseYAML(name, text)
	}
	if err == nil {
		err = checkTree(name, expr, treeLimits)
	}
	if err != nil {
		return nil, err
	}
	root := Of(name, expr)
	if root.Kind != Mapping {
		what := root.Describe()
		if root.Kind == Other { // an empty YAML document
			what = "only comments"
		}
		d := diag.Errorf(diag.Pos{File: name}, "contains %s where name: value pairs are expected", what)
		if root.Kind == List && !IsJSON(name) {
			d.WithHint("several documents in one file count as a list")
		}
		return nil, d
	}
	if IsJSON(name) {
		return &root, checkDuplicates(name, &root)
	}
	keepWritten(strings.Split(string(text), "\n"), &root)
	return &root, nil
}

// keepWritten converts whole numbers with a leading zero or a plus sign to strings, so that
// numeric fields reject them, as flags do. YAML reads 010 as the octal number 8, which is
// rarely what the user means.
func keepWritten(lines []string, v *Value) {
	if digits, ok := strings.CutPrefix(v.Text, "0o"); ok && v.Kind == Whole && strings.HasPrefix(written(lines, v.Pos), "0"+digits) {
		*v = Value{Kind: Text, Text: "0" + digits, Pos: v.Pos}
	}
	if v.Kind == Whole && strings.HasPrefix(v.Text, "+") {
		*v = Value{Kind: Text, Text: v.Text, Pos: v.Pos}
	}
	for i := range v.Fields {
		keepWritten(lines, &v.Fields[i].Value)
	}
	for i := range v.Items {
		keepWritten(lines, &v.Items[i])
	}
}

// written returns the rest of the line, beginning at the position of a YAML value. It removes
// the value's anchor and tag.
func written(lines []string, pos diag.Pos) string {
	if pos.Line < 1 || pos.Line > len(lines) {
		return ""
	}
	rest := []rune(lines[pos.Line-1])
	text := string(rest[min(max(0, pos.Col-1), len(rest)):])
	for strings.HasPrefix(text, "&") || strings.HasPrefix(text, "!") {
		_, text, _ = strings.Cut(text, " ")
		text = strings.TrimLeft(text, " ")
	}
	return text
}

func parseJSON(name string, text []byte, loose func(root *Value) bool) (ast.Expr, error) {
	if err := checkJSONText(name, text); err != nil {
		return nil, err
	}
	// Check the text first, because CUE's parser is slow on text that is not JSON.
	if stdjson.Valid(text) {
		if expr, err := json.Extract(name, text); err == nil {
			return expr, nil
		}
	} else if fixed := nanNull(text); loose != nil && stdjson.Valid(fixed) {
		if expr, err := json.Extract(name, fixed); err == nil {
			if root := Of(name, expr); loose(&root) {
				return expr, nil
			}
		}
	}
	return nil, jsonError(name, text)
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
	defer Catch(name, &err)
	if f, err = yaml.Extract(name, data); err != nil {
		err = syntaxError(err, name)
	}
	return f, err
}

// checkDuplicates returns an error if a name occurs more than once in a mapping. JSON's
// grammar allows this.
func checkDuplicates(file string, root *Value) error {
	var errs diag.List
	more := 0
	var look func(v *Value)
	look = func(v *Value) {
		seen := map[string]diag.Pos{}
		for i := range v.Fields {
			f := &v.Fields[i]
			first, ok := seen[f.Name]
			switch {
			case !ok:
				seen[f.Name] = f.Key
			case len(errs) < diag.MaxShown:
				errs = append(errs, givenTwice(f.Key, f.Name, first))
			default:
				more++
			}
		}
		for i := range v.Fields {
			look(&v.Fields[i].Value)
		}
		for i := range v.Items {
			look(&v.Items[i])
		}
	}
	look(root)
	errs.Add(diag.More(file, more))
	return errs.Err()
}

func givenTwice(pos diag.Pos, name string, first diag.Pos) *diag.Diag {
	return diag.Errorf(pos, "%s is given twice, first on line %d", name, first.Line)
}

func IsJSON(name string) bool { return strings.EqualFold(filepath.Ext(name), ".json") }

// jsonError returns an error that describes and locates the first problem in JSON text.
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
		return diag.Errorf(at, "is not JSON").About(diag.Syntax, "")
	}
	d := diag.Errorf(at, "is not JSON: %v", err).About(diag.Syntax, "")
	for text, hint := range jsonHints {
		if strings.Contains(err.Error(), text) {
			d.WithHint("%s", hint)
		}
	}
	return d
}

// jsonHints maps encoding/json's error messages to hints about their most likely causes.
var jsonHints = map[string]string{
	"beginning of object key string": "names must be in double quotes, no comma may precede a }, and JSON has no comments",
	"looking for beginning of value": "put strings in double quotes, and remove comments and trailing commas, which JSON does not allow",
	"unexpected end of JSON input":   "a } or ] is missing at the end",
}

// faultyLine returns the number of the first line of YAML text that triggers the parser's
// message, or 0 if there is none. It is needed because the parser usually reports the
// line where the enclosing mapping begins.
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

// syntaxHints maps error messages from the YAML and CUE parsers to hints about their most
// likely causes.
var syntaxHints = map[string]string{
	"did not find expected key":                       "check the indentation of this line and the lines before it",
	"found character that cannot start any token":     "indent with spaces, not tabs, and quote strings that contain special characters",
	"mapping values are not allowed in this context":  "check the indentation, and quote strings that contain a colon",
	"found a tab character that violates indentation": "indent with spaces, not tabs",
	"did not find expected ',' or ']'":                "a ] is missing",
	"did not find expected ',' or '}'":                "a } is missing",
	"found unexpected end of stream":                  "end the string with the same quotation mark that begins it",
	"string literal not terminated":                   "end the string with the same quotation mark that begins it",
	"expected 'EOF', found '}'":                       "add the missing { before it, or remove this }",
}

// syntaxError rewrites an error from the parser of a data file.
func syntaxError(err error, name string) error {
	err = FromCUE(err, diag.Pos{File: name})
	for _, d := range diag.All(err) {
		d.About(diag.Syntax, "")
		// The YAML decoder includes the position in its message as well.
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
			d.WithHint("a colon is missing before it")
		}
	}
	return err
}

// nanNull replaces NaN and infinite numbers outside strings with null.
func nanNull(data []byte) []byte {
	var out []byte
	inString := false
next:
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\' && i+1 < len(data):
			out = append(out, c, data[i+1])
			i++
			continue
		case c == '"':
			inString = !inString
		case !inString:
			for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
				if bytes.HasPrefix(data[i:], []byte(word)) {
					out = append(out, "null"...)
					i += len(word) - 1
					continue next
				}
			}
		}
		out = append(out, data[i])
	}
	return out
}

// fileExpr returns the content of a data file as a single expression.
func fileExpr(f *ast.File) ast.Expr {
	if len(f.Decls) == 1 {
		if e, ok := f.Decls[0].(*ast.EmbedDecl); ok {
			return e.Expr
		}
	}
	return &ast.StructLit{Elts: f.Decls}
}
