package nixlbench_test

import (
	"os/exec"
	"strings"
	"testing"

	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

func flag(name string, v formula.Value) plan.Flag {
	return plan.Flag{Flag: &schema.Flag{Name: name}, Value: v, Emit: true}
}

func TestShell(t *testing.T) {
	got := nixlbench.Shell([]plan.Flag{
		flag("number", formula.Value{Kind: formula.Num, Num: formula.Int(7)}),
		flag("on", formula.Value{Kind: formula.Bool, Bool: true}),
		flag("off", formula.Value{Kind: formula.Bool}),
		flag("text", formula.Value{Kind: formula.Str, Str: "it's; a\nfile"}),
		flag("empty", formula.Value{Kind: formula.Str}),
		{Flag: &schema.Flag{Name: "left_out"}},
	})
	want := "nixlbench \\\n    --number 7 \\\n    --on \\\n    --off=false \\\n    --text 'it'\"'\"'s; a\nfile' \\\n    --empty ''\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// FuzzQuote asks a real shell what a quoted word says.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "plain", "a b", "it's", `"$HOME"`, "a;b|c&d", "line\nfeed", "~", "*", "-x", "ä€", "\\", "`id`", "!x", "\xff"} {
		f.Add(s)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("no shell here")
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) || len(s) > 10000 {
			return // no argument holds a NUL
		}
		out, err := exec.Command(sh, "-c", "printf %s "+nixlbench.Quote(s)+" end").Output()
		if err != nil || string(out) != s+"end" {
			t.Errorf("%q is quoted as %s, which the shell reads as %q (%v)", s, nixlbench.Quote(s), out, err)
		}
	})
}
