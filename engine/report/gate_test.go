package report_test

import (
	"slices"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/report"
	"kvbench/engine/schema"
)

// TestMetrics checks that every metric is a column, and that both its own name and its column's
// name select it.
func TestMetrics(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	columns := report.Columns(s.View("report"), s)
	names := report.MetricNames(s)
	if !slices.Contains(names, "gbps") || !slices.Contains(names, "p99") {
		t.Errorf("the metrics are %s", names)
	}
	for _, name := range names {
		m, ok := report.MetricNamed(s, name)
		if !ok || !slices.Contains(columns, m.Key) {
			t.Errorf("metric %s: %t, column %q", name, ok, m.Key)
		}
		if other, ok := report.MetricNamed(s, m.Key); !ok || other != m {
			t.Errorf("column %s selects %v", m.Key, other)
		}
		if m.Better != schema.Higher && m.Better != schema.Lower {
			t.Errorf("metric %s: %q is better", name, m.Better)
		}
	}
	if _, ok := report.MetricNamed(s, "p98"); ok {
		t.Error("there is a metric p98")
	}
}
