package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInitCUE checks that the files written by init pass cue vet without network access.
func TestInitCUE(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it builds the cue command")
	}
	t.Parallel()
	dir := t.TempDir()
	// Go caches the executables of tools, so the cue command is linked only once.
	path, err := exec.Command("go", "tool", "-modfile=../../../.ci/tools.mod", "-n", "cue").Output()
	if err != nil {
		t.Fatal(err)
	}
	cue := strings.TrimSpace(string(path))
	mine := filepath.Join(dir, "mine")
	if out, err := exec.Command("kvbench", "init", mine).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	vet := func() (string, error) {
		cmd := exec.Command(cue, "vet", "./arch/")
		cmd.Dir = mine
		cmd.Env = append(os.Environ(), "CUE_REGISTRY=none")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := vet(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// cue vet must reject a field that the schema does not have, which shows that it uses the
	// schema.
	arch := filepath.Join(mine, "arch", "my_model.cue")
	text, err := os.ReadFile(arch)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(arch, []byte(strings.Replace(string(text), "kv_bytes_per_token:", "kv_bytes_a_token:", 1)), 0o644)
	if out, err := vet(); err == nil || !strings.Contains(out, "kv_bytes_a_token: field not allowed") {
		t.Errorf("cue vet accepts an unknown field: %v\n%s", err, out)
	}
}

// TestPreCommit runs the hook as users do, so pre-commit builds it from this repository.
// A bad file must block the commit, and a good file must not.
func TestPreCommit(t *testing.T) {
	needsFull(t) // pre-commit builds the program from scratch
	if _, err := exec.LookPath("pre-commit"); err != nil {
		t.Skip("pre-commit is not installed")
	}
	t.Parallel()
	dir := t.TempDir()
	goEnv := func(name string) string {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	// Sharing Go's caches avoids compiling the libraries again. With -trimpath, kvbench
	// is not compiled again either, although its copy is in another folder.
	env := append(os.Environ(), "HOME="+dir, "PRE_COMMIT_HOME="+filepath.Join(dir, "cache"), "GIT_CONFIG_NOSYSTEM=1",
		"GOCACHE="+goEnv("GOCACHE"), "GOMODCACHE="+goEnv("GOMODCACHE"), "GOPROXY=off",
		"GOFLAGS="+strings.TrimSpace(goEnv("GOFLAGS")+" -trimpath"),
		"GOTOOLCHAIN=local", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	run := func(in string, name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = in, env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(in string, name string, args ...string) string {
		t.Helper()
		out, err := run(in, name, args...)
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(out)
	}

	// The hook's repository is a copy of this working tree.
	hook := filepath.Join(dir, "kvbench")
	list, err := exec.Command("git", "-C", "../../..", "ls-files", "-co", "--exclude-standard").Output()
	if err != nil {
		t.Skip("not in a git checkout")
	}
	for name := range strings.FieldsSeq(string(list)) {
		data, err := os.ReadFile(filepath.Join("../../..", name))
		if err != nil {
			continue // deleted from the working tree
		}
		file := filepath.Join(hook, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must(hook, "git", "init", "-q")
	must(hook, "git", "add", "-A")
	must(hook, "git", "commit", "-qm", "all")
	rev := must(hook, "git", "rev-parse", "HEAD")

	// This is the repository of an author who uses the hook.
	mine := filepath.Join(dir, "mine")
	must(dir, "kvbench", "init", mine)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(mine, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(".pre-commit-config.yaml", "repos:\n  - repo: "+hook+"\n    rev: "+rev+"\n    hooks:\n      - id: kvbench-vet\n        args: [--models, arch]\n      - id: kvbench-vet-all\n        args: [arch, .]\n")
	must(mine, "git", "init", "-q")
	must(mine, "pre-commit", "install")
	must(mine, "git", "add", "-A")
	must(mine, "git", "commit", "-qm", "start")

	write("my_model_7b.yaml", "model_name: MY_MODEL_7B\nnum_layer: 32\nkv_heads: 8\nhead_dim: 128\n")
	must(mine, "git", "add", "-A")
	out, err := run(mine, "git", "commit", "-qm", "bad")
	if err == nil || !strings.Contains(out, `my_model_7b.yaml:2:1: unknown key "num_layer": not a parameter of my_model`) {
		t.Errorf("a bad file was committed: %v\n%s", err, out)
	}
	write("my_model_7b.yaml", "model_name: MY_MODEL_7B\nnum_layers: 33\nkv_heads: 8\nhead_dim: 128\n")
	must(mine, "git", "add", "-A")
	must(mine, "git", "commit", "-qm", "good")

	// Changing or removing an architecture makes its models invalid.
	arch := filepath.Join(mine, "arch", "my_model.cue")
	text, err := os.ReadFile(arch)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(message, want string) {
		t.Helper()
		must(mine, "git", "add", "-A")
		out, err := run(mine, "git", "commit", "-qm", message)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s was committed: %v\n%s", message, err, out)
		}
	}
	write("arch/my_model.cue", strings.ReplaceAll(string(text), "head_dim", "head_size"))
	refused("a renamed parameter", `my_model_7b.yaml:4:1: unknown key "head_dim": not a parameter of my_model`)
	os.Remove(arch)
	refused("a removed architecture", `my_model_7b.yaml:1:13: model_name: no known architecture matches "MY_MODEL_7B"`)

	// Files that do not belong to kvbench do not block a commit.
	write("arch/my_model.cue", string(text))
	write("package.json", "{\"name\": \"x\"}\n")
	write("workflow.yml", "name: CI\non: push\njobs: {a: {strategy: {matrix: {}}}}\n")
	write("tsconfig.json", "{ // strict\n}\n")
	must(mine, "git", "add", "-A")
	must(mine, "git", "commit", "-qm", "others")
}
