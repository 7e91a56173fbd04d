package report_test

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/nixlbench"
	"kvbench/engine/report"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

func reportCSV(t *testing.T, s *schema.Schema, records, baseline []*runner.Record) [][]string {
	t.Helper()
	o := &report.Options{Format: "csv", View: s.View("report")}
	names, measures := o.Shown(s)
	kept := func(records []*runner.Record, names []runner.Name) (list []*runner.Brief) {
		briefs := runner.NewBriefs(names, measures)
		for _, rec := range records {
			rec.Hash = rec.Point
			brief, err := briefs.Of(rec)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, brief)
		}
		return list
	}
	var out bytes.Buffer
	if err := report.Compare(kept(records, names), kept(baseline, nil), o, s).Write(&out, o, s); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestReportCSV checks that every setting in a record is a column, and that the columns
// do not depend on the records or on a baseline.
func TestReportCSV(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"model_name": "the model", "architecture": "the architecture", "config_file": "a.yaml",
		"release": "1.4.0", "stage": "3", "group": "full", "kv_bytes_per_token": "73728", "status": "ok", "runs": "1", "point": "full"}
	full := &runner.Record{Point: "full", Status: runner.OK}
	full.Model.Architecture = want["architecture"]
	full.Model.Params = map[string]any{"model_name": want["model_name"]}
	file, stage := want["config_file"], 3
	full.Config.File, full.Config.Values = &file, map[string]runner.Value{}
	full.Plan = runner.Plan{Stage: &stage, Group: "full", Flags: map[string]runner.Value{},
		Quantities: map[string]runner.Quantity{"kv_bytes_per_token": {Value: 73728, Unit: "B/token"}}}
	full.Nixlbench.Release = want["release"]
	for _, f := range s.Fields {
		want[f.Var] = "field " + f.Var
		full.Config.Values[f.Var] = runner.Value{Value: want[f.Var]}
	}
	for name, f := range s.Nixlbench.Flags {
		key := name
		if name == "config_file" {
			key = "nixlbench_config_file"
		}
		want[key] = "flag " + name
		full.Plan.Flags[f.Name] = runner.Value{Value: want[key]}
	}
	row := nixlbench.Row{}
	for _, key := range strings.Fields(`block_size_bytes batch_size bandwidth_gb_per_s avg_latency_us avg_prep_us p99_prep_us
		avg_post_us p99_post_us avg_tx_us p99_tx_us aggregate_bandwidth_gb_per_s network_utilization_percent
		bandwidth_mib_per_s bandwidth_gib_per_s`) {
		row[key] = nixlbench.Number("4." + strings.Repeat("1", 1+len(want)%7))
		want[key] = string(row[key])
	}
	full.Rows = []nixlbench.Row{row}
	// With several initiators, the column contains the total, and another column contains the
	// rank's own value.
	want["rank_bandwidth_gb_per_s"] = want["bandwidth_gb_per_s"]
	want["bandwidth_gb_per_s"] = want["aggregate_bandwidth_gb_per_s"]

	rows := reportCSV(t, s, []*runner.Record{full}, nil)
	if len(rows) != 2 {
		t.Fatalf("%d rows", len(rows))
	}
	for name, value := range want {
		i := slices.Index(rows[0], name)
		if i < 0 {
			t.Errorf("there is no column %s", name)
		} else if rows[1][i] != value {
			t.Errorf("%s is %q, want %q", name, rows[1][i], value)
		}
	}
	for i, name := range rows[0] {
		if slices.Contains(rows[0][:i], name) {
			t.Errorf("there are two columns %s", name)
		}
	}

	empty := &runner.Record{Point: "empty", Status: runner.Failed}
	for _, other := range [][][]string{
		reportCSV(t, s, []*runner.Record{empty}, nil),
		reportCSV(t, s, []*runner.Record{full, empty}, []*runner.Record{full}),
	} {
		if !slices.Equal(other[0], rows[0]) {
			t.Errorf("the heading is\n%s, want\n%s", other[0], rows[0])
		}
	}
	compared := reportCSV(t, s, []*runner.Record{full}, []*runner.Record{full})
	if i := slices.Index(compared[0], "bandwidth_gb_per_s_ratio"); compared[1][i] != "1.000" || rows[1][i] != "" {
		t.Errorf("the ratio is %q and without a baseline %q, want 1.000 and none", compared[1][i], rows[1][i])
	}
}
