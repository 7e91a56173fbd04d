package cli

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/model"
	"kvbench/engine/plan"
)

// These words describe how certain kvbench is about a model's cache in an engine.
const (
	cacheKnown   = "known"
	cacheDoubted = "not certain"
	cacheRefused = "refused"
)

// inEngines returns the doubts about a model's cache, keyed by engine. If an engine has
// no entry, kvbench is certain about the cache in that engine. The map is nil if the
// architecture does not describe its layers.
func (a *app) inEngines(c *command, loader *model.Loader, m *model.Model, planners *plan.Planners) (map[string]plan.Doubt, error) {
	cfg, err := loader.Config("", nil, c.name, nil)
	if err != nil {
		return nil, err
	}
	return planners.Doubts(m, cfg.With(m.Arch, m.Defaults))
}

// certainty returns a word that says how certain kvbench is about a model's cache in an
// engine, and the reason for any doubt.
func certainty(doubts map[string]plan.Doubt, engine string) (word, why string) {
	switch d, ok := doubts[engine]; {
	case doubts == nil:
		return "", ""
	case !ok:
		return cacheKnown, ""
	case d.Refused:
		return cacheRefused, d.Why
	default:
		return cacheDoubted, d.Why
	}
}

// enginesCell returns a table cell with the number of engines for which kvbench is certain
// about a model's cache.
func enginesCell(doubts map[string]plan.Doubt, engines []string) string {
	known := len(engines) - len(doubts)
	switch {
	case doubts == nil:
		return "-"
	case known == len(engines):
		return "all"
	case known == 0:
		return "none"
	default:
		return fmt.Sprintf("%d of %d", known, len(engines))
	}
}

// enginesValue returns a value for JSON that describes how certain kvbench is about a model's
// cache in each engine, with the reasons for any doubts.
func enginesValue(doubts map[string]plan.Doubt, engines []string) map[string]any {
	all := map[string]any{}
	for _, engine := range engines {
		word, why := certainty(doubts, engine)
		if word == "" {
			continue
		}
		one := map[string]string{"cache": word}
		if why != "" {
			one["why"] = why
		}
		all[engine] = one
	}
	return all
}

// modelsCSV writes a row for each model. It omits the reasons for doubts, which are in
// the JSON and text formats, because cells should be short.
func modelsCSV(w io.Writer, labels, engines []string, rows []map[string]any) error {
	out := csv.NewWriter(w)
	out.Write(slices.Concat(labels, []string{"from"}, engines, []string{"unverified", countedFor}))
	for _, values := range rows {
		var cells []string
		for _, label := range slices.Concat(labels, []string{"from"}) {
			text := ""
			if v, ok := values[label]; ok {
				text = fmt.Sprint(v)
			}
			cells = append(cells, text)
		}
		for _, engine := range engines {
			one, _ := values["engines"].(map[string]any)[engine].(map[string]string)
			cells = append(cells, one["cache"])
		}
		list, _ := values["unverified"].([]string)
		engine, _ := values[countedFor].(string)
		out.Write(append(cells, strings.Join(list, ", "), engine))
	}
	out.Flush()
	return out.Error()
}

// sharedDoubt is a doubt that several models share.
type sharedDoubt struct {
	engine, word, why string
	models            []string
}

// sharedDoubts collects the doubts about a list of models.
type sharedDoubts []sharedDoubt

func (l *sharedDoubts) add(model string, doubts map[string]plan.Doubt, engines []string) {
	for _, engine := range engines {
		word, why := certainty(doubts, engine)
		if why == "" {
			continue
		}
		same := func(d sharedDoubt) bool { return d.engine == engine && d.word == word && d.why == why }
		i := slices.IndexFunc(*l, same)
		if i < 0 {
			i = len(*l)
			*l = append(*l, sharedDoubt{engine, word, why, nil})
		}
		(*l)[i].models = append((*l)[i].models, model)
	}
}

// write prints the doubts, sorted by engine, each with the models that it applies to.
func (l sharedDoubts) write(w io.Writer) {
	slices.SortStableFunc(l, func(a, b sharedDoubt) int { return strings.Compare(a.engine+a.word, b.engine+b.word) })
	for i, d := range l {
		if i == 0 {
			fmt.Fprintln(w, "\nuncertain models, by engine")
		}
		fmt.Fprint(w, wrap(diag.Printable(fmt.Sprintf("%s, %s: %s", d.engine, d.word, d.why)), ""))
		fmt.Fprint(w, wrap(diag.Printable(strings.Join(d.models, ", ")), "    "))
	}
}
