package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notRun are the commands of the documents that no test runs: those that set
// a machine up, and those that run the tests themselves.
var notRun = []string{"git clone", "go install", "go test", "KVBENCH_UPDATE=1 go test", "go generate", "bash .ci/run", "bash .ci/figures"}

// docBlock finds code blocks: the file that the reader is told to save the
// block as, its language, its text.
var docBlock = regexp.MustCompile("(?ms)^(?:Save this as `([^`\n]+)`:\n\n)?```(\\w*)\n(.*?)^```$")

// TestDocs goes through the README and the guides as a reader does, in a
// folder with the examples: it saves the files that they show and runs every
// command. What a console block shows must be what its commands print, stdout
// and stderr together; the commands of an sh block must succeed.
// KVBENCH_UPDATE=1 rewrites the documents.
func TestDocs(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "kvbench"), "kvbench/cmd/kvbench").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// Where the documents run nixlbench, the tests' own stands in for it.
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(bin, "nixlbench"))
	}
	if err != nil {
		t.Fatal(err)
	}
	guides, err := filepath.Glob("../../../docs/*.md")
	if err != nil || len(guides) == 0 {
		t.Fatalf("no guides: %v", err)
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KVBENCH_") })
	env = append(env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, doc := range append(guides, "../../../README.md") {
		t.Run(filepath.Base(doc), func(t *testing.T) {
			data, err := os.ReadFile(doc)
			if err != nil {
				t.Fatal(err)
			}
			text, dir := string(data), t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS("../../../examples")); err != nil {
				t.Fatal(err)
			}
			ran := 0
			run := func(command string) (string, error) {
				command = strings.TrimSpace(command)
				if slices.ContainsFunc(notRun, func(p string) bool { return strings.HasPrefix(command, p) }) {
					return "", nil
				}
				ran++
				cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, "go run ./cmd/kvbench", "kvbench"))
				cmd.Dir, cmd.Env = dir, env
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			now := docBlock.ReplaceAllStringFunc(text, func(block string) string {
				m := docBlock.FindStringSubmatch(block)
				name, lang, body := m[1], m[2], m[3]
				switch {
				case name != "":
					save(t, filepath.Join(dir, name), body)
				case lang == "sh":
					for _, command := range commands(body, "") {
						if out, err := run(command); err != nil {
							t.Errorf("%s: %v\n%s", command, err, out)
						}
					}
				case lang == "console":
					var shown strings.Builder
					for _, command := range commands(body, "$ ") {
						out, _ := run(command) // most errors that the documents show are meant
						shown.WriteString("$ " + command + out)
					}
					return "```console\n" + shown.String() + "```"
				}
				return block
			})
			if ran == 0 {
				t.Error("no command was run")
			}
			if now == text {
				return
			}
			if os.Getenv("KVBENCH_UPDATE") != "" {
				if err := os.WriteFile(doc, []byte(now), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			was, is := strings.Split(text, "\n"), strings.Split(now, "\n")
			i := 0
			for i < min(len(was), len(is))-1 && was[i] == is[i] {
				i++
			}
			t.Errorf("line %d of the document is\n  %s\nand should be\n  %s", i+1, was[i], is[i])
		})
	}
}

// commands gives the commands of a block: the lines with the prompt, each with
// the lines that a backslash at its end continues it on.
func commands(body, prompt string) []string {
	var list []string
	more := false
	for line := range strings.Lines(body) {
		command, ok := strings.CutPrefix(line, prompt)
		switch {
		case more:
			list[len(list)-1] += line
		case ok && strings.TrimSpace(command) != "" && command[0] != '#':
			list = append(list, command)
		default:
			continue
		}
		more = strings.HasSuffix(line, "\\\n")
	}
	return list
}

func save(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGuideLines: the guide's architecture with its model takes at most 15
// lines of data.
func TestGuideLines(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/adding-a-new-model-architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	lines, files := 0, 0
	for _, m := range docBlock.FindAllStringSubmatch(string(guide), -1) {
		if m[1] != "arch/toy.cue" && m[1] != "toy_7b.yaml" {
			continue
		}
		files++
		for line := range strings.Lines(m[3]) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
	}
	if files != 2 || lines > 15 {
		t.Errorf("%d files with %d lines, want 2 with at most 15", files, lines)
	}
}
