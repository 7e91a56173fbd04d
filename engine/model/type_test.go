package model

import (
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"

	cueschema "kvbench/cue"
	"kvbench/engine/data"
	"kvbench/engine/schema"
	"kvbench/models"
)

// literals returns values that a file may contain, both typical and unusual ones.
func literals(t *testing.T) []data.Value {
	var list []data.Value
	for _, text := range []string{
		"0", "1", "2", "3", "8", "127", "10000", "-1", "-0", "1.0", "2.5", "1e3", "0x10", "1K", "1.5K", "1_000", "9223372036854775807", "9223372036854775808",
		"-9223372036854775808", "-9223372036854775809", "true", "false", "null", "[]", "[1, 2]", `["full", "none"]`, "{}", "{a: 1}", `""`, `"a"`, `" "`, `"1"`,
		`"fp8"`, `"bf16"`, `"nvfp4"`, `"FP8"`, `"fp8 "`, `"fp8 int8"`, `"file"`, `"gpu"`, `"block"`, `"rank"`, `"kvbench"`, `"in_use"`, `"largest"`, `"all"`, `"words"`, "#\"x\"#",
	} {
		e, err := parser.ParseExpr("", text)
		if err != nil {
			t.Fatal(text, err)
		}
		list = append(list, data.Of("", e))
	}
	for _, text := range []string{"x: 18446744073709551616", "x: 99999999999", "x: ~", "x: yes", "x: 012", "x: 0o7", "x: '8'", "x: 1.", "x: .inf", "x: 2024-01-01"} {
		root, err := data.Parse("x.yaml", []byte(text), nil)
		if err != nil {
			t.Fatal(text, err)
		}
		list = append(list, *root.Member("x"))
	}
	return list
}

// TestTypes checks, for every field and parameter, that CUE accepts each value that the type
// accepts and, if the type is complete, that the type accepts each value that CUE accepts.
func TestTypes(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	l := NewLoader(s, cueschema.Files, models.Files)
	defs, err := l.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	list := literals(t)
	taken, refused := 0, 0
	hold := func(def cue.Value, path string, of schema.Type) {
		for i := range list {
			v := &list[i]
			doc := &data.Document{Leaves: []data.Leaf{{Path: path, Value: *v}}}
			field := def.Unify(cuecontext.New().BuildExpr(doc.Expr())).LookupPath(data.PathOf(strings.Split(path, ".")))
			good := field.Err() == nil && field.Validate(cue.Concrete(true)) == nil
			if !good {
				refused++
			}
			switch takes := of.Takes(v); {
			case takes && !good:
				t.Errorf("%s: CUE rejects %s, but the type (%s) accepts it", path, v, &of)
			case takes:
				taken++
			case good && !of.Partial && !strings.ContainsAny(v.Text, ".e"):
				t.Errorf("%s: CUE accepts %s, but the type (%s) does not", path, v, &of)
			}
		}
	}
	for i := range s.Fields {
		hold(defs.LookupPath(cue.ParsePath("#Config")), s.Fields[i].Path, s.Fields[i].Type)
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
			hold(def, p.Name, p.Type)
		}
	}
	if taken < 500 || refused < 500 {
		t.Errorf("%d values are accepted and %d are rejected: too few for this test", taken, refused)
	}
}
