package matrix

import (
	"maps"
	"math"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/requests"
	"kvbench/engine/schema"
)

// The names that formulas use for the configuration fields that a mover reads or sets.
const (
	tokensField   = "isl"
	requestsField = "num_requests"
	outputField   = "osl"
	pageField     = "page_size"
)

// fitTokens is the name of a quantity: the number of tokens that fit in a rank's memory.
const fitTokens = "fit_tokens"

// maxKept is the maximum number of moves that a mover caches.
const maxKept = 1 << 20

// Mover computes the moves for requests to a model. Requests with the same length and the same
// destination group have the same moves, so Mover caches the moves. A Mover is not safe for
// concurrent use.
type Mover struct {
	// First is the transfer for one request of the configured length.
	First *plan.Transfer

	planner *plan.Planner
	request *plan.Request
	kept    map[length][]Move
	size    int // the number of cached moves
}

// length identifies a list of moves by the number of tokens and by the destination group,
// because the source ranks may depend on the group.
type length struct {
	tokens int64
	group  int
}

// NewMover returns a mover for a request. The planner must be configured for transfers; see
// [plan.Use].
func NewMover(p *plan.Planner, req *plan.Request) (*Mover, error) {
	m := &Mover{planner: p, request: req, kept: map[length][]Move{}}
	n, _ := req.Config.Values[tokensField].Num.Int64()
	var err error
	m.First, err = m.transfer(n)
	return m, err
}

// World returns the cluster. The numbers of workers are not set.
func (m *Mover) World() World {
	side := func(r plan.Ranks) Side { return Side{Ranks: r.Stages * r.Groups * r.Each, Groups: r.Groups} }
	return World{Prefill: side(m.First.Source), Decode: side(m.First.Destination)}
}

// PageTokens returns the smallest number of tokens that fills whole pages on both sides.
func (m *Mover) PageTokens() int64 {
	page := func(values map[string]data.Fact) int64 {
		n, _ := values[pageField].Num.Int64()
		return max(n, 1)
	}
	return lcm(page(m.First.Request.Config.Values), page(m.First.To.Config.Values))
}

func lcm(a, b int64) int64 {
	x, y := a, b
	for y > 0 {
		x, y = y, x%y
	}
	return a / x * b
}

// CacheBlocks returns how many of a trace's blocks fit in a decode rank's memory. The
// planner must use rank accounting and include detailed quantities; see [plan.Use].
func (m *Mover) CacheBlocks(p *plan.Planner) (int64, error) {
	req := oneSide(m.First.To, p.Schema())
	set(req.Config, tokensField, requests.BlockTokens)
	set(req.Config, requestsField, 1)
	set(req.Config, outputField, 0)
	plans, err := p.Quantities(req)
	if err != nil {
		return 0, err
	}
	least := int64(math.MaxInt64)
	for _, pl := range plans {
		v, ok := pl.Value(fitTokens)
		if !ok {
			return 0, diag.Errorf(diag.Pos{File: req.Config.File}, "kvbench does not know how much of this model's cache fits in memory")
		}
		n, _ := v.Num.Int64()
		least = min(least, n/requests.BlockTokens)
	}
	return least, nil
}

// oneSide returns a copy of a request without the values that exist only for transfers.
func oneSide(req *plan.Request, s *schema.Schema) *plan.Request {
	one, cfg := *req, *req.Config
	cfg.Values = maps.Clone(cfg.Values)
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Transfer {
			delete(cfg.Values, f.Var)
		}
	}
	one.Config = &cfg
	return &one
}

// transfer evaluates the transfer of one request with the given number of tokens.
func (m *Mover) transfer(tokens int64) (*plan.Transfer, error) {
	cfg := *m.request.Config
	cfg.Values = maps.Clone(cfg.Values)
	set(&cfg, tokensField, tokens)
	set(&cfg, requestsField, 1)
	req := *m.request
	req.Config = &cfg
	return m.planner.Transfer(&req)
}

// set replaces the value of a configuration field with a number.
func set(cfg *config.Config, field string, n int64) {
	cfg.Values[field] = data.Fact{Value: formula.Number(n), Origin: cfg.Values[field].Origin}
}

// Moves implements [Moves].
func (m *Mover) Moves(tokens int64, source, destination int) ([]Move, error) {
	key := length{tokens, destination}
	list, ok := m.kept[key]
	if !ok {
		t, err := m.transfer(tokens)
		if err != nil {
			return nil, diag.List(diag.All(err))
		}
		list = moves(t, destination)
		if m.size += len(list); m.size > maxKept {
			clear(m.kept)
			m.size = len(list)
		}
		m.kept[key] = list
	}
	// The ranks of a group are numbered consecutively.
	shift := source * m.First.Source.Each
	if shift == 0 {
		return list, nil
	}
	shifted := make([]Move, len(list))
	for i, v := range list {
		v.Source += shift
		shifted[i] = v
	}
	return shifted, nil
}

// moves returns the moves for one request from source group 0 to a destination group, one for
// each pair of ranks.
func moves(t *plan.Transfer, group int) []Move {
	var list []Move
	at := map[cell]int{}
	for i := range t.Shapes {
		s := &t.Shapes[i]
		for rank := range t.Destination.Each {
			to := t.Destination.Number(s.Destination, group, rank)
			for _, from := range s.Sources(group, rank) {
				v := Move{t.Source.Number(s.Source, 0, from), to, s.Bytes}
				pair := cell{int32(v.Source), int32(v.Destination)}
				if k, ok := at[pair]; ok {
					list[k].Bytes += v.Bytes
					continue
				}
				at[pair] = len(list)
				list = append(list, v)
			}
		}
	}
	return list
}
