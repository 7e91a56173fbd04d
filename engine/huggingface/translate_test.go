package huggingface

import (
	"strings"
	"testing"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/schema"
)

// TestTranslate checks that a configuration is converted to a parameter document in which
// each value has the position of the first field that it is computed from.
func TestTranslate(t *testing.T) {
	const text = `{
 "model_type": "toy",
 "width": 64,
 "parts": {"count": 4},
 "rows": [{"on": true}, {"off": 1}],
 "dtype": "half",
 "heads": null
}`
	rule := func(text string) schema.Rule { return schema.Rule{Value: schema.Formula{Text: text}} }
	root, err := data.Parse("own/config.json", []byte(text), Is)
	if err != nil {
		t.Fatal(err)
	}
	common := &schema.Checkpoints{
		Formats:  map[string]string{"half": "fp16"},
		Let:      map[string][]schema.Formula{"element": {{Text: "torch_dtype"}, {Text: "dtype"}}},
		Defaults: map[string][]schema.Rule{"strategy.format": {{When: schema.Formula{Text: "element == 'half'"}, Value: schema.Formula{Text: "formats[element]"}, Warn: "is old"}}},
		Relevant: []string{"heads", "size"},
	}
	c, err := Read("own/config.json", root, common)
	if err != nil {
		t.Fatal(err)
	}
	fam := Family{
		Family: &schema.Family{
			Name: "toy", Architecture: "toys", Pos: diag.Pos{File: "toy.cue", Line: 3},
			Absent: map[string]schema.Formula{"shift": {Text: "parts_count"}},
			Params: map[string][]schema.Rule{
				"num_layers": {rule("len(rows_on)")},
				"size":       {rule("size"), rule("shift + width")},
				"num_heads":  {rule("heads ?? (kv_heads ?? 7)")},
				"kinds":      {{Value: schema.Formula{Text: "rows_on[layer] == 1 ? 'on' : 'off'"}, Each: true}},
				"odd":        {rule("gone")},
			},
		},
		Arch: &schema.Architecture{Params: []schema.Param{{Name: "num_layers", Required: true}, {Name: "size"}, {Name: "num_heads"}, {Name: "kinds"}, {Name: "odd"}}},
	}
	got, err := Translate(c, fam)
	if err != nil {
		t.Fatal(err)
	}
	var leaves []string
	for i := range got.Leaves {
		l := &got.Leaves[i]
		v, _ := l.Formula()
		leaves = append(leaves, l.Path+" = "+v.String()+" at "+l.Origin.String())
	}
	want := []string{
		`model_name = "own" at own/config.json`,
		`architecture = "toys" at toy.cue:3`,
		`defaults.strategy.format = "fp16" at own/config.json:6:11`,
		`num_layers = 2 at own/config.json:5:10`,
		`size = 68 at own/config.json:4:21`,
		`num_heads = 7 at own/config.json:7:11`,
		`kinds = ["on", "off"] at own/config.json:5:10`,
	}
	if text := strings.Join(leaves, "\n"); text != strings.Join(want, "\n") {
		t.Errorf("the document is\n%s\nwant\n%s", text, strings.Join(want, "\n"))
	}
	if d := got.Doubts["strategy.format"]; len(got.Notes) > 0 || len(d) != 1 || d[0].Error() != "own/config.json:6:11: is old" {
		t.Errorf("the messages are %v, %v", got.Notes, got.Doubts)
	}
	bad := diag.Errorf(diag.Pos{}, "no").About(diag.NotAllowed, "size")
	if got.Explain(bad); len(bad.Hints) != 1 || bad.Hints[0] != "size comes from width" {
		t.Errorf("for a wrong size, the message is %q", bad.Hints)
	}
}
