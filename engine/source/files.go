// Package source determines which files belong to kvbench, and evaluates CUE
// files together with the other files of their packages.
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

// The names that identify kinds of files and parts of files.
const (
	// ModelField is the field for a model's parameters in a CUE file that may also define the
	// model's architecture. ReleasesField is the field that contains releases.
	ModelField    = "model"
	ReleasesField = "releases"
	// SweepSection is the section of a configuration that contains axes, keyed
	// by the names of flags.
	SweepSection = "sweep"
	// ArchitectureDef is the schema's definition of architectures.
	ArchitectureDef = "#Architecture"
	// ResultsExt is the extension of results files.
	ResultsExt = ".jsonl"
)

// Files reads the files named by users, and the files found next to them. It is safe
// for concurrent use.
type Files struct {
	// Watch, unless nil, is notified when work on a file begins.
	Watch input.Watch
	// NoLinks rejects symbolic links among the files that are read in addition to the named
	// files, because a link in an untrusted folder may point anywhere.
	NoLinks bool
	// Refuse, unless nil, returns an error if a file that was found in a folder, or
	// next to another file, must not be read.
	Refuse func(file string) error

	schema *schema.Schema
	reader *data.Reader
	// packages contains the packages that have been read, keyed by name and folder.
	packages sync.Map
	// clauses contains, for each CUE file, a function that returns the file's package.
	clauses sync.Map
	recent  recent
}

// New returns a reader for files that follow the schema s. own contains the schema's CUE files
// (the contents of cue/).
func New(s *schema.Schema, own fs.FS) *Files {
	return &Files{schema: s, reader: data.NewReader(own)}
}

// Reader returns the reader for CUE files.
func (r *Files) Reader() *data.Reader { return r.reader }

// Sections returns the names of a configuration's sections.
func (r *Files) Sections() []string {
	var names []string
	for i := range r.schema.Fields {
		name, _, _ := strings.Cut(r.schema.Fields[i].Path, ".")
		names = append(names, name)
	}
	return append(slices.Compact(names), SweepSection, schema.LaunchSection)
}

// Bounded calls the function work, which processes the given file. Bounded notifies
// [Files.Watch], which can enforce limits, and converts a panic to an error.
func (r *Files) Bounded(file string, work func() error) (err error) {
	defer r.Watch.Begin(file, input.Evaluate)()
	defer data.Catch(file, &err)
	return work()
}
