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
var notRun = []string{"go install", "go test", "go generate", "bash .ci/run"}

var (
	saveBlock    = regexp.MustCompile("(?ms)^Save this as `([^`]+)`:\n\n```\\w+\n(.*?)^```")
	consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```")
)

// TestDocs runs every command of the README and the guides, in the order of
// the document, beside the examples and the files that the document has one
// write, and compares what it prints, stdout and stderr together, with the
// document. KVBENCH_UPDATE=1 rewrites the documents.
func TestDocs(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "kvbench"), "kvbench/cmd/kvbench").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	guides, err := filepath.Glob("../../../docs/*.md")
	if err != nil || len(guides) == 0 {
		t.Fatalf("no guides: %v", err)
	}
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
			for _, m := range saveBlock.FindAllStringSubmatch(text, -1) {
				name := filepath.Join(dir, m[1])
				os.MkdirAll(filepath.Dir(name), 0o755)
				if err := os.WriteFile(name, []byte(m[2]), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			ran := 0
			rewritten := consoleBlock.ReplaceAllStringFunc(text, func(block string) string {
				var out strings.Builder
				lines := strings.Split(consoleBlock.FindStringSubmatch(block)[1], "\n")
				for i := 0; i < len(lines); i++ {
					command, ok := strings.CutPrefix(lines[i], "$ ")
					if !ok {
						continue // output: printed anew below
					}
					shown := command
					for strings.HasSuffix(command, "\\") && i+1 < len(lines) {
						i++
						shown += "\n" + lines[i]
						command = strings.TrimSuffix(command, "\\") + strings.TrimSpace(lines[i])
					}
					out.WriteString("$ " + shown + "\n")
					if slices.ContainsFunc(notRun, func(p string) bool { return strings.HasPrefix(command, p) }) {
						continue
					}
					cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, "go run ./cmd/kvbench", "kvbench"))
					cmd.Dir = dir
					cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
					output, _ := cmd.CombinedOutput()
					out.Write(output)
					ran++
				}
				return "```console\n" + out.String() + "```"
			})
			if ran == 0 {
				t.Error("no command was run")
			}
			switch {
			case rewritten == text:
			case os.Getenv("KVBENCH_UPDATE") != "":
				if err := os.WriteFile(doc, []byte(rewritten), 0o644); err != nil {
					t.Fatal(err)
				}
			default:
				was, is := strings.Split(text, "\n"), strings.Split(rewritten, "\n")
				for i := range min(len(was), len(is)) {
					if was[i] != is[i] {
						t.Fatalf("line %d of the document is\n  %s\nand the program prints\n  %s", i+1, was[i], is[i])
					}
				}
				t.Fatal("the document and the program print different numbers of lines")
			}
		})
	}
}
