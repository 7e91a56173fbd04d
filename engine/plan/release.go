package plan

import (
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Wanted is a flag of nixlbench as it was given: what the text means, and
// whether it means anything, is up to the release.
type Wanted struct {
	Text   string
	Origin config.Origin
}

// Picked is a release that was picked.
type Picked struct {
	Release string
	// Note says why it is not the default one, nil where it is.
	Note *diag.Diag
	// Without are flags that nixlbench would not read, and that the release lacks,
	// or their values: they are not for its command.
	Without []UnreadFlag
}

// PickRelease picks the release that has every flag and value that is wanted and
// would be read: the default one, else the first that is preferred.
func PickRelease(s *schema.Schema, wanted map[string]Wanted) (*Picked, error) {
	p := picker{s: s, n: &s.Nixlbench, wanted: map[string]Wanted{}, reads: map[string]*flagReads{}}
	for name, w := range wanted {
		w.Text = schema.Spelling(w.Text, schema.Keys(p.n.Flags[name].Values))
		p.wanted[name] = w
	}
	preferred := p.n.Preferred()
	names, err := p.possible(preferred)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(preferred, func(release string) bool { return len(p.lacking(release, names)) == 0 })
	if p.err != nil {
		return nil, p.err
	}
	if i < 0 {
		return nil, p.conflict(preferred, names)
	}
	out := &Picked{Release: preferred[i]}
	if i > 0 {
		out.Note = diag.Notef(diag.Pos{}, "planned for nixlbench %s: %s", preferred[i], p.reasons(preferred[:min(i, 2)], names))
	}
	for _, name := range names {
		if !p.has(preferred[i], name) {
			out.Without = append(out.Without, UnreadFlag{Flag: p.n.Flags[name], Origin: p.wanted[name].Origin, Needs: p.unread(preferred[i], name)})
		}
	}
	return out, nil
}

type picker struct {
	s      *schema.Schema
	n      *schema.Nixlbench
	wanted map[string]Wanted
	reads  map[string]*flagReads // by release
	err    error                 // of the conditions for reading
}

// unread says in words what a release would read a flag with, or "" where it
// reads it or a flag that does the same: then what was given is meant to count.
func (p *picker) unread(release, name string) string {
	r := p.reads[release]
	if r == nil && p.err == nil {
		values := map[string]formula.Value{}
		for name, w := range p.wanted {
			f := p.n.Flags[name]
			era := p.n.FlagIn(f, release)
			if era == nil {
				era = &f.Eras[0]
			}
			if v, err := p.s.ParseValue(f, era.Type, w.Text); err == nil {
				values[name] = config.GoValue(v)
			}
		}
		r, p.err = newFlagReads(p.n, release, values)
		p.reads[release] = r
	}
	if p.err != nil || len(r.instead(name)) > 0 {
		return ""
	}
	needs, err := r.lacks(name)
	if err != nil {
		p.err = err
	}
	return needs
}

// has reports whether a release has a flag with its value.
func (p *picker) has(release, name string) bool {
	f, text := p.n.Flags[name], p.wanted[name].Text
	era := p.n.FlagIn(f, release)
	if era == nil {
		return false
	}
	if _, err := p.s.ParseValue(f, era.Type, text); err != nil {
		return false
	}
	return f.Values == nil || slices.Contains(p.n.ValuesIn(f, release), text)
}

// does reports whether a release has a flag with its value, or can do without.
func (p *picker) does(release, name string) bool {
	return p.has(release, name) || p.unread(release, name) != ""
}

func (p *picker) lacking(release string, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return p.does(release, name) })
}

// possible gives the flags that are in some release with their values. Values
// that no release has are an error, unless the text itself is at fault: whoever
// reads it for a release says so.
func (p *picker) possible(releases []string) ([]string, error) {
	var names []string
	var errs diag.List
	for _, name := range schema.Keys(p.wanted) {
		w, values := p.wanted[name], schema.Keys(p.n.Flags[name].Values)
		switch {
		case len(values) > 0 && !slices.Contains(values, w.Text):
			errs = append(errs, notAllowed(w.Origin, w.Text, values))
		case slices.ContainsFunc(releases, func(r string) bool { return p.has(r, name) }):
			names = append(names, name)
		}
	}
	return names, errs.Err()
}

// notAllowed says which values a flag takes instead of the one given.
func notAllowed(from config.Origin, text string, values []string) *diag.Diag {
	d := from.Errorf("%q is not allowed: want one of %s", text, strings.Join(values, ", "))
	if hint := diag.DidYouMean(text, values); hint != "" {
		d.WithHint("%s", hint)
	}
	return d
}

// conflict says of which flags no release has all. Only those are named that
// are in each other's way.
func (p *picker) conflict(releases, names []string) error {
	for i := 0; i < len(names); {
		others := slices.Delete(slices.Clone(names), i, i+1)
		if slices.ContainsFunc(releases, func(r string) bool { return len(p.lacking(r, others)) == 0 }) {
			i++
			continue
		}
		names = others
	}
	where := make([]string, len(names))
	d := diag.Errorf(diag.Pos{}, "no nixlbench release has everything that was given: ")
	for i, name := range names {
		words, span := p.words(name)
		where[i] = words + " is in " + span
		d.Usage = d.Usage || p.wanted[name].Origin.Kind == config.FromFlag
	}
	d.Msg += strings.Join(where, ", ")
	return d.WithHint("%s", p.wayOut(releases, names))
}

// wayOut says what to give instead: a flag that does the same as one of those in
// conflict and is in some release with all others.
func (p *picker) wayOut(releases, names []string) string {
	for i, name := range names {
		others := slices.Delete(slices.Clone(names), i, i+1)
		for _, instead := range p.n.Flags[name].Instead {
			together := func(r string) bool {
				f := p.n.Flags[instead]
				return f != nil && p.n.FlagIn(f, r) != nil && len(p.lacking(r, others)) == 0
			}
			switch {
			case !slices.ContainsFunc(releases, together):
			case slices.Contains(others, instead):
				return "leave out --" + name + ": --" + instead + " does the same"
			default:
				return "give --" + instead + " instead of --" + name + ": it does the same"
			}
		}
	}
	return "leave one of them out"
}

// words names what a release lacks, the flag or its value, with the releases
// that have it.
func (p *picker) words(name string) (words, span string) {
	f, w := p.n.Flags[name], p.wanted[name]
	words, span = "--"+name, p.n.SpanOfFlag(f)
	if era, ok := f.Values[w.Text]; ok && p.n.Span(era) != span {
		words, span = words+" "+w.Text, p.n.Span(era)
	}
	if w.Origin.Kind != config.FromFlag {
		words += " (" + w.Origin.String() + ")"
	}
	return words, span
}

// reasons say what the releases that would have been taken first lack.
func (p *picker) reasons(before, names []string) string {
	var texts []string
	groups := map[string][]string{} // flags by the releases without them
	for _, name := range names {
		without := strings.Join(slices.DeleteFunc(slices.Clone(before), func(r string) bool { return p.does(r, name) }), " or ")
		if without == "" {
			continue
		}
		if groups[without] == nil {
			texts = append(texts, without)
		}
		words, _ := p.words(name)
		groups[without] = append(groups[without], words)
	}
	for i, without := range texts {
		list, verb := groups[without], " is"
		if n := len(list); n > 1 {
			list, verb = []string{strings.Join(list[:n-1], ", ") + " and " + list[n-1]}, " are"
		}
		texts[i] = list[0] + verb + " not in " + without
	}
	return strings.Join(texts, ", ")
}
