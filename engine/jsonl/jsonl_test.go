package jsonl_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"kvbench/engine/jsonl"
)

// TestReader checks the values that are read, and the messages about invalid text.
func TestReader(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1}`:                  "",
		` [1, -2.5e+10, 0, "x"] `:  "",
		`"\u00e9\n\"/"`:            "",
		``:                         "unexpected end of input",
		`{`:                        "unexpected end of input",
		`{"a"`:                     "unexpected end of input",
		`{"a":1`:                   "unexpected end of input",
		`{"a":1,}`:                 `a " is missing`,
		`{a:1}`:                    `a " is missing`,
		`{"a" 1}`:                  "a : is missing",
		`{"a":1 "b":2}`:            "a } is missing",
		`[1 2]`:                    "a ] is missing",
		`[1,]`:                     "expected a value",
		`01`:                       "invalid JSON number",
		`1.`:                       "invalid JSON number",
		`1e`:                       "invalid JSON number",
		`-`:                        "invalid JSON number",
		`NaN`:                      "expected a value",
		`nul`:                      "expected a value",
		`{} {}`:                    "unexpected data after the value",
		"\"\t\"":                   "control character in a string",
		`"\x"`:                     "invalid escape sequence in a string",
		`"\u12"`:                   "invalid escape sequence in a string",
		`"`:                        "unterminated string",
		`"\`:                       "unterminated string",
		strings.Repeat("[", 1<<20): "values are nested too deeply",
		strings.Repeat("[", 100) + strings.Repeat("]", 100): "",
		strings.Repeat("[", 101) + strings.Repeat("]", 101): "values are nested too deeply",
	} {
		r := jsonl.NewReader([]byte(text))
		r.Skip()
		if got := r.End(); got != want {
			t.Errorf("%.40s: %q, want %q", text, got, want)
		}
	}
	var got []string
	r := jsonl.NewReader([]byte(`{"a":{"b":[1,"\u0078",null]}, "c\n":true,"d":[]}`))
	r.Object(func(name []byte) {
		switch string(name) {
		case "a":
			r.Object(func(name []byte) {
				r.Array(func() {
					if r.Next() == '"' {
						got = append(got, r.Text())
					}
				})
			})
		case "c\n":
			got = append(got, string(r.Skip()))
		}
	})
	if s := strings.Join(got, " "); s != "x true" || r.End() != "" {
		t.Errorf("read %q and %q", s, r.Err())
	}
}

// TestLook checks that a function that only looks at the next character does not have to read
// the value, with and without white space before the value.
func TestLook(t *testing.T) {
	for _, text := range []string{
		`{"a":null,"b":[1,2],"c":[null,3]}`,
		`{ "a" : null , "b" : [ 1 , 2 ] , "c" : [ null , 3 ] }`,
		"{\t\"a\":\r\n null, \"b\":\n[1,\n2], \"c\": [\tnull,\t3]}",
	} {
		for _, remember := range []bool{false, true} {
			got := ""
			r := jsonl.NewReader([]byte(text))
			if remember {
				r.Remember()
			}
			r.Object(func(name []byte) {
				got += string(name) + string(r.Next())
				if string(name) == "c" {
					r.Array(func() { got += string(r.Next()) })
				}
			})
			if why := r.End(); got != "anb[c[n3" || why != "" {
				t.Errorf("%q: read %s, want anb[c[n3; %q", text, got, why)
			}
		}
	}
}

// FuzzReader checks that a reader accepts the same text as encoding/json, unless values are
// nested too deeply.
func FuzzReader(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5e-3,"\ud800\u0041",null,true,false]}`, `{"a":1,"a":{}}`, "[0 ,\r\n-0.1]", `"\u00`, `[1,,2]`, "\"\xff\"", `1E+`, strings.Repeat("[", 200)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := jsonl.NewReader(text)
		r.Skip()
		if why := r.End(); why != "values are nested too deeply" && (why == "") != json.Valid(text) {
			t.Errorf("%q: %q", text, why)
		}
		r.Reset(text)
		if r.Next() != '"' {
			return
		}
		s := r.Text()
		var want string
		if json.Unmarshal(text, &want) == nil && bytes.Equal([]byte(want), bytes.ToValidUTF8([]byte(want), nil)) && !bytes.Contains([]byte(want), []byte("\ufffd")) && s != want {
			t.Errorf("%q is %q, want %q", text, s, want)
		}
	})
}

// TestRemember checks that the function is called only for members that it reads and for members
// whose text is new, and that the reader remembers only a limited amount of text.
func TestRemember(t *testing.T) {
	var r jsonl.Reader
	r.Remember()
	for _, test := range []struct{ text, called, why string }{
		{`{"a":1,"b":{"c":[1,2],"d":"x"},"e":3}`, "a=1 b c d e", ""},
		{`{"a":1,"b":{"c":[1,2],"d":"x"},"e":3}`, "a=1 b", ""},                 // the same text
		{`{"a":1,"b":{"c":[1,2],"d":"x"},"e":30}`, "a=1 b e", ""},              // a longer number
		{`{"a":1,"b":{"c":[1,2],"d":"x"},"e":3}`, "a=1 b e", ""},               // a shorter number
		{`{"b":{"d":"x","c":[1,2]},"e":3,"a":2}`, "b a=2", ""},                 // another order
		{`{"a":2, "b":{"c":[1,2],"d":"y"} , "e":3}`, "a=2 b d", ""},            // white space
		{`{"a":2,"b":{"c":[1,3],"d":"y"},"e":3,"f":{"c":1}}`, "a=2 b c f", ""}, // new members
		{`{"a":2,"b":{"c":[1,3],"d":"y"`, "a=2 b d", "unexpected end of input"},
		{`{"a":2,"b":{"c":[1,3],"d":"y"},"e":3]`, "a=2 b e", "a } is missing"},
		{`{"a":2,"b":{"c":[1,3]"d":"y"},"e":3}`, "a=2 b c", "a } is missing"},
		{`{"a":2,"b":{"c":[1,3],"d":"y"},"e":3}x`, "a=2 b", "unexpected data after the value"},
		{`{"a":2,"b":{"c":[1,3],"d":"y"},"e":3}`, "a=2 b", ""}, // errors are forgotten
	} {
		var called []string
		r.Reset([]byte(test.text))
		r.Object(func(name []byte) {
			switch string(name) {
			case "a":
				called = append(called, "a="+string(r.Skip()))
			case "b":
				called = append(called, "b")
				r.Object(func(name []byte) { called = append(called, string(name)) })
			default:
				called = append(called, string(name))
			}
		})
		if s := strings.Join(called, " "); s != test.called || r.End() != test.why {
			t.Errorf("%s: called for %s, want %s; %q, want %q", test.text, s, test.called, r.End(), test.why)
		}
	}
	many := []byte("{")
	for i := range 100_000 {
		many = fmt.Appendf(many, `"%d":%d,`, i, i)
	}
	many = append(many, `"a":0}`...)
	for _, text := range [][]byte{many, []byte(`{"a":{"` + strings.Repeat("b", 1<<20) + `":1}}`)} {
		r.Remember()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r.Reset(text)
		r.Skip()
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); r.End() != "" || grown > 4<<20 {
			t.Errorf("%.20s: %q, and %d bytes are remembered", text, r.End(), grown)
		}
	}
}

// FuzzRemember checks that a reader that remembers earlier text reads the same values as a
// reader that does not.
func FuzzRemember(f *testing.F) {
	f.Add([]byte(`{"keep":{"a":1,"b":{"keep":2}},"c":"x"}`), []byte(`{"keep":{"a":12,"b":{"keep":2}},"c":"x"}`))
	f.Add([]byte(`{"a":[{"keep":1}],"a":1}`), []byte(`{"a":[{"keep":1},{"keep":1}],"a":1,"\u0061":2}`))
	f.Add([]byte(`{"a":{"a":{"b":1}},"keep":1}`), []byte(`{"a":{"a":{"b":1`))
	f.Add([]byte(`{"a":1}`), []byte(`{"a":1]`))
	f.Add([]byte(`{"a":"`+strings.Repeat("x", 100)+`"}`), []byte(`[{"a":"`+strings.Repeat("x", 100)+`"}]`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var known jsonl.Reader
		known.Remember()
		for _, text := range [][]byte{first, second, first, second} {
			known.Reset(text)
			got, why := kept(&known), known.End()
			r := jsonl.NewReader(text)
			if want := kept(r); got != want || why != r.End() {
				t.Fatalf("%q: read %q, want %q; %q, want %q", text, got, want, why, r.End())
			}
		}
	})
}

// kept returns the text of all members that are named "keep".
func kept(r *jsonl.Reader) (all string) {
	var object func(name []byte)
	object = func(name []byte) {
		if string(name) != "keep" {
			return
		}
		if r.Next() == '{' {
			all += "{"
			r.Object(object)
			all += "}"
		} else {
			all += string(r.Skip()) + ";"
		}
	}
	if r.Next() == '{' {
		r.Object(object)
	} else {
		r.Skip()
	}
	return all
}

// TestBatch checks that batches contain the lines that [jsonl.Lines.Next] returns, no matter how
// many bytes each read returns.
func TestBatch(t *testing.T) {
	const mib = 1 << 20
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, test := range []struct {
		text    string
		batches int
	}{
		{"", 0},
		{"\n \n", 0},
		{"one\n\n two \nthree", 1},
		{"\ufeffone\r\n" + strings.Repeat("\n", 3*mib) + "two\n", 2},
		{strings.Repeat(x(999)+"\n", 5000), 5},
		{strings.Repeat(x(999)+"\n \n", 5000) + "{", 5},
		{"a\n" + x(3*mib) + "\nb\n" + x(4*mib) + "\n", 3},
		{"a\n" + x(4*mib+1) + "\nb\n", 1},
		{x(4 * mib), 1},
	} {
		type line struct {
			text   string
			number int
			torn   bool
		}
		var want, got []line
		one := jsonl.NewLines(strings.NewReader(test.text))
		text, end := one.Next()
		for ; end == nil; text, end = one.Next() {
			want = append(want, line{string(text), one.Number, one.Torn})
		}
		for name, in := range map[string]io.Reader{
			"whole":  strings.NewReader(test.text),
			"halves": iotest.HalfReader(strings.NewReader(test.text)),
			"early":  iotest.DataErrReader(strings.NewReader(test.text)),
		} {
			got = nil
			lines, b, n := jsonl.NewLines(in), &jsonl.Batch{}, 0
			var err error
			for err == nil {
				err = lines.Batch(b)
				before := len(got)
				b.Each(func(text []byte, number int, torn bool) { got = append(got, line{string(text), number, torn}) })
				if len(got) > before {
					n++
				}
			}
			if err != end || !slices.Equal(got, want) || err == jsonl.ErrLong && lines.Number != one.Number || lines.Bytes != one.Bytes || name == "whole" && n != test.batches {
				t.Errorf("%.10q, %s: %d lines in %d batches, want %d in %d; %v, want %v; %d, want %d", test.text, name, len(got), n, len(want), test.batches, err, end, lines.Bytes, one.Bytes)
			}
		}
	}
}

// TestLines checks the numbers and offsets of lines. Blank lines are skipped, reading stops at a
// line that is too long, and the last line need not end with a newline.
func TestLines(t *testing.T) {
	long := strings.Repeat("x", jsonl.MaxLine)
	for text, want := range map[string]string{
		"\ufeffone\r\n\n \t\ntwo\n" + long + "\n  three": "1 one 3 false|4 two 3 false|5 xxxxx 4194304 false|6 three 5 true",
		"one\n" + long + "y\nthree\n":                    "1 one 3 false|2 this line is longer than 4 MiB",
	} {
		lines := jsonl.NewLines(strings.NewReader(text))
		var got []string
		for {
			line, err := lines.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				got = append(got, fmt.Sprint(lines.Number, " ", err))
				break
			}
			if at := lines.Offset; text[at:at+int64(len(line))] != string(line) {
				t.Errorf("the text of line %d is not at offset %d", lines.Number, at)
			}
			got = append(got, fmt.Sprintf("%d %.5s %d %t", lines.Number, line, len(line), lines.Torn))
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("lines are\n%s\nwant\n%s", s, want)
		}
	}
}

// TestEndless checks that reading an endless line stops one byte after the maximum length.
func TestEndless(t *testing.T) {
	endless := &zeros{}
	if _, err := jsonl.NewLines(endless).Next(); err != jsonl.ErrLong {
		t.Errorf("the error is %v", err)
	}
	if endless.read != 4<<20+1 {
		t.Errorf("%d bytes were read", endless.read)
	}
}

type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += len(p)
	return len(p), nil
}
