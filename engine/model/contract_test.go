package model

import (
	"reflect"
	"testing"

	cueschema "kvbench/cue"
	"kvbench/engine/data"
	"kvbench/engine/source"
	"kvbench/models"
)

// Some architectures already contain the contract. TestContract checks that unifying such an
// architecture with the contract again makes no difference.
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
		err := source.Part(f, v).Each(func(own *data.Tree) {
			if !c.isArchitecture(own) {
				return
			}
			read++
			name := own.Name
			once, err := c.apply(f.Filename, own)
			if err != nil || once != own {
				t.Errorf("%s: the architecture is evaluated again: %v", name, err)
			}
			got, err := architecture(f.Filename, once, own)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			again, err := data.TreeOf(f.Filename, c.Unify(own.Value))
			if err != nil {
				t.Fatal(err)
			}
			want, err := architecture(f.Filename, again, own)
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
