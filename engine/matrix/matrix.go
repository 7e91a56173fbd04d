// Package matrix generates traffic matrices. A matrix shows how many bytes each rank in a
// cluster sends to every other rank while a batch of requests moves from prefill workers to
// decode workers. The package writes matrices in the format of the Python KVBench's
// ct-perftest tools.
package matrix

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"kvbench/engine/requests"
)

// MaxWorld is the maximum number of ranks in a cluster. A matrix has a row and a column for
// each rank.
const MaxWorld = 1 << 14

// Side describes the workers on one side of a transfer. All of them have the same number of
// ranks and groups.
type Side struct {
	Workers int
	// Ranks is the number of ranks per worker, and Groups is the number of data-parallel
	// attention groups per worker.
	Ranks, Groups int
}

// AtOnce returns the number of requests that the side can serve at the same time, one per
// group.
func (s Side) AtOnce() int64 { return int64(s.Workers * s.Groups) }

// pick returns the worker and group that serve a request. Requests go to the workers in
// turn, and each worker's requests go to its groups in turn.
func (s Side) pick(request int64) (worker, group int) {
	turn := int(request % s.AtOnce())
	return turn % s.Workers, turn / s.Workers
}

// World is a cluster. Ranks are numbered worker by worker, with the prefill workers before
// the decode workers.
type World struct{ Prefill, Decode Side }

// Size returns the number of ranks.
func (w World) Size() int {
	return w.Prefill.Workers*w.Prefill.Ranks + w.Decode.Workers*w.Decode.Ranks
}

// Fill sets the number of workers on each side. size is the total number of ranks, and an
// argument of 0 means that the user did not set the number. If only size is set, both sides
// have the same number of workers; if nothing is set, each side has one worker.
func (w *World) Fill(size, prefill, decode int) error {
	p, d := w.Prefill.Ranks, w.Decode.Ranks
	switch {
	case size > 0 && prefill == 0 && decode == 0:
		prefill = size / (p + d)
		decode = prefill
	case size > 0 && prefill == 0:
		prefill = (size - decode*d) / p
	case size > 0 && decode == 0:
		decode = (size - prefill*p) / d
	}
	w.Prefill.Workers, w.Decode.Workers = max(prefill, 1), max(decode, 1)
	switch n := w.Size(); {
	case size > 0 && n != size:
		return fmt.Errorf("cannot divide %d ranks into prefill workers of size %d and decode workers of size %d: %d prefill and %d decode workers have %d ranks",
			size, p, d, w.Prefill.Workers, w.Decode.Workers, n)
	case n > MaxWorld:
		return fmt.Errorf("%d ranks are too many: expected at most %d", n, MaxWorld)
	}
	return nil
}

// Move is the number of bytes that move from a rank of a request's prefill worker to a rank
// of its decode worker.
type Move struct {
	Source, Destination int
	Bytes               int64
}

// Moves returns the moves for a request with the given number of tokens, from a group of its
// prefill worker to a group of its decode worker.
type Moves func(tokens int64, source, destination int) ([]Move, error)

// Generator generates a matrix for each batch of requests.
type Generator struct {
	World World
	Moves Moves
	// MaxBatch is the maximum number of bytes that a batch moves. A request that moves more
	// gets its own batch.
	MaxBatch int64
	// CacheBlocks is the number of blocks that fit in a decode group's prefix cache. Cached
	// tokens are not moved if they fill whole pages of PageTokens tokens.
	CacheBlocks, PageTokens int64

	caches []*requests.Cache
}

// Totals describes a workload.
type Totals struct {
	Requests, Tokens, Cached, Bytes int64
	// Batches is the number of matrices.
	Batches int
	// Known is the number of requests whose blocks are known.
	Known int64
	// Large is the number of requests that exceed the batch limit on their own.
	Large int64
}

// Batch is a group of requests that move together.
type Batch struct {
	Requests, Tokens, Cached, Bytes int64
	// Launch is the time from the beginning of the workload to the arrival of the batch's last
	// request.
	Launch time.Duration

	size  int
	cells map[cell]int64
}

// cell is a cell of a matrix: a row and a column.
type cell struct{ source, destination int32 }

// value is a cell and the number of bytes in it.
type value struct {
	cell
	bytes int64
}

// sorted returns the nonzero cells, row by row.
func (b *Batch) sorted() []value {
	list := make([]value, 0, len(b.cells))
	for c, n := range b.cells {
		list = append(list, value{c, n})
	}
	slices.SortFunc(list, func(x, y value) int {
		return cmp.Or(cmp.Compare(x.source, y.source), cmp.Compare(x.destination, y.destination))
	})
	return list
}

// maxExact is the largest number that the ct-perftest tools read without rounding.
const maxExact = 1 << 53

// Run generates the matrices for all requests. It calls write for each batch that moves any
// bytes. If the at function is not nil, Run calls it before each request, with the number
// of requests so far. If the at function returns an error, Run stops and returns that
// error.
func (g *Generator) Run(source requests.Source, write func(*Batch) error, at func(requests int64) error) (*Totals, error) {
	t := &Totals{}
	b := g.batch()
	flush := func() error {
		if b.Bytes == 0 {
			return nil
		}
		t.Batches++
		return write(b)
	}
	for ; ; t.Requests++ {
		if at != nil {
			if err := at(t.Requests); err != nil {
				return nil, err
			}
		}
		r, err := source.Next()
		if err == io.EOF {
			return t, flush()
		}
		if err != nil {
			return nil, err
		}
		if r.Blocks != nil {
			t.Known++
		}
		worker, from := g.World.Prefill.pick(t.Requests)
		peer, to := g.World.Decode.pick(t.Requests)
		cached := g.cached(r, peer, to)
		var moves []Move
		if cached < r.Tokens {
			if moves, err = g.Moves(r.Tokens-cached, from, to); err != nil {
				return nil, err
			}
		}
		bytes, err := total(moves)
		if err != nil {
			return nil, err
		}
		if bytes > g.MaxBatch {
			t.Large++
		}
		if b.Bytes > 0 && bytes > g.MaxBatch-b.Bytes {
			if err := flush(); err != nil {
				return nil, err
			}
			b = g.batch()
		}
		if err := b.add(moves, int32(worker*g.World.Prefill.Ranks), int32(g.World.Prefill.Workers*g.World.Prefill.Ranks+peer*g.World.Decode.Ranks)); err != nil {
			return nil, err
		}
		b.Launch = r.Arrival
		b.Requests, b.Tokens, b.Cached = b.Requests+1, b.Tokens+r.Tokens, b.Cached+cached
		t.Tokens, t.Cached = t.Tokens+r.Tokens, t.Cached+cached
		if t.Bytes += bytes; t.Bytes < 0 || t.Tokens < 0 {
			return nil, errors.New("the byte count of all requests does not fit in 64 bits")
		}
	}
}

func (g *Generator) batch() *Batch { return &Batch{size: g.World.Size(), cells: map[cell]int64{}} }

// cached returns how many of a request's tokens need not be moved because they are in the
// cache of the decode group that serves the request.
func (g *Generator) cached(r requests.Request, worker, group int) int64 {
	if g.CacheBlocks == 0 || r.Blocks == nil {
		return 0
	}
	if g.caches == nil {
		g.caches = make([]*requests.Cache, g.World.Decode.Workers*g.World.Decode.Groups)
		for i := range g.caches {
			g.caches[i] = requests.NewCache(g.CacheBlocks)
		}
	}
	hit := g.caches[worker*g.World.Decode.Groups+group].Use(r)
	return hit - hit%g.PageTokens
}

// total returns the total number of bytes in the moves.
func total(moves []Move) (int64, error) {
	sum := int64(0)
	for _, m := range moves {
		if m.Bytes > math.MaxInt64-sum {
			return 0, errors.New("the byte count of a request does not fit in 64 bits")
		}
		sum += m.Bytes
	}
	return sum, nil
}

// add adds the moves of a request between two workers. source and destination are the
// workers' first ranks.
func (b *Batch) add(moves []Move, source, destination int32) error {
	for _, m := range moves {
		if m.Bytes == 0 {
			continue
		}
		c := cell{source + int32(m.Source), destination + int32(m.Destination)}
		n := b.cells[c] + m.Bytes
		if n > maxExact || n < 0 {
			return fmt.Errorf("rank %d sends more than %d bytes to rank %d in one batch, and the ct-perftest tools cannot read such numbers exactly", c.source, int64(maxExact), c.destination)
		}
		b.cells[c] = n
		b.Bytes += m.Bytes
	}
	return nil
}
