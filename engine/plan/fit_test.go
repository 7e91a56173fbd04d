package plan_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

func load(t testing.TB) *schema.Schema {
	t.Helper()
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func num(n int64) data.Fact { return data.Fact{Value: formula.Of(n)} }
func text(s string) data.Fact {
	return data.Fact{Value: formula.Of(s), Origin: data.Origin{Kind: data.FromFlag, Name: "backend"}}
}

// request returns a random request for an architecture, with parameters that work for
// all bundled architectures.
func request(s *schema.Schema, arch *schema.Architecture, r *rand.Rand) *plan.Request {
	params := map[string]data.Fact{}
	for _, p := range arch.Params {
		if p.Type.Formula() == formula.Num {
			params[p.Name] = num(1 + r.Int64N(256))
		}
	}
	// The group size must divide the number of query heads.
	if _, ok := params["gqa_num_queries_in_group"]; ok {
		params["num_query_heads_with_mha"] = num(64)
		params["gqa_num_queries_in_group"] = num(1 << r.IntN(5))
	}
	values := map[string]data.Fact{}
	for _, f := range s.Fields {
		if !f.Default.IsZero() {
			values[f.Var] = data.Fact{Value: f.Default}
		}
	}
	values["tp_size"] = num(1 << r.IntN(3))
	values["pp_size"] = num(1 + r.Int64N(8))
	values["isl"] = num(1 + r.Int64N(100000))
	values["num_requests"] = num(1 + r.Int64N(200))
	values["page_size"] = num(1 << r.IntN(12))
	values["access_pattern"] = data.Fact{Value: formula.Of([]string{"block", "layer"}[r.IntN(2)])}
	return &plan.Request{
		Model:  &model.Model{Arch: arch, Params: params},
		Config: &config.Config{Values: values},
		Flags:  map[string]data.Fact{},
		Fit:    true,
	}
}

// holds checks the rules that nixlbench enforces. The rules were derived by hand from
// nixlbench's validation and source code, independently of the limits in the data.
func holds(s *schema.Schema, pl *plan.Plan) error {
	v := map[string]int64{"pipeline_depth": 1, "gds_batch_pool_size": 32, "gds_batch_limit": 128, "posix_ios_pool_size": 65536, "posix_kernel_queue_size": 256, "large_blk_iter_ftr": 16, "num_files": 1}
	word := map[string]string{"randomize_location_mode": "none"}
	for _, f := range pl.Flags {
		if n, whole := f.Value.Num.Int64(); whole && f.Value.Text() == fmt.Sprint(n) {
			v[f.Name] = n
		}
		word[f.Name] = f.Value.Text()
	}
	since := func(release string) bool {
		return slices.Index(s.Nixlbench.Releases, pl.Release) >= slices.Index(s.Nixlbench.Releases, release)
	}
	backend, direct := word["backend"], word["storage_enable_direct"] == "true"
	block, batch, total := v["max_block_size"], v["max_batch_size"], v["total_buffer_size"]
	threads, ini, tgt, depth := v["num_threads"], v["num_initiator_dev"], v["num_target_dev"], v["pipeline_depth"]
	ceil := func(a, b int64) int64 { return (a + b - 1) / b }
	ring := int64(16)
	for ring < v["posix_kernel_queue_size"] && ring < 1024 {
		ring *= 2
	}
	if word["use_hugepages"] == "true" {
		total = ceil(total, 2<<20) * 2 << 20
	}
	network := s.Nixlbench.Backends[backend].Class == "network"
	switch {
	case block*batch > total/ini:
		return errors.New("block*batch > total/initiators")
	case block*batch > total/tgt:
		return errors.New("block*batch > total/targets")
	case block*batch > total/threads:
		return errors.New("block*batch > total/threads")
	case total%(ini*threads) != 0 || total%(tgt*threads) != 0:
		return errors.New("total does not divide")
	case block*batch*depth > total/(ini*threads):
		return errors.New("no space for the pipeline")
	case v["start_block_size"] > block || v["start_batch_size"] > batch || v["start_batch_size"] < 1:
		return errors.New("no rows")
	case backend == "GDS" && threads*ini*ceil(batch*depth*ceil(block, 16<<20), v["gds_batch_limit"]) > v["gds_batch_pool_size"]:
		return errors.New("GDS pool")
	case backend == "POSIX" && since("1.0.0") && batch*depth*threads*ini > min(max(v["posix_ios_pool_size"], 64), 65536):
		return errors.New("POSIX pool")
	case backend == "POSIX" && since("1.0.0") && word["posix_api_type"] == "URING" && min(batch, 64) > ring:
		return errors.New("URING queue")
	case backend == "POSIX" && since("1.0.0") && word["posix_api_type"] == "URING" && batch*depth*threads*ini > 2*ring:
		return errors.New("URING ring")
	case backend == "POSIX" && !since("1.0.0") && word["posix_api_type"] == "URING" && batch > 32768:
		return errors.New("URING ring for one request")
	case backend == "POSIX" && since("0.4.1") && direct && word["posix_api_type"] != "AIO" && v["start_block_size"]%512 != 0:
		return errors.New("unaligned direct I/O")
	case backend == "POSIX" && direct && !since("0.4.1"):
		return errors.New("direct I/O with an unaligned buffer")
	case network && word["scheme"] == "pairwise" && ini != tgt:
		return errors.New("pairs")
	case (backend == "UCX" || backend == "UCX_MO") && !since("0.5.1") && threads > 1:
		return errors.New("threads over UCX")
	case network && word["runtime_type"] == "ASIO" && 24*ini*batch*depth+80 > 16<<20-1:
		return errors.New("message over ASIO")
	}
	switch scheme := word["scheme"]; {
	case scheme == "onetomany" && ini*tgt > 1, scheme == "manytoone" && ini > 1, scheme == "tp" && max(ini, tgt) > 1:
		if scheme != "tp" || ini > 1 || tgt/ini > 1 {
			return errors.New("more bytes are moved than counted")
		}
	}
	// nixlbench rounds up the number of iterations and then divides it by the number of
	// threads. It uses fewer iterations for large blocks.
	round := threads * v["large_blk_iter_ftr"]
	for size := v["start_block_size"]; size <= block; size *= 2 {
		n := ceil(v["num_iter"], round) * round / threads
		if size > 1<<20 {
			n /= v["large_blk_iter_ftr"]
		}
		if depth > n {
			return fmt.Errorf("a pipeline of %d for %d iterations", depth, n)
		}
	}
	if !slices.Contains([]string{"POSIX", "GDS", "GDS_MT", "HF3FS"}, backend) || !since("0.5.1") {
		return nil
	}
	files := v["num_files"]
	if files > threads*ini || threads*ini%files != 0 {
		return errors.New("files do not divide")
	}
	// A file consists of consecutive registered pieces, and the blocks are laid out
	// consecutively across the pieces. No block may cross the end of a piece.
	pieces, piece := threads*ini/files, total/(threads*ini)
	if direct {
		piece = ceil(piece, 4096) * 4096
	}
	for size := v["start_block_size"]; size <= block; size *= 2 {
		for n := v["start_batch_size"]; n <= batch; n *= 2 {
			blocks := n * depth * pieces
			for end := piece; end < blocks*size; end += piece {
				if end%size != 0 || end >= pieces*piece {
					return fmt.Errorf("a block of %d crosses the end of a piece of %d", size, piece)
				}
			}
			if word["randomize_location_mode"] == "bytealigned" && (blocks == 1 || pieces*files > 1 || direct) {
				return errors.New("unaligned locations")
			}
		}
	}
	return nil
}

var suggestion = regexp.MustCompile(`--(\w+) (\d+)`)

// TestFit makes random plans for every release. Each plan must either be fitted to meet
// all limits, or be refused with a suggestion of a size that fits.
func TestFit(t *testing.T) {
	s := load(t)
	r := rand.New(rand.NewPCG(1, 2))
	rounds := 10
	if os.Getenv("KVBENCH_FULL") != "" {
		rounds = 60
	}
	fitted, refused := 0, 0
	for _, release := range s.Nixlbench.Releases {
		for _, listed := range s.Architectures {
			arch := listed.Arch.Get()
			if len(arch.Tables["access_patterns"]) == 0 {
				continue // only rank accounting supports this architecture
			}
			p, err := plan.New(s, release, arch, plan.Use{})
			if err != nil {
				t.Fatal(err)
			}
			for range rounds {
				req := request(s, arch, r)
				var backends []string
				for _, name := range schema.Keys(s.Nixlbench.Backends) {
					// GUSLI is excluded, because it needs named devices.
					if s.Nixlbench.In(s.Nixlbench.Backends[name].Era, release) && name != "GUSLI" {
						backends = append(backends, name)
					}
				}
				req.Flags["backend"] = text(backends[r.IntN(len(backends))])
				req.Flags["num_threads"] = num(1 + r.Int64N(8))
				req.Flags["num_initiator_dev"] = num(1 + r.Int64N(4))
				req.Flags["num_target_dev"] = num(1 + r.Int64N(4))
				if s.Nixlbench.FlagIn(s.Nixlbench.Flags["pipeline_depth"], release) != nil {
					req.Flags["pipeline_depth"] = num(1 + r.Int64N(20))
				}
				if r.IntN(4) == 0 {
					req.Flags["total_buffer_size"] = num(1 << (28 + r.IntN(6)))
				}
				pl, err := onlyPlan(p.Plans(req))
				if err != nil {
					refused++
					pl = retry(t, p, req, err)
				} else {
					fitted++
				}
				if pl == nil {
					continue
				}
				if err := holds(s, pl); err != nil {
					t.Fatalf("%s %s: a fitted plan breaks a rule: %v\n%+v", release, req.Flags["backend"].Str, err, req.Flags)
				}
				// Fitting must never change flags that were set.
				for _, f := range pl.Flags {
					if v, ok := req.Flags[f.Name]; ok && v.Text() != f.Value.Text() {
						t.Fatalf("%s: --%s %s became %s", release, f.Name, v.Text(), f.Value.Text())
					}
				}
			}
		}
	}
	t.Logf("%d plans fitted, %d refused", fitted, refused)
	if fitted == 0 || refused == 0 {
		t.Errorf("%d fitted, %d refused: too few of one outcome for this test", fitted, refused)
	}
}

// onlyPlan returns the only plan for a request.
func onlyPlan(plans []*plan.Plan, err error) (*plan.Plan, error) {
	if err != nil {
		return nil, err
	}
	return plans[0], nil
}

// retry makes a new plan for a refused request, using the first suggestion from the error.
func retry(t *testing.T, p *plan.Planner, req *plan.Request, err error) *plan.Plan {
	t.Helper()
	d := diag.All(err)[0]
	if !strings.Contains(d.Msg, "cannot fit the plan") {
		t.Fatalf("neither fitted nor refused with a size: %v", err)
	}
	first := strings.Join(d.Hints[:min(1, len(d.Hints))], "")
	found := suggestion.FindAllStringSubmatch(first, -1)
	if len(found) == 0 {
		t.Fatalf("refused without a suggestion: %v\n%s\n%v", err, d.Hints, req.Flags)
	}
	for _, m := range found {
		var n int64
		fmt.Sscan(m[2], &n)
		req.Flags[m[1]] = num(n)
	}
	pl, err := onlyPlan(p.Plans(req))
	if err != nil {
		t.Fatalf("the suggestion %q is refused: %v", first, err)
	}
	return pl
}

// TestFitFiles makes random plans for the file backends of the newest release, varying
// all flags that affect where blocks are located and how data is counted. nixlbench must
// be able to run every fitted plan. It must not be able to run a refused request as
// given.
func TestFitFiles(t *testing.T) {
	s := load(t)
	r := rand.New(rand.NewPCG(3, 4))
	release := s.Nixlbench.Releases[len(s.Nixlbench.Releases)-1]
	pick := func(words ...string) data.Fact { return text(words[r.IntN(len(words))]) }
	fitted, refused := 0, 0
	for _, name := range []string{"deepseek_r1", "llama3_1", "qwen3"} {
		var arch *schema.Architecture
		for _, listed := range s.Architectures {
			if a := listed.Arch.Get(); a.Name == name {
				arch = a
			}
		}
		if arch == nil {
			t.Fatalf("no architecture %s", name)
		}
		p, err := plan.New(s, release, arch, plan.Use{})
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			req := request(s, arch, r)
			req.Config.Values["num_requests"] = num(1 + r.Int64N(8))
			req.Config.Values["isl"] = num(1 + r.Int64N(4000))
			req.Least = r.IntN(2) == 0
			req.Flags = map[string]data.Fact{
				"backend":        pick("POSIX", "POSIX", "GDS_MT", "HF3FS"),
				"num_threads":    num(1 + r.Int64N(5)),
				"pipeline_depth": num(1 + r.Int64N(4)*r.Int64N(24)),
			}
			may := func(flag string, v data.Fact) {
				if r.IntN(3) == 0 {
					req.Flags[flag] = v
				}
			}
			may("num_initiator_dev", num(1+r.Int64N(3)))
			may("num_target_dev", num(1+r.Int64N(3)))
			may("storage_enable_direct", data.Fact{Value: formula.Of(true)})
			may("posix_api_type", pick("AIO", "URING", "POSIXAIO"))
			may("posix_kernel_queue_size", num(r.Int64N(1200)))
			may("randomize_location_mode", pick("none", "blockaligned", "bytealigned"))
			may("total_buffer_size", num(r.Int64N(1<<31)))
			if r.IntN(4) == 0 {
				start := 1 + r.Int64N(300000)
				req.Flags["start_block_size"], req.Flags["max_block_size"] = num(start), num(start*(1+r.Int64N(9)))
			}
			if r.IntN(8) == 0 {
				req.Flags["scheme"] = pick("pairwise", "onetomany", "manytoone", "tp")
			}
			if r.IntN(8) == 0 {
				req.Flags["use_hugepages"] = data.Fact{Value: formula.Of(true)}
			}
			if r.IntN(8) == 0 {
				req.Flags["num_iter"] = num(1 + r.Int64N(2000))
			}
			pl, reason := onlyPlan(p.Plans(req))
			if reason == nil {
				fitted++
				if err := holds(s, pl); err != nil {
					t.Fatalf("a fitted plan breaks a rule: %v\n%+v", err, req.Flags)
				}
				continue
			}
			refused++
			asked := *req
			asked.Fit = false
			if pl, err = onlyPlan(p.Plans(&asked)); err != nil {
				t.Fatal(err)
			}
			if holds(s, pl) == nil {
				t.Fatalf("refused although it runs: %v\n%+v", reason, req.Flags)
			}
		}
	}
	t.Logf("%d plans fitted, %d refused", fitted, refused)
	if fitted < 70 || refused < 70 {
		t.Errorf("%d fitted, %d refused: expected 70 of each", fitted, refused)
	}
}
