package report

import (
	"math"
	"strings"
	"testing"
)

// measurements returns requests that take 5 us to start and 2 us per descriptor, and move 25,000
// bytes per microsecond (25 GB/s). If noise is set, each measured time is off by one of the
// fractions in noise.
func measurements(counts, sizes []float64, noise ...float64) []moved {
	var list []moved
	for _, n := range counts {
		for _, size := range sizes {
			us := 5 + 2*n + n*size/25_000
			if len(noise) > 0 {
				us *= 1 + noise[len(list)%len(noise)]
			}
			list = append(list, moved{n, n * size, us})
		}
	}
	return list
}

// TestFitCost checks the costs that are fitted to exact times, to noisy times, and to times that
// depend on only some parts of the cost.
func TestFitCost(t *testing.T) {
	sizes := []float64{4096, 65536, 1 << 20}
	c, why := fitCost(measurements([]float64{1, 8, 64}, sizes))
	if c == nil || !near(c.startUs, 5, 1e-6) || !near(c.descriptorUs, 2, 1e-6) || !near(c.rate, 25_000, 1e-6) || c.err > 1e-9 || c.points != 9 {
		t.Errorf("exact: %+v, %s", c, why)
	}
	// 64 descriptors of 64 KiB: 5 + 128 + 4194304/25000 = 300.77 us
	if us := c.us(64, 4194304); !near(us, 300.77216, 1e-6) {
		t.Errorf("%f us", us)
	}
	c, why = fitCost(measurements([]float64{1, 8, 64}, sizes, 0.05, -0.04, 0.02, -0.05, 0.03))
	if c == nil || !near(c.descriptorUs, 2, 0.1) || !near(c.rate, 25_000, 0.1) || c.err < 0.01 || c.err > 0.05 {
		t.Errorf("noisy: %+v, %s", c, why)
	}
	// With 10 descriptors in each request, the startup time of 5 us adds 0.5 us to the time per
	// descriptor.
	c, why = fitCost(measurements([]float64{10}, append(sizes, 16<<20)))
	if c == nil || !c.together || c.startUs != 0 || !near(c.descriptorUs, 2.5, 1e-6) || !near(c.rate, 25_000, 1e-6) {
		t.Errorf("one batch size: %+v, %s", c, why)
	}
	// Only bytes take time.
	c, why = fitCost([]moved{{1, 1e6, 40}, {2, 4e6, 161}, {4, 16e6, 638}, {4, 64e6, 2561}, {1, 64e6, 2558}})
	if c == nil || c.startUs != 0 || c.descriptorUs != 0 || !near(c.rate, 25_000, 0.01) {
		t.Errorf("bytes: %+v, %s", c, why)
	}
	// Only descriptors take time.
	c, why = fitCost([]moved{{1, 1024, 3}, {2, 4096, 6.01}, {4, 1024, 11.98}, {8, 2048, 24}, {16, 1024, 48.02}})
	if c == nil || !math.IsInf(c.rate, 1) || !near(c.descriptorUs, 3, 0.01) {
		t.Errorf("descriptors: %+v, %s", c, why)
	}
}

// TestNoFit checks that there is no fit if there are too few points, if all I/Os have the same
// size, or if the times contradict each other.
func TestNoFit(t *testing.T) {
	for want, list := range map[string][]moved{
		"at least 4":     measurements([]float64{1, 8, 64}, []float64{4096}),
		"the same size":  measurements([]float64{1, 8, 64, 128, 256}, []float64{4096}),
		"cannot explain": {{1, 1024, 900}, {1, 4096, 3}, {8, 4096, 0.1}, {8, 1 << 20, 70000}, {64, 1024, 2}, {64, 1 << 22, 1}},
	} {
		if c, why := fitCost(list); c != nil || !strings.Contains(why, want) {
			t.Errorf("%+v, %q, want %q", c, why, want)
		}
	}
}

func near(x, want, share float64) bool { return math.Abs(x-want) <= share*want }
