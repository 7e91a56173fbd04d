package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/matrix"
	"kvbench/engine/plan"
	"kvbench/engine/report"
	"kvbench/engine/requests"
)

// groupWorkload is a heading in the help.
const groupWorkload = "Requests and workers"

// These are names of configuration fields in formulas, and units of numbers.
const (
	lengthField   = "isl"
	requestsField = "num_requests"
	memoryField   = "kv_memory"
	pageField     = "page_size"
	prefillField  = "prefill_time"
	lengthUnit    = "token"
	bytesUnit     = "B"
)

// matrixCmd writes traffic matrices.
func (a *app) matrixCmd() *command {
	flags := a.transferFlags("decode.")
	for _, f := range flags {
		if f.name == lengthField {
			f.arg, f.help = "LENGTHS", "Input tokens: N, a list, normal(MEAN,STD) or lognormal(MEAN,STD). The lengths in a list are used in turn"
		}
	}
	return &command{
		name:      "matrix",
		short:     "Write traffic matrices between prefill and decode workers",
		transfers: true,
		flags: append(flags,
			&flagSpec{name: "trace", arg: "FILE", group: groupWorkload, help: "Trace of requests. JSON Lines with timestamp, input_length and hash_ids, or CSV with TIMESTAMP and ContextTokens"},
			&flagSpec{name: "seed", arg: "N", group: groupWorkload, def: "0", help: "Seed for lengths drawn from a distribution"},
			&flagSpec{name: "prefill_workers", arg: "N", group: groupWorkload, help: "Number of prefill workers. Requests go to them in turn"},
			&flagSpec{name: "decode_workers", arg: "N", group: groupWorkload, help: "Number of decode workers. Requests go to them in turn"},
			&flagSpec{name: "world", arg: "N", group: groupWorkload, help: "Total number of ranks in all workers. It determines the number of workers"},
			&flagSpec{name: "max_batch_memory", arg: "BYTES", group: groupWorkload, def: "100GB", help: "Maximum number of bytes that one matrix moves. A larger request gets its own matrix"},
			&flagSpec{name: "output", short: "o", arg: "DIR", group: groupOutput, help: "Folder to create; an existing folder must be empty"},
			&flagSpec{name: "rounded", bool: true, group: groupOutput, help: "Write rounded sizes such as 984.38M, as the Python KVBench does"}),
		exec: a.matrix,
	}
}

// maxCacheBlocks is the maximum number of blocks in all prefix caches together.
const maxCacheBlocks = 1 << 22

// workload contains the values of the command's own flags.
type workload struct {
	trace                  string
	lengths                requests.Lengths // nil if the configuration sets the length
	world, prefill, decode int
	maxBatch               int64
	rounded                bool
	timed                  bool // whether the arrival times of the requests are known
}

func (a *app) matrix(ctx context.Context, c *command) error {
	w, err := a.workload(c)
	if err != nil {
		return err
	}
	g, first, req, err := a.generator(c, w)
	if err != nil {
		return err
	}
	source, done, err := a.requests(w, g, req)
	if err != nil {
		return err
	}
	defer done()

	// An interrupt takes effect after the current request, or after one second if that is
	// earlier, because that request may never arrive. A second interrupt takes effect
	// immediately.
	a.endsGracefully()
	defer context.AfterFunc(ctx, func() {
		a.graceful.Store(false)
		time.AfterFunc(time.Second, func() { a.leave(exitInterrupted) })
	})()
	name, _, _ := c.value("output")
	dir, err := a.createFolder(name)
	if err != nil {
		return err
	}
	totals, err := a.writeMatrices(ctx, w, g, source, dir)
	if err == nil && totals.Batches == 0 {
		err = diag.Errorf(diag.Pos{File: w.trace}, "nothing to move, so nothing was written")
	}
	if err == nil {
		err = dir.close()
	} else {
		dir.discard()
	}
	if ctx.Err() != nil && err != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	a.noteMatrices(w, g, req, totals)
	return a.showMatrices(first, g, totals, name)
}

// workload reads the command's own flags. It sets the configuration's input length to the
// length of the first request, because a configuration cannot describe how lengths vary.
func (a *app) workload(c *command) (*workload, error) {
	w := &workload{}
	var errs diag.List
	whole := func(flag string, least, most int64) int64 {
		text, from, ok := c.value(flag)
		if !ok {
			return 0
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < least || n > most {
			errs = append(errs, from.Errorf("%q is not allowed: expected a whole number from %d to %d", text, least, most))
		}
		return n
	}
	seed := whole("seed", 0, math.MaxInt64)
	w.world = int(whole("world", 1, matrix.MaxWorld))
	w.prefill = int(whole("prefill_workers", 1, matrix.MaxWorld))
	w.decode = int(whole("decode_workers", 1, matrix.MaxWorld))
	var err error
	w.rounded, err = c.boolean("rounded")
	errs.Add(err)
	w.maxBatch, err = a.batchMemory(c)
	errs.Add(err)
	if name, _, _ := c.value("output"); name == "" {
		errs = append(errs, diag.Usagef("--output is missing: specify a folder for the matrices"))
	}
	text, from, given := c.value(lengthField)
	w.trace, _, _ = c.value("trace")
	if given && w.trace != "" {
		errs = append(errs, from.Errorf("the trace already contains the lengths of the requests").WithHint("omit it, or omit --trace"))
	}
	if given {
		lengths := func() (requests.Lengths, error) {
			return requests.ParseLengths(text, uint64(seed), func(s string) (int64, error) { return a.schema.ParseNumber(lengthUnit, s) })
		}
		if w.lengths, err = lengths(); err != nil {
			errs = append(errs, from.Errorf("%v", err))
		} else if first, err := lengths(); err == nil {
			c.flag(lengthField).Set(strconv.FormatInt(first.Next(), 10))
		}
	}
	if _, _, ok := c.value("seed"); ok && len(errs) == 0 && (w.lengths == nil || !requests.Drawn(w.lengths)) {
		a.print.Print(diag.Notef(diag.Pos{}, "--seed has no effect, because the lengths of the requests are not drawn at random"))
	}
	return w, errs.Err()
}

// batchMemory returns the value of --max_batch_memory.
func (a *app) batchMemory(c *command) (int64, error) {
	text, from, ok := c.value("max_batch_memory")
	if !ok {
		text = c.flag("max_batch_memory").def
	}
	n, err := a.schema.ParseNumber(bytesUnit, text)
	if err == nil && n >= 1 {
		return n, nil
	}
	d := from.Errorf("%q is not allowed: expected %s", text, a.schema.NumberText(bytesUnit, "a whole number, 1 or more"))
	return 0, d.HintUnlessEmpty(a.schema.NumberHint(bytesUnit, text))
}

// generator returns a generator, the transfer for one request, and that request. It
// returns an error unless there is exactly one model and one configuration.
func (a *app) generator(c *command, w *workload) (g *matrix.Generator, first *plan.Transfer, req *plan.Request, err error) {
	fail := func(err error) (*matrix.Generator, *plan.Transfer, *plan.Request, error) { return nil, nil, nil, err }
	planners := plan.NewPlanners(a.schema, a.schema.Nixlbench.Default, "")
	jobs, err := a.prepare(c, planners, false, nil)
	if err != nil {
		return fail(err)
	}
	if len(jobs) != 1 {
		return fail(diag.Usagef("there are %d combinations of models and configurations, but '%s %s' accepts only one", len(jobs), program, c.name))
	}
	job := jobs[0]
	cfg := job.Config
	if w.trace != "" {
		if old := cfg.Values[lengthField]; old.Origin.Given() {
			a.print.Print(diag.Notef(old.Origin.Pos, "%s has no effect, because the trace already contains the lengths of the requests", lengthField))
		}
		cfg.Values[lengthField] = data.Fact{Value: formula.Number(1), Origin: data.Origin{Kind: data.FromCommand, Name: c.name}}
	}
	done := a.guard.enter(job.Model.File)
	defer done()
	mover, err := matrix.NewMover(job.Planner, job.Request)
	if err != nil {
		return fail(about(job.Request, err))
	}
	shown := []string{"transfer_bytes", lengthField, requestsField, prefillField}
	if w.trace != "" {
		shown[3] = memoryField
	}
	a.warnMissing(job, []string{lengthField, pageField}, plan.Shown{Names: shown, Bytes: true})
	for _, d := range mover.First.Warnings {
		a.print.Print(d)
	}
	g = &matrix.Generator{World: mover.World(), Moves: mover.Moves, MaxBatch: w.maxBatch, PageTokens: mover.PageTokens()}
	if err := g.World.Fill(w.world, w.prefill, w.decode); err != nil {
		return fail(diag.Usagef("%v", err).WithHint("set --world, --prefill_workers and --decode_workers"))
	}
	if memory, _ := cfg.Values[memoryField].Num.Int64(); memory > 0 && w.trace != "" {
		planner, err := planners.For(job.Model.Arch, plan.Use{Rank: true, Detail: true})
		if err == nil {
			g.CacheBlocks, err = mover.CacheBlocks(planner)
		}
		if err != nil {
			return fail(about(job.Request, err))
		}
		if most := maxCacheBlocks / g.World.Decode.AtOnce(); g.CacheBlocks > most {
			return fail(cfg.Values[memoryField].Origin.Errorf("each prefix cache would have %d blocks of %d tokens: expected at most %d", g.CacheBlocks, requests.BlockTokens, most))
		}
	}
	return g, mover.First, job.Request, nil
}

// requests returns the source of the requests, and a function that closes the source.
func (a *app) requests(w *workload, g *matrix.Generator, req *plan.Request) (requests.Source, func(), error) {
	v := req.Config.Values[requestsField]
	number, _ := v.Num.Int64()
	if w.trace == "" {
		if w.lengths == nil {
			n, _ := req.Config.Values[lengthField].Num.Int64()
			var err error
			if w.lengths, err = requests.ParseLengths(strconv.FormatInt(n, 10), 0, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }); err != nil {
				return nil, nil, err
			}
		}
		micros, _ := req.Config.Values[prefillField].Num.Int64()
		if micros > int64(math.MaxInt64/time.Microsecond)/number {
			return nil, nil, req.Config.Values[prefillField].Origin.Errorf("the time of %d requests does not fit in 64 bits", number)
		}
		w.timed = micros > 0
		return requests.Generated(w.lengths, number, g.World.Prefill.AtOnce(), time.Duration(micros)*time.Microsecond), func() {}, nil
	}
	w.timed = true
	a.awaits(w.trace)
	t, err := requests.OpenTrace(w.trace, a.guard.watch)
	if err != nil {
		return nil, nil, err
	}
	close := func() { t.Close() }
	if v.Origin.Given() {
		if v.Origin.Kind != data.FromFlag {
			a.print.Print(diag.Notef(v.Origin.Pos, "%s is %d, so only the first %d requests of the trace are read", requestsField, number, number).
				WithHint("use --%s for more", requestsField))
		}
		return requests.First(t, number), close, nil
	}
	return t, close, nil
}

// writeMatrices writes the matrices to a folder, and shows its progress on a terminal.
func (a *app) writeMatrices(ctx context.Context, w *workload, g *matrix.Generator, source requests.Source, dir *newFolder) (*matrix.Totals, error) {
	out, err := matrix.NewWriter(dir.temp)
	if err != nil {
		return nil, cannotWrite(dir.name, err)
	}
	out.Rounded, out.Timed = w.rounded, w.timed
	expectMuch()
	line := progress{w: a.stderr, terminal: isTerminal(os.Stderr)}
	defer line.clear()
	last := time.Now()
	batches := 0
	totals, err := g.Run(source, func(b *matrix.Batch) error {
		batches++
		if err := out.Write(b); err != nil {
			return cannotWrite(dir.name, err)
		}
		return nil
	}, func(n int64) error {
		if now := time.Now(); line.terminal && now.Sub(last) >= progressTime {
			last = now
			line.current = fmt.Sprintf("%d requests, %d matrices", n, batches)
			line.print(func() {})
		}
		return ctx.Err()
	})
	if closed := out.Close(); err == nil && closed != nil {
		err = cannotWrite(dir.name, closed)
	}
	return totals, err
}

// noteMatrices prints notes on values that did not have the expected effect.
func (a *app) noteMatrices(w *workload, g *matrix.Generator, req *plan.Request, t *matrix.Totals) {
	memory := req.Config.Values[memoryField].Origin
	switch {
	case w.trace != "" && t.Known > 0 && !memory.Given():
		a.print.Print(diag.Notef(diag.Pos{File: w.trace}, "the hash_ids have no effect without a prefix cache").
			WithHint("set its size with --%s", memoryField))
	case t.Known > 0 && g.CacheBlocks == 0:
		a.print.Print(diag.Notef(diag.Pos{}, "%s leaves room for fewer than %d tokens, so the prefix cache stays empty", memory, requests.BlockTokens))
	case g.CacheBlocks > 0 && t.Known == 0:
		a.print.Print(diag.Notef(diag.Pos{File: w.trace}, "without hash_ids, the contents of the prefix cache are unknown, so %s has no effect", memory))
	}
	if t.Large > 0 {
		a.print.Print(diag.Notef(diag.Pos{}, "%d of %d requests move more than --max_batch_memory, %s; each has its own matrix", t.Large, t.Requests, diag.Bytes(w.maxBatch)))
	}
}

// showMatrices prints a summary of the matrices, and the name of the folder that contains
// them.
func (a *app) showMatrices(first *plan.Transfer, g *matrix.Generator, t *matrix.Totals, name string) error {
	view := a.schema.View("matrix")
	var out bytes.Buffer
	if err := report.TransferRows(&out, view, first); err != nil {
		return err
	}
	row := func(label, format string, args ...any) {
		fmt.Fprintf(&out, "%-*s: %s\n", view.Width, label, fmt.Sprintf(format, args...))
	}
	side := func(label string, s matrix.Side, first int) {
		workers := "workers"
		if s.Workers == 1 {
			workers = "worker"
		}
		ranks := fmt.Sprintf("ranks %d to %d", first, first+s.Workers*s.Ranks-1)
		if s.Workers*s.Ranks == 1 {
			ranks = fmt.Sprintf("rank %d", first)
		}
		row(label, "%d %s of %d: %s", s.Workers, workers, s.Ranks, ranks)
	}
	side("Prefill", g.World.Prefill, 0)
	side("Decode", g.World.Decode, g.World.Prefill.Workers*g.World.Prefill.Ranks)
	row("Requests", "%d", t.Requests)
	row("Tokens", "%d", t.Tokens)
	if g.CacheBlocks > 0 {
		row("Cached Tokens", "%d", t.Cached)
	}
	row("Bytes", "%d (%s)", t.Bytes, diag.Bytes(t.Bytes))
	row("Matrices", "%d", t.Batches)
	row("Folder", "%s", diag.Printable(name))
	_, err := a.stdout.Write(out.Bytes())
	return err
}

// newFolder is a folder that is written atomically.
type newFolder struct{ name, temp string }

// createFolder creates a temporary folder that will replace name, which must be an empty
// folder or must not exist.
func (a *app) createFolder(name string) (*newFolder, error) {
	name = filepath.Clean(name)
	if base := filepath.Base(name); base == "." || base == ".." {
		return nil, diag.Errorf(diag.Pos{File: name}, "cannot be replaced; nothing written").WithHint("specify a new folder in it")
	}
	if err := mayCreate(name); err != nil {
		return nil, err
	}
	d := &newFolder{name, fmt.Sprintf("%s.%d.%x.partial", name, os.Getpid(), time.Now().UnixNano())}
	a.takeSignals()
	err := os.Mkdir(d.temp, 0o777)
	if err != nil {
		return nil, cannotWrite(name, err)
	}
	a.partial.Store(&d.temp)
	if old, gone := os.Stat(name); gone == nil { // keep restricted permissions
		if err := os.Chmod(d.temp, old.Mode().Perm()); err != nil {
			d.discard()
			return nil, cannotWrite(name, err)
		}
	}
	return d, nil
}

// mayCreate returns an error unless a folder with this name can be created.
func mayCreate(name string) error {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.IsDir() {
		return isThere(name)
	}
	entries, err := os.ReadDir(name)
	switch {
	case err != nil:
		return cannotWrite(name, err)
	case len(entries) > 0:
		return diag.Errorf(diag.Pos{File: name}, "already exists and is not empty; nothing written").WithHint("choose another folder, or remove this one")
	}
	return nil
}

// discard removes the temporary folder.
func (d *newFolder) discard() { os.RemoveAll(d.temp) }

// close renames the temporary folder to its final name.
func (d *newFolder) close() error {
	err := mayCreate(d.name)
	if err == nil {
		os.Remove(d.name) // this removes only an empty folder
		if err = os.Rename(d.temp, d.name); err != nil {
			err = cannotWrite(d.name, err)
		}
	}
	if err != nil {
		d.discard()
	}
	return err
}
