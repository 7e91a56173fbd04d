package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"cuelang.org/go/cue"
)

// shape is a definition of the schema as a form that values are held to without
// CUE, which takes a thousand times as long.
type shape struct {
	allowed string // in words
	any     bool   // whatever there is
	kind    cue.Kind
	// Exactly one of these says more, by the kind.
	value   constraint
	exact   []byte // the one value that there may be, as JSON has it
	items   *shape
	members map[string]*memberShape
	known   []string // names of members
	others  *shape   // of names that are no members, or nil

	choices []*shape
}

// memberShape is a field of a mapping.
type memberShape struct {
	shape    *shape
	bit      uint64
	required bool
}

// of returns the choices for values of a kind.
func (s *shape) of(kind cue.Kind) []*shape {
	if s.choices == nil {
		if s.kind&kind == 0 {
			return nil
		}
		return []*shape{s}
	}
	var list []*shape
	for _, c := range s.choices {
		if c.kind&kind != 0 {
			list = append(list, c)
		}
	}
	return list
}

// takes reports whether a value that is no list and no mapping is right.
func (s *shape) takes(text []byte) bool {
	if s.exact != nil {
		return string(s.exact) == string(text)
	}
	return s.value.takes(text)
}

// jsonKind tells the kind of a value by what it begins with.
func jsonKind(c byte) cue.Kind {
	switch c {
	case '{':
		return cue.StructKind
	case '[':
		return cue.ListKind
	case '"':
		return cue.StringKind
	case 't', 'f':
		return cue.BoolKind
	case 'n':
		return cue.NullKind
	}
	return cue.NumberKind
}

// shapeOf makes a shape of a definition; one that says what shapes cannot is an
// error.
func shapeOf(v cue.Value) (*shape, error) {
	if op, _ := v.Expr(); op == cue.SelectorOp { // another definition
		v = v.Eval()
	}
	s := &shape{kind: v.IncompleteKind()}
	s.allowed, _ = describe(v)
	op, args := v.Expr()
	switch {
	case s.kind == cue.TopKind:
		s.any = true
		return s, nil
	case op == cue.OrOp:
		for i, a := range args {
			choice, err := shapeOf(a)
			if err != nil {
				return nil, err
			}
			same := func(c *shape) bool { return c.kind&choice.kind&(cue.StructKind|cue.ListKind) != 0 }
			if slices.ContainsFunc(s.choices, same) {
				return nil, fmt.Errorf("%v: several mappings or lists to choose from", v.Path())
			}
			s.choices = append(s.choices, choice)
			switch {
			case choices(v) != nil: // a list of words
			case i == 0:
				s.allowed = choice.allowed
			default:
				s.allowed += " or " + choice.allowed
			}
		}
		return s, nil
	case s.kind == cue.StructKind:
		return s, s.addMembers(v)
	case s.kind == cue.ListKind:
		item := v.LookupPath(cue.MakePath(cue.AnyIndex))
		if !item.Exists() {
			return nil, fmt.Errorf("%v: a list of a fixed length", v.Path())
		}
		var err error
		s.items, err = shapeOf(item)
		return s, err
	case v.IsConcrete():
		var err error
		s.exact, err = v.MarshalJSON()
		s.allowed = string(s.exact)
		return s, err
	}
	s.value = anyNumber()
	if !s.value.add(v) {
		return nil, fmt.Errorf("%v: %v", v.Path(), v)
	}
	if s.value.exclusive && s.value.kind != cue.IntKind {
		return nil, fmt.Errorf("%v: a bound that numbers lie beyond", v.Path())
	}
	for _, re := range s.value.matches {
		s.allowed += " that matches " + re.String()
	}
	return s, nil
}

func (s *shape) addMembers(v cue.Value) error {
	s.members = map[string]*memberShape{}
	fields, err := v.Fields(cue.All())
	if err != nil {
		return err
	}
	for fields.Next() {
		sel := fields.Selector()
		of, err := shapeOf(fields.Value())
		switch {
		case err != nil:
			return err
		case !sel.IsString() || len(s.known) == 64:
			return errors.New(v.Path().String() + "." + sel.String() + ": a field that results cannot have")
		}
		name := sel.Unquoted()
		s.members[name] = &memberShape{of, 1 << len(s.known), sel.ConstraintType()&cue.OptionalConstraint == 0}
		s.known = append(s.known, name)
	}
	if others := v.LookupPath(cue.MakePath(cue.AnyString)); others.Exists() {
		s.others, err = shapeOf(others)
	}
	return err
}

// takes reports whether a constraint allows a value.
func (c *constraint) takes(text []byte) bool {
	switch jsonKind(text[0]) {
	case cue.StringKind:
		if len(c.matches) == 0 && !c.filled {
			return true
		}
		var plain string
		if json.Unmarshal(text, &plain) != nil {
			return false
		}
		for _, re := range c.matches {
			if !re.MatchString(plain) {
				return false
			}
		}
		return !c.filled || plain != ""
	case cue.NumberKind:
		return c.takesNumber(string(text))
	}
	return true // true, false and null
}
