package runner

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TimeoutOf returns the maximum duration of a run, or 0 if it is unlimited.
func (s *Session) TimeoutOf(r *Run) time.Duration {
	if s.Timeout != 0 {
		return max(s.Timeout, 0)
	}
	seconds := r.rules.Timeout(r.Plan, r.Flags, &r.facts)
	if seconds > math.MaxInt64/int64(time.Second) {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// look collects facts that a run depends on: readings from the machine, how many of the
// run's files existed before any run of this command, and how many of those are too short.
func (s *Session) look(r *Run) {
	r.facts.Readings = map[string]int64{}
	for name, reading := range s.Schema.Nixlbench.Runs.Get().Readings {
		data, err := os.ReadFile(reading.File)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil {
			r.facts.Readings[name] = n
		}
	}
	if s.existed == nil {
		s.existed = map[string][]string{}
	}
	r.facts.FilesThere, r.facts.FilesShort = 0, 0
	for _, f := range r.folders() {
		key := strings.Join(append([]string{f.dir, f.pattern}, f.names...), "\x00")
		first, known := s.existed[key]
		if !known {
			first = f.files()
			s.existed[key] = first
		}
		count := int64(max(len(f.names), len(first), 1))
		for _, name := range f.files() {
			if !slices.Contains(first, name) {
				continue
			}
			r.facts.FilesThere++
			if info, err := os.Stat(filepath.Join(f.dir, name)); err == nil && info.Size() < f.share/count {
				r.facts.FilesShort++
			}
		}
	}
}
