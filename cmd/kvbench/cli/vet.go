package cli

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"kvbench/engine/diag"
	"kvbench/engine/report"
	"kvbench/engine/vet"
)

// vetCmd checks files.
func (a *app) vetCmd() *command {
	return &command{
		name:  "vet",
		words: "FILE|DIR|GLOB...",
		short: "Check architectures, models, configurations and results",
		flags: []*flagSpec{
			modelsFlag(),
			{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "text", values: []string{"text", "json", "github"}, help: "Output format"},
			{name: "skip_unknown", bool: true, group: groupOutput, help: "Skip files named on the command line that kvbench cannot read"},
			{name: "v", bool: true, group: groupOutput, help: "Report the type of each file"},
			configFlag(),
		},
		exec: a.vet,
	}
}

func (a *app) vet(_ context.Context, c *command) error {
	var errs diag.List
	format, err := c.choice("format")
	errs.Add(err)
	verbose, err := c.boolean("v")
	errs.Add(err)
	skip, err := c.boolean("skip_unknown")
	errs.Add(err)
	if len(c.args) == 0 {
		errs = append(errs, diag.Usagef("nothing to check: specify a file, a folder or a pattern"))
	}
	if len(errs) > 0 {
		return errs
	}
	expectMuch()
	failed := a.checked.Failed
	found := []finding{}
	var reporting sync.Mutex
	last := a.checked.Last
	a.guard.expires(func(over *diag.Diag, others int) {
		reporting.Lock() // the mutex stays locked, so that nothing else is reported
		next := a.checked.Add(over, others)
		if format == "json" {
			last = "" // JSON is written only at the end, so nothing has been reported yet
		}
		if next != nil {
			next.Last, next.Failed = last, failed
			restart(next)
		}
		over.WithHint("the other files were not checked")
		a.ends(over, others)
	})
	err = vet.Files(a.schema, a.loader(), c.args, c.dirs(), skip, a.checked, func(r *vet.Report) {
		reporting.Lock()
		defer reporting.Unlock()
		last = vet.Key(r.File)
		if verbose && r.Kind != "" {
			what := string(r.Kind)
			if r.Skipped != "" {
				what = "skipped: " + r.Skipped
			}
			fmt.Fprintf(a.stderr, "%s: %s\n", diag.Printable(r.File), diag.Printable(what))
		}
		for _, d := range r.Errs {
			failed = failed || d.Severity == diag.Error
			switch format {
			case "text":
				a.print.Print(d)
			case "json":
				found = append(found, newFinding(d))
			case "github":
				fmt.Fprintln(a.stdout, annotation(d))
			}
		}
	})
	if format == "json" && err == nil {
		err = report.JSONText(a.stdout, found)
	}
	if err == nil && failed {
		err = errShown
	}
	return err
}

// finding is the JSON form of a diagnostic.
type finding struct {
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Severity string `json:"severity"`
	Code     string `json:"code,omitempty"`
	Name     string `json:"name,omitempty"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	Source   string `json:"source,omitempty"`
	Caret    int    `json:"caret,omitempty"`
}

func newFinding(d *diag.Diag) finding {
	return finding{d.Pos.File, d.Pos.Line, d.Pos.Col, d.Severity.String(), string(d.Code), diag.Short(d.Name),
		diag.Short(d.Text()), diag.Short(strings.Join(d.Hints, "\n")), d.Source, d.Caret}
}

// annotation formats a diagnostic as a GitHub workflow command.
func annotation(d *diag.Diag) string {
	kind := d.Severity.String()
	if d.Severity == diag.Note {
		kind = "notice"
	}
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer(":", "%3A", ",", "%2C")
	var at []string
	if d.Pos.File != "" {
		at = append(at, "file="+property.Replace(data.Replace(shownName(d.Pos.File))))
	}
	if d.Pos.Line > 0 {
		at = append(at, fmt.Sprintf("line=%d", d.Pos.Line))
	}
	if d.Pos.Col > 0 {
		at = append(at, fmt.Sprintf("col=%d", d.Pos.Col))
	}
	msg := diag.Printable(diag.Short(d.Text()))
	lead := "\nhint: "
	for _, hint := range d.Hints {
		msg += lead + diag.Printable(diag.Short(hint))
		lead = "\n"
	}
	return "::" + kind + " " + strings.Join(at, ",") + "::" + data.Replace(msg)
}

// shownName returns a file's name with hidden characters escaped. Line breaks are kept,
// because the annotation encodes them, and because GitHub needs the exact name to find
// the file.
func shownName(name string) string {
	var b strings.Builder
	for _, r := range name {
		if diag.IsHidden(r) && r != '\r' && r != '\n' {
			b.WriteString(diag.Printable(string(r)))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
