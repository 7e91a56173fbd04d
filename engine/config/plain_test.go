package config

import (
	"fmt"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/encoding/yaml"

	cueschema "kvbench/cue"
	"kvbench/engine/schema"
	"kvbench/models"
)

// literals are values that a file may have, good ones and odd ones.
func literals(t *testing.T) []ast.Expr {
	var list []ast.Expr
	for _, text := range []string{
		"0", "1", "2", "3", "8", "127", "10000", "-1", "-0", "1.0", "2.5", "1e3", "0x10", "1K", "1.5K", "1_000", "9223372036854775807", "9223372036854775808",
		"-9223372036854775808", "-9223372036854775809", "true", "false", "null", "[]", "[1, 2]", `["full", "none"]`, "{}", "{a: 1}", `""`, `"a"`, `" "`, `"1"`,
		`"fp8"`, `"bf16"`, `"nvfp4"`, `"FP8"`, `"fp8 "`, `"fp8 int8"`, `"file"`, `"gpu"`, `"block"`, `"rank"`, `"kvbench"`, `"in_use"`, `"largest"`, `"all"`, `"words"`, "#\"x\"#",
	} {
		e, err := parser.ParseExpr("", text)
		if err != nil {
			t.Fatal(text, err)
		}
		list = append(list, e)
	}
	for _, text := range []string{"x: 18446744073709551616", "x: 99999999999", "x: ~", "x: yes", "x: 012", "x: 0o7", "x: '8'", "x: 1.", "x: .inf", "x: 2024-01-01"} {
		f, err := yaml.Extract("", []byte(text))
		if err != nil {
			t.Fatal(text, err)
		}
		s := fileExpr(f).(*ast.StructLit)
		list = append(list, s.Elts[0].(*ast.Field).Value)
	}
	return list
}

// TestPlain: what is plainly good is good to CUE, for every field and every
// parameter of every architecture; and the values that are usual are plainly
// good.
func TestPlain(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	l := NewLoader(s, cueschema.Files, models.Files)
	defs, err := l.defs()
	if err != nil {
		t.Fatal(err)
	}
	list := literals(t)
	plain, refused := 0, 0
	hold := func(def cue.Value, path, words string) {
		for _, e := range list {
			doc := &document{leaves: []leaf{{path: path, expr: e}}}
			v := cuecontext.New().BuildExpr(doc.expr())
			field := def.Unify(v).LookupPath(selectors(strings.Split(path, ".")))
			good := field.Err() == nil && field.Validate(cue.Concrete(true)) == nil
			if !good {
				refused++
			}
			if plainly(words, e) {
				plain++
				if !good {
					t.Errorf("%s: %s is plainly %q, but CUE refuses it", path, show(e), words)
				}
			} else if lit, ok := e.(*ast.BasicLit); good && ok && words != "" && !strings.ContainsAny(lit.Value, ".e") {
				t.Errorf("%s: CUE takes %s, but it is not plainly %q", path, show(e), words)
			}
		}
	}
	for i := range s.Fields {
		hold(defs.LookupPath(cue.ParsePath("#Config")), s.Fields[i].Path, s.Fields[i].Plain)
	}
	known, err := l.Known(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range known.list {
		def, err := c.params()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.Arch.Get().Params {
			hold(def, p.Name, p.Plain)
		}
	}
	if plain < 500 || refused < 500 {
		t.Errorf("%d values are plainly good and %d are refused: the test says too little", plain, refused)
	}
	for path, want := range map[string]string{
		"strategy.tp_size": "int 1 9223372036854775807", "runtime.osl": "int 0 9223372036854775807", "system.hardware": "text", "system.backend": "text!",
		"system.source": "words file memory gpu", "strategy.dp_attention": "bool", "strategy.pp_stage": "",
	} {
		if got := s.Field(path).Plain; got != want {
			t.Errorf("%s is plainly %q, want %q", path, got, want)
		}
	}
}

// TestPlainOf: only what the words say exactly is put in them, and structs that
// ask for more are not plain.
func TestPlainOf(t *testing.T) {
	ctx := cuecontext.New()
	for text, want := range map[string]string{
		"int64":                       "int -9223372036854775808 9223372036854775807",
		"int64 & >0":                  "int 1 9223372036854775807",
		"int64 & >=2 & <10":           "int 2 9",
		"uint8":                       "int 0 255",
		"int":                         "int -9223372036854775808 9223372036854775807",
		"number":                      "",
		"number & >0":                 "",
		"int & !=3":                   "",
		"int & >1.5":                  "",
		"string":                      "text",
		`string & !=""`:               "text!",
		`string & !="x"`:              "",
		`"a" | "b"`:                   "words a b",
		`"a b" | "c"`:                 "",
		`"a" | int`:                   "",
		`string & =~"^a"`:             "",
		"bool":                        "bool",
		"true":                        "",
		"5":                           "",
		"[...int]":                    "",
		"{a: int}":                    "",
		"_":                           "",
		"int | string":                "",
		"null | int":                  "",
		"*1 | int":                    "int -9223372036854775808 9223372036854775807",
		"strings.MinRunes(3)":         "",
		"int & >=b":                   "",
		`"a" | "b" | error("choose")`: "words a b",
	} {
		v := ctx.CompileString(fmt.Sprintf("import \"strings\"\n_s: strings.MinRunes(1)\nb: int\nx: %s", text)).LookupPath(cue.ParsePath("x"))
		if got := plainOf(v); got != want {
			t.Errorf("%s is plainly %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]bool{
		"{a!: int, b?: string}":               true,
		"{a!: int, b?: string} & {c!: int}":   true,
		"{a!: int, _b: 1}":                    false,
		"{a!: int, [string]: int}":            false,
		"{a!: int} | {b!: int}":               false,
		"{a!: int} & ({b!: int} | {c!: int})": false,
		"{a!: int, #d: int}":                  false,
		"int":                                 false,
	} {
		v := ctx.CompileString("#x: " + text).LookupPath(cue.ParsePath("#x"))
		if got := isPlain(v); got != want {
			t.Errorf("%s is plain: %v, want %v", text, got, want)
		}
	}
}
