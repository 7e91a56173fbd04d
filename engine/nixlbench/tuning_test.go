package nixlbench_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
)

// planned returns a plan with all flags of a release. The argument set contains the values
// of some flags, and given lists the flags that the user set.
func planned(t *testing.T, release string, set map[string]any, given ...string) *plan.Plan {
	t.Helper()
	n := &load(t).Nixlbench
	pl := &plan.Plan{Release: release, Request: &plan.Request{Config: &config.Config{Values: map[string]data.Fact{}}, Flags: map[string]data.Fact{}}}
	for _, f := range n.FlagsOf(release) {
		v := n.FlagIn(f, release).Default
		if own, ok := set[f.Name]; ok {
			v = formula.Of(own)
		}
		pl.Flags = append(pl.Flags, fit.Flag{Flag: f, Value: v})
		if slices.Contains(given, f.Name) {
			pl.Request.Flags[f.Name] = data.Fact{Value: v}
		}
	}
	return pl
}

func sized(block, batch, threads, depth int64) map[string]any {
	return map[string]any{
		"start_block_size": block, "max_block_size": block, "start_batch_size": batch, "max_batch_size": batch,
		"num_threads": threads, "pipeline_depth": depth,
	}
}

func rulesOf(t *testing.T, release, backend string) *nixlbench.Rules {
	t.Helper()
	r, err := nixlbench.NewRules(load(t), release, backend)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestShort checks the flags that keep runs short, so that the timed part moves about 2 GiB.
func TestShort(t *testing.T) {
	const newest = "main-2026-08-21"
	for _, test := range []struct {
		release string
		set     map[string]any
		given   []string
		want    string
	}{
		// 2 GiB / (1 MiB * 64) = 32
		{newest, sized(1<<20, 64, 1, 1), nil, "large_blk_iter_ftr=1 num_iter=32 warmup_iter=1"},
		// Blocks above 1 MiB are not special if the factor is 1.
		{newest, sized(2<<20, 64, 1, 1), nil, "large_blk_iter_ftr=1 num_iter=16 warmup_iter=1"},
		// 2 GiB / (4718592 * 64) = 7.1, rounded up
		{newest, sized(4718592, 64, 1, 1), nil, "large_blk_iter_ftr=1 num_iter=8 warmup_iter=1"},
		// Each of 8 threads needs 4 iterations for its pipeline.
		{newest, sized(4718592, 64, 8, 4), nil, "large_blk_iter_ftr=1 num_iter=32 warmup_iter=32"},
		// The number of iterations is limited for small requests, and is greater than 1
		// for large requests.
		{newest, sized(4096, 1, 1, 1), nil, "large_blk_iter_ftr=1 num_iter=1000 warmup_iter=1"},
		{newest, sized(1<<20, 8192, 1, 1), nil, "large_blk_iter_ftr=1 num_iter=4 warmup_iter=1"},
		// Before 0.5.0, the factor is always 16.
		{"0.4.1", sized(1<<20, 64, 2, 1), nil, "num_iter=32 warmup_iter=2"},
		{"0.4.1", sized(2<<20, 64, 2, 1), nil, "num_iter=256 warmup_iter=32"},
		// The user's own numbers are not replaced.
		{newest, sized(1<<20, 64, 1, 1), []string{"num_iter"}, ""},
		{newest, sized(1<<20, 64, 1, 1), []string{"warmup_iter"}, ""},
	} {
		values, err := rulesOf(t, test.release, "POSIX").Short(planned(t, test.release, test.set, test.given...))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, name := range slices.Sorted(maps.Keys(values)) {
			got = append(got, name+"="+values[name].Text())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s %v: got %q, want %q", test.release, test.set, got, test.want)
		}
	}
}

// TestWorthwhile checks that combinations with too much data in flight are not tried, but
// that the plan's own batch always is.
func TestWorthwhile(t *testing.T) {
	r := rulesOf(t, "main-2026-08-21", "POSIX")
	for _, test := range []struct {
		block, batch, threads, depth int64
		want                         bool
	}{
		{1 << 20, 64, 8, 8, true}, // 4 GiB
		{1 << 20, 64, 16, 8, false},
		{1 << 20, 65, 8, 8, false},
		{1 << 20, 16384, 1, 1, true}, // 16 GiB in one batch
		{1 << 20, 16384, 2, 1, true},
		{1 << 20, 16384, 2, 2, false},
	} {
		err := r.Worthwhile(planned(t, "main-2026-08-21", sized(test.block, test.batch, test.threads, test.depth)))
		if (err == nil) != test.want {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// TestSettings checks which settings are varied, over which values, and which of these is
// the default.
func TestSettings(t *testing.T) {
	with := func(more map[string]any) map[string]any {
		set := sized(1<<20, 60, 1, 1)
		maps.Copy(set, more)
		return set
	}
	several := func(name string, values ...any) map[string][]data.Fact {
		var list []data.Fact
		for _, v := range values {
			list = append(list, data.Fact{Value: formula.Of(v), Origin: data.Origin{Kind: data.FromFlag, Name: name}})
		}
		return map[string][]data.Fact{name: list}
	}
	for _, test := range []struct {
		release, backend string
		set              map[string]any
		given            []string
		several          map[string][]data.Fact
		want             string // the default is in brackets
	}{
		{
			release: "main-2026-08-21", backend: "POSIX",
			want: "max_batch_size 1 4 16 [60], num_threads [1] 2 4 8 16 32, pipeline_depth [1] 2 4 8 16, " +
				"posix_api_type [AIO] POSIXAIO URING, posix_kernel_queue_size 64 [256] 1024",
		},
		{
			release: "0.3.1", backend: "POSIX",
			want: "max_batch_size 1 4 16 [60], num_threads [1] 2 4 8 16 32, posix_api_type [AIO] URING",
		},
		{
			release: "1.4.0", backend: "LIBFABRIC", set: with(map[string]any{"max_batch_size": int64(3)}), given: []string{"num_threads", "pipeline_depth"},
			want: "max_batch_size 1 [3], enable_pt [false] true, progress_threads [0] 1 2 4 8, op_type READ [WRITE]",
		},
		// The operation is not varied, because reading would move the data in the other
		// direction.
		{
			release: "1.4.0", backend: "UCCL", set: with(map[string]any{"target_seg_type": "VRAM"}), given: []string{"max_batch_size", "num_threads"},
			want: "pipeline_depth [1] 2 4 8 16",
		},
		// If a plan has only one block, there is no smaller batch.
		{
			release: "1.4.0", backend: "OBJ", set: with(map[string]any{"max_batch_size": int64(1)}),
			want: "num_threads [1] 2 4 8 16 32, pipeline_depth [1] 2 4 8 16",
		},
		// If the user sets either of a setting's flags, the setting is not varied. A user's
		// values replace the values in the data.
		{
			release: "1.4.0", backend: "GDS_MT", given: []string{"start_batch_size"}, several: several("num_threads", int64(6), int64(3)),
			want: "num_threads [1] 3 6, pipeline_depth [1] 2 4 8 16, gds_mt_num_threads [1] 2 4 8 16 32",
		},
		// Any flag can be varied.
		{
			release: "1.4.0", backend: "GDS", given: []string{"max_batch_size", "num_threads", "pipeline_depth"}, several: several("storage_enable_direct", true, false),
			want: "gds_batch_limit 32 64 [128], storage_enable_direct true [false]",
		},
	} {
		if test.set == nil {
			test.set = with(nil)
		}
		test.set["backend"] = test.backend
		pl := planned(t, test.release, test.set, test.given...)
		settings, err := rulesOf(t, test.release, test.backend).Settings(load(t), pl, test.several, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range settings {
			s := &settings[i]
			text := s.Name()
			for j, v := range s.Values {
				if j == s.Default {
					text += fmt.Sprintf(" [%s]", v.Text())
				} else {
					text += " " + v.Text()
				}
			}
			got = append(got, text)
		}
		if strings.Join(got, ", ") != test.want {
			t.Errorf("%s %s:\ngot  %s\nwant %s", test.release, test.backend, strings.Join(got, ", "), test.want)
		}
	}
}

// TestTuningData checks that the flags and backends in the tuning data exist, and that all
// settings have a source.
func TestTuningData(t *testing.T) {
	n := &load(t).Nixlbench
	tuning := &n.Runs.Get().Tuning
	if len(tuning.Knobs) < 10 || len(tuning.Short) == 0 {
		t.Fatalf("%d settings", len(tuning.Knobs))
	}
	for _, k := range tuning.Knobs {
		for _, name := range k.Flags {
			if n.Flags[name] == nil {
				t.Errorf("nixlbench has no flag %s", name)
			}
		}
		for _, b := range k.Backends {
			if n.Backends[b] == nil {
				t.Errorf("nixlbench has no backend %s", b)
			}
		}
		if k.Source == "" {
			t.Errorf("%s has no source", k.Flags[0])
		}
	}
	for _, s := range tuning.Short {
		if n.Flags[s.Flag] == nil {
			t.Errorf("nixlbench has no flag %s", s.Flag)
		}
	}
	if m := nixlbench.Measure(n); m.Key != "bandwidth_gb_per_s" || !m.Positive {
		t.Errorf("the measure is %+v", m)
	}
}
