package tune

import (
	"cmp"
	"math"
	"slices"
)

const (
	// The first sample uses 1/sampled of the runs, but has at most maxSample points.
	sampled, maxSample = 6, 64
	// Each round of halving keeps 1/kept of the points.
	kept = 4
	// tries is the maximum number of times that a point is measured to decide on one step.
	tries = 2
	// repeats is the number of times that the best point and the default are measured at
	// the end, if enough runs are left. Points that are hard to tell apart are measured
	// up to maxRepeats times.
	repeats, maxRepeats = 5, 7
	// rivals is the number of points, in addition to the best one, that are measured
	// repeatedly.
	rivals = 2
)

// Run runs the search.
func (s *Search) Run(measure Measure) {
	s.measure = measure
	all := s.options.MaxRuns
	last := min(all/sampled, 2*repeats+2*len(s.Knobs)) // runs for the last two stages
	s.limit = all - last
	s.halve()
	s.Flat = s.flat()
	tried := s.Flat || s.explore()
	s.exploring, s.limit = false, all
	if best := s.Best(); best != nil {
		s.simplify(best)
		s.limit = min(all, s.Runs+2*last)
		s.settle()
		if s.limit = all; s.Winner() != nil {
			s.alternatives(s.Winner())
		}
	}
	s.Done = tried && !s.Stopped
}

// Initial returns the points that the search measures first, in order. It draws them at
// random, so calling it before Run changes the points that Run measures.
func (s *Search) Initial() []Point {
	list := []Point{s.Default().Point}
	for _, p := range s.spread(min(s.options.MaxRuns/sampled, maxSample)) {
		if !slices.ContainsFunc(list, func(q Point) bool { return slices.Equal(p, q) }) {
			list = append(list, p)
		}
	}
	return list
}

// spread returns n points in which every value of each knob occurs about equally often.
func (s *Search) spread(n int) []Point {
	points := make([]Point, n)
	for i := range points {
		points[i] = make(Point, len(s.Knobs))
	}
	for k, knob := range s.Knobs {
		first := s.rand.IntN(knob.Values)
		for i, j := range s.rand.Perm(n) {
			points[j][k] = (first + i) % knob.Values
		}
	}
	return points
}

// halve measures all of the first points once, the best of them a second time, the best
// of those a third time, and so on.
func (s *Search) halve() {
	first := s.Initial()
	for _, p := range first {
		s.run(s.trial(p), 1)
	}
	// Refused points are replaced with random points.
	for tries := len(first) * 10; tries > 0 && s.Runs < len(first) && !s.isOver(); tries-- {
		s.run(s.trial(s.spread(1)[0]), 1)
	}
	list := s.ranked()
	for n := 2; len(list) > kept; n++ {
		list = list[:(len(list)+kept-1)/kept]
		for _, t := range list {
			s.run(t, n)
		}
		list = slices.DeleteFunc(list, func(t *Trial) bool { return !t.usable() })
	}
}

// flat reports whether the sample varies little more than repeated measurements of one
// point, which suggests that no knob matters.
func (s *Search) flat() bool {
	const enough, more = 8, 1.5
	list := s.ranked()
	if len(list) < enough {
		return false
	}
	var first []float64
	for _, t := range list {
		first = append(first, t.Values[0])
	}
	deviation, _ := s.noise()
	between := sampleOf(first)
	return between.squares/float64(between.n-1) < more*deviation*deviation
}

// explore improves the best point by changing one or two knobs at a time. It returns
// false if it stops before it has tried every such change to the best point.
func (s *Search) explore() bool {
	for {
		best := s.Best()
		if best == nil || !s.climb(best) {
			return false
		}
		if best = s.Best(); !s.pairs(best) {
			return !s.isOver()
		}
	}
}

// climb improves a point by changing one knob at a time, until no change makes it better.
// It reports whether it tried all changes to the last point.
func (s *Search) climb(at *Trial) (all bool) {
	for {
		next, all := s.step(at)
		if next == nil {
			return all
		}
		at = next
	}
}

// step changes one knob of a point at a time until a change makes the point better, and
// returns the better point. If no change does, it returns nil and reports whether it
// tried all changes.
func (s *Search) step(at *Trial) (better *Trial, all bool) {
	for _, k := range s.rand.Perm(len(s.Knobs)) {
		for _, way := range s.ways(k) {
			t := s.change(at, k, way)
			// Keep going in the same direction as long as the point gets better.
			for next := t; next != nil; next = s.change(t, k, way) {
				t = next
				if !s.Knobs[k].Ordered {
					break
				}
			}
			if t != nil {
				return t, true
			}
			if s.isOver() {
				return nil, false
			}
		}
	}
	return nil, true
}

// ways returns the steps for changing a knob, in random order. A knob with ordered values
// can go one step up or down. Any other knob can change to every other value.
func (s *Search) ways(knob int) []int {
	k := s.Knobs[knob]
	list := []int{1, -1}
	if !k.Ordered {
		list = nil
		for d := 1; d < k.Values; d++ {
			list = append(list, d)
		}
	}
	s.rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// moved returns the point with one knob changed by a step, or nil if the knob has no such
// value.
func (s *Search) moved(p Point, knob, way int) Point {
	k, value := s.Knobs[knob], p[knob]+way
	switch {
	case !k.Ordered:
		return p.with(knob, value%k.Values)
	case value < 0 || value >= k.Values:
		return nil
	}
	return p.with(knob, value)
}

// change varies a knob of a point and returns the new point if it is better, or nil
// otherwise. If the values are ordered, it skips values that fail.
func (s *Search) change(at *Trial, knob, way int) *Trial {
	for p := s.moved(at.Point, knob, way); p != nil; p = s.moved(p, knob, way) {
		t := s.trial(p)
		if s.challenge(t, at) {
			return t
		}
		if !t.Failed && !t.Refused || !s.Knobs[knob].Ordered {
			break
		}
	}
	return nil
}

// pairs changes two knobs of a point at a time until the new point is better, and reports
// whether it found a better point.
func (s *Search) pairs(best *Trial) bool {
	var list []Point
	for k := range s.Knobs {
		for l := range k {
			for _, v := range s.ways(k) {
				for _, w := range s.ways(l) {
					p := s.moved(best.Point, k, v)
					if p != nil {
						p = s.moved(p, l, w)
					}
					if p != nil {
						list = append(list, p)
					}
				}
			}
		}
	}
	s.rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, p := range list {
		if s.isOver() {
			return false
		}
		if s.challenge(s.trial(p), best) {
			return true
		}
	}
	return false
}

// challenge measures a point until it is clear whether the point is better than best, or
// until both were measured often enough. It reports whether the point is better.
func (s *Search) challenge(t, best *Trial) bool {
	if !s.run(t, 1) && !t.usable() {
		return false
	}
	for {
		c := s.compare(t, best)
		switch {
		case c.Low > 0:
			return true
		case c.High < same || t.n >= tries:
			return c.Mean > same
		}
		weaker := t
		if best.n < t.n {
			weaker = best
		}
		if !s.run(weaker, weaker.n+1) {
			return t.usable() && !best.usable()
		}
	}
}

// simplify tries the default of each knob of a point. It then measures the point with all
// the defaults that did not make it worse.
func (s *Search) simplify(best *Trial) {
	plain := best.Point
	for k, knob := range s.Knobs {
		other := s.trial(best.Point.with(k, knob.Default))
		if other != best && s.run(other, 1) && s.compare(other, best).High > 0 && other.mean > best.mean-same {
			plain = plain.with(k, knob.Default)
		}
	}
	s.run(s.trial(plain), tries)
}

// settle measures the default and the best points repeatedly until one point is clearly
// the best, or until the differences are too small to matter. It also measures one
// alternative value for each knob of the best point.
func (s *Search) settle() {
	for {
		s.confirm(0)
		w := s.Winner()
		if w == nil {
			return
		}
		before := s.Runs
		s.alternatives(w)
		if !s.Flat {
			s.confirm(rivals)
		}
		if s.isOver() || s.Runs == before {
			return
		}
	}
}

// confirm repeatedly measures the point with the best result so far, the point that the
// search would choose, and the default. It also measures any of the next n points that may
// turn out to be better.
func (s *Search) confirm(n int) {
	for {
		ranked := s.ranked()
		if len(ranked) == 0 || s.isOver() {
			return
		}
		best, d, w := ranked[0], s.Default(), s.Winner()
		list := []*Trial{best, w}
		if d.usable() {
			list = append(list, d)
		}
		list = slices.DeleteFunc(list, func(t *Trial) bool { return t.n >= repeats })
		for _, t := range ranked[1:min(n+1, len(ranked))] {
			c := s.compare(t, best)
			if t.n < repeats && c.High > same || t.n < maxRepeats && c.Noise() && t.mean < best.mean-same {
				list = append(list, t)
			}
		}
		if len(list) == 0 {
			return
		}
		// The points take turns, because the noise may change over time.
		again := slices.MinFunc(list, func(a, b *Trial) int { return cmp.Compare(a.n, b.n) })
		s.run(again, again.n+1)
	}
}

// alternatives tries to ensure that at least one other value of each knob of a point has
// been measured. If a knob is not at its default, it tries the default first.
func (s *Search) alternatives(best *Trial) {
	for k, knob := range s.Knobs {
		if best.Point[k] != knob.Default {
			s.run(s.trial(best.Point.with(k, knob.Default)), 1)
		}
		if slices.ContainsFunc(s.Effects(best, k), func(e Effect) bool { return !e.Failed && !e.Refused }) {
			continue
		}
		for _, way := range s.ways(k) {
			if s.nearest(best, k, way) {
				break
			}
		}
	}
}

// nearest goes through the values of a knob in one direction until it can measure one of
// them. It reports whether it succeeded.
func (s *Search) nearest(from *Trial, knob, way int) bool {
	for p := s.moved(from.Point, knob, way); p != nil; p = s.moved(p, knob, way) {
		if s.run(s.trial(p), 1) {
			return true
		}
		if !s.Knobs[knob].Ordered {
			break
		}
	}
	return false
}

// Winner returns the point to use, or nil if no point is usable. This is the best point
// or, if other points are about as good, the point with the fewest changes from the
// default. Winner prefers points that were measured more often.
func (s *Search) Winner() *Trial {
	deviation, _ := s.noise()
	low := func(t *Trial) float64 { return t.mean - deviation/math.Sqrt(float64(t.n)) }
	list := s.ranked()
	if len(list) == 0 {
		return nil
	}
	best := slices.MaxFunc(list, func(a, b *Trial) int { return cmp.Compare(low(a), low(b)) })
	for _, t := range list {
		if t.n > 1 && t.mean > best.mean-same && s.compare(t, best).High > 0 && s.changes(t) < s.changes(best) {
			best = t
		}
	}
	return best
}

// changes returns the number of knobs that are not at their defaults.
func (s *Search) changes(t *Trial) int {
	n := 0
	for k := range s.Knobs {
		if t.Point[k] != s.Knobs[k].Default {
			n++
		}
	}
	return n
}
