package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/hub"
	"kvbench/engine/huggingface"
	"kvbench/engine/input"
	"kvbench/engine/schema"
)

// Entry is a known model: a parameter file that can be selected without its
// path.
type Entry struct {
	// Name is the file's name without its extension.
	Name string
	File string
	// Bundled reports whether the file is part of the program.
	Bundled bool
	// StandsFor is the requested name if it belongs to a different model that has the same
	// cache as the entry.
	StandsFor string
	// Checkpoint is the requested name if it includes a checkpoint's number format,
	// which the entry's file does not describe.
	Checkpoint string
}

// paramFiles are the extensions of parameter files.
var paramFiles = []string{".yaml", ".yml", ".json"}

// Entries lists the models known by name: first those in the folders, then the bundled
// ones, both sorted by name.
func (l *Loader) Entries(dirs []string) ([]Entry, error) {
	var all []Entry
	var errs diag.List
	for _, dir := range dirs {
		files, err := os.ReadDir(dir)
		if err != nil {
			errs = append(errs, diag.Errorf(diag.Pos{File: dir}, "cannot list models: %v", diag.Cause(err)))
			continue
		}
		for _, f := range files {
			name := filepath.Join(dir, f.Name())
			if ext := filepath.Ext(name); slices.Contains(paramFiles, strings.ToLower(ext)) && l.isModel(name) {
				all = append(all, Entry{Name: strings.TrimSuffix(f.Name(), ext), File: name})
			}
		}
	}
	files, err := fs.ReadDir(l.models, ".")
	errs.Add(err)
	all = slices.Grow(all, len(files))
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".yaml"); ok {
			all = append(all, Entry{Name: name, File: path.Join("models", f.Name()), Bundled: true})
		}
	}
	return all, errs.Err()
}

// Architectures lists the architectures in the folders and the bundled ones.
func (l *Loader) Architectures(dirs []string) ([]*schema.Listed, error) {
	known, err := l.known(dirs)
	return known.Architectures(), err
}

// Architectures lists the known architectures.
func (k *Known) Architectures() []*schema.Listed {
	list := make([]*schema.Listed, len(k.list))
	for i, c := range k.list {
		list[i] = c.Listed
	}
	return list
}

// isModel reports whether a file looks like a parameter file. It also returns true if
// the file cannot be opened, so that the error is reported when the model is used.
func (l *Loader) isModel(name string) bool {
	f, err := l.Open(name, false)
	return err != nil || f.Kind == KindModel || f.Kind == KindCheckpoint
}

// Text returns the text of an entry's file.
func (l *Loader) Text(e Entry) ([]byte, error) {
	if e.Bundled {
		return fs.ReadFile(l.models, path.Base(e.File))
	}
	return data.Read(e.File, l.Watch)
}

// find returns the file selected by a path, by the name of a known model, or by a Hugging Face
// repository such as hf:OWNER/NAME.
func (l *Loader) find(word string, dirs []string) (Entry, error) {
	if strings.HasPrefix(word, hub.Scheme) {
		file, err := l.fromHub(word)
		if d, ok := errors.AsType[*diag.Diag](err); ok {
			d.HintUnlessEmpty(oneEach(word))
		}
		return Entry{File: file}, err
	}
	if info, err := os.Stat(word); err == nil && info.IsDir() {
		file := filepath.Join(word, huggingface.File)
		if _, err := os.Stat(file); err == nil {
			return Entry{File: file}, input.Regular(file)
		}
		if !strings.ContainsAny(word, `/\`) {
			if e, err := l.Find(word, dirs); err == nil {
				return e, nil
			}
		}
		return Entry{}, diag.Errorf(diag.Pos{File: word}, "is a folder without a %s", huggingface.File)
	}
	if id, ok := pasted(word); ok {
		d := diag.Usagef("%q is a URL: expected a file, a name or %sOWNER/NAME", word, hub.Scheme)
		if id != "" {
			d.WithHint("did you mean %s%s?", hub.Scheme, id)
		}
		return Entry{}, d
	}
	isFile := slices.Contains(append(paramFiles, ".cue"), strings.ToLower(filepath.Ext(word)))
	_, err := os.Stat(word)
	isPath := err == nil || isFile || strings.ContainsAny(word, `/\`) && !isID(word)
	if errors.Is(err, fs.ErrNotExist) {
		hint := l.missingHint(word)
		if hint == "" && isPath {
			hint = oneEach(word)
		}
		if hint != "" {
			return Entry{}, diag.Errorf(diag.Pos{File: word}, "no such file or directory").WithHint("%s", hint)
		}
	}
	if isPath {
		return Entry{File: word}, nil
	}
	return l.Find(word, dirs)
}

// missingHint returns a hint for the path of a file that does not exist. It suggests a
// bundled model, or a model on Hugging Face, that the path may refer to. It returns "" if
// there is no such model.
func (l *Loader) missingHint(path string) string {
	id, _, _ := strings.Cut(strings.TrimSuffix(path, "/"), "@")
	base := filepath.Base(path)
	ext := filepath.Ext(base)
	switch {
	case slices.Contains(paramFiles, strings.ToLower(ext)):
		all, _ := l.Entries(nil) // the bundled models
		if e, ok := named(strings.TrimSuffix(base, ext), all); ok {
			return fmt.Sprintf("the bundled model is named %s", e.Name)
		}
	case isID(id) && !isID(path):
		return fmt.Sprintf("did you mean %s%s?", hub.Scheme, strings.TrimSuffix(path, "/"))
	}
	return ""
}

// oneEach returns a hint if word is a list of models or a pattern instead of a single model.
// Otherwise, it returns "".
func oneEach(word string) string {
	if !strings.ContainsAny(word, ",*?") {
		return ""
	}
	return "for several models, repeat --model"
}

// Cached lists the models in the Hugging Face cache, in the form that [Loader.Model]
// accepts.
func (l *Loader) Cached() []string { return hub.FromEnv().Repos(huggingface.File) }

// fromHub returns the path of a Hugging Face repository's configuration in the local cache.
// It downloads the file first if necessary and if the loader allows downloads.
func (l *Loader) fromHub(word string) (string, error) {
	repo, err := hub.Parse(word)
	if err != nil {
		return "", err
	}
	h := hub.FromEnv()
	if l.Download {
		names := []string{huggingface.File}
		siblings := l.schema.Checkpoints.Get().Siblings
		for _, prefix := range schema.Keys(siblings) {
			names = append(names, siblings[prefix])
		}
		if err := h.Download(repo, names...); err != nil {
			return "", err
		}
	}
	file, err := h.Find(repo, huggingface.File)
	if err != nil && !l.Download {
		err = diag.All(err)[0].WithHint("use --download to get it from %s", h.Host())
	}
	return file, err
}

// Find returns the known model with the given name or Hugging Face identifier. Case
// and punctuation are ignored.
func (l *Loader) Find(name string, dirs []string) (Entry, error) {
	all, err := l.Entries(dirs)
	if err != nil {
		return Entry{}, err
	}
	if e, ok := named(name, all); ok {
		return e, nil
	}
	// A user's file may be named differently from its model.
	for _, e := range all {
		if !e.Bundled && key(l.modelName(e)) == key(name) {
			return e, nil
		}
	}
	if e, ok := l.identified(name, all); ok {
		return e, nil
	}
	return Entry{}, l.notFound(name, all)
}

// modelName returns the model name in an entry's file, or "".
func (l *Loader) modelName(e Entry) string {
	var doc *data.Document
	if e.Bundled {
		text, err := l.Text(e)
		var root *data.Value
		if err == nil {
			root, err = data.Parse(e.File, text, nil)
		}
		if err == nil {
			doc, err = data.Flat(e.File, root)
		}
		if err != nil {
			return ""
		}
	} else {
		f, err := l.Open(e.File, false)
		if err != nil {
			return ""
		}
		if f.Kind == KindCheckpoint {
			return huggingface.Name(e.File, f.root)
		}
		doc = f.doc
	}
	if leaf := doc.Leaf(schema.NameParam); leaf != nil && leaf.Kind == data.Text {
		return leaf.Text
	}
	return ""
}
