package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startSSH starts a server on the loopback interface, and stops it at the end of the
// test. Jobs reach the server under the host names "one" and "two".
func (j *job) startSSH() {
	j.Helper()
	server, err := exec.LookPath("sshd")
	if err != nil {
		server = "/usr/sbin/sshd"
	}
	client, err := exec.LookPath("ssh")
	if _, wrong := os.Stat(server); err != nil || wrong != nil {
		j.Skip("ssh or sshd is not installed: no job was run on two hosts")
	}
	u, err := user.Current()
	if err != nil || u.Uid != "0" {
		j.Skip("not root: no job was run on two hosts")
	}
	at := func(name string) string { return filepath.Join(j.dir, "ssh", name) }
	if err := os.MkdirAll(at("."), 0o700); err != nil {
		j.Fatal(err)
	}
	os.MkdirAll("/run/sshd", 0o755) // sshd needs it
	for _, key := range []string{"host", "user"} {
		j.must(".", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at(key))
	}
	port := freePort()
	save(j.T, at("server"), fmt.Sprintf("ListenAddress 127.0.0.1:%d\nHostKey %s\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nAuthorizedKeysFile %s\nMaxStartups 100\n",
		port, at("host"), at("user.pub")))
	save(j.T, at("client"), fmt.Sprintf("Host one two\n\tHostName 127.0.0.1\n\tPort %d\n\tUser root\n\tIdentityFile %s\n\tIdentitiesOnly yes\n\tStrictHostKeyChecking accept-new\n\tUserKnownHostsFile %s\n\tLogLevel ERROR\n",
		port, at("user"), at("known")))
	cmd := exec.Command(server, "-D", "-e", "-f", at("server"))
	log := &strings.Builder{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		j.Fatal(err)
	}
	j.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if j.Failed() {
			j.Log(log)
		}
	})
	writeExecutable(j.T, filepath.Join(j.dir, "bin", "ssh"), fmt.Sprintf("#!/bin/bash\nexec %s -F %q \"$@\"\n", client, at("client")))
	for range 600 {
		if _, err := j.run(".", filepath.Join(j.dir, "bin", "ssh"), "one", "true"); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	out, err := j.run(".", filepath.Join(j.dir, "bin", "ssh"), "one", "true")
	j.Fatalf("sshd does not answer: %v\n%s", err, out)
}

// setup returns a command that sets some of the test's variables on another host.
func (j *job) setup(names ...string) string {
	text := "export PATH='" + filepath.Join(j.dir, "bin") + string(os.PathListSeparator) + os.Getenv("PATH") + "' GORACE=" + raceOptions
	for _, v := range j.env {
		if name, value, _ := strings.Cut(v, "="); slices.Contains(names, name) {
			text += " " + name + "='" + value + "'"
		}
	}
	return text
}

// TestLaunchSSH runs jobs on two hosts over real SSH connections: one with hostile names, one
// with etcd, and one that is stopped.
func TestLaunchSSH(t *testing.T) {
	needsFull(t)
	t.Parallel()
	j := newJob(t)
	j.stub()
	j.startSSH()
	for i, name := range []string{strings.Join(hostileNames, ""), "-rf", "--"} {
		out := filepath.Join(j.dir, fmt.Sprint(i), "job"+name)
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			t.Fatal(err)
		}
		j.must(".", "kvbench", "launch", "--format", "sh", "--output="+out, "--hosts", "one", "--model", "examples/model_qwen3_8b.yaml", "--isl", "256",
			"--page_size", "64", "--backend", "POSIX", "--device_list="+name, "--setup="+j.setup("TOP", "REAL"))
		if text, err := j.run(".", filepath.Join(out, "job.sh")); err != nil {
			t.Errorf("%q: %v\n%s", name, err, text)
			continue
		}
		if got := j.words("argv"); got[0] != out || wordAfter(got, "--device_list") != name {
			t.Errorf("%q: %q", name, got)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(j.dir, "*/*/owned")); len(found) > 0 {
		t.Errorf("a value was executed: %q exist", found)
	}

	// The initiator runs on the first host, and the target on the second.
	if err := os.Remove(filepath.Join(j.dir, "bin", "nixlbench")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(j.dir, "meet"), 0o755); err != nil {
		t.Fatal(err)
	}
	j.env = append(j.env, "FAKE_ETCD="+filepath.Join(j.dir, "meet"))
	pair := []string{"--hosts", "one,two", "--model", "examples/model_qwen3_8b.yaml", "--isl", "256", "--page_size", "64", "--backend", "UCX", "--source", "memory", "--destination", "memory"}
	j.must(".", append([]string{"kvbench", "launch", "--format", "sh", "-o", "pair", "--setup", j.setup("FAKE_ETCD")}, pair...)...)
	if text, err := j.run(".", filepath.Join(j.dir, "pair/job.sh")); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	if text := j.must(".", "kvbench", "collect", "-o", "r.jsonl", "pair"); text != "pair: note: 1 result, 1 ok\n" {
		t.Error(text)
	}

	// Only ssh can resolve the names of these hosts, but for ASIO, nixlbench needs a
	// numeric address.
	j.must(".", append([]string{"kvbench", "launch", "--format", "sh", "-o", "asio", "--runtime_type", "ASIO", "--setup", j.setup("FAKE_ETCD")}, pair...)...)
	want := "the address of one was not found: specify it with --asio_address; the job ends\n"
	if text, err := j.run(".", filepath.Join(j.dir, "asio/job.sh")); err == nil || text != want {
		t.Errorf("%v\n%s", err, text)
	}

	// Processes on other hosts end with the job.
	j.must(".", append([]string{"kvbench", "launch", "--format", "sh", "-o", "stop", "--setup", j.setup("FAKE_ETCD") + " FAKE_FAULT=hang"}, pair...)...)
	cmd := exec.Command(filepath.Join(j.dir, "stop/job.sh"))
	cmd.Dir, cmd.Env = j.dir, j.env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The arguments of a job's processes contain the name of its group.
	running := func() string {
		logs, _ := filepath.Glob(filepath.Join(j.dir, "stop/logs/*"))
		if len(logs) != 1 {
			return fmt.Sprintf("logs: %q", logs)
		}
		found := ""
		all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, name := range all {
			if text, _ := os.ReadFile(name); strings.Contains(string(text), "kvbench-"+filepath.Base(logs[0])+"-0001") {
				found += strings.ReplaceAll(string(text), "\x00", " ") + "\n"
			}
		}
		return found
	}
	for range 600 {
		if found, _ := filepath.Glob(filepath.Join(j.dir, "stop/logs/*/0001/1.command")); len(found) > 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
	for range 600 {
		if running() == "" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("these outlived their job:\n%s", running())
}
