package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// The benchmarks in this file measure whole processes and report medians. Processes to
// be compared take turns. docs/performance.md shows the results.

// floor is a program that imports the packages that kvbench always loads, and does
// nothing else.
const floor = `package main

import (
	_ "cuelang.org/go/cue"
	_ "cuelang.org/go/cue/cuecontext"
	_ "cuelang.org/go/encoding/yaml"
	_ "github.com/expr-lang/expr"
)

func main() {}
`

// build compiles a program and returns its path.
func build(b *testing.B, name, what string) string {
	bin := filepath.Join(b.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", bin, what).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// copies makes several copies of a program and returns their paths. A program may be up
// to a tenth slower or faster depending on where in memory the system caches its file. The
// median over several copies evens this out.
func copies(b *testing.B, bin string) []string {
	paths := make([]string, 7)
	for i := range paths {
		paths[i] = fmt.Sprint(bin, i)
		src, err := os.Open(bin)
		if err != nil {
			b.Fatal(err)
		}
		dst, err := os.OpenFile(paths[i], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
		if err != nil {
			b.Fatal(err)
		}
		_, err = io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src}) // copy in small pieces instead of letting the kernel copy the file
		src.Close()
		if err2 := dst.Close(); err != nil || err2 != nil {
			b.Fatal(err, err2)
		}
	}
	return paths
}

// cost is the time and the memory that a process took.
type cost struct {
	wall, cpu time.Duration
	peak      int64 // KiB of memory
}

// run runs a program with its output written to a file, and returns its cost.
func run(b *testing.B, out *os.File, bin string, args ...string) cost {
	cmd := exec.Command(bin, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if out != nil {
		cmd.Stdout = out
		out.Truncate(0)
		out.Seek(0, 0)
	}
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v\n%s", bin, err, stderr.Bytes())
	}
	state := cmd.ProcessState
	c := cost{wall: time.Since(begin), cpu: state.UserTime() + state.SystemTime()}
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok && runtime.GOOS == "linux" {
		c.peak = int64(usage.Maxrss)
	}
	return c
}

func temp(b *testing.B) *os.File {
	f, err := os.Create(filepath.Join(b.TempDir(), "out"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return f
}

// median returns the median of one part of the costs, in milliseconds.
func median(costs []cost, part func(cost) time.Duration) float64 {
	list := make([]time.Duration, len(costs))
	for i, c := range costs {
		list[i] = part(c)
	}
	slices.Sort(list)
	return float64(list[len(list)/2].Microseconds()) / 1000
}

func wall(c cost) time.Duration { return c.wall }
func cpu(c cost) time.Duration  { return c.cpu }

// python returns the command line of the Python tool that kvbench replaces. The environment
// variable KVBENCH_PYTHON_TOOL contains the path of its folder.
func python(b *testing.B) (bin, tool string) {
	tool = os.Getenv("KVBENCH_PYTHON_TOOL")
	if tool == "" {
		b.Log("without KVBENCH_PYTHON_TOOL, nothing is compared with the Python tool")
		return "", ""
	}
	return "/usr/bin/python3", filepath.Join(tool, "main.py")
}

const (
	model   = "../../examples/model_deepseek_r1.yaml"
	oneFile = "../../examples/block-tp1-pp16.yaml"
)

// BenchmarkStart measures 'kvbench plan' for one configuration, the Python tool for the
// same configuration, and a program that only imports the cue and expr packages.
func BenchmarkStart(b *testing.B) {
	src := filepath.Join(b.TempDir(), "floor.go")
	if err := os.WriteFile(src, []byte(floor), 0o644); err != nil {
		b.Fatal(err)
	}
	floorBins, planBins := copies(b, build(b, "floor", src)), copies(b, build(b, "kvbench", "."))
	bin, tool := python(b)
	var floors, plans, pythons []cost
	args := []string{"plan", "--model", model, "--model_config", oneFile, "--backend", "GDS", "--source", "gpu"}
	for i := 0; b.Loop(); i++ {
		floors = append(floors, run(b, nil, floorBins[i%len(floorBins)]))
		plans = append(plans, run(b, nil, planBins[i%len(planBins)], args...))
		if bin != "" {
			pythons = append(pythons, run(b, nil, bin, append([]string{tool}, args...)...))
		}
	}
	b.ReportMetric(median(floors, cpu), "floor-ms")
	b.ReportMetric(median(plans, cpu), "plan-ms")
	b.ReportMetric(median(plans, cpu)/median(floors, cpu), "ratio")
	if bin != "" {
		b.ReportMetric(median(plans, wall), "plan-wall-ms")
		b.ReportMetric(median(pythons, wall), "python-wall-ms")
		b.ReportMetric(median(pythons, wall)/median(plans, wall), "python/plan")
	}
}

// BenchmarkFiles measures 'kvbench plan --format json' and the Python tool with the same
// 1,000 YAML configurations.
func BenchmarkFiles(b *testing.B) {
	dir := b.TempDir()
	n := 0
	for tp := 1; tp <= 8; tp *= 2 {
		for pp := 1; pp <= 16; pp *= 2 {
			for isl := 1000; isl <= 10000; isl += 1000 {
				for page := 16; page <= 256; page *= 2 {
					text := fmt.Sprintf("strategy:\n  tp_size: %d\n  pp_size: %d\n  model_quant_mode: fp8\n  kvcache_quant_mode: fp8\n"+
						"runtime:\n  isl: %d\n  osl: 100\n  num_requests: 10\n"+
						"system:\n  hardware: H100\n  backend: SGLANG\n  access_pattern: block\n  page_size: %d\n", tp, pp, isl, page)
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.yaml", n)), []byte(text), 0o644); err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
		}
	}
	if n != 1000 {
		b.Fatal(n)
	}
	planBin, out := build(b, "kvbench", "."), temp(b)
	bin, tool := python(b)
	var plans, pythons []cost
	args := []string{"plan", "--model", model, "--model_configs", filepath.Join(dir, "*.yaml"), "--backend", "GDS", "--source", "gpu", "--format", "json"}
	for b.Loop() {
		plans = append(plans, run(b, out, planBin, args...))
		if bin != "" {
			pythons = append(pythons, run(b, out, bin, append([]string{tool}, args...)...))
		}
	}
	b.ReportMetric(median(plans, wall), "plan-wall-ms")
	b.ReportMetric(median(plans, cpu), "plan-ms")
	if bin != "" {
		b.ReportMetric(median(pythons, wall), "python-wall-ms")
		b.ReportMetric(median(pythons, wall)/median(plans, wall), "python/plan")
	}
}

// BenchmarkSweep measures sweeps over 5 axes, written as CSV with 12 columns, and a program
// that writes the same output with loops and integer arithmetic on one processor.
func BenchmarkSweep(b *testing.B) {
	planBin, handBin := build(b, "kvbench", "."), build(b, "byhand", "./testdata/byhand/main.go")
	for _, points := range []int{10_000, 100_000, 1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(points), func(b *testing.B) {
			pages := points / 10_000
			args := []string{"plan", "--model", model, "--model_config", oneFile, "--format", "csv",
				"--tp", "1..10+1", "--pp", "1..10+1", "--isl", "1000..10000+1000", "--num_requests", "1..10+1",
				"--page_size", fmt.Sprintf("16..%d+16", 16*pages)}
			out, other := temp(b), temp(b)
			var sweeps, hands []cost
			for b.Loop() {
				sweeps = append(sweeps, run(b, out, planBin, args...))
				hands = append(hands, run(b, other, handBin, fmt.Sprint(pages), "DEEPSEEK_R1,"+oneFile+","))
			}
			if !same(b, out.Name(), other.Name()) {
				b.Fatal("the two programs do not write the same output")
			}
			var peak int64
			for _, c := range sweeps {
				peak = max(peak, c.peak)
			}
			b.ReportMetric(median(sweeps, wall), "sweep-wall-ms")
			b.ReportMetric(median(sweeps, cpu), "sweep-ms")
			b.ReportMetric(median(hands, wall), "byhand-wall-ms")
			b.ReportMetric(median(sweeps, wall)/median(hands, wall), "ratio")
			b.ReportMetric(median(sweeps, wall)*1e6/float64(points), "ns/point")
			b.ReportMetric(float64(peak)/1024, "peak-MiB")
		})
	}
}

// same reports whether two files have the same content. It uses little memory, because
// the memory of this process counts toward the peak memory of the processes that it
// starts.
func same(b *testing.B, one, two string) bool {
	x, err := os.Open(one)
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	y, err := os.Open(two)
	if err != nil {
		b.Fatal(err)
	}
	defer y.Close()
	p, q := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, err1 := io.ReadFull(x, p)
		m, err2 := io.ReadFull(y, q)
		if !bytes.Equal(p[:n], q[:m]) {
			return false
		}
		if err1 != nil || err2 != nil {
			return err1 == err2
		}
	}
}
