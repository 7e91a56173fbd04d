package cli_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// measuredPoint is a point in a made-up results file.
type measuredPoint struct {
	model, pattern, backend, op string
	size, batch, threads        int
	status, reason              string
	us                          float64 // the time of a request, divided by the number of threads
}

// surface returns n made-up points. A request needs 5 us to start. On one backend, it then
// needs 3.1 us per I/O and reads 42 GB/s; on the other, it needs 12 us per I/O and reads 11
// GB/s. Writes are 10% slower. Times differ from this by up to 4%, in the same way in every
// run. Every 97th point is suspect.
func surface(n int) []measuredPoint {
	models, patterns := []string{"QWEN3_8B", "DEEPSEEK_R1", "LLAMA3.1_70B"}, []string{"block", "layer"}
	list := make([]measuredPoint, n)
	for i := range list {
		p := measuredPoint{
			model: models[i%3], pattern: patterns[i/3%2], backend: "UCX", op: "READ",
			size: 4096 << (i / 6 % 14), batch: 1 << (i / 84 % 8), threads: 1 + i/672%2*3, status: "ok",
		}
		cost, rate := 3.1, 42_000.0
		if i%2 == 1 {
			p.backend, cost, rate = "POSIX", 12, 11_000
		}
		if i%5 == 4 {
			p.op, rate = "WRITE", rate*0.9
		}
		bytes := float64(p.size * p.batch)
		p.us = (5 + float64(p.batch)*cost + bytes/rate) * (1 + 0.04*math.Sin(float64(i)*1.7))
		if i%97 == 96 {
			p.status, p.reason, p.us = "suspect", "the consistency check failed", p.us/40
			if p.backend == "POSIX" {
				p.reason = "the block size is not a multiple of the file system's alignment for direct I/O, and the AIO queue counts failed I/O as completed"
			}
		}
		list[i] = p
	}
	return list
}

// writePoints writes the points to a results file like those of kvbench profile. As in the
// output of nixlbench, the average latency is the latency of an I/O, and a request's time
// is the sum of its posting time, its transfer time and a thousandth of its preparation
// time, because a request is prepared only once for its 1,000 iterations. With AIO, the
// I/O is performed while it is posted.
func writePoints(t testing.TB, name string, points []measuredPoint) {
	t.Helper()
	dir := t.TempDir()
	one := filepath.Join(dir, "one.jsonl")
	cmd := exec.Command("kvbench", smallRun(t, "--output", one)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	line, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	var rec map[string]any
	if err := json.Unmarshal(line, &rec); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriterSize(f, 1<<20)
	enc := json.NewEncoder(out)
	in := func(v any, names ...string) map[string]any {
		for _, n := range names {
			v = v.(map[string]any)[n]
		}
		return v.(map[string]any)
	}
	for i, p := range points {
		rec["hash"], rec["point"], rec["status"] = fmt.Sprintf("%064x", i), fmt.Sprintf("%064x", i), p.status
		delete(rec, "reasons")
		if p.reason != "" {
			rec["reasons"] = []string{p.reason}
		}
		in(rec, "model")["name"] = p.model
		in(rec, "model", "params")["model_name"] = p.model
		in(rec, "config", "values", "access_pattern")["value"] = p.pattern
		in(rec, "plan", "flags")["op_type"] = map[string]any{"value": p.op, "origin": "default"}
		in(rec, "plan", "flags")["backend"] = map[string]any{"value": p.backend, "origin": "default"}
		in(rec, "plan", "flags")["num_threads"] = map[string]any{"value": p.threads, "origin": "default"}
		if values := in(rec, "config", "values"); values["backend"] != nil {
			values["backend"] = map[string]any{"value": p.backend, "origin": "default"}
		}
		q := in(rec, "plan", "quantities")
		q["block_size"] = map[string]any{"value": p.size, "unit": "B"}
		q["batch_size"] = map[string]any{"value": p.batch, "unit": "1"}
		bytes, us := float64(p.size*p.batch), p.us*float64(p.threads)
		prep, post := 4+0.2*float64(p.batch), min(1+0.4*float64(p.batch), us/2)
		tx := us - post - prep/1000
		delete(rec, "notes")
		if p.backend == "POSIX" {
			post, tx = tx, post
			rec["notes"] = []string{"POSIX with AIO: nixlbench performs the I/O while it posts a request, so a request takes post + tx, not just tx"}
		}
		rec["rows"] = []map[string]any{{
			"block_size_bytes": p.size, "batch_size": p.batch, "bandwidth_gb_per_s": math.Round(bytes/p.us*1000) / 1e6,
			"avg_latency_us": us / float64(p.batch), "avg_prep_us": prep, "p99_prep_us": prep, "avg_post_us": post, "p99_post_us": post * 1.2,
			"avg_tx_us": tx, "p99_tx_us": tx * (1.5 + 0.2*math.Sin(float64(i))),
		}}
		rec["processes"] = []map[string]any{{"exit_code": 0, "stderr": "", "command": []string{
			"nixlbench", "--backend", p.backend, "--op_type", p.op, "--start_block_size", fmt.Sprint(p.size), "--max_block_size", fmt.Sprint(p.size),
			"--start_batch_size", fmt.Sprint(p.batch), "--max_batch_size", fmt.Sprint(p.batch), "--num_threads", fmt.Sprint(p.threads), "--filepath", "/mnt/it's here",
		}}}
		if err := enc.Encode(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// writePage writes a results file and its page, and returns the name of the page.
func writePage(t *testing.T, points []measuredPoint, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "r.jsonl")
	writePoints(t, file, points)
	return makePage(t, dir, append([]string{"report", file, "--format", "html"}, args...)...)
}

// makePage runs kvbench, saves the page that it prints, and returns the page's path.
func makePage(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("kvbench", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	name := filepath.Join(dir, fmt.Sprintf("page%d.html", len(text)))
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// screen is a screen width and a color scheme for viewing pages.
type screen struct {
	name   string
	width  int
	scheme string
}

// screens returns the screens to test. With KVBENCH_FULL, it returns all of them;
// otherwise, it returns only one.
func screens() []screen {
	all := []screen{{"light", 1280, "light"}, {"dark", 1280, "dark"}, {"narrow", 375, "light"}}
	if !full() {
		return all[:1]
	}
	return all
}

// TestPages opens pages of results in a browser. With KVBENCH_FULL, it opens each page in
// both color schemes and on a narrow screen, prints the pages, and also opens a page of
// 10,000 results.
func TestPages(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	bad := surface(24)
	for i := range bad {
		bad[i].status, bad[i].reason = "suspect", "the consistency check failed"
	}
	base := surface(336)
	for i := range base {
		base[i].us *= 1 + 0.08*math.Sin(float64(i)/7) // at most 43.8 / 0.92 GB/s, less than the link
	}
	dir := t.TempDir()
	baseFile := filepath.Join(dir, "base.jsonl")
	writePoints(t, baseFile, base)
	link := []string{"--link", "ib_ndr", "--ttft", "200ms"}
	type pageTest struct {
		name   string
		page   string
		charts int
	}
	tests := []pageTest{
		{"some", writePage(t, surface(336), link...), 5},
		{"baseline", writePage(t, surface(336), append(link, baseFile)...), 6},
		{"one", writePage(t, surface(1)), 0},
		{"bad", writePage(t, bad), 2},
	}
	if full() {
		tests = append(tests, pageTest{"many", writePage(t, surface(10_000), link...), 5})
	}
	for _, test := range tests {
		for _, screen := range screens() {
			what := test.name + "-" + screen.name
			b.open(test.page, screen.width, screen.scheme)
			b.check(what)
			if n := b.number(`document.querySelectorAll(".chart").length`); int(n) != test.charts {
				t.Errorf("%s: %v charts, want %d", what, n, test.charts)
			}
			// All charts but one have marks, in colors other than those of the grid and the
			// text.
			if n := b.number(`[...document.querySelectorAll(".u-wrap canvas")].filter(c => {
				const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
				for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && Math.abs(d[i] - d[i + 2]) > 60) return true;
				return false;
			}).length`); int(n) < test.charts-1 {
				t.Errorf("%s: %v charts are drawn, want %d", what, n, test.charts-1)
			}
			// On a wide screen, all columns of each table above the charts are visible.
			if got := b.text(`[...document.querySelectorAll("main > section .scroll:not(.tall)")].filter(e => e.scrollWidth > e.clientWidth).map(e => e.getAttribute("aria-label") + " " + e.scrollWidth).join("|")`); screen.width > 1000 && got != "" {
				t.Errorf("%s: the tables %s are cut off", what, got)
			}
			b.save(what)
		}
		if !full() {
			continue
		}
		if pdf := b.print(); os.Getenv("KVBENCH_PAGES") != "" {
			b.write(filepath.Join(os.Getenv("KVBENCH_PAGES"), test.name+".pdf"), base64.StdEncoding.EncodeToString(pdf))
		}
	}
}

// fewPoints returns points with bandwidths that are easy to compute: 1, 25, 12.5 and 100
// GB/s, the last of which is not trusted.
func fewPoints() []measuredPoint {
	of := func(op string, size int, us float64) measuredPoint {
		return measuredPoint{model: "QWEN3_8B", pattern: "block", backend: "UCX", op: op, size: size, batch: 1, threads: 1, status: "ok", us: us}
	}
	list := []measuredPoint{of("READ", 4096, 4.096), of("READ", 1<<20, 41.94304), of("WRITE", 1<<20, 83.88608), of("WRITE", 1<<24, 167.77216)}
	list[3].status, list[3].reason = "suspect", "the consistency check failed"
	return list
}

// TestPageUse uses a page as a reader would. It points at marks, filters points, uses the
// keyboard, copies a command, and sorts and saves the table.
func TestPageUse(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	b.open(writePage(t, fewPoints(), "--link", "ib_ndr"), 1280, "light")
	if got := b.text(`document.querySelector(".big").textContent`); got != "For READ, use 1 I/O of 1 MiB per request, backend UCX: 25 GB/s, 50% of ib_ndr (50 GB/s)." {
		t.Errorf("the answer is %q", got)
	}
	status := `document.getElementById("shown").textContent`
	if got := b.text(status); got != "4 points shown. Fastest: 25 GB/s (50% of ib_ndr), I/O size 1 MiB, I/Os per request 1, op READ." {
		t.Errorf("the choice is %q", got)
	}

	// Use the keyboard. The first mark from the left is the smallest I/O.
	b.eval(`document.querySelector("#chart-bandwidth-by-size .plot").focus()`, nil)
	readout := `document.querySelector("#chart-bandwidth-by-size .readout").innerText`
	b.key("Home")
	first := b.text(readout)
	for _, want := range []string{"1 GB/s", "4 KiB", "2%", "nixlbench --backend UCX --op_type READ --start_block_size 4096 ", `'/mnt/it'"'"'s here'`} {
		if !strings.Contains(first, want) {
			t.Errorf("the text of the first mark is\n%s\nwhich lacks %q", first, want)
		}
	}
	b.key("End")
	if got := b.text(readout); !strings.Contains(got, "Not trusted: the consistency check failed") || !strings.Contains(got, "100 GB/s") {
		t.Errorf("the text of the last mark is\n%s", got)
	}
	b.key("Escape")
	if got := b.text(readout); got != "" {
		t.Errorf("after Escape: %s", got)
	}

	// Use the mouse, at the position of the first mark.
	b.key("Home")
	var place struct{ X, Y float64 }
	b.eval(`(() => {
		const ring = document.querySelector("#chart-bandwidth-by-size .ring");
		ring.scrollIntoView({block: "center", behavior: "instant"});
		const r = ring.getBoundingClientRect();
		return {x: r.left + r.width / 2, y: r.top + r.height / 2};
	})()`, &place)
	b.key("Escape")
	b.mouse(place.X+5, place.Y-4, false)
	if got := b.waitFor(readout, first); got != first {
		t.Errorf("with the mouse, the text is\n%s\nand with the keyboard\n%s", got, first)
	}
	b.mouse(place.X, place.Y, true)
	if got := b.waitFor(`document.querySelector("#chart-bandwidth-by-size .ring").className`, "ring kept"); got != "ring kept" {
		t.Errorf("a click does not pin the mark: %s", got)
	}
	b.mouse(place.X+400, place.Y-150, false)
	if got := b.text(readout); got != first {
		t.Errorf("the mark is not pinned:\n%s", got)
	}
	// The mark stays pinned when the chart is redrawn in another color scheme.
	b.scheme("dark")
	if got := b.waitFor(`document.querySelector("#chart-bandwidth-by-size .ring").className + !document.querySelector("#chart-bandwidth-by-size .ring").hidden`, "ring kepttrue"); got != "ring kepttrue" {
		t.Errorf("in another color scheme, the mark is not pinned: %s", got)
	}
	b.save("use")
	// Redrawing the chart creates a new button, which may take a while.
	copied := `(() => {
		const button = document.querySelector("#chart-bandwidth-by-size .readout .copy");
		if (button.textContent !== "Copied") button.click();
		return button.textContent;
	})()`
	if got := b.waitFor(copied, "Copied"); got != "Copied" {
		t.Errorf("the button says %q", got)
	}

	// A facet.
	b.eval(`(() => { const s = document.querySelector("select[name=op_type]"); s.selectedIndex = [...s.options].findIndex(o => o.text === "WRITE"); s.dispatchEvent(new Event("change")); })()`, nil)
	if got := b.text(status); got != "2 of 4 points shown. Fastest: 12.5 GB/s (25% of ib_ndr), I/O size 1 MiB, I/Os per request 1, op WRITE." {
		t.Errorf("the choice is %q", got)
	}
	if got := b.text(`document.querySelector("#chart-bandwidth-by-size .legend").innerText`); !strings.Contains(got, "WRITE (1)") || strings.Contains(got, "READ") || !strings.Contains(got, "not trusted (1)") {
		t.Errorf("the legend says %q", got)
	}

	// The chart shows phases only for the trusted point. Its request takes 83.88608 us,
	// including 1.4 us for posting and 4.2 us/1000 for preparing.
	if got := b.text(`document.querySelector("#chart-phases .bars").innerText.replace(/\s+/g, " ")`); got != "1 MiB 83.9 us Post 1.4 us (1.7%) · Transfer 82.5 us (98%) · prepared in 4.2 us" {
		t.Errorf("the phases are %q", got)
	}
	if n := b.number(`(() => { const p = document.querySelectorAll("#chart-phases .part"); return p[0].getBoundingClientRect().width / p[1].getBoundingClientRect().width; })()`); math.Abs(n-1.4/82.48) > 0.002 {
		t.Errorf("the widths of the phases have the ratio %.4f, want 0.0170", n)
	}
	if got := b.text(`document.querySelector("#chart-bandwidth-by-size .legend").innerText`); !strings.Contains(got, "1 not trusted and off the scale (▲ up to 100 GB/s)") {
		t.Errorf("the legend says %q", got)
	}

	// Sort the table by bandwidth, and save it as a file.
	b.eval(`document.querySelector("#chart-bandwidth-by-size details").open = true`, nil)
	cells := `[...document.querySelectorAll("#chart-bandwidth-by-size tbody tr")].map(r => [...r.cells].map(c => c.textContent).join("|")).join("\n")`
	b.eval(`new Promise(done => setTimeout(done, 100))`, nil)
	b.eval(`[...document.querySelectorAll("#chart-bandwidth-by-size th button")].find(e => e.textContent === "Bandwidth").click()`, nil)
	if got, want := b.text(cells), "WRITE|16 MiB|1|100 GB/s|200%|1|suspect|the consistency check failed\nWRITE|1 MiB|1|12.5 GB/s|25%|1|trusted|–"; got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
	file := b.download("#chart-bandwidth-by-size .download")
	want := "op,I/O size (B),I/Os per request,Bandwidth (GB/s),Share of the link's bandwidth (%),Runs,Status,Why not trusted,command\n" +
		"WRITE,16777216,1,100,200,1,suspect,the consistency check failed,\"nixlbench --backend UCX --op_type WRITE --start_block_size 16777216 "
	if !strings.HasPrefix(file, want) || strings.Count(file, "\n") != 3 {
		t.Errorf("the file is\n%s\nwant\n%s", file, want)
	}
	// The table of recommended settings has a command in each row.
	if got := b.text(`[...document.querySelectorAll("table")].find(e => e.caption.textContent === "Points that are not trusted").tBodies[0].innerText.replace(/\s+/g, " ")`); !strings.HasPrefix(got, "WRITE 16 MiB 1 100 the consistency check failed ") {
		t.Errorf("the points that are not trusted are %q", got)
	}
	rows := b.download(".save")
	if lines := strings.Split(rows, "\n"); lines[0] != "op,I/O size,I/Os per request,GB/s,share of link,cache of one request,time to move it,trusted points,command" ||
		!strings.HasPrefix(lines[1], `READ,1 MiB,1,25,50%,1 MiB,41.9 us,2,"nixlbench --backend UCX --op_type READ --start_block_size 1048576 `) || !strings.Contains(lines[2], `,1 of 2,"nixlbench `) {
		t.Errorf("the recommended settings are\n%s", rows)
	}
	b.check("in use")
}

// TestPageFit checks that the page derives the right cost per I/O from exact times. It also
// checks the message for a backend whose I/Os all have the same size.
func TestPageFit(t *testing.T) {
	var points []measuredPoint
	for _, size := range []int{4096, 65536, 1 << 20} {
		for _, batch := range []int{1, 8, 64} {
			bytes := float64(size * batch)
			p := measuredPoint{model: "QWEN3_8B", pattern: "block", backend: "UCX", op: "READ", size: size, batch: batch, threads: 1, status: "ok", us: 5 + 3.1*float64(batch) + bytes/42_000}
			points = append(points, p)
			p.backend, p.size, p.us = "POSIX", 4096, 12*float64(batch)
			points = append(points, p)
		}
	}
	text, err := os.ReadFile(writePage(t, points, "--link", "ib_ndr"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<tr><th scope="row">UCX</th><td class="n">5 us</td><td class="n">3.1 us</td><td class="n">42 GB/s</td><td class="n">84%</td><td class="n">under 0.1%</td><td class="n">9</td></tr>`,
		`<tr><th scope="row">POSIX</th><td colspan="5">not fitted: all I/Os have the same size, so the cost of an I/O cannot be separated from the bandwidth</td><td class="n">9</td></tr>`,
		// 64 I/Os of 1 MiB: 5 + 198.4 + 67108864/42000 = 1801.2 us, 203.4 of them for starting and posting.
		`<p class="big">For READ, use 64 I/Os of 1 MiB per request, backend UCX: 37.3 GB/s, 75% of ib_ndr (50 GB/s).</p>`,
		`<p>About 11% of the time is spent starting requests and posting I/Os. Larger or fewer I/Os would reduce this share.</p>`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// TestPageOfMany checks the size of a page of 10,000 points, how long kvbench takes to create
// it, and how long the page takes to respond.
func TestPageOfMany(t *testing.T) {
	needsFull(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "r.jsonl")
	writePoints(t, file, surface(10_000))
	args := []string{"report", file, "--format", "html", "--link", "ib_ndr"}
	_, wall, cpu, mib := measured(t, dir, args...)
	page := makePage(t, dir, args...)
	info, err := os.Stat(page)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v, %v of processors, %d MiB, a page of %d bytes", wall, cpu, mib, info.Size())
	if info.Size() > 5_000_000 {
		t.Errorf("the page is %d bytes long, want at most 5 MB", info.Size())
	}
	if !testing.Short() && cpu > slower*2*time.Second {
		t.Errorf("the page took %v of processors, want at most 2 s", cpu)
	}
	b := newBrowser(t)
	begin := time.Now()
	b.open(page, 1280, "light")
	load := time.Since(begin)
	// This is the median time that the page takes to react to a mouse movement.
	hover := b.number(`(() => {
		const over = document.querySelector(".u-over"), box = over.getBoundingClientRect(), times = [];
		for (let i = 0; i < 51; i++) {
			const begin = performance.now();
			over.dispatchEvent(new MouseEvent("mousemove", {clientX: box.left + box.width * i / 51, clientY: box.top + box.height / 2}));
			times.push(performance.now() - begin);
		}
		return times.sort((a, b) => a - b)[25];
	})()`)
	facet := b.number(`(() => {
		const s = document.querySelector("select[name=backend]"), begin = performance.now();
		s.selectedIndex = 1;
		s.dispatchEvent(new Event("change"));
		return performance.now() - begin;
	})()`)
	t.Logf("loaded in %v; a move of the mouse takes %.1f ms, a choice %.0f ms", load, hover, facet)
	if load > 60*time.Second || hover > 200 || facet > 5000 { // a busy machine is several times slower
		t.Error("the page is too slow")
	}
	if got := b.number(`document.querySelectorAll("#chart-latency tbody tr").length`); got != 0 {
		t.Errorf("a closed table has %v rows", got)
	}
	b.check("many")
}

// TestPageHostile opens a page of results whose text looks like markup and code.
func TestPageHostile(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	points := surface(40)
	for i := range points {
		points[i].model = []string{"</script><img src=x onerror=alert(1)>", "<!--<script>'\"&amp;", "${alert(1)}\u2028\x1b[31m\u202e"}[i%3]
		points[i].pattern = "\x00\"><svg onload=alert(1)>"
	}
	points[7].status, points[7].reason = "suspect", "</td></table><script>alert(1)</script>"
	b.open(writePage(t, points), 375, "dark")
	b.eval(`document.querySelectorAll(".chart details").forEach(d => d.open = true)`, nil)
	b.eval(`new Promise(done => setTimeout(done, 200))`, nil)
	if n := b.number(`document.querySelectorAll("img, svg, td script, b b").length + document.scripts.length`); n != 2 {
		t.Errorf("%v scripts and images, want the data and the script", n)
	}
	got := b.text(`[...document.querySelector("select[name=model_name]").options].map(o => o.text).join("|")`)
	if want := `all|</script><img src=x onerror=alert(1)>|<!--<script>'"&amp;|${alert(1)}\u2028\x1b[31m\u202e`; got != want {
		t.Errorf("the models are %s, want %s", got, want)
	}
	b.check("hostile")
}

// TestPlanPages opens the pages of plans, caches and transfers in a browser, in both color
// schemes and on a narrow screen.
func TestPlanPages(t *testing.T) {
	needsFull(t)
	t.Parallel()
	b := newBrowser(t)
	dir := t.TempDir()
	for _, test := range []struct {
		name   string
		args   string
		charts int
		tables int
		texts  []string
	}{
		// 36 layers x 1,024 tokens x 8 KV heads x 128 elements x K and V x 1 byte =
		// 75,497,472 bytes at 50 GB/s
		{
			"sweep", "plan --model qwen3-8b --model llama3.1-70b --isl 1k..64kx2 --tp 1,2,4,8 --page_size 64 --bandwidth 50GB/s", 4, 4,
			[]string{"The shortest time is 1.51 ms, with isl 1,024, tp_size 1, model QWEN3_8B.", "56 plans shown. Fastest: 1.51 ms, "},
		},
		// An I/O is the K or V of one page in one layer: 64 tokens x 16 KV heads x 128
		// elements x 2 bytes = 262,144 bytes. There are 62 layers x 128 pages x K and V =
		// 15,872 I/Os.
		{"plan", "plan --model gemma-3-27b --isl 8k --page_size 64", 0, 3, []string{"I/O size: 256.0 KiB. Bytes moved: 3.88 GiB. Number of I/Os: 15,872.", "Layers by kind", "sliding"}},
		{"kvcache", "kvcache --model gemma-3-27b --model qwen3-8b --model deepseek-r1 --isl 8k --page_size 64 --accounting rank --bandwidth 50GB/s", 4, 13, []string{"GEMMA_3_27B", "whole model"}},
		// One head in 80 layers for 8,192 tokens is 320 MiB in 40,960 descriptors, which take
		// 160.3 of the 500 ms.
		{"transfer", "transfer --model llama3.1-70b --engine vllm --tp 8 --decode_tp 4 --isl 8k --page_size 16 --link ib_ndr --ttft 500ms", 0, 2, []string{
			"Slowest pair: 0 > 0, 160 ms for 320.0 MiB in 40960 descriptors", "Share of the time to first token: 32%", "320.0 MiB\n40,960",
		}},
		// 80 descriptors x 3.75 us, plus 41,943,040 bytes at 50 GB/s, take 300 + 839 us.
		{"transfers", "transfer --model llama3.1-70b --engine vllm --tp 8 --decode_tp 4,8 --isl 1k..128kx2 --page_size 16,64 --contiguous_pages 1..all --link ib_ndr", 4, 4, []string{"The shortest time is 1.14 ms, with isl 1,024, decode_tp_size 8, page_size 16, contiguous_pages all."}},
	} {
		page := makePage(t, dir, append(strings.Fields(test.args), "--format", "html")...)
		for _, screen := range screens() {
			what := test.name + "-" + screen.name
			b.open(page, screen.width, screen.scheme)
			b.check(what)
			if n := b.number(`document.querySelectorAll(".chart .u-over").length`); int(n) != test.charts {
				t.Errorf("%s: %v charts, want %d", what, n, test.charts)
			}
			if n := b.number(`document.querySelectorAll("table").length`); int(n) != test.tables {
				t.Errorf("%s: %v tables, want %d", what, n, test.tables)
			}
			text := b.text("document.body.innerText")
			for _, want := range test.texts {
				if !strings.Contains(text, want) {
					t.Errorf("%s lacks %q", what, want)
				}
			}
			b.save(what)
		}
	}
}

// sized returns a point for a request with one I/O of the given size, and its bandwidth
// in GB/s.
func sized(op, model string, size int, gbps float64) measuredPoint {
	return measuredPoint{model: model, pattern: "block", backend: "UCX", op: op, size: size, batch: 1, threads: 1, status: "ok", us: float64(size) / gbps / 1000}
}

// TestPageChoice checks which settings a page recommends, and what it says about them.
func TestPageChoice(t *testing.T) {
	points := []measuredPoint{
		// 43 and 43.2 are within 1% of 43.3, so the smallest of the three is enough; 41.5 is 96.5%
		// of 43.
		sized("READ", "QWEN3_8B", 1<<18, 20), sized("READ", "QWEN3_8B", 1<<19, 41.5), sized("READ", "QWEN3_8B", 1<<20, 40),
		sized("READ", "QWEN3_8B", 1<<21, 43), sized("READ", "QWEN3_8B", 1<<22, 43.2), sized("READ", "QWEN3_8B", 1<<23, 43.3),
		// A different model is a different workload, so its 42.9 GB/s do not count.
		sized("READ", "LLAMA3.1_70B", 1<<10, 42.9),
		// These are 20% and 19% of the link's bandwidth.
		sized("READ", "DEEPSEEK_R1", 1<<20, 10), sized("READ", "QWEN3_32B", 1<<20, 9.5),
		// The largest I/O is the fastest.
		sized("WRITE", "QWEN3_8B", 1<<20, 10), sized("WRITE", "QWEN3_8B", 1<<21, 20),
		// This workload's best WRITE is slower, so the recommendation for WRITE is for the
		// workload above.
		sized("WRITE", "LLAMA3.1_70B", 1<<20, 5), sized("WRITE", "LLAMA3.1_70B", 1<<21, 19),
	}
	text, err := os.ReadFile(writePage(t, points, "--link", "ib_ndr", "--ttft", "40us"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, want := range []string{
		`<p class="big">For READ with model QWEN3_8B, use 1 I/O of 2 MiB per request, backend UCX: 43 GB/s, 86% of ib_ndr (50 GB/s).</p>`,
		"<p>Measured once, with pattern block, nixlbench ",
		". With a single run, small differences may be noise. The table below shows the best setting for each of the 4 workloads.</p>",
		"<p>But 2 of the 4 workloads reach only 19–20% of the link&#39;s bandwidth; see Best settings.</p>",
		`<p>3 settings with model QWEN3_8B are within 1% of the fastest; this one has the smallest requests and, among those, the fewest I/Os. Smaller requests already reach 97% of this bandwidth: 1 I/O of 512 KiB per request, backend UCX.</p>`,
		`<p>At most 1.16× this bandwidth is possible on this link.</p>`,
		// These are the times for 2 MiB at 43 GB/s and at 50 GB/s.
		"<p>Moving the 2 MiB of one request takes 48.8 us, 122% of the 40 us budget for the first token. At the link&#39;s peak bandwidth, it would take 41.9 us.</p>",
		`<p class="big">For WRITE with model QWEN3_8B, use 1 I/O of 2 MiB per request, backend UCX: 20 GB/s, 40% of ib_ndr (50 GB/s).</p>`,
		`<p>These are the largest I/Os measured, so larger ones may be faster.</p>`,
		// This is the table's row for READ with this model.
		`<td class="n">2 MiB</td><td class="n">1</td><td class="n">43</td><td class="n">86%</td><td class="n">2 MiB</td><td class="n">48.8 us</td><td class="n">over: 122%</td><td class="n">6</td><td><code hidden>nixlbench --backend UCX --op_type READ --start_block_size 2097152 `,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if n := strings.Count(page, "so larger ones may be faster"); n != 1 {
		t.Errorf("%d warnings about the largest sizes, want 1", n)
	}

	// I/Os of half the size reach 97.5% of the bandwidth, so larger I/Os would not help.
	// Both backends were measured for the workload, so the table has a row for each.
	flat := []measuredPoint{sized("READ", "QWEN3_8B", 1<<20, 39), sized("READ", "QWEN3_8B", 1<<21, 40), sized("READ", "QWEN3_8B", 1<<21, 8)}
	flat[2].backend = "POSIX"
	text, err = os.ReadFile(writePage(t, flat, "--link", "ib_ndr"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "use 1 I/O of 2 MiB per request, backend UCX: 40 GB/s") || strings.Contains(string(text), "may be faster") {
		t.Error("a page of a flat curve recommends larger I/Os")
	}
	if !strings.Contains(string(text), `<p class="cap" aria-hidden="true">Recommended setting for each workload and backend, fastest first; each point was measured once</p>`) || !strings.Contains(string(text), `<th scope="col" class="n">vs. fastest</th>`) {
		t.Error("the table does not say that it has a row for each backend")
	}
	if strings.Contains(page, "vs. fastest") {
		t.Error("the table compares settings, although each workload has only one")
	}

	// This bandwidth is more than 90% of the link's.
	near := []measuredPoint{sized("READ", "QWEN3_8B", 1<<20, 10), sized("READ", "QWEN3_8B", 1<<21, 46)}
	text, err = os.ReadFile(writePage(t, near, "--link", "ib_ndr"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "<p>The link is the limit, so no setting can be much faster.</p>") || strings.Contains(string(text), "may be faster") {
		t.Error("a page of a bandwidth near the link's recommends larger I/Os")
	}
}

// TestPageBaseline checks what a page says about a baseline. Compared with the baseline,
// one point has half the bandwidth, one is 4% slower, and one is 25% faster.
func TestPageBaseline(t *testing.T) {
	points := []measuredPoint{sized("READ", "QWEN3_8B", 1<<20, 10), sized("READ", "QWEN3_8B", 1<<21, 24), sized("READ", "QWEN3_8B", 1<<22, 40), sized("READ", "QWEN3_8B", 1<<12, 6)}
	base := []measuredPoint{sized("READ", "QWEN3_8B", 1<<20, 20), sized("READ", "QWEN3_8B", 1<<21, 25), sized("READ", "QWEN3_8B", 1<<22, 32), sized("READ", "QWEN3_8B", 1<<12, 60)}
	file := filepath.Join(t.TempDir(), "base.jsonl")
	writePoints(t, file, base)
	text, err := os.ReadFile(writePage(t, points, file, "--link", "ib_ndr"))
	if err != nil {
		t.Fatal(err)
	}
	// This link is slower than all of the points, so no points are compared.
	slow, err := os.ReadFile(writePage(t, points, file, "--bandwidth", "5GB/s"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `<p class="big">No point can be compared with the baseline.</p>
<p>4 points are not compared because a bandwidth (up to 60 GB/s) is higher than the bandwidth of the link, `; !strings.Contains(string(slow), want) {
		t.Errorf("the page of a slow link lacks %s", want)
	}
	for _, want := range []string{
		"<p>Its bandwidth is 1.25× the baseline&#39;s.</p>",
		// The baseline point with 60 GB/s is not compared, because the link has only 50 GB/s.
		`<p class="big">3 points compared with the baseline: 1 slower, 1 faster (by more than 5%); recommended READ setting 25% faster; each measured once.</p>`,
		"<p>1 point is not compared because a bandwidth in the baseline (up to 60 GB/s) is higher than the bandwidth of the link, ib_ndr (50 GB/s), and cannot be trusted.</p>",
		"<p>With single runs, a difference may be noise, so repeat the runs before you act on it.</p>",
		"<p>1 point is within 5%. The median is 0.96× the baseline; the points range from 0.5× to 1.25×. The baseline was measured on host ",
		"<p>Largest drops: 0.5× (1 I/O of 1 MiB per request).</p>",
		"<dt>Slower by more than 5%</dt><dd>1</dd>",
		"<dt>Faster by more than 5%</dt><dd>1</dd>",
		`<td class="n">1 MiB</td><td class="n">1</td><td class="n">10</td><td class="n">20</td><td class="n">0.5×</td><td class="n">1, baseline 1</td><td><code hidden>nixlbench `,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}
