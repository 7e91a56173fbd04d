// Package cueschema embeds kvbench's data: the CUE files of this folder, which
// are the one source of truth for configuration fields, number formats and all
// of nixlbench's flags, backends and limits, and a snapshot of what they say,
// for a fast start.
package cueschema

import "embed"

//go:generate go run gen.go

// Files holds the CUE files. The package kvbench is in its root, the packages
// plan, cache, nixlbench and launch are in the folders of those names.
//
//go:embed *.cue plan/*.cue cache/*.cue nixlbench/*.cue launch/*.cue
var Files embed.FS

// Snapshot is the JSON of the whole schema, with the architectures of models/,
// made from the CUE files by go generate.
//
//go:embed snapshot.json
var Snapshot string
