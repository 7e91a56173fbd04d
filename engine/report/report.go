// Package report writes plans and results, for people and for programs.
package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/runner"
	"kvbench/engine/schema"
)

// The keys of a plan's values, except nixlbench's own flags.
const (
	keyFile  = runner.NameFile
	keyModel = "model"
	keyOwn   = "kvbench"
	keyStage = runner.NameStage
	keyGroup = runner.NameGroup
)

var rule = strings.Repeat("=", 80)

// Rows writes a plan's values as the lines of a view.
func Rows(w io.Writer, view schema.View, pl *plan.Plan) error {
	for _, r := range rowsOf(view, pl) {
		if _, ok := pl.Value(r.Value); !ok && r.Optional {
			continue
		}
		text, err := rowText(r, pl)
		if err != nil {
			return err
		}
		if text == "" && r.Unless != nil {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-*s: %s%s\n", view.Width, r.Label, text, r.Suffix); err != nil {
			return err
		}
	}
	return nil
}

// rowsOf returns the rows of a view that apply to a plan.
func rowsOf(view schema.View, pl *plan.Plan) []schema.Row {
	if pl.Rank() {
		return slices.Concat(view.Rows, view.Rank)
	}
	return view.Rows
}

// rowText returns the value shown in a row.
func rowText(r schema.Row, pl *plan.Plan) (string, error) {
	if r.Value == keyFile {
		return fileText(pl), nil
	}
	name := r.Value
	if r.Shown != "" {
		name = r.Shown
	}
	v, ok := pl.Value(name)
	if !ok {
		return "", fmt.Errorf("the view shows %s, which the plan does not have", r.Value)
	}
	return valueText(r, v, pl), nil
}

// valueText formats the value of a row, or returns "" if the row is to be omitted.
func valueText(r schema.Row, v formula.Value, pl *plan.Plan) string {
	if isOmitted(r, v) {
		return ""
	}
	n, _ := v.Num.Int64()
	switch r.As {
	case "bytes":
		return diag.Bytes(n)
	case "documented_bytes":
		return strings.Replace(diag.Bytes(n), "iB", "B", 1)
	case "time":
		return v.Text() + " us" + inBrackets(diag.Duration(n))
	case "count":
		return Count(n)
	}
	text := v.Text()
	if more, ok := pl.Value(r.And); ok {
		text += " " + more.Text()
	}
	if from := pl.Request.Config.Values[r.Value].Origin; from.Kind == data.FromEngine {
		text += inBrackets(from.String())
	}
	return diag.Printable(text)
}

// isOmitted reports whether a row is omitted because of its value.
func isOmitted(r schema.Row, v formula.Value) bool {
	return r.Unless != nil && v.Text() == *r.Unless
}

// inBrackets returns the text in parentheses, preceded by a space, or "" if the text is empty.
func inBrackets(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

func fileText(pl *plan.Plan) string {
	if pl.Request.Config.File == "" {
		return "none"
	}
	return diag.Printable(pl.Request.Config.File)
}

// Header writes the lines of a view between two horizontal rules.
func Header(w io.Writer, view schema.View, pl *plan.Plan) error {
	fmt.Fprintln(w, rule)
	if err := Rows(w, view, pl); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, rule)
	return err
}

// Text writes plans as headers and shell commands, separated by blank lines.
func Text(w io.Writer, view schema.View, plans []*plan.Plan) error {
	for i, pl := range plans {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := Header(w, view, pl); err != nil {
			return err
		}
		if _, err := io.WriteString(w, nixlbench.Shell(pl.Flags)); err != nil {
			return err
		}
	}
	return nil
}

// JSON writes plans as an array of objects: every flag of the release with its
// value, the configuration file, the model, and kvbench's own numbers. For a plan
// for one rank, it adds the view's values that identify the rank.
func JSON(w io.Writer, view schema.View, plans []*plan.Plan) error {
	list := make([]map[string]any, len(plans))
	for i, pl := range plans {
		obj := map[string]any{keyFile: nil, keyModel: modelName(pl)}
		if file := pl.Request.Config.File; file != "" {
			obj[keyFile] = file
		}
		for _, f := range pl.Flags {
			obj[f.JSONKey()] = f.Value
		}
		own := map[string]any{"release": pl.Release}
		if pl.Rank() {
			for _, r := range view.Rank {
				addRow(own, r, pl)
			}
			own[keyStage], own[keyGroup] = pl.Stage(), pl.Group()
		}
		for _, q := range pl.Quantities {
			own[q.Name] = q.Value
		}
		obj[keyOwn] = own
		list[i] = obj
	}
	return JSONText(w, list)
}

// addRow adds the values of a row to an object.
func addRow(obj map[string]any, r schema.Row, pl *plan.Plan) {
	for _, name := range []string{r.Value, r.And, r.Shown} {
		if v, ok := pl.Value(name); ok && !(name == r.Shown && isOmitted(r, v)) {
			obj[name] = v
		}
	}
}

// CSV writes a header and a row for each plan. The columns are the configuration file, the
// model, the configuration's fields in the schema's order, and the release's flags by name.
// Columns added in later versions follow: more fields, the stage and group of a plan for one
// rank, and then the model, the fields and the quantities again under the names they have in
// sweeps and results. All plans must be for the same release.
func CSV(w io.Writer, fields []schema.Field, sweep schema.View, plans []*plan.Plan) error {
	var names []string // the names used in sweeps
	for _, r := range sweep.Rows {
		names = append(names, r.Value)
	}
	transfers := slices.ContainsFunc(plans, (*plan.Plan).Transfers)
	var last []string
	for _, f := range fields {
		switch {
		case f.Transfer && !transfers:
		case f.Last:
			last = append(last, f.Var)
		default:
			names = append(names, f.Var)
		}
	}
	names = append(names, last...)
	out := csv.NewWriter(w)
	for i, pl := range plans {
		head := []string{keyFile, keyModel}
		row := []string{pl.Request.Config.File, modelName(pl)}
		field := func(late bool) {
			for _, f := range fields {
				if f.Late == late && !f.Last {
					head = append(head, documentedName(f))
					row = append(row, pl.Request.Config.Values[f.Var].Text())
				}
			}
		}
		field(false)
		for _, f := range pl.Flags {
			head = append(head, f.JSONKey())
			row = append(row, f.Value.Text())
		}
		field(true)
		head = append(head, keyStage, keyGroup)
		if pl.Rank() {
			row = append(row, strconv.Itoa(pl.Stage()), pl.Group())
		} else {
			row = append(row, "", "")
		}
		for _, name := range names {
			if v, _ := pl.Value(name); !slices.Contains(head, name) {
				head, row = append(head, name), append(row, v.Text())
			}
		}
		if i == 0 {
			out.Write(head)
		}
		out.Write(row)
	}
	out.Flush()
	return out.Error()
}

// documentedName returns the name of a field in the documented formats.
func documentedName(f schema.Field) string {
	return keyModel + "_" + strings.ReplaceAll(f.Path, ".", "_")
}

// SweepName returns the name that a column has in sweeps, given either that name or
// its name in [CSV].
func SweepName(fields []schema.Field, name string) string {
	if name == keyModel {
		return schema.NameParam
	}
	for _, f := range fields {
		if documentedName(f) == name {
			return f.Var
		}
	}
	return name
}

func modelName(pl *plan.Plan) string { return pl.Request.Model.Name }

// Cell returns the value that a row shows for a plan, or "-" if there is none.
func Cell(r schema.Row, pl *plan.Plan) string {
	text, err := rowText(r, pl)
	if err != nil {
		return "-"
	}
	return text
}

// Count formats a large number with a unit that is a power of 1000 and at most one
// decimal place, truncated: 8.2B for 8200000000, 671B for 671000000000.
func Count(n int64) string {
	units := []string{"", "K", "M", "B", "T", "Q"}
	power, scale := 0, int64(1)
	for n/scale >= 1000 && power+1 < len(units) {
		power, scale = power+1, scale*1000
	}
	text := strconv.FormatInt(n/scale, 10)
	if tenth := n % scale / max(1, scale/10); tenth > 0 {
		text += "." + strconv.FormatInt(tenth, 10)
	}
	return text + units[power]
}
