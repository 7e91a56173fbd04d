package plan_test

import (
	"fmt"
	"math"
	"os"
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
	"kvbench/models"
)

// layouts lists the flags that TestRankInvariants tries with every model and engine.
var layouts = []string{
	"isl=1000 osl=0 kv_memory=40000000000 kvcache_quant_mode=bf16",
	"isl=1 page_size=1 num_requests=2 kv_memory=300000000 kvcache_quant_mode=bf16 access_pattern=block",
	"tp=2 isl=16 page_size=16 num_requests=3 kv_memory=1000000000 kvcache_quant_mode=bf16 access_pattern=layer",
	"tp=2 isl=129 osl=900 page_size=64 kv_memory=100000000 kvcache_quant_mode=fp8 access_pattern=layer-kv",
	"tp=4 isl=4097 osl=0 page_size=16 num_requests=7 kv_memory=50000000000 kvcache_quant_mode=nvfp4",
	"tp=8 isl=8192 page_size=32 kv_memory=1000000000 kvcache_quant_mode=fp8_per_token_head access_pattern=block",
	"tp=16 isl=8193 osl=300 page_size=256 num_requests=5 kv_memory=80000000000 kvcache_quant_mode=fp8",
	"tp=32 isl=99999 kv_memory=80000000000 kvcache_quant_mode=mxfp4 access_pattern=layer",
	"tp=16 cp_size=2 isl=4099 page_size=16 num_requests=2 kv_memory=1000000000 kvcache_quant_mode=bf16",
	"tp=8 dp_attention=true isl=1025 page_size=32 num_requests=13 kv_memory=1000000000 kvcache_quant_mode=bf16 access_pattern=block",
	"tp=8 dp_attention=true dp_size=2 isl=700 page_size=16 num_requests=13 kv_memory=10000000000 kvcache_quant_mode=fp8 access_pattern=layer",
	"pp=2 isl=5000 osl=0 kv_memory=1000000000 kvcache_quant_mode=bf16",
	"tp=2 pp=3 isl=2500 osl=7 page_size=16 num_requests=2 kv_memory=4000000000 kvcache_quant_mode=fp8 access_pattern=block",
	"pp=5 isl=128 osl=0 page_size=64 kv_memory=10000000000 kvcache_quant_mode=fp32 access_pattern=layer-kv",
	"tp=4 pp=2 pp_layers=5,REST isl=2049 page_size=16 num_requests=4 kv_memory=1000000000 kvcache_quant_mode=bf16 access_pattern=layer",
	"draft=mtp isl=3000 page_size=16 num_requests=2 kv_memory=2000000000 kvcache_quant_mode=bf16",
	"draft=mtp tp=2 pp=3 isl=3000 osl=0 page_size=64 kv_memory=2000000000 kvcache_quant_mode=fp8 access_pattern=layer",
}

// accounts checks the rank accounting of a model in a layout.
type accounts struct {
	*testing.T
	schema                                      *schema.Schema
	configs                                     *config.Loader
	planners                                    *plan.Planners
	model                                       *model.Model
	bases                                       map[string][]cached // keyed by flags
	stored                                      []cached            // on a single rank, in bf16
	name, engine, window, flags                 string
	tp, pp, dp, cp, page, isl, osl, num, memory int
	format, pattern                             string
	layers, cut                                 int // the number of layers without drafts, and of those before a cut
}

func (m *accounts) wrong(format string, args ...any) {
	m.Errorf("%s %s: %s", m.name, m.flags, fmt.Sprintf(format, args...))
}

func (m *accounts) request(flags string) (*plan.Planner, *plan.Request) {
	var overrides []config.Override
	for word := range strings.FieldsSeq(flags + " accounting=rank") {
		flag, text, _ := strings.Cut(word, "=")
		i := slices.IndexFunc(m.schema.Fields, func(f schema.Field) bool { return f.Flag == flag })
		overrides = append(overrides, config.Override{Path: m.schema.Fields[i].Path, Text: text, Origin: data.Origin{Kind: data.FromFlag, Name: flag}})
	}
	c, err := m.configs.Config("", nil, "", overrides)
	if err != nil {
		m.Fatal(err)
	}
	p, err := m.planners.For(m.model.Arch, plan.Use{Rank: true, Detail: true})
	if err != nil {
		m.Fatal(err)
	}
	return p, &plan.Request{Model: m.model, Config: c.With(m.model.Arch, m.model.Defaults)}
}

// hold checks a layout. It returns false if the engine rejects the layout, or if this test does
// not know what the layers store.
func (m *accounts) hold(release, layout string, thorough bool) bool {
	m.flags = fmt.Sprintf("engine=%s engine_release=%s draft=none", m.engine, release)
	m.layers = 0
	for _, c := range m.base(m.flags) {
		m.layers = max(m.layers, c.layer+1)
	}
	if m.stored = m.base(m.flags); strings.Contains(layout, "draft=mtp") {
		m.stored = m.base(m.flags + " draft=mtp")
	}
	m.cut = 0
	if strings.Contains(layout, "pp_layers=5") {
		m.cut = 5
	}
	m.flags += fmt.Sprintf(" window=%s max_num_batched_tokens=%d concurrent_batches=1 pp_stage=all %s", m.window, inFlight, strings.ReplaceAll(layout, "REST", fmt.Sprint(m.layers-m.cut)))
	p, req := m.request(m.flags)
	plans, err := p.Quantities(req)
	if err != nil {
		return false
	}
	for name, to := range map[string]*int{"tp_size": &m.tp, "pp_size": &m.pp, "dp_size": &m.dp, "cp_size": &m.cp, "page_size": &m.page, "isl": &m.isl, "osl": &m.osl, "num_requests": &m.num, "kv_memory": &m.memory} {
		*to = value(plans[0], name)
	}
	format, _ := plans[0].Value("kvcache_quant_mode")
	pattern, _ := plans[0].Value("access_pattern")
	m.format, m.pattern = format.Str, pattern.Str
	if on, _ := plans[0].Value("dp_attention"); !on.Bool {
		m.dp = 1
	} else if m.dp == 0 {
		m.dp = m.tp
	}
	if thorough {
		m.fitsExactly(plans[len(plans)-1])
	}
	one := *m
	one.cp = 1
	all, whole := m.ranks(m.tp/m.dp), one.ranks(1)
	if all == nil || whole == nil {
		return false
	}
	model, modelWith := one.count(whole, -1, m.isl), one.count(whole, -1, m.isl+m.osl)
	requests := ceil(m.num, m.dp)
	for stage := range m.pp {
		n, with := m.count(all, stage, m.isl), m.count(all, stage, m.isl+m.osl)
		bytes, ios := 0, 0
		var pl *plan.Plan
		for _, one := range plans {
			if one.Stage() == stage {
				pl = one
				bytes += value(pl, "block_size") * value(pl, "batch_size")
				ios += value(pl, "batch_size")
			}
		}
		if bytes != n.moved*requests {
			m.wrong("stage %d: I/Os move %d bytes, want %d", stage, bytes, n.moved*requests)
		}
		if want := map[string]int{"layer": n.pages, "layer-kv": n.parts}[m.pattern]; want > 0 && ios != want*requests {
			m.wrong("stage %d: %d I/Os, want %d", stage, ios, want*requests)
		}
		if pl == nil {
			continue // the stage's layers store nothing
		}
		up := func(x float64) int { return int(math.Ceil(x)) }
		for name, want := range map[string]int{
			"rank_requests": requests, "rank_bytes": n.moved * requests, "rank_request_bytes": n.held, "rank_request_bytes_with_output": with.held,
			"rank_bytes_per_token": up(n.token), "rank_growing_bytes_per_token": up(n.grows), "rank_state_bytes_per_request": n.state,
			"request_bytes": model.held, "request_bytes_with_output": modelWith.held, "kv_bytes_per_token": up(model.token), "growing_bytes_per_token": up(model.grows),
			"state_bytes_per_request": model.state, "encoder_bytes_per_request": model.encoder, "draft_bytes_per_token": model.draft, "fit_requests": m.fits(all, stage, m.isl+m.osl),
		} {
			padded := m.window == "transfer" || m.window == "allocated"
			if got := value(pl, name); got != want && (name != "draft_bytes_per_token" || got >= 0 && !padded) {
				m.wrong("stage %d: %s is %d, want %d", stage, name, got, want)
			}
		}
	}
	if thorough {
		m.addsUp(p, req, all)
		planned, err := p.Plans(req) // as for 'kvbench plan'
		if err != nil || !slices.EqualFunc(planned, plans, func(a, b *plan.Plan) bool { return slices.Equal(a.Quantities, b.Quantities) }) {
			m.wrong("plans with and without flags differ (%v)", err)
		}
	}
	return true
}

// fitsExactly checks that a request of fit_tokens fits, but not one that is longer.
func (m *accounts) fitsExactly(pl *plan.Plan) {
	fit := func(tokens int) int {
		p, req := m.request(fmt.Sprintf("%s isl=%d osl=0 pp_stage=%d", m.flags, tokens, pl.Stage()))
		plans, err := p.Quantities(req)
		if err != nil {
			m.Fatal(err)
		}
		return value(plans[0], "fit_requests")
	}
	at, longer := value(pl, "fit_tokens"), 1
	if m.window == "allocated" {
		longer = 2 * m.page // fit_tokens counts whole pages, even if other layers have smaller ones
	}
	if at > 0 && fit(at) == 0 {
		m.wrong("a request of %d tokens does not fit", at)
	}
	// A request of one more token can need less memory if it begins a chunk. fit_tokens counts states as
	// blocks, and the records of compressed attention in large pages.
	sure := m.window != "transfer" && !slices.ContainsFunc(m.stored, func(c cached) bool {
		return c.kind == "chunked" && m.window == "in_use" || c.per == "page"
	})
	if at >= 0 && sure && fit(at+longer) > 0 {
		m.wrong("a request of %d tokens also fits", at+longer)
	}
}

// addsUp checks that each layer is in one stage, and that sums over layers equal the plan's values.
func (m *accounts) addsUp(p *plan.Planner, req *plan.Request, all []cached) {
	tables, err := p.ExplainLayers(req)
	if err != nil {
		m.Fatal(err)
	}
	for _, t := range tables {
		listed, sums := map[string]bool{}, make([]formula.Rat, len(t.Sums))
		for _, row := range t.Rows {
			for _, layer := range row.Layers {
				listed[fmt.Sprint(layer, row.Group)] = true
			}
			for i := range sums {
				sums[i], _ = sums[i].Add(row.All[i].Num)
			}
		}
		for i, s := range t.Sums {
			if want := value(t.Plan, s.Name); int(sums[i].Ceil().Num()) != want {
				m.wrong("%s: the layers' %s add up to %v, want %d", t.Name(), s.Name, sums[i], want)
			}
		}
		for _, c := range all {
			if in := listed[fmt.Sprint(c.layer, c.group)]; in != (t.Whole || m.stageOf(c.layer) == t.Plan.Stage()) {
				m.wrong("%s: layer %d is listed: %t", t.Name(), c.layer, in)
			}
		}
	}
}

// value returns a value of a plan, or -1 if the plan does not have it.
func value(pl *plan.Plan, name string) int {
	v, ok := pl.Value(name)
	if !ok {
		return -1
	}
	return int(v.Num.Num())
}

// modes lists the engines, and which tokens of windowed layers are counted.
var modes = []string{"SGLANG in_use", "SGLANG all", "TRTLLM in_use", "TRTLLM all", "VLLM in_use", "VLLM transfer", "VLLM allocated", "VLLM all"}

// TestRankInvariants checks the rank accounting of all models and engines. From the bytes that a
// single rank stores for a token in bf16, it computes in its own way what a stage stores and
// moves in each layout, and how much fits in memory. With KVBENCH_FULL, it tries all layouts
// with the newest releases, and some layouts with older releases.
func TestRankInvariants(t *testing.T) {
	s := load(t)
	loader := model.NewLoader(s, cueschema.Files, models.Files)
	entries, err := loader.Entries(nil)
	if err != nil {
		t.Fatal(err)
	}
	newest, older := 19, 101 // one in how many layouts to try
	full := os.Getenv("KVBENCH_FULL") != ""
	if full {
		newest, older = 1, 9
	}
	m := &accounts{T: t, schema: s, configs: config.NewLoader(s, cueschema.Files), planners: plan.NewPlanners(s, s.Nixlbench.Default, "")}
	tried, held := 0, map[string]int{}
	for _, e := range entries {
		m.name, m.bases = e.Name, map[string][]cached{}
		if m.model, err = loader.Model(e.Name, nil); err != nil {
			t.Fatal(err)
		}
		for _, mode := range modes {
			m.engine, m.window, _ = strings.Cut(mode, " ")
			releases := s.Cache.Get().Releases[m.engine]
			for i, release := range releases {
				every := older
				if i == len(releases)-1 {
					every = newest
				}
				for j, layout := range layouts {
					if tried++; tried%every == 0 && m.hold(release, layout, full || tried%2 == 0) {
						held[mode]++
						held[fmt.Sprint("layout ", j)]++
					}
				}
			}
		}
	}
	if len(held) < len(modes)+len(layouts)*3/4 {
		t.Errorf("too few layouts were checked: %v", held)
	}
}
