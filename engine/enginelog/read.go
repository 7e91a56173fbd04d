// Package enginelog reads the log of a serving engine and compares what it says about
// the KV cache with a plan. Which lines engines log, and how their numbers follow from
// a plan, is data: see [schema.Logs].
package enginelog

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// maxLine is how much of a line is read, in bytes; the rest of it is skipped.
const maxLine = 64 << 10

// Reader reads logs. The logs of one run of an engine may be in several files.
type Reader struct {
	schema *schema.Schema
	lines  []*line
	logs   map[string]*Log // by engine; "" has the lines that several engines log
	text   bool            // whether there was a line without zero bytes
	first  string          // the name of the first log
}

// Log is what a log says.
type Log struct {
	Engine string
	// At is the position of the first line of the engine.
	At diag.Pos
	// Values are keyed by their names, without a prefix. They include configuration
	// fields that are numbers.
	Values map[string]*Found
	// Fields are the values of configuration fields by their names in formulas.
	Fields map[string]*Found
	// Notes are about values that differ between lines, or that are unknown.
	Notes diag.List

	implied map[string]*Found // fields that follow from lines
	kinds   int               // how many kinds of lines were found
}

// Found is a value found in a log.
type Found struct {
	Text string // as logged; of a field, in kvbench's words
	At   diag.Pos
	// Num is the value of a number, and Off how much rounding may have changed it.
	Num, Off formula.Rat
	// Sum is the sum of the values of different lines.
	Sum formula.Rat
	// Implied reports whether a field follows from a line that does not name it.
	Implied bool

	noted bool
}

// line is a kind of line with its compiled pattern.
type line struct {
	*schema.LogLine
	has     []byte
	pattern *regexp.Regexp
	seen    map[string]bool // the lines found, as texts of their groups
}

// At most maxSeen different lines of a kind are read, and no line whose values have more
// than maxKey bytes.
const (
	maxSeen = 1000
	maxKey  = 256
)

// NewReader returns a reader for the lines that the schema describes.
func NewReader(s *schema.Schema) (*Reader, error) {
	r := &Reader{schema: s, logs: map[string]*Log{}}
	for i := range s.Logs.Get().Lines {
		l := &s.Logs.Get().Lines[i]
		pattern, err := regexp.Compile(l.Pattern)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.Says, err)
		}
		r.lines = append(r.lines, &line{l, []byte(l.Has), pattern, map[string]bool{}})
	}
	return r, nil
}

// Read reads a log; name is its name in messages.
func (r *Reader) Read(name string, log io.Reader) error {
	if r.first == "" {
		r.first = name
	}
	in := bufio.NewReaderSize(log, maxLine)
	at := diag.Pos{File: name}
	for {
		text, err := in.ReadSlice('\n')
		at.Line++
		r.read(text, at)
		for err == bufio.ErrBufferFull {
			_, err = in.ReadSlice('\n')
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// colors are the sequences with which programs color their output.
var colors = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

func (r *Reader) read(text []byte, at diag.Pos) {
	if bytes.IndexByte(text, 0) < 0 {
		r.text = true
	}
	if bytes.IndexByte(text, '\x1b') >= 0 {
		text = colors.ReplaceAll(text, nil)
	}
	text = bytes.TrimRight(text, "\r\n")
	for _, l := range r.lines {
		if !bytes.Contains(text, l.has) {
			continue
		}
		if found := l.pattern.FindSubmatch(text); found != nil {
			r.add(l, found, at)
		}
	}
}

// groups returns the texts of a match by the names of the groups.
func (l *line) groups(found [][]byte) map[string]string {
	texts := map[string]string{}
	for i, name := range l.pattern.SubexpNames() {
		if name != "" && found[i] != nil {
			texts[name] = string(found[i])
		}
	}
	return texts
}

// add adds the values of a line.
func (r *Reader) add(l *line, found [][]byte, at diag.Pos) {
	key := string(bytes.Join(found[1:], []byte{0}))
	if l.seen[key] || len(l.seen) == maxSeen || len(key) > maxKey { // other ranks log the same
		return
	}
	log := r.logs[l.Engine]
	if log == nil {
		log = &Log{Engine: l.Engine, At: at, Values: map[string]*Found{}, Fields: map[string]*Found{}, implied: map[string]*Found{}}
		r.logs[l.Engine] = log
	}
	if len(l.seen) == 0 {
		log.kinds++
	}
	l.seen[key] = true
	texts := l.groups(found)
	for _, name := range schema.Keys(texts) {
		f := &Found{Text: texts[name], At: at}
		isField := slices.ContainsFunc(r.schema.Fields, func(f schema.Field) bool { return f.Var == name })
		if isField {
			log.setField(l, name, f)
		}
		if l.Words[name] == nil {
			log.setNumber(l, name, f, isField, r.schema.Logs.Get().Values[name].Take)
		}
	}
	for name, text := range l.Set {
		if log.implied[name] == nil {
			log.implied[name] = &Found{Text: text, At: at, Implied: true}
		}
	}
}

// setField sets a configuration field, unless an earlier line did.
func (log *Log) setField(l *line, name string, f *Found) {
	text := strings.ReplaceAll(f.Text, ",", "")
	if words := l.Words[name]; words != nil {
		word, ok := words[text]
		if !ok {
			log.Notes = append(log.Notes, diag.Notef(f.At, "%s is %q here, which kvbench does not know: ignored", name, text))
		}
		if word == "" {
			return
		}
		text = word
	}
	old := log.Fields[name]
	switch {
	case old == nil:
		log.Fields[name] = &Found{Text: text, At: f.At}
	case old.Text != text && !old.noted:
		old.noted = true
		log.Notes = append(log.Notes, diag.Notef(f.At, "%s is %s here and %s in %s: using the first one", name, text, old.Text, old.At))
	}
}

// setNumber sets a number, unless that of an earlier line is to be taken.
func (log *Log) setNumber(l *line, name string, f *Found, isField bool, take string) {
	var ok bool
	if f.Num, f.Off, ok = number(f.Text, max(1, l.Scale[name]), l.Decimals[name]); !ok {
		return
	}
	f.Sum = f.Num
	old := log.Values[name]
	if old == nil {
		log.Values[name] = f
		return
	}
	if sum, err := old.Sum.Add(f.Num); err == nil {
		old.Sum = sum
	}
	if isField || take != schema.TakeLeast || old.Num == f.Num {
		return
	}
	kept, other := old, f
	if f.Num.Cmp(old.Num) < 0 {
		kept, other = f, old
		kept.Sum, kept.noted = old.Sum, old.noted
		log.Values[name] = kept
	}
	if !kept.noted {
		kept.noted = true
		log.Notes = append(log.Notes, diag.Notef(other.At, "%s is %s here and %s in %s: using the least of all lines", name, other.Text, kept.Text, kept.At))
	}
}

// number returns the value of a number, and how much rounding may have changed it: half
// of its last decimal, or half of the given one.
func number(text string, scale, decimals int64) (num, off formula.Rat, ok bool) {
	whole, rest, _ := strings.Cut(strings.ReplaceAll(text, ",", ""), ".")
	if strings.Contains(rest, ".") || len(rest) > 9 {
		return num, off, false
	}
	n, err := strconv.ParseInt(whole+rest, 10, 64)
	if err != nil {
		return num, off, false
	}
	unit, half := int64(1), int64(1)
	for range rest {
		unit *= 10
	}
	for range max(int64(len(rest)), decimals) {
		half *= 10
	}
	num, err1 := formula.Frac(n, unit)
	num, err2 := num.Mul(formula.Int(scale))
	if half > 1 {
		off, err = formula.Frac(scale, 2*half)
	}
	return num, off, err1 == nil && err2 == nil && err == nil
}

// Log returns what was read. The engine is the one with the most kinds of lines.
func (r *Reader) Log() (*Log, error) {
	log := &Log{}
	for _, engine := range schema.Keys(r.logs) {
		if l := r.logs[engine]; engine != "" && l.kinds > log.kinds {
			log = l
		}
	}
	common := r.logs[""]
	switch {
	case common == nil && log.kinds == 0:
		return nil, r.unknown()
	case log.kinds == 0:
		log = common
	case common != nil:
		for name, f := range common.Values {
			log.Values[name] = f
		}
		log.Notes = append(log.Notes, common.Notes...)
	}
	if f := log.Fields[schema.EngineReleaseVar]; f != nil {
		if f.Text = knownRelease(f.Text, r.schema.Cache.Get().Releases[log.Engine]); f.Text == "" {
			delete(log.Fields, schema.EngineReleaseVar)
		}
	}
	for name, f := range log.implied {
		if log.Fields[name] == nil {
			log.Fields[name] = f
		}
	}
	if log.Engine != "" {
		log.Fields[schema.EngineVar] = &Found{Text: log.Engine, At: log.At}
	}
	return log, nil
}

// unknown returns the error for logs without a known line.
func (r *Reader) unknown() error {
	at := diag.Pos{File: r.first}
	if !r.text {
		return diag.Errorf(at, "not a text file: expected the log of a serving engine")
	}
	d := diag.Errorf(at, "none of its lines is one that kvbench knows: expected the log that a serving engine writes when it starts")
	known := map[string][]string{}
	for _, l := range r.lines {
		text := strconv.Quote(strings.TrimSpace(l.Has))
		if !slices.Contains(known[l.Engine], text) && slices.ContainsFunc(l.pattern.SubexpNames(), r.isValue) {
			known[l.Engine] = append(known[l.Engine], text)
		}
	}
	for _, engine := range schema.Keys(known) {
		of := engine
		if engine == "" {
			of = "several engines"
		}
		d.WithHint("lines of %s contain %s", of, strings.Join(known[engine], ", "))
	}
	return d
}

// isValue reports whether a name is that of a value to compare, not of a setting.
func (r *Reader) isValue(name string) bool {
	_, ok := r.schema.Logs.Get().Values[name]
	return ok
}

// knownRelease returns the newest of the releases that is not newer than the one in a
// log, or else the oldest one. It returns "" if the engine's releases have no numbers.
func knownRelease(text string, releases []string) string {
	best := ""
	for _, known := range releases {
		if n := numbers(known); n != nil && (best == "" || slices.Compare(n, numbers(text)) <= 0) {
			best = known
		}
	}
	return best
}

// numbers returns the numbers of a release such as 0.24.0, or nil.
func numbers(release string) []int {
	var list []int
	for part := range strings.SplitSeq(release, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		list = append(list, n)
	}
	return list
}
