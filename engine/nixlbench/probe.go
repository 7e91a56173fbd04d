package nixlbench

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// ReadFlags parses the XML document that a program prints when it is asked for its flags.
// Log lines may surround the document.
func ReadFlags(p schema.Probe, data []byte) (map[string]schema.OwnFlag, error) {
	source, err := regexp.Compile(p.Source)
	if err != nil {
		return nil, err
	}
	start := bytes.Index(data, []byte("<AllFlags>"))
	if start < 0 {
		return nil, fmt.Errorf("its output for %s does not list any flags", p.Option)
	}
	dec := xml.NewDecoder(bytes.NewReader(data[start:]))
	dec.Strict = false
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var doc struct {
		Flags []struct {
			File    string `xml:"file"`
			Name    string `xml:"name"`
			Meaning string `xml:"meaning"`
			Default string `xml:"default"`
			Type    string `xml:"type"`
		} `xml:"flag"`
	}
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("its output for %s cannot be parsed: %w", p.Option, err)
	}
	flags := map[string]schema.OwnFlag{}
	for _, f := range doc.Flags {
		if !source.MatchString(f.File) {
			continue
		}
		own := schema.OwnFlag{Type: f.Type, Default: formula.Text(f.Default), Help: strings.Join(strings.Fields(f.Meaning), " ")}
		switch f.Type {
		case "string":
		case "bool":
			own.Default = formula.Truth(f.Default == "true")
		default:
			n, err := strconv.ParseInt(f.Default, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("its flag %s has type %s but default %q", f.Name, f.Type, f.Default)
			}
			own.Default = formula.Number(n)
		}
		flags[f.Name] = own
	}
	if len(flags) == 0 {
		return nil, fmt.Errorf("its output for %s does not list any flags of its own", p.Option)
	}
	return flags, nil
}

// Installed is an installed nixlbench, compared with the known releases.
type Installed struct {
	Flags map[string]schema.OwnFlag
	// Release is the release to make plans for. It is the newest release with exactly the
	// program's flags or, if there is none, the release with the fewest differences.
	Release string
	// Alike lists the releases with exactly the program's flags, oldest first.
	Alike []string
	// Differences lists the differences between the program and Release, sorted by flag.
	Differences []Difference
}

// Difference is a flag that differs between a program and a release. Program or Release
// is nil if that side does not have the flag.
type Difference struct {
	Flag             string
	Program, Release *schema.OwnFlag
}

// String describes the difference.
func (d *Difference) String() string {
	text := func(f *schema.OwnFlag) string { return fmt.Sprintf("%s, default %q", f.Type, f.Default.Text()) }
	switch {
	case d.Program == nil:
		return "--" + d.Flag + " is missing"
	case d.Release == nil:
		return "--" + d.Flag + " is new (" + text(d.Program) + ")"
	}
	return "--" + d.Flag + " is " + text(d.Program) + " instead of " + text(d.Release)
}

// Identify finds the releases whose flags match a program's or, if there are none, the
// closest release.
func Identify(n *schema.Nixlbench, flags map[string]schema.OwnFlag) *Installed {
	in := &Installed{Flags: flags}
	for i := len(n.Releases) - 1; i >= 0; i-- {
		d := Compare(n, n.Releases[i], flags)
		if len(d) == 0 {
			in.Alike = append(in.Alike, n.Releases[i])
		}
		if in.Release == "" || len(d) < len(in.Differences) {
			in.Release, in.Differences = n.Releases[i], d
		}
	}
	slices.Reverse(in.Alike)
	return in
}

// Compare lists the differences between a program's flags and those of a
// release.
func Compare(n *schema.Nixlbench, release string, flags map[string]schema.OwnFlag) []Difference {
	var list []Difference
	for _, f := range n.FlagsOf(release) {
		era := n.FlagIn(f, release)
		want := schema.OwnFlag{Type: era.Type, Default: era.Default, Help: f.Help}
		if got, ok := flags[f.Name]; !ok {
			list = append(list, Difference{Flag: f.Name, Release: &want})
		} else if got.Type != want.Type || got.Default.Text() != want.Default.Text() {
			list = append(list, Difference{Flag: f.Name, Program: &got, Release: &want})
		}
	}
	for _, name := range schema.Keys(flags) {
		f := n.Flags[name]
		if f == nil || n.FlagIn(f, release) == nil {
			got := flags[name]
			list = append(list, Difference{Flag: name, Program: &got})
		}
	}
	slices.SortFunc(list, func(a, b Difference) int { return strings.Compare(a.Flag, b.Flag) })
	return list
}

// Name describes the program by its release, the range of possible releases, or the
// closest release.
func (in *Installed) Name() string {
	switch len(in.Alike) {
	case 0:
		return in.Release + " with differences"
	case 1:
		return in.Release
	}
	return in.Alike[0] + " to " + in.Release
}

// Adapt returns the flags of a plan as they must be passed to the program. If the
// program's default for a flag differs from the plan's value, the flag is set explicitly.
// Adapt also returns the names of flags that the plan needs but the program does not
// have.
func (in *Installed) Adapt(flags []fit.Flag) (adapted []fit.Flag, lacking []string) {
	adapted = slices.Clone(flags)
	for i := range adapted {
		f := &adapted[i]
		own, ok := in.Flags[f.Name]
		if !ok && f.Emit {
			lacking = append(lacking, f.Name)
		}
		if ok && own.Default.Text() != f.Value.Text() {
			f.Emit = true
		}
	}
	return adapted, lacking
}
