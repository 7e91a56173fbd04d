package cli

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	"kvbench/engine/diag"
	"kvbench/engine/report"
	"kvbench/engine/schema"
)

// importCmd writes parameter files.
func (a *app) importCmd() *command {
	return &command{
		name:  "import",
		words: "FILE|DIR|hf:OWNER/NAME",
		short: "Write a Hugging Face config.json as a parameter file",
		flags: []*flagSpec{
			{name: "output", short: "o", arg: "FILE", group: groupOutput, help: "Write to this file instead of stdout"},
			modelsFlag(),
			downloadFlag(),
			configFlag(),
		},
		exec: a.importModel,
	}
}

func (a *app) importModel(_ context.Context, c *command) error {
	if len(c.args) != 1 {
		return diag.Usagef("expected one config.json, its folder, or hf:OWNER/NAME, as in '%s import FILE -o FILE'", program)
	}
	output, _, toFile := c.value("output")
	a.awaits(c.args[0])
	loader := a.loader()
	var err error
	if loader.Download, err = c.boolean("download"); err != nil {
		return err
	}
	model, err := loader.Model(c.args[0], c.dirs())
	if err != nil {
		return err
	}
	a.report(model.Notes.Err())
	for _, name := range schema.Keys(model.Doubts) {
		a.report(model.Doubts[name].Err())
	}
	var out bytes.Buffer
	if err := report.ModelYAML(&out, a.schema, model, "Created by kvbench import from "+filepath.ToSlash(c.args[0])); err != nil {
		return err
	}
	if !toFile {
		_, err = a.stdout.Write(out.Bytes())
		return err
	}
	if err := a.createYAML(output, out.Bytes()); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, diag.Printable(output))
	return err
}
