package huggingface

import (
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
	// File is the name that configurations mostly have.
	File = "config.json"
	// TypeField tells configurations from other files.
	TypeField = "model_type"
)

// Is tells a Hugging Face configuration from other JSON files.
func Is(root *data.Value) bool {
	return root.Member(TypeField) != nil && root.Member(schema.NameParam) == nil
}

// Hint says what a JSON file lacks that is meant as a Hugging Face configuration;
// it is "" of other files.
func Hint(file string) string {
	if !data.IsJSON(file) {
		return ""
	}
	return "a Hugging Face configuration has " + TypeField
}

// Config is a Hugging Face configuration.
type Config struct {
	*fields
	file   string
	name   string
	common *schema.Checkpoints
	outer  *field // the field model_type of the whole
	// relevant tells by their names fields that may affect the cache.
	relevant func(name string) bool
}

// Read reads a configuration. Over its fields are those of the language model in
// it. Values are wrong where mappings are expected: what these say would be
// skipped.
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
	if c.outer = c.byName[TypeField]; c.outer == nil { // a mapping, or a list of them
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

// readLevel adds the fields of a mapping, and returns the parts of it that hold
// those of the language model.
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

// Beside returns the files beside the configuration that say more of it, by what
// stands before the names of their fields.
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

// Add adds the fields of a file beside the configuration.
func (c *Config) Add(prefix string, root *data.Value) { c.add(prefix, root, root.Pos) }

// Types returns the model types of the configuration: its own, and that of the
// language model in it, as far as they are texts.
func (c *Config) Types() (list []string, err error) {
	for _, f := range []*field{c.outer, c.byName[TypeField]} {
		if !f.readable || f.value.Kind != formula.Str {
			return list, diag.Errorf(f.pos, "%s: %s is not allowed: expected a text", TypeField, &f.Value)
		}
		list = append(list, f.value.Str)
	}
	return list, nil
}

// commit is the name of a folder of Hugging Face's cache.
var commit = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{40}$`) })

// Name returns the name of a model by the place of its configuration: model for
// model/config.json, org--model.json, and
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
