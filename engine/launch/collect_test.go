package launch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// TestCollectWrong checks that manifests and logs are rejected if kvbench or its jobs
// could not have written them.
func TestCollectWrong(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Repeat("a", 64)
	record := `{"hash":"` + hash + `","repeat":1,"model":{"params":{}},"nixlbench":{"release":"1.4.0"},"plan":{"flags":{"backend":{"value":"POSIX"}}}}`
	for _, c := range []struct{ manifest, want string }{
		{"", "no points found"},
		{"\n\n", "no points found"},
		{"x", "not describe one of the job's points"},
		{"[]", "not describe one of the job's points"},
		{`{"point":"../../x","processes":1,"record":` + record + `}`, "not describe one of the job's points"},
		{`{"point":"1","processes":0,"record":` + record + `}`, "not describe one of the job's points"},
		{`{"point":"1","processes":999999999,"record":` + record + `}`, "not describe one of the job's points"},
		{`{"point":"1","processes":1}`, "not describe one of the job's points"},
		{`{"point":"1","processes":1,"record":` + strings.Replace(record, hash, "a", 1) + `}`, "not describe one of the job's points"},
		{`{"point":"1","processes":1,"record":` + strings.Replace(record, "1.4.0", "9.9", 1) + `}`, "the plan is for nixlbench 9.9, which is not a known release"},
		{`{"point":"1","processes":1,"record":` + strings.Replace(record, "backend", "frontend", 1) + `}`, "nixlbench has no flag frontend"},
		{`{"point":"1","processes":1,"record":` + strings.Replace(record, "POSIX", "FLOPPY", 1) + `}`, "FLOPPY is not a known backend"},
		{`{"point":"1","processes":1,"record":` + record + `}`, ""},
	} {
		dir := t.TempDir()
		logs := filepath.Join(dir, "logs", "1", "1")
		if err := os.MkdirAll(logs, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"manifest.ndjson": c.manifest, "logs/1/1/start": "1\n", "logs/1/1/0.out": "\x00\xff", "logs/1/1/0.exit": "x"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		l, err := FindLogs(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		_, err = l.Collect(&runner.Session{Schema: s}, func(e *Entry) error { got = string(e.Record.Status); return nil })
		switch {
		case c.want == "" && (err != nil || got != "interrupted"):
			t.Errorf("%s: %v, %s", c.manifest, err, got)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.manifest, err, c.want)
		}
	}
}
