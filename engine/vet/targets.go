package vet

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/input"
	"kvbench/engine/model"
	"kvbench/engine/source"
)

// target is a file to check, or a path that cannot be checked because of err.
type target struct {
	name   string
	met    bool // the user did not name the file; it was found in a folder
	opened bool
	file   *model.File
	err    error
	archs  diag.List // errors in the architectures that the file defines
	known  diag.List // errors in this file that were found while reading other files
}

// extensions are the extensions of the files that kvbench reads.
var extensions = []string{".cue", ".yaml", ".yml", ".json", source.ResultsExt}

func isRead(name string) bool {
	return slices.Contains(extensions, strings.ToLower(filepath.Ext(name)))
}

// expand returns the targets for the given files, folders and patterns. If skip is
// set, named files are treated like files found in a folder. A path that cannot be
// listed becomes a target with an error, so that the other files are still checked.
func expand(words []string, skip bool) ([]*target, error) {
	var usage diag.List
	var all []*target
	seen := map[string]bool{}
	add := func(t *target) {
		if key := filepath.Clean(t.name); !seen[key] {
			seen[key] = true
			all = append(all, t)
		}
	}
	for _, word := range words {
		if word == "" {
			usage = append(usage, diag.Usagef("empty file name"))
			continue
		}
		info, err := os.Stat(word)
		switch {
		case err == nil && info.IsDir():
			walk(word, add)
		case err == nil || isLink(word) || !strings.ContainsAny(word, "*?["):
			add(fileTarget(word, skip))
		default:
			found, wrong := input.Glob(word)
			if wrong != nil && wrong.Usage {
				usage = append(usage, wrong)
			} else if wrong != nil {
				add(refused(word, wrong))
			}
			for _, name := range found {
				add(fileTarget(name, skip))
			}
		}
	}
	return all, usage.Err()
}

// withKnown attaches each error in list to the target for its file. If there is no such
// target, it adds one before the other targets.
func withKnown(targets []*target, list diag.List) []*target {
	var more []*target
	for _, d := range list {
		same := func(t *target) bool { return Key(t.name) == Key(d.Pos.File) }
		i := slices.IndexFunc(targets, same)
		if i >= 0 {
			targets[i].known = append(targets[i].known, d)
			continue
		}
		if i = slices.IndexFunc(more, same); i < 0 {
			i, more = len(more), append(more, &target{name: d.Pos.File, opened: true})
		}
		errs := diag.List(diag.All(more[i].err))
		more[i].err = append(errs[:len(errs):len(errs)], d)
	}
	return append(more, targets...)
}

// walk adds those files in a folder and its subfolders that kvbench may be able to read.
func walk(dir string, add func(*target)) {
	if isLink(dir) {
		add(refused(dir, diag.Errorf(diag.Pos{File: dir}, "is a symbolic link, which is not followed").
			WithHint("use the folder it points to, or write %s%c", dir, filepath.Separator)))
		return
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			add(refused(path, diag.Errorf(diag.Pos{File: path}, "cannot be listed: %v", diag.Cause(err)).About(diag.File, "")))
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir() && path != dir && (strings.HasPrefix(d.Name(), ".") || d.Name() == source.ModuleFolder):
			return fs.SkipDir
		case !d.IsDir() && (isRead(path) || leadsToFolder(path, d)):
			add(fileTarget(path, true))
		}
		return nil
	})
}

// fileTarget returns the target for a file. It does not follow symbolic links, because in
// an untrusted folder they may lead to files that must not be shown.
func fileTarget(name string, met bool) *target {
	const why = "is a symbolic link, which is not followed"
	foreign := func(why string) *target {
		return &target{name: name, met: met, opened: true, file: &model.File{Name: name, Kind: model.KindUnknown, Foreign: why}}
	}
	switch folders := strings.Split(filepath.ToSlash(filepath.Dir(name)), "/"); {
	case met && slices.Contains(folders, source.ModuleFolder):
		return foreign("is part of a CUE module")
	case !isLink(name):
		return &target{name: name, met: met}
	case met:
		return foreign(why)
	}
	return refused(name, diag.Errorf(diag.Pos{File: name}, why).WithHint("use the file it points to"))
}

func refused(name string, err error) *target { return &target{name: name, opened: true, err: err} }

func isLink(name string) bool {
	info, err := os.Lstat(name)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

func leadsToFolder(path string, d fs.DirEntry) bool {
	if d.Type()&fs.ModeSymlink == 0 {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
