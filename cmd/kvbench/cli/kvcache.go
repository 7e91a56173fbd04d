package cli

import (
	"context"
	"fmt"

	"kvbench/engine/plan"
	"kvbench/engine/report"
)

// kvcacheCmd shows the KV cache of a model.
func (a *app) kvcacheCmd() *command {
	return &command{
		name:  "kvcache",
		short: "Show a model's KV cache: IO size and number of IOs",
		flags: a.commonFlags(),
		exec:  a.showView,
	}
}

// showView writes the command's view of each configuration, a blank line
// between two.
func (a *app) showView(_ context.Context, c *command) error {
	return a.quantities(c, false, func(i int, pl *plan.Plan) error {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		return report.Rows(a.stdout, a.schema.Views[c.name], pl)
	})
}
