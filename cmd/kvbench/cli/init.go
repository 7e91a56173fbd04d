package cli

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	cueschema "kvbench/cue"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/report"
	"kvbench/engine/schema"
)

// start contains the files that init writes.
//
//go:embed start/*
var start embed.FS

// startFiles maps the files in start to where init writes them.
var startFiles = []struct{ to, from string }{
	{"arch/my_model.cue", "my_model.cue"},
	{"my_model_7b.yaml", "my_model_7b.yaml"},
	{"my_config.yaml", "my_config.yaml"},
	{".pre-commit-config.yaml", "pre-commit-config.yaml"},
}

// These constants describe the CUE module that init creates. Editors and the cue command
// find the schema in cue.mod/pkg, without network access.
const (
	startModule = "module: \"models.example@v0\"\nlanguage: version: \"v0.17.0\"\n"
	schemaDir   = "cue.mod/pkg/kvbench.internal/cue"
)

// initCmd writes the files to start from when adding a model or an architecture.
func (a *app) initCmd() *command {
	return &command{
		name:  "init",
		words: "DIR | --like ARCHITECTURE [FILE]",
		short: "Write a starting point for a model or an architecture of your own",
		flags: []*flagSpec{
			{name: "like", arg: "ARCHITECTURE", group: groupModel, help: "Write a parameter file for a model with this architecture. It is written to stdout unless FILE is given"},
			modelsFlag(),
		},
		exec: a.init,
	}
}

func (a *app) init(_ context.Context, c *command) error {
	if name, from, ok := c.value("like"); ok {
		return a.initLike(c, name, from)
	}
	if len(c.args) != 1 {
		return diag.Usagef("expected one folder, as in '%s init DIR'", program)
	}
	if c.given[modelsFlag().name] {
		a.print.Print(diag.Notef(diag.Pos{}, "--models has no effect without --like"))
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
	// Write all files or none. Look for existing files first, and if a later step fails,
	// remove everything created so far.
	if info, err := os.Stat(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diag.Errorf(diag.Pos{File: dir}, "%v", diag.Cause(err))
	} else if err == nil && !info.IsDir() {
		return diag.Errorf(diag.Pos{File: dir}, "is not a folder; nothing written")
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

// initLike writes a parameter file for a model with the named architecture.
func (a *app) initLike(c *command, name string, from data.Origin) error {
	if len(c.args) > 1 {
		return diag.Usagef("unexpected argument %q", c.args[1]).WithHint("'%s %s --like %s FILE' writes one file", program, c.name, name)
	}
	archs, err := a.loader().Architectures(c.dirs())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(archs, func(l *schema.Listed) bool { return l.Name == name })
	if i < 0 {
		names := make([]string, len(archs))
		for i, l := range archs {
			names[i] = l.Name
		}
		d := from.Errorf("there is no architecture %q", name)
		if hint := diag.DidYouMean(name, names); hint != "" {
			return d.WithHint("%s", hint)
		}
		return d.WithHint("expected one of %s", strings.Join(names, ", "))
	}
	var out bytes.Buffer
	err = report.Template(&out, a.schema, archs[i].Arch.Get())
	switch {
	case err != nil:
		return err
	case len(c.args) == 0:
		_, err = a.stdout.Write(out.Bytes())
		return err
	}
	if err := a.createYAML(c.args[0], out.Bytes()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, diag.Printable(c.args[0]))
	return err
}

// makeDirs creates a folder and its missing parents, and returns the folders that it
// created. Below root, no folder may be a symbolic link, because the link could lead
// elsewhere.
func makeDirs(root, dir string) (made []string, err error) {
	for d := dir; d != root; d = filepath.Dir(d) {
		if info, err := os.Lstat(d); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil, diag.Errorf(diag.Pos{File: d}, "is a symbolic link; nothing written").WithHint("replace it with a folder")
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
