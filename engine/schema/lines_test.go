package schema

import (
	"strings"
	"testing"
)

// TestLines: what is longer than an entry may be is broken, one entry a line; the
// rest stays as it is, and so do strings.
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
