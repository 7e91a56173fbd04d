// Package bandwidths is a known surface of bandwidths for tests of kvbench tune.
package bandwidths

import "math"

// The settings that the surface is made for.
var (
	allBatches = []int64{1, 4, 16, 64}
	allThreads = []int64{1, 2, 4, 8, 16, 32}
	allDepths  = []int64{1, 2, 4, 8, 16}
	allAPIs    = []string{"AIO", "POSIXAIO", "URING"}
	allQueues  = []int64{64, 256, 1024}
)

// At returns the bandwidth of the surface in GB/s, or 0 if the run fails. Its
// optimum is 16 blocks, 4 threads, a depth of 4 and URING.
func At(batch, threads, depth int64, api string, queue int64) float64 {
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

// IsSuspect reports whether a run reports a result that cannot be trusted, and that
// is far above all others.
func IsSuspect(batch, depth int64) bool { return batch == 1 && depth == 16 }

// Best returns the largest bandwidth of the surface, and the number of its points.
func Best() (best float64, points int) {
	for _, batch := range allBatches {
		for _, threads := range allThreads {
			for _, depth := range allDepths {
				for _, api := range allAPIs {
					for _, queue := range allQueues {
						points++
						if !IsSuspect(batch, depth) {
							best = max(best, At(batch, threads, depth, api, queue))
						}
					}
				}
			}
		}
	}
	return best, points
}
