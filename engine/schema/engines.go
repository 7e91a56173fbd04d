package schema

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// EngineRule is a rule of an engine: a single formula, or one for each era of the
// engine's releases, newest first.
type EngineRule []EngineEra

// EngineEra is the formula for an era, which consists of an engine's releases from Since up to
// the next era. If Since is "", the era begins with the first release. If Unknown is set, there
// is no formula, and Unknown describes what kvbench does not know about the era.
type EngineEra struct {
	Since   string  `json:"since,omitempty"`
	Value   Formula `json:"value,omitzero"`
	Unknown string  `json:"unknown,omitempty"`
	Hint    string  `json:"hint,omitempty"` // an alternative, if Unknown is set
}

// Plain returns the formula of a rule that has no eras.
func (r EngineRule) Plain() (Formula, bool) {
	if len(r) == 1 && r[0].Since == "" && r[0].Unknown == "" {
		return r[0].Value, true
	}
	return Formula{}, false
}

// MarshalJSON writes a rule without eras as a single formula.
func (r EngineRule) MarshalJSON() ([]byte, error) {
	if f, ok := r.Plain(); ok {
		return Marshal(f)
	}
	return Marshal([]EngineEra(r))
}

// UnmarshalJSON is the inverse of [EngineRule.MarshalJSON].
func (r *EngineRule) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*r = EngineRule{{}}
		return json.Unmarshal(data, &(*r)[0].Value)
	}
	return json.Unmarshal(data, (*[]EngineEra)(r))
}

// Of returns the era that contains a release. releases lists all releases, oldest first.
func (r EngineRule) Of(release string, releases []string) *EngineEra {
	at := slices.Index(releases, release)
	for i := range r {
		if r[i].Since == "" || slices.Index(releases, r[i].Since) <= at {
			return &r[i]
		}
	}
	return nil
}

// NearestRelease returns the newest release that is not newer than the named one, or the
// oldest release if all are newer. A partial name, such as 0.24, matches all releases that
// begin with it. NearestRelease returns "" if the releases have no numbers.
func NearestRelease(name string, releases []string) string {
	best, version := "", numbers(name)
	for _, known := range releases {
		n := numbers(known)
		if n == nil {
			continue
		}
		if best == "" || slices.Compare(n[:min(len(n), len(version))], version) <= 0 && version != nil {
			best = known
		}
	}
	return best
}

// numbers returns the numbers at the beginning of a release's name: 0, 24 and 0 for both
// 0.24.0 and 0.24.0rc1.
func numbers(release string) []int {
	var list []int
	for part := range strings.SplitSeq(release, ".") {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil {
			return list
		}
		if list = append(list, n); digits != part {
			return list
		}
	}
	return list
}

func (r EngineRule) eachFormula(path []string, f func([]string, *Formula)) {
	if _, ok := r.Plain(); ok {
		f(path, &r[0].Value)
		return
	}
	for i := range r {
		f(append(path[:len(path):len(path)], index(i), "value"), &r[i].Value)
	}
}
