package config_test

import (
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/models"
)

// BenchmarkSchemaLoad evaluates the schema's CUE, which only a file needs that
// is not plainly good.
func BenchmarkSchemaLoad(b *testing.B) {
	for b.Loop() {
		if _, err := config.Evaluate(cueschema.Files, models.Files); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConfig reads one configuration: plainly good, and judged by CUE.
func BenchmarkConfig(b *testing.B) {
	_, l := loader(b)
	for _, bb := range []struct {
		name      string
		overrides []config.Override
	}{
		{"plain", nil},
		{"judged", []config.Override{{Path: "strategy.pp_stage", Text: "all", Origin: config.Origin{Kind: config.FromFlag, Name: "pp_stage"}}}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Config("../../examples/block-tp1-pp16.yaml", nil, "", bb.overrides); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
