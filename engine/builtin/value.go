package builtin

import (
	"strconv"

	"kvbench/engine/formula"
)

// valueOf parses the text of a flag of a type.
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
