package runner

import (
	"testing"
	"time"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// TestDefaultTimeout checks that a message about a stopped run says which limit
// applied, and how to change it.
func TestDefaultTimeout(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := nixlbench.NewRules(s, "main-2026-08-21", "POSIX")
	if err != nil {
		t.Fatal(err)
	}
	word := func(text string) data.Fact {
		return data.Fact{Value: formula.Value{Kind: formula.Str, Str: text}}
	}
	r := &Run{rules: rules, Launch: LaunchSingle, Plan: &plan.Plan{Request: &plan.Request{Config: &config.Config{
		Values: map[string]data.Fact{"source": word("file"), "destination": word("memory")},
	}}}}
	// The default is 10 minutes, plus the time to move this data at 10 MB/s. Moving a
	// buffer of 5 GB twice, and 1000 bytes in each of 1008 + 112 iterations, takes
	// 1000.1 s.
	for name, n := range map[string]int64{"total_buffer_size": 5_000_000_000, "start_block_size": 1000, "max_block_size": 1000} {
		r.Flags = append(r.Flags, fit.Flag{Flag: &schema.Flag{Name: name}, Value: formula.Value{Kind: formula.Num, Num: formula.Int(n)}})
	}
	for timeout, want := range map[time.Duration]string{
		0:                "it took longer than 26m41s, the default timeout for the data that it moves, and was stopped; use --timeout TIME to change the limit, or --timeout none to remove it",
		90 * time.Second: "it took longer than 1m30s and was stopped",
	} {
		session := &Session{Schema: s, Timeout: timeout}
		rec := &Record{}
		session.judge(t.Context(), r, rec, &attempt{late: true, exits: []Exit{{Stopped: true}}}, nil, nil)
		if rec.Status != Failed || len(rec.Reasons) != 1 || rec.Reasons[0] != want {
			t.Errorf("%s: %q, want %q", rec.Status, rec.Reasons, want)
		}
	}
}
