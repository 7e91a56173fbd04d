package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// BenchmarkVet checks 1,000 and 4,000 valid configurations, each in a process
// of its own, and reports the median times and the greatest memory.
func BenchmarkVet(b *testing.B) {
	for _, n := range []int{1000, 4000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			example, err := os.ReadFile("../../../examples/block-tp1-pp16.yaml")
			if err != nil {
				b.Fatal(err)
			}
			for i := range n {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("c%d.yaml", i)), example, 0o644); err != nil {
					b.Fatal(err)
				}
			}
			var times []time.Duration
			var peak int64
			for b.Loop() {
				cmd := exec.Command("kvbench", "vet", dir)
				begin := time.Now()
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				times = append(times, time.Since(begin))
				peak = max(peak, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
			}
			slices.Sort(times)
			b.ReportMetric(times[len(times)/2].Seconds(), "s/run")
			b.ReportMetric(float64(peak)/1024, "MB")
		})
	}
}
