package formula

import (
	"strings"
	"testing"

	"kvbench/engine/diag"
)

// TestPartial checks that formulas have values if the inputs that they need have values.
func TestPartial(t *testing.T) {
	there := map[string]Value{
		"heads": Number(8), "size": Number(64), "zero": Number(0), "word": Text("b"),
		"kinds": {Kind: StrList, Strs: []string{"x", "y"}},
	}
	s := NewScope()
	s.Table("formats", []string{"a", "b"}, []Source{{Text: "'fp8'"}, {Text: "'bf16'"}}, Str)
	s.First("either", []Source{{Text: "nothing"}, {Text: "word"}, {Text: "'never'"}})
	s.First("neither", []Source{{Text: "nothing"}, {Text: "gone + 1"}})
	s.First("empty", nil)
	s.First("odd", []Source{{Text: "kinds + 1"}, {Text: "1"}}) // the first is present, but wrong
	s.Formula("loop", Source{Text: "pool"}, Any)
	s.Formula("pool", Source{Text: "loop"}, Any)
	s.First("round", []Source{{Text: "circle"}, {Text: "1"}})
	s.Formula("circle", Source{Text: "round"}, Any)
	tests := []struct{ text, want, lacking string }{
		{"size / heads", "8", ""},
		{"nothing", "", "nothing"},
		{"gone + heads * nothing + gone", "", "gone nothing"},
		{"either", `"b"`, ""},
		{"formats[either]", `"bf16"`, ""},
		{"neither", "", "neither"},
		{"empty", "", "empty"},
		{"loop", "", "loop"},
		{"round", "1", ""},
		{"circle", "", "circle"},
		{"nothing ?? 3", "3", ""},
		{"heads ?? 3", "8", ""},
		{"heads ?? nothing", "8", ""},
		{"heads ?? 'text'", "8", ""},
		{"nothing ?? gone ?? size", "64", ""},
		{"nothing ?? heads ?? gone", "8", ""},
		{"nothing ?? gone", "", "nothing gone"},
		{"(nothing ?? 1) + gone", "", "gone"},
		{"neither ?? either", `"b"`, ""},
		{"given(nothing)", "false", ""},
		{"given(neither)", "false", ""},
		{"given(either)", "true", ""},
		{"given(nothing) ? nothing : 7", "7", ""},
		{"given(heads) ? heads : nothing", "8", ""},
		{"given(nothing) and nothing > 1", "false", ""},
		{"not given(nothing) or nothing > 1", "true", ""},
		{"heads == 8 or nothing > 1", "", "nothing"},
		{"heads > 0 ? heads : nothing", "", "nothing"},
		{"kinds[1] ?? 'z'", `error: "??" needs a name`, ""},
		{"heads / zero", "error: division by zero: 8 / 0", ""},
		{"heads + word", `error: "+" needs a number, not a string`, ""},
		{"heads + ", "error: unexpected end of formula", ""},
		{"odd", `error: "+" needs a number, not a list of strings`, ""},
		{"odd ?? 2", `error: "+" needs a number, not a list of strings`, ""},
		{"nothing ?? odd", `error: "+" needs a number, not a list of strings`, ""},
		{"heads ?? odd", "8", ""},
		{"mixed", "error: cannot be read", ""},
		{"nothing ?? mixed", "error: cannot be read", ""},
		{"mixed + nothing", "", "nothing"},
	}
	for _, test := range tests {
		s.Formula("= "+test.text, Source{Text: test.text}, Any)
	}
	p, err := s.Partial(func(name string) (Kind, bool) {
		v, ok := there[name]
		return v.Kind, ok || name == "mixed"
	})
	if err != nil {
		t.Fatal(err)
	}
	f := p.NewFrame()
	for name, v := range there {
		if ref, ok := p.Ref(name); ok {
			f.Set(ref, v)
		}
	}
	for _, test := range tests {
		ref, _ := p.Ref("= " + test.text)
		if got := strings.Join(p.Lacking(ref), " "); got != test.lacking || p.Lacks(ref) != (got != "") {
			t.Errorf("%s lacks %q, want %q", test.text, got, test.lacking)
		}
		v, err := f.Eval(ref)
		got := v.String()
		switch {
		case test.lacking != "" && err != nil:
			got = ""
		case err != nil:
			got = "error: " + diag.All(err)[0].Msg
		}
		if got != test.want {
			t.Errorf("%s is %s, want %s", test.text, got, test.want)
		}
	}
	if ref, _ := p.Ref("either"); len(p.Parts(ref)) != 1 || p.Name(p.Parts(ref)[0]) != "either.1" {
		t.Error("Parts does not return the formula that is used for a name with several formulas")
	}
	s.Formula("either", Source{Text: "1"}, Any)
	if _, err := s.Partial(func(string) (Kind, bool) { return Any, false }); err == nil || !strings.Contains(err.Error(), "already declared") {
		t.Errorf("a name that is declared twice yields the error %v", err)
	}
}
