package schema

import "kvbench/engine/diag"

// Cache describes the caches of serving engines: the kinds of layers, and the
// formulas of rank accounting.
type Cache struct {
	Kinds map[string]*Later[*Kind] `json:"kinds"`
	// KindFields contains the types of all fields of layer kinds, keyed by the field's name.
	KindFields map[string]Kinds `json:"kind_fields"`

	Let      map[string]Formula               `json:"let"`
	Tables   map[string]map[string]EngineRule `json:"tables"`
	Requires []Requirement                    `json:"requires"`
	// EachRequires lists the conditions that every layer must meet, regardless of its kind.
	EachRequires []Requirement `json:"each_requires"`
	// Covers contains, for each access pattern, a formula for what one I/O covers:
	// [CoversStage], [CoversPool], [CoversBlock], [CoversLayer] or [CoversPart].
	Covers map[string]Formula `json:"covers"`
	Folds  []Fold             `json:"folds"`
	// Releases lists the releases of each engine, oldest first.
	Releases map[string][]string `json:"releases"`
	// Defaults contains formulas for fields that are not set.
	Defaults map[string]Formula `json:"defaults"`
	Transfer Later[*Transfers]  `json:"transfer"`
}

// Kind returns the kind with the given name, or nil.
func (c *Cache) Kind(name string) *Kind {
	if k := c.Kinds[name]; k != nil {
		return k.Get()
	}
	return nil
}

// The values that the formulas in [Cache.Covers] return.
const (
	CoversStage = "stage" // all layers of a group in the stage
	CoversBlock = "block" // all layers in the stage
	CoversPool  = "pool"  // all layers in the stage whose pages are in the same pool
	CoversLayer = "layer"
	CoversPart  = "part" // one part of a layer
)

// Kind is a kind of layer.
type Kind struct {
	Doc    string               `json:"doc"`
	Fields map[string]KindField `json:"fields"`
	// Per is the unit for which the sizes of parts are given, such as a token or a page.
	Per   string             `json:"per"`
	Parts map[string]Formula `json:"parts"`
	Pages Formula            `json:"pages"`
	Grows Formula            `json:"grows"`
	Bound Formula            `json:"bound"`
	// Sort and Span distinguish layers that need different numbers of blocks.
	Sort Formula `json:"sort"`
	Span Formula `json:"span"`
	// SamePages specifies how the grouping of layers affects the results. It yields 2 if
	// kvbench counts the memory allocated for the kind's layers, 1 if it counts the bytes
	// transferred, or 0 if the grouping has no effect.
	SamePages Formula `json:"same_pages"`
	// Shares is the number of equal shares into which ranks can divide a layer.
	Shares Formula `json:"shares"`
	// Requires is decoded only for kinds that the model uses.
	Requires Later[[]Requirement] `json:"requires"`
}

// KindField is a field that groups of a kind must set, unless it has a default.
type KindField struct {
	Doc     string  `json:"doc"`
	Type    Kinds   `json:"type"`
	Default Formula `json:"default,omitzero"`
	// Zero reports whether a number may be 0.
	Zero bool `json:"zero,omitempty"`
}

// Group is a group of an architecture's layers.
type Group struct {
	// Kind is the kind of the layers. It defaults to the group's name.
	Kind  string   `json:"kind"`
	Pos   diag.Pos `json:"pos,omitzero"` // the position of the kind or the group
	Where Formula  `json:"where,omitzero"`
	// Shared reports whether the group's layers may also be in another group.
	Shared bool `json:"shared,omitempty"`
	// Draft reports whether the group's layers run only for speculative decoding.
	Draft bool `json:"draft,omitempty"`
	// Fields contains formulas for the kind's fields.
	Fields map[string]Formula `json:"fields"`
}

// Layers describes an architecture's cache layer by layer.
type Layers struct {
	Count Formula `json:"layers"`
	// Drafts is the number of layers that run only for speculative decoding. They come after
	// the other layers.
	Drafts Formula `json:"draft_layers,omitzero"`
	// Drafter reports whether the draft layers belong to a drafter, which is a separate model.
	Drafter bool `json:"-"`
	// Select yields the name of each layer's group, for groups without Where.
	Select Formula `json:"select,omitzero"`
	// ServedAs yields the name by which serving engines know the model: the architectures entry
	// in its config.json.
	ServedAs Formula           `json:"served_as,omitzero"`
	Groups   map[string]*Group `json:"groups"`
}

// Requirement is a condition that must hold. If it does not hold, the result is an error
// or, if Warn or Note is set, only a warning or a note.
type Requirement struct {
	Require Formula `json:"require"`
	Message string  `json:"message"`
	// Of is the name of the field or parameter to report if the condition does not hold.
	Of   string `json:"of,omitempty"`
	Hint string `json:"hint,omitempty"`
	Warn bool   `json:"warn,omitempty"`
	Note bool   `json:"note,omitempty"`
}

// Fold is a value that combines the values of several layers.
type Fold struct {
	Name string  `json:"name"`
	Of   Formula `json:"of"`
	// Fold is how the values are combined: sum or max.
	Fold string `json:"fold"`
	// Over selects the layers to combine: those of a stage, or of the whole model.
	Over string `json:"over"`
	// By contains formulas that divide the layers into sets: layers for which the formulas
	// have the same values are in the same set. Each set has its own result, and a layer's
	// formulas read the result of the layer's set.
	By []Formula `json:"by,omitempty"`
	// If the condition When does not hold, the value is 0.
	When Formula `json:"when,omitzero"`
	// Kept reports whether the value stays the same while a fold with a Set is evaluated.
	Kept bool `json:"kept,omitempty"`
	// Ceil reports whether the result is rounded up to a whole number.
	Ceil bool `json:"ceil,omitempty"`
	// Set contains formulas that override values while Of is evaluated.
	Set map[string]Formula `json:"set"`
	// Column is the heading to use when the values of individual layers are shown.
	Column string `json:"column,omitempty"`
}

// GoesOn reports whether planning continues even if the condition does not hold.
func (r *Requirement) GoesOn() bool { return r.Warn || r.Note }

// FoldMax is a value of [Fold.Fold], and OverStage is a value of [Fold.Over].
const (
	FoldMax   = "max"
	OverStage = "stage"
)

func (c *Cache) eachFormula(f func([]string, *Formula)) {
	for _, name := range Keys(c.Kinds) {
		k, path := c.Kind(name), []string{"kinds", name}
		f(append(path, "pages"), &k.Pages)
		f(append(path, "grows"), &k.Grows)
		f(append(path, "bound"), &k.Bound)
		f(append(path, "sort"), &k.Sort)
		f(append(path, "span"), &k.Span)
		f(append(path, "same_pages"), &k.SamePages)
		f(append(path, "shares"), &k.Shares)
		eachIn(k.Parts, append(path, "parts"), f)
		for _, field := range Keys(k.Fields) {
			v := k.Fields[field]
			f(append(path, "fields", field, "default"), &v.Default)
			k.Fields[field] = v
		}
		eachRequirement(k.Requires.Get(), "requires", path, f)
	}
	eachIn(c.Let, []string{"let"}, f)
	for _, name := range Keys(c.Tables) {
		for _, key := range Keys(c.Tables[name]) {
			c.Tables[name][key].eachFormula([]string{"tables", name, key}, f)
		}
	}
	eachIn(c.Covers, []string{"covers"}, f)
	eachIn(c.Defaults, []string{"defaults"}, f)
	eachRequirement(c.Requires, "requires", nil, f)
	eachRequirement(c.EachRequires, "each_requires", nil, f)
	for i := range c.Folds {
		path := []string{"folds", index(i)}
		f(append(path, "of"), &c.Folds[i].Of)
		f(append(path, "when"), &c.Folds[i].When)
		for j := range c.Folds[i].By {
			f(append(path[:2:2], "by", index(j)), &c.Folds[i].By[j])
		}
		eachIn(c.Folds[i].Set, append(path, "set"), f)
	}
	c.Transfer.Get().eachFormula(f)
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
