package schema

import (
	"strings"
	"testing"
)

// TestLines checks that long lists and objects are split, with one entry per line, and that
// other text and strings are not changed.
func TestLines(t *testing.T) {
	long := strings.Repeat("x", 500)
	for _, test := range []struct{ in, want string }{
		{`{"a":[1,2],"b":"c,d"}`, `{"a":[1,2],"b":"c,d"}`},
		{`{"a":[1,{"b":2}],"c":"` + long + `"}`, "{\n\"a\":[1,{\"b\":2}],\n\"c\":\"" + long + "\"\n}"},
		{`["{,\\",` + `"` + long + `"]`, "[\n\"{,\\\\\",\n\"" + long + "\"\n]"},
		{`["\",",[],{},"` + long + `"]`, "[\n\"\\\",\",\n[],\n{},\n\"" + long + "\"\n]"},
	} {
		if got := string(Lines([]byte(test.in))); got != test.want {
			t.Errorf("%s becomes\n%s\nwant\n%s", test.in, got, test.want)
		}
	}
}
