package source

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/huggingface"
	"kvbench/engine/input"
	"kvbench/engine/schema"
)

// Most files that are found in a folder or passed by a hook do not belong to kvbench:
// they are workflows, charts or manifests, for example. Whether a file belongs to kvbench
// depends on its keys, at the top and one level below, rather than on its name:
//
//   - a model has model_name, or architecture and a known parameter, or a misspelled
//     model_name and two known parameters;
//   - a Hugging Face configuration is JSON with model_type and architectures;
//   - a configuration has known keys in two of its sections; or it has only sections at the
//     top, and in one of them, one key is known or all keys are misspelled;
//   - CUE imports the schema, or contains fields typical of an architecture, a
//     family, releases, a model or a configuration;
//   - results have the key kvbench.
//
// For a file that cannot be parsed, the same rules are applied to the names that appear in
// these places in its text, so that a model with a syntax error is not mistaken for another
// program's file.

// outline maps each top-level name in a file to the names one level below it.
type outline map[string][]string

func (o outline) add(path []string) {
	switch len(path) {
	case 1:
		if !o.has(path[0]) {
			o[path[0]] = []string{}
		}
	case 2:
		o[path[0]] = append(o[path[0]], path[1])
	}
}

func (o outline) has(name string) bool { return o[name] != nil }

// outlineOf returns the outline of a mapping.
func outlineOf(root *data.Value) outline {
	o := outline{}
	for i := range root.Fields {
		f := &root.Fields[i]
		o.add([]string{f.Name})
		for j := range f.Fields {
			o.add([]string{f.Name, f.Fields[j].Name})
		}
	}
	return o
}

// archsField is a field that every Hugging Face configuration of a language model has.
const archsField = "architectures"

// isOwn reports whether a YAML or JSON file with this outline belongs to kvbench.
func (r *Files) isOwn(name string, o outline) bool {
	return o.has(schema.NameParam) ||
		o.has(schema.ArchField) && r.countParams(o) > 0 ||
		data.IsJSON(name) && o.has(huggingface.TypeField) && o.has(archsField) ||
		r.isOwnConfig(o) ||
		hasNear(o, schema.NameParam) && r.countParams(o) > 1
}

// hasNear reports whether a top-level name is probably a misspelling of name.
func hasNear(o outline, name string) bool {
	for top := range o {
		if similarName(top, []string{name}) != "" {
			return true
		}
	}
	return false
}

// similarName returns the known name that differs from name in only a few letters, or "" if
// there is none.
func similarName(name string, known []string) string {
	near := slices.DeleteFunc(slices.Clone(known), func(k string) bool { n := len(k) - len(name); return n < -2 || n > 2 })
	if len(near) == 0 {
		return ""
	}
	return diag.Nearest(name, near)
}

// countParams returns the number of top-level names that are parameters of bundled
// architectures.
func (r *Files) countParams(o outline) int {
	known := map[string]bool{}
	for _, arch := range r.schema.Architectures {
		for _, p := range arch.Arch.Get().Params {
			known[p.Name] = p.Name != schema.NameParam
		}
	}
	n := 0
	for name := range o {
		if known[name] {
			n++
		}
	}
	return n
}

// isOwnConfig reports whether a file is a configuration, even if its sections
// are misspelled or their fields are not indented.
func (r *Files) isOwnConfig(o outline) bool {
	found := map[string]bool{}
	misspelled := false // whether a section contains only misspelled keys
	others := 0
	sections := r.Sections()
	for top, below := range o {
		section := similarName(top, sections)
		switch {
		case slices.ContainsFunc(below, func(name string) bool { return r.isKey(section, name) }):
			found[section] = true
		case section == top && len(below) > 0 && !slices.ContainsFunc(below, func(name string) bool { return !r.isNearKey(section, name) }):
			misspelled = true
		case section != "":
		case slices.ContainsFunc(sections, func(s string) bool { return o.has(s) && len(o[s]) == 0 && r.isKey(s, top) }):
			found[top] = true
		default:
			others++
		}
	}
	return len(found) > 1 || others == 0 && (len(found) == 1 || misspelled)
}

// minMisspelled is the minimum length of a name that may be a misspelled key. A shorter
// name is too likely to be an unrelated word.
const minMisspelled = 4

// isNearKey reports whether name is probably meant to be a key of section,
// either misspelled or spelled as another program spells it.
func (r *Files) isNearKey(section, name string) bool {
	var keys []string
	for i := range r.schema.Fields {
		f := &r.schema.Fields[i]
		if in, key, _ := strings.Cut(f.Path, "."); in == section {
			keys = append(keys, key)
			if slices.Contains(f.Aka, name) {
				return true
			}
		}
	}
	return len(name) >= minMisspelled && similarName(name, keys) != ""
}

// isKey reports whether a section of a configuration can have a key with the given name.
func (r *Files) isKey(section, name string) bool {
	return section != "" && slices.ContainsFunc(r.schema.Fields, func(f schema.Field) bool {
		return f.Path == section+"."+name || section == SweepSection && f.Flag == name
	})
}

// IsOwn reports whether a YAML or JSON file with the given value belongs to kvbench.
func (r *Files) IsOwn(name string, root *data.Value) bool { return r.isOwn(name, outlineOf(root)) }

// IsForeign reports whether a file does not belong to kvbench, based on its text and, for
// CUE, on the other files of its package. It returns false if the file cannot be read.
func (r *Files) IsForeign(name string) bool {
	if find, known := r.clauses.Load(name); known && find.(func() *Package)().IsOwn() {
		return false
	}
	text, ok := r.Peek(name)
	return ok && !r.ownText(name, text) && !(data.IsCUE(name) && r.PackageOf(name).IsOwn())
}

// ownText reports whether the text of a file shows that it belongs to kvbench.
func (r *Files) ownText(name string, text []byte) bool {
	// Without its zero bytes, UTF-16 text is nearly the same as UTF-8 text.
	s := strings.ReplaceAll(string(text), "\x00", "")
	for _, mark := range []string{"\ufeff", "\xff\xfe", "\xfe\xff"} {
		s = strings.TrimPrefix(s, mark)
	}
	switch {
	case strings.HasSuffix(name, ResultsExt):
		return strings.Contains(s, `"kvbench":`)
	case data.IsCUE(name):
		return r.ownCUE(s)
	case data.IsJSON(name), strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), "{"):
		return r.isOwn(name, outlineOfBraces(s))
	}
	return r.isOwn(name, outlineOfLines(s))
}

// The fields that identify kvbench's CUE files. Both strongFields and weakFields are fields of
// architectures, but strongFields are rare in other programs' files. A family has at least two
// of familyFields.
var (
	strongFields = []string{"#params", "kv_bytes_per_token", "access_patterns"}
	weakFields   = []string{"match", "let", "cache", "requires", "checks"}
	familyFields = []string{"model_types", schema.ArchField, "params"}
)

var (
	likeField     = pattern(`\blike"?\s*:`) // in releases
	importsSchema = pattern(`(?m)^[^/\n]*"` + regexp.QuoteMeta(data.SchemaPath) + `[:/"]`)
	packageClause = pattern(`(?m)^package[ \t]+\w+`)
)

// pattern returns a regular expression that is compiled when it is first used.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// ownCUE reports whether the text of a CUE file shows that the file belongs to kvbench. It
// considers only the text, because CUE files of other programs must not be evaluated.
func (r *Files) ownCUE(text string) bool {
	if importsSchema().MatchString(text) {
		return true
	}
	o := outlineOfBraces(text)
	named := strings.Contains(text, ArchitectureDef)
	for top, below := range o {
		count := func(names []string) (n int) {
			for _, name := range names {
				if slices.Contains(below, name) {
					n++
				}
			}
			return n
		}
		strong, weak := count(strongFields), count(weakFields)
		switch {
		case strong > 0 && (named || strong+weak > 1), named && weak > 1, count(familyFields) > 1,
			top == ModelField && slices.Contains(below, schema.NameParam),
			top == ReleasesField && likeField().MatchString(text):
			return true
		}
	}
	return r.isOwn("", o)
}

// IsSchemaFile reports whether a file is part of the schema, based on its location and
// package.
func (r *Files) IsSchemaFile(name string) bool {
	path, err := filepath.Abs(name)
	if err != nil {
		return false
	}
	path = filepath.ToSlash(path)
	at := strings.LastIndex(path, "/"+data.SchemaFolder+"/")
	if at < 0 {
		return false
	}
	own, err := fs.ReadFile(r.reader.Schema, path[at+len(data.SchemaFolder)+2:])
	if err != nil {
		return false
	}
	text, ok := r.Peek(name)
	return ok && packageOf(text) == packageOf(own)
}

// packageOf returns the package clause of a CUE file, or "".
func packageOf(text []byte) string { return string(packageClause().Find(text)) }

// MayRead returns an error if a file that was found in a folder, or next to another
// file, must not be read: if it is not a regular file, if it is a symbolic link and
// [Files.NoLinks] is set, or if [Files.Refuse] rejects it.
func (r *Files) MayRead(name string) error {
	if info, err := os.Lstat(name); r.NoLinks && err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return diag.Errorf(diag.Pos{File: name}, "is a symbolic link, which is not followed").WithHint("replace it with the file it points to")
	}
	if r.Refuse != nil {
		if err := r.Refuse(name); err != nil {
			return err
		}
	}
	return input.Regular(name)
}

// Peek returns the text of a file, up to a maximum size. ok is false if the file
// cannot be read.
func (r *Files) Peek(name string) (text []byte, ok bool) {
	text, _, err := input.ReadAll(name, data.MaxFile, r.Watch)
	return text, err == nil
}

// outlineOfLines returns the outline of block YAML. It examines the text line by line,
// because the text may be invalid.
func outlineOfLines(text string) outline {
	o := outline{}
	top, base, below := "", -1, 0
	lines := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("\r\n\u0085\u2028\u2029", r) })
	for _, line := range lines {
		rest := strings.TrimLeft(line, " \t")
		indent := len(line) - len(rest)
		name, value, ok := strings.Cut(rest, ":")
		name = strings.Trim(strings.TrimSpace(name), `"'`)
		ok = ok && isName(name)
		if rest == "" || rest[0] == '#' {
			continue
		}
		if base < 0 {
			base = indent
		}
		switch {
		case indent <= base && !ok:
			top = "" // an item of a list, or not YAML
		case indent <= base:
			top, below = name, 0
			o.add([]string{top})
			if value = strings.TrimSpace(value); strings.HasPrefix(value, "{") {
				for name := range outlineOfBraces(value) {
					o.add([]string{top, name})
				}
			}
		case ok && top != "" && (below == 0 || below == indent):
			below = indent
			o.add([]string{top, name})
		}
	}
	return o
}

func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isNameRune(r) })
}

func isNameRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_#$-.", r)
}

// outlineOfBraces returns the outline of JSON, CUE or flow YAML, which may be invalid. It
// treats comments as white space, and consecutive names as nested, as in CUE's a: b: c.
func outlineOfBraces(text string) outline {
	o := outline{}
	var path []string  // names of the enclosing fields
	var opened []int   // for each open brace, the length of path before it
	var chain []string // names since the last brace or value
	colon := false     // whether the last token was a colon
	for i := 0; i < len(text); {
		rest := text[i:]
		if n := skipped(rest); n > 0 {
			i += n
			continue
		}
		word, n := lexeme(rest)
		if n == 0 {
			switch rest[0] {
			case '{', '[':
				opened = append(opened, len(path))
				path = append(path, chain...)
				if rest[0] == '[' {
					path = append(path, "[]", "[]") // too deep for the outline
				}
				chain = nil
			case '}', ']':
				if last := len(opened) - 1; last >= 0 {
					path, opened = path[:opened[last]], opened[:last]
				}
				chain = nil
			}
			colon = false
			i++
			continue
		}
		i += n
		after := strings.TrimLeft(text[i:], " \t\r\n")
		after = strings.TrimLeft(after, "!?")
		if !strings.HasPrefix(after, ":") {
			colon = false
			continue
		}
		i = len(text) - len(after) + 1
		if !colon {
			chain = nil
		}
		chain, colon = append(chain, word), true
		if len(path)+len(chain) <= 2 {
			o.add(append(path[:len(path):len(path)], chain...))
		}
	}
	return o
}

// skipped returns the length of any white space or comment at the beginning of
// a string.
func skipped(text string) int {
	end := -1
	switch {
	case strings.HasPrefix(text, "//"):
		end = strings.IndexByte(text, '\n')
	case strings.HasPrefix(text, "/*"):
		if end = strings.Index(text[2:], "*/"); end >= 0 {
			end += 4
		}
	default:
		return len(text) - len(strings.TrimLeft(text, " \t\r\n"))
	}
	if end < 0 {
		return len(text)
	}
	return end
}

// lexeme returns the name or quoted string at the beginning of text, and its
// length in the text. The length is 0 if the text begins with neither.
func lexeme(text string) (string, int) {
	const quotes = `"""`
	if rest, ok := strings.CutPrefix(text, quotes); ok {
		if end := strings.Index(rest, quotes); end >= 0 {
			return "", end + 2*len(quotes)
		}
		return "", len(text)
	}
	if text[0] == '"' || text[0] == '\'' {
		for i := 1; i < len(text) && text[i] != '\n'; i++ {
			switch text[i] {
			case '\\':
				i++
			case text[0]:
				return text[1:i], i + 1
			}
		}
		return "", 1
	}
	end := strings.IndexFunc(text, func(r rune) bool { return !isNameRune(r) })
	if end < 0 {
		end = len(text)
	}
	return text[:end], end
}
