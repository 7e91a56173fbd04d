package config_test

import "testing"

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
