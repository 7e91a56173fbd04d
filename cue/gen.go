//go:build ignore

// Gen generates files from the CUE files: snapshot.json, and the reference pages and
// the schemas for editors in docs.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"kvbench/engine/model"
	"kvbench/engine/report"
	"kvbench/engine/schema"
	"kvbench/engine/schemagen"
)

func main() {
	if err := generate(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func generate() error {
	files, models := os.DirFS("."), os.DirFS("../models")
	snapshot, err := schemagen.Snapshot(files, models)
	if err != nil {
		return err
	}
	out := map[string][]byte{"snapshot.json": snapshot}
	s, err := schema.Decode(string(snapshot))
	if err != nil {
		return err
	}
	for name, text := range report.Reference(s) {
		out[filepath.Join("../docs/reference", name)] = text
	}
	l := model.NewLoader(s, files, models)
	for _, kind := range schemagen.Kinds {
		if out[filepath.Join("../docs/schema", kind+".json")], err = schemagen.JSON(l, s, kind, nil); err != nil {
			return err
		}
	}
	for name, text := range out {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
