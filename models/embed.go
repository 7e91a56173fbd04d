// Package models embeds the architectures that kvbench knows, one CUE file per family
// of models, and the parameter files of published models, each named after its model.
package models

import "embed"

// Files contains the CUE files and the parameter files.
//
//go:embed *.cue *.yaml
var Files embed.FS
