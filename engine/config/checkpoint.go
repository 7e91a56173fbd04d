package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// What is known of Hugging Face configurations beside the data.
const (
	checkpointFile = "config.json" // the name that they mostly have
	typeField      = "model_type"  // tells them from other files
	layersParam    = "num_layers"  // the parameter that counts layers
	layerName      = "layer"       // the number of a layer, in formulas
	formatsTable   = "formats"     // number formats by the names of element types

	maxLayers = 2000      // no model comes near; a wrong number may
	maxCells  = 1_000_000 // values of lists of mappings
)

// isCheckpoint tells a Hugging Face configuration from other JSON files.
func isCheckpoint(root *data.Value) bool {
	return root.Member(typeField) != nil && root.Member(NameParam) == nil
}

// checkpointHint says what a JSON file lacks that is meant as a Hugging Face
// configuration; it is "" of other files.
func checkpointHint(file string) string {
	if !data.IsJSON(file) {
		return ""
	}
	return "a Hugging Face configuration has " + typeField
}

// hfField is a field of a Hugging Face configuration. One that is null counts
// as not there, but is mentioned; one that is not readable has a value that
// formulas cannot read.
type hfField struct {
	name string
	pos  diag.Pos
	data.Value
	value    formula.Value
	readable bool
	null     bool
	ignored  bool // it is part of a mapping without effect on the cache
}

// falsy reports whether a field's value says "not at all".
func (f *hfField) falsy() bool {
	switch {
	case f.null:
		return true
	case !f.readable:
		return false
	}
	zero := formula.Rat{}
	switch f.value.Kind {
	case formula.Num:
		return f.value.Num == zero
	case formula.Bool:
		return !f.value.Bool
	case formula.Str:
		return f.value.Str == ""
	case formula.NumList:
		return !slices.ContainsFunc(f.value.Nums, func(n formula.Rat) bool { return n != zero })
	case formula.StrList:
		return !slices.ContainsFunc(f.value.Strs, func(s string) bool { return s != "" })
	}
	return false
}

// flatFields are the fields of a file, by flat names, with the names in order.
type flatFields struct {
	file    string
	byName  map[string]*hfField
	names   []string
	cells   *int           // values of lists of mappings
	ignored *regexp.Regexp // names of what has no effect on the cache
	within  bool           // of such a mapping
}

func newFields(file string, cells *int, ignored *regexp.Regexp) *flatFields {
	return &flatFields{file: file, byName: map[string]*hfField{}, cells: cells, ignored: ignored}
}

// set adds a field. Of two of one name the later counts, unless it is null.
func (fs *flatFields) set(f *hfField) {
	f.ignored = fs.within
	old := fs.byName[f.name]
	if old == nil {
		fs.names = append(fs.names, f.name)
	}
	if old == nil || !f.null {
		fs.byName[f.name] = f
	}
}

// flatten adds the fields of a mapping. Those of a mapping within it have its
// name before theirs.
func (fs *flatFields) flatten(prefix string, v *data.Value) {
	for i := range v.Fields {
		f := &v.Fields[i]
		pos := f.Pos
		if pos.Line == 0 {
			pos = f.Key
		}
		fs.add(prefix+f.Name, &f.Value, pos)
	}
}

func (fs *flatFields) add(name string, v *data.Value, pos diag.Pos) {
	f := &hfField{name: name, pos: pos, Value: *v, null: v.Kind == data.Null}
	switch v.Kind {
	case data.Mapping:
		within := fs.within
		fs.within = within || fs.ignored.MatchString(name)
		fs.flatten(name+"_", v)
		fs.within = within
		f.null = len(v.Fields) == 0
		if !f.null {
			return
		}
	case data.List:
		if len(v.Items) > 0 && !slices.ContainsFunc(v.Items, func(item data.Value) bool { return item.Kind != data.Mapping }) {
			fs.columns(name, v, pos)
			return
		}
		f.null = len(v.Items) == 0
	}
	if !f.null {
		f.value, f.readable = v.Formula()
	}
	fs.set(f)
}

// columns adds the fields of a list of mappings, each as the list of its
// values. true is 1 there, and what is not there 0 or an empty text. Behind
// maxCells values, none is readable.
func (fs *flatFields) columns(name string, list *data.Value, pos diag.Pos) {
	var rows []*flatFields
	var names []string
	seen := map[string]bool{}
	for i := range list.Items {
		row := newFields(fs.file, fs.cells, fs.ignored)
		row.flatten(name+"_", &list.Items[i])
		rows = append(rows, row)
		for _, n := range row.names {
			if !seen[n] {
				seen[n] = true
				names = append(names, n)
			}
		}
	}
	if *fs.cells += len(names) * len(rows); *fs.cells > maxCells {
		for _, n := range names {
			fs.set(&hfField{name: n, pos: pos, Value: *list})
		}
		return
	}
	for _, n := range names {
		f := &hfField{name: n, pos: pos, Value: *list, readable: true}
		f.value.Kind = formula.NumList
		for _, row := range rows {
			if cell := row.byName[n]; cell != nil && cell.readable && cell.value.Kind == formula.Str {
				f.value.Kind = formula.StrList
			}
		}
		for _, row := range rows {
			cell := row.byName[n]
			v := formula.Value{}
			if cell != nil && !cell.null {
				f.readable = f.readable && cell.readable
				v = cell.value
			}
			switch {
			case v.Kind == formula.Bool && v.Bool:
				v = formula.Value{Kind: formula.Num, Num: formula.Int(1)}
			case v.Kind == formula.Bool:
				v = formula.Value{Kind: formula.Num}
			}
			switch {
			case f.value.Kind == formula.StrList && (v.Kind == formula.Str || v.Kind == formula.Any):
				f.value.Strs = append(f.value.Strs, v.Str)
			case f.value.Kind == formula.NumList && (v.Kind == formula.Num || v.Kind == formula.Any):
				f.value.Nums = append(f.value.Nums, v.Num)
			default:
				f.readable = false
			}
		}
		fs.set(f)
	}
}

// checkpoint is a Hugging Face configuration that is being read.
type checkpoint struct {
	*flatFields
	data     *schema.Checkpoints
	relevant *regexp.Regexp            // names of what may affect the cache
	absent   map[string]schema.Formula // of the family
	layers   int64
	ready    map[string]bool // what available found
	open     map[string]bool
}

// checkpointModel reads a Hugging Face configuration as a model.
func (l *Loader) checkpointModel(file string, root *data.Value, known *Known) (*Model, error) {
	common := l.schema.Checkpoints.Get()
	relevant, ignored := common.RelevantFields()
	c := &checkpoint{flatFields: newFields(file, new(int), ignored), data: common, relevant: relevant, ready: map[string]bool{}, open: map[string]bool{}}
	if err := c.checkMappings(root); err != nil {
		return nil, err
	}
	outer := c.readFields(root)
	var notes diag.List
	for _, prefix := range schema.Keys(c.data.Siblings) {
		if filepath.Base(file) == checkpointFile {
			notes.Add(l.sibling(c, prefix, filepath.Join(filepath.Dir(file), c.data.Siblings[prefix])))
		}
	}
	fam, err := c.family(outer, known)
	if err != nil {
		return nil, err
	}
	unknown := fam == nil
	if unknown {
		if fam = known.familyNamed(c.data.Unknown.Family); fam == nil {
			return nil, diag.Errorf(outer.pos, "%s %s is not known", typeField, &outer.Value)
		}
	}
	if err := checkFamily(fam, known); err != nil {
		return nil, err
	}
	c.absent = fam.Absent
	if err := c.understood(fam, unknown, nearType(outer, known)); err != nil {
		return nil, err
	}
	if unknown {
		notes = append(notes, hinted(diag.Warnf(outer.pos, "%s %s is not known: %s", typeField, &outer.Value, c.data.Unknown.Note), nearType(outer, known)).
			WithHint("a family in a --models folder can say how to read it"))
	}
	arch := known.arch(fam.Architecture)
	doc := &data.Document{File: file}
	at := data.Origin{Kind: data.FromFile, Pos: diag.Pos{File: file}}
	add := func(path string, v formula.Value, from data.Origin) {
		doc.Leaves = append(doc.Leaves, data.Leaf{Path: path, Value: data.From(v), Origin: from})
	}
	add(NameParam, formula.Text(checkpointName(file, root)), at)
	add(ArchField, formula.Text(fam.Architecture), data.Origin{Kind: data.FromFile, Pos: fam.Pos})
	var errs diag.List
	doubts := map[string]diag.List{}
	for _, path := range schema.Keys(c.data.Defaults) {
		v, rule, err := c.first(path, c.data.Defaults[path])
		errs.Add(err)
		if rule == nil {
			continue
		}
		from := c.origin(rule.When, rule.Value)
		add(DefaultsField+"."+path, v, from)
		field := l.schema.Field(path)
		if field == nil {
			continue // reported below
		}
		if rule.Warn != "" {
			doubts[field.Var] = append(doubts[field.Var], hinted(diag.Warnf(from.Pos, "%s", rule.Warn), rule.Hint))
		}
		for _, n := range c.data.Notes[path] {
			if ok, err := c.holds(path, n.When); ok && err == nil {
				doubts[field.Var] = append(doubts[field.Var], hinted(diag.Notef(c.origin(n.When).Pos, "%s", n.Note), n.Hint))
			}
		}
	}
	more, err := c.params(fam, arch, add)
	errs.Add(err)
	notes = append(notes, more...)
	if len(errs) > 0 {
		return nil, errs
	}
	m, err := l.model(file, doc, nil, known)
	if m != nil {
		m.Notes, m.Doubts = notes, doubts
		// The documented arithmetic is for the parameter files of its examples.
		if m.Arch.Layers != nil && m.Arch.Accounting() != schema.AccountingRank {
			m.Defaults[schema.AccountingVar] = data.Fact{Value: formula.Text(schema.AccountingRank), Origin: data.Origin{Kind: data.FromModel, Pos: at.Pos}}
		}
	}
	return m, c.sources(fam, err)
}

// sources names the fields that wrong parameters come from.
func (c *checkpoint) sources(fam *schema.Family, err error) error {
	for _, d := range diag.All(err) {
		param, _, _ := strings.Cut(d.Name, ".")
		if d.Code != diag.NotAllowed || fam.Params[param] == nil {
			continue
		}
		_, rule, err := c.first(param, fam.Params[param])
		if err != nil || rule == nil {
			continue
		}
		var from []string
		for _, name := range formula.Names(rule.Value.Text) {
			if c.byName[name] != nil {
				from = append(from, name)
			}
		}
		if len(from) > 0 {
			d.WithHint("%s comes from %s", param, strings.Join(from, " and "))
		}
	}
	return err
}

func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}

func hinted(d *diag.Diag, hint string) *diag.Diag {
	if hint != "" {
		d.WithHint("%s", hint)
	}
	return d
}

// sibling adds the fields of a file that may stand beside the configuration.
func (l *Loader) sibling(c *checkpoint, prefix, file string) error {
	if _, err := os.Lstat(file); err != nil {
		return nil
	}
	var text []byte
	err := l.mayRead(file)
	if err == nil {
		text, err = data.Read(file, l.Watch)
	}
	var root *data.Value
	if err == nil {
		root, err = data.Parse(file, text, isCheckpoint)
	}
	if err != nil {
		for _, d := range diag.All(err) {
			d.Severity = diag.Warning
		}
		return err
	}
	own := c.file
	c.file = file
	c.add(prefix, root, root.Pos)
	c.file = own
	return nil
}

// family returns the family of the configuration, or of the language model in it;
// nil if none is known.
func (c *checkpoint) family(outer *hfField, known *Known) (*schema.Family, error) {
	for _, f := range []*hfField{outer, c.byName[typeField]} {
		if !f.readable || f.value.Kind != formula.Str {
			return nil, diag.Errorf(f.pos, "%s: %s is not allowed: expected a text", typeField, &f.Value)
		}
		if fam := known.family(f.value.Str); fam != nil {
			return fam, nil
		}
	}
	return nil, nil
}

// nearType says which known model type was most likely meant, or "".
func nearType(f *hfField, known *Known) string {
	var types []string
	for _, fam := range known.allFamilies() {
		types = append(types, fam.ModelTypes...)
	}
	return diag.DidYouMean(f.value.Str, types)
}

// checkMappings reports values where mappings are wanted: what these say would
// be skipped.
func (c *checkpoint) checkMappings(root *data.Value) error {
	var errs diag.List
	for _, name := range slices.Concat(c.data.Texts, c.data.Mappings) {
		if v := root.Member(name); v != nil && v.Kind != data.Mapping && v.Kind != data.Null {
			errs = append(errs, diag.Errorf(v.Pos, "%s: %s is not allowed: expected a mapping", name, v))
		}
	}
	return errs.Err()
}

// readFields adds the fields of the configuration, and over them those of the
// language model in it. It gives the field model_type of the whole.
func (c *checkpoint) readFields(root *data.Value) *hfField {
	texts := c.readLevel(root)
	outer := c.byName[typeField]
	if outer == nil { // a mapping, or a list of them
		v := root.Member(typeField)
		outer = &hfField{name: typeField, pos: v.Pos, Value: *v}
		c.set(outer)
	}
	whole := map[string]*hfField{}
	for _, name := range c.data.Whole {
		if f := c.byName[name]; f != nil && !f.null {
			whole[name] = f
		}
	}
	for len(texts) > 0 {
		texts = append(texts[1:], c.readLevel(texts[0])...)
	}
	maps.Copy(c.byName, whole)
	return outer
}

// readLevel adds the fields of a mapping, and returns the parts of it that hold
// those of the language model.
func (c *checkpoint) readLevel(v *data.Value) (texts []*data.Value) {
	rest := &data.Value{Kind: data.Mapping}
	for i := range v.Fields {
		f := &v.Fields[i]
		if f.Kind == data.Mapping && slices.Contains(c.data.Texts, f.Name) {
			texts = append(texts, &f.Value)
			continue
		}
		rest.Fields = append(rest.Fields, *f)
	}
	c.flatten("", rest)
	return texts
}

// params adds the parameters of the architecture.
func (c *checkpoint) params(fam *schema.Family, arch *schema.Architecture, add func(string, formula.Value, data.Origin)) (diag.List, error) {
	var errs diag.List
	// The number of layers comes first: formulas of layers need it.
	if v, rule, err := c.first(layersParam, fam.Params[layersParam]); err == nil && rule != nil && v.Kind == formula.Num {
		n, ok := v.Num.Int64()
		if !ok || n < 1 || n > maxLayers {
			return nil, diag.Errorf(c.origin(rule.Value).Pos, "%s is %s: expected a whole number, 1 to %d", layersParam, v, maxLayers)
		}
		c.layers = n
	}
	for i := range arch.Params {
		p := &arch.Params[i]
		rules := fam.Params[p.Name]
		if rules == nil {
			continue
		}
		v, rule, err := c.first(p.Name, rules)
		if err == nil {
			err = c.perLayer(fam, p.Name, rules, rule)
		}
		errs.Add(err)
		switch {
		case err != nil:
		case rule != nil:
			add(p.Name, v, c.origin(rule.Value))
		case p.Required:
			at := diag.Pos{File: c.file}
			for _, r := range rules {
				if f := c.firstField(r.Value, map[string]bool{}); f != nil && f.null {
					at = f.pos
					break
				}
			}
			errs = append(errs, diag.Errorf(at, "%s cannot be computed: the fields it is computed from are missing: %s", p.Name, strings.Join(c.wanted(rules), ", or ")))
		}
	}
	var notes diag.List
	for i := range fam.Requires {
		r := &fam.Requires[i]
		if !c.allThere(r.Require) {
			continue
		}
		ok, err := c.holds(fam.Name, r.Require)
		errs.Add(err)
		if err != nil || ok {
			continue
		}
		d := hinted(diag.Errorf(c.origin(r.Require).Pos, "%s", r.Message), c.with(r.Require))
		if r.GoesOn() {
			d.Severity = diag.Warning
			if r.Note {
				d.Severity = diag.Note
			}
			notes = append(notes, d)
		} else {
			errs = append(errs, d)
		}
	}
	return notes, errs.Err()
}

// perLayer reports lists, or texts, that do not have an entry for each layer,
// though a parameter's rule takes one for each: longer ones, and empty ones for
// which a later rule counts. Of shorter ones the formula has said so.
func (c *checkpoint) perLayer(fam *schema.Family, param string, rules []schema.Rule, counts *schema.Rule) error {
	for i := range rules {
		r := &rules[i]
		if c.layers == 0 {
			return nil
		}
		if r != counts && !r.When.IsZero() {
			if ok, err := c.holds(param, r.When); err != nil || !ok {
				continue
			}
		}
		for _, name := range formula.Indexed(r.Value.Text, layerName) {
			f := c.byName[name]
			if f == nil {
				continue
			}
			n := len(f.value.Nums) + len(f.value.Strs) + utf8.RuneCountInString(f.value.Str)
			empty := f.Kind == data.List && len(f.Items) == 0 && !slices.Contains(fam.Empty, name)
			if empty || !f.null && int64(n) > c.layers {
				return diag.Errorf(f.pos, "%s cannot be computed: %s has %s, the model %s", param, name, counted(int64(n), "entry", "entries"), counted(c.layers, "layer", "layers")).
					WithHint("the formula is at %s", r.Value.Pos)
			}
		}
		if r == counts {
			return nil
		}
	}
	return nil
}

// with returns the values of the fields that a formula reads, or what holds where
// they are not mentioned.
func (c *checkpoint) with(f schema.Formula) string {
	var with []string
	for _, name := range formula.Names(f.Text) {
		if field := c.byName[name]; field != nil && field.readable {
			with = append(with, name+" = "+data.Shorten(field.value.String()))
		} else if absent, ok := c.absent[name]; ok && field == nil {
			with = append(with, name+" = "+absent.Text)
		}
	}
	if len(with) == 0 {
		return ""
	}
	return "with " + strings.Join(with, ", ")
}

// wanted names the fields that each of some rules misses.
func (c *checkpoint) wanted(rules []schema.Rule) []string {
	var list []string
	for _, r := range rules {
		var missing []string
		for _, f := range []schema.Formula{r.When, r.Value} {
			for _, name := range formula.Names(f.Text) {
				said := name
				switch field := c.byName[name]; {
				case field == nil:
				case field.Kind == data.Null:
					said += " (null)"
				default:
					said += " (empty)"
				}
				if !c.available(name) && !slices.Contains(missing, said) {
					missing = append(missing, said)
				}
			}
		}
		if text := strings.Join(missing, " and "); text != "" && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// understood reports the fields that may affect the cache and that the family
// does not account for.
func (c *checkpoint) understood(fam *schema.Family, unknown bool, near string) error {
	used := map[string]bool{}
	var use func(text string)
	use = func(text string) {
		for _, name := range formula.Names(text) {
			if used[name] {
				continue
			}
			used[name] = true
			use(fam.Absent[name].Text)
			for _, f := range c.data.Let[name] {
				use(f.Text)
			}
		}
	}
	fam.EachFormula(func(_ string, f schema.Formula) { use(f.Text) })
	for name := range fam.Harmless {
		delete(used, name) // its condition decides
	}
	for _, rules := range fam.Params {
		for _, r := range rules {
			for _, name := range append(formula.Names(r.When.Text), formula.Names(r.Value.Text)...) {
				used[name] = true
			}
		}
	}
	var list []string
	var first *hfField
	for _, name := range c.names {
		f := c.byName[name]
		if used[name] || f.ignored || f.falsy() || !c.relevant.MatchString(name) || c.ignored.MatchString(name) || c.harmless(fam, name) {
			continue
		}
		if first == nil {
			first = f
		}
		list = append(list, name)
	}
	if first == nil {
		return nil
	}
	if more := len(list) - diag.MaxShown; more > 0 {
		list = append(list[:diag.MaxShown:diag.MaxShown], fmt.Sprintf("and %d more", more))
	}
	t := c.byName[typeField]
	if unknown {
		return hinted(diag.Errorf(t.pos, "%s %s is not known, and some of its fields affect the cache in a way kvbench does not understand: %s", typeField, &t.Value, strings.Join(list, ", ")), near).
			WithHint("a family in a --models folder can say how to read it; or write a parameter file")
	}
	return diag.Errorf(first.pos, "some fields affect the cache in a way %s does not understand: %s", fam.Name, strings.Join(list, ", ")).
		WithHint("write a parameter file that describes the cache; kvbench models lists the architectures")
}

// harmless reports whether a family says that a field has no effect.
func (c *checkpoint) harmless(fam *schema.Family, name string) bool {
	if slices.Contains(fam.Ignored, name) {
		return true
	}
	f, ok := fam.Harmless[name]
	if !ok || !c.allThere(f) {
		return false
	}
	if c.layers == 0 {
		if v, rule, err := c.first(layersParam, fam.Params[layersParam]); err == nil && rule != nil && v.Kind == formula.Num {
			if n, ok := v.Num.Int64(); ok && n > 0 && n <= maxLayers {
				c.layers = n
			}
		}
	}
	holds, err := c.holds(name, f)
	return err == nil && holds
}

// origin returns the place of the first field that formulas read, else that of
// the file.
func (c *checkpoint) origin(list ...schema.Formula) data.Origin {
	o := data.Origin{Kind: data.FromFile, Pos: diag.Pos{File: c.file}}
	for _, f := range list {
		if field := c.firstField(f, map[string]bool{}); field != nil {
			o.Pos = field.pos
			break
		}
	}
	return o
}

// firstField returns the first field that a formula reads, also through other
// formulas; nil if there is none.
func (c *checkpoint) firstField(f schema.Formula, seen map[string]bool) *hfField {
	for _, name := range formula.Names(f.Text) {
		if seen[name] {
			continue
		}
		seen[name] = true
		var field *hfField
		if sub, ok := c.formulaOf(name); ok {
			field = c.firstField(sub, seen)
		} else {
			field = c.byName[name]
		}
		if field != nil {
			return field
		}
	}
	return nil
}

// formulaOf returns the formula that a name stands for where it is no field: one
// of the common names, or what holds where a field is not mentioned.
func (c *checkpoint) formulaOf(name string) (schema.Formula, bool) {
	if list, ok := c.data.Let[name]; ok {
		for _, f := range list {
			if c.allThere(f) {
				return f, true
			}
		}
		return schema.Formula{}, false
	}
	if c.byName[name] == nil {
		f, ok := c.absent[name]
		return f, ok
	}
	return schema.Formula{}, false
}

// available reports whether a name has a value.
func (c *checkpoint) available(name string) bool {
	if ok, known := c.ready[name]; known {
		return ok
	}
	if c.open[name] {
		return false // it needs itself
	}
	c.open[name] = true
	defer delete(c.open, name)
	ok := name == layerName || name == formatsTable
	if !ok {
		if f, is := c.formulaOf(name); is {
			ok = c.allThere(f)
		} else if c.data.Let[name] == nil {
			field := c.byName[name]
			ok = field != nil && !field.null
		}
	}
	c.ready[name] = ok
	return ok
}

// allThere reports whether all names of a formula have a value.
func (c *checkpoint) allThere(f schema.Formula) bool {
	return !slices.ContainsFunc(formula.Names(f.Text), func(name string) bool { return !c.available(name) })
}

// first returns the value of the first rule that counts, or no rule.
func (c *checkpoint) first(what string, rules []schema.Rule) (formula.Value, *schema.Rule, error) {
	for i := range rules {
		r := &rules[i]
		if !c.allThere(r.When) || !c.allThere(r.Value) {
			continue
		}
		if !r.When.IsZero() {
			ok, err := c.holds(what, r.When)
			if err != nil {
				return formula.Value{}, nil, err
			}
			if !ok {
				continue
			}
		}
		v, err := c.eval(what, r.Value, formula.Any, r.Each)
		return v, r, err
	}
	return formula.Value{}, nil, nil
}

// holds evaluates a condition; one that reads the number of a layer must hold
// for every layer.
func (c *checkpoint) holds(what string, f schema.Formula) (bool, error) {
	if !c.allThere(f) {
		return false, nil
	}
	v, err := c.eval(what, f, formula.Bool, false)
	return v.Bool, err
}

// eval evaluates a formula: once, or for each layer, which gives a list. A
// condition that reads the number of a layer must hold for all of them.
func (c *checkpoint) eval(what string, f schema.Formula, want formula.Kind, each bool) (formula.Value, error) {
	scope := formula.NewScope()
	declared := map[string]bool{}
	var inputs []*hfField
	layered := each
	var declare func(text string) error
	declare = func(text string) error {
		for _, name := range formula.Names(text) {
			if declared[name] {
				continue
			}
			declared[name] = true
			field := c.byName[name]
			sub, is := c.formulaOf(name)
			switch {
			case name == layerName:
				layered = each || want == formula.Bool
				scope.Input(name, formula.Num, diag.Pos{})
			case name == formatsTable:
				keys := schema.Keys(c.data.Formats)
				srcs := make([]formula.Source, len(keys))
				for i, k := range keys {
					srcs[i] = formula.Source{Text: strconv.Quote(c.data.Formats[k])}
				}
				scope.Table(name, keys, srcs, formula.Str)
			case is:
				scope.Formula(name, source(sub), formula.Any)
				if err := declare(sub.Text); err != nil {
					return err
				}
			case field != nil && !field.readable && field.Unfit() != "":
				return diag.Errorf(field.pos, "%s: %s %s", name, &field.Value, field.Unfit())
			case field != nil && !field.readable:
				return diag.Errorf(field.pos, "%s: %s cannot be read: %s needs a number, a text, true or false, or a list of numbers or of texts", name, &field.Value, what)
			case field != nil:
				scope.Input(name, field.value.Kind, diag.Pos{})
				inputs = append(inputs, field)
			}
		}
		return nil
	}
	if err := declare(f.Text); err != nil {
		return formula.Value{}, err
	}
	target := what + "."
	scope.Formula(target, source(f), want)
	prog, err := scope.Compile()
	if err != nil {
		return formula.Value{}, c.blame(what, f, err)
	}
	frame := prog.NewFrame()
	for _, in := range inputs {
		ref, _ := prog.Ref(in.name)
		frame.Set(ref, in.value)
	}
	ref, _ := prog.Ref(target)
	if !layered {
		v, err := frame.Eval(ref)
		if err != nil {
			return v, c.blame(what, f, err)
		}
		return v, nil
	}
	layer, reads := prog.Ref(layerName)
	all := formula.Value{Kind: formula.NumList}
	if want == formula.Bool {
		all = formula.Value{Kind: formula.Bool, Bool: true}
	}
	if c.layers == 0 {
		return all, diag.Errorf(diag.Pos{File: c.file}, "%s cannot be computed: the number of layers is not known", what)
	}
	for i := range c.layers {
		if reads {
			frame.SetNum(layer, formula.Int(i))
		}
		v, err := frame.Eval(ref)
		if err != nil {
			return v, c.blame(what, f, err, fmt.Sprintf("in layer %d", i))
		}
		switch v.Kind {
		case formula.Num:
			all.Nums = append(all.Nums, v.Num)
		case formula.Str:
			all.Kind = formula.StrList
			all.Strs = append(all.Strs, v.Str)
		case formula.Bool:
			if all.Bool = v.Bool; !v.Bool {
				return all, nil
			}
		default:
			return all, c.blame(what, f, diag.Errorf(f.Pos, "yields %s in each layer", v.Kind))
		}
	}
	return all, nil
}

// blame puts the place of the configuration before the error of a formula, and
// names the fields that it reads.
func (c *checkpoint) blame(what string, f schema.Formula, err error, hints ...string) *diag.Diag {
	inner := diag.All(err)[0]
	d := diag.Errorf(c.origin(f).Pos, "%s cannot be computed: %s", what, inner.Msg).About(diag.Formula, what)
	d.Source, d.Caret = inner.Source, inner.Caret
	for _, hint := range slices.Concat(inner.Hints, hints, []string{c.with(f)}) {
		hinted(d, hint)
	}
	return d.WithHint("the formula is at %s", inner.Pos)
}

// commit is the name of a folder of Hugging Face's cache.
var commit = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{40}$`) })

// checkpointName returns the name of a model by the place of its configuration:
// model for model/config.json, org--model.json, and
// models--org--model/snapshots/COMMIT/config.json.
func checkpointName(file string, root *data.Value) string {
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	for _, end := range []string{"_config", "-config", ".config"} {
		name = strings.TrimSuffix(name, end)
	}
	if filepath.Base(file) == checkpointFile {
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
	if v := root.Member(typeField); v != nil && v.Kind == data.Text && v.Text != "" {
		return v.Text
	}
	return "model"
}
