package schemagen

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"strings"
	"unicode"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/encoding/jsonschema"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/model"
	"kvbench/engine/schema"
)

// Kinds lists the kinds of files for which there is a schema.
var Kinds = []string{"config", "model", "results"}

// definitions maps kinds of files to the names of their definitions in CUE. It does not
// contain "model", because each architecture has its own definition.
var definitions = map[string]string{"config": "#Config", "results": "#Result"}

// CUE returns the schema for a kind of file as CUE. For models, the schema contains a
// definition for each architecture, both the bundled ones and those in dirs.
func CUE(l *model.Loader, kind string, dirs []string) ([]byte, error) {
	options := []cue.Option{cue.Docs(true), cue.Attributes(false), cue.InlineImports(true), cue.Optional(true), cue.Definitions(true)}
	file := &ast.File{}
	err := eachSchema(l, kind, dirs, func(name string, v cue.Value) error {
		expr, ok := v.Syntax(options...).(ast.Expr)
		if !ok {
			return diag.Errorf(diag.Pos{}, "cannot write the schema of %s as CUE", name)
		}
		file.Decls = append(file.Decls, &ast.Field{Label: ast.NewIdent("#" + name), Value: expr})
		return nil
	})
	if err != nil {
		return nil, err
	}
	text, err := format.Node(file, format.Simplify())
	return diag.Escaped(text), err
}

// JSON returns the schema for a kind of file as JSON Schema. For models, the schema accepts
// the parameters of any architecture, bundled or in dirs.
func JSON(l *model.Loader, s *schema.Schema, kind string, dirs []string) ([]byte, error) {
	var schemas []ast.Expr
	err := eachSchema(l, kind, dirs, func(name string, v cue.Value) error {
		expr, err := jsonschema.Generate(v, &jsonschema.GenerateConfig{Version: jsonschema.VersionDraft2020_12})
		if err == nil {
			schemas = append(schemas, expr)
		}
		return data.FromCUE(err, diag.Pos{})
	})
	if err != nil {
		return nil, err
	}
	expr := schemas[0]
	if len(schemas) > 1 {
		expr = ast.NewStruct("$schema", ast.NewString("https://json-schema.org/draft/2020-12/schema"), "anyOf", ast.NewList(schemas...))
	}
	v := data.NewContext().BuildExpr(expr)
	text, err := v.MarshalJSON()
	if err != nil {
		return nil, data.FromCUE(err, diag.Pos{})
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	simplify(doc)
	switch kind {
	case "config":
		describeFields(s, doc)
	case "model":
		describeModels(doc)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err = enc.Encode(doc)
	return diag.Escaped(out.Bytes()), err
}

// simplify corrects the output of CUE's JSON Schema encoder. It merges the constraints on a
// number into one schema, and omits bounds that are too large to be exact in JSON. It allows
// any object for an open struct without fields, which the encoder treats as an empty struct.
func simplify(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			simplify(item)
		}
	case map[string]any:
		for _, item := range v {
			simplify(item)
		}
		if empty, ok := v["const"].(map[string]any); ok && len(empty) == 0 {
			delete(v, "const")
			v["type"] = "object"
		}
		parts, ok := v["allOf"].([]any)
		if !ok || len(v) > 1 {
			return
		}
		all := map[string]any{}
		for _, part := range parts {
			object, ok := part.(map[string]any)
			if !ok {
				return
			}
			for key, value := range object {
				bound, isNumber := value.(float64)
				switch {
				case key == "type" && all["type"] == "integer": // narrower than number
				case key != "type" && !isNumber:
					return
				case !isNumber || math.Abs(bound) < 1<<53:
					all[key] = value
				}
			}
		}
		delete(v, "allOf")
		maps.Copy(v, all)
	}
}

// describeModels extends the schema for models with the fields that parameter files may have
// besides parameters.
func describeModels(doc map[string]any) {
	all, _ := doc["anyOf"].([]any)
	for _, one := range append(all, doc) {
		object, _ := one.(map[string]any)
		if properties, ok := object["properties"].(map[string]any); ok {
			properties[schema.ArchField] = map[string]any{"type": "string", "description": "Name of the architecture; if not set, the model's name selects it"}
			properties[schema.DefaultsField] = map[string]any{"type": "object", "description": "Configuration values for this model, unless they are set elsewhere"}
		}
	}
}

// describeFields adds to the schema for configurations what CUE's encoder omits: the
// description and default of each field, the strings that the field accepts, and the
// axes of sweeps.
func describeFields(s *schema.Schema, doc map[string]any) {
	for i := range s.Fields {
		f := &s.Fields[i]
		at := doc
		for name := range strings.SplitSeq(f.Path, ".") {
			properties, _ := at["properties"].(map[string]any)
			if at, _ = properties[name].(map[string]any); at == nil {
				break
			}
		}
		if at == nil {
			continue
		}
		if f.Unit != "" {
			describeUnit(at, s.Units[f.Unit])
		}
		if words := f.Known(); len(words) > 0 && at["type"] != "string" {
			describeWords(at, words)
		}
		at["description"] = f.Doc
		if !f.Default.IsZero() {
			at["default"] = f.Default
		}
	}
	describeAxes(s, doc)
	properties, _ := doc["properties"].(map[string]any)
	for _, section := range properties {
		if section, _ := section.(map[string]any); section["type"] == "object" {
			section["type"] = []any{"object", "null"} // a section may be empty
		}
	}
}

// describeUnit makes a numeric field also accept strings with one of the unit's suffixes.
func describeUnit(field map[string]any, u schema.Unit) {
	orText(field, u.Pattern())
	field["examples"] = u.Such
}

// describeWords allows words in upper or lower case. The words themselves remain in the
// schema so that editors can complete them.
func describeWords(field map[string]any, words []string) {
	patterns := make([]string, len(words))
	for i, word := range words {
		for _, r := range word {
			lower, upper := string(unicode.ToLower(r)), string(unicode.ToUpper(r))
			if lower == upper {
				patterns[i] += regexp.QuoteMeta(lower)
			} else {
				patterns[i] += "[" + lower + upper + "]"
			}
		}
	}
	orText(field, "^("+strings.Join(patterns, "|")+")$")
}

// orText makes a field also accept strings that match the pattern.
func orText(field map[string]any, pattern string) {
	own := maps.Clone(field)
	clear(field)
	field["anyOf"] = []any{own, map[string]any{"type": "string", "pattern": pattern}}
}

// describeAxes adds the axes that a sweep may have. An axis accepts a value of its field or
// flag, a range, or a list of these.
func describeAxes(s *schema.Schema, doc map[string]any) {
	properties, _ := doc["properties"].(map[string]any)
	sweep, _ := properties[config.SweepSection].(map[string]any)
	if sweep == nil {
		return
	}
	axes := map[string]any{}
	for i := range s.Fields {
		f := &s.Fields[i]
		section, name, _ := strings.Cut(f.Path, ".")
		fields, _ := properties[section].(map[string]any)
		fields, _ = fields["properties"].(map[string]any)
		field, _ := fields[name].(map[string]any)
		if f.Flag == "" || field == nil {
			continue
		}
		value := maps.Clone(field)
		delete(value, "default")
		delete(value, "description")
		delete(value, "examples")
		item := map[string]any{"anyOf": []any{value, map[string]any{"type": "string"}}}
		axes[f.Flag] = map[string]any{
			"description": f.Doc,
			"anyOf": []any{value, map[string]any{"type": "string"},
				map[string]any{"type": "array", "items": item, "minItems": 1, "maxItems": config.MaxAxis}},
		}
		if !f.Type.Numbers() {
			item["anyOf"] = []any{value}
		}
	}
	for name, f := range s.Nixlbench.Flags {
		value := map[string]any{"type": "string"}
		switch {
		case f.IsNumber():
			value["type"] = []any{"integer", "string"} // with a suffix, or a range
		case f.Eras[0].Type == "bool":
			value["type"] = "boolean"
		}
		axes[name] = map[string]any{
			"description": f.Help,
			"anyOf":       []any{value, map[string]any{"type": "string"}, map[string]any{"type": "array", "items": value, "minItems": 1, "maxItems": config.MaxAxis}},
		}
	}
	sweep["type"] = "object"
	sweep["description"] = "Values to sweep over: lists, or ranges such as 1024..131072x2 (multiplying) and 16..256+16 (adding)"
	sweep["properties"] = axes
	sweep["additionalProperties"] = false
}

// eachSchema calls f for each definition that applies to files of the given kind.
func eachSchema(l *model.Loader, kind string, dirs []string, f func(name string, v cue.Value) error) error {
	def, ok := definitions[kind]
	if !ok {
		return l.EachParams(dirs, f)
	}
	defs, err := l.Definitions()
	if err != nil {
		return err
	}
	return f(def[1:], defs.LookupPath(cue.ParsePath(def)))
}
