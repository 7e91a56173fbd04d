package report_test

import (
	"testing"

	"kvbench/engine/report"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0:                   "0.0 B",
		640:                 "640.0 B",
		1023:                "1023.0 B",
		4608:                "4.5 KB",
		73728:               "72.0 KB",
		1179648:             "1.12 MB", // 1.125, half to even
		1190133:             "1.13 MB", // 1.13499…
		1184891:             "1.13 MB", // 1.130000…
		5505024:             "5.25 MB",
		1048575:             "1024.0 KB",
		9223372036854775807: "8.0 EB",
	} {
		if got := report.Bytes(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

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
