package matrix_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/matrix"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/engine/transfer"
	"kvbench/models"
)

// A planned value makes movers for bundled models.
type planned struct {
	schema   *schema.Schema
	models   *model.Loader
	configs  *config.Loader
	planners *plan.Planners
}

func newPlanned(t testing.TB) *planned {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return &planned{s, model.NewLoader(s, cueschema.Files, models.Files), config.NewLoader(s, cueschema.Files), plan.NewPlanners(s, s.Nixlbench.Default, "")}
}

// mover returns the mover for a model with flags such as "tp=8 decode_tp=4".
func (p *planned) mover(t testing.TB, name, flags string) (*matrix.Mover, error) {
	t.Helper()
	planner, req := p.request(t, name, flags)
	return matrix.NewMover(planner, req)
}

func (p *planned) transfer(t testing.TB, name, flags string) (*plan.Transfer, error) {
	t.Helper()
	planner, req := p.request(t, name, flags)
	return planner.Transfer(req)
}

func (p *planned) request(t testing.TB, name, flags string) (*plan.Planner, *plan.Request) {
	t.Helper()
	m, err := p.models.Model(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	var overrides []config.Override
	for word := range strings.FieldsSeq(flags + " accounting=rank") {
		flag, text, _ := strings.Cut(word, "=")
		i := slices.IndexFunc(p.schema.Fields, func(f schema.Field) bool { return f.Flag == flag })
		if i < 0 {
			t.Fatalf("there is no flag %s", flag)
		}
		overrides = append(overrides, config.Override{Path: p.schema.Fields[i].Path, Text: text, Origin: data.Origin{Kind: data.FromFlag, Name: flag}})
	}
	c, err := p.configs.Config("", nil, "", overrides)
	if err != nil {
		t.Fatal(err)
	}
	planner, err := p.planners.For(m.Arch, plan.Use{Rank: true, Transfer: true, Slowest: true}) // as the command does
	if err != nil {
		t.Fatal(err)
	}
	return planner, &plan.Request{Model: m, Config: c.With(m.Arch, m.Defaults)}
}

// TestCells compares cells with tables that were computed by hand from the engines' source
// code. The Python KVBench divides a request's cache by the number of ranks. For the first
// model, its result is the same, 335,544,320. For the second model, whose KV heads are
// replicated, its result is 197,132,288, and for the third, whose latent cache is replicated,
// 71,958,528.
func TestCells(t *testing.T) {
	p := newPlanned(t)
	for _, test := range []struct {
		model string
		cell  int64
	}{
		{"llama3.1-70b", 335_544_320},
		{"qwen3-235b-a22b", 394_264_576},
		{"deepseek-r1", 575_668_224},
	} {
		for _, engine := range []string{"SGLANG", "VLLM", "TRTLLM"} {
			m, err := p.mover(t, test.model, "tp=4 decode_tp=8 page_size=32 kvcache_quant_mode=bf16 engine="+engine)
			if err != nil {
				t.Fatal(err)
			}
			g := &matrix.Generator{World: m.World(), Moves: m.Moves, MaxBatch: 1}
			if err := g.World.Fill(0, 0, 0); err != nil {
				t.Fatal(err)
			}
			dir, _, err := write(t, g, lengths(8192), func(*matrix.Writer) {})
			if err != nil {
				t.Fatal(err)
			}
			// Source rank q sends to destination ranks 2q and 2q+1, which are ranks 4+2q and
			// 5+2q of the world.
			var want strings.Builder
			for q := range 12 {
				for r := range 12 {
					n := int64(0)
					if q < 4 && r-4 >= 2*q && r-4 <= 2*q+1 {
						n = test.cell
					}
					fmt.Fprint(&want, n, map[bool]string{true: "\n", false: " "}[r == 11])
				}
			}
			if got := read(t, dir, "matrix_0.txt"); got != want.String() {
				t.Errorf("%s on %s:\n%swant\n%s", test.model, engine, got, want.String())
			}
		}
	}
}

// TestSums compares the row and column sums of matrices with the byte counts of transfers,
// for random models, engines, sides, workers and requests.
func TestSums(t *testing.T) {
	p := newPlanned(t)
	r := rand.New(rand.NewPCG(3, 4))
	names := []string{"llama3.1-70b", "qwen3-235b-a22b", "deepseek-r1", "gpt-oss-20b", "deepseek-v3.2", "qwen3-next-80b-a3b", "gemma-3-27b"}
	done := map[string]int{}
	for range 150 {
		name, engine := names[r.IntN(len(names))], []string{"SGLANG", "VLLM", "TRTLLM"}[r.IntN(3)]
		flags := fmt.Sprintf("engine=%s page_size=%d tp=%d decode_tp=%d pp=%d decode_pp=%d", engine, 16<<r.IntN(3), 1<<r.IntN(5), 1<<r.IntN(5), 1+r.IntN(2), 1+r.IntN(2))
		if r.IntN(3) == 0 {
			flags += fmt.Sprintf(" dp_attention=%t decode_dp_attention=true", r.IntN(2) == 0)
		}
		m, err := p.mover(t, name, flags)
		if err != nil {
			continue // the engine rejects this combination
		}
		w := m.World()
		if err := w.Fill(0, 1+r.IntN(3), 1+r.IntN(3)); err != nil {
			t.Fatal(err)
		}
		g := &matrix.Generator{World: w, Moves: m.Moves, MaxBatch: 1 + r.Int64N(1<<34)}
		var tokens []int64
		for range 1 + r.IntN(5) {
			tokens = append(tokens, 1+r.Int64N(20_000))
		}
		// Compute what each rank sends and receives. Each transfer has just enough requests for
		// each destination group to get one. Request h is the first request of destination
		// group h. It may come from any source group.
		rows, columns := make([]int64, w.Size()), make([]int64, w.Size())
		decode := w.Prefill.Workers * w.Prefill.Ranks
		for k, n := range tokens {
			tr, err := p.transfer(t, name, fmt.Sprintf("%s isl=%d num_requests=%d", flags, n, plan.Cycle(m.First.Source, m.First.Destination)))
			if err != nil {
				t.Fatal(err)
			}
			from, to := k/w.Prefill.Workers%w.Prefill.Groups, k/w.Decode.Workers%w.Decode.Groups
			source, destination := k%w.Prefill.Workers*w.Prefill.Ranks, decode+k%w.Decode.Workers*w.Decode.Ranks
			first := to % w.Prefill.Groups
			for _, pair := range transfer.Pairs(tr) {
				if pair.Source/tr.Source.Each%tr.Source.Groups != first || pair.Destination/tr.Destination.Each%tr.Destination.Groups != to {
					continue
				}
				rows[source+pair.Source+(from-first)*tr.Source.Each] += pair.Bytes
				columns[destination+pair.Destination] += pair.Bytes
			}
		}
		dir, totals, err := write(t, g, lengths(tokens...), func(*matrix.Writer) {})
		if err != nil {
			t.Fatal(err)
		}
		gotRows, gotColumns := sums(t, dir, totals.Batches, w.Size())
		if !slices.Equal(gotRows, rows) || !slices.Equal(gotColumns, columns) {
			t.Errorf("%s %s, %+v, %v:\nrows    %v\nwant    %v\ncolumns %v\nwant    %v", name, flags, w, tokens, gotRows, rows, gotColumns, columns)
		}
		done[engine]++
		if m.First.Destination.Groups > 1 {
			done[engine+" in groups"]++
		}
	}
	for _, engine := range []string{"SGLANG", "VLLM", "TRTLLM"} {
		if done[engine] < 10 || done[engine+" in groups"] < 3 {
			t.Errorf("only %d transfers of %s were possible, %d between groups", done[engine], engine, done[engine+" in groups"])
		}
	}
}

// sums returns the sums of the rows and of the columns of all matrices.
func sums(t *testing.T, dir string, matrices, size int) (rows, columns []int64) {
	t.Helper()
	rows, columns = make([]int64, size), make([]int64, size)
	for i := range matrices {
		for row, line := range strings.Split(strings.TrimSuffix(read(t, dir, fmt.Sprintf("matrix_%d.txt", i)), "\n"), "\n") {
			for column, text := range strings.Split(line, " ") {
				n, err := strconv.ParseInt(text, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				rows[row] += n
				columns[column] += n
			}
		}
	}
	return rows, columns
}

// TestRows checks, for all models and engines, that the rows and columns of matrices add up
// to the bytes that each rank sends and receives in a transfer of the same requests. The
// transfers themselves are checked in package transfer. With KVBENCH_FULL, it tries all
// layouts with every model.
func TestRows(t *testing.T) {
	p := newPlanned(t)
	entries, err := p.models.Entries(nil)
	if err != nil {
		t.Fatal(err)
	}
	layouts := []string{
		"tp=8 decode_tp=2", "tp=2 decode_tp=8", "tp=4 decode_tp=4 pp=4 decode_pp=1", "tp=2 decode_tp=2 pp=3 decode_pp=3", "tp=2 decode_tp=4 decode_pp=2",
		"tp=4 decode_tp=4 dp_attention=true dp_size=2 decode_dp_attention=true decode_dp_size=4",
	}
	tried, done := 0, map[string]int{}
	for _, e := range entries {
		for _, engine := range []string{"SGLANG", "TRTLLM", "VLLM"} {
			for _, layout := range layouts {
				if tried++; tried%13 != 0 && os.Getenv("KVBENCH_FULL") == "" {
					continue
				}
				flags := fmt.Sprintf("engine=%s isl=2500 num_requests=3 %s", engine, layout)
				m, err := p.mover(t, e.Name, flags)
				if err != nil {
					continue // the engine rejects this combination
				}
				w := m.World()
				if err := w.Fill(0, 1, 1); err != nil {
					t.Fatal(err)
				}
				g := &matrix.Generator{World: w, Moves: m.Moves, MaxBatch: 1}
				dir, totals, err := write(t, g, lengths(2500, 2500, 2500), func(*matrix.Writer) {})
				if err != nil {
					t.Fatal(err)
				}
				rows, columns := sums(t, dir, totals.Batches, w.Size())
				planner, req := p.request(t, e.Name, flags)
				tr, err := transfer.Of(planner, req)
				if err != nil {
					t.Fatal(err)
				}
				wantRows, wantColumns := make([]int64, w.Size()), make([]int64, w.Size())
				for _, r := range tr.Sources {
					wantRows[r.Rank] = r.Bytes
				}
				for _, r := range tr.Destinations {
					wantColumns[w.Prefill.Ranks+r.Rank] = r.Bytes // decode ranks follow prefill ranks
				}
				if !slices.Equal(rows, wantRows) || !slices.Equal(columns, wantColumns) || totals.Bytes != tr.All.Bytes {
					t.Errorf("%s %s: %d bytes in rows %v and columns %v, want %d in %v and %v", e.Name, flags, totals.Bytes, rows, columns, tr.All.Bytes, wantRows, wantColumns)
				}
				done[engine]++
				done[layout]++
			}
		}
	}
	if len(done) != 3+len(layouts) {
		t.Errorf("only these transfers were possible: %v", done)
	}
}

// TestCacheBlocks checks how many blocks of 512 tokens fit in the memory of a decode rank.
func TestCacheBlocks(t *testing.T) {
	p := newPlanned(t)
	for _, test := range []struct {
		model, flags string
		page, want   int64
	}{
		// 327,680 bytes per token on 8 ranks are 40,960 bytes per rank, so 26,214 tokens fit in 1
		// GiB. Rounded down to whole pages of 16 tokens, that is 26,208 tokens.
		{"llama3.1-70b", "tp=4 decode_tp=8 page_size=16 kvcache_quant_mode=bf16 kv_memory=1GiB engine=SGLANG", 16, 51},
		// The decode side's memory is the limit.
		{"llama3.1-70b", "tp=8 decode_tp=4 page_size=16 kvcache_quant_mode=bf16 kv_memory=1GiB engine=SGLANG", 16, 25},
		// 70,272 bytes per token on every rank: 15,279 tokens fit.
		{"deepseek-r1", "tp=4 decode_tp=8 page_size=64 kvcache_quant_mode=bf16 kv_memory=1GiB engine=VLLM", 64, 29},
		{"llama3.1-70b", "tp=8 decode_tp=8 page_size=16 decode_page_size=48 kvcache_quant_mode=bf16 kv_memory=1GiB engine=VLLM", 48, 51},
	} {
		m, err := p.mover(t, test.model, test.flags)
		if err != nil {
			t.Fatal(err)
		}
		arch, err := p.models.Model(test.model, nil)
		if err != nil {
			t.Fatal(err)
		}
		planner, err := p.planners.For(arch.Arch, plan.Use{Rank: true, Detail: true})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.CacheBlocks(planner); got != test.want || err != nil || m.PageTokens() != test.page {
			t.Errorf("%s %s: %d blocks, pages of %d, %v; want %d, %d", test.model, test.flags, got, m.PageTokens(), err, test.want, test.page)
		}
	}
}

func BenchmarkMoves(b *testing.B) {
	p := newPlanned(b)
	for _, name := range []string{"llama3.1-70b", "deepseek-r1", "gemma-3-27b", "nemotron-h-56b"} {
		m, err := p.mover(b, name, "tp=8 decode_tp=8 isl=100 page_size=16 engine=SGLANG")
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			n := int64(1)
			for b.Loop() {
				if _, err := m.Moves(n, 0, 0); err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}
