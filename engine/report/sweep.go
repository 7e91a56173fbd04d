package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/sweep"
)

// SweepFormats lists the formats in which a sweep's rows can be written.
var SweepFormats = []string{"table", "csv", "jsonl"}

// SweepRows returns the format of rows with the given columns.
func SweepRows(format string, columns []string) sweep.RowFormat {
	rows := sweep.RowFormat{Lead: make([]string, len(columns)), End: "\n"}
	for i, name := range columns {
		switch {
		case format == "jsonl":
			rows.Lead[i] = ","
			if i == 0 {
				rows.Lead[i] = "{"
			}
			rows.Lead[i] += string(jsonText(nil, name)) + ":"
		case i > 0 && format == "csv":
			rows.Lead[i] = ","
		case i > 0:
			rows.Lead[i] = "\t"
		}
	}
	switch format {
	case "jsonl":
		rows.End = "}\n"
		rows.Cell = jsonCell
	case "csv":
		rows.Cell = csvCell
		if len(columns) == 1 { // CSV readers skip empty lines
			rows.Cell = csvLoneCell
		}
	default:
		rows.Cell = tableCell
	}
	return rows
}

func csvCell(dst []byte, v formula.Value) []byte {
	if n, whole := v.Num.Int64(); v.Kind == formula.Num && whole {
		return strconv.AppendInt(dst, n, 10)
	}
	if v.Kind == formula.Any {
		return dst
	}
	return csvText(dst, v.Text())
}

func csvLoneCell(dst []byte, v formula.Value) []byte {
	start := len(dst)
	if dst = csvCell(dst, v); len(dst) == start {
		dst = append(dst, `""`...)
	}
	return dst
}

func csvText(dst []byte, text string) []byte {
	if text == "" || text[0] < utf8.RuneSelf && !strings.ContainsAny(text, "\",\\ \t\n\v\f\r") {
		return append(dst, text...)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{text, ""}) // a lone empty field would be quoted
	w.Flush()
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte(",\n"))...)
}

func jsonCell(dst []byte, v formula.Value) []byte {
	switch v.Kind {
	case formula.Any:
		return append(dst, "null"...)
	case formula.Num:
		if n, whole := v.Num.Int64(); whole {
			return strconv.AppendInt(dst, n, 10)
		}
	case formula.Bool:
		return strconv.AppendBool(dst, v.Bool)
	}
	return jsonText(dst, v.Text())
}

func jsonText(dst []byte, text string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(text)
	return append(dst, diag.Escaped(bytes.TrimSuffix(b.Bytes(), []byte("\n")))...)
}

func tableCell(dst []byte, v formula.Value) []byte {
	text := diag.Printable(v.Text())
	if v.Kind == formula.Any || text == "" {
		text = "-"
	}
	return append(dst, strings.ReplaceAll(text, "\t", `\t`)...)
}

// SweepHead returns the header line of csv, or nil for other formats.
func SweepHead(format string, columns []string) []byte {
	if format != "csv" {
		return nil
	}
	var head []byte
	for i, name := range columns {
		if i > 0 {
			head = append(head, ',')
		}
		head = csvText(head, name)
	}
	return append(head, '\n')
}

// Table aligns rows of tab-separated cells in columns below a heading. The first call
// to [Table.Write] determines the initial widths of the columns; a wider cell in a
// later call widens its column from there on.
type Table struct {
	w      io.Writer
	head   []string
	widths []int
	out    []byte
}

// NewTable returns a table with the given columns that writes to w.
func NewTable(w io.Writer, columns []string) *Table {
	return &Table{w: w, head: columns}
}

// Write writes rows, which must be complete lines.
func (t *Table) Write(rows []byte) (int, error) {
	t.out = t.out[:0]
	first := t.widths == nil
	if first {
		t.widths = make([]int, len(t.head))
		t.fit(t.head)
	}
	for line := range bytes.Lines(rows) {
		t.fit(cellsOf(line))
	}
	if first {
		t.line(t.head)
	}
	for line := range bytes.Lines(rows) {
		t.line(cellsOf(line))
	}
	if _, err := t.w.Write(t.out); err != nil {
		return 0, err
	}
	return len(rows), nil
}

func cellsOf(line []byte) []string {
	return strings.Split(string(bytes.TrimSuffix(line, []byte("\n"))), "\t")
}

func (t *Table) fit(cells []string) {
	for i, c := range cells {
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(c))
	}
}

func (t *Table) line(cells []string) {
	for i, c := range cells {
		t.out = append(t.out, c...)
		if i < len(cells)-1 {
			pad := t.widths[i] + 2 - utf8.RuneCountInString(c)
			t.out = append(t.out, strings.Repeat(" ", pad)...)
		}
	}
	t.out = append(t.out, '\n')
}

// AddColumn inserts a column before the first quantity, unless the column is already in the
// list.
func AddColumn(columns []string, name string, quantities []string) []string {
	if slices.Contains(columns, name) {
		return columns
	}
	at := slices.IndexFunc(columns, func(c string) bool { return slices.Contains(quantities, c) })
	if at < 0 {
		at = len(columns)
	}
	return slices.Insert(slices.Clone(columns), at, name)
}
