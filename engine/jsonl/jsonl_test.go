package jsonl_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"kvbench/engine/jsonl"
)

// TestReader checks the values that are read, and the messages about invalid texts.
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

// FuzzReader checks that a text is accepted if encoding/json accepts it and it is not
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

// TestLines checks the numbers and offsets of lines. Blank lines are skipped, a line
// that is too long ends the reading, and the last line does not need a line end.
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
				t.Errorf("line %d is said to be at %d", lines.Number, at)
			}
			got = append(got, fmt.Sprintf("%d %.5s %d %t", lines.Number, line, len(line), lines.Torn))
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("lines are\n%s\nwant\n%s", s, want)
		}
	}
}

// TestEndless checks that a line without an end takes no more time and memory than the
// longest allowed line.
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
