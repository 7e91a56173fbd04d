// Package transfer describes how much data moves between each pair of ranks when the
// caches of requests are transferred from the ranks on one side, the source, to the ranks
// on the other side, the destination.
package transfer

import (
	"cmp"
	"slices"

	"kvbench/engine/diag"
	"kvbench/engine/plan"
)

// Transfer is a transfer with all its pairs of ranks.
type Transfer struct {
	*plan.Transfer
	// Pairs are sorted by source and destination.
	Pairs []Pair
	// Timed reports whether the bandwidth, and therefore the times, are known.
	Timed bool
	// All describes what all pairs move in total. Its time is that of the slowest pair.
	All Load
	// Sources and Destinations describe what each rank moves, sorted by rank number. A rank
	// moves the data of all its pairs at the same time, so its time is that of its slowest
	// pair.
	Sources, Destinations []RankLoad
	// Slowest is the slowest pair of ranks, with the descriptors of all its groups. If the
	// times are not known, it is the pair that moves the most bytes.
	Slowest Pair
	// SharedMicros is the time of the slowest rank if all pairs of a rank share one link. In
	// this case, the times for their bytes add up, but their descriptors are still posted at
	// the same time.
	SharedMicros int64
}

// Load describes what several pairs move.
type Load struct {
	Pairs              int
	Bytes, Descriptors int64
	Micros             int64

	most int64 // the largest number of descriptors of any pair
}

// RankLoad describes what a rank moves.
type RankLoad struct {
	Rank int
	Load
}

// Pair describes what a source rank sends to a destination rank in descriptors of one
// size. The same two ranks may be in several Pairs, one for each group of layers.
type Pair struct {
	// Source and Destination are the numbers of the ranks among all ranks of their sides.
	Source, Destination int
	// Group contains the names of the groups of layers, joined by "+".
	Group string
	// Bytes and Descriptors are the totals for the pair. The last descriptor may move less
	// than DescriptorBytes.
	Bytes, Descriptors, DescriptorBytes int64
	// Micros is the time in microseconds.
	Micros int64
}

// timeOf is the name of the quantity for the time of a pair.
const timeOf = "transfer_us"

// Of evaluates the transfer for a request. The planner must be one for transfers; see
// [plan.Use].
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
		return nil, diag.Errorf(diag.Pos{File: req.Config.File}, "no rank on the source side sends anything")
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

// maxPairs is the maximum number of pairs to list.
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

// clock determines how long the transfers of pairs take. It evaluates each kind of pair
// only once.
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

// sum computes the totals of all pairs and of each rank, and finds the slowest pair.
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
			both.DescriptorBytes = 0 // the descriptors have several sizes
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

// deal is a pair of data-parallel attention groups, and the number of requests that move
// between them.
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

// LongestISL returns the number of tokens in the longest input that can be moved within the
// target time, or 0 if no input can.
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

// maxISL is the longest input that LongestISL tries.
const maxISL = 1 << 40

// The fields that the package sets or reads.
const (
	islField    = "isl"
	targetField = "transfer_target"
)
