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
	dir := c.args[0]
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
	// All or nothing: what is there already is looked for first.
	var errs diag.List
	for _, name := range order {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Lstat(file); err == nil {
			errs = append(errs, diag.Errorf(diag.Pos{File: file}, "is there already: nothing was written"))
		} else if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, diag.Errorf(diag.Pos{File: file}, "%v", cause(err)))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	for _, name := range order {
		file := filepath.Join(dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if err == nil {
			err = os.WriteFile(file, files[name], 0o644)
		}
		if err != nil {
			return diag.Errorf(diag.Pos{File: file}, "%v", cause(err))
		}
	}
	for _, f := range startFiles {
		fmt.Fprintln(a.stdout, filepath.Join(dir, filepath.FromSlash(f.to)))
	}
	_, err = fmt.Fprintf(a.stdout, "\nIn that folder:\n  kvbench vet .\n  kvbench kvcache --models arch --model my_model_7b.yaml --model_config my_config.yaml\n")
	return err
}

// cause leaves out the path of an error.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
