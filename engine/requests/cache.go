package requests

import "container/list"

// BlockTokens is the number of tokens in a block of a trace. See the trace format in
// FAST25-release/README.md of github.com/kvcache-ai/Mooncake.
const BlockTokens = 512

// Cache is a prefix cache with room for a fixed number of blocks. It evicts the least
// recently used block. Among the blocks of one request, it evicts the last block first,
// because the earlier blocks are useful without it.
type Cache struct {
	capacity int64
	recent   *list.List // contains uint64 values, most recently used first
	blocks   map[uint64]*list.Element
}

// NewCache returns an empty cache with room for the given number of blocks.
func NewCache(capacity int64) *Cache {
	return &Cache{capacity: capacity, recent: list.New(), blocks: map[uint64]*list.Element{}}
}

// Use returns how many tokens at the beginning of a request are in the cache, and adds the
// request's blocks to the cache.
func (c *Cache) Use(r Request) (hit int64) {
	for _, b := range r.Blocks {
		if c.blocks[b] == nil {
			break
		}
		hit += BlockTokens
	}
	for i := len(r.Blocks) - 1; i >= 0; i-- {
		b := r.Blocks[i]
		if e := c.blocks[b]; e != nil {
			c.recent.MoveToFront(e)
			continue
		}
		c.blocks[b] = c.recent.PushFront(b)
		if int64(c.recent.Len()) > c.capacity {
			delete(c.blocks, c.recent.Remove(c.recent.Back()).(uint64))
		}
	}
	return min(hit, r.Tokens)
}
