package data

import (
	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// Source is the kind of place where a value was set.
type Source uint8

// The sources, from lowest to highest precedence.
const (
	FromDefault Source = iota // the schema's default
	FromEngine                // the engine's default
	FromModel                 // the model's default
	FromFile                  // the user's file
	FromCommand               // a command's preset
	FromPrefs                 // kvbench's own configuration file
	FromEnv                   // an environment variable
	FromFlag                  // the command line
)

// Origin describes where a value was set.
type Origin struct {
	Kind Source
	Pos  diag.Pos // the position of a default, or of the value in a file
	Name string   // the name of the flag, environment variable, setting, command or engine
}

// String returns the origin in a form that users recognize, such as file:line:col,
// --flag, or the name of an environment variable.
func (o Origin) String() string {
	switch o.Kind {
	case FromFlag:
		return "--" + o.Name
	case FromEnv, FromPrefs:
		return o.Name
	case FromEngine:
		return o.Name + "'s default"
	case FromCommand:
		return "preset of " + o.Name
	case FromDefault:
		return "default of " + o.Pos.String()
	}
	return o.Pos.String()
}

// Inner returns the origin of an item in a list that has this origin. It uses the item's own
// position if that position is known.
func (o Origin) Inner(pos diag.Pos) Origin {
	if pos.Line > 0 && pos.File == o.Pos.File {
		o.Pos = pos
	}
	return o
}

// Given reports whether a user set the value.
func (o Origin) Given() bool {
	return o.Kind != FromDefault && o.Kind != FromEngine && o.Kind != FromModel && o.Kind != FromCommand
}

// Errorf creates an error about a value with this origin. The error has the value's
// position if it was set in a file. Otherwise, the error begins with the name of the flag
// or variable.
func (o Origin) Errorf(format string, args ...any) *diag.Diag {
	d := diag.Errorf(diag.Pos{}, format, args...)
	switch o.Kind {
	case FromFlag, FromEnv, FromPrefs:
		d.Subject = o.String()
		d.Usage = o.Kind == FromFlag
	default:
		d.Pos = o.Pos
	}
	return d
}

// Fact is a value for use in formulas, with its origin.
type Fact struct {
	formula.Value
	Origin Origin
	// Word is the word for the number, if the number's unit has one.
	Word string
}

// Shown returns the value to show in outputs: the word for the value if there is one, or
// else the value itself.
func (f *Fact) Shown() formula.Value {
	if f.Word != "" {
		return formula.Text(f.Word)
	}
	return f.Value
}
