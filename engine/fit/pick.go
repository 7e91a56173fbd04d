package fit

import (
	"slices"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// Wanted is a nixlbench flag with a value that the user set. The release determines what
// the value means and whether it is valid.
type Wanted struct {
	*schema.Flag
	Text   string
	Origin data.Origin
}

// Picked is the result of [PickRelease].
type Picked struct {
	Release string
	// Note explains why the release is not the default one, or is nil if it is.
	Note *diag.Diag
	// Without contains the flags that the release does not support with the requested value
	// and would not read anyway. These flags are omitted from the command.
	Without []Unread
}

// PickRelease picks the first release, in order of preference beginning with the default
// one, that has every requested flag and value. It ignores flags that the release would not
// read anyway.
func PickRelease(s *schema.Schema, wanted []Wanted) (*Picked, error) {
	p := picker{s: s, n: &s.Nixlbench, reads: map[string][]*flagReads{}}
	for _, w := range wanted {
		w.Text = schema.Spelling(w.Text, schema.Keys(w.Values))
		p.wanted = append(p.wanted, w)
	}
	preferred := p.n.Preferred()
	wanted, err := p.possible(preferred)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(preferred, func(release string) bool { return len(p.lacking(release, wanted)) == 0 })
	if p.err != nil {
		return nil, p.err
	}
	if i < 0 {
		return nil, p.conflict(preferred, wanted)
	}
	out := &Picked{Release: preferred[i]}
	if i > 0 {
		out.Note = diag.Notef(diag.Pos{}, "planned for nixlbench %s: %s", preferred[i], p.reasons(preferred[:min(i, 2)], wanted))
	}
	for _, w := range wanted {
		known := func(u Unread) bool { return u.Flag == w.Flag }
		if !p.has(preferred[i], w) && !slices.ContainsFunc(out.Without, known) {
			out.Without = append(out.Without, Unread{Flag: w.Flag, Origin: w.Origin, Needs: p.unread(preferred[i], w)})
		}
	}
	return out, nil
}

type picker struct {
	s      *schema.Schema
	n      *schema.Nixlbench
	wanted []Wanted
	reads  map[string][]*flagReads // keyed by release; see [readsOfAll]
	err    error                   // the first error from determining which flags are read
}

// unread describes what must be set for a release to read a flag, or returns ""
// if it reads the flag or an equivalent one.
func (p *picker) unread(release string, w Wanted) string {
	all, known := p.reads[release]
	if !known && p.err == nil {
		all, p.err = readsOfAll(p.n, release, p.axes(release))
		p.reads[release] = all
	}
	if p.err != nil || len(all) == 0 || slices.ContainsFunc(all, func(r *flagReads) bool { return len(r.alternatives(w.Name)) > 0 }) {
		return ""
	}
	needs, err := lackedByAll(all, w.Name)
	if err != nil {
		p.err = err
	}
	return needs
}

// axes returns the values of each flag, parsed as a release would parse them.
func (p *picker) axes(release string) []Axis {
	var axes []Axis
	for _, w := range p.wanted {
		era := p.n.FlagIn(w.Flag, release)
		if era == nil {
			era = &w.Eras[0]
		}
		v, err := p.s.ParseValue(w.Flag, era.Type, w.Text)
		if err != nil {
			continue
		}
		if n := len(axes); n == 0 || axes[n-1].Flag != w.Flag {
			axes = append(axes, Axis{Flag: w.Flag})
		}
		last := &axes[len(axes)-1]
		last.Values = append(last.Values, data.Fact{Value: v})
	}
	return axes
}

// has reports whether a release has a flag and supports the requested value.
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

// The does method reports whether a release supports a flag with the requested value, or
// would not read the flag anyway.
func (p *picker) does(release string, w Wanted) bool {
	return p.has(release, w) || p.unread(release, w) != ""
}

func (p *picker) lacking(release string, wanted []Wanted) []Wanted {
	return slices.DeleteFunc(slices.Clone(wanted), func(w Wanted) bool { return p.does(release, w) })
}

// possible returns the flags that at least one release supports with the requested values. It
// returns an error for values outside a flag's list of values. It drops values that no
// release can parse; the code that parses them for the picked release reports the error.
func (p *picker) possible(releases []string) ([]Wanted, error) {
	var wanted []Wanted
	var errs diag.List
	for _, w := range p.wanted {
		values := schema.Keys(w.Values)
		switch {
		case len(values) > 0 && !slices.Contains(values, w.Text):
			errs = append(errs, notAllowed(w.Origin, w.Text, values))
		case slices.ContainsFunc(releases, func(r string) bool { return p.has(r, w) }):
			wanted = append(wanted, w)
		}
	}
	return wanted, errs.Err()
}

// notAllowed returns the error for a value that a flag does not accept. The error lists the
// values that it does accept.
func notAllowed(from data.Origin, text string, values []string) *diag.Diag {
	d := from.Errorf("%q is not allowed: expected one of %s", text, strings.Join(values, ", ")).About(diag.NotAllowed, text)
	d.Suggest(text, values)
	return d
}

// conflict returns the error for flags that no single release supports together. The
// error names only flags that conflict with each other.
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
	d := diag.Errorf(diag.Pos{}, "no nixlbench release supports all of these settings: ")
	for i, w := range wanted {
		words, span := p.words(w)
		where[i] = words + " (" + span + ")"
		d.Usage = d.Usage || w.Origin.Kind == data.FromFlag
	}
	d.Msg += strings.Join(where, ", ")
	return d.WithHint("%s", p.wayOut(releases, wanted))
}

// wayOut suggests how to resolve a conflict. If one of the flags has an equivalent in a
// release that supports all the others, wayOut suggests the equivalent.
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
				return "omit --" + w.Name + ", because --" + instead + " does the same"
			default:
				return "use --" + instead + ", which does the same as --" + w.Name
			}
		}
	}
	return "omit one of them"
}

// words returns a flag in the form that messages use, and the range of releases that have
// it. If some of these releases do not support the flag's value, words adds the value to
// the flag, and returns the range of releases that support both.
func (p *picker) words(w Wanted) (words, span string) {
	words, span = "--"+w.Name, p.n.SpanOfFlag(w.Flag)
	if era, ok := w.Values[w.Text]; ok && p.n.Span(era) != span {
		words, span = words+" "+w.Text, p.n.Span(era)
	}
	if w.Origin.Kind != data.FromFlag {
		words += " from " + w.Origin.String()
	}
	return words, span
}

// reasons describes which requested flags and values the given releases do not have.
func (p *picker) reasons(before []string, wanted []Wanted) string {
	var texts []string
	groups := map[string][]string{} // flags, keyed by the releases that lack them
	for _, w := range wanted {
		without := strings.Join(slices.DeleteFunc(slices.Clone(before), func(r string) bool { return p.does(r, w) }), " or ")
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
