package formula

import (
	"errors"
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

// Errors returned by arithmetic on [Rat].
var (
	ErrOverflow = errors.New("the number does not fit in 64 bits")
	ErrDivZero  = errors.New("division by zero")
)

// Rat is an exact rational number: numerator and denominator are coprime
// int64s and the denominator is positive. The zero value is 0. Equal numbers
// compare equal with ==.
//
// Operations report [ErrOverflow] if and only if the exact, reduced result does
// not fit, regardless of intermediate values.
type Rat struct {
	n int64
	d int64 // the denominator less 1, so that the zero value is 0/1
}

// Int returns the whole number n.
func Int(n int64) Rat { return Rat{n: n} }

// Frac returns n/d. It fails with [ErrDivZero] if d is 0, and with
// [ErrOverflow] if n/d does not fit after its denominator is made positive.
func Frac(n, d int64) (Rat, error) { return Int(n).Quo(Int(d)) }

// Num returns the numerator, which carries the sign.
func (a Rat) Num() int64 { return a.n }

// Den returns the denominator, which is at least 1.
func (a Rat) Den() int64 { return a.d + 1 }

// IsInt reports whether a is a whole number.
func (a Rat) IsInt() bool { return a.d == 0 }

// Int64 returns a as an int64, and reports whether a is an integer.
func (a Rat) Int64() (int64, bool) { return a.n, a.d == 0 }

// String returns a string such as "576" for a whole number, or "9/16" for any other
// number.
func (a Rat) String() string {
	s := strconv.FormatInt(a.n, 10)
	if a.d != 0 {
		s += "/" + strconv.FormatInt(a.Den(), 10)
	}
	return s
}

// Add returns a + b, or [ErrOverflow].
func (a Rat) Add(b Rat) (Rat, error) { return fits(a.add(b)) }

// Sub returns a - b, or [ErrOverflow].
func (a Rat) Sub(b Rat) (Rat, error) { return fits(a.sub(b)) }

// Mul returns a * b, or [ErrOverflow].
func (a Rat) Mul(b Rat) (Rat, error) { return fits(a.mul(b)) }

// Quo returns a / b exactly; it fails with [ErrDivZero] or [ErrOverflow].
func (a Rat) Quo(b Rat) (Rat, error) {
	if b.n == 0 {
		return Rat{}, ErrDivZero
	}
	return fits(a.quo(b))
}

// Neg returns -a. It fails with [ErrOverflow] only if the numerator is the
// smallest int64.
func (a Rat) Neg() (Rat, error) { return fits(a.neg()) }

// Floor returns the largest whole number less than or equal to a.
func (a Rat) Floor() Rat {
	if a.d == 0 {
		return a
	}
	q := a.n / a.Den()
	if a.n < 0 {
		q-- // a reduced fraction is never whole, and Go rounds toward zero
	}
	return Int(q)
}

// Ceil returns the smallest whole number greater than or equal to a.
func (a Rat) Ceil() Rat {
	if a.d == 0 {
		return a
	}
	q := a.n / a.Den()
	if a.n > 0 {
		q++
	}
	return Int(q)
}

// Cmp returns -1 if a < b, 0 if a == b, and 1 if a > b.
func (a Rat) Cmp(b Rat) int {
	if a.d == b.d {
		switch {
		case a.n < b.n:
			return -1
		case a.n > b.n:
			return 1
		}
		return 0
	}
	if (a.n < 0) != (b.n < 0) {
		if a.n < 0 {
			return -1
		}
		return 1
	}
	xhi, xlo := bits.Mul64(magnitude(a.n), uint64(b.Den()))
	yhi, ylo := bits.Mul64(magnitude(b.n), uint64(a.Den()))
	c := 0
	switch {
	case xhi < yhi || xhi == yhi && xlo < ylo:
		c = -1
	case xhi > yhi || xlo > ylo:
		c = 1
	}
	if a.n < 0 {
		return -c
	}
	return c
}

func fits(v Rat, ok bool) (Rat, error) {
	if !ok {
		return Rat{}, ErrOverflow
	}
	return v, nil
}

// The unexported operations report whether the result fits. They have a fast path for
// whole numbers, which are the usual case.

func (a Rat) neg() (Rat, bool) { return Rat{n: -a.n, d: a.d}, a.n != math.MinInt64 }

func (a Rat) add(b Rat) (Rat, bool) {
	if s := a.n + b.n; a.d|b.d == 0 && s > a.n == (b.n > 0) {
		return Rat{n: s}, true
	}
	return addFrac(a, b, b.n < 0)
}

func (a Rat) sub(b Rat) (Rat, bool) {
	if s := a.n - b.n; a.d|b.d == 0 && s < a.n == (b.n > 0) {
		return Rat{n: s}, true
	}
	return addFrac(a, b, b.n > 0)
}

func (a Rat) mul(b Rat) (Rat, bool) {
	hi, lo := bits.Mul64(uint64(a.n), uint64(b.n))
	if hi == 0 && int64(lo) >= 0 && a.d|b.d == 0 {
		return Rat{n: int64(lo)}, true
	}
	return mulSlow(a, b)
}

func mulSlow(a, b Rat) (Rat, bool) {
	return mulFrac((a.n < 0) != (b.n < 0), magnitude(a.n), uint64(a.Den()), magnitude(b.n), uint64(b.Den()))
}

// quo returns a / b for b != 0.
func (a Rat) quo(b Rat) (Rat, bool) {
	if a.d|b.d == 0 {
		if q := a.n / b.n; q*b.n == a.n && b.n != -1 {
			return Rat{n: q}, true
		}
	}
	return mulFrac((a.n < 0) != (b.n < 0), magnitude(a.n), uint64(a.Den()), uint64(b.Den()), magnitude(b.n))
}

// floorQuo returns floor(a/b) for b != 0, even if a/b itself does not fit.
func (a Rat) floorQuo(b Rat) (Rat, bool) {
	if a.d|b.d == 0 && b.n > 0 {
		q := a.n / b.n
		if a.n < 0 && q*b.n != a.n {
			q--
		}
		return Int(q), true
	}
	if q, ok := a.quo(b); ok {
		return q.Floor(), true
	}
	return a.bigQuo(b, false)
}

// ceilQuo returns ceil(a/b) for b != 0, even if a/b itself does not fit.
func (a Rat) ceilQuo(b Rat) (Rat, bool) {
	if a.d|b.d == 0 && b.n > 0 {
		q := a.n / b.n
		if a.n > 0 && q*b.n != a.n {
			q++
		}
		return Int(q), true
	}
	if q, ok := a.quo(b); ok {
		return q.Ceil(), true
	}
	return a.bigQuo(b, true)
}

func (a Rat) bigQuo(b Rat, up bool) (Rat, bool) {
	x := new(big.Rat).SetFrac64(a.n, a.Den())
	x.Quo(x, new(big.Rat).SetFrac64(b.n, b.Den()))
	q, m := new(big.Int).DivMod(x.Num(), x.Denom(), new(big.Int)) // rounds down, because Denom > 0
	if up && m.Sign() != 0 {
		q.Add(q, big.NewInt(1))
	}
	return Rat{n: q.Int64()}, q.IsInt64()
}

// addFrac returns a + |b|, or a - |b| if bneg. According to Knuth 4.5.1, any factor that
// can still be canceled afterwards divides the gcd of the denominators.
func addFrac(a, b Rat, bneg bool) (Rat, bool) {
	ad, bd := uint64(a.Den()), uint64(b.Den())
	g := gcd(ad, bd)
	hi, lo := bits.Mul64(magnitude(a.n), bd/g)
	yhi, ylo := bits.Mul64(magnitude(b.n), ad/g)
	neg := a.n < 0
	var c uint64
	switch {
	case neg == bneg:
		lo, c = bits.Add64(lo, ylo, 0)
		hi, _ = bits.Add64(hi, yhi, c) // below 2^127: each product is below 2^126
	case hi > yhi || hi == yhi && lo >= ylo:
		lo, c = bits.Sub64(lo, ylo, 0)
		hi, _ = bits.Sub64(hi, yhi, c)
	default:
		lo, c = bits.Sub64(ylo, lo, 0)
		hi, _ = bits.Sub64(yhi, hi, c)
		neg = bneg
	}
	if hi|lo == 0 {
		return Rat{}, true
	}
	_, rem := bits.Div64(hi%g, lo, g)
	h := gcd(g, rem)
	if hi >= h {
		return Rat{}, false
	}
	n, _ := bits.Div64(hi, lo, h)
	dhi, d := bits.Mul64(ad/g, bd/h)
	if dhi != 0 {
		return Rat{}, false
	}
	return pack(neg, n, d)
}

// mulFrac returns an/ad * bn/bd, negated if neg is set. Both factors are reduced, so canceling
// crosswise reduces the product before it can overflow.
func mulFrac(neg bool, an, ad, bn, bd uint64) (Rat, bool) {
	if an == 0 || bn == 0 {
		return Rat{}, true
	}
	if g := gcd(an, bd); g != 1 {
		an, bd = an/g, bd/g
	}
	if g := gcd(bn, ad); g != 1 {
		bn, ad = bn/g, ad/g
	}
	nhi, n := bits.Mul64(an, bn)
	dhi, d := bits.Mul64(ad, bd)
	if nhi|dhi != 0 {
		return Rat{}, false
	}
	return pack(neg, n, d)
}

// pack returns the fraction n/d, which must be reduced, or -n/d if neg is set.
func pack(neg bool, n, d uint64) (Rat, bool) {
	if d > math.MaxInt64 || n > 1<<63 || n == 1<<63 && !neg {
		return Rat{}, false
	}
	if neg {
		n = -n
	}
	return Rat{n: int64(n), d: int64(d - 1)}, true
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

// gcd returns the greatest common divisor; gcd(0, b) is b.
func gcd(a, b uint64) uint64 {
	if a == 1 || b == 1 {
		return 1
	}
	if a == 0 || b == 0 {
		return a | b
	}
	// One division brings numbers of very different sizes close together. After that, the
	// binary method needs no division.
	if a < b {
		a, b = b, a
	}
	a, b = b, a%b
	if b == 0 {
		return a
	}
	shift := bits.TrailingZeros64(a | b)
	a >>= bits.TrailingZeros64(a)
	for b != 0 {
		b >>= bits.TrailingZeros64(b)
		if a > b {
			a, b = b, a
		}
		b -= a
	}
	return a << shift
}
