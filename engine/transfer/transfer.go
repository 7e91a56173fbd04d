// Package transfer lists what each pair of ranks moves when the caches of requests go
// from the ranks of one side, the source, to those of another, the destination.
package transfer

import (
	"cmp"
	"slices"

	"kvbench/engine/plan"
)

// Pair is what one rank of the source sends to one of the destination, in descriptors of
// one size. Two ranks may have several pairs, of different groups of layers.
type Pair struct {
	// Source and Destination are the numbers of the ranks, each on its side.
	Source, Destination int
	// Group has the names of the groups of layers.
	Group string
	// Bytes and Descriptors are all that the pair moves. The last descriptor may move
	// less than DescriptorBytes.
	Bytes, Descriptors, DescriptorBytes int64
}

// Pairs returns the pairs of a transfer, sorted by source and destination.
func Pairs(t *plan.Transfer) []Pair {
	var all []Pair
	for _, d := range deals(t) {
		for i := range t.Shapes {
			s := &t.Shapes[i]
			for rank := range t.Destination.Each {
				for _, source := range s.Sources(d.destination, rank) {
					all = append(all, Pair{
						Source:      t.Source.Number(s.Source, d.source, source),
						Destination: t.Destination.Number(s.Destination, d.destination, rank),
						Group:       s.Group,
						Bytes:       s.Bytes * d.requests, Descriptors: s.Descriptors * d.requests, DescriptorBytes: s.DescriptorBytes,
					})
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Destination, b.Destination))
	})
	return all
}

// deal is a pair of groups of data-parallel attention, and the number of requests that
// move between them.
type deal struct {
	source, destination int
	requests            int64
}

// deals deals the requests of a transfer in turn to the groups of each side.
func deals(t *plan.Transfer) []deal {
	cycle := lcm(int64(t.Source.Groups), int64(t.Destination.Groups))
	var list []deal
	for k := range min(cycle, t.Requests) {
		d := deal{int(k) % t.Source.Groups, int(k) % t.Destination.Groups, t.Requests / cycle}
		if k < t.Requests%cycle {
			d.requests++
		}
		list = append(list, d)
	}
	return list
}

func lcm(a, b int64) int64 {
	x, y := a, b
	for y > 0 {
		x, y = y, x%y
	}
	return a / x * b
}
