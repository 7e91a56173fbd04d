package plan_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/diag"
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

func num(n int64) config.Value { return config.Value{Value: config.GoValue(n)} }
func text(s string) config.Value {
	return config.Value{Value: config.GoValue(s), Origin: config.Origin{Kind: config.FromFlag, Name: "backend"}}
}

// request makes a request for an architecture with geometry that all bundled
// ones understand.
func request(s *schema.Schema, arch *schema.Architecture, r *rand.Rand) *plan.Request {
	params := map[string]config.Value{}
	for _, p := range arch.Params {
		if p.Kind == "number" {
			params[p.Name] = num(1 + r.Int64N(256))
		}
	}
	// A group holds at least one query head, and divides them.
	if _, ok := params["gqa_num_queries_in_group"]; ok {
		params["num_query_heads_with_mha"] = num(64)
		params["gqa_num_queries_in_group"] = num(1 << r.IntN(5))
	}
	values := map[string]config.Value{}
	for _, f := range s.Fields {
		if f.Default != nil {
			values[f.Var] = config.Value{Value: config.GoValue(f.Default)}
		}
	}
	values["tp_size"] = num(1 << r.IntN(3))
	values["pp_size"] = num(1 + r.Int64N(8))
	values["isl"] = num(1 + r.Int64N(100000))
	values["num_requests"] = num(1 + r.Int64N(200))
	values["page_size"] = num(1 << r.IntN(12))
	values["access_pattern"] = config.Value{Value: config.GoValue([]string{"block", "layer"}[r.IntN(2)])}
	return &plan.Request{
		Model:  &config.Model{Arch: arch, Params: params},
		Config: &config.Config{Values: values},
		Flags:  map[string]config.Value{},
		Fit:    true,
	}
}

// holds checks the rules that the real program was seen to enforce, written
// out by hand from its validation, not from the limits of the data.
func holds(s *schema.Schema, pl *plan.Plan) error {
	v := map[string]int64{"pipeline_depth": 1, "gds_batch_pool_size": 32, "gds_batch_limit": 128, "posix_ios_pool_size": 65536, "large_blk_iter_ftr": 16, "num_files": 1}
	backend := ""
	for _, f := range pl.Flags {
		if n, whole := f.Value.Num.Int64(); whole && f.Value.Text() == fmt.Sprint(n) {
			v[f.Name] = n
		}
		if f.Name == "backend" {
			backend = f.Value.Str
		}
	}
	at := func(release string) int {
		for i, r := range s.Nixlbench.Releases {
			if r == release {
				return i
			}
		}
		return -1
	}
	block, batch, total := v["max_block_size"], v["max_batch_size"], v["total_buffer_size"]
	threads, ini, tgt, depth := v["num_threads"], v["num_initiator_dev"], v["num_target_dev"], v["pipeline_depth"]
	ceil := func(a, b int64) int64 { return (a + b - 1) / b }
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
	case backend == "POSIX" && at(pl.Release) >= at("1.0.0") && batch*depth*threads*ini > min(max(v["posix_ios_pool_size"], 64), 65536):
		return errors.New("POSIX pool")
	}
	return nil
}

var suggestion = regexp.MustCompile(`--(\w+) (\d+)`)

// TestFit plans at random for every release: a fitted plan holds all limits,
// or is refused with a size that is then accepted.
func TestFit(t *testing.T) {
	s := load(t)
	r := rand.New(rand.NewPCG(1, 2))
	rounds := 60
	if testing.Short() {
		rounds = 5
	}
	fitted, refused := 0, 0
	for _, release := range s.Nixlbench.Releases {
		for _, listed := range s.Architectures {
			arch := listed.Arch.Get()
			if len(arch.Tables["access_patterns"]) == 0 {
				continue // known to the rank accounting only
			}
			p, err := plan.New(s, release, arch, plan.Use{})
			if err != nil {
				t.Fatal(err)
			}
			for range rounds {
				req := request(s, arch, r)
				var backends []string
				for _, name := range schema.Keys(s.Nixlbench.Backends) {
					// This backend needs devices by name.
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
				pl, err := one(p.Plans(req))
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
				// Fitting never changes what was given, nor a block or batch.
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
		t.Errorf("%d fitted, %d refused: the test sees one side only", fitted, refused)
	}
}

// one gives the one plan of a request.
func one(plans []*plan.Plan, err error) (*plan.Plan, error) {
	if err != nil {
		return nil, err
	}
	return plans[0], nil
}

// retry gives a refused plan the first suggestion of its error.
func retry(t *testing.T, p *plan.Planner, req *plan.Request, err error) *plan.Plan {
	t.Helper()
	d := diag.All(err)[0]
	if !strings.Contains(d.Msg, "cannot be fitted") {
		t.Fatalf("neither fitted nor refused with a size: %v", err)
	}
	first, _, _ := strings.Cut(d.Hint, "\n")
	found := suggestion.FindAllStringSubmatch(first, -1)
	if len(found) == 0 {
		t.Fatalf("refused without a suggestion: %v\n%s\n%v", err, d.Hint, req.Flags)
	}
	for _, m := range found {
		var n int64
		fmt.Sscan(m[2], &n)
		req.Flags[m[1]] = num(n)
	}
	pl, err := one(p.Plans(req))
	if err != nil {
		t.Fatalf("the suggestion %q is refused: %v", first, err)
	}
	return pl
}
