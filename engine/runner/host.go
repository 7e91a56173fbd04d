package runner

import (
	"context"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"kvbench/engine/nixlbench"
	"kvbench/engine/schema"
)

// Host describes a machine on which runs took place.
type Host struct {
	Name        string   `json:"name"`
	OS          string   `json:"os"`
	Kernel      string   `json:"kernel,omitempty"`
	CPU         string   `json:"cpu,omitempty"`
	CPUs        int      `json:"cpus"`
	MemoryBytes int64    `json:"memory_bytes,omitempty"`
	GPUs        []string `json:"gpus,omitempty"`
}

// gpuProgram is the command that lists the machine's GPUs. It may not be installed.
var gpuProgram = []string{"nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"}

// ProbeHost describes this machine. It omits what it cannot determine.
func ProbeHost(ctx context.Context) *Host {
	name, _ := os.Hostname()
	h := &Host{Name: name, OS: runtime.GOOS + "/" + runtime.GOARCH, Kernel: kernel(), CPUs: runtime.NumCPU()}
	h.CPU = procField("/proc/cpuinfo", "model name")
	h.MemoryBytes, _ = memory("MemTotal")
	if _, err := exec.LookPath(gpuProgram[0]); err != nil {
		return h
	}
	out, _, exit := Output(ctx, gpuProgram, 5*time.Second, 64<<10)
	if !exit.OK() {
		return h
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" {
			h.GPUs = append(h.GPUs, line)
		}
	}
	return h
}

// minHidden is the minimum length at which an environment variable's secret value is
// masked in output. Shorter values would match parts of other words.
const minHidden = 8

// userinfo is the part of a URL that may hold a password.
var userinfo = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`://[^/@\s]*@`) })

// environment returns the variables to record, with secrets masked, and the
// secrets to mask in output: the values of secret variables and flags.
func environment(n *schema.Nixlbench) (map[string]string, mask) {
	e := &n.Runs.Get().Environment
	secret := regexp.MustCompile(e.Secret)
	found, hidden := map[string]string{}, mask{}
	hide := func(value string) {
		if len(value) >= minHidden {
			hidden = append(hidden, []byte(value))
		}
	}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if !slices.ContainsFunc(e.Record, func(p string) bool { ok, _ := path.Match(p, name); return ok }) {
			continue
		}
		if secret.MatchString(name) {
			hide(value)
			value = nixlbench.Mask
		}
		value = userinfo().ReplaceAllString(value, "://"+nixlbench.Mask+"@")
		found[name] = strings.ToValidUTF8(value, "?")
	}
	for _, f := range n.Flags {
		if f.Secret && f.Env != "" {
			hide(os.Getenv(f.Env))
		}
	}
	return found, hidden
}

// FreeMemory returns the number of bytes of available memory.
func FreeMemory() (int64, bool) { return memory("MemAvailable") }

// memory returns the size, in bytes, of a field in /proc/meminfo, where sizes are in kB.
func memory(field string) (int64, bool) {
	digits, ok := strings.CutSuffix(procField("/proc/meminfo", field), " kB")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n * 1024, ok && err == nil
}

// procField returns the value of the first field with the given name in a file in
// /proc, or "" if there is none.
func procField(file, field string) string {
	data, _ := os.ReadFile(file)
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
