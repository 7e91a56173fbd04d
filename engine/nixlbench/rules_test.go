package nixlbench_test

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
)

// blank is a plan to which the tests add flags.
var blank = &plan.Plan{Request: &plan.Request{Config: &config.Config{Values: map[string]data.Fact{
	"source":      {Value: formula.Value{Kind: formula.Str, Str: "memory"}},
	"destination": {Value: formula.Value{Kind: formula.Str, Str: "file"}},
}}}}

func rules(t *testing.T, backend string) *nixlbench.Rules {
	t.Helper()
	r, err := nixlbench.NewRules(load(t), "main-2026-08-21", backend)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func numbers(values map[string]int64) []fit.Flag {
	var flags []fit.Flag
	for name, v := range values {
		flags = append(flags, flag(name, formula.Value{Kind: formula.Num, Num: formula.Int(v)}))
	}
	return flags
}

// TestDirectAlignment checks that the file system's alignment determines whether direct
// I/O of a block can be trusted, and that the alignment is assumed to be 512 bytes if it
// is unknown.
func TestDirectAlignment(t *testing.T) {
	r := rules(t, "POSIX")
	for _, test := range []struct {
		block, align int64
		want         bool // whether a doubt about the result is expected
	}{
		{13312, 0, false}, // 26 x 512
		{13312, 512, false},
		{13312, 1024, false}, // 13 x 1024
		{13312, 4096, true},
		{13313, 0, true},
		{13313, 1, false},
		{100, 512, true},
		{8192, 4096, false},
	} {
		flags := append(numbers(map[string]int64{"start_block_size": test.block, "max_block_size": test.block}),
			flag("storage_enable_direct", formula.Value{Kind: formula.Bool, Bool: true}))
		verdict, err := r.Doubts(blank, flags, &nixlbench.Facts{Rows: 1, DIOAlign: test.align})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(verdict.Reasons, "\n"), "alignment for direct I/O"); got != test.want {
			t.Errorf("blocks of %d bytes on a file system with alignment %d: the reasons are %q", test.block, test.align, verdict.Reasons)
		}
	}
}

// TestAsked checks that sizes double from the first up to the last.
func TestAsked(t *testing.T) {
	r := rules(t, "POSIX")
	for _, test := range []struct {
		firstBlock, lastBlock, firstBatch, lastBatch int64
		rows                                         string // block x batch
		missing, unasked, repeated                   int64
	}{
		{4096, 4096, 1, 1, "4096x1", 0, 0, 0},
		{4096, 16384, 1, 1, "4096x1 8192x1 16384x1", 0, 0, 0},
		{4096, 16383, 3, 7, "4096x3 8192x3 4096x6 8192x6", 0, 0, 0},
		{4096, 16384, 1, 1, "4096x1 16384x1", 1, 0, 0},
		{4096, 4096, 1, 1, "4096x2", 1, 1, 0},
		{4096, 4096, 1, 1, "4096x1 4096x1 4096x1", 0, 0, 2},
		{8192, 4096, 1, 1, "", 0, 0, 0}, // none is requested
		{8192, 4096, 1, 1, "4096x1", 0, 1, 0},
		{0, 4096, 1, 1, "4096x1", 0, 0, 0}, // the requested sizes are unknown
		{math.MaxInt64/2 + 1, math.MaxInt64, 1, 1, "4611686018427387904x1", 0, 0, 0},
	} {
		asked, err := r.Asked(blank, numbers(map[string]int64{
			"start_block_size": test.firstBlock, "max_block_size": test.lastBlock,
			"start_batch_size": test.firstBatch, "max_batch_size": test.lastBatch,
		}), &nixlbench.Facts{})
		if err != nil {
			t.Fatal(err)
		}
		table := nixlbench.NewTable(&load(t).Nixlbench, asked)
		table.Line(strings.TrimSpace(newHeading), true)
		for row := range strings.FieldsSeq(test.rows) {
			block, batch, _ := strings.Cut(row, "x")
			if !table.Line(fmt.Sprintf("%s %s 16.9 34.8 33.0 33.0 551.8 849.0 4.0 7.0", block, batch), true) {
				t.Errorf("%s is not recognized as a row", row)
			}
		}
		var f nixlbench.Facts
		// A process that prints no table does not reduce the number of rows.
		f.Tally([]*nixlbench.Table{table, nixlbench.NewTable(&load(t).Nixlbench, asked)})
		if f.MissingRows != test.missing || f.UnaskedRows != test.unasked || f.RepeatedRows != test.repeated {
			t.Errorf("%+v: %d rows are missing, %d are unexpected, and %d are repeated", test, f.MissingRows, f.UnaskedRows, f.RepeatedRows)
		}
	}
}

// TestWarnings checks that both forms of warnings are recognized. It also checks that a
// table saves only a limited number of warnings, and only part of a long warning.
func TestWarnings(t *testing.T) {
	table := nixlbench.NewTable(&load(t).Nixlbench, nil)
	for _, line := range []string{"WARNING: a", "Warning: b", "warning: c", "x WARNING: d", "WARNING:e", "Warning: " + strings.Repeat("ä", 40_000)} {
		table.Line(line, true)
	}
	if n := len(table.Warnings); n != 3 || table.Warnings[0] != "a" || table.Warnings[1] != "b" || table.Warnings[2] != strings.Repeat("ä", 500) {
		t.Errorf("%d warnings: %.30q", n, table.Warnings)
	}
	for range 1000 {
		table.Line("Warning: again", true)
	}
	if n := len(table.Warnings); n != 100 {
		t.Errorf("%d warnings are saved, want 100", n)
	}
}

// TestObstacles checks conditions that prevent a run from starting and that are known
// only on the run's machine.
func TestObstacles(t *testing.T) {
	yes := formula.Value{Kind: formula.Bool, Bool: true}
	pages := append(numbers(map[string]int64{"total_buffer_size": 4 << 20}), flag("use_hugepages", yes))
	read := append(numbers(nil), flag("check_consistency", yes), flag("op_type", formula.Value{Kind: formula.Str, Str: "READ"}))
	for _, test := range []struct {
		flags         []fit.Flag
		facts         nixlbench.Facts
		refused, warn string
	}{
		{pages, nixlbench.Facts{Readings: map[string]int64{"hugepages": 0}}, "the run needs 4194304 bytes in huge pages of 2 MiB, but the system has only 0 such pages", ""},
		{pages, nixlbench.Facts{Readings: map[string]int64{"hugepages": 1}}, "the system has only 1 such pages", ""},
		{pages, nixlbench.Facts{Readings: map[string]int64{"hugepages": 2}}, "", ""},
		{pages, nixlbench.Facts{}, "", ""}, // not known
		{read, nixlbench.Facts{FilesThere: 1}, "", "fails on files that an earlier WRITE left"},
		{read, nixlbench.Facts{FilesThere: 1, FilesShort: 1}, "", ""}, // the message is filled in again
		{read, nixlbench.Facts{}, "", ""},
	} {
		refused, warnings, err := rules(t, "POSIX").Obstacles(blank, test.flags, &test.facts)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			got  []string
			want string
		}{{refused, test.refused}, {warnings, test.warn}} {
			if text := strings.Join(c.got, "\n"); (text == "") != (c.want == "") || !strings.Contains(text, c.want) {
				t.Errorf("%+v: the messages are %q, want %q", test.facts, text, c.want)
			}
		}
	}
}

// TestMessages checks that every name in braces in a message has a value.
func TestMessages(t *testing.T) {
	s := load(t)
	name := regexp.MustCompile(`\{(\w+)\}`)
	runs := s.Nixlbench.Runs.Get()
	known := func(message string) {
		for _, m := range name.FindAllStringSubmatch(message, -1) {
			_, isFlag := s.Nixlbench.Flags[m[1]]
			_, isLet := s.Nixlbench.Let[m[1]]
			_, isReading := runs.Readings[m[1]]
			if !isFlag && !isLet && !isReading && m[1] != "memory" {
				t.Errorf("%s in %q has no value", m[0], message)
			}
		}
	}
	for _, o := range runs.Obstacles {
		known(o.Message)
	}
	for _, d := range runs.Doubts {
		known(d.Message)
	}
}

// TestTimeout checks that the timeout is 10 minutes plus the time to move the data at 10
// MB/s. The data is twice the buffer, plus 3 block sizes (7168 bytes in total) x 2 batch
// sizes (3 in total) for each iteration.
func TestTimeout(t *testing.T) {
	flags := numbers(map[string]int64{"start_block_size": 1024, "max_block_size": 4096, "start_batch_size": 1, "max_batch_size": 2,
		"num_iter": 1000, "warmup_iter": 0, "total_buffer_size": 5_000_000_000})
	// 7168 x 3 x 1008 is 21676032.
	if got := rules(t, "POSIX").Timeout(blank, flags, &nixlbench.Facts{}); got != 600+1003 {
		t.Errorf("the timeout is %d s, want 1603", got)
	}
	// A value that does not fit in 64 bits means no timeout.
	flags = numbers(map[string]int64{"start_block_size": 1 << 62, "max_block_size": 1 << 62})
	if got := rules(t, "POSIX").Timeout(blank, flags, &nixlbench.Facts{}); got != 0 {
		t.Errorf("the timeout is %d s, want none", got)
	}
}
