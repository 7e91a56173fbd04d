package sweep_test

import (
	"context"
	"io"
	"strconv"
	"syscall"
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
	return benchSweepWith(b, name, use, axes, nil)
}

// benchSweepWith is like benchSweepOf, but it also sets the given nixlbench flags. If there
// are any, the plans are fitted.
func benchSweepWith(b *testing.B, name string, use plan.Use, axes, flags map[string]string) *sweep.Sweep {
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
	sweep, _, err := sweep.New([]plan.Item{{Request: &plan.Request{Model: m, Config: cfg, Flags: given(b, s, flags, s.Nixlbench.Default), Fit: flags != nil}, Planner: planner}}, sweep.Options{Columns: columns, Format: format})
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

// BenchmarkSweepRank writes the rows of 100,000 points in rank accounting.
func BenchmarkSweepRank(b *testing.B) {
	for _, model := range []string{"deepseek-r1", "gemma-3-27b", "gpt-oss-120b", "qwen3-next-80b-a3b"} {
		b.Run(model, func(b *testing.B) {
			benchPoints(b, benchSweepOf(b, model, plan.Use{Rank: true}, map[string]string{"accounting": "rank", "engine": "VLLM",
				"tp": "1,2,4,8", "pp": "1..5+1", "isl": "1000..5000+1000", "page_size": "16..160+16", "num_requests": "1..100+1"}))
		})
	}
}

// BenchmarkSweepTransfer writes the rows of 100,000 transfers from 8 ranks to 4 ranks.
func BenchmarkSweepTransfer(b *testing.B) {
	for _, bb := range []struct{ model, engine string }{{"qwen3-8b", "VLLM"}, {"qwen3-8b", "TRTLLM"}, {"gpt-oss-120b", "VLLM"}, {"deepseek-r1", "SGLANG"}} {
		b.Run(bb.model+"/"+bb.engine, func(b *testing.B) {
			benchPoints(b, benchSweepOf(b, bb.model, plan.Use{Rank: true, Transfer: true, Slowest: true, Names: "transfer_us"},
				map[string]string{"accounting": "rank", "engine": bb.engine, "tp": "8", "decode_tp": "4", "page_size": "32",
					"isl": "16..16000+16", "num_requests": "1..100+1", "link": "ib_ndr"}))
		})
	}
}

// BenchmarkSweepFit writes the rows of 100,000 points that are fitted to a backend's
// limits. Without fitting, they would exceed most of these limits.
func BenchmarkSweepFit(b *testing.B) {
	s := benchSweepWith(b, "qwen3-8b", plan.Use{}, map[string]string{"tp": "1,2,4,8", "isl": "10000..50000+10000", "page_size": "16..800+16", "num_requests": "1..100+1"},
		map[string]string{"backend": "GDS"})
	benchPoints(b, s)
}

// benchPoints runs a sweep. It reports the processor time per point as cpu-ns/point.
func benchPoints(b *testing.B, s *sweep.Sweep) {
	b.Helper()
	if s.Points != 100_000 {
		b.Fatal(s.Points)
	}
	b.ReportAllocs()
	before := processorTime()
	for b.Loop() {
		if o, err := s.Run(context.Background(), io.Discard, func(uint64) {}); err != nil || o.Rows < 1000 {
			b.Fatal(o, err)
		}
	}
	b.ReportMetric(float64(processorTime()-before)/float64(b.N)/100_000, "cpu-ns/point")
}

func processorTime() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}
