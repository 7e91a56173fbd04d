package schema

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	cueschema "kvbench/cue"
)

// TestReadJSON checks that the reader decodes the snapshot in the same way as encoding/json.
func TestReadJSON(t *testing.T) {
	want, got := new(Schema), new(Schema)
	if err := json.Unmarshal([]byte(cueschema.Snapshot), want); err != nil {
		t.Fatal(err)
	}
	want.Normalize()
	if err := readJSON(cueschema.Snapshot, got); err != nil {
		t.Fatal(err)
	}
	got.Normalize()
	testLater(t, &got.Families, &want.Families)
	for i := range got.Families.Get() {
		testLater(t, &got.Families.Get()[i].Family, &want.Families.Get()[i].Family)
	}
	testLater(t, &got.Cache, &want.Cache)
	for name, k := range got.Cache.Get().Kinds {
		testLater(t, k, want.Cache.Get().Kinds[name])
		testLater(t, &k.Get().Requires, &want.Cache.Get().Kind(name).Requires)
	}
	testLater(t, &got.Cache.Get().Transfer, &want.Cache.Get().Transfer)
	testLater(t, &got.Without, &want.Without)
	testLater(t, &got.LaunchFields, &want.LaunchFields)
	testLater(t, &got.Checkpoints, &want.Checkpoints)
	testLater(t, &got.Nixlbench.Limits, &want.Nixlbench.Limits)
	testLater(t, &got.Nixlbench.Runs, &want.Nixlbench.Runs)
	for name, v := range got.Views {
		testLater(t, v, want.Views[name])
	}
	for name, b := range got.Nixlbench.Backends {
		testLater(t, &b.Transfers, &want.Nixlbench.Backends[name].Transfers)
	}
	for i := range min(len(got.Architectures), len(want.Architectures)) {
		testLater(t, &got.Architectures[i].Arch, &want.Architectures[i].Arch)
		testLater(t, &got.Architectures[i].Arch.Get().Checks, &want.Architectures[i].Arch.Get().Checks)
	}
	if !reflect.DeepEqual(got, want) {
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		i := 0
		for i < min(len(a), len(b)) && a[i] == b[i] {
			i++
		}
		t.Errorf("got\n%s, want\n%s", a[max(0, i-100):min(len(a), i+100)], b[max(0, i-100):min(len(b), i+100)])
	}
	if len(got.Architectures) == 0 || len(got.Nixlbench.Flags) == 0 {
		t.Error("the snapshot is empty")
	}
}

// testLater checks that a part that is read on demand has the same value as if encoding/json
// had decoded it.
func testLater[T any](t *testing.T, got, want *Later[T]) {
	var v T
	if err := json.Unmarshal([]byte(want.text), &v); err != nil || reflect.ValueOf(v).IsZero() {
		t.Fatalf("%T: %v, %v", v, v, err)
	}
	want.Get() // because got.Get is called below, and the caller compares got and want
	a, err1 := json.Marshal(got.Get())
	b, err2 := json.Marshal(v)
	if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
		t.Errorf("got (%v, %v)\n%s, want\n%s", err1, err2, a, b)
	}
}

// TestLaterWrong checks that unmarshaling reports an invalid part. Otherwise, the generated
// snapshot would lack the part.
func TestLaterWrong(t *testing.T) {
	for _, text := range []string{
		`{"nixlbench": {"runs": {"home": 3}}}`,
		`{"nixlbench": {"runs": {"measures": [{"key": "a", "positive": 1}]}}}`,
		`{"cache": {"kinds": {"full": {"per": 1.5}}}}`,
		`{"cache": "none"}`,
	} {
		s := new(Schema)
		if err := json.Unmarshal([]byte(text), s); err == nil {
			again, err := json.Marshal(&s.Cache)
			t.Errorf("%s is accepted, as %s (%v)", text, again, err)
		}
	}
}

// FuzzReadJSON checks that no text makes the reader panic, and that the reader decodes
// strings in the same way as encoding/json.
func FuzzReadJSON(f *testing.F) {
	for _, text := range []string{
		`{"fields":[{"path":"a.b","number":true,"default":3,"pos":"x:1:2"}]}`, `{"dtypes":{"a":"@f:1:2 x + 1","b":"2"}}`,
		`{"nixlbench":{"releases":["\u00e9\ud83d\ude00\n\\"]}}`, `[`, `{"x": {"y": [1, null]}}`, `{"fields": null}`, `{"cache":[2,{}],"families":[9,[]]}`, ``, `"`, `{"let":{"a":"\q"}}`, `{} {}`,
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

// BenchmarkDecode decodes the snapshot, which kvbench does each time it starts.
func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(cueschema.Snapshot); err != nil {
			b.Fatal(err)
		}
	}
}
