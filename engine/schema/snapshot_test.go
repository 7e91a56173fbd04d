package schema

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	cueschema "kvbench/cue"
)

// TestReadJSON: the snapshot is read as encoding/json reads it.
func TestReadJSON(t *testing.T) {
	want, got := new(Schema), new(Schema)
	if err := json.Unmarshal([]byte(cueschema.Snapshot), want); err != nil {
		t.Fatal(err)
	}
	want.Normalize()
	for _, a := range want.Architectures {
		for i := range a.Checks {
			for _, m := range []map[string]any{a.Checks[i].Params, a.Checks[i].Config} {
				for k := range m {
					m[k] = whole(m[k])
				}
			}
		}
	}
	for _, v := range want.Views {
		for _, m := range v.Preset {
			for k := range m {
				m[k] = whole(m[k])
			}
		}
	}
	if err := readJSON(cueschema.Snapshot, got); err != nil {
		t.Fatal(err)
	}
	got.Normalize()
	var families []*Family
	text, err := json.Marshal(&want.Families)
	if err == nil {
		err = json.Unmarshal(text, &families)
	}
	if err != nil || !reflect.DeepEqual(got.Families.Get(), families) || len(families) == 0 {
		t.Errorf("the families are read otherwise than encoding/json reads them (%v)", err)
	}
	if !reflect.DeepEqual(got, want) {
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		i := 0
		for i < min(len(a), len(b)) && a[i] == b[i] {
			i++
		}
		t.Errorf("read is\n%s, want\n%s", a[max(0, i-100):min(len(a), i+100)], b[max(0, i-100):min(len(b), i+100)])
	}
	if len(got.Architectures) == 0 || len(got.Nixlbench.Flags) == 0 {
		t.Error("the snapshot is empty")
	}
}

// whole has numbers as the data has them.
func whole(v any) any {
	if list, ok := v.([]any); ok {
		for i := range list {
			list[i] = whole(list[i])
		}
	}
	return Native(v)
}

// FuzzReadJSON: no text makes the reader panic, and what encoding/json cannot
// read, it does not take for a number or a text.
func FuzzReadJSON(f *testing.F) {
	for _, text := range []string{
		`{"fields":[{"path":"a.b","number":true,"default":3,"pos":"x:1:2"}]}`, `{"dtypes":{"a":"@f:1:2 x + 1","b":"2"}}`,
		`{"nixlbench":{"releases":["\u00e9\ud83d\ude00\n\\"]}}`, `[`, `{"x": {"y": [1, null]}}`, `{"fields": null}`, ``, `"`, `{"let":{"a":"\q"}}`, `{} {}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		readJSON(text, new(Schema))
		var s string
		if readJSON(text, &s) == nil && json.Valid([]byte(text)) && text != "null" {
			var want string
			if json.Unmarshal([]byte(text), &want) != nil || utf8.ValidString(text) && s != want {
				t.Errorf("%q is read as %q, want %q", text, s, want)
			}
		}
	})
}

// BenchmarkDecode reads the snapshot, as every start does.
func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(cueschema.Snapshot); err != nil {
			b.Fatal(err)
		}
	}
}
