package cli

import (
	"slices"
	"strings"

	"kvbench/engine/diag"
)

// ofTests lists variables that only the tests read. The names in the list omit the prefix.
var ofTests = []string{"UPDATE", "FULL", "PYTHON_TOOL"}

// noteEnvironment prints a note on each variable that has kvbench's prefix but does not
// match a flag of any command.
func (a *app) noteEnvironment(environ []string, c *command) {
	var ours []string
	for _, entry := range environ {
		if strings.HasPrefix(entry, envPrefix+"_") {
			ours = append(ours, entry)
		}
	}
	if ours == nil {
		return
	}
	var known []string
	for _, cmd := range append([]*command{c}, a.commands()...) { // so that suggestions prefer the command's own flags
		for _, f := range cmd.flags {
			if !slices.Contains(known, f.name) {
				known = append(known, f.name)
			}
		}
	}
	var notes diag.List
	for _, entry := range ours {
		name, value, _ := strings.Cut(entry, "=")
		word := strings.TrimPrefix(name, envPrefix+"_")
		if word == "" || value == "" || slices.Contains(ofTests, word) || word == strings.ToUpper(word) && slices.Contains(known, strings.ToLower(word)) {
			continue
		}
		d := diag.Notef(diag.Pos{}, "%s has no effect: no flag is named --%s", name, strings.ToLower(word))
		if word != strings.ToUpper(word) && slices.Contains(known, strings.ToLower(word)) {
			d.Msg = name + " has no effect: write it in upper case"
		}
		if near := diag.Nearest(word, known); near != "" {
			d.WithHint("did you mean %s_%s?", envPrefix, strings.ToUpper(near))
		}
		notes = append(notes, d)
	}
	slices.SortFunc(notes, func(x, y *diag.Diag) int { return strings.Compare(x.Msg, y.Msg) })
	a.report(notes.Err())
}
