package cli_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestVetUnreadable checks that a folder and a file that cannot be read are reported in
// every format, and that the other files are still checked.
func TestVetUnreadable(t *testing.T) {
	dir, err := os.MkdirTemp("", "kvbench") // other users cannot access t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte, mode os.FileMode) {
		t.Helper()
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), data, mode); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(dir, 0o755)
	write("kvbench", program, 0o755)
	write("tree/a/b.yaml", []byte("strategy: {tp_size: 0}\n"), 0o644)
	write("tree/closed/c.yaml", nil, 0o644)
	write("tree/d.yaml", []byte("strategy: {tp_size: 0}\n"), 0o644)
	write("tree/e.yaml", nil, 0)
	os.Chmod(filepath.Join(dir, "tree/closed"), 0)
	defer os.Chmod(filepath.Join(dir, "tree/closed"), 0o755)
	for format, want := range map[string]string{
		"text": `tree/a/b.yaml:1:21: strategy.tp_size: 0 is not allowed: expected a whole number, 1 or more
    strategy: {tp_size: 0}
                        ^
tree/closed: cannot be listed: permission denied
tree/d.yaml:1:21: strategy.tp_size: 0 is not allowed: expected a whole number, 1 or more
    strategy: {tp_size: 0}
                        ^
tree/e.yaml: permission denied
`,
		"github": `::error file=tree/a/b.yaml,line=1,col=21::strategy.tp_size: 0 is not allowed: expected a whole number, 1 or more
::error file=tree/closed::cannot be listed: permission denied
::error file=tree/d.yaml,line=1,col=21::strategy.tp_size: 0 is not allowed: expected a whole number, 1 or more
::error file=tree/e.yaml::permission denied
`,
	} {
		cmd := exec.Command(filepath.Join(dir, "kvbench"), "vet", "--skip_unknown", "--format", format, "tree")
		cmd.Dir = dir
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, err := cmd.CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
			t.Errorf("%s: %v", format, err)
		}
		if string(out) != want {
			t.Errorf("%s: got\n%s\nwant\n%s", format, out, want)
		}
	}
}

// TestVetOwn checks that vet accepts this repository's own data.
func TestVetOwn(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("kvbench", "vet", "-v", "models", "examples", ".pre-commit-hooks.yaml", "--skip_unknown")
	cmd.Dir = "../../.."
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "models/families.cue: families of Hugging Face configurations\n") {
		t.Errorf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, ": skipped: ") && !strings.HasPrefix(line, ".pre-commit") {
			t.Errorf("one of our files is treated as another program's: %s", line)
		}
	}
	// vet skips the schema, and reports only files that are wrong on purpose.
	cmd = exec.Command("kvbench", "vet", "-v", ".")
	cmd.Dir = "../../.."
	out, _ = cmd.CombinedOutput()
	if !strings.Contains(string(out), "\ncue/nixlbench/limits.cue: skipped: is part of kvbench's schema: check it with 'cue vet'\n") {
		t.Errorf("the schema is not skipped:\n%s", out)
	}
	cmd = exec.Command("kvbench", "vet", ".")
	cmd.Dir = "../../.."
	out, _ = cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		isError := !strings.HasPrefix(line, " ") && !strings.Contains(line, ": warning: ") && !strings.Contains(line, ": note: ")
		if isError && !strings.HasPrefix(line, "engine/config/testdata/hf/moonshotai--Kimi-K3.json:") {
			t.Errorf("one of our files is wrong: %s", line)
		}
	}
	// The result must not depend on how the path of the folder is specified.
	cmd = exec.Command("kvbench", "vet", ".")
	cmd.Dir = "../../../models"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestVetMany checks more architectures than vet keeps in memory at a time. Some of them
// import the schema, one is wrong, and the first two have models.
func TestVetMany(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		clause, contract := "package toys\n", ""
		if i%2 == 0 {
			clause, contract = clause+"import \"kvbench.internal/cue:kvbench\"\n", "kvbench.#Architecture & "
		}
		per := 16
		if i == 71 {
			per = 17
		}
		write(fmt.Sprintf("a%02d.cue", i), fmt.Sprintf(`%stoy%d: %s{
	match: "toy%[2]d_.*"
	#params: {model_name!: string, num_layers!: int64 & >0}
	kv_bytes_per_token: "num_layers * %[4]d"
	access_patterns: {layer: "16 * page_size", block: "num_layers * 16 * page_size"}
	checks: [{params: {num_layers: 2}, config: {page_size: 16}, expect: {kv_bytes_per_token: 32}, source: "by hand"}]
}
`, clause, i, contract, per))
	}
	write("good.yaml", "model_name: toy0_7b\nnum_layers: 2\n")
	write("bad.yaml", "model_name: toy0_7b\nnum_layers: 0\n")
	write("worse.yaml", "model_name: toy1_7b\nnum_layers: 0\n")
	cmd := exec.Command("kvbench", "vet", ".")
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput()
	for _, s := range []string{"a71.cue:7:91: kv_bytes_per_token is 34, expected 32", "bad.yaml:2:13: num_layers: 0 is not allowed: expected a whole number, 1 or more", "worse.yaml:2:13: num_layers: 0 is not allowed: expected a whole number, 1 or more"} {
		if strings.Count(string(out), s) != 1 {
			t.Errorf("%q is not reported once in\n%s", s, out)
		}
	}
	if n := strings.Count(string(out), ".cue:") + strings.Count(string(out), ".yaml:"); n != 3 {
		t.Errorf("%d problems are reported, want 3:\n%s", n, out)
	}
}

// BenchmarkVet measures vet for 1,000 and 4,000 valid configurations, each time in a new
// process, and reports median times and peak memory.
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

// BenchmarkVetArchitectures alternately measures vet for 1,000 small architectures and for
// 1,000 configurations. It reports the medians of user and system time, their ratio, and the
// peak memory for the architectures.
func BenchmarkVetArchitectures(b *testing.B) {
	example, err := os.ReadFile("../../../examples/block-tp1-pp16.yaml")
	if err != nil {
		b.Fatal(err)
	}
	const small = `package models

import "kvbench.internal/cue:kvbench"

toy%d: kvbench.#Architecture & {
	match: "toy%[1]d-.*"
	#params: {model_name!: string, num_layers!: int64 & >0}
	kv_bytes_per_token: "num_layers * 16"
	access_patterns: {layer: "16 * page_size", block: "num_layers * 16 * page_size"}
	checks: [{params: {num_layers: 2}, config: {page_size: 16}, expect: {kv_bytes_per_token: 32}, source: "by hand"}]
}
`
	archs, configs := b.TempDir(), b.TempDir()
	for i := range 1000 {
		for name, text := range map[string]string{
			filepath.Join(archs, fmt.Sprintf("a%d.cue", i)):    fmt.Sprintf(small, i),
			filepath.Join(configs, fmt.Sprintf("c%d.yaml", i)): string(example),
		} {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	times := map[string][]time.Duration{}
	peaks := map[string]int64{}
	for b.Loop() {
		for _, dir := range []string{archs, configs} {
			cmd := exec.Command("kvbench", "vet", dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			times[dir] = append(times[dir], cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
			peaks[dir] = max(peaks[dir], cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
		}
	}
	median := func(dir string) float64 {
		slices.Sort(times[dir])
		return times[dir][len(times[dir])/2].Seconds()
	}
	b.ReportMetric(median(archs), "cpu-s/architectures")
	b.ReportMetric(median(configs), "cpu-s/configurations")
	b.ReportMetric(median(archs)/median(configs), "ratio")
	b.ReportMetric(float64(peaks[archs])/1024, "MB/architectures")
}
