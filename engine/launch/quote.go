package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
)

// language defines how values are quoted in a type of file, and where they may be inserted.
type language struct {
	quote func(string) (string, error)
	// The strings open and shut enclose a list, and the string between separates its
	// items.
	open, between, shut string
	// keys reports whether a plain word before "=" can be written without quotation marks.
	keys       bool
	newScanner func() scanner
}

// raw is the language of values that are inserted into a file later. They are not quoted
// until then.
const raw = "raw"

var languages = map[string]language{
	raw:     {quote: func(s string) (string, error) { return s, nil }, between: ",", newScanner: func() scanner { return anywhere{} }},
	"shell": {quote: quoteShell, between: " ", newScanner: func() scanner { return &shellScanner{} }},
	"yaml":  {quote: quoteJSON, open: "[", between: ", ", shut: "]", newScanner: func() scanner { return &lineScanner{blocks: true} }},
	"yaml$": {quote: quoteVariables, open: "[", between: ", ", shut: "]", newScanner: func() scanner { return &lineScanner{blocks: true} }},
	"toml":  {quote: quoteTOML, keys: true, open: "[", between: ", ", shut: "]", newScanner: func() scanner { return &lineScanner{} }},
	"ini":   {quote: quoteINI, between: ",", newScanner: func() scanner { return &lineScanner{} }},
	"text":  {quote: func(s string) (string, error) { return diag.Printable(s), nil }, between: ", ", newScanner: func() scanner { return anywhere{} }},
}

// key formats a value that is followed by "=". It does not quote a plain word if the
// language has keys.
func (l *language) key(v any) (string, error) {
	if s, ok := v.(string); ok && l.keys && plainKey().MatchString(s) {
		return s, nil
	}
	return l.value(v)
}

var plainKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]+$`) })

// value formats a value for the language.
func (l *language) value(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return l.quote(v)
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case []string:
		items := make([]string, len(v))
		for i, s := range v {
			var err error
			if items[i], err = l.quote(s); err != nil {
				return "", err
			}
		}
		return l.open + strings.Join(items, l.between) + l.shut, nil
	}
	return "", fmt.Errorf("a value of type %T cannot be written to a file", v)
}

func quoteShell(s string) (string, error) {
	if strings.Contains(s, "\x00") {
		return "", errors.New("a word of a command cannot contain a NUL character")
	}
	return nixlbench.Quote(s), nil
}

var errNotUTF8 = errors.New("the text is not valid UTF-8")

// quoteJSON quotes a string for YAML, which is a superset of JSON.
func quoteJSON(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errNotUTF8
	}
	text, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range string(text) {
		if r >= 0x7f && r <= 0xffff && diag.IsHidden(r) { // JSON allows this character, but YAML does not
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String(), nil
}

// quoteVariables quotes a string for a YAML file whose reader expands $NAME and replaces
// $$ with $.
func quoteVariables(s string) (string, error) {
	text, err := quoteJSON(s)
	return strings.ReplaceAll(text, "$", "$$"), err
}

// quoteTOML quotes a string as a TOML basic string, which is on one line.
func quoteTOML(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errNotUTF8
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || diag.IsHidden(r):
			if r > 0xffff {
				fmt.Fprintf(&b, `\U%08X`, r)
			} else {
				fmt.Fprintf(&b, `\u%04X`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String(), nil
}

var plainINI = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_./-]+$`) })

// quoteINI accepts only words without special characters, because INI files do not support
// quoting.
func quoteINI(s string) (string, error) {
	if !plainINI().MatchString(s) {
		return "", fmt.Errorf("%q cannot be written to an INI file", s)
	}
	return s, nil
}

// scanner reads the text of a template to determine where a value may be inserted.
type scanner interface {
	// text reads the next part of the template.
	text(string) error
	// insert returns the reason why a value cannot be inserted here, or nil if it can.
	insert() error
	// state describes the constructs that are still open after the text so far. It must
	// be the same on all paths through the template.
	state() string
	clone() scanner
}

// anywhere allows values everywhere.
type anywhere struct{}

func (anywhere) text(string) error { return nil }
func (anywhere) insert() error     { return nil }
func (anywhere) state() string     { return "" }
func (anywhere) clone() scanner    { return anywhere{} }

// shellScanner keeps track of quotation marks in bash. Each character of open represents an
// unfinished construct: a quotation mark, ( for a list or a substitution, $ for $'…', or #
// for a comment.
type shellScanner struct {
	open string
	last string // the last two characters
}

func (s *shellScanner) clone() scanner { c := *s; return &c }

func (s *shellScanner) state() string {
	if s.joins() {
		return s.open + s.last
	}
	return s.open
}

// joins reports whether the last characters change the meaning of what follows.
func (s *shellScanner) joins() bool {
	return strings.HasSuffix(s.last, "$") || s.last == "${" || strings.HasSuffix(s.last, `\`)
}

func (s *shellScanner) insert() error {
	top := s.top()
	switch {
	case top == '"' || top == '\'' || top == '$':
		return errors.New("a value cannot be inserted between quotation marks, because values are quoted automatically")
	case s.joins():
		return fmt.Errorf("a value cannot be quoted directly after %q", s.last)
	}
	s.last = "x"
	return nil
}

func (s *shellScanner) top() byte {
	if s.open == "" {
		return 0
	}
	return s.open[len(s.open)-1]
}

func (s *shellScanner) push(c byte) { s.open += string(c) }
func (s *shellScanner) pop()        { s.open = s.open[:len(s.open)-1] }

func (s *shellScanner) text(text string) error {
	for i := 0; i < len(text); i++ {
		c := text[i]
		previous := byte('\n')
		if s.last != "" {
			previous = s.last[len(s.last)-1]
		}
		next := byte(0)
		if i+1 < len(text) {
			next = text[i+1]
		}
		top := s.top()
		switch {
		case top == '#':
			if c == '\n' {
				s.pop()
			}
		case top == '\'':
			if c == '\'' {
				s.pop()
			}
		case c == '\\' && next != 0: // skip the escaped character
			i++
			s.last = "xx"
			continue
		case top == '$':
			if c == '\'' {
				s.pop()
			}
		case top == '"':
			switch {
			case c == '"':
				s.pop()
			case c == '(' && previous == '$':
				s.push('(')
			}
		case c == '`':
			return errors.New("backquotes are not supported; use $(…) instead")
		case c == '<' && next == '<' && !strings.HasPrefix(text[i:], "<<<"):
			return errors.New("here documents are not supported")
		case c == '<' && next == '<':
			i += 2
		case c == '\'' && previous == '$':
			s.push('$')
		case c == '"' || c == '\'' || c == '(':
			s.push(c)
		case c == ')' && top == '(':
			s.pop()
		case c == '#' && strings.IndexByte(" \t\n;(", previous) >= 0:
			s.push('#')
		}
		s.last = string(previous) + string(c)
	}
	return nil
}

// lineScanner is for languages in which an inserted value must be a complete
// scalar on its line.
type lineScanner struct {
	line   string
	after  bool // the text so far ends with an inserted value
	blocks bool // the language has block scalars
}

func (s *lineScanner) clone() scanner { c := *s; return &c }

func (s *lineScanner) state() string {
	if s.after {
		return s.line + "{{…}}"
	}
	return s.line
}

func (s *lineScanner) text(text string) error {
	if s.after && text != "" && !strings.ContainsAny(text[:1], " \n,]}:=") {
		return fmt.Errorf("%q directly follows a value, but only the value would be quoted", text[:1])
	}
	s.after = s.after && text == ""
	for line := range strings.Lines(text) {
		s.line += line
		if !strings.HasSuffix(line, "\n") {
			break
		}
		if trimmed := strings.TrimRight(s.line, "\n +-0123456789"); s.blocks && (strings.HasSuffix(trimmed, "|") || strings.HasSuffix(trimmed, ">")) {
			return errors.New("block scalars are not supported: insert the text as one value")
		}
		s.line = ""
	}
	return nil
}

func (s *lineScanner) insert() error {
	switch before := strings.TrimLeft(s.line, " \t"); {
	case strings.Count(before, `"`)%2 > 0 || strings.Count(before, "'")%2 > 0:
		return errors.New("a value cannot be inserted between quotation marks, because values are quoted automatically")
	case s.after || before != "" && !strings.ContainsAny(before[len(before)-1:], " [{,=:-"):
		return errors.New("an inserted value must be a complete scalar")
	}
	s.after = true
	return nil
}
