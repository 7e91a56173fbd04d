package schema

import "fmt"

// Decode reads a schema from JSON, as [Schema] marshals.
func Decode(data string) (*Schema, error) {
	s := new(Schema)
	if err := readJSON(data, s); err != nil {
		return nil, fmt.Errorf("the schema's snapshot: %w", err)
	}
	s.Normalize()
	return s, nil
}

// Normalize fills in what JSON omits: names that are keys, and numbers as
// int64.
func (s *Schema) Normalize() {
	for i := range s.Fields {
		s.Fields[i].Default = Native(s.Fields[i].Default)
	}
	for name, f := range s.Nixlbench.Flags {
		f.Name = name
		f.Absent = Native(f.Absent)
		for i := range f.Eras {
			f.Eras[i].Default = Native(f.Eras[i].Default)
		}
	}
}

// Native turns JSON's numbers into int64: all numbers of the data are whole.
func Native(v any) any {
	if f, ok := v.(float64); ok {
		return int64(f)
	}
	return v
}
