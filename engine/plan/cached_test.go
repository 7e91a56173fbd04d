package plan_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// formats contains, for each number format, 32 times the bytes per element, and the bytes of a
// head's scale.
var formats = map[string][2]int{"fp8": {32, 0}, "bf16": {64, 0}, "fp32": {128, 0}, "nvfp4": {18, 0}, "mxfp4": {17, 0}, "fp8_per_token_head": {32, 4}}

// inFlight is the number of tokens in flight for --window allocated.
const inFlight = 2048

func ceil(a, b int) int { return (a + b - 1) / b }

// cached is what a layer stores on a rank. A layer can have several of these, such as latent
// vectors and index keys.
type cached struct {
	layer            int
	group, kind, per string
	parts            []int // bytes per token or per request
	tokens           int   // in a page
	span             int   // tokens in the window, or of the encoder; 0 for all tokens
}

// size returns the bytes of a page.
func (c *cached) size() int {
	n := 0
	for _, p := range c.parts {
		n += p * c.tokens
	}
	return n
}

// sort returns the type of block that vLLM allocates for the layer.
func (c *cached) sort() string {
	if c.size() == 0 || c.kind == "cross" {
		return "none"
	}
	return fmt.Sprint(c.per == "request", c.span > 0 && c.kind == "chunked", c.span)
}

// base returns what each layer stores on a single rank in bf16.
func (m *accounts) base(flags string) []cached {
	if all, ok := m.bases[flags]; ok {
		return all
	}
	var all []cached
	p, req := m.request(flags + " kvcache_quant_mode=bf16 access_pattern=layer")
	tables, err := p.ExplainLayers(req)
	for i := 0; err == nil && i < len(tables[0].Rows); i++ {
		row := tables[0].Rows[i]
		for _, layer := range row.Layers {
			c := cached{layer: layer, group: row.Group, kind: row.Kind, per: row.Per, tokens: 1}
			for _, part := range row.Parts {
				c.parts = append(c.parts, int(part.Bytes.Num.Num()))
			}
			all = append(all, c)
		}
	}
	m.bases[flags] = all
	return all
}

// number evaluates a simple formula, such as one for the number of heads.
func (m *accounts) number(text string, layer int) int {
	list, indexed := strings.CutSuffix(text, "[layer]")
	v := m.model.Params[list]
	first, second, either := strings.Cut(text, " ?? ")
	over, under, quotient := strings.Cut(text, " / ")
	switch n, err := strconv.Atoi(text); {
	case err == nil:
		return n
	case indexed:
		return int(v.Nums[layer].Num())
	case !v.IsZero():
		return int(v.Num.Num())
	case either && !m.model.Params[first].IsZero():
		return m.number(first, layer)
	case either:
		return m.number(second, layer)
	case quotient:
		return m.number(over, layer) / m.number(under, layer)
	}
	return m.number(m.model.Arch.Formulas[text].Text, layer)
}

// ranks returns what each of n ranks stores, or nil if this test does not know.
func (m *accounts) ranks(n int) (all []cached) {
	known := []string{"gemma_4", "gpt_oss_20b", "gpt_oss_120b", "llama4", "mimo", "step_3"} // with windows in SGLang
	windows := m.window != "all" &&
		(m.engine != "SGLANG" || slices.ContainsFunc(known, func(s string) bool { return strings.HasPrefix(m.name, s) })) &&
		(m.engine != "VLLM" || !slices.ContainsFunc(m.stored, func(c cached) bool { return c.kind == "latent" }))
	element, scale := formats[m.format][0], formats[m.format][1]
	for _, c := range m.stored {
		field := func(name string) int {
			return m.number(m.model.Arch.Layers.Groups[c.group].Fields[name].Text, c.layer)
		}
		if c.kind == "compressor" || c.per == "page" || c.kind == "mamba2" && field("groups")%n != 0 {
			return nil
		}
		c.parts = slices.Clone(c.parts)
		for i, bytes := range c.parts {
			switch {
			case c.kind == "latent" && m.format == "fp8" && m.engine != "TRTLLM" && m.model.Params["packed_fp8"].Bool:
				c.parts[i] = 656
			case c.kind == "latent":
				c.parts[i] = ceil(bytes/2*element, 32)
			case c.per == "request":
				c.parts[i] = bytes / n
			case slices.Contains([]string{"full", "sliding", "chunked", "cross"}, c.kind):
				heads := field("kv_heads")
				c.parts[i] = max(heads/n, 1) * (ceil(bytes/2/heads*element, 32) + scale)
			}
		}
		if c.per != "request" {
			c.tokens = m.page
		}
		name := map[string]string{"sliding": "window", "chunked": "chunk", "cross": "encoder_tokens"}[c.kind]
		if name != "" && (windows || c.kind == "cross") {
			c.span = field(name)
		}
		all = append(all, c)
	}
	return all
}

// stageOf returns the stage of a layer. If the layers do not divide evenly, some stages have
// one layer more. Which stages these are depends on the engine. Draft layers are in the last
// stage.
func (m *accounts) stageOf(layer int) int {
	if m.cut > 0 {
		return min(layer/m.cut, 1)
	}
	extra := m.layers % m.pp
	first := map[string]int{"TRTLLM": 0, "SGLANG": m.pp - extra, "VLLM": m.pp - 1 - extra}[m.engine]
	for stage, end := 0, 0; ; stage++ {
		end += m.layers / m.pp
		if stage >= first && stage < first+extra {
			end++
		}
		if layer < end || stage == m.pp-1 {
			return stage
		}
	}
}

// pages returns the number of pages that a request has in a layer.
func (m *accounts) pages(c *cached, tokens int) int {
	all, chunked := ceil(tokens, c.tokens), c.kind == "chunked"
	switch {
	case c.per == "request":
		return 1
	case c.kind == "cross":
		return ceil(c.span, c.tokens)
	case c.span == 0 && m.engine == "VLLM":
		return ceil(ceil(tokens, m.cp), c.tokens)
	case c.span == 0 || m.window == "transfer" && chunked:
		return all
	case m.window == "transfer":
		return min(all, ceil(c.span, c.tokens)+1)
	case m.window == "allocated" && chunked:
		return ceil(min(c.span+inFlight, tokens), c.tokens)
	case m.window == "allocated":
		return ceil(min(c.span-1+inFlight, tokens), c.tokens) + 1
	case chunked:
		return ceil((tokens-1)%c.span+1, c.tokens)
	}
	return ceil(min(tokens, c.span), c.tokens)
}

// bucket contains layers that are alike. vLLM divides them into groups of equal size.
type bucket struct {
	cached
	all, here, groups int // layers in the model, layers in the stage, and groups
}

// buckets divides layers into buckets if the model has several types of layers. It returns
// the number of places that any group has in the stage, and the size of the largest page.
func (m *accounts) buckets(all []cached, stage int) (list map[string]*bucket, places, most int) {
	list, sorts := map[string]*bucket{}, map[string]bool{}
	for _, c := range all {
		key := fmt.Sprint(c.sort(), c.size())
		if m.engine != "VLLM" || c.sort() == "none" {
			continue
		}
		if sorts[c.sort()] = true; list[key] == nil {
			list[key] = &bucket{cached: c}
		}
		list[key].all++
		if stage < 0 || m.stageOf(c.layer) == stage {
			list[key].here++
		}
		if c.per == "token" {
			most = max(most, c.size())
		}
	}
	if len(sorts) < 2 {
		return nil, 0, 0
	}
	group, largest := len(all), 0
	for _, b := range list {
		group, largest = min(group, b.all), max(largest, b.all)
	}
	if 2*largest < 3*group {
		group = largest
	}
	for _, b := range list {
		b.groups = ceil(b.all, group)
		places = max(places, ceil(b.here, b.groups))
	}
	return list, places, most
}

// counts is what a request needs in a stage: the bytes that are stored and that I/Os move, the
// number of I/Os if each moves a page or part of a page, and the bytes per token of all layers,
// and of those that grow.
type counts struct {
	held, moved, pages, parts, state, encoder, draft int
	token, grows                                     float64
}

// count counts the layers in a stage or, if stage is -1, in the model.
func (m *accounts) count(all []cached, stage, tokens int) (n counts) {
	// add adds the places in which layers are stored, and the pages of the layers that are moved.
	add := func(c *cached, layers, size, moved, place int) {
		n.held += m.pages(c, tokens) * layers * place
		n.moved += m.pages(c, tokens) * moved * size
		n.pages += m.pages(c, tokens) * moved
		for _, bytes := range c.parts {
			n.parts += m.pages(c, tokens) * moved * min(bytes, 1)
		}
		if c.per == "token" {
			bytes := float64(layers*place) / float64(c.tokens)
			n.token += bytes
			if c.span == 0 || c.kind == "chunked" && m.window == "transfer" {
				n.grows += bytes
			}
		}
	}
	buckets, places, most := m.buckets(all, stage)
	padded := buckets != nil && (m.window == "transfer" || m.window == "allocated")
	for i := range all {
		c := &all[i]
		if stage >= 0 && m.stageOf(c.layer) != stage || c.size() == 0 {
			continue
		}
		if c.layer >= m.layers && c.per == "token" {
			n.draft += c.size() / c.tokens
		}
		if c.kind == "cross" {
			n.encoder += c.size() / c.tokens * c.span
		} else if c.per == "request" {
			n.state += c.size()
		}
		if !padded {
			add(c, 1, c.size(), 1, c.size())
		}
	}
	blocks, here := 0, 0
	for _, b := range buckets {
		size, place, layers := b.size(), most, b.groups*places
		if b.here == 0 {
			layers = 0
		}
		if !padded {
			if b.per == "request" && m.pattern == "native" { // I/Os also read the padding
				add(&b.cached, 0, size, max(layers-b.here, 0), 0)
			}
			continue
		}
		if b.per == "request" {
			if m.window == "transfer" || size > most {
				place = size
			}
		} else if size = most; most%b.size() == 0 {
			b.tokens = most / (b.size() / b.tokens)
		}
		moved := layers
		if m.pattern == "block" {
			moved = b.here
		}
		add(&b.cached, layers, size, moved, place)
		blocks += b.groups * m.pages(&b.cached, tokens)
		here += b.groups * m.pages(&b.cached, tokens) * min(b.here, 1)
	}
	if here > 0 {
		n.held = n.held * blocks / here // ranks also have blocks for groups without layers in their stage
	}
	return n
}

// fits returns the number of requests that fit in memory. SGLang has a pool for all tokens, and
// one for the tokens in windows, which holds 0.8 times as many tokens.
func (m *accounts) fits(all []cached, stage, tokens int) int {
	var here [2]int // bytes per token in each pool
	window, fifths := 0, 5
	for i := range all {
		c := &all[i]
		if c.per != "token" || c.size() == 0 {
			continue
		}
		if window = max(window, c.span); c.span == 0 {
			fifths = 4 // unless all layers have windows
		}
		if m.stageOf(c.layer) == stage {
			here[min(c.span, 1)] += c.size() / c.tokens
		}
	}
	if m.engine != "SGLANG" || window == 0 {
		return m.memory / m.count(all, stage, tokens).held
	}
	pages := m.memory * 5 / (m.page * (5*here[0] + fifths*here[1]))
	return min(pages/ceil(tokens, m.page), pages*fifths/5/ceil(min(tokens, window), m.page))
}
