package schema

import (
	"encoding/json"
	"fmt"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"

	"kvbench/engine/formula"
)

// TestTypeOf checks how constraints in CUE become types and are described in messages.
func TestTypeOf(t *testing.T) {
	const least, greatest = `"least":-9223372036854775808`, `"greatest":9223372036854775807`
	ctx := cuecontext.New()
	for text, want := range map[string][2]string{
		"int64":                       {`{"kinds":"int",` + least + "," + greatest + "}", "a whole number"},
		"int64 & >0":                  {`{"kinds":"int","least":1,` + greatest + "}", "a whole number, 1 or more"},
		"int64 & >=2 & <10":           {`{"kinds":"int","least":2,"greatest":9}`, "a whole number from 2 to 9"},
		"uint8":                       {`{"kinds":"int","least":0,"greatest":255}`, "a whole number from 0 to 255"},
		"int":                         {`{"kinds":"int"}`, "a whole number"},
		"number":                      {`{"kinds":"number"}`, "a number"},
		"number & >0":                 {`{"kinds":"number","least":0,"open":true}`, "a number, more than 0"},
		"number & >=0":                {`{"kinds":"number","least":0}`, "a number, 0 or more"},
		"number & >0 & <=9":           {`{"kinds":"number","least":0,"greatest":9,"open":true,"partial":true}`, "a number, more than 0 and less than 9"},
		"int & !=3":                   {`{"kinds":"int","partial":true}`, "a whole number"},
		"int & >1.5":                  {`{"kinds":"int","partial":true}`, "a whole number"},
		"string":                      {`{"kinds":"string"}`, "a string"},
		`string & !=""`:               {`{"kinds":"string","not_empty":true}`, "a non-empty string"},
		`string & !="x"`:              {`{"kinds":"string","partial":true}`, "a string"},
		`"a" | "b"`:                   {`{"kinds":"string","words":["a","b"]}`, "one of a, b"},
		`"a b" | "c"`:                 {`{"kinds":"string","words":["a b","c"]}`, "one of a b, c"},
		`"a" | int`:                   {`{"kinds":"int|string","words":["a"]}`, "a, or a whole number"},
		`"a" | "b" | (int64 & >=0)`:   {`{"kinds":"int|string","least":0,` + greatest + `,"words":["a","b"]}`, "a, b, or a whole number, 0 or more"},
		`string & =~"^a"`:             {`{"kinds":"string"}`, "a string that matches ^a"},
		`"a" | =~"^b"`:                {`{"kinds":"string","words":["a"],"partial":true}`, "one of a"},
		"bool":                        {`{"kinds":"bool"}`, "true or false"},
		"true":                        {`{"kinds":"bool","partial":true}`, "true or false"},
		"5":                           {`{"kinds":"int","least":5,"greatest":5}`, "5"},
		"[...int]":                    {`{"kinds":"list","item":{"kinds":"int"}}`, "a list"},
		`[...("a" | "b")]`:            {`{"kinds":"list","item":{"kinds":"string","words":["a","b"]}}`, "a list"},
		"[int, string]":               {`{"kinds":"list","partial":true}`, "a list"},
		"[int, ...int]":               {`{"kinds":"list","item":{"kinds":"int"},"partial":true}`, "a list"},
		"{a: int}":                    {`{"kinds":"struct","partial":true}`, "a mapping"},
		"_":                           {`{"kinds":"int|number|string|bool|list|struct|null"}`, "any value"},
		"int | string":                {`{"kinds":"int|string"}`, "a whole number or a string"},
		"null | int":                  {`{"kinds":"int|null"}`, "a whole number or null"},
		"int | 1.5":                   {`{"kinds":"int|number","partial":true}`, "a whole number or a number"},
		"strings.MinRunes(3)":         {`{"kinds":"string","partial":true}`, "a string"},
		"int & >=b":                   {`{"kinds":"","partial":true}`, "any value"},
		`"a" | "b" | error("choose")`: {`{"kinds":"string","words":["a","b"]}`, "one of a, b"},
		"#positive":                   {`{"kinds":"int","least":1,` + greatest + "}", "a whole number, 1 or more"},
		"#positive & <9":              {`{"kinds":"int","least":1,"greatest":8}`, "a whole number from 1 to 8"},
	} {
		v := ctx.CompileString(fmt.Sprintf("import \"strings\"\n_s: strings.MinRunes(1)\n#positive: int64 & >0\nb: int\nx: %s", text)).LookupPath(cue.ParsePath("x"))
		of := TypeOf(v)
		got, err := json.Marshal(of)
		if err != nil || string(got) != want[0] || of.String() != want[1] {
			t.Errorf("%s is %s, %q (%v), want %s, %q", text, got, &of, err, want[0], want[1])
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
		if got := Plain(v); got != want {
			t.Errorf("%s is plain: %v, want %v", text, got, want)
		}
	}
}

// TestFormulaKinds checks the kinds of parameters in formulas. In formulas, a parameter that
// allows several kinds of values has the kind Any.
func TestFormulaKinds(t *testing.T) {
	ctx := cuecontext.New()
	for text, want := range map[string]formula.Kind{
		"int64 & >0":          formula.Num,
		"number":              formula.Num,
		`"a" | "b"`:           formula.Str,
		"bool":                formula.Bool,
		"[...int]":            formula.NumList,
		`[...("a" | "b")]`:    formula.StrList,
		"[...bool]":           formula.Any,
		"[...(int | string)]": formula.Any,
		`"auto" | int`:        formula.Any,
		"int | null":          formula.Any,
		"{a: int}":            formula.Any,
		"_":                   formula.Any,
	} {
		of := TypeOf(ctx.CompileString("x: " + text).LookupPath(cue.ParsePath("x")))
		if got := of.Formula(); got != want {
			t.Errorf("%s is %s in formulas, want %s", text, got, want)
		}
	}
	of := TypeOf(ctx.CompileString(`x: "auto" | int`).LookupPath(cue.ParsePath("x")))
	if got := of.Kinds.Formula(); got != formula.Str {
		t.Errorf("the values of a field that allows words and numbers are %s", got)
	}
}
