package model

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/huggingface"
	"kvbench/engine/input"
	"kvbench/engine/schema"
	"kvbench/engine/source"
)

// Kind specifies what kvbench uses a file for.
type Kind string

// The kinds of files.
const (
	KindArchitecture Kind = "architecture"
	KindModel        Kind = "model"
	KindConfig       Kind = "configuration"
	KindFamilies     Kind = "families of Hugging Face configurations"
	KindCheckpoint   Kind = "Hugging Face configuration"
	KindReleases     Kind = "releases"
	KindResults      Kind = "results"
	KindShared       Kind = "definitions of a package"
	KindUnknown      Kind = "not a file kvbench can read"
)

// File is a file that [Loader.Open] has read.
type File struct {
	Name string
	Kind Kind
	// Archs are the architectures that the file defines.
	Archs []*schema.Architecture
	// Families are the families that the file defines.
	Families []*schema.Family
	// Model is the model that the file describes. It is set after the file has been checked
	// without errors.
	Model *Model
	// Package lists the files in the file's CUE package.
	Package []string
	// Foreign explains why a file that was found in a folder does not belong to kvbench. It is
	// "" if the file belongs to kvbench or was named by the user.
	Foreign string

	doc  *data.Document
	root *data.Value // for a Hugging Face configuration
	own  []candidate
	// If the file describes a model, other contains the architectures in the other files of
	// the file's package, and lacks contains the errors in those files.
	other []candidate
	lacks error
}

// Open reads a file and determines its kind from its keys. It does not parse results files. If
// met is set, the file was found in a folder rather than named by the user. Such a file may
// belong to another program. In that case, problems in the file are not errors, and Open does
// not evaluate its CUE.
func (l *Loader) Open(name string, met bool) (*File, error) {
	f := &File{Name: name, Kind: KindUnknown}
	err := l.Bounded(name, func() error { return l.open(f, met) })
	if err != nil || !data.IsCUE(name) || f.Foreign != "" {
		return f, err
	}
	f.Package = l.PackageOf(name).Names()
	return f, l.BoundedCUE(name, func() error { return l.openCUE(f) })
}

// Seek looks for the architecture of a CUE model in the other files of its package, if the
// architecture is neither in the file itself nor known. The caller must call Seek before
// [Loader.Check], so that work on the other files does not count toward the limits for this
// file.
func (l *Loader) Seek(f *File, known *Known) {
	if data.IsCUE(f.Name) && f.doc != nil && f.Kind != KindConfig && !isFound(f.doc, f.own, known) {
		f.other, _, f.lacks = l.others(f.Name)
	}
}

func (l *Loader) open(f *File, met bool) error {
	if err := input.Regular(f.Name); err != nil { // opening a foreign file, such as a pipe, must not block
		return f.judge(met, err)
	}
	// If a file cannot or must not be parsed, its text determines whether it belongs to
	// kvbench.
	isForeign := func() bool { return l.IsForeign(f.Name) }
	if data.IsCUE(f.Name) && l.IsSchemaFile(f.Name) {
		return f.judge(met, diag.Errorf(diag.Pos{File: f.Name}, "is part of kvbench's schema: check it with 'cue vet'"))
	}
	switch results := strings.HasSuffix(f.Name, source.ResultsExt); {
	case (results || data.IsCUE(f.Name)) && met && isForeign():
		return f.judge(true, errUnknown)
	case results:
		f.Kind = KindResults
		return nil
	case data.IsCUE(f.Name):
		f.Kind = ""
		return nil // openCUE continues
	}
	text, err := data.Read(f.Name, l.Watch)
	if err != nil {
		return f.judge(met && isForeign(), err)
	}
	root, err := data.Parse(f.Name, text, huggingface.Is)
	if err != nil {
		return f.judge(met && isForeign(), err)
	}
	if met && !l.IsOwn(f.Name, root) {
		return f.judge(met, errUnknown)
	}
	if data.IsJSON(f.Name) && huggingface.Is(root) {
		f.Kind, f.root = KindCheckpoint, root
		return nil
	}
	if f.doc, err = data.Flat(f.Name, root); err == nil {
		f.Kind = l.kindOf(f.doc)
	}
	return err
}

// errUnknown is the reason why most files are skipped.
var errUnknown = errors.New(string(KindUnknown))

// judge turns an error in a file into the reason to skip the file, if the file does not
// belong to kvbench.
func (f *File) judge(foreign bool, err error) error {
	if !foreign {
		f.Kind = ""
		return err
	}
	if f.Foreign = err.Error(); err != errUnknown {
		f.Foreign = diag.All(err)[0].Text()
	}
	return nil
}

func (l *Loader) openCUE(f *File) error {
	b, err := l.broughtBy(f.Name)
	if b == nil {
		return err
	}
	f.own, f.Families = b.archs, b.families
	p, err2 := l.Evaluate(f.Name)
	if err2 != nil {
		return err2
	}
	c, err2 := l.contract()
	if err2 != nil {
		return err2
	}
	model, fields := false, false
	err2 = p.Each(func(field *data.Tree) {
		model, fields = model || field.Name == source.ModelField, true
		switch {
		case c.isArchitecture(field):
			f.Kind = KindArchitecture
		case isFamily(field) && f.Kind == "":
			f.Kind = KindFamilies
		case field.Name == source.ReleasesField && f.Kind == "":
			f.Kind = KindReleases
		}
	})
	for _, c := range f.own {
		f.Archs = append(f.Archs, c.Arch.Get())
	}
	switch {
	case err != nil || err2 != nil:
		return cmp.Or(err2, err)
	case f.Kind == KindReleases || f.Kind == KindFamilies && !model:
		return nil
	case model:
		f.doc, err = data.DocumentOf(f.Name, p.Field(source.ModelField))
		if f.Kind == "" {
			f.Kind = KindModel
		}
		return err
	case f.Kind == KindArchitecture:
		return nil
	}
	if first, ok := p.Shared(); ok && !fields {
		f.Kind = KindShared
		return data.FromCUE(p.Value.Validate(), diag.Pos{File: first})
	}
	if f.doc, err = p.Document(); err == nil {
		f.Kind = l.kindOf(f.doc)
	}
	return err
}

// kindOf distinguishes a model from a configuration by its keys, even if they
// are slightly misspelled.
func (l *Loader) kindOf(doc *data.Document) Kind {
	sections := l.Sections()
	near := KindUnknown
	fields := 0
	for _, leaf := range doc.Leaves {
		top, _, _ := strings.Cut(leaf.Path, ".")
		switch {
		case top == schema.NameParam, top == schema.ArchField:
			return KindModel
		case slices.Contains(sections, top):
			return KindConfig
		case slices.ContainsFunc(l.schema.Fields, func(f schema.Field) bool { return leaf.Path == f.Flag || strings.HasSuffix(f.Path, "."+leaf.Path) }):
			fields++
		case diag.Nearest(top, sections) != "":
			near = KindConfig
		case diag.Nearest(top, []string{schema.NameParam}) != "":
			near = KindModel
		}
	}
	if fields > 0 && fields == len(doc.Leaves) { // a configuration without its sections
		return KindConfig
	}
	return near
}

// Known contains the architectures and families available to a model.
type Known struct {
	list     []candidate
	bundled  *schema.Later[[]*schema.ListedFamily]
	families []*schema.ListedFamily // from users' files
}

// Known returns the bundled architectures and families together with those in folders and
// files. Architectures in files take precedence over others with the same name, because the
// folders may contain the same files.
func (l *Loader) Known(dirs []string, files []*File) (*Known, error) {
	k := &Known{}
	for _, f := range files {
		k.list = union(k.list, f.own)
	}
	others, err := l.known(dirs)
	var errs diag.List
	errs.Add(err)
	for _, c := range others.list {
		if !slices.ContainsFunc(k.list, func(o candidate) bool { return o.Name == c.Name }) {
			k.list = append(k.list, c)
		}
	}
	k.bundled, k.families = others.bundled, others.families
	for _, f := range files {
		families := slices.DeleteFunc(slices.Clone(f.Families), func(fam *schema.Family) bool { return k.isBundled(fam) })
		errs.Add(k.addFamilies(families))
	}
	return k, errs.Err()
}

// isBundled reports whether a family is bundled with kvbench, even if it was read from a copy
// of its source file in some folder.
func (k *Known) isBundled(f *schema.Family) bool {
	path, err := filepath.Abs(f.File)
	return err == nil && slices.ContainsFunc(k.bundled.Get(), func(own *schema.ListedFamily) bool {
		return own.Name == f.Name && strings.HasSuffix(filepath.ToSlash(path), "/"+own.File)
	})
}

func sameFile(a, b string) bool { return filepath.Clean(a) == filepath.Clean(b) }

// Check checks the content of the file.
func (l *Loader) Check(f *File, known *Known) error {
	var errs diag.List
	for _, fam := range f.Families {
		errs.Add(checkFamily(fam, known))
	}
	errs.Add(l.check(f, known))
	return errs.Err()
}

func (l *Loader) check(f *File, known *Known) error {
	var err error
	switch {
	case f.Kind == KindCheckpoint:
		var m *Model
		if m, err = l.checkpointModel(f.Name, f.root, known); err == nil {
			f.Model = m
			errs := slices.Clone(m.Notes)
			for _, name := range schema.Keys(m.Doubts) {
				errs = append(errs, m.Doubts[name]...)
			}
			err = errs.Err()
		}
	case f.Kind == KindConfig:
		err = l.Loader.Check(f.Name, f.doc)
	case f.Kind == KindReleases:
		var p *source.CUE
		if p, err = l.Evaluate(f.Name); err == nil {
			_, err = l.ReleasesIn(f.Name, p.Value)
		}
	case f.Kind == KindResults:
		err = l.Results(f.Name)
	case f.Kind == KindUnknown:
		d := diag.Errorf(diag.Pos{File: f.Name}, "not a file kvbench can read").
			WithHint("a model has the key %s; a configuration has one of %s; an architecture has %s", schema.NameParam, strings.Join(l.Sections(), ", "), fieldMatch)
		err = d.HintUnlessEmpty(huggingface.Hint(f.Name))
	case f.doc != nil:
		var m *Model
		if m, err = l.model(f.Name, f.doc, union(slices.Clone(f.own), f.other), known); err == nil {
			f.Model = m
		} else if f.lacks != nil {
			err = f.lacks // the files with errors may define the missing architecture
		}
	}
	return err
}

// CheckValues checks the parameters and configuration values in check i of an architecture,
// in the same way as values in files.
func (l *Loader) CheckValues(f *File, arch *schema.Architecture, i int) error {
	at := slices.IndexFunc(f.own, func(c candidate) bool { return c.Arch.Get() == arch })
	p, err := l.Evaluate(f.Name)
	if err != nil {
		return err
	}
	check := p.Field(arch.Name).Field(fieldChecks).Item(i)
	params, err := data.DocumentOf(f.Name, check.Field("params"))
	if err != nil {
		return err
	}
	// The caller reports unknown names.
	schema.DropUnknown(params, paramNames(arch), nil, "")
	params.Meant = append(params.Meant, schema.NameParam) // the model's name does not change any result
	var errs diag.List
	errs.Add(f.own[at].check(params, arch.Checks.Get()[i].At["params:"]))
	// In checks, configuration fields are keyed by their names in formulas.
	cfg := &data.Document{File: f.Name}
	if values := check.Field("config"); values != nil {
		if cfg, err = data.DocumentOf(f.Name, values); err != nil {
			return err
		}
	}
	errs.Add(l.CheckNamed(cfg))
	for _, d := range errs {
		if d.Pos.Line == 0 {
			d.Pos = arch.Checks.Get()[i].At[""]
		}
	}
	return errs.Err()
}
