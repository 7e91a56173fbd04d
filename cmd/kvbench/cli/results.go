package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/report"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// These are the tasks of "kvbench results".
const (
	resultsList   = "ls"
	resultsShow   = "show"
	resultsMerge  = "merge"
	resultsExport = "export"
)

var resultsTasks = []string{resultsList, resultsShow, resultsMerge, resultsExport}

// resultsCmd finds, joins and exports results.
func (a *app) resultsCmd() *command {
	columns := func() []string { return report.RowColumns(a.schema) }
	planners := schema.Keys(a.schema.Nixlbench.Runs.Get().Planners)
	return &command{
		name:  "results",
		words: strings.Join(resultsTasks, "|") + " FILE...",
		short: "Find, join and export saved results",
		flags: []*flagSpec{
			{name: "columns", arg: "COLUMNS", group: groupOutput, words: columns, help: "Columns for ls and export, separated by commas"},
			{name: "only", arg: "COLUMN=VALUE", group: groupOutput, repeat: true, help: "Only results with this value. May be repeated"},
			{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "csv", values: append([]string{"csv", "jsonl"}, planners...), help: "Format for export. csv and jsonl write columns; the others write a planner's file"},
			{name: "output", short: "o", arg: "FILE", group: groupOutput, help: "Write to this file instead of stdout"},
			configFlag(),
		},
		exec:     a.results,
		complete: func([]string) []string { return resultsTasks },
	}
}

func (a *app) results(_ context.Context, c *command) error {
	task, files := "", c.args
	if len(files) > 0 {
		task, files = files[0], files[1:]
	}
	var errs diag.List
	if !slices.Contains(resultsTasks, task) {
		d := diag.Usagef("unknown subcommand %q: expected one of %s", task, strings.Join(resultsTasks, ", "))
		if task == "" {
			d = diag.Usagef("nothing to do: expected one of %s", strings.Join(resultsTasks, ", "))
		}
		d.Suggest(task, resultsTasks)
		return d
	}
	hash := ""
	if task == resultsShow && len(files) > 0 {
		hash, files = files[0], files[1:]
	}
	switch {
	case task == resultsShow && len(files) == 0:
		errs = append(errs, diag.Usagef("%s needs the beginning of a hash, as shown by '%s %s %s', and the files to look in", task, program, c.name, resultsList))
	case len(files) == 0:
		errs = append(errs, diag.Usagef("%s needs the names of results files", task))
	case slices.Contains(files, ""):
		errs = append(errs, diag.Usagef("\"\" is not the name of a file"))
	}
	if c.given["columns"] && task != resultsList && task != resultsExport {
		errs = append(errs, diag.Usagef("--columns is only for %s and %s; %s prints whole results", resultsList, resultsExport, task))
	}
	// The environment and preferences may set the format for other commands, so only
	// --format on the command line is an error.
	format := ""
	if task == resultsExport {
		var err error
		format, err = c.choice("format")
		errs.Add(err)
	} else if c.given["format"] {
		errs = append(errs, diag.Usagef("--format is only for %s", resultsExport))
	}
	planner := a.schema.Nixlbench.Runs.Get().Planners[format]
	if c.given["columns"] && planner != nil {
		errs = append(errs, diag.Usagef("--columns cannot be used with --format %s, which has its own values", format))
	}
	if c.given["only"] && task == resultsShow {
		errs = append(errs, diag.Usagef("--only cannot be used with %s", resultsShow))
	}
	listing, err := a.listing(c, files, task == resultsList || task == resultsExport && planner == nil)
	errs.Add(err)
	if len(errs) > 0 {
		return errs
	}
	if planner != nil {
		keepMuch()
	} else {
		expectLong()
	}
	out, err := a.open(c)
	if err != nil {
		return err
	}
	r := &resultsRun{app: a, listing: listing, files: files, out: out}
	switch task {
	case resultsList:
		err = r.list()
	case resultsShow:
		err = r.show(hash)
	case resultsMerge:
		err = r.merge()
	case resultsExport:
		if planner != nil {
			err = r.plan(planner)
		} else {
			err = r.export(format)
		}
	}
	if err != nil {
		out.discard()
		return err
	}
	return out.close()
}

// listing returns a listing with the columns and conditions set by the flags. If
// shown is false, the listing has no columns.
func (a *app) listing(c *command, files []string, shown bool) (*report.Listing, error) {
	known := report.RowColumns(a.schema)
	var errs diag.List
	check := func(flag, name string) string {
		_, from, _ := c.value(flag)
		name = report.ColumnOf(a.schema.View("results"), a.schema, name)
		if slices.Contains(known, name) {
			return name
		}
		d := from.Errorf("there is no column %q", name)
		if near := report.ColumnMeant(a.schema, name); near != "" {
			d.WithHint("did you mean %q?", near)
		} else if !d.Suggest(name, known) {
			d.WithHint("a column is a quantity, a configuration field, a nixlbench flag, or a measure")
		}
		errs = append(errs, d)
		return name
	}
	columns := c.list("columns")
	if !shown {
		columns = []string{}
	}
	for i, name := range columns {
		if columns[i] = check("columns", name); slices.Contains(columns[:i], columns[i]) {
			_, from, _ := c.value("columns")
			errs = append(errs, from.Errorf("%q is given twice", name))
		}
	}
	var only [][2]string
	for _, text := range c.flag("only").text {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			_, from, _ := c.value("only")
			errs = append(errs, from.Errorf("%q is not allowed: expected a column and its value, such as status=ok", text))
			continue
		}
		only = append(only, [2]string{check("only", name), value})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return report.NewListing(a.schema, columns, only, len(files)), nil
}

// resultsRun is a run of the results command on some files.
type resultsRun struct {
	*app
	listing *report.Listing
	files   []string
	out     io.Writer
}

// The each method reads all files. For every result, it calls convert, which appends the
// output for that result. For each part of a file, in order, it then passes the part's
// output to use. It returns an error if there are lines that are not results, but still
// uses the other lines.
func (r *resultsRun) each(convert func(l *report.Listing, out []byte, rec *runner.Brief, line []byte) []byte, use func(out []byte) error) error {
	var bad diag.List
	for _, name := range r.files {
		l := r.listing.In(name)
		var res runner.Results
		err := l.Briefs(r.schema).Each(name, r.guard.watch, func(part *runner.Part, rec *runner.Brief, line []byte) {
			part.Out = convert(l, part.Out, rec, line)
		}, func(part *runner.Part) error { return use(part.Out) }, &res)
		if err != nil {
			return err
		}
		bad.Add(res.Bad)
		if res.Torn {
			r.sayTorn(name)
		}
	}
	return bad.Err()
}

func (r *resultsRun) sayTorn(name string) {
	r.print.Print(diag.Warnf(diag.Pos{File: name}, "the last line is truncated and was skipped"))
}

func (r *resultsRun) write(out []byte) error {
	_, err := r.out.Write(out)
	return err
}

// maxListed is the maximum size, in bytes, of the list that ls holds in memory to align its
// columns.
const maxListed = 64 << 20

func (r *resultsRun) list() error {
	var all strings.Builder
	all.WriteString(r.listing.Headings(r.schema))
	err := r.each(func(l *report.Listing, out []byte, rec *runner.Brief, _ []byte) []byte {
		return l.Text(out, rec)
	}, func(out []byte) error {
		all.Write(out)
		if all.Len() > maxListed {
			return diag.Errorf(diag.Pos{}, "the list is longer than %d MiB", maxListed>>20).
				WithHint("select results with --only, or use '%s results %s'", program, resultsExport)
		}
		return nil
	})
	if _, ok := err.(diag.List); err != nil && !ok {
		return err
	}
	if wrong := report.Aligned(r.out, all.String()); wrong != nil {
		return wrong
	}
	return err
}

// shortestHash is the minimum length of the hash prefix that the show command accepts.
// maxMatches is the maximum number of results that the show command prints.
const (
	shortestHash = 4
	maxMatches   = 100
)

func (r *resultsRun) show(hash string) error {
	if len(hash) < shortestHash {
		return diag.Usagef("%q is too short: expected at least %d characters of a hash", hash, shortestHash)
	}
	var found bytes.Buffer
	n := 0
	err := r.each(func(_ *report.Listing, out []byte, rec *runner.Brief, line []byte) []byte {
		own, _ := rec.Value(runner.FromRecord, runner.NameHash)
		if text, _ := own.(string); strings.HasPrefix(text, hash) || strings.HasPrefix(rec.Point, hash) {
			out = append(append(out, line...), '\n')
		}
		return out
	}, func(out []byte) error {
		if n += bytes.Count(out, []byte("\n")); n > maxMatches {
			return diag.Errorf(diag.Pos{}, "more than %d results have hashes that begin with %q; specify more characters", maxMatches, hash)
		}
		found.Write(out)
		return nil
	})
	switch {
	case err != nil:
		return err
	case n == 0:
		return diag.Errorf(diag.Pos{}, "no result in %s has a hash that begins with %q", diag.Printable(strings.Join(r.files, ", ")), hash).
			WithHint("list the results with '%s results %s'", program, resultsList)
	}
	var text bytes.Buffer
	for line := range bytes.Lines(found.Bytes()) {
		if err := json.Indent(&text, line, "", "  "); err != nil {
			return err
		}
	}
	return r.write(diag.Escaped(text.Bytes()))
}

// maxSeen limits the memory, in bytes, for the identities of the results that merge has read.
const maxSeen = 128 << 20

func (r *resultsRun) merge() error {
	seen := map[string]bool{}
	size, kept, twice := 0, 0, 0
	err := r.each(func(l *report.Listing, out []byte, rec *runner.Brief, line []byte) []byte {
		if !l.Has(rec) {
			return out
		}
		hash, _ := rec.Value(runner.FromRecord, runner.NameHash)
		start, ok := rec.Value(runner.FromRecord, runner.NameStart)
		if !ok {
			start = string(line) // such a result is a duplicate only if the lines are equal
		}
		out = fmt.Appendf(out, "%q %q %q\n", hash, rec.Status, start)
		return append(append(out, line...), '\n')
	}, func(out []byte) error {
		lines := out[:0]
		for len(out) > 0 {
			id, rest, _ := bytes.Cut(out, []byte("\n"))
			end := bytes.IndexByte(rest, '\n') + 1
			line := rest[:end]
			out = rest[end:]
			if seen[string(id)] {
				twice++
				continue
			}
			if size += len(id) + 64; size > maxSeen {
				return diag.Errorf(diag.Pos{}, "too many results: merge fewer files at a time")
			}
			seen[string(id)] = true
			kept++
			lines = append(lines, line...)
		}
		return r.write(lines)
	})
	if err == nil {
		r.print.Print(diag.Notef(diag.Pos{}, "%s; duplicates omitted: %d", tally(nil, kept), twice))
	}
	return err
}

func (r *resultsRun) export(format string) error {
	convert := (*report.Listing).JSON
	if format == "csv" {
		convert = (*report.Listing).CSV
		if err := r.write([]byte(strings.Join(r.listing.Names(), ",") + "\n")); err != nil {
			return err
		}
	}
	return r.each(func(l *report.Listing, out []byte, rec *runner.Brief, _ []byte) []byte { return convert(l, out, rec) }, r.write)
}

// plan writes the results as a file for a planner.
func (r *resultsRun) plan(p *schema.Planner) error {
	var all []*runner.Brief
	for _, name := range r.files {
		l := r.listing.In(name)
		res, err := l.PlannerBriefs(p, r.schema).Read(name, r.guard.watch)
		if err != nil {
			return err
		}
		if res.Bad != nil {
			return res.Bad
		}
		if res.Torn {
			r.sayTorn(name)
		}
		for _, rec := range res.List {
			l.Select(rec)
		}
		all = append(all, res.List...)
	}
	return r.listing.PlannerFile(r.out, all, p, r.schema)
}
