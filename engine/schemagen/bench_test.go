package schemagen_test

import (
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/schemagen"
	"kvbench/models"
)

// BenchmarkSchemaLoad evaluates the schema's CUE, which is only necessary for a file
// whose values the types do not accept.
func BenchmarkSchemaLoad(b *testing.B) {
	for b.Loop() {
		if _, err := schemagen.Evaluate(cueschema.Files, models.Files); err != nil {
			b.Fatal(err)
		}
	}
}
