// Package matrix makes traffic matrices: how many bytes each rank of a cluster sends to
// every other rank while a batch of requests moves from its prefill workers to its
// decode workers. It writes them in the format of the ct-perftest tools of the Python
// KVBench.
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

// MaxWorld is the maximum number of ranks in a cluster. A matrix has that many
// rows and columns.
const MaxWorld = 1 << 14

// Side describes the workers of one side of a transfer, which are all alike.
type Side struct {
	Workers int
	// Ranks is the number of ranks of a worker, and Groups is the number of its
	// groups in data-parallel attention.
	Ranks, Groups int
}

// AtOnce returns the number of requests that the side serves at the same time, if each of
// its groups serves one.
func (s Side) AtOnce() int64 { return int64(s.Workers * s.Groups) }

// pick returns the worker and the group that serve a request. Requests go to
// the workers in turn, and the requests of a worker go to its groups in turn.
func (s Side) pick(request int64) (worker, group int) {
	turn := int(request % s.AtOnce())
	return turn % s.Workers, turn / s.Workers
}

// World is a cluster. The ranks of the prefill workers come first, worker by worker, then
// those of the decode workers.
type World struct{ Prefill, Decode Side }

// Size returns the number of ranks.
func (w World) Size() int {
	return w.Prefill.Workers*w.Prefill.Ranks + w.Decode.Workers*w.Decode.Ranks
}

// Fill determines the numbers of workers that are 0. size is the total number
// of ranks, or 0 if it is not given. If nothing is given, each side has one
// worker; if only size is given, both sides have the same number.
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
		return fmt.Errorf("%d ranks do not divide into prefill workers of %d and decode workers of %d: %d and %d of them have %d",
			size, p, d, w.Prefill.Workers, w.Decode.Workers, n)
	case n > MaxWorld:
		return fmt.Errorf("%d ranks are too many: expected at most %d", n, MaxWorld)
	}
	return nil
}

// Move is what a request moves from a rank of its prefill worker to a rank of its decode
// worker.
type Move struct {
	Source, Destination int
	Bytes               int64
}

// Moves returns what a request with a number of tokens moves, from a group of its prefill
// worker to a group of its decode worker.
type Moves func(tokens int64, source, destination int) ([]Move, error)

// Generator makes a matrix for each batch of requests.
type Generator struct {
	World World
	Moves Moves
	// MaxBatch is the maximum number of bytes that a batch moves. A request
	// that moves more has its own batch.
	MaxBatch int64
	// CacheBlocks is the number of blocks that the prefix cache of a decode group
	// holds. Tokens in the cache are not moved if they fill whole pages of
	// PageTokens.
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
	// Launch is the time from the beginning until the last request arrived.
	Launch time.Duration

	size  int
	cells map[cell]int64
}

// cell is a cell of a matrix: a row and a column.
type cell struct{ source, destination int32 }

// value is a cell with its bytes.
type value struct {
	cell
	bytes int64
}

// sorted returns the cells that are not zero, row by row.
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

// maxExact is the largest number that the ct-perftest tools read exactly.
const maxExact = 1 << 53

// Run makes the matrices of all requests and passes each batch that moves something to
// write. at, unless nil, is called with the number of requests so far; its error ends the
// run.
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
			return nil, errors.New("the bytes of all requests do not fit in 64 bits")
		}
	}
}

func (g *Generator) batch() *Batch { return &Batch{size: g.World.Size(), cells: map[cell]int64{}} }

// cached returns the number of tokens of a request that need not be moved, because they
// are in the cache of the decode group that serves it.
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

// total returns the bytes of moves.
func total(moves []Move) (int64, error) {
	sum := int64(0)
	for _, m := range moves {
		if m.Bytes > math.MaxInt64-sum {
			return 0, errors.New("the bytes of a request do not fit in 64 bits")
		}
		sum += m.Bytes
	}
	return sum, nil
}

// add adds what a request moves between the workers whose first ranks are given.
func (b *Batch) add(moves []Move, source, destination int32) error {
	for _, m := range moves {
		if m.Bytes == 0 {
			continue
		}
		c := cell{source + int32(m.Source), destination + int32(m.Destination)}
		n := b.cells[c] + m.Bytes
		if n > maxExact || n < 0 {
			return fmt.Errorf("rank %d sends more than %d bytes to rank %d in one batch, which the ct-perftest tools do not read exactly", c.source, int64(maxExact), c.destination)
		}
		b.cells[c] = n
		b.Bytes += m.Bytes
	}
	return nil
}
