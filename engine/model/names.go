package model

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// maxSuggested is the maximum number of models that an error suggests.
const maxSuggested = 6

// minBegin is the minimum length of a meaningful prefix of a name.
const minBegin = 3

// key returns a name in lower case and without punctuation. Adjacent numbers stay
// separate: 3_8b is not 38b.
func key(name string) string {
	var b strings.Builder
	var last rune
	gap := false
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			gap = true
			continue
		}
		if gap && unicode.IsDigit(last) && unicode.IsDigit(r) {
			b.WriteByte('.')
		}
		b.WriteRune(unicode.ToLower(r))
		last, gap = r, false
	}
	return b.String()
}

var idPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$`)
})

// Complete returns a completion of word for each name that begins with it, ignoring case and
// punctuation. The completions begin with the word as typed.
func Complete(word string, names []string) []string {
	var list []string
	for _, name := range names {
		if rest, ok := continuation(word, name); ok && !slices.Contains(list, word+rest) {
			list = append(list, word+rest)
		}
	}
	return list
}

// continuation returns the rest of a name after a word, and reports whether the word is a
// prefix of the name, ignoring case and punctuation.
func continuation(word, name string) (rest string, ok bool) {
	ends := word == "" || isPunctuation(rune(word[len(word)-1]))
	for i := range len(name) + 1 {
		if key(name[:i]) != key(word) || i < len(name) && !utf8.RuneStart(name[i]) {
			continue
		}
		rest, ok = name[i:], true
		if !ends || i == len(name) || !isPunctuation(rune(name[i])) {
			break // otherwise, name[i] is punctuation that the word already contains
		}
	}
	return rest, ok
}

func isPunctuation(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// isID reports whether a word has the form of a Hugging Face identifier, OWNER/NAME.
func isID(word string) bool { return idPattern().MatchString(word) }

// pasted reports whether a word is a URL, and returns the model identifier in it, or
// "" if there is none.
func pasted(word string) (id string, ok bool) {
	_, rest, ok := strings.Cut(word, "://")
	parts := strings.SplitN(rest, "/", 4)
	if ok && len(parts) >= 3 && isID(parts[1]+"/"+parts[2]) {
		id = parts[1] + "/" + parts[2]
	}
	return id, ok
}

// baseName removes the owner from an identifier.
func baseName(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// named returns the entry with the given name, ignoring case and punctuation.
func named(name string, all []Entry) (Entry, bool) {
	want := key(name)
	i := slices.IndexFunc(all, func(e Entry) bool { return e.Name == name || key(e.Name) == want })
	if i < 0 {
		return Entry{}, false
	}
	return all[i], true
}

// identified returns the entry for a word: a Hugging Face identifier, just the NAME part of
// one, or a known name. The word may also have suffixes that do not change the
// cache.
func (l *Loader) identified(word string, all []Entry) (Entry, bool) {
	names := l.schema.Names.Get()
	if names == nil {
		return Entry{}, false
	}
	for _, w := range withoutSuffixes(word, slices.Concat(names.Suffixes, names.Formats)) {
		e, ok := Entry{}, false
		if name := hasID(names.Models, w); name != "" {
			e, ok = named(name, all)
		} else if name := hasID(names.Same, w); name != "" {
			e, ok = named(name, all)
			e.StandsFor = word
		} else if e, ok = named(w, all); !e.Bundled {
			continue
		}
		cut := strings.ToLower(word[len(w):])
		if slices.ContainsFunc(names.Formats, func(f string) bool { return strings.Contains(cut, strings.ToLower(f)) }) {
			e.Checkpoint = word
		}
		return e, ok
	}
	return Entry{}, false
}

// withoutSuffixes returns a name, followed by the name with one suffix removed, with two
// suffixes removed, and so on.
func withoutSuffixes(name string, suffixes []string) []string {
	list := []string{name}
	for cut := true; cut; {
		cut = false
		for _, s := range suffixes {
			at := len(name) - len(s)
			if at > 1 && strings.EqualFold(name[at:], s) && strings.IndexByte("-_.", name[at-1]) >= 0 {
				name, cut = name[:at-1], true
				list = append(list, name)
				break
			}
		}
	}
	return list
}

// hasID returns the name of the model that has word as one of its identifiers, or "" if
// there is no such model. It compares a word without an owner only with the NAME part of each
// identifier.
func hasID(ids map[string][]string, word string) string {
	for _, model := range schema.Keys(ids) {
		for _, id := range ids[model] {
			if key(id) == key(word) || !strings.Contains(word, "/") && key(baseName(id)) == key(word) {
				return model
			}
		}
	}
	return ""
}

// notFound returns the error for a name that no model has. It suggests models that the user
// may have meant.
func (l *Loader) notFound(name string, all []Entry) error {
	d := diag.Errorf(diag.Pos{}, "no file or known model is named %q", name).HintUnlessEmpty(oneEach(name))
	const list = "run 'kvbench models' to list the known models"
	switch found := l.suggested(name, all); len(found) {
	case 0:
		id := "OWNER/NAME"
		if isID(name) {
			id = name
		}
		return d.WithHint(list).WithHint("for any other model, use --model hf:%s or the path of its config.json", id)
	case 1:
		d.WithHint("did you mean %q?", found[0])
	default:
		d.WithHint("did you mean one of %s?", strings.Join(found[:min(len(found), maxSuggested)], ", "))
	}
	return d.WithHint(list)
}

// suggested returns the names of the models that a wrong name may refer to: the model that has
// the name with a different owner; otherwise, the models whose names begin with the wrong
// name; or else the model with the most similar name. It does not suggest models of a
// different size or version.
func (l *Loader) suggested(name string, all []Entry) []string {
	if names := l.schema.Names.Get(); names != nil {
		list := withoutSuffixes(baseName(name), slices.Concat(names.Suffixes, names.Formats))
		name = list[len(list)-1]
		if model := hasID(names.Models, name); model != "" {
			return []string{model} // the owner was wrong
		}
	}
	var begun, alike []string
	for _, e := range all {
		full := l.modelName(e) // restores the dots that file names omit
		if key(full) != key(e.Name) {
			full = e.Name
		}
		switch word, known := parts(name), parts(full); {
		case len(name) >= minBegin && begins(word, known):
			begun = append(begun, e.Name)
		case sameNumbers(word, known) && !hasMore(word, known):
			alike = append(alike, e.Name)
		}
	}
	if len(begun) == 0 {
		if near := diag.Nearest(name, alike); near != "" {
			return []string{near}
		}
	}
	return slices.Compact(begun)
}

// part is a part of a name: letters, or a number with the letters after it,
// such as 235b.
type part struct {
	digits, letters string
	fraction        bool // the part follows a number and a decimal point
}

func parts(name string) []part {
	var list []part
	name = strings.ToLower(name)
	for i := 0; i < len(name); {
		var p part
		p.fraction = i > 1 && name[i-1] == '.' && isDigit(name[i-2])
		p.digits = name[i:skip(name, i, isDigit)]
		i += len(p.digits)
		p.letters = name[i:skip(name, i, isLetter)]
		i += len(p.letters)
		if p.digits+p.letters == "" {
			i++
			continue
		}
		list = append(list, p)
	}
	return list
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 0x80 }

// skip returns the offset of the first character at or after offset i in s that is not of
// the given kind.
func skip(s string, i int, kind func(byte) bool) int {
	for i < len(s) && kind(s[i]) {
		i++
	}
	return i
}

// sameNumbers reports whether two names contain the same numbers: versions and
// sizes.
func sameNumbers(a, b []part) bool {
	numbers := func(list []part) []part {
		return slices.DeleteFunc(slices.Clone(list), func(p part) bool { return p.digits == "" })
	}
	return slices.EqualFunc(numbers(a), numbers(b), func(p, q part) bool { return p.digits == q.digits })
}

// begins reports whether a name begins with a word that does not end inside a number or
// version: 32b begins with 32 but not with 3, and neither 3n nor 3.1 begins with 3.
func begins(word, name []part) bool {
	last := len(word) - 1
	if last < 0 || last >= len(name) {
		return false
	}
	for i, w := range word {
		n := name[i]
		n.fraction = w.fraction
		switch {
		case w == n:
		case i < last || w.digits != n.digits:
			return false
		case w.digits != "" && n.letters != "b": // billions
			return false
		case !strings.HasPrefix(n.letters, w.letters):
			return false
		}
	}
	return word[last].digits == "" || len(name) == len(word) || !name[len(word)].fraction
}

// hasMore reports whether a word has all the parts of a name and more. Such a word is the name
// of a different model, for example a distilled one.
func hasMore(word, name []part) bool {
	has := func(p part) bool {
		return slices.ContainsFunc(word, func(w part) bool { return w.digits == p.digits && w.letters == p.letters })
	}
	return len(word) > len(name) && !slices.ContainsFunc(name, func(p part) bool { return !has(p) })
}
