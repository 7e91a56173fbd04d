package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvbench/engine/diag"
	"kvbench/engine/input"
	"kvbench/engine/jsonl"
	"kvbench/engine/nixlbench"
	"kvbench/engine/schema"
)

// These limits apply to the parts of records that are held in memory. A record is several
// kilobytes long, but tables show only a few hundred bytes of it.
const (
	maxKept    = 384 << 20 // bytes per file
	maxShown   = 1 << 10   // bytes per value
	maxWord    = 128       // bytes per hash or number
	maxRemarks = 16        // notes per record
	maxCommand = 16 << 10  // bytes per command
)

// Briefs extracts the parts of records that tables show.
type Briefs struct {
	values   map[string]*places
	measures map[string]int
	// pool contains the distinct values, most of which occur in many records. The
	// first one represents a missing value.
	pool []any
	at   map[string]uint32 // index in pool, keyed by JSON text

	// notes contains the distinct notes of records, most of which occur in many
	// records.
	notes map[string][]string

	// parts contains the distinct parts of records, most of which occur in many
	// records.
	parts map[part]*part

	// commands reports whether briefs include commands. words contains the distinct words
	// of these commands, most of which occur in many commands.
	commands bool
	words    []string
	wordAt   map[string]uint32

	in    jsonl.Reader
	raw   [][]byte // values of the record being read
	from  []From   // the source of each raw value
	cells [][]byte // values of the row being read
	row   []byte
	kept  int // approximate memory in use, in bytes
}

// part contains some of a record's values, as indexes into the pool.
type part [16]uint32

// places contains, for each source, the index of a named value, or -1 if the value from
// that source is not saved.
type places [fromParams + 1]int

// Brief is the part of a record that is held in memory.
type Brief struct {
	Point  string
	Status Status
	Role   Role
	Rows   []Row
	// Notes contains the first few notes about the run.
	Notes []string
	// Reasons contains the first few reasons why the run is not trusted.
	Reasons []string
	values  []*part
	command []uint32
	of      *Briefs
}

// Row holds the measures of a row of nixlbench's table.
type Row struct {
	cells string // the values of the measures, each followed by a space; "" if missing
	of    *Briefs
}

// NewBriefs returns an extractor for the named values of records and the given measures of
// their rows.
func NewBriefs(names []Name, measures []schema.Measure) *Briefs {
	b := newPools(map[string]*places{}, map[string]int{})
	n := 0
	for _, name := range names {
		at := b.values[name.Name]
		if at == nil {
			at = &places{-1, -1, -1, -1, -1, -1}
			b.values[name.Name] = at
		}
		if at[name.From] < 0 {
			at[name.From] = n
			n++
		}
	}
	for _, m := range measures {
		for _, key := range []string{m.Key, m.Total} {
			if _, ok := b.measures[key]; !ok && key != "" {
				b.measures[key] = len(b.measures)
			}
		}
	}
	b.cells = make([][]byte, len(b.measures))
	b.raw = make([][]byte, n)
	b.from = make([]From, n)
	return b
}

// KeepCommands makes briefs include the commands of their runs.
func (b *Briefs) KeepCommands() {
	b.commands, b.words, b.wordAt = true, []string{""}, map[string]uint32{}
}

// Commands returns the commands of the processes that were started. It returns nil if the
// briefs do not include commands, or if the commands are too long.
func (b *Brief) Commands() [][]string {
	var list [][]string
	var words []string
	for _, n := range b.command {
		if n == endOfCommand {
			list, words = append(list, words), nil
		} else {
			words = append(words, b.of.words[n])
		}
	}
	return list
}

// Value returns a value from a record, and reports whether the record has it. The value of
// [NameFile] is nil if there was no configuration file.
func (b *Brief) Value(from From, name string) (any, bool) {
	at := b.of.values[name]
	if at == nil || at[from] < 0 {
		return nil, false
	}
	i := b.values[at[from]/len(part{})][at[from]%len(part{})]
	return b.of.pool[i], i > 0
}

// Get returns the value of a measure.
func (r *Row) Get(key string) (nixlbench.Number, bool) {
	i, ok := r.of.measures[key]
	if !ok {
		return "", false
	}
	cells := r.cells
	for range i {
		_, cells, _ = strings.Cut(cells, " ")
	}
	cell, _, _ := strings.Cut(cells, " ")
	return nixlbench.Number(cell), cell != ""
}

// Of returns the [Brief] of a record.
func (b *Briefs) Of(rec *Record) (*Brief, error) {
	line, err := marshal(rec)
	if err != nil {
		return nil, err
	}
	brief := b.brief(line)
	if brief == nil {
		return nil, errors.New("the record is not a valid result")
	}
	return brief, nil
}

// Results contains the results in a file.
type Results struct {
	List []*Brief
	// Torn reports whether the last line was incomplete and was skipped.
	Torn bool
	// Bad is an error about the lines that are not results, or nil.
	Bad error
}

// Read reads a results file.
func (b *Briefs) Read(name string, watch input.Watch) (*Results, error) {
	res := &Results{}
	kept := 0
	err := b.Each(name, watch, func(part *Part, rec *Brief, _ []byte) { part.List = append(part.List, rec) }, func(part *Part) error {
		res.List = append(res.List, part.List...)
		if kept += part.kept; kept > maxKept {
			return diag.Errorf(diag.Pos{File: name, Line: part.last}, "the results up to this line use %d MiB of memory, the limit for one file", maxKept>>20).
				WithHint("split the file, and report on each part")
		}
		return nil
	}, res)
	if err != nil {
		return nil, err
	}
	return res, nil
}

// From is the part of a record that a value comes from.
type From uint8

// These are the sources of values. FromAny means the first of the other sources that has
// the value.
const (
	FromAny From = iota
	FromRecord
	FromQuantities
	FromConfig
	FromFlags
	fromParams
)

// Name names a value in a record.
type Name struct {
	From From
	Name string
}

// These values are in neither the plan nor the model of a record.
const (
	NameFile    = "config_file"
	NameRelease = "release"
	// NameMeasuredBy is the program that measured the rows, with its version if known.
	NameMeasuredBy = "measured_by"
	NameStage      = "stage"
	NameGroup      = "group"
	// The following values are a run's hash, start time, repeat number and duration.
	NameHash    = "hash"
	NameStart   = "start"
	NameRepeat  = "repeat"
	NameSeconds = "seconds"
	// NameProcessors is the machine's processor count. If the count is unknown, the record
	// does not have this value.
	NameProcessors = "processors"
	// NameArchitecture is the model's architecture.
	NameArchitecture = "architecture"
	// NameHost is the name of the machine.
	NameHost = "host"
)

// set saves the JSON text of a value if the briefs include the value.
func (b *Briefs) set(at *places, from From, raw []byte) {
	if at == nil || raw == nil {
		return
	}
	if i := at[from]; i >= 0 {
		b.raw[i], b.from[i] = raw, from
	}
	if i := at[FromAny]; i >= 0 && (b.raw[i] == nil || b.from[i] >= from) {
		b.raw[i], b.from[i] = raw, from
	}
}

// brief returns the [Brief] of a line, or nil if the line is not a result.
func (b *Briefs) brief(line []byte) *Brief {
	clear(b.raw)
	b.in.Reset(line)
	var hash, point, status, role string
	var rows []Row
	var notes, reasons []string
	var command []uint32
	var program []byte // the program's name, which is shown if its version is unknown
	in, good := &b.in, true
	in.Object(func(name []byte) {
		switch string(name) {
		case NameHash:
			hash = b.text(NameHash)
		case NameStart, NameRepeat, NameSeconds:
			b.given(string(name))
		case "point":
			point = in.Text()
		case "status":
			status = in.Text()
		case "role":
			role = in.Text()
		case "notes":
			notes = b.remarks()
		case "reasons":
			reasons = b.remarks()
		case "processes":
			if b.commands {
				command = b.processes()
			}
		case "rows":
			rows, good = b.rows()
		case "config":
			b.object(func(name []byte) {
				switch string(name) {
				case "file":
					b.set(b.values[NameFile], FromRecord, in.Skip())
				case "values":
					b.each(FromConfig)
				}
			})
		case "plan":
			b.object(func(name []byte) {
				switch string(name) {
				case "quantities":
					b.each(FromQuantities)
				case "flags":
					b.each(FromFlags)
				case "stage":
					b.given(NameStage)
				case "group":
					b.given(NameGroup)
				}
			})
		case "nixlbench":
			b.object(func(name []byte) {
				if string(name) == "release" {
					b.given(NameRelease)
				}
			})
		case "host":
			if in.Next() == '{' {
				in.Object(func(name []byte) {
					switch string(name) {
					case "name":
						b.given(NameHost)
					case "cpus":
						if raw := in.Skip(); string(raw) != "0" {
							b.set(b.values[NameProcessors], FromRecord, raw)
						}
					}
				})
			}
		case "program":
			b.object(func(name []byte) {
				switch string(name) {
				case "name":
					program = in.Skip()
				case "version":
					b.given(NameMeasuredBy)
				}
			})
		case "model":
			b.object(func(name []byte) {
				switch string(name) {
				case NameArchitecture:
					b.given(NameArchitecture)
				case "params":
					b.object(func(name []byte) { b.set(b.values[string(name)], fromParams, in.Skip()) })
				}
			})
		}
	})
	known := func(i int) bool { return i >= 0 && b.raw[i] != nil }
	if at := b.values[NameMeasuredBy]; at != nil && !known(at[FromRecord]) && !known(at[FromAny]) {
		if !isGiven(program) {
			program = []byte(strconv.Quote(nixlbench.Program))
		}
		b.set(at, FromRecord, program)
	}
	if in.End() != "" || !good || hash == "" || len(hash) > maxWord || len(point) > maxWord {
		return nil
	}
	if point == "" {
		point = hash
	}
	brief := &Brief{Point: point, Status: statusOf(status), Role: Role(cut(role, maxWord)), Rows: rows, Notes: notes, Reasons: reasons, command: command, of: b}
	for i := 0; i < len(b.raw); i += len(part{}) {
		var p part
		for j, raw := range b.raw[i:min(i+len(p), len(b.raw))] {
			if raw != nil {
				p[j] = b.intern(raw, b.from[i+j] == FromRecord)
			}
		}
		same := b.parts[p]
		if same == nil {
			fresh := p
			same = &fresh
			b.parts[p] = same
			b.kept += 200
		}
		brief.values = append(brief.values, same)
	}
	b.kept += 250 + 8*len(brief.values)
	return brief
}

// text reads a string and saves it as a value of the record.
func (b *Briefs) text(name string) string {
	if b.values[name] == nil || b.in.Next() != '"' {
		return b.in.Text()
	}
	raw := b.in.Skip()
	b.set(b.values[name], FromRecord, raw)
	return jsonl.NewReader(raw).Text()
}

// object reads an object, or skips null, which counts as an empty object.
func (b *Briefs) object(member func(name []byte)) {
	if b.in.Next() != 'n' {
		b.in.Object(member)
	}
}

// given saves the next value in the record unless it is null or an empty string.
func (b *Briefs) given(name string) {
	if raw := b.in.Skip(); isGiven(raw) {
		b.set(b.values[name], FromRecord, raw)
	}
}

// isGiven reports whether there is a value that is neither null nor an empty string.
func isGiven(raw []byte) bool {
	return raw != nil && string(raw) != "null" && string(raw) != `""`
}

// each reads the next object of the record and saves the values in it. In that object,
// each name maps to an object with the value and its origin or unit.
func (b *Briefs) each(from From) {
	b.object(func(name []byte) {
		at := b.values[string(name)]
		if at == nil {
			return
		}
		b.object(func(name []byte) {
			if string(name) == "value" {
				b.set(at, from, b.in.Skip())
			}
		})
	})
}

// rows reads the rows of a table; it returns false if they contain something
// other than numbers.
func (b *Briefs) rows() (rows []Row, good bool) {
	if b.in.Next() == 'n' {
		return nil, true
	}
	good = true
	b.in.Array(func() {
		clear(b.cells)
		b.in.Object(func(name []byte) {
			i, ok := b.measures[string(name)]
			if !ok {
				return
			}
			raw := b.in.Skip()
			switch {
			case raw == nil || len(raw) > maxWord:
				good = false
			case nixlbench.StartsNumber(raw[0]):
				b.cells[i] = raw
			default:
				var n nixlbench.Number
				good = n.UnmarshalJSON(raw) == nil && good
				b.cells[i] = []byte(n)
			}
		})
		text := b.row[:0]
		for _, cell := range b.cells {
			text = append(append(text, cell...), ' ')
		}
		b.row = text
		b.kept += 64 + len(text)
		rows = append(rows, Row{string(text), b})
	})
	return slices.Clip(rows), good
}

// endOfCommand marks the end of a command. No word has this number.
const endOfCommand = 0

// processes reads the commands of a record's processes. Each word of a command is saved as
// a number.
func (b *Briefs) processes() []uint32 {
	if b.in.Next() != '[' {
		return nil
	}
	var list []uint32
	size := 0
	b.in.Array(func() {
		if b.in.Next() != '{' {
			return
		}
		b.in.Object(func(name []byte) {
			if string(name) != "command" || b.in.Next() != '[' {
				return
			}
			b.in.Array(func() {
				if b.in.Next() != '"' {
					return
				}
				word := b.in.Text()
				if size += len(word) + 1; size <= maxCommand {
					list = append(list, b.word(word))
				}
			})
			list = append(list, endOfCommand)
		})
	})
	if size > maxCommand {
		return nil
	}
	b.kept += 4 * len(list)
	return slices.Clip(list)
}

// word returns the number that represents a word in saved commands. A new word gets a new
// number.
func (b *Briefs) word(word string) uint32 {
	n, ok := b.wordAt[word]
	if !ok {
		n = uint32(len(b.words))
		b.words = append(b.words, word)
		b.wordAt[word] = n
		b.kept += 100 + 2*len(word)
	}
	return n
}

// remarks reads the notes or reasons of a record.
func (b *Briefs) remarks() []string {
	if b.in.Next() != '[' {
		return nil
	}
	all := b.in.Skip()
	if known, ok := b.notes[string(all)]; ok {
		return known
	}
	var list []string
	in := jsonl.NewReader(all)
	in.Array(func() {
		if raw := in.Skip(); len(list) < maxRemarks && len(raw) > len(`""`) && raw[0] == '"' {
			text, _ := valueOf(raw).(string)
			list = append(list, text)
		}
	})
	b.notes[string(all)] = list
	b.kept += 200 + 3*len(all)
	return list
}

// intern returns the index of a value in the pool.
func (b *Briefs) intern(raw []byte, own bool) uint32 {
	if !own && string(raw) == "null" {
		return 0
	}
	key := raw
	if len(raw) > maxShown { // long values with the same beginning count as equal
		key = fmt.Append([]byte{0}, valueOf(raw))
	}
	if i, ok := b.at[string(key)]; ok {
		return i
	}
	i := uint32(len(b.pool))
	b.pool = append(b.pool, valueOf(raw))
	b.at[string(key)] = i
	b.kept += 200 + 2*len(key)
	return i
}

// valueOf parses a value, and truncates it if it is too long for a table.
func valueOf(raw []byte) any {
	var v any
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n
	}
	if raw[0] == '"' && utf8.Valid(raw) {
		v = jsonl.NewReader(raw).Text()
	} else if json.Unmarshal(raw, &v) != nil { // v is a number that is too large
		v = string(raw)
	}
	if s, ok := v.(string); ok {
		return cut(s, maxShown)
	}
	if len(raw) > maxShown {
		return cut(string(raw), maxShown)
	}
	return v
}

// cut truncates a string to size bytes.
func cut(s string, size int) string {
	if len(s) <= size {
		return strings.Clone(s)
	}
	return strings.ToValidUTF8(s[:size], "") + "…"
}

func statusOf(text string) Status {
	for _, s := range []Status{OK, Suspect, Failed, Interrupted} {
		if text == string(s) {
			return s
		}
	}
	return Status(cut(text, maxWord))
}
