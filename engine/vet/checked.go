package vet

import (
	"maps"
	"path/filepath"
	"strconv"

	"kvbench/engine/diag"
)

// Checked is the state of a run that was ended; the next run skips what it has
// already done.
type Checked struct {
	Last   string            // the key of the last file reported
	Failed bool              // whether a report contains an error
	Over   map[string]string // files that took too much time or memory, by key, with the messages about them
	Alone  bool              // whether files are checked one at a time
}

// Add returns the state for resuming after the file in over ended this run. If
// other files were in progress, the next run checks files one at a time;
// otherwise, it skips the file. Add returns nil if the file has already ended a
// run, because such files are no longer checked.
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

// over returns the message about a file that took too much time or memory, or
// nil.
func (c Checked) over(file string) error {
	if msg := c.Over[Key(file)]; msg != "" {
		return diag.Errorf(diag.Pos{File: file}, "%s", msg).About(diag.TooMuch, "")
	}
	return nil
}

// rest returns the targets after the last one reported, or all of them if that
// one no longer exists.
func (c Checked) rest(targets []*target) []*target {
	for i, t := range targets {
		if Key(t.name) == c.Last {
			return targets[i+1:]
		}
	}
	return targets
}

// Key is a file's name in a form that JSON can represent: names need not be
// UTF-8.
func Key(file string) string { return strconv.QuoteToASCII(filepath.Clean(file)) }
