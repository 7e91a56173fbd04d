// Package webpage writes self-contained HTML pages with text, tables, and charts. A script in
// the page draws the charts from data embedded in the page, so the page does not need the
// network.
package webpage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"kvbench/engine/diag"
)

// Page is an HTML page.
type Page struct {
	// Kind is the kind of content, such as "plans". Title is the page's heading.
	Kind, Title string
	// About lists short facts about the data, such as its source.
	About []string
	// Answer states the main result, one paragraph per element. The first paragraph is in
	// large type.
	Answer []string
	// Command is the command shown below the answer, as shell words, or nil.
	Command []string
	// Parts contains the answer if it consists of several parts. Warn marks the answer as
	// a warning.
	Parts []Part
	Warn  bool
	// Sections contains the sections before the charts.
	Sections []Section
	// Data is what the charts show, or nil if there are no charts.
	Data *Data
	// After contains the sections after the charts.
	After []Section
}

// Part is a part of an answer: a title in large type, text, and a command.
type Part struct {
	Title   string
	Lines   []string
	Command []string
}

// Section is a part of a page.
type Section struct {
	Title, Intro string
	Facts        []Fact
	Command      []string
	Tables       []Table
}

// Fact is a named value.
type Fact struct{ Name, Value string }

// Table is a table in a section of a page.
type Table struct {
	Caption string
	Head    []Cell
	Rows    [][]Cell
	// Note is shown below the table.
	Note string
}

// Cell is a cell of a table.
type Cell struct {
	Text string
	// Number aligns the text to the right, Head makes the cell the header of its row, and
	// Wrap lets the text wrap.
	Number, Head, Wrap bool
	// Span is the number of columns that the cell spans, or 0 for one column.
	Span int
	// Command is a command that a button in the cell copies, as shell words.
	Command []string
	// Heat is the strength of the cell's shading, from 1 to [MaxHeat], or 0 for none.
	Heat int
}

// MaxHeat is the strongest shading of a cell.
const MaxHeat = 5

// Class returns the CSS classes of the cell.
func (c Cell) Class() string {
	var names []string
	if c.Number {
		names = append(names, "n")
	}
	if c.Wrap {
		names = append(names, "wrap")
	}
	if c.Heat > 0 {
		names = append(names, "h"+string(rune('0'+min(c.Heat, MaxHeat))))
	}
	return strings.Join(names, " ")
}

// Heads returns a header row. numbers is the index of the first right-aligned column.
func Heads(numbers int, names ...string) []Cell {
	cells := make([]Cell, len(names))
	for i, name := range names {
		cells[i] = Cell{Text: name, Number: i >= numbers}
	}
	return cells
}

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	ownStyle string
	//go:embed copy.js
	copyScript string
	//go:embed charts.js
	ownScript string
	//go:embed uplot/uPlot.iife.min.js
	chartScript string
	//go:embed uplot/uPlot.min.css
	chartStyle string
	//go:embed uplot/LICENSE
	chartLicence string
)

// parsed returns the parsed page template.
var parsed = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"short": isShort, "p": printable, "words": strings.Fields, "flag": isFlag,
	}).Parse(pageText))
})

// isShort reports whether a word of a command fits on one line of a narrow screen.
func isShort(word string) bool {
	return utf8.RuneCountInString(word) <= 36 && !strings.Contains(word, "\n")
}

// isFlag reports whether a word is a flag, which must not be broken after its hyphens.
func isFlag(word string) bool { return strings.HasPrefix(word, "--") && isShort(word) }

// printable escapes the unprintable characters of text, except for line breaks.
func printable(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = diag.Printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// hash returns the source expression that a content security policy needs to allow text as an
// inline script or style.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Write writes p as HTML.
func Write(w io.Writer, p *Page) error {
	style, script := ownStyle, copyScript
	var text bytes.Buffer
	if p.Data != nil {
		style, script = chartStyle+ownStyle, chartScript+"\n"+copyScript+ownScript
		// The encoder escapes <, > and &, so the text cannot end the script element.
		if err := json.NewEncoder(&text).Encode(p.Data); err != nil {
			return err
		}
	}
	return parsed().Execute(w, struct {
		*Page
		Policy, Licence string
		Style           template.CSS
		Script, Text    template.JS
	}{
		p, "default-src 'none'; script-src " + hash(script) + "; style-src " + hash(style) + "; base-uri 'none'; form-action 'none'", chartLicence,
		template.CSS(style), template.JS(script), template.JS(diag.Escaped(text.Bytes())),
	})
}
