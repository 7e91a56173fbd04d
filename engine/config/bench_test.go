package config_test

import (
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/models"
)

// BenchmarkSchemaLoad evaluates the schema's CUE, which only a file needs whose
// values its types do not take.
func BenchmarkSchemaLoad(b *testing.B) {
	for b.Loop() {
		if _, err := config.Evaluate(cueschema.Files, models.Files); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConfig reads one configuration.
func BenchmarkConfig(b *testing.B) {
	_, l := loader(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Config("../../examples/block-tp1-pp16.yaml", nil, "", nil); err != nil {
			b.Fatal(err)
		}
	}
}
