package formula

import (
	"strings"
	"testing"

	"kvbench/engine/diag"
)

func TestExplain(t *testing.T) {
	s := NewScope()
	s.Input("layers", Num, diag.Pos{})
	s.Input("dtype", Str, diag.Pos{})
	s.Input("widths", NumList, diag.Pos{})
	s.Table("bytes", []string{"fp8", "nvfp4"}, []Source{{Text: "1"}, {Text: "9/16"}}, Num)
	s.Formula("width", Source{Text: "sum(widths)"}, Num)
	s.Formula("total", Source{Text: "layers * width * bytes[dtype] - bytes.fp8"}, Num)
	s.Formula("safe", Source{Text: "dtype == 'fp8' ? bad : layers"}, Num)
	s.Formula("bad", Source{Text: "1 / (layers - 4)"}, Num)
	p, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	f := p.NewFrame()
	set := func(name string, v Value) {
		r, _ := p.Ref(name)
		f.Set(r, v)
	}
	set("layers", Value{Kind: Num, Num: Int(4)})
	set("dtype", Value{Kind: Str, Str: "nvfp4"})
	set("widths", Value{Kind: NumList, Nums: []Rat{Int(16), Int(32)}})
	for name, want := range map[string]struct{ values, value string }{
		"total":  {"4 * 48 * (9/16) - 1", "107"},
		"width":  {"sum([16, 32])", "48"},
		"safe":   {`"nvfp4" == 'fp8' ? bad : 4`, "4"},
		"layers": {"", "4"},
	} {
		r, _ := p.Ref(name)
		e, err := f.Explain(r)
		if err != nil || e.Values != want.values || e.Value.String() != want.value {
			t.Errorf("%s is %q = %s (%v), want %q = %s", name, e.Values, e.Value, err, want.values, want.value)
		}
	}
	r, _ := p.Ref("total")
	e, _ := f.Explain(r)
	var parts []string
	for _, r := range e.Parts {
		parts = append(parts, p.Name(r))
	}
	if got := strings.Join(parts, " "); got != "layers width dtype bytes.nvfp4 bytes.fp8" {
		t.Errorf("the parts are %v", parts)
	}
}
