package data

import (
	"kvbench/engine/diag"
	"kvbench/engine/formula"
)

// Source is the kind of place that a value comes from.
type Source uint8

// The sources, lowest layer first.
const (
	FromDefault Source = iota // a default of the schema
	FromEngine                // what the engine does where nobody says
	FromModel                 // a default of the model
	FromFile                  // the user's file
	FromCommand               // what a command presets
	FromPrefs                 // kvbench's own configuration file
	FromEnv                   // an environment variable
	FromFlag                  // the command line
)

// Origin says where a value comes from.
type Origin struct {
	Kind Source
	Pos  diag.Pos // of a default or in a file
	Name string   // of the flag, variable, command or engine
}

// String returns the origin as users know it: file:line:col, --flag, a variable.
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

// Inner returns the origin of an item of a list that has this origin, with its own
// place if that is known.
func (o Origin) Inner(pos diag.Pos) Origin {
	if pos.Line > 0 && pos.File == o.Pos.File {
		o.Pos = pos
	}
	return o
}

// Given reports whether a user gave the value.
func (o Origin) Given() bool {
	return o.Kind != FromDefault && o.Kind != FromEngine && o.Kind != FromModel && o.Kind != FromCommand
}

// Errorf makes an error about a value of this origin: at its place in a file,
// or about the flag or variable by name.
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

// Fact is a value for formulas with its origin.
type Fact struct {
	formula.Value
	Origin Origin
}
