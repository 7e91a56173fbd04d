// Package source tells which files are kvbench's, and evaluates CUE files with
// those of their packages.
package source

import (
	"io/fs"
	"slices"
	"strings"
	"sync"

	"kvbench/engine/data"
	"kvbench/engine/input"
	"kvbench/engine/schema"
)

// Names in files.
const (
	// ModelField is the field of a CUE file that holds a model's parameters beside
	// its architecture, and ReleasesField the one that holds releases.
	ModelField    = "model"
	ReleasesField = "releases"
	// SweepSection is the section of a configuration that holds axes, by the names
	// of flags.
	SweepSection = "sweep"
	// ArchitectureDef is the schema's definition of architectures.
	ArchitectureDef = "#Architecture"
	// ResultsExt ends the names of files of results.
	ResultsExt = ".jsonl"
)

// Files are those that users name, and what is met beside them. It is safe for
// concurrent use.
type Files struct {
	// Watch, unless nil, is told of every file that work begins on.
	Watch input.Watch
	// NoLinks has files that are read beside others be no symbolic links: those
	// of untrusted authors may point anywhere.
	NoLinks bool
	// Refuse, unless nil, says why a file that is met in a folder, or beside
	// another, is not to be read.
	Refuse func(file string) error

	schema *schema.Schema
	reader *data.Reader
	// packages holds those that were read, by their names and folders.
	packages sync.Map
}

// New returns the files that a schema is for, whose own CUE files are in own (the
// contents of cue/).
func New(s *schema.Schema, own fs.FS) *Files {
	return &Files{schema: s, reader: data.NewReader(own)}
}

// Reader returns the reader of CUE files.
func (r *Files) Reader() *data.Reader { return r.reader }

// Sections lists the sections of a configuration.
func (r *Files) Sections() []string {
	var names []string
	for i := range r.schema.Fields {
		name, _, _ := strings.Cut(r.schema.Fields[i].Path, ".")
		names = append(names, name)
	}
	return append(slices.Compact(names), SweepSection)
}

// Bounded does some work on a file: [Files.Watch] sees to it that it ends, and
// a panic becomes an error.
func (r *Files) Bounded(file string, work func() error) (err error) {
	defer r.Watch.Begin(file, input.Evaluate)()
	defer data.Catch(file, &err)
	return work()
}
