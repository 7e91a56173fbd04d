package config

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Entry is a known model: a parameter file that need not be named by its path.
type Entry struct {
	// Name is the file's, without what follows the dot.
	Name string
	File string
	// Bundled files are part of the program.
	Bundled bool
}

// paramFiles are the endings of parameter files.
var paramFiles = []string{".yaml", ".yml", ".json"}

// Entries lists the models that are known by name: those in the folders, then
// the bundled ones, each in the order of their names.
func (l *Loader) Entries(dirs []string) ([]Entry, error) {
	var all []Entry
	var errs diag.List
	for _, dir := range dirs {
		files, err := os.ReadDir(dir)
		if err != nil {
			errs = append(errs, diag.Errorf(diag.Pos{File: dir}, "no models here: %s", reason(err)))
			continue
		}
		for _, f := range files {
			name := filepath.Join(dir, f.Name())
			if ext := filepath.Ext(name); slices.Contains(paramFiles, strings.ToLower(ext)) && l.isModel(name) {
				all = append(all, Entry{strings.TrimSuffix(f.Name(), ext), name, false})
			}
		}
	}
	files, err := fs.Glob(l.models, "*.yaml")
	errs.Add(err)
	for _, f := range files {
		all = append(all, Entry{strings.TrimSuffix(f, ".yaml"), path.Join("models", f), true})
	}
	return all, errs.Err()
}

// Architectures lists those of the folders and the bundled ones.
func (l *Loader) Architectures(dirs []string) ([]*schema.Listed, error) {
	known, err := l.known(dirs)
	list := make([]*schema.Listed, len(known.list))
	for i, c := range known.list {
		list[i] = c.Listed
	}
	return list, err
}

// isModel reports whether a file looks like a model's parameters.
func (l *Loader) isModel(name string) bool {
	f, err := l.Open(name)
	// What is wrong with it is said when it is used.
	return err != nil || f.Kind == KindModel || f.Kind == KindCheckpoint
}

// Text gives the text of an entry's file.
func (l *Loader) Text(e Entry) ([]byte, error) {
	if e.Bundled {
		return fs.ReadFile(l.models, path.Base(e.File))
	}
	return read(e.File)
}

// find gives the file that a user means by its path, or by the name of a known
// model.
func (l *Loader) find(word string, dirs []string) (Entry, error) {
	if info, err := os.Stat(word); err == nil && info.IsDir() {
		file := filepath.Join(word, checkpointFile)
		if _, err := os.Stat(file); err == nil {
			return Entry{File: file}, Regular(file)
		}
		if !strings.ContainsAny(word, `/\`) {
			if e, err := l.Find(word, dirs); err == nil {
				return e, nil
			}
		}
		return Entry{}, diag.Errorf(diag.Pos{File: word}, "is a folder without a %s", checkpointFile)
	}
	if _, err := os.Stat(word); err == nil || strings.ContainsAny(word, `/\`) || slices.Contains(append(paramFiles, ".cue"), strings.ToLower(filepath.Ext(word))) {
		return Entry{File: word}, nil
	}
	return l.Find(word, dirs)
}

// Find gives the known model of a name, in whatever case and punctuation.
func (l *Loader) Find(name string, dirs []string) (Entry, error) {
	all, err := l.Entries(dirs)
	if err != nil {
		return Entry{}, err
	}
	var names []string
	for _, e := range all {
		if key(e.Name) == key(name) {
			return e, nil
		}
		names = append(names, e.Name)
	}
	// A user's file may have another name than its model.
	for _, e := range all {
		if !e.Bundled && key(l.modelName(e)) == key(name) {
			return e, nil
		}
	}
	d := diag.Errorf(diag.Pos{}, "no file and no known model is named %q", name)
	if hint := diag.DidYouMean(name, names); hint != "" {
		d.WithHint("%s", hint)
	}
	return Entry{}, d.WithHint("kvbench models lists the known ones")
}

// modelName gives the name that a model's file gives it, or "".
func (l *Loader) modelName(e Entry) string {
	f, err := l.Open(e.File)
	if err != nil {
		return ""
	}
	if f.Kind == KindCheckpoint {
		return checkpointName(e.File, f.root)
	}
	leaf := f.doc.leaf(NameParam)
	if leaf == nil {
		return ""
	}
	if v, ok := value(leaf.expr); ok && v.Kind == formula.Str {
		return v.Str
	}
	return ""
}

// key is a name without case and punctuation.
func key(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}
