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
	"kvbench/engine/schema"
)

// shells holds the scripts that tie completeCommand to a shell.
//
//go:embed completion/*
var shells embed.FS

// completeCommand is what the scripts call: it prints what the last of the
// words may be, a line each; nothing where that is a file.
const completeCommand = "__complete"

var shellNames = []string{"bash", "zsh"}

const completionLong = `
Prints a script that completes commands, flags, their values, model names and
files. For bash:
  source <(kvbench completion bash)
and for zsh, once compinit is loaded:
  source <(kvbench completion zsh)`

// completionCmd prints the scripts.
func (a *app) completionCmd() *command {
	return &command{
		name:     "completion",
		words:    strings.Join(shellNames, "|"),
		short:    "Print a script that completes commands in a shell",
		long:     completionLong,
		complete: func([]string) []string { return shellNames },
		exec: func(_ context.Context, c *command) error {
			if len(c.args) != 1 || !slices.Contains(shellNames, c.args[0]) {
				return diag.Usagef("want one of %s", strings.Join(shellNames, ", "))
			}
			text, err := shells.ReadFile("completion/" + c.args[0])
			if err == nil {
				_, err = a.stdout.Write(text)
			}
			return err
		},
	}
}

// complete prints what the last word may be.
func (a *app) complete(cmds []*command, words []string) error {
	// bash makes three words of --flag=value.
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
	// It breaks words at the colon of hf: as well, and completes what follows.
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

// candidates gives what current may become after the words before it.
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
		return withPrefix(a.valuesOf(f, before, current), current)
	}
	if name, value, ok := strings.Cut(current, "="); ok && strings.HasPrefix(name, "-") {
		if f := flagNamed(c, name); f != nil {
			// bash completes what follows the =, zsh the word.
			return withPrefix(a.valuesOf(f, before, value), value)
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
		return withPrefix(append(flags, "--help"), current)
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

// valuesOf gives the values that a flag may have; current is what is there of it.
func (a *app) valuesOf(f *flagSpec, before []string, current string) []string {
	switch {
	case f.name != "model":
		values := slices.Clone(f.values)
		if len(values) == 0 {
			values = slices.Clone(f.words)
		}
		for i, v := range values {
			values[i], _, _ = strings.Cut(v, " (") // the releases that have it
		}
		return values
	case strings.HasPrefix(current, hub.Scheme):
		return a.loader().Cached()
	case strings.Contains(current, "/"):
		ids := slices.Concat(slices.Collect(maps.Values(a.schema.Names.Get().Models))...)
		slices.Sort(ids)
		return ids
	}
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

// modelDirs gives the folders that the words and the environment name.
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

// completeModels completes show NAME.
func (a *app) completeModels(words []string) []string {
	if len(words) == 0 || words[len(words)-1] != "show" {
		return []string{"show"}
	}
	names := a.valuesOf(&flagSpec{name: "model"}, words, "")
	for _, arch := range a.schema.Architectures {
		names = append(names, arch.Name)
	}
	return names
}

// explainable lists what explain takes: quantities and flags.
func (a *app) explainable([]string) []string {
	set := map[string]bool{}
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
	for _, w := range words { // values are found in any case
		if len(w) >= len(prefix) && strings.EqualFold(w[:len(prefix)], prefix) {
			list = append(list, w)
		}
	}
	return list
}
