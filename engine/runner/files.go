package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"kvbench/engine/diag"
)

// folder is a folder in which a run creates files. Their names match a pattern or are
// listed literally.
type folder struct {
	dir     string
	pattern string
	names   []string
	// share is the number of bytes that the run writes to this folder.
	share int64
	// root refers to the same folder even if the folder is renamed. existing contains the
	// names of the files that existed when the run began.
	root     *os.Root
	existing map[string]bool
	// held contains those existing files. They are kept open so that another kvbench
	// process that created them sees that they are in use.
	held []*os.File
}

// maxHeld is the maximum number of files held open.
const maxHeld = 64

// folders returns the folders in which the run creates files.
func (r *Run) folders() []*folder {
	n := &r.needs
	switch {
	case n.Pattern == "":
		return nil
	case len(n.Paths) == 0:
		dir := n.Dir
		if dir == "" {
			dir = "."
		}
		return []*folder{{dir: dir, pattern: n.Pattern, share: n.Disk}}
	}
	var list []*folder
	for _, path := range n.Paths {
		dir, name := filepath.Dir(path), filepath.Base(path)
		i := slices.IndexFunc(list, func(f *folder) bool { return f.dir == dir })
		if i < 0 {
			list = append(list, &folder{dir: dir})
			i = len(list) - 1
		}
		list[i].names = append(list[i].names, name)
		list[i].share += n.Disk / int64(len(n.Paths))
	}
	return list
}

// has reports whether the run uses a file with this name.
func (f *folder) has(name string) bool {
	if f.pattern == "" {
		return slices.Contains(f.names, name)
	}
	ok, _ := filepath.Match(f.pattern, name)
	return ok
}

// check returns the number of bytes that the run will add to the folder, or an error if
// the folder cannot be used.
func (f *folder) check() (need int64, err error) {
	info, err := os.Stat(f.dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, fmt.Errorf("the folder %s for nixlbench's files does not exist", diag.Printable(f.dir))
	case err == nil && !info.IsDir():
		return 0, fmt.Errorf("%s, the path given for nixlbench's files, is not a folder", diag.Printable(f.dir))
	}
	need = f.share
	for _, name := range f.files() {
		if info, err := os.Stat(filepath.Join(f.dir, name)); err == nil {
			need -= info.Size()
		}
	}
	return need, nil
}

// open opens the folder and records its content.
func (f *folder) open() {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return // nixlbench will report the error
	}
	f.root, f.existing = root, map[string]bool{}
	for _, name := range f.entries() {
		f.existing[name] = true
	}
	for _, name := range f.files() {
		if len(f.held) == maxHeld {
			break
		}
		if file := f.hold(name); file != nil {
			f.held = append(f.held, file)
		}
	}
}

// hold opens a file. It returns nil if the file is not regular or cannot be opened.
func (f *folder) hold(name string) *os.File {
	info, err := f.lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil
	}
	if opened, err := file.Stat(); err != nil || !os.SameFile(info, opened) {
		file.Close()
		return nil
	}
	return file
}

// entries returns the names of existing directory entries that match the run's
// files, whatever their type.
func (f *folder) entries() []string {
	var found []string
	if f.pattern == "" {
		for _, name := range f.names {
			if _, err := f.lstat(name); err == nil {
				found = append(found, name)
			}
		}
		return found
	}
	dir, err := f.openDir()
	if err != nil {
		return nil
	}
	defer dir.Close()
	for {
		list, err := dir.Readdirnames(1000)
		for _, name := range list {
			if f.has(name) {
				found = append(found, name)
			}
		}
		if err != nil {
			slices.Sort(found)
			return found
		}
	}
}

// files returns the names of the run's files that exist and are regular files.
func (f *folder) files() []string {
	return slices.DeleteFunc(f.entries(), func(name string) bool {
		info, err := f.lstat(name)
		return err != nil || !info.Mode().IsRegular()
	})
}

func (f *folder) openDir() (*os.File, error) {
	if f.root != nil {
		return f.root.Open(".")
	}
	return os.Open(f.dir)
}

func (f *folder) lstat(name string) (os.FileInfo, error) {
	if f.root != nil {
		return f.root.Lstat(name)
	}
	return os.Lstat(filepath.Join(f.dir, name))
}

// made contains the files that a run creates.
type made struct {
	start   time.Time
	folders []*folder
	files   []*madeFile
}

// madeFile is a file that the run reported creating. info is nil until kvbench sees the
// file. From then on, kvbench keeps the file open, if the permissions allow it.
type madeFile struct {
	folder *folder
	name   string
	info   os.FileInfo
	file   *os.File
}

// watchFiles starts watching the files that a run creates.
func watchFiles(r *Run) *made {
	m := &made{start: time.Now(), folders: r.folders()}
	for _, f := range m.folders {
		f.open()
	}
	return m
}

// created remembers a file that the run reported creating, unless the file existed before
// the run or the run does not use files with that name.
func (m *made) created(path string) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return
	}
	name := filepath.Base(path)
	for _, f := range m.folders {
		if own, err := filepath.Abs(f.dir); err == nil && own == dir && f.root != nil && f.has(name) && !f.existing[name] &&
			!slices.ContainsFunc(m.files, func(o *madeFile) bool { return o.folder == f && o.name == name }) {
			m.files = append(m.files, &madeFile{folder: f, name: name})
		}
	}
}

// look looks for files that have been created.
func (m *made) look() {
	for _, f := range m.files {
		if f.info != nil {
			continue
		}
		if info, err := f.folder.lstat(f.name); err == nil && info.Mode().IsRegular() {
			f.info, f.file = info, f.folder.hold(f.name)
		}
	}
}

// remove removes the files that the run created, if they are still the same and
// no other process has them open.
func (m *made) remove(warn func(*diag.Diag)) {
	m.look()
	for _, f := range m.files {
		if f.info == nil {
			continue
		}
		if err := f.remove(m.start); err != nil {
			warn(diag.Warnf(diag.Pos{}, "%s was not removed: %v", diag.Printable(filepath.Join(f.folder.dir, f.name)), diag.Cause(err)))
		}
	}
}

// clockTick is how far a file's timestamp can lag behind the clock.
const clockTick = 20 * time.Millisecond

// remove removes the file unless it was created before start or another program has it open.
func (f *madeFile) remove(start time.Time) error {
	f.release()
	info, err := f.folder.lstat(f.name)
	if err != nil || !os.SameFile(info, f.info) {
		return nil // the file has been removed or replaced
	}
	if file, err := f.folder.root.Open(f.name); err == nil {
		defer file.Close()
		switch born, known := birth(file); {
		case known && born.Before(start.Add(-clockTick)):
			return errors.New("it is older than the run")
		case inUse(file):
			return errors.New("another program has it open")
		}
	}
	return f.folder.root.Remove(f.name)
}

func (f *madeFile) release() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}

// left returns the paths of all files of the run that exist, and the paths of those that
// existed before the run.
func (m *made) left() (all, before []string) {
	for _, f := range m.folders {
		for _, name := range f.files() {
			path := filepath.Join(f.dir, name)
			all = append(all, path)
			if f.existing[name] {
				before = append(before, path)
			}
		}
	}
	slices.Sort(all)
	slices.Sort(before)
	return slices.Compact(all), slices.Compact(before)
}

func (m *made) close() {
	for _, f := range m.files {
		f.release()
	}
	m.drop()
	for _, f := range m.folders {
		if f.root != nil {
			f.root.Close()
		}
	}
}

// drop closes the held files, which existed before the run.
func (m *made) drop() {
	for _, f := range m.folders {
		for _, file := range f.held {
			file.Close()
		}
		f.held = nil
	}
}

// describe describes the file system of the folder, if it can be determined.
func (f *folder) describe(local bool) Folder {
	d := Folder{Path: f.dir}
	if local {
		d.FileSystem, d.Device = mountOf(f.dir)
	}
	return d
}
