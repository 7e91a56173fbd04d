package formula

import (
	"testing"

	"kvbench/engine/diag"
)

// latentScope declares five formulas of typical size. They compute the sizes of a latent
// attention cache and its pages, and the size of the resulting batch.
func latentScope() *Scope {
	s := NewScope()
	for _, name := range []string{
		"num_layers", "rope_mla_dimension", "mla_latent_vector_dimension", "kvcache_bytes",
		"tp_size", "pp_size", "page_size", "isl", "num_requests",
	} {
		s.Input(name, Num, diag.Pos{})
	}
	for _, f := range [][2]string{
		{"kv_bytes_per_token", "(rope_mla_dimension + mla_latent_vector_dimension) * kvcache_bytes * num_layers"},
		{"layer_bytes", "kv_bytes_per_token / num_layers / tp_size"},
		{"layer", "floor(layer_bytes * page_size)"},
		{"block", "floor(layer_bytes * ceil(num_layers / pp_size) * page_size)"},
		{"batch", "ceil(kv_bytes_per_token * isl * num_requests / block)"},
	} {
		s.Formula(f[0], Source{Text: f[1]}, Num)
	}
	return s
}

func latentFrame(t testing.TB) (*Program, *Frame) {
	p, err := latentScope().Compile()
	if err != nil {
		t.Fatal(err)
	}
	f := p.NewFrame()
	for name, v := range map[string]int64{
		"num_layers": 61, "rope_mla_dimension": 64, "mla_latent_vector_dimension": 512, "kvcache_bytes": 1,
		"tp_size": 1, "pp_size": 16, "page_size": 256, "isl": 10000, "num_requests": 10,
	} {
		r, _ := p.Ref(name)
		f.SetNum(r, Int(v))
	}
	return p, f
}

// BenchmarkEval sets one input and evaluates five formulas.
func BenchmarkEval(b *testing.B) {
	for _, bb := range []struct {
		name        string
		bytes, tp   Rat
		block, many int64
	}{
		{"whole", Int(1), Int(1), 589824, 5958},
		{"fraction", Rat{9, 15}, Int(3), 110592, 17872},
	} {
		b.Run(bb.name, func(b *testing.B) {
			p, f := latentFrame(b)
			bytes, _ := p.Ref("kvcache_bytes")
			tp, _ := p.Ref("tp_size")
			layer, _ := p.Ref("layer")
			block, _ := p.Ref("block")
			batch, _ := p.Ref("batch")
			f.SetNum(bytes, bb.bytes)
			b.ReportAllocs()
			for b.Loop() {
				f.SetNum(tp, bb.tp)
				f.Num(layer)
				n, _ := f.Num(block)
				m, err := f.Num(batch)
				if err != nil || n != Int(bb.block) || m != Int(bb.many) {
					b.Fatal(n, m, err)
				}
			}
		})
	}
}

// BenchmarkCompile compiles the five formulas.
func BenchmarkCompile(b *testing.B) {
	s := latentScope()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Compile(); err != nil {
			b.Fatal(err)
		}
	}
}
