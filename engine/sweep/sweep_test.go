package sweep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/engine/sweep"
	"kvbench/models"
)

// rows returns a format that separates columns with "|" and ends rows with a newline.
func rows(columns int) sweep.RowFormat {
	f := sweep.RowFormat{Lead: make([]string, columns), End: "\n"}
	for i := 1; i < columns; i++ {
		f.Lead[i] = "|"
	}
	f.Cell = func(dst []byte, v formula.Value) []byte {
		if v.Kind == formula.Any {
			return dst
		}
		return append(dst, v.Text()...)
	}
	return f
}

// sweepCase is a sweep whose points are also planned one by one.
type sweepCase struct {
	name    string
	model   []string
	release string
	flags   map[string]string
	fit     bool
	axes    [][2]string // flag, text
	// fails reports whether some points have no plan, and breaks whether some points exceed
	// a limit.
	fails, breaks bool
	use           plan.Use
}

func load(t testing.TB) *schema.Schema {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func loadConfig(t testing.TB, s *schema.Schema, l *model.Loader, values map[string]string, axes bool) *config.Config {
	t.Helper()
	var overrides []config.Override
	for i := range s.Fields {
		f := &s.Fields[i]
		if text, ok := values[f.Flag]; ok {
			overrides = append(overrides, config.Override{Path: f.Path, Text: text, Origin: data.Origin{Kind: data.FromFlag, Name: f.Flag}, Axis: axes})
		}
	}
	c, err := l.Config("", nil, "plan", overrides)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Values["accounting"]; !ok { // as set by a model
		c.Values["accounting"] = data.Fact{Value: formula.Of("kvbench")}
	}
	return c
}

func given(t testing.TB, s *schema.Schema, flags map[string]string, release string) map[string]data.Fact {
	t.Helper()
	values := map[string]data.Fact{}
	for name, text := range flags {
		f := s.Nixlbench.Flags[name]
		v, err := s.ParseValue(f, s.Nixlbench.FlagIn(f, release).Type, text)
		if err != nil {
			t.Fatal(err)
		}
		values[name] = data.Fact{Value: v, Origin: data.Origin{Kind: data.FromFlag, Name: name}}
	}
	return values
}

// TestSweepEqualsPlans compares the rows of sweeps over tens of thousands of points with
// plans made separately for each point: the quantities, the inputs, all flags of the
// release, the limits that are exceeded, and whether the point can be planned at all. Unless
// KVBENCH_FULL is set, it makes plans only for a random sample of the points of large sweeps.
func TestSweepEqualsPlans(t *testing.T) {
	s := load(t)
	for _, test := range []sweepCase{
		{name: "10000", breaks: true, model: []string{"deepseek-r1"}, axes: [][2]string{
			{"tp", "1,2,4,8,16"}, {"pp", "1..10+3,16"}, {"isl", "1000..100000x10,7"}, {"page_size", "1..512x2"}, {"num_requests", "1..19+2"}}},
		{name: "fractions", model: []string{"llama3.1-70b", "gpt-oss-20b"}, axes: [][2]string{
			{"tp", "1..9+1"}, {"kvcache_quant_mode", "fp8,nvfp4,bf16"}, {"model_quant_mode", "nvfp4,fp16"}, {"access_pattern", "layer,block"}, {"page_size", "1,16,1000"}}},
		{name: "points without a plan", fails: true, breaks: true, model: []string{"qwen3-8b"}, axes: [][2]string{
			{"tp", "1..1000000x10"}, {"pp", "1,64,4096"}, {"isl", "1,4611686018427387904"}, {"page_size", "1,4611686018427387904"}}},
		{name: "rules", fails: true, breaks: true, model: []string{"qwen3-8b"}, release: "main-2026-08-21", flags: map[string]string{"backend": "GDS"}, axes: [][2]string{
			{"tp", "1,2"}, {"isl", "100..1000000x10"}, {"source", "file,memory,gpu"}, {"destination", "gpu,file,memory"}}},
		{name: "fitted", fails: true, model: []string{"qwen3-8b"}, flags: map[string]string{"backend": "GDS", "total_buffer_size": "64GiB"}, fit: true, axes: [][2]string{
			{"isl", "100..1000000000x10"}, {"tp", "1,2"}, {"source", "file,gpu"}, {"page_size", "16,256"}}},
		{name: "fitted ranks", fails: true, model: []string{"llama3.1-70b", "gpt-oss-20b"}, use: plan.Use{Rank: true}, flags: map[string]string{"backend": "GDS", "total_buffer_size": "64GiB"}, fit: true, axes: [][2]string{
			{"accounting", "rank"}, {"engine", "VLLM"}, {"tp", "1,8"}, {"pp", "1,3"}, {"pp_stage", "largest,all"}, {"isl", "100..1000000000x10"}, {"source", "file,gpu"}, {"page_size", "16,256"}}},
		{name: "fitted, other limits", fails: true, model: []string{"qwen3-8b"}, release: "main-2026-08-21", flags: map[string]string{"backend": "POSIX", "num_threads": "4"}, fit: true, axes: [][2]string{
			{"isl", "100..100000000x10"}, {"tp", "1,2"}, {"num_requests", "1,1000"}, {"page_size", "16,256"}}},
		{name: "10000 ranks", model: []string{"gpt-oss-20b"}, use: plan.Use{Rank: true}, axes: [][2]string{
			{"accounting", "rank"}, {"engine", "VLLM"}, {"tp", "1,2,4,8"}, {"pp", "1..5+1"}, {"isl", "1000..10000+1000"}, {"page_size", "16..80+16"}, {"num_requests", "1..10+1"}}},
		{name: "10000 fitted", fails: true, model: []string{"qwen3-8b"}, flags: map[string]string{"backend": "GDS", "total_buffer_size": "64GiB"}, fit: true, axes: [][2]string{
			{"tp", "1,2,4,8"}, {"isl", "1000..50000+1000"}, {"page_size", "16..160+16"}, {"num_requests", "1,10,100,1000,10000"}}},
		{name: "10000 transfers", model: []string{"gpt-oss-20b"}, use: plan.Use{Rank: true, Transfer: true, Slowest: true, Names: "transfer_us"}, axes: [][2]string{
			{"accounting", "rank"}, {"engine", "VLLM"}, {"tp", "4,8"}, {"decode_tp", "2,4"}, {"isl", "1000..50000+1000"}, {"page_size", "16..80+16"}, {"num_requests", "1..10+1"}, {"link", "ib_ndr"}}},
		{name: "one point", model: []string{"qwen3-8b"}},
		{name: "ranks", breaks: true, fails: true, model: []string{"llama3.1-70b", "deepseek-r1"}, use: plan.Use{Rank: true}, axes: [][2]string{
			{"accounting", "rank"}, {"engine", "VLLM"}, {"tp", "1,2,8"}, {"pp", "1,3"}, {"pp_stage", "largest,all,0,2"}, {"isl", "1000..100000000x100"}, {"page_size", "16"}, {"access_pattern", "block,layer"}}},
		{name: "ranks of one architecture", model: []string{"gemma-3-27b", "qwen2.5-7b", "gemma-2-27b"}, use: plan.Use{Rank: true}, axes: [][2]string{
			{"accounting", "rank"}, {"engine", "VLLM"}, {"tp", "1,2"}, {"pp", "1..8+1"}, {"isl", "1000..10000+1000"}, {"page_size", "16"}, {"access_pattern", "block,layer"}}},
		{name: "every kind of layers", breaks: true, fails: true, model: []string{"qwen3.5-35b-a3b", "whisper-large-v3", "deepseek-v3.2", "nemotron-h-56b", "minimax-text-01", "llama4-scout", "gemma-3n-e4b", "jamba-v0.1",
			"kimi-linear-48b-a3b", "nemotron-super-49b", "falcon-h1-7b", "lfm2-1.2b", "minimax-m3", "longcat-flash", "glm-5.2", "deepseek-v4-flash"}, use: plan.Use{Rank: true}, axes: [][2]string{
			{"accounting", "rank"}, {"engine", "VLLM,SGLANG,TRTLLM"}, {"tp", "1,8"}, {"pp", "1,7"}, {"isl", "1000,200000"}, {"page_size", "16"}, {"access_pattern", "block,layer,layer-kv"},
			{"window", "in_use,allocated,all"}, {"max_num_batched_tokens", "8192"}, {"kvcache_quant_mode", "fp8,bf16"}}},
		{name: "conditions", breaks: true, model: []string{"qwen2.5-7b", "mistral-7b", "phi-4"}, axes: [][2]string{
			{"tp", "1,2,8"}, {"pp", "1,4"}, {"isl", "1000..1000000x10"}, {"page_size", "1,16"}, {"access_pattern", "block,layer"}}},
		{name: "conditions, fitted", fails: true, model: []string{"qwen2.5-7b"}, flags: map[string]string{"backend": "GDS", "total_buffer_size": "64GiB"}, fit: true, axes: [][2]string{
			{"isl", "100..1000000000x10"}, {"tp", "1,2"}, {"source", "file,gpu"}, {"page_size", "16,256"}}},
		{name: "details", breaks: true, model: []string{"llama3.1-70b"}, use: plan.Use{Detail: true}, axes: [][2]string{
			{"tp", "1,8"}, {"isl", "1000,100000"}, {"osl", "0,9"}, {"page_size", "16"}, {"bandwidth", "0,100Gbps"}, {"dp_attention", "true,false"}, {"cp_size", "1,2"}}},
		{name: "ranks with details", model: []string{"llama3.1-70b"}, use: plan.Use{Rank: true, Detail: true}, axes: [][2]string{
			{"accounting", "rank"}, {"tp", "1,8"}, {"isl", "1000,10000"}, {"page_size", "16"}, {"kv_memory", "0,80GiB"}, {"bandwidth", "0,100Gbps"}, {"dp_attention", "true,false"}}},
		{name: "shapes of pairs", fails: true, breaks: true, model: []string{"llama3.1-70b", "deepseek-r1", "gpt-oss-20b"}, use: plan.Use{Rank: true, Detail: true, Transfer: true}, axes: [][2]string{
			{"accounting", "rank"}, {"engine", "VLLM,SGLANG,TRTLLM"}, {"tp", "1,8"}, {"pp", "1,3"}, {"decode_tp", "2,16"}, {"decode_pp", "1,2"}, {"isl", "1000,100000"}, {"page_size", "32"}, {"contiguous_pages", "1,3,all"}, {"bandwidth", "0,400Gbit/s"}}},
		{name: "slowest pairs", fails: true, model: []string{"llama3.1-70b", "deepseek-v3.2", "gemma-3-27b", "nemotron-h-56b", "gpt-oss-20b"}, use: plan.Use{Rank: true, Detail: true, Transfer: true, Slowest: true}, axes: [][2]string{
			{"accounting", "rank"}, {"engine", "VLLM,SGLANG,TRTLLM"}, {"tp", "1,8"}, {"pp", "1,3"}, {"decode_tp", "2,16"}, {"isl", "1000,2000,100000"}, {"page_size", "16,64"}, {"contiguous_pages", "1,3,all"}, {"link", "ib_ndr,tcp10"}, {"ttft", "100ms"}}},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

func (test *sweepCase) run(t *testing.T, s *schema.Schema) {
	release := test.release
	if release == "" {
		release = s.Nixlbench.Default
	}
	flags := given(t, s, test.flags, release)
	l := model.NewLoader(s, cueschema.Files, models.Files)
	swept := map[string]string{}
	for _, a := range test.axes {
		swept[a[0]] = a[1]
	}
	cfg := loadConfig(t, s, l, swept, true)
	// Determine the order of the points independently: the axes in the schema's
	// order, with the last one changing fastest.
	points := []map[string]string{{}}
	for i := range s.Fields {
		f := &s.Fields[i]
		if _, ok := swept[f.Flag]; !ok {
			continue
		}
		values := []data.Fact{cfg.Values[f.Var]}
		if i := slices.IndexFunc(cfg.Axes, func(a config.Axis) bool { return a.Field.Flag == f.Flag }); i >= 0 {
			values = cfg.Axes[i].Values
		}
		var more []map[string]string
		for _, p := range points {
			for _, v := range values {
				q := map[string]string{f.Flag: v.Text()}
				for k, old := range p {
					q[k] = old
				}
				more = append(more, q)
			}
		}
		points = more
	}
	if strings.HasPrefix(test.name, "10000") && len(points) != 10_000 {
		t.Fatalf("%d points, want 10000", len(points))
	}

	var quantities []string
	for _, q := range s.Quantities {
		if test.use.Names != "" && !q.Detail.IsZero() && q.Name != test.use.Names {
			continue
		}
		if q.OnlyTransfers && !test.use.Transfer || q.Name == "rank_bytes" && test.use.Transfer {
			continue
		}
		if q.Detail.IsZero() || q.Name == test.use.Names || test.use.Detail && (test.use.Rank || !q.Formula.IsZero()) {
			quantities = append(quantities, q.Name)
		}
	}
	columns := []string{sweep.ColumnFile, sweep.ColumnArchitecture, "model_name"}
	if test.use.Rank {
		columns = append(columns, sweep.ColumnStage, sweep.ColumnGroup)
	}
	columns = append(columns, quantities...)
	fields := slices.DeleteFunc(slices.Clone(s.Fields), func(f schema.Field) bool {
		return f.Needs == schema.AccountingRank && !test.use.Rank || f.Transfer && !test.use.Transfer
	})
	for i := range fields {
		columns = append(columns, fields[i].Var)
	}
	for _, f := range s.Nixlbench.FlagsOf(release) {
		columns = append(columns, f.JSONKey())
	}
	// The sample is the same in every run.
	const most = 300
	random := rand.New(rand.NewPCG(5, 6))
	sampled := len(points)*len(test.model) > most && os.Getenv("KVBENCH_FULL") == ""
	var items []plan.Item
	var want, wantBroken, wantFailed []string
	var groups []int // the number of rows in want for each point
	broken, failed := map[string]uint64{}, uint64(0)
	planners := map[*schema.Architecture]*plan.Planner{}
	for _, name := range test.model {
		m, err := l.Model(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		planner := planners[m.Arch]
		if planner == nil {
			if planner, err = plan.New(s, release, m.Arch, test.use); err != nil {
				t.Fatal(err)
			}
			planners[m.Arch] = planner
		}
		items = append(items, plan.Item{Request: &plan.Request{Model: m, Config: cfg, Flags: flags, Fit: test.fit}, Planner: planner})
		for _, p := range points {
			if sampled && random.IntN(len(points)*len(test.model)) >= most {
				continue
			}
			alone := loadConfig(t, s, l, p, false)
			plans, err := planner.Plans(&plan.Request{Model: m, Config: alone, Flags: flags, Fit: test.fit})
			if err != nil {
				failed++
				if failed == 1 {
					wantFailed = append(wantFailed, err.Error())
				}
			}
			groups = append(groups, len(plans))
			for _, pl := range plans {
				row := []string{alone.File, m.Arch.Name, m.Name}
				if pl.Rank() {
					row = append(row, fmt.Sprint(pl.Stage()), pl.Group())
				}
				for _, name := range quantities {
					text := ""
					for _, q := range pl.Quantities {
						if q.Name == name {
							text = fmt.Sprint(q.Value)
						}
					}
					row = append(row, text)
				}
				for i := range fields {
					v := pl.Request.Config.Values[fields[i].Var]
					row = append(row, s.Word(&fields[i], v.Value))
				}
				for _, f := range pl.Flags {
					row = append(row, f.Value.Text())
				}
				want = append(want, strings.Join(row, "|"))
				for _, v := range pl.Violations {
					if broken[v.Limit.Name]++; broken[v.Limit.Name] == 1 {
						wantBroken = append(wantBroken, v.Limit.Name+": "+v.Why)
					}
				}
			}
		}
	}
	sweep, left, err := sweep.New(items, sweep.Options{Columns: columns, Format: rows(len(columns))})
	if err != nil || left != nil {
		t.Fatal(err, left)
	}
	if n := uint64(len(points) * len(test.model)); sweep.Points != n {
		t.Fatalf("%d points, want %d", sweep.Points, n)
	}
	var out bytes.Buffer
	o, err := sweep.Run(context.Background(), &out, func(uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(want) == 0 {
		t.Fatal("no point has a plan, so this test checks nothing")
	}
	t.Logf("%d rows, %d points without, limits %v", len(want), failed, broken)
	var gotFailed uint64
	for _, f := range o.Failed {
		gotFailed += f.Count
	}
	gotBroken := map[string]uint64{}
	var lines []string
	for _, b := range o.Broken {
		gotBroken[b.Violation.Limit.Name] = b.Count
		lines = append(lines, b.Violation.Limit.Name+": "+b.Violation.Why)
	}
	if (gotFailed > 0) != test.fails || (len(gotBroken) > 0) != test.breaks {
		t.Errorf("%d points fail and %d limits are exceeded; expected any: %t and %t", gotFailed, len(gotBroken), test.fails, test.breaks)
	}
	if o.Rows != uint64(len(got)) || o.Points != sweep.Points {
		t.Errorf("%d rows of %d points, want %d of %d", o.Rows, o.Points, len(got), sweep.Points)
	}
	if sampled {
		// The rows of a point are adjacent, and points are in order.
		at := 0
		for _, n := range groups {
			first := at
			for first < len(got) && n > 0 && got[first] != want[0] {
				first++
			}
			if at = first + n; at > len(got) || !slices.Equal(got[first:at], want[:n]) {
				t.Fatalf("a point has the rows\n%s, which the sweep lacks", strings.Join(want[:n], "\n"))
			}
			want = want[n:]
		}
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("row %d is\n%s, want\n%s", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	if gotFailed != failed {
		t.Errorf("%d points fail, want %d", gotFailed, failed)
	}
	if failed > 0 && o.Failed[0].Err.Error() != wantFailed[0] {
		t.Errorf("the first that fails says\n%v, want\n%s", o.Failed[0].Err, wantFailed[0])
	}
	slices.Sort(lines)
	slices.Sort(wantBroken)
	if !slices.Equal(lines, wantBroken) || fmt.Sprint(gotBroken) != fmt.Sprint(broken) {
		t.Errorf("broken are %v %v, want %v %v", gotBroken, lines, broken, wantBroken)
	}
}

// qwen returns a model with plain attention, and the planner for it.
func qwen(t testing.TB) (*schema.Schema, *model.Loader, *model.Model, *plan.Planner) {
	t.Helper()
	s := load(t)
	l := model.NewLoader(s, cueschema.Files, models.Files)
	m, err := l.Model("qwen3-8b", nil)
	if err != nil {
		t.Fatal(err)
	}
	planner, err := plan.New(s, s.Nixlbench.Default, m.Arch, plan.Use{})
	if err != nil {
		t.Fatal(err)
	}
	return s, l, m, planner
}

// portions records the number of rows in each write.
type portions []int

func (p *portions) Write(rows []byte) (int, error) {
	*p = append(*p, bytes.Count(rows, []byte("\n")))
	return len(rows), nil
}

// TestSweepPortions checks that rows are always written in the same portions, regardless of
// the number of processors. The portions determine the column widths of tables.
func TestSweepPortions(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	s, l, m, planner := qwen(t)
	for _, test := range []struct {
		isl   string
		where string
		top   uint64
		want  string
	}{
		{"1..900+1", "", 0, "[900]"},
		{"1..2049+1", "", 0, "[2048 1]"},
		{"1..5000+1", "", 0, "[2048 2048 904]"},
		{"1..5000+1", "isl % 2 == 0", 0, "[1024 1024 452]"},
		{"1..5000+1", "isl > 4096", 0, "[904]"},
		{"1..5000+1", "", 3000, "[2048 952]"},
		{"1..5000+1", "isl > 9999", 0, "[]"},
	} {
		cfg := loadConfig(t, s, l, map[string]string{"isl": test.isl, "page_size": "16"}, true)
		options := sweep.Options{Columns: []string{"isl"}, Format: rows(1), Where: test.where, Top: test.top}
		sweep, left, err := sweep.New([]plan.Item{{Request: &plan.Request{Model: m, Config: cfg}, Planner: planner}}, options)
		if err != nil || left != nil {
			t.Fatal(err, left)
		}
		for _, processors := range []int{1, 2, 3, 64} {
			runtime.GOMAXPROCS(processors)
			var out portions
			if _, err := sweep.Run(context.Background(), &out, func(uint64) {}); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(out); got != test.want {
				t.Errorf("%+v on %d processors: rows come in %s, want %s", test, processors, got, test.want)
			}
		}
	}
}

// ranks returns a sweep that uses rank accounting. text is a CUE file that contains the
// model.
func ranks(t *testing.T, text string, values map[string]string) *sweep.Sweep {
	t.Helper()
	file := filepath.Join(t.TempDir(), "model.cue")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s := load(t)
	l := model.NewLoader(s, cueschema.Files, models.Files)
	m, err := l.Model(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	planner, err := plan.New(s, s.Nixlbench.Default, m.Arch, plan.Use{Rank: true})
	if err != nil {
		t.Fatal(err)
	}
	values["accounting"] = "rank"
	cfg := loadConfig(t, s, l, values, true)
	sweep, left, err := sweep.New([]plan.Item{{Request: &plan.Request{Model: m, Config: cfg}, Planner: planner}}, sweep.Options{Columns: []string{"tp_size", "isl"}, Format: rows(2)})
	if err != nil || left != nil {
		t.Fatal(err, left)
	}
	return sweep
}

// TestSweepForgets checks that values computed from the layers at one point are not used
// when evaluating the next point.
func TestSweepForgets(t *testing.T) {
	sweep := ranks(t, `early: {
	match: "early"
	#params: model_name!: string
	requires: [{require: "tp_size == 1 or kv_bytes_per_token > 0", message: "no bytes"}]
	cache: {
		layers: "4"
		groups: all: {kind: "full", kv_heads: "8", head_dim: "64"}
	}
}
model: model_name: "EARLY"
`, map[string]string{"tp": "1,2", "isl": "1000,2000", "page_size": "16"})
	var out bytes.Buffer
	o, err := sweep.Run(context.Background(), &out, func(uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	if want := "1|1000\n1|2000\n"; out.String() != want {
		t.Errorf("rows are %q, want %q", out.String(), want)
	}
	if len(o.Failed) != 1 || o.Failed[0].Count != 2 || !strings.Contains(o.Failed[0].Err.Error(), `"kv_bytes_per_token" is not set`) {
		t.Errorf("failed are %+v, want both points of 2 ranks", o.Failed)
	}
}

// TestSweepWarnings checks that warnings are always in the same order, and that they
// count points, not occurrences.
func TestSweepWarnings(t *testing.T) {
	// Every layer stores packed fp8 records, which exist only on some GPUs, so each group
	// causes a warning. The layers in the group "even" differ in size.
	text := `twice: {
	match: "twice"
	#params: model_name!: string
	cache: {
		layers: "4"
		groups: {
			odd: {kind: "latent", where: "layer % 2 == 1", latent_dim: "512", rope_dim: "64", packed_fp8: "true"}
			even: {kind: "latent", where: "layer % 2 == 0", latent_dim: "256 + layer", rope_dim: "64", packed_fp8: "true"}
		}
	}
}
model: model_name: "TWICE"
`
	sweep := ranks(t, text, map[string]string{"kvcache_quant_mode": "fp8", "isl": "1000,2000,3000", "page_size": "16"})
	for range 20 {
		o, err := sweep.Run(context.Background(), io.Discard, func(uint64) {})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, w := range o.Warned {
			words := strings.Fields(w.Err.Error())
			got = append(got, fmt.Sprint(words[slices.Index(words, "group")+1], w.First, w.Count))
		}
		if want := []string{"even:0 3", "odd:0 3"}; !slices.Equal(got, want) {
			t.Fatalf("warned about %q, want %q", got, want)
		}
	}
}

// small runs a sweep of 5 x 4 points with simple numbers: the K and V of 8 heads with 128
// one-byte elements in 36 layers take 73728 B/token, and a block is 73728 / tp * page.
func small(t testing.TB, fit bool, options sweep.Options) (*sweep.Outcome, string, error) {
	t.Helper()
	s, l, m, planner := qwen(t)
	cfg := loadConfig(t, s, l, map[string]string{"tp": "1..16x2", "page_size": "1,2,3,4", "isl": "100"}, true)
	options.Format = rows(len(options.Columns))
	sweep, left, err := sweep.New([]plan.Item{{Request: &plan.Request{Model: m, Config: cfg, Fit: fit}, Planner: planner}}, options)
	if err != nil || left != nil {
		return nil, "", err
	}
	var out bytes.Buffer
	o, err := sweep.Run(context.Background(), &out, func(uint64) {})
	return o, out.String(), err
}

// TestSweepChoice checks filtering, sorting and limiting the rows.
func TestSweepChoice(t *testing.T) {
	for _, test := range []struct {
		options sweep.Options
		want    string
		points  uint64
	}{
		{sweep.Options{Columns: []string{"tp_size", "page_size"}, Top: 5}, "1|1 1|2 1|3 1|4 2|1", 5},
		{sweep.Options{Columns: []string{"tp_size", "block_size"}, Where: "block_size == 73728"}, "1|73728 2|73728 4|73728", 20},
		{sweep.Options{Columns: []string{"tp_size", "page_size"}, Where: "tp_size * page_size > 47"}, "16|3 16|4", 20},
		{sweep.Options{Columns: []string{"tp_size"}, Where: "tp_size > 99"}, "", 20},
		{sweep.Options{Columns: []string{"page_size", "tp_size"}, Sort: []sweep.SortKey{{Column: "page_size"}, {Column: "tp_size", Down: true}}, Top: 3}, "1|16 1|8 1|4", 20},
		// Rows with equal keys stay in order.
		{sweep.Options{Columns: []string{"block_size", "tp_size"}, Sort: []sweep.SortKey{{Column: "block_size", Down: true}}, Top: 5}, "294912|1 221184|1 147456|1 147456|2 110592|2", 20},
		{sweep.Options{Columns: []string{"block_size", "tp_size"}, Sort: []sweep.SortKey{{Column: "block_size"}}, Where: "page_size == 1 or page_size == 4 and tp_size > 4"},
			"4608|16 9216|8 18432|4 18432|16 36864|2 36864|8 73728|1", 20},
		{sweep.Options{Columns: []string{"model_name", "total_buffer_size", "layer_bytes", "num_model_params", "nixlbench_config_file"}, Top: 1}, "QWEN3_8B|8589934592|2048|8200000000|", 1},
		{sweep.Options{Columns: []string{"tp_size"}, Sort: []sweep.SortKey{{Column: "model_name"}}, Top: 2}, "1 1", 20},
	} {
		for _, fit := range []bool{false, true} {
			if fit && slices.Contains(test.options.Columns, "nixlbench_config_file") {
				continue // the release used with fit has this flag
			}
			o, out, err := small(t, fit, test.options)
			if err != nil {
				t.Errorf("%+v: %v", test.options, err)
				continue
			}
			if got := strings.Join(strings.Fields(out), " "); got != test.want || o.Points != test.points {
				t.Errorf("%+v gives %q of %d points, want %q of %d", test.options, got, o.Points, test.want, test.points)
			}
			if n := uint64(len(strings.Fields(test.want))); o.Rows != n {
				t.Errorf("the outcome has %d rows, want %d", o.Rows, n)
			}
		}
	}
}

// TestSweepWrong checks that invalid conditions, columns and sort keys are reported
// before the first row.
func TestSweepWrong(t *testing.T) {
	for _, test := range []struct {
		options sweep.Options
		want    string
	}{
		{sweep.Options{Where: "tp * 2 > 1"}, `formula of --where: unknown name "tp"`},
		{sweep.Options{Where: "tp_size"}, "formula of --where: yields a number, not true or false"},
		{sweep.Options{Where: "tp_size >"}, "formula of --where: unexpected end of formula"},
		{sweep.Options{Columns: []string{"tp_sise"}}, `--columns: there is no column "tp_sise"`},
		{sweep.Options{Columns: []string{"dtypes"}}, `--columns: there is no column "dtypes"`},
		{sweep.Options{Columns: []string{""}}, `--columns: there is no column ""`},
		{sweep.Options{Columns: []string{"rank_bytes"}}, `--columns: there is no column "rank_bytes"`},
		{sweep.Options{Columns: []string{"isl"}, Sort: []sweep.SortKey{{Column: "block"}}}, `--sort: there is no column "block"`},
	} {
		_, _, err := small(t, false, test.options)
		if err == nil || err.Error() != test.want {
			t.Errorf("%+v gives %v, want %s", test.options, err, test.want)
		}
	}
	if o, out, err := small(t, false, sweep.Options{Columns: []string{"tp_size"}, Where: "div(1, tp_size - 2) == 0 and page_size == 1"}); err != nil ||
		strings.Join(strings.Fields(out), " ") != "4 8 16" || len(o.Failed) != 1 || o.Failed[0].Count != 4 ||
		!strings.Contains(o.Failed[0].Err.Error(), "division by zero") {
		t.Errorf("a condition that fails for some points yields %q, %+v, %v", out, o, err)
	}
}

// failing is a writer that fails after some rows.
type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errors.New("full")
	}
	return len(p), nil
}

// TestSweepEnds checks that a huge sweep stops early if it is canceled, if writing
// fails, or if it has written the requested rows.
func TestSweepEnds(t *testing.T) {
	s, l, m, planner := qwen(t)
	cfg := loadConfig(t, s, l, map[string]string{"tp": "1..100+1", "isl": "1..10000+1", "page_size": "1..10000+1", "num_requests": "1..100+1"}, true)
	item := plan.Item{Request: &plan.Request{Model: m, Config: cfg}, Planner: planner}
	make := func(top uint64) *sweep.Sweep {
		sweep, _, err := sweep.New([]plan.Item{item}, sweep.Options{Columns: []string{"tp_size"}, Format: rows(1), Top: top})
		if err != nil || sweep.Points != 1_000_000_000_000 {
			t.Fatal(sweep, err)
		}
		return sweep
	}
	ctx, cancel := context.WithCancel(context.Background())
	var out bytes.Buffer
	if _, err := make(0).Run(ctx, &out, func(n uint64) { cancel() }); !errors.Is(err, context.Canceled) || out.Len()%2 != 0 || out.Len() == 0 {
		t.Errorf("a canceled sweep returns %v and writes %d bytes", err, out.Len())
	}
	if _, err := make(0).Run(context.Background(), &failing{3}, func(uint64) {}); err == nil || err.Error() != "full" {
		t.Errorf("if writing fails, the sweep returns %v", err)
	}
	out.Reset()
	if o, err := make(5000).Run(context.Background(), &out, func(uint64) {}); err != nil || o.Rows != 5000 || out.Len() != 10000 {
		t.Errorf("the first 5000 rows are %d bytes, %+v, %v", out.Len(), o, err)
	}
	big := loadConfig(t, s, l, map[string]string{"tp": "1..10000+1", "pp": "1..10000+1", "isl": "1..10000+1", "page_size": "1..10000+1", "num_requests": "1..10000+1"}, true)
	if _, _, err := sweep.New([]plan.Item{{Request: &plan.Request{Model: m, Config: big}, Planner: planner}}, sweep.Options{}); err == nil {
		t.Error("10^20 points are taken")
	}
}
