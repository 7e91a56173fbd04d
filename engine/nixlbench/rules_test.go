package nixlbench_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"kvbench/engine/config"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
)

// blank is a plan of which a test gives the flags.
var blank = &plan.Plan{Request: &plan.Request{Config: &config.Config{Values: map[string]config.Value{
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

func numbers(values map[string]int64) []plan.Flag {
	var flags []plan.Flag
	for name, v := range values {
		flags = append(flags, flag(name, formula.Value{Kind: formula.Num, Num: formula.Int(v)}))
	}
	return flags
}

// TestDirectAlignment: whether direct IO of a block can be trusted is for the file
// system to say; 512 bytes are enough where it does not.
func TestDirectAlignment(t *testing.T) {
	r := rules(t, "POSIX")
	for _, test := range []struct {
		block, align int64
		want         bool // that it is doubted
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
		if got := strings.Contains(strings.Join(verdict.Reasons, "\n"), "alignment for direct IO"); got != test.want {
			t.Errorf("blocks of %d where the file system aligns to %d: the reasons are %q", test.block, test.align, verdict.Reasons)
		}
	}
}

// TestAsked: sizes double from the first up to the last.
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
		{8192, 4096, 1, 1, "", 0, 0, 0}, // none is asked for
		{8192, 4096, 1, 1, "4096x1", 0, 1, 0},
		{0, 4096, 1, 1, "4096x1", 0, 0, 0}, // what is asked for is not known
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
				t.Errorf("%s is no row", row)
			}
		}
		var f nixlbench.Facts
		// A process that prints no table takes nothing away.
		f.Tally([]*nixlbench.Table{table, nixlbench.NewTable(&load(t).Nixlbench, asked)})
		if f.MissingRows != test.missing || f.UnaskedRows != test.unasked || f.RepeatedRows != test.repeated {
			t.Errorf("%+v: %d are missing, %d not asked for, %d repeated", test, f.MissingRows, f.UnaskedRows, f.RepeatedRows)
		}
	}
}

// TestWarnings: a warning has two forms; a table keeps some of them, and not all of
// one that is long.
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
		t.Errorf("%d warnings are kept, want 100", n)
	}
}
