// Package transfer describes what each pair of ranks moves when the caches of requests go
// from the ranks of one side, the source, to those of another, the destination.
package transfer

import (
	"cmp"
	"slices"

	"kvbench/engine/diag"
	"kvbench/engine/plan"
)

// Transfer is a transfer with all of its pairs of ranks.
type Transfer struct {
	*plan.Transfer
	// Pairs are sorted by source and destination.
	Pairs []Pair
	// Timed reports whether the bandwidth is known, and so the times.
	Timed bool
	// All is what all pairs move; its time is that of the slowest pair.
	All Load
	// Sources and Destinations are what each rank moves, sorted by its number. A rank
	// moves the data of its pairs at the same time, so its time is that of its slowest
	// pair.
	Sources, Destinations []RankLoad
	// Slowest is the slowest pair of ranks, with the descriptors of all its groups. If
	// there are no times, it is the one that moves the most bytes.
	Slowest Pair
	// SharedMicros is the time of the slowest rank if the pairs of a rank share one link.
	// Their bytes add up, but their descriptors are still posted at the same time.
	SharedMicros int64
}

// Load is what several pairs move.
type Load struct {
	Pairs              int
	Bytes, Descriptors int64
	Micros             int64

	most int64 // descriptors of the pair with the most
}

// RankLoad is what a rank moves.
type RankLoad struct {
	Rank int
	Load
}

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
	// Micros is the time in microseconds.
	Micros int64
}

// timeOf is the quantity that is the time of a pair.
const timeOf = "transfer_us"

// Of evaluates the transfer of a request. The planner must have been made for transfers.
func Of(p *plan.Planner, req *plan.Request) (*Transfer, error) {
	made, err := p.Transfer(req)
	if err != nil {
		return nil, err
	}
	if tooMany(made) {
		return nil, diag.Errorf(diag.Pos{File: req.Config.File}, "there are more than %d pairs of ranks, which is too many to list", maxPairs)
	}
	t := &Transfer{Transfer: made, Pairs: Pairs(made)}
	if len(t.Pairs) == 0 {
		return nil, diag.Errorf(diag.Pos{File: req.Config.File}, "no rank of the source sends anything")
	}
	clock := &clock{made, map[[2]int64]int64{}, nil}
	for i := range t.Pairs {
		q := &t.Pairs[i]
		q.Micros = clock.micros(q.Bytes, q.Descriptors)
	}
	t.sum(clock)
	if clock.err != nil {
		return nil, clock.err
	}
	_, t.Timed, err = made.Quantity(timeOf, 0, 0)
	return t, err
}

// maxPairs is the maximum number of pairs that are listed.
const maxPairs = 1 << 16

// tooMany reports whether a transfer has more than maxPairs pairs.
func tooMany(t *plan.Transfer) bool {
	left := int64(maxPairs)
	groups := min(plan.Cycle(t.Source, t.Destination), t.Requests)
	for i := range t.Shapes {
		n := t.Shapes[i].Pairs()
		if n > 0 && groups > left/n {
			return true
		}
		left -= groups * n
	}
	return false
}

// clock determines the times of pairs, each kind of pair once.
type clock struct {
	of   *plan.Transfer
	seen map[[2]int64]int64
	err  error
}

func (c *clock) micros(bytes, descriptors int64) int64 {
	key := [2]int64{bytes, descriptors}
	if us, ok := c.seen[key]; ok {
		return us
	}
	us, _, err := c.of.Quantity(timeOf, bytes, descriptors)
	if err != nil && c.err == nil {
		c.err = err
	}
	c.seen[key] = us
	return us
}

// sum determines the totals.
func (t *Transfer) sum(clock *clock) {
	sources, destinations := map[int]*Load{}, map[int]*Load{}
	load := func(m map[int]*Load, rank int) *Load {
		if m[rank] == nil {
			m[rank] = &Load{}
		}
		return m[rank]
	}
	for i := 0; i < len(t.Pairs); {
		both := t.Pairs[i]
		for i++; i < len(t.Pairs) && t.Pairs[i].Source == both.Source && t.Pairs[i].Destination == both.Destination; i++ {
			both.Bytes += t.Pairs[i].Bytes
			both.Descriptors += t.Pairs[i].Descriptors
			both.Group += "+" + t.Pairs[i].Group
			both.DescriptorBytes = 0 // they have several sizes
		}
		both.Micros = clock.micros(both.Bytes, both.Descriptors)
		for _, l := range []*Load{&t.All, load(sources, both.Source), load(destinations, both.Destination)} {
			l.Pairs++
			l.Bytes += both.Bytes
			l.Descriptors += both.Descriptors
			l.Micros = max(l.Micros, both.Micros)
			l.most = max(l.most, both.Descriptors)
		}
		if t.Slowest.Bytes == 0 || cmp.Or(cmp.Compare(both.Micros, t.Slowest.Micros), cmp.Compare(both.Bytes, t.Slowest.Bytes)) > 0 {
			t.Slowest = both
		}
	}
	t.Sources, t.Destinations = inOrder(sources), inOrder(destinations)
	for _, r := range slices.Concat(t.Sources, t.Destinations) {
		t.SharedMicros = max(t.SharedMicros, clock.micros(r.Bytes, r.most))
	}
}

func inOrder(loads map[int]*Load) []RankLoad {
	var list []RankLoad
	for rank, l := range loads {
		list = append(list, RankLoad{rank, *l})
	}
	slices.SortFunc(list, func(a, b RankLoad) int { return cmp.Compare(a.Rank, b.Rank) })
	return list
}

// Pairs returns the pairs of a transfer, sorted by source and destination, without their
// times.
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

// deals assigns the requests of a transfer to the groups of each side in turn.
func deals(t *plan.Transfer) []deal {
	cycle := plan.Cycle(t.Source, t.Destination)
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

// LongestISL returns the longest input that can be moved within the transfer's target, or
// 0 if none can.
func (t *Transfer) LongestISL(p *plan.Planner) (int64, error) {
	target, _, err := t.Quantity(targetField, 0, 0)
	if err != nil {
		return 0, err
	}
	meets := func(isl int64) bool {
		u, err := Of(p, t.with(islField, isl))
		return err == nil && u.All.Micros <= target
	}
	var low int64
	step := int64(1)
	for step <= maxISL && meets(step) {
		low, step = step, step*2
	}
	for high := step; high-low > 1; {
		if mid := low + (high-low)/2; meets(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low, nil
}

// maxISL is the longest input that is tried.
const maxISL = 1 << 40

// The fields that the package sets or reads.
const (
	islField    = "isl"
	targetField = "transfer_target"
)
