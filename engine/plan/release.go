package plan

import (
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// Wanted is a flag of nixlbench with a value that it was given: what the text
// means, and whether it means anything, is up to the release.
type Wanted struct {
	*schema.Flag
	Text   string
	Origin config.Origin
}

// PickRelease gives the release that has every flag and value that is wanted:
// the default one, else the first that is preferred. The note, which may be nil,
// says why it is not the default.
func PickRelease(s *schema.Schema, wanted []Wanted) (release string, note *diag.Diag, err error) {
	p := picker{s, &s.Nixlbench}
	preferred := p.n.Preferred()
	wanted, err = p.possible(preferred, wanted)
	if err != nil {
		return "", nil, err
	}
	fits := func(release string) bool { return len(p.lacking(release, wanted)) == 0 }
	i := slices.IndexFunc(preferred, fits)
	if i < 0 {
		return "", nil, p.conflict(preferred, wanted)
	}
	if i > 0 {
		note = diag.Notef(diag.Pos{}, "planned for nixlbench %s: %s", preferred[i], p.reasons(preferred[:min(i, 2)], wanted))
	}
	return preferred[i], note, nil
}

type picker struct {
	s *schema.Schema
	n *schema.Nixlbench
}

// has reports whether a release has a flag with its value.
func (p *picker) has(release string, w Wanted) bool {
	era := p.n.FlagIn(w.Flag, release)
	if era == nil {
		return false
	}
	if _, err := p.s.ParseValue(w.Flag, era.Type, w.Text); err != nil {
		return false
	}
	return w.Values == nil || slices.Contains(p.n.ValuesIn(w.Flag, release), w.Text)
}

func (p *picker) lacking(release string, wanted []Wanted) []Wanted {
	return slices.DeleteFunc(slices.Clone(wanted), func(w Wanted) bool { return p.has(release, w) })
}

// possible gives the flags that are in some release with their values. Values
// that no release has are an error, unless the text itself is at fault: whoever
// reads it for a release says so.
func (p *picker) possible(releases []string, all []Wanted) ([]Wanted, error) {
	var wanted []Wanted
	var errs diag.List
	for _, w := range all {
		values := schema.Keys(w.Values)
		w.Text = schema.Spelling(w.Text, values)
		switch {
		case len(values) > 0 && !slices.Contains(values, w.Text):
			errs = append(errs, notAllowed(w.Origin, w.Text, values))
		case slices.ContainsFunc(releases, func(r string) bool { return p.has(r, w) }):
			wanted = append(wanted, w)
		}
	}
	return wanted, errs.Err()
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
func (p *picker) conflict(releases []string, wanted []Wanted) error {
	for i := 0; i < len(wanted); {
		others := slices.Delete(slices.Clone(wanted), i, i+1)
		if slices.ContainsFunc(releases, func(r string) bool { return len(p.lacking(r, others)) == 0 }) {
			i++
			continue
		}
		wanted = others
	}
	where := make([]string, len(wanted))
	d := diag.Errorf(diag.Pos{}, "no nixlbench release has everything that was given: ")
	for i, w := range wanted {
		words, span := p.words(w)
		where[i] = words + " is in " + span
		d.Usage = d.Usage || w.Origin.Kind == config.FromFlag
	}
	d.Msg += strings.Join(where, ", ")
	return d.WithHint("%s", p.wayOut(releases, wanted))
}

// wayOut says what to give instead: a flag that does the same as one of those in
// conflict and is in some release with all others.
func (p *picker) wayOut(releases []string, wanted []Wanted) string {
	for i, w := range wanted {
		others := slices.Delete(slices.Clone(wanted), i, i+1)
		for _, instead := range w.Instead {
			together := func(r string) bool {
				f := p.n.Flags[instead]
				return f != nil && p.n.FlagIn(f, r) != nil && len(p.lacking(r, others)) == 0
			}
			switch {
			case !slices.ContainsFunc(releases, together):
			case slices.ContainsFunc(others, func(o Wanted) bool { return o.Name == instead }):
				return "leave out --" + w.Name + ": --" + instead + " does the same"
			default:
				return "give --" + instead + " instead of --" + w.Name + ": it does the same"
			}
		}
	}
	return "leave one of them out"
}

// words names what a release lacks, the flag or its value, with the releases
// that have it.
func (p *picker) words(w Wanted) (words, span string) {
	words, span = "--"+w.Name, p.n.SpanOfFlag(w.Flag)
	if era, ok := w.Values[w.Text]; ok && p.n.Span(era) != span {
		words, span = words+" "+w.Text, p.n.Span(era)
	}
	if w.Origin.Kind != config.FromFlag {
		words += " (" + w.Origin.String() + ")"
	}
	return words, span
}

// reasons say what the releases that would have been taken first lack.
func (p *picker) reasons(before []string, wanted []Wanted) string {
	var texts []string
	groups := map[string][]string{} // flags by the releases without them
	for _, w := range wanted {
		without := strings.Join(slices.DeleteFunc(slices.Clone(before), func(r string) bool { return p.has(r, w) }), " or ")
		if without == "" {
			continue
		}
		if groups[without] == nil {
			texts = append(texts, without)
		}
		if words, _ := p.words(w); !slices.Contains(groups[without], words) {
			groups[without] = append(groups[without], words)
		}
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
