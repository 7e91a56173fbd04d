package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Frame holds a [Program]'s values for one request: the input values and the values
// computed from them. A frame can be reused for other requests, but it is not safe for
// concurrent use.
type Frame struct {
	*Program
	frame *formula.Frame
}

// Values returns the frame's values.
func (f *Frame) Values() *formula.Frame { return f.frame }

// set sets the value of a name; see [formula.Frame.SetName].
func (f *Frame) set(name string, v formula.Value) { f.frame.SetName(name, v) }

// Fitter returns a fitter that evaluates flags in the frame.
func (f *Frame) Fitter() *fit.Fitter { return f.Bench.NewFitter(f.frame) }

// FlagsFor returns a [fit.Request] that evaluates the flags of a request in the frame.
func (f *Frame) FlagsFor(req *Request) *fit.Request {
	return &fit.Request{Config: req.Config, Flags: req.Flags, Fit: req.Fit, Least: req.Least, Load: func() { f.Load(req) }}
}

// Load clears the frame and sets the input values and facts of a request.
func (f *Frame) Load(req *Request) {
	f.frame.Reset()
	for name, v := range req.Model.Params {
		f.set(name, v.Value)
	}
	f.setFields(req)
	for _, v := range req.facts {
		f.set(v.name, formula.Value{Kind: formula.Num, Num: v.num})
	}
	f.set(accountingVar, formula.Text(f.accounting()))
}

// LoadPlan clears the frame and sets the values of a plan.
func (f *Frame) LoadPlan(pl *Plan) {
	f.Load(pl.Request)
	for _, flag := range pl.Flags {
		f.set(flag.Name, flag.Value)
	}
	for _, q := range pl.Quantities {
		f.set(q.Name, formula.Value{Kind: formula.Num, Num: formula.Int(q.Value)})
	}
}

// Wrong returns the name of the first quantity whose value is invalid, or "". It checks
// only the quantities that every plan has. Call it only if [Program.Complete] succeeds.
func (f *Frame) Wrong() string {
	for _, r := range f.results {
		q, err := f.frame.Num(r.ref)
		if err != nil {
			return r.name
		}
		if n, whole := q.Int64(); !whole || n < f.least() {
			return r.name
		}
	}
	return ""
}

// quantities evaluates the requested quantities, which must be whole numbers.
func (f *Frame) quantities() ([]Quantity, error) {
	var errs diag.List
	all := make([]Quantity, 0, len(f.wanted))
	for _, q := range f.wanted {
		ref, ok := f.prog.Ref(q.Name)
		if !ok {
			errs = append(errs, f.lacks(q.Name))
			continue
		}
		least := f.least()
		if detail, ok := f.ShownIf(q.Name); ok {
			shown, err := f.frame.Bool(detail)
			errs.Add(err)
			if !shown {
				continue
			}
			least = 0
		}
		v, err := f.frame.Num(ref)
		if err != nil {
			errs.Add(err)
			continue
		}
		n, whole := v.Int64()
		if !whole {
			src := f.origin(f.frame, ref)
			d := diag.Errorf(src.Pos, "%s is %s, which is not a whole number", q.Name, v).About(diag.NotWhole, q.Name)
			d.Source, d.Caret = src.Text, 1
			errs = append(errs, d.WithHint("round it explicitly: floor(), ceil(), div() or ceil_div()"))
			continue
		}
		if n < least {
			errs = append(errs, diag.Errorf(f.origin(f.frame, ref).Pos, "%s is %d: expected at least %d", q.Name, n, least).About(diag.NotWhole, q.Name))
			break // the following quantities would be invalid too
		}
		all = append(all, Quantity{q.Name, q.Unit, q.Doc, n})
	}
	return all, errs.Err()
}

// origin returns the formula that a value comes from. If that formula selects a table
// entry, origin returns the entry's formula.
func (f *Frame) origin(values *formula.Frame, ref formula.Ref) formula.Source {
	uses := f.prog.Uses(ref)
	for _, name := range uses {
		t, ok := f.arch.Tables[name]
		if !ok {
			continue
		}
		for _, key := range uses {
			if r, ok := f.prog.Ref(key); ok && f.prog.Kind(r) == formula.Str {
				if v, err := values.Eval(r); err == nil && !t[v.Str].IsZero() {
					return t[v.Str]
				}
			}
		}
	}
	return f.prog.Source(ref)
}

// missing returns the error to report if a formula fails. If the model lacks a parameter,
// the error names the parameter; otherwise, it is err with the model's file as a hint.
func (f *Frame) missing(req *Request, err error) error {
	list := diag.All(err)
	for _, d := range list {
		isIt := func(param schema.Param) bool { return param.Name == d.Name }
		if _, ok := req.Model.Params[d.Name]; !ok && d.Code == diag.NotGiven && slices.ContainsFunc(f.arch.Params, isIt) {
			return diag.Errorf(diag.Pos{File: req.Model.File}, "%s is missing: %s needs it", d.Name, f.arch.Name).About(diag.Missing, d.Name)
		}
	}
	// Errors point to formulas, so add the file of the model that has the wrong values.
	for i, d := range list {
		if e := tooLarge(req, d); e != nil {
			list[i] = e
			continue
		}
		if d.Pos.File != req.Model.File && req.Model.File != "" {
			e := *d
			list[i] = e.WithHint("with %s", req.Model.File)
		}
	}
	return diag.List(list)
}

// minLarge is the smallest number that messages report as the cause of a result that is too
// large.
const minLarge = 1 << 31

// tooLarge returns a better error for a result that does not fit in 64 bits. It points to
// the largest number that the user set in the configuration. If d is another error or no
// large number was set, tooLarge returns nil.
func tooLarge(req *Request, d *diag.Diag) *diag.Diag {
	if !strings.HasSuffix(d.Msg, "does not fit in 64 bits") {
		return nil
	}
	var most int64
	var from data.Origin
	for _, name := range schema.Keys(req.Config.Values) {
		v := req.Config.Values[name]
		if n, ok := v.Num.Int64(); ok && v.Origin.Given() && n > most {
			most, from = n, v.Origin
		}
	}
	if most < minLarge {
		return nil
	}
	e := from.Errorf("%d is too large: %s", most, d.Msg).About(d.Code, d.Name)
	if !d.Pos.IsZero() {
		e.WithHint("the formula is at %s", d.Pos)
	}
	return e
}

// whole returns the value of a name, or an error if the value is not a whole number or is
// negative.
func (f *Frame) whole(name string) (int64, error) {
	ref, _ := f.prog.Ref(name)
	return f.wholeAt(f.frame, ref)
}

// wholeAt is like whole, but evaluates a reference in the given frame.
func (f *Frame) wholeAt(values *formula.Frame, ref formula.Ref) (int64, error) {
	v, err := values.Num(ref)
	if err != nil {
		return 0, err
	}
	n, ok := v.Int64()
	if !ok || n < 0 {
		src, name := f.origin(values, ref), f.prog.Name(ref)
		d := diag.Errorf(src.Pos, "%s is %s: expected a whole number, 0 or more", name, v).About(diag.NotWhole, name)
		d.Source, d.Caret = src.Text, 1
		return 0, d
	}
	return n, nil
}

// groupWords begins a message about the layers of a group. In a message, ofValue is
// replaced with the value that the message is about. If that value is a comma-separated
// list, ofWord is replaced with its first item that is not a 32-bit whole number.
const (
	groupWords = "group "
	ofValue    = "{value}"
	ofWord     = "{word}"
)

// unmet returns a message about a requirement that does not hold for a group of layers or,
// if group is "", for the model. If the user set the value that the requirement is about,
// the message points to that value; otherwise, it points to pos.
func (f *Frame) unmet(req *Request, values *formula.Frame, r *schema.Requirement, ref formula.Ref, group string, pos diag.Pos) *diag.Diag {
	msg := r.Message
	if group != "" {
		msg = groupWords + group + ": " + msg
	}
	if detail := expected(values, ref); detail != "" && !r.Note {
		msg += ": " + detail
	}
	of := f.prog.Name(ref)
	if group != "" {
		of += " of layers " + group
	}
	d := diag.Errorf(pos, "%s", msg).About(diag.Requires, of)
	for _, given := range []map[string]data.Fact{req.Config.Values, req.Model.Params} {
		if v, ok := given[r.Of]; ok && v.Origin.Given() {
			d = v.Origin.Errorf("%s", strings.NewReplacer(ofValue, v.Value.String(), ofWord, wordIn(v.Str)).Replace(msg)).About(diag.Requires, of)
			d.Suggest(v.Str, f.schema.KnownOf(r.Of))
		}
	}
	if r.Hint != "" {
		d.WithHint("%s", r.Hint)
	}
	switch {
	case r.Note:
		d.Severity, d.Usage = diag.Note, false
	case r.Warn:
		d.Severity, d.Usage = diag.Warning, false
	}
	return d
}

// wordIn returns, in quotes, the first item of a comma-separated list that is not a
// 32-bit whole number. Formulas cannot read such an item.
func wordIn(list string) string {
	for item := range strings.SplitSeq(list, ",") {
		if _, err := strconv.ParseUint(item, 10, 32); err != nil {
			return strconv.Quote(item)
		}
	}
	return strconv.Quote(list)
}

// relations maps comparison operators to words.
var relations = map[string]string{
	"==": "", "!=": "a number other than ", "<": "less than ", "<=": "at most ", ">": "more than ", ">=": "at least ",
}

// expected describes the numbers in a comparison that does not hold, as in "got 3, expected
// at most 2". It returns "" if the condition is not a comparison of numbers.
func expected(values *formula.Frame, ref formula.Ref) string {
	op, left, right, ok, err := values.Sides(ref)
	if !ok || err != nil || left.Value.Kind != formula.Num {
		return ""
	}
	e, err := values.Explain(ref)
	if err != nil {
		return ""
	}
	got := "got " + left.Value.String()
	if computed, _, _ := strings.Cut(e.Values, " "+op+" "); computed != left.Value.String() {
		got = computed + " is " + left.Value.String()
	}
	return fmt.Sprintf("%s, expected %s%s", got, relations[op], right.Value)
}

// Require checks the architecture's requirements on its parameters. It returns an error for
// the first requirement that is not met. If the requirement only causes a note or a
// warning, Require adds that to warnings and continues.
func (f *Frame) Require(req *Request, warnings *diag.List) error {
	for i := range f.arch.Requires {
		r, ref := &f.arch.Requires[i], f.requires[i]
		ok, err := f.frame.Bool(ref)
		if err != nil {
			return f.missing(req, err)
		}
		if ok {
			continue
		}
		d := f.unmet(req, f.frame, r, ref, "", diag.Pos{File: req.Model.File})
		if !r.GoesOn() {
			return d
		}
		warnings.Add(d)
	}
	return nil
}

const archPrefix = "architecture."
