package config

import (
	"strings"

	"cuelang.org/go/cue"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// launchOf separates the launch section from the rest of a configuration, because launch
// options do not affect the plan. It applies overrides to the launch options and validates
// them.
func (l *Loader) launchOf(doc *data.Document, overrides []Override) (*data.Document, map[string]data.Fact, error) {
	rest := &data.Document{File: doc.File, Sections: doc.Sections}
	own := &data.Document{File: doc.File, Sections: doc.Sections}
	for _, leaf := range doc.Leaves {
		switch {
		case leaf.Path == schema.LaunchSection && leaf.IsNothing(): // an empty section
		case isLaunch(leaf.Path):
			own.Leaves = append(own.Leaves, leaf)
		default:
			rest.Leaves = append(rest.Leaves, leaf)
		}
	}
	over := &data.Document{}
	for _, o := range overrides {
		if isLaunch(o.Path) {
			over.Leaves = append(over.Leaves, data.Leaf{Path: o.Path, Value: l.parse(l.schema.Field(o.Path), o.Text), Origin: o.Origin})
		}
	}
	if len(own.Leaves)+len(over.Leaves) == 0 {
		return rest, nil, nil
	}
	merged := data.Merge(own, over)
	merged.File = doc.File
	err := l.checkLaunch(merged)
	options := map[string]data.Fact{}
	for _, leaf := range merged.Leaves {
		if f := l.schema.Field(leaf.Path); f != nil {
			if v, ok := leaf.Formula(); ok {
				options[f.Var] = data.Fact{Value: v, Origin: leaf.Origin}
			}
		}
	}
	return rest, options, err
}

func isLaunch(path string) bool {
	return path == schema.LaunchSection || strings.HasPrefix(path, schema.LaunchSection+".")
}

// checkLaunch is like checkConfig, but checks the options of the launch section.
func (l *Loader) checkLaunch(doc *data.Document) error {
	if err := l.readTexts(doc); err != nil {
		return err
	}
	paths := make([]string, len(l.schema.LaunchFields.Get()))
	for i := range paths {
		paths[i] = l.schema.LaunchFields.Get()[i].Path
	}
	if err := schema.DropUnknown(doc, paths, nil, "not a launch option"); err != nil {
		return err
	}
	if schema.IsPlain(doc, l.fieldType, nil) {
		return nil
	}
	defs, err := l.defs()
	if err != nil {
		return err
	}
	errs := diag.All(schema.Judge(doc, defs.LookupPath(cue.ParsePath("#Config")), l.allowed))
	for _, d := range errs {
		if f := l.schema.Field(d.Name); f != nil && f.Type.Partial {
			d.WithHint("%s", f.Doc)
		}
	}
	return diag.List(errs).Err()
}
