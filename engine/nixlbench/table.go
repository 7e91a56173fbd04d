package nixlbench

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kvbench/engine/schema"
)

// Number is a number as nixlbench printed it. In JSON it is that number, or a
// string where JSON has no such number (inf, nan).
type Number string

// Float gives its value.
func (n Number) Float() float64 {
	f, _ := strconv.ParseFloat(string(n), 64)
	return f
}

// MarshalJSON gives the digits as they are.
func (n Number) MarshalJSON() ([]byte, error) {
	if json.Valid([]byte(n)) {
		return []byte(n), nil
	}
	return json.Marshal(string(n))
}

// UnmarshalJSON is the inverse of [Number.MarshalJSON].
func (n *Number) UnmarshalJSON(data []byte) error {
	text := string(data)
	if s, err := strconv.Unquote(text); err == nil {
		text = s
	}
	if !isNumber(text) {
		return fmt.Errorf("%s is no number", text)
	}
	*n = Number(text)
	return nil
}

// Row is a row of the table, by the columns' keys.
type Row map[string]Number

// maxRows bounds a table. nixlbench prints a row for each size of block and
// batch, of which each is twice the one before.
const maxRows = 10_000

// Table reads the table in nixlbench's output, line by line.
type Table struct {
	runs     *schema.Runs
	columns  []schema.Column // once the heading has come
	Rows     []Row
	Warnings []string
	// Rank is that of the process, or -1 where it did not tell.
	Rank int64
	rank *regexp.Regexp
	err  error
}

// NewTable gives a table that knows the layouts of all releases: the heading
// tells them apart.
func NewTable(n *schema.Nixlbench) *Table {
	runs := n.Runs.Get()
	return &Table{runs: runs, Rank: -1, rank: regexp.MustCompile(runs.Rank)}
}

var gap = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(` {2,}`) })

// Line takes the next line of output. Lines outside the table are passed over;
// ended says whether the line was complete.
func (t *Table) Line(line string, ended bool) {
	line = strings.TrimRight(line, " \r\n")
	if prefix := t.runs.WarningPrefix; prefix != "" && strings.HasPrefix(line, prefix) && len(t.Warnings) < 100 {
		t.Warnings = append(t.Warnings, strings.TrimPrefix(line, prefix))
		return
	}
	if m := t.rank.FindStringSubmatch(line); m != nil {
		t.Rank, _ = strconv.ParseInt(m[1], 10, 64)
		return
	}
	if titles := gap().Split(line, -1); t.isHeading(titles[0]) {
		if t.columns = t.match(titles); t.columns == nil {
			t.fail("the table's heading is not known: %s", strings.Join(titles, ", "))
		}
		return
	}
	if t.columns == nil {
		return
	}
	words := strings.Fields(line)
	if len(words) < 2 || !isNumber(words[0]) {
		return
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
			t.fail("a row of the table is not as its heading says: %s", line)
		}
	case len(t.Rows) == maxRows:
		t.fail("the table has more than %d rows", maxRows)
	case !ended:
		t.fail("the last row of the table is not complete: %s", line)
	default:
		t.Rows = append(t.Rows, row)
	}
}

// isHeading reports whether a line with this first title is a heading.
func (t *Table) isHeading(title string) bool {
	return slices.ContainsFunc(t.runs.Layouts, func(l schema.Layout) bool { return title == l.Columns[0].Title })
}

// match gives the columns that the titles stand for, or nil.
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

// Err says what of the table could not be read.
func (t *Table) Err() error { return t.err }

// OddRows counts the rows with numbers that no measurement gives.
func (t *Table) OddRows() int64 {
	var n int64
	for _, row := range t.Rows {
		for key, v := range row {
			f := v.Float()
			positive := slices.ContainsFunc(t.runs.Measures, func(m schema.Measure) bool { return m.Key == key && m.Positive })
			if math.IsInf(f, 0) || math.IsNaN(f) || f < 0 || f == 0 && positive {
				n++
				break
			}
		}
	}
	return n
}

// number is what C++ prints for one.
var number = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|[+-]?(inf|nan))$`)
})

func isNumber(s string) bool { return number().MatchString(s) }
