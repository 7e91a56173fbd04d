// Package webpage writes self-contained HTML pages: text, tables, and charts that a script
// in the page draws from data in the page. A page never uses the network.
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
	// Kind says what the page shows, such as plans, and Title what they are about.
	Kind, Title string
	// About has short texts that say where the data is from.
	About []string
	// Answer says in words what matters most; the first sentence is set in large type.
	Answer []string
	// Command is the command that belongs to the answer, as words for a shell, or nil.
	Command []string
	// Sections come before the charts.
	Sections []Section
	// Data is what the charts show, or nil if there are no charts.
	Data *Data
	// After contains the sections that come after the charts.
	After []Section
}

// Section is a part of a page.
type Section struct {
	Title, Intro string
	Facts        []Fact
	Command      []string
	Tables       []Table
}

// Fact is a value with its name.
type Fact struct{ Name, Value string }

// Table is a table in the text of a page. Screen readers read its caption.
type Table struct {
	Caption string
	Head    []Cell
	Rows    [][]Cell
	// Note is below the table.
	Note string
}

// Cell is a cell of a table.
type Cell struct {
	Text string
	// Number aligns the text to the right; Head makes the cell the heading of its row; Wrap
	// allows it several lines.
	Number, Head, Wrap bool
	// Span is the number of columns that the cell covers, if there are several.
	Span int
	// Heat shades the cell, from 1 to [MaxHeat]; 0 means no shade.
	Heat int
}

// MaxHeat is the strongest shade of a cell.
const MaxHeat = 5

// Class returns the CSS classes of a cell.
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

// Heads returns a head row. Columns in numbers, from the first on, are aligned to the right.
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

// parsed returns the template of pages.
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

// printable returns text whose characters are all visible, line by line.
func printable(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = diag.Printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// hash returns the source of a content security policy that allows this inline text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Write writes a page.
func Write(w io.Writer, p *Page) error {
	style, script := ownStyle, copyScript
	var text bytes.Buffer
	if p.Data != nil {
		style, script = chartStyle+ownStyle, chartScript+"\n"+copyScript+ownScript
		// The encoder escapes <, > and &, so that the text cannot end the script element.
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
