package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"

	"kvbench/cmd/kvbench/cli/testdata/bandwidths"
)

// surface returns the bandwidth to print, or "" if FAKE_SURFACE is not a number. If it is,
// bandwidths follow a known surface, with noise that the number and the number of runs so far
// determine.
func (f *fake) surface() string {
	seed, err := strconv.ParseUint(os.Getenv("FAKE_SURFACE"), 10, 64)
	if err != nil {
		return ""
	}
	runs, _ := os.ReadFile("runs")
	os.WriteFile("runs", append(runs, 'x'), 0o644)
	noise := rand.New(rand.NewPCG(seed, uint64(len(runs))))
	batch, depth := f.number("max_batch_size"), f.number("pipeline_depth")
	v := bandwidths.At(batch, f.number("num_threads"), depth, f.values["posix_api_type"], f.number("posix_kernel_queue_size"))
	if v == 0 {
		f.die("pthread_create failed: Resource temporarily unavailable")
	}
	if bandwidths.IsSuspect(batch, depth) {
		fmt.Fprintln(os.Stderr, "Consistency check failed for iov 0:0\nConsistency check failed")
		v = 900
	}
	v *= math.Exp(0.03 * noise.NormFloat64())
	return strconv.FormatFloat(v, 'f', 6, 64)
}
