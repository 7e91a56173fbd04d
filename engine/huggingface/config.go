package huggingface

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

const (
	// File is the usual name of a configuration file.
	File = "config.json"
	// TypeField is the name of the field that distinguishes configurations from other
	// files.
	TypeField = "model_type"
)

// Is reports whether a JSON file is a Hugging Face configuration.
func Is(root *data.Value) bool {
	return root.Member(TypeField) != nil && root.Member(schema.NameParam) == nil
}

// Hint returns a hint for a JSON file that may be meant to be a Hugging Face
// configuration. It returns "" for other files.
func Hint(file string) string {
	if !data.IsJSON(file) {
		return ""
	}
	return "a Hugging Face configuration has the field " + TypeField
}

// Config is a Hugging Face configuration.
type Config struct {
	*fields
	file   string
	name   string
	common *schema.Checkpoints
	outer  *field // model_type at the top level
	// relevant reports whether the field with the given name may affect the cache.
	relevant func(name string) bool
}

// Read reads a configuration. If it contains a nested configuration for a language model,
// the nested fields override the outer ones, except for those that describe the whole
// model. Read returns an error if a field that should be a mapping is not one, because its
// value would otherwise be ignored.
func Read(file string, root *data.Value, common *schema.Checkpoints) (*Config, error) {
	var errs diag.List
	for _, name := range slices.Concat(common.Texts, common.Mappings) {
		if v := root.Member(name); v != nil && v.Kind != data.Mapping && v.Kind != data.Null {
			errs = append(errs, diag.Errorf(v.Pos, "%s: %s is not allowed: expected a mapping", name, v))
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	relevant, ignored := common.RelevantFields()
	c := &Config{fields: newFields(new(int), ignored), file: file, name: Name(file, root), common: common, relevant: relevant}
	texts := c.readLevel(root)
	if c.outer = c.byName[TypeField]; c.outer == nil { // the field is a mapping or a list of mappings
		v := root.Member(TypeField)
		c.outer = &field{name: TypeField, pos: v.Pos, Value: *v}
		c.set(c.outer)
	}
	whole := map[string]*field{}
	for _, name := range common.Whole {
		if f := c.byName[name]; f != nil && !f.null {
			whole[name] = f
		}
	}
	for len(texts) > 0 {
		texts = append(texts[1:], c.readLevel(texts[0])...)
	}
	maps.Copy(c.byName, whole)
	return c, nil
}

// readLevel adds the fields of a mapping. If a field contains a language model's
// configuration, readLevel returns that configuration instead of adding the field.
func (c *Config) readLevel(v *data.Value) (texts []*data.Value) {
	rest := &data.Value{Kind: data.Mapping}
	for i := range v.Fields {
		f := &v.Fields[i]
		if f.Kind == data.Mapping && slices.Contains(c.common.Texts, f.Name) {
			texts = append(texts, &f.Value)
			continue
		}
		rest.Fields = append(rest.Fields, *f)
	}
	c.flatten("", rest)
	return texts
}

// Beside returns the paths of files next to the configuration, which may contain
// additional fields. Each key is the prefix for the names of a file's fields.
func (c *Config) Beside() map[string]string {
	if filepath.Base(c.file) != File {
		return nil
	}
	files := map[string]string{}
	for prefix, name := range c.common.Siblings {
		files[prefix] = filepath.Join(filepath.Dir(c.file), name)
	}
	return files
}

// Add adds the fields of a file that is next to the configuration.
func (c *Config) Add(prefix string, root *data.Value) { c.add(prefix, root, root.Pos) }

// Types returns the model types of the configuration itself and of its language model. If
// a type is not a string, Types returns the types that precede it and an error.
func (c *Config) Types() (list []string, err error) {
	for _, f := range []*field{c.outer, c.byName[TypeField]} {
		if !f.readable || f.value.Kind != formula.Str {
			return list, diag.Errorf(f.pos, "%s: %s is not allowed: expected a string", TypeField, &f.Value)
		}
		list = append(list, f.value.Str)
	}
	return list, nil
}

// TypeError returns an error with the position of the model type.
func (c *Config) TypeError(format string, args ...any) *diag.Diag {
	return diag.Errorf(c.outer.pos, "%s %s: %s", TypeField, &c.outer.Value, fmt.Sprintf(format, args...))
}

// commit matches a commit hash, which is the name of a snapshot folder in the Hugging
// Face cache.
var commit = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{40}$`) })

// Name derives the name of a model from the path of its configuration. The name is
// "model" for model/config.json, org--model.json, and
// models--org--model/snapshots/COMMIT/config.json.
func Name(file string, root *data.Value) string {
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	for _, end := range []string{"_config", "-config", ".config"} {
		name = strings.TrimSuffix(name, end)
	}
	if filepath.Base(file) == File {
		abs, err := filepath.Abs(file)
		if err != nil {
			abs = file
		}
		dir := filepath.Dir(abs)
		if name = filepath.Base(dir); commit().MatchString(name) {
			name = filepath.Base(filepath.Dir(filepath.Dir(dir)))
		}
	}
	name = name[strings.LastIndex(name, "--")+1:]
	if name = strings.Trim(name, "-. "+string(filepath.Separator)); name != "" {
		return name
	}
	if v := root.Member(TypeField); v != nil && v.Kind == data.Text && v.Text != "" {
		return v.Text
	}
	return "model"
}
