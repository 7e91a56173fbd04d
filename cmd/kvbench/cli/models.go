package cli

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/report"
	"kvbench/engine/schema"
	"kvbench/models"
)

// countedFor is the heading of the column that shows which engine and release the byte
// counts are for.
const countedFor = "KV engine"

// modelsCmd lists the known models and architectures, or shows one.
func (a *app) modelsCmd() *command {
	return &command{
		name:  "models",
		words: "[show NAME]",
		short: "List the known models and architectures",
		flags: []*flagSpec{
			modelsFlag(),
			{name: "format", arg: "FORMAT", group: groupOutput, pref: true, def: "text", values: []string{"text", "json", "csv"}, help: "Output format. csv lists only models"},
			configFlag(),
		},
		exec:     a.models,
		complete: a.completeModels,
	}
}

func (a *app) models(_ context.Context, c *command) error {
	format, err := c.choice("format")
	if err != nil {
		return err
	}
	loader := a.loader()
	switch {
	case len(c.args) == 0:
		return a.listModels(c, loader, format)
	case c.args[0] != "show":
		d := diag.Usagef("unexpected argument %q", c.args[0])
		if d.Suggest(c.args[0], []string{"show"}) {
			return d
		}
		return d.WithHint("'%s models' lists all models, and '%s models show NAME' prints one", program, program)
	case len(c.args) != 2:
		return diag.Usagef("'show' expects the name of one model or architecture")
	}
	a.noteUnused(c, "show", "format")
	return a.showModel(c, loader, c.args[1])
}

// showModel prints the file of a model, or of an architecture.
func (a *app) showModel(c *command, loader *model.Loader, name string) error {
	entry, err := loader.Find(name, c.dirs())
	if err == nil {
		text, err := loader.Text(entry)
		if err == nil {
			_, err = a.stdout.Write(text)
		}
		return err
	}
	archs, archErr := loader.Architectures(c.dirs())
	if archErr != nil {
		return archErr
	}
	for _, arch := range archs {
		if !strings.EqualFold(arch.Name, strings.ReplaceAll(name, "-", "_")) {
			continue
		}
		text, err := fs.ReadFile(models.Files, path.Base(arch.File))
		if !slices.Contains(a.schema.Architectures, arch) {
			text, err = loader.Text(model.Entry{File: arch.File})
		}
		if err == nil {
			_, err = a.stdout.Write(text)
		}
		return err
	}
	if _, statErr := os.Stat(name); statErr == nil {
		return diag.Errorf(diag.Pos{File: name}, "is a file, but 'show' expects the name of a model or an architecture").
			WithHint("check it with 'kvbench vet', or use --models with its folder")
	}
	return err
}

// listModels lists models and architectures.
func (a *app) listModels(c *command, loader *model.Loader, format string) error {
	expectMuch()
	entries, err := loader.Entries(c.dirs())
	if err != nil {
		return err
	}
	known, err := loader.Known(c.dirs(), nil)
	if err != nil {
		return err
	}
	archs := known.Architectures()
	var errs diag.List
	view := a.schema.View(c.name)
	var rows []map[string]any
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	var heads []string
	for _, r := range view.Rows {
		heads = append(heads, r.Label)
	}
	engines := plan.Engines(a.schema)
	var doubts sharedDoubts
	// If all models are bundled, omit the "from" column, which would only widen the table.
	showFrom := slices.ContainsFunc(entries, func(e model.Entry) bool { return !e.Bundled })
	line := func(cells []string, engines, from string) {
		cells = append(cells, engines)
		if showFrom {
			cells = append(cells, diag.Printable(from))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	line(slices.Clone(heads), "engines", "from")
	planners := plan.NewPlanners(a.schema, a.schema.Nixlbench.Default, "")
	for _, e := range entries {
		m, err := loader.EntryModel(e, known)
		if err != nil {
			errs.Add(err)
			continue
		}
		cells, values, err := a.modelRow(c, loader, m, e, view, planners)
		if err != nil {
			errs.Add(err)
			continue
		}
		own, err := a.inEngines(c, loader, m, planners)
		if err != nil {
			errs.Add(err)
			continue
		}
		doubts.add(m.Name, own, engines)
		values["engines"] = enginesValue(own, engines)
		values["unverified"] = append([]string{}, unverified(m.Arch.Checks.Get())...)
		from := e.File
		if e.Bundled {
			from = "bundled"
		}
		line(cells, enginesCell(own, engines), from)
		values["from"] = from
		rows = append(rows, values)
	}
	w.Flush()
	if i := slices.IndexFunc(rows, func(row map[string]any) bool { return row[countedFor] != nil }); i >= 0 {
		fmt.Fprintf(&out, "\nwhere engines differ, the byte counts are for %s\n", rows[i][countedFor])
	}
	doubts.write(&out)
	fmt.Fprintln(w, "\narchitecture\tmatches\tchecks\tunverified\tfrom")
	var list []map[string]any
	for _, arch := range archs {
		from := diag.Printable(arch.File)
		if slices.Contains(a.schema.Architectures, arch) {
			from = "bundled"
		}
		checks := arch.Arch.Get().Checks.Get()
		doubts := unverified(checks)
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", diag.Printable(arch.Name), diag.Printable(arch.Match), len(checks), orDash(diag.Printable(strings.Join(doubts, ", "))), from)
		list = append(list, map[string]any{"architecture": arch.Name, "match": arch.Match, "checks": len(checks), "unverified": append([]string{}, doubts...), "from": from})
	}
	w.Flush()
	switch format {
	case "json":
		out.Reset()
		errs.Add(report.JSONText(&out, map[string]any{"models": rows, "architectures": list}))
	case "csv":
		out.Reset()
		errs.Add(modelsCSV(&out, heads, engines, rows))
	}
	_, err = a.stdout.Write(out.Bytes())
	errs.Add(err)
	return errs.Err()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// unverified returns the quantities that are marked as unverified in checks, because
// their values come from a single source.
func unverified(checks []schema.Check) []string {
	var list []string
	for _, c := range checks {
		for _, name := range c.UnverifiedNames() {
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

// modelRow returns the table cells for a model, and its values keyed by column label.
func (a *app) modelRow(c *command, loader *model.Loader, model *model.Model, e model.Entry, view schema.View, planners *plan.Planners) ([]string, map[string]any, error) {
	defer a.guard.enter(e.File)()
	p, err := planners.For(model.Arch, plan.Fullest(model.Arch))
	if err != nil {
		return nil, nil, err
	}
	var cells []string
	values := map[string]any{}
	for _, r := range view.Rows {
		var overrides []config.Override
		for i := range a.schema.Fields {
			f := &a.schema.Fields[i]
			if text, ok := r.With[f.Var]; ok {
				overrides = append(overrides, config.Override{Path: f.Path, Text: text, Origin: data.Origin{Kind: data.FromCommand, Name: c.name}})
			}
		}
		cfg, err := loader.Config("", nil, c.name, overrides)
		if err != nil {
			return nil, nil, err
		}
		plans, err := p.Quantities(&plan.Request{Model: model, Config: cfg.With(model.Arch, model.Defaults)})
		if err != nil {
			return nil, nil, err
		}
		pl := plans[0]
		cells = append(cells, report.Cell(r, pl))
		v, ok := pl.Value(r.Value)
		if n, whole := v.Num.Int64(); ok && v.Kind == formula.Num && whole {
			values[r.Label] = n
		} else if ok {
			values[r.Label] = v.Text()
		}
		if pl.Rank() {
			engine, _ := pl.Value("engine")
			release, _ := pl.Value("engine_release")
			values[countedFor] = engine.Text() + " " + release.Text()
		}
	}
	return cells, values, nil
}
