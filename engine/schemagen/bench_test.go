package schemagen_test

import (
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/schemagen"
	"kvbench/models"
)

// BenchmarkSchemaLoad evaluates the schema's CUE files. kvbench does so only if a file
// contains values that the types do not accept.
func BenchmarkSchemaLoad(b *testing.B) {
	for b.Loop() {
		if _, err := schemagen.Evaluate(cueschema.Files, models.Files); err != nil {
			b.Fatal(err)
		}
	}
}
