package model

import (
	"os"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/huggingface"
	"kvbench/engine/schema"
)

// checkpointModel reads a Hugging Face configuration as a model.
func (l *Loader) checkpointModel(file string, root *data.Value, known *Known) (*Model, error) {
	common := l.schema.Checkpoints.Get()
	c, err := huggingface.Read(file, root, common)
	if err != nil {
		return nil, err
	}
	var notes diag.List
	beside := c.Beside()
	for _, prefix := range schema.Keys(beside) {
		notes.Add(l.readBeside(c, prefix, beside[prefix]))
	}
	fam, err := known.familyOf(c, common.Unknown.Family)
	if err != nil {
		return nil, err
	}
	t, err := huggingface.Translate(c, fam)
	if err != nil {
		return nil, err
	}
	m, err := l.model(file, t.Document, nil, known)
	if m != nil {
		m.Notes, m.Doubts = append(notes, t.Notes...), map[string]diag.List{}
		for path, doubts := range t.Doubts {
			if f := l.schema.Field(path); f != nil {
				m.Doubts[f.Var] = doubts
			}
		}
		// The kvbench accounting is meant only for the parameter files in the documented examples.
		if m.Arch.Layers != nil && m.Arch.Accounting() != schema.AccountingRank {
			m.Defaults[schema.AccountingVar] = data.Fact{Value: formula.Text(schema.AccountingRank), Origin: data.Origin{Kind: data.FromModel, Pos: diag.Pos{File: file}}}
		}
	}
	return m, t.Explain(err)
}

// readBeside adds the fields in file, which is next to the configuration, if the file
// exists. It reports errors in the file as warnings.
func (l *Loader) readBeside(c *huggingface.Config, prefix, file string) error {
	if _, err := os.Lstat(file); err != nil {
		return nil
	}
	var text []byte
	err := l.MayRead(file)
	if err == nil {
		text, err = data.Read(file, l.Watch)
	}
	var root *data.Value
	if err == nil {
		root, err = data.Parse(file, text, huggingface.Is)
	}
	if err != nil {
		for _, d := range diag.All(err) {
			d.Severity = diag.Warning
		}
		return err
	}
	c.Add(prefix, root)
	return nil
}

// familyOf returns the family for the model type of a configuration, or of its language
// model. If there is no such family, familyOf returns the family named by unknown.
func (k *Known) familyOf(c *huggingface.Config, unknown string) (fam huggingface.Family, err error) {
	types, err := c.Types()
	var list []*schema.ListedFamily
	for _, t := range types {
		if len(list) == 0 {
			list = k.withType(t)
		}
	}
	if len(list) == 0 {
		if err != nil {
			return fam, err
		}
		fam.Unknown, fam.Near = true, k.nearType(types[0])
		list = []*schema.ListedFamily{k.familyNamed(unknown)}
	}
	found, err := reader(c, list)
	if err != nil {
		return fam, err
	}
	fam.Family = found.Family.Get()
	if err := checkFamily(fam.Family, k); err != nil {
		return fam, err
	}
	fam.Arch = k.arch(fam.Architecture)
	return fam, nil
}

// nearType returns a hint that suggests a known model type similar to modelType, or "".
func (k *Known) nearType(modelType string) string {
	var types []string
	for _, fam := range k.allFamilies() {
		types = append(types, fam.ModelTypes...)
	}
	return diag.DidYouMean(modelType, types)
}
