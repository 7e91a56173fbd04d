package cli

import (
	"context"

	cueschema "kvbench/cue"
	"kvbench/engine/config"
	"kvbench/engine/diag"
	"kvbench/models"
)

// vetCmd checks files.
func (a *app) vetCmd() *command {
	return &command{
		name:  "vet",
		words: "FILE...",
		short: "Check files of results",
		long:  "Checks that every line of the files is a result as kvbench profile --output writes it.",
		exec:  a.vet,
	}
}

func (a *app) vet(_ context.Context, c *command) error {
	if len(c.args) == 0 {
		return diag.Usagef("nothing to check: name a file")
	}
	loader := config.NewLoader(a.schema, cueschema.Files, models.Files)
	var errs diag.List
	for _, file := range c.args {
		errs.Add(loader.Results(file))
	}
	return errs.Err()
}
