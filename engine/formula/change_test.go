package formula

import (
	"math/rand/v2"
	"testing"
)

// TestVary varies the inputs of a frame one by one. Varying an input discards only the values
// that depend on it. The test checks that the frame always has the same values as a new
// frame, even if the value of a formula was set.
func TestVary(t *testing.T) {
	p, f := latentFrame(t)
	names := []string{"tp_size", "pp_size", "page_size", "isl"}
	results := []string{"layer_bytes", "layer", "block", "batch"}
	var inputs, outputs []Ref
	for _, name := range names {
		r, _ := p.Ref(name)
		inputs = append(inputs, r)
	}
	for _, name := range results {
		r, _ := p.Ref(name)
		outputs = append(outputs, r)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, replaced := range []bool{false, true} {
		values := map[Ref]int64{}
		for i, r := range inputs {
			values[r] = []int64{1, 16, 256, 10000}[i]
			f.SetNum(r, Int(values[r]))
		}
		if replaced {
			f.SetNum(outputs[0], Int(7)) // layer_bytes
		}
		space := p.NewSpace(f, nil, inputs, nil)
		f := space.Frame(Spot{})
		for range 2000 {
			i := random.IntN(len(inputs))
			r := inputs[i]
			values[r] = random.Int64N(6) // 0 makes some formulas fail
			space.VaryNum(i, Int(values[r]))
			_, g := latentFrame(t)
			for r, n := range values {
				g.SetNum(r, Int(n))
			}
			if replaced {
				g.SetNum(outputs[0], Int(7))
			}
			for range outputs {
				r := outputs[random.IntN(len(outputs))]
				got, err := f.Num(r)
				want, wrong := g.Num(r)
				if got != want || (err == nil) != (wrong == nil) || err != nil && err.Error() != wrong.Error() {
					t.Fatalf("%s is %v (%v), want %v (%v)", p.Name(r), got, err, want, wrong)
				}
			}
		}
	}
}
