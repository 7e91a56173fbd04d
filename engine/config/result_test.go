package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"

	cueschema "kvbench/cue"
	"kvbench/engine/model"
	"kvbench/engine/schema"
	"kvbench/engine/schemagen"
	"kvbench/engine/source"
	"kvbench/models"
)

// aResult contains every field that a result can have.
const aResult = `{"kvbench":"v1","commit":"0123abc+dirty","role":"initiator","hash":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",` +
	`"point":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","repeat":1,"status":"ok","reasons":["a"],"notes":["b"],` +
	`"model":{"name":"M","file":"m.yaml","architecture":"m","params":{"layers":3,"types":["x",{"y":null}]}},` +
	`"config":{"file":null,"values":{"isl":{"value":256,"origin":"--isl"},"on":{"value":true,"origin":"o"}}},` +
	`"plan":{"quantities":{"block_size":{"value":4096,"unit":"B"}},"flags":{"mode":{"value":"SG","origin":"o"}},"stage":0,"group":"full"},` +
	`"nixlbench":{"release":"0.3.1","alike":["0.3.1"]},` +
	`"host":{"name":"n","os":"linux/amd64","cpu":"c","cpus":2,"memory_bytes":8,"gpus":["g"]},` +
	`"start":"2026-11-28T03:33:38.218383543Z","end":"2026-11-28T03:33:38+01:00","seconds":0.01,` +
	`"processes":[{"command":["a"],"environment":{"A":"b"},"exit_code":null,"signal":"s","error":"e","stopped":true,"stderr":""}],` +
	`"rows":[{"gb":16.9,"us":"inf"}],"warnings":["w"],"files":["f"],"output":"o"}`

// TestResultsAsCUE modifies a result in many ways, and checks that kvbench accepts a
// modified result if and only if CUE does.
func TestResultsAsCUE(t *testing.T) {
	d, l := loader(t)
	text, err := schemagen.CUE(model.NewLoader(d, cueschema.Files, models.Files), "results", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := cuecontext.New()
	def := ctx.CompileBytes(text).LookupPath(cue.ParsePath("#Result"))
	good := func(line string) bool { return ctx.CompileString(line).Unify(def).Validate(cue.Concrete(true)) == nil }
	if !def.Exists() || !good(aResult) {
		t.Fatal("the result is not valid")
	}
	var lines []string
	var whole any
	if err := json.Unmarshal([]byte(aResult), &whole); err != nil {
		t.Fatal(err)
	}
	// change replaces each part of v with other values and removes each field of a
	// mapping, one at a time. It appends every resulting line to lines.
	other := []string{"null", "true", "7", "-1", "1.5", "1.0", "1e2", "9223372036854775808", `""`, `"ok"`, `"nan"`, `"2026-01-01T00:00:00Z"`, "[]", "[1]", `["x"]`, "{}", `{"x":1}`, `{"value":1,"origin":"x"}`}
	var change func(v any, set func(any))
	change = func(v any, set func(any)) {
		for _, o := range other {
			set(json.RawMessage(o))
			line, err := json.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, string(line))
		}
		set(v)
		emit := func() {
			line, _ := json.Marshal(whole)
			lines = append(lines, string(line))
		}
		switch v := v.(type) {
		case map[string]any:
			for _, name := range schema.Keys(v) {
				item := v[name]
				delete(v, name)
				emit()
				change(item, func(x any) { v[name] = x })
			}
			v["nonsense"] = json.RawMessage("1")
			emit()
			delete(v, "nonsense")
		case []any:
			for i, item := range v {
				change(item, func(x any) { v[i] = x })
			}
		}
	}
	change(whole, func(x any) { whole = x })
	dir, refused, taken := t.TempDir(), 0, 0
	for i, line := range lines {
		if !strings.HasPrefix(line, "{") || os.Getenv("KVBENCH_FULL") == "" && i%5 > 0 {
			continue // lines that are not objects are rejected before the schema is used
		}
		file := filepath.Join(dir, "r.jsonl")
		if err := os.WriteFile(file, []byte(line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		err := l.Results(file)
		if want := good(line); (err == nil) != want {
			t.Errorf("line %d is valid in CUE: %t, but the error is %v\n%s", i, want, err, line)
		}
		if err != nil {
			refused++
		} else {
			taken++
		}
	}
	if refused < 20 || taken < 20 {
		t.Errorf("%d lines are rejected and %d are not", refused, taken)
	}
}

// TestResultsWrong checks the messages about invalid lines.
func TestResultsWrong(t *testing.T) {
	with := func(old, text string) string {
		if !strings.Contains(aResult, old) {
			t.Fatalf("there is no %s", old)
		}
		return strings.Replace(aResult, old, text, 1)
	}
	for line, want := range map[string]string{
		aResult:                                                          "",
		"  " + aResult + " \t\r":                                         "",
		with(`"status":"ok"`, `"status":"done"`):                         `status: "done" is not allowed: expected one of ok, suspect, failed, interrupted`,
		with(`"repeat":1`, `"repeat":0`):                                 `repeat: 0 is not allowed: expected a whole number, 1 or more`,
		with(`"repeat":1`, `"repeat":1.0`):                               `repeat: 1.0 is not allowed: expected a whole number, 1 or more`,
		with(`"repeat":1`, `"repeat":1,"repeat":1`):                      `repeat: given twice`,
		with(`"on":{`, `"isl":{`):                                        `config.values.isl: given twice`,
		with(`"gb":16.9`, `"gb":"fast"`):                                 `rows.0.gb: "fast" is not allowed: expected a number or a string that matches ^[+-]?(inf|nan)$`,
		with(`"host":{`, `"hots":{`):                                     `hots: field not allowed` + "\n" + `host: field is required but not present`,
		with(`"host":{"name":"n",`, `"host":{`):                          `host.name: field is required but not present`,
		with(`"notes":["b"]`, `"notes":"b"`):                             `notes: "b" is not allowed: expected a list`,
		with(`"notes":["b"]`, `"notes":[["b"]]`):                         `notes.0: a list is not allowed: expected a string`,
		with(`"output":"o"`, `"output":"`+strings.Repeat("o", 99)+`x`):   `this line is not JSON: unterminated string`,
		with(`"output":"o"`, `"output":[`+strings.Repeat("o", 99)+`]`):   `this line is not JSON: expected a value`,
		with(`"output":"o"`, `"output":[`+strings.Repeat("7,", 99)+`7]`): `output: a list is not allowed: expected a string`,
		with(`"output":"o"`, "\"output\":\"\xff\""):                      `this line is not UTF-8 text`,
		with(`"layers":3`, `"layers":`+strings.Repeat("[", 1<<20)):       `this line is not JSON: values are nested too deeply`,
		strings.Repeat(" ", 5<<20) + aResult:                             `this line is longer than 4 MiB; the rest of the file is not checked`,
		"7":                                                              `this line is not a JSON object`,
	} {
		file := filepath.Join(t.TempDir(), "r.jsonl")
		if err := os.WriteFile(file, []byte(line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, l := loader(t)
		got := ""
		if err := l.Results(file); err != nil {
			got = strings.ReplaceAll(err.Error(), file+":1: ", "")
		}
		if got != want {
			t.Errorf("%.60s…: %q, want %q", line, got, want)
		}
	}
}

// TestResultsHostile checks that files with a line of 3 MB, or with many bad lines, are
// handled quickly and with few messages. Each file takes less than a second on an idle
// machine.
func TestResultsHostile(t *testing.T) {
	for name, test := range map[string]struct{ text, last string }{
		"rows":    {`{"rows":[` + strings.Repeat(`{"a":"x"},`, 300_000) + `{}]}` + "\n", "and 299993 more"}, // 300,000 rows and 13 fields, less 20
		"names":   {"{" + strings.Repeat(`"a":1,`, 500_000) + `"a":1}` + "\n", "and 499995 more"},           // 500,001 names and 14 fields, less 20
		"lines":   {strings.Repeat("{}\n", 60_000), "and 839980 more"},                                      // 14 fields of each, less 20
		"nested":  {strings.Repeat(`{"a":`, 600_000) + "\n", "this line is not JSON: values are nested too deeply"},
		"text":    {strings.Repeat("not a result\n", 60_000), "and 59980 more"},
		"futile":  {strings.Repeat("not a result\n", 6_000_000), "no valid results up to this line; the rest of the file is not checked"},
		"good":    {strings.Repeat(aResult+"\n", 1000) + "x\n", "this line is not JSON: expected a value"},
		"twenty":  {strings.Repeat("[]\n", 20), "this line is not a JSON object"},
		"oneMore": {strings.Repeat("[]\n", 21), "and 1 more"},
	} {
		if name == "futile" && testing.Short() {
			continue
		}
		file := filepath.Join(t.TempDir(), name+source.ResultsExt)
		if err := os.WriteFile(file, []byte(test.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, l := loader(t)
		begin := time.Now()
		err := l.Results(file)
		if d := time.Since(begin); d > time.Minute {
			t.Errorf("%s took %v", name, d)
		}
		lines := strings.Split(fmt.Sprint(err), "\n")
		if last := lines[len(lines)-1]; len(lines) > 22 || !strings.HasSuffix(last, ": "+test.last) {
			t.Errorf("%s: %d lines, the last is %q, want %q", name, len(lines), last, test.last)
		}
	}
}

// FuzzResults checks that no line causes a panic or many messages.
func FuzzResults(f *testing.F) {
	f.Add([]byte(aResult + "\n"))
	f.Add([]byte("{}\n[]\n7\n\n{\"rows\":[{}],\"host\":null}\n{"))
	f.Add([]byte(`{"config":{"values":{"a":{"value":[],"origin":{}}}},"repeat":1e9}` + "\n"))
	name := filepath.Join(f.TempDir(), "r.jsonl")
	_, l := loader(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := l.Results(name); err != nil && strings.Count(err.Error(), "\n") > 20 {
			t.Errorf("%q: %v", text, err)
		}
	})
}
