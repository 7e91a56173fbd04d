package plan

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/fit"
	"kvbench/engine/formula"
)

// Item is what a sweep plans for every value of the configuration's axes.
type Item struct {
	*Request
	Planner *Planner
}

// RowFormat says how rows are written.
type RowFormat struct {
	// Lead stands before each column, End after the last.
	Lead []string
	End  string
	// Cell appends a value; one of no kind is missing.
	Cell func(dst []byte, v formula.Value) []byte
}

// SortKey is a column that rows are sorted by.
type SortKey struct {
	Column string
	Down   bool
}

// SweepOptions say what becomes of the points.
type SweepOptions struct {
	// Where is the condition that rows fulfil; empty for all rows.
	Where string
	// Columns are names: of quantities, inputs, formulas and flags, or
	// [ColumnFile] or [ColumnArchitecture].
	Columns []string
	Sort    []SortKey
	// Top is how many rows are wanted; 0 for all.
	Top    uint64
	Format RowFormat
	// Mask stands for secrets, unless it is empty.
	Mask string
}

// The columns that no formula knows. Stage and group are those of a rank's
// plan.
const (
	ColumnFile         = "config_file"
	ColumnArchitecture = "architecture"
	ColumnStage        = "stage"
	ColumnGroup        = "group"
)

var (
	rankColumns = []string{ColumnStage, ColumnGroup}
	// OwnColumns are those that no formula knows.
	OwnColumns = append([]string{ColumnFile, ColumnArchitecture}, rankColumns...)
)

// Names of what the options add to a program.
const whereName = "--where"

// maxVariants is how many rule choices of one item are kept at a time.
const maxVariants = 64

// Sweep is the cross product of items and their axes. Its points are in a fixed
// order: item by item, then axis by axis in the schema's order, the last axis
// changing first, and each axis's values as they were given. In the accounting
// of ranks, a point may have several rows.
type Sweep struct {
	// Points is how many there are.
	Points uint64

	options SweepOptions
	items   []*sweepItem
	release string
}

// sweepItem is an item with its share of the points.
type sweepItem struct {
	Item
	program *sweepProgram
	shape   *shape
	first   uint64 // of its points
	count   uint64
	strides []uint64 // by axis
}

// sweepProgram is a program with what the options add.
type sweepProgram struct {
	*Program
	where    formula.Ref
	filtered bool
	// early says that the condition holds or not whatever fitting does.
	early   bool
	columns []sweepColumn
	keys    []sweepColumn
	shapes  map[string]*shape
}

// sweepColumn is what a column is in one program.
type sweepColumn struct {
	own    string // ColumnFile and the like, else ""
	name   string
	ref    formula.Ref
	shown  formula.Ref // whether a quantity is shown; -1 for always
	known  bool
	secret bool
}

// shape tells what the axes of an item change from what they do not.
type shape struct {
	// slow are the axes that the choice of a rule may depend on.
	slow []int
	// general items have their points planned one by one.
	general bool
	// layered items have values that are made of layers, and several rows for a
	// point.
	layered bool
	refs    []formula.Ref // of the axes; -1 where no formula knows one
	reads   []int         // the axes that what is made of layers may depend on
	inner   []formula.Ref // what is set for each layer, stage or I/O
	pinned  []formula.Ref // formulas that depend on no other axis
	changes map[formula.Ref]bool
	limits  []fit.Limit
}

// Split makes of each configuration that asks for several accountings one for
// each: they are planned by other planners.
func Split(configs []*config.Config) []*config.Config {
	var all []*config.Config
	for _, cfg := range configs {
		i := slices.IndexFunc(cfg.Axes, func(a config.Axis) bool { return a.Field.Var == accountingVar })
		if i < 0 {
			all = append(all, cfg)
			continue
		}
		for _, v := range cfg.Axes[i].Values {
			one := *cfg
			one.Axes = slices.Delete(slices.Clone(cfg.Axes), i, i+1)
			one.Values = maps.Clone(cfg.Values)
			one.Values[accountingVar] = v
			all = append(all, &one)
		}
	}
	return all
}

// NewSweep checks the options against every item. Axes have been checked as
// configurations are, but for what architectures want: items with a value that
// they do not allow are left out, as the second error says.
func NewSweep(items []Item, options SweepOptions) (s *Sweep, bad, err error) {
	s = &Sweep{options: options}
	programs := map[*Planner]*sweepProgram{}
	var errs, left diag.List
	unknown := map[string]int{}
	for _, item := range items {
		sp := programs[item.Planner]
		if sp == nil {
			if sp, err = s.program(item.Planner.Program, items, unknown); err != nil {
				errs.Add(err)
				sp = &sweepProgram{}
			}
			programs[item.Planner] = sp
		}
		if sp.Program == nil {
			continue
		}
		if err := item.checkAxes(); err != nil {
			left.Add(err)
			continue
		}
		s.release = item.Planner.release
		it := &sweepItem{Item: item, program: sp, first: s.Points, count: item.Config.Points()}
		it.shape = sp.shapeOf(&item)
		stride := uint64(1)
		it.strides = make([]uint64, len(item.Config.Axes))
		for i := len(it.strides) - 1; i >= 0; i-- {
			it.strides[i] = stride
			stride *= uint64(len(item.Config.Axes[i].Values))
		}
		if it.count > math.MaxInt64-s.Points {
			errs = append(errs, diag.Usagef("the sweep has more than %d points", int64(math.MaxInt64)))
			break
		}
		s.Points += it.count
		s.items = append(s.items, it)
	}
	for i, name := range append(slices.Clone(options.Columns), keyNames(options.Sort)...) {
		if unknown[name] == len(programs) && len(programs) > 0 {
			flag := "--columns"
			if i >= len(options.Columns) {
				flag = "--sort"
			}
			errs = append(errs, s.noColumn(programs, flag, name))
			unknown[name] = 0
		}
	}
	if len(errs) > 0 {
		return nil, nil, distinct(errs)
	}
	return s, left.Err(), nil
}

func keyNames(keys []SortKey) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Column
	}
	return names
}

// noColumn says that there is no such column.
func (s *Sweep) noColumn(programs map[*Planner]*sweepProgram, flag, name string) *diag.Diag {
	d := diag.Usagef("%s: there is no column %q", flag, name)
	var known []string
	for p, sp := range programs {
		if p.isElsewhere(name) || slices.Contains(rankColumns, name) {
			return d.WithHint("%s", p.elsewhere())
		}
		for i := range p.schema.Fields {
			if f := &p.schema.Fields[i]; f.Flag == name || f.Path == name {
				return d.WithHint("did you mean %q?", f.Var)
			}
		}
		if sp.Program != nil {
			known = append(known, sp.prog.Names()...)
		}
	}
	slices.Sort(known)
	if d.Suggest(name, slices.Compact(append(known, OwnColumns...))) {
		return d
	}
	return d.WithHint("a column is a quantity, a parameter, a field of a configuration or a flag of nixlbench, or one of %s", strings.Join(OwnColumns, ", "))
}

// checkAxes refuses values of axes that are no key of the architecture's table.
func (it *Item) checkAxes() error {
	var errs diag.List
	errs.Add(it.Planner.checkNeeds(it.Request))
	errs.Add(it.Planner.checkTables(it.Request))
	for _, axis := range it.Config.Axes {
		if axis.Field.Table == "" && axis.Field.Needs == "" {
			continue
		}
		for _, v := range axis.Values[1:] {
			cfg := *it.Config
			cfg.Values = map[string]data.Fact{axis.Field.Var: v}
			req := &Request{Model: it.Model, Config: &cfg}
			errs.Add(it.Planner.checkNeeds(req))
			errs.Add(it.Planner.checkTables(req))
		}
	}
	return distinct(errs).Err()
}

// program adds the options to a planner's program. It counts the names of
// columns that the program does not know.
func (s *Sweep) program(p *Program, items []Item, unknown map[string]int) (*sweepProgram, error) {
	sp := &sweepProgram{Program: p, shapes: map[string]*shape{}}
	if s.options.Where != "" {
		condition, err := Condition(p.schema, s.options.Where)
		if err != nil {
			return nil, err
		}
		sp.Program, sp.where, err = p.With(whereName, condition, formula.Bool, OwnColumns...)
		if err != nil {
			for _, d := range diag.All(err) {
				d.Usage = true
				if d.Code == diag.Unknown {
					if hint := p.nameHint(d.Name, items); hint != "" {
						d.Hints = []string{hint}
					}
				}
			}
			return nil, err
		}
		sp.filtered = true
		sp.early = sp.readsFacts(sp.where)
	}
	missing := map[string]bool{} // once, in columns and keys
	for _, name := range s.options.Columns {
		sp.columns = append(sp.columns, sp.column(name, missing))
	}
	for _, k := range s.options.Sort {
		sp.keys = append(sp.keys, sp.column(k.Column, missing))
	}
	for name := range missing {
		unknown[name]++
	}
	return sp, nil
}

// readsFacts reports whether a formula reads fields, parameters and quantities
// alone, none of which fitting changes.
func (sp *sweepProgram) readsFacts(ref formula.Ref) bool {
	flags := sp.schema.Nixlbench.Flags
	isFlag := func(name string) bool { return flags[name] != nil }
	return !slices.ContainsFunc(sp.prog.Inputs(ref), isFlag) && !slices.ContainsFunc(sp.prog.Uses(ref), isFlag)
}

func (sp *sweepProgram) column(name string, missing map[string]bool) sweepColumn {
	asked := name
	if slices.Contains(OwnColumns, name) {
		if !sp.rank && slices.Contains(rankColumns, name) {
			missing[asked] = true
		}
		return sweepColumn{own: name}
	}
	c := sweepColumn{shown: -1}
	for _, f := range sp.schema.Nixlbench.Flags {
		if f.JSONKey() == name {
			name, c.secret = f.Name, f.Secret
			break
		}
	}
	c.name = name
	c.ref, c.known = sp.prog.Ref(name)
	if ref, ok := sp.prog.Ref(detailPrefix + name); ok {
		c.shown = ref
	}
	if kind := formula.Any; c.known {
		kind = sp.prog.Kind(c.ref)
		_, isTable := sp.arch.Tables[name]
		c.known = kind != formula.Any && !isTable && name != dtypesTable
	}
	if !c.known {
		missing[asked] = true
	}
	return c
}

// shapeOf returns the shape of an item, which those with the same axes share.
func (sp *sweepProgram) shapeOf(it *Item) *shape {
	p := sp.Program
	names := make([]string, len(it.Config.Axes))
	for i, a := range it.Config.Axes {
		names[i] = a.Field.Var
	}
	values := map[string]fit.Value{}
	for name, v := range it.Flags {
		values[name] = fit.Value{Value: v.Value, From: fit.Given}
	}
	backend, _ := p.bench.Backend(values)
	key := backend + " " + strings.Join(names, " ")
	if sh := sp.shapes[key]; sh != nil {
		return sh
	}
	sh := &shape{changes: map[formula.Ref]bool{}, layered: p.cache != nil}
	sh.general = sh.layered && it.Fit
	sp.shapes[key] = sh

	fast := p.layerInputs()
	for _, name := range fast {
		if ref, ok := sp.prog.Ref(name); ok {
			sh.inner = append(sh.inner, ref)
		}
	}
	variants := 1
	for i, name := range names {
		ref, ok := sp.prog.Ref(name)
		if !ok {
			ref = -1
		}
		sh.refs = append(sh.refs, ref)
		if sh.layered && p.layersRead(name) {
			sh.reads = append(sh.reads, i)
		}
		if p.bench.Decides(backend, name) {
			sh.slow = append(sh.slow, i)
			if variants *= len(it.Config.Axes[i].Values); variants > maxVariants {
				sh.general = true
				variants = maxVariants // for the next factor not to overflow
			}
			continue
		}
		fast = append(fast, name)
	}
	changes := func(ref formula.Ref) bool {
		return slices.ContainsFunc(fast, func(name string) bool { return slices.Contains(sp.prog.Inputs(ref), name) })
	}
	for _, name := range sp.prog.Names() {
		ref, _ := sp.prog.Ref(name)
		if slices.Contains(fast, name) || changes(ref) {
			sh.changes[ref] = true
		} else if sp.prog.Source(ref).Text != "" {
			sh.pinned = append(sh.pinned, ref)
		}
	}
	sh.limits = p.bench.Limits(backend)
	for _, l := range sh.limits {
		sh.changes[l.Ref] = changes(l.Ref)
	}
	return sh
}

// item finds the item that has a point.
func (s *Sweep) item(point uint64) *sweepItem {
	i, found := slices.BinarySearchFunc(s.items, point, func(it *sweepItem, point uint64) int {
		switch {
		case it.first < point:
			return -1
		case it.first > point:
			return 1
		}
		return 0
	})
	if !found {
		i--
	}
	return s.items[i]
}

// digit returns which value of an axis a point of the item has.
func (it *sweepItem) digit(axis int, point uint64) int {
	return int((point - it.first) / it.strides[axis] % uint64(len(it.Config.Axes[axis].Values)))
}

// request makes the request of a point by itself.
func (it *sweepItem) request(point uint64) *Request {
	req, cfg := *it.Request, *it.Config
	cfg.Values = maps.Clone(cfg.Values)
	for i, a := range cfg.Axes {
		cfg.Values[a.Field.Var] = a.Values[it.digit(i, point)]
	}
	cfg.Axes = nil
	req.Config = &cfg
	return &req
}

// Request returns a point as a request by itself, with its planner.
func (s *Sweep) Request(point uint64) (*Request, *Planner) {
	it := s.item(point)
	return it.request(point), it.Planner
}

// Label names a point: by its axes, and where there are several models or
// configurations by those.
func (s *Sweep) Label(point uint64) string {
	it := s.item(point)
	var parts []string
	for _, other := range s.items {
		if other.Model != it.Model {
			parts = append(parts, it.Model.Name)
			break
		}
	}
	for _, other := range s.items {
		if other.Config.File != it.Config.File {
			parts = append(parts, it.Config.File)
			break
		}
	}
	if use := UseOf(it.Config); slices.ContainsFunc(s.items, func(other *sweepItem) bool { return UseOf(other.Config) != use }) {
		parts = append(parts, accountingVar+" "+it.Config.Values[accountingVar].Str)
	}
	for _, k := range it.Knobs {
		parts = append(parts, k.Name+" "+it.Flags[k.Name].Text())
	}
	for i, a := range it.Config.Axes {
		parts = append(parts, a.Field.Var+" "+a.Values[it.digit(i, point)].Text())
	}
	return strings.Join(parts, ", ")
}

// Size says how many points there are and what of: "24 points: 2 models,
// tp_size 4, isl 3".
func (s *Sweep) Size() string {
	models := map[*config.Model]bool{}
	configs := map[string]bool{}
	uses := map[Use]bool{}
	var axes []string
	alike := true
	for i, it := range s.items {
		models[it.Model], configs[it.Config.File], uses[UseOf(it.Config)] = true, true, true
		var own []string
		for _, k := range it.Knobs {
			own = append(own, fmt.Sprintf("%s %d", k.Name, len(k.Values)))
		}
		for _, a := range it.Config.Axes {
			own = append(own, fmt.Sprintf("%s %d", a.Field.Var, len(a.Values)))
		}
		alike = alike && (i == 0 || slices.Equal(own, axes))
		axes = own
	}
	var parts []string
	if n := len(models); n > 1 {
		parts = append(parts, fmt.Sprintf("%d models", n))
	}
	if n := len(configs); n > 1 {
		parts = append(parts, fmt.Sprintf("%d configurations", n))
	}
	if n := len(uses); n > 1 {
		parts = append(parts, fmt.Sprintf("%s %d", accountingVar, n))
	}
	if alike {
		parts = append(parts, axes...)
	} else {
		parts = append(parts, "their axes")
	}
	text := fmt.Sprintf("%d points", s.Points)
	if s.Points == 1 {
		text = "1 point"
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}
