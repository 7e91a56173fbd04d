package tune

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// search runs a search on a surface, with at most a tenth of the runs of its grid.
func search(f *surface, seed uint64) *Search {
	s := New(f.knobs, Options{Seed: seed, MaxRuns: Size(f.knobs) / 10})
	s.Run(f.measure(seed))
	return s
}

// TestSurfaces checks that the search comes within 5% of the best point with a tenth of
// the runs that the whole grid needs, for every seed. It also checks that the search
// never chooses a point that failed.
func TestSurfaces(t *testing.T) {
	for i := range surfaces {
		f := &surfaces[i]
		best := f.best()
		for seed := range uint64(20) {
			s := search(f, seed)
			w := s.Winner()
			if w == nil || w.Failed {
				t.Fatalf("%s, seed %d: the winner is %+v", f.name, seed, w)
			}
			if v := f.value(w.Point); v < 0.95*best {
				t.Errorf("%s, seed %d: found %.2f at %v, the best is %.2f", f.name, seed, v, w.Point, best)
			}
			if s.Runs > Size(f.knobs)/10 {
				t.Errorf("%s, seed %d: %d runs of %d", f.name, seed, s.Runs, Size(f.knobs))
			}
		}
	}
	good := 0
	for seed := range uint64(20) {
		if hidden.value(search(&hidden, seed).Winner().Point) >= 0.95*hidden.best() {
			good++
		}
	}
	if good < 16 {
		t.Errorf("%s: only %d of 20 seeds find the best setting", hidden.name, good)
	}
}

// TestOrder checks that the same seed requests the same points in the same order.
func TestOrder(t *testing.T) {
	order := func(searched, noise uint64) string {
		f, text := &surfaces[0], ""
		measure := f.measure(noise)
		s := New(f.knobs, Options{Seed: searched, MaxRuns: 100})
		s.Run(func(p Point, repeat int) (float64, Outcome) {
			text += fmt.Sprint(p, repeat, " ")
			return measure(p, repeat)
		})
		return text
	}
	first := order(7, 1)
	if order(7, 1) != first {
		t.Error("the same seed results in a different order")
	}
	if order(8, 1) == first {
		t.Error("a different seed results in the same order")
	}
	s := New(surfaces[0].knobs, Options{Seed: 7, MaxRuns: 100})
	text := ""
	for _, p := range s.Initial() {
		text += fmt.Sprint(p, 1, " ")
	}
	if first[:len(text)] != text {
		t.Errorf("the search begins with\n%s\nwant\n%s", first[:len(text)], text)
	}
}

// TestFlat checks that the search ends early and finds no gain if no knob matters, but still
// measures another value of each knob.
func TestFlat(t *testing.T) {
	f := &surfaces[slices.IndexFunc(surfaces, func(f surface) bool { return f.name == "flat" })]
	for seed := range uint64(20) {
		s := search(f, seed)
		w := s.Winner()
		if !s.Done || s.Runs > 200 {
			t.Errorf("seed %d: done %v after %d runs", seed, s.Done, s.Runs)
		}
		if c, ok := s.Gain(w); !ok || !c.Noise() && math.Abs(c.Mean) > 0.05 {
			t.Errorf("seed %d: the gain is %+v", seed, c)
		}
		for k := range s.Knobs {
			if effects := s.Effects(w, k); len(effects) == 0 {
				t.Errorf("seed %d: no other value of %s was measured", seed, s.Knobs[k].Name)
			}
		}
	}
}

// TestGain checks the gain over the default, and the effects of knobs that matter and of
// knobs that do not.
func TestGain(t *testing.T) {
	knobs := []Knob{{"strong", 4, 0, true}, {"none", 2, 0, false}, {"weak", 3, 1, false}}
	f := surface{knobs: knobs, noise: 0.01, value: func(p Point) float64 { return 10 * pow2(p[0]) * []float64{0.9, 1, 0.95}[p[2]] }}
	for seed := range uint64(20) {
		s := New(knobs, Options{Seed: seed, MaxRuns: 60})
		s.Run(f.measure(seed))
		w := s.Winner()
		if want := (Point{3, 0, 1}); !slices.Equal(w.Point, want) {
			t.Errorf("seed %d: the winner is %v, want %v", seed, w.Point, want)
			continue
		}
		if c, ok := s.Gain(w); !ok || c.Low < 6.5 || c.High > 7.5 || c.Low > c.Mean || c.Mean > c.High {
			t.Errorf("seed %d: the gain is %+v, want about 7", seed, c)
		}
		if effects := s.Effects(w, 0); !slices.ContainsFunc(effects, func(e Effect) bool { return e.Value == knobs[0].Default }) {
			t.Errorf("seed %d: the default of strong was not measured: %+v", seed, effects)
		}
		if effects := s.Effects(w, 0); !slices.ContainsFunc(effects, func(e Effect) bool { return !e.Change.Noise() && e.Change.Mean < -0.4 }) {
			t.Errorf("seed %d: the effects of strong are %+v", seed, effects)
		}
		if effects := s.Effects(w, 1); len(effects) != 1 || math.Abs(effects[0].Change.Mean) > 0.05 {
			t.Errorf("seed %d: the effects of none are %+v", seed, effects)
		}
	}
}

// TestFailures checks searches in which every point fails or is refused, and searches
// that are stopped.
func TestFailures(t *testing.T) {
	knobs := storageKnobs
	for _, outcome := range []Outcome{Failed, Refused, Stopped} {
		s := New(knobs, Options{Seed: 1, MaxRuns: 50})
		calls := 0
		s.Run(func(Point, int) (float64, Outcome) {
			calls++
			return 0, outcome
		})
		if w := s.Winner(); w != nil {
			t.Errorf("%d: the winner is %v", outcome, w)
		}
		if _, ok := s.Gain(&Trial{}); ok {
			t.Errorf("%d: there is a gain although the default has no measurements", outcome)
		}
		if want := map[Outcome]int{Failed: calls}[outcome]; s.Runs != want || s.Stopped != (outcome == Stopped) {
			t.Errorf("%d: %d runs after %d calls, stopped %v", outcome, s.Runs, calls, s.Stopped)
		}
	}
	for _, wrong := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		s := New(knobs, Options{Seed: 1, MaxRuns: 20})
		s.Run(func(Point, int) (float64, Outcome) { return wrong, Measured })
		if w := s.Winner(); w != nil {
			t.Errorf("the best point is %v, want none", wrong)
		}
	}
	// Measurements made before the search was stopped still count, and the search does
	// not request any more.
	f := &surfaces[0]
	measure, calls := f.measure(1), 0
	s := New(f.knobs, Options{Seed: 1, MaxRuns: 144})
	s.Run(func(p Point, repeat int) (float64, Outcome) {
		if calls++; calls > 30 {
			return 0, Stopped
		}
		return measure(p, repeat)
	})
	if w := s.Winner(); w == nil || s.Done || !s.Stopped || calls != 31 || s.Runs != 30 {
		t.Errorf("stopped: winner %v, done %v, %d calls, %d runs", w, s.Done, calls, s.Runs)
	}
}

// TestRefused checks that the search skips refused values, even at the end of a knob's
// values, and reports them.
func TestRefused(t *testing.T) {
	knobs := []Knob{{"some", 5, 0, true}, {"other", 2, 0, false}}
	f := surface{knobs: knobs, noise: 0.01, value: func(p Point) float64 { return 10 + float64(p[0]) }}
	for seed := range uint64(20) {
		measure := f.measure(seed)
		s := New(knobs, Options{Seed: seed, MaxRuns: 40})
		s.Run(func(p Point, n int) (float64, Outcome) {
			if p[0] == 1 || p[0] == 3 || p[1] == 1 {
				return 0, Refused
			}
			return measure(p, n)
		})
		w := s.Winner()
		if want := (Point{4, 0}); !slices.Equal(w.Point, want) {
			t.Errorf("seed %d: the winner is %v, want %v", seed, w.Point, want)
		}
		if e := s.Effects(w, 1); len(e) != 1 || !e[0].Refused {
			t.Errorf("seed %d: the effects of a refused value are %+v", seed, e)
		}
	}
}

// TestSizes checks searches with one knob, with one value, and with few runs.
func TestSizes(t *testing.T) {
	for _, knobs := range [][]Knob{nil, {{"one", 1, 0, true}}, {{"two", 2, 1, false}}, {{"many", 500, 0, true}}, storageKnobs} {
		f := surface{knobs: knobs, noise: 0.02, value: func(p Point) float64 { return 1 }}
		for runs := range 40 {
			s := New(knobs, Options{Seed: 3, MaxRuns: runs})
			s.Run(f.measure(3))
			if s.Runs > runs || (s.Winner() == nil) != (runs == 0) {
				t.Errorf("%v: %d runs of at most %d, winner %v", knobs, s.Runs, runs, s.Winner())
			}
		}
	}
}

// TestLate checks that a search that is running late stops exploring, but still measures the
// best points again.
func TestLate(t *testing.T) {
	f := &surfaces[0]
	var s *Search
	s = New(f.knobs, Options{Seed: 1, MaxRuns: 144, Late: func() bool { return s.Runs >= 30 }})
	s.Run(f.measure(1))
	if w := s.Winner(); s.Done || s.Runs <= 30 || s.Runs > 90 || w.n < 2 {
		t.Errorf("done %v after %d runs, winner %+v", s.Done, s.Runs, w)
	}
}

// TestStatistics checks intervals computed by hand. The logarithms are 0.1, 0.2 and 0.3
// (variance 0.01), and 0 and 0.1 (variance 0.005). Therefore, the standard error is
// sqrt(0.01/3 + 0.005/2) = 0.07638, with 2.88 degrees of freedom, rounded down to 2.
func TestStatistics(t *testing.T) {
	exp := func(list ...float64) sample {
		for i := range list {
			list[i] = math.Exp(list[i])
		}
		return sampleOf(list)
	}
	near := func(got, want float64) bool { return math.Abs(got-want) < 1e-4 || got == want }
	for _, test := range []struct {
		to, from sample
		want     Change
	}{
		{exp(0.1, 0.2, 0.3), exp(0, 0.1), Change{0.16183, -0.16360, 0.61389}},
		{exp(0, 0), exp(0, 0), Change{0, 0, 0}},
		{exp(math.Ln2, math.Ln2), exp(0, 0), Change{1, 1, 1}},
		{exp(0.1), exp(0, 0), Change{0.10517, -1, math.Inf(1)}},
	} {
		if got := welch(test.to, test.from); !near(got.Mean, test.want.Mean) || !near(got.Low, test.want.Low) || !near(got.High, test.want.High) {
			t.Errorf("the change is %+v, want %+v", got, test.want)
		}
	}
	for freedom, want := range map[float64]float64{0.5: math.Inf(1), 1: 12.706, 2.9: 4.303, 10: 2.228, 30: 2.042, 40: 2.04, 1000: 2} {
		if got := quantile(freedom); got != want {
			t.Errorf("the quantile for %v degrees of freedom is %v, want %v", freedom, got, want)
		}
	}
}
