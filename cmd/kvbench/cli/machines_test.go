package cli_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestEtcdHere checks the warning for an etcd address that contains this machine's name. Other
// machines can use this name too, so the run may be meant for one machine or for two.
func TestEtcdHere(t *testing.T) {
	t.Parallel()
	name, err := os.Hostname()
	if err != nil || name == "" || strings.HasPrefix(name, "localhost") {
		t.Skip("this machine has no host name of its own")
	}
	profile := func(more ...string) (stdout, stderr string) {
		cmd := exec.Command("kvbench", append(smallRun(t)[:7], append([]string{"--backend", "UCX", "--dry_run", "--etcd_endpoints", "http://" + name + ":2379"}, more...)...)...)
		cmd.Dir = t.TempDir()
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, errs.String())
		}
		return out.String(), errs.String()
	}
	const want = "kvbench: warning: all 2 processes start here, because etcd at http://NAME:2379 is on this machine\n" +
		"  hint: to use two machines, set --launch single on each; to use only this machine, set --launch pair\n"
	if out, errs := profile(); errs != strings.Replace(want, "NAME", name, 1) || strings.Contains(out, "other host") {
		t.Errorf("stderr is %q, stdout\n%s", errs, out)
	}
	if out, errs := profile("--launch", "pair"); errs != "" || strings.Contains(out, "other host") {
		t.Errorf("pair: stderr is %q, stdout\n%s", errs, out)
	}
	if out, errs := profile("--launch", "single"); strings.Contains(errs, "cannot reach etcd") || !strings.Contains(out, "1 on the other host") {
		t.Errorf("single: stderr is %q, stdout\n%s", errs, out)
	}
}
