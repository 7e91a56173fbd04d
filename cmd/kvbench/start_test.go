package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// floor imports what every start of kvbench must load, and exits.
const floor = `package main

import (
	_ "cuelang.org/go/cue"
	_ "cuelang.org/go/cue/cuecontext"
	_ "cuelang.org/go/encoding/yaml"
	_ "github.com/expr-lang/expr"
)

func main() {}
`

// BenchmarkStart measures whole processes in turn: a program that imports the
// cue and expr packages and exits, and kvbench plan for one configuration. It
// reports the median user and system time of each, and their ratio.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	src := filepath.Join(dir, "floor.go")
	if err := os.WriteFile(src, []byte(floor), 0o644); err != nil {
		b.Fatal(err)
	}
	build := func(name, what string) string {
		bin := filepath.Join(dir, name)
		if out, err := exec.Command("go", "build", "-o", bin, what).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		return bin
	}
	floorBin, planBin := build("floor", src), build("kvbench", ".")
	run := func(bin string, args ...string) time.Duration {
		cmd := exec.Command(bin, args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	var floors, plans []time.Duration
	for b.Loop() {
		floors = append(floors, run(floorBin))
		plans = append(plans, run(planBin, "plan", "--model", "../../examples/model_deepseek_r1.yaml",
			"--model_config", "../../examples/block-tp1-pp16.yaml"))
	}
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2].Microseconds()) / 1000
	}
	b.ReportMetric(median(floors), "floor-ms")
	b.ReportMetric(median(plans), "plan-ms")
	b.ReportMetric(median(plans)/median(floors), "ratio")
}
