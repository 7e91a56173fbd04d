package diag

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Bytes formats a size in a unit that is a power of 1024, with at most two decimals. It
// rounds half to even. For example, 1179648 becomes 1.12 MiB, and 73728 becomes 72.0 KiB.
func Bytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	power := 0
	for n>>(10*power) >= 1024 {
		power++
	}
	// n / 1024^power in hundredths
	num := new(big.Int).Mul(big.NewInt(n), big.NewInt(100))
	den := new(big.Int).Lsh(big.NewInt(1), uint(10*power))
	q, r := new(big.Int).QuoRem(num, den, new(big.Int))
	if c := r.Lsh(r, 1).Cmp(den); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	hundredths := q.Int64()
	text := fmt.Sprintf("%d.%02d", hundredths/100, hundredths%100)
	return strings.TrimSuffix(text, "0") + " " + units[power]
}

// Duration formats a number of microseconds as milliseconds or seconds, rounded to three
// significant digits or, from 100 up, to a whole number. It returns "" for less than a
// millisecond.
func Duration(us int64) string {
	n, unit := float64(us)/1e3, "ms"
	switch {
	case us < 1e3:
		return ""
	case us >= 1e6:
		n, unit = n/1e3, "s"
	}
	if n >= 100 {
		return strconv.FormatFloat(n, 'f', 0, 64) + " " + unit
	}
	return strconv.FormatFloat(n, 'g', 3, 64) + " " + unit
}
