package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvbench/engine/config"
	"kvbench/engine/data"
)

func axisOverride(path, flag, text string) config.Override {
	return config.Override{Path: path, Text: text, Origin: data.Origin{Kind: data.FromFlag, Name: flag}, Axis: true}
}

func texts(a config.Axis) string {
	var list []string
	for _, v := range a.Values {
		list = append(list, v.Text())
	}
	return strings.Join(list, " ")
}

// TestAxisText reads axes in the form used on the command line.
func TestAxisText(t *testing.T) {
	for _, test := range []struct{ path, flag, text, want string }{
		{"strategy.tp_size", "tp", "1,2,4,8", "1 2 4 8"},
		{"strategy.tp_size", "tp", "8, 1", "8 1"},
		{"strategy.tp_size", "tp", "7", ""},
		{"strategy.tp_size", "tp", "7..7x2", ""},
		{"runtime.isl", "isl", "1024..131072x2", "1024 2048 4096 8192 16384 32768 65536 131072"},
		{"runtime.isl", "isl", "1..100x10", "1 10 100"},
		{"runtime.isl", "isl", "1..99x10", "1 10"},
		{"runtime.isl", "isl", "1Ki..4Kix2", "1024 2048 4096"},
		{"runtime.isl", "isl", "1k..128kx2", "1024 2048 4096 8192 16384 32768 65536 131072"},
		{"runtime.isl", "isl", "4k,1M,100", "4096 1048576 100"},
		{"system.bandwidth", "bandwidth", "25Gbit/s..100Gbit/sx2, 50GB/s", "3125000000 6250000000 12500000000 50000000000"},
		{"runtime.isl", "isl", "9223372036854775806..9223372036854775807+1", "9223372036854775806 9223372036854775807"},
		{"runtime.isl", "isl", "4611686018427387904..9223372036854775807x2", ""},
		{"runtime.osl", "osl", "0..3+1", "0 1 2 3"},
		{"system.page_size", "page_size", "16..64+16,100", "16 32 48 64 100"},
		{"system.access_pattern", "access_pattern", "block, layer", "block layer"},
		{"strategy.kvcache_quant_mode", "kvcache_quant_mode", "fp8,bf16", "fp8 bf16"},
		{"system.hardware", "hardware", `H100\, 80 GB,B200`, "H100, 80 GB B200"},
		{"system.hardware", "hardware", "a..bx2", ""},
		{"system.kv_memory", "kv_memory", "1GiB,2GiB", "1073741824 2147483648"},
		{"system.kv_memory", "kv_memory", "1GiB..4GiBx2", "1073741824 2147483648 4294967296"},
		{"system.kv_memory", "kv_memory", "1GiB..2GiB+512MiB", "1073741824 1610612736 2147483648"},
		{"strategy.dp_attention", "dp_attention", "true,no", "true false"},
		{"strategy.pp_stage", "pp_stage", "0,largest,all", "0 largest all"},
		{"strategy.pp_stage", "pp_stage", "0..3+1,all", "0 1 2 3 all"},
		{"transfer.contiguous_pages", "contiguous_pages", "1..all", "1 0"},
		{"transfer.contiguous_pages", "contiguous_pages", "1..64x4,ALL", "1 4 16 64 0"},
	} {
		_, l := loader(t)
		c, err := l.Config("", nil, "", []config.Override{axisOverride(test.path, test.flag, test.text)})
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		got := ""
		if len(c.Axes) > 0 {
			got = texts(c.Axes[0])
			if first, _, _ := strings.Cut(test.want, " "); c.Values[c.Axes[0].Field.Var].Text() != first && test.flag != "hardware" {
				t.Errorf("%s: the configuration has %s", test.text, c.Values[c.Axes[0].Field.Var].Text())
			}
		}
		if got != test.want {
			t.Errorf("%s gives %q, want %q", test.text, got, test.want)
		}
	}
}

// TestAxisWrong checks that an invalid value on an axis is rejected with the same message
// as an invalid single value.
func TestAxisWrong(t *testing.T) {
	long := strings.Repeat("1,", 10_000) + "1"
	for _, test := range []struct{ path, flag, text, want string }{
		{"strategy.tp_size", "tp", "1,0", "--tp: 0 is not allowed: expected a whole number, 1 or more"},
		{"strategy.tp_size", "tp", "0..4+1", "--tp: 0 is not allowed: expected a whole number, 1 or more"},
		{"strategy.tp_size", "tp", "1,x", `--tp: "x" is not allowed: expected a whole number, 1 or more`},
		{"strategy.tp_size", "tp", "1,,2", `--tp: "" is not allowed: expected a whole number, 1 or more`},
		{"strategy.tp_size", "tp", "1,2.5", "--tp: 2.5 is not allowed: expected a whole number, 1 or more"},
		{"strategy.tp_size", "tp", "1,9223372036854775808", "--tp: 9223372036854775808 does not fit in 64 bits: expected a whole number, 1 or more"},
		{"strategy.tp_size", "tp", "1,2,1", "--tp: 1 is given twice"},
		{"strategy.tp_size", "tp", "1..8", `--tp: the range "1..8" has no step`},
		{"strategy.tp_size", "tp", "8..1x2", `--tp: the range "8..1x2" goes downwards: write the smaller number first`},
		{"strategy.tp_size", "tp", "1..8x1", `--tp: the range "1..8x1" never advances: it must begin at 1 or more and multiply by 2 or more`},
		{"strategy.tp_size", "tp", "1..8+0", `--tp: the range "1..8+0" never advances: it must add 1 or more`},
		{"transfer.contiguous_pages", "contiguous_pages", "1..allx2", `--contiguous_pages: the range "1..allx2" has a step but does not end in a number`},
		{"transfer.contiguous_pages", "contiguous_pages", "x..all", `--contiguous_pages: "x" is not allowed: expected a whole number of pages, 0 or more, or a value such as 16 or all`},
		{"transfer.contiguous_pages", "contiguous_pages", "all..all", "--contiguous_pages: 0 is given twice"},
		{"transfer.contiguous_pages", "contiguous_pages", "1..8", `--contiguous_pages: the range "1..8" has no step`},
		{"strategy.tp_size", "tp", "1..all", `--tp: the range "1..all" has no step`},
		{"strategy.tp_size", "tp", "a..bx2", `--tp: "a..bx2" is not a range of whole numbers`},
		{"strategy.tp_size", "tp", "1..10001+1", "--tp: the axis has more than 10000 values"},
		{"strategy.tp_size", "tp", "1..1000000000000+1", "--tp: the axis has more than 10000 values"},
		{"strategy.tp_size", "tp", long, "--tp: the axis has more than 10000 values"},
		{"strategy.pp_stage", "pp_stage", "-1..3+1", "--pp_stage: -1 is not allowed: expected largest, all, or a whole number, 0 or more"},
		{"strategy.kvcache_quant_mode", "kvcache_quant_mode", "fp8,fp9", `--kvcache_quant_mode: "fp9" is not allowed: expected one of fp8, int8, fp16, bfloat16, bf16, fp32, int4, fp4, nvfp4, mxfp4, fp8_per_token_head, int8_per_token_head, fp8_ds_mla, fp8_plain`},
	} {
		_, l := loader(t)
		_, err := l.Config("", nil, "", []config.Override{axisOverride(test.path, test.flag, test.text)})
		if err == nil || err.Error() != test.want {
			t.Errorf("%.40s gives\n%v, want\n%s", test.text, err, test.want)
		}
	}
	if _, l := loader(t); true {
		c, err := l.Config("", nil, "", []config.Override{axisOverride("strategy.tp_size", "tp", "1..10000+1")})
		if err != nil || len(c.Axes) != 1 || len(c.Axes[0].Values) != 10_000 {
			t.Errorf("10000 values are rejected: %v", err)
		}
	}
}

// TestSweepSection reads axes from files, and checks that flags override them.
func TestSweepSection(t *testing.T) {
	_, l := loader(t)
	dir := t.TempDir()
	read := func(name, text string, overrides ...config.Override) (*config.Config, error) {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return l.Config(file, nil, "", overrides)
	}
	mixed, err := read("m.yaml", "sweep: {dp_attention: [true, false], pp_stage: [all, 1], kv_memory: [1GiB, 5]}\n")
	if err != nil || len(mixed.Axes) != 3 || texts(mixed.Axes[0])+" "+texts(mixed.Axes[1])+" "+texts(mixed.Axes[2]) != "true false all 1 1073741824 5" {
		t.Errorf("words, booleans and numbers with units are read as %v, %v", mixed, err)
	}
	yaml := "runtime: {num_requests: 3}\nsweep:\n  page_size: [16, \"32..64+16\", 100]\n  tp: 1..4x2\n  access_pattern: block,layer\n  isl: 7\n"
	for name, text := range map[string]string{
		"a.yaml": yaml,
		"a.json": `{"runtime": {"num_requests": 3}, "sweep": {"page_size": [16, "32..64+16", 100], "tp": "1..4x2", "access_pattern": "block,layer", "isl": 7}}`,
		"a.cue":  "runtime: num_requests: 3\nsweep: {page_size: [16, \"32..64+16\", 100], tp: \"1..4x2\", access_pattern: \"block,layer\", isl: 7}\n",
	} {
		c, err := read(name, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, a := range c.Axes {
			got = append(got, a.Field.Flag+": "+texts(a))
		}
		want := "tp: 1 2 4; access_pattern: block layer; page_size: 16 32 48 64 100"
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("%s has the axes %q, want %q", name, s, want)
		}
		if v := c.Values["isl"]; v.Text() != "7" {
			t.Errorf("%s: isl is %s", name, v.Text())
		}
	}
	c, err := read("a.yaml", yaml, axisOverride("strategy.tp_size", "tp", "5"), axisOverride("system.page_size", "page_size", "1,2"))
	if err != nil || len(c.Axes) != 2 || texts(c.Axes[1]) != "1 2" || c.Values["tp_size"].Text() != "5" {
		t.Errorf("flags do not replace a file's axes: %v %v", c, err)
	}
	for text, want := range map[string]string{
		"sweep: 3\n":                  "b.yaml:1:8: sweep: 3 is not allowed: expected a mapping from flags to lists or ranges",
		"sweep:\n":                    "",
		"sweep: {}\n":                 "",
		"sweep:\n  tq: [1, 2]\n":      `b.yaml:2:3: unknown key "sweep.tq": a sweep has no such axis`,
		"sweep:\n  tp_size: [1, 2]\n": `b.yaml:2:3: unknown key "sweep.tp_size": a sweep has no such axis`,
		"sweep:\n  strategy:\n    tp_size: [1, 2]\n":     `b.yaml:3:5: unknown key "sweep.strategy.tp_size": a sweep has no such axis`,
		"sweep:\n  tp: []\n":                             "b.yaml:2:7: sweep.tp: the list is empty",
		"sweep:\n  tp: [1, 0]\n":                         "b.yaml:2:11: strategy.tp_size: 0 is not allowed: expected a whole number, 1 or more",
		"sweep:\n  tp: [0, 1]\n":                         "b.yaml:2:8: strategy.tp_size: 0 is not allowed: expected a whole number, 1 or more",
		"sweep:\n  tp: [1, [2]]\n":                       "b.yaml:2:7: sweep.tp: a list is not allowed: expected a list or a range of values, each a whole number, 1 or more",
		"sweep:\n  tp: [1, true]\n":                      "b.yaml:2:11: strategy.tp_size: true is not allowed: expected a whole number, 1 or more",
		"sweep:\n  tp: true\n":                           "b.yaml:2:7: strategy.tp_size: true is not allowed: expected a whole number, 1 or more",
		"sweep:\n  tp: null\n":                           "b.yaml:2:7: sweep.tp: no value is not allowed: expected a list or a range of values, each a whole number, 1 or more",
		"sweep:\n  kv_memory: [1GiB, 2XB]\n":             "b.yaml:2:21: system.kv_memory: \"2XB\" is not allowed: expected a whole number of bytes, 0 or more, or a value such as 64GiB or 80GB",
		"sweep:\n  tp: [1, 1]\n":                         "b.yaml:2:11: sweep.tp: 1 is given twice",
		"sweep:\n  tp: 1..2\n":                           `b.yaml:2:7: sweep.tp: the range "1..2" has no step`,
		"strategy: {tp_size: 2}\nsweep:\n  tp: [1, 2]\n": "b.yaml:3:8: sweep.tp: strategy.tp_size already has a value, at b.yaml:1:21",
		"sweep:\n  access_pattern: [block, 3]\n":         "b.yaml:2:27: system.access_pattern: 3 is not allowed: expected a non-empty string",
	} {
		_, err := read("b.yaml", text)
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), dir+"/", "")
		}
		if got != want {
			t.Errorf("%q gives\n%s, want\n%s", text, got, want)
		}
	}
}
