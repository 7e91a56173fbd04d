// Package enginelog reads the log of a serving engine and compares the log's numbers about
// the KV cache with a plan. The schema describes the lines that engines log, and how to
// compute the numbers in them from a plan; see [schema.Logs].
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
	"sync"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// maxLine is the maximum number of bytes read from a line. The rest is skipped.
const maxLine = 64 << 10

// Reader reads the logs of one run of an engine, from one or more files.
type Reader struct {
	schema *schema.Schema
	lines  []*line
	logs   map[string]*Log // keyed by engine; "" is for lines that several engines log
	text   bool            // whether a line without zero bytes was read, so the log is probably text
	first  string          // the name of the first log
}

// Log contains the values found in a log.
type Log struct {
	Engine string
	// At is the position of the first line that belongs to the engine.
	At diag.Pos
	// Values contains the numbers found, keyed by name without a prefix. They include numeric
	// configuration fields.
	Values map[string]*Found
	// Fields contains the configuration fields found, keyed by their names in formulas.
	Fields map[string]*Found
	// Notes reports unknown values, and values that differ between lines.
	Notes diag.List

	implied map[string]*Found // fields set by the presence of a line
	// the numbers of each line, keyed by name, for values that are checked in every line
	rows  map[string][]map[string]*Found
	kinds int // number of kinds of lines found
}

// Found is a value found in a log.
type Found struct {
	Text string // the text in the log; for a field, kvbench's name for the value
	At   diag.Pos
	// Num is the value of a number, and Off is its maximum rounding error.
	Num, Off formula.Rat
	// Sum is the sum of the values in different lines.
	Sum formula.Rat
	// Implied reports whether the field was set by the presence of a line rather than by the
	// line's text.
	Implied bool

	noted bool
}

// line is a kind of log line, with its compiled pattern.
type line struct {
	*schema.LogLine
	has     []byte
	pattern *regexp.Regexp
	seen    map[string]bool // the lines found, keyed by the text of their groups
}

// At most maxSeen different lines of each kind are read. Lines with values longer than maxKey
// bytes in total are skipped.
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

// Read reads a log. name identifies the log in messages.
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

// colors matches the escape sequences for colored output.
var colors = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:\x1b|\\u001[bB])\[[0-9;]*[A-Za-z]`)
})

func (r *Reader) read(text []byte, at diag.Pos) {
	if bytes.IndexByte(text, 0) < 0 {
		r.text = true
	}
	if bytes.IndexByte(text, '\x1b') >= 0 || bytes.Contains(text, []byte(`\u001`)) {
		text = colors().ReplaceAll(text, nil)
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

// groups returns the text of each group in a match, keyed by group name.
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
	if l.seen[key] || len(l.seen) == maxSeen || len(key) > maxKey { // other ranks may have logged the same line
		return
	}
	log := r.logs[l.Engine]
	if log == nil {
		log = &Log{Engine: l.Engine, At: at, Values: map[string]*Found{}, Fields: map[string]*Found{}, implied: map[string]*Found{}, rows: map[string][]map[string]*Found{}}
		r.logs[l.Engine] = log
	}
	if len(l.seen) == 0 {
		log.kinds++
	}
	l.seen[key] = true
	texts := l.groups(found)
	row, whole := map[string]*Found{}, true
	for _, name := range schema.Keys(texts) {
		f := &Found{Text: texts[name], At: at}
		isField := slices.ContainsFunc(r.schema.Fields, func(f schema.Field) bool { return f.Var == name })
		if isField {
			log.setField(l, name, f)
		}
		if l.Words[name] != nil {
			continue
		}
		take := r.schema.Logs.Get().Values[name].Take
		whole = log.setNumber(l, name, f, isField, take) && whole
		if take == schema.TakeEach {
			row[name] = f
		}
	}
	for name := range row {
		if whole {
			log.rows[name] = append(log.rows[name], row)
		}
	}
	for name, text := range l.Set {
		if log.implied[name] == nil {
			log.implied[name] = &Found{Text: text, At: at, Implied: true}
		}
	}
}

// setField sets a configuration field, unless an earlier line has set it.
func (log *Log) setField(l *line, name string, f *Found) {
	text := strings.ReplaceAll(f.Text, ",", "")
	if words := l.Words[name]; words != nil {
		word, ok := words[text]
		if !ok {
			log.Notes = append(log.Notes, diag.Notef(f.At, "unknown value %q for %s: ignored", text, name))
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
		log.Notes = append(log.Notes, diag.Notef(f.At, "%s is %s here and %s in %s: using the first value", name, text, old.Text, old.At))
	}
}

// setNumber sets a number, unless the number from an earlier line takes precedence. It
// reports whether the text is a number.
func (log *Log) setNumber(l *line, name string, f *Found, isField bool, take string) bool {
	var ok bool
	if f.Num, f.Off, ok = number(f.Text, max(1, l.Scale[name]), l.Decimals[name]); !ok {
		return false
	}
	f.Sum = f.Num
	old := log.Values[name]
	if old == nil {
		log.Values[name] = f
		return true
	}
	if sum, err := old.Sum.Add(f.Num); err == nil {
		old.Sum = sum
	}
	if isField || take != schema.TakeLeast || old.Num == f.Num {
		return true
	}
	kept, other := old, f
	if f.Num.Cmp(old.Num) < 0 {
		kept, other = f, old
		kept.Sum, kept.noted = old.Sum, old.noted
		log.Values[name] = kept
	}
	if !kept.noted {
		kept.noted = true
		log.Notes = append(log.Notes, diag.Notef(other.At, "%s is %s here and %s in %s: using the smallest value", name, other.Text, kept.Text, kept.At))
	}
	return true
}

// number returns the value of a number and its maximum rounding error, which is half a unit
// of the last decimal, or 0 if there are no decimals. decimals is the number of decimals
// that the engine rounds to; text can have fewer, because engines may omit trailing zeros.
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

// Log returns the values that were read. If lines from several engines were read, it
// assumes that the log comes from the engine with the most kinds of lines.
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
		for name, rows := range common.rows {
			log.rows[name] = rows
		}
		log.Notes = append(log.Notes, common.Notes...)
	}
	if f := log.Fields[schema.EngineReleaseVar]; f != nil {
		logged := f.Text
		if f.Text = schema.NearestRelease(logged, r.schema.Cache.Get().Releases[log.Engine]); f.Text == "" {
			delete(log.Fields, schema.EngineReleaseVar)
		} else if f.Text != logged {
			log.Notes = append(log.Notes, diag.Notef(f.At, "the log is from %s %s: using the rules of %s, the nearest release that kvbench knows", log.Engine, diag.Printable(logged), f.Text))
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

// unknown returns the error for logs that contain no known lines.
func (r *Reader) unknown() error {
	at := diag.Pos{File: r.first}
	if !r.text {
		return diag.Errorf(at, "not a text file: expected the log of a serving engine")
	}
	d := diag.Errorf(at, "kvbench does not recognize any of its lines: expected the log that a serving engine writes when it starts")
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
			of = "another program"
		}
		d.WithHint("a line from %s contains one of %s", of, strings.Join(known[engine], ", "))
	}
	return d
}

// isValue reports whether a name belongs to a value to compare rather than to a setting.
func (r *Reader) isValue(name string) bool {
	_, ok := r.schema.Logs.Get().Values[name]
	return ok
}
