package schemagen_test

import (
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/schemagen"
	"kvbench/models"
)

// BenchmarkSchemaLoad evaluates the schema's CUE, which only a file needs whose
// values its types do not take.
func BenchmarkSchemaLoad(b *testing.B) {
	for b.Loop() {
		if _, err := schemagen.Evaluate(cueschema.Files, models.Files); err != nil {
			b.Fatal(err)
		}
	}
}
