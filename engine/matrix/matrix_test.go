package matrix_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kvbench/engine/matrix"
	"kvbench/engine/requests"
)

// script is a source that returns the given requests.
type script []requests.Request

func (s *script) Next() (requests.Request, error) {
	l, _ := requests.ParseLengths("1", 0, func(string) (int64, error) { return 1, nil })
	if len(*s) == 0 {
		return requests.Generated(l, 0, 1, 0).Next()
	}
	r := (*s)[0]
	*s = (*s)[1:]
	return r, nil
}

func lengths(tokens ...int64) *script {
	s := &script{}
	for i, n := range tokens {
		*s = append(*s, requests.Request{Tokens: n, Arrival: time.Duration(i) * 1500 * time.Millisecond})
	}
	return s
}

// straight returns moves of 10 bytes per token from source rank r to destination ranks r
// and ranks + r.
func straight(ranks int) matrix.Moves {
	return func(tokens int64, _, _ int) ([]matrix.Move, error) {
		var list []matrix.Move
		for r := range ranks {
			list = append(list, matrix.Move{r, r, tokens * 10}, matrix.Move{r, ranks + r, tokens * 10})
		}
		return list, nil
	}
}

// TestFill checks the numbers of workers that are computed from the given numbers.
func TestFill(t *testing.T) {
	for _, test := range []struct {
		prefillRanks, decodeRanks, size, prefill, decode int
		want                                             string
	}{
		{4, 8, 0, 0, 0, "1 1 12"},
		{4, 8, 0, 3, 0, "3 1 20"},
		{4, 8, 0, 3, 2, "3 2 28"},
		{4, 8, 24, 0, 0, "2 2 24"},
		{8, 8, 1024, 0, 0, "64 64 1024"},
		{4, 8, 28, 3, 0, "3 2 28"},
		{4, 8, 28, 0, 2, "3 2 28"},
		{4, 8, 28, 3, 2, "3 2 28"},
		{4, 8, 25, 0, 0, "cannot divide 25 ranks into prefill workers of size 4 and decode workers of size 8: 2 prefill and 2 decode workers have 24 ranks"},
		{4, 8, 8, 0, 0, "cannot divide 8 ranks into prefill workers of size 4 and decode workers of size 8: 1 prefill and 1 decode workers have 12 ranks"},
		{4, 8, 8, 0, 4, "cannot divide 8 ranks into prefill workers of size 4 and decode workers of size 8: 1 prefill and 4 decode workers have 36 ranks"},
		{4, 8, 29, 3, 2, "cannot divide 29 ranks into prefill workers of size 4 and decode workers of size 8: 3 prefill and 2 decode workers have 28 ranks"},
		{8, 8, 0, 2048, 1, "16392 ranks are too many: expected at most 16384"},
	} {
		w := matrix.World{Prefill: matrix.Side{Ranks: test.prefillRanks}, Decode: matrix.Side{Ranks: test.decodeRanks}}
		err := w.Fill(test.size, test.prefill, test.decode)
		got := fmt.Sprint(w.Prefill.Workers, " ", w.Decode.Workers, " ", w.Size())
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%v: %s", test, got)
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// write creates a new folder and writes the matrices for requests to it.
func write(t *testing.T, g *matrix.Generator, s requests.Source, set func(*matrix.Writer)) (string, *matrix.Totals, error) {
	t.Helper()
	dir := t.TempDir()
	w, err := matrix.NewWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	set(w)
	totals, err := g.Run(s, w.Write, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, totals, err
}

// TestFiles checks every byte of the files for a small workload. There is one prefill worker
// with one rank, and there are two decode workers with two ranks each, which serve requests
// in turn. A batch moves at most 100 bytes.
func TestFiles(t *testing.T) {
	g := &matrix.Generator{
		World:    matrix.World{Prefill: matrix.Side{1, 1, 1}, Decode: matrix.Side{2, 2, 1}},
		Moves:    straight(1),
		MaxBatch: 100,
	}
	// The requests move 40, 20, 40 (100 in all), 20, and 120 bytes.
	dir, totals, err := write(t, g, lengths(2, 1, 2, 1, 6), func(w *matrix.Writer) { w.Timed = true })
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"matrix_0.txt": "0 40 40 10 10\n0 0 0 0 0\n0 0 0 0 0\n0 0 0 0 0\n0 0 0 0 0\n",
		"matrix_1.txt": "0 0 0 10 10\n0 0 0 0 0\n0 0 0 0 0\n0 0 0 0 0\n0 0 0 0 0\n",
		"matrix_2.txt": "0 60 60 0 0\n0 0 0 0 0\n0 0 0 0 0\n0 0 0 0 0\n0 0 0 0 0\n",
		"metadata.yaml": `traffic_patterns:
- matrix_file: matrix_0.txt
  metadata: {requests: 3, isl: 5, bytes: 100}
  sleep_after_launch_sec: 1.5
- matrix_file: matrix_1.txt
  metadata: {requests: 1, isl: 1, bytes: 20}
  sleep_after_launch_sec: 1.5
- matrix_file: matrix_2.txt
  metadata: {requests: 1, isl: 6, bytes: 120}
`,
		"index.csv": `matrix_file,requests,tokens,cached_tokens,bytes,pairs,largest_pair_bytes,launch_sec
matrix_0.txt,3,5,0,100,4,40,3
matrix_1.txt,1,1,0,20,2,10,4.5
matrix_2.txt,1,6,0,120,2,60,6
`,
	} {
		if got := read(t, dir, name); got != want {
			t.Errorf("%s:\n%swant\n%s", name, got, want)
		}
	}
	if want := (matrix.Totals{Requests: 5, Tokens: 12, Bytes: 240, Batches: 3, Large: 1}); *totals != want {
		t.Errorf("%+v, want %+v", *totals, want)
	}
	if files, _ := filepath.Glob(dir + "/*"); len(files) != 5 {
		t.Errorf("files: %v", files)
	}
}

// TestTurns checks which ranks serve which requests: the workers take turns, and so do the
// groups within each worker.
func TestTurns(t *testing.T) {
	g := &matrix.Generator{
		World: matrix.World{Prefill: matrix.Side{2, 2, 2}, Decode: matrix.Side{1, 3, 3}},
		Moves: func(tokens int64, source, destination int) ([]matrix.Move, error) {
			return []matrix.Move{{source, destination, 1}}, nil
		},
		MaxBatch: math.MaxInt64,
	}
	dir, _, err := write(t, g, lengths(1, 1, 1, 1, 1, 1), func(*matrix.Writer) {})
	if err != nil {
		t.Fatal(err)
	}
	// Requests 0 to 5 go from ranks 0, 2, 1, 3, 0, 2 to ranks 4, 5, 6, 4, 5, 6.
	want := "0 0 0 0 1 1 0\n0 0 0 0 0 0 1\n0 0 0 0 0 1 1\n0 0 0 0 1 0 0\n" + strings.Repeat("0 0 0 0 0 0 0\n", 3)
	if got := read(t, dir, "matrix_0.txt"); got != want {
		t.Errorf("%swant\n%s", got, want)
	}
	if got := read(t, dir, "metadata.yaml"); strings.Contains(got, "sleep") {
		t.Errorf("requests without times sleep:\n%s", got)
	}
}

// TestCached checks that cached tokens that fill whole pages are not moved,
// that each decode group has its own cache, and that batches that move nothing
// are omitted.
func TestCached(t *testing.T) {
	run := func(workers int, page int64, list ...requests.Request) (string, *matrix.Totals) {
		g := &matrix.Generator{
			World:    matrix.World{Prefill: matrix.Side{1, 1, 1}, Decode: matrix.Side{workers, 2, 1}},
			Moves:    straight(1),
			MaxBatch: 1, CacheBlocks: 10, PageTokens: page,
		}
		s := script(list)
		dir, totals, err := write(t, g, &s, func(*matrix.Writer) {})
		if err != nil {
			t.Fatal(err)
		}
		return read(t, dir, "index.csv"), totals
	}
	a := requests.Request{Tokens: 1024, Blocks: []uint64{1, 2}}
	longer := requests.Request{Tokens: 1100, Blocks: []uint64{1, 2, 3}}
	index, _ := run(1, 768, a, longer, a)
	// The 1,024 cached tokens fill one whole page of 768 tokens. 1,100 - 768 = 332 tokens move
	// for the second request, and 1,024 - 768 = 256 for the third.
	if !strings.HasSuffix(index, "matrix_0.txt,1,1024,0,20480,2,10240,\nmatrix_1.txt,1,1100,768,6640,2,3320,\nmatrix_2.txt,1,1024,768,5120,2,2560,\n") {
		t.Errorf("one worker:\n%s", index)
	}
	index, totals := run(2, 256, a, a, a, longer)
	if !strings.HasSuffix(index, "\nmatrix_0.txt,1,1024,0,20480,2,10240,\nmatrix_1.txt,1,1024,0,20480,2,10240,\nmatrix_2.txt,2,2124,2048,1520,2,760,\n") {
		t.Errorf("two workers:\n%s", index)
	}
	if totals.Cached != 2048 {
		t.Errorf("%d tokens were cached", totals.Cached)
	}
	if index, totals = run(1, 256, a, a); totals.Batches != 1 || strings.Count(index, "\n") != 2 {
		t.Errorf("a batch that moves nothing is written:\n%s", index)
	}
}

// TestErrors checks the errors for matrices that cannot be written.
func TestErrors(t *testing.T) {
	g := &matrix.Generator{
		World:    matrix.World{Prefill: matrix.Side{1, 1, 1}, Decode: matrix.Side{1, 2, 1}},
		Moves:    straight(1),
		MaxBatch: math.MaxInt64,
	}
	for tokens, want := range map[int64]string{
		1 << 53 / 10:       "",
		1<<53/10 + 1:       "rank 0 sends more than 9007199254740992 bytes to rank 1 in one batch, and the ct-perftest tools cannot read such numbers exactly",
		math.MaxInt64 / 10: "the byte count of a request does not fit in 64 bits",
	} {
		_, _, err := write(t, g, lengths(tokens), func(*matrix.Writer) {})
		if got := fmt.Sprint(err); got != want && !(err == nil && want == "") {
			t.Errorf("%d tokens: %v", tokens, err)
		}
	}
	stop := errors.New("stop")
	_, err := g.Run(lengths(1, 1, 1), func(*matrix.Batch) error { return nil }, func(n int64) error {
		if n == 2 {
			return stop
		}
		return nil
	})
	if err != stop {
		t.Errorf("the run was not stopped: %v", err)
	}
}

// TestRounded checks cells in the format of the Python KVBench. The expected values are the
// output of the Python function.
func TestRounded(t *testing.T) {
	cells := map[int64]string{
		1: "1B", 512: "512B", 1023: "1023B", 1024: "1K", 1029: "1K", 1030: "1.01K", 1500: "1.46K", 1048575: "1024K",
		1048576: "1M", 1032192000: "984.38M", 1572864: "1.5M", 1 << 30: "1G", 335544320: "320M", 3154116608: "2.94G",
		12345678901234: "11497.8G", 1 << 50: "1.04858e+06G", 131200: "128.12K", 131456: "128.38K",
	}
	for bytes, want := range cells {
		g := &matrix.Generator{
			World:    matrix.World{Prefill: matrix.Side{1, 1, 1}, Decode: matrix.Side{1, 1, 1}},
			Moves:    func(int64, int, int) ([]matrix.Move, error) { return []matrix.Move{{0, 0, bytes}}, nil },
			MaxBatch: 1,
		}
		dir, _, err := write(t, g, lengths(1), func(w *matrix.Writer) { w.Rounded = true })
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, dir, "matrix_0.txt"); got != "0 "+want+"\n0 0\n" {
			t.Errorf("%d is %s, want %s", bytes, got, want)
		}
	}
}

// TestProperty generates matrices for random worlds and requests. It checks that bytes move
// only from prefill ranks to decode ranks, that each matrix adds up to the sum in the
// index, and that all matrices together add up to the requests' moves.
func TestProperty(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		side := func() matrix.Side {
			groups := 1 + r.IntN(3)
			return matrix.Side{Workers: 1 + r.IntN(5), Ranks: groups * (1 + r.IntN(4)), Groups: groups}
		}
		g := &matrix.Generator{World: matrix.World{Prefill: side(), Decode: side()}, MaxBatch: 1 + r.Int64N(5_000)}
		size := g.World.Size()
		number := r.IntN(40)
		var sent, received int64
		g.Moves = func(tokens int64, source, destination int) ([]matrix.Move, error) {
			var list []matrix.Move
			for range 1 + r.IntN(6) {
				m := matrix.Move{r.IntN(g.World.Prefill.Ranks), r.IntN(g.World.Decode.Ranks), 1 + r.Int64N(tokens)}
				list = append(list, m)
				sent += m.Bytes
			}
			return list, nil
		}
		s := &script{}
		for range number {
			*s = append(*s, requests.Request{Tokens: 1 + r.Int64N(1000)})
		}
		dir, totals, err := write(t, g, s, func(*matrix.Writer) {})
		if err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "matrix_*.txt"))
		rows := strings.Split(read(t, dir, "index.csv"), "\n")
		for n := range files {
			sum := int64(0)
			lines := strings.Split(strings.TrimSuffix(read(t, dir, fmt.Sprintf("matrix_%d.txt", n)), "\n"), "\n")
			if len(lines) != size {
				t.Fatalf("case %d: %d lines for %d ranks", i, len(lines), size)
			}
			for a, line := range lines {
				cells := strings.Split(line, " ")
				if len(cells) != size {
					t.Fatalf("case %d: %d cells for %d ranks", i, len(cells), size)
				}
				for b, c := range cells {
					bytes, err := strconv.ParseInt(c, 10, 64)
					prefill := g.World.Prefill.Workers * g.World.Prefill.Ranks
					if err != nil || bytes != 0 && (a >= prefill || b < prefill) {
						t.Fatalf("case %d: rank %d sends %s to rank %d", i, a, c, b)
					}
					sum += bytes
				}
			}
			if want := strings.Split(rows[n+1], ",")[4]; strconv.FormatInt(sum, 10) != want || sum == 0 {
				t.Errorf("case %d: matrix %d moves %d bytes, the index says %s", i, n, sum, want)
			}
			if one := strings.Split(rows[n+1], ",")[1] == "1"; sum > g.MaxBatch && !one {
				t.Errorf("case %d: a batch of several requests moves %d bytes, at most %d are allowed", i, sum, g.MaxBatch)
			}
			received += sum
		}
		if sent != received || totals.Bytes != sent || totals.Batches != len(files) || totals.Requests != int64(number) {
			t.Errorf("case %d: %d bytes sent, %d in matrices, %+v", i, sent, received, totals)
		}
	}
}

// reader is a program that reads a folder of matrices and prints the sums of all rows and
// columns. It is based on the documentation of the files and does not use kvbench's code.
const reader = `
import sys, os
folder = sys.argv[1]
files = [l.split(": ")[1].strip() for l in open(os.path.join(folder, "metadata.yaml")) if l.startswith("- matrix_file: ")]
for name in files:
    rows = [[int(c) for c in line.split(" ")] for line in open(os.path.join(folder, name)).read().splitlines()]
    assert all(len(r) == len(rows) for r in rows), "not square"
    print(name, [sum(r) for r in rows], [sum(c) for c in zip(*rows)])
`

// TestPython reads the files with an independent program.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 not found: the files were not read by an independent program")
	}
	g := &matrix.Generator{
		World:    matrix.World{Prefill: matrix.Side{1, 2, 1}, Decode: matrix.Side{1, 4, 1}},
		Moves:    straight(2),
		MaxBatch: 1000,
	}
	dir, _, err := write(t, g, lengths(10, 7, 1_000_000_000_000), func(*matrix.Writer) {})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", reader, dir).CombinedOutput()
	want := "matrix_0.txt [340, 340, 0, 0, 0, 0] [0, 0, 170, 170, 170, 170]\n" +
		"matrix_1.txt [20000000000000, 20000000000000, 0, 0, 0, 0] [0, 0, 10000000000000, 10000000000000, 10000000000000, 10000000000000]\n"
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestLargeWorld writes the matrices for a large workload of 1,024 ranks and 10,000 requests.
func TestLargeWorld(t *testing.T) {
	g := &matrix.Generator{
		World:    matrix.World{Prefill: matrix.Side{64, 8, 1}, Decode: matrix.Side{64, 8, 1}},
		Moves:    func(tokens int64, _, _ int) ([]matrix.Move, error) { return straight(4)(tokens, 0, 0) },
		MaxBatch: 1_000_000_000,
	}
	l, err := requests.ParseLengths("normal(16000,10000)", 1, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) })
	if err != nil {
		t.Fatal(err)
	}
	dir, totals, err := write(t, g, requests.Generated(l, 10_000, 1, 0), func(*matrix.Writer) {})
	if err != nil || totals.Requests != 10_000 {
		t.Fatal(totals, err)
	}
	info, err := os.Stat(filepath.Join(dir, "matrix_0.txt"))
	if err != nil || info.Size() < 2*1024*1024 {
		t.Errorf("%v, %v", info, err)
	}
	if !slices.Contains(strings.Split(read(t, dir, "metadata.yaml"), "\n"), "- matrix_file: "+fmt.Sprintf("matrix_%d.txt", totals.Batches-1)) {
		t.Error("the last matrix is not listed")
	}
}

// upstream is the environment variable that contains the path of the Python KVBench's
// main.py, which is in benchmark/kvbench of github.com/ai-dynamo/nixl.
const upstream = "NIXL_KVBENCH_MAIN"

// loader is a program that reads matrices with the functions in main.py and prints the
// sums of all rows and columns. It does not need the packages that other parts of main.py
// import.
const loader = `
import sys, os
source = open(sys.argv[1]).read()
begin, end = source.index("def parse_size("), source.index("@click.group()")
class np:
    ndarray = list
    @staticmethod
    def array(rows):
        assert all(len(r) == len(rows) for r in rows), "numpy refuses rows of different lengths"
        return rows
exec(source[begin:end])
for name in sys.argv[3:]:
    rows = load_matrix(os.path.join(sys.argv[2], name))
    print(name, [sum(r) for r in rows], [sum(c) for c in zip(*rows)])
`

// TestUpstream reads the files with the functions of the Python KVBench.
func TestUpstream(t *testing.T) {
	main := os.Getenv(upstream)
	python, err := exec.LookPath("python3")
	if main == "" || err != nil {
		t.Skipf("the files were not read by the Python KVBench: %s is not set to the path of its main.py, or there is no python3", upstream)
	}
	run := func(rounded bool, tokens ...int64) string {
		g := &matrix.Generator{
			World:    matrix.World{Prefill: matrix.Side{Workers: 1, Ranks: 2, Groups: 1}, Decode: matrix.Side{Workers: 1, Ranks: 4, Groups: 1}},
			Moves:    straight(2),
			MaxBatch: 1000,
		}
		dir, _, err := write(t, g, lengths(tokens...), func(w *matrix.Writer) { w.Rounded = rounded })
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(python, "-c", loader, main, dir, "matrix_0.txt", "matrix_1.txt").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	// The second request moves the largest multiple of 10 bytes that is read exactly.
	want := "matrix_0.txt [340, 340, 0, 0, 0, 0] [0, 0, 170, 170, 170, 170]\n" +
		"matrix_1.txt [18014398509481980, 18014398509481980, 0, 0, 0, 0] [0, 0, 9007199254740990, 9007199254740990, 9007199254740990, 9007199254740990]\n"
	if got := run(false, 10, 7, 900_719_925_474_099); got != want {
		t.Errorf("exact:\n%swant\n%s", got, want)
	}
	// 1,032,192,000 bytes are written as 984.38M, which is 1,032,197,242.
	want = "matrix_0.txt [340, 340, 0, 0, 0, 0] [0, 0, 170, 170, 170, 170]\n" +
		"matrix_1.txt [2064394484, 2064394484, 0, 0, 0, 0] [0, 0, 1032197242, 1032197242, 1032197242, 1032197242]\n"
	if got := run(true, 10, 7, 103_219_200); got != want {
		t.Errorf("rounded:\n%swant\n%s", got, want)
	}
}
