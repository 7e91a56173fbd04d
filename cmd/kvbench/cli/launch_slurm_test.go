package cli_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// slurmPrograms lists the programs that a cluster on one machine needs.
var slurmPrograms = []string{"munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "sinfo"}

// startSlurm starts a cluster with two nodes on the loopback interface, and stops it at
// the end of the test.
func startSlurm(j *job) {
	for _, p := range slurmPrograms {
		if _, err := exec.LookPath(p); err != nil {
			j.Skipf("%s is not installed: no job was submitted to Slurm", p)
		}
	}
	if u, err := user.Current(); err != nil || u.Uid != "0" {
		j.Skip("not root: no job was submitted to Slurm")
	}
	// The path is short, because the length of socket paths is limited.
	dir, err := os.MkdirTemp("", "slurm")
	if err != nil {
		j.Fatal(err)
	}
	j.Cleanup(func() { os.RemoveAll(dir) })
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"munge", "state", "log", "spool.n1", "spool.n2"} {
		if err := os.Mkdir(at(name), 0o755); err != nil {
			j.Fatal(err)
		}
	}
	key := make([]byte, 128)
	rand.Read(key)
	if err := os.WriteFile(at("munge/key"), key, 0o400); err != nil {
		j.Fatal(err)
	}
	save(j.T, at("slurm.conf"), fmt.Sprintf(`ClusterName=test
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=%[1]s/munge/sock
CryptoType=crypto/munge
SlurmctldPort=%[2]d
StateSaveLocation=%[1]s/state
SlurmdSpoolDir=%[1]s/spool.%%n
SlurmdPidFile=%[1]s/d.%%n.pid
SlurmdLogFile=%[1]s/log/d.%%n.log
SlurmctldPidFile=%[1]s/ctld.pid
SlurmctldLogFile=%[1]s/log/ctld.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=%[3]d CPUs=2 RealMemory=1000 State=UNKNOWN
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port=%[4]d CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES State=UP
`, dir, freePort(), freePort(), freePort()))
	j.env = append(j.env, "SLURM_CONF="+at("slurm.conf"))
	start := func(argv ...string) {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = j.env
		if err := cmd.Start(); err != nil {
			j.Fatal(err)
		}
		j.Cleanup(func() { // programs are stopped in the reverse order
			cmd.Process.Signal(os.Interrupt)
			done := make(chan bool)
			go func() { cmd.Wait(); close(done) }()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				cmd.Process.Kill()
			}
		})
	}
	start("munged", "--foreground", "--force", "--socket="+at("munge/sock"), "--key-file="+at("munge/key"),
		"--pid-file="+at("munge/pid"), "--log-file="+at("munge/log"), "--seed-file="+at("munge/seed"))
	start("slurmctld", "-D", "-c", "-f", at("slurm.conf"))
	start("slurmd", "-D", "-N", "n1", "-f", at("slurm.conf"))
	start("slurmd", "-D", "-N", "n2", "-f", at("slurm.conf"))
	for range 240 {
		if out, err := j.run(".", "sinfo", "-h", "-o", "%t %D"); err == nil && strings.TrimSpace(out) == "idle 2" {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	out, _ := j.run(".", "sinfo", "-a")
	log, _ := os.ReadFile(at("log/ctld.log"))
	j.Fatalf("the nodes are not idle\n%s\n%s", out, log)
}

// realEtcd returns the path of an installed etcd, or "". It skips the tests' own etcd,
// which does not print its version.
func realEtcd() string {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if path := filepath.Join(dir, "etcd"); exec.Command(path, "--version").Run() == nil {
			return path
		}
	}
	return ""
}

// TestLaunchSlurm submits jobs to a real Slurm cluster: one for storage, one for a network
// with etcd, one for a network with ASIO, one whose etcd does not start, and one that reaches
// its time limit.
func TestLaunchSlurm(t *testing.T) {
	needsFull(t)
	t.Parallel()
	j := newJob(t)
	startSlurm(j)
	launch := func(out string, more ...string) {
		t.Helper()
		j.must(".", append([]string{"kvbench", "launch", "--format", "slurm", "-o", out, "--partition", "main", "--time", "5", "--model", "examples/model_qwen3_8b.yaml", "--page_size", "64"}, more...)...)
	}
	collect := func(out, want string) {
		t.Helper()
		if text, _ := j.run(".", "kvbench", "collect", "-o", out+".jsonl", out); text != want {
			log, _ := filepath.Glob(filepath.Join(j.dir, out, "slurm-*.out"))
			said := []byte{}
			if len(log) > 0 {
				said, _ = os.ReadFile(log[0])
			}
			t.Errorf("%s: %s\nwant %s\nthe job printed\n%s", out, text, want, said)
		}
	}
	launch("disk", "--isl", "256,512", "--backend", "POSIX")
	j.must("disk", "sbatch", "--wait", "job.sbatch")
	collect("disk", "disk: note: 2 results, 2 ok\n")
	if out := j.must(".", "kvbench", "report", "--columns", "isl,GB/s,status", "disk.jsonl"); !strings.Contains(out, "\n512  16.925787           ok\n") {
		t.Error(out)
	}

	if err := os.Mkdir(filepath.Join(j.dir, "meet"), 0o755); err != nil {
		t.Fatal(err)
	}
	j.env = append(j.env, "FAKE_ETCD="+filepath.Join(j.dir, "meet"))
	if real := realEtcd(); real == "" {
		t.Log("etcd is not installed: a stand-in is used")
	} else if err := os.Symlink(real, filepath.Join(j.dir, "bin", "etcd")); err != nil {
		t.Fatal(err)
	}
	launch("net", "--isl", "256,512", "--backend", "UCX", "--source", "memory", "--destination", "memory")
	j.must("net", "sbatch", "--wait", "job.sbatch")
	collect("net", "net: note: 2 results, 2 ok\n")

	launch("asio", "--isl", "256", "--backend", "UCX", "--source", "memory", "--destination", "memory", "--runtime_type", "ASIO", "--nodes", "1")
	j.must("asio", "sbatch", "--wait", "job.sbatch")
	collect("asio", "asio: note: 1 result, 1 ok\n")

	// One point fails, and the other one succeeds.
	j.env = append(j.env, "FAKE_FAULT=late", "FAKE_WHEN=max_batch_size=4")
	launch("half", "--isl", "256,512", "--backend", "POSIX")
	if out, err := j.run("half", "sbatch", "--wait", "job.sbatch"); err == nil {
		t.Errorf("a job with a failed point succeeded: %s", out)
	}
	collect("half", "kvbench: point 0001 (QWEN3_8B): failed: nixlbench exited with code 1: exchange failed\nhalf: note: 2 results, 1 ok, 1 failed\n")

	// Canceling a job must not lose the results it already has.
	j.env = append(j.env, "FAKE_FAULT=hang", "FAKE_WHEN=max_batch_size=8")
	launch("long", "--isl", "256,512", "--backend", "POSIX")
	id := strings.TrimSpace(j.must("long", "sbatch", "--parsable", "job.sbatch"))
	for range 600 {
		if found, _ := filepath.Glob(filepath.Join(j.dir, "long/logs/*/0002/0.out")); len(found) > 0 {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	j.must(".", "scancel", id)
	for range 600 {
		if out, _ := j.run(".", "squeue", "-h", "-j", id); out == "" || strings.Contains(out, "Invalid") {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	collect("long", "kvbench: point 0002 (QWEN3_8B): interrupted: the job did not finish this run, or is still running\nlong: note: 2 results, 1 ok, 1 interrupted\n")

	// If etcd does not start, one clear line says so.
	j.env = append(j.env, "FAKE_FAULT=")
	os.Remove(filepath.Join(j.dir, "bin", "etcd"))
	writeExecutable(t, filepath.Join(j.dir, "bin", "etcd"), "#!/bin/sh\nexit 1\n")
	launch("sick", "--isl", "256", "--backend", "UCX", "--source", "memory", "--destination", "memory")
	if out, err := j.run("sick", "sbatch", "--wait", "job.sbatch"); err == nil {
		t.Errorf("a job without etcd succeeded: %s", out)
	}
	logs, _ := filepath.Glob(filepath.Join(j.dir, "sick", "slurm-*.out"))
	if len(logs) != 1 {
		t.Fatalf("logs: %q", logs)
	}
	if said, _ := os.ReadFile(logs[0]); !strings.HasPrefix(string(said), "etcd ended before it was healthy: see ") {
		t.Errorf("the job printed %s", said)
	}
}
