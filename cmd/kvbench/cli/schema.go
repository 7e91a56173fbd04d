package cli

import (
	"context"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/schemagen"
)

// schemaCmd prints schemas.
func (a *app) schemaCmd() *command {
	return &command{
		name:  "schema",
		words: strings.Join(schemagen.Kinds, "|"),
		short: "Print the schema of configurations, models or results",
		flags: []*flagSpec{
			modelsFlag(),
			{name: "format", arg: "FORMAT", group: groupOutput, def: "json-schema", values: []string{"json-schema", "cue"}, help: "Output format"},
			configFlag(),
		},
		exec:     a.printSchema,
		complete: func([]string) []string { return schemagen.Kinds },
	}
}

func (a *app) printSchema(_ context.Context, c *command) error {
	format, err := c.choice("format")
	if err != nil {
		return err
	}
	if len(c.args) != 1 || !slices.Contains(schemagen.Kinds, c.args[0]) {
		d := diag.Usagef("expected one of %s", strings.Join(schemagen.Kinds, ", "))
		if len(c.args) == 1 {
			d = diag.Usagef("unknown schema %q: expected one of %s", c.args[0], strings.Join(schemagen.Kinds, ", "))
			d.Suggest(c.args[0], schemagen.Kinds)
		}
		return d
	}
	if c.args[0] != "model" {
		a.noteUnused(c, c.args[0], modelsFlag().name)
	}
	text, err := schemagen.JSON(a.loader(), a.schema, c.args[0], c.dirs())
	if format == "cue" {
		text, err = schemagen.CUE(a.loader(), c.args[0], c.dirs())
	}
	if err == nil {
		_, err = a.stdout.Write(text)
	}
	return err
}
