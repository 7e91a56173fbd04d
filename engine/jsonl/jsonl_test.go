package jsonl_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"kvbench/engine/jsonl"
)

// TestReader: what is read, and what is wrong with texts.
func TestReader(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1}`:                  "",
		` [1, -2.5e+10, 0, "x"] `:  "",
		`"\u00e9\n\"/"`:            "",
		``:                         "the end is missing",
		`{`:                        "the end is missing",
		`{"a"`:                     "the end is missing",
		`{"a":1`:                   "the end is missing",
		`{"a":1,}`:                 `a " is missing`,
		`{a:1}`:                    `a " is missing`,
		`{"a" 1}`:                  "a : is missing",
		`{"a":1 "b":2}`:            "a } is missing",
		`[1 2]`:                    "a ] is missing",
		`[1,]`:                     "a value is missing",
		`01`:                       "a number is not as JSON has it",
		`1.`:                       "a number is not as JSON has it",
		`1e`:                       "a number is not as JSON has it",
		`-`:                        "a number is not as JSON has it",
		`NaN`:                      "a value is missing",
		`nul`:                      "a value is missing",
		`{} {}`:                    "something follows the value",
		"\"\t\"":                   "a string holds a control character",
		`"\x"`:                     "a string holds an unknown escape",
		`"\u12"`:                   "a string holds an unknown escape",
		`"`:                        "the end of a string is missing",
		`"\`:                       "the end of a string is missing",
		strings.Repeat("[", 1<<20): "it is nested too deeply",
		strings.Repeat("[", 100) + strings.Repeat("]", 100): "",
		strings.Repeat("[", 101) + strings.Repeat("]", 101): "it is nested too deeply",
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

// FuzzReader: a text is good if encoding/json finds it so, and is not nested
// too deeply.
func FuzzReader(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5e-3,"\ud800\u0041",null,true,false]}`, `{"a":1,"a":{}}`, "[0 ,\r\n-0.1]", `"\u00`, `[1,,2]`, "\"\xff\"", `1E+`, strings.Repeat("[", 200)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := jsonl.NewReader(text)
		r.Skip()
		if why := r.End(); why != "it is nested too deeply" && (why == "") != json.Valid(text) {
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

// TestLines: the numbers and the places of lines; blank ones are passed over,
// long ones are errors, and the last may lack its end.
func TestLines(t *testing.T) {
	long := strings.Repeat("x", jsonl.MaxLine)
	text := "\ufeffone\r\n\n \t\ntwo\n" + long + "\n" + long + "y\n  three"
	lines := jsonl.NewLines(strings.NewReader(text))
	var got []string
	for {
		line, err := lines.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			got = append(got, fmt.Sprint(lines.Number, " ", err))
			continue
		}
		if at := lines.Offset; text[at:at+int64(len(line))] != string(line) {
			t.Errorf("line %d is said to be at %d", lines.Number, at)
		}
		got = append(got, fmt.Sprintf("%d %.5s %d %t", lines.Number, line, len(line), lines.Torn))
	}
	want := "1 one 3 false|4 two 3 false|5 xxxxx 4194304 false|6 this line is longer than 4 MiB|7 three 5 true"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("lines are\n%s\nwant\n%s", s, want)
	}
}

// TestEndless: a line without an end takes no more memory than the longest.
func TestEndless(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	lines := jsonl.NewLines(io.LimitReader(zeros{}, 1<<30))
	if _, err := lines.Next(); err != jsonl.ErrLong || !lines.Torn {
		t.Errorf("the error is %v", err)
	}
	if _, err := lines.Next(); err != io.EOF {
		t.Errorf("then it is %v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("it took %d bytes", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestOpen: what has no end of its own is not waited for.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		file: "", dir: "is a directory", pipe: "is not a regular file", os.DevNull: "is not a regular file", "/dev/zero": "is not a regular file",
	} {
		done := make(chan error, 1)
		go func() {
			f, err := jsonl.Open(name)
			if err == nil {
				f.Close()
			}
			done <- err
		}()
		select {
		case err := <-done:
			if fmt.Sprint(err) != want && (err != nil || want != "") {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s is waited for", name)
		}
	}
	if _, err := jsonl.Open(filepath.Join(dir, "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the error is %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	io.WriteString(w, "{}\n")
	w.Close()
	f, err := jsonl.Open(fmt.Sprintf("/proc/self/fd/%d", r.Fd()))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	if line, err := jsonl.NewLines(f).Next(); string(line) != "{}" {
		t.Errorf("the line is %q: %v", line, err)
	}
}
