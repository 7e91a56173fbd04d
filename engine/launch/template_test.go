package launch

import (
	"slices"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/schema"
)

const hostile = "a b'c\"$(touch x)`id`\n-y #\\"

func TestQuoting(t *testing.T) {
	data := map[string]any{"X": hostile, "L": []string{"a b", "-c", ""}, "N": int64(7), "B": true, "D": "--rm",
		"V": "$HOME ${X} $$(y) $", "C": "\x01\x7f\u0085\u200b\ufeffü😀", "T": "90", "P": "a=1,b=c=d"}
	for _, c := range []struct{ quote, text, want string }{
		{"shell", "f {{.X}}", `f $'a b\'c"$(touch x)` + "`id`" + `\n-y \043\\'`},
		{"shell", "f {{.L}} {{.N}} {{.B}} {{.D}}", `f 'a b' -c '' 7 true --rm`},
		{"shell", `f "$x" 'y' "$(g "z")" {{printf "%s" .D}}`, `f "$x" 'y' "$(g "z")" --rm`},
		{"shell", "a=({{range .L}}{{.}} {{end}}) # it's {{.N}}\ng {{.N}}", "a=('a b' -c '' ) # it's 7\ng 7"},
		{"yaml", "x: {{.X}}\ny: {{.L}}\nz: {{.N}}", `x: "a b'c\"$(touch x)` + "`id`" + `\n-y #\\"` + "\ny: [\"a b\", \"-c\", \"\"]\nz: 7"},
		{"toml", "x = {{.X}}\nb = {{.B}}", `x = "a b'c\"$(touch x)` + "`id`" + `\u000A-y #\\"` + "\nb = true"},
		{"toml", "{{.D}} = 1\n{{.X}} = 2", "--rm = 1\n" + `"a b'c\"$(touch x)` + "`id`" + `\u000A-y #\\" = 2`},
		{"text", "It is {{.D}}.", "It is --rm."},
		{"yaml$", "x: {{.V}}\ny: {{.L}}", `x: "$$HOME $${X} $$$$(y) $$"` + "\ny: [\"a b\", \"-c\", \"\"]"},
		{"yaml", "x: {{.V}}", `x: "$HOME ${X} $$(y) $"`},
		{"yaml", "x: {{.C}}", `x: "\u0001\u007f\u0085\u200b\ufeffü😀"`},
		{"text", "{{seconds .T}} {{add 2 3}} {{roundup 4097 4096}} {{roundup 4096 4096}}{{range pairs .P}} {{.Name}}:{{.Value}}{{end}}", "5400 5 8192 4096 a:1 b:c=d"},
	} {
		tmpl, err := compile("t", c.text, c.quote, nil)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got, err := render(tmpl, data)
		if err != nil || string(got) != c.want {
			t.Errorf("%s %s:\n%s, %v\nwant\n%s", c.quote, c.text, got, err, c.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for text, want := range map[string]int64{
		"90": 5400, "1:30": 90, "02:00:00": 7200, "0:00:05": 5, "1-12": 129600, "2-01:30": 178200, "1-00:00:01": 86401,
		"99999999999999999999": 60 << 32, // the maximum
	} {
		if got := seconds(text); got != want {
			t.Errorf("%s: %d s, want %d", text, got, want)
		}
	}
}

func TestMounts(t *testing.T) {
	got := mounts("/mnt/a:/data:ro,models:/m,/same,./x:/y,~/z:/z")
	want := []Mount{
		{"/mnt/a", "/data", true, true}, {"models", "/m", false, false}, {"/same", "/same", true, false},
		{"./x", "/y", true, false}, {"~/z", "/z", true, false},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if mounts("") != nil {
		t.Error("an empty list of folders is not empty")
	}
}

// TestUnquotable checks that a template is rejected if it inserts a value where the
// value's quotation marks would not work.
func TestUnquotable(t *testing.T) {
	for _, c := range []struct{ quote, text, want string }{
		{"shell", `f "{{.X}}"`, "between quotation marks"},
		{"shell", `f '{{.X}}'`, "between quotation marks"},
		{"shell", `f $'{{.X}}'`, "between quotation marks"},
		{"shell", `f "$(g "{{.X}}")"`, "between quotation marks"},
		{"shell", `f "a $(g) {{.X}}"`, "between quotation marks"},
		{"shell", `f ${{.X}}`, "cannot be quoted"},
		{"shell", `f ${ {{- .X}}}`, "cannot be quoted"},
		{"shell", `f \{{.X}}`, "cannot be quoted"},
		{"shell", `f ${{if .X}}a{{else}}{{.X}}{{end}}`, "cannot be quoted"},
		{"shell", "f <<E\n{{.X}}\nE\n", "here documents"},
		{"shell", "f `{{.X}}`", "backquotes"},
		{"shell", `f {{if .X}}"{{end}}{{.X}}"`, "branches end differently"},
		{"shell", `f {{range .L}}"{{end}}`, "branches end differently"},
		{"shell", `f "a`, "ends within"},
		{"shell", `f {{quoted .X}}`, `function "quoted" not defined`},
		{"yaml", `x: "{{.X}}"`, "between quotation marks"},
		{"yaml", `x: '{{.X}}'`, "between quotation marks"},
		{"yaml", `x: a{{.X}}`, "complete scalar"},
		{"yaml", `x: {{.X}}b`, "but only the value would be quoted"},
		{"yaml", `x: {{.X}}{{.X}}`, "complete scalar"},
		{"yaml", `x: {{if .X}}{{.X}}{{end}}b`, "branches end differently"},
		{"yaml", "x: |\n  {{.X}}", "block scalars"},
		{"yaml$", `x: "{{.X}}"`, "between quotation marks"},
		{"yaml$", `x: ${{.X}}`, "complete scalar"},
		{"yaml", "- >-\n  {{.X}}", "block scalars"},
		{"toml", `x = "a {{.X}}"`, "between quotation marks"},
		{"html", `{{.X}}`, "unknown language"},
	} {
		_, err := compile("t", c.text, c.quote, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.quote, c.text, err, c.want)
		}
	}
}

func TestUnquotableValues(t *testing.T) {
	for _, c := range []struct {
		quote string
		value any
	}{{"shell", "a\x00b"}, {"yaml", "\xff"}, {"toml", "\xff"}, {"shell", 1.5}, {"yaml", nil}} {
		tmpl, err := compile("t", "{{.X}}", c.quote, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := render(tmpl, map[string]any{"X": c.value}); err == nil {
			t.Errorf("%s: %#v became %s", c.quote, c.value, got)
		}
	}
}

// TestTemplates compiles every bundled template, which checks where values are inserted.
func TestTemplates(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	l := s.Launch.Get()
	if len(l.Formats) < 3 || len(l.Fabrics) != 5 || len(l.Checks) < 9 {
		t.Errorf("%d formats, %d fabrics, %d checks", len(l.Formats), len(l.Fabrics), len(l.Checks))
	}
	for name := range l.Formats {
		if _, err := NewFormat(s, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if words := s.Field("launch.fabric").Type.Words; len(words) != len(l.Fabrics) {
		t.Errorf("--fabric allows %q, and there are %d fabrics", words, len(l.Fabrics))
	}
	for name, f := range l.Fabrics {
		if s.Field("launch.fabric").Type.Words == nil || f.Source == "" {
			t.Errorf("%s has no source", name)
		}
	}
}

// TestOptionsOfFormats checks that a format reads only the options in its own files, and in the
// parts that these files include.
func TestOptionsOfFormats(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		format, option string
		want           bool
	}{
		{"fio", "setup", true}, {"fio", "etcd_wait", false}, {"fio", "nodes", false},
		{"sh", "etcd_wait", true}, {"slurm", "nodes", true}, {"sh", "nodes", false}, {"sh", "networks", false},
	} {
		f, err := NewFormat(s, c.format)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Reads(c.option); got != c.want {
			t.Errorf("%s reads %s: %t, want %t", c.format, c.option, got, c.want)
		}
	}
}
