package runner_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kvbench/engine/jsonl"
	"kvbench/engine/nixlbench"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

var someMeasures = []schema.Measure{{Key: "batch", ID: true}, {Key: "gb"}}

// TestBriefs checks which parts of a result are in its brief, and which lines are not
// results.
func TestBriefs(t *testing.T) {
	words := []string{"config_file", "stage", "group", "release", "isl", "block_size", "mode", "layers", "note", "big"}
	var names []runner.Name
	for _, w := range words {
		names = append(names, runner.Name{Name: w})
	}
	names = append(names, runner.Name{From: runner.FromFlags, Name: "mode"}, runner.Name{From: runner.FromConfig, Name: "isl"}, runner.Name{From: runner.FromRecord, Name: "architecture"})
	whole := `{"hash":"h1","point":"p","status":"ok","config":{"file":"c.yaml","values":{"isl":{"value":256,"origin":"o"},"mode":{"value":"mine"}}},` +
		`"plan":{"quantities":{"block_size":{"value":9007199254740993,"unit":"B"},"isl":{"value":1}},"flags":{"mode":{"value":"SG"},"config_file":{"value":"x"}},"stage":0,"group":"full"},` +
		`"nixlbench":{"release":"1.4.0"},"model":{"architecture":"m","params":{"layers":3,"mode":"other","note":"a\nb"}},"rows":[{"batch":4,"gb":1.50,"us":3},{"gb":"inf"}]}`
	for line, want := range map[string]string{
		whole:          "p ok config_file=c.yaml stage=0 group=full release=1.4.0 isl=1 block_size=9007199254740993 mode=mine layers=3 note=a\nb mode=SG isl=256 architecture=m [4 1.50] [ inf]",
		`{"hash":"h"}`: "h ",
		`{"hash":"h","status":"failed","config":{"file":null},"plan":{"stage":null,"group":""},"rows":null}`:       "h failed config_file=<nil>",
		`{"hash":"h","point":"","status":"odd","config":null,"plan":null,"model":null,"nixlbench":null,"rows":[]}`: "h odd",
		`{"hash":"old","hash":"h","status":"failed","status":"ok","rows":[{"gb":1}],"rows":[{"gb":2}]}`:            "h ok [ 2]",
		`{"hash":"h","plan":{"quantities":{"big":{"value":1e999}}}}`:                                               "h  big=1e999",
		`{"hash":"h","rows":[{"gb":1e400},{"gb":"-nan"},{"batch":123456789012345678901234567890}]}`:                "h  [ 1e400] [ -nan] [123456789012345678901234567890 ]",
		`{"hash":"h","model":{"params":{"note":"` + strings.Repeat("é", 5000) + `"}}}`:                             "h  note=" + strings.Repeat("é", 512) + "…",
		`{"hash":"h","rows":[{"gb":"fast"}]}`:                                                                      "none",
		`{"hash":"h","rows":[{"gb":null}]}`:                                                                        "none",
		`{"hash":"h","rows":[{"gb":` + strings.Repeat("1", 200) + `}]}`:                                            "none",
		`{"hash":"h","rows":{}}`:  "none",
		`{"hash":"h","config":3}`: "none",
		`{"hash":7}`:              "none",
		`{"hash":""}`:             "none",
		`{"hash":"` + strings.Repeat("h", 200) + `"}`: "none",
		`{"status":"ok"}`:           "none",
		`{"hash":"h"} {"hash":"h"}`: "none",
		`{"hash":"h","x":` + strings.Repeat(`{"x":`, 1000) + `1` + strings.Repeat("}", 1001): "none",
		`["hash"]`: "none", `"hash"`: "none", `7`: "none",
	} {
		name := filepath.Join(t.TempDir(), "r.jsonl")
		write(t, name, line+"\n")
		b := runner.NewBriefs(names, someMeasures)
		got := "none"
		if res, err := b.Read(name, nil); err == nil && len(res.List) == 1 {
			r := res.List[0]
			got = r.Point + " " + string(r.Status)
			for _, name := range names {
				if v, ok := r.Value(name.From, name.Name); ok {
					got += fmt.Sprintf(" %s=%v", name.Name, v)
				}
			}
			for _, row := range r.Rows {
				batch, _ := row.Get("batch")
				gb, _ := row.Get("gb")
				got += fmt.Sprintf(" [%s %s]", batch, gb)
			}
		} else if want := name + ":1: this line is not a kvbench result"; err == nil || err.Error() != want {
			t.Errorf("%.60s: the error is %v, want %s", line, err, want)
		}
		if got != want {
			t.Errorf("%.60s: the brief is %q, want %q", line, got, want)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestBriefsFile checks that lines that are not results are reported, and that all other
// lines are read.
func TestBriefsFile(t *testing.T) {
	const ok = `{"kvbench":"v","hash":"h","status":"ok"}` + "\n"
	long := strings.Repeat("x", jsonl.MaxLine+1) + "\n"
	for _, test := range []struct {
		text, err, bad string
		n              int
		torn           bool
	}{
		{text: "", err: "no results found"},
		{text: "\n \r\n\t\n", err: "no results found"},
		{text: "\ufeff" + ok, n: 1},
		{text: strings.ReplaceAll(ok+ok, "\n", "\r\n"), n: 2},
		{text: ok + "{\n" + ok + "\x00\n", n: 2, bad: ":2: this line and 1 more are not kvbench results"},
		{text: ok + long + ok, err: ":2: this line is longer than 4 MiB, so it cannot be a result"},
		{text: ok + `{"kvbench":"half`, n: 1, torn: true},
		{text: `{"kvbench":"half`, err: "no complete results: the only line is truncated", torn: true},
		{text: ok + strings.TrimSuffix(ok, "\n"), n: 2},
		{text: ok + "{}\n" + strings.TrimSuffix(long, "\n"), err: ":3: this line is longer than 4 MiB, so it cannot be a result"},
		{text: "{\n[]\n", err: ":1: this line and 1 more are not kvbench results"},
	} {
		name := filepath.Join(t.TempDir(), "r.jsonl")
		write(t, name, test.text)
		res, err := runner.NewBriefs(nil, someMeasures).Read(name, nil)
		said := func(err error) string {
			if err == nil {
				return ""
			}
			return strings.TrimPrefix(strings.ReplaceAll(err.Error(), name, ""), ": ")
		}
		if got := said(err); got != test.err {
			t.Errorf("%.40q: the error is %q, want %q", test.text, got, test.err)
		}
		if err != nil {
			continue
		}
		if len(res.List) != test.n || res.Torn != test.torn || said(res.Bad) != test.bad {
			t.Errorf("%.40q: %d results, torn %t, %q; want %d, %t, %q", test.text, len(res.List), res.Torn, said(res.Bad), test.n, test.torn, test.bad)
		}
	}
}

// TestBriefsBounds checks that a file without results is not read to its end. With
// KVBENCH_FULL, it also checks that a file is rejected if its results need too much
// memory.
func TestBriefsBounds(t *testing.T) {
	name := filepath.Join(t.TempDir(), "r.jsonl")
	write(t, name, "")
	if err := os.Truncate(name, 1<<40); err != nil { // without a newline
		t.Skip(err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Repeat(strings.Repeat("x", 1<<20)+"\n", 70)); err != nil {
		t.Fatal(err)
	}
	if _, err := runner.NewBriefs(nil, someMeasures).Read(name, nil); err == nil || err.Error() != name+":1: this line and 63 more are not kvbench results" {
		t.Errorf("the error is %v", err)
	}
	if os.Getenv("KVBENCH_FULL") == "" {
		t.Skip("set KVBENCH_FULL=1 to read a file of 160 MB as well")
	}
	// A row needs 96 bytes of memory, so 60 lines with 300,000 rows each need too much.
	write(t, name, strings.Repeat(`{"hash":"h","rows":[`+strings.Repeat(`{"gb":1},`, 300_000)+`{}]}`+"\n", 60))
	if _, err := runner.NewBriefs(nil, someMeasures).Read(name, nil); err == nil || !strings.Contains(err.Error(), "use 384 MiB of memory, the limit for one file") {
		t.Errorf("the error is %v", err)
	}
}

// TestJournalLong checks that an incomplete last line of any allowed length is moved to
// the .torn file. It also checks that lines that are not results do not count as done,
// and that the results before and after such lines are found.
func TestJournalLong(t *testing.T) {
	name := filepath.Join(t.TempDir(), "r.jsonl")
	record := func(hash, status, output string) string {
		return fmt.Sprintf(`{"kvbench":"v","hash":%q,"status":%q,"output":%q}`+"\n", hash, status, output)
	}
	torn := `{"kvbench":"`
	torn += strings.Repeat("x", jsonl.MaxLine-len(torn))
	lines := record("a", "ok", "1") + "\n  " + record("b", "failed", "2") + "damaged\n" + strings.Repeat("x", jsonl.MaxLine) + "\n" + record("b", "ok", "3") + record("a", "ok", "4")
	write(t, name, lines+torn)
	j, err := runner.OpenJournal(name, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if got, _ := os.ReadFile(name + ".torn"); string(got) != torn+"\n" {
		t.Errorf("%d bytes were moved, want %d", len(got), len(torn)+1)
	}
	if got, _ := os.ReadFile(name); string(got) != lines {
		t.Errorf("the journal still has %d bytes, want %d", len(got), len(lines))
	}
	want := name + ":4: this line and 1 more are not kvbench results"
	if j.Bad == nil || j.Bad.Error() != want {
		t.Errorf("the error about bad lines is %v, want %s", j.Bad, want)
	}
	got := ""
	for _, hash := range []string{"a", "b", "a", "b", "a", "c"} {
		if rec := j.Done(hash); rec != nil {
			got += rec.Hash + rec.Output + " "
		} else {
			got += "- "
		}
	}
	if got != "a1 b3 a4 - - - " {
		t.Errorf("the results found are %s", got)
	}
}

// TestJournalEndless checks that a file with a line that may never end is rejected at
// once, wherever the line is, and that the file is not changed.
func TestJournalEndless(t *testing.T) {
	const ok = `{"kvbench":"v","hash":"h","status":"ok"}` + "\n"
	name := filepath.Join(t.TempDir(), "r.jsonl")
	for text, want := range map[string]string{
		"": ":1: this line is longer than 4 MiB, so it cannot be a result",
		ok: ": the last line is longer than 4 MiB, so it cannot be a result",
	} {
		write(t, name, text)
		if err := os.Truncate(name, 1<<40); err != nil {
			t.Skip(err)
		}
		if _, err := runner.OpenJournal(name, true, nil); err == nil || err.Error() != name+want {
			t.Errorf("the error is %v, want %s", err, want)
		}
		if info, err := os.Stat(name); err != nil || info.Size() != 1<<40 {
			t.Errorf("the file is now %v: %v", info, err)
		}
	}
	write(t, name, ok+strings.Repeat("x", jsonl.MaxLine+1)+"\n"+ok)
	if _, err := runner.OpenJournal(name, true, nil); err == nil || err.Error() != name+":2: this line is longer than 4 MiB, so it cannot be a result" {
		t.Errorf("the error is %v", err)
	}
}

// TestJournalTornElsewhere checks that the incomplete line is not written to a .torn file
// that is not a regular file.
func TestJournalTornElsewhere(t *testing.T) {
	dir := t.TempDir()
	name, other := filepath.Join(dir, "r.jsonl"), filepath.Join(dir, "other")
	text := `{"kvbench":"v","hash":"h"}` + "\n" + `{"kvbench":"half`
	for _, test := range []struct {
		put  func(string) error
		want string
	}{
		{func(torn string) error { return syscall.Mkfifo(torn, 0o644) }, "is not a regular file"},
		{func(torn string) error { return os.Symlink(other, torn) }, "is a symbolic link; nothing written"},
		{func(torn string) error { return os.Mkdir(torn, 0o755) }, "is a directory"},
	} {
		write(t, name, text)
		if err := test.put(name + ".torn"); err != nil {
			t.Skip(err)
		}
		if _, err := runner.OpenJournal(name, false, nil); err == nil || err.Error() != name+".torn: "+test.want {
			t.Errorf("the error is %v, want %s", err, test.want)
		}
		if got, _ := os.ReadFile(name); string(got) != text {
			t.Errorf("the file is now %q", got)
		}
		if _, err := os.Lstat(other); err == nil {
			t.Error("the link was followed")
		}
		os.Remove(name + ".torn")
	}
}

// TestJournalAdd checks that a line is at most 4 MiB long, and that the result has notes
// on what was omitted.
func TestJournalAdd(t *testing.T) {
	many := func(n int, text string) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = text
		}
		return list
	}
	rows := make([]nixlbench.Row, 100_000)
	for i := range rows {
		rows[i] = nixlbench.Row{"gb": "1.5", "bandwidth": "16.000000", "latency": "123456.7"}
	}
	kib := strings.Repeat("x", 1024)
	for _, test := range []struct {
		rec    runner.Record
		notes  string
		rows   int
		status runner.Status
		err    string
	}{
		{rec: runner.Record{Status: runner.OK, Output: kib, Rows: rows[:9]}, rows: 9, status: runner.OK},
		{rec: runner.Record{Status: runner.OK, Warnings: many(4096, kib), Rows: rows[:9]}, notes: "the result was longer than 4 MiB; omitted: warnings", rows: 9, status: runner.OK},
		{rec: runner.Record{Status: runner.Failed, Output: strings.Repeat("\x01", 1<<20)}, notes: "the result was longer than 4 MiB; omitted: output", status: runner.Failed},
		{rec: runner.Record{Status: runner.OK, Rows: rows}, notes: "the result was longer than 4 MiB; omitted: rows after the first 1000", rows: 1000, status: runner.Suspect},
		{
			rec: runner.Record{Status: runner.OK, Files: many(5000, kib), Processes: []runner.ProcessResult{{Command: many(4100, kib), Stderr: kib}}},
			notes: "the result was longer than 4 MiB; omitted: files|" +
				"the result was longer than 4 MiB; omitted: commands and stderr of processes",
			status: runner.OK,
		},
		{rec: runner.Record{Status: runner.OK, Model: runner.Model{Params: map[string]any{"a": many(5000, kib)}}}, err: "r.jsonl: cannot save the result: it is longer than 4 MiB"},
	} {
		name := filepath.Join(t.TempDir(), "r.jsonl")
		j, err := runner.OpenJournal(name, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		test.rec.Hash = "h"
		err = j.Add(&test.rec)
		j.Close()
		data, _ := os.ReadFile(name)
		if test.err != "" {
			if err == nil || !strings.HasSuffix(err.Error(), test.err) || len(data) > 0 {
				t.Errorf("the error is %v, and %d bytes were written", err, len(data))
			}
			continue
		}
		var got runner.Record
		if json.Unmarshal(data, &got) != nil || err != nil {
			t.Errorf("%q cannot be read: %v", data[:min(len(data), 100)], err)
		}
		if len(data) > jsonl.MaxLine+1 || strings.Join(got.Notes, "|") != test.notes || len(got.Rows) != test.rows || got.Status != test.status || len(test.rec.Notes) != len(got.Notes) {
			t.Errorf("%d bytes, %q, %d rows, %s; want %q, %d, %s", len(data), got.Notes, len(got.Rows), got.Status, test.notes, test.rows, test.status)
		}
	}
}

// FuzzBriefs checks that lines with any content can be read, and that only valid JSON
// is accepted as a result.
func FuzzBriefs(f *testing.F) {
	f.Add([]byte(`{"hash":"h","status":"ok","rows":[{"gb":1.5}],"plan":{"flags":{"mode":{"value":"SG"}},"stage":1}}`))
	f.Add([]byte(`{"hash":"\u0068","point":null,"rows":[{"gb":"-inf"},{}]}`))
	f.Add([]byte("\ufeff{\"hash\":\"h\"}\r\n\n{\"hash\":\"h\",\"model\":{\"params\":{\"mode\":[1]}}}\n{"))
	name := filepath.Join(f.TempDir(), "r.jsonl")
	f.Fuzz(func(t *testing.T, text []byte) {
		write(t, name, string(text))
		res, err := runner.NewBriefs([]runner.Name{{Name: "mode"}, {Name: "stage"}, {From: runner.FromRecord, Name: "config_file"}}, someMeasures).Read(name, nil)
		if err != nil {
			return
		}
		valid := 0
		for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
			if json.Valid([]byte(line)) {
				valid++
			}
		}
		if len(res.List) > valid {
			t.Errorf("%q: %d results in %d lines of JSON", text, len(res.List), valid)
		}
		for _, r := range res.List {
			if r.Value(runner.FromAny, "mode"); r.Point == "" {
				t.Errorf("%q: a result has no point", text)
			}
		}
	})
}
