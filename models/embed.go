// Package models embeds the architectures that kvbench knows, one CUE file for
// each family of models, and the parameter files of published models, each named
// as its model.
package models

import "embed"

// Files holds them all.
//
//go:embed *.cue *.yaml
var Files embed.FS
