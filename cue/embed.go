// Package cueschema embeds kvbench's data: the CUE files in this folder and a snapshot of
// their contents, which is faster to load. The CUE files are the only source of
// configuration fields, number formats, and nixlbench's flags, backends and limits.
package cueschema

import "embed"

//go:generate go run gen.go

// Files contains the CUE files. Package kvbench is at the root; packages plan, cache,
// logs, nixlbench and launch are in folders with those names.
//
//go:embed *.cue plan/*.cue cache/*.cue logs/*.cue nixlbench/*.cue launch/*.cue
var Files embed.FS

// Snapshot is the whole schema, together with the architectures, families and model names
// in models/, as JSON. go generate creates it from the CUE files.
//
//go:embed snapshot.json
var Snapshot string
