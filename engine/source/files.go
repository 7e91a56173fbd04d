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

// Names in files.
const (
	// ModelField is the field of a CUE file that contains a model's parameters
	// next to its architecture; ReleasesField is the one that contains releases.
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

// Files are the files named by users, and the files found next to them. It is
// safe for concurrent use.
type Files struct {
	// Watch, unless nil, is notified of every file on which work begins.
	Watch input.Watch
	// NoLinks rejects symbolic links among files that are read in addition to
	// the named ones: in untrusted folders, they may point anywhere.
	NoLinks bool
	// Refuse, unless nil, explains why a file found in a folder, or next to
	// another one, must not be read.
	Refuse func(file string) error

	schema *schema.Schema
	reader *data.Reader
	// packages contains the packages that have been read, by name and folder.
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

// Bounded does some work on a file: [Files.Watch] makes sure that it ends, and
// a panic becomes an error.
func (r *Files) Bounded(file string, work func() error) (err error) {
	defer r.Watch.Begin(file, input.Evaluate)()
	defer data.Catch(file, &err)
	return work()
}
