package sweep_test

import (
	"context"
	"io"
	"strconv"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/sweep"
	"kvbench/models"
)

// benchSweep returns a sweep with 5 axes and 12 columns that writes CSV.
func benchSweep(b *testing.B, isl, pages string) *sweep.Sweep {
	return benchSweepOf(b, "deepseek-r1", plan.Use{}, map[string]string{"tp": "1..10+1", "pp": "1..10+1", "isl": isl, "page_size": pages, "num_requests": "1..10+1"})
}

func benchSweepOf(b *testing.B, name string, use plan.Use, axes map[string]string) *sweep.Sweep {
	s := load(b)
	l := model.NewLoader(s, cueschema.Files, models.Files)
	m, err := l.Model(name, nil)
	if err != nil {
		b.Fatal(err)
	}
	planner, err := plan.New(s, s.Nixlbench.Default, m.Arch, use)
	if err != nil {
		b.Fatal(err)
	}
	cfg := loadConfig(b, s, l, axes, true)
	columns := []string{"model_name", sweep.ColumnFile, "tp_size", "pp_size", "kvcache_quant_mode", "isl", "num_requests", "access_pattern", "page_size", "kv_bytes_per_token", "block_size", "batch_size"}
	format := sweep.RowFormat{Lead: make([]string, len(columns)), End: "\n", Cell: func(dst []byte, v formula.Value) []byte {
		if n, whole := v.Num.Int64(); v.Kind == formula.Num && whole {
			return strconv.AppendInt(dst, n, 10)
		}
		return append(dst, v.Text()...)
	}}
	for i := range columns[1:] {
		format.Lead[i+1] = ","
	}
	sweep, _, err := sweep.New([]plan.Item{{Request: &plan.Request{Model: m, Config: cfg}, Planner: planner}}, sweep.Options{Columns: columns, Format: format})
	if err != nil {
		b.Fatal(err)
	}
	return sweep
}

// BenchmarkSweep writes the rows of 10^3 to 10^6 points. It reports the wall time per
// point, with all processors in use, as ns/point.
func BenchmarkSweep(b *testing.B) {
	for _, bb := range []struct {
		name, isl, pages string
		points           uint64
	}{
		{"1000", "4096", "16", 1000},
		{"10000", "4096", "16..160+16", 10_000},
		{"100000", "4096", "16..1600+16", 100_000},
		{"1000000", "1000..10000+1000", "16..1600+16", 1_000_000},
	} {
		b.Run(bb.name, func(b *testing.B) {
			sweep := benchSweep(b, bb.isl, bb.pages)
			if sweep.Points != bb.points {
				b.Fatal(sweep.Points)
			}
			b.ReportAllocs()
			for b.Loop() {
				if o, err := sweep.Run(context.Background(), io.Discard, func(uint64) {}); err != nil || o.Rows != bb.points {
					b.Fatal(o, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(bb.points), "ns/point")
		})
	}
}

// BenchmarkSweepRank writes the rows of 1,000 points in the rank accounting.
func BenchmarkSweepRank(b *testing.B) {
	for _, model := range []string{"qwen3-8b", "gpt-oss-120b"} {
		b.Run(model, func(b *testing.B) {
			sweep := benchSweepOf(b, model, plan.Use{Rank: true}, map[string]string{"accounting": "rank", "engine": "VLLM",
				"tp": "1,2,4,8", "pp": "1..5+1", "isl": "1000..5000+1000", "page_size": "16..160+16"})
			if sweep.Points != 1000 {
				b.Fatal(sweep.Points)
			}
			b.ReportAllocs()
			for b.Loop() {
				if o, err := sweep.Run(context.Background(), io.Discard, func(uint64) {}); err != nil || o.Rows < 1000 {
					b.Fatal(o, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/point")
		})
	}
}
