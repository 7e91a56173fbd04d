package nixlbench_test

import (
	"os/exec"
	"strings"
	"testing"

	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/schema"
)

func flag(name string, v formula.Value) fit.Flag {
	return fit.Flag{Flag: &schema.Flag{Name: name}, Value: v, Emit: true}
}

func TestShell(t *testing.T) {
	got := nixlbench.Shell([]fit.Flag{
		flag("number", formula.Value{Kind: formula.Num, Num: formula.Int(7)}),
		flag("on", formula.Value{Kind: formula.Bool, Bool: true}),
		flag("off", formula.Value{Kind: formula.Bool}),
		flag("text", formula.Value{Kind: formula.Str, Str: "it's; a\nfile"}),
		flag("empty", formula.Value{Kind: formula.Str}),
		{Flag: &schema.Flag{Name: "left_out"}},
	})
	want := "nixlbench \\\n    --number 7 \\\n    --on \\\n    --off=false \\\n    --text $'it\\'s; a\\nfile' \\\n    --empty ''\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestQuote checks that no quoted word moves the cursor, is invisible, starts a new line,
// or is executed as a command by a CI runner.
func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"plain/a:b":        "plain/a:b",
		"it's":             `'it'"'"'s'`,
		"a\n::error::x":    `$'a\n::error::x'`,
		"::error::x":       "'::error::x'",
		"::a\n::b":         `$'::a\n::b'`,
		"\x1b[31mred":      `$'\033[31mred'`,
		"a\tb\rc":          `$'a\tb\rc'`,
		"ab\u202ecd":       `$'ab\342\200\256cd'`,
		"\u200b7":          `$'\342\200\2137'`,
		"##[group]x":       `$'\043\043[group]x'`,
		"it's\\\x7f":       `$'it\'s\\\177'`,
		"\xff\ufffd":       "$'\\377\ufffd'",
		"\u0085\U000e0041": `$'\302\205\363\240\201\201'`,
		"# a":              "'# a'",
	} {
		if got := nixlbench.Quote(in); got != want {
			t.Errorf("%q is quoted as %s, want %s", in, got, want)
		}
	}
}

// FuzzQuote checks that a quoted word is on one line, and that real shells read it as the
// original word.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "plain", "a b", "it's", `"$HOME"`, "a;b|c&d", "line\nfeed", "~", "*", "-x", "ä€", "\\", "`id`", "!x", "\xff", "::x", "\x1b7", "\u202e7", "##[x", "\t", "a\r\n'\\"} {
		f.Add(s)
	}
	var shells []string // other shells may not support $'…', which POSIX added in 2024
	for _, name := range []string{"bash", "zsh", "ksh"} {
		if sh, err := exec.LookPath(name); err == nil {
			shells = append(shells, sh)
		}
	}
	if shells == nil {
		f.Skip("there is no shell")
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) || len(s) > 10000 {
			return // an argument cannot contain a NUL character
		}
		quoted := nixlbench.Quote(s)
		if strings.Contains(quoted, "\n") {
			t.Errorf("%q is quoted on several lines", s)
		}
		for _, sh := range shells {
			out, err := exec.Command(sh, "-c", "printf %s "+quoted+" end").Output()
			if err != nil || string(out) != s+"end" {
				t.Errorf("%q is quoted as %s, which %s reads as %q (%v)", s, quoted, sh, out, err)
			}
		}
	})
}
