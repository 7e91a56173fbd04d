package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/engine/tune"
)

// Tuning is the result of a search for a plan's best settings.
type Tuning struct {
	// Plan is the plan with the default settings, and Best is the plan with the best
	// settings.
	Plan, Best *plan.Plan
	View       schema.View
	Settings   []nixlbench.Setting
	Search     *tune.Search
	// Measure is what the search maximizes. It is measured in multiples of Unit bytes per
	// second.
	Measure schema.Measure
	Unit    int64
	// Ended describes why the search ended.
	Ended string
	// Suspect is the number of runs whose results cannot be trusted.
	Suspect int
	// Link is the name of the link, or "". Bandwidth is its bandwidth in bytes per second, or
	// 0 if unknown.
	Link      string
	Bandwidth int64
	// Command is the command with the best settings, as text for a shell and as words.
	Command string
	Argv    []string
}

// Labels returns a point's settings that differ from the defaults.
func Labels(settings []nixlbench.Setting, p tune.Point) []string {
	var list []string
	for i := range settings {
		if s := &settings[i]; p[i] != s.Default {
			list = append(list, s.Name()+" "+s.Values[p[i]].Text())
		}
	}
	return list
}

// TunedLabel describes a point on one line.
func TunedLabel(settings []nixlbench.Setting, p tune.Point) string {
	list := Labels(settings, p)
	if list == nil {
		return "default"
	}
	return diag.Printable(strings.Join(list, ", "))
}

// TuningText writes the result of a search as text.
func TuningText(w io.Writer, t *Tuning) error {
	if err := Header(w, t.View, t.Plan); err != nil {
		return err
	}
	best := t.Search.Winner()
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "best\t%s\n", t.measured(best))
	if gain, ok := t.Search.Gain(best); !ok {
		fmt.Fprintf(tw, "default\tno trusted result\n")
	} else if def := t.Search.Default(); def == best {
		fmt.Fprintf(tw, "gain\tnone: the default is the best\n")
	} else {
		fmt.Fprintf(tw, "default\t%s\n", t.measured(def))
		fmt.Fprintf(tw, "gain\t%s\n", gainText(gain))
	}
	if t.Bandwidth > 0 {
		more := ""
		if t.share(best) > 1 {
			more = ": more than the link can carry, so not all data went over it"
		}
		fmt.Fprintf(tw, "link\t%.3g%% of %s%s%s\n", 100*t.share(best), rateText(t.Bandwidth), inBrackets(diag.Printable(t.Link)), more)
	}
	tw.Flush()
	fmt.Fprintf(tw, "\nsetting\tbest\tdefault\tother values, compared with the best\n")
	var idle, open []string
	for i := range t.Settings {
		s := &t.Settings[i]
		text, matters, known := t.effects(best, i)
		switch {
		case !known:
			open = append(open, s.Name())
		case !matters:
			idle = append(idle, s.Name())
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", s.Name(), diag.Printable(valueIn(t.Best, s).Text()), diag.Printable(valueIn(t.Plan, s).Text()), diag.Printable(text))
	}
	tw.Flush()
	if idle != nil {
		fmt.Fprintf(w, "\nNo effect beyond the noise: %s\n", strings.Join(idle, ", "))
	}
	if open != nil {
		fmt.Fprintf(w, "\nNot measured: %s\n", strings.Join(open, ", "))
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s\n\n%s", t.counts(), t.ended(), t.Command)
	return err
}

// valueIn returns the value of a setting in a plan. Fitting the plan may have
// changed the value, even the default value.
func valueIn(pl *plan.Plan, s *nixlbench.Setting) formula.Value {
	i := slices.IndexFunc(pl.Flags, func(f fit.Flag) bool { return f.Name == s.Name() })
	return pl.Flags[i].Value
}

// measured describes the measurements of a trial.
func (t *Tuning) measured(trial *tune.Trial) string {
	text := number(trial.Mean()) + " " + t.Measure.Label
	switch n := len(trial.Values); n {
	case 0:
		return "not measured"
	case 1:
		return text + " (1 run)"
	default:
		return fmt.Sprintf("%s (%s to %s in %d runs)", text, number(slices.Min(trial.Values)), number(slices.Max(trial.Values)), n)
	}
}

// number formats a measurement with four significant digits.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// signed formats a relative change in percent.
func signed(v float64) string {
	if math.IsInf(v, 0) {
		return "unlimited"
	}
	text := strconv.FormatFloat(100*v, 'f', 1, 64)
	if v >= 0 && text[0] != '-' {
		text = "+" + text
	}
	return text + "%"
}

func gainText(c tune.Change) string {
	text := signed(c.Mean)
	switch {
	case math.IsInf(c.High, 0):
		return text + ", with too few runs to know the spread"
	case c.Noise():
		text += ", within the noise"
	}
	return fmt.Sprintf("%s (95%% confidence: %s to %s)", text, signed(c.Low), signed(c.High))
}

// effects describes the effects of the other values of a setting. matters reports whether any of
// these values makes a difference, and known reports whether any of them was measured.
func (t *Tuning) effects(best *tune.Trial, setting int) (text string, matters, known bool) {
	values := t.Settings[setting].Values
	var list []string
	for _, e := range t.Search.Effects(best, setting) {
		what := signed(e.Change.Mean)
		switch {
		case e.Refused:
			what = "breaks a limit"
		case e.Failed:
			what, matters, known = "fails", true, true
		case e.Change.Noise():
			what, known = what+" (noise)", true
		default:
			matters, known = true, true
		}
		list = append(list, values[e.Value].Text()+": "+what)
	}
	if list == nil {
		list = []string{"not measured"}
	}
	return strings.Join(list, ", "), matters, known
}

// share returns the fraction of the link's bandwidth that a trial achieved.
func (t *Tuning) share(trial *tune.Trial) float64 {
	return trial.Mean() * float64(t.Unit) / float64(t.Bandwidth)
}

// tally counts the combinations that were measured, that failed, and that were refused.
func (t *Tuning) tally() (measured, failed, refused int) {
	for _, trial := range t.Search.Trials {
		switch {
		case trial.Refused:
			refused++
		case trial.Failed:
			failed++
		default:
			measured++
		}
	}
	return measured, failed, refused
}

func (t *Tuning) counts() string {
	measured, failed, refused := t.tally()
	text := fmt.Sprintf("%s measured %d of %d combinations", plural(t.Search.Runs, "run"), measured, tune.Size(t.Search.Knobs))
	var more []string
	if failed > 0 {
		more = append(more, fmt.Sprintf("%d failed", failed))
	}
	if t.Suspect > 0 && failed > 0 {
		more[0] += fmt.Sprintf(", %d of them with an untrusted result", t.Suspect)
	}
	if refused > 0 {
		more = append(more, fmt.Sprintf("%d not run because of a limit", refused))
	}
	if more != nil {
		text += "; " + strings.Join(more, "; ")
	}
	return text + "."
}

func (t *Tuning) ended() string { return "The search ended because " + t.Ended + "." }

// outcomeWord returns a word for the outcome of a combination.
func outcomeWord(failed, refused bool) string {
	switch {
	case refused:
		return "refused"
	case failed:
		return "failed"
	}
	return "ok"
}

// TuningJSON writes the result of a search as JSON.
func TuningJSON(w io.Writer, t *Tuning) error {
	type trial struct {
		Settings map[string]any `json:"settings"`
		Mean     *float64       `json:"mean"`
		Values   []float64      `json:"values"`
		Status   string         `json:"status"`
	}
	trialOf := func(tr *tune.Trial) *trial {
		out := &trial{Settings: map[string]any{}, Values: append([]float64{}, tr.Values...), Status: outcomeWord(tr.Failed, tr.Refused)}
		for i := range t.Settings {
			out.Settings[t.Settings[i].Name()] = t.Settings[i].Values[tr.Point[i]]
		}
		if len(tr.Values) > 0 {
			mean := tr.Mean()
			out.Mean = &mean
		}
		return out
	}
	type change struct {
		Mean float64  `json:"mean"`
		Low  *float64 `json:"low"`
		High *float64 `json:"high"`
	}
	changeOf := func(c tune.Change) *change {
		out := &change{Mean: c.Mean}
		if !math.IsInf(c.High, 0) {
			out.Low, out.High = &c.Low, &c.High
		}
		return out
	}
	type effect struct {
		Value  any     `json:"value"`
		Change *change `json:"change"`
		Noise  bool    `json:"noise"`
		Status string  `json:"status"`
	}
	type setting struct {
		Name    string   `json:"name"`
		Best    any      `json:"best"`
		Default any      `json:"default"`
		Others  []effect `json:"others"`
		Matters *bool    `json:"matters"`
	}
	type link struct {
		Name      string  `json:"name,omitempty"`
		Bandwidth int64   `json:"bytes_per_s"`
		Share     float64 `json:"share"`
	}
	best := t.Search.Winner()
	measured, failed, refused := t.tally()
	out := struct {
		Measure      string    `json:"measure"`
		Best         *trial    `json:"best"`
		Default      *trial    `json:"default"`
		Gain         *change   `json:"gain"`
		Link         *link     `json:"link"`
		Command      []string  `json:"command"`
		Settings     []setting `json:"settings"`
		Combinations int       `json:"combinations"`
		Runs         int       `json:"runs"`
		Measured     int       `json:"measured"`
		Failed       int       `json:"failed"`
		Suspect      int       `json:"suspect_runs"`
		Refused      int       `json:"refused"`
		Ended        string    `json:"ended"`
		Trials       []*trial  `json:"trials"`
	}{
		Measure: t.Measure.Key, Best: trialOf(best), Default: trialOf(t.Search.Default()), Command: t.Argv,
		Combinations: tune.Size(t.Search.Knobs), Runs: t.Search.Runs, Measured: measured, Failed: failed,
		Suspect: t.Suspect, Refused: refused, Ended: t.Ended, Settings: []setting{},
	}
	if gain, ok := t.Search.Gain(best); ok {
		out.Gain = changeOf(gain)
	}
	if t.Bandwidth > 0 {
		out.Link = &link{t.Link, t.Bandwidth, t.share(best)}
	}
	for i := range t.Settings {
		s := &t.Settings[i]
		one := setting{Name: s.Name(), Best: valueIn(t.Best, s), Default: valueIn(t.Plan, s), Others: []effect{}}
		for _, e := range t.Search.Effects(best, i) {
			other := effect{Value: s.Values[e.Value], Status: outcomeWord(e.Failed, e.Refused)}
			if !e.Failed && !e.Refused {
				other.Change, other.Noise = changeOf(e.Change), e.Change.Noise()
			}
			one.Others = append(one.Others, other)
		}
		if _, matters, known := t.effects(best, i); known {
			one.Matters = &matters
		}
		out.Settings = append(out.Settings, one)
	}
	for _, tr := range t.Search.Trials {
		out.Trials = append(out.Trials, trialOf(tr))
	}
	return JSONText(w, out)
}

// Candidates is what a search would try.
type Candidates struct {
	Plan     *plan.Plan
	View     schema.View
	Settings []nixlbench.Setting
	// MaxRuns is the maximum number of runs.
	MaxRuns int
	// First contains the points that the search begins with. For each of these points,
	// Refused contains the reason not to run it, or nil.
	First   []tune.Point
	Refused []error
	// Command is the command with the default settings, as text for a shell.
	Command string
}

func (c *Candidates) size() int {
	n := 1
	for i := range c.Settings {
		n *= len(c.Settings[i].Values)
	}
	return n
}

// maxFirst is the maximum number of points shown in text.
const maxFirst = 10

// CandidatesText writes, as text, what a search would try.
func CandidatesText(w io.Writer, c *Candidates) error {
	if err := Header(w, c.View, c.Plan); err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "setting\tdefault\tvalues\tsource\n")
	for i := range c.Settings {
		s := &c.Settings[i]
		var values []string
		for _, v := range s.Values {
			values = append(values, v.Text())
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", s.Name(), diag.Printable(s.Values[s.Default].Text()), diag.Printable(strings.Join(values, ", ")), diag.Printable(s.Source))
	}
	tw.Flush()
	fmt.Fprintf(w, "\n%d combinations, at most %d runs. The search begins with:\n", c.size(), c.MaxRuns)
	for i, p := range c.First {
		if i == maxFirst {
			fmt.Fprintf(w, "      and %d more\n", len(c.First)-i)
			break
		}
		fmt.Fprintf(w, "%4d  %s", i+1, TunedLabel(c.Settings, p))
		if err := c.Refused[i]; err != nil {
			fmt.Fprintf(w, "\n      not run: %s", diag.Printable(diag.All(err)[0].Text()))
		}
		fmt.Fprintln(w)
	}
	if c.Command == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nThe command with the default settings:\n%s", c.Command)
	return err
}

// CandidatesJSON writes, as JSON, what a search would try.
func CandidatesJSON(w io.Writer, c *Candidates) error {
	type setting struct {
		Name    string   `json:"name"`
		Flags   []string `json:"flags"`
		Default any      `json:"default"`
		Values  []any    `json:"values"`
		Source  string   `json:"source"`
	}
	type first struct {
		Settings map[string]any  `json:"settings"`
		Refused  json.RawMessage `json:"refused"`
	}
	out := struct {
		Settings     []setting `json:"settings"`
		Combinations int       `json:"combinations"`
		MaxRuns      int       `json:"max_runs"`
		First        []first   `json:"first"`
	}{[]setting{}, c.size(), c.MaxRuns, []first{}}
	for i := range c.Settings {
		s := &c.Settings[i]
		one := setting{Name: s.Name(), Default: s.Values[s.Default], Source: s.Source}
		for _, f := range s.Flags {
			one.Flags = append(one.Flags, f.Name)
		}
		for _, v := range s.Values {
			one.Values = append(one.Values, v)
		}
		out.Settings = append(out.Settings, one)
	}
	for i, p := range c.First {
		one := first{Settings: map[string]any{}, Refused: json.RawMessage("null")}
		for j := range c.Settings {
			one.Settings[c.Settings[j].Name()] = c.Settings[j].Values[p[j]]
		}
		if err := c.Refused[i]; err != nil {
			one.Refused, _ = json.Marshal(diag.All(err)[0].Text())
		}
		out.First = append(out.First, one)
	}
	return JSONText(w, out)
}
