// Package diag represents messages to users about problems in their input. A message may
// have a position, and hints on how to fix the problem. The package contains the only
// printer for errors and warnings.
package diag

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Pos is a position in a file. Line and Col are counted from 1, and Col is in characters. A
// zero Line means the whole file.
type Pos struct {
	File      string
	Line, Col int
}

// IsZero reports whether the position is empty.
func (p Pos) IsZero() bool { return p == Pos{} }

// String returns file:line:col, without unknown parts.
func (p Pos) String() string {
	s := Printable(p.File)
	if p.Line > 0 {
		s += fmt.Sprintf(":%d", p.Line)
		if p.Col > 0 {
			s += fmt.Sprintf(":%d", p.Col)
		}
	}
	return s
}

// MarshalText returns file:line:col. An unknown line or column is 0.
func (p Pos) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s:%d:%d", p.File, p.Line, p.Col), nil
}

// UnmarshalText is the inverse of [Pos.MarshalText].
func (p *Pos) UnmarshalText(text []byte) error { return p.Parse(string(text)) }

// Parse is like UnmarshalText, but accepts a string.
func (p *Pos) Parse(text string) error {
	rest := text
	for _, part := range []*int{&p.Col, &p.Line} {
		i := strings.LastIndexByte(rest, ':')
		if i < 0 {
			return fmt.Errorf("%q is not a position", text)
		}
		n, err := strconv.Atoi(rest[i+1:])
		if err != nil {
			return err
		}
		*part, rest = n, rest[:i]
	}
	p.File = rest
	return nil
}

// Severity distinguishes errors, warnings and notes.
type Severity uint8

// The severities.
const (
	Error Severity = iota
	Warning
	Note
)

// String returns the severity in lower case.
func (s Severity) String() string { return [...]string{"error", "warning", "note"}[s] }

// Code identifies a kind of problem, for programs that need to distinguish problems without
// parsing messages.
type Code string

// The codes. Not every diagnostic has a code.
const (
	Unknown    Code = "unknown"     // no such name
	Missing    Code = "missing"     // a required item is missing
	NotGiven   Code = "not_given"   // a formula reads a value that is not set
	NotAllowed Code = "not_allowed" // a value that is not allowed in this place
	NotWhole   Code = "not_whole"   // a number that is not whole or is out of range
	Requires   Code = "requires"    // a requirement that is not met
	Syntax     Code = "syntax"      // text that cannot be parsed
	Formula    Code = "formula"     // a formula that cannot be compiled or evaluated
	Check      Code = "check"       // a check whose expected result differs
	NoChecks   Code = "no_checks"   // an architecture without checks
	File       Code = "file"        // a file that cannot be read
	TooMuch    Code = "too_much"    // a file that takes too much time or memory
)

// Diag is a message for the user.
type Diag struct {
	Severity Severity
	Pos      Pos
	// Code and Name summarize Msg for programs. Code is the kind of problem, and Name is
	// the name that the message is about.
	Code Code
	Name string
	// Subject, such as "formula of batch_size", is printed before the message if it is
	// not empty.
	Subject string
	Msg     string
	// Hints describe how to fix the problem.
	Hints []string
	// Source is the line of text that the message is about, and Caret is the column in that
	// line, counted in characters from 1. Both are optional.
	Source string
	Caret  int
	// Usage marks an error in the command line itself.
	Usage bool

	format string // the format and arguments of Msg
	args   []any
	more   int // number of further problems, for [More]
}

// Text returns the message, including its subject.
func (d *Diag) Text() string {
	if d.Subject == "" {
		return d.Msg
	}
	return d.Subject + ": " + d.Msg
}

// Error returns the position and the message on one line.
func (d *Diag) Error() string {
	if d.Pos.IsZero() {
		return d.Text()
	}
	return d.Pos.String() + ": " + d.Text()
}

func newDiag(severity Severity, pos Pos, format string, args []any) *Diag {
	return &Diag{Severity: severity, Pos: pos, Msg: fmt.Sprintf(format, args...), format: format, args: args}
}

// Errorf creates an error with a position.
func Errorf(pos Pos, format string, args ...any) *Diag { return newDiag(Error, pos, format, args) }

// Usagef creates an error about the command line.
func Usagef(format string, args ...any) *Diag {
	d := newDiag(Error, Pos{}, format, args)
	d.Usage = true
	return d
}

// Warnf creates a warning with a position.
func Warnf(pos Pos, format string, args ...any) *Diag { return newDiag(Warning, pos, format, args) }

// Notef creates a note with a position.
func Notef(pos Pos, format string, args ...any) *Diag { return newDiag(Note, pos, format, args) }

// About sets d's code and name, and returns d.
func (d *Diag) About(code Code, name string) *Diag {
	d.Code, d.Name = code, name
	return d
}

// WithHint adds a hint and returns d.
func (d *Diag) WithHint(format string, args ...any) *Diag {
	d.Hints = append(d.Hints[:len(d.Hints):len(d.Hints)], fmt.Sprintf(format, args...))
	return d
}

// HintUnlessEmpty adds a hint if it is not empty, and returns d.
func (d *Diag) HintUnlessEmpty(hint string) *Diag {
	if hint == "" {
		return d
	}
	return d.WithHint("%s", hint)
}

// Suggest adds the closest known word as a hint, and reports whether there is
// one.
func (d *Diag) Suggest(word string, known []string) bool {
	hint := DidYouMean(word, known)
	if hint != "" {
		d.WithHint("%s", hint)
	}
	return hint != ""
}

// Kind returns a key for an error. Errors that report the same problem with the
// same name have the same key, even if the numbers and files in them differ.
func Kind(err error) string {
	var kind []byte
	for _, d := range All(err) {
		kind = fmt.Appendf(kind, "%s %q %q %q %q %d\n", d.Code, d.Name, d.Subject, d.Source, d.said(), d.Caret)
	}
	return string(kind)
}

// said returns the form of the message that is used in keys. If there is a code, this is
// the message's format string. Otherwise, it is the message without its numbers.
func (d *Diag) said() string {
	switch {
	case d.format == "":
		return d.Msg
	case d.Code != "":
		return d.format
	}
	words := slices.Clone(d.args)
	for i, arg := range words {
		switch arg.(type) {
		case string, []string, error:
		default:
			words[i] = ""
		}
	}
	return fmt.Sprintf(d.format, words...)
}

// List is a list of diagnostics that is itself an error.
type List []*Diag

// Error joins the messages, one per line.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, d := range l {
		lines[i] = d.Error()
	}
	return strings.Join(lines, "\n")
}

// Add appends the diagnostics in err, which may be a [Diag] or a [List]. It appends any
// other error as a message without a position. If err is nil, it does nothing.
func (l *List) Add(err error) { *l = append(*l, All(err)...) }

// Err returns the list as an error, or nil if it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Distinct returns the list without duplicates.
func (l List) Distinct() List { return l.Unsaid(map[string]bool{}) }

// Unsaid returns the diagnostics in l that are not in said, and adds them to said.
// Diagnostics that differ only in their hints count as different.
func (l List) Unsaid(said map[string]bool) List {
	var rest List
	for _, d := range l {
		key := strings.Join(append([]string{d.Error()}, d.Hints...), "\n")
		if !said[key] {
			said[key] = true
			rest = append(rest, d)
		}
	}
	return rest
}

// MaxShown is the maximum number of problems shown per file.
const MaxShown = 20

// More returns a diagnostic that reports n further problems in a file, or nil if n is 0.
func More(file string, n int) error {
	if n <= 0 {
		return nil
	}
	return &Diag{Pos: Pos{File: file}, Msg: fmt.Sprintf("and %d more", n), more: n}
}

// Shown returns the diagnostics to print: all diagnostics that are not about a file and, for
// each file, the first [MaxShown] diagnostics and a count of the others.
func Shown(list List) List {
	if len(list) <= MaxShown {
		return list
	}
	var out List
	shown, rest := map[string]int{}, map[string]*Diag{}
	for _, d := range list {
		file := d.Pos.File
		n := max(1, d.more)
		if d.more == 0 && (file == "" || shown[file] < MaxShown) {
			shown[file]++
			out = append(out, d)
			continue
		}
		last := rest[file]
		if last == nil {
			last = &Diag{Severity: d.Severity, Pos: Pos{File: file}}
			rest[file] = last
			out = append(out, last)
		}
		last.Severity = min(last.Severity, d.Severity)
		last.more += n
		last.Msg = fmt.Sprintf("and %d more", last.more)
	}
	return out
}

// All returns the diagnostics in err.
func All(err error) []*Diag {
	if err == nil {
		return nil
	}
	if d, ok := errors.AsType[*Diag](err); ok {
		return []*Diag{d}
	}
	if l, ok := errors.AsType[List](err); ok {
		return l
	}
	return []*Diag{{Msg: err.Error()}}
}

// Cause returns the reason for an error from the operating system. It omits the operation
// and the path or command, because messages already include them.
func Cause(err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}

// Printer prints diagnostics to W.
type Printer struct {
	W io.Writer
	// Program is the program name to print before messages that have no position.
	Program string
	// Dir is a folder. The names of files inside it are printed relative to it.
	Dir string
	// Color enables terminal colors for warnings and carets.
	Color bool
}

// Print prints the diagnostics in err that [Shown] selects. It prints identical messages
// only once.
func (p *Printer) Print(err error) {
	seen := map[string]bool{}
	for _, d := range Shown(All(err)) {
		text := p.format(d)
		if !seen[text] {
			seen[text] = true
			io.WriteString(p.W, text)
		}
	}
}

func (p *Printer) format(d *Diag) string {
	var b strings.Builder
	switch pos := d.Pos; {
	case pos.IsZero():
		b.WriteString(p.Program + ": ")
	default:
		pos.File = Rel(p.Dir, pos.File)
		b.WriteString(pos.String() + ": ")
	}
	switch d.Severity {
	case Warning:
		b.WriteString(p.paint("33", "warning") + ": ")
	case Note:
		b.WriteString("note: ")
	}
	b.WriteString(Printable(Short(d.Text())) + "\n")
	if d.Source != "" {
		b.WriteString("    " + Printable(d.Source) + "\n")
		if d.Caret > 0 {
			b.WriteString("    " + caretPad(d.Source, d.Caret) + p.paint("32", "^") + "\n")
		}
	}
	for _, hint := range d.Hints {
		b.WriteString("  hint: " + Printable(Short(hint)) + "\n")
	}
	return b.String()
}

// maxText is the maximum size, in bytes, of a printed message or hint. Messages may be
// long, because parsers quote what they read.
const maxText = 4000

// Short removes the middle of a string that is too long to read.
func Short(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText*3/4], "") + " … " + strings.ToValidUTF8(s[len(s)-maxText/4:], "")
}

func (p *Printer) paint(code, s string) string {
	if !p.Color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// caretPad returns white space that is as wide as the first caret-1 characters of
// line when printed.
func caretPad(line string, caret int) string {
	before := printable(line, max(0, caret-1))
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, before)
	return pad + strings.Repeat(" ", max(0, caret-1-utf8.RuneCountInString(line)))
}

// Rel returns file relative to dir if it is inside dir, or else file itself.
func Rel(dir, file string) string {
	if dir == "" || !filepath.IsAbs(file) {
		return file
	}
	rel, err := filepath.Rel(dir, file)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return file
	}
	return rel
}

// Printable returns s as one line of text that is safe to print in a terminal or a CI
// log. It writes invisible characters, except tabs, as Go escapes. It does the same with
// characters that would move the cursor, start a new line, or reverse the order of other
// characters. It also escapes commands that GitHub and Azure runners would execute, which
// contain :: at the beginning, or ##[ or ##word[ anywhere.
func Printable(s string) string { return printable(s, -1) }

// printable is like [Printable], but returns only the first n characters of s, or all of
// them if n is negative. The characters after the first n can still affect the result.
func printable(s string, n int) string {
	if n < 0 && isClean(s) {
		return s
	}
	var b strings.Builder
	blank := true // only white space so far
	for i, r := range s {
		if n == 0 {
			break
		}
		n--
		switch {
		case IsHidden(r):
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		case blank && strings.HasPrefix(s[i:], "::"), isCommand(s, i):
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
		blank = blank && unicode.IsSpace(r)
	}
	return b.String()
}

func isClean(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f { // most strings contain no such byte
			if strings.ContainsFunc(s[i:], func(r rune) bool { return r == utf8.RuneError || IsHidden(r) }) {
				return false
			}
			break
		}
	}
	return !strings.Contains(s, "::") && !strings.Contains(s, "##")
}

// IsHidden reports whether a character is invisible when printed. Such characters are
// control characters, formatting characters (bidirectional marks, joiners, tags), and
// Unicode line separators.
func IsHidden(r rune) bool {
	if r < 0x7f {
		return r < ' ' && r != '\t'
	}
	return r < 0xa0 || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Cf, r)
}

// Escaped returns JSON or CUE text in which \u escapes replace the characters that
// [Printable] would escape. The text must contain such characters only in strings and
// comments, so that its value does not change.
func Escaped(text []byte) []byte {
	hidden := func(r rune) bool { return r != '\n' && IsHidden(r) }
	if !bytes.ContainsFunc(text, hidden) && !bytes.Contains(text, []byte("##")) {
		return text
	}
	var out []byte
	for i, r := range string(text) {
		switch {
		case r == '#' && i > 0 && text[i-1] == '#', hidden(r):
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// isCommand reports whether the character at i is the second # of ##[ or ##word[.
func isCommand(s string, i int) bool {
	if s[i] != '#' || i == 0 || s[i-1] != '#' {
		return false
	}
	word := strings.TrimLeftFunc(s[i+1:], func(r rune) bool { return r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) })
	return strings.HasPrefix(word, "[")
}
