package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"kvbench/engine/diag"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// QuantitiesTable writes the quantities of each plan, with their units and
// descriptions, below the view's values.
func QuantitiesTable(w io.Writer, view schema.View, plans []*plan.Plan) error {
	for i, pl := range plans {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "Model: %s\n", diag.Printable(modelName(pl)))
		if err := Rows(w, view, pl); err != nil {
			return err
		}
		fmt.Fprintln(w)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, q := range pl.Quantities {
			size := ""
			switch {
			case strings.HasPrefix(q.Unit, "B"):
				size = diag.Bytes(q.Value)
			case q.Unit == "us":
				size = diag.Duration(q.Value)
			}
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", q.Name, q.Value, q.Unit, size, diag.Printable(q.Doc))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// QuantitiesJSON writes the quantities of plans as an array of objects, each with
// the model and the configuration of its plan.
func QuantitiesJSON(w io.Writer, plans []*plan.Plan) error {
	type quantity struct {
		Value int64  `json:"value"`
		Unit  string `json:"unit"`
		Doc   string `json:"doc"`
	}
	list := make([]map[string]any, len(plans))
	for i, pl := range plans {
		all := map[string]quantity{}
		for _, q := range pl.Quantities {
			all[q.Name] = quantity{q.Value, q.Unit, q.Doc}
		}
		config := map[string]any{}
		for name, v := range pl.Request.Config.Values {
			config[name] = v.Shown()
		}
		obj := map[string]any{keyFile: nil, keyModel: modelName(pl), "config": config, "quantities": all}
		if file := pl.Request.Config.File; file != "" {
			obj[keyFile] = file
		}
		if pl.Rank() {
			obj[keyStage], obj[keyGroup] = pl.Stage(), pl.Group()
		}
		list[i] = obj
	}
	return JSONText(w, list)
}

// QuantitiesCSV writes the quantities of plans, one per row.
func QuantitiesCSV(w io.Writer, plans []*plan.Plan) error {
	out := csv.NewWriter(w)
	out.Write([]string{keyFile, keyModel, keyStage, keyGroup, "quantity", "value", "unit", schema.AccountingVar})
	for _, pl := range plans {
		row := []string{pl.Request.Config.File, modelName(pl), "", ""}
		if pl.Rank() {
			row[2], row[3] = strconv.Itoa(pl.Stage()), pl.Group()
		}
		for _, q := range pl.Quantities {
			out.Write(append(row[:4:4], q.Name, strconv.FormatInt(q.Value, 10), q.Unit, plan.Accounting(pl.Request.Config)))
		}
	}
	out.Flush()
	return out.Error()
}
