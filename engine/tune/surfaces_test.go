package tune

import (
	"math"
	"math/rand/v2"
)

// surface is a test problem. The bandwidth of every point is known, and is 0 if the point
// fails.
type surface struct {
	name  string
	knobs []Knob
	noise float64 // relative standard deviation of one measurement
	slow  float64 // probability of a measurement that takes twice as long
	value func(p Point) float64
	trap  func(p Point) bool // points whose result cannot be trusted, because it is far too high
}

// best returns the surface's largest value.
func (f *surface) best() float64 {
	best := 0.0
	p := make(Point, len(f.knobs))
	for {
		if f.trap == nil || !f.trap(p) {
			best = max(best, f.value(p))
		}
		i := 0
		for ; i < len(p); i++ {
			if p[i]++; p[i] < f.knobs[i].Values {
				break
			}
			p[i] = 0
		}
		if i == len(p) {
			return best
		}
	}
}

// measure returns a function that measures the surface. The noise is different for each
// seed.
func (f *surface) measure(seed uint64) Measure {
	r := rand.New(rand.NewPCG(seed, 99))
	return func(p Point, _ int) (float64, Outcome) {
		if f.trap != nil && f.trap(p) {
			return 1000 * f.value(p), Failed
		}
		v := f.value(p)
		if v == 0 {
			return 0, Failed
		}
		v *= math.Exp(f.noise * r.NormFloat64())
		if r.Float64() < f.slow {
			v /= 2
		}
		return v, Measured
	}
}

// pow2 returns 2 to the power of an index.
func pow2(i int) float64 { return math.Exp2(float64(i)) }

// bell is 1 at the top, and is smaller by a factor of e^(-width) one step away.
func bell(i int, top, width float64) float64 {
	d := float64(i) - top
	return math.Exp(-width * d * d)
}

// storageKnobs are similar to the knobs of a storage backend: batch, threads, depth, progress
// thread, interface. networkKnobs are similar to those of a network backend: batch, threads,
// depth, progress thread, number of progress threads, operation.
var (
	storageKnobs = []Knob{{"batch", 8, 7, true}, {"threads", 6, 0, true}, {"depth", 5, 0, true}, {"pt", 2, 0, false}, {"api", 3, 0, false}}
	networkKnobs = []Knob{{"batch", 10, 9, true}, {"threads", 5, 0, true}, {"depth", 5, 0, true}, {"pt", 2, 0, false}, {"progress", 4, 0, true}, {"op", 2, 1, false}}
)

// hidden is a surface on which one interface is the best, but only with a progress thread
// and several requests in flight. Changing only two of these three settings makes the
// bandwidth worse.
var hidden = surface{
	name: "hidden", knobs: storageKnobs, noise: 0.03, slow: 0.03,
	value: func(p Point) float64 {
		v := 6 * (1 + 0.1*float64(p[0])) * bell(p[1], 3, 0.1)
		if p[4] == 2 {
			v *= 0.7
			if p[3] == 1 {
				v *= 1 + 0.35*float64(min(p[2], 3))
			}
		}
		return v
	},
}

var surfaces = []surface{
	{
		// More requests in flight use more of the link, and using more threads than cores
		// reduces the bandwidth. One interface is better, but fails with deep queues.
		name: "queue", knobs: storageKnobs, noise: 0.03,
		value: func(p Point) float64 {
			flight := pow2(p[0]) * pow2(p[1]) * pow2(p[2])
			if p[4] == 1 && flight > 2048 {
				return 0
			}
			v := 20 * flight / (flight + 64)
			v *= []float64{0.8, 1, 0.5}[p[4]]
			v *= bell(p[1], 2, 0.08)
			return v * (1 - 0.002*flight/64)
		},
	},
	{
		// There is a cliff in the middle of the batch sizes, and another where many threads
		// are combined with deep queues.
		name: "cliff", knobs: storageKnobs, noise: 0.03,
		value: func(p Point) float64 {
			v := 2 * (1 + float64(p[0])) * (1 + 0.4*float64(p[1])) * (1 + 0.2*float64(p[2]))
			if p[0] > 4 {
				v /= 8
			}
			if p[1]+p[2] > 6 {
				v /= 5
			}
			if p[1] == 5 {
				return 0
			}
			return v * []float64{1, 0.9, 1.15}[p[4]]
		},
	},
	{
		// The best number of threads depends on the depth, which results in a diagonal ridge.
		name: "ridge", knobs: storageKnobs, noise: 0.02,
		value: func(p Point) float64 {
			d := float64(p[1] + p[2] - 5)
			return 12 * math.Exp(-0.5*d*d) * bell(p[0], 4, 0.05) * bell(p[2], 2.6, 0.06) * []float64{0.7, 0.8, 1}[p[4]]
		},
	},
	{
		// One interface is the best only with a progress thread.
		name: "together", knobs: storageKnobs, noise: 0.03, slow: 0.03,
		value: func(p Point) float64 {
			v := 6 * (1 + 0.1*float64(p[0])) * bell(p[1], 3, 0.1)
			switch {
			case p[4] == 2 && p[3] == 1:
				return v * 1.4
			case p[4] == 2:
				return v * 0.7
			}
			return v
		},
	},
	{
		// The optimum is inside the grid, and a quarter of all points fail.
		name: "inner", knobs: networkKnobs, noise: 0.04,
		value: func(p Point) float64 {
			if p[1] >= 3 && p[4] >= 2 {
				return 0
			}
			return 48 * bell(p[0], 6, 0.06) * bell(p[1], 2, 0.2) * bell(p[2], 3, 0.12) * bell(p[4], 1, 0.1) * []float64{1, 1.2}[p[3]] * []float64{1.05, 1}[p[5]]
		},
	},
	{
		// Nothing matters.
		name: "flat", knobs: networkKnobs, noise: 0.02,
		value: func(Point) float64 { return 25 },
	},
	{
		// The default is the best.
		name: "default", knobs: networkKnobs, noise: 0.03,
		value: func(p Point) float64 {
			v := 40.0
			for i, k := range networkKnobs {
				d := float64(p[i] - k.Default)
				v *= math.Exp(-0.07 * math.Abs(d))
			}
			return v
		},
	},
	{
		// Next to the optimum, there is a region with bandwidths that cannot be trusted.
		name: "trap", knobs: storageKnobs, noise: 0.05, slow: 0.02,
		value: func(p Point) float64 {
			return 9 * bell(p[0], 5, 0.04) * bell(p[1], 3, 0.15) * bell(p[2], 1, 0.1) * []float64{1, 1.3, 0.9}[p[4]]
		},
		trap: func(p Point) bool { return p[0] == 6 || p[1] == 4 && p[4] == 1 },
	},
	{
		// There are two hills. The wide one is lower.
		name: "hills", knobs: networkKnobs, noise: 0.03,
		value: func(p Point) float64 {
			wide := 20 * bell(p[0], 8, 0.01) * bell(p[1], 0, 0.04) * bell(p[2], 0, 0.04)
			high := 32 * bell(p[0], 3, 0.08) * bell(p[1], 3, 0.2) * bell(p[2], 3, 0.2)
			return max(wide, high) * []float64{1, 1.1}[p[3]]
		},
	},
}
