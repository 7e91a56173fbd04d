package enginelog_test

import (
	"io"
	"strings"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/enginelog"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

func read(t *testing.T, s *schema.Schema, text io.Reader) (*enginelog.Log, error) {
	t.Helper()
	r, err := enginelog.NewReader(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Read("x.log", text); err != nil {
		t.Fatal(err)
	}
	return r.Log()
}

// TestExamples checks that every line in the data has an example, that its pattern finds
// the expected text in the example, and that its groups are values or configuration
// fields.
func TestExamples(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	logs := s.Logs.Get()
	if len(logs.Lines) < 30 {
		t.Errorf("only %d lines", len(logs.Lines))
	}
	field := func(name string) bool {
		for i := range s.Fields {
			if s.Fields[i].Var == name {
				return true
			}
		}
		return false
	}
	for i := range logs.Lines {
		l := &logs.Lines[i]
		if len(l.Examples) == 0 {
			t.Errorf("%s of %s: no example", l.Says, l.Engine)
		}
		if l.Engine != "" && s.Cache.Get().Releases[l.Engine] == nil {
			t.Errorf("%s: there is no engine %s", l.Says, l.Engine)
		}
		for name := range l.Set {
			if !field(name) {
				t.Errorf("%s of %s sets %s, which is not a field", l.Says, l.Engine, name)
			}
		}
		for _, e := range l.Examples {
			// Use only this kind of line. Otherwise, another kind might match instead.
			s.Logs.Set(&schema.Logs{Lines: logs.Lines[i : i+1], Values: logs.Values})
			log, err := read(t, s, strings.NewReader("(EngineCore pid=1) INFO 08-20 "+e.Line+" and more\r\n"))
			if err != nil {
				t.Errorf("%q: %v", e.Line, err)
				continue
			}
			for name, want := range e.Expect {
				if _, ok := logs.Values[name]; !ok && !field(name) {
					t.Errorf("%s of %s: %s is neither a value nor a field", l.Says, l.Engine, name)
				}
				got := ""
				if v := log.Values[name]; v != nil {
					got = v.Text
				} else if v := log.Fields[name]; v != nil && l.Words[name] != nil {
					if meant, known := l.Words[name][want]; !known || v.Text != meant {
						t.Errorf("%q: %s is %q, want %q", e.Line, name, v.Text, meant)
					}
					continue
				} else if v != nil {
					got = v.Text
				} else if l.Words[name] != nil && l.Words[name][want] == "" {
					continue
				}
				if got != want {
					t.Errorf("%q: %s is %q, want %q", e.Line, name, got, want)
				}
			}
			for name := range log.Values {
				if _, ok := e.Expect[name]; !ok {
					t.Errorf("%q: %s is found but not expected", e.Line, name)
				}
			}
		}
	}
}

// TestUnread checks that kvbench reads no values from the lines that the data lists as not
// compared, and that the data contains a reason for each of these lines.
func TestUnread(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Logs.Get().Unread) < 10 {
		t.Errorf("only %d lines", len(s.Logs.Get().Unread))
	}
	for _, u := range s.Logs.Get().Unread {
		if log, err := read(t, s, strings.NewReader(u.Has+" 17 GB, 18 tokens, 19 blocks")); err == nil && len(log.Values) > 0 {
			t.Errorf("%s: found %v", u.Has, log.Values)
		}
		if u.Has == "" || u.Says == "" || u.Why == "" {
			t.Errorf("%+v: a string is missing", u)
		}
	}
}

// TestUnits checks values with their units, and their maximum rounding errors.
func TestUnits(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	frac := func(n, d int64) formula.Rat {
		r, err := formula.Frac(n, d)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, tt := range []struct {
		line, name string
		num, off   formula.Rat
	}{
		{"Available KV cache memory: 8.11 GiB", "memory", frac(811*gib, 100), frac(gib, 200)},
		{"Allocate 69524783104 bytes for k/v cache.", "memory", formula.Int(69524783104), formula.Int(0)},
		{"GPU KV cache size: 1,626,949 tokens", "tokens", formula.Int(1626949), formula.Int(0)},
		{"Maximum concurrency for 262,144 tokens per request: 2.39x", "concurrency", frac(239, 100), frac(1, 200)},
		// the engine rounds to three decimals but omits trailing zeros: 70.0, not 70.000
		{"Num successful transfers=1, Avg MB per transfer=70.0, x, Avg number of descriptors=56.0 KV Transfer metrics:", "transfer_bytes", formula.Int(70 << 20), frac(1<<20, 2000)},
		{"Stored 31 out of total 31 tokens. size: 0.0040 gb", "stored_bytes", frac(40*gib, 10000), frac(gib, 20000)},
		{"KV Cache is allocated. #tokens: 975424, KV size: 43.67 GB", "kv_bytes", frac(4367*gib, 100), frac(gib, 200)},
	} {
		log, err := read(t, s, strings.NewReader(tt.line))
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		if v := log.Values[tt.name]; v == nil || v.Num != tt.num || v.Off != tt.off {
			t.Errorf("%s: %s is %+v, want %s and %s", tt.line, tt.name, v, tt.num, tt.off)
		}
	}
}

// TestNewLine checks that support for a new log line requires only new data.
func TestNewLine(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	logs := *s.Logs.Get()
	logs.Lines = append(logs.Lines[:len(logs.Lines):len(logs.Lines)], schema.LogLine{
		Engine: "NEW", Says: "the memory", Has: "cache:", Pattern: `cache: (?P<memory>[\d.]+) MiB for (?P<tokens>\d+)`,
		Scale: map[string]int64{"memory": 1 << 20},
	})
	s.Logs.Set(&logs)
	log, err := read(t, s, strings.NewReader("cache: 12.5 MiB for 100 tokens\n"))
	if err != nil || log.Engine != "NEW" || log.Values["memory"].Num != formula.Int(12.5*(1<<20)) || log.Values["tokens"].Num != formula.Int(100) {
		t.Errorf("%+v, %v", log, err)
	}
}

// TestBounds checks how very long lines, very long numbers and many repeated lines are read.
func TestBounds(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 10<<20)
	text := long + " GPU KV cache size: 7 tokens\n" + "GPU KV cache size: 5 tokens " + long + "\r\n" + strings.Repeat("\x00\xff\x1b[", 1000) + "\n"
	log, err := read(t, s, strings.NewReader(text))
	if err != nil || log.Values["tokens"].Num != formula.Int(5) || log.Values["tokens"].At.Line != 2 {
		t.Errorf("%+v, %v", log, err)
	}
	// A number with this many digits is ignored.
	if log, err := read(t, s, strings.NewReader("GPU KV cache size: "+strings.Repeat("1", 1000)+" tokens\nblock_size=64\n")); err != nil || log.Values["tokens"] != nil {
		t.Errorf("%+v, %v", log, err)
	}
	// If lines have different values, the smallest value is used, and there is one note. Equal
	// lines count only once.
	text = strings.Repeat("Available KV cache memory: 3.00 GiB\nAvailable KV cache memory: 2.00 GiB\n", 100)
	log, err = read(t, s, strings.NewReader(text))
	if v := log.Values["memory"]; err != nil || v.Num != formula.Int(2*gib) || v.Sum != formula.Int(5*gib) || v.At.Line != 2 || len(log.Notes) != 1 {
		t.Errorf("%+v, %v, %v", v, err, log.Notes)
	}
}

// TestEngineOfLog checks that a log belongs to the engine with the most kinds of lines, and
// checks which release the logged version maps to.
func TestEngineOfLog(t *testing.T) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ text, engine, release string }{
		{"server_args=ServerArgs(model_path='m', kv_cache_dtype='auto', tp_size=8)", "SGLANG", ""},
		{"LLM engine (v0.9.2) with config: kv_cache_dtype=auto", "VLLM", "0.22.1"},
		{"LLM engine (v0.24.1) with config: kv_cache_dtype=auto", "VLLM", "0.24.0"},
		{"LLM engine (v1.0.0) with config: kv_cache_dtype=auto", "VLLM", "0.26.0"},
		{"[TensorRT-LLM][INFO] Number of tokens per block: 32.", "TRTLLM", ""},
		// Only releases before 0.21 log the concurrency in a separate line. For these releases,
		// kvbench uses the rules of 0.22.1.
		{"GPU KV cache size: 5 tokens", "VLLM", "0.22.1"},
		{"GPU KV cache size: 5 tokens, Maximum concurrency for 5 tokens per request: 1.00x", "VLLM", ""},
		{"Stored 31 out of total 31 tokens. size: 0.0040 gb", "", ""},
	} {
		log, err := read(t, s, strings.NewReader(tt.text))
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		release := ""
		if f := log.Fields["engine_release"]; f != nil {
			release = f.Text
		}
		if log.Engine != tt.engine || release != tt.release {
			t.Errorf("%s: %q %q, want %q %q", tt.text, log.Engine, release, tt.engine, tt.release)
		}
	}
}

// FuzzRead checks that no log makes the reader panic.
func FuzzRead(f *testing.F) {
	s, err := schema.Decode(cueschema.Snapshot)
	if err != nil {
		f.Fatal(err)
	}
	for _, l := range s.Logs.Get().Lines {
		for _, e := range l.Examples {
			f.Add(e.Line)
		}
	}
	f.Add("Available KV cache memory: 99999999999.999999999 GiB\nAvailable KV cache memory: .. GiB\nGPU KV cache size: ,, tokens")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := enginelog.NewReader(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Read("x", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		r.Log()
	})
}
