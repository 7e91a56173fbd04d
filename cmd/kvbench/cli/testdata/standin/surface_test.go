package standin

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
)

// The surface is defined for these values of the settings.
var (
	surfaceBatches = []int64{1, 4, 16, 64}
	surfaceThreads = []int64{1, 2, 4, 8, 16, 32}
	surfaceDepths  = []int64{1, 2, 4, 8, 16}
	surfaceAPIs    = []string{"AIO", "POSIXAIO", "URING"}
	surfaceQueues  = []int64{64, 256, 1024}
)

// surfaceAt returns the bandwidth of the surface in GB/s, or 0 if the run fails. Its maximum
// is at 16 blocks, 4 threads, a depth of 4 and URING.
func surfaceAt(batch, threads, depth int64, api string, queue int64) float64 {
	if threads == 32 {
		return 0
	}
	bell := func(n int64, top, width float64) float64 {
		d := math.Log2(float64(n)) - top
		return math.Exp(-width * d * d)
	}
	flight := float64(batch * threads * depth)
	v := 24 * flight / (flight + 40) * bell(threads, 2, 0.12) * bell(batch, 4, 0.05) * bell(depth, 2, 0.06)
	v *= map[string]float64{"AIO": 1, "URING": 1.25, "POSIXAIO": 0.6}[api]
	if threads >= 8 && depth >= 8 {
		v *= 0.3 // a cliff
	}
	if queue < 256 {
		v *= 0.9
	}
	return v
}

// isSuspect reports whether a run has a result that cannot be trusted. Such a result is
// far higher than all others.
func isSuspect(batch, depth int64) bool { return batch == 1 && depth == 16 }

// printSurface prints the settings of each point of the surface, its bandwidth, and whether
// its result can be trusted.
func printSurface() {
	for _, batch := range surfaceBatches {
		for _, threads := range surfaceThreads {
			for _, depth := range surfaceDepths {
				for _, api := range surfaceAPIs {
					for _, queue := range surfaceQueues {
						fmt.Println(batch, threads, depth, api, queue, surfaceAt(batch, threads, depth, api, queue), !isSuspect(batch, depth))
					}
				}
			}
		}
	}
}

// surface returns the bandwidth to print, or "" if FAKE_SURFACE is not a number. Bandwidths
// follow a known surface plus noise. The noise depends only on FAKE_SURFACE and on how many
// runs there have been.
func (f *fake) surface() string {
	seed, err := strconv.ParseUint(os.Getenv("FAKE_SURFACE"), 10, 64)
	if err != nil {
		return ""
	}
	runs, _ := os.ReadFile("runs")
	os.WriteFile("runs", append(runs, 'x'), 0o644)
	noise := rand.New(rand.NewPCG(seed, uint64(len(runs))))
	batch, depth := f.number("max_batch_size"), f.number("pipeline_depth")
	v := surfaceAt(batch, f.number("num_threads"), depth, f.values["posix_api_type"], f.number("posix_kernel_queue_size"))
	if v == 0 {
		f.die("pthread_create failed: Resource temporarily unavailable")
	}
	if isSuspect(batch, depth) {
		fmt.Fprintln(os.Stderr, "Consistency check failed for iov 0:0\nConsistency check failed")
		v = 900
	}
	v *= math.Exp(0.03 * noise.NormFloat64())
	return strconv.FormatFloat(v, 'f', 6, 64)
}
