package sweep_test

import (
	"bytes"

	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/engine/sweep"
	"kvbench/engine/transfer"
	"kvbench/models"
)

// someValues contains values for the fields that do not have a list of words.
var someValues = map[string]string{
	"tp_size": "1 2 4 8 16", "pp_size": "1 2 3 4", "pp_stage": "largest all 0 1", "dp_size": "0 1 2 4", "cp_size": "1 2 4",
	"isl": "1 17 1000 4096 32k 200000", "osl": "0 1 5 1000 9000", "num_requests": "1 3 64", "max_num_batched_tokens": "0 2048 8192",
	"concurrent_batches": "0 1 3", "hardware": "h100 x", "page_size": "1 8 16 32 64 128 256", "kv_memory": "0 8GiB 64GiB 300GB",
	"bandwidth": "0 100Gbit/s 50GB/s", "decode_tp_size": "1 2 4 8", "decode_pp_size": "1 2 4", "decode_dp_size": "0 2",
	"decode_cp_size": "1 2", "decode_page_size": "16 32 64", "descriptor_cost": "800ns 2.4us 0", "transfer_start": "0 3ms",
	"contiguous_pages": "1 3 16 all", "ttft": "0 100ms", "transfer_target": "0 1ms 50ms", "prefill_time": "0 30ms 2s",
}

// randomizer creates random sweeps.
type randomizer struct {
	*rand.Rand
	schema   *schema.Schema
	loader   *model.Loader
	entries  []model.Entry
	planners *plan.Planners
	details  string // the names of all quantities
	dir      string // for a configuration file
}

// fieldValues contains the values of configuration fields, keyed by the names of the fields
// in formulas.
type fieldValues map[string][]string

// randomSweep is a random sweep.
type randomSweep struct {
	*randomizer
	t         testing.TB
	models    []*model.Model
	values    fieldValues
	transfers bool              // whether each row is a transfer, as in kvbench transfer
	flags     map[string]string // nixlbench's flags
	fit       bool
	options   sweep.Options
	wrong     string // a column that differs
}

// TestRandomSweeps compares all columns of random sweeps with plans and transfers that are
// made separately for each point. With KVBENCH_FULL, every run tries other sweeps, unless
// KVBENCH_SEED is set.
func TestRandomSweeps(t *testing.T) {
	s := load(t)
	r := &randomizer{schema: s, loader: model.NewLoader(s, cueschema.Files, models.Files), planners: plan.NewPlanners(s, s.Nixlbench.Default, ""), dir: t.TempDir()}
	var err error
	if r.entries, err = r.loader.Entries(nil); err != nil {
		t.Fatal(err)
	}
	for _, q := range s.Quantities {
		r.details += q.Name + ","
	}
	seed, most, end := uint64(1), 40, time.Now().Add(time.Hour)
	if os.Getenv("KVBENCH_FULL") != "" {
		seed, most, end = rand.Uint64N(1e9), 1e9, time.Now().Add(35*time.Second)
	}
	if text := os.Getenv("KVBENCH_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	rows, n := 0, 0
	for ; n < most && time.Now().Before(end) && !t.Failed(); n++ {
		r.Rand = rand.New(rand.NewPCG(seed, 0))
		one := r.sweep(t)
		if rows += one.check(); t.Failed() {
			t.Logf("KVBENCH_SEED=%d: %s", seed, one)
		}
		seed++
	}
	t.Logf("%d rows of %d sweeps", rows, n)
}

// pick returns n random items, or all of them if there are fewer.
func pick[T any](r *randomizer, n int, items []T) []T {
	items = slices.Clone(items)
	r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	return items[:min(n, len(items))]
}

// oneIn reports true once in n times.
func (r *randomizer) oneIn(n int) bool { return r.IntN(n) == 0 }

// sweep returns a random sweep.
func (r *randomizer) sweep(t testing.TB) *randomSweep {
	one := &randomSweep{randomizer: r, t: t, values: fieldValues{}, transfers: r.oneIn(3)}
	for _, e := range pick(r, 1+r.IntN(5)/4, r.entries) {
		m, err := r.loader.Model(e.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		one.models = append(one.models, m)
	}
	decodes := one.transfers || r.oneIn(3)
	accountings := []string{schema.AccountingRank}
	if !decodes && !slices.ContainsFunc(one.models, func(m *model.Model) bool { return m.Arch.Tables["access_patterns"] == nil }) {
		accountings = pick(r, 1+r.IntN(2), []string{schema.AccountingRank, schema.AccountingModel})
	}
	one.values[schema.AccountingVar] = accountings
	ranks := !slices.Contains(accountings, schema.AccountingModel)

	if !one.transfers && r.oneIn(3) {
		one.fit = r.oneIn(2)
		one.flags = map[string]string{"backend": pick(r, 1, []string{"GDS", "POSIX", "UCX"})[0]}
	}
	one.values["engine"] = pick(r, 1+r.IntN(4)/3, r.schema.KnownOf("engine"))

	axes, n := 1+r.IntN(4), 2+r.IntN(12)
	if r.oneIn(8) {
		n = len(r.schema.Fields)
	}
	for _, f := range pick(r, n, r.fields(decodes, ranks)) {
		several := axes > 0 && f.Flag != ""
		for range 3 {
			if one.set(f, several, ranks) {
				if several {
					axes--
				}
				break
			}
		}
	}
	return one
}

// fields returns the fields that a sweep can set, in addition to the accounting and the
// engine.
func (r *randomizer) fields(decodes, ranks bool) []*schema.Field {
	var list []*schema.Field
	for i := range r.schema.Fields {
		f := &r.schema.Fields[i]
		if (decodes || !f.Transfer) && (ranks || f.Needs == "") && f.Var != schema.AccountingVar && f.Var != "engine" {
			list = append(list, f)
		}
	}
	return list
}

// set sets a field to one or several random values. It reports whether the sweep's first
// point still has a plan; if not, it usually does not set the field.
func (one *randomSweep) set(f *schema.Field, several, ranks bool) bool {
	old := maps.Clone(one.values)
	values := strings.Fields(someValues[f.Var])
	switch {
	case one.transfers && (f.Var == "source" || f.Var == "destination"):
		return false // a single transfer ignores them, but a row needs a command
	case f.Var == schema.EngineReleaseVar:
		values = []string{"auto"}
		if engines := one.values["engine"]; len(engines) == 1 {
			values = append(values, one.schema.Cache.Get().Releases[engines[0]]...)
		}
	case f.Comma:
		values = one.splits(f)
	case f.Type.Kinds == schema.KindBool:
		values = []string{"true", "false"}
	case f.Table != "" && !ranks:
		values = f.Keys
	case len(values) == 0:
		values = slices.Compact(slices.Sorted(slices.Values(f.Known())))
	}
	if len(values) == 0 {
		one.t.Fatalf("%s needs an entry in someValues", f.Var)
	}
	n := 1
	if several {
		n = 2 + one.IntN(2)
	}
	one.values[f.Var] = pick(one.randomizer, n, values)
	it := one.items(one.models[0], one.points()[0])[0]
	if _, err := it.Planner.Plans(it.Request); err != nil && !one.oneIn(50) {
		one.values = old
		return false
	}
	return true
}

// splits returns the values of a field such as pp_layers for two pipeline stages, and sets
// the number of stages.
func (one *randomSweep) splits(f *schema.Field) []string {
	it := one.items(one.models[0], fieldValues{schema.AccountingVar: {schema.AccountingRank}})[0]
	plans, err := it.Planner.Plans(it.Request)
	if err != nil {
		one.t.Fatal(err)
	}
	frame := it.Planner.NewFrame()
	frame.LoadPlan(plans[0])
	ref, _ := frame.Formulas().Ref("cache_layers")
	layers, err := frame.Values().Num(ref)
	n, _ := layers.Int64()
	if err != nil || n < 4 {
		return []string{""}
	}
	one.values[strings.Replace(f.Var, "layers", "size", 1)] = []string{"2"}
	return []string{"", fmt.Sprintf("1,%d", n-1), fmt.Sprintf("%d,%d", n/2, n-n/2), fmt.Sprintf("%d,%d", n/2+1, n-n/2-1)}
}

// inFile reports whether a field is set in a file: it has no flag, or the flag cannot have
// several values.
func inFile(f *schema.Field) bool { return f.Flag == "" || f.Comma }

// file returns a configuration file in JSON, or "" if none is needed.
func (one *randomSweep) file(values fieldValues) string {
	file := map[string]map[string]any{}
	set := func(section, name string, v any) {
		if file[section] == nil {
			file[section] = map[string]any{}
		}
		file[section][name] = v
	}
	for i := range one.schema.Fields {
		f := &one.schema.Fields[i]
		switch texts := values[f.Var]; {
		case texts == nil || !inFile(f):
		case f.Comma:
			set(config.SweepSection, f.Flag, texts)
		default:
			section, name, _ := strings.Cut(f.Path, ".")
			set(section, name, texts[0])
		}
	}
	if len(file) == 0 {
		return ""
	}
	text, _ := json.Marshal(file) // maps of strings do not fail
	return string(text)
}

// items returns an item for each accounting.
func (one *randomSweep) items(m *model.Model, values fieldValues) []plan.Item {
	file := ""
	if text := one.file(values); text != "" {
		file = filepath.Join(one.dir, "sweep.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			one.t.Fatal(err)
		}
	}
	var overrides []config.Override
	for i := range one.schema.Fields {
		if f := &one.schema.Fields[i]; values[f.Var] != nil && !inFile(f) {
			overrides = append(overrides, config.Override{Path: f.Path, Text: strings.Join(values[f.Var], ","), Origin: data.Origin{Kind: data.FromFlag, Name: f.Flag}, Axis: true})
		}
	}
	all, err := one.loader.Config(file, nil, "plan", overrides)
	if err != nil {
		one.t.Fatal(err)
	}
	var items []plan.Item
	for _, cfg := range plan.Split(all) {
		cfg = cfg.With(m.Arch, m.Defaults)
		use := plan.Use{Detail: true, Names: one.details, Transfer: one.transfers || plan.Transfers(one.schema, cfg), Slowest: one.transfers}
		if use.Transfer {
			cfg = plan.ForTransfer(one.schema, m.Arch, cfg)
		}
		use.Rank = plan.UseOf(cfg).Rank
		planner, err := one.planners.For(m.Arch, use)
		if err != nil {
			one.t.Fatal(err)
		}
		req := &plan.Request{Model: m, Config: cfg, Flags: given(one.t, one.schema, one.flags, one.planners.Release), Fit: one.fit}
		items = append(items, plan.Item{Request: req, Planner: planner})
	}
	return items
}

// points returns the field values of each point, in order.
func (one *randomSweep) points() []fieldValues {
	names := []string{schema.AccountingVar}
	for i := range one.schema.Fields {
		if name := one.schema.Fields[i].Var; name != schema.AccountingVar {
			names = append(names, name)
		}
	}
	points := []fieldValues{{}}
	for _, name := range names {
		var more []fieldValues
		for _, p := range points {
			for _, text := range one.values[name] {
				q := maps.Clone(p)
				q[name] = []string{text}
				more = append(more, q)
			}
		}
		if more != nil {
			points = more
		}
	}
	return points
}

// columns returns all columns that rows of the items can have.
func (one *randomSweep) columns(items []plan.Item) []string {
	columns := map[string]bool{sweep.ColumnArchitecture: true}
	for _, it := range items {
		if it.Planner.OfRanks() {
			columns[sweep.ColumnStage], columns[sweep.ColumnGroup] = true, true
		}
		prog := it.Planner.Formulas()
		for _, name := range prog.Names() {
			ref, _ := prog.Ref(name)
			ok := prog.Kind(ref) != formula.Any && !it.Planner.IsTable(name) && !it.Planner.OfLayer(ref)
			if f := one.schema.Nixlbench.Flags[name]; f != nil {
				name = f.JSONKey()
			}
			if known, seen := columns[name]; !seen || known {
				columns[name] = ok
			}
		}
	}
	maps.DeleteFunc(columns, func(_ string, ok bool) bool { return !ok })
	return slices.Sorted(maps.Keys(columns))
}

// cell returns the text of a column in the row of a plan that is loaded in the frame.
func (one *randomSweep) cell(pl *plan.Plan, frame *plan.Frame, column string) (string, error) {
	switch {
	case column == sweep.ColumnArchitecture:
		return pl.Request.Model.Arch.Name, nil
	case column == sweep.ColumnStage && pl.Rank():
		return fmt.Sprint(pl.Stage()), nil
	case column == sweep.ColumnGroup && pl.Rank():
		return pl.Group(), nil
	}
	for _, f := range pl.Flags {
		if f.JSONKey() == column {
			return f.Value.Text(), nil
		}
	}
	for _, q := range pl.Quantities {
		if q.Name == column {
			return fmt.Sprint(q.Value), nil
		}
	}
	ref, ok := frame.Formulas().Ref(column)
	if !ok {
		return "", nil
	}
	if v, ok := pl.Request.Config.Values[column]; ok {
		return one.schema.Word(one.schema.FieldOf(column), v.Value), nil
	}
	if ref, ok := frame.ShownIf(column); ok {
		if shown, err := frame.Values().Bool(ref); !shown || err != nil {
			return "", err
		}
	}
	v, err := frame.Values().Eval(ref)
	if err != nil && frame.Formulas().Source(ref).Text == "" {
		return "", nil // an input that is not set
	}
	return v.Text(), err
}

// totals returns the columns of a transfer that kvbench transfer computes from its pairs.
func totals(t *transfer.Transfer) map[string]string {
	if t == nil {
		return nil
	}
	values := map[string]string{"pairs": fmt.Sprint(t.All.Pairs), "all_bytes": fmt.Sprint(t.All.Bytes), "all_descriptors": fmt.Sprint(t.All.Descriptors),
		"pair_bytes": fmt.Sprint(t.Slowest.Bytes), "pair_descriptors": fmt.Sprint(t.Slowest.Descriptors)}
	if t.Timed {
		values["transfer_us"] = fmt.Sprint(t.All.Micros)
	}
	return values
}

// choose sets random options, and returns the rows that a sweep with these options has.
func (one *randomSweep) choose(items []plan.Item, columns []string, rows []map[string]string) []map[string]string {
	// The columns that contain a number in every row.
	columns = slices.DeleteFunc(slices.Clone(columns), func(c string) bool {
		return slices.ContainsFunc(rows, func(row map[string]string) bool { return !isNumber(row[c]) }) ||
			slices.ContainsFunc(items, func(it plan.Item) bool {
				ref, ok := it.Planner.Formulas().Ref(c)
				return !ok || it.Planner.Formulas().Kind(ref) != formula.Num
			})
	})
	if len(rows) == 0 || !one.oneIn(3) {
		return rows
	}
	number := func(row map[string]string, c string) int { n, _ := strconv.Atoi(row[c]); return n }
	rows = slices.Clone(rows)
	if one.oneIn(2) {
		c := pick(one.randomizer, 1, columns)[0]
		most := number(pick(one.randomizer, 1, rows)[0], c)
		one.options.Where = fmt.Sprintf("%s <= %d", c, most)
		rows = slices.DeleteFunc(rows, func(row map[string]string) bool { return number(row, c) > most })
	}
	if one.oneIn(2) {
		for _, c := range pick(one.randomizer, 2, columns) {
			one.options.Sort = append(one.options.Sort, sweep.SortKey{Column: c, Down: one.oneIn(2)})
		}
		slices.SortStableFunc(rows, func(a, b map[string]string) int {
			for _, key := range one.options.Sort {
				if n := number(a, key.Column) - number(b, key.Column); n != 0 && key.Down {
					return -n
				} else if n != 0 {
					return n
				}
			}
			return 0
		})
	}
	if one.oneIn(2) {
		n := 1 + one.IntN(len(rows))
		one.options.Top, rows = uint64(n), rows[:n]
	}
	return rows
}

// field returns 1 if a column is a field, and 0 otherwise.
func (one *randomSweep) field(column string) int {
	if one.schema.FieldOf(column) != nil {
		return 1
	}
	return 0
}

func isNumber(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}

// check compares the sweep with separate plans, and returns the number of rows.
func (one *randomSweep) check() int {
	t := one.t
	var items []plan.Item
	for _, m := range one.models {
		items = append(items, one.items(m, one.values)...)
	}
	columns := one.columns(items)
	fails := map[string]bool{} // columns that cannot be computed for some row
	var want []map[string]string
	var errs []error                               // for each point
	failed, seen := uint64(0), map[string]uint64{} // numbers of points, by warning or limit
	for _, m := range one.models {
		for _, values := range one.points() {
			it := one.items(m, values)[0]
			plans, err := it.Planner.NewPlanner().Plans(it.Request)
			if errs = append(errs, err); err != nil {
				failed++
			}
			var made *transfer.Transfer
			if one.transfers {
				var failure error
				if made, failure = transfer.Of(it.Planner.NewPlanner(), it.Request); said(failure) != said(err) {
					t.Errorf("%v: the transfer fails with %v, and its plan with %v", values, failure, err)
				}
			}
			for i, pl := range plans {
				frame := it.Planner.NewFrame()
				frame.LoadPlan(pl)
				row := map[string]string{}
				for _, c := range columns {
					if row[c], err = one.cell(pl, frame, c); err != nil {
						fails[c] = true
					}
				}
				maps.Copy(row, totals(made))
				want = append(want, row)
				for _, v := range pl.Violations {
					seen[v.Limit.Name]++
				}
				for _, w := range pl.Warnings {
					if i == 0 {
						seen[diag.Kind(w)]++
					}
				}
			}
		}
	}
	columns = pick(one.randomizer, len(columns), slices.DeleteFunc(columns, func(c string) bool { return fails[c] }))
	if one.oneIn(2) { // cells of fields at the beginning of rows are often written only once
		slices.SortStableFunc(columns, func(a, b string) int { return one.field(b) - one.field(a) })
	}
	want = one.choose(items, columns, want)
	one.options.Columns, one.options.Format = columns, rows(len(columns))
	s, left, err := sweep.New(items, one.options)
	if err != nil || left != nil {
		t.Error(err, left)
		return 0
	}
	var out bytes.Buffer
	o, err := s.Run(context.Background(), &out, func(uint64) {})
	if err != nil {
		t.Error(err)
		return 0
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines)-1 != len(want) {
		t.Errorf("%d rows, want %d", len(lines)-1, len(want))
	}
	for i := range min(len(want), len(lines)-1) {
		got := strings.Split(lines[i], "|")
		for j, c := range columns {
			if got[j] != want[i][c] {
				t.Errorf("row %d: %s is %q, want %q", i, c, got[j], want[i][c])
				one.wrong = c
				return 0
			}
		}
	}
	if one.options.Where != "" || one.options.Top > 0 {
		return len(want)
	}
	for _, f := range o.Failed {
		if failed -= f.Count; said(f.Err) != said(errs[f.First]) {
			t.Errorf("point %d fails with %v, want %v", f.First, f.Err, errs[f.First])
		}
	}
	for _, b := range o.Broken {
		seen[b.Violation.Limit.Name] -= b.Count
	}
	for _, w := range o.Warned {
		seen[diag.Kind(w.Err)] -= w.Count
	}
	for what, n := range seen {
		if n != 0 {
			t.Errorf("wrong number of points with %q, by %d", what, int64(n))
		}
	}
	if failed != 0 {
		t.Errorf("wrong number of points fail, by %d", int64(failed))
	}
	return len(want)
}

// said returns the messages of an error without their positions.
func said(err error) string {
	text := ""
	for _, d := range diag.All(err) {
		text += d.Msg + "\n"
	}
	return text
}

// String returns a command line.
func (one *randomSweep) String() string {
	text, file := "kvbench plan", one.file(one.values)
	if one.transfers {
		text = "kvbench transfer"
	}
	if file != "" {
		text = fmt.Sprintf("echo '%s' >sweep.yaml; %s --model_config sweep.yaml", file, text)
	}
	for _, m := range one.models {
		text += " --model " + strings.TrimSuffix(filepath.Base(m.File), ".yaml")
	}
	for i := range one.schema.Fields {
		if f := &one.schema.Fields[i]; one.values[f.Var] != nil && !inFile(f) {
			text += fmt.Sprintf(" --%s=%s", f.Flag, strings.Join(one.values[f.Var], ","))
		}
	}
	for name, value := range one.flags {
		text += fmt.Sprintf(" --%s=%s", name, value)
	}
	if one.fit {
		text += " --fit"
	}
	if one.options.Where != "" {
		text += fmt.Sprintf(" --where '%s'", one.options.Where)
	}
	if keys := one.options.Sort; keys != nil {
		text += " --sort="
		for i, key := range keys {
			text += strings.Repeat(",", i)
			if key.Down {
				text += "-"
			}
			text += key.Column
		}
	}
	if one.options.Top > 0 {
		text += fmt.Sprintf(" --top %d", one.options.Top)
	}
	if one.wrong != "" {
		text += " --columns " + one.wrong
	}
	return text
}
