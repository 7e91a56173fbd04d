package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kvbench/engine/config"
	"kvbench/engine/data"
	"kvbench/engine/diag"
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// Use describes the purpose of a planner.
type Use struct {
	// Rank selects rank accounting, which counts what one rank of a serving engine moves.
	// Otherwise, the plan uses the documented arithmetic for the whole model.
	Rank bool
	// Detail adds the quantities that only detailed output shows. Names is a comma-separated
	// list of such quantities to add even without Detail.
	Detail bool
	Names  string
	// Transfer makes plans for transfers from the ranks on one side to the ranks on the
	// other. It requires Rank.
	Transfer bool
	// Slowest makes only one plan for each transfer, for its slowest pair of ranks.
	Slowest bool
	// Quantities omits nixlbench's flags and limits, so plans contain only quantities.
	Quantities bool
}

// Accounting returns the name of the accounting that a model's configuration selects.
func Accounting(cfg *config.Config) string { return cfg.Values[accountingVar].Str }

// UseOf returns a Use with the accounting that a model's configuration selects; see
// [config.Config.With].
func UseOf(cfg *config.Config) Use { return Use{Rank: Accounting(cfg) == accountingRank} }

// Fullest returns a Use with whichever accounting supports more of an architecture's
// values. Callers use it for values that are the same in both accountings.
func Fullest(arch *schema.Architecture) Use { return Use{Rank: arch.Layers != nil} }

// The field that selects the accounting, and its value for rank accounting.
const (
	accountingVar  = schema.AccountingVar
	accountingRank = schema.AccountingRank
)

// patternsTable is the name of an architecture's table of access patterns.
const patternsTable = "access_patterns"

// account is an architecture with the accounting that its plans use. The accounting
// determines which fields, quantities and tables to use.
type account struct {
	schema *schema.Schema
	arch   *schema.Architecture
	rank   bool
	// transfers is true if the plans are for transfers between the ranks on two sides.
	transfers bool
	slowest   bool // see [Use.Slowest]
}

// Schema returns the schema that the formulas come from.
func (a *account) Schema() *schema.Schema { return a.schema }

// Arch returns the architecture.
func (a *account) Arch() *schema.Architecture { return a.arch }

// OfRanks reports whether the accounting is rank accounting.
func (a *account) OfRanks() bool { return a.rank }

// OfTransfers reports whether the plans are for transfers between the ranks on two sides.
func (a *account) OfTransfers() bool { return a.transfers }

// OfSlowest reports whether each plan is for the slowest pair of ranks in a transfer. Such
// plans are not meant to be run.
func (a *account) OfSlowest() bool { return a.slowest }

// known returns an error if the architecture does not define what the accounting
// needs.
func known(arch *schema.Architecture, rank bool) error {
	at := diag.Pos{File: arch.File}
	switch {
	case len(arch.Tables[patternsTable]) == 0 && arch.Layers == nil:
		return diag.Errorf(at, "%s does not define I/Os: it has neither %s nor a cache section", arch.Name, patternsTable).
			WithHint("add formulas for block and layer to " + patternsTable + ", or describe the layers in a cache section")
	case rank && arch.Layers == nil:
		return diag.Errorf(at, "%s does not describe its layers: rank accounting needs a cache section", arch.Name).
			WithHint("omit --%s %s, or see docs/adding-a-new-model-architecture.md", accountingVar, accountingRank)
	case !rank && len(arch.Tables[patternsTable]) == 0:
		return diag.Errorf(at, "%s does not define %s, which %s accounting requires", arch.Name, patternsTable, schema.AccountingModel).
			WithHint("use --%s %s to count its layers one by one", accountingVar, accountingRank)
	}
	return nil
}

// accounting returns the name of the accounting.
func (a *account) accounting() string {
	if a.rank {
		return accountingRank
	}
	return schema.AccountingModel
}

// knows reports whether a field exists in the accounting.
func (a *account) knows(f *schema.Field) bool {
	return (f.Needs == "" || f.Needs == a.accounting()) && (!f.Transfer || a.transfers)
}

// has reports whether a quantity exists in the accounting.
func (a *account) has(q *schema.Quantity) bool {
	switch {
	case q.OnlyTransfers && !a.transfers:
		return false
	case a.rank:
		return a.isFact(q.Name) || !a.formulaOf(q).IsZero() || a.isFold(q.Name)
	}
	return !q.Formula.IsZero() || q.Detail.IsZero()
}

// formulaOf returns the formula for a quantity in this accounting, or the zero Formula if
// there is none.
func (a *account) formulaOf(q *schema.Quantity) schema.Formula {
	switch {
	case a.transfers && !q.Transfer.IsZero():
		return q.Transfer
	case a.rank:
		return q.Rank
	}
	return q.Formula
}

// detailOf returns the condition for showing a quantity in a detailed plan, or the zero
// Formula if there is none.
func (a *account) detailOf(q *schema.Quantity) schema.Formula {
	switch {
	case a.transfers && !q.TransferDetail.IsZero():
		return q.TransferDetail
	case a.rank && !q.RankDetail.IsZero():
		return q.RankDetail
	}
	return q.Detail
}

// facts returns the names of the facts about a rank's I/Os or, in a transfer, about the I/Os
// of a pair of ranks.
func (a *account) facts() []string {
	switch {
	case a.transfers:
		return []string{blockFact, batchFact, pairBytesFact, pairIOsFact, pairsFact, allBytesFact, allIOsFact, sourcesFact, destinationsFact}
	case a.rank:
		return []string{blockFact, batchFact, rankFact}
	}
	return nil
}

func (a *account) isFact(name string) bool { return slices.Contains(a.facts(), name) }

func (a *account) isFold(name string) bool {
	return slices.ContainsFunc(a.schema.Cache.Get().Folds, func(f schema.Fold) bool { return f.Name == name })
}

// IsElsewhere reports whether name is the name of a quantity in any accounting, or of a field
// that this accounting does not have.
func (a *account) IsElsewhere(name string) bool {
	return slices.ContainsFunc(a.schema.Quantities, func(q schema.Quantity) bool { return q.Name == name }) ||
		slices.ContainsFunc(a.schema.Fields, func(f schema.Field) bool { return f.Var == name && !a.knows(&f) })
}

// ofTransfers reports whether a field or quantity exists only for transfers.
func (a *account) ofTransfers(name string) bool {
	return slices.ContainsFunc(a.schema.Quantities, func(q schema.Quantity) bool { return q.Name == name && q.OnlyTransfers }) ||
		slices.ContainsFunc(a.schema.Fields, func(f schema.Field) bool { return f.Var == name && f.Transfer })
}

// Elsewhere returns a hint on how to get a value that this accounting does not have.
func (a *account) Elsewhere(name string) string {
	switch {
	case a.rank && a.ofTransfers(name):
		return "it exists only for transfers between ranks, such as those with --decode_tp"
	case a.transfers:
		return "it does not exist for transfers between ranks"
	case !a.rank && a.arch.Layers == nil:
		return fmt.Sprintf("--%s %s needs a cache section, which %s does not have", accountingVar, accountingRank, a.arch.Name)
	}
	other := schema.AccountingRank
	if a.rank {
		other = schema.AccountingModel
	}
	return fmt.Sprintf("it exists only with --%s %s", accountingVar, other)
}

// CheckValues returns an error if a configuration has values that the accounting or the
// architecture does not support.
func (a *account) CheckValues(req *Request) error {
	var errs diag.List
	errs.Add(a.checkNeeds(req))
	errs.Add(a.checkTables(req))
	return errs.Err()
}

// checkTables returns an error if a value must be a key of one of the architecture's tables
// but is not.
func (a *account) checkTables(req *Request) error {
	var errs diag.List
	for i := range a.schema.Fields {
		f := &a.schema.Fields[i]
		keys := schema.Keys(a.arch.Tables[f.Table])
		if a.rank && f.Table == patternsTable {
			keys = schema.Keys(a.schema.Cache.Get().Covers)
		}
		v := req.Config.Values[f.Var]
		if len(keys) == 0 || v.Kind != formula.Str || slices.Contains(keys, v.Str) {
			continue
		}
		field := f.Path + ": "
		if v.Origin.Kind == data.FromFlag {
			field = ""
		}
		d := v.Origin.Errorf("%s%q is not allowed: expected one of %s", field, v.Str, strings.Join(keys, ", ")).About(diag.NotAllowed, v.Str)
		if _, ok := a.schema.Cache.Get().Covers[v.Str]; ok && f.Table == patternsTable {
			d.WithHint("it is allowed only with --%s %s", accountingVar, accountingRank)
		} else {
			d.Suggest(v.Str, keys)
		}
		errs = append(errs, d)
	}
	return errs.Err()
}

// checkNeeds returns an error if the user set fields that exist only in the other
// accounting. It ignores values that equal the default.
func (a *account) checkNeeds(req *Request) error {
	var errs diag.List
	for i := range a.schema.Fields {
		f := &a.schema.Fields[i]
		if a.knows(f) {
			continue
		}
		v := req.Config.Values[f.Var]
		if v.Origin.Kind == data.FromDefault || v.Origin.Kind == data.FromEngine || v.Text() == f.Default.Text() {
			continue
		}
		what := ""
		if v.Origin.Kind == data.FromFile || v.Origin.Kind == data.FromModel {
			what = f.Path + ": "
		}
		d := v.Origin.Errorf("%sexists only in %s accounting; this plan uses %s accounting", what, f.Needs, a.accounting())
		if a.arch.Layers == nil || f.Needs != accountingRank {
			d.WithHint("omit it: %s", a.Elsewhere(f.Var))
		} else {
			d.WithHint("use --%s %s, or omit it", accountingVar, f.Needs)
		}
		errs = append(errs, d)
	}
	return errs.Err()
}

// IsTable reports whether name is the name of a table. A table itself has no value.
func (a *account) IsTable(name string) bool {
	_, ok := a.arch.Tables[name]
	return ok || name == dtypesTable
}

// ForTransfer returns a copy of a configuration for planning a transfer between ranks.
// Unless the user set other values, the copy uses rank accounting, and its source and
// destination are the places where ranks store their caches.
func ForTransfer(s *schema.Schema, arch *schema.Architecture, cfg *config.Config) *config.Config {
	one := *cfg
	one.Values = maps.Clone(cfg.Values)
	set := func(name, word string) {
		if v, ok := cfg.Values[name]; !ok || !v.Origin.Given() {
			one.Values[name] = data.Fact{Value: formula.Text(word), Origin: data.Origin{Kind: data.FromCommand, Name: transferWord}}
		}
	}
	for name, word := range s.Cache.Get().Transfer.Get().Sides {
		set(name, word)
	}
	set(accountingVar, accountingRank)
	return &one
}

// NotOfRanks returns the error for a transfer in an accounting that has no ranks.
func NotOfRanks(cfg *config.Config) error {
	v := cfg.Values[accountingVar]
	return v.Origin.Errorf("a transfer moves data between ranks, but %s accounting does not count individual ranks", v.Str).
		WithHint("omit it, or use --%s %s", accountingVar, accountingRank)
}

// transferWord is the word that messages use for the origin of the values that
// [ForTransfer] sets.
const transferWord = "transfer"

// Transfers reports whether a configuration sets a field that exists only for transfers. If
// so, its plans are for a transfer between ranks.
func Transfers(s *schema.Schema, cfg *config.Config) bool {
	return slices.ContainsFunc(s.Fields, func(f schema.Field) bool {
		return f.Transfer && cfg.Values[f.Var].Origin.Given()
	})
}

// least returns the smallest value allowed for the quantities that every plan has.
func (a *account) least() int64 {
	if a.rank {
		return 0 // recurrent models have no bytes per token
	}
	return 1
}
