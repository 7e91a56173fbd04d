package plan

import (
	"slices"

	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// declareDrafts declares the values that describe the layers added by speculation: how many
// the model has, and whether the current layer is one of them.
func (ds *declarations) declareDrafts() {
	drafts := ds.arch.Layers.Drafts
	if drafts.IsZero() {
		drafts = schema.Formula{Text: "0"}
	}
	ds.scope.Formula(predictVar, drafts, formula.Num)
	drafter := schema.Formula{Text: "false"}
	if ds.arch.Layers.Drafter {
		drafter.Text = "true"
	}
	ds.scope.Formula(drafterVar, drafter, formula.Bool)
	ds.scope.Input(draftVar, formula.Bool, diag.Pos{})
	// Both accountings use the same formulas. The model accounting does not have these
	// fields, but must declare them for the formulas.
	for i := range ds.schema.Fields {
		if f := &ds.schema.Fields[i]; !ds.knows(f) && slices.Contains(draftFields, f.Var) {
			ds.scope.Input(f.Var, f.Type.Kinds.Formula(), f.Pos)
		}
	}
}

// DraftVar is the name that formulas use for the configuration field that selects which
// layers speculation adds.
const DraftVar = "draft"

// draftFields are the configuration fields that select which layers speculation adds.
var draftFields = []string{DraftVar}

// DraftWords returns the predefined values of the draft field. Any other value is the file
// or name of a drafter.
func DraftWords(s *schema.Schema) []string { return schema.Keys(s.Cache.Get().Tables[draftsTable]) }

// IsDrafter reports whether a value of the draft field is the file or name of a drafter.
func IsDrafter(s *schema.Schema, v data.Fact) bool {
	return v.Kind == formula.Str && v.Origin.Kind != data.FromDefault && !slices.Contains(DraftWords(s), v.Str)
}

// checkDrafts returns an error if the architecture has a group of draft layers but no
// formula for the number of draft layers, or the other way around.
func checkDrafts(arch *schema.Architecture) error {
	l := arch.Layers
	for _, name := range schema.Keys(l.Groups) {
		if g := l.Groups[name]; g.Draft {
			if l.Drafts.IsZero() {
				return diag.Errorf(g.Pos, "group %s contains draft layers, but %s does not define how many there are", name, arch.Name).
					WithHint("add a draft_layers formula next to the layers formula")
			}
			return nil
		}
	}
	if !l.Drafts.IsZero() {
		return diag.Errorf(l.Drafts.Pos, "%s has draft layers, but no group for them", arch.Name).
			WithHint("add a group with draft: true")
	}
	return nil
}
