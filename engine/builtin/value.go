package builtin

import (
	"strconv"

	"kvbench/engine/formula"
)

// valueOf parses the value of a flag of the given type.
func valueOf(typ, text string) (formula.Value, error) {
	switch typ {
	case "string":
		return formula.Text(text), nil
	case "bool":
		b, err := strconv.ParseBool(text)
		return formula.Truth(b), err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return formula.Number(n), err
}
