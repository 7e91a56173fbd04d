package runner

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestCommands checks that briefs contain reasons and, if requested, commands, and that
// records with unusual parts can still be read.
func TestCommands(t *testing.T) {
	const hash = `"hash":"0000000000000000000000000000000000000000000000000000000000000000"`
	file := filepath.Join(t.TempDir(), "r.jsonl")
	text := `{` + hash + `,"status":"suspect","reasons":["a","b"],"processes":[{"command":["x","--a","","1 2"],"stderr":""},{"exit_code":0,"command":["y"]}]}
{` + hash + `,"status":"ok","processes":[7,{"command":null},{"command":["x",3,"z"]}],"host":{"name":7},"start":7}
{` + hash + `,"status":"ok","processes":null,"host":null}
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, keep := range []bool{true, false} {
		briefs := NewBriefs(nil, nil)
		if keep {
			briefs.KeepCommands()
		}
		read, err := briefs.Read(file, nil)
		if err != nil || read.Bad != nil || len(read.List) != 3 {
			t.Fatalf("%+v, %v", read, err)
		}
		if want := []string{"a", "b"}; !reflect.DeepEqual(read.List[0].Reasons, want) {
			t.Errorf("the reasons are %q", read.List[0].Reasons)
		}
		want := [][][]string{{{"x", "--a", "", "1 2"}, {"y"}}, {{"x", "z"}}, nil}
		for i, rec := range read.List {
			if got := rec.Commands(); keep && !reflect.DeepEqual(got, want[i]) || !keep && got != nil {
				t.Errorf("record %d, with commands %v: %q, want %q", i, keep, got, want[i])
			}
		}
	}
}
