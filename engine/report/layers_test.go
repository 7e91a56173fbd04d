package report

import (
	"strings"
	"testing"
)

// TestSpans checks that lists of layers are abbreviated.
func TestSpans(t *testing.T) {
	from := func(first, last, step int) (all []int) {
		for i := first; i <= last; i += step {
			all = append(all, i)
		}
		return all
	}
	join := func(lists ...[]int) (all []int) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for _, c := range []struct {
		layers []int
		want   string
	}{
		{[]int{7}, "7"},
		{from(0, 4, 1), "0-4"},
		{from(0, 60, 1), "0-60"},
		{[]int{0, 2, 4}, "0, 2, 4"},
		{from(0, 34, 2), "0,2,…,34"},
		{from(3, 47, 4), "3,7,…,47"},
		{join(from(3, 23, 4), []int{26}), "3,7,…,23, 26"},
		{join(from(0, 4, 1), from(6, 10, 1), from(12, 16, 1), from(18, 22, 1), []int{24, 25}), "0-4,6-10,…,18-22, 24-25"},
		{[]int{0, 1, 5, 9, 10, 11}, "0-1, 5, 9-11"},
		{join(from(0, 6, 2), from(9, 17, 2)), "0,2,…,6, 9,11,…,17"},
	} {
		if got := strings.Join(wrapped(spans(c.layers), 0), "\n"); got != c.want {
			t.Errorf("%v are %q, want %q", c.layers, got, c.want)
		}
	}
	if got := strings.Join(wrapped([]string{"0-5", "8-10", "12-41"}, 10), "\n"); got != "0-5, 8-10,\n12-41" {
		t.Errorf("in 10 columns: %q", got)
	}
}
