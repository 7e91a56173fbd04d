package formula

import (
	"slices"
	"testing"

	"kvbench/engine/diag"
)

// TestInputOr checks that the value of an input that is not set comes from its formula, and
// that formulas that read the input depend on it and on what its formula reads.
func TestInputOr(t *testing.T) {
	s := NewScope()
	s.Input("engine", Str, diag.Pos{})
	s.Table("pages", []string{"A", "B"}, []Source{{Text: "16"}, {Text: "32"}}, Num)
	s.InputOr("page", Source{Text: "pages[engine]"}, Num)
	s.Formula("bytes", Source{Text: "page * 2"}, Num)
	s.Formula("said", Source{Text: "given(page) ? 1 : 0"}, Num)
	p, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	bytes, _ := p.Ref("bytes")
	if got := p.Inputs(bytes); !slices.Equal(got, []string{"engine", "page"}) {
		t.Errorf("bytes depends on %v, want engine and page", got)
	}
	f := p.NewFrame()
	engine, _ := p.Ref("engine")
	page, _ := p.Ref("page")
	said, _ := p.Ref("said")
	check := func(bytesWant, saidWant int64) {
		t.Helper()
		for ref, want := range map[Ref]int64{bytes: bytesWant, said: saidWant} {
			if v, err := f.Num(ref); err != nil || v != Int(want) {
				t.Errorf("%s is %s (%v), want %d", p.Name(ref), v, err, want)
			}
		}
	}
	f.Set(engine, Value{Kind: Str, Str: "B"})
	check(64, 0)
	f.SetNum(page, Int(5))
	check(10, 1)
	f.Unset(page)
	check(64, 0)
}

// TestTableBut checks that a missing key is reported with the reason why the table
// lacks it.
func TestTableBut(t *testing.T) {
	s := NewScope()
	s.Input("release", Str, diag.Pos{})
	s.TableBut("rule", []string{"2"}, []Source{{Text: "16"}}, Num, func(key string) *diag.Diag {
		if key == "1" {
			return diag.Errorf(diag.Pos{}, "the value for 1 is unknown")
		}
		return nil
	})
	s.Formula("page", Source{Text: "rule[release]"}, Num)
	p, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	release, _ := p.Ref("release")
	page, _ := p.Ref("page")
	f := p.NewFrame()
	f.Set(release, Value{Kind: Str, Str: "1"})
	if _, err := f.Num(page); err == nil || err.Error() != "the value for 1 is unknown" {
		t.Errorf("the error is %v", err)
	}
	f.Set(release, Value{Kind: Str, Str: "2"})
	if v, err := f.Num(page); err != nil || v != Int(16) {
		t.Errorf("page is %s (%v), want 16", v, err)
	}
}
