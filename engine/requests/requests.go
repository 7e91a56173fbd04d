// Package requests provides the requests in a workload. Each request has a length, an
// arrival time and, if known, the blocks of tokens that it may share with other requests.
// Requests are generated from a distribution of lengths or read from a trace. Only one
// request is in memory at a time.
package requests

import (
	"io"
	"time"
)

// Request is one request in a workload.
type Request struct {
	// Tokens is the number of input tokens.
	Tokens int64
	// Arrival is the time since the first request.
	Arrival time.Duration
	// Blocks identifies, in order, the blocks of [BlockTokens] tokens that make up the input;
	// the last block may be shorter. If two requests have a block in common, their inputs
	// are the same up to the end of that block. Blocks is nil if the blocks are not known.
	// It is valid only until the next request is read.
	Blocks []uint64
}

// Source yields requests.
type Source interface {
	// Next returns the next request, or io.EOF.
	Next() (Request, error)
}

// Generated returns a source that yields the given number of requests, with the given
// lengths. The requests arrive in groups. together is the number of requests in a group,
// and interval is the time between groups.
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

// First returns a source that yields the first requests of s, up to the given number.
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
