package requests_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kvbench/engine/jsonl"
	"kvbench/engine/requests"
)

func tokens(text string) (int64, error) {
	if k, ok := strings.CutSuffix(text, "k"); ok {
		n, err := strconv.ParseInt(k, 10, 64)
		return n * 1024, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// TestLists checks that the lengths in a list are used in turn.
func TestLists(t *testing.T) {
	for text, want := range map[string][]int64{
		"8192":        {8192, 8192, 8192, 8192},
		" 1k,2k , 3":  {1024, 2048, 3, 1024},
		"normal(5,0)": {5, 5, 5, 5},
		// If the lengths have no deviation, their logarithms have none either.
		"LogNormal( 1k, 0 )": {1024, 1024, 1024, 1024},
	} {
		l, err := requests.ParseLengths(text, 1, tokens)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []int64
		for range want {
			got = append(got, l.Next())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// TestWrongLengths checks the messages about invalid lengths.
func TestWrongLengths(t *testing.T) {
	for text, want := range map[string]string{
		"":                  `"" is not allowed: expected a number of tokens, a list such as 1k,8k, normal(MEAN,STD) or lognormal(MEAN,STD)`,
		"1k,,2k":            `"" is not allowed: expected a number of tokens,`,
		"0":                 `"0" is not allowed: a request has from 1 to 1099511627776 tokens`,
		"-5":                `"-5" is not allowed: a request has`,
		"uniform(1,2)":      `"uniform(1,2)" is not allowed: expected a number of tokens,`,
		"normal(1,2":        `"normal(1,2" is not allowed: expected a number`,
		"normal(8k)":        `"normal(8k)" is not allowed: expected normal(MEAN,STD)`,
		"normal(8k,1,2)":    `"normal(8k,1,2)" is not allowed: expected normal(MEAN,STD)`,
		"lognormal(0,5)":    `"lognormal(0,5)" is not allowed: the mean must be at least 1`,
		"normal(8k,-1)":     `"-1" is not allowed in normal(8k,-1): expected a number of tokens from 0 to`,
		"normal(x,1)":       `"x" is not allowed in normal(x,1): expected a number of tokens`,
		"2000000000000":     `"2000000000000" is not allowed: a request has`,
		"1..5":              `"1..5" is not allowed: expected a number`,
		"normal(8k,1k),512": `is not allowed: expected a number`,
	} {
		if _, err := requests.ParseLengths(text, 1, tokens); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := requests.ParseLengths(strings.Repeat("1,", 100_000)+"1", 1, tokens); err == nil || err.Error() != "100001 lengths are too many: expected at most 100000" {
		t.Errorf("a long list: %v", err)
	}
}

// TestDistributions compares the means and deviations of many lengths with the requested
// values. For the normal distribution, it takes into account that some lengths are raised
// to 1.
func TestDistributions(t *testing.T) {
	for _, test := range []struct {
		text            string
		mean, std, near float64
	}{
		{"normal(16000,2000)", 16000, 2000, 0.01},
		{"lognormal(16000,10000)", 16000, 10000, 0.02},
		{"lognormal(100,300)", 100, 300, 0.1},
		// Half of the values are below the mean of 1. For the other half, the mean excess,
		// averaged over all values, is 1000/sqrt(2 pi) = 398.9, and the mean of its square is
		// 500,000.
		{"normal(1,1000)", 399.9, math.Sqrt(500_000 - 398.9*398.9), 0.02},
	} {
		l, err := requests.ParseLengths(test.text, 7, tokens)
		if err != nil {
			t.Fatal(err)
		}
		const n = 200_000
		sum, squares := 0.0, 0.0
		for range n {
			x := float64(l.Next())
			if x < 1 {
				t.Fatalf("%s: a length of %v", test.text, x)
			}
			sum += x
			squares += x * x
		}
		mean := sum / n
		std := math.Sqrt(squares/n - mean*mean)
		if math.Abs(mean/test.mean-1) > test.near || math.Abs(std/test.std-1) > test.near {
			t.Errorf("%s: mean %.1f and deviation %.1f, want %.1f and %.1f", test.text, mean, std, test.mean, test.std)
		}
	}
}

// TestSeeds checks that equal seeds yield equal lengths, and that different seeds yield
// different lengths.
func TestSeeds(t *testing.T) {
	draw := func(seed uint64) string {
		l, err := requests.ParseLengths("lognormal(8k,4k)", seed, tokens)
		if err != nil {
			t.Fatal(err)
		}
		s := requests.Generated(l, 5, 1, 0)
		var all []int64
		for {
			r, err := s.Next()
			if err == io.EOF {
				return fmt.Sprint(all)
			}
			all = append(all, r.Tokens)
		}
	}
	if a, b := draw(3), draw(3); a != b || strings.Count(a, " ") != 4 {
		t.Errorf("%s and %s", a, b)
	}
	if a, b := draw(3), draw(4); a == b {
		t.Errorf("seeds 3 and 4 both yield %s", a)
	}
}

// FuzzLengths checks that no description of lengths causes a panic or yields lengths out
// of bounds.
func FuzzLengths(f *testing.F) {
	for _, s := range []string{"1k,2", "normal(8k,1k)", "lognormal(1,1099511627776)", "normal(", "(,)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := requests.ParseLengths(text, 1, tokens)
		if err != nil {
			return
		}
		for range 10 {
			if n := l.Next(); n < 1 || n > requests.MaxLength {
				t.Errorf("%q yields %d", text, n)
			}
		}
	})
}

func open(t *testing.T, text string) (*requests.Trace, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "trace")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	tr, err := requests.OpenTrace(name, nil)
	if err == nil {
		t.Cleanup(func() { tr.Close() })
	}
	return tr, err
}

// readAll reads a trace until its end or the first error, and returns the requests as text.
func readAll(t *testing.T, text string) (string, error) {
	tr, err := open(t, text)
	var got []string
	for err == nil {
		var r requests.Request
		if r, err = tr.Next(); err == nil {
			got = append(got, fmt.Sprint(r.Tokens, r.Arrival, r.Blocks))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return strings.Join(got, "; "), err
}

// TestTraces reads both formats as they are published. In the first format, times are
// milliseconds since the beginning of the trace; in the second, they are dates with or
// without a time zone.
func TestTraces(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"json": {
			`{"timestamp": 27482, "input_length": 1025, "output_length": 52, "hash_ids": [46, 47, 2353]}
{"timestamp": 30535, "input_length": 512, "output_length": 26, "hash_ids": [46]}

{"hash_ids":[],"input_length":0,"timestamp":30535.5,"chat_id":[{"x":1}],"output_length":26}`,
			"1025 0s [46 47 2353]; 512 3.053s [46]; 0 3.0535s []",
		},
		"json without blocks": {`{"timestamp":0,"input_length":7}`, "7 0s []"},
		"csv 2023": {
			"TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109",
			"374 0s []; 396 4.314579s []",
		},
		"csv 2024": {
			"\ufeffTIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10T01:00:01+01:00,0,5\n",
			"2162 0s []; 0 990.07ms []",
		},
		"csv columns": {
			`"GeneratedTokens","ContextTokens","TIMESTAMP"` + "\n1,\"2\",2024-02-29 00:00:00\n",
			"2 0s []",
		},
	} {
		if got, err := readAll(t, test.text); got != test.want || err != nil {
			t.Errorf("%s: %s, %v, want %s", name, got, err, test.want)
		}
	}
}

// TestWrongTraces checks the errors and their line numbers.
func TestWrongTraces(t *testing.T) {
	good := `{"timestamp":1000,"input_length":513,"hash_ids":[1,2]}` + "\n"
	header := "TIMESTAMP,ContextTokens,GeneratedTokens\n"
	for text, want := range map[string]string{
		"":                          "/trace: the trace is empty",
		"\n \n":                     "/trace: the trace is empty",
		"a,b\n":                     "/trace:1: not a trace kvbench can read",
		good + "{":                  "/trace:2: unexpected end of input",
		good + "\n\nx":              "/trace:4: a { is missing",
		good + `{"timestamp":1000}`: "/trace:2: input_length is missing",
		good + `{"input_length":1}`: "/trace:2: timestamp is missing",
		good + `{"timestamp":999,"input_length":1}`:                     "/trace:2: this request arrives before the previous one",
		good + `{"timestamp":-1,"input_length":1}`:                      "/trace:2: timestamp: -1 is not allowed: expected a number of milliseconds",
		good + `{"timestamp":1e300,"input_length":1}`:                   "/trace:2: timestamp: 1e300 is not allowed",
		good + `{"timestamp":"1","input_length":1}`:                     `/trace:2: timestamp: "1" is not allowed`,
		good + `{"timestamp":2000,"input_length":1.5}`:                  "/trace:2: input_length: 1.5 is not allowed: expected a whole number of tokens from 0 to 1099511627776",
		good + `{"timestamp":2000,"input_length":-1}`:                   "/trace:2: input_length: -1 is not allowed",
		good + `{"timestamp":2000,"input_length":9,"hash_ids":{}}`:      "/trace:2: hash_ids: {} is not allowed: expected a list of whole numbers",
		good + `{"timestamp":2000,"input_length":9,"hash_ids":["a"]}`:   `/trace:2: hash_ids: "a" is not allowed: expected a whole number, 0 or more`,
		good + `{"timestamp":2000,"input_length":512,"hash_ids":[1,2]}`: "/trace:2: hash_ids: the number of blocks is 2: expected 1 for 512 tokens, with 512 tokens per block",
		good + `{"timestamp":2000,"input_length":513,"hash_ids":[1]}`:   "/trace:2: hash_ids: the number of blocks is 1: expected 2 for 513 tokens",
		header + "2023-11-16 18:15:46,374":                              "/trace:2: the header has 3 columns, but this line has 2",
		header + "yesterday,374,44":                                     "/trace:2: TIMESTAMP: yesterday is not allowed: expected a time such as 2023-11-16 18:15:46.6805900",
		header + "0001-01-01 00:00:00,374,44":                           "/trace:2: TIMESTAMP: 0001-01-01 00:00:00 is not allowed",
		header + "2023-11-16 18:15:46,many,44":                          "/trace:2: ContextTokens: many is not allowed",
		header + "2023-11-16 18:15:46,1,4\n2023-11-16 18:15:45,1,4":     "/trace:3: this request arrives before the previous one",
		good + strings.Repeat("x", jsonl.MaxLine+1):                     "/trace:2: this line is longer than 4 MiB",
	} {
		if _, err := readAll(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
	if _, err := requests.OpenTrace(t.TempDir(), nil); err == nil || !strings.HasSuffix(err.Error(), ": is a directory") {
		t.Errorf("a folder: %v", err)
	}
}

// FuzzTrace checks that no trace causes a panic or yields requests with values out of bounds.
func FuzzTrace(f *testing.F) {
	f.Add(`{"timestamp":1,"input_length":513,"hash_ids":[1,2]}` + "\n{}")
	f.Add("TIMESTAMP,ContextTokens\n2023-11-16 18:15:46.68,374\n")
	f.Fuzz(func(t *testing.T, text string) {
		tr, err := open(t, text)
		for err == nil {
			var r requests.Request
			if r, err = tr.Next(); err == nil && (r.Tokens < 0 || r.Arrival < 0) {
				t.Errorf("%+v", r)
			}
		}
	})
}

// TestCache compares a cache of three blocks with results that were worked out by hand.
func TestCache(t *testing.T) {
	c := requests.NewCache(3)
	for i, step := range []struct {
		tokens int64
		blocks []uint64
		want   int64
	}{
		{1000, []uint64{1, 2}, 0},       // 1 2
		{1000, []uint64{1, 2}, 1000},    // all tokens are cached; the second block has 488 tokens
		{1536, []uint64{1, 2, 3}, 1024}, // 1 2 3
		{512, []uint64{4}, 0},           // 4 1 2: a request's last block is evicted first
		{1536, []uint64{1, 2, 3}, 1024}, // 1 2 3
		{2048, []uint64{5, 6, 7, 8}, 0}, // 5 6 7: the first blocks of a request are kept
		{2048, []uint64{5, 6, 7, 8}, 1536},
		{1024, []uint64{9, 5}, 0}, // 9 5 6: a cached block counts only if all blocks before it are cached
		{512, []uint64{5}, 512},   // 5 9 6
		{512, nil, 0},             // unknown blocks
		{1024, []uint64{9, 6}, 1024},
	} {
		if got := c.Use(requests.Request{Tokens: step.tokens, Blocks: step.blocks}); got != step.want {
			t.Errorf("step %d: %d tokens, want %d", i, got, step.want)
		}
	}
	empty := requests.NewCache(0)
	for range 2 {
		if got := empty.Use(requests.Request{Tokens: 5, Blocks: []uint64{1}}); got != 0 {
			t.Errorf("a cache without blocks has %d tokens", got)
		}
	}
}

// TestIntervals checks when generated requests arrive.
func TestIntervals(t *testing.T) {
	l, err := requests.ParseLengths("5", 0, tokens)
	if err != nil {
		t.Fatal(err)
	}
	s := requests.Generated(l, 5, 2, 3*time.Second)
	var got []time.Duration
	for {
		r, err := s.Next()
		if err != nil {
			break
		}
		got = append(got, r.Arrival)
	}
	if fmt.Sprint(got) != "[0s 0s 3s 3s 6s]" {
		t.Errorf("requests arrive at %v", got)
	}
}

// TestFirst checks that only the first requests are read.
func TestFirst(t *testing.T) {
	l, err := requests.ParseLengths("1,2,3", 0, tokens)
	if err != nil {
		t.Fatal(err)
	}
	s := requests.First(requests.Generated(l, 10, 1, 0), 2)
	for _, want := range []string{"1 <nil>", "2 <nil>", "0 EOF"} {
		r, err := s.Next()
		if got := fmt.Sprint(r.Tokens, " ", err); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
