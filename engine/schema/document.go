package schema

import (
	"slices"
	"sort"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	cueerrors "cuelang.org/go/cue/errors"

	"kvbench/engine/data"
	"kvbench/engine/diag"
)

// DropUnknown reports and removes the leaves whose paths are not known paths, nor above or
// below one, so that CUE can then report the other errors. If alias is not nil, it returns the
// path that a name (such as a flag's name) refers to, or a hint if there is no such path.
func DropUnknown(d *data.Document, known []string, alias func(name string) (path, hint string), what string) error {
	var errs diag.List
	more := 0 // further errors are only counted, because finding similar names takes time
	reported := map[string]bool{}
	kept := d.Leaves[:0]
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k[strings.LastIndexByte(k, '.')+1:]
	}
next:
	for _, l := range d.Leaves {
		for _, k := range known {
			if l.Path == k || strings.HasPrefix(l.Path, k+".") || strings.HasPrefix(k, l.Path+".") {
				kept = append(kept, l)
				continue next
			}
		}
		// The unknown key may be the section that contains this leaf.
		if i := strings.IndexByte(l.Path, '.'); i > 0 {
			top := l.Path[:i]
			pos, ok := d.Sections[top]
			if ok && !slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, top+".") }) {
				if reported[top] {
					continue
				}
				reported[top] = true
				if len(errs) == diag.MaxShown {
					more++
				} else {
					e := diag.Errorf(pos, "unknown key %q: %s", top, what).About(diag.Unknown, top)
					var tops []string
					for _, k := range known {
						k, _, _ = strings.Cut(k, ".")
						tops = append(tops, k)
					}
					if !e.Suggest(top, tops) {
						e.WithHint("expected one of %s", strings.Join(slices.Compact(tops), ", "))
					}
					errs = append(errs, e)
				}
				continue
			}
		}
		if len(errs) == diag.MaxShown {
			more++
			continue
		}
		e := l.Origin.Errorf("unknown key %q: %s", l.Path, what).About(diag.Unknown, l.Path)
		if l.Key.Line > 0 {
			e.Pos = l.Key
		}
		last := l.Path[strings.LastIndexByte(l.Path, '.')+1:]
		near, hint := "", ""
		if alias != nil {
			near, hint = alias(last)
		}
		if hint != "" {
			e.WithHint("%s", hint)
		}
		if near == "" && hint == "" {
			near = diag.Nearest(l.Path, known)
		}
		if near == "" && hint == "" { // the right name in the wrong section
			if n := diag.Nearest(last, names); n != "" {
				for i := range names {
					if names[i] == n {
						near = known[i]
					}
				}
			}
		}
		if near != "" {
			e.WithHint("did you mean %q?", near)
			d.Meant = append(d.Meant, near)
		}
		errs = append(errs, e)
	}
	d.Leaves = kept
	errs.Add(diag.More(d.File, more))
	return errs.Err()
}

// Judge checks a document against a definition and describes the errors that CUE finds.
// allowed returns a description of the values allowed at a path, and a list of the allowed
// words.
func Judge(d *data.Document, def cue.Value, allowed func(path string) (string, []string)) error {
	v := data.NewContext().BuildExpr(d.Expr())
	err := def.Unify(v).Validate(cue.Concrete(true))
	if err == nil {
		return nil
	}
	var errs diag.List
	more := 0
	seen := map[string]bool{}
	for _, e := range cueerrors.Errors(err) {
		if len(errs) == diag.MaxShown {
			more++
			continue
		}
		at := strings.Join(data.TrimPath(e.Path()), ".")
		l := d.Leaf(at)
		for p := at; l == nil && p != ""; { // inside a leaf, such as an item of a list
			p = p[:max(0, strings.LastIndexByte(p, '.'))]
			l = d.Leaf(p)
		}
		name := at
		if l != nil {
			l = itemAt(l, at)
			name = l.Path
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		want, words := allowed(at)
		switch {
		case l == nil:
			if pos, ok := d.Sections[at]; ok {
				errs = append(errs, diag.Errorf(pos, "%s: a mapping is not allowed: expected %s", at, want).About(diag.NotAllowed, at))
				continue
			}
			format, args := e.Msg()
			if strings.Contains(format, "incomplete value") && !strings.Contains(at, ".") {
				continue // reported by Missing
			}
			if strings.Contains(format, "field is required") {
				if strings.Contains(at, ".") { // Missing reports top-level fields
					errs = append(errs, diag.Errorf(diag.Pos{File: d.File}, "%s is missing: set it to %s", at, want).About(diag.Missing, at))
				}
				continue
			}
			msg := diag.Errorf(diag.Pos{File: d.File}, format, args...).About(diag.NotAllowed, at)
			msg.Subject = at
			errs = append(errs, msg)
		case l.Kind == data.Whole && l.Unfit() != "":
			errs = append(errs, l.Origin.Errorf("%s%s does not fit in 64 bits: expected %s", l.Label(), &l.Value, want).About(diag.NotAllowed, name))
		default:
			msg := l.Origin.Errorf("%s%s is not allowed: expected %s", l.Label(), &l.Value, want).About(diag.NotAllowed, name)
			if l.Kind == data.Text {
				msg.Suggest(l.Text, words)
			}
			if plain := plainer(l.Text); plain != "" && l.Kind == data.Text && strings.Contains(want, "number") {
				msg.WithHint("write %s", plain)
			}
			errs = append(errs, msg)
		}
	}
	sort.SliceStable(errs, func(i, j int) bool { return errs[i].Pos.Line < errs[j].Pos.Line })
	errs.Add(diag.More(d.File, more))
	return errs.Err()
}

// itemAt returns the item of a list at a path, or the leaf itself if there is no such item.
func itemAt(l *data.Leaf, at string) *data.Leaf {
	i, err := strconv.Atoi(strings.TrimPrefix(at, l.Path+"."))
	if err != nil || i < 0 || i >= len(l.Items) {
		return l
	}
	item := &data.Leaf{Path: at, Value: l.Items[i], Origin: l.Origin}
	if item.Pos.Line > 0 && l.Origin.Pos.Line > 0 {
		item.Pos.File = l.Origin.Pos.File
		item.Origin.Pos = item.Pos
	}
	return item
}

// IsPlain reports whether a document is certainly valid: all required leaves exist, and each
// leaf matches its type. IsPlain does not use CUE.
func IsPlain(d *data.Document, typeOf func(path string) *Type, required []string) bool {
	if slices.ContainsFunc(required, func(name string) bool { return d.Leaf(name) == nil }) {
		return false
	}
	return !slices.ContainsFunc(d.Leaves, func(l data.Leaf) bool {
		t := typeOf(l.Path)
		return t == nil || !t.Takes(&l.Value)
	})
}

// Missing reports the required fields of a definition that the document lacks, except those
// in d.Meant.
func Missing(d *data.Document, def cue.Value, at diag.Pos, allowed func(path string) (string, []string)) error {
	iter, err := def.Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	var errs diag.List
	for iter.Next() {
		name := iter.Selector().Unquoted()
		optional := iter.Selector().ConstraintType() == cue.OptionalConstraint
		if optional || iter.Value().IsConcrete() || slices.Contains(d.Meant, name) {
			continue
		}
		if !slices.ContainsFunc(d.Leaves, func(l data.Leaf) bool { return l.Path == name || strings.HasPrefix(l.Path, name+".") }) {
			want, _ := allowed(name)
			errs = append(errs, diag.Errorf(at, "%s is missing: set it to %s", name, want).About(diag.Missing, name))
		}
	}
	return errs.Err()
}
