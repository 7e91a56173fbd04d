package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// The cue command unifies all CUE files of a package into one value. Here, each file is
// evaluated only with the files of its package that it refers to, or that add to its fields.
// This way, a folder with a thousand architectures stays within the limits, an error can
// name the file that exceeds a limit, and copies of a file do not conflict.

// Package contains the files of a CUE package.
type Package struct {
	names []string // in order
	files map[string]*pkgFile
	own   bool // whether the text of any file shows that the package belongs to kvbench
	texts int  // total size of the files in bytes
}

// maxTexts is the maximum total size, in bytes, of the files whose syntax trees a package
// stores. A syntax tree needs ten times as much memory as its file.
const maxTexts = 1 << 20

// pkgFile describes a CUE file before it is evaluated. It contains only information that
// the other files of its package need.
type pkgFile struct {
	name   string
	index  int                 // the index among the files of its package
	err    error               // why the file cannot be used
	labels map[string][]string // its top-level fields, each with the fields inside
	wants  []string            // the names that it uses but does not define
	alone  bool                // whether it is a configuration or a model's parameters, so no other file adds to its fields
	wide   bool                // whether it may add to any field

	// The with field lists the files that this file is evaluated with, including itself, in
	// order. The lacks field contains the errors of files that this file needs but that cannot
	// be used. The faults function evaluates this file for the files that need it, and returns
	// its errors.
	with   []*pkgFile
	lacks  diag.List
	faults func() error

	// syntax is the syntax tree for the first evaluation, which saves parsing the file again.
	// It is nil after that evaluation, and if the package's files are too large.
	syntax atomic.Pointer[ast.File]
}

// needs reports whether s is evaluated together with o.
func (s *pkgFile) needs(o *pkgFile) bool { return slices.Contains(s.with, o) }

// first returns the first file that s needs and that also needs s. The result may be s
// itself.
func (s *pkgFile) first() *pkgFile {
	return s.with[slices.IndexFunc(s.with, func(o *pkgFile) bool { return o.needs(s) })]
}

func (s *pkgFile) has(label string) bool {
	_, ok := s.labels[label]
	return ok
}

// adds reports whether two files contribute different fields to the value of a label. Files
// that have a field in common are assumed to be copies of each other.
func (s *pkgFile) adds(o *pkgFile, label string) bool {
	mine, theirs := s.labels[label], o.labels[label]
	return s.err == nil && !s.alone && !o.alone && label != ModelField && len(mine)+len(theirs) > 0 &&
		!slices.ContainsFunc(mine, func(field string) bool { return slices.Contains(theirs, field) })
}

// CUE is an evaluated CUE file. Its value includes the other files of its package that are
// evaluated with it.
type CUE struct {
	*data.Tree
	file string
	self *pkgFile // nil if the file has no package
}

// Home returns the name of the file that a field belongs to, which is the first file that
// defines the field.
func (p *CUE) Home(label string) string {
	if p.self == nil {
		return p.file
	}
	i := slices.IndexFunc(p.self.with, func(o *pkgFile) bool { return o.has(label) })
	if i < 0 { // generated, perhaps by a comprehension
		i = slices.IndexFunc(p.self.with, func(o *pkgFile) bool { return o.wide })
	}
	if i < 0 {
		return p.file
	}
	return p.self.with[i].name
}

// Says reports whether the file itself defines all or part of a field.
func (p *CUE) Says(label string) bool {
	return p.self == nil || p.self.has(label) || p.self.wide && p.Home(label) == p.self.name
}

// Shared reports whether the file belongs to a package. If so, first is the name of the
// first file that this file needs and that also needs this file.
func (p *CUE) Shared() (first string, ok bool) {
	if p.self == nil {
		return "", false
	}
	return p.self.first().name, true
}

// Part returns a [CUE] for one file of a package. The file's value is the value of the whole
// package.
func Part(f *ast.File, all *data.Tree) *CUE {
	s := newFile(f.Filename)
	s.declare(f)
	s.with = []*pkgFile{s}
	return &CUE{Tree: all, file: f.Filename, self: s}
}

// The method Each calls do for every regular field that the file itself defines.
func (p *CUE) Each(do func(field *data.Tree)) error {
	fields, err := p.Struct(p.file)
	for i := range fields {
		if p.Says(fields[i].Name) {
			do(&fields[i])
		}
	}
	return err
}

// Document returns the leaves of the fields that the file itself defines.
func (p *CUE) Document() (*data.Document, error) {
	if p.self == nil || len(p.self.with) == 1 {
		return data.DocumentOf(p.file, p.Tree)
	}
	return data.PartOf(p.file, p.Tree, p.Says)
}

// Evaluate evaluates a CUE file, together with the files of its package that it needs.
func (r *Files) Evaluate(name string) (*CUE, error) {
	self := r.PackageOf(name).file(name)
	if self == nil {
		t, err := r.recent.value(name, func() (*data.Tree, error) { return r.evaluate(name, name) })
		return &CUE{Tree: t, file: name}, err
	}
	p := &CUE{file: self.name, self: self}
	err := r.evaluateNeeded(self)
	if err == nil {
		first := self.first()
		p.Tree, err = r.recent.value(first.name, func() (*data.Tree, error) {
			names := make([]string, len(first.with))
			for i, o := range first.with {
				names[i] = o.name
			}
			return r.evaluate(first.name, names...)
		})
	}
	return p, err
}

// recent stores the values of the CUE files that were used most recently. A value needs
// about a hundred times as much memory as its file, so only a few are stored.
type recent struct {
	mu   sync.Mutex
	list []evaluation // the most recently used value is last
}

// evaluation contains a file's name and a function that returns the file's value. The function
// evaluates the file only once.
type evaluation struct {
	name  string
	value func() (*data.Tree, error)
}

// maxRecent is the maximum number of values to store. Several may be in use at once.
const maxRecent = 8

// value returns the value of a file. It evaluates the file unless its value is stored.
func (r *recent) value(name string, evaluate func() (*data.Tree, error)) (*data.Tree, error) {
	r.mu.Lock()
	i := slices.IndexFunc(r.list, func(e evaluation) bool { return e.name == name })
	e := evaluation{name, sync.OnceValues(evaluate)}
	switch {
	case i >= 0:
		e = r.list[i]
		r.list = slices.Delete(r.list, i, i+1)
	case len(r.list) == maxRecent:
		r.list = slices.Delete(r.list, 0, 1)
	}
	r.list = append(r.list, e)
	r.mu.Unlock()
	return e.value()
}

// evaluateNeeded evaluates the files that self needs but that do not need self, each under
// its own name. As a result, errors in these files are reported instead of the errors that
// they cause in self.
func (r *Files) evaluateNeeded(self *pkgFile) error {
	errs := slices.Clone(self.lacks)
	for _, o := range self.with {
		if o.needs(self) {
			continue
		}
		errs.Add(o.faults())
	}
	return errs.Distinct().Err()
}

// BoundedCUE is like [Files.Bounded], but for a file that may be CUE. It first evaluates
// the other files that the file needs, so the work for these files is attributed to them.
func (r *Files) BoundedCUE(name string, work func() error) error {
	if data.IsCUE(name) {
		if self := r.PackageOf(name).file(name); self != nil {
			r.evaluateNeeded(self)
		}
	}
	return r.Bounded(name, work)
}

// PackageOf returns the package that a file belongs to, or nil if it has no package
// clause. The clause is read only once.
func (r *Files) PackageOf(name string) *Package {
	find, _ := r.clauses.LoadOrStore(name, sync.OnceValue(func() *Package { return r.packageOf(name) }))
	return find.(func() *Package)()
}

func (r *Files) packageOf(name string) *Package {
	text, ok := r.Peek(name)
	if !ok {
		return nil
	}
	clause := packageName(name, text)
	if clause == "" {
		return nil
	}
	dir := filepath.Dir(name)
	find, _ := r.packages.LoadOrStore(clause+"\x00"+dir, sync.OnceValue(func() *Package { return r.findPackage(dir, clause) }))
	return find.(func() *Package)()
}

// packageName returns the name in the package clause of CUE text, or "".
func packageName(name string, text []byte) string {
	f, err := parser.ParseFile(name, text, parser.PackageClauseOnly)
	if err != nil || f.PackageName() == "_" {
		return ""
	}
	return f.PackageName()
}

// findPackage reads the files of a package in a folder and, within a CUE module, in
// its parent folders.
func (r *Files) findPackage(dir, clause string) *Package {
	p := &Package{files: map[string]*pkgFile{}}
	for _, dir := range packageFolders(dir) {
		entries, _ := os.ReadDir(dir) // a folder that cannot be read is treated as empty
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			if !data.IsCUE(name) || isLeftOut(e.Name()) || r.IsSchemaFile(name) {
				continue
			}
			var s *pkgFile
			err := r.Bounded(name, func() error {
				s = r.pkgFile(name, clause, p)
				return nil
			})
			if err != nil {
				s = &pkgFile{name: name, err: err}
			}
			if s != nil {
				s.index = len(p.names)
				p.names = append(p.names, name)
				p.files[name] = s
			}
		}
	}
	r.link(p)
	for _, name := range p.names {
		if filepath.Dir(name) == filepath.Clean(dir) {
			r.clauses.LoadOrStore(name, func() *Package { return p })
		}
	}
	return p
}

// isLeftOut reports whether the cue command excludes a file from its package.
func isLeftOut(base string) bool {
	return strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || strings.HasSuffix(base, "_tool.cue") || strings.HasSuffix(base, "_test.cue")
}

// ModuleFolder is the folder at the root of a CUE module that describes the module and
// contains its dependencies, such as the schema that kvbench init writes.
const ModuleFolder = "cue.mod"

// packageFolders returns the folders that may contain files of the packages in a
// folder: the folder itself and, within a CUE module, its parents up to the root of
// the module.
func packageFolders(dir string) []string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return []string{dir}
	}
	list := []string{dir}
	for {
		if info, err := os.Stat(filepath.Join(abs, ModuleFolder)); err == nil && info.IsDir() {
			return list
		}
		parent := filepath.Dir(abs)
		if parent == abs {
			return list[:1] // not in a module
		}
		if abs = parent; dir == "." || filepath.Base(dir) == ".." {
			dir = filepath.Join(dir, "..")
		} else {
			dir = filepath.Dir(dir)
		}
		list = append(list, dir)
	}
}

// topLabel matches the top-level fields in the text of a file that cannot be parsed.
var topLabel = pattern(`(?m)^([_#\w]+)[?!]?[ \t]*:`)

// pkgFile returns a description of a file, or nil if the file does not belong to the package.
func (r *Files) pkgFile(name, clause string, p *Package) *pkgFile {
	s := newFile(name)
	if r.Refuse != nil {
		s.err = r.Refuse(name)
	}
	if s.err == nil && r.MayRead(name) != nil {
		return nil // the file's package cannot be determined
	}
	text, err := data.Read(name, r.Watch)
	if err != nil || packageName(name, text) != clause {
		return nil
	}
	p.own = p.own || r.ownText(name, text)
	var f *ast.File
	if s.err == nil {
		f, s.err = data.ParseCUE(name, text)
	}
	if s.err != nil {
		for _, m := range topLabel().FindAllSubmatch(text, -1) {
			s.labels[string(m[1])] = nil
		}
		return s
	}
	s.declare(f)
	if p.texts += len(text); p.texts <= maxTexts {
		s.syntax.Store(f)
	}
	s.alone = slices.ContainsFunc(append(r.Sections(), schema.NameParam, schema.ArchField), s.has)
	return s
}

func newFile(name string) *pkgFile { return &pkgFile{name: name, labels: map[string][]string{}} }

// declare records which names a parsed file defines and uses.
func (s *pkgFile) declare(f *ast.File) {
	var clauseName *ast.Ident // the parser lists it as unresolved, too
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.Package:
			clauseName = decl.Name
		case *ast.Field:
			if label, _, err := ast.LabelName(decl.Label); err == nil {
				s.labels[label] = append(s.labels[label], fieldsOf(decl.Value)...)
			} else {
				s.wide = true
			}
		case *ast.EmbedDecl, *ast.Comprehension, *ast.Ellipsis:
			s.wide = true
		}
	}
	for _, ident := range f.Unresolved {
		if ident != clauseName {
			s.wants = append(s.wants, ident.Name)
		}
	}
}

// fieldsOf returns the labels of the fields in the struct literals of an expression.
func fieldsOf(x ast.Expr) (list []string) {
	switch x := x.(type) {
	case *ast.BinaryExpr:
		return append(fieldsOf(x.X), fieldsOf(x.Y)...)
	case *ast.StructLit:
		for _, elt := range x.Elts {
			if f, ok := elt.(*ast.Field); ok {
				label, _, _ := ast.LabelName(f.Label)
				list = append(list, label)
			}
		}
	}
	return list
}

// link determines which files each file of a package is evaluated with: the files that
// define names that it uses or that add to its fields, and, in turn, the files that those
// files need.
func (r *Files) link(p *Package) {
	has := map[string][]*pkgFile{} // by label
	var wide []*pkgFile
	for _, name := range p.names {
		s := p.files[name]
		for label := range s.labels {
			has[label] = append(has[label], s)
		}
		if s.wide && !s.alone {
			wide = append(wide, s)
		}
	}
	for _, name := range p.names {
		s := p.files[name]
		found := map[*pkgFile]bool{s: true}
		queue := []*pkgFile{s}
		add := func(o *pkgFile) {
			if !found[o] {
				found[o] = true
				queue = append(queue, o)
			}
		}
		for i := 0; i < len(queue); i++ {
			o := queue[i]
			if o.err != nil {
				continue // the file's error is reported instead
			}
			for _, want := range o.wants {
				for _, other := range has[want] {
					add(other)
				}
			}
			for label := range o.labels {
				for _, other := range has[label] {
					if other.adds(o, label) {
						add(other)
					}
				}
			}
			if !o.alone {
				for _, other := range wide {
					add(other)
				}
			}
		}
		slices.SortFunc(queue, func(a, b *pkgFile) int { return a.index - b.index })
		for _, o := range queue {
			if o.err == nil {
				s.with = append(s.with, o)
			}
			s.lacks.Add(o.err)
		}
		s.faults = sync.OnceValue(func() error {
			return r.BoundedCUE(s.name, func() error {
				p, err := r.Evaluate(s.name)
				if err == nil {
					err = data.FromCUE(p.Value.Validate(), diag.Pos{File: s.first().name})
				}
				return err
			})
		})
	}
}

// evaluate reads files and evaluates them together, under the name of one of them.
func (r *Files) evaluate(name string, all ...string) (*data.Tree, error) {
	var files []*ast.File
	for _, o := range all {
		f, err := r.parse(o)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return r.reader.CUE(name, files...)
}

// parse returns the syntax of a file. The caller may change it.
func (r *Files) parse(name string) (*ast.File, error) {
	if s := r.PackageOf(name).file(name); s != nil {
		if f := s.syntax.Swap(nil); f != nil {
			return f, nil
		}
	}
	return data.ReadCUE(name, r.Watch)
}

// Names lists the files of the package, in order.
func (p *Package) Names() []string {
	if p == nil {
		return nil
	}
	return p.names
}

// Err returns the reason why a file of the package cannot be used, or nil.
func (p *Package) Err(name string) error { return p.files[name].err }

// file returns the file with the given name, or nil if it is not in the package or
// cannot be used.
func (p *Package) file(name string) *pkgFile {
	if p == nil {
		return nil
	}
	if s := p.files[filepath.Clean(name)]; s != nil && s.err == nil {
		return s
	}
	return nil
}

// IsOwn reports whether the package belongs to kvbench, which is true if any of its files
// belongs to kvbench.
func (p *Package) IsOwn() bool { return p != nil && p.own }
