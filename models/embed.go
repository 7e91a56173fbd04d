// Package models embeds the CUE files that define architectures and families of models,
// and the parameter files of published models. Each parameter file is named after its
// model.
package models

import "embed"

// Files contains the CUE files and the parameter files.
//
//go:embed *.cue *.yaml
var Files embed.FS
