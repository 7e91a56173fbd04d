package diag_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"kvbench/engine/diag"
)

func TestPrint(t *testing.T) {
	var b strings.Builder
	p := diag.Printer{W: &b, Program: "kvbench", Dir: "/home/me"}
	d := diag.Errorf(diag.Pos{File: "/home/me/models/x.cue", Line: 3, Col: 7}, "no %s", "good").WithHint("one").WithHint("two")
	d.Source, d.Caret = "\ta + bcd", 6
	p.Print(diag.List{d, d, diag.Warnf(diag.Pos{File: "/elsewhere/y"}, "odd\nname"), {Msg: "plain"}})
	p.Print(errors.New("other"))
	want := "models/x.cue:3:7: no good\n    \ta + bcd\n    \t    ^\n  hint: one\n  hint: two\n" +
		"/elsewhere/y: warning: odd\\nname\nkvbench: plain\nkvbench: other\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestPrintable checks that no printed text moves a terminal's cursor, is hidden, reverses
// other text, or is executed by a CI runner.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 中 \t::x":                "plain é 中 \t::x",
		"a\nb\x1b[31m\x7f\u0085":         `a\nb\x1b[31m\x7f\u0085`,
		"ab\u202ecd\u2066e\u2069":        `ab\u202ecd\u2066e\u2069`,
		"\u200e\u200f\u061c\u200b\ufeff": `\u200e\u200f\u061c\u200b\ufeff`,
		"tag \U000e0041":                 `tag \U000e0041`,
		"a\u2028b\u2029":                 `a\u2028b\u2029`,
		"bad \xff":                       "bad \ufffd",
		"::stop-commands::x":             `\x3a:stop-commands::x`,
		" \t\u00a0::error::x":            " \t\u00a0\\x3a:error::x",
		"a ::error::x":                   "a ::error::x",
		":x":                             ":x",
		"a ##[group]b":                   `a #\x23[group]b`,
		"###[x":                          `##\x23[x`,
		"##vso[task.setvariable]":        `#\x23vso[task.setvariable]`,
		"## heading [x]":                 "## heading [x]",
		"#[x]":                           "#[x]",
	} {
		if got := diag.Printable(in); got != want {
			t.Errorf("%q is printed as %q, want %q", in, got, want)
		}
	}
}

// TestEscaped checks that escaping does not change the value of JSON.
func TestEscaped(t *testing.T) {
	for in, want := range map[string]string{
		"{\n\t\"a b\": \"é\"\n}\n": "{\n\t\"a b\": \"é\"\n}\n",
		"\"\u202e\x7f\u0085\"":     `"\u202e\u007f\u0085"`,
		"\"###[x\"":                `"#\u0023\u0023[x"`,
		"\"\U000e0041\"":           `"\udb40\udc41"`,
		"// \x1b[31m":              `// \u001b[31m`,
	} {
		if got := string(diag.Escaped([]byte(in))); got != want {
			t.Errorf("%q is written as %q, want %q", in, got, want)
		}
	}
}

// TestCaret checks that the caret is below the right character even if other characters are
// escaped.
func TestCaret(t *testing.T) {
	var b strings.Builder
	p := diag.Printer{W: &b, Program: "kvbench"}
	for _, c := range []struct {
		source string
		caret  int
	}{{"::a: b", 5}, {"\u202ex y", 4}, {"\t##[x", 5}, {"ab", 5}} {
		p.Print(&diag.Diag{Msg: "m", Source: c.source, Caret: c.caret})
	}
	want := `kvbench: m
    \x3a:a: b
           ^
kvbench: m
    \u202ex y
            ^
kvbench: m
    	#\x23[x
    	      ^
kvbench: m
    ab
        ^
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"tp_size", "pp_size", "page_size", "isl", "num_requests"}
	for word, want := range map[string]string{
		"tp_sizes": "tp_size", "Page-Size": "page_size", "num_request": "num_requests", "isl_": "isl", "ils": "isl",
		"something": "", "x": "", "": "",
	} {
		if got := diag.Nearest(word, known); got != want {
			t.Errorf("the word nearest to %q is %q, want %q", word, got, want)
		}
	}
	// A word that begins with the misspelled word is preferred to a shorter one.
	known = []string{"attention", "hybrid_attention", "latent_attention", "parallel_hybrid"}
	for word, want := range map[string]string{"hybrid": "hybrid_attention", "latent": "latent_attention", "parallel": "parallel_hybrid"} {
		if got := diag.Nearest(word, known); got != want {
			t.Errorf("the word nearest to %q is %q, want %q", word, got, want)
		}
	}
}

func TestPosText(t *testing.T) {
	p := diag.Pos{File: "a:b.cue", Line: 12, Col: 3}
	text, _ := p.MarshalText()
	var q diag.Pos
	if err := q.UnmarshalText(text); err != nil || q != p {
		t.Errorf("%s is read as %v (%v)", text, q, err)
	}
	if err := q.UnmarshalText([]byte("nothing")); err == nil {
		t.Error("a string that is not a position is accepted")
	}
}

// TestKind checks that numbers and positions do not affect the kind of an error, but that
// words do, even if they differ only in digits.
func TestKind(t *testing.T) {
	at := diag.Pos{File: "f1", Line: 2}
	formula := func(caret int, format string, args ...any) *diag.Diag {
		d := diag.Errorf(at, format, args...).About(diag.Formula, "x")
		d.Caret = caret
		return d
	}
	for _, test := range []struct {
		a, b error
		same bool
	}{
		{diag.Errorf(at, "%s is %d", "isl", 3), diag.Errorf(diag.Pos{File: "f2"}, "%s is %d", "isl", 45), true},
		{diag.Errorf(at, "%s is %d", "isl", 3), diag.Errorf(at, "%s is %d", "osl", 3), false},
		{diag.Errorf(at, "%q is not allowed", "fp4"), diag.Errorf(at, "%q is not allowed", "fp8"), false},
		{diag.Errorf(at, "want %d", 3), diag.Errorf(at, "want at least %d", 3), false},
		{formula(1, "%s / 0", "3"), formula(1, "%s / 0", "4"), true},
		{formula(1, "%s / 0", "3"), formula(7, "%s / 0", "3"), false},
		{formula(1, "%s", "3 > 2"), formula(1, "%s", "4 > 2").About(diag.Formula, "y"), false},
		{diag.Errorf(at, "%s", "p4"), diag.Errorf(at, "%s", "p5"), false},
		{errors.New("4"), errors.New("5"), false},
		{diag.List{formula(1, "a"), formula(2, "b")}, diag.List{formula(1, "a")}, false},
	} {
		if got := diag.Kind(test.a) == diag.Kind(test.b); got != test.same {
			t.Errorf("%v and %v have the same kind: %v, want %v", test.a, test.b, got, test.same)
		}
	}
}

// TestSuggest checks that only a word that is similar to a known word gets a hint.
func TestSuggest(t *testing.T) {
	d := diag.Errorf(diag.Pos{}, "no %s", "pagesize").About(diag.Unknown, "pagesize")
	if d.Suggest("something", []string{"page_size"}) || !d.Suggest("pagesize", []string{"isl", "page_size"}) {
		t.Error("a distant word is suggested, or a near one is not")
	}
	d.Subject = "--where"
	if want := []string{`did you mean "page_size"?`}; !slices.Equal(d.Hints, want) || d.Error() != "--where: no pagesize" || d.Name != "pagesize" {
		t.Errorf("got %v, %q", d, d.Hints)
	}
}
