package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"kvbench/engine/diag"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
	"kvbench/engine/transfer"
)

// Transfer combines a transfer with the planner to use for advice about it.
type Transfer struct {
	*transfer.Transfer
	Planner *plan.Planner
}

// shownPairs is the maximum number of pairs that a line of text lists.
const shownPairs = 8

// TransferText writes a transfer as text: a line for each set of rank pairs that move the same
// amount, the totals, and advice on making the transfer faster.
func TransferText(w io.Writer, view schema.View, t Transfer) error {
	if err := TransferRows(w, view, t.Transfer.Transfer); err != nil {
		return err
	}
	fmt.Fprintf(w, "%-*s: %s\n\n", view.Width, "Operation", t.Op)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "pairs\tfrom > to\tgroup\tbytes\tdescriptors\tbytes each\ttime")
	for _, alike := range alikePairs(t.Pairs) {
		p := alike[0]
		fmt.Fprintf(tw, "%d\t%s\t%s\t%d\t%d\t%d\t%s\n", len(alike), pairList(alike), diag.Printable(p.Group), p.Bytes, p.Descriptors, p.DescriptorBytes, t.time(p.Micros))
	}
	fmt.Fprintln(tw)
	fmt.Fprintln(tw, "total\tranks\tpairs each\tbytes\tdescriptors\t\ttime")
	for _, side := range []struct {
		name  string
		ranks []transfer.RankLoad
	}{{"from each", t.Sources}, {"into each", t.Destinations}} {
		for _, alike := range alikeRanks(side.ranks) {
			l := alike[0].Load
			fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t\t%s\n", side.name, rankList(alike), l.Pairs, l.Bytes, l.Descriptors, t.time(l.Micros))
		}
	}
	fmt.Fprintf(tw, "all\t\t%d\t%d\t%d\t\t%s\n", t.All.Pairs, t.All.Bytes, t.All.Descriptors, t.time(t.All.Micros))
	if err := tw.Flush(); err != nil {
		return err
	}
	return t.conclusions(w)
}

// TransferRows writes a transfer's values as the lines of a view. The transfer must be the
// planner's most recent one.
func TransferRows(w io.Writer, view schema.View, t *plan.Transfer) error {
	pl := &plan.Plan{Request: t.Request}
	for _, r := range view.Rows {
		if _, ok := pl.Value(r.Value); !ok && r.Value != keyFile {
			continue
		}
		text, err := transferRow(r, pl, t)
		if err != nil {
			return err
		}
		if text != "" || r.Unless == nil {
			fmt.Fprintf(w, "%-*s: %s%s\n", view.Width, r.Label, text, r.Suffix)
		}
	}
	return nil
}

// transferRow returns the text of a row, which may show the value of a transfer formula.
func transferRow(r schema.Row, pl *plan.Plan, t *plan.Transfer) (string, error) {
	if r.Shown == "" {
		return rowText(r, pl)
	}
	v, err := t.Value(r.Shown)
	if err != nil {
		return "", err
	}
	return valueText(r, v, pl), nil
}

// time formats a time, or returns "-" if times are unknown.
func (t *Transfer) time(us int64) string {
	if !t.Timed {
		return "-"
	}
	if text := diag.Duration(us); text != "" {
		return text
	}
	return fmt.Sprintf("%d us", us)
}

func descriptors(n int64) string {
	if n == 1 {
		return "1 descriptor"
	}
	return fmt.Sprintf("%d descriptors", n)
}

// conclusions writes the slowest pair, the numbers that the user asked for, and advice.
func (t *Transfer) conclusions(w io.Writer) error {
	s := t.Slowest
	fmt.Fprintln(w)
	if !t.Timed {
		fmt.Fprintf(w, "Largest pair: %d > %d, %s in %s\n", s.Source, s.Destination, diag.Bytes(s.Bytes), descriptors(s.Descriptors))
		fmt.Fprintln(w, "Advice: set --link or --bandwidth to see times and what would be faster")
		return nil
	}
	fmt.Fprintf(w, "Slowest pair: %d > %d, %s for %s in %s\n", s.Source, s.Destination, t.time(s.Micros), diag.Bytes(s.Bytes), descriptors(s.Descriptors))
	if slices.ContainsFunc(slices.Concat(t.Sources, t.Destinations), func(r transfer.RankLoad) bool { return r.Pairs > 1 }) {
		fmt.Fprintf(w, "The times assume that the pairs of a rank do not share a link. If they do, the transfer takes %s.\n", t.time(t.SharedMicros))
	}
	answers, err := t.answers()
	if err != nil {
		return err
	}
	for _, a := range answers {
		fmt.Fprintln(w, a.text)
	}
	advice, err := t.Advise(t.Planner)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "Advice: "+t.advice(advice))
	return nil
}

// advice formats a piece of advice as one line.
func (t *Transfer) advice(a *transfer.Advice) string {
	text := fmt.Sprintf("descriptors take %d%% of the time", a.DescriptorPercent)
	if a.DescriptorPercent < 50 {
		text = fmt.Sprintf("moving the bytes takes %d%% of the time", 100-a.DescriptorPercent)
	}
	var better []string
	for _, b := range a.Better {
		time := t.time(b.Micros)
		if b.As != "" {
			time = b.As + ": " + time
		}
		flags := fmt.Sprintf("--%s %s", b.Flag, b.Value)
		if b.Also != "" {
			flags += fmt.Sprintf(" --%s %s", b.Also, b.Value)
		}
		better = append(better, fmt.Sprintf("%s (%s)", flags, time))
	}
	switch len(better) {
	case 0:
		return text + "; no change that kvbench tries halves the transfer time"
	case 1:
		return text + "; " + better[0] + " at least halves the transfer time"
	}
	return text + "; each of these at least halves the transfer time: " + strings.Join(better, ", ")
}

// Answers are the quantities that are shown if the user sets fields such as the transfer's
// target.
var Answers = []string{"ttft_percent", "serial_us", "layered_us", "needed_bandwidth"}

// answer is a number that the user asked for.
type answer struct {
	name  string
	value int64
	text  string
}

// answers returns the numbers that are shown only if the user set certain fields, such as the
// transfer's target.
func (t *Transfer) answers() ([]answer, error) {
	var list []answer
	s := t.Slowest
	for _, q := range []struct {
		name, text string
		show       func(int64) string
	}{
		{"ttft_percent", "Share of the time to first token: %s", func(n int64) string { return fmt.Sprintf("%d%%", n) }},
		{"serial_us", "Prefill, then the transfer: %s", t.time},
		{"layered_us", "Prefill, with each layer moved as soon as it is computed: %s", t.time},
		{"needed_bandwidth", "Bandwidth that meets the target: %s", rateText},
	} {
		v, shown, err := t.Quantity(q.name, s.Bytes, s.Descriptors)
		if err != nil {
			return nil, err
		}
		if shown {
			list = append(list, answer{q.name, v, fmt.Sprintf(q.text, q.show(v))})
		}
	}
	if n := len(list); t.Timed && n > 0 && list[n-1].name == "needed_bandwidth" {
		isl, err := t.LongestISL(t.Planner)
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf("Longest input that meets the target: %d tokens", isl)
		if isl == 0 {
			text = "Longest input that meets the target: none"
		}
		list = append(list, answer{"longest_isl", isl, text})
	}
	return list, nil
}

// rateText formats a required bandwidth. It rounds up, because a lower bandwidth would not be
// enough.
func rateText(n int64) string {
	if n == 0 {
		return "none, because the descriptors by themselves take longer"
	}
	step := int64(1)
	for n/step >= 1000 {
		step *= 10
	}
	up := n / step
	if n%step > 0 {
		up++
	}
	return strconv.FormatFloat(float64(up)*float64(step)/1e9, 'f', -1, 64) + " GB/s"
}

// alikePairs groups pairs that move the same amount, in the order of their first pairs.
func alikePairs(pairs []transfer.Pair) [][]transfer.Pair {
	at := map[transfer.Pair]int{}
	var all [][]transfer.Pair
	for _, p := range pairs {
		key := p
		key.Source, key.Destination = 0, 0
		i, ok := at[key]
		if !ok {
			i = len(all)
			at[key] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], p)
	}
	return all
}

func pairList(pairs []transfer.Pair) string {
	var words []string
	for i, p := range pairs {
		if i == shownPairs && len(pairs) > shownPairs {
			words = append(words, "…")
			break
		}
		words = append(words, fmt.Sprintf("%d>%d", p.Source, p.Destination))
	}
	return strings.Join(words, " ")
}

// alikeRanks groups ranks that move the same amount.
func alikeRanks(ranks []transfer.RankLoad) [][]transfer.RankLoad {
	var all [][]transfer.RankLoad
	for _, r := range ranks {
		i := slices.IndexFunc(all, func(list []transfer.RankLoad) bool { return list[0].Load == r.Load })
		if i < 0 {
			i = len(all)
			all = append(all, nil)
		}
		all[i] = append(all[i], r)
	}
	return all
}

// rankList formats sorted ranks as ranges, such as "0-3 8".
func rankList(ranks []transfer.RankLoad) string {
	var words []string
	for i := 0; i < len(ranks); {
		j := i
		for j+1 < len(ranks) && ranks[j+1].Rank == ranks[j].Rank+1 {
			j++
		}
		word := strconv.Itoa(ranks[i].Rank)
		if j > i {
			word += "-" + strconv.Itoa(ranks[j].Rank)
		}
		if len(words) == shownPairs {
			return strings.Join(append(words, "…"), " ")
		}
		words = append(words, word)
		i = j + 1
	}
	return strings.Join(words, " ")
}

// TransferJSON writes transfers as JSON: a single transfer as an object, several as an array.
func TransferJSON(w io.Writer, list []Transfer) error {
	all := make([]map[string]any, len(list))
	for i, t := range list {
		obj, err := t.json()
		if err != nil {
			return err
		}
		if len(list) > 1 {
			obj[keyModel], obj[keyFile] = t.Request.Model.Name, nil
			if file := t.Request.Config.File; file != "" {
				obj[keyFile] = file
			}
		}
		all[i] = obj
	}
	if len(all) == 1 {
		return JSONText(w, all[0])
	}
	return JSONText(w, all)
}

func (t *Transfer) json() (map[string]any, error) {
	pairs := make([]map[string]any, len(t.Pairs))
	for i, p := range t.Pairs {
		pairs[i] = map[string]any{
			"source": p.Source, "destination": p.Destination, "group": p.Group,
			"bytes": p.Bytes, "descriptors": p.Descriptors, "descriptor_bytes": p.DescriptorBytes, "time_us": t.micros(p.Micros),
		}
	}
	totals := t.load(t.All)
	totals["sources"], totals["destinations"] = t.ranks(t.Sources), t.ranks(t.Destinations)
	totals["slowest"] = map[string]any{
		"source": t.Slowest.Source, "destination": t.Slowest.Destination,
		"bytes": t.Slowest.Bytes, "descriptors": t.Slowest.Descriptors, "time_us": t.micros(t.Slowest.Micros),
	}
	totals["shared_link_us"] = t.micros(t.SharedMicros)
	answers, err := t.answers()
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		totals[a.name] = a.value
	}
	obj := map[string]any{"pairs": pairs, "totals": totals}
	for name, v := range t.Flags {
		obj[name] = v
	}
	return obj, nil
}

func (t *Transfer) load(l transfer.Load) map[string]any {
	return map[string]any{"pairs": l.Pairs, "bytes": l.Bytes, "descriptors": l.Descriptors, "time_us": t.micros(l.Micros)}
}

func (t *Transfer) ranks(ranks []transfer.RankLoad) []map[string]any {
	list := make([]map[string]any, len(ranks))
	for i, r := range ranks {
		list[i] = t.load(r.Load)
		list[i]["rank"] = r.Rank
	}
	return list
}

// micros returns a time for JSON, or null if times are unknown.
func (t *Transfer) micros(us int64) any {
	if !t.Timed {
		return nil
	}
	return us
}

// TransferCSV writes a row for each pair of ranks in the transfers.
func TransferCSV(w io.Writer, list []Transfer) error {
	out := csv.NewWriter(w)
	out.Write([]string{schema.NameParam, keyFile, "source", "destination", "group", "bytes", "descriptors", "descriptor_bytes", "time_us"})
	for _, t := range list {
		for _, p := range t.Pairs {
			time := ""
			if t.Timed {
				time = strconv.FormatInt(p.Micros, 10)
			}
			out.Write([]string{
				t.Request.Model.Name, t.Request.Config.File, strconv.Itoa(p.Source), strconv.Itoa(p.Destination), p.Group,
				strconv.FormatInt(p.Bytes, 10), strconv.FormatInt(p.Descriptors, 10), strconv.FormatInt(p.DescriptorBytes, 10), time,
			})
		}
	}
	out.Flush()
	return out.Error()
}
