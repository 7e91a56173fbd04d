package vet

import (
	"maps"
	"path/filepath"
	"strconv"

	"kvbench/engine/diag"
)

// Checked is the state of a vet run that was cut short. The next run uses it to skip the
// files already checked.
type Checked struct {
	Last   string            // the key of the last file reported
	Failed bool              // whether any report so far contains an error
	Over   map[string]string // messages about files that took too much time or memory, keyed by file
	Alone  bool              // whether files are checked one at a time
}

// Add returns the state for resuming a run that ended because of a file. The argument over
// is the message about this file. If other files were in progress, the next run checks
// files one at a time; otherwise, it skips this file. Add returns nil if the run was
// already supposed to skip the file, because resuming would not help.
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

// over returns the error for a file that took too much time or memory in an
// earlier run, or nil for any other file.
func (c Checked) over(file string) error {
	if msg := c.Over[Key(file)]; msg != "" {
		return diag.Errorf(diag.Pos{File: file}, "%s", msg).About(diag.TooMuch, "")
	}
	return nil
}

// rest returns the targets after the last reported target, or all targets if the last
// reported one no longer exists.
func (c Checked) rest(targets []*target) []*target {
	for i, t := range targets {
		if Key(t.name) == c.Last {
			return targets[i+1:]
		}
	}
	return targets
}

// Key returns a file's name in a form that JSON can represent, because names need
// not be valid UTF-8.
func Key(file string) string { return strconv.QuoteToASCII(filepath.Clean(file)) }
