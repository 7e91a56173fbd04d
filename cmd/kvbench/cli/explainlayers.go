package cli

import (
	"bytes"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/plan"
	"kvbench/engine/report"
)

// layersWord is the argument that makes the explain command show what each layer stores.
const layersWord = "layers"

// explainLayers shows what each layer of the models stores.
func (a *app) explainLayers(c *command, format string, planners *plan.Planners, given map[string][]data.Fact) error {
	jobs, err := a.prepare(c, planners, true, given)
	var errs diag.List
	errs.Add(err)
	view := a.schema.View(layersWord)
	var out bytes.Buffer
	var all [][]*plan.LayerTable
	for _, j := range jobs {
		tables, err := a.layersOf(&j, planners)
		if err != nil {
			errs.Add(about(j.Request, err))
			continue
		}
		var shown []string
		for _, t := range tables {
			for _, s := range t.Sums {
				shown = append(shown, s.Name)
			}
		}
		a.warnMissing(j, shown, plan.Shown{Names: shown})
		a.warn([]*plan.Plan{tables[0].Plan})
		if len(all) > 0 && format != "json" {
			out.WriteString("\n")
		}
		all = append(all, tables)
		switch format {
		case "markdown":
			err = report.LayersMarkdown(&out, view, tables)
		case "text":
			err = report.LayersText(&out, view, tables)
		}
		errs.Add(err)
	}
	if format == "json" && len(all) > 0 {
		errs.Add(report.LayersJSON(&out, view, all))
	}
	_, err = a.stdout.Write(out.Bytes())
	errs.Add(err)
	return errs.Distinct().Err()
}

// layersOf returns what each layer of a model stores. It changes the item to use rank
// accounting.
func (a *app) layersOf(j *plan.Item, planners *plan.Planners) ([]*plan.LayerTable, error) {
	defer a.guard.enter(j.Model.File)()
	ranked, err := planners.OfLayers(*j)
	if err != nil {
		return nil, err
	}
	*j = ranked
	return j.Planner.ExplainLayers(j.Request)
}
