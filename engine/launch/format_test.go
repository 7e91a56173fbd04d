package launch

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/engine/schemagen"
)

// batch is a data file that adds a format.
const batch = `package launch

formats: batch: {
	doc: "a list of commands"
	files: [{
		name: "jobs/{id}.cmd", quote: "shell", point: true
		text: #"""
			run {{.Point.Args}} # {{.Launch.partition}}
			{{range .Env}}{{.Name}}={{.Value}}
			{{end}}
			"""#
	}]
}
`

// schemaWith returns the schema with one more file in cue/launch.
func schemaWith(t *testing.T, text string) (*schema.Schema, error) {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS("../../cue"), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".cue") {
			data, err := os.ReadFile("../../cue/" + name)
			files[name] = &fstest.MapFile{Data: data}
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files["launch/batch.cue"] = &fstest.MapFile{Data: []byte(text)}
	return schemagen.Evaluate(files, os.DirFS("../../models"))
}

// planWith returns a plan with the given flags.
func planWith(s *schema.Schema, flags map[string]string) *plan.Plan {
	pl := &plan.Plan{Release: s.Nixlbench.Newest(), Request: &plan.Request{
		Model:  &model.Model{Arch: &schema.Architecture{}},
		Config: &config.Config{Values: map[string]data.Fact{}},
		Flags:  map[string]data.Fact{},
	}}
	for _, f := range s.Nixlbench.FlagsOf(pl.Release) {
		v := fit.Flag{Flag: f, Value: s.Nixlbench.FlagIn(f, pl.Release).Default}
		if text, ok := flags[f.Name]; ok {
			v.Value, v.Emit, v.From = formula.Text(text), true, fit.Given
			pl.Request.Flags[f.Name] = data.Fact{Value: v.Value}
		}
		pl.Flags = append(pl.Flags, v)
	}
	return pl
}

// TestFormatFromData checks that a data file is enough to add a format.
func TestFormatFromData(t *testing.T) {
	s, err := schemaWith(t, batch)
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewFormat(s, "batch")
	if err != nil {
		t.Fatal(err)
	}
	if !f.Reads("partition") || !f.Reads("fabric") || f.Reads("account") {
		t.Error("the options that the format reads are wrong")
	}
	in := &Input{
		Plans:   []*plan.Plan{planWith(s, map[string]string{"backend": "POSIX", "filepath": "a b; c"}), planWith(s, map[string]string{"backend": "POSIX"})},
		Repeat:  1,
		Release: s.Nixlbench.Newest(),
		Program: []string{"nixlbench"},
		Launch:  map[string]data.Fact{"partition": {Value: formula.Text("p")}, "fabric": {Value: formula.Text("tcp")}, "nics": {Value: formula.Text("eth0")}},
		Skip:    func(string) bool { return false },
	}
	j, err := f.Job(in)
	if err != nil {
		t.Fatal(err)
	}
	files, err := f.Render(j)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 3 || files[0].Name != ManifestName || files[1].Name != "jobs/0001.cmd" || files[2].Name != "jobs/0002.cmd" {
		t.Fatalf("files: %v", files)
	}
	want := "run --backend POSIX --filepath 'a b; c' # p\nUCX_NET_DEVICES=eth0\nUCX_TLS=tcp,self,sm,cuda_copy\n"
	if got := string(files[1].Text); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestFormatWrong checks that a format is rejected if it would not quote a value, or if
// it reads something that does not exist.
func TestFormatWrong(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"run {{.Point.Args}}", `run "{{.Point.Args}}"`, "between quotation marks"},
		{`quote: "shell"`, `quote: "perl"`, "quote"},
		{`quote: "shell", `, ``, "quote"},
		{"{{range .Env}}", "{{range .Env}", "bad character"},
		{`doc: "a list of commands"`, `doc: "a list", when: "never"`, "field not allowed"},
	} {
		s, err := schemaWith(t, strings.Replace(batch, c.old, c.new, 1))
		if err == nil {
			_, err = NewFormat(s, "batch")
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("with %s: %v, want %q", c.new, err, c.want)
		}
	}
	s, err := schemaWith(t, strings.Replace(batch, ".Launch.partition", ".Launch.colour", 1))
	if err != nil {
		t.Fatal(err)
	}
	f, err := NewFormat(s, "batch")
	if err != nil {
		t.Fatal(err)
	}
	in := &Input{Plans: []*plan.Plan{planWith(s, map[string]string{"backend": "POSIX"})}, Repeat: 1, Program: []string{"x"}, Release: s.Nixlbench.Newest(), Skip: func(string) bool { return false }}
	j, err := f.Job(in)
	if err == nil {
		_, err = f.Render(j)
	}
	if err == nil || !strings.Contains(err.Error(), `no entry for key "colour"`) {
		t.Errorf("an option that does not exist: %v", err)
	}
}
