package cli_test

import (
	"encoding/xml"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// notRun lists commands in the documentation that no test runs, because they set up a
// machine or run the tests themselves.
var notRun = []string{"git clone", "go install", "go test", "KVBENCH_UPDATE=1 go test", "KVBENCH_PAGES=$PWD/pictures KVBENCH_FULL=1 go test", "go generate", "CGO_ENABLED=0 go build", "bash .ci/run", "bash .ci/figures"}

// docBlock matches code blocks. Its groups are the name of the file to save the block
// as, the language, and the text.
var docBlock = regexp.MustCompile("(?ms)^(?:Save this as `([^`\n]+)`:\n\n)?```(\\w*)\n(.*?)^```$")

// standIns contains scripts that replace the cluster programs used in the documentation.
var standIns = map[string]string{
	"sbatch":   "#!/bin/bash\nexport SLURM_SUBMIT_DIR=$PWD SLURM_JOB_ID=1 SLURM_JOB_NODELIST=n1\nbash \"${@: -1}\" >slurm-1.out 2>&1\n",
	"scontrol": "#!/bin/bash\necho n1\n",
	"srun":     "#!/bin/bash\nwhile [[ $1 != -- ]]; do shift; done\nshift\nexec \"$@\"\n",
	"mpirun":   "#!/bin/bash\nwhile [[ $1 != none ]]; do shift; done\nshift\nexec \"$@\"\n",
	"fio": `#!/bin/bash
[[ $1 != --enghelp ]] || exec echo libaio
bytes=$(awk -F= -v id="[${1#--section=}]" '$0 == id { on = 1 } on && /^io_size=/ { print $2; exit }' "$3")
echo '{"fio version": "fio-3.33", "jobs": [{"error": 0, "read": {"io_bytes": '"$bytes"', "bw_bytes": 20000000000, "lat_ns": {"mean": 3355443.2}}}]}'
`,
}

// TestDocs follows the README and the guides as a reader would, in a folder with the
// examples. It saves the files that the documents show and runs every command. A console
// block must show exactly what its commands print to stdout and stderr. The commands of
// an sh block must succeed. KVBENCH_UPDATE=1 rewrites the documents.
func TestDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it takes a long time")
	}
	t.Parallel()
	bin := t.TempDir()
	// The documents' commands use the tests' own versions of these programs.
	self, err := os.Executable()
	for _, name := range []string{"kvbench", "etcd", "kubectl", "docker"} {
		if err == nil {
			err = os.Symlink(self, filepath.Join(bin, name))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range standIns {
		writeExecutable(t, filepath.Join(bin, name), text)
	}
	guides, err := filepath.Glob("../../../docs/*.md")
	if err != nil || len(guides) == 0 {
		t.Fatalf("no guides were found: %v", err)
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KVBENCH_") })
	var ran atomic.Int64
	env = append(env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "FAKE_CLUSTER="+t.TempDir())
	t.Cleanup(func() { // after all documents
		if n := ran.Load(); n < 100 {
			t.Errorf("only %d commands were run, so the test does not find all blocks", n)
		}
	})
	for _, doc := range append(guides, "../../../README.md") {
		t.Run(filepath.Base(doc), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(doc)
			if err != nil {
				t.Fatal(err)
			}
			text, dir := string(data), t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS("../../../examples")); err != nil {
				t.Fatal(err)
			}
			run := func(command string) (string, error) {
				command = strings.TrimSpace(command)
				if slices.ContainsFunc(notRun, func(p string) bool { return strings.HasPrefix(command, p) }) {
					return "", nil
				}
				ran.Add(1)
				cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, "go run ./cmd/kvbench", "kvbench"))
				cmd.Dir, cmd.Env = dir, env
				if filepath.Base(doc) == "tune.md" {
					cmd.Env = append(slices.Clone(env), "FAKE_SURFACE=1")
				}
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
						out, _ := run(command) // documents show errors on purpose
						shown.WriteString("$ " + command + out)
					}
					return "```console\n" + shown.String() + "```"
				}
				return block
			})
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

// commands returns the commands of a block. A command is a line that begins with the
// prompt, plus any lines that continue it after a backslash.
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

// TestGuideLines checks that the guide's architecture and its model take at most 15
// lines of data, and a model of an existing architecture at most nine.
func TestGuideLines(t *testing.T) {
	guide := documents(t)["docs/adding-a-new-model-architecture.md"]
	lines := map[string]int{}
	for _, m := range docBlock.FindAllStringSubmatch(guide, -1) {
		for line := range strings.Lines(m[3]) {
			if strings.TrimSpace(line) != "" {
				lines[m[1]]++
			}
		}
	}
	if arch, model := lines["arch/toy.cue"], lines["toy_7b.yaml"]; arch == 0 || model == 0 || arch+model > 15 {
		t.Errorf("%d and %d lines, want at most 15 in total", arch, model)
	}
	for _, file := range []string{"windowed.yaml", "latent.yaml", "hybrid.yaml", "varied.yaml"} {
		if n := lines[file]; n == 0 || n > 9 {
			t.Errorf("%s has %d lines, want at most 9", file, n)
		}
	}
}

// documents returns the text of the README and the guides, keyed by path from the root of the
// repository.
func documents(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range append(files, "../../../README.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[strings.TrimPrefix(filepath.ToSlash(file), "../../../")] = string(data)
	}
	return texts
}

// TestReadme checks that the README is short, that its first command prints no warnings,
// and that its command for the tests is the one that .ci/run uses.
func TestReadme(t *testing.T) {
	readme := documents(t)["README.md"]
	if n := strings.Count(readme, "\n"); n > 150 {
		t.Errorf("the README has %d lines, want at most 150", n)
	}
	var first []string
	for _, m := range docBlock.FindAllStringSubmatch(readme, -1) {
		if m[2] == "console" {
			first = append(first, m[3])
		}
	}
	if len(first) < 2 || strings.Contains(first[0], "warning:") || strings.Contains(first[0], "hint:") || !strings.Contains(first[0], "\nnixlbench ") {
		t.Errorf("the first command prints a warning, or does not print a plan:\n%s", first)
	}
	gate, err := os.ReadFile("../../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(gate), "step \"test (the README's command)\"\n")
	if command, _, _ := strings.Cut(after, "\n"); len(first) < 2 || first[1] != "$ "+command+"\n" {
		t.Errorf("the README's test command is %q, but .ci/run uses %q", first[1], command)
	}
	// The picture must be well-formed, suit light and dark pages, and show the numbers
	// that the first command prints.
	picture := "docs/images/from-model-to-nixlbench.svg"
	data, err := os.ReadFile("../../../" + picture)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(data, new(struct{ XMLName xml.Name })); err != nil {
		t.Errorf("%s: %v", picture, err)
	}
	for _, want := range []string{"@media (prefers-color-scheme: dark)", ">327680<", ">4096<"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s lacks %q", picture, want)
		}
	}
	for _, want := range []string{"](" + picture + ")", "--max_block_size 327680", "--max_batch_size 4096"} {
		if !strings.Contains(readme, want) {
			t.Errorf("the README lacks %q", want)
		}
	}
}

// docLink matches links to files in the repository and to headings.
var docLink = regexp.MustCompile(`\]\(([^)#:\s]*)(#[^)\s]*)?\)`)

// TestDocLinks checks that every link leads to an existing file and heading, and that
// the index lists every guide.
func TestDocLinks(t *testing.T) {
	docs := documents(t)
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	odd := regexp.MustCompile(`[^\pL\pN _-]`)
	anchors := map[string][]string{}
	all := maps.Clone(docs)
	for _, name := range []string{"docs/reference/cache.md", "docs/reference/configuration.md"} { // generated
		text, err := os.ReadFile("../../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text)
	}
	for name, text := range all {
		text = docBlock.ReplaceAllString(text, "")
		for _, m := range heading.FindAllStringSubmatch(text, -1) {
			anchors[name] = append(anchors[name], "#"+strings.ReplaceAll(odd.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
		}
	}
	links := 0
	for name, text := range docs {
		for _, m := range docLink.FindAllStringSubmatch(docBlock.ReplaceAllString(text, ""), -1) {
			links++
			to := name
			if m[1] != "" {
				to = path.Join(path.Dir(name), m[1])
			}
			if _, err := os.Stat("../../../" + to); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, m[0])
			} else if m[2] != "" && !slices.Contains(anchors[to], m[2]) {
				t.Errorf("%s: no heading matches the link %s; the headings are %s", name, m[0], anchors[to])
			}
		}
	}
	if links < 40 {
		t.Errorf("only %d links were found", links)
	}
	for name := range docs {
		if dir, file := path.Split(name); dir == "docs/" && file != "README.md" && !strings.Contains(docs["docs/README.md"], "("+file) {
			t.Errorf("docs/README.md does not list %s", name)
		}
	}
}
