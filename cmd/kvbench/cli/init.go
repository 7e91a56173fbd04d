package cli

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	cueschema "kvbench/cue"
	"kvbench/engine/diag"
)

// start holds the files that init writes.
//
//go:embed start/*
var start embed.FS

// startFiles says where each goes.
var startFiles = []struct{ to, from string }{
	{"arch/my_model.cue", "my_model.cue"},
	{"my_model_7b.yaml", "my_model_7b.yaml"},
	{"my_config.yaml", "my_config.yaml"},
	{".pre-commit-config.yaml", "pre-commit-config.yaml"},
}

// The CUE module of the folder. Editors and the cue command find the schema in
// cue.mod/pkg, without a network.
const (
	startModule = "module: \"models.example@v0\"\nlanguage: version: \"v0.17.0\"\n"
	schemaDir   = "cue.mod/pkg/kvbench.internal/cue"
)

const initLong = `
Writes an architecture with comments that teach, a model and a configuration for
it, the settings of a pre-commit hook, and a CUE module with the schema, so that
editors and the cue command know it. No file that exists is touched.`

// initCmd writes a starting point for authors.
func (a *app) initCmd() *command {
	return &command{
		name:  "init",
		words: "DIR",
		short: "Write a starting point for an architecture of your own",
		long:  initLong,
		exec:  a.init,
	}
}

func (a *app) init(_ context.Context, c *command) error {
	if len(c.args) != 1 {
		return diag.Usagef("one folder is wanted: %s init DIR", program)
	}
	dir := filepath.Clean(c.args[0])
	files := map[string][]byte{"cue.mod/module.cue": []byte(startModule)}
	order := []string{"cue.mod/module.cue"}
	for _, f := range startFiles {
		text, err := start.ReadFile(path.Join("start", f.from))
		if err != nil {
			return err
		}
		files[f.to] = text
		order = append(order, f.to)
	}
	schemas, err := fs.Glob(cueschema.Files, "*.cue")
	if err != nil {
		return err
	}
	for _, name := range schemas {
		text, err := fs.ReadFile(cueschema.Files, name)
		if err != nil {
			return err
		}
		to := path.Join(schemaDir, name)
		files[to] = text
		order = append(order, to)
	}
	// All or nothing: what is there already is looked for first, and what was
	// made is removed when the rest fails.
	if info, err := os.Stat(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diag.Errorf(diag.Pos{File: dir}, "%v", diag.Cause(err))
	} else if err == nil && !info.IsDir() {
		return diag.Errorf(diag.Pos{File: dir}, "is not a folder: nothing was written")
	}
	var errs diag.List
	for _, name := range order {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Lstat(file); err == nil {
			errs.Add(isThere(file))
		} else if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, diag.Errorf(diag.Pos{File: file}, "%v", diag.Cause(err)))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	var made []string
	for _, name := range order {
		file := filepath.Join(dir, filepath.FromSlash(name))
		dirs, err := makeDirs(dir, filepath.Dir(file))
		made = append(made, dirs...)
		if err == nil {
			err = a.createNew(file, files[name])
		}
		if err != nil {
			for _, name := range slices.Backward(made) {
				os.Remove(name)
			}
			return err
		}
		made = append(made, file)
	}
	for _, f := range startFiles {
		fmt.Fprintln(a.stdout, diag.Printable(filepath.Join(dir, filepath.FromSlash(f.to))))
	}
	_, err = fmt.Fprintf(a.stdout, "\nIn that folder:\n  kvbench vet .\n  kvbench kvcache --models arch --model my_model_7b.yaml --model_config my_config.yaml\n")
	return err
}

// makeDirs makes a folder and those above it that are not there, and lists what
// it made. Below root, no folder may be a link that leads elsewhere.
func makeDirs(root, dir string) (made []string, err error) {
	for d := dir; d != root; d = filepath.Dir(d) {
		if info, err := os.Lstat(d); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil, diag.Errorf(diag.Pos{File: d}, "is a symbolic link: nothing was written").WithHint("put a folder there")
		}
	}
	var missing []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, d)
	}
	for _, d := range slices.Backward(missing) {
		if err := os.Mkdir(d, 0o777); err != nil {
			return made, diag.Errorf(diag.Pos{File: d}, "%v", diag.Cause(err))
		}
		made = append(made, d)
	}
	return made, nil
}
