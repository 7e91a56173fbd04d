package formula

import (
	"errors"
	"math"
	"math/big"
	"testing"
)

const maxInt, minInt = math.MaxInt64, math.MinInt64

func frac(t testing.TB, n, d int64) Rat {
	t.Helper()
	r, err := Frac(n, d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRat(t *testing.T) {
	for _, test := range []struct {
		name string
		got  func() (Rat, error)
		want string // "" for an overflow, "/0" for a division by zero
	}{
		{"1/2 + 1/3", func() (Rat, error) { return frac(t, 1, 2).Add(frac(t, 1, 3)) }, "5/6"},
		{"1/6 + 1/3", func() (Rat, error) { return frac(t, 1, 6).Add(frac(t, 1, 3)) }, "1/2"},
		{"1/2 - 1/2", func() (Rat, error) { return frac(t, 1, 2).Sub(frac(t, 1, 2)) }, "0"},
		{"9/16 * 32", func() (Rat, error) { return frac(t, 9, 16).Mul(Int(32)) }, "18"},
		{"-7 / 2", func() (Rat, error) { return Int(-7).Quo(Int(2)) }, "-7/2"},
		{"7 / -2", func() (Rat, error) { return Int(7).Quo(Int(-2)) }, "-7/2"},
		{"7 / 0", func() (Rat, error) { return Int(7).Quo(Int(0)) }, "/0"},
		{"max + 1", func() (Rat, error) { return Int(maxInt).Add(Int(1)) }, ""},
		{"min - 1", func() (Rat, error) { return Int(minInt).Sub(Int(1)) }, ""},
		{"max - max", func() (Rat, error) { return Int(maxInt).Sub(Int(maxInt)) }, "0"},
		{"max * 2", func() (Rat, error) { return Int(maxInt).Mul(Int(2)) }, ""},
		{"max * 1/max", func() (Rat, error) { return Int(maxInt).Mul(frac(t, 1, maxInt)) }, "1"},
		{"min * -1", func() (Rat, error) { return Int(minInt).Mul(Int(-1)) }, ""},
		{"-min", func() (Rat, error) { return Int(minInt).Neg() }, ""},
		{"min / min", func() (Rat, error) { return Int(minInt).Quo(Int(minInt)) }, "1"},
		{"1/max + 1/(max-1)", func() (Rat, error) { return frac(t, 1, maxInt).Add(frac(t, 1, maxInt-1)) }, ""},
		{"floor -7/2", func() (Rat, error) { return frac(t, -7, 2).Floor(), nil }, "-4"},
		{"ceil -7/2", func() (Rat, error) { return frac(t, -7, 2).Ceil(), nil }, "-3"},
		{"floor 7/2", func() (Rat, error) { return frac(t, 7, 2).Floor(), nil }, "3"},
		{"ceil 7/2", func() (Rat, error) { return frac(t, 7, 2).Ceil(), nil }, "4"},
		{"ceil 4", func() (Rat, error) { return Int(4).Ceil(), nil }, "4"},
	} {
		got, err := test.got()
		switch {
		case test.want == "" && errors.Is(err, ErrOverflow), test.want == "/0" && errors.Is(err, ErrDivZero):
		case err != nil || got.String() != test.want:
			t.Errorf("%s is %v (%v), want %q", test.name, got, err, test.want)
		}
	}
	if (Rat{}) != Int(0) {
		t.Error("the zero value is not 0")
	}
}

// exact returns a result of math/big as a Rat, if it fits.
func exact(r *big.Rat) (Rat, bool) {
	if !r.Num().IsInt64() || !r.Denom().IsInt64() {
		return Rat{}, false
	}
	v, err := Frac(r.Num().Int64(), r.Denom().Int64())
	return v, err == nil
}

// FuzzRat compares every operation with math/big. An operation must fail if and
// only if the exact result does not fit. Otherwise, the results must be equal.
func FuzzRat(f *testing.F) {
	f.Add(int64(1), int64(2), int64(1), int64(3))
	f.Add(int64(maxInt), int64(1), int64(1), int64(maxInt))
	f.Add(int64(minInt), int64(1), int64(minInt), int64(3))
	f.Add(int64(9), int64(16), int64(-32), int64(5))
	f.Add(int64(1), int64(minInt), int64(-1), int64(7))
	f.Fuzz(func(t *testing.T, an, ad, bn, bd int64) {
		a, errA := Frac(an, ad)
		b, errB := Frac(bn, bd)
		if errA != nil || errB != nil {
			return
		}
		x, y := big.NewRat(a.Num(), a.Den()), big.NewRat(b.Num(), b.Den())
		check := func(op string, got Rat, err error, want *big.Rat) {
			v, fits := exact(want)
			if fits != (err == nil) || fits && got != v {
				t.Errorf("%v %s %v is %v (%v), want %v", a, op, b, got, err, want)
			}
		}
		r, err := a.Add(b)
		check("+", r, err, new(big.Rat).Add(x, y))
		r, err = a.Sub(b)
		check("-", r, err, new(big.Rat).Sub(x, y))
		r, err = a.Mul(b)
		check("*", r, err, new(big.Rat).Mul(x, y))
		if b.Num() != 0 {
			r, err = a.Quo(b)
			check("/", r, err, new(big.Rat).Quo(x, y))
		}
		if got := a.Cmp(b); got != x.Cmp(y) {
			t.Errorf("%v cmp %v is %d", a, b, got)
		}
		floor := new(big.Int).Div(x.Num(), x.Denom()) // Euclidean division rounds down for a positive divisor
		if got := a.Floor(); got.Num() != floor.Int64() || !got.IsInt() {
			t.Errorf("floor %v is %v", a, got)
		}
		if !x.IsInt() {
			floor.Add(floor, big.NewInt(1))
		}
		if got := a.Ceil(); got.Num() != floor.Int64() || !got.IsInt() {
			t.Errorf("ceil %v is %v", a, got)
		}
	})
}
