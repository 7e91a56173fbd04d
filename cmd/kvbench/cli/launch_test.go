package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// hostileNames are names that contain characters with special meanings for shells,
// schedulers and templates.
var hostileNames = []string{
	"a b", "it's", `say "hi"`, "line\nbreak", "$(touch owned)", "`touch owned`", "-rf", "$HOME", `back\slash`, "*", "{{.}}", "#x", "~", "ü", "%s",
	"tab\there", "a;touch owned", "'; touch owned; '", `"; touch owned; "`, "!x", "\x1b[31m", "a=b", "--",
}

// writeExecutable writes a program.
func writeExecutable(t *testing.T, name, text string) {
	t.Helper()
	save(t, name, text)
	if err := os.Chmod(name, 0o755); err != nil {
		t.Fatal(err)
	}
}

// job is a folder with its own programs, for testing jobs.
type job struct {
	*testing.T
	dir string
	env []string
}

func newJob(t *testing.T) *job {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed: no job was run")
	}
	j := &job{T: t, dir: t.TempDir()}
	if err := os.CopyFS(filepath.Join(j.dir, "examples"), os.DirFS("../../../examples")); err != nil {
		t.Fatal(err)
	}
	j.env = append(os.Environ(), "PATH="+filepath.Join(j.dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"), "GORACE="+raceOptions, "TOP="+j.dir,
		"FAKE_CLUSTER="+filepath.Join(j.dir, "cluster"))
	save(t, filepath.Join(j.dir, "bin", "none"), "")
	return j
}

// run runs a command in a folder inside the job's folder.
func (j *job) run(in string, argv ...string) (string, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	if strings.ContainsRune(argv[0], '/') {
		cmd.Path = argv[0]
	}
	cmd.Dir, cmd.Env = filepath.Join(j.dir, in), j.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must calls run, and fails the test if the command fails.
func (j *job) must(in string, argv ...string) string {
	j.Helper()
	out, err := j.run(in, argv...)
	if err != nil {
		j.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return out
}

// jobFormats are the formats whose jobs run all points.
var jobFormats = []string{"sh", "toml", "mpi", "slurm", "k8s", "compose"}

// start runs a job with the given format, and returns when the job has ended and its logs are
// in its folder, dir. dir must be an absolute path.
func (j *job) start(format, dir string) (string, error) {
	switch format {
	case "slurm":
		env := j.env
		defer func() { j.env = env }()
		j.env = append(slices.Clone(env), "SLURM_SUBMIT_DIR="+dir, "SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n1")
		return j.run(".", filepath.Join(dir, "job.sbatch"))
	case "compose":
		rel, err := filepath.Rel(j.dir, dir)
		if err != nil {
			j.Fatal(err)
		}
		return j.run(rel, "docker", "compose", "up", "--exit-code-from", "nixlbench")
	case "k8s":
		if out, err := j.run(".", "kubectl", "create", "-k", dir); err != nil {
			return out, err
		}
		out, err := j.run(".", filepath.Join(dir, "fetch.sh"))
		if err != nil {
			return out, err
		}
		return j.run(".", "kubectl", "delete", "-k", dir)
	}
	return j.run(".", filepath.Join(dir, "job.sh"))
}

// schedulers writes programs that start the processes of jobs on this machine.
func (j *job) schedulers() {
	writeExecutable(j.T, filepath.Join(j.dir, "bin", "srun"), `#!/bin/bash
printf '%s\0' "$@" >"$TOP/srun"
while [[ $1 != -- ]]; do shift; done
shift
exec "$@"
`)
	writeExecutable(j.T, filepath.Join(j.dir, "bin", "mpirun"), `#!/bin/bash
while [[ $1 != none ]]; do shift; done # --bind-to none
shift
exec "$@"
`)
	writeExecutable(j.T, filepath.Join(j.dir, "bin", "scontrol"), "#!/bin/bash\necho n1\n")
}

// stub writes a program named nixlbench that saves its arguments. If asked for its flags, this
// program runs the tests' own nixlbench instead.
func (j *job) stub() {
	real, err := exec.LookPath("nixlbench")
	if err != nil {
		j.Fatal(err)
	}
	j.env = append(j.env, "REAL="+real)
	writeExecutable(j.T, filepath.Join(j.dir, "bin", "nixlbench"), `#!/bin/bash
[[ $1 != --helpxml ]] || exec "$REAL" "$@"
printf '%s\0' "$PWD" "$@" >"$TOP/argv"
[[ -z ${KVBENCH_TEST_VAR-} ]] || printf '%s' "$KVBENCH_TEST_VAR" >"$TOP/var"
printf '%s' "${UCX_NET_DEVICES-}" >"$TOP/nics"
`)
	j.schedulers()
	writeExecutable(j.T, filepath.Join(j.dir, "bin", "nvidia-smi"), "#!/bin/bash\necho 'GPU 0: fake'\n")
}

// words reads a file of words, each followed by a NUL character.
func (j *job) words(name string) []string {
	j.Helper()
	text, err := os.ReadFile(filepath.Join(j.dir, name))
	if err != nil {
		j.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// TestLaunchHostile checks that every value reaches nixlbench unchanged. With
// KVBENCH_FULL, it tries every format; otherwise, it tries only one.
func TestLaunchHostile(t *testing.T) {
	startsMany(t)
	t.Parallel()
	j := newJob(t)
	j.stub()
	for i, name := range hostileNames {
		formats := jobFormats
		if n := i % len(formats); !full() {
			formats = formats[n : n+1]
		}
		for _, format := range formats {
			where := filepath.Join(j.dir, format, fmt.Sprintf("%s%d", name, i))
			if err := os.MkdirAll(where, 0o755); err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(where, name)
			if name != "--" && os.MkdirAll(data, 0o755) != nil {
				t.Fatal(data)
			}
			if name == "--" {
				data = where
			}
			// A relative path may begin with a dash.
			given := data
			if strings.HasPrefix(name, "-") && name != "--" && format != "k8s" {
				given = name
			}
			out := filepath.Join(where, "job"+name)
			if given == name {
				if err := os.MkdirAll(filepath.Join(out+".data", name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			argv := []string{"kvbench", "launch", "--format", format, "--output=" + out, "--model", "examples/model_qwen3_8b.yaml", "--isl", "256",
				"--page_size", "64", "--backend", "POSIX", "--filepath=" + given, "--device_list=" + name, "--fabric", "tcp", "--nics=" + name,
				"--setup=KVBENCH_TEST_VAR=\"a b\"; export KVBENCH_TEST_VAR"}
			switch format {
			case "slurm":
				argv = append(argv, "--image="+name, "--mounts="+name)
			case "compose":
				argv = append(argv, "--image="+name, "--mounts="+name+":"+name)
			case "k8s":
				argv = append(argv, "--image="+name, "--mounts="+name+":"+name, "--pull_secret="+name, "--networks="+name)
			}
			j.must(".", argv...)
			if given == name {
				if err := os.Rename(filepath.Join(out+".data", name), filepath.Join(out, name)); err != nil {
					t.Fatal(err)
				}
			}
			if text, err := j.start(format, out); err != nil {
				t.Errorf("%s with %q: %v\n%s", format, name, err, text)
				continue
			}
			got := j.words("argv")
			if got[0] != out && format != "k8s" {
				t.Errorf("%s with %q ran in %q", format, name, got[0])
			}
			if format == "toml" {
				var values map[string]any
				text, err := os.ReadFile(filepath.Join(out, "points/0001.toml"))
				if err == nil {
					err = toml.Unmarshal(text, &values)
				}
				if err != nil || values["filepath"] != given || values["device_list"] != name {
					t.Errorf("TOML with %q: %v, %q, %q", name, err, values["filepath"], values["device_list"])
				}
				if n, ok := values["max_block_size"].(int64); !ok || n != 4718592 {
					t.Errorf("TOML: max_block_size is %#v", values["max_block_size"])
				}
				if !slices.Equal(got[1:], []string{"--config_file", "points/0001.toml"}) {
					t.Errorf("arguments: %q", got[1:])
				}
			} else if a, b := wordAfter(got, "--filepath"), wordAfter(got, "--device_list"); a != given || b != name {
				t.Errorf("%s with %q: --filepath %q --device_list %q", format, name, a, b)
			}
			if format == "slurm" {
				words := j.words("srun")
				if !slices.Contains(words, "--container-image="+name) || !slices.Contains(words, "--container-mounts="+out+":"+out+","+name) {
					t.Errorf("srun with %q: %q", name, words)
				}
			}
			for file, want := range map[string]string{"var": "a b", "nics": name} {
				if text, _ := os.ReadFile(filepath.Join(j.dir, file)); string(text) != want {
					t.Errorf("%s with %q: %s is %q", format, name, file, text)
				}
			}
			// Such names must not break the logs or the results either.
			if text, _ := j.run(".", "kvbench", "collect", "-o", "r.jsonl", "--", out); !strings.HasSuffix(text, ": note: 1 result, 1 suspect\n") {
				t.Errorf("collecting %q: %s", out, text)
			}
		}
	}
	filepath.WalkDir(j.dir, func(path string, d os.DirEntry, err error) error {
		if filepath.Base(path) == "owned" {
			t.Errorf("a value was executed: %s exists", path)
		}
		return err
	})
}

// TestLaunchPyxis checks srun's options for a container: images in pyxis notation, mounts, and
// the names of secrets.
func TestLaunchPyxis(t *testing.T) {
	startsMany(t)
	t.Parallel()
	j := newJob(t)
	j.stub()
	j.env = append(j.env, "SLURM_JOB_ID=7", "SLURM_JOB_NODELIST=n1", "AWS_SECRET_ACCESS_KEY=k")
	n := 0
	run := func(folder string, more ...string) (string, error) {
		n++
		out := filepath.Join(j.dir, fmt.Sprint(n), folder)
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			t.Fatal(err)
		}
		j.must(".", append([]string{"kvbench", "launch", "--format", "slurm", "--output=" + out, "--model", "examples/model_qwen3_8b.yaml", "--isl", "256", "--page_size", "64"}, more...)...)
		env := j.env
		defer func() { j.env = env }()
		j.env = append(slices.Clone(env), "SLURM_SUBMIT_DIR="+out)
		os.Remove(filepath.Join(j.dir, "srun"))
		return j.run(".", filepath.Join(out, "job.sbatch"))
	}
	for _, c := range []struct{ given, want string }{
		{"nvcr.io/nvidia/nixl:1.4", "nvcr.io#nvidia/nixl:1.4"},
		{"docker://nvcr.io/nvidia/nixl:1.4", "docker://nvcr.io#nvidia/nixl:1.4"},
		{"localhost:5000/nixl", "localhost:5000#nixl"},
		{"localhost/nixl", "localhost#nixl"},
		{"nvcr.io#nvidia/nixl:1.4", "nvcr.io#nvidia/nixl:1.4"},
		{"docker://user@nvcr.io#nvidia/nixl", "docker://user@nvcr.io#nvidia/nixl"},
		{"ubuntu:24.04", "ubuntu:24.04"},
		{"nvidia/cuda", "nvidia/cuda"},
		{"/images/nixl.1.sqsh", "/images/nixl.1.sqsh"},
		{"./nixl.sqsh", "./nixl.sqsh"},
		{"a.b/$(touch owned) c", "a.b#$(touch owned) c"},
	} {
		if text, err := run("job", "--backend", "POSIX", "--image", c.given, "--mounts", "/mnt/nvme:/data,/x"); err != nil {
			t.Errorf("%s: %v\n%s", c.given, err, text)
			continue
		}
		words, folder := j.words("srun"), filepath.Join(j.dir, fmt.Sprint(n), "job")
		for _, want := range []string{"--container-image=" + c.want, "--container-mounts=" + folder + ":" + folder + ",/mnt/nvme:/data,/x", "--no-container-mount-home"} {
			if !slices.Contains(words, want) {
				t.Errorf("%s: %q, want %q", c.given, words, want)
			}
		}
		if i := slices.Index(words, "--"); strings.Contains(strings.Join(words[:i], " "), "container-env") {
			t.Errorf("%s: %q", c.given, words)
		}
	}
	text, err := run("job", "--backend", "OBJ", "--obj_secret_key", "geheim", "--obj_access_key", "k", "--obj_bucket_name", "b", "--image", "i", "--setup", "export AWS_ACCESS_KEY_ID=k")
	if err != nil || !slices.Contains(j.words("srun"), "--container-env=AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY") {
		t.Errorf("%v\n%s\n%q", err, text, j.words("srun"))
	}
	for _, folder := range []string{"a:b", "a,b"} {
		text, err := run(folder, "--backend", "POSIX", "--image", "i")
		if want := "the path of this folder contains a comma or a colon, so the pyxis plugin cannot mount it: rename the folder\n"; err == nil || text != want {
			t.Errorf("%s: %v, %s", folder, err, text)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(j.dir, "*/*/owned")); len(found) > 0 {
		t.Errorf("a value was executed: %q exist", found)
	}
}

// TestLaunchFioHostile checks that the names of folders reach fio unchanged. With
// KVBENCH_FULL, it tries all of the names; otherwise, it tries a third.
func TestLaunchFioHostile(t *testing.T) {
	startsMany(t)
	t.Parallel()
	j := newJob(t)
	writeExecutable(t, filepath.Join(j.dir, "bin", "fio"), `#!/bin/bash
[[ $1 != --enghelp ]] || exec echo libaio
printf '%s\0' "$PWD" "$@" "$KVBENCH_TEST_VAR" >"$TOP/argv"
`)
	for i, name := range hostileNames {
		if i%3 > 0 && !full() {
			continue
		}
		where := filepath.Join(j.dir, fmt.Sprint(i))
		data, out := filepath.Join(where, "data"+name), filepath.Join(where, "job"+name)
		if err := os.MkdirAll(data, 0o755); err != nil {
			t.Fatal(err)
		}
		j.must(".", "kvbench", "launch", "--format", "fio", "--output="+out, "--model", "examples/model_qwen3_8b.yaml", "--isl", "256",
			"--page_size", "64", "--backend", "POSIX", "--filepath="+data, "--setup=export KVBENCH_TEST_VAR=\"a b\"")
		if text, err := j.run(".", filepath.Join(out, "job.sh")); err != nil {
			t.Errorf("%q: %v\n%s", name, err, text)
			continue
		}
		if got, want := j.words("argv"), []string{data, "--section=0001", "--output-format=json", filepath.Join(out, "job.fio"), "a b"}; !slices.Equal(got, want) {
			t.Errorf("fio ran with %q, want %q", got, want)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(j.dir, "*/owned")); len(found) > 0 {
		t.Errorf("a value was executed: %q exist", found)
	}
}

// wordAfter returns the word that follows a given word, or "".
func wordAfter(words []string, word string) string {
	if i := slices.Index(words, word); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// TestLaunchShellcheck checks the scripts of every format.
func TestLaunchShellcheck(t *testing.T) {
	needsFull(t)
	t.Parallel()
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("shellcheck is not installed: the scripts of jobs were not checked")
	}
	j := newJob(t)
	n := 0
	for _, format := range append(slices.Clone(jobFormats), "fio") {
		for i, more := range [][]string{
			{"--backend", "POSIX", "--filepath", "a b"},
			{"--backend", "UCX", "--source", "gpu", "--destination", "gpu", "--fabric", "roce", "--nics", "mlx5_0:1,mlx5_1:1", "--setup", "module load x", "--num_initiator_dev", "2", "--num_target_dev", "2"},
			{"--backend", "OBJ", "--obj_secret_key", "geheim", "--obj_access_key", "key", "--obj_bucket_name", "b", "--timeout", "none"},
		} {
			out := fmt.Sprintf("%s%d", format, i)
			if format == "fio" && i > 0 { // it runs storage plans only
				continue
			}
			switch format {
			case "slurm":
				more = append(more, "--image", "i", "--mounts", "/a:/b", "--partition", "p", "--time", "10", "--gpus", "2")
			case "compose", "k8s":
				more = append(more, "--image", "i", "--time", "10")
			}
			j.must(".", append([]string{"kvbench", "launch", "--format", format, "-o", out, "--model", "examples/model_qwen3_8b.yaml", "--isl", "256", "--page_size", "64"}, more...)...)
			scripts, _ := filepath.Glob(filepath.Join(j.dir, out, "*.s*"))
			points, _ := filepath.Glob(filepath.Join(j.dir, out, "points", "*.sh"))
			for _, script := range append(scripts, points...) {
				n++
				if text, err := j.run(".", "shellcheck", "-s", "bash", script); err != nil {
					t.Errorf("%s: %v\n%s", script, err, text)
				}
			}
		}
	}
	// Five formats have 9 scripts each, Kubernetes has 4 for each of three jobs, and fio
	// has 2.
	if want := 5*9 + 3*4 + 2; n != want {
		t.Errorf("%d scripts were checked, want %d", n, want)
	}
}

// TestLaunchSweep checks that a sweep of 10 points becomes one job and comes back as 10
// results. With KVBENCH_FULL, it tries every format, with 200 points.
func TestLaunchSweep(t *testing.T) {
	startsMany(t)
	formats, n := []string{"sh", "k8s"}, 10
	if full() {
		formats, n = jobFormats, 200
	}
	for _, format := range formats {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			launchSweep(t, format, n)
		})
	}
}

func launchSweep(t *testing.T, format string, n int) {
	j := newJob(t)
	j.schedulers()
	sweep := []string{"--model", "examples/model_qwen3_8b.yaml", "--isl", fmt.Sprintf("64..%d+64", 64*n), "--page_size", "64", "--backend", "POSIX"}
	argv := append([]string{"kvbench", "launch", "--format", format, "-o", "job"}, sweep...)
	if format == "k8s" || format == "compose" {
		argv = append(argv, "--image", "i")
	}
	out := j.must(".", argv...)
	if want := fmt.Sprintf("job: %d runs, for nixlbench 1.4.0; see job/README.md\n", n); out != want {
		t.Errorf("%s, want %s", out, want)
	}
	if out, err := j.start(format, filepath.Join(j.dir, "job")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := j.run(".", "kvbench", "collect", "-o", "r.jsonl", "job"); err != nil {
		t.Errorf("%.1000s", out)
	}
	list := results(t, filepath.Join(j.dir, "r.jsonl"))
	hashes := map[string]bool{}
	for _, r := range list {
		hashes[r.Hash] = true
		if r.Status != "ok" || len(r.Rows) != 1 {
			t.Errorf("%s: %s, %d rows", r.Hash, r.Status, len(r.Rows))
		}
	}
	if len(list) != n || len(hashes) != n {
		t.Errorf("%d results with %d hashes, want %d", len(list), len(hashes), n)
	}
	// With the same flags, kvbench profile creates the same points, so there are none left
	// to run.
	cmd := j.must(".", append([]string{"kvbench", "profile", "--quiet", "--resume", "--output", "r.jsonl", "--nixlbench_release", "1.4.0"}, sweep...)...)
	if list := results(t, filepath.Join(j.dir, "r.jsonl")); len(list) != n {
		t.Errorf("profile --resume ran %d more\n%s", len(list)-n, cmd)
	}
}

// TestLaunchKubernetes runs pods that use a real etcd.
func TestLaunchKubernetes(t *testing.T) {
	needsFull(t)
	t.Parallel()
	j := newJob(t)
	real := realEtcd()
	if real == "" {
		t.Skip("etcd is not installed: no pods used it")
	}
	if err := os.Symlink(real, filepath.Join(j.dir, "bin", "etcd")); err != nil {
		t.Fatal(err)
	}
	j.must(".", "kvbench", "launch", "--format", "k8s", "-o", "job", "--image", "i", "--nodes", "4", "--model", "examples/model_qwen3_8b.yaml", "--isl", "256,512", "--page_size", "64",
		"--backend", "UCX", "--source", "memory", "--destination", "memory", "--num_initiator_dev", "2", "--num_target_dev", "2", "--mode", "SG")
	if out, err := j.start("k8s", filepath.Join(j.dir, "job")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if text := j.must(".", "kvbench", "collect", "-o", "r.jsonl", "job"); text != "job: note: 2 results, 2 ok\n" {
		t.Error(text)
	}
	// Each pod printed the logs of its own process.
	for i := range 4 {
		logs, _ := filepath.Glob(filepath.Join(j.dir, fmt.Sprintf("job/logs/*/kvbench-%d-*.log", i)))
		if len(logs) != 1 {
			t.Fatalf("logs of pod %d: %q", i, logs)
		}
		if text, _ := os.ReadFile(logs[0]); !strings.Contains(string(text), "0002: done in ") || strings.Count(string(text), "\n@0001 ") != 1 {
			t.Errorf("pod %d printed\n%s", i, text)
		}
	}
}

// TestLaunchSecrets checks that no file of a job contains a secret, and that the job
// reads the secret from the environment.
func TestLaunchSecrets(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	j.stub()
	j.must(".", "kvbench", "launch", "--format", "sh", "-o", "job", "--model", "examples/model_qwen3_8b.yaml", "--isl", "256", "--page_size", "64",
		"--backend", "AZURE_BLOB", "--azure_blob_connection_string", "geheim-1", "--obj_secret_key", "geheim-2")
	if text, err := j.run(".", "grep", "-r", "geheim", "job"); err == nil {
		t.Errorf("the job contains a secret: %s", text)
	}
	text, err := j.run(".", filepath.Join(j.dir, "job/job.sh"))
	if err == nil || !strings.Contains(text, ": the environment variable AWS_SECRET_ACCESS_KEY, which holds a secret, is not set: set it, for example with --setup\n") {
		t.Errorf("without the secret: %v\n%s", err, text)
	}
	manifest, _ := os.ReadFile(filepath.Join(j.dir, "job/manifest.ndjson"))
	var e struct{ Record map[string]any }
	if err := json.Unmarshal(manifest, &e); err != nil || e.Record["hash"] == "" {
		t.Errorf("manifest: %v", err)
	}
	j.env = append(j.env, "KVBENCH_AZURE_BLOB_CONNECTION_STRING=it's $x", "KVBENCH_OBJ_SECRET_KEY=k", "AWS_SECRET_ACCESS_KEY=k", "AZURE_STORAGE_CONNECTION_STRING=it's $x")
	if text, err := j.run(".", filepath.Join(j.dir, "job/job.sh")); err != nil {
		t.Errorf("with the secret: %v\n%s", err, text)
	}
	if text, err := j.run(".", "grep", "-r", "it's", "job/logs"); err == nil {
		t.Errorf("the logs contain a secret: %s", text)
	}
}

// TestLaunchFio runs two jobs with a real fio. One reads through the page cache, and the
// other writes.
func TestLaunchFio(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("fio"); err != nil {
		t.Skip("fio is not installed, so no job was run with it")
	}
	j := newJob(t)
	for _, direction := range [][]string{{"file", "memory"}, {"memory", "file"}} {
		out := "it's a job " + direction[0]
		folder := "data $(x);#" + direction[0]
		if err := os.Mkdir(filepath.Join(j.dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		j.must(".", "kvbench", "launch", "--format", "fio", "-o", out, "--model", "examples/model_qwen3_8b.yaml", "--isl", "64,128", "--page_size", "64", "--access_pattern", "layer",
			"--backend", "POSIX", "--source", direction[0], "--destination", direction[1], "--num_iter", "16", "--num_threads", "2", "--filepath", filepath.Join(j.dir, folder))
		text, err := j.run(".", filepath.Join(j.dir, out, "job.sh"))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		results := direction[0] + ".jsonl"
		if text := j.must(".", "kvbench", "collect", "-o", results, out); text != out+": note: 2 results, 2 ok\n" {
			t.Error(text)
		}
		if text := j.must(".", "kvbench", "report", "--columns", "isl,block_size_bytes,batch_size,bandwidth_gb_per_s,measured_by", "--format", "csv", results); !regexp.MustCompile(
			`^.*\n64,131072,36,[0-9]+\.[0-9]{6},fio-[0-9.]+\n128,131072,72,[0-9]+\.[0-9]{6},fio-[0-9.]+\n$`).MatchString(text) {
			t.Error(text)
		}
		// A thread moves a batch of 36 blocks of 131,072 bytes 16 times.
		logs, _ := filepath.Glob(filepath.Join(j.dir, out, "logs/*/0001/0.out"))
		if len(logs) != 1 {
			t.Fatalf("logs: %q", logs)
		}
		if said, _ := os.ReadFile(logs[0]); !strings.Contains(string(said), `"io_bytes" : 150994944,`) {
			t.Errorf("fio printed %s", said)
		}
	}
}

// TestLaunchMPI runs two processes with a real mpirun.
func TestLaunchMPI(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	if _, err := exec.LookPath("mpirun"); err != nil {
		t.Skip("mpirun is not installed, so no job was run with it")
	}
	if err := os.Mkdir(filepath.Join(j.dir, "meet"), 0o755); err != nil {
		t.Fatal(err)
	}
	// mpirun refuses to run as root without these variables.
	j.env = append(j.env, "FAKE_ETCD="+filepath.Join(j.dir, "meet"), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
	j.must(".", "kvbench", "launch", "--format", "mpi", "-o", "it's a job", "--model", "examples/model_qwen3_8b.yaml", "--isl", "256", "--page_size", "64", "--backend", "UCX", "--source", "memory", "--destination", "memory")
	if text, err := j.run(".", filepath.Join(j.dir, "it's a job/job.sh")); err != nil {
		preflight, _ := filepath.Glob(filepath.Join(j.dir, "it's a job/logs/*/*/*.err"))
		for _, name := range preflight {
			said, _ := os.ReadFile(name)
			text += name + ":\n" + string(said)
		}
		t.Fatalf("%v\n%s", err, text)
	}
	if text := j.must(".", "kvbench", "collect", "-o", "r.jsonl", "it's a job"); text != "it's a job: note: 1 result, 1 ok\n" {
		t.Error(text)
	}
}
