package sweep_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
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
	"isl": "1 17 1000 4096 32k 50000", "osl": "0 1 5 1000 9000", "num_requests": "1 3 64", "max_num_batched_tokens": "0 2048 8192",
	"concurrent_batches": "0 1 3", "hardware": "h100 x", "page_size": "1 8 16 32 64 128 256", "kv_memory": "0 8GiB 64GiB 300GB",
	"bandwidth": "0 100Gbit/s 50GB/s", "decode_tp_size": "1 2 4 8", "decode_pp_size": "1 2 4", "decode_dp_size": "0 2",
	"decode_cp_size": "1 2", "decode_page_size": "16 32 64", "descriptor_cost": "800ns 2.4us 0", "transfer_start": "0 3ms",
	"contiguous_pages": "1 3 16 all", "ttft": "0 100ms", "transfer_target": "0 1ms 50ms", "prefill_time": "0 30ms 2s",
}

// randomizer creates random sweeps.
type randomizer struct {
	*rand.Rand
	t        testing.TB
	schema   *schema.Schema
	loader   *model.Loader
	entries  []model.Entry
	planners *plan.Planners
	dir      string // for a configuration file
}

// fieldValues contains the texts of the values of fields, keyed by the fields' names in
// formulas.
type fieldValues map[string][]string

// randomSweep is a random sweep of one or two models.
type randomSweep struct {
	*randomizer
	models    []*model.Model
	values    fieldValues
	transfers bool              // whether each row is a transfer, as in kvbench transfer
	flags     map[string]string // nixlbench's flags
	fit       bool
	options   sweep.Options
	wrong     string // a column that differs
}

// row is the text of a row's cells, keyed by column.
type row map[string]string

// number returns a cell that contains a number.
func (r row) number(column string) int {
	n, _ := strconv.Atoi(r[column])
	return n
}

// TestRandomSweeps compares all columns of random sweeps with plans and transfers that are
// made separately for each point. With KVBENCH_FULL, every run tries other sweeps. To try a
// sweep again, set KVBENCH_SEED.
func TestRandomSweeps(t *testing.T) {
	// The sweeps from this seed on find many kinds of faults quickly.
	workers, seed, most, limit := 1, uint64(537), 45, time.Hour
	if os.Getenv("KVBENCH_FULL") != "" {
		workers, seed, most, limit = runtime.GOMAXPROCS(0), rand.Uint64N(1e9), math.MaxInt, 35*time.Second
	}
	if text := os.Getenv("KVBENCH_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
		workers, most = 1, 1
	}
	for i := range uint64(workers) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			s := load(t)
			r := &randomizer{t: t, schema: s, loader: model.NewLoader(s, cueschema.Files, models.Files), planners: plan.NewPlanners(s, s.Nixlbench.Default, ""), dir: t.TempDir()}
			var err error
			if r.entries, err = r.loader.Entries(nil); err != nil {
				t.Fatal(err)
			}
			begin, n, rows := time.Now(), 0, 0
			for ; n < most && time.Since(begin) < limit && !t.Failed(); n++ {
				seed := seed + i*1e9 + uint64(n)
				r.Rand = rand.New(rand.NewPCG(seed, 0))
				one := r.sweep()
				if rows += one.check(); t.Failed() {
					t.Errorf("KVBENCH_SEED=%d, %s", seed, one)
				}
			}
			t.Logf("%d rows of %d sweeps", rows, n)
		})
	}
}

// pick returns n random items, or all of them if there are fewer.
func pick[T any](r *randomizer, n int, items []T) []T {
	items = slices.Clone(items)
	r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	return items[:min(n, len(items))]
}

// oneIn returns true once in n times.
func (r *randomizer) oneIn(n int) bool { return r.IntN(n) == 0 }

// sweep returns a random sweep.
func (r *randomizer) sweep() *randomSweep {
	one := &randomSweep{randomizer: r, values: fieldValues{}, transfers: r.oneIn(3)}
	for _, e := range pick(r, 1+r.IntN(5)/4, r.entries) {
		m, err := r.loader.Model(e.Name, nil)
		if err != nil {
			r.t.Fatal(err)
		}
		one.models = append(one.models, m)
	}
	decodes := one.transfers || r.oneIn(3)
	accountings := []string{schema.AccountingRank}
	if !decodes && !slices.ContainsFunc(one.models, func(m *model.Model) bool { return m.Arch.Tables["access_patterns"] == nil }) {
		accountings = pick(r, 1+r.IntN(2), []string{schema.AccountingRank, schema.AccountingModel})
	}
	one.values[schema.AccountingVar] = accountings
	one.values["engine"] = pick(r, 1+r.IntN(4)/3, r.schema.KnownOf("engine"))
	if !one.transfers && r.oneIn(3) {
		one.fit = r.oneIn(2)
		one.flags = map[string]string{"backend": pick(r, 1, []string{"GDS", "POSIX", "UCX"})[0]}
	}

	n := 2 + r.IntN(12) // about how many fields get one value
	if r.oneIn(4) {
		n = len(r.schema.Fields)
	}
	names := []string{"tp_size", "isl", "osl", "num_requests", "page_size", "decode_tp_size"} // likelier axes than others
	for _, f := range r.schema.Fields {
		names = append(names, f.Var)
	}
	axes := pick(r, 1+r.IntN(5), names)
	for i := range r.schema.Fields {
		f := &r.schema.Fields[i]
		several := slices.Contains(axes, f.Var) && f.Flag != ""
		switch {
		case one.values[f.Var] != nil || f.Transfer && !decodes || f.Needs != "" && slices.Contains(accountings, schema.AccountingModel):
		case several || r.IntN(len(r.schema.Fields)) < n:
			for tries := 3; tries > 0 && !one.set(f, several); tries-- {
			}
		}
	}
	return one
}

// set sets a field to one or several random values. It reports whether the sweep's first
// point still has a plan; if not, it usually does not set the field.
func (one *randomSweep) set(f *schema.Field, several bool) bool {
	n := 1
	if several {
		n = 2 + one.IntN(2)
	}
	old := maps.Clone(one.values)
	values := one.known(f)
	if source := one.values[strings.TrimPrefix(f.Var, "decode_")]; f.Transfer && len(source) == 1 && !several && one.oneIn(2) {
		values = source // the two sides must often agree
	}
	one.values[f.Var] = pick(one.randomizer, n, values)
	it := one.items(one.models[0], one.points()[0])[0]
	if _, err := it.Planner.Plans(it.Request); err != nil && !one.oneIn(50) || len(values) == 0 {
		one.values = old
		return false
	}
	return true
}

// known returns the values to choose from for a field.
func (one *randomSweep) known(f *schema.Field) []string {
	values := strings.Fields(someValues[f.Var])
	switch {
	case one.transfers && (f.Var == "source" || f.Var == "destination"):
		return nil // a single transfer ignores them, but a row needs a command
	case f.Var == schema.EngineReleaseVar && len(one.values["engine"]) > 1:
		return nil
	case f.Var == schema.EngineReleaseVar:
		return slices.Concat(one.schema.Cache.Get().Releases[one.values["engine"][0]], []string{"auto"})
	case f.Comma:
		return one.splits(f)
	case f.Type.Kinds == schema.KindBool:
		return []string{"true", "false"}
	case f.Table != "" && slices.Contains(one.values[schema.AccountingVar], schema.AccountingModel):
		return f.Keys
	case len(values) == 0:
		values = slices.Compact(slices.Sorted(slices.Values(f.Known())))
	}
	if len(values) == 0 {
		one.t.Fatalf("%s needs an entry in someValues", f.Var)
	}
	return values
}

// splits returns values for a field such as pp_layers. They divide the first model's layers
// between two pipeline stages. splits also sets the number of stages.
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
		return nil
	}
	one.values[strings.Replace(f.Var, "layers", "size", 1)] = []string{"2"}
	return []string{"", fmt.Sprintf("1,%d", n-1), fmt.Sprintf("%d,%d", n/2, n-n/2), fmt.Sprintf("%d,%d", n/2+1, n-n/2-1)}
}

// inFile reports whether a field is set in a file, because it has no flag or its flag cannot
// have several values.
func inFile(f *schema.Field) bool { return f.Flag == "" || f.Comma }

// file returns the text of a configuration file, or "" if none is needed.
func (one *randomSweep) file(values fieldValues) string {
	sections := map[string]map[string]any{}
	for i := range one.schema.Fields {
		f := &one.schema.Fields[i]
		if texts := values[f.Var]; texts != nil && inFile(f) {
			section, name, _ := strings.Cut(f.Path, ".")
			var v any = texts[0]
			if f.Comma {
				section, name, v = config.SweepSection, f.Flag, texts
			}
			if sections[section] == nil {
				sections[section] = map[string]any{}
			}
			sections[section][name] = v
		}
	}
	if len(sections) == 0 {
		return ""
	}
	text, err := json.Marshal(sections)
	if err != nil {
		one.t.Fatal(err)
	}
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
	details := ""
	for _, q := range one.schema.Quantities {
		details += q.Name + ","
	}
	var items []plan.Item
	for _, cfg := range plan.Split(all) {
		cfg = cfg.With(m.Arch, m.Defaults)
		use := plan.Use{Detail: true, Names: details, Transfer: one.transfers || plan.Transfers(one.schema, cfg), Slowest: one.transfers}
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

// points returns the field values of each point of an item, in order.
func (one *randomSweep) points() []fieldValues {
	points := []fieldValues{{}}
	add := func(name string) {
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
	add(schema.AccountingVar) // each accounting is an item
	for i := range one.schema.Fields {
		if name := one.schema.Fields[i].Var; name != schema.AccountingVar {
			add(name)
		}
	}
	return points
}

// columns returns all columns that rows of the items can have.
func columns(items []plan.Item) []string {
	list := []string{sweep.ColumnFile, sweep.ColumnArchitecture}
	without := map[string]bool{} // names that have no single value in a row
	for _, it := range items {
		if it.Planner.OfRanks() {
			list = append(list, sweep.ColumnStage, sweep.ColumnGroup)
		}
		prog := it.Planner.Formulas()
		for _, name := range prog.Names() {
			ref, _ := prog.Ref(name)
			if list = append(list, name); prog.Kind(ref) == formula.Any || it.Planner.IsTable(name) || it.Planner.OfLayer(ref) {
				without[name] = true
			}
		}
	}
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(c string) bool { return without[c] })
}

// cell returns the text of a column in the row of a plan, which must be loaded in the frame.
func cell(pl *plan.Plan, frame *plan.Frame, column string) (string, error) {
	switch {
	case column == sweep.ColumnFile:
		return pl.Request.Config.File, nil
	case column == sweep.ColumnArchitecture:
		return pl.Request.Model.Arch.Name, nil
	case column == sweep.ColumnStage && pl.Rank():
		return fmt.Sprint(pl.Stage()), nil
	case column == sweep.ColumnGroup && pl.Rank():
		return pl.Group(), nil
	}
	ref, ok := frame.Formulas().Ref(column)
	if !ok {
		return "", nil
	}
	if v, ok := pl.Request.Config.Values[column]; ok {
		return frame.Schema().Word(frame.Schema().FieldOf(column), v.Value), nil
	}
	if cond, ok := frame.ShownIf(column); ok {
		if shown, err := frame.Values().Bool(cond); !shown || err != nil {
			return "", err
		}
	}
	v, err := frame.Values().Eval(ref)
	if err != nil && frame.Formulas().Source(ref).Text == "" {
		return "", nil // an input that is not set
	}
	return v.Text(), err
}

// addTotals sets the columns that a single transfer computes from its pairs.
func (r row) addTotals(t *transfer.Transfer) {
	r["pairs"], r["all_bytes"], r["all_descriptors"] = fmt.Sprint(t.All.Pairs), fmt.Sprint(t.All.Bytes), fmt.Sprint(t.All.Descriptors)
	r["pair_bytes"], r["pair_descriptors"] = fmt.Sprint(t.Slowest.Bytes), fmt.Sprint(t.Slowest.Descriptors)
	if t.Timed {
		r["transfer_us"] = fmt.Sprint(t.All.Micros)
	}
}

// choose sets random options, and returns the rows that the sweep then has.
func (one *randomSweep) choose(items []plan.Item, columns []string, rows []row) []row {
	numbers := slices.DeleteFunc(slices.Clone(columns), func(c string) bool {
		return slices.ContainsFunc(rows, func(r row) bool { return fmt.Sprint(r.number(c)) != r[c] }) ||
			slices.ContainsFunc(items, func(it plan.Item) bool {
				ref, ok := it.Planner.Formulas().Ref(c)
				return !ok || it.Planner.Formulas().Kind(ref) != formula.Num
			})
	})
	if len(rows) == 0 {
		return nil
	}
	rows = slices.Clone(rows)
	if one.oneIn(6) {
		c := pick(one.randomizer, 1, numbers)[0]
		most := pick(one.randomizer, 1, rows)[0].number(c)
		one.options.Where = fmt.Sprintf("%s <= %d", c, most)
		rows = slices.DeleteFunc(rows, func(r row) bool { return r.number(c) > most })
	}
	if one.oneIn(6) {
		for _, c := range pick(one.randomizer, 2, numbers) {
			one.options.Sort = append(one.options.Sort, sweep.SortKey{Column: c, Down: one.oneIn(2)})
		}
		slices.SortStableFunc(rows, func(a, b row) int {
			for _, key := range one.options.Sort {
				if n := cmp.Compare(a.number(key.Column), b.number(key.Column)); n != 0 && key.Down {
					return -n
				} else if n != 0 {
					return n
				}
			}
			return 0
		})
	}
	if one.oneIn(6) {
		n := 1 + one.IntN(len(rows))
		one.options.Top, rows = uint64(n), rows[:n]
	}
	return rows
}

// check compares the sweep with separate plans, and returns the number of rows.
func (one *randomSweep) check() int {
	t := one.t
	var items []plan.Item
	for _, m := range one.models {
		items = append(items, one.items(m, one.values)...)
	}
	columns := columns(items)
	fails := map[string]bool{} // columns that cannot be computed for some row
	var want []row
	var errs []error                               // for each point
	failed, seen := uint64(0), map[string]uint64{} // numbers of points, by warning or limit
	for _, m := range one.models {
		for _, values := range one.points() {
			it := one.items(m, values)[0]
			plans, err := it.Planner.NewPlanner().Plans(it.Request)
			if errs = append(errs, err); err != nil {
				failed++
			}
			for i, pl := range plans {
				frame, cells := it.Planner.NewFrame(), row{}
				frame.LoadPlan(pl)
				for _, c := range columns {
					var err error
					if cells[c], err = cell(pl, frame, c); err != nil {
						fails[c] = true
					}
				}
				want = append(want, cells)
				for _, v := range pl.Violations {
					seen[v.Limit.Name]++
				}
				for _, w := range pl.Warnings {
					if i == 0 {
						seen[diag.Kind(w)]++
					}
				}
			}
			if one.transfers {
				made, failure := transfer.Of(it.Planner.NewPlanner(), it.Request)
				if said(failure) != said(err) {
					t.Errorf("%v: a transfer fails with %v, but its plan with %v", values, failure, err)
				} else if err == nil {
					want[len(want)-1].addTotals(made)
				}
			}
		}
	}
	columns = pick(one.randomizer, len(columns), slices.DeleteFunc(columns, func(c string) bool { return fails[c] }))
	if one.oneIn(2) { // if fields come first in a row, they are often written only once
		isField := func(c string) bool { return one.schema.FieldOf(c) != nil }
		slices.SortStableFunc(columns, func(a, b string) int {
			switch {
			case isField(a) == isField(b):
				return 0
			case isField(a):
				return -1
			}
			return 1
		})
	}
	want = one.choose(items, columns, want)
	o := one.compare(items, columns, want)
	if o == nil || one.options.Where != "" || one.options.Top > 0 {
		return len(want)
	}
	for _, f := range o.Failed {
		if failed -= f.Count; said(f.Err) != said(errs[f.First]) {
			t.Errorf("point %d fails with %v, want %v", f.First, f.Err, errs[f.First])
		}
	}
	if failed != 0 {
		t.Errorf("the number of points that fail is %d too small", int64(failed))
	}
	for _, b := range o.Broken {
		seen[b.Violation.Limit.Name] -= b.Count
	}
	for _, w := range o.Warned {
		seen[diag.Kind(w.Err)] -= w.Count
	}
	for what, n := range seen {
		if n != 0 {
			t.Errorf("the number of points with %q is %d too small", what, int64(n))
		}
	}
	return len(want)
}

// compare runs the sweep and compares its rows. It returns nil if they differ.
func (one *randomSweep) compare(items []plan.Item, columns []string, want []row) *sweep.Outcome {
	one.options.Columns, one.options.Format = columns, rows(len(columns))
	s, left, err := sweep.New(items, one.options)
	if err != nil || left != nil {
		one.t.Error(err, left)
		return nil
	}
	var out bytes.Buffer
	o, err := s.Run(context.Background(), &out, func(uint64) {})
	if err != nil {
		one.t.Error(err)
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if o.Rows != uint64(len(want)) {
		one.t.Errorf("%d rows, want %d", o.Rows, len(want))
	}
	for i := range min(o.Rows, uint64(len(want))) {
		for j, text := range strings.Split(lines[i], "|") {
			if c := columns[j]; text != want[i][c] {
				one.t.Errorf("%s in row %d is %q, want %q", c, i, text, want[i][c])
				one.wrong = c
				return nil
			}
		}
	}
	return o
}

// said returns the messages of an error without their positions.
func said(err error) string {
	text := ""
	for _, d := range diag.All(err) {
		text += d.Msg + "\n"
	}
	return text
}

// String returns the sweep as a command line.
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
	var keys []string
	for _, key := range one.options.Sort {
		if key.Down {
			key.Column = "-" + key.Column
		}
		keys = append(keys, key.Column)
	}
	if keys != nil {
		text += " --sort=" + strings.Join(keys, ",")
	}
	if one.options.Top > 0 {
		text += fmt.Sprint(" --top ", one.options.Top)
	}
	if one.wrong != "" {
		text += " --columns " + one.wrong
	}
	return text
}
