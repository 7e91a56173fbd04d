package cli

import (
	"context"
	"fmt"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/launch"
	"kvbench/engine/runner"
)

// collectCmd turns the logs of jobs into results.
func (a *app) collectCmd() *command {
	return &command{
		name:  "collect",
		words: "DIR|LOG...",
		short: "Turn job logs into results",
		flags: []*flagSpec{
			{name: "output", short: "o", arg: "FILE", group: groupOutput, help: "Append the results to this file instead of printing them. Results that it already contains are skipped"},
			releasesFlag(),
			configFlag(),
		},
		exec: a.collect,
	}
}

func (a *app) collect(_ context.Context, c *command) error {
	if len(c.args) == 0 {
		return diag.Usagef("nothing to collect: specify the folder of a job written by '%s launch'", program)
	}
	out, from, ok := c.value("output")
	if ok && out == "" {
		return from.Errorf("\"\" is not allowed: expected the name of a file")
	}
	var jobs []*launch.Logs
	var errs diag.List
	for _, path := range c.args {
		logs, err := launch.FindLogs(path, a.guard.watch)
		errs.Add(err)
		jobs = append(jobs, logs)
	}
	if len(errs) > 0 {
		return errs
	}
	save := func(rec *runner.Record) error {
		line, err := runner.Encode(rec)
		if err == nil {
			_, err = a.stdout.Write(line)
		}
		return err
	}
	if ok {
		results := &appended{app: a, name: out}
		defer results.close()
		save = results.add
	}
	failed := false
	for _, logs := range jobs {
		good, err := a.collectJob(logs, save)
		if err != nil {
			return err
		}
		failed = failed || !good
	}
	if failed {
		return errShown
	}
	return nil
}

// appended is a results file that new results are appended to. It is created when the
// first result arrives.
type appended struct {
	*app
	name    string
	journal *runner.Journal
	known   map[runner.Identity]bool
}

func (r *appended) add(rec *runner.Record) (err error) {
	if r.journal == nil {
		if r.journal, err = runner.OpenJournal(r.name, false, r.guard.watch); err != nil {
			return err
		}
		if r.known, err = runner.Known(r.name, r.guard.watch); err != nil {
			return err
		}
	}
	id := runner.Identify(rec)
	if r.known[id] {
		return nil
	}
	r.known[id] = true // the user may specify a job twice
	return r.journal.Add(rec)
}

func (r *appended) close() {
	if r.journal != nil {
		r.journal.Close()
	}
}

// maxNamed is the maximum number of points that a message lists.
const maxNamed = 10

// collectJob collects the results of a job, prints problems with them, and reports
// whether every run succeeded.
func (a *app) collectJob(logs *launch.Logs, save func(*runner.Record) error) (bool, error) {
	session := &runner.Session{Schema: a.schema}
	counts := map[runner.Status]int{}
	total := 0
	missing, err := logs.Collect(session, func(e *launch.Entry) error {
		rec := e.Record
		total++
		counts[rec.Status]++
		if rec.Status != runner.OK {
			d := diag.Errorf(diag.Pos{}, "point %s (%s): %s: %s", e.ID, diag.Printable(rec.Model.Name), rec.Status, diag.Printable(strings.Join(rec.Reasons, "; ")))
			if rec.Status == runner.Failed && len(rec.Rows) == 0 {
				for _, note := range rec.Notes[:len(rec.Notes)-rec.Quiet] {
					d.WithHint("%s", diag.Printable(note))
				}
			}
			a.print.Print(d)
		}
		return save(rec)
	})
	if err != nil {
		return false, err
	}
	at := diag.Pos{File: logs.Dir}
	if len(missing) > 0 {
		hint := "run the job again, or write a job for the missing runs with 'kvbench launch --resume FILE'"
		if total == 0 {
			hint = "run the job; if it has ended, check its output"
			for _, line := range logs.Preflight() {
				hint = "fix the problems that the checks found, and run the job again"
				d := diag.Errorf(at, "%s", diag.Printable(line))
				if !launch.IsCheck(line) {
					d.Severity = diag.Note
				}
				a.print.Print(d)
			}
		}
		named := strings.Join(missing[:min(len(missing), maxNamed)], ", ")
		if len(missing) > maxNamed {
			named += ", …"
		}
		what := fmt.Sprintf("%d of %d points have no logs: %s", len(missing), total+len(missing), named)
		switch {
		case total+len(missing) == 1:
			what = fmt.Sprintf("the only point, %s, has no logs", named)
		case len(missing) == 1:
			what = fmt.Sprintf("1 of %d points has no logs: %s", total+1, named)
		}
		a.print.Print(diag.Errorf(at, "%s", what).WithHint("%s", hint))
	}
	a.print.Print(diag.Notef(at, "%s", tally(counts, total)))
	return total == counts[runner.OK] && len(missing) == 0, nil
}

// tally describes how many results there are, and how many have each outcome.
func tally(counts map[runner.Status]int, total int) string {
	text := fmt.Sprintf("%d results", total)
	if total == 1 {
		text = "1 result"
	}
	for _, s := range []runner.Status{runner.OK, runner.Suspect, runner.Failed, runner.Interrupted} {
		if n := counts[s]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, s)
		}
	}
	return text
}
