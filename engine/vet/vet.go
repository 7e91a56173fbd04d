// Package vet checks the files that kvbench reads. It determines what each file is,
// reports its errors, and runs the checks of architectures.
package vet

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/engine/source"
)

// Report is the result of checking a file.
type Report struct {
	File string
	Kind model.Kind // "" if the file could not be read
	Errs diag.List
	// Skipped is the reason why the file does not belong to kvbench, or "" if it does.
	Skipped string
}

// Files checks the files in words, which contains names, folders and patterns, and passes a
// report on each file to out, in order. Models may use bundled architectures, architectures in
// the folders in dirs, and architectures that any of the files define. Files that do not belong
// to kvbench are skipped if they were found in a folder; if skip is set, they are skipped even if
// they were specified by name.
//
// If the argument checked is the state of an earlier run, Files resumes that run. If it is the
// zero value, Files starts from the beginning.
func Files(s *schema.Schema, l *model.Loader, words, dirs []string, skip bool, checked Checked, out func(*Report)) error {
	targets, err := expand(words, skip)
	if err != nil {
		return err
	}
	l.NoLinks, l.Refuse = true, checked.over
	for _, t := range targets {
		if err := checked.over(t.name); err != nil {
			t.opened, t.err = true, err
		}
	}
	// CUE files come first, because they may define the architectures of models.
	var brought []*model.File
	for _, t := range targets {
		if !t.opened && isCUE(t.name) {
			t.open(s, l)
			if t.err == nil && t.file.Foreign == "" {
				brought = append(brought, t.file)
			}
		}
	}
	known, err := l.Known(dirs, brought)
	list := diag.List(diag.All(err))
	if slices.ContainsFunc(list, func(d *diag.Diag) bool { return slices.Contains(dirs, d.Pos.File) }) {
		return list
	}
	targets = withKnown(targets, list)
	workers := runtime.GOMAXPROCS(0)
	if checked.Alone {
		workers = 1
	}
	said := map[string]bool{}
	inOrder(workers, checked.rest(targets), func(t *target) *Report { return check(s, l, known, t) }, func(r *Report) {
		if isCUE(r.File) { // report errors in a package's shared files only once
			r.Errs = r.Errs.Unsaid(said)
		}
		out(r)
	})
	return nil
}

// open reads a CUE file and checks its architectures while the file is in memory, because
// a CUE value needs about a hundred times as much memory as its text.
func (t *target) open(s *schema.Schema, l *model.Loader) {
	t.opened = true
	if t.file, t.err = l.Open(t.name, t.met); t.err != nil || len(t.file.Archs) == 0 {
		return
	}
	t.err = l.Bounded(t.name, func() error {
		for _, arch := range t.file.Archs {
			t.archs.Add(architecture(s, l, t.file, arch))
		}
		return nil
	})
}

// check creates the report on a file.
func check(s *schema.Schema, l *model.Loader, known *model.Known, t *target) *Report {
	if strings.HasSuffix(t.name, source.ResultsExt) {
		return report(s, l, known, t) // results are read line by line, so the file may have any size
	}
	r := &Report{File: t.name}
	if t.err == nil && t.file != nil {
		l.Seek(t.file, known)
	}
	err := l.Bounded(t.name, func() error {
		r = report(s, l, known, t)
		return nil
	})
	r.Errs.Add(err)
	return r
}

func report(s *schema.Schema, l *model.Loader, known *model.Known, t *target) *Report {
	if !t.opened {
		t.file, t.err = l.Open(t.name, t.met)
	}
	r := &Report{File: t.name, Errs: slices.Clone(t.known)}
	switch {
	case t.err != nil:
		r.Errs.Add(t.err)
	case t.file.Foreign == "":
		r.Kind = t.file.Kind
		r.Errs.Add(t.archs.Err())
		r.Errs.Add(l.Check(t.file, known))
		if t.file.Model != nil {
			r.Errs.Add(checkLayers(s, l, t.file.Model))
		}
	case len(r.Errs) == 0:
		r.Kind, r.Skipped = t.file.Kind, t.file.Foreign
	}
	if len(r.Errs) > 0 {
		files := []string{t.name}
		if t.file != nil {
			files = append(files, t.file.Package...)
		}
		r.Errs = quoted(l, files, diag.Shown(r.Errs.Unsaid(map[string]bool{})))
	}
	t.file = nil // there may be many files, so free this one
	return r
}

func isCUE(name string) bool { return strings.EqualFold(filepath.Ext(name), ".cue") }

// shown is the number of characters quoted on either side of the caret in a long line.
const shown = 80

// If a message has a position, quoted adds the line that the position refers to. Messages about
// formulas already contain their lines.
func quoted(l *model.Loader, files []string, list diag.List) diag.List {
	lines := map[string][]string{}
	for i, d := range list {
		file := d.Pos.File
		if !slices.Contains(files, file) || d.Pos.Col == 0 || d.Source != "" {
			continue
		}
		if lines[file] == nil {
			text, _ := l.Text(model.Entry{File: file}) // empty if the file has been deleted
			lines[file] = strings.Split(string(text), "\n")
		}
		if d.Pos.Line > len(lines[file]) {
			continue
		}
		e := *d
		e.Source, e.Caret = excerpt(strings.TrimRight(lines[file][d.Pos.Line-1], "\r"), d.Pos.Col)
		list[i] = &e
	}
	return list
}

// excerpt returns the part of a line around a column, and the column's position within that part.
func excerpt(line string, col int) (part string, caret int) {
	from, to := col-shown, col+shown // in characters
	if from <= 1 {
		from = 0
	}
	n, begin, end := 0, 0, len(line)
	for i := range line {
		if n == from {
			begin = i
		}
		if n == to {
			end = i
			break
		}
		n++
	}
	if begin == 0 {
		from = 0 // the part begins at the start of the line
	}
	part, caret = line[begin:end], col
	if end < len(line) {
		part += "…"
	}
	if from > 0 {
		part, caret = "…"+part, col-from+1
	}
	return part, caret
}

// architecture compiles the formulas of an architecture and runs its checks.
func architecture(s *schema.Schema, l *model.Loader, f *model.File, arch *schema.Architecture) error {
	planners := plan.NewPlanners(s, s.Nixlbench.Default, "")
	planners.Quantities = true
	checker, err := planners.Checker(arch)
	if err != nil {
		return err
	}
	var errs diag.List
	if len(arch.Checks.Get()) == 0 {
		errs = append(errs, diag.Warnf(diag.Pos{File: arch.File}, "%s has no checks against known results", arch.Name).About(diag.NoChecks, arch.Name).
			WithHint("add checks: [{params: {…}, config: {…}, expect: {kv_bytes_per_token: …}, source: \"…\"}]"))
		// If there were checks, reading their models would reveal overlapping groups.
		errs.Add(checker.Overlaps())
	}
	for i, c := range arch.Checks.Get() {
		errs.Add(checkKnown(s, checker, arch, c, l.CheckValues(f, arch, i)))
	}
	return errs.Err()
}

// checkLayers checks that the model has every value that its layers need, and that these values
// are valid and have an effect.
func checkLayers(s *schema.Schema, l *model.Loader, m *model.Model) error {
	use := plan.Fullest(m.Arch)
	if !use.Rank {
		return nil
	}
	p, err := plan.New(s, s.Nixlbench.Default, m.Arch, use)
	if err != nil {
		return nil // errors in the architecture are reported for its file
	}
	cfg, err := l.Config("", nil, "", nil)
	if err != nil {
		return err
	}
	plans, err := p.Quantities(&plan.Request{Model: m, Config: cfg.With(m.Arch, m.Defaults)})
	if err != nil {
		return err
	}
	// Report only the warnings about a place in this file, because other warnings depend on
	// the configuration.
	return slices.DeleteFunc(plans[0].Warnings, func(d *diag.Diag) bool {
		return d.Severity != diag.Warning || d.Pos.File != m.File || d.Pos.Line == 0
	}).Err()
}

// checkKnown runs one of an architecture's checks against known results. The values argument is
// the error already found in the check's values, or nil.
func checkKnown(s *schema.Schema, checker *plan.Checker, arch *schema.Architecture, c schema.Check, values error) error {
	var errs diag.List
	fail := func(at, format string, args ...any) *diag.Diag {
		d := diag.Errorf(c.At[at], format, args...)
		if d.Pos.IsZero() {
			d.Pos = c.At[""]
		}
		errs = append(errs, d)
		return d
	}
	hint := func(d *diag.Diag, name string, known []string) {
		if !d.About(diag.Unknown, name).Suggest(name, known) {
			d.WithHint("expected one of %s", strings.Join(known, ", "))
		}
	}
	var params, fields []string
	for i := range arch.Params {
		params = append(params, arch.Params[i].Name)
	}
	for i := range s.Fields {
		fields = append(fields, s.Fields[i].Var)
	}
	for _, name := range schema.Keys(c.Params) {
		if !slices.Contains(params, name) {
			hint(fail("params."+name+":", "%s has no parameter %s", arch.Name, name), name, params)
		}
	}
	for _, name := range schema.Keys(c.Config) {
		if !slices.Contains(fields, name) {
			hint(fail("config."+name+":", "there is no configuration field %s", name), name, fields)
		}
	}
	errs.Add(values)
	if len(errs) > 0 {
		return errs
	}
	got, err := checker.Check(c)
	if err != nil {
		for _, d := range diag.All(err) {
			e := *d
			if e.Pos.File != arch.File {
				e.Pos = c.At[""]
			}
			errs = append(errs, e.WithHint("this is the check whose source is %q", c.Source))
		}
		return errs
	}
	for _, name := range schema.Keys(c.Expect) {
		n, ok := got[name]
		if !ok {
			hint(fail("expect."+name+":", "there is no quantity %s", name), name, schema.Keys(got))
		} else if n != c.Expect[name] {
			fail("expect."+name, "%s is %d, expected %d", name, n, c.Expect[name]).About(diag.Check, name).WithHint("this is the check whose source is %q", c.Source)
		}
	}
	for _, name := range c.UnverifiedNames() {
		if _, ok := c.Expect[name]; !ok {
			hint(fail("unverified", "unverified: %q is not a quantity that this check expects", name), name, schema.Keys(c.Expect))
		}
	}
	return errs.Err()
}

// inOrder creates reports concurrently and passes them to out in the order of the
// targets. Only a few reports are in memory at a time.
func inOrder(workers int, targets []*target, report func(*target) *Report, out func(*Report)) {
	queue := make(chan chan *Report, 4*workers)
	slots := make(chan struct{}, workers)
	go func() {
		for _, t := range targets {
			result := make(chan *Report, 1)
			queue <- result
			slots <- struct{}{}
			go func() {
				result <- report(t)
				<-slots
			}()
		}
		close(queue)
	}()
	for result := range queue {
		out(<-result)
	}
}
