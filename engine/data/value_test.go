package data

import (
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"

	"kvbench/engine/formula"
)

// TestValues checks that YAML and JSON files yield the same values in formulas, in
// messages and in CUE.
func TestValues(t *testing.T) {
	for text, want := range map[string]struct {
		kind            Kind
		formula, shown  string // formula is "" if formulas cannot read the value
		unfit, describe string
	}{
		"8":                         {Whole, "8", "8", "", "a single value"},
		"-3":                        {Whole, "-3", "-3", "", "a single value"},
		"2.50":                      {Decimal, "5/2", "2.50", "", "a single value"},
		"1e3":                       {Decimal, "1000", "1e3", "", "a single value"},
		"1e9999":                    {Decimal, "", "1e9999", "is too large", "a single value"},
		"9223372036854775807":       {Whole, "9223372036854775807", "9223372036854775807", "", "a single value"},
		"-9223372036854775808":      {Whole, "-9223372036854775808", "-9223372036854775808", "", "a single value"},
		"9223372036854775808":       {Whole, "", "9223372036854775808", "is too large", "a single value"},
		"18446744073709551616":      {Whole, "", "18446744073709551616", "is too large", "a single value"},
		"0.12345678901234567890123": {Decimal, "", "0.12345678901234567890123", "has too many digits", "a single value"},
		"true":                      {Bool, "true", "true", "", "a single value"},
		"null":                      {Null, "", "null", "", "no value"},
		`"a\nb"`:                    {Text, `"a\nb"`, `"a\nb"`, "", "a single value"},
		`"8"`:                       {Text, `"8"`, `"8"`, "", "a single value"},
		"[]":                        {List, "[]", "a list", "", "a list"},
		"[1, 2.5]":                  {List, "[1, 5/2]", "a list", "", "a list"},
		`["a", "b"]`:                {List, `["a", "b"]`, "a list", "", "a list"},
		`["a", 1]`:                  {List, "", "a list", "", "a list"},
		`[[1]]`:                     {List, "", "a list", "", "a list"},
		`{"a": 1}`:                  {Mapping, "", "a mapping", "", "a mapping"},
	} {
		for _, name := range []string{"x.json", "x.yaml"} {
			if text == "1e9999" && name == "x.yaml" {
				continue // YAML reads it as a string
			}
			root, err := Parse(name, []byte(`{"x": `+text+`}`), nil)
			if err != nil {
				t.Errorf("%s: %s: %v", name, text, err)
				continue
			}
			v := root.Member("x")
			f, ok := v.Formula()
			read := ""
			if ok {
				read = f.String()
			}
			if v.Kind != want.kind || read != want.formula || v.String() != want.shown || v.Unfit() != want.unfit || v.Describe() != want.describe {
				t.Errorf("%s: %s is %d, %q, %q, %q, %q", name, text, v.Kind, read, v, v.Unfit(), v.Describe())
			}
			if pos := v.Pos.String(); pos != name+":1:7" {
				t.Errorf("%s: %s is at %s", name, text, pos)
			}
			if same := cuecontext.New().BuildExpr(v.Expr()).Equals(cuecontext.New().CompileString(text)); !same && v.Kind != Decimal {
				t.Errorf("%s: %s has another value in CUE", name, text)
			}
			if !ok {
				continue
			}
			if back := From(f); !strings.Contains("2.50 [1, 2.5]", text) {
				if again, ok := back.Formula(); !ok || again.String() != read {
					t.Errorf("%s: %s becomes %s", name, text, again)
				}
			}
		}
	}
}

// TestPlaces checks that a document's leaves have the positions of their values and
// names.
func TestPlaces(t *testing.T) {
	root, err := Parse("c.yaml", []byte("a:\n  b: 1\n  c: {}\nd: [x,\n  y]\ne:\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Flat("c.yaml", root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range d.Leaves {
		l := &d.Leaves[i]
		got = append(got, l.Path+" "+l.Value.String()+" "+l.Origin.String()+" "+l.Key.String())
	}
	want := "a.b 1 c.yaml:2:6 c.yaml:2:3; a.c a mapping c.yaml:3:6 c.yaml:3:3; d a list c.yaml:4:4 c.yaml:4:1; e null c.yaml:6:3 c.yaml:6:1"
	if text := strings.Join(got, "; "); text != want {
		t.Errorf("%s, want\n%s", text, want)
	}
	if pos := d.Sections["a"].String(); pos != "c.yaml:1:1" {
		t.Errorf("a is at %s", pos)
	}
	if pos := d.Leaf("d").Items[1].Pos.String(); pos != "c.yaml:5:3" {
		t.Errorf("y is at %s", pos)
	}
}

// TestMerge checks that the last document that contains a path overrides the others.
func TestMerge(t *testing.T) {
	layer := func(file string, kind Source, values map[string]int64) *Document {
		d := &Document{File: file}
		for _, path := range []string{"a.x", "a.y", "b"} {
			if n, ok := values[path]; ok {
				d.Leaves = append(d.Leaves, Leaf{Path: path, Value: From(formula.Number(n)), Origin: Origin{Kind: kind}})
			}
		}
		return d
	}
	d := Merge(layer("f", FromFile, map[string]int64{"a.x": 1, "b": 2}), layer("", FromFlag, map[string]int64{"a.y": 3, "b": 4}))
	v := cuecontext.New().BuildExpr(d.Expr())
	text, err := v.MarshalJSON()
	if err != nil || string(text) != `{"a":{"x":1,"y":3},"b":4}` {
		t.Errorf("%s (%v)", text, err)
	}
	if from := d.Leaf("b").Origin.Kind; from != FromFlag || d.File != "f" {
		t.Errorf("b is from %d, the document %s", from, d.File)
	}
	if got := v.LookupPath(cue.ParsePath("a.y")); got.Err() != nil {
		t.Error(got.Err())
	}
}
