package transfer_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/transfer"
)

// side describes the ranks on one side of a transfer. dp is the number of groups in
// data-parallel attention, or 0 if it is off. cut is the number of layers in the first of two
// pipeline stages, or 0 if the engine divides the layers.
type side struct{ tp, pp, dp, cut int }

// layout is a transfer of num requests, with isl tokens each, between two sides.
type layout struct {
	from, to side
	isl, num int
	more     string
}

// layouts lists the transfers that TestConservation tries with every model and engine.
var layouts = []layout{
	{side{1, 1, 0, 0}, side{1, 1, 0, 0}, 4999, 1, ""},
	{side{8, 1, 0, 0}, side{8, 1, 0, 0}, 4999, 3, "page_size=16 contiguous_pages=4"},
	{side{2, 1, 0, 0}, side{8, 1, 0, 0}, 2500, 2, "page_size=64"},
	{side{8, 1, 0, 0}, side{2, 1, 0, 0}, 2500, 1, "page_size=32"},
	{side{16, 1, 0, 0}, side{4, 1, 0, 0}, 4999, 1, "page_size=256"},
	{side{4, 1, 0, 0}, side{16, 1, 0, 0}, 100, 1, ""},
	{side{2, 1, 0, 0}, side{4, 1, 0, 0}, 4096, 1, "page_size=32 decode_page_size=64"},
	{side{4, 4, 0, 0}, side{4, 1, 0, 0}, 2500, 1, ""},
	{side{2, 3, 0, 0}, side{4, 1, 0, 0}, 2500, 2, "page_size=32"},
	{side{4, 1, 0, 0}, side{2, 4, 0, 0}, 2500, 1, ""},
	{side{4, 3, 0, 0}, side{2, 3, 0, 0}, 2500, 1, "page_size=64"},
	{side{2, 3, 0, 0}, side{2, 2, 0, 0}, 2500, 1, "page_size=64"},
	{side{2, 2, 0, 3}, side{2, 1, 0, 0}, 2500, 1, ""},
	{side{2, 1, 0, 0}, side{1, 2, 0, 5}, 2500, 1, ""},
	{side{4, 1, 2, 0}, side{8, 1, 4, 0}, 2500, 7, "page_size=16"},
	{side{4, 1, 4, 0}, side{2, 1, 2, 0}, 2500, 3, "page_size=64"},
	{side{8, 1, 0, 0}, side{8, 1, 8, 0}, 2500, 5, ""},
	{side{2, 2, 2, 0}, side{2, 1, 1, 0}, 2500, 3, ""},
}

// flags returns the flags of a side. Their names begin with prefix.
func (s side) flags(prefix string, layers int) string {
	text := fmt.Sprintf(" %[1]stp=%[2]d %[1]spp=%[3]d %[1]sdp_attention=%[4]t", prefix, s.tp, s.pp, s.dp > 0)
	if s.dp > 0 {
		text += fmt.Sprintf(" %sdp_size=%d", prefix, s.dp)
	}
	if s.cut > 0 {
		text += fmt.Sprintf(" %spp_layers=%d,%d", prefix, s.cut, layers-s.cut)
	}
	return text
}

func (s side) groups() int { return max(s.dp, 1) }

// each returns the number of ranks that divide the heads for a request.
func (s side) each() int { return s.tp / s.groups() }

// number returns the number of a rank that serves a request. Requests go to the groups in
// turn.
func (s side) number(stage, request, rank int) int {
	return stage*s.tp + request%s.groups()*s.each() + rank
}

// stageOf returns the stage of a layer. If the layers do not divide evenly, some stages
// have one extra layer. Which stages these are depends on the engine.
func (s side) stageOf(layer int, engine string, layers int) int {
	if s.cut > 0 {
		return min(layer/s.cut, 1)
	}
	extra := layers % s.pp
	first := map[string]int{"TRTLLM": 0, "SGLANG": s.pp - extra, "VLLM": s.pp - 1 - extra}[engine]
	for stage, end := 0, 0; ; stage++ {
		end += layers / s.pp
		if stage >= first && stage < first+extra {
			end++
		}
		if layer < end {
			return stage
		}
	}
}

// held returns the range of bytes that a rank holds if there are size bytes in all and
// each rank holds n of them. Ranks with copies of the same bytes have consecutive numbers.
func held(rank, ranks int, n, size int64) (begin, end int64) {
	copies := n * int64(ranks) / size
	begin = int64(rank) / copies * n
	return begin, begin + n
}

// trial is a transfer of a model's cache. flags does not include the layout's flags.
type trial struct {
	*testing.T
	*world
	layout
	name, engine, flags string
	model               *model.Model
	layers              int
	stores              map[string]map[piece]stored // keyed by flags
}

func (m *trial) wrong(format string, args ...any) {
	m.Errorf("%s %s %+v: %s", m.name, m.flags, m.layout, fmt.Sprintf(format, args...))
}

// unpadded turns off the padding of groups of layers in vLLM.
const unpadded = "window=in_use access_pattern=layer"

// TestConservation checks, for all models and engines, that each pair of ranks moves exactly
// the bytes that both ranks hold, and that each decode rank receives all bytes that it
// holds, and receives them only once unless the engine sends copies. With KVBENCH_FULL, it
// tries all layouts with the newest releases, and some layouts with older releases.
func TestConservation(t *testing.T) {
	w := newWorld(t)
	entries, err := w.models.Entries(nil)
	if err != nil {
		t.Fatal(err)
	}
	newest, older := 29, 151 // one in how many transfers to try
	full := os.Getenv("KVBENCH_FULL") != ""
	if full {
		newest, older = 1, 13
	}
	modes := []string{"SGLANG", "TRTLLM", "VLLM", "VLLM " + unpadded}
	tried, done := 0, map[string]int{}
	for _, e := range entries {
		model, err := w.models.Model(e.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := &trial{T: t, world: w, name: e.Name, flags: "engine=SGLANG", model: model, stores: map[string]map[piece]stored{}}
		m.store("") // sets the number of layers
		for _, mode := range modes {
			m.engine, _, _ = strings.Cut(mode, " ")
			releases := w.schema.Cache.Get().Releases[m.engine]
			for i, release := range releases {
				every := older
				if i == len(releases)-1 {
					every = newest
				}
				m.flags = fmt.Sprintf("engine=%s engine_release=%s", mode, release)
				for j := range layouts {
					m.layout = layouts[j]
					if tried++; tried%every == 0 {
						result := m.conserves()
						done[result]++
						done[mode+" "+result]++
						done[fmt.Sprint(j, " ", result)]++
					}
				}
			}
		}
	}
	few := done["padded"] == 0
	for _, mode := range modes {
		few = few || done[mode+" exact"] == 0
	}
	for j := range layouts {
		few = few || full && done[fmt.Sprint(j, " exact")] == 0
	}
	if few {
		t.Errorf("too few transfers were checked: %v", done)
	}
}

// conserves checks a transfer. It returns "refused" if the engine rejects the transfer, or
// else a word that says how well the bytes are known.
func (m *trial) conserves() string {
	flags := fmt.Sprintf("%s isl=%d num_requests=%d %s%s%s", m.flags, m.isl, m.num, m.more, m.from.flags("", m.layers), m.to.flags("decode_", m.layers))
	p, req := m.request(m, m.name, flags, plan.Use{Rank: true, Detail: true, Transfer: true, Slowest: true}) // as the command does
	t, err := transfer.Of(p, req)
	if err != nil {
		return "refused"
	}
	rows, err := p.Quantities(req)
	if err != nil {
		m.Fatal(err)
	}
	m.addsUp(t, rows[0])
	all, err := m.transfer(m, m.name, flags)
	if err != nil || !slices.Equal(transfer.Pairs(all), t.Pairs) {
		m.wrong("pairs %v, but %v if plans for all pairs are made (%v)", t.Pairs, transfer.Pairs(all), err)
	}
	page, _ := t.Request.Config.Values["page_size"].Num.Int64()
	pieces, certain := m.pieces(page)
	switch {
	case !certain:
		return "uncertain"
	case m.padded(pieces):
		m.fills(t, page)
		return "padded"
	}
	m.matches(t, pieces)
	size := int64(0)
	for l, n := range pieces {
		size += l.whole * l.pages * n
	}
	if v, _ := rows[0].Value("request_bytes"); v.Num.Num() != size {
		m.wrong("a request has %s bytes, want %d", v.Text(), size)
	}
	return "exact"
}

// addsUp checks that all totals of a transfer are equal, including those in a sweep's row.
func (m *trial) addsUp(t *transfer.Transfer, row *plan.Plan) {
	type sum struct{ pairs, bytes, descriptors int64 }
	var pairs, sources, destinations sum
	ranks := map[[2]int]bool{}
	for _, p := range t.Pairs {
		ranks[[2]int{p.Source, p.Destination}] = true
		pairs = sum{int64(len(ranks)), pairs.bytes + p.Bytes, pairs.descriptors + p.Descriptors}
		// If a descriptor moves several pages, the last one may move fewer.
		if n := p.Descriptors * p.DescriptorBytes; n != p.Bytes && (!strings.Contains(m.more, "contiguous") || n < p.Bytes || n > 2*p.Bytes) {
			m.wrong("%+v: the descriptors have %d bytes", p, n)
		}
	}
	add := func(s *sum, l transfer.Load) {
		*s = sum{s.pairs + int64(l.Pairs), s.bytes + l.Bytes, s.descriptors + l.Descriptors}
	}
	for _, r := range t.Sources {
		add(&sources, r.Load)
	}
	for _, r := range t.Destinations {
		add(&destinations, r.Load)
	}
	value := func(name string) int64 { v, _ := row.Value(name); return v.Num.Num() }
	swept := sum{value("pairs"), value("all_bytes"), value("all_descriptors")}
	if all := (sum{int64(t.All.Pairs), t.All.Bytes, t.All.Descriptors}); pairs != all || sources != all || destinations != all || swept != all {
		m.wrong("total %v, but pairs %v, sources %v, destinations %v, sweep %v", all, pairs, sources, destinations, swept)
	}
	for _, s := range t.Shapes {
		var both []int
		for layer := range m.layers {
			if from, to := m.stagesOf(layer); from == s.Source && to == s.Destination {
				both = append(both, layer)
			}
		}
		if len(both) == 0 || s.Layers != fmt.Sprintf("layers %d to %d", both[0], both[len(both)-1]) && s.Layers != fmt.Sprintf("layer %d", both[0]) {
			m.wrong("stages %d and %d have %s in common, want %v", s.Source, s.Destination, s.Layers, both)
		}
	}
}

func (m *trial) stagesOf(layer int) (from, to int) {
	return m.from.stageOf(layer, m.engine, m.layers), m.to.stageOf(layer, m.engine, m.layers)
}

// piece is a part of a layer, such as its keys.
type piece struct {
	layer       int
	group, part string
}

// stored describes a piece on one rank: the bytes per page or, if the piece is not divided
// into pages, per request.
type stored struct {
	kind, per    string
	bytes, pages int64
}

// store returns what each rank of a single stage stores.
func (m *trial) store(flags string) map[piece]stored {
	flags = m.flags + " " + flags
	if all, ok := m.stores[flags]; ok {
		return all
	}
	p, req := m.request(m, m.name, flags, plan.Use{Rank: true, Detail: true})
	tables, err := p.ExplainLayers(req)
	if err != nil {
		m.Fatalf("%s %s: %v", m.name, flags, err)
	}
	page, _ := tables[0].Plan.Request.Config.Values["page_size"].Num.Int64()
	all := map[piece]stored{}
	for _, row := range tables[0].Rows {
		for _, part := range row.Parts {
			n := part.Bytes.Num.Num()
			if row.Per == "token" || row.Per == "encoder_token" {
				n *= page
			}
			for _, layer := range row.Layers {
				all[piece{layer, row.Group, part.Name}] = stored{row.Kind, row.Per, n, row.Pages.Num.Num()}
			}
		}
	}
	m.layers, m.stores[flags] = tables[0].Count(), all
	return all
}

// shared describes a piece that both sides hold. Several layers can have the same piece.
type shared struct {
	group, part, kind, per string
	whole, sent, got       int64 // bytes of a page: of the whole piece, and on a rank of each side
	pages                  int64
	from, to               int // the stages
}

// pieces returns the pieces of a model, and how many layers have them. It also reports
// whether it is known for certain what the ranks have in common.
func (m *trial) pieces(page int64) (pieces map[shared]int64, certain bool) {
	flags := fmt.Sprintf("isl=%d page_size=%d", m.isl, page)
	whole := m.store(flags)
	if m.engine == "VLLM" && !strings.Contains(m.flags, unpadded) {
		flags += " window=transfer"
	}
	ranks, otherRanks := int64(m.from.each()), int64(m.to.each())
	sent, got := m.store(fmt.Sprint(flags, " tp=", ranks)), m.store(fmt.Sprint(flags, " tp=", otherRanks))
	pieces, certain = map[shared]int64{}, true
	for p, s := range whole {
		if s.bytes == 0 {
			continue
		}
		from, to := m.stagesOf(p.layer)
		l := shared{p.group, p.part, s.kind, s.per, s.bytes, sent[p].bytes, got[p].bytes, m.pagesOf(p, s, page), from, to}
		pieces[l]++
		// It is not known how engines move copies of states between different numbers of ranks. With
		// padded groups, the number of ranks may also affect the page sizes.
		copied := s.per == "request" && s.kind != "compressor" && (l.sent*ranks != l.whole || l.got*otherRanks != l.whole)
		if copied && ranks != otherRanks || sent[p].pages != got[p].pages {
			certain = false
		}
	}
	return pieces, certain
}

// pagesOf returns the number of pages that a request uses for a piece.
func (m *trial) pagesOf(p piece, s stored, page int64) int64 {
	if s.per != "token" {
		return s.pages
	}
	field := func(name string) int64 {
		text := m.model.Arch.Layers.Groups[p.group].Fields[name].Text
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
		return m.model.Params[text].Num.Num()
	}
	windows := []string{"gemma_4", "gpt_oss", "llama4", "mimo", "step_3"} // the models for which SGLang has windows
	tokens := int64(m.isl)
	if m.engine != "SGLANG" || slices.ContainsFunc(windows, func(s string) bool { return strings.HasPrefix(m.name, s) }) {
		switch s.kind {
		case "sliding":
			tokens = min(tokens, field("window"))
		case "chunked":
			tokens = (tokens-1)%field("chunk") + 1
		}
	}
	return (tokens + page - 1) / page
}

// matches checks that each pair of ranks moves what both ranks hold.
func (m *trial) matches(t *transfer.Transfer, pieces map[shared]int64) {
	groups := map[[2]int][]string{} // the groups of layers that a pair of ranks moves
	moved, want := map[[2]int]int64{}, map[[2]int]int64{}
	for _, p := range t.Pairs {
		ranks := [2]int{p.Source, p.Destination}
		groups[ranks] = append(groups[ranks], strings.Split(p.Group, "+")...)
		moved[ranks] += p.Bytes
	}
	for request := range m.num {
		for l, layers := range pieces {
			for rank := range m.to.each() {
				to := m.to.number(l.to, request, rank)
				begin, end := held(rank, m.to.each(), l.got, l.whole)
				step := min(l.sent, l.got)
				received := make([]int64, (end-begin)/step) // how often each step of the rank's bytes arrives
				for source := range m.from.each() {
					ranks := [2]int{m.from.number(l.from, request, source), to}
					if g := groups[ranks]; !slices.Contains(g, l.group) && !slices.Contains(g, l.group+"."+l.part) {
						continue
					}
					first, last := held(source, m.from.each(), l.sent, l.whole)
					for i := range received {
						if at := begin + int64(i)*step; first <= at && at < last {
							received[i]++
							want[ranks] += step * l.pages * layers
						}
					}
				}
				if copies := m.copies(l); slices.ContainsFunc(received, func(n int64) bool { return n != copies }) {
					m.wrong("%+v: rank %d receives its bytes %d times, want %d", l, to, received, copies)
					return
				}
			}
		}
	}
	if !maps.Equal(moved, want) {
		m.wrong("pairs move %v, want %v", moved, want)
	}
}

// copies returns how many times a rank receives the bytes of a piece. In SGLang, every
// rank with a copy of a head sends that copy.
func (m *trial) copies(l shared) int64 {
	sources := int64(m.from.each() / m.to.each())
	if m.engine == "SGLANG" && sources > 1 && slices.Contains([]string{"full", "sliding", "chunked", "cross"}, l.kind) {
		return sources * l.sent / l.got
	}
	return 1
}

// padded reports whether the engine may pad groups of layers.
func (m *trial) padded(pieces map[shared]int64) bool {
	if m.engine != "VLLM" || strings.Contains(m.flags, unpadded) {
		return false
	}
	for l := range pieces {
		if l.per != "token" || l.kind == "sliding" || l.kind == "chunked" {
			return true
		}
	}
	return false
}

// fills checks that each decode rank receives as much as rank accounting counts for it.
func (m *trial) fills(t *transfer.Transfer, page int64) {
	flags := fmt.Sprintf("%s window=transfer isl=%d num_requests=1 page_size=%d tp=%d", m.flags, m.isl, page, m.to.each())
	p, req := m.request(m, m.name, flags, plan.Use{Rank: true, Detail: true})
	plans, err := p.Quantities(req)
	if err != nil {
		m.Fatalf("%s %s: %v", m.name, flags, err)
	}
	size, _ := plans[0].Value("rank_bytes")
	want, got := map[int]int64{}, map[int]int64{}
	for request := range m.num {
		for rank := range m.to.each() {
			want[m.to.number(0, request, rank)] += size.Num.Num()
		}
	}
	for _, r := range t.Destinations {
		got[r.Rank] = r.Bytes
	}
	if !maps.Equal(got, want) {
		m.wrong("decode ranks receive %v, want %v", got, want)
	}
}
