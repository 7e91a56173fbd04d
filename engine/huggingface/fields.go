// Package huggingface converts Hugging Face configurations (config.json) to parameter
// documents. The schema's data defines what the fields mean; see [schema.Family] and
// [schema.Checkpoints].
package huggingface

import (
	"slices"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// maxCells is the maximum total number of values in a configuration's lists of mappings.
const maxCells = 1_000_000

// field is a field in a configuration. Formulas treat a null field as missing, although
// the configuration mentions it. If a field is not readable, formulas cannot use its
// value.
type field struct {
	name string
	pos  diag.Pos
	data.Value
	value    formula.Value
	readable bool
	null     bool
	ignored  bool // part of a mapping that does not affect the cache
}

// falsy reports whether the value of a field means "none".
func (f *field) falsy() bool {
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

// fields contains the fields of a file, keyed by their flattened names, and a list of the
// names in order.
type fields struct {
	byName map[string]*field
	names  []string
	cells  *int // number of values in lists of mappings so far
	// ignored reports whether the field with the given name does not affect the cache. Fields
	// inside an ignored mapping do not affect it either.
	ignored func(name string) bool
	within  bool // whether the fields being added are within an ignored mapping
}

func newFields(cells *int, ignored func(name string) bool) *fields {
	return &fields{byName: map[string]*field{}, cells: cells, ignored: ignored}
}

// set adds a field. It replaces a field with the same name, unless the new one is null.
func (fs *fields) set(f *field) {
	f.ignored = fs.within
	old := fs.byName[f.name]
	if old == nil {
		fs.names = append(fs.names, f.name)
	}
	if old == nil || !f.null {
		fs.byName[f.name] = f
	}
}

// flatten adds the fields of a mapping. The names of fields in a nested mapping are
// prefixed with the name of the mapping.
func (fs *fields) flatten(prefix string, v *data.Value) {
	for i := range v.Fields {
		f := &v.Fields[i]
		pos := f.Pos
		if pos.Line == 0 {
			pos = f.Key
		}
		fs.add(prefix+f.Name, &f.Value, pos)
	}
}

func (fs *fields) add(name string, v *data.Value, pos diag.Pos) {
	f := &field{name: name, pos: pos, Value: *v, null: v.Kind == data.Null}
	switch v.Kind {
	case data.Mapping:
		within := fs.within
		fs.within = within || fs.ignored(name)
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

// columns adds the fields of a list of mappings. The value of a field is the list of its
// values in all mappings. In this list, true is represented as 1, and a missing value as
// 0 or the empty string. Once the configuration has more than maxCells such values,
// further fields are not readable.
func (fs *fields) columns(name string, list *data.Value, pos diag.Pos) {
	rows := make([]*fields, len(list.Items))
	all := newFields(nil, nil) // used only for the names of all fields
	for i := range list.Items {
		rows[i] = newFields(fs.cells, fs.ignored)
		rows[i].flatten(name+"_", &list.Items[i])
		for _, n := range rows[i].names {
			all.set(rows[i].byName[n])
		}
	}
	*fs.cells += len(all.names) * len(rows)
	for _, n := range all.names {
		f := &field{name: n, pos: pos, Value: *list}
		if *fs.cells <= maxCells {
			f.value, f.readable = column(n, rows)
		}
		fs.set(f)
	}
}

// column returns the list of a field's values in all rows. ok is false if formulas could
// not read such a list.
func column(name string, rows []*fields) (list formula.Value, ok bool) {
	list.Kind = formula.NumList
	for _, row := range rows {
		if cell := row.byName[name]; cell != nil && cell.readable && cell.value.Kind == formula.Str {
			list.Kind = formula.StrList
		}
	}
	for _, row := range rows {
		v := formula.Value{}
		if cell := row.byName[name]; cell != nil && !cell.null {
			if !cell.readable {
				return list, false
			}
			v = cell.value
		}
		if v.Kind == formula.Bool {
			v = formula.Number(map[bool]int64{true: 1}[v.Bool])
		}
		switch {
		case list.Kind == formula.StrList && (v.Kind == formula.Str || v.Kind == formula.Any):
			list.Strs = append(list.Strs, v.Str)
		case list.Kind == formula.NumList && (v.Kind == formula.Num || v.Kind == formula.Any):
			list.Nums = append(list.Nums, v.Num)
		default:
			return list, false
		}
	}
	return list, true
}
