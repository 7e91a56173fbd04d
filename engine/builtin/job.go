// Package builtin benchmarks storage without nixlbench. It performs the same I/O and prints
// the same table as nixlbench, but does not use NIXL.
package builtin

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Name is the program's name in results that were measured without nixlbench.
const Name = "builtin"

// job describes the I/O to perform.
type job struct {
	backend, file              string
	api                        string   // the interface used to request I/Os from the system
	queues                     []string // the kinds of queues to try for this interface, best first
	write, direct, check       bool
	buffer                     int64
	firstBlock, lastBlock      int64
	firstBatch, lastBatch      int64
	threads, queue             int64
	iterations, warmup, factor int64
}

// Refuse returns an error if the program does not support these values of nixlbench flags.
func Refuse(s *schema.Schema, release string, values map[string]formula.Value) error {
	n := &s.Nixlbench
	b := &n.Runs.Get().Builtin
	var errs, worse diag.List
	for _, name := range schema.Keys(values) {
		f := n.Flags[name]
		if f == nil {
			continue
		}
		text := values[name].Text()
		d := diag.Errorf(diag.Pos{}, "the builtin program does not support --%s %s", name, diag.Printable(text)).
			WithHint("run the plan with nixlbench, from %s", n.Runs.Get().Home)
		allowed, limited := b.Accepts[name]
		era := n.FlagIn(f, release)
		switch {
		case limited && slices.Contains(allowed, text):
		case limited:
			d.Msg += ": expected " + strings.Join(allowed, " or ")
			worse = append(worse, d)
		case slices.Contains(b.Ignores, name) || b.Uses(name):
		case era == nil || era.Default.Text() != text:
			errs = append(errs, d)
		}
	}
	if len(worse) > 0 { // the errors in worse may have caused the errors in errs
		return worse
	}
	return errs.Err()
}

// jobOf returns the job that the nixlbench flags describe.
func jobOf(b *schema.Builtin, values map[string]formula.Value) (*job, error) {
	j := &job{}
	var err error
	number := func(name string, least int64) int64 {
		n, _ := values[b.Reads[name]].Num.Int64()
		if n < least && err == nil {
			err = fmt.Errorf("--%s is %d: expected at least %d", b.Reads[name], n, least)
		}
		return n
	}
	j.backend = values[b.Reads["backend"]].Text()
	j.write = values[b.Reads["op"]].Text() == b.Write
	j.direct, j.check = values[b.Reads["direct"]].Bool, values[b.Reads["check"]].Bool
	j.file = filepath.Join(values[b.Reads["folder"]].Text(), strings.ReplaceAll(b.File, "{backend}", strings.ToLower(j.backend)))
	j.buffer = number("buffer", 1)
	j.firstBlock, j.lastBlock = number("first_block", 1), number("last_block", 1)
	j.firstBatch, j.lastBatch = number("first_batch", 1), number("last_batch", 1)
	j.threads, j.queue = number("threads", 1), number("queue", 1)
	j.iterations, j.warmup, j.factor = number("iterations", 1), number("warmup", 0), number("large_factor", 1)
	j.api = values[b.Reads["api"]].Text()
	j.queues = b.Queues[j.api]
	piece := j.buffer / max(j.threads, 1)
	switch {
	case err != nil:
		return nil, err
	case j.queues == nil:
		return nil, fmt.Errorf("--%s is %s: expected %s", b.Reads["api"], diag.Printable(j.api), strings.Join(schema.Keys(b.Queues), " or "))
	case j.threads > maxThreads:
		return nil, fmt.Errorf("--%s is %d, but the builtin program accepts at most %d", b.Reads["threads"], j.threads, maxThreads)
	case j.firstBlock > j.lastBlock || j.firstBatch > j.lastBatch:
		return nil, fmt.Errorf("the first block or batch size is greater than the last")
	case j.lastBlock > piece/j.lastBatch:
		return nil, fmt.Errorf("--%s is %d, but each of %d threads needs %d times %d bytes", b.Reads["buffer"], j.buffer, j.threads, j.lastBatch, j.lastBlock)
	}
	return j, nil
}

// largeBlock is the block size above which nixlbench runs fewer iterations.
const largeBlock = 1 << 20

// rounds returns how many times each thread transfers its batch, given the requested number
// of iterations. nixlbench first rounds that number up to a multiple of the number of threads
// times the factor for large blocks.
func (j *job) rounds(asked, block int64) int64 {
	step := j.threads * j.factor
	n := (asked + step - 1) / step * j.factor
	if block > largeBlock {
		n /= j.factor
	}
	return n
}

// ReadFlags parses arguments in the same way as nixlbench, which uses gflags.
func ReadFlags(s *schema.Schema, release string, args []string) (map[string]formula.Value, error) {
	n := &s.Nixlbench
	values := map[string]formula.Value{}
	for _, f := range n.FlagsOf(release) {
		values[f.Name] = n.FlagIn(f, release).Default
	}
	for i := 0; i < len(args); i++ {
		name, text, ok := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		f := n.Flags[name]
		if f == nil || n.FlagIn(f, release) == nil || !strings.HasPrefix(args[i], "-") {
			return nil, fmt.Errorf("unknown command line flag '%s'", diag.Printable(name))
		}
		typ := n.FlagIn(f, release).Type
		switch {
		case ok:
		case typ == "bool":
			text = "true"
		case i+1 == len(args):
			return nil, fmt.Errorf("flag '%s' is missing its argument", args[i])
		default:
			i++
			text = args[i]
		}
		v, err := valueOf(typ, text)
		if err != nil {
			return nil, fmt.Errorf("illegal value '%s' specified for %s flag '%s'", diag.Printable(text), typ, name)
		}
		values[name] = v
	}
	return values, nil
}
