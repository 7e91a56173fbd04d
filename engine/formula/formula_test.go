package formula

import (
	"fmt"
	"strings"
	"testing"

	"kvbench/engine/diag"
)

// toy declares names of every kind.
func toy() *Scope {
	s := NewScope()
	s.Input("layers", Num, diag.Pos{File: "toy.cue", Line: 1, Col: 1})
	s.Input("heads", Num, diag.Pos{})
	s.Input("engine", Str, diag.Pos{})
	s.Input("pattern", Str, diag.Pos{})
	s.Input("kinds", StrList, diag.Pos{})
	s.Input("sizes", NumList, diag.Pos{})
	s.Input("never", Num, diag.Pos{})
	s.Default("depth", Value{Kind: Num, Num: Int(1)})
	s.Default("on", Value{Kind: Bool, Bool: true})
	s.Table("bytes", []string{"fp8", "nvfp4", "bad"}, []Source{{Text: "1"}, {Text: "9/16"}, {Text: "1/0"}}, Num)
	s.Formula("double", Source{Text: "layers * 2"}, Num)
	return s
}

func frameOf(t testing.TB, s *Scope) (*Program, *Frame) {
	t.Helper()
	p, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	f := p.NewFrame()
	for name, v := range map[string]Value{
		"layers":  {Kind: Num, Num: Int(61)},
		"heads":   {Kind: Num, Num: Int(8)},
		"engine":  {Kind: Str, Str: "one"},
		"pattern": {Kind: Str, Str: "nvfp4"},
		"kinds":   {Kind: StrList, Strs: []string{"full", "window", "full"}},
		"sizes":   {Kind: NumList, Nums: []Rat{Int(3), Int(1), Int(2)}},
	} {
		r, ok := p.Ref(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		f.Set(r, v)
	}
	return p, f
}

// TestPlain checks that typical formulas are plain, and that a formula is not plain if it
// contains anything that the parser accepts but formulas do not support.
func TestPlain(t *testing.T) {
	for _, text := range []string{
		"a // b", "a /* b */ + c", "a # b", "1.5", ".5", "1e3", "0x10", "1_000", "1234567890123456789", `b"x"`, `b'x'`, "`x`", `"a\"b"`, "'a\nb'",
		"a ?? b", "a?.b", "a[1..2]", "a::b", "let x = 1; x", "x; y", "a = b", "a | b()", "a ** b", "a ^ b", "nil", "x.let", "a matches 'b'", "é", "'",
	} {
		if isPlain(text) {
			t.Errorf("%q is plain", text)
		}
	}
	for _, text := range []string{
		"ceil(num_layers / pp_size) * page_size", "a == 'x' and b != \"y\"", "t[key] + t.key", "on ? 1 : 2", "on?1:2", "if a { 1 } else { 2 }",
		"!a || b && not c", "x in [1, 2]", "a<=b", "123456789012345678 % 7", "a?b:c", "1/2*3",
	} {
		if !isPlain(text) {
			t.Errorf("%q is not plain", text)
		}
	}
}

func TestEval(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"1 + 2 * 3", "7"},
		{"(1 + 2) * 3", "9"},
		{"7 / 2", "7/2"},
		{"7 / 2 * 2", "7"},
		{"-7 / 2 - 1/2", "-4"},
		{"0.5625 * 32", "18"},
		{"7 % 4", "3"},
		{"floor(7 / 2)", "3"},
		{"ceil(7 / 2)", "4"},
		{"div(7, 2)", "3"},
		{"ceil_div(7, 2)", "4"},
		{"ceil_div(layers, heads)", "8"},
		{"abs(1 - 3)", "2"},
		{"min(3, 1, 2) + max(3, 1, 2)", "4"},
		{"min(sizes) + max(sizes) + sum(sizes)", "10"},
		{"gcd(12, 18)", "6"},
		{"lcm(4, 6)", "12"},
		{"doubled(3, 24)", "24"},
		{"doubled(3, 23)", "12"},
		{"doubled(3, 2)", "3"},
		{"doubled(1, 9223372036854775807)", "4611686018427387904"},
		{"len(kinds) + len(engine)", "6"},
		{"len(split('a,b,c', ','))", "3"},
		{"sum(numbers('16,32,0'))", "48"},
		{"len(numbers('')) + len(numbers('16:32')) + len(numbers('16,-32')) + len(numbers('1,,2')) + len(numbers('99999999999999999999'))", "0"},
		{"sum_first(numbers('16,32,64'), 2)", "48"},
		{"sum_first(numbers('16,32,64'), 0)", "0"},
		{"is_ip('10.0.0.3')", "true"},
		{"is_ip('fd00::3') and is_ip('fe80::1%eth0') and is_ip('::ffff:10.0.0.3')", "true"},
		{"is_ip('node1') or is_ip('localhost') or is_ip('') or is_ip(engine)", "false"},
		{"is_ip('10.0.0') or is_ip('10.0.0.256') or is_ip('10.0.0.03') or is_ip(' 10.0.0.3')", "false"},
		{"is_ip('10.0.0.3:80') or is_ip('[fd00::3]') or is_ip('10.0.0.0/8')", "false"},
		{"sizes[2]", "2"},
		{"double", "122"},
		{"bytes[pattern] * 16", "9"},
		{"bytes['fp8']", "1"},
		{"given(layers)", "true"},
		{"given(never) ? never : 7", "7"},
		{"never ?? 7", "7"},
		{"heads ?? (1/0)", "8"}, // the right side is not evaluated
		{"depth ?? 5", "5"},
		{"never ?? depth ?? heads ?? layers", "8"},
		{"2 * never ?? heads", "16"},
		{"(never ?? 7) + 1", "8"},
		{"never ?? (heads + 1)", "9"},
		{"engine ?? 'two'", "\"one\""},
		{"kinds ?? ['a']", "[\"full\", \"window\", \"full\"]"},
		{"on ?? false", "false"},
		{"given(depth)", "false"}, // a default does not count as given
		{"bytes.fp8", "1"},
		{"depth", "1"},
		{"layers > 60 and heads == 8", "true"},
		{"not on or layers != 61", "false"},
		{"engine == 'one' ? 1 : 2", "1"},
		{"engine contains 'ne' && engine startsWith 'o'", "true"},
		{"'full' in kinds", "true"},
		{"3 in [1, 2]", "false"},
		// Values that are not needed are not evaluated.
		{"on ? 1 : 1/0", "1"},
		{"on or 1/0 == 1", "true"},
		{"not on and never == 1", "false"},
	} {
		s := toy()
		s.Formula("x", Source{Text: test.text}, Any)
		p, f := frameOf(t, s)
		r, _ := p.Ref("x")
		for range 2 { // the second time, the value is cached
			v, err := f.Eval(r)
			if err != nil || v.String() != test.want {
				t.Errorf("%s is %v (%v), want %s", test.text, v, err, test.want)
			}
		}
	}
}

func TestSet(t *testing.T) {
	p, f := frameOf(t, toy())
	double, _ := p.Ref("double")
	layers, _ := p.Ref("layers")
	want := func(n int64) {
		t.Helper()
		if v, err := f.Num(double); err != nil || v != Int(n) {
			t.Errorf("double is %v (%v), want %d", v, err, n)
		}
	}
	want(122)
	f.SetNum(layers, Int(10))
	want(20)
	f.SetNum(double, Int(5)) // replaces the formula
	want(5)
	f.Unset(double)
	want(20)
	f.Reset()
	f.SetNum(layers, Int(3))
	want(6)
}

// errorText formats a diagnostic in the same way as the printer.
func errorText(err error) string {
	var b strings.Builder
	(&diag.Printer{W: &b, Program: "test"}).Print(err)
	return strings.TrimSuffix(b.String(), "\n")
}

// TestErrors checks the exact text of messages. The formula of x is at line 7, column 10.
func TestErrors(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"layer * 2", "f.cue:7:10: formula of x: unknown name \"layer\"\n    layer * 2\n    ^\n  hint: did you mean \"layers\"?"},
		{"is_ip(layers)", "f.cue:7:16: formula of x: is_ip() needs a string, not a number\n    is_ip(layers)\n          ^"},
		{"2 * engine", "f.cue:7:14: formula of x: \"*\" needs a number, not a string\n    2 * engine\n        ^"},
		{"1 / (heads - 8)", "f.cue:7:12: formula of x: division by zero: 1 / 0\n    1 / (heads - 8)\n      ^"},
		{"layers * 9000000000000000000", "f.cue:7:17: formula of x: 61 * 9000000000000000000 does not fit in 64 bits\n    layers * 9000000000000000000\n           ^"},
		{"sizes[3]", "f.cue:7:16: formula of x: index 3 is out of range: the list has 3 elements, counted from 0\n    sizes[3]\n          ^"},
		{"engine[3]", "f.cue:7:17: formula of x: index 3 is out of range: the string has 3 characters, counted from 0\n    engine[3]\n           ^"},
		{"never + 1", "f.cue:7:10: formula of x: \"never\" is not set\n    never + 1\n    ^"},
		{"never ?? 1 + heads", "f.cue:7:21: formula of x: parentheses are missing around the ?? or around what follows it\n    never ?? 1 + heads\n               ^\n  hint: write (x ?? y) + z, or x ?? (y + z)"},
		{"double ?? 1", "f.cue:7:10: formula of x: \"??\" tests whether an input is set, but double is computed\n    double ?? 1\n    ^"},
		{"sizes[0] ?? 1", "f.cue:7:10: formula of x: \"??\" needs a name\n    sizes[0] ?? 1\n    ^"},
		{"never ?? 'a'", "f.cue:7:19: formula of x: \"??\" needs values of the same kind, not a number and a string\n    never ?? 'a'\n             ^"},
		{"2 * * 3", "f.cue:7:14: formula of x: unexpected \"*\"\n    2 * * 3\n        ^"},
		{"x + 1", "f.cue:7:10: formula of x: depends on itself: x -> x\n    x + 1\n    ^"},
		{"1 +\n  layer", "f.cue:8:12: formula of x: unknown name \"layer\"\n      layer\n      ^\n  hint: did you mean \"layers\"?"},
	} {
		s := toy()
		s.Formula("x", Source{Text: test.text, Pos: diag.Pos{File: "f.cue", Line: 7, Col: 10}}, Any)
		p, err := s.Compile()
		if err == nil {
			_, f := frameOf(t, s)
			r, _ := p.Ref("x")
			_, err = f.Eval(r)
		}
		if err == nil {
			t.Errorf("%s is not an error", test.text)
			continue
		}
		if got := errorText(err); got != test.want {
			t.Errorf("%q:\ngot\n%s\nwant\n%s", test.text, got, test.want)
		}
	}
}

// TestRefused checks that unsupported syntax is an error with a position, and never
// causes a panic.
func TestRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "(", ")", "1 2", "'", "let y = 1; y", "1; 2", "double ?? 1", "1 ?? 2", "(layers + 1) ?? 2", "nothing ?? 2", "layers ?? 'a'", "layers ?? 1 + 1", "bytes.fp8 ?? 1", "layers ??", "layers?.x", "kinds | len()",
		"map(sizes, # * 2)", "filter(sizes, {# > 1})", "2 ** 3", "2 ^ 3", "now()", "round(1)", "{a: 1}", "sizes[0:1]",
		"engine matches '.*'", "nil", "sum(sizes, # * 2)", "1 < 'a'", "on + 1", "on ? 1 : 'a'", "[1, 'a']", "bytes", "bytes[1]",
		"given(1)", "given(double)", "given(bytes)", "given(nothing)", "len(1)", "min()", "min(engine)", "div(1)", "9223372036854775808", "kinds[0] + 1", "double()", "not 1", "-engine",
		strings.Repeat("(", 3000), strings.Repeat("-", 3000) + "1", strings.Repeat("1+", 3000) + "1", strings.Repeat("x", 5000),
		"\x00", "\xff", "a\u2028b", "if on { 1 }", "#", "$env", "::floor(1)", "0x", "1e999",
	} {
		s := toy()
		s.Formula("z", Source{Text: text, Pos: diag.Pos{File: "f.cue", Line: 7, Col: 10}}, Any)
		_, err := s.Compile()
		if err == nil {
			t.Errorf("%.40q compiles", text)
			continue
		}
		if d := diag.All(err)[0]; d.Pos.Line < 7 || !strings.HasPrefix(d.Text(), "formula of z: ") {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func TestScopeErrors(t *testing.T) {
	s := NewScope()
	s.Input("a", Num, diag.Pos{File: "a.cue", Line: 1, Col: 2})
	s.Formula("a", Source{Text: "1", Pos: diag.Pos{File: "b.cue", Line: 3, Col: 4}}, Any)
	s.Formula("b", Source{Text: "c", Pos: diag.Pos{File: "b.cue", Line: 4, Col: 4}}, Any)
	s.Formula("c", Source{Text: "d + 1", Pos: diag.Pos{File: "b.cue", Line: 5, Col: 4}}, Any)
	s.Formula("d", Source{Text: "b", Pos: diag.Pos{File: "b.cue", Line: 6, Col: 4}}, Any)
	_, err := s.Compile()
	want := "b.cue:3:4: \"a\" is declared twice; first at a.cue:1:2\n  hint: names must be unique: choose another\nb.cue:4:4: formula of b: depends on itself: b -> c -> d -> b\n    c\n    ^"
	if err == nil || errorText(err) != want {
		t.Errorf("got\n%v\nwant\n%s", errorText(err), want)
	}
}

// TestTableErrors checks that an invalid table is reported regardless of what reads it.
func TestTableErrors(t *testing.T) {
	for _, test := range []struct {
		keys []string
		srcs []Source
		want Kind
		text string
	}{
		{[]string{"a", "a"}, []Source{{Text: "1"}, {Text: "2"}}, Num, `table "t" has the key "a" twice`},
		{[]string{"a", "b"}, []Source{{Text: "1"}}, Num, `table "t" has 2 keys and 1 formula`},
		{nil, nil, Any, `table "t" is empty`},
	} {
		s := NewScope()
		s.Input("key", Str, diag.Pos{})
		s.Table("t", test.keys, test.srcs, test.want)
		s.Formula("z", Source{Text: `t["a"] + t.a + t[key]`}, Num)
		_, err := s.Compile()
		if err == nil || diag.All(err)[0].Msg != test.text {
			t.Errorf("%v, want %s", err, test.text)
		}
	}
}

func TestSides(t *testing.T) {
	s := toy()
	s.Formula("limit", Source{Text: "layers * heads <= max(2, depth)"}, Bool)
	p, f := frameOf(t, s)
	r, _ := p.Ref("limit")
	op, left, right, ok, err := f.Sides(r)
	got := fmt.Sprint(op, " ", left.Text, " ", left.Value, " ", right.Text, " ", right.Value, " ", ok, " ", err)
	if want := "<= layers * heads 488 max(2, depth) 2 true <nil>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestAllocs checks that evaluation does not allocate memory.
func TestAllocs(t *testing.T) {
	p, f := latentFrame(t)
	tp, _ := p.Ref("tp_size")
	batch, _ := p.Ref("batch")
	n := testing.AllocsPerRun(100, func() {
		f.SetNum(tp, Int(3))
		if _, err := f.Num(batch); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per evaluation", n)
	}
}
