package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// useEtcd makes jobs run the installed etcd with additional flags, and save its process ID.
func (j *job) useEtcd(flags string) {
	j.Helper()
	real := realEtcd()
	if real == "" {
		j.Skip("etcd is not installed: no job was run with it")
	}
	writeExecutable(j.T, filepath.Join(j.dir, "bin", "etcd"), fmt.Sprintf("#!/bin/bash\necho $$ >\"$TOP/etcd.pid\"\nexec %s \"$@\" %s\n", real, flags))
}

// etcdPID returns the process ID of the etcd that the last job started.
func (j *job) etcdPID() int {
	j.Helper()
	var pid int
	text, err := os.ReadFile(filepath.Join(j.dir, "etcd.pid"))
	if err == nil {
		_, err = fmt.Sscan(string(text), &pid)
	}
	if err != nil {
		j.Fatal(err)
	}
	return pid
}

// launchPair writes a job of two runs with two processes each.
func (j *job) launchPair(out string, more ...string) {
	j.Helper()
	j.must(".", append([]string{"kvbench", "launch", "--format", "sh", "-o", out, "--model", "examples/model_qwen3_8b.yaml", "--isl", "256,512", "--page_size", "64",
		"--backend", "UCX", "--source", "memory", "--destination", "memory"}, more...)...)
}

// The ends method checks that a job fails within a time limit, that its output matches want,
// and that its etcd no longer runs.
func (j *job) ends(out, want string, limit time.Duration) {
	j.Helper()
	begun := time.Now()
	text, err := j.run(".", filepath.Join(j.dir, out, "job.sh"))
	if took := time.Since(begun); err == nil || took > limit || !regexp.MustCompile(want).MatchString(text) {
		j.Errorf("%v after %v:\n%swant %s", err, took, text, want)
	}
	if pid := j.etcdPID(); syscall.Kill(pid, 0) == nil {
		j.Errorf("etcd (%d) outlived its job", pid)
	}
}

// TestLaunchEtcdSick checks that a job ends within its time limit if etcd never has a quorum.
func TestLaunchEtcdSick(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.useEtcd("--initial-cluster default=http://127.0.0.1:2,other=http://127.0.0.1:1 --initial-advertise-peer-urls http://127.0.0.1:2")
	j.launchPair("job", "--etcd_wait", "2")
	j.ends("job", `^etcd did not become healthy within 2 s: see .*/etcd\.log; the job ends\n$`, 60*time.Second)
	if text, err := j.run(".", "kvbench", "collect", "-o", "r.jsonl", "job"); err == nil || !strings.HasPrefix(text, "job: 2 of 2 points have no logs: 0001, 0002\n") {
		t.Errorf("%v: %s", err, text)
	}
}

// TestLaunchEtcdDies checks that a job ends if the etcd that it started is killed during a
// point.
func TestLaunchEtcdDies(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	if err := os.Mkdir(filepath.Join(j.dir, "meet"), 0o755); err != nil {
		t.Fatal(err)
	}
	j.env = append(j.env, "FAKE_ETCD="+filepath.Join(j.dir, "meet"), "FAKE_FAULT=hang", "FAKE_WHEN=max_batch_size=8")
	j.useEtcd("")
	j.launchPair("job")
	go func() { // the second point hangs
		for range 600 {
			if found, _ := filepath.Glob(filepath.Join(j.dir, "job/logs/*/0002/1.out")); len(found) > 0 {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		syscall.Kill(j.etcdPID(), syscall.SIGKILL)
	}()
	j.ends("job", `^0001: done in [0-9]+ s\netcd failed during point 0002: see .*/0002 and .*/etcd\.log; the job ends\n$`, 60*time.Second)
	want := "kvbench: point 0002 (QWEN3_8B): interrupted: the job did not finish this run, or is still running\njob: note: 2 results, 1 ok, 1 interrupted\n"
	if text, _ := j.run(".", "kvbench", "collect", "-o", "r.jsonl", "job"); text != want {
		t.Errorf("%s, want %s", text, want)
	}
}

// TestLaunchEtcdGone checks that a job ends if an etcd that the user specified becomes
// unhealthy during a point.
func TestLaunchEtcdGone(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	t.Parallel()
	j := newJob(t)
	if err := os.Mkdir(filepath.Join(j.dir, "meet"), 0o755); err != nil {
		t.Fatal(err)
	}
	j.env = append(j.env, "FAKE_ETCD="+filepath.Join(j.dir, "meet"), "FAKE_FAULT=hang")
	save(t, filepath.Join(j.dir, "etcd.pid"), "2147483647")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if found, _ := filepath.Glob(filepath.Join(j.dir, "job/logs/*/0001/1.out")); len(found) == 0 {
			fmt.Fprint(w, `{"health":"true"}`)
		}
	}))
	defer server.Close()
	j.launchPair("job", "--etcd_endpoints", server.URL, "--etcd_wait", "1")
	j.ends("job", `^etcd failed during point 0001: see .*/0001; the job ends\n$`, 60*time.Second)
}
