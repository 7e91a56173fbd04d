package config

import "kvbench/engine/formula"

// GoValue gives a string, a bool or an int64 as a value for formulas.
func GoValue(v any) formula.Value {
	switch v := v.(type) {
	case string:
		return formula.Value{Kind: formula.Str, Str: v}
	case bool:
		return formula.Value{Kind: formula.Bool, Bool: v}
	case int64:
		return formula.Value{Kind: formula.Num, Num: formula.Int(v)}
	}
	return formula.Value{}
}
