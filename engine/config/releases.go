package config

import (
	"bytes"
	"encoding/json"
	"fmt"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Releases reads a CUE file that describes releases of nixlbench.
func (l *Loader) Releases(file string) (map[string]schema.OwnRelease, error) {
	var found map[string]schema.OwnRelease
	err := l.BoundedCUE(file, func() error {
		p, err := l.Evaluate(file)
		if err != nil {
			return err
		}
		found, err = l.ReleasesIn(file, p.Value)
		return err
	})
	return found, err
}

// ReleasesIn returns the releases in an evaluated CUE file.
func (l *Loader) ReleasesIn(file string, v cue.Value) (map[string]schema.OwnRelease, error) {
	def, err := l.Reader().Package("nixlbench")
	if err != nil {
		return nil, err
	}
	at := diag.Pos{File: file}
	v = v.Unify(def.LookupPath(cue.ParsePath("#ReleasesFile")))
	if err := v.Validate(cue.Concrete(true)); err != nil {
		return nil, data.FromCUE(err, at)
	}
	text, err := v.MarshalJSON()
	if err != nil {
		return nil, data.FromCUE(err, at)
	}
	var doc struct {
		Releases map[string]schema.OwnRelease `json:"releases"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, diag.Errorf(at, "%v", err)
	}
	var errs diag.List
	for _, name := range schema.Keys(doc.Releases) {
		flags := doc.Releases[name].Flags
		for _, flag := range schema.Keys(flags) {
			if own := flags[flag]; !defaultFits(own) {
				pos := data.PosOf(v.LookupPath(cue.MakePath(cue.Str("releases"), cue.Str(name), cue.Str("flags"), cue.Str(flag), cue.Str("default"))).Pos())
				errs = append(errs, diag.Errorf(pos, "%s: the default %v is not a valid %s", flag, own.Default.Text(), own.Type))
			}
		}
	}
	return doc.Releases, errs.Err()
}

// defaultFits reports whether a flag's default matches its type.
func defaultFits(f schema.OwnFlag) bool {
	switch f.Type {
	case "string":
		return f.Default.Kind == formula.Str
	case "bool":
		return f.Default.Kind == formula.Bool
	}
	lo, hi := schema.Range(f.Type)
	n, whole := f.Default.Num.Int64()
	return f.Default.Kind == formula.Num && whole && lo <= n && n <= hi
}

// ReleaseCUE returns a CUE file that defines a release, for [Loader.Releases] to read.
func ReleaseCUE(name string, r schema.OwnRelease) ([]byte, error) {
	var b bytes.Buffer
	quote := literal.String.Quote
	fmt.Fprintf(&b, "releases: %s: {\nlike: %s\nflags: {\n", quote(name), quote(r.Like))
	for _, flag := range schema.Keys(r.Flags) {
		own := r.Flags[flag]
		def := own.Default.Text()
		if own.Default.Kind == formula.Str {
			def = quote(def)
		}
		fmt.Fprintf(&b, "%s: {type: %s, default: %s, help: %s}\n", quote(flag), quote(own.Type), def, quote(own.Help))
	}
	b.WriteString("}\n}\n")
	return format.Source(b.Bytes(), format.Simplify())
}
