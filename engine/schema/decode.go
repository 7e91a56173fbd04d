package schema

import "fmt"

// Decode decodes a schema from its JSON encoding.
func Decode(data string) (*Schema, error) {
	s := new(Schema)
	if err := readJSON(data, s); err != nil {
		return nil, fmt.Errorf("cannot read the schema's snapshot: %w", err)
	}
	s.Normalize()
	return s, nil
}

// Normalize sets the names that JSON omits because they are also the keys of maps.
func (s *Schema) Normalize() {
	for name, f := range s.Nixlbench.Flags {
		f.Name = name
	}
}
