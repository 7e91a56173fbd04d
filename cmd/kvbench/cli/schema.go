package cli

import (
	"context"
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/diag"
)

// schemaCmd prints schemas.
func (a *app) schemaCmd() *command {
	return &command{
		name:  "schema",
		words: strings.Join(config.Schemas, "|"),
		short: "Print the schema of configurations, models or results",
		flags: []*flagSpec{
			modelsFlag(),
			{name: "format", arg: "FORMAT", group: groupOutput, def: "json-schema", values: []string{"json-schema", "cue"}, help: "Output format"},
			configFlag(),
		},
		exec:     a.printSchema,
		complete: func([]string) []string { return config.Schemas },
	}
}

func (a *app) printSchema(_ context.Context, c *command) error {
	format, err := c.choice("format")
	if err != nil {
		return err
	}
	if len(c.args) != 1 || !slices.Contains(config.Schemas, c.args[0]) {
		d := diag.Usagef("expected one of %s", strings.Join(config.Schemas, ", "))
		if len(c.args) == 1 {
			d = diag.Usagef("unknown schema %q: expected one of %s", c.args[0], strings.Join(config.Schemas, ", "))
		}
		return d
	}
	text, err := a.loader().SchemaJSON(c.args[0], c.dirs())
	if format == "cue" {
		text, err = a.loader().SchemaCUE(c.args[0], c.dirs())
	}
	if err == nil {
		_, err = a.stdout.Write(text)
	}
	return err
}
