package report_test

import (
	"testing"

	"kvbench/engine/report"
)

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1K", 600000000: "600M", 8200000000: "8.2B", 116800000000: "116.8B",
		671000000000: "671B", 20990000000: "20.9B", 1500000000000: "1.5T",
	} {
		if got := report.Count(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
