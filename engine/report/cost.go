package report

import "math"

// moved contains the number of descriptors, the size in bytes, and the time in microseconds
// of a measured request.
type moved struct{ n, bytes, us float64 }

// cost is a formula for the time of a request, fitted to measurements. The time is the sum of
// a startup time, a time per descriptor, and the size divided by a bandwidth. A time that the
// measurements do not determine is 0, and a bandwidth that they do not determine is infinite.
type cost struct {
	startUs, descriptorUs float64
	rate                  float64 // bytes per us
	// err is the root mean square of the relative errors of the fitted times.
	err    float64
	points int
	// together is set if the time per descriptor includes a share of the startup time, because
	// all requests have the same number of descriptors.
	together bool
}

// These limits decide which fits are used.
const (
	leastPoints = 4
	maxCostErr  = 0.25
	// leastCertain is the minimum ratio of a fitted part to its standard error.
	leastCertain = 2
)

// us returns how many microseconds a request with n descriptors takes.
func (c *cost) us(n, bytes float64) float64 {
	return c.startUs + n*c.descriptorUs + bytes/c.rate
}

// fitCost fits the cost to measurements by minimizing the sum of the squared relative errors. If
// the measurements do not determine the cost, it returns nil and the reason.
func fitCost(list []moved) (*cost, string) {
	if len(list) < leastPoints {
		return nil, "a fit needs at least 4 trusted points"
	}
	var counts, sizes []float64
	for _, m := range list {
		counts, sizes = append(counts, m.n), append(sizes, m.bytes/m.n)
	}
	if !differ(sizes) {
		return nil, "all I/Os have the same size, so the cost of an I/O cannot be separated from the bandwidth"
	}
	parts := []func(moved) float64{
		func(m moved) float64 { return m.n },
		func(m moved) float64 { return m.bytes },
	}
	together := !differ(counts)
	if !together {
		parts = append(parts, func(m moved) float64 { return 1 })
	}
	best := cost{err: math.Inf(1)}
	// Fit all parts or, if some would be uncertain, as many as possible.
	for size := len(parts); size > 0 && math.IsInf(best.err, 1); size-- {
		for set := 1; set < 1<<len(parts); set++ {
			var use []int
			for i := range parts {
				if set>>i&1 == 1 {
					use = append(use, i)
				}
			}
			if len(use) != size {
				continue
			}
			x, err, ok := leastSquares(list, parts, use)
			if !ok || err >= best.err {
				continue
			}
			best = cost{err: err, rate: math.Inf(1), points: len(list), together: together}
			for k, i := range use {
				switch i {
				case 0:
					best.descriptorUs = x[k]
				case 1:
					best.rate = 1 / x[k]
				default:
					best.startUs = x[k]
				}
			}
		}
	}
	switch {
	case math.IsInf(best.err, 1), best.err > maxCostErr:
		return nil, "a cost per I/O and a bandwidth cannot explain the times"
	}
	return &best, ""
}

func differ(list []float64) bool {
	for _, x := range list {
		if x != list[0] {
			return true
		}
	}
	return false
}

// leastSquares fits the chosen parts. It returns false if a part is negative or uncertain.
func leastSquares(list []moved, parts []func(moved) float64, use []int) (x []float64, err float64, ok bool) {
	k := len(use)
	rows := make([][]float64, len(list))
	scale := make([]float64, k) // scaling columns to length 1 avoids numerical problems
	for i, m := range list {
		rows[i] = make([]float64, k)
		for j, u := range use {
			rows[i][j] = parts[u](m) / m.us
			scale[j] += rows[i][j] * rows[i][j]
		}
	}
	a := make([][]float64, k) // the normal equations, with the identity to their right
	right := make([]float64, k)
	for j := range k {
		a[j] = make([]float64, 2*k)
		a[j][k+j] = 1
		scale[j] = math.Sqrt(scale[j])
	}
	for _, row := range rows {
		for j := range k {
			right[j] += row[j] / scale[j]
			for l := range k {
				a[j][l] += row[j] * row[l] / (scale[j] * scale[l])
			}
		}
	}
	if !invert(a) {
		return nil, 0, false
	}
	x = make([]float64, k)
	for j := range k {
		for l := range k {
			x[j] += a[j][k+l] * right[l]
		}
	}
	var squares float64
	for _, row := range rows {
		e := -1.0
		for j := range k {
			e += row[j] / scale[j] * x[j]
		}
		squares += e * e
	}
	spread := 0.0
	if free := len(list) - k; free > 0 {
		spread = squares / float64(free)
	}
	for j := range k {
		if x[j] <= leastCertain*math.Sqrt(spread*math.Abs(a[j][k+j])) {
			return nil, 0, false
		}
		x[j] /= scale[j]
	}
	return x, math.Sqrt(squares / float64(len(list))), true
}

// invert replaces the right half of a matrix with the inverse of the left half, whose
// diagonal is 1. It returns false if the left half is nearly singular.
func invert(a [][]float64) bool {
	k := len(a)
	for j := range k {
		pivot := j
		for l := j; l < k; l++ {
			if math.Abs(a[l][j]) > math.Abs(a[pivot][j]) {
				pivot = l
			}
		}
		a[j], a[pivot] = a[pivot], a[j]
		if math.Abs(a[j][j]) < 1e-9 {
			return false
		}
		by := a[j][j]
		for c := range a[j] {
			a[j][c] /= by
		}
		for l := range k {
			if l == j {
				continue
			}
			by := a[l][j]
			for c := range a[l] {
				a[l][c] -= by * a[j][c]
			}
		}
	}
	return true
}
