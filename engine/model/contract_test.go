package model

import (
	"reflect"
	"testing"

	"cuelang.org/go/cue"

	cueschema "kvbench/cue"
	"kvbench/engine/source"
	"kvbench/models"
)

// TestContract checks that an architecture that already contains the contract is read in
// the same way with and without unifying it with the contract again.
func TestContract(t *testing.T) {
	l := NewLoader(nil, cueschema.Files, models.Files)
	c, err := l.contract()
	if err != nil {
		t.Fatal(err)
	}
	files, v, err := l.Reader().BundledPackage(models.Files, "models")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, f := range files {
		err := source.Part(f, v).Each(func(name string, own cue.Value) {
			if !c.isArchitecture(own) {
				return
			}
			read++
			once, err := c.apply(own)
			if err != nil || once != own {
				t.Errorf("%s: is evaluated again: %v", name, err)
			}
			got, err := architecture(name, f.Filename, once, own)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			want, err := architecture(name, f.Filename, c.Unify(own), own)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got\n%+v\nwant\n%+v", name, got, want)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
	if read < 5 {
		t.Errorf("read %d architectures", read)
	}
}
