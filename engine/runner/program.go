package runner

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"kvbench/engine/diag"
	"kvbench/engine/nixlbench"
	"kvbench/engine/schema"
)

// collectProgram evaluates a run of a program other than nixlbench. The run has one
// process, which prints JSON.
func (s *Session) collectProgram(c *Collected, r *Run) error {
	rec := c.Record
	program := s.program(rec.Program.Name)
	if program == nil {
		return fmt.Errorf("the point was run by %s, which is not a known program", diag.Printable(rec.Program.Name))
	}
	expected, err := r.rules.Expect(program, r.Plan, r.Flags, &r.facts)
	if err != nil {
		return err
	}
	rec.Processes, rec.Rows = []ProcessResult{}, []nixlbench.Row{}
	if len(c.Started) == 0 {
		rec.Status, rec.Reasons = Interrupted, []string{notEnded}
		return nil
	}
	p := &c.Started[0]
	stderr := Tail{Size: stderrSize}
	if err := eachLine(p.Stderr, func(line []byte, _ bool) { stderr.Line(line) }); err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(p.Stdout, maxLine))
	if err != nil {
		return err
	}
	e := exitOf(p)
	rec.Processes = append(rec.Processes, processResult(&nixlbench.Command{}, &e, stderr.String()))
	rec.Processes[0].Command = p.Command
	out := printed(text)
	rec.Program.Version, _ = out.at(program.Version).(string)
	code, _ := out.number(program.Error)
	switch {
	case !c.Complete:
		rec.Status, rec.Reasons = Interrupted, []string{notEnded}
		return nil
	case p.Code == timedOut:
		rec.fail("it took longer than %v and was stopped", time.Duration(rec.Timeout)*time.Second)
	case !e.OK():
		reason := fmt.Sprintf("%s %s", program.Name, e.String())
		if last := stderr.Last(); last != "" {
			reason += ": " + last
		}
		rec.fail("%s", reason)
	case out.value == nil:
		rec.fail("%s exited successfully but printed no result", program.Name)
		rec.Output = string(text[:min(len(text), outputSize)])
	case code != 0:
		rec.fail("%s reports error %v", program.Name, code)
	}
	if rec.Status == Failed {
		return nil
	}
	s.judgeProgram(rec, program, out, expected)
	return nil
}

const notEnded = "the job did not finish this run, or is still running"

// judgeProgram computes the row of a run that ended normally, and decides whether the row
// can be trusted.
func (s *Session) judgeProgram(rec *Record, program *schema.Program, out printedJSON, expected *nixlbench.Expected) {
	row := expected.Sizes
	for _, name := range schema.Keys(program.Columns) {
		if sum, ok := out.sum(program.Columns[name].Sum); ok {
			row[name] = nixlbench.Number(strconv.FormatFloat(sum/float64(expected.Over[name]), 'f', 6, 64))
		}
	}
	rec.Rows = append(rec.Rows, row)
	rec.Notes = append([]string{fmt.Sprintf("measured by %s, not by nixlbench", cmp.Or(rec.Program.Version, program.Name))}, expected.Notes...)
	for _, m := range s.Schema.Nixlbench.Runs.Get().Measures {
		if n, ok := row[m.Key]; ok && m.Positive && !(n.Float() > 0) {
			rec.Reasons = append(rec.Reasons, fmt.Sprintf("%s is %s, which cannot be a measurement", m.Key, n))
		}
	}
	if moved, ok := out.sum(program.Moved.Sum); !ok || int64(moved) != expected.Moved {
		rec.Reasons = append(rec.Reasons, fmt.Sprintf("%s moved %.0f bytes, but the plan moves %d", program.Name, moved, expected.Moved))
	}
	rec.Status = OK
	if len(rec.Reasons) > 0 {
		rec.Status = Suspect
	}
}

// program returns the program with the given name, or nil.
func (s *Session) program(name string) *schema.Program {
	for _, f := range s.Schema.Launch.Get().Formats {
		if f.Program != nil && f.Program.Name == name {
			return f.Program
		}
	}
	return nil
}

// printedJSON contains the value that a program printed, or nil if it printed none.
type printedJSON struct{ value any }

// printed returns the JSON object in a program's output. Other lines may come before it.
func printed(text []byte) printedJSON {
	for len(text) > 0 && text[0] != '{' {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return printedJSON{}
		}
		text = text[i+1:]
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return printedJSON{}
	}
	return printedJSON{v}
}

// at looks up the value at a path of keys and indexes. It returns nil if there is no such
// value.
func (p printedJSON) at(path []string) any {
	v := p.value
	for _, key := range path {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

func (p printedJSON) number(path []string) (float64, bool) {
	n, ok := p.at(path).(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// sum returns the sum of the values at these paths. It returns false if none of the paths
// has a value.
func (p printedJSON) sum(paths [][]string) (sum float64, ok bool) {
	for _, path := range paths {
		n, has := p.number(path)
		sum, ok = sum+n, ok || has
	}
	return sum, ok
}
