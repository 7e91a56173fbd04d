// Package schemagen generates files from the schema's CUE files: the snapshot that kvbench
// reads when it starts, and JSON Schemas. 'go generate' and 'kvbench schema' use it.
package schemagen

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/model"
	"kvbench/engine/schema"
)

// Snapshot evaluates the schema's CUE files and returns the result as canonical JSON, which
// [schema.Decode] reads when kvbench starts. files contains the files in cue/, and models
// contains the files in models/.
func Snapshot(files, models fs.FS) ([]byte, error) {
	s, err := Evaluate(files, models)
	if err != nil {
		return nil, err
	}
	addFacts(s)
	text, err := schema.Marshal(s)
	if err != nil {
		return nil, err
	}
	return append(schema.Lines(text), '\n'), nil
}

// Evaluate reads the schema from its CUE files.
func Evaluate(files, models fs.FS) (*schema.Schema, error) {
	s := new(schema.Schema)
	l := model.NewLoader(s, files, models)
	l.Reader().Mode = parser.ParseComments
	defs, err := l.Definitions()
	if err != nil {
		return nil, err
	}
	packages := map[string]cue.Value{"": defs}
	for _, name := range []string{"plan", "cache", "logs", "nixlbench", "launch"} {
		if packages[name], err = l.Reader().Package(name); err != nil {
			return nil, err
		}
	}
	for _, d := range []struct {
		pkg string
		dst any
	}{{"", s}, {"plan", s}, {"cache", &s.Cache}, {"logs", &s.Logs}, {"nixlbench", &s.Nixlbench}, {"nixlbench", &s.Nixlbench.Runs}, {"launch", &s.Launch}} {
		if err := decode(packages[d.pkg], d.dst); err != nil {
			return nil, err
		}
	}
	if s.Fields, err = fields(defs, packages["cache"]); err != nil {
		return nil, err
	}
	isLaunch := func(f schema.Field) bool { return strings.HasPrefix(f.Path, schema.LaunchSection+".") }
	s.LaunchFields.Set(slices.DeleteFunc(slices.Clone(s.Fields), func(f schema.Field) bool { return !isLaunch(f) }))
	s.Fields = slices.DeleteFunc(s.Fields, isLaunch)
	s.Cache.Get().KindFields = map[string]schema.Kinds{}
	for name := range s.Cache.Get().Kinds {
		for field, f := range s.Cache.Get().Kind(name).Fields {
			s.Cache.Get().KindFields[field] = f.Type
		}
	}
	s.LaunchFormats = schema.Keys(s.Launch.Get().Formats)
	s.Normalize()
	s.EachFormula(func(pkg string, p []string, f *schema.Formula) {
		if v := packages[pkg].LookupPath(data.PathOf(p)); v.Exists() {
			*f = schema.FormulaOf(v)
		}
	})

	parts, all, err := l.Reader().BundledPackage(models, "models")
	if err != nil {
		return nil, err
	}
	for _, f := range parts {
		archs, families, err := l.Brought(f, all)
		if err != nil {
			return nil, err
		}
		s.Architectures = append(s.Architectures, archs...)
		for _, f := range families {
			s.Families.Set(append(s.Families.Get(), schema.ListFamily(f)))
		}
	}
	return s, nil
}

// decode stores the regular fields of a package in dst. It converts the fields via JSON.
func decode(v cue.Value, dst any) error {
	if err := v.Validate(cue.Concrete(true)); err != nil {
		return data.FromCUE(err, diag.Pos{})
	}
	text, err := v.MarshalJSON()
	if err != nil {
		return data.FromCUE(err, diag.Pos{})
	}
	return json.Unmarshal(text, dst)
}

// fields returns descriptions of the fields in #Config. cache is the CUE package with the
// tables that @words attributes refer to.
func fields(defs, cache cue.Value) ([]schema.Field, error) {
	sections, err := defs.LookupPath(cue.ParsePath("#Config")).Fields(cue.Optional(true))
	if err != nil {
		return nil, data.FromCUE(err, diag.Pos{})
	}
	var all []schema.Field
	for sections.Next() {
		section := sections.Selector().Unquoted()
		iter, err := sections.Value().Fields(cue.Optional(true))
		if err != nil {
			return nil, data.FromCUE(err, diag.Pos{})
		}
		plain := schema.Plain(sections.Value())
		for iter.Next() {
			name, v := iter.Selector().Unquoted(), iter.Value()
			f := schema.Field{
				Path: section + "." + name,
				Var:  name,
				Doc:  data.Doc(v),
				Type: schema.TypeOf(v),
			}
			f.Type.Partial = f.Type.Partial || !plain || f.Type.Matches()
			for _, a := range v.Attributes(cue.FieldAttr) {
				switch a.Name() {
				case "flag":
					f.Flag = strings.TrimSpace(a.Contents())
				case "var":
					f.Var = a.Contents()
				case "keys":
					f.Table = a.Contents()
					if f.Keys, err = tableKeys(defs, f.Table); err != nil {
						return nil, err
					}
				case "words":
					if f.Words, err = keysAt(cache, a.Contents()); err != nil {
						return nil, err
					}
				case "aka":
					for i := range a.NumArgs() {
						name, _ := a.Arg(i)
						f.Aka = append(f.Aka, name)
					}
				case "expected":
					f.Expected = true
				case "announced":
					f.Announced = a.Contents()
				case "default":
					f.DefaultBy = strings.TrimSpace(a.Contents())
				case "such":
					if f.Such, err = a.String(0); err != nil {
						return nil, data.FromCUE(err, diag.Pos{})
					}
				case "late":
					f.Late = true
				case "last":
					f.Last = true
				case "comma":
					f.Comma = true
				case "more":
					f.More = true
				case "note":
					f.Note = a.Contents()
				case "transfer":
					f.Transfer, f.Needs = true, schema.AccountingRank
				case "needs":
					f.Needs = a.Contents()
				case "unit":
					f.Unit = a.Contents()
				case "least":
					var least schema.Least
					if least.Below, err = a.Int(0); err != nil {
						return nil, data.FromCUE(err, diag.Pos{})
					}
					for i := 1; i < a.NumArgs(); i++ {
						suffix, _ := a.Arg(i)
						least.Suffixes = append(least.Suffixes, suffix)
					}
					f.Least = append(f.Least, least)
				default:
					return nil, diag.Errorf(data.PosOf(v.Pos()), "unknown attribute @%s", a.Name())
				}
			}
			if d := defs.LookupPath(cue.MakePath(cue.Str("defaults"), cue.Str(section), cue.Str(name))); d.Exists() {
				if err := d.Decode(&f.Default); err != nil {
					return nil, data.FromCUE(err, diag.Pos{})
				}
				f.Pos = data.PosOf(d.Pos())
				if lit, ok := d.Source().(*ast.BasicLit); ok {
					f.Pos = data.PosOf(lit.Pos())
				}
			}
			all = append(all, f)
		}
	}
	return all, nil
}

// keysAt returns the names of the fields at a path.
func keysAt(v cue.Value, path string) ([]string, error) {
	return keysOf(v.LookupPath(cue.ParsePath(path)))
}

// tableKeys returns the keys that a table has in every architecture.
func tableKeys(defs cue.Value, table string) ([]string, error) {
	arch := defs.LookupPath(cue.ParsePath("#Architecture"))
	return keysOf(arch.LookupPath(cue.MakePath(cue.Str(table).Optional())), cue.Optional(true))
}

func keysOf(v cue.Value, options ...cue.Option) ([]string, error) {
	iter, err := v.Fields(options...)
	if err != nil {
		return nil, data.FromCUE(err, diag.Pos{})
	}
	var keys []string
	for iter.Next() {
		keys = append(keys, iter.Selector().Unquoted())
	}
	return keys, nil
}
