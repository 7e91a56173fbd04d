package config

import (
	"kvbench/engine/formula"
	"kvbench/engine/schema"
)

// GoValue returns a string, a bool, an int64, or a list of strings or of numbers
// as JSON has them, as a value for formulas.
func GoValue(v any) formula.Value {
	switch v := v.(type) {
	case string:
		return formula.Value{Kind: formula.Str, Str: v}
	case bool:
		return formula.Value{Kind: formula.Bool, Bool: v}
	case int64:
		return formula.Value{Kind: formula.Num, Num: formula.Int(v)}
	case []any:
		list := formula.Value{Kind: formula.NumList}
		for _, item := range v {
			switch item := GoValue(schema.Native(item)); item.Kind {
			case formula.Num:
				list.Nums = append(list.Nums, item.Num)
			case formula.Str:
				list.Kind = formula.StrList
				list.Strs = append(list.Strs, item.Str)
			}
		}
		return list
	}
	return formula.Value{}
}
