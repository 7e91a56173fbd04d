package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/schema"
)

// plainWords lists names that may appear in Go code because they are also ordinary
// English words, keys of the documented output, or kvbench's own flags.
var plainWords = []string{
	"backend", "mode", "scheme", "filepath", "filenames",
	"config_file",             // a key of the documented JSON and CSV
	"sh", "toml", "ib", "tcp", // also a shell, a language, a unit and a protocol
	"GOT", // also a family of models
}

// TestNoNamesInGo checks that the names of models, engines, backends and nixlbench
// flags appear only in the data, not in Go code.
func TestNoNamesInGo(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"sglang", "vllm", "trtllm", "deepseek", "llama", "qwen", "gpt_oss", "gemma", "mixtral"}
	for _, a := range s.Architectures {
		names = append(names, a.Name)
	}
	for _, f := range s.Families.Get() {
		names = append(append(names, f.Name), f.ModelTypes...)
	}
	names = append(names, schema.Keys(s.Nixlbench.Flags)...)
	names = append(names, schema.Keys(s.Nixlbench.Backends)...)
	names = append(names, schema.Keys(s.Launch.Get().Formats)...)
	names = append(names, schema.Keys(s.Launch.Get().Fabrics)...)
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(plainWords, n) })
	for i, n := range names {
		names[i] = regexp.QuoteMeta(n)
	}
	word := regexp.MustCompile(`(?i)(?:^|[^\pL\pN_])(` + strings.Join(names, "|") + `)(?:[^\pL\pN_]|$)`)
	literals := 0
	for _, root := range []string{"../../engine", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if _, ok := n.(*ast.ImportSpec); ok {
					return false
				}
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					literals++
					text, _ := strconv.Unquote(lit.Value)
					if m := word.FindStringSubmatch(text); m != nil {
						t.Errorf("%s contains the name %q", fset.Position(lit.Pos()), m[1])
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if literals < 100 {
		t.Errorf("only %d string literals were found, so the walk misses files", literals)
	}
}

// layers lists the packages in engine/ and cmd/, lowest first. Each may import only
// those listed before it.
var layers = []string{
	"kvbench/engine/diag",
	"kvbench/engine/input",
	"kvbench/engine/hub",
	"kvbench/engine/jsonl",
	"kvbench/engine/requests",
	"kvbench/engine/tune",
	"kvbench/engine/formula",
	"kvbench/engine/data",
	"kvbench/engine/schema",
	"kvbench/engine/builtin",
	"kvbench/engine/huggingface",
	"kvbench/engine/source",
	"kvbench/engine/config",
	"kvbench/engine/model",
	"kvbench/engine/fit",
	"kvbench/engine/plan",
	"kvbench/engine/schemagen",
	"kvbench/engine/sweep",
	"kvbench/engine/transfer",
	"kvbench/engine/matrix",
	"kvbench/engine/enginelog",
	"kvbench/engine/vet",
	"kvbench/engine/nixlbench",
	"kvbench/engine/runner",
	"kvbench/engine/launch",
	"kvbench/engine/webpage",
	"kvbench/engine/report",
	"kvbench/cmd/kvbench/cli",
	"kvbench/cmd/kvbench",
}

// owners maps libraries to the packages that may import them.
var owners = map[string][]string{
	"cuelang.org/go":                {"kvbench/engine/diag", "kvbench/engine/data", "kvbench/engine/schema", "kvbench/engine/source", "kvbench/engine/config", "kvbench/engine/model", "kvbench/engine/schemagen"},
	"github.com/expr-lang/expr":     {"kvbench/engine/formula"},
	"github.com/peterbourgon/ff/v3": {"kvbench/cmd/kvbench/cli"},
}

// TestImports checks that imports follow the rules in layers and owners.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "kvbench/engine/...", "kvbench/cmd/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for dec.More() {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		at := slices.Index(layers, p.ImportPath)
		if at < 0 {
			t.Errorf("%s is in no layer", p.ImportPath)
		}
		for _, imp := range p.Imports {
			if i := slices.Index(layers, imp); i >= at && at >= 0 {
				t.Errorf("%s imports %s, which is not below it", p.ImportPath, imp)
			}
			for lib, who := range owners {
				if (imp == lib || strings.HasPrefix(imp, lib+"/")) && !slices.Contains(who, p.ImportPath) {
					t.Errorf("%s imports %s, but only %s may import it", p.ImportPath, imp, strings.Join(who, " and "))
				}
			}
		}
	}
}

// TestNoStandardLibrary checks that kvbench does not link CUE's whole standard library;
// see data.NewContext.
func TestNoStandardLibrary(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "kvbench/cmd/kvbench").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "cuelang.org/go/pkg/strings") {
		t.Error("kvbench does not link the CUE package strings, which its own files import")
	}
	if slices.Contains(deps, "cuelang.org/go/pkg") {
		t.Error("kvbench links CUE's whole standard library; use data.NewContext instead of cuecontext.New")
	}
}
