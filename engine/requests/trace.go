package requests

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"kvbench/engine/diag"
	"kvbench/engine/input"
	"kvbench/engine/jsonl"
)

// The names of the fields in a JSON lines trace and of the columns in a CSV trace. In JSON
// lines, times are in milliseconds; in CSV, they are dates with a time of day.
const (
	jsonTime   = "timestamp"
	jsonTokens = "input_length"
	jsonBlocks = "hash_ids"
	csvTime    = "TIMESTAMP"
	csvTokens  = "ContextTokens"
)

// Trace reads the requests of a trace in one of two formats: JSON lines, as in the traces
// of github.com/kvcache-ai/Mooncake, or CSV, as in the LLM traces of
// github.com/Azure/AzurePublicDataset.
type Trace struct {
	name   string
	file   *input.File
	lines  *jsonl.Lines
	csv    *csvColumns // nil for JSON lines
	line   []byte      // the first line, until Next returns its request
	blocks []uint64
	began  bool
	first  time.Duration // the time of the first request
	last   time.Duration
}

// csvColumns contains the positions of the columns that are read, and the total number of
// columns.
type csvColumns struct{ time, tokens, all int }

// OpenTrace opens a trace. watch is called whenever the trace is read.
func OpenTrace(name string, watch input.Watch) (*Trace, error) {
	f, err := input.Open(name, watch)
	if err != nil {
		return nil, err
	}
	t := &Trace{name: name, file: f, lines: jsonl.NewLines(f)}
	if err := t.begin(); err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

// begin determines the format from the first line.
func (t *Trace) begin() error {
	line, err := t.lines.Next()
	if err == io.EOF {
		return diag.Errorf(diag.Pos{File: t.name}, "the trace is empty").WithHint("%s", t.formats())
	}
	if err != nil {
		return t.failed(err)
	}
	if line[0] == '{' {
		t.line = line
		return nil
	}
	names := strings.Split(string(line), ",")
	for i, name := range names {
		names[i] = strings.Trim(strings.TrimSpace(name), `"`)
	}
	t.csv = &csvColumns{slices.Index(names, csvTime), slices.Index(names, csvTokens), len(names)}
	if t.csv.time < 0 || t.csv.tokens < 0 {
		return t.errorf("not a trace kvbench can read").WithHint("%s", t.formats())
	}
	return nil
}

// formats describes the trace formats that kvbench can read.
func (t *Trace) formats() string {
	return fmt.Sprintf("expected JSON lines with %s, %s and %s, or CSV with the columns %s and %s", jsonTime, jsonTokens, jsonBlocks, csvTime, csvTokens)
}

// Close closes the file.
func (t *Trace) Close() error { return t.file.Close() }

func (t *Trace) errorf(format string, args ...any) *diag.Diag {
	return diag.Errorf(diag.Pos{File: t.name, Line: t.lines.Number}, format, args...)
}

// failed returns an error that occurred while reading a line. If the line is too long, the
// returned error includes the line's position.
func (t *Trace) failed(err error) error {
	if err == jsonl.ErrLong {
		return t.errorf("%v", err)
	}
	return err
}

// Next returns the next request, or io.EOF.
func (t *Trace) Next() (Request, error) {
	line := t.line
	t.line = nil
	if line == nil {
		var err error
		switch line, err = t.lines.Next(); {
		case err == io.EOF:
			return Request{}, err
		case err != nil:
			return Request{}, t.failed(err)
		}
	}
	var r Request
	var at time.Duration
	var err error
	if t.csv == nil {
		r, at, err = t.fromJSON(line)
	} else {
		r, at, err = t.fromCSV(line)
	}
	if err != nil {
		return Request{}, err
	}
	if !t.began {
		t.began, t.first, t.last = true, at, at
	}
	if at < t.last {
		return Request{}, t.errorf("this request arrives before the previous one").WithHint("sort the trace by time")
	}
	t.last = at
	r.Arrival = at - t.first
	return r, nil
}

// fromJSON reads a request and its arrival time from a line of JSON.
func (t *Trace) fromJSON(line []byte) (r Request, at time.Duration, err error) {
	var wrong error
	note := func(err error) {
		if wrong == nil {
			wrong = err
		}
	}
	timed := false
	r.Tokens = -1
	blocks := t.blocks[:0]
	var known bool
	in := jsonl.NewReader(line)
	in.Object(func(name []byte) {
		switch string(name) {
		case jsonTime:
			text := string(in.Skip())
			ms, err := strconv.ParseFloat(text, 64)
			if err != nil || ms < 0 || ms > maxMilliseconds {
				note(t.errorf("%s: %s is not allowed: expected a number of milliseconds", jsonTime, diag.Short(text)))
			}
			timed, at = true, time.Duration(math.Round(ms*1e6))
		case jsonTokens:
			n, err := t.tokens(jsonTokens, string(in.Skip()))
			note(err)
			r.Tokens = n
		case jsonBlocks:
			if in.Next() != '[' {
				note(t.errorf("%s: %s is not allowed: expected a list of whole numbers", jsonBlocks, diag.Short(string(in.Skip()))))
				return
			}
			known, blocks = true, blocks[:0]
			in.Array(func() {
				text := in.Skip()
				id, err := strconv.ParseUint(string(text), 10, 64)
				if err != nil && in.Err() == "" {
					note(t.errorf("%s: %s is not allowed: expected a whole number, 0 or more", jsonBlocks, diag.Short(string(text))))
				}
				blocks = append(blocks, id)
			})
		}
	})
	t.blocks = blocks
	switch why := in.End(); {
	case why != "":
		return r, 0, t.errorf("%s", why)
	case wrong != nil:
		return r, 0, wrong
	case r.Tokens < 0:
		return r, 0, t.errorf("%s is missing", jsonTokens)
	case !timed:
		return r, 0, t.errorf("%s is missing", jsonTime)
	}
	if want := (r.Tokens + BlockTokens - 1) / BlockTokens; known && int64(len(blocks)) != want {
		return r, 0, t.errorf("%s: the number of blocks is %d: expected %d for %d tokens, with %d tokens per block", jsonBlocks, len(blocks), want, r.Tokens, BlockTokens)
	}
	if known {
		r.Blocks = blocks
	}
	return r, at, nil
}

// maxMilliseconds is the maximum arrival time of a request: a hundred years.
const maxMilliseconds = 100 * 366 * 86_400_000

func (t *Trace) tokens(name, text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > MaxLength {
		return 0, t.errorf("%s: %s is not allowed: expected a whole number of tokens from 0 to %d", name, diag.Short(text), int64(MaxLength))
	}
	return n, nil
}

// fromCSV reads a request and its arrival time from a line of CSV.
func (t *Trace) fromCSV(line []byte) (r Request, at time.Duration, err error) {
	cells := strings.Split(string(line), ",")
	if len(cells) != t.csv.all {
		return r, 0, t.errorf("the header has %d columns, but this line has %d", t.csv.all, len(cells))
	}
	for i, c := range cells {
		cells[i] = strings.Trim(strings.TrimSpace(c), `"`)
	}
	date := strings.Replace(cells[t.csv.time], "T", " ", 1)
	when, err := time.Parse(time.DateTime, date)
	if err != nil {
		when, err = time.Parse(time.DateTime+"Z07:00", date)
	}
	// Times outside these years do not fit in 64 bits as nanoseconds.
	if err != nil || when.Year() < 1700 || when.Year() > 2200 {
		return r, 0, t.errorf("%s: %s is not allowed: expected a time such as 2023-11-16 18:15:46.6805900", csvTime, diag.Short(cells[t.csv.time]))
	}
	if r.Tokens, err = t.tokens(csvTokens, cells[t.csv.tokens]); err != nil {
		return r, 0, err
	}
	return r, time.Duration(when.UnixNano()), nil
}
