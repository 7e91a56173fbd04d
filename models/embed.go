// Package models embeds the architectures that kvbench knows: one CUE file
// for each family of models.
package models

import "embed"

// Files holds the architecture files.
//
//go:embed *.cue
var Files embed.FS
