package schema

import "kvbench/engine/diag"

// Cache is what is known of the caches of serving engines: kinds of layers,
// and the formulas of the rank accounting.
type Cache struct {
	Kinds    map[string]*Kind                 `json:"kinds"`
	Let      map[string]Formula               `json:"let"`
	Tables   map[string]map[string]EngineRule `json:"tables"`
	Requires []Requirement                    `json:"requires"`
	// EachRequires is what must hold of every layer, whatever its kind.
	EachRequires []Requirement `json:"each_requires"`
	// Covers says what an I/O covers of a layer, for each access pattern:
	// [CoversStage], [CoversLayer] or [CoversPart].
	Covers map[string]Formula `json:"covers"`
	Folds  []Fold             `json:"folds"`
	// Releases are those of engines, oldest first.
	Releases map[string][]string `json:"releases"`
	// Defaults are the values of fields that are not set.
	Defaults map[string]Formula `json:"defaults"`
}

// What one I/O covers.
const (
	CoversStage = "stage" // all layers of a group in the stage
	CoversLayer = "layer"
	CoversPart  = "part" // of a layer
)

// Kind is a kind of layers.
type Kind struct {
	Doc    string               `json:"doc"`
	Fields map[string]KindField `json:"fields"`
	// Per says what the parts are bytes of.
	Per       string             `json:"per"`
	Parts     map[string]Formula `json:"parts"`
	Pages     Formula            `json:"pages"`
	Grows     Formula            `json:"grows"`
	Bound     Formula            `json:"bound"`
	SamePages Formula            `json:"same_pages"`
	Requires  []Requirement      `json:"requires"`
}

// KindField is what a group of a kind must give, unless there is a default.
type KindField struct {
	Doc     string  `json:"doc"`
	Type    Kinds   `json:"type"`
	Default Formula `json:"default,omitzero"`
	// Zero says that a number may be 0.
	Zero bool `json:"zero,omitempty"`
}

// Group is a group of layers of an architecture.
type Group struct {
	// Kind is the group's name unless its file says otherwise.
	Kind  string   `json:"kind"`
	Pos   diag.Pos `json:"pos,omitzero"` // of the kind, or of the group
	Where Formula  `json:"where,omitzero"`
	// Shared says that its layers may be of another group too.
	Shared bool `json:"shared,omitempty"`
	// Draft says that its layers are among those that only speculation runs.
	Draft bool `json:"draft,omitempty"`
	// Fields are those of the kind.
	Fields map[string]Formula `json:"fields"`
}

// Layers is what an architecture says of its cache layer by layer.
type Layers struct {
	Count Formula `json:"layers"`
	// Drafts is the number of layers that only speculation runs; they come after
	// the others.
	Drafts Formula `json:"draft_layers,omitzero"`
	// Drafter says that they are those of a drafter, another model.
	Drafter bool `json:"-"`
	// Select yields the name of each layer's group, for groups without Where.
	Select Formula `json:"select,omitzero"`
	// ServedAs yields the name by which serving engines know the model.
	ServedAs Formula           `json:"served_as,omitzero"`
	Groups   map[string]*Group `json:"groups"`
}

// Requirement is a condition that must hold; with Warn or Note, else it is said
// that it does not.
type Requirement struct {
	Require Formula `json:"require"`
	Message string  `json:"message"`
	// Of names the field or the parameter that is to blame.
	Of   string `json:"of,omitempty"`
	Hint string `json:"hint,omitempty"`
	Warn bool   `json:"warn,omitempty"`
	Note bool   `json:"note,omitempty"`
}

// Fold is a value made of all layers.
type Fold struct {
	Name string  `json:"name"`
	Of   Formula `json:"of"`
	// Fold is sum or max.
	Fold string `json:"fold"`
	// Over is stage, or model.
	Over string `json:"over"`
	// Ceil rounds it up to a whole number.
	Ceil bool `json:"ceil,omitempty"`
	// Set has values that stand in for others.
	Set map[string]Formula `json:"set"`
	// Column is the heading of what each layer has of it, where that is shown.
	Column string `json:"column,omitempty"`
}

// GoesOn reports whether there is a plan all the same.
func (r *Requirement) GoesOn() bool { return r.Warn || r.Note }

// FoldMax and OverStage are the values of a [Fold] that are not the usual ones.
const (
	FoldMax   = "max"
	OverStage = "stage"
)

func (c *Cache) eachFormula(f func([]string, *Formula)) {
	for _, name := range Keys(c.Kinds) {
		k, path := c.Kinds[name], []string{"kinds", name}
		f(append(path, "pages"), &k.Pages)
		f(append(path, "grows"), &k.Grows)
		f(append(path, "bound"), &k.Bound)
		f(append(path, "same_pages"), &k.SamePages)
		eachIn(k.Parts, append(path, "parts"), f)
		for _, field := range Keys(k.Fields) {
			v := k.Fields[field]
			f(append(path, "fields", field, "default"), &v.Default)
			k.Fields[field] = v
		}
		eachRequirement(k.Requires, "requires", path, f)
	}
	eachIn(c.Let, []string{"let"}, f)
	for _, name := range Keys(c.Tables) {
		for _, key := range Keys(c.Tables[name]) {
			rule, path := c.Tables[name][key], []string{"tables", name, key}
			if _, ok := rule.Plain(); ok {
				f(path, &rule[0].Value)
				continue
			}
			for i := range rule {
				f(append(path[:3:3], index(i), "value"), &rule[i].Value)
			}
		}
	}
	eachIn(c.Covers, []string{"covers"}, f)
	eachIn(c.Defaults, []string{"defaults"}, f)
	eachRequirement(c.Requires, "requires", nil, f)
	eachRequirement(c.EachRequires, "each_requires", nil, f)
	for i := range c.Folds {
		path := []string{"folds", index(i)}
		f(append(path, "of"), &c.Folds[i].Of)
		eachIn(c.Folds[i].Set, append(path, "set"), f)
	}
}

func eachRequirement(list []Requirement, name string, path []string, f func([]string, *Formula)) {
	for i := range list {
		f(append(path[:len(path):len(path)], name, index(i), "require"), &list[i].Require)
	}
}

func (l *Layers) eachFormula(f func([]string, *Formula)) {
	f([]string{"cache", "layers"}, &l.Count)
	f([]string{"cache", "draft_layers"}, &l.Drafts)
	f([]string{"cache", "select"}, &l.Select)
	f([]string{"cache", "served_as"}, &l.ServedAs)
	for _, name := range Keys(l.Groups) {
		g, path := l.Groups[name], []string{"cache", "groups", name}
		f(append(path, "where"), &g.Where)
		eachIn(g.Fields, path, f)
	}
}
