package cli

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"kvbench/engine/diag"
)

// minPrefix is the minimum length of an abbreviated flag name.
const minPrefix = 4

// normalize rewrites a command's arguments for the flag library. It puts all flags first,
// each as --name=value with its full name, followed by any words that do not belong to a
// flag. In args, flags and words may come in any order. takesWords reports whether the
// command accepts words. given contains the names of the flags that were found.
//
// normalize reports all errors, not just the first. If args ask for help, it returns an
// error that wraps [flag.ErrHelp]. The others function returns the name of another command
// that has a flag, or "". The lacks function returns a hint for some flags that no command
// has.
func normalize(args []string, flags []*flagSpec, takesWords bool, others, lacks func(name string) string) (words []string, given map[string]bool, err error) {
	var errs diag.List
	var rest []string
	given = map[string]bool{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if isHelpAll(arg) {
			return nil, nil, errHelpAll
		}
		if isHelp(arg) {
			return nil, nil, flag.ErrHelp
		}
		if takesWords && arg == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' || arg == "--" {
			if takesWords {
				rest = append(rest, arg)
				continue
			}
			errs = append(errs, diag.Usagef("unexpected argument %q: every value must follow a flag", arg))
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		f, err := find(name, flags)
		if err != nil {
			if other := others(strings.ReplaceAll(name, "-", "_")); other != "" {
				err.WithHint("--%s is a flag of %s %s", name, program, other)
			} else if hint := lacks(name); hint != "" {
				err.Hints = []string{hint} // this hint replaces suggestions of similar names
			}
			errs = append(errs, err)
			if !hasValue && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++ // skip what is probably the flag's value
			}
			continue
		}
		switch {
		case hasValue:
		case f.bool:
			value = "true"
			if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") && !takesWords {
				i++
				errs = append(errs, diag.Usagef("unexpected argument %q after --%s, which takes no value", args[i], f.name).
					WithHint("write --%s or --%s=false", f.name, f.name))
			}
		case i+1 == len(args):
			errs = append(errs, diag.Usagef("--%s: missing value", f.name))
		case len(args[i+1]) > 1 && args[i+1][0] == '-' && !looksNegative(args[i+1]):
			errs = append(errs, diag.Usagef("--%s: missing value before %s", f.name, args[i+1]).
				WithHint("to pass a value that begins with a dash, write --%s=%s", f.name, args[i+1]))
		default:
			i++
			value = args[i]
		}
		if given[f.name] && !f.repeat {
			errs = append(errs, diag.Usagef("--%s is given twice", f.name))
		}
		given[f.name] = true
		words = append(words, "--"+f.name+"="+value)
	}
	if len(rest) > 0 {
		words = append(append(words, "--"), rest...)
	}
	return words, given, errs.Err()
}

func looksNegative(s string) bool { return len(s) > 1 && s[1] >= '0' && s[1] <= '9' }

// find resolves a flag's name: '-' and '_' are equivalent, and an exact name
// takes precedence over a prefix that matches only one flag.
func find(name string, flags []*flagSpec) (*flagSpec, *diag.Diag) {
	want := strings.ReplaceAll(name, "-", "_")
	var fits []*flagSpec
	for _, f := range flags {
		if f.name == want || name != "" && f.short == name {
			return f, nil
		}
		if strings.HasPrefix(f.name, want) {
			fits = append(fits, f)
		}
	}
	options := make([]string, len(fits))
	for i, f := range fits {
		options[i] = "--" + f.name
	}
	switch {
	case len(fits) == 1 && len(want) >= minPrefix:
		return fits[0], nil
	case len(fits) > 1 && len(want) >= minPrefix:
		return nil, diag.Usagef("--%s matches several flags: %s", name, strings.Join(options, ", "))
	}
	dashes := "--"
	if len(name) == 1 {
		dashes = "-"
	}
	d := diag.Usagef("unknown flag %s%s", dashes, name)
	switch i := slices.IndexFunc(flags, func(f *flagSpec) bool { return slices.Contains(f.aka, strings.ToLower(want)) }); {
	case i >= 0:
		d.WithHint("did you mean --%s?", flags[i].name)
	case len(fits) == 1 && want != "":
		d.WithHint("did you mean %s?", options[0])
	case len(fits) > 1 && want != "":
		d.WithHint("did you mean one of %s?", someOf(options))
	default:
		names := make([]string, len(flags))
		for i, f := range flags {
			names[i] = f.name
		}
		if near := diag.Nearest(want, names); near != "" {
			d.WithHint("did you mean --%s?", near)
		}
	}
	return nil, d
}

// maxOptions is the maximum number of flags in a hint.
const maxOptions = 8

func someOf(options []string) string {
	text := strings.Join(options[:min(len(options), maxOptions)], ", ")
	if more := len(options) - maxOptions; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
