package sweep_test

import (
	"testing"

	"kvbench/engine/sweep"
)

// TestCondition checks that numbers with a unit are replaced, and that positions in the
// result are mapped to positions in the original text.
func TestCondition(t *testing.T) {
	s := load(t)
	for _, test := range []struct {
		text, want string // "" if an error is expected
		at, place  int
	}{
		{"block_size >= 1MiB", "block_size >= 1048576", 14, 14},
		{"block_size >= 1MiB and x", "block_size >= 1048576 and x", 26, 23},
		{"1k<isl && isl<2k && y", "1024<isl && isl<2048 && y", 24, 20},
		{"a == 'ü 1MiB' && isl > 1k && z", "a == 'ü 1MiB' && isl > 1024 && z", 31, 29},
		{`a == "\"1k" && isl > 1k`, `a == "\"1k" && isl > 1024`, 0, 0},
		{"a == `\\` && isl > 1k", "a == `\\` && isl > 1024", 0, 0},
		{"x1k + t.k1 + 1e3 + 0x1f + 1_000 + 2Q", "x1k + t.k1 + 1e3 + 0x1f + 1_000 + 2Q", 5, 5},
		{"bandwidth/8 > 25Gbit/s", "bandwidth/8 > 3125000000", 0, 0},
		{"block_size > 2GB/size", "block_size > 2000000000/size", 0, 0},
		{"block_size > 1.5k", "block_size > 1536", 0, 0},
		{"400G < bandwidth", "", 0, 0},
		{"bandwidth>=400GB", "", 0, 0},
		{"block_size > 1kb", "", 0, 0},
		{"block_size > 9EiB", "", 0, 0},
		{"isl > 1k and 'not closed", "isl > 1024 and 'not closed", 11, 9},
		{"", "", 0, 0},
	} {
		src, err := sweep.Condition(s, test.text)
		if err != nil || src.Text != test.want {
			if test.want != "" || err == nil && test.text != "" {
				t.Errorf("%s is %s (%v), want %s", test.text, src.Text, err, test.want)
			}
			continue
		}
		place := test.at
		if src.From != nil {
			place = src.From.Char(test.at)
		}
		if place != test.place {
			t.Errorf("%s: character %d of %s is %d, want %d", test.text, test.at, src.Text, place, test.place)
		}
	}
}
