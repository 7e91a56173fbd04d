// Package requests provides the requests of a workload: how long they are, when
// they arrive, and which blocks of tokens they share. They are generated from a
// distribution of lengths, or read from a trace. Only one request is in memory
// at a time.
package requests

import (
	"io"
	"time"
)

// Request is a request of a workload.
type Request struct {
	// Tokens is the number of input tokens.
	Tokens int64
	// Arrival is the time since the first request.
	Arrival time.Duration
	// Blocks identifies the blocks of [BlockTokens] tokens that the input consists of,
	// in order; the last may be shorter. Equal blocks have the same tokens, and so do
	// all blocks before them. It is nil if the blocks are not known, and valid until the
	// next request is read.
	Blocks []uint64
}

// Source yields requests.
type Source interface {
	// Next returns the next request, or io.EOF.
	Next() (Request, error)
}

// Generated returns a source of number requests with the given lengths. They
// arrive in groups of together requests, with an interval between groups.
func Generated(lengths Lengths, number, together int64, interval time.Duration) Source {
	return &generated{lengths, number, together, interval, 0}
}

type generated struct {
	lengths          Lengths
	number, together int64
	interval         time.Duration
	at               int64
}

func (g *generated) Next() (Request, error) {
	if g.at == g.number {
		return Request{}, io.EOF
	}
	r := Request{Tokens: g.lengths.Next(), Arrival: time.Duration(g.at/g.together) * g.interval}
	g.at++
	return r, nil
}

// First returns a source of at most the first number requests of s.
func First(s Source, number int64) Source { return &first{s, number} }

type first struct {
	Source
	left int64
}

func (f *first) Next() (Request, error) {
	if f.left == 0 {
		return Request{}, io.EOF
	}
	f.left--
	return f.Source.Next()
}
