package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// ExplainText writes an explanation of how the numbers in each plan are
// computed.
func ExplainText(w io.Writer, view schema.View, all []*plan.Explanation) error {
	for i, e := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := Header(w, view, e.Plan); err != nil {
			return err
		}
		t := newTree(w)
		for _, s := range e.Quantities {
			t.step(s, 0)
		}
		fmt.Fprintf(w, "\nflags of nixlbench %s that differ from its defaults\n", diag.Printable(e.Plan.Release))
		for _, f := range e.Flags {
			if !f.Emit {
				continue
			}
			fmt.Fprintf(w, "--%s %s%s: %s\n", f.Name, diag.Printable(f.Value.Text()), unit(f.Unit), diag.Printable(f.Reason))
			if f.Step != nil {
				t.formula(f.Step, 1)
			}
		}
		fmt.Fprintf(w, "\nlimits of nixlbench %s\n", diag.Printable(e.Plan.Release))
		for _, l := range e.Limits {
			fmt.Fprintf(w, "%s %s: %s\n", mark(l.Holds), l.Name, diag.Printable(sides(&l)))
			if l.Right == nil && l.Values != "" {
				fmt.Fprintf(w, "    = %s\n", diag.Printable(l.Values))
			}
			if !l.Holds {
				fmt.Fprintf(w, "    nixlbench %s\n", diag.Printable(l.Message))
				for _, part := range l.Parts {
					t.step(part, 1)
				}
			}
		}
	}
	return nil
}

// maxLines is the maximum number of lines that explain one value, so that they fit on a
// screen or two.
const maxLines = 60

// Answer describes how one value is computed in plans that all compute it in the same way.
type Answer struct {
	Plans []*plan.Plan
	Step  *plan.Step
}

// Distinct combines answers with the same explanation, such as those for several I/Os of one
// request.
func Distinct(all []plan.Answer) []*Answer {
	var out []*Answer
	t := newTree(nil)
	at := map[int]*Answer{}
	for _, a := range all {
		id := t.id(a.Step)
		if at[id] == nil {
			at[id] = &Answer{Step: a.Step}
			out = append(out, at[id])
		}
		at[id].Plans = append(at[id].Plans, a.Plan)
	}
	return out
}

// title names the plans.
func (a *Answer) title() string {
	var titles []string
	for _, pl := range a.Plans {
		titles = append(titles, planTitle(pl))
	}
	return strings.Join(slices.Compact(titles), "; ")
}

// AnswerText writes the answers about one request. If they take too many lines, AnswerText omits
// the deepest steps and says so. If titles is set, each answer begins with the names of its
// plans.
func AnswerText(w io.Writer, answers []*Answer, titles bool) {
	t := newTree(w)
	steps := make([]*plan.Step, len(answers))
	for i, a := range answers {
		steps[i] = a.Step
	}
	other := 2*len(answers) + 1 // lines that explain nothing
	if titles {
		other += len(answers)
	}
	cut := t.choose(steps, other)
	for i, a := range answers {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if titles {
			fmt.Fprintf(w, "%s:\n", diag.Printable(a.title()))
		}
		t.step(a.Step, 0)
	}
	if cut {
		fmt.Fprint(w, "\nThe steps that compute values marked with … are not shown. To see them, explain such a value by its name, or use --format markdown.\n")
	}
}

// choose selects the steps to explain, starting at the top, so that at most maxLines lines
// are printed, including the given number of other lines. It reports whether it omitted any
// steps.
func (t *tree) choose(steps []*plan.Step, lines int) bool {
	t.chosen = map[int]bool{}
	cut := false
	for queue := steps; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		id := t.id(s)
		if isGiven(s) || t.chosen[id] {
			continue
		}
		lines += formulaLines(s) + len(s.Parts)
		if lines > maxLines && len(t.chosen) >= len(steps) {
			cut = true
			lines -= formulaLines(s) + len(s.Parts)
			continue
		}
		t.chosen[id] = true
		queue = append(queue, s.Parts...)
	}
	return cut
}

func mark(holds bool) string {
	if holds {
		return "holds "
	}
	return "broken"
}

// sides formats a limit with the numbers on both sides.
func sides(l *plan.LimitStep) string {
	if l.Right == nil {
		return oneLine(l.Require.Text)
	}
	return side(l.Left) + " " + l.Operator + " " + side(l.Right)
}

func side(s *formula.Side) string {
	if s.Text == "'"+s.Value.Str+"'" {
		return s.Text
	}
	if v := s.Value.String(); v != s.Text {
		return s.Text + " (" + v + ")"
	}
	return s.Text
}

func unit(u string) string {
	if u == "" || u == "1" {
		return ""
	}
	return " " + u
}

// tree writes steps, with their parts indented below them. It explains identical steps only
// once.
type tree struct {
	w    io.Writer
	seen map[int]bool
	// chosen contains the steps to explain; nil means all steps.
	chosen map[int]bool
	ids    map[*plan.Step]int
	byText map[string]int
}

func newTree(w io.Writer) *tree {
	return &tree{w: w, seen: map[int]bool{}, ids: map[*plan.Step]int{}, byText: map[string]int{}}
}

// id identifies a step together with everything below it. The name is not enough,
// because a per-layer value may have the same name in two groups.
func (t *tree) id(s *plan.Step) int {
	if id, ok := t.ids[s]; ok {
		return id
	}
	text := key(s)
	for _, part := range s.Parts {
		text += fmt.Sprintf("\n%d", t.id(part))
	}
	id, ok := t.byText[text]
	if !ok {
		id = len(t.byText)
		t.byText[text] = id
	}
	t.ids[s] = id
	return id
}

// isGiven reports whether a step is an input rather than computed from other values.
func isGiven(s *plan.Step) bool {
	return s.Formula == "" || len(s.Parts) == 0 && s.Values == s.Formula && s.Origin != ""
}

func (t *tree) step(s *plan.Step, depth int) {
	indent := strings.Repeat("    ", depth)
	line := indent + diag.Printable(s.Name) + " = " + diag.Printable(s.Value.String()) + unit(s.Unit)
	if n, whole := s.Value.Num.Int64(); whole && s.Unit == "us" {
		line += inBrackets(diag.Duration(n))
	}
	id := t.id(s)
	switch {
	case isGiven(s):
		fmt.Fprintf(t.w, "%s: %s\n", line, diag.Printable(s.Origin))
	case t.seen[id]:
		fmt.Fprintf(t.w, "%s: see above\n", line)
	case t.chosen != nil && !t.chosen[id]:
		fmt.Fprintf(t.w, "%s …\n", line)
	default:
		t.seen[id] = true
		fmt.Fprintln(t.w, line)
		t.formula(s, depth+1)
	}
}

// key returns a string that identifies a step, without its parts.
func key(s *plan.Step) string {
	return s.Name + "\n" + s.Formula + "\n" + s.Values + "\n" + s.Value.String()
}

// formula writes the formula of a step, the formula with values instead of names, and the step's
// parts.
func (t *tree) formula(s *plan.Step, depth int) {
	indent := strings.Repeat("    ", depth)
	at := ""
	if s.Origin != "" {
		at = "    [" + s.Origin + "]"
	}
	fmt.Fprintf(t.w, "%s= %s%s\n", indent, diag.Printable(oneLine(s.Formula)), diag.Printable(at))
	if formulaLines(s) == 2 {
		fmt.Fprintf(t.w, "%s= %s\n", indent, diag.Printable(oneLine(s.Values)))
	}
	for _, part := range s.Parts {
		t.step(part, depth)
	}
}

// formulaLines returns the number of lines needed for a step's formula, with and without
// values.
func formulaLines(s *plan.Step) int {
	if s.Values != s.Formula && oneLine(s.Values) != s.Value.String() {
		return 2
	}
	return 1
}

// oneLine joins the lines of a formula into one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// ExplainMarkdown writes tables that explain how the numbers in each plan are computed.
func ExplainMarkdown(w io.Writer, view schema.View, all []*plan.Explanation) error {
	for i, e := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := markdownRows(w, view, e.Plan); err != nil {
			return err
		}
		fmt.Fprint(w, "\n\n"+stepHeading)
		seen := map[string]bool{}
		for _, s := range e.Quantities {
			markdown(w, s, seen)
		}
		for _, f := range e.Flags {
			if f.Emit && f.Step != nil && f.From == fit.Fix {
				markdown(w, f.Step, seen)
			}
		}
		fmt.Fprint(w, "\n| flag | value | why |\n|---|---|---|\n")
		for _, f := range e.Flags {
			if f.Emit {
				fmt.Fprintf(w, "| `--%s` | %s%s | %s |\n", cell(f.Name), code(f.Value.Text()), unit(f.Unit), cell(f.Reason))
			}
		}
		fmt.Fprint(w, "\n| limit | condition | holds |\n|---|---|---|\n")
		for _, l := range e.Limits {
			fmt.Fprintf(w, "| %s | %s | %v |\n", l.Name, code(sides(&l)), l.Holds)
		}
	}
	return nil
}

// markdownRows writes the values of a view on one line, without a newline.
func markdownRows(w io.Writer, view schema.View, pl *plan.Plan) error {
	for i, r := range rowsOf(view, pl) {
		if _, ok := pl.Value(r.Value); !ok && r.Optional {
			continue
		}
		text, err := rowText(r, pl)
		if err != nil {
			return err
		}
		if text == "" && r.Unless != nil {
			continue
		}
		if i > 0 {
			fmt.Fprint(w, ", ")
		}
		fmt.Fprintf(w, "%s: %s%s", r.Label, text, r.Suffix)
	}
	return nil
}

const stepHeading = "| value | formula | with values | result | from |\n|---|---|---|---|---|\n"

// AnswerMarkdown writes a table for each answer. If titles is set, the heading of each table
// contains the names of the answer's plans.
func AnswerMarkdown(w io.Writer, answers []*Answer, titles bool) {
	for i, a := range answers {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if titles {
			fmt.Fprintf(w, "## %s\n\n", cell(a.title()))
		}
		fmt.Fprint(w, stepHeading)
		markdown(w, a.Step, map[string]bool{})
	}
}

func markdown(w io.Writer, s *plan.Step, seen map[string]bool) {
	if seen[key(s)] {
		return
	}
	seen[key(s)] = true
	formula, values := "", ""
	if s.Formula != "" {
		formula, values = code(oneLine(s.Formula)), code(oneLine(s.Values))
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s%s | %s |\n", cell(s.Name), formula, values, code(s.Value.String()), unit(s.Unit), cell(s.Origin))
	for _, part := range s.Parts {
		markdown(w, part, seen)
	}
}

func code(s string) string { return "`" + cell(strings.ReplaceAll(s, "`", "'")) + "`" }

func cell(s string) string { return strings.ReplaceAll(diag.Printable(s), "|", "\\|") }

// jsonStep is the JSON form of a step.
type jsonStep struct {
	Name    string     `json:"name"`
	Value   any        `json:"value"`
	Unit    string     `json:"unit,omitempty"`
	Formula string     `json:"formula,omitempty"`
	Values  string     `json:"values,omitempty"`
	Origin  string     `json:"origin"`
	Parts   []jsonStep `json:"parts,omitempty"`
}

func newJSONStep(s *plan.Step) jsonStep {
	out := jsonStep{s.Name, exact(s.Value), s.Unit, s.Formula, s.Values, s.Origin, nil}
	for _, part := range s.Parts {
		out.Parts = append(out.Parts, newJSONStep(part))
	}
	return out
}

// exact converts a value so that it can be encoded as JSON. Fractions and lists become strings.
func exact(v formula.Value) any {
	if _, whole := v.Num.Int64(); v.Kind == formula.Num && !whole || v.Kind > formula.Bool {
		return v.String()
	}
	return v
}

// AnswersJSON writes the answers as a JSON array. If titles is set, each answer contains the
// names of its plans.
func AnswersJSON(w io.Writer, answers []*Answer, titles bool) error {
	type answer struct {
		Plans string `json:"plans,omitempty"`
		jsonStep
	}
	list := make([]answer, len(answers))
	for i, a := range answers {
		list[i].jsonStep = newJSONStep(a.Step)
		if titles {
			list[i].Plans = a.title()
		}
	}
	return JSONText(w, list)
}

// ExplainJSON writes, as JSON, an explanation of how the numbers in each plan
// are computed.
func ExplainJSON(w io.Writer, all []*plan.Explanation) error {
	type flag struct {
		Flag   string    `json:"flag"`
		Value  any       `json:"value"`
		Unit   string    `json:"unit,omitempty"`
		Emit   bool      `json:"emitted"`
		Reason string    `json:"reason"`
		Step   *jsonStep `json:"step,omitempty"`
	}
	type limit struct {
		Limit   string     `json:"limit"`
		Require string     `json:"require"`
		Holds   bool       `json:"holds"`
		Left    any        `json:"left,omitempty"`
		Right   any        `json:"right,omitempty"`
		Values  string     `json:"values,omitempty"`
		Message string     `json:"message"`
		Parts   []jsonStep `json:"parts,omitempty"`
	}
	type explanation struct {
		File       *string    `json:"config_file"`
		Model      string     `json:"model"`
		Release    string     `json:"release"`
		Accounting string     `json:"accounting"`
		Quantities []jsonStep `json:"quantities"`
		Flags      []flag     `json:"flags"`
		Limits     []limit    `json:"limits"`
	}
	list := []explanation{}
	for _, e := range all {
		x := explanation{Model: modelName(e.Plan), Release: e.Plan.Release, Accounting: plan.Accounting(e.Plan.Request.Config)}
		if file := e.Plan.Request.Config.File; file != "" {
			x.File = &file
		}
		for _, s := range e.Quantities {
			x.Quantities = append(x.Quantities, newJSONStep(s))
		}
		for _, f := range e.Flags {
			j := flag{f.Name, exact(f.Value), f.Unit, f.Emit, f.Reason, nil}
			if f.Step != nil {
				s := newJSONStep(f.Step)
				j.Step = &s
			}
			x.Flags = append(x.Flags, j)
		}
		for _, l := range e.Limits {
			j := limit{Limit: l.Name, Require: oneLine(l.Require.Text), Holds: l.Holds, Values: l.Values, Message: l.Message}
			if l.Right != nil {
				j.Left, j.Right = exact(l.Left.Value), exact(l.Right.Value)
			}
			for _, part := range l.Parts {
				j.Parts = append(j.Parts, newJSONStep(part))
			}
			x.Limits = append(x.Limits, j)
		}
		list = append(list, x)
	}
	return JSONText(w, list)
}

// JSONText writes a value as indented JSON, escaping invisible characters; see
// [diag.Escaped].
func JSONText(w io.Writer, v any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	if err == nil {
		_, err = w.Write(diag.Escaped(out.Bytes()))
	}
	return err
}
