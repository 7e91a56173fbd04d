package runner

import (
	"kvbench/engine/formula"
	"kvbench/engine/nixlbench"
	"kvbench/engine/plan"
	"kvbench/engine/schema"
)

// Planned describes what a run in a job needs.
type Planned struct {
	nixlbench.Needs
	// Side is the size, in bytes, of the memory that a machine needs if only initiators
	// or only targets run on it.
	Side int64
	// Timeout is the run's time limit in seconds, or 0 if it is unlimited.
	Timeout int64
	// Values are the values to write to the files of a program that runs in place of
	// nixlbench.
	Values map[string]formula.Value
}

// Plan determines what a run needs if a job starts all of its processes. If program is
// not nil, it runs in place of nixlbench.
func (s *Session) Plan(pl *plan.Plan, program *schema.Program) (*Planned, error) {
	rules, err := s.rulesFor(pl)
	if err != nil {
		return nil, err
	}
	facts := jobFacts()
	needs, err := rules.Needs(pl, pl.Flags, &facts)
	if err != nil {
		return nil, err
	}
	p := &Planned{Needs: needs, Timeout: rules.Timeout(pl, pl.Flags, &facts)}
	if program != nil {
		if err := rules.Refused(program, pl, pl.Flags, &facts); err != nil {
			return nil, err
		}
		if p.Values, err = rules.Values(program, pl, pl.Flags, &facts); err != nil {
			return nil, err
		}
		p.Pattern = program.Files
	}
	facts.Launch = LaunchSingle
	alone, err := rules.Needs(pl, pl.Flags, &facts)
	p.Side = max(alone.Memory, needs.Memory-alone.Memory)
	return p, err
}

// jobFacts returns the facts that are known about a job's run before it starts.
func jobFacts() nixlbench.Facts {
	return nixlbench.Facts{Rank: -1, Launch: LaunchPair, EtcdLocal: true}
}
