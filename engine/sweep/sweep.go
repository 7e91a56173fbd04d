// Package sweep plans every combination of values in configurations whose fields have
// several values, and writes a row for each combination. It computes most rows by
// evaluating the formulas of package plan directly, and makes a full plan for a point
// only if necessary. A point is one combination of the values of an item's axes.
package sweep

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/model"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// RowFormat describes how rows are written.
type RowFormat struct {
	// Lead contains the text before each column; End follows the last column.
	Lead []string
	End  string
	// Cell appends a value to dst. The zero Value means that there is no value.
	Cell func(dst []byte, v formula.Value) []byte
}

// SortKey is a column to sort rows by, in descending order if Down is set.
type SortKey struct {
	Column string
	Down   bool
}

// Options determine which rows a sweep writes and how it writes them.
type Options struct {
	// Where is the condition that rows must meet; if empty, all rows are written.
	Where string
	// Columns are names of quantities, inputs, formulas and flags, or names in
	// [OwnColumns].
	Columns []string
	Sort    []SortKey
	// Top is the maximum number of rows; 0 means all.
	Top    uint64
	Format RowFormat
	// Mask is shown instead of secrets, unless it is empty.
	Mask string
}

// These columns exist only in rows; formulas cannot read them. ColumnStage and ColumnGroup
// have values only in rank accounting.
const (
	ColumnFile         = "config_file"
	ColumnArchitecture = "architecture"
	ColumnStage        = "stage"
	ColumnGroup        = "group"
)

var (
	rankColumns = []string{ColumnStage, ColumnGroup}
	// OwnColumns are the columns that formulas cannot read.
	OwnColumns = append([]string{ColumnFile, ColumnArchitecture}, rankColumns...)
)

// whereName is the name of the Where condition in programs and messages.
const whereName = "--where"

// Sweep contains a point for every combination of the axis values of each item.
// Its points are in a fixed order: item by item, with the axes in the schema's order, the
// last axis changing fastest, and each axis's values in the order given. In rank
// accounting, a point may have several rows.
type Sweep struct {
	// Points is the number of points.
	Points uint64

	options Options
	items   []*sweepItem
}

// sweepItem is an item with its share of the points.
type sweepItem struct {
	plan.Item
	program *sweepProgram
	shape   *shape
	first   uint64 // the item's first point
	count   uint64
	strides []uint64 // for each axis, the number of points between consecutive values
}

// New returns a sweep over items, or an error if an item's program does not support the
// options. The caller must check the axes when it checks the configurations, because New
// itself checks the axes only against the architectures. It omits items with a value that
// their architecture does not allow, and reports these items in bad.
func New(items []plan.Item, options Options) (s *Sweep, bad, err error) {
	s = &Sweep{options: options}
	programs := map[*plan.Planner]*sweepProgram{}
	var errs, left diag.List
	unknown := map[string]int{}
	for _, item := range items {
		sp := programs[item.Planner]
		if sp == nil {
			if sp, err = s.program(item.Planner.Program, items, unknown); err != nil {
				errs.Add(err)
				sp = &sweepProgram{}
			}
			if programs[item.Planner] = sp; sp.Program != nil {
				sp.Formulas().CompileAll() // makes it faster to evaluate the formulas at many points
			}
		}
		if sp.Program == nil {
			continue
		}
		if err := checkAxes(&item); err != nil {
			left.Add(err)
			continue
		}
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
		return nil, nil, errs.Distinct()
	}
	return s, left.Err(), nil
}

// item returns the item that a point belongs to.
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

// digit returns the index of an axis's value at a point.
func (it *sweepItem) digit(axis int, point uint64) int {
	return int((point - it.first) / it.strides[axis] % uint64(len(it.Config.Axes[axis].Values)))
}

// request returns the request for a single point.
func (it *sweepItem) request(point uint64) *plan.Request {
	req, cfg := *it.Request, *it.Config
	cfg.Values = maps.Clone(cfg.Values)
	for i, a := range cfg.Axes {
		cfg.Values[a.Field.Var] = a.Values[it.digit(i, point)]
	}
	cfg.Axes = nil
	req.Config = &cfg
	return &req
}

// Request returns the request for a single point, and its planner.
func (s *Sweep) Request(point uint64) (*plan.Request, *plan.Planner) {
	it := s.item(point)
	return it.request(point), it.Planner
}

// Label describes a point by the values of its axes and of nixlbench flags that vary, and
// by its model, configuration and accounting if the sweep has more than one of them.
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
	if use := plan.UseOf(it.Config); slices.ContainsFunc(s.items, func(other *sweepItem) bool { return plan.UseOf(other.Config) != use }) {
		parts = append(parts, schema.AccountingVar+" "+it.Config.Values[schema.AccountingVar].Str)
	}
	for _, k := range it.Knobs {
		parts = append(parts, k.Name+" "+it.Flags[k.Name].Text())
	}
	for i, a := range it.Config.Axes {
		parts = append(parts, a.Field.Var+" "+a.Values[it.digit(i, point)].Text())
	}
	return strings.Join(parts, ", ")
}

// countValues returns a phrase such as "4 tp_size values".
func countValues(name string, n int) string {
	if n == 1 {
		return "1 " + name + " value"
	}
	return fmt.Sprintf("%d %s values", n, name)
}

// Size describes the number of points, and the numbers of models and values in the sweep,
// as in "24 points: 2 models, 4 tp_size values, 3 isl values".
func (s *Sweep) Size() string {
	models := map[*model.Model]bool{}
	configs := map[string]bool{}
	uses := map[plan.Use]bool{}
	var axes []string
	alike := true
	for i, it := range s.items {
		models[it.Model], configs[it.Config.File], uses[plan.UseOf(it.Config)] = true, true, true
		var own []string
		for _, k := range it.Knobs {
			own = append(own, countValues(k.Name, len(k.Values)))
		}
		for _, a := range it.Config.Axes {
			own = append(own, countValues(a.Field.Var, len(a.Values)))
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
		parts = append(parts, countValues(schema.AccountingVar, n))
	}
	if alike {
		parts = append(parts, axes...)
	} else {
		parts = append(parts, "different axes")
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
