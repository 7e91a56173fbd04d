package nixlbench_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/schema"
)

func load(t testing.TB) *schema.Schema {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// read passes text to a table, line by line.
func read(t testing.TB, text string) *nixlbench.Table {
	t.Helper()
	table := nixlbench.NewTable(&load(t).Nixlbench, nil)
	for line := range strings.Lines(text) {
		table.Line(strings.TrimSuffix(line, "\n"), strings.HasSuffix(line, "\n"))
	}
	return table
}

// TestRank checks that a process's rank is found in captured output and in lines of the right
// form, and that it is not found in similar lines.
func TestRank(t *testing.T) {
	for file, want := range map[string]int64{
		"main-2025-06-09.op_type_bad.txt":        0,
		"main-2026-08-21.ucx_asio_process_a.txt": 0,
		"main-2026-08-21.ucx_asio_process_b.txt": 1,
		"main-2026-08-21.write_ok.txt":           -1, // storage, without a runtime
	} {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, string(data)).Rank; got != want {
			t.Errorf("%s: rank %d, want %d", file, got, want)
		}
	}
	for line, want := range map[string]int64{
		"ETCD Runtime: Registered as rank 12 item 13 of 16":                        12,
		"Init nixl worker, dev mlx5_0,mlx5_1 rank 3, type target, hostname n rank": 3,
		"ETCD Runtime: Registered as rank 7":                                       7,
		"x ETCD Runtime: Registered as rank 7 item":                                -1,
		"ETCD Runtime: Registered as rank one item":                                -1,
		"ETCD Runtime: Registered as rank 7th item":                                -1,
		"ETCD Runtime: Registered as rank 99999999999999999999 item":               -1,
		"Rank 2 is greater than or equal to global size 2":                         -1,
	} {
		if got := read(t, line+"\n").Rank; got != want {
			t.Errorf("%s: rank %d, want %d", line, got, want)
		}
	}
}

// TestCaptured reads captured output of real runs.
func TestCaptured(t *testing.T) {
	for file, want := range map[string]struct {
		rows     string
		odd      int64
		warnings int
	}{
		"main-2025-06-09.op_type_bad.txt": {`[{"avg_latency_us":1.89648,"bandwidth_gb_per_s":311.009,"bandwidth_gib_per_s":289.65,"bandwidth_mib_per_s":296601,"batch_size":16,"block_size_bytes":589824}]`, 0, 2},
		"main-2025-06-09.num_iter_0.txt":  {`[{"avg_latency_us":"inf","bandwidth_gb_per_s":0,"bandwidth_gib_per_s":0,"bandwidth_mib_per_s":0,"batch_size":16,"block_size_bytes":589824}]`, 1, 1},
		"main-2026-08-21.ucx_asio_process_a.txt": {`[` +
			`{"avg_latency_us":216.8,"avg_post_us":65.3,"avg_prep_us":20.0,"avg_tx_us":149.6,"bandwidth_gb_per_s":0.302270,"batch_size":1,"block_size_bytes":65536,"p99_post_us":118.0,"p99_prep_us":20.0,"p99_tx_us":1832.0},` +
			`{"avg_latency_us":75.8,"avg_post_us":124.2,"avg_prep_us":45.0,"avg_tx_us":24.1,"bandwidth_gb_per_s":0.865162,"batch_size":2,"block_size_bytes":65536,"p99_post_us":155.0,"p99_prep_us":45.0,"p99_tx_us":109.0},` +
			`{"avg_latency_us":491.8,"avg_post_us":118.2,"avg_prep_us":39.0,"avg_tx_us":370.2,"bandwidth_gb_per_s":0.266508,"batch_size":1,"block_size_bytes":131072,"p99_post_us":183.0,"p99_prep_us":39.0,"p99_tx_us":5285.0},` +
			`{"avg_latency_us":172.6,"avg_post_us":340.0,"avg_prep_us":32.0,"avg_tx_us":2.2,"bandwidth_gb_per_s":0.759562,"batch_size":2,"block_size_bytes":131072,"p99_post_us":403.0,"p99_prep_us":32.0,"p99_tx_us":18.0}]`, 0, 0},
		"main-2026-08-21.ucx_asio_process_b.txt":   {`null`, 0, 0}, // the target prints no rows
		"main-2026-08-21.start_block_gt_max.txt":   {`null`, 0, 2},
		"main-2026-08-21.pipeline_4_exact_fit.txt": {`null`, 0, 0},
	} {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		table := read(t, string(data))
		got, err := json.Marshal(table.Rows)
		if err != nil || table.Err() != nil {
			t.Errorf("%s: %v, %v", file, err, table.Err())
		}
		if string(got) != want.rows {
			t.Errorf("the rows of %s are\n%s\nwant\n%s", file, got, want.rows)
		}
		var facts nixlbench.Facts
		facts.Tally([]*nixlbench.Table{table})
		if facts.OddRows != want.odd || len(table.Warnings) != want.warnings {
			t.Errorf("%s: %d odd rows, %d warnings; want %d, %d", file, facts.OddRows, len(table.Warnings), want.odd, want.warnings)
		}
	}
}

const newHeading = "Block Size (B)      Batch Size     B/W (GB/Sec)   Avg Lat. (us)  Avg Prep (us)  P99 Prep (us)  Avg Post (us)  P99 Post (us)  Avg Tx (us)    P99 Tx (us)    \n"

func TestTable(t *testing.T) {
	const row = "589824              16             16.925787      34.8           33.0           33.0           551.8          849.0          4.0            7.0            \n"
	for _, test := range []struct {
		name, text string
		rows       int
		err        string // the beginning of the error
	}{
		{"plain", newHeading + "----\n" + row + row, 2, ""},
		{"no heading", row, 0, ""},
		{"log lines between", newHeading + row + "[1795447189.047303] [host:24318:0] UCX WARN\n0 errors so far\n" + row, 2, ""},
		{"windows line ends", strings.ReplaceAll(newHeading+row, "\n", "\r\n"), 1, ""},
		{"no end of line", newHeading + strings.TrimSpace(row), 0, "the last row of the table is incomplete"},
		{"cut off", newHeading + row + "589824              16             16.9", 1, "a row of the table does not match its heading"},
		{"too many numbers", newHeading + strings.TrimSpace(row) + "  1.0\n", 0, "a row of the table does not match its heading"},
		{"not a number", newHeading + strings.Replace(row, "34.8", "fast", 1), 0, "a row of the table does not match its heading"},
		{"another column", strings.Replace(newHeading, "P99 Tx (us)", "P50 Tx (us)", 1) + row, 0, "unknown table heading"},
		{"a column less", strings.Replace(newHeading, "P99 Tx (us)", "", 1) + row, 0, "unknown table heading"},
		{"columns in another order", "Batch Size     Block Size (B)\n" + row, 0, ""},
		{"more than two processes", "Block Size (B)      Batch Size     B/W (GB/Sec)   Aggregate B/W (GB/Sec)   Network Util (%)    Avg Lat. (us)  Avg Prep (us)  P99 Prep (us)  Avg Post (us)  P99 Post (us)  Avg Tx (us)    P99 Tx (us)    \n" +
			"1 2 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0 11.0 12.0\n", 1, ""},
		{"more than two processes, early", "Block Size (B)      Batch Size     Avg Lat. (us)  B/W (MiB/Sec)  B/W (GiB/Sec)  B/W (GB/Sec)   Aggregate B/W (GB/Sec)   Network Util (%)    \n" +
			"1 2 3 4 5 6 7 8\n", 1, ""},
	} {
		table := read(t, test.text)
		message := ""
		if table.Err() != nil {
			message = table.Err().Error()
		}
		if len(table.Rows) != test.rows || !strings.HasPrefix(message, test.err) || (message == "") != (test.err == "") {
			t.Errorf("%s: %d rows and %q, want %d and %q", test.name, len(table.Rows), message, test.rows, test.err)
		}
	}
}

// TestTableLong checks that only the first rows of an endless table are saved.
func TestTableLong(t *testing.T) {
	table := nixlbench.NewTable(&load(t).Nixlbench, nil)
	for range 4096 {
		table.Line("1 2 3 4 5 6 7 8 9 10", true) // before the heading, it is not a row
	}
	for line := range strings.Lines(newHeading + strings.Repeat("1 2 3 4 5 6 7 8 9 10\n", 5000)) {
		table.Line(strings.TrimSuffix(line, "\n"), true)
	}
	if len(table.Rows) != 4096 || table.Count != 5000 || table.Err() != nil {
		t.Fatalf("%d of %d rows are saved, with error %v; want 4096 of 5000", len(table.Rows), table.Count, table.Err())
	}
}

// FuzzTable checks that any output can be read, and that the rows can be saved.
func FuzzTable(f *testing.F) {
	f.Add(newHeading + "1 2 3 4 5 6 7 8 9 inf\n")
	f.Add(newHeading + "0x1p-2 1_0 +Inf nan 5 6 7 8 9 1e999\n")
	f.Add("\x00\xff\n")
	n := &load(f).Nixlbench
	f.Fuzz(func(t *testing.T, text string) {
		table := nixlbench.NewTable(n, nil)
		for line := range strings.Lines(text) {
			table.Line(strings.TrimSuffix(line, "\n"), strings.HasSuffix(line, "\n"))
		}
		data, err := json.Marshal(table.Rows)
		if err != nil {
			t.Fatal(err)
		}
		var back []nixlbench.Row
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if len(back) != len(table.Rows) || len(back) > 0 && !reflect.DeepEqual(back, table.Rows) {
			t.Errorf("%v became %v", table.Rows, back)
		}
	})
}

// TestProbe checks that real programs are identified by their output.
func TestProbe(t *testing.T) {
	n := &load(t).Nixlbench
	for _, release := range []string{"main-2025-06-09", "main-2026-08-21"} {
		data, err := os.ReadFile(filepath.Join("testdata", release+".helpxml.xml"))
		if err != nil {
			t.Fatal(err)
		}
		flags, err := nixlbench.ReadFlags(n.Runs.Get().Probe, append([]byte("WARNING: a line of a log\n"), data...))
		if err != nil {
			t.Fatal(err)
		}
		in := nixlbench.Identify(n, flags)
		if in.Release != release || len(in.Alike) != 1 || len(in.Differences) != 0 {
			t.Errorf("%s was identified as %s (%v), which differs in %v", release, in.Release, in.Alike, in.Differences)
		}
		// With a different default, a missing flag and an additional flag, the program
		// does not match any known release.
		delete(flags, "num_iter")
		flags["surprise"] = schema.OwnFlag{Type: "bool", Default: formula.Truth(false)}
		flags["total_buffer_size"] = schema.OwnFlag{Type: "uint64", Default: formula.Number(1)}
		in = nixlbench.Identify(n, flags)
		var text []string
		for _, d := range in.Differences {
			text = append(text, d.String())
		}
		want := "--num_iter is missing\n--surprise is new (bool, default \"false\")\n--total_buffer_size is uint64, default \"1\" instead of uint64, default \"8589934592\""
		if got := strings.Join(text, "\n"); in.Release != release || in.Alike != nil || got != want {
			t.Errorf("%s, %v:\n%s\nwant\n%s", in.Release, in.Alike, got, want)
		}
	}
	for name, text := range map[string]string{
		"nothing":      "",
		"cut off":      "<AllFlags><flag><file>x/utils.cpp</file><name>a</name>",
		"no own flags": "<AllFlags><flag><file>gflags.cc</file><name>help</name><type>bool</type></flag></AllFlags>",
		"odd default":  "<AllFlags><flag><file>x/utils.cpp</file><name>a</name><default>many</default><type>int32</type></flag></AllFlags>",
	} {
		if flags, err := nixlbench.ReadFlags(n.Runs.Get().Probe, []byte(text)); err == nil {
			t.Errorf("the differences from %s are %v", name, flags)
		}
	}
}

// TestAlike checks that releases with equal flags are not distinguished, and that all
// others are.
func TestAlike(t *testing.T) {
	n := &load(t).Nixlbench
	groups := [][]string{{"0.2.0", "0.2.1"}, {"0.4.0", "0.4.1"}, {"0.7.0", "0.7.1", "0.8.0", "0.9.0"}, {"0.10.0", "0.10.1"},
		{"1.0.0", "1.0.1"}, {"1.3.0", "1.3.1", "1.4.0-rc2", "1.4.0-rc3", "1.4.0"}}
	for _, release := range n.Releases {
		want := []string{release}
		for _, g := range groups {
			if bytes.Contains([]byte(" "+strings.Join(g, " ")+" "), []byte(" "+release+" ")) {
				want = g
			}
		}
		flags := map[string]schema.OwnFlag{}
		for _, f := range n.FlagsOf(release) {
			era := n.FlagIn(f, release)
			flags[f.Name] = schema.OwnFlag{Type: era.Type, Default: era.Default}
		}
		if in := nixlbench.Identify(n, flags); !reflect.DeepEqual(in.Alike, want) || in.Release != want[len(want)-1] {
			t.Errorf("%s is identified as %s, one of %v, want one of %v", release, in.Release, in.Alike, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for command, want := range map[string][]string{
		"nixlbench":                   {"nixlbench"},
		"  srun  -n1\tnixlbench ":     {"srun", "-n1", "nixlbench"},
		`'/opt/my tools/nixlbench'`:   {"/opt/my tools/nixlbench"},
		`docker exec c "a b"'c'd\ e`:  {"docker", "exec", "c", "a bcd e"},
		`env A='$HOME' "B=\"x\"" run`: {"env", "A=$HOME", `B="x"`, "run"},
		`a '' ""`:                     {"a", "", ""},
		`"a\b"`:                       {`a\b`},
		"nixlbench | tee log":         nil,
		"$(which nixlbench)":          nil,
		"nixlbench &":                 nil,
		`"unended`:                    nil,
		`ends\`:                       nil,
		"":                            nil,
		"  ":                          nil,
	} {
		got, err := nixlbench.Split(command)
		if (err != nil) != (want == nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%q is split into %q (%v), want %q", command, got, err, want)
		}
	}
}

// FuzzSplit checks that splitting is the inverse of quoting for words that do not need
// escapes.
func FuzzSplit(f *testing.F) {
	f.Add("a", "b c")
	f.Add("it's", "$HOME \"")
	f.Add("::a", "\\")
	f.Fuzz(func(t *testing.T, a, b string) {
		command := nixlbench.Quote(a) + " " + nixlbench.Quote(b)
		if strings.Contains(command, "$'") {
			return
		}
		got, err := nixlbench.Split(command)
		if err != nil || !reflect.DeepEqual(got, []string{a, b}) {
			t.Errorf("%q and %q became %q (%v)", a, b, got, err)
		}
	})
}
