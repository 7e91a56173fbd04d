package cli_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

type resumeTest struct {
	sig  os.Signal
	more []string
	want string // the end of stderr
}

// TestResumeHint checks that an interrupted command explains how to run the remaining
// points, and that this works. If nothing can be resumed, there must not be a hint.
func TestResumeHint(t *testing.T) {
	t.Parallel()
	tests := []resumeTest{
		{os.Interrupt, []string{"--output", "r.jsonl"}, "kvbench: note: interrupted: r.jsonl has 1 of 3 runs\n  hint: run the same command with --resume to finish\n"},
		{syscall.SIGTERM, []string{"--output", "r.jsonl", "--resume"}, "kvbench: note: interrupted: r.jsonl has 1 of 3 runs\n  hint: run the same command again to finish\n"},
		{os.Interrupt, nil, ""},
		{os.Interrupt, []string{"--output", os.DevNull}, ""},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.more, " "), func(t *testing.T) {
			t.Parallel()
			test.run(t)
		})
	}
}

func (test resumeTest) run(t *testing.T) {
	args := smallRun(t, append([]string{"--repeat", "3"}, test.more...)...)
	cmd := exec.Command("kvbench", args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "FAKE_SLEEP=2s")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "2 of 3") {
			cmd.Process.Signal(test.sig)
		}
	}
	if code := exitCode(cmd.Wait()); code != 130 {
		t.Errorf("%v: exit code %d, want 130", test.more, code)
	}
	if _, hint, _ := strings.Cut(text.String(), "initiator_0\n"); hint != test.want {
		t.Errorf("%v: the hint is %q, want %q", test.more, hint, test.want)
	}
	if test.want == "" {
		return
	}
	if !slices.Contains(args, "--resume") {
		args = append(args, "--resume")
	}
	again := exec.Command("kvbench", args...)
	again.Dir = cmd.Dir
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", test.more, err, out)
	}
	good := 0
	for _, r := range results(t, filepath.Join(cmd.Dir, "r.jsonl")) {
		if r.Status == "ok" {
			good++
		}
	}
	if good != 3 {
		t.Errorf("%v: %d runs succeeded, want 3", test.more, good)
	}
}
