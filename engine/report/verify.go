package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"strings"
	"text/tabwriter"

	"kvbench/engine/config"
	"kvbench/engine/diag"
	"kvbench/engine/enginelog"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// VerifyText writes the values of the view, followed by the result of comparing a log with a plan.
// flags are the explain command's flags for the same plan.
func VerifyText(w io.Writer, view schema.View, r *enginelog.Result, flags string) error {
	if err := Rows(w, view, r.Plan); err != nil {
		return err
	}
	for _, n := range r.Results {
		fmt.Fprintf(w, "%-*s: %s\n", view.Width, n.Label, amount(n.Value, n.Unit))
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tLINE\tLOGGED\tCOMPUTED\tRESULT")
	for i := range r.Findings {
		f := &r.Findings[i]
		logged, computed := amounts(f)
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", f.What, f.At.Line, logged, computed, verdict(f.Equal))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; !f.Equal {
			difference(w, f, flags)
		}
	}
	return nil
}

// difference writes an explanation of how a number was computed, and the likely
// cause of the difference.
func difference(w io.Writer, f *enginelog.Finding, flags string) {
	logged, computed := amounts(f)
	fmt.Fprintf(w, "\n%s: %s logged, %s computed\n", f.What, logged, computed)
	fmt.Fprintf(w, "    logged in %s\n", diag.Printable(f.At.String()))
	var given []string
	for i, s := range f.Steps {
		name := s.Name
		if i == 0 {
			name = f.What
		}
		switch {
		case s.Formula != "":
			fmt.Fprintf(w, "    %s = %s\n        = %s\n", name, diag.Printable(s.Formula), diag.Printable(s.Values))
		case s.Line > 0:
			fmt.Fprintf(w, "    %s = %s: line %d\n", name, s.Value.Text(), s.Line)
		default:
			given = append(given, name+" = "+s.Value.Text())
		}
	}
	if len(given) > 0 {
		fmt.Fprintf(w, "    %s: run 'kvbench explain NAME' with your flags and %s\n", strings.Join(given, ", "), diag.Printable(flags))
	}
	why := f.Why
	if why == "" {
		why = "unknown"
	}
	fmt.Fprintf(w, "    likely cause: %s\n", diag.Printable(why))
}

func verdict(equal bool) string {
	if equal {
		return "equal"
	}
	return "differs"
}

// amounts formats the numbers of a finding. If they differ but look the same in a larger unit, both
// are in bytes.
func amounts(f *enginelog.Finding) (logged, computed string) {
	logged, computed = amount(f.Logged, f.Unit), amount(f.Computed, f.Unit)
	if logged == computed && !f.Equal {
		return decimal(f.Logged, 1) + " " + f.Unit, decimal(f.Computed, 1) + " " + f.Unit
	}
	return logged, computed
}

// amount formats a number with its unit: bytes in a larger unit, other numbers with up
// to four decimal places.
func amount(n formula.Rat, unit string) string {
	if unit != "B" {
		return decimal(n, 1)
	}
	size, name := int64(1), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n.Cmp(formula.Int(size<<10)) < 0 {
			break
		}
		size, name = size<<10, next
	}
	return decimal(n, size) + " " + name
}

// decimal formats n / size with up to four decimal places.
func decimal(n formula.Rat, size int64) string {
	q := new(big.Rat).SetFrac(big.NewInt(n.Num()), new(big.Int).Mul(big.NewInt(n.Den()), big.NewInt(size)))
	text := q.FloatString(4)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// VerifyJSON writes the result of comparing a log with a plan as a JSON object. Numbers are in
// bytes or tokens, or have no unit. logged contains the settings from the log.
func VerifyJSON(w io.Writer, r *enginelog.Result, logged []config.Override) error {
	type finding struct {
		What     string      `json:"what"`
		File     string      `json:"file"`
		Line     int         `json:"line"`
		Logged   json.Number `json:"logged"`
		Computed json.Number `json:"computed"`
		Equal    bool        `json:"equal"`
		Formula  string      `json:"formula"`
		Values   string      `json:"values"`
		Why      string      `json:"why"`
	}
	list := make([]finding, len(r.Findings))
	for i, f := range r.Findings {
		list[i] = finding{f.What, f.At.File, f.At.Line, jsonNumber(f.Logged), jsonNumber(f.Computed), f.Equal, f.Steps[0].Formula, f.Steps[0].Values, f.Why}
	}
	settings := map[string]string{}
	for _, o := range logged {
		settings[o.Path] = o.Text
	}
	out := map[string]any{"settings": settings, "equal": r.Equal, "findings": list, "model": modelName(r.Plan)}
	for _, name := range []string{schema.EngineVar, schema.EngineReleaseVar, "kvcache_quant_mode", "page_size"} {
		if v, ok := r.Plan.Value(name); ok {
			out[name] = v
		}
	}
	for _, n := range r.Results {
		out[n.Name] = jsonNumber(n.Value)
	}
	return JSONText(w, out)
}

// jsonNumber returns a number as JSON, with up to four decimal places.
func jsonNumber(n formula.Rat) json.Number { return json.Number(decimal(n, 1)) }
