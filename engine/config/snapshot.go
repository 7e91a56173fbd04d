package config

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// Snapshot evaluates the schema's CUE files (files holds the contents of cue/,
// models those of models/) and gives all that they say as JSON, in one
// canonical form: what [schema.Decode] reads at every start.
func Snapshot(files, models fs.FS) ([]byte, error) {
	s, err := Evaluate(files, models)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(s)
	return append(data, '\n'), err
}

// Evaluate reads the schema from its CUE files.
func Evaluate(files, models fs.FS) (*schema.Schema, error) {
	s := new(schema.Schema)
	l := NewLoader(s, files, models)
	l.builder.mode = parser.ParseComments
	defs, err := l.defs()
	if err != nil {
		return nil, err
	}
	packages := map[string]cue.Value{"": defs}
	for _, name := range []string{"plan", "cache", "nixlbench"} {
		if packages[name], err = l.builder.value(name); err != nil {
			return nil, err
		}
	}
	for _, d := range []struct {
		pkg string
		dst any
	}{{"", s}, {"plan", s}, {"cache", &s.Cache}, {"nixlbench", &s.Nixlbench}, {"nixlbench", &s.Nixlbench.Runs}} {
		if err := decode(packages[d.pkg], d.dst); err != nil {
			return nil, err
		}
	}
	if s.Fields, err = fields(defs, packages["cache"]); err != nil {
		return nil, err
	}
	s.Normalize()
	s.EachFormula(func(pkg string, p []string, f *schema.Formula) {
		if v := packages[pkg].LookupPath(selectors(p)); v.Exists() {
			*f = formulaOf(v)
		}
	})

	names, err := glob(models, "*.cue")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file := path.Join("models", name)
		f, err := parseFS(models, name, file, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		v, err := l.builder.files(file, f)
		if err != nil {
			return nil, err
		}
		p := &cueFile{Value: v, file: file}
		found, err := l.architecturesIn(p)
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			def, err := c.params()
			if err != nil {
				return nil, err
			}
			for i := range c.Arch.Get().Params {
				if p := &c.Arch.Get().Params[i]; isPlain(def) {
					p.Plain = plainOf(def.LookupPath(optionalPath([]string{p.Name})))
				}
			}
			s.Architectures = append(s.Architectures, c.Listed)
		}
		families, err := l.familiesIn(p)
		if err != nil {
			return nil, err
		}
		s.Families.Set(append(s.Families.Get(), families...))
	}
	return s, nil
}

// decode fills dst from the JSON of a package's regular fields.
func decode(v cue.Value, dst any) error {
	if err := v.Validate(cue.Concrete(true)); err != nil {
		return fromCUE(err, diag.Pos{})
	}
	data, err := v.MarshalJSON()
	if err != nil {
		return fromCUE(err, diag.Pos{})
	}
	return json.Unmarshal(data, dst)
}

func selectors(p []string) cue.Path {
	var sels []cue.Selector
	for _, s := range p {
		var i int
		if n, _ := fmt.Sscanf(s, "%d", &i); n == 1 {
			sels = append(sels, cue.Index(i))
		} else {
			sels = append(sels, cue.Str(s))
		}
	}
	return cue.MakePath(sels...)
}

// fields describes the fields of #Config. cache is the package that has tables of
// what engines do.
func fields(defs, cache cue.Value) ([]schema.Field, error) {
	sections, err := defs.LookupPath(cue.ParsePath("#Config")).Fields(cue.Optional(true))
	if err != nil {
		return nil, fromCUE(err, diag.Pos{})
	}
	var all []schema.Field
	for sections.Next() {
		section := sections.Selector().Unquoted()
		iter, err := sections.Value().Fields(cue.Optional(true))
		if err != nil {
			return nil, fromCUE(err, diag.Pos{})
		}
		for iter.Next() {
			name, v := iter.Selector().Unquoted(), iter.Value()
			f := schema.Field{
				Path: section + "." + name,
				Var:  name,
				Doc:  docOf(v),
			}
			switch kind := v.IncompleteKind(); {
			case kind&^cue.NumberKind == 0:
				f.Number = true
			case kind == cue.BoolKind:
				f.Bool = true
			case kind&cue.NumberKind != 0:
				f.Word = true
			}
			f.Allowed, f.Values = describe(v)
			if f.Word {
				f.Words = texts(v)
			}
			if isPlain(sections.Value()) {
				f.Plain = plainOf(v)
			}
			for _, a := range v.Attributes(cue.FieldAttr) {
				switch a.Name() {
				case "flag":
					f.Flag = a.Contents()
				case "var":
					f.Var = a.Contents()
				case "keys":
					f.Table = a.Contents()
					if f.Values, err = tableKeys(defs, f.Table); err != nil {
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
					f.DefaultBy = a.Contents()
				case "late":
					f.Late = true
				case "note":
					f.Note = a.Contents()
				case "needs":
					f.Needs = a.Contents()
				case "unit":
					f.Unit = a.Contents()
				case "least":
					var least schema.Least
					if least.Below, err = a.Int(0); err != nil {
						return nil, fromCUE(err, diag.Pos{})
					}
					for i := 1; i < a.NumArgs(); i++ {
						suffix, _ := a.Arg(i)
						least.Suffixes = append(least.Suffixes, suffix)
					}
					f.Least = append(f.Least, least)
				default:
					return nil, diag.Errorf(fromPos(v.Pos()), "unknown attribute @%s", a.Name())
				}
			}
			if d := defs.LookupPath(cue.MakePath(cue.Str("defaults"), cue.Str(section), cue.Str(name))); d.Exists() {
				if f.Default, err = goValue(d); err != nil {
					return nil, fromCUE(err, diag.Pos{})
				}
				f.Pos = fromPos(d.Pos())
				if lit, ok := d.Source().(*ast.BasicLit); ok {
					f.Pos = fromPos(lit.Pos())
				}
			}
			all = append(all, f)
		}
	}
	return all, nil
}

// texts lists the texts among the alternatives of a value.
func texts(v cue.Value) []string {
	var list []string
	_, args := v.Expr()
	for _, a := range args {
		if s, err := a.String(); err == nil {
			list = append(list, s)
		}
	}
	return list
}

// keysAt lists the names of the fields at a path.
func keysAt(v cue.Value, path string) ([]string, error) {
	iter, err := v.LookupPath(cue.ParsePath(path)).Fields()
	if err != nil {
		return nil, fromCUE(err, diag.Pos{})
	}
	var keys []string
	for iter.Next() {
		keys = append(keys, iter.Selector().Unquoted())
	}
	return keys, nil
}

// tableKeys lists the keys that every architecture's table has.
func tableKeys(defs cue.Value, table string) ([]string, error) {
	iter, err := defs.LookupPath(cue.ParsePath("#Architecture")).LookupPath(cue.MakePath(cue.Str(table).Optional())).Fields(cue.Optional(true))
	if err != nil {
		return nil, fromCUE(err, diag.Pos{})
	}
	var keys []string
	for iter.Next() {
		keys = append(keys, iter.Selector().Unquoted())
	}
	return keys, nil
}

func goValue(v cue.Value) (any, error) {
	switch v.IncompleteKind() {
	case cue.IntKind:
		return v.Int64()
	case cue.BoolKind:
		return v.Bool()
	}
	return v.String()
}
