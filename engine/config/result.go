package config

import (
	"fmt"
	"io"
	"unicode/utf8"

	"cuelang.org/go/cue"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/input"
	"kvbench/engine/jsonl"
	"kvbench/engine/schema"
)

// Results validates a results file, which has one JSON object per line, against the schema.
// Only one line is in memory at a time.
func (l *Loader) Results(name string) error {
	f, err := input.Open(name, l.Watch)
	if err != nil {
		return err
	}
	defer f.Close()
	shape, err := l.results()
	if err != nil {
		return err
	}
	c := &checker{file: name, names: map[string]*int{}}
	good := false
	for lines := jsonl.NewLines(f); ; {
		line, err := lines.Next()
		c.line = lines.Number
		before := c.count
		switch {
		case err == io.EOF:
			return c.err()
		case err == jsonl.ErrLong:
			c.add("", "%v; the rest of the file is not checked", err)
			return c.err()
		case err != nil:
			return err
		case lines.Torn:
			c.add("to move it aside, run 'kvbench profile' with --output set to this file", "the last line is truncated")
		default:
			c.check(shape, line)
		}
		if good = good || c.count == before; !good && lines.Bytes > jsonl.MaxFutile {
			return append(diag.List(diag.All(c.err())), diag.Errorf(diag.Pos{File: name, Line: c.line}, "no valid results up to this line; the rest of the file is not checked"))
		}
	}
}

func (l *Loader) resultShape() (*schema.Type, error) {
	defs, err := l.defs()
	if err != nil {
		return nil, err
	}
	s, err := schema.ShapeOf(defs.LookupPath(cue.ParsePath("#Result")))
	if err != nil {
		return nil, fmt.Errorf("cannot read the schema of results: %w", err)
	}
	return &s, nil
}

// checker validates the lines of a results file.
type checker struct {
	file     string
	line     int
	in       jsonl.Reader
	path     []step
	problems diag.List
	count    int // number of problems, including those not shown
	// names maps each name to the number of the last object that contained it.
	names   map[string]*int
	objects int
}

// step is one step of the path to a value: a name or an index.
type step struct {
	name  []byte
	index int
}

// full reports whether there are so many problems that further ones are counted but not
// shown.
func (c *checker) full() bool { return len(c.problems) == diag.MaxShown }

// add records a problem in the current line.
func (c *checker) add(hint, format string, args ...any) {
	if c.count++; c.full() {
		return
	}
	d := diag.Errorf(diag.Pos{File: c.file, Line: c.line}, format, args...)
	if hint != "" {
		d.WithHint("%s", hint)
	}
	c.problems = append(c.problems, d)
}

func (c *checker) err() error {
	c.problems.Add(diag.More(c.file, c.count-len(c.problems)))
	return c.problems.Err()
}

// check validates a line.
func (c *checker) check(s *schema.Type, line []byte) {
	if !utf8.Valid(line) {
		c.add("", "this line is not UTF-8 text")
		return
	}
	shown, count := len(c.problems), c.count
	c.in.Reset(line)
	c.path = c.path[:0]
	isObject := c.in.Next() == '{'
	if isObject {
		c.value(s)
	} else {
		c.in.Skip()
	}
	switch why := c.in.End(); {
	case why != "":
		c.problems, c.count = c.problems[:shown], count // these problems follow from the syntax error
		c.add("", "this line is not JSON: %s", why)
	case !isObject:
		c.add("", "this line is not a JSON object")
	}
}

// addAt records a problem with the value at the current path. If name is not empty, the
// problem is with the field of that name in the value.
func (c *checker) addAt(name, hint, format string, args ...any) {
	if c.full() {
		c.count++
		return
	}
	var where []byte
	for i, s := range c.path {
		if i > 0 {
			where = append(where, '.')
		}
		if s.name != nil {
			where = append(where, data.Shorten(string(s.name))...)
		} else {
			where = fmt.Append(where, s.index)
		}
	}
	if name != "" && len(where) > 0 {
		where = append(where, '.')
	}
	c.add(hint, "%s%s: %s", where, data.Shorten(name), fmt.Sprintf(format, args...))
}

// value validates the next value in the line.
func (c *checker) value(s *schema.Type) {
	begin := c.in.Next()
	switch {
	case s.Any():
	case begin == '{' && s.Members != nil:
		c.object(s)
	case begin == '[' && s.Item != nil:
		i := 0
		c.in.Array(func() {
			c.path = append(c.path, step{index: i})
			c.value(s.Item)
			c.path = c.path[:len(c.path)-1]
			i++
		})
	default:
		text := c.in.Skip()
		if c.in.Err() != "" {
			return // check reports the error for the whole line
		}
		if s.TakesJSON(text) {
			return
		}
		c.addAt("", "", "%s is not allowed: expected %s", shownJSON(text), s)
	}
}

func (c *checker) object(s *schema.Type) {
	var seen uint64
	c.objects++
	object := c.objects
	c.in.Object(func(name []byte) {
		m := s.Members[string(name)]
		value := s.Others
		twice := false
		switch {
		case m != nil:
			value, twice = &m.Type, seen&m.Bit != 0
			seen |= m.Bit
		case value == nil:
			hint := ""
			if !c.full() && len(name) <= maxName {
				hint = diag.DidYouMean(string(name), s.Known)
			}
			c.addAt(string(name), hint, "field not allowed")
			return
		default:
			twice = c.seenBefore(name, object)
		}
		if twice {
			c.addAt(string(name), "", "given twice")
		}
		c.path = append(c.path, step{name: name})
		c.value(value)
		c.path = c.path[:len(c.path)-1]
	})
	if c.in.Err() != "" {
		return
	}
	for _, name := range s.Known {
		if m := s.Members[name]; m.Required && seen&m.Bit == 0 {
			c.addAt(name, "", "field is required but not present")
		}
	}
}

const (
	maxName  = 60     // maximum length of a name for which similar names are suggested
	maxNames = 10_000 // maximum number of names remembered to find duplicates
)

// seenBefore records that an object contains a name, and reports whether that was already
// recorded.
func (c *checker) seenBefore(name []byte, object int) bool {
	if had := c.names[string(name)]; had != nil {
		was := *had
		*had = object
		return was == object
	}
	if len(c.names) < maxNames {
		c.names[string(name)] = &object
	}
	return false
}

// shownJSON describes a JSON value for use in a message.
func shownJSON(text []byte) string {
	switch {
	case text[0] == '{':
		return "a mapping"
	case text[0] == '[':
		return "a list"
	}
	return data.Shorten(string(text))
}
