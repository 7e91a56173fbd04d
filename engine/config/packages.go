package config

import (
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// The CUE files of a folder that name the same package are one value, as for the
// cue command. Here each is evaluated with those files of its package that can
// change what it says: a folder of a thousand architectures is not one value
// that takes too much, and the file that takes too much is known. A file that is
// named by itself is evaluated with those that it refers to.

// scope says which files of its package a file is evaluated with.
type scope bool

const (
	byFile   scope = false // those that it refers to
	byFolder scope = true  // also those that have the same fields, or any
)

// pkgFile is a CUE file before it is evaluated: what matters to the other files
// of its package.
type pkgFile struct {
	name   string
	err    error  // why it cannot be used
	text   string // of one that cannot
	labels []string
	wants  []string // names that it does not define itself
	wide   bool     // it may say something of any field
	own    bool     // its text shows that it is kvbench's

	groups [2]struct { // by scope
		once sync.Once
		key  uint64
	}
}

// pkg holds the files of a package, by their names.
type pkg struct {
	names   []string
	sources []*pkgFile            // in order
	files   map[string]*pkgFile   // by name
	says    map[string][]*pkgFile // by label
	wide    []*pkgFile
	own     bool // the text of one shows that all are kvbench's
}

// cueFile is what a CUE file says of the value of its package.
type cueFile struct {
	cue.Value
	file   string
	in     scope
	pkg    *pkg
	beside []*pkgFile // the other files that it was evaluated with
	self   *pkgFile   // nil if all of the value is its own
}

// says reports whether a field is the file's own. Of the files of a folder that
// have a part of it, the first is the one that is asked for the whole.
func (p *cueFile) says(label string) bool {
	if p.self == nil {
		return true
	}
	own, others := slices.Contains(p.self.labels, label), false
	for _, o := range p.beside {
		if slices.Contains(o.labels, label) {
			others = true
			own = own && (p.in == byFile || p.self.name < o.name)
		}
	}
	return own || p.self.wide && !others
}

// isFirst reports whether a file comes first among those that can change each
// other: what is wrong with their value is said once.
func (p *cueFile) isFirst() bool {
	return !slices.ContainsFunc(p.beside, func(o *pkgFile) bool {
		return o.name < p.self.name && p.pkg.group(o, p.in) == p.pkg.group(p.self, p.in)
	})
}

// fields calls do for each regular field of the file.
func (p *cueFile) fields(do func(name string, v cue.Value)) error {
	iter, err := p.Fields()
	if err != nil {
		return data.FromCUE(err, diag.Pos{File: p.file})
	}
	for iter.Next() {
		if name := iter.Selector().Unquoted(); p.says(name) {
			do(name, iter.Value())
		}
	}
	return nil
}

// document gives the leaves of the file's own fields.
func (p *cueFile) document() (*data.Document, error) {
	if p.self == nil {
		return data.DocumentOf(p.file, p.Value)
	}
	return data.PartOf(p.file, p.Value, p.says)
}

// cueFile evaluates a CUE file, all of it: what takes too much does so here, under
// watch, and not in a later command that reads another part of the file.
func (l *Loader) cueFile(name string, in scope) (*cueFile, error) {
	f, err := data.ReadCUE(name, l.Watch)
	if err != nil {
		return nil, err
	}
	p := &cueFile{file: name, in: in, pkg: l.packageOf(name)}
	self, beside := p.pkg.around(name, in)
	if len(beside) == 0 {
		p.Value, err = l.build(p, f)
		return p, err
	}
	p.self, p.beside = self, beside
	if err := l.needed(p.pkg, name, in); err != nil {
		return nil, err
	}
	key := []string{name}
	for _, o := range beside {
		key = append(key, o.name)
	}
	slices.Sort(key)
	build, _ := l.built.LoadOrStore(strings.Join(key, "\x00"), sync.OnceValues(func() (cue.Value, error) {
		files := []*ast.File{f}
		for _, o := range beside {
			f, err := data.ReadCUE(o.name, l.Watch)
			if err != nil {
				return cue.Value{}, err
			}
			files = append(files, f)
		}
		return l.build(p, files...)
	}))
	p.Value, err = build.(func() (cue.Value, error))()
	return p, err
}

// build evaluates files as one. Of a value that is wrong, nothing is said where
// a file that seems to have what it lacks cannot be used.
func (l *Loader) build(p *cueFile, files ...*ast.File) (cue.Value, error) {
	v, err := l.reader.CUE(p.file, files...)
	if err != nil || v.Err() != nil {
		if broken := p.pkg.broken(p.file); broken != nil {
			err = broken
		}
	}
	return v, err
}

// needed reports what is wrong with the files that a file needs, and that do not
// need it. Nothing else is said of a file whose needs are wrong.
func (l *Loader) needed(p *pkg, name string, in scope) error {
	var errs diag.List
	self, beside := p.around(name, in)
	for _, o := range beside {
		if p.group(o, in) == p.group(self, in) {
			continue
		}
		b, err := l.beside(o.name, in)
		errs.Add(err)
		if err == nil {
			errs.Add(data.FromCUE(b.Validate(), diag.Pos{File: o.name}))
		}
	}
	return distinct(errs).Err()
}

// brought is what a CUE file brings along.
type brought struct {
	*cueFile
	archs    []candidate
	families []*schema.Family
}

// evaluation is the key of an evaluated file.
type evaluation struct {
	name string
	in   scope
}

// brings gives what a CUE file brings along. It is evaluated once.
func (l *Loader) brings(name string, in scope) (*brought, error) {
	find, _ := l.evaluated.LoadOrStore(evaluation{name, in}, sync.OnceValues(func() (*brought, error) {
		p, err := l.cueFile(name, in)
		if err != nil {
			return nil, err
		}
		b := &brought{cueFile: p}
		var errs diag.List
		b.archs, err = l.architecturesIn(p)
		errs.Add(err)
		b.families, err = l.familiesIn(p)
		errs.Add(err)
		return b, errs.Err()
	}))
	return find.(func() (*brought, error))()
}

// beside gives what a file beside another brings along.
func (l *Loader) beside(name string, in scope) (b *brought, err error) {
	err = l.bounded(name, in, func() error {
		b, err = l.brings(name, in)
		return err
	})
	return b, err
}

// others gives what the other files of a model's package bring along: it may be
// of any of their architectures.
func (l *Loader) others(name string) (*brought, error) {
	all := &brought{}
	p := l.packageOf(name)
	if p == nil {
		return all, nil
	}
	var errs diag.List
	for _, s := range p.sources {
		if sameFile(s.name, name) {
			continue
		}
		if s.err != nil {
			errs.Add(s.err)
			continue
		}
		b, err := l.beside(s.name, byFolder)
		errs.Add(err)
		if err == nil {
			all.archs = append(all.archs, b.archs...)
			all.families = append(all.families, b.families...)
		}
	}
	return all, distinct(errs).Err()
}

// prepare evaluates what a file needs of other files, so that they are not
// watched as a part of it.
func (l *Loader) prepare(name string, in scope) {
	if data.IsCUE(name) {
		l.needed(l.packageOf(name), name, in)
	}
}

// bounded is [Loader.Bounded] for a file that may be CUE.
func (l *Loader) bounded(name string, in scope, work func() error) error {
	l.prepare(name, in)
	return l.Bounded(name, work)
}

// packageOf gives the package that a file is of; nil if it names none.
func (l *Loader) packageOf(name string) *pkg {
	text, ok := l.peek(name)
	if !ok {
		return nil
	}
	clause := packageName(name, text)
	if clause == "" {
		return nil
	}
	find, _ := l.packages.LoadOrStore(clause+"\x00"+filepath.Dir(name), sync.OnceValue(func() *pkg { return l.findPackage(filepath.Dir(name), clause) }))
	return find.(func() *pkg)()
}

// packageName gives the name of the package that a CUE text says it is of, or "".
func packageName(name string, text []byte) string {
	f, err := parser.ParseFile(name, text, parser.PackageClauseOnly)
	if err != nil || f.PackageName() == "_" {
		return ""
	}
	return f.PackageName()
}

// findPackage reads the files of a package: those of the folder and, in a CUE
// module, of the folders around it.
func (l *Loader) findPackage(dir, clause string) *pkg {
	p := &pkg{files: map[string]*pkgFile{}, says: map[string][]*pkgFile{}}
	for _, dir := range packageFolders(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			if !data.IsCUE(name) || isLeftOut(e.Name()) || l.isSchemaFile(name) {
				continue
			}
			var s *pkgFile
			err := l.Bounded(name, func() error {
				s = l.pkgFile(name, clause)
				return nil
			})
			if err != nil {
				s = &pkgFile{name: name, err: err}
			}
			if s != nil {
				p.sources = append(p.sources, s)
			}
		}
	}
	for _, s := range p.sources {
		p.names = append(p.names, s.name)
		p.files[filepath.Clean(s.name)] = s
		p.own = p.own || s.own
		if s.wide {
			p.wide = append(p.wide, s)
		}
		for _, label := range s.labels {
			p.says[label] = append(p.says[label], s)
		}
	}
	return p
}

// isLeftOut reports whether the cue command leaves a file out of its package.
func isLeftOut(base string) bool {
	return strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || strings.HasSuffix(base, "_tool.cue") || strings.HasSuffix(base, "_test.cue")
}

// packageFolders gives the folders that have files of a folder's packages: in a
// CUE module also those around it.
func packageFolders(dir string) []string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return []string{dir}
	}
	list := []string{dir}
	for {
		if info, err := os.Stat(filepath.Join(abs, "cue.mod")); err == nil && info.IsDir() {
			return list
		}
		parent := filepath.Dir(abs)
		if parent == abs {
			return list[:1] // it is in no module
		}
		if abs = parent; dir == "." || filepath.Base(dir) == ".." {
			dir = filepath.Join(dir, "..")
		} else {
			dir = filepath.Dir(dir)
		}
		list = append(list, dir)
	}
}

// pkgFile reads a file, if it is of a package.
func (l *Loader) pkgFile(name, clause string) *pkgFile {
	s := &pkgFile{name: name}
	if s.err = l.mayRead(name); s.err != nil {
		if l.Refuse != nil && l.Refuse(name) != nil {
			text, _ := l.peek(name) // it is read, but not evaluated again
			s.text = string(text)
		}
		return s
	}
	text, err := data.Read(name, l.Watch)
	if err != nil {
		s.err = err
		return s
	}
	if packageName(name, text) != clause {
		return nil
	}
	s.own = l.ownText(name, text)
	f, err := data.ParseCUE(name, text)
	if err != nil {
		s.err, s.text = err, string(text)
		return s
	}
	var clauseName *ast.Ident
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.Package:
			clauseName = decl.Name
		case *ast.Field:
			if label, _, err := ast.LabelName(decl.Label); err == nil {
				s.labels = append(s.labels, label)
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
	return s
}

// around gives a file, and the others of its package that it is evaluated with:
// those that have names that it wants and, in a folder, those that have the same
// names or may say something of any; and what these want in turn.
func (p *pkg) around(name string, in scope) (self *pkgFile, beside []*pkgFile) {
	if p == nil {
		return nil, nil
	}
	if self = p.files[filepath.Clean(name)]; self == nil || self.err != nil {
		return nil, nil
	}
	found := map[*pkgFile]bool{self: true}
	queue := []*pkgFile{self}
	add := func(s *pkgFile) {
		if !found[s] {
			found[s] = true
			queue = append(queue, s)
		}
	}
	addAll := func(names []string) {
		for _, n := range names {
			for _, s := range p.says[n] {
				add(s)
			}
		}
	}
	if in == byFolder {
		for _, s := range p.wide {
			add(s)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		addAll(queue[0].wants)
		if in == byFolder {
			addAll(queue[0].labels)
		}
	}
	for _, s := range p.sources {
		if found[s] && s != self {
			beside = append(beside, s)
		}
	}
	return self, beside
}

// group tells the files that can change each other from others: they have the
// same files around them.
func (p *pkg) group(s *pkgFile, in scope) uint64 {
	g := &s.groups[0]
	if in == byFolder {
		g = &s.groups[1]
	}
	g.once.Do(func() {
		_, beside := p.around(s.name, in)
		names := []string{s.name}
		for _, o := range beside {
			names = append(names, o.name)
		}
		slices.Sort(names)
		h := fnv.New64a()
		for _, n := range names {
			io.WriteString(h, n+"\x00")
		}
		g.key = h.Sum64()
	})
	return g.key
}

// isOwn reports whether one of the files is kvbench's: then all of them are.
func (p *pkg) isOwn() bool {
	return p != nil && p.own
}

// broken reports the files of a package that cannot be used, but that seem to have
// a field that a file wants.
func (p *pkg) broken(name string) error {
	if p == nil || p.files[filepath.Clean(name)] == nil {
		return nil
	}
	var errs diag.List
	for _, s := range p.sources {
		if s.err != nil && slices.ContainsFunc(p.files[filepath.Clean(name)].wants, s.seemsToHave) {
			errs.Add(s.err)
		}
	}
	return errs.Err()
}

// seemsToHave reports whether a line of a file that cannot be used begins with a
// name.
func (s *pkgFile) seemsToHave(name string) bool {
	for line := range strings.Lines(s.text) {
		if rest, ok := strings.CutPrefix(line, name); ok && strings.HasPrefix(strings.TrimLeft(rest, " \t?!"), ":") {
			return true
		}
	}
	return false
}

// distinct drops what is said twice.
func distinct(list diag.List) diag.List {
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(d *diag.Diag) bool {
		key := strings.Join(append([]string{d.Error()}, d.Hints...), "\n")
		was := seen[key]
		seen[key] = true
		return was
	})
}
