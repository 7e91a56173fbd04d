package diag_test

import (
	"testing"

	"kvbench/engine/diag"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0:                   "0.0 B",
		640:                 "640.0 B",
		1023:                "1023.0 B",
		4608:                "4.5 KiB",
		73728:               "72.0 KiB",
		1179648:             "1.12 MiB", // 1.125, half to even
		1190133:             "1.13 MiB", // 1.13499…
		1184891:             "1.13 MiB", // 1.130000…
		5505024:             "5.25 MiB",
		1048575:             "1024.0 KiB",
		9223372036854775807: "8.0 EiB",
	} {
		if got := diag.Bytes(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for us, want := range map[int64]string{
		0:                   "",
		999:                 "",
		1000:                "1 ms",
		1510:                "1.51 ms",
		13130:               "13.1 ms",
		107374:              "107 ms",
		999600:              "1000 ms",
		1000000:             "1 s",
		2500000:             "2.5 s",
		5400000000:          "5400 s",
		9223372036854775807: "9223372036855 s",
	} {
		if got := diag.Duration(us); got != want {
			t.Errorf("%d us is %q, want %q", us, got, want)
		}
	}
}
