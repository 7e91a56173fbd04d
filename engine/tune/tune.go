// Package tune searches for the combination of settings with the largest measurement.
// Measurements are noisy and can fail, and the search needs only a few of them. The
// package does not measure anything itself.
//
// The search has these stages:
//
//  1. It measures the default, and a sample in which every value of every knob occurs
//     about equally often. It measures the best quarter again, and then the best quarter
//     of those (successive halving).
//  2. Starting from the best combination, it changes one knob at a time to a neighboring
//     value (or to every other value, if the values have no order). It keeps each change
//     that helps, until no change does. Then it changes two knobs at a time.
//  3. It resets each knob to its default if that does not make the result worse.
//  4. It repeats the best combinations until one is better than the others, or until the
//     differences are too small to matter. It also measures an alternative value for each
//     knob of the best combination.
//
// Measurements are compared as logarithms, because their noise is relative. During the
// search, two means are compared with a t test that uses the variance pooled over all
// combinations that were measured more than once. The result compares the best combination
// with the default using Welch's t test. All intervals are 95% confidence intervals,
// without a correction for the number of comparisons.
package tune

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Knob is a setting that the search varies.
type Knob struct {
	Name string
	// Values is the number of values. Default is the index of the default value.
	Values, Default int
	// Ordered reports whether adjacent values are expected to have similar results.
	Ordered bool
}

// Point is a combination of settings. It contains the index of each knob's value.
type Point []int

func (p Point) key() string { return fmt.Sprint([]int(p)) }

// with returns a copy of the point in which one knob has a different value.
func (p Point) with(knob, value int) Point {
	p = slices.Clone(p)
	p[knob] = value
	return p
}

// Outcome is the outcome of a measurement.
type Outcome uint8

// These are the outcomes.
const (
	Measured Outcome = iota
	// Failed means that the point has no result that can be trusted. It is never the best.
	Failed
	// Refused means that the point was not measured. It does not count as a run.
	Refused
	// Stopped means that the search must end.
	Stopped
)

// Measure measures a point. repeat is 1 for the first measurement of the point.
type Measure func(p Point, repeat int) (value float64, outcome Outcome)

// Options are the options of a search.
type Options struct {
	Seed uint64
	// MaxRuns is the maximum number of measurements.
	MaxRuns int
	// Late reports whether it is time to stop trying other points, and to measure the
	// best ones again. It may be nil.
	Late func() bool
}

// same is the largest relative difference that does not matter. If two combinations differ by
// no more than this, the search does not repeat measurements to find out which one is better.
const same = 0.02

// Trial is a point with its measurements.
type Trial struct {
	Point  Point
	Values []float64
	// Failed reports whether a measurement failed, and Refused whether the point was
	// refused.
	Failed, Refused bool

	sample
}

// Mean returns the geometric mean of the measurements.
func (t *Trial) Mean() float64 { return math.Exp(t.mean) }

// usable reports whether the point can become the best point.
func (t *Trial) usable() bool { return len(t.Values) > 0 && !t.Failed }

// Search is a search together with its results.
type Search struct {
	Knobs []Knob
	Runs  int
	// Done reports whether the search was complete. If not, it reached a limit, was
	// stopped, or had no usable point.
	Done bool
	// Flat reports whether the first sample varied little more than repeated measurements
	// of one point. If so, the search did not try to improve the best point.
	Flat bool
	// Stopped reports whether a measurement stopped the search.
	Stopped bool
	// Trials contains all points, in the order in which the search first requested them.
	Trials []*Trial

	options Options
	rand    *rand.Rand
	measure Measure
	limit   int // the current stage ends at this number of runs
	// exploring reports whether the search still tries other points.
	exploring bool
	trials    map[string]*Trial
}

// New returns a search. Every knob must have at least one value.
func New(knobs []Knob, options Options) *Search {
	return &Search{Knobs: knobs, options: options, rand: rand.New(rand.NewPCG(options.Seed, 0)), trials: map[string]*Trial{}, exploring: true}
}

// Size returns the number of combinations, or math.MaxInt if there are more.
func Size(knobs []Knob) int {
	n := 1
	for _, k := range knobs {
		if n > math.MaxInt/k.Values {
			return math.MaxInt
		}
		n *= k.Values
	}
	return n
}

// Default returns the trial of the point with all knobs at their defaults.
func (s *Search) Default() *Trial {
	p := make(Point, len(s.Knobs))
	for i, k := range s.Knobs {
		p[i] = k.Default
	}
	return s.trial(p)
}

// trial returns the trial of a point, which may have no measurements yet.
func (s *Search) trial(p Point) *Trial {
	t := s.trials[p.key()]
	if t == nil {
		t = &Trial{Point: slices.Clone(p)}
		s.trials[p.key()] = t
	}
	return t
}

// run measures a point until it has n measurements. It returns false if it cannot,
// because the point failed or was refused, or because the stage is over.
func (s *Search) run(t *Trial, n int) bool {
	for len(t.Values) < n {
		if t.Failed || t.Refused || s.isOver() {
			return false
		}
		value, outcome := s.measure(t.Point, len(t.Values)+1)
		if outcome == Stopped {
			s.Stopped = true
			return false
		}
		if !slices.Contains(s.Trials, t) {
			s.Trials = append(s.Trials, t)
		}
		switch {
		case outcome == Refused:
			t.Refused = true
			return false
		case outcome == Failed || !(value > 0) || math.IsInf(value, 0):
			s.Runs++
			t.Failed = true
			return false
		}
		s.Runs++
		t.Values = append(t.Values, value)
		t.sample = sampleOf(t.Values)
	}
	return true
}

// isOver reports whether the stage has no runs left.
func (s *Search) isOver() bool {
	return s.Stopped || s.Runs >= s.limit || s.exploring && s.options.Late != nil && s.options.Late()
}

// Best returns the usable trial with the largest mean, or nil if there is none.
func (s *Search) Best() *Trial {
	if ranked := s.ranked(); len(ranked) > 0 {
		return ranked[0]
	}
	return nil
}

// ranked returns the usable trials, best first.
func (s *Search) ranked() []*Trial {
	list := slices.DeleteFunc(slices.Clone(s.Trials), func(t *Trial) bool { return !t.usable() })
	slices.SortStableFunc(list, func(a, b *Trial) int { return cmp.Compare(b.mean, a.mean) })
	return list
}

// The estimate of the noise starts with the standard deviation priorNoise, which counts
// as priorFreedom degrees of freedom. Repeated measurements then improve the estimate.
const (
	priorNoise   = 0.03
	priorFreedom = 2
)

// noise returns the pooled standard deviation of one measurement, and the degrees of
// freedom of this estimate.
func (s *Search) noise() (deviation, freedom float64) {
	squares := priorFreedom * priorNoise * priorNoise
	freedom = priorFreedom
	for _, t := range s.Trials {
		if len(t.Values) > 1 {
			squares += t.squares
			freedom += float64(t.n - 1)
		}
	}
	return math.Sqrt(squares / freedom), freedom
}

// compare returns the change from one trial to another, with an interval based on the
// pooled variance.
func (s *Search) compare(to, from *Trial) Change {
	deviation, freedom := s.noise()
	return changeOf(to.mean-from.mean, quantile(freedom)*deviation*math.Sqrt(1/float64(to.n)+1/float64(from.n)))
}

// Gain returns the change from the default to a trial. It returns false if the default has no
// trusted measurements.
func (s *Search) Gain(t *Trial) (Change, bool) {
	def := s.Default()
	if !def.usable() {
		return Change{}, false
	}
	if def == t {
		return Change{}, true
	}
	return welch(t.sample, def.sample), true
}

// Effect is the effect of changing one knob of a point to another value. Value is the
// index of that value.
type Effect struct {
	Value  int
	Change Change
	// Failed reports whether the measurement with this value failed, and Refused whether
	// it was refused. In either case, Change is not set.
	Failed, Refused bool
}

// Effects returns the effects of changing one knob of a trial and no other knob. The list
// contains an effect for every other value that was tried, in the order of the values.
func (s *Search) Effects(t *Trial, knob int) []Effect {
	var list []Effect
	for value := range s.Knobs[knob].Values {
		other := s.trial(t.Point.with(knob, value))
		switch {
		case value == t.Point[knob]:
		case other.Failed:
			list = append(list, Effect{Value: value, Failed: true})
		case other.Refused:
			list = append(list, Effect{Value: value, Refused: true})
		case other.usable():
			list = append(list, Effect{Value: value, Change: s.compare(other, t)})
		}
	}
	return list
}
