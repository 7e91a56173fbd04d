package vet

import (
	"maps"
	"path/filepath"
	"strconv"

	"kvbench/engine/diag"
)

// Checked is what a run that was ended has done: the run that goes on behind it
// leaves that out.
type Checked struct {
	Last   string            // the key of the file that was reported last
	Failed bool              // a report tells of an error
	Over   map[string]string // files that took too much by their keys, and what to say of them
	Alone  bool              // files are checked one at a time
}

// Add returns what the next run leaves out when a file has ended this one, with
// others being worked on that may have had a part in it. It is nil if the file
// has ended a run before: it is none of those that are checked.
func (c Checked) Add(over *diag.Diag, others int) *Checked {
	if c.over(over.Pos.File) != nil {
		return nil
	}
	if others > 0 && !c.Alone {
		c.Alone = true
		return &c
	}
	c.Over = maps.Clone(c.Over)
	if c.Over == nil {
		c.Over = map[string]string{}
	}
	c.Over[Key(over.Pos.File)] = over.Text()
	return &c
}

// over returns what to say of a file that took too much, or nil.
func (c Checked) over(file string) error {
	if msg := c.Over[Key(file)]; msg != "" {
		return diag.Errorf(diag.Pos{File: file}, "%s", msg).About(diag.TooMuch, "")
	}
	return nil
}

// rest returns the targets behind the one that was reported last; all of them
// where that is gone.
func (c Checked) rest(targets []*target) []*target {
	for i, t := range targets {
		if Key(t.name) == c.Last {
			return targets[i+1:]
		}
	}
	return targets
}

// Key is a file's name as JSON keeps it: names need not be UTF-8.
func Key(file string) string { return strconv.QuoteToASCII(filepath.Clean(file)) }
