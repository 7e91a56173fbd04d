package cli

import (
	"context"
	"embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/hub"
	"kvbench/engine/model"
	"kvbench/engine/schema"
	"kvbench/engine/sweep"
)

// shells contains a completion script for each shell. The scripts call completeCommand.
//
//go:embed completion/*
var shells embed.FS

// completeCommand is the hidden command that the scripts call. It prints the
// candidates for the last word, one per line. For a file name, it prints nothing, so the
// shell completes the name.
const completeCommand = "__complete"

var shellNames = []string{"bash", "fish", "zsh"}

// completionCmd prints a completion script.
func (a *app) completionCmd() *command {
	return &command{
		name:     "completion",
		words:    strings.Join(shellNames, "|"),
		short:    "Print a shell completion script",
		complete: func([]string) []string { return shellNames },
		exec: func(_ context.Context, c *command) error {
			if len(c.args) != 1 || !slices.Contains(shellNames, c.args[0]) {
				d := diag.Usagef("expected one of %s", strings.Join(shellNames, ", "))
				if len(c.args) == 1 {
					d.Suggest(c.args[0], shellNames)
				}
				return d
			}
			text, err := shells.ReadFile("completion/" + c.args[0])
			if err == nil {
				_, err = a.stdout.Write(text)
			}
			return err
		},
	}
}

// complete prints the candidates for the last word.
func (a *app) complete(cmds []*command, words []string) error {
	// bash splits --flag=value into three words.
	for i := 1; i < len(words); i++ {
		if words[i] == "=" {
			joined := words[i-1] + "="
			rest := words[i+1:]
			if len(rest) > 0 {
				joined, rest = joined+rest[0], rest[1:]
			}
			words = slices.Concat(words[:i-1], []string{joined}, rest)
			i--
		}
	}
	// bash also splits words at the colon in hf:, and completes only what follows the colon.
	behind := ""
	scheme, colon := strings.TrimSuffix(hub.Scheme, ":"), ":"
	if i := slices.Index(words, colon); i > 0 && i >= len(words)-2 && strings.HasSuffix(words[i-1], scheme) {
		words = append(words[:i-1:i-1], strings.Join(words[i-1:], ""))
		behind = hub.Scheme
	}
	if len(words) == 0 {
		return nil
	}
	for _, word := range a.candidates(cmds, words[:len(words)-1], words[len(words)-1]) {
		fmt.Fprintln(a.stdout, strings.TrimPrefix(word, behind))
	}
	return nil
}

// candidates returns the words that complete current, given the words before it.
func (a *app) candidates(cmds []*command, before []string, current string) []string {
	var names []string
	for _, c := range cmds {
		names = append(names, c.name)
	}
	if len(before) == 0 {
		return withPrefix(names, current)
	}
	if before[0] == "help" {
		return withPrefix(names, current)
	}
	i := slices.Index(names, before[0])
	if i < 0 {
		return nil
	}
	c := cmds[i]
	last := before[len(before)-1]
	if f := flagNamed(c, last); f != nil && !f.bool && len(before) > 1 {
		return a.completeValue(f, before, current)
	}
	if name, value, ok := strings.Cut(current, "="); ok && strings.HasPrefix(name, "-") {
		if f := flagNamed(c, name); f != nil {
			// The scripts expect only the completions of the value.
			return a.completeValue(f, before, value)
		}
		return nil
	}
	if strings.HasPrefix(current, "-") {
		var flags []string
		for _, f := range c.flags {
			name := "--" + f.name
			if strings.Contains(strings.TrimLeft(current, "-"), "-") {
				name = "--" + strings.ReplaceAll(f.name, "_", "-")
			}
			flags = append(flags, name)
		}
		return withPrefix(append(flags, "--help", "--help-all"), current)
	}
	if c.complete == nil {
		return nil
	}
	return withPrefix(c.complete(before[1:]), current)
}

func flagNamed(c *command, word string) *flagSpec {
	if !strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
		return nil
	}
	f, err := find(strings.TrimLeft(word, "-"), c.flags)
	if err != nil {
		return nil
	}
	return f
}

// completeValue completes the value of a flag.
func (a *app) completeValue(f *flagSpec, before []string, current string) []string {
	switch f.name {
	case "model":
		return a.completeModel(before, current)
	case "like":
		return withPrefix(a.archNames(before), current)
	case schema.EngineReleaseVar:
		return withPrefix(a.engineReleases(before), current)
	case "columns", "sort", "match":
		i := strings.LastIndexByte(current, ',') + 1
		if strings.HasPrefix(current[i:], "-") {
			i++
		}
		if f.words != nil { // the columns of a report
			return completeEnd(current, i, f.words())
		}
		return completeEnd(current, i, a.columnNames(before))
	case "where":
		current = strings.TrimLeft(current, `'"`)
		i := len(strings.TrimRight(current, letters+strings.ToUpper(letters)+"_0123456789"))
		return completeEnd(current, i, slices.DeleteFunc(a.columnNames(before), func(name string) bool {
			return slices.Contains(sweep.OwnColumns, name)
		}))
	}
	values := slices.Clone(f.values)
	if f.words != nil { // these may include some of the values
		values = append(values, slices.DeleteFunc(slices.Clone(f.words()), func(word string) bool { return slices.Contains(values, word) })...)
	}
	return withPrefix(values, current)
}

// engineReleases returns the releases of the engine that --engine selects.
func (a *app) engineReleases(before []string) []string {
	f := a.schema.FieldOf(schema.EngineVar)
	engine := schema.Spelling(fileOf(before, f.Flag), f.Known())
	if engine == "" {
		engine = f.Default.Text()
	}
	return append(slices.Clone(a.schema.Cache.Get().Releases[engine]), schema.AutoRelease)
}

const letters = "abcdefghijklmnopqrstuvwxyz"

// completeEnd completes the part of a word that begins at index i.
func completeEnd(word string, i int, names []string) []string {
	list := withPrefix(names, word[i:])
	for j, name := range list {
		list[j] = word[:i] + name
	}
	return list
}

// completeModel completes the name of a model or its identifier on Hugging Face, in
// any spelling that --model accepts.
func (a *app) completeModel(before []string, current string) []string {
	if strings.HasPrefix(current, hub.Scheme) {
		return withPrefix(a.loader().Cached(), current)
	}
	if list := model.Complete(current, a.modelNames(before)); len(list) > 0 {
		return list
	}
	names := a.schema.Names.Get()
	ids := slices.Concat(slices.Concat(slices.Collect(maps.Values(names.Models))...), slices.Concat(slices.Collect(maps.Values(names.Same))...))
	slices.Sort(ids)
	list := model.Complete(current, ids)
	if strings.Contains(current, "/") {
		return slices.DeleteFunc(list, func(id string) bool { return strings.Count(id, "/") != 1 })
	}
	for i, id := range ids {
		_, ids[i], _ = strings.Cut(id, "/")
	}
	return append(list, model.Complete(current, ids)...)
}

// modelNames returns the names of the known models.
func (a *app) modelNames(before []string) []string {
	entries, err := a.loader().Entries(modelDirs(before))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names
}

// archNames returns the names of the known architectures.
func (a *app) archNames(before []string) []string {
	archs, _ := a.loader().Architectures(modelDirs(before))
	var names []string
	for _, l := range archs {
		names = append(names, l.Name)
	}
	return names
}

// columnNames returns the columns that a sweep may have: the columns available for every
// model, and the parameters and formulas of the model that --model specifies.
func (a *app) columnNames(before []string) []string {
	names := slices.Concat(sweep.OwnColumns, quantitiesOf(a.schema), schema.Keys(a.schema.Nixlbench.Flags), []string{schema.NameParam})
	for i := range a.schema.Fields {
		names = append(names, a.schema.Fields[i].Var)
	}
	if file := fileOf(before, "model"); file != "" {
		if model, err := a.loader().Model(file, modelDirs(before)); err == nil {
			for _, p := range model.Arch.Params {
				names = append(names, p.Name)
			}
			names = append(names, schema.Keys(model.Arch.Formulas)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// modelDirs returns the folders that --models or its environment variable specifies.
func modelDirs(words []string) []string {
	name := modelsFlag().name
	dirs := filepath.SplitList(os.Getenv(envPrefix + "_" + strings.ToUpper(name)))
	for i, word := range words {
		if dir, ok := strings.CutPrefix(word, "--"+name+"="); ok {
			dirs = append(dirs, dir)
		} else if word == "--"+name && i+1 < len(words) {
			dirs = append(dirs, words[i+1])
		}
	}
	return dirs
}

// completeModels completes the arguments of "kvbench models", which are "show" and a name.
func (a *app) completeModels(words []string) []string {
	if len(words) == 0 || words[len(words)-1] != "show" {
		return []string{"show"}
	}
	return append(a.modelNames(words), a.archNames(words)...)
}

// explainable returns the arguments that explain accepts: layers, quantities and
// nixlbench flags.
func (a *app) explainable([]string) []string {
	set := map[string]bool{layersWord: true}
	for _, q := range a.schema.Quantities {
		set[q.Name] = true
	}
	for _, name := range schema.Keys(a.schema.Nixlbench.Flags) {
		set[name] = true
	}
	return slices.Sorted(maps.Keys(set))
}

func withPrefix(words []string, prefix string) []string {
	var list []string
	for _, w := range words {
		if strings.HasPrefix(w, prefix) {
			list = append(list, w)
		}
	}
	if len(list) > 0 || prefix == "" {
		return list
	}
	for _, w := range words { // otherwise, ignore case
		if len(w) >= len(prefix) && strings.EqualFold(w[:len(prefix)], prefix) {
			list = append(list, w)
		}
	}
	return list
}
