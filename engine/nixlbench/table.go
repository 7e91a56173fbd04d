package nixlbench

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kvbench/engine/schema"
)

// Number is a number as printed by nixlbench. In JSON it is a number, or a
// string if JSON cannot represent it (inf, nan).
type Number string

// Float returns the number as a float64.
func (n Number) Float() float64 {
	f, _ := strconv.ParseFloat(string(n), 64)
	return f
}

// MarshalJSON returns the number as printed, or as a string if JSON cannot represent it.
func (n Number) MarshalJSON() ([]byte, error) {
	if json.Valid([]byte(n)) {
		return []byte(n), nil
	}
	return json.Marshal(string(n))
}

// UnmarshalJSON is the inverse of [Number.MarshalJSON]. The data must be valid JSON.
func (n *Number) UnmarshalJSON(data []byte) error {
	text := string(data)
	if !StartsNumber(data[0]) {
		if s, err := strconv.Unquote(text); err == nil {
			text = s
		}
		if !isNumber(text) {
			return fmt.Errorf("%s is not a number", text)
		}
	}
	*n = Number(text)
	return nil
}

// StartsNumber reports whether a JSON value that begins with c is a number.
func StartsNumber(c byte) bool { return c == '-' || '0' <= c && c <= '9' }

// Row is a row of the table, keyed by column.
type Row map[string]Number

// These limits apply to what is saved from one process's output. Because sizes double
// from row to row, no real run prints that many rows.
const (
	maxRows     = 4096
	maxWarnings = 100
	maxWarning  = 1000 // bytes
)

// Table parses the table in nixlbench's output, line by line.
type Table struct {
	runs    *schema.Runs
	columns []schema.Column // nil before the heading
	// Rows contains the first rows, up to a limit. Count is the total number of rows.
	Rows     []Row
	Count    int64
	Warnings []string
	// Rank is the rank of the process, or -1 if it did not print one.
	Rank int64
	// Created lists the files that the process reported creating.
	Created       []string
	rank, created *regexp.Regexp
	// asked contains the rows that the run is expected to print, or is nil if they are
	// unknown. seen contains the expected rows that it has printed so far.
	asked                  *Asked
	seen                   map[string]bool
	odd, unasked, repeated int64
	err                    error
}

// NewTable returns a table that recognizes the layouts of all releases by their
// headings.
func NewTable(n *schema.Nixlbench, asked *Asked) *Table {
	runs := n.Runs.Get()
	return &Table{
		runs: runs, Rank: -1, asked: asked, seen: map[string]bool{},
		rank: regexp.MustCompile(runs.Rank), created: regexp.MustCompile(runs.Created),
	}
}

var gap = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(` {2,}`) })

// Warning consumes a line if it is a warning, and reports whether it is.
func (t *Table) Warning(line string) bool {
	for _, prefix := range t.runs.WarningPrefixes {
		if text, ok := strings.CutPrefix(line, prefix); ok {
			if len(t.Warnings) < maxWarnings {
				t.Warnings = append(t.Warnings, strings.ToValidUTF8(text[:min(len(text), maxWarning)], ""))
			}
			return true
		}
	}
	return false
}

// Line processes the next line of output and reports whether it is a row of the table. Lines
// outside the table are skipped. The ended argument is false if the output was cut off
// before the end of the line.
func (t *Table) Line(line string, ended bool) (isRow bool) {
	line = strings.TrimRight(line, " \r\n")
	if t.Warning(line) {
		return false
	}
	if m := t.rank.FindStringSubmatch(line); m != nil {
		t.Rank, _ = strconv.ParseInt(m[1], 10, 64)
		return false
	}
	if m := t.created.FindStringSubmatch(line); m != nil && len(t.Created) < maxRows {
		t.Created = append(t.Created, m[1])
		return false
	}
	if titles := gap().Split(line, -1); t.isHeading(titles[0]) {
		if t.columns = t.match(titles); t.columns == nil {
			t.fail("unknown table heading: %s", strings.Join(titles, ", "))
		}
		return false
	}
	if t.columns == nil {
		return false
	}
	words := strings.Fields(line)
	if len(words) < 2 || !isNumber(words[0]) {
		return false
	}
	row := Row{}
	for i, w := range words {
		if i >= len(t.columns) || !isNumber(w) {
			break
		}
		row[t.columns[i].Key] = Number(w)
	}
	switch {
	case len(words) != len(t.columns) || len(row) != len(t.columns):
		if isNumber(words[1]) {
			t.fail("a row of the table does not match its heading: %s", line)
		}
	case !ended:
		t.fail("the last row of the table is incomplete: %s", line)
	default:
		t.add(row)
		return true
	}
	return false
}

// add counts a row, and saves it unless the limit on saved rows has been reached.
func (t *Table) add(row Row) {
	t.Count++
	if t.isOdd(row) {
		t.odd++
	}
	if t.asked != nil {
		id := t.asked.id(row)
		switch {
		case !t.asked.ids[id]:
			t.unasked++
		case t.seen[id]:
			t.repeated++
		}
		if t.asked.ids[id] {
			t.seen[id] = true
		}
	}
	if len(t.Rows) < maxRows {
		t.Rows = append(t.Rows, row)
	}
}

// isHeading reports whether a line that begins with this title is a heading.
func (t *Table) isHeading(title string) bool {
	return slices.ContainsFunc(t.runs.Layouts, func(l schema.Layout) bool { return title == l.Columns[0].Title })
}

// match returns the columns with these titles, or nil if the titles do not match any
// layout.
func (t *Table) match(titles []string) []schema.Column {
	for _, l := range t.runs.Layouts {
		var found []schema.Column
		for _, c := range l.Columns {
			if len(found) < len(titles) && c.Title == titles[len(found)] {
				found = append(found, c)
			} else if !c.Optional {
				found = nil
				break
			}
		}
		if len(found) == len(titles) {
			return found
		}
	}
	return nil
}

func (t *Table) fail(format string, args ...any) {
	if t.err == nil {
		t.err = fmt.Errorf(format, args...)
	}
}

// Err returns the first parsing error.
func (t *Table) Err() error { return t.err }

// isOdd reports whether a row contains a number that cannot be a measurement.
func (t *Table) isOdd(row Row) bool {
	for key, v := range row {
		f := v.Float()
		positive := slices.ContainsFunc(t.runs.Measures, func(m schema.Measure) bool { return m.Key == key && m.Positive })
		if math.IsInf(f, 0) || math.IsNaN(f) || f < 0 || f == 0 && positive {
			return true
		}
	}
	return false
}

// Asked contains the rows that a run is expected to print.
type Asked struct {
	keys []string // columns that distinguish rows
	ids  map[string]bool
}

// id returns a key that distinguishes a row from all other expected rows.
func (a *Asked) id(row Row) string {
	values := make([]string, len(a.keys))
	for i, key := range a.keys {
		values[i] = string(row[key])
	}
	return strings.Join(values, " ")
}

// cross adds a column. Each expected row is replaced with one row for each of the column's
// values.
func (a *Asked) cross(key string, values []int64) {
	ids := map[string]bool{}
	for id := range a.ids {
		for _, v := range values {
			text := strconv.FormatInt(v, 10)
			if len(a.keys) > 0 {
				text = id + " " + text
			}
			ids[text] = true
		}
	}
	a.keys, a.ids = append(a.keys, key), ids
}

// Tally counts the rows printed by the processes of a run.
func (f *Facts) Tally(tables []*Table) {
	f.Rows, f.OddRows, f.UnaskedRows, f.RepeatedRows, f.MissingRows = 0, 0, 0, 0, 0
	seen := map[string]bool{}
	for _, t := range tables {
		f.Rows += t.Count
		f.OddRows += t.odd
		f.UnaskedRows += t.unasked
		f.RepeatedRows += t.repeated
		maps.Copy(seen, t.seen)
		if t.asked != nil {
			f.MissingRows = int64(len(t.asked.ids))
		}
	}
	f.MissingRows -= int64(len(seen))
}

// number matches a number as C++ programs print it.
var number = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|[+-]?(inf|nan))$`)
})

func isNumber(s string) bool { return number().MatchString(s) }
