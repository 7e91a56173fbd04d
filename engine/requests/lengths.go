package requests

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// Lengths yields the lengths of requests, in tokens.
type Lengths interface {
	// Next returns the next length, which is at least 1.
	Next() int64
}

// MaxLength is the maximum length of a request. Longer lengths drawn from a distribution
// are reduced to it.
const MaxLength = 1 << 40

// maxList is the maximum number of lengths in a list.
const maxList = 100_000

// lengthForms describes what [ParseLengths] accepts.
const lengthForms = "a number of tokens, a list such as 1k,8k, normal(MEAN,STD) or lognormal(MEAN,STD)"

// ParseLengths parses a description of lengths: a number, a list of numbers to use in
// turn, normal(mean,std) or lognormal(mean,std). In both distributions, mean and std
// describe the lengths themselves, not their logarithms. Drawn lengths are rounded to
// whole tokens, and lengths below 1 are raised to 1. The same seed yields the same
// lengths. ParseLengths calls tokens to parse numbers that may have a unit.
func ParseLengths(text string, seed uint64, tokens func(string) (int64, error)) (Lengths, error) {
	name, rest, drawn := strings.Cut(strings.TrimSpace(text), "(")
	if !drawn {
		return parseList(text, tokens)
	}
	inner, ok := strings.CutSuffix(strings.TrimSpace(rest), ")")
	name = strings.ToLower(strings.TrimSpace(name))
	if !ok || name != "normal" && name != "lognormal" {
		return nil, fmt.Errorf("%q is not allowed: expected %s", text, lengthForms)
	}
	var params []float64
	for _, p := range strings.Split(inner, ",") {
		n, err := tokens(strings.TrimSpace(p))
		if err != nil || n < 0 || n > MaxLength {
			return nil, fmt.Errorf("%q is not allowed in %s: expected a number of tokens from 0 to %d", strings.TrimSpace(p), text, int64(MaxLength))
		}
		params = append(params, float64(n))
	}
	switch {
	case len(params) != 2:
		return nil, fmt.Errorf("%q is not allowed: expected %s(MEAN,STD)", text, name)
	case params[0] < 1:
		return nil, fmt.Errorf("%q is not allowed: the mean must be at least 1", text)
	}
	d := &distribution{mean: params[0], std: params[1], rand: rand.New(rand.NewPCG(seed, 0))}
	if name == "lognormal" {
		d.log = true
		variance := math.Log1p(d.std / d.mean * (d.std / d.mean))
		d.mean, d.std = math.Log(d.mean)-variance/2, math.Sqrt(variance)
	}
	return d, nil
}

// Drawn reports whether lengths are drawn at random.
func Drawn(l Lengths) bool {
	_, ok := l.(*distribution)
	return ok
}

func parseList(text string, tokens func(string) (int64, error)) (Lengths, error) {
	words := strings.Split(text, ",")
	if len(words) > maxList {
		return nil, fmt.Errorf("%d lengths are too many: expected at most %d", len(words), maxList)
	}
	l := &cycle{}
	for _, w := range words {
		w = strings.TrimSpace(w)
		n, err := tokens(w)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q is not allowed: expected %s", w, lengthForms)
		case n < 1 || n > MaxLength:
			return nil, fmt.Errorf("%q is not allowed: a request has from 1 to %d tokens", w, int64(MaxLength))
		}
		l.tokens = append(l.tokens, n)
	}
	return l, nil
}

// cycle yields the lengths in a list one after the other, and then starts again.
type cycle struct {
	tokens []int64
	at     int
}

func (l *cycle) Next() int64 {
	n := l.tokens[l.at]
	l.at = (l.at + 1) % len(l.tokens)
	return n
}

// distribution draws lengths at random. If log is set, mean and std are those of the
// lengths' logarithms.
type distribution struct {
	mean, std float64
	log       bool
	rand      *rand.Rand
}

func (d *distribution) Next() int64 {
	x := d.mean + d.std*d.rand.NormFloat64()
	if d.log {
		x = math.Exp(x)
	}
	return int64(math.Round(min(max(x, 1), MaxLength)))
}
