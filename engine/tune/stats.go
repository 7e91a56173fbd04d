package tune

import "math"

// quantiles are the 97.5% quantiles of Student's t distribution with 1, 2, … degrees of
// freedom.
var quantiles = []float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
	2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
	2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042}

// quantile returns the 97.5% quantile for a number of degrees of freedom, which is
// rounded down.
func quantile(freedom float64) float64 {
	switch n := int(freedom); {
	case n < 1:
		return math.Inf(1)
	case n <= len(quantiles):
		return quantiles[n-1]
	case n < 60:
		return 2.04
	}
	return 2
}

// sample describes the logarithms of measurements by their number, mean, and sum of squared
// deviations from the mean.
type sample struct {
	n             int
	mean, squares float64
}

func sampleOf(values []float64) sample {
	s := sample{n: len(values)}
	for _, v := range values {
		s.mean += math.Log(v) / float64(s.n)
	}
	for _, v := range values {
		d := math.Log(v) - s.mean
		s.squares += d * d
	}
	return s
}

// Change is a relative change with its 95% confidence interval. For example, 0.5 means 50%
// more. If there are too few measurements to tell, Low is -1 and High is infinite.
type Change struct{ Mean, Low, High float64 }

// Noise reports whether the interval includes 0, so that the change may be only noise.
func (c Change) Noise() bool { return c.Low <= 0 && c.High >= 0 }

func changeOf(mean, margin float64) Change {
	return Change{math.Expm1(mean), math.Expm1(mean - margin), math.Expm1(mean + margin)}
}

// welch compares two samples by Welch's t test, which allows the samples to have different
// variances.
func welch(to, from sample) Change {
	mean := to.mean - from.mean
	if to.n < 2 || from.n < 2 {
		return changeOf(mean, math.Inf(1))
	}
	part := func(s sample) float64 { return s.squares / float64(s.n-1) / float64(s.n) }
	a, b := part(to), part(from)
	if a+b == 0 {
		return changeOf(mean, 0)
	}
	freedom := (a + b) * (a + b) / (a*a/float64(to.n-1) + b*b/float64(from.n-1))
	return changeOf(mean, quantile(freedom)*math.Sqrt(a+b))
}
